// The time loop, backward: the same division of work as forward. Behind it, chunk by
// chunk while the gradients of the pre-activations are in cache, come the large products
// for the weights (gradients.h).
#pragma once

#include "gradients.h"

namespace TT_ISA {

template <class T>
class BackwardRun {
 public:
  BackwardRun(const tt_problem& problem, const CellRules<T>& cell)
      : p(problem), cell(cell), order(problem), chunks(chunks_of(order, 128)) {
    vectors = (p.H + lanes<T> - 1) / lanes<T>;
    team = available(threads_for(p, cell.gates, vectors));
    for (const Chunk& c : chunks) most_rows = std::max(most_rows, c.rows);
    most_rows = std::max(most_rows, p.B);
  }

  void run(Arena& arena) {
    if (attempt(arena)) return;
    team = 1;
    attempt(arena);
  }

 private:
  struct Own {
    T *w_hh, *dh, *extra;
    const T **a, **h_old, **c_old, **saved;
    T **dc, **dz;
    typename WeightGradients<T>::Own weights;
  };

  const tt_problem& p;
  const CellRules<T>& cell;
  Order order;
  std::vector<Chunk> chunks;
  int64_t vectors, most_rows = 0;
  int team;
  T* dz[2] = {};             // gradients by slot of the rows of two chunks, in turns
  // (B, H) by position: what is carried past the products, and zoneout's share of dc.
  T *direct = nullptr, *dc = nullptr, *held_c = nullptr;

  static const T* at(const void* base, int64_t row, int64_t width) {
    return static_cast<const T*>(base) + row * width;
  }
  static T* at(void* base, int64_t row, int64_t width) {
    return static_cast<T*>(base) + row * width;
  }

  int64_t width() const { return cell.slots * p.H; }

  bool attempt(Arena& arena) {
    const int64_t units = ((vectors + team - 1) / team + 1) * lanes<T>;
    const int64_t block = kPanelVectors * lanes<T>;
    WeightGradients<T> weights(p, cell, order, team, most_rows);
    const size_t each = Arena::bytes_of<T>(cell.gates * p.H * units) +
                        Arena::bytes_of<T>(p.B * block) +
                        Arena::bytes_of<T>(cell.extras * p.H) +
                        6 * Arena::bytes_of<T*>(p.B) + weights.own_bytes(units);
    arena.reserve(2 * Arena::bytes_of<T>(most_rows * width()) +
                  3 * Arena::bytes_of<T>(p.B * p.H) + weights.shared_bytes() +
                  size_t(team) * each);
    for (T*& part : dz) part = arena.take<T>(most_rows * width());
    direct = arena.take<T>(p.B * p.H);
    dc = arena.take<T>(p.B * p.H);
    held_c = arena.take<T>(p.B * p.H);
    weights.take_shared(arena);
    std::vector<Own> own(static_cast<size_t>(team));
    for (Own& o : own) {
      o.w_hh = arena.take<T>(cell.gates * p.H * units);
      o.dh = arena.take<T>(p.B * block);
      o.extra = arena.take<T>(cell.extras * p.H);
      for (const T*** list : {&o.a, &o.h_old, &o.c_old, &o.saved})
        *list = arena.take<const T*>(p.B);
      for (T*** list : {&o.dc, &o.dz}) *list = arena.take<T*>(p.B);
      o.weights = weights.take_own(arena, units);
    }
    return together(team,
                    [&](int thread) { work(own[size_t(thread)], weights, thread); });
  }

  void work(Own& o, WeightGradients<T>& weights, int thread) {
    const Share share = share_of(vectors, thread, team);
    const auto blocks = unit_blocks<T>(p.H, 1, share);
    pack(blocks, o.w_hh);
    std::fill_n(o.extra, cell.extras * p.H, T(0));
    weights.begin(o.weights, share, thread);
    begin(blocks);
    int turn = 0;
    const T* next = nullptr;  // gradients of the step after, by position
    for (size_t i = chunks.size(); i-- > 0; turn ^= 1) {
      const Chunk& chunk = chunks[i];
      int64_t row = chunk.rows;
      for (int64_t s = chunk.end; s-- > chunk.begin;) {
        row -= order.batch[size_t(s)];
        step(o, blocks, s, next, dz[turn] + row * width());
        next = dz[turn] + row * width();
        meet(team);
      }
      weights.add(o.weights, chunk, dz[turn], thread, i + 1 == chunks.size());
    }
    end(o, blocks, next);
    weights.finish(o.weights);
    if (p.grad_extra) finish_extra(o, share);
  }

