/* Traces: a graph under construction, with a sticky error, so that a layer's lowering is a few plain lines.
 * After the first failure every emit does nothing and returns CN_NO_EDGE; who made the trace looks at t->status. */
#ifndef CN_GRAPH_TRACE_H
#define CN_GRAPH_TRACE_H

#include "graph/graph.h"
#include "kernels/act.h"
#include "ops/ops.h"

/* A value that outlives a run, such as the state of a stateful layer, or in a trace for training a weight: `in` is what
 * the last run left, `next` (CN_NO_EDGE: the same) what this one leaves. */
typedef struct cn_trace_state { void *owner; int index; bool weight; cn_type type; cn_edge in, next; } cn_trace_state;

/* Sizes that the data decides, such as the length of the longest text of a batch, in the order in which a trace asks for
 * them. A plan for the first unknown one computes it from the inputs; then the model is traced again. */
#define CN_MAX_SIZES 8
typedef struct cn_sizes { int n; int64_t v[CN_MAX_SIZES]; } cn_sizes;

typedef struct cn_trace {
  cn_graph *graph;
  cn_error *error;
  cn_status status;
  const char *label;         /* the layer being lowered */
  bool training;
  bool differentiable;       /* acts are nodes of their own: what gradients see */
  bool variables;            /* weights are states, and layers may draw random numbers */
  cn_edge run;               /* of random numbers: see cn_trace_random; CN_NO_EDGE: none were drawn */
  int draws;
  cn_edge loss;              /* what layers added to the loss; CN_NO_EDGE: nothing */
  cornu_dtype compute;       /* of the layer being lowered: float32 or float64 */
  int depth;                 /* of nested models and wrappers */
  uint64_t serial;
  cn_trace_state *states;    /* in the graph's arena */
  int n_states, cap_states;
  bool planning;             /* shapes are concrete: a plan is being made */
  cn_sizes sizes;            /* known … */
  int next_size;             /* … and how many of them were asked for */
  cn_edge measured;          /* computes the first that is not known; CN_NO_EDGE: all are */
  struct cn_trace *outer;    /* the trace that this thread had under way before */
} cn_trace;

/* Between begin and end the trace is the calling thread's current one: symbolic tensors of others are refused. */
void cn_trace_begin(cn_trace *t, cn_graph *graph, cn_error *e);
cn_status cn_trace_end(cn_trace *t);
cn_trace *cn_trace_current(void); /* of this thread; NULL: none */

void cn_trace_fail(cn_trace *t, cn_status status, const char *format, ...) CN_PRINTF(3, 4) __attribute__((cold));
/* valid until the next emit; never NULL (a scalar after failure) */
const cn_type *cn_edge_type(const cn_trace *t, cn_edge e);

/* One output … */
cn_edge cn_emit(cn_trace *t, const cn_op *op, const void *attrs, const cn_edge *in, int n_in);
cn_edge cn_emit1(cn_trace *t, const cn_op *op, const void *attrs, cn_edge a);
cn_edge cn_emit2(cn_trace *t, const cn_op *op, const void *attrs, cn_edge a, cn_edge b);
cn_edge cn_emit3(cn_trace *t, const cn_op *op, const void *attrs, cn_edge a, cn_edge b, cn_edge c);
/* … or several: returns their number (0 after failure); outputs are first, first + 1, … */
int cn_emit_many(cn_trace *t, const cn_op *op, const void *attrs, const cn_edge *in, int n_in, cn_edge *first);
cn_edge cn_emit_constant(cn_trace *t, cn_tensor *value);         /* borrowed */
cn_edge cn_emit_scalar(cn_trace *t, cornu_dtype dtype, double v);
cn_edge cn_emit_number(cn_trace *t, double v);                    /* a scalar of the dtype in which the layer computes */
cn_edge cn_emit_compute(cn_trace *t, cn_edge x);                  /* x cast to that dtype; absent stays absent */
cn_edge cn_emit_vector(cn_trace *t, cornu_dtype dtype, const double *v, int64_t n);

/* A size that `count`, an int64 scalar of the trace, tells at run time: the size where it is known, -1 while shapes alone
 * are wanted. Else the trace ends in failure, with `measured` set. */
int64_t cn_trace_measure(cn_trace *t, cn_edge count);

/* What a small value computed from constants alone is, such as a part of a shape; the caller releases it. NULL: it
 * depends on the inputs, or failure. */
cn_tensor *cn_trace_value(cn_trace *t, cn_edge edge);

/* State `index` of `owner` as it is now: after another call within this trace, what that call kept. */
cn_edge cn_trace_state_now(cn_trace *t, void *owner, int index, const cn_type *type);
void cn_trace_state_keep(cn_trace *t, void *owner, int index, cn_edge next);
/* The same of weights, where t->variables. */
cn_edge cn_trace_weight_now(cn_trace *t, void *owner, int index, const cn_type *type);
void cn_trace_weight_keep(cn_trace *t, void *owner, int index, cn_edge next);
/* Random numbers (ops.h has the kinds), others in each run: the number of the run is an input of the graph, t->run. */
cn_edge cn_trace_random(cn_trace *t, const cn_random_attrs *attrs);

/* x before the softmax or sigmoid that made it, as Keras on TensorFlow takes it for cross entropies; CN_NO_EDGE: none
 * did. */
cn_edge cn_trace_logits(cn_trace *t, cn_edge x);
/* Adds a float scalar, such as what a regularizer says, to the loss that a model is trained for. Only where t->variables. */
void cn_trace_add_loss(cn_trace *t, cn_edge loss);

/* Symbolic tensors for custom layers, and eager runs of single ops (cornu_apply). */
cn_status cn_trace_symbol(cn_trace *t, cn_edge e, cn_tensor **out, cn_error *error);
cn_status cn_trace_edge(cn_trace *t, cn_tensor *tensor, cn_edge *out, cn_error *error); /* symbols of t, or constants */

#endif
