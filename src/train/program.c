/* The plan of a batch: the model, what is wanted of it and, in training, the gradients, for one set of shapes. */
#include <string.h>

#include "graph/gradient.h"
#include "layers/part.h"
#include "train/trainer.h"

enum { MOST_PROGRAMS = 8 };

void cn_program_free(cn_program *p) {
  if (!p) return;
  for (int i = 0; i < p->n_moved; i++) cornu_tensor_release(p->moved[i].next);
  cn_states_free(&p->states);
  cn_plan_free(p->plan);
  cn_free(p->types);
  cn_free(p->feeds);
  cn_free(p->trained);
  cn_free(p->rows);
  cn_free(p->parts);
  cn_free(p->moved);
  cn_free(p);
}

/* What regularizers of weights add to the loss. Keras 3 leaves out those of weights that do not train. */
static void trace_penalties(const cornu_trainer *t, cn_trace *trace) {
  for (int i = 0, n = trace->n_states; i < n && !trace->status; i++) {
    const cn_trace_state s = trace->states[i];
    const int v = s.weight ? cn_variable_find(t, s.owner, s.index) : -1;
    if (v >= 0 && (t->variables[v].trains || t->variables[v].layer->origin.keras < 3))
      cn_layer_penalise_weight(t->variables[v].layer, trace, s.index);
  }
}

static const cn_graph_node *maker_of(const cn_trace *trace, cn_edge edge) {
  const cn_graph *g = trace->graph;
  for (int i = g->n_nodes - 1; i >= 0; i--)
    if (edge >= g->nodes[i].out && edge < g->nodes[i].out + g->nodes[i].n_out) return &g->nodes[i];
  return NULL;
}

/* A gradient that is a sum over rows, with an operation on each of them; no edge: it is none. */
static cn_edge on_rows(cn_trace *trace, cn_edge grad, const cn_op *op, const void *attrs) {
  const cn_graph_node *maker = maker_of(trace, grad);
  if (!maker) return CN_NO_EDGE;
  const cn_graph_node node = *maker;
  if (node.op == &cn_op_segment && ((const cn_segment_attrs *)node.attrs)->reduction == CN_SCATTER_ADD)
    return cn_emit2(trace, node.op, node.attrs, cn_emit1(trace, op, attrs, node.in[0]), node.in[1]);
  if (node.op == &cn_op_reshape) {
    const cn_edge inner = on_rows(trace, node.in[0], op, attrs);
    return inner == CN_NO_EDGE ? inner : cn_emit1(trace, node.op, node.attrs, inner);
  }
  if (node.op != &cn_op_add) return CN_NO_EDGE;
  const cn_edge a = on_rows(trace, node.in[0], op, attrs), b = on_rows(trace, node.in[1], op, attrs);
  return a == CN_NO_EDGE || b == CN_NO_EDGE ? CN_NO_EDGE : cn_emit2(trace, node.op, NULL, a, b);
}

/* TensorFlow hands the rows of embeddings' gradients to optimizers as they are: values are clipped row by row. */
static void clip_rows(cornu_trainer *t, cn_trace *trace, cn_edge *grads, const cn_program *p) {
  for (int i = 0; i < p->n_trained && !trace->status; i++) {
    const cn_optimizer_settings *s = cn_optimizer_common(cn_variable_optimizer(t, &t->variables[p->trained[i]]));
    const double most = s->clipvalue * cn_optimizer_loss_factor(&t->optimizer);
    const cn_clip_attrs limits = {.min = -most, .max = most};
    if (!(s->clipvalue > 0) || s->lineage >= CN_KERAS_2 || s->gradient_accumulation_steps > 0) continue;
    const cn_edge clipped = on_rows(trace, grads[i], &cn_op_clip, &limits);
    if (clipped == CN_NO_EDGE) continue;
    grads[i] = clipped;
    t->variables[p->trained[i]].clipped = true;
  }
}

/* An operation on the rows of a gradient, if it has some, as an output of the graph that goes to *to. */
static void keep_rows(cn_trace *trace, cn_program *p, cn_edge grad, const cn_op *op, const void *attrs,
                      const cn_tensor *like, cn_tensor **to) {
  const cn_edge edge = on_rows(trace, grad, op, attrs);
  if (edge == CN_NO_EDGE || trace->status) return;
  if (!*to) trace->status = cornu_tensor_new(like->dtype, like->rank, like->shape, to, trace->error);
  if (!trace->status) trace->status = cn_graph_add_output(trace->graph, edge, trace->error);
  p->rows[p->n_rows++] = *to;
}

