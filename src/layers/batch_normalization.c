/* BatchNormalization: gamma * (x - mean) / sqrt(variance + epsilon) + beta along one axis, in tf.keras also along
 * several. Keras 1 has two more modes that normalise by what they are given. */
#include <math.h>

#include "base/text.h"
#include "layers/emit.h"
#include "layers/part.h"
#include "layers/spatial.h"

enum { MODE_MOVING = 0, MODE_SAMPLE = 1, MODE_BATCH = 2 };

typedef struct settings {
  cn_ints axis;
  double epsilon, momentum;
  bool center, scale, renorm;
  double renorm_momentum;
  const cn_value *renorm_clipping;
  int64_t mode, virtual_batch;
} settings;

static const cn_field fields[] = {
    {.name = "axis",
     .kind = CN_F_INTS,
     .offset = offsetof(settings, axis),
     .standard = "-1",
     .min = -CN_MAX_RANK,
     .max = CN_MAX_RANK - 1,
     .help = CN_HELP("the axis that keeps statistics of its own: a number or a list; of several axes each "
                     "place has its own")},
    {.name = "epsilon",
     .kind = CN_F_FLOAT,
     .offset = offsetof(settings, epsilon),
     .standard = "0.001",
     .min = 0,
     .max = 1e30,
     .help = CN_HELP("added to the variance")},
    {.name = "center",
     .kind = CN_F_BOOL,
     .offset = offsetof(settings, center),
     .standard = "true",
     .help = CN_HELP("adds beta")},
    {.name = "scale",
     .kind = CN_F_BOOL,
     .offset = offsetof(settings, scale),
     .standard = "true",
     .help = CN_HELP("multiplies by gamma")},
    {.name = "mode",
     .kind = CN_F_INT,
     .offset = offsetof(settings, mode),
     .standard = "0",
     .min = 0,
     .max = 2,
     .help = CN_HELP("Keras 1: statistics of 0 the training, 1 each sample, 2 the batch")},
    {.name = "renorm",
     .kind = CN_F_BOOL,
     .offset = offsetof(settings, renorm),
     .standard = "false",
     .help = CN_HELP("batch renormalisation: training corrects towards slower statistics, three more weights")},
    {.name = "momentum", .kind = CN_F_FLOAT, .offset = offsetof(settings, momentum), .standard = "0.99", .min = 0,
     .max = 1, .help = CN_HELP("how much of the moving statistics stays after a step of training")},
    {.name = "renorm_clipping", .kind = CN_F_VALUE, .offset = offsetof(settings, renorm_clipping), .standard = "null",
     .help = CN_HELP("bounds of that correction: {rmin =, rmax =, dmax =}")},
    {.name = "renorm_momentum", .kind = CN_F_FLOAT, .offset = offsetof(settings, renorm_momentum), .standard = "0.99",
     .min = 0, .max = 1, .help = CN_HELP("how much of those statistics stays after a step of training")},
    {.name = "synchronized", .kind = CN_F_IGNORED, .standard = "false",
     .help = CN_HELP("of several devices: there is one")},
    {.name = "fused",
     .kind = CN_F_IGNORED,
     .standard = "null",
     .help = CN_HELP("how tf.keras computes: the result is the same")},
    {.name = "virtual_batch_size", .kind = CN_F_INT, .offset = offsetof(settings, virtual_batch), .standard = "null",
     .min = 1, .max = 1 << 24, .help = CN_HELP("tf.keras: training normalises parts of a batch, of so many samples")},
    CN_GAMMA_ROWS,
    {0}};

static int find_axis(const cn_layer *l, int rank) {
  const settings *s = l->settings;
  if (s->mode == MODE_SAMPLE) return rank - 1; /* Keras 1 takes the last whatever axis says */
  int64_t axis = s->axis.v[0] < 0 ? s->axis.v[0] + rank : s->axis.v[0];
  return axis > 0 && axis < rank ? (int)axis : -1;
}

/* Whether statistics have as many axes as the input. */
static bool by_place(const settings *s) { return s->axis.n > 1 || s->virtual_batch > 0; }

