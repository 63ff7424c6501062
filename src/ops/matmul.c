/* matmul: products of matrices and vectors as NumPy has them, leading dimensions broadcast. */
#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"
#include "ops/product.h"

/* One side of a product seen as (…, rows, columns): a vector is one row on the left, one column on the right. */
typedef struct side {
  int batch_rank;
  const int64_t *batch;
  int64_t rows, columns;
  int64_t row, column;  /* pitches; 0 where the sizes are unknown */
  bool vector;
} side;

static side look(int rank, const int64_t *shape, bool right, bool transpose) {
  if (rank == 1)
    return right ? (side){.rows = shape[0], .columns = 1, .row = 1, .column = 1, .vector = true}
                 : (side){.rows = 1, .columns = shape[0], .row = shape[0], .column = 1, .vector = true};
  int64_t r = shape[rank - 2], c = shape[rank - 1];
  if (transpose) return (side){.batch_rank = rank - 2, .batch = shape, .rows = c, .columns = r, .row = 1, .column = c};
  return (side){.batch_rank = rank - 2, .batch = shape, .rows = r, .columns = c, .row = c, .column = 1};
}

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_matmul_attrs *attrs = t->attrs;
  const cn_type *a = &t->in[0], *b = &t->in[1];
  if (a->dtype != b->dtype || (a->dtype != CORNU_FLOAT32 && a->dtype != CORNU_FLOAT64))
    return cn_fail(e, CORNU_ERR_DTYPE, "matmul: %s times %s: both must be float32 or both float64, cast them first",
                   cornu_dtype_name(a->dtype), cornu_dtype_name(b->dtype));
  CN_TRY(cn_want_rank(a, "matmul: the left side", 1, CN_MAX_RANK, e));
  CN_TRY(cn_want_rank(b, "matmul: the right side", 1, CN_MAX_RANK, e));
  side l = look(a->rank, a->shape, false, attrs->transpose_a), r = look(b->rank, b->shape, true, attrs->transpose_b);
  if (!cn_dims_agree(l.columns, r.rows))
    return cn_fail(e, CORNU_ERR_SHAPE, "matmul: %s%s times %s%s: %lld columns meet %lld rows",
                   CN_SHAPE(a->rank, a->shape), attrs->transpose_a && a->rank > 1 ? " transposed" : "",
                   CN_SHAPE(b->rank, b->shape),
                   attrs->transpose_b && b->rank > 1 ? " transposed" : "", (long long)l.columns, (long long)r.rows);
  cn_type *out = &t->out[0];
  *out = (cn_type){.dtype = a->dtype};
  if (cn_shape_broadcast(l.batch_rank, l.batch, r.batch_rank, r.batch, &out->rank, out->shape, e))
    return cn_at(e, CORNU_ERR_SHAPE, "matmul: leading dimensions of %s and %s", CN_SHAPE(a->rank, a->shape),
                 CN_SHAPE(b->rank, b->shape));
  if (!l.vector) out->shape[out->rank++] = l.rows;
  if (!r.vector) out->shape[out->rank++] = r.columns;
  return CORNU_OK;
}

typedef struct state {
  cn_pack pack;
  int64_t batch, m, n, k;      /* products, and the size of each */
  side a, b;
  const int64_t *a_of, *b_of;  /* for each product the index of its matrix in a and in b */
  int64_t a_count, b_count;    /* matrices in a, in b */
  int64_t part_items;          /* of one packed matrix */
  size_t turned;               /* where the scratch holds a with its rows contiguous */
  bool turn;
} state;

static int64_t count_of(const side *s) {
  int64_t n = 1;
  for (int i = 0; i < s->batch_rank; i++) n *= s->batch[i];
  return n;
}

/* Index of the matrix of `s` that takes part in product `i` of the broadcast batch. */
static int64_t matrix_of(const side *s, int rank, const int64_t *batch, int64_t i) {
  int64_t index = 0, stride = 1;
  for (int d = rank - 1, own = s->batch_rank - 1; d >= 0; d--, own--) {
    int64_t at = i % batch[d];
    i /= batch[d];
    if (own < 0) continue;
    if (s->batch[own] != 1) index += at * stride;
    stride *= s->batch[own];
  }
  return index;
}

static void product_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const cn_gemm_kernels *kernels = st->pack.kernels;
  const size_t item = kernels->item;
  const void *a = st->turn ? (char *)s->scratch + st->turned : s->in[0]->data;
  const void *b = st->pack.packed ? st->pack.packed : s->scratch;
  int64_t tiles = cn_gemm_tiles(kernels, st->m), panels = cn_gemm_panels(kernels, st->n);
  while (begin < end) {
    int64_t i = begin / tiles, first = begin % tiles, last = first + (end - begin);
    if (last > tiles) last = tiles;
    cn_gemm_call call = {.a = cn_nth(a, st->a_of[i] * st->m * st->k, item), .lda = st->k, .segments = 1, .kc = st->k,
                         .b = cn_nth(b, st->b_of[i] * st->part_items, item),
                         .c = cn_nth(s->out[0]->data, i * st->m * st->n, item), .ldc = st->n, .m = st->m, .n = st->n};
    kernels->run(&call, first, last, 0, panels);
    begin += last - first;
  }
}

