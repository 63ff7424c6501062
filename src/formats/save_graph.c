/* Models in the words of the Keras that is written for: layers, the calls between them, inputs and outputs. What is written
 * is the graph as it is now, not the config that it may come from. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "formats/save.h"
#include "layers/tf_functions.h"

typedef struct graph {
  cn_saving *s;
  const cn_model *m;
  const char **names;  /* by layer; then those of inputs that no layer stands for */
  const char **ends;   /* the same, but where something stands behind a layer, the last of it: what is referred to */
  int *number;         /* by node: which call of its layer it is, among those that are written */
  cn_map taken;        /* all names */
} graph;

/* ---- Names ---- */

/* Labels of layers that came out of a nested model are paths. */
static char *flat_name(cn_saving *s, const char *label) {
  char *name = cn_arena_string(&s->arena, label);
  for (char *p = name; p && *p; p++)
    if (*p == '/') *p = '_';
  return name;
}

static cn_status add_name(graph *g, const char *label, const char **out) {
  const char *base = flat_name(g->s, label), *name = base;
  for (int i = 1; name && cn_map_get(&g->taken, name); i++) name = cn_arena_printf(&g->s->arena, "%s_%d", base, i);
  if (!name || !cn_map_set(&g->taken, name, (void *)name)) return cn_no_memory(g->s->e);
  *out = name;
  return CORNU_OK;
}

static cn_status name_all(graph *g) {
  const cn_model *m = g->m;
  size_t n_names = (size_t)(m->n_layers + m->n_inputs) + 1;
  g->names = cn_arena_array(&g->s->arena, n_names, sizeof *g->names);
  g->ends = cn_arena_array(&g->s->arena, n_names, sizeof *g->ends);
  g->number = cn_arena_array(&g->s->arena, (size_t)m->n_nodes + 1, sizeof *g->number);
  cn_status status = g->names && g->ends && g->number ? CORNU_OK : cn_no_memory(g->s->e);
  for (int i = 0; i < m->n_layers && !status; i++) status = add_name(g, cn_model_label(m, i), &g->names[i]);
  for (int i = 0; i < m->n_inputs && !status; i++) {
    const cn_model_node *n = &m->nodes[m->inputs[i].node];
    if (n->layer < 0) status = add_name(g, n->input_name, &g->names[m->n_layers + i]);
  }
  for (int i = 0; i < m->n_nodes && !status; i++)
    g->number[i] = m->nodes[i].layer < 0 ? 0 : cn_model_call_number(m, i);
  if (!status) memcpy(g->ends, g->names, n_names * sizeof *g->names);
  return status;
}

static const char *name_of(const graph *g, int node) {
  const cn_model_node *n = &g->m->nodes[node];
  return g->ends[n->layer < 0 ? g->m->n_layers + n->input : n->layer];
}

/* ---- References ---- */

/* Models that are called begin with the node of their own graph: in all of Keras 2, and at the ends in Keras 3, for
 * functional ones. */
static int node_index(const graph *g, int node, bool end) {
  const cn_model_node *n = &g->m->nodes[node];
  const cn_model *inner = n->layer < 0 ? NULL : g->m->layers[n->layer]->model;
  bool more = inner && (g->s->keras < 3 || (end && !cn_is_sequence(inner)));
  return g->number[node] + more;
}

static cn_value *triple(const graph *g, cn_model_ref ref, bool end) {
  cn_saving *s = g->s;
  cn_value *list = cn_value_new(&s->arena, CORNU_LIST);
  bool made = list && cn_value_push(&s->arena, list, cn_say_text(s, name_of(g, ref.node))) &&
              cn_value_push(&s->arena, list, cn_say_int(s, node_index(g, ref.node, end))) &&
              cn_value_push(&s->arena, list, cn_say_int(s, ref.tensor));
  return made ? list : NULL;
}

static cn_value *keras_tensor(const graph *g, const cn_type *type, cn_value *history) {
  cn_saving *s = g->s;
  cn_value *v = cn_value_new(&s->arena, CORNU_DICT), *config = cn_value_new(&s->arena, CORNU_DICT);
  cn_value *shape = type ? cn_say_shape(s, type->rank, type->shape) : cn_value_new(&s->arena, CORNU_NULL);
  const char *dtype = type ? cornu_dtype_name(type->dtype) : "float32";
  bool made = !cn_say(s, config, "shape", shape) &&
              !cn_say(s, config, "dtype", cn_say_text(s, strcmp(dtype, "text") == 0 ? "string" : dtype)) &&
              !cn_say(s, config, "keras_history", history) &&
              !cn_say(s, v, "class_name", cn_say_text(s, "__keras_tensor__")) && !cn_say(s, v, "config", config);
  return made ? v : NULL;
}

