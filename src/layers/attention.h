/* What the attention layers share: masks of scores (…, Tq, Tv), where false means that a query does not see a value. */
#ifndef CN_LAYERS_ATTENTION_H
#define CN_LAYERS_ATTENTION_H

#include "layers/layer.h"
#include "ops/ops.h"

/* Both, or the one that is there. */
cn_edge cn_attention_and(cn_trace *t, cn_edge a, cn_edge b);
/* The mask, and query i sees values up to i. */
cn_edge cn_attention_causal(cn_trace *t, cn_edge scores, cn_edge mask);
/* Which values are nearer than `window` to a query. */
cn_edge cn_attention_band(cn_trace *t, cn_edge scores, int64_t window);
/* x with a new axis; absent stays absent. */
cn_edge cn_attention_axis(cn_trace *t, cn_edge x, int64_t axis);
/* softmax of the scores, those that are masked 1e9 lower. */
cn_edge cn_attention_weights(cn_trace *t, cn_edge scores, cn_edge mask);
/* The weights that training leaves. */
cn_edge cn_attention_drop(cn_layer *l, cn_trace *t, cn_edge weights, double rate, int64_t seed);
/* Is a keyword argument of the call true? */
bool cn_attention_flag(const cn_call *c, const char *name);

#endif
