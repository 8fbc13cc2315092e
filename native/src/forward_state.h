// The memory and the packed weights of a forward run, and the products with them.
#pragma once

#include "half.h"
#include "row_sums.h"

namespace TT_ISA {

// Row pointers of one step, by position in the order of the sequences.
template <class T>
struct Rows {
  const T **x, **a, **h_old, **c_old;
  T **h, **c, **mid, **out, **saved;
};

// T: of the numbers; W: of the weights in the panels.
template <class T, class W>
class ForwardState {
 protected:
  ForwardState(const tt_problem& problem, int threads)
      : p(problem),
        cell(*problem.program),
        plan(problem, cell.h_gates, threads),
        units(problem.H, gates_of(cell), threads, wide(problem.B)),
        outputs(problem.P, 1, threads) {}

  struct Own {
    int thread;
    const Order* order;
    std::vector<Chunk> chunks;
    int64_t most_rows;
    T *ax, *ah, *am, *mid, *out, *spills, *registers, *sums;
    Rows<T> rows;
    Part* parts;        // [number][thread][row], shared
    RowNorm<T>* norms;  // [number][row]
  };

  // Vectors of a block so that few rows fill a strip as well.
  static int64_t wide(int64_t rows) {
    return std::clamp<int64_t>(kStrip / std::max<int64_t>(1, rows), 1, kMostVectors);
  }

  const tt_problem& p;
  const tt_program& cell;
  Plan<T> plan;
  Blocks<T> units, outputs;  // of the state, and of h where it is projected
  std::vector<Own> own;      // by thread
  W *w_ih = nullptr, *w_hh = nullptr, *w_hr = nullptr;  // panels of all blocks
  W* w_mh[TT_PRODUCTS] = {};
  T *extra = nullptr, *constants = nullptr;
  T* masked[4] = {};  // h of even and of odd steps, state and initial, times the mask

  // Gates that a block of units counts as.
  static int gates_of(const tt_program& cell) {
    int most = std::max(cell.x_gates, cell.h_gates);
    for (int k = 0; k < cell.products; ++k) most = std::max(most, cell.gates[k]);
    return most;
  }
  static const T* at(const void* base, int64_t row, int64_t width) {
    return static_cast<const T*>(base) + row * width;
  }
  static T* at(void* base, int64_t row, int64_t width) {
    return static_cast<T*>(base) + row * width;
  }

  bool projected() const { return p.weight_hr != nullptr; }
  bool phased() const { return cell.forward.count > 1; }
  // Whether a unit reads others of the step before: if not, threads need not meet.
  bool coupled() const { return cell.h_gates || phased() || projected(); }
  int64_t field_size(int field) const { return field ? cell.fields * p.H : p.P; }
  int grids() const { return cell.fields ? 2 : 1; }
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
    w_ih = memory.template take<W>((p.I + 1) * cell.x_gates * units.columns);
    w_hh = memory.template take<W>((p.P + 1) * cell.h_gates * units.columns);
    for (int k = 0; k < cell.products; ++k)
      w_mh[k] = memory.template take<W>((p.H + 1) * cell.gates[k] * units.columns);
    if (projected()) w_hr = memory.template take<W>((p.H + 1) * outputs.columns);
    extra = memory.template take<T>(cell.extras * units.columns);
    constants = memory.template take<T>(cell.constants_count * kMostVectors * lanes<T>);
    if (p.mask)
      for (T*& part : masked) part = memory.template take<T>(p.B * p.P);
    for (Own& o : own) {
      const int64_t size = o.order->size(), columns = own_columns(o);
      const int64_t block =
          std::max<int64_t>(kPanelVectors, gates_of(cell) * units.most) * lanes<T>;
      o.ax = memory.template take<T>(o.most_rows * cell.x_gates * columns);
      // Phases after the first find the products of all units.
      o.ah = memory.template take<T>(
          size * std::max(block, phased() ? cell.h_gates * columns : 0));
      o.am = memory.template take<T>(size * block);
      o.spills = memory.template take<T>(size * cell.forward.spills * columns);
      o.registers = memory.template take<T>(cell.forward.registers * kRegister * lanes<T>);
      o.sums = memory.template take<T>(size * (2 * lanes<T> + 1));
      for (const T*** list : {&o.rows.x, &o.rows.a, &o.rows.h_old, &o.rows.c_old})
        *list = memory.template take<const T*>(o.most_rows);
      for (T*** list : {&o.rows.h, &o.rows.c, &o.rows.mid, &o.rows.out, &o.rows.saved})
        *list = memory.template take<T*>(o.most_rows);
      const bool shares = &o != &own[0] && !plan.by_rows;  // what its company has
      o.mid = shares ? own[0].mid : memory.template take<T>(size * cell.products * p.H);
      o.out = shares ? own[0].out : memory.template take<T>(projected() ? size * p.H : 0);
      const int64_t norms = cell.norms * size;
      o.parts = shares ? own[0].parts : memory.template take<Part>(plan.company() * norms);
      o.norms = memory.template take<RowNorm<T>>(norms);
    }
  }

