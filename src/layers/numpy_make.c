/* keras.ops: new arrays, diagonals and triangles of keras.ops.numpy. */
#include <math.h>

#include "layers/operation.h"

typedef struct options {
  int64_t offset, axis1, axis2, num, axis, columns;
  cn_ints shape;
  bool increasing, endpoint, retstep;
  double base;
  int indexing;
  cornu_dtype dtype;
} options;

#define INT(member, key, default_, text) \
  {.name = key, .kind = CN_F_INT, .offset = offsetof(options, member), .standard = default_, .help = CN_HELP(text)}
#define BOOL(member, key, default_, text) \
  {.name = key, .kind = CN_F_BOOL, .offset = offsetof(options, member), .standard = default_, .help = CN_HELP(text)}
#define DTYPE {.name = "dtype", .kind = CN_F_DTYPE, .offset = offsetof(options, dtype), .standard = "null", \
               .help = CN_HELP("of the result; null: the arguments'")}
#define WITH(class, args, function, keys) \
  {.name = class, .arguments = args, .emit = function, .fields = keys, .options_size = sizeof(options)}

static const options *options_of(const cn_operation_call *c) { return c->options; }
static const cn_type *type_of(cn_operation_call *c, cn_edge x) { return cn_operation_type(c, x); }

/* ---- Like another array ---- */

static void filled(cn_operation_call *c, double v) {
  cn_edge x = cn_argument_tensor(c, "x");
  cn_fill_attrs a = {v, type_of(c, x)->dtype};
  cn_operation_return(c, cn_emit1(c->t, &cn_op_full_like, &a, x));
}
static void zeros_like(cn_operation_call *c) { filled(c, 0); }
static void ones_like(cn_operation_call *c) { filled(c, 1); }

static const cn_field dtype_fields[] = {DTYPE, {0}};

static cn_edge cast_to_option(cn_operation_call *c, cn_edge x, cornu_dtype otherwise) {
  cornu_dtype dtype = options_of(c)->dtype;
  return cn_emit_cast(c->t, x, dtype == CORNU_DTYPES ? otherwise : dtype);
}

static void array(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x");
  cn_operation_return(c, cast_to_option(c, x, type_of(c, x)->dtype));
}

static void full_like(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x"), value = cn_argument_tensor(c, "fill_value");
  value = cast_to_option(c, value, type_of(c, x)->dtype);
  cn_edge zeros = cn_emit1(c->t, &cn_op_full_like, &(cn_fill_attrs){0, type_of(c, value)->dtype}, x);
  cn_operation_return(c, cn_emit3(c->t, &cn_op_where, NULL, cn_emit_scalar(c->t, CORNU_BOOL8, 1), value, zeros));
}

static const cn_field full_fields[] = {
    {.name = "shape", .kind = CN_F_INTS, .offset = offsetof(options, shape), .max = 1e9,
     .help = CN_HELP("of the result")}, DTYPE,
    {0}};

static void full(cn_operation_call *c) {
  cn_edge value = cn_argument_tensor(c, "fill_value");
  value = cast_to_option(c, value, type_of(c, value)->dtype);
  cn_operation_return(c, cn_emit1(c->t, &cn_op_broadcast_to, &(cn_ints_attrs){options_of(c)->shape}, value));
}

/* The same bytes under another dtype. */
static void view(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x");
  cornu_dtype dtype = options_of(c)->dtype == CORNU_DTYPES ? type_of(c, x)->dtype : options_of(c)->dtype;
  cn_operation_return(c, cn_emit1(c->t, &cn_op_bitcast, &(cn_cast_attrs){dtype}, x));
}

/* ---- Facts about the shape ---- */

static void ndim(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x");
  cn_operation_return(c, cn_emit_scalar(c->t, CORNU_INT32, type_of(c, x)->rank));
}

static void size(cn_operation_call *c) {
  cn_edge ones = cn_emit1(c->t, &cn_op_full_like, &(cn_fill_attrs){1, CORNU_INT32}, cn_argument_tensor(c, "x"));
  cn_operation_return(c, cn_emit_cast(c->t, cn_emit1(c->t, &cn_op_sum, &(cn_reduce_attrs){.axes = {.n = -1}}, ones),
                                      CORNU_INT32));
}

/* ---- Ranges ---- */

