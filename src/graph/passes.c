/* Rewrites a graph before it is planned: the driver of the rules. */
#include <string.h>

#include "graph/planner.h"
#include "graph/rewrite.h"

static const cn_rule rules[] = {
  cn_rule_identity, cn_rule_transpose, cn_rule_depthwise, cn_rule_sample, cn_rule_pad, cn_rule_gate, cn_rule_affine, cn_rule_residual,
  cn_rule_activation,
};

const cn_graph_node *cn_rewrite_producer(const cn_rewrite *r, cn_edge e) {
  int n = e == CN_NO_EDGE ? -1 : r->g->edges[e].producer;
  return n < 0 || r->g->nodes[n].out != e ? NULL : &r->g->nodes[n];
}

const cn_graph_node *cn_rewrite_absorbable(const cn_rewrite *r, cn_edge e) {
  const cn_graph_node *node = cn_rewrite_producer(r, e);
  if (!node || r->uses[e] != 1) return NULL;
  const cn_act *act = node->op->act_offset ? (const cn_act *)((char *)node->attrs + node->op->act_offset) : NULL;
  return act && act->kind != CN_ACT_LINEAR ? NULL : node;
}

/* Makes room in the tables of edges and nodes for what the graph has by now. */
static cn_status note_growth(cn_rewrite *r) {
  int edges = r->n_edges, nodes = r->n_nodes;
  for (; r->n_edges < r->g->n_edges; r->n_edges++) {
    if (!cn_grow(&r->uses, &r->cap_uses, r->n_edges, sizeof *r->uses) ||
        !cn_grow(&r->reader, &r->cap_reader, r->n_edges, sizeof *r->reader))
      return cn_no_memory(r->e);
  }
  for (; r->n_nodes < r->g->n_nodes; r->n_nodes++)
    if (!cn_grow(&r->before, &r->cap_before, r->n_nodes, sizeof *r->before)) return cn_no_memory(r->e);
  for (; edges < r->n_edges; edges++) r->uses[edges] = 1, r->reader[edges] = -1;
  for (; nodes < r->n_nodes; nodes++) {
    const cn_graph_node *node = &r->g->nodes[nodes];
    const cn_edge first = node->n_in > 0 ? node->in[0] : CN_NO_EDGE;
    r->before[nodes] = first == CN_NO_EDGE ? -1 : r->reader[first];
    if (first != CN_NO_EDGE) r->reader[first] = nodes;
  }
  return CORNU_OK;
}

/* The same op on the same inputs with the same attributes, as when several layers apply one activation to one value. */
static const cn_graph_node *find_twin(const cn_rewrite *r, const cn_op_call *call) {
  if (call->n_in < 1 || call->in[0] == CN_NO_EDGE || call->op == &cn_op_host_call) return NULL;
  for (int n = r->reader[call->in[0]]; n >= 0; n = r->before[n]) {
    const cn_graph_node *node = &r->g->nodes[n];
    if (node->op == call->op && node->n_in == call->n_in &&
        memcmp(node->in, call->in, sizeof *node->in * (size_t)node->n_in) == 0 &&
        (node->op->attrs_size == 0 ||
         (call->attrs && memcmp(node->attrs, call->attrs, node->op->attrs_size) == 0)))
      return node;
  }
  return NULL;
}

cn_status cn_rewrite_add(cn_rewrite *r, const cn_op_call *call, cn_edge *out, int *n_out) {
  *out = CN_NO_EDGE;
  *n_out = 1;
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    CN_TRY(rules[i](r, call, out));
    if (*out != CN_NO_EDGE) return CORNU_OK;
  }
  const cn_graph_node *twin = find_twin(r, call);
  if (twin) {
    *out = twin->out;
    *n_out = twin->n_out;
    return CORNU_OK;
  }
  CN_TRY(cn_graph_add(r->g, call->op, call->attrs, call->in, call->n_in, call->label, out, n_out, r->e));
  return note_growth(r);
}

