/* Weights that change after plans and runners were made, also while other threads run them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "small_models.h"

#define OK(call) do { if (call) fail_msg("line %d: %s", __LINE__, e.message); } while (0)

static _Thread_local cornu_error e;

static cornu_model *load(const char *text) {
  cornu_model *m;
  OK(cornu_model_load(text, NULL, &(cornu_load_options){sizeof(cornu_load_options), .seed = 3}, &m, &e));
  return m;
}

static cornu_runner *make(cornu_model *m) {
  cornu_runner *r;
  OK(cornu_runner_new(m, &(cornu_runner_options){sizeof(cornu_runner_options), .batch = 2}, &r, &e));
  return r;
}

/* All weights of all layers become others. */
static void change(cornu_model *m, uint64_t seed) {
  cornu_random random;
  cornu_random_seed(&random, seed);
  for (int l = 0; l < cornu_model_layers(m); l++) {
    cornu_layer *layer = cornu_model_layer(m, l);
    cornu_tensor *values[16];
    const int n = cornu_layer_weights(layer);
    for (int i = 0; i < n; i++) {
      const cornu_tensor *w = cornu_layer_weight(layer, i);
      OK(cornu_tensor_new(CORNU_FLOAT32, cornu_tensor_rank(w), cornu_tensor_shape(w), &values[i], &e));
      OK(cornu_random_uniform(&random, values[i], 0.1, 1, &e));
    }
    OK(cornu_layer_set_weights(layer, values, n, &e));
    for (int i = 0; i < n; i++) cornu_tensor_release(values[i]);
  }
}

static void fill(cornu_runner *r) {
  cornu_random random;
  cornu_random_seed(&random, 5);
  OK(cornu_random_uniform(&random, cornu_runner_tensor(r, CORNU_RUNNER_INPUT, 0), 0, 1, &e));
}

static bool same_output(cornu_runner *a, cornu_runner *b) {
  cornu_tensor *x = cornu_runner_tensor(a, CORNU_RUNNER_OUTPUT, 0), *y = cornu_runner_tensor(b, CORNU_RUNNER_OUTPUT, 0);
  return memcmp(cornu_tensor_data(x), cornu_tensor_data(y), (size_t)cornu_tensor_size(x) * sizeof(float)) == 0;
}

enum { WHOLE, IN_SLICES, IN_BACKGROUND, WAYS };

static void run(cornu_runner *r, int way) {
  bool done = false;
  if (way == WHOLE) OK(cornu_runner_run(r, &e));
  while (way == IN_SLICES && !done) OK(cornu_runner_run_for(r, 0, &done, &e));
  if (way != IN_BACKGROUND) return;
  OK(cornu_runner_start(r, NULL, NULL, &e));
  OK(cornu_runner_wait(r, &e));
}

/* A runner that was made before goes on like one that is made anew, but for its states. */
static void the_next_run_has_the_new_weights(void **state) {
  cornu_set_threads(2);
  for (int way = 0; way < WAYS; way++) {
    cornu_model *m = load(*state);
    cornu_runner *r = make(m), *before = make(m);
    fill(r), fill(before);
    run(r, way), run(before, way);
    change(m, (uint64_t)way + 10);
    cornu_runner *anew = make(m);
    fill(anew);
    for (int i = 0; i < cornu_runner_count(r, CORNU_RUNNER_STATE); i++)
      OK(cornu_tensor_copy(cornu_runner_tensor(anew, CORNU_RUNNER_STATE, i), cornu_runner_tensor(r, CORNU_RUNNER_STATE, i),
                           &e));
    for (int i = 0; i < 2; i++) {
      run(r, way), run(anew, WHOLE);
      assert_true(same_output(r, anew));
      assert_false(same_output(r, before));
    }
    cornu_runner_free(anew);
    cornu_runner_free(before);
    cornu_runner_free(r);
    cornu_model_release(m);
  }
}

static void plans_and_chosen_outputs_have_them(void **state) {
  (void)state;
  const char *const name = "n";
  const int64_t shape[] = {2, 6, 6, 2}, *shapes[] = {shape};
  cornu_runner_options o = {.struct_size = sizeof o, .batch = 2, .outputs = &name, .n_outputs = 1};
  cornu_model *m = load(branches);
  cornu_plan *p;
  cornu_runner *chosen, *anew;
  OK(cornu_runner_new(m, &o, &chosen, &e));
  OK(cornu_plan_new(m, shapes, &p, &e));
  change(m, 20);
  OK(cornu_runner_new(m, &o, &anew, &e));
  fill(chosen), fill(anew);
  run(chosen, WHOLE), run(anew, WHOLE);
  assert_true(same_output(chosen, anew));
  cornu_port port;
  cornu_tensor *out[2], *in = cornu_runner_tensor(anew, CORNU_RUNNER_INPUT, 0);
  for (int i = 0; i < 2 && cornu_plan_output(p, i, &port); i++) out[i] = small_model_tensor(&port);
  OK(cornu_plan_run(p, &in, out, &e));
  assert_memory_equal(cornu_tensor_data(out[0]), cornu_runner_data(anew, CORNU_RUNNER_OUTPUT, 0),
                      (size_t)cornu_tensor_size(out[0]) * sizeof(float));
  for (int i = 0; i < 2; i++) cornu_tensor_release(out[i]);
  cornu_plan_free(p);
  cornu_runner_free(chosen);
  cornu_runner_free(anew);
  cornu_model_release(m);
}

