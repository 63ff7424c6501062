/* PNG and JPEG: round trips, conversions of channels, files of every kind that PNG has, damaged ones. */
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

#include "base/file.h"
#include "tensor/tensor.h"

static char path[64];

static int setup(void **state) {
  (void)state;
  snprintf(path, sizeof path, "/tmp/cornu-image-XXXXXX");
  int fd = mkstemp(path);
  return fd < 0 ? -1 : close(fd);
}
static int teardown(void **state) {
  (void)state;
  return unlink(path);
}

static void write_file(const void *data, size_t size) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, size, f), size);
  fclose(f);
}

/* Loads and compares with (h, w, c) bytes. */
static void expect(const char *file, int channels, const int64_t *shape, const unsigned char *bytes, int tolerance) {
  cn_tensor *t;
  cn_error e;
  if (cornu_image_load(file, channels, &t, &e)) fail_msg("%s", e.message);
  assert_int_equal(t->dtype, CORNU_UINT8);
  assert_true(cn_shape_equal(t->rank, t->shape, 3, shape));
  for (int64_t i = 0; i < cornu_tensor_size(t); i++)
    if (abs((unsigned char)t->data[i] - bytes[i]) > tolerance)
      fail_msg("%s: byte %d is %d, expected %d", file, (int)i, (unsigned char)t->data[i], bytes[i]);
  cornu_tensor_release(t);
}

static void save(int channels, const unsigned char *bytes) {
  cn_tensor *t;
  assert_int_equal(cornu_tensor_new(CORNU_UINT8, 3, (int64_t[]){2, 2, channels}, &t, NULL), CORNU_OK);
  memcpy(t->data, bytes, (size_t)(4 * channels));
  assert_int_equal(cornu_image_save(path, t, NULL), CORNU_OK);
  cornu_tensor_release(t);
}

static void test_png(void **state) {
  (void)state;
  static const unsigned char grey[] = {0, 1, 128, 255}, rgb[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30},
                             rgba[] = {255, 0, 0, 0, 0, 255, 0, 128, 0, 0, 255, 255, 1, 2, 3, 4};
  save(1, grey);
  expect(path, 0, (int64_t[]){2, 2, 1}, grey, 0);
  expect(path, 3, (int64_t[]){2, 2, 3}, (unsigned char[]){0, 0, 0, 1, 1, 1, 128, 128, 128, 255, 255, 255}, 0);
  save(3, rgb);
  expect(path, 0, (int64_t[]){2, 2, 3}, rgb, 0);
  expect(path, 1, (int64_t[]){2, 2, 1}, (unsigned char[]){76, 150, 29, 18}, 0);
  expect(path, 4, (int64_t[]){2, 2, 4}, (unsigned char[]){255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 10, 20, 30,
                                                          255}, 0);
  save(4, rgba);
  expect(path, 0, (int64_t[]){2, 2, 4}, rgba, 0);
  expect(path, 3, (int64_t[]){2, 2, 3}, (unsigned char[]){255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3}, 0);
}

/* Files of tests/formats: the same picture, black red / green white, in the ways that PNG has. */
static void test_png_kinds(void **state) {
  (void)state;
  static const unsigned char rgb[] = {0, 0, 0, 255, 0, 0, 0, 255, 0, 255, 255, 255};
  expect("tests/formats/palette.png", 0, (int64_t[]){2, 2, 3}, rgb, 0);
  expect("tests/formats/palette_alpha.png", 3, (int64_t[]){2, 2, 3}, rgb, 0);
  expect("tests/formats/palette_alpha.png", 0, (int64_t[]){2, 2, 4},
         (unsigned char[]){0, 0, 0, 255, 255, 0, 0, 0, 0, 255, 0, 128, 255, 255, 255, 255}, 0);
  expect("tests/formats/grey16.png", 0, (int64_t[]){2, 2, 1}, (unsigned char[]){0, 128, 200, 255}, 0);
  expect("tests/formats/bits.png", 0, (int64_t[]){2, 2, 1}, (unsigned char[]){0, 255, 255, 0}, 0);
  expect("tests/formats/grey_alpha.png", 0, (int64_t[]){2, 2, 4},
         (unsigned char[]){0, 0, 0, 255, 100, 100, 100, 128, 200, 200, 200, 0, 255, 255, 255, 255}, 0);
  expect("tests/formats/grey_alpha.png", 1, (int64_t[]){2, 2, 1}, (unsigned char[]){0, 100, 200, 255}, 0);
}

