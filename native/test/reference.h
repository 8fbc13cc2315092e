// The equations of all cells and of the time loop, one number at a time: the truth that
// the core's test compares with. They know nothing of programs.
#pragma once

#include <algorithm>

#include "cases.h"
#include "dual.h"

namespace reference {

inline Dual activation(Activation which, Dual z, Dual alpha) {
  switch (which) {
    case SIGMOID:
      return sigmoid(z);
    case TANH:
      return tanh(z);
    case RELU:
      return z.v > 0 ? z : Dual{};
    case GELU:
      return gelu(z);
    case SOFTPLUS:
      return softplus(z);
    case ELU:
      return z.v > 0 ? z : 0.5 * (exp(z) - Dual{1});
    case LEAKY_RELU:
      return z.v > 0 ? z : 0.5 * z;
    case PRELU:
      return z.v > 0 ? z : alpha * z;
    default:
      return z;
  }
}

struct Result {
  std::vector<Dual> states[2], final[2];
};

// All steps of all sequences. `moving` moves along `direction`, everything else stays.
class Loop {
 public:
  Loop(const Case& problem, int moving, const Numbers& direction)
      : c(problem), moving(moving), direction(direction), H(problem.H) {}

  Result run() const {
    Result result;
    for (int f = 0; f < c.grids(); ++f) {
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
  const int64_t H;

  Dual in(int name, int64_t i) const {
    if (c.input[name].empty()) return {};
    return {c.input[name][size_t(i)], name == moving ? direction[size_t(i)] : 0.0};
  }

  void sequence(int64_t b, Result& result) const {
    Units state[2];
    for (int f = 0; f < c.grids(); ++f)
      for (int64_t u = 0; u < c.width(f); ++u)
        state[f].push_back(in(STATE_H + f, b * c.width(f) + u));
    const int64_t n = c.length(b);
    const auto write = [&](std::vector<Dual>* to, int64_t row) {
      for (int f = 0; f < c.grids(); ++f)
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
        const double share = c.share[f ? 1 + u / size_t(H) : 0];
        Dual& now = state[f][u];
        if (!c.hold[f].empty() && c.hold[f][size_t(at)]) now = old[f][u];
        now = share * old[f][u] + (1 - share) * now + in(ADDED_H + f, at);
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

  // What enters a product at the place of h.
  Units masked(int64_t b, Units v) const {
    if (!c.mask.empty())
      for (size_t u = 0; u < v.size(); ++u) v[u] = c.mask[size_t(b) * v.size() + u] * v[u];
    return v;
  }

  // A product inside the step, by the rows of `gates` from `first` on.
  Units inner(int64_t b, const Units& v, int64_t first, int64_t gates) const {
    return linear(WEIGHT_MH, BIAS_MH, masked(b, v), first * H, (first + gates) * H);
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
    Units x;
    for (int64_t i = 0; i < c.I; ++i) x.push_back(in(X, grid * c.I + i));
    const Units ax = linear(WEIGHT_IH, BIAS_IH, x, 0, c.shape().x_gates * H);
    const Units ah =
        linear(WEIGHT_HH, BIAS_HH, masked(b, old[0]), 0, c.shape().h_gates * H);
    switch (c.kind) {
      case LSTM:
        return lstm(sum_of_gates(ax, ah), old, now);
      case GRU:
      case GRU_RESET_BEFORE:
        return gru(b, ax, ah, old[0], now[0]);
      case MULTIPLICATIVE_LSTM:
        return multiplicative_lstm(b, ax, ah, old, now);
      case SLSTM:
        return slstm(ax, ah, old, now);
      case QRNN:
        return qrnn(ax, old, now);
      case RHN:
        return rhn(b, ax, ah, old[0], now[0]);
      case LEM:
        return lem(b, ax, ah, old, now);
      default:
        return elman(ax, ah, old[0], now[0]);
    }
  }

  void elman(const Units& ax, const Units& ah, const Units& old, Units& now) const {
    const double leak = c.kind == LEAKY ? 0.25 : 1;
    for (size_t u = 0; u < now.size(); ++u) {
      const Dual made = activation(c.activation, ax[u] + ah[u], in(EXTRA, int64_t(u)));
      now[u] = (1 - leak) * old[u] + leak * made;
    }
  }

  void gru(int64_t b, const Units& ax, const Units& ah, const Units& old,
           Units& now) const {
    Units r, seen;
    const size_t n = size_t(H);
    for (size_t u = 0; u < n; ++u) r.push_back(sigmoid(ax[u] + ah[u]));
    for (size_t u = 0; u < n; ++u)
      seen.push_back(r[u] * (c.kind == GRU ? ah[2 * n + u] : old[u]));
    if (c.kind == GRU_RESET_BEFORE) seen = inner(b, seen, 0, 1);
    for (size_t u = 0; u < n; ++u) {
      const Dual z = sigmoid(ax[n + u] + ah[n + u]), g = tanh(ax[2 * n + u] + seen[u]);
      now[u] = g - z * g + z * old[u];
    }
  }

  Units sum_of_gates(Units ax, Units ah) const {
    const int64_t norms = c.peephole ? 3 * H : 0;
    if (c.layer_norm) {
      ax = normalised(ax, norms), ah = normalised(ah, norms + 4 * H);
      for (int64_t i = 0; i < 4 * H; ++i)
        ax[size_t(i)] = ax[size_t(i)] + in(EXTRA, norms + 8 * H + i);
    }
    for (size_t i = 0; i < ax.size(); ++i) ax[i] = ax[i] + ah[i];
    return ax;
  }

  // From the sums of the gates i, f, g, o.
  void lstm(const Units& gates, const Units* old, Units* now) const {
    const auto gate = [&](int64_t g, int64_t u) { return gates[size_t(g * H + u)]; };
    const auto peep = [&](int64_t k, int64_t u) {
      return c.peephole ? in(EXTRA, k * H + u) : Dual{};
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
    const int64_t norm = (c.peephole ? 15 : 12) * H;
    const Units seen = c.layer_norm ? normalised(now[1], norm) : now[1];
    for (int64_t u = 0; u < H; ++u) {
      const Dual shift = c.layer_norm ? in(EXTRA, norm + H + u) : Dual{};
      out[size_t(u)] = out[size_t(u)] * tanh(seen[size_t(u)] + shift);
    }
    now[0] = c.input[WEIGHT_HR].empty() ? out : linear(WEIGHT_HR, NAMES, out, 0, c.P);
  }

  void multiplicative_lstm(int64_t b, const Units& ax, const Units& ah, const Units* old,
                           Units* now) const {
    Units m;
    for (size_t u = 0; u < size_t(H); ++u) m.push_back(ax[u] * ah[u]);
    Units gates = inner(b, m, 0, 4);
    for (size_t i = 0; i < gates.size(); ++i) gates[i] = gates[i] + ax[size_t(H) + i];
    lstm(gates, old, now);
  }

  void slstm(const Units& ax, const Units& ah, const Units* old, Units* now) const {
    const size_t n = size_t(H);
    for (size_t u = 0; u < n; ++u) {
      const auto gate = [&](size_t g) { return ax[g * n + u] + ah[g * n + u]; };
      const Dual n_old = old[1][n + u], in_gate = gate(0);
      Dual kept = old[1][2 * n + u] - softplus(-1 * gate(1));
      if (n_old.v == 0) kept = in_gate;
      const Dual m = kept.v > in_gate.v ? kept : in_gate;
      const Dual i = exp(in_gate - m), f = exp(kept - m);
      const Dual c_new = f * old[1][u] + i * tanh(gate(2)), n_new = f * n_old + i;
      now[0][u] = sigmoid(gate(3)) * c_new / n_new;
      now[1][u] = c_new, now[1][n + u] = n_new, now[1][2 * n + u] = m;
    }
  }

  void qrnn(const Units& ax, const Units* old, Units* now) const {
    const size_t n = size_t(H);
    for (size_t u = 0; u < n; ++u) {
      const auto gate = [&](size_t g) {
        return ax[g * n + u] + old[1][(g + 1) * n + u] + in(EXTRA, int64_t(g * n + u));
      };
      const Dual f = sigmoid(gate(1)), z = tanh(gate(0));
      now[1][u] = f * old[1][u] + z - f * z;
      now[0][u] = sigmoid(gate(2)) * now[1][u];
      for (size_t g = 1; g <= 3; ++g) now[1][g * n + u] = ax[(g + 2) * n + u];
    }
  }

  void rhn(int64_t b, const Units& ax, const Units& ah, const Units& old,
           Units& now) const {
    const size_t n = size_t(H);
    Units gates = ah;
    for (size_t i = 0; i < gates.size(); ++i) gates[i] = gates[i] + ax[i];
    now = old;
    for (int64_t depth = 0;; gates = inner(b, now, 2 * depth++, 2)) {
      for (size_t u = 0; u < n; ++u) {
        const Dual g = sigmoid(gates[n + u]);
        now[u] = g * tanh(gates[u]) + now[u] - g * now[u];
      }
      if (depth == 2) return;
    }
  }

  void lem(int64_t b, const Units& ax, const Units& ah, const Units* old,
           Units* now) const {
    const size_t n = size_t(H);
    const auto gate = [&](size_t g, size_t u) { return ax[g * n + u] + ah[g * n + u]; };
    for (size_t u = 0; u < n; ++u) {
      const Dual fast = sigmoid(gate(1, u)), z = old[1][u];
      now[1][u] = z - fast * z + fast * tanh(gate(2, u));
    }
    const Units seen = inner(b, now[1], 0, 1);
    for (size_t u = 0; u < n; ++u) {
      const Dual slow = sigmoid(gate(0, u)), h = old[0][u];
      now[0][u] = h - slow * h + slow * tanh(seen[u] + ax[3 * n + u]);
    }
  }
};

}  // namespace reference
