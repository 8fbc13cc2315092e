// The equations of all cells and of the time loop, one number at a time: the truth that
// the core's test compares with. Numbers carry their derivative along one direction of
// one input, which gives exact gradients without a second, backward implementation.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "../src/throughtime.h"

namespace reference {

struct Dual {
  double v = 0, d = 0;  // value, derivative
};

inline Dual operator+(Dual a, Dual b) { return {a.v + b.v, a.d + b.d}; }
inline Dual operator-(Dual a, Dual b) { return {a.v - b.v, a.d - b.d}; }
inline Dual operator*(Dual a, Dual b) { return {a.v * b.v, a.d * b.v + a.v * b.d}; }
inline Dual operator*(double a, Dual b) { return {a * b.v, a * b.d}; }

// 1 / sqrt(z)
inline Dual inverse_root(Dual z) {
  const double y = 1 / std::sqrt(z.v);
  return {y, -0.5 * y * y * y * z.d};
}

inline Dual sigmoid(Dual z) {
  const double y = 1 / (1 + std::exp(-z.v));
  return {y, y * (1 - y) * z.d};
}

inline Dual tanh(Dual z) {
  const double y = std::tanh(z.v);
  return {y, (1 - y * y) * z.d};
}

inline Dual activation(int which, Dual z, Dual alpha) {
  switch (which) {
    case TT_SIGMOID:
      return sigmoid(z);
    case TT_TANH:
      return tanh(z);
    case TT_RELU:
      return z.v > 0 ? z : Dual{};
    case TT_GELU: {
      const double cdf = std::erfc(-z.v / std::sqrt(2.0)) / 2;
      const double density = std::exp(-z.v * z.v / 2) / std::sqrt(2 * std::acos(-1.0));
      return {z.v * cdf, (cdf + z.v * density) * z.d};
    }
    case TT_SOFTPLUS:
      return {std::log1p(std::exp(z.v)), sigmoid(z).v * z.d};
    case TT_ELU:
      return z.v > 0 ? z : Dual{alpha.v * std::expm1(z.v), alpha.v * std::exp(z.v) * z.d};
    case TT_LEAKY_RELU:
      return z.v > 0 ? z : alpha * z;
  }
  return z;
}

// Everything that has a gradient.
enum Name {
  X,
  WEIGHT_IH,
  WEIGHT_HH,
  BIAS_IH,
  BIAS_HH,
  WEIGHT_HR,
  EXTRA,
  STATE_H,
  STATE_C,
  INITIAL_H,
  INITIAL_C,
  ADDED_H,
  ADDED_C,
  NAMES
};

using Numbers = std::vector<double>;

// One problem; what is empty is absent. Grids are (T, B, features).
struct Case {
  int cell = 0, activation = 0;
  bool reverse = false, peephole = false;
  int64_t T = 0, B = 0, I = 0, H = 0, P = 0;
  double leak = 1, alpha = 0, share[2] = {};
  Numbers input[NAMES];
  std::vector<int64_t> lengths;
  std::vector<uint8_t> reset, hold[2];
  Numbers mask, carry_gain;

  bool norm() const { return cell == TT_LSTM_LAYER_NORM; }
  bool has_c() const { return cell == TT_LSTM || norm(); }
  int64_t gates() const { return has_c() ? 4 : cell == TT_ELMAN ? 1 : 3; }
  int64_t width(int field) const { return field ? H : P; }
  int64_t length(int64_t b) const { return lengths.empty() ? T : lengths[size_t(b)]; }
};

struct Result {
  std::vector<Dual> states[2], final[2];
};

// All steps of all sequences. `moving` moves along `direction`, everything else stays.
class Loop {
 public:
  Loop(const Case& problem, int moving, const Numbers& direction)
      : c(problem), moving(moving), direction(direction) {}

  Result run() const {
    Result result;
    for (int f = 0; f <= int(c.has_c()); ++f) {
      result.states[f].resize(size_t(c.T * c.B * c.width(f)));
      result.final[f].resize(size_t(c.B * c.width(f)));
    }
    for (int64_t b = 0; b < c.B; ++b) sequence(b, result);
    return result;
  }

 private:
  using Units = std::vector<Dual>;
  const Case& c;
  const int moving;
  const Numbers& direction;

  Dual in(int name, int64_t i) const {
    if (c.input[name].empty()) return {};
    return {c.input[name][size_t(i)], name == moving ? direction[size_t(i)] : 0.0};
  }

  void sequence(int64_t b, Result& result) const {
    Units state[2];
    const int fields = 1 + int(c.has_c());
    for (int f = 0; f < fields; ++f)
      for (int64_t u = 0; u < c.width(f); ++u)
        state[f].push_back(in(STATE_H + f, b * c.width(f) + u));
    const int64_t n = c.length(b);
    const auto write = [&](std::vector<Dual>* to, int64_t row) {
      for (int f = 0; f < fields; ++f)
        std::copy(state[f].begin(), state[f].end(), to[f].begin() + row * c.width(f));
    };
    for (int64_t s = 0; s < n; ++s) {
      const int64_t t = c.reverse ? n - 1 - s : s;
      step(t, b, state);
      write(result.states, t * c.B + b);
    }
    write(result.final, b);
  }

