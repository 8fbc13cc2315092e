// Gradients of the weights and of the input: large products over the rows of a chunk.
//
// A thread computes the columns of its own units: dW transposed, with the inputs on the
// side that is broadcast and the gradients dz on the side of the vectors, so that inputs
// with few features cost little. Sums run over one chunk, then over chunks, which keeps
// rounding errors small.
#pragma once

#include "plan.h"
#include "row_sums.h"
#include "team.h"

namespace TT_ISA {

template <class T>
const T* old_state(const tt_problem& p, const Order& order, int field, int64_t s,
                   int64_t j) {
  const int64_t b = order.sequence[size_t(j)];
  const void* base = p.states[field];
  int64_t row = b;
  if (p.reset && p.reset[order.row(s, j)])
    base = p.initial[field];
  else if (s == 0)
    base = p.state[field];
  else
    row = order.row(s - 1, j);
  return static_cast<const T*>(base) + row * (field ? p.program->fields * p.H : p.P);
}

// One product dW = dzᵀ a, over `gates` blocks of `units` columns of dz.
struct Side {
  enum Rows { x, hidden, mid, out } rows;  // what a is
  int64_t features, units;
  int gates, slot;   // the gradients are neighbouring slots of dz; of h for `out`
  const int* order;  // the gate of the weight that each belongs to
  void *grad, *grad_bias;
  int number;  // of a product inside the step
};
inline constexpr int kSides = 2 + TT_PRODUCTS + 1;

// What the backward pass leaves behind for the rows of a chunk, [row][...].
template <class T>
struct ChunkRows {
  T *dz, *dh, *mid, *out;
};

template <class T>
class WeightGradients {
 public:
  struct OwnSide {
    T *sum, *bias, *dz;  // [panel][feature][column], [column], [panel][row][column]
    Share share;         // vectors of units
  };
  struct Own {
    OwnSide sides[kSides];
    const T** rows;
    T *w_ih, *dx;
  };

  WeightGradients(const tt_problem& p, const Order& order, int team, int64_t most_rows)
      : p(p), cell(*p.program), order(order), team(team), most_rows(most_rows) {
    // With fewer vectors of x than threads, threads split the rows of dx instead.
    split_rows = input_vectors() < team;
    sides.push_back({Side::x, p.I, p.H, cell.x_gates, cell.x_slot, cell.x_order,
                     p.grad_weight_ih, p.grad_bias_ih, 0});
    if (cell.h_gates)
      sides.push_back({Side::hidden, p.P, p.H, cell.h_gates, cell.h_slot, cell.h_order,
                       p.grad_weight_hh, p.grad_bias_hh, 0});
    for (int k = 0, gate = 0; k < cell.products; gate += cell.gates[k++])
      sides.push_back({Side::mid, p.H, p.H, cell.gates[k], cell.slot[k], cell.order[k],
                       row_of(p.grad_weight_mh, gate * p.H, p.H),
                       row_of(p.grad_bias_mh, gate * p.H, 1), k});
    if (p.weight_hr)
      sides.push_back({Side::out, p.H, p.P, 1, 0, kFirst, p.grad_weight_hr, nullptr, 0});
  }

  template <class Memory>
  void take_shared(Memory& memory) {
    for (size_t i = 0; i < sides.size(); ++i)
      packed[i] = memory.template take<T>(most_rows * sides[i].features);
  }

  // `share`: of a thread, for so many vectors of units.
  template <class Memory, class ShareOf>
  Own take_own(Memory& memory, ShareOf share) const {
    Own o{};
    for (size_t i = 0; i < sides.size(); ++i) {
      OwnSide& side = o.sides[i];
      side.share = share((sides[i].units + lanes<T> - 1) / lanes<T>);
      const int64_t columns = vectors(i, o) * lanes<T>;
      side.sum = memory.template take<T>(columns * sides[i].features);
      side.bias = memory.template take<T>(columns);
      side.dz = same(i) ? o.sides[0].dz : memory.template take<T>(columns * most_rows);
    }
    o.rows = memory.template take<const T*>(most_rows);
    o.w_ih = memory.template take<T>(input_panel_size());
    o.dx = memory.template take<T>(most_rows * kPanelVectors * lanes<T>);
    return o;
  }

  void begin(Own& o, int thread) const {
    for (size_t i = 0; i < sides.size(); ++i) {
      const int64_t columns = vectors(i, o) * lanes<T>;
      if (order.steps() == 0)  // no chunk will come
        std::fill_n(o.sides[i].sum, columns * sides[i].features, T(0));
      std::fill_n(o.sides[i].bias, columns, T(0));
    }
    if (p.grad_x) pack_input_weights(o, thread);
  }

