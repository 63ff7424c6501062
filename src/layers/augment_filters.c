/* Changes of images in training that take pixels around into account, or the values of all. */
#include <math.h>

#include "base/text.h"
#include "layers/augment.h"

/* The same kernel (h, w) for each channel, with 0 around the image. */
static cn_edge filtered(cn_trace *t, cn_edge x, cn_edge kernel, int64_t h, int64_t w) {
  const int64_t channels = cn_edge_type(t, x)->shape[3];
  const cn_edge weights = cn_emit1(t, &cn_op_reshape, &(cn_reshape_attrs){{4, {h, w, 1, 1}}}, kernel);
  const cn_conv_attrs a = {.spatial = 2, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1,
                           .pad_begin = {h / 2, w / 2}, .pad_end = {h / 2, w / 2}};
  return cn_emit3(t, &cn_op_depthwise_conv, &a, x,
                  cn_emit1(t, &cn_op_broadcast_to, &(cn_ints_attrs){{4, {h, w, channels, 1}}}, weights), CN_NO_EDGE);
}

cn_edge cn_augment_sharpened(cn_layer *l, cn_trace *t, cn_edge x, const double b[2]) {
  enum { SIZE = 3 };
  double range[2], kernel[SIZE * SIZE];
  cn_augment_range(l, t, range);
  for (int i = 0; i < SIZE * SIZE; i++) kernel[i] = (i == SIZE * SIZE / 2 ? 5.0 : 1.0) / 13;
  const cn_edge smooth = filtered(t, x, cn_emit_vector(t, t->compute, kernel, SIZE * SIZE), SIZE, SIZE);
  const cn_edge rest = cn_minus(t, cn_emit_number(t, 1), cn_by(t, cn_augment_between(l, t, x, b[0], b[1]), 2));
  return cn_clipped(t, cn_plus(t, x, cn_times(t, rest, cn_minus(t, smooth, x))), range);
}

/* ---- Blurs ---- */

/* One number for all images. */
static cn_edge one(cn_layer *l, cn_trace *t, const double b[2]) {
  return cn_emit1(t, &cn_op_reshape, &(cn_reshape_attrs){{1, {1}}},
                  cn_augment_draw(l, t, 1, b[0], b[1], cn_augment_of(l)->seed));
}

/* exp(-i² / (2 sigma²)) for i around the middle, made to sum to 1; where there is a reach, 0 beyond it. */
static cn_edge bell(cn_trace *t, int64_t n, cn_edge sigma, cn_edge reach) {
  const cn_edge places = cn_emit_counter(t, t->compute, n, 1, -0.5 * (double)(n - 1));
  const cn_edge steps = cn_emit2(t, &cn_op_div, NULL, places, sigma);
  cn_edge y = cn_emit1(t, &cn_op_exp, NULL, cn_by(t, cn_times(t, steps, steps), -0.5));
  if (reach != CN_NO_EDGE)
    y = cn_where(t, cn_emit2(t, &cn_op_less_equal, NULL, cn_emit1(t, &cn_op_abs, NULL, places), reach), y,
                 cn_emit_number(t, 0));
  const cn_reduce_attrs all = {.axes = {1, {0}}, .keepdims = true};
  return cn_emit2(t, &cn_op_div, NULL, y, cn_emit1(t, &cn_op_sum, &all, y));
}

enum { LARGEST = 255 }; /* side of a kernel */

static bool sizes_of(cn_layer *l, cn_trace *t, int64_t size[2]) {
  enum { KERNEL_SIZE = 2 };
  const cn_value *v = cn_augment_of(l)->amount[KERNEL_SIZE];
  const bool pair = cn_value_is(v, CORNU_LIST);
  for (int i = 0; i < 2 && !t->status; i++)
    if (!cn_value_integer(pair ? v->items[i] : v, &size[i]) || size[i] < 1 || size[i] > LARGEST || size[i] % 2 == 0)
      cn_trace_fail(t, CORNU_ERR_ARGUMENT, "\"kernel_size\" is %s, expected an odd number from 1 to %d or two",
                    cn_value_show(v, (char[80]){0}, 80), LARGEST);
  return t->status == CORNU_OK;
}

/* The product of two bells, row by row of bells of the other size: so Keras lays it out. */
cn_edge cn_augment_blur(cn_layer *l, cn_trace *t, cn_edge x) {
  enum { SIGMA = 3 };
  double range[2], b[2];
  int64_t size[2];
  cn_augment_range(l, t, range);
  cn_augment_bounds(l, SIGMA, 0, b);
  if (!sizes_of(l, t, size)) return CN_NO_EDGE;
  cn_edge bells[2];
  for (int i = 0; i < 2; i++) bells[i] = bell(t, size[i], cn_off(t, one(l, t, b), 1e-6), CN_NO_EDGE);
  const cn_edge kernel = cn_times(t, cn_emit_new_axis(t, bells[1], 1), cn_emit_new_axis(t, bells[0], 0));
  const cn_edge y = cn_where(t, cn_augment_some(l, t, x), filtered(t, x, kernel, size[0], size[1]), x);
  return cn_clipped(t, y, range);
}

