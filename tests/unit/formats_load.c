/* Loading models and weights: what a file is, which array goes where, and what is said when they do not fit.
 * The files are made by tests/formats/make_files.py; array i of layer l begins with 10 * l + i. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* after those */
#include <cmocka.h>

#include "formats/formats.h"

#define FILES "tests/formats/"

static char folder[64];

static int setup(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/cornu-load-XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}
static int teardown(void **state) {
  (void)state;
  return rmdir(folder);
}

static cornu_model *load_with(const char *path, const char *weights, const cornu_load_options *options) {
  cornu_model *m;
  cn_error e;
  if (cornu_model_load(path, weights, options, &m, &e)) fail_msg("%s: %s", path, e.message);
  return m;
}
static cornu_model *load(const char *path, const char *weights) { return load_with(path, weights, NULL); }

/* The first number of weight i of a layer. */
static double first(const cornu_model *m, const char *layer, int i) {
  cornu_layer *l = cornu_model_layer_named(m, layer);
  assert_non_null(l);
  cornu_tensor *t = cornu_layer_weight(l, i);
  assert_non_null(t);
  return cornu_tensor_get(t, (int64_t[CN_MAX_RANK]){0});
}

static void assert_two(const cornu_model *m) {
  assert_true(first(m, "a", 0) == 10 && first(m, "a", 1) == 11);
  assert_true(first(m, "b", 0) == 20 && first(m, "b", 1) == 21);
}

/* ---- Which array goes where ---- */

static void test_whole_files(void **state) {
  (void)state;
  static const char *const paths[][2] = {
      {FILES "two.h5", NULL}, {FILES "two.json", FILES "two.h5"},
          {FILES "two_in_text.json", FILES "renamed.weights.h5"},
      {FILES "two.json", FILES "keras1.h5"}, {FILES "two.json", FILES "numbered.h5"}, {FILES "three.keras", NULL},
      {FILES "three_packed.keras", NULL}, {FILES "by_layer.keras", NULL}, {FILES "twice.keras", NULL},
      {FILES "two.json", FILES "three.keras"}};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    cornu_model *m = load(paths[i][0], paths[i][1]);
    assert_two(m);
    assert_string_equal(cornu_model_path(m), paths[i][0]);
    cornu_model_release(m);
  }
}

static void test_what_the_file_says(void **state) {
  (void)state;
  cornu_model *m = load(FILES "two.h5", NULL);
  assert_string_equal(cornu_model_keras_version(m), "2.2.4");
  assert_string_equal(cornu_model_backend(m), "tensorflow");
  assert_string_equal(cornu_value_as_string(cornu_value_get(cornu_model_training_config(m), "loss"), NULL), "mse");
  cornu_model_release(m);
  m = load(FILES "three.keras", NULL);
  assert_string_equal(cornu_model_keras_version(m), "3.15.1");
  assert_string_equal(cornu_value_as_string(cornu_value_get(cornu_model_training_config(m), "loss"), NULL), "mse");
  cornu_model_release(m);
  m = load(FILES "two.json", NULL);
  assert_null(cornu_model_training_config(m));
  assert_non_null(cornu_layer_weight(cornu_model_layer_named(m, "a"), 0)); /* initialised */
  cornu_model_release(m);
}

static void test_by_name(void **state) {
  (void)state;
  cornu_load_options options = {.struct_size = sizeof options, .by_name = true};
  cornu_model *m = load_with(FILES "two.json", FILES "swapped.h5", &options);
  assert_two(m);
  cornu_model_release(m);
  assert_int_equal(cornu_model_load(FILES "two.json", FILES "three.keras", &options, &m, NULL), CORNU_ERR_UNSUPPORTED);
  assert_int_equal(cornu_model_load(FILES "two.json", FILES "numbered.h5", &options, &m, NULL), CORNU_ERR_UNSUPPORTED);
}

