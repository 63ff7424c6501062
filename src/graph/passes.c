/* Rewrites of a graph before it is planned. A node that nothing uses any more is left in place: the planner plans what
 * the outputs need. */
#include <string.h>

#include "graph/planner.h"
#include "ops/ops.h"

static void replace_uses(cn_graph *g, cn_edge old, cn_edge new, int from) {
  for (int n = from; n < g->n_nodes; n++)
    for (int i = 0; i < g->nodes[n].n_in; i++)
      if (g->nodes[n].in[i] == old) g->nodes[n].in[i] = new;
  for (int i = 0; i < g->n_outputs; i++)
    if (g->outputs[i] == old) g->outputs[i] = new;
}

static int count_uses(const cn_graph *g, cn_edge edge) {
  int uses = 0;
  for (int n = 0; n < g->n_nodes; n++)
    for (int i = 0; i < g->nodes[n].n_in; i++) uses += g->nodes[n].in[i] == edge;
  for (int i = 0; i < g->n_outputs; i++) uses += g->outputs[i] == edge;
  return uses;
}

static cn_graph_node *producer(cn_graph *g, cn_edge edge) {
  int n = edge < 0 ? -1 : g->edges[edge].producer;
  return n < 0 ? NULL : &g->nodes[n];
}

static int permuted(const cn_ints *p, int rank, int axis) { return (int)(p->n < 0 ? rank - 1 - axis : p->v[axis]); }

/* transpose(transpose(x)): one transpose, or x itself. */
static void join_transposes(cn_graph *g, int n) {
  cn_graph_node *outer = &g->nodes[n], *inner = producer(g, outer->in[0]);
  if (outer->op != &cn_op_transpose || !inner || inner->op != &cn_op_transpose) return;
  int rank = g->edges[outer->out].type.rank;
  const cn_ints *p = &((cn_ints_attrs *)inner->attrs)->v, *q = &((cn_ints_attrs *)outer->attrs)->v;
  cn_ints joined = {.n = rank};
  bool identity = true;
  for (int i = 0; i < rank; i++) {
    joined.v[i] = permuted(p, rank, (permuted(q, rank, i) + rank) % rank);
    joined.v[i] = (joined.v[i] + rank) % rank;
    identity &= joined.v[i] == i;
  }
  if (identity) {
    replace_uses(g, outer->out, inner->in[0], n + 1);
  } else {
    ((cn_ints_attrs *)outer->attrs)->v = joined;
    outer->in[0] = inner->in[0];
  }
}

/* activation(op(x)) with an op that applies an activation in its store. */
static void fuse_activation(cn_graph *g, int n) {
  cn_graph_node *node = &g->nodes[n], *before = producer(g, node->in[0]);
  if (node->op != &cn_op_activation || !before || !before->op->act_offset || before->op == &cn_op_activation) return;
  cn_act *act = (cn_act *)((char *)before->attrs + before->op->act_offset);
  if (act->kind != CN_ACT_LINEAR || before->out != node->in[0] || count_uses(g, before->out) != 1) return;
  *act = ((cn_act_attrs *)node->attrs)->act;
  replace_uses(g, node->out, before->out, n + 1);
}

void cn_graph_passes(cn_graph *g) {
  for (int n = 0; n < g->n_nodes; n++) join_transposes(g, n);
  for (int n = 0; n < g->n_nodes; n++) fuse_activation(g, n);
}
