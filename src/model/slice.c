/* Finding the calls of layers in a model, those inside of nested models with them; slices between them. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/symbols.h"

/* What is looked for, a path or a layer, and the calls found. Values inside that are inputs stand for themselves. */
typedef struct place { cn_symbol_call *call; cornu_symbol *value; } place;
typedef struct finder {
  cn_model *m;           /* keeps the insides */
  const cn_layer *layer; /* NULL: the path */
  cn_arena arena;
  place *found;
  int n, cap;
  long tensor;           /* "name:2": the second tensor alone; 0: all */
  cn_error *e;
} finder;

/* The calls of a model by node: its own, or those of the inside of one call. */
typedef struct scope { const cn_model *m; cn_symbol_call **calls; cn_region *inside; } scope;

static cn_symbol_call *call_at(const scope *s, int node) {
  return s->inside ? &s->inside->calls[node] : s->calls[node];
}

static cn_status add_found(finder *f, const scope *s, int node) {
  const cn_model_node *n = &s->m->nodes[node];
  if (!cn_arena_grow(&f->arena, &f->found, &f->cap, f->n, sizeof *f->found)) return cn_no_memory(f->e);
  cornu_symbol *value = s->inside && n->input >= 0 ? s->inside->opens->in[n->input] : NULL;
  f->found[f->n++] = (place){call_at(s, node), value};
  return CORNU_OK;
}

static int count_calls(const cn_model *m, int layer) {
  int calls = 0;
  for (int i = 0; i < m->n_nodes; i++) calls += m->nodes[i].layer == layer;
  return calls;
}

static int first_call(const cn_model *m, int layer) {
  for (int i = 0; i < m->n_nodes; i++)
    if (m->nodes[i].layer == layer) return i;
  return -1;
}

static cn_status search(finder *f, const scope *s, const char *path);

/* Every call of the layer, or the one with this number (from 1, negative from the end; 0: all): it is what is looked
 * for (rest NULL), or the search goes on inside. */
static cn_status take_calls(finder *f, const scope *s, int layer, long wanted, const char *rest) {
  int total = count_calls(s->m, layer);
  if (wanted < 0) wanted += total + 1;
  for (int k = 0; k < total; k++) {
    if (wanted && k + 1 != wanted) continue;
    int node = total == 1 ? first_call(s->m, layer) : cn_model_call_node(s->m, layer, k);
    if (!rest) {
      CN_TRY(add_found(f, s, node));
      continue;
    }
    scope inner = {.m = s->m->layers[layer]->model};
    CN_TRY(cn_model_inside(f->m, call_at(s, node), &inner.inside, f->e));
    CN_TRY(search(f, &inner, rest));
  }
  return CORNU_OK;
}

/* "name[2]": the number of a call behind a label; returns what follows, NULL: no number there. */
static const char *call_number(const char *text, long *out) {
  char *end;
  if (*text != '[') return NULL;
  *out = strtol(text + 1, &end, 10);
  return end > text + 1 && *end == ']' && *out ? end + 1 : NULL;
}

/* "name:2", the end of a path: one tensor of several. */
static bool tensor_number(const char *text, long *out) {
  char *end = NULL;
  long v = *text == ':' ? strtol(text + 1, &end, 10) : 0;
  if (v < 1 || *end) return false;
  *out = v;
  return true;
}

static cn_status search_path(finder *f, const scope *s, const char *path) {
  for (int i = 0; i < s->m->n_layers; i++)
    if (strcmp(cn_model_label(s->m, i), path) == 0) return take_calls(f, s, i, 0, NULL);
  for (int i = 0; i < s->m->n_layers && !f->n; i++) {
    const char *label = cn_model_label(s->m, i), *rest = path + strlen(label);
    long call = 0;
    if (strncmp(path, label, strlen(label)) != 0) continue;
    const char *behind = call_number(rest, &call);
    if (behind) rest = behind;
    if ((behind && !*rest) || tensor_number(rest, &f->tensor)) CN_TRY(take_calls(f, s, i, call, NULL));
    else if (*rest == '/' && s->m->layers[i]->model) CN_TRY(take_calls(f, s, i, call, rest + 1));
  }
  return CORNU_OK;
}

static bool contains(const cn_model *m, const cn_layer *l) {
  for (int i = 0; i < m->n_layers; i++)
    if (m->layers[i] == l || (m->layers[i]->model && contains(m->layers[i]->model, l))) return true;
  return false;
}

static cn_status search(finder *f, const scope *s, const char *path) {
  if (!f->layer) return search_path(f, s, path);
  for (int i = 0; i < s->m->n_layers; i++) {
    const cn_layer *l = s->m->layers[i];
    if (l == f->layer) CN_TRY(take_calls(f, s, i, 0, NULL));
    else if (l->model && contains(l->model, f->layer)) CN_TRY(take_calls(f, s, i, 0, ""));
  }
  return CORNU_OK;
}

