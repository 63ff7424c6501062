/* Systems of linear equations, inverses, determinants, and the factors behind them. */
#include <math.h>
#include <string.h>

#include "base/deadline.h"
#include "base/text.h"
#include "kernels/decompose.h"
#include "ops/matrix.h"
#include "ops/ops.h"

static bool upper(const cn_matrix_job *j) { return ((const cn_triangle_attrs *)j->step->attrs)->upper; }

static void transpose_into(double *to, const double *from, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < n; k++) to[k * n + i] = from[i * n + k];
}

static void identity(double *a, int64_t n) {
  for (int64_t i = 0; i < n * n; i++) a[i] = i % (n + 1) == 0;
}

static bool zero_on_diagonal(const double *a, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (a[i * (n + 1)] == 0) return true;
  return false;
}

/* ---- Routines ---- */

static bool cholesky(const cn_matrix_job *j) {
  bool good = cn_cholesky(j->n, j->in[0]);
  if (upper(j)) transpose_into(j->out[0], j->in[0], j->n);
  else memcpy(j->out[0], j->in[0], (size_t)(j->n * j->n) * sizeof(double));
  return good;
}

/* x x' of rows. */
static void rows_by_rows(int64_t n, const double *x, double *out) {
  for (int64_t a = 0; a < n && !cn_past_deadline(); a++)
    for (int64_t b = 0; b < n; b++) {
      double sum = 0;
      for (int64_t k = 0; k < n; k++) sum += x[a * n + k] * x[b * n + k];
      out[a * n + b] = sum;
    }
}

/* x' x, row by row of x. */
static void columns_by_columns(int64_t n, const double *x, double *out) {
  memset(out, 0, (size_t)(n * n) * sizeof *out);
  for (int64_t k = 0; k < n && !cn_past_deadline(); k++)
    for (int64_t a = 0; a < n; a++)
      for (int64_t b = 0; b < n; b++) out[a * n + b] += x[k * n + a] * x[k * n + b];
}

/* The inverse of L, then its transpose times itself; of an upper factor the inverse times its transpose. */
static bool cholesky_inverse(const cn_matrix_job *j) {
  int64_t n = j->n;
  double *inverse = j->work;
  bool good = !zero_on_diagonal(j->in[0], n);
  identity(inverse, n);
  if (upper(j)) cn_solve_upper(n, n, j->in[0], inverse);
  else cn_solve_lower(n, n, j->in[0], false, inverse);
  (upper(j) ? rows_by_rows : columns_by_columns)(n, inverse, j->out[0]);
  return good;
}

static bool solve_triangular(const cn_matrix_job *j) {
  memcpy(j->out[0], j->in[1], (size_t)(j->n * j->k) * sizeof(double));
  if (upper(j)) cn_solve_upper(j->n, j->k, j->in[0], j->out[0]);
  else cn_solve_lower(j->n, j->k, j->in[0], false, j->out[0]);
  return !zero_on_diagonal(j->in[0], j->n);
}

static bool solve_for(const cn_matrix_job *j, const double *b, int64_t k) {
  int64_t *order = (int64_t *)j->work;
  int sign = cn_lu(j->n, j->in[0], order);
  for (int64_t i = 0; i < j->n; i++) memcpy(j->out[0] + i * k, b + order[i] * k, (size_t)k * sizeof(double));
  cn_solve_lower(j->n, k, j->in[0], true, j->out[0]);
  cn_solve_upper(j->n, k, j->in[0], j->out[0]);
  return sign != 0;
}

static bool solve(const cn_matrix_job *j) { return solve_for(j, j->in[1], j->k); }

static bool inverse(const cn_matrix_job *j) {
  double *one = j->work + j->n;
  identity(one, j->n);
  return solve_for(j, one, j->n);
}

static bool determinant(const cn_matrix_job *j) {
  double product = cn_lu(j->n, j->in[0], (int64_t *)j->work);
  for (int64_t i = 0; i < j->n; i++) product *= j->in[0][i * (j->n + 1)];
  j->out[0][0] = product;
  return true;
}

static bool log_determinant(const cn_matrix_job *j) {
  bool good = cn_cholesky(j->n, j->in[0]);
  j->out[0][0] = 0;
  for (int64_t i = 0; i < j->n; i++) j->out[0][0] += 2 * log(j->in[0][i * (j->n + 1)]);
  return good;
}

/* The sign, and the logarithm of the absolute value: 0 and minus infinity of a singular matrix. */
static bool slogdet(const cn_matrix_job *j) {
  double sign = cn_lu(j->n, j->in[0], (int64_t *)j->work), sum = 0;
  for (int64_t i = 0; i < j->n; i++) {
    double v = j->in[0][i * (j->n + 1)];
    sign = v < 0 ? -sign : sign;
    sum += log(fabs(v));
  }
  j->out[0][0] = isnan(sum) ? NAN : sign;
  j->out[1][0] = sum;
  return true;
}

static bool lu(const cn_matrix_job *j) {
  int64_t *order = (int64_t *)j->work;
  bool good = cn_lu(j->n, j->in[0], order) != 0;
  memcpy(j->out[0], j->in[0], (size_t)(j->n * j->n) * sizeof(double));
  for (int64_t i = 0; i < j->n; i++) j->out[1][order[i]] = (double)i;
  return good;
}

