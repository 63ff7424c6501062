/* keras.ops: what has as many elements as the data says: nonzero, unique and bincount of keras.ops.numpy. */
#include <math.h>

#include "layers/operation.h"

static const cn_type *type_of(cn_operation_call *c, cn_edge x) { return cn_operation_type(c, x); }

static cn_edge emit2(cn_operation_call *c, const cn_op *op, cn_edge a, cn_edge b) {
  return cn_emit2(c->t, op, NULL, a, b);
}

/* The first `size` of a vector; -1: shapes alone. */
static cn_edge head(cn_operation_call *c, cn_edge x, int64_t size) {
  if (size < 0) return cn_emit1(c->t, &cn_op_reshape, &(cn_reshape_attrs){{1, {CN_DIM_OPEN}}}, x);
  return cn_emit_range(c->t, x, 0, 0, size);
}

/* Where a vector of truth is true, in order, and behind that where it is not. */
static cn_edge places(cn_operation_call *c, cn_edge truth) {
  cn_edge is_not = cn_emit_cast(c->t, cn_emit1(c->t, &cn_op_logical_not, NULL, truth), CORNU_INT32);
  return cn_emit1(c->t, &cn_op_argsort, &(cn_sort_attrs){.axis = 0}, is_not);
}

static cn_edge count_of(cn_operation_call *c, cn_edge truth) {
  cn_edge ones = cn_emit_cast(c->t, truth, CORNU_INT64);
  return cn_emit_cast(c->t, cn_emit1(c->t, &cn_op_sum, &(cn_reduce_attrs){.axes = {.n = -1}}, ones), CORNU_INT64);
}

static cn_edge take(cn_operation_call *c, cn_edge x, cn_edge indices) {
  return cn_emit2(c->t, &cn_op_gather, &(cn_axis_attrs){0}, x, indices);
}

/* ---- nonzero ---- */

/* For each axis the indices of what is not zero. */
static void nonzero(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x"), made[CN_MAX_RANK];
  const cn_type type = *type_of(c, x);
  cn_edge truth = cn_emit_cast(c->t, cn_emit_flat(c->t, x), CORNU_BOOL8);
  int64_t size = cn_trace_measure(c->t, count_of(c, truth));
  cn_edge at = head(c, places(c, truth), size);
  for (int i = type.rank - 1; i >= 0; i--) {
    cn_edge n = cn_emit_like(c->t, at, type.shape[i] > 0 ? (double)type.shape[i] : 1);
    made[i] = emit2(c, &cn_op_mod, at, n);
    at = emit2(c, &cn_op_floordiv, at, n);
  }
  for (int i = 0; i < type.rank; i++) cn_operation_return(c, cn_emit_cast(c->t, made[i], CORNU_INT32));
}

/* ---- unique ---- */

typedef struct options {
  bool sorted, return_index, return_inverse, return_counts;
  int64_t axis, size, minlength;
  double fill;
  const cn_value *weights;
} options;
#define BOOL(member, default_, text) \
  {.name = #member, .kind = CN_F_BOOL, .offset = offsetof(options, member), .standard = default_, .help = CN_HELP(text)}
static const cn_field unique_fields[] = {
    BOOL(sorted, "true", "in order; else as they come first"),
    BOOL(return_index, "false", "also where each is first"),
    BOOL(return_inverse, "false", "also which of them each element is"),
    BOOL(return_counts, "false", "also how often each is there"),
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(options, axis), .standard = "null",
     .help = CN_HELP("null: of all elements as one line")},
    {.name = "size", .kind = CN_F_INT, .offset = offsetof(options, size), .standard = "null", .min = 0, .max = 1e9,
     .help = CN_HELP("how many the result has, cut or filled up; null: as many as there are")},
    {.name = "fill_value", .kind = CN_F_FLOAT, .offset = offsetof(options, fill), .standard = "null",
     .help = CN_HELP("what fills it up; null: 0")},
    {0}};

/* A sorted line in groups of equal elements. */
typedef struct groups {
  cn_edge order, line;  /* indices that sort; the sorted line */
  cn_edge first;        /* of each place of it: does a group begin? */
  cn_edge begin, count; /* where the groups begin; how many there are */
  int64_t size;         /* of the results */
} groups;

