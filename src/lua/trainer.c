/* The class cornu.trainer: steps of training. What is trained for is a Lua function of symbolic tensors. */
#include <stdlib.h>

#include "lua/binding.h"

const char cn_lua_trainer_key = 0, cn_lua_trainer_methods = 0;

#define MAX_GIVEN 64

typedef struct trainer_box {
  const void *tag;
  cornu_trainer *t;
  cn_lua_state *s;
  int objective;  /* registry reference */
  int schedule;   /* the same: a function that gives the learning rate of a step, or LUA_NOREF */
  int results;    /* the most that a batch had; 0: there was none yet */
  bool running;
} trainer_box;

static trainer_box *check_trainer(lua_State *L, int arg) {
  trainer_box *b = cn_lua_test(L, arg, &cn_lua_trainer_key, sizeof *b);
  if (!b) cn_lua_type_error(L, arg, "cornu.trainer");
  if (!b->t) cn_lua_arg_error(L, arg, "the trainer is closed");
  return b;
}

static int close_trainer(lua_State *L) {
  trainer_box *b = cn_lua_test(L, 1, &cn_lua_trainer_key, sizeof *b);
  if (!b) return cn_lua_type_error(L, 1, "cornu.trainer");
  if (b->running) return cn_lua_error(L, "the trainer is at a batch: its model cannot be compiled meanwhile");
  cornu_trainer *t = b->t;
  b->t = NULL;
  cornu_trainer_free(t);
  luaL_unref(L, LUA_REGISTRYINDEX, b->objective);
  luaL_unref(L, LUA_REGISTRYINDEX, b->schedule);
  b->objective = b->schedule = LUA_NOREF;
  return 0;
}

/* ---- the objective ---- */

typedef struct job {
  trainer_box *b;
  const cornu_objective_call *call;
  cornu_tensor **results;
  int *n_results;
} job;

void cn_lua_push_masks(lua_State *L, const cornu_objective_call *c) {
  lua_createtable(L, c->n_outputs, 0);
  for (int i = 0; i < c->n_outputs; i++) {
    if (c->masks[i]) cn_lua_push_tensor(L, c->masks[i]);
    else lua_pushboolean(L, false);
    lua_rawseti(L, -2, i + 1);
  }
}

static int body(lua_State *L) {
  job *j = lua_touserdata(L, 1);
  luaL_checkstack(L, 24, "too many calls");
  lua_rawgeti(L, LUA_REGISTRYINDEX, j->b->objective);
  cn_lua_push_list(L, j->call->outputs, j->call->n_outputs);
  cn_lua_push_list(L, j->call->given, j->call->n_given);
  lua_pushboolean(L, j->call->training);
  cn_lua_push_masks(L, j->call);
  lua_call(L, 4, 1);
  const int n = lua_istable(L, -1) ? (int)cn_lua_rawlen(L, -1) : 0;
  if (n < 1 || n > *j->n_results)
    return luaL_error(L, "the objective returned %d results: a list of 1 to %d tensors expected", n, *j->n_results);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, -1, i + 1);
    const cn_lua_tensor *t = cn_lua_test_tensor(L, -1);
    if (!t || !t->t) return luaL_error(L, "result %d of the objective is no tensor", i + 1);
    lua_pop(L, 1);
  }
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, -1, i + 1);
    j->results[i] = cornu_tensor_retain(cn_lua_test_tensor(L, -1)->t);
    lua_pop(L, 1);
  }
  *j->n_results = n;
  return 0;
}

static cornu_status build(void *user, const cornu_objective_call *call, cornu_tensor **results, int *n_results,
                          cornu_error *e) {
  job j = {user, call, results, n_results};
  return cn_lua_call_back(j.b->s, body, &j, "the objective", e);
}

/* ---- methods ---- */

/* Puts a rate in the place of a function that gives it, in copies of the tables; returns its reference. */
static int take_schedule(lua_State *L, int optimizer) {
  if (!lua_istable(L, optimizer)) return LUA_NOREF;
  lua_getfield(L, optimizer, "config");
  if (lua_istable(L, -1)) lua_getfield(L, -1, "learning_rate");
  else lua_pushnil(L);
  if (!lua_isfunction(L, -1)) return lua_pop(L, 2), LUA_NOREF;
  const int reference = luaL_ref(L, LUA_REGISTRYINDEX), config = lua_gettop(L);
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, config); lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, config + 1);
  }
  lua_pushnumber(L, 0);
  lua_setfield(L, config + 1, "learning_rate");
  lua_createtable(L, 0, 2);
  lua_getfield(L, optimizer, "class_name");
  lua_setfield(L, -2, "class_name");
  lua_pushvalue(L, config + 1);
  lua_setfield(L, -2, "config");
  lua_replace(L, optimizer);
  return lua_pop(L, 2), reference;
}

