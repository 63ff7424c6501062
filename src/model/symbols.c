/* Symbols: regions of calls, the calls of a model, the insides of nested models. */
#include "model/symbols.h"

#include <pthread.h>
#include <string.h>

#include "base/text.h"

static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER; /* of what models keep */
static atomic_uint_fast64_t serials;

/* ---- Regions ---- */

cn_region *cn_region_new(int n_calls) {
  cn_region *r = cn_calloc(1, sizeof *r);
  if (!r) return NULL;
  atomic_init(&r->references, 1);
  r->calls = cn_arena_array(&r->arena, (size_t)n_calls + 1, sizeof *r->calls);
  if (!r->calls) {
    cn_free(r);
    return NULL;
  }
  r->n_calls = n_calls;
  uint64_t first = atomic_fetch_add(&serials, (uint64_t)n_calls);
  for (int i = 0; i < n_calls; i++) r->calls[i].region = r, r->calls[i].call = -1, r->calls[i].serial = first + (uint64_t)i;
  return r;
}

static cn_region *drop(cn_region *r, cn_region *list) {
  if (atomic_fetch_sub(&r->references, 1) != 1) return list;
  r->next = list;
  return r;
}

/* Chains of calls may be long: no recursion. */
void cn_region_drop(cn_region *r) {
  for (cn_region *list = drop(r, NULL); list;) {
    cn_region *dead = list;
    list = dead->next;
    for (int i = 0; i < dead->n_calls; i++) cn_layer_drop(dead->calls[i].layer);
    for (int i = 0; i < dead->n_held; i++) list = drop(dead->held[i]->call->region, list);
    cn_arena_free(&dead->arena);
    cn_free(dead);
  }
}

void cn_region_share(cn_region *r) { atomic_fetch_add(&r->references, 1); }

cornu_symbol *cn_region_hold(cn_region *r, cornu_symbol *s) {
  if (s->call->region == r) return s;
  if (!cn_arena_grow(&r->arena, &r->held, &r->cap_held, r->n_held, sizeof *r->held)) return NULL;
  return r->held[r->n_held++] = cornu_symbol_retain(s);
}

bool cn_symbol_call_outputs(cn_symbol_call *c, const cn_type *types, int n) {
  c->out = cn_arena_array(&c->region->arena, (size_t)n + 1, sizeof *c->out);
  if (!c->out) return false;
  c->n_out = n;
  for (int i = 0; i < n; i++) c->out[i] = (cornu_symbol){c, i, types[i]};
  return true;
}

cornu_symbol *cornu_symbol_retain(cornu_symbol *s) {
  if (s) cn_region_share(s->call->region);
  return s;
}

void cornu_symbol_release(cornu_symbol *s) {
  if (s) cn_region_drop(s->call->region);
}

static const char *label_of(const cn_symbol_call *c) { return c->label ? c->label : c->layer->name; }
const char *cn_symbol_label(const cornu_symbol *s) { return label_of(s->call); }

cornu_layer *cornu_symbol_layer(const cornu_symbol *s) { return s->call->layer; }

void cornu_symbol_port(const cornu_symbol *s, cornu_port *out) {
  *out = (cornu_port){.name = cn_symbol_label(s), .dtype = s->type.dtype, .rank = s->type.rank};
  memcpy(out->shape, s->type.shape, sizeof out->shape);
}

/* ---- The calls of a model ---- */

/* A call as a node of m makes it; in: the symbols of its inputs, in any region. */
static bool fill_call(cn_region *r, cn_symbol_call *c, const cn_model *m, const cn_model_node *n) {
  c->layer = n->layer >= 0 ? cn_layer_share(m->layers[n->layer]) : NULL;
  c->input = n->input >= 0;
  if (c->input && !c->layer && !(c->label = cn_arena_string(&r->arena, n->input_name))) return false;
  c->n_in = n->n_in;
  c->n_positional = n->n_positional;
  c->call = n->call;
  c->in = cn_arena_array(&r->arena, (size_t)n->n_in + 1, sizeof *c->in);
  c->args = n->args ? cn_value_copy(&r->arena, n->args) : NULL;
  c->kwargs = n->kwargs ? cn_value_copy(&r->arena, n->kwargs) : NULL;
  return c->in && (!n->args || c->args) && (!n->kwargs || c->kwargs) && cn_symbol_call_outputs(c, n->out_types, n->n_out);
}

static bool fill_region(cn_region *r, const cn_model *m, cn_symbol_call **calls) {
  for (int i = 0; i < m->n_nodes; i++) {
    const cn_model_node *n = &m->nodes[i];
    calls[i] = &r->calls[i];
    if (!fill_call(r, calls[i], m, n)) return false;
    const char *label = n->layer >= 0 && n->layer < m->n_labels ? m->labels[n->layer] : NULL;
    if (label && !calls[i]->label && !(calls[i]->label = cn_arena_string(&r->arena, label))) return false;
    for (int k = 0; k < n->n_in; k++) calls[i]->in[k] = &calls[n->in[k].node]->out[n->in[k].tensor];
  }
  return true;
}

