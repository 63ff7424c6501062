/* The thread pool. A call puts a job into a free slot; the caller and the workers claim its tasks one by one. The
 * caller waits for tasks that workers have begun, never for a worker that sleeps: what nobody claims it does itself.
 * A task's index alone says what it does, so results do not depend on who runs it. */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 64, MAX_JOBS = 8, MOST_WAKES = 2 };
/* How long a waiting thread keeps its core for itself, and how long until it sleeps; in between it yields. */
static const double ALONE_SECONDS = 10e-6, AWAKE_SECONDS = 50e-6;

/* The ticket: the number of tasks in the upper half, the next one in the lower. A claim that finds one holds the job in
 * its slot until it is counted as finished. */
typedef struct job {
  _Alignas(64) atomic_uint_least64_t ticket;
  atomic_int unfinished;
  atomic_bool taken;
  void (*task)(void *context, int i);
  void *context;
} job;

typedef struct worker {
  _Alignas(64) atomic_bool asleep;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  pthread_t thread;
} worker;

static struct {
  job jobs[MAX_JOBS];
  worker workers[MAX_THREADS];
  pthread_mutex_t starting;
  atomic_int started;             /* workers that exist */
  atomic_int wanted;              /* threads, the caller included; 0: not asked yet */
  atomic_bool leaving;
} pool = {.starting = PTHREAD_MUTEX_INITIALIZER};

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

/* ---- Waiting ---- */

static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

typedef struct patience { unsigned looks; double start, waited; } patience;

/* Between two looks at what a thread waits for. By the clock: a pause takes 40 cycles or 140. */
static void wait_briefly(patience *p) {
  if (++p->looks % 16 == 0) {
    double now = cornu_clock();
    if (p->start == 0) p->start = now;
    p->waited = now - p->start;
  }
  if (p->waited > ALONE_SECONDS) sched_yield();
  else pause_briefly();
}

/* ---- Jobs ---- */

static inline bool has_tasks(uint64_t ticket) { return (uint32_t)ticket < ticket >> 32; }

/* The next task of a job; -1: none is left. */
static int claim(job *j) {
  if (!has_tasks(atomic_load_explicit(&j->ticket, memory_order_relaxed))) return -1;
  uint64_t ticket = atomic_fetch_add_explicit(&j->ticket, 1, memory_order_acquire);
  return has_tasks(ticket) ? (int)(uint32_t)ticket : -1;
}

static void do_tasks(job *j) {
  int done = 0;
  inside = true;
  for (int i; (i = claim(j)) >= 0; done++) j->task(j->context, i);
  inside = false;
  if (done) atomic_fetch_sub_explicit(&j->unfinished, done, memory_order_release);
}

static job *find_job(void) {
  for (int i = 0; i < MAX_JOBS; i++)
    if (has_tasks(atomic_load(&pool.jobs[i].ticket))) return &pool.jobs[i];
  return NULL;
}

static job *take_slot(void) {
  for (int i = 0; i < MAX_JOBS; i++)
    if (!atomic_load_explicit(&pool.jobs[i].taken, memory_order_relaxed) &&
        !atomic_exchange_explicit(&pool.jobs[i].taken, true, memory_order_acquire))
      return &pool.jobs[i];
  return NULL;
}

/* ---- Workers ---- */

static void wake(worker *w) {
  pthread_mutex_lock(&w->lock); /* from now on it waits for the signal, or has seen that it is not asleep */
  pthread_mutex_unlock(&w->lock);
  pthread_cond_signal(&w->wake);
}

/* Wakes workers for `tasks` tasks, unless enough are awake. Waking takes microseconds, so those that are woken wake the
 * others. */
static void call_workers(int64_t tasks) {
  int workers = cn_threads() - 1, started = atomic_load(&pool.started), woken = 0;
  if (workers > started) workers = started;
  for (int i = 0; i < workers && tasks > 0 && woken < MOST_WAKES; i++, tasks--) {
    worker *w = &pool.workers[i];
    if (!atomic_load(&w->asleep) || !atomic_exchange(&w->asleep, false)) continue;
    wake(w);
    woken++;
  }
}

/* A job for a worker; workers that are more than wanted get none. */
static job *job_for(const worker *w) { return w - pool.workers < cn_threads() - 1 ? find_job() : NULL; }

