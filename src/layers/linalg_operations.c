/* keras.ops: keras.ops.linalg. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "layers/operation.h"

typedef struct options {
  cn_ints given_axis; /* before settle_axes */
  bool lower, full_matrices, compute_uv, keepdims;
  int mode;
  double tol;
  const cn_value *ord;
  cn_ints axis;
} options;

#define KEY(key, field_kind, default_value, text) \
  {.name = #key, .kind = field_kind, .offset = offsetof(options, key), .standard = default_value, .help = CN_HELP(text)}

static cn_edge along(cn_operation_call *c, const cn_op *op, cn_edge x, int64_t axis, bool keepdims) {
  return cn_emit1(c->t, op, &(cn_reduce_attrs){{1, {axis}}, keepdims}, x);
}

/* x with the leading dimensions of `like` where its own are 1. */
static cn_edge spread(cn_operation_call *c, cn_edge x, cn_edge like) {
  const cn_type a = *cn_operation_type(c, x), b = *cn_operation_type(c, like);
  cn_ints_attrs to = {.v = {.n = a.rank}};
  bool any = false;
  for (int i = 0; i < a.rank; i++) {
    bool one = a.rank == b.rank && i < a.rank - 2 && a.shape[i] == 1 && b.shape[i] > 1;
    to.v.v[i] = one ? b.shape[i] : CN_DIM_COPY;
    any |= one;
  }
  return any ? cn_emit1(c->t, &cn_op_broadcast_to, &to, x) : x;
}

static void solve_triangular(cn_operation_call *c) {
  cn_edge a = cn_argument_tensor(c, "a"), b = cn_argument_tensor(c, "b");
  a = spread(c, a, b);
  b = spread(c, b, a);
  cn_triangle_attrs which = {.upper = !((const options *)c->options)->lower};
  cn_operation_return(c, cn_emit2(c->t, &cn_op_solve_triangular, &which, a, b));
}

static void return_many(cn_operation_call *c, const cn_op *op, const void *attrs, cn_edge x) {
  cn_edge first;
  int n = cn_emit_many(c->t, op, attrs, &x, 1, &first);
  for (int i = 0; i < n; i++) cn_operation_return(c, first + i);
}

static void qr(cn_operation_call *c) {
  return_many(c, &cn_op_qr, &(cn_full_attrs){((const options *)c->options)->mode == 1}, cn_argument_tensor(c, "x"));
}

static void svd(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "x");
  if (o->compute_uv) return_many(c, &cn_op_svd, &(cn_full_attrs){o->full_matrices}, x);
  else cn_operation_return(c, cn_emit1(c->t, &cn_op_singular_values, NULL, x));
}

/* As TensorFlow counts: those above the dtype's precision times the longer side times the largest. */
static void matrix_rank(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x"), s = cn_emit1(c->t, &cn_op_singular_values, NULL, x), limit;
  double tol = ((const options *)c->options)->tol;
  if (isnan(tol)) {
    cn_type type = *cn_operation_type(c, x);
    int64_t m = c->t->status ? 1 : type.shape[type.rank - 2], n = c->t->status ? 1 : type.shape[type.rank - 1];
    double epsilon = type.dtype == CORNU_FLOAT64 ? DBL_EPSILON : (double)FLT_EPSILON;
    cn_edge largest = along(c, &cn_op_max, s, -1, true);
    limit = cn_emit2(c->t, &cn_op_mul, NULL, largest, cn_emit_like(c->t, s, epsilon * (double)(m > n ? m : n)));
  } else {
    limit = cn_emit_like(c->t, s, tol);
  }
  cn_edge counts = cn_emit_cast(c->t, cn_emit2(c->t, &cn_op_greater, NULL, s, limit), CORNU_INT32);
  cn_operation_return(c, cn_emit_cast(c->t, along(c, &cn_op_sum, counts, -1, false), CORNU_INT32));
}

/* ---- Norms ---- */

static cn_edge absolute(cn_operation_call *c, cn_edge x) { return cn_emit1(c->t, &cn_op_abs, NULL, x); }

