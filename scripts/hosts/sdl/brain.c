#include "brain.h"

static struct timespec changed_at(const char *path) {
  struct stat s;
  return stat(path, &s) ? (struct timespec){0, 0} : s.st_mtim;
}

bool brain_file_changed(const brain *b) {
  const struct timespec t = changed_at(b->path);
  return t.tv_sec && (t.tv_sec != b->changed.tv_sec || t.tv_nsec != b->changed.tv_nsec);
}

/* The states of the old runner go on in the new one, if it has the same. */
static bool keep_states(cornu_runner *from, cornu_runner *to, cornu_error *e) {
  const int n = cornu_runner_count(from, CORNU_RUNNER_STATE);
  for (int i = 0; i < n && n == cornu_runner_count(to, CORNU_RUNNER_STATE); i++)
    if (cornu_tensor_copy(cornu_runner_tensor(to, CORNU_RUNNER_STATE, i),
                          cornu_runner_tensor(from, CORNU_RUNNER_STATE, i), e))
      return false;
  return true;
}

bool brain_load(brain *b, int agents, cornu_error *e) {
  cornu_model *m;
  cornu_runner *r = NULL;
  const struct timespec changed = changed_at(b->path);
  const cornu_runner_options options = {.struct_size = sizeof options, .batch = agents};
  b->changed = changed; /* a file that is no good is not read again and again */
  if (cornu_model_load(b->path, NULL, NULL, &m, e)) return false;
  const bool fine = !cornu_runner_new(m, &options, &r, e) && (!b->runner || keep_states(b->runner, r, e));
  cornu_model_release(m);
  if (!fine) return cornu_runner_free(r), false;
  cornu_runner_free(b->runner);
  b->runner = r;
  b->features = cornu_runner_data(r, CORNU_RUNNER_INPUT, 0);
  b->turns = cornu_runner_data(r, CORNU_RUNNER_OUTPUT, 0);
  return true;
}

void brain_end(brain *b) { cornu_runner_free(b->runner); }
