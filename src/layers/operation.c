/* Calls of operations: binding arguments to names, options from the config and the call, the layer type of keras.ops. */
#include "layers/operation.h"

#include <string.h>

#include "base/text.h"

/* ---- The tables ---- */

const cn_operation *cn_operation_find(const cn_operation *const *tables, const char *name) {
  for (; *tables; tables++)
    for (const cn_operation *o = *tables; o->name; o++)
      if (cn_word_in(o->name, name, NULL)) return o;
  return NULL;
}

static const cn_operation *row(int i) {
  for (const cn_operation *const *table = cn_operation_tables; i >= 0 && *table; table++)
    for (const cn_operation *o = *table; o->name; o++)
      if (i-- == 0) return o;
  return NULL;
}

static const cn_op *op_of(const cn_operation *o) { return o->op ? cn_op_find(o->op) : NULL; }

static const cn_field *fields_of(const cn_operation *o) {
  static const cn_field none[] = {{0}};
  const cn_op *op = op_of(o);
  if (o->fields) return o->fields;
  return op && op->fields ? op->fields : none;
}

static int count_words(const char *s) {
  int n = s && *s;
  for (; s && *s; s++) n += *s == ' ';
  return n;
}

const char *cornu_operation_name(int i) { return row(i) ? row(i)->name : NULL; }

bool cornu_operation_info(int i, cornu_type_info *out) {
  const cn_operation *o = row(i);
  if (!o) return false;
  const char *last = o->arguments ? o->arguments + strlen(o->arguments) : "";
  int most = count_words(o->arguments);
  *out = (cornu_type_info){.name = o->name,
                           .help = o->help ? CN_HELP_OF(o) : o->op ? CN_HELP_OF(cn_op_find(o->op)) : NULL,
                           .versions = "3", .n_fields = cn_field_count(fields_of(o)), .arguments = o->arguments,
                           .max_inputs = last != o->arguments && last[-1] == '*' ? -1 : most};
  return true;
}

bool cornu_operation_field(int i, int field, cornu_field_info *out) {
  const cn_operation *o = row(i);
  return o && cn_field_info(fields_of(o), field, out);
}

/* ---- Binding ---- */

static bool put(cn_operation_call *c, cn_value *bound, const char *name, const cn_value *v) {
  cn_value *copy = cn_value_copy(&c->t->graph->arena, v);
  if (copy && cn_value_put(&c->t->graph->arena, bound, name, copy)) return true;
  if (!c->t->status) c->t->status = cn_no_memory(c->t->error);
  return false;
}

/* The name of argument `at`, into `out`; *rest: it takes all that follow. */
static bool argument_name(const char *arguments, int at, char *out, size_t size, bool *rest) {
  for (const char *s = arguments; s && *s; s += *s == ' ') {
    size_t n = strcspn(s, " ");
    *rest = n && s[n - 1] == '*';
    if (at-- == 0 || (*rest && !s[n])) {
      size_t length = n - *rest;
      if (length >= size) return false;
      memcpy(out, s, length);
      out[length] = 0;
      return true;
    }
    s += n;
  }
  return false;
}

static void bind_positional(cn_operation_call *c, cn_value *bound, int at, const cn_value *v) {
  char name[64];
  bool rest;
  cn_arena *a = &c->t->graph->arena;
  if (!argument_name(c->operation->arguments, at, name, sizeof name, &rest)) {
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "is called with %d arguments, takes: %s", at + 1, c->operation->arguments);
  } else if (rest) {
    cn_value *list = (cn_value *)cn_value_find(bound, name), *copy = cn_value_copy(a, v);
    if (!list && !(list = cn_value_new(a, CORNU_LIST))) copy = NULL;
    if (!copy || !cn_value_push(a, list, copy) || !cn_value_put(a, bound, name, list))
      c->t->status = cn_no_memory(c->t->error);
  } else {
    put(c, bound, name, v);
  }
}

/* A plain call has no list of arguments: its tensors are they. */
static void bind_tensors(cn_operation_call *c, cn_value *bound) {
  cn_arena *a = &c->t->graph->arena;
  for (int i = 0; i < c->call->n_positional && !c->t->status; i++) {
    cn_value *ref = cn_value_new(a, CORNU_DICT), *index = cn_value_new(a, CORNU_INT);
    if (ref && index) index->i = i;
    if (!ref || !index || !cn_value_put(a, ref, "@", index)) c->t->status = cn_no_memory(c->t->error);
    else bind_positional(c, bound, i, ref);
  }
}

