/* Custom layers written in Lua: custom_objects = {Name = function(x, layer) … end}, or
 * {Name = {call = f, build = f(layer, input_shape), output_shape = f(layer, input_shape), eager = true}}. A cell of a
 * recurrent layer has state_size, too: a number, a list with a number or a shape for each state, or a function of the
 * layer that gives one; its call is f(x, states, layer, constants) and returns the output and the new states.
 *
 * A handler's functions stay in the registry until the library releases it. The library calls back on the thread and
 * in the coroutine that made the library call; any other thread is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/binding.h"

typedef struct handler {
  cn_lua_state *s;
  int call, build, output_shape, state_size; /* registry references; LUA_NOREF: none */
  bool in_box, in_library;       /* who holds it */
  char name[];
} handler;

typedef struct customs_box {
  const void *tag;
  int count;
  bool taken;
  cornu_custom items[];
} customs_box;

static const char customs_key = 0;

static void drop_handler(handler *h) {
  if (h->in_box || h->in_library) return;
  if (!h->s->closed) {
    luaL_unref(h->s->main, LUA_REGISTRYINDEX, h->call);
    luaL_unref(h->s->main, LUA_REGISTRYINDEX, h->build);
    luaL_unref(h->s->main, LUA_REGISTRYINDEX, h->output_shape);
    luaL_unref(h->s->main, LUA_REGISTRYINDEX, h->state_size);
  }
  cn_lua_state_drop(h->s);
  free(h);
}

static void release(void *user) {
  handler *h = user;
  h->in_library = false;
  drop_handler(h);
}

static int free_customs(lua_State *L) {
  customs_box *b = lua_touserdata(L, 1);
  for (int i = 0; i < b->count; i++) {
    handler *h = b->items[i].user;
    h->in_box = false;
    if (!b->taken) h->in_library = false; /* the load failed: nobody holds it */
    drop_handler(h);
  }
  b->count = 0;
  return 0;
}

void cn_lua_customs_taken(lua_State *L, int i) {
  customs_box *b = lua_touserdata(L, i);
  if (b) b->taken = true;
}

void cn_lua_open_custom(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, free_customs);
  lua_setfield(L, -2, "__gc");
  cn_lua_registry_set(L, &customs_key);
}

/* ---- calls from the library ---- */

typedef struct job {
  handler *h;
  int function;
  cornu_layer *layer;
  cornu_tensor *const *inputs;
  int n_inputs;
  const int64_t *in;   /* output_shape */
  int in_rank;
  cornu_tensor **outputs;
  int *n_outputs;
  int64_t *out;
  int *out_rank;
  int most, *count, *ranks; /* states */
  int64_t (*shapes)[CORNU_MAX_RANK];
} job;

static cornu_status protect(job *j, lua_CFunction body, cornu_error *e) {
  char who[256];
  snprintf(who, sizeof who, "the handler of \"%s\"", j->h->name);
  return cn_lua_call_back(j->h->s, body, j, who, e);
}

/* One tensor as it is, several as a list. */
static void push_tensors(lua_State *L, cornu_tensor *const *t, int n) {
  if (n == 1) cn_lua_push_tensor(L, t[0]);
  else cn_lua_push_list(L, t, n);
}

static void push_shapes(lua_State *L, cornu_tensor *const *t, int n) {
  if (n == 1) {
    cn_lua_push_shape(L, cornu_tensor_rank(t[0]), cornu_tensor_shape(t[0]));
    return;
  }
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    cn_lua_push_shape(L, cornu_tensor_rank(t[i]), cornu_tensor_shape(t[i]));
    lua_rawseti(L, -2, i + 1);
  }
}

static job *begin(lua_State *L) {
  job *j = lua_touserdata(L, 1);
  luaL_checkstack(L, 24, "too many calls");
  lua_rawgeti(L, LUA_REGISTRYINDEX, j->function);
  return j;
}

