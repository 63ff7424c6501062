/* Models from their serialized form: Sequential (a list of layers, in every Keras's notation) and functional graphs. */
#include <stdio.h>
#include <string.h>

#include "model/build.h"
#include "model/nodes.h"

static const cn_value *layer_entries(const cn_value *config) {
  return cn_value_is(config, CORNU_LIST) ? config : cn_value_find(config, "layers");
}

static bool is_functional(const cn_value *config) {
  return cn_value_find(config, "input_layers") || cn_value_find(config, "output_layers");
}

static const char *text_at(const cn_value *v, const char *key, const char *other) {
  const char *s = cn_value_str(cn_value_find(v, key));
  return s ? s : other;
}

/* ---- Sequential ---- */

/* The input shape kept by Keras for a Sequential whose first layer does not tell: the shape it was built with. */
static bool built_shape(const cn_value *serialized, cn_type *out) {
  const cn_value *config = cn_value_find(serialized, "config");
  const cn_value *shape = cn_value_find(config, "build_input_shape");
  if (cn_value_is_null(shape)) shape = cn_value_find(cn_value_find(serialized, "build_config"), "input_shape");
  *out = (cn_type){.dtype = CORNU_FLOAT32};
  if (cn_value_is_null(shape) || !cn_shape_from_value(shape, out) || out->rank < 1) return false;
  out->shape[0] = -1;
  return true;
}

/* The input of a Sequential comes from its first layer, or from the first layer of a nested model. */
static bool first_input(const cn_layer *l, cn_type *out) {
  if (cn_declared_input(l, out)) return true;
  if (!l->model || l->model->n_inputs != 1 || l->model->unknown_input) return false;
  *out = *cn_model_type(l->model, l->model->inputs[0]);
  return true;
}

cn_status cn_model_add_sequential_input(cn_model *m, const cn_value *serialized, const cn_layer *first, cn_error *e) {
  cn_type type = {.dtype = CORNU_FLOAT32, .rank = 1, .shape = {-1}};
  bool known =
      first && (first_input(first, &type) || (first->n_children && cn_declared_input(first->children[0].layer, &type)));
  if (!known) known = built_shape(serialized, &type);
  if (first && first->type && strcmp(first->type->name, "Embedding") == 0 && cn_dtype_is_float(type.dtype))
    type.dtype = CORNU_INT32;
  m->unknown_input = !known;
  const char *name = first && first->type && (first->type->flags & CN_LAYER_INPUT) ? first->name : "input";
  char text[512];
  if (first && name != first->name) snprintf(text, sizeof text, "%s_input", first->name), name = text;
  return cn_model_add_input(m, -1, name, &type, e);
}

static bool is_merge(const cn_value *entry) {
  const char *class_name = cn_value_str(cn_value_find(entry, "class_name"));
  return class_name && strcmp(class_name, "Merge") == 0 && cn_value_find(cn_value_find(entry, "config"), "layers");
}

static cn_status add_sequential_layer(cn_model *m, const cn_value *serialized, const cn_value *entry,
                                      cn_model_ref *last, cn_error *e) {
  cn_layer *l;
  CN_TRY(cn_layer_new(entry, &m->origin, m->customs, &l, e));
  cn_status status = CORNU_OK;
  if (last->node < 0) {
    status = cn_model_add_sequential_input(m, serialized, l, e);
    *last = (cn_model_ref){m->n_nodes - 1, 0};
  }
  if (!status && !(l->type && (l->type->flags & CN_LAYER_INPUT))) {
    status = cn_model_add_layer(m, l, e);
    cn_model_node *n = status ? NULL : cn_model_add_node(m, m->n_layers - 1, 1);
    if (!status && !n) status = cn_no_memory(e);
    if (!status) {
      n->in[0] = *last;
      *last = (cn_model_ref){m->n_nodes - 1, 0};
    }
  }
  cn_layer_drop(l);
  return status;
}

static cn_status build_sequential(cn_model *m, const cn_value *serialized, cn_error *e) {
  const cn_value *entries = layer_entries(cn_value_find(serialized, "config"));
  cn_model_ref last = {-1, 0};
  m->sequential = true;
  for (int i = 0; i < entries->count; i++) {
    if (i == 0 && is_merge(entries->items[0])) {
      CN_TRY(cn_model_expand_merge(m, entries->items[0], e));
      last = (cn_model_ref){m->n_nodes - 1, 0};
    } else {
      CN_TRY(add_sequential_layer(m, serialized, entries->items[i], &last, e));
    }
  }
  if (last.node < 0) {
    CN_TRY(cn_model_add_sequential_input(m, serialized, NULL, e));
    last = (cn_model_ref){m->n_nodes - 1, 0};
  }
  return cn_model_add_output(m, last, NULL, e);
}

