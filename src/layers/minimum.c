/* Minimum: the smallest of its inputs, element by element. */
#include "layers/merging.h"

static void lower(cn_layer *l, cn_trace *t, cn_call *c) { cn_merge_fold_masked(l, t, c, &cn_op_minimum); }

const cn_layer_type cn_layer_minimum = {
    .name = "Minimum",
    .versions = "2 3",
    .help = CN_HELP("the smallest of its inputs, element by element; shapes broadcast"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = -1,
    .fields = cn_merge_fields,
    .lower = lower,
};