  void pack_all(int thread) {
    plan.packs(units, thread, [&](const UnitBlock& b) {
      pack(b, cell.x_gates, p.weight_ih, p.bias_ih, p.I, p.H,
           w_ih + (p.I + 1) * cell.x_gates * b.before);
      pack(b, cell.h_gates, p.weight_hh, p.bias_hh, p.P, p.H,
           w_hh + (p.P + 1) * cell.h_gates * b.before);
      for (int k = 0, gate = 0; k < cell.products; gate += cell.gates[k++])
        pack(b, cell.gates[k], at(p.weight_mh, gate * p.H, p.H),
             p.bias_mh ? at(p.bias_mh, gate, p.H) : nullptr, p.H, p.H,
             w_mh[k] + (p.H + 1) * cell.gates[k] * b.before);
      for (int k = 0; k < cell.extras; ++k) {
        T* to = extra + k * units.columns + b.before;
        std::fill_n(to, b.vectors * lanes<T>, T(0));
        std::copy_n(at(p.extra, k, p.H) + b.unit, b.units, to);
      }
    });
    if (projected())
      plan.packs(outputs, thread, [&](const UnitBlock& b) {
        pack(b, 1, p.weight_hr, nullptr, p.H, p.P, w_hr + (p.H + 1) * b.before);
      });
  }

  // Vectors of a panel. Three at a time leave room for a tile of eight rows.
  int panel_of(int gates) const {
    const int64_t rows = plan.order(0).size();
    return gates % 3 == 0 || rows == 7 || rows == 8 ? 3 : kPanelVectors;
  }

  // Per block a panel for each few vectors: the bias, then the columns for every k.
  // `size`: rows of the weight per gate.
  void pack(const UnitBlock& b, int gates, const void* weight, const void* bias, int64_t K,
            int64_t size, W* out) const {
    for (int first = 0; first < gates * b.vectors; first += panel_of(gates)) {
      const int n = std::min(panel_of(gates), gates * b.vectors - first);
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
    for (int first = 0; first < all; first += panel_of(gates)) {
      const int n = std::min(panel_of(gates), all - first);
      const int64_t size = (K + 1) * n * lanes<T>;
      panel_product(a, rows, 1, K, panel, panel + n * lanes<T>, n, out + first * lanes<T>,
                    int64_t(all) * lanes<T>, false, back ? panel - size : panel + size);
      panel += size;
    }
  }

  T* ax_of(const Own& o, const Chunk& chunk, const UnitBlock& b) const {
    return o.ax + chunk.rows * cell.x_gates * (b.before - first_column(o));
  }
  T* ah_of(const Own& o, const UnitBlock& b) const {
    if (!phased()) return o.ah;
    return o.ah + o.order->size() * cell.h_gates * (b.before - first_column(o));
  }

  void mask_rows(const void* rows, T* out, int thread) const {
    const Share mine = share_of(p.B * p.P, thread, plan.team);
    for (int64_t i = mine.begin; i < mine.end; ++i)
      out[i] = static_cast<const T*>(rows)[i] * static_cast<const T*>(p.mask)[i];
  }
};

}  // namespace TT_ISA
