/* MaxoutDense of Keras 1: the largest of several linear maps (Goodfellow et al. 2013). */
#include "base/text.h"
#include "layers/part.h"
#include "ops/ops.h"

typedef struct settings {
  int64_t output_dim, nb_feature;
  bool bias;
  const cn_value *init;
} settings;

static const cn_field fields[] = {
    {.name = "output_dim", .kind = CN_F_INT, .offset = offsetof(settings, output_dim), .min = 1, .max = 1 << 24,
     .help = CN_HELP("outputs")},
    {.name = "nb_feature", .kind = CN_F_INT, .offset = offsetof(settings, nb_feature), .standard = "4", .min = 1,
     .max = 1 << 20,
     .help = CN_HELP("linear maps to choose from")},
    {.name = "init", .kind = CN_F_VALUE, .offset = offsetof(settings, init), .standard = "null",
     .help = CN_HELP("initial kernel")},
    {.name = "bias", .kind = CN_F_BOOL, .offset = offsetof(settings, bias), .standard = "true",
     .help = CN_HELP("adds a bias")},
    CN_WEIGHT_ROWS("W", NULL, NULL),
    CN_WEIGHT_ROWS("b", NULL, NULL),
    CN_ACTIVITY_ROW,
    {.name = "input_dim", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("the input's features")},
    {0}};

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  const settings *s = l->settings;
  if (in->rank != 2 || in->shape[1] < 0)
    return cn_fail(e, CORNU_ERR_SHAPE, "the input has shape %s, expected (batch, features)",
        CN_SHAPE(in->rank, in->shape));
  CN_TRY(cn_layer_add_weight(l, "W", 3, (int64_t[]){s->nb_feature, in->shape[1], s->output_dim}, true, s->init, e));
  return s->bias ? cn_layer_add_weight(l, "b", 2, (int64_t[]){s->nb_feature, s->output_dim}, true, NULL, e) : CORNU_OK;
}

/* (b, in) @ (f, in, out) + (f, 1, out), the largest over f. */
static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge y = cn_emit2(t, &cn_op_matmul, NULL, c->in[0].data, cn_layer_weight_edge(l, t, "W"));
  if (s->bias) y = cn_emit2(t, &cn_op_add, NULL, y,
      cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){1}, cn_layer_weight_edge(l, t, "b")));
  cn_call_return(t, c, cn_emit1(t, &cn_op_max, &(cn_reduce_attrs){.axes = {1, {0}}}, y), CN_NO_EDGE);
}

const cn_layer_type cn_layer_maxout_dense = {
    .name = "MaxoutDense",
    .versions = "1 2",
    .help = CN_HELP("max over f of x W[f] + b[f]: (batch, features) -> (batch, output_dim)"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
};
