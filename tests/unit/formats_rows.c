/* Rows of files against the whole arrays: both readers of HDF5, chunks of every index, stored and packed archives; memory
 * that stays small; files that are damaged. */
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

#include "base/text.h"
#include "formats/h5_reader.h"
#include "tensor/tensor.h"

static char path[64];

static int setup(void **state) {
  (void)state;
  snprintf(path, sizeof path, "/tmp/cornu-rows-XXXXXX");
  int fd = mkstemp(path);
  return fd < 0 ? -1 : close(fd);
}
static int teardown(void **state) {
  (void)state;
  return unlink(path) || cornu_memory_used() != 0;
}

static size_t row_bytes(const cn_tensor *t) {
  return (size_t)(cornu_tensor_size(t) / t->shape[0]) * cornu_dtype_bytes(t->dtype);
}

/* Every stretch of rows of an HDF5 array, through one reader. */
static void check_reader(const cn_h5_reader *reader, void *state, const char *name, cn_tensor *all) {
  cn_h5_rows rows = {0};
  cn_error e;
  if (reader->rows_open(state, name, &rows, &e)) fail_msg("%s: %s", name, e.message);
  assert_int_equal(rows.what.dtype, all->dtype);
  assert_true(cn_shape_equal(rows.what.rank, rows.what.shape, all->rank, all->shape));
  const size_t bytes = row_bytes(all);
  char *to = malloc((size_t)all->shape[0] * bytes + 1);
  for (int64_t first = 0; first <= all->shape[0]; first += 1 + first / 8)
    for (int64_t n = 0; n <= all->shape[0] - first; n += 1 + n / 4) {
      if (reader->rows_read(state, rows.state, first, n, to, &e)) fail_msg("%s: %s", name, e.message);
      if (memcmp(to, all->data + (size_t)first * bytes, (size_t)n * bytes) != 0)
        fail_msg("%s: rows %d to %d differ", name, (int)first, (int)(first + n));
    }
  free(to);
  reader->rows_close(rows.state);
}

static void test_h5(void **state) {
  (void)state;
  static const char *const files[] = {"tests/formats/packed.h5", "tests/formats/packed_latest.h5",
                                      "tests/formats/plain.h5"};
  static const char *const arrays[] = {
      "all big gzip grows half many plain shuffle sum",
      "compact fixed fixed_all grows grows_all implicit long most pages single single_all tree tree_all",
      "bfloat16 big/float16 big/int64 bool little/uint8 big/float64"};
  for (int i = 0; i < CN_COUNT(files); i++) {
    void *plain, *library;
    assert_int_equal(cn_h5_plain_open(files[i], NULL, &plain, NULL), CORNU_OK);
    assert_int_equal(cn_h5_library_open(files[i], NULL, &library, NULL), CORNU_OK);
    char names[200];
    snprintf(names, sizeof names, "%s", arrays[i]);
    for (char *name = strtok(names, " "); name; name = strtok(NULL, " ")) {
      cn_tensor *all;
      assert_int_equal(cn_h5_library.array_read(library, name, false, &all, NULL), CORNU_OK);
      check_reader(&cn_h5_plain, plain, name, all);
      check_reader(&cn_h5_library, library, name, all);
      cornu_tensor_release(all);
    }
    cn_h5_plain.close(plain);
    cn_h5_library.close(library);
  }
}

/* ---- .npy and .npz ---- */

static cn_tensor *counting(cornu_dtype dtype, int64_t rows, int64_t columns) {
  cn_tensor *t, *plain;
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT64, 2, (int64_t[]){rows, columns}, &plain, NULL), CORNU_OK);
  for (int64_t i = 0; i < rows * columns; i++) ((double *)(void *)plain->data)[i] = (double)(i % 1000);
  assert_int_equal(cornu_tensor_cast(plain, dtype, &t, NULL), CORNU_OK);
  cornu_tensor_release(plain);
  return t;
}

enum { NPY, STORED, PACKED, KINDS };

static cornu_rows *save_and_open(int kind, cn_tensor *t) {
  cornu_rows *r = NULL;
  cn_error e;
  const cornu_status status = kind == NPY ? cornu_npy_save(path, t, &e)
                                          : cornu_npz_save(path, (const char *const[]){"a/b"}, &t, 1, kind == PACKED, &e);
  if (status || cornu_rows_open(path, kind == NPY ? NULL : "a/b", false, &r, &e)) fail_msg("%s", e.message);
  return r;
}

