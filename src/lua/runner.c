/* The class cornu.runner: a model with inputs, outputs and states of its own, for frame loops, whole or in slices. */
#include <string.h>

#include "lua/binding.h"

const char cn_lua_runner_key = 0, cn_lua_runner_methods = 0;

enum { MOST = 64 };

typedef struct runner_box {
  const void *tag;
  cornu_runner *r;
  bool running; /* a whole run is under way, and a handler may be in it */
} runner_box;

static runner_box *check_box(lua_State *L, int arg) {
  runner_box *b = cn_lua_test(L, arg, &cn_lua_runner_key, sizeof *b);
  if (!b) cn_lua_type_error(L, arg, "cornu.runner");
  if (!b->r) cn_lua_arg_error(L, arg, "the runner is closed");
  return b;
}

static cornu_runner *check_runner(lua_State *L, int arg) { return check_box(L, arg)->r; }

static int close_runner(lua_State *L) {
  runner_box *b = cn_lua_test(L, 1, &cn_lua_runner_key, sizeof *b);
  if (!b) return cn_lua_type_error(L, 1, "cornu.runner");
  cornu_runner *r = b->r;
  b->r = NULL;
  cornu_runner_free(r);
  return 0;
}

/* ---- Making ---- */

/* The names in options.outputs: a name or a list; they stay on the stack. */
static int given_outputs(lua_State *L, const char **names) {
  int n = 0;
  lua_getfield(L, 2, "outputs");
  if (lua_isnil(L, -1)) return 0;
  if (lua_type(L, -1) == LUA_TSTRING) return names[0] = lua_tostring(L, -1), 1;
  if (!lua_istable(L, -1)) return cn_lua_error(L, "option \"outputs\" is neither a name nor a list of names");
  const int list = lua_gettop(L);
  luaL_checkstack(L, MOST + 8, "too many outputs");
  for (; n < MOST; n++) {
    lua_rawgeti(L, list, n + 1);
    if (lua_isnil(L, -1)) break;
    if (lua_type(L, -1) != LUA_TSTRING) cn_lua_error(L, "output %d is no name of a layer", n + 1);
    names[n] = lua_tostring(L, -1);
  }
  if (!n || n == MOST) cn_lua_error(L, "option \"outputs\" names 1 to %d values", MOST - 1);
  return n;
}

static void carry_outputs(lua_State *L, cornu_runner *r);

/* model:runner{batch =, shapes =, outputs =, carry =} */
int cn_lua_model_runner(lua_State *L) {
  cornu_error e;
  cornu_port port;
  int64_t shape[MOST][CORNU_MAX_RANK];
  const int64_t *shapes[MOST];
  const char *names[MOST];
  cornu_model *m = cn_lua_check_model(L, 1);
  cornu_runner_options o = {.struct_size = sizeof o, .shapes = shapes, .outputs = names};
  o.batch = cn_lua_batch_option(L);
  if (cornu_model_inputs(m) > MOST) return cn_lua_error(L, "a runner takes at most %d inputs", MOST);
  for (int i = 0; cornu_model_input(m, i, &port); i++)
    shapes[i] = cn_lua_shape_option(L, &port, i, shape[i]) ? shape[i] : NULL;
  o.n_outputs = given_outputs(L, names);
  runner_box *b = cn_lua_box(L, &cn_lua_runner_key, sizeof *b);
  const int box = lua_gettop(L);
  cn_lua_state *s = cn_lua_state_of(L);
  cn_lua_frame before = cn_lua_enter(s, L);
  cornu_status status = cornu_runner_new(m, &o, &b->r, &e);
  cn_lua_leave(s, before);
  cn_lua_check(L, status, &e);
  carry_outputs(L, b->r);
  lua_settop(L, box);
  return 1;
}

/* ---- Runs ---- */

/* Around what may come to a handler, which is not to close the runner. */
static cn_lua_frame enter(lua_State *L, runner_box *b) {
  if (b->running) cn_lua_error(L, "the runner is running");
  cn_lua_frame before = cn_lua_enter(cn_lua_state_of(L), L);
  b->running = true;
  return before;
}

