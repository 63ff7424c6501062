/* Models from symbols: the calls between the inputs and the outputs, in an order that suits both. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/build.h"
#include "model/symbols.h"

/* A call that the model needs, and which one asked for it (-1: an output). */
typedef struct needed { cn_symbol_call *call; int user, node; } needed;

typedef struct assembler {
  const cn_assembly *a;
  cn_model *m;
  cn_arena arena;
  needed *list;              /* in the order of discovery; later sorted */
  int n, cap;
  int *table, table_size;    /* open addressing over list, by call; 0: empty, else index + 1 */
  cn_region **opened;        /* insides that the ends lie in: their calls take the place of what they open */
  int n_opened, cap_opened;
  cornu_symbol **inputs;     /* the model's inputs */
  const char **keys;
  int n_inputs, cap_inputs, cap_keys;
  cn_map labels;             /* of m's layers -> place in m->layers, from 1 */
  cn_error *e;
} assembler;

/* ---- A set of calls ---- */

static size_t slot_of(const assembler *s, const cn_symbol_call *c) {
  size_t mask = (size_t)s->table_size - 1, i = (size_t)(c->serial * 0x9E3779B97F4A7C15u >> 20) & mask;
  while (s->table[i] && s->list[s->table[i] - 1].call != c) i = (i + 1) & mask;
  return i;
}

static cn_status grow_table(assembler *s) {
  int size = s->table_size ? s->table_size * 2 : 64;
  int *table = cn_arena_array(&s->arena, (size_t)size, sizeof *table);
  if (!table) return cn_no_memory(s->e);
  s->table = table;
  s->table_size = size;
  for (int i = 0; i < s->n; i++) s->table[slot_of(s, s->list[i].call)] = i + 1;
  return CORNU_OK;
}

static needed *find(const assembler *s, const cn_symbol_call *c) {
  int at = s->table_size ? s->table[slot_of(s, c)] : 0;
  return at ? &s->list[at - 1] : NULL;
}

static cn_status need(assembler *s, cn_symbol_call *c, int user) {
  if (find(s, c)) return CORNU_OK;
  if (s->n * 2 >= s->table_size) CN_TRY(grow_table(s));
  if (!cn_arena_grow(&s->arena, &s->list, &s->cap, s->n, sizeof *s->list)) return cn_no_memory(s->e);
  s->list[s->n++] = (needed){c, user, -1};
  s->table[slot_of(s, c)] = s->n;
  return CORNU_OK;
}

/* ---- What stands for a symbol ---- */

static cn_status open_around(assembler *s, cornu_symbol *symbol) {
  for (cn_region *r = symbol->call->region; r->opens; r = r->opens->region) {
    bool known = false;
    for (int i = 0; i < s->n_opened; i++) known |= s->opened[i]->opens == r->opens;
    if (known) continue;
    if (!cn_arena_grow(&s->arena, &s->opened, &s->cap_opened, s->n_opened, sizeof *s->opened))
      return cn_no_memory(s->e);
    s->opened[s->n_opened++] = r;
  }
  return CORNU_OK;
}

/* The value itself, or that inside of a nested model which is taken apart. */
static cornu_symbol *resolve(const assembler *s, cornu_symbol *symbol) {
  for (int i = 0; i < s->n_opened; i++)
    if (s->opened[i]->opens == symbol->call) {
      symbol = s->opened[i]->results[symbol->tensor];
      i = -1; /* which may be inside of another */
    }
  return symbol;
}

static int input_index(const assembler *s, const cornu_symbol *symbol) {
  for (int i = 0; i < s->n_inputs; i++)
    if (s->inputs[i] == symbol) return i;
  return -1;
}

static cn_status add_input(assembler *s, cornu_symbol *symbol, const char *key) {
  if (!cn_arena_grow(&s->arena, &s->inputs, &s->cap_inputs, s->n_inputs, sizeof *s->inputs) ||
      !cn_arena_grow(&s->arena, &s->keys, &s->cap_keys, s->n_inputs, sizeof *s->keys))
    return cn_no_memory(s->e);
  s->inputs[s->n_inputs] = symbol;
  s->keys[s->n_inputs++] = key;
  return CORNU_OK;
}

/* ---- Collecting ---- */

