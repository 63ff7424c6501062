/* keras.ops: products and what is made of them, of keras.ops.numpy. */
#include <math.h>

#include "layers/einsum.h"
#include "layers/operation.h"

static const cn_type *type_of(cn_operation_call *c, cn_edge x) { return cn_operation_type(c, x); }

/* Two operands in the dtype in which the product is made: whole numbers in double precision, which holds them exactly
 * up to 2^53. */
typedef struct operands { cn_edge x, y; cornu_dtype result; } operands;

static cornu_dtype product_dtype(cornu_dtype d) {
  return d == CORNU_FLOAT64 || !cn_dtype_is_float(d) ? CORNU_FLOAT64 : CORNU_FLOAT32;
}

static operands operands_of(cn_operation_call *c, const char *a, const char *b) {
  operands o = {cn_argument_tensor(c, a), cn_argument_tensor(c, b), CORNU_FLOAT32};
  o.result = cn_promote(type_of(c, o.x)->dtype, type_of(c, o.y)->dtype);
  o.x = cn_emit_cast(c->t, o.x, product_dtype(o.result));
  o.y = cn_emit_cast(c->t, o.y, product_dtype(o.result));
  return o;
}

static void give(cn_operation_call *c, cn_edge product, cornu_dtype dtype) {
  cn_operation_return(c, cn_emit_cast(c->t, product, dtype));
}

static cn_edge times(cn_operation_call *c, cn_edge x, cn_edge y) { return cn_emit2(c->t, &cn_op_mul, NULL, x, y); }

static void matmul(cn_operation_call *c) {
  operands o = operands_of(c, "x1", "x2");
  give(c, cn_emit2(c->t, &cn_op_matmul, NULL, o.x, o.y), o.result);
}

/* ---- tensordot and its relatives ---- */

/* Sums over n axes of each; the others of x come first, then those of y. */
static cn_edge contract(cn_operation_call *c, cn_edge x, cn_edge y, const cn_ints *x_axes, const cn_ints *y_axes) {
  char a[CN_MAX_RANK + 1] = {0}, b[CN_MAX_RANK + 1] = {0}, out[2 * CN_MAX_RANK + 1] = {0};
  int a_rank = type_of(c, x)->rank, b_rank = type_of(c, y)->rank, n = 0, axis;
  if (x_axes->n != y_axes->n)
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "sums over %d axes of one and %d of the other", x_axes->n, y_axes->n);
  for (int i = 0; i < a_rank; i++) a[i] = (char)('a' + i);
  for (int i = 0; i < b_rank; i++) b[i] = (char)('A' + i);
  for (int i = 0; i < x_axes->n && !c->t->status; i++) {
    if (cn_trace_axis(c->t, x_axes->v[i], a_rank, &axis)) a[axis] = (char)('0' + i);
    if (cn_trace_axis(c->t, y_axes->v[i], b_rank, &axis)) b[axis] = (char)('0' + i);
  }
  for (int i = 0; i < a_rank + b_rank; i++) {
    char letter = i < a_rank ? a[i] : b[i - a_rank];
    if (letter > '9') out[n++] = letter;
  }
  if (n > CN_MAX_RANK) cn_trace_fail(c->t, CORNU_ERR_LIMIT, "gives %d axes, at most %d are possible", n, CN_MAX_RANK);
  return cn_emit_einsum(c->t, a, x, b, y, out);
}

typedef struct options { const cn_value *axes; } options;
static const cn_field tensordot_fields[] = {
    {.name = "axes", .kind = CN_F_VALUE, .offset = offsetof(options, axes), .standard = "2",
     .help = CN_HELP("how many axes (the last of one, the first of the other), or two lists of them")},
    {0}};

static bool read_axes(const cn_value *v, cn_ints *out) {
  out->n = 1;
  if (cn_value_integer(v, &out->v[0])) return true;
  bool good = cn_value_is(v, CORNU_LIST) && v->count <= CN_MAX_RANK;
  out->n = good ? v->count : 0;
  for (int i = 0; i < out->n && good; i++) good = cn_value_integer(v->items[i], &out->v[i]);
  return good;
}