static cn_value *reference(const graph *g, cn_model_ref ref) {
  cn_value *history = triple(g, ref, false);
  return g->s->keras < 3 ? history : keras_tensor(g, cn_model_type(g->m, ref), history);
}

/* Puts what stands for the i-th item of a list or dict into another one of its kind. */
static bool put_item(cn_arena *a, cn_value *out, const cn_value *like, int i, cn_value *item) {
  return like->kind == CORNU_LIST ? cn_value_push(a, out, item) : cn_value_put(a, out, like->keys[i], item);
}

/* Arguments with their tensors put back. */
static cn_value *with_tensors(const graph *g, const cn_model_node *n, const cn_value *v) {
  cn_arena *a = &g->s->arena;
  int index;
  if (cn_call_ref(v, &index)) return index >= 0 && index < n->n_in ? reference(g, n->in[index]) : NULL;
  if (!cn_value_is(v, CORNU_LIST) && !cn_value_is(v, CORNU_DICT)) return cn_value_copy(a, v);
  cn_value *out = cn_value_new(a, v->kind);
  for (int i = 0; out && i < v->count; i++) {
    cn_value *item = with_tensors(g, n, v->items[i]);
    if (!item || !put_item(a, out, v, i, item)) return NULL;
  }
  return out;
}

/* ---- One call ---- */

/* What a call holds: arguments in order, and by name; tensors as {"@": i}. */
typedef struct call { const cn_model_node *n; cn_value *args, *kwargs; } call;

static cn_value *ref_value(const graph *g, int i) {
  cn_value *v = cn_value_new(&g->s->arena, CORNU_DICT), *index = cn_say_int(g->s, i);
  return v && index && cn_value_put(&g->s->arena, v, "@", index) ? v : NULL;
}

static bool is_recurrent(const cn_layer *l) {
  static const char classes[] = "RNN LSTM GRU SimpleRNN ConvLSTM1D ConvLSTM2D ConvLSTM3D Bidirectional CuDNNLSTM CuDNNGRU";
  return l->type && cn_word_in(classes, l->type->name, NULL);
}

static bool takes_apart(const cn_layer *l) {
  return l->type && cn_word_in("MultiHeadAttention GroupQueryAttention", l->type->name, NULL);
}

/* A call made by hand: one tensor; several are a list, which attention takes apart. */
static cn_status plain_args(graph *g, const cn_layer *l, call *c) {
  cn_arena *a = &g->s->arena;
  cn_value *list = cn_value_new(a, CORNU_LIST);
  c->args = cn_value_new(a, CORNU_LIST);
  for (int i = 0; list && i < c->n->n_positional; i++)
    if (!cn_value_push(a, list, ref_value(g, i))) return cn_no_memory(g->s->e);
  if (!list || !c->args) return cn_no_memory(g->s->e);
  if (takes_apart(l)) c->args = list;
  else if (!cn_value_push(a, c->args, list->count == 1 ? list->items[0] : list)) return cn_no_memory(g->s->e);
  return CORNU_OK;
}

/* Operations have arguments that must be there, and may be null. */
static cn_value *drop_nulls(graph *g, const cn_layer *l, const cn_value *kwargs) {
  cn_value *out = cn_value_new(&g->s->arena, CORNU_DICT);
  for (int i = 0; out && kwargs && i < kwargs->count; i++) {
    bool kept = l->type == &cn_layer_operation || !cn_value_is_null(kwargs->items[i]);
    if (kept && !cn_value_put(&g->s->arena, out, kwargs->keys[i], kwargs->items[i])) return NULL;
  }
  return out;
}

/* Keras 2 lists the states of a recurrent layer behind its input, Keras 3 names them. */
static cn_status name_states(graph *g, const cn_layer *l, call *c) {
  cn_arena *a = &g->s->arena;
  const cn_value *first = c->args->count ? c->args->items[0] : NULL;
  if (g->s->keras < 3 || !is_recurrent(l) || !cn_value_is(first, CORNU_LIST) || first->count < 2) return CORNU_OK;
  cn_value *states = cn_value_new(a, CORNU_LIST), *args = cn_value_new(a, CORNU_LIST);
  bool made = states && args && cn_value_push(a, args, first->items[0]);
  for (int i = 1; made && i < first->count; i++) made = cn_value_push(a, states, first->items[i]);
  if (!made || !cn_value_put(a, c->kwargs, "initial_state", states)) return cn_no_memory(g->s->e);
  c->args = args;
  return CORNU_OK;
}

