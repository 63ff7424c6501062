/* Models: life, parts, and the public getters. */
#include "model/model.h"

#include <string.h>

#include "base/text.h"
#include "model/build.h"
#include "model/plans.h"
#include "model/symbols.h"

cn_status cn_model_alloc(cn_model **out, cn_error *e) {
  *out = cn_calloc(1, sizeof(cn_model));
  if (!*out) return cn_no_memory(e);
  atomic_init(&(*out)->references, 1);
  (*out)->name = (*out)->class_name = (*out)->path = (*out)->keras_version = (*out)->backend = "";
  return CORNU_OK;
}

cornu_model *cornu_model_retain(cornu_model *m) {
  if (m) atomic_fetch_add(&m->references, 1);
  return m;
}

void cornu_model_release(cornu_model *m) {
  if (!m || atomic_fetch_sub(&m->references, 1) != 1) return;
  cn_plan_cache_free(m->plans);
  cn_model_symbols_free(m);
  for (int i = 0; i < m->n_layers; i++) cn_layer_drop(m->layers[i]);
  if (m->customs) cn_custom_set_drop(m->customs);
  cn_arena_free(&m->arena);
  cn_free(m);
}

cn_status cn_model_add_layer(cn_model *m, cn_layer *l, cn_error *e) {
  if (m->n_layers >= cn_limits.max_layers)
    return cn_fail(e, CORNU_ERR_LIMIT, "more than %d layers", cn_limits.max_layers);
  if (!cn_arena_grow(&m->arena, &m->layers, &m->cap_layers, m->n_layers, sizeof *m->layers)) return cn_no_memory(e);
  m->layers[m->n_layers++] = cn_layer_share(l);
  return CORNU_OK;
}

cn_status cn_model_set_label(cn_model *m, int layer, const char *label, cn_error *e) {
  while (m->n_labels <= layer) {
    if (!cn_arena_grow(&m->arena, &m->labels, &m->cap_labels, m->n_labels, sizeof *m->labels)) return cn_no_memory(e);
    m->labels[m->n_labels++] = NULL;
  }
  m->labels[layer] = cn_arena_string(&m->arena, label);
  return m->labels[layer] ? CORNU_OK : cn_no_memory(e);
}

const char *cn_model_label(const cn_model *m, int layer) {
  const char *label = layer < m->n_labels ? m->labels[layer] : NULL;
  return label ? label : m->layers[layer]->name;
}

cn_model_node *cn_model_add_node(cn_model *m, int layer, int n_in) {
  cn_model_ref *in = cn_arena_array(&m->arena, (size_t)n_in + 1, sizeof *in);
  if (!in || !cn_arena_grow(&m->arena, &m->nodes, &m->cap_nodes, m->n_nodes, sizeof *m->nodes)) return NULL;
  cn_model_node *n = &m->nodes[m->n_nodes++];
  *n = (cn_model_node){.layer = layer, .input = -1, .call = -1, .in = in, .n_in = n_in, .n_positional = n_in};
  return n;
}

static cn_status add_ref(cn_model *m, cn_model_ref **refs, const char ***keys, int *count, cn_model_ref ref,
                         const char *key, cn_error *e) {
  cn_model_ref *grown = cn_arena_array(&m->arena, (size_t)*count + 1, sizeof *grown);
  const char **names = cn_arena_array(&m->arena, (size_t)*count + 1, sizeof *names);
  if (!grown || !names) return cn_no_memory(e);
  if (*count)
    memcpy(grown, *refs, sizeof *grown * (size_t)*count), memcpy(names, *keys, sizeof *names * (size_t)*count);
  grown[*count] = ref;
  names[*count] = key ? cn_arena_string(&m->arena, key) : NULL;
  *refs = grown;
  *keys = names;
  ++*count;
  return CORNU_OK;
}

cn_status cn_model_add_input(cn_model *m, int layer, const char *name, const cn_type *type, cn_error *e) {
  cn_model_node *n = cn_model_add_node(m, layer, 0);
  cn_type *own = cn_arena_alloc(&m->arena, sizeof *own);
  const char *text = cn_arena_string(&m->arena, name);
  if (!n || !own || !text) return cn_no_memory(e);
  *own = *type;
  n->input = m->n_inputs;
  n->input_name = text;
  n->n_out = 1;
  n->out_types = own;
  return add_ref(m, &m->inputs, &m->input_keys, &m->n_inputs, (cn_model_ref){m->n_nodes - 1, 0}, NULL, e);
}

cn_status cn_model_add_output(cn_model *m, cn_model_ref ref, const char *key, cn_error *e) {
  return add_ref(m, &m->outputs, &m->output_keys, &m->n_outputs, ref, key, e);
}

const cn_type *cn_model_type(const cn_model *m, cn_model_ref ref) {
  const cn_model_node *n = &m->nodes[ref.node];
  return n->out_types && ref.tensor < n->n_out ? &n->out_types[ref.tensor] : NULL;
}

/* ---- Getters ---- */

