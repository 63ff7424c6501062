/* Diagonals and triangles of the last two axes. */
#include <string.h>

#include "base/pool.h"
#include "ops/gradient.h"
#include "ops/ops.h"

static int64_t offset_of(const void *attrs) { return ((const cn_offset_attrs *)attrs)->offset; }

/* ---- diagonal ---- */

static int64_t diagonal_length(int64_t rows, int64_t columns, int64_t offset) {
  if (rows < 0 || columns < 0) return -1;
  if (offset < 0) rows += offset;
  else columns -= offset;
  int64_t n = rows < columns ? rows : columns;
  return n < 0 ? 0 : n;
}

static cn_status diagonal_shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0];
  CN_TRY(cn_want_rank(x, "diagonal", 2, CN_MAX_RANK, e));
  t->out[0] = *x;
  t->out[0].rank = x->rank - 1;
  t->out[0].shape[x->rank - 2] = diagonal_length(x->shape[x->rank - 2], x->shape[x->rank - 1], offset_of(t->attrs));
  return CORNU_OK;
}

static void diagonal_run(const cn_step *s) {
  const cn_operand *x = s->in[0], *y = s->out[0];
  int64_t rows = x->shape[x->rank - 2], columns = x->shape[x->rank - 1], n = y->shape[y->rank - 1];
  int64_t offset = offset_of(s->attrs), first = offset < 0 ? -offset * columns : offset;
  size_t size = cornu_dtype_bytes(x->dtype);
  for (int64_t i = 0; i < y->size; i++) {
    int64_t from = i / n * rows * columns + first + i % n * (columns + 1);
    memcpy((char *)y->data + (size_t)i * size, (const char *)x->data + (size_t)from * size, size);
  }
}

static cn_status diagonal_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = diagonal_run;
  return CORNU_OK;
}

/* ---- diag: a matrix with the vector on a diagonal ---- */

static int64_t magnitude(int64_t v) { return v < 0 ? -v : v; }

static cn_status diag_shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0];
  int64_t offset = magnitude(offset_of(t->attrs));
  CN_TRY(cn_want_rank(x, "diag", 1, CN_MAX_RANK - 1, e));
  t->out[0] = *x;
  t->out[0].rank = x->rank + 1;
  int64_t n = x->shape[x->rank - 1] < 0 ? -1 : x->shape[x->rank - 1] + offset;
  t->out[0].shape[x->rank - 1] = t->out[0].shape[x->rank] = n;
  return CORNU_OK;
}

static void diag_run(const cn_step *s) {
  const cn_operand *x = s->in[0], *y = s->out[0];
  int64_t n = x->shape[x->rank - 1], side = y->shape[y->rank - 1], offset = offset_of(s->attrs);
  int64_t first = offset < 0 ? -offset * side : offset;
  size_t size = cornu_dtype_bytes(x->dtype);
  memset(y->data, 0, (size_t)y->size * size);
  for (int64_t i = 0; i < x->size; i++) {
    int64_t to = i / n * side * side + first + i % n * (side + 1);
    memcpy((char *)y->data + (size_t)to * size, (const char *)x->data + (size_t)i * size, size);
  }
}

static cn_status diag_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = diag_run;
  return CORNU_OK;
}

/* ---- tril, triu ---- */

static cn_status triangle_shape(cn_typing *t, cn_error *e) {
  t->out[0] = t->in[0];
  return cn_want_rank(&t->in[0], "a triangle", 2, CN_MAX_RANK, e);
}

static void triangle_rows(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_operand *x = s->in[0], *y = s->out[0];
  int64_t rows = x->shape[x->rank - 2], columns = x->shape[x->rank - 1];
  size_t size = cornu_dtype_bytes(x->dtype);
  for (int64_t r = begin; r < end; r++) {
    bool lower = s->op == &cn_op_tril;
    int64_t edge = r % rows + offset_of(s->attrs) + lower; /* where the kept part ends, or begins */
    edge = edge < 0 ? 0 : edge > columns ? columns : edge;
    char *to = (char *)y->data + (size_t)(r * columns) * size;
    const char *from = (const char *)x->data + (size_t)(r * columns) * size;
    int64_t kept = lower ? 0 : edge, stop = lower ? edge : columns;
    memset(to, 0, (size_t)columns * size);
    memcpy(to + (size_t)kept * size, from + (size_t)kept * size, (size_t)(stop - kept) * size);
  }
}

static void triangle_run(const cn_step *s) {
  const cn_operand *x = s->in[0];
  int64_t columns = x->shape[x->rank - 1];
  if (x->size > 0) cn_parallel_range(x->size / columns, 16384 / columns + 1, triangle_rows, (void *)s);
}

static cn_status triangle_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = triangle_run;
  return CORNU_OK;
}

/* ---- Gradients ---- */

static void diagonal_gradient(cn_gradient *g) {
  const cn_type x = *cn_gradient_type(g, g->in[0]);
  const int64_t offset = offset_of(g->attrs), up = offset < 0 ? -offset : 0, left = offset > 0 ? offset : 0;
  const int64_t n = cn_gradient_type(g, g->dy[0])->shape[x.rank - 2];
  cn_pad_attrs around = {.before = {.n = x.rank, .v = {0}}, .after = {.n = x.rank, .v = {0}}};
  if (n == 0) return;
  around.before.v[x.rank - 2] = up, around.after.v[x.rank - 2] = x.shape[x.rank - 2] - up - n;
  around.before.v[x.rank - 1] = left, around.after.v[x.rank - 1] = x.shape[x.rank - 1] - left - n;
  g->dx[0] = cn_g1(g, &cn_op_pad, &around, cn_g1(g, &cn_op_diag, &(cn_offset_attrs){0}, g->dy[0]));
}
static void diag_gradient(cn_gradient *g) { g->dx[0] = cn_g1(g, &cn_op_diagonal, g->attrs, g->dy[0]); }
static void triangle_gradient(cn_gradient *g) { g->dx[0] = cn_g1(g, g->op, g->attrs, g->dy[0]); }

static const cn_field fields[] = {
    {.name = "offset", .aliases = "k", .kind = CN_F_INT, .offset = offsetof(cn_offset_attrs, offset), .standard = "0",
     .min = -1e9, .max = 1e9, .help = CN_HELP("which diagonal: above 0 to the right of the main one")},
    {0}};

#define MATRIX(ident, rule, planner, back, text) \
  const cn_op cn_op_##ident = { \
      .name = #ident,                                                                                                  \
      .help = CN_HELP(text), .min_in = 1, .max_in = 1, .n_out = 1, .attrs_size = sizeof(cn_offset_attrs),              \
      .fields = fields, .shape = rule, .plan = planner, .gradient = CN_GRADIENT(back)}
MATRIX(diagonal, diagonal_shape, diagonal_plan, diagonal_gradient, "a diagonal of each matrix\n(…, m, n) -> (…, k)");
MATRIX(diag, diag_shape, diag_plan, diag_gradient,
       "matrices with the vectors on a diagonal\n(…, n) -> (…, m, m), m = n + |offset|");
MATRIX(tril, triangle_shape, triangle_plan, triangle_gradient, "zeros above a diagonal\n(…, m, n) -> (…, m, n)");
MATRIX(triu, triangle_shape, triangle_plan, triangle_gradient, "zeros below a diagonal\n(…, m, n) -> (…, m, n)");
