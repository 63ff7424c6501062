/* Maximum: the largest of its inputs, element by element. */
#include "layers/merging.h"

static void lower(cn_layer *l, cn_trace *t, cn_call *c) { cn_merge_fold_masked(l, t, c, &cn_op_maximum); }

const cn_layer_type cn_layer_maximum = {
    .name = "Maximum",
    .versions = "2 3",
    .help = CN_HELP("the largest of its inputs, element by element; shapes broadcast"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = -1,
    .fields = cn_merge_fields,
    .lower = lower,
};
