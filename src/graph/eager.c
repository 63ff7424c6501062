/* cornu_apply: one operation on tensors, at once or into the trace under way. */
#include <string.h>

#include "base/deadline.h"
#include "base/text.h"
#include "graph/planner.h"
#include "graph/trace.h"

static cn_status parse_attributes(const cn_op *op, const cornu_value *attributes, cn_arena *a, void **attrs,
                                  cn_error *e) {
  *attrs = NULL;
  if (!op->attrs_size) {
    if (cornu_value_count(attributes) == 0) return CORNU_OK;
    return cn_fail(e, CORNU_ERR_ARGUMENT, "%s takes no option \"%s\": it has none", op->name,
                   cornu_value_key(attributes, 0));
  }
  *attrs = cn_arena_alloc(a, op->attrs_size);
  if (!*attrs) return cn_no_memory(e);
  cn_status status = op->fields ? cn_fields_parse(op->fields, attributes, *attrs, NULL, NULL, a, e) : CORNU_OK;
  if (!status && op->check) status = op->check(*attrs, e);
  return status ? cn_at(e, status, "%s", op->name) : CORNU_OK;
}

static cn_status record(cn_trace *t, const cn_op *op, const void *attrs, cn_tensor *const *inputs, int n_inputs,
                        cn_tensor **outputs, int *n_outputs, cn_error *e) {
  cn_edge edges[CN_MAX_OUT], first;
  if (n_inputs > CN_MAX_OUT) return cn_fail(e, CORNU_ERR_LIMIT, "%s: more than %d inputs", op->name, CN_MAX_OUT);
  for (int i = 0; i < n_inputs; i++) {
    edges[i] = CN_NO_EDGE;
    if (inputs[i]) CN_TRY(cn_trace_edge(t, inputs[i], &edges[i], e));
  }
  /* A failed operation is the custom layer's to handle; the trace itself stays sound. */
  cn_error *outer = t->error;
  t->error = e;
  int n = cn_emit_many(t, op, attrs, edges, n_inputs, &first);
  t->error = outer;
  cn_status status = t->status;
  t->status = CORNU_OK;
  if (!status && n > *n_outputs)
    status = cn_fail(e, CORNU_ERR_ARGUMENT, "%s makes %d outputs: room for %d", op->name, n, *n_outputs);
  *n_outputs = 0;
  for (int i = 0; i < n && !status; i++) {
    status = cn_trace_symbol(t, first + i, &outputs[i], e);
    if (!status) *n_outputs = i + 1;
  }
  return status;
}

/* The pieces of one eager run. */
typedef struct eager {
  cn_arena arena;
  cn_tensor **in, **out;
  cn_type *types;
  cn_type out_types[CN_MAX_OUT];
  cn_operand *operands;
  int n_in, n_out;
} eager;

static cn_status prepare_inputs(eager *r, cn_tensor *const *inputs, int n, cn_error *e) {
  size_t room = (size_t)n + 1;
  r->in = cn_arena_array(&r->arena, room, sizeof *r->in);
  r->types = cn_arena_array(&r->arena, room, sizeof *r->types);
  r->operands = cn_arena_array(&r->arena, room + CN_MAX_OUT, sizeof *r->operands);
  r->out = cn_arena_array(&r->arena, CN_MAX_OUT, sizeof *r->out);
  if (!r->in || !r->types || !r->operands || !r->out) return cn_no_memory(e);
  r->n_in = n;
  for (int i = 0; i < n; i++) {
    r->types[i] = (cn_type){.dtype = CORNU_DTYPES};
    if (!inputs[i]) continue;
    CN_TRY(cornu_tensor_contiguous(inputs[i], &r->in[i], e));
    cn_tensor_fetch(r->in[i]);
    r->types[i] = (cn_type){.dtype = r->in[i]->dtype, .rank = r->in[i]->rank};
    memcpy(r->types[i].shape, r->in[i]->shape, sizeof r->types[i].shape);
  }
  return CORNU_OK;
}

