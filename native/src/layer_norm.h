// The LSTM with layer norm (Ba, Kiros and Hinton, 2016), phase by phase.
//
// A row's mean and deviation are known once every thread has gone over its units, so a
// step has three phases forward (products; gates and c; h) and three backward.
//
// Slots: a_x normalised (4), a_h normalised (4), c normalised, and of the row the rates
// 1 / deviation of a_x, a_h and c, and the mean of c. The gates are computed again from
// them: reading them back from memory would take longer. Gradients: of a_x (4), of a_h
// (4).
#pragma once

#include <algorithm>

#include "cells.h"

namespace TT_ISA {

// In `extra`: gains of a_x and a_h, the biases, then gain and bias of c; peephole weights
// come after them.
inline constexpr int kGainX = 0, kGainH = 4, kBias = 8, kGainC = 12, kBiasC = 13;
inline constexpr int kNormVectors = 14;
inline constexpr int kSavedX = 0, kSavedH = 4, kSavedC = 8, kRow = 9;

inline int norm_slots(int64_t H) { return kRow + int((4 + H - 1) / H); }

// Where all vectors of a block are full, nothing asks for each of them.
template <bool Full, class T>
TT_INLINE vec<T> load_of(const T* p, int n) {
  return Full ? load(p) : load_some(p, n);
}

template <bool Full, class T>
TT_INLINE void store_of(T* p, vec<T> v, int n) {
  Full ? store(p, v) : store_some(p, v, n);
}

template <bool Full, class T>
TT_INLINE void add_to(T* p, vec<T> v, int n) {
  store_of<Full>(p, load_of<Full>(p, n) + v, n);
}

// Pre-activation of a gate from its two normalised parts.
template <class T, bool Full>
TT_INLINE vec<T> norm_gate(const T* extra, int64_t H, int64_t at, int n, int gate,
                           vec<T> x_hat, vec<T> h_hat) {
  return x_hat * load_of<Full>(extra + (kGainX + gate) * H + at, n) +
         h_hat * load_of<Full>(extra + (kGainH + gate) * H + at, n) +
         load_of<Full>(extra + (kBias + gate) * H + at, n);
}

// Both parts together (Chan, Golub and LeVeque, 1983).
inline void join(Moments& all, const Moments& part) {
  if (part.count == 0) return;
  const double count = all.count + part.count, distance = part.mean - all.mean;
  all.mean += distance * part.count / count;
  all.squares += part.squares + distance * distance * all.count * part.count / count;
  all.count = count;
}

template <class T>
RowNorm<T> norm_of(const Moments& m) {
  return {T(m.mean), T(1 / __builtin_sqrt(m.squares / m.count + 1e-5))};
}

// Of all numbers that `each` hands out: it calls f(p, n) for up to a vector of n of them,
// and does so twice.
template <class T, class Each>
Moments moments_of(Each each) {
  vec<T> sum = {};
  int64_t count = 0;
  each([&](const T* p, int n) {
    sum += load_some(p, n);
    count += std::min(n, lanes<T>);
  });
  if (count == 0) return {0, 0, 0};
  const T mean = sum_of<T>(sum) / T(count);
  vec<T> squares = {};
  each([&](const T* p, int n) {
    const vec<T> d = n >= lanes<T> ? load(p) - mean : only<T>(load_some(p, n) - mean, n);
    squares += d * d;
  });
  return {double(count), double(mean), double(sum_of<T>(squares))};
}

template <class T, bool Peephole, bool Full>
void norm_gates_of(const ForwardBlock<T>& b) {
  const T* peephole = b.extra + kNormVectors * b.H;
  for (int64_t r = 0; r < b.rows; ++r) {
    const RowNorm<T> x = b.x_norm[r], h = b.h_norm[r];
    for (int u = 0; u < b.units; u += lanes<T>) {
      const int n = b.units - u;
      const int64_t at = b.unit + u;
      T* ah = b.ah + r * b.ah_row + u;
      vec<T> z[4];
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) {
        const vec<T> x_hat = (load(b.ax + r * b.ax_row + g * b.gate + u) - x.mean) * x.rate;
        const vec<T> h_hat = (load(ah + g * b.gate) - h.mean) * h.rate;
        z[g] = norm_gate<T, Full>(b.extra, b.H, at, n, g, x_hat, h_hat);
        if (b.saved) {
          store_far(b.saved[r] + (kSavedX + g) * b.H + at, x_hat, n);
          store_far(b.saved[r] + (kSavedH + g) * b.H + at, h_hat, n);
        }
      }
      const vec<T> c_old = load_of<Full>(b.c_old[r] + at, n);
      if constexpr (Peephole) {
        z[0] += load_of<Full>(peephole + at, n) * c_old;
        z[1] += load_of<Full>(peephole + b.H + at, n) * c_old;
      }
      const vec<T> i = sigmoid<T>(z[0]), f = sigmoid<T>(z[1]), g = tanh<T>(z[2]);
      const vec<T> c = f * c_old + i * g;
      if constexpr (Peephole) z[3] += load_of<Full>(peephole + 2 * b.H + at, n) * c;
      const vec<T> o = sigmoid<T>(z[3]);
      store_of<Full>(b.c[r] + at, c, n);
      store(ah + 3 * b.gate, o);  // for the next phase
    }
  }
}

