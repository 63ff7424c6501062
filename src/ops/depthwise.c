/* depthwise_conv: every channel by itself with `multiplier` kernels. The weights are used as they lie. */
#include "base/text.h"
#include "ops/conv_fields.h"
#include "ops/product.h"
#include "ops/window.h"

static cn_status shape(cn_typing *t, cn_error *e) {
  static const char *const op = "depthwise_conv";
  const cn_conv_attrs *a = t->attrs;
  const cn_type *x = &t->in[0], *kernel = &t->in[1];
  int n;
  CN_TRY(cn_spatial_floats(op, x, kernel, e));
  CN_TRY(cn_spatial_rank(op, x, a->spatial, &a->named, &n, e));
  CN_TRY(cn_want_rank(kernel, "depthwise_conv: kernel", n + 2, n + 2, e));
  int64_t channels = x->shape[n + 1], filters = cn_dim_mul(kernel->shape[n], kernel->shape[n + 1]);
  if (!cn_dims_agree(channels, kernel->shape[n]))
    return cn_fail(e, CORNU_ERR_SHAPE, "%s: input has %lld channels, the kernel %s needs %lld", op, (long long)channels,
                   CN_SHAPE(kernel->rank, kernel->shape), (long long)kernel->shape[n]);
  CN_TRY(cn_conv_bias(op, t, filters, e));
  t->out[0] = (cn_type){.dtype = x->dtype, .rank = n + 2, .shape = {x->shape[0]}};
  t->out[0].shape[n + 1] = filters;
  for (int i = 0; i < n; i++)
    CN_TRY(cn_spatial_out(op, i, x->shape[i + 1], kernel->shape[i], a->stride[i], a->dilation[i], a->pad_begin[i],
                          a->pad_end[i], &t->out[0].shape[i + 1], e));
  return cn_check_residual(op, t, e);
}

typedef struct state {
  cn_sliding window;
  cn_spatial source;      /* before its channels are repeated */
  int64_t multiplier, chunk;
  cn_act act;
  void *scaled;           /* the kernel times the scale; NULL: the kernel as it lies, or scaled at each run */
  size_t room;            /* for the latter, in the scratch */
} state;

/* The kernel with each channel multiplied by its scale. */
static const void *scale_kernel(const cn_step *s, void *to) {
  const int64_t channels = ((const state *)s->state)->window.g.channels, size = s->in[1]->size;
  const void *kernel = s->in[1]->data, *scale = cn_optional(s, 4);
  for (int64_t i = 0; i < size; i++)
    if (s->in[1]->dtype == CORNU_FLOAT64)
      ((double *)to)[i] = ((const double *)kernel)[i] * ((const double *)scale)[i % channels];
    else ((float *)to)[i] = ((const float *)kernel)[i] * ((const float *)scale)[i % channels];
  return to;
}

static const void *weights_of(const cn_step *s) {
  const state *st = s->state;
  if (st->scaled || !cn_optional_operand(s, 4)) return st->scaled ? st->scaled : s->in[1]->data;
  return scale_kernel(s, (char *)s->scratch + st->room);
}

static void run_depthwise(const cn_step *s) {
  const state *st = s->state;
  const cn_spatial *g = &st->window.g;
  const cn_operand *residual = cn_optional_operand(s, 3);
  cn_epilogue epilogue = {.bias = cn_optional(s, 2), .act = &st->act, .add = residual ? residual->data : NULL,
                          .add_pitch = residual ? residual->pitch : 0};
  const size_t item = st->window.item;
  void (*kernel)(const cn_window_call *) = cn_window_of(item)->depthwise;
  const void *x = s->in[0]->data, *weights = weights_of(s);
  if (st->multiplier == 1) {
    cn_window_run(&st->window, kernel, x, weights, &epilogue, s->out[0]->data, g->batch);
    return;
  }
  static const int64_t none[3] = {0, 0, 0};
  const int64_t in = g->in[0] * g->in[1] * g->in[2] * st->source.pitch;
  const int64_t pixels = g->out[0] * g->out[1] * g->out[2];
  for (int64_t i = 0; i < g->batch; i += st->chunk) {
    int64_t images = i + st->chunk < g->batch ? st->chunk : g->batch - i;
    cn_spatial_copy(item, s->scratch, cn_nth(x, i * in, item), &st->source, none, g->in, images, st->multiplier);
    if (residual) epilogue.add = cn_nth(residual->data, i * pixels * residual->pitch, item);
    cn_window_run(&st->window, kernel, s->scratch, weights, &epilogue,
                  cn_nth(s->out[0]->data, i * pixels * st->window.out_pitch, item), images);
  }
}

