// Random problems through the core, compared with the equations in reference.h: values,
// the gradient of every input along a random direction, repeated runs bit by bit, and
// streams. Every buffer has exactly the size of its contents, so that AddressSanitizer
// sees whatever is read or written beyond it.
//
//   test_core [cases] [first seed]
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <sstream>
#include <string>

#include "reference.h"

using namespace reference;

namespace {

int failures = 0;

void fail(const std::string& where, const char* what, double got, double wanted) {
  if (++failures <= 20)
    std::printf("%s: %s is %.9g, expected %.9g\n", where.c_str(), what, got, wanted);
}

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
  Numbers numbers(int64_t count, double bound, bool single) {
    Numbers all(static_cast<size_t>(count));
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

// Small sizes around the lengths of vectors; sometimes enough units for several threads,
// sometimes enough rows for several chunks.
void draw_sizes(Case& c, Random& random) {
  const int64_t kind = random.between(0, 9);
  const auto pick = [&](int64_t T, int64_t B, int64_t least_H, int64_t H) {
    c.T = random.between(kind == 0 ? 0 : 1, T);
    c.B = random.between(1, B);
    c.H = random.between(least_H, H);
  };
  if (kind == 1)
    pick(2, 16, 50, 90);
  else if (kind == 2)
    pick(2, 4, 90, 150);
  else if (kind == 3)
    pick(60, 14, 1, 17);
  else
    pick(7, 6, 1, 35);
  c.I = random.between(1, 20);
}

Case draw(Random& random, bool single) {
  Case c;
  draw_sizes(c, random);
  c.cell = int(random.between(TT_ELMAN, TT_LSTM_LAYER_NORM));
  c.reverse = random.chance(0.3);
  const bool elman = c.cell == TT_ELMAN;
  if (elman) {
    c.activation = int(random.between(TT_IDENTITY, TT_LEAKY_RELU));
    if (random.chance(0.4)) c.leak = 0.25;
    c.alpha = 0.5;
  }
  c.peephole = c.has_c() && random.chance(0.4);
  c.P = c.has_c() && c.H > 1 && random.chance(0.4) ? random.between(1, c.H - 1) : c.H;
  const bool prelu = elman && c.activation == TT_LEAKY_RELU && random.chance(0.5);
  const int64_t rows = c.gates() * c.H;
  const double bound = 1 / std::sqrt(double(c.H));
  const auto numbers = [&](int64_t n, double b) { return random.numbers(n, b, single); };
  c.input[X] = numbers(c.T * c.B * c.I, 2);
  c.input[WEIGHT_IH] = numbers(rows * c.I, bound);
  c.input[WEIGHT_HH] = numbers(rows * c.P, bound);
  if (c.P < c.H) c.input[WEIGHT_HR] = numbers(c.P * c.H, bound);
  if (!c.norm() && random.chance(0.8)) {  // layer norm has its own

    c.input[BIAS_IH] = numbers(rows, 0.5);
    c.input[BIAS_HH] = numbers(rows, 0.5);
  }
  if (c.norm() || c.peephole)
    c.input[EXTRA] = numbers(((c.norm() ? 14 : 0) + (c.peephole ? 3 : 0)) * c.H, 0.5);
  if (prelu) c.input[EXTRA] = numbers(1, 0.5);
  const bool resets = random.chance(0.4);
  if (resets) c.reset = random.flags(c.T * c.B, 0.3);
  for (int f = 0; f <= int(c.has_c()); ++f) {
    const int64_t units = c.B * c.width(f), grid = c.T * units;
    c.input[STATE_H + f] = numbers(units, 1);
    if (resets) c.input[INITIAL_H + f] = numbers(units, 1);
    if (random.chance(0.2)) c.input[ADDED_H + f] = numbers(grid, 0.1);
    if (random.chance(0.2))
      c.hold[f] = random.flags(grid, 0.3);
    else if (random.chance(0.2))
      c.share[f] = 0.25;
  }
  if (random.chance(0.5))
    for (int64_t b = 0; b < c.B; ++b) c.lengths.push_back(random.between(0, c.T));
  if (random.chance(0.3)) {
    c.mask = numbers(c.B * c.P, 1);
    for (double& m : c.mask) m = m > 0 ? 2 : 0;
  }
  if (random.chance(0.2)) c.carry_gain = numbers(c.T * c.B, 1);
  return c;
}

// The same problem in memory of its own, in the type of the core.
template <class T>
struct Buffers {
  using Memory = std::vector<T>;
  Memory input[NAMES], mask, carry_gain;
  Memory states[2], final[2], saved, grad_out, grad_states[2], grad_final[2], grad[NAMES];
  tt_problem p{};

  Buffers(const Case& c, Random& random, int threads) {
    p.bytes = sizeof(T);
    p.cell = c.cell, p.activation = c.activation, p.threads = threads;
    p.reverse = c.reverse, p.peephole = c.peephole;
    p.T = c.T, p.B = c.B, p.I = c.I, p.H = c.H, p.P = c.P;
    p.leak = c.leak;
    p.alpha = c.cell == TT_ELMAN && !c.input[EXTRA].empty() ? c.input[EXTRA][0] : c.alpha;
    for (int n = 0; n < NAMES; ++n) input[n].assign(c.input[n].begin(), c.input[n].end());
    batch_first = random.chance(0.5);
    input[X] = laid_out(c, input[X], c.I, p.x_step, p.x_batch);
    p.x = data(input[X]);
    p.weight_ih = data(input[WEIGHT_IH]), p.weight_hh = data(input[WEIGHT_HH]);
    p.bias_ih = data(input[BIAS_IH]), p.bias_hh = data(input[BIAS_HH]);
    p.weight_hr = data(input[WEIGHT_HR]), p.extra = data(input[EXTRA]);
    p.lengths = c.lengths.empty() ? nullptr : c.lengths.data();
    p.reset = c.reset.empty() ? nullptr : c.reset.data();
    mask.assign(c.mask.begin(), c.mask.end());
    p.mask = data(mask);
    saved.resize(size_t(c.T * c.B * tt_slots(c.cell, c.H) * c.H));
    p.saved = h_is_enough(c) && random.chance(0.5) ? nullptr : data(saved);
    for (int f = 0; f <= int(c.has_c()); ++f) {
      p.state[f] = data(input[STATE_H + f]);
      p.initial[f] = data(input[INITIAL_H + f]);
      p.added[f] = data(input[ADDED_H + f]);
      p.hold[f] = c.hold[f].empty() ? nullptr : c.hold[f].data();
      p.share[f] = c.share[f];
      states[f].resize(size_t(c.T * c.B * c.width(f)));
      final[f].resize(size_t(c.B * c.width(f)));
      p.states[f] = data(states[f]), p.final[f] = data(final[f]);
    }
  }

  // Random gradients from outside, some of them absent, and room for all results.
  void prepare_backward(const Case& c, Random& random) {
    const auto some = [&](Memory& to, int64_t count) {
      if (random.chance(0.7))
        for (double number : random.numbers(count, 1, true)) to.push_back(T(number));
      return data(to);
    };
    some(grad_out, c.T * c.B * c.P);
    grad_laid_out = laid_out(c, grad_out, c.P, p.grad_step, p.grad_batch);
    p.grad_out = data(grad_laid_out);
    for (int f = 0; f <= int(c.has_c()); ++f) {
      const int64_t units = c.B * c.width(f), grid = c.T * units;
      p.grad_states[f] = random.chance(0.5) ? some(grad_states[f], grid) : nullptr;
      p.grad_final[f] = some(grad_final[f], units);
    }
    carry_gain.assign(c.carry_gain.begin(), c.carry_gain.end());
    p.carry_gain = data(carry_gain);
    for (int n = 0; n < NAMES; ++n) {
      const bool prelu = n == EXTRA && c.cell == TT_ELMAN && !c.input[n].empty();
      // The core needs the memory for extra; everything else may not be wanted.
      if (n == EXTRA || random.chance(0.9))
        grad[n].assign(prelu ? size_t(c.H) : c.input[n].size(), T(0));
    }
    p.grad_x = data(grad[X]);
    p.grad_weight_ih = data(grad[WEIGHT_IH]), p.grad_weight_hh = data(grad[WEIGHT_HH]);
    p.grad_bias_ih = data(grad[BIAS_IH]), p.grad_bias_hh = data(grad[BIAS_HH]);
    p.grad_weight_hr = data(grad[WEIGHT_HR]), p.grad_extra = data(grad[EXTRA]);
    for (int f = 0; f < 2; ++f) {
      p.grad_state[f] = data(grad[STATE_H + f]);
      p.grad_initial[f] = data(grad[INITIAL_H + f]);
      p.grad_added[f] = data(grad[ADDED_H + f]);
    }
  }

  // For the backward pass, without anything saved.
  static bool h_is_enough(const Case& c) {
    return c.cell == TT_ELMAN && c.leak == 1 && c.activation <= TT_RELU &&
           c.hold[0].empty() && c.share[0] == 0 && c.input[ADDED_H].empty();
  }

  static T* data(Memory& memory) { return memory.empty() ? nullptr : memory.data(); }

 private:
  bool batch_first;
  Memory grad_laid_out;

  // A grid with time first or, with other strides, with the sequences first.
  Memory laid_out(const Case& c, const Memory& grid, int64_t features, int64_t& step,
                  int64_t& batch) const {
    step = batch_first ? features : c.B * features;
    batch = batch_first ? c.T * features : features;
    Memory to(grid.size());
    if (!grid.empty())
      for (int64_t t = 0; t < c.T; ++t)
        for (int64_t b = 0; b < c.B; ++b)
          for (int64_t i = 0; i < features; ++i)
            to[size_t(t * step + b * batch + i)] =
                grid[size_t((t * c.B + b) * features + i)];
    return to;
  }
};

template <class T>
void compare(const std::string& where, const char* what, const std::vector<T>& got,
             const std::vector<Dual>& wanted, const std::vector<bool>& exists) {
  const double tolerance = sizeof(T) == 4 ? 2e-5 : 1e-11;
  for (size_t i = 0; i < got.size(); ++i) {
    if (!exists.empty() && !exists[i]) continue;
    const double x = double(got[i]), y = wanted[i].v;
    if (!(std::abs(x - y) <= tolerance * (1 + std::abs(y)))) return fail(where, what, x, y);
  }
}

template <class T>
double dot(const std::vector<T>& a, const std::vector<Dual>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += double(a[i]) * b[i].d;
  return sum;
}

// The gradient of sum(grad_out h) + sum(grad_states states) + sum(grad_final final) along
// one random direction of each input, by the core and by the reference.
template <class T>
void check_gradients(const Case& c, Buffers<T>& m, Random& random,
                     const std::string& where) {
  static const char* names[NAMES] = {"grad_x",         "grad_weight_ih", "grad_weight_hh",
                                     "grad_bias_ih",   "grad_bias_hh",   "grad_weight_hr",
                                     "grad_extra",     "grad_h",         "grad_c",
                                     "grad_initial_h", "grad_initial_c", "grad_added_h",
                                     "grad_added_c"};
  const double tolerance = sizeof(T) == 4 ? 2e-4 : 1e-10;
  for (int n = 0; n < NAMES; ++n) {
    if (m.grad[n].empty()) continue;
    const Numbers direction = random.numbers(int64_t(c.input[n].size()), 1, false);
    const Result along = Loop(c, n, direction).run();
    double wanted = dot(m.grad_out, along.states[0]);
    for (int f = 0; f <= int(c.has_c()); ++f)
      wanted +=
          dot(m.grad_states[f], along.states[f]) + dot(m.grad_final[f], along.final[f]);
    double got = 0, size = 1;
    for (size_t i = 0; i < m.grad[n].size(); ++i) {
      const double part = double(m.grad[n][i]) * direction[direction.size() == 1 ? 0 : i];
      got += part, size += std::abs(part);
    }
    if (!(std::abs(got - wanted) <= tolerance * size)) fail(where, names[n], got, wanted);
  }
}

template <class T>
void check(const Case& c, uint64_t seed, const char* isa, int threads) {
  std::ostringstream where;
  where << "seed " << seed << " " << isa << " threads " << threads << " bytes " << sizeof(T)
        << " cell " << c.cell << "/" << c.activation << " T " << c.T << " B " << c.B
        << " I " << c.I << " H " << c.H << " P " << c.P;
  Random random(seed + 1);
  Buffers<T> m(c, random, threads);
  if (tt_forward(&m.p, isa) != 0) return fail(where.str(), "status of tt_forward", 1, 0);
  const Result wanted = Loop(c, NAMES, {}).run();
  std::vector<bool> exists;
  for (int64_t i = 0; i < c.T * c.B * c.H; ++i)
    exists.push_back(i / c.H / c.B < c.length(i / c.H % c.B));
  // h is 0 where a step does not exist; c is not defined there.
  compare(where.str(), "h", m.states[0], wanted.states[0], {});
  compare(where.str(), "c", m.states[1], wanted.states[1], exists);
  compare(where.str(), "final h", m.final[0], wanted.final[0], {});
  compare(where.str(), "final c", m.final[1], wanted.final[1], {});
  m.prepare_backward(c, random);
  if (tt_backward(&m.p, isa) != 0) return fail(where.str(), "status of tt_backward", 1, 0);
  check_gradients(c, m, random, where.str());

  // Once more, from the same seed: the same bits.
  Random again(seed + 1);
  Buffers<T> same(c, again, threads);
  tt_forward(&same.p, isa);
  same.prepare_backward(c, again);
  tt_backward(&same.p, isa);
  for (int n = 0; n < NAMES; ++n)
    if (same.grad[n] != m.grad[n]) fail(where.str(), "number of equal runs", 1, 2);
}

// A stream, step by step, after the weights it was made from are gone.
template <class T>
void check_stream(Case c, uint64_t seed, const char* isa, int threads) {
  c.lengths.clear(), c.reset.clear(), c.mask.clear(), c.carry_gain.clear();
  c.reverse = false;
  for (int f = 0; f < 2; ++f) {
    c.hold[f].clear();
    c.input[ADDED_H + f].clear();
  }
  const std::string where = "stream, seed " + std::to_string(seed) + " " + isa;
  void* stream;
  {
    Random random(seed);
    Buffers<T> m(c, random, threads);
    stream = tt_stream_new(&m.p, isa);
  }
  if (!stream) return fail(where, "number of streams", 0, 1);
  for (int f = 0; f <= int(c.has_c()); ++f) {
    std::vector<T> state(c.input[STATE_H + f].begin(), c.input[STATE_H + f].end());
    tt_stream_state(stream, f, state.data(), 1);
  }
  std::vector<T> h;
  for (int64_t t = 0; t < c.T; ++t) {
    const auto from = c.input[X].begin() + t * c.B * c.I;
    const std::vector<T> x(from, from + c.B * c.I);
    std::vector<T> out(size_t(c.B * c.P));
    tt_stream_step(stream, x.data(), out.data());
    h.insert(h.end(), out.begin(), out.end());
  }
  const Result wanted = Loop(c, NAMES, {}).run();
  compare(where, "h", h, wanted.states[0], {});
  for (int f = 0; f <= int(c.has_c()); ++f) {
    std::vector<T> state(size_t(c.B * c.width(f)));
    tt_stream_state(stream, f, state.data(), 0);
    compare(where, f ? "final c" : "final h", state, wanted.final[f], {});
  }
  tt_stream_free(stream);
}

void check_refusals() {
  Random random(1);
  const Case c = draw(random, false);
  Buffers<double> m(c, random, 1);
  if (tt_forward(&m.p, "abacus") != 1) fail("abacus", "status", 0, 1);
  m.p.bytes = 2;
  if (tt_forward(&m.p, "portable") != 1) fail("bytes 2", "status", 0, 1);
  m.p.bytes = 8, m.p.cell = 99;
  if (tt_forward(&m.p, "portable") != 1) fail("cell 99", "status", 0, 1);
  if (tt_stream_new(&m.p, "portable")) fail("cell 99", "number of streams", 1, 0);
}

}  // namespace

int main(int argc, char** argv) {
  const int cases = argc > 1 ? std::atoi(argv[1]) : 1000;
  const uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  if (tt_problem_size() != int(sizeof(tt_problem))) fail("tt_problem", "size", 0, 1);
  check_refusals();
  for (uint64_t seed = first; seed < first + uint64_t(cases); ++seed) {
    std::istringstream sets(tt_instruction_sets());
    for (std::string isa; sets >> isa;) {
      Random random(seed);
      const bool single = random.chance(0.5);
      const Case c = draw(random, single);
      const int threads = int(random.between(1, 3));
      (single ? check<float> : check<double>)(c, seed, isa.c_str(), threads);
      (single ? check_stream<float> : check_stream<double>)(c, seed, isa.c_str(), threads);
    }
  }
  std::printf("%d problems on %s: %d failures\n", cases, tt_instruction_sets(), failures);
  return failures != 0;
}
