/* The program `cornu`: what its files share. */
#ifndef CN_CLI_HOST_H
#define CN_CLI_HOST_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>

#include "cornu.h"

/* Module "cornu.host" for lua/cornu/repl.lua and lua/cornu/cli.lua: line editing, terminals, interrupts. */
int cn_host_open(lua_State *L);
/* Calls the function below its n_args arguments; leaves its results, or one message. Returns lua_pcall's status.
 * Ctrl-C interrupts Lua code and runs of models alike. */
int cn_host_call(lua_State *L, int n_args, int n_results);

#endif
