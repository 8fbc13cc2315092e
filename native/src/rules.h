// What each cell looks like to the time loops.
#pragma once

#include "layer_norm.h"

namespace TT_ISA {

template <class T>
CellRules<T> lstm_rules(const tt_problem& p) {
  CellRules<T> rules{};
  rules.gates = rules.x_gates = rules.h_gates = rules.together = 4;
  rules.slots = rules.dz_slots = 4;
  for (int g = 0; g < 4; ++g) rules.x_order[g] = rules.h_order[g] = g;
  rules.has_c = true;
  if (p.weight_hr) rules.second = Second::projection;
  rules.extras = p.peephole ? 3 : 0;
  rules.forward[0] = p.peephole ? lstm_forward<T, true> : lstm_forward<T, false>;
  rules.backward[0] = p.peephole ? lstm_backward<T, true> : lstm_backward<T, false>;
  return rules;
}

template <class T>
CellRules<T> norm_lstm_rules(const tt_problem& p) {
  CellRules<T> rules = lstm_rules<T>(p);
  rules.slots = norm_slots(p.H);
  rules.dz_slots = 8;  // the gradients of a_x and a_h differ
  rules.h_slot = 4;
  rules.extras = kNormVectors + (p.peephole ? 3 : 0);
  rules.norm = true;
  rules.forward[0] = p.peephole ? norm_gates<T, true> : norm_gates<T, false>;
  rules.forward[1] = norm_output<T>;
  rules.backward[0] =
      p.peephole ? norm_output_backward<T, true> : norm_output_backward<T, false>;
  rules.backward[1] =
      p.peephole ? norm_gates_backward<T, true> : norm_gates_backward<T, false>;
  rules.backward[2] = norm_inputs_backward<T>;
  return rules;
}

template <class T>
CellRules<T> gru_rules(bool reset_before) {
  CellRules<T> rules{};
  rules.gates = rules.x_gates = rules.h_gates = rules.together = 3;
  rules.slots = rules.dz_slots = 4;
  rules.h_slot = 1;
  const int x_order[] = {2, 0, 1}, h_order[] = {0, 1, 2};
  std::copy_n(x_order, 3, rules.x_order);
  std::copy_n(h_order, 3, rules.h_order);
  rules.has_direct = true;
  rules.forward[0] = gru_forward<T>;
  rules.backward[0] = gru_backward<T>;
  if (reset_before) {
    rules.h_gates = rules.together = 2;
    rules.slots = rules.dz_slots = 3;
    rules.second = Second::reset;
    rules.forward[0] = gru_before_gates<T>;
    rules.forward[1] = gru_before_state<T>;
    rules.backward[0] = gru_before_state_backward<T>;
    rules.backward[1] = gru_before_gates_backward<T>;
  }
  return rules;
}

template <class T>
bool elman_rules(const tt_problem& p, CellRules<T>& rules) {
  rules = {};
  rules.gates = rules.x_gates = rules.h_gates = rules.together = 1;
  rules.slots = rules.dz_slots = 1;
  rules.extras = p.extra ? 1 : 0;
  rules.has_direct = p.leak != 1;
  switch (p.activation) {
#define TT_PHI(A)                             \
  case A:                                     \
    rules.forward[0] = elman_forward<T, A>;   \
    rules.backward[0] = elman_backward<T, A>; \
    return true;
    TT_PHI(TT_IDENTITY)
    TT_PHI(TT_SIGMOID)
    TT_PHI(TT_TANH)
    TT_PHI(TT_RELU)
    TT_PHI(TT_GELU)
    TT_PHI(TT_SOFTPLUS)
    TT_PHI(TT_ELU)
    TT_PHI(TT_LEAKY_RELU)
#undef TT_PHI
  }
  return false;
}

// False for an unknown cell.
template <class T>
bool rules_of(const tt_problem& p, CellRules<T>& rules) {
  switch (p.cell) {
    case TT_ELMAN:
      return elman_rules<T>(p, rules);
    case TT_LSTM:
      rules = lstm_rules<T>(p);
      return true;
    case TT_LSTM_LAYER_NORM:
      rules = norm_lstm_rules<T>(p);
      return true;
    case TT_GRU:
    case TT_GRU_RESET_BEFORE:
      rules = gru_rules<T>(p.cell == TT_GRU_RESET_BEFORE);
      return true;
  }
  return false;
}

}  // namespace TT_ISA
