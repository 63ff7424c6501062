/* Composing models: inputs and layers made by hand, calls of layers on symbols, models from them. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "layers/part.h"
#include "model/build.h"
#include "model/symbols.h"

static const cn_origin today = {.keras = 3, .minor = 15};

/* ---- Layers ---- */

/* What the configs of the newest Keras that has the class mean. */
static cn_origin origin_of(const char *class_name) {
  const cn_layer_type *type = cn_layer_type_find(class_name);
  if (!type || !type->versions || strchr(type->versions, '3')) return today;
  return strchr(type->versions, '2') ? (cn_origin){.keras = 2, .minor = 15, .tf = true}
                                     : (cn_origin){.keras = 1, .minor = 2, .patch = 2};
}

/* "dense", "dense_1", … as Keras numbers them. */
static void name_by_class(const char *class_name, char *out, size_t size) {
  enum { MOST = 1024 };
  static atomic_int made[MOST];
  const cn_layer_type *type = cn_layer_type_find(class_name);
  char base[160];
  cn_snake_case(class_name, base, sizeof base);
  int number = 0;
  for (int i = 0; type && i < cn_layer_type_total && i < MOST; i++)
    if (cn_layer_types[i] == type) number = atomic_fetch_add(&made[i], 1);
  if (number) snprintf(out, size, "%s_%d", base, number);
  else snprintf(out, size, "%s", base);
}

static cn_status make_layer(const char *class_name, const cn_value *config, cn_custom_set *customs, cn_layer **out,
                            cn_error *e) {
  *out = NULL;
  cn_arena arena = {0};
  char name[200];
  cn_origin origin = origin_of(class_name);
  cn_value *serialized = cn_value_new(&arena, CORNU_DICT), *own = config ? cn_value_copy(&arena, config)
                                                                         : cn_value_new(&arena, CORNU_DICT);
  bool named = cn_value_find(config, "name") != NULL;
  if (!named) name_by_class(class_name, name, sizeof name);
  cn_status status = CORNU_OK;
  if (!serialized || !own || (!named && !cn_value_put(&arena, own, "name", cn_value_text(&arena, name))) ||
      !cn_value_put(&arena, serialized, "class_name", cn_value_text(&arena, class_name)) ||
      !cn_value_put(&arena, serialized, "config", own))
    status = cn_no_memory(e);
  if (!status) status = cn_layer_new(serialized, &origin, customs, out, e);
  if (!status) status = cn_layer_check_parts(*out, e);
  if (!status) (*out)->auto_named = !named;
  if (status && *out) cn_layer_drop(*out), *out = NULL;
  cn_arena_free(&arena);
  return status;
}

cornu_status cornu_layer_new(const char *class_name, const cornu_value *config, cornu_layer **out, cornu_error *e) {
  return make_layer(class_name, config, NULL, out, e);
}

cornu_status cornu_layer_new_custom(const cornu_custom *custom, const cornu_value *config, cornu_layer **out,
                                    cornu_error *e) {
  cn_custom_set *set;
  CN_TRY(cn_custom_set_new(custom, 1, &set, e));
  const cn_status status = make_layer(custom->name, config, set, out, e);
  cn_custom_set_drop(set);
  return status;
}

/* ---- Symbols ---- */

static cn_value *shape_value(cn_arena *a, int rank, const int64_t *shape) {
  cn_value *list = cn_value_new(a, CORNU_LIST);
  for (int i = 0; list && i < rank; i++) {
    cn_value *d = cn_value_new(a, shape[i] < 0 ? CORNU_NULL : CORNU_INT);
    if (d && shape[i] >= 0) d->i = shape[i];
    if (!d || !cn_value_push(a, list, d)) return NULL;
  }
  return list;
}

cornu_status cornu_input_new(const char *name, cornu_dtype dtype, int rank, const int64_t *shape, cornu_symbol **out,
                             cornu_error *e) {
  *out = NULL;
  if (rank < 0 || rank > CN_MAX_RANK)
    return cn_fail(e, CORNU_ERR_SHAPE, "an input of %d dimensions: 0 to %d are possible", rank, CN_MAX_RANK);
  cn_arena arena = {0};
  cn_value *config = cn_value_new(&arena, CORNU_DICT);
  cn_layer *l = NULL;
  cn_type type = {.dtype = dtype, .rank = rank};
  memcpy(type.shape, shape, sizeof *shape * (size_t)rank);
  cn_status status = CORNU_OK;
  if (!config || (name && !cn_value_put(&arena, config, "name", cn_value_text(&arena, name))) ||
      !cn_value_put(&arena, config, "batch_shape", shape_value(&arena, rank, shape)) ||
      !cn_value_put(&arena, config, "dtype", cn_value_text(&arena, cornu_dtype_name(dtype))))
    status = cn_no_memory(e);
  if (!status) status = cornu_layer_new("InputLayer", config, &l, e);
  cn_region *r = status ? NULL : cn_region_new(1);
  if (r) {
    r->calls->layer = l;
    r->calls->input = true;
    if (cn_symbol_call_outputs(r->calls, &type, 1)) *out = r->calls->out;
    else cn_region_drop(r);
  } else {
    cn_layer_drop(l);
  }
  cn_arena_free(&arena);
  return status ? status : *out ? CORNU_OK : cn_no_memory(e);
}