static cornu_tensor *result_tensor(lua_State *L, int i, const job *j, int k) {
  cn_lua_tensor *b = cn_lua_test_tensor(L, i);
  if (b && b->t) return b->t;
  luaL_error(L, "the handler of \"%s\" returned %s%s: a tensor or a list of tensors expected", j->h->name,
             k ? "a list with " : "", b ? "a closed tensor" : cn_lua_kind(L, i));
  return NULL;
}

static int body_call(lua_State *L) {
  job *j = begin(L);
  push_tensors(L, j->inputs, j->n_inputs);
  cn_lua_push_layer(L, j->layer, NULL);
  lua_call(L, 2, 1);
  int result = lua_gettop(L), n = 1;
  bool list = lua_istable(L, result);
  if (list) n = (int)cn_lua_rawlen(L, result);
  if (n < 1 || n > *j->n_outputs)
    return luaL_error(L, "the handler of \"%s\" returned %d tensors: 1 to %d expected", j->h->name, n, *j->n_outputs);
  for (int i = 0; i < n; i++) { /* all are looked at before any is given away */
    if (list) lua_rawgeti(L, result, i + 1);
    else lua_pushvalue(L, result);
    result_tensor(L, lua_gettop(L), j, list);
    lua_pop(L, 1);
  }
  for (int i = 0; i < n; i++) {
    if (list) lua_rawgeti(L, result, i + 1);
    else lua_pushvalue(L, result);
    j->outputs[i] = cornu_tensor_retain(((cn_lua_tensor *)lua_touserdata(L, -1))->t);
    lua_pop(L, 1);
  }
  *j->n_outputs = n;
  return 0;
}

/* ---- cells ---- */

static int bad_states(lua_State *L, const job *j) {
  return luaL_error(L, "state_size of \"%s\": a number, a list with a number or a shape for each state, or a function "
                    "that gives one expected", j->h->name);
}

/* One state's shape at the top of the stack, which is popped: a number, or a list of numbers. */
static void read_shape(lua_State *L, const job *j, int state) {
  int64_t *shape = j->shapes[state];
  int n = lua_istable(L, -1) ? (int)cn_lua_rawlen(L, -1) : 1;
  if (n > CORNU_MAX_RANK) bad_states(L, j);
  for (int i = 0; i < n; i++) {
    if (lua_istable(L, -1)) lua_rawgeti(L, -1, i + 1);
    else lua_pushvalue(L, -1);
    if (!cn_lua_whole(L, -1, &shape[i]) || shape[i] < 1) bad_states(L, j);
    lua_pop(L, 1);
  }
  j->ranks[state] = n;
  lua_pop(L, 1);
}

/* The states of a cell, from its state_size. */
static void read_states(lua_State *L, job *j) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, j->h->state_size);
  if (lua_isfunction(L, -1)) {
    cn_lua_push_layer(L, j->layer, NULL);
    lua_call(L, 1, 1);
  }
  int list = lua_istable(L, -1), n = list ? (int)cn_lua_rawlen(L, -1) : 1;
  if (n < 1 || n > j->most) bad_states(L, j);
  for (int i = 0; i < n; i++) {
    if (list) lua_rawgeti(L, -1, i + 1);
    else lua_pushvalue(L, -1);
    read_shape(L, j, i);
  }
  *j->count = n;
  lua_pop(L, 1);
}

static int body_states(lua_State *L) {
  job *j = lua_touserdata(L, 1);
  luaL_checkstack(L, 24, "too many calls");
  read_states(L, j);
  return 0;
}

static cornu_tensor *cell_result(lua_State *L, const job *j, const char *what) {
  cn_lua_tensor *b = cn_lua_test_tensor(L, -1);
  if (b && b->t) return b->t;
  luaL_error(L, "the cell \"%s\" returned %s for its %s: a tensor expected", j->h->name, cn_lua_kind(L, -1), what);
  return NULL;
}

