/* Low-rank adaptation (Hu et al. 2021), which Keras 3 adds to a weight where the config says lora_rank: the weight w is
 * used as w + lora_alpha / lora_rank * a b, with weights lora_w_a and lora_w_b. */
#ifndef CN_LAYERS_LORA_H
#define CN_LAYERS_LORA_H

#include "layers/layer.h"

bool cn_lora_enabled(const cn_layer *l);
/* For build(), after all other weights: a has the weight's shape but for its last dimension, b has (rank, last). Nothing
 * where it is not enabled. */
cn_status cn_lora_build(cn_layer *l, const char *weight, int rank, const int64_t *shape, cn_error *e);
/* What is added to the weight; CN_NO_EDGE where it is not enabled. */
cn_edge cn_lora_delta(cn_layer *l, cn_trace *t, const char *weight);
/* The sum. */
cn_edge cn_lora_weight(cn_layer *l, cn_trace *t, const char *weight);
/* For import(): files of objects hold the sum, so that a and b are zeros. */
cn_status cn_lora_import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e);

/* A weight with what adapts it added, as Keras stores it; the caller releases. */
cn_status cn_lora_merge(const cn_layer *l, int index, cn_tensor **out, cn_error *e);

#endif
