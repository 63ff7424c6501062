/* Saving models. */
#include <string.h>

#include "lua/binding.h"

/* The arrays at index i of the stack, a list, as C has them; borrowed from the list, which stays. */
static cornu_tensor **tensor_list(lua_State *L, int i, int n) {
  cornu_tensor **list = lua_newuserdata(L, ((size_t)n + 1) * sizeof *list);
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, i, k + 1);
    list[k] = cn_lua_check_data(L, lua_gettop(L));
    lua_pop(L, 1);
  }
  return list;
}

static const char **name_list(lua_State *L, int i, int n) {
  const char **list = lua_newuserdata(L, ((size_t)n + 1) * sizeof *list);
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, i, k + 1);
    list[k] = cn_lua_check_string(L, lua_gettop(L));
    lua_pop(L, 1);
  }
  return list;
}

/* save_model(model, path, weights, {keras =, training_config =, optimizer_names =, optimizer_arrays =}) */
static int save_model(lua_State *L) {
  cornu_error e;
  cornu_model *m = cn_lua_check_model(L, 1);
  const char *path = cn_lua_check_string(L, 2);
  bool weights = lua_toboolean(L, 3);
  cornu_save_options o = {.struct_size = sizeof o};
  if (!lua_istable(L, 4)) cn_lua_type_error(L, 4, "table");
  lua_getfield(L, 4, "keras");
  if (!lua_isnil(L, -1)) o.keras = (int)cn_lua_check_int(L, lua_gettop(L));
  cornu_tree *tree = cn_lua_tree(L);
  lua_getfield(L, 4, "training_config");
  if (!lua_isnil(L, -1)) o.training_config = cn_lua_to_value(L, lua_gettop(L), tree);
  lua_getfield(L, 4, "optimizer_names");
  if (lua_istable(L, -1)) {
    int names = lua_gettop(L);
    o.n_optimizer = (int)cn_lua_rawlen(L, names);
    lua_getfield(L, 4, "optimizer_arrays");
    if (!lua_istable(L, -1) || (int)cn_lua_rawlen(L, -1) != o.n_optimizer)
      return cn_lua_error(L, "optimizer_names and optimizer_arrays are lists of one length");
    int arrays = lua_gettop(L);
    o.optimizer_names = name_list(L, names, o.n_optimizer);
    o.optimizer_arrays = tensor_list(L, arrays, o.n_optimizer);
  }
  cn_lua_check(L, weights ? cornu_model_save_weights(m, path, &o, &e) : cornu_model_save(m, path, &o, &e), &e);
  return 0;
}

/* model_json(model, keras, indent) → text */
static int model_json(lua_State *L) {
  cornu_error e;
  cornu_model *m = cn_lua_check_model(L, 1);
  int keras = lua_isnoneornil(L, 2) ? 0 : (int)cn_lua_check_int(L, 2);
  int indent = lua_isnoneornil(L, 3) ? 0 : (int)cn_lua_check_int(L, 3);
  char **text = cn_lua_text(L);
  cn_lua_check(L, cornu_model_to_json(m, keras, indent, text, &e), &e);
  cn_lua_push_text(L);
  return 1;
}

static int model_keras(lua_State *L) {
  lua_pushinteger(L, cornu_model_keras(cn_lua_check_model(L, 1)));
  return 1;
}

const luaL_Reg cn_lua_save_functions[] = {
    {"save_model", save_model}, {"model_json", model_json}, {"model_keras", model_keras}, {NULL, NULL}};
