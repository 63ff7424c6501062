/* Overlapping pieces of a signal: frames takes them, overlap_add puts them together. */
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

static cn_status frames_shape(cn_typing *t, cn_error *e) {
  const cn_frames_attrs *a = t->attrs;
  const cn_type *x = &t->in[0];
  CN_TRY(cn_want_rank(x, "frames", 1, CN_MAX_RANK - 1, e));
  int64_t n = x->shape[x->rank - 1];
  t->out[0] = *x;
  t->out[0].shape[x->rank - 1] = n < 0 ? -1 : n < a->length ? 0 : (n - a->length) / a->stride + 1;
  t->out[0].shape[t->out[0].rank++] = a->length;
  return CORNU_OK;
}

static void frames_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_frames_attrs *a = s->attrs;
  const cn_operand *x = s->in[0];
  int64_t n = x->shape[x->rank - 1], count = s->out[0]->shape[x->rank - 1];
  size_t size = cornu_dtype_bytes(x->dtype);
  for (int64_t i = begin; i < end; i++)
    memcpy((char *)s->out[0]->data + (size_t)(i * a->length) * size,
           (const char *)x->data + (size_t)(i / count * n + i % count * a->stride) * size, (size_t)a->length * size);
}

static void frames_run(const cn_step *s) {
  int64_t length = ((const cn_frames_attrs *)s->attrs)->length;
  if (s->out[0]->size > 0) cn_parallel_range(s->out[0]->size / length, 16384 / length + 1, frames_range, (void *)s);
}

static cn_status frames_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = frames_run;
  return CORNU_OK;
}

/* Samples behind the last frame, or all of a signal shorter than a frame, have none. */
static void frames_gradient(cn_gradient *g) {
  const cn_type x = *cn_gradient_type(g, g->in[0]);
  if (cn_gradient_type(g, g->dy[0])->shape[x.rank - 1] == 0) return;
  g->dx[0] = cn_g_window(g, cn_g1(g, &cn_op_overlap_add, g->attrs, g->dy[0]), x.rank - 1, 0, x.shape[x.rank - 1]);
}

#define STRIDE {.name = "stride", .kind = CN_F_INT, .offset = offsetof(cn_frames_attrs, stride), .min = 1, .max = 1 << 28, \
                .help = CN_HELP("between the beginnings of frames")}
static const cn_field frames_fields[] = {
    {.name = "length", .kind = CN_F_INT, .offset = offsetof(cn_frames_attrs, length), .min = 1, .max = 1 << 28,
     .help = CN_HELP("of a frame")},
    STRIDE,
    {0}};
const cn_op cn_op_frames = {
    .name = "frames",
    .help = CN_HELP("the pieces of that length that fit along the last axis\n(…, t) -> (…, (t - length) / "
                    "stride + 1, length)"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_frames_attrs),
    .fields = frames_fields,
    .shape = frames_shape,
    .plan = frames_plan,
    .gradient = CN_GRADIENT(frames_gradient),
};

/* ---- overlap_add ---- */

static cn_status overlap_shape(cn_typing *t, cn_error *e) {
  int64_t stride = ((const cn_frames_attrs *)t->attrs)->stride;
  const cn_type *x = &t->in[0];
  CN_TRY(cn_want_rank(x, "overlap_add", 2, CN_MAX_RANK, e));
  if (x->dtype != CORNU_FLOAT32 && x->dtype != CORNU_FLOAT64)
    return cn_fail(e, CORNU_ERR_DTYPE, "overlap_add: %s frames, expected float32 or float64",
                   cornu_dtype_name(x->dtype));
  int64_t n = x->shape[x->rank - 2], length = x->shape[x->rank - 1];
  t->out[0] = *x;
  t->out[0].rank--;
  t->out[0].shape[x->rank - 2] = n < 0 || length < 0 ? -1 : n == 0 ? 0 : (n - 1) * stride + length;
  return CORNU_OK;
}

/* Sample j of a signal: the frames that reach it, the first one first. */
static double sample(const cn_operand *x, int64_t signal, int64_t j, int64_t stride) {
  int64_t n = x->shape[x->rank - 2], length = x->shape[x->rank - 1];
  int64_t first = j < length ? 0 : (j - length) / stride + 1;
  double sum = 0;
  for (int64_t i = first; i < n && i * stride <= j; i++) {
    int64_t at = (signal * n + i) * length + j - i * stride;
    sum += x->dtype == CORNU_FLOAT64 ? ((const double *)x->data)[at] : (double)((const float *)x->data)[at];
  }
  return sum;
}

static void overlap_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_operand *y = s->out[0];
  int64_t total = y->shape[y->rank - 1], stride = ((const cn_frames_attrs *)s->attrs)->stride;
  for (int64_t i = begin; i < end; i++) {
    double v = sample(s->in[0], i / total, i % total, stride);
    if (y->dtype == CORNU_FLOAT64) ((double *)y->data)[i] = v;
    else ((float *)y->data)[i] = (float)v;
  }
}

static void overlap_run(const cn_step *s) {
  if (s->out[0]->size > 0) cn_parallel_range(s->out[0]->size, 4096, overlap_range, (void *)s);
}

static cn_status overlap_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = overlap_run;
  return CORNU_OK;
}

static void overlap_gradient(cn_gradient *g) {
  const cn_type x = *cn_gradient_type(g, g->in[0]);
  const cn_frames_attrs frames = {x.shape[x.rank - 1], ((const cn_frames_attrs *)g->attrs)->stride};
  if (x.shape[x.rank - 2] > 0) g->dx[0] = cn_g1(g, &cn_op_frames, &frames, g->dy[0]);
}

static const cn_field overlap_fields[] = {STRIDE, {0}};
const cn_op cn_op_overlap_add = {
    .name = "overlap_add",
    .help = CN_HELP("the sum of frames, each `stride` samples after the one before\n"
                    "(…, n, length) -> (…, (n - 1) * stride + length)"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_frames_attrs),
    .fields = overlap_fields,
    .shape = overlap_shape,
    .plan = overlap_plan,
    .gradient = CN_GRADIENT(overlap_gradient),
};