static void assert_row(cn_tensor *got, int64_t i, const cn_tensor *all, int64_t row) {
  const size_t bytes = row_bytes(all);
  assert_memory_equal(got->data + (size_t)i * bytes, all->data + (size_t)row * bytes, bytes);
}

static void test_any_order(void **state) {
  (void)state;
  static const int64_t order[] = {199, 0, 1, 2, 77, 5, 5, 198, 199, 3};
  for (int kind = 0; kind < KINDS; kind++) {
    cn_tensor *all = counting(kind == NPY ? CORNU_BOOL8 : CORNU_FLOAT32, 200, 7), *got;
    cornu_rows *r = save_and_open(kind, all);
    bool in_order;
    assert_int_equal(cornu_rows_stretch(r, &in_order) > 0, kind == PACKED);
    assert_int_equal(in_order, kind == PACKED);
    for (int64_t first = 0; first < 200; first += 13) {
      const int64_t n = 200 - first < 13 ? 200 - first : 13;
      assert_int_equal(cornu_rows_read(r, first, n, &got, NULL), CORNU_OK);
      assert_int_equal(got->shape[0], n);
      for (int64_t i = 0; i < n; i++) assert_row(got, i, all, first + i);
      cornu_tensor_release(got);
    }
    assert_int_equal(cornu_rows_pick(r, order, CN_COUNT(order), &got, NULL), CORNU_OK);
    for (int64_t i = 0; i < CN_COUNT(order); i++) assert_row(got, i, all, order[i]);
    cornu_tensor_release(got);
    assert_int_equal(cornu_rows_read(r, 200, 0, &got, NULL), CORNU_OK);
    cornu_tensor_release(got);
    assert_int_equal(cornu_rows_read(r, 199, 2, &got, NULL), CORNU_ERR_ARGUMENT);
    assert_int_equal(cornu_rows_pick(r, (int64_t[]){200}, 1, &got, NULL), CORNU_ERR_ARGUMENT);
    cornu_rows_release(r);
    cornu_tensor_release(all);
  }
}

/* A file whose columns come first, made from one whose rows do: the header says the transposed array. */
static void test_columns_first(void **state) {
  (void)state;
  static const char plain[] = "'fortran_order': False, 'shape': (4, 3, 50)";
  static const char turned[] = "'fortran_order': True,  'shape': (50, 3, 4)";
  cn_tensor *numbers = counting(CORNU_INT16, 4, 150), *t, *all, *got;
  assert_int_equal(cornu_tensor_new(CORNU_INT16, 3, (int64_t[]){4, 3, 50}, &t, NULL), CORNU_OK);
  memcpy(t->data, numbers->data, 1200);
  cornu_rows_release(save_and_open(NPY, t));
  char head[128];
  FILE *file = fopen(path, "r+b");
  assert_int_equal(fread(head, 1, sizeof head, file), sizeof head);
  head[sizeof head - 1] = 0;
  char *at = strstr(head + 10, plain); /* behind the marks and the length */
  assert_non_null(at);
  memcpy(at, turned, sizeof turned - 1);
  rewind(file);
  assert_int_equal(fwrite(head, 1, sizeof head - 1, file), sizeof head - 1);
  fclose(file);
  cornu_rows *r = NULL;
  assert_int_equal(cornu_npy_load(path, &all, NULL), CORNU_OK);
  assert_int_equal(cornu_rows_open(path, NULL, false, &r, NULL), CORNU_OK);
  for (int64_t first = 0; first < 50; first += 7) {
    const int64_t n = 50 - first < 7 ? 50 - first : 7;
    assert_int_equal(cornu_rows_read(r, first, n, &got, NULL), CORNU_OK);
    for (int64_t i = 0; i < n; i++) assert_row(got, i, all, first + i);
    cornu_tensor_release(got);
  }
  cornu_rows_release(r);
  cornu_tensor_release(all);
  cornu_tensor_release(t);
  cornu_tensor_release(numbers);
}

