// The pointwise half of every cell: runs the operations of a phase on some neighbouring
// units of some rows.
//
// An operation works on a strip of up to kStrip vectors, all vectors of a block for some
// of its rows. So what it costs to find out what to do is spread over the strip, and all
// registers of a strip stay in the cache nearest to the core.
#pragma once

#include <cmath>

#include "plan.h"

namespace TT_ISA {

inline constexpr int kStrip = 32;
inline constexpr int kScratchKinds = TT_H_OLD;
inline constexpr int kRowKinds = TT_DC + 1 - TT_H_OLD;

// Mean of a row and one over its deviation, or the two means of its gradient.
template <class T>
struct RowNorm {
  T first, second;
};

// What the operations of a phase see of one block of units.
template <class T>
struct Scene {
  int64_t rows, unit, H;
  int units, vectors;
  // By kind: the first number of the block, and the distances of indices and rows.
  T* base[kScratchKinds];
  int64_t index[kScratchKinds], row[kScratchKinds];
  T* const* lines[kRowKinds];  // one pointer per row, to (fields, H)
  T* sums;                     // of the parameters per unit (rows, H): added to
  const RowNorm<T>* norms;     // [number][row]
  int64_t norm_distance;
  int64_t rates;  // backward: where the norms lie in a row of what is kept
};

template <class T, class Function>
TT_INLINE vec<T> lane_by_lane(vec<T> x, Function f) {
  for (int i = 0; i < lanes<T>; ++i) x[i] = f(x[i]);
  return x;
}

template <class T>
class Machine {
 public:
  Machine(const Scene<T>& scene) : s(scene) {}

  void run(const tt_op* ops, int64_t count) {
    const int64_t most = std::max(1, kStrip / s.vectors);
    for (int64_t first = 0; first < s.rows; first += most) {
      first_ = first;
      rows_ = int(std::min(most, s.rows - first));
      for (int64_t i = 0; i < count; ++i)
        if (s.vectors == 1)
          step<true>(ops[i]);
        else
          step<false>(ops[i]);
    }
  }

 private:
  struct View {
    T* at;
    int64_t row;
    TT_INLINE vec<T> get(int r, int v) const { return load(at + r * row + v * lanes<T>); }
    TT_INLINE void set(int r, int v, vec<T> x) const {
      store(at + r * row + v * lanes<T>, x);
    }
  };

  const Scene<T>& s;
  int64_t first_ = 0;  // row of the strip
  int rows_ = 0;

  TT_INLINE View view(int16_t operand) const {
    const int kind = operand >> 10, index = operand & 1023;
    const int64_t row = s.row[kind];
    // Registers begin anew with each strip.
    return {s.base[kind] + index * s.index[kind] + (kind == TT_REGISTER ? 0 : first_ * row),
            row};
  }

  TT_INLINE T* line(int16_t operand, int r) const {
    const int kind = (operand >> 10) - TT_H_OLD, index = operand & 1023;
    return s.lines[kind][first_ + r] + index * s.H + s.unit;
  }

  // work(row, vector) for all of a strip. One: blocks of one vector.
  template <bool One, class Work>
  TT_INLINE void all_of(Work work) const {
    for (int r = 0; r < rows_; ++r) {
      if (One)
        work(r, 0);
      else
        for (int v = 0; v < s.vectors; ++v) work(r, v);
    }
  }
  template <bool One, class F>
  TT_INLINE void one(const tt_op& o, F f) const {
    const View out = view(o.out), a = view(o.a);
    all_of<One>([&](int r, int v) { out.set(r, v, f(a.get(r, v))); });
  }
  template <bool One, class F>
  TT_INLINE void two(const tt_op& o, F f) const {
    const View out = view(o.out), a = view(o.a), b = view(o.b);
    all_of<One>([&](int r, int v) { out.set(r, v, f(a.get(r, v), b.get(r, v))); });
  }
  template <bool One, class F>
  TT_INLINE void three(const tt_op& o, F f) const {
    const View out = view(o.out), a = view(o.a), b = view(o.b), c = view(o.c);
    all_of<One>(
        [&](int r, int v) { out.set(r, v, f(a.get(r, v), b.get(r, v), c.get(r, v))); });
  }

