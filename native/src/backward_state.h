// What becomes of the gradients of h and c between the cell's own functions: what later
// steps hand back, what enters from outside, what zoneout and the cell pass by.
#pragma once

#include <optional>

#include "gradients.h"

namespace TT_ISA {

template <class T>
class BackwardState {
 protected:
  BackwardState(const tt_problem& problem, const CellRules<T>& cell, int threads)
      : p(problem),
        cell(cell),
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
    // projected; and what entered the second product.
    T *dz[2], *dh, *mid;
    // By position: what is carried past the products, dc, zoneout's share of it, and
    // the old h times the mask, where a cell needs it.
    T *direct, *dc, *held_c, *masked;
    RowSums<T>* parts[2];  // [thread][position], of two phases
  };
  struct Own {
    int thread;
    Group* group;
    T *dh, *extra;
    const T **a, **h_in, **h_old, **c_old, **saved, **mask;
    T **dc, **dz, **mid;
    RowSums<T>* sums;  // by position
    typename WeightGradients<T>::Own weights;
  };
  // Where a step stands in its chunk.
  struct Place {
    int64_t s, rows;
    T *dz, *dh, *mid;  // of its first row
  };

  const tt_problem& p;
  const CellRules<T>& cell;
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
  int64_t field_size(int field) const { return field ? p.H : p.P; }
  bool projected() const { return cell.second == Second::projection; }
  bool resets_before() const { return cell.second == Second::reset; }
  bool zoneout(int field) const { return p.hold[field] || p.share[field] != 0; }
  // Features of the gradient that enters the second product.
  int64_t second_features() const { return projected() ? p.P : resets_before() ? p.H : 0; }

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
    if (going) {
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
      if (cell.has_direct || zoneout(0))
        for (int u = 0; u < b.units; ++u) dh[u] += past[u];
      if (p.carry_gain || p.reset) shape(order, 0, b, s, j, dh);
    }
  }

  // The same for c, in place.
  void carry_c(const Own& o, const UnitBlock& b, int64_t s) const {
    if (!p.carry_gain && !p.reset) return;
    const Order& order = *o.group->order;
    for (int64_t j = 0; j < later(order, s); ++j)
      shape(order, 1, b, s, j, o.group->dc + j * p.H + b.unit);
  }

  void shape(const Order& order, int field, const UnitBlock& b, int64_t s, int64_t j,
             T* part) const {
    const int64_t sequence = order.sequence[size_t(j)];
    const int64_t grid = order.row(s + 1, j);
    if (p.carry_gain) {
      const T gain = static_cast<const T*>(p.carry_gain)[grid];
      for (int u = 0; u < b.units; ++u) part[u] *= gain;
    }
    if (p.reset && p.reset[grid]) {
      if (p.grad_initial[field]) {
        T* to = at(p.grad_initial[field], sequence, field_size(field)) + b.unit;
        for (int u = 0; u < b.units; ++u) to[u] += part[u];
      }
      std::fill_n(part, b.units, T(0));
    }
  }

  // Gradients that enter at this step from outside; what is known then is the total.
  void arrive(Own& o, int field, const UnitBlock& b, const Place& here) const {
    const Order& order = *o.group->order;
    const int64_t columns = b.vectors * lanes<T>;
    const bool from_out = field == 0 && p.grad_out;
    if (!from_out && !p.grad_states[field] && !p.grad_added[field]) return;
    for (int64_t j = 0; j < here.rows; ++j) {
      const int64_t grid = order.row(here.s, j);
      T* part = field ? o.dc[j] + b.unit : o.dh + j * columns;
      if (from_out) {
        const T* g = static_cast<const T*>(p.grad_out) + b.unit +
                     order.offset(here.s, j, p.grad_step, p.grad_batch);
        for (int u = 0; u < b.units; ++u) part[u] += g[u];
      }
      if (p.grad_states[field]) {
        const T* g = at(p.grad_states[field], grid, field_size(field)) + b.unit;
        for (int u = 0; u < b.units; ++u) part[u] += g[u];
      }
      if (p.grad_added[field])
        std::copy_n(part, b.units,
                    at(p.grad_added[field], grid, field_size(field)) + b.unit);
    }
  }

  // Zoneout: the share of the gradient that belongs to the old value is set aside.
  void hold(Own& o, int field, const UnitBlock& b, const Place& here) const {
    const Order& order = *o.group->order;
    const int64_t columns = b.vectors * lanes<T>, size = field_size(field);
    const uint8_t* held = p.hold[field];
    for (int64_t j = 0; j < here.rows; ++j) {
      const int64_t grid = order.row(here.s, j);
      T* part = field ? o.dc[j] + b.unit : o.dh + j * columns;
      T* aside = (field ? o.group->held_c : o.group->direct) + j * size + b.unit;
      for (int u = 0; u < b.units; ++u) {
        const T kept = held ? T(held[grid * size + b.unit + u] != 0) : T(p.share[field]);
        aside[u] = kept * part[u];
        part[u] -= aside[u];
      }
    }
  }

  // What goes past the products to the h before: of the cell, beside zoneout's share.
  void pass(const Own& o, const UnitBlock& b, const Place& here, bool more) const {
    if (!cell.has_direct) return;
    for (int64_t j = 0; j < here.rows; ++j) {
      T* to = o.group->direct + j * p.P + b.unit;
      const T* from = o.dh + j * b.vectors * lanes<T>;
      for (int u = 0; u < b.units; ++u)
        to[u] = (more || zoneout(0) ? to[u] : T(0)) + from[u];
    }
  }

  void leave(const Own& o, const UnitBlock& b, const Place& here) const {
    if (!cell.has_c || !zoneout(1)) return;
    for (int64_t j = 0; j < here.rows; ++j)
      for (int u = 0; u < b.units; ++u)
        o.dc[j][b.unit + u] += o.group->held_c[j * p.H + b.unit + u];
  }
};

}  // namespace TT_ISA
