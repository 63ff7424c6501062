/* Slices: other ends of the same graph of calls; layers and weights are shared. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/build.h"

typedef struct slicer {
  const cn_model *m;
  cn_model *out;
  const bool *cut;       /* layer: its calls are where the slice begins */
  int below;             /* layers before this index are outside: what they make is an input */
  int *moved;            /* node of m -> node of out, or -1 */
  int *layer_moved;
  bool *needed;          /* node of m */
  cn_error *e;
} slicer;

/* Inputs of the slice that stand for a value made outside: one for each value. */
typedef struct outside { cn_model_ref ref; int node; } outside;

static bool begins_here(const slicer *s, const cn_model_node *n) { return s->cut && n->layer >= 0 && s->cut[n->layer]; }
static bool is_outside(const slicer *s, int node) {
  const cn_model_node *n = &s->m->nodes[node];
  return n->input < 0 && n->layer >= 0 && n->layer < s->below;
}

static void mark(slicer *s) {
  for (int i = s->m->n_nodes - 1; i >= 0; i--) {
    const cn_model_node *n = &s->m->nodes[i];
    if (!s->needed[i] || begins_here(s, n) || is_outside(s, i)) continue;
    for (int k = 0; k < n->n_in; k++) s->needed[n->in[k].node] = true;
  }
}

static const char *made_by(const cn_model *m, int node) {
  const cn_model_node *n = &m->nodes[node];
  return n->layer >= 0 ? m->layers[n->layer]->name : n->input_name;
}

/* The node in the slice for a value of m: its copy, or an input that stands for it. */
static cn_status find_value(slicer *s, cn_model_ref ref, bool outside_value, outside *list, int *count,
                            cn_model_ref *out) {
  if (!outside_value) {
    *out = (cn_model_ref){s->moved[ref.node], ref.tensor};
    return CORNU_OK;
  }
  for (int i = 0; i < *count; i++)
    if (list[i].ref.node == ref.node && list[i].ref.tensor == ref.tensor)
      return *out = (cn_model_ref){list[i].node, 0}, CORNU_OK;
  const cn_type *type = cn_model_type(s->m, ref);
  if (!type) return cn_fail(s->e, CORNU_ERR_ARGUMENT, "the model must be built before it is sliced");
  CN_TRY(cn_model_add_input(s->out, -1, made_by(s->m, ref.node), type, s->e));
  list[(*count)++] = (outside){ref, s->out->n_nodes - 1};
  *out = (cn_model_ref){s->out->n_nodes - 1, 0};
  return CORNU_OK;
}

static cn_status copy_layer(slicer *s, int layer, int *out) {
  if (layer >= 0 && s->layer_moved[layer] < 0) {
    CN_TRY(cn_model_add_layer(s->out, s->m->layers[layer], s->e));
    s->layer_moved[layer] = s->out->n_layers - 1;
  }
  *out = layer < 0 ? -1 : s->layer_moved[layer];
  return CORNU_OK;
}

static cn_status copy_node(slicer *s, int index, outside *list, int *count) {
  const cn_model_node *n = &s->m->nodes[index];
  int layer;
  if (n->input >= 0) {
    CN_TRY(copy_layer(s, n->layer, &layer));
    CN_TRY(cn_model_add_input(s->out, layer, n->input_name, &n->out_types[0], s->e));
    s->moved[index] = s->out->n_nodes - 1;
    return CORNU_OK;
  }
  cn_model_ref *in = cn_arena_array(&s->out->arena, (size_t)n->n_in + 1, sizeof *in);
  if (!in) return cn_no_memory(s->e);
  for (int k = 0; k < n->n_in; k++) {
    int from = n->in[k].node;
    CN_TRY(find_value(s, n->in[k],
                      begins_here(s, n) ? s->m->nodes[from].input < 0 || s->moved[from] < 0 : is_outside(s, from), list,
                      count, &in[k]));
  }
  CN_TRY(copy_layer(s, n->layer, &layer));
  cn_model_node *copy = cn_model_add_node(s->out, layer, n->n_in);
  if (!copy) return cn_no_memory(s->e);
  memcpy(copy->in, in, sizeof *in * (size_t)n->n_in);
  copy->n_positional = n->n_positional;
  copy->args = cn_value_copy(&s->out->arena, n->args);
  copy->kwargs = cn_value_copy(&s->out->arena, n->kwargs);
  copy->n_out = n->n_out;
  copy->out_types = cn_arena_array(&s->out->arena, (size_t)n->n_out + 1, sizeof *copy->out_types);
  if (!copy->out_types || (n->args && !copy->args) || (n->kwargs && !copy->kwargs)) return cn_no_memory(s->e);
  memcpy(copy->out_types, n->out_types, sizeof *n->out_types * (size_t)n->n_out);
  s->moved[index] = s->out->n_nodes - 1;
  return CORNU_OK;
}

static cn_status copy_parts(slicer *s, const cn_model_ref *ends, const char *const *keys, int n_ends) {
  outside *list = cn_arena_array(&s->out->arena, (size_t)s->m->n_nodes * 4 + CN_MAX_OUT, sizeof *list);
  if (!list) return cn_no_memory(s->e);
  int count = 0;
  for (int i = 0; i < n_ends; i++) s->needed[ends[i].node] = true;
  mark(s);
  /* The model's own inputs first, in their order. */
  for (int i = 0; i < s->m->n_inputs; i++)
    if (s->needed[s->m->inputs[i].node]) CN_TRY(copy_node(s, s->m->inputs[i].node, list, &count));
  for (int i = 0; i < s->m->n_nodes; i++)
    if (s->needed[i] && s->moved[i] < 0 && !is_outside(s, i)) CN_TRY(copy_node(s, i, list, &count));
  for (int i = 0; i < n_ends; i++) {
    if (s->moved[ends[i].node] < 0)
      return cn_fail(s->e, CORNU_ERR_ARGUMENT, "\"%s\" lies before the beginning of the slice",
                     made_by(s->m, ends[i].node));
    CN_TRY(cn_model_add_output(s->out, (cn_model_ref){s->moved[ends[i].node], ends[i].tensor}, keys ? keys[i] : NULL,
                               s->e));
  }
  return CORNU_OK;
}

