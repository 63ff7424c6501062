/* model(x): inputs in any of their forms, the run, outputs in the form that the model has. */
#include <string.h>

#include "lua/binding.h"

#define FEW 8 /* inputs or outputs that need no memory of their own */

/* The value at i as input k: a table takes the input's dtype. Replaced at i. */
static cornu_tensor *as_input(lua_State *L, int i, const cornu_port *port) {
  cn_lua_tensor *b = cn_lua_test_tensor(L, i);
  if (!b) {
    int type = lua_type(L, i);
    bool texts = port->dtype == CORNU_TEXT;
    if (type != LUA_TTABLE && (texts ? type != LUA_TSTRING : type != LUA_TNUMBER && type != LUA_TBOOLEAN))
      cn_lua_error(L, "input \"%s\": a tensor or a table of %s expected, got %s", port->name,
                   texts ? "strings" : "numbers", cn_lua_kind(L, i));
    cn_lua_table_tensor(L, i, port->dtype);
    lua_replace(L, i);
    b = lua_touserdata(L, i);
  }
  if (!b->t) cn_lua_error(L, "input \"%s\": the tensor is closed", port->name);
  return b->t;
}

static bool has_names(lua_State *L, int i) {
  if (cn_lua_rawlen(L, i) > 0) return false;
  lua_pushnil(L);
  if (!lua_next(L, i)) return false;
  bool names = lua_type(L, -2) == LUA_TSTRING;
  lua_pop(L, 2);
  return names;
}

static void push_input_names(lua_State *L, const cornu_model *m) {
  cornu_port port;
  lua_pushliteral(L, "");
  for (int k = 0; cornu_model_input(m, k, &port); k++) {
    lua_pushfstring(L, "%s%s", k ? ", " : "", port.key ? port.key : port.name);
    lua_concat(L, 2);
  }
}

/* Every name in the table is one of an input. */
static void check_names(lua_State *L, const cornu_model *m, int i) {
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    cornu_port port;
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    bool found = false;
    for (int k = 0; name && !found && cornu_model_input(m, k, &port); k++)
      found = !strcmp(name, port.name) || (port.key && !strcmp(name, port.key));
    if (found) continue;
    push_input_names(L, m);
    cn_lua_error(L, "no input \"%s\": the model has %s", name ? name : "?", lua_tostring(L, -1));
  }
}

static void named_inputs(lua_State *L, cornu_model *m, int i, int n, cornu_tensor **in) {
  cornu_port port;
  check_names(L, m, i);
  for (int k = 0; k < n; k++) {
    cornu_model_input(m, k, &port);
    lua_getfield(L, i, port.key ? port.key : port.name);
    if (lua_isnil(L, -1) && port.key) {
      lua_pop(L, 1);
      lua_getfield(L, i, port.name);
    }
    if (lua_isnil(L, -1)) {
      push_input_names(L, m);
      cn_lua_error(L, "input \"%s\" is missing: the model takes %s", port.key ? port.key : port.name, lua_tostring(L,
          -1));
    }
    in[k] = as_input(L, lua_gettop(L), &port);
  }
}

static void listed_inputs(lua_State *L, cornu_model *m, int i, int n, cornu_tensor **in) {
  cornu_port port;
  if ((int)cn_lua_rawlen(L, i) != n) {
    push_input_names(L, m);
    cn_lua_error(L, "the model takes %d inputs (%s), got %d", n, lua_tostring(L, -1), (int)cn_lua_rawlen(L, i));
  }
  for (int k = 0; k < n; k++) {
    cornu_model_input(m, k, &port);
    lua_rawgeti(L, i, k + 1);
    in[k] = as_input(L, lua_gettop(L), &port);
  }
}

void cn_lua_model_inputs(lua_State *L, cornu_model *m, int arg, cornu_tensor **in) {
  cornu_port port;
  int n = cornu_model_inputs(m);
  luaL_checkstack(L, n + 8, "too many inputs");
  arg = cn_lua_absindex(L, arg);
  if (lua_istable(L, arg)) {
    lua_rawgeti(L, arg, 1);
    bool tensors = cn_lua_test_tensor(L, -1) != NULL;
    lua_pop(L, 1);
    if (has_names(L, arg)) named_inputs(L, m, arg, n, in);
    else if (n > 1 || tensors) listed_inputs(L, m, arg, n, in);
    else if (cornu_model_input(m, 0, &port)) {
      lua_pushvalue(L, arg);
      in[0] = as_input(L, lua_gettop(L), &port);
    }
    return;
  }
  if (n != 1) {
    push_input_names(L, m);
    cn_lua_error(L, "the model takes %d inputs: give a list {…} or a table by name (%s)", n, lua_tostring(L, -1));
  }
  if (!cornu_model_input(m, 0, &port)) return;
  lua_pushvalue(L, arg);
  in[0] = as_input(L, lua_gettop(L), &port);
}

/* Whether each output has a name of its own: those of one dict have, those of a list with a dict in it may not. */
static bool all_named(const cornu_model *m, int n) {
  cornu_port port, other;
  for (int k = 0; k < n; k++) {
    if (!cornu_model_output(m, k, &port) || !port.key) return false;
    for (int i = 0; i < k; i++)
      if (cornu_model_output(m, i, &other) && !strcmp(port.key, other.key)) return false;
  }
  return true;
}