cn_status cn_model_inline(cn_model *m, const cn_model *sub, cn_model_ref *out, cn_error *e) {
  int layers = m->n_layers, inputs = m->n_inputs;
  int *moved = cn_calloc((size_t)sub->n_nodes + 1, sizeof *moved);
  if (!moved) return cn_no_memory(e);
  cn_status status = CORNU_OK;
  for (int i = 0; i < sub->n_layers && !status; i++) status = cn_model_add_layer(m, sub->layers[i], e);
  for (int i = 0; i < sub->n_nodes && !status; i++) {
    const cn_model_node *from = &sub->nodes[i];
    int layer = from->layer < 0 ? -1 : layers + from->layer;
    if (from->input >= 0) {
      status = cn_model_add_input(m, layer, from->input_name, &from->out_types[0], e);
    } else {
      cn_model_node *n = cn_model_add_node(m, layer, from->n_in);
      if (!n) status = cn_no_memory(e);
      for (int k = 0; n && k < from->n_in; k++) n->in[k] = (cn_model_ref){moved[from->in[k].node], from->in[k].tensor};
      if (n) n->args = from->args, n->kwargs = from->kwargs, n->n_positional = from->n_positional, n->call = from->call;
    }
    moved[i] = m->n_nodes - 1;
  }
  m->unknown_input |= sub->unknown_input && m->n_inputs > inputs;
  if (!status && sub->n_outputs != 1)
    status = cn_fail(e, CORNU_ERR_FORMAT, "a branch of Merge has %d outputs, expected 1", sub->n_outputs);
  if (!status) *out = (cn_model_ref){moved[sub->outputs[0].node], sub->outputs[0].tensor};
  cn_free(moved);
  return status;
}

/* A branch of Merge is a serialized model, or one layer with an input shape. */
static cn_status branch_model(cn_model *m, const cn_value *entry, cn_model **out, cn_error *e) {
  if (layer_entries(cn_value_find(entry, "config")))
    return cn_model_from_config(entry, NULL, &m->origin, m->customs, out, e);
  cn_value *wrapped = cn_value_new(&m->arena, CORNU_DICT), *list = cn_value_new(&m->arena, CORNU_LIST);
  if (!wrapped || !list || !cn_value_push(&m->arena, list, (cn_value *)entry) ||
      !cn_value_put(&m->arena, wrapped, "class_name", cn_value_text(&m->arena, "Sequential")) ||
      !cn_value_put(&m->arena, wrapped, "config", list))
    return cn_no_memory(e);
  return cn_model_from_config(wrapped, NULL, &m->origin, m->customs, out, e);
}

cn_status cn_model_expand_merge(cn_model *m, const cn_value *serialized, cn_error *e) {
  const cn_value *branches = cn_value_find(cn_value_find(serialized, "config"), "layers");
  if (!cn_value_is(branches, CORNU_LIST) || branches->count > CN_MAX_OUT)
    return cn_fail(e, CORNU_ERR_FORMAT, "Merge: \"layers\" is %s, expected a list of up to %d models",
                   cn_value_show(branches, (char[80]){0}, 80), CN_MAX_OUT);
  cn_model_ref refs[CN_MAX_OUT];
  for (int i = 0; i < branches->count; i++) {
    cn_model *branch;
    CN_TRY(branch_model(m, branches->items[i], &branch, e));
    cn_status status = cn_model_inline(m, branch, &refs[i], e);
    cornu_model_release(branch);
    if (status) return cn_at(e, status, "Merge, branch %d", i + 1);
  }
  cn_layer *l;
  CN_TRY(cn_layer_new(serialized, &m->origin, m->customs, &l, e));
  cn_status status = cn_model_add_layer(m, l, e);
  cn_layer_drop(l);
  cn_model_node *n = status ? NULL : cn_model_add_node(m, m->n_layers - 1, branches->count);
  if (status || !n) return status ? status : cn_no_memory(e);
  memcpy(n->in, refs, sizeof *refs * (size_t)branches->count);
  return CORNU_OK;
}

