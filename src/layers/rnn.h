/* What the recurrent layers share: SimpleRNN, LSTM, GRU, their cells, their cuDNN classes, and RNN over cells.
 * One settings struct serves all of them; a layer's field table lists the rows it has. */
#ifndef CN_LAYERS_RNN_H
#define CN_LAYERS_RNN_H

#include "layers/part.h"
#include "ops/ops.h"

typedef enum cn_cell_kind { CN_CELL_SIMPLE, CN_CELL_LSTM, CN_CELL_GRU } cn_cell_kind;
int cn_rnn_gates(cn_cell_kind kind); /* 1, 4, 3 */

/* The arithmetic of one time step. */
typedef struct cn_cell {
  int64_t units;
  cn_activation activation, recurrent_activation;
  bool use_bias, unit_forget_bias, reset_after;
  double dropout, recurrent_dropout;
  int64_t seed;                /* of what is dropped */
  const cn_value *kernel_initializer, *recurrent_initializer, *bias_initializer;
} cn_cell;

/* What is dropped from the input and from the state of a cell in training: factors (batch, …), one for all gates or one
 * for each; n = 0: nothing. */
enum { CN_RNN_MAX_GATES = 4 };
typedef struct cn_rnn_drop { int n; cn_edge by[CN_RNN_MAX_GATES]; } cn_rnn_drop;

typedef struct cn_rnn {
  cn_cell cell;
  bool return_sequences, return_state, go_backwards, stateful, time_major, zero_output_for_mask;
  const char *consume_less;    /* Keras 1: "gpu" keeps joined kernels */
  int64_t implementation;      /* Keras 2's number for the same choice */
  int64_t num_constants;       /* Keras 2, RNN alone */
  const cn_value *cell_config; /* RNN: the serialized cell */
  /* A cell that runs for each step: what it drops from all steps of the sequence that this trace (serial) is in. */
  struct { uint64_t serial; cn_rnn_drop input, state; } drawn;
} cn_rnn;

/* ---- Rows of field tables ---- */
#define CN_RNN_IGNORED(key, old, text) \
  {.name = key, .aliases = old, .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP(text)}
