/* Changes of images in training. Numbers are drawn in the distributions of Keras. */
#include "layers/augment.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

static const double bytes[2] = {0, 255};

cn_edge cn_augment_draw(const cn_layer *l, cn_trace *t, int64_t batch, double low, double high, int64_t seed) {
  (void)l;
  const cn_random_attrs a = {.shape = {4, {batch, 1, 1, 1}}, .kind = CN_RANDOM_UNIFORM, .low = low, .high = high,
                             .dtype = t->compute, .seed = seed == CN_NULL_INT ? 0 : seed};
  return low == high ? cn_emit1(t, &cn_op_broadcast_to, &(cn_ints_attrs){a.shape}, cn_emit_number(t, low))
                     : cn_trace_random(t, &a);
}

static int64_t batch_of(const cn_trace *t, cn_edge x) { return cn_edge_type(t, x)->shape[0]; }

cn_edge cn_augment_between(cn_layer *l, cn_trace *t, cn_edge x, double low, double high) {
  return cn_augment_draw(l, t, batch_of(t, x), low, high, cn_augment_of(l)->seed);
}

void cn_augment_bounds(const cn_layer *l, int amount, double least, double out[2]) {
  const cn_value *v = cn_augment_of(l)->amount[amount];
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

cn_edge cn_augment_drawn(cn_layer *l, cn_trace *t, cn_edge x, int amount, double least) {
  double b[2];
  cn_augment_bounds(l, amount, least, b);
  return cn_augment_between(l, t, x, b[0], b[1]);
}

void cn_augment_range(cn_layer *l, cn_trace *t, double range[2]) {
  if (!t->status) t->status = cn_image_range(cn_augment_of(l)->amount[CN_AUGMENT_RANGE], range, t->error);
}

cn_edge cn_augment_some(cn_layer *l, cn_trace *t, cn_edge x) {
  const cn_edge share = cn_augment_drawn(l, t, x, CN_AUGMENT_FACTOR, 0);
  return cn_emit2(t, &cn_op_less, NULL, cn_augment_between(l, t, x, 0, 1), share);
}

static cn_edge half(cn_layer *l, cn_trace *t, cn_edge x) {
  return cn_emit2(t, &cn_op_less_equal, NULL, cn_augment_between(l, t, x, 0, 1), cn_emit_number(t, 0.5));
}

/* ---- Places ---- */

/* Keras 3 turns an image in both directions or in none; tf.keras decides for each. */
cn_edge cn_augment_flip(cn_layer *l, cn_trace *t, cn_edge x) {
  enum { HORIZONTAL, VERTICAL, BOTH };
  const int mode = cn_augment_of(l)->choice[0];
  cn_edge turned = half(l, t, x);
  if (mode != VERTICAL) x = cn_where(t, turned, cn_emit1(t, &cn_op_reverse, &(cn_ints_attrs){{1, {2}}}, x), x);
  if (mode == BOTH && l->origin.keras < 3) turned = half(l, t, x);
  return mode == HORIZONTAL ? x : cn_where(t, turned, cn_emit1(t, &cn_op_reverse, &(cn_ints_attrs){{1, {1}}}, x), x);
}

static cn_edge projected(cn_layer *l, cn_trace *t, cn_edge x, cn_edge matrix) {
  static const int modes[] = {CN_FILL_REFLECT, CN_FILL_WRAP, CN_FILL_CONSTANT, CN_FILL_NEAREST};
  const cn_augmentation *s = cn_augment_of(l);
  const int method = s->choice[CN_AUGMENT_METHOD];
  if (!t->status && (s->choice[CN_AUGMENT_FILL] >= CN_COUNT(modes) || method > CN_RESIZE_BILINEAR))
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "in training \"fill_mode\" is reflect, wrap, constant or nearest, and "
                  "\"interpolation\" nearest or bilinear");
  if (t->status) return CN_NO_EDGE;
  cn_warp_attrs a = {.fill = modes[s->choice[CN_AUGMENT_FILL]],
                     .nearest = method == CN_RESIZE_NEAREST};
  cn_value_number(s->amount[CN_AUGMENT_FILL_VALUE], &a.value);
  return cn_emit2(t, &cn_op_warp, &a, x, cn_emit_cast(t, matrix, CORNU_FLOAT32));
}

