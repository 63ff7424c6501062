/* Cornu in a Lua state of the host: the module without files, and the context that its work belongs to. */
#include <string.h>

#include "lua/binding.h"
#include "lua/embedded.h"

#define OWN "@<cornu>/" /* sources of the module begin so */

static const char modules_key = 0, environment_key = 0;

/* ---- the modules ---- */

/* Pushes the table of modules that are loaded: package.loaded where there is one. */
static void push_loaded(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  if (lua_istable(L, -1)) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, "_LOADED");
}

static const cn_lua_source *find_source(const char *name) {
  const char *file = !strcmp(name, "cornu") ? "init" : !strncmp(name, "cornu.", 6) ? name + 6 : "";
  for (const cn_lua_source *s = cn_lua_sources; s->name; s++)
    if (!strcmp(s->name, file)) return s;
  return NULL;
}

/* Pushes the chunk of a source; its globals are those of the environment at the key, which has a require of its own. */
static void push_chunk(lua_State *L, const cn_lua_source *s) {
  const char *name = lua_pushfstring(L, OWN "%s.lua", s->name);
  if (luaL_loadbuffer(L, s->text, s->length, name)) lua_error(L);
  lua_remove(L, -2);
  cn_lua_registry_get(L, &environment_key);
#if LUA_VERSION_NUM < 502
  lua_setfenv(L, -2);
#else
  if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1); /* a chunk without globals has none */
#endif
}

static int require_elsewhere(lua_State *L, const char *name) {
  lua_getglobal(L, "require");
  if (!lua_isfunction(L, -1)) return cn_lua_error(L, "module \"%s\" not found: this state has no require", name);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* The require of the module's own files. */
static int require(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lua_settop(L, 1);
  cn_lua_registry_get(L, &modules_key);
  lua_getfield(L, 2, name);
  if (!lua_isnil(L, -1)) return 1;
  lua_pop(L, 1);
  const cn_lua_source *s = find_source(name);
  const bool core = !strcmp(name, "cornu.core");
  if (!s && !core) return require_elsewhere(L, name);
  if (core) lua_pushcfunction(L, luaopen_cornu_core);
  else push_chunk(L, s);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  lua_pushvalue(L, -1);
  lua_setfield(L, 2, name);
  return 1;
}

void cn_lua_push_require(lua_State *L) { lua_pushcfunction(L, require); }

/* Pushes a table with `require` in front of the globals. */
static void push_environment(lua_State *L) {
  lua_newtable(L);
  cn_lua_push_require(L);
  lua_setfield(L, -2, "require");
  lua_newtable(L);
#if LUA_VERSION_NUM < 502
  lua_pushvalue(L, LUA_GLOBALSINDEX);
#else
  lua_pushglobaltable(L);
#endif
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

void cn_lua_open_modules(lua_State *L) {
  cn_lua_registry_set(L, &environment_key);
  cn_lua_registry_set(L, &modules_key);
}

void cn_lua_require(lua_State *L, const char *name) {
  lua_pushcfunction(L, require);
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
}

/* ---- memory of the Lua state ---- */

enum { ROOM = 32 }; /* in front of a block: the byte before it tells how far it is from what the state's allocator gave */

/* Freed with its last block, which is the context itself. */
typedef struct pool { lua_Alloc f; void *data; size_t blocks; } pool;

static void *pool_take(void *user, size_t size, size_t align) {
  pool *p = user;
  if (align > ROOM || size > SIZE_MAX - ROOM) return NULL;
  char *raw = p->f(p->data, NULL, 0, size + ROOM);
  if (!raw) return NULL;
  char *block = raw + align - ((uintptr_t)raw & (align - 1));
  block[-1] = (char)(block - raw);
  p->blocks++;
  return block;
}

static void pool_give(void *user, void *pointer, size_t size) {
  pool *p = user;
  char *block = pointer;
  p->f(p->data, block - block[-1], size + ROOM, 0);
  if (--p->blocks == 0) p->f(p->data, p, sizeof *p, 0);
}

/* One thread alone may call the allocator of a Lua state. */
static cornu_status pool_context(lua_State *L, cornu_context **out, cornu_error *e) {
  void *data;
  lua_Alloc f = lua_getallocf(L, &data);
  pool *p = f(data, NULL, 0, sizeof *p);
  cornu_status status = CORNU_ERR_MEMORY;
  *e = (cornu_error){CORNU_ERR_MEMORY, "out of memory"};
  if (!p) return status;
  *p = (pool){f, data, 0};
  const cornu_context_options o = {.struct_size = sizeof o, .allocator = {p, pool_take, pool_give}, .threads = 1};
  status = cornu_context_new(&o, out, e);
  if (status) f(data, p, sizeof *p, 0);
  return status;
}

/* ---- opening ---- */

static int load_module(lua_State *L) {
  push_loaded(L);
  push_environment(L);
  cn_lua_open_modules(L);
  cn_lua_require(L, "cornu");
  return 1;
}

static void set_context(lua_State *L, const cornu_lua_options *o) {
  cornu_error e;
  cn_lua_open_state(L);
  cn_lua_state *s = cn_lua_state_of(L);
  if (o->context) s->context = cornu_context_retain(o->context);
  else if (o->lua_memory) cn_lua_check(L, pool_context(L, &s->context, &e), &e);
  s->alone = o->lua_memory && !o->context;
}

int cornu_lua_open_with(lua_State *L, const cornu_lua_options *given) {
  cornu_lua_options o = {0};
  if (given) memcpy(&o, given, given->struct_size < sizeof o ? given->struct_size : sizeof o);
  push_loaded(L);
  lua_getfield(L, -1, "cornu");
  lua_remove(L, -2);
  if (lua_istable(L, -1)) return 1;
  lua_pop(L, 1);
  set_context(L, &o);
  cornu_context *own = cn_lua_state_of(L)->context, *before = own ? cornu_context_use(own) : NULL;
  lua_pushcfunction(L, load_module);
  const int status = lua_pcall(L, 0, 1, 0);
  if (own) cornu_context_use(before);
  return status ? lua_error(L) : 1;
}

int cornu_lua_open(lua_State *L) { return cornu_lua_open_with(L, NULL); }

int luaopen_cornu(lua_State *L) { return cornu_lua_open(L); }
