// The time loop, backward: the same division of work as forward. Behind it, chunk by
// chunk while the gradients of the pre-activations are in cache, come the large products
// for the weights (gradients.h).
#pragma once

#include <optional>

#include "gradients.h"

namespace TT_ISA {

template <class T>
class BackwardRun {
 public:
  BackwardRun(const tt_problem& problem, const CellRules<T>& cell, int threads)
      : p(problem), cell(cell), plan(problem, cell.gates, 1, threads) {}

  // False, with nothing done, where the threads are not to be had.
  bool run(Arena& arena) {
    const int groups = plan.by_rows ? plan.team : 1;
    const int64_t K = cell.gates * p.H, block = kPanelVectors * lanes<T>;
    std::vector<Group> group(static_cast<size_t>(groups));
    std::vector<Own> own(static_cast<size_t>(plan.team));
    size_t bytes = Arena::bytes_of<T>(K * plan.columns);
    for (int i = 0; i < groups; ++i) {
      Group& g = group[size_t(i)];
      g.order = &plan.order(i);
      g.chunks = chunks_of(*g.order, 128);
      g.most_rows = g.order->size();
      for (const Chunk& c : g.chunks) g.most_rows = std::max(g.most_rows, c.rows);
      g.weights.emplace(p, cell, *g.order, plan.company(), g.most_rows);
      bytes += 2 * Arena::bytes_of<T>(g.most_rows * width()) +
               3 * Arena::bytes_of<T>(g.order->size() * p.H) + g.weights->shared_bytes();
    }
    for (int i = 0; i < plan.team; ++i) {
      Own& o = own[size_t(i)];
      o.thread = i;
      o.group = &group[plan.by_rows ? size_t(i) : 0];
      bytes += Arena::bytes_of<T>(o.group->order->size() * block) +
               Arena::bytes_of<T>(cell.extras * p.H) +
               6 * Arena::bytes_of<T*>(o.group->order->size()) +
               o.group->weights->own_bytes(plan.units(i));
    }
    arena.reserve(bytes);
    w_hh = arena.take<T>(K * plan.columns);
    for (Group& g : group) {
      const int64_t size = g.order->size();
      for (T*& part : g.dz) part = arena.take<T>(g.most_rows * width());
      for (T** part : {&g.direct, &g.dc, &g.held_c}) *part = arena.take<T>(size * p.H);
      g.weights->take_shared(arena);
    }
    std::vector<typename WeightGradients<T>::Own*> all;
    for (Own& o : own) {
      const int64_t size = o.group->order->size();
      o.dh = arena.take<T>(size * block);
      o.extra = arena.take<T>(cell.extras * p.H);
      for (const T*** list : {&o.a, &o.h_old, &o.c_old, &o.saved})
        *list = arena.take<const T*>(size);
      for (T*** list : {&o.dc, &o.dz}) *list = arena.take<T*>(size);
      o.weights = o.group->weights->take_own(arena, plan.units(o.thread));
      all.push_back(&o.weights);
    }
    return together(plan.team,
                    [&](int thread) { work(own[size_t(thread)], own, all); });
  }

 private:
  // What the threads of some sequences share.
  struct Group {
    const Order* order;
    std::vector<Chunk> chunks;
    int64_t most_rows;
    std::optional<WeightGradients<T>> weights;
    T* dz[2];  // gradients by slot of the rows of two chunks, in turns
    // (B, H) by position: what is carried past the products, zoneout's share of dc.
    T *direct, *dc, *held_c;
  };
  struct Own {
    int thread;
    Group* group;
    T *dh, *extra;
    const T **a, **h_old, **c_old, **saved;
    T **dc, **dz;
    typename WeightGradients<T>::Own weights;
  };

  const tt_problem& p;
  const CellRules<T>& cell;
  Plan<T> plan;
  T* w_hh = nullptr;  // panels of all blocks

  static const T* at(const void* base, int64_t row, int64_t width) {
    return static_cast<const T*>(base) + row * width;
  }
  static T* at(void* base, int64_t row, int64_t width) {
    return static_cast<T*>(base) + row * width;
  }

  int64_t width() const { return cell.slots * p.H; }

