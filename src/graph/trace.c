/* Traces: emitting with a sticky error, and symbolic tensors. */
#include "graph/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local cn_trace *current;

void cn_trace_begin(cn_trace *t, cn_graph *graph, cn_error *e) {
  static atomic_uint_fast64_t serials;
  *t = (cn_trace){.graph = graph, .error = e, .compute = CORNU_FLOAT32, .measured = CN_NO_EDGE, .run = CN_NO_EDGE,
                  .loss = CN_NO_EDGE, .serial = 1 + atomic_fetch_add(&serials, 1), .outer = current};
  current = t;
}

cn_status cn_trace_end(cn_trace *t) {
  current = t->outer;
  return t->status;
}

void cn_trace_fail(cn_trace *t, cn_status status, const char *format, ...) {
  if (t->status) return;
  char text[sizeof t->error->message];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  t->status = cn_fail(t->error, status, "%s", text);
}

const cn_type *cn_edge_type(const cn_trace *t, cn_edge e) {
  static const cn_type nothing = {.dtype = CORNU_FLOAT32};
  return t->status || e < 0 ? &nothing : &t->graph->edges[e].type;
}

int64_t cn_trace_measure(cn_trace *t, cn_edge count) {
  if (t->status || !t->planning) return -1;
  if (t->next_size < t->sizes.n) return t->sizes.v[t->next_size++];
  if (t->sizes.n < CN_MAX_SIZES) t->measured = count;
  cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "the shape of its result depends on the data: a plan cannot have that, and a "
                "model at most %d such layers; set output_sequence_length, or predict without a plan", CN_MAX_SIZES);
  return -1;
}

/* The op without its act, and the act behind it. Passes put them together again where the gradient needs no more than
 * the result. */
static int emit_apart(cn_trace *t, const cn_op *op, const void *attrs, const cn_edge *in, int n_in, cn_edge *first) {
  void *linear = cn_arena_alloc(&t->graph->arena, op->attrs_size);
  if (!linear) {
    t->status = cn_no_memory(t->error);
    return 0;
  }
  memcpy(linear, attrs, op->attrs_size);
  cn_act *act = (cn_act *)(void *)((char *)linear + op->act_offset);
  cn_act_attrs behind = {.act = *act};
  *act = (cn_act){CN_ACT_LINEAR, 0, 0, 0};
  int n = cn_emit_many(t, op, linear, in, n_in, first);
  if (n) *first = cn_emit1(t, &cn_op_activation, &behind, *first);
  return t->status ? 0 : n;
}

static bool has_act(const cn_op *op, const void *attrs) {
  if (!op->act_offset || !attrs) return false;
  return ((const cn_act *)(const void *)((const char *)attrs + op->act_offset))->kind != CN_ACT_LINEAR;
}

int cn_emit_many(cn_trace *t, const cn_op *op, const void *attrs, const cn_edge *in, int n_in, cn_edge *first) {
  *first = CN_NO_EDGE;
  int n_out = 0;
  if (t->status) return 0;
  for (int i = 0; i < n_in && i < op->min_in; i++)
    if (in[i] == CN_NO_EDGE) {
      cn_trace_fail(t, CORNU_ERR_ARGUMENT, "%s: input %d is missing", op->name, i + 1);
      return 0;
    }
  if (t->differentiable && op != &cn_op_activation && has_act(op, attrs))
    return emit_apart(t, op, attrs, in, n_in, first);
  t->status = cn_graph_add(t->graph, op, attrs, in, n_in, t->label, first, &n_out, t->error);
  return t->status ? (*first = CN_NO_EDGE, 0) : n_out;
}

cn_edge cn_emit(cn_trace *t, const cn_op *op, const void *attrs, const cn_edge *in, int n_in) {
  cn_edge first;
  cn_emit_many(t, op, attrs, in, n_in, &first);
  return first;
}

cn_edge cn_emit1(cn_trace *t, const cn_op *op, const void *attrs, cn_edge a) { return cn_emit(t, op, attrs, &a, 1); }

