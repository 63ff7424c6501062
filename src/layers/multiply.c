/* Multiply: the product of its inputs. */
#include "layers/merging.h"

static void lower(cn_layer *l, cn_trace *t, cn_call *c) { cn_merge_fold_masked(l, t, c, &cn_op_mul); }

const cn_layer_type cn_layer_multiply = {
    .name = "Multiply",
    .versions = "2 3",
    .help = CN_HELP("the product of its inputs; shapes broadcast"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = -1,
    .fields = cn_merge_fields,
    .lower = lower,
};
