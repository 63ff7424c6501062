/* Flat files: a header in JSON, the model's JSON in that, arrays. From a file, and from memory. */
#include "common/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *path = fuzz_file(data, size);
  fuzz_model(path, NULL);
  fuzz_model("tests/formats/two.json", path);
  fuzz_memory(data, size);
  return 0;
}
