/* The table of TensorFlow's functions, and those that neither keras.ops nor an op computes. */
#include "layers/tf_functions.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

static const cn_type *type_of(cn_operation_call *c, cn_edge x) { return cn_operation_type(c, x); }

/* ---- Options that may be computed from shapes ---- */

static int64_t int_argument(cn_operation_call *c, const char *name, int64_t otherwise) {
  const cn_value *v = cn_argument(c, name);
  int64_t n = otherwise;
  if (v && !cn_value_integer(v, &n))
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "\"%s\" is %s, expected an integer", name,
                  cn_value_show(v, (char[80]){0}, 80));
  return n;
}

static bool flag_argument(cn_operation_call *c, const char *name) {
  const cn_value *v = cn_argument(c, name);
  double number;
  return v && cn_value_number(v, &number) && number != 0;
}

static void add_known(cn_ints *out, cn_tensor *known, int64_t count) {
  for (int64_t i = 0; i < count && out->n < CN_MAX_INTS; i++) {
    int64_t at[1] = {i};
    out->v[out->n++] = known ? (int64_t)cornu_tensor_get(known, known->rank ? at : NULL) : CN_NULL_INT;
  }
}

/* Adds what an item stands for: a number, or a tensor that only shapes and constants make. What the trace does not know
 * yet is CN_NULL_INT. */
static bool add_item(cn_operation_call *c, const cn_value *v, cn_ints *out) {
  int index;
  int64_t n;
  if (cn_value_integer(v, &n)) {
    out->v[out->n++] = n;
    return true;
  }
  if (!cn_call_ref(v, &index) || index < 0 || index >= c->call->n_in) return false;
  cn_edge edge = c->call->in[index].data;
  cn_tensor *known = cn_trace_value(c->t, edge);
  const cn_type *type = type_of(c, edge);
  int64_t count = type->rank == 0 ? 1 : type->shape[0];
  bool good = type->rank <= 1 && count >= 0 && out->n + count <= CN_MAX_INTS;
  if (good) add_known(out, known, count);
  cornu_tensor_release(known);
  return good;
}

static bool ints_argument(cn_operation_call *c, const char *name, cn_ints *out) {
  const cn_value *v = cn_argument(c, name);
  bool list = cn_value_is(v, CORNU_LIST), good = v && (!list || v->count <= CN_MAX_INTS);
  out->n = 0;
  for (int i = 0; good && list && i < v->count; i++) good = out->n < CN_MAX_INTS && add_item(c, v->items[i], out);
  if (good && !list) good = add_item(c, v, out);
  if (!good)
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "\"%s\" is %s, expected integers, or tensors made of shapes alone", name,
                  cn_value_show(v, (char[80]){0}, 80));
  return !c->t->status;
}

/* ---- Shapes ---- */

/* Where the trace knows all dimensions they are a constant, so that what is made of them is known, too. */
static void shape(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "input");
  const cn_type type = *type_of(c, x);
  const char *name = cn_value_str(cn_argument(c, "out_type"));
  cornu_dtype dtype = CORNU_INT32;
  if (name) cornu_dtype_parse(name, &dtype);
  bool known = true;
  for (int i = 0; i < type.rank; i++) known &= type.shape[i] >= 0;
  if (c->t->status) return;
  if (!known) {
    cn_operation_return(c, cn_emit_cast(c->t, cn_emit1(c->t, &cn_op_shape, NULL, x), dtype));
    return;
  }
  cn_tensor *dims = NULL;
  int64_t count = type.rank;
  c->t->status = cornu_tensor_new(dtype, 1, &count, &dims, c->t->error);
  for (int64_t i = 0; i < count && !c->t->status; i++) cornu_tensor_set(dims, &i, (double)type.shape[i]);
  if (!c->t->status) cn_operation_return(c, cn_emit_constant(c->t, dims));
  cornu_tensor_release(dims);
}

static void reshape(cn_operation_call *c) {
  cn_reshape_attrs a = {.shape = {.n = 0}};
  cn_edge x = cn_argument_tensor(c, "tensor");
  if (!ints_argument(c, "shape", &a.shape)) return;
  for (int i = 0; i < a.shape.n; i++) {
    if (a.shape.v[i] < -1 && a.shape.v[i] != CN_NULL_INT)
      cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"shape\" holds %lld", (long long)a.shape.v[i]);
    if (a.shape.v[i] == CN_NULL_INT) a.shape.v[i] = CN_DIM_OPEN;
  }
  cn_operation_return(c, cn_emit1(c->t, &cn_op_reshape, &a, x));
}

static void flatten(cn_operation_call *c) {
  cn_reshape_attrs a = {{2, {CN_DIM_COPY, CN_DIM_INFER}}};
  cn_operation_return(c, cn_emit1(c->t, &cn_op_reshape, &a, cn_argument_tensor(c, "x")));
}

static void broadcast_with(cn_operation_call *c, cn_edge x, const char *name) {
  cn_ints_attrs a = {.v = {.n = 0}};
  if (!ints_argument(c, name, &a.v)) return;
  for (int i = 0; i < a.v.n; i++)
    if (a.v.v[i] == CN_NULL_INT) a.v.v[i] = -1;
  cn_operation_return(c, cn_emit1(c->t, &cn_op_broadcast_to, &a, x));
}
static void broadcast_to(cn_operation_call *c) { broadcast_with(c, cn_argument_tensor(c, "input"), "shape"); }
static void fill(cn_operation_call *c) { broadcast_with(c, cn_argument_tensor(c, "value"), "dims"); }

