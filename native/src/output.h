// The output layer with its loss: -log softmax(h W^T + b)[target], and its gradients.
//
// Rows are taken in blocks. Of one block all scores are in memory, transposed: a row for
// each class, and the rows of h side by side in vectors. So W is read as it is in all
// three products, the softmax runs along the vectors, and the gradients of the scores
// take the place of the scores. Each thread owns some classes; threads meet to put
// together what belongs to a row: its maximum, its sum, its gradient.
#pragma once

#include <cmath>
#include <limits>

#include "gemm.h"
#include "half.h"
#include "plan.h"
#include "team.h"

namespace TT_ISA {

// Panels of up to four vectors, as even as possible: work(first vector, vectors).
template <class Do>
void even_panels(int64_t vectors, Do&& work) {
  const int64_t count = (vectors + kPanelVectors - 1) / kPanelVectors;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = vectors * i / count;
    work(begin, int(vectors * (i + 1) / count - begin));
  }
}

// e^x for x <= 0, and exactly 0 where it is hardly more.
template <class T>
TT_INLINE vec<T> power(vec<T> x) {
  const vec<T> e = exp<T>(x);
  return x < T(sizeof(T) == 4 ? -87 : -708) ? vec<T>{} : e;
}

template <class T>
class OutputRun {
 public:
  OutputRun(const tt_output_problem& problem, int threads) : p(problem), team(threads) {
    for (int64_t i = 0; i < p.N; ++i)
      if (p.targets[i] >= 0) counting.push_back(i);
    const int64_t count = int64_t(counting.size());
    // As many rows as the scores of all classes fit into a share of the cache.
    const int64_t most =
        std::clamp<int64_t>(kScores / int64_t(sizeof(T)) / p.V, kLeastRows, kMostRows);
    blocks = std::max<int64_t>(1, (count + most - 1) / most);
    vectors = ((count + blocks - 1) / blocks + lanes<T> - 1) / lanes<T>;
    blocks = count ? (count + vectors * lanes<T> - 1) / (vectors * lanes<T>) : 0;
    // An odd number of vectors: a power of two would fill few sets of the cache.
    stride = (vectors | 1) * lanes<T>;
    features = (p.H + lanes<T> - 1) / lanes<T>;
    height = std::clamp<int64_t>((p.V + team - 1) / team, 1, kHeight);
    gradients = p.row_weights && (p.grad_h || p.grad_weight || p.grad_bias);
  }

  // False, with nothing done, where the threads are not to be had.
  bool run(Arena& arena) {
    std::vector<Own> own(static_cast<size_t>(team));
    const int64_t classes = (p.V + height - 1) / height, rows = vectors * lanes<T>;
    const int64_t wide = features * lanes<T>;
    size_t bytes = Arena::bytes_of<T>(p.H * rows) + Arena::bytes_of<T>(rows * wide);
    for (int i = 0; i < team; ++i) {
      const Share share = share_of(classes, i, team);
      const int64_t mine = share.end - share.begin;
      own[size_t(i)].share = share;
      bytes += Arena::bytes_of<T>(mine * height * stride) +
               Arena::bytes_of<T>(mine * stride) + 8 * Arena::bytes_of<T>(stride) +
               2 * Arena::bytes_of<T>(height * wide) + Arena::bytes_of<T>(rows * wide) +
               Arena::bytes_of<T*>(rows);
    }
    arena.reserve(bytes);
    h_transposed = arena.take<T>(p.H * rows);
    h_panels = arena.take<T>(rows * wide);
    for (Own& o : own) {
      const int64_t mine = o.share.end - o.share.begin;
      o.scores = arena.take<T>(mine * height * stride);
      o.used = arena.take<T>(mine * stride);
      for (T** part :
           {&o.most, &o.sum, &o.total, &o.picked, &o.all_most, &o.gain, &o.factor, &o.less})
        *part = arena.take<T>(stride);
      o.weights = arena.take<T>(height * wide);
      o.grad_weight = arena.take<T>(height * wide);
      o.grad_h = arena.take<T>(rows * wide);
      o.rows = arena.take<const T*>(rows);
    }
    return together(team, [&](int thread) { work(own, thread); });
  }

 private:
  static constexpr int64_t kHeight = 96;        // classes at a time
  static constexpr int64_t kScores = 16 << 20;  // bytes of the scores of a block
  static constexpr int64_t kLeastRows = 64, kMostRows = 256;
  static constexpr int64_t kSum = 128;  // rows of one running sum