cn_edge cn_emit2(cn_trace *t, const cn_op *op, const void *attrs, cn_edge a, cn_edge b) {
  return cn_emit(t, op, attrs, (cn_edge[]){a, b}, 2);
}

cn_edge cn_emit3(cn_trace *t, const cn_op *op, const void *attrs, cn_edge a, cn_edge b, cn_edge c) {
  return cn_emit(t, op, attrs, (cn_edge[]){a, b, c}, 3);
}

static cn_trace_state *find_state(const cn_trace *t, const void *owner, int index, bool weight) {
  for (int i = 0; i < t->n_states; i++)
    if (t->states[i].owner == owner && t->states[i].index == index && t->states[i].weight == weight)
      return &t->states[i];
  return NULL;
}

static cn_edge now(cn_trace *t, void *owner, int index, bool weight, const cn_type *type) {
  if (t->status) return CN_NO_EDGE;
  cn_trace_state *s = find_state(t, owner, index, weight);
  if (s) return s->next == CN_NO_EDGE ? s->in : s->next;
  if (!cn_arena_grow(&t->graph->arena, &t->states, &t->cap_states, t->n_states, sizeof *t->states)) {
    t->status = cn_no_memory(t->error);
    return CN_NO_EDGE;
  }
  s = &t->states[t->n_states];
  *s = (cn_trace_state){.owner = owner, .index = index, .weight = weight, .type = *type, .next = CN_NO_EDGE};
  t->status = cn_graph_add_input(t->graph, type, &s->in, t->error);
  if (t->status) return CN_NO_EDGE;
  t->n_states++;
  return s->in;
}

static void keep(cn_trace *t, void *owner, int index, bool weight, cn_edge next) {
  cn_trace_state *s = t->status ? NULL : find_state(t, owner, index, weight);
  if (s) s->next = next;
}

cn_edge cn_trace_state_now(cn_trace *t, void *owner, int index, const cn_type *type) {
  return now(t, owner, index, false, type);
}
void cn_trace_state_keep(cn_trace *t, void *owner, int index, cn_edge next) { keep(t, owner, index, false, next); }

cn_edge cn_trace_weight_now(cn_trace *t, void *owner, int index, const cn_type *type) {
  return now(t, owner, index, true, type);
}
void cn_trace_weight_keep(cn_trace *t, void *owner, int index, cn_edge next) { keep(t, owner, index, true, next); }

cn_edge cn_trace_logits(cn_trace *t, cn_edge x) {
  int producer = t->status ? -1 : t->graph->edges[x].producer;
  if (producer < 0) return CN_NO_EDGE;
  const cn_graph_node node = t->graph->nodes[producer];
  if (node.op == &cn_op_softmax) return node.in[0];
  if (!node.op->act_offset) return CN_NO_EDGE;
  char *attrs = cn_arena_alloc(&t->graph->arena, node.op->attrs_size);
  if (!attrs) return t->status = cn_no_memory(t->error), CN_NO_EDGE;
  memcpy(attrs, node.attrs, node.op->attrs_size);
  cn_act *act = (cn_act *)(void *)(attrs + node.op->act_offset);
  if (act->kind != CN_ACT_SIGMOID) return CN_NO_EDGE;
  *act = (cn_act){.kind = CN_ACT_LINEAR};
  if (node.n_in == 1 && node.op->flags & CN_OP_ELEMENTWISE) return node.in[0];
  return cn_emit(t, node.op, attrs, node.in, node.n_in); /* the epilogue of a layer: once more without it */
}

void cn_trace_add_loss(cn_trace *t, cn_edge loss) {
  if (t->status) return;
  const cn_type type = *cn_edge_type(t, loss);
  if (type.rank || !cn_dtype_is_float(type.dtype)) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "a loss is a float without dimensions");
    return;
  }
  if (type.dtype != CORNU_FLOAT32) loss = cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){CORNU_FLOAT32}, loss);
  t->loss = t->loss == CN_NO_EDGE ? loss : cn_emit2(t, &cn_op_add, NULL, t->loss, loss);
}

