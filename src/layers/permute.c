/* Permute: axes in another order. */
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { cn_ints dims; } settings;

static const cn_field fields[] = {
    {.name = "dims", .kind = CN_F_INTS, .offset = offsetof(settings, dims), .min = 1, .max = CN_MAX_RANK,
     .help = CN_HELP("new order of the axes, counted from 1, without the batch")},
    {0}};

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_ints_attrs order = {.v = {.n = s->dims.n + 1}};
  for (int i = 0; i < s->dims.n && i < CN_MAX_INTS - 1; i++) order.v.v[i + 1] = s->dims.v[i];
  cn_call_return(t, c, cn_emit1(t, &cn_op_transpose, &order, c->in[0].data), CN_NO_EDGE);
}

const cn_layer_type cn_layer_permute = {
    .name = "Permute",
    .versions = "1 2 3",
    .help = CN_HELP("axes in another order"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .lower = lower,
};
