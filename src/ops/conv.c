/* conv: convolution over channels-last images as products of matrices, without im2col: the inputs that one row of the
 * kernel meets are contiguous, so a row of output pixels is a product whose left rows overlap, summed over the kernel's
 * rows (segments). A padded input is copied with its border first, in bands of rows. */
#include "base/deadline.h"
#include "base/pool.h"
#include "base/text.h"
#include "ops/conv_fields.h"
#include "ops/gradient.h"
#include "ops/product.h"
#include "ops/winograd.h"

#define BAND_BYTES (512 << 10)      /* of a padded copy: half of a second-level cache */
#define MOST_BAND_BYTES (4 << 20)

static int64_t groups_of(const cn_conv_attrs *a) { return a->groups ? a->groups : 1; }

static cn_status check_channels(const cn_type *x, const cn_type *kernel, int n, int64_t groups, cn_error *e) {
  int64_t channels = x->shape[n + 1], wanted = cn_dim_mul(kernel->shape[n], groups), filters = kernel->shape[n + 1];
  if (groups < 1) return cn_fail(e, CORNU_ERR_ARGUMENT, "conv: groups is %lld, must be at least 1", (long long)groups);
  if (!cn_dims_agree(channels, wanted)) {
    const char *text = CN_SHAPE(kernel->rank, kernel->shape);
    if (groups == 1)
      return cn_fail(e, CORNU_ERR_SHAPE, "conv: input has %lld channels, the kernel %s needs %lld", (long long)channels,
                     text, (long long)wanted);
    return cn_fail(e, CORNU_ERR_SHAPE, "conv: input has %lld channels, the kernel %s with %lld groups needs %lld",
                   (long long)channels, text, (long long)groups, (long long)wanted);
  }
  if (filters > 0 && filters % groups)
    return cn_fail(e, CORNU_ERR_SHAPE, "conv: the kernel %s has %lld filters, which %lld groups do not divide",
                   CN_SHAPE(kernel->rank, kernel->shape), (long long)filters, (long long)groups);
  return CORNU_OK;
}

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_conv_attrs *a = t->attrs;
  const cn_type *x = &t->in[0], *kernel = &t->in[1];
  int n;
  CN_TRY(cn_spatial_floats("conv", x, kernel, e));
  CN_TRY(cn_spatial_rank("conv", x, a->spatial, &a->named, &n, e));
  CN_TRY(cn_want_rank(kernel, "conv: kernel", n + 2, n + 2, e));
  CN_TRY(check_channels(x, kernel, n, groups_of(a), e));
  CN_TRY(cn_conv_bias("conv", t, kernel->shape[n + 1], e));
  t->out[0] = (cn_type){.dtype = x->dtype, .rank = n + 2, .shape = {x->shape[0]}};
  t->out[0].shape[n + 1] = kernel->shape[n + 1];
  for (int i = 0; i < n; i++)
    CN_TRY(cn_spatial_out("conv", i, x->shape[i + 1], kernel->shape[i], a->stride[i], a->dilation[i], a->pad_begin[i],
                          a->pad_end[i], &t->out[0].shape[i + 1], e));
  return cn_check_residual("conv", t, e);
}

typedef struct state {
  cn_pack pack;
  cn_spatial g;
  cn_grid grid;            /* of one image; a, b, c and the epilogue's data are filled in at run time */
  int64_t chunk;           /* images worked on at a time; of several bands: 1 */
  int64_t band;            /* output positions along `along` that are worked on at a time */
  int along;
  bool copy;               /* the input of a band is copied, with its border */
  int64_t size[3], pixel;  /* of the copy, or of the input; elements from a pixel to the next */
  size_t padded, copied;   /* where the copies lie in the scratch; the bytes of one */
  int slots;               /* threads that have room for a copy */
} state;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* The grid's steps by spatial dimension. */
static int64_t *outer_of(cn_grid *grid, int along) { return along == 2 ? &grid->call.m : &grid->outer[along + 1]; }
static int64_t step_of(const int64_t step[3], int64_t pixel, int along) { return along == 2 ? pixel : step[along + 1]; }

