/* Layers: a Keras layer is one descriptor in one file of layers/; the build collects them. The descriptor says under
 * which names and keys any Keras version wrote it, which weights it has, and how it lowers to ops.
 *
 * The life of a layer: cn_layer_new parses the config (upgrade, fields, check); the first call builds it (declares
 * weights for the input types); arrays from a file pass through import; every trace lowers it again, with concrete
 * shapes for a plan and with unknown dimensions (-1) when a model is loaded. */
#ifndef CN_LAYERS_LAYER_H
#define CN_LAYERS_LAYER_H

#include "graph/trace.h"
#include "layers/activation.h"

/* Where a config comes from: what its writer meant depends on it. */
typedef struct cn_origin {
  int keras, minor, patch;   /* 1.2.2, 2.3.1, 3.15.0; tf.keras counts as 2 (TensorFlow 2.13 says 2.13.x) */
  bool tf;                   /* tf.keras or tf_keras */
  bool theano;               /* Theano computed it: its own `same` padding, true convolutions */
  bool channels_first;       /* what a missing or null data_format means */
  bool h5;                   /* legacy .h5 or JSON (no module names) */
} cn_origin;
/* keras * 10000 + minor * 100 + patch, for comparisons: cn_origin_at_least(o, 2, 1, 6) */
bool cn_origin_at_least(const cn_origin *o, int keras, int minor, int patch);
bool cn_origin_equal(const cn_origin *a, const cn_origin *b);
/* What flat files say of a model, or of a layer in a model from elsewhere: "cornu_origin". Leaves *out when nothing is. */
void cn_origin_read(const cn_value *serialized, cn_origin *out);

typedef cornu_layer cn_layer;
typedef struct cn_layer_type cn_layer_type;

typedef struct cn_weight {
  const char *name;             /* Keras 3's: "kernel", "bias", "gamma", "moving_mean" */
  int rank;
  int64_t shape[CN_MAX_RANK];
  cornu_dtype dtype;
  bool trainable;               /* by its nature (statistics are not), the layer's own flag apart */
  const cn_value *initializer;  /* from the config; NULL: what Keras's layers have for the name */
  cn_ints fan_in, fan_out;      /* axes that count as inputs and outputs for initializers; n = 0: as usual */
  const cn_value *regularizer, *constraint; /* those of a layer of the host; of others the config tells */
  cn_tensor *value;             /* NULL until loaded or initialised */
  bool provisional;             /* the value only stands in for what the initializer gives */
} cn_weight;

typedef struct cn_child { const char *attribute; cn_layer *layer; } cn_child; /* "layer", "forward_layer", "cell" */

struct cornu_layer {
  atomic_int references;
  cn_arena arena;
  const cn_layer_type *type;
  cn_origin origin;
  const char *name;
  const char *class_name;       /* as the file spells it */
  cn_value *config;             /* as read, every key kept */
  cn_value *wrapping;           /* of a custom class: module, class_name, registered_name, build_config; or NULL */
  void *settings;               /* type->settings_size bytes, filled from the fields */
  bool trainable, built;
  bool auto_named;              /* made without a name: may get another one where two layers have the same */
  cornu_dtype compute;          /* float32, or what the dtype policy says: weights and results */
  cornu_dtype named;            /* as the policy names it, integers, too; CORNU_DTYPES: it does not */
  bool policy, casts;           /* the config names a policy; calls cast float inputs to `compute` */
  cn_weight *weights;           /* its own; children have theirs */
  int n_weights, cap_weights;
  cn_child *children;           /* wrapped layers, in the order in which Keras lists their weights */
  int n_children, cap_children;
  struct cornu_model *model;    /* a nested model: type is the model's descriptor */
  const cornu_custom *custom;   /* handler of an unknown class or Lambda */
  struct cn_custom_set *customs;/* keeps it alive */
  cn_tensor *kept[2];           /* what restore() found that is no weight: a vocabulary, boundaries */
  cn_tensor **states;           /* what a stateful layer carries from run to run; model/states.c guards them */
  int n_states, cap_states;
  atomic_uint revision;         /* raised when weights change: plans made before are stale; see cn_layer_changes */
  cn_arena path_arena;          /* of paths, which cornu_layer_weight_name has told */
  const char **paths;
  int n_paths, cap_paths;
};

/* A value in a trace with its mask (CN_NO_EDGE: none; else bool, Keras's shape: usually (batch, time)). */
typedef struct cn_sym { cn_edge data, mask; } cn_sym;

/* One call of a layer. Positional tensors come first in `in` (lists flattened), tensors in keyword arguments follow;
 * args and kwargs hold them as {"@": index}. Results are added with cn_call_return. */
