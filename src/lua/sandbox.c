/* Sandboxes: Lua states for scripts that nobody vouches for. What scripts see is chosen in lua/cornu/sandbox.lua; here are
 * the bounds. Instructions are counted by a hook, which looks at the clock, too. A hook does not run within finalizers, nor
 * within handlers of errors that a hook raises, nor in functions of C: scripts cannot set __gc, handlers run when
 * the error is over, and functions of C that may take long say how much they do, or are replaced. Memory is counted by
 * the allocator, which also asks for a look at once when much was taken, or when there is none left. */
#include "lua/sandbox.h"

#include <limits.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#ifdef LUA_JITLIBNAME
#include <luajit.h>
#endif

enum {
  HEAD = 16, PERIOD = 100, MOST_AT_ONCE = 256 << 10, LARGEST_SCRIPT = 1 << 20, MOST_NESTED = 100,
  MOST_STACK = 512 << 10, LARGE = 64 << 10, VAST = 4 << 20, PERIOD_OF_VAST = 4
};
#define STANDARD_MEMORY ((size_t)64 << 20)
#define STANDARD_INSTRUCTIONS 100000000
#define STANDARD_SECONDS 1.0

static const char running_key = 0, call_key = 0, text_key = 0;

static void hook(lua_State *L, lua_Debug *ar);
static cornu_status tell(cornu_sandbox *s, cornu_status status, cornu_error *e);

/* ---- memory ---- */

static void look_soon(cornu_sandbox *s) {
  s->recent = 0;
  if (!s->calls || s->hurried || cornu_clock() <= s->deadline) return;
  s->hurried = true; /* once: Lua 5.4 goes through all calls under way */
  lua_sethook(s->running, hook, LUA_MASKCOUNT, 1);
}

static bool take(cornu_sandbox *s, size_t bytes) {
  const size_t before = atomic_fetch_add(&s->used, bytes);
  if (before <= s->max_memory && bytes <= s->max_memory - before) return true;
  atomic_fetch_sub(&s->used, bytes);
  return false;
}

static void *raw_take(const cornu_allocator *a, size_t size) {
  return a->alloc ? a->alloc(a->user, size, HEAD) : malloc(size);
}

static void raw_give(const cornu_allocator *a, void *p, size_t size) {
  if (a->free) a->free(a->user, p, size);
  else free(p);
}

/* Blocks begin with their size: one that shrinks may stay as it is. */
static void *moved(cornu_sandbox *s, void *p, size_t old, size_t size) {
  size_t *block = raw_take(&s->parent, size + HEAD);
  if (!block) return p && size < old ? p : NULL;
  *block = size + HEAD;
  char *fresh = (char *)block + HEAD;
  if (p) {
    size_t *before = (size_t *)(void *)((char *)p - HEAD);
    memcpy(fresh, p, old < size ? old : size);
    raw_give(&s->parent, before, *before);
  }
  return fresh;
}

static void *resized(cornu_sandbox *s, void *p, size_t old, size_t size) {
  if (s->beneath) return s->beneath(s->beneath_user, p, old, size);
  return s->parent.alloc ? moved(s, p, old, size) : realloc(p, size);
}

static void released(cornu_sandbox *s, void *p, size_t old) {
  if (s->beneath) s->beneath(s->beneath_user, p, old, 0);
  else if (!s->parent.free) free(p);
  else if (p) raw_give(&s->parent, (char *)p - HEAD, *(size_t *)(void *)((char *)p - HEAD));
}

/* Nothing large comes after the deadline: Lua 5.4 may go from one __call to the next, moving all that it has, for as long
 * as its stack grows, without any instruction between. */
static bool is_late(const cornu_sandbox *s, size_t size) {
  return size > LARGE && s->calls && cornu_clock() > s->deadline;
}

/* An instruction on a text of many megabytes takes milliseconds: then the hook comes more often. */
static void count_vast(cornu_sandbox *s, size_t before, size_t after) { s->vast += (after >= VAST) - (before >= VAST); }

