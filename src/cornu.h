/* Cornu: load what Keras saved and run it, from C or from Lua.
 *
 * The objects
 *   cornu_tensor   a typed, shaped view on a reference-counted buffer
 *   cornu_value    a JSON-like tree (null, bool, int, float, string, list, dict): layer configs, operation attributes
 *   cornu_layer    one Keras layer: class, config, weights; shared by every model that uses it
 *   cornu_model    a graph of layer calls with inputs and outputs; slices of it are models too
 *   cornu_symbol   a value in a graph of layer calls, from which models are made
 *   cornu_plan     a model compiled for given input shapes; a run of it allocates nothing
 *   cornu_runner   a plan with buffers and states of its own, whole or in slices of time: for frame loops
 *   cornu_context  allocator, threads, limits and log of what works in it
 *
 * The life of a prediction
 *   cornu_model_load reads a file; cornu_model_predict runs it on tensors. The first run for a shape compiles a plan,
 *   later runs with the same shape reuse it. A frame loop that wants the promise "no allocation" makes a runner
 *   (cornu_runner_new), writes into its inputs, runs it, and reads its outputs.
 *
 * Errors
 *   A function that can fail returns a cornu_status and takes a cornu_error as its last argument (NULL: not wanted).
 *   On failure the message names the file, the layer, what was expected and what was found; output pointers are set to
 *   NULL or left alone. The library never exits, aborts, prints, or touches signal handlers.
 *
 * Ownership
 *   Every pointer says one of: borrowed until X | the caller frees with Y | taken over. Tensors, layers and models are
 *   reference counted: *_retain adds a count, *_release (NULL is fine) drops one. Counts are atomic.
 *
 * Threads
 *   Tensors, layers and models that nobody changes may be shared by threads; weights may change, see cornu_weights_begin.
 *   A plan belongs to one run at a time; cornu_model_predict keeps one plan for each thread that runs at the same moment.
 *
 * Shapes include the batch dimension; an unknown dimension is -1. Axes in attributes are Keras's: 0-based, negative
 * from the end. Sizes are counted in elements unless a name says bytes.
 */
#ifndef CORNU_H
#define CORNU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CORNU_VERSION "0.1.0"
#define CORNU_MAX_RANK 8

#if defined(_WIN32) && defined(CORNU_BUILD) /* Cornu itself is compiled */
#define CORNU_API __declspec(dllexport)
#elif defined(_WIN32) && defined(CORNU_DLL) /* a host that links cornu.dll */
#define CORNU_API __declspec(dllimport)
#elif defined(__GNUC__) && !defined(_WIN32)
#define CORNU_API __attribute__((visibility("default")))
#else
#define CORNU_API
#endif

/* ---- Errors ------------------------------------------------------------------------------------------------- */

typedef enum cornu_status {
  CORNU_OK = 0,
  CORNU_ERR_ARGUMENT,    /* a caller's argument is wrong */
  CORNU_ERR_SHAPE,       /* shapes do not fit */
  CORNU_ERR_DTYPE,       /* an element type does not fit */
  CORNU_ERR_NOT_FOUND,   /* no such file, layer, weight, key */
  CORNU_ERR_IO,          /* the system refused to read or write */
  CORNU_ERR_FORMAT,      /* a file is damaged or not what it should be */
  CORNU_ERR_UNSUPPORTED, /* valid, but not built into this version */
  CORNU_ERR_LIMIT,       /* a size beyond the limits set for untrusted files */
  CORNU_ERR_MEMORY,      /* the allocator returned NULL */
  CORNU_ERR_INTERRUPTED, /* cornu_interrupt was called, or the time of cornu_set_deadline came */
  CORNU_ERR_CALLBACK     /* a callback of the host failed */
} cornu_status;

/* Filled by the failing call; plain data that the caller owns, no need to free. */
typedef struct cornu_error {
  cornu_status status;
  char message[2048]; /* UTF-8, "where > where: what" */
} cornu_error;

CORNU_API const char *cornu_status_name(cornu_status status); /* "shape", "not found", …; static */

/* ---- The process -------------------------------------------------------------------------------------------- */

CORNU_API const char *cornu_version(void);  /* "0.1.0" */
/* The kernels in use: "sse2", "avx2", "avx512", "neon", "simd128" or "generic" (CORNU_ISA forces one of the machine's). */
CORNU_API const char *cornu_isa(void);
CORNU_API double cornu_clock(void);         /* seconds, monotonic */

/* Memory. alloc returns `size` bytes aligned to `align` (a power of two) or NULL; free gets the same size back. */
typedef struct cornu_allocator {
  void *user;
  void *(*alloc)(void *user, size_t size, size_t align);
  void (*free)(void *user, void *pointer, size_t size);
} cornu_allocator;

/* Limits for files that nobody vouches for. Zero leaves a limit as it is. */
typedef struct cornu_limits {
  size_t struct_size;      /* sizeof(cornu_limits) */
  size_t max_tensor_bytes; /* one array; default 16 GiB */
  size_t max_text_bytes;   /* one JSON text; default 256 MiB */
  int max_layers;          /* default 100000 */
  int max_depth;           /* nesting of JSON and of models; default 200 */
} cornu_limits;

/* The host's job system in place of Cornu's threads. run calls job(context, i) once for each i of 0 … n-1, on any threads
 * and at the same time if it can, and returns when all have returned. It is called by the thread that runs a model
 * (in cornu_runner_start and cornu_runner_run_for: by a thread of the runner). Jobs do not wait for each other. */
typedef struct cornu_jobs {
  void *user;
  int threads; /* how many jobs may run at the same time: n is at most that */
  void (*run)(void *user, int n, void (*job)(void *context, int i), void *context);
} cornu_jobs;

typedef enum cornu_log_level { CORNU_LOG_DEBUG, CORNU_LOG_INFO, CORNU_LOG_WARNING } cornu_log_level;
/* message: one line, without its end. May be called by any thread that works in the context. */
typedef void (*cornu_log)(void *user, cornu_log_level level, const char *message);

/* A context: memory, limits, threads and log of the threads that work in it. What they make belongs to it, and goes back
 * to its allocator from whatever thread. Each thread begins in the standard context of the process. */
typedef struct cornu_context cornu_context;
typedef struct cornu_context_options {
  size_t struct_size;        /* sizeof(cornu_context_options); the rest zero: as in the standard context */
  cornu_allocator allocator;
  size_t max_memory;         /* bytes through the allocator; beyond it there is no memory */
  cornu_limits limits;
  int threads;               /* per run */
  cornu_jobs jobs;
  cornu_log log;
  void *log_user;
} cornu_context_options;
/* The caller releases; it is freed when the last thing that was made in it is, too. options may be NULL. */
CORNU_API cornu_status cornu_context_new(const cornu_context_options *options, cornu_context **out, cornu_error *e);
CORNU_API cornu_context *cornu_context_retain(cornu_context *c);
CORNU_API void cornu_context_release(cornu_context *c);
/* The calling thread works in c from now on (NULL: in the standard one), which must live as long. Returns the one before,
 * borrowed. Runners work in the context that they were made in, whatever the thread. */
CORNU_API cornu_context *cornu_context_use(cornu_context *c);
CORNU_API size_t cornu_context_memory(const cornu_context *c); /* bytes held through its allocator now */

/* The allocator of the standard context: set before any other call, or not at all; NULL restores malloc. */
CORNU_API void cornu_set_allocator(const cornu_allocator *allocator);
/* These are about the context that the calling thread works in. */
CORNU_API size_t cornu_memory_used(void); /* bytes held through the allocator now */
CORNU_API void cornu_set_limits(const cornu_limits *limits);
CORNU_API void cornu_get_limits(cornu_limits *limits);
/* threads per run, at least 1; default: CORNU_NUM_THREADS or the cores. The host's jobs decide for themselves. */
CORNU_API void cornu_set_threads(int threads);
CORNU_API int cornu_get_threads(void);

