/* Windows that slide over images: sizes, checks, and padded copies. */
#include "ops/spatial.h"

#include <string.h>

#include "base/pool.h"
#include "base/text.h"

cn_status cn_spatial_rank(const char *op, const cn_type *x, int spatial, const cn_spatial_named *named, int *out,
                          cn_error *e) {
  if (spatial == 0) spatial = x->rank - 2;
  if (spatial < 1 || spatial > 3 || x->rank != spatial + 2)
    return cn_fail(e, CORNU_ERR_SHAPE, "%s: input %s has %d dimensions, needs (batch, %s, channels)", op,
                   CN_SHAPE(x->rank, x->shape), x->rank,
                   x->rank == spatial + 2 || spatial < 1 || spatial > 3 ? "1 to 3 spatial ones"
                   : spatial == 1 ? "1 spatial one" : spatial == 2 ? "2 spatial ones" : "3 spatial ones");
  const cn_ints *arrays[] = {&named->stride, &named->dilation, &named->pad_begin, &named->pad_end, &named->size};
  for (int i = 0; i < CN_COUNT(arrays); i++)
    if (arrays[i]->n > 1 && arrays[i]->n != spatial)
      return cn_fail(e, CORNU_ERR_ARGUMENT, "%s: an option has %d values, the input %s has %d spatial dimensions", op,
                     arrays[i]->n, CN_SHAPE(x->rank, x->shape), spatial);
  *out = spatial;
  return CORNU_OK;
}

cn_status cn_spatial_floats(const char *op, const cn_type *x, const cn_type *kernel, cn_error *e) {
  if (x->dtype != CORNU_FLOAT32 && x->dtype != CORNU_FLOAT64)
    return cn_fail(e, CORNU_ERR_DTYPE, "%s: input is %s, needs float32 or float64: cast it first", op,
                   cornu_dtype_name(x->dtype));
  if (kernel && kernel->dtype != x->dtype)
    return cn_fail(e, CORNU_ERR_DTYPE, "%s: the kernel is %s, the input %s: cast one of them", op,
                   cornu_dtype_name(kernel->dtype), cornu_dtype_name(x->dtype));
  return CORNU_OK;
}

cn_status cn_conv_bias(const char *op, const cn_typing *t, int64_t filters, cn_error *e) {
  if (t->n_in < 3 || CN_TYPE_ABSENT(&t->in[2])) return CORNU_OK;
  const cn_type *bias = &t->in[2];
  if (bias->dtype != t->in[0].dtype)
    return cn_fail(e, CORNU_ERR_DTYPE, "%s: the bias is %s, the input %s: cast one of them", op,
                   cornu_dtype_name(bias->dtype), cornu_dtype_name(t->in[0].dtype));
  if (bias->rank == 1 && cn_dims_agree(bias->shape[0], filters)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_SHAPE, "%s: bias has shape %s, needs (%lld)", op, CN_SHAPE(bias->rank, bias->shape),
                 (long long)filters);
}

cn_status cn_spatial_out(const char *op, int dim, int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                         int64_t pad_begin, int64_t pad_end, int64_t *out, cn_error *e) {
  if (stride < 1 || dilation < 1 || pad_begin < 0 || pad_end < 0)
    return cn_fail(e, CORNU_ERR_ARGUMENT,
                   "%s: stride %lld, dilation %lld and padding %lld, %lld: strides and dilations are at least 1, "
                   "padding at least 0", op,
                   (long long)stride, (long long)dilation, (long long)pad_begin, (long long)pad_end);
  *out = -1;
  if (in < 0 || kernel < 0) return CORNU_OK;
  int64_t extent, padded;
  if (kernel < 1)
    return cn_fail(e, CORNU_ERR_SHAPE, "%s: the window has no positions along spatial dimension %d", op, dim + 1);
  if (!cn_mul_i64(kernel - 1, dilation, &extent) || __builtin_add_overflow(in, pad_begin, &padded) ||
      __builtin_add_overflow(padded, pad_end, &padded))
    return cn_fail(e, CORNU_ERR_LIMIT, "%s: sizes along spatial dimension %d overflow", op, dim + 1);
  if (padded <= extent)
    return cn_fail(e, CORNU_ERR_SHAPE,
                   "%s: along spatial dimension %d the window covers %lld positions, the input has %lld with %lld of "
                   "padding", op, dim + 1, (long long)(extent + 1), (long long)in, (long long)(pad_begin + pad_end));
  *out = (padded - extent - 1) / stride + 1;
  return CORNU_OK;
}

cn_status cn_spatial_spread(const char *name, const cn_ints *from, int64_t standard, int64_t least, int64_t out[3],
                            cn_error *e) {
  if (from->n > 3) return cn_fail(e, CORNU_ERR_ARGUMENT, "%s has %d values, at most 3 are possible", name, from->n);
  for (int i = 0; i < 3; i++) {
    out[i] = from->n <= 0 ? standard : from->n == 1 ? from->v[0] : i < from->n ? from->v[i] : standard;
    if (out[i] < least)
      return cn_fail(e, CORNU_ERR_ARGUMENT, "%s is %lld, must be at least %lld", name, (long long)out[i],
                     (long long)least);
  }
  return CORNU_OK;
}

void cn_spatial_lift(int64_t to[3], const int64_t *from, int spatial, int64_t fill) {
  for (int i = 0; i < 3; i++) to[i] = i < 3 - spatial ? fill : from[i - (3 - spatial)];
}

