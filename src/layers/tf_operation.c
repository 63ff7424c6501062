/* TFOpLambda and SlicingOpLambda: TensorFlow's functions as nodes of a functional model of tf.keras. Most are ops under
 * another name; a table tells how their arguments are called. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { const char *function; } settings;

static const cn_field fields[] = {
    {.name = "function", .kind = CN_F_STRING, .offset = offsetof(settings, function),
     .help = "the name of a TensorFlow function, such as math.reduce_sum"},
    {0}};

/* ---- Arguments ---- */

typedef struct arguments {
  cn_layer *layer;
  cn_trace *t;
  cn_call *call;
  const char *order;     /* names of the arguments, in the order in which they may come without one */
} arguments;

/* An argument by its name or its place in the order; NULL: it is not given. */
static const cn_value *argument(const arguments *a, const char *name) {
  int at;
  const cn_value *given = cn_call_kwarg(a->call, name);
  if (given) return given;
  if (!cn_word_in(a->order, name, &at) || !cn_value_is(a->call->args, CORNU_LIST)) return NULL;
  return at < a->call->args->count && !cn_value_is_null(a->call->args->items[at]) ? a->call->args->items[at] : NULL;
}

/* A plain call has no list of arguments: then the tensors are they. */
static cn_edge plain_input(const arguments *a, int i) {
  return !a->call->args && i < a->call->n_positional ? a->call->in[i].data : CN_NO_EDGE;
}

/* A list of numbers, nested or not, as a constant of its shape. */
static cn_edge constant_list(const arguments *a, const char *name, const cn_value *v, cornu_dtype like) {
  int64_t shape[CN_MAX_RANK];
  int rank = 0;
  for (const cn_value *p = v; cn_value_is(p, CORNU_LIST) && rank < CN_MAX_RANK; p = p->count ? p->items[0] : NULL)
    shape[rank++] = p->count;
  cn_edge flat = cn_emit_numbers(a->t, name, v, like);
  if (rank < 2) return flat;
  cn_reshape_attrs to = {.shape = {.n = rank}};
  memcpy(to.shape.v, shape, sizeof *shape * (size_t)rank);
  return cn_emit1(a->t, &cn_op_reshape, &to, flat);
}

static cn_edge tensor(const arguments *a, const char *name, cornu_dtype like) {
  const cn_value *v = argument(a, name);
  int index, at;
  double number;
  if (!v) return cn_word_in(a->order, name, &at) ? plain_input(a, at) : CN_NO_EDGE;
  if (cn_call_ref(v, &index)) return a->call->in[index].data;
  if (cn_value_number(v, &number)) return cn_emit_scalar(a->t, like, number);
  return constant_list(a, name, v, cn_dtype_is_float(like) ? like : CORNU_FLOAT32);
}

static int64_t integer(const arguments *a, const char *name, int64_t standard) {
  int64_t n = standard;
  const cn_value *v = argument(a, name);
  if (v && !cn_value_integer(v, &n))
    cn_trace_fail(a->t, CORNU_ERR_UNSUPPORTED, "\"%s\" is %s, expected an integer", name,
                  cn_value_show(v, (char[80]){0}, 80));
  return n;
}

/* ---- Functions that are an op: its name, the arguments that are tensors, other names of options ---- */

typedef struct direct { const char *function, *op, *tensors, *options; } direct;

