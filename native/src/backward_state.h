// What becomes of the gradients of the state between the cell's own functions: what later
// steps hand back, what enters from outside, what zoneout and the cell pass by.
#pragma once

#include <optional>

#include "gradients.h"

namespace TT_ISA {

template <class T>
class BackwardState {
 protected:
  BackwardState(const tt_problem& problem, int threads)
      : p(problem),
        cell(*problem.program),
        plan(problem, cell.h_gates, threads),
        units(problem.H, 1, threads),
        outputs(problem.P, 1, threads) {}

  // What the threads of some sequences share.
  struct Group {
    const Order* order;
    std::vector<Chunk> chunks;
    int64_t most_rows;
    std::optional<WeightGradients<T>> weights;
    // By row of a chunk: gradients by slot, for two chunks in turns; of h, where it is
    // projected; and what entered the products inside the step and the projection.
    T *dz[2], *dh, *mid, *out;
    // By position: what is carried past the products, the gradient of the other fields,
    // and zoneout's share of it.
    T *direct, *dc, *held_c;
    Part* parts;  // [number][thread][position]
  };
  struct Own {
    int thread;
    Group* group;
    T *dh, *extra, *spills, *registers, *sums;
    const T **a, **h_old, **c_old, **mask;
    T **h_new, **c_new, **saved, **dc, **dz, **mid, **out;
    RowNorm<T>* norms;  // [number][position]
    typename WeightGradients<T>::Own weights;
  };
  // Where a step stands in its chunk.
  struct Place {
    int64_t s, rows;
    T *dz, *dh, *mid, *out;  // of its first row
  };

  const tt_problem& p;
  const tt_program& cell;
  Plan<T> plan;
  Blocks<T> units, outputs;  // of c, and of h where it is projected
  T* w_hh = nullptr;         // panels of all blocks

  static const T* at(const void* base, int64_t row, int64_t width) {
    return static_cast<const T*>(base) + row * width;
  }
  static T* at(void* base, int64_t row, int64_t width) {
    return static_cast<T*>(base) + row * width;
  }

  int64_t width() const { return cell.dz_slots * p.H; }
  int64_t field_size(int field) const { return field ? cell.fields * p.H : p.P; }
  bool projected() const { return p.weight_hr != nullptr; }
  bool coupled() const { return cell.h_gates || cell.backward.count > 1 || projected(); }
  bool zoneout(int grid) const {
    bool shares = p.hold[grid];
    for (int field = 0; field < (grid ? cell.fields : 1); ++field)
      shares |= p.share[grid + field] != 0;
    return shares;
  }
  // Calls work(unit, field) for the parts of a row of a grid that belong to a block.
  template <class Do>
  void parts_of(int grid, const UnitBlock& b, Do&& work) const {
    for (int field = 0; field < (grid ? cell.fields : 1); ++field)
      work(field * p.H + b.unit, field);
  }

  // Positions that go on to the step after s.
  int64_t later(const Order& order, int64_t s) const {
    return s + 1 < order.steps() ? order.batch[size_t(s + 1)] : 0;
  }

  // The gradient of h after step s, as far as it comes from later steps: o.dh is scratch
  // [row][unit]. Where step s + 1 began with a reset, what flows back belongs to the
  // initial state.
  void carry(Own& o, const UnitBlock& b, int64_t s, const T* next) const {
    const Order& order = *o.group->order;
    const int64_t rows = s < 0 ? order.size() : order.batch[size_t(s)];
    const int64_t going = later(order, s);
    const int64_t columns = b.vectors * lanes<T>;
    if (going && !cell.h_gates) {
      std::fill_n(o.dh, going * columns, T(0));
    } else if (going) {
      for (int64_t j = 0; j < going; ++j) o.a[j] = next + j * width() + cell.h_slot * p.H;
      const int64_t K = cell.h_gates * p.H;
      const T* panel = w_hh + K * b.before;
      panel_product<T>(o.a, going, 1, K, nullptr, panel, b.vectors, o.dh, columns, false,
                       s & 1 ? panel - K * columns : panel + K * columns);
    }
    for (int64_t j = 0; j < rows; ++j) {
      T* dh = o.dh + j * columns;
      const T* past = o.group->direct + j * p.P + b.unit;
      if (j >= going) {
        std::copy_n(past, b.units, dh);
        std::fill(dh + b.units, dh + columns, T(0));
        continue;
      }
      if (p.mask) {
        const T* mask = at(p.mask, order.sequence[size_t(j)], p.P) + b.unit;
        for (int u = 0; u < b.units; ++u) dh[u] *= mask[u];
      }
      if (cell.direct || zoneout(0))
        for (int u = 0; u < b.units; ++u) dh[u] += past[u];
      if (p.carry_gain || p.reset) shape(order, 0, b, s, j, dh, b.unit);
    }
  }

