/* QR, singular values, eigenvalues of symmetric matrices, and least squares by them. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/deadline.h"
#include "base/text.h"
#include "kernels/decompose.h"
#include "ops/matrix.h"
#include "ops/ops.h"

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static bool full(const cn_step *s) { return ((const cn_full_attrs *)s->attrs)->full; }

/* ---- Routines ---- */

static bool qr(const cn_matrix_job *j) {
  int64_t columns = full(j->step) ? j->m : least(j->m, j->n);
  cn_qr(j->m, j->n, j->in[0], j->out[0], columns, NULL, j->work);
  memcpy(j->out[1], j->in[0], (size_t)(columns * j->n) * sizeof(double));
  return true;
}

static bool svd(const cn_matrix_job *j) {
  int64_t k = least(j->m, j->n), u = full(j->step) ? j->m : k, v = full(j->step) ? j->n : k;
  double *columns = j->work;
  cn_svd(j->m, j->n, j->in[0], j->out[0], u, j->out[1], columns, v, columns + j->n * v);
  for (int64_t i = 0; i < j->n; i++)
    for (int64_t c = 0; c < v; c++) j->out[2][c * j->n + i] = columns[i * v + c];
  return true;
}

/* The reduced form in work: u (m, k), v (n, k), then room. */
static double *reduced(const cn_matrix_job *j, double *s) {
  int64_t k = least(j->m, j->n);
  double *u = j->work, *v = u + j->m * k;
  cn_svd(j->m, j->n, j->in[0], u, k, s, v, k, v + j->n * k);
  return u;
}

static bool singular_values(const cn_matrix_job *j) {
  reduced(j, j->out[0]);
  return true;
}

static bool eigh(const cn_matrix_job *j) {
  int64_t n = j->n;
  if (j->step->in[0]->dtype == CORNU_FLOAT64) {
    cn_eigh_double(n, j->in[0], j->out[0], j->out[1], j->work);
    return true;
  }
  float *a = (float *)j->work, *vectors = a + n * n, *values = vectors + n * n;
  cn_convert(a, CORNU_FLOAT32, j->in[0], CORNU_FLOAT64, n * n);
  cn_eigh_float(n, a, values, vectors, values + n);
  cn_convert(j->out[0], CORNU_FLOAT64, values, CORNU_FLOAT32, n);
  cn_convert(j->out[1], CORNU_FLOAT64, vectors, CORNU_FLOAT32, n * n);
  return true;
}

/* out (n, columns) = v diag(1 / s) u' b, singular values below the limit left out; b NULL: the identity. */
static void pseudo_solve(const cn_matrix_job *j, double limit, bool at_limit, const double *s, const double *b,
                         int64_t columns) {
  int64_t k = least(j->m, j->n);
  const double *u = j->work, *v = u + j->m * k;
  memset(j->out[0], 0, (size_t)(j->n * columns) * sizeof(double));
  for (int64_t i = 0; i < k; i++) {
    if (!(s[i] > limit || (at_limit && s[i] == limit))) continue;
    for (int64_t c = 0; c < columns && !cn_past_deadline(); c++) {
      double inner = b ? 0 : u[c * k + i];
      for (int64_t r = 0; b && r < j->m; r++) inner += u[r * k + i] * b[r * columns + c];
      for (int64_t r = 0; r < j->n; r++) j->out[0][r * columns + c] += v[r * k + i] * (inner / s[i]);
    }
  }
}

static double epsilon(const cn_matrix_job *j) {
  return j->step->in[0]->dtype == CORNU_FLOAT64 ? DBL_EPSILON : (double)FLT_EPSILON;
}

static double *values_room(const cn_matrix_job *j) {
  int64_t k = least(j->m, j->n);
  return j->work + j->m * k + j->n * k + cn_svd_work(j->m, j->n, k, k);
}

static bool pinv(const cn_matrix_job *j) {
  double rcond = ((const cn_rcond_attrs *)j->step->attrs)->rcond, *s = values_room(j);
  if (isnan(rcond)) rcond = 10 * (double)(j->m > j->n ? j->m : j->n) * epsilon(j);
  reduced(j, s);
  pseudo_solve(j, rcond * (j->m && j->n ? s[0] : 0), false, s, NULL, j->m);
  return true;
}

static bool lstsq(const cn_matrix_job *j) {
  double rcond = ((const cn_rcond_attrs *)j->step->attrs)->rcond, *s = values_room(j);
  if (isnan(rcond)) rcond = epsilon(j) * (double)(j->m > j->n ? j->m : j->n);
  else if (rcond < 0) rcond = epsilon(j);
  reduced(j, s);
  pseudo_solve(j, rcond * (j->m && j->n ? s[0] : 0), true, s, j->in[1], j->k);
  return true;
}

/* ---- Shapes ---- */

static cn_type with(const cn_type *x, int64_t rows, int64_t columns) {
  cn_type t = *x;
  t.shape[t.rank - 2] = rows;
  t.shape[t.rank - 1] = columns;
  return t;
}

/* -1 when one is unknown and the other does not settle it. */
static int64_t least_dim(const cn_type *x) {
  int64_t m = x->shape[x->rank - 2], n = x->shape[x->rank - 1];
  return m < 0 || n < 0 ? -1 : least(m, n);
}

static cn_status shape_qr(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0];
  CN_TRY(cn_want_matrix(x, "the matrix", false, e));
  int64_t m = x->shape[x->rank - 2], n = x->shape[x->rank - 1];
  int64_t k = ((const cn_full_attrs *)t->attrs)->full ? m : least_dim(x);
  t->out[0] = with(x, m, k);
  t->out[1] = with(x, k, n);
  return CORNU_OK;
}