/* ---- Functional ---- */

typedef struct raw_node {
  int layer;         /* index into m->layers */
  bool input;
  cn_raw_call call;
  int *from;         /* per ref: raw node that makes it */
  int waiting;       /* refs not placed yet */
  int placed;        /* index into m->nodes, or -1 */
} raw_node;

typedef struct functional {
  cn_model *m;
  cn_arena arena;
  cn_map names;      /* layer name -> its calls */
  struct calls { int layer, first, count; } *layers;
  raw_node *nodes;
  int n_nodes, cap_nodes;
  cn_error *e;
} functional;

static cn_status add_layers(functional *f, const cn_value *entries) {
  f->layers = cn_arena_array(&f->arena, (size_t)entries->count + 1, sizeof *f->layers);
  if (!f->layers) return cn_no_memory(f->e);
  for (int i = 0; i < entries->count; i++) {
    cn_layer *l;
    CN_TRY(cn_layer_new(entries->items[i], &f->m->origin, f->m->customs, &l, f->e));
    cn_status status = cn_model_add_layer(f->m, l, f->e);
    if (!status && cn_map_get(&f->names, l->name))
      status = cn_fail(f->e, CORNU_ERR_FORMAT, "two layers are named \"%s\"", l->name);
    f->layers[i] = (struct calls){.layer = i};
    if (!status && !cn_map_set(&f->names, l->name, &f->layers[i])) status = cn_no_memory(f->e);
    cn_layer_drop(l);
    CN_TRY(status);
  }
  return CORNU_OK;
}

static cn_status add_raw(functional *f, int layer, const cn_value *node) {
  if (!cn_arena_grow(&f->arena, &f->nodes, &f->cap_nodes, f->n_nodes, sizeof *f->nodes)) return cn_no_memory(f->e);
  raw_node *r = &f->nodes[f->n_nodes++];
  *r = (raw_node){.layer = layer, .input = !node, .placed = -1};
  if (!node) return CORNU_OK;
  cn_status status = cn_raw_call_parse(&f->m->arena, node, &f->names, &r->call, f->e);
  return status ? cn_at(f->e, status, "layer \"%s\"", f->m->layers[layer]->name) : CORNU_OK;
}

static cn_status add_calls(functional *f, const cn_value *entries) {
  for (int i = 0; i < entries->count; i++) {
    const cn_value *inbound = cn_value_find(entries->items[i], "inbound_nodes");
    const cn_layer *l = f->m->layers[i];
    f->layers[i].first = f->n_nodes;
    if (cn_value_is(inbound, CORNU_LIST) && inbound->count > 0) {
      for (int k = 0; k < inbound->count; k++) CN_TRY(add_raw(f, i, inbound->items[k]));
    } else if (l->type && (l->type->flags & CN_LAYER_INPUT)) {
      CN_TRY(add_raw(f, i, NULL));
    }
    f->layers[i].count = f->n_nodes - f->layers[i].first;
  }
  return CORNU_OK;
}

/* Nested models count their calls from 1 in old notation (their own graph is node 0), but not Keras 3's Sequential. */
static bool counts_from_one(const functional *f, const cn_layer *l) {
  return l->model && (f->m->origin.keras < 3 || !l->model->sequential);
}

/* The raw node that a history names. */
static cn_status find_call(functional *f, const cn_history *h, bool from_one, int *out) {
  const struct calls *c = cn_map_get(&f->names, h->layer);
  if (!c)
    return cn_fail(f->e, CORNU_ERR_FORMAT, "the config names the layer \"%s\", which the model does not have",
                   h->layer);
  int64_t index = h->node;
  if (from_one && index > 0 && counts_from_one(f, f->m->layers[c->layer])) index--;
  if (c->count == 1) index = 0; /* calls in other models may have been counted, too */
  if (index < 0 || index >= c->count || h->tensor < 0 || h->tensor >= CN_MAX_OUT * 64)
    return cn_fail(f->e, CORNU_ERR_FORMAT,
                   "the config takes output %lld of call %lld of layer \"%s\", which has %d calls",
                   (long long)h->tensor, (long long)h->node, h->layer, c->count);
  *out = c->first + (int)index;
  return CORNU_OK;
}