/* A first trace of one call: the layer builds, its outputs have types. */
static cn_status trace_call(cn_symbol_call *c, cn_error *e) {
  cn_graph *g;
  CN_TRY(cn_graph_new(&g, e));
  cn_trace t;
  cn_trace_begin(&t, g, e);
  cn_sym *in = cn_arena_array(&g->arena, (size_t)c->n_in + 1, sizeof *in);
  if (!in) t.status = cn_no_memory(e);
  for (int i = 0; i < c->n_in && !t.status; i++) {
    in[i].mask = CN_NO_EDGE;
    t.status = cn_graph_add_input(g, &c->in[i]->type, &in[i].data, e);
  }
  cn_call call = {.in = in, .n_in = c->n_in, .n_positional = c->n_positional, .args = c->args, .kwargs = c->kwargs};
  cn_layer_call(c->layer, &t, &call);
  cn_type *types = t.status ? NULL : cn_arena_array(&c->region->arena, (size_t)call.n_out + 1, sizeof *types);
  for (int i = 0; types && i < call.n_out; i++) types[i] = *cn_edge_type(&t, call.out[i].data);
  if (!t.status && (!types || !cn_symbol_call_outputs(c, types, call.n_out))) t.status = cn_no_memory(e);
  cn_status status = cn_trace_end(&t);
  cn_graph_free(g);
  return status;
}

/* like: a call whose arguments are taken over; NULL: plain */
static cn_status make_call(cn_layer *l, const cn_symbol_call *like, cornu_symbol *const *in, int n_in, uint64_t seed,
                           cn_region **out, cn_error *e) {
  cn_region *r = *out = cn_region_new(1);
  if (!r) return cn_no_memory(e);
  cn_symbol_call *c = r->calls;
  c->layer = cn_layer_share(l);
  c->n_in = n_in;
  c->n_positional = like ? like->n_positional : n_in;
  c->args = like ? cn_value_copy(&r->arena, like->args) : NULL;
  c->kwargs = like ? cn_value_copy(&r->arena, like->kwargs) : NULL;
  c->in = cn_arena_array(&r->arena, (size_t)n_in + 1, sizeof *c->in);
  bool room = c->in && (!like || ((!like->args || c->args) && (!like->kwargs || c->kwargs)));
  for (int i = 0; i < n_in && room; i++) room = (c->in[i] = cn_region_hold(r, in[i])) != NULL;
  cn_status status = room ? trace_call(c, e) : cn_no_memory(e);
  cornu_random random;
  cornu_random_seed(&random, seed);
  if (!status) status = cn_layer_init_weights(l, &random, e);
  if (status) cn_region_drop(r), *out = NULL;
  return status;
}

cornu_status cornu_layer_apply(cornu_layer *l, cornu_symbol *const *in, int n_in, uint64_t seed, cornu_symbol **out,
                               int *n_out, cornu_error *e) {
  cn_region *r;
  int room = *n_out;
  *n_out = 0;
  CN_TRY(make_call(l, NULL, in, n_in, seed, &r, e));
  cn_symbol_call *c = r->calls;
  if (c->n_out > room) {
    cn_region_drop(r);
    return cn_fail(e, CORNU_ERR_LIMIT, "layer \"%s\" has more than %d outputs", l->name, room);
  }
  for (*n_out = 0; *n_out < c->n_out; ++*n_out) out[*n_out] = cornu_symbol_retain(&c->out[*n_out]);
  cn_region_drop(r);
  return CORNU_OK;
}

/* ---- Models ---- */

cornu_status cornu_model_new(const char *name, cornu_symbol *const *inputs, const char *const *input_keys, int n_inputs,
                             cornu_symbol *const *outputs, const char *const *output_keys, int n_outputs,
                             cornu_model **out, cornu_error *e) {
  *out = NULL;
  if (n_inputs < 1 || n_outputs < 1)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "a model has at least one input and one output");
  cn_assembly a = {.name = name, .inputs = inputs, .outputs = outputs, .input_keys = input_keys,
                   .output_keys = output_keys, .n_inputs = n_inputs, .n_outputs = n_outputs};
  return cn_model_assemble(&a, out, e);
}

static cn_status add_step(cn_model *m, cn_layer *l, cn_map *names, cn_error *e) {
  if (l->type->flags & CN_LAYER_INPUT)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "an input layer stands at the beginning of a Sequential");
  CN_TRY(cn_name_apart(names, l, l->name, m, e));
  CN_TRY(cn_model_add_layer(m, l, e));
  if (!cn_map_set(names, l->name, (void *)(intptr_t)m->n_layers)) return cn_no_memory(e);
  cn_model_node *n = cn_model_add_node(m, m->n_layers - 1, 1);
  if (!n) return cn_no_memory(e);
  n->in[0] = (cn_model_ref){m->n_nodes - 2, 0};
  return CORNU_OK;
}

