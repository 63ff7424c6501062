/* The class cornu.model: loading, looking, slicing. */
#include <string.h>

#include "lua/binding.h"

const char cn_lua_model_key = 0, cn_lua_model_methods = 0;

cn_lua_model *cn_lua_new_model(lua_State *L) { return cn_lua_box(L, &cn_lua_model_key, sizeof(cn_lua_model)); }

static cn_lua_model *test_model(lua_State *L, int i) {
  return cn_lua_test(L, i, &cn_lua_model_key, sizeof(cn_lua_model));
}

cornu_model *cn_lua_check_model(lua_State *L, int arg) {
  cn_lua_model *b = test_model(L, arg);
  if (!b) cn_lua_type_error(L, arg, "cornu.model");
  if (!b->m) cn_lua_arg_error(L, arg, "the model is closed");
  return b->m;
}

void cn_lua_push_model(lua_State *L, cornu_model *m) {
  cn_lua_model *b = cn_lua_new_model(L);
  b->m = cornu_model_retain(m);
}

static int close_model(lua_State *L) {
  cn_lua_model *b = test_model(L, 1);
  if (!b) return cn_lua_type_error(L, 1, "cornu.model");
  cornu_model *m = b->m;
  cornu_layer *layer = b->layer;
  b->m = NULL;
  b->layer = NULL;
  cn_lua_caller_close(&b->caller);
  cornu_layer_release(layer);
  cornu_model_release(m);
  return 0;
}

/* ---- loading ---- */

static const char *option_string(lua_State *L, int table, const char *key) { /* borrowed from the table; NULL: nil */
  lua_getfield(L, table, key);
  if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING)
    cn_lua_error(L, "option \"%s\" is a %s: a string expected", key, cn_lua_kind(L, -1));
  const char *s = lua_tostring(L, -1);
  lua_pop(L, 1);
  return s;
}

static bool option_bool(lua_State *L, int table, const char *key) {
  lua_getfield(L, table, key);
  if (!lua_isnil(L, -1) && !lua_isboolean(L, -1))
    cn_lua_error(L, "option \"%s\" is a %s: a boolean expected", key, cn_lua_kind(L, -1));
  bool b = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return b;
}

/* Fills `o` from the table at i (nil: standard). Pushes one value that keeps the handlers. */
static void load_options(lua_State *L, int i, cornu_load_options *o) {
  memset(o, 0, sizeof *o);
  o->struct_size = sizeof *o;
  if (lua_isnoneornil(L, i)) {
    lua_pushnil(L);
    return;
  }
  if (!lua_istable(L, i)) cn_lua_type_error(L, i, "table of options");
  o->by_name = option_bool(L, i, "by_name");
  o->skip_mismatch = option_bool(L, i, "skip_mismatch");
  o->trusted = option_bool(L, i, "trusted");
  o->exact = option_bool(L, i, "exact");
  o->backend = option_string(L, i, "backend");
  o->data_format = option_string(L, i, "data_format");
  lua_getfield(L, i, "seed");
  int64_t seed = 0;
  if (!lua_isnil(L, -1) && !cn_lua_whole(L, -1, &seed)) cn_lua_error(L, "option \"seed\" is not a whole number");
  o->seed = (uint64_t)seed;
  lua_pop(L, 1);
  lua_getfield(L, i, "custom_objects");
  o->custom = cn_lua_customs(L, lua_gettop(L), &o->n_custom);
  lua_remove(L, -2);
}

bool cn_lua_given_file(lua_State *L, int arg, cornu_source *out) {
  *out = (cornu_source){.struct_size = sizeof *out};
  if (!lua_istable(L, arg)) return false;
  lua_getfield(L, arg, "name");
  lua_getfield(L, arg, "data");
  out->name = luaL_checkstring(L, -2);
  out->data = luaL_checklstring(L, -1, &out->size);
  lua_pop(L, 2);
  return true;
}

/* core.load(file, weights or nil, options or nil): the Lua part sorts the arguments. Both are paths, or both
 * {name =, data =} */
static int load(lua_State *L) {
  cornu_error e;
  cornu_load_options o;
  cornu_source source, other;
  const bool given = cn_lua_given_file(L, 1, &source), both = cn_lua_given_file(L, 2, &other);
  const char *path = given ? source.name : cn_lua_check_string(L, 1);
  const char *weights = lua_isnoneornil(L, 2) || given ? NULL : cn_lua_check_string(L, 2);
  lua_settop(L, 3);
  load_options(L, 3, &o);
  cn_lua_model *b = cn_lua_new_model(L);
  cn_lua_state *s = cn_lua_state_of(L);
  cn_lua_frame before = cn_lua_enter(s, L);
  cornu_status status = given ? cornu_model_load_source(&source, both ? &other : NULL, &o, &b->m, &e)
                              : cornu_model_load(path, weights, &o, &b->m, &e);
  cn_lua_leave(s, before);
  cn_lua_check(L, status, &e);
  cn_lua_customs_taken(L, 4);
  return 1;
}