/* new_trainer(model, optimizer, objective, seed): optimizer a name or {class_name =, config =}, whose learning_rate may
 * be a function of the number of steps; objective(outputs,
 * given, training, masks) → {loss, …}; masks[i] is false where output i has none */
static int new_trainer(lua_State *L) {
  cornu_error e;
  cornu_model *m = cn_lua_check_model(L, 1);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  const int64_t seed = cn_lua_check_int(L, 4);
  cornu_tree *tree = cn_lua_tree(L);
  const int tree_at = lua_gettop(L);
  trainer_box *b = cn_lua_box(L, &cn_lua_trainer_key, sizeof *b);
  b->s = cn_lua_state_of(L);
  b->objective = LUA_NOREF;
  b->schedule = take_schedule(L, 2);
  const cornu_value *optimizer = cn_lua_to_value(L, 2, tree);
  lua_pushvalue(L, 3);
  b->objective = luaL_ref(L, LUA_REGISTRYINDEX);
  const cornu_objective objective = {b, build};
  cn_lua_frame before = cn_lua_enter(b->s, L);
  cornu_status status = cornu_trainer_new(m, optimizer, &objective, (uint64_t)seed, &b->t, &e);
  cn_lua_leave(b->s, before);
  cn_lua_tree_done(L, tree_at);
  cn_lua_check(L, status, &e);
  return 1;
}

/* The rate of the next step by the function that gives it. */
static void set_scheduled(lua_State *L, trainer_box *b) {
  cornu_error e;
  if (b->schedule == LUA_NOREF) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, b->schedule);
  cn_lua_push_int(L, cornu_trainer_steps(b->t));
  lua_call(L, 1, 1);
  if (!lua_isnumber(L, -1))
    cn_lua_error(L, "the learning rate's function returned a %s, expected a number", luaL_typename(L, -1));
  cn_lua_check(L, cornu_trainer_set_rate(b->t, lua_tonumber(L, -1), &e), &e);
  lua_pop(L, 1);
}

/* trainer:batch(training, inputs, given) → results: lists of tensors */
static int batch(lua_State *L) {
  cornu_error e;
  trainer_box *b = check_trainer(L, 1);
  cornu_tensor *inputs[MAX_GIVEN], *given[MAX_GIVEN], *results[MAX_GIVEN];
  const bool training = lua_toboolean(L, 2);
  const int n_inputs = cn_lua_check_data_list(L, 3, inputs, MAX_GIVEN), n_given = cn_lua_check_data_list(L, 4, given, MAX_GIVEN);
  if (b->running) return cn_lua_error(L, "the trainer is at another batch");
  if (training) set_scheduled(L, b);
  const int room = b->results ? b->results : MAX_GIVEN;
  cn_lua_tensor *boxes[MAX_GIVEN];
  lua_createtable(L, room, 0);
  const int list = lua_gettop(L);
  for (int i = 0; i < room; i++) { /* before there is anything to put in: no result can get lost */
    boxes[i] = cn_lua_new_tensor(L);
    lua_rawseti(L, list, i + 1);
  }
  int n = room;
  cn_lua_frame before = cn_lua_enter(b->s, L);
  b->running = true;
  cornu_status status = cornu_trainer_batch(b->t, training, inputs, n_inputs, given, n_given, results, &n, &e);
  b->running = false;
  cn_lua_leave(b->s, before);
  for (int i = 0; i < n && !status; i++) boxes[i]->t = results[i];
  cn_lua_check(L, status, &e);
  if (n > b->results) b->results = n;
  for (int i = 0; i < room; i++) {
    if (i < n) cn_lua_count(L, boxes[i]);
    else lua_pushnil(L), lua_rawseti(L, list, i + 1);
  }
  return 1;
}

typedef struct told { cornu_step *steps; double *seconds; int count, room; } told;

