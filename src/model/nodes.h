/* The calls of a functional config: where tensors come from, in every Keras's notation. */
#ifndef CN_MODEL_NODES_H
#define CN_MODEL_NODES_H

#include "base/text.h"
#include "model/model.h"

/* A tensor as a config names it. */
typedef struct cn_history { const char *layer; int64_t node, tensor; } cn_history;

/* A call as a config writes it: tensors replaced by {"@": i} in args and kwargs, their origins in refs. */
typedef struct cn_raw_call {
  cn_value *args, *kwargs;
  cn_history *refs;
  int n_refs, cap_refs, n_positional;
  bool legacy;                /* K1, K2, tf.keras lists: node indexes of nested models begin at 1 */
} cn_raw_call;

/* Whether `v` is a reference [layer, node, tensor] to a layer that `names` knows. */
bool cn_history_parse(const cn_value *v, const cn_map *names, cn_history *out);
/* One entry of inbound_nodes. */
cn_status cn_raw_call_parse(cn_arena *a, const cn_value *node, const cn_map *names, cn_raw_call *out, cn_error *e);

/* Shape and dtype that an InputLayer, or the first layer of a Sequential, declares; false: it does not tell. */
bool cn_declared_input(const cn_layer *l, cn_type *out);
bool cn_shape_from_value(const cn_value *v, cn_type *out); /* [null, 28, 28, 1] */

#endif