cn_status cn_rewrite_again(cn_rewrite *r, const cn_graph_node *node, const void *attrs, const cn_edge *in, int n_in,
                           cn_edge *out) {
  int n_out;
  const cn_op_call call = {node->op, attrs, in, n_in, node->label};
  return cn_rewrite_add(r, &call, out, &n_out);
}

cn_status cn_rewrite_constant(cn_rewrite *r, cn_tensor *value, cn_edge *out) {
  cn_type type = {.dtype = value->dtype, .rank = value->rank};
  for (int i = 0; i < value->rank; i++) type.shape[i] = value->shape[i];
  cn_status status = cn_graph_add_constant(r->g, &type, value, out, r->e);
  cornu_tensor_release(value);
  CN_TRY(status);
  return note_growth(r);
}

/* ---- The driver ---- */

static void count_uses(const cn_graph *g, int *uses) {
  for (int n = 0; n < g->n_nodes; n++)
    for (int i = 0; i < g->nodes[n].n_in; i++)
      if (g->nodes[n].in[i] != CN_NO_EDGE) uses[g->nodes[n].in[i]]++;
  for (int i = 0; i < g->n_outputs; i++) uses[g->outputs[i]]++;
}

/* Inputs and constants, in the order of their edges. */
static cn_status copy_sources(cn_rewrite *r, const cn_graph *old, const int *uses, cn_edge *map) {
  for (int i = 0; i < old->n_inputs; i++)
    CN_TRY(cn_graph_add_input(r->g, &old->edges[old->inputs[i]].type, &map[old->inputs[i]], r->e));
  for (int i = 0; i < old->n_edges; i++) {
    const cn_graph_edge *edge = &old->edges[i];
    if (edge->producer >= 0) continue;
    if (!edge->is_input) CN_TRY(cn_graph_add_constant(r->g, &edge->type, edge->constant, &map[i], r->e));
    CN_TRY(note_growth(r));
    r->uses[map[i]] = uses[i];
  }
  return CORNU_OK;
}

static cn_status copy_node(cn_rewrite *r, const cn_graph_node *node, const int *uses, cn_edge *map) {
  cn_edge *in = cn_arena_array(&r->g->arena, (size_t)node->n_in + 1, sizeof *in), out;
  if (!in) return cn_no_memory(r->e);
  for (int i = 0; i < node->n_in; i++) in[i] = node->in[i] == CN_NO_EDGE ? CN_NO_EDGE : map[node->in[i]];
  const cn_op_call call = {node->op, node->attrs, in, node->n_in, node->label};
  int before = r->g->n_edges, n_out;
  CN_TRY(cn_rewrite_add(r, &call, &out, &n_out));
  for (int i = 0; i < n_out; i++) {
    map[node->out + i] = out + i;
    r->uses[out + i] = uses[node->out + i] + (out + i < before ? r->uses[out + i] : 0);
  }
  return CORNU_OK;
}

static cn_status copy_graph(cn_rewrite *r, cn_graph *old) {
  int *uses = cn_arena_array(&old->arena, (size_t)old->n_edges + 1, sizeof *uses);
  cn_edge *map = cn_arena_array(&old->arena, (size_t)old->n_edges + 1, sizeof *map);
  if (!uses || !map) return cn_no_memory(r->e);
  count_uses(old, uses);
  CN_TRY(copy_sources(r, old, uses, map));
  for (int n = 0; n < old->n_nodes; n++) CN_TRY(copy_node(r, &old->nodes[n], uses, map));
  for (int i = 0; i < old->n_outputs; i++) CN_TRY(cn_graph_add_output(r->g, map[old->outputs[i]], r->e));
  return CORNU_OK;
}

cn_status cn_graph_passes(cn_graph **g, cn_error *e) {
  cn_rewrite r = {.e = e};
  CN_TRY(cn_graph_new(&r.g, e));
  cn_status status = copy_graph(&r, *g);
  cn_free(r.uses);
  cn_free(r.reader);
  cn_free(r.before);
  if (status) {
    cn_graph_free(r.g);
    return status;
  }
  cn_graph_free(*g);
  *g = r.g;
  return CORNU_OK;
}
