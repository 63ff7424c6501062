/* TimeDistributedDense of Keras 1: a dense layer on every time step. */
#include "base/text.h"
#include "layers/part.h"
#include "ops/ops.h"

typedef struct settings {
  int64_t units;
  cn_activation activation;
  bool bias;
  const cn_value *init;
} settings;

static const cn_field fields[] = {
    {.name = "output_dim", .aliases = "units", .kind = CN_F_INT, .offset = offsetof(settings, units), .min = 1,
     .max = 1 << 24, .help = CN_HELP("outputs")},
    {.name = "init", .kind = CN_F_VALUE, .offset = offsetof(settings, init), .standard = "null",
     .help = CN_HELP("initial kernel")},
    {.name = "activation", .kind = CN_F_ACTIVATION, .offset = offsetof(settings, activation), .standard = "\"linear\"",
     .help = CN_HELP("of the output")},
    {.name = "bias", .kind = CN_F_BOOL, .offset = offsetof(settings, bias), .standard = "true",
     .help = CN_HELP("adds a bias")},
    CN_WEIGHT_ROWS("W", NULL, NULL),
    CN_WEIGHT_ROWS("b", NULL, NULL),
    CN_ACTIVITY_ROW,
    {.name = "input_dim", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("the input's features")},
    {.name = "input_length", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("the input's steps")},
    {0}};

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  const settings *s = l->settings;
  if (in->rank != 3 || in->shape[2] < 0)
    return cn_fail(e, CORNU_ERR_SHAPE, "the input has shape %s, expected (batch, time, features)",
        CN_SHAPE(in->rank, in->shape));
  CN_TRY(cn_layer_add_weight(l, "kernel", 2, (int64_t[]){in->shape[2], s->units}, true, s->init, e));
  return s->bias ? cn_layer_add_weight(l, "bias", 1, &s->units, true, NULL, e) : CORNU_OK;
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_dense_attrs a = {.act = cn_activation_epilogue(&s->activation)};
  cn_edge y = cn_emit3(t, &cn_op_dense, &a, c->in[0].data, cn_layer_weight_edge(l, t, "kernel"),
      cn_layer_weight_edge(l, t, "bias"));
  cn_call_return(t, c, cn_activation_rest(t, &s->activation, y), CN_NO_EDGE);
}

const cn_layer_type cn_layer_time_distributed_dense = {
    .name = "TimeDistributedDense",
    .versions = "1",
    .help = CN_HELP("act(x W + b) on every step: (batch, time, features) -> (batch, time, output_dim)"),
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
};
