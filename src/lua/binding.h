/* What the files of the binding share. The binding uses cornu.h alone, so a host can do all that it does.
 *
 * Rules
 *   Lua errors are longjmps: no C resource is held in a local across a call that can raise. A userdata is made empty
 *   first, with its metatable; then the library fills it; its __gc releases what it holds. __gc, __close and close()
 *   are one idempotent function.
 *   Library calls that may run Lua handlers (custom layers) stand between cn_lua_enter and cn_lua_leave.
 *   Userdata are told by a tag at their beginning: no metatable lookup, and no way to fool it from Lua. */
#ifndef CN_LUA_BINDING_H
#define CN_LUA_BINDING_H

#include <pthread.h>
#include <stdbool.h>

#include "cornu.h"
#include "lua/compat.h"
#include "lua/core.h"

#define CN_LUA_TRAY 64 /* most outputs of one operation */

/* One per Lua state. Counted: handlers that the library holds may outlive the Lua state. */
typedef struct cn_lua_state {
  int references;
  bool closed;
  lua_State *main;     /* anchored in the registry: for what has no better one */
  lua_State *current;  /* the coroutine in a library call, for handlers; NULL: none under way */
  pthread_t thread;    /* and the system thread it runs on */
  cornu_random random;
  cornu_print_options print;
  size_t live, since, limit; /* bytes of tensors: alive, made since the last collection, and how many start one, */
  size_t least, most;        /* within these bounds; most 0: none */
  cornu_context *context; /* its calls work in it; NULL: in that of the calling thread */
  bool alone;          /* the context is not for several threads */
  char own[512];       /* "@…/cornu/": sources that begin so are the module's own; errors are the caller's fault */
} cn_lua_state;

cn_lua_state *cn_lua_state_of(lua_State *L); /* raises while the Lua state closes */
void cn_lua_state_drop(cn_lua_state *s);
void cn_lua_open_state(lua_State *L); /* unless there is one */

typedef struct cn_lua_frame { lua_State *current; pthread_t thread; } cn_lua_frame;
/* For callbacks of the library: runs `body` with the light userdata `job`, protected, in the coroutine of the library
 * call under way; a Lua error becomes the message. who: "the handler of \"x\"". */
cornu_status cn_lua_call_back(cn_lua_state *s, lua_CFunction body, void *job, const char *who, cornu_error *e);
cn_lua_frame cn_lua_enter(cn_lua_state *s, lua_State *L);
void cn_lua_leave(cn_lua_state *s, cn_lua_frame before);

/* ---- state.c: errors and arguments. Positions skip the module's own Lua files. ---- */
int cn_lua_error(lua_State *L, const char *format, ...) __attribute__((cold)); /* formats as lua_pushfstring */
int cn_lua_raise(lua_State *L, const cornu_error *e) __attribute__((cold));
int cn_lua_arg_error(lua_State *L, int arg, const char *format, ...) __attribute__((cold));
int cn_lua_type_error(lua_State *L, int arg, const char *expected) __attribute__((cold));
void cn_lua_check(lua_State *L, cornu_status status, const cornu_error *e); /* raises unless CORNU_OK */
const char *cn_lua_kind(lua_State *L, int i);                    /* "cornu.tensor", "number", …: for messages */
const char *cn_lua_number_text(lua_State *L, int i);              /* "300", "1.5", on every Lua alike; pushed */
int64_t cn_lua_check_int(lua_State *L, int arg);
double cn_lua_check_number(lua_State *L, int arg);
const char *cn_lua_check_string(lua_State *L, int arg);
bool cn_lua_opt_bool(lua_State *L, int arg, bool standard);      /* nil: standard; else a boolean or an error */
cornu_dtype cn_lua_check_dtype(lua_State *L, int arg);           /* a name */
void cn_lua_setfuncs(lua_State *L, const luaL_Reg *functions);   /* into the table on top */
/* pushes a closure with up to 2 upvalues, which are popped, that works in the state's context */
void cn_lua_push_function(lua_State *L, lua_CFunction f, int upvalues);
/* A class: metatable on top with the metamethods, __index(methods, getters) as given, and close as __gc and __close.
 * Registers it under `key` and its methods table under `methods_key`; pops it. */
