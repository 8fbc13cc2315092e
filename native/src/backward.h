// The time loop, backward: the same division of work as forward. Behind it, chunk by
// chunk while the gradients of the pre-activations are in cache, come the large products
// for the weights (gradients.h).
#pragma once

#include "backward_state.h"

namespace TT_ISA {

template <class T>
class BackwardRun : BackwardState<T> {
  using State = BackwardState<T>;
  using State::arrive, State::at, State::carry, State::carry_c, State::cell;
  using State::field_size, State::hold, State::leave, State::outputs, State::p;
  using State::pass, State::plan, State::projected, State::resets_before;
  using State::second_features, State::units, State::w_hh, State::width, State::zoneout;
  using typename State::Group;
  using typename State::Own;
  using typename State::Place;

 public:
  BackwardRun(const tt_problem& problem, const CellRules<T>& cell, int threads)
      : State(problem, cell, threads) {
    group.resize(size_t(plan.by_rows ? plan.team : 1));
    own.resize(size_t(plan.team));
    for (size_t i = 0; i < group.size(); ++i) {
      Group& g = group[i];
      g.order = &plan.order(int(i));
      g.chunks = chunks_of(*g.order, 128);
      g.most_rows = g.order->size();
      for (const Chunk& c : g.chunks) g.most_rows = std::max(g.most_rows, c.rows);
      g.weights.emplace(p, cell, *g.order, plan.company(), g.most_rows);
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
    return together(plan.team, [&](int thread) { work(own[size_t(thread)]); });
  }

 private:
  std::vector<Group> group;
  std::vector<Own> own;
  T* w_second = nullptr;  // panels of the second product

  template <class Memory>
  void request(Memory& memory) {
    w_hh = memory.template take<T>(cell.h_gates * p.H * outputs.columns);
    w_second = memory.template take<T>(second_features() * units.columns);
    for (Group& g : group) {
      const int64_t size = g.order->size();
      for (T*& part : g.dz) part = memory.template take<T>(g.most_rows * width());
      g.dh = memory.template take<T>(projected() ? g.most_rows * p.P : 0);
      g.mid = memory.template take<T>(cell.second != Second::none ? g.most_rows * p.H : 0);
      g.direct = memory.template take<T>(size * p.P);
      g.dc = memory.template take<T>(size * p.H);
      g.held_c = memory.template take<T>(size * p.H);
      g.masked = memory.template take<T>(p.mask && resets_before() ? size * p.P : 0);
      for (RowSums<T>*& parts : g.parts)
        parts = memory.template take<RowSums<T>>(cell.norm ? plan.company() * size : 0);
      g.weights->take_shared(memory);
    }
    for (Own& o : own) {
      const int64_t size = o.group->order->size();
      o.dh = memory.template take<T>(size * kPanelVectors * lanes<T>);
      o.extra = memory.template take<T>(cell.extras * p.H);
      for (const T*** list : {&o.a, &o.h_in, &o.h_old, &o.c_old, &o.saved, &o.mask})
        *list = memory.template take<const T*>(size);
      for (T*** list : {&o.dc, &o.dz, &o.mid}) *list = memory.template take<T*>(size);
      o.sums = memory.template take<RowSums<T>>(cell.norm ? size : 0);
      o.weights = o.group->weights->take_own(memory, [&](int64_t vectors) {
        return plan.by_rows ? Share{0, vectors} : share_of(vectors, o.thread, plan.team);
      });
    }
  }

  void work(Own& o) {
    plan.packs(outputs, o.thread, [&](const UnitBlock& b) {
      T* to = w_hh + cell.h_gates * p.H * b.before;
      for (int g = 0; g < cell.h_gates; ++g, to += p.H * b.vectors * lanes<T>)
        pack(b, at(p.weight_hh, cell.h_order[g] * p.H, p.P), p.P, p.H, to);
    });
    plan.packs(units, o.thread, [&](const UnitBlock& b) {
      T* to = w_second + second_features() * b.before;
      if (projected()) pack(b, static_cast<const T*>(p.weight_hr), p.H, p.P, to);
      if (resets_before())
        pack(b, at(p.weight_hh, cell.x_order[0] * p.H, p.H), p.H, p.H, to);
    });
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
        const Place here{s, rows, g.dz[turn] + row * width(), g.dh + row * p.P,
                         g.mid + row * p.H};
        step(o, here, next);
        next = here.dz;
        meet(plan.company());
      }
      g.weights->add(o.weights, chunk, {g.dz[turn], g.dh, g.mid}, place,
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
    for (int field = 0; field <= int(cell.has_c); ++field)
      plan.runs(field ? units : outputs, o.thread, 0, [&](const UnitBlock& b) {
        const int64_t size = field_size(field);
        for (int64_t j = 0; j < g.order->size(); ++j) {
          T* to = (field ? g.dc : g.direct) + j * size + b.unit;
          const void* from = p.grad_final[field];
          if (from)
            std::copy_n(at(from, g.order->sequence[size_t(j)], size) + b.unit, b.units, to);
          else
            std::fill_n(to, b.units, T(0));
        }
      });
  }

  void point(Own& o, const Place& here) const {
    const Order& order = *o.group->order;
    for (int64_t j = 0; j < here.rows; ++j) {
      const int64_t b = order.sequence[size_t(j)];
      const int64_t grid = order.row(here.s, j);
      o.h_old[j] = old_state<T>(p, order, 0, here.s, j);
      if (cell.has_c) o.c_old[j] = old_state<T>(p, order, 1, here.s, j);
      o.h_in[j] = o.h_old[j];
      if (p.mask) {
        o.mask[j] = at(p.mask, b, p.P);
        if (resets_before()) o.h_in[j] = o.group->masked + j * p.P;
      }
      o.saved[j] =
          p.saved ? at(p.saved, grid, cell.slots * p.H) : at(p.states[0], grid, p.P);
      o.dc[j] = o.group->dc + j * p.H;
      o.dz[j] = here.dz + j * width();
      o.mid[j] = here.mid + j * p.H;
    }
  }

  void step(Own& o, const Place& here, const T* next) const {
    point(o, here);
    for (int phase = 0; cell.norm && phase < 2; ++phase)
      std::fill_n(own_parts(o, phase), here.rows, RowSums<T>{});
    plan.runs(outputs, o.thread, here.s, [&](const UnitBlock& b) {
      carry(o, b, here.s, next);
      arrive(o, 0, b, here);
      if (zoneout(0)) hold(o, 0, b, here);
      if (projected())
        for (int64_t j = 0; j < here.rows; ++j)
          std::copy_n(o.dh + j * b.vectors * lanes<T>, b.units, here.dh + j * p.P + b.unit);
      else
        enter(o, b, here);
    });
    if (projected()) {
      meet(plan.company());
      plan.runs(units, o.thread, here.s, [&](const UnitBlock& b) {
        back(o, b, here.rows, here.dh, p.P);
        enter(o, b, here);
      });
    }
    if (resets_before()) {
      meet(plan.company());
      plan.runs(units, o.thread, here.s, [&](const UnitBlock& b) {
        back(o, b, here.rows, here.dz, width());
        cell.backward[1](block(o, b, here, 1));
        pass(o, b, here, true);
      });
    }
    for (int phase = 1; cell.norm && phase < 3; ++phase) {
      sum_up(o, phase - 1, here.rows);
      plan.runs(units, o.thread, here.s, [&](const UnitBlock& b) {
        cell.backward[phase](block(o, b, here, phase));
        if (phase == 1) leave(o, b, here);
      });
    }
  }

  // Back through the second product, into o.dh.
  void back(Own& o, const UnitBlock& b, int64_t rows, const T* from,
            int64_t distance) const {
    const int64_t K = second_features();
    for (int64_t j = 0; j < rows; ++j) o.a[j] = from + j * distance;
    panel_product<T>(o.a, rows, 1, K, nullptr, w_second + K * b.before, b.vectors, o.dh,
                     b.vectors * lanes<T>);
  }

  // The cell's first function, once the gradients of h and c are there.
  void enter(Own& o, const UnitBlock& b, const Place& here) const {
    if (cell.has_c) {
      carry_c(o, b, here.s);
      arrive(o, 1, b, here);
      if (zoneout(1)) hold(o, 1, b, here);
    }
    if (p.mask && resets_before())
      for (int64_t j = 0; j < here.rows; ++j)
        for (int64_t u = b.unit; u < b.unit + b.units; ++u)
          o.group->masked[j * p.P + u] = o.h_old[j][u] * o.mask[j][u];
    cell.backward[0](block(o, b, here, 0));
    if (!projected()) pass(o, b, here, false);
    if (!cell.norm) leave(o, b, here);
  }

  RowSums<T>* own_parts(const Own& o, int phase) const {
    return o.group->parts[phase] + plan.place(o.thread) * o.group->order->size();
  }

  // What all threads found in a phase, by row.
  void sum_up(Own& o, int phase, int64_t rows) const {
    meet(plan.company());
    for (int64_t r = 0; r < rows; ++r) {
      RowSums<T> sum{};
      for (int i = 0; i < plan.company(); ++i) {
        const RowSums<T>& part = o.group->parts[phase][i * o.group->order->size() + r];
        for (int k = 0; k < 2; ++k)
          sum.x[k] += part.x[k], sum.h[k] += part.h[k], sum.c[k] += part.c[k];
      }
      o.sums[r] = sum;
    }
  }

  BackwardBlock<T> block(const Own& o, const UnitBlock& b, const Place& here,
                         int phase) const {
    return {here.rows,
            b.unit,
            p.H,
            b.units,
            o.h_in,
            o.h_old,
            o.c_old,
            o.saved,
            o.dh,
            b.vectors * lanes<T>,
            o.dc,
            o.dz,
            cell.second == Second::none ? nullptr : o.mid,
            p.mask ? o.mask : nullptr,
            static_cast<const T*>(p.extra),
            cell.extras ? o.extra : nullptr,
            T(p.leak),
            T(p.alpha),
            p.H,
            o.sums,
            cell.norm && phase < 2 ? own_parts(o, phase) : nullptr};
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
    if (!cell.has_c) return;
    plan.runs(units, o.thread, 0, [&](const UnitBlock& b) {
      carry_c(o, b, -1);
      if (!p.grad_state[1]) return;
      for (int64_t j = 0; j < order.size(); ++j)
        std::copy_n(o.group->dc + j * p.H + b.unit, b.units,
                    at(p.grad_state[1], order.sequence[size_t(j)], p.H) + b.unit);
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
