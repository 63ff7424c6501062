/* Normalisations: batch_norm by stored statistics, layer_norm over axes of the input. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "ops/gradient.h"
#include "ops/ops.h"
#include "ops/rows.h"

static cn_status want_floats(const cn_typing *t, const char *what, cn_error *e) {
  cornu_dtype x = t->in[0].dtype;
  for (int i = 0; i < t->n_in; i++)
    if (!CN_TYPE_ABSENT(&t->in[i]) && (t->in[i].dtype != x || (x != CORNU_FLOAT32 && x != CORNU_FLOAT64)))
      return cn_fail(e, CORNU_ERR_DTYPE, "%s: an input is %s, all must be float32 or all float64: cast it first", what,
                     cornu_dtype_name(t->in[i].dtype));
  return CORNU_OK;
}

/* Rows hold all channels, or one: `repeat` rows each. */
typedef struct batch { int64_t channels, row, repeat, in, out; bool together; void *scale, *shift; } batch;

/* Kept and normalised dimensions with their steps through the input. */
typedef struct layer {
  int kept, normed;
  bool side_by_side;   /* the normalised axes are the last ones */
  int64_t kept_shape[CN_MAX_RANK], kept_stride[CN_MAX_RANK], shape[CN_MAX_RANK], stride[CN_MAX_RANK], count;
} layer;

static int64_t offset_of(int64_t i, int n, const int64_t *shape, const int64_t *stride) {
  int64_t offset = 0;
  for (int d = n - 1; d >= 0; d--) {
    offset += i % shape[d] * stride[d];
    i /= shape[d];
  }
  return offset;
}

#define REAL float
#define ROWS(name) name##_floats
#include "ops/norm_rows.h"
#define REAL double
#define ROWS(name) name##_doubles
#include "ops/norm_rows.h"

static bool in_double(const cn_step *s) { return s->in[0]->dtype == CORNU_FLOAT64; }

/* ---- batch_norm ---- */

static cn_status batch_shape(cn_typing *t, cn_error *e) {
  const cn_batch_norm_attrs *a = t->attrs;
  const cn_type *x = &t->in[0];
  int axis;
  CN_TRY(want_floats(t, "batch_norm", e));
  CN_TRY(cn_axis(a->axis, x->rank, &axis, e));
  for (int i = 1; i < t->n_in; i++)
    if (!CN_TYPE_ABSENT(&t->in[i]) && (t->in[i].rank != 1 || !cn_dims_agree(t->in[i].shape[0], x->shape[axis])))
      return cn_fail(e, CORNU_ERR_SHAPE, "batch_norm: a parameter has shape %s, axis %d of %s needs %lld values",
                     CN_SHAPE(t->in[i].rank, t->in[i].shape), axis, CN_SHAPE(x->rank, x->shape),
                     (long long)x->shape[axis]);
  t->out[0] = *x;
  return CORNU_OK;
}

static void fold(const cn_step *s, const batch *b) {
  if (in_double(s)) fold_doubles(s, b);
  else fold_floats(s, b);
}

static void batch_together(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const batch *b = s->state;
  const cn_scaled_rows rows = {b->row, b->in, b->out, b->scale, b->shift, &((const cn_batch_norm_attrs *)s->attrs)->act};
  cn_norm()->scale_rows(&rows, (const float *)s->in[0]->data + begin * b->in, (float *)s->out[0]->data + begin * b->out,
                        end - begin);
}

static void batch_run(const cn_step *s) {
  const batch *b = s->state;
  bool constant = s->scratch_bytes == 0;
  batch own = *b;
  cn_step copy = *s;
  if (!constant) {
    own.scale = s->scratch;
    own.shift = (char *)own.scale + (size_t)b->channels * cornu_dtype_bytes(s->in[0]->dtype);
    fold(s, &own);
    copy.state = &own;
  }
  void (*rows)(void *, int64_t, int64_t) = in_double(s) ? batch_rows_doubles
                                           : b->together ? batch_together
                                                         : batch_rows_floats;
  if (s->out[0]->size > 0) cn_parallel_range(s->out[0]->size / b->row, 16384 / b->row + 1, rows, &copy);
}

