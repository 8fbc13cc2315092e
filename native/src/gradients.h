// Gradients of the weights and of the input: large products over the rows of a chunk.
//
// A thread computes the columns of its own units: dW transposed, with the inputs on the
// side that is broadcast and the gradients dz on the side of the vectors, so that inputs
// with few features cost little. Sums run over one chunk, then over chunks, which keeps
// rounding errors small.
#pragma once

#include "cells.h"
#include "plan.h"
#include "team.h"

namespace TT_ISA {

template <class T>
const T* old_state(const tt_problem& p, const Order& order, int field, int64_t s,
                   int64_t j) {
  const int64_t b = order.sequence[size_t(j)];
  const void* base = p.states[field];
  int64_t row = b;
  if (p.reset && p.reset[order.time(s, j) * p.B + b])
    base = p.initial[field];
  else if (s == 0)
    base = p.state[field];
  else
    row = order.time(s - 1, j) * p.B + b;
  return static_cast<const T*>(base) + row * p.H;
}

template <class T>
class WeightGradients {
 public:
  // One of the two products: dW_ih from x, dW_hh from the old h.
  struct Side {
    T *sum, *bias, *dz;  // [panel][feature][column], [column], [panel][row][column]
  };
  struct Own {
    Side x, h;
    const T** rows;
    T *w_ih, *dx;
    Share share;
  };

  WeightGradients(const tt_problem& p, const CellRules<T>& cell, const Order& order,
                  int team, int64_t most_rows)
      : p(p), cell(cell), order(order), team(team), most_rows(most_rows) {
    // With fewer vectors of x than threads, threads split the rows of dx instead.
    split_rows = input_vectors() < team;
  }

  size_t shared_bytes() const {
    return Arena::bytes_of<T>(most_rows * p.I) + Arena::bytes_of<T>(most_rows * p.H);
  }

  void take_shared(Arena& arena) {
    x_packed = arena.take<T>(most_rows * p.I);
    h_packed = arena.take<T>(most_rows * p.H);
  }

  size_t own_bytes(Share share) const {
    const int64_t columns = columns_of(share);
    return Arena::bytes_of<T>(columns * p.I) + Arena::bytes_of<T>(columns * p.H) +
           2 * Arena::bytes_of<T>(columns) + 2 * Arena::bytes_of<T>(columns * most_rows) +
           Arena::bytes_of<T*>(most_rows) + Arena::bytes_of<T>(input_panel_size()) +
           Arena::bytes_of<T>(most_rows * kPanelVectors * lanes<T>);
  }

  Own take_own(Arena& arena, Share share) const {
    const int64_t columns = columns_of(share);
    Own o{};
    o.share = share;
    o.x.sum = arena.take<T>(columns * p.I);
    o.h.sum = arena.take<T>(columns * p.H);
    o.x.bias = arena.take<T>(columns);
    o.h.bias = arena.take<T>(columns);
    o.x.dz = arena.take<T>(columns * most_rows);
    o.h.dz = arena.take<T>(columns * most_rows);
    o.rows = arena.take<const T*>(most_rows);
    o.w_ih = arena.take<T>(input_panel_size());
    o.dx = arena.take<T>(most_rows * kPanelVectors * lanes<T>);
    return o;
  }

  void begin(Own& o, int thread) const {
    const int64_t columns = columns_of(o.share);
    if (order.steps() == 0) {  // no chunk will come
      std::fill_n(o.x.sum, columns * p.I, T(0));
      std::fill_n(o.h.sum, columns * p.H, T(0));
    }
    std::fill_n(o.x.bias, columns, T(0));
    std::fill_n(o.h.bias, columns, T(0));
    if (p.grad_x) pack_input_weights(o, thread);
  }

  // Adds what the rows of a chunk contribute, to nothing if it is the first one. All
  // threads call it, after a meeting.
  void add(Own& o, const Chunk& chunk, const T* dz, int thread, bool first) const {
    const bool same = cell.x_slot == cell.h_slot;
    pack_dz(o, o.h, cell.h_slot, chunk.rows, dz);
    if (!same) pack_dz(o, o.x, cell.x_slot, chunk.rows, dz);
    point(o, chunk, false);
    pack_features(o.rows, chunk.rows, p.I, x_packed, thread);
    point(o, chunk, true);
    pack_features(o.rows, chunk.rows, p.H, h_packed, thread);
    if (p.mask) mask_features(chunk, thread);
    if (p.grad_x) input_gradient(o, chunk, dz, thread);
    meet(team);
    product(o, x_packed, same ? o.h.dz : o.x.dz, chunk.rows, p.I, o.x.sum, first);
    product(o, h_packed, o.h.dz, chunk.rows, p.H, o.h.sum, first);
    meet(team);
  }

