/* conv_transpose: the gradient of conv to its input, computed by the outputs. Along each dimension, output positions
 * with the same remainder by the stride (a phase) meet the same places of the kernel, and neighbours among them meet
 * neighbouring inputs: every phase is an ordinary convolution with stride 1 whose outputs lie `stride` apart. */
#include <stdio.h>

#include "base/text.h"
#include "ops/conv_fields.h"
#include "ops/product.h"
#include "ops/winograd.h"

static cn_status out_size(int dim, int64_t in, int64_t kernel, const cn_conv_transpose_attrs *a, int64_t *out,
                          cn_error *e) {
  int64_t stride = a->stride[dim], dilation = a->dilation[dim];
  if (stride < 1 || dilation < 1)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "conv_transpose: stride %lld and dilation %lld must be at least 1",
                   (long long)stride, (long long)dilation);
  *out = -1;
  if (in < 0 || kernel < 0) return CORNU_OK;
  if (in == 0 || kernel == 0)
    return cn_fail(e, CORNU_ERR_SHAPE, "conv_transpose: spatial dimension %d of the %s is empty", dim + 1,
                   in ? "kernel" : "input");
  int64_t moved, extent;
  if (!cn_mul_i64(in - 1, stride, &moved) || !cn_mul_i64(kernel - 1, dilation, &extent) ||
      __builtin_add_overflow(moved, extent, &moved))
    return cn_fail(e, CORNU_ERR_LIMIT, "conv_transpose: sizes along spatial dimension %d overflow", dim + 1);
  *out = moved + 1 - a->crop_begin[dim] - a->crop_end[dim];
  if (*out < 1)
    return cn_fail(e, CORNU_ERR_SHAPE,
                   "conv_transpose: along spatial dimension %d cropping %lld and %lld leaves nothing of %lld positions",
                   dim + 1, (long long)a->crop_begin[dim], (long long)a->crop_end[dim], (long long)(moved + 1));
  return CORNU_OK;
}

static cn_status shape(cn_typing *t, cn_error *e) {
  static const char *const op = "conv_transpose";
  const cn_conv_transpose_attrs *a = t->attrs;
  const cn_type *x = &t->in[0], *kernel = &t->in[1];
  int n;
  CN_TRY(cn_spatial_floats(op, x, kernel, e));
  CN_TRY(cn_spatial_rank(op, x, a->spatial, &a->named, &n, e));
  CN_TRY(cn_want_rank(kernel, "conv_transpose: kernel", n + 2, n + 2, e));
  if (!cn_dims_agree(x->shape[n + 1], kernel->shape[n + 1]))
    return cn_fail(e, CORNU_ERR_SHAPE, "%s: input has %lld channels, the kernel %s needs %lld", op,
                   (long long)x->shape[n + 1], CN_SHAPE(kernel->rank, kernel->shape), (long long)kernel->shape[n + 1]);
  CN_TRY(cn_conv_bias(op, t, kernel->shape[n], e));
  t->out[0] = (cn_type){.dtype = x->dtype, .rank = n + 2, .shape = {x->shape[0]}};
  t->out[0].shape[n + 1] = kernel->shape[n];
  for (int i = 0; i < n; i++) CN_TRY(out_size(i, x->shape[i + 1], kernel->shape[i], a, &t->out[0].shape[i + 1], e));
  return cn_check_residual(op, t, e);
}

/* One phase along one dimension. Output o = first + j stride meets place k of the kernel at input j + shift(k). */
typedef struct phase {
  int64_t first, count; /* output positions */
  int64_t q;            /* the whole part of (first + crop) / stride */
  int64_t taps;
} phase;