  // Panels of W_hh: for every gradient that comes back, what it means for each unit.
  void pack(const std::vector<UnitBlock>& blocks, T* out) const {
    const T* weight = static_cast<const T*>(p.weight_hh);
    for (const UnitBlock& b : blocks) {
      const int64_t columns = b.vectors * lanes<T>;
      for (int g = 0; g < cell.gates; ++g)
        for (int64_t k = 0; k < p.H; ++k, out += columns) {
          const T* from = weight + (cell.h_order[g] * p.H + k) * p.H + b.unit;
          std::copy_n(from, b.units, out);
          std::fill(out + b.units, out + columns, T(0));
        }
    }
  }

  // What reaches a sequence's last state from outside waits there for the loop.
  void begin(const std::vector<UnitBlock>& blocks) const {
    for (const UnitBlock& b : blocks)
      for (int64_t j = 0; j < p.B; ++j)
        for (int field = 0; field <= int(cell.has_c); ++field) {
          T* to = (field ? dc : direct) + j * p.H + b.unit;
          const void* from = p.grad_final[field];
          if (from)
            std::copy_n(at(from, order.sequence[size_t(j)], p.H) + b.unit, b.units, to);
          else
            std::fill_n(to, b.units, T(0));
        }
  }

  // The gradient of the states after step s, as far as it comes from later steps: dh is
  // scratch [row][unit], dc in place. Where step s + 1 began with a reset, what flows
  // back belongs to the initial state.
  void carry(Own& o, const UnitBlock& b, int64_t s, const T* next) const {
    const int64_t rows = s < 0 ? p.B : order.batch[size_t(s)];
    const int64_t later = s + 1 < order.steps() ? order.batch[size_t(s + 1)] : 0;
    const int64_t columns = b.vectors * lanes<T>;
    if (later) {
      for (int64_t j = 0; j < later; ++j) o.a[j] = next + j * width() + cell.h_slot * p.H;
      const int64_t K = cell.gates * p.H;
      panel_product<T>(o.a, later, 1, K, nullptr, o.w_hh + K * b.before, b.vectors, o.dh,
                       columns);
    }
    const bool shaped = p.mask || p.carry_gain || p.reset;
    for (int64_t j = 0; j < rows; ++j) {
      T* dh = o.dh + j * columns;
      const T* past = direct + j * p.H + b.unit;
      if (j >= later) {
        std::copy_n(past, b.units, dh);
        std::fill(dh + b.units, dh + columns, T(0));
        continue;
      }
      if (p.mask) {
        const T* mask = at(p.mask, order.sequence[size_t(j)], p.H) + b.unit;
        for (int u = 0; u < b.units; ++u) dh[u] *= mask[u];
      }
      if (cell.has_direct || p.hold[0] || p.share[0] != 0)
        for (int u = 0; u < b.units; ++u) dh[u] += past[u];
      if (shaped) shape(b, s, j, dh);
    }
  }

  void shape(const UnitBlock& b, int64_t s, int64_t j, T* dh) const {
    const int64_t sequence = order.sequence[size_t(j)];
    const int64_t grid = order.time(s + 1, j) * p.B + sequence;
    T* parts[2] = {dh, dc + j * p.H + b.unit};
    for (int field = 0; field <= int(cell.has_c); ++field) {
      T* part = parts[field];
      if (p.carry_gain) {
        const T gain = static_cast<const T*>(p.carry_gain)[grid];
        for (int u = 0; u < b.units; ++u) part[u] *= gain;
      }
      if (p.reset && p.reset[grid]) {
        if (p.grad_initial[field]) {
          T* to = at(p.grad_initial[field], sequence, p.H) + b.unit;
          for (int u = 0; u < b.units; ++u) to[u] += part[u];
        }
        std::fill_n(part, b.units, T(0));
      }
    }
  }

  void step(Own& o, const std::vector<UnitBlock>& blocks, int64_t s, const T* next,
            T* here) const {
    const int64_t rows = order.batch[size_t(s)];
    for (int64_t j = 0; j < rows; ++j) {
      const int64_t b = order.sequence[size_t(j)];
      const int64_t grid = order.time(s, j) * p.B + b;
      o.h_old[j] = old_state<T>(p, order, 0, s, j);
      if (cell.has_c) o.c_old[j] = old_state<T>(p, order, 1, s, j);
      o.saved[j] = at(p.saved, grid, width());
      o.dc[j] = dc + j * p.H;
      o.dz[j] = here + j * width();
    }
    const bool disturbed = p.hold[0] || p.hold[1] || p.share[0] != 0 || p.share[1] != 0;
    in_turns(blocks, s, [&](const UnitBlock& b) {
      const int64_t columns = b.vectors * lanes<T>;
      carry(o, b, s, next);
      arrive(o, b, s);
      if (disturbed) held(o, b, s);
      cell.backward({rows, b.unit, p.H, b.units, o.h_old, o.c_old, o.saved, o.dh, columns,
                     o.dc, o.dz, static_cast<const T*>(p.extra),
                     cell.extras ? o.extra : nullptr, T(p.leak), T(p.alpha)});
      leave(o, b, s, disturbed);
    });
  }

