/* Parameters per element of a sample, shared along axes. */
#include "layers/shared_axes.h"

#include "base/text.h"

cn_status cn_shared_shape(const cn_ints *shared_axes, const cn_type *in, int64_t *shape, int *rank, cn_error *e) {
  *rank = in->rank - 1;
  for (int i = 0; i < *rank; i++) shape[i] = in->shape[i + 1];
  for (int i = 0; i < shared_axes->n; i++) {
    int64_t axis = shared_axes->v[i];
    if (axis < 1 || axis > *rank)
      return cn_fail(e, CORNU_ERR_ARGUMENT, "shared axis %lld: the input %s has axes 1 to %d", (long long)axis,
          CN_SHAPE(in->rank, in->shape), *rank);
    shape[axis - 1] = 1;
  }
  for (int i = 0; i < *rank; i++)
    if (shape[i] < 0)
      return cn_fail(e, CORNU_ERR_SHAPE, "the input %s has an unknown dimension that is not shared",
          CN_SHAPE(in->rank, in->shape));
  return CORNU_OK;
}

void cn_shared_adopt(cn_layer *l, cn_tensor *const *arrays, int n) {
  for (int i = 0; i < n && i < l->n_weights; i++) {
    cn_weight *w = &l->weights[i];
    if (arrays[i]->rank != w->rank) continue;
    for (int d = 0; d < w->rank; d++)
      if (arrays[i]->shape[d] == 1) w->shape[d] = 1;
  }
}