  // Adds what the rows of a chunk contribute, to nothing if it is the first one. All
  // threads call it, after a meeting.
  void add(Own& o, const Chunk& chunk, const ChunkRows<T>& made, int thread,
           bool first) const {
    for (size_t i = 0; i < sides.size(); ++i) {
      if (!same(i)) pack_dz(i, o, chunk.rows, made);
      point(i, o, chunk, made);
      pack_features(i, o.rows, chunk.rows, thread);
      if (p.mask && sides[i].rows == Side::hidden) mask_features(i, chunk, thread);
    }
    if (p.grad_x) input_gradient(o, chunk, made.dz, thread);
    meet(team);
    for (size_t i = 0; i < sides.size(); ++i) product(i, o, chunk.rows, first);
    meet(team);
  }

  // Writes the gradients of the columns of `owns`, which are several where each thread
  // has a sum of its own sequences: then every thread adds up its part of the panels.
  void finish(const std::vector<Own*>& owns, int thread) const {
    for (size_t i = 0; i < sides.size(); ++i) {
      std::vector<const T*> sums, biases;
      for (const Own* o : owns) {
        sums.push_back(o->sides[i].sum);
        biases.push_back(o->sides[same(i) ? 0 : i].bias);
      }
      unpack(i, *owns[0], sums, sides[i].features, sides[i].grad, thread);
      unpack(i, *owns[0], biases, 1, sides[i].grad_bias, thread);
    }
  }

 private:
  const tt_problem& p;
  const tt_program& cell;
  const Order& order;
  int team;
  int64_t most_rows;
  bool split_rows;
  std::vector<Side> sides;
  T* packed[kSides] = {};  // features of each side

  static constexpr int64_t height = max_rows(kPanelVectors);
  static constexpr int kFirst[1] = {0};

  static void* row_of(void* base, int64_t row, int64_t width) {
    return base ? static_cast<T*>(base) + row * width : nullptr;
  }
  // W_hh takes the gradients that W_ih takes.
  bool same(size_t i) const {
    return sides[i].rows == Side::hidden && cell.x_slot == cell.h_slot &&
           cell.x_gates == cell.h_gates;
  }
  int64_t input_vectors() const { return (p.I + lanes<T> - 1) / lanes<T>; }
  int64_t input_panel_size() const {
    return p.grad_x ? cell.x_gates * p.H * (input_vectors() + 1) * lanes<T> : 0;
  }
  int64_t vectors(size_t i, const Own& o) const {
    return sides[i].gates * (o.sides[i].share.end - o.sides[i].share.begin);
  }

  template <class Do>
  void panels(int64_t begin, int64_t end, Do&& work) const {
    for (int64_t v = begin; v < end; v += kPanelVectors)
      work(v, int(std::min<int64_t>(kPanelVectors, end - v)));
  }

  // Vector `v` of a thread's columns: its gate and its first unit.
  void place(size_t i, const Own& o, int64_t v, int64_t& gate, int64_t& unit,
             int& count) const {
    const Share& share = o.sides[i].share;
    const int64_t per_gate = share.end - share.begin;
    gate = v / per_gate;
    unit = (share.begin + v % per_gate) * lanes<T>;
    count = int(std::min<int64_t>(lanes<T>, sides[i].units - unit));
  }

  void pack_dz(size_t i, Own& o, int64_t rows, const ChunkRows<T>& made) const {
    const Side& side = sides[i];
    const bool projected = side.rows == Side::out;
    const T* dz = projected ? made.dh : made.dz + side.slot * p.H;
    const int64_t width = projected ? p.P : cell.dz_slots * p.H;
    T* out = o.sides[i].dz;
    panels(0, vectors(i, o), [&](int64_t first, int n) {
      for (int k = 0; k < n; ++k) {
        int64_t gate, unit;
        int count;
        place(i, o, first + k, gate, unit, count);
        const T* from = dz + gate * side.units + unit;
        vec<T> sum = {};
        for (int64_t r = 0; r < rows; ++r) {
          const vec<T> d = load_some(from + r * width, count);
          sum += d;
          store(out + (r * n + k) * lanes<T>, d);
        }
        T* bias = o.sides[i].bias + (first + k) * lanes<T>;
        store(bias, load(bias) + sum);
      }
      out += rows * n * lanes<T>;
    });
  }

  // Where the rows of a chunk stand.
  void point(size_t i, Own& o, const Chunk& chunk, const ChunkRows<T>& made) const {
    int64_t row = 0;
    for (int64_t s = chunk.begin; s < chunk.end; ++s)
      for (int64_t j = 0; j < order.batch[size_t(s)]; ++j, ++row) switch (sides[i].rows) {
          case Side::x:
            o.rows[row] =
                static_cast<const T*>(p.x) + order.offset(s, j, p.x_step, p.x_batch);
            break;
          case Side::hidden:
            o.rows[row] = old_state<T>(p, order, 0, s, j);
            break;
          case Side::mid:
            o.rows[row] = made.mid + (row * cell.products + sides[i].number) * p.H;
            break;
          case Side::out:
            o.rows[row] = made.out + row * p.H;
        }
  }

