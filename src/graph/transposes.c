/* Rules that move transposes behind the ops after them until they meet and cancel: models with channels first are
 * computed with channels last in between. */
#include <string.h>

#include "graph/rewrite.h"

/* Dimension i of a transpose's result is dimension perm[i] of its input. */
typedef struct permutation { int rank, of[CN_MAX_RANK]; } permutation;

static permutation permutation_of(const cn_rewrite *r, const cn_graph_node *transpose) {
  const cn_ints *v = &((const cn_ints_attrs *)transpose->attrs)->v;
  permutation p = {.rank = cn_rewrite_type(r, transpose->out)->rank};
  for (int i = 0; i < p.rank; i++) p.of[i] = (int)(v->n < 0 ? p.rank - 1 - i : (v->v[i] + p.rank) % p.rank);
  return p;
}

static const cn_graph_node *transposed(const cn_rewrite *r, cn_edge e) {
  const cn_graph_node *node = cn_rewrite_producer(r, e);
  return node && node->op == &cn_op_transpose ? node : NULL;
}

static cn_status add_transpose(cn_rewrite *r, cn_edge x, const permutation *p, const char *label, cn_edge *out) {
  cn_ints_attrs attrs = {.v.n = p->rank};
  for (int i = 0; i < p->rank; i++) attrs.v.v[i] = p->of[i];
  int n_out;
  const cn_op_call call = {&cn_op_transpose, &attrs, &x, 1, label};
  return cn_rewrite_add(r, &call, out, &n_out);
}

/* transpose(transpose(x)): one transpose, or x itself. */
static cn_status join(cn_rewrite *r, const cn_op_call *call, const cn_graph_node *inner, cn_edge *out) {
  const cn_graph_node outer_node = {.op = call->op, .attrs = (void *)call->attrs, .out = inner->out};
  const permutation p = permutation_of(r, inner), q = permutation_of(r, &outer_node);
  permutation both = {.rank = p.rank};
  bool identity = true;
  for (int i = 0; i < p.rank; i++) {
    both.of[i] = p.of[q.of[i]];
    identity &= both.of[i] == i;
  }
  if (r->uses[inner->out] == 1) r->uses[inner->in[0]]--;
  if (!identity) {
    r->uses[inner->in[0]]++;
    return add_transpose(r, inner->in[0], &both, call->label, out);
  }
  *out = inner->in[0];
  return CORNU_OK;
}

/* Whether every input is either transposed in one and the same way, or a single number. */
static const cn_graph_node *common_transpose(const cn_rewrite *r, const cn_op_call *call, bool numbers) {
  const cn_graph_node *first = NULL;
  for (int i = 0; i < call->n_in; i++) {
    if (call->in[i] == CN_NO_EDGE) return NULL;
    const cn_type *t = cn_rewrite_type(r, call->in[i]);
    const cn_graph_node *node = transposed(r, call->in[i]);
    if (!node && numbers && cn_shape_size(t->rank, t->shape) == 1) continue;
    if (!node) return NULL;
    if (!first) first = node;
    const permutation p = permutation_of(r, first), q = permutation_of(r, node);
    if (p.rank != q.rank || memcmp(p.of, q.of, sizeof p.of[0] * (size_t)p.rank) != 0) return NULL;
  }
  return first;
}

/* op(transpose(x), …) as transpose(op(x, …)). */
static cn_status sink(cn_rewrite *r, const cn_op_call *call, const void *attrs, int moved, const permutation *p,
                      cn_edge *out) {
  cn_edge *in = cn_arena_array(&r->g->arena, (size_t)call->n_in, sizeof *in), inner;
  if (!in) return cn_no_memory(r->e);
  for (int i = 0; i < call->n_in; i++) {
    const cn_graph_node *node = i < moved ? transposed(r, call->in[i]) : NULL;
    in[i] = node ? node->in[0] : call->in[i];
    if (node && r->uses[node->out] != 1) r->uses[in[i]]++; /* the transpose may stay */
  }
  int n_out;
  const cn_op_call below = {call->op, attrs, in, call->n_in, call->label};
  CN_TRY(cn_rewrite_add(r, &below, &inner, &n_out));
  return add_transpose(r, inner, p, call->label, out);
}

