// The time loop, backward: the same division of work as forward. Behind it, chunk by
// chunk while the gradients of the pre-activations are in cache, come the large products
// for the weights (gradients.h).
#pragma once

#include "backward_state.h"
#include "straight.h"

namespace TT_ISA {

template <class T>
class BackwardRun : BackwardState<T> {
  using State = BackwardState<T>;
  using State::arrive, State::at, State::carry, State::carry_c, State::cell, State::coupled;
  using State::field_size, State::hold, State::leave, State::outputs, State::p;
  using State::parts_of, State::pass, State::plan, State::projected, State::units;
  using State::w_hh, State::width, State::zoneout;
  using typename State::Group;
  using typename State::Own;
  using typename State::Place;

 public:
  BackwardRun(const tt_problem& problem, int threads)
      : State(problem, threads), phases(runners_of<T>(problem.program->backward)) {
    group.resize(size_t(plan.by_rows ? plan.team : 1));
    own.resize(size_t(plan.team));
    for (size_t i = 0; i < group.size(); ++i) {
      Group& g = group[i];
      g.order = &plan.order(int(i));
      g.chunks = chunks_of(*g.order, 128);
      g.most_rows = g.order->size();
      for (const Chunk& c : g.chunks) g.most_rows = std::max(g.most_rows, c.rows);
      g.weights.emplace(p, *g.order, plan.company(), g.most_rows);
    }
    for (int i = 0; i < plan.team; ++i) {
      own[size_t(i)].thread = i;
      own[size_t(i)].group = &group[plan.by_rows ? size_t(i) : 0];
    }
  }

  // False, with nothing done, where the threads are not to be had.
  bool run(Arena& arena) {
    Request count;
    request(count);
    arena.reserve(count.bytes);
    request(arena);
    for (int k = 0; k < cell.constants_count; ++k)
      std::fill_n(constants + k * kMostVectors * lanes<T>, kMostVectors * lanes<T>,
                  T(cell.constants[k]));
    return together(plan.team, [&](int thread) { work(own[size_t(thread)]); });
  }

 private:
  std::vector<Runner<T>> phases;
  std::vector<Group> group;
  std::vector<Own> own;
  T *w_hr = nullptr, *w_mh[TT_PRODUCTS] = {};  // panels of the other products
  T *extra = nullptr, *constants = nullptr;

  template <class Memory>
  void request(Memory& memory) {
    w_hh = memory.template take<T>(cell.h_gates * p.H * outputs.columns);
    if (projected()) w_hr = memory.template take<T>(p.P * units.columns);
    for (int k = 0; k < cell.products; ++k)
      w_mh[k] = memory.template take<T>(cell.gates[k] * p.H * units.columns);
    extra = memory.template take<T>(cell.extras * units.columns);
    constants = memory.template take<T>(cell.constants_count * kMostVectors * lanes<T>);
    for (Group& g : group) {
      const int64_t size = g.order->size();
      for (T*& part : g.dz) part = memory.template take<T>(g.most_rows * width());
      g.dh = memory.template take<T>(projected() ? g.most_rows * p.P : 0);
      g.out = memory.template take<T>(projected() ? g.most_rows * p.H : 0);
      g.mid = memory.template take<T>(g.most_rows * cell.products * p.H);
      g.direct = memory.template take<T>(size * p.P);
      g.dc = memory.template take<T>(size * field_size(1));
      g.held_c = memory.template take<T>(size * field_size(1));
      g.parts = memory.template take<Part>(plan.company() * cell.norms * size);
      g.weights->take_shared(memory);
    }
    for (Own& o : own) {
      const int64_t size = o.group->order->size();
      const Share share = plan.share(units, o.thread);
      const int64_t columns = (share.end - share.begin) * lanes<T>;
      o.dh = memory.template take<T>(size * kPanelVectors * lanes<T>);
      o.extra = memory.template take<T>(cell.extras * p.H);
      o.spills = memory.template take<T>(size * cell.backward.spills * columns);
      o.registers = memory.template take<T>(cell.backward.registers * kRegister * lanes<T>);
      o.sums = memory.template take<T>(size * (2 * lanes<T> + 1));
      for (const T*** list : {&o.a, &o.h_old, &o.c_old, &o.mask})
        *list = memory.template take<const T*>(size);
      for (T*** list : {&o.h_new, &o.c_new, &o.saved, &o.dc, &o.dz, &o.mid, &o.out})
        *list = memory.template take<T*>(size);
      o.norms = memory.template take<RowNorm<T>>(cell.norms * size);
      o.weights = o.group->weights->take_own(memory, [&](int64_t vectors) {
        return plan.by_rows ? Share{0, vectors} : share_of(vectors, o.thread, plan.team);
      });
    }
  }