static cn_status plan_scale(struct cn_planner *p, cn_step *s, state *st, cn_error *e) {
  const cn_operand *scale = cn_optional_operand(s, 4);
  const size_t bytes = (size_t)s->in[1]->size * st->window.item;
  if (!scale) return CORNU_OK;
  if (scale->constant && s->in[1]->constant) {
    st->scaled = cn_plan_memory(p, bytes);
    if (!st->scaled) return cn_no_memory(e);
    scale_kernel(s, st->scaled);
    return CORNU_OK;
  }
  st->room = (s->scratch_bytes + 63) & ~(size_t)63;
  s->scratch_bytes = st->room + bytes;
  return CORNU_OK;
}

cn_status cn_depthwise_plan(struct cn_planner *p, cn_step *s, const cn_spatial *g, int64_t multiplier,
                            const cn_act *act, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  st->source = st->window.g = *g;
  st->window.g.channels *= multiplier;
  st->window.item = cornu_dtype_bytes(s->out[0]->dtype);
  st->window.in_pitch = multiplier == 1 ? g->pitch : st->window.g.channels;
  st->window.out_pitch = s->out[0]->pitch;
  st->multiplier = multiplier;
  st->act = *act;
  s->run = run_depthwise;
  s->flops = 2.0 * (double)s->out[0]->size * (double)(g->kernel[0] * g->kernel[1] * g->kernel[2]);
  if (multiplier != 1) {
    int64_t values = g->in[0] * g->in[1] * g->in[2] * st->window.g.channels;
    st->chunk = cn_spatial_chunk(g->batch, values);
    s->scratch_bytes = (size_t)(st->chunk * values) * st->window.item;
  }
  if (s->out[0]->size == 0) st->window.g.batch = 0;
  CN_TRY(plan_scale(p, s, st, e));
  return cn_window_plan(p, &st->window, CN_SCALE_NONE, e);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_conv_attrs *a = s->attrs;
  const int n = s->in[0]->rank - 2;
  const int64_t *kernel = s->in[1]->shape;
  cn_spatial g;
  cn_spatial_fill(&g, s->in[0], s->out[0], n);
  cn_spatial_lift(g.kernel, kernel, n, 1);
  cn_spatial_lift(g.stride, a->stride, n, 1);
  cn_spatial_lift(g.dilation, a->dilation, n, 1);
  cn_spatial_lift(g.pad, a->pad_begin, n, 0);
  return cn_depthwise_plan(p, s, &g, kernel[n + 1], &a->act, e);
}

static cn_status check(void *attrs, cn_error *e) {
  cn_conv_attrs *a = attrs;
  CN_TRY(cn_spatial_spread("strides", &a->named.stride, 1, 1, a->stride, e));
  CN_TRY(cn_spatial_spread("dilation_rate", &a->named.dilation, 1, 1, a->dilation, e));
  CN_TRY(cn_spatial_spread("pad_begin", &a->named.pad_begin, 0, 0, a->pad_begin, e));
  return cn_spatial_spread("pad_end", &a->named.pad_end, 0, 0, a->pad_end, e);
}

/* ---- the gradient: see depthwise_gradient.c ---- */

static void gradient(cn_gradient *g) {
  const cn_type k = *cn_gradient_type(g, g->in[1]);
  cn_depthwise_gradient(g, k.shape[k.rank - 1]);
}

static const cn_field fields[] = {CN_STRIDE_FIELD(cn_conv_attrs), CN_DILATION_FIELD(cn_conv_attrs),
                                  CN_PAD_FIELDS(cn_conv_attrs), {0}};

const cn_op cn_op_depthwise_conv = {
  .name = "depthwise_conv",
  .help = CN_HELP("convolution of every channel by itself\n"
                  "(x (b, s…, c), kernel (k…, c, m), bias? (c m), residual? (b, o…, c m), scale? (c m)) -> "
                  "(b, o…, c m), "
                  "o = (s + pads - (k - 1) dilation - 1) / stride + 1"),
  .flags = CN_OP_RESIDUAL | CN_OP_SCALE | CN_OP_PITCHED_OUT | CN_OP_SAMPLES, .pitched_in = 1 << 0 | 1 << 3,
  .min_in = 2, .max_in = 5, .n_out = 1,
  .attrs_size = sizeof(cn_conv_attrs), .fields = fields, .act_offset = offsetof(cn_conv_attrs, act),
  .check = check, .shape = shape, .plan = plan,
  .gradient = CN_GRADIENT(gradient),
};