cn_edge cn_augment_warped(cn_layer *l, cn_trace *t, cn_edge x, const cn_edge rows[6]) {
  cn_edge all[8];
  const cn_edge zero = cn_augment_between(l, t, x, 0, 0);
  for (int i = 0; i < 8; i++)
    all[i] = cn_emit1(t, &cn_op_reshape, &(cn_reshape_attrs){{2, {CN_DIM_INFER, 1}}}, i < 6 ? rows[i] : zero);
  return projected(l, t, x, cn_emit(t, &cn_op_concat, &(cn_axis_attrs){1}, all, 8));
}

static void set_rows(cn_edge rows[6], cn_edge a0, cn_edge a1, cn_edge a2, cn_edge b0, cn_edge b1, cn_edge b2) {
  const cn_edge all[] = {a0, a1, a2, b0, b1, b2};
  memcpy(rows, all, sizeof all);
}

void cn_augment_rotation(cn_layer *l, cn_trace *t, cn_edge x, const double b[2], cn_edge rows[6]) {
  const cn_type type = *cn_edge_type(t, x);
  const double cx = 0.5 * (double)(type.shape[2] - 1), cy = 0.5 * (double)(type.shape[1] - 1);
  const cn_edge angle = cn_augment_between(l, t, x, b[0] * 2 * M_PI, b[1] * 2 * M_PI);
  const cn_edge c = cn_emit1(t, &cn_op_cos, NULL, angle), s = cn_emit1(t, &cn_op_sin, NULL, angle);
  const cn_edge a2 = cn_off(t, cn_minus(t, cn_by(t, s, cy), cn_by(t, c, cx)), cx);
  const cn_edge b2 = cn_off(t, cn_plus(t, cn_by(t, s, -cx), cn_by(t, c, -cy)), cy);
  set_rows(rows, c, cn_emit1(t, &cn_op_neg, NULL, s), a2, s, c, b2);
}

cn_edge cn_augment_rotate(cn_layer *l, cn_trace *t, cn_edge x) {
  double b[2];
  cn_edge rows[6];
  cn_augment_bounds(l, CN_AUGMENT_FACTOR, -1e30, b);
  cn_augment_rotation(l, t, x, b, rows);
  return cn_augment_warped(l, t, x, rows);
}

void cn_augment_translation(cn_layer *l, cn_trace *t, cn_edge x, const double by[2], const double bx[2],
                            cn_edge rows[6]) {
  const cn_type type = *cn_edge_type(t, x);
  const cn_edge dy = cn_by(t, cn_augment_between(l, t, x, by[0], by[1]), (double)-type.shape[1]);
  const cn_edge dx = cn_by(t, cn_augment_between(l, t, x, bx[0], bx[1]), (double)-type.shape[2]);
  const cn_edge one = cn_augment_between(l, t, x, 1, 1), zero = cn_augment_between(l, t, x, 0, 0);
  set_rows(rows, one, zero, dx, zero, one, dy);
}

cn_edge cn_augment_translate(cn_layer *l, cn_trace *t, cn_edge x) {
  double by[2], bx[2];
  cn_edge rows[6];
  cn_augment_bounds(l, 0, -1e30, by);
  cn_augment_bounds(l, 1, -1e30, bx);
  cn_augment_translation(l, t, x, by, bx, rows);
  return cn_augment_warped(l, t, x, rows);
}

/* Without a factor of the width, as much as the height. */
cn_edge cn_augment_zoom(cn_layer *l, cn_trace *t, cn_edge x) {
  const cn_type type = *cn_edge_type(t, x);
  const bool apart = !cn_value_is_null(cn_augment_of(l)->amount[1]);
  const cn_edge zy = cn_off(t, cn_augment_drawn(l, t, x, 0, -1e30), 1);
  const cn_edge zx = apart ? cn_off(t, cn_augment_drawn(l, t, x, 1, -1e30), 1) : zy;
  const cn_edge zero = cn_augment_between(l, t, x, 0, 0), one = cn_emit_number(t, 1);
  const cn_edge dx = cn_by(t, cn_minus(t, one, zx), 0.5 * (double)(type.shape[2] - 1));
  const cn_edge dy = cn_by(t, cn_minus(t, one, zy), 0.5 * (double)(type.shape[1] - 1));
  return cn_augment_warped(l, t, x, (const cn_edge[]){zx, zero, dx, zero, zy, dy});
}

