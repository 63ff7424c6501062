/* Lua 5.1, 5.2, 5.3, 5.4 and LuaJIT through one set of names: what the binding needs beyond the common core. */
#ifndef CN_LUA_COMPAT_H
#define CN_LUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if LUA_VERSION_NUM < 502
#define cn_lua_rawlen(L, i) ((size_t)lua_objlen(L, i))
#else
#define cn_lua_rawlen(L, i) ((size_t)lua_rawlen(L, i))
#endif

/* Lua 5.4 gives a userdata a value of its own unless it is told not to. */
#if LUA_VERSION_NUM < 504
#define cn_lua_newuserdata(L, size) lua_newuserdata(L, size)
#else
#define cn_lua_newuserdata(L, size) lua_newuserdatauv(L, size, 0)
#endif

/* Stack positions stay valid while values are pushed. */
static inline int cn_lua_absindex(lua_State *L, int i) {
  return i > 0 || i <= LUA_REGISTRYINDEX ? i : lua_gettop(L) + i + 1;
}

/* The registry under the address of a C variable. */
static inline void cn_lua_registry_get(lua_State *L, const void *key) {
#if LUA_VERSION_NUM < 502
  lua_pushlightuserdata(L, (void *)(uintptr_t)key);
  lua_rawget(L, LUA_REGISTRYINDEX);
#else
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
#endif
}

static inline void cn_lua_registry_set(lua_State *L, const void *key) { /* pops the value */
#if LUA_VERSION_NUM < 502
  lua_pushlightuserdata(L, (void *)(uintptr_t)key);
  lua_insert(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
#else
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
#endif
}

/* Integers: Lua before 5.3 has doubles alone (exact up to 2^53). */
static inline void cn_lua_push_int(lua_State *L, int64_t v) {
#if LUA_VERSION_NUM < 503
  lua_pushnumber(L, (lua_Number)v);
#else
  lua_pushinteger(L, (lua_Integer)v);
#endif
}

/* A number with a whole value (2 and 2.0 alike, in every Lua); strings do not count. */
static inline bool cn_lua_whole(lua_State *L, int i, int64_t *out) {
  if (lua_type(L, i) != LUA_TNUMBER) return false;
#if LUA_VERSION_NUM >= 503
  if (lua_isinteger(L, i)) {
    *out = (int64_t)lua_tointeger(L, i);
    return true;
  }
#endif
  lua_Number n = lua_tonumber(L, i);
  if (!(n >= -9223372036854775808.0 && n < 9223372036854775808.0)) return false;
  *out = (int64_t)n;
  return (lua_Number)*out == n;
}

/* Calls f(L) with `user` as its one argument, protected; nothing here raises. Returns 0 or leaves an error value. */
static inline int cn_lua_protect(lua_State *L, lua_CFunction f, void *user) {
#if LUA_VERSION_NUM < 502
  return lua_cpcall(L, f, user);
#else
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, user);
  return lua_pcall(L, 1, 0, 0);
#endif
}

#endif