/* The shape of the statistics: one axis gives a vector, several the rank of the input with ones at all others. */
static cn_status statistics(const cn_layer *l, const cn_type *in, int *rank, int64_t *shape, cn_error *e) {
  const settings *s = l->settings;
  int axis = s->axis.n ? find_axis(l, in->rank) : -1;
  bool fits = axis >= 0;
  *rank = 1;
  if (fits) shape[0] = in->shape[axis];
  if (by_place(s)) {
    fits = s->axis.n > 0;
    *rank = in->rank;
    for (int i = 0; i < in->rank; i++) shape[i] = 1;
    for (int i = 0; i < s->axis.n && fits; i++) {
      int64_t at = s->axis.v[i] < 0 ? s->axis.v[i] + in->rank : s->axis.v[i] - (s->virtual_batch > 0);
      fits = at > 0 && at < in->rank && s->mode == MODE_MOVING;
      if (fits) shape[at] = in->shape[at];
    }
    if (s->virtual_batch > 0) { /* the parts of a batch are the second axis; saved axes count it */
      fits &= in->rank < CN_MAX_RANK;
      for (int i = (*rank)++; i > 1 && fits; i--) shape[i] = shape[i - 1];
      shape[1] = 1;
    }
  }
  if (fits) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_SHAPE, "\"axis\" begins with %lld, the input has shape %s",
                 (long long)(s->axis.n ? s->axis.v[0] : 0), CN_SHAPE(in->rank, in->shape));
}

typedef struct place { int rank; int64_t shape[CN_MAX_RANK]; } place;

static cn_status add(cn_layer *l, const char *name, const place *p, bool trainable, const cn_value *init,
                     cn_error *e) {
  return cn_layer_add_weight(l, name, p->rank, p->shape, trainable, init, e);
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  static const cn_value ones = {.kind = CORNU_STRING, .count = 4, .s = "ones"};
  const settings *s = l->settings;
  place one, *n = &one;
  CN_TRY(statistics(l, in, &one.rank, one.shape, e));
  const cn_value *init = cn_spatial_initializer(l, "gamma_initializer", "gamma_init");
  if (s->scale) CN_TRY(add(l, "gamma", n, true, init ? init : &ones, e));
  if (s->center) CN_TRY(add(l, "beta", n, true, cn_spatial_initializer(l, "beta_initializer", "beta_init"), e));
  CN_TRY(add(l, "moving_mean", n, false, cn_value_find(l->config, "moving_mean_initializer"), e));
  init = cn_value_find(l->config, "moving_variance_initializer");
  CN_TRY(add(l, "moving_variance", n, false, init ? init : &ones, e));
  if (!s->renorm) return CORNU_OK;
  CN_TRY(add(l, "moving_stddev", n, false, &ones, e));
  CN_TRY(add(l, "renorm_mean", n, false, NULL, e));
  return add(l, "renorm_stddev", n, false, &ones, e);
}

/* A weight with ones around it, so that it broadcasts along the axis; CN_NO_EDGE stays. */
static cn_edge along(cn_trace *t, cn_edge w, int rank, int axis) {
  if (w == CN_NO_EDGE || axis == rank - 1) return w;
  cn_reshape_attrs a = {.shape = {.n = rank - axis}};
  a.shape.v[0] = CN_DIM_INFER;
  for (int i = 1; i < a.shape.n; i++) a.shape.v[i] = 1;
  return cn_emit1(t, &cn_op_reshape, &a, w);
}

/* By the statistics of x itself: over all other axes, or (mode 1) over the last axis of each sample. */
static cn_edge normalise(cn_layer *l, cn_trace *t, cn_edge x, int rank, int axis) {
  const settings *s = l->settings;
  cn_reduce_attrs over = {.axes = {.n = 0}, .keepdims = true};
  for (int i = 0; i < rank; i++)
    if ((i == axis) == (s->mode == MODE_SAMPLE)) over.axes.v[over.axes.n++] = i;
  cn_edge epsilon = cn_emit_number(t, s->epsilon);
  cn_edge mean = cn_emit1(t, &cn_op_mean, &over, x);
  cn_edge deviation = cn_emit1(t, &cn_op_sqrt, NULL,
                               cn_emit2(t, &cn_op_add, NULL, cn_emit1(t, &cn_op_var, &over, x), epsilon));
  if (s->mode == MODE_SAMPLE) deviation = cn_emit2(t, &cn_op_add, NULL, deviation, epsilon);
  cn_edge y = cn_emit2(t, &cn_op_div, NULL, cn_emit2(t, &cn_op_sub, NULL, x, mean), deviation);
  cn_edge gamma = along(t, cn_layer_weight_edge(l, t, "gamma"), rank, axis);
  cn_edge beta = along(t, cn_layer_weight_edge(l, t, "beta"), rank, axis);
  if (gamma != CN_NO_EDGE) y = cn_emit2(t, &cn_op_mul, NULL, y, gamma);
  return beta != CN_NO_EDGE ? cn_emit2(t, &cn_op_add, NULL, y, beta) : y;
}