#define CN_RNN_FLAG(key, text) \
  {.name = #key, .kind = CN_F_BOOL, .offset = offsetof(cn_rnn, key), .standard = "false", .help = CN_HELP(text)}
#define CN_RNN_INITIALIZER(key, old, text) \
  {.name = #key, .aliases = old, .kind = CN_F_VALUE, .offset = offsetof(cn_rnn, cell.key), .standard = "null", \
   .help = CN_HELP(text)}

#define CN_CELL_ROWS                                                                                                   \
  {.name = "units", .aliases = "output_dim", .kind = CN_F_INT, .offset = offsetof(cn_rnn, cell.units), .min = 1,       \
   .max = 1 << 24, .help = CN_HELP("size of the state")},                                                              \
  CN_RNN_INITIALIZER(kernel_initializer, "init", "initial kernel; null: glorot_uniform"),                              \
  CN_RNN_INITIALIZER(recurrent_initializer, "inner_init", "initial recurrent kernel; null: orthogonal"),               \
  CN_RNN_INITIALIZER(bias_initializer, NULL, "initial bias; null: zeros"),                                             \
  CN_WEIGHT_ROWS("kernel", "W_regularizer", "W_constraint"), CN_WEIGHT_ROWS("recurrent", "U_regularizer", "U_constraint"), \
  CN_WEIGHT_ROWS("bias", "b_regularizer", "b_constraint"), CN_ACTIVITY_ROW,                                            \
  {.name = "implementation", .kind = CN_F_INT, .offset = offsetof(cn_rnn, implementation), .standard = "null",         \
   .help = CN_HELP("how Keras 2 computed it; tells how Keras 1 files keep the kernels, without effect on the result")}
#define CN_DROPOUT_ROWS(type, path)                                                                                           \
  {.name = "dropout", .aliases = "dropout_W", .kind = CN_F_FLOAT, .offset = offsetof(type, path dropout),             \
   .standard = "0", .help = CN_HELP("share of the input dropped in training, the same in all steps")},                 \
  {.name = "recurrent_dropout", .aliases = "dropout_U", .kind = CN_F_FLOAT,                                            \
   .offset = offsetof(type, path recurrent_dropout), .standard = "0",                                                \
   .help = CN_HELP("share of the state dropped in training, the same in all steps")},                                  \
  {.name = "seed", .kind = CN_F_INT, .offset = offsetof(type, path seed), .standard = "null", .min = -9e18,           \
   .max = 9e18, .help = CN_HELP("of what is dropped; null: the model's")},                                             \
  CN_RNN_IGNORED("rng_type", NULL, "which generator: there is one")
#define CN_CELL_DROPOUT_ROWS CN_DROPOUT_ROWS(cn_rnn, cell.)
#define CN_CELL_ACTIVATION_ROWS                                                                                        \
  {.name = "activation", .kind = CN_F_ACTIVATION, .offset = offsetof(cn_rnn, cell.activation),                         \
   .standard = "\"tanh\"", .help = CN_HELP("of the candidate and the output")},                                        \
  {.name = "use_bias", .kind = CN_F_BOOL, .offset = offsetof(cn_rnn, cell.use_bias), .standard = "true",     \
   .help = CN_HELP("adds a bias")}
#define CN_CELL_GATE_ROWS                                                                                              \
  {.name = "recurrent_activation", .aliases = "inner_activation", .kind = CN_F_ACTIVATION,                             \
   .offset = offsetof(cn_rnn, cell.recurrent_activation), .standard = "\"sigmoid\"",                                   \
   .help = CN_HELP("of the gates; a missing key means what its Keras meant (hard_sigmoid before 2.3)")}
#define CN_CELL_FORGET_ROWS                                                                                            \
  {.name = "unit_forget_bias", .kind = CN_F_BOOL, .offset = offsetof(cn_rnn, cell.unit_forget_bias),                   \
   .standard = "true", .help = CN_HELP("the forget gate's bias begins as ones")}
#define CN_CELL_RESET_ROWS                                                                                             \
  {.name = "reset_after", .kind = CN_F_BOOL, .offset = offsetof(cn_rnn, cell.reset_after), .standard = "false",        \
   .help = CN_HELP("the reset gate applies after the recurrent product; a missing key is true in Keras 3")}

#define CN_RNN_ROWS                                                                                                    \
  CN_RNN_FLAG(return_sequences, "output of every step, else of the last"),                                             \
  CN_RNN_FLAG(return_state, "final states follow the output"),                                                         \
  CN_RNN_FLAG(go_backwards, "steps run from the last to the first; outputs stay in processing order"),                 \
  CN_RNN_FLAG(stateful, "a run begins with the states that the last one left"),                                  \
  CN_RNN_FLAG(time_major, "input and output are (time, batch, features)"),                                             \
  CN_RNN_FLAG(zero_output_for_mask, "masked steps give zeros, else the output before them"),                           \
  CN_RNN_IGNORED("unroll", NULL, "same result"),                                                                       \
  CN_RNN_IGNORED("use_cudnn", "enable_caching_device", "same result"),                                                 \
  CN_RNN_IGNORED("input_dim", NULL, "Keras 1: the input's features"),                                                  \
  CN_RNN_IGNORED("input_length", NULL, "Keras 1: the input's steps"),                                                  \
  {.name = "consume_less", .kind = CN_F_STRING, .offset = offsetof(cn_rnn, consume_less), .standard = "null",          \
   .help = CN_HELP("Keras 1: cpu, mem or gpu; tells how the file keeps the kernels")}

/* ---- Callbacks of the layer types ---- */

/* Puts in what a missing recurrent_activation, reset_after or forget_bias_init meant to the writer. */
cn_status cn_rnn_upgrade(cn_layer *l, cn_value *config, cn_cell_kind kind, cn_error *e);
/* kernel (features, gates * u), recurrent_kernel (u, gates * u), bias (gates * u), (2, 3 u) for GRU with reset_after;
 * cuDNN classes: bias (2 * gates * u). features is the last dimension of in. */
cn_status cn_cell_build(cn_layer *l, cn_cell_kind kind, bool cudnn, const cn_type *in, cn_error *e);
/* Joins Keras 1's gates, converts between cuDNN's and the plain layout, and settles reset_after by the bias. */
cn_status cn_cell_import(cn_layer *l, cn_cell_kind kind, bool cudnn, cn_tensor **arrays, int *n, cn_error *e);
/* A weight of a cuDNN class in the plain layout; releases what it replaces. */
cn_status cn_cell_plain(cn_cell_kind kind, int index, cn_tensor **array, cn_error *e);
/* LSTM's forget gate begins with ones where the bias (of this size) begins with zeros. */
cn_status cn_cell_forget_bias(cn_layer *l, int64_t units, const cn_value *initializer, int64_t size, cn_error *e);
int cn_cell_keras1_arrays(const cn_layer *l, cn_cell_kind kind);

/* ---- Lowering ---- */

typedef struct cn_rnn_part {
  cn_cell_kind kind;
  const cn_cell *cell;
  cn_edge kernel, recurrent, bias;
  cn_layer *layer;             /* whose it is */
  double dropout, recurrent_dropout;
  int factors;                 /* 1, or one for each gate */
  bool each_step;              /* other values of the input drop in each step */
  bool drops_kept;             /* GRU: what is kept of the state is dropped from, too */
  cn_rnn_drop input, state;    /* once drawn */
} cn_rnn_part;

/* Initial states of a call, flattened: further positional inputs but the last n_constants (Keras 2), or the argument
 * initial_state (Keras 3). Returns their number. */
int cn_rnn_initial_states(cn_trace *t, const cn_call *c, int n_constants, cn_edge *out, int cap);
/* The mask to use: Keras 3 hands the sequence's own on where no states are given beside it. */
cn_edge cn_rnn_mask(const cn_layer *l, const cn_call *c, int n_initial);
/* (batch, time) of a mask that may be (batch, time, 1), too. */
cn_edge cn_rnn_time_mask(cn_trace *t, cn_edge mask);
cn_edge cn_rnn_swap_leading(cn_trace *t, cn_edge x);   /* (time, batch, …) and back */
/* The layer's own weights as the op wants them. */
cn_rnn_part cn_rnn_part_of(cn_layer *l, cn_trace *t, cn_cell_kind kind, bool cudnn);
/* A stack of cells (often one) over a sequence; states of the last cell come first when states_reversed. */
void cn_rnn_lower(cn_layer *l, const cn_rnn_part *parts, int n_parts, bool states_reversed, cn_trace *t, cn_call *c);
/* A cell called on its own: (x (b, in), states) -> (h, states). */
void cn_cell_lower(cn_layer *l, cn_trace *t, cn_call *c, cn_cell_kind kind);

typedef struct cn_rnn_result { cn_edge y, states[2]; } cn_rnn_result; /* h, and LSTM's c */
/* Whether the ops do not take an activation, or what is dropped; a cell over (batch, time, features) without them, where
 * time is known. h, c: CN_NO_EDGE for zeros. */
bool cn_rnn_must_unroll(const cn_rnn_part *p);
/* In training: draws what is dropped, for an input x (batch, …, features). */
void cn_rnn_draw(cn_trace *t, cn_rnn_part *p, cn_edge x);
cn_edge cn_rnn_left(cn_trace *t, const cn_rnn_part *p, cn_edge x); /* of the input, where one factor serves all gates */
cn_rnn_result cn_rnn_unroll(cn_trace *t, const cn_rnn_part *p, cn_rnn_attrs flags, cn_edge x, cn_edge mask, cn_edge h,
                            cn_edge c);

/* Types of a cell's states for the input x of one step. Returns their number, -1 after an error. */
int cn_cell_states(cn_layer *cell, const cn_type *x, cn_type *out, int cap, cn_error *e);
/* Any cell over a sequence, step by step: cells that are no ops of their own. */
void cn_rnn_lower_steps(cn_layer *l, cn_layer *cell, cn_trace *t, cn_call *c);
cn_edge cn_rnn_step_of(cn_trace *t, cn_edge x, int64_t i);   /* (batch, time, …) -> (batch, …) */
/* fresh where the mask (batch) of a step is true, else old (CN_NO_EDGE: zeros). */
cn_edge cn_rnn_keep(cn_trace *t, cn_edge mask, cn_edge fresh, cn_edge old);

enum { CN_RNN_MAX_CELLS = 64, CN_RNN_MAX_STATES = 2 * CN_RNN_MAX_CELLS };

extern const cn_layer_type cn_layer_simple_rnn_cell, cn_layer_lstm_cell, cn_layer_gru_cell, cn_layer_stacked_rnn_cells,
    cn_layer_cell_wrapper;

#endif
