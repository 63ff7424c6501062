/* keras.ops: choosing, sorting, searching and quantiles of keras.ops.numpy. */
#include <math.h>

#include "layers/operation.h"

typedef struct options {
  cn_ints axis, range;
  int64_t kth, bins;
  int method, side;
  bool keepdims, invert;
} options;

#define WITH(class, args, function, keys) \
  {.name = class, .arguments = args, .emit = function, .fields = keys, .options_size = sizeof(options)}
#define AXIS(default_) {.name = "axis", .kind = CN_F_INTS, .offset = offsetof(options, axis), .standard = default_, \
                        .null_items = true, .help = CN_HELP("the axis; null: all as one line")}

static const cn_type *type_of(cn_operation_call *c, cn_edge x) { return cn_operation_type(c, x); }

static void where(cn_operation_call *c) {
  if (!cn_argument(c, "x1") || !cn_argument(c, "x2"))
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "gives as many elements as there are true ones, which no plan can know: "
                  "give it x1 and x2");
  cn_edge condition = cn_argument_tensor(c, "condition"), a = cn_argument_tensor(c, "x1");
  cn_operation_return(c, cn_emit3(c->t, &cn_op_where, NULL, condition, a, cn_argument_tensor(c, "x2")));
}

/* The first condition that holds chooses: so the last one is asked first. */
static void select(cn_operation_call *c) {
  cn_edge conditions[CN_MAX_OUT], choices[CN_MAX_OUT];
  int n = cn_argument_tensors(c, "condlist", conditions, CN_MAX_OUT);
  int m = cn_argument_tensors(c, "choicelist", choices, CN_MAX_OUT);
  if (n != m) cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "has %d conditions for %d choices", n, m);
  if (c->t->status) return;
  cn_edge y = cn_argument_optional(c, "default");
  if (y == CN_NO_EDGE) y = cn_emit_like(c->t, choices[0], 0);
  for (int i = n - 1; i >= 0; i--) y = cn_emit3(c->t, &cn_op_where, NULL, conditions[i], choices[i], y);
  cn_operation_return(c, y);
}

/* ---- Sorting ---- */

static const cn_field sort_fields[] = {AXIS("-1"), {0}};

/* x, or all of it as one line; *axis: along which. */
static cn_edge line_of(cn_operation_call *c, cn_edge x, int64_t *axis) {
  const cn_ints *a = &((const options *)c->options)->axis;
  *axis = a->n > 0 ? a->v[0] : 0;
  return a->n > 0 ? x : cn_emit_flat(c->t, x);
}

static void sort_with(cn_operation_call *c, const cn_op *op) {
  cn_sort_attrs a = {0};
  cn_edge x = line_of(c, cn_argument_tensor(c, "x"), &a.axis);
  cn_operation_return(c, cn_emit1(c->t, op, &a, x));
}
static void sort(cn_operation_call *c) { sort_with(c, &cn_op_sort); }
static void argsort(cn_operation_call *c) { sort_with(c, &cn_op_argsort); }

static const cn_field partition_fields[] = {
    AXIS("-1"),
    {.name = "kth", .kind = CN_F_INT, .offset = offsetof(options, kth), .min = -1e9, .max = 1e9,
     .help = CN_HELP("the place whose element is settled")},
    {0}};

/* Keras's TensorFlow compares whole numbers, gives the kth + 1 smallest in order, and after them the rest as a top-k of
 * the vector in which the former are 0. */
static void argpartition(cn_operation_call *c) {
  int64_t axis;
  cn_edge x = line_of(c, cn_emit_cast(c->t, cn_argument_tensor(c, "x"), CORNU_INT32), &axis);
  if (type_of(c, x)->rank != 1)
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "is called on %d axes: Keras itself partitions one line alone",
                  type_of(c, x)->rank);
  int64_t n = type_of(c, x)->shape[0], kth = ((const options *)c->options)->kth;
  if (c->t->status) return;
  if (n < 0)
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "needs a line of known length");
  kth = kth < 0 ? 0 : kth > n - 1 ? n - 1 : kth;
  cn_edge order = cn_emit1(c->t, &cn_op_argsort, &(cn_sort_attrs){.axis = 0}, x);
  cn_edge rank = cn_emit1(c->t, &cn_op_argsort, &(cn_sort_attrs){.axis = 0}, order);
  cn_edge low = cn_emit2(c->t, &cn_op_less_equal, NULL, rank, cn_emit_like(c->t, rank, (double)kth));
  cn_edge rest = cn_emit3(c->t, &cn_op_where, NULL, low, cn_emit_like(c->t, x, 0), x);
  cn_sort_attrs down = {.axis = 0, .descending = true};
  cn_edge parts[] = {cn_emit_range(c->t, order, 0, 0, kth + 1),
                     cn_emit_range(c->t, cn_emit1(c->t, &cn_op_argsort, &down, rest), 0, 0, n - kth - 1)};
  cn_operation_return(c, cn_emit(c->t, &cn_op_concat, &(cn_axis_attrs){0}, parts, 2));
}

