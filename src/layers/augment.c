/* Changes of images in training. Numbers are drawn in the distributions of Keras. */
#include "layers/augmentation.h"

#include <math.h>

#include "base/text.h"
#include "layers/emit.h"

static const cn_augmentation *of(const cn_layer *l) { return l->settings; }

cn_edge cn_augment_draw(const cn_layer *l, cn_trace *t, int64_t batch, double low, double high, int64_t seed) {
  (void)l;
  const cn_random_attrs a = {.shape = {4, {batch, 1, 1, 1}}, .kind = CN_RANDOM_UNIFORM, .low = low, .high = high,
                             .dtype = t->compute, .seed = seed == CN_NULL_INT ? 0 : seed};
  return low == high ? cn_emit1(t, &cn_op_broadcast_to, &(cn_ints_attrs){a.shape}, cn_emit_number(t, low))
                     : cn_trace_random(t, &a);
}

static int64_t batch_of(const cn_trace *t, cn_edge x) { return cn_edge_type(t, x)->shape[0]; }

static cn_edge draw(cn_layer *l, cn_trace *t, cn_edge x, double low, double high) {
  return cn_augment_draw(l, t, batch_of(t, x), low, high, of(l)->seed);
}

/* An amount: a pair, in any order, or a number for those from -number (at least `least`) up to it. */
static void bounds(const cn_layer *l, int amount, double least, double out[2]) {
  const cn_value *v = of(l)->amount[amount];
  double number = 0;
  if (cn_value_is(v, CORNU_LIST) && v->count == 2) {
    cn_value_number(v->items[0], &out[0]);
    cn_value_number(v->items[1], &out[1]);
    if (out[0] > out[1]) number = out[0], out[0] = out[1], out[1] = number;
    return;
  }
  cn_value_number(v, &number);
  number = fabs(number);
  out[0] = -number > least ? -number : least;
  out[1] = number;
}

static cn_edge drawn(cn_layer *l, cn_trace *t, cn_edge x, int amount, double least) {
  double b[2];
  bounds(l, amount, least, b);
  return draw(l, t, x, b[0], b[1]);
}

static void range_of(cn_layer *l, cn_trace *t, double range[2]) {
  if (!t->status) t->status = cn_image_range(of(l)->amount[CN_AUGMENT_RANGE], range, t->error);
}

static cn_edge plus(cn_trace *t, cn_edge a, cn_edge b) { return cn_emit2(t, &cn_op_add, NULL, a, b); }
static cn_edge minus(cn_trace *t, cn_edge a, cn_edge b) { return cn_emit2(t, &cn_op_sub, NULL, a, b); }
static cn_edge times(cn_trace *t, cn_edge a, cn_edge b) { return cn_emit2(t, &cn_op_mul, NULL, a, b); }
static cn_edge by(cn_trace *t, cn_edge a, double v) { return times(t, a, cn_emit_number(t, v)); }
static cn_edge off(cn_trace *t, cn_edge a, double v) { return plus(t, a, cn_emit_number(t, v)); }
static cn_edge where(cn_trace *t, cn_edge mask, cn_edge yes, cn_edge no) {
  return cn_emit3(t, &cn_op_where, NULL, mask, yes, no);
}
static cn_edge clipped(cn_trace *t, cn_edge x, const double range[2]) {
  return cn_emit1(t, &cn_op_clip, &(cn_clip_attrs){range[0], range[1]}, x);
}

/* For so many of the images: the share is drawn, too. */
static cn_edge some(cn_layer *l, cn_trace *t, cn_edge x) {
  const cn_edge share = drawn(l, t, x, CN_AUGMENT_FACTOR, 0);
  return cn_emit2(t, &cn_op_less, NULL, draw(l, t, x, 0, 1), share);
}

static cn_edge half(cn_layer *l, cn_trace *t, cn_edge x) {
  return cn_emit2(t, &cn_op_less_equal, NULL, draw(l, t, x, 0, 1), cn_emit_number(t, 0.5));
}