  void work(Own& o, const std::vector<Own>& own,
            const std::vector<typename WeightGradients<T>::Own*>& all) {
    plan.packs(o.thread, [&](const UnitBlock& b) { pack(b); });
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
        row -= g.order->batch[size_t(s)];
        step(o, s, next, g.dz[turn] + row * width());
        next = g.dz[turn] + row * width();
        meet(plan.company());
      }
      g.weights->add(o.weights, chunk, g.dz[turn], place, i + 1 == g.chunks.size());
    }
    end(o, next);
    if (plan.by_rows) {
      meet(plan.team);  // every thread has a sum of its own sequences
      g.weights->finish(all, o.thread);
    } else {
      g.weights->finish({&o.weights}, 0);
    }
    if (p.grad_extra) finish_extra(own, o.thread);
  }

  // Panels of W_hh: for every gradient that comes back, what it means for each unit.
  void pack(const UnitBlock& b) const {
    const T* weight = static_cast<const T*>(p.weight_hh);
    const int64_t columns = b.vectors * lanes<T>;
    T* out = w_hh + cell.gates * p.H * b.before;
    for (int g = 0; g < cell.gates; ++g)
      for (int64_t k = 0; k < p.H; ++k, out += columns) {
        const T* from = weight + (cell.h_order[g] * p.H + k) * p.H + b.unit;
        std::copy_n(from, b.units, out);
        std::fill(out + b.units, out + columns, T(0));
      }
  }

  // What reaches a sequence's last state from outside waits there for the loop.
  void begin(const Own& o) const {
    const Group& g = *o.group;
    plan.runs(o.thread, 0, [&](const UnitBlock& b) {
      for (int64_t j = 0; j < g.order->size(); ++j)
        for (int field = 0; field <= int(cell.has_c); ++field) {
          T* to = (field ? g.dc : g.direct) + j * p.H + b.unit;
          const void* from = p.grad_final[field];
          if (from)
            std::copy_n(at(from, g.order->sequence[size_t(j)], p.H) + b.unit, b.units, to);
          else
            std::fill_n(to, b.units, T(0));
        }
    });
  }

  // The gradient of the states after step s, as far as it comes from later steps: dh is
  // scratch [row][unit], dc in place. Where step s + 1 began with a reset, what flows
  // back belongs to the initial state.
  void carry(Own& o, const UnitBlock& b, int64_t s, const T* next) const {
    const Order& order = *o.group->order;
    const int64_t rows = s < 0 ? order.size() : order.batch[size_t(s)];
    const int64_t later = s + 1 < order.steps() ? order.batch[size_t(s + 1)] : 0;
    const int64_t columns = b.vectors * lanes<T>;
    if (later) {
      for (int64_t j = 0; j < later; ++j) o.a[j] = next + j * width() + cell.h_slot * p.H;
      const int64_t K = cell.gates * p.H;
      panel_product<T>(o.a, later, 1, K, nullptr, w_hh + K * b.before, b.vectors, o.dh,
                       columns);
    }
    const bool shaped = p.mask || p.carry_gain || p.reset;
    for (int64_t j = 0; j < rows; ++j) {
      T* dh = o.dh + j * columns;
      const T* past = o.group->direct + j * p.H + b.unit;
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
      if (shaped) shape(*o.group, b, s, j, dh);
    }
  }

  void shape(const Group& g, const UnitBlock& b, int64_t s, int64_t j, T* dh) const {
    const Order& order = *g.order;
    const int64_t sequence = order.sequence[size_t(j)];
    const int64_t grid = order.time(s + 1, j) * p.B + sequence;
    T* parts[2] = {dh, g.dc + j * p.H + b.unit};
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

  void step(Own& o, int64_t s, const T* next, T* here) const {
    const Order& order = *o.group->order;
    const int64_t rows = order.batch[size_t(s)];
    for (int64_t j = 0; j < rows; ++j) {
      const int64_t b = order.sequence[size_t(j)];
      const int64_t grid = order.time(s, j) * p.B + b;
      o.h_old[j] = old_state<T>(p, order, 0, s, j);
      if (cell.has_c) o.c_old[j] = old_state<T>(p, order, 1, s, j);
      o.saved[j] = at(p.saved, grid, width());
      o.dc[j] = o.group->dc + j * p.H;
      o.dz[j] = here + j * width();
    }
    const bool disturbed = p.hold[0] || p.hold[1] || p.share[0] != 0 || p.share[1] != 0;
    plan.runs(o.thread, s, [&](const UnitBlock& b) {
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
    const Order& order = *o.group->order;
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
    const Order& order = *o.group->order;
    const int64_t columns = b.vectors * lanes<T>;
    for (int64_t j = 0; j < order.batch[size_t(s)]; ++j) {
      const int64_t grid = order.time(s, j) * p.B + order.sequence[size_t(j)];
      for (int field = 0; field <= int(cell.has_c); ++field) {
        T* part = field ? o.dc[j] + b.unit : o.dh + j * columns;
        T* aside = (field ? o.group->held_c : o.group->direct) + j * p.H + b.unit;
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
    const Order& order = *o.group->order;
    if (!cell.has_direct && !disturbed) return;
    const int64_t columns = b.vectors * lanes<T>;
    for (int64_t j = 0; j < order.batch[size_t(s)]; ++j) {
      T* to = o.group->direct + j * p.H + b.unit;
      const T* own = o.dh + j * columns;
      for (int u = 0; u < b.units; ++u)
        to[u] = (disturbed ? to[u] : T(0)) + (cell.has_direct ? own[u] : T(0));
      if (disturbed && cell.has_c)
        for (int u = 0; u < b.units; ++u)
          o.dc[j][b.unit + u] += o.group->held_c[j * p.H + b.unit + u];
    }
  }

  // Before the first step: the gradient of the given state.
  void end(Own& o, const T* next) const {
    const Order& order = *o.group->order;
    plan.runs(o.thread, 0, [&](const UnitBlock& b) {
      const int64_t columns = b.vectors * lanes<T>;
      carry(o, b, -1, next);
      for (int64_t j = 0; j < order.size(); ++j) {
        const int64_t to = order.sequence[size_t(j)] * p.H + b.unit;
        if (p.grad_state[0])
          std::copy_n(o.dh + j * columns, b.units,
                      static_cast<T*>(p.grad_state[0]) + to);
        if (cell.has_c && p.grad_state[1])
          std::copy_n(o.group->dc + j * p.H + b.unit, b.units,
                      static_cast<T*>(p.grad_state[1]) + to);
      }
    });
  }

  // Each thread adds up some units; what it does not own is zero in its sums.
  void finish_extra(const std::vector<Own>& own, int thread) const {
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
