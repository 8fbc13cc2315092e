// Threads: those of the OpenMP runtime that is already in the process (torch's). A pool
// of our own beside it would fight with it for the cores.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

namespace TT_ISA {

// work(thread) on exactly `threads` threads. False, with nothing done, where the runtime
// gives fewer (a limit on threads was set): the caller then plans for one.
template <class Work>
bool together(int threads, Work&& work) {
  if (threads == 1) {
    work(0);
    return true;
  }
  bool complete = false;
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
  {
    if (omp_get_num_threads() == threads) {
      if (omp_get_thread_num() == 0) complete = true;
      work(omp_get_thread_num());
    }
  }
#endif
  return complete;
}

// One thread where this is called from inside a parallel region.
inline int available(int wanted) {
#ifdef _OPENMP
  return omp_in_parallel() ? 1 : wanted;
#else
  return 1;
#endif
}

inline void meet(int threads) {
  if (threads == 1) return;
#ifdef _OPENMP
#pragma omp barrier
#endif
}

}  // namespace TT_ISA
