/* The class cornu.plan: a model compiled for given shapes, for frame loops. run() writes into tensors that exist. */
#include <string.h>

#include "lua/binding.h"

const char cn_lua_plan_key = 0, cn_lua_plan_methods = 0;

#define MAX_PORTS 64

typedef struct plan_box {
  const void *tag;
  cornu_plan *p;
  cornu_model *m;
  int n_in, n_out;
  bool running;
} plan_box;

static plan_box *check_plan(lua_State *L, int arg) {
  plan_box *b = cn_lua_test(L, arg, &cn_lua_plan_key, sizeof *b);
  if (!b) cn_lua_type_error(L, arg, "cornu.plan");
  if (!b->p) cn_lua_arg_error(L, arg, "the plan is closed");
  return b;
}

static int close_plan(lua_State *L) {
  plan_box *b = cn_lua_test(L, 1, &cn_lua_plan_key, sizeof *b);
  if (!b) return cn_lua_type_error(L, 1, "cornu.plan");
  cornu_plan *p = b->p;
  cornu_model *m = b->m;
  b->p = NULL;
  b->m = NULL;
  cornu_plan_free(p);
  cornu_model_release(m);
  return 0;
}

/* The table of options at 2, made if there is none; its batch: 0 if it has none. */
int64_t cn_lua_batch_option(lua_State *L) {
  int64_t batch = 0;
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_newtable(L);
    lua_replace(L, 2);
  }
  if (!lua_istable(L, 2)) cn_lua_type_error(L, 2, "table of options");
  lua_getfield(L, 2, "batch");
  if (!lua_isnil(L, -1) && (!cn_lua_whole(L, -1, &batch) || batch < 1))
    cn_lua_error(L, "option \"batch\" is not a positive whole number");
  lua_pop(L, 1);
  return batch;
}

/* The shape that options.shapes has for input i, by name or number; false: none. */
bool cn_lua_shape_option(lua_State *L, const cornu_port *port, int i, int64_t *shape) {
  lua_getfield(L, 2, "shapes");
  if (!lua_istable(L, -1)) return lua_pop(L, 1), false;
  lua_getfield(L, -1, port->key ? port->key : port->name);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_rawgeti(L, -1, i + 1);
  }
  const bool given = !lua_isnil(L, -1);
  if (given) {
    int rank;
    if (!lua_istable(L, -1)) cn_lua_error(L, "the shape of input \"%s\" is not a table of sizes", port->name);
    cn_lua_check_shape(L, lua_gettop(L), &rank, shape);
    if (rank != port->rank)
      cn_lua_error(L, "input \"%s\" has %d dimensions, the shape given %d", port->name, port->rank, rank);
  }
  lua_pop(L, 2);
  return given;
}

/* Shape of input i: that of the options, else the model's, with the batch for an unknown first dimension. */
static void input_shape(lua_State *L, const cornu_port *port, int i, int64_t batch, int64_t *shape) {
  memcpy(shape, port->shape, sizeof port->shape);
  cn_lua_shape_option(L, port, i, shape);
  if (port->rank && shape[0] < 0) shape[0] = batch ? batch : 1;
  for (int k = 0; k < port->rank; k++)
    if (shape[k] < 0)
      cn_lua_error(L, "dimension %d of input \"%s\" is not known: say model:plan{shapes = {{…}}}", k + 1, port->name);
}

/* model:plan{batch = 1, shapes = {{…}, …}} */
int cn_lua_model_plan(lua_State *L) {
  cornu_error e;
  cornu_port port;
  int64_t shape[MAX_PORTS][CORNU_MAX_RANK];
  const int64_t *shapes[MAX_PORTS];
  cornu_model *m = cn_lua_check_model(L, 1);
  const int64_t batch = cn_lua_batch_option(L);
  int n = cornu_model_inputs(m);
  if (n > MAX_PORTS) return cn_lua_error(L, "a plan takes at most %d inputs", MAX_PORTS);
  for (int i = 0; i < n && cornu_model_input(m, i, &port); i++) {
    input_shape(L, &port, i, batch, shape[i]);
    shapes[i] = shape[i];
  }
  plan_box *b = cn_lua_box(L, &cn_lua_plan_key, sizeof *b);
  b->n_in = n;
  b->n_out = cornu_model_outputs(m);
  b->m = cornu_model_retain(m);
  cn_lua_state *s = cn_lua_state_of(L);
  cn_lua_frame before = cn_lua_enter(s, L);
  cornu_status status = cornu_plan_new(m, shapes, &b->p, &e);
  cn_lua_leave(s, before);
  cn_lua_check(L, status, &e);
  return 1;
}