/* Keras 2 knows one argument; others of attention have names, states go behind the input. */
static cn_status join_args(graph *g, const cn_layer *l, call *c) {
  static const char *const names[] = {"query", "value", "key"};
  cn_arena *a = &g->s->arena;
  cn_value *states = cn_value_find(c->kwargs, "initial_state");
  if (is_recurrent(l) && cn_value_is(states, CORNU_LIST) && c->args->count == 1) {
    cn_value *list = cn_value_new(a, CORNU_LIST);
    bool made = list && cn_value_push(a, list, c->args->items[0]);
    for (int i = 0; made && i < states->count; i++) made = cn_value_push(a, list, states->items[i]);
    if (!made) return cn_no_memory(g->s->e);
    c->args->items[0] = list;
    cn_value_remove(c->kwargs, "initial_state");
  }
  if (c->args->count < 2) return CORNU_OK;
  if (!takes_apart(l) || c->args->count > 3)
    return cn_fail(g->s->e, CORNU_ERR_UNSUPPORTED,
                   "layer \"%s\" (%s): is called with %d arguments, which Keras 2 cannot say", l->name, l->class_name,
                   c->args->count);
  for (int i = 1; i < c->args->count; i++) CN_TRY(cn_say(g->s, c->kwargs, names[i], c->args->items[i]));
  c->args->count = 1;
  return CORNU_OK;
}

static bool is_ellipsis(const cn_value *v) {
  const char *name = cn_value_str(cn_value_find(v, "class_name"));
  return name && strcmp(name, "__ellipsis__") == 0;
}

/* Numbers, slices, new axes and an ellipsis: each but the last two takes one axis. */
static bool plain_keys(const cn_value *keys) {
  bool plain = cn_value_is(keys, CORNU_LIST);
  for (int i = 0; plain && i < keys->count; i++) {
    const char *name = cn_value_str(cn_value_find(keys->items[i], "class_name"));
    plain = cn_value_is(keys->items[i], CORNU_INT) || cn_value_is_null(keys->items[i]) ||
            (name && cn_word_in("__slice__ __ellipsis__", name, NULL));
  }
  return plain;
}

/* Keras 3 does not read an ellipsis from an .h5 that has one: as many whole axes say the same. */
static cn_status spell_ellipsis(graph *g, const cn_layer *l, call *c) {
  cn_arena *a = &g->s->arena;
  const cn_type *type = c->n->n_in ? cn_model_type(g->m, c->n->in[0]) : NULL;
  const cn_value *keys = c->args->count == 2 ? c->args->items[1] : NULL;
  cn_value *list = cn_value_new(a, CORNU_LIST), *whole = cn_value_new(a, CORNU_DICT);
  cn_value *config = cn_value_new(a, CORNU_DICT), *null = cn_value_new(a, CORNU_NULL);
  if (l->type != &cn_layer_operation || strcmp(l->class_name, "GetItem") != 0 || !type || !plain_keys(keys))
    return CORNU_OK;
  for (int i = 0; i < 3; i++) CN_TRY(cn_say(g->s, config, (const char *const[]){"start", "stop", "step"}[i], null));
  CN_TRY(cn_say(g->s, whole, "class_name", cn_say_text(g->s, "__slice__")));
  CN_TRY(cn_say(g->s, whole, "config", config));
  int axes = type->rank;
  for (int i = 0; i < keys->count; i++) axes -= !is_ellipsis(keys->items[i]) && !cn_value_is_null(keys->items[i]);
  for (int i = 0; list && i < keys->count; i++) {
    bool spelt = is_ellipsis(keys->items[i]);
    for (int k = 0; k < (spelt ? axes : 1); k++)
      if (!cn_value_push(a, list, spelt ? whole : keys->items[i])) return cn_no_memory(g->s->e);
  }
  c->args->items[1] = list;
  return list ? CORNU_OK : cn_no_memory(g->s->e);
}

static cn_status call_of(graph *g, int node, call *c) {
  const cn_model_node *n = &g->m->nodes[node];
  const cn_layer *l = g->m->layers[n->layer];
  *c = (call){.n = n, .kwargs = drop_nulls(g, l, n->kwargs)};
  if (!c->kwargs) return cn_no_memory(g->s->e);
  if (n->args) c->args = cn_value_copy(&g->s->arena, n->args);
  else CN_TRY(plain_args(g, l, c));
  if (!c->args) return cn_no_memory(g->s->e);
  if (g->s->keras < 3) return join_args(g, l, c);
  CN_TRY(spell_ellipsis(g, l, c));
  return name_states(g, l, c);
}

