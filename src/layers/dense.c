/* Dense: act(x @ kernel + bias) over the last axis. */
#include "base/text.h"
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { int64_t units; cn_activation activation; bool use_bias; } settings;

static const cn_field fields[] = {
    {.name = "units", .aliases = "output_dim", .kind = CN_F_INT, .offset = offsetof(settings, units), .min = 1, .max = 1 << 28, .help = "outputs"},
    {.name = "activation", .kind = CN_F_ACTIVATION, .offset = offsetof(settings, activation), .standard = "null", .help = "applied to the result"},
    {.name = "use_bias", .aliases = "bias", .kind = CN_F_BOOL, .offset = offsetof(settings, use_bias), .standard = "true", .help = "adds a bias"},
    {0}};

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  const settings *s = l->settings;
  if (in->rank < 1 || in->shape[in->rank - 1] < 0)
    return cn_fail(e, CORNU_ERR_SHAPE, "the input has shape %s: its last dimension must be known", CN_SHAPE(in->rank, in->shape));
  const cn_value *init = cn_value_find(l->config, "kernel_initializer");
  CN_TRY(cn_layer_add_weight(l, "kernel", 2, (int64_t[]){in->shape[in->rank - 1], s->units}, true, init ? init : cn_value_find(l->config, "init"), e));
  return s->use_bias ? cn_layer_add_weight(l, "bias", 1, &s->units, true, cn_value_find(l->config, "bias_initializer"), e) : CORNU_OK;
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = c->in[0].data;
  if (cn_edge_type(t, x)->dtype != CORNU_FLOAT32) x = cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){CORNU_FLOAT32}, x);
  const cn_type *type = cn_edge_type(t, x);
  const cn_weight *kernel = &l->weights[cn_layer_find_weight(l, "kernel")];
  if (!t->status && !cn_dims_agree(type->shape[type->rank - 1], kernel->shape[0])) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected %lld values on its last axis", CN_SHAPE(type->rank, type->shape), (long long)kernel->shape[0]);
    return;
  }
  cn_dense_attrs attrs = {.act = cn_activation_epilogue(&s->activation)};
  cn_edge y = cn_emit3(t, &cn_op_dense, &attrs, x, cn_layer_weight_edge(l, t, "kernel"), cn_layer_weight_edge(l, t, "bias"));
  cn_call_return(t, c, cn_activation_rest(t, &s->activation, y), l->origin.keras > 1 ? c->in[0].mask : CN_NO_EDGE);
}

const cn_layer_type cn_layer_dense = {
    .name = "Dense",
    .versions = "1 2 3",
    .help = "activation(x @ kernel + bias): (…, features) -> (…, units)",
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
};