/* Positions from `first` on of images from `image` on. */
static void run_part(const cn_step *s, const cn_grid *whole, int64_t image, int64_t first, int slot) {
  const state *st = s->state;
  const cn_spatial *g = &st->g;
  const size_t item = st->pack.kernels->item;
  const int64_t images = least(st->chunk, g->batch - image);
  const void *from = cn_nth(s->in[0]->data, image * g->in[0] * g->in[1] * g->in[2] * g->pitch, item);
  cn_grid part = *whole;
  const cn_gemm_call *c = &whole->call;
  part.outer[0] = images;
  *outer_of(&part, st->along) = least(st->band, g->out[st->along] - first);
  part.call.c = cn_nth(c->c, image * part.c_step[0] + first * step_of(part.c_step, c->ldc, st->along), item);
  if (c->epilogue.add)
    part.call.epilogue.add = cn_nth(c->epilogue.add, image * part.add_step[0] +
                                    first * step_of(part.add_step, c->epilogue.add_pitch, st->along), item);
  part.call.a = from;
  if (st->copy) {
    int64_t pad[3] = {g->pad[0], g->pad[1], g->pad[2]};
    pad[st->along] -= first * g->stride[st->along];
    void *padded = (char *)s->scratch + st->padded + (size_t)slot * st->copied;
    cn_spatial_copy(item, padded, from, g, pad, st->size, images, 1);
    part.call.a = padded;
  }
  cn_grid_fold(&part);
  cn_grid_run(st->pack.kernels, &part);
}

typedef struct job { const cn_step *s; cn_grid grid; int64_t bands; } job;

static void run_task(void *context, int i, int slot) {
  const job *j = context;
  const state *st = j->s->state;
  run_part(j->s, &j->grid, i / j->bands * st->chunk, i % j->bands * st->band, slot);
}

static void run_conv(const cn_step *s) {
  const state *st = s->state;
  cn_pack pack = st->pack;
  pack.scale = cn_optional(s, 4);
  job j = {.s = s, .grid = st->grid, .bands = (st->g.out[st->along] + st->band - 1) / st->band};
  j.grid.call.b = cn_pack_ready(&pack, s->in[1]->data, s->scratch);
  j.grid.call.c = s->out[0]->data;
  j.grid.call.epilogue.bias = cn_optional(s, 2);
  j.grid.call.epilogue.add = cn_optional(s, 3);
  const int threads = (int)least(st->slots, cn_threads());
  const int64_t parts = (st->g.batch + st->chunk - 1) / st->chunk * j.bands, rounds = (parts + threads - 1) / threads;
  const bool long_parts = cn_sliced() && s->flops > 2 * CN_SLICED_WORK * (double)parts;
  if (!long_parts && 8 * rounds * threads <= 9 * parts) cn_parallel_slots((int)parts, threads, run_task, &j);
  else /* all threads at one part after the other */
    for (int i = 0; i < parts && cn_sliced_next() && !cn_past_deadline(); i++) run_task(&j, i, 0);
}

/* Where in the input each segment begins. Inputs under one row of the kernel are contiguous unless they are spread by
 * dilation or a pitch, or belong to one group of several; then every place of the kernel is a segment. */
static cn_status plan_segments(struct cn_planner *p, state *st, int64_t group_channels, cn_error *e) {
  const cn_spatial *g = &st->g;
  const bool rows = g->kernel[2] == 1 || (g->dilation[2] == 1 && group_channels == st->pixel);
  const int64_t places = rows ? 1 : g->kernel[2];
  cn_gemm_call *call = &st->grid.call;
  call->segments = g->kernel[0] * g->kernel[1] * places;
  call->kc = rows ? g->kernel[2] * group_channels : group_channels;
  int64_t *offset = cn_plan_memory(p, (size_t)call->segments * sizeof *offset);
  if (!offset) return cn_no_memory(e);
  call->offset = offset;
  for (int64_t z = 0; z < g->kernel[0]; z++)
    for (int64_t y = 0; y < g->kernel[1]; y++)
      for (int64_t k = 0; k < places; k++)
        *offset++ = ((z * g->dilation[0] * st->size[1] + y * g->dilation[1]) * st->size[2] + k * g->dilation[2]) *
                    st->pixel;
  return CORNU_OK;
}