/* What is squared in place of those gradients, in Keras 3 by rules, in tf.keras by norms alone; and which rows are used. */
static void trace_rows(cornu_trainer *t, cn_trace *trace, const cn_edge *grads, cn_program *p) {
  const cn_fill_attrs one = {1, CORNU_DTYPES};
  p->rows = cn_calloc(2 * (size_t)p->n_trained + 1, sizeof *p->rows);
  if (!p->rows) trace->status = cn_no_memory(trace->error);
  for (int i = 0; i < p->n_trained && !trace->status; i++) {
    cn_variable *v = &t->variables[p->trained[i]];
    const cn_optimizer *o = cn_variable_optimizer(t, v);
    if (cn_optimizer_common(o)->gradient_accumulation_steps > 0) continue;
    const cn_seconds kind = cn_optimizer_seconds(o);
    const cn_op *op = kind == CN_SECONDS_ABSOLUTE ? &cn_op_abs : &cn_op_square;
    if (kind) keep_rows(trace, p, grads[i], op, NULL, v->gradient, &v->seconds);
    if (cn_optimizer_unused(o)) keep_rows(trace, p, grads[i], &cn_op_full_like, &one, v->gradient, &v->used);
  }
}

static bool is_zero(const cn_trace *trace, cn_edge grad) {
  const cn_graph_node *maker = maker_of(trace, grad);
  return maker && maker->op == &cn_op_full_like && ((const cn_fill_attrs *)maker->attrs)->value == 0;
}

/* A loss that no weight has to do with is a mistake, and would be a training that does nothing. */
static void check_gradients(cn_trace *trace, const cn_edge *grads, int n) {
  int zeros = 0;
  for (int i = 0; i < n && !trace->status; i++) zeros += is_zero(trace, grads[i]);
  if (n && zeros == n)
    cn_trace_fail(trace, CORNU_ERR_ARGUMENT, "the loss depends on none of the weights that train: what it is made of "
                  "passes no gradient, as argmax, comparisons and casts to whole numbers do");
}

/* The gradients of the variables that train, as outputs of the graph. */
static void trace_gradients(cornu_trainer *t, cn_trace *trace, cn_edge loss, cn_program *p) {
  cn_edge *to = cn_arena_array(&trace->graph->arena, (size_t)trace->n_states + 1, sizeof *to);
  cn_edge *grads = cn_arena_array(&trace->graph->arena, (size_t)trace->n_states + 1, sizeof *grads);
  p->trained = cn_calloc((size_t)trace->n_states + 1, sizeof *p->trained);
  if (!to || !grads || !p->trained) {
    trace->status = cn_no_memory(trace->error);
    return;
  }
  for (int i = 0; i < trace->n_states; i++) {
    const cn_trace_state *s = &trace->states[i];
    const int v = s->weight ? cn_variable_find(t, s->owner, s->index) : -1;
    if (v < 0 || !t->variables[v].trains) continue;
    to[p->n_trained] = s->next == CN_NO_EDGE ? s->in : s->next; /* a layer may change a weight before it uses it */
    p->trained[p->n_trained++] = v;
  }
  const double scale = cn_optimizer_loss_factor(&t->optimizer);
  if (scale != 1)
    loss = cn_emit2(trace, &cn_op_mul, NULL, loss, cn_emit_scalar(trace, cn_edge_type(trace, loss)->dtype, scale));
  cn_trace_gradients(trace, loss, to, p->n_trained, grads);
  check_gradients(trace, grads, p->n_trained);
  clip_rows(t, trace, grads, p);
  for (int i = 0; i < p->n_trained && !trace->status; i++)
    trace->status = cn_graph_add_output(trace->graph, grads[i], trace->error);
  if (!trace->status) trace_rows(t, trace, grads, p);
  p->parts = cn_parts_new(p->n_trained);
  if (!p->parts && !trace->status) trace->status = cn_no_memory(trace->error);
}

/* What the states and statistics are after the run. */
static void trace_next(cornu_trainer *t, cn_trace *trace, cn_program *p) {
  p->moved = cn_calloc((size_t)trace->n_states + 1, sizeof *p->moved);
  if (!p->moved) trace->status = cn_no_memory(trace->error);
  for (int i = 0; i < trace->n_states && !trace->status; i++) {
    const cn_trace_state *s = &trace->states[i];
    const int v = s->weight && s->next != CN_NO_EDGE ? cn_variable_find(t, s->owner, s->index) : -1;
    if (v < 0) continue;
    cn_moved *m = &p->moved[p->n_moved++];
    m->variable = v;
    trace->status = cornu_tensor_new(s->type.dtype, s->type.rank, s->type.shape, &m->next, trace->error);
    if (!trace->status) trace->status = cn_graph_add_output(trace->graph, s->next, trace->error);
  }
  for (int i = 0; i < trace->n_states && !trace->status; i++) {
    const cn_trace_state *s = &trace->states[i];
    if (!s->weight)
      trace->status = cn_graph_add_output(trace->graph, s->next == CN_NO_EDGE ? s->in : s->next, trace->error);
  }
  if (!trace->status) trace->status = cn_states_list(trace, &p->states, trace->error);
}

