// The C interface of the core: one struct in, numbers written into memory of the caller.
//
// Shapes: T steps, B sequences, I features in, H units, P features of h (H, or those of
// a projection), C further fields of the state, G gates. A "grid" is (T, B, features),
// contiguous; the state comes as two of them: h with P features, and the others next to
// each other, with C H. Every pointer may be null where the text says so; all of them
// point to numbers of `bytes` bytes (4: float, 8: double) unless typed.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TT_ABI 4
#define TT_GATES 16    // of one product
#define TT_PRODUCTS 4  // inside a step
#define TT_FIELDS 8    // of the state beside h

// What a cell does with each unit is a program: operations on strips of numbers, in
// phases. Operations read operands and write one; what each does is in machine.h.
enum tt_code {
  TT_COPY,
  TT_NEG,
  TT_EXP,
  TT_EXPM1,
  TT_LOG,
  TT_LOG1P,
  TT_TANH,
  TT_SIGMOID,
  TT_RELU,
  TT_SOFTPLUS,
  TT_ABS,
  TT_SQRT,
  TT_SIN,
  TT_COS,
  TT_NORMAL_CDF,
  TT_SIGN,
  TT_FLOOR,
  TT_ADD,
  TT_SUB,
  TT_MUL,
  TT_DIV,
  TT_MAX,
  TT_MIN,
  TT_GT,
  TT_GE,
  TT_EQ,
  TT_POW,
  TT_WHERE,
  TT_SIGMOID_SLOPE,
  TT_TANH_SLOPE,
  TT_FMA,
  TT_FNMA,
  TT_SIGMOID_SUM,
  TT_TANH_SUM,
  TT_LOAD,
  TT_STORE,
  TT_STORE_FAR,
  TT_ACCUMULATE,
  TT_NORMALISE,
  TT_NORM_GRADIENT,
};

// Where an operand is: kind * 1024 + index. First scratch memory ...
enum tt_kind {
  TT_REGISTER,
  TT_X,      // gate of a_x
  TT_H,      // gate of a_h
  TT_M,      // gate of the product before this phase
  TT_PARAM,  // row of the parameters per unit
  TT_CONST,
  TT_SPILL,  // lasts until the end of the step
  TT_DH,     // backward: gradient of h, or of what entered the product before this phase
  // ... then rows of memory, for load and store: fields of the old and of the new state,
  TT_H_OLD,
  TT_C_OLD,
  TT_H_NEW,
  TT_C_NEW,
  TT_SAVED,  // kept for the backward pass
  TT_MID,    // what enters a product inside the step
  TT_OUT,    // what enters the projection
  TT_DZ,     // gradients of the pre-activations
  TT_DC,     // gradients of the further fields
};

typedef struct tt_op {
  int16_t code, out, a, b, c;
} tt_op;

typedef struct tt_phase {
  int32_t product;                 // inside the step, run before it; -1: none
  int32_t begin, end;              // operations
  int32_t norms_begin, norms_end;  // sums over rows made after it
} tt_phase;

// Over a row, all units of all values: mean and deviation; or, where there are others
// (backward), the means of value and of value times other.
typedef struct tt_norm {
  double eps;
  int32_t number, count, pairs;
  int16_t values[TT_GATES], others[TT_GATES];  // operands
} tt_norm;

typedef struct tt_schedule {
  const tt_op* ops;
  const tt_phase* phases;
  const tt_norm* norms;
  int32_t count, registers, spills;  // count: of phases
} tt_schedule;

typedef struct tt_program {
  tt_schedule forward, backward;
  const double* constants;
  int32_t constants_count;
  int32_t x_gates, h_gates;  // of W_ih and of W_hh, which may be 0
  int32_t fields;            // C
  int32_t products, gates[TT_PRODUCTS];
  int32_t extras;  // rows of the parameters per unit
  int32_t kept;    // numbers per unit for the backward pass
  int32_t norms;   // normalised rows; a number of each is kept as well
  int32_t slots;   // per unit in `saved`: kept, and room for the norms behind them
  // Gradients of the pre-activations, `dz_slots` per unit; those of a product lie next
  // to each other from its slot on, and order[k] is the gate of the k-th.
  int32_t dz_slots, x_slot, h_slot, slot[TT_PRODUCTS];
  int32_t x_order[TT_GATES], h_order[TT_GATES], order[TT_PRODUCTS][TT_GATES];
  int32_t direct;  // a gradient goes to the old h past the products
} tt_program;

typedef struct tt_problem {
  int32_t bytes, threads;
  int32_t reverse;  // from the last step of each sequence to its first
  int32_t half;     // a stream keeps its weights as bfloat16; floats only
  int64_t T, B, I, H;
  int64_t P;  // features of h: those of the projection, else H
  const tt_program* program;

  const void* x;  // row (t, b) starts at x + t * x_step + b * x_batch, then I numbers
  int64_t x_step, x_batch;
  // (G H, I), (G H, P), and (G H, H) for all products inside the step; biases (G H) or
  // null. Null where the program has no such product.
  const void *weight_ih, *weight_hh, *weight_mh, *bias_ih, *bias_hh, *bias_mh;
  const void* weight_hr;   // projection (P, H); null
  const void* extra;       // parameters per unit (n, H); null where there are none
  const void* state[2];    // before the first step, by sequence
  const int64_t* lengths;  // (B), null: all T
  // (T), null: the first row of each step in grids, and in x and grad_out in units of
  // their distance between sequences, where only steps that exist have rows. Sequences
  // then come from long to short.
  const int64_t* packed;
  const uint8_t* reset;    // (T, B), null
  const void* initial[2];  // where a reset returns to; null without reset
  const void* mask;        // (B, P) on h in products, and on what enters those inside; null
  const uint8_t* hold[2];  // grids: 1 where a unit keeps its old value; null
  double share[1 + TT_FIELDS];  // or this share of the old value, by field; 0
  const void* added[2];         // grids, added to the state after each step; null

  void* states[2];  // grids; h is 0 where a step does not exist
  void* final[2];   // by sequence
  void* saved;      // (T, B, slots, H); null: no backward pass, or nothing is kept

  // Backward: gradients that come in (null: zero) ...
  const void* grad_out;  // of h, row (t, b) at grad_out + t * grad_step + b * grad_batch
  int64_t grad_step, grad_batch;
  const void* grad_states[2];  // grids, of every state
  const void* grad_final[2];
  const void* carry_gain;  // (T, B): multiplies what flows from step t to t - 1
  // ... and out (null: not wanted).
  void* grad_x;  // grid of I; 0 where a step does not exist
  void *grad_weight_ih, *grad_weight_hh, *grad_weight_mh;
  void *grad_bias_ih, *grad_bias_hh, *grad_bias_mh;
  void *grad_weight_hr, *grad_extra;
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
int tt_program_size(void);
// 0, or 1: unknown instruction set or type; 2: out of memory.
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
// Copies h (field 0) or the other fields (1) from the stream or, with `set`, into it.
void tt_stream_state(void* stream, int field, void* memory, int set);
void tt_stream_free(void* stream);
// Runs the float product on data in cache and returns the operations done: timed from
// outside, it is the limit of this machine for everything above.
double tt_product_limit(int threads, const char* instruction_set);

#ifdef __cplusplus
}
#endif