typedef struct cn_call {
  const cn_sym *in;
  int n_in, n_positional;
  const cn_value *args, *kwargs; /* NULL when plain */
  cn_sym *out;
  int n_out, cap_out;
  bool unpenalised;         /* without the regularizer of activity */
} cn_call;
bool cn_call_ref(const cn_value *v, int *index);                    /* is it {"@": index}? */
const cn_value *cn_call_kwarg(const cn_call *c, const char *name);  /* NULL when absent or null */
/* The tensor given as keyword `name`; data CN_NO_EDGE when absent. */
cn_sym cn_call_tensor(const cn_call *c, const char *name);
/* Numbers of a config: one as a scalar, a list (nested or not, or a NumPy array as Keras 3 writes it) as a vector. */
cn_edge cn_emit_numbers(cn_trace *t, const char *key, const cn_value *v, cornu_dtype dtype);
void cn_call_return(cn_trace *t, cn_call *c, cn_edge data, cn_edge mask);

enum {
  CN_MASK_STOPS = 0,     /* outputs carry no mask */
  CN_MASK_PASSES = 1,    /* every output carries the first input's mask; lower may leave mask CN_NO_EDGE */
  CN_MASK_OWN = 2,       /* lower sets the masks itself */
  CN_LAYER_INPUT = 4,    /* InputLayer */
  CN_LAYER_IDENTITY = 8, /* at inference: lower may be NULL, inputs are the outputs */
  CN_LAYER_MODEL = 16,   /* nested model */
  CN_LAYER_UNCAST = 64, /* takes its inputs in whatever dtype they come */
  CN_LAYER_OWN_CONFIG = 128, /* reads its config itself: any key may be there */
  CN_LAYER_CONSTANTS = 256, /* may be called with numbers beside tensors */
  CN_LAYER_INTEGERS = 512, /* a policy of integers makes those of what comes out */
  CN_LAYER_INNER_ACTIVITY = 1024 /* in Keras 3 layers within have the regularizer of activity, not this one */
};

/* What a file keeps for a layer beside its weights. */
typedef struct cn_layer_store {
  void *user;
  /* A text ("vocabulary.txt"); NULL when it is not there. The caller frees *text with cn_free. */
  cn_status (*text)(void *user, const char *name, char **text, size_t *length, cn_error *e);
  /* An array by its name, or by its number where the file has no such names; NULL when it is not there. */
  cn_status (*array)(void *user, const char *name, int number, cn_tensor **out, cn_error *e);
} cn_layer_store;

struct cn_layer_type {
  const char *name;         /* Keras's current class name */
  const char *aliases;      /* other class names that mean the same, separated by spaces */
  const char *versions;     /* which Keras has it: "1 2 3" */
  cn_help help;             /* what it computes; shapes */
  int8_t min_in, max_in;    /* positional inputs; max_in -1: any number */
  uint16_t flags;
  unsigned settings_size;
  const cn_field
      *fields; /* beside the common keys (name, trainable, dtype, batch_input_shape, …), which layer.c knows */
  /* Rewrites a copy of an older config where a renamed key does not do. NULL: nothing. */
  cn_status (*upgrade)(cn_layer *l, cn_value *config, cn_error *e);
  /* Rules between fields; derives settings; creates further children. NULL: nothing. */
  cn_status (*check)(cn_layer *l, cn_error *e);
  /* Takes from the file, before build, what decides shapes: cn_layer_keep. NULL: nothing. */
  cn_status (*restore)(cn_layer *l, const cn_layer_store *store, cn_error *e);
  /* Declares weights (cn_layer_add_weight) from the types of the positional inputs. NULL: none. */
  cn_status (*build)(cn_layer *l, const cn_type *in, int n_in, cn_error *e);
  /* Emits ops and returns outputs. */
  void (*lower)(cn_layer *l, cn_trace *t, cn_call *c);
  /* Turns the arrays of a file (all of this layer's own, in the file's order) into the declared weights' layout:
   * arrays[0 … *n-1] are owned by the caller and may be replaced (release the old, put in the new; room for 64). NULL:
   * they are as declared. Runs before counts and shapes are compared. */
  cn_status (*import)(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e);
  /* Which weights are trainable given the layer's flags when that is not (weight.trainable && layer.trainable)?
   * Not needed so far. */
  /* Keras 3's weight files (.keras, .weights.h5) keep the layer's own weights in this child folder, "cell" for LSTM:
   * <layer>/cell/vars/0. NULL: <layer>/vars. */
  const char *weights_path;
  /* How many arrays of a Keras 1 file hold the layer's own weights when that is not n_weights (LSTM: 12, one kernel,
   * recurrent kernel and bias per gate); import joins them. NULL: n_weights. */
  int (*keras1_arrays)(const cn_layer *l);
  /* For the registry, where `build` does not tell: "fixed", weights that are never trained; "inner", those of layers
   * within. NULL: trainable ones when there is a build. */
  const char *weights;
};