static void bind(cn_operation_call *c, const cn_value *config) {
  cn_value *bound = cn_value_new(&c->t->graph->arena, CORNU_DICT);
  const cn_value *args = c->call->args, *kwargs = c->call->kwargs;
  if (!bound) c->t->status = cn_no_memory(c->t->error);
  for (int i = 0; config && i < config->count && !c->t->status; i++)
    if (!cn_word_in("name trainable", config->keys[i], NULL)) put(c, bound, config->keys[i], config->items[i]);
  for (int i = 0; cn_value_is(args, CORNU_LIST) && i < args->count && !c->t->status; i++)
    bind_positional(c, bound, i, args->items[i]);
  if (!args && !c->t->status) bind_tensors(c, bound);
  for (int i = 0; kwargs && i < kwargs->count && !c->t->status; i++) put(c, bound, kwargs->keys[i], kwargs->items[i]);
  c->bound = bound;
}

/* ---- Options ---- */

static bool is_argument(const cn_operation *o, const char *name) {
  char word[64];
  bool rest;
  for (int i = 0; argument_name(o->arguments, i, word, sizeof word, &rest); i++) {
    if (strcmp(word, name) == 0) return true;
    if (rest) return false;
  }
  return false;
}

/* What is bound and no tensor argument. A null that no field knows says nothing; a dtype that none knows is that of the
 * result. */
static const cn_value *options_of(cn_operation_call *c) {
  const cn_field *fields = fields_of(c->operation);
  cn_value *options = cn_value_new(&c->t->graph->arena, CORNU_DICT);
  if (!options) c->t->status = cn_no_memory(c->t->error);
  for (int i = 0; i < c->bound->count && !c->t->status; i++) {
    const char *key = c->bound->keys[i];
    const cn_value *v = c->bound->items[i];
    bool known = cn_field_find(fields, key) != NULL;
    if (!known && (cn_value_is_null(v) || strcmp(key, "dtype") == 0 || c->operation->any_key || is_argument(c->operation, key)))
      continue;
    put(c, options, key, v);
  }
  return options;
}

static void parse_options(cn_operation_call *c) {
  const cn_op *op = op_of(c->operation);
  size_t size = c->operation->options_size;
  if (op && op->attrs_size > size) size = op->attrs_size;
  const cn_value *options = options_of(c);
  c->options = cn_arena_alloc(&c->t->graph->arena, size + 1);
  if (!c->options && !c->t->status) c->t->status = cn_no_memory(c->t->error);
  if (c->t->status) return;
  c->t->status = cn_fields_parse(fields_of(c->operation), options, c->options, NULL, NULL, &c->t->graph->arena,
                                 c->t->error);
  if (!c->t->status && op && op->check) c->t->status = op->check(c->options, c->t->error);
}

/* ---- Arguments ---- */

const cn_value *cn_argument(const cn_operation_call *c, const char *name) {
  const cn_value *v = cn_value_find(c->bound, name);
  return cn_value_is_null(v) ? NULL : v;
}

static bool count_items(const cn_value *v, int64_t *shape, int *rank) {
  for (*rank = 0; cn_value_is(v, CORNU_LIST); v = v->count ? v->items[0] : NULL) {
    if (*rank == CN_MAX_RANK) return false;
    shape[(*rank)++] = v->count;
  }
  return true;
}

/* Fills in row-major order; false: the lists do not make an array of this shape. */
static bool fill(cn_tensor *t, const cn_value *v, int depth, int64_t *index) {
  double number;
  if (depth == t->rank) {
    if (!cn_value_number(v, &number)) return false;
    cornu_tensor_set(t, index, number);
    return true;
  }
  if (!cn_value_is(v, CORNU_LIST) || v->count != t->shape[depth]) return false;
  for (int i = 0; i < v->count; i++) {
    index[depth] = i;
    if (!fill(t, v->items[i], depth + 1, index)) return false;
  }
  return true;
}

