#include "mods.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "cornu_lua.h"
#include "counts.h"

enum { EACH = AGENTS / MODS, INSTRUCTIONS = 400000, MEMORY = 16 << 20, LONGEST = 1 << 16 };
/* of a mod: agents, instructions per frame, bytes, bytes of its script */

static const char *const names[MODS] = {"greedy", "gambler", "dancer", "runaway", "hoarder"};

typedef struct mod {
  cornu_sandbox *box;
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

static int give_functions(lua_State *L) { /* of the mods at 1 */
  static const luaL_Reg functions[] = {{"see", see}, {"turn", turn}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, functions[i].func, 1);
    lua_setglobal(L, functions[i].name);
  }
  return 0;
}

/* ---- a sandbox for each ---- */

static bool run_file(mod *one, const char *folder, const char *name, cornu_error *e) {
  char path[512], text[LONGEST];
  snprintf(path, sizeof path, "%s/%s.lua", folder, name);
  FILE *file = fopen(path, "rb");
  e->status = CORNU_ERR_NOT_FOUND;
  if (!file) return snprintf(e->message, sizeof e->message, "%s: cannot be read", path), false;
  const size_t n = fread(text, 1, sizeof text, file);
  fclose(file);
  return cornu_sandbox_run(one->box, text, n, path, e) == CORNU_OK;
}

static bool begin_mod(mods *m, mod *one, cornu_error *e) {
  const cornu_context_options c = {.struct_size = sizeof c, .allocator = counts_allocator, .max_memory = MEMORY};
  const cornu_sandbox_options o = {.struct_size = sizeof o, .context = &c, .max_instructions = INSTRUCTIONS};
  if (cornu_sandbox_new(&o, &one->box, e)) return false;
  lua_State *L = cornu_sandbox_lua(one->box);
  lua_pushcfunction(L, give_functions);
  lua_pushlightuserdata(L, m);
  return cornu_sandbox_call(one->box, NULL, 1, 0, e) == CORNU_OK;
}

mods *mods_open(const char *folder, cornu_error *e) {
  mods *m = calloc(1, sizeof *m);
  *e = (cornu_error){CORNU_ERR_MEMORY, "out of memory"};
  for (int i = 0; m && i < MODS; i++) {
    if (begin_mod(m, &m->all[i], e) && run_file(&m->all[i], folder, names[i], e)) continue;
    mods_close(m);
    return NULL;
  }
  return m;
}

void mods_close(mods *m) {
  for (int i = 0; i < MODS; i++) cornu_sandbox_free(m->all[i].box);
  free(m);
}

/* ---- frames ---- */

static void greedy(agent *a, const float *p) { a->turn = p[0] > p[1] && p[0] >= p[2] ? 1 : p[2] > p[1] ? -1 : 0; }

static bool call_frame(mod *one, int first, cornu_error *e) {
  lua_State *L = cornu_sandbox_lua(one->box);
  lua_pushinteger(L, first + 1);
  lua_pushinteger(L, first + EACH);
  return cornu_sandbox_call(one->box, "frame", 2, 0, e) == CORNU_OK;
}

int mods_frame(mods *m, agent *agents, const float *turns) {
  cornu_error e;
  int stopped = 0;
  m->agents = agents;
  m->turns = turns;
  for (int i = 0; i < AGENTS; i++) greedy(&agents[i], turns + TURNS * i);
  for (int i = 0; i < MODS; i++) {
    mod *one = &m->all[i];
    if (one->stopped || call_frame(one, i * EACH, &e)) continue;
    printf("mod %s is stopped: %s\n", names[i], e.message);
    one->stopped = true;
    stopped++;
  }
  return stopped;
}