/* ---- Indexing ---- */

static const cn_field take_fields[] = {AXIS("null"), {0}};

/* Negative indices count from the end. */
static cn_edge from_front(cn_operation_call *c, cn_edge indices, int64_t n) {
  if (n < 0) return indices; /* shapes alone */
  if (cn_dtype_is_float(type_of(c, indices)->dtype) || type_of(c, indices)->dtype == CORNU_BOOL8)
    indices = cn_emit_cast(c->t, indices, CORNU_INT64);
  cn_edge below = cn_emit2(c->t, &cn_op_less, NULL, indices, cn_emit_like(c->t, indices, 0));
  cn_edge moved = cn_emit2(c->t, &cn_op_add, NULL, indices, cn_emit_like(c->t, indices, (double)n));
  return cn_emit3(c->t, &cn_op_where, NULL, below, moved, indices);
}

static void take(cn_operation_call *c) {
  int64_t at;
  int axis;
  cn_edge x = line_of(c, cn_argument_tensor(c, "x"), &at), indices = cn_argument_tensor(c, "indices");
  if (!cn_trace_axis(c->t, at, type_of(c, x)->rank, &axis)) return;
  indices = from_front(c, indices, type_of(c, x)->shape[axis]);
  cn_operation_return(c, cn_emit2(c->t, &cn_op_gather, &(cn_axis_attrs){axis}, x, indices));
}

/* Both broadcast to each other, the axis apart. */
static void take_along_axis(cn_operation_call *c) {
  int64_t at;
  int axis;
  cn_edge x = line_of(c, cn_argument_tensor(c, "x"), &at), indices = cn_argument_tensor(c, "indices");
  const cn_type a = *type_of(c, x), b = *type_of(c, indices);
  if (!cn_trace_axis(c->t, at, a.rank, &axis)) return;
  if (a.rank != b.rank)
    cn_trace_fail(c->t, CORNU_ERR_SHAPE, "has indices of %d axes for %d", b.rank, a.rank);
  cn_ints_attrs wide = {.v = {.n = a.rank}}, wide_indices = {.v = {.n = a.rank}};
  bool widen = false, widen_indices = false;
  for (int i = 0; i < a.rank; i++) {
    bool one = i != axis && a.shape[i] == 1 && b.shape[i] != 1, other = i != axis && b.shape[i] == 1 && a.shape[i] != 1;
    wide.v.v[i] = one ? b.shape[i] : CN_DIM_COPY;
    wide_indices.v.v[i] = other ? a.shape[i] : CN_DIM_COPY;
    widen |= one;
    widen_indices |= other;
  }
  if (widen) x = cn_emit1(c->t, &cn_op_broadcast_to, &wide, x);
  if (widen_indices) indices = cn_emit1(c->t, &cn_op_broadcast_to, &wide_indices, indices);
  cn_operation_return(c, cn_emit2(c->t, &cn_op_take_along_axis, &(cn_axis_attrs){axis}, x, indices));
}

/* Flat indices as one per axis of `shape`. Keras takes indices that are not one vector the other way round, and returns
 * what it has in reversed order. */
static const cn_field unravel_fields[] = {
    {.name = "shape", .kind = CN_F_INTS, .offset = offsetof(options, axis), .min = 1, .max = 1e9,
     .help = CN_HELP("of the array")},
    {0}};
static void unravel_index(cn_operation_call *c) {
  const cn_ints *shape = &((const options *)c->options)->axis;
  cn_edge indices = cn_argument_tensor(c, "indices"), made[CN_MAX_INTS];
  bool vector = type_of(c, indices)->rank == 1;
  for (int i = 0; i < shape->n; i++) {
    cn_edge size = cn_emit_like(c->t, indices, (double)shape->v[vector ? shape->n - 1 - i : i]);
    made[i] = cn_emit2(c->t, &cn_op_mod, NULL, indices, size);
    indices = cn_emit2(c->t, &cn_op_floordiv, NULL, indices, size);
  }
  for (int i = shape->n - 1; i >= 0; i--) cn_operation_return(c, made[i]);
}

/* ---- Searching ---- */

