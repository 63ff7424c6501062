/* The module cornu.core. `require "cornu"` is lua/cornu/init.lua, which adds the Lua part to it. */
#include <string.h>

#include "lua/binding.h"

static int clock_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)cornu_clock());
  return 1;
}

static int set_threads(lua_State *L) {
  int64_t n = cn_lua_check_int(L, 1);
  if (n < 1 || n > 4096) return cn_lua_arg_error(L, 1, "a number of threads from 1 on expected");
  cornu_set_threads((int)n);
  return 0;
}

static int get_threads(lua_State *L) {
  lua_pushinteger(L, cornu_get_threads());
  return 1;
}

static int isa(lua_State *L) {
  lua_pushstring(L, cornu_isa());
  return 1;
}

/* memory() → bytes that the library holds, bytes of tensors that this Lua state holds */
static int memory(lua_State *L) {
  cn_lua_push_int(L, (int64_t)cornu_memory_used());
  cn_lua_push_int(L, (int64_t)cn_lua_state_of(L)->live);
  return 2;
}

/* type(v) → "tensor", "model", "layer", "plan", "runner", "symbol" or nil */
static int type_of(lua_State *L) {
  static const struct { const void *key; const char *name; } classes[] = {
    {&cn_lua_tensor_key, "tensor"}, {&cn_lua_model_key, "model"}, {&cn_lua_layer_key, "layer"}, {&cn_lua_plan_key,
      "plan"}, {&cn_lua_runner_key, "runner"}, {&cn_lua_symbol_key, "symbol"}, {&cn_lua_trainer_key, "trainer"}};
  luaL_checkany(L, 1);
  size_t n = cn_lua_rawlen(L, 1);
  for (int i = 0; i < 6 && lua_type(L, 1) == LUA_TUSERDATA; i++) {
    if (!cn_lua_test(L, 1, classes[i].key, n < sizeof(void *) ? sizeof(void *) : n)) continue;
    lua_pushstring(L, classes[i].name);
    return 1;
  }
  lua_pushnil(L);
  return 1;
}

/* ---- options of printing ---- */

static int64_t print_option(lua_State *L, const char *key, int64_t now, int64_t least) {
  int64_t v;
  lua_getfield(L, 1, key);
  if (lua_isnil(L, -1)) v = now;
  else if (!cn_lua_whole(L, -1, &v) || v < least || v > INT32_MAX)
    return cn_lua_error(L, "option \"%s\" is not a whole number from %d on", key, (int)least);
  lua_pop(L, 1);
  return v;
}

/* printoptions{precision=, threshold=, edge_items=, line_width=}: 0 restores the standard; returns those in force */
static int printoptions(lua_State *L) {
  cornu_print_options *p = &cn_lua_state_of(L)->print;
  lua_settop(L, 1);
  if (lua_istable(L, 1)) {
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
      const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
      if (strcmp(key, "precision") && strcmp(key, "threshold") && strcmp(key, "edge_items") && strcmp(key,
          "line_width"))
        return cn_lua_error(L, "no option \"%s\" (there are: precision threshold edge_items line_width)", key);
    }
    cornu_print_options n = *p;
    n.precision = (int)print_option(L, "precision", n.precision, 0);
    n.threshold = print_option(L, "threshold", n.threshold, 0);
    n.edge_items = (int)print_option(L, "edge_items", n.edge_items, 0);
    n.line_width = (int)print_option(L, "line_width", n.line_width, 0);
    *p = n;
  } else if (!lua_isnil(L, 1)) {
    return cn_lua_type_error(L, 1, "table of options");
  }
  lua_createtable(L, 0, 4);
  cn_lua_push_int(L, p->precision ? p->precision : 4);
  lua_setfield(L, -2, "precision");
  cn_lua_push_int(L, p->threshold ? p->threshold : 1000);
  lua_setfield(L, -2, "threshold");
  cn_lua_push_int(L, p->edge_items ? p->edge_items : 3);
  lua_setfield(L, -2, "edge_items");
  cn_lua_push_int(L, p->line_width ? p->line_width : 80);
  lua_setfield(L, -2, "line_width");
  return 1;
}

