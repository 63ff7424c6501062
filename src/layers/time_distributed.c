/* TimeDistributed: the wrapped layer on every time step, by folding (batch, time) into one batch, or one after the other. */
#include <string.h>

#include "base/text.h"
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { const cn_value *layer; } settings;

static const cn_field fields[] = {
    {.name = "layer", .kind = CN_F_VALUE, .offset = offsetof(settings, layer),
        .help = CN_HELP("the layer that each time step runs")},
    {0}};

static cn_status check(cn_layer *l, cn_error *e) {
  cn_layer *inner;
  CN_TRY(cn_layer_new(((const settings *)l->settings)->layer, &l->origin, l->customs, &inner, e));
  return cn_layer_adopt(l, "layer", inner, e);
}

/* The mask that comes out. Keras 1, 2.0 and 3 hand the input's on; between them the inner layer's own counts first, and
 * a mask of more axes than (batch, time) is reduced by any(). */
static cn_edge outer_mask(cn_layer *l, cn_trace *t, cn_edge mask, cn_edge inner_mask, cn_edge x) {
  const cn_origin *o = &l->origin;
  if (o->keras == 1 || o->keras >= 3) return mask;
  if (inner_mask != CN_NO_EDGE) return cn_emit2(t, &cn_op_unfold, NULL, inner_mask, x);
  if (mask == CN_NO_EDGE || cn_edge_type(t, mask)->rank <= 2) return mask;
  cn_reduce_attrs a = {.axes = {.n = cn_edge_type(t, mask)->rank - 2}};
  for (int i = 0; i < a.axes.n; i++) a.axes.v[i] = i + 2;
  return cn_emit1(t, &cn_op_any, &a, mask);
}

/* ---- Step by step: in training Keras 3 has statistics of each ---- */

static cn_status find_fixed(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  (void)path, (void)e;
  *(bool *)user |= !owner->weights[index].trainable && owner->trainable;
  return CORNU_OK;
}

static bool moves(const cn_layer *l, const cn_trace *t) {
  bool any = false;
  if (l->origin.keras < 3 || !t->training || !t->variables) return false;
  cn_layer_each_weight(l->children[0].layer, find_fixed, &any, NULL);
  return any;
}

static cn_edge step_of(cn_trace *t, cn_edge x, int64_t i) {
  if (x == CN_NO_EDGE) return x;
  const cn_slice_attrs range = {.axes = {1, {1}}, .begin = {1, {i}}, .end = {1, {i + 1}}, .step = {1, {1}}};
  return cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {1}}}, cn_emit1(t, &cn_op_slice, &range, x));
}

static void lower_steps(cn_layer *l, cn_trace *t, cn_call *c) {
  const cn_sym x = c->in[0];
  const int64_t n = cn_edge_type(t, x.data)->shape[1];
  cn_edge *steps = n > 0 ? cn_arena_array(&t->graph->arena, (size_t)n, sizeof *steps) : NULL;
  if (!steps) cn_trace_fail(t, CORNU_ERR_SHAPE, "there are no time steps to train with");
  for (int64_t i = 0; i < n && !t->status; i++) {
    const cn_sym in = {step_of(t, x.data, i), step_of(t, x.mask, i)};
    cn_call inner = {.in = &in, .n_in = 1, .n_positional = 1, .unpenalised = true};
    cn_layer_call(l->children[0].layer, t, &inner);
    if (!t->status) steps[i] = inner.out[0].data;
  }
  if (!t->status) cn_call_return(t, c, cn_emit(t, &cn_op_stack, &(cn_axis_attrs){1}, steps, (int)n), x.mask);
}

/* ---- All at once ---- */

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_edge x = c->in[0].data, mask = c->in[0].mask;
  const cn_type *type = cn_edge_type(t, x);
  if (!t->status && type->rank < 2) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected (batch, time, …)",
        CN_SHAPE(type->rank, type->shape));
    return;
  }
  if (!t->status && moves(l, t)) {
    lower_steps(l, t, c);
    return;
  }
  /* A (batch, time) mask leaves nothing to tell the inner layer about its own input. */
  bool inner_masked = mask != CN_NO_EDGE && cn_edge_type(t, mask)->rank > 2 && l->origin.keras >= 2;
  const cn_sym in = {cn_emit1(t, &cn_op_fold, NULL, x), inner_masked ? cn_emit1(t, &cn_op_fold, NULL, mask) : CN_NO_EDGE};
  cn_call inner = {.in = &in, .n_in = 1, .n_positional = 1, .unpenalised = l->origin.keras >= 3};
  cn_layer_call(l->children[0].layer, t, &inner);
  for (int i = 0; i < inner.n_out && !t->status; i++)
    cn_call_return(t, c, cn_emit2(t, &cn_op_unfold, NULL, inner.out[i].data, x),
                   outer_mask(l, t, mask, inner.out[i].mask, x));
}

const cn_layer_type cn_layer_time_distributed = {
    .name = "TimeDistributed",
    .weights = "inner",
    .versions = "1 2 3",
    .help = CN_HELP("a layer on every time step: (batch, time, …) -> (batch, time, …)"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .lower = lower,
};