/* Whole numbers below 2^53 and floats in one dtype. */
static void digitize(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x"), bins = cn_argument_tensor(c, "bins");
  cn_operation_return(c, cn_emit2(c->t, &cn_op_searchsorted, &(cn_search_attrs){1}, bins, x));
}

static const cn_field isin_fields[] = {
    {.name = "invert", .kind = CN_F_BOOL, .offset = offsetof(options, invert), .standard = "false",
     .help = CN_HELP("true where it is not in it")},
    {.name = "assume_unique", .kind = CN_F_IGNORED, .help = CN_HELP("saves Keras a step; the result is the same")},
    {0}};
static void isin(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x1"), among = cn_emit_flat(c->t, cn_argument_tensor(c, "x2"));
  cn_edge equal = cn_emit2(c->t, &cn_op_equal, NULL, cn_emit_new_axis(c->t, x, -1), among);
  cn_edge found = cn_emit1(c->t, &cn_op_any, &(cn_reduce_attrs){.axes = {1, {-1}}}, equal);
  bool invert = ((const options *)c->options)->invert;
  cn_operation_return(c, invert ? cn_emit1(c->t, &cn_op_logical_not, NULL, found) : found);
}

/* ---- Quantiles ---- */

#define KEEPDIMS {.name = "keepdims", .kind = CN_F_BOOL, .offset = offsetof(options, keepdims), .standard = "false", \
                  .help = CN_HELP("keeps the axes with size 1")}
static const cn_field median_fields[] = {AXIS("null"), KEEPDIMS, {0}};
static const cn_field quantile_fields[] = {
    AXIS("null"), KEEPDIMS,
    {.name = "method", .kind = CN_F_ENUM, .offset = offsetof(options, method), .standard = "\"linear\"",
     .choices = CN_QUANTILE_CHOICES, .help = CN_HELP("what stands between two elements")},
    {0}};

/* (q…, what is left…) with the reduced axes as 1 again. Without an axis Keras puts all ones behind q. */
static cn_edge keep_axes(cn_operation_call *c, cn_edge y, int rank, int q_rank) {
  const cn_ints *axes = &((const options *)c->options)->axis;
  bool reduced[CN_MAX_RANK] = {false};
  int axis;
  for (int i = 0; i < axes->n; i++)
    if (cn_trace_axis(c->t, axes->v[i], rank, &axis)) reduced[axis] = true;
  for (int i = 0; i < rank; i++)
    if (axes->n < 0 || reduced[i]) y = cn_emit_new_axis(c->t, y, i + q_rank);
  return y;
}

static void quantile_at(cn_operation_call *c, cn_edge q, int method, bool skip_nan) {
  const options *o = c->options;
  cn_edge x = cn_emit_floating(c->t, cn_argument_tensor(c, "x"));
  int rank = type_of(c, x)->rank, q_rank = type_of(c, q)->rank;
  cn_quantile_attrs a = {method, skip_nan};
  cn_edge y = cn_emit2(c->t, &cn_op_quantile, &a, cn_emit_axes_last(c->t, x, &o->axis), q);
  cn_operation_return(c, o->keepdims ? keep_axes(c, y, rank, q_rank) : y);
}

static cn_edge half(cn_operation_call *c) { return cn_emit_scalar(c->t, CORNU_FLOAT64, 0.5); }
/* As float32, which is what Keras makes of it first. */
static cn_edge hundredths(cn_operation_call *c) {
  cn_edge q = cn_emit_cast(c->t, cn_argument_tensor(c, "q"), CORNU_FLOAT32);
  return cn_emit2(c->t, &cn_op_div, NULL, q, cn_emit_like(c->t, q, 100));
}
static int method_of(const cn_operation_call *c) { return ((const options *)c->options)->method; }

static void median(cn_operation_call *c) { quantile_at(c, half(c), CN_QUANTILE_LINEAR, false); }
static void nan_median(cn_operation_call *c) { quantile_at(c, half(c), CN_QUANTILE_LINEAR, true); }
/* Keras's Quantile saves its method and computes "linear" all the same. */
static void quantile(cn_operation_call *c) { quantile_at(c, cn_argument_tensor(c, "q"), CN_QUANTILE_LINEAR, false); }
static void nan_quantile(cn_operation_call *c) { quantile_at(c, cn_argument_tensor(c, "q"), method_of(c), true); }
static void percentile(cn_operation_call *c) { quantile_at(c, hundredths(c), method_of(c), false); }
static void nan_percentile(cn_operation_call *c) { quantile_at(c, hundredths(c), method_of(c), true); }

/* ---- Histogram ---- */