/* Pushes n new tensors of the plan's inputs or outputs. */
static void new_ports(lua_State *L, plan_box *b, int n, bool (*get)(const cornu_plan *, int, cornu_port *)) {
  cornu_error e;
  cornu_port port;
  luaL_checkstack(L, n + 20, "too many tensors");
  for (int i = 0; i < n && get(b->p, i, &port); i++) {
    cn_lua_tensor *t = cn_lua_new_tensor(L);
    cn_lua_check(L, cornu_tensor_new(port.dtype, port.rank, port.shape, &t->t, &e), &e);
    cn_lua_count(L, t);
  }
}

/* Around what may come to a handler, which is not to close the plan. */
static cn_lua_frame enter(lua_State *L, plan_box *b) {
  if (b->running) cn_lua_error(L, "the plan is running: a plan belongs to one run at a time");
  cn_lua_frame before = cn_lua_enter(cn_lua_state_of(L), L);
  b->running = true;
  return before;
}

static void leave(lua_State *L, plan_box *b, cn_lua_frame before) {
  b->running = false;
  cn_lua_leave(cn_lua_state_of(L), before);
}

/* seconds: of each step; may be NULL */
static int run_on(lua_State *L, plan_box *b, cornu_tensor *const *in, cornu_tensor *const *out, double *seconds) {
  cornu_error e;
  cn_lua_frame before = enter(L, b);
  cornu_status status = seconds ? cornu_plan_profile(b->p, in, out, seconds, &e) : cornu_plan_run(b->p, in, out, &e);
  leave(L, b, before);
  cn_lua_check(L, status, &e);
  return 0;
}

/* plan(x): as model(x), without looking for a plan */
static int call(lua_State *L) {
  cornu_tensor *in[MAX_PORTS], *out[MAX_PORTS];
  plan_box *b = check_plan(L, 1);
  luaL_checkany(L, 2);
  if (b->n_out > MAX_PORTS) return cn_lua_error(L, "a plan gives at most %d outputs", MAX_PORTS);
  cn_lua_model_inputs(L, b->m, 2, in);
  int first = lua_gettop(L) + 1;
  new_ports(L, b, b->n_out, cornu_plan_output);
  for (int i = 0; i < b->n_out; i++) out[i] = ((cn_lua_tensor *)lua_touserdata(L, first + i))->t;
  run_on(L, b, in, out, NULL);
  return cn_lua_model_outputs(L, b->m, b->n_out);
}

/* A tensor or a list of n at arg. */
static void tensors_at(lua_State *L, int arg, int n, bool write, cornu_tensor **list) {
  bool table = lua_istable(L, arg);
  if (!table && n != 1) cn_lua_arg_error(L, arg, "a list of %d tensors expected", n);
  if (table && (int)cn_lua_rawlen(L, arg) != n)
    cn_lua_arg_error(L, arg, "%d tensors expected, got %d", n, (int)cn_lua_rawlen(L, arg));
  luaL_checkstack(L, n + 20, "too many tensors");
  for (int i = 0; i < n; i++) {
    if (table) lua_rawgeti(L, arg, i + 1);
    else lua_pushvalue(L, arg);
    cn_lua_tensor *b = cn_lua_test_tensor(L, -1);
    if (!b || !b->t) cn_lua_arg_error(L, arg, "tensor %d is a %s", i + 1, b ? "closed tensor" : cn_lua_kind(L, -1));
    if (write && b->read_only) cn_lua_arg_error(L, arg, "tensor %d is read-only", i + 1);
    list[i] = b->t;
  }
}

/* The tensors of plan:run and plan:time, at 2 and 3. */
static plan_box *check_run(lua_State *L, cornu_tensor **in, cornu_tensor **out) {
  plan_box *b = check_plan(L, 1);
  lua_settop(L, 3);
  if (b->n_out > MAX_PORTS) cn_lua_error(L, "a plan gives at most %d outputs", MAX_PORTS);
  tensors_at(L, 2, b->n_in, false, in);
  tensors_at(L, 3, b->n_out, true, out);
  return b;
}

/* plan:run(inputs, outputs): into tensors of exactly the plan's shapes and dtypes; allocates nothing */
static int run(lua_State *L) {
  cornu_tensor *in[MAX_PORTS], *out[MAX_PORTS];
  plan_box *b = check_run(L, in, out);
  run_on(L, b, in, out, NULL);
  lua_settop(L, 3);
  return 1;
}

