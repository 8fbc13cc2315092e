// One instruction set: the library links one object of this file for each.
#include "backward.h"
#include "forward.h"

namespace TT_ISA {

namespace {

template <class T, template <class> class Run>
int run(const tt_problem& p) {
  thread_local Arena arena;
  CellRules<T> rules{};
  if (!rules_of<T>(p, rules)) return 1;
  try {
    Run<T>(p, rules).run(arena);
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

}  // namespace TT_ISA