static void set_operand(cn_operand *o, const cn_tensor *t) {
  *o = (cn_operand){.data = t->data, .dtype = t->dtype, .rank = t->rank, .size = cornu_tensor_size(t),
                    .pitch = t->rank ? t->shape[t->rank - 1] : 1};
  memcpy(o->shape, t->shape, sizeof o->shape);
}

static cn_status check_time(const cn_op *op, cn_error *e) {
  const cn_status status = cn_check_time(e);
  return status ? cn_at(e, status, "%s", op->name) : CORNU_OK;
}

static cn_status run_step(eager *r, const cn_op *op, const void *attrs, cn_error *e) {
  for (int i = 0; i < r->n_out; i++)
    CN_TRY(cornu_tensor_new(r->out_types[i].dtype, r->out_types[i].rank, r->out_types[i].shape, &r->out[i], e));
  cn_step s = {.op = op, .attrs = attrs, .n_in = r->n_in, .n_out = r->n_out, .label = ""};
  s.in = cn_arena_array(&r->arena, (size_t)r->n_in + 1, sizeof *s.in);
  s.out = cn_arena_array(&r->arena, (size_t)r->n_out + 1, sizeof *s.out);
  if (!s.in || !s.out) return cn_no_memory(e);
  for (int i = 0; i < r->n_in; i++) {
    if (!r->in[i]) continue;
    set_operand(&r->operands[i], r->in[i]);
    s.in[i] = &r->operands[i];
  }
  for (int i = 0; i < r->n_out; i++) {
    set_operand(&r->operands[r->n_in + i], r->out[i]);
    s.out[i] = &r->operands[r->n_in + i];
  }
  CN_TRY(check_time(op, e));
  cn_status status = cn_step_run_once(&s, e);
  CN_TRY(check_time(op, e)); /* or the failure is due to that */
  CN_TRY(status);
  for (int i = 0; i < r->n_out; i++)
    if (r->out[i]->dtype == CORNU_TEXT) CN_TRY(cn_tensor_own_texts(r->out[i], e));
  return CORNU_OK;
}

static cn_status run_eager(const cn_op *op, const void *attrs, eager *r, cn_tensor *const *inputs, int n_inputs,
                           cn_error *e) {
  CN_TRY(prepare_inputs(r, inputs, n_inputs, e));
  CN_TRY(cn_op_check_texts(op, r->types, n_inputs, e));
  cn_typing typing = {.attrs = attrs, .n_in = n_inputs, .n_out = op->n_out, .in = r->types, .out = r->out_types};
  CN_TRY(op->shape(&typing, e));
  CN_TRY(cn_op_check_texts(op, r->out_types, typing.n_out, e));
  r->n_out = typing.n_out;
  if (op->flags & CN_OP_VIEW)
    return cornu_tensor_reshape(r->in[0], r->out_types[0].rank, r->out_types[0].shape, &r->out[0], e);
  return run_step(r, op, attrs, e);
}