  // Writes the gradients of the columns of `owns`, which are several where each thread
  // has a sum of its own sequences: then every thread adds up its part of the panels.
  void finish(const std::vector<Own*>& owns, int thread) const {
    const bool same = cell.x_slot == cell.h_slot;
    std::vector<const T*> sums[4];
    for (const Own* o : owns) {
      sums[0].push_back(o->x.sum);
      sums[1].push_back(o->h.sum);
      sums[2].push_back(same ? o->h.bias : o->x.bias);
      sums[3].push_back(o->h.bias);
    }
    const Own& o = *owns[0];
    unpack(o, sums[0], p.I, cell.x_order, p.grad_weight_ih, thread);
    unpack(o, sums[1], p.H, cell.h_order, p.grad_weight_hh, thread);
    unpack(o, sums[2], 1, cell.x_order, p.grad_bias_ih, thread);
    unpack(o, sums[3], 1, cell.h_order, p.grad_bias_hh, thread);
  }

 private:
  const tt_problem& p;
  const CellRules<T>& cell;
  const Order& order;
  int team;
  int64_t most_rows;
  bool split_rows;
  T *x_packed = nullptr, *h_packed = nullptr;

  static constexpr int64_t height = max_rows(kPanelVectors);

  int64_t input_vectors() const { return (p.I + lanes<T> - 1) / lanes<T>; }
  int64_t input_panel_size() const {
    return p.grad_x ? cell.gates * p.H * (input_vectors() + 1) * lanes<T> : 0;
  }
  int64_t vectors(const Own& o) const {
    return cell.gates * (o.share.end - o.share.begin);
  }
  int64_t columns_of(Share share) const {
    return cell.gates * (share.end - share.begin) * lanes<T>;
  }

  template <class Do>
  void panels(int64_t begin, int64_t end, Do&& work) const {
    for (int64_t v = begin; v < end; v += kPanelVectors)
      work(v, int(std::min<int64_t>(kPanelVectors, end - v)));
  }

  // Vector `v` of a thread's columns: its gate's slot and its first unit.
  void place(const Own& o, int64_t v, int64_t& gate, int64_t& unit, int& count) const {
    const int64_t per_gate = o.share.end - o.share.begin;
    gate = v / per_gate;
    unit = (o.share.begin + v % per_gate) * lanes<T>;
    count = int(std::min<int64_t>(lanes<T>, p.H - unit));
  }

  void pack_dz(Own& o, Side& side, int slot, int64_t rows, const T* dz) const {
    T* out = side.dz;
    panels(0, vectors(o), [&](int64_t first, int n) {
      for (int i = 0; i < n; ++i) {
        int64_t gate, unit;
        int count;
        place(o, first + i, gate, unit, count);
        const T* from = dz + (slot + gate) * p.H + unit;
        vec<T> sum = {};
        for (int64_t r = 0; r < rows; ++r) {
          const vec<T> d = load_some(from + r * cell.slots * p.H, count);
          sum += d;
          store(out + (r * n + i) * lanes<T>, d);
        }
        T* bias = side.bias + (first + i) * lanes<T>;
        store(bias, load(bias) + sum);
      }
      out += rows * n * lanes<T>;
    });
  }

  // Where the rows of x, or of the old h, of a chunk stand.
  void point(Own& o, const Chunk& chunk, bool hidden) const {
    int64_t row = 0;
    for (int64_t s = chunk.begin; s < chunk.end; ++s)
      for (int64_t j = 0; j < order.batch[size_t(s)]; ++j)
        o.rows[row++] = hidden ? old_state<T>(p, order, 0, s, j)
                               : static_cast<const T*>(p.x) +
                                     order.time(s, j) * p.x_step +
                                     order.sequence[size_t(j)] * p.x_batch;
  }

  void pack_features(const T* const* rows, int64_t K, int64_t features, T* out,
                     int thread) const {
    const Share mine = share_of((features + height - 1) / height, thread, team);
    for (int64_t i = mine.begin; i < mine.end; ++i)
      pack_columns(rows, K, i * height, std::min(height, features - i * height),
                   out + i * height * K);
  }

