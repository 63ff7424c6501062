/* Cornu and Lua, for hosts with a Lua of their own: what the libraries libcornu-lua5.1.a, -lua5.2.a, -lua5.3.a, -lua5.4.a
 * and -luajit.a have beside libcornu. A host links the one for its Lua. */
#ifndef CORNU_LUA_H
#define CORNU_LUA_H

#include "cornu.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lua_State;

typedef struct cornu_lua_options {
  size_t struct_size;     /* sizeof(cornu_lua_options); the rest zero: as cornu_lua_open */
  cornu_context *context; /* what the state makes belongs to it, whatever the calling thread works in; retained */
  /* Without a context: tensors and models go through lua_getallocf's allocator as the Lua heap does. Files are then read
   * by the calling thread alone, runs use one thread, and nothing made in the state may outlive it. */
  bool lua_memory;
} cornu_lua_options;

/* Puts Cornu into the host's Lua state: pushes the module, which is also package.loaded["cornu"] from now on; returns 1, so
 * that it may be called from Lua. No files are needed, nor any of Lua's libraries but the basic one, string, table and
 * math (functions that read and write text files use io and os). Errors are Lua errors: call it by lua_pcall where there
 * may be any. What the state makes belongs to the context that the calling thread works in at the time. */
CORNU_API int cornu_lua_open(struct lua_State *L);
CORNU_API int cornu_lua_open_with(struct lua_State *L, const cornu_lua_options *options); /* NULL: as cornu_lua_open */

/* ---- Sandboxes: Lua states for scripts that nobody vouches for ---- */

/* Scripts in a sandbox have Lua's basic functions, string, table, math, coroutine (utf8, bit32 and bit where the Lua has
 * them), os.time, clock and difftime, and of Cornu what tensors and running models need. They have no io, no debug, no
 * package; require, dofile, loadfile, and what loads or saves arrays and models, see files in the folders of the sandbox
 * alone, by paths from there or whole ones, without links and ".." that lead out. Chunks are loaded as text, never as
 * bytecode. Metatables other than a script's own are out of its reach, __gc cannot be set.
 *
 * A call of the host ends with CORNU_ERR_LIMIT after so many instructions or seconds, whatever the script does to go on;
 * the state stays as it was then, and the next call begins with new limits. Errors of scripts are CORNU_ERR_CALLBACK with
 * the script's line, those of the allocator CORNU_ERR_MEMORY. The limit of seconds is checked within loads and large
 * operations, too; a step of Lua's collector, and a function of Lua's own libraries on much data, come to their end first.
 * Chains of many thousands of keys in tables with weak keys make such a step long in Lua 5.2 to 5.4: its time grows with
 * their square. Lua 5.1 and LuaJIT have no such tables.
 * How much a script writes into its folders is not limited. One thread uses a sandbox at a time. */
typedef struct cornu_sandbox cornu_sandbox;
typedef struct cornu_sandbox_options {
  size_t struct_size;                   /* sizeof(cornu_sandbox_options); the rest zero: no folders, and these limits: */
  const cornu_context_options *context; /* max_memory, of the Lua heap and tensors together: 64 MiB. log: of print(), too */
  int64_t max_instructions;             /* of a call: 100 million */
  double max_seconds;                   /* of a call: 1 */
  const char *const *folders;           /* scripts may read files in them */
  int n_folders;
  const char *const *writable;          /* and write files in these, too */
  int n_writable;
} cornu_sandbox_options;
/* The caller frees; options may be NULL. Nothing made in it may outlive it. */
CORNU_API cornu_status cornu_sandbox_new(const cornu_sandbox_options *options, cornu_sandbox **out, cornu_error *e);
CORNU_API void cornu_sandbox_free(cornu_sandbox *s); /* NULL is fine */
/* Runs a script. name: for messages ("mod.lua"), NULL: "script". */
CORNU_API cornu_status cornu_sandbox_run(cornu_sandbox *s, const char *text, size_t length, const char *name,
                                         cornu_error *e);
/* Calls the global function `name` with the n_args values on top of the stack of cornu_sandbox_lua, which are popped, and
 * leaves n_results in their place (LUA_MULTRET: all); nothing after an error. name NULL: the function lies below them. */
CORNU_API cornu_status cornu_sandbox_call(cornu_sandbox *s, const char *name, int n_args, int n_results, cornu_error *e);
/* The state, for arguments, results, and functions of the host: its globals are the scripts' own. What the host calls in
 * it but through cornu_sandbox_call has no limits: metamethods of globals and of tables that scripts made, too, so that it
 * reads these by lua_rawget. */
CORNU_API struct lua_State *cornu_sandbox_lua(cornu_sandbox *s);
CORNU_API size_t cornu_sandbox_memory(const cornu_sandbox *s); /* bytes held now */

#ifdef __cplusplus
}
#endif
#endif
