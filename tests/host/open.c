/* Cornu in Lua states of a host, without files: with Lua 5.1 to 5.4 and LuaJIT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "cornu_lua.h"

/* ---- allocators that count what is out ---- */

static size_t lua_bytes, hook_bytes, most;

#ifndef LUA_JITLIBNAME
static void *lua_alloc(void *user, void *p, size_t old, size_t size) {
  (void)user;
  lua_bytes += size - (p ? old : 0);
  if (lua_bytes > most) most = lua_bytes;
  if (size) return realloc(p, size);
  free(p);
  return NULL;
}
#endif

static void *take(void *user, size_t size, size_t align) {
  void *p = NULL;
  (void)user;
  if (posix_memalign(&p, align, size)) return NULL;
  hook_bytes += size;
  return p;
}

static void give(void *user, void *p, size_t size) {
  (void)user;
  hook_bytes -= size;
  free(p);
}

static lua_State *new_state(void) {
#ifdef LUA_JITLIBNAME
  lua_State *L = luaL_newstate(); /* LuaJIT takes no other allocator on some machines */
#else
  lua_State *L = lua_newstate(lua_alloc, NULL);
#endif
  assert_non_null(L);
  luaL_openlibs(L);
  return L;
}

static void run(lua_State *L, const char *text) {
  if (luaL_loadstring(L, text) || lua_pcall(L, 0, 0, 0)) fail_msg("%s", lua_tostring(L, -1));
}

static int open_with(lua_State *L) { return cornu_lua_open_with(L, lua_touserdata(L, 1)); }

static void open_state(lua_State *L, const cornu_lua_options *o) {
  lua_pushcfunction(L, open_with);
  lua_pushlightuserdata(L, (void *)(uintptr_t)o);
  if (lua_pcall(L, 1, 1, 0)) fail_msg("%s", lua_tostring(L, -1));
  assert_true(lua_istable(L, -1));
  lua_setglobal(L, "cornu");
}

/* No file of the module may be found. */
static const char predict[] =
    "package.path, package.cpath = '', ''\n"
    "assert(require 'cornu' == cornu)\n"
    "local model = cornu.load 'lua/examples/digits/digits.keras'\n"
    "local want = cornu.load_npz 'lua/examples/digits/expected.npz'\n"
    "for i = 1, 3 do assert(model:predict(want.inputs):allclose(want.outputs, 1e-4, 1e-5)) end\n"
    "assert(cornu.help(cornu.load):find('custom_objects', 1, true))\n"
    "assert(cornu.data.tensors(want.inputs):batches { batch_size = 7 }())\n"
    "local ok, message = pcall(cornu.load, 'nowhere.keras')\n"
    "assert(not ok and message:find('nowhere', 1, true))\n"
    "local ok, message = pcall(function() model:fit(1) end)\n"
    "assert(not ok and message:find('^%[string'), message)\n"; /* the caller's line, not one of the module */

static void predicts_in_two_states(void **unused) {
  (void)unused;
  const size_t before = cornu_memory_used();
  lua_State *first = new_state(), *second = new_state();
  open_state(first, NULL);
  open_state(second, NULL);
  run(first, predict);
  run(second, predict);
  run(first, predict);
  lua_close(first);
  run(second, predict);
  lua_close(second);
  assert_int_equal(lua_bytes, 0);
  assert_true(cornu_memory_used() <= before + (1 << 16)); /* tables that are made once stay */
}

static void works_in_its_context(void **unused) {
  (void)unused;
  const cornu_context_options o = {.struct_size = sizeof o, .allocator = {NULL, take, give}};
  cornu_lua_options options = {.struct_size = sizeof options};
  assert_int_equal(cornu_context_new(&o, &options.context, NULL), CORNU_OK);
  lua_State *L = new_state();
  open_state(L, &options);
  const size_t before = hook_bytes, others = cornu_memory_used();
  run(L, "x = cornu.ones(1000) + 1; y = x[{ { 1, 500 } }] * 2");
  assert_true(hook_bytes > before + 4 * 2500);
  run(L, "assert(not pcall(cornu.ones, -1)); assert(not pcall(function() return x + 'a' end))");
  assert_null(cornu_context_use(NULL)); /* errors leave the thread where it was */
  run(L, predict);
  assert_int_equal(cornu_memory_used(), others);
  lua_close(L);
  cornu_context_release(options.context);
  assert_int_equal(hook_bytes, 0);
}

static void lives_in_the_memory_of_the_state(void **unused) {
  (void)unused;
  const cornu_lua_options options = {.struct_size = sizeof options, .lua_memory = true};
  const size_t others = cornu_memory_used();
  lua_State *L = new_state();
  open_state(L, &options);
  run(L, predict);
  const size_t before = most = lua_bytes;
  run(L, "x = cornu.ones(4000000)");
  assert_true(lua_bytes == 0 || most > before + 16000000);
  assert_int_equal(cornu_memory_used(), others);
  lua_close(L);
  assert_int_equal(lua_bytes, 0);
}

#ifndef LUA_JITLIBNAME
static long calls, first_failure; /* 0: none */

static void *failing_alloc(void *user, void *p, size_t old, size_t size) {
  if (size > (p ? old : 0) && first_failure && ++calls >= first_failure) return NULL;
  return lua_alloc(user, p, old, size);
}

static int open_and_run(lua_State *L) {
  open_with(L);
  lua_setglobal(L, "cornu");
  if (luaL_loadstring(L, "assert(cornu.load('lua/examples/digits/digits.keras')(cornu.ones(2, 8, 8, 1)):shape()[1] == 2)"))
    return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

static void any_allocation_may_fail(void **unused) {
  (void)unused;
  const cornu_lua_options options = {.struct_size = sizeof options, .lua_memory = true};
  bool done = false;
  for (long k = 1; !done; k += 1 + k / 6) {
    lua_State *L = lua_newstate(failing_alloc, NULL);
    luaL_openlibs(L);
    lua_gc(L, LUA_GCSTOP, 0);
    lua_pushcfunction(L, open_and_run);
    lua_pushlightuserdata(L, (void *)(uintptr_t)&options);
    calls = 0;
    first_failure = k;
    done = lua_pcall(L, 1, 0, 0) == 0;
    first_failure = 0;
    if (!done) assert_non_null(strstr(lua_tostring(L, -1), "memory"));
    lua_close(L);
    assert_int_equal(lua_bytes, 0);
  }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(predicts_in_two_states), cmocka_unit_test(works_in_its_context),
      cmocka_unit_test(lives_in_the_memory_of_the_state),
#ifndef LUA_JITLIBNAME
      cmocka_unit_test(any_allocation_may_fail),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