static void tensordot(cn_operation_call *c) {
  const cn_value *axes = ((const options *)c->options)->axes;
  operands o = operands_of(c, "x1", "x2");
  cn_ints x_axes = {.n = 0}, y_axes = {.n = 0};
  int64_t count = 0;
  bool good = cn_value_integer(axes, &count) ? count >= 0 && count <= CN_MAX_RANK
              : cn_value_is(axes, CORNU_LIST) && axes->count == 2 && read_axes(axes->items[0], &x_axes) &&
                    read_axes(axes->items[1], &y_axes);
  if (!good)
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"axes\" is %s, expected a number or two lists of axes",
                  cn_value_show(axes, (char[80]){0}, 80));
  for (int64_t i = 0; i < count && good; i++) {
    x_axes.v[x_axes.n++] = i - count;
    y_axes.v[y_axes.n++] = i;
  }
  give(c, contract(c, o.x, o.y, &x_axes, &y_axes), o.result);
}

/* The last axis of x with the last but one of y (dot), or its last (inner); a number scales. */
static void dot_with(cn_operation_call *c, bool inner) {
  operands o = operands_of(c, "x1", "x2");
  int a = type_of(c, o.x)->rank, b = type_of(c, o.y)->rank;
  cn_ints x_axes = {1, {-1}}, y_axes = {1, {inner || b == 1 ? -1 : -2}};
  give(c, a == 0 || b == 0 ? times(c, o.x, o.y) : contract(c, o.x, o.y, &x_axes, &y_axes), o.result);
}
static void dot(cn_operation_call *c) { dot_with(c, false); }
static void inner(cn_operation_call *c) { dot_with(c, true); }

static void vdot(cn_operation_call *c) {
  operands o = operands_of(c, "x1", "x2");
  cn_ints axis = {1, {0}};
  give(c, contract(c, cn_emit_flat(c->t, o.x), cn_emit_flat(c->t, o.y), &axis, &axis), o.result);
}

static void outer(cn_operation_call *c) {
  cn_edge x = cn_emit_new_axis(c->t, cn_emit_flat(c->t, cn_argument_tensor(c, "x1")), 1);
  cn_operation_return(c, times(c, x, cn_emit_flat(c->t, cn_argument_tensor(c, "x2"))));
}

/* Every element of x times the whole y: axes of both in turn, joined pairwise. */
static void kron(cn_operation_call *c) {
  cn_edge in[] = {cn_argument_tensor(c, "x1"), cn_argument_tensor(c, "x2")};
  int rank = 0;
  for (int i = 0; i < 2; i++) rank = type_of(c, in[i])->rank > rank ? type_of(c, in[i])->rank : rank;
  if (2 * rank > CN_MAX_RANK) cn_trace_fail(c->t, CORNU_ERR_LIMIT, "takes at most %d axes", CN_MAX_RANK / 2);
  cn_reshape_attrs joined = {.shape = {.n = rank}};
  for (int k = 0; k < rank; k++) joined.shape.v[k] = 1;
  for (int i = 0; i < 2 && !c->t->status; i++) {
    while (type_of(c, in[i])->rank < rank && !c->t->status) in[i] = cn_emit_new_axis(c->t, in[i], 0);
    const cn_type type = *type_of(c, in[i]);
    for (int k = 0; k < rank; k++) {
      joined.shape.v[k] = cn_dim_mul(joined.shape.v[k], type.shape[k]);
      in[i] = cn_emit_new_axis(c->t, in[i], 2 * k + (i == 0));
    }
  }
  cn_operation_return(c, cn_emit1(c->t, &cn_op_reshape, &joined, times(c, in[0], in[1])));
}

typedef struct einsum_options { const char *subscripts; } einsum_options;
static const cn_field einsum_fields[] = {
    {.name = "subscripts", .kind = CN_F_STRING, .offset = offsetof(einsum_options, subscripts),
     .help = CN_HELP("\"ij,jk->ik\": a letter for each axis")},
    {0}};