static cn_status not_found(finder *f, const char *path) {
  cn_text all = {0};
  for (int i = 0; i < f->m->n_layers; i++) cn_text_addf(&all, "%s ", cn_model_label(f->m, i));
  char nearest[80];
  bool near = path && all.data && cn_nearest_name(path, all.data, nearest, sizeof nearest);
  cn_text_free(&all);
  return cn_fail(f->e, CORNU_ERR_NOT_FOUND, "no layer \"%s\" in model \"%s\"%s%s%s", path ? path : f->layer->name,
                 f->m->name, near ? ": did you mean \"" : ": model:summary() lists them", near ? nearest : "",
                 near ? "\"?" : "");
}

static cn_status find(finder *f, const char *path) {
  scope top = {.m = f->m};
  CN_TRY(cn_model_calls(f->m, &top.calls, f->e));
  CN_TRY(search(f, &top, path));
  return f->n ? CORNU_OK : not_found(f, path);
}

/* ---- Their values ---- */

static cn_status put(cornu_symbol *s, cornu_symbol **out, int *n, int room, cn_error *e) {
  if (*n >= room) return cn_fail(e, CORNU_ERR_LIMIT, "more than %d tensors go in or come out", room);
  out[(*n)++] = cornu_symbol_retain(s);
  return CORNU_OK;
}

static cn_status put_values(const finder *f, const place *p, bool outputs, cornu_symbol **out, int *n, int room) {
  bool in = !outputs && !p->call->input;
  int count = p->value ? 1 : in ? p->call->n_in : p->call->n_out;
  if (f->tensor > count)
    return cn_fail(f->e, CORNU_ERR_NOT_FOUND, "layer \"%s\" has %d %s%s, no number %ld", cn_symbol_label(p->call->out),
                   count, in ? "input" : "output", count == 1 ? "" : "s", f->tensor);
  for (int i = f->tensor ? (int)f->tensor - 1 : 0; i < (f->tensor ? (int)f->tensor : count); i++)
    CN_TRY(put(p->value ? p->value : in ? p->call->in[i] : &p->call->out[i], out, n, room, f->e));
  return CORNU_OK;
}

static cn_status values(finder *f, const char *path, int call, bool outputs, cornu_symbol **out, int *n) {
  int room = *n;
  *n = 0;
  cn_status status = find(f, path);
  if (!status && call != CORNU_EVERY_CALL && (call < -f->n || call >= f->n))
    status = cn_fail(f->e, CORNU_ERR_NOT_FOUND, "layer \"%s\" has %d call%s in model \"%s\", no number %d",
                     path ? path : f->layer->name, f->n, f->n == 1 ? "" : "s", f->m->name, call < 0 ? call : call + 1);
  for (int i = 0; i < f->n && !status; i++)
    if (call == CORNU_EVERY_CALL || i == (call < 0 ? call + f->n : call))
      status = put_values(f, &f->found[i], outputs, out, n, room);
  while (status && *n > 0) cornu_symbol_release(out[--*n]);
  cn_arena_free(&f->arena);
  return status;
}

cornu_status cornu_model_end(cornu_model *m, bool output, int i, cornu_symbol **out, cornu_error *e) {
  *out = NULL;
  cn_symbol_call **calls;
  CN_TRY(cn_model_calls(m, &calls, e));
  if (i < 0 || i >= (output ? m->n_outputs : m->n_inputs))
    return cn_fail(e, CORNU_ERR_NOT_FOUND, "\"%s\" has no %s %d", m->name, output ? "output" : "input", i + 1);
  cn_model_ref ref = output ? m->outputs[i] : m->inputs[i];
  *out = cornu_symbol_retain(&calls[ref.node]->out[ref.tensor]);
  return CORNU_OK;
}

cornu_status cornu_model_values(cornu_model *m, const char *path, int call, bool outputs, cornu_symbol **out, int *n,
                                cornu_error *e) {
  return values(&(finder){.m = m, .e = e}, path, call, outputs, out, n);
}

cornu_status cornu_layer_values(cornu_model *m, const cornu_layer *l, int call, bool outputs, cornu_symbol **out,
                                int *n, cornu_error *e) {
  return values(&(finder){.m = m, .layer = l, .e = e}, NULL, call, outputs, out, n);
}

int cornu_layer_calls(const cornu_model *m, const cornu_layer *l) {
  int calls = 0;
  for (int i = 0; i < m->n_layers; i++) {
    const cn_layer *at = m->layers[i];
    if (at == l) calls += count_calls(m, i);
    else if (at->model && contains(at->model, l)) calls += count_calls(m, i) * cornu_layer_calls(at->model, l);
  }
  return calls;
}

/* ---- Slices ---- */