/* ---- Places ---- */

/* Keras 3 turns an image in both directions or in none; tf.keras decides for each. */
cn_edge cn_augment_flip(cn_layer *l, cn_trace *t, cn_edge x) {
  enum { HORIZONTAL, VERTICAL, BOTH };
  const int mode = of(l)->choice[0];
  cn_edge turned = half(l, t, x);
  if (mode != VERTICAL) x = where(t, turned, cn_emit1(t, &cn_op_reverse, &(cn_ints_attrs){{1, {2}}}, x), x);
  if (mode == BOTH && l->origin.keras < 3) turned = half(l, t, x);
  return mode == HORIZONTAL ? x : where(t, turned, cn_emit1(t, &cn_op_reverse, &(cn_ints_attrs){{1, {1}}}, x), x);
}

/* Where a pixel at (x, y) comes from: (a0 x + a1 y + a2, b0 x + b1 y + b2). */
static cn_edge warp(cn_layer *l, cn_trace *t, cn_edge x, const cn_edge rows[6]) {
  static const int modes[] = {CN_FILL_REFLECT, CN_FILL_WRAP, CN_FILL_CONSTANT, CN_FILL_NEAREST};
  const cn_augmentation *s = of(l);
  if (!t->status && (s->choice[CN_AUGMENT_FILL] >= CN_COUNT(modes) || s->choice[CN_AUGMENT_METHOD] > CN_RESIZE_BILINEAR))
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "in training \"fill_mode\" is reflect, wrap, constant or nearest, and "
                  "\"interpolation\" nearest or bilinear");
  if (t->status) return CN_NO_EDGE;
  cn_warp_attrs a = {.fill = modes[s->choice[CN_AUGMENT_FILL]],
                     .nearest = s->choice[CN_AUGMENT_METHOD] == CN_RESIZE_NEAREST};
  cn_value_number(s->amount[CN_AUGMENT_FILL_VALUE], &a.value);
  cn_edge all[8];
  const cn_edge zero = draw(l, t, x, 0, 0);
  for (int i = 0; i < 8; i++)
    all[i] = cn_emit1(t, &cn_op_reshape, &(cn_reshape_attrs){{2, {CN_DIM_INFER, 1}}}, i < 6 ? rows[i] : zero);
  const cn_edge matrix = cn_emit(t, &cn_op_concat, &(cn_axis_attrs){1}, all, 8);
  return cn_emit2(t, &cn_op_warp, &a, x, cn_emit_cast(t, matrix, CORNU_FLOAT32));
}

cn_edge cn_augment_rotate(cn_layer *l, cn_trace *t, cn_edge x) {
  double b[2];
  bounds(l, CN_AUGMENT_FACTOR, -1e30, b);
  const cn_type type = *cn_edge_type(t, x);
  const double cx = 0.5 * (double)(type.shape[2] - 1), cy = 0.5 * (double)(type.shape[1] - 1);
  const cn_edge angle = draw(l, t, x, b[0] * 2 * M_PI, b[1] * 2 * M_PI);
  const cn_edge c = cn_emit1(t, &cn_op_cos, NULL, angle), s = cn_emit1(t, &cn_op_sin, NULL, angle);
  const cn_edge back = cn_emit1(t, &cn_op_neg, NULL, s);
  const cn_edge a2 = off(t, minus(t, by(t, s, cy), by(t, c, cx)), cx);
  const cn_edge b2 = off(t, plus(t, by(t, s, -cx), by(t, c, -cy)), cy);
  return warp(l, t, x, (const cn_edge[]){c, back, a2, s, c, b2});
}

