/* Rules that give products and convolutions the work of the ops after them: a scale and a shift per channel, the
 * addition of another value, an activation. */
#include <math.h>
#include <string.h>

#include "graph/rewrite.h"

enum { BIAS = 2, RESIDUAL = 3, SCALE = 4 };

static double number(const cn_tensor *t, int64_t i) {
  cn_tensor_fetch((cn_tensor *)t);
  return t->dtype == CORNU_FLOAT32 ? ((const float *)t->data)[i] : ((const double *)t->data)[i];
}

/* A constant of this dtype in one piece, ready to be read. */
static bool is_plain(cn_tensor *t, cornu_dtype dtype) {
  if (!t || t->dtype != dtype || !cornu_tensor_is_contiguous(t)) return false;
  cn_tensor_fetch(t);
  return true;
}

/* x * scale[i] + shift[i] along the last axis of x. */
typedef struct affine { cn_edge x; int64_t n; double *scale, *shift; } affine;

/* A constant that is one number, or one for each of n channels. */
static bool by_channel(const cn_rewrite *r, cn_edge e, const cn_type *x, int64_t n) {
  cn_tensor *t = cn_rewrite_value(r, e);
  if (!t || t->rank > x->rank) return false;
  int64_t size = cn_shape_size(t->rank, t->shape);
  return (size == 1 || (size == n && t->rank > 0 && t->shape[t->rank - 1] == n)) && is_plain(t, x->dtype);
}

static bool from_arithmetic(const cn_rewrite *r, const cn_op_call *call, affine *a) {
  const bool add = call->op == &cn_op_add, mul = call->op == &cn_op_mul;
  const bool sub = call->op == &cn_op_sub, div = call->op == &cn_op_div;
  if (!add && !mul && !sub && !div) return false;
  int constant = cn_rewrite_value(r, call->in[1]) ? 1 : 0;
  if ((sub || div) && constant == 0) return false;
  const cn_type *x = cn_rewrite_type(r, call->in[1 - constant]);
  if (x->rank < 1 || x->shape[x->rank - 1] != a->n || !by_channel(r, call->in[constant], x, a->n)) return false;
  const cn_tensor *t = cn_rewrite_value(r, call->in[constant]);
  const bool one = cn_shape_size(t->rank, t->shape) == 1;
  for (int64_t i = 0; i < a->n; i++) {
    double v = number(t, one ? 0 : i);
    a->scale[i] = mul ? v : div ? 1 / v : 1;
    a->shift[i] = add ? v : sub ? -v : 0;
  }
  a->x = call->in[1 - constant];
  return true;
}

static bool from_batch_norm(const cn_rewrite *r, const cn_op_call *call, affine *a) {
  if (call->op != &cn_op_batch_norm) return false;
  const cn_batch_norm_attrs *attrs = call->attrs;
  const cn_type *x = cn_rewrite_type(r, call->in[0]);
  cn_tensor *value[5] = {0};
  if (attrs->axis != -1 && attrs->axis != x->rank - 1) return false;
  for (int i = 1; i < call->n_in; i++) {
    if (call->in[i] == CN_NO_EDGE) continue;
    value[i] = cn_rewrite_value(r, call->in[i]);
    if (!is_plain(value[i], x->dtype)) return false;
  }
  for (int64_t i = 0; i < a->n; i++) {
    a->scale[i] = (value[3] ? number(value[3], i) : 1) / sqrt(number(value[2], i) + attrs->epsilon);
    a->shift[i] = (value[4] ? number(value[4], i) : 0) - number(value[1], i) * a->scale[i];
  }
  a->x = call->in[0];
  return true;
}

static bool is_finite(const affine *a) {
  for (int64_t i = 0; i < a->n; i++)
    if (!isfinite(a->scale[i]) || !isfinite(a->shift[i])) return false;
  return true;
}

/* A vector of n values as a constant; all of them `neutral`: no edge. */
static cn_status add_vector(cn_rewrite *r, cornu_dtype dtype, const double *v, int64_t n, double neutral,
                            cn_edge *out) {
  int64_t i = 0;
  while (i < n && v[i] == neutral) i++;
  *out = CN_NO_EDGE;
  if (i == n) return CORNU_OK;
  cn_tensor *t;
  CN_TRY(cornu_tensor_new(dtype, 1, &n, &t, r->e));
  cn_convert(t->data, dtype, v, CORNU_FLOAT64, n);
  return cn_rewrite_constant(r, t, out);
}

/* The edge of input i of a node. */
static cn_edge input(const cn_graph_node *node, int i) { return i < node->n_in ? node->in[i] : CN_NO_EDGE; }