/* The numbers must be in the file: the shape depends on them. */
static double number_of(cn_operation_call *c, const char *name, double otherwise) {
  const cn_value *v = cn_argument(c, name);
  double number = otherwise;
  if (v && !cn_value_number(v, &number))
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "gives as many elements as \"%s\" says, which no plan can know: cut the "
                  "model before it and do this step in Lua", name);
  return number;
}

static void arange(cn_operation_call *c) {
  bool one = !cn_argument(c, "stop");
  double start = one ? 0 : number_of(c, "start", 0), stop = number_of(c, one ? "start" : "stop", 0);
  double step = number_of(c, "step", 1), n = ceil((stop - start) / step);
  if (!(n <= 1e9)) cn_trace_fail(c->t, CORNU_ERR_LIMIT, "has %g elements", n);
  if (c->t->status) return;
  bool whole = floor(start) == start && floor(step) == step;
  cornu_dtype dtype = options_of(c)->dtype == CORNU_DTYPES ? (whole ? CORNU_INT32 : CORNU_FLOAT32) : options_of(c)->dtype;
  cn_operation_return(c, cn_emit_counter(c->t, dtype, n > 0 ? (int64_t)n : 0, step, start));
}

static const cn_field space_fields[] = {
    {.name = "num", .kind = CN_F_INT, .offset = offsetof(options, num), .standard = "50", .max = 1e9,
     .help = CN_HELP("how many")},
    BOOL(endpoint, "endpoint", "true", "the last is `stop`"), DTYPE,
    INT(axis, "axis", "0", "where the new axis will be"), BOOL(retstep, "retstep", "false", "returns the step too"),
    {.name = "base", .kind = CN_F_FLOAT, .offset = offsetof(options, base), .standard = "10",
     .help = CN_HELP("of the powers")},
    {0}};

/* start + (stop - start) * i / parts along a new axis, in the dtype of both; *step: the distance. */
static cn_edge evenly(cn_operation_call *c, cn_edge start, cn_edge stop, cn_edge *step) {
  const options *o = options_of(c);
  cornu_dtype dtype = type_of(c, start)->dtype;
  double parts = (double)(o->endpoint ? o->num - 1 : o->num);
  cn_edge distance = cn_emit2(c->t, &cn_op_sub, NULL, stop, start);
  *step = parts > 0 ? cn_emit2(c->t, &cn_op_div, NULL, distance, cn_emit_scalar(c->t, dtype, parts))
                    : cn_emit_scalar(c->t, dtype, NAN);
  cn_edge counter = cn_emit_counter(c->t, dtype, o->num, parts > 0 ? 1 / parts : 0, 0);
  cn_edge y = cn_emit2(c->t, &cn_op_mul, NULL, cn_emit_new_axis(c->t, distance, -1), counter);
  y = cn_emit2(c->t, &cn_op_add, NULL, cn_emit_new_axis(c->t, start, -1), y);
  return cn_emit_move_axis(c->t, y, -1, o->axis);
}

/* Both in the dtype in which Keras computes: whole numbers are floats. */
static void limits(cn_operation_call *c, cn_edge *start, cn_edge *stop) {
  *start = cn_argument_tensor(c, "start");
  *stop = cn_argument_tensor(c, "stop");
  cornu_dtype d = cn_promote(cn_promote(type_of(c, *start)->dtype, type_of(c, *stop)->dtype), CORNU_FLOAT32);
  if (options_of(c)->dtype == CORNU_FLOAT64) d = CORNU_FLOAT64;
  *start = cn_emit_cast(c->t, *start, d);
  *stop = cn_emit_cast(c->t, *stop, d);
}

static cn_edge in_result_dtype(cn_operation_call *c, cn_edge y) {
  cornu_dtype d = options_of(c)->dtype;
  if (d != CORNU_DTYPES && !cn_dtype_is_float(d)) y = cn_emit1(c->t, &cn_op_floor, NULL, y);
  return d == CORNU_DTYPES ? y : cn_emit_cast(c->t, y, d);
}

static void linspace(cn_operation_call *c) {
  cn_edge start, stop, step;
  limits(c, &start, &stop);
  cn_operation_return(c, in_result_dtype(c, evenly(c, start, stop, &step)));
  if (options_of(c)->retstep) cn_operation_return(c, step);
}