static int load_weights(lua_State *L) {
  cornu_error e;
  cornu_load_options o;
  cornu_source source;
  cornu_model *m = cn_lua_check_model(L, 1);
  const bool given = cn_lua_given_file(L, 2, &source);
  const char *path = given ? source.name : cn_lua_check_string(L, 2);
  lua_settop(L, 3);
  load_options(L, 3, &o);
  cn_lua_state *s = cn_lua_state_of(L);
  cn_lua_frame before = cn_lua_enter(s, L);
  cornu_status status = given ? cornu_model_load_weights_source(m, &source, &o, &e)
                              : cornu_model_load_weights(m, path, &o, &e);
  cn_lua_leave(s, before);
  cn_lua_check(L, status, &e);
  lua_settop(L, 1);
  return 1;
}

static int check_modeltype(lua_State *L) {
  cornu_error e;
  const char *type = NULL;
  cn_lua_check(L, cornu_check_modeltype(cn_lua_check_string(L, 1), &type, &e), &e);
  lua_pushstring(L, type);
  return 1;
}

const luaL_Reg cn_lua_model_functions[] = {{"load", load}, {"check_modeltype", check_modeltype}, {NULL, NULL}};

/* ---- layers ---- */

/* The number at i as a 0-based place among n layers. */
static int layer_place(lua_State *L, int i, int n) {
  int64_t k = cn_lua_check_int(L, i);
  if (k == 0 || k > n || k < -n)
    cn_lua_error(L, k == 0 ? "layer %d: layers count from 1" : "no layer %d: the model has %d layers", (int)k, n);
  return (int)(k > 0 ? k - 1 : n + k);
}

cornu_layer *cn_lua_find_layer(lua_State *L, cornu_model *m, int i) {
  if (lua_type(L, i) == LUA_TNUMBER) return cornu_model_layer(m, layer_place(L, i, cornu_model_layers(m)));
  cn_lua_layer *b = cn_lua_test_layer(L, i);
  if (b && !b->l) cn_lua_error(L, "the layer is closed");
  if (b) return b->l;
  if (lua_type(L, i) != LUA_TSTRING)
    cn_lua_error(L, "a %s is no layer: a name, a number or a layer expected", cn_lua_kind(L, i));
  cornu_layer *l = cornu_model_layer_named(m, lua_tostring(L, i));
  if (!l)
    cn_lua_error(L, "no layer \"%s\" in model \"%s\": model:summary() lists them", lua_tostring(L, i),
                 cornu_model_name(m));
  return l;
}

static int layer(lua_State *L) {
  cornu_model *m = cn_lua_check_model(L, 1);
  luaL_checkany(L, 2);
  cn_lua_push_layer(L, cn_lua_find_layer(L, m, 2), m);
  return 1;
}

static int layers(lua_State *L) {
  cornu_model *m = cn_lua_check_model(L, 1);
  int n = cornu_model_layers(m);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    cn_lua_push_layer(L, cornu_model_layer(m, i), m);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* ---- slices ---- */

/* The names of a table's entries, sorted, pushed as a list; a list of none when it is a list itself. */
static int push_keys(lua_State *L, int i) {
  int n = 0;
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    int at = ++n;
    for (; at > 1; at--) { /* insertion: few names */
      lua_rawgeti(L, -3, at - 1);
      bool later = strcmp(lua_tostring(L, -1), lua_tostring(L, -3)) > 0;
      if (later) lua_rawseti(L, -4, at);
      else lua_pop(L, 1);
      if (!later) break;
    }
    lua_pushvalue(L, -2);
    lua_rawseti(L, -4, at);
  }
  if (n && cn_lua_rawlen(L, i) > 0) cn_lua_error(L, "a list and names in one table of layers");
  return n;
}

typedef struct named { cn_lua_symbols *symbols; const char **keys; } named;