static cn_status say_call3(graph *g, const call *c, cn_value **out) {
  cn_value *v = *out = cn_value_new(&g->s->arena, CORNU_DICT);
  CN_TRY(cn_say(g->s, v, "args", with_tensors(g, c->n, c->args)));
  return cn_say(g->s, v, "kwargs", with_tensors(g, c->n, c->kwargs));
}

/* [layer, node, tensor, kwargs] in the place of each tensor; what is no tensor is a constant. */
static cn_value *entries(const graph *g, const call *c, const cn_value *v, const cn_value *kwargs) {
  cn_arena *a = &g->s->arena;
  int index;
  cn_value *entry;
  if (cn_call_ref(v, &index)) {
    entry = index >= 0 && index < c->n->n_in ? triple(g, c->n->in[index], false) : NULL;
    return entry && cn_value_push(a, entry, (cn_value *)kwargs) ? entry : NULL;
  }
  if (cn_value_is(v, CORNU_LIST) || cn_value_is(v, CORNU_DICT)) {
    entry = cn_value_new(a, v->kind);
    for (int i = 0; entry && i < v->count; i++) {
      cn_value *item = entries(g, c, v->items[i], kwargs);
      if (!item || !put_item(a, entry, v, i, item)) return NULL;
    }
    return entry;
  }
  entry = cn_value_new(a, CORNU_LIST);
  bool made = entry && cn_value_push(a, entry, cn_value_text(a, "_CONSTANT_VALUE")) &&
              cn_value_push(a, entry, cn_say_int(g->s, -1)) && cn_value_push(a, entry, cn_value_copy(a, v)) &&
              cn_value_push(a, entry, (cn_value *)kwargs);
  return made ? entry : NULL;
}

/* Functions of TensorFlow keep the form of their argument: one tensor is no list of one. */
static bool keeps_form(const cn_layer *l) { return strstr(l->class_name, "OpLambda"); }

static cn_status say_call2(graph *g, const call *c, const cn_layer *l, cn_value **out) {
  cn_arena *a = &g->s->arena;
  cn_value *kwargs = with_tensors(g, c->n, c->kwargs);
  const cn_value *first = c->args->count ? c->args->items[0] : NULL;
  cn_value *said = first && kwargs ? entries(g, c, first, kwargs) : NULL;
  *out = said;
  bool list = cn_value_is(first, CORNU_LIST) || (cn_value_is(first, CORNU_DICT) && !cn_call_ref(first, &(int){0}));
  if (said && !list && !keeps_form(l)) {
    *out = cn_value_new(a, CORNU_LIST);
    if (*out && !cn_value_push(a, *out, said)) *out = NULL;
  }
  return *out ? CORNU_OK : cn_no_memory(g->s->e);
}

/* The calls of a layer in Keras's order. */
static cn_status say_calls(graph *g, int layer, cn_value **out) {
  *out = cn_value_new(&g->s->arena, CORNU_LIST);
  for (int k = 0;; k++) {
    int node = cn_model_call_node(g->m, layer, k);
    call c;
    cn_value *v;
    if (node < 0 || g->m->nodes[node].input >= 0) return *out ? CORNU_OK : cn_no_memory(g->s->e);
    CN_TRY(call_of(g, node, &c));
    CN_TRY(g->s->keras < 3 ? say_call2(g, &c, g->m->layers[layer], &v) : say_call3(g, &c, &v));
    if (!*out || !cn_value_push(&g->s->arena, *out, v)) return cn_no_memory(g->s->e);
  }
}

/* ---- Functions of TensorFlow, which are operations in Keras 3 ---- */

static bool is_function(const graph *g, const cn_layer *l) {
  static const char classes[] = "TFOpLambda SlicingOpLambda TensorFlowOpLayer";
  return g->s->keras >= 3 && !g->s->own && l->type && cn_word_in(classes, l->type->name, NULL);
}

static const cn_model_node *only_call(const graph *g, int layer) {
  int node = cn_model_call_node(g->m, layer, 0);
  return node < 0 || cn_model_call_node(g->m, layer, 1) >= 0 ? NULL : &g->m->nodes[node];
}