static cn_status place(functional *f, raw_node *r) {
  cn_model *m = f->m;
  cn_layer *l = m->layers[r->layer];
  r->placed = m->n_nodes;
  if (r->input) {
    cn_type type;
    if (!cn_declared_input(l, &type)) {
      type = (cn_type){.dtype = CORNU_FLOAT32, .rank = 1, .shape = {-1}};
      m->unknown_input = true;
    }
    return cn_model_add_input(m, r->layer, l->name, &type, f->e);
  }
  cn_model_node *n = cn_model_add_node(m, r->layer, r->call.n_refs);
  if (!n) return cn_no_memory(f->e);
  n->call = (int)(r - f->nodes) - f->layers[r->layer].first;
  n->n_positional = r->call.n_positional;
  n->args = r->call.args;
  n->kwargs = r->call.kwargs;
  for (int i = 0; i < n->n_in; i++) n->in[i] = (cn_model_ref){f->nodes[r->from[i]].placed, (int)r->call.refs[i].tensor};
  return CORNU_OK;
}

/* Calls in topological order, keeping the config's order where it can be kept. */
static cn_status order_calls(functional *f) {
  int *users = cn_arena_array(&f->arena, (size_t)f->n_nodes + 1, sizeof(int)), total = 0;
  if (!users) return cn_no_memory(f->e);
  for (int i = 0; i < f->n_nodes; i++) {
    raw_node *r = &f->nodes[i];
    r->from = cn_arena_array(&f->arena, (size_t)r->call.n_refs + 1, sizeof(int));
    if (!r->from) return cn_no_memory(f->e);
    for (int k = 0; k < r->call.n_refs; k++) {
      cn_status status = find_call(f, &r->call.refs[k], r->call.legacy, &r->from[k]);
      if (status) return cn_at(f->e, status, "layer \"%s\"", f->m->layers[r->layer]->name);
      users[r->from[k]]++;
      total++;
    }
    r->waiting = r->call.n_refs;
  }
  /* lists of users, one after the other */
  int *start = cn_arena_array(&f->arena, (size_t)f->n_nodes + 1, sizeof(int)),
      *list = cn_arena_array(&f->arena, (size_t)total + 1, sizeof(int));
  int *queue = cn_arena_array(&f->arena, (size_t)f->n_nodes + 1, sizeof(int)), head = 0, tail = 0, at = 0;
  if (!start || !list || !queue) return cn_no_memory(f->e);
  for (int i = 0; i < f->n_nodes; i++) start[i] = at, at += users[i], users[i] = 0;
  for (int i = 0; i < f->n_nodes; i++)
    for (int k = 0; k < f->nodes[i].call.n_refs; k++) {
      int from = f->nodes[i].from[k];
      list[start[from] + users[from]++] = i;
    }
  for (int i = 0; i < f->n_nodes; i++)
    if (!f->nodes[i].waiting) queue[tail++] = i;
  while (head < tail) {
    int i = queue[head++];
    CN_TRY(place(f, &f->nodes[i]));
    for (int k = 0; k < users[i]; k++)
      if (--f->nodes[list[start[i] + k]].waiting == 0) queue[tail++] = list[start[i] + k];
  }
  for (int i = 0; i < f->n_nodes; i++)
    if (f->nodes[i].placed < 0)
      return cn_fail(f->e, CORNU_ERR_FORMAT, "layer \"%s\" is part of a loop: its inputs depend on its own output",
                     f->m->layers[f->nodes[i].layer]->name);
  return CORNU_OK;
}

/* input_layers and output_layers: a triple, a list or a dict of them, nested at will. */
static cn_status add_ends(functional *f, const cn_value *v, const char *key, bool outputs) {
  cn_history h;
  if (cn_history_parse(v, NULL, &h)) {
    int raw;
    CN_TRY(find_call(f, &h, true, &raw));
    cn_model_ref ref = {f->nodes[raw].placed, (int)h.tensor};
    if (outputs) return cn_model_add_output(f->m, ref, key, f->e);
    for (int i = 0; i < f->m->n_inputs; i++)
      if (f->m->inputs[i].node == ref.node && key) f->m->input_keys[i] = cn_arena_string(&f->m->arena, key);
    return CORNU_OK;
  }
  if (!cn_value_is(v, CORNU_LIST) && !cn_value_is(v, CORNU_DICT))
    return cn_fail(f->e, CORNU_ERR_FORMAT, "\"%s\" holds %s, expected [layer, node, tensor]",
                   outputs ? "output_layers" : "input_layers", cn_value_show(v, (char[80]){0}, 80));
  for (int i = 0; i < v->count; i++)
    CN_TRY(add_ends(f, v->items[i], v->kind == CORNU_DICT ? v->keys[i] : key, outputs));
  return CORNU_OK;
}

