/* keras.ops: reductions and cumulative functions of keras.ops.numpy. */
#include <math.h>

#include "layers/operation.h"

typedef struct options {
  cn_ints axis;
  bool keepdims;
  double initial;
  int64_t ddof;
} options;

#define AXIS {.name = "axis", .kind = CN_F_INTS, .offset = offsetof(options, axis), .standard = "null", \
              .help = CN_HELP("axes to reduce; null: all")}
#define KEEPDIMS {.name = "keepdims", .kind = CN_F_BOOL, .offset = offsetof(options, keepdims), .standard = "false", \
                  .help = CN_HELP("keeps them with size 1")}
#define INITIAL {.name = "initial", .kind = CN_F_FLOAT, .offset = offsetof(options, initial), .standard = "null", \
                 .help = CN_HELP("a further value that takes part; null: none")}
static const cn_field axis_fields[] = {AXIS, {0}}, fields[] = {AXIS, KEEPDIMS, {0}},
                      extreme_fields[] = {AXIS, KEEPDIMS, INITIAL, {0}};

static cn_edge reduce(cn_operation_call *c, const cn_op *op, cn_edge x) {
  const options *o = c->options;
  return cn_emit1(c->t, op, &(cn_reduce_attrs){o->axis, o->keepdims}, x);
}

/* x, and something else where it is NaN. */
static cn_edge without_nan(cn_operation_call *c, cn_edge x, double v) {
  if (!cn_dtype_is_float(cn_operation_type(c, x)->dtype)) return x;
  cn_edge bad = cn_emit1(c->t, &cn_op_isnan, NULL, x);
  return cn_emit3(c->t, &cn_op_where, NULL, bad, cn_emit_like(c->t, x, v), x);
}

static cn_edge all_nan(cn_operation_call *c, cn_edge x) {
  return reduce(c, &cn_op_all, cn_emit1(c->t, &cn_op_isnan, NULL, x));
}

/* ---- The largest and the smallest ---- */

static void extreme(cn_operation_call *c, const cn_op *op, const cn_op *pair) {
  const options *o = c->options;
  cn_edge y = reduce(c, op, cn_argument_tensor(c, "x"));
  if (!isnan(o->initial)) y = cn_emit2(c->t, pair, NULL, y, cn_emit_like(c->t, y, o->initial));
  cn_operation_return(c, y);
}
static void max_of(cn_operation_call *c) { extreme(c, &cn_op_max, &cn_op_maximum); }
static void min_of(cn_operation_call *c) { extreme(c, &cn_op_min, &cn_op_minimum); }

static void nan_extreme(cn_operation_call *c, const cn_op *op, double worst) {
  cn_edge x = cn_argument_tensor(c, "x"), y = reduce(c, op, without_nan(c, x, worst));
  if (cn_dtype_is_float(cn_operation_type(c, x)->dtype))
    y = cn_emit3(c->t, &cn_op_where, NULL, all_nan(c, x), cn_emit_like(c->t, y, NAN), y);
  cn_operation_return(c, y);
}
static void nan_max(cn_operation_call *c) { nan_extreme(c, &cn_op_max, -INFINITY); }
static void nan_min(cn_operation_call *c) { nan_extreme(c, &cn_op_min, INFINITY); }

static void range_of(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x");
  cn_operation_return(c, cn_emit2(c->t, &cn_op_sub, NULL, reduce(c, &cn_op_max, x), reduce(c, &cn_op_min, x)));
}

/* Along one axis; without one in the array as one line. */
static cn_edge argument_of(cn_operation_call *c, const cn_op *op, cn_edge x) {
  const options *o = c->options;
  int rank = cn_operation_type(c, x)->rank;
  if (o->axis.n >= 0) return reduce(c, op, x);
  cn_edge line = cn_emit_flat(c->t, x);
  cn_edge y = cn_emit1(c->t, op, &(cn_reduce_attrs){.axes = {1, {0}}}, line);
  cn_reshape_attrs ones = {.shape = {.n = rank, .v = {1, 1, 1, 1, 1, 1, 1, 1}}};
  return o->keepdims ? cn_emit1(c->t, &cn_op_reshape, &ones, y) : y;
}
static void return_index(cn_operation_call *c, cn_edge index) {
  cn_operation_return(c, cn_emit_cast(c->t, index, CORNU_INT32));
}
static void arg_max(cn_operation_call *c) {
  return_index(c, argument_of(c, &cn_op_argmax, cn_argument_tensor(c, "x")));
}
static void arg_min(cn_operation_call *c) {
  return_index(c, argument_of(c, &cn_op_argmin, cn_argument_tensor(c, "x")));
}

