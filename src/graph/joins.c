/* Concatenations without copies: their inputs are written where the result lies, with the result's pitch, if the ops
 * that write and read them can. */
#include "graph/planner.h"
#include "ops/ops.h"

static bool takes_pitch(const cn_op *op, int input) {
  return op->pitched_in >> (input < 31 ? input : 31) & 1;
}

typedef struct joins {
  const cn_graph *g;
  const bool *live;
  cn_place *places;
} joins;

/* Whether all readers of an edge take a pitch. */
static bool readers_take_pitch(const joins *j, cn_edge e) {
  for (int i = 0; i < j->g->n_outputs; i++)
    if (j->g->outputs[i] == e) return false;
  for (int n = 0; n < j->g->n_nodes; n++) {
    const cn_graph_node *node = &j->g->nodes[n];
    for (int i = 0; j->live[n] && i < node->n_in; i++)
      if (node->in[i] == e && !takes_pitch(node->op, i)) return false;
  }
  return true;
}

static bool can_lie_in(const joins *j, const cn_graph_node *concat, cn_edge e) {
  int producer = j->g->edges[e].producer, times = 0;
  for (int i = 0; i < concat->n_in; i++) times += concat->in[i] == e;
  if (producer < 0 || times != 1 || j->places[e].whole != CN_NO_EDGE) return false;
  const cn_graph_node *node = &j->g->nodes[producer];
  return node->out == e && (node->op->flags & CN_OP_PITCHED_OUT) &&
         j->g->edges[e].type.dtype == j->g->edges[concat->out].type.dtype && readers_take_pitch(j, e);
}

static bool joins_columns(const cn_graph *g, const cn_graph_node *node) {
  const int rank = g->edges[node->out].type.rank;
  const int64_t axis = node->op == &cn_op_concat ? ((const cn_axis_attrs *)node->attrs)->axis : 0;
  return node->op == &cn_op_concat && rank > 1 && (axis == -1 || axis == rank - 1);
}

void cn_graph_joins(const cn_graph *g, const bool *live, cn_place *places) {
  const joins j = {g, live, places};
  for (int i = 0; i < g->n_edges; i++) places[i] = (cn_place){CN_NO_EDGE, 0};
  for (int n = g->n_nodes - 1; n >= 0; n--) { /* the outer ones first */
    const cn_graph_node *node = &g->nodes[n];
    if (!live[n] || !joins_columns(g, node)) continue;
    cn_place at = places[node->out];
    if (at.whole == CN_NO_EDGE) at.whole = node->out;
    for (int i = 0; i < node->n_in; i++) {
      const cn_edge e = node->in[i];
      if (can_lie_in(&j, node, e)) places[e] = at;
      const cn_type *t = &g->edges[e].type;
      at.column += t->shape[t->rank - 1];
    }
  }
}