static groups groups_of(cn_operation_call *c, cn_edge flat) {
  const options *o = c->options;
  groups g;
  cn_edge yes = cn_emit_cast(c->t, cn_emit_counter(c->t, CORNU_INT32, 1, 0, 1), CORNU_BOOL8);
  g.order = cn_emit1(c->t, &cn_op_argsort, &(cn_sort_attrs){.axis = 0}, flat);
  g.line = take(c, flat, g.order);
  cn_edge changes = emit2(c, &cn_op_not_equal, cn_emit_range(c->t, g.line, 0, 1, CN_NULL_INT),
                          cn_emit_range(c->t, g.line, 0, 0, -1));
  g.first = cn_emit(c->t, &cn_op_concat, &(cn_axis_attrs){0}, (cn_edge[]){yes, changes}, 2);
  g.count = count_of(c, g.first);
  int64_t n = type_of(c, flat)->shape[0];
  g.size = o->size == CN_NULL_INT ? cn_trace_measure(c->t, g.count) : o->size;
  if (n == 0) cn_trace_fail(c->t, CORNU_ERR_SHAPE, "takes at least one element");
  cn_edge begin = places(c, g.first);
  if (g.size > n && n >= 0) { /* filled up later */
    cn_pad_attrs more = {.before = {1, {0}}, .after = {1, {g.size - n}}};
    begin = cn_emit1(c->t, &cn_op_pad, &more, begin);
  }
  g.begin = head(c, begin, g.size);
  return g;
}

/* Which of the results there are; the others fill up. */
static cn_edge real(cn_operation_call *c, const groups *g) {
  cn_edge counter = g->size < 0 ? g->begin : cn_emit_counter(c->t, CORNU_INT64, g->size, 1, 0);
  return emit2(c, &cn_op_less, counter, g->count);
}

static cn_edge filled(cn_operation_call *c, const groups *g, cn_edge x, double v) {
  if (((const options *)c->options)->size == CN_NULL_INT) return x;
  return cn_emit3(c->t, &cn_op_where, NULL, real(c, g), x, cn_emit_like(c->t, x, v));
}

/* From the beginning of a group to that of the next; the last one ends with the line. */
static cn_edge counts(cn_operation_call *c, const groups *g, int64_t n) {
  cn_edge end = cn_emit_counter(c->t, CORNU_INT32, 1, 0, n < 0 ? 0 : (double)n);
  if (g->size == 0) return g->begin;
  if (((const options *)c->options)->size == CN_NULL_INT || g->size >= n) {
    cn_edge later[] = {cn_emit_range(c->t, g->begin, 0, 1, CN_NULL_INT), end};
    end = cn_emit(c->t, &cn_op_concat, &(cn_axis_attrs){0}, later, 2);
  } else { /* cut: the next group is there, but for the results */
    end = cn_emit_range(c->t, places(c, g->first), 0, 1, g->size + 1);
  }
  if (g->size >= 0 && ((const options *)c->options)->size != CN_NULL_INT) {
    cn_edge number = cn_emit_counter(c->t, CORNU_INT64, g->size, 1, 1);
    end = cn_emit3(c->t, &cn_op_where, NULL, emit2(c, &cn_op_less, number, g->count), end,
                   cn_emit_like(c->t, end, n < 0 ? 0 : (double)n));
  }
  return emit2(c, &cn_op_sub, end, g->begin);
}