/* Makes every run under way return CORNU_ERR_INTERRUPTED at its next step. While interrupts are deferred, as in training,
 * which ends after its batch, the first one only waits; returns whether runs end. Safe in a signal handler. */
CORNU_API bool cornu_interrupt(void);
CORNU_API void cornu_defer_interrupts(bool on); /* calls nest */
CORNU_API bool cornu_interrupt_waits(void);

/* What the calling thread loads, compiles, runs and computes ends at about that time of cornu_clock with
 * CORNU_ERR_INTERRUPTED, "… > the time for it is over", in the midst of large operations, too; 0: when it is done. A step of
 * training is taken whole, or not at all. Returns the time before, which calls within each other set again. What threads
 * of runners do has no part in it. */
CORNU_API double cornu_set_deadline(double time);

/* ---- Values: JSON-like trees -------------------------------------------------------------------------------- */

typedef struct cornu_value cornu_value;
typedef struct cornu_tree cornu_tree; /* owns the values made in it */

typedef enum cornu_kind {
  CORNU_NULL, CORNU_BOOL, CORNU_INT, CORNU_FLOAT, CORNU_STRING, CORNU_LIST, CORNU_DICT
} cornu_kind;

CORNU_API cornu_tree *cornu_tree_new(void);        /* NULL: no memory. The caller frees with cornu_tree_free. */
CORNU_API void cornu_tree_free(cornu_tree *tree);  /* frees the tree and every value in it */

/* Makers return NULL when memory is out; passing NULL on is safe and gives NULL again. Text is copied. */
CORNU_API cornu_value *cornu_value_null(cornu_tree *tree);
CORNU_API cornu_value *cornu_value_bool(cornu_tree *tree, bool b);
CORNU_API cornu_value *cornu_value_int(cornu_tree *tree, int64_t i);
CORNU_API cornu_value *cornu_value_float(cornu_tree *tree, double f);
CORNU_API cornu_value *cornu_value_string(cornu_tree *tree, const char *s, size_t length);
CORNU_API cornu_value *cornu_value_list(cornu_tree *tree);
CORNU_API cornu_value *cornu_value_dict(cornu_tree *tree);
CORNU_API bool cornu_value_append(cornu_tree *tree, cornu_value *list, cornu_value *item);
CORNU_API bool cornu_value_set(cornu_tree *tree, cornu_value *dict, const char *key, cornu_value *item);

/* Readers; all are safe on NULL and on another kind (0, NULL, false). Results are borrowed until the tree is freed. */
CORNU_API cornu_kind cornu_value_kind(const cornu_value *v);
CORNU_API size_t cornu_value_count(const cornu_value *v);                       /* items of a list or a dict */
/* i-th item (0-based), dicts in order */
CORNU_API const cornu_value *cornu_value_at(const cornu_value *v, size_t i);
CORNU_API const char *cornu_value_key(const cornu_value *v, size_t i);          /* key of the i-th item of a dict */
CORNU_API const cornu_value *cornu_value_get(const cornu_value *v, const char *key);
CORNU_API bool cornu_value_as_bool(const cornu_value *v);
CORNU_API int64_t cornu_value_as_int(const cornu_value *v);     /* floats with a whole value convert */
CORNU_API double cornu_value_as_float(const cornu_value *v);
CORNU_API const char *cornu_value_as_string(const cornu_value *v, size_t *length); /* length may be NULL */

/* JSON text to a value in `tree` and back. NaN, Infinity and -Infinity are read and written as Python does.
 * The text of cornu_json_write lives in `tree`. indent 0 writes one line. */
CORNU_API cornu_status cornu_json_read(cornu_tree *tree, const char *text, size_t length, cornu_value **out,
                                       cornu_error *e);
CORNU_API cornu_status cornu_json_write(cornu_tree *tree, const cornu_value *v, int indent, const char **out,
                                        cornu_error *e);

/* ---- Tensors ------------------------------------------------------------------------------------------------ */

typedef enum cornu_dtype {
  CORNU_FLOAT32, CORNU_FLOAT64, CORNU_FLOAT16, CORNU_BFLOAT16,
  CORNU_INT8, CORNU_INT16, CORNU_INT32, CORNU_INT64,
  CORNU_UINT8, CORNU_UINT16, CORNU_UINT32, CORNU_UINT64,
  CORNU_BOOL8,  /* one byte, 0 or 1 */
  CORNU_TEXT, /* a cornu_text: bytes with a length, UTF-8 by convention */
  CORNU_DTYPES
} cornu_dtype;

CORNU_API const char *cornu_dtype_name(cornu_dtype dtype);                 /* "float32", …, "bool"; static */
CORNU_API bool cornu_dtype_parse(const char *name, cornu_dtype *out);
CORNU_API size_t cornu_dtype_bytes(cornu_dtype dtype);

/* One element of a string tensor. The bytes are not NUL-terminated; zero-filled is the empty string. They belong to the
 * tensor's buffer (or, behind cornu_tensor_wrap, to the caller, who keeps them while a view lives), are never changed,
 * and last as long as it, even when the element is set anew. */
typedef struct cornu_text {
  const char *bytes;
  size_t length;
} cornu_text;

typedef struct cornu_tensor cornu_tensor;

/* Zero-filled, contiguous, row-major. rank 0 is a scalar. The caller releases. */
CORNU_API cornu_status cornu_tensor_new(cornu_dtype dtype, int rank, const int64_t *shape, cornu_tensor **out,
                                        cornu_error *e);
/* Wraps memory of the caller without a copy; release(user, data) runs when the last view is gone (NULL: never). */
CORNU_API cornu_status cornu_tensor_wrap(cornu_dtype dtype, int rank, const int64_t *shape, void *data,
                                         void (*release)(void *user, void *data), void *user, cornu_tensor **out,
                                         cornu_error *e);
CORNU_API cornu_tensor *cornu_tensor_retain(cornu_tensor *t);
CORNU_API void cornu_tensor_release(cornu_tensor *t);

CORNU_API cornu_dtype cornu_tensor_dtype(const cornu_tensor *t);
CORNU_API int cornu_tensor_rank(const cornu_tensor *t);
CORNU_API const int64_t *cornu_tensor_shape(const cornu_tensor *t);    /* rank numbers, borrowed from t */
CORNU_API const int64_t *cornu_tensor_strides(const cornu_tensor *t);  /* in elements, may be 0 or negative */
CORNU_API int64_t cornu_tensor_size(const cornu_tensor *t);            /* elements; -1 when a dimension is unknown */
CORNU_API void *cornu_tensor_data(cornu_tensor *t);                    /* first element; NULL for a symbolic tensor */
CORNU_API bool cornu_tensor_is_contiguous(const cornu_tensor *t);
/* A symbolic tensor stands for a value inside a model while a custom layer is traced: it has a dtype and a shape
 * (-1: unknown), can be used with cornu_apply, and holds no data. */
CORNU_API bool cornu_tensor_is_symbolic(const cornu_tensor *t);

/* Views share the buffer. start/stop/step count elements of `axis` (0-based); stop is exclusive; step may be negative
 * (start is then the highest). cornu_tensor_select drops the axis. */
CORNU_API cornu_status cornu_tensor_slice(cornu_tensor *t, int axis, int64_t start, int64_t stop, int64_t step,
                                          cornu_tensor **out, cornu_error *e);
CORNU_API cornu_status cornu_tensor_select(cornu_tensor *t, int axis, int64_t index, cornu_tensor **out,
                                           cornu_error *e);
/* axes NULL: reversed */
CORNU_API cornu_status cornu_tensor_transpose(cornu_tensor *t, const int *axes, cornu_tensor **out, cornu_error *e);
/* One dimension may be -1. A view where the layout allows it, else a copy. */
CORNU_API cornu_status cornu_tensor_reshape(cornu_tensor *t, int rank, const int64_t *shape, cornu_tensor **out,
                                            cornu_error *e);
CORNU_API cornu_status cornu_tensor_broadcast(cornu_tensor *t, int rank, const int64_t *shape, cornu_tensor **out,
                                              cornu_error *e);
