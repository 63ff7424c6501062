/* dense: act(x @ kernel + bias) over the last axis. */
#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"
#include "ops/product.h"

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0], *kernel = &t->in[1], *bias = &t->in[2];
  if (x->dtype != CORNU_FLOAT32 && x->dtype != CORNU_FLOAT64)
    return cn_fail(e, CORNU_ERR_DTYPE, "dense: input is %s, needs float32 or float64: cast it first",
                   cornu_dtype_name(x->dtype));
  if (kernel->dtype != x->dtype)
    return cn_fail(e, CORNU_ERR_DTYPE, "dense: the kernel is %s, the input %s: cast one of them",
                   cornu_dtype_name(kernel->dtype), cornu_dtype_name(x->dtype));
  CN_TRY(cn_want_rank(x, "dense: input", 1, CN_MAX_RANK, e));
  CN_TRY(cn_want_rank(kernel, "dense: kernel", 2, 2, e));
  if (!cn_dims_agree(x->shape[x->rank - 1], kernel->shape[0]))
    return cn_fail(e, CORNU_ERR_SHAPE, "dense: input %s ends in %lld values, the kernel %s needs %lld",
                   CN_SHAPE(x->rank, x->shape), (long long)x->shape[x->rank - 1],
                   CN_SHAPE(2, kernel->shape), (long long)kernel->shape[0]);
  if (t->n_in > 2 && !CN_TYPE_ABSENT(bias)) {
    CN_TRY(cn_want_rank(bias, "dense: bias", 1, 1, e));
    if (bias->dtype != x->dtype || !cn_dims_agree(bias->shape[0], kernel->shape[1]))
      return cn_fail(e, CORNU_ERR_SHAPE, "dense: bias is %s %s, needs %s (%lld)", cornu_dtype_name(bias->dtype),
                     CN_SHAPE(1, bias->shape), cornu_dtype_name(x->dtype), (long long)kernel->shape[1]);
  }
  t->out[0] = *x;
  t->out[0].shape[x->rank - 1] = kernel->shape[1];
  return cn_check_residual("dense", t, e);
}

typedef struct state {
  cn_pack pack;
  cn_pack_part part;
  int64_t m, n, k, lda, ldc;
  int64_t tiles, panels;
} state;

static const cn_act *act_of(const cn_step *s) { return &((const cn_dense_attrs *)s->attrs)->act; }

static cn_epilogue epilogue_of(const cn_step *s) {
  const void *residual = cn_optional(s, 3);
  return (cn_epilogue){.bias = cn_optional(s, 2), .act = act_of(s), .add = residual,
                       .add_pitch = residual ? s->in[3]->pitch : 0};
}

static cn_gemm_call call_of(const cn_step *s, const void *packed) {
  const state *st = s->state;
  return (cn_gemm_call){.a = s->in[0]->data, .lda = st->lda, .segments = 1, .kc = st->k, .b = packed, .c = s->out[0]->data,
                        .ldc = st->ldc, .m = st->m, .n = st->n, .epilogue = epilogue_of(s)};
}

static void run_product(const cn_step *s) {
  const state *st = s->state;
  cn_pack pack = st->pack;
  pack.scale = cn_optional(s, 4);
  cn_grid g = {.call = call_of(s, cn_pack_ready(&pack, s->in[1]->data, s->scratch)), .outer = {1, 1, 1}, .groups = 1};
  cn_grid_run(st->pack.kernels, &g);
}

/* One call of the kernel: a product that takes less than a microsecond has no time for more. */
static void run_small(const cn_step *s) {
  const state *st = s->state;
  const cn_gemm_call call = call_of(s, st->pack.packed);
  st->pack.kernels->run(&call, 0, st->tiles, 0, st->panels);
}

static void column_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const size_t item = st->pack.kernels->item;
  cn_epilogue epilogue = epilogue_of(s);
  if (epilogue.add) epilogue.add = cn_nth(epilogue.add, begin * epilogue.add_pitch, item);
  st->pack.kernels->column(cn_nth(s->in[0]->data, begin * st->lda, item), st->lda, s->in[1]->data,
                           cn_nth(s->out[0]->data, begin * st->ldc, item), st->ldc, end - begin, st->k, &epilogue);
}