/* How far pixels move, along both axes: smoothed noise (b, h, w, 1), by a share of the image's sides. */
static cn_edge movements(cn_layer *l, cn_trace *t, const cn_type *x, const double scale[2]) {
  const int64_t h = x->shape[1], w = x->shape[2];
  const double reach = 0.05 * (double)(h < w ? h : w), far = 0.1 * (double)(h > w ? h : w);
  const int64_t half = 3 * (int64_t)(reach * scale[1]), side = 2 * half + 1;
  if (side > LARGEST)
    cn_trace_fail(t, CORNU_ERR_LIMIT, "\"scale\" is %g: images of shape %s would be smoothed by a kernel of %lld, "
                  "more than %d: give smaller images or a smaller scale", scale[1], CN_SHAPE(4, x->shape),
                  (long long)side, LARGEST);
  const cn_random_attrs noise = {.shape = {4, {x->shape[0], h, w, 1}}, .kind = CN_RANDOM_NORMAL, .high = 1,
                                 .dtype = t->compute, .seed = cn_augment_seed(l)};
  const cn_edge factor = one(l, t, scale), sigma = cn_emit2(t, &cn_op_maximum, NULL, cn_by(t, factor, reach),
                                                            cn_emit_number(t, 1e-6));
  const cn_edge curve = bell(t, side, sigma, cn_by(t, cn_emit1(t, &cn_op_floor, NULL, sigma), 3));
  const cn_edge move = cn_times(t, cn_trace_random(t, &noise), sigma);
  return cn_times(t, filtered(t, filtered(t, move, curve, side, 1), curve, 1, side), cn_by(t, factor, far));
}

/* 0, 1, 2, … along one axis of a shape. */
static cn_edge counted(cn_trace *t, const cn_type *type, int axis) {
  cn_reshape_attrs alone = {.shape = {4, {1, 1, 1, 1}}};
  cn_ints_attrs whole = {.v = {.n = 4}};
  for (int i = 0; i < 4; i++) whole.v.v[i] = type->shape[i];
  alone.shape.v[axis] = type->shape[axis];
  const cn_edge line = cn_emit_counter(t, CORNU_FLOAT64, type->shape[axis], 1, 0);
  return cn_emit1(t, &cn_op_broadcast_to, &whole, cn_emit1(t, &cn_op_reshape, &alone, line));
}

/* Elastic deformations (Simard et al. 2003); the scale is the same for all images. */
cn_edge cn_augment_elastic(cn_layer *l, cn_trace *t, cn_edge x) {
  enum { SCALE = 2 };
  static const int modes[] = {CN_FILL_REFLECT, CN_FILL_WRAP, CN_FILL_CONSTANT, CN_FILL_NEAREST, CN_FILL_MIRROR};
  const cn_augmentation *s = cn_augment_of(l);
  const cn_type type = *cn_edge_type(t, x);
  double range[2], scale[2], share[2];
  cn_augment_range(l, t, range);
  cn_augment_bounds(l, SCALE, 0, scale);
  cn_augment_bounds(l, CN_AUGMENT_FACTOR, 0, share);
  for (int i = 0; i < 4; i++)
    if (type.shape[i] < 1) return x; /* shapes alone are wanted */
  if (scale[1] == 0 || share[1] == 0) return x;
  const int method = s->choice[CN_AUGMENT_METHOD];
  if (method > CN_RESIZE_BILINEAR)
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "in training \"interpolation\" is nearest or bilinear");
  if (t->status) return CN_NO_EDGE;
  const cn_edge move = cn_emit_cast(t, movements(l, t, &type, scale), CORNU_FLOAT64);
  cn_edge places[4];
  for (int i = 0; i < 4; i++) {
    places[i] = counted(t, &type, i);
    if (i == 1 || i == 2) places[i] = cn_plus(t, places[i], move);
  }
  cn_map_attrs a = {.fill = modes[s->choice[CN_AUGMENT_FILL]], .order = method == CN_RESIZE_BILINEAR};
  cn_value_number(s->amount[CN_AUGMENT_FILL_VALUE], &a.value);
  const cn_edge at = cn_emit(t, &cn_op_stack, &(cn_axis_attrs){0}, places, 4);
  const cn_edge y = cn_emit2(t, &cn_op_map_coordinates, &a, x, at);
  return cn_clipped(t, cn_where(t, cn_augment_some(l, t, x), y, x), range);
}

/* ---- Equalization ---- */