/* t itself, retained, if it is */
CORNU_API cornu_status cornu_tensor_contiguous(cornu_tensor *t, cornu_tensor **out, cornu_error *e);
CORNU_API cornu_status cornu_tensor_cast(cornu_tensor *t, cornu_dtype dtype, cornu_tensor **out, cornu_error *e);
/* broadcasts and converts */
CORNU_API cornu_status cornu_tensor_copy(cornu_tensor *to, const cornu_tensor *from, cornu_error *e);

/* One element by its index (rank numbers, 0-based). Integers beyond 2^53 go through the int forms. */
CORNU_API double cornu_tensor_get(const cornu_tensor *t, const int64_t *index);
CORNU_API int64_t cornu_tensor_get_int(const cornu_tensor *t, const int64_t *index);
CORNU_API void cornu_tensor_set(cornu_tensor *t, const int64_t *index, double value);
CORNU_API void cornu_tensor_set_int(cornu_tensor *t, const int64_t *index, int64_t value);

/* The same for strings; those above give 0 for a string and do not set one. cornu_tensor_set_text copies the bytes. */
CORNU_API cornu_text cornu_tensor_get_text(const cornu_tensor *t, const int64_t *index);
CORNU_API cornu_status cornu_tensor_set_text(cornu_tensor *t, const int64_t *index, const char *bytes, size_t length,
                                             cornu_error *e);

/* |t - u| <= atol + rtol * |u| everywhere (equal NaNs and infinities count as close). *worst: largest |t - u|. u has
 * the shape of t, or is a scalar. Strings are close when they are equal; *worst is then 0, else infinity. */
CORNU_API cornu_status cornu_tensor_allclose(cornu_tensor *t, cornu_tensor *u, double rtol, double atol, bool *close,
                                             double *worst, cornu_error *e);

/* NumPy-like text: aligned columns, `...` beyond threshold elements with edge items shown, then dtype and shape.
 * The caller frees the text with cornu_free. Zero options take the defaults (4 digits, 1000, 3, 80). */
typedef struct cornu_print_options {
  int precision;
  int64_t threshold;
  int edge_items;
  int line_width;
} cornu_print_options;
CORNU_API cornu_status cornu_tensor_format(cornu_tensor *t, const cornu_print_options *options, char **out,
                                           cornu_error *e);
CORNU_API void cornu_free(void *pointer); /* frees what the header says to free with it */

/* Random fills, repeatable for a seed; float tensors only. Uniform: low <= x < high, rounded to the dtype. */
typedef struct cornu_random { uint64_t state[4]; } cornu_random;
CORNU_API void cornu_random_seed(cornu_random *r, uint64_t seed);
CORNU_API cornu_status cornu_random_uniform(cornu_random *r, cornu_tensor *t, double low, double high, cornu_error *e);
CORNU_API cornu_status cornu_random_normal(cornu_random *r, cornu_tensor *t, double mean, double deviation,
                                           cornu_error *e);
/* first … first+n-1 in another order, the same on every machine, into a contiguous int64 vector of n. block 0: any order;
 * else the numbers from one multiple of it to the next stay together, and, in_order, where they are. */
CORNU_API cornu_status cornu_random_order(cornu_random *r, cornu_tensor *t, int64_t first, int64_t block, bool in_order,
                                          cornu_error *e);

/* ---- Operations --------------------------------------------------------------------------------------------- */

/* Applies an operation of the registry ("add", "relu", "sum", "matmul", "conv", …) to tensors; broadcasting and dtype
 * promotion follow NumPy with float32 as the float type. attributes: a dict or NULL. Inputs are borrowed; outputs
 * are new (the caller releases). *n_outputs is the room in `outputs` on entry, the number made on return.
 * With a symbolic input the operation is recorded instead, and the outputs are symbolic. */
CORNU_API cornu_status cornu_apply(const char *op, cornu_tensor *const *inputs, int n_inputs,
                                   const cornu_value *attributes, cornu_tensor **outputs, int *n_outputs,
                                   cornu_error *e);

/* The registry, for help texts, completion and coverage reports: ops and layers alike. Strings are static. */
typedef struct cornu_field_info {
  const char *name;     /* as Keras 3 spells it */
  const char *aliases;  /* older spellings, separated by spaces; may be NULL */
  const char *type;     /* "int", "float", "bool", "string", "enum", "ints", "activation", "layer", … */
  const char *choices;  /* of an enum, separated by spaces; may be NULL */
  const char *standard; /* default as JSON text; NULL: required */
  const char *help;
} cornu_field_info;
typedef struct cornu_type_info {
  const char *name;     /* "Dense", "matmul" */
  const char *aliases;  /* other class names, separated by spaces; may be NULL */
  const char *help;     /* first line: summary; then shapes and formula */
  const char *versions; /* layers: which Keras has it, "1 2 3"; may be NULL */
  int n_fields;
  int min_inputs, max_inputs; /* tensors that come before the options; max_inputs -1: any number */
  const char *weights;  /* layers: "trainable"; "fixed": some, never trained; "inner": those of layers within; or NULL */
  const char *arguments; /* operations of keras.ops: of a call, in order, separated by spaces; a star: all that follow */
} cornu_type_info;
CORNU_API int cornu_op_count(void);
CORNU_API bool cornu_op_info(int i, cornu_type_info *out);
CORNU_API bool cornu_op_field(int i, int field, cornu_field_info *out);
CORNU_API int cornu_layer_type_count(void);
CORNU_API bool cornu_layer_type_info(int i, cornu_type_info *out);
CORNU_API bool cornu_layer_type_field(int i, int field, cornu_field_info *out);
/* What configs of layers name for weights and results: fields are their arguments. */
typedef enum cornu_part { CORNU_INITIALIZER, CORNU_REGULARIZER, CORNU_CONSTRAINT } cornu_part;
CORNU_API bool cornu_part_info(cornu_part kind, int i, cornu_type_info *out);
CORNU_API bool cornu_part_field(cornu_part kind, int i, int field, cornu_field_info *out);
/* Whether a layer could be made with it: a name or {class_name, config}. */
CORNU_API cornu_status cornu_part_check(cornu_part kind, const cornu_value *v, cornu_error *e);
CORNU_API int cornu_optimizer_count(void);
CORNU_API bool cornu_optimizer_info(int i, cornu_type_info *out);
CORNU_API bool cornu_optimizer_field(int i, int field, cornu_field_info *out);
CORNU_API int cornu_schedule_count(void); /* of learning rates */
CORNU_API bool cornu_schedule_info(int i, cornu_type_info *out);
CORNU_API bool cornu_schedule_field(int i, int field, cornu_field_info *out);
/* The operations of keras.ops that may be nodes of functional models, by class ("Matmul"; several classes that compute
 * the same share an entry, separated by spaces). Fields are config keys and arguments that are no tensors. */
CORNU_API const char *cornu_operation_name(int i); /* NULL behind the last */
CORNU_API bool cornu_operation_info(int i, cornu_type_info *out);
CORNU_API bool cornu_operation_field(int i, int field, cornu_field_info *out);
/* The i-th group of Keras's classes that are refused on purpose, separated by spaces, and why; false behind the last. */
CORNU_API bool cornu_refused_classes(int i, const char **names, const char **why);

/* What was put into the softmax or sigmoid that made a symbolic tensor, for losses that are computed better from it (the
 * caller releases); *out NULL: nothing of the kind. */
CORNU_API cornu_status cornu_tensor_logits(cornu_tensor *x, cornu_tensor **out, cornu_error *e);

/* ---- Models ------------------------------------------------------------------------------------------------- */

typedef struct cornu_model cornu_model;
typedef struct cornu_layer cornu_layer;
typedef struct cornu_symbol cornu_symbol;

/* A custom layer, for classes that Cornu does not know and for Lambda. `call` receives the inputs of one call and
 * makes the outputs with cornu_apply (it is traced: tensors are symbolic; see cornu_tensor_is_symbolic), so that they
 * run at full speed, in any plan. With `eager`, call gets tensors with data at each run instead, and output_shape must
 * tell the shapes (NULL: same as the first input). Returned tensors are taken over. `user` must outlive every model. */
