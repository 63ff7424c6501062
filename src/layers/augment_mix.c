/* Changes of images in training that erase parts, mix images with others, or choose among the other changes. */
#include "base/text.h"
#include "layers/augment.h"

cn_edge cn_augment_span(cn_trace *t, int axis, int64_t n, cn_edge begin, cn_edge length) {
  cn_reshape_attrs along = {{4, {1, 1, 1, 1}}};
  along.shape.v[axis] = n;
  const cn_edge places = cn_emit1(t, &cn_op_reshape, &along, cn_emit_counter(t, t->compute, n, 1, 0));
  return cn_emit2(t, &cn_op_logical_and, NULL, cn_emit2(t, &cn_op_greater_equal, NULL, places, begin),
                  cn_emit2(t, &cn_op_less, NULL, places, cn_plus(t, begin, length)));
}

/* Whether places along an axis are in a part of a share of the length, somewhere. */
static cn_edge part(cn_layer *l, cn_trace *t, cn_edge x, int axis, const double scale[2]) {
  const int64_t n = cn_edge_type(t, x)->shape[axis];
  const cn_edge share = cn_augment_between(l, t, x, scale[0], scale[1]);
  const cn_edge length = cn_by(t, cn_emit1(t, &cn_op_sqrt, NULL, share), (double)n);
  const cn_edge room = cn_minus(t, cn_emit_number(t, (double)n), length);
  const cn_edge begin = cn_times(t, cn_augment_between(l, t, x, 0, 1), room);
  return cn_augment_span(t, axis, n, begin, length);
}

/* Without a value, noise comes into the part. */
cn_edge cn_augment_erase(cn_layer *l, cn_trace *t, cn_edge x) {
  enum { SCALE = 2, FILL = 3 };
  double scale[2] = {0.02, 0.33}, range[2], fill;
  const cn_augmentation *s = cn_augment_of(l);
  if (!cn_value_is_null(s->amount[SCALE])) cn_augment_bounds(l, SCALE, 0, scale);
  cn_augment_range(l, t, range);
  if (t->status) return CN_NO_EDGE;
  const cn_type type = *cn_edge_type(t, x);
  cn_random_attrs noise = {.shape = {.n = 4}, .kind = CN_RANDOM_NORMAL, .low = 0, .high = range[1], .dtype = type.dtype,
                           .seed = s->seed == CN_NULL_INT ? 0 : s->seed};
  for (int i = 0; i < 4; i++) noise.shape.v[i] = type.shape[i];
  const bool given = cn_value_number(s->amount[FILL], &fill);
  const cn_edge with = cn_clipped(t, given ? cn_emit_number(t, fill) : cn_trace_random(t, &noise), range);
  const cn_edge inside = cn_emit2(t, &cn_op_logical_and, NULL, part(l, t, x, 1, scale), part(l, t, x, 2, scale));
  return cn_where(t, cn_emit2(t, &cn_op_logical_and, NULL, inside, cn_augment_some(l, t, x)), with, x);
}

/* ---- Mixing with other images of the batch ---- */

static cn_edge others(cn_layer *l, cn_trace *t, cn_edge x) {
  const cn_edge keys = cn_emit_flat(t, cn_augment_between(l, t, x, 0, 1));
  const cn_edge order = cn_emit1(t, &cn_op_argsort, &(cn_sort_attrs){.axis = 0}, keys);
  return cn_emit2(t, &cn_op_gather, &(cn_axis_attrs){0}, x, order);
}

/* Logarithms of gamma numbers (images, n, 1, 1) of one shape, drawn between bounds. */
static cn_edge log_gamma(cn_layer *l, cn_trace *t, int64_t images, int64_t n, const double b[2]) {
  const cn_random_attrs a = {.shape = {4, {images, n, 1, 1}}, .kind = CN_RANDOM_LOG_GAMMA, .low = b[0], .high = b[1],
                             .dtype = t->compute, .seed = cn_augment_seed(l)};
  return cn_trace_random(t, &a);
}

/* Beta numbers whose two shapes are equal: (images, 1, 1, 1). */
static cn_edge beta(cn_layer *l, cn_trace *t, int64_t images, const double b[2]) {
  const cn_edge pair = log_gamma(l, t, images, 2, b);
  const cn_edge apart = cn_minus(t, cn_emit_range(t, pair, 1, 1, 2), cn_emit_range(t, pair, 1, 0, 1));
  return cn_emit1(t, &cn_op_reciprocal, NULL, cn_off(t, cn_emit1(t, &cn_op_exp, NULL, apart), 1));
}

static void alpha_of(cn_layer *l, cn_trace *t, int amount, double b[2]) {
  cn_augment_bounds(l, amount, 0, b);
  b[0] = b[1];
  if (!t->status && !(b[1] > 0))
    cn_trace_fail(t, CORNU_ERR_ARGUMENT, "\"alpha\" is %s, expected a number above 0",
                  cn_value_show(cn_augment_of(l)->amount[amount], (char[80]){0}, 80));
}

static cn_edge mixed(cn_trace *t, cn_edge share, cn_edge x, cn_edge y) {
  return cn_plus(t, cn_times(t, share, x), cn_times(t, cn_minus(t, cn_emit_number(t, 1), share), y));
}

cn_edge cn_augment_mix_up(cn_layer *l, cn_trace *t, cn_edge x) {
  double b[2];
  alpha_of(l, t, 0, b);
  return t->status ? CN_NO_EDGE : mixed(t, beta(l, t, cn_edge_type(t, x)->shape[0], b), x, others(l, t, x));
}

/* A rectangle of another image, of the same share of both sides. */
cn_edge cn_augment_cut_mix(cn_layer *l, cn_trace *t, cn_edge x) {
  enum { FACTOR = 1 };
  const cn_type type = *cn_edge_type(t, x);
  double b[2];
  cn_augment_bounds(l, FACTOR, 0, b);
  b[0] += 1e-6, b[1] += 1e-6;
  const cn_edge kept = beta(l, t, type.shape[0], b);
  const cn_edge side = cn_emit1(t, &cn_op_sqrt, NULL, cn_minus(t, cn_emit_number(t, 1), kept));
  cn_edge inside[2];
  for (int i = 0; i < 2; i++) {
    const int64_t n = type.shape[i + 1];
    const cn_edge length = cn_by(t, side, (double)n), room = cn_minus(t, cn_emit_number(t, (double)n), length);
    const cn_edge begin = cn_times(t, cn_augment_between(l, t, x, 0, 1), room);
    inside[i] = cn_augment_span(t, i + 1, n, begin, length);
  }
  return cn_where(t, cn_emit2(t, &cn_op_logical_and, NULL, inside[0], inside[1]), others(l, t, x), x);
}
