/* The Lua part of the module as text, for states that find no files: generated from lua/cornu. */
#ifndef CN_LUA_EMBEDDED_H
#define CN_LUA_EMBEDDED_H

#include <stddef.h>

typedef struct cn_lua_source { const char *name, *text; size_t length; } cn_lua_source; /* name: "init", "tensor", … */
extern const cn_lua_source cn_lua_sources[]; /* up to one without a name */

#endif
