#include "cli/line.h"

#include <histedit.h>
#include <lauxlib.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HISTORY = 2000, CONTROL_C = 3 };

/* There is one terminal, so there is one editor. */
static struct {
  EditLine *el;
  History *history;
  char *file;
  const char *prompt;
  lua_State *L;
  int complete; /* registry reference */
  int cancelled;
} editor = {.complete = LUA_NOREF};

static char *prompt(EditLine *el) {
  (void)el;
  return (char *)editor.prompt;
}

static unsigned char cancel_line(EditLine *el, int ch) {
  (void)ch;
  const LineInfo *line = el_line(el);
  el_cursor(el, (int)(line->lastchar - line->cursor));
  el_deletestr(el, (int)(line->lastchar - line->buffer));
  editor.cancelled = 1;
  fputs("^C\n", stdout);
  fflush(stdout);
  return CC_NEWLINE;
}

static unsigned char suspend(EditLine *el, int ch) {
  (void)el, (void)ch;
  el_set(editor.el, EL_PREP_TERM, 0);
  kill(0, SIGTSTP);
  el_set(editor.el, EL_PREP_TERM, 1);
  return CC_REDISPLAY;
}

/* ---- completion ---- */

static size_t common_prefix(const char *a, const char *b, size_t most) {
  size_t n = 0;
  while (n < most && a[n] && a[n] == b[n]) n++;
  return n;
}

static void show_candidates(lua_State *L, int list, int count) {
  size_t widest = 0;
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, list, i);
    size_t length = strlen(lua_tostring(L, -1));
    widest = length > widest ? length : widest;
    lua_pop(L, 1);
  }
  int columns = (int)(80 / (widest + 2));
  if (columns < 1) columns = 1;
  putchar('\n');
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, list, i);
    printf("%-*s%s", (int)widest + 2, lua_tostring(L, -1), i % columns == 0 || i == count ? "\n" : "");
    lua_pop(L, 1);
  }
  fflush(stdout);
}

/* Stack: count of bytes to replace, list of candidates. */
static unsigned char use_candidates(EditLine *el, lua_State *L) {
  const LineInfo *line = el_line(el);
  int list = lua_gettop(L), count = (int)lua_rawlen(L, list);
  size_t typed = (size_t)lua_tointeger(L, list - 1), before = (size_t)(line->cursor - line->buffer);
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, list, i);
    if (lua_type(L, -1) != LUA_TSTRING) return CC_ERROR;
    lua_pop(L, 1);
  }
  if (count == 0 || typed > before) return CC_ERROR;
  lua_rawgeti(L, list, 1);
  const char *first = lua_tostring(L, -1);
  size_t shared = strlen(first);
  for (int i = 2; i <= count; i++) {
    lua_rawgeti(L, list, i);
    shared = common_prefix(first, lua_tostring(L, -1), shared);
    lua_pop(L, 1);
  }
  if (shared <= typed && count > 1) {
    show_candidates(L, list, count);
    return CC_REDISPLAY;
  }
  lua_pushlstring(L, first, shared);
  el_deletestr(el, (int)typed);
  return el_insertstr(el, lua_tostring(L, -1)) == 0 ? CC_REFRESH : CC_ERROR;
}

static unsigned char complete(EditLine *el, int ch) {
  (void)ch;
  lua_State *L = editor.L;
  if (editor.complete == LUA_NOREF || !L) return CC_ERROR;
  int top = lua_gettop(L);
  const LineInfo *line = el_line(el);
  lua_rawgeti(L, LUA_REGISTRYINDEX, editor.complete);
  lua_pushlstring(L, line->buffer, (size_t)(line->cursor - line->buffer));
  unsigned char answer = CC_ERROR;
  if (lua_pcall(L, 1, 2, 0) == LUA_OK && lua_istable(L, -1)) answer = use_candidates(el, L);
  lua_settop(L, top);
  return answer;
}

/* ---- life ---- */

static void end_editing(void) {
  if (editor.history) history_end(editor.history);
  if (editor.el) el_end(editor.el);
  free(editor.file);
  editor.history = NULL;
  editor.el = NULL;
  editor.file = NULL;
}

/* libedit drops what the locale has no character for, so a locale of bytes gives way to UTF-8. */
static void choose_characters(void) {
  setlocale(LC_CTYPE, "");
  if (MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
}

static int start_editing(lua_State *L) {
  const char *file = luaL_optstring(L, 1, NULL);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  end_editing();
  choose_characters();
  editor.el = el_init("cornu", stdin, stdout, stderr);
  editor.history = history_init();
  if (!editor.el || !editor.history) {
    end_editing();
    return luaL_error(L, "the terminal cannot be used for line editing");
  }
  HistEvent event;
  history(editor.history, &event, H_SETSIZE, HISTORY);
  history(editor.history, &event, H_SETUNIQUE, 1);
  el_set(editor.el, EL_PROMPT, prompt);
  el_set(editor.el, EL_EDITOR, "emacs");
  el_set(editor.el, EL_HIST, history, editor.history);
  el_set(editor.el, EL_SIGNAL, 0);
  /* Ctrl-C and Ctrl-Z come as characters while a line is edited, as signals while it runs. */
  el_set(editor.el, EL_SETTY, "-d", "-isig", NULL);
  el_set(editor.el, EL_ADDFN, "cornu-complete", "complete names", complete);
  el_set(editor.el, EL_ADDFN, "cornu-cancel", "clear the line", cancel_line);
  el_set(editor.el, EL_ADDFN, "cornu-suspend", "suspend the program", suspend);
  el_set(editor.el, EL_BIND, "^I", "cornu-complete", NULL);
  el_set(editor.el, EL_BIND, "^C", "cornu-cancel", NULL);
  el_set(editor.el, EL_BIND, "^Z", "cornu-suspend", NULL);
  el_set(editor.el, EL_BIND, "^R", "em-inc-search-prev", NULL);
  el_set(editor.el, EL_BIND, "\033[1~", "ed-move-to-beg", NULL);
  el_set(editor.el, EL_BIND, "\033[4~", "ed-move-to-end", NULL);
  el_set(editor.el, EL_BIND, "\033[3~", "ed-delete-next-char", NULL);
  editor.L = L;
  luaL_unref(L, LUA_REGISTRYINDEX, editor.complete);
  lua_pushvalue(L, 2);
  editor.complete = luaL_ref(L, LUA_REGISTRYINDEX);
  if (file && (editor.file = strdup(file))) history(editor.history, &event, H_LOAD, editor.file);
  return 0;
}

static int read_line(lua_State *L) {
  editor.prompt = luaL_checkstring(L, 1);
  editor.L = L;
  editor.cancelled = 0;
  int count = 0;
  const char *line = editor.el ? el_gets(editor.el, &count) : NULL;
  if (editor.cancelled) {
    lua_pushboolean(L, 0);
    return 1;
  }
  if (!line || count <= 0) {
    lua_pushnil(L);
    return 1;
  }
  while (count > 0 && (line[count - 1] == '\n' || line[count - 1] == '\r')) count--;
  lua_pushlstring(L, line, (size_t)count);
  return 1;
}

static int remember(lua_State *L) {
  const char *line = luaL_checkstring(L, 1);
  HistEvent event;
  if (!editor.history) return 0;
  history(editor.history, &event, H_ENTER, line);
  if (editor.file) history(editor.history, &event, H_SAVE, editor.file);
  return 0;
}

static int edit_end(lua_State *L) {
  (void)L;
  end_editing();
  return 0;
}

void cn_line_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"editor", start_editing}, {"readline", read_line}, {"remember", remember}, {"edit_end", edit_end}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