/* Checks, then hands out, the output at `result` and the new states behind it: a list, or the one. */
static int take_states(lua_State *L, job *j, int result, int n) {
  bool list = lua_istable(L, result + 1);
  int given = list ? (int)cn_lua_rawlen(L, result + 1) : 1;
  if (given != n || n + 1 > *j->n_outputs)
    return luaL_error(L, "the cell \"%s\" returned %d states, its state_size has %d", j->h->name, given, n);
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; i <= n; i++) {
      if (i && list) lua_rawgeti(L, result + 1, i);
      else lua_pushvalue(L, i ? result + 1 : result);
      cornu_tensor *t = cell_result(L, j, i ? "states" : "output");
      if (pass) j->outputs[i] = cornu_tensor_retain(t);
      lua_pop(L, 1);
    }
  *j->n_outputs = n + 1;
  return 0;
}

static int body_cell(lua_State *L) {
  job *j = lua_touserdata(L, 1);
  int ranks[CORNU_MAX_STATES], n = 0;
  int64_t shapes[CORNU_MAX_STATES][CORNU_MAX_RANK];
  luaL_checkstack(L, 24, "too many calls");
  j->most = CORNU_MAX_STATES, j->count = &n, j->ranks = ranks, j->shapes = shapes;
  read_states(L, j);
  if (j->n_inputs < n + 1)
    return luaL_error(L, "the cell \"%s\" is called with %d states, its state_size has %d: it runs in an RNN layer",
                      j->h->name, j->n_inputs - 1, n);
  lua_rawgeti(L, LUA_REGISTRYINDEX, j->function);
  int base = lua_gettop(L);
  cn_lua_push_tensor(L, j->inputs[0]);
  cn_lua_push_list(L, j->inputs + 1, n);
  cn_lua_push_layer(L, j->layer, NULL);
  cn_lua_push_list(L, j->inputs + 1 + n, j->n_inputs - 1 - n);
  lua_call(L, 4, 2);
  return take_states(L, j, base, n);
}

static int body_build(lua_State *L) {
  job *j = begin(L);
  cn_lua_push_layer(L, j->layer, NULL);
  push_shapes(L, j->inputs, j->n_inputs);
  lua_call(L, 2, 0);
  return 0;
}

static int body_output_shape(lua_State *L) {
  job *j = begin(L);
  cn_lua_push_layer(L, j->layer, NULL);
  cn_lua_push_shape(L, j->in_rank, j->in);
  lua_call(L, 2, 1);
  int64_t shape[CORNU_MAX_RANK];
  int n = lua_istable(L, -1) ? (int)cn_lua_rawlen(L, -1) : -1;
  if (n < 0 || n > CORNU_MAX_RANK)
    return luaL_error(L, "output_shape of \"%s\" returned a %s: a list of sizes expected", j->h->name, cn_lua_kind(L,
        -1));
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, -1, i + 1);
    if (!cn_lua_whole(L, -1, &shape[i]))
      return luaL_error(L, "output_shape of \"%s\": size %d is no whole number", j->h->name, i + 1);
    lua_pop(L, 1);
  }
  memcpy(j->out, shape, (size_t)n * sizeof *shape);
  *j->out_rank = n;
  return 0;
}

static cornu_status on_call(void *user, cornu_layer *layer, cornu_tensor *const *inputs, int n_inputs,
                            cornu_tensor **outputs, int *n_outputs, cornu_error *e) {
  handler *h = user;
  job j = {.h = h, .function = h->call, .layer = layer, .inputs = inputs, .n_inputs = n_inputs, .outputs = outputs,
           .n_outputs = n_outputs};
  return protect(&j, h->state_size == LUA_NOREF ? body_call : body_cell, e);
}

static cornu_status on_states(void *user, cornu_layer *layer, int most, int *count, int *ranks,
                              int64_t (*shapes)[CORNU_MAX_RANK], cornu_error *e) {
  handler *h = user;
  job j = {.h = h, .layer = layer, .most = most, .count = count, .ranks = ranks, .shapes = shapes};
  return protect(&j, body_states, e);
}

static cornu_status on_build(void *user, cornu_layer *layer, cornu_tensor *const *inputs, int n_inputs,
                             cornu_error *e) {
  handler *h = user;
  int n = h->state_size == LUA_NOREF ? n_inputs : 1; /* of a cell its input alone */
  job j = {.h = h, .function = h->build, .layer = layer, .inputs = inputs, .n_inputs = n};
  return protect(&j, body_build, e);
}