#define CORNU_MAX_STATES 62 /* of a custom cell */
typedef struct cornu_custom {
  const char *name; /* class name, registered name, or the name of one layer (for Lambda) */
  void *user;
  bool eager;
  cornu_status (*call)(void *user, cornu_layer *layer, cornu_tensor *const *inputs, int n_inputs,
                       cornu_tensor **outputs, int *n_outputs, cornu_error *e);
  /* Declares weights when the file does not tell them: calls cornu_layer_add_weight. NULL: the file's own arrays. */
  cornu_status (*build)(void *user, cornu_layer *layer, cornu_tensor *const *inputs, int n_inputs, cornu_error *e);
  cornu_status (*output_shape)(void *user, cornu_layer *layer, const int64_t *in, int in_rank, int64_t *out,
                               int *out_rank, cornu_error *e);
  void (*release)(void *user); /* when the last model that uses it is gone; may be NULL */
  /* For a class of cells, which an RNN layer runs step by step: sets how many states it has and their shapes without the
   * batch. `call` then gets the input of one step, the states, and the constants that the RNN layer is called with; it
   * makes the output and the new states. NULL: not a cell. */
  cornu_status (*states)(void *user, cornu_layer *layer, int most, int *count, int *ranks,
                         int64_t (*shapes)[CORNU_MAX_RANK], cornu_error *e);
} cornu_custom;

typedef struct cornu_load_options {
  size_t struct_size;        /* sizeof(cornu_load_options) */
  bool by_name;              /* weights to layers by name instead of by order */
  bool skip_mismatch;        /* leave weights whose shape differs as they are */
  const char *backend;       /* "theano" or "tensorflow": for Keras 1 files that do not tell; NULL: look at the file */
  const char *data_format;   /* "channels_first" or "channels_last": for Keras 1 layers that do not tell; NULL: infer */
  const cornu_custom *custom;
  int n_custom;
  uint64_t seed;             /* of the initial weights when a config comes without weights */
  bool trusted;              /* HDF5 beyond what Keras writes (chunks, packing): read it with libhdf5, which does not
                              * stand files that are made to harm */
  bool exact;                /* compute everything as defined: no faster ways that round differently (Winograd's convolution) */
} cornu_load_options;

/* path: .h5/.hdf5, .keras, .cornu, .json, .yaml of old Keras, an unzipped .keras folder; the content decides, not the
 * name; or the JSON itself, a text that begins with "{" (the model's path is "" then). weights: NULL, or .h5, .weights.h5,
 * a full model. The caller releases the model. */
CORNU_API cornu_status cornu_model_load(const char *path, const char *weights, const cornu_load_options *options,
                                        cornu_model **out, cornu_error *e);
/* A file of the host that is not one of the system: in memory, or in an archive of its own. Its bytes are copied. */
typedef struct cornu_source {
  size_t struct_size;  /* sizeof(cornu_source) */
  const char *name;    /* for messages; also the path of the model. Model and weights have different ones */
  const void *data;    /* the whole file, `size` bytes; NULL: read gives it */
  size_t size;
  bool (*read)(void *user, uint64_t offset, void *buffer, size_t n); /* exactly n bytes; false: it cannot */
  void *user;
} cornu_source;
/* As cornu_model_load; weights may be NULL. The callbacks are called before it returns, by the calling thread. */
CORNU_API cornu_status cornu_model_load_source(const cornu_source *model, const cornu_source *weights,
                                               const cornu_load_options *options, cornu_model **out, cornu_error *e);
CORNU_API cornu_status cornu_model_load_weights(cornu_model *m, const char *path, const cornu_load_options *options,
                                                cornu_error *e);
CORNU_API cornu_status cornu_model_load_weights_source(cornu_model *m, const cornu_source *weights,
                                                       const cornu_load_options *options, cornu_error *e);
/* How a model is saved. Zero-initialise and set struct_size to sizeof(cornu_save_options); NULL means all defaults. */
typedef struct cornu_save_options {
  size_t struct_size;
  /* In whose words: 2 or 3. 0: .keras and .weights.h5 are Keras 3's; .h5 is of the Keras that the model comes from, 2 for
   * those of Keras 1, 3 for models made here. What that Keras cannot say is an error that names layer and key. */
  int keras;
  const cornu_value *training_config; /* what compile() was given, as that Keras writes it; NULL: none */
  const char *const *optimizer_names; /* the optimizer's arrays in its order; names: as in .h5 */
  cornu_tensor *const *optimizer_arrays;
  int n_optimizer;
} cornu_save_options;
/* The whole model by the ending of the path: .keras (Keras 3), .h5 or .hdf5; .cornu, a flat file that is mapped, a file of
 * safetensors with the model in its metadata, in the words of the Keras that it is from; or .json, without weights. The file
 * is there whole, or the old one stays as it was: it is written beside, brought onto the disk, and renamed. */
CORNU_API cornu_status cornu_model_save(cornu_model *m, const char *path, const cornu_save_options *options,
                                        cornu_error *e);
/* Weights alone: .weights.h5 (Keras 3), .h5 or .hdf5 (by layers: Keras 1 to 3), .npz (arrays "layer/kernel"). */
CORNU_API cornu_status cornu_model_save_weights(cornu_model *m, const char *path, const cornu_save_options *options,
                                                cornu_error *e);
CORNU_API int cornu_model_keras(const cornu_model *m); /* 2 or 3: what `keras` 0 means where the file does not tell */
/* The model without its weights, as to_json() of Keras 2 or 3 writes it (0: as for .h5). The caller frees with
 * cornu_free. */
CORNU_API cornu_status cornu_model_to_json(cornu_model *m, int keras, int indent, char **out, cornu_error *e);
/* "Sequential" or "Functional" without loading the weights; static text. */
CORNU_API cornu_status cornu_check_modeltype(const char *path, const char **out, cornu_error *e);
CORNU_API cornu_model *cornu_model_retain(cornu_model *m);
CORNU_API void cornu_model_release(cornu_model *m);

/* All texts below are borrowed from the model. */
CORNU_API const char *cornu_model_name(const cornu_model *m);
CORNU_API const char *cornu_model_type(const cornu_model *m);           /* "Sequential" or "Functional" */
CORNU_API const char *cornu_model_keras_version(const cornu_model *m);  /* as the file says; "" when it does not */
CORNU_API const char *cornu_model_backend(const cornu_model *m);        /* "tensorflow", "theano", … or "" */
CORNU_API const char *cornu_model_path(const cornu_model *m);           /* "" when built in memory */
CORNU_API const cornu_value *cornu_model_config(const cornu_model *m);  /* as read: class_name, config, … */
CORNU_API const cornu_value *cornu_model_training_config(const cornu_model *m); /* NULL: none */
CORNU_API int64_t cornu_model_parameters(const cornu_model *m, bool trainable_only);

/* Inputs and outputs in the model's own order. shape has rank entries, -1 for unknown. key: the name in a model
 * whose inputs or outputs are a dict, else NULL. */
typedef struct cornu_port {
  const char *name;
  const char *key;
  cornu_dtype dtype;
  int rank;
  int64_t shape[CORNU_MAX_RANK];
} cornu_port;
CORNU_API int cornu_model_inputs(const cornu_model *m);
CORNU_API int cornu_model_outputs(const cornu_model *m);
CORNU_API bool cornu_model_input(const cornu_model *m, int i, cornu_port *out);
CORNU_API bool cornu_model_output(const cornu_model *m, int i, cornu_port *out);

/* Layers in the model's order, InputLayers included for functional models as Keras's model.layers has them.
 * The layer is borrowed until the model is released (retain it to keep it). */
CORNU_API int cornu_model_layers(const cornu_model *m);
CORNU_API cornu_layer *cornu_model_layer(const cornu_model *m, int i);
/* "outer/inner" goes into nested models */
CORNU_API cornu_layer *cornu_model_layer_named(const cornu_model *m, const char *name);