/* A whole number below n, and n for each channel before: which bin of which channel. */
static cn_edge bin_of(cn_trace *t, cn_edge x, int64_t channels, int64_t n) {
  const double last[2] = {0, (double)(n - 1)};
  const cn_edge bin = cn_emit_cast(t, cn_clipped(t, x, last), CORNU_INT32);
  return cn_plus(t, bin, cn_emit_counter(t, CORNU_INT32, channels, (double)n, 0));
}

/* What becomes of each bin (channels, n); *flat: channels whose values are all in one bin. */
static cn_edge table_of(cn_trace *t, cn_edge bins, int64_t channels, int64_t n, cn_edge *flat) {
  static const double bytes[2] = {0, 255};
  const cn_edge all = cn_emit_flat(t, bins), zero = cn_emit_scalar(t, CORNU_FLOAT64, 0);
  const cn_reduce_attrs along = {.axes = {1, {1}}, .keepdims = true};
  cn_edge hits = cn_emit1(t, &cn_op_full_like, &(cn_fill_attrs){1, CORNU_FLOAT64}, all);
  hits = cn_emit2(t, &cn_op_segment, &(cn_segment_attrs){channels * n, CN_SCATTER_ADD, true}, hits, all);
  hits = cn_emit1(t, &cn_op_reshape, &(cn_reshape_attrs){{2, {channels, n}}}, hits);
  const cn_edge used = cn_emit_cast(t, cn_emit2(t, &cn_op_greater, NULL, hits, zero), CORNU_FLOAT64);
  *flat = cn_emit2(t, &cn_op_less_equal, NULL, cn_emit1(t, &cn_op_sum, &along, used),
                   cn_emit_scalar(t, CORNU_FLOAT64, 1));
  *flat = cn_emit1(t, &cn_op_reshape, &(cn_reshape_attrs){{1, {channels}}}, *flat);
  const cn_edge sums = cn_emit1(t, &cn_op_cumsum, &(cn_cumulate_attrs){.axis = 1}, hits);
  const cn_edge most = cn_emit1(t, &cn_op_max, &along, sums);
  const cn_edge there = cn_where(t, cn_emit2(t, &cn_op_greater, NULL, sums, zero), sums, most);
  const cn_edge least = cn_emit1(t, &cn_op_min, &along, there);
  const cn_edge wide = cn_emit2(t, &cn_op_maximum, NULL, cn_minus(t, most, least), cn_emit_scalar(t, CORNU_FLOAT64, 1));
  cn_edge y = cn_times(t, cn_minus(t, sums, least), cn_emit_scalar(t, CORNU_FLOAT64, 255));
  y = cn_emit1(t, &cn_op_round, NULL, cn_emit2(t, &cn_op_div, NULL, y, wide));
  return cn_emit_flat(t, cn_emit_cast(t, cn_clipped(t, y, bytes), t->compute));
}

static cn_edge scaled(cn_trace *t, cn_edge x, const double from[2], const double to[2]) {
  const double scale = (to[1] - to[0]) / (from[1] - from[0]), offset = to[0] - from[0] * scale;
  return scale == 1 && offset == 0 ? x : cn_off(t, cn_by(t, x, scale), offset);
}

/* Over all images of the batch, channel by channel. */
cn_edge cn_augment_equalized(cn_layer *l, cn_trace *t, cn_edge x, int64_t n) {
  static const double bytes[2] = {0, 255};
  double range[2];
  cn_augment_range(l, t, range);
  const int64_t channels = cn_edge_type(t, x)->shape[3];
  if (!t->status && (n < 1 || n > 65536 || channels < 1 || channels > 4096))
    cn_trace_fail(t, CORNU_ERR_LIMIT, "\"bins\" is %lld and there are %lld channels: expected 1 to 65536 bins and "
                  "1 to 4096 channels", (long long)n, (long long)channels);
  if (t->status) return CN_NO_EDGE;
  if (range[0] > range[1]) range[0] += range[1], range[1] = range[0] - range[1], range[0] -= range[1];
  const cn_edge v = scaled(t, x, range, bytes), last = cn_emit_number(t, (double)(n - 1));
  const cn_edge whole = cn_emit_number(t, 255);
  cn_edge flat;
  const cn_edge bins = bin_of(t, cn_emit2(t, &cn_op_div, NULL, cn_times(t, v, last), whole), channels, n);
  const cn_edge table = table_of(t, bins, channels, n, &flat);
  const cn_edge at = bin_of(t, cn_times(t, cn_emit2(t, &cn_op_div, NULL, v, whole), last), channels, n);
  const cn_edge y = cn_emit2(t, &cn_op_gather, &(cn_axis_attrs){0}, table, at);
  return scaled(t, cn_where(t, flat, v, y), bytes, range);
}

cn_edge cn_augment_equalize(cn_layer *l, cn_trace *t, cn_edge x) {
  return cn_augment_equalized(l, t, x, cn_augment_of(l)->count[0]);
}
