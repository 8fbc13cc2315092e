// The pointwise half of every cell: runs the operations of a phase on some neighbouring
// units of some rows.
//
// An operation works on a strip of up to kStrip vectors, all vectors of a block for some
// of its rows. So what it costs to find out what to do is spread over the strip, and all
// registers of a strip stay in the cache nearest to the core.
#pragma once

#include <array>
#include <utility>

#include "operations.h"
#include "plan.h"

namespace TT_ISA {

inline constexpr int kStrip = 32;
// Vectors from one register to the next: not a power of two, for the sake of the caches.
inline constexpr int kRegister = kStrip + 1;
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

template <class T>
class Machine {
 public:
  Machine(const Scene<T>& scene) : s(scene) {}

  void run(const tt_op* ops, int64_t count) {
    static constexpr auto one = table<true>(std::make_integer_sequence<int, kFunctions>());
    static constexpr auto many =
        table<false>(std::make_integer_sequence<int, kFunctions>());
    const Step* const steps = s.vectors == 1 ? one.data() : many.data();
    const int64_t most = std::max(1, kStrip / s.vectors);
    for (int64_t first = 0; first < s.rows; first += most) {
      first_ = first;
      rows_ = int(std::min(most, s.rows - first));
      for (int64_t i = 0; i < count; ++i) steps[ops[i].code](*this, ops[i]);
    }
  }

 private:
  // A function for each operation; one switch over all would save every register.
  using Step = void (*)(const Machine&, const tt_op&);
  template <bool One, int... Codes>
  static constexpr std::array<Step, kOperations> table(
      std::integer_sequence<int, Codes...>) {
    return {compute<Codes, One>..., fetch<One>,     put<One>,          put_far<One>,
            accumulate<One>,        normalise<One>, norm_gradient<One>};
  }

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
    const int rows = rows_, vectors = One ? 1 : s.vectors;
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < vectors; ++v) work(r, v);
  }

  template <int Code, bool One>
  static void compute(const Machine& m, const tt_op& o) {
    constexpr int count = arguments_of(Code);
    const View out = m.view(o.out), a = m.view(o.a);
    const View b = count > 1 ? m.view(o.b) : a, c = count > 2 ? m.view(o.c) : a;
    m.template all_of<One>([=](int r, int v) {
      const vec<T> x = a.get(r, v);
      out.set(r, v,
              apply<T, Code>(x, count > 1 ? b.get(r, v) : x, count > 2 ? c.get(r, v) : x));
    });
  }

  template <bool One>
  static void fetch(const Machine& m, const tt_op& o) {
    const View out = m.view(o.out);
    for (int r = 0; r < m.rows_; ++r) {
      const T* from = m.line(o.a, r);
      for (int v = 0; v < (One ? 1 : m.s.vectors); ++v)
        out.set(r, v, load_some(from + v * lanes<T>, m.s.units - v * lanes<T>));
    }
  }

  template <bool One>
  static void put(const Machine& m, const tt_op& o) {
    const View a = m.view(o.a);
    if (o.out >> 10 < TT_H_OLD) {
      const View out = m.view(o.out);
      return m.template all_of<One>([&](int r, int v) { out.set(r, v, a.get(r, v)); });
    }
    for (int r = 0; r < m.rows_; ++r) {
      T* to = m.line(o.out, r);
      for (int v = 0; v < (One ? 1 : m.s.vectors); ++v)
        store_some(to + v * lanes<T>, a.get(r, v), m.s.units - v * lanes<T>);
    }
  }

  template <bool One>
  static void put_far(const Machine& m, const tt_op& o) {
    const View a = m.view(o.a);
    for (int r = 0; r < m.rows_; ++r) {
      T* to = m.line(o.out, r);
      for (int v = 0; v < (One ? 1 : m.s.vectors); ++v)
        store_far(to + v * lanes<T>, a.get(r, v), m.s.units - v * lanes<T>);
    }
  }

  template <bool One>
  static void accumulate(const Machine& m, const tt_op& o) {
    const View a = m.view(o.a);
    T* to = m.s.sums + (o.out & 1023) * m.s.H + m.s.unit;
    for (int v = 0; v < (One ? 1 : m.s.vectors); ++v, to += lanes<T>) {
      vec<T> sum{};
      for (int r = 0; r < m.rows_; ++r) sum += a.get(r, v);
      const int n = m.s.units - v * lanes<T>;
      store_some(to, load_some(to, n) + sum, n);
    }
  }

  const RowNorm<T>* norms(int16_t operand) const {
    return s.norms + (operand & 1023) * s.norm_distance + first_;
  }

  template <bool One>
  static void normalise(const Machine& m, const tt_op& o) {
    const View out = m.view(o.out), a = m.view(o.a);
    const RowNorm<T>* n = m.norms(o.b);
    m.template all_of<One>(
        [&](int r, int v) { out.set(r, v, (a.get(r, v) - n[r].first) * n[r].second); });
  }

  // dv = rate (dy - mean(dy) - y mean(dy y))
  template <bool One>
  static void norm_gradient(const Machine& m, const tt_op& o) {
    const View out = m.view(o.out), dy = m.view(o.a), y = m.view(o.b);
    const RowNorm<T>* n = m.norms(o.c);
    m.template all_of<One>([&](int r, int v) {
      const T rate = m.s.lines[TT_SAVED - TT_H_OLD][m.first_ + r][m.s.rates + (o.c & 1023)];
      out.set(r, v, rate * (dy.get(r, v) - n[r].first - y.get(r, v) * n[r].second));
    });
  }
};

}  // namespace TT_ISA
