// Numbers that carry their derivative along one direction of one input, which gives exact
// gradients without a second, backward implementation.
#pragma once

#include <cmath>

namespace reference {

struct Dual {
  double v = 0, d = 0;  // value, derivative
};

inline Dual operator+(Dual a, Dual b) { return {a.v + b.v, a.d + b.d}; }
inline Dual operator-(Dual a, Dual b) { return {a.v - b.v, a.d - b.d}; }
inline Dual operator*(Dual a, Dual b) { return {a.v * b.v, a.d * b.v + a.v * b.d}; }
inline Dual operator*(double a, Dual b) { return {a * b.v, a * b.d}; }
inline Dual operator/(Dual a, Dual b) { return {a.v / b.v, (a.d - a.v / b.v * b.d) / b.v}; }

// 1 / sqrt(z)
inline Dual inverse_root(Dual z) {
  const double y = 1 / std::sqrt(z.v);
  return {y, -0.5 * y * y * y * z.d};
}

inline Dual exp(Dual z) { return {std::exp(z.v), std::exp(z.v) * z.d}; }

inline Dual sigmoid(Dual z) {
  const double y = 1 / (1 + std::exp(-z.v));
  return {y, y * (1 - y) * z.d};
}

inline Dual tanh(Dual z) {
  const double y = std::tanh(z.v);
  return {y, (1 - y * y) * z.d};
}

inline Dual softplus(Dual z) {
  const double y = std::fmax(z.v, 0) + std::log1p(std::exp(-std::fabs(z.v)));
  return {y, sigmoid(z).v * z.d};
}

inline Dual gelu(Dual z) {
  const double cdf = std::erfc(-z.v / std::sqrt(2.0)) / 2;
  const double density = std::exp(-z.v * z.v / 2) / std::sqrt(2 * std::acos(-1.0));
  return {z.v * cdf, (cdf + z.v * density) * z.d};
}

}  // namespace reference
