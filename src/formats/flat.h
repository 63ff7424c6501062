/* Flat files, .cornu: a file of safetensors (the length of a JSON header, the header, the data of the arrays) whose
 * metadata hold the model. Arrays lie as kernels want them, and are used where the mapped file has them.
 *
 * "__metadata__" has texts alone: "format" ("cornu"), "version" (of this format) and "model", the JSON of {class_name,
 * config, cornu_origin, keras_version, backend, training_config, same}. Configs are those that the model was read from,
 * with where each comes from, so that nothing is lost by another Keras's words. Arrays are called by the path of their
 * layer and their own name, "encoder/dense/kernel"; "same" leads from names to those of arrays that are the same. */
#ifndef CN_FORMATS_FLAT_H
#define CN_FORMATS_FLAT_H

#include "base/file.h"
#include "base/value.h"
#include "model/model.h"

enum { CN_FLAT_VERSION = 1, CN_FLAT_HEAD = 9 }; /* bytes that tell whether a file is one of safetensors */

#define CN_FLAT_OPTIMIZER "optimizer/" /* before the names of arrays of the optimizer */

typedef struct cn_flat_array {
  const char *name;
  cn_type type;
  size_t begin, end; /* in the data */
  bool used;         /* a weight took it */
} cn_flat_array;

typedef struct cn_flat {
  cornu_tree tree;   /* the header */
  cn_mapping *file;
  const char *data;
  cn_flat_array *arrays; /* in the header's order */
  int count;
  cn_map names;
  const cn_value *same;
} cn_flat;

/* The name of safetensors for a type of elements, NULL: it has none. */
const char *cn_flat_dtype_name(cornu_dtype dtype);

/* head: CN_FLAT_HEAD bytes. */
bool cn_flat_sniff(const char *head);
/* Takes a reference to the file. `model`: the value of the metadata, in `tree`. */
cn_status cn_flat_open(cn_mapping *file, cornu_tree *tree, cn_flat **out, const cn_value **model, cn_error *e);
void cn_flat_close(cn_flat *f);
cn_flat_array *cn_flat_find(const cn_flat *f, const char *name); /* NULL: there is none */
/* Where the file has it, if it can stay there; the caller releases. */
cn_status cn_flat_use(const cn_flat *f, const cn_flat_array *a, cn_tensor **out, cn_error *e);

/* What an array of a layer is called: its path and its name; two of one name are told apart by numbers, in the order in
 * which layers are walked, when saving and when loading. taken: the names so far. NULL: no memory. */
const char *cn_flat_name(cn_arena *arena, cn_map *taken, const char *path, const char *name, cn_error *e);

/* As cn_weights_declare and cn_weights_load. */
cn_status cn_flat_declare(cn_model *m, cn_flat *f, cn_error *e);
cn_status cn_flat_load(cn_model *m, cn_flat *f, const cornu_load_options *options, cn_error *e);

#endif
