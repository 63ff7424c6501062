/* CustomScaleLayer of keras.applications' InceptionResNetV2: a residual that is scaled before it is added. */
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { double scale; } settings;

static const cn_field fields[] = {
    {.name = "scale", .kind = CN_F_FLOAT, .offset = offsetof(settings, scale),
     .help = CN_HELP("factor of the second input")},
    {0}};

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data), residual = cn_emit_compute(t, c->in[1].data);
  cn_edge scaled = cn_emit2(t, &cn_op_mul, NULL, residual, cn_emit_number(t, s->scale));
  cn_call_return(t, c, cn_emit2(t, &cn_op_add, NULL, x, scaled), CN_NO_EDGE);
}

const cn_layer_type cn_layer_custom_scale = {
    .name = "CustomScaleLayer",
    .versions = "2 3",
    .help = CN_HELP("x + scale * residual: two inputs (…) -> (…)"),
    .min_in = 2,
    .max_in = 2,
    .settings_size = sizeof(settings),
    .fields = fields,
    .lower = lower,
};