const char *cornu_model_name(const cornu_model *m) { return m->name; }
const char *cornu_model_type(const cornu_model *m) { return m->sequential ? "Sequential" : "Functional"; }
const char *cornu_model_keras_version(const cornu_model *m) { return m->keras_version; }
const char *cornu_model_backend(const cornu_model *m) { return m->backend; }
const char *cornu_model_path(const cornu_model *m) { return m->path; }
const cornu_value *cornu_model_config(const cornu_model *m) { return m->config; }
const cornu_value *cornu_model_training_config(const cornu_model *m) { return m->training_config; }
int cornu_model_inputs(const cornu_model *m) { return m->n_inputs; }
int cornu_model_outputs(const cornu_model *m) { return m->n_outputs; }
int cornu_model_layers(const cornu_model *m) { return m->n_layers; }

cornu_layer *cornu_model_layer(const cornu_model *m, int i) { return i >= 0 && i < m->n_layers ? m->layers[i] : NULL; }

cornu_layer *cornu_model_layer_named(const cornu_model *m, const char *name) {
  for (int i = 0; name && i < m->n_layers; i++)
    if (strcmp(cn_model_label(m, i), name) == 0) return m->layers[i];
  const char *slash = name ? strchr(name, '/') : NULL;
  for (int i = 0; slash && i < m->n_layers; i++) {
    const cn_layer *l = m->layers[i];
    size_t length = strlen(l->name);
    if (l->model && strncmp(name, l->name, length) == 0 && name[length] == '/')
      return cornu_model_layer_named(l->model, name + length + 1);
  }
  return NULL;
}

typedef struct counter { int64_t total; bool trainable_only; } counter;

static cn_status count_weight(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  (void)path, (void)e;
  counter *c = user;
  const cn_weight *w = &owner->weights[index];
  int64_t size = cn_shape_size(w->rank, w->shape);
  if (size > 0 && (!c->trainable_only || (w->trainable && owner->trainable))) c->total += size;
  return CORNU_OK;
}

int64_t cornu_model_parameters(const cornu_model *m, bool trainable_only) {
  counter c = {.trainable_only = trainable_only};
  for (int i = 0; i < m->n_layers; i++)
    if (!trainable_only || m->layers[i]->trainable) cn_layer_each_weight(m->layers[i], count_weight, &c, NULL);
  return c.total;
}

static void fill_port(const cn_model *m, cn_model_ref ref, const char *key, const cn_type *t, cornu_port *out) {
  const cn_model_node *n = &m->nodes[ref.node];
  *out = (cornu_port){.name = n->layer < 0 ? n->input_name : cn_model_label(m, n->layer), .key = key};
  if (!t) {
    out->rank = -1;
    out->dtype = CORNU_FLOAT32;
    return;
  }
  out->dtype = t->dtype;
  out->rank = t->rank;
  memcpy(out->shape, t->shape, sizeof out->shape);
}

bool cornu_model_input(const cornu_model *m, int i, cornu_port *out) {
  if (i < 0 || i >= m->n_inputs) return false;
  fill_port(m, m->inputs[i], m->input_keys[i], m->unknown_input ? NULL : cn_model_type(m, m->inputs[i]), out);
  return true;
}

bool cornu_model_output(const cornu_model *m, int i, cornu_port *out) {
  if (i < 0 || i >= m->n_outputs) return false;
  fill_port(m, m->outputs[i], m->output_keys[i], cn_model_type(m, m->outputs[i]), out);
  return true;
}

int cn_model_call_number(const cn_model *m, int node) {
  const cn_model_node *n = &m->nodes[node];
  int before = 0;
  for (int i = 0; i < m->n_nodes; i++) {
    const cn_model_node *other = &m->nodes[i];
    if (other->layer != n->layer || i == node) continue;
    bool listed = other->call >= 0 && (n->call < 0 || other->call < n->call);
    before += listed || (other->call == n->call && i < node);
  }
  return before;
}

int cn_model_call_node(const cn_model *m, int layer, int k) {
  for (int i = 0; i < m->n_nodes; i++)
    if (m->nodes[i].layer == layer && cn_model_call_number(m, i) == k) return i;
  return -1;
}

static const cn_model_node *find_call(const cn_model *m, const cn_layer *l, int call) {
  for (int i = 0; i < m->n_layers; i++) {
    int node = m->layers[i] == l ? cn_model_call_node(m, i, call) : -1;
    if (node >= 0) return &m->nodes[node];
  }
  return NULL;
}

bool cornu_layer_input(const cornu_model *m, const cornu_layer *l, int call, int i, cornu_port *out) {
  const cn_model_node *n = find_call(m, l, call);
  if (!n || i < 0 || i >= n->n_in) return false;
  fill_port(m, n->in[i], NULL, cn_model_type(m, n->in[i]), out);
  return true;
}

bool cornu_layer_output(const cornu_model *m, const cornu_layer *l, int call, int i, cornu_port *out) {
  const cn_model_node *n = find_call(m, l, call);
  if (!n || i < 0 || i >= n->n_out) return false;
  fill_port(m, (cn_model_ref){(int)(n - m->nodes), i}, NULL, &n->out_types[i], out);
  return true;
}

cn_status cn_model_init_weights(cn_model *m, uint64_t seed, cn_error *e) {
  cornu_random r;
  cornu_random_seed(&r, seed);
  for (int i = 0; i < m->n_layers; i++) CN_TRY(cn_layer_init_weights(m->layers[i], &r, e));
  return CORNU_OK;
}
