/* Archives of Keras 3: zip, JSON and HDF5 in one. */
#include "common/support.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
  (void)seed;
  return fuzz_mutate_zip(data, size, max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_model(fuzz_file(data, size), NULL);
  return 0;
}
