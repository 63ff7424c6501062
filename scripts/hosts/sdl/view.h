/* The picture of the world. */
#ifndef CORNU_HOSTS_VIEW_H
#define CORNU_HOSTS_VIEW_H

#include <stdbool.h>

#include "cornu.h"
#include "world.h"

typedef struct view view;

view *view_open(void); /* NULL: SDL_GetError tells why */
void view_close(view *v);
void view_draw(view *v, const world *w);
bool view_wants_to_leave(void);
cornu_status view_save(view *v, const char *path, cornu_error *e); /* a PNG file */

#endif
