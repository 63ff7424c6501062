/* keras.ops: keras.ops.core. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "layers/operation.h"

typedef struct options {
  cn_ints shape;
  int64_t axis, num;
  int reduction;
  cornu_dtype dtype;
  const cn_value *sparse, *ragged;
} options;

#define KEY(key, field_kind, default_value, text) \
  {.name = #key, .kind = field_kind, .offset = offsetof(options, key), .standard = default_value, .help = CN_HELP(text)}
#define SHAPE {.name = "shape", .kind = CN_F_INTS, .offset = offsetof(options, shape), .help = CN_HELP("of the result")}

static const cn_type *type_of(cn_operation_call *c, cn_edge x) { return cn_operation_type(c, x); }

static void stop_gradient(cn_operation_call *c) {
  const cn_edge x = cn_argument_tensor(c, "variable");
  cn_operation_return(c, c->t->differentiable ? cn_emit1(c->t, &cn_op_stop_gradient, NULL, x) : x);
}

/* ---- Dtypes ---- */

static void convert_to_tensor(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "x");
  cn_operation_return(c, o->dtype == CORNU_DTYPES ? x : cn_emit_cast(c->t, x, o->dtype));
}

/* The numbers that a dtype holds. */
static void limits(cornu_dtype dtype, double *low, double *high) {
  static const double largest[] = {[CORNU_FLOAT32] = FLT_MAX, [CORNU_FLOAT64] = DBL_MAX, [CORNU_FLOAT16] = 65504,
                                   [CORNU_BFLOAT16] = 0x1.fep127};
  int bits = 8 * (int)cornu_dtype_bytes(dtype);
  bool has_sign = dtype >= CORNU_INT8 && dtype <= CORNU_INT64;
  if (cn_dtype_is_float(dtype)) {
    *high = largest[dtype];
    *low = -*high;
  } else {
    *high = dtype == CORNU_BOOL8 ? 1 : ldexp(1, bits - has_sign) - 1;
    *low = has_sign ? -ldexp(1, bits - 1) : 0;
  }
}

/* Numbers beyond what the new dtype holds become its lowest and highest. */
static void saturate_cast(cn_operation_call *c) {
  cornu_dtype to = ((const options *)c->options)->dtype;
  cn_edge x = cn_argument_tensor(c, "x");
  cornu_dtype from = type_of(c, x)->dtype;
  double low, high, own_low, own_high;
  limits(to, &low, &high);
  limits(from, &own_low, &own_high);
  if (low > own_low || high < own_high)
    x = cn_emit1(c->t, &cn_op_clip, &(cn_clip_attrs){low > own_low ? low : NAN, high < own_high ? high : NAN}, x);
  cn_operation_return(c, cn_emit_cast(c->t, x, to));
}

/* ---- Indices ---- */

/* Whole numbers as a vector: an array, or a list that may hold tensors. */
static cn_edge index_vector(cn_operation_call *c, const char *name) {
  const cn_value *v = cn_argument(c, name);
  cn_edge parts[CN_MAX_OUT];
  int unused;
  bool holds_tensors = false;
  for (int i = 0; cn_value_is(v, CORNU_LIST) && i < v->count; i++) holds_tensors |= cn_call_ref(v->items[i], &unused);
  if (!holds_tensors) return cn_argument_tensor(c, name);
  int n = cn_argument_tensors(c, name, parts, CN_MAX_OUT);
  for (int i = 0; i < n; i++) parts[i] = cn_emit_cast(c->t, parts[i], CORNU_INT64);
  return cn_emit(c->t, &cn_op_stack, &(cn_axis_attrs){0}, parts, n);
}

static void scatter(cn_operation_call *c) {
  cn_edge indices = cn_argument_tensor(c, "indices"), values = cn_argument_tensor(c, "values");
  cn_edge zero = cn_emit_like(c->t, values, 0);
  cn_edge zeros = cn_emit1(c->t, &cn_op_broadcast_to, &(cn_ints_attrs){((const options *)c->options)->shape}, zero);
  cn_operation_return(c, cn_emit3(c->t, &cn_op_scatter, &(cn_scatter_attrs){CN_SCATTER_ADD}, zeros, indices, values));
}

static void scatter_update(cn_operation_call *c) {
  int reduction = ((const options *)c->options)->reduction;
  cn_scatter_attrs how = {reduction < 0 ? CN_SCATTER_SET : reduction + 1};
  cn_edge x = cn_argument_tensor(c, "inputs"), indices = cn_argument_tensor(c, "indices");
  cn_edge updates = cn_emit_cast(c->t, cn_argument_tensor(c, "updates"), type_of(c, x)->dtype);
  cn_operation_return(c, cn_emit3(c->t, &cn_op_scatter, &how, x, indices, updates));
}

/* A block whose beginning the file tells; -1 in the shape: to the end. */
static void slice_constant(cn_operation_call *c, cn_edge x, const int64_t *begin) {
  const cn_ints *shape = &((const options *)c->options)->shape;
  const cn_type type = *type_of(c, x);
  cn_slice_attrs a = {.axes = {.n = shape->n}, .begin = {.n = shape->n}, .end = {.n = shape->n}, .step = {.n = shape->n}};
  for (int i = 0; i < shape->n; i++) {
    int64_t n = type.shape[i], size = shape->v[i];
    if (begin[i] < 0 || size < -1 || (n >= 0 && begin[i] + (size < 0 ? 0 : size) > n))
      cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "takes %lld elements from %lld on of dimension %d of %s", (long long)size,
                    (long long)begin[i], i, CN_SHAPE(type.rank, type.shape));
    a.axes.v[i] = i;
    a.begin.v[i] = begin[i];
    a.end.v[i] = size < 0 ? CN_NULL_INT : begin[i] + size;
    a.step.v[i] = 1;
  }
  cn_operation_return(c, cn_emit1(c->t, &cn_op_slice, &a, x));
}

