// The C interface of the core: one struct in, numbers written into memory of the caller.
//
// Shapes: T steps, B sequences, I features in, H features of the state, G gates. A "grid"
// is (T, B, features), contiguous. Every pointer may be null where the text says so; all
// of them point to numbers of `bytes` bytes (4: float, 8: double) unless typed.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TT_ABI 1

enum tt_cell { TT_ELMAN = 0, TT_LSTM = 1, TT_GRU = 2 };

enum tt_activation {
  TT_IDENTITY = 0,
  TT_SIGMOID = 1,
  TT_TANH = 2,
  TT_RELU = 3,
  TT_GELU = 4,
  TT_SOFTPLUS = 5,
  TT_ELU = 6,
  TT_LEAKY_RELU = 7,  // also PReLU, whose slope comes in `extra`
};

typedef struct tt_problem {
  int32_t bytes, cell, activation, threads;
  int32_t reverse;  // from the last step of each sequence to its first
  int32_t peephole;
  int64_t T, B, I, H;
  double leak;   // h = (1 - leak) h_old + leak phi(...); 1 for a cell without leak
  double alpha;  // of ELU and leaky ReLU

  const void* x;  // row (t, b) starts at x + t * x_step + b * x_batch, then I numbers
  int64_t x_step, x_batch;
  const void *weight_ih, *weight_hh, *bias_ih, *bias_hh;  // (G H, I), (G H, H), (G H), null
  const void* extra;      // peephole weights (3, H), or alpha (1); null
  const void* state[2];   // before the first step, (B, H)
  const int64_t* lengths;  // (B), null: all T
  const uint8_t* reset;    // (T, B), null
  const void* initial[2];  // (B, H), where a reset returns to; null without reset
  const void* mask;        // (B, H) on h in the recurrent product; null
  const uint8_t* hold[2];  // grids: 1 where a unit keeps its old value; null
  double share[2];         // or this share of the old value; 0
  const void* added[2];    // grids, added to the state after each step; null

  void* states[2];  // grids of h and c; h is 0 where a step does not exist
  void* final[2];   // (B, H)
  void* saved;      // (T, B, slots, H), see tt_slots; null: forward only

  // Backward: gradients that come in (null: zero) ...
  const void* grad_out;  // of h, row (t, b) at grad_out + t * grad_step + b * grad_batch
  int64_t grad_step, grad_batch;
  const void* grad_states[2];  // grids, of every state
  const void* grad_final[2];   // (B, H)
  const void* carry_gain;      // (T, B): multiplies what flows from step t to t - 1
  // ... and out (null: not wanted).
  void* grad_x;  // grid of I; 0 where a step does not exist
  void *grad_weight_ih, *grad_weight_hh, *grad_bias_ih, *grad_bias_hh, *grad_extra;
  void *grad_state[2], *grad_initial[2], *grad_added[2];
} tt_problem;

int tt_abi(void);
int tt_problem_size(void);
// Names of the instruction sets that were built and run here, best first, by spaces.
const char* tt_instruction_sets(void);
// Numbers kept per step, sequence and unit for the backward pass.
int tt_slots(int cell);
// 0, or 1: unknown instruction set, cell or type; 2: out of memory.
int tt_forward(const tt_problem* problem, const char* instruction_set);
int tt_backward(const tt_problem* problem, const char* instruction_set);
// One step at a time. A stream keeps its own copy of the weights and its state, which
// starts at zero; x is (B, I) and out, the new h, (B, H), both contiguous. Null if refused
// or out of memory. One stream is for one thread at a time.
void* tt_stream_new(const tt_problem* problem, const char* instruction_set);
void tt_stream_step(void* stream, const void* x, void* out);
// Copies h (field 0) or c (field 1), (B, H), from the stream or, with `set`, into it.
void tt_stream_state(void* stream, int field, void* memory, int set);
void tt_stream_free(void* stream);
// Runs the float product on data in cache and returns the operations done: timed from
// outside, it is the limit of this machine for everything above.
double tt_product_limit(int threads, const char* instruction_set);

#ifdef __cplusplus
}
#endif