  template <bool One>
  void step(const tt_op& o) const {
    using V = vec<T>;
    const V yes = all<T>(1), no{};
    switch (o.code) {
      case TT_COPY:
        return one<One>(o, [](V a) { return a; });
      case TT_NEG:
        return one<One>(o, [](V a) { return -a; });
      case TT_EXP:
        return one<One>(o, [](V a) { return exp<T>(a); });
      case TT_EXPM1:
        return one<One>(o, [](V a) { return expm1<T>(a); });
      case TT_LOG:
        return one<One>(
            o, [](V a) { return lane_by_lane<T>(a, [](T x) { return std::log(x); }); });
      case TT_LOG1P:
        return one<One>(
            o, [](V a) { return lane_by_lane<T>(a, [](T x) { return std::log1p(x); }); });
      case TT_TANH:
        return one<One>(o, [](V a) { return tanh<T>(a); });
      case TT_SIGMOID:
        return one<One>(o, [](V a) { return sigmoid<T>(a); });
      case TT_RELU:
        return one<One>(o, [](V a) { return a > 0 ? a : (a != a ? a : V{}); });
      case TT_SOFTPLUS:
        return one<One>(o, [](V a) {
          return most<T>(a, V{}) + log1p_unit<T>(exp<T>(-magnitude<T>(a)));
        });
      case TT_ABS:
        return one<One>(o, [](V a) { return magnitude<T>(a); });
      case TT_SQRT:
        return one<One>(
            o, [](V a) { return lane_by_lane<T>(a, [](T x) { return std::sqrt(x); }); });
      case TT_SIN:
        return one<One>(
            o, [](V a) { return lane_by_lane<T>(a, [](T x) { return std::sin(x); }); });
      case TT_COS:
        return one<One>(
            o, [](V a) { return lane_by_lane<T>(a, [](T x) { return std::cos(x); }); });
      case TT_NORMAL_CDF:
        return one<One>(o, [](V a) { return normal_cdf<T>(a); });
      case TT_SIGN:
        return one<One>(o, [=](V a) { return a > 0 ? yes : (a < 0 ? -yes : no); });
      case TT_FLOOR:
        return one<One>(
            o, [](V a) { return lane_by_lane<T>(a, [](T x) { return std::floor(x); }); });
      case TT_ADD:
        return two<One>(o, [](V a, V b) { return a + b; });
      case TT_SUB:
        return two<One>(o, [](V a, V b) { return a - b; });
      case TT_MUL:
        return two<One>(o, [](V a, V b) { return a * b; });
      case TT_DIV:
        return two<One>(o, [](V a, V b) { return a / b; });
      case TT_MAX:  // NaN where either is
        return two<One>(o, [](V a, V b) { return b > a || b != b ? b : a; });
      case TT_MIN:
        return two<One>(o, [](V a, V b) { return b < a || b != b ? b : a; });
      case TT_GT:
        return two<One>(o, [=](V a, V b) { return a > b ? yes : no; });
      case TT_GE:
        return two<One>(o, [=](V a, V b) { return a >= b ? yes : no; });
      case TT_EQ:
        return two<One>(o, [=](V a, V b) { return a == b ? yes : no; });
      case TT_POW:
        return two<One>(o, [](V a, V b) {
          for (int i = 0; i < lanes<T>; ++i) a[i] = std::pow(a[i], b[i]);
          return a;
        });
      case TT_WHERE:
        return three<One>(o, [](V a, V b, V c) { return a != 0 ? b : c; });
      case TT_SIGMOID_SLOPE:
        return two<One>(o, [=](V a, V b) { return a * b * (yes - b); });
      case TT_TANH_SLOPE:
        return two<One>(o, [=](V a, V b) { return a * (yes - b * b); });
      case TT_FMA:
        return three<One>(o, [](V a, V b, V c) { return a * b + c; });
      case TT_FNMA:
        return three<One>(o, [](V a, V b, V c) { return c - a * b; });
      case TT_SIGMOID_SUM:
        return two<One>(o, [](V a, V b) { return sigmoid<T>(a + b); });
      case TT_TANH_SUM:
        return two<One>(o, [](V a, V b) { return tanh<T>(a + b); });
      case TT_LOAD:
        return fetch<One>(o);
      case TT_STORE:
        return put<One>(o);
      case TT_STORE_FAR:
        return put_far<One>(o);
      case TT_ACCUMULATE:
        return accumulate<One>(o);
      case TT_NORMALISE:
        return normalise<One>(o);
      case TT_NORM_GRADIENT:
        return norm_gradient<One>(o);
    }
  }

