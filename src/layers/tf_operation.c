/* TFOpLambda, and TensorFlowOpLayer of TensorFlow 2.0 to 2.3: functions of TensorFlow as nodes of a functional model.
 * Their arguments are given the names of the operation that computes them (tf_functions.c). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "layers/tf_functions.h"

/* ---- Names ---- */

static const char *without_version(const char *function) {
  static const char v1[] = "compat.v1.";
  return strncmp(function, v1, sizeof v1 - 1) == 0 ? function + sizeof v1 - 1 : function;
}

static const cn_tf_function *find_function(const char *name) {
  for (const cn_tf_function *f = cn_tf_functions; f->names; f++)
    if (cn_word_in(f->names, name, NULL)) return f;
  return NULL;
}

/* One word of `arguments`, in parts. */
typedef struct parameter {
  char theirs[48], ours[48], standard[24];
  bool refused, ignored, rest;
} parameter;

static size_t copy_part(char *out, size_t size, const char *s, const char *stops) {
  size_t n = strcspn(s, stops), kept = n < size ? n : size - 1;
  memcpy(out, s, kept);
  out[kept] = 0;
  return n;
}

static bool next_parameter(const char **list, parameter *p) {
  const char *s = *list;
  while (*s == ' ') s++;
  if (!*s) return false;
  *p = (parameter){.refused = false};
  s += copy_part(p->theirs, sizeof p->theirs, s, " =:!~*");
  strcpy(p->ours, p->theirs);
  if (*s == '=') s++, s += copy_part(p->ours, sizeof p->ours, s, " :!~*");
  if (*s == ':') s++, s += copy_part(p->standard, sizeof p->standard, s, " ");
  p->refused = *s == '!';
  p->ignored = *s == '~';
  p->rest = *s == '*';
  *list = s + strcspn(s, " ");
  return true;
}

/* ---- Arguments under the names of the operation ---- */

typedef struct binding {
  cn_trace *t;
  const cn_call *call;
  const cn_tf_function *function;
  cn_value *bound;
} binding;

static void put(binding *b, const char *name, const cn_value *v) {
  cn_arena *a = &b->t->graph->arena;
  cn_value *copy = b->t->status ? NULL : cn_value_copy(a, v);
  if (!b->t->status && (!copy || !cn_value_put(a, b->bound, name, copy))) b->t->status = cn_no_memory(b->t->error);
}

static const cn_value *reference(binding *b, int index) {
  cn_arena *a = &b->t->graph->arena;
  cn_value *ref = cn_value_new(a, CORNU_DICT), *n = cn_value_new(a, CORNU_INT);
  if (n) n->i = index;
  if (!ref || !n || !cn_value_put(a, ref, "@", n)) b->t->status = cn_no_memory(b->t->error);
  return b->t->status ? NULL : ref;
}

/* The i-th positional argument; NULL: there is none. A plain call has its tensors alone. */
static const cn_value *positional(binding *b, int i) {
  const cn_value *args = b->call->args;
  if (cn_value_is(args, CORNU_LIST)) return i < args->count ? args->items[i] : NULL;
  return !args && i < b->call->n_positional ? reference(b, i) : NULL;
}

static void put_rest(binding *b, const parameter *p, int from) {
  cn_arena *a = &b->t->graph->arena;
  cn_value *list = cn_value_new(a, CORNU_LIST);
  const cn_value *v;
  for (int i = from; list && (v = positional(b, i)); i++) {
    cn_value *copy = cn_value_copy(a, v);
    if (!copy || !cn_value_push(a, list, copy)) list = NULL;
  }
  if (!list) b->t->status = cn_no_memory(b->t->error);
  else put(b, p->ours, list);
}

static void put_standard(binding *b, const parameter *p) {
  const char *text = p->standard;
  const cn_value *v = cn_value_standard(&b->t->graph->arena, &text);
  if (v) put(b, p->ours, v);
  else b->t->status = cn_no_memory(b->t->error);
}

static void refuse(binding *b, const char *name, const cn_value *v) {
  double number;
  bool harmless = cn_value_is_null(v) || (cn_value_number(v, &number) && number == 0);
  if (!harmless)
    cn_trace_fail(b->t, CORNU_ERR_UNSUPPORTED, "the argument \"%s\" = %s is not supported", name,
                  cn_value_show(v, (char[80]){0}, 80));
}