typedef struct cn_lua_class {
  const char *name;               /* "cornu.tensor" */
  const void *key, *methods_key;
  const luaL_Reg *metamethods, *methods, *getters; /* getters may be NULL */
  lua_CFunction index;            /* upvalues: methods, getters */
  lua_CFunction close;
  bool in_use;                    /* a call under way may need it: then a handler must not close it */
} cn_lua_class;
void cn_lua_open_class(lua_State *L, const cn_lua_class *c);
/* pushes a zeroed userdata tagged `key` with that metatable */
void *cn_lua_box(lua_State *L, const void *key, size_t size);
void *cn_lua_test(lua_State *L, int i, const void *key, size_t size); /* NULL: another type */

/* ---- value.c ---- */
void cn_lua_open_value(lua_State *L);                            /* null, json: into the table on top */
cornu_tree *cn_lua_tree(lua_State *L);                           /* pushes a userdata that owns the tree */
void cn_lua_tree_done(lua_State *L, int i);                      /* frees it before the collector does */
cornu_value *cn_lua_to_value(lua_State *L, int i, cornu_tree *tree); /* raises for what JSON cannot hold */
void cn_lua_push_value(lua_State *L, const cornu_value *v);
void cn_lua_push_port(lua_State *L, const cornu_port *port);     /* {name=, shape=, dtype=} */
void cn_lua_push_shape(lua_State *L, int rank, const int64_t *shape);
void cn_lua_shape_text(int rank, const int64_t *shape, char *out, size_t room); /* "(2, ?, 3)" */

/* ---- tensor.c ---- */
typedef struct cn_lua_tensor {
  const void *tag;
  cornu_tensor *t;  /* NULL: closed */
  size_t bytes;     /* counted for the collector; views count 0 */
  bool read_only;   /* weights, and views of them */
} cn_lua_tensor;
extern const char cn_lua_tensor_key, cn_lua_tensor_methods;
void cn_lua_open_tensor(lua_State *L);
cn_lua_tensor *cn_lua_new_tensor(lua_State *L);                  /* pushes an empty one; fill ->t, then cn_lua_count */
void cn_lua_count(lua_State *L, cn_lua_tensor *b);               /* tells the collector of ->t's own memory */
cn_lua_tensor *cn_lua_new_tensor_in(lua_State *L, cn_lua_state *s); /* the same two where the state is at hand */
void cn_lua_count_in(cn_lua_state *s, cn_lua_tensor *b);
cn_lua_tensor *cn_lua_test_tensor(lua_State *L, int i);          /* NULL: not a tensor */
cn_lua_tensor *cn_lua_check_box(lua_State *L, int arg);          /* open, else an error */
cornu_tensor *cn_lua_check_tensor(lua_State *L, int arg);
cornu_tensor *cn_lua_check_data(lua_State *L, int arg);          /* and not symbolic */
/* Those of the list at i, which keeps them; their number, up to `most`. */
int cn_lua_check_data_list(lua_State *L, int i, cornu_tensor **out, int most);
cornu_tensor *cn_lua_check_writable(lua_State *L, int arg);
void cn_lua_push_tensor(lua_State *L, cornu_tensor *t);          /* retains */
void cn_lua_push_list(lua_State *L, cornu_tensor *const *t, int n); /* of them */
/* The argument at i as a tensor: a tensor as it is; a number or a (nested) table is replaced at i by a tensor made of
 * it. A number takes the dtype of `like` (NULL: float32) where it fits. `like` must not be closed. */
cornu_tensor *cn_lua_to_tensor(lua_State *L, int i, const cornu_tensor *like);

/* ---- tensor_make.c ---- */
extern const luaL_Reg cn_lua_tensor_makers[];
/* pushes; CORNU_DTYPES: float32, or bool for booleans */
void cn_lua_table_tensor(lua_State *L, int i, cornu_dtype dtype);
/* Numbers from `first` on, or one table of them, as sizes; returns the position after them. */
int cn_lua_check_shape(lua_State *L, int first, int *rank, int64_t *shape);
/* Pushes a scalar tensor of the number or boolean at i; raises when the dtype cannot hold it. */
void cn_lua_push_number_as(lua_State *L, int i, cornu_dtype dtype);
/* Writes the number or boolean at i as element n of contiguous data; NULL, or what is wrong with it. */
const char *cn_lua_store(lua_State *L, int i, cornu_dtype dtype, void *data, int64_t n);

/* ---- tensor_index.c ---- */
int cn_lua_tensor_index(lua_State *L);
int cn_lua_tensor_newindex(lua_State *L);
extern const luaL_Reg cn_lua_tensor_views[];
/* Lua's axis (from 1, negative from the end) to Keras's */
int64_t cn_lua_axis(lua_State *L, int64_t axis);

