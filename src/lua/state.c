/* State of the binding, errors with the caller's position, arguments, classes. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/binding.h"

#define COLLECT_AFTER ((size_t)64 << 20)

static const char state_key = 0;

typedef struct state_box { cn_lua_state *s; } state_box;

static cn_lua_state *find_state(lua_State *L) {
  cn_lua_registry_get(L, &state_key);
  state_box *box = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return box ? box->s : NULL;
}

cn_lua_state *cn_lua_state_of(lua_State *L) {
  cn_lua_state *s = find_state(L);
  if (!s) cn_lua_error(L, "the Lua state is closing");
  return s;
}

void cn_lua_state_drop(cn_lua_state *s) {
  if (!s || --s->references) return;
  cornu_context_release(s->context);
  free(s);
}

static int close_state(lua_State *L) {
  state_box *box = lua_touserdata(L, 1);
  cn_lua_state *s = box->s;
  if (!s) return 0;
  s->closed = true;
  box->s = NULL;
  cn_lua_state_drop(s);
  return 0;
}

void cn_lua_open_state(lua_State *L) {
  if (find_state(L)) return;
  state_box *box = lua_newuserdata(L, sizeof *box);
  box->s = NULL;
  lua_newtable(L);
  lua_pushcfunction(L, close_state);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  box->s = calloc(1, sizeof *box->s);
  if (!box->s) cn_lua_error(L, "out of memory");
  box->s->references = 1;
  box->s->limit = box->s->least = COLLECT_AFTER;
  cornu_random_seed(&box->s->random, 0);
  box->s->main = L;
  lua_pushthread(L);
  lua_getmetatable(L, -2);
  lua_insert(L, -2);
  lua_setfield(L, -2, "main");
  lua_pop(L, 1);
  cn_lua_registry_set(L, &state_key);
}

cn_lua_frame cn_lua_enter(cn_lua_state *s, lua_State *L) {
  cn_lua_frame before = {s->current, s->thread};
  s->current = L;
  s->thread = pthread_self();
  return before;
}

void cn_lua_leave(cn_lua_state *s, cn_lua_frame before) {
  s->current = before.current;
  s->thread = before.thread;
}

cornu_status cn_lua_call_back(cn_lua_state *s, lua_CFunction body, void *job, const char *who, cornu_error *e) {
  cornu_error unused;
  if (!e) e = &unused;
  e->status = CORNU_ERR_CALLBACK;
  if (s->closed || !s->current || !pthread_equal(s->thread, pthread_self())) {
    snprintf(e->message, sizeof e->message, "%s was called outside of its Lua state's thread", who);
    return e->status;
  }
  lua_State *L = s->current;
  int top = lua_gettop(L);
  if (!cn_lua_protect(L, body, job)) {
    lua_settop(L, top);
    return CORNU_OK;
  }
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  if (text) snprintf(e->message, sizeof e->message, "%s", text);
  else snprintf(e->message, sizeof e->message, "%s raised a %s", who, luaL_typename(L, -1));
  lua_settop(L, top);
  return e->status;
}

/* ---- errors ---- */

/* Pushes "file:line: " of the nearest Lua function that is not the module's own; "" when there is none. */
static void push_where(lua_State *L) {
  const cn_lua_state *s = find_state(L);
  const char *own = s ? s->own : "";
  size_t length = strlen(own);
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0) continue;
    if (length && !strncmp(ar.source, own, length)) continue;
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
    return;
  }
  lua_pushliteral(L, "");
}

static int raise_text(lua_State *L) { /* message on top; one that came through a function may tell the place already */
  push_where(L);
  const char *where = lua_tostring(L, -1), *message = lua_tostring(L, -2);
  if (strncmp(message, where, strlen(where)) == 0) {
    lua_pop(L, 1);
    return lua_error(L);
  }
  lua_insert(L, -2);
  lua_concat(L, 2);
  return lua_error(L);
}

int cn_lua_error(lua_State *L, const char *format, ...) {
  va_list list;
  va_start(list, format);
  lua_pushvfstring(L, format, list);
  va_end(list);
  return raise_text(L);
}

