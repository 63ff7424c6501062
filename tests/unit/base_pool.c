/* The thread pool: every task once, slots, ranges without gaps, nested and concurrent calls, forks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#ifndef TESTS_WITHOUT_FORK
#include <sys/wait.h>
#endif
#include <unistd.h>
/* after those */
#include <cmocka.h>

#include "base/pool.h"

enum { MOST = 1000 };
static atomic_int done[MOST];

static void mark(void *context, int i) {
  assert_ptr_equal(context, done);
  atomic_fetch_add(&done[i], 1);
}

static void expect_once(int n) {
  for (int i = 0; i < MOST; i++)
    if (atomic_exchange(&done[i], 0) != (i < n)) fail_msg("task %d of %d, %d threads", i, n, cn_threads());
}

static void test_every_task_once(void **state) {
  (void)state;
  static const int counts[] = {0, 1, 2, 3, 7, 64, MOST};
  for (int threads = 1; threads <= 4; threads++) {
    cornu_set_threads(threads);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
      cn_parallel(counts[i], mark, done);
      expect_once(counts[i]);
    }
  }
}

static void test_thread_counts(void **state) {
  (void)state;
  static const struct { int set, got; } cases[] = {{1, 1}, {4, 4}, {64, 64}, {65, 64}, {1 << 30, 64}, {0, 1}, {-3, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cornu_set_threads(cases[i].set);
    assert_int_equal(cornu_get_threads(), cases[i].got);
  }
}

/* Thousands of jobs, the number of threads changing between them: what a job writes is there when the call returns. */
static void add_one(void *context, int i) { ((int64_t *)context)[i] += i; }

static void test_many_calls(void **state) {
  (void)state;
  int64_t sums[16] = {0};
  for (int call = 0; call < 4000; call++) {
    if (call % 100 == 0) cornu_set_threads(1 + call / 100 % 4);
    cn_parallel(16, add_one, sums);
    if (sums[5] != 5 * (call + 1)) fail_msg("call %d: %lld", call, (long long)sums[5]);
    if (call == 2000) usleep(20000); /* the workers fall asleep */
  }
  for (int i = 0; i < 16; i++) assert_int_equal(sums[i], 4000 * i);
}

/* A worker must take part: two tasks wait for each other, which one thread cannot do. */
static void meet(void *context, int i) {
  atomic_int *here = context;
  (void)i;
  atomic_fetch_add(here, 1);
  for (int k = 0; k < 5000 && atomic_load(here) < 2; k++) usleep(1000);
}

static void test_two_at_once(void **state) {
  (void)state;
  cornu_set_threads(2);
  for (int k = 0; k < 20; k++) {
    atomic_int here = 0;
    double start = cornu_clock();
    cn_parallel(2, meet, &here);
    assert_true(cornu_clock() - start < 4);
  }
}

/* ---- ranges ---- */

/* No two tasks with the same slot at a time, and no slot beyond the limit. */
typedef struct slots { int limit; atomic_bool busy[8]; atomic_int wrong, ran; } slots;

static void take_slot(void *context, int i, int slot) {
  slots *s = context;
  if (slot >= s->limit || atomic_exchange(&s->busy[slot], true)) atomic_fetch_add(&s->wrong, 1);
  for (volatile int spin = 0; spin < 200 * (i % 3); spin++) {}
  atomic_store(&s->busy[slot], false);
  atomic_fetch_add(&s->ran, 1);
}

static void test_slots(void **state) {
  (void)state;
  cornu_set_threads(4);
  for (int call = 0; call < 500; call++) {
    slots s = {.limit = 1 + call % 5};
    cn_parallel_slots(20, s.limit, take_slot, &s);
    assert_int_equal(s.wrong, 0);
    assert_int_equal(s.ran, 20);
  }
}

typedef struct ranges {
  atomic_int count;
  int64_t begin[64], end[64];
} ranges;

static void note(void *context, int64_t begin, int64_t end) {
  ranges *r = context;
  int at = atomic_fetch_add(&r->count, 1);
  r->begin[at] = begin;
  r->end[at] = end;
}

static void test_ranges(void **state) {
  (void)state;
  static const struct {
    int threads;
    int64_t items, grain;
    int parts;
  } cases[] = {{4, 0, 1, 0},    {4, -5, 1, 0},
               {4, 1, 1, 1},    {4, 3, 1, 3},
               {4, 4, 1, 4},    {4, 10, 1, 8},
               {4, 10, 3, 3},   {4, 10, 6, 1},
               {4, 10, 100, 1}, {1, 10, 1, 1},
               {3, 10, 0, 9},   {3, 11, -2, 9},
               {2, 1000, 7, 8}, {2, 1000, 300, 2},
               {4, 100, 1, 16}, {4, INT64_MAX / 64, 1, 16}};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    ranges r = {0};
    cornu_set_threads(cases[c].threads);
    cn_parallel_range(cases[c].items, cases[c].grain, note, &r);
    assert_int_equal(r.count, cases[c].parts);
    int64_t at = 0; /* the ranges follow each other without gaps and are of a size */
    for (int found = 0; found < r.count; found++) {
      int next = 0;
      while (next < r.count && r.begin[next] != at) next++;
      assert_true(next < r.count);
      int64_t length = r.end[next] - at, fair = cases[c].items / r.count;
      assert_true(length == fair || length == fair + 1);
      if (r.count > 1 && cases[c].grain > 0) assert_true(length >= cases[c].grain);
      at = r.end[next];
    }
    if (r.count) assert_true(at == cases[c].items);
  }
}