/* 50 MB through less than 40; limits hold for what is read at once. */
static void test_memory(void **state) {
  (void)state;
  cornu_limits before = {.struct_size = sizeof before}, small = {.struct_size = sizeof small, .max_tensor_bytes = 40 << 20};
  cornu_get_limits(&before);
  for (int kind = 0; kind < KINDS; kind++) {
    cn_tensor *all = counting(CORNU_FLOAT32, 25000, 500), *got;
    cornu_rows *r = save_and_open(kind, all);
    cornu_tensor_release(all);
    cornu_set_limits(&small);
    for (int64_t first = 0; first < 25000; first += 1000) {
      assert_int_equal(cornu_rows_read(r, first, 1000, &got, NULL), CORNU_OK);
      assert_true(cornu_memory_used() < 40 << 20);
      cornu_tensor_release(got);
    }
    assert_int_equal(cornu_rows_read(r, 0, 24000, &got, NULL), CORNU_ERR_LIMIT);
    cornu_rows_release(r);
    cornu_set_limits(&before);
  }
}

/* Cut at every kind of place, and with bytes changed: refused, or read as far as what is there is right. */
static void test_damage(void **state) {
  (void)state;
  for (int kind = 0; kind < KINDS; kind++) {
    cn_tensor *all = counting(CORNU_FLOAT32, 200, 7), *got;
    cornu_rows_release(save_and_open(kind, all));
    FILE *f = fopen(path, "rb");
    char data[8192];
    const size_t size = fread(data, 1, sizeof data, f);
    fclose(f);
    for (size_t cut = 0; cut < size; cut += 1 + size / 50) {
      cornu_rows *r = NULL;
      f = fopen(path, "wb");
      assert_int_equal(fwrite(data, 1, cut, f), cut);
      fclose(f);
      assert_int_not_equal(cornu_rows_open(path, kind == NPY ? NULL : "a/b", false, &r, NULL), CORNU_OK);
      assert_null(r);
    }
    if (kind == PACKED) {
      cornu_rows *r = NULL;
      data[size / 2] ^= 0x55;
      f = fopen(path, "wb");
      assert_int_equal(fwrite(data, 1, size, f), size);
      fclose(f);
      assert_int_equal(cornu_rows_open(path, "a/b", false, &r, NULL), CORNU_OK);
      for (int twice = 0; twice < 2; twice++) assert_int_equal(cornu_rows_read(r, 0, 200, &got, NULL), CORNU_ERR_FORMAT);
      cornu_rows_release(r);
    }
    cornu_tensor_release(all);
  }
}

static cornu_status count_arrays(void *user, const cornu_port *port, cornu_error *e) {
  (void)e;
  ++*(int *)user;
  assert_true(port->rank >= 0 && port->name);
  return CORNU_OK;
}

static void test_list_and_refuse(void **state) {
  (void)state;
  int count = 0;
  cornu_rows *r;
  cn_error e;
  assert_int_equal(cornu_rows_list("tests/formats/packed_latest.h5", false, count_arrays, &count, NULL), CORNU_OK);
  assert_int_equal(count, 16);
  assert_int_equal(cornu_rows_open("tests/formats/plain.h5", "scalar", false, &r, &e), CORNU_ERR_SHAPE);
  assert_int_equal(cornu_rows_open("tests/formats/plain.h5", "nothing", false, &r, &e), CORNU_ERR_NOT_FOUND);
  assert_int_equal(cornu_rows_open("tests/formats/plain.h5", NULL, false, &r, &e), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_rows_open("tests/formats/kinds.h5", "bool", false, &r, &e), CORNU_ERR_UNSUPPORTED);
  assert_int_equal(cornu_rows_open("tests/formats/packed_latest.h5", "bomb", false, &r, &e), CORNU_ERR_LIMIT);
  assert_int_equal(cornu_rows_open("tests/formats/nothing.h5", "x", false, &r, &e), CORNU_ERR_NOT_FOUND);
  cn_tensor *t = counting(CORNU_FLOAT32, 3, 2);
  assert_int_equal(cornu_npz_save(path, (const char *const[]){"a"}, &t, 1, true, NULL), CORNU_OK);
  assert_int_equal(cornu_rows_open(path, "b", false, &r, &e), CORNU_ERR_NOT_FOUND);
  assert_non_null(strstr(e.message, "array \"b\""));
  cornu_tensor_release(t);
}

int main(void) {
#define CLEAN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {CLEAN(test_h5), CLEAN(test_any_order), CLEAN(test_columns_first),
                                     CLEAN(test_memory), CLEAN(test_damage), CLEAN(test_list_and_refuse)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
