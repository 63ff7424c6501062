/* keras.ops: keras.ops.math. */
#include <stdlib.h>

#include "layers/operation.h"

typedef struct options {
  int64_t num_segments, k, fft_length;
  bool sorted;
} options;

#define KEY(key, field_kind, default_value, text) \
  {.name = #key, .kind = field_kind, .offset = offsetof(options, key), .standard = default_value, .help = CN_HELP(text)}
#define WITH(class, args, function, keys) \
  {.name = class, .arguments = args, .emit = function, .fields = keys, .options_size = sizeof(options)}
#define FLOATS(class, op_name) {.name = class, .arguments = "x", .op = op_name, .emit = floats}

/* Half floats are computed as float32. */
static void floats(cn_operation_call *c) {
  cornu_dtype dtype;
  cn_edge x = cn_argument_floats(c, "x", &dtype);
  cn_edge y = cn_emit1(c->t, cn_op_find(c->operation->op), c->options, x);
  cn_operation_return_as(c, y, cn_dtype_is_float(dtype) ? dtype : CORNU_FLOAT32);
}

/* ---- Segments ---- */

/* The ids of a call that the file holds; NULL: a tensor tells them. */
static const cn_value *known_ids(cn_operation_call *c) {
  const cn_value *v = cn_argument(c, "segment_ids"), *inner = cn_value_find(cn_value_find(v, "config"), "value");
  if (inner) v = inner;
  return cn_value_is(v, CORNU_LIST) ? v : NULL;
}

static int by_number(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* As below, of ids that a tensor tells; -1 while shapes alone are wanted. */
static int64_t measure_segments(cn_operation_call *c, bool different) {
  cn_trace *t = c->t;
  cn_edge ids = cn_emit_cast(t, cn_argument_tensor(c, "segment_ids"), CORNU_INT64), count;
  cn_edge one = cn_emit_scalar(t, CORNU_INT64, 1);
  if (different) { /* one more than there are changes in their order */
    cn_edge order = cn_emit1(t, &cn_op_sort, &(cn_sort_attrs){.axis = 0}, ids);
    cn_slice_attrs later = {{1, {0}}, {1, {1}}, {1, {CN_NULL_INT}}, {1, {1}}};
    cn_slice_attrs sooner = {{1, {0}}, {1, {CN_NULL_INT}}, {1, {-1}}, {1, {1}}};
    count = cn_emit2(t, &cn_op_not_equal, NULL, cn_emit1(t, &cn_op_slice, &later, order),
                     cn_emit1(t, &cn_op_slice, &sooner, order));
    count = cn_emit_cast(t, count, CORNU_INT64);
    count = cn_emit1(t, &cn_op_sum, &(cn_reduce_attrs){.axes = {1, {0}}}, count);
  } else {
    count = cn_emit1(t, &cn_op_max, &(cn_reduce_attrs){.axes = {1, {0}}}, ids);
  }
  return cn_trace_measure(t, cn_emit2(t, &cn_op_add, NULL, cn_emit_cast(t, count, CORNU_INT64), one));
}

/* How many segments there are without num_segments: one more than the largest id; unsorted sums have as many as there
 * are different ids, as Keras has them with TensorFlow. */
static int64_t count_segments(cn_operation_call *c, bool different) {
  const cn_value *v = known_ids(c);
  if (!v) return measure_segments(c, different);
  int64_t *ids = cn_arena_alloc(&c->t->graph->arena, (size_t)v->count * sizeof *ids + 1), count = 0;
  if (!ids) c->t->status = cn_no_memory(c->t->error);
  for (int i = 0; ids && i < v->count; i++)
    if (!cn_value_integer(v->items[i], &ids[i]))
      cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"segment_ids\" are no whole numbers");
  if (c->t->status || !v->count) return 0;
  qsort(ids, (size_t)v->count, sizeof *ids, by_number);
  for (int i = 0; i < v->count; i++) count += i == 0 || ids[i] != ids[i - 1];
  return different ? count : (int64_t)((uint64_t)ids[v->count - 1] + 1);
}

static void segment(cn_operation_call *c, int reduction) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "data"), ids = cn_argument_tensor(c, "segment_ids");
  cn_segment_attrs a = {.count = o->num_segments, .reduction = reduction, .zero_empty = o->sorted};
  bool counted = o->num_segments == CN_NULL_INT;
  if (counted) a.count = count_segments(c, reduction == CN_SCATTER_ADD && !o->sorted);
  if (a.count < 0 && counted && (c->t->planning || known_ids(c)))
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "the largest of \"segment_ids\" is %lld: give \"num_segments\"",
                  (long long)((uint64_t)a.count - 1));
  else if (a.count < 0 && !counted)
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "has %lld segments", (long long)a.count);
  cn_operation_return(c, cn_emit2(c->t, &cn_op_segment, &a, x, ids));
}
static void segment_sum(cn_operation_call *c) { segment(c, CN_SCATTER_ADD); }
static void segment_max(cn_operation_call *c) { segment(c, CN_SCATTER_MAX); }
static void segment_min(cn_operation_call *c) { segment(c, CN_SCATTER_MIN); }
static void segment_prod(cn_operation_call *c) { segment(c, CN_SCATTER_MUL); }

/* ---- The best ---- */

static cn_edge along_last(cn_operation_call *c, const cn_op *op, cn_edge x, bool keepdims) {
  return cn_emit1(c->t, op, &(cn_reduce_attrs){{1, {-1}}, keepdims}, x);
}

