// One instruction set: the library links one object of this file for each.
#include "backward.h"
#include "forward.h"
#include "stream.h"

namespace TT_ISA {

namespace {

template <class T, template <class> class Run>
int run(const tt_problem& p) {
  thread_local Arena arena;
  CellRules<T> rules{};
  if (!rules_of<T>(p, rules)) return 1;
  try {
    const int team = available(threads_for<T>(p, rules.h_gates));
    if (!Run<T>(p, rules, team).run(arena)) Run<T>(p, rules, 1).run(arena);
  } catch (const std::bad_alloc&) {
    return 2;
  }
  return 0;
}

}  // namespace

int forward(const tt_problem& p) {
  return p.bytes == 4 ? run<float, ForwardRun>(p) : run<double, ForwardRun>(p);
}

int backward(const tt_problem& p) {
  return p.bytes == 4 ? run<float, BackwardRun>(p) : run<double, BackwardRun>(p);
}

throughtime::StreamBase* stream(const tt_problem& p) {
  if (p.bytes == 4) return Stream<float>::make(p);
  return Stream<double>::make(p);
}

// The micro-kernel on rows and a panel that stay in the caches nearest to the cores.
double product_limit(int threads) {
  constexpr int64_t rows = 24, K = 128, columns = kPanelVectors * lanes<float>, times = 4000;
  together(threads, [&](int) {
    thread_local Arena arena;
    arena.reserve(4 * Arena::bytes_of<float>(std::max(rows, columns) * K));
    float* a = arena.take<float>(rows * K);
    float* b = arena.take<float>(K * columns);
    float* c = arena.take<float>(rows * columns);
    std::fill_n(a, rows * K, 0.5f);
    std::fill_n(b, K * columns, 0.25f);
    const float* row[rows];
    for (int64_t r = 0; r < rows; ++r) row[r] = a + r * K;
    for (int64_t i = 0; i < times; ++i)
      panel_product<float>(row, rows, 1, K, nullptr, b, kPanelVectors, c, columns);
  });
  return 2.0 * double(rows * K * columns * times) * threads;
}

}  // namespace TT_ISA
