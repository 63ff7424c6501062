/* The class cornu.layer: one Keras layer of a model. */
#include <string.h>

#include "lua/binding.h"

const char cn_lua_layer_key = 0, cn_lua_layer_methods = 0;

cn_lua_layer *cn_lua_test_layer(lua_State *L, int i) {
  return cn_lua_test(L, i, &cn_lua_layer_key, sizeof(cn_lua_layer));
}

static cn_lua_layer *check_layer(lua_State *L, int arg) {
  cn_lua_layer *b = cn_lua_test_layer(L, arg);
  if (!b) cn_lua_type_error(L, arg, "cornu.layer");
  if (!b->l) cn_lua_arg_error(L, arg, "the layer is closed");
  return b;
}

cn_lua_layer *cn_lua_new_layer(lua_State *L) { return cn_lua_box(L, &cn_lua_layer_key, sizeof(cn_lua_layer)); }

void cn_lua_push_layer(lua_State *L, cornu_layer *l, cornu_model *m) {
  if (!l) {
    lua_pushnil(L);
    return;
  }
  cn_lua_layer *b = cn_lua_new_layer(L);
  b->l = cornu_layer_retain(l);
  b->m = m ? cornu_model_retain(m) : NULL;
}

static int close_layer(lua_State *L) {
  cn_lua_layer *b = cn_lua_test_layer(L, 1);
  if (!b) return cn_lua_type_error(L, 1, "cornu.layer");
  cornu_model *alone = b->alone, *m = b->m;
  cornu_layer *l = b->l;
  b->alone = b->m = NULL;
  b->l = NULL;
  cn_lua_caller_close(&b->caller);
  cornu_model_release(alone);
  cornu_layer_release(l);
  cornu_model_release(m);
  return 0;
}

/* ---- weights ---- */