static cn_status say_as_operation(graph *g, int layer, cn_tf_said *said) {
  const cn_layer *l = g->m->layers[layer];
  const cn_model_node *n = only_call(g, layer);
  const cn_type *type = n && n->n_in ? cn_model_type(g->m, n->in[0]) : NULL;
  cn_call made = {.n_in = n ? n->n_in : 0, .n_positional = n ? n->n_positional : 0};
  if (n) made.args = n->args, made.kwargs = n->kwargs;
  if (n && cn_tf_as_operation(l, &made, type ? type->dtype : CORNU_FLOAT32, &g->s->arena, said)) return CORNU_OK;
  const cn_value *function = cn_value_find(l->config, "function");
  if (!function) function = cn_value_find(cn_value_find(l->config, "node_def"), "op");
  return cn_fail(g->s->e, CORNU_ERR_UNSUPPORTED,
                 "layer \"%s\" (%s): no operation of Keras 3 computes its function, %s; save as .h5, in the words of Keras 2",
                 l->name, l->class_name, cn_value_show(function, (char[80]){0}, 80));
}

static cn_status say_function(graph *g, int layer, cn_said *out, cn_value **entry) {
  cn_saving *s = g->s;
  cn_tf_said said;
  cn_value *cast, *config;
  CN_TRY(say_as_operation(g, layer, &said));
  CN_TRY(cn_say_operation(s, said.class_name, said.config, entry));
  *out = (cn_said){.class_name = said.class_name, .config = said.config};
  if (!said.cast) return CORNU_OK;
  config = cn_value_new(&s->arena, CORNU_DICT);
  out->behind = cn_value_new(&s->arena, CORNU_LIST);
  CN_TRY(cn_say(s, config, "dtype", cn_say_text(s, said.cast)));
  CN_TRY(cn_say_operation(s, "Cast", config, &cast));
  return out->behind && cn_value_push(&s->arena, out->behind, cast) ? CORNU_OK : cn_no_memory(s->e);
}

static cn_status say_function_calls(graph *g, int layer, cn_value **out) {
  cn_tf_said said;
  cn_value *v;
  CN_TRY(say_as_operation(g, layer, &said));
  call c = {only_call(g, layer), said.args, cn_value_new(&g->s->arena, CORNU_DICT)};
  CN_TRY(say_call3(g, &c, &v));
  *out = cn_value_new(&g->s->arena, CORNU_LIST);
  return *out && cn_value_push(&g->s->arena, *out, v) ? CORNU_OK : cn_no_memory(g->s->e);
}

/* ---- Layers ---- */

static cn_status say_input(graph *g, const cn_model_node *n, const char *name, cn_said *out) {
  cn_saving *s = g->s;
  const cn_layer *l = n->layer < 0 ? NULL : g->m->layers[n->layer];
  const cn_type *type = n->out_types;
  out->class_name = "InputLayer";
  if (l && (s->own || l->origin.keras == s->keras)) {
    CN_TRY(cn_say_layer(s, l, out));
    return cn_say(s, out->config, "name", cn_say_text(s, name));
  }
  out->config = cn_value_new(&s->arena, CORNU_DICT);
  const char *dtype = type->dtype == CORNU_TEXT ? "string" : cornu_dtype_name(type->dtype);
  CN_TRY(cn_say(s, out->config, s->keras < 3 ? "batch_input_shape" : "batch_shape",
                cn_say_shape(s, type->rank, type->shape)));
  CN_TRY(cn_say(s, out->config, "dtype", cn_say_text(s, dtype)));
  CN_TRY(cn_say(s, out->config, "sparse", cn_say_bool(s, false)));
  return cn_say(s, out->config, "name", cn_say_text(s, name));
}

static const cn_layer input_layer; /* stands for those that no layer stands for */

/* What all calls of a layer are given; NULL where that is not known, or not the same. */
static const cn_type *called_on(const cn_model *m, int layer) {
  const cn_type *first = NULL;
  for (int k = 0, node; (node = cn_model_call_node(m, layer, k)) >= 0; k++) {
    const cn_type *type = m->nodes[node].n_in ? cn_model_type(m, m->nodes[node].in[0]) : NULL;
    if (k == 0) first = type;
    bool same = first && type && first->rank == type->rank &&
                memcmp(first->shape, type->shape, (size_t)type->rank * sizeof *type->shape) == 0;
    if (!same) return NULL;
  }
  return first;
}