static void einsum(cn_operation_call *c) {
  cn_edge in[CN_MAX_OUT];
  int n = cn_argument_tensors(c, "operands", in, CN_MAX_OUT);
  cornu_dtype result = n ? type_of(c, in[0])->dtype : CORNU_FLOAT32;
  for (int i = 1; i < n; i++) result = cn_promote(result, type_of(c, in[i])->dtype);
  for (int i = 0; i < n; i++) in[i] = cn_emit_cast(c->t, in[i], product_dtype(result));
  give(c, cn_emit_einsum_equation(c->t, ((const einsum_options *)c->options)->subscripts, in, n), result);
}

/* ---- cross ---- */

typedef struct cross_options { int64_t axisa, axisb, axisc, axis; } cross_options;
#define AXIS(key, default_, text) {.name = #key, .kind = CN_F_INT, .offset = offsetof(cross_options, key), \
                                   .standard = default_, .help = CN_HELP(text)}
static const cn_field cross_fields[] = {AXIS(axisa, "-1", "of x1"), AXIS(axisb, "-1", "of x2"),
                                        AXIS(axisc, "-1", "of the result"), AXIS(axis, "null", "of all three"), {0}};

static cn_edge part(cn_operation_call *c, cn_edge x, int i) {
  cn_edge cut = cn_emit_range(c->t, x, type_of(c, x)->rank - 1, i, i + 1);
  return cn_emit1(c->t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {-1}}}, cut);
}

/* x[i] y[k] - x[k] y[i] */
static cn_edge turn(cn_operation_call *c, cn_edge x, cn_edge y, int i, int k) {
  return cn_emit2(c->t, &cn_op_sub, NULL, times(c, part(c, x, i), part(c, y, k)), times(c, part(c, x, k), part(c, y, i)));
}

/* Vectors of two are vectors in space with 0; two such give the third coordinate alone. */
static void cross(cn_operation_call *c) {
  const cross_options *o = c->options;
  bool one = o->axis != CN_NULL_INT;
  cn_edge v[] = {cn_argument_tensor(c, "x1"), cn_argument_tensor(c, "x2")};
  int planar = 0;
  for (int i = 0; i < 2; i++) {
    v[i] = cn_emit_move_axis(c->t, v[i], one ? o->axis : i ? o->axisb : o->axisa, -1);
    if (c->t->status) return;
    int rank = type_of(c, v[i])->rank;
    int64_t n = type_of(c, v[i])->shape[rank - 1];
    if (n != 2 && n != 3) cn_trace_fail(c->t, CORNU_ERR_SHAPE, "takes vectors of 2 or 3, not %lld", (long long)n);
    cn_pad_attrs zero = {.before = {.n = rank}, .after = {.n = rank}};
    zero.after.v[rank - 1] = 1;
    if (n == 2) v[i] = cn_emit1(c->t, &cn_op_pad, &zero, v[i]), planar++;
  }
  cn_edge z = turn(c, v[0], v[1], 0, 1);
  if (planar == 2) {
    cn_operation_return(c, z);
    return;
  }
  cn_edge parts[] = {turn(c, v[0], v[1], 1, 2), turn(c, v[0], v[1], 2, 0), z};
  cn_edge y = cn_emit(c->t, &cn_op_stack, &(cn_axis_attrs){-1}, parts, 3);
  cn_operation_return(c, cn_emit_move_axis(c->t, y, -1, one ? o->axis : o->axisc));
}

/* ---- Along one axis ---- */

/* Each element of the axis, and the one after it. */
static void neighbours(cn_operation_call *c, cn_edge x, int axis, cn_edge *low, cn_edge *high) {
  *high = cn_emit_range(c->t, x, axis, 1, CN_NULL_INT);
  *low = cn_emit_range(c->t, x, axis, 0, -1);
}

