// Phases of the most used cells, written out by the compiler: the same operations, in the
// same order, with registers that are registers. Any other phase is interpreted.
#pragma once

#include <utility>

#include "known.h"
#include "machine.h"

namespace TT_ISA {

// Runs one phase on all rows and vectors of a scene.
template <class T>
using Straight = void (*)(const Scene<T>&);

template <class T, class Phase>
class Written {
 public:
  static void run(const Scene<T>& scene) {
    Written w(scene);
    for (w.r = 0; w.r < w.s.rows; ++w.r)
      for (w.v = 0; w.v < w.s.vectors; ++w.v)
        w.all(std::make_integer_sequence<int, kCount>());
  }

 private:
  static constexpr int kCount = sizeof(Phase::ops) / sizeof(tt_op);

  explicit Written(const Scene<T>& scene) : s(scene) {}

  const Scene<T> s;  // a copy that nobody else can write to
  int64_t r = 0;
  int v = 0;
  vec<T> registers[Phase::registers] = {};

  template <int... Numbers>
  TT_INLINE void all(std::integer_sequence<int, Numbers...>) {
    (one<Numbers>(), ...);
  }

  template <int Place>
  TT_INLINE T* scratch() const {
    constexpr int kind = Place >> 10, index = Place & 1023;
    return s.base[kind] + index * s.index[kind] + r * s.row[kind] + v * lanes<T>;
  }
  template <int Place>
  TT_INLINE vec<T> get() const {
    if constexpr (Place >> 10 == TT_REGISTER)
      return registers[Place & 1023];
    else
      return load(scratch<Place>());
  }
  template <int Place>
  TT_INLINE void set(vec<T> x) {
    if constexpr (Place >> 10 == TT_REGISTER)
      registers[Place & 1023] = x;
    else
      store(scratch<Place>(), x);
  }
  template <int Place>
  TT_INLINE T* line() const {
    constexpr int kind = (Place >> 10) - TT_H_OLD, index = Place & 1023;
    return s.lines[kind][r] + index * s.H + s.unit + v * lanes<T>;
  }

  template <int Number>
  TT_INLINE void one() {
    constexpr tt_op o = Phase::ops[Number];
    constexpr bool to_memory = o.out >> 10 >= TT_H_OLD;
    const int units = s.units - v * lanes<T>;
    if constexpr (o.code == TT_LOAD) {
      set<o.out>(load_some(line<o.a>(), units));
    } else if constexpr (o.code == TT_STORE && to_memory) {
      store_some(line<o.out>(), get<o.a>(), units);
    } else if constexpr (o.code == TT_STORE) {
      set<o.out>(get<o.a>());
    } else if constexpr (o.code == TT_STORE_FAR) {
      store_far(line<o.out>(), get<o.a>(), units);
    } else if constexpr (o.code == TT_ACCUMULATE) {
      T* to = s.sums + (o.out & 1023) * s.H + s.unit + v * lanes<T>;
      store_some(to, load_some(to, units) + get<o.a>(), units);
    } else if constexpr (o.code == TT_NORMALISE) {
      const RowNorm<T>& n = s.norms[(o.b & 1023) * s.norm_distance + r];
      vec<T> x = (get<o.a>() - n.first) * n.second;
      settle_rounding<T>(x);
      set<o.out>(x);
    } else if constexpr (o.code == TT_NORM_GRADIENT) {
      const RowNorm<T>& n = s.norms[(o.c & 1023) * s.norm_distance + r];
      const T rate = s.lines[TT_SAVED - TT_H_OLD][r][s.rates + (o.c & 1023)];
      vec<T> x = rate * (get<o.a>() - n.first - get<o.b>() * n.second);
      settle_rounding<T>(x);
      set<o.out>(x);
    } else {
      constexpr int count = arguments_of(o.code);
      const vec<T> a = get<o.a>();
      vec<T> b = a, c = a;
      if constexpr (count > 1) b = get<o.b>();
      if constexpr (count > 2) c = get<o.c>();
      vec<T> x = apply<T, o.code>(a, b, c);
      settle_rounding<T>(x);  // as if it were interpreted
      set<o.out>(x);
    }
  }
};

template <class T>
struct Search {
  template <class... Phases>
  struct Among {
    static Straight<T> find(const tt_op* ops, int64_t count) {
      Straight<T> found = nullptr;
      const auto same = [&](auto& known) {
        const int64_t size = int64_t(sizeof(known));
        return count * int64_t(sizeof(tt_op)) == size &&
               !std::memcmp(known, ops, size_t(size));
      };
      ((same(Phases::ops) ? void(found = Written<T, Phases>::run) : void()), ...);
      return found;
    }
  };
};

// One phase of a program: written out if it is known, else interpreted.
template <class T>
class Runner {
 public:
  Runner(const tt_schedule& schedule, const tt_phase& phase)
      : ops_(schedule.ops + phase.begin),
        count_(phase.end - phase.begin),
        straight_(EveryKnown<Search<T>::template Among>::find(ops_, count_)) {}

  void run(const Scene<T>& scene) const {
    if (straight_)
      straight_(scene);
    else
      Machine<T>(scene).run(ops_, count_);
  }

 private:
  const tt_op* ops_;
  int64_t count_;
  Straight<T> straight_;
};

template <class T>
std::vector<Runner<T>> runners_of(const tt_schedule& schedule) {
  std::vector<Runner<T>> all;
  for (int i = 0; i < schedule.count; ++i) all.emplace_back(schedule, schedule.phases[i]);
  return all;
}

}  // namespace TT_ISA