static void leave(lua_State *L, runner_box *b, cn_lua_frame before) {
  b->running = false;
  cn_lua_leave(cn_lua_state_of(L), before);
}

static cornu_status guarded(lua_State *L, runner_box *b, cornu_status (*what)(cornu_runner *r, cornu_error *e),
                            cornu_error *e) {
  cn_lua_frame before = enter(L, b);
  cornu_status status = what(b->r, e);
  leave(L, b, before);
  return status;
}

static int run(lua_State *L) {
  cornu_error e;
  runner_box *b = check_box(L, 1);
  cn_lua_check(L, guarded(L, b, cornu_runner_run, &e), &e);
  lua_settop(L, 1);
  return 1;
}

static int refresh(lua_State *L) {
  cornu_error e;
  runner_box *b = check_box(L, 1);
  cn_lua_check(L, guarded(L, b, cornu_runner_refresh, &e), &e);
  lua_settop(L, 1);
  return 1;
}

static int run_for(lua_State *L) {
  cornu_error e;
  bool done;
  runner_box *b = check_box(L, 1);
  lua_Number microseconds = luaL_checknumber(L, 2);
  cn_lua_frame before = enter(L, b);
  cornu_status status = cornu_runner_run_for(b->r, (double)microseconds, &done, &e);
  leave(L, b, before);
  cn_lua_check(L, status, &e);
  lua_pushboolean(L, done);
  return 1;
}

static cornu_status begin(cornu_runner *r, cornu_error *e) { return cornu_runner_start(r, NULL, NULL, e); }

static int start(lua_State *L) {
  cornu_error e;
  cn_lua_check(L, guarded(L, check_box(L, 1), begin, &e), &e);
  lua_settop(L, 1);
  return 1;
}

static int poll(lua_State *L) {
  cornu_error e;
  bool done;
  cn_lua_check(L, cornu_runner_poll(check_runner(L, 1), &done, &e), &e);
  lua_pushboolean(L, done);
  return 1;
}

static int await(lua_State *L) {
  cornu_error e;
  cn_lua_check(L, cornu_runner_wait(check_runner(L, 1), &e), &e);
  lua_settop(L, 1);
  return 1;
}

static int cancel(lua_State *L) {
  cornu_runner_cancel(check_runner(L, 1));
  lua_settop(L, 1);
  return 1;
}

/* ---- Buffers ---- */

/* The number, from 0, of the input, output or state that the value at i names: a number from 1 on or a name. */
static int find(lua_State *L, cornu_runner *r, cornu_runner_part part, int i) {
  static const char *const what[] = {"input", "output", "state"};
  const int count = cornu_runner_count(r, part);
  int64_t number = 0;
  int at = -1;
  if (lua_type(L, i) == LUA_TSTRING) at = cornu_runner_find(r, part, lua_tostring(L, i));
  else if (lua_isnoneornil(L, i)) at = count ? 0 : -1;
  else if (cn_lua_whole(L, i, &number) && number >= 1 && number <= count) at = (int)number - 1;
  if (at < 0 && lua_type(L, i) == LUA_TSTRING)
    cn_lua_error(L, "the runner has no %s \"%s\"", what[part], lua_tostring(L, i));
  if (at < 0) cn_lua_error(L, "the runner has %d %ss, no number %d", count, what[part], (int)number);
  return at;
}

static int push_buffer(lua_State *L, cornu_runner_part part) {
  cornu_runner *r = check_runner(L, 1);
  cn_lua_push_tensor(L, cornu_runner_tensor(r, part, find(L, r, part, 2)));
  return 1;
}

static int input(lua_State *L) { return push_buffer(L, CORNU_RUNNER_INPUT); }
static int output(lua_State *L) { return push_buffer(L, CORNU_RUNNER_OUTPUT); }
static int get_state(lua_State *L) { return push_buffer(L, CORNU_RUNNER_STATE); }