/* Symbols: values in the graph of a model. They outlive it. "encoder/conv1" goes into nested models, "shared[2]" is the
 * second call of a layer that has several, "lstm:3" its third tensor. */
CORNU_API cornu_symbol *cornu_symbol_retain(cornu_symbol *s);
CORNU_API void cornu_symbol_release(cornu_symbol *s);
CORNU_API void cornu_symbol_port(const cornu_symbol *s, cornu_port *out);   /* name: of who makes it; borrowed from s */
CORNU_API cornu_layer *cornu_symbol_layer(const cornu_symbol *s);           /* that makes it; borrowed; may be NULL */
CORNU_API cornu_status cornu_model_end(cornu_model *m, bool output, int i, cornu_symbol **out, cornu_error *e);
/* What goes into (outputs: comes out of) call number `call` of a layer, from 0, negative from the end. *n: the room in
 * `out` on entry, the number of symbols on return; the caller releases each. A nested model is opened: the values are
 * those within this model. */
#define CORNU_EVERY_CALL INT32_MIN
CORNU_API cornu_status cornu_model_values(cornu_model *m, const char *path, int call, bool outputs, cornu_symbol **out,
                                          int *n, cornu_error *e);
CORNU_API cornu_status cornu_layer_values(cornu_model *m, const cornu_layer *l, int call, bool outputs,
                                          cornu_symbol **out, int *n, cornu_error *e);

/* The part of m from some values (n_from 0: its own inputs) to others (n_to 0: its own outputs), sharing all weights.
 * Inputs of m that are needed as well come first; values of `from` that are not needed are left out. Nested models in
 * which a value lies are taken apart: their layers become those of the slice. keys: names of the outputs, or NULL. */
CORNU_API cornu_status cornu_model_between(cornu_model *m, cornu_symbol *const *from, int n_from,
                                           cornu_symbol *const *to, const char *const *keys, int n_to,
                                           cornu_model **out, cornu_error *e);
/* Other outputs of m, from all its inputs. */
CORNU_API cornu_status cornu_model_outputs_of(cornu_model *m, cornu_symbol *const *outputs, const char *const *keys,
                                              int n, cornu_model **out, cornu_error *e);
/* The same between layers, which may lie in nested models: the inputs of every call of `from`, the outputs of the last
 * call of `to`. */
CORNU_API cornu_status cornu_model_slice(cornu_model *m, cornu_layer *const *from, int n_from, cornu_layer *const *to,
                                         int n_to, cornu_model **out, cornu_error *e);
/* First..last layer of the model's order, 0-based, inclusive. */
CORNU_API cornu_status cornu_model_range(cornu_model *m, int first, int last, cornu_model **out, cornu_error *e);

/* Composing models. A layer by its class and Keras's arguments (config: a dict or NULL; the newest Keras that has the
 * class says what they mean); without a name it gets one, which changes where it would be there twice. The caller
 * releases what these make. */
CORNU_API cornu_status cornu_layer_new(const char *class_name, const cornu_value *config, cornu_layer **out,
                                       cornu_error *e);
/* A layer of the host; the class is custom->name. custom is copied, its `user` must outlive the layer. */
CORNU_API cornu_status cornu_layer_new_custom(const cornu_custom *custom, const cornu_value *config, cornu_layer **out,
                                              cornu_error *e);
CORNU_API cornu_status cornu_model_as_layer(cornu_model *m, cornu_layer **out, cornu_error *e); /* shares m */
/* shape: with the batch; -1: unknown. name: NULL for one by its number. */
CORNU_API cornu_status cornu_input_new(const char *name, cornu_dtype dtype, int rank, const int64_t *shape,
                                       cornu_symbol **out, cornu_error *e);
/* Calls a layer on symbols. At its first call it builds: weights are declared and take initial values by `seed`.
 * *n_out: the room on entry, the number on return. */
CORNU_API cornu_status cornu_layer_apply(cornu_layer *l, cornu_symbol *const *in, int n_in, uint64_t seed,
                                         cornu_symbol **out, int *n_out, cornu_error *e);
/* The model between symbols; layers and weights are shared with every other model that has them. Inputs may be values in
 * the middle of a graph. keys: names in dicts, or NULL. */
CORNU_API cornu_status cornu_model_new(const char *name, cornu_symbol *const *inputs, const char *const *input_keys,
                                       int n_inputs, cornu_symbol *const *outputs, const char *const *output_keys,
                                       int n_outputs, cornu_model **out, cornu_error *e);
/* Layers one after the other. input: NULL where the first layer tells its shape, or the first run shall. */
CORNU_API cornu_status cornu_model_sequential(const char *name, cornu_layer *const *layers, int n,
                                              const cornu_symbol *input, uint64_t seed, cornu_model **out,
                                              cornu_error *e);
/* m with after[i] in the place of before[i] for all that take it; later layers are called again. name: NULL: m's. */
CORNU_API cornu_status cornu_model_rewire(cornu_model *m, cornu_symbol *const *before, cornu_symbol *const *after,
                                          int n, const char *name, cornu_model **out, cornu_error *e);
/* Layers, weights, nested models anew, with equal values. name: NULL: m's. */
CORNU_API cornu_status cornu_model_clone(cornu_model *m, const char *name, cornu_model **out, cornu_error *e);
/* m: in which no other layer may have that name, or NULL. */
CORNU_API cornu_status cornu_layer_rename(cornu_layer *l, const cornu_model *m, const char *name, cornu_error *e);
CORNU_API cornu_status cornu_model_rename(cornu_model *m, const char *name, cornu_error *e);
/* For the layer or model and all layers within. */
CORNU_API cornu_status cornu_layer_set_trainable(cornu_layer *l, bool trainable, cornu_error *e);
CORNU_API cornu_status cornu_model_set_trainable(cornu_model *m, bool trainable, cornu_error *e);

/* Keras's table of layers, output shapes and parameters. The caller frees with cornu_free. width 0: 80. */
CORNU_API cornu_status cornu_model_summary(cornu_model *m, int width, char **out, cornu_error *e);

/* Runs the model. inputs: n_inputs tensors in the model's order, borrowed; converted to the input's dtype.
 * outputs: room for cornu_model_outputs(m) new tensors (the caller releases). */
CORNU_API cornu_status cornu_model_predict(cornu_model *m, cornu_tensor *const *inputs, int n_inputs,
                                           cornu_tensor **outputs, cornu_error *e);

/* ---- Layers ------------------------------------------------------------------------------------------------- */

CORNU_API cornu_layer *cornu_layer_retain(cornu_layer *l);
CORNU_API void cornu_layer_release(cornu_layer *l);
CORNU_API const char *cornu_layer_name(const cornu_layer *l);
CORNU_API const char *cornu_layer_class(const cornu_layer *l);             /* as the file spells it */
CORNU_API const cornu_value *cornu_layer_config(const cornu_layer *l);     /* borrowed from the layer */
CORNU_API cornu_model *cornu_layer_model(const cornu_layer *l);            /* of a nested model, borrowed; else NULL */
CORNU_API bool cornu_layer_trainable(const cornu_layer *l);
CORNU_API int cornu_layer_weights(const cornu_layer *l);
CORNU_API int cornu_layer_trainable_weights(const cornu_layer *l);         /* how many; they come first */
CORNU_API const char *cornu_layer_weight_name(const cornu_layer *l, int i); /* "kernel", "forward_layer/kernel" */
CORNU_API cornu_tensor *cornu_layer_weight(const cornu_layer *l, int i);   /* borrowed; do not write into it */
/* copied */
CORNU_API cornu_status cornu_layer_set_weights(cornu_layer *l, cornu_tensor *const *weights, int n, cornu_error *e);
/* Weights of several layers change as one between begin and end, which nest and belong to one thread; so do those of a
 * call of cornu_layer_set_weights or cornu_model_load_weights. Other threads may run the model meanwhile: plans and runners
 * go on with the weights from before, without waiting, and cornu_model_predict waits where it has no plan for them. Training
 * is different: it changes weights where they are, and nothing else may run the model during a batch. */