static bool collect_order(functional *f, const cn_value *v, int *order, int *count) {
  cn_history h;
  int raw;
  if (cn_history_parse(v, NULL, &h)) {
    if (*count >= f->m->n_inputs || find_call(f, &h, true, &raw)) return false;
    order[(*count)++] = f->nodes[raw].placed;
    return true;
  }
  for (int i = 0; v && (v->kind == CORNU_LIST || v->kind == CORNU_DICT) && i < v->count; i++)
    if (!collect_order(f, v->items[i], order, count)) return false;
  return true;
}

/* Inputs in the order of input_layers, as Keras takes them, not in that of the layers. */
static cn_status sort_inputs(functional *f, const cn_value *input_layers) {
  cn_model *m = f->m;
  int *order = cn_arena_array(&f->arena, (size_t)m->n_inputs + 1, sizeof *order), count = 0;
  if (!order) return cn_no_memory(f->e);
  if (!collect_order(f, input_layers, order, &count) || count != m->n_inputs)
    return cn_fail(f->e, CORNU_ERR_FORMAT, "\"input_layers\" does not name the %d input layers of the model",
                   m->n_inputs);
  cn_model_ref *inputs = cn_arena_array(&m->arena, (size_t)count + 1, sizeof *inputs);
  const char **keys = cn_arena_array(&m->arena, (size_t)count + 1, sizeof *keys);
  if (!inputs || !keys) return cn_no_memory(f->e);
  for (int i = 0; i < count; i++) {
    cn_model_node *n = &m->nodes[order[i]];
    if (n->input < 0)
      return cn_fail(f->e, CORNU_ERR_FORMAT, "\"input_layers\" names \"%s\", which is not an input layer",
                     m->layers[n->layer]->name);
    inputs[i] = (cn_model_ref){order[i], 0};
    n->input = i;
  }
  m->inputs = inputs;
  m->input_keys = keys;
  return CORNU_OK;
}

static cn_status build_functional(cn_model *m, const cn_value *config, cn_error *e) {
  functional f = {.m = m, .e = e};
  const cn_value *entries = layer_entries(config), *inputs = cn_value_find(config, "input_layers"),
                 *outputs = cn_value_find(config, "output_layers");
  cn_status status = CORNU_OK;
  if (!inputs || !outputs)
    status = cn_fail(e, CORNU_ERR_FORMAT, "\"%s\" is missing", inputs ? "output_layers" : "input_layers");
  if (!status) status = add_layers(&f, entries);
  if (!status) status = add_calls(&f, entries);
  if (!status) status = order_calls(&f);
  if (!status) status = sort_inputs(&f, inputs);
  if (!status) status = add_ends(&f, inputs, NULL, false);
  if (!status) status = add_ends(&f, outputs, NULL, true);
  cn_map_free(&f.names);
  cn_arena_free(&f.arena);
  return status;
}

cn_status cn_model_from_config(const cn_value *serialized, cn_arena *around, const cn_origin *origin,
                               cn_custom_set *customs, cn_model **out, cn_error *e) {
  *out = NULL;
  cn_model *m;
  CN_TRY(cn_model_alloc(&m, e));
  m->origin = *origin;
  m->customs = customs ? cn_custom_set_share(customs) : NULL;
  if (around) cn_arena_take(&m->arena, around);
  m->config = around ? serialized : cn_value_copy(&m->arena, serialized);
  cn_status status = m->config ? CORNU_OK : cn_no_memory(e);
  const cn_value *config = cn_value_find(m->config, "config"), *entries = layer_entries(config);
  m->class_name = text_at(m->config, "class_name", "");
  m->name = text_at(config, "name", text_at(m->config, "name", "model"));
  if (!status && !cn_value_is(entries, CORNU_LIST))
    status = cn_fail(e, CORNU_ERR_FORMAT, "the config of the %s has no list of layers",
                     *m->class_name ? m->class_name : "model");
  if (!status) status = is_functional(config) ? build_functional(m, config, e) : build_sequential(m, m->config, e);
  if (status) cornu_model_release(m);
  else *out = m;
  return status;
}