static void plan_grid(const cn_step *s, state *st) {
  static const int64_t ones[3] = {1, 1, 1};
  const cn_spatial *g = &st->g;
  cn_grid *grid = &st->grid;
  grid->call.lda = g->stride[2] * st->pixel;
  grid->call.ldc = s->out[0]->pitch;
  grid->call.m = g->out[2];
  grid->outer[1] = g->out[0];
  grid->outer[2] = g->out[1];
  cn_spatial_steps(grid->a_step, st->size, g->stride, st->pixel);
  cn_spatial_steps(grid->c_step, g->out, ones, grid->call.ldc);
  if (!cn_optional_operand(s, 3)) return;
  grid->call.epilogue.add_pitch = s->in[3]->pitch;
  cn_spatial_steps(grid->add_step, g->out, ones, s->in[3]->pitch);
}

static cn_status plan_pack(struct cn_planner *p, cn_step *s, state *st, int64_t filters, int64_t groups, cn_error *e) {
  const int64_t rows = st->grid.call.segments * st->grid.call.kc, n = filters / groups;
  const size_t one = cn_gemm_packed_bytes(st->pack.kernels, rows, n);
  const cn_operand *scale = cn_optional_operand(s, 4);
  cn_operand kernel = *s->in[1];
  if (scale && !scale->constant) kernel.constant = false; /* packed at each run */
  cn_pack_part *part = cn_plan_memory(p, (size_t)groups * sizeof *part);
  if (!part) return cn_no_memory(e);
  for (int64_t i = 0; i < groups; i++)
    part[i] = (cn_pack_part){.to = i * (int64_t)(one / st->pack.kernels->item), .from = i * n, .slices = 1, .kc = rows};
  st->pack.part = part;
  st->pack.parts = (int)groups;
  st->pack.bytes = one * (size_t)groups;
  st->pack.row = filters;
  st->pack.column = 1;
  st->pack.scale = scale ? scale->data : NULL;
  st->pack.n = st->grid.call.n = n;
  st->grid.groups = groups;
  st->grid.a_group = st->g.channels / groups;
  st->grid.b_group = (int64_t)(one / st->pack.kernels->item);
  return cn_pack_plan(p, &st->pack, &kernel, "gemm", &s->scratch_bytes, e);
}

/* The step's geometry; size: the input with its border, as far as windows reach. */
static void plan_geometry(const cn_step *s, state *st) {
  const cn_conv_attrs *a = s->attrs;
  const int n = s->in[0]->rank - 2;
  cn_spatial *g = &st->g;
  cn_spatial_fill(g, s->in[0], s->out[0], n);
  cn_spatial_lift(g->kernel, s->in[1]->shape, n, 1);
  cn_spatial_lift(g->stride, a->stride, n, 1);
  cn_spatial_lift(g->dilation, a->dilation, n, 1);
  cn_spatial_lift(g->pad, a->pad_begin, n, 0);
  for (int i = 0; i < 3; i++) {
    st->size[i] = cn_spatial_extent(g, i);
    if (g->pad[i] || st->size[i] > g->in[i]) st->copy = true;
  }
  for (int i = 0; i < 3 && !st->copy; i++) st->size[i] = g->in[i];
  st->pixel = st->copy ? g->channels : g->pitch;
}

/* Copies are made in bands that stay in the second-level cache - unless the weights are larger: they would have to be
 * read again for every band. */