/* Each pair of options is TensorFlow's name and the op's. */
static const direct table[] = {
    {"math.add __operators__.add", "add", "x y", ""},
    {"math.subtract __operators__.sub", "sub", "x y", ""},
    {"math.multiply __operators__.mul", "mul", "x y", ""},
    {"math.truediv math.divide __operators__.truediv realdiv", "div", "x y", ""},
    {"math.floordiv __operators__.floordiv", "floordiv", "x y", ""},
    {"math.floormod math.mod __operators__.mod", "mod", "x y", ""},
    {"math.pow __operators__.pow", "pow", "x y", ""},
    {"math.maximum", "maximum", "x y", ""},
    {"math.minimum", "minimum", "x y", ""},
    {"math.squared_difference", "squared_difference", "x y", ""},
    {"math.atan2", "atan2", "y x", ""},
    {"math.greater __operators__.gt", "greater", "x y", ""},
    {"math.greater_equal __operators__.ge", "greater_equal", "x y", ""},
    {"math.less __operators__.lt", "less", "x y", ""},
    {"math.less_equal __operators__.le", "less_equal", "x y", ""},
    {"math.equal __operators__.eq", "equal", "x y", ""},
    {"math.not_equal __operators__.ne", "not_equal", "x y", ""},
    {"math.logical_and __operators__.and", "logical_and", "x y", ""},
    {"math.logical_or __operators__.or", "logical_or", "x y", ""},
    {"math.logical_xor __operators__.xor", "logical_xor", "x y", ""},
    {"math.logical_not __operators__.invert", "logical_not", "x", ""},
    {"math.reduce_sum", "sum", "input_tensor", "axis axis keepdims keepdims"},
    {"math.reduce_mean", "mean", "input_tensor", "axis axis keepdims keepdims"},
    {"math.reduce_max", "max", "input_tensor", "axis axis keepdims keepdims"},
    {"math.reduce_min", "min", "input_tensor", "axis axis keepdims keepdims"},
    {"math.reduce_prod", "prod", "input_tensor", "axis axis keepdims keepdims"},
    {"math.reduce_std", "std", "input_tensor", "axis axis keepdims keepdims"},
    {"math.reduce_variance", "var", "input_tensor", "axis axis keepdims keepdims"},
    {"math.reduce_any", "any", "input_tensor", "axis axis keepdims keepdims"},
    {"math.reduce_all", "all", "input_tensor", "axis axis keepdims keepdims"},
    {"math.reduce_logsumexp", "logsumexp", "input_tensor", "axis axis keepdims keepdims"},
    {"math.argmax compat.v1.argmax", "argmax", "input", "axis axis"},
    {"math.argmin compat.v1.argmin", "argmin", "input", "axis axis"},
    {"math.cumsum", "cumsum", "x", "axis axis exclusive exclusive reverse reverse"},
    {"math.cumprod", "cumprod", "x", "axis axis exclusive exclusive reverse reverse"},
    {"nn.softmax compat.v1.nn.softmax", "softmax", "logits", "axis axis"},
    {"nn.log_softmax compat.v1.nn.log_softmax math.log_softmax", "log_softmax", "logits", "axis axis"},
    {"nn.leaky_relu", "leaky_relu", "features", "alpha negative_slope"},
    {"nn.gelu", "gelu", "features", "approximate approximate"},
    {"nn.bias_add", "add", "value bias", ""},
    {"linalg.matmul", "matmul", "a b", "transpose_a transpose_a transpose_b transpose_b"},
    {"cast", "cast", "x", "dtype dtype"},
    {"clip_by_value", "clip", "t", "clip_value_min min clip_value_max max"},
    {"compat.v1.transpose transpose", "transpose", "a", "perm axes"},
    {"reverse", "reverse", "tensor", "axis axes"},
    {"repeat", "repeat", "input", "repeats count axis axis"},
    {"tile", "tile", "input", "multiples repeats"},
    {"expand_dims", "expand_dims", "input", "axis axis"},
    {"squeeze compat.v1.squeeze", "squeeze", "input", "axis axes"},
    {"where compat.v1.where", "where", "condition x y", ""},
    {"one_hot", "one_hot", "indices", "depth depth"},
};

/* Arguments that do not change what is computed, when they have these values. */
static bool harmless(const char *name, const cn_value *v) {
  double number;
  if (cn_value_is_null(v) || cn_word_in("name", name, NULL)) return true;
  return cn_word_in("conjugate adjoint_a adjoint_b a_is_sparse b_is_sparse", name, NULL) && cn_value_number(v, &number) &&
         number == 0;
}

