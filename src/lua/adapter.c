/* The class cornu.adapter, which layer:adapt uses; vocabularies of layers. */
#include "lua/binding.h"

const char cn_lua_adapter_key = 0, cn_lua_adapter_methods = 0;

typedef struct adapter_box { const void *tag; cornu_adapter *a; } adapter_box;

static adapter_box *check_adapter(lua_State *L) {
  adapter_box *b = cn_lua_test(L, 1, &cn_lua_adapter_key, sizeof *b);
  if (!b) cn_lua_type_error(L, 1, "cornu.adapter");
  if (!b->a) cn_lua_arg_error(L, 1, "the adapter is closed");
  return b;
}

static int close_adapter(lua_State *L) {
  adapter_box *b = cn_lua_test(L, 1, &cn_lua_adapter_key, sizeof *b);
  if (!b) return cn_lua_type_error(L, 1, "cornu.adapter");
  cornu_adapter *a = b->a;
  b->a = NULL;
  cornu_adapter_free(a);
  return 0;
}

/* adapter:see(t) */
static int see(lua_State *L) {
  cornu_error e;
  adapter_box *b = check_adapter(L);
  cn_lua_check(L, cornu_adapter_see(b->a, cn_lua_check_data(L, 2), &e), &e);
  return 0;
}

/* adapter:finish() */
static int finish(lua_State *L) {
  cornu_error e;
  cn_lua_check(L, cornu_adapter_finish(check_adapter(L)->a, &e), &e);
  return close_adapter(L);
}

static cornu_layer *check_layer(lua_State *L) {
  cn_lua_layer *b = cn_lua_test_layer(L, 1);
  if (!b) cn_lua_type_error(L, 1, "cornu.layer");
  if (!b->l) cn_lua_arg_error(L, 1, "the layer is closed");
  return b->l;
}

/* adapter(layer) */
static int adapter(lua_State *L) {
  cornu_error e;
  cornu_layer *l = check_layer(L);
  adapter_box *b = cn_lua_box(L, &cn_lua_adapter_key, sizeof *b);
  cn_lua_check(L, cornu_adapter_new(l, &b->a, &e), &e);
  return 1;
}

/* vocabulary(layer, special): a tensor */
static int vocabulary(lua_State *L) {
  cornu_error e;
  cornu_layer *l = check_layer(L);
  bool special = cn_lua_opt_bool(L, 2, true);
  cn_lua_tensor *b = cn_lua_new_tensor(L);
  cn_lua_check(L, cornu_layer_vocabulary(l, special, &b->t, &e), &e);
  cn_lua_count(L, b);
  return 1;
}

/* set_vocabulary(layer, words [, weights]) */
static int set_vocabulary(lua_State *L) {
  cornu_error e;
  cornu_layer *l = check_layer(L);
  lua_settop(L, 3);
  cornu_tree *tree = cn_lua_tree(L);
  const cornu_value *words = cn_lua_to_value(L, 2, tree), *weights = NULL;
  if (!lua_isnil(L, 3)) weights = cn_lua_to_value(L, 3, tree);
  cn_lua_check(L, cornu_layer_set_vocabulary(l, words, weights, &e), &e);
  return 0;
}

static int index(lua_State *L) {
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

void cn_lua_open_adapter(lua_State *L) {
  static const luaL_Reg methods[] = {{"see", see}, {"finish", finish}, {NULL, NULL}}, none[] = {{NULL, NULL}};
  static const cn_lua_class class = {.name = "cornu.adapter", .key = &cn_lua_adapter_key,
    .methods_key = &cn_lua_adapter_methods, .metamethods = none, .methods = methods, .index = index,
    .close = close_adapter, .in_use = true};
  cn_lua_open_class(L, &class);
}

const luaL_Reg cn_lua_adapter_functions[] = {
  {"adapter", adapter}, {"vocabulary", vocabulary}, {"set_vocabulary", set_vocabulary}, {NULL, NULL}};