static bool read_numbers(const cn_value *v, int n, int64_t *out) {
  const cn_value *inner = cn_value_find(cn_value_find(v, "config"), "value");
  if (inner) v = inner;
  for (int i = 0; cn_value_is(v, CORNU_LIST) && v->count == n && cn_value_integer(v->items[i], &out[i]);)
    if (++i == n) return true;
  return false;
}

/* A block whose beginning a tensor tells. */
static void slice_somewhere(cn_operation_call *c, cn_edge x, const cn_ints *shape) {
  for (int i = 0; i < shape->n; i++)
    if (shape->v[i] < 0)
      cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "takes all that follows a place that a tensor tells, which no plan can "
                    "know: \"shape\" is %s", CN_SHAPE(shape->n, shape->v));
  cn_edge begin = index_vector(c, "start_indices");
  cn_operation_return(c, cn_emit2(c->t, &cn_op_slice_at, &(cn_ints_attrs){*shape}, x, begin));
}

static void slice(cn_operation_call *c) {
  const cn_ints *shape = &((const options *)c->options)->shape;
  cn_edge x = cn_argument_tensor(c, "inputs");
  const cn_type type = *type_of(c, x);
  int64_t begin[CN_MAX_INTS];
  if (c->t->status) return;
  if (shape->n != type.rank)
    cn_trace_fail(c->t, CORNU_ERR_SHAPE, "\"shape\" is %s beside an input %s", CN_SHAPE(shape->n, shape->v),
                  CN_SHAPE(type.rank, type.shape));
  else if (read_numbers(cn_argument(c, "start_indices"), shape->n, begin)) slice_constant(c, x, begin);
  else
    slice_somewhere(c, x, shape);
}

static void slice_update(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "inputs"), begin = index_vector(c, "start_indices");
  cn_edge updates = cn_emit_cast(c->t, cn_argument_tensor(c, "updates"), type_of(c, x)->dtype);
  cn_operation_return(c, cn_emit3(c->t, &cn_op_slice_update, NULL, x, updates, begin));
}

enum { MOST_PARTS = 1 << 16 };

static void unstack(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "x");
  const cn_type type = *type_of(c, x);
  int axis;
  if (c->t->status || (c->t->status = cn_axis(o->axis, type.rank, &axis, c->t->error))) return;
  int64_t n = o->num == CN_NULL_INT ? type.shape[axis] : o->num;
  if (n < 0 || n > MOST_PARTS || (type.shape[axis] >= 0 && type.shape[axis] != n))
    cn_trace_fail(c->t, CORNU_ERR_SHAPE, "unstacks axis %d of %s into %lld parts", axis, CN_SHAPE(type.rank, type.shape),
                  (long long)n);
  for (int64_t i = 0; i < n && !c->t->status; i++) {
    cn_slice_attrs a = {{1, {axis}}, {1, {i}}, {1, {i + 1}}, {1, {1}}};
    cn_edge part = cn_emit1(c->t, &cn_op_slice, &a, x);
    cn_operation_return(c, cn_emit1(c->t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {axis}}}, part));
  }
}

static const cn_field dtype_fields[] = {KEY(dtype, CN_F_DTYPE, "null", "the new dtype; null: as it is"),
                                        KEY(sparse, CN_F_IGNORED, "null", "tensors are dense"),
                                        KEY(ragged, CN_F_IGNORED, "null", "tensors are dense"), {0}};
static const cn_field saturate_fields[] = {
    {.name = "dtype", .kind = CN_F_DTYPE, .offset = offsetof(options, dtype), .help = CN_HELP("the new dtype")}, {0}};
static const cn_field shape_fields[] = {SHAPE, {0}};
static const cn_field scatter_fields[] = {
    {.name = "reduction", .kind = CN_F_ENUM, .offset = offsetof(options, reduction), .standard = "null",
     .choices = "add mul max min", .help = CN_HELP("how an update meets what is there; null: it replaces it")},
    {0}};
static const cn_field unstack_fields[] = {KEY(num, CN_F_INT, "null", "how many; null: as many as there are"),
                                          KEY(axis, CN_F_INT, "0", "which axis"), {0}};

#define WITH(class, args, function, keys) \
  {.name = class, .arguments = args, .emit = function, .fields = keys, .options_size = sizeof(options)}

const cn_operation cn_operations_core[] = {
    {.name = "Cast", .arguments = "x", .op = "cast"},
    WITH("SaturateCast", "x", saturate_cast, saturate_fields),
    WITH("ConvertToTensor", "x", convert_to_tensor, dtype_fields),
    {.name = "StopGradient", .arguments = "variable", .emit = stop_gradient},
    WITH("Scatter", "indices values", scatter, shape_fields),
    WITH("ScatterUpdate", "inputs indices updates", scatter_update, scatter_fields),
    WITH("Slice", "inputs start_indices", slice, shape_fields),
    {.name = "SliceUpdate", .arguments = "inputs start_indices updates", .emit = slice_update},
    WITH("Unstack", "x", unstack, unstack_fields),
    {0}};
