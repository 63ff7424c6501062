/* Functions as nodes of functional models: operations of keras.ops in Keras 3, functions of TensorFlow in tf.keras. Each
 * is a row of its family's table (numpy_*.c, …), which the build finds: `const cn_operation cn_operations_FAMILY[]`.
 *
 * A row names the arguments of the call in order, and the options: config keys, and arguments that are no tensors. Where
 * the operation is one op under another name, nothing else is needed; else `emit` says what it computes. */
#ifndef CN_LAYERS_OPERATION_H
#define CN_LAYERS_OPERATION_H

#include "layers/emit.h"
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct cn_operation_call cn_operation_call;

typedef struct cn_operation {
  const char *name;      /* the class; others that compute the same follow after blanks */
  const char *arguments; /* "x1 x2": in order; a last one with a star takes all that follow as a list */
  const char *op;        /* the op it is: arguments that are no options are its inputs; NULL: emit */
  void (*emit)(cn_operation_call *c);
  const cn_field *fields; /* of the options; NULL: the op's own */
  unsigned options_size;  /* room for `fields` */
  cn_help help;           /* NULL: the op's */
  bool any_key;           /* takes arguments of names that no table knows: emit finds them in `bound` */
} cn_operation;

/* One call under way. */
struct cn_operation_call {
  const cn_operation *operation;
  const char *name;      /* as the file spells it */
  cn_layer *layer;
  cn_trace *t;
  cn_call *call;
  const cn_value *bound; /* arguments and config keys by name; tensors are {"@": index} */
  void *options;         /* options_size bytes */
};

/* The row in a NULL-terminated list of tables; NULL: none. */
const cn_operation *cn_operation_find(const cn_operation *const *tables, const char *name);
extern const cn_operation *const cn_operation_tables[]; /* of keras.ops, made by the build */
extern const cn_layer_type cn_layer_operation;

/* Binds arguments, parses options, emits, returns the results: a layer's lower(). `config` may be NULL. */
void cn_operation_lower(const cn_operation *o, const char *name, cn_layer *l, cn_trace *t, cn_call *c,
                        const cn_value *config);

/* ---- For emit ---- */

const cn_value *cn_argument(const cn_operation_call *c, const char *name); /* NULL when absent or null */
/* As a tensor: one, a number (of the dtype of the first tensor, where that holds it), a nested list of numbers, or an
 * array that the file holds. Absent: CN_NO_EDGE, or with cn_argument_tensor an error. */
cn_edge cn_argument_tensor(cn_operation_call *c, const char *name);
cn_edge cn_argument_optional(cn_operation_call *c, const char *name);
/* A list of them; their number. */
int cn_argument_tensors(cn_operation_call *c, const char *name, cn_edge *out, int cap);
/* As numbers to compute with: float64 stays, all else becomes float32. *dtype (may be NULL): what it was. */
cn_edge cn_argument_floats(cn_operation_call *c, const char *name, cornu_dtype *dtype);
void cn_operation_return(cn_operation_call *c, cn_edge result); /* CN_NO_EDGE after failure */
void cn_operation_return_as(cn_operation_call *c, cn_edge result, cornu_dtype dtype); /* cast */
/* Numbers that a config holds: nested lists, {"class_name": "__numpy__" | "__tensor__", …}, one number. dtype
 * CORNU_DTYPES: int32 for whole numbers, bool, else float32. */
cn_edge cn_emit_array(cn_trace *t, const char *what, const cn_value *v, cornu_dtype dtype);
/* Rank and dimensions; rank 0 after failure. */
const cn_type *cn_operation_type(const cn_operation_call *c, cn_edge x);

#endif