static cn_edge difference(cn_operation_call *c, cn_edge x, int axis) {
  cn_edge low, high;
  neighbours(c, x, axis, &low, &high);
  bool truth = type_of(c, x)->dtype == CORNU_BOOL8;
  return cn_emit2(c->t, truth ? &cn_op_not_equal : &cn_op_sub, NULL, high, low);
}

typedef struct line_options { int64_t n, axis; const cn_value *x; double dx; } line_options;
static const cn_field diff_fields[] = {
    {.name = "n", .kind = CN_F_INT, .offset = offsetof(line_options, n), .standard = "1", .max = 64,
     .help = CN_HELP("how often")},
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(line_options, axis), .standard = "-1",
     .help = CN_HELP("the axis")},
    {0}};

static void diff(cn_operation_call *c) {
  const line_options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "a");
  int axis;
  if (!cn_trace_axis(c->t, o->axis, type_of(c, x)->rank, &axis)) return;
  for (int64_t i = 0; i < o->n; i++) x = difference(c, x, axis);
  cn_operation_return(c, x);
}

static const cn_field trapezoid_fields[] = {
    {.name = "x", .kind = CN_F_VALUE, .offset = offsetof(line_options, x), .standard = "null",
     .help = CN_HELP("where the values are; null: dx apart")},
    {.name = "dx", .kind = CN_F_FLOAT, .offset = offsetof(line_options, dx), .standard = "1",
     .help = CN_HELP("distance")},
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(line_options, axis), .standard = "-1",
     .help = CN_HELP("the axis")},
    {0}};

static void trapezoid(cn_operation_call *c) {
  const line_options *o = c->options;
  cn_edge y = cn_emit_floating(c->t, cn_argument_tensor(c, "y")), low, high;
  cornu_dtype dtype = type_of(c, y)->dtype;
  y = cn_emit_move_axis(c->t, y, o->axis, -1);
  if (c->t->status) return;
  neighbours(c, y, type_of(c, y)->rank - 1, &low, &high);
  cn_edge middle = times(c, cn_emit2(c->t, &cn_op_add, NULL, high, low), cn_emit_like(c->t, y, 0.5));
  cn_edge width = cn_emit_like(c->t, y, o->dx);
  if (!cn_value_is_null(o->x)) {
    cn_edge at = cn_emit_array(c->t, "x", o->x, dtype);
    int axis;
    if (!cn_trace_axis(c->t, o->axis, type_of(c, at)->rank, &axis)) return;
    width = cn_emit_move_axis(c->t, difference(c, at, axis), axis, -1);
  }
  cn_operation_return(c, cn_emit1(c->t, &cn_op_sum, &(cn_reduce_attrs){.axes = {1, {-1}}}, times(c, middle, width)));
}

/* Pearson's coefficients of the rows of a matrix. */
static void corrcoef(cn_operation_call *c) {
  cn_edge x = cn_emit_floating(c->t, cn_argument_tensor(c, "x"));
  cornu_dtype result = type_of(c, x)->dtype;
  x = cn_emit_cast(c->t, x, product_dtype(result));
  int rank = type_of(c, x)->rank;
  if (rank == 0) {
    cn_operation_return(c, cn_emit_scalar(c->t, CORNU_FLOAT32, NAN));
    return;
  }
  if (rank > 2) cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "takes a vector or a matrix, not %d axes", rank);
  if (rank == 1) x = cn_emit_new_axis(c->t, x, 0);
  cn_reduce_attrs last = {.axes = {1, {-1}}, .keepdims = true};
  cn_edge off = cn_emit2(c->t, &cn_op_sub, NULL, x, cn_emit1(c->t, &cn_op_mean, &last, x));
  cn_edge products = cn_emit2(c->t, &cn_op_matmul, &(cn_matmul_attrs){false, true}, off, off);
  cn_edge spread = cn_emit1(c->t, &cn_op_sqrt, NULL, cn_emit1(c->t, &cn_op_diagonal, &(cn_offset_attrs){0}, products));
  cn_edge y = cn_emit2(c->t, &cn_op_div, NULL, products, times(c, cn_emit_new_axis(c->t, spread, 1), spread));
  y = cn_emit1(c->t, &cn_op_clip, &(cn_clip_attrs){-1, 1}, y);
  if (rank == 1) y = cn_emit1(c->t, &cn_op_reshape, &(cn_reshape_attrs){{0, {0}}}, y);
  give(c, y, result);
}