static cn_status say_entry(graph *g, int layer, cn_said *said, cn_value **out) {
  cn_saving *s = g->s;
  const cn_layer *l = g->m->layers[layer];
  const char *name = g->names[layer];
  int node = cn_model_call_node(g->m, layer, 0);
  *said = (cn_said){0};
  if (l->model) return cn_say_model(s, l->model, name, out);
  if (is_function(g, l)) return say_function(g, layer, said, out);
  s->input = called_on(g->m, layer);
  bool input = node >= 0 && g->m->nodes[node].input >= 0;
  CN_TRY(input ? say_input(g, &g->m->nodes[node], name, said) : cn_say_layer(s, l, said));
  return cn_say_envelope(s, l, said, out);
}

/* An entry under the name that is in its config, too. */
static cn_status push_entry(graph *g, cn_value *list, cn_value *entry, const char *name) {
  cn_value *config = cn_value_find(entry, "config");
  if (cn_value_is(config, CORNU_DICT)) CN_TRY(cn_say(g->s, config, "name", cn_say_text(g->s, name)));
  CN_TRY(cn_say(g->s, entry, "name", cn_say_text(g->s, name)));
  return cn_value_push(&g->s->arena, list, entry) ? CORNU_OK : cn_no_memory(g->s->e);
}

static cn_status push_beside(graph *g, cn_value *list, const cn_value *beside, int layer, const char **end) {
  for (int i = 0; beside && i < beside->count; i++) {
    char class_name[64];
    cn_snake_case(cn_value_find(beside->items[i], "class_name")->s, class_name, sizeof class_name);
    const char *label = cn_arena_printf(&g->s->arena, "%s_%s", g->names[layer], class_name), *name;
    if (!label) return cn_no_memory(g->s->e);
    CN_TRY(add_name(g, label, &name));
    CN_TRY(push_entry(g, list, beside->items[i], name));
    if (end) *end = name;
  }
  return CORNU_OK;
}

/* Marks a layer that a model before has, too. Each has a number of its own: with equal ones Keras 3 makes one layer, whose
 * calls in all models it then counts together and does not find; so it loads several that are equal. */
static cn_status mark_shared(graph *g, const cn_layer *l, cn_value *entry) {
  cn_saving *s = g->s;
  const char *key = cn_arena_printf(&s->arena, "%p", (const void *)l);
  const cn_model *first = key ? cn_map_get(&s->places, key) : NULL;
  if (!key || (!first && !cn_map_set(&s->places, key, (void *)g->m))) return cn_no_memory(s->e);
  if (!first || first == g->m) return CORNU_OK;
  return cn_say(s, entry, "shared_object_id", cn_say_int(s, ++s->n_shared));
}

/* A layer with what stands around it, in the order of their calls. */
static cn_status say_entries(graph *g, int layer, cn_value **out) {
  cn_said said;
  cn_value *entry, *list = *out = cn_value_new(&g->s->arena, CORNU_LIST);
  if (!list) return cn_no_memory(g->s->e);
  CN_TRY(say_entry(g, layer, &said, &entry));
  CN_TRY(push_beside(g, list, said.before, layer, NULL));
  if (!g->m->layers[layer]->model) CN_TRY(mark_shared(g, g->m->layers[layer], entry));
  CN_TRY(push_entry(g, list, entry, g->names[layer]));
  return push_beside(g, list, said.behind, layer, &g->ends[layer]);
}

/* Calls of what stands behind `name`, which is called n times. Their type is that of the last: Keras reads none. */
static cn_status say_chained(graph *g, int layer, const char *name, int n, cn_value **out) {
  cn_saving *s = g->s;
  cn_arena *a = &s->arena;
  int node = cn_model_call_node(g->m, layer, 0);
  cn_value *list = *out = cn_value_new(a, CORNU_LIST), *v;
  for (int k = 0; list && k < n; k++) {
    cn_value *ref = cn_value_new(a, CORNU_LIST), *args = cn_value_new(a, CORNU_LIST);
    bool made = ref && args && cn_value_push(a, ref, cn_say_text(s, name)) && cn_value_push(a, ref, cn_say_int(s, k)) &&
                cn_value_push(a, ref, cn_say_int(s, 0));
    if (!made) return cn_no_memory(s->e);
    if (s->keras < 3) {
      v = args;
      made = cn_value_push(a, ref, cn_value_new(a, CORNU_DICT)) && cn_value_push(a, args, ref);
    } else {
      v = cn_value_new(a, CORNU_DICT);
      made = cn_value_push(a, args, keras_tensor(g, cn_model_type(g->m, (cn_model_ref){node, 0}), ref)) &&
             !cn_say(s, v, "args", args) && !cn_say(s, v, "kwargs", cn_value_new(a, CORNU_DICT));
    }
    if (!made || !cn_value_push(a, list, v)) return cn_no_memory(s->e);
  }
  return list ? CORNU_OK : cn_no_memory(s->e);
}