/* The Lua heap. */
static void *allocate(void *user, void *p, size_t old, size_t size) {
  cornu_sandbox *s = user;
  if (!p) old = 0;
  if (size == 0) {
    released(s, p, old);
    atomic_fetch_sub(&s->used, old);
    count_vast(s, old, 0);
    return NULL;
  }
  const size_t more = size > old ? size - old : 0;
  if ((s->recent += size) > MOST_AT_ONCE) look_soon(s);
  if (size > s->max_memory / 4 || (more && (is_late(s, size) || !take(s, more))))
    return look_soon(s), NULL;
  void *q = resized(s, p, old, size);
  if (!q) return atomic_fetch_sub(&s->used, more), NULL;
  if (size < old) atomic_fetch_sub(&s->used, old - size);
  count_vast(s, old, size);
  return q;
}

/* The next tensor comes after a collection: the one that Lua makes by itself does not see what is left. */
static void collect_soon(cornu_sandbox *s) {
  if (s->state && s->state->since <= s->state->limit) s->state->since = s->state->limit + 1;
}

/* Tensors and models: zeros, so that what is given up halfway shows nothing of the host. */
static void *take_zeros(void *user, size_t size, size_t align) {
  cornu_sandbox *s = user;
  if (align > HEAD || is_late(s, size) || !take(s, size)) return collect_soon(s), NULL;
  if (atomic_load(&s->used) > s->max_memory / 4 * 3 && s->state && s->state->since > s->max_memory / 64)
    collect_soon(s);
  void *p = s->parent.alloc ? raw_take(&s->parent, size) : calloc(1, size);
  if (!p) atomic_fetch_sub(&s->used, size);
  else if (s->parent.alloc) memset(p, 0, size);
  return p;
}

static void give(void *user, void *p, size_t size) {
  cornu_sandbox *s = user;
  raw_give(&s->parent, p, size);
  atomic_fetch_sub(&s->used, size);
}

/* ---- stopping ---- */

cornu_sandbox *cn_sandbox_of(lua_State *L) {
  void *s;
  lua_getallocf(L, &s);
  return s;
}

/* Anchored, so that it is one that exists. */
static void set_running(lua_State *L, cornu_sandbox *s) {
  s->running = L;
  lua_pushthread(L);
  cn_lua_registry_set(L, &running_key);
}

static int stop(lua_State *L, cornu_sandbox *s, const char *what) {
  lua_Debug ar = {0};
  int level = 0;
  s->stopped = true;
  lua_sethook(L, hook, LUA_MASKCOUNT, 1);
  for (; !s->why[0] && lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0 || !strncmp(ar.source, "@<cornu>/", 9)) continue;
    snprintf(s->why, sizeof s->why, "%s:%d: %s", ar.short_src, ar.currentline, what);
  }
  if (!s->why[0]) snprintf(s->why, sizeof s->why, "%s", what);
  lua_pushstring(L, s->why);
  return lua_error(L);
}

static void check(lua_State *L, cornu_sandbox *s) {
  char text[128];
  if (!s->calls) return;
  const double now = cornu_clock();
  if (s->instructions > s->max_instructions) {
    snprintf(text, sizeof text, "stopped after %lld instructions", (long long)s->max_instructions);
    stop(L, s, text);
  }
  if (s->stopped || now > s->deadline) {
    snprintf(text, sizeof text, "stopped after %g seconds", s->max_seconds);
    stop(L, s, text);
  }
}

static void hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  cornu_sandbox *s = cn_sandbox_of(L);
  s->instructions += lua_gethookcount(L);
  if (s->running != L) set_running(L, s);
  check(L, s);
  cn_sandbox_depth(L, s);
  const int period = s->vast > 0 ? PERIOD_OF_VAST : PERIOD;
  if (lua_gethookcount(L) != period) lua_sethook(L, hook, LUA_MASKCOUNT, period);
}

void cn_sandbox_depth(lua_State *L, cornu_sandbox *s) {
  const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  if (s->calls && s->stack > here && s->stack - here > MOST_STACK) luaL_error(L, "C stack overflow");
}