static cn_status shape_values(cn_typing *t, cn_error *e) {
  CN_TRY(cn_want_matrix(&t->in[0], "the matrix", false, e));
  t->out[0] = with(&t->in[0], least_dim(&t->in[0]), 0);
  t->out[0].rank--;
  return CORNU_OK;
}

static cn_status shape_svd(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0];
  CN_TRY(shape_values(t, e));
  t->out[1] = t->out[0];
  int64_t m = x->shape[x->rank - 2], n = x->shape[x->rank - 1], k = least_dim(x);
  bool all = ((const cn_full_attrs *)t->attrs)->full;
  t->out[0] = with(x, m, all ? m : k);
  t->out[2] = with(x, all ? n : k, n);
  return CORNU_OK;
}

static cn_status shape_eigh(cn_typing *t, cn_error *e) {
  CN_TRY(cn_want_matrix(&t->in[0], "the matrix", true, e));
  t->out[0] = t->out[1] = t->in[0];
  t->out[0].rank--;
  return CORNU_OK;
}

static cn_status shape_pinv(cn_typing *t, cn_error *e) {
  CN_TRY(cn_want_matrix(&t->in[0], "the matrix", false, e));
  t->out[0] = with(&t->in[0], t->in[0].shape[t->in[0].rank - 1], t->in[0].shape[t->in[0].rank - 2]);
  return CORNU_OK;
}

static cn_status shape_lstsq(cn_typing *t, cn_error *e) {
  const cn_type *a = &t->in[0], *b = &t->in[1];
  CN_TRY(cn_want_matrix(a, "the matrix", false, e));
  if (a->rank != 2 || b->rank < 1 || b->rank > 2 || b->dtype != a->dtype || !cn_dims_agree(a->shape[0], b->shape[0]))
    return cn_fail(e, CORNU_ERR_SHAPE, "%s %s on the right of %s %s: expected (m) or (m, k) of the same dtype beside (m, n)",
                   cornu_dtype_name(b->dtype), CN_SHAPE(b->rank, b->shape), cornu_dtype_name(a->dtype),
                   CN_SHAPE(a->rank, a->shape));
  t->out[0] = *b;
  t->out[0].shape[0] = a->shape[1];
  return CORNU_OK;
}

/* ---- Plans ---- */

#define PLAN(routine, work)                                                        \
  static cn_status plan_##routine(struct cn_planner *p, cn_step *s, cn_error *e) { \
    int64_t m = cn_rows(s->in[0]), n = cn_columns(s->in[0]), k = least(m, n);      \
    return cn_matrix_plan(p, s, routine, work, NULL, e);                           \
  }
#define REDUCED ((m + n) * k + cn_svd_work(m, n, k, k))
PLAN(qr, cn_qr_work(m, n) + 0 * k)
PLAN(svd, n * (full(s) ? n : k) + cn_svd_work(m, n, full(s) ? m : k, full(s) ? n : k))
PLAN(singular_values, REDUCED)
PLAN(eigh, n * n + 2 * n + 0 * k)
PLAN(pinv, REDUCED + k)
PLAN(lstsq, REDUCED + k)

static const cn_field full_fields[] = {
    {.name = "full", .kind = CN_F_BOOL, .offset = offsetof(cn_full_attrs, full), .standard = "false",
     .help = CN_HELP("square orthogonal matrices, else the columns that count")},
    {0}};
static const cn_field rcond_fields[] = {
    {.name = "rcond", .kind = CN_F_FLOAT, .offset = offsetof(cn_rcond_attrs, rcond), .standard = "null",
     .help = CN_HELP("singular values below this share of the largest count as zero; null: the dtype's precision")},
    {0}};

#define MATRIX(op, inputs, outputs, ...)                                                                           \
  const cn_op cn_op_##op = {.name = #op, .min_in = inputs, .max_in = inputs, .n_out = outputs, .plan = plan_##op, \
                            .gradient = CN_GRADIENT(cn_##op##_gradient), __VA_ARGS__}
#define FULL .attrs_size = sizeof(cn_full_attrs), .fields = full_fields
#define RCOND .attrs_size = sizeof(cn_rcond_attrs), .fields = rcond_fields

MATRIX(qr, 1, 2, .shape = shape_qr, FULL,
       .help = CN_HELP("Q with orthonormal columns and R, upper triangular, by Householder's reflections\n"
                       "(…, m, n) -> (…, m, k), (…, k, n); k = min(m, n), full: m"));
MATRIX(svd, 1, 3, .shape = shape_svd, FULL,
       .help = CN_HELP("u, the singular values in falling order, v transposed\n"
                       "(…, m, n) -> (…, m, k), (…, k), (…, k, n); k = min(m, n); full: (…, m, m), (…, k), (…, n, n)"));
MATRIX(singular_values, 1, 1, .shape = shape_values,
       .help = CN_HELP("singular values in falling order\n(…, m, n) -> (…, min(m, n))"));
MATRIX(eigh, 1, 2, .shape = shape_eigh,
       .help = CN_HELP("eigenvalues in rising order and eigenvectors (columns) of symmetric matrices (the lower "
                       "triangle counts)\n"
                       "(…, n, n) -> (…, n), (…, n, n)"));
MATRIX(pinv, 1, 1, .shape = shape_pinv, RCOND, .help = CN_HELP("pseudo-inverses\n(…, m, n) -> (…, n, m)"));
MATRIX(lstsq, 2, 1, .shape = shape_lstsq, RCOND,
       .help = CN_HELP("the shortest x that brings a x nearest to b\n(m, n), (m) or (m, k) -> (n) or (n, k)"));
