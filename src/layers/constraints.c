/* Constraints: what becomes of a weight after each step of the optimizer. */
#include <stdlib.h>

#include "base/text.h"
#include "layers/emit.h"
#include "layers/part.h"

typedef struct settings {
  double least, most, rate;
  cn_ints axis;
} settings;

#define NUMBER(member, key, other, text, limit, words)                                                          \
  {.name = key, .aliases = other, .kind = CN_F_FLOAT, .offset = offsetof(settings, member), .standard = text, .min = 0, \
   .max = limit, .help = CN_HELP(words)}
#define AXIS                                                                                                          \
  {.name = "axis", .kind = CN_F_INTS, .offset = offsetof(settings, axis), .standard = "0", .min = -CN_MAX_RANK,         \
   .max = CN_MAX_RANK - 1,                                                                                             \
   .help = CN_HELP("over which each norm is taken: of a Dense kernel 0, of one of Conv2D {0, 1, 2}")}
static const cn_field max_fields[] = {NUMBER(most, "max_value", "m", "2", 1e30, "the largest norm"), AXIS, {0}};
static const cn_field unit_fields[] = {AXIS, {0}};
static const cn_field between_fields[] = {
    NUMBER(least, "min_value", "low", "0", 1e30, "the least norm"),
    NUMBER(most, "max_value", "high", "1", 1e30, "the largest norm"),
    NUMBER(rate, "rate", NULL, "1", 1, "how much of the way a norm goes in one step"), AXIS, {0}};
static const cn_field no_fields[] = {{0}};
static const double epsilon = 1e-7; /* keras.config.epsilon() */

static cn_edge norms(cn_trace *t, const settings *s, cn_edge w) {
  cn_reduce_attrs over = {.axes = s->axis, .keepdims = true};
  const int rank = cn_edge_type(t, w)->rank;
  for (int i = 0, axis; i < over.axes.n; i++)
    if (!cn_trace_axis(t, over.axes.v[i], rank, &axis)) return CN_NO_EDGE;
  return cn_emit1(t, &cn_op_sqrt, NULL, cn_emit1(t, &cn_op_sum, &over, cn_emit1(t, &cn_op_square, NULL, w)));
}

/* w with its norms changed from n to `to`. */
static cn_edge rescale(cn_trace *t, cn_edge w, cn_edge n, cn_edge to) {
  const cn_edge from = cn_emit2(t, &cn_op_add, NULL, n, cn_emit_like(t, w, epsilon));
  return cn_emit2(t, &cn_op_mul, NULL, w, cn_emit2(t, &cn_op_div, NULL, to, from));
}

static cn_edge limit(cn_trace *t, const void *p, cn_edge w) {
  const settings *s = p;
  const cn_edge n = norms(t, s, w);
  return rescale(t, w, n, cn_emit1(t, &cn_op_clip, &(cn_clip_attrs){0, s->most}, n));
}

static cn_edge between(cn_trace *t, const void *p, cn_edge w) {
  const settings *s = p;
  const cn_edge n = norms(t, s, w);
  const cn_edge inside = cn_emit1(t, &cn_op_clip, &(cn_clip_attrs){s->least, s->most}, n);
  const cn_edge goes = cn_emit2(t, &cn_op_mul, NULL, inside, cn_emit_like(t, w, s->rate));
  const cn_edge stays = cn_emit2(t, &cn_op_mul, NULL, n, cn_emit_like(t, w, 1 - s->rate));
  return rescale(t, w, n, cn_emit2(t, &cn_op_add, NULL, goes, stays));
}

static cn_edge unit(cn_trace *t, const void *p, cn_edge w) {
  return cn_emit2(t, &cn_op_div, NULL, w, cn_emit2(t, &cn_op_add, NULL, norms(t, p, w), cn_emit_like(t, w, epsilon)));
}

static cn_edge not_negative(cn_trace *t, const void *p, cn_edge w) {
  (void)p;
  return cn_emit2(t, &cn_op_maximum, NULL, w, cn_emit_like(t, w, 0));
}

/* Every ring of a square kernel gets one value of the diagonal, as tf.keras counts them: the inner ring that before the
 * middle, the next ones those behind. */
static cn_edge rings(cn_trace *t, const void *p, cn_edge w) {
  (void)p;
  enum { MOST = 64 };
  const cn_type type = *cn_edge_type(t, w);
  const int64_t n = type.rank ? type.shape[0] : 0, half = n / 2;
  if (type.rank != 4 || n != type.shape[1] || n < 2 || n > MOST) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "it takes a kernel (n, n, in, out) with n from 2 to %d, not %s", MOST,
                  CN_SHAPE(type.rank, type.shape));
    return CN_NO_EDGE;
  }
  double from[MOST * MOST];
  for (int64_t i = 0; i < n * n; i++) {
    const int64_t y = llabs(2 * (i / n) - (n - 1)), x = llabs(2 * (i % n) - (n - 1)), ring = (y > x ? y : x) / 2;
    from[i] = (double)((n + 1) * (half - 1 + ring + (n % 2 == 0 && ring)));
  }
  const cn_reshape_attrs flat = {{3, {n * n, type.shape[2], type.shape[3]}}}, back = {{4,
                                                                                       {n, n, type.shape[2],
                                                                                        type.shape[3]}}};
  const cn_edge rows = cn_emit2(t, &cn_op_gather, &(cn_axis_attrs){0}, cn_emit1(t, &cn_op_reshape, &flat, w),
                                cn_emit_vector(t, CORNU_INT64, from, n * n));
  return cn_emit1(t, &cn_op_reshape, &back, rows);
}

#define TYPE(class, other, in, words, table, how) \
  {.name = class, .aliases = other, .versions = in, .help = CN_HELP(words), .settings_size = sizeof(settings), \
   .fields = table, .emit = how}
const cn_part_type cn_constraints[] = {
    TYPE("MaxNorm", "max_norm maxnorm", "1 2 3", "norms of at most max_value", max_fields, limit),
    TYPE("NonNeg", "non_neg nonneg", "1 2 3", "0 in place of what is negative", no_fields, not_negative),
    TYPE("UnitNorm", "unit_norm unitnorm", "1 2 3", "norms of 1", unit_fields, unit),
    TYPE("MinMaxNorm", "min_max_norm", "1 2 3", "norms from min_value to max_value", between_fields, between),
    TYPE("RadialConstraint", "radial_constraint", "2", "the same value all around the middle of a square kernel",
         no_fields,
         rings),
    {0}};
