/* Configs in JSON: read, written, built into a model with new weights, run. */
#include "common/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cornu_tree *tree = cornu_tree_new();
  cornu_value *v;
  const char *text;
  if (tree && !cornu_json_read(tree, (const char *)data, size, &v, NULL)) cornu_json_write(tree, v, 0, &text, NULL);
  cornu_tree_free(tree);
  fuzz_model(fuzz_file(data, size), NULL);
  return 0;
}
