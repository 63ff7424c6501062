/* Dense: act(x @ kernel + bias) over the last axis. */
#include "base/text.h"
#include "layers/lora.h"
#include "layers/part.h"
#include "layers/quantised.h"
#include "ops/ops.h"

typedef struct settings {
  int64_t units;
  cn_activation activation;
  bool use_bias;
  cn_quantised quantised;
  cn_kernel_form form;   /* once built */
} settings;

static const cn_field fields[] = {
    {.name = "units", .aliases = "output_dim", .kind = CN_F_INT, .offset = offsetof(settings, units), .min = 1,
     .max = 1 << 28, .help = CN_HELP("outputs")},
    {.name = "activation", .kind = CN_F_ACTIVATION, .offset = offsetof(settings, activation), .standard = "null",
     .help = CN_HELP("applied to the result")},
    {.name = "use_bias", .aliases = "bias", .kind = CN_F_BOOL, .offset = offsetof(settings, use_bias),
     .standard = "true", .help = CN_HELP("adds a bias")},
    CN_KERNEL_ROWS,
    {0}};

static cn_status check(cn_layer *l, cn_error *e) {
  return cn_quantised_parse(l, false, ~0u, &((settings *)l->settings)->quantised, e);
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  settings *s = l->settings;
  int64_t features = in->rank < 1 ? -1 : in->shape[in->rank - 1];
  if (features < 0)
    return cn_fail(e, CORNU_ERR_SHAPE, "the input has shape %s: its last dimension must be known",
                   CN_SHAPE(in->rank, in->shape));
  s->form = (cn_kernel_form){.rank = 2, .shape = {features, s->units}, .scale_rank = 1, .scale_shape = {s->units},
                             .bias_rank = s->use_bias ? 1 : -1, .bias_shape = {s->units}, .rows = features,
                             .columns = s->units};
  return cn_quantised_build(l, &s->quantised, &s->form, e);
}

/* Quantised: the product is scaled before what else comes to it. */
static cn_edge scaled_product(cn_layer *l, cn_trace *t, cn_edge x, cn_edge kernel) {
  const settings *s = l->settings;
  cn_edge scale, delta = cn_lora_delta(l, t, "kernel"), bias = cn_quantised_bias(l, t, &s->quantised);
  cn_edge whole = cn_quantised_inputs(l, t, &s->quantised, x, &(cn_ints){1, {-1}}, &scale);
  cn_dense_attrs attrs = {.act = {.kind = CN_ACT_LINEAR}};
  cn_edge y = cn_emit3(t, &cn_op_dense, &attrs, whole, kernel, CN_NO_EDGE);
  y = cn_quantised_result(l, t, &s->quantised, y, scale);
  if (delta != CN_NO_EDGE)
    y = cn_emit2(t, &cn_op_add, NULL, y, cn_emit3(t, &cn_op_dense, &attrs, x, delta, CN_NO_EDGE));
  if (bias != CN_NO_EDGE) y = cn_emit2(t, &cn_op_add, NULL, y, bias);
  return cn_activation_emit(t, &s->activation, y);
}

static cn_edge product(cn_layer *l, cn_trace *t, cn_edge x, cn_edge kernel) {
  const settings *s = l->settings;
  cn_dense_attrs attrs = {.act = cn_activation_epilogue(&s->activation)};
  return cn_activation_rest(t, &s->activation,
                            cn_emit3(t, &cn_op_dense, &attrs, x, kernel, cn_layer_weight_edge(l, t, "bias")));
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  if (l->origin.keras == 1 && c->in[0].mask != CN_NO_EDGE) {
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "does not support a mask in Keras 1: the model cannot have run there");
    return;
  }
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  const cn_type *type = cn_edge_type(t, x);
  if (!t->status && (type->rank < 1 || !cn_dims_agree(type->shape[type->rank - 1], s->form.rows))) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected %lld values on its last axis",
                  CN_SHAPE(type->rank, type->shape), (long long)s->form.rows);
    return;
  }
  cn_edge kernel = cn_quantised_kernel(l, t, &s->quantised, &s->form);
  bool plain = s->quantised.mode == CN_QUANTISED_NONE;
  cn_call_return(t, c, plain ? product(l, t, x, kernel) : scaled_product(l, t, x, kernel), c->in[0].mask);
}

const cn_layer_type cn_layer_dense = {
    .name = "Dense",
    .versions = "1 2 3",
    .help = CN_HELP("activation(x @ kernel + bias): (…, features) -> (…, units)"),
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .build = build,
    .lower = lower,
    .import = cn_quantised_import,
};