static int push_ports(lua_State *L, cornu_runner_part part) {
  cornu_runner *r = check_runner(L, 1);
  cornu_port port;
  lua_newtable(L);
  for (int i = 0; cornu_runner_port(r, part, i, &port); i++) {
    cn_lua_push_port(L, &port);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int inputs(lua_State *L) { return push_ports(L, CORNU_RUNNER_INPUT); }
static int outputs(lua_State *L) { return push_ports(L, CORNU_RUNNER_OUTPUT); }
static int states(lua_State *L) { return push_ports(L, CORNU_RUNNER_STATE); }

/* ---- States ---- */

static void carry_one(lua_State *L, cornu_runner *r, int from, int to) {
  cornu_error e;
  const int o = find(L, r, CORNU_RUNNER_OUTPUT, from), i = find(L, r, CORNU_RUNNER_INPUT, to);
  cn_lua_check(L, cornu_runner_carry(r, o, i, &e), &e);
}

/* options.carry = {output = input, …} */
static void carry_outputs(lua_State *L, cornu_runner *r) {
  lua_getfield(L, 2, "carry");
  if (lua_isnil(L, -1)) return;
  if (!lua_istable(L, -1)) cn_lua_error(L, "option \"carry\" is not a table of outputs and the inputs they go to");
  const int table = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) carry_one(L, r, lua_gettop(L) - 1, lua_gettop(L));
}

static int carry(lua_State *L) {
  carry_one(L, check_runner(L, 1), 2, 3);
  lua_settop(L, 1);
  return 1;
}

/* runner:reset([first [, n]]): from 1; all of them without */
static int reset(lua_State *L) {
  cornu_error e;
  cornu_runner *r = check_runner(L, 1);
  int64_t first = 1, n = lua_isnoneornil(L, 2) ? -1 : 1;
  if (!lua_isnoneornil(L, 2) && !cn_lua_whole(L, 2, &first)) return cn_lua_type_error(L, 2, "number of a sample");
  if (!lua_isnoneornil(L, 3) && !cn_lua_whole(L, 3, &n)) return cn_lua_type_error(L, 3, "number of samples");
  cn_lua_check(L, cornu_runner_reset(r, first - 1, n, &e), &e);
  lua_settop(L, 1);
  return 1;
}

/* ---- The rest ---- */

static int memory(lua_State *L) {
  cn_lua_push_int(L, (int64_t)cornu_runner_memory(check_runner(L, 1)));
  return 1;
}

static int runner_tostring(lua_State *L) {
  runner_box *b = cn_lua_test(L, 1, &cn_lua_runner_key, sizeof *b);
  if (!b) return cn_lua_type_error(L, 1, "cornu.runner");
  if (!b->r) lua_pushliteral(L, "runner (closed)");
  else
    lua_pushfstring(L, "runner (inputs: %d, outputs: %d, states: %d)", cornu_runner_count(b->r, CORNU_RUNNER_INPUT),
                    cornu_runner_count(b->r, CORNU_RUNNER_OUTPUT), cornu_runner_count(b->r, CORNU_RUNNER_STATE));
  return 1;
}

static int runner_index(lua_State *L) {
  lua_settop(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

void cn_lua_open_runner(lua_State *L) {
  static const luaL_Reg methods[] = {{"run", run}, {"run_for", run_for}, {"start", start}, {"poll", poll},
    {"wait", await}, {"cancel", cancel}, {"input", input}, {"output", output}, {"state", get_state}, {"inputs", inputs},
    {"outputs", outputs}, {"states", states}, {"carry", carry}, {"reset", reset}, {"refresh", refresh}, {"memory", memory},
    {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", runner_tostring}, {NULL, NULL}};
  static const cn_lua_class class = {.name = "cornu.runner", .key = &cn_lua_runner_key,
    .methods_key = &cn_lua_runner_methods, .metamethods = metamethods, .methods = methods, .index = runner_index,
    .close = close_runner, .in_use = true};
  cn_lua_open_class(L, &class);
}
