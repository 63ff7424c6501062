/* Sandboxes, for the files of the binding that make them. */
#ifndef CN_LUA_SANDBOX_H
#define CN_LUA_SANDBOX_H

#include <stdatomic.h>

#include "cornu_lua.h"
#include "lua/binding.h"

typedef struct cn_sandbox_folder {
  struct cn_sandbox_folder *next;
  bool writable;
  size_t length;
  char path[];
} cn_sandbox_folder;

struct cornu_sandbox {
  lua_State *L;
  lua_State *running;       /* the coroutine under way; anchored */
  cornu_context *context;
  cornu_allocator parent;   /* alloc NULL: malloc */
  lua_Alloc beneath;        /* of a state that takes no other allocator; NULL: parent */
  void *beneath_user;
  atomic_size_t used;       /* bytes of the Lua heap and of tensors */
  size_t max_memory, recent; /* recent: bytes that were taken since it looked at the clock */
  size_t collected;         /* what was used after the last collection between calls */
  int vast;                 /* blocks of the Lua heap that are so large that an instruction on them takes long */
  cn_lua_state *state;
  int64_t max_instructions, instructions;
  double max_seconds, deadline;
  int calls;                /* of the host that are under way */
  int depth;                /* coroutines within each other */
  uintptr_t stack;          /* where it began */
  bool stopped, hurried;    /* hurried: the next instruction is to look */
  char why[256];            /* "line: what", once it is stopped */
  cornu_log log;
  void *log_user;
  uint64_t random;
  cn_sandbox_folder *folders;
};

cornu_sandbox *cn_sandbox_of(lua_State *L);
/* Work that no hook sees: counts as so many instructions. Raises when that is too much. */
void cn_sandbox_charge(lua_State *L, cornu_sandbox *s, int64_t instructions);
/* What scripts get in the place of functions of C that may take for ever. */
extern const luaL_Reg cn_sandbox_text[]; /* find, match, gmatch, gsub */
/* Raises when calls of C in each other have taken too much of the stack. */
void cn_sandbox_depth(lua_State *L, cornu_sandbox *s);

#endif
