/* PReLU: a slope below 0 that is learned for each place. */
#include <string.h>

#include "base/text.h"
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { cn_ints shared_axes; } settings;

static const cn_field fields[] = {
    {.name = "shared_axes", .kind = CN_F_INTS, .offset = offsetof(settings, shared_axes), .standard = "null", .help = "axes (from 1) along which the slope is the same"},
    {0}};

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  const settings *s = l->settings;
  int64_t shape[CN_MAX_RANK];
  memcpy(shape, in->shape + 1, sizeof *shape * (size_t)(in->rank > 0 ? in->rank - 1 : 0));
  for (int i = 0; i < s->shared_axes.n; i++) {
    int axis;
    CN_TRY(cn_axis(s->shared_axes.v[i], in->rank, &axis, e));
    if (axis > 0) shape[axis - 1] = 1;
  }
  const cn_value *init = cn_value_find(l->config, "alpha_initializer");
  return cn_layer_add_weight(l, "alpha", in->rank - 1, shape, true, init ? init : cn_value_find(l->config, "init"), e);
}

/* Keras 1 does not save shared_axes: dimensions of 1 in the file tell them. */
static cn_status import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  (void)e;
  cn_weight *w = &l->weights[0];
  if (*n != 1 || arrays[0]->rank != w->rank) return CORNU_OK;
  for (int i = 0; i < w->rank; i++)
    if (arrays[0]->shape[i] != w->shape[i] && arrays[0]->shape[i] != 1) return CORNU_OK;
  memcpy(w->shape, arrays[0]->shape, sizeof w->shape);
  return CORNU_OK;
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_edge x = c->in[0].data, zero = cn_emit_scalar(t, CORNU_FLOAT32, 0);
  cn_edge below = cn_emit2(t, &cn_op_mul, NULL, cn_layer_weight_edge(l, t, "alpha"), cn_emit2(t, &cn_op_minimum, NULL, x, zero));
  cn_call_return(t, c, cn_emit2(t, &cn_op_add, NULL, cn_emit2(t, &cn_op_maximum, NULL, x, zero), below), CN_NO_EDGE);
}

const cn_layer_type cn_layer_prelu = {
    .name = "PReLU", .versions = "1 2 3", .help = "x above 0, alpha * x below: (batch, …) -> (batch, …)", .flags = CN_MASK_PASSES, .min_in = 1, .max_in = 1,
    .settings_size = sizeof(settings), .fields = fields, .build = build, .lower = lower, .import = import};