static void turn_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const int64_t size = st->m * st->k;
  const size_t item = st->pack.kernels->item;
  void *to = (char *)s->scratch + st->turned;
  for (int64_t i = begin; i < end; i++)
    cn_transpose_items(item, cn_nth(to, i * size, item), st->k, cn_nth(s->in[0]->data, i * size, item), st->m, st->k,
                       st->m);
}

static void run_products(const cn_step *s) {
  const state *st = s->state;
  const void *b = cn_pack_ready(&st->pack, s->in[1]->data, s->scratch);
  if (st->turn) cn_parallel_range(st->a_count, 65536 / (st->m * st->k + 1) + 1, turn_range, (void *)s);
  if (st->batch == 1) {
    const void *a = st->turn ? (char *)s->scratch + st->turned : s->in[0]->data;
    cn_grid g = {.call = {.a = a, .lda = st->k, .segments = 1, .kc = st->k, .b = b, .c = s->out[0]->data, .ldc = st->n,
                          .m = st->m, .n = st->n},
                 .outer = {1, 1, 1}, .groups = 1};
    cn_grid_run(st->pack.kernels, &g);
    return;
  }
  int64_t tiles = cn_gemm_tiles(st->pack.kernels, st->m);
  int64_t work = st->m * st->n * (st->k + 1) / tiles; /* of a tile */
  cn_parallel_range(st->batch * tiles, 100000 / (work + 1) + 1, product_range, (void *)s);
}

/* Dot products: of a's rows with one column, or (`swapped`) of one row with b's columns, all contiguous along k. */
static void dot_products(const cn_step *s, int64_t begin, int64_t end, bool swapped) {
  const state *st = s->state;
  const cn_epilogue none = {0};
  const void *a = s->in[0]->data, *b = s->in[1]->data;
  const size_t item = st->pack.kernels->item;
  int64_t length = swapped ? st->n : st->m;
  while (begin < end) {
    int64_t i = begin / length, first = begin % length, last = first + (end - begin);
    if (last > length) last = length;
    const void *x = cn_nth(a, st->a_of[i] * st->m * st->k, item), *y = cn_nth(b, st->b_of[i] * st->k * st->n, item);
    st->pack.kernels->column(cn_nth(swapped ? y : x, first * st->k, item), st->k, swapped ? x : y,
                             cn_nth(s->out[0]->data, i * length + first, item), 1, last - first, st->k, &none);
    begin += last - first;
  }
}
static void dot_range(void *s, int64_t begin, int64_t end) { dot_products(s, begin, end, false); }
static void swapped_range(void *s, int64_t begin, int64_t end) { dot_products(s, begin, end, true); }

static void run_column(const cn_step *s) {
  const state *st = s->state;
  cn_parallel_range(st->batch * st->m, 65536 / (st->k + 1) + 1, dot_range, (void *)s);
}
static void run_row(const cn_step *s) {
  const state *st = s->state;
  cn_parallel_range(st->batch * st->n, 65536 / (st->k + 1) + 1, swapped_range, (void *)s);
}

static void run_nothing(const cn_step *s) { (void)s; }

/* Which matrices meet. Where one matrix b serves all of a, a's matrices are one tall one. */
static cn_status plan_batch(struct cn_planner *p, state *st, cn_error *e) {
  int64_t batch[CN_MAX_RANK];
  int rank = 0;
  CN_TRY(cn_shape_broadcast(st->a.batch_rank, st->a.batch, st->b.batch_rank, st->b.batch, &rank, batch, e));
  st->batch = 1;
  for (int i = 0; i < rank; i++) st->batch *= batch[i];
  st->a_count = count_of(&st->a);
  st->b_count = count_of(&st->b);
  if (st->b_count == 1 && st->a_count == st->batch && st->a.column == 1 && st->a.row == st->k) {
    st->m *= st->batch;
    st->batch = st->a_count = 1;
  }
  int64_t *of = cn_plan_memory(p, 2 * (size_t)st->batch * sizeof *of);
  if (!of) return cn_no_memory(e);
  for (int64_t i = 0; i < st->batch && st->batch > 1; i++) {
    of[i] = matrix_of(&st->a, rank, batch, i);
    of[st->batch + i] = matrix_of(&st->b, rank, batch, i);
  }
  st->a_of = of;
  st->b_of = of + st->batch;
  return CORNU_OK;
}

