// A problem in memory of its own, in the type of the core. Every buffer has exactly the
// size of its contents, so that AddressSanitizer sees whatever is read or written beyond.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "program.h"
#include "programs/gru.h"
#include "programs/layer_norm.h"
#include "programs/lstm.h"
#include "programs/published.h"
#include "programs/simple.h"
#include "random.h"

// The program of a cell; null if there is none.
inline const tt_program* program_of(const std::string& cell, bool save, bool pure,
                                    bool projected) {
  const tt_program* found = nullptr;
  const auto look = [&](const auto& family) {
    for (const Program& p : family)
      if (p.cell == cell && p.save == save && p.pure == pure && p.projected == projected)
        found = &p.program;
  };
  look(simple::all), look(lstm::all), look(layer_norm::all), look(gru::all);
  look(published::all);
  return found;
}

template <class T>
struct Buffers {
  using Case = reference::Case;
  using Memory = std::vector<T>;
  using Flags = std::vector<uint8_t>;
  Memory states[2], final[2], grad[reference::NAMES];
  // Full grids, also where the core reads packed ones.
  Memory grad_out, grad_states[2], grad_final[2];
  tt_problem p{};

  // `save`: a backward pass will follow.
  Buffers(const Case& c, Random& random, int threads, bool save) : c(c) {
    using namespace reference;
    batch_first = !c.packed && random.chance(0.5);
    for (int64_t t = 0, rows = 0; t < c.T; ++t) {
      first.push_back(rows);
      rows += c.packed ? alive(t) : c.B;
      all_rows = rows;
    }
    p.bytes = sizeof(T);
    p.threads = threads;
    p.reverse = c.reverse;
    p.T = c.T, p.B = c.B, p.I = c.I, p.H = c.H, p.P = c.P;
    choose_program(save, save && c.pure() && random.chance(0.8));
    for (int n = 0; n < NAMES; ++n) input[n].assign(c.input[n].begin(), c.input[n].end());
    input[X] = laid_out(input[X], c.I, p.x_step, p.x_batch);
    p.x = data(input[X]);
    p.weight_ih = data(input[WEIGHT_IH]), p.bias_ih = data(input[BIAS_IH]);
    p.weight_hh = data(input[WEIGHT_HH]), p.bias_hh = data(input[BIAS_HH]);
    p.weight_mh = data(input[WEIGHT_MH]), p.bias_mh = data(input[BIAS_MH]);
    p.weight_hr = data(input[WEIGHT_HR]), p.extra = data(input[EXTRA]);
    p.lengths = c.lengths.empty() ? nullptr : c.lengths.data();
    p.packed = c.packed ? first.data() : nullptr;
    reset = grid(c.reset, 1);
    p.reset = data(reset);
    mask.assign(c.mask.begin(), c.mask.end());
    p.mask = data(mask);
    if (save) saved.resize(size_t(all_rows * program.slots * c.H));
    p.saved = data(saved);  // null where nothing is kept
    std::copy(c.share.begin(), c.share.end(), p.share);
    for (int f = 0; f < c.grids(); ++f) {
      input[ADDED_H + f] = grid(input[ADDED_H + f], c.width(f));
      hold[f] = grid(c.hold[f], c.width(f));
      p.state[f] = data(input[STATE_H + f]);
      p.initial[f] = data(input[INITIAL_H + f]);
      p.added[f] = data(input[ADDED_H + f]);
      p.hold[f] = data(hold[f]);
      states[f].resize(size_t(all_rows * c.width(f)));
      final[f].resize(size_t(c.B * c.width(f)));
      p.states[f] = data(states[f]), p.final[f] = data(final[f]);
    }
  }
  Buffers(const Buffers&) = delete;  // p points into it