cn_edge cn_augment_translate(cn_layer *l, cn_trace *t, cn_edge x) {
  const cn_type type = *cn_edge_type(t, x);
  const cn_edge dy = by(t, drawn(l, t, x, 0, -1e30), (double)-type.shape[1]);
  const cn_edge dx = by(t, drawn(l, t, x, 1, -1e30), (double)-type.shape[2]);
  const cn_edge one = draw(l, t, x, 1, 1), zero = draw(l, t, x, 0, 0);
  return warp(l, t, x, (const cn_edge[]){one, zero, dx, zero, one, dy});
}

/* Without a factor of the width, as much as the height. */
cn_edge cn_augment_zoom(cn_layer *l, cn_trace *t, cn_edge x) {
  const cn_type type = *cn_edge_type(t, x);
  const bool apart = !cn_value_is_null(of(l)->amount[1]);
  const cn_edge zy = off(t, drawn(l, t, x, 0, -1e30), 1), zx = apart ? off(t, drawn(l, t, x, 1, -1e30), 1) : zy;
  const cn_edge zero = draw(l, t, x, 0, 0), one = cn_emit_number(t, 1);
  const cn_edge dx = by(t, minus(t, one, zx), 0.5 * (double)(type.shape[2] - 1));
  const cn_edge dy = by(t, minus(t, one, zy), 0.5 * (double)(type.shape[1] - 1));
  return warp(l, t, x, (const cn_edge[]){zx, zero, dx, zero, zy, dy});
}

static cn_edge sign(cn_layer *l, cn_trace *t, cn_edge x) {
  return where(t, half(l, t, x), cn_emit_number(t, 1), cn_emit_number(t, -1));
}

cn_edge cn_augment_shear(cn_layer *l, cn_trace *t, cn_edge x) {
  const cn_edge side = sign(l, t, x), y = times(t, drawn(l, t, x, 1, -1e30), side);
  const cn_edge along = times(t, drawn(l, t, x, 0, -1e30), side), one = draw(l, t, x, 1, 1), zero = draw(l, t, x, 0, 0);
  return warp(l, t, x, (const cn_edge[]){one, along, zero, y, one, zero});
}

/* ---- Values ---- */

cn_edge cn_augment_brightness(cn_layer *l, cn_trace *t, cn_edge x) {
  double range[2];
  range_of(l, t, range);
  return clipped(t, plus(t, x, by(t, drawn(l, t, x, CN_AUGMENT_FACTOR, -1), range[1] - range[0])), range);
}

/* tf.keras draws one factor for all images. */
cn_edge cn_augment_contrast(cn_layer *l, cn_trace *t, cn_edge x) {
  double range[2], b[2];
  const cn_value *v = of(l)->amount[CN_AUGMENT_FACTOR];
  range_of(l, t, range);
  bounds(l, CN_AUGMENT_FACTOR, 0, b);
  const bool one = l->origin.keras < 3;
  if (one && cn_value_is(v, CORNU_LIST)) cn_value_number(v->items[0], &b[0]), cn_value_number(v->items[1], &b[1]);
  else if (one) b[0] = b[1];
  const cn_edge factor = cn_augment_draw(l, t, one ? 1 : batch_of(t, x), 1 - b[0], 1 + b[1], of(l)->seed);
  const cn_edge mean = cn_emit1(t, &cn_op_mean, &(cn_reduce_attrs){.axes = {2, {1, 2}}, .keepdims = true}, x);
  return clipped(t, plus(t, times(t, minus(t, x, mean), factor), mean), range);
}

/* Channel i of images. */
static cn_edge channel(cn_trace *t, cn_edge x, int64_t i) { return cn_emit_range(t, x, 3, i, i + 1); }

static cn_edge with_colour(cn_trace *t, cn_edge hue, cn_edge saturation, cn_edge value) {
  const cn_edge all[] = {hue, saturation, value};
  return cn_emit1(t, &cn_op_hsv_to_rgb, NULL, cn_emit(t, &cn_op_concat, &(cn_axis_attrs){3}, all, 3));
}