static cn_edge powers(cn_operation_call *c, cn_edge exponents, double base) {
  exponents = in_result_dtype(c, exponents);
  cn_edge y = cn_emit2(c->t, &cn_op_pow, NULL, cn_emit_like(c->t, exponents, base), exponents);
  return cn_emit_cast(c->t, y, type_of(c, exponents)->dtype);
}

static void logspace(cn_operation_call *c) {
  cn_edge start, stop, step;
  limits(c, &start, &stop);
  cn_operation_return(c, powers(c, evenly(c, start, stop, &step), options_of(c)->base));
}

static cn_edge exponent(cn_operation_call *c, cn_edge x) {
  return cn_emit1(c->t, &cn_op_log10, NULL, cn_emit1(c->t, &cn_op_abs, NULL, x));
}

/* The sign of the start is that of all. */
static void geomspace(cn_operation_call *c) {
  cn_edge start, stop, step;
  limits(c, &start, &stop);
  cn_edge y = powers(c, evenly(c, exponent(c, start), exponent(c, stop), &step), 10);
  cn_edge sign = cn_emit_cast(c->t, cn_emit1(c->t, &cn_op_sign, NULL, start), type_of(c, y)->dtype);
  sign = type_of(c, sign)->rank ? cn_emit_new_axis(c->t, sign, options_of(c)->axis) : sign;
  cn_operation_return(c, cn_emit2(c->t, &cn_op_mul, NULL, y, sign));
}

static const cn_field mesh_fields[] = {
    {.name = "indexing", .kind = CN_F_ENUM, .offset = offsetof(options, indexing), .standard = "\"xy\"",
     .choices = "xy ij", .help = CN_HELP("xy: the first two axes change places")},
    {0}};

/* Each vector along its axis, spread over those of the others. */
static void meshgrid(cn_operation_call *c) {
  cn_edge in[CN_MAX_RANK + 1];
  int n = cn_argument_tensors(c, "x", in, CN_MAX_RANK);
  cn_ints_attrs shape = {.v = {.n = n}};
  for (int i = 0; i < n && !c->t->status; i++) in[i] = cn_emit_flat(c->t, in[i]);
  bool swapped = options_of(c)->indexing == 0 && n > 1;
  for (int i = 0; i < n; i++) shape.v.v[swapped && i < 2 ? 1 - i : i] = type_of(c, in[i])->shape[0];
  for (int i = 0; i < n && !c->t->status; i++) {
    cn_reshape_attrs along = {.shape = {.n = n, .v = {1, 1, 1, 1, 1, 1, 1, 1}}};
    along.shape.v[swapped && i < 2 ? 1 - i : i] = CN_DIM_INFER;
    cn_edge line = cn_emit1(c->t, &cn_op_reshape, &along, in[i]);
    cn_operation_return(c, cn_emit1(c->t, &cn_op_broadcast_to, &shape, line));
  }
}

/* ---- Diagonals and triangles ---- */

#define OFFSET(key) {.name = key, .kind = CN_F_INT, .offset = offsetof(options, offset), .standard = "0", .min = -1e9, \
                     .max = 1e9, .help = CN_HELP("which diagonal: above 0 to the right of the main one")}
static const cn_field diag_fields[] = {OFFSET("k"), {0}};
static const cn_field diagonal_fields[] = {OFFSET("offset"), INT(axis1, "axis1", "0", "rows"),
                                           INT(axis2, "axis2", "1", "columns"), {0}};

static cn_edge with_offset(cn_operation_call *c, const cn_op *op, cn_edge x) {
  return cn_emit1(c->t, op, &(cn_offset_attrs){options_of(c)->offset}, x);
}

static void diag(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x");
  int rank = type_of(c, x)->rank;
  if (rank < 1 || rank > 2) cn_trace_fail(c->t, CORNU_ERR_SHAPE, "takes vectors and matrices, not %d axes", rank);
  cn_operation_return(c, with_offset(c, rank == 1 ? &cn_op_diag : &cn_op_diagonal, x));
}
static void diag_flat(cn_operation_call *c) {
  cn_operation_return(c, with_offset(c, &cn_op_diag, cn_emit_flat(c->t, cn_argument_tensor(c, "x"))));
}