static void test_skip_mismatch(void **state) {
  (void)state;
  cornu_load_options options = {.struct_size = sizeof options, .skip_mismatch = true};
  cornu_model *m = load_with(FILES "misfit.h5", NULL, &options);
  assert_true(first(m, "b", 1) == 21 && first(m, "b", 0) != 20 && first(m, "a", 0) != 10);
  cornu_model_release(m);
  m = load_with(FILES "short.keras", NULL, &options);
  assert_true(first(m, "a", 0) == 10 && first(m, "b", 0) != 20);
  cornu_model_release(m);
}

/* Trainable arrays come first; by names and, where those do not tell, by the flags of the config. */
static void test_frozen_inside(void **state) {
  (void)state;
  static const char *const paths[] = {FILES "nested.h5", FILES "nested_order.h5"};
  for (int i = 0; i < 2; i++) {
    cornu_model *m = load(paths[i], NULL);
    assert_true(first(m, "inner/free", 0) == 30 && first(m, "inner/free", 1) == 31);
    assert_true(first(m, "inner/frozen", 0) == 10 && first(m, "inner/frozen", 1) == 11);
    cornu_model_release(m);
  }
}

static void test_frozen_after_wrapping(void **state) {
  (void)state;
  cornu_model *m = load(FILES "bidirectional.h5", NULL);
  cornu_layer *l = cornu_model_layer_named(m, "bi");
  assert_int_equal(cornu_layer_weights(l), 6);
  for (int i = 0; i < 6; i++) {
    const char *name = cornu_layer_weight_name(l, i);
    double base = strncmp(name, "forward_layer/", 14) == 0 ? 10 : 20;
    double offset = strstr(name, "recurrent") ? 1 : strstr(name, "bias") ? 2 : 0;
    assert_true(first(m, "bi", i) == base + offset);
  }
  cornu_model_release(m);
}

static void test_shared_by_two_models(void **state) {
  (void)state;
  static const char *const paths[] = {FILES "shared3.keras", FILES "shared2.keras"};
  for (int i = 0; i < 2; i++) {
    cornu_model *m = load(paths[i], NULL);
    assert_true(first(m, "A/sh", 0) == 10 && first(m, "B/sh", 0) == 10 && first(m, "B/sh", 1) == 11);
    assert_true(first(m, "B/other", 0) == 20 && first(m, "B/other", 1) == 21);
    cornu_model_release(m);
  }
}

static void test_load_weights_later(void **state) {
  (void)state;
  cornu_model *m = load(FILES "two.json", NULL);
  assert_int_equal(cornu_model_load_weights(m, FILES "two.h5", NULL, NULL), CORNU_OK);
  assert_two(m);
  cn_error e;
  assert_int_equal(cornu_model_load_weights(m, FILES "two.json", NULL, &e), CORNU_ERR_FORMAT);
  assert_string_equal(e.message, "two.json: the file holds no weights");
  cornu_model_release(m);
}

/* ---- Custom layers: the file's own arrays become their weights ---- */

/* x * scale + shift */
static cornu_status call_scale(void *user, cornu_layer *layer, cornu_tensor *const *in, int n_in, cornu_tensor **out,
                               int *n_out, cornu_error *e) {
  (void)user, (void)n_in;
  cornu_tensor *product;
  int one = 1;
  if (cornu_layer_weights(layer) != 2) return CORNU_ERR_CALLBACK;
  cornu_status status = cornu_apply("mul", (cornu_tensor *[]){in[0], cornu_layer_weight(layer, 0)}, 2, NULL, &product,
                                    &one, e);
  if (status) return status;
  *n_out = 1;
  status = cornu_apply("add", (cornu_tensor *[]){product, cornu_layer_weight(layer, 1)}, 2, NULL, out, n_out, e);
  cornu_tensor_release(product);
  return status;
}

