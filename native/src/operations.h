// What the operations of a program compute, number by number.
#pragma once

#include <cmath>

#include "throughtime.h"
#include "vec.h"

namespace TT_ISA {

// Operations up to this one are functions of their arguments alone.
inline constexpr int kFunctions = TT_TANH_SUM + 1;
inline constexpr int kOperations = TT_NORM_GRADIENT + 1;

constexpr int arguments_of(int code) {
  if (code <= TT_FLOOR) return 1;
  return code == TT_WHERE || code == TT_FMA || code == TT_FNMA ? 3 : 2;
}

template <class T, class Function>
TT_INLINE vec<T> lane_by_lane(vec<T> x, Function f) {
  for (int i = 0; i < lanes<T>; ++i) x[i] = f(x[i]);
  return x;
}

template <class T, int Code>
TT_INLINE vec<T> apply(vec<T> a, vec<T> b, vec<T> c) {
  using V = vec<T>;
  const V yes = all<T>(1), no{};
  if constexpr (Code == TT_COPY) return a;
  if constexpr (Code == TT_NEG) return -a;
  if constexpr (Code == TT_EXP) return exp<T>(a);
  if constexpr (Code == TT_EXPM1) return expm1<T>(a);
  if constexpr (Code == TT_LOG) return lane_by_lane<T>(a, [](T x) { return std::log(x); });
  if constexpr (Code == TT_LOG1P)
    return lane_by_lane<T>(a, [](T x) { return std::log1p(x); });
  if constexpr (Code == TT_TANH) return tanh<T>(a);
  if constexpr (Code == TT_SIGMOID) return sigmoid<T>(a);
  if constexpr (Code == TT_RELU) return a > 0 ? a : (a != a ? a : no);
  if constexpr (Code == TT_SOFTPLUS)
    return most<T>(a, no) + log1p_unit<T>(exp<T>(-magnitude<T>(a)));
  if constexpr (Code == TT_ABS) return magnitude<T>(a);
  if constexpr (Code == TT_SQRT)
    return lane_by_lane<T>(a, [](T x) { return std::sqrt(x); });
  if constexpr (Code == TT_SIN) return lane_by_lane<T>(a, [](T x) { return std::sin(x); });
  if constexpr (Code == TT_COS) return lane_by_lane<T>(a, [](T x) { return std::cos(x); });
  if constexpr (Code == TT_NORMAL_CDF) return normal_cdf<T>(a);
  if constexpr (Code == TT_SIGN) return a > 0 ? yes : (a < 0 ? -yes : no);
  if constexpr (Code == TT_FLOOR)
    return lane_by_lane<T>(a, [](T x) { return std::floor(x); });
  if constexpr (Code == TT_ADD) return a + b;
  if constexpr (Code == TT_SUB) return a - b;
  if constexpr (Code == TT_MUL) return a * b;
  if constexpr (Code == TT_DIV) return a / b;
  // NaN where either is.
  if constexpr (Code == TT_MAX) return b > a ? b : (b != b ? b : a);
  if constexpr (Code == TT_MIN) return b < a ? b : (b != b ? b : a);
  if constexpr (Code == TT_GT) return a > b ? yes : no;
  if constexpr (Code == TT_GE) return a >= b ? yes : no;
  if constexpr (Code == TT_EQ) return a == b ? yes : no;
  if constexpr (Code == TT_POW) {
    for (int i = 0; i < lanes<T>; ++i) a[i] = std::pow(a[i], b[i]);
    return a;
  }
  if constexpr (Code == TT_WHERE) return a != 0 ? b : c;
  if constexpr (Code == TT_SIGMOID_SLOPE) return a * b * (yes - b);
  if constexpr (Code == TT_TANH_SLOPE) return a * (yes - b * b);
  if constexpr (Code == TT_FMA) return a * b + c;
  if constexpr (Code == TT_FNMA) return c - a * b;
  if constexpr (Code == TT_SIGMOID_SUM) return sigmoid<T>(a + b);
  if constexpr (Code == TT_TANH_SUM) return tanh<T>(a + b);
}

}  // namespace TT_ISA