static void add_named(lua_State *L, cornu_model *m, int i, int n, named *out) {
  int keys = lua_gettop(L);
  out->keys = lua_newuserdata(L, CN_LUA_SYMBOLS * sizeof *out->keys);
  for (int k = 1; k <= n; k++) {
    int first = out->symbols->n;
    lua_rawgeti(L, keys, k);
    lua_pushvalue(L, -1);
    lua_rawget(L, i);
    cn_lua_tray_name(L, out->symbols, m, lua_gettop(L), true);
    if (out->symbols->n != first + 1)
      cn_lua_error(L, "\"%s\" names %d outputs: name each, as in \"layer:2\"", lua_tostring(L, -2),
                   out->symbols->n - first);
    out->keys[first] = lua_tostring(L, -2); /* kept by the table */
    lua_pop(L, 2);
  }
}

/* The values that the value at i names (one, a list, or, of outputs, a table by name; nil: none). Pushes what keeps
 * them. */
static named value_list(lua_State *L, cornu_model *m, int i, bool outputs) {
  named out = {cn_lua_symbol_tray(L), NULL};
  if (lua_isnoneornil(L, i)) return out;
  if (!lua_istable(L, i)) {
    cn_lua_tray_name(L, out.symbols, m, i, outputs);
    return out;
  }
  int count = (int)cn_lua_rawlen(L, i), n = push_keys(L, i);
  if (n && !outputs) cn_lua_error(L, "inputs of a slice have no names of their own: give a list");
  if (!n && count == 0) cn_lua_error(L, "an empty list of layers");
  if (n) add_named(L, m, i, n, &out);
  for (int k = 1; k <= count; k++) {
    lua_rawgeti(L, i, k);
    cn_lua_tray_name(L, out.symbols, m, lua_gettop(L), outputs);
    lua_pop(L, 1);
  }
  return out;
}

/* model:slice(from, to) */
static int slice(lua_State *L) {
  cornu_error e;
  cornu_model *m = cn_lua_check_model(L, 1);
  lua_settop(L, 3);
  named from = value_list(L, m, 2, false), to = value_list(L, m, 3, true);
  cn_lua_model *b = cn_lua_new_model(L);
  cn_lua_state *s = cn_lua_state_of(L);
  cn_lua_frame before = cn_lua_enter(s, L);
  cornu_status status = cornu_model_between(m, from.symbols->items, from.symbols->n, to.symbols->items, to.keys,
                                            to.symbols->n, &b->m, &e);
  cn_lua_leave(s, before);
  cn_lua_check(L, status, &e);
  return 1;
}

/* model:outputs_of{…} */
static int outputs_of(lua_State *L) {
  cornu_error e;
  cornu_model *m = cn_lua_check_model(L, 1);
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) return cn_lua_error(L, "outputs_of takes a layer or a table of layers");
  named outputs = value_list(L, m, 2, true);
  cn_lua_model *b = cn_lua_new_model(L);
  b->listed = lua_istable(L, 2);
  cn_lua_state *s = cn_lua_state_of(L);
  cn_lua_frame before = cn_lua_enter(s, L);
  cornu_status status = cornu_model_outputs_of(m, outputs.symbols->items, outputs.keys, outputs.symbols->n, &b->m, &e);
  cn_lua_leave(s, before);
  cn_lua_check(L, status, &e);
  return 1;
}

/* model[{first, last}], by number or by name */
static int range(lua_State *L, cornu_model *m) {
  cornu_error e;
  int n = cornu_model_layers(m), place[2];
  if (cn_lua_rawlen(L, 2) != 2) return cn_lua_error(L, "a range of layers is {first, last}");
  for (int k = 0; k < 2; k++) {
    lua_rawgeti(L, 2, k + 1);
    if (lua_type(L, -1) == LUA_TNUMBER) {
      place[k] = layer_place(L, lua_gettop(L), n);
    } else {
      cornu_layer *l = cn_lua_find_layer(L, m, lua_gettop(L));
      for (place[k] = 0; place[k] < n && cornu_model_layer(m, place[k]) != l;) place[k]++;
      if (place[k] == n)
        return cn_lua_error(L, "layer \"%s\" is not one of the model's own layers", cornu_layer_name(l));
    }
    lua_pop(L, 1);
  }
  if (place[0] > place[1])
    return cn_lua_error(L, "layers %d to %d: the first comes after the last", place[0] + 1, place[1] + 1);
  cn_lua_model *b = cn_lua_new_model(L);
  cn_lua_state *s = cn_lua_state_of(L);
  cn_lua_frame before = cn_lua_enter(s, L);
  cornu_status status = cornu_model_range(m, place[0], place[1], &b->m, &e);
  cn_lua_leave(s, before);
  cn_lua_check(L, status, &e);
  return 1;
}

/* ---- looking ---- */

