// The library's door: picks the code for the instruction set that the caller names.
#include <cstring>
#include <new>

#include "stream_base.h"
#include "throughtime.h"

using Stream = throughtime::StreamBase;

#define TT_DECLARE(isa)                                    \
  namespace isa {                                          \
  int forward(const tt_problem&);                          \
  int backward(const tt_problem&);                         \
  int both(const tt_problem*, int (*)(const tt_problem&)); \
  int output(const tt_output_problem&);                    \
  double product_limit(int);                               \
  Stream* stream(const tt_problem&);                       \
  }
TT_DECLARE(portable)
#ifdef TT_X86
TT_DECLARE(avx2)
TT_DECLARE(avx512)
#endif

namespace {

using Run = int (*)(const tt_problem&);
using Output = int (*)(const tt_output_problem&);
using Limit = double (*)(int);

struct Version {
  const char* name;
  Run forward, backward;
  int (*both)(const tt_problem*, Run);
  Output output;
  Limit product_limit;
  Stream* (*stream)(const tt_problem&);
  bool runs;
};

const Version* versions() {
#ifdef TT_X86
  static const bool has_avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  static const bool has_avx512 =
      has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
#endif
  static const Version all[] = {
#ifdef TT_X86
      {"avx512", avx512::forward, avx512::backward, avx512::both, avx512::output,
       avx512::product_limit, avx512::stream, has_avx512},
      {"avx2", avx2::forward, avx2::backward, avx2::both, avx2::output, avx2::product_limit,
       avx2::stream, has_avx2},
#endif
      {"portable", portable::forward, portable::backward, portable::both, portable::output,
       portable::product_limit, portable::stream, true},
      {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, false},
  };
  return all;
}

const Version* find(const char* name) {
  for (const Version* v = versions(); v->name; ++v)
    if (v->runs && std::strcmp(v->name, name) == 0) return v;
  return nullptr;
}

}  // namespace

extern "C" {

int tt_abi(void) { return TT_ABI; }

int tt_problem_size(void) { return int(sizeof(tt_problem)); }

int tt_program_size(void) { return int(sizeof(tt_program)); }

int tt_output_problem_size(void) { return int(sizeof(tt_output_problem)); }

const char* tt_instruction_sets(void) {
  static char names[64];
  char* end = names;
  for (const Version* v = versions(); v->name; ++v)
    if (v->runs) {
      if (end != names) *end++ = ' ';
      std::strcpy(end, v->name);
      end += std::strlen(v->name);
    }
  return names;
}

int tt_forward(const tt_problem* problem, const char* instruction_set) {
  const Version* v = find(instruction_set);
  return v && (problem->bytes == 4 || problem->bytes == 8) ? v->forward(*problem) : 1;
}

int tt_backward(const tt_problem* problem, const char* instruction_set) {
  const Version* v = find(instruction_set);
  return v && (problem->bytes == 4 || problem->bytes == 8) ? v->backward(*problem) : 1;
}

int tt_both(const tt_problem* problems, int backward, const char* instruction_set) {
  const Version* v = find(instruction_set);
  for (int i = 0; i < 2; ++i)
    if (problems[i].bytes != 4 && problems[i].bytes != 8) return 1;
  return v ? v->both(problems, backward ? v->backward : v->forward) : 1;
}

int tt_output(const tt_output_problem* problem, const char* instruction_set) {
  const Version* v = find(instruction_set);
  return v && (problem->bytes == 4 || problem->bytes == 8) ? v->output(*problem) : 1;
}

double tt_product_limit(int threads, const char* instruction_set) {
  const Version* v = find(instruction_set);
  return v ? v->product_limit(threads) : 0;
}

void* tt_stream_new(const tt_problem* problem, const char* instruction_set) {
  const Version* v = find(instruction_set);
  try {
    return v && (problem->bytes == 4 || problem->bytes == 8) ? v->stream(*problem)
                                                             : nullptr;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void tt_stream_step(void* stream, const void* x, void* out) {
  static_cast<Stream*>(stream)->step(x, out);
}

void tt_stream_state(void* stream, int field, void* memory, int set) {
  static_cast<Stream*>(stream)->state(field, memory, set != 0);
}

void tt_stream_free(void* stream) { delete static_cast<Stream*>(stream); }
}