/* The registry, sorted by name: each `const cn_layer_type cn_layer_NAME` in layers/ is found by the build. */
extern const cn_layer_type *const cn_layer_types[];
extern const int cn_layer_type_total;
/* Why this class of Keras is not supported on purpose; NULL: it is not one of those. */
const char *cn_refusal(const char *class_name);
/* by name or alias, "Custom>" and "package>" prefixes apart */
const cn_layer_type *cn_layer_type_find(const char *class_name);
/* Custom handlers, reference counted, shared by the layers of a model. */
typedef struct cn_custom_set { atomic_int references; cornu_custom *items; int count; } cn_custom_set;
/* copies items and names */
cn_status cn_custom_set_new(const cornu_custom *items, int count, cn_custom_set **out, cn_error *e);
cn_custom_set *cn_custom_set_share(cn_custom_set *s);
void cn_custom_set_drop(cn_custom_set *s); /* the last drop calls each release */

/* Makes a layer from its serialized form {class_name, config, …}. The layer copies what it needs. */
cn_status cn_layer_new(const cn_value *serialized, const cn_origin *origin, cn_custom_set *customs, cn_layer **out,
                       cn_error *e);
cn_status cn_layer_new_typed(const cn_layer_type *type, const char *class_name, const char *name,
                             const cn_value *config, const cn_origin *origin, cn_custom_set *customs, cn_layer **out,
                             cn_error *e);
/* Reads the dtype policy: sets compute, policy and casts (policy.c). */
cn_status cn_layer_policy(cn_layer *l, cn_error *e);
/* The config's policy; of a map the part that is the layer's. NULL: none. */
cn_status cn_layer_policy_of(const cn_layer *l, const cn_value **out, cn_error *e);
void cn_layer_infer(cn_layer *l, const cn_type *in, int n_in); /* from the inputs, where the config is too old to tell */
/* For check(): a wrapped layer under its Keras attribute name; takes the reference over. */
cn_status cn_layer_adopt(cn_layer *l, const char *attribute, cn_layer *child, cn_error *e);
/* For restore(): keeps the tensor (borrowed; retained) in place `index` of l->kept; kept: borrowed, or NULL. */
cn_status cn_layer_keep(cn_layer *l, int index, cn_tensor *value, cn_error *e);
cn_tensor *cn_layer_kept(const cn_layer *l, int index);
/* For build(). */
cn_status cn_layer_add_weight(cn_layer *l, const char *name, int rank, const int64_t *shape, bool trainable,
                              const cn_value *initializer, cn_error *e);
int cn_layer_find_weight(const cn_layer *l, const char *name); /* -1: none */
/* For lower(): the weight as a value of the trace; CN_NO_EDGE when the layer has no weight of that name. */
cn_edge cn_layer_weight_edge(cn_layer *l, cn_trace *t, const char *name);
/* What the weight is after a run of training: statistics. */
void cn_layer_weight_keep(cn_layer *l, cn_trace *t, const char *name, cn_edge next);
/* For lower(): whether the layer acts as in training, with random numbers; a call with training=true fails at
 * inference. */
bool cn_layer_draws(const cn_layer *l, cn_trace *t);
/* Calls a layer: builds it when it is not built, lowers it, settles masks. Errors name the layer. */
void cn_layer_call(cn_layer *l, cn_trace *t, cn_call *c);
/* For wrappers: one tensor in, outputs into out (room: cap); returns their number. */
int cn_layer_call_on(cn_layer *l, cn_trace *t, const cn_sym *in, int n_in, cn_sym *out, int cap);

/* Weights of the layer and of all below it in Keras's order of `layer.weights`: trainable ones first, with the
 * trainable flags as they are. Visits (owner, index into owner->weights, path such as "forward_layer/kernel"). */
typedef cn_status (*cn_weight_visit)(void *user, cn_layer *owner, int index, const char *path, cn_error *e);
cn_status cn_layer_each_weight(cn_layer *l, cn_weight_visit visit, void *user, cn_error *e);
/* checks the shape; converts; retains */
cn_status cn_layer_set_weight(cn_layer *l, int index, cn_tensor *value, cn_error *e);
void cn_layer_weight_changed(cn_layer *l, int index); /* its data did, where it is */
void cn_layer_changed(cn_layer *l); /* something else that its lowering reads did */
/* To read weights as they belong together, until cornu_weights_end: waits while another thread changes some. */
void cn_weights_wait(void);
/* The same without waiting, unless something had changed since `seen` before that thread began; false: it is at it. */
bool cn_weights_look(unsigned seen);
unsigned cn_layer_changes(void); /* how often any layer's revision was raised: while it stays, all of them did */
/* Weights that have no value get one from their initializers. */
cn_status cn_layer_init_weights(cn_layer *l, cornu_random *r, cn_error *e);
cn_layer *cn_layer_share(cn_layer *l); /* adds a reference */
void cn_layer_drop(cn_layer *l);

#endif