static void filled(cn_operation_call *c, double v) {
  const char *name = cn_value_str(cn_argument(c, "dtype"));
  cornu_dtype dtype = CORNU_FLOAT32;
  if (name) cornu_dtype_parse(name, &dtype);
  broadcast_with(c, cn_emit_scalar(c->t, dtype, v), "shape");
}
static void zeros(cn_operation_call *c) { filled(c, 0); }
static void ones(cn_operation_call *c) { filled(c, 1); }

static void tile(cn_operation_call *c) {
  cn_ints_attrs a = {.v = {.n = 0}};
  cn_edge x = cn_argument_tensor(c, "input");
  if (!ints_argument(c, "multiples", &a.v)) return;
  bool open = false;
  for (int i = 0; i < a.v.n; i++) open |= a.v.v[i] == CN_NULL_INT;
  if (open) { /* shapes alone: as a broadcast of unknown size */
    const cn_type type = *type_of(c, x);
    cn_reshape_attrs to = {.shape = {.n = type.rank}};
    for (int i = 0; i < type.rank; i++) to.shape.v[i] = a.v.v[i] == 1 ? CN_DIM_COPY : CN_DIM_OPEN;
    cn_operation_return(c, cn_emit1(c->t, &cn_op_reshape, &to, x));
    return;
  }
  cn_operation_return(c, cn_emit1(c->t, &cn_op_tile, &a, x));
}

static void range(cn_operation_call *c) {
  cn_ints start = {1, {0}}, limit = {.n = 0}, delta = {1, {1}};
  bool one = !cn_argument(c, "limit");
  if (!one && !ints_argument(c, "start", &start)) return;
  if (!ints_argument(c, one ? "start" : "limit", &limit)) return;
  if (cn_argument(c, "delta") && !ints_argument(c, "delta", &delta)) return;
  bool known = start.v[0] != CN_NULL_INT && limit.v[0] != CN_NULL_INT && delta.v[0] != CN_NULL_INT && delta.v[0] != 0;
  if (!known) { /* shapes alone */
    cn_edge line = cn_emit_counter(c->t, CORNU_INT32, 1, 1, 0);
    cn_operation_return(c, cn_emit1(c->t, &cn_op_reshape, &(cn_reshape_attrs){{1, {CN_DIM_OPEN}}}, line));
    return;
  }
  int64_t distance = limit.v[0] - start.v[0], step = delta.v[0];
  int64_t n = (distance + step + (step > 0 ? -1 : 1)) / step;
  if (n > 1 << 26) cn_trace_fail(c->t, CORNU_ERR_LIMIT, "has %lld elements", (long long)n);
  cn_operation_return(c, cn_emit_counter(c->t, CORNU_INT32, n > 0 ? n : 0, (double)step, (double)start.v[0]));
}

static void slice(cn_operation_call *c) {
  cn_slice_attrs a = {.axes = {.n = 0}};
  cn_edge x = cn_argument_tensor(c, "input_");
  cn_ints begin, size;
  if (!ints_argument(c, "begin", &begin) || !ints_argument(c, "size", &size)) return;
  if (begin.n != type_of(c, x)->rank || size.n != begin.n)
    cn_trace_fail(c->t, CORNU_ERR_SHAPE, "has %d begins and %d sizes for %d axes", begin.n, size.n, type_of(c, x)->rank);
  for (int i = 0; i < begin.n && !c->t->status; i++) {
    if (begin.v[i] == CN_NULL_INT || size.v[i] == CN_NULL_INT) continue;
    int n = a.axes.n;
    a.axes.v[n] = i;
    a.begin.v[n] = begin.v[i];
    a.end.v[n] = size.v[i] < 0 ? CN_NULL_INT : begin.v[i] + size.v[i];
    a.step.v[n] = 1;
    a.axes.n = a.begin.n = a.end.n = a.step.n = n + 1;
  }
  cn_operation_return(c, a.axes.n ? cn_emit1(c->t, &cn_op_slice, &a, x) : x);
}

/* ---- Parts ---- */

static void split(cn_operation_call *c) {
  const cn_value *how = cn_argument(c, "num_or_size_splits");
  cn_edge x = cn_argument_tensor(c, "value"), first;
  int axis;
  int64_t parts, begin = 0;
  cn_ints sizes;
  if (!cn_trace_axis(c->t, int_argument(c, "axis", 0), type_of(c, x)->rank, &axis)) return;
  if (cn_value_integer(how, &parts)) {
    int n = cn_emit_many(c->t, &cn_op_split, &(cn_split_attrs){axis, parts}, &x, 1, &first);
    for (int i = 0; i < n; i++) cn_operation_return(c, first + i);
    return;
  }
  if (!ints_argument(c, "num_or_size_splits", &sizes)) return;
  int64_t total = type_of(c, x)->shape[axis], given = 0;
  for (int i = 0; i < sizes.n; i++) given += sizes.v[i] > 0 ? sizes.v[i] : 0;
  for (int i = 0; i < sizes.n; i++) { /* one -1: what the others leave */
    int64_t n = sizes.v[i] < 0 ? total - given : sizes.v[i];
    cn_operation_return(c, cn_emit_range(c->t, x, axis, begin, begin + n));
    begin += n;
  }
}

