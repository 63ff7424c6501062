/* Files of MNIST's kind, plain or packed by gzip. */
#include "common/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cornu_tensor *t = NULL;
  if (!cornu_idx_load(fuzz_file(data, size), &t, NULL)) cornu_tensor_release(t);
  return 0;
}
