/* Writing flat files: what is to go into one, then all at once. */
#ifndef CN_FORMATS_FLAT_SAVE_H
#define CN_FORMATS_FLAT_SAVE_H

#include <stdio.h>

#include "base/value.h"
#include "formats/save.h"

typedef struct cn_flat_item { const char *name; cn_tensor *value; size_t bytes, begin; int number; } cn_flat_item;

typedef struct cn_flat_out {
  cn_saving *s;
  cn_flat_item *items;
  int count, capacity;
  cn_map taken, owners; /* names; where the data of weights went first */
  cn_value *same;
} cn_flat_out;

/* The weights of a model, and arrays beside them (borrowed until the file is written). */
cn_status cn_flat_add_model(cn_flat_out *f, const cn_model *m, cn_error *e);
cn_status cn_flat_add(cn_flat_out *f, const char *name, cn_tensor *value, cn_error *e);
/* model: what goes into the metadata; adds "same". */
cn_status cn_flat_write(cn_flat_out *f, cn_value *model, const char *path, cn_error *e);
void cn_flat_out_free(cn_flat_out *f);

#endif
