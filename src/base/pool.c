/* The thread pool. Workers wait for a job number to change: they spin briefly, then sleep. The caller takes part.
 * A task's index alone says what it does, so results do not depend on who runs it. */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 64, SPINS = 4000 };

static struct {
  pthread_mutex_t lock;           /* held by the thread whose job is under way */
  pthread_mutex_t sleep_lock;
  pthread_cond_t wake;
  atomic_uint job;                /* changes when there is work */
  atomic_int next, unfinished;    /* task indices; workers that have not left the job */
  int tasks, workers, active;     /* the first `active` workers take tasks */
  void (*task)(void *context, int i);
  void *context;
  atomic_int sleeping;
  bool leaving;                   /* the next job is the end of the workers */
  atomic_int wanted;              /* threads, the caller included; 0: not asked yet */
  pthread_t threads[MAX_THREADS];
  unsigned first_seen[MAX_THREADS];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .sleep_lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static _Thread_local bool inside; /* a task runs on this thread */

static atomic_uint interrupts;
void cornu_interrupt(void) { atomic_fetch_add_explicit(&interrupts, 1, memory_order_relaxed); }
unsigned cn_interrupts(void) { return atomic_load_explicit(&interrupts, memory_order_relaxed); }

const char *cornu_version(void) { return CORNU_VERSION; }

double cornu_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int clamp_threads(long n) { return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (int)n; }

static int standard_threads(void) {
  const char *text = getenv("CORNU_NUM_THREADS");
  long n = text ? strtol(text, NULL, 10) : 0;
  return clamp_threads(n > 0 ? n : sysconf(_SC_NPROCESSORS_ONLN));
}

int cn_threads(void) {
  int n = atomic_load_explicit(&pool.wanted, memory_order_relaxed);
  if (n) return n;
  n = standard_threads();
  atomic_store(&pool.wanted, n);
  return n;
}

void cornu_set_threads(int threads) { atomic_store(&pool.wanted, clamp_threads(threads)); }
int cornu_get_threads(void) { return cn_threads(); }

static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

static void do_tasks(void) {
  inside = true;
  for (int i; (i = atomic_fetch_add_explicit(&pool.next, 1, memory_order_relaxed)) < pool.tasks;)
    pool.task(pool.context, i);
  inside = false;
}

/* Waits until the job number differs from `seen`. */
static unsigned wait_for_job(unsigned seen) {
  for (int i = 0; i < SPINS; i++) {
    unsigned job = atomic_load_explicit(&pool.job, memory_order_acquire);
    if (job != seen) return job;
    pause_briefly();
  }
  pthread_mutex_lock(&pool.sleep_lock);
  atomic_fetch_add(&pool.sleeping, 1);
  while (atomic_load(&pool.job) == seen) pthread_cond_wait(&pool.wake, &pool.sleep_lock);
  atomic_fetch_sub(&pool.sleeping, 1);
  pthread_mutex_unlock(&pool.sleep_lock);
  return atomic_load(&pool.job);
}

static void *work(void *number) {
  int index = (int)(intptr_t)number;
  unsigned seen = pool.first_seen[index];
  for (;;) {
    seen = wait_for_job(seen);
    if (pool.leaving) return NULL;
    if (index < pool.active) do_tasks();
    atomic_fetch_sub_explicit(&pool.unfinished, 1, memory_order_release);
  }
}

static void announce(void) {
  atomic_fetch_add_explicit(&pool.job, 1, memory_order_seq_cst);
  if (atomic_load_explicit(&pool.sleeping, memory_order_seq_cst) == 0) return;
  pthread_mutex_lock(&pool.sleep_lock);
  pthread_cond_broadcast(&pool.wake);
  pthread_mutex_unlock(&pool.sleep_lock);
}

/* A host may unload the library (Lua does, with its state): no worker may then be in its code. */
__attribute__((destructor)) static void stop_workers(void) {
  if (pool.workers == 0 || pthread_mutex_trylock(&pool.lock)) return;
  pool.leaving = true;
  announce();
  for (; pool.workers > 0; pool.workers--) pthread_join(pool.threads[pool.workers - 1], NULL);
  pool.leaving = false;
  pthread_mutex_unlock(&pool.lock);
}

/* In the child of a fork there are no workers, and nobody holds a lock. */
static void after_fork(void) {
  pool.workers = 0;
  atomic_store(&pool.sleeping, 0);
  pthread_mutex_init(&pool.lock, NULL);
  pthread_mutex_init(&pool.sleep_lock, NULL);
  pthread_cond_init(&pool.wake, NULL);
}

static void start_workers(int wanted) {
  static bool watching_forks;
  if (!watching_forks) watching_forks = pthread_atfork(NULL, NULL, after_fork) == 0;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (pool.workers < wanted) {
    pool.first_seen[pool.workers] = atomic_load(&pool.job);
    if (pthread_create(&pool.threads[pool.workers], NULL, work, (void *)(intptr_t)pool.workers)) break; /* fewer do */
    pool.workers++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void run_here(int tasks, void (*task)(void *context, int i), void *context) {
  for (int i = 0; i < tasks; i++) task(context, i);
}

void cn_parallel(int tasks, void (*task)(void *context, int i), void *context) {
  int threads = cn_threads();
  if (tasks <= 1 || threads <= 1 || inside || pthread_mutex_trylock(&pool.lock)) {
    run_here(tasks, task, context);
    return;
  }
  /* Every worker that exists leaves every job before it ends, so that none can wake late into the next one. */
  start_workers(threads - 1);
  pool.tasks = tasks;
  pool.active = threads - 1;
  pool.task = task;
  pool.context = context;
  atomic_store_explicit(&pool.next, 0, memory_order_relaxed);
  atomic_store_explicit(&pool.unfinished, pool.workers, memory_order_relaxed);
  announce();
  do_tasks();
  for (int spins = 0; atomic_load_explicit(&pool.unfinished, memory_order_acquire) > 0; spins++) {
    if (spins < SPINS) pause_briefly();
    else sched_yield();
  }
  pthread_mutex_unlock(&pool.lock);
}

typedef struct range_job {
  int64_t items, parts;
  void (*task)(void *context, int64_t begin, int64_t end);
  void *context;
} range_job;

static void run_range(void *context, int i) {
  const range_job *j = context;
  j->task(j->context, j->items * i / j->parts, j->items * (i + 1) / j->parts);
}

void cn_parallel_range(int64_t items, int64_t grain, void (*task)(void *context, int64_t begin, int64_t end),
                       void *context) {
  if (items <= 0) return;
  int64_t most = grain > 0 ? items / grain : items, parts = cn_threads();
  if (parts > most) parts = most;
  if (parts <= 1 || inside) {
    task(context, 0, items);
    return;
  }
  range_job j = {items, parts, task, context};
  cn_parallel((int)parts, run_range, &j);
}
