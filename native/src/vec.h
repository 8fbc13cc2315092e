// Vectors of one instruction set, and the functions of one number that the cells need.
//
// Written once with the vector types of gcc and clang; the build compiles it with other
// TT_BYTES and flags for each instruction set. Everything lives in a namespace named
// after the instruction set, so that no two versions can be mixed up when linking.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef TT_BYTES
#error "TT_BYTES, the size of a vector register, comes from the build"
#endif

#define TT_INLINE inline __attribute__((always_inline))

namespace TT_ISA {

template <class T>
struct Vec {
  typedef T type __attribute__((vector_size(TT_BYTES)));
  typedef T loose __attribute__((vector_size(TT_BYTES), aligned(sizeof(T)), may_alias));
  using Int = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  typedef Int ints __attribute__((vector_size(TT_BYTES)));
  static constexpr int lanes = TT_BYTES / sizeof(T);
};

template <class T>
using vec = typename Vec<T>::type;
template <class T>
inline constexpr int lanes = Vec<T>::lanes;

template <class T>
TT_INLINE vec<T> load(const T* p) {
  return *reinterpret_cast<const typename Vec<T>::loose*>(p);
}

template <class T>
TT_INLINE void store(T* p, vec<T> v) {
  *reinterpret_cast<typename Vec<T>::loose*>(p) = v;
}

// The first n lanes, the others 0; nothing beyond p[n - 1] is touched.
template <class T>
TT_INLINE vec<T> load_some(const T* p, int n) {
  if (n >= lanes<T>) return load(p);
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (vec<T>)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
  else
    return (vec<T>)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#else
  vec<T> v = {};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
#endif
}

template <class T>
TT_INLINE void store_some(T* p, vec<T> v, int n) {
  if (n >= lanes<T>) {
    store(p, v);
    return;
  }
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
  else
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
#else
  for (int i = 0; i < n; ++i) p[i] = v[i];
#endif
}

// Lanes of a and b in turns, from lane `First` on.
template <int First, class T, size_t... I>
TT_INLINE vec<T> in_turns(vec<T> a, vec<T> b, std::index_sequence<I...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, (First + int(I / 2) + (I % 2 ? lanes<T> : 0))...);
#else
  typedef typename Vec<T>::ints ints;
  return __builtin_shuffle(a, b, ints{(First + int(I / 2) + (I % 2 ? lanes<T> : 0))...});
#endif
}

// Lane i of v[j] and lane j of v[i] change places: as in a deck of cards that is
// shuffled perfectly until rows have become columns.
template <class T>
TT_INLINE void transpose(vec<T>* v) {
  constexpr int n = lanes<T>;
  constexpr auto every = std::make_index_sequence<size_t(n)>();
#pragma GCC unroll 4
  for (int round = 1; round < n; round *= 2) {
    vec<T> next[n];
#pragma GCC unroll 8
    for (int i = 0; i < n / 2; ++i) {
      next[2 * i] = in_turns<0, T>(v[i], v[i + n / 2], every);
      next[2 * i + 1] = in_turns<n / 2, T>(v[i], v[i + n / 2], every);
    }
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) v[i] = next[i];
  }
}

// Like store_some, past the caches where that is possible: for what is read much later.
template <class T>
TT_INLINE void store_far(T* p, vec<T> v, int n) {
#if defined(__AVX512F__)
  if (n >= lanes<T> && (reinterpret_cast<uintptr_t>(p) & (TT_BYTES - 1)) == 0) {
    if constexpr (sizeof(T) == 4)
      _mm512_stream_ps(p, (__m512)v);
    else
      _mm512_stream_pd(p, (__m512d)v);
    return;
  }
#endif
  store_some(p, v, n);
}

// Before another thread may read what store_far wrote.
TT_INLINE void settle_stores() {
#if defined(__AVX512F__)
  _mm_sfence();
#endif
}

// Keeps the compiler from merging a product with a sum that follows it, which rounds
// differently from one place to another.
template <class T>
TT_INLINE void settle_rounding(vec<T>& x) {
#if defined(__AVX512F__)
  asm("" : "+v"(x));
#elif defined(__SSE2__)
  asm("" : "+x"(x));
#elif defined(__aarch64__)
  asm("" : "+w"(x));
#else
  (void)x;
#endif
}