static cn_status disconnected(const assembler *s, const cornu_symbol *input, int user) {
  return cn_fail(s->e, CORNU_ERR_ARGUMENT,
                 "the graph is disconnected: %s%s%s needs the input \"%s\", which is not among the inputs",
                 user >= 0 ? "layer \"" : "an output", user >= 0 ? cn_symbol_label(s->list[user].call->out) : "",
                 user >= 0 ? "\"" : "", cn_symbol_label(input));
}

static cn_status reach(assembler *s, cornu_symbol *symbol, int user, bool *used) {
  symbol = resolve(s, symbol);
  int input = input_index(s, symbol);
  if (input >= 0) {
    used[input] = true;
    return CORNU_OK;
  }
  if (symbol->call->input && !s->a->part_of) return disconnected(s, symbol, user);
  return need(s, symbol->call, user);
}

/* Ends of a slice are computed even where they are also its inputs. */
static cn_status reach_end(assembler *s, cornu_symbol *end, bool *used) {
  end = resolve(s, end);
  return s->a->part_of && !end->call->input ? need(s, end->call, -1) : reach(s, end, -1, used);
}

static cn_status collect(assembler *s, bool *used) {
  for (int i = 0; i < s->a->n_outputs; i++) CN_TRY(reach_end(s, s->a->outputs[i], used));
  for (int i = 0; i < s->n; i++)
    for (int k = 0; k < s->list[i].call->n_in; k++) CN_TRY(reach(s, s->list[i].call->in[k], i, used));
  return CORNU_OK;
}

/* ---- The order of calls: as they were made; the inside of a call stands where the call stood ---- */

static const cn_symbol_call *outer_call(const cn_symbol_call *c, int up) {
  while (up-- > 0) c = c->region->opens;
  return c;
}

static int depth_of(const cn_symbol_call *c) {
  int depth = 0;
  for (; c->region->opens; c = c->region->opens) depth++;
  return depth;
}

static int by_order(const void *a, const void *b) {
  const cn_symbol_call *x = ((const needed *)a)->call, *y = ((const needed *)b)->call;
  int dx = depth_of(x), dy = depth_of(y), most = dx < dy ? dx : dy;
  for (int level = 0; level <= most; level++) {
    const cn_symbol_call *u = outer_call(x, dx - level), *v = outer_call(y, dy - level);
    if (u != v) return u->serial < v->serial ? -1 : 1;
  }
  return dx - dy;
}

/* A slice's own inputs come first, in its model's order; then the inputs given, as far as they are used. */
static cn_status settle_inputs(assembler *s, const bool *used) {
  cornu_symbol **given = s->inputs;
  int n_given = s->n_inputs;
  cn_model *m = s->a->part_of;
  cn_symbol_call **calls;
  if (!m) return CORNU_OK;
  CN_TRY(cn_model_calls(m, &calls, s->e));
  s->inputs = NULL;
  s->n_inputs = s->cap_inputs = 0;
  for (int i = 0; i < m->n_inputs; i++) {
    cn_symbol_call *own = calls[m->inputs[i].node];
    bool wanted = s->a->all_inputs || find(s, own) != NULL;
    for (int k = 0; k < n_given; k++) wanted |= given[k] == own->out && used[k];
    if (wanted) CN_TRY(add_input(s, own->out, m->input_keys[i]));
  }
  for (int k = 0; k < n_given; k++)
    if (used[k] && input_index(s, given[k]) < 0) CN_TRY(add_input(s, given[k], NULL));
  for (int i = 0; i < s->n; i++)
    if (s->list[i].call->input && input_index(s, s->list[i].call->out) < 0)
      return disconnected(s, s->list[i].call->out, s->list[i].user);
  return CORNU_OK;
}

/* ---- Writing the model ---- */

static const char *layer_label(const cn_symbol_call *c) { return c->label && !c->input ? c->label : c->layer->name; }

static int place_of(const assembler *s, const cn_symbol_call *c) {
  const cn_model *m = s->m;
  intptr_t at = (intptr_t)cn_map_get(&s->labels, layer_label(c));
  if (at && m->layers[at - 1] == c->layer) return (int)at - 1;
  if (!at && !c->label && !m->labels) return -1;
  for (int i = 0; i < m->n_layers; i++) /* under another label */
    if (m->layers[i] == c->layer) return i;
  return -1;
}