static void lay_rows(batch *b, const cn_operand *x, const cn_operand *y, int axis) {
  const int64_t inner = cn_shape_size(x->rank - axis - 1, x->shape + axis + 1);
  const bool pitched = cn_is_pitched(x) || cn_is_pitched(y);
  b->channels = x->shape[axis];
  b->together = axis == x->rank - 1 || (inner == 1 && !pitched);
  b->row = b->together ? b->channels : pitched ? cn_row_length(x) : inner;
  b->repeat = b->together || inner == 0 ? 1 : inner / b->row;
  b->in = pitched ? x->pitch : b->row;
  b->out = pitched ? y->pitch : b->row;
}

static cn_status batch_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  batch *b = s->state = cn_plan_memory(p, sizeof *b);
  int axis;
  if (!b) return cn_no_memory(e);
  CN_TRY(cn_axis(((const cn_batch_norm_attrs *)s->attrs)->axis, s->in[0]->rank, &axis, e));
  lay_rows(b, s->in[0], s->out[0], axis);
  bool constant = true;
  for (int i = 1; i < s->n_in; i++) constant &= !s->in[i] || s->in[i]->constant;
  size_t bytes = 2 * (size_t)b->channels * cornu_dtype_bytes(s->in[0]->dtype);
  if (constant) {
    b->scale = cn_plan_memory(p, bytes + 64);
    if (!b->scale) return cn_no_memory(e);
    b->shift = (char *)b->scale + bytes / 2;
    fold(s, b);
  } else {
    s->scratch_bytes = bytes + 64;
  }
  s->run = batch_run;
  s->flops = 2.0 * (double)s->out[0]->size;
  return CORNU_OK;
}

/* ---- the gradient of batch_norm ---- */

/* A vector of the channels so that it broadcasts along the axis. */
static cn_edge along(cn_gradient *g, cn_edge vector, int axis) {
  const cn_type x = *cn_gradient_type(g, g->in[0]);
  int64_t shape[CN_MAX_RANK];
  for (int i = 0; i < x.rank; i++) shape[i] = i == axis ? x.shape[axis] : 1;
  return cn_g_reshape(g, vector, x.rank, shape);
}

static cn_edge by_channels(cn_gradient *g, cn_edge a, int axis) {
  cn_ints axes = {.n = 0};
  for (int i = 0; i < cn_gradient_type(g, a)->rank; i++)
    if (i != axis) axes.v[axes.n++] = i;
  return cn_g_sum(g, a, &axes, false);
}

static bool wants(const cn_gradient *g, int i) { return i < g->n_in && g->wanted[i]; }

static void batch_gradient(cn_gradient *g) {
  const cn_batch_norm_attrs *a = g->attrs;
  const int axis = (int)(a->axis < 0 ? a->axis + cn_gradient_type(g, g->in[0])->rank : a->axis);
  const cn_edge dy = g->dy[0], gamma = g->n_in > 3 ? g->in[3] : CN_NO_EDGE;
  const cn_edge inverse = cn_g1(g, &cn_op_rsqrt, NULL, cn_g_shift(g, g->in[2], a->epsilon));
  const cn_edge scale = gamma == CN_NO_EDGE ? inverse : cn_g_mul(g, inverse, gamma);
  if (wants(g, 0)) g->dx[0] = cn_g_mul(g, dy, along(g, scale, axis));
  if (!wants(g, 1) && !wants(g, 2) && !wants(g, 3) && !wants(g, 4)) return;
  const cn_edge sum = by_channels(g, dy, axis);
  if (wants(g, 1)) g->dx[1] = cn_g_neg(g, cn_g_mul(g, sum, scale));
  if (wants(g, 4)) g->dx[4] = sum;
  if (!wants(g, 2) && !wants(g, 3)) return;
  const cn_edge centred = cn_g_sub(g, g->in[0], along(g, g->in[1], axis));
  const cn_edge product = by_channels(g, cn_g_mul(g, dy, centred), axis);
  if (wants(g, 3)) g->dx[3] = cn_g_mul(g, product, inverse);
  if (wants(g, 2)) g->dx[2] = cn_g_scale(g, cn_g_mul(g, cn_g_mul(g, product, scale), cn_g_square(g, inverse)), -0.5);
}

static const cn_field batch_fields[] = {
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(cn_batch_norm_attrs, axis), .standard = "-1",
     .help = CN_HELP("the axis of the channels")},
    {.name = "epsilon", .kind = CN_F_FLOAT, .offset = offsetof(cn_batch_norm_attrs, epsilon), .standard = "0.001",
     .help = CN_HELP("added to the variance")},
    {0}};