static void test_custom_weights(void **state) {
  (void)state;
  static const struct { const char *path, *first, *second; } cases[] = {{FILES "custom.h5", "scale", "part/shift"},
                                                                        {FILES "custom.keras", "0", "part/0"}};
  const cornu_custom scale = {.name = "Scale", .call = call_scale};
  const cornu_load_options options = {.struct_size = sizeof options, .custom = &scale, .n_custom = 1};
  for (int i = 0; i < 2; i++) {
    cornu_model *m = load_with(cases[i].path, NULL, &options);
    cornu_layer *l = cornu_model_layer_named(m, "scale_1");
    assert_int_equal(cornu_layer_weights(l), 2);
    assert_string_equal(cornu_layer_weight_name(l, 0), cases[i].first);
    assert_string_equal(cornu_layer_weight_name(l, 1), cases[i].second);
    assert_true(first(m, "scale_1", 0) == 2 && first(m, "scale_1", 1) == 5 && first(m, "b", 0) == 20);
    cornu_model_release(m);
  }
}

/* ---- What is said ---- */

static void test_errors(void **state) {
  (void)state;
  static const struct { const char *path, *weights; cn_status status; const char *says; } cases[] = {
      {FILES "misfit.h5", NULL, CORNU_ERR_SHAPE,
       "misfit.h5 > layer \"a\" (Dense): kernel is (3, 5) in the file, the config needs (3, 4); "
       "layer \"a\" (Dense): bias is (5,) in the file, the config needs (4,); layer \"b\" (Dense): kernel is (5, 2) "
           "in the file, the config needs (4, 2)"},
      {FILES "more.h5", NULL, CORNU_ERR_SHAPE,
       "more.h5 > 3 layers with weights in the file, 2 in the config; the first that differ by name: \"c\" with 2 "
           "arrays in the file, no more in the config"},
      {FILES "missing_array.h5", NULL, CORNU_ERR_SHAPE,
       "missing_array.h5 > layer \"a\" (Dense): 1 array in the file, the config needs 2 (kernel, bias)"},
      {FILES "two.json", FILES "swapped.h5", CORNU_ERR_SHAPE,
       "swapped.h5 > 3 layers with weights in the file, 2 in the config; the first that differ by name: \"b\""},
      {FILES "short.keras", NULL, CORNU_ERR_SHAPE,
       "short.keras > layer \"b\" (Dense): the file has no arrays for its 2 weights at \"layers/dense_1/vars\""},
      {FILES "extra.keras", NULL, CORNU_ERR_SHAPE,
       "extra.keras > the file has 2 arrays at \"layers/dense_2\", for which the config has no layer"},
      {FILES "renamed.weights.h5", NULL, CORNU_ERR_FORMAT, "renamed.weights.h5: the file holds weights alone"},
      {FILES "plain.h5", NULL, CORNU_ERR_FORMAT, "plain.h5 > an HDF5 file without a Keras model"},
      {FILES "cut.h5", NULL, CORNU_ERR_FORMAT, "cut.h5 > truncated HDF5 file"},
      {FILES "palette.png", NULL, CORNU_ERR_FORMAT, FILES "palette.png: not a Keras model"},
      {FILES "no-such.h5", NULL, CORNU_ERR_NOT_FOUND, FILES "no-such.h5: no such file"},
      {FILES "two.json", FILES "no-such.h5", CORNU_ERR_NOT_FOUND, FILES "no-such.h5: no such file"},
      {"tests/formats", NULL, CORNU_ERR_FORMAT, "tests/formats: a folder without config.json"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cornu_model *m;
    cn_error e;
    cn_status status = cornu_model_load(cases[i].path, cases[i].weights, NULL, &m, &e);
    if (status != cases[i].status || strncmp(e.message, cases[i].says, strlen(cases[i].says)) != 0)
      fail_msg("%d %s\nexpected %s", status, e.message, cases[i].says);
    assert_null(m);
  }
}

static void test_what_files_are(void **state) {
  (void)state;
  static const struct { const char *name, *content; cn_status status; const char *says; } cases[] = {
      {"a.yaml", "backend: tensorflow\nclass_name: Sequential\n", CORNU_ERR_FORMAT, "YAML"},
      {"checkpoint", "model_checkpoint_path: \"x\"\n", CORNU_ERR_UNSUPPORTED, "TensorFlow checkpoint"},
      {"a.h5", "version https://git-lfs.github.com/spec/v1\n", CORNU_ERR_FORMAT, "git lfs pull"},
      {"a.npy", "\x93NUMPY\1", CORNU_ERR_FORMAT, "NumPy array"},
      {"a.pkl", "\x80\4\x95", CORNU_ERR_UNSUPPORTED, "pickle"},
      {"saved_model.pb", "\10\1", CORNU_ERR_UNSUPPORTED, "TensorFlow graph"},
      {"a.json", "{\"weight_map\": {}}", CORNU_ERR_FORMAT, "weights alone"},
      {"b.h5", "\n<!DOCTYPE html><html>", CORNU_ERR_FORMAT, "web page"},
      {"c.h5", "\x1f\x8b\x08", CORNU_ERR_UNSUPPORTED, "gunzip"},
      {"a.tflite", "\x1c\1\1\1TFL3", CORNU_ERR_UNSUPPORTED, "Lite"},
      {"a.onnx", "\10\7\22\7pytorch", CORNU_ERR_UNSUPPORTED, "ONNX"},
      {"b.json", "{\"node\": []}", CORNU_ERR_UNSUPPORTED, "MMdnn"},
      {"c.json", "{\"class_name\": 3}", CORNU_ERR_FORMAT, "not a Keras model"},
      {"d.json", " \n{\"class_name\": ", CORNU_ERR_FORMAT, "line 2, column"},
      {"empty.h5", "", CORNU_ERR_FORMAT, "the file is empty"},
      {"empty.zip", "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", CORNU_ERR_FORMAT, "without config.json"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char path[128];
    const char *type;
    cn_error e;
    snprintf(path, sizeof path, "%s/%s", folder, cases[i].name);
    FILE *f = fopen(path, "wb");
    fwrite(cases[i].content, 1, strcmp(cases[i].name, "empty.zip") == 0 ? 22 : strlen(cases[i].content), f);
    fclose(f);
    cn_status status = cornu_check_modeltype(path, &type, &e);
    unlink(path);
    if (status != cases[i].status || !strstr(e.message, cases[i].says))
      fail_msg("%s: %d %s", cases[i].name, status, e.message);
    assert_null(type);
  }
}

static void test_model_type(void **state) {
  (void)state;
  const char *type;
  assert_int_equal(cornu_check_modeltype(FILES "two.h5", &type, NULL), CORNU_OK);
  assert_string_equal(type, "Sequential");
  assert_int_equal(cornu_check_modeltype(FILES "three.keras", &type, NULL), CORNU_OK);
  assert_string_equal(type, "Sequential");
}

/* ---- Origins ---- */

static cn_origin origin_of(const char *json, const char *version, const char *backend,
                           const cornu_load_options *options) {
  cn_source s = {.version = version, .backend = backend, .group = "", .weights_version = "", .json = true};
  cn_value *v;
  cn_origin o;
  cn_error e;
  assert_int_equal(cornu_json_read(&s.tree, json, strlen(json), &v, &e), CORNU_OK);
  s.config = v;
  if (cn_origin_of(&s, NULL, options, &o, &e)) fail_msg("%s", e.message);
  cn_arena_free(&s.tree.arena);
  return o;
}

static void test_origins(void **state) {
  (void)state;
  const cornu_load_options none = {0}, theano = {.backend = "theano"}, first_ = {.data_format = "channels_first"};
  static const char th[] = "{\"config\": [{\"dim_ordering\": \"th\"}, {\"x\": 1}]}",
      tf[] = "{\"config\": [{\"dim_ordering\": \"tf\"}]}";
  cn_origin o = origin_of("{}", "2.2.4-tf", "", &none);
  assert_true(o.keras == 2 && o.minor == 2 && o.patch == 4 && o.tf && o.h5);
  o = origin_of("{}", "2.3.1", "theano", &none);
  assert_true(o.keras == 2 && !o.tf && o.theano && !o.channels_first);
  o = origin_of("{}", "2.13.1", "tensorflow", &none);
  assert_true(o.tf && o.minor == 13);
  o = origin_of("{\"module\": \"keras\", \"config\": {\"batch_shape\": []}}", "", "", &none);
  assert_true(o.keras == 3 && !o.tf && !o.h5);
  o = origin_of(th, "1.0.6", "", &none);
  assert_true(o.keras == 1 && o.minor == 0 && o.patch == 6 && o.channels_first && !o.theano);
  o = origin_of(tf, "1.2.2", "", &theano);
  assert_true(o.theano && !o.channels_first);
  o = origin_of("{}", "1.2.2", "", &theano);
  assert_true(o.theano && o.channels_first);
  o = origin_of(tf, "1.2.2", "", &first_);
  assert_true(!o.theano && o.channels_first);
  o = origin_of("{\"border_mode\": \"same\"}", "", "", &none);
  assert_int_equal(o.keras, 1);
}

static void test_bad_options(void **state) {
  (void)state;
  cornu_model *m;
  cornu_load_options options = {.struct_size = sizeof options, .backend = "mxnet"},
      shape = {.struct_size = sizeof shape, .data_format = "nchw"}, zero = {0};
  assert_int_equal(cornu_model_load(FILES "two.json", NULL, &options, &m, NULL), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_model_load(FILES "two.json", NULL, &shape, &m, NULL), CORNU_ERR_ARGUMENT);
  assert_int_equal(cornu_model_load(FILES "two.json", NULL, &zero, &m, NULL), CORNU_ERR_ARGUMENT);
  options.struct_size = offsetof(cornu_load_options, backend); /* an older caller */
  assert_int_equal(cornu_model_load(FILES "two.json", NULL, &options, &m, NULL), CORNU_OK);
  cornu_model_release(m);
}

static void test_deadlines(void **state) {
  static const char *const paths[][2] = {{FILES "two.h5", NULL}, {FILES "three.keras", NULL}, {FILES "two.json", FILES "two.h5"}};
  (void)state;
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    cornu_model *m;
    cn_error e;
    const double soon = cornu_clock();
    assert_true(cornu_set_deadline(soon) == 0);
    assert_int_equal(cornu_model_load(paths[i][0], paths[i][1], NULL, &m, &e), CORNU_ERR_INTERRUPTED);
    assert_non_null(strstr(e.message, "the time for it is over"));
    assert_null(m);
    assert_true(cornu_set_deadline(soon + 1e6) == soon);
    m = load(paths[i][0], paths[i][1]);
    cornu_tensor *x, *y = NULL;
    const int64_t shape[] = {1, 3};
    assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, 2, shape, &x, NULL), CORNU_OK);
    cornu_set_deadline(soon);
    assert_int_equal(cornu_model_predict(m, &x, 1, &y, &e), CORNU_ERR_INTERRUPTED);
    assert_non_null(strstr(e.message, "the time for it is over"));
    assert_null(y);
    assert_true(cornu_set_deadline(0) == soon);
    cornu_tensor_release(x);
    cornu_model_release(m);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_whole_files), cmocka_unit_test(test_what_the_file_says),
      cmocka_unit_test(test_by_name), cmocka_unit_test(test_skip_mismatch),
      cmocka_unit_test(test_frozen_inside), cmocka_unit_test(test_load_weights_later),
      cmocka_unit_test(test_shared_by_two_models), cmocka_unit_test(test_frozen_after_wrapping),
      cmocka_unit_test(test_custom_weights), cmocka_unit_test(test_errors),
      cmocka_unit_test(test_what_files_are), cmocka_unit_test(test_model_type),
      cmocka_unit_test(test_origins), cmocka_unit_test(test_bad_options), cmocka_unit_test(test_deadlines)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