template <class T, bool Peephole>
void norm_gates(const ForwardBlock<T>& b) {
  b.units % lanes<T> ? norm_gates_of<T, Peephole, false>(b)
                     : norm_gates_of<T, Peephole, true>(b);
}

template <class T, bool Full>
void norm_output_of(const ForwardBlock<T>& b) {
  for (int64_t r = 0; r < b.rows; ++r) {
    const RowNorm<T> norm = b.c_norm[r];
    for (int u = 0; u < b.units; u += lanes<T>) {
      const int n = b.units - u;
      const int64_t at = b.unit + u;
      const vec<T> c_hat = (load_of<Full>(b.c[r] + at, n) - norm.mean) * norm.rate;
      const vec<T> y = tanh<T>(c_hat * load_of<Full>(b.extra + kGainC * b.H + at, n) +
                               load_of<Full>(b.extra + kBiasC * b.H + at, n));
      store_of<Full>(b.h[r] + at, load(b.ah + r * b.ah_row + 3 * b.gate + u) * y, n);
      if (b.saved) store_far(b.saved[r] + kSavedC * b.H + at, c_hat, n);
    }
    if (b.saved && b.unit == 0) {
      T* row = b.saved[r] + kRow * b.H;
      row[0] = b.x_norm[r].rate, row[1] = b.h_norm[r].rate;
      row[2] = norm.rate, row[3] = norm.mean;
    }
  }
}

template <class T>
void norm_output(const ForwardBlock<T>& b) {
  b.units % lanes<T> ? norm_output_of<T, false>(b) : norm_output_of<T, true>(b);
}

// Of h: the gradient of o's pre-activation (slot 3), and that of c normalised (slot 0).
template <class T, bool Peephole, bool Full>
void norm_output_backward_of(const BackwardBlock<T>& b) {
  for (int64_t r = 0; r < b.rows; ++r) {
    const T* row = b.saved[r] + kRow * b.H;
    vec<T> sum = {}, product = {};
    for (int u = 0; u < b.units; u += lanes<T>) {
      const int n = b.units - u;
      const int64_t at = b.unit + u;
      const vec<T> gain = load_of<Full>(b.extra + kGainC * b.H + at, n);
      const T* s = b.saved[r] + at;
      const vec<T> c_hat = load_of<Full>(s + kSavedC * b.H, n);
      vec<T> z = norm_gate<T, Full>(b.extra, b.H, at, n, 3,
                                    load_of<Full>(s + (kSavedX + 3) * b.H, n),
                                    load_of<Full>(s + (kSavedH + 3) * b.H, n));
      if constexpr (Peephole)
        z += load_of<Full>(b.extra + (kNormVectors + 2) * b.H + at, n) *
             (c_hat / row[2] + row[3]);
      const vec<T> o = sigmoid<T>(z);
      const vec<T> y =
          tanh<T>(c_hat * gain + load_of<Full>(b.extra + kBiasC * b.H + at, n));
      const vec<T> dh = load(b.dh + r * b.row + u);
      const vec<T> d = dh * o * (T(1) - y * y), e = d * gain;
      add_to<Full>(b.grad_extra + kGainC * b.H + at, d * c_hat, n);
      add_to<Full>(b.grad_extra + kBiasC * b.H + at, d, n);
      sum += e;
      product += e * c_hat;
      store_of<Full>(b.dz[r] + at, e, n);
      store_of<Full>(b.dz[r] + 3 * b.H + at, dh * y * o * (T(1) - o), n);
      if (b.mid) store_of<Full>(b.mid[r] + at, o * y, n);
    }
    b.parts[r].c[0] += sum_of<T>(sum);
    b.parts[r].c[1] += sum_of<T>(product);
  }
}

template <class T, bool Peephole>
void norm_output_backward(const BackwardBlock<T>& b) {
  b.units % lanes<T> ? norm_output_backward_of<T, Peephole, false>(b)
                     : norm_output_backward_of<T, Peephole, true>(b);
}

