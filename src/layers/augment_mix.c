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

/* ---- Some of the other changes, the same for all images ---- */

/* The first ones move pixels, the last ones change colours. */
enum { SHEAR, TRANSLATE, ROTATE, POSTERIZE, SOLARIZE, AUTO_CONTRAST, EQUALIZE, BRIGHTEN, DEGENERATE, CONTRAST, SHARPEN,
       CHANGES };

static cn_edge is(cn_trace *t, cn_edge pick, int change) {
  return cn_emit2(t, &cn_op_equal, NULL, pick, cn_emit_number(t, change));
}

/* What moves pixels; they stay where none of these is picked. */
static cn_edge moved(cn_layer *l, cn_trace *t, cn_edge x, cn_edge pick, const double b[2]) {
  cn_edge rows[3][6], all[6];
  cn_augment_shearing(l, t, x, b, b, rows[SHEAR]);
  cn_augment_translation(l, t, x, b, b, rows[TRANSLATE]);
  cn_augment_rotation(l, t, x, b, rows[ROTATE]);
  for (int i = 0; i < 6; i++) {
    all[i] = cn_augment_between(l, t, x, i % 4 == 0, i % 4 == 0);
    for (int k = SHEAR; k <= ROTATE; k++) all[i] = cn_where(t, is(t, pick, k), rows[k][i], all[i]);
  }
  return cn_augment_warped(l, t, x, all);
}

/* Keras takes axes 1 and 2 also where the channels come first. */
static cn_edge stretched(cn_layer *l, cn_trace *t, cn_edge x) {
  const bool first = cn_channels_first(l, cn_augment_of(l)->data_format, 2);
  double range[2];
  cn_augment_range(l, t, range);
  return cn_image_stretched(t, x, &(cn_ints){2, {1, first ? 3 : 2}}, range);
}

/* Every change up to the last is computed and one of them taken: graphs have no branches. */
static cn_edge picked(cn_layer *l, cn_trace *t, cn_edge x, cn_edge pick, int changes) {
  enum { BINS = 256 };
  static cn_augment_by *const by_factor[CHANGES] = {
      [BRIGHTEN] = cn_augment_brightened, [DEGENERATE] = cn_augment_degenerated, [CONTRAST] = cn_augment_contrasted,
      [SHARPEN] = cn_augment_sharpened};
  double b[2];
  cn_augment_bounds(l, CN_AUGMENT_FACTOR, 0, b);
  const double bits[2] = {1, b[1] < 0.25 ? 1 : (double)(int)(8 * b[1])};
  cn_edge y = moved(l, t, x, pick, b);
  y = cn_where(t, is(t, pick, POSTERIZE), cn_augment_posterized(l, t, x, bits), y);
  y = cn_where(t, is(t, pick, SOLARIZE), cn_augment_solarized(l, t, x, b, b), y);
  y = cn_where(t, is(t, pick, AUTO_CONTRAST), stretched(l, t, x), y);
  y = cn_where(t, is(t, pick, EQUALIZE), cn_augment_equalized(l, t, x, BINS), y);
  for (int i = BRIGHTEN; i < changes; i++) y = cn_where(t, is(t, pick, i), by_factor[i](l, t, x, b), y);
  return y;
}

static cn_edge pick_of(cn_layer *l, cn_trace *t, int n) {
  return cn_emit1(t, &cn_op_floor, NULL, cn_augment_draw(l, t, 1, 0, n, cn_augment_of(l)->seed));
}

enum { MOST_STEPS = 64 };

/* A change that is picked twice draws the same numbers again, as in Keras. */
cn_edge cn_augment_rand_augment(cn_layer *l, cn_trace *t, cn_edge x) {
  const int64_t n = cn_augment_of(l)->count[0];
  if (n < 0 || n > MOST_STEPS)
    cn_trace_fail(t, CORNU_ERR_LIMIT, "\"num_ops\" is %lld, expected 0 to %d", (long long)n, MOST_STEPS);
  if (t->status) return CN_NO_EDGE;
  cn_edge picks[MOST_STEPS];
  for (int i = 0; i < n; i++) picks[i] = pick_of(l, t, CHANGES);
  const int first = t->draws;
  for (int i = 0; i < n; i++) {
    t->draws = first;
    x = picked(l, t, x, picks[i], CHANGES);
  }
  return x;
}

/* Chains of changes, or of none (the last pick), mixed with each other and with the images (Hendrycks et al. 2019). */
cn_edge cn_augment_aug_mix(cn_layer *l, cn_trace *t, cn_edge x) {
  enum { DEPTH = 2, ALPHA = 3 };
  const cn_augmentation *s = cn_augment_of(l);
  const int64_t chains = s->count[0];
  int64_t depth = 0;
  double b[2], range[2];
  const bool good = cn_value_integer(s->amount[DEPTH], &depth) && depth >= 0 && depth <= MOST_STEPS && chains > 0;
  if (!good || chains > MOST_STEPS || chains * depth > MOST_STEPS)
    cn_trace_fail(t, CORNU_ERR_LIMIT, "\"num_chains\" is %lld and \"chain_depth\" is %s: expected whole numbers whose "
                  "product is %d at most", (long long)chains, cn_value_show(s->amount[DEPTH], (char[80]){0}, 80),
                  MOST_STEPS);
  alpha_of(l, t, ALPHA, b);
  cn_augment_range(l, t, range);
  if (t->status) return CN_NO_EDGE;
  const int changes = s->flag ? CHANGES : BRIGHTEN;
  const cn_edge shares = cn_emit1(t, &cn_op_softmax, &(cn_axis_attrs){1}, log_gamma(l, t, 1, chains, b));
  const cn_edge kept = beta(l, t, 1, b);
  cn_edge sum = CN_NO_EDGE;
  for (int64_t i = 0; i < chains; i++) {
    cn_edge y = x;
    for (int64_t k = 0; k < depth; k++) y = picked(l, t, y, pick_of(l, t, changes + 1), changes);
    y = cn_times(t, y, cn_emit_range(t, shares, 1, i, i + 1));
    sum = i ? cn_plus(t, sum, y) : y;
  }
  return cn_clipped(t, mixed(t, kept, x, sum), range);
}