/* Every argument must be a tensor of the function, an option of the op, or harmless. */
static void check_names(const arguments *a, const direct *d) {
  for (int i = 0; a->call->kwargs && i < a->call->kwargs->count && !a->t->status; i++) {
    const char *name = a->call->kwargs->keys[i];
    const cn_value *v = a->call->kwargs->items[i];
    bool type = strcmp(name, "output_type") == 0 && cn_value_str(v) && strcmp(v->s, "int64") == 0;
    if (cn_word_in(d->tensors, name, NULL) || cn_word_in(d->options, name, NULL) || harmless(name, v) || type) continue;
    cn_trace_fail(a->t, CORNU_ERR_UNSUPPORTED, "the argument \"%s\" = %s of tf.%s is not supported", name,
                  cn_value_show(v, (char[80]){0}, 80), ((const settings *)a->layer->settings)->function);
  }
}

static bool next_word(const char **list, char *word, size_t size) {
  while (**list == ' ') ++*list;
  size_t n = strcspn(*list, " ");
  if (!n || n >= size) return false;
  memcpy(word, *list, n);
  word[n] = 0;
  *list += n;
  return true;
}

static void *options_of(const arguments *a, const direct *d, const cn_op *op) {
  cn_arena *arena = &a->t->graph->arena;
  cn_value *options = cn_value_new(arena, CORNU_DICT);
  void *attrs = cn_arena_alloc(arena, op->attrs_size + 1);
  static const cn_field none[] = {{0}};
  char theirs[64], ours[64];
  bool good = options && attrs;
  for (const char *p = d->options; good && next_word(&p, theirs, sizeof theirs) && next_word(&p, ours, sizeof ours);) {
    const cn_value *v = argument(a, theirs);
    if (v) good = cn_value_put(arena, options, ours, cn_value_copy(arena, v));
  }
  if (!good) a->t->status = cn_no_memory(a->t->error);
  else a->t->status = cn_fields_parse(op->fields ? op->fields : none, options, attrs, NULL, NULL, arena, a->t->error);
  if (!a->t->status && op->check) a->t->status = op->check(attrs, a->t->error);
  return attrs;
}

static cornu_dtype common_dtype(const arguments *a) {
  return a->call->n_in ? cn_edge_type(a->t, a->call->in[0].data)->dtype : CORNU_FLOAT32;
}

static cn_edge emit_direct(const arguments *a, const direct *d) {
  const cn_op *op = cn_op_find(d->op);
  cn_edge in[3];
  int n = 0;
  char name[64];
  arguments own = *a;
  char order[256];
  snprintf(order, sizeof order, "%s %s", d->tensors, strcmp(d->op, "sum") == 0 ? "axis keepdims" : "axis");
  own.order = order;
  check_names(a, d);
  for (const char *p = d->tensors; n < 3 && next_word(&p, name, sizeof name); n++)
    in[n] = tensor(&own, name, common_dtype(a));
  void *attrs = a->t->status ? NULL : options_of(&own, d, op);
  return cn_emit(a->t, op, op->attrs_size ? attrs : NULL, in, n);
}

/* ---- The others ---- */

static cn_edge l2_normalize(const arguments *a) {
  cn_edge x = tensor(a, "x", CORNU_FLOAT32);
  cn_reduce_attrs over = {.axes = {1, {integer(a, "axis", -1)}}, .keepdims = true};
  cn_edge square = cn_emit1(a->t, &cn_op_sum, &over, cn_emit1(a->t, &cn_op_square, NULL, x));
  cn_edge bounded = cn_emit2(a->t, &cn_op_maximum, NULL, square, cn_emit_number(a->t, 1e-12));
  return cn_emit2(a->t, &cn_op_mul, NULL, x, cn_emit1(a->t, &cn_op_rsqrt, NULL, bounded));
}

