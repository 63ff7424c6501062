/* HDF5 containers: what Keras and h5py write is read, what leads out of the file or lies about its size is refused. Each
 * test runs with Cornu's own reader (plain.h5, latest.h5) and with libhdf5 (kinds.h5, which has a shared type). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "base/file.h"
#include "base/text.h"
#include "formats/h5.h"
#include "tensor/tensor.h"

static cn_h5 *open_file(const char *path) {
  cn_h5 *f = NULL;
  cn_error e;
  bool trusted = strcmp(path, "tests/formats/kinds.h5") == 0 || strcmp(path, "tests/formats/refused.h5") == 0;
  if (cn_h5_open(path, trusted, &f, &e)) print_error("%s\n", e.message);
  assert_non_null(f);
  return f;
}

static const char *const readers[] = {"tests/formats/plain.h5", "tests/formats/kinds.h5", "tests/formats/latest.h5"};

static void test_text_attributes(void **state) {
  cn_h5 *f = open_file(*state);
  cn_arena a = {0};
  static const struct { const char *name, *text; } cases[] = {
      {"variable", "gr\xc3\xbcn"}, {"fixed", "abc"}, {"terminated", "ab"}, {"spaces", "ab"}, {"one", "single"},
          {"missing", NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *text;
    size_t length = 0;
    assert_int_equal(cn_h5_attr_text(f, "", cases[i].name, &a, &text, &length, NULL), CORNU_OK);
    if (!cases[i].text) assert_null(text);
    else assert_string_equal(text, cases[i].text), assert_int_equal(length, strlen(cases[i].text));
  }
  const char *text;
  assert_int_equal(cn_h5_attr_text(f, "", "latin", &a, &text, NULL, NULL), CORNU_ERR_FORMAT);
  assert_int_equal(cn_h5_attr_text(f, "", "cut", &a, &text, NULL, NULL), CORNU_ERR_FORMAT);
  assert_int_equal(cn_h5_attr_text(f, "", "number", &a, &text, NULL, NULL), CORNU_ERR_FORMAT);
  cn_arena_free(&a);
  cn_h5_close(f);
}

static void test_lists_and_numbers(void **state) {
  cn_h5 *f = open_file(*state);
  cn_arena a = {0};
  cn_names names;
  bool found;
  assert_int_equal(cn_h5_attr_texts(f, "", "names", &a, &names, &found, NULL), CORNU_OK);
  assert_int_equal(names.count, 2);
  assert_string_equal(names.items[1], "full_wid"); /* padded with nothing */
  assert_int_equal(cn_h5_attr_texts(f, "", "variable_names", &a, &names, &found, NULL), CORNU_OK);
  assert_string_equal(names.items[1], "bc");
  assert_int_equal(cn_h5_attr_texts(f, "", "empty", &a, &names, &found, NULL), CORNU_OK);
  assert_true(found && names.count == 0);
  assert_int_equal(cn_h5_attr_texts(f, "", "pieces", &a, &names, &found, NULL), CORNU_OK);
  assert_true(found && names.count == 3);
  assert_string_equal(names.items[2], "x2");
  assert_int_equal(cn_h5_attr_texts(f, "", "nothing", &a, &names, &found, NULL), CORNU_OK);
  assert_false(found);
  int64_t n = 0;
  assert_int_equal(cn_h5_attr_int(f, "", "number", &n, &found, NULL), CORNU_OK);
  assert_true(found && n == 42);
  assert_int_equal(cn_h5_attr_int(f, "", "numbers", &n, &found, NULL), CORNU_ERR_FORMAT);
  assert_true(cn_h5_has_attr(f, "", "fixed") && !cn_h5_has_attr(f, "", "fixe"));
  cn_arena_free(&a);
  cn_h5_close(f);
}

static void test_members(void **state) {
  cn_h5 *f = open_file(*state);
  cn_arena a = {0};
  cn_names names;
  assert_int_equal(cn_h5_members(f, "order", &a, &names, NULL), CORNU_OK);
  static const char *const expected[] = {"0", "10", "9", "a", "b"};
  assert_int_equal(names.count, 5);
  for (int i = 0; i < 5; i++) assert_string_equal(names.items[i], expected[i]);
  assert_int_equal(cn_h5_find(f, "dense/dense/kernel:0"), CN_H5_ARRAY);
  assert_int_equal(cn_h5_find(f, "dense//dense/"), CN_H5_GROUP);
  assert_int_equal(cn_h5_find(f, "dense/dense/kernel:0/x"), CN_H5_NONE);
  assert_int_equal(cn_h5_find(f, "dense/./dense"), CN_H5_NONE);
  assert_int_equal(cn_h5_find(f, ""), CN_H5_GROUP);
  assert_int_equal(cn_h5_members(f, "scalar", &a, &names, NULL), CORNU_ERR_FORMAT);
  cn_arena_free(&a);
  cn_h5_close(f);
}