/* Where the statistics broadcast as they are. */
static cn_edge normalise_places(cn_layer *l, cn_trace *t, cn_edge x, cn_edge mean, cn_edge variance, cn_edge gamma,
                                cn_edge beta) {
  const cn_edge epsilon = cn_emit_number(t, ((const settings *)l->settings)->epsilon);
  const cn_edge moved = cn_emit2(t, &cn_op_sub, NULL, x, mean);
  cn_edge y = cn_emit2(t, &cn_op_mul, NULL, moved,
                       cn_emit1(t, &cn_op_rsqrt, NULL, cn_emit2(t, &cn_op_add, NULL, variance, epsilon)));
  if (gamma != CN_NO_EDGE) y = cn_emit2(t, &cn_op_mul, NULL, y, gamma);
  return beta != CN_NO_EDGE ? cn_emit2(t, &cn_op_add, NULL, y, beta) : y;
}

static cn_edge by_places(cn_layer *l, cn_trace *t, cn_edge x) {
  const bool parts = ((const settings *)l->settings)->virtual_batch > 0;
  const cn_edge y = normalise_places(l, t, parts ? cn_emit_new_axis(t, x, 1) : x,
                                     cn_layer_weight_edge(l, t, "moving_mean"),
                                     cn_layer_weight_edge(l, t, "moving_variance"), cn_layer_weight_edge(l, t, "gamma"),
                                     cn_layer_weight_edge(l, t, "beta"));
  return parts ? cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {1}}}, y) : y;
}

/* ---- Training: by the statistics of the batch, which move those that are kept ---- */

typedef struct moments { cn_edge mean, variance; } moments;

/* TensorFlow's fused operation, which tf.keras uses for images and volumes. */
static bool is_fused(const cn_layer *l, int rank) {
  const settings *s = l->settings;
  return l->origin.keras == 2 && l->origin.tf && (rank == 4 || rank == 5) && !s->renorm && !by_place(s);
}

/* Which factor makes the population variance that which is kept. The fused operation estimates that of the source; so does
 * Keras 2 itself, on top of what the operation does to images. */
static double variance_factor(const cn_layer *l, const cn_type *x, int axis) {
  double n = 1;
  for (int i = 0; i < x->rank; i++)
    if (i != axis) n *= (double)x->shape[i];
  const double unbiased = n > 1 ? n / (n - 1) : 1;
  if (l->origin.keras != 2) return 1;
  if (l->origin.tf) return is_fused(l, x->rank) ? unbiased : 1;
  const bool images = x->rank == 4 && axis == 3 && !l->origin.theano;
  return (images ? unbiased : 1) * n / (n - (1 + ((const settings *)l->settings)->epsilon));
}

/* Whether masked places do not count: as the versions of Keras have it. */
static bool heeds_mask(const cn_layer *l, cn_edge mask, int rank) {
  if (mask == CN_NO_EDGE || l->origin.keras < 2) return false;
  if (l->origin.keras >= 3) return true;
  return l->origin.tf && cn_origin_at_least(&l->origin, 2, 12, 0) && !is_fused(l, rank);
}

static cn_edge reduced(cn_trace *t, const cn_op *op, const cn_reduce_attrs *over, cn_edge x) {
  return cn_emit1(t, op, over, x);
}