/* Adds `node` with the affine function behind its own scale and bias. */
static cn_status absorb_affine(cn_rewrite *r, const cn_graph_node *node, affine *a, const cn_act *act, cn_edge *out) {
  const cornu_dtype dtype = cn_rewrite_type(r, node->out)->dtype;
  const cn_tensor *bias = cn_rewrite_value(r, input(node, BIAS)), *scale = cn_rewrite_value(r, input(node, SCALE));
  for (int64_t i = 0; i < a->n; i++) {
    if (bias) a->shift[i] += number(bias, i) * a->scale[i];
    if (scale) a->scale[i] *= number(scale, i);
  }
  cn_edge in[5] = {node->in[0], node->in[1], CN_NO_EDGE, CN_NO_EDGE, CN_NO_EDGE};
  CN_TRY(add_vector(r, dtype, a->shift, a->n, 0, &in[BIAS]));
  CN_TRY(add_vector(r, dtype, a->scale, a->n, 1, &in[SCALE]));
  void *attrs = cn_arena_alloc(&r->g->arena, node->op->attrs_size);
  if (!attrs) return cn_no_memory(r->e);
  memcpy(attrs, node->attrs, node->op->attrs_size);
  if (act) *(cn_act *)((char *)attrs + node->op->act_offset) = *act;
  int n_in = in[SCALE] != CN_NO_EDGE ? 5 : in[BIAS] != CN_NO_EDGE ? 3 : 2;
  return cn_rewrite_again(r, node, attrs, in, n_in, out);
}

static const cn_graph_node *takes_affine(const cn_rewrite *r, cn_edge x) {
  const cn_graph_node *node = cn_rewrite_absorbable(r, x);
  if (!node || !(node->op->flags & CN_OP_SCALE) || input(node, RESIDUAL) != CN_NO_EDGE) return NULL;
  const cornu_dtype dtype = cn_rewrite_type(r, x)->dtype;
  if (!cn_rewrite_value(r, node->in[1])) return NULL;
  for (int i = BIAS; i <= SCALE; i++)
    if (input(node, i) != CN_NO_EDGE && !is_plain(cn_rewrite_value(r, node->in[i]), dtype)) return NULL;
  return node;
}

cn_status cn_rule_affine(cn_rewrite *r, const cn_op_call *call, cn_edge *out) {
  const cn_graph_node *node = NULL;
  for (int i = 0; i < call->n_in && i < 2 && !node; i++) node = takes_affine(r, call->in[i]);
  if (!node) return CORNU_OK;
  const cn_type *type = cn_rewrite_type(r, node->out);
  affine a = {.n = type->shape[type->rank - 1]};
  if (a.n < 1) return CORNU_OK;
  a.scale = cn_arena_array(&r->g->arena, (size_t)a.n, sizeof *a.scale);
  a.shift = cn_arena_array(&r->g->arena, (size_t)a.n, sizeof *a.shift);
  if (!a.scale || !a.shift) return cn_no_memory(r->e);
  if (!from_batch_norm(r, call, &a) && !from_arithmetic(r, call, &a)) return CORNU_OK;
  if (a.x != node->out || !is_finite(&a)) return CORNU_OK;
  const cn_act *act = call->op->act_offset ? (const cn_act *)((const char *)call->attrs + call->op->act_offset) : NULL;
  return absorb_affine(r, node, &a, act, out);
}

static bool same_type(const cn_type *a, const cn_type *b) {
  return a->dtype == b->dtype && cn_shape_equal(a->rank, a->shape, b->rank, b->shape);
}

static bool has_act(const cn_op_call *call) {
  return call->op->act_offset &&
         ((const cn_act *)((const char *)call->attrs + call->op->act_offset))->kind != CN_ACT_LINEAR;
}

/* op(x) + y: op adds y itself. Of two such ops the later one does, when the other's result is there. */
cn_status cn_rule_residual(cn_rewrite *r, const cn_op_call *call, cn_edge *out) {
  if (call->op != &cn_op_add || call->in[0] == call->in[1] || has_act(call)) return CORNU_OK;
  if (!same_type(cn_rewrite_type(r, call->in[0]), cn_rewrite_type(r, call->in[1]))) return CORNU_OK;
  const cn_graph_node *best = NULL;
  cn_edge other = CN_NO_EDGE;
  for (int i = 0; i < 2; i++) {
    const cn_graph_node *node = cn_rewrite_absorbable(r, call->in[i]);
    if (!node || !(node->op->flags & CN_OP_RESIDUAL) || input(node, RESIDUAL) != CN_NO_EDGE) continue;
    if (!best || node->out > best->out) best = node, other = call->in[1 - i];
  }
  if (!best) return CORNU_OK;
  cn_edge in[5];
  for (int i = 0; i < 5; i++) in[i] = i == RESIDUAL ? other : input(best, i);
  return cn_rewrite_again(r, best, best->attrs, in, in[SCALE] == CN_NO_EDGE ? 4 : 5, out);
}

/* activation(op(x)) with an op that applies an activation in its store. */
cn_status cn_rule_activation(cn_rewrite *r, const cn_op_call *call, cn_edge *out) {
  if (call->op != &cn_op_activation) return CORNU_OK;
  const cn_graph_node *node = cn_rewrite_absorbable(r, call->in[0]);
  if (!node || !node->op->act_offset || node->op == &cn_op_activation) return CORNU_OK;
  void *attrs = cn_arena_alloc(&r->g->arena, node->op->attrs_size);
  if (!attrs) return cn_no_memory(r->e);
  memcpy(attrs, node->attrs, node->op->attrs_size);
  *(cn_act *)((char *)attrs + node->op->act_offset) = ((const cn_act_attrs *)call->attrs)->act;
  return cn_rewrite_again(r, node, attrs, node->in, node->n_in, out);
}