  void pack_features(size_t side, const T* const* rows, int64_t K, int thread) const {
    const int64_t features = sides[side].features;
    const Share mine = share_of((features + height - 1) / height, thread, team);
    for (int64_t i = mine.begin; i < mine.end; ++i)
      pack_columns(rows, K, i * height, std::min(height, features - i * height),
                   packed[side] + i * height * K);
  }

  void mask_features(size_t side, const Chunk& chunk, int thread) const {
    const Share mine = share_of((p.P + height - 1) / height, thread, team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      const int64_t n = std::min(height, p.P - i * height);
      T* out = packed[side] + i * height * chunk.rows;
      for (int64_t s = chunk.begin; s < chunk.end; ++s)
        for (int64_t j = 0; j < order.batch[size_t(s)]; ++j, out += n)
          for (int64_t c = 0; c < n; ++c)
            out[c] *= static_cast<const T*>(
                p.mask)[order.sequence[size_t(j)] * p.P + i * height + c];
    }
  }

  void product(size_t i, const Own& o, int64_t rows, bool first) const {
    const int64_t features = sides[i].features;
    const T* dz = o.sides[i].dz;
    T* sum = o.sides[i].sum;
    panels(0, vectors(i, o), [&](int64_t, int n) {
      for (int64_t f = 0; f < features; f += height) {
        const int64_t count = std::min(height, features - f);
        const T* a[8];
        for (int64_t r = 0; r < count; ++r) a[r] = packed[i] + f * rows + r;
        panel_product<T>(a, count, count, rows, nullptr, dz, n, sum + f * n * lanes<T>,
                         n * lanes<T>, !first);
      }
      dz += rows * n * lanes<T>;
      sum += features * n * lanes<T>;
    });
  }

  void unpack(size_t side, const Own& o, const std::vector<const T*>& sums,
              int64_t features, void* grad, int thread) const {
    if (!grad) return;
    const int threads = int(sums.size());
    const int64_t columns = vectors(side, o);
    const int64_t all = (columns + kPanelVectors - 1) / kPanelVectors;
    const Share mine = share_of(all, thread, threads);
    const int64_t begin = mine.begin * kPanelVectors;
    const int64_t end = std::min(columns, mine.end * kPanelVectors);
    panels(begin, end, [&](int64_t first, int n) {
      const int64_t from = first * lanes<T> * features;
      for (int i = 0; i < n; ++i) {
        int64_t gate, unit;
        int count;
        place(side, o, first + i, gate, unit, count);
        T* to = static_cast<T*>(grad) +
                (sides[side].order[gate] * sides[side].units + unit) * features;
        for (int64_t f = 0; f < features; f += lanes<T>) {
          const int here = int(std::min<int64_t>(lanes<T>, features - f));
          vec<T> v[lanes<T>] = {};
          for (int r = 0; r < here; ++r) {
            const int64_t at = from + ((f + r) * n + i) * lanes<T>;
            v[r] = load(sums[0] + at);
            for (int k = 1; k < threads; ++k) v[r] += load(sums[size_t(k)] + at);
          }
          transpose<T>(v);
          for (int u = 0; u < count; ++u) store_some(to + u * features + f, v[u], here);
        }
      }
    });
  }

  // ---- dx = dz W_ih

  Share input_share(int thread) const {
    return split_rows ? Share{0, input_vectors()} : share_of(input_vectors(), thread, team);
  }

  void pack_input_weights(Own& o, int thread) const {
    const Share mine = input_share(thread);
    T* out = o.w_ih;
    panels(mine.begin, mine.end, [&](int64_t first, int n) {
      const int64_t begin = first * lanes<T>, columns = n * lanes<T>;
      const int64_t count = std::min(columns, p.I - begin);
      for (int g = 0; g < cell.x_gates; ++g)
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
    const int64_t K = cell.x_gates * p.H;
    for (int64_t r = 0; r < chunk.rows; ++r)
      o.rows[r] = dz + (r * cell.dz_slots + cell.x_slot) * p.H;
    const T* panel = o.w_ih;
    panels(mine.begin, mine.end, [&](int64_t first, int n) {
      const int64_t begin = first * lanes<T>, columns = n * lanes<T>;
      const int64_t count = std::min(columns, p.I - begin);
      panel_product<T>(o.rows + rows.begin, rows.end - rows.begin, 1, K, nullptr, panel, n,
                       o.dx, columns, false, nullptr, 64);
      int64_t row = 0;
      for (int64_t s = chunk.begin; s < chunk.end; ++s)
        for (int64_t j = 0; j < order.batch[size_t(s)]; ++j, ++row)
          if (row >= rows.begin && row < rows.end)
            std::copy_n(o.dx + (row - rows.begin) * columns, count,
                        static_cast<T*>(p.grad_x) + order.row(s, j) * p.I + begin);
      panel += K * columns;
    });
  }
};

}  // namespace TT_ISA