cn_edge cn_augment_saturation(cn_layer *l, cn_trace *t, cn_edge x) {
  double range[2];
  range_of(l, t, range);
  const cn_edge f = drawn(l, t, x, CN_AUGMENT_FACTOR, -1), colours = cn_emit1(t, &cn_op_rgb_to_hsv, NULL, x);
  const cn_edge rest = minus(t, cn_emit_number(t, 1 + 1e-7), f); /* 1 - f + epsilon() */
  const cn_edge y = times(t, channel(t, colours, 1), cn_emit2(t, &cn_op_div, NULL, f, rest));
  return with_colour(t, channel(t, colours, 0), clipped(t, y, range), channel(t, colours, 2));
}

cn_edge cn_augment_hue(cn_layer *l, cn_trace *t, cn_edge x) {
  static const double whole[2] = {0, 1};
  double range[2];
  range_of(l, t, range);
  if (t->status) return CN_NO_EDGE;
  const cn_edge turn = by(t, times(t, sign(l, t, x), drawn(l, t, x, CN_AUGMENT_FACTOR, 0)), 0.5);
  const cn_edge colours = cn_emit1(t, &cn_op_rgb_to_hsv, NULL, cn_image_ranged(t, x, range, whole));
  const cn_edge one = cn_emit_number(t, 1), zero = cn_emit_number(t, 0);
  cn_edge hue = plus(t, channel(t, colours, 0), turn);
  hue = where(t, cn_emit2(t, &cn_op_greater, NULL, hue, one), minus(t, hue, one), hue);
  hue = where(t, cn_emit2(t, &cn_op_less, NULL, hue, zero), plus(t, hue, one), hue);
  const cn_edge y = with_colour(t, hue, channel(t, colours, 1), channel(t, colours, 2));
  return cn_image_ranged(t, clipped(t, y, whole), whole, range);
}

cn_edge cn_augment_grayscale(cn_layer *l, cn_trace *t, cn_edge x) {
  static const double parts[] = {0.2989, 0.5870, 0.1140};
  double factor = 0;
  cn_value_number(of(l)->amount[CN_AUGMENT_FACTOR], &factor);
  const cn_reduce_attrs over = {.axes = {1, {3}}, .keepdims = true};
  const cn_edge gray = cn_emit1(t, &cn_op_sum, &over, times(t, x, cn_emit_vector(t, t->compute, parts, 3)));
  return where(t, cn_emit2(t, &cn_op_less, NULL, draw(l, t, x, 0, 1), cn_emit_number(t, factor)), gray, x);
}

cn_edge cn_augment_invert(cn_layer *l, cn_trace *t, cn_edge x) {
  double range[2];
  range_of(l, t, range);
  return where(t, some(l, t, x), minus(t, cn_emit_number(t, range[1]), x), x);
}

/* Whole numbers from factor[0] to factor[1] - 1 of the eight bits stay. */
cn_edge cn_augment_posterize(cn_layer *l, cn_trace *t, cn_edge x) {
  static const double bytes[2] = {0, 255};
  double range[2], b[2];
  range_of(l, t, range);
  bounds(l, CN_AUGMENT_FACTOR, 1, b);
  if (t->status) return CN_NO_EDGE;
  const cn_edge bits = cn_emit1(t, &cn_op_floor, NULL, draw(l, t, x, b[0], b[1]));
  const cn_edge step = cn_emit1(t, &cn_op_exp2, NULL, minus(t, cn_emit_number(t, 8), bits));
  const cn_edge whole = cn_emit1(t, &cn_op_trunc, NULL, cn_image_ranged(t, x, range, bytes));
  const cn_edge kept = times(t, cn_emit1(t, &cn_op_floor, NULL, cn_emit2(t, &cn_op_div, NULL, whole, step)), step);
  return cn_image_ranged(t, kept, bytes, range);
}

