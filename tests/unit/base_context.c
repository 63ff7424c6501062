/* Contexts: memory with a limit of its own, limits for files, the log; model files that are the host's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after those */
#include <cmocka.h>

#include "small_models.h"

static cornu_error e;

static atomic_long blocks;
static void *count_alloc(void *user, size_t size, size_t align) {
  void *p = NULL;
  atomic_fetch_add((atomic_long *)user, 1);
  return posix_memalign(&p, align, size) ? NULL : p;
}
static void count_free(void *user, void *pointer, size_t size) {
  (void)size;
  atomic_fetch_sub((atomic_long *)user, 1);
  free(pointer);
}

static cornu_context *make(cornu_context_options o) {
  cornu_context *c;
  o.struct_size = sizeof o;
  if (cornu_context_new(&o, &c, &e)) fail_msg("%s", e.message);
  return c;
}

static void memory_goes_back_where_it_came_from(void **state) {
  (void)state;
  cornu_tensor *mine, *its;
  const int64_t shape[] = {100};
  const size_t before = cornu_memory_used();
  cornu_context *c = make((cornu_context_options){.allocator = {&blocks, count_alloc, count_free}});
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, 1, shape, &mine, &e), CORNU_OK);
  assert_int_equal(blocks, 1); /* the context itself */
  assert_null(cornu_context_use(c));
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, 1, shape, &its, &e), CORNU_OK);
  assert_true(blocks > 1 && cornu_memory_used() >= 400);
  cornu_tensor_release(mine);
  assert_ptr_equal(cornu_context_use(NULL), c);
  assert_int_equal(cornu_memory_used(), before);
  assert_true(cornu_context_memory(c) >= 400);
  cornu_context_release(c);
  assert_true(blocks > 1); /* until its last tensor is gone */
  cornu_tensor_release(its);
  assert_int_equal(blocks, 0);
}

static void memory_has_a_limit(void **state) {
  (void)state;
  const int64_t large[] = {1 << 18}, small[] = {100};
  cornu_tensor *t;
  cornu_context *c = make((cornu_context_options){.max_memory = 1 << 20});
  cornu_context_use(c);
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, 1, large, &t, &e), CORNU_ERR_MEMORY);
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, 1, small, &t, &e), CORNU_OK);
  cornu_tensor_release(t);
  assert_int_equal(cornu_memory_used(), 0);
  cornu_context_use(NULL);
  assert_int_equal(cornu_tensor_new(CORNU_FLOAT32, 1, large, &t, &e), CORNU_OK);
  cornu_tensor_release(t);
  cornu_context_release(c);
}

static void limits_are_its_own(void **state) {
  (void)state;
  cornu_limits l = {.struct_size = sizeof l};
  cornu_model *m;
  cornu_context *c = make((cornu_context_options){.limits = {.struct_size = sizeof l, .max_layers = 2}});
  cornu_context_use(c);
  cornu_get_limits(&l);
  assert_int_equal(l.max_layers, 2);
  assert_int_equal(l.max_depth, 200);
  assert_int_equal(cornu_model_load(convolutions, NULL, NULL, &m, &e), CORNU_ERR_LIMIT);
  cornu_context_use(NULL);
  assert_int_equal(cornu_model_load(convolutions, NULL, NULL, &m, &e), CORNU_OK);
  cornu_model_release(m);
  cornu_context_release(c);
}

static void keep_last(void *user, cornu_log_level level, const char *message) {
  if (level == CORNU_LOG_INFO) snprintf(user, 200, "%s", message);
}

static void the_log_is_told(void **state) {
  (void)state;
  char last[200] = "";
  cornu_model *m;
  cornu_context *c = make((cornu_context_options){.log = keep_last, .log_user = last});
  cornu_context_use(c);
  assert_int_equal(cornu_model_load("lua/examples/digits/digits.keras", NULL, NULL, &m, &e), CORNU_OK);
  cornu_context_use(NULL);
  assert_non_null(strstr(last, "digits.keras: "));
  assert_non_null(strstr(last, " parameters"));
  cornu_model_release(m);
  cornu_context_release(c);
}

static void no_jobs(void *user, int n, void (*job)(void *context, int i), void *context) {
  (void)user, (void)n, (void)job, (void)context;
}