static cn_edge sign(cn_layer *l, cn_trace *t, cn_edge x) {
  return cn_where(t, half(l, t, x), cn_emit_number(t, 1), cn_emit_number(t, -1));
}

void cn_augment_shearing(cn_layer *l, cn_trace *t, cn_edge x, const double bx[2], const double by[2], cn_edge rows[6]) {
  const cn_edge side = sign(l, t, x), y = cn_times(t, cn_augment_between(l, t, x, by[0], by[1]), side);
  const cn_edge along = cn_times(t, cn_augment_between(l, t, x, bx[0], bx[1]), side);
  const cn_edge one = cn_augment_between(l, t, x, 1, 1), zero = cn_augment_between(l, t, x, 0, 0);
  set_rows(rows, one, along, zero, y, one, zero);
}

cn_edge cn_augment_shear(cn_layer *l, cn_trace *t, cn_edge x) {
  double bx[2], by[2];
  cn_edge rows[6];
  cn_augment_bounds(l, 0, -1e30, bx);
  cn_augment_bounds(l, 1, -1e30, by);
  cn_augment_shearing(l, t, x, bx, by, rows);
  return cn_augment_warped(l, t, x, rows);
}

/* The corners move by up to half of their distance from the first, which stays. */
cn_edge cn_augment_tilt(cn_layer *l, cn_trace *t, cn_edge x) {
  enum { SCALE = 1 };
  double scale = 1;
  cn_value_number(cn_augment_of(l)->amount[SCALE], &scale);
  const cn_type type = *cn_edge_type(t, x);
  const double w = (double)(type.shape[2] - 1), h = (double)(type.shape[1] - 1), corners[] = {0, 0, w, 0, 0, h, w, h};
  const cn_random_attrs moves = {.shape = {3, {type.shape[0], 4, 2}}, .kind = CN_RANDOM_UNIFORM, .low = -0.5 * scale,
                                 .high = 0.5 * scale, .dtype = CORNU_FLOAT32, .seed = cn_augment_seed(l)};
  cn_edge start = cn_emit1(t, &cn_op_reshape, &(cn_reshape_attrs){{3, {1, 4, 2}}},
                           cn_emit_vector(t, CORNU_FLOAT32, corners, 8));
  start = cn_emit1(t, &cn_op_broadcast_to, &(cn_ints_attrs){moves.shape}, start);
  const cn_edge end = cn_plus(t, start, cn_times(t, start, cn_trace_random(t, &moves)));
  const cn_edge y = projected(l, t, x, cn_emit2(t, &cn_op_homography, NULL, start, end));
  return cn_where(t, cn_augment_some(l, t, x), y, x);
}

/* ---- Values ---- */

cn_edge cn_augment_brightened(cn_layer *l, cn_trace *t, cn_edge x, const double b[2]) {
  double range[2];
  cn_augment_range(l, t, range);
  return cn_clipped(t, cn_plus(t, x, cn_by(t, cn_augment_between(l, t, x, b[0], b[1]), range[1] - range[0])), range);
}

static cn_edge contrasted(cn_layer *l, cn_trace *t, cn_edge x, cn_edge factor) {
  double range[2];
  cn_augment_range(l, t, range);
  const cn_edge mean = cn_emit1(t, &cn_op_mean, &(cn_reduce_attrs){.axes = {2, {1, 2}}, .keepdims = true}, x);
  return cn_clipped(t, cn_plus(t, cn_times(t, cn_minus(t, x, mean), factor), mean), range);
}

cn_edge cn_augment_contrasted(cn_layer *l, cn_trace *t, cn_edge x, const double b[2]) {
  return contrasted(l, t, x, cn_augment_between(l, t, x, 1 - b[0], 1 + b[1]));
}

