/* pool: the maximum or the average of sliding windows. */
#include "base/text.h"
#include "ops/conv_fields.h"
#include "ops/window.h"

static cn_status shape(cn_typing *t, cn_error *e) {
  static const char *const op = "pool";
  const cn_pool_attrs *a = t->attrs;
  const cn_type *x = &t->in[0];
  int n;
  CN_TRY(cn_spatial_floats(op, x, NULL, e));
  CN_TRY(cn_spatial_rank(op, x, a->spatial, &a->named, &n, e));
  t->out[0] = *x;
  for (int i = 0; i < n; i++)
    CN_TRY(cn_spatial_out(op, i, x->shape[i + 1], a->size[i], a->stride[i], 1, a->pad_begin[i], a->pad_end[i],
                          &t->out[0].shape[i + 1], e));
  return CORNU_OK;
}

static void run_pool(const cn_step *s) {
  const cn_sliding *w = s->state;
  const cn_pool_attrs *a = s->attrs;
  const cn_window_kernels *kernels = cn_window_of(w->item);
  cn_window_run(w, a->average ? kernels->average : kernels->maximum, s->in[0]->data, NULL, NULL,
                s->out[0]->data, w->g.batch);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_pool_attrs *a = s->attrs;
  const int n = s->in[0]->rank - 2;
  cn_sliding *w = s->state = cn_plan_memory(p, sizeof *w);
  if (!w) return cn_no_memory(e);
  static const int64_t one[3] = {1, 1, 1};
  cn_spatial_fill(&w->g, s->in[0], s->out[0], n);
  cn_spatial_lift(w->g.kernel, a->size, n, 1);
  cn_spatial_lift(w->g.stride, a->stride, n, 1);
  cn_spatial_lift(w->g.dilation, one, n, 1);
  cn_spatial_lift(w->g.pad, a->pad_begin, n, 0);
  w->item = cornu_dtype_bytes(s->in[0]->dtype);
  w->in_pitch = s->in[0]->pitch;
  w->out_pitch = s->out[0]->pitch;
  if (s->out[0]->size == 0) w->g.batch = 0;
  s->run = run_pool;
  s->flops = (double)s->out[0]->size * (double)(w->g.kernel[0] * w->g.kernel[1] * w->g.kernel[2]);
  return cn_window_plan(p, w, !a->average ? CN_SCALE_NONE : a->count_padding ? CN_SCALE_WHOLE : CN_SCALE_INSIDE, e);
}

static cn_status check(void *attrs, cn_error *e) {
  cn_pool_attrs *a = attrs;
  CN_TRY(cn_spatial_spread("pool_size", &a->named.size, 2, 1, a->size, e));
  if (a->named.stride.n > 0) CN_TRY(cn_spatial_spread("strides", &a->named.stride, 1, 1, a->stride, e));
  else
    for (int i = 0; i < 3; i++) a->stride[i] = a->size[i];
  CN_TRY(cn_spatial_spread("pad_begin", &a->named.pad_begin, 0, 0, a->pad_begin, e));
  return cn_spatial_spread("pad_end", &a->named.pad_end, 0, 0, a->pad_end, e);
}

static void gradient(cn_gradient *g) {
  g->dx[0] = cn_gradient_emit(g, &cn_op_pool_gradient, g->attrs, (cn_edge[]){g->in[0], g->out[0], g->dy[0]}, 3);
}

static const cn_field fields[] = {
  {"pool_size", "size", CN_F_INTS, CN_NAMED(cn_pool_attrs, size), .standard = "2",
   .help = CN_HELP("size of the window: one number, or one a dimension")},
  {"strides", "stride", CN_F_INTS, CN_NAMED(cn_pool_attrs, stride), .standard = "null",
   .help = CN_HELP("step of the window; by default its size")},
  CN_PAD_FIELDS(cn_pool_attrs),
  {"average", NULL, CN_F_BOOL, offsetof(cn_pool_attrs, average), .standard = "false",
   .help = CN_HELP("the average instead of the maximum")},
  {"count_padding", NULL, CN_F_BOOL, offsetof(cn_pool_attrs, count_padding), .standard = "false",
   .help = CN_HELP("the average divides by the size of the window, also where it reaches into the padding")},
  {0},
};

const cn_op cn_op_pool = {
  .name = "pool",
  .help = CN_HELP("maximum or average of sliding windows\n"
                  "(x (b, s…, c)) -> (b, o…, c), o = (s + pads - size) / stride + 1; padding and NaN"
                  " never win a maximum, which is at least the lowest finite number"),
  .flags = CN_OP_PITCHED_OUT | CN_OP_SAMPLES, .pitched_in = 1,
  .min_in = 1, .max_in = 1, .n_out = 1,
  .attrs_size = sizeof(cn_pool_attrs), .fields = fields,
  .check = check, .shape = shape, .plan = plan, .gradient = CN_GRADIENT(gradient),
};
