/* Flat files: made by hand, whole and damaged in each way that their header can be. */
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

#include "formats/flat.h"

static char path[64];

static int setup(void **state) {
  (void)state;
  snprintf(path, sizeof path, "/tmp/cornu-flat-XXXXXX");
  int fd = mkstemp(path);
  return fd < 0 ? -1 : close(fd);
}
static int teardown(void **state) {
  (void)state;
  return unlink(path);
}

#define MODEL                                                                                                  \
  "\"__metadata__\": {\"format\": \"cornu\", \"version\": \"1\", \"model\": \"{\\\"class_name\\\": "            \
  "\\\"Sequential\\\", \\\"config\\\": {\\\"name\\\": \\\"m\\\", \\\"layers\\\": [{\\\"class_name\\\": "        \
  "\\\"Dense\\\", \\\"config\\\": {\\\"name\\\": \\\"d\\\", \\\"units\\\": 2, \\\"batch_input_shape\\\": "      \
  "[null, 3]}}]}, \\\"cornu_origin\\\": {\\\"keras\\\": [2, 3, 1]}, \\\"keras_version\\\": \\\"2.3.1\\\", "    \
  "\\\"backend\\\": \\\"\\\"}\"}"
#define KERNEL "\"d/kernel\": {\"dtype\": \"F32\", \"shape\": [3, 2], \"data_offsets\": [0, 24]}"
#define BIAS "\"d/bias\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [24, 32]}"

/* A header and so many bytes of the numbers 0.5, 1.5, 2.5 … behind it. */
static void write_with(const char *header, uint64_t length, int bytes) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  fwrite(&length, 8, 1, f);
  fputs(header, f);
  for (int i = 0; i < bytes / 4; i++) fwrite(&(float){(float)i + 0.5f}, 4, 1, f);
  fclose(f);
}
static void write_file(const char *header, int bytes) { write_with(header, strlen(header), bytes); }

static cornu_model *load(void) {
  cornu_model *m;
  cn_error e;
  if (cornu_model_load(path, NULL, NULL, &m, &e)) fail_msg("%s", e.message);
  return m;
}

static void assert_fails(cn_status status, const char *what) {
  cornu_model *m;
  cn_error e;
  assert_int_equal(cornu_model_load(path, NULL, NULL, &m, &e), status);
  assert_null(m);
  if (!strstr(e.message, what)) fail_msg("\"%s\" does not say \"%s\"", e.message, what);
}

static double weight(cornu_model *m, int i, int64_t row, int64_t column) {
  return cornu_tensor_get(cornu_layer_weight(cornu_model_layer_named(m, "d"), i), (int64_t[]){row, column});
}

/* Whatever the length of the header, and so the alignment of the data. */
static void test_whole(void **state) {
  (void)state;
  for (int blanks = 0; blanks < 8; blanks++) {
    char header[4096];
    snprintf(header, sizeof header, "{" MODEL ", " KERNEL ", " BIAS "}%*s", blanks, "");
    write_file(header, 32);
    cornu_model *m = load();
    float x[] = {1, 0, 2}, *y;
    cornu_tensor *in, *out = NULL;
    assert_int_equal(cornu_tensor_wrap(CORNU_FLOAT32, 2, (int64_t[]){1, 3}, x, NULL, NULL, &in, NULL), CORNU_OK);
    assert_int_equal(cornu_model_predict(m, &in, 1, &out, NULL), CORNU_OK);
    y = cornu_tensor_data(out);
    assert_true(y[0] == 0.5f + 2 * 4.5f + 6.5f && y[1] == 1.5f + 2 * 5.5f + 7.5f);
    assert_true(weight(m, 0, 2, 1) == 5.5 && weight(m, 1, 1, 0) == 7.5);
    assert_string_equal(cornu_model_keras_version(m), "2.3.1");
    cornu_tensor_release(in);
    cornu_tensor_release(out);
    cornu_model_release(m);
  }
}

static void test_of_other_type(void **state) {
  (void)state;
  write_file("{" MODEL ", " KERNEL ", \"d/bias\": {\"dtype\": \"I32\", \"shape\": [2], \"data_offsets\": [24, 32]}}", 32);
  cornu_model *m = load();
  assert_true(weight(m, 1, 0, 0) == (double)(float)0x40d00000);
  cornu_model_release(m);
}

static void test_same(void **state) {
  (void)state;
  static const char model[] = "\"__metadata__\": {\"format\": \"cornu\", \"version\": \"1\", \"model\": \"{"
    "\\\"class_name\\\": \\\"Sequential\\\", \\\"config\\\": {\\\"layers\\\": [{\\\"class_name\\\": \\\"Dense\\\", \\\"config\\\": "
    "{\\\"name\\\": \\\"d\\\", \\\"units\\\": 2, \\\"batch_input_shape\\\": [null, 3]}}]}, "
    "\\\"same\\\": {\\\"d/bias\\\": \\\"other\\\"}}\"}";
  char header[4096];
  snprintf(header, sizeof header, "{%s, " KERNEL ", \"other\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": "
           "[24, 32]}}", model);
  write_file(header, 32);
  cornu_model *m = load();
  assert_true(weight(m, 1, 1, 0) == 7.5);
  cornu_model_release(m);
}

