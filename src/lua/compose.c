/* Composing models from Lua: layers, inputs, calls on symbols, models. The Lua part (lua/cornu/compose.lua) sorts the
 * arguments. */
#include <string.h>

#include "lua/binding.h"

/* A seed for initial weights: another one each time, the same after manual_seed. */
uint64_t cn_lua_next_seed(lua_State *L) {
  cornu_random *r = &cn_lua_state_of(L)->random;
  r->state[3] = r->state[3] * 6364136223846793005u + 1442695040888963407u;
  return r->state[3] ^ r->state[0];
}

/* new_layer(class, config) */
static int new_layer(lua_State *L) {
  cornu_error e;
  const char *class_name = cn_lua_check_string(L, 1);
  lua_settop(L, 2);
  cornu_tree *tree = cn_lua_tree(L);
  const cornu_value *config = cn_lua_to_value(L, 2, tree);
  if (cornu_value_kind(config) != CORNU_DICT || cornu_value_count(config) == 0) config = NULL;
  cn_lua_layer *b = cn_lua_new_layer(L);
  cn_lua_check(L, cornu_layer_new(class_name, config, &b->l, &e), &e);
  b->made = true;
  return 1;
}

/* new_custom_layer({[class] = handler}, config) */
static int new_custom_layer(lua_State *L) {
  cornu_error e;
  int n;
  lua_settop(L, 2);
  const cornu_custom *custom = cn_lua_customs(L, 1, &n); /* at 3 */
  if (n != 1) return cn_lua_error(L, "%d handlers: one expected, by the name of its class", n);
  cornu_tree *tree = cn_lua_tree(L);
  const cornu_value *config = cn_lua_to_value(L, 2, tree);
  if (cornu_value_kind(config) != CORNU_DICT || cornu_value_count(config) == 0) config = NULL;
  cn_lua_layer *b = cn_lua_new_layer(L);
  cn_lua_check(L, cornu_layer_new_custom(custom, config, &b->l, &e), &e);
  cn_lua_customs_taken(L, 3);
  b->made = true;
  return 1;
}

/* new_input(name or nil, dtype, shape) */
static int new_input(lua_State *L) {
  cornu_error e;
  int rank;
  int64_t shape[CORNU_MAX_RANK];
  const char *name = lua_isnil(L, 1) ? NULL : cn_lua_check_string(L, 1);
  cornu_dtype dtype = cn_lua_check_dtype(L, 2);
  if (!lua_istable(L, 3) || cn_lua_rawlen(L, 3) > CORNU_MAX_RANK)
    return cn_lua_arg_error(L, 3, "up to %d sizes expected", CORNU_MAX_RANK);
  rank = (int)cn_lua_rawlen(L, 3);
  for (int i = 0; i < rank; i++) {
    lua_rawgeti(L, 3, i + 1);
    shape[i] = cn_lua_check_int(L, lua_gettop(L));
    if (shape[i] < -1 || shape[i] == 0) return cn_lua_error(L, "size %d of the shape is %d", i + 1, (int)shape[i]);
    lua_pop(L, 1);
  }
  cn_lua_symbols *tray = cn_lua_symbol_tray(L);
  cn_lua_check(L, cornu_input_new(name, dtype, rank, shape, &tray->items[0], &e), &e);
  tray->n = 1;
  cn_lua_push_symbol(L, tray->items[0], NULL, NULL);
  return 1;
}

/* The symbols of the list at i, in a tray that is pushed; what: "input" */
static cn_lua_symbols *check_symbols(lua_State *L, int i, const char *what) {
  cn_lua_symbols *tray = cn_lua_symbol_tray(L);
  bool list = lua_istable(L, i);
  int n = list ? (int)cn_lua_rawlen(L, i) : 1;
  for (int k = 0; k < n; k++) {
    if (list) lua_rawgeti(L, i, k + 1);
    else lua_pushvalue(L, i);
    cn_lua_symbol *s = cn_lua_test_symbol(L, -1);
    if (!s) cn_lua_error(L, "%s %d is a %s: a symbol expected, as cornu.Input and layers on it give", what, k + 1,
                         cn_lua_kind(L, -1));
    if (!s->s) cn_lua_error(L, "%s %d: the symbol is closed", what, k + 1);
    cn_lua_tray_add(L, tray, s->s);
    lua_pop(L, 1);
  }
  return tray;
}