static cornu_dtype dtype_of_items(const cn_value *v, cornu_dtype so_far) {
  for (int i = 0; cn_value_is(v, CORNU_LIST) && i < v->count; i++) so_far = dtype_of_items(v->items[i], so_far);
  if (cn_value_is(v, CORNU_LIST) || so_far == CORNU_FLOAT32) return so_far;
  if (cn_value_is(v, CORNU_FLOAT)) return CORNU_FLOAT32;
  return cn_value_is(v, CORNU_INT) || so_far == CORNU_INT32 ? CORNU_INT32 : CORNU_BOOL8;
}

cn_edge cn_emit_array(cn_trace *t, const char *what, const cn_value *v, cornu_dtype dtype) {
  const cn_value *config = cn_value_find(v, "config"), *inner = cn_value_find(config, "value");
  const char *name = cn_value_str(cn_value_find(config, "dtype"));
  int64_t shape[CN_MAX_RANK], index[CN_MAX_RANK];
  int rank;
  cn_tensor *array = NULL;
  cn_edge edge = CN_NO_EDGE;
  if (t->status) return CN_NO_EDGE;
  if (inner) v = inner;
  if (inner && dtype == CORNU_DTYPES && name) cornu_dtype_parse(name, &dtype);
  if (dtype == CORNU_DTYPES) dtype = dtype_of_items(v, CORNU_DTYPES);
  if (dtype == CORNU_DTYPES) dtype = CORNU_FLOAT32; /* no item at all */
  bool good = count_items(v, shape, &rank);
  if (good) t->status = cornu_tensor_new(dtype, rank, shape, &array, t->error);
  if (!t->status && (!good || !fill(array, v, 0, index)))
    cn_trace_fail(t, CORNU_ERR_ARGUMENT, "\"%s\" is %s, expected numbers in a list or an array", what,
                  cn_value_show(v, (char[80]){0}, 80));
  if (!t->status) edge = cn_emit_constant(t, array);
  cornu_tensor_release(array);
  return edge;
}

/* Some operations of keras.ops make a tensor of a number before they look at the other side. */
static bool has_own_dtype(const cn_operation_call *c) {
  static const char names[] = "Allclose AllClose Arctan2 Equal Fmod Greater GreaterEqual Heaviside Hypot Isclose Less "
                              "LessEqual Logaddexp Logaddexp2 Mod NextAfter Nextafter NotEqual";
  return c->layer->type == &cn_layer_operation && cn_word_in(names, c->name, NULL);
}

/* A number takes the dtype of the tensors, a fraction beside whole numbers makes them floats: as in Keras. */
static cornu_dtype number_dtype(const cn_operation_call *c, const cn_value *number) {
  cornu_dtype dtype = c->call->n_in ? cn_edge_type(c->t, c->call->in[0].data)->dtype : CORNU_DTYPES;
  if (dtype == CORNU_DTYPES || has_own_dtype(c)) return CORNU_DTYPES;
  if (cn_dtype_is_float(dtype) || cn_value_is(number, CORNU_BOOL)) return dtype;
  if (cn_value_is(number, CORNU_FLOAT)) return CORNU_FLOAT32;
  return dtype == CORNU_BOOL8 ? CORNU_INT32 : dtype;
}

static cn_edge tensor_of(cn_operation_call *c, const char *name, const cn_value *v) {
  int index;
  double number;
  if (cn_call_ref(v, &index)) return index >= 0 && index < c->call->n_in ? c->call->in[index].data : CN_NO_EDGE;
  return cn_emit_array(c->t, name, v, cn_value_number(v, &number) ? number_dtype(c, v) : CORNU_DTYPES);
}

cn_edge cn_argument_optional(cn_operation_call *c, const char *name) {
  const cn_value *v = cn_argument(c, name);
  return v && !c->t->status ? tensor_of(c, name, v) : CN_NO_EDGE;
}

cn_edge cn_argument_tensor(cn_operation_call *c, const char *name) {
  if (!cn_argument(c, name)) cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "is called without \"%s\"", name);
  return cn_argument_optional(c, name);
}

cn_edge cn_argument_floats(cn_operation_call *c, const char *name, cornu_dtype *dtype) {
  cn_edge x = cn_argument_tensor(c, name);
  cornu_dtype was = cn_edge_type(c->t, x)->dtype;
  if (dtype) *dtype = was;
  return cn_emit_cast(c->t, x, was == CORNU_FLOAT64 ? was : CORNU_FLOAT32);
}

