/* Reverse mode: emits, behind a graph, what computes the gradient of one of its values to others. */
#include "graph/gradient.h"

#include <string.h>

#include "ops/ops.h"

cn_edge cn_gradient_emit(cn_gradient *g, const cn_op *op, const void *attrs, const cn_edge *in, int n_in) {
  return cn_emit(g->trace, op, attrs, in, n_in);
}

int cn_gradient_emit_many(cn_gradient *g, const cn_op *op, const void *attrs, const cn_edge *in, int n_in,
                          cn_edge *first) {
  return cn_emit_many(g->trace, op, attrs, in, n_in, first);
}

const cn_type *cn_gradient_type(const cn_gradient *g, cn_edge e) { return cn_edge_type(g->trace, e); }

cn_edge cn_gradient_number(cn_gradient *g, cn_edge like, double v) {
  return cn_emit_scalar(g->trace, cn_edge_type(g->trace, like)->dtype, v);
}

double *cn_gradient_room(cn_gradient *g, int64_t n) {
  double *room = cn_arena_array(&g->trace->graph->arena, (size_t)n + 1, sizeof *room);
  if (!room && !g->trace->status) g->trace->status = cn_no_memory(g->trace->error);
  return room;
}

cn_edge cn_gradient_vector(cn_gradient *g, cornu_dtype dtype, const double *v, int64_t n) {
  return cn_emit_vector(g->trace, dtype, v, n);
}

void cn_gradient_refuse(cn_gradient *g, const char *why) {
  cn_trace_fail(g->trace, CORNU_ERR_UNSUPPORTED, "has no gradient%s%s", *why ? " " : "", why);
}

typedef struct builder {
  cn_trace *t;
  int n_edges, n_nodes;   /* of the graph before */
  bool *depends;          /* edge: on one of those that the gradient is wanted for */
  cn_edge *grads;         /* edge: what of its gradient has come so far */
  struct piece **pieces;  /* edge: what came to parts of it alone */
} builder;

/* What comes back to a range of one axis: of a sequence that is taken apart into steps all of these make one. */
typedef struct piece { cn_graph_node node; int axis; int64_t begin, length; cn_edge grad; struct piece *next; } piece;

static void find_dependents(builder *b, const cn_edge *of, int n) {
  const cn_graph *g = b->t->graph;
  for (int i = 0; i < n; i++) b->depends[of[i]] = true;
  for (int k = 0; k < b->n_nodes; k++) {
    const cn_graph_node *node = &g->nodes[k];
    bool any = false;
    for (int i = 0; i < node->n_in; i++) any |= node->in[i] != CN_NO_EDGE && b->depends[node->in[i]];
    for (int i = 0; i < node->n_out; i++)
      if (any && cn_dtype_is_float(g->edges[node->out + i].type.dtype)) b->depends[node->out + i] = true;
  }
}

static void add(builder *b, cn_edge edge, cn_edge grad) {
  cn_edge *sum = &b->grads[edge];
  *sum = *sum == CN_NO_EDGE ? grad : cn_emit2(b->t, &cn_op_add, NULL, *sum, grad);
}

/* What comes back must have the type of what it belongs to. */
static void take(builder *b, const cn_op *op, cn_edge edge, cn_edge grad) {
  if (b->t->status || grad == CN_NO_EDGE) return;
  const cn_type *want = cn_edge_type(b->t, edge), *have = cn_edge_type(b->t, grad);
  if (want->dtype != have->dtype || !cn_shape_equal(want->rank, want->shape, have->rank, have->shape))
    cn_trace_fail(b->t, CORNU_ERR_ARGUMENT, "the gradient of %s has shape %s, expected %s", op->name,
                  CN_SHAPE(have->rank, have->shape), CN_SHAPE(want->rank, want->shape));
  else add(b, edge, grad);
}

/* ---- Pieces ---- */

