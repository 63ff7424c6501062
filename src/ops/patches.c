/* patches: the windows of an image side by side (im2col); sum_patches: such windows added at their places (col2im). */
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/spatial.h"

static int64_t window_size(const cn_patches_attrs *a) {
  int64_t n = 1;
  for (int i = 0; i < a->spatial; i++) n = cn_dim_mul(n, a->window[i]);
  return n;
}

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_patches_attrs *a = t->attrs;
  const cn_type *x = &t->in[0];
  CN_TRY(cn_want_rank(x, "patches: input", a->spatial + 2, a->spatial + 2, e));
  t->out[0] = *x;
  for (int i = 0; i < a->spatial; i++)
    CN_TRY(cn_spatial_out("patches", i, x->shape[i + 1], a->window[i], a->stride[i], a->dilation[i], a->pad_begin[i],
                          a->pad_end[i], &t->out[0].shape[i + 1], e));
  t->out[0].shape[a->spatial + 1] = cn_dim_mul(x->shape[a->spatial + 1], window_size(a));
  return CORNU_OK;
}

/* Three dimensions; image: the side with the pixels, cols: with the windows. */
typedef struct geometry { int64_t image[3], cols[3], window[3], stride[3], dilation[3], pad[3], channels; } geometry;

static void fill(geometry *g, const cn_patches_attrs *a, const cn_operand *image, const cn_operand *cols) {
  const int n = a->spatial;
  cn_spatial_lift(g->image, image->shape + 1, n, 1);
  cn_spatial_lift(g->cols, cols->shape + 1, n, 1);
  cn_spatial_lift(g->window, a->window, n, 1);
  cn_spatial_lift(g->stride, a->stride, n, 1);
  cn_spatial_lift(g->dilation, a->dilation, n, 1);
  cn_spatial_lift(g->pad, a->pad_begin, n, 0);
  g->channels = image->shape[n + 1];
}

/* One window, place after place; outside the image are zeros. */
static void copy_window(const geometry *g, const char *image, char *to, const int64_t at[3], size_t pixel) {
  for (int64_t z = 0; z < g->window[0]; z++)
    for (int64_t y = 0; y < g->window[1]; y++)
      for (int64_t x = 0; x < g->window[2]; x++, to += pixel) {
        int64_t from[3] = {at[0] + z * g->dilation[0], at[1] + y * g->dilation[1], at[2] + x * g->dilation[2]};
        bool inside = true;
        for (int i = 0; i < 3; i++) inside = inside && from[i] >= 0 && from[i] < g->image[i];
        int64_t place = (from[0] * g->image[1] + from[1]) * g->image[2] + from[2];
        if (inside) memcpy(to, image + (size_t)place * pixel, pixel);
        else memset(to, 0, pixel);
      }
}

static void windows(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const geometry *g = s->state;
  size_t pixel = (size_t)g->channels * cornu_dtype_bytes(s->in[0]->dtype);
  size_t column = pixel * (size_t)(g->window[0] * g->window[1] * g->window[2]);
  size_t image = pixel * (size_t)(g->image[0] * g->image[1] * g->image[2]);
  int64_t count = g->cols[0] * g->cols[1] * g->cols[2];
  for (int64_t i = begin; i < end; i++) {
    int64_t k = i % count, at[3] = {k / (g->cols[1] * g->cols[2]), k / g->cols[2] % g->cols[1], k % g->cols[2]};
    for (int d = 0; d < 3; d++) at[d] = at[d] * g->stride[d] - g->pad[d];
    copy_window(g, (const char *)s->in[0]->data + (size_t)(i / count) * image,
                (char *)s->out[0]->data + (size_t)i * column, at, pixel);
  }
}

static void run(const cn_step *s) {
  const geometry *g = s->state;
  int64_t items = s->out[0]->shape[0] * g->cols[0] * g->cols[1] * g->cols[2];
  if (s->out[0]->size > 0) cn_parallel_range(items, 4096 / (s->out[0]->size / items) + 1, windows, (void *)s);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  geometry *g = s->state = cn_plan_memory(p, sizeof *g);
  if (!g) return cn_no_memory(e);
  fill(g, s->attrs, s->in[0], s->out[0]);
  s->run = run;
  return CORNU_OK;
}

/* ---- sum_patches ---- */