int cn_argument_tensors(cn_operation_call *c, const char *name, cn_edge *out, int cap) {
  const cn_value *v = cn_argument(c, name);
  if (v && !cn_value_is(v, CORNU_LIST)) { /* one tensor stands for a list of one */
    out[0] = tensor_of(c, name, v);
    return c->t->status ? 0 : 1;
  }
  if (!v || v->count > cap)
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"%s\" has %d tensors, expected 1 to %d", name, v ? v->count : 0, cap);
  int n = 0;
  for (; v && n < v->count && !c->t->status; n++) out[n] = tensor_of(c, name, v->items[n]);
  return c->t->status ? 0 : n;
}

const cn_type *cn_operation_type(const cn_operation_call *c, cn_edge x) { return cn_edge_type(c->t, x); }

/* ---- Emitting ---- */

void cn_operation_return(cn_operation_call *c, cn_edge result) {
  const cn_value *dtype = cn_field_find(fields_of(c->operation), "dtype") ? NULL : cn_argument(c, "dtype");
  const cn_value *policy = cn_value_find(cn_value_find(dtype, "config"), "name");
  const char *name = cn_value_str(policy ? policy : dtype);
  cornu_dtype wanted;
  if (dtype && (!name || !cornu_dtype_parse(name, &wanted)))
    cn_trace_fail(c->t, CORNU_ERR_DTYPE, "\"dtype\" is %s, expected a dtype such as \"float32\"",
                  cn_value_show(dtype, (char[80]){0}, 80));
  if (dtype && !c->t->status) result = cn_emit_cast(c->t, result, wanted);
  cn_call_return(c->t, c->call, result, CN_NO_EDGE);
}

void cn_operation_return_as(cn_operation_call *c, cn_edge result, cornu_dtype dtype) {
  cn_operation_return(c, cn_emit_cast(c->t, result, dtype));
}

/* The op itself: its inputs are the arguments that are no options. */
static void emit_op(cn_operation_call *c) {
  const cn_op *op = op_of(c->operation);
  const cn_field *fields = fields_of(c->operation);
  cn_edge in[CN_MAX_OUT], first;
  char name[64];
  bool rest = false;
  int n = 0;
  for (int i = 0; !rest && n < CN_MAX_OUT && argument_name(c->operation->arguments, i, name, sizeof name, &rest); i++) {
    if (cn_field_find(fields, name)) continue;
    if (rest || op->max_in < 0) n += cn_argument_tensors(c, name, in + n, CN_MAX_OUT - n);
    else in[n] = n < op->min_in ? cn_argument_tensor(c, name) : cn_argument_optional(c, name), n++;
  }
  int made = cn_emit_many(c->t, op, op->attrs_size ? c->options : NULL, in, n, &first);
  for (int i = 0; i < made; i++) cn_operation_return(c, first + i);
}

void cn_operation_lower(const cn_operation *o, const char *name, cn_layer *l, cn_trace *t, cn_call *c,
                        const cn_value *config) {
  cn_operation_call call = {.operation = o, .name = name, .layer = l, .t = t, .call = c};
  if (!t->status) bind(&call, config);
  if (!t->status) parse_options(&call);
  if (t->status) return;
  if (o->emit) o->emit(&call);
  else emit_op(&call);
}

/* ---- The layer type ---- */

typedef struct settings { const cn_operation *operation; } settings;

static cn_status check(cn_layer *l, cn_error *e) {
  settings *s = l->settings;
  s->operation = cn_operation_find(cn_operation_tables, l->class_name);
  if (s->operation) return CORNU_OK;
  const char *why = cn_refusal(l->class_name);
  return cn_fail(e, CORNU_ERR_UNSUPPORTED, "this operation of keras.ops is not supported%s%s: give a handler: "
                 "custom_objects = { %s = function(x, layer) … end }", why ? ": " : "", why ? why : "", l->class_name);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_operation_lower(((const settings *)l->settings)->operation, l->class_name, l, t, c, l->config);
}

const cn_layer_type cn_layer_operation = {
    .name = "Operation",
    .help = CN_HELP("an operation of keras.ops as a node of a functional model"),
    .flags = CN_MASK_OWN | CN_LAYER_OWN_CONFIG | CN_LAYER_CONSTANTS | CN_LAYER_UNCAST,
    .min_in = 0,
    .max_in = -1,
    .settings_size = sizeof(settings),
    .check = check,
    .lower = lower,
};