/* With batch_dims every sample has indices of its own. */
static void gather(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "params"), indices = cn_argument_tensor(c, "indices");
  int64_t batch = int_argument(c, "batch_dims", 0), axis = int_argument(c, "axis", batch);
  const cn_type type = *type_of(c, x);
  if (batch == 0) {
    cn_operation_return(c, cn_emit2(c->t, &cn_op_gather, &(cn_axis_attrs){axis}, x, indices));
    return;
  }
  if (axis != batch || type_of(c, indices)->rank != batch + 1 || batch >= type.rank)
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "\"batch_dims\" is %lld with axis %lld and indices of %d axes: expected one "
                  "vector of indices for each sample, along the first axis behind", (long long)batch, (long long)axis,
                  type_of(c, indices)->rank);
  cn_ints_attrs wide = {.v = {.n = type.rank}};
  for (int i = 0; i < type.rank && !c->t->status; i++) {
    if (i > batch) indices = cn_emit_new_axis(c->t, indices, -1);
    wide.v.v[i] = i > batch ? type.shape[i] : CN_DIM_COPY;
  }
  if (type.rank > batch + 1) indices = cn_emit1(c->t, &cn_op_broadcast_to, &wide, indices);
  cn_operation_return(c, cn_emit2(c->t, &cn_op_take_along_axis, &(cn_axis_attrs){batch}, x, indices));
}

static void one_hot(cn_operation_call *c) {
  const char *name = cn_value_str(cn_argument(c, "dtype"));
  cornu_dtype dtype = CORNU_FLOAT32;
  int64_t axis = int_argument(c, "axis", -1);
  cn_edge indices = cn_argument_tensor(c, "indices"), off = cn_argument_optional(c, "off_value");
  if (name) cornu_dtype_parse(name, &dtype);
  cn_edge y = cn_emit1(c->t, &cn_op_one_hot, &(cn_one_hot_attrs){int_argument(c, "depth", 0), dtype}, indices);
  if (cn_argument(c, "on_value") || cn_argument(c, "off_value")) {
    cn_edge on = cn_argument(c, "on_value") ? cn_argument_tensor(c, "on_value") : cn_emit_like(c->t, y, 1);
    off = cn_emit_cast(c->t, off == CN_NO_EDGE ? cn_emit_like(c->t, y, 0) : off, dtype);
    y = cn_emit3(c->t, &cn_op_where, NULL, cn_emit_cast(c->t, y, CORNU_BOOL8), cn_emit_cast(c->t, on, dtype), off);
  }
  cn_operation_return(c, axis == -1 ? y : cn_emit_move_axis(c->t, y, -1, axis));
}

/* ---- Windows: as keras.ops, once strides have lost the axes that are not spatial ---- */

static cn_value *spatial_part(cn_operation_call *c, const cn_value *v, bool channels_first) {
  cn_arena *a = &c->t->graph->arena;
  if (!cn_value_is(v, CORNU_LIST) || v->count < 3) return cn_value_copy(a, v);
  cn_value *list = cn_value_new(a, CORNU_LIST);
  for (int i = 1; list && i < v->count - 1; i++)
    if (!cn_value_push(a, list, cn_value_copy(a, v->items[i + channels_first]))) return NULL;
  return list;
}

static void window(cn_operation_call *c, const char *operation) {
  cn_arena *a = &c->t->graph->arena;
  const char *padding = cn_value_str(cn_argument(c, "padding")), *format = cn_value_str(cn_argument(c, "data_format"));
  bool first = format && strncmp(format, "NC", 2) == 0, good = padding && cn_word_in("SAME VALID same valid", padding, NULL);
  cn_value *named = cn_value_new(a, CORNU_DICT), *none = cn_value_new(a, CORNU_LIST);
  if (!good)
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "\"padding\" is %s, expected SAME or VALID",
                  cn_value_show(cn_argument(c, "padding"), (char[80]){0}, 80));
  for (int i = 0; named && i < c->bound->count && !c->t->status; i++) {
    const char *key = c->bound->keys[i];
    const cn_value *v = c->bound->items[i];
    if (cn_value_is_null(v) || cn_word_in("data_format padding", key, NULL)) continue;
    bool sizes = cn_word_in("strides dilation_rate pool_size", key, NULL);
    if (!cn_value_put(a, named, key, sizes ? spatial_part(c, v, first) : cn_value_copy(a, v))) named = NULL;
  }
  if (!named || !none ||
      !cn_value_put(a, named, "padding", cn_value_text(a, good && (*padding | 32) == 's' ? "same" : "valid")) ||
      !cn_value_put(a, named, "data_format", cn_value_text(a, first ? "channels_first" : "channels_last"))) {
    if (!c->t->status) c->t->status = cn_no_memory(c->t->error);
    return;
  }
  const cn_value *args = c->call->args, *kwargs = c->call->kwargs;
  c->call->args = none;
  c->call->kwargs = named;
  cn_operation_lower(cn_operation_find(cn_operation_tables, operation), c->name, c->layer, c->t, c->call, NULL);
  c->call->args = args;
  c->call->kwargs = kwargs;
}
static void conv(cn_operation_call *c) { window(c, "Conv"); }
static void depthwise_conv(cn_operation_call *c) { window(c, "DepthwiseConv"); }
static void max_pool(cn_operation_call *c) { window(c, "MaxPool"); }
static void average_pool(cn_operation_call *c) { window(c, "AveragePool"); }