template <class T>
TT_INLINE vec<T> all(T x) {
  return x - vec<T>{};  // unlike 0 + x, which turns -0 into 0, this is only a broadcast
}

// The first n lanes, the others 0.
template <class T>
TT_INLINE vec<T> only(vec<T> v, int n) {
  if (n >= lanes<T>) return v;
  T all_lanes[lanes<T>];
  store(all_lanes, v);
  return load_some(all_lanes, n);
}

// Halves of a vector are added until four numbers or fewer are left.
template <class T, int Bytes>
TT_INLINE T sum_of_bytes(const void* numbers) {
  if constexpr (Bytes > 16) {
    typedef T half __attribute__((vector_size(Bytes / 2)));
    half low, high;
    std::memcpy(&low, numbers, sizeof(half));
    std::memcpy(&high, static_cast<const char*>(numbers) + sizeof(half), sizeof(half));
    low += high;
    return sum_of_bytes<T, Bytes / 2>(&low);
  } else {
    T last[Bytes / sizeof(T)], sum = 0;
    std::memcpy(last, numbers, Bytes);
    for (const T x : last) sum += x;
    return sum;
  }
}

template <class T>
TT_INLINE T sum_of(vec<T> v) {
  return sum_of_bytes<T, TT_BYTES>(&v);
}

template <class T>
TT_INLINE vec<T> least(vec<T> a, vec<T> b) {  // a where a is NaN
  return b < a ? b : a;
}

template <class T>
TT_INLINE vec<T> most(vec<T> a, vec<T> b) {  // a where a is NaN
  return b > a ? b : a;
}

template <class T>
TT_INLINE vec<T> magnitude(vec<T> a) {
  return a < 0 ? -a : a;
}

// e^x - 1 = s (e^r - 1) + (s - 1) with s = 2^n, |r| <= ln 2 / 2; e^r - 1 by its Taylor
// series, whose remainder is below half a unit of the last place. Gives s and e^r - 1.
template <class T>
TT_INLINE void exp_parts(vec<T> x, vec<T>& scale, vec<T>& p) {
  using I = typename Vec<T>::Int;
  constexpr bool single = sizeof(T) == 4;
  constexpr T log2e = T(1.44269504088896340736);
  constexpr T ln2_high = single ? T(0.693359375) : T(6.93147180369123816490e-01);
  constexpr T ln2_low = single ? T(-2.12194440e-4) : T(1.90821492927058770002e-10);
  // Adding and subtracting 1.5 * 2^(bits of the fraction) rounds to an integer.
  constexpr T magic = single ? T(12582912.0) : T(6755399441055744.0);
  x = least<T>(most<T>(x, all<T>(single ? T(-87) : T(-708))),
               all<T>(single ? T(88) : T(709)));
  const vec<T> n = (x * log2e + magic) - magic;
  const vec<T> r = (x - n * ln2_high) - n * ln2_low;
  if constexpr (single) {
    p = all<T>(T(1.0 / 5040));
    p = p * r + T(1.0 / 720);
    p = p * r + T(1.0 / 120);
    p = p * r + T(1.0 / 24);
    p = p * r + T(1.0 / 6);
    p = p * r + T(0.5);
    p = p * r * r + r;
  } else {
    p = all<T>(T(1.0 / 6227020800.0));
    p = p * r + T(1.0 / 479001600.0);
    p = p * r + T(1.0 / 39916800.0);
    p = p * r + T(1.0 / 3628800.0);
    p = p * r + T(1.0 / 362880.0);
    p = p * r + T(1.0 / 40320.0);
    p = p * r + T(1.0 / 5040.0);
    p = p * r + T(1.0 / 720.0);
    p = p * r + T(1.0 / 120.0);
    p = p * r + T(1.0 / 24.0);
    p = p * r + T(1.0 / 6.0);
    p = p * r + T(0.5);
    p = p * r * r + r;
  }
  constexpr I bias = single ? 127 : 1023;
  constexpr int shift = single ? 23 : 52;
  typename Vec<T>::ints bits = __builtin_convertvector(n, typename Vec<T>::ints);
  bits = (bits + bias) << shift;
  scale = (vec<T>)bits;
}