/* The k largest along the last axis and where they are; sorted or not, the largest comes first. */
static void top_k(cn_operation_call *c) {
  cn_sort_attrs a = {.axis = -1, .k = ((const options *)c->options)->k};
  cn_edge x = cn_argument_tensor(c, "x"), first;
  int n = cn_emit_many(c->t, &cn_op_top_k, &a, &x, 1, &first);
  for (int i = 0; i < n; i++) cn_operation_return(c, first + i);
}

/* Fewer than k predictions are above the target's, and all are finite. A target that is no class has none. */
static void in_top_k(cn_operation_call *c) {
  cn_trace *t = c->t;
  cn_edge targets = cn_argument_tensor(c, "targets"), x = cn_argument_floats(c, "predictions", NULL);
  const cn_type type = *cn_operation_type(c, x);
  if (t->status) return;
  cn_one_hot_attrs a = {.depth = type.rank == 2 ? type.shape[1] : -1, .dtype = CORNU_BOOL8};
  if (a.depth < 0) cn_trace_fail(t, CORNU_ERR_SHAPE, "takes predictions (batch, classes) with known classes");
  cn_edge hot = cn_emit1(t, &cn_op_one_hot, &a, targets), zero = cn_emit_like(t, x, 0);
  cn_edge own = along_last(c, &cn_op_sum, cn_emit3(t, &cn_op_where, NULL, hot, x, zero), true);
  cn_edge above = cn_emit_cast(t, cn_emit2(t, &cn_op_greater, NULL, x, own), type.dtype);
  cn_edge few = cn_emit2(t, &cn_op_less, NULL, along_last(c, &cn_op_sum, above, false),
                         cn_emit_like(t, x, (double)((const options *)c->options)->k));
  cn_edge finite = along_last(c, &cn_op_all, cn_emit1(t, &cn_op_isfinite, NULL, x), false);
  cn_edge is_class = along_last(c, &cn_op_any, hot, false);
  cn_operation_return(c, cn_emit2(t, &cn_op_logical_and, NULL, few,
                                  cn_emit2(t, &cn_op_logical_and, NULL, finite, is_class)));
}

/* Distances between all rows of x and all of y; whole numbers wrap as their dtype does until the root. */
static void cdist(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x"), y = cn_argument_tensor(c, "y");
  cornu_dtype dtype = cn_promote(cn_operation_type(c, x)->dtype, cn_operation_type(c, y)->dtype), wide = dtype;
  if (cn_dtype_is_float(dtype) && dtype != CORNU_FLOAT64) wide = CORNU_FLOAT32;
  x = cn_emit1(c->t, &cn_op_expand_dims, &(cn_axis_attrs){-2}, cn_emit_cast(c->t, x, wide));
  y = cn_emit1(c->t, &cn_op_expand_dims, &(cn_axis_attrs){-3}, cn_emit_cast(c->t, y, wide));
  cn_edge square = cn_emit1(c->t, &cn_op_square, NULL, cn_emit2(c->t, &cn_op_sub, NULL, x, y));
  cn_edge sum = along_last(c, &cn_op_sum, square, false);
  if (!cn_dtype_is_float(dtype)) sum = cn_emit_cast(c->t, sum, dtype = CORNU_FLOAT32);
  cn_operation_return_as(c, cn_emit1(c->t, &cn_op_sqrt, NULL, sum), dtype);
}

/* Real numbers beside zeros. */
static void view_as_real(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x");
  cn_edge parts[] = {x, cn_emit1(c->t, &cn_op_full_like, &(cn_fill_attrs){0, cn_operation_type(c, x)->dtype}, x)};
  cn_operation_return(c, cn_emit(c->t, &cn_op_stack, &(cn_axis_attrs){-1}, parts, 2));
}

static const cn_field segment_fields[] = {
    KEY(num_segments, CN_F_INT, "null", "how many; null: as the ids tell"),
    KEY(sorted, CN_F_BOOL, "false", "the ids rise: empty maxima and minima are 0"), {0}};
static const cn_field k_fields[] = {
    {.name = "k", .kind = CN_F_INT, .offset = offsetof(options, k),
     .help = CN_HELP("how many count as the best")}, {0}};

static const cn_field top_fields[] = {
    {.name = "k", .kind = CN_F_INT, .offset = offsetof(options, k), .help = CN_HELP("how many")},
    {.name = "sorted", .kind = CN_F_IGNORED, .standard = "true", .help = CN_HELP("they always are")},
    {0}};

const cn_operation cn_operations_math[] = {
    FLOATS("Logsumexp", "logsumexp"),
    FLOATS("Rsqrt", "rsqrt"),
    FLOATS("Erf", "erf"),
    FLOATS("Erfc", "erfc"),
    FLOATS("Erfinv", "erfinv"),
    {.name = "Logdet", .arguments = "x", .op = "log_determinant"},
    WITH("SegmentSum", "data segment_ids", segment_sum, segment_fields),
    WITH("SegmentMax", "data segment_ids", segment_max, segment_fields),
    WITH("SegmentMin", "data segment_ids", segment_min, segment_fields),
    WITH("SegmentProd", "data segment_ids", segment_prod, segment_fields),
    WITH("TopK", "x", top_k, top_fields),
    WITH("InTopK", "targets predictions", in_top_k, k_fields),
    {.name = "CDist", .arguments = "x y", .emit = cdist},
    {.name = "ViewAsReal", .arguments = "x", .emit = view_as_real},
    {0}};
