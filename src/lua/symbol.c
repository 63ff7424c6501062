/* The class cornu.symbol: a value in the graph of a model; and lists of symbols from Lua's many ways to name them. */
#include <string.h>

#include "lua/binding.h"

const char cn_lua_symbol_key = 0, cn_lua_symbol_methods = 0;
static const char tray_key = 0;

cn_lua_symbol *cn_lua_test_symbol(lua_State *L, int i) {
  return cn_lua_test(L, i, &cn_lua_symbol_key, sizeof(cn_lua_symbol));
}

static cn_lua_symbol *check_symbol(lua_State *L, int arg) {
  cn_lua_symbol *b = cn_lua_test_symbol(L, arg);
  if (!b) cn_lua_type_error(L, arg, "cornu.symbol");
  if (!b->s) cn_lua_arg_error(L, arg, "the symbol is closed");
  return b;
}

cn_lua_symbol *cn_lua_push_symbol(lua_State *L, cornu_symbol *s, cornu_model *m, const char *key) {
  cn_lua_symbol *b = cn_lua_box(L, &cn_lua_symbol_key, sizeof *b);
  b->s = cornu_symbol_retain(s);
  b->m = cornu_model_retain(m);
  b->key = key;
  return b;
}

static int close_symbol(lua_State *L) {
  cn_lua_symbol *b = cn_lua_test_symbol(L, 1);
  if (!b) return cn_lua_type_error(L, 1, "cornu.symbol");
  cornu_symbol *s = b->s;
  cornu_model *m = b->m;
  b->s = NULL;
  b->m = NULL;
  cornu_symbol_release(s);
  cornu_model_release(m);
  return 0;
}

/* ---- lists ---- */

static int free_tray(lua_State *L) {
  cn_lua_symbols *t = lua_touserdata(L, 1);
  while (t->n > 0) cornu_symbol_release(t->items[--t->n]);
  return 0;
}

cn_lua_symbols *cn_lua_symbol_tray(lua_State *L) {
  cn_lua_symbols *t = lua_newuserdata(L, sizeof *t);
  t->n = 0;
  cn_lua_registry_get(L, &tray_key);
  lua_setmetatable(L, -2);
  return t;
}

void cn_lua_tray_add(lua_State *L, cn_lua_symbols *t, cornu_symbol *s) {
  if (t->n >= CN_LUA_SYMBOLS) cn_lua_error(L, "more than %d tensors go in or come out", CN_LUA_SYMBOLS);
  t->items[t->n++] = cornu_symbol_retain(s);
}

/* Adds what the value at i names in m: a symbol, a layer, its number or its path. */
void cn_lua_tray_name(lua_State *L, cn_lua_symbols *t, cornu_model *m, int i, bool outputs) {
  cornu_error e;
  cn_lua_symbol *given = cn_lua_test_symbol(L, i);
  if (given) {
    if (!given->s) cn_lua_error(L, "the symbol is closed");
    cn_lua_tray_add(L, t, given->s);
    return;
  }
  int n = CN_LUA_SYMBOLS - t->n, call = outputs ? -1 : CORNU_EVERY_CALL;
  cornu_symbol **out = t->items + t->n;
  if (lua_type(L, i) == LUA_TSTRING)
    cn_lua_check(L, cornu_model_values(m, lua_tostring(L, i), call, outputs, out, &n, &e), &e);
  else
    cn_lua_check(L, cornu_layer_values(m, cn_lua_find_layer(L, m, i), call, outputs, out, &n, &e), &e);
  t->n += n;
}

/* ---- looking ---- */

static int get_name(lua_State *L) {
  cornu_port p;
  cornu_symbol_port(check_symbol(L, 1)->s, &p);
  lua_pushstring(L, p.name);
  return 1;
}

static int get_dtype(lua_State *L) {
  cornu_port p;
  cornu_symbol_port(check_symbol(L, 1)->s, &p);
  lua_pushstring(L, cornu_dtype_name(p.dtype));
  return 1;
}

static int get_shape(lua_State *L) {
  cornu_port p;
  cornu_symbol_port(check_symbol(L, 1)->s, &p);
  cn_lua_push_shape(L, p.rank, p.shape);
  return 1;
}

static int get_key(lua_State *L) {
  cn_lua_symbol *b = check_symbol(L, 1);
  if (b->key) lua_pushstring(L, b->key);
  else lua_pushnil(L);
  return 1;
}

static int get_layer(lua_State *L) {
  cn_lua_symbol *b = check_symbol(L, 1);
  cn_lua_push_layer(L, cornu_symbol_layer(b->s), b->m);
  return 1;
}

static int symbol_index(lua_State *L) {
  lua_settop(L, 2);
  for (int k = 1; k <= 2; k++) {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(k));
    if (lua_isnil(L, -1)) continue;
    if (k == 1) return 1;
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
  }
  lua_pushnil(L);
  return 1;
}

static int symbol_tostring(lua_State *L) {
  cornu_port p;
  char shape[160];
  cn_lua_symbol *b = cn_lua_test_symbol(L, 1);
  if (!b) return cn_lua_type_error(L, 1, "cornu.symbol");
  if (!b->s) {
    lua_pushliteral(L, "symbol (closed)");
    return 1;
  }
  cornu_symbol_port(b->s, &p);
  cn_lua_shape_text(p.rank, p.shape, shape, sizeof shape);
  lua_pushfstring(L, "symbol \"%s\" %s %s", p.name, cornu_dtype_name(p.dtype), shape);
  return 1;
}

static int same(lua_State *L) {
  cn_lua_symbol *a = cn_lua_test_symbol(L, 1), *b = cn_lua_test_symbol(L, 2);
  lua_pushboolean(L, a && b && a->s && a->s == b->s);
  return 1;
}

void cn_lua_open_symbol(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};
  static const luaL_Reg getters[] = {{"name", get_name}, {"dtype", get_dtype}, {"shape", get_shape}, {"key", get_key},
    {"layer", get_layer}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", symbol_tostring}, {"__eq", same}, {NULL, NULL}};
  static const cn_lua_class class = {.name = "cornu.symbol", .key = &cn_lua_symbol_key,
    .methods_key = &cn_lua_symbol_methods,
    .metamethods = metamethods, .methods = methods, .getters = getters,
    .index = symbol_index, .close = close_symbol};
  cn_lua_open_class(L, &class);
  lua_newtable(L);
  lua_pushcfunction(L, free_tray);
  lua_setfield(L, -2, "__gc");
  cn_lua_registry_set(L, &tray_key);
}