/* plan:time(inputs, outputs): runs, and gives a list of the seconds of each step */
static int time_steps(lua_State *L) {
  cornu_tensor *in[MAX_PORTS], *out[MAX_PORTS];
  plan_box *b = check_run(L, in, out);
  int n = cornu_plan_steps(b->p);
  double *seconds = lua_newuserdata(L, ((size_t)n + 1) * sizeof *seconds);
  run_on(L, b, in, out, seconds);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushnumber(L, seconds[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static void push_inputs(lua_State *L, const cornu_plan *p, int i, int n) {
  lua_newtable(L);
  for (int k = 0, count = 0; k < n; k++) {
    int producer = cornu_plan_producer(p, i, k);
    if (producer < 0) continue;
    lua_pushinteger(L, producer + 1);
    lua_rawseti(L, -2, ++count);
  }
}

/* plan:steps() → {{op=, layer=, variant=, shape=, dtype=, inputs={numbers of steps}, flops=, bytes=}, …} */
static int steps(lua_State *L) {
  cornu_plan *p = check_plan(L, 1)->p;
  cornu_step s;
  lua_newtable(L);
  for (int i = 0; cornu_plan_step(p, i, &s); i++) {
    lua_createtable(L, 0, 8);
    lua_pushstring(L, s.op), lua_setfield(L, -2, "op");
    lua_pushstring(L, s.layer), lua_setfield(L, -2, "layer");
    lua_pushstring(L, s.variant), lua_setfield(L, -2, "variant");
    lua_pushstring(L, cornu_dtype_name(s.dtype)), lua_setfield(L, -2, "dtype");
    cn_lua_push_shape(L, s.rank, s.shape), lua_setfield(L, -2, "shape");
    push_inputs(L, p, i, s.n_inputs), lua_setfield(L, -2, "inputs");
    lua_pushnumber(L, s.flops), lua_setfield(L, -2, "flops");
    lua_pushnumber(L, s.bytes), lua_setfield(L, -2, "bytes");
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int make_list(lua_State *L, int n) {
  lua_createtable(L, n, 0);
  lua_insert(L, -n - 1);
  for (int i = n; i >= 1; i--) lua_rawseti(L, -i - 1, i);
  return 1;
}

/* plan:inputs(), plan:outputs(): new tensors of the right shapes, one or a list */
static int inputs(lua_State *L) {
  plan_box *b = check_plan(L, 1);
  new_ports(L, b, b->n_in, cornu_plan_input);
  return b->n_in == 1 ? 1 : make_list(L, b->n_in);
}

static int outputs(lua_State *L) {
  plan_box *b = check_plan(L, 1);
  new_ports(L, b, b->n_out, cornu_plan_output);
  return b->n_out == 1 ? 1 : make_list(L, b->n_out);
}

static int memory(lua_State *L) {
  cn_lua_push_int(L, (int64_t)cornu_plan_memory(check_plan(L, 1)->p));
  return 1;
}

static int flops(lua_State *L) {
  lua_pushnumber(L, (lua_Number)cornu_plan_flops(check_plan(L, 1)->p));
  return 1;
}

static int plan_tostring(lua_State *L) {
  cornu_error e;
  plan_box *b = cn_lua_test(L, 1, &cn_lua_plan_key, sizeof *b);
  if (!b) return cn_lua_type_error(L, 1, "cornu.plan");
  if (!b->p) {
    lua_pushliteral(L, "plan (closed)");
    return 1;
  }
  char **text = cn_lua_text(L);
  cn_lua_check(L, cornu_plan_format(b->p, text, &e), &e);
  cn_lua_push_text(L);
  return 1;
}

static int plan_index(lua_State *L) {
  lua_settop(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

static int length(lua_State *L) { /* inputs */
  lua_pushinteger(L, check_plan(L, 1)->n_in);
  return 1;
}

static int reset_states(lua_State *L) {
  cornu_plan_reset_states(check_plan(L, 1)->p);
  lua_settop(L, 1);
  return 1;
}

static int refresh(lua_State *L) {
  cornu_error e;
  plan_box *b = check_plan(L, 1);
  cn_lua_frame before = enter(L, b);
  cornu_status status = cornu_plan_refresh(b->p, &e);
  leave(L, b, before);
  cn_lua_check(L, status, &e);
  lua_settop(L, 1);
  return 1;
}

void cn_lua_open_plan(lua_State *L) {
  static const luaL_Reg methods[] = {{"run", run}, {"time", time_steps}, {"steps", steps}, {"inputs", inputs},
    {"outputs", outputs}, {"memory", memory}, {"flops", flops}, {"reset_states", reset_states}, {"refresh", refresh},
    {"tostring", plan_tostring}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__len", length}, {"__tostring", plan_tostring}, {"__call", call}, {NULL,
    NULL}};
  static const cn_lua_class class = {.name = "cornu.plan", .key = &cn_lua_plan_key, .methods_key = &cn_lua_plan_methods,
    .metamethods = metamethods, .methods = methods, .index = plan_index, .close = close_plan, .in_use = true};
  cn_lua_open_class(L, &class);
}
