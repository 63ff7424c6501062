/* kernel_gradient: what comes back to the kernel of a convolution. At each place of the kernel it is a product summed
 * over all pixels of the result: (input under that place)ᵀ dy. The input is turned to (channels, pixels) with its
 * border, columns with the same remainder by the stride side by side, so that at every place the factors of a row of dy
 * are contiguous: one row is one segment of the product. */
#include <string.h>

#include "base/pool.h"
#include "ops/conv_fields.h"
#include "ops/product.h"

#define CHUNK_BYTES (2 << 20) /* of turned images and packed dy that are worked on at a time */

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_kernel_gradient_attrs *a = t->attrs;
  const int n = a->conv.spatial;
  CN_TRY(cn_kernel_gradient_places("kernel_gradient", t, e));
  const int64_t groups = a->conv.groups ? a->conv.groups : 1, channels = t->in[0].shape[n + 1];
  t->out[0].shape[n] = channels < 0 ? -1 : channels / groups;
  t->out[0].shape[n + 1] = t->in[1].shape[n + 1];
  return CORNU_OK;
}

typedef struct state {
  cn_spatial g;             /* batch, in, out, kernel, stride, dilation, pad; channels of x */
  const cn_gemm_kernels *kernels;
  int64_t groups, filters;
  int64_t size[3];          /* of the turned image, the last rounded up to the stride */
  int64_t pixels, pitch;    /* in a turned image; from a channel to the next */
  int64_t chunk;            /* images at a time */
  int64_t phase;            /* columns with the same remainder */
  int64_t *offset;          /* of each segment */
  int64_t part;             /* elements of the packed dy of one group */
  size_t packed;            /* where it lies in the scratch */
  bool flat;                /* kernels of one place: an image is one segment, since its rows lie side by side */
  bool swapped;             /* of those: dy is turned and x packed, as dy has fewer channels; the result is turned back */
  size_t product;           /* where it is in the scratch before */
} state;

static const void *turned_of(const cn_step *s) { return s->in[((const state *)s->state)->swapped]->data; }
static const void *packed_of(const cn_step *s) { return s->in[!((const state *)s->state)->swapped]->data; }

typedef struct job { const cn_step *s; int64_t first, images; } job;

/* Rows of the turned images: one row of pixels becomes a piece of every channel's line. */
static void turn_rows(void *context, int64_t begin, int64_t end) {
  const job *j = context;
  const state *st = j->s->state;
  const cn_spatial *g = &st->g;
  const size_t item = st->kernels->item;
  const int64_t stride = g->stride[2], c = g->channels;
  for (int64_t row = begin; row < end; row++) {
    const int64_t y = row % st->size[1], z = row / st->size[1] % st->size[0], image = row / st->size[1] / st->size[0];
    const int64_t iy = y - g->pad[1], iz = z - g->pad[0];
    if (iy < 0 || iy >= g->in[1] || iz < 0 || iz >= g->in[0]) continue; /* zeros, as the whole was filled */
    const void *from = cn_nth(turned_of(j->s),
                              (((j->first + image) * g->in[0] + iz) * g->in[1] + iy) * g->in[2] * g->pitch, item);
    void *to = cn_nth(j->s->scratch, row * st->size[2], item);
    for (int64_t phase = 0; phase < stride; phase++) {
      const int64_t low = (g->pad[2] - phase + stride - 1) / stride, first = low < 0 ? 0 : low; /* of its columns */
      const int64_t x0 = first * stride + phase - g->pad[2], n = x0 < g->in[2] ? (g->in[2] - x0 - 1) / stride + 1 : 0;
      const int64_t room = st->phase - first, count = n < room ? n : room;
      if (count > 0)
        cn_transpose_items(item, cn_nth(to, phase * st->phase + first, item), st->pitch,
                           cn_nth(from, x0 * g->pitch, item), stride * g->pitch, count, c);
    }
  }
}