static void run_column(const cn_step *s) {
  const state *st = s->state;
  cn_parallel_range(st->m, 65536 / (st->k + 1) + 1, column_range, (void *)s);
}

static void run_nothing(const cn_step *s) { (void)s; }

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  cn_operand kernel = *s->in[1];
  const cn_operand *scale = s->n_in > 4 ? s->in[4] : NULL;
  if (scale && !scale->constant) kernel.constant = false; /* packed at each run */
  st->k = kernel.shape[0];
  st->n = kernel.shape[1];
  st->lda = s->in[0]->pitch;
  st->ldc = s->out[0]->pitch;
  st->m = st->n ? s->out[0]->size / st->n : 0;
  s->flops = 2.0 * (double)s->out[0]->size * (double)st->k;
  st->part = (cn_pack_part){.slices = 1, .kc = st->k};
  st->pack = (cn_pack){.kernels = cn_gemm_of(cornu_dtype_bytes(kernel.dtype)), .row = st->n, .column = 1, .n = st->n,
                       .parts = 1, .part = &st->part, .scale = scale ? scale->data : NULL};
  if (s->out[0]->size == 0) {
    s->run = run_nothing;
    return CORNU_OK;
  }
  if (st->n == 1 && !scale) {
    s->run = run_column;
    return CORNU_OK;
  }
  s->run = run_product;
  st->pack.bytes = cn_gemm_packed_bytes(st->pack.kernels, st->k, st->n);
  CN_TRY(cn_pack_plan(p, &st->pack, &kernel, "gemm", &s->scratch_bytes, e));
  st->tiles = cn_gemm_tiles(st->pack.kernels, st->m);
  st->panels = cn_gemm_panels(st->pack.kernels, st->n);
  if (st->pack.packed && cn_product_is_small(st->m, st->n, st->k)) s->run = run_small;
  return CORNU_OK;
}

/* Products of rows: dx = dy kernelᵀ, of the kernel xᵀ dy. Residual and scale are of passes, which come later. */
static void gradient(cn_gradient *g) {
  const cn_type x = *cn_gradient_type(g, g->in[0]), y = *cn_gradient_type(g, g->dy[0]);
  const int64_t k = x.shape[x.rank - 1], n = y.shape[y.rank - 1], m = cn_shape_size(x.rank - 1, x.shape);
  const cn_matmul_attrs left = {.transpose_a = true}, right = {.transpose_b = true};
  const cn_edge rows = cn_g_reshape(g, g->dy[0], 2, (const int64_t[]){m, n});
  if (g->wanted[0]) g->dx[0] = cn_g_as(g, cn_g2(g, &cn_op_matmul, &right, rows, g->in[1]), g->in[0]);
  if (g->wanted[1])
    g->dx[1] = cn_g2(g, &cn_op_matmul, &left, cn_g_reshape(g, g->in[0], 2, (const int64_t[]){m, k}), rows);
  if (g->n_in > 2 && g->wanted[2]) g->dx[2] = cn_g_sum_rows(g, rows);
}

const cn_op cn_op_dense = {
  .name = "dense",
  .help = CN_HELP("x @ kernel * scale + bias + residual over the last axis\n"
                  "(x (…, k), kernel (k, n), bias? (n), residual? (…, n), scale? (n)) -> (…, n)"),
  .flags = CN_OP_RESIDUAL | CN_OP_SCALE | CN_OP_PITCHED_OUT | CN_OP_SAMPLES, .pitched_in = 1 << 0 | 1 << 3,
  .min_in = 2, .max_in = 5, .n_out = 1,
  .attrs_size = sizeof(cn_dense_attrs), .act_offset = offsetof(cn_dense_attrs, act),
  .packed_in = 1 << 1, .shape = shape, .plan = plan,
  .gradient = CN_GRADIENT(gradient),
};