static void pad(cn_operation_call *c) {
  const cn_value *pairs = cn_argument(c, "paddings"), *filler = cn_argument(c, "constant_values");
  const char *mode = cn_value_str(cn_argument(c, "mode"));
  cn_pad_attrs p = {.before = {.n = 0}};
  cn_edge x = cn_argument_tensor(c, "tensor");
  bool good = cn_value_is(pairs, CORNU_LIST) && pairs->count == type_of(c, x)->rank;
  for (int i = 0; good && i < pairs->count; i++) {
    const cn_value *pair = pairs->items[i];
    good = cn_value_is(pair, CORNU_LIST) && pair->count == 2 && cn_value_integer(pair->items[0], &p.before.v[i]) &&
           cn_value_integer(pair->items[1], &p.after.v[i]);
  }
  if (filler) good = good && cn_value_number(filler, &p.value);
  if (mode && cn_word_in("REFLECT reflect", mode, NULL)) p.mode = CN_PAD_REFLECT;
  else if (mode && cn_word_in("SYMMETRIC symmetric", mode, NULL)) p.mode = CN_PAD_SYMMETRIC;
  else if (mode) good = good && cn_word_in("CONSTANT constant", mode, NULL);
  if (!good) cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "its paddings, mode or constant_values are not supported");
  p.before.n = p.after.n = good ? pairs->count : 0;
  cn_operation_return(c, cn_emit1(c->t, &cn_op_pad, &p, x));
}

/* ---- Order ---- */

static void sort_with(cn_operation_call *c, const cn_op *op) {
  const char *direction = cn_value_str(cn_argument(c, "direction"));
  cn_sort_attrs a = {.axis = int_argument(c, "axis", -1)};
  a.descending = direction && strcmp(direction, "DESCENDING") == 0;
  if (direction && !a.descending && strcmp(direction, "ASCENDING") != 0)
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"direction\" is \"%s\", expected ASCENDING or DESCENDING", direction);
  cn_operation_return(c, cn_emit1(c->t, op, &a, cn_argument_tensor(c, "values")));
}
static void sort(cn_operation_call *c) { sort_with(c, &cn_op_sort); }
static void argsort(cn_operation_call *c) { sort_with(c, &cn_op_argsort); }

static void argument_with(cn_operation_call *c, const cn_op *op) {
  const char *type = cn_value_str(cn_argument(c, "output_type"));
  cornu_dtype dtype = CORNU_INT64;
  if (type) cornu_dtype_parse(type, &dtype);
  cn_reduce_attrs a = {.axes = {1, {int_argument(c, "axis", 0)}}};
  cn_operation_return(c, cn_emit_cast(c->t, cn_emit1(c->t, op, &a, cn_argument_tensor(c, "input")), dtype));
}
static void argmax(cn_operation_call *c) { argument_with(c, &cn_op_argmax); }
static void argmin(cn_operation_call *c) { argument_with(c, &cn_op_argmin); }

/* ---- Lengths ---- */

static bool axes_argument(cn_operation_call *c, cn_ints *out) {
  out->n = -1;
  return !cn_argument(c, "axis") || ints_argument(c, "axis", out);
}

static void l2_normalize(cn_operation_call *c) {
  const cn_value *epsilon = cn_argument(c, "epsilon");
  cn_edge x = cn_argument_tensor(c, "x");
  cn_reduce_attrs over = {.keepdims = true};
  double least = 1e-12;
  if (epsilon) cn_value_number(epsilon, &least);
  if (!axes_argument(c, &over.axes)) return;
  cn_edge square = cn_emit1(c->t, &cn_op_sum, &over, cn_emit1(c->t, &cn_op_square, NULL, x));
  cn_edge bounded = cn_emit2(c->t, &cn_op_maximum, NULL, square, cn_emit_like(c->t, square, least));
  cn_operation_return(c, cn_emit2(c->t, &cn_op_mul, NULL, x, cn_emit1(c->t, &cn_op_rsqrt, NULL, bounded)));
}

/* Of the elements as one vector: 1, 2, infinity or "euclidean". */
static void norm(cn_operation_call *c) {
  const cn_value *order = cn_argument(c, "ord");
  cn_edge x = cn_argument_tensor(c, "tensor");
  cn_reduce_attrs over = {.keepdims = flag_argument(c, "keepdims")};
  double p = 2;
  bool euclidean = !order || (cn_value_str(order) && strcmp(order->s, "euclidean") == 0);
  if (!axes_argument(c, &over.axes)) return;
  bool vector = over.axes.n == 1 || over.axes.n < 0;
  if (!euclidean && !(vector && cn_value_number(order, &p) && (p == 1 || p == 2 || p > 1e300)))
    cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "\"ord\" is %s: expected \"euclidean\", and for vectors 1, 2 or infinity",
                  cn_value_show(order, (char[80]){0}, 80));
  if (p == 2) {
    cn_edge sum = cn_emit1(c->t, &cn_op_sum, &over, cn_emit1(c->t, &cn_op_square, NULL, x));
    cn_operation_return(c, cn_emit1(c->t, &cn_op_sqrt, NULL, sum));
    return;
  }
  cn_operation_return(c, cn_emit1(c->t, p == 1 ? &cn_op_sum : &cn_op_max, &over, cn_emit1(c->t, &cn_op_abs, NULL, x)));
}

