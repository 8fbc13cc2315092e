// Who does what: the order of sequences and steps, the units of each thread, the panels.
#pragma once

#include <cstdlib>
#include <new>
#include <numeric>
#include <vector>

#include "gemm.h"
#include "throughtime.h"

namespace TT_ISA {

// Which rows exist at which step of processing. Sequences are ordered from long to
// short, so those that exist at a step are the first `batch[s]` of the order. Reversed,
// a sequence of length n visits n - 1 first.
struct Order {
  std::vector<int64_t> sequence;  // position in the order -> index in the batch
  std::vector<int64_t> length;    // by position
  std::vector<int64_t> batch;     // by step of processing
  bool reverse;
  int64_t batch_size;
  const int64_t* packed;  // first row of each step in a grid; null: all have B rows

  // Every `parts`-th sequence of the order, from number `part` on.
  Order(const tt_problem& p, int part, int parts)
      : reverse(p.reverse != 0), batch_size(p.B), packed(p.packed) {
    std::vector<int64_t> all(static_cast<size_t>(p.B));
    std::iota(all.begin(), all.end(), 0);
    const auto length_of = [&](int64_t b) { return p.lengths ? p.lengths[b] : p.T; };
    if (p.lengths)
      std::stable_sort(all.begin(), all.end(),
                       [&](int64_t a, int64_t b) { return length_of(a) > length_of(b); });
    for (int64_t j = part; j < p.B; j += parts) {
      sequence.push_back(all[size_t(j)]);
      length.push_back(length_of(all[size_t(j)]));
    }
    int64_t alive = size();
    const int64_t steps = alive ? length[0] : 0;
    for (int64_t s = 0; s < steps; ++s) {
      while (alive > 0 && length[size_t(alive - 1)] <= s) --alive;
      batch.push_back(alive);
    }
  }

  int64_t size() const { return int64_t(sequence.size()); }
  int64_t steps() const { return int64_t(batch.size()); }
  // The step t that position j is at in step s of processing.
  int64_t time(int64_t s, int64_t j) const {
    return reverse ? length[size_t(j)] - 1 - s : s;
  }
  // The row of a grid that belongs to it.
  int64_t row(int64_t s, int64_t j) const {
    const int64_t t = time(s, j);
    return (packed ? packed[t] : t * batch_size) + sequence[size_t(j)];
  }
  // The same in memory with distances of its own between steps and sequences.
  int64_t offset(int64_t s, int64_t j, int64_t step, int64_t batch) const {
    if (packed) return row(s, j) * batch;
    return time(s, j) * step + sequence[size_t(j)] * batch;
  }
};

// A run of steps whose rows together are enough for an efficient product.
struct Chunk {
  int64_t begin, end, rows;
};

inline std::vector<Chunk> chunks_of(const Order& order, int64_t enough) {
  std::vector<Chunk> chunks;
  Chunk now{0, 0, 0};
  for (int64_t s = 0; s < order.steps(); ++s) {
    now.rows += order.batch[size_t(s)];
    now.end = s + 1;
    if (now.rows >= enough || s + 1 == order.steps()) {
      chunks.push_back(now);
      now = {s + 1, s + 1, 0};
    }
  }
  return chunks;
}

// Vectors [begin, end) of `total` that belong to one thread.
struct Share {
  int64_t begin, end;
};

inline Share share_of(int64_t total, int thread, int threads) {
  return {total * thread / threads, total * (thread + 1) / threads};
}

inline constexpr int kMostVectors = 8;  // of a block, per gate

// Neighbouring units of one thread, with the columns of all gates: column
// (g * vectors + v) * lanes + lane belongs to unit `unit + v * lanes + lane`.
struct UnitBlock {
  int64_t unit;    // first unit
  int units;       // that exist; the rest of the last vector is padding
  int vectors;     // per gate
  int64_t before;  // units of the blocks before it, padding included
};

// All units in blocks, thread by thread.
template <class T>
struct Blocks {
  std::vector<UnitBlock> all;
  std::vector<size_t> bounds;  // blocks of thread i: bounds[i] to bounds[i + 1]
  int64_t units, vectors, columns = 0;
  int64_t most;  // vectors of a block, per gate

