/* Graphs: nodes (calls of ops) over edges (typed values), in the order in which they were added, which is topological.
 */
#ifndef CN_GRAPH_GRAPH_H
#define CN_GRAPH_GRAPH_H

#include "ops/gradient.h"

typedef struct cn_graph_node {
  const cn_op *op;
  void *attrs;               /* in the graph's arena */
  int n_in, n_out;
  cn_edge *in;               /* CN_NO_EDGE: absent optional input */
  cn_edge out;               /* the first of n_out consecutive edges */
  const char *label;         /* the layer it comes from */
} cn_graph_node;

typedef struct cn_graph_edge {
  cn_type type;
  int producer;              /* node, or -1: input, constant */
  cn_tensor *constant;       /* retained; NULL: computed, fed, or a weight without a value yet */
  bool is_input;
} cn_graph_edge;

typedef struct cn_graph {
  cn_arena arena;
  cn_graph_node *nodes;
  cn_graph_edge *edges;
  cn_edge *inputs, *outputs;
  int n_nodes, n_edges, n_inputs, n_outputs;
  int cap_nodes, cap_edges, cap_inputs, cap_outputs;
  int *slots;                /* finds constants by their tensors: edges + 1, at most half of the slots in use */
  int n_slots, n_constants;
  bool exact;                /* see cn_plan_exact */
} cn_graph;

cn_status cn_graph_new(cn_graph **out, cn_error *e);
void cn_graph_free(cn_graph *g);
cn_status cn_graph_add_input(cn_graph *g, const cn_type *type, cn_edge *out, cn_error *e);
/* value may be NULL (a weight without a value yet): then the graph serves shapes alone. The same tensor gives one edge.
 */
cn_status cn_graph_add_constant(cn_graph *g, const cn_type *type, cn_tensor *value, cn_edge *out, cn_error *e);
cn_status cn_graph_add_output(cn_graph *g, cn_edge edge, cn_error *e);
/* attrs are copied; the shape rule gives the types of the outputs. */
cn_status cn_graph_add(cn_graph *g, const cn_op *op, const void *attrs, const cn_edge *in, int n_in, const char *label,
                       cn_edge *first_out, int *n_out, cn_error *e);
/* live[node]: outputs need it (all false before); last_use[edge]: the last live node that reads it (-1 before),
 * n_nodes for outputs. */
void cn_graph_uses(const cn_graph *g, bool *live, int *last_use);

#endif