static void plan_bands(const cn_step *s, state *st) {
  const cn_spatial *g = &st->g;
  while (st->along < 2 && g->out[st->along] == 1) st->along++;
  const int along = st->along;
  st->chunk = g->batch;
  st->band = g->out[along];
  if (!st->copy) return;
  const int64_t item = (int64_t)st->pack.kernels->item, weights = s->in[1]->size * item;
  const int64_t room = (weights < BAND_BYTES ? BAND_BYTES : least(weights, MOST_BAND_BYTES)) / item;
  const int64_t image = st->size[0] * st->size[1] * st->size[2] * g->channels;
  st->chunk = least(g->batch, room / image);
  if (st->chunk) return;
  st->chunk = 1;
  const int64_t overlap = st->size[along] - (st->band - 1) * g->stride[along];
  const int64_t most = (room / (image / st->size[along]) - overlap) / g->stride[along] + 1;
  const int64_t bands = most < 1 ? st->band : (st->band + most - 1) / most;
  st->band = (st->band + bands - 1) / bands;
  st->size[along] = (st->band - 1) * g->stride[along] + overlap;
}

static void run_nothing(const cn_step *s) { (void)s; }

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_conv_attrs *a = s->attrs;
  const cn_operand *kernel = s->in[1];
  const int64_t groups = groups_of(a);
  const int64_t group_channels = kernel->shape[kernel->rank - 2], filters = kernel->shape[kernel->rank - 1];
  if (s->out[0]->size == 0) {
    s->run = run_nothing;
    return CORNU_OK;
  }
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  plan_geometry(s, st);
  if (group_channels == 1 && groups > 1) {
    cn_plan_whole(s->in[1]);
    return cn_depthwise_plan(p, s, &st->g, filters / groups, &a->act, e);
  }
  const int tile = groups == 1 && kernel->dtype == CORNU_FLOAT32 && !cn_plan_exact(p)
                     ? cn_winograd_side(&st->g, filters, kernel->constant) : 0;
  if (tile) return cn_winograd_plan(p, s, &st->g, tile, &a->act, false, e);
  st->pack.kernels = cn_gemm_of(cornu_dtype_bytes(kernel->dtype));
  plan_bands(s, st);
  CN_TRY(plan_segments(p, st, group_channels, e));
  plan_grid(s, st);
  st->grid.call.epilogue.act = &a->act;
  CN_TRY(plan_pack(p, s, st, filters, groups, e));
  st->padded = (s->scratch_bytes + 63) & ~(size_t)63;
  st->copied = (size_t)(st->chunk * st->size[0] * st->size[1] * st->size[2] * st->pixel) * st->pack.kernels->item;
  st->copied = (st->copied + 63) & ~(size_t)63;
  st->slots = st->copy ? cn_threads() : 1;
  if (st->copy) s->scratch_bytes = st->padded + (size_t)st->slots * st->copied;
  s->flops = 2.0 * (double)s->out[0]->size * (double)(st->grid.call.segments * st->grid.call.kc);
  s->run = run_conv;
  return CORNU_OK;
}

static cn_status check(void *attrs, cn_error *e) {
  cn_conv_attrs *a = attrs;
  CN_TRY(cn_spatial_spread("strides", &a->named.stride, 1, 1, a->stride, e));
  CN_TRY(cn_spatial_spread("dilation_rate", &a->named.dilation, 1, 1, a->dilation, e));
  CN_TRY(cn_spatial_spread("pad_begin", &a->named.pad_begin, 0, 0, a->pad_begin, e));
  return cn_spatial_spread("pad_end", &a->named.pad_end, 0, 0, a->pad_end, e);
}

/* ---- the gradient ---- */

