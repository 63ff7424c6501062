/* The optimizer's state in model files, and weights alone into a model that has others. */
#include "common/support.h"

static cornu_status visit(void *user, const char *name, cornu_tensor *t, cornu_error *e) {
  (void)user, (void)name, (void)t, (void)e;
  return CORNU_OK;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
  (void)seed;
  return fuzz_mutate_zip(data, size, max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *path = fuzz_file(data, size);
  const cornu_load_options options = {.struct_size = sizeof options};
  cornu_model *m = NULL;
  if (!cornu_model_load(path, NULL, &options, &m, NULL)) {
    cornu_model_optimizer_weights(m, visit, NULL, NULL);
    cornu_model_load_weights(m, "tests/fuzz/regressions/optimizer/adam.weights.h5", &options, NULL);
    cornu_model_release(m);
  }
  if (cornu_model_load("tests/fuzz/regressions/optimizer/adam.json", NULL, &options, &m, NULL)) return 0;
  if (!cornu_model_load_weights(m, path, &options, NULL)) cornu_model_optimizer_weights(m, visit, NULL, NULL);
  cornu_model_release(m);
  return 0;
}
