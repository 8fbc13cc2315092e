// One step at a time: weights packed once, state kept between the calls.
#pragma once

#include <memory>
#include <optional>

#include "forward.h"
#include "stream_base.h"

namespace TT_ISA {

// A copy of the forward part of a program.
struct OwnProgram {
  tt_program program{};

  void copy(const tt_program& from) {
    const tt_schedule& f = from.forward;
    int32_t ops_count = 0, norms_count = 0;
    for (int32_t i = 0; i < f.count; ++i) {
      ops_count = std::max(ops_count, f.phases[i].end);
      norms_count = std::max(norms_count, f.phases[i].norms_end);
    }
    ops.assign(f.ops, f.ops + ops_count);
    phases.assign(f.phases, f.phases + f.count);
    norms.assign(f.norms, f.norms + norms_count);
    constants.assign(from.constants, from.constants + from.constants_count);
    program = from;
    program.forward.ops = ops.data();
    program.forward.phases = phases.data();
    program.forward.norms = norms.data();
    program.constants = constants.data();
    program.backward = {};
  }

 private:
  std::vector<tt_op> ops;
  std::vector<tt_phase> phases;
  std::vector<tt_norm> norms;
  std::vector<double> constants;
};

template <class T, class W>
class Stream : public throughtime::StreamBase {
 public:
  // Of the problem only sizes, weights and constants are used; they may go away after.
  static Stream* make(const tt_problem& problem) {
    auto stream = std::unique_ptr<Stream>(new Stream(problem));
    stream->build(available(threads_for<T>(problem, problem.program->h_gates)));
    return stream.release();
  }

  void step(const void* x, void* out) override {
    p.x = x;
    for (int f = 0; f < 2; ++f) {
      p.state[f] = state_[now_][f].data();
      p.states[f] = state_[1 - now_][f].data();
    }
    if (!run_->go(false)) {  // fewer threads than before: plan again, for one
      build(1);
      run_->go(false);
    }
    now_ = 1 - now_;
    std::copy_n(state_[now_][0].data(), p.B * p.P, static_cast<T*>(out));
  }

  void state(int field, void* memory, bool set) override {
    std::vector<T>& mine = state_[now_][field];
    T* theirs = static_cast<T*>(memory);
    if (set)
      std::copy_n(theirs, mine.size(), mine.data());
    else
      std::copy_n(mine.data(), mine.size(), theirs);
  }

 private:
  explicit Stream(const tt_problem& problem) : p(only_weights(problem)) {
    p.T = 1;
    p.x_step = 0;
    p.x_batch = p.I;
    program_.copy(*problem.program);
    p.program = &program_.program;
    const tt_program& cell = *p.program;
    int inner = 0;
    for (int k = 0; k < cell.products; ++k) inner += cell.gates[k];
    keep(p.weight_ih, cell.x_gates * p.H * p.I, weight_ih_);
    keep(p.weight_hh, cell.h_gates * p.H * p.P, weight_hh_);
    keep(p.weight_mh, inner * p.H * p.H, weight_mh_);
    keep(p.weight_hr, p.P * p.H, weight_hr_);
    keep(p.bias_ih, cell.x_gates * p.H, bias_ih_);
    keep(p.bias_hh, cell.h_gates * p.H, bias_hh_);
    keep(p.bias_mh, inner * p.H, bias_mh_);
    keep(p.extra, cell.extras * p.H, extra_);
    for (auto& fields : state_)
      for (int field = 0; field < 2; ++field)
        fields[field].assign(size_t(p.B * (field ? cell.fields * p.H : p.P)), T(0));
  }

  static tt_problem only_weights(tt_problem p) {
    p.lengths = nullptr;
    p.reset = nullptr;
    p.mask = nullptr;
    p.saved = nullptr;
    p.reverse = 0;
    for (int f = 0; f < 2; ++f) {
      p.hold[f] = nullptr;
      p.initial[f] = p.added[f] = nullptr;
      p.final[f] = nullptr;
    }
    return p;
  }

  static void keep(const void*& from, int64_t count, std::vector<T>& to) {
    if (!from) return;
    to.assign(static_cast<const T*>(from), static_cast<const T*>(from) + count);
    from = to.data();
  }

  // Packs the weights by running one step on a state that is then forgotten.
  void build(int threads) {
    run_.emplace(p, threads);
    run_->prepare(arena_);
    std::vector<T> x(size_t(p.B * p.I));
    std::vector<T> state(size_t(p.B * p.H * std::max(1, p.program->fields)));
    std::vector<T> spare(state.size()), spare_c(state.size());  // P <= H
    const tt_problem before = p;
    p.x = x.data();
    p.state[0] = p.state[1] = state.data();
    p.states[0] = spare.data();
    p.states[1] = spare_c.data();
    if (!run_->go(true)) {
      run_.emplace(p, 1);
      run_->prepare(arena_);
      run_->go(true);
    }
    p = before;
  }

  tt_problem p;
  OwnProgram program_;
  Arena arena_;
  std::optional<ForwardRun<T, W>> run_;
  std::vector<T> weight_ih_, weight_hh_, weight_mh_, weight_hr_;
  std::vector<T> bias_ih_, bias_hh_, bias_mh_, extra_;
  std::vector<T> state_[2][2];  // of the last step and of the next one, by field
  int now_ = 0;
};

}  // namespace TT_ISA
