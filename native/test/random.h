// Random problems, from a seed.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>

#include "cases.h"

class Random {
 public:
  explicit Random(uint64_t seed) : engine(seed) {}
  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine);
  }
  bool chance(double p) { return number(0, 1) < p; }
  double number(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(engine);
  }
  // Numbers that the type of the problem has exactly.
  reference::Numbers numbers(int64_t count, double bound, bool single) {
    reference::Numbers all(static_cast<size_t>(count));
    for (double& x : all) {
      x = number(-bound, bound);
      if (single) x = double(float(x));
    }
    return all;
  }
  std::vector<uint8_t> flags(int64_t count, double p) {
    std::vector<uint8_t> all(static_cast<size_t>(count));
    for (uint8_t& x : all) x = chance(p);
    return all;
  }

 private:
  std::mt19937_64 engine;
};

class Drawing {
 public:
  // `large`: enough work for two problems side by side.
  Drawing(Random& random, bool single, bool large = false)
      : random(random), single(single), large(large) {}

  reference::Case draw() {
    using namespace reference;
    sizes();
    cell();
    const int64_t H = c.H, most = 1 + c.shape().fields;
    c.reverse = random.chance(0.3);
    if (random.chance(0.5)) lengths();
    c.input[X] = numbers(c.T * c.B * c.I, 2);
    weights();
    c.input[EXTRA] = numbers(c.extras() * H, 0.5);
    const bool resets = random.chance(0.4);
    if (resets) c.reset = random.flags(c.T * c.B, 0.3);
    c.share.resize(size_t(most));
    for (int f = 0; f < c.grids(); ++f) {
      c.input[STATE_H + f] = state(f);
      if (resets) c.input[INITIAL_H + f] = state(f);
      if (random.chance(0.2)) c.input[ADDED_H + f] = added(f);
      if (random.chance(0.2)) c.hold[f] = random.flags(c.T * c.B * c.width(f), 0.3);
    }
    if (random.chance(0.3))
      for (double& part : c.share)
        if (random.chance(0.5)) part = 0.25 + 0.5 * random.between(0, 1);
    if (random.chance(0.3)) {
      c.mask = numbers(c.B * c.P, 1);
      for (double& m : c.mask) m = m > 0 ? 2 : 0;
    }
    if (random.chance(0.2)) c.carry_gain = numbers(c.T * c.B, 1);
    return c;
  }

 private:
  Random& random;
  const bool single, large;
  reference::Case c;

  reference::Numbers numbers(int64_t count, double bound) {
    return random.numbers(count, bound, single);
  }

  // Small sizes around the lengths of vectors; sometimes enough units for several threads,
  // sometimes enough rows for several chunks.
  void sizes() {
    const int64_t kind = random.between(0, 9);
    const auto pick = [&](int64_t T, int64_t B, int64_t least_H, int64_t H) {
      c.T = random.between(kind == 0 ? 0 : 1, T);
      c.B = random.between(1, B);
      c.H = random.between(least_H, H);
    };
    if (large)
      c.T = 60, c.B = random.between(8, 10), c.H = random.between(30, 40);
    else if (kind == 1)
      pick(2, 16, 50, 90);
    else if (kind == 2)
      pick(2, 4, 90, 150);
    else if (kind == 3)
      pick(60, 14, 1, 17);
    else
      pick(7, 6, 1, 35);
    c.I = random.between(large ? 20 : 1, 20);
  }

  void cell() {
    using namespace reference;
    const int64_t kind = random.between(0, KINDS + 3);  // some of them more often
    c.kind = kind < KINDS ? Kind(kind) : kind < KINDS + 2 ? ELMAN : LSTM;
    c.activation = Activation(random.between(0, ACTIVATIONS - 1));
    if (c.kind == LEAKY) c.activation = random.chance(0.5) ? TANH : PRELU;
    c.peephole = c.kind == LSTM && random.chance(0.4);
    c.layer_norm = c.kind == LSTM && random.chance(0.5);
    const bool projects = c.kind == LSTM && c.H > 1 && random.chance(0.4);
    c.P = projects ? random.between(1, c.H - 1) : c.H;
  }

  void weights() {
    using namespace reference;
    const int64_t H = c.H;
    const Shape& shape = c.shape();
    const double bound = 1 / std::sqrt(double(H));
    const auto product = [&](int weight, int bias, int64_t gates, int64_t features) {
      c.input[weight] = numbers(gates * H * features, bound);
      if (random.chance(0.8)) c.input[bias] = numbers(gates * H, 0.5);
    };
    product(WEIGHT_IH, BIAS_IH, shape.x_gates, c.I);
    product(WEIGHT_HH, BIAS_HH, shape.h_gates, c.P);
    product(WEIGHT_MH, BIAS_MH, shape.inner_gates, H);
    if (c.P < H) c.input[WEIGHT_HR] = numbers(c.P * H, bound);
  }

  void lengths() {
    for (int64_t b = 0; b < c.B; ++b) c.lengths.push_back(random.between(0, c.T));
    const int64_t longest = *std::max_element(c.lengths.begin(), c.lengths.end());
    if (longest == 0 || random.chance(0.6)) return;
    c.packed = true;  // only steps that exist, sequences from long to short
    c.T = longest;
    std::sort(c.lengths.rbegin(), c.lengths.rend());
  }

  reference::Numbers state(int f) {
    reference::Numbers all = numbers(c.B * c.width(f), 1);
    // The normaliser n of an sLSTM is at least what it divides; 0: nothing is remembered.
    for_normalisers(f, all,
                    [&](double& n) { n = random.chance(0.2) ? 0 : std::abs(n) + 0.5; });
    return all;
  }

  reference::Numbers added(int f) {
    reference::Numbers all = numbers(c.T * c.B * c.width(f), 0.1);
    for_normalisers(f, all, [](double& n) { n = std::abs(n); });
    return all;
  }

  template <class F>
  void for_normalisers(int f, reference::Numbers& all, F change) const {
    if (c.kind != reference::SLSTM || f == 0) return;
    for (size_t i = 0; i < all.size(); ++i)
      if (i / size_t(c.H) % 3 == 1) change(all[i]);
  }
};