/* The layer's place in the model. Two layers of one name are an error, but not in a slice, which keeps the names. */
static cn_status place_layer(assembler *s, const cn_symbol_call *c, int *out) {
  cn_model *m = s->m;
  if ((*out = place_of(s, c)) >= 0) return CORNU_OK;
  if (!s->a->part_of) CN_TRY(cn_name_apart(&s->labels, c->layer, layer_label(c), m, s->e));
  const char *label = layer_label(c);
  CN_TRY(cn_model_add_layer(m, c->layer, s->e));
  *out = m->n_layers - 1;
  bool kept = s->a->part_of && cn_map_get(&s->labels, label);
  if (!kept && !cn_map_set(&s->labels, label, (void *)(intptr_t)m->n_layers)) return cn_no_memory(s->e);
  return c->label && !c->input ? cn_model_set_label(m, *out, c->label, s->e) : CORNU_OK;
}

/* Values of one layer that become inputs: "shared", "shared_2". */
static const char *input_name(assembler *s, int i) {
  const char *label = cn_symbol_label(s->inputs[i]);
  int same = 1;
  for (int k = 0; k < i; k++) same += strcmp(cn_symbol_label(s->inputs[k]), label) == 0;
  return same > 1 ? cn_arena_printf(&s->arena, "%s_%d", label, same) : label;
}

static cn_status write_input(assembler *s, int i, cn_symbol_call **calls) {
  cornu_symbol *symbol = s->inputs[i];
  int layer = -1;
  if (symbol->call->input && symbol->call->layer) CN_TRY(place_layer(s, symbol->call, &layer));
  const char *name = input_name(s, i);
  if (!name) return cn_no_memory(s->e);
  CN_TRY(cn_model_add_input(s->m, layer, name, &symbol->type, s->e));
  s->m->input_keys[i] = s->keys[i] ? cn_arena_string(&s->m->arena, s->keys[i]) : NULL;
  if (symbol->call->input) calls[s->m->n_nodes - 1] = symbol->call;
  return CORNU_OK;
}

static cn_status find_ref(assembler *s, cornu_symbol *symbol, bool end, cn_model_ref *out) {
  symbol = resolve(s, symbol);
  int input = input_index(s, symbol);
  needed *n = find(s, symbol->call);
  bool computed = n && n->node >= 0;
  if (input >= 0 && !(end && computed)) *out = s->m->inputs[input];
  else if (computed) *out = (cn_model_ref){n->node, symbol->tensor};
  else return cn_fail(s->e, CORNU_ERR_ARGUMENT, "\"%s\" is used before it is made", cn_symbol_label(symbol));
  return CORNU_OK;
}

static cn_status write_call(assembler *s, needed *n, cn_symbol_call **calls) {
  cn_symbol_call *c = n->call;
  int layer;
  CN_TRY(place_layer(s, c, &layer));
  cn_model_node *node = cn_model_add_node(s->m, layer, c->n_in);
  if (!node) return cn_no_memory(s->e);
  node->n_positional = c->n_positional;
  node->call = c->call;
  node->args = cn_value_copy(&s->m->arena, c->args);
  node->kwargs = cn_value_copy(&s->m->arena, c->kwargs);
  node->n_out = c->n_out;
  node->out_types = cn_arena_array(&s->m->arena, (size_t)c->n_out + 1, sizeof *node->out_types);
  if (!node->out_types || (c->args && !node->args) || (c->kwargs && !node->kwargs)) return cn_no_memory(s->e);
  for (int i = 0; i < c->n_out; i++) node->out_types[i] = c->out[i].type;
  for (int k = 0; k < c->n_in; k++) CN_TRY(find_ref(s, c->in[k], false, &node->in[k]));
  n->node = s->m->n_nodes - 1;
  calls[n->node] = c;
  return CORNU_OK;
}

/* Calls become the model's own, so that its symbols are those that it was made of; inputs in the middle of a graph are
 * new. */
static cn_status keep_calls(cn_model *m, cn_symbol_call **calls, cn_error *e) {
  cn_region *fresh = cn_region_new(m->n_inputs);
  m->symbols = cn_calloc(1, sizeof *m->symbols);
  cn_symbol_call **kept = fresh && m->symbols ? cn_calloc((size_t)m->n_nodes + 1, sizeof *kept) : NULL;
  bool done = kept != NULL;
  for (int i = 0; done && i < m->n_nodes; i++) {
    cn_model_node *n = &m->nodes[i];
    kept[i] = calls[i] ? calls[i] : &fresh->calls[n->input];
    if (calls[i]) continue;
    kept[i]->input = true;
    kept[i]->label = cn_arena_string(&fresh->arena, n->input_name);
    done = kept[i]->label && cn_symbol_call_outputs(kept[i], n->out_types, 1);
  }
  for (int i = 0; done && i < m->n_nodes; i++) cn_region_share(kept[i]->region);
  if (done) m->symbols->calls = kept;
  else cn_free(kept);
  if (fresh) cn_region_drop(fresh);
  return done ? CORNU_OK : cn_no_memory(e);
}

