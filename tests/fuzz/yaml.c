/* Configs in YAML, through libyaml. */
#include "common/support.h"

#include "formats/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cornu_tree *tree = cornu_tree_new();
  cornu_value *v;
  if (!tree) return 0;
  if (!cn_yaml_read(tree, (const char *)data, size, &v, NULL)) fuzz_model(fuzz_file(data, size), NULL);
  cornu_tree_free(tree);
  return 0;
}
