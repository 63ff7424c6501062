/* The program `cornu`: finds the Lua part, makes a Lua state with the module in it, and runs what was asked for. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/host.h"
#include "lua/core.h"

#ifndef CORNU_LUA_DIR
#define CORNU_LUA_DIR "/usr/local/share/cornu/lua"
#endif

static bool readable(const char *path) { return access(path, R_OK) == 0; }

/* The folder with cornu/init.lua: beside the program's build folder, in its prefix, or where it was installed. */
static const char *lua_folder(char *out, size_t size) {
  char exe[PATH_MAX], file[2 * PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
  const char *places[] = {"../lua", "../../lua", "../share/cornu/lua"};
  if (n > 0) {
    exe[n] = 0;
    char *slash = strrchr(exe, '/');
    if (slash) *slash = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
      int length = snprintf(out, size, "%s/%s", exe, places[i]);
      if (length < 0 || (size_t)length >= size) continue;
      length = snprintf(file, sizeof file, "%s/cornu/init.lua", out);
      if (length < 0 || (size_t)length >= sizeof file || !readable(file)) continue;
      char *real = realpath(out, NULL);
      if (real) snprintf(out, size, "%s", real);
      free(real);
      return out;
    }
  }
  return CORNU_LUA_DIR;
}

static void prepend(lua_State *L, const char *field, const char *text) {
  lua_getglobal(L, "package");
  lua_pushfstring(L, "%s;", text);
  lua_getfield(L, -2, field);
  lua_concat(L, 2);
  lua_setfield(L, -2, field);
  lua_pop(L, 1);
}

static void preload(lua_State *L, const char *name, lua_CFunction open) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, open);
  lua_setfield(L, -2, name);
  lua_pop(L, 2);
}

/* Global `arg` as lua has it is set by cli.lua; here all of the command line, from 0. */
static void push_command_line(lua_State *L, int argc, char **argv) {
  lua_createtable(L, argc, 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i);
  }
}

/* ---- cornu --sandbox SCRIPT [FOLDER…] ---- */

static void say(void *user, cornu_log_level level, const char *message) {
  (void)user;
  if (level == CORNU_LOG_INFO) puts(message);
}

static char *whole_file(const char *path, size_t *length) {
  FILE *f = fopen(path, "rb");
  const size_t room = (1 << 20) + 1; /* a sandbox takes no longer ones */
  char *text = f ? malloc(room) : NULL;
  *length = text ? fread(text, 1, room, f) : 0;
  if (f) fclose(f);
  return text;
}

/* A script of strangers: with the files of those folders alone, and the standard limits. */
static int run_sandboxed(int argc, char **argv) {
  cornu_error e = {0};
  cornu_sandbox *s = NULL;
  const cornu_context_options c = {.struct_size = sizeof c, .log = say};
  const cornu_sandbox_options o = {.struct_size = sizeof o, .context = &c, .folders = (const char *const *)argv + 3,
                                   .n_folders = argc - 3};
  size_t length;
  char *text = whole_file(argv[2], &length);
  if (!text) {
    fprintf(stderr, "cornu: cannot read %s\n", argv[2]);
    return 1;
  }
  cornu_status status = cornu_sandbox_new(&o, &s, &e);
  if (!status) status = cornu_sandbox_run(s, text, length, argv[2], &e);
  if (status) fprintf(stderr, "cornu: %s\n", e.message);
  cornu_sandbox_free(s);
  free(text);
  return status != CORNU_OK;
}

typedef struct start { int argc; char **argv; int status; } start;

static int run(lua_State *L) {
  start *s = lua_touserdata(L, 1);
  char folder[PATH_MAX];
  lua_folder(folder, sizeof folder);
  luaL_openlibs(L);
  preload(L, "cornu.core", luaopen_cornu_core);
  preload(L, "cornu.host", cn_host_open);
  lua_pushfstring(L, "%s/?.lua;%s/?/init.lua", folder, folder);
  prepend(L, "path", lua_tostring(L, -1));
  lua_pop(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "cornu.cli");
  lua_call(L, 1, 1);
  push_command_line(L, s->argc, s->argv);
  lua_pushstring(L, folder);
  lua_call(L, 2, 1);
  s->status = (int)lua_tointeger(L, -1);
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 2 && !strcmp(argv[1], "--sandbox")) return run_sandboxed(argc, argv);
  lua_State *L = luaL_newstate();
  start s = {argc, argv, 1};
  if (!L) {
    fputs("cornu: out of memory\n", stderr);
    return 1;
  }
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, &s);
  if (cn_host_call(L, 1, 0)) {
    const char *text = lua_tostring(L, -1);
    fprintf(stderr, "cornu: %s\n", text ? text : "an error that is not text");
    s.status = 1;
  }
  lua_close(L);
  fflush(stdout);
  return s.status;
}