static cn_status add_steps(cn_model *m, cornu_layer *const *layers, int n, const cornu_symbol *input, cn_error *e) {
  cn_map names = {0};
  cn_status status = input ? cn_model_add_input(m, -1, cn_symbol_label(input), &input->type, e)
                           : cn_model_add_sequential_input(m, NULL, n ? layers[0] : NULL, e);
  for (int i = 0; i < n && !status; i++) status = add_step(m, layers[i], &names, e);
  cn_map_free(&names);
  return status ? status : cn_model_add_output(m, (cn_model_ref){m->n_nodes - 1, 0}, NULL, e);
}

cornu_status cornu_model_sequential(const char *name, cornu_layer *const *layers, int n, const cornu_symbol *input,
                                    uint64_t seed, cornu_model **out, cornu_error *e) {
  *out = NULL;
  cn_model *m;
  CN_TRY(cn_model_alloc(&m, e));
  m->origin = today;
  m->sequential = true;
  m->class_name = "Sequential";
  m->name = cn_arena_string(&m->arena, name);
  cn_status status = m->name ? add_steps(m, layers, n, input, e) : cn_no_memory(e);
  if (!status && !m->unknown_input) status = cn_model_build(m, e);
  if (!status && m->built) status = cn_model_init_weights(m, seed, e);
  if (status) cornu_model_release(m);
  else *out = m;
  return status;
}

/* ---- Replacing values ---- */

typedef struct rewiring {
  cn_model *m;
  cn_symbol_call **calls;    /* of m, by node */
  cornu_symbol *const *before, *const *after;
  int n;
  cn_region **made;          /* by node: the call made anew, or NULL */
  cn_error *e;
} rewiring;

static cornu_symbol *now(const rewiring *w, cn_model_ref ref) {
  cornu_symbol *s = &w->calls[ref.node]->out[ref.tensor];
  for (int i = 0; i < w->n; i++)
    if (w->before[i] == s) return w->after[i];
  return w->made[ref.node] ? &w->made[ref.node]->calls->out[ref.tensor] : s;
}

static cn_status rewire_node(rewiring *w, int index) {
  const cn_model_node *n = &w->m->nodes[index];
  cn_arena arena = {0};
  cornu_symbol **in = cn_arena_array(&arena, (size_t)n->n_in + 1, sizeof *in);
  bool changed = false;
  for (int k = 0; in && k < n->n_in; k++) {
    in[k] = now(w, n->in[k]);
    changed |= in[k] != w->calls[index]->in[k];
  }
  cn_status status = in ? CORNU_OK : cn_no_memory(w->e);
  if (!status && changed)
    status = make_call(w->m->layers[n->layer], w->calls[index], in, n->n_in, 0, &w->made[index], w->e);
  cn_arena_free(&arena);
  return status;
}

static cn_status rewired(rewiring *w, const char *name, cn_model **out) {
  cn_model *m = w->m;
  cn_arena arena = {0};
  cornu_symbol **inputs = cn_arena_array(&arena, (size_t)m->n_inputs + 1, sizeof *inputs),
               **outputs = cn_arena_array(&arena, (size_t)m->n_outputs + 1, sizeof *outputs);
  cn_status status = inputs && outputs ? CORNU_OK : cn_no_memory(w->e);
  for (int i = 0; i < m->n_inputs && !status; i++) inputs[i] = w->calls[m->inputs[i].node]->out;
  for (int i = 0; i < m->n_outputs && !status; i++) outputs[i] = now(w, m->outputs[i]);
  cn_assembly a = {.name = name ? name : m->name, .inputs = inputs, .outputs = outputs, .input_keys = m->input_keys,
                   .output_keys = m->output_keys, .n_inputs = m->n_inputs, .n_outputs = m->n_outputs,
                   .sequential = m->sequential};
  if (!status) status = cn_model_assemble(&a, out, w->e);
  cn_arena_free(&arena);
  return status;
}

cornu_status cornu_model_rewire(cornu_model *m, cornu_symbol *const *before, cornu_symbol *const *after, int n,
                                const char *name, cornu_model **out, cornu_error *e) {
  *out = NULL;
  rewiring w = {.m = m, .before = before, .after = after, .n = n, .e = e};
  CN_TRY(cn_model_calls(m, &w.calls, e));
  w.made = cn_calloc((size_t)m->n_nodes + 1, sizeof(cn_region *));
  cn_status status = w.made ? CORNU_OK : cn_no_memory(e);
  for (int i = 0; i < m->n_nodes && !status; i++) status = rewire_node(&w, i);
  if (!status) status = rewired(&w, name, out);
  for (int i = 0; w.made && i < m->n_nodes; i++)
    if (w.made[i]) cn_region_drop(w.made[i]);
  cn_free(w.made);
  return status;
}