static void test_damaged(void **state) {
  (void)state;
  static const struct { const char *header; int bytes; cn_status status; const char *what; } files[] = {
      {"{" MODEL ", " KERNEL ", " BIAS "}", 28, CORNU_ERR_FORMAT, "cut short"},
      {"{" MODEL ", " KERNEL ", " BIAS "}", 36, CORNU_ERR_FORMAT, "4 bytes behind the last array"},
      {"{" MODEL ", " KERNEL "}", 24, CORNU_ERR_FORMAT, "no array \"d/bias\""},
      {"{" MODEL ", " KERNEL ", " BIAS ", \"e\": {\"dtype\": \"U8\", \"shape\": [0], \"data_offsets\": [32, 32]}}", 32,
       CORNU_ERR_FORMAT, "array \"e\": the model has no such weight"},
      {"{" MODEL ", " KERNEL ", \"d/bias\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [16, 24]}}", 24,
       CORNU_ERR_FORMAT, "begins at 16, expected 24"},
      {"{" MODEL ", " KERNEL ", \"d/bias\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [28, 36]}}", 36,
       CORNU_ERR_FORMAT, "begins at 28, expected 24"},
      {"{" MODEL ", " KERNEL ", \"d/bias\": {\"dtype\": \"F32\", \"shape\": [3], \"data_offsets\": [24, 32]}}", 32,
       CORNU_ERR_FORMAT, "does not fill its 8 bytes"},
      {"{" MODEL ", " KERNEL ", \"d/bias\": {\"dtype\": \"F32\", \"shape\": [1, 2], \"data_offsets\": [24, 32]}}", 32,
       CORNU_ERR_SHAPE, "bias is (1, 2) in the file, the config needs (2,)"},
      {"{" MODEL ", " KERNEL ", \"d/bias\": {\"dtype\": \"F32\", \"shape\": [4294967296, 4294967296], "
       "\"data_offsets\": [24, 24]}}", 24, CORNU_ERR_FORMAT, "does not fill"},
      {"{" MODEL ", " KERNEL ", \"d/bias\": {\"dtype\": \"F32\", \"shape\": [-2], \"data_offsets\": [24, 32]}}", 32,
       CORNU_ERR_FORMAT, "shape is [-2]"},
      {"{" MODEL ", " KERNEL ", \"d/bias\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [32, 24]}}", 32,
       CORNU_ERR_FORMAT, "data_offsets is [32, 24]"},
      {"{" MODEL ", " KERNEL ", \"d/bias\": {\"dtype\": \"F8_E5M2\", \"shape\": [8], \"data_offsets\": [24, 32]}}", 32,
       CORNU_ERR_UNSUPPORTED, "dtype is \"F8_E5M2\""},
      {"{" MODEL ", " KERNEL ", \"d/bias\": 7}", 24, CORNU_ERR_FORMAT, "array \"d/bias\" > dtype is null"},
      {"{\"__metadata__\": {\"format\": \"cornu\", \"version\": \"2\", \"model\": \"{}\"}}", 0, CORNU_ERR_UNSUPPORTED,
       "version 2"},
      {"{\"__metadata__\": {\"format\": \"cornu\", \"version\": \"1\", \"model\": \"{}\"}}", 0, CORNU_ERR_FORMAT,
       "not a Keras model"},
      {"{\"__metadata__\": {\"format\": \"pt\"}, " KERNEL "}", 24, CORNU_ERR_UNSUPPORTED, "holds arrays and no model"},
      {"{" KERNEL, 24, CORNU_ERR_FORMAT, "the header"}};
  for (int i = 0; i < CN_COUNT(files); i++) {
    write_file(files[i].header, files[i].bytes);
    assert_fails(files[i].status, files[i].what);
  }
  write_with("{" MODEL "}", 100000, 0);
  assert_fails(CORNU_ERR_FORMAT, "the header has 100000 bytes");
}

static void test_limits(void **state) {
  (void)state;
  cornu_limits old = {.struct_size = sizeof old}, small = {.struct_size = sizeof small, .max_tensor_bytes = 16};
  cornu_get_limits(&old);
  cornu_set_limits(&small);
  write_file("{" MODEL ", " KERNEL ", " BIAS "}", 32);
  assert_fails(CORNU_ERR_LIMIT, "array \"d/kernel\" > it has 24 bytes, the limit is 16");
  cornu_set_limits(&old);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole), cmocka_unit_test(test_of_other_type),
                                     cmocka_unit_test(test_same), cmocka_unit_test(test_damaged),
                                     cmocka_unit_test(test_limits)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