static cornu_status tell(void *user, const cornu_step *step, double seconds, cornu_error *e) {
  told *all = user;
  if (all->count == all->room) {
    const int room = all->room ? 2 * all->room : 64;
    cornu_step *steps = realloc(all->steps, (size_t)room * sizeof *steps);
    if (steps) all->steps = steps;
    double *times = realloc(all->seconds, (size_t)room * sizeof *times);
    if (times) all->seconds = times;
    if (!steps || !times) return *e = (cornu_error){CORNU_ERR_MEMORY, "out of memory"}, CORNU_ERR_MEMORY;
    all->room = room;
  }
  all->steps[all->count] = *step;
  all->seconds[all->count++] = seconds;
  return CORNU_OK;
}

static void push_told(lua_State *L, const told *all) {
  lua_createtable(L, all->count, 0);
  for (int i = 0; i < all->count; i++) {
    const cornu_step *s = &all->steps[i];
    lua_createtable(L, 0, 6);
    lua_pushstring(L, s->op), lua_setfield(L, -2, "op");
    lua_pushstring(L, s->layer ? s->layer : ""), lua_setfield(L, -2, "layer");
    lua_pushstring(L, s->variant), lua_setfield(L, -2, "variant");
    cn_lua_push_shape(L, s->rank, s->shape), lua_setfield(L, -2, "shape");
    lua_pushnumber(L, s->flops), lua_setfield(L, -2, "flops");
    lua_pushnumber(L, all->seconds[i]), lua_setfield(L, -2, "seconds");
    lua_rawseti(L, -2, i + 1);
  }
}

/* trainer:profile(inputs, given): one step of training → {{op =, layer =, variant =, shape =, flops =, seconds =}, …} */
static int profile(lua_State *L) {
  cornu_error e;
  trainer_box *b = check_trainer(L, 1);
  cornu_tensor *inputs[MAX_GIVEN], *given[MAX_GIVEN];
  const int n_inputs = cn_lua_check_data_list(L, 2, inputs, MAX_GIVEN), n_given = cn_lua_check_data_list(L, 3, given, MAX_GIVEN);
  if (b->running) return cn_lua_error(L, "the trainer is at another batch");
  set_scheduled(L, b);
  told all = {0};
  cn_lua_frame before = cn_lua_enter(b->s, L);
  b->running = true;
  cornu_status status = cornu_trainer_profile(b->t, inputs, n_inputs, given, n_given, tell, &all, &e);
  b->running = false;
  cn_lua_leave(b->s, before);
  if (!status) push_told(L, &all);
  free(all.steps);
  free(all.seconds);
  cn_lua_check(L, status, &e);
  return 1;
}

static int rate(lua_State *L) {
  trainer_box *b = check_trainer(L, 1);
  set_scheduled(L, b);
  lua_pushnumber(L, cornu_trainer_rate(b->t));
  return 1;
}

static int set_rate(lua_State *L) {
  cornu_error e;
  trainer_box *b = check_trainer(L, 1);
  if (b->schedule != LUA_NOREF) return cn_lua_error(L, "the learning rate follows a function: it cannot be set");
  cn_lua_check(L, cornu_trainer_set_rate(b->t, cn_lua_check_number(L, 2), &e), &e);
  return 0;
}

/* trainer:finish(): after the last batch */
static int finish(lua_State *L) {
  cornu_trainer_finish(check_trainer(L, 1)->t);
  return 0;
}

/* trainer:optimizer([keras3]) → {class_name =, config =}: with the learning rate of now */
static int optimizer(lua_State *L) {
  trainer_box *b = check_trainer(L, 1);
  const bool keras3 = lua_toboolean(L, 2);
  cornu_tree *tree = cn_lua_tree(L);
  const int tree_at = lua_gettop(L);
  const cornu_value *v = cornu_trainer_optimizer(b->t, keras3, tree);
  if (!v) return cn_lua_error(L, "out of memory");
  cn_lua_push_value(L, v);
  cn_lua_tree_done(L, tree_at);
  return 1;
}

/* trainer:state([keras]) → {{name =, value =}, …}, copies; keras: the version whose files they are for, true: 3 */
static int state(lua_State *L) {
  const int keras = lua_isboolean(L, 2) ? 3 * lua_toboolean(L, 2) : lua_isnil(L, 2) || lua_isnone(L, 2) ? 0
                    : (int)cn_lua_check_int(L, 2);
  return cn_lua_trainer_state(L, check_trainer(L, 1)->t, keras);
}