static void bad_options_are_refused(void **state) {
  (void)state;
  cornu_context *c;
  const cornu_context_options cases[] = {{.threads = 1},
                                         {sizeof(cornu_context_options), .allocator = {NULL, count_alloc, NULL}},
                                         {sizeof(cornu_context_options), .threads = -1},
                                         {sizeof(cornu_context_options), .jobs = {NULL, 0, no_jobs}}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(cornu_context_new(&cases[i], &c, &e), CORNU_ERR_ARGUMENT);
    assert_null(c);
  }
}

/* ---- Model files of the host ---- */

typedef struct archive { char *bytes; size_t size; int reads, fails_at; } archive;

static archive read_archive(const char *path) {
  archive a = {.bytes = malloc(1 << 20), .fails_at = -1};
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  a.size = fread(a.bytes, 1, 1 << 20, f);
  fclose(f);
  return a;
}

static bool read_some(void *user, uint64_t offset, void *buffer, size_t n) {
  archive *a = user;
  if (a->reads++ == a->fails_at || offset > a->size || n > a->size - offset) return false;
  memcpy(buffer, a->bytes + offset, n);
  return true;
}

static void same_answers(cornu_model *a, cornu_model *b) {
  enum { MOST = 16 };
  cornu_port port;
  cornu_tensor *x, *y[MOST], *z[MOST];
  cornu_random random;
  bool close;
  double worst;
  assert_true(cornu_model_input(a, 0, &port));
  port.shape[0] = 2;
  x = small_model_tensor(&port);
  cornu_random_seed(&random, 1);
  cornu_random_uniform(&random, x, 0, 1, &e);
  assert_true(cornu_model_outputs(a) <= MOST);
  assert_int_equal(cornu_model_predict(a, &x, 1, y, &e), CORNU_OK);
  assert_int_equal(cornu_model_predict(b, &x, 1, z, &e), CORNU_OK);
  for (int i = 0; i < cornu_model_outputs(a); i++) {
    assert_int_equal(cornu_tensor_allclose(y[i], z[i], 0, 0, &close, &worst, &e), CORNU_OK);
    assert_true(close);
    cornu_tensor_release(y[i]), cornu_tensor_release(z[i]);
  }
  cornu_tensor_release(x);
}

static void models_are_loaded_from_memory(void **state) {
  const char *path = *state;
  cornu_model *m, *want;
  archive a = read_archive(path);
  assert_int_equal(cornu_model_load(path, NULL, NULL, &want, &e), CORNU_OK);
  cornu_source s = {sizeof s, "pack/net", a.bytes, a.size, NULL, NULL};
  cornu_source reader = {sizeof s, "pack/net", NULL, a.size, read_some, &a};
  for (int k = 0; k < 2; k++) {
    if (cornu_model_load_source(k ? &reader : &s, NULL, NULL, &m, &e)) fail_msg("%s", e.message);
    assert_string_equal(cornu_model_path(m), "pack/net");
    same_answers(m, want);
    cornu_model_release(m);
  }
  assert_int_equal(cornu_model_load(path, NULL, NULL, &m, &e), CORNU_OK);
  assert_int_equal(cornu_model_load_weights_source(m, &s, NULL, &e), CORNU_OK);
  same_answers(m, want);
  cornu_model_release(m);
  assert_int_equal(cornu_model_load_source(&s, &reader, NULL, &m, &e), CORNU_ERR_ARGUMENT); /* one name */
  a.fails_at = a.reads;
  assert_int_equal(cornu_model_load_source(&reader, NULL, NULL, &m, &e), CORNU_ERR_CALLBACK);
  assert_non_null(strstr(e.message, "pack/net"));
  s.size /= 2;
  assert_int_not_equal(cornu_model_load_source(&s, NULL, NULL, &m, &e), CORNU_OK); /* cut off */
  assert_null(m);
  assert_int_equal(cornu_model_load("pack/net", NULL, NULL, &m, &e), CORNU_ERR_NOT_FOUND); /* given no longer */
  free(a.bytes);
  cornu_model_release(want);
}

static int nothing_left(void **state) {
  (void)state;
  return cornu_memory_used() != 0 || blocks != 0;
}

#define FROM(path) cmocka_unit_test_prestate(models_are_loaded_from_memory, (void *)(uintptr_t)path)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(memory_goes_back_where_it_came_from), cmocka_unit_test(memory_has_a_limit),
      cmocka_unit_test(limits_are_its_own), cmocka_unit_test(the_log_is_told),
      cmocka_unit_test(bad_options_are_refused),
      FROM("lua/examples/digits/digits.keras"), FROM("tests/models/tfkeras2/even_kernels/model.h5")};
  return cmocka_run_group_tests(tests, NULL, nothing_left);
}
