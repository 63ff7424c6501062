/* Rewriting a graph: its nodes are added to a new graph one by one, each through rules that may express it otherwise,
 * looking at what is there already. Nodes that nothing uses any more stay behind: the planner plans what the outputs
 * need. */
#ifndef CN_GRAPH_REWRITE_H
#define CN_GRAPH_REWRITE_H

#include "graph/graph.h"
#include "ops/ops.h"

typedef struct cn_rewrite {
  cn_graph *g;       /* the new graph */
  int *uses;         /* of its edges: how often the old graph uses what they stand for */
  int cap_uses;
  int *reader, *before; /* the last node that reads an edge (as its first input); the one before a node; -1: none */
  int n_edges, n_nodes; /* that the tables cover */
  int cap_reader, cap_before;
  cn_error *e;
} cn_rewrite;

/* A node that is to be added. */
typedef struct cn_op_call {
  const cn_op *op;
  const void *attrs;
  const cn_edge *in;
  int n_in;
  const char *label;
} cn_op_call;

/* Leaves *out alone where it does not apply; else *out stands for output 0 of the call. */
typedef cn_status (*cn_rule)(cn_rewrite *r, const cn_op_call *call, cn_edge *out);

/* Adds a node through the rules. */
cn_status cn_rewrite_add(cn_rewrite *r, const cn_op_call *call, cn_edge *out, int *n_out);
/* Takes the tensor over. */
cn_status cn_rewrite_constant(cn_rewrite *r, cn_tensor *value, cn_edge *out);

static inline const cn_type *cn_rewrite_type(const cn_rewrite *r, cn_edge e) { return &r->g->edges[e].type; }
static inline cn_tensor *cn_rewrite_value(const cn_rewrite *r, cn_edge e) { /* NULL: not a constant */
  return e == CN_NO_EDGE ? NULL : r->g->edges[e].constant;
}
/* The node whose output 0 an edge is; NULL: none. */
const cn_graph_node *cn_rewrite_producer(const cn_rewrite *r, cn_edge e);
/* … if it has no other use, and no activation yet where it could have one: then a rule may take it in. */
const cn_graph_node *cn_rewrite_absorbable(const cn_rewrite *r, cn_edge e);
/* Adds `node` again with other inputs or attributes. */
cn_status cn_rewrite_again(cn_rewrite *r, const cn_graph_node *node, const void *attrs, const cn_edge *in, int n_in,
                           cn_edge *out);

/* The rules, by file; see passes.c for their order. */
cn_status cn_rule_identity(cn_rewrite *r, const cn_op_call *call, cn_edge *out);   /* simplify.c */
cn_status cn_rule_depthwise(cn_rewrite *r, const cn_op_call *call, cn_edge *out);
cn_status cn_rule_pad(cn_rewrite *r, const cn_op_call *call, cn_edge *out);
/* The zeros around the dimensions of space alone, as a window's own padding; false: there are others. */
bool cn_pad_border(const cn_pad_attrs *pad, int rank, int64_t before[3], int64_t after[3]);
cn_status cn_rule_sample(cn_rewrite *r, const cn_op_call *call, cn_edge *out);     /* sample.c */
cn_status cn_rule_transpose(cn_rewrite *r, const cn_op_call *call, cn_edge *out);  /* transposes.c */
cn_status cn_rule_gate(cn_rewrite *r, const cn_op_call *call, cn_edge *out);       /* siblings.c */
cn_status cn_rule_affine(cn_rewrite *r, const cn_op_call *call, cn_edge *out);     /* fuse.c */
cn_status cn_rule_residual(cn_rewrite *r, const cn_op_call *call, cn_edge *out);
cn_status cn_rule_activation(cn_rewrite *r, const cn_op_call *call, cn_edge *out);

#endif
