/* TensorFlow's functions as tf.keras's graphs call them, each told as an operation of keras.ops or an op. */
#ifndef CN_LAYERS_TF_FUNCTIONS_H
#define CN_LAYERS_TF_FUNCTIONS_H

#include "layers/operation.h"

/* `arguments`, in TensorFlow's order: "x" under its own name, "input=x" under the operation's, "axis:0" with a default
 * that the operation's is not, "adjoint!" supported as false or null alone, "gpu~" without
 * effect, "values*" all that follow as a list. */
typedef struct cn_tf_function {
  const char *names;     /* as tf.keras records them, "compat.v1." apart; separated by blanks */
  const char *arguments;
  const char *operation; /* of cn_tf_operations, else of keras.ops, else an op */
} cn_tf_function;
extern const cn_tf_function cn_tf_functions[];  /* ends with names NULL */
extern const cn_operation cn_tf_operations[];   /* those that are like nothing else */
/* By TensorFlow's raw op, as TensorFlowOpLayer of TensorFlow 2.0 to 2.3 keeps it: the function, and after a blank the
 * attributes that are arguments ("keep_dims=keepdims"). */
typedef struct cn_tf_raw { const char *ops, *function, *attributes; } cn_tf_raw;
extern const cn_tf_raw cn_tf_raws[];

/* A call of TFOpLambda, SlicingOpLambda or TensorFlowOpLayer as one of an operation of keras.ops: the class, the call's
 * arguments (tensors are {"@": i}), what Keras 3 keeps in the config, and the dtype that the result is cast to (NULL: its
 * own). dtype: of the tensors that lists of numbers meet. Values are made in `a`. false: no operation computes the same. */
typedef struct cn_tf_said { const char *class_name, *cast; cn_value *args, *config; } cn_tf_said;
bool cn_tf_as_operation(const cn_layer *l, const cn_call *call, cornu_dtype dtype, cn_arena *a, cn_tf_said *out);

#endif