int cn_lua_raise(lua_State *L, const cornu_error *e) {
  if (e->message[0]) lua_pushstring(L, e->message);
  else lua_pushfstring(L, "failed: %s", cornu_status_name(e->status));
  return raise_text(L);
}

void cn_lua_check(lua_State *L, cornu_status status, const cornu_error *e) {
  if (status) cn_lua_raise(L, e);
}

int cn_lua_arg_error(lua_State *L, int arg, const char *format, ...) {
  lua_Debug ar;
  const char *name = NULL;
  bool method = false;
  if (lua_getstack(L, 0, &ar)) {
    lua_getinfo(L, "n", &ar);
    name = ar.name;
    method = ar.namewhat && !strcmp(ar.namewhat, "method");
  }
  va_list list;
  va_start(list, format);
  lua_pushvfstring(L, format, list);
  va_end(list);
  const char *text = lua_tostring(L, -1);
  if (!name) name = "?";
  if (method && arg == 1) lua_pushfstring(L, "calling '%s' on bad self (%s)", name, text);
  else lua_pushfstring(L, "bad argument #%d to '%s' (%s)", method ? arg - 1 : arg, name, text);
  return raise_text(L);
}

const char *cn_lua_kind(lua_State *L, int i) {
  if (lua_type(L, i) == LUA_TNONE) return "no value";
  if (lua_type(L, i) == LUA_TUSERDATA && luaL_getmetafield(L, i, "__name")) {
    const char *name = lua_tostring(L, -1); /* the metatable keeps it */
    lua_pop(L, 1);
    if (name) return name;
  }
  return luaL_typename(L, i);
}

int cn_lua_type_error(lua_State *L, int arg, const char *expected) {
  return cn_lua_arg_error(L, arg, "%s expected, got %s", expected, cn_lua_kind(L, arg));
}

const char *cn_lua_number_text(lua_State *L, int i) {
  char text[40];
  snprintf(text, sizeof text, "%.14g", (double)lua_tonumber(L, i));
  lua_pushstring(L, text);
  return lua_tostring(L, -1);
}

int64_t cn_lua_check_int(lua_State *L, int arg) {
  int64_t v = 0;
  if (lua_type(L, arg) != LUA_TNUMBER) cn_lua_type_error(L, arg, "number");
  if (!cn_lua_whole(L, arg, &v))
    cn_lua_arg_error(L, arg, "a whole number expected, got %s", cn_lua_number_text(L, arg));
  return v;
}

double cn_lua_check_number(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TNUMBER) cn_lua_type_error(L, arg, "number");
  return (double)lua_tonumber(L, arg);
}

const char *cn_lua_check_string(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TSTRING) cn_lua_type_error(L, arg, "string");
  return lua_tostring(L, arg);
}

bool cn_lua_opt_bool(lua_State *L, int arg, bool standard) {
  if (lua_isnoneornil(L, arg)) return standard;
  if (!lua_isboolean(L, arg)) cn_lua_type_error(L, arg, "boolean");
  return lua_toboolean(L, arg);
}

static void push_dtypes(lua_State *L) {
  lua_pushliteral(L, "");
  for (int d = 0; d < CORNU_DTYPES; d++) {
    lua_pushfstring(L, "%s%s", d ? " " : "", cornu_dtype_name((cornu_dtype)d));
    lua_concat(L, 2);
  }
}

cornu_dtype cn_lua_check_dtype(lua_State *L, int arg) {
  cornu_dtype d = CORNU_FLOAT32;
  const char *name = cn_lua_check_string(L, arg);
  if (!cornu_dtype_parse(name, &d)) {
    push_dtypes(L);
    cn_lua_arg_error(L, arg, "no dtype \"%s\" (there are: %s)", name, lua_tostring(L, -1));
  }
  return d;
}

/* ---- classes ---- */

/* The function behind `upvalues` upvalues in the state's context. When the thread works in another one, the closure is
 * called once more, protected, so that the other one comes back after an error, too. */
