// The time loop, forward. Each thread runs all steps for its sequences, or for its share
// of the hidden units; then threads meet once per step, because a product needs every
// unit of h.
#pragma once

#include "forward_state.h"
#include "straight.h"

namespace TT_ISA {

template <class T, class W>
class ForwardRun : ForwardState<T, W> {
  using State = ForwardState<T, W>;
  using State::ah_of, State::at, State::ax_of, State::cell, State::constants;
  using State::coupled, State::extra, State::field_size, State::first_column, State::grids;
  using State::mask_rows, State::masked, State::outputs, State::own, State::p;
  using State::pack_all, State::plan, State::product, State::projected, State::request;
  using State::units, State::w_hh, State::w_hr, State::w_ih, State::w_mh;
  using typename State::Own;

 public:
  ForwardRun(const tt_problem& problem, int threads)
      : State(problem, threads), phases(runners_of<T>(problem.program->forward)) {}

  // False, with nothing done, where the threads are not to be had.
  bool run(Arena& arena) {
    prepare(arena);
    return go(true);
  }

  // Takes the memory that every `go` uses; the arena must stay as it is until the last.
  void prepare(Arena& arena) {
    own.resize(size_t(plan.team));
    for (int i = 0; i < plan.team; ++i) {
      Own& o = own[size_t(i)];
      o.thread = i;
      o.order = &plan.order(i);
      o.chunks = chunks_of(*o.order, 256);
      o.most_rows = o.order->size();
      for (const Chunk& c : o.chunks) o.most_rows = std::max(o.most_rows, c.rows);
    }
    // The same requests twice: once to count, once to take.
    Request count;
    request(count);
    arena.reserve(count.bytes);
    request(arena);
  }

  // All steps of the problem as it is now; without `pack` with the weights packed before.
  bool go(bool pack) {
    for (int k = 0; pack && k < cell.constants_count; ++k)
      std::fill_n(constants + k * kMostVectors * lanes<T>, kMostVectors * lanes<T>,
                  T(cell.constants[k]));
    return together(plan.team, [&](int thread) { work(own[size_t(thread)], pack); });
  }

 private:
  std::vector<Runner<T>> phases;

  void work(Own& o, bool fresh) {
    if (fresh) pack_all(o.thread);
    if (p.mask) {
      mask_rows(p.state[0], masked[2], o.thread);
      if (p.initial[0]) mask_rows(p.initial[0], masked[3], o.thread);
    }
    if (p.mask || plan.by_rows) meet(plan.team);
    for (const Chunk& chunk : o.chunks) {
      project(o, chunk);
      int64_t row = 0;
      for (int64_t s = chunk.begin; s < chunk.end; ++s) {
        step(o, chunk, s, row);
        row += o.order->batch[size_t(s)];
        if (coupled()) meet(plan.company());
      }
    }
    if (!coupled()) meet(plan.company());
    finish(o);
  }

  void project(Own& o, const Chunk& chunk) const {
    int64_t row = 0;
    for (int64_t s = chunk.begin; s < chunk.end; ++s)
      for (int64_t j = 0; j < o.order->batch[size_t(s)]; ++j)
        o.rows.x[row++] =
            static_cast<const T*>(p.x) + o.order->offset(s, j, p.x_step, p.x_batch);
    plan.runs(units, o.thread, 0, [&](const UnitBlock& b) {
      product(b, cell.x_gates, o.rows.x, chunk.rows, p.I,
              w_ih + (p.I + 1) * cell.x_gates * b.before, ax_of(o, chunk, b));
    });
  }

  void point(Own& o, int64_t s) const {
    const Order& order = *o.order;
    Rows<T>& rows = o.rows;
    for (int64_t j = 0; j < order.batch[size_t(s)]; ++j) {
      const int64_t b = order.sequence[size_t(j)];
      const int64_t grid = order.row(s, j);
      const bool reset = p.reset && p.reset[grid];
      for (int field = 0; field < grids(); ++field) {
        const T*& old = field ? rows.c_old[j] : rows.h_old[j];
        const int64_t size = field_size(field);
        if (reset)
          old = at(p.initial[field], b, size);
        else if (s == 0)
          old = at(p.state[field], b, size);
        else
          old = at(p.states[field], order.row(s - 1, j), size);
        (field ? rows.c[j] : rows.h[j]) = at(p.states[field], grid, size);
      }
      rows.a[j] = rows.h_old[j];
      if (p.mask)
        rows.a[j] = (reset    ? masked[3]
                     : s == 0 ? masked[2]
                              : masked[(s - 1) & 1]) +
                    b * p.P;
      rows.mid[j] = o.mid + j * cell.products * p.H;
      rows.out[j] = o.out + j * p.H;
      if (p.saved) rows.saved[j] = at(p.saved, grid, cell.slots * p.H);
    }
  }

