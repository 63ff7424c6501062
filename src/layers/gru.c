/* GRU, GRUCell and CuDNNGRU: z, r = σ(x W + h U + b), h' = z h + (1 - z) act(x W_h + (r h) U_h + b_h) (Cho et al.
 * 2014); with reset_after act(x W_h + b_h + r (h U_h + b'_h)), as cuDNN computes. Gates are stored z r h. */
#include "layers/rnn.h"

static cn_status upgrade(cn_layer *l, cn_value *config, cn_error *e) {
  return cn_rnn_upgrade(l, config, CN_CELL_GRU, e);
}
static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  return cn_cell_build(l, CN_CELL_GRU, false, in, e);
}
static cn_status import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  return cn_cell_import(l, CN_CELL_GRU, false, arrays, n, e);
}
static int keras1_arrays(const cn_layer *l) { return cn_cell_keras1_arrays(l, CN_CELL_GRU); }
static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_rnn_part part = cn_rnn_part_of(l, t, CN_CELL_GRU, false);
  cn_rnn_lower(l, &part, 1, false, t, c);
}
static void lower_cell(cn_layer *l, cn_trace *t, cn_call *c) { cn_cell_lower(l, t, c, CN_CELL_GRU); }

static const cn_field fields[] = {CN_CELL_ROWS, CN_CELL_ACTIVATION_ROWS, CN_CELL_GATE_ROWS, CN_CELL_RESET_ROWS,
                                  CN_CELL_DROPOUT_ROWS, CN_RNN_ROWS, {0}};
static const cn_field cell_fields[] = {CN_CELL_ROWS, CN_CELL_ACTIVATION_ROWS, CN_CELL_GATE_ROWS, CN_CELL_RESET_ROWS,
                                       CN_CELL_DROPOUT_ROWS, {0}};

const cn_layer_type cn_layer_gru = {
    .name = "GRU",
    .aliases = "GRUV1 GRUV2",
    .versions = "1 2 3",
    .help = CN_HELP("gated recurrent unit: (batch, time, features) -> (batch, units), or (batch, time, units)"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = 2,
    .settings_size = sizeof(cn_rnn),
    .fields = fields,
    .upgrade = upgrade,
    .build = build,
    .lower = lower,
    .import = import,
    .weights_path = "cell",
    .keras1_arrays = keras1_arrays,
};

const cn_layer_type cn_layer_gru_cell = {
    .name = "GRUCell",
    .versions = "2 3",
    .help = CN_HELP("one step of GRU: (batch, features), (batch, units) -> (batch, units) twice"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = 2,
    .settings_size = sizeof(cn_rnn),
    .fields = cell_fields,
    .upgrade = upgrade,
    .build = build,
    .lower = lower_cell,
    .import = import,
};

/* ---- CuDNNGRU: tanh, sigmoid, reset_after, the weights in cuDNN's layout ---- */

static cn_status check_cudnn(cn_layer *l, cn_error *e) {
  (void)e;
  cn_cell *cell = &((cn_rnn *)l->settings)->cell;
  cell->activation = (cn_activation){.kind = CN_ACTIVATION_ELEMENT, .act = {.kind = CN_ACT_TANH}};
  cell->recurrent_activation = (cn_activation){.kind = CN_ACTIVATION_ELEMENT, .act = {.kind = CN_ACT_SIGMOID}};
  cell->use_bias = cell->reset_after = true;
  return CORNU_OK;
}
static cn_status build_cudnn(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  return cn_cell_build(l, CN_CELL_GRU, true, in, e);
}
static cn_status import_cudnn(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  return cn_cell_import(l, CN_CELL_GRU, true, arrays, n, e);
}
static void lower_cudnn(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_rnn_part part = cn_rnn_part_of(l, t, CN_CELL_GRU, true);
  cn_rnn_lower(l, &part, 1, false, t, c);
}

static const cn_field cudnn_fields[] = {CN_CELL_ROWS, CN_RNN_ROWS, {0}};

const cn_layer_type cn_layer_cudnn_gru = {
    .name = "CuDNNGRU",
    .versions = "2",
    .help = CN_HELP("GRU with tanh, sigmoid and reset_after; its weights keep cuDNN's layout and two biases"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = 2,
    .settings_size = sizeof(cn_rnn),
    .fields = cudnn_fields,
    .check = check_cudnn,
    .build = build_cudnn,
    .lower = lower_cudnn,
    .import = import_cudnn,
};