  void pack_all(int thread) {
    plan.packs(outputs, thread, [&](const UnitBlock& b) {
      T* to = w_hh + cell.h_gates * p.H * b.before;
      for (int g = 0; g < cell.h_gates; ++g, to += p.H * b.vectors * lanes<T>)
        pack(b, at(p.weight_hh, cell.h_order[g] * p.H, p.P), p.P, p.H, to);
    });
    plan.packs(units, thread, [&](const UnitBlock& b) {
      if (projected())
        pack(b, static_cast<const T*>(p.weight_hr), p.H, p.P, w_hr + p.P * b.before);
      for (int k = 0, gate = 0; k < cell.products; gate += cell.gates[k++]) {
        T* to = w_mh[k] + cell.gates[k] * p.H * b.before;
        for (int g = 0; g < cell.gates[k]; ++g, to += p.H * b.vectors * lanes<T>)
          pack(b, at(p.weight_mh, (gate + cell.order[k][g]) * p.H, p.H), p.H, p.H, to);
      }
      for (int k = 0; k < cell.extras; ++k) {
        T* to = extra + k * units.columns + b.before;
        std::fill_n(to, b.vectors * lanes<T>, T(0));
        std::copy_n(at(p.extra, k, p.H) + b.unit, b.units, to);
      }
    });
  }

  void work(Own& o) {
    pack_all(o.thread);
    std::fill_n(o.extra, cell.extras * p.H, T(0));
    Group& g = *o.group;
    const int place = plan.place(o.thread);
    g.weights->begin(o.weights, place);
    begin(o);
    if (plan.by_rows) meet(plan.team);
    int turn = 0;
    const T* next = nullptr;  // gradients of the step after, by position
    for (size_t i = g.chunks.size(); i-- > 0; turn ^= 1) {
      const Chunk& chunk = g.chunks[i];
      int64_t row = chunk.rows;
      for (int64_t s = chunk.end; s-- > chunk.begin;) {
        const int64_t rows = g.order->batch[size_t(s)];
        row -= rows;
        const Place here{s,
                         rows,
                         g.dz[turn] + row * width(),
                         g.dh + row * p.P,
                         g.mid + row * cell.products * p.H,
                         g.out + row * p.H};
        step(o, here, next);
        next = here.dz;
        if (coupled()) meet(plan.company());
      }
      if (!coupled()) meet(plan.company());
      g.weights->add(o.weights, chunk, {g.dz[turn], g.dh, g.mid, g.out}, place,
                     i + 1 == g.chunks.size());
    }
    end(o, next);
    if (plan.by_rows) {
      meet(plan.team);  // every thread has a sum of its own sequences
      std::vector<typename WeightGradients<T>::Own*> all;
      for (Own& one : own) all.push_back(&one.weights);
      g.weights->finish(all, o.thread);
    } else {
      g.weights->finish({&o.weights}, 0);
    }
    if (p.grad_extra) finish_extra(o.thread);
  }

  // A panel of `rows` rows of a weight, the columns of a block.
  void pack(const UnitBlock& b, const T* weight, int64_t row, int64_t rows, T* out) const {
    const int64_t columns = b.vectors * lanes<T>;
    for (int64_t k = 0; k < rows; ++k, out += columns) {
      std::copy_n(weight + k * row + b.unit, b.units, out);
      std::fill(out + b.units, out + columns, T(0));
    }
  }