/* Of the later formats: a heap of many blocks, an attribute outside of the heap, another one within. */
static void test_many(void **state) {
  (void)state;
  cn_h5 *f = open_file("tests/formats/latest.h5");
  cn_arena a = {0};
  cn_names names;
  bool found;
  assert_int_equal(cn_h5_members(f, "many", &a, &names, NULL), CORNU_OK);
  assert_int_equal(names.count, 1500);
  assert_string_equal(names.items[1499], "layer_999");
  assert_int_equal(cn_h5_find(f, "many/layer_1499"), CN_H5_ARRAY);
  assert_int_equal(cn_h5_find(f, "many/layer_7"), CN_H5_ARRAY);
  assert_int_equal(cn_h5_find(f, "many/layer_1500"), CN_H5_NONE);
  assert_int_equal(cn_h5_attr_texts(f, "", "long", &a, &names, &found, NULL), CORNU_OK);
  assert_true(found && names.count == 2000);
  assert_string_equal(names.items[1999], "0000000000000000000000000000000000001999");
  assert_int_equal(cn_h5_attr_texts(f, "", "middle", &a, &names, &found, NULL), CORNU_OK);
  assert_true(found && names.count == 60);
  cn_arena_free(&a);
  cn_h5_close(f);
}

static void test_dtypes(void **state) {
  cn_h5 *f = open_file(*state);
  static const cornu_dtype dtypes[] = {CORNU_INT8, CORNU_INT16, CORNU_INT32, CORNU_INT64, CORNU_UINT8, CORNU_UINT16,
                                       CORNU_UINT32, CORNU_UINT64, CORNU_FLOAT16, CORNU_FLOAT32, CORNU_FLOAT64};
  for (size_t i = 0; i < 2 * sizeof dtypes / sizeof *dtypes; i++) {
    cornu_dtype dtype = dtypes[i / 2];
    char path[64];
    snprintf(path, sizeof path, "%s/%s", i % 2 ? "big" : "little", cornu_dtype_name(dtype));
    cn_type type;
    cn_tensor *t;
    assert_int_equal(cn_h5_array_type(f, path, &type, NULL), CORNU_OK);
    assert_int_equal(type.dtype, dtype);
    assert_true(type.rank == 2 && type.shape[0] == 2 && type.shape[1] == 3);
    assert_int_equal(cn_h5_array_read(f, path, &t, NULL), CORNU_OK);
    static const double expected[] = {1, 2, 3, 4, 5, 100};
    for (int64_t k = 0; k < 6; k++) assert_true(cornu_tensor_get(t, (int64_t[]){k / 3, k % 3}) == expected[k]);
    cornu_tensor_release(t);
  }
  cn_h5_close(f);
}

static void expect(cn_h5 *f, const char *path, cornu_dtype dtype, int rank, double first) {
  cn_tensor *t;
  assert_int_equal(cn_h5_array_read(f, path, &t, NULL), CORNU_OK);
  assert_int_equal(t->dtype, dtype);
  assert_int_equal(t->rank, rank);
  if (cornu_tensor_size(t)) assert_true(cornu_tensor_get(t, (int64_t[CN_MAX_RANK]){0}) == first);
  cornu_tensor_release(t);
}

static void test_other_arrays(void **state) {
  cn_h5 *f = open_file(*state);
  expect(f, "bool", CORNU_BOOL8, 1, 1);
  expect(f, "bfloat16", CORNU_BFLOAT16, 1, 1);
  expect(f, "scalar", CORNU_FLOAT32, 0, 2.5);
  expect(f, "none", CORNU_FLOAT32, 2, 0);
  cn_h5_close(f);
}

/* gzip, shuffle and fletcher32, for trusted files alone. */
static void test_packed(void **state) {
  (void)state;
  cn_h5 *f = open_file("tests/formats/kinds.h5");
  cn_tensor *t;
  cn_error e;
  assert_int_equal(cn_h5_array_read(f, "packed", &t, NULL), CORNU_OK);
  assert_true(cornu_tensor_get(t, (int64_t[]){0, 0}) == 0 && cornu_tensor_get(t, (int64_t[]){49, 19}) == 999);
  cornu_tensor_release(t);
  cn_h5_close(f);
  assert_int_equal(cn_h5_open("tests/formats/kinds.h5", false, &f, &e), CORNU_ERR_UNSUPPORTED);
  assert_non_null(strstr(e.message, "messages that objects share"));
  assert_int_equal(cn_h5_open("tests/formats/refused.h5", false, &f, &e), CORNU_ERR_UNSUPPORTED);
  assert_non_null(strstr(e.message, "which Keras does not write: if you know where it is from, load it with trusted"));
  assert_int_equal(cn_h5_open("tests/formats/cycle.h5", false, &f, &e), CORNU_ERR_LIMIT);
  assert_null(f);
}

