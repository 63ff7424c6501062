/* Many threads at the same moment: one model in predictions, plans, runners of each thread, loads and contexts. */
#include <pthread.h>
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

enum { THREADS = 4, ROUNDS = 12, BATCH = 6 };

/* What every thread works on; a thread notes what went wrong, since the tests' own thread alone may fail. */
typedef struct shared {
  cornu_model *m;
  cornu_tensor *x, *y;
  atomic_int wrong;
} shared;

static bool same(const cornu_tensor *a, const cornu_tensor *b) {
  return memcmp(cornu_tensor_data((cornu_tensor *)a), cornu_tensor_data((cornu_tensor *)b),
                (size_t)cornu_tensor_size(b) * cornu_dtype_bytes(cornu_tensor_dtype(b))) == 0;
}

static void expect(shared *s, bool right) {
  if (!right) atomic_fetch_add(&s->wrong, 1);
}

static void predict(shared *s) {
  cornu_tensor *y[2] = {0};
  expect(s, !cornu_model_predict(s->m, &s->x, 1, y, NULL) && same(y[0], s->y));
  cornu_tensor_release(y[0]), cornu_tensor_release(y[1]);
}

static cornu_runner *make_runner(shared *s) {
  cornu_runner *r = NULL;
  const cornu_runner_options o = {.struct_size = sizeof o, .batch = BATCH};
  expect(s, !cornu_runner_new(s->m, &o, &r, NULL));
  if (r)
    memcpy(cornu_runner_data(r, CORNU_RUNNER_INPUT, 0), cornu_tensor_data(s->x),
           (size_t)cornu_tensor_size(s->x) * sizeof(float));
  return r;
}

static void run_pieces(shared *s, cornu_runner *r, int round) {
  bool done = false;
  if (round % 3 == 0) expect(s, !cornu_runner_run(r, NULL));
  else if (round % 3 == 1) while (!done) expect(s, !cornu_runner_run_for(r, round, &done, NULL));
  else {
    expect(s, !cornu_runner_start(r, NULL, NULL, NULL));
    predict(s);
    expect(s, !cornu_runner_wait(r, NULL));
  }
  expect(s, same(cornu_runner_tensor(r, CORNU_RUNNER_OUTPUT, 0), s->y));
}

static void load_in_a_context(shared *s) {
  cornu_context *c;
  cornu_model *m;
  const cornu_context_options o = {.struct_size = sizeof o, .threads = 2, .max_memory = 64 << 20};
  expect(s, !cornu_context_new(&o, &c, NULL));
  cornu_context_use(c);
  expect(s, !cornu_model_load(convolutions, NULL, NULL, &m, NULL));
  cornu_model_release(m);
  expect(s, cornu_memory_used() == 0);
  cornu_context_use(NULL);
  cornu_context_release(c);
}

static void *work(void *context) {
  shared *s = context;
  cornu_runner *r = make_runner(s);
  for (int round = 0; r && round < ROUNDS; round++) {
    predict(s);
    run_pieces(s, r, round);
    if (round % 4 == 0) load_in_a_context(s);
  }
  cornu_runner_free(r);
  return NULL;
}

static void threads_share_a_model(void **state) {
  cornu_error e;
  cornu_port port;
  cornu_random random;
  cornu_tensor *y[2];
  pthread_t threads[THREADS];
  shared s = {0};
  cornu_set_threads(3);
  if (cornu_model_load(*state, NULL, NULL, &s.m, &e)) fail_msg("%s", e.message);
  assert_true(cornu_model_input(s.m, 0, &port));
  port.shape[0] = BATCH;
  s.x = small_model_tensor(&port);
  cornu_random_seed(&random, 5);
  assert_int_equal(cornu_random_uniform(&random, s.x, 0, 1, &e), CORNU_OK);
  assert_int_equal(cornu_model_predict(s.m, &s.x, 1, y, &e), CORNU_OK);
  s.y = y[0];
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, work, &s), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  assert_int_equal(s.wrong, 0);
  for (int i = 0; i < cornu_model_outputs(s.m); i++) cornu_tensor_release(y[i]);
  cornu_tensor_release(s.x);
  cornu_model_release(s.m);
  assert_int_equal(cornu_memory_used(), 0);
}

#define WITH(model) {"threads_share_a_model " #model, threads_share_a_model, NULL, NULL, (void *)(uintptr_t)(model)}

int main(void) {
  const struct CMUnitTest tests[] = {WITH(convolutions), WITH(branches)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
