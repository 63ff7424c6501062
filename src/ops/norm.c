/* Normalisations: batch_norm by stored statistics, layer_norm over axes of the input. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "ops/ops.h"

static cn_status want_floats(const cn_typing *t, const char *what, cn_error *e) {
  for (int i = 0; i < t->n_in; i++)
    if (!CN_TYPE_ABSENT(&t->in[i]) && t->in[i].dtype != CORNU_FLOAT32)
      return cn_fail(e, CORNU_ERR_DTYPE, "%s: an input is %s, needs float32: cast it first", what,
                     cornu_dtype_name(t->in[i].dtype));
  return CORNU_OK;
}

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

typedef struct batch { int64_t channels, inner; float *scale, *shift; } batch;

static void fold(const cn_step *s, const batch *b) {
  const cn_batch_norm_attrs *a = s->attrs;
  const float *mean = s->in[1]->data, *variance = s->in[2]->data;
  const float *gamma = s->n_in > 3 && s->in[3] ? s->in[3]->data : NULL,
              *beta = s->n_in > 4 && s->in[4] ? s->in[4]->data : NULL;
  for (int64_t i = 0; i < b->channels; i++) {
    double scale = (gamma ? gamma[i] : 1.0) / sqrt((double)variance[i] + a->epsilon);
    b->scale[i] = (float)scale;
    b->shift[i] = (float)((beta ? beta[i] : 0.0) - mean[i] * scale);
  }
}

static void batch_rows(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const batch *b = s->state;
  const cn_act *act = &((const cn_batch_norm_attrs *)s->attrs)->act;
  int64_t row = b->inner == 1 ? b->channels : b->inner;
  for (int64_t r = begin; r < end; r++) {
    const float *x = (const float *)s->in[0]->data + r * row;
    float *y = (float *)s->out[0]->data + r * row;
    if (b->inner == 1) {
      for (int64_t i = 0; i < row; i++) y[i] = x[i] * b->scale[i] + b->shift[i];
    } else {
      float scale = b->scale[r % b->channels], shift = b->shift[r % b->channels];
      for (int64_t i = 0; i < row; i++) y[i] = x[i] * scale + shift;
    }
    if (act->kind != CN_ACT_LINEAR) cn_act_apply(act, y, y, row);
  }
}

static void batch_run(const cn_step *s) {
  const batch *b = s->state;
  bool constant = s->scratch_bytes == 0;
  batch own = *b;
  cn_step copy = *s;
  if (!constant) {
    own.scale = s->scratch;
    own.shift = own.scale + b->channels;
    fold(s, &own);
    copy.state = &own;
  }
  int64_t row = b->inner == 1 ? b->channels : b->inner;
  if (s->out[0]->size > 0) cn_parallel_range(s->out[0]->size / row, 16384 / row + 1, batch_rows, &copy);
}

static cn_status batch_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  batch *b = s->state = cn_plan_memory(p, sizeof *b);
  int axis;
  if (!b) return cn_no_memory(e);
  CN_TRY(cn_axis(((const cn_batch_norm_attrs *)s->attrs)->axis, s->in[0]->rank, &axis, e));
  b->channels = s->in[0]->shape[axis];
  b->inner = cn_shape_size(s->in[0]->rank - axis - 1, s->in[0]->shape + axis + 1);
  bool constant = true;
  for (int i = 1; i < s->n_in; i++) constant &= !s->in[i] || s->in[i]->constant;
  size_t bytes = 2 * (size_t)b->channels * sizeof(float);
  if (constant) {
    b->scale = cn_plan_memory(p, bytes + 64);
    if (!b->scale) return cn_no_memory(e);
    b->shift = b->scale + b->channels;
    fold(s, b);
  } else {
    s->scratch_bytes = bytes + 64;
  }
  s->run = batch_run;
  s->flops = 2.0 * (double)s->out[0]->size;
  return CORNU_OK;
}

static const cn_field batch_fields[] = {
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(cn_batch_norm_attrs, axis), .standard = "-1",
     .help = "the axis of the channels"},
    {.name = "epsilon", .kind = CN_F_FLOAT, .offset = offsetof(cn_batch_norm_attrs, epsilon), .standard = "0.001",
     .help = "added to the variance"},
    {0}};
const cn_op cn_op_batch_norm = {
    .name = "batch_norm",
    .help = "gamma * (x - mean) / sqrt(variance + epsilon) + beta\n(x, mean, variance, gamma?, beta?)",
    .flags = CN_OP_INPLACE,
    .min_in = 3,
    .max_in = 5,
    .n_out = 1,
    .attrs_size = sizeof(cn_batch_norm_attrs),
    .fields = batch_fields,
    .act_offset = offsetof(cn_batch_norm_attrs, act),
    .shape = batch_shape,
    .plan = batch_plan,
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

/* Kept and normalised dimensions with their steps through the input. */
typedef struct layer {
  int kept, normed;
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

static void layer_rows(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const layer *l = s->state;
  const float *gamma = s->n_in > 1 && s->in[1] ? s->in[1]->data : NULL,
              *beta = s->n_in > 2 && s->in[2] ? s->in[2]->data : NULL;
  const cn_layer_norm_attrs *a = s->attrs;
  bool plain = l->normed == 1 && l->stride[0] == 1;
  for (int64_t r = begin; r < end; r++) {
    int64_t from = offset_of(r, l->kept, l->kept_shape, l->kept_stride);
    const float *x = (const float *)s->in[0]->data + from;
    float *y = (float *)s->out[0]->data + from;
    double mean = 0, variance = 0;
    for (int64_t i = 0; a->kind != CN_NORM_RMS && i < l->count; i++)
      mean += x[plain ? i : offset_of(i, l->normed, l->shape, l->stride)];
    mean /= (double)l->count;
    for (int64_t i = 0; i < l->count; i++) {
      double d = x[plain ? i : offset_of(i, l->normed, l->shape, l->stride)] - mean;
      variance += d * d;
    }
    float scale = (float)(1 / sqrt(variance / (double)l->count + a->epsilon));
    float center = a->kind == CN_NORM_STANDARD ? (float)mean : 0;
    for (int64_t i = 0; i < l->count; i++) {
      int64_t at = plain ? i : offset_of(i, l->normed, l->shape, l->stride);
      y[at] = (x[at] - center) * scale * (gamma ? gamma[i] : 1) + (beta ? beta[i] : 0);
    }
  }
}

static void layer_run(const cn_step *s) {
  const layer *l = s->state;
  if (s->out[0]->size > 0) cn_parallel_range(s->out[0]->size / l->count, 8192 / l->count + 1, layer_rows, (void *)s);
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
  s->run = layer_run;
  s->flops = 8.0 * (double)s->out[0]->size;
  return CORNU_OK;
}

static const cn_field layer_fields[] = {
    {.name = "axes", .aliases = "axis", .kind = CN_F_INTS, .offset = offsetof(cn_layer_norm_attrs, axes),
     .standard = "-1", .help = "normalised axes"},
    {.name = "epsilon", .kind = CN_F_FLOAT, .offset = offsetof(cn_layer_norm_attrs, epsilon), .standard = "0.001",
     .help = "added to the variance"},
    {.name = "kind", .kind = CN_F_ENUM, .offset = offsetof(cn_layer_norm_attrs, kind), .standard = "\"standard\"",
     .choices = "standard variance rms", .help = "less mean by deviation; by deviation alone; by root mean square"},
    {0}};
const cn_op cn_op_layer_norm = {
    .name = "layer_norm",
    .help = "mean 0 and variance 1 over axes, then gamma and beta\n(x, gamma?, beta?)",
    .min_in = 1,
    .max_in = 3,
    .n_out = 1,
    .attrs_size = sizeof(cn_layer_norm_attrs),
    .fields = layer_fields,
    .shape = layer_shape,
    .plan = layer_plan,
};