static cn_edge norm(const arguments *a) {
  const cn_value *order = argument(a, "ord"), *keep = argument(a, "keepdims");
  double number;
  if (order && !(cn_value_str(order) && strcmp(order->s, "euclidean") == 0))
    cn_trace_fail(a->t, CORNU_ERR_UNSUPPORTED, "\"ord\" is %s: only the euclidean norm is supported",
                  cn_value_show(order, (char[80]){0}, 80));
  cn_reduce_attrs over = {.axes = {.n = -1}, .keepdims = keep && cn_value_number(keep, &number) && number != 0};
  if (argument(a, "axis")) over.axes = (cn_ints){1, {integer(a, "axis", -1)}};
  cn_edge x = tensor(a, "tensor", CORNU_FLOAT32);
  cn_edge sum = cn_emit1(a->t, &cn_op_sum, &over, cn_emit1(a->t, &cn_op_square, NULL, x));
  return cn_emit1(a->t, &cn_op_sqrt, NULL, sum);
}

static cn_edge pad(const arguments *a) {
  const cn_value *pairs = argument(a, "paddings"), *mode = argument(a, "mode");
  const cn_value *filler = argument(a, "constant_values");
  cn_pad_attrs p = {.before = {.n = 0}};
  bool good = cn_value_is(pairs, CORNU_LIST) && pairs->count <= CN_MAX_RANK;
  for (int i = 0; good && i < pairs->count; i++) {
    const cn_value *pair = pairs->items[i];
    good = cn_value_is(pair, CORNU_LIST) && pair->count == 2 &&
           cn_value_integer(pair->items[0], &p.before.v[i]) && cn_value_integer(pair->items[1], &p.after.v[i]);
  }
  if (filler) good = good && cn_value_number(filler, &p.value);
  if (mode && cn_value_str(mode)) {
    if (cn_word_in("REFLECT reflect", mode->s, NULL)) p.mode = CN_PAD_REFLECT;
    else if (cn_word_in("SYMMETRIC symmetric", mode->s, NULL)) p.mode = CN_PAD_SYMMETRIC;
    else good = good && cn_word_in("CONSTANT constant", mode->s, NULL);
  }
  if (!good) cn_trace_fail(a->t, CORNU_ERR_UNSUPPORTED, "its paddings, mode or constant_values are not supported");
  p.before.n = p.after.n = good ? pairs->count : 0;
  return cn_emit1(a->t, &cn_op_pad, &p, tensor(a, "tensor", CORNU_FLOAT32));
}

static cn_edge stack(const arguments *a) {
  const cn_value *list = argument(a, "values");
  cn_edge in[CN_MAX_OUT];
  int n = 0, index;
  for (int i = 0; cn_value_is(list, CORNU_LIST) && i < list->count && n < CN_MAX_OUT; i++)
    if (cn_call_ref(list->items[i], &index)) in[n++] = a->call->in[index].data;
  for (int i = 0; !list && i < a->call->n_in && n < CN_MAX_OUT; i++) in[n++] = a->call->in[i].data;
  return cn_emit(a->t, &cn_op_stack, &(cn_axis_attrs){integer(a, "axis", 0)}, in, n);
}

static void unstack(const arguments *a) {
  cn_edge x = tensor(a, "value", CORNU_FLOAT32), first;
  int axis;
  const cn_type type = *cn_edge_type(a->t, x);
  if (!a->t->status) a->t->status = cn_axis(integer(a, "axis", 0), type.rank, &axis, a->t->error);
  if (a->t->status) return;
  if (type.shape[axis] < 1 || type.shape[axis] > CN_MAX_OUT) {
    cn_trace_fail(a->t, CORNU_ERR_SHAPE, "the input has shape %s: its axis %d must be known, up to %d",
                  CN_SHAPE(type.rank, type.shape), axis, CN_MAX_OUT);
    return;
  }
  int n = cn_emit_many(a->t, &cn_op_split, &(cn_split_attrs){axis, type.shape[axis]}, &x, 1, &first);
  for (int i = 0; i < n; i++) {
    cn_reduce_attrs which = {.axes = {1, {axis}}};
    cn_call_return(a->t, a->call, cn_emit1(a->t, &cn_op_squeeze, &which, first + i), CN_NO_EDGE);
  }
}

