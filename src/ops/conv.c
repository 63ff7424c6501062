/* conv: convolution over channels-last images as products of matrices, without im2col: the inputs that one row of the
 * kernel meets are contiguous, so a row of output pixels is a product whose left rows overlap, summed over the kernel's
 * rows (segments). A padded input is copied with its border first. */
#include "base/text.h"
#include "ops/conv_fields.h"
#include "ops/product.h"

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
  return CORNU_OK;
}

typedef struct state {
  cn_pack pack;
  cn_spatial g;
  cn_grid grid;           /* of one image; a, b, c and bias are filled in at run time */
  int64_t size[3], chunk; /* of the padded copy; images copied at a time */
  size_t padded;          /* where it lies in the scratch */
  bool copy;
} state;

static void run_conv(const cn_step *s) {
  const state *st = s->state;
  const cn_spatial *g = &st->g;
  cn_grid grid = st->grid;
  grid.call.b = cn_pack_ready(&st->pack, s->in[1]->data, s->scratch);
  grid.call.epilogue.bias = s->n_in > 2 && s->in[2] ? s->in[2]->data : NULL;
  const size_t item = st->pack.kernels->item;
  void *padded = (char *)s->scratch + st->padded;
  for (int64_t i = 0; i < g->batch; i += st->chunk) {
    int64_t images = i + st->chunk < g->batch ? st->chunk : g->batch - i;
    const void *from = cn_nth(s->in[0]->data, i * g->in[0] * g->in[1] * g->in[2] * g->channels, item);
    if (st->copy) cn_spatial_copy(item, padded, from, g, g->pad, st->size, images, 1);
    cn_grid part = grid;
    part.call.a = st->copy ? padded : from;
    part.call.c = cn_nth(s->out[0]->data, i * st->grid.c_step[0], item);
    part.outer[0] = images;
    cn_grid_fold(&part);
    cn_grid_run(st->pack.kernels, &part);
  }
}

/* Where in the input each segment begins. Inputs under one row of the kernel are contiguous unless they are spread by
 * dilation or belong to one group of several; then every place of the kernel is a segment. */
static cn_status plan_segments(struct cn_planner *p, state *st, int64_t group_channels, cn_error *e) {
  const cn_spatial *g = &st->g;
  const bool rows = g->dilation[2] == 1 && group_channels == g->channels;
  const int64_t places = rows ? 1 : g->kernel[2];
  cn_gemm_call *call = &st->grid.call;
  call->segments = g->kernel[0] * g->kernel[1] * places;
  call->kc = rows ? g->kernel[2] * g->channels : group_channels;
  int64_t *offset = cn_plan_memory(p, (size_t)call->segments * sizeof *offset);
  if (!offset) return cn_no_memory(e);
  call->offset = offset;
  for (int64_t z = 0; z < g->kernel[0]; z++)
    for (int64_t y = 0; y < g->kernel[1]; y++)
      for (int64_t k = 0; k < places; k++)
        *offset++ = ((z * g->dilation[0] * st->size[1] + y * g->dilation[1]) * st->size[2] + k * g->dilation[2]) *
                    g->channels;
  return CORNU_OK;
}

static void plan_grid(state *st, int64_t filters) {
  const cn_spatial *g = &st->g;
  const int64_t line = st->size[2] * g->channels, out_line = g->out[2] * filters;
  cn_grid *grid = &st->grid;
  grid->call.lda = g->stride[2] * g->channels;
  grid->call.ldc = filters;
  grid->call.m = g->out[2];
  grid->outer[1] = g->out[0];
  grid->outer[2] = g->out[1];
  grid->a_step[2] = g->stride[1] * line;
  grid->a_step[1] = g->stride[0] * st->size[1] * line;
  grid->a_step[0] = st->size[0] * st->size[1] * line;
  grid->c_step[2] = out_line;
  grid->c_step[1] = g->out[1] * out_line;
  grid->c_step[0] = g->out[0] * g->out[1] * out_line;
}

