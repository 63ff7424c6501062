/* .npy and .npz: round trips, files that NumPy writes byte by byte, damaged ones. */
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
#include "formats/npy.h"
#include "formats/zip.h"

static char path[64];

static int setup(void **state) {
  (void)state;
  snprintf(path, sizeof path, "/tmp/cornu-arrays-XXXXXX");
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

static cn_tensor *counting(cornu_dtype dtype, int rank, const int64_t *shape) {
  cn_tensor *t, *plain;
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT64, rank, shape, &plain, NULL), CORNU_OK);
  for (int64_t i = 0, n = cornu_tensor_size(plain); i < n; i++)
    ((double *)plain->data)[i] = dtype == CORNU_BOOL8 ? i % 2 : (double)i;
  assert_int_equal(cornu_tensor_cast(plain, dtype, &t, NULL), CORNU_OK);
  cornu_tensor_release(plain);
  return t;
}

static void assert_same(cn_tensor *a, cn_tensor *b) {
  bool close;
  double worst;
  assert_int_equal(a->dtype, b->dtype);
  assert_true(cn_shape_equal(a->rank, a->shape, b->rank, b->shape));
  assert_int_equal(cornu_tensor_allclose(a, b, 0, 0, &close, &worst, NULL), CORNU_OK);
  assert_true(close);
}

static void test_npy_round_trips(void **state) {
  (void)state;
  static const int64_t shapes[][3] = {{0}, {5}, {2, 3}, {2, 0, 3}, {2, 3, 4}};
  static const int ranks[] = {0, 1, 2, 3, 3};
  for (int d = 0; d < CORNU_TEXT; d++)
    for (int s = 0; s < 5; s++) {
      cn_tensor *t = counting((cornu_dtype)d, ranks[s], shapes[s]), *back;
      assert_int_equal(cornu_npy_save(path, t, NULL), CORNU_OK);
      assert_int_equal(cornu_npy_load(path, &back, NULL), CORNU_OK);
      assert_same(t, back);
      cornu_tensor_release(t);
      cornu_tensor_release(back);
    }
}

static void test_npy_of_a_view(void **state) {
  (void)state;
  cn_tensor *t = counting(CORNU_INT16, 2, (int64_t[]){2, 3}), *turned, *back;
  assert_int_equal(cornu_tensor_transpose(t, NULL, &turned, NULL), CORNU_OK);
  assert_int_equal(cornu_npy_save(path, turned, NULL), CORNU_OK);
  assert_int_equal(cornu_npy_load(path, &back, NULL), CORNU_OK);
  assert_same(turned, back);
  cornu_tensor_release(t);
  cornu_tensor_release(turned);
  cornu_tensor_release(back);
}

/* A header of version 1 and bytes of data. */
static size_t make(char *out, int version, const char *header, const void *data, size_t size) {
  size_t length = strlen(header), start = version == 1 ? 10 : 12;
  memcpy(out, "\x93NUMPY", 6);
  memset(out + 6, 0, 6);
  out[6] = (char)version;
  out[8] = (char)length;
  memcpy(out + start, header, length);
  memcpy(out + start + length, data, size);
  return start + length + size;
}

