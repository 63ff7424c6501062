/* A thousand foragers and their food. Nothing here knows of networks or scripts. */
#ifndef CORNU_HOSTS_WORLD_H
#define CORNU_HOSTS_WORLD_H

#include <stdint.h>

enum { AGENTS = 1000, FOODS = 12, FEATURES = 5, TURNS = 3 };
#define WIDTH 16.0f
#define HEIGHT 10.0f

typedef struct agent { float x, y, heading, turn; } agent; /* turn: 1 left, 0, -1 right: what it does next */
typedef struct world {
  agent agents[AGENTS];
  struct { float x, y; } foods[FOODS];
  uint32_t random;
  long meals;
} world;

void world_begin(world *w);
void world_sense(world *w, float *features); /* FEATURES of each agent, one after the other */
void world_step(world *w);

#endif