static void test_jpeg(void **state) {
  (void)state;
  unsigned char grey[64], rgb[192];
  memset(grey, 100, sizeof grey);
  for (int i = 0; i < 64; i++) rgb[3 * i] = 200, rgb[3 * i + 1] = 100, rgb[3 * i + 2] = 50;
  expect("tests/formats/grey.jpg", 0, (int64_t[]){8, 8, 1}, grey, 1);
  expect("tests/formats/grey.jpg", 3, (int64_t[]){8, 8, 3}, (unsigned char[192]){0}, 255);
  expect("tests/formats/rgb.jpg", 0, (int64_t[]){8, 8, 3}, rgb, 2);
  expect("tests/formats/progressive.jpg", 3, (int64_t[]){8, 8, 3}, rgb, 2);
}

static void test_errors(void **state) {
  (void)state;
  cn_tensor *t;
  cn_error e;
  char *data;
  size_t size;
  assert_int_equal(cornu_image_load("tests/formats/cmyk.jpg", 0, &t, &e), CORNU_ERR_UNSUPPORTED);
  assert_non_null(strstr(e.message, "CMYK"));
  assert_int_equal(cornu_image_load("tests/formats/make_files.py", 0, &t, &e), CORNU_ERR_UNSUPPORTED);
  assert_int_equal(cornu_image_load("/tmp/no-such.png", 0, &t, &e), CORNU_ERR_NOT_FOUND);
  assert_int_equal(cornu_image_load("tests/formats/rgb.jpg", 2, &t, &e), CORNU_ERR_ARGUMENT);
  static const char *const files[] = {"tests/formats/palette.png", "tests/formats/rgb.jpg",
                                      "tests/formats/progressive.jpg"};
  for (int i = 0; i < 3; i++) { /* cut off anywhere: an error, never a crash */
    assert_int_equal(cn_file_read(files[i], SIZE_MAX, &data, &size, NULL), CORNU_OK);
    for (size_t n = 0; n < size - 2; n += 7) {
      write_file(data, n);
      cn_status status = cornu_image_load(path, 0, &t, &e);
      if (status != CORNU_ERR_FORMAT && status != CORNU_ERR_UNSUPPORTED)
        fail_msg("%s, %zu of %zu bytes: %d", files[i], n, size, status);
      assert_null(t);
    }
    cn_free(data);
  }
}

/* A small file of many points: 40 x 40 x 3 bytes. */
static void test_bomb(void **state) {
  (void)state;
  cornu_limits before = {.struct_size = sizeof before}, small = {.struct_size = sizeof small, .max_tensor_bytes = 4799};
  cn_tensor *t, *large;
  assert_int_equal(cornu_tensor_new(CORNU_UINT8, 3, (int64_t[]){40, 40, 3}, &large, NULL), CORNU_OK);
  assert_int_equal(cornu_image_save(path, large, NULL), CORNU_OK);
  cornu_tensor_release(large);
  cornu_get_limits(&before);
  cornu_set_limits(&small);
  cn_status status = cornu_image_load(path, 0, &t, NULL);
  cornu_set_limits(&before);
  assert_int_equal(status, CORNU_ERR_LIMIT);
}

static void test_save_errors(void **state) {
  (void)state;
  cn_tensor *t;
  assert_int_equal(cornu_tensor_new(CORNU_UINT8, 3, (int64_t[]){2, 2, 2}, &t, NULL), CORNU_OK);
  assert_int_equal(cornu_image_save(path, t, NULL), CORNU_ERR_ARGUMENT);
  cornu_tensor_release(t);
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, 3, (int64_t[]){2, 2, 3}, &t, NULL), CORNU_OK);
  assert_int_equal(cornu_image_save(path, t, NULL), CORNU_ERR_ARGUMENT);
  cornu_tensor_release(t);
  assert_int_equal(cornu_tensor_new(CORNU_UINT8, 3, (int64_t[]){2, 2, 3}, &t, NULL), CORNU_OK);
  assert_int_not_equal(cornu_image_save("/no-such-folder/x.png", t, NULL), CORNU_OK);
  cornu_tensor_release(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_png),    cmocka_unit_test(test_png_kinds),
                                     cmocka_unit_test(test_jpeg),
                                     cmocka_unit_test(test_errors), cmocka_unit_test(test_bomb),
                                         cmocka_unit_test(test_save_errors)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