static cn_status add_calls(graph *g, int layer, cn_value *entries, cn_value *list) {
  cn_value *calls = NULL;
  CN_TRY(is_function(g, g->m->layers[layer]) ? say_function_calls(g, layer, &calls) : say_calls(g, layer, &calls));
  for (int i = 0; i < entries->count; i++) {
    if (i) CN_TRY(say_chained(g, layer, cn_value_find(entries->items[i - 1], "name")->s, calls->count, &calls));
    CN_TRY(cn_say(g->s, entries->items[i], "inbound_nodes", calls));
    if (!cn_value_push(&g->s->arena, list, entries->items[i])) return cn_no_memory(g->s->e);
  }
  return CORNU_OK;
}

/* Inputs that no layer stands for come first. */
static cn_status say_inputs(graph *g, cn_value *list) {
  cn_saving *s = g->s;
  const cn_model *m = g->m;
  cn_value *entry;
  for (int i = 0; i < m->n_inputs; i++) {
    const cn_model_node *n = &m->nodes[m->inputs[i].node];
    cn_said said;
    if (n->layer >= 0) continue;
    CN_TRY(say_input(g, n, g->names[m->n_layers + i], &said));
    CN_TRY(cn_say_envelope(s, &input_layer, &said, &entry));
    CN_TRY(push_entry(g, list, entry, g->names[m->n_layers + i]));
    CN_TRY(cn_say(s, entry, "inbound_nodes", cn_value_new(&s->arena, CORNU_LIST)));
  }
  return CORNU_OK;
}

/* All entries before all calls: these refer to what stands last behind a layer. */
static cn_status say_layers(graph *g, cn_value **out) {
  cn_arena *a = &g->s->arena;
  const cn_model *m = g->m;
  cn_value *list = *out = cn_value_new(a, CORNU_LIST);
  cn_value **entries = cn_arena_array(a, (size_t)m->n_layers + 1, sizeof *entries);
  if (!list || !entries) return cn_no_memory(g->s->e);
  CN_TRY(say_inputs(g, list));
  for (int i = 0; i < m->n_layers; i++) CN_TRY(say_entries(g, i, &entries[i]));
  for (int i = 0; i < m->n_layers; i++) CN_TRY(add_calls(g, i, entries[i], list));
  return CORNU_OK;
}

/* ---- The ends of a functional model ---- */

/* One tensor is a triple in Keras 3 and a list of one before; names make a dict. */
static cn_status say_ends(graph *g, const cn_model_ref *refs, const char *const *keys, int n, cn_value **out) {
  cn_saving *s = g->s;
  bool named = n > 0;
  for (int i = 0; i < n; i++) named = named && keys[i];
  if (n == 1 && !named && s->keras >= 3) return (*out = triple(g, refs[0], true)) ? CORNU_OK : cn_no_memory(s->e);
  *out = cn_value_new(&s->arena, named ? CORNU_DICT : CORNU_LIST);
  for (int i = 0; i < n && *out; i++) {
    cn_value *t = triple(g, refs[i], true);
    bool put = t && (named ? cn_value_put(&s->arena, *out, keys[i], t) : cn_value_push(&s->arena, *out, t));
    if (!put) return cn_no_memory(s->e);
  }
  return *out ? CORNU_OK : cn_no_memory(s->e);
}

static cn_status say_functional(graph *g, cn_value *config) {
  cn_saving *s = g->s;
  const cn_model *m = g->m;
  cn_value *layers, *inputs, *outputs;
  CN_TRY(say_layers(g, &layers));
  CN_TRY(say_ends(g, m->inputs, m->input_keys, m->n_inputs, &inputs));
  CN_TRY(say_ends(g, m->outputs, m->output_keys, m->n_outputs, &outputs));
  CN_TRY(cn_say(s, config, "layers", layers));
  CN_TRY(cn_say(s, config, "input_layers", inputs));
  return cn_say(s, config, "output_layers", outputs);
}

/* ---- Sequential ---- */

bool cn_is_sequence(const cn_model *m) {
  if (!m->sequential || m->n_inputs != 1 || m->n_outputs != 1 || m->nodes[0].layer >= 0) return false;
  for (int i = 1; i < m->n_nodes; i++) {
    const cn_model_node *n = &m->nodes[i];
    if (n->layer != i - 1 || n->n_in != 1 || n->in[0].node != i - 1 || n->in[0].tensor != 0 || n->kwargs) return false;
  }
  return m->n_nodes == m->n_layers + 1;
}

