/* Saving: a model in the words of Keras 2 or 3, its weights as files lay them out.
 *
 * Configs are kept as they were read. Those of the Keras that is written for go out as they are; those of another are
 * put into its words key by key. What the other Keras cannot say is an error that names layer and key. */
#ifndef CN_FORMATS_SAVE_H
#define CN_FORMATS_SAVE_H

#include "formats/h5_write.h"
#include "model/model.h"

typedef struct cn_saving {
  int keras;          /* in whose words: 2 or 3 */
  bool masks;         /* some layer of the model makes masks */
  bool own;           /* for flat files: in the words that each was read from, with where it comes from */
  const cn_origin *around; /* own: of the model that is said */
  const cn_type *input; /* of the layer that is said, in all its calls; NULL: not known */
  bool inside;          /* the layer that is said is within another: nothing can stand around it */
  cn_map places;      /* by layer: the model that it is said in first */
  int n_shared;       /* layers that were said in a model before */
  cn_arena arena;     /* of all values made */
  cn_error *e;
} cn_saving;

/* ---- save_words.c: values ---- */

cn_value *cn_say_text(cn_saving *s, const char *text);
cn_value *cn_say_int(cn_saving *s, int64_t i);
cn_value *cn_say_bool(cn_saving *s, bool b);
cn_value *cn_say_shape(cn_saving *s, int rank, const int64_t *shape); /* -1: null */
/* Puts a value into a dict; a NULL is an error of memory. */
cn_status cn_say(cn_saving *s, cn_value *dict, const char *key, const cn_value *v);
/* {class_name, config} as Keras 3 wraps objects, with module and registered_name where it has them. */
cn_status cn_say_object(cn_saving *s, const char *module, const char *class_name, const cn_value *config,
                        cn_value **out);
/* own: adds where something comes from, as cn_origin_read finds it. */
cn_status cn_say_origin(cn_saving *s, cn_value *out, const cn_origin *origin);
/* An initializer, a regularizer or a constraint: which one the key says. */
cn_status cn_say_part(cn_saving *s, const char *key, const cn_value *v, cn_value **out);
/* Whether the Keras that is written for knows the layer class; whether its config may have the key. */
bool cn_knows_class(const cn_saving *s, const char *class_name);
bool cn_knows_key(const cn_saving *s, const char *class_name, const char *key);

/* ---- save_layers.c ---- */

/* What a layer is called and how its config goes, in the words of the Keras that is written for; layers and operations of
 * one input that stand before and behind it, in lists of envelopes, so that all together compute what it does. */
typedef struct cn_said { const char *class_name; cn_value *config, *before, *behind; } cn_said;
cn_status cn_say_layer(cn_saving *s, const cn_layer *l, cn_said *out);
const char *cn_said_class(const cn_saving *s, const cn_layer *l);
/* An operation of keras.ops in its envelope. */
cn_status cn_say_operation(cn_saving *s, const char *class_name, const cn_value *config, cn_value **out);
cn_status cn_say_envelope(cn_saving *s, const cn_layer *l, const cn_said *said, cn_value **out);
/* The same in its envelope, where other configs hold it. */
cn_status cn_say_wrapped(cn_saving *s, const cn_layer *l, cn_value **out);
/* A weight as it is stored; the caller releases. */
cn_status cn_say_weight(cn_saving *s, const cn_layer *l, int index, cn_tensor **out);

/* ---- save_graph.c ---- */

bool cn_is_sequence(const cn_model *m); /* what is written as a Sequential */
/* Under which names the layers of a model are said. */
cn_status cn_said_names(cn_saving *s, const cn_model *m, const char *const **out);
/* A model in its envelope; name: under which its layer is known, NULL: its own. */
cn_status cn_say_model(cn_saving *s, const cn_model *m, const char *name, cn_value **out);

/* ---- save_weights.c ---- */

/* By objects, from a path on (Keras 3), and by layers in a group (Keras 2, .h5 of Keras 3). */
cn_status cn_save_objects(cn_saving *s, cn_h5_out *f, const cn_model *m, cn_error *e);
cn_status cn_save_layers(cn_saving *s, cn_h5_out *f, const cn_model *m, const char *group, cn_error *e);

#endif