/* -1 where all is NaN. */
static void nan_argument(cn_operation_call *c, const cn_op *op, double worst) {
  cn_edge x = cn_argument_tensor(c, "x"), y = argument_of(c, op, without_nan(c, x, worst));
  if (cn_dtype_is_float(cn_operation_type(c, x)->dtype))
    y = cn_emit3(c->t, &cn_op_where, NULL, all_nan(c, x), cn_emit_like(c->t, y, -1), y);
  return_index(c, y);
}
static void nan_arg_max(cn_operation_call *c) { nan_argument(c, &cn_op_argmax, -INFINITY); }
static void nan_arg_min(cn_operation_call *c) { nan_argument(c, &cn_op_argmin, INFINITY); }

/* ---- Sums and products ---- */

/* In the dtype of the elements; small integers in 32 bits. */
static void total(cn_operation_call *c, const cn_op *op, cn_edge x) {
  cornu_dtype d = cn_operation_type(c, x)->dtype;
  if (d == CORNU_BOOL8 || d == CORNU_INT8 || d == CORNU_INT16) d = CORNU_INT32;
  if (d == CORNU_UINT8 || d == CORNU_UINT16) d = CORNU_UINT32;
  cn_operation_return(c, cn_emit_cast(c->t, reduce(c, op, x), d));
}
static void sum_of(cn_operation_call *c) { total(c, &cn_op_sum, cn_argument_tensor(c, "x")); }
static void prod_of(cn_operation_call *c) { total(c, &cn_op_prod, cn_argument_tensor(c, "x")); }

/* ---- Sums and moments without NaN ---- */

static void nan_sum(cn_operation_call *c) {
  total(c, &cn_op_sum, without_nan(c, cn_argument_tensor(c, "x"), 0));
}
static void nan_prod(cn_operation_call *c) {
  total(c, &cn_op_prod, without_nan(c, cn_argument_tensor(c, "x"), 1));
}

/* How many are numbers, as floats. */
static cn_edge count_numbers(cn_operation_call *c, cn_edge x, bool keepdims) {
  const options *o = c->options;
  cn_edge bad = cn_emit1(c->t, &cn_op_isnan, NULL, x);
  cn_edge good = cn_emit_cast(c->t, cn_emit1(c->t, &cn_op_logical_not, NULL, bad), cn_operation_type(c, x)->dtype);
  return cn_emit1(c->t, &cn_op_sum, &(cn_reduce_attrs){o->axis, keepdims}, good);
}

static cn_edge mean_of_numbers(cn_operation_call *c, cn_edge x, bool keepdims) {
  const options *o = c->options;
  cn_edge sum = cn_emit1(c->t, &cn_op_sum, &(cn_reduce_attrs){o->axis, keepdims}, without_nan(c, x, 0));
  return cn_emit2(c->t, &cn_op_div, NULL, sum, count_numbers(c, x, keepdims));
}

static cn_edge floating(cn_operation_call *c) { return cn_emit_floating(c->t, cn_argument_tensor(c, "x")); }

static void nan_mean(cn_operation_call *c) {
  cn_operation_return(c, mean_of_numbers(c, floating(c), ((const options *)c->options)->keepdims));
}

static cn_edge variance_of_numbers(cn_operation_call *c) {
  cn_edge x = floating(c);
  cn_edge off = cn_emit2(c->t, &cn_op_squared_difference, NULL, x, mean_of_numbers(c, x, true));
  return mean_of_numbers(c, off, ((const options *)c->options)->keepdims);
}
static void nan_var(cn_operation_call *c) { cn_operation_return(c, variance_of_numbers(c)); }
static void nan_std(cn_operation_call *c) {
  cn_operation_return(c, cn_emit1(c->t, &cn_op_sqrt, NULL, variance_of_numbers(c)));
}

static void count_nonzero(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x");
  cn_edge not_zero = cn_emit2(c->t, &cn_op_not_equal, NULL, x, cn_emit_like(c->t, x, 0));
  return_index(c, reduce(c, &cn_op_sum, cn_emit_cast(c->t, not_zero, CORNU_INT32)));
}

/* Weights of one axis are a vector along it. */
static cn_edge along_axis(cn_operation_call *c, cn_edge weights, const cn_type *x) {
  const options *o = c->options;
  if (cn_operation_type(c, weights)->rank == x->rank || o->axis.n != 1) return weights;
  int64_t axis = o->axis.v[0] < 0 ? o->axis.v[0] + x->rank : o->axis.v[0];
  cn_reshape_attrs to = {.shape = {.n = x->rank, .v = {1, 1, 1, 1, 1, 1, 1, 1}}};
  if (axis >= 0 && axis < x->rank) to.shape.v[axis] = CN_DIM_INFER;
  return cn_emit1(c->t, &cn_op_reshape, &to, weights);
}