/* Keeps what comes back to a slice along one axis for later; false: it is none. */
static bool keep_piece(builder *b, const cn_graph_node *node, cn_edge grad) {
  if (node->op != &cn_op_slice || !b->depends[node->in[0]]) return false;
  const cn_slice_attrs *a = node->attrs;
  const cn_type *x = cn_edge_type(b->t, node->in[0]), *y = cn_edge_type(b->t, node->out);
  const int axis = a->axes.n == 1 ? (int)(a->axes.v[0] < 0 ? a->axes.v[0] + x->rank : a->axes.v[0]) : -1;
  int64_t begin = axis < 0 || a->begin.v[0] == CN_NULL_INT ? 0 : a->begin.v[0];
  if (axis >= 0 && begin < 0) begin += x->shape[axis];
  if (axis < 0 || a->step.v[0] != 1 || begin < 0 || begin + y->shape[axis] > x->shape[axis]) return false;
  piece *p = cn_arena_array(&b->t->graph->arena, 1, sizeof *p), **at = &b->pieces[node->in[0]];
  if (!p) {
    b->t->status = cn_no_memory(b->t->error);
    return true;
  }
  while (*at && (*at)->axis == axis && (*at)->begin < begin) at = &(*at)->next; /* in their order */
  *p = (piece){*node, axis, begin, y->shape[axis], grad, *at};
  *at = p;
  return true;
}

/* Zeros like a piece. */
static cn_edge gap(builder *b, const piece *p, int64_t length) {
  const cn_type *type = cn_edge_type(b->t, p->grad);
  cn_ints_attrs shape = {.v = {.n = type->rank}};
  for (int i = 0; i < type->rank; i++) shape.v.v[i] = i == p->axis ? length : type->shape[i];
  return cn_emit1(b->t, &cn_op_broadcast_to, &shape, cn_emit_scalar(b->t, type->dtype, 0));
}

/* Those of one axis that do not overlap, side by side; CN_NO_EDGE: they are others. */
static cn_edge join_pieces(builder *b, const piece *first, int64_t whole) {
  int64_t end = 0;
  int n = 0;
  for (const piece *p = first; p; end = p->begin + p->length, p = p->next, n++)
    if (p->axis != first->axis || p->begin < end) return CN_NO_EDGE;
  cn_edge *parts = cn_arena_array(&b->t->graph->arena, 2 * (size_t)n + 1, sizeof *parts);
  if (!parts) b->t->status = cn_no_memory(b->t->error);
  if (n < 2 || !parts) return CN_NO_EDGE;
  n = 0, end = 0;
  for (const piece *p = first; p; end = p->begin + p->length, p = p->next) {
    if (p->begin > end) parts[n++] = gap(b, p, p->begin - end);
    parts[n++] = p->grad;
    if (!p->next && p->begin + p->length < whole) parts[n++] = gap(b, p, whole - p->begin - p->length);
  }
  return cn_emit(b->t, &cn_op_concat, &(cn_axis_attrs){first->axis}, parts, n);
}

/* Before the gradient of an edge is used: what came to its parts. */
static void settle(builder *b, cn_edge edge) {
  const piece *first = b->pieces[edge];
  if (!first || b->t->status) return;
  b->pieces[edge] = NULL;
  const cn_edge joined = join_pieces(b, first, cn_edge_type(b->t, edge)->shape[first->axis]);
  if (joined != CN_NO_EDGE) {
    add(b, edge, joined);
    return;
  }
  for (const piece *p = first; p && !b->t->status; p = p->next) {
    cn_edge dx = CN_NO_EDGE;
    cn_gradient g = {.trace = b->t, .op = p->node.op, .attrs = p->node.attrs, .n_in = 1, .n_out = 1, .in = p->node.in,
                     .out = &p->node.out, .dy = &p->grad, .wanted = &(bool){true}, .dx = &dx};
    b->t->label = p->node.label;
    g.op->gradient(&g);
    take(b, g.op, edge, dx);
  }
}