static void test_npy_layouts(void **state) {
  (void)state;
  static const struct {
    int version;
    const char *header;
    unsigned char data[16];
    size_t size;
    cornu_dtype dtype;
    double at_0_1;
  } cases[] = {
      {1, "{'descr': '>i2', 'fortran_order': False, 'shape': (2, 2), }\n", {0, 1, 1, 0, 0, 3, 0, 4}, 8, CORNU_INT16,
       256},
      {2, "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 2)}", {1, 0, 2, 0, 3, 0, 4, 0}, 8, CORNU_INT16, 3},
      {3, "{\"shape\":(2,2,),\"fortran_order\":True,\"descr\":\">u2\"}", {0, 1, 0, 2, 0, 3, 0, 4}, 8, CORNU_UINT16, 3},
      {1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2L, 2L)}", {1, 7, 0, 0}, 4, CORNU_BOOL8, 1},
      {1, "{'descr': '<f2', 'fortran_order': False, 'shape': (1, 2)}", {0, 0, 0, 0x3c}, 4, CORNU_FLOAT16, 1},
      {1, "{'descr': '|V2', 'fortran_order': False, 'shape': (1, 2)}", {0, 0, 0x80, 0x3f}, 4, CORNU_BFLOAT16, 1},
      {1, "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2)}", {0, 255}, 2, CORNU_UINT8, 255}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char file[256];
    cn_tensor *t;
    cn_error e;
    write_file(file, make(file, cases[i].version, cases[i].header, cases[i].data, cases[i].size));
    if (cornu_npy_load(path, &t, &e)) fail_msg("%s: %s", cases[i].header, e.message);
    assert_int_equal(t->dtype, cases[i].dtype);
    assert_true(cornu_tensor_get(t, (int64_t[]){0, 1}) == cases[i].at_0_1);
    cornu_tensor_release(t);
  }
}