  // The same for the other fields, in place.
  void carry_c(const Own& o, const UnitBlock& b, int64_t s) const {
    if (!p.carry_gain && !p.reset) return;
    const Order& order = *o.group->order;
    for (int64_t j = 0; j < later(order, s); ++j)
      parts_of(1, b, [&](int64_t unit, int) {
        shape(order, 1, b, s, j, o.group->dc + j * field_size(1) + unit, unit);
      });
  }

  void shape(const Order& order, int grid, const UnitBlock& b, int64_t s, int64_t j,
             T* part, int64_t unit) const {
    const int64_t sequence = order.sequence[size_t(j)];
    const int64_t row = order.row(s + 1, j);
    if (p.carry_gain) {
      const T gain = static_cast<const T*>(p.carry_gain)[row];
      for (int u = 0; u < b.units; ++u) part[u] *= gain;
    }
    if (p.reset && p.reset[row]) {
      if (p.grad_initial[grid]) {
        T* to = at(p.grad_initial[grid], sequence, field_size(grid)) + unit;
        for (int u = 0; u < b.units; ++u) to[u] += part[u];
      }
      std::fill_n(part, b.units, T(0));
    }
  }

  // Gradients that enter at this step from outside; what is known then is the total.
  void arrive(Own& o, int grid, const UnitBlock& b, const Place& here) const {
    const Order& order = *o.group->order;
    const int64_t columns = b.vectors * lanes<T>, size = field_size(grid);
    const bool from_out = grid == 0 && p.grad_out;
    if (!from_out && !p.grad_states[grid] && !p.grad_added[grid]) return;
    for (int64_t j = 0; j < here.rows; ++j) {
      const int64_t row = order.row(here.s, j);
      parts_of(grid, b, [&](int64_t unit, int) {
        T* part = grid ? o.dc[j] + unit : o.dh + j * columns;
        if (from_out) {
          const T* g = static_cast<const T*>(p.grad_out) + unit +
                       order.offset(here.s, j, p.grad_step, p.grad_batch);
          for (int u = 0; u < b.units; ++u) part[u] += g[u];
        }
        if (p.grad_states[grid]) {
          const T* g = at(p.grad_states[grid], row, size) + unit;
          for (int u = 0; u < b.units; ++u) part[u] += g[u];
        }
        if (p.grad_added[grid])
          std::copy_n(part, b.units, at(p.grad_added[grid], row, size) + unit);
      });
    }
  }

  // Zoneout: the share of the gradient that belongs to the old value is set aside.
  void hold(Own& o, int grid, const UnitBlock& b, const Place& here) const {
    const Order& order = *o.group->order;
    const int64_t columns = b.vectors * lanes<T>, size = field_size(grid);
    const uint8_t* held = p.hold[grid];
    for (int64_t j = 0; j < here.rows; ++j) {
      const int64_t row = order.row(here.s, j);
      parts_of(grid, b, [&](int64_t unit, int field) {
        T* part = grid ? o.dc[j] + unit : o.dh + j * columns;
        T* aside = (grid ? o.group->held_c : o.group->direct) + j * size + unit;
        const T share = T(p.share[grid + field]);
        for (int u = 0; u < b.units; ++u) {
          // A unit that is held keeps all of it, of what is left the share.
          const T kept = held && held[row * size + unit + u] ? T(1) : share;
          aside[u] = kept * part[u];
          part[u] -= aside[u];
        }
      });
    }
  }

  // What goes past the products to the h before: of the cell, beside zoneout's share.
  void pass(const Own& o, const UnitBlock& b, const Place& here) const {
    if (!cell.direct) return;
    for (int64_t j = 0; j < here.rows; ++j) {
      T* to = o.group->direct + j * p.P + b.unit;
      const T* from = o.dh + j * b.vectors * lanes<T>;
      for (int u = 0; u < b.units; ++u) to[u] = (zoneout(0) ? to[u] : T(0)) + from[u];
    }
  }

  void leave(const Own& o, const UnitBlock& b, const Place& here) const {
    if (!cell.fields || !zoneout(1)) return;
    for (int64_t j = 0; j < here.rows; ++j)
      parts_of(1, b, [&](int64_t unit, int) {
        for (int64_t u = unit; u < unit + b.units; ++u)
          o.dc[j][u] += o.group->held_c[j * field_size(1) + u];
      });
  }
};

}  // namespace TT_ISA
