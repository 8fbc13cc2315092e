// The pointwise half of every cell: what happens to each unit once the products are done.
//
// A block is some rows (sequences) times some neighbouring units at one step. a_x and
// a_h come with their biases in scratch memory; everything else is read and written in
// place through one pointer per row.
//
// Most cells are one function forward and one backward. Some need more: layer norm, whose
// units wait for a mean over the row, runs in three phases; a projection, and a GRU that
// resets before the product, have a second product within the step.
#pragma once

#include "throughtime.h"
#include "vec.h"

namespace TT_ISA {

// Mean and 1 / deviation of a row, once known.
template <class T>
struct RowNorm {
  T mean, rate;
};

// Number, mean and sum of squared distances from it, of a part of a row.
struct Moments {
  double count, mean, squares;
};

// Sums over a part of a row, for the gradient of layer norm.
template <class T>
struct RowSums {
  T x[2], h[2], c[2];
};

template <class T>
struct ForwardBlock {
  int64_t rows, unit, H;
  int units;
  T *ax, *ah;                    // [row][gate][unit]
  int64_t ax_row, ah_row, gate;  // distances in them
  const T* const* h_in;          // the old h as it enters the products
  const T* const* h_old;
  const T* const* c_old;
  T* const* h;
  T* const* c;
  T* const* mid;    // what enters the second product
  T* const* saved;  // null: nothing is kept
  const T* extra;
  T leak, alpha;
  const RowNorm<T>*x_norm, *h_norm, *c_norm;  // by row
};

template <class T>
struct BackwardBlock {
  int64_t rows, unit, H;
  int units;
  const T* const* h_in;
  const T* const* h_old;
  const T* const* c_old;
  const T* const* saved;
  T* dh;          // in: gradient of the new h; out: what goes to h_old past the products
  int64_t row;    // distance of rows in dh
  T* const* dc;   // in: gradient of the new c; out: of c_old
  T* const* dz;   // out: gradients of the pre-activations, by slot
  T* const* mid;  // out: what entered the second product
  const T* const* mask;  // of h_in; null
  const T* extra;
  T* grad_extra;  // (parameters, H), added to
  T leak, alpha;
  int64_t unit_count;  // of the whole row
  RowSums<T>* sums;    // by row: of the phase before, and the parts of this one
  RowSums<T>* parts;
};

template <class T>
using Forward = void (*)(const ForwardBlock<T>&);
template <class T>
using Backward = void (*)(const BackwardBlock<T>&);

enum class Second { none, projection, reset };

// What a cell looks like to the time loops. Slots are what is saved per unit; in the
// backward pass, `dz_slots` of them are gradients. `gates` is G of the weights. The
// products with W_ih and W_hh read `x_gates` and `h_gates` neighbouring slots; order[k]
// is the gate of torch's weights that the k-th of them belongs to.
template <class T>
struct CellRules {
  int gates, x_gates, h_gates, slots, dz_slots;
  int x_slot, h_slot;
  int x_order[4], h_order[4];
  int together;  // gates that a block of units counts as
  int extras;    // parameter vectors of H numbers in `extra`
  bool has_c, has_direct, norm;
  Second second;
  Forward<T> forward[3];  // phases
  Backward<T> backward[3];
};

// ---- simple and leaky cells: h = (1 - leak) h_old + leak phi(a_x + a_h)

// phi, what to keep of it, and its slope from what was kept.
template <class T, int A>
struct Phi {
  static TT_INLINE vec<T> value(vec<T> z, T alpha) {
    if constexpr (A == TT_SIGMOID) return sigmoid<T>(z);
    if constexpr (A == TT_TANH) return tanh<T>(z);
    if constexpr (A == TT_RELU) return z > 0 ? z : (z != z ? z : vec<T>{});
    if constexpr (A == TT_SOFTPLUS)
      return most<T>(z, vec<T>{}) + log1p_unit<T>(exp<T>(-magnitude<T>(z)));
    if constexpr (A == TT_ELU) return z > 0 ? z : alpha * expm1<T>(z);
    if constexpr (A == TT_LEAKY_RELU) return z > 0 ? z : alpha * z;
    return z;
  }
  static TT_INLINE vec<T> kept(vec<T> z, vec<T> y) {
    return A == TT_SIGMOID || A == TT_TANH ? y : z;
  }
  static TT_INLINE vec<T> slope(vec<T> k, T alpha) {
    const vec<T> one = all<T>(1);
    if constexpr (A == TT_SIGMOID) return k * (one - k);
    if constexpr (A == TT_TANH) return one - k * k;
    if constexpr (A == TT_RELU) return k > 0 ? one : vec<T>{};
    if constexpr (A == TT_GELU) return k;
    if constexpr (A == TT_SOFTPLUS) return sigmoid<T>(k);
    if constexpr (A == TT_ELU) return k > 0 ? one : alpha * exp<T>(k);
    if constexpr (A == TT_LEAKY_RELU) return k > 0 ? one : all<T>(alpha);
    return one;
  }
};

template <class T, int A>
void elman_forward(const ForwardBlock<T>& b) {
  for (int64_t r = 0; r < b.rows; ++r)
    for (int u = 0; u < b.units; u += lanes<T>) {
      const int n = b.units - u;
      const int64_t at = b.unit + u;
      const vec<T> z = load(b.ax + r * b.ax_row + u) + load(b.ah + r * b.ah_row + u);
      vec<T> y, kept;
      if constexpr (A == TT_GELU) {  // its slope has the same costly factor: keep that
        const vec<T> phi = normal_cdf<T>(z);
        y = z * phi;
        if (b.saved) kept = phi + z * T(0.39894228040143267794) * exp<T>(T(-0.5) * z * z);
      } else {
        y = Phi<T, A>::value(z, b.alpha);
        kept = Phi<T, A>::kept(z, y);
      }
      if (b.saved) store_far(b.saved[r] + at, kept, n);
      vec<T> h = y;
      if (b.leak != T(1)) h = (T(1) - b.leak) * load_some(b.h_old[r] + at, n) + b.leak * y;
      store_some(b.h[r] + at, h, n);
    }
}

template <class T, int A>
void elman_backward(const BackwardBlock<T>& b) {
  for (int64_t r = 0; r < b.rows; ++r)
    for (int u = 0; u < b.units; u += lanes<T>) {
      const int n = b.units - u;
      const int64_t at = b.unit + u;
      const vec<T> dh = load(b.dh + r * b.row + u);
      const vec<T> k = load_some(b.saved[r] + at, n);
      const vec<T> dy = b.leak * dh;
      store_some(b.dz[r] + at, dy * Phi<T, A>::slope(k, b.alpha), n);
      store(b.dh + r * b.row + u, (T(1) - b.leak) * dh);
      if (b.grad_extra) {  // PReLU: the slope multiplies z where z <= 0
        T* g = b.grad_extra + at;
        store_some(g, load_some(g, n) + (k > 0 ? vec<T>{} : dy * k), n);
      }
    }
}

// ---- LSTM, slots i f g o

template <class T, bool Peephole>
void lstm_forward(const ForwardBlock<T>& b) {
  for (int64_t r = 0; r < b.rows; ++r)
    for (int u = 0; u < b.units; u += lanes<T>) {
      const int n = b.units - u;
      const int64_t at = b.unit + u;
      const T* ax = b.ax + r * b.ax_row + u;
      const T* ah = b.ah + r * b.ah_row + u;
      const vec<T> c_old = load_some(b.c_old[r] + at, n);
      vec<T> i = load(ax) + load(ah);
      vec<T> f = load(ax + b.gate) + load(ah + b.gate);
      vec<T> g = load(ax + 2 * b.gate) + load(ah + 2 * b.gate);
      vec<T> o = load(ax + 3 * b.gate) + load(ah + 3 * b.gate);
      if constexpr (Peephole) {
        i += load_some(b.extra + at, n) * c_old;
        f += load_some(b.extra + b.H + at, n) * c_old;
      }
      i = sigmoid<T>(i), f = sigmoid<T>(f), g = tanh<T>(g);
      const vec<T> c = f * c_old + i * g;
      if constexpr (Peephole) o += load_some(b.extra + 2 * b.H + at, n) * c;
      o = sigmoid<T>(o);
      store_some(b.c[r] + at, c, n);
      store_some(b.h[r] + at, o * tanh<T>(c), n);
      if (b.saved) {
        T* s = b.saved[r] + at;
        store_far(s, i, n);
        store_far(s + b.H, f, n);
        store_far(s + 2 * b.H, g, n);
        store_far(s + 3 * b.H, o, n);
      }
    }
}

template <class T, bool Peephole>
void lstm_backward(const BackwardBlock<T>& b) {
  for (int64_t r = 0; r < b.rows; ++r)
    for (int u = 0; u < b.units; u += lanes<T>) {
      const int n = b.units - u;
      const int64_t at = b.unit + u;
      const T* s = b.saved[r] + at;
      const vec<T> i = load_some(s, n), f = load_some(s + b.H, n);
      const vec<T> g = load_some(s + 2 * b.H, n), o = load_some(s + 3 * b.H, n);
      const vec<T> c_old = load_some(b.c_old[r] + at, n);
      const vec<T> c = f * c_old + i * g;
      const vec<T> y = tanh<T>(c);
      const vec<T> dh = load(b.dh + r * b.row + u);
      const vec<T> d_o = dh * y * o * (T(1) - o);
      vec<T> dc = load_some(b.dc[r] + at, n) + dh * o * (T(1) - y * y);
      if constexpr (Peephole) dc += d_o * load_some(b.extra + 2 * b.H + at, n);
      const vec<T> di = dc * g * i * (T(1) - i);
      const vec<T> df = dc * c_old * f * (T(1) - f);
      const vec<T> dg = dc * i * (T(1) - g * g);
      vec<T> dc_old = dc * f;
      if constexpr (Peephole) {
        dc_old += di * load_some(b.extra + at, n);
        dc_old += df * load_some(b.extra + b.H + at, n);
        T* p = b.grad_extra + at;
        store_some(p, load_some(p, n) + di * c_old, n);
        store_some(p + b.H, load_some(p + b.H, n) + df * c_old, n);
        store_some(p + 2 * b.H, load_some(p + 2 * b.H, n) + d_o * c, n);
      }
      T* d = b.dz[r] + at;
      store_some(d, di, n);
      store_some(d + b.H, df, n);
      store_some(d + 2 * b.H, dg, n);
      store_some(d + 3 * b.H, d_o, n);
      store_some(b.dc[r] + at, dc_old, n);
      if (b.mid) store_some(b.mid[r] + at, o * y, n);
    }
}

// ---- GRU with the reset after the product, slots n r z and a_h of n; in the backward
// pass the first three belong to x (n r z), the last three to h (r z n)

template <class T>
void gru_forward(const ForwardBlock<T>& b) {
  for (int64_t q = 0; q < b.rows; ++q)
    for (int u = 0; u < b.units; u += lanes<T>) {
      const int k = b.units - u;
      const int64_t at = b.unit + u;
      const T* ax = b.ax + q * b.ax_row + u;
      const T* ah = b.ah + q * b.ah_row + u;
      const vec<T> r = sigmoid<T>(load(ax) + load(ah));
      const vec<T> z = sigmoid<T>(load(ax + b.gate) + load(ah + b.gate));
      const vec<T> m = load(ah + 2 * b.gate);
      const vec<T> n = tanh<T>(load(ax + 2 * b.gate) + r * m);
      const vec<T> h_old = load_some(b.h_old[q] + at, k);
      store_some(b.h[q] + at, (T(1) - z) * n + z * h_old, k);
      if (b.saved) {
        T* s = b.saved[q] + at;
        store_far(s, n, k);
        store_far(s + b.H, r, k);
        store_far(s + 2 * b.H, z, k);
        store_far(s + 3 * b.H, m, k);
      }
    }
}

template <class T>
void gru_backward(const BackwardBlock<T>& b) {
  for (int64_t q = 0; q < b.rows; ++q)
    for (int u = 0; u < b.units; u += lanes<T>) {
      const int k = b.units - u;
      const int64_t at = b.unit + u;
      const T* s = b.saved[q] + at;
      const vec<T> n = load_some(s, k), r = load_some(s + b.H, k);
      const vec<T> z = load_some(s + 2 * b.H, k), m = load_some(s + 3 * b.H, k);
      const vec<T> h_old = load_some(b.h_old[q] + at, k);
      const vec<T> dh = load(b.dh + q * b.row + u);
      const vec<T> dn = dh * (T(1) - z) * (T(1) - n * n);
      T* d = b.dz[q] + at;
      store_some(d, dn, k);
      store_some(d + b.H, dn * m * r * (T(1) - r), k);
      store_some(d + 2 * b.H, dh * (h_old - n) * z * (T(1) - z), k);
      store_some(d + 3 * b.H, dn * r, k);
      store(b.dh + q * b.row + u, dh * z);
    }
}

// ---- GRU with the reset before the product: two products, of h_old with r and z, then
// of m = r h_old; slots n r z

template <class T>
void gru_before_gates(const ForwardBlock<T>& b) {
  for (int64_t q = 0; q < b.rows; ++q)
    for (int u = 0; u < b.units; u += lanes<T>) {
      const int k = b.units - u;
      const int64_t at = b.unit + u;
      const T* ax = b.ax + q * b.ax_row + u;
      const T* ah = b.ah + q * b.ah_row + u;
      const vec<T> r = sigmoid<T>(load(ax) + load(ah));
      const vec<T> z = sigmoid<T>(load(ax + b.gate) + load(ah + b.gate));
      store_some(b.mid[q] + at, r * load_some(b.h_in[q] + at, k), k);
      store_some(b.mid[q] + b.H + at, z, k);
      if (b.saved) store_far(b.saved[q] + b.H + at, r, k);
    }
}

template <class T>
void gru_before_state(const ForwardBlock<T>& b) {
  for (int64_t q = 0; q < b.rows; ++q)
    for (int u = 0; u < b.units; u += lanes<T>) {
      const int k = b.units - u;
      const int64_t at = b.unit + u;
      const vec<T> n = tanh<T>(load(b.ax + q * b.ax_row + 2 * b.gate + u) +
                               load(b.ah + q * b.ah_row + u));
      const vec<T> z = load_some(b.mid[q] + b.H + at, k);
      const vec<T> h_old = load_some(b.h_old[q] + at, k);
      store_some(b.h[q] + at, (T(1) - z) * n + z * h_old, k);
      if (b.saved) {
        store_far(b.saved[q] + at, n, k);
        store_far(b.saved[q] + 2 * b.H + at, z, k);
      }
    }
}

// Up to what the second product takes back.
template <class T>
void gru_before_state_backward(const BackwardBlock<T>& b) {
  for (int64_t q = 0; q < b.rows; ++q)
    for (int u = 0; u < b.units; u += lanes<T>) {
      const int k = b.units - u;
      const int64_t at = b.unit + u;
      const T* s = b.saved[q] + at;
      const vec<T> n = load_some(s, k), r = load_some(s + b.H, k);
      const vec<T> z = load_some(s + 2 * b.H, k);
      const vec<T> h_old = load_some(b.h_old[q] + at, k);
      const vec<T> dh = load(b.dh + q * b.row + u);
      T* d = b.dz[q] + at;
      store_some(d, dh * (T(1) - z) * (T(1) - n * n), k);
      store_some(d + 2 * b.H, dh * (h_old - n) * z * (T(1) - z), k);
      store_some(b.mid[q] + at, r * load_some(b.h_in[q] + at, k), k);
      store(b.dh + q * b.row + u, dh * z);
    }
}

// dh holds the gradient of m.
template <class T>
void gru_before_gates_backward(const BackwardBlock<T>& b) {
  for (int64_t q = 0; q < b.rows; ++q)
    for (int u = 0; u < b.units; u += lanes<T>) {
      const int k = b.units - u;
      const int64_t at = b.unit + u;
      const vec<T> r = load_some(b.saved[q] + b.H + at, k);
      const vec<T> dm = load(b.dh + q * b.row + u);
      store_some(b.dz[q] + b.H + at, dm * load_some(b.h_in[q] + at, k) * r * (T(1) - r), k);
      vec<T> direct = dm * r;
      if (b.mask) direct *= load_some(b.mask[q] + at, k);
      store(b.dh + q * b.row + u, direct);
    }
}

}  // namespace TT_ISA