typedef struct state {
  cn_pack pack;
  cn_spatial g;            /* kernel, stride and dilation; pad: zeros before the input (negative: unused inputs) */
  int64_t crop[3], size[3]; /* size: of the copy of the input */
  phase *phases[3];        /* `stride` of them along each dimension */
  int64_t *tap[3];         /* for each phase `kernel` entries: the places of the kernel, in order */
  int n_grids;
  cn_grid *grids;          /* of the phases that have outputs */
  int64_t *first;          /* for each of them: the output pixel where it begins, and where its kernel is packed */
  int64_t *b_offset;
  int64_t chunk;
  size_t padded;
  bool copy;
  int64_t pixel;           /* elements from a pixel of the copy, or of the input, to the next */
} state;

static int64_t shift_of(const state *st, int dim, int64_t remainder, int64_t tap) {
  return (remainder - tap * st->g.dilation[dim]) / st->g.stride[dim]; /* exact */
}

static int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

/* The phases along one dimension, and which inputs they reach in all: [*low, *high). */
static cn_status plan_phases(struct cn_planner *p, state *st, int dim, int64_t *low, int64_t *high, cn_error *e) {
  const int64_t stride = st->g.stride[dim], kernel = st->g.kernel[dim], crop = st->crop[dim], out = st->g.out[dim];
  phase *ph = st->phases[dim] = cn_plan_memory(p, (size_t)stride * sizeof *ph);
  int64_t *tap = st->tap[dim] = cn_plan_memory(p, (size_t)stride * (size_t)kernel * sizeof *tap);
  if (!ph || !tap) return cn_no_memory(e);
  *low = INT64_MAX;
  *high = INT64_MIN;
  for (int64_t r = 0; r < stride; r++, ph++, tap += kernel) {
    int64_t back = r - crop;
    ph->first = back - floor_div(back, stride) * stride;
    ph->q = (ph->first + crop - r) / stride;
    ph->count = ph->first < out ? (out - ph->first - 1) / stride + 1 : 0;
    for (int64_t k = 0; k < kernel; k++) {
      if ((r - k * st->g.dilation[dim]) % stride) continue;
      tap[ph->taps++] = k;
      if (!ph->count) continue;
      int64_t from = ph->q + shift_of(st, dim, r, k);
      if (from < *low) *low = from;
      if (from + ph->count > *high) *high = from + ph->count;
    }
  }
  return CORNU_OK;
}

/* The copy of the input holds what any phase reaches; without need for a copy it is the input itself. */
static cn_status plan_input(struct cn_planner *p, state *st, cn_error *e) {
  int64_t low[3], high[3];
  for (int i = 0; i < 3; i++) {
    CN_TRY(plan_phases(p, st, i, &low[i], &high[i], e));
    if (low[i] > high[i]) low[i] = 0, high[i] = 1; /* no output meets the kernel */
    if (low[i] < 0 || high[i] > st->g.in[i]) st->copy = true;
  }
  for (int i = 0; i < 3; i++) {
    st->g.pad[i] = st->copy ? -low[i] : 0;
    st->size[i] = st->copy ? high[i] - low[i] : st->g.in[i];
  }
  st->pixel = st->copy ? st->g.channels : st->g.pitch;
  return CORNU_OK;
}

/* The segments of one phase and the slices of the kernel that they meet. */
static cn_status plan_taps(struct cn_planner *p, state *st, const int64_t r[3], cn_grid *grid, cn_pack_part *part,
                           int64_t slice_size, cn_error *e) {
  const phase *ph[3] = {&st->phases[0][r[0]], &st->phases[1][r[1]], &st->phases[2][r[2]]};
  const int64_t total = ph[0]->taps * ph[1]->taps * ph[2]->taps;
  int64_t *offset = cn_plan_memory(p, 2 * (size_t)total * sizeof *offset), *slice = offset + total;
  if (!offset) return cn_no_memory(e);
  grid->call.offset = offset;
  grid->call.segments = part->slices = total;
  grid->call.kc = part->kc = st->g.channels;
  part->slice = slice;
  for (int64_t i = 0; i < total; i++) {
    int64_t rest = i, at = 0, place = 0, k[3];
    for (int d = 2; d >= 0; d--) {
      k[d] = st->tap[d][r[d] * st->g.kernel[d] + rest % ph[d]->taps];
      rest /= ph[d]->taps;
    }
    for (int d = 0; d < 3; d++) {
      at = at * st->size[d] + ph[d]->q + shift_of(st, d, r[d], k[d]) + st->g.pad[d];
      place = place * st->g.kernel[d] + k[d];
    }
    offset[i] = at * st->pixel;
    slice[i] = place * slice_size;
  }
  return CORNU_OK;
}