static cornu_status on_output_shape(void *user, cornu_layer *layer, const int64_t *in, int in_rank, int64_t *out,
                                    int *out_rank, cornu_error *e) {
  handler *h = user;
  job j = {.h = h, .function = h->output_shape, .layer = layer, .in = in, .in_rank = in_rank, .out = out,
    .out_rank = out_rank};
  return protect(&j, body_output_shape, e);
}

/* ---- from the options ---- */

/* The function `key` of the handler table at i as a reference; nil gives LUA_NOREF. */
static int function_ref(lua_State *L, int i, const char *key, const char *name) {
  lua_getfield(L, i, key);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return LUA_NOREF;
  }
  if (!lua_isfunction(L, -1))
    cn_lua_error(L, "custom_objects.%s.%s is a %s, not a function", name, key, cn_lua_kind(L, -1));
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

static void check_keys(lua_State *L, int i, const char *name) {
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    if (strcmp(key, "call") && strcmp(key, "build") && strcmp(key, "output_shape") && strcmp(key, "eager") &&
        strcmp(key, "state_size"))
      cn_lua_error(L, "custom_objects.%s has no field \"%s\" (there are: call build output_shape eager state_size)", name,
                   key);
  }
}

/* The entry whose name is at -2 and whose handler is at -1. */
static void add_handler(lua_State *L, customs_box *b) {
  int value = lua_gettop(L);
  if (lua_type(L, -2) != LUA_TSTRING)
    cn_lua_error(L, "custom_objects: a %s key; names of classes or layers expected", luaL_typename(L, -2));
  const char *name = lua_tostring(L, -2);
  if (!lua_isfunction(L, value) && !lua_istable(L, value))
    cn_lua_error(L, "custom_objects.%s is a %s: a function or a table {call = function} expected", name, cn_lua_kind(L,
        value));
  size_t length = strlen(name) + 1;
  handler *h = malloc(sizeof *h + length);
  if (!h) cn_lua_error(L, "out of memory");
  h->s = cn_lua_state_of(L);
  h->s->references++;
  h->call = h->build = h->output_shape = h->state_size = LUA_NOREF;
  h->in_box = h->in_library = true;
  memcpy(h->name, name, length);
  cornu_custom *c = &b->items[b->count++]; /* from here the box frees it */
  *c = (cornu_custom){.name = h->name, .user = h, .call = on_call, .release = release};
  if (lua_isfunction(L, value)) {
    lua_pushvalue(L, value);
    h->call = luaL_ref(L, LUA_REGISTRYINDEX);
    return;
  }
  check_keys(L, value, name);
  h->call = function_ref(L, value, "call", name);
  h->build = function_ref(L, value, "build", name);
  h->output_shape = function_ref(L, value, "output_shape", name);
  if (h->call == LUA_NOREF) cn_lua_error(L, "custom_objects.%s has no function \"call\"", name);
  lua_getfield(L, value, "eager");
  c->eager = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (h->build != LUA_NOREF) c->build = on_build;
  if (h->output_shape != LUA_NOREF) c->output_shape = on_output_shape;
  lua_getfield(L, value, "state_size");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  h->state_size = luaL_ref(L, LUA_REGISTRYINDEX);
  c->states = on_states;
  if (c->eager) cn_lua_error(L, "custom_objects.%s: a cell cannot be eager", name);
}

const cornu_custom *cn_lua_customs(lua_State *L, int i, int *count) {
  *count = 0;
  if (lua_isnoneornil(L, i)) {
    lua_pushnil(L);
    return NULL;
  }
  if (!lua_istable(L, i)) cn_lua_error(L, "option \"custom_objects\" is a %s: a table expected", cn_lua_kind(L, i));
  size_t n = 0;
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) n++;
  customs_box *b = cn_lua_box(L, &customs_key, sizeof *b + n * sizeof b->items[0]);
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) add_handler(L, b);
  *count = b->count;
  return b->items;
}