static int summary(lua_State *L) {
  cornu_error e;
  cornu_model *m = cn_lua_check_model(L, 1);
  int width = lua_isnoneornil(L, 2) ? 0 : (int)cn_lua_check_int(L, 2);
  char **text = cn_lua_text(L);
  cn_lua_state *s = cn_lua_state_of(L);
  cn_lua_frame before = cn_lua_enter(s, L);
  cornu_status status = cornu_model_summary(m, width, text, &e);
  cn_lua_leave(s, before);
  cn_lua_check(L, status, &e);
  cn_lua_push_text(L);
  return 1;
}

static int model_tostring(lua_State *L) {
  cn_lua_model *b = test_model(L, 1);
  if (b && !b->m) {
    lua_pushliteral(L, "model (closed)");
    return 1;
  }
  lua_settop(L, 1);
  return summary(L);
}

/* Stateful layers begin with zeros again. */
static int reset_states(lua_State *L) {
  cornu_model_reset_states(cn_lua_check_model(L, 1));
  lua_settop(L, 1);
  return 1;
}

/* model:count_params([trainable_only]) */
static int count_params(lua_State *L) {
  cornu_model *m = cn_lua_check_model(L, 1);
  cn_lua_push_int(L, cornu_model_parameters(m, cn_lua_opt_bool(L, 2, false)));
  return 1;
}

static int length(lua_State *L) {
  lua_pushinteger(L, cornu_model_layers(cn_lua_check_model(L, 1)));
  return 1;
}

static int same(lua_State *L) {
  cn_lua_model *a = test_model(L, 1), *b = test_model(L, 2);
  lua_pushboolean(L, a && b && a->m && a->m == b->m);
  return 1;
}

/* ---- fields ---- */

/* Symbols; of a model that is not built yet, descriptors. */
static int push_ports(lua_State *L, bool outputs) {
  cornu_port port;
  cornu_model *m = cn_lua_check_model(L, 1);
  lua_newtable(L);
  for (int i = 0; outputs ? cornu_model_output(m, i, &port) : cornu_model_input(m, i, &port); i++) {
    cn_lua_symbols *tray = cn_lua_symbol_tray(L);
    if (cornu_model_end(m, outputs, i, &tray->items[0], NULL)) {
      cn_lua_push_port(L, &port);
    } else {
      tray->n = 1;
      cn_lua_push_symbol(L, tray->items[0], m, port.key);
    }
    lua_rawseti(L, -3, i + 1);
    lua_pop(L, 1);
  }
  return 1;
}

static int get_inputs(lua_State *L) { return push_ports(L, false); }
static int get_outputs(lua_State *L) { return push_ports(L, true); }

#define TEXT_GETTER(name, function)                         \
  static int name(lua_State *L) {                           \
    lua_pushstring(L, function(cn_lua_check_model(L, 1)));  \
    return 1;                                               \
  }
TEXT_GETTER(get_name, cornu_model_name)
TEXT_GETTER(get_type, cornu_model_type)
TEXT_GETTER(get_keras_version, cornu_model_keras_version)
TEXT_GETTER(get_backend, cornu_model_backend)
TEXT_GETTER(get_path, cornu_model_path)

static int get_config(lua_State *L) {
  cn_lua_push_value(L, cornu_model_config(cn_lua_check_model(L, 1)));
  return 1;
}

/* model:training_config() → the table that the file has, nil: none */
static int training_config(lua_State *L) {
  const cornu_value *v = cornu_model_training_config(cn_lua_check_model(L, 1));
  if (v) cn_lua_push_value(L, v);
  else lua_pushnil(L);
  return 1;
}

static int get_trainable(lua_State *L) {
  cornu_model *m = cn_lua_check_model(L, 1);
  bool any = false;
  for (int i = 0; i < cornu_model_layers(m); i++) any |= cornu_layer_trainable(cornu_model_layer(m, i));
  lua_pushboolean(L, any);
  return 1;
}

static int rename_model(lua_State *L) {
  cornu_error e;
  cn_lua_check(L, cornu_model_rename(cn_lua_check_model(L, 1), cn_lua_check_string(L, 2), &e), &e);
  lua_settop(L, 1);
  return 1;
}

/* model.name = "x", model.trainable = false */
static int model_newindex(lua_State *L) {
  cornu_error e;
  cornu_model *m = cn_lua_check_model(L, 1);
  cn_lua_model *b = lua_touserdata(L, 1);
  const char *field = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (!strcmp(field, "name")) {
    if (lua_type(L, 3) != LUA_TSTRING) return cn_lua_error(L, "a name is text, not a %s", cn_lua_kind(L, 3));
    cn_lua_check(L, b->layer ? cornu_layer_rename(b->layer, NULL, lua_tostring(L, 3), &e)
                             : cornu_model_rename(m, lua_tostring(L, 3), &e), &e);
  } else if (!strcmp(field, "trainable")) {
    if (!lua_isboolean(L, 3)) return cn_lua_error(L, "trainable is true or false, not a %s", cn_lua_kind(L, 3));
    cn_lua_check(L, cornu_model_set_trainable(m, lua_toboolean(L, 3), &e), &e);
  } else {
    return cn_lua_error(L, "field \"%s\" of a model cannot be set (name and trainable can)", field);
  }
  return 0;
}