static void plan_grid(const cn_step *s, const state *st, const int64_t r[3], cn_grid *grid, int64_t *first) {
  static const int64_t ones[3] = {1, 1, 1};
  const cn_spatial *g = &st->g;
  const phase *ph[3] = {&st->phases[0][r[0]], &st->phases[1][r[1]], &st->phases[2][r[2]]};
  grid->groups = 1;
  grid->call.lda = st->pixel;
  grid->call.ldc = g->stride[2] * s->out[0]->pitch;
  grid->call.m = ph[2]->count;
  grid->call.n = st->pack.n;
  grid->outer[1] = ph[0]->count;
  grid->outer[2] = ph[1]->count;
  cn_spatial_steps(grid->a_step, st->size, ones, st->pixel);
  cn_spatial_steps(grid->c_step, g->out, g->stride, s->out[0]->pitch);
  *first = (ph[0]->first * g->out[1] + ph[1]->first) * g->out[2] + ph[2]->first;
  const cn_operand *residual = cn_optional_operand(s, 3);
  if (!residual) return;
  grid->call.epilogue.add_pitch = g->stride[2] * residual->pitch;
  cn_spatial_steps(grid->add_step, g->out, g->stride, residual->pitch);
}

static cn_status plan_grids(struct cn_planner *p, cn_step *s, state *st, int64_t filters, cn_error *e) {
  const int64_t *stride = st->g.stride;
  int64_t total;
  if (!cn_mul_i64(stride[0], stride[1], &total) || !cn_mul_i64(total, stride[2], &total) || total > 1 << 20)
    return cn_fail(e, CORNU_ERR_LIMIT, "conv_transpose: strides of %lld x %lld x %lld are too large",
                   (long long)stride[0], (long long)stride[1], (long long)stride[2]);
  st->grids = cn_plan_memory(p, (size_t)total * sizeof *st->grids);
  st->first = cn_plan_memory(p, 2 * (size_t)total * sizeof *st->first);
  cn_pack_part *part = cn_plan_memory(p, (size_t)total * sizeof *part);
  if (!st->grids || !st->first || !part) return cn_no_memory(e);
  st->b_offset = st->first + total;
  st->pack.n = filters;
  int64_t items = 0;
  for (int64_t i = 0; i < total; i++) {
    const int64_t r[3] = {i / (stride[1] * stride[2]), i / stride[2] % stride[1], i % stride[2]};
    cn_grid *grid = &st->grids[st->n_grids];
    part[i].to = items;
    CN_TRY(plan_taps(p, st, r, grid, &part[i], filters * st->g.channels, e));
    plan_grid(s, st, r, grid, &st->first[st->n_grids]);
    st->b_offset[st->n_grids] = items;
    items += (int64_t)(cn_gemm_packed_bytes(st->pack.kernels, part[i].slices * part[i].kc, filters) /
                       st->pack.kernels->item);
    if (grid->call.m && grid->outer[1] && grid->outer[2]) st->n_grids++;
  }
  st->pack.parts = (int)total;
  st->pack.part = part;
  st->pack.bytes = (size_t)items * st->pack.kernels->item;
  st->pack.row = 1;
  st->pack.column = st->g.channels;
  char kind[160];
  const cn_spatial *g = &st->g;
  snprintf(kind, sizeof kind, "phases %lld %lld %lld, dilation %lld %lld %lld, kernel %lld %lld %lld",
           (long long)stride[0], (long long)stride[1], (long long)stride[2], (long long)g->dilation[0],
           (long long)g->dilation[1], (long long)g->dilation[2], (long long)g->kernel[0],
           (long long)g->kernel[1], (long long)g->kernel[2]);
  return cn_pack_plan(p, &st->pack, s->in[1], kind, &s->scratch_bytes, e);
}