static bool is_parameter(const cn_tf_function *f, const char *name) {
  parameter p;
  for (const char *s = f->arguments; next_parameter(&s, &p);)
    if (strcmp(p.theirs, name) == 0) return true;
  return false;
}

static void bind(binding *b) {
  const cn_value *kwargs = b->call->kwargs;
  parameter p;
  int at = 0;
  for (const char *s = b->function->arguments; next_parameter(&s, &p) && !b->t->status; at++) {
    const cn_value *v = positional(b, at), *named = cn_value_find(kwargs, p.theirs);
    if (named) v = named;
    if (p.ignored) continue;
    if (p.refused) refuse(b, p.theirs, v);
    else if (p.rest) put_rest(b, &p, at);
    else if (v && !cn_value_is_null(v)) put(b, p.ours, v);
    else if (*p.standard) put_standard(b, &p);
  }
  if (positional(b, at) && !p.rest)
    cn_trace_fail(b->t, CORNU_ERR_ARGUMENT, "is called with more than %d arguments", at);
  for (int i = 0; kwargs && i < kwargs->count && !b->t->status; i++)
    if (!is_parameter(b->function, kwargs->keys[i]) && strcmp(kwargs->keys[i], "name") != 0)
      refuse(b, kwargs->keys[i], kwargs->items[i]);
}

/* ---- Calls ---- */

static const cn_operation *find_operation(const char *name) {
  static const cn_operation *const own[] = {cn_tf_operations, NULL};
  const cn_operation *o = cn_operation_find(own, name);
  return o ? o : cn_operation_find(cn_operation_tables, name);
}

/* Arguments of an op are its inputs and attributes, in the order of the function. */
static const char *own_names(cn_arena *a, const cn_tf_function *f) {
  char *names = cn_arena_alloc(a, 2 * strlen(f->arguments) + 1);
  parameter p;
  size_t n = 0;
  for (const char *s = f->arguments; names && next_parameter(&s, &p);) {
    if (p.refused || p.ignored) continue;
    if (n) names[n++] = ' ';
    memcpy(names + n, p.ours, strlen(p.ours) + 1);
    n += strlen(p.ours);
  }
  return names;
}

/* A function of one tensor whose last name is an op's: "math.exp". */
static bool elementwise(const char *function, cn_tf_function *out) {
  const char *dot = strrchr(function, '.'), *name = dot ? dot + 1 : function;
  const cn_op *op = cn_op_find(name);
  if (!op || op->min_in != 1 || op->max_in != 1 || !(op->flags & CN_OP_ELEMENTWISE)) return false;
  *out = (cn_tf_function){.names = function, .arguments = "x", .operation = name};
  return true;
}

static void call_function(cn_layer *l, cn_trace *t, cn_call *c, const char *function) {
  cn_arena *a = &t->graph->arena;
  cn_tf_function simple;
  const cn_tf_function *f = find_function(without_version(function));
  if (t->status) return;
  if (!f && elementwise(function, &simple)) {
    f = &simple;
    if (cn_value_find(c->kwargs, "features")) simple.arguments = "features";
  }
  const cn_operation *o = f ? find_operation(f->operation) : NULL;
  if (!f || (!o && !cn_op_find(f->operation))) {
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "tf.%s is not supported: give a handler: custom_objects = { [\"%s\"] = "
                  "function(x, layer) … end }", function, l->name);
    return;
  }
  binding b = {t, c, f, cn_value_new(a, CORNU_DICT)};
  cn_value *none = cn_value_new(a, CORNU_LIST);
  cn_operation op = {.name = function, .arguments = own_names(a, f), .op = f->operation};
  if (!b.bound || !none || !op.arguments) t->status = cn_no_memory(t->error);
  if (!t->status) bind(&b);
  const cn_value *args = c->args, *kwargs = c->kwargs;
  c->args = none;
  c->kwargs = b.bound;
  cn_operation_lower(o ? o : &op, function, l, t, c, NULL);
  c->args = args;
  c->kwargs = kwargs;
}

/* ---- As operations of keras.ops ---- */

/* What TensorFlow's way differs in from an operation of Keras 3 that computes the same, with the arguments by its names.
 * "!" is refused here where it is anything but null, false or 0. */