cornu_status cornu_apply(const char *name, cornu_tensor *const *inputs, int n_inputs, const cornu_value *attributes,
                         cornu_tensor **outputs, int *n_outputs, cornu_error *e) {
  const cn_op *op = name ? cn_op_find(name) : NULL;
  if (!op || (op->flags & CN_OP_HIDDEN))
    return cn_fail(e, CORNU_ERR_NOT_FOUND, "no operation \"%s\"", name ? name : "");
  if (n_inputs < op->min_in || (op->max_in >= 0 && n_inputs > op->max_in))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "%s takes %d input%s, not %d", op->name, op->min_in,
                   op->min_in == 1 ? "" : "s", n_inputs);
  bool symbolic = false;
  for (int i = 0; i < n_inputs; i++) {
    if (!inputs[i] && i < op->min_in) return cn_fail(e, CORNU_ERR_ARGUMENT, "%s: input %d is missing", op->name, i + 1);
    symbolic |= inputs[i] && cornu_tensor_is_symbolic(inputs[i]);
  }
  eager r = {0};
  void *attrs;
  cn_status status = parse_attributes(op, attributes, &r.arena, &attrs, e);
  if (!status && symbolic) {
    cn_trace *t = cn_trace_current();
    status = t ? record(t, op, attrs, inputs, n_inputs, outputs, n_outputs, e)
               : cn_fail(e, CORNU_ERR_ARGUMENT, "a symbolic tensor was used outside of the call of its custom layer");
  } else if (!status) {
    status = run_eager(op, attrs, &r, inputs, n_inputs, e);
    if (!status && r.n_out > *n_outputs)
      status = cn_fail(e, CORNU_ERR_ARGUMENT, "%s makes %d outputs: room for %d", op->name, r.n_out, *n_outputs);
    if (!status) {
      *n_outputs = r.n_out;
      for (int i = 0; i < r.n_out; i++) outputs[i] = r.out[i], r.out[i] = NULL;
    }
    for (int i = 0; i < r.n_in && r.in; i++) cornu_tensor_release(r.in[i]);
    for (int i = 0; i < r.n_out && r.out; i++) cornu_tensor_release(r.out[i]);
  }
  cn_arena_free(&r.arena);
  return status;
}

/* ---- Values that a trace knows ---- */

enum { FOLD_SIZE = 4096, FOLD_DEPTH = 64 };

static cn_status fold_node(cn_trace *t, const cn_graph_node *node, int which, int depth, cn_tensor **out);

static cn_status fold(cn_trace *t, cn_edge edge, int depth, cn_tensor **out) {
  const cn_graph_edge *e = &t->graph->edges[edge];
  *out = NULL;
  if (e->constant) {
    cn_tensor_fetch(e->constant);
    *out = cornu_tensor_retain(e->constant);
    return CORNU_OK;
  }
  int64_t size = cn_shape_size(e->type.rank, e->type.shape);
  if (e->producer < 0 || depth > FOLD_DEPTH || size < 0 || size > FOLD_SIZE) return CORNU_OK;
  const cn_graph_node *node = &t->graph->nodes[e->producer];
  return fold_node(t, node, edge - node->out, depth, out);
}

static cn_status fold_node(cn_trace *t, const cn_graph_node *node, int which, int depth, cn_tensor **out) {
  cn_tensor *in[CN_MAX_OUT] = {0};
  bool known = node->n_in > 0 && node->n_in <= CN_MAX_OUT;
  cn_status status = CORNU_OK;
  for (int i = 0; i < node->n_in && known && !status; i++) {
    if (node->in[i] == CN_NO_EDGE) continue;
    status = fold(t, node->in[i], depth + 1, &in[i]);
    known = in[i] != NULL;
  }
  eager r = {0};
  if (known && !status) status = run_eager(node->op, node->attrs, &r, in, node->n_in, t->error);
  if (known && !status) *out = cornu_tensor_retain(r.out[which]);
  for (int i = 0; i < r.n_in && r.in; i++) cornu_tensor_release(r.in[i]);
  for (int i = 0; i < r.n_out && r.out; i++) cornu_tensor_release(r.out[i]);
  for (int i = 0; i < node->n_in && i < CN_MAX_OUT; i++) cornu_tensor_release(in[i]);
  cn_arena_free(&r.arena);
  return status;
}

cn_tensor *cn_trace_value(cn_trace *t, cn_edge edge) {
  cn_tensor *value = NULL;
  if (!t->status && edge != CN_NO_EDGE) t->status = fold(t, edge, 0, &value);
  return value;
}

cornu_status cornu_tensor_logits(cornu_tensor *x, cornu_tensor **out, cornu_error *e) {
  cn_trace *t = cornu_tensor_is_symbolic(x) ? cn_trace_current() : NULL;
  *out = NULL;
  if (!t) return CORNU_OK;
  cn_edge edge;
  CN_TRY(cn_trace_edge(t, x, &edge, e));
  edge = cn_trace_logits(t, edge);
  if (t->status) return t->status;
  return edge == CN_NO_EDGE ? CORNU_OK : cn_trace_symbol(t, edge, out, e);
}