/* The names of the list at i (nil: none), in an array that is pushed. */
static const char **check_keys(lua_State *L, int i) {
  if (lua_isnil(L, i)) {
    lua_pushnil(L);
    return NULL;
  }
  if (!lua_istable(L, i)) cn_lua_type_error(L, i, "list of names");
  int n = (int)cn_lua_rawlen(L, i);
  const char **keys = lua_newuserdata(L, ((size_t)n + 1) * sizeof *keys);
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, i, k + 1);
    keys[k] = cn_lua_check_string(L, lua_gettop(L));
    lua_pop(L, 1); /* the table keeps it */
  }
  return keys;
}

/* new_model(name, inputs, keys or nil, outputs, keys or nil) */
static int new_model(lua_State *L) {
  cornu_error e;
  lua_settop(L, 5);
  const char *name = cn_lua_check_string(L, 1);
  cn_lua_symbols *in = check_symbols(L, 2, "input"), *out = check_symbols(L, 4, "output");
  const char **in_keys = check_keys(L, 3), **out_keys = check_keys(L, 5);
  cn_lua_model *b = cn_lua_new_model(L);
  cn_lua_check(L, cornu_model_new(name, in->items, in_keys, in->n, out->items, out_keys, out->n, &b->m, &e), &e);
  return 1;
}

/* sequential(name, layers, symbol or nil) */
static int sequential(lua_State *L) {
  cornu_error e;
  const char *name = cn_lua_check_string(L, 1);
  lua_settop(L, 3);
  if (!lua_istable(L, 2)) return cn_lua_type_error(L, 2, "list of layers");
  int n = (int)cn_lua_rawlen(L, 2);
  cornu_layer **layers = lua_newuserdata(L, ((size_t)n + 1) * sizeof *layers);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 2, i + 1);
    cn_lua_layer *b = cn_lua_test_layer(L, -1);
    if (!b || !b->l) return cn_lua_error(L, "layer %d is a %s: a layer or a model expected", i + 1, cn_lua_kind(L, -1));
    layers[i] = b->l;
    lua_pop(L, 1);
  }
  cn_lua_symbols *input = lua_isnil(L, 3) ? NULL : check_symbols(L, 3, "input");
  cn_lua_model *b = cn_lua_new_model(L);
  cn_lua_state *s = cn_lua_state_of(L);
  cn_lua_frame before = cn_lua_enter(s, L);
  cornu_status status = cornu_model_sequential(name, layers, n, input ? input->items[0] : NULL, cn_lua_next_seed(L), &b->m, &e);
  cn_lua_leave(s, before);
  cn_lua_check(L, status, &e);
  return 1;
}

/* rewire(model, before, after, name or nil) */
static int rewire(lua_State *L) {
  cornu_error e;
  cornu_model *m = cn_lua_check_model(L, 1);
  lua_settop(L, 4);
  const char *name = lua_isnil(L, 4) ? NULL : cn_lua_check_string(L, 4);
  cn_lua_symbols *old = check_symbols(L, 2, "value"), *new = check_symbols(L, 3, "new value");
  if (old->n != new->n) return cn_lua_error(L, "%d values take the place of %d", new->n, old->n);
  cn_lua_model *b = cn_lua_new_model(L);
  cn_lua_state *s = cn_lua_state_of(L);
  cn_lua_frame before = cn_lua_enter(s, L);
  cornu_status status = cornu_model_rewire(m, old->items, new->items, old->n, name, &b->m, &e);
  cn_lua_leave(s, before);
  cn_lua_check(L, status, &e);
  return 1;
}

/* become(model, other): the model's object stands for the other model from now on */
static int become(lua_State *L) {
  cn_lua_check_model(L, 1);
  cornu_model *m = cornu_model_retain(cn_lua_check_model(L, 2));
  cn_lua_model *b = lua_touserdata(L, 1);
  cornu_layer *as_layer = b->layer;
  cornu_model *old = b->m;
  b->m = m;
  b->layer = NULL;
  cn_lua_caller_close(&b->caller);
  cornu_layer_release(as_layer);
  cornu_model_release(old);
  lua_settop(L, 1);
  return 1;
}

/* model:as_layer() */
static int as_layer(lua_State *L) {
  cornu_error e;
  cornu_model *m = cn_lua_check_model(L, 1);
  cn_lua_model *b = lua_touserdata(L, 1);
  if (!b->layer) cn_lua_check(L, cornu_model_as_layer(m, &b->layer, &e), &e);
  cn_lua_push_layer(L, b->layer, NULL);
  ((cn_lua_layer *)lua_touserdata(L, -1))->made = true;
  return 1;
}