void cn_sandbox_charge(lua_State *L, cornu_sandbox *s, int64_t instructions) {
  const int64_t before = s->instructions, most = INT64_MAX / 2; /* the hook adds to it */
  if (instructions < 0) instructions = 0;
  s->instructions = instructions > most - before ? most : before + instructions;
  if (s->stopped || s->instructions / MOST_AT_ONCE != before / MOST_AT_ONCE || instructions >= 1024) check(L, s);
}

/* ---- what sandbox.lua is made of ---- */

static int charge(lua_State *L) {
  const double n = luaL_checknumber(L, 1);
  cn_sandbox_charge(L, cn_sandbox_of(L), n > 0 ? n < 9e18 ? (int64_t)n : INT64_MAX : 0);
  return 0;
}

/* Pushes the coroutine that ran before the one at 1. */
static int switch_to(lua_State *L, cornu_sandbox *s) {
  luaL_checktype(L, 1, LUA_TTHREAD);
  lua_settop(L, 1);
  cn_lua_registry_get(L, &running_key);
  lua_insert(L, 1);
  s->running = lua_tothread(L, 2);
  cn_lua_registry_set(L, &running_key);
  if (s->stopped) lua_sethook(s->running, hook, LUA_MASKCOUNT, 1);
  return 1;
}

/* enter(coroutine) → the one that ran before; nil: they are nested too deep. leave(that) */
static int enter(lua_State *L) {
  cornu_sandbox *s = cn_sandbox_of(L);
  if (s->depth >= MOST_NESTED) return 0;
  s->depth++;
  return switch_to(L, s);
}

static int leave(lua_State *L) {
  cornu_sandbox *s = cn_sandbox_of(L);
  s->depth--;
  return switch_to(L, s);
}

/* tostring, which LuaJIT does without a look when it calls itself; upvalue: what is there for other values */
static int to_string(lua_State *L) {
  cornu_sandbox *s = cn_sandbox_of(L);
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  cn_sandbox_charge(L, s, 1);
  cn_sandbox_depth(L, s);
  const bool own = luaL_getmetafield(L, 1, "__tostring");
  if (!own) lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  if (lua_type(L, -1) != LUA_TSTRING) return luaL_error(L, "'__tostring' must return a string");
  return 1;
}

static int make_tostring(lua_State *L) {
  lua_settop(L, 1);
  lua_pushcclosure(L, to_string, 1);
  return 1;
}

static int log_line(lua_State *L) {
  const cornu_sandbox *s = cn_sandbox_of(L);
  if (s->log) s->log(s->log_user, CORNU_LOG_INFO, luaL_checkstring(L, 1));
  return 0;
}

/* random(): a number from 0 on below 1; random(seed) */
static int random_number(lua_State *L) {
  cornu_sandbox *s = cn_sandbox_of(L);
  if (!lua_isnoneornil(L, 1)) {
    const double seed = luaL_checknumber(L, 1);
    memcpy(&s->random, &seed, sizeof s->random);
    s->random = (s->random ^ s->random >> 29) * 0x9e3779b97f4a7c15u | 1;
    return 0;
  }
  s->random ^= s->random << 13; /* xorshift (Marsaglia 2003) */
  s->random ^= s->random >> 7;
  s->random ^= s->random << 17;
  lua_pushnumber(L, (lua_Number)(s->random >> 11) * 0x1p-53);
  return 1;
}

/* compile(text, name, environment) → function, or nil and a message; text alone */
static int compile(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n), *name = luaL_checkstring(L, 2);
  cn_sandbox_charge(L, cn_sandbox_of(L), (int64_t)n * 4);
  lua_settop(L, 3);
  int status;
#if LUA_VERSION_NUM < 502
  if (n && text[0] == LUA_SIGNATURE[0]) return lua_pushnil(L), lua_pushliteral(L, "bytecode is not loaded here"), 2;
  status = luaL_loadbuffer(L, text, n, name);
#else
  status = luaL_loadbufferx(L, text, n, name, "t");
#endif
  if (status) return lua_pushnil(L), lua_insert(L, -2), 2;
  if (lua_isnil(L, 3)) return 1;
  lua_pushvalue(L, 3);