static void fall_asleep(worker *w) {
  pthread_mutex_lock(&w->lock);
  atomic_store(&w->asleep, true);
  if (job_for(w) || atomic_load(&pool.leaving)) atomic_store(&w->asleep, false);
  while (atomic_load(&w->asleep)) pthread_cond_wait(&w->wake, &w->lock);
  pthread_mutex_unlock(&w->lock);
}

static void *work(void *context) {
  worker *w = context;
  patience p = {0};
  while (!atomic_load_explicit(&pool.leaving, memory_order_relaxed)) {
    job *j = job_for(w);
    if (j) {
      do_tasks(j);
      p = (patience){0};
    } else if (p.waited < AWAKE_SECONDS) {
      wait_briefly(&p);
    } else {
      fall_asleep(w);
      uint64_t ticket = (j = job_for(w)) ? atomic_load(&j->ticket) : 0;
      if (has_tasks(ticket)) call_workers((int64_t)(ticket >> 32) - (uint32_t)ticket - 1);
      p = (patience){0};
    }
  }
  return NULL;
}

/* A host may unload the library (Lua does, with its state): no worker may then be in its code. */
__attribute__((destructor)) static void stop_workers(void) {
  for (int i = 0; i < MAX_JOBS; i++)
    if (atomic_load(&pool.jobs[i].taken)) return; /* the process ends while a thread runs a model */
  int n = atomic_exchange(&pool.started, 0);
  atomic_store(&pool.leaving, true);
  for (int i = 0; i < n; i++)
    if (atomic_exchange(&pool.workers[i].asleep, false)) wake(&pool.workers[i]);
  for (int i = 0; i < n; i++) pthread_join(pool.workers[i].thread, NULL);
  atomic_store(&pool.leaving, false);
}

/* In the child of a fork there are no workers, and nobody holds a lock. */
static void after_fork(void) {
  atomic_store(&pool.started, 0);
  pthread_mutex_init(&pool.starting, NULL);
  for (int i = 0; i < MAX_JOBS; i++) {
    atomic_store(&pool.jobs[i].ticket, 0);
    atomic_store(&pool.jobs[i].taken, false);
  }
}

static bool start_worker(worker *w) {
  atomic_store(&w->asleep, false);
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->wake, NULL);
  return pthread_create(&w->thread, NULL, work, w) == 0;
}

static void start_workers(int wanted) {
  static bool watching_forks;
  sigset_t all, before;
  pthread_mutex_lock(&pool.starting);
  if (!watching_forks) watching_forks = pthread_atfork(NULL, NULL, after_fork) == 0;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (int i = atomic_load(&pool.started); i < wanted; i++) {
    if (!start_worker(&pool.workers[i])) break; /* fewer do */
    atomic_store(&pool.started, i + 1);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_mutex_unlock(&pool.starting);
}

/* ---- Calls ---- */

static void run_here(int tasks, void (*task)(void *context, int i), void *context) {
  for (int i = 0; i < tasks; i++) task(context, i);
}

void cn_parallel(int tasks, void (*task)(void *context, int i), void *context) {
  int threads = cn_threads();
  job *j = tasks > 1 && threads > 1 && !inside ? take_slot() : NULL;
  if (!j) {
    run_here(tasks, task, context);
    return;
  }
  if (atomic_load(&pool.started) < threads - 1) start_workers(threads - 1);
  j->task = task;
  j->context = context;
  atomic_store_explicit(&j->unfinished, tasks, memory_order_relaxed);
  atomic_store(&j->ticket, (uint64_t)tasks << 32);
  call_workers(tasks - 1);
  do_tasks(j);
  for (patience p = {0}; atomic_load_explicit(&j->unfinished, memory_order_acquire) > 0;) wait_briefly(&p);
  atomic_store_explicit(&j->taken, false, memory_order_release);
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
  int64_t most = grain > 0 ? items / grain : items, threads = cn_threads();
  /* a thread that is held up keeps the others waiting for a quarter of its share */
  int64_t parts = threads > 1 ? 4 * threads : 1;
  if (parts > most) parts = most;
  if (parts <= 1 || inside) {
    task(context, 0, items);
    return;
  }
  range_job j = {items, parts, task, context};
  cn_parallel((int)parts, run_range, &j);
}
