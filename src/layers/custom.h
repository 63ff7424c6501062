/* Custom layers: classes that a handler of the host computes. */
#ifndef CN_LAYERS_CUSTOM_H
#define CN_LAYERS_CUSTOM_H

#include "layers/layer.h"

extern const cn_layer_type cn_layer_custom;
/* The handler for a class name, its bare form, or one layer's name; NULL: none. */
const cornu_custom *cn_custom_find(const cn_custom_set *s, const char *class_name, const char *layer_name);

#endif
