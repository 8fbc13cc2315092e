// What the library's door knows of a stream, whatever its instruction set and type.
#pragma once

namespace throughtime {

class StreamBase {
 public:
  virtual ~StreamBase() = default;
  virtual void step(const void* x, void* out) = 0;
  virtual void state(int field, void* memory, bool set) = 0;
};

}  // namespace throughtime