static int weights(lua_State *L) {
  cornu_error e;
  cornu_layer *l = check_layer(L, 1)->l;
  int n = cornu_layer_weights(l);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    cn_lua_tensor *b = cn_lua_new_tensor(L);
    cn_lua_check(L, cornu_layer_weight_symbol(l, i, &b->t, &e), &e);
    if (!b->t) b->t = cornu_tensor_retain(cornu_layer_weight(l, i)); /* the model's memory: not counted as this state's */
    b->read_only = true;
    if (!b->t)
      return cn_lua_error(L, "weight \"%s\" of layer \"%s\" has no value yet", cornu_layer_weight_name(l, i),
                          cornu_layer_name(l));
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int weight_names(lua_State *L) {
  cornu_layer *l = check_layer(L, 1)->l;
  int n = cornu_layer_weights(l);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, cornu_layer_weight_name(l, i));
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* The tensors or tables of the list in argument 2; they and the array stay on the stack. what: "weight" */
static cornu_tensor **check_tensors(lua_State *L, const char *what, int *n) {
  if (!lua_istable(L, 2)) cn_lua_type_error(L, 2, "list of tensors");
  *n = (int)cn_lua_rawlen(L, 2);
  luaL_checkstack(L, *n + 20, "too many tensors");
  cornu_tensor **list = lua_newuserdata(L, ((size_t)*n + 1) * sizeof *list);
  for (int i = 0; i < *n; i++) {
    lua_rawgeti(L, 2, i + 1);
    if (!cn_lua_test_tensor(L, -1) && !lua_istable(L, -1) && lua_type(L, -1) != LUA_TNUMBER)
      cn_lua_error(L, "%s %d is a %s: a tensor expected", what, i + 1, cn_lua_kind(L, -1));
    list[i] = cn_lua_to_tensor(L, -1, NULL);
  }
  return list;
}

/* layer:set_weights{…}: tensors or tables in the order of layer:weights() */
static int set_weights(lua_State *L) {
  cornu_error e;
  int n;
  cornu_layer *l = check_layer(L, 1)->l;
  cornu_tensor **list = check_tensors(L, "weight", &n);
  cn_lua_check(L, cornu_layer_set_weights(l, list, n, &e), &e);
  lua_settop(L, 1);
  return 1;
}

/* layer:states(): what a stateful layer keeps for its next run */
static int states(lua_State *L) {
  cornu_layer *l = check_layer(L, 1)->l;
  int n = cornu_layer_states(l);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    cornu_tensor *t = cornu_layer_state(l, i);
    if (!t) continue;
    cn_lua_push_tensor(L, t);
    cornu_tensor_release(t);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* layer:reset_states([{…}]): zeros, or these */
static int reset_states(lua_State *L) {
  cornu_error e;
  int n;
  cornu_layer *l = check_layer(L, 1)->l;
  if (lua_isnoneornil(L, 2)) {
    cornu_layer_reset_states(l);
  } else {
    cornu_tensor **list = check_tensors(L, "state", &n);
    cn_lua_check(L, cornu_layer_set_states(l, list, n, &e), &e);
  }
  lua_settop(L, 1);
  return 1;
}

/* layer:add_weight(name, shape [, trainable or {trainable =, initializer =, regularizer =, constraint =}]): in a handler's
 * build */
static int add_weight(lua_State *L) {
  cornu_error e;
  int rank;
  int64_t shape[CORNU_MAX_RANK];
  bool trainable = true;
  const cornu_value *parts = NULL;
  cornu_layer *l = check_layer(L, 1)->l;
  const char *name = cn_lua_check_string(L, 2);
  if (!lua_istable(L, 3)) cn_lua_type_error(L, 3, "table of sizes");
  cn_lua_check_shape(L, 3, &rank, shape);
  lua_settop(L, 4);
  if (lua_istable(L, 4)) {
    lua_getfield(L, 4, "trainable");
    trainable = lua_isnil(L, -1) || lua_toboolean(L, -1);
    parts = cn_lua_to_value(L, 4, cn_lua_tree(L));
  } else {
    trainable = cn_lua_opt_bool(L, 4, true);
  }
  cn_lua_check(L, cornu_layer_add_weight(l, name, rank, shape, trainable, parts, &e), &e);
  lua_settop(L, 1);
  return 1;
}

/* layer:add_loss(t): in a handler's call */
static int add_loss(lua_State *L) {
  cornu_error e;
  cornu_layer *l = check_layer(L, 1)->l;
  cornu_tensor *t = cn_lua_to_tensor(L, 2, NULL);
  cn_lua_check(L, cornu_layer_add_loss(l, t, &e), &e);
  lua_settop(L, 1);
  return 1;
}

static int in_training(lua_State *L) {
  lua_pushboolean(L, cornu_layer_in_training(check_layer(L, 1)->l));
  return 1;
}

static int count_params(lua_State *L) {
  cornu_layer *l = check_layer(L, 1)->l;
  int64_t total = 0;
  for (int i = 0, n = cornu_layer_weights(l); i < n; i++) {
    cornu_tensor *t = cornu_layer_weight(l, i);
    if (t) total += cornu_tensor_size(t);
  }
  cn_lua_push_int(L, total);
  return 1;
}

/* ---- calls ---- */

/* What goes into, or comes out of, call i of the layer (1): a symbol, or a list when there are several. */
static int values(lua_State *L, bool outputs) {
  cornu_error e;
  cn_lua_layer *b = check_layer(L, 1);
  int64_t call = lua_isnoneornil(L, 2) ? 1 : cn_lua_check_int(L, 2);
  if (!b->m)
    return cn_lua_error(L, "layer \"%s\" belongs to no model yet", cornu_layer_name(b->l));
  if (call == 0 || call < -INT32_MAX || call > INT32_MAX) return cn_lua_error(L, "calls of a layer count from 1");
  cn_lua_symbols *tray = cn_lua_symbol_tray(L);
  int n = CN_LUA_SYMBOLS;
  cn_lua_check(L, cornu_layer_values(b->m, b->l, (int)(call > 0 ? call - 1 : call), outputs, tray->items, &n, &e), &e);
  tray->n = n;
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    cn_lua_push_symbol(L, tray->items[i], b->m, NULL);
    lua_rawseti(L, -2, i + 1);
  }
  if (n == 1) lua_rawgeti(L, -1, 1);
  return 1;
}

static int input(lua_State *L) { return values(L, false); }
static int output(lua_State *L) { return values(L, true); }

static int calls(lua_State *L) {
  cn_lua_layer *b = check_layer(L, 1);
  lua_pushinteger(L, b->m ? cornu_layer_calls(b->m, b->l) : 0);
  return 1;
}

/* layer(x [, {training =}]): on symbols, another call of the layer; on data, the layer alone, as a slice of its model that is made once
 */
static int call(lua_State *L) {
  cornu_error e;
  cn_lua_layer *b = check_layer(L, 1);
  const bool training = cn_lua_training_option(L, 3);
  if (lua_gettop(L) < 2) return cn_lua_error(L, "the layer was called without input");
  if (training && cn_lua_is_symbolic(L, 2)) return cn_lua_error(L, "training = true is for runs on data, not for symbols");
  lua_settop(L, 2);
  if (cn_lua_is_symbolic(L, 2)) return cn_lua_apply_layer(L, b->l, b->m, 2);
  if (!b->m && !b->made)
    return cn_lua_error(L, "layer \"%s\" belongs to no model yet: it cannot run alone", cornu_layer_name(b->l));
  if (!b->alone && !b->m) cn_lua_layer_alone(L, b, 2);
  if (!b->alone) {
    cn_lua_state *s = cn_lua_state_of(L);
    cn_lua_frame before = cn_lua_enter(s, L);
    cornu_status status = cornu_model_slice(b->m, &b->l, 1, &b->l, 1, &b->alone, &e);
    cn_lua_leave(s, before);
    cn_lua_check(L, status, &e);
  }
  return cn_lua_run_model(L, b->alone, 2, training ? &b->caller : NULL);
}

/* ---- fields ---- */

static int get_name(lua_State *L) {
  lua_pushstring(L, cornu_layer_name(check_layer(L, 1)->l));
  return 1;
}

static int get_class_name(lua_State *L) {
  lua_pushstring(L, cornu_layer_class(check_layer(L, 1)->l));
  return 1;
}

static int get_config(lua_State *L) {
  cn_lua_push_value(L, cornu_layer_config(check_layer(L, 1)->l));
  return 1;
}

static int get_trainable(lua_State *L) {
  lua_pushboolean(L, cornu_layer_trainable(check_layer(L, 1)->l));
  return 1;
}

static int get_model(lua_State *L) { /* of a nested model; else nil */
  cornu_model *m = cornu_layer_model(check_layer(L, 1)->l);
  if (!m) {
    lua_pushnil(L);
    return 1;
  }
  cn_lua_push_model(L, m);
  cn_lua_model *b = lua_touserdata(L, -1);
  b->layer = cornu_layer_retain(check_layer(L, 1)->l);
  return 1;
}

static int count_trainable(lua_State *L) {
  lua_pushinteger(L, cornu_layer_trainable_weights(check_layer(L, 1)->l));
  return 1;
}

static int rename_layer(lua_State *L) {
  cornu_error e;
  cn_lua_layer *b = check_layer(L, 1);
  cn_lua_check(L, cornu_layer_rename(b->l, b->m, cn_lua_check_string(L, 2), &e), &e);
  lua_settop(L, 1);
  return 1;
}

/* layer.name = "x", layer.trainable = false */
static int layer_newindex(lua_State *L) {
  cornu_error e;
  cn_lua_layer *b = check_layer(L, 1);
  const char *field = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (!strcmp(field, "name")) {
    if (lua_type(L, 3) != LUA_TSTRING) return cn_lua_error(L, "a name is text, not a %s", cn_lua_kind(L, 3));
    cn_lua_check(L, cornu_layer_rename(b->l, b->m, lua_tostring(L, 3), &e), &e);
  } else if (!strcmp(field, "trainable")) {
    if (!lua_isboolean(L, 3)) return cn_lua_error(L, "trainable is true or false, not a %s", cn_lua_kind(L, 3));
    cn_lua_check(L, cornu_layer_set_trainable(b->l, lua_toboolean(L, 3), &e), &e);
  } else {
    return cn_lua_error(L, "field \"%s\" of a layer cannot be set (name and trainable can)", field);
  }
  return 0;
}

static int layer_index(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  if (!lua_isnil(L, -1)) return 1;
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  if (lua_isnil(L, -1)) return 1;
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static int layer_tostring(lua_State *L) {
  cn_lua_layer *b = cn_lua_test_layer(L, 1);
  if (!b) return cn_lua_type_error(L, 1, "cornu.layer");
  if (b->l) lua_pushfstring(L, "layer \"%s\" (%s)", cornu_layer_name(b->l), cornu_layer_class(b->l));
  else lua_pushliteral(L, "layer (closed)");
  return 1;
}

static int length(lua_State *L) { /* weights */
  lua_pushinteger(L, cornu_layer_weights(check_layer(L, 1)->l));
  return 1;
}

static int same(lua_State *L) {
  cn_lua_layer *a = cn_lua_test_layer(L, 1), *b = cn_lua_test_layer(L, 2);
  lua_pushboolean(L, a && b && a->l && a->l == b->l);
  return 1;
}

void cn_lua_open_layer(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"weights", weights}, {"weight_names", weight_names}, {"set_weights", set_weights}, {"add_weight", add_weight},
    {"add_loss", add_loss}, {"in_training", in_training},
    {"count_params", count_params}, {"input", input}, {"output", output}, {"calls", calls},
    {"states", states}, {"reset_states", reset_states}, {"rename", rename_layer}, {"count_trainable", count_trainable},
    {NULL, NULL}};
  static const luaL_Reg getters[] = {
    {"name", get_name}, {"class_name", get_class_name}, {"config", get_config}, {"trainable", get_trainable},
    {"model", get_model}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
    {"__len", length}, {"__tostring", layer_tostring}, {"__call", call}, {"__eq", same},
    {"__newindex", layer_newindex}, {NULL, NULL}};
  static const cn_lua_class class = {.name = "cornu.layer", .key = &cn_lua_layer_key,
    .methods_key = &cn_lua_layer_methods,
    .metamethods = metamethods, .methods = methods, .getters = getters,
    .index = layer_index, .close = close_layer, .in_use = true};
  cn_lua_open_class(L, &class);
}