typedef struct correlate_options { int mode; } correlate_options;
static const cn_field correlate_fields[] = {
    {.name = "mode", .kind = CN_F_ENUM, .offset = offsetof(correlate_options, mode), .standard = "\"valid\"",
     .choices = "valid same full", .help = CN_HELP("which shifts: whole overlaps, as many as elements, all")},
    {0}};

/* A convolution with the second vector as kernel. */
static void correlate(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x1"), y = cn_argument_tensor(c, "x2");
  int mode = ((const correlate_options *)c->options)->mode;
  cornu_dtype both = cn_promote(type_of(c, x)->dtype, type_of(c, y)->dtype), result = both;
  if (both == CORNU_INT64) result = CORNU_FLOAT64;
  else if (both != CORNU_FLOAT64 && both != CORNU_FLOAT16 && both != CORNU_BFLOAT16) result = CORNU_FLOAT32;
  if (type_of(c, x)->rank != 1 || type_of(c, y)->rank != 1)
    cn_trace_fail(c->t, CORNU_ERR_SHAPE, "takes two vectors");
  int64_t n = type_of(c, x)->shape[0], m = type_of(c, y)->shape[0];
  if (m < 1 || (mode && n < 0)) cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "needs vectors of known length");
  if (c->t->status) return;
  x = cn_emit_cast(c->t, x, product_dtype(result));
  y = cn_emit_cast(c->t, y, product_dtype(result));
  cn_reshape_attrs signal = {{3, {1, CN_DIM_INFER, 1}}}, kernel = {{3, {CN_DIM_INFER, 1, 1}}};
  cn_conv_attrs a = {.spatial = 1, .stride = {1}, .dilation = {1}, .groups = 1};
  if (mode) a.pad_begin[0] = a.pad_end[0] = m - 1;
  cn_edge out = cn_emit2(c->t, &cn_op_conv, &a, cn_emit1(c->t, &cn_op_reshape, &signal, x),
                         cn_emit1(c->t, &cn_op_reshape, &kernel, y));
  out = cn_emit_flat(c->t, out);
  int64_t wanted = n > m ? n : m, start = (n + m - 1 - wanted) / 2;
  if (mode == 1) out = cn_emit_range(c->t, out, 0, start, start + wanted);
  give(c, out, result);
}

#define WITH(class, args, function, keys, type) \
  {.name = class, .arguments = args, .emit = function, .fields = keys, .options_size = sizeof(type)}
const cn_operation cn_operations_numpy_product[] = {
    {.name = "Matmul", .arguments = "x1 x2", .emit = matmul},
    {.name = "Dot", .arguments = "x1 x2", .emit = dot},
    {.name = "Inner", .arguments = "x1 x2", .emit = inner},
    {.name = "Vdot", .arguments = "x1 x2", .emit = vdot},
    {.name = "Outer", .arguments = "x1 x2", .emit = outer},
    {.name = "Kron", .arguments = "x1 x2", .emit = kron},
    WITH("Tensordot", "x1 x2", tensordot, tensordot_fields, options),
    WITH("Einsum", "operands*", einsum, einsum_fields, einsum_options),
    WITH("Cross", "x1 x2", cross, cross_fields, cross_options),
    WITH("Diff", "a", diff, diff_fields, line_options),
    WITH("Trapezoid", "y", trapezoid, trapezoid_fields, line_options),
    {.name = "Corrcoef", .arguments = "x", .emit = corrcoef},
    WITH("Correlate", "x1 x2", correlate, correlate_fields, correlate_options),
    {0}};
