/* LSTM, LSTMCell and CuDNNLSTM: i, f, o = σ(x W + h U + b), c = f c + i act(x W_c + h U_c + b_c), h = o act(c)
 * (Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000). Gates are stored i f c o. */
#include "layers/rnn.h"

static cn_status upgrade(cn_layer *l, cn_value *config, cn_error *e) {
  return cn_rnn_upgrade(l, config, CN_CELL_LSTM, e);
}
static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  return cn_cell_build(l, CN_CELL_LSTM, false, in, e);
}
static cn_status import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  return cn_cell_import(l, CN_CELL_LSTM, false, arrays, n, e);
}
static int keras1_arrays(const cn_layer *l) { return cn_cell_keras1_arrays(l, CN_CELL_LSTM); }
static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_rnn_part part = cn_rnn_part_of(l, t, CN_CELL_LSTM, false);
  cn_rnn_lower(l, &part, 1, false, t, c);
}
static void lower_cell(cn_layer *l, cn_trace *t, cn_call *c) { cn_cell_lower(l, t, c, CN_CELL_LSTM); }

static const cn_field fields[] = {CN_CELL_ROWS, CN_CELL_ACTIVATION_ROWS, CN_CELL_GATE_ROWS, CN_CELL_FORGET_ROWS,
                                  CN_CELL_DROPOUT_ROWS, CN_RNN_ROWS, {0}};
static const cn_field cell_fields[] = {CN_CELL_ROWS, CN_CELL_ACTIVATION_ROWS, CN_CELL_GATE_ROWS, CN_CELL_FORGET_ROWS,
                                       CN_CELL_DROPOUT_ROWS, {0}};

const cn_layer_type cn_layer_lstm = {
    .name = "LSTM",
    .aliases = "LSTMV1 LSTMV2",
    .versions = "1 2 3",
    .help = CN_HELP("long short-term memory: (batch, time, features) -> (batch, units), or (batch, time, units)"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = 3,
    .settings_size = sizeof(cn_rnn),
    .fields = fields,
    .upgrade = upgrade,
    .build = build,
    .lower = lower,
    .import = import,
    .weights_path = "cell",
    .keras1_arrays = keras1_arrays,
};

const cn_layer_type cn_layer_lstm_cell = {
    .name = "LSTMCell",
    .versions = "2 3",
    .help = CN_HELP("one step of LSTM: (batch, features), h, c (batch, units) -> h, h, c"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = 3,
    .settings_size = sizeof(cn_rnn),
    .fields = cell_fields,
    .upgrade = upgrade,
    .build = build,
    .lower = lower_cell,
    .import = import,
};

/* ---- CuDNNLSTM: tanh and sigmoid, the weights in cuDNN's layout ---- */

static cn_status check_cudnn(cn_layer *l, cn_error *e) {
  (void)e;
  cn_cell *cell = &((cn_rnn *)l->settings)->cell;
  cell->activation = (cn_activation){.kind = CN_ACTIVATION_ELEMENT, .act = {.kind = CN_ACT_TANH}};
  cell->recurrent_activation = (cn_activation){.kind = CN_ACTIVATION_ELEMENT, .act = {.kind = CN_ACT_SIGMOID}};
  cell->use_bias = true;
  return CORNU_OK;
}
static cn_status build_cudnn(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  return cn_cell_build(l, CN_CELL_LSTM, true, in, e);
}
static cn_status import_cudnn(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  return cn_cell_import(l, CN_CELL_LSTM, true, arrays, n, e);
}
static void lower_cudnn(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_rnn_part part = cn_rnn_part_of(l, t, CN_CELL_LSTM, true);
  cn_rnn_lower(l, &part, 1, false, t, c);
}

static const cn_field cudnn_fields[] = {CN_CELL_ROWS, CN_CELL_FORGET_ROWS, CN_RNN_ROWS, {0}};

const cn_layer_type cn_layer_cudnn_lstm = {
    .name = "CuDNNLSTM",
    .versions = "2",
    .help = CN_HELP("LSTM with tanh and sigmoid; its weights keep cuDNN's layout and two biases"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = 3,
    .settings_size = sizeof(cn_rnn),
    .fields = cudnn_fields,
    .check = check_cudnn,
    .build = build_cudnn,
    .lower = lower_cudnn,
    .import = import_cudnn,
};