  struct Own {
    Share share;  // blocks of `height` classes
    T* scores;    // [class][row], stride apart
    // By row: the maximum that each block of classes was taken relative to; of all
    // classes of this thread so far maximum, sum of powers, sum of scores, and the
    // target's score; then of all threads the maximum and what powers are multiplied by.
    T *used, *most, *sum, *total, *picked, *all_most, *gain;
    T *factor, *less;  // powers times factor less a constant are gradients, by row
    T* weights;        // panels of features of a block of classes, [class][feature]
    T* grad_weight;    // of a block of classes
    T* grad_h;         // of the rows, from the classes of this thread
    const T** rows;
  };
  struct Block {
    int64_t first, rows, vectors;  // of `counting`
  };

  const tt_output_problem& p;
  int team;
  std::vector<int64_t> counting;  // rows that count
  int64_t blocks, vectors, stride, features, height;
  bool gradients;
  T* h_transposed = nullptr;  // panels of rows, [feature][row]
  T* h_panels = nullptr;      // panels of features, [row][feature]

  static const T* at(const void* base, int64_t row, int64_t width) {
    return static_cast<const T*>(base) + row * width;
  }

  int64_t row_of(const Block& b, int64_t r) const { return counting[size_t(b.first + r)]; }

  void work(std::vector<Own>& own, int thread) const {
    Own& o = own[size_t(thread)];
    clear(thread);
    const int64_t count = int64_t(counting.size());
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t first = i * vectors * lanes<T>;
      const int64_t rows = std::min(vectors * lanes<T>, count - first);
      const Block block{first, rows, (rows + lanes<T> - 1) / lanes<T>};
      pack(block, thread);
      meet(team);
      scores(o, block);
      meet(team);
      merge(own, o, block, thread);
      if (gradients) {
        for (int64_t c = o.share.begin; c < o.share.end; ++c) add(o, block, c, i == 0);
        meet(team);
        if (p.grad_h) finish(own, block, thread);
      }
    }
  }

  // What no row that counts will write.
  void clear(int thread) const {
    const Share mine = share_of(p.N, thread, team);
    for (int64_t i = mine.begin; i < mine.end; ++i)
      if (p.targets[i] < 0) {
        if (p.losses) static_cast<T*>(p.losses)[i] = T(0);
        if (p.grad_h) std::fill_n(static_cast<T*>(p.grad_h) + i * p.H, p.H, T(0));
      }
    if (blocks) return;
    const Share classes = share_of(p.V, thread, team);
    for (int64_t c = classes.begin; c < classes.end; ++c) {
      if (p.grad_weight) std::fill_n(static_cast<T*>(p.grad_weight) + c * p.H, p.H, T(0));
      if (p.grad_bias) static_cast<T*>(p.grad_bias)[c] = T(0);
    }
  }

  void pack(const Block& b, int thread) const {
    const Share mine = share_of(b.vectors, thread, team);
    even_panels(b.vectors, [&](int64_t first, int n) {
      if (first < mine.begin || first >= mine.end) return;
      const int64_t columns = n * lanes<T>, begin = first * lanes<T>;
      pack_transposed(
          static_cast<const T*>(p.h), p.H, p.H, columns,
          [&](int64_t j) { return begin + j < b.rows ? row_of(b, begin + j) : -1; },
          h_transposed + begin * p.H);
    });
    if (!gradients || !p.grad_weight) return;
    const Share rows = share_of(b.rows, thread, team);
    even_panels(features, [&](int64_t first, int n) {
      T* panel = h_panels + first * lanes<T> * vectors * lanes<T>;
      for (int64_t r = rows.begin; r < rows.end; ++r)
        copy_columns(at(p.h, row_of(b, r), p.H), first, n, panel + r * n * lanes<T>);
    });
  }

  // Some vectors of one row of features; beyond the last feature zeros.
  void copy_columns(const T* from, int64_t first, int n, T* to) const {
    for (int v = 0; v < n; ++v) {
      const int64_t at = (first + v) * lanes<T>;
      store(to + v * lanes<T>,
            load_some(from + at, int(std::min<int64_t>(lanes<T>, p.H - at))));
    }
  }

  // Scores of all classes of this thread, turned into powers relative to the maximum
  // so far while they are in the nearest cache.
  void scores(Own& o, const Block& b) const {
    const int64_t wide = b.vectors * lanes<T>;
    std::fill_n(o.most, wide, std::numeric_limits<T>::lowest());
    for (T* part : {o.sum, o.total, o.picked}) std::fill_n(part, wide, T(0));
    for (int64_t c = o.share.begin; c < o.share.end; ++c) {
      const int64_t first = c * height, n = std::min(height, p.V - first);
      T* out = o.scores + (c - o.share.begin) * height * stride;
      const T* a[kHeight];
      T bias[kHeight] = {};
      for (int64_t i = 0; i < n; ++i) a[i] = at(p.weight, first + i, p.H);
      if (p.bias) std::copy_n(static_cast<const T*>(p.bias) + first, n, bias);
      even_panels(b.vectors, [&](int64_t v, int count) {
        panel_product<T>(a, n, 1, p.H, nullptr, h_transposed + v * lanes<T> * p.H, count,
                         out + v * lanes<T>, stride);
      });
      for (int64_t r = 0; r < b.rows; ++r) {
        const int64_t target = p.targets[row_of(b, r)] - first;
        if (target >= 0 && target < n)
          o.picked[r] = out[target * stride + r] + bias[target];
      }
      for (int64_t r = 0; r < wide; r += lanes<T>)
        powers(o, out + r, bias, n, r, o.used + (c - o.share.begin) * stride);
    }
  }

  void powers(Own& o, T* column, const T* bias, int64_t n, int64_t r, T* used) const {
    const vec<T> before = load(o.most + r);
    vec<T> now = before, sum = {}, total = {};
    for (int64_t i = 0; i < n; ++i) now = most<T>(now, load(column + i * stride) + bias[i]);
    for (int64_t i = 0; i < n; ++i) {
      const vec<T> x = load(column + i * stride) + bias[i];
      const vec<T> e = power<T>(x - now);
      store(column + i * stride, e);
      sum += e;
      total += x;
    }
    store(used + r, now);
    store(o.most + r, now);
    store(o.sum + r, load(o.sum + r) * power<T>(before - now) + sum);
    store(o.total + r, load(o.total + r) + total);
  }

  // From the classes of each thread to all classes; every thread does it for itself.
  void merge(const std::vector<Own>& own, Own& o, const Block& b, int thread) const {
    const Share mine = share_of(b.vectors, thread, team);
    const T smooth = T(p.smoothing);
    for (int64_t v = 0; v < b.vectors; ++v) {
      const int64_t r = v * lanes<T>;
      vec<T> all_most = load(own[0].most + r), sum = {}, total = {}, picked = {};
      for (const Own& other : own) all_most = most<T>(all_most, load(other.most + r));
      for (const Own& other : own) {
        sum += load(other.sum + r) * power<T>(load(other.most + r) - all_most);
        total += load(other.total + r);
        picked += load(other.picked + r);
      }
      store(o.all_most + r, all_most);
      for (int i = 0; i < lanes<T> && r + i < b.rows; ++i) {
        const int64_t row = row_of(b, r + i);
        if (p.row_weights) {
          const T weight = at(p.row_weights, row, 1)[0];
          o.gain[r + i] = weight / sum[i];
          o.less[r + i] = weight * smooth / T(p.V);
        }
        if (!p.losses || v < mine.begin || v >= mine.end) continue;
        T loss = all_most[i] - picked[i];
        if (smooth != 0)
          loss = (1 - smooth) * loss + smooth * (all_most[i] - total[i] / T(p.V));
        static_cast<T*>(p.losses)[row] = loss + std::log(sum[i]);
      }
    }
    for (int64_t r = b.rows; r < b.vectors * lanes<T>; ++r) o.gain[r] = o.less[r] = T(0);
  }

  // What one block of classes contributes to all gradients.
  void add(Own& o, const Block& b, int64_t c, bool fresh) const {
    const int64_t first = c * height, n = std::min(height, p.V - first);
    T* dz = o.scores + (c - o.share.begin) * height * stride;
    differences(o, b, first, n, dz, o.used + (c - o.share.begin) * stride);
    if (p.grad_bias)
      for (int64_t i = 0; i < n; ++i) {
        T* out = static_cast<T*>(p.grad_bias) + first + i;
        *out = row_sum(dz + i * stride, b.rows) + (fresh ? T(0) : *out);
      }
    if (p.grad_weight) add_weight(o, b, first, n, dz, fresh);
    if (p.grad_h) add_h(o, b, first, n, dz, c == o.share.begin);
  }

  // From powers to gradients of the scores: (softmax - target) times the row's weight.
  void differences(const Own& o, const Block& b, int64_t first, int64_t n, T* dz,
                   const T* used) const {
    const T smooth = T(p.smoothing);
    const T* weights = static_cast<const T*>(p.row_weights);
    const int64_t wide = b.vectors * lanes<T>;
    for (int64_t r = 0; r < wide; r += lanes<T>)
      store(o.factor + r,
            load(o.gain + r) * power<T>(load(used + r) - load(o.all_most + r)));
    // Along the rows of memory, which have left the nearest caches.
    for (int64_t i = 0; i < n; ++i)
      for (int64_t r = 0; r < wide; r += lanes<T>) {
        T* at = dz + i * stride + r;
        store(at, load(at) * load(o.factor + r) - load(o.less + r));
      }
    for (int64_t r = 0; r < b.rows; ++r) {
      const int64_t row = row_of(b, r), target = p.targets[row] - first;
      if (target >= 0 && target < n) dz[target * stride + r] -= (1 - smooth) * weights[row];
    }
  }

  static T row_sum(const T* row, int64_t count) {
    vec<T> sums = {};
    for (int64_t r = 0; r < count; r += lanes<T>)
      sums += load_some(row + r, int(std::min<int64_t>(lanes<T>, count - r)));
    T sum = 0;
    for (int i = 0; i < lanes<T>; ++i) sum += sums[i];
    return sum;
  }

  // dW += dz h. The sum of all rows is made nearby, for a result that is far away is
  // best written in one go.
  void add_weight(Own& o, const Block& b, int64_t first, int64_t n, const T* dz,
                  bool fresh) const {
    const int64_t parts = (b.rows + kSum - 1) / kSum, wide = features * lanes<T>;
    even_panels(features, [&](int64_t v, int count) {
      const T* panel = h_panels + v * lanes<T> * vectors * lanes<T>;
      const T* a[kHeight];
      for (int64_t i = 0; i < parts; ++i) {
        const Share rows = share_of(b.rows, int(i), int(parts));
        for (int64_t j = 0; j < n; ++j) a[j] = dz + j * stride + rows.begin;
        panel_product<T>(a, n, 1, rows.end - rows.begin, nullptr,
                         panel + rows.begin * count * lanes<T>, count,
                         o.grad_weight + v * lanes<T>, wide, i > 0);
      }
    });
    T* to = static_cast<T*>(p.grad_weight) + first * p.H;
    for (int64_t j = 0; j < n; ++j, to += p.H) {
      const T* from = o.grad_weight + j * wide;
      if (fresh)
        std::copy_n(from, p.H, to);
      else
        for (int64_t f = 0; f < p.H; ++f) to[f] += from[f];
    }
  }

  // dh += dz^T W, of the classes of this thread.
  void add_h(Own& o, const Block& b, int64_t first, int64_t n, const T* dz,
             bool fresh) const {
    for (int64_t i = 0; i < n; ++i)
      even_panels(features, [&](int64_t v, int count) {
        copy_columns(at(p.weight, first + i, p.H), v, count,
                     o.weights + (v * n + i * count) * lanes<T>);
      });
    for (int64_t r = 0; r < b.rows; ++r) o.rows[r] = dz + r;
    even_panels(features, [&](int64_t v, int count) {
      panel_product<T>(o.rows, b.rows, stride, n, nullptr, o.weights + v * n * lanes<T>,
                       count, o.grad_h + v * lanes<T>, features * lanes<T>, !fresh);
    });
  }

  void finish(const std::vector<Own>& own, const Block& b, int thread) const {
    const Share mine = share_of(b.rows, thread, team);
    for (int64_t r = mine.begin; r < mine.end; ++r) {
      T* out = static_cast<T*>(p.grad_h) + row_of(b, r) * p.H;
      bool fresh = true;
      for (const Own& o : own) {
        if (o.share.begin == o.share.end) continue;
        const T* from = o.grad_h + r * features * lanes<T>;
        if (fresh)
          std::copy_n(from, p.H, out);
        else
          for (int64_t f = 0; f < p.H; ++f) out[f] += from[f];
        fresh = false;
      }
    }
  }
};

}  // namespace TT_ISA