static cn_status sum_shape(cn_typing *t, cn_error *e) {
  const cn_patches_attrs *a = t->attrs;
  const cn_type *x = &t->in[0];
  int64_t out, n = window_size(a), channels = x->shape[a->spatial + 1];
  CN_TRY(cn_want_rank(x, "sum_patches: input", a->spatial + 2, a->spatial + 2, e));
  if (x->dtype != CORNU_FLOAT32 && x->dtype != CORNU_FLOAT64)
    return cn_fail(e, CORNU_ERR_DTYPE, "sum_patches: input is %s, needs float32 or float64: cast it first",
                   cornu_dtype_name(x->dtype));
  if (channels >= 0 && channels % n)
    return cn_fail(e, CORNU_ERR_SHAPE, "sum_patches: %lld values are no windows of %lld pixels", (long long)channels,
                   (long long)n);
  t->out[0] = *x;
  for (int i = 0; i < a->spatial; i++) {
    CN_TRY(cn_spatial_out("sum_patches", i, a->size[i], a->window[i], a->stride[i], a->dilation[i], a->pad_begin[i],
                          a->pad_end[i], &out, e));
    if (!cn_dims_agree(out, x->shape[i + 1]))
      return cn_fail(e, CORNU_ERR_SHAPE, "sum_patches: %lld windows, an image of size %lld has %lld",
                     (long long)x->shape[i + 1], (long long)a->size[i], (long long)out);
    t->out[0].shape[i + 1] = a->size[i];
  }
  t->out[0].shape[a->spatial + 1] = channels < 0 ? -1 : channels / n;
  return CORNU_OK;
}

/* Which window has pixel `at` at place k of its dimension; -1: none. */
static int64_t window_at(const geometry *g, int i, int64_t at, int64_t k) {
  int64_t begin = at + g->pad[i] - k * g->dilation[i];
  return begin >= 0 && begin % g->stride[i] == 0 && begin / g->stride[i] < g->cols[i] ? begin / g->stride[i] : -1;
}

static void add(void *to, const void *from, int64_t n, bool wide) {
  if (wide)
    for (int64_t i = 0; i < n; i++) ((double *)to)[i] += ((const double *)from)[i];
  else
    for (int64_t i = 0; i < n; i++) ((float *)to)[i] += ((const float *)from)[i];
}

static void sum_pixel(const geometry *g, const char *cols, char *to, const int64_t at[3], size_t size) {
  int64_t places = g->window[0] * g->window[1] * g->window[2], place = 0;
  size_t pixel = (size_t)g->channels * size;
  memset(to, 0, pixel);
  for (int64_t z = 0; z < g->window[0]; z++)
    for (int64_t y = 0; y < g->window[1]; y++)
      for (int64_t x = 0; x < g->window[2]; x++, place++) {
        int64_t w0 = window_at(g, 0, at[0], z), w1 = window_at(g, 1, at[1], y), w2 = window_at(g, 2, at[2], x);
        if (w0 < 0 || w1 < 0 || w2 < 0) continue;
        int64_t from = ((w0 * g->cols[1] + w1) * g->cols[2] + w2) * places + place;
        add(to, cols + (size_t)from * pixel, g->channels, size == sizeof(double));
      }
}

static void pixels(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const geometry *g = s->state;
  size_t size = cornu_dtype_bytes(s->out[0]->dtype), pixel = (size_t)g->channels * size;
  int64_t count = g->image[0] * g->image[1] * g->image[2];
  size_t columns = (size_t)(g->cols[0] * g->cols[1] * g->cols[2] * s->in[0]->shape[s->in[0]->rank - 1]) * size;
  for (int64_t i = begin; i < end; i++) {
    int64_t k = i % count, at[3] = {k / (g->image[1] * g->image[2]), k / g->image[2] % g->image[1], k % g->image[2]};
    sum_pixel(g, (const char *)s->in[0]->data + (size_t)(i / count) * columns,
              (char *)s->out[0]->data + (size_t)i * pixel, at, size);
  }
}

static void sum_run(const cn_step *s) {
  const geometry *g = s->state;
  if (s->out[0]->size > 0) cn_parallel_range(s->out[0]->size / g->channels, 512 / g->channels + 1, pixels, (void *)s);
}

static cn_status sum_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  geometry *g = s->state = cn_plan_memory(p, sizeof *g);
  if (!g) return cn_no_memory(e);
  fill(g, s->attrs, s->out[0], s->in[0]);
  s->run = sum_run;
  s->flops = (double)s->in[0]->size;
  return CORNU_OK;
}

/* ---- Gradients: each is the other ---- */

static void gradient(cn_gradient *g) {
  cn_patches_attrs a = *(const cn_patches_attrs *)g->attrs;
  for (int i = 0; i < a.spatial; i++) a.size[i] = cn_gradient_type(g, g->in[0])->shape[i + 1];
  g->dx[0] = cn_g1(g, &cn_op_sum_patches, &a, g->dy[0]);
}
static void sum_gradient(cn_gradient *g) { g->dx[0] = cn_g1(g, &cn_op_patches, g->attrs, g->dy[0]); }

const cn_op cn_op_patches = {
    .name = "patches",
    .help = CN_HELP("windows of an image, side by side\n(b, s…, c) -> (b, o…, k… * c)"),
    .flags = CN_OP_HIDDEN,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_patches_attrs),
    .shape = shape,
    .plan = plan,
    .gradient = CN_GRADIENT(gradient),
};
const cn_op cn_op_sum_patches = {
    .name = "sum_patches",
    .help = CN_HELP("windows added at their places\n(b, o…, k… * c) -> (b, s…, c)"),
    .flags = CN_OP_HIDDEN,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_patches_attrs),
    .shape = sum_shape,
    .plan = sum_plan,
    .gradient = CN_GRADIENT(sum_gradient),
};