static void pack_panels(void *context, int64_t begin, int64_t end) {
  const job *j = context;
  const state *st = j->s->state;
  const cn_spatial *g = &st->g;
  const size_t item = st->kernels->item;
  const int64_t n = st->filters / st->groups, panels = cn_gemm_panels(st->kernels, n);
  const int64_t rows = g->out[0] * g->out[1] * g->out[2], all = j->images * rows;
  for (int64_t i = begin; i < end; i++) {
    const int64_t group = i / panels, panel = i % panels;
    st->kernels->pack((char *)j->s->scratch + st->packed + (size_t)(group * st->part) * item,
                      cn_nth(packed_of(j->s), j->first * rows * st->filters + group * n, item), st->filters, 1, all,
                      0, all, n, panel, panel + 1, NULL);
  }
}

/* Few channels fill no tile of the product: the rows of the kernel do, channel by channel. */
static void turn_grid(const state *st, cn_grid *grid) {
  const cn_spatial *g = &st->g;
  grid->call.m = g->kernel[1];
  grid->call.lda = grid->a_step[1];
  grid->call.ldc = grid->call.epilogue.add_pitch = grid->c_step[1];
  grid->outer[1] = g->channels;
  grid->a_step[1] = st->pitch;
  grid->c_step[1] = grid->add_step[1] = st->filters;
}

/* The products at the places of the kernel in column kx of it; sums go on where some came before. */
static void multiply(const job *j, int64_t kx) {
  const cn_step *s = j->s;
  const state *st = s->state;
  const cn_spatial *g = &st->g;
  const size_t item = st->kernels->item;
  const int64_t at = kx * g->dilation[2], c = g->channels / st->groups, place = c * st->filters;
  void *to = cn_nth(st->swapped ? (char *)s->scratch + st->product : s->out[0]->data, kx * place, item);
  const int64_t rows = j->images * g->out[0] * g->out[1];
  cn_grid grid = {
      .call = {.a = cn_nth(s->scratch, at % g->stride[2] * st->phase + at / g->stride[2], item), .lda = st->pitch,
               .offset = st->offset, .segments = st->flat ? 1 : rows, .kc = st->flat ? rows * g->out[2] : g->out[2],
               .b = (char *)s->scratch + st->packed, .c = to, .ldc = st->filters, .m = c, .n = st->filters / st->groups,
               .epilogue = {.add = j->first ? to : NULL, .add_pitch = st->filters}},
      .outer = {g->kernel[0], g->kernel[1], 1},
      .a_step = {g->dilation[0] * st->size[1] * st->size[2], g->dilation[1] * st->size[2], 0},
      .c_step = {g->kernel[1] * g->kernel[2] * place, g->kernel[2] * place, 0},
      .add_step = {g->kernel[1] * g->kernel[2] * place, g->kernel[2] * place, 0},
      .groups = st->groups, .a_group = c * st->pitch, .b_group = st->part};
  if (st->groups == 1 && c < g->kernel[1]) turn_grid(st, &grid);
  cn_grid_run(st->kernels, &grid);
}

static void run(const cn_step *s) {
  const state *st = s->state;
  const cn_spatial *g = &st->g;
  const int64_t panels = st->groups * cn_gemm_panels(st->kernels, st->filters / st->groups);
  memset(s->scratch, 0, (size_t)(g->channels * st->pitch) * st->kernels->item); /* the borders stay so */
  for (int64_t first = 0; first < g->batch; first += st->chunk) {
    job j = {s, first, g->batch - first < st->chunk ? g->batch - first : st->chunk};
    cn_parallel_range(j.images * st->size[0] * st->size[1], 16384 / (st->size[2] * g->channels + 1) + 1, turn_rows, &j);
    cn_parallel_range(panels, 65536 / (j.images * g->out[0] * g->out[1] * g->out[2] + 1) + 1, pack_panels, &j);
    for (int64_t kx = 0; kx < g->kernel[2]; kx++) multiply(&j, kx);
  }
  if (st->swapped)
    cn_transpose_items(st->kernels->item, s->out[0]->data, g->channels, (char *)s->scratch + st->product, st->filters,
                       g->channels, st->filters);
}