static const struct { const char *ours, *class_name, *arguments; } like[] = {
    {"tf.reshape", "Reshape", "tensor=x shape=newshape"},
    {"tf.clip", "Clip", "t=x clip_value_min=x_min clip_value_max=x_max"},
    {"tf.identity", "Copy", "input=x"},
    {"tf.argmax", "Argmax", "input=x axis:0 output_type=dtype:\"int64\""},
    {"tf.argmin", "Argmin", "input=x axis:0 output_type=dtype:\"int64\""},
    {"tf.l2_normalize", "Normalize", "x axis:null epsilon:1e-12"},
    {"tf.norm", "Norm", "tensor=x ord axis keepdims:false"},
    {"tf.pad", "Pad", "tensor=x paddings=pad_width mode:\"constant\" constant_values"},
    {"softmax", "Softmax", "logits=x axis:-1"},
    {"log_softmax", "LogSoftmax", "logits=x axis:-1"},
    {"gelu", "Gelu", "features=x approximate:false"},
    {"cumsum", "Cumsum", "x axis:0 exclusive! reverse!"},
    {"cumprod", "Cumprod", "x axis:0 exclusive! reverse!"},
    {"matmul", "Matmul", "a=x1 b=x2 transpose_a transpose_b adjoint_a! adjoint_b! a_is_sparse! b_is_sparse! "
                         "output_type!"}};

/* The row of keras.ops that computes an op, under its first name. */
static const cn_operation *operation_of_op(const char *op) {
  for (const cn_operation *const *table = cn_operation_tables; *table; table++)
    for (const cn_operation *o = *table; o->name; o++)
      if (o->op && strcmp(o->op, op) == 0) return o;
  return NULL;
}

static const char *first_word(cn_arena *a, const char *words) { return cn_arena_copy(a, words, strcspn(words, " ")); }

static bool holds_tensor(const cn_value *v) {
  if (cn_call_ref(v, &(int){0})) return true;
  for (int i = 0; v && (v->kind == CORNU_LIST || v->kind == CORNU_DICT) && i < v->count; i++)
    if (holds_tensor(v->items[i])) return true;
  return false;
}

/* Numbers in a list as Keras 3 keeps arrays; operations take tensors, arrays and single numbers. */
static cn_value *array_value(cn_arena *a, const cn_value *numbers, cornu_dtype dtype) {
  cn_value *v = cn_value_new(a, CORNU_DICT), *config = cn_value_new(a, CORNU_DICT);
  bool made = v && config && cn_value_put(a, config, "value", cn_value_copy(a, numbers)) &&
              cn_value_put(a, config, "dtype", cn_value_text(a, cornu_dtype_name(dtype))) &&
              cn_value_put(a, v, "class_name", cn_value_text(a, "__numpy__")) && cn_value_put(a, v, "config", config);
  return made ? v : NULL;
}

static bool push_argument(cn_arena *a, cn_value *args, const cn_value *v, bool rest, cornu_dtype dtype) {
  bool list = cn_value_is(v, CORNU_LIST), pushed = true;
  if (!rest || !list) return cn_value_push(a, args, list && !holds_tensor(v) ? array_value(a, v, dtype) : cn_value_copy(a, v));
  for (int i = 0; i < v->count && pushed; i++) pushed = push_argument(a, args, v->items[i], false, dtype);
  return pushed;
}

/* What is bound goes to the arguments of the operation or into its config, where no tensor can be. */
static bool part_bound(const binding *b, const char *arguments, cornu_dtype dtype, cn_arena *a, cn_tf_said *out) {
  parameter p;
  out->args = cn_value_new(a, CORNU_LIST);
  out->config = cn_value_new(a, CORNU_DICT);
  bool good = out->args && out->config, ended = false;
  for (const char *s = arguments; good && next_parameter(&s, &p);) {
    const cn_value *v = cn_value_find(b->bound, p.theirs);
    if (!v) ended = true;
    else good = !ended && push_argument(a, out->args, v, p.rest, dtype);
  }
  for (int i = 0; good && i < b->bound->count; i++) {
    const char *key = b->bound->keys[i];
    const cn_value *v = b->bound->items[i];
    bool positional = false;
    for (const char *s = arguments; next_parameter(&s, &p);) positional |= strcmp(p.theirs, key) == 0;
    if (!positional) good = !holds_tensor(v) && cn_value_put(a, out->config, key, cn_value_copy(a, v));
  }
  return good;
}

/* ---- Where values mean something else there ---- */

/* TensorFlow's lengths are at least the root of epsilon. */
static bool root_epsilon(binding *b) {
  cn_value *v = cn_value_find(b->bound, "epsilon"), *root = cn_value_new(&b->t->graph->arena, CORNU_FLOAT);
  double epsilon;
  if (!root || !cn_value_number(v, &epsilon) || epsilon < 0) return false;
  root->f = sqrt(epsilon);
  return cn_value_put(&b->t->graph->arena, b->bound, "epsilon", root);
}