/* ---- Shapes and plans ---- */

static cn_status shape_same(cn_typing *t, cn_error *e) {
  CN_TRY(cn_want_matrix(&t->in[0], "the matrix", true, e));
  t->out[0] = t->in[0];
  return CORNU_OK;
}

static cn_status shape_number(cn_typing *t, cn_error *e) {
  CN_TRY(shape_same(t, e));
  t->out[0].rank -= 2;
  return CORNU_OK;
}

static cn_status shape_slogdet(cn_typing *t, cn_error *e) {
  CN_TRY(shape_number(t, e));
  t->out[1] = t->out[0];
  return CORNU_OK;
}

static cn_status shape_lu(cn_typing *t, cn_error *e) {
  CN_TRY(shape_same(t, e));
  t->out[1] = t->in[0];
  t->out[1].rank--;
  t->out[1].dtype = CORNU_INT32;
  return CORNU_OK;
}

static cn_status shape_solve(cn_typing *t, cn_error *e) {
  const cn_type *a = &t->in[0], *b = &t->in[1];
  CN_TRY(cn_want_matrix(a, "the matrix", true, e));
  bool fits = b->dtype == a->dtype && (b->rank == a->rank || b->rank == a->rank - 1);
  for (int i = 0; fits && i < a->rank - 1; i++) fits = cn_dims_agree(a->shape[i], b->shape[i]);
  if (!fits)
    return cn_fail(e, CORNU_ERR_SHAPE, "%s %s on the right of %s %s: expected (…, n) or (…, n, k) of the same dtype beside "
                   "(…, n, n)", cornu_dtype_name(b->dtype), CN_SHAPE(b->rank, b->shape), cornu_dtype_name(a->dtype),
                   CN_SHAPE(a->rank, a->shape));
  t->out[0] = *b;
  return CORNU_OK;
}

#define PLAN(routine, work, failure)                                                     \
  static cn_status plan_##routine(struct cn_planner *p, cn_step *s, cn_error *e) {       \
    int64_t n = cn_columns(s->in[0]);                                                    \
    return cn_matrix_plan(p, s, routine, work, failure, e);                              \
  }
PLAN(cholesky, 0 * n, "is not positive definite")
PLAN(cholesky_inverse, n * n, "is singular")
PLAN(solve_triangular, 0 * n, "is singular")
PLAN(solve, n, "is singular")
PLAN(inverse, n * n + n, "is singular")
PLAN(determinant, n, NULL)
PLAN(log_determinant, 0 * n, "is not positive definite")
PLAN(slogdet, n, NULL)
PLAN(lu, n, "is singular")

static const cn_field triangle_fields[] = {
    {.name = "upper", .kind = CN_F_BOOL, .offset = offsetof(cn_triangle_attrs, upper), .standard = "false",
     .help = CN_HELP("the upper triangle")},
    {0}};

#define MATRIX(op, inputs, outputs, shape_rule, back, ...)                                                             \
  const cn_op cn_op_##op = {.name = #op, .min_in = inputs, .max_in = inputs, .n_out = outputs, .shape = shape_rule, \
                            .plan = plan_##op, .gradient = CN_GRADIENT(cn_##back##_gradient), __VA_ARGS__}
#define TRIANGLE .attrs_size = sizeof(cn_triangle_attrs), .fields = triangle_fields

MATRIX(cholesky, 1, 1, shape_same, cholesky, TRIANGLE,
       .help = CN_HELP("L with L L' = x of symmetric positive definite matrices (the lower triangle "
                       "counts), or its transpose\n"
                       "(…, n, n) -> (…, n, n)"));
MATRIX(cholesky_inverse, 1, 1, shape_same, cholesky_inverse, TRIANGLE,
       .help = CN_HELP("the inverse of the matrix that has this Cholesky factor\n(…, n, n) -> (…, n, n)"));
MATRIX(solve_triangular, 2, 1, shape_solve, solve, TRIANGLE,
       .help = CN_HELP("x with a x = b, a lower triangular\n(…, n, n), (…, n) or (…, n, k) -> the second's shape"));
MATRIX(solve, 2, 1, shape_solve, solve,
.help = CN_HELP("x with a x = b\n(…, n, n), (…, n) or (…, n, k) -> the second's shape"));
MATRIX(inverse, 1, 1, shape_same, inverse, .help = CN_HELP("inverses of matrices\n(…, n, n) -> (…, n, n)"));
MATRIX(determinant, 1, 1, shape_number, determinant, .help = CN_HELP("determinants\n(…, n, n) -> (…)"));
MATRIX(log_determinant, 1, 1, shape_number, determinant,
       .help = CN_HELP("logarithms of the determinants of symmetric positive definite matrices\n(…, n, n) -> (…)"));
MATRIX(slogdet, 1, 2, shape_slogdet, determinant,
       .help = CN_HELP("signs of determinants, and logarithms of their absolute values\n(…, n, n) -> (…), (…)"));
MATRIX(lu, 1, 2, shape_lu, lu,
       .help = CN_HELP("L (below the diagonal, which counts as ones) and U with pivots: row i of x is row p[i] of L U\n"
                       "(…, n, n) -> (…, n, n), int32 (…, n)"));