CORNU_API void cornu_weights_begin(void);
CORNU_API void cornu_weights_end(void);
/* In a custom layer's build; parts: {initializer =, regularizer =, constraint =}, names or {class_name, config}, or NULL:
 * zeros at first. */
CORNU_API cornu_status cornu_layer_add_weight(cornu_layer *l, const char *name, int rank, const int64_t *shape,
                                              bool trainable, const cornu_value *parts, cornu_error *e);
/* In a custom layer's call. While a model is traced for training, a weight as what is trained: symbolic, the caller
 * releases; else NULL, and cornu_layer_weight has the value. */
CORNU_API cornu_status cornu_layer_weight_symbol(cornu_layer *l, int i, cornu_tensor **out, cornu_error *e);
CORNU_API bool cornu_layer_in_training(const cornu_layer *l); /* whether its call is to act as in training */
/* Adds a float scalar to the loss of a model that is trained; else it does nothing. */
CORNU_API cornu_status cornu_layer_add_loss(cornu_layer *l, cornu_tensor *loss, cornu_error *e);
/* What a stateful recurrent layer carries from run to run: (batch, units) each, in Keras's order; none before the first
 * run. Wrappers tell those of the layers they wrap. */
CORNU_API int cornu_layer_states(const cornu_layer *l);
CORNU_API cornu_tensor *cornu_layer_state(cornu_layer *l, int i); /* the caller releases; do not write into it */
/* copied */
CORNU_API cornu_status cornu_layer_set_states(cornu_layer *l, cornu_tensor *const *states, int n, cornu_error *e);
CORNU_API void cornu_layer_reset_states(cornu_layer *l);          /* the next run begins with zeros */
CORNU_API void cornu_model_reset_states(cornu_model *m);          /* of all its layers */
/* The words of StringLookup, IntegerLookup or TextVectorization in the order of their numbers, `special` ones (for masks and
 * unknown values) with them; none: not learned yet. The caller releases *out. */
CORNU_API cornu_status cornu_layer_vocabulary(const cornu_layer *l, bool special, cornu_tensor **out, cornu_error *e);
/* A list of words, with or without the special ones in front; weights: a list of as many numbers for output_mode "tf_idf",
 * else NULL. */
CORNU_API cornu_status cornu_layer_set_vocabulary(cornu_layer *l, const cornu_value *words, const cornu_value *weights,
                                                  cornu_error *e);
/* Calls of a layer in m (shared layers have several), and what goes in and out of one: shapes with -1. */
CORNU_API int cornu_layer_calls(const cornu_model *m, const cornu_layer *l);
CORNU_API bool cornu_layer_input(const cornu_model *m, const cornu_layer *l, int call, int i, cornu_port *out);
CORNU_API bool cornu_layer_output(const cornu_model *m, const cornu_layer *l, int call, int i, cornu_port *out);

/* ---- Plans: for hosts with a frame loop --------------------------------------------------------------------- */

typedef struct cornu_plan cornu_plan;
/* shapes[i] has the rank of input i and no unknown dimension. The plan keeps the model alive. States of stateful layers
 * belong to the plan, so that many plans can serve many agents with one set of weights. */
CORNU_API cornu_status cornu_plan_new(cornu_model *m, const int64_t *const *shapes, cornu_plan **out, cornu_error *e);
CORNU_API void cornu_plan_free(cornu_plan *p);
/* After weights of its model changed, the next run of a plan (or runner) that begins has the new ones. It is made ready for
 * them first, which takes as long as making it, for the layers that changed, and allocates. This does so beforehand: it may
 * be called by another thread while the plan runs, and the next run takes what it made. Called before cornu_weights_end it
 * spares all runs the work. When a layer gives other shapes now, it and the run fail with CORNU_ERR_SHAPE. */
CORNU_API cornu_status cornu_plan_refresh(cornu_plan *p, cornu_error *e);
/* Reads and writes contiguous tensors of exactly the plan's shapes and dtypes; allocates nothing, takes no lock, unless
 * weights have changed. Results that are strings are the exception: their bytes are copied into the output's buffer. */
CORNU_API cornu_status cornu_plan_run(cornu_plan *p, cornu_tensor *const *inputs, cornu_tensor *const *outputs,
                                      cornu_error *e);
CORNU_API void cornu_plan_reset_states(cornu_plan *p); /* the next run begins with zeros */
CORNU_API bool cornu_plan_input(const cornu_plan *p, int i, cornu_port *out);
CORNU_API bool cornu_plan_output(const cornu_plan *p, int i, cornu_port *out);
CORNU_API size_t cornu_plan_memory(const cornu_plan *p);  /* bytes of arena, packed weights and tables */
CORNU_API double cornu_plan_flops(const cornu_plan *p);   /* multiply-adds counted twice, per run */

/* A step of a plan; steps run in their order. Texts live as long as the plan, or until it runs with other weights. */
typedef struct cornu_step {
  const char *op, *layer, *variant; /* variant: the kernel that was chosen; "" where an op has nothing to tell */
  cornu_dtype dtype;                /* of the first output */
  int rank;
  int64_t shape[CORNU_MAX_RANK];
  int n_inputs;
  double flops, bytes;              /* bytes: of inputs, weights and outputs, each counted once */
} cornu_step;
CORNU_API int cornu_plan_steps(const cornu_plan *p);
CORNU_API bool cornu_plan_step(const cornu_plan *p, int i, cornu_step *out);
/* The step that computes an input of step i; -1: it is an input of the plan or a weight. */
CORNU_API int cornu_plan_producer(const cornu_plan *p, int i, int input);
/* As cornu_plan_run; seconds[i], for each step: how long it took. */
CORNU_API cornu_status cornu_plan_profile(cornu_plan *p, cornu_tensor *const *inputs, cornu_tensor *const *outputs,
                                          double *seconds, cornu_error *e);
/* Text: one line per step: op, layer, output shape, arena offset. The caller frees with cornu_free. */
CORNU_API cornu_status cornu_plan_format(const cornu_plan *p, char **out, cornu_error *e);

/* ---- Runners: a model, its buffers and its states, for hosts with a frame loop -------------------------------- */

/* A runner is a plan with inputs and outputs of its own, which the host writes and reads in place. It allocates nothing
 * in runs, and gives the same bits whatever the number of threads, in one piece or in slices. One thread uses it at a
 * time; runners of one model share its weights and may run at the same moment. */
typedef struct cornu_runner cornu_runner;

typedef struct cornu_runner_options {
  size_t struct_size;           /* sizeof(cornu_runner_options); the rest zero: one sample, the model's own outputs */
  int64_t batch;                /* samples per run; also in place of a batch that a stateful model fixes */
  const int64_t *const *shapes; /* of the inputs, whole, in the model's order; NULL where only the batch is unknown */
  const char *const *outputs;   /* values to give in place of the model's outputs, by name as in cornu_model_values */
  int n_outputs;
} cornu_runner_options;

/* The caller frees; the runner keeps the model alive, and works in the context of the calling thread. options: NULL: all
 * zero. */
CORNU_API cornu_status cornu_runner_new(cornu_model *m, const cornu_runner_options *options, cornu_runner **out,
                                        cornu_error *e);
CORNU_API void cornu_runner_free(cornu_runner *r); /* NULL is fine; ends a run that is under way */
CORNU_API cornu_status cornu_runner_refresh(cornu_runner *r, cornu_error *e); /* as cornu_plan_refresh */

/* Inputs, outputs, and the states of stateful layers (named by their layer): shapes without unknown dimensions, the batch
 * first. i out of range: false. */
typedef enum cornu_runner_part { CORNU_RUNNER_INPUT, CORNU_RUNNER_OUTPUT, CORNU_RUNNER_STATE } cornu_runner_part;
CORNU_API int cornu_runner_count(const cornu_runner *r, cornu_runner_part part);
CORNU_API bool cornu_runner_port(const cornu_runner *r, cornu_runner_part part, int i, cornu_port *out);
CORNU_API int cornu_runner_find(const cornu_runner *r, cornu_runner_part part, const char *name); /* -1: none */
/* The tensor, borrowed until the runner is freed, and its first element: zeros at first. Inputs and outputs stay where
 * they are; states change place with each run. While a run is under way they must not be touched. NULL: no such i. */
