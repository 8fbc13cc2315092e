// The time loop, forward. Each thread runs all steps for its sequences, or for its share
// of the hidden units; then threads meet once per step, because a product needs every
// unit of h.
#pragma once

#include "half.h"
#include "plan.h"
#include "row_norms.h"
#include "rules.h"
#include "team.h"

namespace TT_ISA {

// Row pointers of one step, by position in the order of the sequences.
template <class T>
struct Rows {
  const T **x, **a, **h_old, **c_old;
  T **h, **c, **mid, **saved;
};

// T: of the numbers; W: of the weights in the panels.
template <class T, class W>
class ForwardRun {
 public:
  ForwardRun(const tt_problem& problem, const CellRules<T>& cell, int threads)
      : p(problem),
        cell(cell),
        plan(problem, cell.h_gates, threads),
        units(problem.H, cell.together, threads),
        outputs(problem.P, 1, threads) {}

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
    return together(plan.team, [&](int thread) { work(own[size_t(thread)], pack); });
  }

 private:
  struct Own {
    int thread;
    const Order* order;
    std::vector<Chunk> chunks;
    int64_t most_rows;
    T *ax, *ah, *mid;
    Rows<T> rows;
    ForwardNorms<T> norms;
  };

  const tt_problem& p;
  const CellRules<T>& cell;
  Plan<T> plan;
  Blocks<T> units, outputs;  // of c, and of h where it is projected
  std::vector<Own> own;      // by thread
  W *w_ih = nullptr, *w_hh = nullptr, *w_second = nullptr;  // panels of all blocks
  T* masked[4] = {};  // h of even and of odd steps, state and initial, times the mask

  static const T* at(const void* base, int64_t row, int64_t width) {
    return static_cast<const T*>(base) + row * width;
  }
  static T* at(void* base, int64_t row, int64_t width) {
    return static_cast<T*>(base) + row * width;
  }

  bool projected() const { return cell.second == Second::projection; }
  const Blocks<T>& second_blocks() const { return projected() ? outputs : units; }
  int64_t field_size(int field) const { return field ? p.H : p.P; }
  // Of the second product's input, and what a reset before the product keeps beside it.
  int64_t mid_width() const {
    return cell.second == Second::none ? 0 : projected() ? p.H : 2 * p.H;
  }
  // Of `units` that a thread runs, and that come before them.
  int64_t own_columns(const Own& o) const {
    const Share share = plan.share(units, o.thread);
    return (share.end - share.begin) * lanes<T>;
  }
  int64_t first_column(const Own& o) const {
    return plan.share(units, o.thread).begin * lanes<T>;
  }

  template <class Memory>
  void request(Memory& memory) {
    const int64_t block = std::max(kPanelVectors, 2 * cell.x_gates) * lanes<T>;
    w_ih = memory.template take<W>((p.I + 1) * cell.x_gates * units.columns);
    w_hh = memory.template take<W>((p.P + 1) * cell.h_gates * units.columns);
    if (cell.second != Second::none)
      w_second = memory.template take<W>((p.H + 1) * second_blocks().columns);
    if (p.mask)
      for (T*& part : masked) part = memory.template take<T>(p.B * p.P);
    for (Own& o : own) {
      const int64_t size = o.order->size(), columns = own_columns(o);
      o.ax = memory.template take<T>(o.most_rows * cell.x_gates * columns);
      o.ah = memory.template take<T>(
          size * std::max(block, cell.norm ? cell.h_gates * columns : 0));
      for (const T*** list : {&o.rows.x, &o.rows.a, &o.rows.h_old, &o.rows.c_old})
        *list = memory.template take<const T*>(o.most_rows);
      for (T*** list : {&o.rows.h, &o.rows.c, &o.rows.mid, &o.rows.saved})
        *list = memory.template take<T*>(o.most_rows);
      const bool shares = &o != &own[0] && !plan.by_rows;  // what its company has
      o.mid = shares ? own[0].mid : memory.template take<T>(size * mid_width());
      if (!cell.norm) continue;
      ForwardNorms<T>& n = o.norms;
      if (shares) {
        n = own[0].norms;
      } else {
        n.x = memory.template take<Moments>(plan.company() * o.most_rows);
        n.h = memory.template take<Moments>(plan.company() * size);
        n.c = memory.template take<Moments>(plan.company() * size);
      }
      n.x_norm = memory.template take<RowNorm<T>>(o.most_rows);
      n.h_norm = memory.template take<RowNorm<T>>(size);
      n.c_norm = memory.template take<RowNorm<T>>(size);
    }
  }

