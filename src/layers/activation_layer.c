/* Activation: one by its name or by its serialized form. */
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { cn_activation activation; } settings;

static const cn_field fields[] = {
    {.name = "activation", .kind = CN_F_ACTIVATION, .offset = offsetof(settings, activation),
     .help = CN_HELP("the name of an activation")},
    {0}};

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_call_return(t, c, cn_activation_emit(t, &s->activation, cn_emit_compute(t, c->in[0].data)), CN_NO_EDGE);
}

const cn_layer_type cn_layer_activation = {
    .name = "Activation",
    .versions = "1 2 3",
    .help = CN_HELP("an activation by name: (…) -> (…)"),
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .lower = lower,
};