/* ---- for the Lua part ---- */

/* own(): the caller's folder is the module's own, errors in there are its callers' */
static int own(lua_State *L) {
  lua_Debug ar;
  cn_lua_state *s = cn_lua_state_of(L);
  if (!lua_getstack(L, 1, &ar)) return 0;
  lua_getinfo(L, "S", &ar);
  const char *slash = strrchr(ar.source, '/');
  size_t length = slash ? (size_t)(slash - ar.source) + 1 : 0;
  if (ar.source[0] == '@' && length && length < sizeof s->own) {
    memcpy(s->own, ar.source, length);
    s->own[length] = 0;
  }
  return 0;
}

/* fail(message): an error at the place outside of the module that called it */
static int fail(lua_State *L) { return cn_lua_error(L, "%s", cn_lua_check_string(L, 1)); }

/* defer_interrupts(on): while it is on, the first Ctrl-C waits; interrupted() tells of it */
static int defer_interrupts(lua_State *L) {
  cornu_defer_interrupts(lua_toboolean(L, 1));
  return 0;
}

/* change_weights(f, …): calls f; for other threads the weights that it sets change as one */
static int change_weights(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  cornu_weights_begin();
  const int status = lua_pcall(L, lua_gettop(L) - 1, 0, 0);
  cornu_weights_end();
  return status ? lua_error(L) : 0;
}

/* background(): whether other threads may read files for this state */
static int background(lua_State *L) {
  lua_pushboolean(L, !cn_lua_state_of(L)->alone);
  return 1;
}

static int interrupted(lua_State *L) {
  lua_pushboolean(L, cornu_interrupt_waits());
  return 1;
}

static void set_methods(lua_State *L, const char *name, const void *key) {
  cn_lua_registry_get(L, key);
  lua_setfield(L, -2, name);
}

int luaopen_cornu_core(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"clock", clock_now}, {"set_threads", set_threads}, {"get_threads", get_threads}, {"isa", isa}, {"memory", memory},
    {"type", type_of}, {"printoptions", printoptions}, {"own", own}, {"fail", fail},
    {"defer_interrupts", defer_interrupts}, {"interrupted", interrupted}, {"background", background},
    {"change_weights", change_weights}, {NULL, NULL}};
  cn_lua_open_state(L);
  lua_newtable(L);
  cn_lua_setfuncs(L, functions);
  cn_lua_setfuncs(L, cn_lua_tensor_makers);
  cn_lua_setfuncs(L, cn_lua_model_functions);
  cn_lua_setfuncs(L, cn_lua_file_functions);
  cn_lua_setfuncs(L, cn_lua_save_functions);
  cn_lua_setfuncs(L, cn_lua_describe_functions);
  cn_lua_setfuncs(L, cn_lua_compose_functions);
  cn_lua_setfuncs(L, cn_lua_trainer_functions);
  cn_lua_setfuncs(L, cn_lua_gradient_functions);
  cn_lua_setfuncs(L, cn_lua_adapter_functions);
  cn_lua_setfuncs(L, cn_lua_reader_functions);
  cn_lua_open_value(L);
  cn_lua_open_files(L);
  cn_lua_open_custom(L);
  cn_lua_open_tensor(L);
  cn_lua_open_layer(L);
  cn_lua_open_model(L);
  cn_lua_open_plan(L);
  cn_lua_open_runner(L);
  cn_lua_open_trainer(L);
  cn_lua_open_adapter(L);
  cn_lua_open_reader(L);
  cn_lua_open_symbol(L);
  cn_lua_open_op(L);
  set_methods(L, "tensor_methods", &cn_lua_tensor_methods);
  set_methods(L, "model_methods", &cn_lua_model_methods);
  set_methods(L, "layer_methods", &cn_lua_layer_methods);
  set_methods(L, "plan_methods", &cn_lua_plan_methods);
  set_methods(L, "runner_methods", &cn_lua_runner_methods);
  set_methods(L, "symbol_methods", &cn_lua_symbol_methods);
  lua_pushstring(L, cornu_version());
  lua_setfield(L, -2, "version");
  return 1;
}
