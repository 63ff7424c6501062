/* Lua values and cornu_value trees; JSON. null is the sentinel cornu.null, lists have the metatable cornu.json.array.
 */
#include <stdio.h>
#include <string.h>

#include "lua/binding.h"

#define MAX_DEPTH 200

static const char tree_key = 0, null_key = 0, array_key = 0;

typedef struct tree_box { const void *tag; cornu_tree *tree; } tree_box;

static int free_tree(lua_State *L) {
  tree_box *b = lua_touserdata(L, 1);
  cornu_tree_free(b->tree);
  b->tree = NULL;
  return 0;
}

cornu_tree *cn_lua_tree(lua_State *L) {
  tree_box *b = cn_lua_box(L, &tree_key, sizeof *b);
  b->tree = cornu_tree_new();
  if (!b->tree) cn_lua_error(L, "out of memory");
  return b->tree;
}

void cn_lua_tree_done(lua_State *L, int i) {
  tree_box *b = lua_touserdata(L, i);
  cornu_tree_free(b->tree);
  b->tree = NULL;
}

/* ---- to Lua ---- */

static void push_null(lua_State *L) { cn_lua_registry_get(L, &null_key); }

static void push_nested(lua_State *L, const cornu_value *v, int depth) {
  luaL_checkstack(L, 6, "value is nested too deeply");
  size_t n = cornu_value_count(v), length = 0;
  switch (cornu_value_kind(v)) {
    case CORNU_NULL: push_null(L); break;
    case CORNU_BOOL: lua_pushboolean(L, cornu_value_as_bool(v)); break;
    case CORNU_INT: cn_lua_push_int(L, cornu_value_as_int(v)); break;
    case CORNU_FLOAT: lua_pushnumber(L, (lua_Number)cornu_value_as_float(v)); break;
    case CORNU_STRING: {
      const char *s = cornu_value_as_string(v, &length);
      lua_pushlstring(L, s ? s : "", length);
      break;
    }
    case CORNU_LIST:
      lua_createtable(L, (int)n, 0);
      for (size_t i = 0; i < n; i++) {
        push_nested(L, cornu_value_at(v, i), depth + 1);
        lua_rawseti(L, -2, (int)i + 1);
      }
      cn_lua_registry_get(L, &array_key);
      lua_setmetatable(L, -2);
      break;
    case CORNU_DICT:
      lua_createtable(L, 0, (int)n);
      for (size_t i = 0; i < n; i++) {
        lua_pushstring(L, cornu_value_key(v, i));
        push_nested(L, cornu_value_at(v, i), depth + 1);
        lua_rawset(L, -3);
      }
      break;
  }
}

void cn_lua_push_value(lua_State *L, const cornu_value *v) { push_nested(L, v, 0); }

void cn_lua_push_shape(lua_State *L, int rank, const int64_t *shape) {
  lua_createtable(L, rank, 0);
  for (int i = 0; i < rank; i++) {
    cn_lua_push_int(L, shape[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

void cn_lua_push_port(lua_State *L, const cornu_port *port) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, port->name);
  lua_setfield(L, -2, "name");
  if (port->key) {
    lua_pushstring(L, port->key);
    lua_setfield(L, -2, "key");
  }
  cn_lua_push_shape(L, port->rank, port->shape);
  lua_setfield(L, -2, "shape");
  lua_pushstring(L, cornu_dtype_name(port->dtype));
  lua_setfield(L, -2, "dtype");
}

void cn_lua_shape_text(int rank, const int64_t *shape, char *out, size_t room) {
  size_t n = (size_t)snprintf(out, room, "(");
  for (int i = 0; i < rank && n < room; i++) {
    const char *comma = i ? ", " : "";
    if (shape[i] < 0) n += (size_t)snprintf(out + n, room - n, "%s?", comma);
    else n += (size_t)snprintf(out + n, room - n, "%s%lld", comma, (long long)shape[i]);
  }
  if (n < room) snprintf(out + n, room - n, rank == 1 ? ",)" : ")");
}

/* ---- from Lua ---- */

static bool is_array(lua_State *L, int i) {
  if (!lua_getmetatable(L, i)) return false;
  cn_lua_registry_get(L, &array_key);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

/* A list: marked as one, or with a first element and no other keys than 1 … n. */
static bool is_list(lua_State *L, int i) {
  if (is_array(L, i)) return true;
  size_t n = cn_lua_rawlen(L, i), seen = 0;
  if (n == 0) return false;
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    int64_t k;
    if (!cn_lua_whole(L, -2, &k) || k < 1 || (size_t)k > n) {
      lua_pop(L, 2);
      return false;
    }
    seen++;
  }
  return seen == n;
}

static cornu_value *to_nested(lua_State *L, int i, cornu_tree *tree, int depth);

static cornu_value *to_list(lua_State *L, int i, cornu_tree *tree, int depth) {
  cornu_value *list = cornu_value_list(tree);
  size_t n = cn_lua_rawlen(L, i);
  for (size_t k = 1; k <= n; k++) {
    lua_rawgeti(L, i, (int)k);
    if (!cornu_value_append(tree, list, to_nested(L, lua_gettop(L), tree, depth + 1))) cn_lua_error(L, "out of memory");
    lua_pop(L, 1);
  }
  return list;
}

/* Keys in alphabetical order, so that the same table always gives the same text. */
static void push_sorted_keys(lua_State *L, int i) {
  int n = 0;
  lua_newtable(L);
  int keys = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      cn_lua_error(L, "a %s key in a table that is not a list: only text keys go into JSON", luaL_typename(L, -2));
    lua_pushvalue(L, -2);
    lua_rawseti(L, keys, ++n);
  }
  lua_getglobal(L, "table");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "sort");
    lua_remove(L, -2);
    if (lua_isfunction(L, -1)) {
      lua_pushvalue(L, keys);
      lua_call(L, 1, 0);
      return;
    }
  }
  lua_pop(L, 1); /* a sandbox without table.sort: any order */
}