const cn_op cn_op_batch_norm = {
    .name = "batch_norm",
    .help = CN_HELP("gamma * (x - mean) / sqrt(variance + epsilon) + beta\n(x, mean, variance, gamma?, beta?)"),
    .flags = CN_OP_INPLACE | CN_OP_PITCHED_OUT | CN_OP_SAMPLES,
    .pitched_in = 1,
    .min_in = 3,
    .max_in = 5,
    .n_out = 1,
    .attrs_size = sizeof(cn_batch_norm_attrs),
    .fields = batch_fields,
    .act_offset = offsetof(cn_batch_norm_attrs, act),
    .shape = batch_shape,
    .plan = batch_plan,
    .gradient = CN_GRADIENT(batch_gradient),
};

/* ---- layer_norm ---- */

static cn_status axis_set(const cn_ints *axes, int rank, bool *set, cn_error *e) {
  memset(set, 0, sizeof *set * CN_MAX_RANK);
  for (int i = 0; i < axes->n; i++) {
    int axis;
    CN_TRY(cn_axis(axes->v[i], rank, &axis, e));
    set[axis] = true;
  }
  return CORNU_OK;
}

static cn_status layer_shape(cn_typing *t, cn_error *e) {
  const cn_layer_norm_attrs *a = t->attrs;
  bool set[CN_MAX_RANK];
  int64_t want[CN_MAX_RANK];
  int n = 0;
  CN_TRY(want_floats(t, "layer_norm", e));
  CN_TRY(axis_set(&a->axes, t->in[0].rank, set, e));
  for (int i = 0; i < t->in[0].rank; i++)
    if (set[i]) want[n++] = t->in[0].shape[i];
  for (int i = 1; i < t->n_in; i++) {
    if (CN_TYPE_ABSENT(&t->in[i])) continue;
    bool fits = t->in[i].rank == n;
    for (int k = 0; fits && k < n; k++) fits = cn_dims_agree(t->in[i].shape[k], want[k]);
    if (!fits)
      return cn_fail(e, CORNU_ERR_SHAPE, "layer_norm: a parameter has shape %s, expected %s",
                     CN_SHAPE(t->in[i].rank, t->in[i].shape), CN_SHAPE(n, want));
  }
  t->out[0] = t->in[0];
  return CORNU_OK;
}

static void neighbours(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_layer_norm_attrs *a = s->attrs;
  const int64_t n = ((const layer *)s->state)->count;
  const cn_layer_rows rows = {n, s->n_in > 1 && s->in[1] ? s->in[1]->data : NULL,
                              s->n_in > 2 && s->in[2] ? s->in[2]->data : NULL, a->epsilon,
                              a->kind == CN_NORM_STANDARD, a->kind == CN_NORM_RMS};
  cn_norm()->layer(&rows, (const float *)s->in[0]->data + begin * n, (float *)s->out[0]->data + begin * n, end - begin);
}

static void layer_run(const cn_step *s) {
  const layer *l = s->state;
  void (*rows)(void *, int64_t, int64_t) = in_double(s)     ? layer_rows_doubles
                                           : l->side_by_side ? neighbours
                                                             : layer_rows_floats;
  if (s->out[0]->size > 0) cn_parallel_range(s->out[0]->size / l->count, 8192 / l->count + 1, rows, (void *)s);
}

static cn_status layer_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  layer *l = s->state = cn_plan_memory(p, sizeof *l);
  if (!l) return cn_no_memory(e);
  bool set[CN_MAX_RANK];
  int64_t stride[CN_MAX_RANK];
  CN_TRY(axis_set(&((const cn_layer_norm_attrs *)s->attrs)->axes, s->in[0]->rank, set, e));
  cn_shape_strides(s->in[0]->rank, s->in[0]->shape, stride);
  l->count = 1;
  for (int i = 0; i < s->in[0]->rank; i++) {
    if (set[i])
      l->shape[l->normed] = s->in[0]->shape[i], l->stride[l->normed++] = stride[i], l->count *= s->in[0]->shape[i];
    else l->kept_shape[l->kept] = s->in[0]->shape[i], l->kept_stride[l->kept++] = stride[i];
  }
  l->side_by_side = true;
  for (int i = 0; i < l->normed; i++) l->side_by_side &= set[s->in[0]->rank - 1 - i];
  s->run = layer_run;
  s->flops = 8.0 * (double)s->out[0]->size;
  return CORNU_OK;
}