  // `gates`: how many of them a block holds next to each other; `least`: vectors per gate
  // that a block may have in any case.
  Blocks(int64_t units, int gates, int team, int64_t least = 1)
      : units(units),
        vectors((units + lanes<T> - 1) / lanes<T>),
        most(std::max<int64_t>(least, kPanelVectors / gates)) {
    for (int i = 0; i < team; ++i) {
      const Share share = share_of(vectors, i, team);
      bounds.push_back(all.size());
      for (int64_t v = share.begin; v < share.end; v += most) {
        const int64_t n = std::min(most, share.end - v), unit = v * lanes<T>;
        all.push_back({unit, int(std::min(units - unit, n * lanes<T>)), int(n), columns});
        columns += n * lanes<T>;
      }
    }
    bounds.push_back(all.size());
  }
};

// Threads that pay off: below some work per step, waiting for each other costs more.
template <class T>
int threads_for(const tt_problem& p, int gates) {
  const int64_t work = p.B * p.H * p.P * std::max(1, gates);
  const int64_t worth = std::max<int64_t>(1, work / 40000);
  const int64_t vectors = (p.H + lanes<T> - 1) / lanes<T>;
  return int(std::min<int64_t>({int64_t(p.threads), vectors, worth}));
}

// How threads divide the work. Either each has its own sequences and all units, and they
// never wait for each other; or each has its own units of all sequences, and they meet
// at every step. The first pays while the weights stay in the cache of one core and each
// thread has enough rows.
template <class T>
struct Plan {
  int team;
  bool by_rows;
  std::vector<Order> orders;  // one for each thread, or one for all

  // `gates`: of the recurrent product.
  Plan(const tt_problem& p, int gates, int threads) : team(threads) {
    constexpr int64_t cached = 1100000, few = 5;
    const int64_t weights = int64_t(gates) * p.H * p.P * int64_t(sizeof(T));
    by_rows = team > 1 && weights <= cached && p.B >= few * team;
    for (int i = 0; i < (by_rows ? team : 1); ++i)
      orders.emplace_back(p, i, by_rows ? team : 1);
  }

  const Order& order(int thread) const { return orders[by_rows ? size_t(thread) : 0]; }
  // Threads that share the sequences of this one, and its number among them.
  int company() const { return by_rows ? 1 : team; }
  int place(int thread) const { return by_rows ? 0 : thread; }
  // Vectors of units that a thread runs.
  Share share(const Blocks<T>& blocks, int thread) const {
    return by_rows ? Share{0, blocks.vectors} : share_of(blocks.vectors, thread, team);
  }

  template <class Do>
  void packs(const Blocks<T>& blocks, int thread, Do&& work) const {
    for (size_t i = blocks.bounds[size_t(thread)]; i < blocks.bounds[size_t(thread) + 1];
         ++i)
      work(blocks.all[i]);
  }
  // The blocks that a thread runs, forth at even steps and back at odd ones: weights
  // that do not fit into the cache are then half found there, where a fixed order would
  // find none.
  template <class Do>
  void runs(const Blocks<T>& blocks, int thread, int64_t step, Do&& work) const {
    const size_t begin = by_rows ? 0 : blocks.bounds[size_t(thread)];
    const size_t end = by_rows ? blocks.all.size() : blocks.bounds[size_t(thread) + 1];
    for (size_t i = begin; i < end; ++i)
      work(blocks.all[step & 1 ? end - 1 - (i - begin) : i]);
  }
};

// Counts what an arena would hand out.
struct Request {
  size_t bytes = 0;

  template <class T>
  T* take(int64_t count) {
    bytes += (size_t(count) * sizeof(T) + 63) / 64 * 64;
    return nullptr;
  }
};

// Memory of one call, 64-byte aligned, kept between calls of one thread: fresh memory
// costs a page fault every 4 KB.
class Arena {
 public:
  ~Arena() { std::free(memory_); }
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void reserve(size_t bytes) {
    used_ = 0;
    if (bytes <= size_) return;
    std::free(memory_);
    size_ = 0;
    memory_ = static_cast<char*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
    if (!memory_) throw std::bad_alloc();
    size_ = bytes;
  }

  template <class T>
  T* take(int64_t count) {
    T* p = reinterpret_cast<T*>(memory_ + used_);
    used_ += bytes_of<T>(count);
    return p;
  }

  template <class T>
  static size_t bytes_of(int64_t count) {
    return (size_t(count) * sizeof(T) + 63) / 64 * 64;
  }

 private:
  char* memory_ = nullptr;
  size_t size_ = 0, used_ = 0;
};

}  // namespace TT_ISA