CORNU_API cornu_tensor *cornu_runner_tensor(cornu_runner *r, cornu_runner_part part, int i);
CORNU_API void *cornu_runner_data(cornu_runner *r, cornu_runner_part part, int i);

/* From now on input `input` begins each run with what output `output` was at the end of the last: the same shape and
 * dtype. So models whose states go in and out become stateful. */
CORNU_API cornu_status cornu_runner_carry(cornu_runner *r, int output, int input, cornu_error *e);
/* States and carried inputs of n samples from the first one on become zeros: new agents begin. n -1: to the last one. */
CORNU_API cornu_status cornu_runner_reset(cornu_runner *r, int64_t first, int64_t n, cornu_error *e);

CORNU_API cornu_status cornu_runner_run(cornu_runner *r, cornu_error *e);
/* A run in slices: begins one or goes on with it, and returns after about so many microseconds, *done: whether it is
 * complete; until then nothing else may be done with the runner but this, refresh, cancel and free. It stops between tasks
 * of some tens of microseconds; how long the next takes it knows from earlier runs. At least one task is done. The work is
 * done by a thread of the runner, which waits between the slices. */
CORNU_API cornu_status cornu_runner_run_for(cornu_runner *r, double microseconds, bool *done, cornu_error *e);
/* A run in the background. finished is called at its end by the thread of the runner, which must not call the runner; it
 * may be NULL. Then cornu_runner_poll tells whether it is complete, and how it ended; cornu_runner_wait waits for it. */
CORNU_API cornu_status cornu_runner_start(cornu_runner *r, void (*finished)(void *user, cornu_status status), void *user,
                                          cornu_error *e);
CORNU_API cornu_status cornu_runner_poll(cornu_runner *r, bool *done, cornu_error *e);
CORNU_API cornu_status cornu_runner_wait(cornu_runner *r, cornu_error *e);
CORNU_API void cornu_runner_cancel(cornu_runner *r); /* gives a run up; states stay as they were before it */
CORNU_API size_t cornu_runner_memory(const cornu_runner *r); /* bytes of its plan, buffers and states */

/* ---- Training ----------------------------------------------------------------------------------------------- */

/* What an objective is told: symbolic tensors, as custom layers get them. */
typedef struct cornu_objective_call {
  bool training;
  cornu_tensor *const *outputs, *const *masks; /* of the model; masks: NULL where an output has none, else bool */
  cornu_tensor *const *given;                  /* as cornu_trainer_batch got them */
  int n_outputs, n_given;
} cornu_objective_call;

/* What is to become small, and what is to be told of each batch: traced once for each set of shapes. results[0] is the
 * loss, one float without dimensions, to which losses of layers (regularizers) are added; the others are of any shape. The
 * caller releases them; *n_results: room for them, then how many there are. */
typedef struct cornu_objective {
  void *user;
  cornu_status (*build)(void *user, const cornu_objective_call *call, cornu_tensor **results, int *n_results,
                        cornu_error *e);
} cornu_objective;

/* Fails when the gradient of a loss on these outputs (has_loss[i] of output i) would have to pass an operation without one
 * to a weight that trains; the message names the layer. Models without known inputs, and layers that need more than the
 * shapes of the data, are left to the first batch. */
CORNU_API cornu_status cornu_model_differentiable(cornu_model *m, const bool *has_loss, cornu_error *e);

typedef struct cornu_trainer cornu_trainer;
/* optimizer: a name or {class_name, config}; NULL, as the objective: for cornu_trainer_call alone. The trainer keeps the model alive; weights without a value get one from
 * their initializers, by `seed`, from which random numbers follow, too. While it lives the weights change in place. */
CORNU_API cornu_status cornu_trainer_new(cornu_model *m, const cornu_value *optimizer, const cornu_objective *objective,
                                         uint64_t seed, cornu_trainer **out, cornu_error *e);
CORNU_API void cornu_trainer_free(cornu_trainer *t);
/* One batch: computes the results of the objective on the model's inputs and what else is `given` (targets, weights of
 * samples, in the objective's order), and then, when `training`, takes one step against the gradient of the loss.
 * results: the caller releases; *n_results: room for them, then how many there are. */
CORNU_API cornu_status cornu_trainer_batch(cornu_trainer *t, bool training, cornu_tensor *const *inputs, int n_inputs,
                                           cornu_tensor *const *given, int n_given, cornu_tensor **results,
                                           int *n_results, cornu_error *e);
/* Runs the model as in training, without a step: dropout, noise and augmentation act, statistics such as those of
 * BatchNormalization move on. outputs: one for each of the model, the caller releases. */
CORNU_API cornu_status cornu_trainer_call(cornu_trainer *t, cornu_tensor *const *inputs, int n_inputs,
                                          cornu_tensor **outputs, cornu_error *e);
CORNU_API double cornu_trainer_rate(const cornu_trainer *t); /* of learning, in the next step */
CORNU_API cornu_status cornu_trainer_set_rate(cornu_trainer *t, double rate, cornu_error *e); /* not of a schedule */
CORNU_API int64_t cornu_trainer_steps(const cornu_trainer *t); /* taken so far */
/* The number from which the random numbers of the next batch follow, for trainings that are to go on. */
CORNU_API int64_t cornu_trainer_runs(const cornu_trainer *t);
CORNU_API void cornu_trainer_set_runs(cornu_trainer *t, int64_t runs);
/* After the last batch: with use_ema the averages take the place of the variables. */
CORNU_API void cornu_trainer_finish(cornu_trainer *t);

/* The optimizer, for files. Its settings as {class_name, config}, with the learning rate of now, and its state: arrays by
 * name, in the order in which Keras saves them (.keras: the numbers of optimizer/vars; .h5: names under
 * optimizer_weights). keras3: as Keras 3 has both; else as the version of Keras that the given settings are of (older
 * ones have "decay"), which is the same for those of Keras 3. */
CORNU_API const cornu_value *cornu_trainer_optimizer(const cornu_trainer *t, bool keras3, cornu_tree *tree); /* NULL: no
                                                                                                           memory */
/* Called for each array, as by cornu_npz_load; tensors are borrowed, and change with the next batch. keras: 3, as Keras 3
 * keeps them; 2, as the settings' own version does in files of Keras 2; 0, as that does with this model: Keras 1 sorts them,
 * and keeps recurrent layers gate by gate. */
CORNU_API cornu_status cornu_trainer_state(cornu_trainer *t, int keras,
                                           cornu_status (*visit)(void *user, const char *name, cornu_tensor *array,
                                                                 cornu_error *e),
                                           void *user, cornu_error *e);
/* The same list, in either order; names do not count. Nothing is changed when the number of arrays or a shape is wrong. */
CORNU_API cornu_status cornu_trainer_set_state(cornu_trainer *t, cornu_tensor *const *arrays, int n, cornu_error *e);
/* Takes a step of training as cornu_trainer_batch does, and tells each step of its plan and the seconds that it took; the
 * last one is the optimizer's, with op "optimizer". */
CORNU_API cornu_status cornu_trainer_profile(cornu_trainer *t, cornu_tensor *const *inputs, int n_inputs,
                                             cornu_tensor *const *given, int n_given,
                                             cornu_status (*visit)(void *user, const cornu_step *step, double seconds,
                                                                   cornu_error *e),
                                             void *user, cornu_error *e);
/* The smallest and the largest element, such as of numbers of classes, in one pass; of none: infinities. */
CORNU_API cornu_status cornu_tensor_range(cornu_tensor *t, double *low, double *high, cornu_error *e);
/* Whether an optimizer can be made of it. */
CORNU_API cornu_status cornu_optimizer_check(const cornu_value *optimizer, cornu_error *e);
/* What a schedule {class_name, config} gives for a step, from 0. */
CORNU_API cornu_status cornu_schedule_rate(const cornu_value *schedule, int64_t step, double *rate, cornu_error *e);

