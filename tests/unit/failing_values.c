/* Memory runs out at every allocation in turn while values, tensors, operations and files of arrays are used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after those */
#include <cmocka.h>

#include "failing_hooks.h"

static cornu_status count_arrays(void *user, const char *name, cornu_tensor *t, cornu_error *e) {
  (void)t, (void)e;
  *(int *)user += name[0] == 'a' || name[0] == 'b';
  return CORNU_OK;
}

static cornu_status use_values(cornu_error *e) {
  static const char json[] = "{\"a\": [1, 2.5, \"text\", {\"b\": [true, null]}], \"c\": {}}";
  const char *text;
  cornu_value *v;
  cornu_tree *tree = cornu_tree_new();
  if (!tree) return e->status = CORNU_ERR_MEMORY;
  cornu_status status = cornu_json_read(tree, json, strlen(json), &v, e);
  if (!status) status = cornu_json_write(tree, v, 0, &text, e);
  if (!status) assert_string_equal(text, json);
  cornu_tree_free(tree);
  return status;
}

static cornu_status use_tensors(const char *path, cornu_error *e) {
  cornu_random r = {{1, 2, 3, 4}};
  cornu_tensor *t = NULL, *turned = NULL, *flat = NULL, *product = NULL, *image = NULL;
  char *text = NULL;
  int arrays = 0, n = 1;
  cornu_status status = cornu_tensor_new(CORNU_FLOAT32, 2, (const int64_t[]){6, 4}, &t, e);
  if (!status) status = cornu_random_normal(&r, t, 0, 1, e);
  if (!status) status = cornu_tensor_transpose(t, NULL, &turned, e);
  if (!status) status = cornu_tensor_reshape(turned, 1, (const int64_t[]){24}, &flat, e);
  if (!status) status = cornu_tensor_copy(t, t, e);
  if (!status) status = cornu_apply("matmul", (cornu_tensor *const[]){turned, t}, 2, NULL, &product, &n, e);
  if (!status) status = cornu_tensor_format(product, NULL, &text, e);
  if (!status)
    status = cornu_npz_save(path, (const char *const[]){"a", "b"}, (cornu_tensor *const[]){turned, flat}, 2, true, e);
  if (!status) status = cornu_npz_load(path, count_arrays, &arrays, e);
  if (!status) assert_int_equal(arrays, 2);
  if (!status) status = cornu_tensor_new(CORNU_UINT8, 3, (const int64_t[]){5, 7, 3}, &image, e);
  if (!status) status = cornu_image_save(path, image, e);
  cornu_tensor_release(image);
  image = NULL;
  if (!status) status = cornu_image_load(path, 4, &image, e);
  cornu_tensor *const owned[] = {t, turned, flat, product, image};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) cornu_tensor_release(owned[i]);
  cornu_free(text);
  return status;
}

static void test_without_models(void **state) {
  (void)state;
  char path[] = "/tmp/cornu-test-XXXXXX";
  close(mkstemp(path));
  for (int for_good = 0; for_good < 2; for_good++) {
    long n = 0, failures = 0;
    do {
      cornu_error e = {0};
      calls = 0;
      first_failure = ++n;
      last_failure = for_good ? INT32_MAX : n;
      cornu_status status = use_values(&e);
      if (!status) status = use_tensors(path, &e);
      if (status && (status != CORNU_ERR_MEMORY || e.status != status))
        fail_msg("allocation %ld: status %d, \"%s\"", n, status, e.message);
      if (blocks != 0) fail_msg("allocation %ld: %ld blocks lost", n, blocks);
      failures += status != CORNU_OK;
    } while (calls >= n);
    assert_true(failures > 20);
  }
  remove(path);
}

int main(void) {
  use_failing_hooks();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_without_models)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