  template <bool One>
  void fetch(const tt_op& o) const {
    const View out = view(o.out);
    for (int r = 0; r < rows_; ++r) {
      const T* from = line(o.a, r);
      for (int v = 0; v < (One ? 1 : s.vectors); ++v)
        out.set(r, v, load_some(from + v * lanes<T>, s.units - v * lanes<T>));
    }
  }

  template <bool One>
  void put(const tt_op& o) const {
    const View a = view(o.a);
    if (o.out >> 10 < TT_H_OLD) {
      const View out = view(o.out);
      return all_of<One>([&](int r, int v) { out.set(r, v, a.get(r, v)); });
    }
    for (int r = 0; r < rows_; ++r) {
      T* to = line(o.out, r);
      for (int v = 0; v < (One ? 1 : s.vectors); ++v)
        store_some(to + v * lanes<T>, a.get(r, v), s.units - v * lanes<T>);
    }
  }

  template <bool One>
  void put_far(const tt_op& o) const {
    const View a = view(o.a);
    for (int r = 0; r < rows_; ++r) {
      T* to = line(o.out, r);
      for (int v = 0; v < (One ? 1 : s.vectors); ++v)
        store_far(to + v * lanes<T>, a.get(r, v), s.units - v * lanes<T>);
    }
  }

  template <bool One>
  void accumulate(const tt_op& o) const {
    const View a = view(o.a);
    T* to = s.sums + (o.out & 1023) * s.H + s.unit;
    for (int v = 0; v < (One ? 1 : s.vectors); ++v, to += lanes<T>) {
      vec<T> sum{};
      for (int r = 0; r < rows_; ++r) sum += a.get(r, v);
      const int n = s.units - v * lanes<T>;
      store_some(to, load_some(to, n) + sum, n);
    }
  }

  const RowNorm<T>* norms(int16_t operand) const {
    return s.norms + (operand & 1023) * s.norm_distance + first_;
  }

  template <bool One>
  void normalise(const tt_op& o) const {
    const View out = view(o.out), a = view(o.a);
    const RowNorm<T>* n = norms(o.b);
    all_of<One>(
        [&](int r, int v) { out.set(r, v, (a.get(r, v) - n[r].first) * n[r].second); });
  }

  // dv = rate (dy - mean(dy) - y mean(dy y))
  template <bool One>
  void norm_gradient(const tt_op& o) const {
    const View out = view(o.out), dy = view(o.a), y = view(o.b);
    const RowNorm<T>* n = norms(o.c);
    all_of<One>([&](int r, int v) {
      const T rate = s.lines[TT_SAVED - TT_H_OLD][first_ + r][s.rates + (o.c & 1023)];
      out.set(r, v, rate * (dy.get(r, v) - n[r].first - y.get(r, v) * n[r].second));
    });
  }
};

}  // namespace TT_ISA