static struct cn_model_symbols *symbols_of(cn_model *m) {
  if (!m->symbols) m->symbols = cn_calloc(1, sizeof *m->symbols);
  return m->symbols;
}

static cn_status make_calls(cn_model *m, cn_error *e) {
  struct cn_model_symbols *s = symbols_of(m);
  cn_region *r = s ? cn_region_new(m->n_nodes) : NULL;
  cn_symbol_call **calls = r ? cn_calloc((size_t)m->n_nodes + 1, sizeof *calls) : NULL;
  if (!calls || !fill_region(r, m, calls)) {
    cn_free(calls);
    if (r) cn_region_drop(r);
    return cn_no_memory(e);
  }
  for (int i = 1; i < m->n_nodes; i++) cn_region_share(r);
  if (m->n_nodes == 0) cn_region_drop(r);
  s->calls = calls;
  return CORNU_OK;
}

cn_status cn_model_calls(cn_model *m, cn_symbol_call ***out, cn_error *e) {
  *out = NULL;
  if (!m->built) return cn_fail(e, CORNU_ERR_ARGUMENT, "\"%s\" is not built: its input shape is not known", m->name);
  pthread_mutex_lock(&making);
  cn_status status = m->symbols && m->symbols->calls ? CORNU_OK : make_calls(m, e);
  if (!status) *out = m->symbols->calls;
  pthread_mutex_unlock(&making);
  return status;
}

void cn_model_symbols_free(cn_model *m) {
  if (!m->symbols) return;
  for (int i = 0; m->symbols->calls && i < m->n_nodes; i++) cn_region_drop(m->symbols->calls[i]->region);
  for (int i = 0; i < m->symbols->n_insides; i++) cn_region_drop(m->symbols->insides[i]);
  cn_free(m->symbols->calls);
  cn_free(m->symbols->insides);
  cn_free(m->symbols);
}

/* ---- The inside of a call ---- */

/* The value of an inner node's output: of an input, what the call was given. */
static cornu_symbol *inner_value(const cn_region *r, const cn_model *inner, cn_model_ref ref) {
  const cn_model_node *n = &inner->nodes[ref.node];
  return n->input >= 0 ? r->opens->in[n->input] : &r->calls[ref.node].out[ref.tensor];
}

static bool fill_inside(cn_region *r, const cn_model *inner) {
  const char *outer = label_of(r->opens);
  for (int i = 0; i < inner->n_nodes; i++) {
    const cn_model_node *n = &inner->nodes[i];
    cn_symbol_call *c = &r->calls[i];
    if (!fill_call(r, c, inner, n)) return false;
    if (n->layer >= 0 && n->input < 0) c->label = cn_arena_printf(&r->arena, "%s/%s", outer, cn_model_label(inner, n->layer));
    if (!c->label && n->layer >= 0 && n->input < 0) return false;
    for (int k = 0; k < n->n_in; k++) c->in[k] = inner_value(r, inner, n->in[k]);
  }
  r->results = cn_arena_array(&r->arena, (size_t)inner->n_outputs + 1, sizeof *r->results);
  for (int i = 0; r->results && i < inner->n_outputs; i++) r->results[i] = inner_value(r, inner, inner->outputs[i]);
  return r->results != NULL;
}

static cn_status make_inside(cn_model *m, cn_symbol_call *call, cn_region **out, cn_error *e) {
  const cn_model *inner = call->layer->model;
  double training = 0;
  cn_value_number(cn_value_find(call->kwargs, "training"), &training);
  if (training != 0)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"%s\" is called with training=true: a slice cannot begin or end within",
                   label_of(call));
  struct cn_model_symbols *s = symbols_of(m);
  cn_region *r = s ? cn_region_new(inner->n_nodes) : NULL;
  if (!r) return cn_no_memory(e);
  r->opens = call;
  bool done = call->n_out > 0 && cn_region_hold(r, &call->out[0]) && fill_inside(r, inner) &&
              cn_grow(&s->insides, &s->cap_insides, s->n_insides, sizeof *s->insides);
  if (!done) {
    cn_region_drop(r);
    return cn_no_memory(e);
  }
  *out = s->insides[s->n_insides++] = r;
  return CORNU_OK;
}

cn_status cn_model_inside(cn_model *m, cn_symbol_call *call, cn_region **out, cn_error *e) {
  *out = NULL;
  pthread_mutex_lock(&making);
  for (int i = 0; m->symbols && i < m->symbols->n_insides; i++)
    if (m->symbols->insides[i]->opens == call) *out = m->symbols->insides[i];
  cn_status status = *out ? CORNU_OK : make_inside(m, call, out, e);
  pthread_mutex_unlock(&making);
  return status;
}
