/* InputLayer: where a model's inputs enter. */
#include "layers/layer.h"

const cn_layer_type cn_layer_input_layer = {
    .name = "InputLayer",
    .versions = "1 2 3",
    .help = CN_HELP("an input: its shape without data"),
    .flags = CN_LAYER_INPUT | CN_LAYER_IDENTITY | CN_MASK_PASSES,
    .min_in = 0,
    .max_in = 1,
};