/* ---- The others ---- */

static void add_n(cn_operation_call *c) {
  cn_edge in[CN_MAX_OUT];
  int n = cn_argument_tensors(c, "inputs", in, CN_MAX_OUT);
  cn_edge y = n ? in[0] : CN_NO_EDGE;
  for (int i = 1; i < n; i++) y = cn_emit2(c->t, &cn_op_add, NULL, y, in[i]);
  cn_operation_return(c, y);
}

static void clip(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "t"), low = cn_argument_tensor(c, "clip_value_min");
  cn_edge bounded = cn_emit2(c->t, &cn_op_minimum, NULL, x, cn_argument_tensor(c, "clip_value_max"));
  cn_operation_return(c, cn_emit2(c->t, &cn_op_maximum, NULL, bounded, low));
}

/* Vectors longer than clip_norm are shortened to it. */
static void clip_by_norm(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "t"), limit = cn_argument_tensor(c, "clip_norm");
  cn_reduce_attrs over = {.keepdims = true, .axes = {.n = -1}};
  if (cn_argument(c, "axes") && !ints_argument(c, "axes", &over.axes)) return;
  cn_edge square = cn_emit1(c->t, &cn_op_sum, &over, cn_emit1(c->t, &cn_op_square, NULL, x));
  cn_edge longest = cn_emit2(c->t, &cn_op_maximum, NULL, cn_emit1(c->t, &cn_op_sqrt, NULL, square), limit);
  cn_edge scaled = cn_emit2(c->t, &cn_op_mul, NULL, x, limit);
  cn_operation_return(c, cn_emit2(c->t, &cn_op_div, NULL, scaled, longest));
}

/* Zeros but for so many diagonals on either side; negative: all. */
static void band_part(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "input");
  int64_t lower = int_argument(c, "num_lower", -1), upper = int_argument(c, "num_upper", -1);
  if (upper >= 0) x = cn_emit1(c->t, &cn_op_tril, &(cn_offset_attrs){upper}, x);
  if (lower >= 0) x = cn_emit1(c->t, &cn_op_triu, &(cn_offset_attrs){-lower}, x);
  cn_operation_return(c, x);
}

/* Each image less its mean, by its deviation, or by 1 / sqrt(elements) where that is more. */
static void standardize(cn_operation_call *c) {
  cn_edge x = cn_emit_floating(c->t, cn_argument_tensor(c, "image"));
  const cn_type type = *type_of(c, x);
  if (type.rank < 3) cn_trace_fail(c->t, CORNU_ERR_SHAPE, "takes images, not %d axes", type.rank);
  if (c->t->status) return;
  cn_reduce_attrs over = {.axes = {3, {-3, -2, -1}}, .keepdims = true};
  int64_t n = cn_shape_size(3, type.shape + type.rank - 3);
  cn_edge off = cn_emit2(c->t, &cn_op_sub, NULL, x, cn_emit1(c->t, &cn_op_mean, &over, x));
  cn_edge least = cn_emit_like(c->t, x, n > 0 ? 1 / sqrt((double)n) : 1);
  cn_edge by = cn_emit2(c->t, &cn_op_maximum, NULL, cn_emit1(c->t, &cn_op_std, &over, x), least);
  cn_operation_return(c, cn_emit2(c->t, &cn_op_div, NULL, off, by));
}

static void batch_normalization(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x"), mean = cn_argument_tensor(c, "mean"), scale = cn_argument_optional(c, "scale");
  cn_edge variance = cn_argument_tensor(c, "variance"), offset = cn_argument_optional(c, "offset");
  cn_edge epsilon = cn_emit_cast(c->t, cn_argument_tensor(c, "variance_epsilon"), type_of(c, variance)->dtype);
  cn_edge factor = cn_emit1(c->t, &cn_op_rsqrt, NULL, cn_emit2(c->t, &cn_op_add, NULL, variance, epsilon));
  if (scale != CN_NO_EDGE) factor = cn_emit2(c->t, &cn_op_mul, NULL, factor, scale);
  cn_edge y = cn_emit2(c->t, &cn_op_mul, NULL, cn_emit2(c->t, &cn_op_sub, NULL, x, mean), factor);
  cn_operation_return(c, offset == CN_NO_EDGE ? y : cn_emit2(c->t, &cn_op_add, NULL, y, offset));
}

static void same(cn_operation_call *c) { cn_operation_return(c, cn_argument_tensor(c, "input")); }

static void random_of(cn_operation_call *c) {
  cn_trace_fail(c->t, CORNU_ERR_UNSUPPORTED, "draws random numbers at each call: give a handler: custom_objects = "
                "{ [\"%s\"] = function(x, layer) … end }", c->layer->name);
}