static cornu_value *to_dict(lua_State *L, int i, cornu_tree *tree, int depth) {
  cornu_value *dict = cornu_value_dict(tree);
  push_sorted_keys(L, i);
  int keys = lua_gettop(L), n = (int)cn_lua_rawlen(L, keys);
  for (int k = 1; k <= n; k++) {
    lua_rawgeti(L, keys, k);
    const char *key = lua_tostring(L, -1);
    lua_pushvalue(L, -1);
    lua_rawget(L, i);
    if (!cornu_value_set(tree, dict, key, to_nested(L, lua_gettop(L), tree, depth + 1)))
      cn_lua_error(L, "out of memory");
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
  return dict;
}

static cornu_value *to_nested(lua_State *L, int i, cornu_tree *tree, int depth) {
  luaL_checkstack(L, 8, "table is nested too deeply");
  if (depth > MAX_DEPTH) cn_lua_error(L, "table is nested more than %d deep (does it contain itself?)", MAX_DEPTH);
  cornu_value *v = NULL;
  int64_t n;
  size_t length;
  switch (lua_type(L, i)) {
    case LUA_TNIL: v = cornu_value_null(tree); break;
    case LUA_TBOOLEAN: v = cornu_value_bool(tree, lua_toboolean(L, i)); break;
    case LUA_TNUMBER: {
      bool whole = cn_lua_whole(L, i, &n);
#if LUA_VERSION_NUM >= 503
      whole = whole && lua_isinteger(L, i); /* 2.0 stays a float where Lua can tell */
#endif
      v = whole ? cornu_value_int(tree, n) : cornu_value_float(tree, (double)lua_tonumber(L, i));
      break;
    }
    case LUA_TSTRING: {
      const char *s = lua_tolstring(L, i, &length);
      v = cornu_value_string(tree, s, length);
      break;
    }
    case LUA_TTABLE: v = is_list(L, i) ? to_list(L, i, tree, depth) : to_dict(L, i, tree, depth); break;
    case LUA_TUSERDATA:
      push_null(L);
      if (lua_rawequal(L, i, -1)) v = cornu_value_null(tree);
      lua_pop(L, 1);
      if (v) break;
      /* fall through */
    default: cn_lua_error(L, "a %s cannot go into JSON or an option", cn_lua_kind(L, i));
  }
  if (!v) cn_lua_error(L, "out of memory");
  return v;
}

cornu_value *cn_lua_to_value(lua_State *L, int i, cornu_tree *tree) {
  return to_nested(L, cn_lua_absindex(L, i), tree, 0);
}

/* ---- json ---- */

static int json_decode(lua_State *L) {
  size_t length;
  cornu_error e;
  cornu_value *v = NULL;
  cn_lua_check_string(L, 1);
  const char *text = lua_tolstring(L, 1, &length);
  cornu_tree *tree = cn_lua_tree(L);
  int box = lua_gettop(L);
  cn_lua_check(L, cornu_json_read(tree, text, length, &v, &e), &e);
  cn_lua_push_value(L, v);
  cn_lua_tree_done(L, box);
  return 1;
}

/* json.encode(value [, indent]) */
static int json_encode(lua_State *L) {
  cornu_error e;
  const char *text = NULL;
  luaL_checkany(L, 1);
  int indent = lua_isnoneornil(L, 2) ? 0 : (int)cn_lua_check_int(L, 2);
  cornu_tree *tree = cn_lua_tree(L);
  int box = lua_gettop(L);
  cornu_value *v = cn_lua_to_value(L, 1, tree);
  cn_lua_check(L, cornu_json_write(tree, v, indent, &text, &e), &e);
  lua_pushstring(L, text);
  cn_lua_tree_done(L, box);
  return 1;
}

/* json.list(t): marks t (or a new table) as a list, so that an empty one is written as [] */
static int json_list(lua_State *L) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  if (!lua_istable(L, 1)) cn_lua_type_error(L, 1, "table");
  cn_lua_registry_get(L, &array_key);
  lua_setmetatable(L, 1);
  return 1;
}

static int null_tostring(lua_State *L) {
  lua_pushliteral(L, "null");
  return 1;
}

void cn_lua_open_value(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, free_tree);
  lua_setfield(L, -2, "__gc");
  cn_lua_registry_set(L, &tree_key);
  static const luaL_Reg json[] = {{"decode", json_decode}, {"encode", json_encode}, {"list", json_list}, {NULL, NULL}};
  lua_newtable(L);
  cn_lua_setfuncs(L, json);
  lua_newtable(L);
  lua_pushliteral(L, "cornu.json.array");
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  cn_lua_registry_set(L, &array_key);
  lua_setfield(L, -2, "array");
  lua_setfield(L, -2, "json");
  lua_newuserdata(L, 1);
  lua_newtable(L);
  lua_pushcfunction(L, null_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "null");
  lua_setfield(L, -2, "__name");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  cn_lua_registry_set(L, &null_key);
  lua_setfield(L, -2, "null");
}