/* Keras 2 keeps the shape of the input with the first layer; where that is a model, it is the model's. */
static cn_status put_input_shape(graph *g, cn_value *first) {
  cn_saving *s = g->s;
  const cn_type *type = g->m->nodes[0].out_types;
  cn_value *config = cn_value_find(first, "config");
  if (g->m->layers[0]->model || cn_value_find(config, "batch_input_shape") || !cn_value_is(config, CORNU_DICT))
    return CORNU_OK;
  return cn_say(s, config, "batch_input_shape", cn_say_shape(s, type->rank, type->shape));
}

static cn_status say_sequence(graph *g, cn_value *config) {
  cn_saving *s = g->s;
  const cn_model *m = g->m;
  cn_value *list = cn_value_new(&s->arena, CORNU_LIST), *entry;
  if (!list) return cn_no_memory(s->e);
  if (s->keras >= 3 && !m->unknown_input) {
    cn_said said;
    CN_TRY(say_input(g, &m->nodes[0], g->names[m->n_layers], &said));
    CN_TRY(cn_say_envelope(s, &input_layer, &said, &entry));
    if (!cn_value_push(&s->arena, list, entry)) return cn_no_memory(s->e);
  }
  for (int i = 0; i < m->n_layers; i++) {
    cn_value *entries;
    CN_TRY(say_entries(g, i, &entries));
    if (i == 0 && s->keras < 3 && !m->unknown_input) CN_TRY(put_input_shape(g, entries->items[0]));
    for (int k = 0; k < entries->count; k++) {
      cn_value_remove(entries->items[k], "name"); /* which entries have in graphs */
      if (!cn_value_push(&s->arena, list, entries->items[k])) return cn_no_memory(s->e);
    }
  }
  return cn_say(s, config, "layers", list);
}

/* ---- Models ---- */

static cn_status wrap(cn_saving *s, const cn_model *m, const char *class_name, cn_value *config, cn_value **out) {
  bool functional = strcmp(class_name, "Functional") == 0, modules = s->keras >= 3;
  cn_value *v = *out = cn_value_new(&s->arena, CORNU_DICT);
  if (modules) CN_TRY(cn_say(s, v, "module", cn_say_text(s, functional ? "keras.src.models.functional" : "keras")));
  CN_TRY(cn_say(s, v, "class_name", cn_say_text(s, functional && s->keras < 3 ? "Model" : class_name)));
  CN_TRY(cn_say(s, v, "config", config));
  if (s->own) CN_TRY(cn_say_origin(s, v, &m->origin));
  if (!modules) return CORNU_OK;
  return cn_say(s, v, "registered_name", functional ? cn_say_text(s, class_name) : cn_value_new(&s->arena, CORNU_NULL));
}

/* In Keras 3 a model has a flag of its own; it never hides those of its layers. */
static cn_status say_head(cn_saving *s, const cn_model *m, const char *name, cn_value *config) {
  const char *own = flat_name(s, name ? name : m->name);
  if (!own) return cn_no_memory(s->e);
  CN_TRY(cn_say(s, config, "name", cn_say_text(s, own)));
  return s->keras >= 3 ? cn_say(s, config, "trainable", cn_say_bool(s, true)) : CORNU_OK;
}

cn_status cn_said_names(cn_saving *s, const cn_model *m, const char *const **out) {
  graph g = {.s = s, .m = m};
  cn_status status = name_all(&g);
  *out = g.names;
  cn_map_free(&g.taken);
  return status;
}

cn_status cn_say_model(cn_saving *s, const cn_model *m, const char *name, cn_value **out) {
  graph g = {.s = s, .m = m};
  const cn_saving outer = *s;
  if (s->own) s->keras = m->origin.keras < 3 ? 2 : 3, s->around = &m->origin;
  bool sequence = cn_is_sequence(m);
  cn_value *config = cn_value_new(&s->arena, CORNU_DICT);
  cn_status status = config ? name_all(&g) : cn_no_memory(s->e);
  if (!status) status = say_head(s, m, name, config);
  if (!status) status = sequence ? say_sequence(&g, config) : say_functional(&g, config);
  if (!status) status = wrap(s, m, sequence ? "Sequential" : "Functional", config, out);
  s->input = outer.input;
  s->keras = outer.keras;
  s->around = outer.around;
  cn_map_free(&g.taken);
  return status;
}
