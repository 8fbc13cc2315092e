// The matrix product: one register-tiled micro-kernel for everything.
//
// C (rows x columns) = A B, with A read through one pointer per row and B packed into
// panels of up to four vectors: first a row of start values (the bias), then for every
// k the panel's columns next to each other. A panel stays in cache while all rows of A
// pass by.
#pragma once

#include <algorithm>
#include <cstdint>

#include "vec.h"

namespace TT_ISA {

// Registers for the tile of C; the rest hold a row of the panel and one number of A.
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int kAccumulators = 24;
#else
inline constexpr int kAccumulators = 12;
#endif
inline constexpr int kPanelVectors = 4;
inline constexpr int kLine = 64;  // bytes that the memory moves at once

constexpr int max_rows(int vectors) { return std::min(kAccumulators / vectors, 8); }

// c[r][v] (+)= start[v] + sum over k of a[r][at + k * step] * b[k][v]
template <class T, int R, int V>
void tile(const T* const* a, int64_t at, int64_t step, int64_t K, const T* start,
          const T* b, T* c, int64_t c_row, bool add, const char* soon) {
  vec<T> sum[R][V];
  const T* row[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    row[r] = a[r];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[r][v] = start ? load(start + v * lanes<T>) : vec<T>{};
  }
  for (int64_t k = 0; k < K; ++k, at += step, b += V * lanes<T>, soon += kLine) {
    __builtin_prefetch(soon);
    vec<T> w[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) w[v] = load(b + v * lanes<T>);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const vec<T> s = all<T>(row[r][at]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[r][v] += s * w[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      T* p = c + r * c_row + v * lanes<T>;
      store(p, add ? load(p) + sum[r][v] : sum[r][v]);
    }
}

template <class T>
using Tile = void (*)(const T* const*, int64_t, int64_t, int64_t, const T*, const T*, T*,
                      int64_t, bool, const char*);

template <class T, int R, int V>
constexpr Tile<T> tile_or_null() {
  if constexpr (R <= max_rows(V)) return tile<T, R, V>;
  return nullptr;
}

template <class T>
Tile<T> tile_for(int rows, int vectors) {
#define TT_ROW(V)                                                                       \
  {                                                                                     \
    nullptr, tile_or_null<T, 1, V>(), tile_or_null<T, 2, V>(), tile_or_null<T, 3, V>(), \
        tile_or_null<T, 4, V>(), tile_or_null<T, 5, V>(), tile_or_null<T, 6, V>(),      \
        tile_or_null<T, 7, V>(), tile_or_null<T, 8, V>()                                \
  }
  static constexpr Tile<T> table[kPanelVectors][9] = {TT_ROW(1), TT_ROW(2), TT_ROW(3),
                                                      TT_ROW(4)};
#undef TT_ROW
  return table[vectors - 1][rows];
}

// All rows of A against one panel, in tiles of nearly equal height. Meanwhile, line by
// line, the panel at `soon` comes into the cache: it is the one that is needed next. No
// running sum is longer than `terms`: short ones round less.
template <class T>
TT_INLINE void panel_product(const T* const* a, int64_t rows, int64_t step, int64_t K,
                             const T* start, const T* panel, int vectors, T* c,
                             int64_t c_row, bool add = false, const T* soon = nullptr,
                             int64_t terms = INT64_MAX) {
  const int64_t most_rows = max_rows(vectors);
  const int64_t tiles = (rows + most_rows - 1) / most_rows;
  const int64_t runs = K > terms ? (K + terms - 1) / terms : 1;
  const char* ahead = reinterpret_cast<const char*>(soon ? soon : panel);
  for (int64_t i = 0, r = 0; i < tiles; ++i) {
    const int64_t n = (rows - r) / (tiles - i);
    for (int64_t j = 0, k = 0; j < runs; ++j) {
      const int64_t length = (K - k) / (runs - j);
      tile_for<T>(int(n), vectors)(a + r, k * step, step, length, j ? nullptr : start,
                                   panel + k * vectors * lanes<T>, c + r * c_row, c_row,
                                   add || j, ahead);
      k += length;
      ahead += length * kLine;
    }
    r += n;
  }
}

// Rows for the side of A: block i holds, for every k, `height` neighbouring columns of
// row k: out[i][k][c] = rows[k][i * height + c].
template <class T>
void pack_columns(const T* const* rows, int64_t K, int64_t column, int64_t height, T* out) {
  for (int64_t k = 0; k < K; ++k)
    for (int64_t c = 0; c < height; ++c) out[k * height + c] = rows[k][column + c];
}

}  // namespace TT_ISA