#if LUA_VERSION_NUM < 502
  lua_setfenv(L, -2);
#else
  if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
#endif
  return 1;
}

/* read(path) → text: of a path that path() gave */
static int read_text(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  char *text = cn_lua_newuserdata(L, LARGEST_SCRIPT + 1);
  FILE *f = fopen(name, "rb");
  if (!f) return luaL_error(L, "%s: cannot be read", name);
  const size_t n = fread(text, 1, LARGEST_SCRIPT + 1, f);
  fclose(f);
  if (n > LARGEST_SCRIPT) return luaL_error(L, "%s: a script of more than 1 MiB", name);
  lua_pushlstring(L, text, n);
  return 1;
}

/* ---- files ---- */

static bool within(const cornu_sandbox *s, const char *path, bool write) {
  for (const cn_sandbox_folder *f = s->folders; f; f = f->next)
    if ((f->writable || !write) && !strncmp(path, f->path, f->length) && path[f->length] == '/') return true;
  return false;
}

/* The path of an existing file without links and "..". */
static bool find_existing(const cornu_sandbox *s, const char *name, char *out) {
  struct stat st;
  return realpath(name, out) && within(s, out, false) && stat(out, &st) == 0 && S_ISREG(st.st_mode);
}

/* The same of one that may be missing, in a folder that is there. */
static bool find_place(const cornu_sandbox *s, const char *name, char *out) {
  struct stat st;
  char folder[PATH_MAX];
  const char *slash = strrchr(name, '/'), *file = slash + 1;
  if (!*file || !strcmp(file, ".") || !strcmp(file, "..")) return false;
  snprintf(folder, sizeof folder, "%.*s", (int)(slash - name) + 1, name);
  if (!realpath(folder, out)) return false;
  const size_t n = strlen(out);
  if (n + strlen(file) + 2 > PATH_MAX) return false;
  snprintf(out + n, PATH_MAX - n, "/%s", file);
  return within(s, out, true) && (lstat(out, &st) != 0 || S_ISREG(st.st_mode));
}

static bool find_file(const cornu_sandbox *s, const char *name, bool write, char *out) {
  char full[PATH_MAX];
  if (*name == '/') return write ? find_place(s, name, out) : find_existing(s, name, out);
  for (const cn_sandbox_folder *f = s->folders; f; f = f->next) { /* in the order in which they were given */
    const int n = snprintf(full, sizeof full, "%s/%s", f->path, name);
    if (n < 0 || (size_t)n >= sizeof full || (write && !f->writable)) continue;
    if (write ? find_place(s, full, out) : find_existing(s, full, out)) return true;
  }
  return false;
}

/* path(name, write) → the file's own path; raises for what is in no folder */
static int path(lua_State *L) {
  size_t n;
  char out[PATH_MAX];
  const char *name = luaL_checklstring(L, 1, &n);
  const bool write = lua_toboolean(L, 2);
  if (n == 0 || n != strlen(name) || n >= PATH_MAX || !find_file(cn_sandbox_of(L), name, write, out))
    return cn_lua_error(L, "\"%s\": %s", name,
                      write ? "this sandbox may not write there" : "no such file in the folders of this sandbox");
  lua_pushstring(L, out);
  return 1;
}

/* ---- calls of the host, from within ---- */