cn_edge cn_augment_sharpen(cn_layer *l, cn_trace *t, cn_edge x) {
  enum { SIZE = 3 };
  double range[2], kernel[SIZE * SIZE];
  range_of(l, t, range);
  for (int i = 0; i < SIZE * SIZE; i++) kernel[i] = (i == SIZE * SIZE / 2 ? 5.0 : 1.0) / 13;
  const cn_type type = *cn_edge_type(t, x);
  const cn_ints_attrs size = {{4, {SIZE, SIZE, type.shape[3], 1}}};
  const cn_reshape_attrs square = {{4, {SIZE, SIZE, 1, 1}}};
  const cn_edge weights = cn_emit1(t, &cn_op_broadcast_to, &size,
                                   cn_emit1(t, &cn_op_reshape, &square,
                                            cn_emit_vector(t, t->compute, kernel, SIZE * SIZE)));
  const cn_conv_attrs conv = {.spatial = 2, .stride = {1, 1}, .dilation = {1, 1}, .pad_begin = {1, 1},
                              .pad_end = {1, 1},
                              .groups = 1};
  const cn_edge smooth = cn_emit3(t, &cn_op_depthwise_conv, &conv, x, weights, CN_NO_EDGE);
  const cn_edge rest = minus(t, cn_emit_number(t, 1), by(t, drawn(l, t, x, CN_AUGMENT_FACTOR, 0), 2));
  return clipped(t, plus(t, x, times(t, rest, minus(t, smooth, x))), range);
}

/* Whether places along an axis are in a part of a share of the length, somewhere. */
static cn_edge part(cn_layer *l, cn_trace *t, cn_edge x, int axis, const double scale[2]) {
  const int64_t n = cn_edge_type(t, x)->shape[axis];
  const cn_edge length = by(t, cn_emit1(t, &cn_op_sqrt, NULL, draw(l, t, x, scale[0], scale[1])), (double)n);
  const cn_edge begin = times(t, draw(l, t, x, 0, 1), minus(t, cn_emit_number(t, (double)n), length));
  cn_reshape_attrs along = {{4, {1, 1, 1, 1}}};
  along.shape.v[axis] = n;
  const cn_edge places = cn_emit1(t, &cn_op_reshape, &along, cn_emit_counter(t, t->compute, n, 1, 0));
  return cn_emit2(t, &cn_op_logical_and, NULL, cn_emit2(t, &cn_op_greater_equal, NULL, places, begin),
                  cn_emit2(t, &cn_op_less, NULL, places, plus(t, begin, length)));
}

/* Without a value, noise comes into the part. */
cn_edge cn_augment_erase(cn_layer *l, cn_trace *t, cn_edge x) {
  enum { SCALE = 2, FILL = 3 };
  double scale[2] = {0.02, 0.33}, range[2], fill;
  const cn_augmentation *s = of(l);
  if (!cn_value_is_null(s->amount[SCALE])) bounds(l, SCALE, 0, scale);
  range_of(l, t, range);
  if (t->status) return CN_NO_EDGE;
  const cn_type type = *cn_edge_type(t, x);
  cn_random_attrs noise = {.shape = {.n = 4}, .kind = CN_RANDOM_NORMAL, .low = 0, .high = range[1], .dtype = type.dtype,
                           .seed = s->seed == CN_NULL_INT ? 0 : s->seed};
  for (int i = 0; i < 4; i++) noise.shape.v[i] = type.shape[i];
  const bool given = cn_value_number(s->amount[FILL], &fill);
  const cn_edge with = clipped(t, given ? cn_emit_number(t, fill) : cn_trace_random(t, &noise), range);
  const cn_edge inside = cn_emit2(t, &cn_op_logical_and, NULL, part(l, t, x, 1, scale), part(l, t, x, 2, scale));
  return where(t, cn_emit2(t, &cn_op_logical_and, NULL, inside, some(l, t, x)), with, x);
}
