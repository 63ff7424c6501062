/* NumPy's arrays: .npy and .npz. */
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
  cornu_tensor *t = NULL;
  if (!cornu_npy_load(path, &t, NULL)) cornu_tensor_release(t);
  cornu_npz_load(path, visit, NULL, NULL);
  return 0;
}
