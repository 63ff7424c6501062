/* Highway of Keras 1: a dense layer and the identity, mixed by a gate (Srivastava et al. 2015). */
#include "base/text.h"
#include "layers/part.h"
#include "ops/ops.h"

typedef struct settings {
  cn_activation activation;
  bool bias;
  const cn_value *init;
} settings;

static const cn_field fields[] = {
    {.name = "init", .kind = CN_F_VALUE, .offset = offsetof(settings, init), .standard = "null",
     .help = CN_HELP("initial kernels")},
    {.name = "activation", .kind = CN_F_ACTIVATION, .offset = offsetof(settings, activation), .standard = "\"linear\"",
     .help = CN_HELP("of the dense part")},
    {.name = "bias", .kind = CN_F_BOOL, .offset = offsetof(settings, bias), .standard = "true",
     .help = CN_HELP("adds biases")},
    {.name = "transform_bias", .kind = CN_F_IGNORED, .standard = "null",
     .help = CN_HELP("initial bias of the gate in older files")},
    CN_WEIGHT_ROWS("W", NULL, NULL),
    CN_WEIGHT_ROWS("b", NULL, NULL),
    CN_ACTIVITY_ROW,
    {.name = "input_dim", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("the input's features")},
    {0}};

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  const settings *s = l->settings;
  int64_t n = in->rank == 2 ? in->shape[1] : -1;
  if (n < 0) return cn_fail(e, CORNU_ERR_SHAPE, "the input has shape %s, expected (batch, features)",
      CN_SHAPE(in->rank, in->shape));
  CN_TRY(cn_layer_add_weight(l, "W", 2, (int64_t[]){n, n}, true, s->init, e));
  CN_TRY(cn_layer_add_weight(l, "W_carry", 2, (int64_t[]){n, n}, true, s->init, e));
  if (!s->bias) return CORNU_OK;
  cn_value *ones = cn_value_text(&l->arena, "one");
  if (!ones) return cn_no_memory(e);
  CN_TRY(cn_layer_add_weight(l, "b", 1, &n, true, NULL, e));
  return cn_layer_add_weight(l, "b_carry", 1, &n, true, ones, e);
}

/* y = g act(x W + b) + (1 - g) x with g = σ(x W_carry + b_carry), computed as x + g (act(…) - x). */
static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = c->in[0].data;
  cn_dense_attrs gate = {.act = {.kind = CN_ACT_SIGMOID}}, dense = {.act = cn_activation_epilogue(&s->activation)};
  cn_edge g = cn_emit3(t, &cn_op_dense, &gate, x, cn_layer_weight_edge(l, t, "W_carry"),
      cn_layer_weight_edge(l, t, "b_carry"));
  cn_edge h = cn_emit3(t, &cn_op_dense, &dense, x, cn_layer_weight_edge(l, t, "W"), cn_layer_weight_edge(l, t, "b"));
  h = cn_activation_rest(t, &s->activation, h);
  cn_edge change = cn_emit2(t, &cn_op_mul, NULL, g, cn_emit2(t, &cn_op_sub, NULL, h, x));
  cn_call_return(t, c, cn_emit2(t, &cn_op_add, NULL, x, change), CN_NO_EDGE);
}

const cn_layer_type cn_layer_highway = {
    .name = "Highway",
    .versions = "1 2",
    .help = CN_HELP("g act(x W + b) + (1 - g) x with g = sigmoid(x W_carry + b_carry): (batch, features) -> the same"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
};
