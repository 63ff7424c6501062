/* The registries of operations and layers as Lua tables: for help, completion and constructors. */
#include "lua/binding.h"

static void set_text(lua_State *L, const char *key, const char *text) {
  if (!text) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

static void push_field(lua_State *L, const cornu_field_info *f) {
  lua_createtable(L, 0, 6);
  set_text(L, "name", f->name);
  set_text(L, "aliases", f->aliases);
  set_text(L, "type", f->type);
  set_text(L, "choices", f->choices);
  set_text(L, "standard", f->standard);
  set_text(L, "help", f->help);
}

static int push_types(lua_State *L, int n, bool (*info)(int, cornu_type_info *),
                      bool (*field)(int, int, cornu_field_info *)) {
  cornu_type_info t;
  cornu_field_info f;
  lua_createtable(L, n, 0);
  for (int i = 0; i < n && info(i, &t); i++) {
    lua_createtable(L, 0, 9);
    set_text(L, "name", t.name);
    set_text(L, "aliases", t.aliases);
    set_text(L, "help", t.help);
    set_text(L, "versions", t.versions);
    set_text(L, "weights", t.weights);
    set_text(L, "arguments", t.arguments);
    lua_pushinteger(L, t.min_inputs);
    lua_setfield(L, -2, "min_inputs");
    lua_pushinteger(L, t.max_inputs);
    lua_setfield(L, -2, "max_inputs");
    lua_createtable(L, t.n_fields, 0);
    for (int k = 0; k < t.n_fields && field(i, k, &f); k++) {
      push_field(L, &f);
      lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "fields");
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* op_types() → {{name=, aliases=, help=, min_inputs=, max_inputs=, fields={{name=, type=, standard=, help=}, …}}, …} */
static int op_types(lua_State *L) { return push_types(L, cornu_op_count(), cornu_op_info, cornu_op_field); }

static int layer_types(lua_State *L) {
  return push_types(L, cornu_layer_type_count(), cornu_layer_type_info, cornu_layer_type_field);
}

static cornu_part check_kind(lua_State *L, int arg) {
  static const char *const names[] = {"initializer", "regularizer", "constraint", NULL};
  return (cornu_part)luaL_checkoption(L, arg, NULL, names);
}

#define PART(id, kind)                                                                                    \
  static bool id##_info(int i, cornu_type_info *out) { return cornu_part_info(kind, i, out); }            \
  static bool id##_field(int i, int field, cornu_field_info *out) { return cornu_part_field(kind, i, field, out); }
PART(initializer, CORNU_INITIALIZER)
PART(regularizer, CORNU_REGULARIZER)
PART(constraint, CORNU_CONSTRAINT)

/* part_types("regularizer") → as layer_types */
static int part_types(lua_State *L) {
  const cornu_part kind = check_kind(L, 1);
  cornu_type_info t;
  int n = 0;
  while (cornu_part_info(kind, n, &t)) n++;
  if (kind == CORNU_INITIALIZER) return push_types(L, n, initializer_info, initializer_field);
  if (kind == CORNU_REGULARIZER) return push_types(L, n, regularizer_info, regularizer_field);
  return push_types(L, n, constraint_info, constraint_field);
}

/* check_part("regularizer", config): raises for one that there is not */
static int check_part(lua_State *L) {
  cornu_error e;
  const cornu_part kind = check_kind(L, 1);
  cornu_tree *tree = cn_lua_tree(L);
  cn_lua_check(L, cornu_part_check(kind, cn_lua_to_value(L, 2, tree), &e), &e);
  return 0;
}

/* layer_names() → "Activation Dense Densely …": the names of Keras's layers, other ones too. */
static int layer_names(lua_State *L) {
  luaL_Buffer names;
  cornu_type_info t;
  luaL_buffinit(L, &names);
  for (int i = 0; cornu_layer_type_info(i, &t); i++) {
    if (!t.versions || !*t.versions) continue;
    luaL_addstring(&names, t.name);
    luaL_addlstring(&names, " ", 1);
    luaL_addstring(&names, t.aliases ? t.aliases : "");
    luaL_addlstring(&names, " ", 1);
  }
  luaL_pushresult(&names);
  return 1;
}

static int operation_types(lua_State *L) {
  int n = 0;
  while (cornu_operation_name(n)) n++;
  return push_types(L, n, cornu_operation_info, cornu_operation_field);
}

static int optimizer_types(lua_State *L) {
  return push_types(L, cornu_optimizer_count(), cornu_optimizer_info, cornu_optimizer_field);
}

static int schedule_types(lua_State *L) {
  return push_types(L, cornu_schedule_count(), cornu_schedule_info, cornu_schedule_field);
}

/* refused_classes() → {{names =, why =}, …} */
static int refused_classes(lua_State *L) {
  const char *names, *why;
  lua_newtable(L);
  for (int i = 0; cornu_refused_classes(i, &names, &why); i++) {
    lua_createtable(L, 0, 2);
    set_text(L, "names", names);
    set_text(L, "why", why);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

const luaL_Reg cn_lua_describe_functions[] = {
  {"op_types", op_types}, {"layer_types", layer_types}, {"layer_names", layer_names}, {"operation_types", operation_types},
  {"optimizer_types", optimizer_types}, {"schedule_types", schedule_types},
  {"part_types", part_types}, {"check_part", check_part},
  {"refused_classes", refused_classes}, {NULL, NULL}};
