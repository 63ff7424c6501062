/* What the files of this room share about building a model. */
#ifndef CN_MODEL_BUILD_H
#define CN_MODEL_BUILD_H

#include "base/text.h"
#include "model/model.h"

cn_status cn_model_alloc(cn_model **out, cn_error *e);              /* one reference, empty */
cn_status cn_model_add_layer(cn_model *m, cn_layer *l, cn_error *e); /* shares it */
cn_status cn_model_set_label(cn_model *m, int layer, const char *label, cn_error *e);
cn_model_node *cn_model_add_node(cn_model *m, int layer, int n_in); /* NULL: no memory; in[] has room for n_in */
/* Adds an input node of this type (layer -1: a Sequential's or a slice's, without a layer of its own) as the next
 * input. */
cn_status cn_model_add_input(cn_model *m, int layer, const char *name, const cn_type *type, cn_error *e);
/* The input of a Sequential, as its first layer (NULL: none) or its config (NULL: none) tells; else it is unknown. */
cn_status cn_model_add_sequential_input(cn_model *m, const cn_value *serialized, const cn_layer *first, cn_error *e);
/* Before l comes into m under `label`: a layer there of that name, or l, gets another one if Cornu named it. names: of the
 * layers of m -> place, from 1. */
cn_status cn_name_apart(cn_map *names, cn_layer *l, const char *label, cn_model *m, cn_error *e);
cn_status cn_layer_of_model(cn_model *m, cn_layer **out, cn_error *e); /* a layer that is m; shares it */
cn_status cn_model_add_output(cn_model *m, cn_model_ref ref, const char *key, cn_error *e);

/* Keras 1's Merge as the first layer: its branches become part of the Sequential. */
cn_status cn_model_expand_merge(cn_model *m, const cn_value *serialized, cn_error *e);
/* Appends a copy of sub's calls; out: where sub's only output went. Its inputs become inputs of m. */
cn_status cn_model_inline(cn_model *m, const cn_model *sub, cn_model_ref *out, cn_error *e);

#endif