static bool is_chain(const cn_model *m) {
  for (int i = 0; i < m->n_nodes; i++)
    if (m->nodes[i].layer >= 0 && (m->nodes[i].n_in != 1 || m->nodes[i].in[0].node != i - 1)) return false;
  return m->n_inputs == 1 && m->n_outputs == 1;
}

static cn_status slice(cn_model *m, const bool *cut, int below, const cn_model_ref *ends, const char *const *keys,
                       int n_ends, cn_model **out, cn_error *e) {
  *out = NULL;
  if (!m->built) return cn_fail(e, CORNU_ERR_ARGUMENT, "\"%s\" is not built: its input shape is not known", m->name);
  slicer s = {.m = m, .cut = cut, .below = below, .e = e};
  CN_TRY(cn_model_alloc(&s.out, e));
  size_t n = (size_t)m->n_nodes + 1, layers = (size_t)m->n_layers + 1;
  s.moved = cn_arena_array(&s.out->arena, n, sizeof *s.moved);
  s.needed = cn_arena_array(&s.out->arena, n, sizeof *s.needed);
  s.layer_moved = cn_arena_array(&s.out->arena, layers, sizeof *s.layer_moved);
  s.out->origin = m->origin;
  s.out->customs = m->customs ? cn_custom_set_share(m->customs) : NULL;
  s.out->name = cn_arena_printf(&s.out->arena, "%s_slice", m->name);
  s.out->class_name = "Functional";
  s.out->path = cn_arena_string(&s.out->arena, m->path);
  s.out->keras_version = cn_arena_string(&s.out->arena, m->keras_version);
  s.out->backend = cn_arena_string(&s.out->arena, m->backend);
  cn_status status = CORNU_OK;
  if (!s.moved || !s.needed || !s.layer_moved || !s.out->name || !s.out->path || !s.out->keras_version ||
      !s.out->backend)
    status = cn_no_memory(e);
  if (!status) {
    memset(s.moved, -1, n * sizeof *s.moved);
    memset(s.layer_moved, -1, layers * sizeof *s.layer_moved);
    status = copy_parts(&s, ends, keys, n_ends);
  }
  if (status) {
    cornu_model_release(s.out);
    return status;
  }
  s.out->sequential = m->sequential && is_chain(s.out);
  s.out->built = true;
  *out = s.out;
  return CORNU_OK;
}

/* The outputs of a layer's last call. */
static cn_status layer_ends(const cn_model *m, const cn_layer *l, cn_model_ref *ends, int *n, int room, cn_error *e) {
  for (int i = m->n_nodes - 1; i >= 0; i--) {
    if (m->nodes[i].layer < 0 || m->layers[m->nodes[i].layer] != l) continue;
    for (int k = 0; k < m->nodes[i].n_out && *n < room; k++) ends[(*n)++] = (cn_model_ref){i, k};
    return CORNU_OK;
  }
  return cn_fail(e, CORNU_ERR_NOT_FOUND, "layer \"%s\" is not a layer of \"%s\"", l->name, m->name);
}

static int layer_index(const cn_model *m, const cn_layer *l) {
  for (int i = 0; i < m->n_layers; i++)
    if (m->layers[i] == l) return i;
  return -1;
}

cornu_status cornu_model_slice(cornu_model *m, cornu_layer *const *from, int n_from, cornu_layer *const *to, int n_to,
                               cornu_model **out, cornu_error *e) {
  *out = NULL;
  int room = n_to * CN_MAX_OUT + 1, n_ends = 0;
  bool *cut = cn_calloc((size_t)m->n_layers + 1, sizeof *cut);
  cn_model_ref *ends = cn_calloc((size_t)room, sizeof *ends);
  cn_status status = cut && ends ? CORNU_OK : cn_no_memory(e);
  for (int i = 0; i < n_from && !status; i++) {
    int index = layer_index(m, from[i]);
    if (index < 0)
      status = cn_fail(e, CORNU_ERR_NOT_FOUND, "layer \"%s\" is not a layer of \"%s\"", from[i]->name, m->name);
    else cut[index] = true;
  }
  for (int i = 0; i < n_to && !status; i++) status = layer_ends(m, to[i], ends, &n_ends, room, e);
  if (!status)
    status = n_to ? slice(m, n_from ? cut : NULL, 0, ends, NULL, n_ends, out, e)
                  : slice(m, n_from ? cut : NULL, 0, m->outputs, m->output_keys, m->n_outputs, out, e);
  cn_free(cut);
  cn_free(ends);
  return status;
}

cornu_status cornu_model_range(cornu_model *m, int first, int last, cornu_model **out, cornu_error *e) {
  *out = NULL;
  if (first < 0 || last >= m->n_layers || first > last)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "layers %d to %d: \"%s\" has layers 1 to %d", first + 1, last + 1, m->name,
                   m->n_layers);
  cn_model_ref ends[CN_MAX_OUT];
  int n_ends = 0;
  CN_TRY(layer_ends(m, m->layers[last], ends, &n_ends, CN_MAX_OUT, e));
  return slice(m, NULL, first, ends, NULL, n_ends, out, e);
}