  void work(Own& o, bool fresh) {
    if (fresh) {
      const void* bias_ih = cell.norm ? nullptr : p.bias_ih;
      const void* bias_hh = cell.norm ? nullptr : p.bias_hh;
      plan.packs(units, o.thread, [&](const UnitBlock& b) {
        pack(b, cell.x_gates, p.weight_ih, bias_ih, p.I, p.H,
             w_ih + (p.I + 1) * cell.x_gates * b.before);
        pack(b, cell.h_gates, p.weight_hh, bias_hh, p.P, p.H,
             w_hh + (p.P + 1) * cell.h_gates * b.before);
      });
      if (cell.second != Second::none)
        plan.packs(second_blocks(), o.thread, [&](const UnitBlock& b) {
          W* to = w_second + (p.H + 1) * b.before;
          if (projected())
            pack(b, 1, p.weight_hr, nullptr, p.H, p.P, to);
          else  // the gate after those of the first product
            pack(b, 1, at(p.weight_hh, cell.h_gates * p.H, p.H),
                 bias_hh ? at(bias_hh, cell.h_gates, p.H) : nullptr, p.H, p.H, to);
        });
    }
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
  // `size`: rows of the weight per gate.
  void pack(const UnitBlock& b, int gates, const void* weight, const void* bias, int64_t K,
            int64_t size, W* out) const {
    for (int first = 0; first < gates * b.vectors; first += kPanelVectors) {
      const int n = std::min(kPanelVectors, gates * b.vectors - first);
      const int64_t columns = n * lanes<T>;
      const auto row_of = [&](int64_t j) -> int64_t {
        const int64_t vector = first + j / lanes<T>;
        const int64_t unit = vector % b.vectors * lanes<T> + j % lanes<T>;
        return unit < b.units ? vector / b.vectors * size + b.unit + unit : -1;
      };
      for (int64_t j = 0; j < columns; ++j)
        out[j] = kept_as<W>(bias && row_of(j) >= 0 ? static_cast<const T*>(bias)[row_of(j)]
                                                   : T(0));
      pack_transposed(static_cast<const T*>(weight), K, K, columns, row_of, out + columns);
      out += (K + 1) * columns;
    }
  }

  // a[rows] times all panels of one block.
  // `back`: the blocks run from the last to the first.
  void product(const UnitBlock& b, int gates, const T* const* a, int64_t rows, int64_t K,
               const W* panel, T* out, bool back = false) const {
    const int all = gates * b.vectors;
    for (int first = 0; first < all; first += kPanelVectors) {
      const int n = std::min(kPanelVectors, all - first);
      const int64_t size = (K + 1) * n * lanes<T>;
      panel_product(a, rows, 1, K, panel, panel + n * lanes<T>, n, out + first * lanes<T>,
                    int64_t(all) * lanes<T>, false, back ? panel - size : panel + size);
      panel += size;
    }
  }

  T* ax_of(const Own& o, const Chunk& chunk, const UnitBlock& b) const {
    return o.ax + chunk.rows * cell.x_gates * (b.before - first_column(o));
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
    if (!cell.norm) return;
    product_moments(plan, units, o.thread, o.ax, chunk.rows, chunk.rows, cell.x_gates,
                    o.norms.x + plan.place(o.thread) * o.most_rows);
    put_together(o.norms.x, o.most_rows, chunk.rows, plan.company(), o.norms.x_norm);
  }

  void point(Own& o, int64_t s) const {
    const Order& order = *o.order;
    Rows<T>& rows = o.rows;
    for (int64_t j = 0; j < order.batch[size_t(s)]; ++j) {
      const int64_t b = order.sequence[size_t(j)];
      const int64_t grid = order.row(s, j);
      const bool reset = p.reset && p.reset[grid];
      for (int field = 0; field <= int(cell.has_c); ++field) {
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
      rows.mid[j] = o.mid + j * mid_width();
      if (p.saved) rows.saved[j] = at(p.saved, grid, cell.slots * p.H);
    }
  }

  void step(Own& o, const Chunk& chunk, int64_t s, int64_t row) const {
    const int64_t rows = o.order->batch[size_t(s)];
    point(o, s);
    if (cell.norm)
      normed_step(o, chunk, s, row);
    else
      plan.runs(units, o.thread, s, [&](const UnitBlock& b) {
        product(b, cell.h_gates, o.rows.a, rows, p.P,
                w_hh + (p.P + 1) * cell.h_gates * b.before, o.ah, s & 1);
        cell.forward[0](block(o, chunk, b, rows, row, o.ah, cell.h_gates));
        if (cell.has_c) disturb(o, 1, b, s);
        if (cell.second == Second::none) settle(o, b, s);
      });
    if (cell.second == Second::none) return;
    meet(plan.company());  // the second product needs every unit of its input
    plan.runs(second_blocks(), o.thread, s, [&](const UnitBlock& b) {
      const int64_t columns = b.vectors * lanes<T>;
      product(b, 1, o.rows.mid, rows, p.H, w_second + (p.H + 1) * b.before, o.ah);
      if (projected())
        for (int64_t j = 0; j < rows; ++j)
          std::copy_n(o.ah + j * columns, b.units, o.rows.h[j] + b.unit);
      else
        cell.forward[1](block(o, chunk, b, rows, row, o.ah, 1));
      settle(o, b, s);
    });
  }

  void normed_step(Own& o, const Chunk& chunk, int64_t s, int64_t row) const {
    const int64_t rows = o.order->batch[size_t(s)], size = o.order->size();
    const ForwardNorms<T>& n = o.norms;
    const auto scratch = [&](const UnitBlock& b) {
      return o.ah + size * cell.h_gates * (b.before - first_column(o));
    };
    const auto phase = [&](int i) {
      plan.runs(units, o.thread, s, [&](const UnitBlock& b) {
        ForwardBlock<T> all = block(o, chunk, b, rows, row, scratch(b), cell.h_gates);
        all.x_norm = n.x_norm + row;
        all.h_norm = n.h_norm;
        all.c_norm = n.c_norm;
        cell.forward[i](all);
        if (i == 0) return;
        disturb(o, 1, b, s);
        if (cell.second == Second::none) settle(o, b, s);
      });
    };
    plan.runs(units, o.thread, s, [&](const UnitBlock& b) {
      product(b, cell.h_gates, o.rows.a, rows, p.P,
              w_hh + (p.P + 1) * cell.h_gates * b.before, scratch(b), s & 1);
    });
    const int64_t mine = plan.place(o.thread) * size;
    product_moments(plan, units, o.thread, o.ah, rows, size, cell.h_gates, n.h + mine);
    put_together(n.h, size, rows, plan.company(), n.h_norm);
    phase(0);
    state_moments<T>(plan, units, o.thread, o.rows.c, rows, n.c + mine);
    put_together(n.c, size, rows, plan.company(), n.c_norm);
    phase(1);
  }

  ForwardBlock<T> block(const Own& o, const Chunk& chunk, const UnitBlock& b, int64_t rows,
                        int64_t row, T* ah, int gates) const {
    const int64_t gate = b.vectors * lanes<T>;
    return {rows,
            b.unit,
            p.H,
            b.units,
            ax_of(o, chunk, b) + row * cell.x_gates * gate,
            ah,
            cell.x_gates * gate,
            gates * gate,
            gate,
            o.rows.a,
            o.rows.h_old,
            o.rows.c_old,
            projected() ? o.rows.mid : o.rows.h,
            o.rows.c,
            o.rows.mid,
            p.saved ? o.rows.saved : nullptr,
            static_cast<const T*>(p.extra),
            T(p.leak),
            T(p.alpha),
            nullptr,
            nullptr,
            nullptr};
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
  void disturb(const Own& o, int field, const UnitBlock& b, int64_t s) const {
    const uint8_t* hold = p.hold[field];
    const T share = T(p.share[field]);
    const T* added = static_cast<const T*>(p.added[field]);
    if (!hold && share == 0 && !added) return;
    const T* const* before = field ? o.rows.c_old : o.rows.h_old;
    T* const* now = field ? o.rows.c : o.rows.h;
    for (int64_t j = 0; j < o.order->batch[size_t(s)]; ++j) {
      const int64_t from = o.order->row(s, j) * field_size(field);
      for (int64_t u = b.unit; u < b.unit + b.units; ++u) {
        T value = now[j][u];
        if (hold && hold[from + u]) value = before[j][u];
        if (share != 0) value = share * before[j][u] + (1 - share) * value;
        now[j][u] = added ? value + added[from + u] : value;
      }
    }
  }

  void mask_rows(const void* rows, T* out, int thread) const {
    const Share mine = share_of(p.B * p.P, thread, plan.team);
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