const cn_operation cn_tf_operations[] = {
    {.name = "tf.shape", .arguments = "input out_type", .emit = shape},
    {.name = "tf.reshape", .arguments = "tensor shape", .emit = reshape},
    {.name = "tf.flatten", .arguments = "x", .emit = flatten},
    {.name = "tf.broadcast_to", .arguments = "input shape", .emit = broadcast_to},
    {.name = "tf.fill", .arguments = "dims value", .emit = fill},
    {.name = "tf.zeros", .arguments = "shape dtype", .emit = zeros},
    {.name = "tf.ones", .arguments = "shape dtype", .emit = ones},
    {.name = "tf.tile", .arguments = "input multiples", .emit = tile},
    {.name = "tf.range", .arguments = "start limit delta", .emit = range},
    {.name = "tf.slice", .arguments = "input_ begin size", .emit = slice},
    {.name = "tf.split", .arguments = "value num_or_size_splits axis", .emit = split},
    {.name = "tf.gather", .arguments = "params indices axis batch_dims", .emit = gather},
    {.name = "tf.pad", .arguments = "tensor paddings mode constant_values", .emit = pad},
    {.name = "tf.sort", .arguments = "values axis direction", .emit = sort},
    {.name = "tf.argsort", .arguments = "values axis direction", .emit = argsort},
    {.name = "tf.argmax", .arguments = "input axis output_type", .emit = argmax},
    {.name = "tf.argmin", .arguments = "input axis output_type", .emit = argmin},
    {.name = "tf.l2_normalize", .arguments = "x axis epsilon", .emit = l2_normalize},
    {.name = "tf.norm", .arguments = "tensor ord axis keepdims", .emit = norm},
    {.name = "tf.add_n", .arguments = "inputs", .emit = add_n},
    {.name = "tf.clip", .arguments = "t clip_value_min clip_value_max", .emit = clip},
    {.name = "tf.batch_normalization", .arguments = "x mean variance offset scale variance_epsilon",
     .emit = batch_normalization},
    {.name = "tf.one_hot", .arguments = "indices depth on_value off_value axis dtype", .emit = one_hot},
    {.name = "tf.conv", .arguments = "inputs kernel strides padding data_format dilation_rate", .emit = conv},
    {.name = "tf.depthwise_conv", .arguments = "inputs kernel strides padding data_format dilation_rate",
     .emit = depthwise_conv},
    {.name = "tf.max_pool", .arguments = "inputs pool_size strides padding data_format", .emit = max_pool},
    {.name = "tf.average_pool", .arguments = "inputs pool_size strides padding data_format", .emit = average_pool},
    {.name = "tf.clip_by_norm", .arguments = "t clip_norm axes", .emit = clip_by_norm},
    {.name = "tf.band_part", .arguments = "input num_lower num_upper", .emit = band_part},
    {.name = "tf.standardize", .arguments = "image", .emit = standardize},
    {.name = "tf.identity", .arguments = "input", .emit = same},
    {.name = "tf.random", .arguments = "x rate noise_shape seed", .emit = random_of},
    {0}};

