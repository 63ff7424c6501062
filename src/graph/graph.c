/* Graphs: building. */
#include "graph/graph.h"

#include <string.h>

#include "base/deadline.h"
#include "base/text.h"

cn_status cn_graph_new(cn_graph **out, cn_error *e) {
  *out = cn_calloc(1, sizeof(cn_graph));
  return *out ? CORNU_OK : cn_no_memory(e);
}

void cn_graph_free(cn_graph *g) {
  if (!g) return;
  for (int i = 0; i < g->n_edges; i++) cornu_tensor_release(g->edges[i].constant);
  cn_arena_free(&g->arena);
  cn_free(g);
}

static cn_status add_edge(cn_graph *g, const cn_type *type, int producer, cn_edge *out, cn_error *e) {
  for (int i = 0; i < type->rank; i++)
    if (type->shape[i] > CN_MAX_DIM)
      return cn_fail(e, CORNU_ERR_LIMIT, "the shape %s has a dimension of more than %lld elements",
                     CN_SHAPE(type->rank, type->shape), (long long)CN_MAX_DIM);
  if (!cn_arena_grow(&g->arena, &g->edges, &g->cap_edges, g->n_edges, sizeof *g->edges)) return cn_no_memory(e);
  g->edges[g->n_edges] = (cn_graph_edge){.type = *type, .producer = producer};
  *out = g->n_edges++;
  return CORNU_OK;
}

cn_status cn_graph_add_input(cn_graph *g, const cn_type *type, cn_edge *out, cn_error *e) {
  if (!cn_arena_grow(&g->arena, &g->inputs, &g->cap_inputs, g->n_inputs, sizeof *g->inputs)) return cn_no_memory(e);
  CN_TRY(add_edge(g, type, -1, out, e));
  g->edges[*out].is_input = true;
  g->inputs[g->n_inputs++] = *out;
  return CORNU_OK;
}

/* The slot that has the constant, or may take it. */
static int *slot_of(const cn_graph *g, const cn_tensor *value) {
  const uint64_t mixed = (uint64_t)(uintptr_t)value * 0x9E3779B97F4A7C15u;
  unsigned i = (unsigned)(mixed >> 32);
  for (;; i++) {
    int *slot = &g->slots[i & (unsigned)(g->n_slots - 1)];
    if (!*slot || g->edges[*slot - 1].constant == value) return slot;
  }
}

static bool grow_slots(cn_graph *g) {
  if (2 * (g->n_constants + 1) <= g->n_slots) return true;
  const int *old = g->slots;
  const int n_old = g->n_slots, n = n_old ? 2 * n_old : 64;
  int *slots = cn_arena_array(&g->arena, (size_t)n, sizeof *slots);
  if (!slots) return false;
  g->slots = slots;
  g->n_slots = n;
  for (int i = 0; i < n_old; i++)
    if (old[i]) *slot_of(g, g->edges[old[i] - 1].constant) = old[i];
  return true;
}

cn_status cn_graph_add_constant(cn_graph *g, const cn_type *type, cn_tensor *value, cn_edge *out, cn_error *e) {
  if (!value) return add_edge(g, type, -1, out, e);
  if (!grow_slots(g)) return cn_no_memory(e);
  int *slot = slot_of(g, value);
  if (*slot) return *out = *slot - 1, CORNU_OK;
  CN_TRY(add_edge(g, type, -1, out, e));
  g->edges[*out].constant = cornu_tensor_retain(value);
  g->n_constants++;
  *slot = *out + 1;
  return CORNU_OK;
}

cn_status cn_graph_add_output(cn_graph *g, cn_edge edge, cn_error *e) {
  if (!cn_arena_grow(&g->arena, &g->outputs, &g->cap_outputs, g->n_outputs, sizeof *g->outputs)) return cn_no_memory(e);
  g->outputs[g->n_outputs++] = edge;
  return CORNU_OK;
}

static cn_status check_arity(const cn_op *op, int n_in, cn_error *e) {
  if (n_in >= op->min_in && (op->max_in < 0 || n_in <= op->max_in)) return CORNU_OK;
  if (op->max_in == op->min_in)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "%s takes %d inputs, not %d", op->name, op->min_in, n_in);
  return cn_fail(e, CORNU_ERR_ARGUMENT, "%s takes %s%d inputs, not %d", op->name,
                 op->max_in < 0 ? "at least " : "up to ", op->max_in < 0 ? op->min_in : op->max_in, n_in);
}

cn_status cn_graph_add(cn_graph *g, const cn_op *op, const void *attrs, const cn_edge *in, int n_in, const char *label,
                       cn_edge *first_out, int *n_out, cn_error *e) {
  CN_TRY(cn_check_time(e));
  CN_TRY(check_arity(op, n_in, e));
  cn_type *types = cn_arena_array(&g->arena, (size_t)n_in + 1, sizeof *types);
  cn_edge *edges = cn_arena_array(&g->arena, (size_t)n_in + 1, sizeof *edges);
  void *copy = op->attrs_size ? cn_arena_alloc(&g->arena, op->attrs_size) : NULL;
  if (!types || !edges || (op->attrs_size && !copy)) return cn_no_memory(e);
  for (int i = 0; i < n_in; i++) {
    edges[i] = in[i];
    types[i] = in[i] == CN_NO_EDGE ? (cn_type){.dtype = CORNU_DTYPES} : g->edges[in[i]].type;
  }
  if (copy && attrs) memcpy(copy, attrs, op->attrs_size);

  cn_type out[CN_MAX_OUT];
  memset(out, 0, sizeof out);
  CN_TRY(cn_op_check_texts(op, types, n_in, e));
  cn_typing typing = {.attrs = copy, .n_in = n_in, .n_out = op->n_out, .in = types, .out = out};
  CN_TRY(op->shape(&typing, e));
  CN_TRY(cn_op_check_texts(op, out, typing.n_out, e));
  if (!cn_arena_grow(&g->arena, &g->nodes, &g->cap_nodes, g->n_nodes, sizeof *g->nodes)) return cn_no_memory(e);
  int node = g->n_nodes;
  for (int i = 0; i < typing.n_out; i++) {
    cn_edge edge;
    CN_TRY(add_edge(g, &out[i], node, &edge, e));
    if (i == 0) *first_out = edge;
  }
  g->nodes[g->n_nodes++] = (cn_graph_node){
      .op = op, .attrs = copy, .n_in = n_in, .n_out = typing.n_out, .in = edges, .out = *first_out, .label = label};
  if (n_out) *n_out = typing.n_out;
  return CORNU_OK;
}

void cn_graph_uses(const cn_graph *g, bool *live, int *last_use) {
  for (int i = 0; i < g->n_outputs; i++) {
    int p = g->edges[g->outputs[i]].producer;
    if (p >= 0) live[p] = true;
  }
  for (int n = g->n_nodes - 1; n >= 0; n--) {
    if (!live[n]) continue;
    for (int i = 0; i < g->nodes[n].n_in; i++) {
      cn_edge in = g->nodes[n].in[i];
      if (in == CN_NO_EDGE) continue;
      if (last_use[in] < n) last_use[in] = n;
      if (g->edges[in].producer >= 0) live[g->edges[in].producer] = true;
    }
  }
  for (int i = 0; i < g->n_outputs; i++) last_use[g->outputs[i]] = g->n_nodes;
}
