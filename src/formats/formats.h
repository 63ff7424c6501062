/* What the files of this room share: a model file opened and looked into, and where it comes from. */
#ifndef CN_FORMATS_FORMATS_H
#define CN_FORMATS_FORMATS_H

#include "formats/flat.h"
#include "formats/h5.h"
#include "formats/zip.h"
#include "model/model.h"

/* How a file keeps weights. */
typedef enum cn_weights_layout {
  CN_WEIGHTS_NONE,
  CN_WEIGHTS_LEGACY,   /* a group per layer in layer_names, arrays in weight_names: Keras 1 and 2, .h5 of Keras 3 */
  CN_WEIGHTS_NUMBERED, /* groups layer_0, layer_1, … with arrays param_0, …: before Keras 1.1 */
  CN_WEIGHTS_OBJECTS,  /* a group per object, arrays in vars/0, vars/1, …: .keras and .weights.h5 */
  CN_WEIGHTS_FLAT      /* a flat file, not HDF5 */
} cn_weights_layout;

/* A model file, opened. Texts and values live in `tree`. */
typedef struct cn_source {
  const char *name;            /* of the file without folders, for messages */
  cornu_tree tree;
  const cn_value *config;      /* {class_name, config, …}; NULL: the file holds weights alone */
  const cn_value *training;    /* NULL: none */
  const char *version, *backend; /* as the file says, else "" */
  bool keras_archive, json, yaml; /* .keras (zip or folder); text; none: HDF5 */
  cn_zip *zip;                 /* of a .keras archive … */
  const char *folder;          /* … or an unzipped one: for assets */
  cn_h5 *h5;                   /* NULL: no weights here, or flat ones */
  cn_flat *flat;
  cn_weights_layout layout;
  const char *group;           /* where the weights are: "" or "model_weights" */
  const char *weights_version; /* keras_version of the weights group, else "" */
} cn_source;

/* Opens by content. parts: the config may be left unread when weights alone are wanted, and the other way round. */
enum { CN_SOURCE_CONFIG = 1, CN_SOURCE_WEIGHTS = 2, CN_SOURCE_TRUSTED = 4 };
cn_status cn_source_open(const char *path, int parts, cn_source *s, cn_error *e);
void cn_source_close(cn_source *s);
/* Whether the path is no path but the JSON itself: a text that begins with "{". A file of that name comes first. */
bool cn_source_is_text(const char *path);
/* The group in which the source keeps arrays of an optimizer, NULL: none. *numbered: by number, not by name. */
const char *cn_source_optimizer(const cn_source *s, bool *numbered);
/* The text at "assets/<path>/<name>" of a .keras archive or folder, within the limit of texts; NULL: it has none. The
 * caller frees *text with cn_free. */
cn_status cn_source_asset(cn_source *s, const char *path, const char *name, char **text, size_t *length, cn_error *e);

/* Where the config of `source` comes from; weights: the file of the weights (may be source itself, or NULL). */
cn_status cn_origin_of(const cn_source *source, cn_source *weights, const cornu_load_options *options, cn_origin *out,
                       cn_error *e);
/* Where the weights come from: decides how their arrays are laid out. */
cn_status cn_origin_of_weights(cn_source *weights, const cn_origin *config, const cornu_load_options *options,
                               cn_origin *out, cn_error *e);

/* Declares the weights of custom layers from the file's arrays, and lets layers take what decides shapes from it and from
 * the assets of the model's own file; before the model is built. */
cn_status cn_weights_declare(cn_model *m, cn_source *assets, cn_source *weights, cn_error *e);
/* Puts the arrays of the file into a built model. */
cn_status cn_weights_load(cn_model *m, cn_source *s, const cn_origin *origin, const cornu_load_options *options,
                          cn_error *e);

#endif