/* Of vectors along one axis; TensorFlow takes all numbers for one vector where no axis is told. */
static bool plain_norm(binding *b) {
  const cn_value *ord = cn_value_find(b->bound, "ord"), *axis = cn_value_find(b->bound, "axis");
  if (cn_value_str(ord) && strcmp(ord->s, "euclidean") == 0) cn_value_remove(b->bound, "ord"), ord = NULL;
  return !ord || (cn_value_is(axis, CORNU_INT) && !cn_value_str(ord));
}

static bool plain_mode(binding *b) {
  const char *mode = cn_value_str(cn_value_find(b->bound, "mode"));
  static const char *const modes[][2] = {{"CONSTANT", "constant"}, {"REFLECT", "reflect"}, {"SYMMETRIC", "symmetric"}};
  for (int i = 0; mode && i < CN_COUNT(modes); i++)
    if (strcmp(mode, modes[i][0]) == 0) mode = modes[i][1];
  double value = 0;
  const cn_value *filler = cn_value_find(b->bound, "constant_values");
  if (filler && !cn_value_number(filler, &value)) return false;
  if (value == 0) cn_value_remove(b->bound, "constant_values");
  return mode && cn_word_in("constant reflect symmetric", mode, NULL) &&
         cn_value_put(&b->t->graph->arena, b->bound, "mode", cn_value_text(&b->t->graph->arena, mode));
}

/* With transposed factors as a sum over letters. */
static bool plain_product(binding *b, cn_tf_said *out) {
  static const char *const keys[] = {"transpose_a", "transpose_b"}, *const factors[] = {"x1", "x2"};
  static const char *const sums[] = {"...ji,...jk->...ik", "...ij,...kj->...ik", "...ji,...kj->...ik"};
  cn_arena *a = &b->t->graph->arena;
  cn_value *operands = cn_value_new(a, CORNU_LIST);
  int turned = 0;
  for (int i = 0; i < 2; i++) {
    if (cornu_value_as_bool(cn_value_find(b->bound, keys[i]))) turned |= i + 1;
    cn_value_remove(b->bound, keys[i]);
  }
  if (!turned) return true;
  for (int i = 0; i < 2; i++) {
    cn_value *v = cn_value_find(b->bound, factors[i]);
    if (!v || !operands || !cn_value_push(a, operands, v)) return false;
    cn_value_remove(b->bound, factors[i]);
  }
  out->class_name = "Einsum";
  return cn_value_put(a, b->bound, "operands", operands) &&
         cn_value_put(a, b->bound, "subscripts", cn_value_text(a, sums[turned - 1]));
}

/* Keras 3 finds positions as int32. */
static bool plain_position(binding *b, cn_arena *a, cn_tf_said *out) {
  cn_value *dtype = cn_value_find(b->bound, "dtype");
  if (!cn_value_str(dtype)) return false;
  if (strcmp(dtype->s, "int32") != 0) out->cast = cn_arena_string(a, dtype->s);
  cn_value_remove(b->bound, "dtype");
  return true;
}

static bool adapt(binding *b, cn_arena *a, cn_tf_said *out) {
  if (strcmp(out->class_name, "Normalize") == 0) return root_epsilon(b);
  if (strcmp(out->class_name, "Norm") == 0) return plain_norm(b);
  if (strcmp(out->class_name, "Pad") == 0) return plain_mode(b);
  if (strcmp(out->class_name, "Matmul") == 0) return plain_product(b, out);
  return !cn_word_in("Argmax Argmin", out->class_name, NULL) || plain_position(b, a, out);
}

static bool say_function(cn_trace *t, const cn_call *call, const char *function, cornu_dtype dtype, cn_arena *a,
                         cn_tf_said *out) {
  cn_tf_function simple;
  const cn_tf_function *f = find_function(without_version(function));
  if (!f && elementwise(function, &simple)) f = &simple;
  if (!f) return false;
  cn_tf_function own = *f;
  for (int i = 0; i < CN_COUNT(like); i++)
    if (strcmp(like[i].ours, f->operation) == 0) own.operation = like[i].class_name, own.arguments = like[i].arguments;
  binding b = {t, call, &own, cn_value_new(&t->graph->arena, CORNU_DICT)};
  if (!b.bound) return false;
  bind(&b);
  out->class_name = own.operation;
  if (t->status || !adapt(&b, a, out)) return false;
  const cn_operation *o = cn_operation_find(cn_operation_tables, out->class_name);
  if (o) return part_bound(&b, o->arguments, dtype, a, out);
  parameter first = {.refused = false};
  const char *rest = own.arguments;
  next_parameter(&rest, &first);
  o = operation_of_op(own.operation);
  return o && (out->class_name = first_word(a, o->name)) && part_bound(&b, first.ours, dtype, a, out);
}

