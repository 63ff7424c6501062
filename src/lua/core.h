/* The Lua module cornu.core, for hosts that link it in: luaL_requiref(L, "cornu.core", luaopen_cornu_core, 0) or
 * package.preload["cornu.core"] = luaopen_cornu_core. */
#ifndef CN_LUA_CORE_H
#define CN_LUA_CORE_H

#include <lua.h>

#include "cornu.h"

CORNU_API int luaopen_cornu_core(lua_State *L);

#endif
