/* The world that scripts/hosts/sdl/train.lua trains for; the numbers are the same. */
#include "world.h"

#include <math.h>

#define SPEED 0.04f
#define TURN 0.15f
#define REACH 0.3f
#define NOISE 0.02f

static float chance(world *w) { /* 0 to 1 */
  w->random = w->random * 1664525u + 1013904223u;
  return (float)(w->random >> 8) / 16777216.0f;
}

static void place_food(world *w, int i) {
  w->foods[i].x = 0.5f + chance(w) * (WIDTH - 1);
  w->foods[i].y = 0.5f + chance(w) * (HEIGHT - 1);
}

void world_begin(world *w) {
  w->random = 12345;
  w->meals = 0;
  for (int i = 0; i < FOODS; i++) place_food(w, i);
  for (int i = 0; i < AGENTS; i++)
    w->agents[i] = (agent){chance(w) * WIDTH, chance(w) * HEIGHT, chance(w) * 6.2831853f, 0};
}

static int nearest(const world *w, float x, float y, float *distance) {
  int which = 0;
  float best = INFINITY;
  for (int i = 0; i < FOODS; i++) {
    const float dx = w->foods[i].x - x, dy = w->foods[i].y - y, d = dx * dx + dy * dy;
    if (d < best) best = d, which = i;
  }
  *distance = sqrtf(best);
  return which;
}

static float smell(world *w, const agent *a, float side) {
  float d;
  const float h = a->heading + side * 0.7f;
  nearest(w, a->x + 0.25f * cosf(h), a->y + 0.25f * sinf(h), &d);
  return expf(-d / 3) + (chance(w) * 2 - 1) * NOISE;
}

static float wall(const agent *a, float side) {
  const float x = a->x + cosf(a->heading + side * 0.6f), y = a->y + sinf(a->heading + side * 0.6f);
  return fmaxf(fmaxf(0, fmaxf(-x, x - WIDTH)), fmaxf(-y, y - HEIGHT));
}

void world_sense(world *w, float *features) {
  for (int i = 0; i < AGENTS; i++, features += FEATURES) {
    const agent *a = &w->agents[i];
    const float left = smell(w, a, 1), right = smell(w, a, -1);
    features[0] = (left + right) / 2;
    features[1] = (left - right) * 10;
    features[2] = wall(a, 1);
    features[3] = wall(a, -1);
    features[4] = a->turn;
  }
}

void world_step(world *w) {
  for (int i = 0; i < AGENTS; i++) {
    agent *a = &w->agents[i];
    float d;
    a->heading = fmodf(a->heading + a->turn * TURN, 6.2831853f);
    a->x = fminf(WIDTH, fmaxf(0, a->x + SPEED * cosf(a->heading)));
    a->y = fminf(HEIGHT, fmaxf(0, a->y + SPEED * sinf(a->heading)));
    const int food = nearest(w, a->x, a->y, &d);
    if (d > REACH) continue;
    w->meals++;
    place_food(w, food);
  }
}
