/* LayerScale of keras.applications' ConvNeXt: a learned factor for each channel. */
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { int64_t projection_dim; } settings;

static const cn_field fields[] = {
    {.name = "projection_dim", .kind = CN_F_INT, .offset = offsetof(settings, projection_dim), .min = 1, .max = 1 << 28,
     .help = CN_HELP("channels")},
    {.name = "init_values", .kind = CN_F_IGNORED, .help = CN_HELP("of the factors, before training")},
    {0}};

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)in, (void)n_in;
  return cn_layer_add_weight(l, "gamma", 1, &((const settings *)l->settings)->projection_dim, true, NULL, e);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  cn_call_return(t, c, cn_emit2(t, &cn_op_mul, NULL, x, cn_layer_weight_edge(l, t, "gamma")), CN_NO_EDGE);
}

const cn_layer_type cn_layer_layer_scale = {
    .name = "LayerScale",
    .versions = "2 3",
    .help = CN_HELP("x * gamma: (…, channels) -> (…, channels)"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
};
