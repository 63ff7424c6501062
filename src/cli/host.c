/* Module "cornu.host": calls that Ctrl-C interrupts, terminals, folders. */
#include "cli/host.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/line.h"

/* ---- Ctrl-C ---- */

static lua_State *volatile running;

static void stop_lua(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted");
}

static void on_interrupt(int number) {
  (void)number;
  if (cornu_interrupt() && running) lua_sethook(running, stop_lua, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

static int add_traceback(lua_State *L) {
  const char *message = lua_tostring(L, 1);
  if (!message) {
    if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) return 1;
    message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  }
  if (getenv("CORNU_TRACEBACK")) luaL_traceback(L, L, message, 1);
  else lua_pushstring(L, message);
  return 1;
}

int cn_host_call(lua_State *L, int n_args, int n_results) {
  int base = lua_gettop(L) - n_args;
  lua_pushcfunction(L, add_traceback);
  lua_insert(L, base);
  lua_State *before = running;
  struct sigaction action = {.sa_handler = on_interrupt}, old;
  sigemptyset(&action.sa_mask);
  running = L;
  sigaction(SIGINT, &action, &old);
  int status = lua_pcall(L, n_args, n_results, base);
  sigaction(SIGINT, &old, NULL);
  running = before;
  lua_sethook(L, NULL, 0, 0);
  lua_remove(L, base);
  return status;
}

/* call(f, …) -> true, results… | false, message */
static int host_call(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  int status = cn_host_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  lua_pushboolean(L, status == LUA_OK);
  lua_insert(L, 1);
  return lua_gettop(L);
}

/* ---- terminals and files ---- */

static int descriptor(lua_State *L) {
  const char *const names[] = {"stdin", "stdout", "stderr", NULL};
  return luaL_checkoption(L, 1, "stdout", names);
}

static int host_isatty(lua_State *L) {
  lua_pushboolean(L, isatty(descriptor(L)));
  return 1;
}

/* width(stream) -> columns of its terminal, or nil */
static int host_width(lua_State *L) {
  struct winsize w;
  if (ioctl(descriptor(L), TIOCGWINSZ, &w) == 0 && w.ws_col > 0) lua_pushinteger(L, w.ws_col);
  else lua_pushnil(L);
  return 1;
}

static bool is_folder(const char *path) {
  struct stat s;
  return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* list(folder) -> sorted names, folders with a "/" behind; nil, message */
static int host_list(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct dirent **entries;
  int n = scandir(path, &entries, NULL, alphasort);
  if (n < 0) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, strerror(errno));
    return 2;
  }
  lua_createtable(L, n, 0);
  int count = 0;
  for (int i = 0; i < n; i++) {
    const char *name = entries[i]->d_name;
    if (strcmp(name, ".") && strcmp(name, "..")) {
      const char *full = lua_pushfstring(L, "%s/%s", path, name);
      lua_pushfstring(L, is_folder(full) ? "%s/" : "%s", name);
      lua_rawseti(L, -3, ++count);
      lua_pop(L, 1);
    }
    free(entries[i]);
  }
  free(entries);
  return 1;
}

/* mkdir(path) makes the folder and those above it; true or nil, message */
static int host_mkdir(lua_State *L) {
  size_t length;
  const char *path = luaL_checklstring(L, 1, &length);
  char *copy = lua_newuserdatauv(L, length + 1, 0);
  memcpy(copy, path, length + 1);
  for (size_t i = 1; i <= length; i++) {
    if (copy[i] != '/' && copy[i] != 0) continue;
    char end = copy[i];
    copy[i] = 0;
    if (mkdir(copy, 0700) && errno != EEXIST) {
      lua_pushnil(L);
      lua_pushfstring(L, "%s: %s", copy, strerror(errno));
      return 2;
    }
    copy[i] = end;
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int host_isfolder(lua_State *L) {
  lua_pushboolean(L, is_folder(luaL_checkstring(L, 1)));
  return 1;
}

int cn_host_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"call", host_call}, {"isatty", host_isatty}, {"width", host_width}, {"list", host_list},
      {"mkdir", host_mkdir}, {"isfolder", host_isfolder}, {NULL, NULL}};
  luaL_newlib(L, functions);
  cn_line_open(L);
  return 1;
}