static cn_status part(cn_model *m, cn_assembly *a, cn_model **out, cn_error *e) {
  *out = NULL;
  cn_symbol_call **calls;
  CN_TRY(cn_model_calls(m, &calls, e));
  cn_arena arena = {0};
  cornu_symbol **own = cn_arena_array(&arena, (size_t)m->n_outputs + 1, sizeof *own);
  a->part_of = m;
  a->name = cn_arena_printf(&arena, "%s_slice", m->name);
  cn_status status = a->name && own ? CORNU_OK : cn_no_memory(e);
  for (int i = 0; i < m->n_outputs && !status; i++) own[i] = &calls[m->outputs[i].node]->out[m->outputs[i].tensor];
  if (!a->n_outputs) a->outputs = own, a->n_outputs = m->n_outputs, a->output_keys = m->output_keys;
  if (!status) status = cn_model_assemble(a, out, e);
  cn_arena_free(&arena);
  return status;
}

cornu_status cornu_model_between(cornu_model *m, cornu_symbol *const *from, int n_from, cornu_symbol *const *to,
                                 const char *const *keys, int n_to, cornu_model **out, cornu_error *e) {
  cn_assembly a = {.inputs = from, .n_inputs = n_from, .outputs = to, .output_keys = keys, .n_outputs = n_to};
  return part(m, &a, out, e);
}

cornu_status cornu_model_outputs_of(cornu_model *m, cornu_symbol *const *outputs, const char *const *keys, int n,
                                    cornu_model **out, cornu_error *e) {
  cn_assembly a = {.outputs = outputs, .output_keys = keys, .n_outputs = n, .all_inputs = true};
  return part(m, &a, out, e);
}

enum { MOST_ENDS = 4096 };

typedef struct ends { cornu_symbol *items[MOST_ENDS]; int n; } ends;

static void drop_ends(ends *list) {
  for (int i = 0; list && i < list->n; i++) cornu_symbol_release(list->items[i]);
  cn_free(list);
}

static cn_status add_ends(ends *list, cn_model *m, cn_layer *const *layers, int n, int call, bool outputs, cn_error *e) {
  for (int i = 0; i < n; i++) {
    int room = MOST_ENDS - list->n;
    CN_TRY(cornu_layer_values(m, layers[i], call, outputs, list->items + list->n, &room, e));
    list->n += room;
  }
  return CORNU_OK;
}

cornu_status cornu_model_slice(cornu_model *m, cornu_layer *const *from, int n_from, cornu_layer *const *to, int n_to,
                               cornu_model **out, cornu_error *e) {
  *out = NULL;
  ends *first = cn_calloc(1, sizeof *first), *last = cn_calloc(1, sizeof *last);
  cn_status status = first && last ? CORNU_OK : cn_no_memory(e);
  if (!status) status = add_ends(first, m, from, n_from, CORNU_EVERY_CALL, false, e);
  if (!status) status = add_ends(last, m, to, n_to, -1, true, e);
  if (!status) status = cornu_model_between(m, first->items, first->n, last->items, NULL, last->n, out, e);
  drop_ends(first);
  drop_ends(last);
  return status;
}

/* What layers before `first` make and the later ones, up to those of the ends, take. */
static cn_status taken_from_before(cn_model *m, int first, const ends *last, ends *out, cn_error *e) {
  cn_symbol_call **calls;
  CN_TRY(cn_model_calls(m, &calls, e));
  bool *needed = cn_calloc((size_t)m->n_nodes + 1, sizeof *needed);
  if (!needed) return cn_no_memory(e);
  cn_status status = CORNU_OK;
  for (int i = m->n_nodes - 1; i >= 0 && !status; i--) {
    const cn_model_node *n = &m->nodes[i];
    for (int k = 0; k < last->n; k++) needed[i] |= last->items[k]->call == calls[i];
    bool before = n->input < 0 && n->layer >= 0 && n->layer < first;
    for (int k = 0; needed[i] && !before && k < n->n_in; k++) needed[n->in[k].node] = true;
  }
  for (int i = 0; i < m->n_nodes && !status; i++) {
    const cn_model_node *n = &m->nodes[i];
    bool before = n->input < 0 && n->layer >= 0 && n->layer < first;
    for (int k = 0; needed[i] && !before && k < n->n_in && !status; k++) {
      const cn_model_node *maker = &m->nodes[n->in[k].node];
      if (maker->input < 0 && maker->layer >= 0 && maker->layer < first)
        status = put(calls[i]->in[k], out->items, &out->n, MOST_ENDS, e);
    }
  }
  cn_free(needed);
  return status;
}

cornu_status cornu_model_range(cornu_model *m, int first, int last, cornu_model **out, cornu_error *e) {
  *out = NULL;
  if (first < 0 || last >= m->n_layers || first > last)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "layers %d to %d: \"%s\" has layers 1 to %d", first + 1, last + 1, m->name,
                   m->n_layers);
  ends *from = cn_calloc(1, sizeof *from), *to = cn_calloc(1, sizeof *to);
  cn_status status = from && to ? CORNU_OK : cn_no_memory(e);
  if (!status) status = add_ends(to, m, &m->layers[last], 1, -1, true, e);
  if (!status) status = taken_from_before(m, first, to, from, e);
  if (!status) status = cornu_model_between(m, from->items, from->n, to->items, NULL, to->n, out, e);
  drop_ends(from);
  drop_ends(to);
  return status;
}