/* What StringLookup, IntegerLookup, TextVectorization (vocabularies) and Discretization (boundaries) learn of data before
 * training, as Keras's adapt: an adapter, batches, and the end, which changes the layer. A vector is one document to
 * lookups, and as many to a TextVectorization that splits. The adapter keeps the layer alive. */
typedef struct cornu_adapter cornu_adapter;
CORNU_API cornu_status cornu_adapter_new(cornu_layer *l, cornu_adapter **out, cornu_error *e);
CORNU_API void cornu_adapter_free(cornu_adapter *a);
CORNU_API cornu_status cornu_adapter_see(cornu_adapter *a, cornu_tensor *batch, cornu_error *e);
CORNU_API cornu_status cornu_adapter_finish(cornu_adapter *a, cornu_error *e);

/* Gradients of the objective's first result, once: to the inputs of the model and to its trainable weights, which stay as
 * they are; without a model (NULL) the objective's outputs are the inputs themselves. results: as above. to_inputs: of
 * those that are not floats NULL; the caller releases them. visit: called for each trainable weight in the order of the
 * layers, with its layer's name and path; may be NULL. */
typedef cornu_status (*cornu_gradient_visit)(void *user, const char *name, cornu_tensor *gradient, cornu_error *e);
typedef struct cornu_gradients_call {
  cornu_model *model;
  const cornu_objective *objective;
  bool training;
  uint64_t seed;                       /* of random numbers in training, and of weights without a value */
  cornu_tensor *const *inputs, *const *given;
  int n_inputs, n_given;
  cornu_gradient_visit visit;
  void *user;
} cornu_gradients_call;
CORNU_API cornu_status cornu_gradients(const cornu_gradients_call *call, cornu_tensor **results, int *n_results,
                                       cornu_tensor **to_inputs, cornu_error *e);

/* ---- Files -------------------------------------------------------------------------------------------------- */

CORNU_API cornu_status cornu_npy_load(const char *path, cornu_tensor **out, cornu_error *e);
CORNU_API cornu_status cornu_npy_save(const char *path, cornu_tensor *t, cornu_error *e);
/* The files of MNIST (idx), plain or gzipped. */
CORNU_API cornu_status cornu_idx_load(const char *path, cornu_tensor **out, cornu_error *e);
/* Called for each array in the file's order; name and tensor are borrowed for the call. A status other than CORNU_OK
 * stops. */
typedef cornu_status (*cornu_npz_visit)(void *user, const char *name, cornu_tensor *t, cornu_error *e);
CORNU_API cornu_status cornu_npz_load(const char *path, cornu_npz_visit visit, void *user, cornu_error *e);
CORNU_API cornu_status cornu_npz_save(const char *path, const char *const *names, cornu_tensor *const *tensors, int n,
                                      bool compress, cornu_error *e);
/* Rows of arrays that may be larger than memory: read from the file when they are asked for, by any thread. */
typedef struct cornu_rows cornu_rows;
/* An array of an .npz archive, or of an HDF5 file by its path within ("train/x"); name NULL: a .npy file. trusted: as in
 * cornu_load_options. The caller releases. Limits hold for what is read at once, not for the whole array. */
CORNU_API cornu_status cornu_rows_open(const char *path, const char *name, bool trusted, cornu_rows **out,
                                       cornu_error *e);
CORNU_API cornu_rows *cornu_rows_retain(cornu_rows *r);
CORNU_API void cornu_rows_release(cornu_rows *r);
CORNU_API void cornu_rows_port(const cornu_rows *r, cornu_port *out); /* name (borrowed, or NULL), dtype, shape */
/* 0: any order of rows costs the same. Else rows are packed together: those from one multiple of this number to the next
 * should be read before others. *in_order: and the stretches one after the other, since going back is beginning anew. */
CORNU_API int64_t cornu_rows_stretch(const cornu_rows *r, bool *in_order);
/* Rows first … first+n-1, or n rows by their numbers (from 0), as a new tensor. */
CORNU_API cornu_status cornu_rows_read(cornu_rows *r, int64_t first, int64_t n, cornu_tensor **out, cornu_error *e);
CORNU_API cornu_status cornu_rows_pick(cornu_rows *r, const int64_t *rows, int64_t n, cornu_tensor **out,
                                       cornu_error *e);
/* The rows of a tensor, which is retained. */
CORNU_API cornu_status cornu_rows_of_tensor(cornu_tensor *t, cornu_rows **out, cornu_error *e);
/* PNG and JPEG files as float32 (n, height, width, channels): each picture is resized when its row is read, and its
 * numbers, 0 to 255, become number * scale + shift of their channel. Texts are copied. */
typedef struct cornu_picture_options {
  size_t struct_size;         /* sizeof(cornu_picture_options) */
  int height, width;
  int channels;               /* 1 grey, 3 RGB, 4 RGBA */
  const char *interpolation;  /* a method of the operation resize; NULL: "bilinear" */
  bool crop_to_aspect_ratio;  /* the middle alone, so that nothing is stretched */
  bool skip_errors;           /* a loader leaves out what cannot be read; else it is an error, which names the file */
  float scale[4], shift[4];
  bool pad_to_aspect_ratio;   /* the whole picture, with 0 beside or above and below it */
  bool bgr;                   /* 3 channels the other way round, before scale and shift */
} cornu_picture_options;
CORNU_API cornu_status cornu_rows_of_pictures(const char *const *paths, int64_t n, const cornu_picture_options *options,
                                              cornu_rows **out, cornu_error *e);
/* The arrays of a .npy, .npz or HDF5 file, without their data; the port is borrowed for the call. */
typedef cornu_status (*cornu_rows_visit)(void *user, const cornu_port *array, cornu_error *e);
CORNU_API cornu_status cornu_rows_list(const char *path, bool trusted, cornu_rows_visit visit, void *user,
                                       cornu_error *e);
/* Batches of rows that are read in the background, by at most so many threads: batch i has the rows order[i * batch],
 * order[i * batch + 1], … of every source; order (copied) NULL: the rows from `first` on. At most `ahead` of them wait.
 * The host's allocator is then called by these threads, too. */
typedef struct cornu_loader cornu_loader;
CORNU_API cornu_status cornu_loader_new(cornu_rows *const *sources, int n_sources, const int64_t *order, int64_t first,
                                        int64_t rows, int64_t batch, int ahead, int threads, cornu_loader **out,
                                        cornu_error *e);
/* The next batch: a new tensor of each source. *more: there was one. After an error there is none. */
CORNU_API cornu_status cornu_loader_next(cornu_loader *l, cornu_tensor **out, bool *more, cornu_error *e);
CORNU_API void cornu_loader_free(cornu_loader *l); /* at any time; waits for what is just being read */
/* The arrays that the file of the weights (the last of several that has any) keeps of the optimizer, read now and with the
 * trust it was loaded with: by the names of weight_names in .h5 (Keras 1 to 3, "Adam/iter:0"), by number in .keras and
 * .weights.h5 ("0", "1", … in the order of optimizer.variables). None: visit is not called. */
CORNU_API cornu_status cornu_model_optimizer_weights(const cornu_model *m, cornu_npz_visit visit, void *user,
                                                     cornu_error *e);
/* PNG or JPEG to a uint8 tensor (height, width, channels): channels 1 grey, 3 RGB, 4 RGBA, 0 as in the file. */
CORNU_API cornu_status cornu_image_load(const char *path, int channels, cornu_tensor **out, cornu_error *e);
CORNU_API cornu_status cornu_image_load_source(const cornu_source *source, int channels, cornu_tensor **out,
                                               cornu_error *e);
/* uint8 (h, w, 1|3|4) to PNG */
CORNU_API cornu_status cornu_image_save(const char *path, cornu_tensor *t, cornu_error *e);

#ifdef __cplusplus
}
#endif
#endif