/* trainer:set_state{tensor or {value =}, …}: in the order of state() */
static int set_state(lua_State *L) {
  cornu_error e;
  trainer_box *b = check_trainer(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  const int n = (int)cn_lua_rawlen(L, 2);
  cornu_tensor **arrays = lua_newuserdata(L, ((size_t)n + 1) * sizeof *arrays);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 2, i + 1);
    if (lua_istable(L, -1)) lua_getfield(L, -1, "value");
    arrays[i] = cn_lua_check_data(L, lua_gettop(L)); /* the list keeps it */
    lua_settop(L, 3);
  }
  cn_lua_check(L, cornu_trainer_set_state(b->t, arrays, n, &e), &e);
  return 0;
}

static int runs(lua_State *L) {
  cn_lua_push_int(L, cornu_trainer_runs(check_trainer(L, 1)->t));
  return 1;
}

static int set_runs(lua_State *L) {
  cornu_trainer_set_runs(check_trainer(L, 1)->t, cn_lua_check_int(L, 2));
  return 0;
}

static int steps(lua_State *L) {
  cn_lua_push_int(L, cornu_trainer_steps(check_trainer(L, 1)->t));
  return 1;
}

static int index(lua_State *L) {
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

/* logits(t) → what came into the softmax or sigmoid that made the symbolic tensor t, or nil */
static int logits(lua_State *L) {
  cornu_error e;
  cornu_tensor *t = cn_lua_check_tensor(L, 1);
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_tensor_logits(t, &b->t, &e), &e);
  if (!b->t) return 0;
  cn_lua_count(L, b);
  return 1;
}

/* check_gradients(model, {true or false for each output: whether it has a loss}): raises when training cannot have them */
static int check_gradients(lua_State *L) {
  cornu_error e;
  cornu_model *m = cn_lua_check_model(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  const int n = cornu_model_outputs(m);
  bool *has_loss = lua_newuserdata(L, (size_t)n + 1);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 2, i + 1);
    has_loss[i] = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  cn_lua_frame before = cn_lua_enter(cn_lua_state_of(L), L);
  const cornu_status status = cornu_model_differentiable(m, has_loss, &e);
  cn_lua_leave(cn_lua_state_of(L), before);
  cn_lua_check(L, status, &e);
  return 0;
}

/* range(t) → the smallest and the largest element */
static int range(lua_State *L) {
  cornu_error e;
  double low, high;
  cn_lua_check(L, cornu_tensor_range(cn_lua_check_data(L, 1), &low, &high, &e), &e);
  lua_pushnumber(L, low);
  lua_pushnumber(L, high);
  return 2;
}

/* check_optimizer(optimizer): raises when none can be made of it */
static int check_optimizer(lua_State *L) {
  cornu_error e;
  cornu_tree *tree = cn_lua_tree(L);
  const int tree_at = lua_gettop(L);
  const cornu_status status = cornu_optimizer_check(cn_lua_to_value(L, 1, tree), &e);
  cn_lua_tree_done(L, tree_at);
  cn_lua_check(L, status, &e);
  return 0;
}

/* schedule_rate(schedule, step) → number */
static int schedule_rate(lua_State *L) {
  cornu_error e;
  double x = 0;
  const int64_t step = cn_lua_check_int(L, 2);
  cornu_tree *tree = cn_lua_tree(L);
  const int tree_at = lua_gettop(L);
  const cornu_status status = cornu_schedule_rate(cn_lua_to_value(L, 1, tree), step, &x, &e);
  cn_lua_tree_done(L, tree_at);
  cn_lua_check(L, status, &e);
  lua_pushnumber(L, x);
  return 1;
}

const luaL_Reg cn_lua_trainer_functions[] = {{"new_trainer", new_trainer}, {"logits", logits},
                                             {"check_optimizer", check_optimizer}, {"check_gradients", check_gradients},
                                             {"schedule_rate", schedule_rate}, {"range", range},
                                             {NULL, NULL}};

void cn_lua_open_trainer(lua_State *L) {
  static const luaL_Reg metamethods[] = {{NULL, NULL}};
  static const luaL_Reg methods[] = {{"batch", batch}, {"close", close_trainer}, {"rate", rate},
                                     {"set_rate", set_rate}, {"steps", steps}, {"finish", finish}, {"profile", profile},
                                     {"optimizer", optimizer}, {"runs", runs}, {"set_runs", set_runs}, {"state", state},
                                     {"set_state", set_state}, {NULL, NULL}};
  static const cn_lua_class class = {.name = "cornu.trainer", .key = &cn_lua_trainer_key,
                                     .methods_key = &cn_lua_trainer_methods, .metamethods = metamethods,
                                     .methods = methods, .index = index, .close = close_trainer};
  cn_lua_open_class(L, &class);
}
