// The cells of the core's test, and what a problem consists of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace reference {

enum Kind {
  ELMAN,
  LEAKY,
  LSTM,
  GRU,
  GRU_RESET_BEFORE,
  MULTIPLICATIVE_LSTM,
  SLSTM,
  QRNN,
  RHN,
  LEM,
  KINDS
};

enum Activation {
  IDENTITY,
  SIGMOID,
  TANH,
  RELU,
  GELU,
  SOFTPLUS,
  ELU,
  LEAKY_RELU,
  PRELU,
  ACTIVATIONS
};

inline const char* const kActivations[ACTIVATIONS] = {"identity", "sigmoid",    "tanh",
                                                      "relu",     "gelu",       "softplus",
                                                      "elu",      "leaky_relu", "prelu"};

// Gates of a_x, of a_h and of all products inside the step; fields beside h; parameters
// per unit, without those of an option.
struct Shape {
  const char* name;
  int x_gates, h_gates, inner_gates, fields, extras;
};

inline const Shape kShapes[KINDS] = {
    {"elman", 1, 1, 0, 0, 0},
    {"leaky", 1, 1, 0, 0, 0},
    {"lstm", 4, 4, 0, 1, 0},
    {"gru", 3, 3, 0, 0, 0},
    {"gru_reset_before", 3, 2, 1, 0, 0},
    {"multiplicative_lstm", 5, 1, 4, 1, 0},
    {"slstm", 4, 4, 0, 3, 0},
    {"qrnn", 6, 0, 0, 4, 3},
    {"rhn", 2, 2, 4, 0, 0},
    {"lem", 4, 3, 1, 1, 0},
};

// Everything that has a gradient.
enum Name {
  X,
  WEIGHT_IH,
  WEIGHT_HH,
  WEIGHT_MH,
  BIAS_IH,
  BIAS_HH,
  BIAS_MH,
  WEIGHT_HR,
  EXTRA,
  STATE_H,
  STATE_C,
  INITIAL_H,
  INITIAL_C,
  ADDED_H,
  ADDED_C,
  NAMES
};

using Numbers = std::vector<double>;

// One problem; what is empty is absent. Grids are (T, B, features).
struct Case {
  Kind kind = ELMAN;
  Activation activation = TANH;               // of Elman and Leaky
  bool peephole = false, layer_norm = false;  // of LSTM
  bool reverse = false, packed = false;
  int64_t T = 0, B = 0, I = 0, H = 0, P = 0;
  std::vector<double> share;  // by field, h first
  Numbers input[NAMES];
  std::vector<int64_t> lengths;
  std::vector<uint8_t> reset, hold[2];
  Numbers mask, carry_gain;

  const Shape& shape() const { return kShapes[kind]; }
  bool simple() const { return kind == ELMAN || kind == LEAKY; }
  int extras() const {
    if (simple()) return activation == PRELU;
    return shape().extras + 3 * peephole + 14 * layer_norm;
  }
  int grids() const { return shape().fields ? 2 : 1; }
  int64_t width(int grid) const { return grid ? shape().fields * H : P; }
  int64_t length(int64_t b) const { return lengths.empty() ? T : lengths[size_t(b)]; }
  // Whether the state that a step leaves is the step's own.
  bool pure() const {
    bool touched = false;
    for (double part : share) touched |= part != 0;
    for (int f = 0; f < 2; ++f) touched |= !hold[f].empty() || !input[ADDED_H + f].empty();
    return !touched;
  }
  std::string name() const {
    std::string name = shape().name;
    if (simple()) name += std::string("_") + kActivations[activation];
    if (peephole) name += "_peephole";
    if (layer_norm) name += "_layer_norm";
    return name;
  }
};

}  // namespace reference