/* ---- tensor_read.c ---- */
extern const luaL_Reg cn_lua_tensor_readers[];
int cn_lua_tensor_tostring(lua_State *L);
char **cn_lua_text(lua_State *L);     /* pushes an owner of a text that cornu_free frees; fill it … */
void cn_lua_push_text(lua_State *L);  /* … and this puts the text in the owner's place on top */
void cn_lua_push_element(lua_State *L, const cornu_tensor *t, const int64_t *index);

/* ---- op.c ---- */
void cn_lua_open_op(lua_State *L);                                /* op functions: into the table on top */
extern const luaL_Reg cn_lua_arithmetic[];
/* Applies a one-output operation and pushes the result. */
void cn_lua_apply(lua_State *L, const char *op, cornu_tensor *const *in, int n_in, const cornu_value *attributes);
void cn_lua_push_arithmetic(lua_State *L);                        /* adds metamethods to the table on top */

/* ---- model.c, model_call.c ---- */
/* What runs a model as in training; made by its first such run. */
typedef struct cn_lua_caller { cornu_trainer *t; bool running; } cn_lua_caller;
void cn_lua_caller_close(cn_lua_caller *c);
typedef struct cn_lua_model {
  const void *tag;
  cornu_model *m;
  bool listed;        /* one output comes as a list, too */
  cornu_layer *layer; /* the model as a layer; made at its first use as one */
  cn_lua_caller caller;
} cn_lua_model;
extern const char cn_lua_model_key, cn_lua_model_methods;
void cn_lua_open_model(lua_State *L);
extern const luaL_Reg cn_lua_model_functions[];
cn_lua_model *cn_lua_new_model(lua_State *L);
cornu_model *cn_lua_check_model(lua_State *L, int arg);
void cn_lua_push_model(lua_State *L, cornu_model *m);             /* retains */
/* The layer that the value at i names: a number, a path or a layer. Borrowed from m. */
cornu_layer *cn_lua_find_layer(lua_State *L, cornu_model *m, int i);
int cn_lua_model_call(lua_State *L);                              /* __call */
/* Inputs at arg; pushes the outputs: 1. caller: NULL, or for a run as in training. */
int cn_lua_run_model(lua_State *L, cornu_model *m, int arg, cn_lua_caller *caller);
/* Whether the options at i, none or {training =}, ask for a run as in training. */
bool cn_lua_training_option(lua_State *L, int i);
/* Inputs at arg in the model's order: pushes them (numbers and tables become tensors) and fills in[0 … n-1]. */
void cn_lua_model_inputs(lua_State *L, cornu_model *m, int arg, cornu_tensor **in);
/* The n boxes on top of the stack as one value: a tensor, a list, or a table by key. */
int cn_lua_model_outputs(lua_State *L, cornu_model *m, int n);

/* ---- layer.c ---- */
typedef struct cn_lua_layer {
  const void *tag;
  cornu_layer *l;
  cornu_model *m;     /* NULL in handlers, where no model is there yet */
  cornu_model *alone; /* made by the first layer(x) */
  bool made;          /* by hand: no model needs to be there */
  cn_lua_caller caller; /* of `alone` */
} cn_lua_layer;
extern const char cn_lua_layer_key, cn_lua_layer_methods;
void cn_lua_open_layer(lua_State *L);
void cn_lua_push_layer(lua_State *L, cornu_layer *l, cornu_model *m); /* retains both; nil for NULL */
cn_lua_layer *cn_lua_new_layer(lua_State *L);                     /* pushes an empty one */
cn_lua_layer *cn_lua_test_layer(lua_State *L, int i);

/* ---- symbol.c ---- */
typedef struct cn_lua_symbol {
  const void *tag;
  cornu_symbol *s;    /* NULL: closed */
  cornu_model *m;     /* where its layer is looked for; may be NULL */
  const char *key;    /* of a model whose ends have names; kept by m */
} cn_lua_symbol;
extern const char cn_lua_symbol_key, cn_lua_symbol_methods;
void cn_lua_open_symbol(lua_State *L);
cn_lua_symbol *cn_lua_test_symbol(lua_State *L, int i);
/* pushes; retains both; m and key may be NULL */
cn_lua_symbol *cn_lua_push_symbol(lua_State *L, cornu_symbol *s, cornu_model *m, const char *key);
/* A list that the collector frees. */
#define CN_LUA_SYMBOLS 1024
typedef struct cn_lua_symbols { int n; cornu_symbol *items[CN_LUA_SYMBOLS]; } cn_lua_symbols;
cn_lua_symbols *cn_lua_symbol_tray(lua_State *L);                  /* pushes */
void cn_lua_tray_add(lua_State *L, cn_lua_symbols *t, cornu_symbol *s); /* retains */
/* What goes into (every call), or comes out of (the last call), what the value at i names in m: a layer, its number, its
 * path; or the symbol itself. */
