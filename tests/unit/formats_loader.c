/* Batches in the background: the rows of an order, whatever the threads; errors in their place; loops that break off. */
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
#include "tensor/tensor.h"

enum { ROWS = 101, BATCH = 8, BATCHES = 13 };

static char path[64];

static int setup(void **state) {
  (void)state;
  snprintf(path, sizeof path, "/tmp/cornu-loader-XXXXXX");
  int fd = mkstemp(path);
  return fd < 0 ? -1 : close(fd);
}
static int teardown(void **state) {
  (void)state;
  return unlink(path) || cornu_memory_used() != 0;
}

/* Row i holds i twice. */
static cn_tensor *numbers(void) {
  cn_tensor *t;
  assert_int_equal(cornu_tensor_new(CORNU_INT32, 2, (int64_t[]){ROWS, 2}, &t, NULL), CORNU_OK);
  for (int i = 0; i < 2 * ROWS; i++) ((int32_t *)(void *)t->data)[i] = i / 2;
  return t;
}

static void open_both(cornu_rows *sources[2]) {
  cn_tensor *t = numbers();
  assert_int_equal(cornu_rows_of_tensor(t, &sources[0], NULL), CORNU_OK);
  assert_int_equal(cornu_npz_save(path, (const char *const[]){"a"}, &t, 1, true, NULL), CORNU_OK);
  assert_int_equal(cornu_rows_open(path, "a", false, &sources[1], NULL), CORNU_OK);
  cornu_tensor_release(t);
}

static void check_pass(cornu_rows *const *sources, int n, const int64_t *order, int64_t first, int ahead, int threads) {
  cornu_loader *l;
  cn_tensor *out[2];
  bool more;
  int64_t at = 0;
  const int64_t rows = ROWS - first;
  assert_int_equal(cornu_loader_new(sources, n, order, first, rows, BATCH, ahead, threads, &l, NULL), CORNU_OK);
  while (assert_int_equal(cornu_loader_next(l, out, &more, NULL), CORNU_OK), more) {
    for (int k = 0; k < n; k++) {
      assert_int_equal(out[k]->shape[0], rows - at < BATCH ? rows - at : BATCH);
      for (int64_t i = 0; i < out[k]->shape[0]; i++)
        assert_int_equal(((int32_t *)(void *)out[k]->data)[2 * i], order ? order[at + i] : first + at + i);
    }
    at += out[0]->shape[0];
    for (int k = 0; k < n; k++) cornu_tensor_release(out[k]);
  }
  assert_int_equal(at, rows);
  assert_int_equal(cornu_loader_next(l, out, &more, NULL), CORNU_OK);
  assert_false(more);
  cornu_loader_free(l);
}

static void test_orders(void **state) {
  (void)state;
  cornu_rows *sources[2];
  int64_t order[ROWS];
  for (int i = 0; i < ROWS; i++) order[i] = (i * 37 + 5) % ROWS;
  open_both(sources);
  for (int ahead = 1; ahead <= 20; ahead += ahead)
    for (int threads = 1; threads <= 8; threads *= 2) {
      check_pass(sources, 1, order, 0, ahead, threads);
      check_pass(sources, 1, NULL, 0, ahead, threads);
      check_pass(sources, 2, NULL, 10, ahead, threads);
    }
  check_pass(sources, 2, order, 0, 4, 4);
  for (int k = 0; k < 2; k++) cornu_rows_release(sources[k]);
}

/* Whoever stops early leaves nothing behind; the loader keeps what it reads from. */
static void test_break_off(void **state) {
  (void)state;
  for (int taken = 0; taken < BATCHES; taken++) {
    cornu_rows *sources[2];
    cornu_loader *l;
    cn_tensor *out[2];
    bool more;
    open_both(sources);
    assert_int_equal(cornu_loader_new(sources, 2, NULL, 0, ROWS, BATCH, 3, 2, &l, NULL), CORNU_OK);
    for (int k = 0; k < 2; k++) cornu_rows_release(sources[k]);
    for (int i = 0; i < taken; i++) {
      assert_int_equal(cornu_loader_next(l, out, &more, NULL), CORNU_OK);
      for (int k = 0; k < 2; k++) cornu_tensor_release(out[k]);
    }
    cornu_loader_free(l);
  }
}

