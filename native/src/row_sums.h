// Sums over rows: each thread adds up its own units, then all know the whole.
#pragma once

#include "machine.h"
#include "team.h"

namespace TT_ISA {

// Of a part of a row: mean and sum of squared distances from it; or, of pairs, the sums
// of the values and of value times other.
struct Part {
  double count, first, second;
};

// Parts joined: the formula of Chan, Golub and LeVeque (1983) for two means.
inline void join(Part& all, const Part& part, bool pairs) {
  if (part.count == 0) return;
  const double count = all.count + part.count;
  if (pairs) {
    all.first += part.first;
    all.second += part.second;
  } else {
    const double distance = part.first - all.first;
    all.first += distance * part.count / count;
    all.second += part.second + distance * distance * all.count * part.count / count;
  }
  all.count = count;
}

template <class T>
RowNorm<T> norm_of(const Part& m, double eps, bool pairs) {
  if (pairs) return {T(m.first / m.count), T(m.second / m.count)};
  return {T(m.first), T(1 / __builtin_sqrt(m.second / m.count + eps))};
}

// Calls f(row, value, other) with every vector of one block; lanes without a unit are 0.
template <class T, class F>
TT_INLINE void visit(const Scene<T>& s, const tt_norm& norm, const T* shifts, F f) {
  for (int k = 0; k < norm.count; ++k) {
    const int kind = norm.values[k] >> 10;
    const int other = norm.pairs ? norm.others[k] >> 10 : kind;
    const T* a = s.base[kind] + (norm.values[k] & 1023) * s.index[kind];
    const T* b = norm.pairs ? s.base[other] + (norm.others[k] & 1023) * s.index[other] : a;
    for (int v = 0; v < s.vectors; ++v) {
      const int n = s.units - v * lanes<T>;
      const int64_t at = v * lanes<T>;
      for (int64_t r = 0; r < s.rows; ++r) {
        const vec<T> x = load(a + r * s.row[kind] + at) - (shifts ? shifts[r] : T(0));
        const vec<T> y = load(b + r * s.row[other] + at);
        f(r, only<T>(x, n), y);
      }
    }
  }
}

// The part of each row that some blocks hold: `each` calls its argument with the scene of
// every block of a thread. `work`: two vectors and a number per row.
template <class T, class Each>
void sum_rows(const tt_norm& norm, int64_t rows, Each each, T* work, Part* found) {
  T* const sums = work;
  T* const more = work + rows * lanes<T>;
  T* const means = more + rows * lanes<T>;
  std::fill_n(work, 2 * rows * lanes<T>, T(0));
  double count = 0;
  each([&](const Scene<T>& s) {
    count += double(s.units) * norm.count;
    visit(s, norm, static_cast<const T*>(nullptr), [&](int64_t r, vec<T> x, vec<T> y) {
      store(sums + r * lanes<T>, load(sums + r * lanes<T>) + x);
      if (norm.pairs) {  // y may be anything where there is no unit
        const vec<T> product = x != 0 ? x * y : vec<T>{};
        store(more + r * lanes<T>, load(more + r * lanes<T>) + product);
      }
    });
  });
  for (int64_t r = 0; r < rows; ++r) {
    const T sum = sum_of<T>(load(sums + r * lanes<T>));
    means[r] = count ? sum / T(count) : T(0);
    found[r] = {count, norm.pairs ? double(sum) : double(means[r]), 0};
  }
  if (!norm.pairs)
    each([&](const Scene<T>& s) {
      visit(s, norm, means, [&](int64_t r, vec<T> x, vec<T>) {
        store(more + r * lanes<T>, load(more + r * lanes<T>) + x * x);
      });
    });
  for (int64_t r = 0; r < rows; ++r)
    found[r].second = double(sum_of<T>(load(more + r * lanes<T>)));
}

// What all threads of a company found, `stride` apart, once they have met.
template <class T>
void put_together(const tt_norm& norm, const Part* all, int64_t stride, int64_t rows,
                  int company, RowNorm<T>* norms) {
  for (int64_t r = 0; r < rows; ++r) {
    Part sum = all[r];
    for (int i = 1; i < company; ++i) join(sum, all[i * stride + r], norm.pairs);
    norms[r] = norm_of<T>(sum, norm.eps, norm.pairs);
  }
}

}  // namespace TT_ISA