static int in_context(lua_State *L, int upvalues) {
  lua_Debug ar;
  lua_CFunction f = lua_tocfunction(L, lua_upvalueindex(upvalues + 1));
  const cn_lua_state *s = find_state(L);
  if (!s) return f(L);
  cornu_context *before = cornu_context_use(s->context);
  if (before == s->context) return f(L);
  lua_getstack(L, 0, &ar);
  lua_getinfo(L, "f", &ar);
  lua_insert(L, 1);
  const int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  cornu_context_use(before);
  return status ? lua_error(L) : lua_gettop(L);
}

static int in_context_0(lua_State *L) { return in_context(L, 0); }
static int in_context_1(lua_State *L) { return in_context(L, 1); }
static int in_context_2(lua_State *L) { return in_context(L, 2); }

void cn_lua_push_function(lua_State *L, lua_CFunction f, int upvalues) {
  static const lua_CFunction within[] = {in_context_0, in_context_1, in_context_2};
  const cn_lua_state *s = find_state(L);
  if (s && s->context) lua_pushcfunction(L, f);
  if (s && s->context) lua_pushcclosure(L, within[upvalues], upvalues + 1);
  else lua_pushcclosure(L, f, upvalues);
}

void cn_lua_setfuncs(lua_State *L, const luaL_Reg *functions) {
  for (; functions && functions->name; functions++) {
    cn_lua_push_function(L, functions->func, 0);
    lua_setfield(L, -2, functions->name);
  }
}

/* close() of a class that a library call under way may be using. */
static int close_idle(lua_State *L) {
  if (cn_lua_state_of(L)->current) cn_lua_error(L, "a handler cannot close a model, layer or plan during a call");
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

static void push_close(lua_State *L, const cn_lua_class *c) {
  lua_pushcfunction(L, c->close);
  if (c->in_use) lua_pushcclosure(L, close_idle, 1);
}

/* __names(object, methods_only): what completion offers; upvalues: methods, getters */
static int names(lua_State *L) {
  int n = 0;
  lua_settop(L, 2);
  bool methods_only = lua_toboolean(L, 2);
  lua_newtable(L);
  for (int k = 1; k <= (methods_only ? 1 : 2); k++)
    for (lua_pushnil(L); lua_next(L, lua_upvalueindex(k)); lua_pop(L, 1)) {
      lua_pushvalue(L, -2);
      lua_rawseti(L, 3, ++n);
    }
  return 1;
}

void cn_lua_open_class(lua_State *L, const cn_lua_class *c) {
  lua_newtable(L);
  cn_lua_setfuncs(L, c->metamethods);
  lua_newtable(L);
  cn_lua_setfuncs(L, c->methods);
  push_close(L, c);
  lua_setfield(L, -2, "close");
  lua_pushvalue(L, -1);
  cn_lua_registry_set(L, c->methods_key);
  lua_newtable(L);
  cn_lua_setfuncs(L, c->getters);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, names, 2);
  lua_setfield(L, -4, "__names");
  cn_lua_push_function(L, c->index, 2);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, c->close);
  lua_setfield(L, -2, "__gc");
  push_close(L, c);
  lua_setfield(L, -2, "__close");
  lua_pushstring(L, c->name);
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "cornu"); /* getmetatable gives this: scripts cannot take the class apart */
  lua_setfield(L, -2, "__metatable");
  cn_lua_registry_set(L, c->key);
}

void *cn_lua_box(lua_State *L, const void *key, size_t size) {
  const void **box = cn_lua_newuserdata(L, size);
  memset(box, 0, size);
  *box = key;
  cn_lua_registry_get(L, key);
  lua_setmetatable(L, -2);
  return box;
}

void *cn_lua_test(lua_State *L, int i, const void *key, size_t size) {
  if (lua_type(L, i) != LUA_TUSERDATA || cn_lua_rawlen(L, i) != size) return NULL;
  const void **box = lua_touserdata(L, i);
  return *box == key ? (void *)box : NULL;
}