/* Elements count from 0, whatever the chunks and filters. */
static void check_chunks(const char *path, const char *const *names) {
  cn_h5 *f = open_file(path);
  for (; *names; names++) {
    cornu_tensor *t;
    cn_error e;
    if (cn_h5_array_read(f, *names, &t, &e)) fail_msg("%s", e.message);
    double wrong = 0;
    for (int64_t k = 0; k < cornu_tensor_size(t); k++) {
      double v;
      cn_convert(&v, CORNU_FLOAT64, t->data + (size_t)k * cornu_dtype_bytes(t->dtype), t->dtype, 1);
      wrong += v != (double)k;
    }
    if (wrong != 0 || cornu_tensor_size(t) < 10) fail_msg("%s: %g wrong", *names, wrong);
    cornu_tensor_release(t);
  }
  cornu_tensor *t;
  cn_error e;
  assert_int_not_equal(cn_h5_array_read(f, "bomb", &t, &e), CORNU_OK);
  if (!strstr(e.message, "more than a file of")) fail_msg("%s", e.message);
  cn_h5_close(f);
}

static void test_unwritten(void **state) {
  (void)state;
  static const struct { const char *name; int64_t n; double v[8]; } arrays[] = {
      {"zeros", 8, {1, 1, 1, 1, 0, 0, 0, 0}}, {"filled", 5, {-3, -3, 7, 7, -3}},
      {"none", 6, {2.5, 2.5, 2.5, 2.5, 2.5, 2.5}}, {"grows", 3, {9, 4, 4}}};
  for (int later = 0; later < 2; later++) {
    cn_h5 *f = open_file(later ? "tests/formats/unwritten_latest.h5" : "tests/formats/unwritten.h5");
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
      cornu_tensor *t;
      cn_error e;
      if (cn_h5_array_read(f, arrays[i].name, &t, &e)) fail_msg("%s", e.message);
      assert_int_equal(cornu_tensor_size(t), arrays[i].n);
      for (int64_t k = 0; k < arrays[i].n; k++) {
        double v;
        cn_convert(&v, CORNU_FLOAT64, t->data + (size_t)k * cornu_dtype_bytes(t->dtype), t->dtype, 1);
        if (v != arrays[i].v[k]) fail_msg("%s: %g at %d", arrays[i].name, v, (int)k);
      }
      cornu_tensor_release(t);
    }
    cn_h5_close(f);
  }
}

static void test_chunks(void **state) {
  (void)state;
  static const char *const names[] = {"plain", "gzip", "sum", "shuffle", "all", "big", "half", "many", "grows", NULL};
  static const char *const later[] = {"single", "single_all", "fixed", "fixed_all", "most", "most_all", "grows", "grows_all",
                                      "tree", "tree_all", "pages", "long", "implicit", "compact", NULL};
  check_chunks("tests/formats/packed.h5", names);
  check_chunks("tests/formats/packed_latest.h5", later);
}

/* A large array stays in the mapping, which lives as long as the tensor; what is written there stays in memory. */
static void test_mapped(void **state) {
  (void)state;
  cn_tensor *t[2];
  for (int i = 0; i < 2; i++) {
    cn_h5 *f = open_file("tests/formats/large.h5");
    assert_int_equal(cn_h5_array_read(f, "large", &t[i], NULL), CORNU_OK);
    cn_h5_close(f);
    assert_true(cornu_tensor_get(t[i], (int64_t[]){19999}) == 19999);
    cornu_tensor_set(t[i], (int64_t[]){19999}, -1);
  }
  for (int i = 0; i < 2; i++) cornu_tensor_release(t[i]);
}