template <class T>
TT_INLINE vec<T> exp(vec<T> x) {
  vec<T> s, p;
  exp_parts<T>(x, s, p);
  return s * p + s;
}

template <class T>
TT_INLINE vec<T> expm1(vec<T> x) {
  vec<T> s, p;
  exp_parts<T>(x, s, p);
  return s * p + (s - T(1));
}

template <class T>
TT_INLINE vec<T> sigmoid(vec<T> x) {
  return T(1) / (T(1) + exp<T>(-x));
}

// E / (E + 2) with E = e^(2|x|) - 1; from |x| = 20 on it is 1.
template <class T>
TT_INLINE vec<T> tanh(vec<T> x) {
  const vec<T> e = expm1<T>(least<T>(T(2) * magnitude<T>(x), all<T>(T(40))));
  const vec<T> y = e / (e + T(2));
  return x < 0 ? -y : y;
}

// ln(1 + u) for u in [0, 1]: 2 artanh(u / (2 + u)), by its series.
template <class T>
TT_INLINE vec<T> log1p_unit(vec<T> u) {
  const vec<T> s = u / (T(2) + u);
  const vec<T> q = s * s;
  constexpr int terms = sizeof(T) == 4 ? 8 : 17;
  vec<T> p = all<T>(T(1) / T(2 * terms + 1));
#pragma GCC unroll 17
  for (int k = terms - 1; k >= 0; --k) p = p * q + T(1) / T(2 * k + 1);
  return T(2) * s * p;
}

// Chebyshev coefficients of ln(e^(a a) erfc(a) / t) in 2 t - 1, t = 2 / (2 + a), a >= 0:
// the substitution of Numerical Recipes, chapter 6.2; the numbers were computed with 50
// digits. 12 of them are exact to 1.3e-8, all to 3e-18.
inline constexpr double kErfc[] = {
    -1.30265371978170941,     6.41969792356490210e-1,   1.94764732041858360e-2,
    -9.56151478680863226e-3,  -9.46595344482036916e-4,  3.66839497852761447e-4,
    4.25233248069077689e-5,   -2.02785781125342418e-5,  -1.62429000464702561e-6,
    1.30365583558052324e-6,   1.56264417220661419e-8,   -8.52380959149265415e-8,
    6.52905443909885149e-9,   5.05934349555146930e-9,   -9.91364156493033066e-10,
    -2.27365122293183597e-10, 9.64679110201552702e-11,  2.39403808303911459e-12,
    -6.88602752649755322e-12, 8.94487927309072531e-13,  3.13092139934295813e-13,
    -1.12708223613672523e-13, 3.81090525518923205e-16,  7.10609761360923712e-15,
    -1.52302820145710434e-15, -9.45749457129123340e-17, 1.21023718922427899e-16,
    -2.81666308774717710e-17,
};

// The normal distribution function, erfc(-x / sqrt 2) / 2.
template <class T>
TT_INLINE vec<T> normal_cdf(vec<T> x) {
  constexpr int terms = sizeof(T) == 4 ? 12 : 28;
  const vec<T> a = magnitude<T>(x) * T(0.70710678118654752440);
  const vec<T> t = T(2) / (T(2) + a);
  const vec<T> y = T(2) * (T(2) * t - T(1));
  vec<T> d = {}, e = {};
#pragma GCC unroll 28
  for (int k = terms - 1; k > 0; --k) {  // Clenshaw's recurrence
    const vec<T> last = d;
    d = y * d - e + T(kErfc[k]);
    e = last;
  }
  const vec<T> log = T(0.5) * (y * d + T(kErfc[0])) - e;
  const vec<T> tail = T(0.5) * t * exp<T>(log - a * a);
  return x < 0 ? tail : T(1) - tail;
}

}  // namespace TT_ISA
