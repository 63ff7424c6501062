/* Concatenate: inputs side by side along an axis. */
#include "layers/merging.h"

typedef struct settings { int64_t axis; } settings;

static const cn_field fields[] = {
    {.name = "axis", .kind = CN_F_INT, .offset = offsetof(settings, axis), .standard = "-1", .min = -CN_MAX_RANK,
     .max = CN_MAX_RANK - 1,
     .help = CN_HELP("0-based with the batch, negative from the end")},
    {0}};

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_merge_concat(l, t, c, ((const settings *)l->settings)->axis);
}

const cn_layer_type cn_layer_concatenate = {
    .name = "Concatenate",
    .versions = "2 3",
    .help = CN_HELP("inputs side by side along an axis; their shapes may differ in that axis alone"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = -1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .lower = lower,
};