  void step(Own& o, const Chunk& chunk, int64_t s, int64_t row) const {
    const int64_t rows = o.order->batch[size_t(s)];
    point(o, s);
    for (int i = 0; i < cell.forward.count; ++i) {
      const tt_phase& phase = cell.forward.phases[i];
      const bool last = i + 1 == cell.forward.count;
      plan.runs(units, o.thread, s, [&](const UnitBlock& b) {
        if (i == 0 && cell.h_gates)
          product(b, cell.h_gates, o.rows.a, rows, p.P,
                  w_hh + (p.P + 1) * cell.h_gates * b.before, ah_of(o, b), s & 1);
        if (phase.product >= 0) inner_product(o, phase.product, b, rows);
        phases[size_t(i)].run(scene(o, chunk, b, phase, rows, row));
        mask_mid(o, b, rows, i);
        if (!last) return;
        disturb(o, 1, b, s);
        if (!projected()) settle(o, b, s);
      });
      if (last) break;
      sum_up(o, chunk, phase, rows, row);
    }
    if (!projected()) return;
    meet(plan.company());  // the projection needs every unit of its input
    plan.runs(outputs, o.thread, s, [&](const UnitBlock& b) {
      product(b, 1, o.rows.out, rows, p.H, w_hr + (p.H + 1) * b.before, o.am);
      for (int64_t j = 0; j < rows; ++j)
        std::copy_n(o.am + j * b.vectors * lanes<T>, b.units, o.rows.h[j] + b.unit);
      settle(o, b, s);
    });
  }

  void inner_product(const Own& o, int k, const UnitBlock& b, int64_t rows) const {
    for (int64_t j = 0; j < rows; ++j) o.rows.x[j] = o.rows.mid[j] + k * p.H;
    product(b, cell.gates[k], o.rows.x, rows, p.H,
            w_mh[k] + (p.H + 1) * cell.gates[k] * b.before, o.am);
  }

  // What this phase has left for a product, times the mask.
  void mask_mid(const Own& o, const UnitBlock& b, int64_t rows, int i) const {
    if (!p.mask || i + 1 >= cell.forward.count) return;
    const tt_phase& phase = cell.forward.phases[i];
    for (int k = 0; k < cell.products; ++k) {
      const int16_t place = int16_t(TT_MID * 1024 + k);
      bool here = false;
      for (int32_t n = phase.begin; n < phase.end; ++n)
        here |= cell.forward.ops[n].out == place;
      for (int64_t j = 0; here && j < rows; ++j) {
        const T* mask = at(p.mask, o.order->sequence[size_t(j)], p.P);
        for (int64_t u = b.unit; u < b.unit + b.units; ++u)
          o.rows.mid[j][k * p.H + u] *= mask[u];
      }
    }
  }

  // Between two phases: threads meet, and know the sums over rows then.
  void sum_up(Own& o, const Chunk& chunk, const tt_phase& phase, int64_t rows,
              int64_t row) const {
    const int64_t size = o.order->size(), stride = plan.company() * size;
    for (int i = phase.norms_begin; i < phase.norms_end; ++i) {
      const tt_norm& norm = cell.forward.norms[i];
      sum_rows<T>(
          norm, rows,
          [&](auto each) {
            plan.runs(units, o.thread, 0, [&](const UnitBlock& b) {
              each(scene(o, chunk, b, phase, rows, row));
            });
          },
          o.sums, o.parts + norm.number * stride + plan.place(o.thread) * size);
    }
    meet(plan.company());
    for (int i = phase.norms_begin; i < phase.norms_end; ++i) {
      const tt_norm& norm = cell.forward.norms[i];
      RowNorm<T>* norms = o.norms + norm.number * size;
      put_together(norm, o.parts + norm.number * stride, size, rows, plan.company(), norms);
      if (p.saved && plan.place(o.thread) == 0)
        for (int64_t r = 0; r < rows; ++r)
          o.rows.saved[r][cell.kept * p.H + norm.number] = norms[r].second;
    }
  }