static cn_edge reduce(cn_operation_call *c, const cn_op *op, cn_edge x) {
  const options *o = c->options;
  return cn_emit1(c->t, op, &(cn_reduce_attrs){o->axis, o->keepdims}, x);
}

static cn_edge euclidean(cn_operation_call *c, cn_edge x) {
  return cn_emit1(c->t, &cn_op_sqrt, NULL, reduce(c, &cn_op_sum, cn_emit1(c->t, &cn_op_square, NULL, x)));
}

static cn_edge vector_norm(cn_operation_call *c, cn_edge x, double ord) {
  if (ord == 2) return euclidean(c, x);
  if (isinf(ord)) return reduce(c, ord > 0 ? &cn_op_max : &cn_op_min, absolute(c, x));
  if (ord == 0) {
    cn_edge other = cn_emit2(c->t, &cn_op_not_equal, NULL, x, cn_emit_like(c->t, x, 0));
    return reduce(c, &cn_op_sum, cn_emit_cast(c->t, other, cn_operation_type(c, x)->dtype));
  }
  cn_edge powers = cn_emit2(c->t, &cn_op_pow, NULL, absolute(c, x), cn_emit_like(c->t, x, ord));
  return cn_emit2(c->t, &cn_op_pow, NULL, reduce(c, &cn_op_sum, powers), cn_emit_like(c->t, x, 1 / ord));
}

/* The largest or smallest of the sums over one axis: rows for infinity, columns for one. */
static cn_edge sums_norm(cn_operation_call *c, cn_edge x, double ord) {
  const options *o = c->options;
  int summed = isinf(ord) ? 1 : 0;
  cn_edge sums = along(c, &cn_op_sum, absolute(c, x), o->axis.v[summed], true);
  cn_edge y = along(c, ord > 0 ? &cn_op_max : &cn_op_min, sums, o->axis.v[1 - summed], true);
  return o->keepdims ? y : cn_emit1(c->t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = o->axis}, y);
}

/* From the singular values of the matrices that the two axes hold. keepdims adds the axes one after the other as they
 * are given, as Keras does with TensorFlow: [1, 0] and negative ones may stand elsewhere than they were. */
static cn_edge spectral_norm(cn_operation_call *c, cn_edge x, const cn_op *op) {
  const options *o = c->options;
  int rank = cn_operation_type(c, x)->rank;
  cn_ints_attrs order = {.v = {.n = 0}};
  for (int i = 0; i < rank; i++)
    if (i != o->axis.v[0] && i != o->axis.v[1]) order.v.v[order.v.n++] = i;
  order.v.v[order.v.n++] = o->axis.v[0];
  order.v.v[order.v.n++] = o->axis.v[1];
  cn_edge s = cn_emit1(c->t, &cn_op_singular_values, NULL, cn_emit1(c->t, &cn_op_transpose, &order, x));
  cn_edge y = along(c, op, s, -1, false);
  for (int i = 0; o->keepdims && i < 2; i++) {
    int64_t axis = o->given_axis.n < 0 ? i : o->given_axis.v[i];
    y = cn_emit1(c->t, &cn_op_expand_dims, &(cn_axis_attrs){axis}, y);
  }
  return y;
}

static cn_edge matrix_norm(cn_operation_call *c, cn_edge x, const char *name, double ord) {
  if (name && strcmp(name, "nuc") == 0) return spectral_norm(c, x, &cn_op_sum);
  if (name) return euclidean(c, x);
  if (fabs(ord) == 2) return spectral_norm(c, x, ord > 0 ? &cn_op_max : &cn_op_min);
  if (isinf(ord) || fabs(ord) == 1) return sums_norm(c, x, ord);
  cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"ord\" is %g, a norm of matrices has 1, -1, 2, -2, inf, -inf, \"fro\" or "
                "\"nuc\"", ord);
  return CN_NO_EDGE;
}

