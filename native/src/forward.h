// The time loop, forward. Each thread runs all steps for its sequences, or for its share
// of the hidden units; then threads meet once per step, because a product needs every
// unit of h.
#pragma once

#include "cells.h"
#include "plan.h"
#include "team.h"

namespace TT_ISA {

// Row pointers of one step, by position in the order of the sequences.
template <class T>
struct Rows {
  const T **x, **a, **h_old, **c_old;
  T **h, **c, **saved;
};

template <class T>
class ForwardRun {
 public:
  ForwardRun(const tt_problem& problem, const CellRules<T>& cell, int threads)
      : p(problem), cell(cell), plan(problem, cell.gates, cell.gates, threads) {}

  // False, with nothing done, where the threads are not to be had.
  bool run(Arena& arena) {
    prepare(arena);
    return go(true);
  }

  // Takes the memory that every `go` uses; the arena must stay as it is until the last.
  void prepare(Arena& arena) {
    const int64_t block = std::max(kPanelVectors, cell.gates) * lanes<T>;
    const int64_t units = plan.units(plan.team - 1).end - plan.units(plan.team - 1).begin;
    const int64_t columns = (units + 1) * cell.gates * lanes<T>;
    own.resize(size_t(plan.team));
    size_t bytes = Arena::bytes_of<T>((p.I + 1) * plan.columns) +
                   Arena::bytes_of<T>((p.H + 1) * plan.columns) +
                   (p.mask ? 4 * Arena::bytes_of<T>(p.B * p.H) : 0);
    for (int i = 0; i < plan.team; ++i) {
      Own& o = own[size_t(i)];
      o.thread = i;
      o.order = &plan.order(i);
      o.chunks = chunks_of(*o.order, 256);
      o.most_rows = o.order->size();
      for (const Chunk& c : o.chunks) o.most_rows = std::max(o.most_rows, c.rows);
      bytes += Arena::bytes_of<T>(o.most_rows * columns) +
               Arena::bytes_of<T>(o.order->size() * block) +
               7 * Arena::bytes_of<T*>(o.most_rows);
    }
    arena.reserve(bytes);
    w_ih = arena.take<T>((p.I + 1) * plan.columns);
    w_hh = arena.take<T>((p.H + 1) * plan.columns);
    if (p.mask)
      for (T*& part : masked) part = arena.take<T>(p.B * p.H);
    for (Own& o : own) {
      o.ax = arena.take<T>(o.most_rows * columns);
      o.ah = arena.take<T>(o.order->size() * block);
      for (const T*** list : {&o.rows.x, &o.rows.a, &o.rows.h_old, &o.rows.c_old})
        *list = arena.take<const T*>(o.most_rows);
      for (T*** list : {&o.rows.h, &o.rows.c, &o.rows.saved})
        *list = arena.take<T*>(o.most_rows);
    }
  }

  // All steps of the problem as it is now; without `pack` with the weights packed before.
  bool go(bool pack) {
    return together(plan.team, [&](int thread) { work(own[size_t(thread)], pack); });
  }

 private:
  struct Own {
    int thread;
    const Order* order;
    std::vector<Chunk> chunks;
    int64_t most_rows;
    T *ax, *ah;
    Rows<T> rows;
  };

  const tt_problem& p;
  const CellRules<T>& cell;
  Plan<T> plan;
  std::vector<Own> own;                // by thread
  T *w_ih = nullptr, *w_hh = nullptr;  // panels of all blocks
  T* masked[4] = {};  // h of even and of odd steps, state and initial, times the mask

  static const T* at(const void* base, int64_t row, int64_t width) {
    return static_cast<const T*>(base) + row * width;
  }
  static T* at(void* base, int64_t row, int64_t width) {
    return static_cast<T*>(base) + row * width;
  }

