/* gradients(model or nil, f, training, seed, inputs, given): of a Lua function of symbolic tensors. */
#include "lua/binding.h"

enum { MOST = 64 };

typedef struct job {
  cn_lua_state *s;
  int f, weights, names;      /* registry references */
  const cornu_objective_call *call;
  cornu_tensor **results;
  int *n_results;
  const char *name;           /* of a weight, and what came back to it */
  cornu_tensor *gradient;
} job;

/* Element i of the list at the top as a tensor: a number becomes one. */
static cornu_tensor *result_at(lua_State *L, int i) {
  lua_rawgeti(L, -1, i);
  const cn_lua_tensor *t = cn_lua_test_tensor(L, -1);
  if (!t || !t->t)
    luaL_error(L, "the function returned a %s: it must give one number as a tensor computed from its arguments",
               cn_lua_kind(L, -1));
  lua_pop(L, 1);
  return t->t;
}

static int call_function(lua_State *L) {
  job *j = lua_touserdata(L, 1);
  luaL_checkstack(L, 24, "too many calls");
  lua_rawgeti(L, LUA_REGISTRYINDEX, j->f);
  cn_lua_push_list(L, j->call->outputs, j->call->n_outputs);
  cn_lua_push_list(L, j->call->given, j->call->n_given);
  lua_pushboolean(L, j->call->training);
  cn_lua_push_masks(L, j->call);
  lua_call(L, 4, 1);
  const int n = (int)cn_lua_rawlen(L, -1);
  if (n < 1 || n > *j->n_results)
    return luaL_error(L, "the function returned %d results: 1 to %d expected", n, *j->n_results);
  for (int i = 1; i <= n; i++) result_at(L, i);
  for (int i = 1; i <= n; i++) j->results[i - 1] = cornu_tensor_retain(result_at(L, i));
  *j->n_results = n;
  return 0;
}

static cornu_status build(void *user, const cornu_objective_call *call, cornu_tensor **results, int *n_results,
                          cornu_error *e) {
  job *j = user;
  j->call = call, j->results = results, j->n_results = n_results;
  return cn_lua_call_back(j->s, call_function, j, "the function", e);
}

static int put_weight(lua_State *L) {
  const job *j = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, j->weights);
  lua_rawgeti(L, LUA_REGISTRYINDEX, j->names);
  const int at = (int)cn_lua_rawlen(L, -1) + 1;
  cn_lua_push_tensor(L, j->gradient);
  lua_rawseti(L, -3, at);
  lua_pushstring(L, j->name);
  lua_rawseti(L, -2, at);
  return 0;
}

static cornu_status visit(void *user, const char *name, cornu_tensor *gradient, cornu_error *e) {
  job *j = user;
  j->name = name, j->gradient = gradient;
  return cn_lua_call_back(j->s, put_weight, j, "the gradients", e);
}

/* Pushes a list with n boxes for tensors: before there is anything to put in, so that nothing can get lost. */
static void push_boxes(lua_State *L, cn_lua_tensor **boxes, int n) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    boxes[i] = cn_lua_new_tensor(L);
    lua_rawseti(L, -2, i + 1);
  }
}

static void fill_boxes(lua_State *L, int list, cn_lua_tensor **boxes, int n) {
  for (int i = 0; i < n; i++) {
    if (boxes[i]->t) cn_lua_count(L, boxes[i]);
    else lua_pushboolean(L, false), lua_rawseti(L, list, i + 1);
  }
}

static void hold(lua_State *L, int *reference) { /* the value at the top */
  lua_pushvalue(L, -1);
  *reference = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Pushes lists of what comes back to the weights and of their names. */
static cornu_status differentiate(lua_State *L, job *j, const cornu_gradients_call *call, cornu_tensor **results, int *n,
                                  cornu_tensor **to_inputs, cornu_error *e) {
  lua_newtable(L);
  hold(L, &j->weights);
  lua_newtable(L);
  hold(L, &j->names);
  lua_pushvalue(L, 2);
  hold(L, &j->f);
  lua_pop(L, 1);
  cn_lua_frame before = cn_lua_enter(j->s, L);
  cornu_status status = cornu_gradients(call, results, n, to_inputs, e);
  cn_lua_leave(j->s, before);
  luaL_unref(L, LUA_REGISTRYINDEX, j->weights);
  luaL_unref(L, LUA_REGISTRYINDEX, j->names);
  luaL_unref(L, LUA_REGISTRYINDEX, j->f);
  return status;
}

/* → results, gradients of the inputs (false: of no floats), gradients of the weights, their names */
static int gradients(lua_State *L) {
  cornu_error e;
  cornu_tensor *inputs[MOST], *given[MOST], *results[MOST] = {NULL}, *to_inputs[MOST] = {NULL};
  cn_lua_tensor *result_boxes[MOST], *input_boxes[MOST];
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 6);
  job j = {.s = cn_lua_state_of(L)};
  const cornu_objective objective = {&j, build};
  cornu_gradients_call call = {.model = lua_isnil(L, 1) ? NULL : cn_lua_check_model(L, 1), .objective = &objective,
                               .training = lua_toboolean(L, 3), .seed = (uint64_t)cn_lua_check_int(L, 4),
                               .inputs = inputs, .given = given, .visit = visit, .user = &j};
  call.n_inputs = cn_lua_check_data_list(L, 5, inputs, MOST);
  call.n_given = cn_lua_check_data_list(L, 6, given, MOST);
  push_boxes(L, result_boxes, MOST); /* 7 */
  push_boxes(L, input_boxes, call.n_inputs);
  int n = MOST;
  cornu_status status = differentiate(L, &j, &call, results, &n, to_inputs, &e);
  for (int i = 0; i < n && !status; i++) result_boxes[i]->t = results[i];
  for (int i = 0; i < call.n_inputs && !status; i++) input_boxes[i]->t = to_inputs[i];
  cn_lua_check(L, status, &e);
  fill_boxes(L, 7, result_boxes, n);
  for (int i = n; i < MOST; i++) lua_pushnil(L), lua_rawseti(L, 7, i + 1);
  fill_boxes(L, 8, input_boxes, call.n_inputs);
  return 4;
}

const luaL_Reg cn_lua_gradient_functions[] = {{"gradients", gradients}, {NULL, NULL}};