/* Who feeds each input of the graph: those of the caller come first, the others as the trace asked for them. */
static void trace_feeds(const cornu_trainer *t, cn_trace *trace, cn_program *p) {
  const cn_graph *g = trace->graph;
  p->feeds = cn_calloc((size_t)g->n_inputs + 1, sizeof *p->feeds);
  if (!p->feeds) {
    trace->status = cn_no_memory(trace->error);
    return;
  }
  int states = 0;
  for (; p->n_feeds < g->n_inputs; p->n_feeds++) {
    cn_feed *f = &p->feeds[p->n_feeds];
    *f = (cn_feed){CN_FROM_CALLER, p->n_feeds};
    if (p->n_feeds < p->n_types) continue;
    const cn_trace_state *s = NULL;
    for (int i = 0; i < trace->n_states && !s; i++)
      if (trace->states[i].in == g->inputs[p->n_feeds]) s = &trace->states[i];
    if (!s) *f = (cn_feed){CN_FROM_RUN, 0};
    else if (s->weight) *f = (cn_feed){CN_FROM_VARIABLE, cn_variable_find(t, s->owner, s->index)};
    else *f = (cn_feed){CN_FROM_STATE, states++};
    if (f->source == CN_FROM_VARIABLE && f->index < 0)
      cn_trace_fail(trace, CORNU_ERR_ARGUMENT, "a weight of layer \"%s\" is used, which is no part of the model",
                    ((const cn_layer *)s->owner)->name);
  }
}

static void trace_all(cornu_trainer *t, cn_trace *trace, cn_program *p) {
  const int n_in = t->model->n_inputs;
  cn_graph *g = trace->graph;
  cn_sym *in = cn_arena_array(&g->arena, (size_t)n_in + 1, sizeof *in);
  cn_sym *out = cn_arena_array(&g->arena, (size_t)t->model->n_outputs + 1, sizeof *out);
  cn_edge *given = cn_arena_array(&g->arena, (size_t)(p->n_types - n_in) + 1, sizeof *given), results[CN_MAX_RESULTS];
  if (!in || !out || !given) trace->status = cn_no_memory(trace->error);
  for (int i = 0; i < p->n_types && !trace->status; i++) {
    cn_edge edge;
    trace->status = cn_graph_add_input(g, &p->types[i], &edge, trace->error);
    if (i < n_in) in[i] = (cn_sym){edge, CN_NO_EDGE};
    else given[i - n_in] = edge;
  }
  if (!trace->status) cn_model_lower(t->model, trace, in, out);
  if (p->kind == CN_CALLS) p->n_results = t->model->n_outputs;
  else trace_penalties(t, trace);
  if (!trace->status && p->kind != CN_CALLS)
    cn_objective_trace(&t->objective, trace, p->kind == CN_TRAINS, out, t->model->n_outputs, given, p->n_types - n_in,
                       results, &p->n_results);
  for (int i = 0; i < p->n_results && !trace->status; i++)
    trace->status = cn_graph_add_output(g, p->kind == CN_CALLS ? out[i].data : results[i], trace->error);
  if (p->kind == CN_TRAINS && !trace->status) trace_gradients(t, trace, results[0], p);
  if (!trace->status) trace_next(t, trace, p);
  if (!trace->status) trace_feeds(t, trace, p);
}

static cn_status compile(cornu_trainer *t, cn_program *p, cn_error *e) {
  cn_graph *g;
  cn_trace trace;
  CN_TRY(cn_graph_new(&g, e));
  cn_trace_begin(&trace, g, e);
  trace.planning = trace.variables = true;
  trace.training = p->kind != CN_TESTS;
  trace.differentiable = p->kind == CN_TRAINS;
  trace_all(t, &trace, p);
  cn_status status = cn_trace_end(&trace);
  if (status) return cn_graph_free(g), status;
  g->exact = t->model->exact;
  return cn_plan_compile(g, &p->plan, e);
}

static bool fits(const cn_program *p, cn_kind kind, const cn_type *types, int n) {
  bool same = p->kind == kind && p->n_types == n;
  for (int i = 0; i < n && same; i++)
    same = p->types[i].dtype == types[i].dtype &&
           cn_shape_equal(p->types[i].rank, p->types[i].shape, types[i].rank, types[i].shape);
  return same;
}

cn_status cn_program_find(cornu_trainer *t, cn_kind kind, const cn_type *types, int n, cn_program **out, cn_error *e) {
  int count = 0;
  for (cn_program **link = &t->programs; *link; link = &(*link)->next) {
    cn_program *p = *link;
    if (fits(p, kind, types, n)) {
      *link = p->next;
      p->next = t->programs;
      *out = t->programs = p;
      return CORNU_OK;
    }
    if (++count == MOST_PROGRAMS) {
      *link = p->next;
      cn_program_free(p);
      break;
    }
  }
  cn_program *p = cn_calloc(1, sizeof *p);
  if (p) p->types = cn_calloc((size_t)n + 1, sizeof *p->types);
  cn_status status = p && p->types ? CORNU_OK : cn_no_memory(e);
  if (!status) {
    memcpy(p->types, types, (size_t)n * sizeof *types);
    p->n_types = n;
    p->kind = kind;
    status = compile(t, p, e);
  }
  if (status) return cn_program_free(p), status;
  p->next = t->programs;
  *out = t->programs = p;
  return CORNU_OK;
}