/* model:clone([name]) */
static int clone(lua_State *L) {
  cornu_error e;
  cornu_model *m = cn_lua_check_model(L, 1);
  const char *name = lua_isnoneornil(L, 2) ? NULL : cn_lua_check_string(L, 2);
  cn_lua_model *b = cn_lua_new_model(L);
  cn_lua_state *s = cn_lua_state_of(L);
  cn_lua_frame before = cn_lua_enter(s, L);
  cornu_status status = cornu_model_clone(m, name, &b->m, &e);
  cn_lua_leave(s, before);
  cn_lua_check(L, status, &e);
  return 1;
}

bool cn_lua_is_symbolic(lua_State *L, int i) {
  if (cn_lua_test_symbol(L, i)) return true;
  if (!lua_istable(L, i)) return false;
  lua_rawgeti(L, i, 1);
  bool symbolic = cn_lua_test_symbol(L, -1) != NULL;
  lua_pop(L, 1);
  return symbolic;
}

int cn_lua_apply_layer(lua_State *L, cornu_layer *l, cornu_model *m, int arg) {
  cornu_error e;
  cn_lua_symbols *in = check_symbols(L, arg, "input"), *out = cn_lua_symbol_tray(L);
  int n = CN_LUA_SYMBOLS;
  cn_lua_state *s = cn_lua_state_of(L);
  cn_lua_frame before = cn_lua_enter(s, L);
  cornu_status status = cornu_layer_apply(l, in->items, in->n, cn_lua_next_seed(L), out->items, &n, &e);
  cn_lua_leave(s, before);
  cn_lua_check(L, status, &e);
  out->n = n;
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    cn_lua_push_symbol(L, out->items[i], m, NULL);
    lua_rawseti(L, -2, i + 1);
  }
  if (n == 1) lua_rawgeti(L, -1, 1);
  return 1;
}

/* A symbol like each tensor of the argument, with any batch. */
static cn_lua_symbols *symbols_like(lua_State *L, int arg) {
  cornu_error e;
  cn_lua_symbols *tray = cn_lua_symbol_tray(L);
  cn_lua_tensor *one = cn_lua_test_tensor(L, arg);
  int n = one ? 1 : lua_istable(L, arg) ? (int)cn_lua_rawlen(L, arg) : 0;
  for (int i = 0; i < n; i++) {
    if (one) lua_pushvalue(L, arg);
    else lua_rawgeti(L, arg, i + 1);
    const cornu_tensor *t = cn_lua_check_tensor(L, lua_gettop(L));
    int64_t shape[CORNU_MAX_RANK];
    int rank = cornu_tensor_rank(t);
    for (int k = 0; k < rank; k++) shape[k] = k ? cornu_tensor_shape(t)[k] : -1;
    cn_lua_check(L, cornu_input_new(NULL, cornu_tensor_dtype(t), rank, shape, &tray->items[i], &e), &e);
    tray->n++;
    lua_pop(L, 1);
  }
  if (n == 0) cn_lua_error(L, "a tensor, or a list of tensors, expected");
  return tray;
}

void cn_lua_layer_alone(lua_State *L, cn_lua_layer *b, int arg) {
  cornu_error e;
  cn_lua_symbols *in = symbols_like(L, arg), *out = cn_lua_symbol_tray(L);
  int n = CN_LUA_SYMBOLS;
  cn_lua_check(L, cornu_layer_apply(b->l, in->items, in->n, cn_lua_next_seed(L), out->items, &n, &e), &e);
  out->n = n;
  cn_lua_check(L, cornu_model_new(cornu_layer_name(b->l), in->items, NULL, in->n, out->items, NULL, n, &b->alone, &e),
               &e);
}

const luaL_Reg cn_lua_compose_functions[] = {
  {"new_layer", new_layer}, {"new_custom_layer", new_custom_layer}, {"new_input", new_input},
  {"new_model", new_model}, {"new_sequential", sequential},
  {"rewire", rewire}, {"become", become}, {NULL, NULL}};
const luaL_Reg cn_lua_compose_methods[] = {{"as_layer", as_layer}, {"clone", clone}, {NULL, NULL}};
