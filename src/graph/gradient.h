/* Gradients of what a trace computes. */
#ifndef CN_GRAPH_GRADIENT_H
#define CN_GRAPH_GRADIENT_H

#include "graph/trace.h"

/* Emits the gradients of `of`, a float without dimensions, to the n values `to`, each in the shape and dtype of its value;
 * zeros for those that it does not depend on. An operation without a gradient on the way is an error that names it and
 * its layer. The trace must have been differentiable (see cn_trace) from its beginning. */
cn_status cn_trace_gradients(cn_trace *t, cn_edge of, const cn_edge *to, int n, cn_edge *out);

#endif
