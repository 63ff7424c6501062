/* The network of all agents: one run per frame, a state for each. Its file may change while the host runs. */
#ifndef CORNU_HOSTS_BRAIN_H
#define CORNU_HOSTS_BRAIN_H

#include <sys/stat.h>

#include "cornu.h"

typedef struct brain {
  const char *path;
  cornu_runner *runner;
  float *features, *turns; /* the runner's input and output */
  struct timespec changed; /* the file, when it was read */
} brain;

/* False: the error tells why; the brain stays as it was. States go on where they were. */
bool brain_load(brain *b, int agents, cornu_error *e);
bool brain_file_changed(const brain *b);
void brain_end(brain *b);

#endif