typedef struct histogram_options { int64_t bins; const cn_value *range; } histogram_options;
static const cn_field histogram_fields[] = {
    {.name = "bins", .kind = CN_F_INT, .offset = offsetof(histogram_options, bins), .standard = "10", .min = 1,
     .max = 1e7, .help = CN_HELP("how many bins of one width")},
    {.name = "range", .kind = CN_F_VALUE, .offset = offsetof(histogram_options, range), .standard = "null",
     .help = CN_HELP("(lowest, highest); null: of the input")},
    {0}};

static cn_edge limit(cn_operation_call *c, cn_edge x, int i) {
  const cn_value *range = ((const histogram_options *)c->options)->range;
  double v;
  if (cn_value_is_null(range))
    return cn_emit1(c->t, i ? &cn_op_max : &cn_op_min, &(cn_reduce_attrs){.axes = {.n = -1}}, x);
  if (!cn_value_is(range, CORNU_LIST) || range->count != 2 || !cn_value_number(range->items[i], &v)) {
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"range\" is %s, expected two numbers",
                  cn_value_show(range, (char[80]){0}, 80));
    return CN_NO_EDGE;
  }
  return cn_emit_like(c->t, x, v);
}

/* How many elements lie in each bin, and the edges of the bins; the last bin has its upper edge. */
static void histogram(cn_operation_call *c) {
  int64_t bins = ((const histogram_options *)c->options)->bins;
  cn_edge x = cn_argument_tensor(c, "x"), low = limit(c, x, 0), high = limit(c, x, 1);
  cornu_dtype dtype = type_of(c, x)->dtype;
  cn_edge begin = cn_emit_cast(c->t, low, CORNU_FLOAT64), end = cn_emit_cast(c->t, high, CORNU_FLOAT64);
  cn_edge counter = cn_emit_counter(c->t, CORNU_FLOAT64, bins + 1, 1.0 / (double)bins, 0);
  cn_edge width = cn_emit2(c->t, &cn_op_sub, NULL, end, begin);
  cn_edge edges = cn_emit2(c->t, &cn_op_add, NULL, begin, cn_emit2(c->t, &cn_op_mul, NULL, width, counter));
  edges = cn_emit_cast(c->t, edges, dtype);
  cn_edge bin = cn_emit2(c->t, &cn_op_searchsorted, &(cn_search_attrs){1}, cn_emit_range(c->t, edges, 0, 1, bins), x);
  cn_edge inside = cn_emit2(c->t, &cn_op_logical_and, NULL, cn_emit2(c->t, &cn_op_greater_equal, NULL, x, low),
                            cn_emit2(c->t, &cn_op_less_equal, NULL, x, high));
  bin = cn_emit3(c->t, &cn_op_where, NULL, inside, bin, cn_emit_like(c->t, bin, -1));
  cn_edge hits = cn_emit1(c->t, &cn_op_one_hot, &(cn_one_hot_attrs){bins, CORNU_INT64}, bin);
  cn_edge counts = cn_emit1(c->t, &cn_op_sum, &(cn_reduce_attrs){.axes = {1, {0}}}, hits);
  cn_operation_return(c, cn_emit_cast(c->t, counts, dtype));
  cn_operation_return(c, edges);
}

const cn_operation cn_operations_numpy_select[] = {
    {.name = "Where", .arguments = "condition x1 x2", .emit = where},
    {.name = "Select", .arguments = "condlist choicelist default", .emit = select},
    WITH("Sort", "x", sort, sort_fields),
    WITH("Argsort", "x", argsort, sort_fields),
    WITH("Argpartition", "x", argpartition, partition_fields),
    WITH("Take", "x indices", take, take_fields),
    WITH("TakeAlongAxis", "x indices", take_along_axis, take_fields),
    WITH("UnravelIndex", "indices", unravel_index, unravel_fields),
    {.name = "SearchSorted", .arguments = "sorted_sequence values", .op = "searchsorted"},
    {.name = "Digitize", .arguments = "x bins", .emit = digitize},
    WITH("IsIn", "x1 x2", isin, isin_fields),
    WITH("Median", "x", median, median_fields),
    WITH("Nanmedian", "x", nan_median, median_fields),
    WITH("Quantile", "x q", quantile, quantile_fields),
    WITH("Nanquantile", "x q", nan_quantile, quantile_fields),
    WITH("Percentile", "x q", percentile, quantile_fields),
    WITH("Nanpercentile", "x q", nan_percentile, quantile_fields),
    {.name = "Histogram", .arguments = "x", .emit = histogram, .fields = histogram_fields,
     .options_size = sizeof(histogram_options)},
    {0}};