static void run_transpose(const cn_step *s) {
  const state *st = s->state;
  const cn_spatial *g = &st->g;
  const size_t item = st->pack.kernels->item;
  const void *b = cn_pack_ready(&st->pack, s->in[1]->data, s->scratch);
  void *padded = (char *)s->scratch + st->padded;
  const int64_t pixels = g->out[0] * g->out[1] * g->out[2];
  const void *residual = cn_optional(s, 3);
  for (int64_t i = 0; i < g->batch; i += st->chunk) {
    int64_t images = i + st->chunk < g->batch ? st->chunk : g->batch - i;
    const void *from = cn_nth(s->in[0]->data, i * g->in[0] * g->in[1] * g->in[2] * g->pitch, item);
    if (st->copy) cn_spatial_copy(item, padded, from, g, g->pad, st->size, images, 1);
    for (int k = 0; k < st->n_grids; k++) {
      cn_grid grid = st->grids[k];
      grid.outer[0] = images;
      grid.call.a = st->copy ? padded : from;
      grid.call.b = cn_nth(b, st->b_offset[k], item);
      const int64_t at = i * pixels + st->first[k];
      grid.call.c = cn_nth(s->out[0]->data, at * s->out[0]->pitch, item);
      grid.call.epilogue.bias = cn_optional(s, 2);
      grid.call.epilogue.act = &((const cn_conv_transpose_attrs *)s->attrs)->act;
      if (residual) grid.call.epilogue.add = cn_nth(residual, at * s->in[3]->pitch, item);
      cn_grid_fold(&grid);
      cn_grid_run(st->pack.kernels, &grid);
    }
  }
}

static void run_nothing(const cn_step *s) { (void)s; }

/* With stride 1 it is a convolution with the kernel turned round; constant kernels are packed once. */
static int winograd_side(struct cn_planner *p, const cn_step *s, state *st) {
  if (s->in[1]->constant || s->in[1]->dtype != CORNU_FLOAT32 || cn_plan_exact(p)) return 0;
  cn_spatial *g = &st->g;
  for (int i = 0; i < 3; i++) g->pad[i] = (g->kernel[i] - 1) * g->dilation[i] - st->crop[i];
  return cn_winograd_side(g, s->in[1]->shape[s->in[1]->rank - 2], false);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_conv_transpose_attrs *a = s->attrs;
  const int n = s->in[0]->rank - 2;
  const int64_t *kernel = s->in[1]->shape;
  if (s->out[0]->size == 0) {
    s->run = run_nothing;
    return CORNU_OK;
  }
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  st->pack.kernels = cn_gemm_of(cornu_dtype_bytes(s->in[1]->dtype));
  cn_spatial_fill(&st->g, s->in[0], s->out[0], n);
  cn_spatial_lift(st->g.kernel, kernel, n, 1);
  cn_spatial_lift(st->g.stride, a->stride, n, 1);
  cn_spatial_lift(st->g.dilation, a->dilation, n, 1);
  cn_spatial_lift(st->crop, a->crop_begin, n, 0);
  const int tile = winograd_side(p, s, st);
  if (tile) return cn_winograd_plan(p, s, &st->g, tile, &a->act, true, e);
  CN_TRY(plan_input(p, st, e));
  CN_TRY(plan_grids(p, s, st, kernel[n], e));
  st->chunk = st->g.batch;
  if (st->copy) {
    int64_t values = st->size[0] * st->size[1] * st->size[2] * st->g.channels;
    st->chunk = cn_spatial_chunk(st->g.batch, values);
    st->padded = s->scratch_bytes;
    s->scratch_bytes += (size_t)(st->chunk * values) * st->pack.kernels->item;
  }
  const double places = (double)(st->g.kernel[0] * st->g.kernel[1] * st->g.kernel[2]);
  s->flops = 2.0 * (double)s->in[0]->size * places * (double)kernel[n];
  s->run = run_transpose;
  return CORNU_OK;
}

