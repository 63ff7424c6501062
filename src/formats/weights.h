/* What both layouts of weight files share: arrays that the file lists, put into the layers that own them. */
#ifndef CN_FORMATS_WEIGHTS_H
#define CN_FORMATS_WEIGHTS_H

#include "base/text.h"
#include "formats/formats.h"

/* An array of the file, looked at but not read. */
typedef struct cn_stored { const char *path, *name; cn_type type; } cn_stored;
typedef struct cn_stored_list { cn_stored *items; int count, capacity; } cn_stored_list;

typedef struct cn_loading {
  cn_model *model;
  cn_source *source;
  cn_source *assets;      /* the model's own file, before the build */
  cn_origin origin;       /* of the weights */
  bool by_name, skip_mismatch;
  cn_arena arena;
  cn_text problems;       /* what does not fit, "; " between; the first few in full */
  int n_problems;
  cn_error *e;
} cn_loading;

cn_status cn_stored_add(cn_loading *g, cn_stored_list *list, const char *path, const char *name);
/* Notes that something does not fit; loading goes on, so that all is told at once. */
void cn_loading_problem(cn_loading *g, const char *format, ...) CN_PRINTF(2, 3);
/* `layer "outer/inner" (Dense)` in the arena. */
const char *cn_loading_layer(cn_loading *g, const cn_layer *top, const cn_layer *owner);

/* How many arrays of the file hold the owner's own weights. */
int cn_weights_stored(const cn_loading *g, const cn_layer *owner);
/* Gives arrays, in the order of the declared weights, to their owner: converted by its import, compared, read, set. */
cn_status cn_weights_put(cn_loading *g, cn_layer *owner, const char *label, const cn_stored *arrays, int n);
/* Whether an array may become the owner's weight: the same shape, dimensions of 1 apart, or one that import turns. */
bool cn_weights_fit(const cn_layer *owner, int weight, const cn_type *type);

/* Weights of a layer and all below it, in the order of Keras's layer.weights. */
typedef struct cn_slot { cn_layer *owner; int weight; } cn_slot;
typedef struct cn_slots { cn_slot *items; int count, capacity; cn_arena *arena; } cn_slots;
cn_status cn_slots_of(cn_loading *g, cn_layer *l, cn_slots *out);

/* A custom layer that wants the file's own arrays for weights. */
bool cn_weights_open(const cn_layer *l);
cn_status cn_weights_adopt(cn_loading *g, cn_layer *l, const cn_stored *arrays, int n);

/* Lets the layer take what the file keeps for it: `path` leads to its group and assets ("": it has none), `arrays` are
 * those of its own where the file lists them (NULL: it does not). */
cn_status cn_weights_restore(cn_loading *g, cn_layer *l, const char *path, const cn_stored_list *arrays);

/* Layers that several models share, which the config has in each: whether it marks one as the same object as one before;
 * whether two may be one; puts the first in all places whose weights it has, once they are loaded. */
bool cn_is_marked_shared(const cn_model *m, int layer);
bool cn_may_be_shared(const cn_layer *a, const cn_layer *b);
cn_status cn_tie_shared(cn_model *m, cn_error *e);

cn_status cn_legacy_load(cn_loading *g);
cn_status cn_legacy_declare(cn_loading *g);
cn_status cn_objects_load(cn_loading *g);
cn_status cn_objects_declare(cn_loading *g);

#endif