static cn_status plan_pack(struct cn_planner *p, cn_step *s, state *st, cn_error *e) {
  size_t one = cn_gemm_packed_bytes(st->pack.kernels, st->k, st->n);
  cn_pack_part *part = cn_plan_memory(p, (size_t)st->b_count * sizeof *part);
  if (!part) return cn_no_memory(e);
  st->part_items = (int64_t)(one / st->pack.kernels->item);
  for (int64_t i = 0; i < st->b_count; i++)
    part[i] = (cn_pack_part){.to = i * st->part_items, .from = i * st->k * st->n, .slices = 1, .kc = st->k};
  st->pack.part = part;
  st->pack.parts = (int)st->b_count;
  st->pack.bytes = one * (size_t)st->b_count;
  st->pack.row = st->b.row;
  st->pack.column = st->b.column;
  st->pack.n = st->n;
  return cn_pack_plan(p, &st->pack, s->in[1], "gemm", &s->scratch_bytes, e);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_matmul_attrs *attrs = s->attrs;
  const cn_operand *a = s->in[0], *b = s->in[1];
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  st->pack.kernels = cn_gemm_of(cornu_dtype_bytes(a->dtype));
  st->a = look(a->rank, a->shape, false, attrs->transpose_a);
  st->b = look(b->rank, b->shape, true, attrs->transpose_b);
  st->m = st->a.rows;
  st->k = st->a.columns;
  st->n = st->b.columns;
  s->flops = 2.0 * (double)s->out[0]->size * (double)st->k;
  if (s->out[0]->size == 0) {
    s->run = run_nothing;
    return CORNU_OK;
  }
  CN_TRY(plan_batch(p, st, e));
  bool a_rows = st->a.column == 1, b_columns = st->b.row == 1; /* contiguous along k */
  if (st->n == 1 && a_rows) {
    s->run = run_column;
    return CORNU_OK;
  }
  if (st->m == 1 && b_columns) {
    s->run = run_row;
    return CORNU_OK;
  }
  CN_TRY(plan_pack(p, s, st, e));
  st->turn = !a_rows && st->m > 1;
  if (st->turn) {
    st->turned = s->scratch_bytes;
    s->scratch_bytes += (size_t)(st->a_count * st->m * st->k) * st->pack.kernels->item;
  }
  s->run = run_products;
  return CORNU_OK;
}

#define AT(member) offsetof(cn_matmul_attrs, member)
static cn_edge product(cn_gradient *g, cn_edge a, bool transpose_a, cn_edge b, bool transpose_b) {
  const cn_matmul_attrs attrs = {transpose_a, transpose_b};
  return cn_g2(g, &cn_op_matmul, &attrs, a, b);
}

/* A vector as a matrix of one row, or of one column. */
static cn_edge as_matrix(cn_gradient *g, cn_edge a, bool right) {
  const cn_type t = *cn_gradient_type(g, a);
  if (t.rank > 1) return a;
  return cn_g_reshape(g, a, 2, right ? (const int64_t[]){t.shape[0], 1} : (const int64_t[]){1, t.shape[0]});
}

static void gradient(cn_gradient *g) {
  const cn_matmul_attrs *attrs = g->attrs;
  const bool a_vector = cn_gradient_type(g, g->in[0])->rank == 1, b_vector = cn_gradient_type(g, g->in[1])->rank == 1;
  const bool ta = attrs->transpose_a && !a_vector, tb = attrs->transpose_b && !b_vector;
  const cn_edge a = as_matrix(g, g->in[0], false), b = as_matrix(g, g->in[1], true);
  cn_type y = *cn_gradient_type(g, g->dy[0]);
  if (b_vector) y.shape[y.rank++] = 1;
  if (a_vector) { /* one row before the columns */
    y.shape[y.rank] = y.shape[y.rank - 1];
    y.shape[y.rank++ - 1] = 1;
  }
  const cn_edge dy = cn_g_reshape(g, g->dy[0], y.rank, y.shape);
  if (g->wanted[0]) {
    const cn_edge da = ta ? product(g, b, tb, dy, true) : product(g, dy, false, b, !tb);
    g->dx[0] = cn_g_as(g, cn_g_unbroadcast(g, da, a), g->in[0]);
  }
  if (g->wanted[1]) {
    const cn_edge db = tb ? product(g, dy, true, a, ta) : product(g, a, !ta, dy, false);
    g->dx[1] = cn_g_as(g, cn_g_unbroadcast(g, db, b), g->in[1]);
  }
}

static const cn_field fields[] = {
  {"transpose_a", NULL, CN_F_BOOL, AT(transpose_a), .standard = "false",
   .help = CN_HELP("swap the last two axes of the left side")},
  {"transpose_b", NULL, CN_F_BOOL, AT(transpose_b), .standard = "false",
   .help = CN_HELP("swap the last two axes of the right side")},
  {0},
};

const cn_op cn_op_matmul = {
  .name = "matmul",
  .help = CN_HELP("matrix product\n"
                  "(a (…, m, k), b (…, k, n)) -> (…, m, n); leading dimensions broadcast, a vector counts "
                  "as a row on the left "
                  "and as a column on the right"),
  .min_in = 2, .max_in = 2, .n_out = 1,
  .attrs_size = sizeof(cn_matmul_attrs), .fields = fields,
  .shape = shape, .plan = plan, .gradient = CN_GRADIENT(gradient),
};
