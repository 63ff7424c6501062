/* Layers with one parameter per element of a sample, which may be shared along axes (Keras 1's SReLU and
 * ParametricSoftplus). */
#ifndef CN_LAYERS_SHARED_AXES_H
#define CN_LAYERS_SHARED_AXES_H

#include "layers/layer.h"

/* The input's shape without the batch, 1 on the shared axes (1-based, as Keras counts them; n = -1: none). */
cn_status cn_shared_shape(const cn_ints *shared_axes, const cn_type *in, int64_t *shape, int *rank, cn_error *e);
/* Keras 1 does not save shared_axes: takes dimensions of 1 from the arrays of the file where the config has others. */
void cn_shared_adopt(cn_layer *l, cn_tensor *const *arrays, int n);

#endif