  // Gradients that enter at this step from outside; what is known then is the total.
  void arrive(Own& o, const UnitBlock& b, int64_t s) const {
    const int64_t columns = b.vectors * lanes<T>;
    for (int64_t j = 0; j < order.batch[size_t(s)]; ++j) {
      const int64_t t = order.time(s, j), sequence = order.sequence[size_t(j)];
      const int64_t grid = t * p.B + sequence;
      T* dh = o.dh + j * columns;
      if (p.grad_out) {
        const T* g = static_cast<const T*>(p.grad_out) + t * p.grad_step +
                     sequence * p.grad_batch + b.unit;
        for (int u = 0; u < b.units; ++u) dh[u] += g[u];
      }
      for (int field = 0; field <= int(cell.has_c); ++field) {
        T* part = field ? o.dc[j] + b.unit : dh;
        if (p.grad_states[field]) {
          const T* g = at(p.grad_states[field], grid, p.H) + b.unit;
          for (int u = 0; u < b.units; ++u) part[u] += g[u];
        }
        if (p.grad_added[field])
          std::copy_n(part, b.units, at(p.grad_added[field], grid, p.H) + b.unit);
      }
    }
  }

  // Zoneout: the share of the gradient that belongs to the old value is set aside.
  void held(Own& o, const UnitBlock& b, int64_t s) const {
    const int64_t columns = b.vectors * lanes<T>;
    for (int64_t j = 0; j < order.batch[size_t(s)]; ++j) {
      const int64_t grid = order.time(s, j) * p.B + order.sequence[size_t(j)];
      for (int field = 0; field <= int(cell.has_c); ++field) {
        T* part = field ? o.dc[j] + b.unit : o.dh + j * columns;
        T* aside = (field ? held_c : direct) + j * p.H + b.unit;
        const uint8_t* hold = p.hold[field];
        const T share = T(p.share[field]);
        for (int u = 0; u < b.units; ++u) {
          const T kept = hold ? T(hold[grid * p.H + b.unit + u] != 0) : share;
          aside[u] = kept * part[u];
          part[u] -= aside[u];
        }
      }
    }
  }

  // After the cell: what goes past the products to the step before.
  void leave(Own& o, const UnitBlock& b, int64_t s, bool disturbed) const {
    if (!cell.has_direct && !disturbed) return;
    const int64_t columns = b.vectors * lanes<T>;
    for (int64_t j = 0; j < order.batch[size_t(s)]; ++j) {
      T* to = direct + j * p.H + b.unit;
      const T* own = o.dh + j * columns;
      for (int u = 0; u < b.units; ++u)
        to[u] = (disturbed ? to[u] : T(0)) + (cell.has_direct ? own[u] : T(0));
      if (disturbed && cell.has_c)
        for (int u = 0; u < b.units; ++u)
          o.dc[j][b.unit + u] += held_c[j * p.H + b.unit + u];
    }
  }

  // Before the first step: the gradient of the given state.
  void end(Own& o, const std::vector<UnitBlock>& blocks, const T* next) const {
    for (const UnitBlock& b : blocks) {
      const int64_t columns = b.vectors * lanes<T>;
      carry(o, b, -1, next);
      for (int64_t j = 0; j < p.B; ++j) {
        const int64_t to = order.sequence[size_t(j)] * p.H + b.unit;
        if (p.grad_state[0])
          std::copy_n(o.dh + j * columns, b.units,
                      static_cast<T*>(p.grad_state[0]) + to);
        if (cell.has_c && p.grad_state[1])
          std::copy_n(dc + j * p.H + b.unit, b.units,
                      static_cast<T*>(p.grad_state[1]) + to);
      }
    }
  }

  void finish_extra(const Own& o, Share share) const {
    const int64_t first = share.begin * lanes<T>;
    const int64_t count = std::min(share.end * lanes<T>, p.H) - first;
    for (int e = 0; e < cell.extras; ++e)
      std::copy_n(o.extra + e * p.H + first, count,
                  static_cast<T*>(p.grad_extra) + e * p.H + first);
  }
};

}  // namespace TT_ISA