  void step(int64_t t, int64_t b, Units* state) const {
    const int64_t grid = t * c.B + b;
    Units old[2] = {state[0], state[1]};
    for (int f = 0; f < 2; ++f)
      for (size_t u = 0; u < old[f].size(); ++u) {
        if (!c.reset.empty() && c.reset[size_t(grid)])
          old[f][u] = in(INITIAL_H + f, b * c.width(f) + int64_t(u));
        // The gain acts on gradients only: here, on derivatives.
        if (!c.carry_gain.empty()) old[f][u].d *= c.carry_gain[size_t(grid)];
      }
    cell(grid, b, old, state);
    for (int f = 0; f < 2; ++f)
      for (size_t u = 0; u < old[f].size(); ++u) {
        const int64_t at = grid * c.width(f) + int64_t(u);
        Dual& now = state[f][u];
        if (!c.hold[f].empty() && c.hold[f][size_t(at)]) now = old[f][u];
        now = c.share[f] * old[f][u] + (1 - c.share[f]) * now + in(ADDED_H + f, at);
      }
  }

  // bias + W v, row by row, for rows [first, last).
  Units linear(int weight, int bias, const Units& v, int64_t first, int64_t last) const {
    Units out;
    for (int64_t row = first; row < last; ++row) {
      Dual sum = bias == NAMES ? Dual{} : in(bias, row);
      for (size_t k = 0; k < v.size(); ++k)
        sum = sum + v[k] * in(weight, row * int64_t(v.size()) + int64_t(k));
      out.push_back(sum);
    }
    return out;
  }

  // (v - mean) / sqrt(variance + 1e-5) times the gains, which start at `gain` in extra.
  Units normalised(const Units& v, int64_t gain) const {
    const double share = 1 / double(v.size());
    Dual mean, variance;
    for (const Dual& x : v) mean = mean + share * x;
    for (const Dual& x : v) variance = variance + share * ((x - mean) * (x - mean));
    const Dual scale = inverse_root(variance + Dual{1e-5, 0});
    Units out;
    for (size_t i = 0; i < v.size(); ++i)
      out.push_back((v[i] - mean) * scale * in(EXTRA, gain + int64_t(i)));
    return out;
  }

  void cell(int64_t grid, int64_t b, const Units* old, Units* now) const {
    const int64_t H = c.H, rows = c.gates() * H;
    Units x, h = old[0];  // as they enter the products
    for (int64_t i = 0; i < c.I; ++i) x.push_back(in(X, grid * c.I + i));
    if (!c.mask.empty())
      for (int64_t u = 0; u < c.P; ++u)
        h[size_t(u)] = c.mask[size_t(b * c.P + u)] * h[size_t(u)];
    Units ax = linear(WEIGHT_IH, BIAS_IH, x, 0, rows);
    Units ah = linear(WEIGHT_HH, BIAS_HH, h, 0, rows);
    if (c.norm()) {
      ax = normalised(ax, 0), ah = normalised(ah, 4 * H);
      for (int64_t i = 0; i < 4 * H; ++i)
        ax[size_t(i)] = ax[size_t(i)] + in(EXTRA, 8 * H + i);
    }
    if (c.has_c())
      lstm(ax, ah, old, now);
    else if (c.cell == TT_ELMAN)
      elman(ax, ah, old[0], now[0]);
    else
      gru(ax, ah, h, old[0], now[0]);
  }

  void elman(const Units& ax, const Units& ah, const Units& old, Units& now) const {
    const Dual alpha = c.input[EXTRA].empty() ? Dual{c.alpha, 0} : in(EXTRA, 0);
    for (size_t u = 0; u < now.size(); ++u)
      now[u] =
          (1 - c.leak) * old[u] + c.leak * activation(c.activation, ax[u] + ah[u], alpha);
  }

  void gru(const Units& ax, const Units& ah, const Units& h, const Units& old,
           Units& now) const {
    const size_t H = size_t(c.H);
    Units r, kept = h, inner;
    for (size_t u = 0; u < H; ++u) r.push_back(sigmoid(ax[u] + ah[u]));
    if (c.cell == TT_GRU_RESET_BEFORE) {
      for (size_t u = 0; u < H; ++u) kept[u] = r[u] * h[u];
      inner = linear(WEIGHT_HH, BIAS_HH, kept, 2 * c.H, 3 * c.H);
    } else {
      for (size_t u = 0; u < H; ++u) inner.push_back(r[u] * ah[2 * H + u]);
    }
    for (size_t u = 0; u < H; ++u) {
      const Dual z = sigmoid(ax[H + u] + ah[H + u]), n = tanh(ax[2 * H + u] + inner[u]);
      now[u] = n - z * n + z * old[u];
    }
  }

  void lstm(const Units& ax, const Units& ah, const Units* old, Units* now) const {
    const int64_t H = c.H, peepholes = c.norm() ? 14 * H : 0;
    const auto gate = [&](int64_t g, int64_t u) {
      return ax[size_t(g * H + u)] + ah[size_t(g * H + u)];
    };
    const auto peep = [&](int64_t k, int64_t u) {
      return c.peephole ? in(EXTRA, peepholes + k * H + u) : Dual{};
    };
    Units out;
    for (int64_t u = 0; u < H; ++u) {
      const Dual c_old = old[1][size_t(u)];
      const Dual i = sigmoid(gate(0, u) + peep(0, u) * c_old);
      const Dual f = sigmoid(gate(1, u) + peep(1, u) * c_old);
      const Dual c_new = f * c_old + i * tanh(gate(2, u));
      out.push_back(sigmoid(gate(3, u) + peep(2, u) * c_new));
      now[1][size_t(u)] = c_new;
    }
    Units seen = c.norm() ? normalised(now[1], 12 * H) : now[1];
    for (int64_t u = 0; u < H; ++u) {
      Dual& s = seen[size_t(u)];
      if (c.norm()) s = s + in(EXTRA, 13 * H + u);
      out[size_t(u)] = out[size_t(u)] * tanh(s);
    }
    now[0] = c.input[WEIGHT_HR].empty() ? out : linear(WEIGHT_HR, NAMES, out, 0, c.P);
  }
};

}  // namespace reference