/* ---- calls within calls and from several threads ---- */

typedef struct outer_job {
  atomic_int inner, wrong;
} outer_job;

static void inner_task(void *context, int i) { atomic_fetch_add((atomic_int *)context, i); }
static void inner_range(void *context, int64_t begin, int64_t end) {
  atomic_fetch_add((atomic_int *)context, begin == 0 && end == 50 ? 50 : -1000); /* undivided within a task */
}

static void outer_task(void *context, int i) {
  outer_job *j = context;
  atomic_int sum = 0;
  (void)i;
  cn_parallel(10, inner_task, &sum);
  cn_parallel_range(50, 1, inner_range, &sum);
  if (sum != 45 + 50) atomic_fetch_add(&j->wrong, 1);
  atomic_fetch_add(&j->inner, 1);
}

static void test_nested_calls(void **state) {
  (void)state;
  for (int threads = 2; threads <= 4; threads++) {
    outer_job j = {0};
    cornu_set_threads(threads);
    for (int k = 0; k < 50; k++) cn_parallel(20, outer_task, &j);
    assert_int_equal(j.inner, 1000);
    assert_int_equal(j.wrong, 0);
  }
}

static void *call_often(void *wrong) {
  for (int k = 0; k < 300; k++) {
    int64_t sums[16] = {0};
    cn_parallel(16, add_one, sums);
    for (int i = 0; i < 16; i++)
      if (sums[i] != i) atomic_fetch_add((atomic_int *)wrong, 1);
  }
  return NULL;
}

static void test_callers_at_once(void **state) {
  (void)state;
  pthread_t callers[3];
  atomic_int wrong = 0;
  cornu_set_threads(3);
  for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&callers[i], NULL, call_often, &wrong), 0);
  for (int i = 0; i < 3; i++) pthread_join(callers[i], NULL);
  assert_int_equal(wrong, 0);
}

/* Workers help every caller: each of two needs one to get on. */
static void *call_once(void *late) {
  atomic_int here = 0;
  double start = cornu_clock();
  cn_parallel(2, meet, &here);
  if (cornu_clock() - start >= 4) atomic_store((atomic_bool *)late, true);
  return NULL;
}

static void test_callers_that_need_workers(void **state) {
  (void)state;
  atomic_bool late = false;
  cornu_set_threads(3);
  for (int k = 0; k < 20; k++) {
    pthread_t callers[2];
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&callers[i], NULL, call_once, &late), 0);
    for (int i = 0; i < 2; i++) pthread_join(callers[i], NULL);
    if (k % 5 == 0) usleep(2000); /* the workers fall asleep */
  }
  assert_false(late);
}

#ifndef TESTS_WITHOUT_FORK /* emulators and some systems */
/* The child of a fork has no workers at first; it gets its own. */
static void test_fork(void **state) {
  (void)state;
  cornu_set_threads(3);
  cn_parallel(64, mark, done);
  expect_once(64);
  pid_t child = fork();
  if (child == 0) {
    int64_t sums[16] = {0};
    alarm(10);
    for (int k = 0; k < 100; k++) cn_parallel(16, add_one, sums);
    _exit(sums[15] == 1500 ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  cn_parallel(64, mark, done); /* the parent's still work */
  expect_once(64);
}

#endif

static void test_interrupts(void **state) {
  (void)state;
  unsigned before = cn_interrupts();
  cornu_interrupt();
  assert_true(cn_interrupts() != before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_task_once), cmocka_unit_test(test_thread_counts), cmocka_unit_test(test_many_calls),
      cmocka_unit_test(test_two_at_once),     cmocka_unit_test(test_ranges),        cmocka_unit_test(test_slots),
      cmocka_unit_test(test_nested_calls),
      cmocka_unit_test(test_callers_at_once), cmocka_unit_test(test_callers_that_need_workers),
      cmocka_unit_test(test_interrupts),
#ifndef TESTS_WITHOUT_FORK
      cmocka_unit_test(test_fork),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
