/* SimpleRNN and SimpleRNNCell: h = act(x W + h U + b). */
#include "layers/rnn.h"

static cn_status upgrade(cn_layer *l, cn_value *config, cn_error *e) {
  return cn_rnn_upgrade(l, config, CN_CELL_SIMPLE, e);
}
static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  return cn_cell_build(l, CN_CELL_SIMPLE, false, in, e);
}
static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_rnn_part part = cn_rnn_part_of(l, t, CN_CELL_SIMPLE, false);
  cn_rnn_lower(l, &part, 1, false, t, c);
}
static void lower_cell(cn_layer *l, cn_trace *t, cn_call *c) { cn_cell_lower(l, t, c, CN_CELL_SIMPLE); }

static const cn_field fields[] = {CN_CELL_ROWS, CN_CELL_ACTIVATION_ROWS, CN_CELL_DROPOUT_ROWS, CN_RNN_ROWS, {0}};
static const cn_field cell_fields[] = {CN_CELL_ROWS, CN_CELL_ACTIVATION_ROWS, CN_CELL_DROPOUT_ROWS, {0}};

const cn_layer_type cn_layer_simple_rnn = {
    .name = "SimpleRNN",
    .versions = "1 2 3",
    .help = CN_HELP("recurrent layer h = act(x W + h U + b): (batch, time, features) -> (batch, units), or "
                    "(batch, time, "
                "units)"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = 2,
    .settings_size = sizeof(cn_rnn),
    .fields = fields,
    .upgrade = upgrade,
    .build = build,
    .lower = lower,
    .weights_path = "cell",
};

const cn_layer_type cn_layer_simple_rnn_cell = {
    .name = "SimpleRNNCell",
    .versions = "2 3",
    .help = CN_HELP("one step of SimpleRNN: (batch, features), (batch, units) -> (batch, units) twice"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = 2,
    .settings_size = sizeof(cn_rnn),
    .fields = cell_fields,
    .upgrade = upgrade,
    .build = build,
    .lower = lower_cell,
};