int cn_lua_model_outputs(lua_State *L, cornu_model *m, int n) {
  cornu_port port;
  if (n == 1 && cornu_model_output(m, 0, &port) && !port.key) return 1;
  bool named = all_named(m, n);
  lua_createtable(L, n, 0);
  lua_insert(L, -n - 1);
  for (int k = n - 1; k >= 0; k--) {
    if (named && cornu_model_output(m, k, &port)) lua_setfield(L, -k - 2, port.key);
    else lua_rawseti(L, -k - 2, k + 1);
  }
  return 1;
}

/* ---- Runs as in training ---- */

void cn_lua_caller_close(cn_lua_caller *c) {
  cornu_trainer *t = c->t;
  c->t = NULL;
  cornu_trainer_free(t);
}

bool cn_lua_training_option(lua_State *L, int i) {
  if (lua_gettop(L) > i || (lua_gettop(L) == i && !lua_isnil(L, i) && (!lua_istable(L, i) || cn_lua_rawlen(L, i) > 0)))
    cn_lua_error(L, "one argument, and options, are taken: several inputs go into a list {…}");
  if (!lua_istable(L, i)) return false;
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1))
    if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "training") != 0 || !lua_isboolean(L, -1))
      cn_lua_error(L, "the only option of a call is {training = true or false}");
  lua_getfield(L, i, "training");
  const bool training = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return training;
}

static void open_caller(lua_State *L, cornu_model *m, int arg, cn_lua_caller *c) {
  cornu_error e;
  cornu_port port;
  if (c->running) cn_lua_error(L, "the model is at another batch");
  if (c->t) return;
  if (cornu_model_input(m, 0, &port) && port.rank <= 0) { /* which tells the shape of the input */
    cn_lua_run_model(L, m, arg, NULL);
    lua_pop(L, 1);
  }
  cn_lua_state *s = cn_lua_state_of(L);
  const uint64_t seed = cn_lua_next_seed(L);
  cn_lua_frame before = cn_lua_enter(s, L);
  cornu_status status = cornu_trainer_new(m, NULL, NULL, seed, &c->t, &e);
  cn_lua_leave(s, before);
  cn_lua_check(L, status, &e);
}

int cn_lua_run_model(lua_State *L, cornu_model *m, int arg, cn_lua_caller *caller) {
  cornu_error e;
  if (caller) open_caller(L, m, arg, caller);
  cornu_tensor *few_in[FEW], *few_out[FEW], **in = few_in, **out = few_out;
  int n_in = cornu_model_inputs(m), n_out = cornu_model_outputs(m);
  if (n_in > FEW) in = lua_newuserdata(L, (size_t)n_in * sizeof *in);
  if (n_out > FEW) out = lua_newuserdata(L, (size_t)n_out * sizeof *out);
  luaL_checkstack(L, n_in + n_out + 20, "too many inputs and outputs");
  cn_lua_tensor *only = n_in == 1 ? cn_lua_test_tensor(L, arg) : NULL;
  if (only && only->t) in[0] = only->t; /* the usual case, without a detour */
  else cn_lua_model_inputs(L, m, arg, in);
  cn_lua_state *s = cn_lua_state_of(L);
  cn_lua_tensor *few_boxes[FEW], **boxes = few_boxes;
  if (n_out > FEW) boxes = lua_newuserdata(L, (size_t)n_out * sizeof *boxes);
  for (int k = 0; k < n_out; k++) {
    boxes[k] = cn_lua_new_tensor_in(L, s);
    out[k] = NULL;
  }
  cn_lua_frame before = cn_lua_enter(s, L);
  for (int k = 0; k < n_in; k++) cornu_tensor_retain(in[k]); /* a handler may close them */
  if (caller) caller->running = true;
  cornu_status status = caller ? cornu_trainer_call(caller->t, in, n_in, out, &e)
                               : cornu_model_predict(m, in, n_in, out, &e);
  if (caller) caller->running = false;
  cn_lua_leave(s, before);
  for (int k = 0; k < n_in; k++) cornu_tensor_release(in[k]);
  for (int k = 0; k < n_out && !status; k++) {
    boxes[k]->t = out[k];
    cn_lua_count_in(s, boxes[k]);
  }
  cn_lua_check(L, status, &e);
  return cn_lua_model_outputs(L, m, n_out);
}

int cn_lua_model_call(lua_State *L) {
  cornu_model *m = cn_lua_check_model(L, 1);
  int top = lua_gettop(L);
  if (top < 2 || lua_isnil(L, 2)) return cn_lua_error(L, "the model was called without input");
  const bool training = cn_lua_training_option(L, 3);
  lua_settop(L, 2);
  if (cn_lua_is_symbolic(L, 2)) {
    if (training) return cn_lua_error(L, "training = true is for runs on data, not for symbols");
    lua_getfield(L, 1, "as_layer");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return cn_lua_apply_layer(L, ((cn_lua_layer *)lua_touserdata(L, -1))->l, NULL, 2);
  }
  cn_lua_run_model(L, m, 2, training ? &((cn_lua_model *)lua_touserdata(L, 1))->caller : NULL);
  if (((cn_lua_model *)lua_touserdata(L, 1))->listed && cn_lua_test_tensor(L, -1)) {
    lua_createtable(L, 1, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
  }
  return 1;
}