  // Random gradients from outside, some of them absent, and room for all results.
  void prepare_backward(Random& random) {
    using namespace reference;
    const auto some = [&](Memory& to, int64_t count) {
      if (random.chance(0.7))
        for (double number : random.numbers(count, 1, true)) to.push_back(T(number));
    };
    some(grad_out, c.T * c.B * c.P);
    grad_laid_out = laid_out(grad_out, c.P, p.grad_step, p.grad_batch);
    p.grad_out = data(grad_laid_out);
    for (int f = 0; f < c.grids(); ++f) {
      const int64_t units = c.B * c.width(f);
      if (random.chance(0.5)) some(grad_states[f], c.T * units);
      grad_grids[f] = grid(grad_states[f], c.width(f));
      p.grad_states[f] = data(grad_grids[f]);
      some(grad_final[f], units);
      p.grad_final[f] = data(grad_final[f]);
    }
    carry_gain = grid(Memory(c.carry_gain.begin(), c.carry_gain.end()), 1);
    p.carry_gain = data(carry_gain);
    for (int n = 0; n < NAMES; ++n)
      if (random.chance(0.9)) grad[n].assign(n == X ? input_size() : input[n].size(), T(0));
    p.grad_x = data(grad[X]);
    p.grad_weight_ih = data(grad[WEIGHT_IH]), p.grad_bias_ih = data(grad[BIAS_IH]);
    p.grad_weight_hh = data(grad[WEIGHT_HH]), p.grad_bias_hh = data(grad[BIAS_HH]);
    p.grad_weight_mh = data(grad[WEIGHT_MH]), p.grad_bias_mh = data(grad[BIAS_MH]);
    p.grad_weight_hr = data(grad[WEIGHT_HR]), p.grad_extra = data(grad[EXTRA]);
    for (int f = 0; f < 2; ++f) {
      p.grad_state[f] = data(grad[STATE_H + f]);
      p.grad_initial[f] = data(grad[INITIAL_H + f]);
      p.grad_added[f] = data(grad[ADDED_H + f]);
    }
  }

  // What a full grid has of the rows that the core knows, in its order.
  template <class Number>
  std::vector<Number> grid(const std::vector<Number>& full, int64_t features) const {
    std::vector<Number> to;
    if (full.empty()) return to;
    for (int64_t t = 0; t < c.T; ++t) {
      const auto from = full.begin() + t * c.B * features;
      to.insert(to.end(), from, from + (c.packed ? alive(t) : c.B) * features);
    }
    return to;
  }

 private:
  const Case& c;
  bool batch_first;
  int64_t all_rows = 0;
  std::vector<int64_t> first;
  tt_program program;
  Memory input[reference::NAMES], mask, carry_gain, saved, grad_laid_out, grad_grids[2];
  Flags reset, hold[2];

  template <class Number>
  static Number* data(std::vector<Number>& memory) {
    return memory.empty() ? nullptr : memory.data();
  }

  size_t input_size() const { return size_t(all_rows * c.I); }

  int64_t alive(int64_t t) const {
    int64_t count = 0;
    for (int64_t b = 0; b < c.B; ++b) count += c.length(b) > t;
    return count;
  }

  void choose_program(bool save, bool pure) {
    const tt_program* found = program_of(c.name(), save, pure, c.P < c.H);
    if (!found) {
      std::printf("no program of %s\n", c.name().c_str());
      std::exit(1);
    }
    program = *found;
    program.slots = program.kept + int32_t((program.norms + c.H - 1) / c.H);
    p.program = &program;
  }

  // A grid packed, with time first or, with other strides, with the sequences first.
  Memory laid_out(const Memory& full, int64_t features, int64_t& step,
                  int64_t& batch) const {
    step = batch_first ? features : c.B * features;
    batch = batch_first ? c.T * features : features;
    if (!batch_first) return grid(full, features);
    Memory to(full.size());
    for (int64_t t = 0; t < c.T && !full.empty(); ++t)
      for (int64_t b = 0; b < c.B; ++b)
        std::copy_n(full.begin() + (t * c.B + b) * features, features,
                    to.begin() + t * step + b * batch);
    return to;
  }
};
