/* fold and unfold: the two leading axes as one and back, whatever the other dimensions are. Views, made by
 * TimeDistributed, which runs a layer on every time step: both leading dimensions may be unknown there. */
#include <string.h>

#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

static cn_status shape_fold(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0];
  CN_TRY(cn_want_rank(x, "x", 2, CN_MAX_RANK, e));
  t->out[0] = (cn_type){.dtype = x->dtype, .rank = x->rank - 1, .shape = {cn_dim_mul(x->shape[0], x->shape[1])}};
  memcpy(t->out[0].shape + 1, x->shape + 2, (size_t)(x->rank - 2) * sizeof *x->shape);
  return CORNU_OK;
}

const cn_op cn_op_fold = {
    .name = "fold",
    .help = CN_HELP("(a, b, …) -> (a * b, …)"),
    .flags = CN_OP_VIEW | CN_OP_HIDDEN | CN_OP_TEXTS,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .shape = shape_fold,
    .gradient = CN_GRADIENT(cn_gradient_view),
};

static cn_status shape_unfold(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0], *like = &t->in[1];
  CN_TRY(cn_want_rank(x, "x", 1, CN_MAX_RANK - 1, e));
  CN_TRY(cn_want_rank(like, "like", 2, CN_MAX_RANK, e));
  if (!cn_dims_agree(x->shape[0], cn_dim_mul(like->shape[0], like->shape[1])))
    return cn_fail(e, CORNU_ERR_SHAPE, "cannot split the first dimension of %s into the first two of %s",
        CN_SHAPE(x->rank, x->shape),
                   CN_SHAPE(like->rank, like->shape));
  t->out[0] = (cn_type){.dtype = x->dtype, .rank = x->rank + 1, .shape = {like->shape[0], like->shape[1]}};
  memcpy(t->out[0].shape + 2, x->shape + 1, (size_t)(x->rank - 1) * sizeof *x->shape);
  return CORNU_OK;
}

const cn_op cn_op_unfold = {
    .name = "unfold",
    .help = CN_HELP("(a * b, …) -> (a, b, …), with a and b from the second input"),
    .flags = CN_OP_VIEW | CN_OP_HIDDEN | CN_OP_TEXTS,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .shape = shape_unfold,
    .gradient = CN_GRADIENT(cn_gradient_view),
};
