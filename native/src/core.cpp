// One instruction set: the library links one object of this file for each.
#include "backward.h"
#include "forward.h"
#include "output.h"
#include "stream.h"

namespace TT_ISA {

using Run = int (*)(const tt_problem&);

namespace {

// Threads that pay off for a problem alone.
template <class T>
int team_of(const tt_problem& p) {
  return threads_for<T>(p, p.program->h_gates);
}

// Whether one of two threads for each of two such problems beats both for one after the
// other: measured, where two are all that it would take, and unless it is over before the
// second thread has woken up.
bool side_by_side(const tt_problem& p) {
  constexpr int64_t short_work = 500000;
  if (p.threads < 2 || p.T * p.B * p.H * (p.H + p.I) < short_work) return false;
  return (p.bytes == 4 ? team_of<float>(p) : team_of<double>(p)) <= 2;
}

template <class T, template <class> class Loops>
int run(const tt_problem& p) {
  thread_local Arena arena;
  try {
    const int team = available(team_of<T>(p));
    if (!Loops<T>(p, team).run(arena)) Loops<T>(p, 1).run(arena);
  } catch (const std::bad_alloc&) {
    return 2;
  }
  return 0;
}

template <class T>
int run_output(const tt_output_problem& p) {
  thread_local Arena arena;
  // Below some work, waiting for each other costs more.
  const int64_t worth = std::max<int64_t>(1, p.N * p.H * p.V / 200000);
  const int64_t wanted = std::min<int64_t>({int64_t(p.threads), worth, p.V});
  try {
    if (!OutputRun<T>(p, available(int(wanted))).run(arena)) OutputRun<T>(p, 1).run(arena);
  } catch (const std::bad_alloc&) {
    return 2;
  }
  return 0;
}

}  // namespace

template <class T>
using Plain = ForwardRun<T, T>;

int forward(const tt_problem& p) {
  return p.bytes == 4 ? run<float, Plain>(p) : run<double, Plain>(p);
}

int backward(const tt_problem& p) {
  return p.bytes == 4 ? run<float, BackwardRun>(p) : run<double, BackwardRun>(p);
}

// Two problems that do not depend on each other, such as the directions of a layer. Side
// by side, on one thread each, their threads never wait for each other.
int both(const tt_problem* p, Run run) {
  int status[2] = {0, 0};
  const auto one = [&](int i) { status[i] = run(p[i]); };
  const bool split = available(2) == 2 && side_by_side(p[0]) && side_by_side(p[1]);
  if (!split || !together(2, one)) one(0), one(1);
  return status[0] ? status[0] : status[1];
}

int output(const tt_output_problem& p) {
  return p.bytes == 4 ? run_output<float>(p) : run_output<double>(p);
}

throughtime::StreamBase* stream(const tt_problem& p) {
  if (p.half) return p.bytes == 4 ? Stream<float, Half>::make(p) : nullptr;
  if (p.bytes == 4) return Stream<float, float>::make(p);
  return Stream<double, double>::make(p);
}

// The micro-kernel on rows and a panel that stay in the caches nearest to the cores.
double product_limit(int threads) {
  constexpr int64_t rows = 24, K = 128, columns = kPanelVectors * lanes<float>,
                    times = 4000;
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