static void test_npy_errors(void **state) {
  (void)state;
  static const struct { const char *header; cn_status status; const char *says; } cases[] = {
      {"{'descr': '<U5', 'fortran_order': False, 'shape': (2,)}", CORNU_ERR_FORMAT, "(2,) is complete"},
      {"{'descr': '<Ux', 'fortran_order': False, 'shape': (2,)}", CORNU_ERR_UNSUPPORTED, "Cornu does not have"},
      {"{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", CORNU_ERR_UNSUPPORTED, "never unpickled"},
      {"{'descr': '<c8', 'fortran_order': False, 'shape': (2,)}", CORNU_ERR_UNSUPPORTED, "complex"},
      {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", CORNU_ERR_UNSUPPORTED, "records"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4)}", CORNU_ERR_FORMAT, "(2, 4) is complete"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", CORNU_ERR_LIMIT, "limit"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", CORNU_ERR_FORMAT, "shape"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", CORNU_ERR_UNSUPPORTED, "more than 8"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", CORNU_ERR_FORMAT, "shape"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': 3}", CORNU_ERR_FORMAT, "shape"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", CORNU_ERR_FORMAT, "fortran_order"},
      {"{'descr': '<f4', 'shape': (2,)}", CORNU_ERR_FORMAT, "lacks"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", CORNU_ERR_FORMAT, "damaged"},
      {"__import__('os')", CORNU_ERR_FORMAT, "lacks"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char file[256];
    cn_tensor *t;
    cn_error e;
    write_file(file, make(file, 1, cases[i].header, "12345678", 8));
    cn_status status = cornu_npy_load(path, &t, &e);
    if (status != cases[i].status || !strstr(e.message, cases[i].says))
      fail_msg("%s: %d %s", cases[i].header, status, e.message);
    assert_null(t);
  }
}

typedef struct seen { int n; char names[8][32]; cn_tensor *arrays[8]; } seen;

static cornu_status collect(void *user, const char *name, cn_tensor *t, cn_error *e) {
  (void)e;
  seen *s = user;
  snprintf(s->names[s->n], sizeof s->names[0], "%s", name);
  s->arrays[s->n++] = cornu_tensor_retain(t);
  return CORNU_OK;
}

static void drop(seen *s) {
  for (int i = 0; i < s->n; i++) cornu_tensor_release(s->arrays[i]);
}

static void test_npz_round_trip(void **state) {
  (void)state;
  cn_tensor *t[] = {counting(CORNU_FLOAT32, 2, (int64_t[]){30, 40}), counting(CORNU_INT64, 0, NULL),
                    counting(CORNU_BOOL8, 1, (int64_t[]){0})};
  const char *const names[] = {"a/b", "scalar", "none"};
  for (int compress = 0; compress < 2; compress++) {
    seen s = {0};
    assert_int_equal(cornu_npz_save(path, names, t, 3, compress, NULL), CORNU_OK);
    assert_int_equal(cornu_npz_load(path, collect, &s, NULL), CORNU_OK);
    assert_int_equal(s.n, 3);
    for (int i = 0; i < 3; i++) {
      assert_string_equal(s.names[i], names[i]);
      assert_same(s.arrays[i], t[i]);
    }
    drop(&s);
  }
  seen s = {0};
  assert_int_equal(cornu_npz_save(path, NULL, NULL, 0, false, NULL), CORNU_OK);
  assert_int_equal(cornu_npz_load(path, collect, &s, NULL), CORNU_OK);
  assert_int_equal(s.n, 0);
  for (int i = 0; i < 3; i++) cornu_tensor_release(t[i]);
}

/* Flips a byte of the data: the check sum tells. */
static void test_npz_damage(void **state) {
  (void)state;
  cn_tensor *t = counting(CORNU_UINT8, 1, (int64_t[]){200});
  const char *const names[] = {"x"};
  char *data;
  size_t size;
  seen s = {0};
  cn_error e;
  assert_int_equal(cornu_npz_save(path, names, &t, 1, false, NULL), CORNU_OK);
  assert_int_equal(cn_file_read(path, SIZE_MAX, &data, &size, NULL), CORNU_OK);
  data[250] ^= 1;
  write_file(data, size);
  assert_int_equal(cornu_npz_load(path, collect, &s, &e), CORNU_ERR_FORMAT);
  assert_non_null(strstr(e.message, "array \"x\" > damaged zip entry: CRC error"));
  write_file(data, size / 2);
  assert_int_equal(cornu_npz_load(path, collect, &s, &e), CORNU_ERR_FORMAT);
  assert_int_equal(s.n, 0);
  cn_free(data);
  cornu_tensor_release(t);
  assert_int_equal(cornu_npz_load("/tmp/no-such.npz", collect, &s, &e), CORNU_ERR_NOT_FOUND);
}

static void test_zip_names(void **state) {
  (void)state;
  const cn_zip_part parts[] = {{"a.txt", "hello", " world", 5, 6, NULL}, {"b", "", NULL, 0, 0, NULL}};
  cn_zip *z;
  cn_error e;
  char *data;
  size_t size;
  assert_int_equal(cn_zip_write(path, parts, 2, true, NULL), CORNU_OK);
  assert_int_equal(cn_zip_open(path, &z, &e), CORNU_OK);
  assert_int_equal(cn_zip_count(z), 2);
  assert_int_equal(cn_zip_find(z, "b"), 1);
  assert_int_equal(cn_zip_find(z, "c"), -1);
  assert_int_equal(cn_zip_read(z, 0, 11, &data, &size, &e), CORNU_OK);
  assert_string_equal(data, "hello world");
  cn_free(data);
  assert_int_equal(cn_zip_read(z, 0, 10, &data, &size, &e), CORNU_ERR_LIMIT);
  cn_zip_close(z);
}

/* The name of the second entry becomes that of the first, in both directories. */
static void test_zip_duplicates(void **state) {
  (void)state;
  const cn_zip_part parts[] = {{"aa", "1", NULL, 1, 0, NULL}, {"ab", "2", NULL, 1, 0, NULL}};
  cn_zip *z;
  cn_error e;
  char *data;
  size_t size;
  assert_int_equal(cn_zip_write(path, parts, 2, false, NULL), CORNU_OK);
  assert_int_equal(cn_file_read(path, SIZE_MAX, &data, &size, NULL), CORNU_OK);
  for (size_t i = 0; i + 1 < size; i++)
    if (data[i] == 'a' && data[i + 1] == 'b') data[i + 1] = 'a';
  write_file(data, size);
  cn_free(data);
  assert_int_equal(cn_zip_open(path, &z, &e), CORNU_ERR_FORMAT);
  assert_non_null(strstr(e.message, "two entries"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_npy_round_trips), cmocka_unit_test(test_npy_of_a_view),
                                     cmocka_unit_test(test_npy_layouts),
                                     cmocka_unit_test(test_npy_errors),      cmocka_unit_test(test_npz_round_trip),
                                         cmocka_unit_test(test_npz_damage),
                                     cmocka_unit_test(test_zip_names),       cmocka_unit_test(test_zip_duplicates)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