static void run_zeros(const cn_step *s) {
  memset(s->out[0]->data, 0, (size_t)s->out[0]->size * cornu_dtype_bytes(s->out[0]->dtype));
}

static cn_status plan_segments(struct cn_planner *p, state *st, cn_error *e) {
  const cn_spatial *g = &st->g;
  const int64_t rows = g->out[0] * g->out[1];
  st->offset = cn_plan_memory(p, (size_t)(st->chunk * rows) * sizeof *st->offset);
  if (!st->offset) return cn_no_memory(e);
  for (int64_t i = 0; i < st->chunk * rows; i++) {
    const int64_t y = i % g->out[1] * g->stride[1], z = i / g->out[1] % g->out[0] * g->stride[0], image = i / rows;
    st->offset[i] = image * st->pixels + (z * st->size[1] + y) * st->size[2];
  }
  return CORNU_OK;
}

/* Turning the one with fewer channels pays where the pixels are many beside the elements of the result. */
static void plan_flat(const cn_step *s, state *st) {
  cn_spatial *g = &st->g;
  const int64_t saved = (g->channels - st->filters) * g->batch * g->out[0] * g->out[1] * g->out[2];
  st->flat = true;
  for (int i = 0; i < 3; i++)
    st->flat &= g->kernel[i] == 1 && g->stride[i] == 1 && g->pad[i] == 0 && g->in[i] == g->out[i];
  st->swapped = st->flat && st->groups == 1 && g->pitch == g->channels && saved > 2 * s->out[0]->size;
  if (!st->swapped) return;
  st->filters = g->channels;
  g->channels = g->pitch = s->in[1]->shape[s->in[1]->rank - 1];
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_kernel_gradient_attrs *a = s->attrs;
  const int n = a->conv.spatial;
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  cn_spatial *g = &st->g;
  cn_kernel_gradient_geometry(g, s);
  if (s->out[0]->size == 0 || s->in[1]->size == 0) {
    s->run = run_zeros;
    return CORNU_OK;
  }
  st->kernels = cn_gemm_of(cornu_dtype_bytes(s->out[0]->dtype));
  st->groups = a->conv.groups ? a->conv.groups : 1;
  st->filters = s->in[1]->shape[n + 1];
  plan_flat(s, st);
  for (int i = 0; i < 3; i++) st->size[i] = cn_spatial_extent(g, i);
  st->phase = (st->size[2] + g->stride[2] - 1) / g->stride[2];
  st->size[2] = st->phase * g->stride[2];
  st->pixels = st->size[0] * st->size[1] * st->size[2];
  const int64_t rows = g->out[0] * g->out[1] * g->out[2], item = (int64_t)st->kernels->item;
  st->chunk = CHUNK_BYTES / item / (st->pixels * g->channels + rows * st->filters);
  st->chunk = st->chunk < 1 ? 1 : st->chunk > g->batch ? g->batch : st->chunk;
  st->pitch = st->chunk * st->pixels + 16;
  const size_t part = cn_gemm_packed_bytes(st->kernels, st->chunk * rows, st->filters / st->groups);
  st->part = (int64_t)(part / st->kernels->item);
  st->packed = ((size_t)(g->channels * st->pitch) * st->kernels->item + 127) & ~(size_t)63;
  st->product = (st->packed + (size_t)st->groups * part + 63) & ~(size_t)63;
  s->scratch_bytes = st->product + (st->swapped ? (size_t)s->out[0]->size * st->kernels->item : 0);
  s->flops = 2.0 * (double)(g->batch * rows) * (double)s->out[0]->size;
  s->run = run;
  return plan_segments(p, st, e);
}

const cn_op cn_op_kernel_gradient = {
    .name = "kernel_gradient",
    .help = CN_HELP("(x (b, s…, c), dy (b, o…, f)) -> (k…, c / groups, f): what comes back to the kernel of a "
                    "convolution of x"),
    .flags = CN_OP_HIDDEN,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_kernel_gradient_attrs),
    .shape = shape,
    .plan = plan,
};