  // What reaches a sequence's last state from outside waits there for the loop.
  void begin(const Own& o) const {
    const Group& g = *o.group;
    for (int grid = 0; grid < (cell.fields ? 2 : 1); ++grid)
      plan.runs(grid ? units : outputs, o.thread, 0, [&](const UnitBlock& b) {
        const int64_t size = field_size(grid);
        const void* from = p.grad_final[grid];
        for (int64_t j = 0; j < g.order->size(); ++j)
          parts_of(grid, b, [&](int64_t unit, int) {
            T* to = (grid ? g.dc : g.direct) + j * size + unit;
            if (from)
              std::copy_n(at(from, g.order->sequence[size_t(j)], size) + unit, b.units, to);
            else
              std::fill_n(to, b.units, T(0));
          });
      });
  }

  void point(Own& o, const Place& here) const {
    const Order& order = *o.group->order;
    for (int64_t j = 0; j < here.rows; ++j) {
      const int64_t row = order.row(here.s, j);
      o.h_old[j] = old_state<T>(p, order, 0, here.s, j);
      if (cell.fields) {
        o.c_old[j] = old_state<T>(p, order, 1, here.s, j);
        o.c_new[j] = at(p.states[1], row, field_size(1));
      }
      o.h_new[j] = at(p.states[0], row, p.P);
      if (p.mask) o.mask[j] = at(p.mask, order.sequence[size_t(j)], p.P);
      if (p.saved) o.saved[j] = at(p.saved, row, cell.slots * p.H);
      o.dc[j] = o.group->dc + j * field_size(1);
      o.dz[j] = here.dz + j * width();
      o.mid[j] = here.mid + j * cell.products * p.H;
      o.out[j] = here.out + j * p.H;
    }
  }

  void step(Own& o, const Place& here, const T* next) const {
    point(o, here);
    plan.runs(outputs, o.thread, here.s, [&](const UnitBlock& b) {
      carry(o, b, here.s, next);
      arrive(o, 0, b, here);
      if (zoneout(0)) hold(o, 0, b, here);
      if (projected())
        for (int64_t j = 0; j < here.rows; ++j)
          std::copy_n(o.dh + j * b.vectors * lanes<T>, b.units, here.dh + j * p.P + b.unit);
      else
        phase(o, 0, b, here);
    });
    if (projected()) {
      meet(plan.company());
      plan.runs(units, o.thread, here.s, [&](const UnitBlock& b) {
        back(o, b, here.rows, here.dh, p.P, p.P, w_hr);
        phase(o, 0, b, here);
      });
    }
    for (int i = 1; i < cell.backward.count; ++i) {
      sum_up(o, cell.backward.phases[i - 1], here);
      plan.runs(units, o.thread, here.s, [&](const UnitBlock& b) { phase(o, i, b, here); });
    }
  }

  // One phase of the cell, for a block.
  void phase(Own& o, int number, const UnitBlock& b, const Place& here) const {
    const tt_phase& phase = cell.backward.phases[number];
    if (number == 0 && cell.fields) {
      carry_c(o, b, here.s);
      arrive(o, 1, b, here);
      if (zoneout(1)) hold(o, 1, b, here);
    }
    if (phase.product >= 0) {
      const int k = phase.product;
      back(o, b, here.rows, here.dz + cell.slot[k] * p.H, width(), cell.gates[k] * p.H,
           w_mh[k]);
      if (p.mask)
        for (int64_t j = 0; j < here.rows; ++j)
          for (int u = 0; u < b.units; ++u)
            o.dh[j * b.vectors * lanes<T> + u] *= o.mask[j][b.unit + u];
    }
    phases[size_t(number)].run(scene(o, b, here));
    if (number + 1 < cell.backward.count) return;
    if (p.mask)  // what entered the products
      for (int64_t j = 0; j < here.rows; ++j)
        for (int k = 0; k < cell.products; ++k)
          for (int64_t u = b.unit; u < b.unit + b.units; ++u)
            o.mid[j][k * p.H + u] *= o.mask[j][u];
    pass(o, b, here);
    leave(o, b, here);
  }

