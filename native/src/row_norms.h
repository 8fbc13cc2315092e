// From the products of all threads to the mean and deviation of every row.
#pragma once

#include "layer_norm.h"
#include "plan.h"
#include "team.h"

namespace TT_ISA {

// What each thread knows of every row, and what they all know then.
template <class T>
struct ForwardNorms {
  Moments *x, *h, *c;  // [thread][row], shared
  RowNorm<T>*x_norm, *h_norm, *c_norm;
};

// Of the units that a thread runs, for rows of products laid out block by block, with
// `height` rows each.
template <class T>
void product_moments(const Plan<T>& plan, const Blocks<T>& units, int thread, const T* a,
                     int64_t rows, int64_t height, int gates, Moments* found) {
  const int64_t begin = plan.share(units, thread).begin * lanes<T>;
  for (int64_t r = 0; r < rows; ++r)
    found[r] = moments_of<T>([&](auto visit) {
      plan.runs(units, thread, 0, [&](const UnitBlock& b) {
        const int64_t gate = b.vectors * lanes<T>;
        const T* row = a + (height * (b.before - begin) + r * gate) * gates;
        for (int g = 0; g < gates; ++g)
          for (int u = 0; u < b.units; u += lanes<T>)
            visit(row + g * gate + u, b.units - u);
      });
    });
}

// The same for rows of the state, (rows, H).
template <class T>
void state_moments(const Plan<T>& plan, const Blocks<T>& units, int thread,
                   const T* const* state, int64_t rows, Moments* found) {
  const Share share = plan.share(units, thread);
  const int64_t end = std::min(units.units, share.end * lanes<T>);
  for (int64_t r = 0; r < rows; ++r)
    found[r] = moments_of<T>([&](auto visit) {
      for (int64_t u = share.begin * lanes<T>; u < end; u += lanes<T>)
        visit(state[r] + u, int(end - u));
    });
}

// What all threads of a company found, `stride` apart, once they have met.
template <class T>
void put_together(const Moments* all, int64_t stride, int64_t rows, int company,
                  RowNorm<T>* norms) {
  meet(company);
  for (int64_t r = 0; r < rows; ++r) {
    Moments sum = all[r];
    for (int i = 1; i < company; ++i) join(sum, all[i * stride + r]);
    norms[r] = norm_of<T>(sum);
  }
}

}  // namespace TT_ISA