/* ---- Other threads ---- */

typedef struct other { cornu_model *m; cornu_runner *r; pthread_barrier_t changed, ran; } other;

static void *change_and_refresh(void *context) {
  other *o = context;
  cornu_weights_begin();
  change(o->m, 30);
  pthread_barrier_wait(&o->changed);
  pthread_barrier_wait(&o->ran);
  if (cornu_runner_refresh(o->r, &e)) return (void *)"refresh failed";
  cornu_weights_end();
  return NULL;
}

/* While another thread changes weights a run has those from before; of what that thread has made ready it allocates and
 * frees nothing. */
static void another_thread_changes_and_refreshes(void **state) {
  (void)state;
  other o = {.m = load(convolutions)};
  void *failure;
  pthread_t thread;
  o.r = make(o.m);
  cornu_runner *before = make(o.m);
  fill(o.r), fill(before);
  run(before, WHOLE);
  pthread_barrier_init(&o.changed, NULL, 2);
  pthread_barrier_init(&o.ran, NULL, 2);
  assert_int_equal(pthread_create(&thread, NULL, change_and_refresh, &o), 0);
  pthread_barrier_wait(&o.changed);
  run(o.r, WHOLE);
  assert_true(same_output(o.r, before));
  pthread_barrier_wait(&o.ran);
  pthread_join(thread, &failure);
  assert_null(failure);
  const size_t memory = cornu_memory_used();
  run(o.r, WHOLE);
  assert_int_equal(cornu_memory_used(), memory);
  assert_false(same_output(o.r, before));
  run(before, WHOLE);
  assert_true(same_output(o.r, before));
  pthread_barrier_destroy(&o.changed);
  pthread_barrier_destroy(&o.ran);
  cornu_runner_free(before);
  cornu_runner_free(o.r);
  cornu_model_release(o.m);
}

/* y = k * k * x, with k in the kernels of two layers. */
static const char squares[] = SEQUENTIAL(LAYER("Dense", INPUT("1") "\"units\": 1, \"use_bias\": false, \"name\": \"a\"") ", "
                                         LAYER("Dense", "\"units\": 1, \"use_bias\": false, \"name\": \"b\""));

static void set_factor(cornu_model *m, float k) {
  cornu_weights_begin();
  for (int l = 0; l < cornu_model_layers(m); l++) {
    cornu_tensor *w;
    if (!cornu_layer_weights(cornu_model_layer(m, l))) continue;
    OK(cornu_tensor_new(CORNU_FLOAT32, 2, (const int64_t[]){1, 1}, &w, &e));
    *(float *)cornu_tensor_data(w) = k;
    OK(cornu_layer_set_weights(cornu_model_layer(m, l), &w, 1, &e));
    cornu_tensor_release(w);
  }
  cornu_weights_end();
}

enum { CHANGES = 200 };
static atomic_int changes;

static void *change_often(void *context) {
  for (int k = 1; k <= CHANGES; k++) {
    set_factor(context, (float)k);
    atomic_store(&changes, k);
  }
  return NULL;
}

static void *refresh_often(void *context) {
  while (atomic_load(&changes) < CHANGES)
    if (cornu_runner_refresh(context, &e)) return (void *)"refresh failed";
  return NULL;
}

static void no_run_sees_half_a_change(void **state) {
  (void)state;
  pthread_t changer, refresher;
  void *failure;
  cornu_model *m = load(squares);
  set_factor(m, 1);
  cornu_runner *r = make(m);
  *(float *)cornu_runner_data(r, CORNU_RUNNER_INPUT, 0) = 1;
  atomic_store(&changes, 0);
  assert_int_equal(pthread_create(&changer, NULL, change_often, m), 0);
  assert_int_equal(pthread_create(&refresher, NULL, refresh_often, r), 0);
  for (int k = 0, least = 1; k < CHANGES;) {
    k = atomic_load(&changes);
    run(r, WHOLE);
    const float y = *(float *)cornu_runner_data(r, CORNU_RUNNER_OUTPUT, 0);
    int root = least;
    while ((float)root * (float)root < y) root++;
    assert_true((float)root * (float)root == y);
    least = root;
    if (k == CHANGES) assert_int_equal(root, k);
  }
  pthread_join(changer, &failure);
  pthread_join(refresher, &failure);
  assert_null(failure);
  cornu_runner_free(r);
  cornu_model_release(m);
}

static int nothing_left(void **state) {
  (void)state;
  return cornu_memory_used() != 0;
}

#define WITH(test, model) {#test " " #model, test, NULL, NULL, (void *)(uintptr_t)(model)}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH(the_next_run_has_the_new_weights, convolutions), WITH(the_next_run_has_the_new_weights, recurrent),
      cmocka_unit_test(plans_and_chosen_outputs_have_them), cmocka_unit_test(another_thread_changes_and_refreshes),
      cmocka_unit_test(no_run_sees_half_a_change)};
  return cmocka_run_group_tests(tests, NULL, nothing_left);
}
