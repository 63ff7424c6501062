/* Rescaling: x * scale + offset. */
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { const cn_value *scale, *offset; } settings;

static const cn_field fields[] = {
    {.name = "scale", .kind = CN_F_VALUE, .offset = offsetof(settings, scale),
     .help = CN_HELP("a number, or one per channel")},
    {.name = "offset", .kind = CN_F_VALUE, .offset = offsetof(settings, offset), .standard = "0",
     .help = CN_HELP("a number, or one per channel")},
    {0}};

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  static const cn_value zero = {.kind = CORNU_INT};
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  cn_edge scale = cn_emit_numbers(t, "scale", s->scale, CORNU_FLOAT32); /* as TensorFlow reads Python's numbers */
  cn_edge offset = cn_emit_numbers(t, "offset", s->offset ? s->offset : &zero, CORNU_FLOAT32);
  cn_edge scaled = cn_emit2(t, &cn_op_mul, NULL, x, cn_emit_compute(t, scale));
  cn_call_return(t, c, cn_emit2(t, &cn_op_add, NULL, scaled, cn_emit_compute(t, offset)), CN_NO_EDGE);
}

const cn_layer_type cn_layer_rescaling = {
    .name = "Rescaling",
    .versions = "2 3",
    .help = CN_HELP("x * scale + offset: (…) -> (…)"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .lower = lower,
};