  // Back through a product with K gradients per row, into o.dh.
  void back(Own& o, const UnitBlock& b, int64_t rows, const T* from, int64_t distance,
            int64_t K, const T* panels) const {
    for (int64_t j = 0; j < rows; ++j) o.a[j] = from + j * distance;
    panel_product<T>(o.a, rows, 1, K, nullptr, panels + K * b.before, b.vectors, o.dh,
                     b.vectors * lanes<T>);
  }

  // Between two phases: threads meet, and know the sums over rows then.
  void sum_up(Own& o, const tt_phase& phase, const Place& here) const {
    const int64_t size = o.group->order->size(), stride = plan.company() * size;
    for (int i = phase.norms_begin; i < phase.norms_end; ++i) {
      const tt_norm& norm = cell.backward.norms[i];
      sum_rows<T>(
          norm, here.rows,
          [&](auto each) {
            plan.runs(units, o.thread, 0,
                      [&](const UnitBlock& b) { each(scene(o, b, here)); });
          },
          o.sums, o.group->parts + norm.number * stride + plan.place(o.thread) * size);
    }
    meet(plan.company());
    for (int i = phase.norms_begin; i < phase.norms_end; ++i) {
      const tt_norm& norm = cell.backward.norms[i];
      put_together(norm, o.group->parts + norm.number * stride, size, here.rows,
                   plan.company(), o.norms + norm.number * size);
    }
  }

  Scene<T> scene(const Own& o, const UnitBlock& b, const Place& here) const {
    const int64_t gate = b.vectors * lanes<T>, size = o.group->order->size();
    const int64_t first = plan.share(units, o.thread).begin * lanes<T>;
    T* spills = o.spills + size * cell.backward.spills * (b.before - first);
    return {
        here.rows,
        b.unit,
        p.H,
        b.units,
        b.vectors,
        {o.registers, nullptr, nullptr, nullptr, extra + b.before, constants, spills, o.dh},
        {kRegister * lanes<T>, 0, 0, 0, units.columns, kMostVectors * lanes<T>, size * gate,
         0},
        {gate, 0, 0, 0, 0, 0, gate, gate},
        {const_cast<T* const*>(o.h_old), const_cast<T* const*>(o.c_old), o.h_new, o.c_new,
         o.saved, o.mid, o.out, o.dz, o.dc},
        o.extra,
        o.norms,
        size,
        cell.kept * p.H};
  }

  // Before the first step: the gradient of the given state.
  void end(Own& o, const T* next) const {
    const Order& order = *o.group->order;
    plan.runs(outputs, o.thread, 0, [&](const UnitBlock& b) {
      carry(o, b, -1, next);
      if (!p.grad_state[0]) return;
      for (int64_t j = 0; j < order.size(); ++j)
        std::copy_n(o.dh + j * b.vectors * lanes<T>, b.units,
                    at(p.grad_state[0], order.sequence[size_t(j)], p.P) + b.unit);
    });
    if (!cell.fields) return;
    plan.runs(units, o.thread, 0, [&](const UnitBlock& b) {
      carry_c(o, b, -1);
      if (!p.grad_state[1]) return;
      for (int64_t j = 0; j < order.size(); ++j)
        parts_of(1, b, [&](int64_t unit, int) {
          std::copy_n(o.group->dc + j * field_size(1) + unit, b.units,
                      at(p.grad_state[1], order.sequence[size_t(j)], field_size(1)) + unit);
        });
    });
  }

  // Each thread adds up some units; what it does not own is zero in its sums.
  void finish_extra(int thread) const {
    if (!plan.by_rows) meet(plan.team);
    const Share mine = share_of(cell.extras * p.H, thread, plan.team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      T sum = 0;
      for (const Own& o : own) sum += o.extra[i];
      static_cast<T*>(p.grad_extra)[i] = sum;
    }
  }
};

}  // namespace TT_ISA
