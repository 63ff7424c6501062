/* The digits model for a page: JavaScript writes the pixels, asks, and reads the probabilities of the ten digits. */
#include <emscripten.h>
#include <stdio.h>

#include "cornu.h"

static cornu_runner *runner;

EMSCRIPTEN_KEEPALIVE int digits_load(const char *path) {
  cornu_model *m;
  cornu_error e;
  cornu_status status = cornu_model_load(path, NULL, NULL, &m, &e);
  if (!status) status = cornu_runner_new(m, NULL, &runner, &e);
  if (status) fprintf(stderr, "%s\n", e.message);
  cornu_model_release(m);
  return status;
}

EMSCRIPTEN_KEEPALIVE float *digits_pixels(void) { return cornu_runner_data(runner, CORNU_RUNNER_INPUT, 0); }
EMSCRIPTEN_KEEPALIVE float *digits_chances(void) { return cornu_runner_data(runner, CORNU_RUNNER_OUTPUT, 0); }
EMSCRIPTEN_KEEPALIVE int digits_run(void) { return cornu_runner_run(runner, NULL); }
EMSCRIPTEN_KEEPALIVE const char *digits_isa(void) { return cornu_isa(); }
