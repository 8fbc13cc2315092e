// Threads: those of the OpenMP runtime that is already in the process (torch's). A pool
// of our own beside it would fight with it for the cores.
#pragma once

#include <cstdint>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace TT_ISA {

// While one of these lives, its thread takes numbers next to zero (below 1e-38 as float)
// for zero: gradients that vanish end there, and each such number would cost 100 cycles.
class FlushToZero {
 public:
#if defined(__SSE2__)
  FlushToZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~FlushToZero() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#elif defined(__aarch64__)
  FlushToZero() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" : : "r"(before_ | (uint64_t(1) << 24)));
  }
  ~FlushToZero() { asm volatile("msr fpcr, %0" : : "r"(before_)); }

 private:
  uint64_t before_;
#else
  FlushToZero() {}
#endif
};

// work(thread) on exactly `threads` threads. False, with nothing done, where the runtime
// gives fewer (a limit on threads was set): the caller then plans for one.
template <class Work>
bool together(int threads, Work&& work) {
  if (threads == 1) {
    const FlushToZero flush;
    work(0);
    return true;
  }
  bool complete = false;
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
  {
    if (omp_get_num_threads() == threads) {
      const FlushToZero flush;
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