cn_edge cn_trace_random(cn_trace *t, const cn_random_attrs *attrs) {
  static const cn_type number = {.dtype = CORNU_INT64};
  cn_random_attrs a = *attrs;
  if (!t->status && t->run == CN_NO_EDGE) t->status = cn_graph_add_input(t->graph, &number, &t->run, t->error);
  a.stream = t->draws++; /* calls without a seed of their own differ all the same */
  return cn_emit1(t, &cn_op_random, &a, t->run);
}

cn_edge cn_emit_constant(cn_trace *t, cn_tensor *value) {
  if (t->status) return CN_NO_EDGE;
  cn_edge edge = CN_NO_EDGE;
  cn_tensor *flat = NULL;
  t->status = cornu_tensor_contiguous(value, &flat, t->error);
  if (t->status) return CN_NO_EDGE;
  cn_type type = {.dtype = flat->dtype, .rank = flat->rank};
  memcpy(type.shape, flat->shape, sizeof type.shape);
  t->status = cn_graph_add_constant(t->graph, &type, flat, &edge, t->error);
  cornu_tensor_release(flat);
  return t->status ? CN_NO_EDGE : edge;
}

cn_edge cn_emit_compute(cn_trace *t, cn_edge x) {
  if (x == CN_NO_EDGE || cn_edge_type(t, x)->dtype == t->compute) return x;
  return cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){t->compute}, x);
}

cn_edge cn_emit_number(cn_trace *t, double v) { return cn_emit_scalar(t, t->compute, v); }

cn_edge cn_emit_scalar(cn_trace *t, cornu_dtype dtype, double v) {
  if (t->status) return CN_NO_EDGE;
  cn_tensor *value = NULL;
  t->status = cornu_tensor_new(dtype, 0, NULL, &value, t->error);
  if (t->status) return CN_NO_EDGE;
  cornu_tensor_set(value, NULL, v);
  cn_edge edge = cn_emit_constant(t, value);
  cornu_tensor_release(value);
  return edge;
}

cn_edge cn_emit_vector(cn_trace *t, cornu_dtype dtype, const double *v, int64_t n) {
  if (t->status) return CN_NO_EDGE;
  cn_tensor *value = NULL;
  t->status = cornu_tensor_new(dtype, 1, &n, &value, t->error);
  if (t->status) return CN_NO_EDGE;
  cn_convert(value->data, dtype, v, CORNU_FLOAT64, n);
  cn_edge edge = cn_emit_constant(t, value);
  cornu_tensor_release(value);
  return edge;
}

cn_status cn_trace_symbol(cn_trace *t, cn_edge e, cn_tensor **out, cn_error *error) {
  const cn_type *type = cn_edge_type(t, e);
  *out = cn_tensor_symbol(type->dtype, type->rank, type->shape, t, e);
  if (!*out) return cn_no_memory(error);
  (*out)->trace_serial = t->serial;
  return CORNU_OK;
}

cn_status cn_trace_edge(cn_trace *t, cn_tensor *tensor, cn_edge *out, cn_error *error) {
  *out = CN_NO_EDGE;
  if (!tensor) return cn_fail(error, CORNU_ERR_ARGUMENT, "a tensor is missing");
  if (!cornu_tensor_is_symbolic(tensor)) {
    cn_error *outer = t->error;
    t->error = error;
    *out = cn_emit_constant(t, tensor);
    t->error = outer;
    return t->status;
  }
  if (tensor->trace != t || tensor->trace_serial != t->serial)
    return cn_fail(error, CORNU_ERR_ARGUMENT, "a symbolic tensor was kept from an earlier call of a custom layer: "
                                              "it only lives while the layer is called");
  *out = tensor->edge;
  return CORNU_OK;
}

/* The trace that symbolic inputs of cornu_apply belong to. */
cn_trace *cn_trace_current(void) { return current; }