static void test_refused(void **state) {
  cn_h5 *f = open_file(*state);
  bool library = strcmp(*state, "tests/formats/refused.h5") == 0;
  static const struct { const char *path; cn_status status; const char *says; } cases[] = {
      {"soft", CORNU_ERR_UNSUPPORTED, "link to another place"},
          {"external", CORNU_ERR_UNSUPPORTED, "link to another place"},
      {"outside", CORNU_ERR_UNSUPPORTED, "in another file"},    {"virtual", CORNU_ERR_UNSUPPORTED, "virtual"},
      {"filter", CORNU_ERR_UNSUPPORTED, "HDF5 filter 6"},       {"lzf", CORNU_ERR_UNSUPPORTED, "HDF5 filter 32000"},
      {"compound", CORNU_ERR_UNSUPPORTED, "compound"},          {"texts", CORNU_ERR_UNSUPPORTED, "string"},
      {"lists", CORNU_ERR_UNSUPPORTED, "list"},                 {"references", CORNU_ERR_UNSUPPORTED, "reference"},
      {"enumeration", CORNU_ERR_UNSUPPORTED, "enumeration"},    {"opaque", CORNU_ERR_UNSUPPORTED, "opaque"},
      {"complex", CORNU_ERR_UNSUPPORTED, "compound"},           {"unwritten", CORNU_ERR_FORMAT, "the file holds 0"},
      {"bomb", CORNU_ERR_LIMIT, "the limit"},                   {"deep", CORNU_ERR_UNSUPPORTED, "9 dimensions"},
      {"", CORNU_ERR_FORMAT, "not an array"},                   {"absent", CORNU_ERR_NOT_FOUND, "\"absent\""},
      {"real/x", CORNU_ERR_NOT_FOUND, "x\""}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    if (!library && cn_word_in("external virtual filter lzf bomb", cases[i].path, NULL)) continue;
    cn_error e;
    cn_tensor *t;
    cn_status status = cn_h5_array_read(f, cases[i].path, &t, &e);
    if (status != cases[i].status || !strstr(e.message, cases[i].says))
      fail_msg("%s: %d %s", cases[i].path, status, e.message);
    assert_null(t);
  }
  if (library) assert_int_equal(cn_h5_find(f, "cycle/again/cycle/again/real"), CN_H5_ARRAY);
  cn_h5_close(f);
}

static void test_limits(void **state) {
  cornu_limits before = {.struct_size = sizeof before},
      small = {.struct_size = sizeof small, .max_tensor_bytes = 20, .max_text_bytes = 4};
  cornu_get_limits(&before);
  cornu_set_limits(&small);
  cn_h5 *f = open_file(*state);
  cn_tensor *t;
  cn_arena a = {0};
  const char *text;
  assert_int_equal(cn_h5_array_read(f, "little/float32", &t, NULL), CORNU_ERR_LIMIT);
  assert_int_equal(cn_h5_attr_text(f, "", "variable", &a, &text, NULL, NULL), CORNU_ERR_LIMIT);
  assert_int_equal(cn_h5_attr_text(f, "", "fixed", &a, &text, NULL, NULL), CORNU_OK);
  cornu_set_limits(&before);
  cn_arena_free(&a);
  cn_h5_close(f);
}

static void test_memory_and_damage(void **state) {
  char *data;
  size_t size;
  cn_h5 *f;
  cn_error e;
  cn_mapping *image;
  assert_int_equal(cn_file_read(*state, SIZE_MAX, &data, &size, &e), CORNU_OK);
  assert_int_equal(cn_mapping_of(data, size, &image, &e), CORNU_OK);
  assert_int_equal(cn_h5_open_memory(image, true, &f, &e), CORNU_OK);
  expect(f, "big/float64", CORNU_FLOAT64, 2, 1);
  cn_h5_close(f);
  image->size = 4000;
  assert_int_equal(cn_h5_open_memory(image, true, &f, &e), CORNU_ERR_FORMAT);
  assert_non_null(strstr(e.message, "truncated"));
  cn_mapping_drop(image);
  assert_null(f);
}

static void test_bad_paths(void **state) {
  (void)state;
  cn_h5 *f;
  cn_error e;
  assert_int_equal(cn_h5_open("tests/formats/cut.h5", true, &f, &e), CORNU_ERR_FORMAT);
  assert_non_null(strstr(e.message, "truncated"));
  assert_int_equal(cn_h5_open("tests/formats/grey.jpg", true, &f, &e), CORNU_ERR_FORMAT);
  assert_int_equal(cn_h5_open("tests/formats/absent.h5", true, &f, &e), CORNU_ERR_NOT_FOUND);
  assert_int_equal(cn_h5_open("tests/formats", true, &f, &e), CORNU_ERR_IO);
  assert_null(f);
}

#define WITH(test, file) cmocka_unit_test_prestate(test, (void *)(uintptr_t)(file))
#define ALL(test) WITH(test, readers[0]), WITH(test, readers[1]), WITH(test, readers[2])

int main(void) {
  const struct CMUnitTest tests[] = {
      ALL(test_text_attributes),
      ALL(test_lists_and_numbers),
      ALL(test_members),
      cmocka_unit_test(test_many),
      ALL(test_dtypes),
      ALL(test_other_arrays),
      WITH(test_refused, "tests/formats/refused_plain.h5"),
      WITH(test_refused, "tests/formats/refused.h5"),
      ALL(test_limits),
      ALL(test_memory_and_damage),
      cmocka_unit_test(test_packed),
      cmocka_unit_test(test_unwritten),
      cmocka_unit_test(test_chunks),
      cmocka_unit_test(test_mapped),
      cmocka_unit_test(test_bad_paths),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
