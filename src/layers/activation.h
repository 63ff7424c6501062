/* Activations by name, in the meaning of the Keras that wrote the name. */
#ifndef CN_LAYERS_ACTIVATION_H
#define CN_LAYERS_ACTIVATION_H

#include "graph/trace.h"

struct cn_origin;

typedef enum cn_activation_kind {
  CN_ACTIVATION_ELEMENT,   /* element: act */
  CN_ACTIVATION_SOFTMAX,   /* over the last axis (axis) */
  CN_ACTIVATION_LOG_SOFTMAX,
  CN_ACTIVATION_SPARSEMAX,
  CN_ACTIVATION_GLU,
  CN_ACTIVATION_LAYER      /* a layer instance: layer */
} cn_activation_kind;

typedef struct cn_activation {
  cn_activation_kind kind;
  cn_act act;
  int axis;
  struct cornu_layer *layer;
} cn_activation;

/* v: null, a name, or a serialized activation or activation layer. Unknown names are an error with the nearest name. */
cn_status cn_activation_parse(const cn_value *v, const struct cn_origin *origin, cn_activation *out, cn_error *e);
bool cn_activation_is_linear(const cn_activation *a);
/* The act that an op can take as its epilogue: a's when it is element-wise, else linear. */
cn_act cn_activation_epilogue(const cn_activation *a);
/* What the epilogue left to do. */
cn_edge cn_activation_rest(cn_trace *t, const cn_activation *a, cn_edge x);
/* All of it. */
cn_edge cn_activation_emit(cn_trace *t, const cn_activation *a, cn_edge x);

#endif