void cn_lua_tray_name(lua_State *L, cn_lua_symbols *t, cornu_model *m, int i, bool outputs);

/* ---- compose.c ---- */
uint64_t cn_lua_next_seed(lua_State *L);                           /* from the state's random numbers */
extern const luaL_Reg cn_lua_compose_functions[], cn_lua_compose_methods[]; /* of the module; of models */
bool cn_lua_is_symbolic(lua_State *L, int i);                      /* a symbol, or a list of them */
int cn_lua_apply_layer(lua_State *L, cornu_layer *l, cornu_model *m, int arg); /* on symbols at arg; pushes the result: 1 */
void cn_lua_layer_alone(lua_State *L, cn_lua_layer *b, int arg);   /* makes b->alone for tensors like those at arg */

/* ---- plan.c ---- */
extern const char cn_lua_plan_key, cn_lua_plan_methods;
void cn_lua_open_plan(lua_State *L);
int cn_lua_model_plan(lua_State *L);                              /* model:plan */
int64_t cn_lua_batch_option(lua_State *L);                        /* of the options at 2, made if need be; 0: none */
bool cn_lua_shape_option(lua_State *L, const cornu_port *port, int i, int64_t *shape); /* of input i; false: none */
int cn_lua_optimizer_weights(lua_State *L);                       /* model:optimizer_weights */
int cn_lua_trainer_state(lua_State *L, cornu_trainer *t, int keras); /* trainer:state */

/* ---- runner.c ---- */
extern const char cn_lua_runner_key, cn_lua_runner_methods;
void cn_lua_open_runner(lua_State *L);
int cn_lua_model_runner(lua_State *L);                            /* model:runner */

/* ---- trainer.c ---- */
extern const char cn_lua_trainer_key, cn_lua_trainer_methods;
extern const luaL_Reg cn_lua_trainer_functions[];
void cn_lua_open_trainer(lua_State *L);

void cn_lua_push_masks(lua_State *L, const cornu_objective_call *c); /* a list: false where an output has no mask */

/* ---- adapter.c ---- */
extern const char cn_lua_adapter_key, cn_lua_adapter_methods;
extern const luaL_Reg cn_lua_adapter_functions[];
void cn_lua_open_adapter(lua_State *L);

/* ---- gradients.c ---- */
extern const luaL_Reg cn_lua_gradient_functions[];

/* ---- reader.c ---- */
extern const luaL_Reg cn_lua_reader_functions[];
void cn_lua_open_reader(lua_State *L);

/* ---- custom.c ---- */
/* A file in memory, {name =, data =}, borrowed from the table at arg; false: there is none. */
bool cn_lua_given_file(lua_State *L, int arg, cornu_source *out);
/* The table of handlers at i (nil: none) for a load: pushes a userdata that holds them. Say cn_lua_customs_taken with
 * its place when the load went well: from then on the library's release() decides; before, the collector does. */
const cornu_custom *cn_lua_customs(lua_State *L, int i, int *count);
void cn_lua_customs_taken(lua_State *L, int i);
void cn_lua_open_custom(lua_State *L);

/* ---- files.c ---- */
extern const luaL_Reg cn_lua_file_functions[];
void cn_lua_open_files(lua_State *L);

/* ---- save.c ---- */
extern const luaL_Reg cn_lua_save_functions[];

/* ---- open.c: the module's Lua files without files ---- */
/* Pops the environment in which they run, and below it the table of the modules that are loaded. */
void cn_lua_open_modules(lua_State *L);
void cn_lua_require(lua_State *L, const char *name);              /* pushes the module */
void cn_lua_push_require(lua_State *L);                           /* of these files, for their environment */

/* ---- describe.c: the registries as tables, for help, completion and constructors ---- */
extern const luaL_Reg cn_lua_describe_functions[];

#endif
