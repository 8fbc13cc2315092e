// Random problems through the core, compared with the equations in reference.h: values,
// the gradient of every input along a random direction, repeated runs bit by bit, streams,
// and two problems side by side.
//
//   test_core [cases] [first seed]
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>
#include <string>

#include "buffers.h"
#include "reference.h"

using namespace reference;

namespace {

int failures = 0;

const char* const names[NAMES] = {
    "grad_x",       "grad_weight_ih", "grad_weight_hh", "grad_weight_mh", "grad_bias_ih",
    "grad_bias_hh", "grad_bias_mh",   "grad_weight_hr", "grad_extra",     "grad_h",
    "grad_c",       "grad_initial_h", "grad_initial_c", "grad_added_h",   "grad_added_c"};

void fail(const std::string& where, const char* what, double got, double wanted) {
  if (++failures <= 20)
    std::printf("%s: %s is %.9g, expected %.9g\n", where.c_str(), what, got, wanted);
}

template <class T>
void compare(const std::string& where, const char* what, const std::vector<T>& got,
             const std::vector<Dual>& wanted, const std::vector<uint8_t>& exists = {}) {
  const double tolerance = sizeof(T) == 4 ? 2e-5 : 1e-11;
  if (got.size() != wanted.size())
    return fail(where, what, double(got.size()), double(wanted.size()));
  for (size_t i = 0; i < got.size(); ++i) {
    if (!exists.empty() && !exists[i]) continue;
    const double x = double(got[i]), y = wanted[i].v;
    if (!(std::abs(x - y) <= tolerance * (1 + std::abs(y)))) return fail(where, what, x, y);
  }
}

template <class T>
void compare_states(const Case& c, const Buffers<T>& m, const Result& wanted,
                    const std::string& where) {
  std::vector<uint8_t> exists;
  for (int64_t i = 0, row = c.width(1); i < c.T * c.B * row; ++i)
    exists.push_back(i / row / c.B < c.length(i / row % c.B));
  // h is 0 where a step does not exist; the other fields are not defined there.
  compare(where, "h", m.states[0], m.grid(wanted.states[0], c.P));
  compare(where, "c", m.states[1], m.grid(wanted.states[1], c.width(1)),
          m.grid(exists, c.width(1)));
  compare(where, "final h", m.final[0], wanted.final[0]);
  compare(where, "final c", m.final[1], wanted.final[1]);
}

template <class T>
double dot(const std::vector<T>& a, const std::vector<Dual>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += double(a[i]) * b[i].d;
  return sum;
}

// The gradient of sum(grad_out h) + sum(grad_states states) + sum(grad_final final) along
// one random direction of each input, by the core and by the reference.
template <class T>
void check_gradients(const Case& c, Buffers<T>& m, Random& random,
                     const std::string& where) {
  const double tolerance = sizeof(T) == 4 ? 2e-4 : 1e-10;
  for (int n = 0; n < NAMES; ++n) {
    if (m.grad[n].empty()) continue;
    const Numbers direction = random.numbers(int64_t(c.input[n].size()), 1, false);
    const Result along = Loop(c, n, direction).run();
    double wanted = dot(m.grad_out, along.states[0]);
    for (int f = 0; f < c.grids(); ++f)
      wanted +=
          dot(m.grad_states[f], along.states[f]) + dot(m.grad_final[f], along.final[f]);
    Numbers way = direction;  // in the rows of the core
    if (n == X) way = m.grid(direction, c.I);
    if (n == ADDED_H || n == ADDED_C) way = m.grid(direction, c.width(n == ADDED_C));
    double got = 0, size = 1;
    for (size_t i = 0; i < way.size(); ++i) {
      const double part = double(m.grad[n][i]) * way[i];
      got += part, size += std::abs(part);
    }
    if (!(std::abs(got - wanted) <= tolerance * size)) fail(where, names[n], got, wanted);
  }
}

template <class T>
void check(const Case& c, uint64_t seed, const char* isa, int threads) {
  std::ostringstream text;
  text << "seed " << seed << " " << isa << " threads " << threads << " bytes " << sizeof(T)
       << " " << c.name() << " T " << c.T << " B " << c.B << " I " << c.I << " H " << c.H
       << " P " << c.P << (c.packed ? " packed" : "");
  const std::string where = text.str();
  const Result wanted = Loop(c, NAMES, {}).run();
  Random random(seed + 1);
  Buffers<T> m(c, random, threads, true);
  if (tt_forward(&m.p, isa) != 0) return fail(where, "status of tt_forward", 1, 0);
  compare_states(c, m, wanted, where);
  m.prepare_backward(random);
  if (tt_backward(&m.p, isa) != 0) return fail(where, "status of tt_backward", 1, 0);
  check_gradients(c, m, random, where);

  // Once more, from the same seed: the same bits.
  Random again(seed + 1);
  Buffers<T> same(c, again, threads, true);
  tt_forward(&same.p, isa);
  same.prepare_backward(again);
  tt_backward(&same.p, isa);
  for (int n = 0; n < NAMES; ++n)
    if (same.grad[n] != m.grad[n]) fail(where, "number of equal runs", 1, 2);

  Buffers<T> forgetful(c, random, threads, false);
  if (tt_forward(&forgetful.p, isa) != 0) return fail(where, "status unsaved", 1, 0);
  compare_states(c, forgetful, wanted, where + " unsaved");
}

// The same number where bfloat16 has it, else a neighbour.
double rounded(double number) {
  float single = float(number);
  uint32_t bits;
  std::memcpy(&bits, &single, sizeof bits);
  bits &= 0xffff0000;
  std::memcpy(&single, &bits, sizeof bits);
  return double(single);
}

// A stream, step by step, after the weights it was made from are gone.
template <class T>
void check_stream(Case c, uint64_t seed, const char* isa, int threads) {
  c.lengths.clear(), c.reset.clear(), c.mask.clear(), c.carry_gain.clear();
  c.reverse = c.packed = false;
  for (int f = 0; f < 2; ++f) {
    c.hold[f].clear();
    c.input[ADDED_H + f].clear();
  }
  const std::string where = "stream, seed " + std::to_string(seed) + " " + isa;
  Random random(seed);
  const bool half = sizeof(T) == 4 && random.chance(0.5);
  for (int n = WEIGHT_IH; half && n <= WEIGHT_HR; ++n)
    for (double& number : c.input[n]) number = rounded(number);
  void* stream;
  {
    Buffers<T> m(c, random, threads, false);
    m.p.half = half;
    stream = tt_stream_new(&m.p, isa);
  }
  if (!stream) return fail(where, "number of streams", 0, 1);
  for (int f = 0; f < c.grids(); ++f) {
    std::vector<T> state(c.input[STATE_H + f].begin(), c.input[STATE_H + f].end());
    tt_stream_state(stream, f, state.data(), 1);
  }
  std::vector<T> h;
  for (int64_t t = 0; t < c.T; ++t) {
    const auto from = c.input[X].begin() + t * c.B * c.I;
    const std::vector<T> x(from, from + c.B * c.I);
    std::vector<T> out(size_t(c.B * c.P));
    tt_stream_step(stream, x.data(), out.data());
    h.insert(h.end(), out.begin(), out.end());
  }
  const Result wanted = Loop(c, NAMES, {}).run();
  compare(where, "h", h, wanted.states[0]);
  for (int f = 0; f < c.grids(); ++f) {
    std::vector<T> state(size_t(c.B * c.width(f)));
    tt_stream_state(stream, f, state.data(), 0);
    compare(where, f ? "final c" : "final h", state, wanted.final[f]);
  }
  tt_stream_free(stream);
}

template <class T>
void check_near(const std::string& where, const char* what, const std::vector<T>& got,
                const std::vector<T>& wanted) {
  std::vector<Dual> values;
  for (T number : wanted) values.push_back({double(number)});
  compare(where, what, got, values);
}

// Two problems side by side give what each gives alone.
template <class T>
void check_both(uint64_t seed, const char* isa) {
  const std::string where = "both, seed " + std::to_string(seed) + " " + isa;
  std::unique_ptr<Buffers<T>> alone[2], together[2];
  Case cases[2];
  tt_problem pair[2];
  for (int i = 0; i < 2; ++i) {
    Random random(seed);
    cases[i] = Drawing(random, sizeof(T) == 4, true).draw();
    cases[i].reverse = i;
    for (auto* buffers : {alone, together}) {
      Random own(seed + uint64_t(i));
      buffers[i] = std::make_unique<Buffers<T>>(cases[i], own, 2, true);
      buffers[i]->prepare_backward(own);
    }
    tt_forward(&alone[i]->p, isa), tt_backward(&alone[i]->p, isa);
    pair[i] = together[i]->p;
  }
  for (int backward = 0; backward < 2; ++backward)
    if (tt_both(pair, backward, isa) != 0) return fail(where, "status of tt_both", 1, 0);
  for (int i = 0; i < 2; ++i) {
    check_near(where, "h", together[i]->states[0], alone[i]->states[0]);
    for (int n = 0; n < NAMES; ++n)
      check_near(where, names[n], together[i]->grad[n], alone[i]->grad[n]);
  }
}

void check_refusals() {
  if (tt_problem_size() != int(sizeof(tt_problem))) fail("tt_problem", "size", 0, 1);
  if (tt_program_size() != int(sizeof(tt_program))) fail("tt_program", "size", 0, 1);
  Random random(1);
  const Case c = Drawing(random, false).draw();
  Buffers<double> m(c, random, 1, true);
  if (tt_forward(&m.p, "abacus") != 1) fail("abacus", "status", 0, 1);
  if (tt_stream_new(&m.p, "abacus")) fail("abacus", "number of streams", 1, 0);
  m.p.half = 1;
  if (tt_stream_new(&m.p, "portable")) fail("half of 8", "number of streams", 1, 0);
  m.p.half = 0, m.p.bytes = 2;
  if (tt_forward(&m.p, "portable") != 1) fail("bytes 2", "status", 0, 1);
  if (tt_backward(&m.p, "portable") != 1) fail("bytes 2", "status backward", 0, 1);
  if (tt_stream_new(&m.p, "portable")) fail("bytes 2", "number of streams", 1, 0);
}

}  // namespace

int main(int argc, char** argv) {
  const int cases = argc > 1 ? std::atoi(argv[1]) : 1000;
  const uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  check_refusals();
  for (uint64_t seed = first; seed < first + uint64_t(cases); ++seed) {
    std::istringstream sets(tt_instruction_sets());
    for (std::string isa; sets >> isa;) {
      Random random(seed);
      const bool single = random.chance(0.5);
      const Case c = Drawing(random, single).draw();
      const int threads = int(random.between(1, 3));
      (single ? check<float> : check<double>)(c, seed, isa.c_str(), threads);
      (single ? check_stream<float> : check_stream<double>)(c, seed, isa.c_str(), threads);
      if (seed % 50 == 0)
        (single ? check_both<float> : check_both<double>)(seed, isa.c_str());
    }
  }
  std::printf("%d problems on %s: %d failures\n", cases, tt_instruction_sets(), failures);
  return failures != 0;
}