/* A key of slices as Keras 3 writes it. */
static cn_value *slice_key(cn_arena *a, const cn_value *v) {
  static const char *const parts[] = {"start", "stop", "step"};
  if (!cn_value_is(v, CORNU_DICT) || !cn_value_find(v, "start")) return cn_value_copy(a, v);
  cn_value *slice = cn_value_new(a, CORNU_DICT), *config = cn_value_new(a, CORNU_DICT);
  bool made = slice && config;
  for (int i = 0; i < 3 && made; i++) {
    const cn_value *part = cn_value_find(v, parts[i]);
    made = cn_value_put(a, config, parts[i], part ? cn_value_copy(a, part) : cn_value_new(a, CORNU_NULL));
  }
  made = made && cn_value_put(a, slice, "class_name", cn_value_text(a, "__slice__")) &&
         cn_value_put(a, slice, "config", config);
  return made ? slice : NULL;
}

static bool say_slice(const cn_call *call, cn_arena *a, cn_tf_said *out) {
  const cn_value *spec = cn_call_kwarg(call, "slice_spec");
  cn_value *keys = cn_value_new(a, CORNU_LIST), *ref = cn_value_new(a, CORNU_DICT), *zero = cn_value_new(a, CORNU_INT);
  out->class_name = "GetItem";
  out->config = cn_value_new(a, CORNU_DICT);
  out->args = cn_value_new(a, CORNU_LIST);
  bool made = cn_value_is(spec, CORNU_LIST) && !holds_tensor(spec) && keys && ref && zero && out->config && out->args;
  for (int i = 0; made && i < spec->count; i++) /* a new axis is written as a null, "..." as text in some versions */
    made = !cn_value_str(spec->items[i]) && cn_value_push(a, keys, slice_key(a, spec->items[i]));
  return made && cn_value_put(a, ref, "@", zero) && cn_value_push(a, out->args, ref) &&
         cn_value_push(a, out->args, keys);
}

/* ---- TFOpLambda ---- */

typedef struct settings { const char *function; } settings;
static const cn_field fields[] = {
    {.name = "function", .kind = CN_F_STRING, .offset = offsetof(settings, function),
     .help = CN_HELP("the name of a TensorFlow function, such as math.reduce_sum")},
    {0}};

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  call_function(l, t, c, ((const settings *)l->settings)->function);
}

const cn_layer_type cn_layer_tf_op_lambda = {
    .name = "TFOpLambda",
    .versions = "2",
    .help = CN_HELP("a function of TensorFlow as a node of a functional model of tf.keras"),
    .flags = CN_MASK_OWN | CN_LAYER_CONSTANTS | CN_LAYER_UNCAST,
    .min_in = 0,
    .max_in = -1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .lower = lower,
};

/* ---- TensorFlowOpLayer ---- */

typedef struct raw_settings { const cn_value *node, *constants; } raw_settings;
static const cn_field raw_fields[] = {
    {.name = "node_def", .kind = CN_F_VALUE, .offset = offsetof(raw_settings, node),
     .help = CN_HELP("op, inputs, attributes")},
    {.name = "constants", .kind = CN_F_VALUE, .offset = offsetof(raw_settings, constants), .standard = "null",
     .help = CN_HELP("inputs that are numbers, by their place")},
    {0}};

static const char *raw_op(const cn_layer *l) {
  return cn_value_str(cn_value_find(((const raw_settings *)l->settings)->node, "op"));
}

static const cn_tf_raw *find_raw(const char *op) {
  for (const cn_tf_raw *r = cn_tf_raws; op && r->ops; r++)
    if (cn_word_in(r->ops, op, NULL)) return r;
  return NULL;
}

static cn_status check_raw(cn_layer *l, cn_error *e) {
  const char *op = raw_op(l);
  if (find_raw(op)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_UNSUPPORTED, "TensorFlow's op %s is not supported: give a handler: custom_objects = { "
                 "[\"%s\"] = function(x, layer) … end }", op ? op : "(none)", l->name);
}

