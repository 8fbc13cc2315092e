// The pointwise half of every cell: runs the operations of a phase on some neighbouring
// units of some rows.
//
// An operation works on a strip: one vector of units of up to kStrip rows, so that what
// it costs to find out what to do is spread over the strip, and all registers of a strip
// stay in the cache nearest to the core.
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
    for (int v = 0; v < s.vectors; ++v)
      for (int64_t first = 0; first < s.rows; first += kStrip) {
        const int64_t rows = std::min<int64_t>(kStrip, s.rows - first);
        strip_ = {v * lanes<T>, first, int(rows), int(s.units - v * lanes<T>)};
        for (int64_t i = 0; i < count; ++i) step(ops[i]);
      }
  }

 private:
  struct Strip {
    int64_t unit, first;  // from the block's first; row
    int rows, units;      // units that exist: more than a vector's are all
  };
  struct View {
    T* at;
    int64_t row;
    TT_INLINE vec<T> get(int r) const { return load(at + r * row); }
    TT_INLINE void set(int r, vec<T> value) const { store(at + r * row, value); }
  };

  const Scene<T>& s;
  Strip strip_{};

  TT_INLINE View view(int16_t operand) const {
    const int kind = operand >> 10, index = operand & 1023;
    const int64_t row = s.row[kind];
    const bool own = kind == TT_REGISTER;  // registers know neither rows nor units
    const bool constant = kind == TT_CONST;
    return {s.base[kind] + index * s.index[kind] + (own ? 0 : strip_.first * row) +
                (own || constant ? 0 : strip_.unit),
            row};
  }

  TT_INLINE T* line(int16_t operand, int r) const {
    const int kind = (operand >> 10) - TT_H_OLD, index = operand & 1023;
    return s.lines[kind][strip_.first + r] + index * s.H + s.unit + strip_.unit;
  }

  template <class F>
  TT_INLINE void one(const tt_op& o, F f) const {
    const View out = view(o.out), a = view(o.a);
    for (int r = 0; r < strip_.rows; ++r) out.set(r, f(a.get(r)));
  }
  template <class F>
  TT_INLINE void two(const tt_op& o, F f) const {
    const View out = view(o.out), a = view(o.a), b = view(o.b);
    for (int r = 0; r < strip_.rows; ++r) out.set(r, f(a.get(r), b.get(r)));
  }
  template <class F>
  TT_INLINE void three(const tt_op& o, F f) const {
    const View out = view(o.out), a = view(o.a), b = view(o.b), c = view(o.c);
    for (int r = 0; r < strip_.rows; ++r) out.set(r, f(a.get(r), b.get(r), c.get(r)));
  }

  void step(const tt_op& o) const {
    using V = vec<T>;
    const V yes = all<T>(1), no{};
    switch (o.code) {
      case TT_COPY:
        return one(o, [](V a) { return a; });
      case TT_NEG:
        return one(o, [](V a) { return -a; });
      case TT_EXP:
        return one(o, [](V a) { return exp<T>(a); });
      case TT_EXPM1:
        return one(o, [](V a) { return expm1<T>(a); });
      case TT_LOG:
        return one(o,
                   [](V a) { return lane_by_lane<T>(a, [](T x) { return std::log(x); }); });
      case TT_LOG1P:
        return one(
            o, [](V a) { return lane_by_lane<T>(a, [](T x) { return std::log1p(x); }); });
      case TT_TANH:
        return one(o, [](V a) { return tanh<T>(a); });
      case TT_SIGMOID:
        return one(o, [](V a) { return sigmoid<T>(a); });
      case TT_RELU:
        return one(o, [](V a) { return a > 0 ? a : (a != a ? a : V{}); });
      case TT_SOFTPLUS:
        return one(o, [](V a) {
          return most<T>(a, V{}) + log1p_unit<T>(exp<T>(-magnitude<T>(a)));
        });
      case TT_ABS:
        return one(o, [](V a) { return magnitude<T>(a); });
      case TT_SQRT:
        return one(
            o, [](V a) { return lane_by_lane<T>(a, [](T x) { return std::sqrt(x); }); });
      case TT_SIN:
        return one(o,
                   [](V a) { return lane_by_lane<T>(a, [](T x) { return std::sin(x); }); });
      case TT_COS:
        return one(o,
                   [](V a) { return lane_by_lane<T>(a, [](T x) { return std::cos(x); }); });
      case TT_NORMAL_CDF:
        return one(o, [](V a) { return normal_cdf<T>(a); });
      case TT_SIGN:
        return one(o, [=](V a) { return a > 0 ? yes : (a < 0 ? -yes : no); });
      case TT_FLOOR:
        return one(
            o, [](V a) { return lane_by_lane<T>(a, [](T x) { return std::floor(x); }); });
      case TT_ADD:
        return two(o, [](V a, V b) { return a + b; });
      case TT_SUB:
        return two(o, [](V a, V b) { return a - b; });
      case TT_MUL:
        return two(o, [](V a, V b) { return a * b; });
      case TT_DIV:
        return two(o, [](V a, V b) { return a / b; });
      case TT_MAX:  // NaN where either is
        return two(o, [](V a, V b) { return b > a || b != b ? b : a; });
      case TT_MIN:
        return two(o, [](V a, V b) { return b < a || b != b ? b : a; });
      case TT_GT:
        return two(o, [=](V a, V b) { return a > b ? yes : no; });
      case TT_GE:
        return two(o, [=](V a, V b) { return a >= b ? yes : no; });
      case TT_EQ:
        return two(o, [=](V a, V b) { return a == b ? yes : no; });
      case TT_POW:
        return two(o, [](V a, V b) {
          for (int i = 0; i < lanes<T>; ++i) a[i] = std::pow(a[i], b[i]);
          return a;
        });
      case TT_WHERE:
        return three(o, [](V a, V b, V c) { return a != 0 ? b : c; });
      case TT_SIGMOID_SLOPE:
        return two(o, [=](V a, V b) { return a * b * (yes - b); });
      case TT_TANH_SLOPE:
        return two(o, [=](V a, V b) { return a * (yes - b * b); });
      case TT_FMA:
        return three(o, [](V a, V b, V c) { return a * b + c; });
      case TT_FNMA:
        return three(o, [](V a, V b, V c) { return c - a * b; });
      case TT_SIGMOID_SUM:
        return two(o, [](V a, V b) { return sigmoid<T>(a + b); });
      case TT_TANH_SUM:
        return two(o, [](V a, V b) { return tanh<T>(a + b); });
      case TT_LOAD:
        return fetch(o);
      case TT_STORE:
        return put(o);
      case TT_STORE_FAR:
        return put_far(o);
      case TT_ACCUMULATE:
        return accumulate(o);
      case TT_NORMALISE:
        return normalise(o);
      case TT_NORM_GRADIENT:
        return norm_gradient(o);
    }
  }

  void fetch(const tt_op& o) const {
    const View out = view(o.out);
    for (int r = 0; r < strip_.rows; ++r) out.set(r, load_some(line(o.a, r), strip_.units));
  }

  void put(const tt_op& o) const {
    const View a = view(o.a);
    if (o.out >> 10 < TT_H_OLD) {
      const View out = view(o.out);
      for (int r = 0; r < strip_.rows; ++r) out.set(r, a.get(r));
      return;
    }
    for (int r = 0; r < strip_.rows; ++r)
      store_some(line(o.out, r), a.get(r), strip_.units);
  }

  void put_far(const tt_op& o) const {
    const View a = view(o.a);
    for (int r = 0; r < strip_.rows; ++r) store_far(line(o.out, r), a.get(r), strip_.units);
  }

  void accumulate(const tt_op& o) const {
    const View a = view(o.a);
    vec<T> sum{};
    for (int r = 0; r < strip_.rows; ++r) sum += a.get(r);
    T* to = s.sums + (o.out & 1023) * s.H + s.unit + strip_.unit;
    store_some(to, load_some(to, strip_.units) + sum, strip_.units);
  }

  const RowNorm<T>* norms(int16_t operand) const {
    return s.norms + (operand & 1023) * s.norm_distance + strip_.first;
  }

  void normalise(const tt_op& o) const {
    const View out = view(o.out), a = view(o.a);
    const RowNorm<T>* n = norms(o.b);
    for (int r = 0; r < strip_.rows; ++r) out.set(r, (a.get(r) - n[r].first) * n[r].second);
  }

  // dv = rate (dy - mean(dy) - y mean(dy y))
  void norm_gradient(const tt_op& o) const {
    const View out = view(o.out), dy = view(o.a), y = view(o.b);
    const RowNorm<T>* n = norms(o.c);
    for (int r = 0; r < strip_.rows; ++r) {
      const T rate = s.lines[TT_SAVED - TT_H_OLD][strip_.first + r][s.rates + (o.c & 1023)];
      out.set(r, rate * (dy.get(r) - n[r].first - y.get(r) * n[r].second));
    }
  }
};

}  // namespace TT_ISA