/* Without the places where the mask (batch, …, without the last axis) is false. */
static moments masked_moments(cn_layer *l, cn_trace *t, cn_edge x, cn_edge mask, cn_reduce_attrs over) {
  const cn_type type = *cn_edge_type(t, x);
  const int rank = cn_edge_type(t, mask)->rank;
  moments m = {CN_NO_EDGE, CN_NO_EDGE};
  if (!t->status && rank != type.rank - 1)
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the mask has %d dimensions, the input %s: expected one less", rank,
                  CN_SHAPE(type.rank, type.shape));
  if (t->status) return m;
  const bool keeps = over.keepdims;
  over.keepdims = true;
  cn_ints_attrs whole = {.v = {.n = type.rank}};
  for (int i = 0; i < type.rank; i++) whole.v.v[i] = type.shape[i];
  const cn_edge seen = cn_emit1(t, &cn_op_broadcast_to, &whole,
                                cn_emit_cast(t, cn_emit_new_axis(t, mask, -1), CORNU_BOOL8));
  const cn_edge zero = cn_emit_number(t, 0);
  cn_edge count = reduced(t, &cn_op_sum, &over, cn_emit_cast(t, seen, type.dtype));
  if (l->origin.keras >= 3) count = cn_emit2(t, &cn_op_add, NULL, count, cn_emit_number(t, 1e-7)); /* its epsilon() */
  m.mean = cn_emit2(t, &cn_op_div, NULL, reduced(t, &cn_op_sum, &over, cn_emit3(t, &cn_op_where, NULL, seen, x, zero)),
                    count);
  const cn_edge apart = cn_emit3(t, &cn_op_where, NULL, seen, cn_emit2(t, &cn_op_sub, NULL, x, m.mean), zero);
  m.variance = cn_emit2(t, &cn_op_div, NULL, reduced(t, &cn_op_sum, &over, cn_emit1(t, &cn_op_square, NULL, apart)),
                        count);
  const cn_reduce_attrs squeezed = {.axes = over.axes};
  if (!keeps) m.mean = reduced(t, &cn_op_squeeze, &squeezed, m.mean), m.variance = reduced(t, &cn_op_squeeze,
                                                                                           &squeezed, m.variance);
  return m;
}

/* momentum * kept + (1 - momentum) * now */
static cn_edge moved(cn_layer *l, cn_trace *t, const char *name, cn_edge now, double momentum, double factor) {
  const cn_edge stays = cn_emit2(t, &cn_op_mul, NULL, cn_layer_weight_edge(l, t, name), cn_emit_number(t, momentum));
  const cn_edge comes = cn_emit2(t, &cn_op_mul, NULL, now, cn_emit_number(t, (1 - momentum) * factor));
  const cn_edge next = cn_emit2(t, &cn_op_add, NULL, stays, comes);
  cn_layer_weight_keep(l, t, name, next);
  return next;
}

/* Keras 1 moves the statistics of frozen layers, too; Keras 2 alone leaves them; later both and tf.keras run as at
 * inference. */
static bool moves(const cn_layer *l) { return l->trainable || l->origin.keras == 1; }
static bool trains(const cn_layer *l, const cn_trace *t) {
  const bool frozen = !l->trainable && (l->origin.tf || l->origin.keras >= 3);
  return t->training && t->variables && !frozen;
}

/* Batch renormalisation (Ioffe 2017): gamma and beta of a result that is by slower statistics, within bounds. */
static void renormalise(cn_layer *l, cn_trace *t, const moments *m, cn_edge *gamma, cn_edge *beta) {
  const settings *s = l->settings;
  const cn_edge epsilon = cn_emit_number(t, s->epsilon), least = cn_emit_number(t, sqrt(s->epsilon));
  const cn_edge deviation = cn_emit1(t, &cn_op_sqrt, NULL, cn_emit2(t, &cn_op_add, NULL, m->variance, epsilon));
  const cn_edge slow = cn_emit2(t, &cn_op_maximum, NULL, cn_layer_weight_edge(l, t, "renorm_stddev"), least);
  cn_clip_attrs r_bounds = {NAN, NAN}, d_bounds = {NAN, NAN};
  cn_value_number(cn_value_find(s->renorm_clipping, "rmin"), &r_bounds.min);
  cn_value_number(cn_value_find(s->renorm_clipping, "rmax"), &r_bounds.max);
  if (cn_value_number(cn_value_find(s->renorm_clipping, "dmax"), &d_bounds.max)) d_bounds.min = -d_bounds.max;
  const cn_edge off = cn_emit2(t, &cn_op_sub, NULL, m->mean, cn_layer_weight_edge(l, t, "renorm_mean"));
  cn_edge r = cn_emit1(t, &cn_op_clip, &r_bounds, cn_emit2(t, &cn_op_div, NULL, deviation, slow));
  cn_edge d = cn_emit1(t, &cn_op_clip, &d_bounds, cn_emit2(t, &cn_op_div, NULL, off, slow));
  r = cn_emit1(t, &cn_op_stop_gradient, NULL, r);
  d = cn_emit1(t, &cn_op_stop_gradient, NULL, d);
  if (*gamma != CN_NO_EDGE) d = cn_emit2(t, &cn_op_mul, NULL, d, *gamma), r = cn_emit2(t, &cn_op_mul, NULL, r, *gamma);
  *gamma = r;
  *beta = *beta == CN_NO_EDGE ? d : cn_emit2(t, &cn_op_add, NULL, d, *beta);
}

