// Weights kept as bfloat16, the upper half of a float: half the traffic where it is what
// a step waits for. Everything else, sums above all, is float.
#pragma once

#include "gemm.h"

namespace TT_ISA {

struct Half {
  uint16_t bits;
};

// How a weight stands in a panel.
template <class W, class T>
TT_INLINE W kept_as(T x) {
  if constexpr (std::is_same_v<W, T>) {
    return x;
  } else {  // to the nearest, of two as near to the even one; a NaN stays one
    uint32_t u;
    std::memcpy(&u, &x, sizeof u);
    if (x != x) return {uint16_t(u >> 16 | 64)};
    return {uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16)};
  }
}

// panel[k][column] = weight[row_of(column)][k]; columns without a row (-1) are zero.
// There are whole vectors of columns.
template <class T, class W, class RowOf>
void pack_transposed(const T* weight, int64_t ld, int64_t K, int64_t columns, RowOf row_of,
                     W* panel) {
  if constexpr (std::is_same_v<W, T>) {
    constexpr int64_t n = lanes<T>;
    for (int64_t j = 0; j < columns; j += n) {
      const T* from[n];
      for (int64_t i = 0; i < n; ++i) {
        const int64_t row = row_of(j + i);
        from[i] = row < 0 ? nullptr : weight + row * ld;
      }
      for (int64_t k = 0; k < K; k += n) {
        const int64_t count = std::min(n, K - k);
        vec<T> v[n];
        for (int64_t i = 0; i < n; ++i)
          v[i] = from[i] ? load_some(from[i] + k, int(count)) : vec<T>{};
        transpose<T>(v);
        for (int64_t i = 0; i < count; ++i) store(panel + (k + i) * columns + j, v[i]);
      }
    }
    return;
  }
  // A block at a time, so that what is written stays in L1.
  constexpr int64_t block = 16;
  for (int64_t k0 = 0; k0 < K; k0 += block) {
    const int64_t k1 = std::min(K, k0 + block);
    for (int64_t j = 0; j < columns; ++j) {
      const int64_t row = row_of(j);
      if (row < 0) {
        for (int64_t k = k0; k < k1; ++k) panel[k * columns + j] = kept_as<W>(T(0));
      } else {
        const T* from = weight + row * ld;
        for (int64_t k = k0; k < k1; ++k) panel[k * columns + j] = kept_as<W>(from[k]);
      }
    }
  }
}

TT_INLINE vec<float> load(const Half* p) {
  typedef uint16_t halves __attribute__((vector_size(TT_BYTES / 2), aligned(2), may_alias));
  typedef uint32_t words __attribute__((vector_size(TT_BYTES)));
  return (vec<float>)(__builtin_convertvector(*reinterpret_cast<const halves*>(p), words)
                      << 16);
}

template <int R, int V>
void half_tile(const float* const* a, int64_t K, const Half* start, const Half* b, float* c,
               int64_t c_row) {
  vec<float> sum[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sum[r][v] = load(start + v * lanes<float>);
  for (int64_t k = 0; k < K; ++k, b += V * lanes<float>)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const vec<float> w = load(b + v * lanes<float>);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) sum[r][v] += all<float>(a[r][k]) * w;
    }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(c + r * c_row + v * lanes<float>, sum[r][v]);
}

template <int V>
void half_tiles(const float* const* a, int64_t rows, int64_t K, const Half* start,
                const Half* panel, float* c, int64_t c_row) {
  constexpr int most = std::min(4, max_rows(V));
  int64_t r = 0;
  for (; r + most <= rows; r += most)
    half_tile<most, V>(a + r, K, start, panel, c + r * c_row, c_row);
  for (; r < rows; ++r) half_tile<1, V>(a + r, K, start, panel, c + r * c_row, c_row);
}

// As for panels of floats, in steps of one; adds to nothing and fetches nothing ahead.
inline void panel_product(const float* const* a, int64_t rows, int64_t, int64_t K,
                          const Half* start, const Half* panel, int vectors, float* c,
                          int64_t c_row, bool, const Half*) {
  switch (vectors) {
    case 1:
      return half_tiles<1>(a, rows, K, start, panel, c, c_row);
    case 2:
      return half_tiles<2>(a, rows, K, start, panel, c, c_row);
    case 3:
      return half_tiles<3>(a, rows, K, start, panel, c, c_row);
    default:
      return half_tiles<4>(a, rows, K, start, panel, c, c_row);
  }
}

}  // namespace TT_ISA
