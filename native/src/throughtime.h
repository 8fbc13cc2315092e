// The C interface of the core: one struct in, numbers written into memory of the caller.
//
// Shapes: T steps, B sequences, I features in, H features of c, P of h, G gates. A "grid"
// is (T, B, features), contiguous; what is said of h and c has P and H features. Every
// pointer may be null where the text says so; all of them point to numbers of `bytes`
// bytes (4: float, 8: double) unless typed.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TT_ABI 3

enum tt_cell {
  TT_ELMAN = 0,
  TT_LSTM = 1,
  TT_GRU = 2,
  TT_GRU_RESET_BEFORE = 3,
  TT_LSTM_LAYER_NORM = 4,
};

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
  int32_t half;  // a stream keeps its weights as bfloat16; floats only
  int64_t T, B, I, H;
  int64_t P;     // features of h: those of the projection, else H
  double leak;   // h = (1 - leak) h_old + leak phi(...); 1 for a cell without leak
  double alpha;  // of ELU and leaky ReLU

  const void* x;  // row (t, b) starts at x + t * x_step + b * x_batch, then I numbers
  int64_t x_step, x_batch;
  const void *weight_ih, *weight_hh, *bias_ih,
      *bias_hh;           // (G H, I), (G H, P), (G H), null
  const void* weight_hr;  // projection (P, H); null
  // Vectors of H numbers: with layer norm its 4 of a_x, 4 of a_h, 4 biases, then gain and
  // bias of c; then 3 peephole weights. Or alpha (1), of PReLU. Null where there is none.
  const void* extra;
  const void* state[2];    // h and c before the first step, by sequence
  const int64_t* lengths;  // (B), null: all T
  // (T), null: the first row of each step in grids, and in x and grad_out in units of
  // their distance between sequences, where only steps that exist have rows. Sequences
  // then come from long to short.
  const int64_t* packed;
  const uint8_t* reset;    // (T, B), null
  const void* initial[2];  // where a reset returns to; null without reset
  const void* mask;        // (B, P) on h in the recurrent product; null
  const uint8_t* hold[2];  // grids: 1 where a unit keeps its old value; null
  double share[2];         // or this share of the old value; 0
  const void* added[2];    // grids, added to the state after each step; null

  void* states[2];  // grids of h and c; h is 0 where a step does not exist
  void* final[2];   // by sequence
  // (T, B, slots, H), see tt_slots. Null: forward only; or, in backward, h is the saved
  // value (an identity, sigmoid, tanh or ReLU without leak, hold, share and added).
  void* saved;

  // Backward: gradients that come in (null: zero) ...
  const void* grad_out;  // of h, row (t, b) at grad_out + t * grad_step + b * grad_batch
  int64_t grad_step, grad_batch;
  const void* grad_states[2];  // grids, of every state
  const void* grad_final[2];
  const void* carry_gain;  // (T, B): multiplies what flows from step t to t - 1
  // ... and out (null: not wanted).
  void* grad_x;  // grid of I; 0 where a step does not exist
  void *grad_weight_ih, *grad_weight_hh, *grad_bias_ih, *grad_bias_hh, *grad_weight_hr;
  void* grad_extra;
  void *grad_state[2], *grad_initial[2], *grad_added[2];
} tt_problem;

// The output layer with its loss, l = -log softmax(h W^T + b)[target]: N rows, H
// features, V classes, all contiguous.
typedef struct tt_output_problem {
  int32_t bytes, threads;
  int64_t N, H, V;
  double smoothing;               // share of the target that is spread over all classes
  const void *h, *weight, *bias;  // (N, H), (V, H), (V) or null
  const int64_t* targets;         // (N), below V; negative: the row does not count
  const void* row_weights;        // (N), gradient of each row's loss; null: no gradients
  void* losses;                   // (N), 0 where a row does not count; null: not wanted
  void *grad_h, *grad_weight, *grad_bias;  // null: not wanted
} tt_output_problem;

int tt_abi(void);
int tt_problem_size(void);
int tt_output_problem_size(void);
// Names of the instruction sets that were built and run here, best first, by spaces.
const char* tt_instruction_sets(void);
// Numbers kept per step, sequence and unit for the backward pass.
int tt_slots(int cell, int64_t H);
// 0, or 1: unknown instruction set, cell or type; 2: out of memory.
int tt_forward(const tt_problem* problem, const char* instruction_set);
int tt_backward(const tt_problem* problem, const char* instruction_set);
// Two problems, forward or backward, that do not read each other's results: at the same
// time where that is faster.
int tt_both(const tt_problem* problems, int backward, const char* instruction_set);
int tt_output(const tt_output_problem* problem, const char* instruction_set);
// One step at a time. A stream keeps its own copy of the weights and its state, which
// starts at zero; x is (B, I) and out, the new h, (B, P), both contiguous. Null if
// refused or out of memory. One stream is for one thread at a time.
void* tt_stream_new(const tt_problem* problem, const char* instruction_set);
void tt_stream_step(void* stream, const void* x, void* out);
// Copies h (field 0) or c (field 1) from the stream or, with `set`, into it.
void tt_stream_state(void* stream, int field, void* memory, int set);
void tt_stream_free(void* stream);
// Runs the float product on data in cache and returns the operations done: timed from
// outside, it is the limit of this machine for everything above.
double tt_product_limit(int threads, const char* instruction_set);

#ifdef __cplusplus
}
#endif