/* Of a global function, whose name is the first argument. */
static int call_named(lua_State *L) {
  const char *name = lua_touserdata(L, 1);
  lua_getglobal(L, name);
  if (!lua_isfunction(L, -1)) return luaL_error(L, "no function \"%s\" in the sandbox", name);
  lua_replace(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* Of an error that is none. */
static int to_text(lua_State *L) {
  if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) return 1;
  lua_pushfstring(L, "an error that is a %s", luaL_typename(L, 1));
  return 1;
}

/* ---- making ---- */

static void open_library(lua_State *L, const char *name, lua_CFunction open) {
#if LUA_VERSION_NUM < 502
  lua_pushcfunction(L, open);
  lua_pushstring(L, name);
  lua_call(L, 1, 0);
#else
  luaL_requiref(L, name, open, 1);
  lua_pop(L, 1);
#endif
}

static void open_libraries(lua_State *L) {
  static const luaL_Reg libraries[] = {
#if LUA_VERSION_NUM < 502
      {"", luaopen_base},
#else
      {"_G", luaopen_base}, {LUA_COLIBNAME, luaopen_coroutine},
#endif
#if LUA_VERSION_NUM == 502
      {LUA_BITLIBNAME, luaopen_bit32},
#endif
#if LUA_VERSION_NUM >= 503
      {LUA_UTF8LIBNAME, luaopen_utf8},
#endif
#ifdef LUA_JITLIBNAME
      {LUA_BITLIBNAME, luaopen_bit},
#endif
      {LUA_STRLIBNAME, luaopen_string}, {LUA_TABLIBNAME, luaopen_table}, {LUA_MATHLIBNAME, luaopen_math},
      {LUA_OSLIBNAME, luaopen_os}};
  for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
    open_library(L, libraries[i].name, libraries[i].func);
#ifdef LUA_JITLIBNAME
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF); /* compiled loops call no hooks */
#endif
}

static void push_globals(lua_State *L) {
#if LUA_VERSION_NUM < 502
  lua_pushvalue(L, LUA_GLOBALSINDEX);
#else
  lua_pushglobaltable(L);
#endif
}

/* Takes everything out of the globals, into a table that it pushes. */
static void move_globals(lua_State *L) {
  push_globals(L);
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, -3);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  for (lua_pushnil(L); lua_next(L, -3);) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, -5);
  }
  lua_remove(L, -2);
}

static void fill_globals(lua_State *L) { /* from the table on top, which it pops */
  push_globals(L);
  for (lua_pushnil(L); lua_next(L, -3);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "_G");
  lua_pop(L, 2);
}

static void set_plain(lua_State *L, const luaL_Reg *functions) {
  for (; functions->name; functions++) {
    lua_pushcfunction(L, functions->func);
    lua_setfield(L, -2, functions->name);
  }
}

static int set_up(lua_State *L) {
  static const luaL_Reg own[] = {{"charge", charge}, {"enter", enter}, {"leave", leave}, {"log", log_line},
                                 {"random", random_number}, {"compile", compile}, {"path", path}, {"read", read_text},
                                 {"tostring", make_tostring},
                                 {NULL, NULL}};
  cornu_sandbox *s = lua_touserdata(L, 1);
  open_libraries(L);
  set_running(L, s);
  cn_lua_open_state(L);
  cn_lua_state *state = cn_lua_state_of(L);
  state->context = cornu_context_retain(s->context);
  s->state = state;
  state->limit = state->least = state->most = s->max_memory / 8;
  lua_newtable(L);
  move_globals(L);
  cn_lua_push_require(L);
  lua_setfield(L, -2, "require");
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "_G");
  lua_pushvalue(L, -1);
  lua_insert(L, -3);
  cn_lua_open_modules(L);
  cn_lua_require(L, "cornu.sandbox");
  lua_newtable(L);
  set_plain(L, own);
  set_plain(L, cn_sandbox_text);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 1);
  fill_globals(L);
  lua_pushcfunction(L, call_named);
  cn_lua_registry_set(L, &call_key);
  lua_pushcfunction(L, to_text);
  cn_lua_registry_set(L, &text_key);
  return 0;
}

static cornu_status no_room(cornu_error *e) {
  if (e) *e = (cornu_error){CORNU_ERR_MEMORY, "sandbox: out of memory"};
  return CORNU_ERR_MEMORY;
}

static cornu_status add_folder(cornu_sandbox *s, const char *given, bool writable, cn_sandbox_folder **last,
                               cornu_error *e) {
  char real[PATH_MAX];
  if (!realpath(given, real) || !strcmp(real, "/")) {
    if (e) e->status = CORNU_ERR_NOT_FOUND;
    if (e) snprintf(e->message, sizeof e->message, "sandbox: \"%.1500s\" is no folder for scripts", given);
    return CORNU_ERR_NOT_FOUND;
  }
  const size_t n = strlen(real);
  cn_sandbox_folder *f = raw_take(&s->parent, sizeof *f + n + 1);
  if (!f) return no_room(e);
  *f = (cn_sandbox_folder){.writable = writable, .length = n};
  memcpy(f->path, real, n + 1);
  if (*last) (*last)->next = f;
  else s->folders = f;
  *last = f;
  return CORNU_OK;
}