/* tf.keras draws one factor for all images. */
cn_edge cn_augment_contrast(cn_layer *l, cn_trace *t, cn_edge x) {
  double b[2];
  const cn_value *v = cn_augment_of(l)->amount[CN_AUGMENT_FACTOR];
  cn_augment_bounds(l, CN_AUGMENT_FACTOR, 0, b);
  if (l->origin.keras > 2) return cn_augment_contrasted(l, t, x, b);
  if (cn_value_is(v, CORNU_LIST)) cn_value_number(v->items[0], &b[0]), cn_value_number(v->items[1], &b[1]);
  else b[0] = b[1];
  return contrasted(l, t, x, cn_augment_draw(l, t, 1, 1 - b[0], 1 + b[1], cn_augment_of(l)->seed));
}

/* Channel i of images. */
static cn_edge channel(cn_trace *t, cn_edge x, int64_t i) { return cn_emit_range(t, x, 3, i, i + 1); }

static cn_edge with_colour(cn_trace *t, cn_edge hue, cn_edge saturation, cn_edge value) {
  const cn_edge all[] = {hue, saturation, value};
  return cn_emit1(t, &cn_op_hsv_to_rgb, NULL, cn_emit(t, &cn_op_concat, &(cn_axis_attrs){3}, all, 3));
}

static cn_edge saturated(cn_layer *l, cn_trace *t, cn_edge x, const double b[2]) {
  double range[2];
  cn_augment_range(l, t, range);
  const cn_edge f = cn_augment_between(l, t, x, b[0], b[1]), colours = cn_emit1(t, &cn_op_rgb_to_hsv, NULL, x);
  const cn_edge rest = cn_minus(t, cn_emit_number(t, 1 + 1e-7), f); /* 1 - f + epsilon() */
  const cn_edge y = cn_times(t, channel(t, colours, 1), cn_emit2(t, &cn_op_div, NULL, f, rest));
  return with_colour(t, channel(t, colours, 0), cn_clipped(t, y, range), channel(t, colours, 2));
}

static cn_edge hued(cn_layer *l, cn_trace *t, cn_edge x, const double b[2]) {
  static const double whole[2] = {0, 1};
  double range[2];
  cn_augment_range(l, t, range);
  if (t->status) return CN_NO_EDGE;
  const cn_edge turn = cn_by(t, cn_times(t, sign(l, t, x), cn_augment_between(l, t, x, b[0], b[1])), 0.5);
  const cn_edge colours = cn_emit1(t, &cn_op_rgb_to_hsv, NULL, cn_image_ranged(t, x, range, whole));
  const cn_edge one = cn_emit_number(t, 1), zero = cn_emit_number(t, 0);
  cn_edge hue = cn_plus(t, channel(t, colours, 0), turn);
  hue = cn_where(t, cn_emit2(t, &cn_op_greater, NULL, hue, one), cn_minus(t, hue, one), hue);
  hue = cn_where(t, cn_emit2(t, &cn_op_less, NULL, hue, zero), cn_plus(t, hue, one), hue);
  const cn_edge y = with_colour(t, hue, channel(t, colours, 1), channel(t, colours, 2));
  return cn_image_ranged(t, cn_clipped(t, y, whole), whole, range);
}

static cn_edge gray(cn_trace *t, cn_edge x) {
  static const double parts[] = {0.2989, 0.5870, 0.1140};
  const cn_reduce_attrs over = {.axes = {1, {3}}, .keepdims = true};
  return cn_emit1(t, &cn_op_sum, &over, cn_times(t, x, cn_emit_vector(t, t->compute, parts, 3)));
}

cn_edge cn_augment_grayscale(cn_layer *l, cn_trace *t, cn_edge x) {
  double factor = 0;
  cn_value_number(cn_augment_of(l)->amount[CN_AUGMENT_FACTOR], &factor);
  const cn_edge chance = cn_augment_between(l, t, x, 0, 1), share = cn_emit_number(t, factor);
  return cn_where(t, cn_emit2(t, &cn_op_less, NULL, chance, share), gray(t, x), x);
}