template <class T, bool Peephole, bool Full>
void norm_gates_backward_of(const BackwardBlock<T>& b) {
  const T* peephole = b.extra + kNormVectors * b.H;
  for (int64_t r = 0; r < b.rows; ++r) {
    const T rate = b.saved[r][kRow * b.H + 2];
    const T mean = b.sums[r].c[0] / T(b.unit_count);
    const T slope = b.sums[r].c[1] / T(b.unit_count);
    vec<T> sum_x = {}, product_x = {}, sum_h = {}, product_h = {};
    for (int u = 0; u < b.units; u += lanes<T>) {
      const int n = b.units - u;
      const int64_t at = b.unit + u;
      const T* s = b.saved[r] + at;
      T* d = b.dz[r] + at;
      const vec<T> c_old = load_of<Full>(b.c_old[r] + at, n);
      const vec<T> d_o = load_of<Full>(d + 3 * b.H, n);
      vec<T> x_hat[4], h_hat[4], z[3];
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        x_hat[k] = load_of<Full>(s + (kSavedX + k) * b.H, n);
        h_hat[k] = load_of<Full>(s + (kSavedH + k) * b.H, n);
        if (k < 3) z[k] = norm_gate<T, Full>(b.extra, b.H, at, n, k, x_hat[k], h_hat[k]);
      }
      if constexpr (Peephole) {
        z[0] += load_of<Full>(peephole + at, n) * c_old;
        z[1] += load_of<Full>(peephole + b.H + at, n) * c_old;
      }
      const vec<T> i = sigmoid<T>(z[0]), f = sigmoid<T>(z[1]), g = tanh<T>(z[2]);
      vec<T> dc =
          load_of<Full>(b.dc[r] + at, n) +
          rate * (load_of<Full>(d, n) - mean - load_of<Full>(s + kSavedC * b.H, n) * slope);
      if constexpr (Peephole) dc += d_o * load_of<Full>(peephole + 2 * b.H + at, n);
      const vec<T> dz[4] = {dc * g * i * (T(1) - i), dc * c_old * f * (T(1) - f),
                            dc * i * (T(1) - g * g), d_o};
      vec<T> dc_old = dc * f;
      if constexpr (Peephole) {
        dc_old += dz[0] * load_of<Full>(peephole + at, n);
        dc_old += dz[1] * load_of<Full>(peephole + b.H + at, n);
        T* p = b.grad_extra + kNormVectors * b.H + at;
        add_to<Full>(p, dz[0] * c_old, n);
        add_to<Full>(p + b.H, dz[1] * c_old, n);
        add_to<Full>(p + 2 * b.H, d_o * (f * c_old + i * g), n);
      }
      store_of<Full>(b.dc[r] + at, dc_old, n);
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        const vec<T> e_x = dz[k] * load_of<Full>(b.extra + (kGainX + k) * b.H + at, n);
        const vec<T> e_h = dz[k] * load_of<Full>(b.extra + (kGainH + k) * b.H + at, n);
        add_to<Full>(b.grad_extra + (kGainX + k) * b.H + at, dz[k] * x_hat[k], n);
        add_to<Full>(b.grad_extra + (kGainH + k) * b.H + at, dz[k] * h_hat[k], n);
        add_to<Full>(b.grad_extra + (kBias + k) * b.H + at, dz[k], n);
        sum_x += e_x, product_x += e_x * x_hat[k];
        sum_h += e_h, product_h += e_h * h_hat[k];
        store_of<Full>(d + k * b.H, e_x, n);
        store_of<Full>(d + (4 + k) * b.H, e_h, n);
      }
    }
    RowSums<T>& parts = b.parts[r];
    parts.x[0] += sum_of<T>(sum_x), parts.x[1] += sum_of<T>(product_x);
    parts.h[0] += sum_of<T>(sum_h), parts.h[1] += sum_of<T>(product_h);
  }
}

template <class T, bool Peephole>
void norm_gates_backward(const BackwardBlock<T>& b) {
  b.units % lanes<T> ? norm_gates_backward_of<T, Peephole, false>(b)
                     : norm_gates_backward_of<T, Peephole, true>(b);
}

// Gradients of a_x and a_h from those of their normalised forms.
template <class T, bool Full>
void norm_inputs_backward_of(const BackwardBlock<T>& b) {
  const T count = T(4 * b.unit_count);
  for (int64_t r = 0; r < b.rows; ++r) {
    const T* rates = b.saved[r] + kRow * b.H;
    for (int side = 0; side < 2; ++side) {
      const T* sums = side ? b.sums[r].h : b.sums[r].x;
      const T mean = sums[0] / count, slope = sums[1] / count, rate = rates[side];
      const T* hats = b.saved[r] + (side ? kSavedH : kSavedX) * b.H + b.unit;
      T* d = b.dz[r] + side * 4 * b.H + b.unit;
      for (int k = 0; k < 4; ++k)
        for (int u = 0; u < b.units; u += lanes<T>) {
          const int64_t at = k * b.H + u;
          const int n = b.units - u;
          store_of<Full>(d + at,
                         rate * (load_of<Full>(d + at, n) - mean -
                                 load_of<Full>(hats + at, n) * slope),
                         n);
        }
    }
  }
}

template <class T>
void norm_inputs_backward(const BackwardBlock<T>& b) {
  b.units % lanes<T> ? norm_inputs_backward_of<T, false>(b)
                     : norm_inputs_backward_of<T, true>(b);
}

}  // namespace TT_ISA