static cn_status plan_pack(struct cn_planner *p, cn_step *s, state *st, int64_t filters, int64_t groups, cn_error *e) {
  const int64_t rows = st->grid.call.segments * st->grid.call.kc, n = filters / groups;
  const size_t one = cn_gemm_packed_bytes(st->pack.kernels, rows, n);
  cn_pack_part *part = cn_plan_memory(p, (size_t)groups * sizeof *part);
  if (!part) return cn_no_memory(e);
  for (int64_t i = 0; i < groups; i++)
    part[i] = (cn_pack_part){.to = i * (int64_t)(one / st->pack.kernels->item), .from = i * n, .slices = 1, .kc = rows};
  st->pack.part = part;
  st->pack.parts = (int)groups;
  st->pack.bytes = one * (size_t)groups;
  st->pack.row = filters;
  st->pack.column = 1;
  st->pack.n = st->grid.call.n = n;
  st->grid.groups = groups;
  st->grid.a_group = st->g.channels / groups;
  st->grid.b_group = (int64_t)(one / st->pack.kernels->item);
  return cn_pack_plan(p, &st->pack, s->in[1], "gemm", &s->scratch_bytes, e);
}

/* The step's geometry; size: the input with its border, as far as windows reach. */
static void plan_geometry(const cn_step *s, cn_spatial *g, int64_t size[3], bool *copy) {
  const cn_conv_attrs *a = s->attrs;
  const int n = s->in[0]->rank - 2;
  cn_spatial_fill(g, s->in[0], s->out[0], n);
  cn_spatial_lift(g->kernel, s->in[1]->shape, n, 1);
  cn_spatial_lift(g->stride, a->stride, n, 1);
  cn_spatial_lift(g->dilation, a->dilation, n, 1);
  cn_spatial_lift(g->pad, a->pad_begin, n, 0);
  *copy = false;
  for (int i = 0; i < 3; i++) {
    size[i] = cn_spatial_extent(g, i);
    if (g->pad[i] || size[i] > g->in[i]) *copy = true;
  }
  for (int i = 0; i < 3 && !*copy; i++) size[i] = g->in[i];
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
  plan_geometry(s, &st->g, st->size, &st->copy);
  if (group_channels == 1 && groups > 1) return cn_depthwise_plan(p, s, &st->g, filters / groups, &a->act, e);
  st->pack.kernels = cn_gemm_of(cornu_dtype_bytes(kernel->dtype));
  CN_TRY(plan_segments(p, st, group_channels, e));
  plan_grid(st, filters);
  st->grid.call.epilogue.act = &a->act;
  CN_TRY(plan_pack(p, s, st, filters, groups, e));
  st->chunk = st->g.batch;
  if (st->copy) {
    int64_t values = st->grid.a_step[0];
    st->chunk = cn_spatial_chunk(st->g.batch, values);
    st->padded = s->scratch_bytes;
    s->scratch_bytes += (size_t)(st->chunk * values) * st->pack.kernels->item;
  }
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

static const cn_field fields[] = {
  CN_STRIDE_FIELD(cn_conv_attrs), CN_DILATION_FIELD(cn_conv_attrs), CN_PAD_FIELDS(cn_conv_attrs),
  {"groups", NULL, CN_F_INT, offsetof(cn_conv_attrs, groups), "1", 1, 1e9,
   .help = "channels and filters fall into so many parts that do not meet"},
  {0},
};

const cn_op cn_op_conv = {
  .name = "conv",
  .help = "convolution over 1 to 3 dimensions\n"
          "(x (b, s…, c), kernel (k…, c / groups, f), bias? (f)) -> (b, o…, f), "
          "o = (s + pads - (k - 1) dilation - 1) / stride + 1",
  .min_in = 2, .max_in = 3, .n_out = 1,
  .attrs_size = sizeof(cn_conv_attrs), .fields = fields, .act_offset = offsetof(cn_conv_attrs, act),
  .check = check, .shape = shape, .plan = plan,
};