cn_edge cn_augment_degenerated(cn_layer *l, cn_trace *t, cn_edge x, const double b[2]) {
  double range[2];
  cn_augment_range(l, t, range);
  const cn_edge factor = cn_augment_between(l, t, x, b[0], b[1]);
  return cn_clipped(t, cn_plus(t, x, cn_times(t, factor, cn_minus(t, gray(t, x), x))), range);
}

cn_edge cn_augment_invert(cn_layer *l, cn_trace *t, cn_edge x) {
  double range[2];
  cn_augment_range(l, t, range);
  return cn_where(t, cn_augment_some(l, t, x), cn_minus(t, cn_emit_number(t, range[1]), x), x);
}

/* Whole numbers from b[0] to b[1] - 1 of the eight bits stay. */
cn_edge cn_augment_posterized(cn_layer *l, cn_trace *t, cn_edge x, const double b[2]) {
  double range[2];
  cn_augment_range(l, t, range);
  if (t->status) return CN_NO_EDGE;
  const cn_edge bits = cn_emit1(t, &cn_op_floor, NULL, cn_augment_between(l, t, x, b[0], b[1]));
  const cn_edge step = cn_emit1(t, &cn_op_exp2, NULL, cn_minus(t, cn_emit_number(t, 8), bits));
  const cn_edge whole = cn_emit1(t, &cn_op_trunc, NULL, cn_image_ranged(t, x, range, bytes));
  const cn_edge kept = cn_times(t, cn_emit1(t, &cn_op_floor, NULL, cn_emit2(t, &cn_op_div, NULL, whole, step)), step);
  return cn_image_ranged(t, kept, bytes, range);
}

/* Keras scales the upper bounds alone to those of bytes. */
cn_edge cn_augment_solarized(cn_layer *l, cn_trace *t, cn_edge x, const double addition[2], const double threshold[2]) {
  double range[2];
  cn_augment_range(l, t, range);
  if (t->status) return CN_NO_EDGE;
  const cn_edge more = cn_augment_between(l, t, x, addition[0], addition[1] * 255);
  const cn_edge limit = cn_augment_between(l, t, x, threshold[0], threshold[1] * 255);
  const cn_edge y = cn_clipped(t, cn_plus(t, cn_image_ranged(t, x, range, bytes), more), bytes);
  const cn_edge turned = cn_minus(t, cn_emit_number(t, 255), y);
  return cn_image_ranged(t, cn_where(t, cn_emit2(t, &cn_op_less, NULL, y, limit), y, turned), bytes, range);
}

cn_edge cn_augment_solarize(cn_layer *l, cn_trace *t, cn_edge x) {
  enum { ADDITION = 2, THRESHOLD = 3 };
  double addition[2], threshold[2];
  cn_augment_bounds(l, ADDITION, 0, addition);
  cn_augment_bounds(l, THRESHOLD, 0, threshold);
  return cn_augment_solarized(l, t, x, addition, threshold);
}

#define BY_FACTOR(act, change, least)                           \
  cn_edge cn_augment_##act(cn_layer *l, cn_trace *t, cn_edge x) { \
    double b[2];                                                \
    cn_augment_bounds(l, CN_AUGMENT_FACTOR, least, b);          \
    return change(l, t, x, b);                                  \
  }
BY_FACTOR(brightness, cn_augment_brightened, -1)
BY_FACTOR(saturation, saturated, -1)
BY_FACTOR(hue, hued, 0)
BY_FACTOR(degenerate, cn_augment_degenerated, -1)
BY_FACTOR(posterize, cn_augment_posterized, 1)
BY_FACTOR(sharpen, cn_augment_sharpened, 0)

/* What has a factor, one after the other. */
cn_edge cn_augment_jitter(cn_layer *l, cn_trace *t, cn_edge x) {
  static const struct { int amount; double least; cn_augment_by *act; } all[] = {
      {2, -1, cn_augment_brightened}, {3, 0, cn_augment_contrasted}, {4, -1, saturated}, {5, 0, hued}};
  for (int i = 0; i < CN_COUNT(all); i++) {
    double b[2];
    if (cn_value_is_null(cn_augment_of(l)->amount[all[i].amount])) continue;
    cn_augment_bounds(l, all[i].amount, all[i].least, b);
    x = all[i].act(l, t, x, b);
  }
  return x;
}