static cornu_status add_folders(cornu_sandbox *s, const cornu_sandbox_options *o, cornu_error *e) {
  cn_sandbox_folder *last = NULL;
  cornu_status status = CORNU_OK;
  for (int i = 0; i < o->n_folders && !status; i++) status = add_folder(s, o->folders[i], false, &last, e);
  for (int i = 0; i < o->n_writable && !status; i++) status = add_folder(s, o->writable[i], true, &last, e);
  return status;
}

static cornu_status make_context(cornu_sandbox *s, const cornu_context_options *given, cornu_error *e) {
  cornu_context_options c = {0};
  if (given) memcpy(&c, given, given->struct_size < sizeof c ? given->struct_size : sizeof c);
  s->max_memory = c.max_memory ? c.max_memory : STANDARD_MEMORY;
  s->log = c.log;
  s->log_user = c.log_user;
  c.struct_size = sizeof c;
  c.max_memory = 0; /* it is counted here, with the Lua heap */
  c.allocator = (cornu_allocator){s, take_zeros, give};
  return cornu_context_new(&c, &s->context, e);
}

/* LuaJIT may want an allocator of its own: then it is counted what that gives. */
static lua_State *new_state(cornu_sandbox *s) {
#ifdef LUA_JITLIBNAME
  lua_State *L = luaL_newstate();
  if (!L) return NULL;
  s->beneath = lua_getallocf(L, &s->beneath_user);
  atomic_fetch_add(&s->used, (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB, 0));
  lua_setallocf(L, allocate, s);
  return L;
#else
  return lua_newstate(allocate, s);
#endif
}

cornu_status cornu_sandbox_new(const cornu_sandbox_options *given, cornu_sandbox **out, cornu_error *e) {
  cornu_sandbox_options o = {0};
  if (given) memcpy(&o, given, given->struct_size < sizeof o ? given->struct_size : sizeof o);
  const cornu_allocator parent = o.context ? o.context->allocator : (cornu_allocator){0};
  *out = NULL;
  cornu_sandbox *s = raw_take(&parent, sizeof *s);
  if (!s) return no_room(e);
  *s = (cornu_sandbox){.parent = parent, .random = 0x9e3779b97f4a7c15u,
                       .max_instructions = o.max_instructions > 0 ? o.max_instructions : STANDARD_INSTRUCTIONS,
                       .max_seconds = o.max_seconds > 0 ? o.max_seconds : STANDARD_SECONDS};
  cornu_status status = add_folders(s, &o, e);
  if (!status) status = make_context(s, o.context, e);
  if (!status && !(s->L = new_state(s))) status = no_room(e);
  if (!status) {
    cornu_context *before = cornu_context_use(s->context);
    if (cn_lua_protect(s->L, set_up, s)) status = tell(s, CORNU_ERR_MEMORY, e);
    cornu_context_use(before);
  }
  if (status) cornu_sandbox_free(s);
  else *out = s;
  return status;
}

void cornu_sandbox_free(cornu_sandbox *s) {
  if (!s) return;
  const cornu_allocator parent = s->parent;
  s->state = NULL;
  if (s->L && s->beneath) lua_setallocf(s->L, s->beneath, s->beneath_user);
  if (s->L) lua_close(s->L);
  cornu_context_release(s->context);
  for (cn_sandbox_folder *f = s->folders, *next; f; f = next) {
    next = f->next;
    raw_give(&parent, f, sizeof *f + f->length + 1);
  }
  raw_give(&parent, s, sizeof *s);
}

struct lua_State *cornu_sandbox_lua(cornu_sandbox *s) { return s->L; }
size_t cornu_sandbox_memory(const cornu_sandbox *s) { return atomic_load(&s->used); }

/* ---- calls of the host ---- */

