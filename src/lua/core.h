/* The Lua module cornu.core, for hosts that link it in: luaL_requiref(L, "cornu.core", luaopen_cornu_core, 0) or
 * package.preload["cornu.core"] = luaopen_cornu_core. */
#ifndef CN_LUA_CORE_H
#define CN_LUA_CORE_H

#include <lua.h>

#include "cornu_lua.h"

CORNU_API int luaopen_cornu_core(lua_State *L);
CORNU_API int luaopen_cornu(lua_State *L); /* cornu_lua_open by the name that require looks for in cornu.so */

#endif