static int64_t moved_axis(const permutation *p, int64_t axis) { return p->of[(axis + p->rank) % p->rank]; }

static cn_status sink_elementwise(cn_rewrite *r, const cn_op_call *call, cn_edge *out) {
  const cn_graph_node *node = common_transpose(r, call, true);
  if (!node) return CORNU_OK;
  const permutation p = permutation_of(r, node);
  for (int i = 0; i < call->n_in; i++) /* a number of higher rank would change the rank */
    if (cn_rewrite_type(r, call->in[i])->rank > p.rank) return CORNU_OK;
  return sink(r, call, call->attrs, call->n_in, &p, out);
}

static cn_status sink_concat(cn_rewrite *r, const cn_op_call *call, cn_edge *out) {
  const cn_graph_node *node = common_transpose(r, call, false);
  if (!node) return CORNU_OK;
  const permutation p = permutation_of(r, node);
  const cn_axis_attrs attrs = {moved_axis(&p, ((const cn_axis_attrs *)call->attrs)->axis)};
  return sink(r, call, &attrs, call->n_in, &p, out);
}

static cn_status sink_batch_norm(cn_rewrite *r, const cn_op_call *call, const cn_graph_node *node, cn_edge *out) {
  const permutation p = permutation_of(r, node);
  cn_batch_norm_attrs attrs = *(const cn_batch_norm_attrs *)call->attrs;
  attrs.axis = moved_axis(&p, attrs.axis);
  return sink(r, call, &attrs, 1, &p, out);
}

static cn_status sink_pad(cn_rewrite *r, const cn_op_call *call, const cn_graph_node *node, cn_edge *out) {
  const permutation p = permutation_of(r, node);
  const cn_pad_attrs *from = call->attrs;
  cn_pad_attrs attrs = *from;
  for (int i = 0; i < p.rank; i++) {
    attrs.before.v[p.of[i]] = from->before.v[i];
    attrs.after.v[p.of[i]] = from->after.v[i];
  }
  return sink(r, call, &attrs, 1, &p, out);
}

/* A reduction of transposed axes: what is left must come in the order it had. */
static cn_status reduce_through(cn_rewrite *r, const cn_op_call *call, const cn_graph_node *node, cn_edge *out) {
  const permutation p = permutation_of(r, node);
  cn_reduce_attrs attrs = *(const cn_reduce_attrs *)call->attrs;
  bool gone[CN_MAX_RANK] = {0};
  if (attrs.keepdims || attrs.axes.n < 0) return CORNU_OK;
  for (int i = 0; i < attrs.axes.n; i++) {
    gone[(attrs.axes.v[i] + p.rank) % p.rank] = true;
    attrs.axes.v[i] = moved_axis(&p, attrs.axes.v[i]);
  }
  for (int i = 0, last = -1; i < p.rank; i++) {
    if (gone[i]) continue;
    if (p.of[i] < last) return CORNU_OK;
    last = p.of[i];
  }
  if (r->uses[node->out] != 1) r->uses[node->in[0]]++;
  int n_out;
  const cn_op_call direct = {call->op, &attrs, &node->in[0], 1, call->label};
  return cn_rewrite_add(r, &direct, out, &n_out);
}

cn_status cn_rule_transpose(cn_rewrite *r, const cn_op_call *call, cn_edge *out) {
  if (call->n_in < 1) return CORNU_OK;
  if (call->op->flags & CN_OP_ELEMENTWISE) return sink_elementwise(r, call, out);
  if (call->op == &cn_op_concat) return sink_concat(r, call, out);
  const cn_graph_node *node = transposed(r, call->in[0]);
  if (!node) return CORNU_OK;
  if (call->op == &cn_op_transpose) return join(r, call, node, out);
  if (call->op == &cn_op_mean || call->op == &cn_op_max) return reduce_through(r, call, node, out);
  if (call->op == &cn_op_batch_norm) return sink_batch_norm(r, call, node, out);
  if (call->op == &cn_op_pad) return sink_pad(r, call, node, out);
  return CORNU_OK;
}
