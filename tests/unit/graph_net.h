/* Graphs for tests: every value is also computed node by node. */
#ifndef TESTS_GRAPH_NET_H
#define TESTS_GRAPH_NET_H

#include "op_run.h"

#include "graph/plan.h"

enum { MOST = 64 };

typedef struct net {
  cn_graph *g;
  value values[MOST]; /* by edge */
  uint32_t seed;
} net;

static inline void start(net *n) {
  cn_error e = {0};
  memset(n, 0, sizeof *n);
  assert_int_equal(cn_graph_new(&n->g, &e), 0);
}

static inline cn_edge keep(net *n, cn_edge edge, int rank, const int64_t *shape) {
  n->values[edge] = make_value(CORNU_FLOAT32, rank, shape);
  fill_value(&n->values[edge], ++n->seed);
  return edge;
}

static inline cn_edge input(net *n, int rank, const int64_t *shape) {
  cn_error e = {0};
  cn_edge edge;
  cn_type type = {.dtype = CORNU_FLOAT32, .rank = rank};
  memcpy(type.shape, shape, sizeof *shape * (size_t)rank);
  assert_int_equal(cn_graph_add_input(n->g, &type, &edge, &e), 0);
  return keep(n, edge, rank, shape);
}

/* Values above 0, so that they may be variances. */
static inline cn_edge constant(net *n, int rank, const int64_t *shape) {
  cn_error e = {0};
  cn_edge edge;
  cn_tensor *t;
  cn_type type = {.dtype = CORNU_FLOAT32, .rank = rank};
  memcpy(type.shape, shape, sizeof *shape * (size_t)rank);
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, rank, shape, &t, &e), 0);
  assert_int_equal(cn_graph_add_constant(n->g, &type, t, &edge, &e), 0);
  keep(n, edge, rank, shape);
  float *data = n->values[edge].operand.data;
  for (int64_t i = 0; i < n->values[edge].operand.size; i++) data[i] = fabsf(data[i]) + 0.25f;
  memcpy(t->data, data, (size_t)n->values[edge].operand.size * sizeof *data);
  cornu_tensor_release(t);
  return edge;
}
#define INPUT(n, ...) input(n, (int)(sizeof(SHAPE(__VA_ARGS__)) / sizeof(int64_t)), SHAPE(__VA_ARGS__))
#define CONSTANT(n, ...) constant(n, (int)(sizeof(SHAPE(__VA_ARGS__)) / sizeof(int64_t)), SHAPE(__VA_ARGS__))

/* Adds a node and computes it by itself. */
static inline cn_edge node(net *n, const cn_op *op, const void *attrs, int n_in, const cn_edge *in) {
  cn_error e = {0};
  cn_edge edge;
  int n_out;
  value *operands[8];
  if (cn_graph_add(n->g, op, attrs, in, n_in, op->name, &edge, &n_out, &e)) fail_msg("%s", e.message);
  for (int i = 0; i < n_in; i++) operands[i] = in[i] == CN_NO_EDGE ? NULL : &n->values[in[i]];
  if (op->flags & CN_OP_VIEW) {
    const cn_type *t = &n->g->edges[edge].type;
    n->values[edge] = make_value(t->dtype, t->rank, t->shape);
    memcpy(n->values[edge].operand.data, operands[0]->operand.data, (size_t)operands[0]->operand.size * sizeof(float));
  } else {
    op_run(op, n->g->nodes[n->g->n_nodes - 1].attrs, operands, n_in, false, 1, &n->values[edge]);
  }
  return edge;
}
#define NODE(n, op, attrs, ...) \
  node(n, op, attrs, (int)(sizeof((cn_edge[]){__VA_ARGS__}) / sizeof(cn_edge)), (cn_edge[]){__VA_ARGS__})

static inline cn_edge relu(net *n, cn_edge x) {
  return NODE(n, &cn_op_activation, &((cn_act_attrs){.act = {.kind = CN_ACT_RELU, .b = INFINITY}}), x);
}

static inline cn_edge batch_norm(net *n, cn_edge x, int axis, int64_t channels) {
  cn_edge mean = CONSTANT(n, channels), variance = CONSTANT(n, channels), gamma = CONSTANT(n, channels),
          beta = CONSTANT(n, channels);
  return NODE(n, &cn_op_batch_norm, &((cn_batch_norm_attrs){.axis = axis, .epsilon = 1e-3}), x, mean, variance, gamma,
              beta);
}

static inline cn_edge conv(net *n, cn_edge x, int64_t size, int64_t in, int64_t out) {
  cn_conv_attrs a = {.spatial = 2, .stride = {1, 1, 1}, .dilation = {1, 1, 1}};
  return NODE(n, &cn_op_conv, &a, x, CONSTANT(n, size, size, in, out));
}

#endif