static void move_renormalised(cn_layer *l, cn_trace *t, const moments *m) {
  const settings *s = l->settings;
  const cn_edge epsilon = cn_emit_number(t, s->epsilon);
  const cn_edge deviation = cn_emit1(t, &cn_op_sqrt, NULL, cn_emit2(t, &cn_op_add, NULL, m->variance, epsilon));
  moved(l, t, "renorm_mean", m->mean, s->renorm_momentum, 1);
  moved(l, t, "renorm_stddev", deviation, s->renorm_momentum, 1);
  const cn_edge square = cn_emit1(t, &cn_op_square, NULL, moved(l, t, "moving_stddev", deviation, s->momentum, 1));
  const cn_edge variance = cn_emit2(t, &cn_op_sub, NULL, square, epsilon);
  cn_layer_weight_edge(l, t, "moving_variance"); /* what is kept must have been there */
  cn_layer_weight_keep(l, t, "moving_variance", cn_emit2(t, &cn_op_maximum, NULL, variance, cn_emit_number(t, 0)));
}

/* On Theano the variance that moves has epsilon in it. */
static void move(cn_layer *l, cn_trace *t, const moments *m, double factor) {
  const settings *s = l->settings;
  const cn_edge variance = l->origin.theano ? cn_emit2(t, &cn_op_add, NULL, m->variance, cn_emit_number(t, s->epsilon))
                                            : m->variance;
  moved(l, t, "moving_mean", m->mean, s->momentum, 1);
  if (s->renorm) move_renormalised(l, t, m);
  else moved(l, t, "moving_variance", variance, s->momentum, factor);
}

/* The mean over the parts of a batch. */
static moments of_all_parts(cn_trace *t, const moments *m) {
  const cn_reduce_attrs parts = {.axes = {1, {1}}, .keepdims = true};
  return (moments){cn_emit1(t, &cn_op_mean, &parts, m->mean), cn_emit1(t, &cn_op_mean, &parts, m->variance)};
}

/* x with as many samples in a row as a part has, and the parts behind each other: (samples, parts, …). */
static cn_edge into_parts(cn_layer *l, cn_trace *t, cn_edge x) {
  const cn_type type = *cn_edge_type(t, x);
  const int64_t n = ((const settings *)l->settings)->virtual_batch;
  if (!t->status && type.shape[0] % n)
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the batch has %lld samples, expected a multiple of \"virtual_batch_size\" %lld",
                  (long long)type.shape[0], (long long)n);
  cn_reshape_attrs a = {.shape = {type.rank + 1, {n, type.shape[0] / n}}};
  for (int i = 1; i < type.rank; i++) a.shape.v[i + 1] = type.shape[i];
  return cn_emit1(t, &cn_op_reshape, &a, x);
}

/* All axes but those with statistics of their own, and the second where that has the parts of a batch. */
static cn_reduce_attrs reduced_axes(const settings *s, int rank, bool parts) {
  cn_reduce_attrs over = {.axes = {.n = 0}, .keepdims = by_place(s)};
  bool kept[CN_MAX_RANK + 1] = {false};
  for (int i = 0; i < s->axis.n; i++) {
    const int64_t axis = s->axis.v[i];
    kept[axis < 0 ? axis + rank : axis] = true;
  }
  for (int i = 0; i < rank; i++)
    if (!kept[i] && !(parts && i == 1)) over.axes.v[over.axes.n++] = i;
  return over;
}

/* The usual case: nothing but the batch over all axes but the last. */
static cn_edge by_whole_batch(cn_layer *l, cn_trace *t, cn_edge x, int axis) {
  const cn_type type = *cn_edge_type(t, x);
  const cn_batch_norm_attrs a = {.axis = axis, .epsilon = ((const settings *)l->settings)->epsilon};
  const cn_edge in[] = {x, cn_layer_weight_edge(l, t, "gamma"), cn_layer_weight_edge(l, t, "beta")};
  cn_edge first;
  if (!cn_emit_many(t, &cn_op_batch_norm_train, &a, in, 3, &first)) return CN_NO_EDGE;
  const moments m = {first + 1, first + 2};
  if (moves(l)) move(l, t, &m, variance_factor(l, &type, axis));
  return first;
}