/* To the input of one group: the transposed convolution with the same kernel. */
static cn_edge to_input(cn_gradient *g, cn_edge dy, cn_edge kernel) {
  const cn_conv_attrs *a = g->attrs;
  const cn_type x = *cn_gradient_type(g, g->in[0]), k = *cn_gradient_type(g, kernel), y = *cn_gradient_type(g, dy);
  cn_conv_transpose_attrs back = {.spatial = x.rank - 2, .act = {CN_ACT_LINEAR, 0, 0, 0}};
  for (int i = 0; i < x.rank - 2; i++) {
    back.stride[i] = a->stride[i];
    back.dilation[i] = a->dilation[i];
    back.crop_begin[i] = a->pad_begin[i];
    const int64_t whole = (y.shape[i + 1] - 1) * a->stride[i] + (k.shape[i] - 1) * a->dilation[i] + 1;
    back.crop_end[i] = whole - a->pad_begin[i] - x.shape[i + 1];
  }
  return cn_g2(g, &cn_op_conv_transpose, &back, dy, kernel);
}

static cn_edge to_inputs(cn_gradient *g) {
  const int64_t groups = groups_of(g->attrs);
  if (groups == 1) return to_input(g, g->dy[0], g->in[1]);
  const cn_type k = *cn_gradient_type(g, g->in[1]);
  const int last = k.rank - 1;
  const int64_t n = k.shape[last] / groups;
  cn_edge parts = CN_NO_EDGE;
  for (int64_t i = 0; i < groups; i++) {
    const cn_edge part = to_input(g, cn_g_window(g, g->dy[0], last, i * n, n), cn_g_window(g, g->in[1], last, i * n, n));
    parts = i ? cn_g2(g, &cn_op_concat, &(cn_axis_attrs){-1}, parts, part) : part;
  }
  return parts;
}

static void gradient(cn_gradient *g) {
  const cn_type k = *cn_gradient_type(g, g->in[1]);
  if (k.shape[k.rank - 2] == 1 && groups_of(g->attrs) > 1) {
    cn_depthwise_gradient(g, k.shape[k.rank - 1] / groups_of(g->attrs));
    return;
  }
  cn_kernel_gradient_attrs a = {.conv = *(const cn_conv_attrs *)g->attrs};
  a.conv.spatial = k.rank - 2;
  for (int i = 0; i < k.rank - 2; i++) a.size[i] = k.shape[i];
  if (g->wanted[0]) g->dx[0] = to_inputs(g);
  if (g->wanted[1]) g->dx[1] = cn_g2(g, &cn_op_kernel_gradient, &a, g->in[0], g->dy[0]);
  if (g->n_in > 2 && g->wanted[2]) g->dx[2] = cn_g_sum_rows(g, g->dy[0]);
}

static const cn_field fields[] = {
  CN_STRIDE_FIELD(cn_conv_attrs), CN_DILATION_FIELD(cn_conv_attrs), CN_PAD_FIELDS(cn_conv_attrs),
  {"groups", NULL, CN_F_INT, offsetof(cn_conv_attrs, groups), .standard = "1", .min = 1, .max = 1e9,
   .help = CN_HELP("channels and filters fall into so many parts that do not meet")},
  {0},
};

const cn_op cn_op_conv = {
  .name = "conv",
  .help = CN_HELP("convolution over 1 to 3 dimensions\n"
                  "(x (b, s…, c), kernel (k…, c / groups, f), bias? (f), residual? (b, o…, f), scale? (f)) "
                  "-> (b, o…, f), "
                  "o = (s + pads - (k - 1) dilation - 1) / stride + 1\n"
                  "float32 kernels of 3 x 3 with stride 1 may take fewer multiplications (Winograd), which rounds "
                  "differently: not where the environment has CORNU_EXACT=1"),
  .flags = CN_OP_RESIDUAL | CN_OP_SCALE | CN_OP_PITCHED_OUT | CN_OP_SAMPLES, .pitched_in = 1 << 0 | 1 << 3,
  .min_in = 2, .max_in = 5, .n_out = 1,
  .attrs_size = sizeof(cn_conv_attrs), .fields = fields, .act_offset = offsetof(cn_conv_attrs, act),
  .packed_in = 1 << 1, .check = check, .shape = shape, .plan = plan,
  .gradient = CN_GRADIENT(gradient),
};
