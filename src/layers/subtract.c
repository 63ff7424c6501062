/* Subtract: the first input minus the second. */
#include "layers/merging.h"

static void lower(cn_layer *l, cn_trace *t, cn_call *c) { cn_merge_fold(l, t, c, &cn_op_sub, false); }

const cn_layer_type cn_layer_subtract = {
    .name = "Subtract",
    .versions = "2 3",
    .help = CN_HELP("the first input minus the second; shapes broadcast"),
    .flags = CN_MASK_OWN,
    .min_in = 2,
    .max_in = 2,
    .fields = cn_merge_fields,
    .lower = lower,
};