static void average(cn_operation_call *c) {
  cn_edge x = floating(c), weights = cn_argument_optional(c, "weights");
  const cn_type type = *cn_operation_type(c, x);
  if (weights == CN_NO_EDGE || c->t->status) {
    cn_operation_return(c, reduce(c, &cn_op_mean, x));
    return;
  }
  weights = cn_emit_cast(c->t, along_axis(c, weights, &type), type.dtype);
  cn_edge weighted = cn_emit2(c->t, &cn_op_mul, NULL, x, weights);
  weights = cn_emit2(c->t, &cn_op_add, NULL, weights, cn_emit1(c->t, &cn_op_full_like, &(cn_fill_attrs){0, type.dtype}, x));
  cn_operation_return(c, cn_emit2(c->t, &cn_op_div, NULL, reduce(c, &cn_op_sum, weighted),
                                  reduce(c, &cn_op_sum, weights)));
}

/* ---- Cumulative ---- */

static void cumulate(cn_operation_call *c, const cn_op *op, cn_edge x) {
  const options *o = c->options;
  const cn_value *dtype = cn_argument(c, "dtype");
  cornu_dtype wanted;
  if (cn_value_str(dtype) && cornu_dtype_parse(dtype->s, &wanted)) x = cn_emit_cast(c->t, x, wanted);
  cornu_dtype given = cn_operation_type(c, x)->dtype, result = given == CORNU_BOOL8 ? CORNU_INT32 : given;
  if (!cn_dtype_is_float(given)) x = cn_emit_cast(c->t, x, CORNU_INT64); /* small integers wrap round at the end */
  if (o->axis.n < 0) x = cn_emit_flat(c->t, x);
  x = cn_emit1(c->t, op, &(cn_cumulate_attrs){.axis = o->axis.n < 0 ? 0 : o->axis.v[0]}, x);
  cn_operation_return(c, cn_emit_cast(c->t, x, result));
}
static void cumsum(cn_operation_call *c) { cumulate(c, &cn_op_cumsum, cn_argument_tensor(c, "x")); }
static void cumprod(cn_operation_call *c) { cumulate(c, &cn_op_cumprod, cn_argument_tensor(c, "x")); }
static void nan_cumsum(cn_operation_call *c) {
  cumulate(c, &cn_op_cumsum, without_nan(c, cn_argument_tensor(c, "x"), 0));
}
static void nan_cumprod(cn_operation_call *c) {
  cumulate(c, &cn_op_cumprod, without_nan(c, cn_argument_tensor(c, "x"), 1));
}

#define REDUCE(class, op_name) {.name = class, .arguments = "x", .op = op_name}
#define WITH(class, args, function, keys) \
  {.name = class, .arguments = args, .emit = function, .fields = keys, .options_size = sizeof(options)}

const cn_operation cn_operations_numpy_reduce[] = {
    WITH("Sum", "x", sum_of, fields),
    REDUCE("Mean", "mean"),
    WITH("Prod", "x", prod_of, fields),
    REDUCE("Any", "any"),
    REDUCE("All", "all"),
    REDUCE("Var", "var"),
    REDUCE("Std", "std"),
    REDUCE("Amax", "max"),
    REDUCE("Amin", "min"),
    WITH("Max", "x", max_of, extreme_fields),
    WITH("Min", "x", min_of, extreme_fields),
    WITH("Ptp", "x", range_of, fields),
    WITH("Argmax", "x", arg_max, fields),
    WITH("Argmin", "x", arg_min, fields),
    WITH("CountNonzero", "x", count_nonzero, axis_fields),
    WITH("Average", "x weights", average, axis_fields),
    WITH("Cumsum", "x", cumsum, axis_fields),
    WITH("Cumprod", "x", cumprod, axis_fields),
    WITH("Nansum", "x", nan_sum, fields),
    WITH("Nanprod", "x", nan_prod, fields),
    WITH("Nanmean", "x", nan_mean, fields),
    WITH("Nanvar", "x", nan_var, fields),
    WITH("Nanstd", "x", nan_std, fields),
    WITH("Nanmax", "x", nan_max, fields),
    WITH("Nanmin", "x", nan_min, fields),
    WITH("Nanargmax", "x", nan_arg_max, fields),
    WITH("Nanargmin", "x", nan_arg_min, fields),
    WITH("Nancumsum", "x", nan_cumsum, axis_fields),
    WITH("Nancumprod", "x", nan_cumprod, axis_fields),
    {0}};