#define BINARY(names, class) {names, "x=x1 y=x2", class}
#define REDUCE(names, class) {names, "input_tensor=x axis keepdims", class}
#define UNARY(names, op) {names, "x", op}
const cn_tf_function cn_tf_functions[] = {
    BINARY("math.add __operators__.add", "Add"),
    BINARY("math.subtract __operators__.sub", "Subtract"),
    BINARY("math.multiply __operators__.mul", "Multiply"),
    BINARY("math.truediv math.divide __operators__.truediv realdiv", "Divide"),
    BINARY("math.floordiv __operators__.floordiv floor_div", "FloorDivide"),
    BINARY("math.floormod math.mod __operators__.mod", "Mod"),
    BINARY("math.pow __operators__.pow", "Power"),
    BINARY("math.maximum", "Maximum"),
    BINARY("math.minimum", "Minimum"),
    BINARY("math.divide_no_nan", "DivideNoNan"),
    BINARY("math.greater __operators__.gt", "Greater"),
    BINARY("math.greater_equal __operators__.ge", "GreaterEqual"),
    BINARY("math.less __operators__.lt", "Less"),
    BINARY("math.less_equal __operators__.le", "LessEqual"),
    BINARY("math.equal __operators__.eq", "Equal"),
    BINARY("math.not_equal __operators__.ne", "NotEqual"),
    BINARY("math.logical_and __operators__.and", "LogicalAnd"),
    BINARY("math.logical_or __operators__.or", "LogicalOr"),
    BINARY("math.logical_xor __operators__.xor", "LogicalXor"),
    {"math.logical_not __operators__.invert", "x", "LogicalNot"},
    {"math.squared_difference", "x y", "squared_difference"},
    {"math.atan2", "y=x1 x=x2", "Arctan2"},
    {"math.scalar_mul", "scalar=x1 x=x2", "Multiply"},
    {"math.add_n", "inputs", "tf.add_n"},
    REDUCE("math.reduce_sum", "Sum"),
    REDUCE("math.reduce_mean", "Mean"),
    REDUCE("math.reduce_max", "Max"),
    REDUCE("math.reduce_min", "Min"),
    REDUCE("math.reduce_prod", "Prod"),
    REDUCE("math.reduce_std", "Std"),
    REDUCE("math.reduce_variance", "Var"),
    REDUCE("math.reduce_any", "Any"),
    REDUCE("math.reduce_all", "All"),
    REDUCE("math.reduce_logsumexp", "Logsumexp"),
    {"math.count_nonzero", "input=x axis keepdims! dtype=dtype:\"int64\"", "CountNonzero"},
    {"math.argmax argmax", "input axis output_type", "tf.argmax"},
    {"math.argmin argmin", "input axis output_type", "tf.argmin"},
    {"math.cumsum", "x axis:0 exclusive reverse", "cumsum"},
    {"math.cumprod", "x axis:0 exclusive reverse", "cumprod"},
    {"math.top_k nn.top_k", "input=x k:1 sorted!", "TopK"},
    {"math.l2_normalize nn.l2_normalize linalg.l2_normalize", "x axis epsilon", "tf.l2_normalize"},
    {"norm linalg.norm", "tensor ord axis keepdims", "tf.norm"},
    UNARY("math.negative __operators__.neg", "neg"),
    UNARY("math.abs __operators__.abs", "abs"),
    UNARY("math.is_nan", "isnan"),
    UNARY("math.is_inf", "isinf"),
    UNARY("math.is_finite", "isfinite"),
    {"nn.softmax math.softmax", "logits axis", "softmax"},
    {"nn.log_softmax math.log_softmax", "logits axis", "log_softmax"},
    {"nn.leaky_relu", "features alpha=negative_slope:0.2", "leaky_relu"},
    {"nn.gelu", "features approximate:false", "gelu"},
    {"nn.silu", "features beta!", "silu"},
    {"nn.bias_add", "value=x1 bias=x2 data_format!", "Add"},
    {"nn.batch_normalization", "x mean variance offset scale variance_epsilon", "tf.batch_normalization"},
    {"nn.conv1d", "input=inputs filters=kernel stride=strides padding data_format dilations=dilation_rate", "tf.conv"},
    {"nn.conv2d nn.conv3d nn.convolution",
     "input=inputs filters=kernel strides:1 padding:\"VALID\" data_format dilations=dilation_rate filter=kernel "
     "use_cudnn_on_gpu~",
     "tf.conv"},
    {"nn.depthwise_conv2d",
     "input=inputs filter=kernel strides padding data_format dilations=dilation_rate rate=dilation_rate",
     "tf.depthwise_conv"},
    {"nn.max_pool nn.max_pool1d nn.max_pool2d nn.max_pool3d",
     "input=inputs ksize=pool_size strides padding data_format value=inputs", "tf.max_pool"},
    {"nn.avg_pool nn.avg_pool1d nn.avg_pool2d nn.avg_pool3d",
     "input=inputs ksize=pool_size strides padding data_format value=inputs", "tf.average_pool"},
    {"nn.depth_to_space", "input=x block_size data_format!", "DepthToSpace"},
    {"nn.space_to_depth", "input=x block_size data_format!", "SpaceToDepth"},
    {"nn.dropout", "x rate noise_shape seed", "tf.random"},
    {"nn.moments", "x axes shift! keepdims", "Moments"},
    {"linalg.matmul __operators__.matmul",
     "a b transpose_a transpose_b adjoint_a! adjoint_b! a_is_sparse! b_is_sparse! output_type!", "matmul"},
    {"linalg.inv", "input=x adjoint!", "Inv"},
    {"linalg.det", "input=x", "Det"},
    {"linalg.cholesky", "input=x", "Cholesky"},
    {"linalg.trace", "x axis1:-2 axis2:-1", "Trace"},
    {"linalg.diag_part", "input=x", "diagonal"},
    {"linalg.diag", "diagonal=x", "diag"},
    {"linalg.band_part", "input num_lower num_upper", "tf.band_part"},
    {"keras.backend.batch_flatten", "x", "tf.flatten"},
    {"linalg.cross", "a=x1 b=x2", "Cross"},
    {"tensordot", "a=x1 b=x2 axes", "Tensordot"},
    {"einsum linalg.einsum", "equation=subscripts inputs=operands*", "Einsum"},
    {"cast", "x dtype", "Cast"},
    {"clip_by_norm", "t clip_norm axes", "tf.clip_by_norm"},
    {"clip_by_value", "t clip_value_min clip_value_max", "tf.clip"},
    {"shape", "input out_type", "tf.shape"},
    {"rank", "input=x", "Ndim"},
    {"size", "input=x out_type=dtype", "Size"},
    {"reshape", "tensor shape", "tf.reshape"},
    {"broadcast_to", "input shape", "tf.broadcast_to"},
    {"fill", "dims value", "tf.fill"},
    {"zeros", "shape dtype", "tf.zeros"},
    {"ones", "shape dtype", "tf.ones"},
    {"zeros_like", "input=x dtype", "ZerosLike"},
    {"ones_like", "input=x dtype", "OnesLike"},
    {"range", "start limit delta dtype", "tf.range"},
    {"transpose", "a=x perm=axes conjugate!", "Transpose"},
    {"reverse", "tensor=x axis", "Flip"},
    {"roll", "input=x shift axis", "Roll"},
    {"repeat", "input=x repeats axis", "Repeat"},
    {"tile", "input multiples", "tf.tile"},
    {"expand_dims", "input=x axis:0", "ExpandDims"},
    {"squeeze", "input=x axis", "Squeeze"},
    {"concat", "values=xs axis", "Concatenate"},
    {"stack", "values=x axis:0", "Stack"},
    {"unstack", "value=x num axis:0", "Unstack"},
    {"split", "value num_or_size_splits axis:0 num!", "tf.split"},
    {"slice", "input_ begin size", "tf.slice"},
    {"gather", "params indices validate_indices! axis batch_dims", "tf.gather"},
    {"where", "condition x=x1 y=x2", "Where"},
    {"one_hot", "indices depth on_value off_value axis dtype", "tf.one_hot"},
    {"pad", "tensor paddings mode constant_values", "tf.pad"},
    {"sort", "values axis direction", "tf.sort"},
    {"argsort", "values axis direction stable!", "tf.argsort"},
    {"image.resize", "images size method=interpolation preserve_aspect_ratio! antialias", "Resize"},
    {"image.flip_left_right", "image=x axis:-2", "Flip"},
    {"image.flip_up_down", "image=x axis:-3", "Flip"},
    {"image.adjust_brightness", "image=x1 delta=x2", "Add"},
    {"image.per_image_standardization", "image", "tf.standardize"},
    {"image.rgb_to_grayscale", "images", "RGBToGrayscale"},
    {"stop_gradient", "input=variable", "StopGradient"},
    {"identity", "input", "tf.identity"},
    {0}};