/* ---- the list of layers: model.layers, model:layers(), model.layers.conv1 ---- */

static const char list_key = 0;

static int list_call(lua_State *L) {
  lua_settop(L, 1);
  return 1;
}

static int list_index(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  for (int i = 1; i <= (int)cn_lua_rawlen(L, 1); i++) {
    lua_rawgeti(L, 1, i);
    cn_lua_layer *b = cn_lua_test_layer(L, -1);
    if (b && b->l && !strcmp(cornu_layer_name(b->l), lua_tostring(L, 2))) return 1;
    lua_pop(L, 1);
  }
  return 0;
}

static int list_names(lua_State *L) {
  lua_newtable(L);
  for (int i = 1; i <= (int)cn_lua_rawlen(L, 1); i++) {
    lua_rawgeti(L, 1, i);
    cn_lua_layer *b = cn_lua_test_layer(L, -1);
    lua_pop(L, 1);
    lua_pushstring(L, b && b->l ? cornu_layer_name(b->l) : "");
    lua_rawseti(L, -2, i);
  }
  return 1;
}

static void open_list(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"__call", list_call}, {"__index", list_index}, {"__names", list_names}, {NULL, NULL}};
  lua_newtable(L);
  cn_lua_setfuncs(L, functions);
  lua_pushliteral(L, "model:layers");
  lua_setfield(L, -2, "__help");
  cn_lua_registry_set(L, &list_key);
}

static int get_layers(lua_State *L) {
  layers(L);
  cn_lua_registry_get(L, &list_key);
  lua_setmetatable(L, -2);
  return 1;
}

static int model_index(lua_State *L) {
  lua_settop(L, 2);
  switch (lua_type(L, 2)) {
    case LUA_TSTRING:
      lua_pushvalue(L, 2);
      lua_rawget(L, lua_upvalueindex(1));
      if (!lua_isnil(L, -1)) return 1;
      lua_pushvalue(L, 2);
      lua_rawget(L, lua_upvalueindex(2));
      if (lua_isnil(L, -1)) return 1;
      lua_pushvalue(L, 1);
      lua_call(L, 1, 1);
      return 1;
    case LUA_TNUMBER: {
      cornu_model *m = cn_lua_check_model(L, 1);
      cn_lua_push_layer(L, cn_lua_find_layer(L, m, 2), m);
      return 1;
    }
    case LUA_TTABLE: return range(L, cn_lua_check_model(L, 1));
    default:
      return cn_lua_error(L, "a %s is no index of a model: a number of a layer or a range {first, last}",
                          cn_lua_kind(L, 2));
  }
}

void cn_lua_open_model(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"layer", layer}, {"rename", rename_model}, {"slice", slice}, {"outputs_of", outputs_of}, {"summary", summary}, {"count_params", count_params},
    {"load_weights", load_weights},
    {"training_config", training_config}, {"optimizer_weights", cn_lua_optimizer_weights}, {"plan", cn_lua_model_plan},
    {"runner", cn_lua_model_runner}, {"reset_states", reset_states}, {NULL, NULL}};
  static const luaL_Reg getters[] = {
    {"name", get_name}, {"type", get_type}, {"keras_version", get_keras_version}, {"backend", get_backend},
    {"path", get_path}, {"config", get_config}, {"inputs", get_inputs},
    {"outputs", get_outputs}, {"layers", get_layers}, {"trainable", get_trainable}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
    {"__len", length}, {"__tostring", model_tostring}, {"__call", cn_lua_model_call}, {"__eq", same},
    {"__newindex", model_newindex}, {NULL, NULL}};
  static const cn_lua_class class = {.name = "cornu.model", .key = &cn_lua_model_key,
    .methods_key = &cn_lua_model_methods,
    .metamethods = metamethods, .methods = methods, .getters = getters,
    .index = model_index, .close = close_model, .in_use = true};
  cn_lua_open_class(L, &class);
  open_list(L);
  cn_lua_registry_get(L, &cn_lua_model_methods);
  cn_lua_setfuncs(L, cn_lua_compose_methods);
  lua_pop(L, 1);
}