static cn_edge tensordot(const arguments *a) {
  if (integer(a, "axes", 0) != 1)
    cn_trace_fail(a->t, CORNU_ERR_UNSUPPORTED, "tf.tensordot is supported over one axis alone: axes = 1");
  return cn_emit2(a->t, &cn_op_matmul, NULL, tensor(a, "a", CORNU_FLOAT32), tensor(a, "b", CORNU_FLOAT32));
}

static cn_edge unary(const arguments *a, const char *function) {
  const char *dot = strrchr(function, '.');
  const cn_op *op = cn_op_find(dot ? dot + 1 : function);
  bool known = op && op->min_in == 1 && op->max_in == 1 && (op->flags & CN_OP_ELEMENTWISE);
  for (int i = 0; known && a->call->kwargs && i < a->call->kwargs->count; i++)
    known = harmless(a->call->kwargs->keys[i], a->call->kwargs->items[i]) ||
            cn_word_in("x features", a->call->kwargs->keys[i], NULL);
  if (!known || a->call->n_in < 1) {
    cn_trace_fail(a->t, CORNU_ERR_UNSUPPORTED, "tf.%s is not supported: give a handler: custom_objects = { [\"%s\"] = "
                  "function(x, layer) … end }", function, a->layer->name);
    return CN_NO_EDGE;
  }
  void *attrs = NULL;
  if (op->attrs_size) attrs = options_of(a, &(direct){.options = ""}, op);
  return cn_emit1(a->t, op, attrs, a->call->in[0].data);
}

typedef struct special { const char *functions, *order; cn_edge (*emit)(const arguments *a); } special;
static const special specials[] = {
    {"math.l2_normalize nn.l2_normalize compat.v1.math.l2_normalize", "x axis", l2_normalize},
    {"norm compat.v1.norm", "tensor ord axis", norm},
    {"pad compat.v1.pad", "tensor paddings mode constant_values", pad},
    {"stack", "values axis", stack},
    {"tensordot", "a b axes", tensordot},
};

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const char *function = ((const settings *)l->settings)->function;
  arguments a = {l, t, c, "x"};
  if (t->status) return;
  if (strcmp(function, "unstack") == 0) {
    a.order = "value num axis";
    unstack(&a);
    return;
  }
  if (cn_word_in("stop_gradient identity", function, NULL)) {
    cn_call_return(t, c, c->n_in ? c->in[0].data : CN_NO_EDGE, CN_NO_EDGE);
    return;
  }
  cn_edge y = CN_NO_EDGE;
  bool found = false;
  for (int i = 0; i < CN_COUNT(specials) && !found; i++)
    if ((found = cn_word_in(specials[i].functions, function, NULL))) {
      a.order = specials[i].order;
      y = specials[i].emit(&a);
    }
  for (int i = 0; i < CN_COUNT(table) && !found; i++)
    if ((found = cn_word_in(table[i].function, function, NULL))) y = emit_direct(&a, &table[i]);
  if (!found) y = unary(&a, function);
  cn_call_return(t, c, y, CN_NO_EDGE);
}

const cn_layer_type cn_layer_tf_op_lambda = {
    .name = "TFOpLambda",
    .versions = "2",
    .help = "a function of TensorFlow as a node of a functional model of tf.keras",
    .flags = CN_MASK_OWN | CN_LAYER_CONSTANTS | CN_LAYER_UNCAST,
    .min_in = 0,
    .max_in = -1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .lower = lower,
};