void cn_spatial_fill(cn_spatial *g, const cn_operand *x, const cn_operand *out, int spatial) {
  g->batch = x->shape[0];
  g->channels = x->shape[x->rank - 1];
  g->pitch = x->pitch;
  cn_spatial_lift(g->in, x->shape + 1, spatial, 1);
  cn_spatial_lift(g->out, out->shape + 1, spatial, 1);
}

int64_t cn_spatial_extent(const cn_spatial *g, int i) {
  return (g->out[i] - 1) * g->stride[i] + (g->kernel[i] - 1) * g->dilation[i] + 1;
}

void cn_spatial_steps(int64_t step[3], const int64_t size[3], const int64_t stride[3], int64_t pixel) {
  const int64_t line = size[2] * pixel;
  step[0] = size[0] * size[1] * line;
  step[1] = stride[0] * size[1] * line;
  step[2] = stride[1] * line;
}

typedef struct copy_job {
  size_t item; /* bytes of an element: 4 or 8 */
  void *to;
  const void *from;
  const cn_spatial *g;
  const int64_t *pad, *size;
  int64_t repeat;
} copy_job;

static void copy_values(size_t item, char *to, const char *from, int64_t values, int64_t repeat) {
  if (repeat == 1) {
    memcpy(to, from, (size_t)values * item);
    return;
  }
  for (int64_t i = 0; i < values; i++, from += item)
    for (int64_t r = 0; r < repeat; r++, to += item) {
      if (item == sizeof(float)) memcpy(to, from, sizeof(float));
      else memcpy(to, from, sizeof(double));
    }
}

static void copy_pixels(const copy_job *j, char *to, const char *from, int64_t pixels) {
  const int64_t channels = j->g->channels, item = (int64_t)j->item;
  if (j->g->pitch == channels) {
    copy_values(j->item, to, from, pixels * channels, j->repeat);
    return;
  }
  for (int64_t i = 0; i < pixels; i++)
    copy_values(j->item, to + i * channels * j->repeat * item, from + i * j->g->pitch * item, channels, j->repeat);
}

static void copy_rows(void *context, int64_t begin, int64_t end) {
  const copy_job *j = context;
  const cn_spatial *g = j->g;
  const int64_t item = (int64_t)j->item, c = g->pitch * item, wide = g->channels * item * j->repeat, width = j->size[2];
  for (int64_t row = begin; row < end; row++) {
    int64_t y = row % j->size[1], rest = row / j->size[1], z = rest % j->size[0], image = rest / j->size[0];
    int64_t iy = y - j->pad[1], iz = z - j->pad[0];
    char *to = (char *)j->to + row * width * wide;
    if (iy < 0 || iy >= g->in[1] || iz < 0 || iz >= g->in[0]) {
      memset(to, 0, (size_t)(width * wide));
      continue;
    }
    int64_t x0 = j->pad[2] < 0 ? 0 : j->pad[2], x1 = g->in[2] + j->pad[2]; /* columns that come from the image */
    if (x1 > width) x1 = width;
    if (x0 > width) x0 = width;
    if (x1 < x0) x1 = x0;
    const char *from = (const char *)j->from + ((image * g->in[0] + iz) * g->in[1] + iy) * g->in[2] * c;
    memset(to, 0, (size_t)(x0 * wide));
    copy_pixels(j, to + x0 * wide, from + (x0 - j->pad[2]) * c, x1 - x0);
    memset(to + x1 * wide, 0, (size_t)((width - x1) * wide));
  }
}

void cn_spatial_copy(size_t item, void *to, const void *from, const cn_spatial *g, const int64_t pad[3],
                     const int64_t size[3], int64_t images, int64_t repeat) {
  copy_job job = {item, to, from, g, pad, size, repeat};
  cn_parallel_range(images * size[0] * size[1], 65536 / (size[2] * g->channels * repeat + 1) + 1, copy_rows, &job);
}

int64_t cn_spatial_chunk(int64_t batch, int64_t values) {
  int64_t images = (1 << 20) / (values + 1) + 1;
  return images < batch ? images : batch;
}

cn_status cn_kernel_gradient_places(const char *op, cn_typing *t, cn_error *e) {
  const cn_kernel_gradient_attrs *a = t->attrs;
  const int n = a->conv.spatial;
  const cn_type *x = &t->in[0], *dy = &t->in[1];
  CN_TRY(cn_spatial_floats(op, x, dy, e));
  if (n < 1 || n > 3 || x->rank != n + 2 || dy->rank != n + 2)
    return cn_fail(e, CORNU_ERR_SHAPE, "%s: %s and %s", op, CN_SHAPE(x->rank, x->shape), CN_SHAPE(dy->rank, dy->shape));
  t->out[0] = (cn_type){.dtype = x->dtype, .rank = n + 2};
  for (int i = 0; i < n; i++) t->out[0].shape[i] = a->size[i];
  return CORNU_OK;
}

void cn_kernel_gradient_geometry(cn_spatial *g, const cn_step *s) {
  const cn_kernel_gradient_attrs *a = s->attrs;
  const int n = a->conv.spatial;
  cn_spatial_fill(g, s->in[0], s->in[1], n);
  cn_spatial_lift(g->kernel, a->size, n, 1);
  cn_spatial_lift(g->stride, a->conv.stride, n, 1);
  cn_spatial_lift(g->dilation, a->conv.dilation, n, 1);
  cn_spatial_lift(g->pad, a->conv.pad_begin, n, 0);
}