static cn_edge diagonal_of(cn_operation_call *c) {
  const options *o = options_of(c);
  cn_edge x = cn_argument_tensor(c, "x");
  int rank = type_of(c, x)->rank, order[CN_MAX_RANK], n = 0, a, b;
  if (!cn_trace_axis(c->t, o->axis1, rank, &a) || !cn_trace_axis(c->t, o->axis2, rank, &b)) return CN_NO_EDGE;
  if (a == b) cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"axis1\" and \"axis2\" are both %d", a);
  if (c->t->status) return CN_NO_EDGE;
  for (int i = 0; i < rank; i++)
    if (i != a && i != b) order[n++] = i;
  order[n] = a;
  order[n + 1] = b;
  return with_offset(c, &cn_op_diagonal, cn_emit_permute(c->t, x, order));
}
static void diagonal(cn_operation_call *c) { cn_operation_return(c, diagonal_of(c)); }

static cornu_dtype sum_dtype(cornu_dtype d) {
  if (d == CORNU_BOOL8 || d == CORNU_INT8 || d == CORNU_INT16) return CORNU_INT32;
  return d == CORNU_UINT8 || d == CORNU_UINT16 ? CORNU_UINT32 : d;
}

static void trace(cn_operation_call *c) {
  cn_edge x = diagonal_of(c);
  x = cn_emit_cast(c->t, x, sum_dtype(type_of(c, x)->dtype));
  cn_edge y = cn_emit1(c->t, &cn_op_sum, &(cn_reduce_attrs){.axes = {1, {-1}}}, x);
  cn_operation_return(c, cn_emit_cast(c->t, y, type_of(c, x)->dtype));
}

static void lower_triangle(cn_operation_call *c) {
  cn_operation_return(c, with_offset(c, &cn_op_tril, cn_argument_tensor(c, "x")));
}
static void upper_triangle(cn_operation_call *c) {
  cn_operation_return(c, with_offset(c, &cn_op_triu, cn_argument_tensor(c, "x")));
}

static const cn_field vander_fields[] = {
    {.name = "N", .kind = CN_F_INT, .offset = offsetof(options, columns), .standard = "null", .min = 0, .max = 1e6,
     .help = CN_HELP("how many powers; null: as many as elements")},
    BOOL(increasing, "increasing", "false", "begins with the power 0"), {0}};

static void vander(cn_operation_call *c) {
  const options *o = options_of(c);
  cn_edge x = cn_argument_tensor(c, "x");
  const cn_type type = *type_of(c, x);
  int64_t n = o->columns == CN_NULL_INT ? type.shape[0] : o->columns;
  if (type.rank < 1) cn_trace_fail(c->t, CORNU_ERR_SHAPE, "takes a vector");
  if (c->t->status || n < 0) {
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "needs \"N\" where the length is not known");
    return;
  }
  cornu_dtype d = cn_promote(type.dtype, CORNU_FLOAT32);
  cn_edge up = cn_emit_counter(c->t, d, n, o->increasing ? 1 : -1, o->increasing ? 0 : (double)(n - 1));
  cn_edge y = cn_emit2(c->t, &cn_op_pow, NULL, cn_emit_new_axis(c->t, cn_emit_cast(c->t, x, d), -1), up);
  cn_operation_return(c, cn_emit_cast(c->t, y, type.dtype));
}

const cn_operation cn_operations_numpy_make[] = {
    {.name = "ZerosLike EmptyLike", .arguments = "x", .emit = zeros_like},
    {.name = "OnesLike", .arguments = "x", .emit = ones_like},
    WITH("FullLike", "x fill_value", full_like, dtype_fields),
    WITH("Full", "fill_value", full, full_fields),
    WITH("Array", "x", array, dtype_fields),
    WITH("View", "x", view, dtype_fields),
    {.name = "Ndim", .arguments = "x", .emit = ndim},
    {.name = "Size", .arguments = "x", .emit = size},
    WITH("Arange", "start stop step", arange, dtype_fields),
    WITH("Linspace", "start stop", linspace, space_fields),
    WITH("Logspace", "start stop", logspace, space_fields),
    WITH("Geomspace", "start stop", geomspace, space_fields),
    WITH("Meshgrid", "x*", meshgrid, mesh_fields),
    WITH("Diag", "x", diag, diag_fields),
    WITH("Diagflat", "x", diag_flat, diag_fields),
    WITH("Diagonal", "x", diagonal, diagonal_fields),
    WITH("Trace", "x", trace, diagonal_fields),
    WITH("Tril", "x", lower_triangle, diag_fields),
    WITH("Triu", "x", upper_triangle, diag_fields),
    WITH("Vander", "x", vander, vander_fields),
    {0}};