/* ---- the gradient of layer_norm ---- */

/* gamma or beta so that it broadcasts over the axes that are not normalised. */
static cn_edge over_axes(cn_gradient *g, cn_edge parameter, const bool *set) {
  const cn_type x = *cn_gradient_type(g, g->in[0]);
  int64_t shape[CN_MAX_RANK];
  for (int i = 0; i < x.rank; i++) shape[i] = set[i] ? x.shape[i] : 1;
  return cn_g_reshape(g, parameter, x.rank, shape);
}

/* With n = (x - mean) / deviation and d = dy gamma: (d - mean(d) - n mean(d n)) / deviation. Without the mean the second
 * term falls away, and where x alone is divided by the deviation about the mean, n stands for x / deviation in the first
 * place and for the centred one in the last. */
static void layer_gradient(cn_gradient *g) {
  const cn_layer_norm_attrs *a = g->attrs;
  const cn_type x = *cn_gradient_type(g, g->in[0]);
  const bool has_gamma = g->n_in > 1 && g->in[1] != CN_NO_EDGE;
  const cn_reduce_attrs over = {a->axes, true};
  bool set[CN_MAX_RANK];
  if (axis_set(&a->axes, x.rank, set, NULL)) return; /* its shape rule has run */
  const cn_edge mean = a->kind == CN_NORM_RMS ? CN_NO_EDGE : cn_g1(g, &cn_op_mean, &over, g->in[0]);
  const cn_edge centred = mean == CN_NO_EDGE ? g->in[0] : cn_g_sub(g, g->in[0], mean);
  const cn_edge variance = cn_g1(g, &cn_op_mean, &over, cn_g_square(g, centred));
  const cn_edge inverse = cn_g1(g, &cn_op_rsqrt, NULL, cn_g_shift(g, variance, a->epsilon));
  const cn_edge normal = cn_g_mul(g, a->kind == CN_NORM_STANDARD ? centred : g->in[0], inverse), dy = g->dy[0];
  if (wants(g, 0)) {
    const cn_edge d = has_gamma ? cn_g_mul(g, dy, over_axes(g, g->in[1], set)) : dy;
    const cn_edge share = cn_g1(g, &cn_op_mean, &over, cn_g_mul(g, d, normal));
    cn_edge sum = cn_g_sub(g, d, cn_g_mul(g, cn_g_mul(g, centred, inverse), share));
    if (a->kind == CN_NORM_STANDARD) sum = cn_g_sub(g, sum, cn_g1(g, &cn_op_mean, &over, d));
    g->dx[0] = cn_g_mul(g, sum, inverse);
  }
  cn_ints others = {.n = 0};
  for (int i = 0; i < x.rank; i++)
    if (!set[i]) others.v[others.n++] = i;
  if (wants(g, 1)) g->dx[1] = cn_g_as(g, cn_g_sum(g, cn_g_mul(g, dy, normal), &others, false), g->in[1]);
  if (wants(g, 2)) g->dx[2] = cn_g_as(g, cn_g_sum(g, dy, &others, false), g->in[2]);
}

static const cn_field layer_fields[] = {
    {.name = "axes", .aliases = "axis", .kind = CN_F_INTS, .offset = offsetof(cn_layer_norm_attrs, axes),
     .standard = "-1", .help = CN_HELP("normalised axes")},
    {.name = "epsilon", .kind = CN_F_FLOAT, .offset = offsetof(cn_layer_norm_attrs, epsilon), .standard = "0.001",
     .help = CN_HELP("added to the variance")},
    {.name = "kind", .kind = CN_F_ENUM, .offset = offsetof(cn_layer_norm_attrs, kind), .standard = "\"standard\"",
     .choices = "standard variance rms",
     .help = CN_HELP("less mean by deviation; by deviation alone; by root mean square")},
    {0}};
const cn_op cn_op_layer_norm = {
    .name = "layer_norm",
    .help = CN_HELP("mean 0 and variance 1 over axes, then gamma and beta\n(x, gamma?, beta?)"),
    .flags = CN_OP_INPLACE,
    .min_in = 1,
    .max_in = 3,
    .n_out = 1,
    .attrs_size = sizeof(cn_layer_norm_attrs),
    .fields = layer_fields,
    .shape = layer_shape,
    .plan = layer_plan,
    .gradient = CN_GRADIENT(layer_gradient),
};
