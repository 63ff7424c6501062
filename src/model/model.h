/* Models: Keras's graph of layer calls. */
#ifndef CN_MODEL_MODEL_H
#define CN_MODEL_MODEL_H

#include "layers/layer.h"

typedef cornu_model cn_model;

typedef struct cn_model_ref { int node, tensor; } cn_model_ref; /* output `tensor` of call `node` */

/* A call of a layer, or an input. */
typedef struct cn_model_node {
  int layer;                     /* index into layers; -1: an input that no layer stands for */
  int input;                     /* which input of the model it is; -1: a call */
  int call;                      /* Keras's number of it among the calls of its layer; -1: after those, in their order */
  const char *input_name;
  const cn_value *args, *kwargs; /* tensors as {"@": i}; NULL when plain */
  int n_in, n_positional;
  cn_model_ref *in;
  int n_out;                     /* known after the first trace */
  cn_type *out_types;            /* dimensions may be -1 */
} cn_model_node;

struct cornu_model {
  atomic_int references;
  cn_arena arena;
  const char *name, *class_name, *path, *keras_version, *backend;
  const char *optimizer_path;    /* the file that keeps the optimizer of the loaded weights; NULL: none does */
  bool optimizer_trusted;        /* as what that file was read */
  bool sequential;
  bool exact;                    /* see cornu_load_options */
  cn_origin origin;
  const cn_value *config;        /* as read */
  cn_value *training_config;
  cn_custom_set *customs;
  cn_layer **layers;             /* in Keras's order; each retained */
  int n_layers, cap_layers;
  const char **labels;           /* by layer: its path, where a nested model was taken apart; NULL: its name */
  int n_labels, cap_labels;      /* layers behind have none */
  cn_model_node *nodes;          /* in topological order */
  int n_nodes, cap_nodes;
  cn_model_ref *inputs, *outputs;
  const char **input_keys, **output_keys; /* of dict inputs and outputs; NULL entries otherwise */
  int n_inputs, n_outputs;
  bool built;                    /* the first trace has run: weights are declared, types known */
  bool unknown_input;            /* the config does not tell an input's shape: see cn_model_build_for */
  struct cn_plan_cache *_Atomic plans;
  struct cn_model_symbols *symbols; /* model/symbols.h */
};

/* Builds a model from {class_name, config}; weights are declared (built) when the input shapes are known. `around`: what
 * `serialized` lies in, which goes to the model, or NULL: it is copied. */
cn_status cn_model_from_config(const cn_value *serialized, cn_arena *around, const cn_origin *origin,
                               cn_custom_set *customs, cn_model **out, cn_error *e);
/* Traces with the declared input shapes; the first time, layers build. Sequential models without an input shape stay
 * unbuilt until cn_model_build_for is called with one. */
cn_status cn_model_build(cn_model *m, cn_error *e);
cn_status cn_model_build_for(cn_model *m, const cn_type *inputs, cn_error *e); /* one type per input */
/* The type of output `ref.tensor` of a call; NULL before the model is built. */
const cn_type *cn_model_type(const cn_model *m, cn_model_ref ref);
const char *cn_model_label(const cn_model *m, int layer); /* under which the model knows its layer */
/* The k-th call of a layer, a node, as Keras counts them (from 0); -1: it has fewer. And the number of a node. */
int cn_model_call_node(const cn_model *m, int layer, int k);
int cn_model_call_number(const cn_model *m, int node);
/* Emits the calls of m into a trace; in: one per input. */
cn_status cn_model_lower(cn_model *m, cn_trace *t, const cn_sym *in, cn_sym *out);
extern const cn_layer_type cn_layer_model; /* nested models */
/* those that have no value, by their initializers */
cn_status cn_model_init_weights(cn_model *m, uint64_t seed, cn_error *e);

#endif