static void back(builder *b, int index) {
  const cn_graph_node node = b->t->graph->nodes[index];
  cn_edge dy[CN_MAX_OUT], out[CN_MAX_OUT];
  bool reached = false, any = false;
  for (int i = 0; i < node.n_out; i++) {
    out[i] = node.out + i;
    settle(b, out[i]);
    dy[i] = b->grads[node.out + i];
    reached |= dy[i] != CN_NO_EDGE;
  }
  bool *wanted = cn_arena_array(&b->t->graph->arena, (size_t)node.n_in + 1, sizeof *wanted);
  cn_edge *dx = cn_arena_array(&b->t->graph->arena, (size_t)node.n_in + 1, sizeof *dx);
  if (!wanted || !dx) {
    b->t->status = cn_no_memory(b->t->error);
    return;
  }
  for (int i = 0; i < node.n_in; i++) {
    dx[i] = CN_NO_EDGE;
    wanted[i] = node.in[i] != CN_NO_EDGE && b->depends[node.in[i]];
    any |= wanted[i];
  }
  if (!reached || !any || keep_piece(b, &b->t->graph->nodes[index], dy[0])) return;
  b->t->label = node.label;
  cn_gradient g = {.trace = b->t, .op = node.op, .attrs = node.attrs, .n_in = node.n_in, .n_out = node.n_out,
                   .in = node.in, .out = out, .dy = dy, .wanted = wanted, .dx = dx};
  if (node.op->gradient) node.op->gradient(&g);
  else cn_gradient_refuse(&g, "");
  for (int i = 0; i < node.n_in; i++) take(b, node.op, node.in[i], dx[i]);
  const char *label = node.label && *node.label ? node.label : NULL;
  if (b->t->status)
    cn_at(b->t->error, b->t->status, "%s%soperation %s", label ? label : "", label ? ": " : "", node.op->name);
}

static cn_edge zeros(cn_trace *t, cn_edge like) {
  return cn_emit1(t, &cn_op_full_like, &(cn_fill_attrs){0, CORNU_DTYPES}, like);
}

cn_status cn_trace_gradients(cn_trace *t, cn_edge of, const cn_edge *to, int n, cn_edge *out) {
  if (t->status) return t->status;
  cn_graph *g = t->graph;
  const char *label = t->label;
  builder b = {.t = t, .n_edges = g->n_edges, .n_nodes = g->n_nodes};
  b.depends = cn_arena_array(&g->arena, (size_t)b.n_edges + 1, sizeof *b.depends);
  b.grads = cn_arena_array(&g->arena, (size_t)b.n_edges + 1, sizeof *b.grads);
  b.pieces = cn_arena_array(&g->arena, (size_t)b.n_edges + 1, sizeof *b.pieces);
  if (!b.depends || !b.grads || !b.pieces) return t->status = cn_no_memory(t->error);
  for (int i = 0; i < b.n_edges; i++) b.grads[i] = CN_NO_EDGE;
  if (cn_edge_type(t, of)->rank != 0 || !cn_dtype_is_float(cn_edge_type(t, of)->dtype))
    cn_trace_fail(t, CORNU_ERR_SHAPE, "a gradient is that of one float, not of %s",
                  CN_SHAPE(cn_edge_type(t, of)->rank, cn_edge_type(t, of)->shape));
  find_dependents(&b, to, n);
  if (!t->status) b.grads[of] = cn_emit_scalar(t, cn_edge_type(t, of)->dtype, 1);
  for (int k = b.n_nodes - 1; k >= 0 && !t->status; k--) back(&b, k);
  for (int i = 0; i < n; i++) settle(&b, to[i]);
  for (int i = 0; i < n && !t->status; i++) out[i] = b.grads[to[i]] == CN_NO_EDGE ? zeros(t, to[i]) : b.grads[to[i]];
  t->label = label;
  return t->status;
}