  void work(Own& o, bool fresh) {
    if (fresh)
      plan.packs(o.thread, [&](const UnitBlock& b) {
        pack(b, p.weight_ih, p.bias_ih, p.I, w_ih + (p.I + 1) * b.before);
        pack(b, p.weight_hh, p.bias_hh, p.H, w_hh + (p.H + 1) * b.before);
      });
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
        meet(plan.company());
      }
    }
    finish(o);
  }

  // Per block a panel for each four vectors: the bias, then the columns for every k.
  void pack(const UnitBlock& b, const void* weight, const void* bias, int64_t K,
            T* out) const {
    for (int first = 0; first < cell.gates * b.vectors; first += kPanelVectors) {
      const int n = std::min(kPanelVectors, cell.gates * b.vectors - first);
      const int64_t columns = n * lanes<T>;
      const auto row_of = [&](int64_t j) -> int64_t {
        const int64_t vector = first + j / lanes<T>;
        const int64_t unit = vector % b.vectors * lanes<T> + j % lanes<T>;
        return unit < b.units ? vector / b.vectors * p.H + b.unit + unit : -1;
      };
      for (int64_t j = 0; j < columns; ++j)
        out[j] = bias && row_of(j) >= 0 ? static_cast<const T*>(bias)[row_of(j)] : T(0);
      pack_transposed(static_cast<const T*>(weight), K, K, columns, row_of, out + columns);
      out += (K + 1) * columns;
    }
  }

  // a[rows] times all panels of one block.
  void product(const UnitBlock& b, const T* const* a, int64_t rows, int64_t K,
               const T* panel, T* out) const {
    const int all = cell.gates * b.vectors;
    for (int first = 0; first < all; first += kPanelVectors) {
      const int n = std::min(kPanelVectors, all - first);
      panel_product(a, rows, 1, K, panel, panel + n * lanes<T>, n, out + first * lanes<T>,
                    int64_t(all) * lanes<T>);
      panel += (K + 1) * n * lanes<T>;
    }
  }

  void project(Own& o, const Chunk& chunk) const {
    int64_t row = 0;
    for (int64_t s = chunk.begin; s < chunk.end; ++s)
      for (int64_t j = 0; j < o.order->batch[size_t(s)]; ++j)
        o.rows.x[row++] = static_cast<const T*>(p.x) + o.order->time(s, j) * p.x_step +
                          o.order->sequence[size_t(j)] * p.x_batch;
    plan.runs(o.thread, 0, [&](const UnitBlock& b) {
      product(b, o.rows.x, chunk.rows, p.I, w_ih + (p.I + 1) * b.before,
              o.ax + chunk.rows * (b.before - first_column(o)));
    });
  }

  // Of the blocks that a thread runs.
  int64_t first_column(const Own& o) const {
    return plan.by_rows ? 0 : plan.blocks[plan.bounds[size_t(o.thread)]].before;
  }

  void point(Own& o, int64_t s) const {
    const Order& order = *o.order;
    Rows<T>& rows = o.rows;
    for (int64_t j = 0; j < order.batch[size_t(s)]; ++j) {
      const int64_t b = order.sequence[size_t(j)];
      const int64_t grid = order.time(s, j) * p.B + b;
      const bool reset = p.reset && p.reset[grid];
      for (int field = 0; field <= int(cell.has_c); ++field) {
        const T*& old = field ? rows.c_old[j] : rows.h_old[j];
        if (reset)
          old = at(p.initial[field], b, p.H);
        else if (s == 0)
          old = at(p.state[field], b, p.H);
        else
          old = at(p.states[field], order.time(s - 1, j) * p.B + b, p.H);
        (field ? rows.c[j] : rows.h[j]) = at(p.states[field], grid, p.H);
      }
      rows.a[j] = rows.h_old[j];
      if (p.mask)
        rows.a[j] = reset    ? masked[3] + b * p.H
                    : s == 0 ? masked[2] + b * p.H
                             : masked[(s - 1) & 1] + b * p.H;
      if (p.saved) rows.saved[j] = at(p.saved, grid, cell.slots * p.H);
    }
  }

  void step(Own& o, const Chunk& chunk, int64_t s, int64_t row) const {
    const Order& order = *o.order;
    const int64_t rows = order.batch[size_t(s)];
    point(o, s);
    plan.runs(o.thread, s, [&](const UnitBlock& b) {
      const int64_t columns = int64_t(cell.gates) * b.vectors * lanes<T>;
      const T* ax = o.ax + chunk.rows * (b.before - first_column(o));
      product(b, o.rows.a, rows, p.H, w_hh + (p.H + 1) * b.before, o.ah);
      cell.forward({rows, b.unit, p.H, b.units, ax + row * columns, o.ah, columns,
                    int64_t(b.vectors) * lanes<T>, o.rows.h_old, o.rows.c_old, o.rows.h,
                    o.rows.c, p.saved ? o.rows.saved : nullptr,
                    static_cast<const T*>(p.extra), T(p.leak), T(p.alpha)});
      if (p.hold[0] || p.hold[1] || p.share[0] != 0 || p.share[1] != 0 || p.added[0] ||
          p.added[1])
        for (int field = 0; field <= int(cell.has_c); ++field)
          disturb(order, field, b, field ? o.rows.c_old : o.rows.h_old,
                  field ? o.rows.c : o.rows.h, s);
      if (p.mask)
        for (int64_t j = 0; j < rows; ++j) {
          const int64_t from = order.sequence[size_t(j)] * p.H + b.unit;
          for (int u = 0; u < b.units; ++u)
            masked[s & 1][from + u] =
                o.rows.h[j][b.unit + u] * static_cast<const T*>(p.mask)[from + u];
        }
    });
  }

  // Zoneout, then what is added from outside.
  void disturb(const Order& order, int field, const UnitBlock& b, const T* const* old, T* const* now,
               int64_t s) const {
    const uint8_t* hold = p.hold[field];
    const T share = T(p.share[field]);
    const T* added = static_cast<const T*>(p.added[field]);
    for (int64_t j = 0; j < order.batch[size_t(s)]; ++j) {
      const int64_t from = (order.time(s, j) * p.B + order.sequence[size_t(j)]) * p.H;
      for (int64_t u = b.unit; u < b.unit + b.units; ++u) {
        T value = now[j][u];
        if (hold && hold[from + u]) value = old[j][u];
        if (share != 0) value = share * old[j][u] + (1 - share) * value;
        now[j][u] = added ? value + added[from + u] : value;
      }
    }
  }

  void mask_rows(const void* rows, T* out, int thread) const {
    const Share mine = share_of(p.B * p.H, thread, plan.team);
    for (int64_t i = mine.begin; i < mine.end; ++i)
      out[i] = static_cast<const T*>(rows)[i] * static_cast<const T*>(p.mask)[i];
  }

  // The final state, and zeros where h does not exist.
  void finish(const Own& o) const {
    const Order& order = *o.order;
    const Share mine = share_of(order.size(), plan.place(o.thread), plan.company());
    for (int64_t j = mine.begin; j < mine.end; ++j) {
      const int64_t b = order.sequence[size_t(j)], n = order.length[size_t(j)];
      for (int field = 0; field <= int(cell.has_c); ++field) {
        if (!p.final[field]) continue;
        const T* last = n ? at(p.states[field], order.time(n - 1, j) * p.B + b, p.H)
                          : at(p.state[field], b, p.H);
        std::copy(last, last + p.H, at(p.final[field], b, p.H));
      }
      for (int64_t t = n; t < p.T; ++t)
        std::fill_n(at(p.states[0], t * p.B + b, p.H), p.H, T(0));
    }
    settle_stores();
  }
};

}  // namespace TT_ISA
