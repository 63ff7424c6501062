/* Dense: act(x @ kernel + bias) over the last axis. */
#include "base/text.h"
#include "layers/spatial.h"

typedef struct settings { int64_t units; cn_activation activation; bool use_bias; } settings;

static const cn_field fields[] = {
    {.name = "units", .aliases = "output_dim", .kind = CN_F_INT, .offset = offsetof(settings, units), .min = 1,
     .max = 1 << 28, .help = "outputs"},
    {.name = "activation", .kind = CN_F_ACTIVATION, .offset = offsetof(settings, activation), .standard = "null",
     .help = "applied to the result"},
    {.name = "use_bias", .aliases = "bias", .kind = CN_F_BOOL, .offset = offsetof(settings, use_bias),
     .standard = "true", .help = "adds a bias"},
    {0}};

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  const settings *s = l->settings;
  if (in->rank < 1 || in->shape[in->rank - 1] < 0)
    return cn_fail(e, CORNU_ERR_SHAPE, "the input has shape %s: its last dimension must be known",
                   CN_SHAPE(in->rank, in->shape));
  CN_TRY(cn_layer_add_weight(l, "kernel", 2, (int64_t[]){in->shape[in->rank - 1], s->units}, true,
                             cn_spatial_initializer(l, "kernel_initializer", "init"), e));
  if (!s->use_bias) return CORNU_OK;
  return cn_layer_add_weight(l, "bias", 1, &s->units, true, cn_value_find(l->config, "bias_initializer"), e);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  if (l->origin.keras == 1 && c->in[0].mask != CN_NO_EDGE) {
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "does not support a mask in Keras 1: the model cannot have run there");
    return;
  }
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  const cn_type *type = cn_edge_type(t, x);
  const cn_weight *kernel = &l->weights[cn_layer_find_weight(l, "kernel")];
  if (!t->status && (type->rank < 1 || !cn_dims_agree(type->shape[type->rank - 1], kernel->shape[0]))) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected %lld values on its last axis",
                  CN_SHAPE(type->rank, type->shape), (long long)kernel->shape[0]);
    return;
  }
  cn_dense_attrs attrs = {.act = cn_activation_epilogue(&s->activation)};
  cn_edge y = cn_emit3(t, &cn_op_dense, &attrs, x, cn_layer_weight_edge(l, t, "kernel"),
                       cn_layer_weight_edge(l, t, "bias"));
  cn_call_return(t, c, cn_activation_rest(t, &s->activation, y), c->in[0].mask);
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
