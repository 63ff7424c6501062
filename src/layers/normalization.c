/* Normalization: (x - mean) / deviation, both learned from data or given. Apart from BatchNormalization it is meant for
 * features as they come. */
#include "base/text.h"
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { cn_ints axis; const cn_value *mean, *variance; bool invert; } settings;

static const cn_field fields[] = {
    {.name = "axis", .kind = CN_F_INTS, .offset = offsetof(settings, axis), .standard = "-1", .min = -CN_MAX_RANK,
     .max = CN_MAX_RANK - 1, .null_items = true,
     .help = CN_HELP("axes that keep statistics of their own; null or []: one for all")},
    {.name = "mean", .kind = CN_F_VALUE, .offset = offsetof(settings, mean), .standard = "null",
     .help = CN_HELP("given instead of learned")},
    {.name = "variance", .kind = CN_F_VALUE, .offset = offsetof(settings, variance), .standard = "null",
     .help = CN_HELP("given instead of learned")},
    {.name = "invert", .kind = CN_F_BOOL, .offset = offsetof(settings, invert), .standard = "false",
     .help = CN_HELP("x * deviation + mean")},
    {0}};

static cn_status check(cn_layer *l, cn_error *e) {
  const settings *s = l->settings;
  if (cn_value_is_null(s->mean) == cn_value_is_null(s->variance)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"mean\" and \"variance\" are given both or neither");
}

/* Which axes keep statistics of their own, and what those broadcast as: 1 along the others. */
static cn_status statistics_shape(const settings *s, const cn_type *x, cn_ints *kept, cn_reshape_attrs *broadcast,
                                  cn_error *e) {
  bool own[CN_MAX_RANK] = {false};
  *kept = (cn_ints){.n = 0};
  *broadcast = (cn_reshape_attrs){.shape = {.n = x->rank}};
  for (int i = 0; i < s->axis.n; i++) {
    int axis;
    CN_TRY(cn_axis(s->axis.v[i], x->rank, &axis, e));
    own[axis] = true;
  }
  for (int i = 0; i < x->rank; i++) {
    broadcast->shape.v[i] = own[i] ? x->shape[i] : 1;
    if (own[i]) kept->v[kept->n++] = x->shape[i];
    if (own[i] && x->shape[i] < 0)
      return cn_fail(e, CORNU_ERR_SHAPE, "the input has shape %s: the size of axis %d must be known",
                     CN_SHAPE(x->rank, x->shape), i);
  }
  return CORNU_OK;
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  static const cn_value ones = {.kind = CORNU_STRING, .count = 4, .s = "ones"};
  const settings *s = l->settings;
  cn_ints kept;
  cn_reshape_attrs broadcast;
  CN_TRY(statistics_shape(s, in, &kept, &broadcast, e));
  if (!cn_value_is_null(s->mean)) return CORNU_OK;
  CN_TRY(cn_layer_add_weight(l, "mean", kept.n, kept.v, false, NULL, e));
  CN_TRY(cn_layer_add_weight(l, "variance", kept.n, kept.v, false, &ones, e));
  return cn_layer_add_weight(l, "count", 0, NULL, false, NULL, e);
}

/* Keras 3 makes float32 of them before it makes what the layer computes in. */
static cn_edge given_numbers(cn_layer *l, cn_trace *t, const char *name, const cn_value *given) {
  return cn_emit_compute(t, cn_emit_numbers(t, name, given, l->origin.keras < 3 ? t->compute : CORNU_FLOAT32));
}

/* A single number serves all; else there is one for each place of the kept axes, or of the last of them. */
static cn_edge statistic(cn_layer *l, cn_trace *t, const char *name, const cn_value *given, const cn_ints *kept,
                         const cn_reshape_attrs *broadcast) {
  cn_edge w = cn_value_is_null(given) ? cn_layer_weight_edge(l, t, name) : given_numbers(l, t, name, given);
  const cn_type *type = cn_edge_type(t, w);
  int64_t have = cn_shape_size(type->rank, type->shape), want = cn_shape_size(kept->n, kept->v);
  if (t->status || have == 1 || have != want || type->rank == 0) return w;
  return cn_emit1(t, &cn_op_reshape, broadcast, w);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  cn_ints kept = {.n = 0};
  cn_reshape_attrs broadcast = {.shape = {.n = 0}};
  if (!t->status) t->status = statistics_shape(s, cn_edge_type(t, x), &kept, &broadcast, t->error);
  cn_edge mean = statistic(l, t, "mean", s->mean, &kept, &broadcast);
  cn_edge variance = statistic(l, t, "variance", s->variance, &kept, &broadcast);
  cn_edge deviation = cn_emit2(t, &cn_op_maximum, NULL, cn_emit1(t, &cn_op_sqrt, NULL, variance),
                               cn_emit_number(t, 1e-7));
  cn_edge y = s->invert ? cn_emit2(t, &cn_op_add, NULL, mean, cn_emit2(t, &cn_op_mul, NULL, x, deviation))
                        : cn_emit2(t, &cn_op_div, NULL, cn_emit2(t, &cn_op_sub, NULL, x, mean), deviation);
  cn_call_return(t, c, y, CN_NO_EDGE);
}

const cn_layer_type cn_layer_normalization = {
    .name = "Normalization",
    .weights = "fixed",
    .versions = "2 3",
    .help = CN_HELP("(x - mean) / sqrt(variance), or back with invert: (…) -> (…)"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .build = build,
    .lower = lower,
};