  void mask_features(const Chunk& chunk, int thread) const {
    const Share mine = share_of((p.H + height - 1) / height, thread, team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      const int64_t n = std::min(height, p.H - i * height);
      T* out = h_packed + i * height * chunk.rows;
      for (int64_t s = chunk.begin; s < chunk.end; ++s)
        for (int64_t j = 0; j < order.batch[size_t(s)]; ++j, out += n)
          for (int64_t c = 0; c < n; ++c)
            out[c] *= static_cast<const T*>(
                p.mask)[order.sequence[size_t(j)] * p.H + i * height + c];
    }
  }

  void product(const Own& o, const T* packed, const T* dz, int64_t rows, int64_t features,
               T* sum, bool first) const {
    panels(0, vectors(o), [&](int64_t, int n) {
      for (int64_t f = 0; f < features; f += height) {
        const int64_t count = std::min(height, features - f);
        const T* a[8];
        for (int64_t r = 0; r < count; ++r) a[r] = packed + f * rows + r;
        panel_product<T>(a, count, count, rows, nullptr, dz, n, sum + f * n * lanes<T>,
                         n * lanes<T>, !first);
      }
      dz += rows * n * lanes<T>;
      sum += features * n * lanes<T>;
    });
  }

  void unpack(const Own& o, const std::vector<const T*>& sums, int64_t features,
              const int* gate_of, void* grad, int thread) const {
    if (!grad) return;
    const int threads = int(sums.size());
    const int64_t all = (vectors(o) + kPanelVectors - 1) / kPanelVectors;
    const Share mine = share_of(all, thread, threads);
    const int64_t begin = mine.begin * kPanelVectors;
    const int64_t end = std::min(vectors(o), mine.end * kPanelVectors);
    panels(begin, end, [&](int64_t first, int n) {
      const int64_t from = first * lanes<T> * features;
      for (int i = 0; i < n; ++i) {
        int64_t gate, unit;
        int count;
        place(o, first + i, gate, unit, count);
        T* to = static_cast<T*>(grad) + (gate_of[gate] * p.H + unit) * features;
        for (int64_t f0 = 0; f0 < features; f0 += 16)
          for (int u = 0; u < count; ++u)
            for (int64_t f = f0; f < std::min(features, f0 + 16); ++f) {
              T sum = sums[0][from + (f * n + i) * lanes<T> + u];
              for (int k = 1; k < threads; ++k)
                sum += sums[size_t(k)][from + (f * n + i) * lanes<T> + u];
              to[u * features + f] = sum;
            }
      }
    });
  }

  // ---- dx = dz W_ih

  Share input_share(int thread) const {
    return split_rows ? Share{0, input_vectors()}
                      : share_of(input_vectors(), thread, team);
  }

  void pack_input_weights(Own& o, int thread) const {
    const Share mine = input_share(thread);
    T* out = o.w_ih;
    panels(mine.begin, mine.end, [&](int64_t first, int n) {
      const int64_t begin = first * lanes<T>, columns = n * lanes<T>;
      const int64_t count = std::min(columns, p.I - begin);
      for (int g = 0; g < cell.gates; ++g)
        for (int64_t k = 0; k < p.H; ++k, out += columns) {
          const T* from = static_cast<const T*>(p.weight_ih) +
                          (cell.x_order[g] * p.H + k) * p.I + begin;
          std::copy_n(from, count, out);
          std::fill(out + count, out + columns, T(0));
        }
    });
  }

  void input_gradient(Own& o, const Chunk& chunk, const T* dz, int thread) const {
    const Share rows =
        split_rows ? share_of(chunk.rows, thread, team) : Share{0, chunk.rows};
    const Share mine = input_share(thread);
    const int64_t K = cell.gates * p.H;
    for (int64_t r = 0; r < chunk.rows; ++r)
      o.rows[r] = dz + r * cell.slots * p.H + cell.x_slot * p.H;
    const T* panel = o.w_ih;
    panels(mine.begin, mine.end, [&](int64_t first, int n) {
      const int64_t begin = first * lanes<T>, columns = n * lanes<T>;
      const int64_t count = std::min(columns, p.I - begin);
      panel_product<T>(o.rows + rows.begin, rows.end - rows.begin, 1, K, nullptr, panel, n,
                       o.dx, columns);
      int64_t row = 0;
      for (int64_t s = chunk.begin; s < chunk.end; ++s)
        for (int64_t j = 0; j < order.batch[size_t(s)]; ++j, ++row)
          if (row >= rows.begin && row < rows.end)
            std::copy_n(o.dx + (row - rows.begin) * columns, count,
                        static_cast<T*>(p.grad_x) +
                            (order.time(s, j) * p.B + order.sequence[size_t(j)]) * p.I +
                            begin);
      panel += K * columns;
    });
  }
};

}  // namespace TT_ISA
