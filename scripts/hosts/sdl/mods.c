#include "mods.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

enum { EACH = AGENTS / MODS, INSTRUCTIONS = 400000, MEMORY = 1 << 20 }; /* of a mod: agents, per frame, bytes */

static const char *const names[MODS] = {"greedy", "gambler", "dancer", "runaway", "hoarder"};

typedef struct mod {
  lua_State *L;
  size_t held; /* bytes */
  bool stopped;
} mod;

struct mods {
  mod all[MODS];
  agent *agents;
  const float *turns;
};

int mod_of(int number) { return number / EACH; }

/* ---- what a mod may call ---- */

static const mods *mods_of(lua_State *L, lua_Integer *number) {
  *number = luaL_checkinteger(L, 1);
  luaL_argcheck(L, *number >= 1 && *number <= AGENTS, 1, "no such agent");
  return lua_touserdata(L, lua_upvalueindex(1));
}

/* see(agent) → the network's probabilities of left, straight on, right */
static int see(lua_State *L) {
  lua_Integer number;
  const float *p = mods_of(L, &number)->turns + TURNS * (number - 1);
  for (int i = 0; i < TURNS; i++) lua_pushnumber(L, (lua_Number)p[i]);
  return TURNS;
}

/* turn(agent, how): 1 left … -1 right */
static int turn(lua_State *L) {
  lua_Integer number;
  const mods *m = mods_of(L, &number);
  const lua_Number how = luaL_checknumber(L, 2);
  m->agents[number - 1].turn = how >= 1 ? 1 : how >= -1 ? (float)how : -1; /* and for NaN */
  return 0;
}

/* ---- a state for each ---- */

static void *give_memory(void *user, void *p, size_t old, size_t size) {
  mod *m = user;
  const size_t had = p ? old : 0;
  if (size > had && m->held + size - had > MEMORY) return NULL;
  void *new = size ? realloc(p, size) : (free(p), NULL);
  if (!new && size) return NULL;
  m->held += size - had;
  return new;
}

static void stop(lua_State *L, lua_Debug *where) {
  (void)where;
  luaL_error(L, "more than %d instructions in a frame", (int)INSTRUCTIONS);
}

static int open_mod(lua_State *L) {
  static const luaL_Reg libraries[] = {{"_G", luaopen_base}, {"math", luaopen_math}, {"string", luaopen_string},
                                       {"table", luaopen_table}};
  static const luaL_Reg functions[] = {{"see", see}, {"turn", turn}};
  for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
    luaL_requiref(L, libraries[i].name, libraries[i].func, 1);
    lua_pop(L, 1);
  }
  static const char *const unsafe[] = {"dofile", "loadfile", "load", "collectgarbage", "pcall", "xpcall"};
  for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++) lua_pushnil(L), lua_setglobal(L, unsafe[i]);
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, functions[i].func, 1);
    lua_setglobal(L, functions[i].name);
  }
  if (luaL_loadfilex(L, lua_touserdata(L, 1), "t")) return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

static bool begin_mod(mods *m, mod *one, const char *path, cornu_error *e) {
  one->L = lua_newstate(give_memory, one);
  e->status = CORNU_ERR_MEMORY;
  if (!one->L) return snprintf(e->message, sizeof e->message, "%s: out of memory", path), false;
  lua_sethook(one->L, stop, LUA_MASKCOUNT, INSTRUCTIONS);
  lua_pushcfunction(one->L, open_mod);
  lua_pushlightuserdata(one->L, (void *)path);
  lua_pushlightuserdata(one->L, m);
  e->status = CORNU_ERR_FORMAT;
  if (lua_pcall(one->L, 2, 0, 0) == LUA_OK) return true;
  snprintf(e->message, sizeof e->message, "%s", lua_tostring(one->L, -1));
  return false;
}

mods *mods_open(const char *folder, cornu_error *e) {
  char path[512];
  mods *m = calloc(1, sizeof *m);
  for (int i = 0; m && i < MODS; i++) {
    snprintf(path, sizeof path, "%s/%s.lua", folder, names[i]);
    if (begin_mod(m, &m->all[i], path, e)) continue;
    mods_close(m);
    return NULL;
  }
  return m;
}

void mods_close(mods *m) {
  for (int i = 0; i < MODS; i++)
    if (m->all[i].L) lua_close(m->all[i].L);
  free(m);
}

/* ---- frames ---- */

static void greedy(agent *a, const float *p) { a->turn = p[0] > p[1] && p[0] >= p[2] ? 1 : p[2] > p[1] ? -1 : 0; }

static bool call_frame(mod *one, int first) {
  lua_State *L = one->L;
  lua_sethook(L, stop, LUA_MASKCOUNT, INSTRUCTIONS); /* counts from now on */
  lua_getglobal(L, "frame");
  lua_pushinteger(L, first + 1);
  lua_pushinteger(L, first + EACH);
  return lua_pcall(L, 2, 0, 0) == LUA_OK;
}

int mods_frame(mods *m, agent *agents, const float *turns) {
  int stopped = 0;
  m->agents = agents;
  m->turns = turns;
  for (int i = 0; i < AGENTS; i++) greedy(&agents[i], turns + TURNS * i);
  for (int i = 0; i < MODS; i++) {
    mod *one = &m->all[i];
    if (one->stopped || call_frame(one, i * EACH)) continue;
    printf("mod %s is stopped: %s\n", names[i], lua_tostring(one->L, -1));
    lua_settop(one->L, 0);
    one->stopped = true;
    stopped++;
  }
  return stopped;
}