static void unique(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "x");
  const cn_type type = *type_of(c, x);
  if (o->axis != CN_NULL_INT && type.rank != 1)
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "\"axis\" is %lld: only all elements as one line are supported, null",
                  (long long)o->axis);
  if (!o->sorted && o->size != CN_NULL_INT)
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "\"size\" without \"sorted\" is not supported");
  if (c->t->status) return;
  groups g = groups_of(c, cn_emit_flat(c->t, x));
  int64_t n = cn_shape_size(type.rank, type.shape);
  cn_edge values = take(c, g.line, g.begin), index = take(c, g.order, g.begin), number = counts(c, &g, n);
  cn_edge group = cn_emit_cast(c->t, g.first, CORNU_INT64), inverse;
  group = cn_emit1(c->t, &cn_op_cumsum, &(cn_cumulate_attrs){.axis = 0}, group);
  group = emit2(c, &cn_op_sub, group, cn_emit_like(c->t, group, 1));
  cn_edge rank = cn_emit1(c->t, &cn_op_argsort, &(cn_sort_attrs){.axis = 0}, g.order);
  inverse = take(c, group, rank);
  if (!o->sorted) {
    cn_edge come = cn_emit1(c->t, &cn_op_argsort, &(cn_sort_attrs){.axis = 0}, index);
    values = take(c, values, come);
    index = take(c, index, come);
    number = take(c, number, come);
    inverse = take(c, cn_emit1(c->t, &cn_op_argsort, &(cn_sort_attrs){.axis = 0}, come), inverse);
  }
  cn_operation_return(c, filled(c, &g, values, isnan(o->fill) ? 0 : o->fill));
  if (o->return_index) cn_operation_return(c, cn_emit_cast(c->t, filled(c, &g, index, 1), CORNU_INT32));
  if (o->return_inverse) {
    cn_reshape_attrs back = {.shape = {.n = type.rank}};
    for (int i = 0; i < type.rank; i++) back.shape.v[i] = type.shape[i] < 0 ? CN_DIM_OPEN : type.shape[i];
    inverse = cn_emit1(c->t, &cn_op_reshape, &back, inverse);
    cn_operation_return(c, cn_emit_cast(c->t, inverse, CORNU_INT32));
  }
  if (o->return_counts) cn_operation_return(c, filled(c, &g, number, 0));
}

/* ---- bincount ---- */

static const cn_field bincount_fields[] = {
    {.name = "weights", .kind = CN_F_VALUE, .offset = offsetof(options, weights), .standard = "null",
     .help = CN_HELP("of each element; null: 1")},
    {.name = "minlength", .kind = CN_F_INT, .offset = offsetof(options, minlength), .standard = "0", .min = 0,
     .max = 1e7, .help = CN_HELP("bins there are at least")},
    {.name = "sparse", .kind = CN_F_BOOL, .offset = offsetof(options, sorted), .standard = "false",
     .help = CN_HELP("the same values, here always in a dense tensor")},
    {0}};

/* How often each whole number from 0 on is there along the last axis. */
static void bincount(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_emit_cast(c->t, cn_argument_tensor(c, "x"), CORNU_INT64), weights = CN_NO_EDGE;
  if (!cn_value_is_null(o->weights)) weights = cn_emit_array(c->t, "weights", o->weights, CORNU_DTYPES);
  cn_edge most = cn_emit1(c->t, &cn_op_max, &(cn_reduce_attrs){.axes = {.n = -1}}, x);
  cn_edge least = cn_emit_scalar(c->t, CORNU_INT64, (double)o->minlength);
  most = emit2(c, &cn_op_maximum, emit2(c, &cn_op_add, most, cn_emit_like(c->t, most, 1)), least);
  int64_t size = cn_trace_measure(c->t, cn_emit_cast(c->t, most, CORNU_INT64));
  if (size > 10000000) cn_trace_fail(c->t, CORNU_ERR_LIMIT, "has %lld bins", (long long)size);
  cornu_dtype dtype = weights == CN_NO_EDGE ? CORNU_INT32 : type_of(c, weights)->dtype;
  cn_edge hits = cn_emit1(c->t, &cn_op_one_hot, &(cn_one_hot_attrs){size < 0 ? 1 : size, dtype}, x);
  if (weights != CN_NO_EDGE) hits = emit2(c, &cn_op_mul, hits, cn_emit_new_axis(c->t, weights, -1));
  cn_edge y = cn_emit1(c->t, &cn_op_sum, &(cn_reduce_attrs){.axes = {1, {-2}}}, hits);
  if (size < 0) { /* shapes alone */
    cn_reshape_attrs open = {.shape = {.n = type_of(c, y)->rank}};
    for (int i = 0; i < open.shape.n; i++) open.shape.v[i] = i + 1 < open.shape.n ? CN_DIM_COPY : CN_DIM_OPEN;
    y = cn_emit1(c->t, &cn_op_reshape, &open, y);
  }
  cn_operation_return(c, cn_emit_cast(c->t, y, dtype));
}

#define WITH(class, function, keys) \
  {.name = class, .arguments = "x", .emit = function, .fields = keys, .options_size = sizeof(options)}
const cn_operation cn_operations_numpy_sets[] = {
    {.name = "Nonzero", .arguments = "x", .emit = nonzero},
    WITH("Unique", unique, unique_fields),
    WITH("Bincount", bincount, bincount_fields),
    {0}};
