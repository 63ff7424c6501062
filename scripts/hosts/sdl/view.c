/* Draws into the window's own pixels: what was there fades, so that everything that moves has a tail. Nothing is
 * allocated per frame, which SDL's renderer does for each triangle. */
#include "view.h"

#include <SDL.h>

#include "mods.h"

enum { SCALE = 60, FOOD = 9 }; /* pixels: of a unit of the world, the radius of a food */

struct view {
  SDL_Window *window;
  SDL_Surface *surface;
};

static const uint32_t colours[MODS] = {0x60c8ff, 0xffc857, 0xba82ff, 0xff6961, 0x77dd77};

view *view_open(void) {
  view *v = SDL_calloc(1, sizeof *v);
  if (!v || SDL_Init(SDL_INIT_VIDEO)) return NULL;
  v->window = SDL_CreateWindow("A thousand foragers", SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED,
                               (int)(WIDTH * SCALE), (int)(HEIGHT * SCALE), 0);
  v->surface = v->window ? SDL_GetWindowSurface(v->window) : NULL;
  if (v->surface && v->surface->format->BytesPerPixel == 4) return v;
  SDL_SetError("the window has no pixels of 32 bits");
  return NULL;
}

void view_close(view *v) {
  SDL_DestroyWindow(v->window);
  SDL_free(v);
  SDL_Quit();
}

static uint32_t *row(view *v, int y) { return (uint32_t *)((char *)v->surface->pixels + y * v->surface->pitch); }

static void fade(view *v) {
  for (int y = 0; y < v->surface->h; y++) {
    uint32_t *p = row(v, y);
    for (int x = 0; x < v->surface->w; x++) p[x] -= (p[x] >> 3 & 0x1f1f1f) + (p[x] >> 4 & 0x0f0f0f);
  }
}

static void dot(view *v, float x, float y, float radius, uint32_t colour) {
  const int left = (int)(x * SCALE - radius), top = (int)(y * SCALE - radius), size = (int)(2 * radius) + 2;
  for (int j = SDL_max(top, 0); j < SDL_min(top + size, v->surface->h); j++)
    for (int i = SDL_max(left, 0); i < SDL_min(left + size, v->surface->w); i++) {
      const float dx = (float)i - x * SCALE, dy = (float)j - y * SCALE;
      if (dx * dx + dy * dy <= radius * radius) row(v, j)[i] = colour;
    }
}

void view_draw(view *v, const world *w) {
  SDL_LockSurface(v->surface);
  fade(v);
  for (int i = 0; i < FOODS; i++) {
    dot(v, w->foods[i].x, w->foods[i].y, FOOD, 0x8a6a20);
    dot(v, w->foods[i].x, w->foods[i].y, FOOD * 0.6f, 0xfff0c0);
  }
  for (int i = 0; i < AGENTS; i++) {
    const agent *a = &w->agents[i];
    dot(v, a->x, a->y, 2.5f, colours[mod_of(i)]);
    dot(v, a->x + 0.05f * SDL_cosf(a->heading), a->y + 0.05f * SDL_sinf(a->heading), 1.2f, 0xffffff);
  }
  SDL_UnlockSurface(v->surface);
  SDL_UpdateWindowSurface(v->window);
}

bool view_wants_to_leave(void) {
  SDL_Event event;
  bool leave = false;
  while (SDL_PollEvent(&event))
    leave = leave || event.type == SDL_QUIT || (event.type == SDL_KEYDOWN && event.key.keysym.sym == SDLK_ESCAPE);
  return leave;
}

cornu_status view_save(view *v, const char *path, cornu_error *e) {
  const int64_t shape[] = {v->surface->h, v->surface->w, 3};
  cornu_tensor *t;
  cornu_status status = cornu_tensor_new(CORNU_UINT8, 3, shape, &t, e);
  if (status) return status;
  uint8_t *to = cornu_tensor_data(t);
  for (int y = 0; y < v->surface->h; y++)
    for (int x = 0; x < v->surface->w; x++, to += 3)
      SDL_GetRGB(row(v, y)[x], v->surface->format, &to[0], &to[1], &to[2]);
  status = cornu_image_save(path, t, e);
  cornu_tensor_release(t);
  return status;
}
