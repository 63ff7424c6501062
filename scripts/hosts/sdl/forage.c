/* A thousand foragers, each with its own memory: one run of a recurrent network per frame for all of them, and scripts
 * of strangers that make turns of its answers.
 *
 *   forage MODEL MODS [--frames N] [--swap FRAME FILE]… [--screenshot FILE.png]
 *
 * With --frames it measures N frames with the network and N without, and leaves; --swap puts another file in the
 * model's place at that frame. Escape leaves. */
#include <SDL.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brain.h"
#include "counts.h"
#include "mods.h"
#include "view.h"
#include "world.h"

/* Frames: until it is measured, between looks at the file, at most. */
enum { WARM = 60, LOOK = 30, MOST = 100000, SWAPS = 4 };

typedef struct options {
  const char *model, *mods, *picture;
  struct { const char *file; int frame; } swaps[SWAPS];
  int frames, n_swaps;
} options;

typedef struct times { double whole[MOST], senses[MOST], network[MOST], mods[MOST]; int n; } times;

typedef struct host {
  options o;
  world world;
  brain brain;
  mods *mods;
  view *view;
  times times;
  long mallocs, hooks; /* in measured frames, while network and mods were at work */
  long drawing;        /* malloc in the rest of them */
  bool event;          /* this frame loaded a file or stopped a mod */
} host;

static int fail(const cornu_error *e) { return fprintf(stderr, "forage: %s\n", e->message), 1; }

/* ---- a frame ---- */

static void look_at_file(host *h, int frame) {
  cornu_error e;
  for (int i = 0; i < h->o.n_swaps; i++)
    if (frame == h->o.swaps[i].frame && rename(h->o.swaps[i].file, h->o.model)) perror(h->o.swaps[i].file);
  if (frame % LOOK || !brain_file_changed(&h->brain)) return;
  h->event = true;
  if (brain_load(&h->brain, AGENTS, &e))
    printf("frame %d: loaded %s anew, %ld meals so far\n", frame, h->o.model, h->world.meals);
  else printf("frame %d: kept the old model: %s\n", frame, e.message);
}

static bool think(host *h, cornu_error *e) {
  times *t = &h->times;
  const double begin = cornu_clock();
  world_sense(&h->world, h->brain.features);
  const double sensed = cornu_clock();
  if (cornu_runner_run(h->brain.runner, e)) return false;
  const double ran = cornu_clock();
  if (mods_frame(h->mods, h->world.agents, h->brain.turns)) h->event = true;
  t->senses[t->n] = sensed - begin;
  t->network[t->n] = ran - sensed;
  t->mods[t->n] = cornu_clock() - ran;
  return true;
}

static void without_network(world *w) {
  for (int i = 0; i < AGENTS; i++) w->agents[i].turn = (float)(i % 3 - 1);
}

static bool run_frame(host *h, int frame, bool network, cornu_error *e) {
  times *t = &h->times;
  const double begin = cornu_clock();
  h->event = false;
  if (network) look_at_file(h, frame);
  const long mallocs = counts_malloc(), hooks = counts_hooks();
  if (!network) without_network(&h->world);
  else if (!think(h, e)) return false;
  const long thought = counts_malloc(), hooked = counts_hooks();
  world_step(&h->world);
  view_draw(h->view, &h->world);
  t->whole[t->n] = cornu_clock() - begin;
  if (frame < WARM || h->event || t->n + 1 == MOST) return true;
  h->mallocs += thought - mallocs;
  h->hooks += hooked - hooks;
  h->drawing += counts_malloc() - thought;
  t->n++;
  return true;
}

/* ---- what it says ---- */

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void say(const char *what, double *seconds, int n) {
  qsort(seconds, (size_t)n, sizeof *seconds, compare);
  printf("  %-8s median %.3f ms, p99.9 %.3f ms\n", what, seconds[n / 2] * 1e3, seconds[(int)(0.999 * n)] * 1e3);
}

static void report(host *h, bool network, long meals) {
  times *t = &h->times;
  printf("%s the network, %d agents, %d frames, %ld meals\n", network ? "with" : "without", AGENTS, t->n, meals);
  if (t->n == 0) return;
  say("frame", t->whole, t->n);
  if (network) say("senses", t->senses, t->n), say("network", t->network, t->n), say("mods", t->mods, t->n);
  printf("  allocations in these frames: network and mods %ld by malloc, %ld by the context; the rest %ld\n",
         h->mallocs, h->hooks, h->drawing);
}

/* ---- the program ---- */

static bool measure(host *h, bool network, cornu_error *e) {
  const long before = h->world.meals;
  h->times.n = 0;
  h->mallocs = h->hooks = h->drawing = 0;
  for (int frame = 0; frame < h->o.frames + WARM; frame++) {
    if (!run_frame(h, frame, network, e)) return false;
    if (network && h->o.picture && frame == 140 && view_save(h->view, h->o.picture, e)) return false;
  }
  report(h, network, h->world.meals - before);
  return true;
}

static bool play(host *h, cornu_error *e) {
  for (int frame = 0; !view_wants_to_leave(); frame++) {
    const Uint64 begin = SDL_GetTicks64();
    if (!run_frame(h, frame, true, e)) return false;
    const Uint64 took = SDL_GetTicks64() - begin;
    if (took < 16) SDL_Delay((Uint32)(16 - took));
  }
  return true;
}

static bool read_options(options *o, int argc, char **argv) {
  if (argc < 3) return false;
  *o = (options){.model = argv[1], .mods = argv[2]};
  for (int i = 3; i < argc; i++) {
    const int left = argc - 1 - i;
    if (!strcmp(argv[i], "--frames") && left >= 1) o->frames = atoi(argv[++i]);
    else if (!strcmp(argv[i], "--screenshot") && left >= 1) o->picture = argv[++i];
    else if (!strcmp(argv[i], "--swap") && left >= 2 && o->n_swaps < SWAPS) {
      o->swaps[o->n_swaps].frame = atoi(argv[++i]);
      o->swaps[o->n_swaps++].file = argv[++i];
    } else return false;
  }
  return o->frames >= 0 && o->frames < MOST;
}

static bool begin(host *h, cornu_error *e) {
  h->brain.path = h->o.model;
  if (!brain_load(&h->brain, AGENTS, e) || !(h->mods = mods_open(h->o.mods, e))) return false;
  h->view = view_open();
  if (!h->view) snprintf(e->message, sizeof e->message, "%s", SDL_GetError());
  world_begin(&h->world);
  return h->view != NULL;
}

int main(int argc, char **argv) {
  static host h;
  cornu_error e;
  cornu_context *context;
  const cornu_context_options c = {.struct_size = sizeof c, .allocator = counts_allocator};
  if (!read_options(&h.o, argc, argv)) return fprintf(stderr, "forage MODEL MODS [--frames N] …\n"), 2;
  if (cornu_context_new(&c, &context, &e)) return fail(&e);
  cornu_context_use(context);
  if (!begin(&h, &e)) return fail(&e);
  if (h.o.frames ? !measure(&h, true, &e) || !measure(&h, false, &e) : !play(&h, &e)) return fail(&e);
  view_close(h.view);
  mods_close(h.mods);
  brain_end(&h.brain);
  printf("the context holds %zu bytes at the end\n", cornu_context_memory(context));
  cornu_context_use(NULL);
  cornu_context_release(context);
  return 0;
}