static cn_edge by_batch(cn_layer *l, cn_trace *t, cn_edge x, cn_edge mask, int axis) {
  const settings *s = l->settings;
  const cn_type type = *cn_edge_type(t, x);
  const bool masked = heeds_mask(l, mask, type.rank), plain = !s->renorm && s->virtual_batch <= 0 && !by_place(s);
  if (plain && !masked && axis == type.rank - 1 && axis > 0) return by_whole_batch(l, t, x, axis);
  const bool parts = s->virtual_batch > 0;
  if (parts) x = into_parts(l, t, x);
  const cn_reduce_attrs over = reduced_axes(s, cn_edge_type(t, x)->rank, parts);
  const moments m = masked && !parts
                        ? masked_moments(l, t, x, mask, over)
                        : (moments){cn_emit1(t, &cn_op_mean, &over, x), cn_emit1(t, &cn_op_var, &over, x)};
  const moments all = parts ? of_all_parts(t, &m) : m;
  cn_edge gamma = cn_layer_weight_edge(l, t, "gamma"), beta = cn_layer_weight_edge(l, t, "beta"), y;
  if (s->renorm) renormalise(l, t, &all, &gamma, &beta);
  if (moves(l)) move(l, t, &all, by_place(s) ? 1 : variance_factor(l, &type, axis));
  if (by_place(s)) {
    cn_reshape_attrs back = {.shape = {.n = type.rank}};
    for (int i = 0; i < type.rank; i++) back.shape.v[i] = type.shape[i];
    y = normalise_places(l, t, x, m.mean, m.variance, gamma, beta);
    return parts ? cn_emit1(t, &cn_op_reshape, &back, y) : y;
  }
  const cn_batch_norm_attrs a = {.axis = axis, .epsilon = s->epsilon};
  return cn_emit(t, &cn_op_batch_norm, &a, (const cn_edge[]){x, m.mean, m.variance, gamma, beta}, 5);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  const cn_type type = *cn_edge_type(t, x);
  if (by_place(s)) {
    cn_call_return(t, c, trains(l, t) ? by_batch(l, t, x, c->in[0].mask, -1) : by_places(l, t, x), c->in[0].mask);
    return;
  }
  int axis = find_axis(l, type.rank);
  const cn_weight *mean = &l->weights[cn_layer_find_weight(l, "moving_mean")];
  if (axis < 0 || !cn_dims_agree(type.shape[axis], mean->shape[0])) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected %lld values on axis %lld",
                  CN_SHAPE(type.rank, type.shape), (long long)mean->shape[0], (long long)s->axis.v[0]);
    return;
  }
  if (s->mode != MODE_MOVING) {
    cn_call_return(t, c, normalise(l, t, x, type.rank, axis), c->in[0].mask);
    return;
  }
  if (trains(l, t)) {
    cn_call_return(t, c, by_batch(l, t, x, c->in[0].mask, axis), c->in[0].mask);
    return;
  }
  cn_batch_norm_attrs a = {.axis = axis, .epsilon = s->epsilon};
  cn_edge in[] = {x, cn_layer_weight_edge(l, t, "moving_mean"), cn_layer_weight_edge(l, t, "moving_variance"),
                  cn_layer_weight_edge(l, t, "gamma"), cn_layer_weight_edge(l, t, "beta")};
  cn_call_return(t, c, cn_emit(t, &cn_op_batch_norm, &a, in, 5), c->in[0].mask);
}

/* Before Keras 1.0.7 the fourth array holds standard deviations. */
static cn_status import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  int at = cn_layer_find_weight(l, "moving_variance");
  if (l->origin.keras != 1 || cn_origin_at_least(&l->origin, 1, 0, 7) || at < 0 || at >= *n) return CORNU_OK;
  cn_tensor *variance;
  CN_TRY(cornu_tensor_new(CORNU_FLOAT64, arrays[at]->rank, arrays[at]->shape, &variance, e));
  cn_status status = cornu_tensor_copy(variance, arrays[at], e);
  if (status) {
    cornu_tensor_release(variance);
    return status;
  }
  double *v = (double *)(void *)variance->data;
  for (int64_t i = 0, size = cornu_tensor_size(variance); i < size; i++) v[i] *= v[i];
  cornu_tensor_release(arrays[at]);
  arrays[at] = variance;
  return CORNU_OK;
}

const cn_layer_type cn_layer_batch_normalization = {
    .name = "BatchNormalization",
    .aliases = "BatchNormalizationV1 BatchNormalizationV2 SyncBatchNormalization",
    .versions = "1 2 3",
    .help = CN_HELP("gamma * (x - mean) / sqrt(variance + epsilon) + beta, along one axis of any shape, or several"),
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
    .import = import,
};
