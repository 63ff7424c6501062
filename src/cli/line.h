/* Line editing by libedit: history, completion, Ctrl-C that clears the line. */
#ifndef CN_CLI_LINE_H
#define CN_CLI_LINE_H

#include <lua.h>

/* Adds to the table on top:
 *   editor(history_file, complete) starts editing on the terminal; complete(text before the cursor) gives the number of
 *     bytes to replace before the cursor and a list of candidates
 *   readline(prompt) -> line; nil at the end of input; false when Ctrl-C cleared the line
 *   remember(line) appends to the history, in memory and in its file
 *   edit_end() gives the terminal back */
void cn_line_open(lua_State *L);

#endif