/* Axes counted from the front; null: all. */
static bool settle_axes(cn_operation_call *c, int rank) {
  options *o = c->options;
  o->given_axis = o->axis;
  if (o->axis.n < 0)
    for (o->axis.n = 0; o->axis.n < rank; o->axis.n++) o->axis.v[o->axis.n] = o->axis.n;
  for (int i = 0; i < o->axis.n; i++) {
    int axis;
    if (c->t->status || (c->t->status = cn_axis(o->axis.v[i], rank, &axis, c->t->error))) return false;
    o->axis.v[i] = axis;
  }
  if (o->axis.n == 1 || (o->axis.n == 2 && o->axis.v[0] != o->axis.v[1])) return true;
  cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "takes the norm over %d axes, expected one for vectors or two different ones "
                "for matrices", o->axis.n);
  return false;
}

static void norm(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "x");
  const cn_type type = *cn_operation_type(c, x);
  const char *name = cn_value_str(o->ord);
  double ord = 2;
  if (c->t->status || !settle_axes(c, type.rank)) return;
  if (!cn_dtype_is_float(type.dtype)) x = cn_emit_cast(c->t, x, CORNU_FLOAT32);
  if (cn_value_is_null(o->ord) && o->axis.n == 2) name = "fro";
  if (!cn_value_is_null(o->ord) && !name) cn_value_number(o->ord, &ord);
  if (name && (o->axis.n == 1 || (strcmp(name, "fro") != 0 && strcmp(name, "nuc") != 0)))
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"ord\" is \"%s\", expected a number for vectors, also \"fro\" and \"nuc\" "
                  "for matrices", name);
  cn_operation_return(c, o->axis.n == 1 ? vector_norm(c, x, ord) : matrix_norm(c, x, name, ord));
}

static const cn_field lower_fields[] = {KEY(lower, CN_F_BOOL, "false", "a is lower triangular"), {0}};
static const cn_field qr_fields[] = {
    {.name = "mode", .kind = CN_F_ENUM, .offset = offsetof(options, mode), .standard = "\"reduced\"",
     .choices = "reduced complete", .help = CN_HELP("complete: square q")},
    {0}};
static const cn_field svd_fields[] = {KEY(full_matrices, CN_F_BOOL, "true", "square u and v"),
                                      KEY(compute_uv, CN_F_BOOL, "true", "u and v too"), {0}};
static const cn_field rank_fields[] = {KEY(tol, CN_F_FLOAT, "null", "singular values up to it count as zero"), {0}};
static const cn_field norm_fields[] = {KEY(ord, CN_F_VALUE, "null", "which norm"),
                                       KEY(axis, CN_F_INTS, "null", "one axis or two; null: all"),
                                       KEY(keepdims, CN_F_BOOL, "false", "keeps the axes with size 1"), {0}};

#define WITH(class, args, function, keys) \
  {.name = class, .arguments = args, .emit = function, .fields = keys, .options_size = sizeof(options)}

const cn_operation cn_operations_linalg[] = {
    {.name = "Cholesky", .arguments = "x", .op = "cholesky"},
    {.name = "CholeskyInverse", .arguments = "x", .op = "cholesky_inverse"},
    {.name = "Det", .arguments = "x", .op = "determinant"},
    {.name = "Slogdet", .arguments = "x", .op = "slogdet"},
    {.name = "Inv", .arguments = "x", .op = "inverse"},
    {.name = "Solve", .arguments = "a b", .op = "solve"},
    WITH("SolveTriangular", "a b", solve_triangular, lower_fields),
    {.name = "LuFactor", .arguments = "x", .op = "lu"},
    WITH("Qr", "x", qr, qr_fields),
    WITH("SVD", "x", svd, svd_fields),
    {.name = "Eigh", .arguments = "x", .op = "eigh"},
    {.name = "Pinv", .arguments = "x", .op = "pinv"},
    {.name = "Lstsq", .arguments = "a b", .op = "lstsq"},
    WITH("MatrixRank", "x", matrix_rank, rank_fields),
    WITH("Norm", "x", norm, norm_fields),
    {0}};