static cn_status write(assembler *s) {
  cn_symbol_call **calls = cn_arena_array(&s->arena, (size_t)(s->n + s->n_inputs) + 1, sizeof(cn_symbol_call *));
  if (!calls) return cn_no_memory(s->e);
  for (int i = 0; i < s->n_inputs; i++) CN_TRY(write_input(s, i, calls));
  for (int i = 0; i < s->n; i++)
    if (!s->list[i].call->input) CN_TRY(write_call(s, &s->list[i], calls));
  for (int i = 0; i < s->a->n_outputs; i++) {
    cn_model_ref ref;
    CN_TRY(find_ref(s, s->a->outputs[i], true, &ref));
    CN_TRY(cn_model_add_output(s->m, ref, s->a->output_keys ? s->a->output_keys[i] : NULL, s->e));
  }
  return keep_calls(s->m, calls, s->e);
}

static cn_status describe(assembler *s) {
  cn_model *m = s->m, *from = s->a->part_of;
  m->name = cn_arena_string(&m->arena, s->a->name);
  m->class_name = "Functional";
  m->origin = from ? from->origin : s->a->n_outputs && s->a->outputs[0]->call->layer
              ? s->a->outputs[0]->call->layer->origin : (cn_origin){.keras = 3, .minor = 15};
  m->customs = from && from->customs ? cn_custom_set_share(from->customs) : NULL;
  if (from) {
    m->path = cn_arena_string(&m->arena, from->path);
    if (from->optimizer_path) m->optimizer_path = cn_arena_string(&m->arena, from->optimizer_path);
    m->optimizer_trusted = from->optimizer_trusted;
    m->exact = from->exact;
    m->keras_version = cn_arena_string(&m->arena, from->keras_version);
    m->backend = cn_arena_string(&m->arena, from->backend);
  }
  return m->name && m->path && m->keras_version && m->backend ? CORNU_OK : cn_no_memory(s->e);
}

static bool is_chain(const cn_model *m) {
  for (int i = 0; i < m->n_nodes; i++)
    if (m->nodes[i].layer >= 0 && (m->nodes[i].n_in != 1 || m->nodes[i].in[0].node != i - 1)) return false;
  return m->n_inputs == 1 && m->n_outputs == 1;
}

static cn_status gather(assembler *s) {
  const cn_assembly *a = s->a;
  for (int i = 0; i < a->n_outputs; i++) CN_TRY(open_around(s, a->outputs[i]));
  for (int i = 0; i < a->n_inputs; i++) CN_TRY(open_around(s, a->inputs[i]));
  for (int i = 0; i < a->n_inputs; i++)
    CN_TRY(add_input(s, resolve(s, a->inputs[i]), a->input_keys ? a->input_keys[i] : NULL));
  bool *used = cn_arena_array(&s->arena, (size_t)a->n_inputs + 1, sizeof *used);
  if (!used) return cn_no_memory(s->e);
  CN_TRY(collect(s, used));
  CN_TRY(settle_inputs(s, used));
  if (s->n) qsort(s->list, (size_t)s->n, sizeof *s->list, by_order);
  memset(s->table, 0, sizeof *s->table * (size_t)s->table_size);
  for (int i = 0; i < s->n; i++) s->table[slot_of(s, s->list[i].call)] = i + 1;
  return CORNU_OK;
}

cn_status cn_model_assemble(const cn_assembly *a, cn_model **out, cn_error *e) {
  *out = NULL;
  assembler s = {.a = a, .e = e};
  CN_TRY(cn_model_alloc(&s.m, e));
  cn_status status = grow_table(&s);
  if (!status) status = describe(&s);
  if (!status) status = gather(&s);
  if (!status) status = write(&s);
  if (!status) {
    s.m->sequential = (a->sequential || (a->part_of && a->part_of->sequential)) && is_chain(s.m);
    s.m->built = true;
    *out = s.m;
  } else {
    cornu_model_release(s.m);
  }
  cn_map_free(&s.labels);
  cn_arena_free(&s.arena);
  return status;
}