static void test_refused(void **state) {
  (void)state;
  cornu_rows *sources[2];
  cornu_loader *l;
  cn_tensor *out[2];
  bool more;
  cn_error e;
  open_both(sources);
  assert_int_equal(cornu_loader_new(sources, 0, NULL, 0, 1, 1, 1, 1, &l, &e), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_loader_new(sources, 2, NULL, 0, 1, 0, 1, 1, &l, &e), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_loader_new(sources, 2, NULL, ROWS - 10, 20, BATCH, 2, 1, &l, &e), CORNU_OK);
  assert_int_equal(cornu_loader_next(l, out, &more, &e), CORNU_OK);
  for (int k = 0; k < 2; k++) cornu_tensor_release(out[k]);
  assert_int_equal(cornu_loader_next(l, out, &more, &e), CORNU_ERR_ARGUMENT); /* rows behind the last */
  assert_int_equal(cornu_loader_next(l, out, &more, &e), CORNU_OK);
  assert_false(more);
  cornu_loader_free(l);
  for (int k = 0; k < 2; k++) cornu_rows_release(sources[k]);
}

/* ---- Pictures: the fifth cannot be read ---- */

enum { PICTURES = 9, BAD = 4 };

static cornu_status open_pictures(bool skip, cornu_rows **out) {
  const char *paths[PICTURES];
  for (int i = 0; i < PICTURES; i++) paths[i] = i == BAD ? "tests/formats/plain.h5" : "tests/formats/rgb.jpg";
  const cornu_picture_options o = {.struct_size = sizeof o, .height = 8, .width = 6, .channels = 3, .skip_errors = skip,
                                   .scale = {1, 1, 2, 1}, .shift = {0, 0, 1, 0}};
  return cornu_rows_of_pictures(paths, PICTURES, &o, out, NULL);
}

static void test_damaged_picture(void **state) {
  (void)state;
  for (int skip = 0; skip < 2; skip++) {
    cornu_rows *sources[2];
    cn_tensor *t = numbers(), *out[2];
    cornu_loader *l;
    cn_error e;
    bool more;
    int64_t seen = 0;
    assert_int_equal(open_pictures(skip, &sources[0]), CORNU_OK);
    assert_int_equal(cornu_rows_of_tensor(t, &sources[1], NULL), CORNU_OK);
    assert_int_equal(cornu_loader_new(sources, 2, NULL, 0, PICTURES, skip ? 1 : 2, 3, 3, &l, NULL), CORNU_OK);
    cornu_status status;
    while (!(status = cornu_loader_next(l, out, &more, &e)) && more) {
      assert_int_not_equal(((int32_t *)(void *)out[1]->data)[0], BAD);
      assert_true(cn_shape_equal(3, out[0]->shape + 1, 3, (int64_t[]){8, 6, 3}));
      seen += out[0]->shape[0];
      for (int k = 0; k < 2; k++) cornu_tensor_release(out[k]);
    }
    assert_int_equal(seen, skip ? PICTURES - 1 : BAD);
    assert_int_equal(status, skip ? CORNU_OK : CORNU_ERR_UNSUPPORTED);
    if (status) assert_non_null(strstr(e.message, "tests/formats/plain.h5"));
    cornu_loader_free(l);
    for (int k = 0; k < 2; k++) cornu_rows_release(sources[k]);
    cornu_tensor_release(t);
  }
}

int main(void) {
#define CLEAN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {CLEAN(test_orders), CLEAN(test_break_off), CLEAN(test_refused),
                                     CLEAN(test_damaged_picture)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