/* {"b": true}, {"f": 0.2}, {"type": "DT_INT32"}, {"list": {"i": ["1"]}}, and integers as text: protobuf's JSON. */
static const cn_value *attribute(cn_arena *a, const cn_value *v) {
  const cn_value *list = cn_value_find(v, "list");
  if (list) v = list;
  v = v && v->count ? v->items[0] : NULL;
  const char *text = cn_value_str(v);
  if (!text) return v;
  if (strncmp(text, "DT_", 3) != 0) return cn_value_standard(a, &text);
  static const char *const names[][2] = {{"DT_FLOAT", "float32"}, {"DT_DOUBLE", "float64"}, {"DT_HALF", "float16"},
                                         {"DT_INT32", "int32"},   {"DT_INT64", "int64"},    {"DT_BOOL", "bool"},
                                         {"DT_UINT8", "uint8"},   {"DT_INT8", "int8"}};
  for (int i = 0; i < CN_COUNT(names); i++)
    if (strcmp(names[i][0], text) == 0) return cn_value_text(a, names[i][1]);
  return v;
}

/* Its call as that of a function. */
static cn_call raw_call(const cn_layer *l, cn_trace *t, const cn_tf_raw *raw, const cn_call *c) {
  const raw_settings *s = l->settings;
  cn_arena *a = &t->graph->arena;
  cn_value *args = cn_value_new(a, CORNU_LIST), *kwargs = cn_value_new(a, CORNU_DICT);
  binding b = {t, c, NULL, kwargs};
  int total = c->n_in + (s->constants ? s->constants->count : 0);
  char place[16];
  if (!args || !kwargs) t->status = cn_no_memory(t->error);
  for (int i = 0, fed = 0; i < total && !t->status; i++) {
    snprintf(place, sizeof place, "%d", i);
    const cn_value *v = cn_value_find(s->constants, place);
    if (!v && fed < c->n_in) v = reference(&b, fed++);
    if (!v || !cn_value_push(a, args, cn_value_copy(a, v))) t->status = cn_no_memory(t->error);
  }
  parameter p;
  const cn_value *attributes = cn_value_find(s->node, "attr");
  for (const char *list = raw->attributes; next_parameter(&list, &p) && !t->status;) {
    const cn_value *v = attribute(a, cn_value_find(attributes, p.theirs));
    if (v) put(&b, p.ours, v);
  }
  cn_call named = *c;
  named.args = args;
  named.kwargs = kwargs;
  return named;
}

static void lower_raw(cn_layer *l, cn_trace *t, cn_call *c) {
  const cn_tf_raw *raw = find_raw(raw_op(l));
  cn_call named = raw_call(l, t, raw, c);
  call_function(l, t, &named, raw->function);
  c->out = named.out;
  c->n_out = named.n_out;
  c->cap_out = named.cap_out;
}

const cn_layer_type cn_layer_tensorflow_op_layer = {
    .name = "TensorFlowOpLayer",
    .versions = "2",
    .help = CN_HELP("an op of TensorFlow as a node of a functional model of TensorFlow 2.0 to 2.3"),
    .flags = CN_MASK_OWN | CN_LAYER_CONSTANTS | CN_LAYER_UNCAST,
    .min_in = 0,
    .max_in = -1,
    .settings_size = sizeof(raw_settings),
    .fields = raw_fields,
    .check = check_raw,
    .lower = lower_raw,
};

/* ---- Either as an operation ---- */

bool cn_tf_as_operation(const cn_layer *l, const cn_call *call, cornu_dtype dtype, cn_arena *a, cn_tf_said *out) {
  cn_graph *g;
  cn_trace t;
  cn_error e;
  *out = (cn_tf_said){0};
  if (strcmp(l->type->name, "SlicingOpLambda") == 0) return say_slice(call, a, out);
  if (cn_graph_new(&g, &e)) return false;
  cn_trace_begin(&t, g, &e);
  const cn_tf_raw *raw = strcmp(l->type->name, "TensorFlowOpLayer") == 0 ? find_raw(raw_op(l)) : NULL;
  const char *function = raw ? raw->function : cn_value_str(cn_value_find(l->config, "function"));
  const cn_call named = raw ? raw_call(l, &t, raw, call) : *call;
  bool said = function && !t.status && say_function(&t, &named, function, dtype, a, out);
  cn_trace_end(&t);
  cn_graph_free(g);
  return said;
}