static cn_status check(void *attrs, cn_error *e) {
  cn_conv_transpose_attrs *a = attrs;
  CN_TRY(cn_spatial_spread("strides", &a->named.stride, 1, 1, a->stride, e));
  CN_TRY(cn_spatial_spread("dilation_rate", &a->named.dilation, 1, 1, a->dilation, e));
  CN_TRY(cn_spatial_spread("crop_begin", &a->named.pad_begin, 0, INT64_MIN, a->crop_begin, e));
  return cn_spatial_spread("crop_end", &a->named.pad_end, 0, INT64_MIN, a->crop_end, e);
}

/* What comes back to the input is a convolution, and to the kernel as if the two had changed places. */
static void gradient(cn_gradient *g) {
  const cn_conv_transpose_attrs *a = g->attrs;
  const cn_type x = *cn_gradient_type(g, g->in[0]), k = *cn_gradient_type(g, g->in[1]);
  cn_kernel_gradient_attrs to_kernel = {.conv = {.spatial = x.rank - 2, .act = {CN_ACT_LINEAR, 0, 0, 0}}};
  cn_edge dy = g->dy[0];
  for (int i = 0; i < x.rank - 2; i++) {
    const int64_t whole = (x.shape[i + 1] - 1) * a->stride[i] + (k.shape[i] - 1) * a->dilation[i] + 1;
    dy = cn_g_window(g, dy, i + 1, -a->crop_begin[i], whole);
    to_kernel.conv.stride[i] = a->stride[i];
    to_kernel.conv.dilation[i] = a->dilation[i];
    to_kernel.size[i] = k.shape[i];
  }
  if (g->wanted[0]) g->dx[0] = cn_g2(g, &cn_op_conv, &to_kernel.conv, dy, g->in[1]);
  if (g->wanted[1]) g->dx[1] = cn_g2(g, &cn_op_kernel_gradient, &to_kernel, dy, g->in[0]);
  if (g->n_in > 2 && g->wanted[2]) g->dx[2] = cn_g_sum_rows(g, g->dy[0]);
}

static const cn_field fields[] = {
  CN_STRIDE_FIELD(cn_conv_transpose_attrs), CN_DILATION_FIELD(cn_conv_transpose_attrs),
  {"crop_begin", NULL, CN_F_INTS, CN_NAMED(cn_conv_transpose_attrs, pad_begin), .standard = "0",
   .help = CN_HELP("output positions cut off before; negative ones are added")},
  {"crop_end", NULL, CN_F_INTS, CN_NAMED(cn_conv_transpose_attrs, pad_end), .standard = "0",
   .help = CN_HELP("output positions cut off behind; negative ones are added")},
  {0},
};

const cn_op cn_op_conv_transpose = {
  .name = "conv_transpose",
  .help = CN_HELP("transposed convolution: the gradient of conv to its input\n"
                  "(x (b, s…, c), kernel (k…, f, c), bias? (f), residual? (b, o…, f)) -> (b, o…, f), "
                  "o = (s - 1) stride + (k - 1) dilation + 1 - crops"),
  .flags = CN_OP_RESIDUAL | CN_OP_PITCHED_OUT | CN_OP_SAMPLES, .pitched_in = 1 << 0 | 1 << 3,
  .min_in = 2, .max_in = 4, .n_out = 1,
  .attrs_size = sizeof(cn_conv_transpose_attrs), .fields = fields, .act_offset = offsetof(cn_conv_transpose_attrs, act),
  .check = check, .shape = shape, .plan = plan, .gradient = CN_GRADIENT(gradient),
};