const cn_tf_raw cn_tf_raws[] = {
    {"Add AddV2", "math.add", ""},
    {"BiasAdd", "nn.bias_add", ""},
    {"Sub", "math.subtract", ""},
    {"Mul", "math.multiply", ""},
    {"RealDiv Div", "math.truediv", ""},
    {"FloorDiv", "math.floordiv", ""},
    {"FloorMod", "math.floormod", ""},
    {"Pow", "math.pow", ""},
    {"Maximum", "math.maximum", ""},
    {"Minimum", "math.minimum", ""},
    {"SquaredDifference", "math.squared_difference", ""},
    {"Greater", "math.greater", ""},
    {"GreaterEqual", "math.greater_equal", ""},
    {"Less", "math.less", ""},
    {"LessEqual", "math.less_equal", ""},
    {"Equal", "math.equal", ""},
    {"NotEqual", "math.not_equal", ""},
    {"LogicalAnd", "math.logical_and", ""},
    {"LogicalOr", "math.logical_or", ""},
    {"LogicalNot", "math.logical_not", ""},
    {"Sum", "math.reduce_sum", "keep_dims=keepdims"},
    {"Mean", "math.reduce_mean", "keep_dims=keepdims"},
    {"Max", "math.reduce_max", "keep_dims=keepdims"},
    {"Min", "math.reduce_min", "keep_dims=keepdims"},
    {"Prod", "math.reduce_prod", "keep_dims=keepdims"},
    {"Any", "math.reduce_any", "keep_dims=keepdims"},
    {"All", "math.reduce_all", "keep_dims=keepdims"},
    {"ArgMax", "math.argmax", ""},
    {"ArgMin", "math.argmin", ""},
    {"Neg", "math.negative", ""},
    {"Abs", "math.abs", ""},
    {"Exp", "math.exp", ""},
    {"Log", "math.log", ""},
    {"Log1p", "math.log1p", ""},
    {"Sqrt", "math.sqrt", ""},
    {"Rsqrt", "math.rsqrt", ""},
    {"Square", "math.square", ""},
    {"Sin", "math.sin", ""},
    {"Cos", "math.cos", ""},
    {"Tanh", "math.tanh", ""},
    {"Sigmoid", "math.sigmoid", ""},
    {"Relu", "nn.relu", ""},
    {"Relu6", "nn.relu6", ""},
    {"LeakyRelu", "nn.leaky_relu", "alpha=alpha"},
    {"Elu", "nn.elu", ""},
    {"Selu", "nn.selu", ""},
    {"Softplus", "nn.softplus", ""},
    {"Softmax", "nn.softmax", ""},
    {"MatMul", "linalg.matmul", "transpose_a=transpose_a transpose_b=transpose_b"},
    {"BatchMatMul BatchMatMulV2", "linalg.matmul", "adj_x=transpose_a adj_y=transpose_b"},
    {"Reshape", "reshape", ""},
    {"ExpandDims", "expand_dims", ""},
    {"Squeeze", "squeeze", "squeeze_dims=axis"},
    {"Transpose", "transpose", ""},
    {"Tile", "tile", ""},
    {"Pad PadV2", "pad", ""},
    {"Shape", "shape", ""},
    {"BroadcastTo", "broadcast_to", ""},
    {"Cast", "cast", "DstT=dtype"},
    {"Pack", "stack", "axis=axis"},
    {"Identity", "identity", ""},
    {"StopGradient", "stop_gradient", ""},
    {"Floor", "math.floor", ""},
    {"Ceil", "math.ceil", ""},
    {"Round", "math.round", ""},
    {"Sign", "math.sign", ""},
    {"Erf", "math.erf", ""},
    {0}};