  Scene<T> scene(const Own& o, const Chunk& chunk, const UnitBlock& b,
                 const tt_phase& phase, int64_t rows, int64_t row) const {
    const int64_t gate = b.vectors * lanes<T>, size = o.order->size();
    const int64_t m_gates = phase.product < 0 ? 1 : cell.gates[phase.product];
    T* spills = o.spills + size * cell.forward.spills * (b.before - first_column(o));
    return {rows,
            b.unit,
            p.H,
            b.units,
            b.vectors,
            {o.registers, ax_of(o, chunk, b) + row * cell.x_gates * gate, ah_of(o, b), o.am,
             extra + b.before, constants, spills, nullptr},
            {kRegister * lanes<T>, gate, gate, gate, units.columns, kMostVectors * lanes<T>,
             size * gate, 0},
            {gate, cell.x_gates * gate, cell.h_gates * gate, m_gates * gate, 0, 0, gate, 0},
            {const_cast<T* const*>(o.rows.h_old), const_cast<T* const*>(o.rows.c_old),
             o.rows.h, o.rows.c, o.rows.saved, o.rows.mid, o.rows.out, nullptr, nullptr},
            nullptr,
            o.norms,
            size,
            0};
  }

  // The new h is there: what is done to it, and its form for the next product.
  void settle(const Own& o, const UnitBlock& b, int64_t s) const {
    disturb(o, 0, b, s);
    if (!p.mask) return;
    for (int64_t j = 0; j < o.order->batch[size_t(s)]; ++j) {
      const int64_t from = o.order->sequence[size_t(j)] * p.P + b.unit;
      for (int u = 0; u < b.units; ++u)
        masked[s & 1][from + u] =
            o.rows.h[j][b.unit + u] * static_cast<const T*>(p.mask)[from + u];
    }
  }

  // Zoneout, then what is added from outside.
  void disturb(const Own& o, int grid, const UnitBlock& b, int64_t s) const {
    const uint8_t* hold = p.hold[grid];
    const T* added = static_cast<const T*>(p.added[grid]);
    const int fields = grid ? cell.fields : 1;
    const T* const* before = grid ? o.rows.c_old : o.rows.h_old;
    T* const* now = grid ? o.rows.c : o.rows.h;
    for (int field = 0; field < fields; ++field) {
      const T share = T(p.share[grid + field]);
      if (!hold && share == 0 && !added) continue;
      const int64_t unit = field * p.H + b.unit;
      for (int64_t j = 0; j < o.order->batch[size_t(s)]; ++j) {
        const int64_t from = o.order->row(s, j) * field_size(grid);
        for (int64_t u = unit; u < unit + b.units; ++u) {
          T value = now[j][u];
          if (hold && hold[from + u]) value = before[j][u];
          if (share != 0) value = share * before[j][u] + (1 - share) * value;
          now[j][u] = added ? value + added[from + u] : value;
        }
      }
    }
  }

  // The final state, and zeros where h does not exist.
  void finish(const Own& o) const {
    const Order& order = *o.order;
    const Share mine = share_of(order.size(), plan.place(o.thread), plan.company());
    for (int64_t j = mine.begin; j < mine.end; ++j) {
      const int64_t b = order.sequence[size_t(j)], n = order.length[size_t(j)];
      for (int field = 0; field < grids(); ++field) {
        if (!p.final[field]) continue;
        const int64_t size = field_size(field);
        const T* last = n ? at(p.states[field], order.row(n - 1, j), size)
                          : at(p.state[field], b, size);
        std::copy(last, last + size, at(p.final[field], b, size));
      }
      for (int64_t t = n; t < p.T && !p.packed; ++t)
        std::fill_n(at(p.states[0], t * p.B + b, p.P), p.P, T(0));
    }
    settle_stores();
  }
};

}  // namespace TT_ISA