typedef struct frame { cornu_context *context; double deadline; } frame;

/* When much was left behind by the calls before. */
static void collect_rarely(cornu_sandbox *s) {
  const size_t used = atomic_load(&s->used);
  if (used <= s->max_memory / 2 || used - s->max_memory / 8 <= s->collected) return;
  lua_gc(s->L, LUA_GCCOLLECT, 0);
  s->collected = atomic_load(&s->used);
}

static frame begin(cornu_sandbox *s) {
  if (!s->calls++) {
    s->instructions = 0;
    s->stopped = false;
    s->why[0] = 0;
    s->hurried = false;
    s->depth = 0;
    s->running = s->L;
    s->stack = (uintptr_t)__builtin_frame_address(0);
    collect_rarely(s);
    s->deadline = cornu_clock() + s->max_seconds;
    lua_sethook(s->L, hook, LUA_MASKCOUNT, PERIOD);
  }
  const frame f = {cornu_context_use(s->context), cornu_set_deadline(s->deadline)};
  return f;
}

static void end(cornu_sandbox *s, frame f) {
  cornu_set_deadline(f.deadline);
  cornu_context_use(f.context);
  if (--s->calls) return;
  lua_sethook(s->L, NULL, 0, 0);
}

/* The error value on top of the stack, which it pops. */
static cornu_status tell(cornu_sandbox *s, cornu_status status, cornu_error *e) {
  const bool memory = !s->stopped && status == CORNU_ERR_MEMORY;
  if (s->stopped) {
    status = CORNU_ERR_LIMIT;
  } else if (lua_type(s->L, -1) != LUA_TSTRING) {
    cn_lua_registry_get(s->L, &text_key);
    lua_insert(s->L, -2);
    (void)lua_pcall(s->L, 1, 1, 0);
  }
  const char *text = lua_type(s->L, -1) == LUA_TSTRING ? lua_tostring(s->L, -1) : "an error that is not text";
  if (s->stopped) {
    status = CORNU_ERR_LIMIT;
    text = s->why;
  }
  if (e) {
    e->status = status;
    snprintf(e->message, sizeof e->message, "%s%.1900s", memory ? "sandbox: " : "", text);
  }
  lua_pop(s->L, 1);
  return status;
}

static cornu_status ended(cornu_sandbox *s, int result, cornu_error *e) {
  if (!result) return CORNU_OK;
  const bool late = cornu_clock() > s->deadline;
  return tell(s, late ? CORNU_ERR_LIMIT : result == LUA_ERRMEM ? CORNU_ERR_MEMORY : CORNU_ERR_CALLBACK, e);
}

typedef struct chunk { const char *text, *name; size_t length; } chunk;

static int run_chunk(lua_State *L) {
  const chunk *c = lua_touserdata(L, 1);
  lua_pushcfunction(L, compile);
  lua_pushlstring(L, c->text, c->length);
  lua_pushfstring(L, "=%s", c->name ? c->name : "script");
  lua_pushnil(L);
  lua_call(L, 3, 2);
  if (lua_isnil(L, -2)) return lua_error(L);
  lua_pop(L, 1);
  lua_call(L, 0, 0);
  return 0;
}

cornu_status cornu_sandbox_run(cornu_sandbox *s, const char *text, size_t length, const char *name, cornu_error *e) {
  chunk c = {text, name, length};
  const frame f = begin(s);
  const cornu_status status = ended(s, cn_lua_protect(s->L, run_chunk, &c), e);
  end(s, f);
  return status;
}

cornu_status cornu_sandbox_call(cornu_sandbox *s, const char *name, int n_args, int n_results, cornu_error *e) {
  lua_State *L = s->L;
  if (name) {
    cn_lua_registry_get(L, &call_key);
    lua_insert(L, -n_args - 1);
    lua_pushlightuserdata(L, (void *)(uintptr_t)name);
    lua_insert(L, -n_args - 1);
  }
  const frame f = begin(s);
  const cornu_status status = ended(s, lua_pcall(L, name ? n_args + 1 : n_args, n_results, 0), e);
  end(s, f);
  return status;
}
