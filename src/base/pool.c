/* The thread pool. A call puts a job into a free slot and its tasks, in order, into one share for each thread. A thread
 * claims the tasks of its own share one by one, then those that others have left: what it wrote in one call it mostly
 * finds in its own cache in the next. The caller waits for tasks that workers have begun, never for a worker that
 * sleeps: what nobody claims it does itself. A task's index alone says what it does, so results do not depend on who
 * runs it. */
#include "base/pool.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/context.h"
#include "base/deadline.h"
#include "base/system.h"

enum { MAX_THREADS = 64, MAX_JOBS = 8, MOST_WAKES = 2, SLICED_PARTS = 256 };
/* How long a waiting thread keeps its core for itself, and how long until it sleeps; in between it yields. */
static const double ALONE_SECONDS = 10e-6, AWAKE_SECONDS = 50e-6;

/* What is left of a share: the threads that may take from it (8 bits), the end of its tasks and the next one (28 bits
 * each). A claim that succeeds holds the job in its slot until it is counted as finished. */
typedef struct ticket { _Alignas(64) atomic_uint_least64_t left; } ticket;
enum { TASK_BITS = 28 };

typedef struct job {
  ticket shares[MAX_THREADS];     /* of the caller, of the workers */
  atomic_int threads;             /* that have a share; 0: the slot is free */
  atomic_int unfinished;
  void (*task)(void *context, int i, int slot);
  void *context;
  cornu_context *home;
  _Atomic double deadline;        /* no task is claimed after it */
  double end;                     /* the caller gives up then */
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
  atomic_bool leaving;
} pool = {.starting = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local bool inside; /* a task runs on this thread */

static atomic_uint interrupts;
static atomic_int deferring;
static atomic_bool waits;

bool cornu_interrupt(void) {
  if (atomic_load(&deferring) > 0 && !atomic_exchange(&waits, true)) return false;
  atomic_fetch_add_explicit(&interrupts, 1, memory_order_relaxed);
  return true;
}

void cornu_defer_interrupts(bool on) {
  if (atomic_fetch_add(&deferring, on ? 1 : -1) == (on ? 0 : 1)) atomic_store(&waits, false);
}

bool cornu_interrupt_waits(void) { return atomic_load(&waits); }

unsigned cn_interrupts(void) { return atomic_load_explicit(&interrupts, memory_order_relaxed); }

const char *cornu_version(void) { return CORNU_VERSION; }

double cornu_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- How many threads ---- */

static int clamp_threads(long n) { return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (int)n; }

static int standard_threads(void) {
  const char *text = getenv("CORNU_NUM_THREADS");
  long n = text ? strtol(text, NULL, 10) : 0;
  return clamp_threads(n > 0 ? n : cn_system_processors());
}

int cn_threads(void) {
  cornu_context *c = cn_context();
  int n = atomic_load_explicit(&c->threads, memory_order_relaxed);
  if (n) return n;
  n = standard_threads();
  atomic_store(&c->threads, n);
  return n;
}

void cornu_set_threads(int threads) {
  cornu_context *c = cn_context();
  if (!c->jobs.run) atomic_store(&c->threads, clamp_threads(threads));
}
int cornu_get_threads(void) { return cn_threads(); }

/* ---- Slices of time ---- */

static _Thread_local cn_slice *slice;

static _Thread_local cn_slice limited; /* of a thread with a deadline */
static _Thread_local double end_of_task = HUGE_VAL; /* when the caller of the tasks under way gives up */

void cn_slice_set(cn_slice *s) { slice = s; }
cn_slice *cn_slice_here(void) { return slice; }

static bool is_late(double deadline) { return deadline < HUGE_VAL && cornu_clock() >= deadline; }

/* How long the next stretch may take. A thread that was held up once says little. */
static double expect(double before, double took) {
  if (before > 0 && took > 2 * before) took = 2 * before;
  return took > 0.8 * before ? took : 0.8 * before;
}

/* Whether the next stretch of work would end behind the deadline. The first one after a wait is always done. */
static bool is_spent(cn_slice *s, double *next) {
  const double now = cornu_clock(), took = now - s->last;
  if (s->stretch && s->begun) *s->stretch = expect(*s->stretch, took);
  s->last = now;
  s->stretch = next;
  return s->begun && now + (next ? *next : 0) > atomic_load_explicit(&s->deadline, memory_order_relaxed);
}

/* Until when other threads begin tasks, to be done in time. */
static double last_begin(const cn_slice *s) {
  return atomic_load_explicit(&s->deadline, memory_order_relaxed) - (s->stretch ? *s->stretch : 0);
}

static void wait_for_time(cn_slice *s) {
  s->wait(s);
  s->begun = false;
  s->last = cornu_clock();
}

bool cn_slice_look(cn_slice *s, double *stretch) {
  if (!s->canceled && is_spent(s, stretch)) {
    if (!s->wait) return false;
    wait_for_time(s);
  }
  s->begun = true;
  return !s->canceled;
}

bool cn_sliced(void) { return slice && !inside; }
bool cn_sliced_next(void) { return !cn_sliced() || cn_slice_look(slice, slice->stretch); }

/* Work that may not be done in time is begun nevertheless. */
static void give_up(cn_slice *s) { s->canceled = is_late(atomic_load(&s->deadline)); }

double cornu_set_deadline(double time) {
  const double before = slice == &limited ? atomic_load(&limited.deadline) : 0;
  if (slice && slice != &limited) return 0; /* a run in slices has deadlines of its own */
  atomic_store(&limited.deadline, time);
  limited.wait = give_up;
  limited.canceled = false;
  limited.begun = true;
  limited.stretch = NULL;
  slice = time > 0 ? &limited : NULL;
  return before;
}

/* When the calling thread gives up. */
static double end_of_time(void) {
  if (slice != &limited) return end_of_task;
  return limited.canceled ? -HUGE_VAL : atomic_load_explicit(&limited.deadline, memory_order_relaxed);
}

bool cn_past_deadline(void) { return is_late(end_of_time()); }

cn_status cn_check_time(cn_error *e) {
  return cn_past_deadline() ? cn_fail(e, CORNU_ERR_INTERRUPTED, "the time for it is over") : CORNU_OK;
}

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

static inline uint64_t tasks_from(uint64_t left, int shift) { return left >> shift & ((1 << TASK_BITS) - 1); }
static inline int64_t tasks_in(uint64_t left) {
  return (int64_t)tasks_from(left, TASK_BITS) - (int64_t)tasks_from(left, 0);
}

/* The next task of a share for the thread `slot`; -1: there is none. */
static int claim(ticket *t, int slot) {
  uint64_t left = atomic_load_explicit(&t->left, memory_order_relaxed);
  while (tasks_in(left) > 0 && slot < (int)(left >> 2 * TASK_BITS))
    if (atomic_compare_exchange_weak_explicit(&t->left, &left, left + 1, memory_order_acquire, memory_order_relaxed))
      return (int)tasks_from(left, 0);
  return -1;
}

static bool job_is_late(job *j) { return is_late(atomic_load_explicit(&j->deadline, memory_order_relaxed)); }

/* A task of a job that the thread `slot` claims: of its own share first; -1: there is none. */
static int claim_any(job *j, int slot) {
  const int threads = atomic_load_explicit(&j->threads, memory_order_relaxed);
  for (int k = 0, i; k < threads; k++)
    if ((i = claim(&j->shares[(slot + k) % threads], slot)) >= 0) return i;
  return -1;
}

/* Tasks of a job by a worker, in the context of the caller. */
static void help(job *j, int slot) {
  cornu_context *before = NULL;
  int done = 0;
  inside = true;
  for (int i; !job_is_late(j) && (i = claim_any(j, slot)) >= 0; done++) {
    if (!done) before = cornu_context_use(j->home), end_of_task = j->end;
    j->task(j->context, i, slot);
  }
  inside = false;
  end_of_task = HUGE_VAL;
  if (!done) return;
  cornu_context_use(before);
  atomic_fetch_sub_explicit(&j->unfinished, done, memory_order_release);
}

/* By the caller, until its time is over. */
static void do_tasks(job *j) {
  cn_slice *s = slice;
  int done = 0;
  inside = true;
  while (!s || (!s->canceled && !is_spent(s, s->stretch))) {
    int i = claim_any(j, 0);
    if (i < 0) break;
    j->task(j->context, i, 0);
    done++;
    if (s) s->begun = true;
  }
  inside = false;
  if (done) atomic_fetch_sub_explicit(&j->unfinished, done, memory_order_release);
}

/* Tasks that nobody has claimed. */
static int64_t tasks_left(job *j) {
  int64_t left = 0;
  for (int i = atomic_load(&j->threads) - 1; i >= 0; i--) left += tasks_in(atomic_load(&j->shares[i].left));
  return left;
}

/* A job that the thread `slot` may help with. */
static job *find_job(int slot) {
  for (int i = 0; i < MAX_JOBS; i++)
    if (slot < atomic_load(&pool.jobs[i].threads) && tasks_left(&pool.jobs[i]) > 0 &&
        !job_is_late(&pool.jobs[i]))
      return &pool.jobs[i];
  return NULL;
}

static job *take_slot(int threads) {
  for (int i = 0; i < MAX_JOBS; i++) {
    int nobody = 0;
    if (!atomic_load_explicit(&pool.jobs[i].threads, memory_order_relaxed) &&
        atomic_compare_exchange_strong(&pool.jobs[i].threads, &nobody, threads))
      return &pool.jobs[i];
  }
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

/* The caller of a job is thread 0. */
static int slot_of(const worker *w) { return (int)(w - pool.workers) + 1; }
static job *job_for(const worker *w) { return find_job(slot_of(w)); }

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
      help(j, slot_of(w));
      p = (patience){0};
    } else if (p.waited < AWAKE_SECONDS) {
      wait_briefly(&p);
    } else {
      fall_asleep(w);
      if ((j = job_for(w))) call_workers(tasks_left(j) - 1);
      p = (patience){0};
    }
  }
  return NULL;
}

/* A host may unload the library (Lua does, with its state): no worker may then be in its code. */
__attribute__((destructor)) static void stop_workers(void) {
  for (int i = 0; i < MAX_JOBS; i++)
    if (atomic_load(&pool.jobs[i].threads)) return; /* the process ends while a thread runs a model */
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
  for (int i = 0; i < MAX_JOBS; i++) atomic_store(&pool.jobs[i].threads, 0);
}

static bool start_worker(worker *w) {
  atomic_store(&w->asleep, false);
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->wake, NULL);
  return cn_system_thread(&w->thread, work, w);
}

static void start_workers(int wanted) {
  static bool watching_forks;
  pthread_mutex_lock(&pool.starting);
  if (!watching_forks) watching_forks = cn_system_watch_forks(after_fork);
  for (int i = atomic_load(&pool.started); i < wanted; i++) {
    if (!start_worker(&pool.workers[i])) break; /* fewer do */
    atomic_store(&pool.started, i + 1);
  }
  pthread_mutex_unlock(&pool.starting);
}

/* ---- The host's jobs ---- */

typedef struct host_run {
  atomic_int next;
  int tasks;
  void (*task)(void *context, int i, int slot);
  void *context;
  cornu_context *home;
  double deadline, end;
} host_run;

static void host_job(void *context, int slot) {
  host_run *r = context;
  const bool was_inside = inside;
  const double end_before = end_of_task;
  cornu_context *before = cornu_context_use(r->home);
  inside = true;
  end_of_task = r->end;
  for (bool first = slot == 0; first || !is_late(r->deadline); first = false) { /* the first always gets on */
    const int i = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
    if (i >= r->tasks) break;
    r->task(r->context, i, slot);
  }
  inside = was_inside;
  end_of_task = end_before;
  cornu_context_use(before);
}

/* Each job takes tasks until there are none, or no time. */
static void run_jobs(int tasks, int threads, void (*task)(void *context, int i, int slot), void *context) {
  cornu_context *c = cn_context();
  host_run r = {.tasks = tasks, .task = task, .context = context, .home = c, .deadline = HUGE_VAL, .end = end_of_time()};
  while (atomic_load(&r.next) < tasks && (!slice || cn_slice_look(slice, slice->stretch))) {
    if (slice) r.deadline = last_begin(slice);
    const int left = tasks - atomic_load(&r.next);
    c->jobs.run(c->jobs.user, left < threads ? left : threads, host_job, &r);
  }
}

/* ---- Calls ---- */

/* Claims what is left without doing it; returns how many tasks that were. */
static int64_t drop_tasks(job *j) {
  int64_t dropped = 0;
  while (claim_any(j, 0) >= 0) dropped++;
  return dropped;
}

static void publish(job *j, int tasks, int threads) {
  atomic_store_explicit(&j->unfinished, tasks, memory_order_relaxed);
  for (int i = 0; i < threads; i++) {
    const int64_t begin = (int64_t)tasks * i / threads, end = (int64_t)tasks * (i + 1) / threads;
    atomic_store(&j->shares[i].left, (uint64_t)threads << 2 * TASK_BITS | (uint64_t)end << TASK_BITS | (uint64_t)begin);
  }
}

/* The slice has no time left: waits for the tasks under way, and then for time. */
static void pause_job(job *j, cn_slice *s) {
  for (patience p = {0}; atomic_load_explicit(&j->unfinished, memory_order_acquire) > tasks_left(j);) wait_briefly(&p);
  wait_for_time(s);
  atomic_store(&j->deadline, last_begin(s));
  if (!s->canceled) call_workers(tasks_left(j) - 1);
}

static void run_job(job *j, int tasks, int threads) {
  atomic_store_explicit(&j->deadline, slice ? last_begin(slice) : HUGE_VAL, memory_order_relaxed);
  j->end = end_of_time();
  publish(j, tasks, threads);
  call_workers(tasks - 1);
  for (do_tasks(j); slice && !slice->canceled && tasks_left(j) > 0; do_tasks(j)) pause_job(j, slice);
  const int64_t left_out = slice && slice->canceled ? drop_tasks(j) : 0;
  for (patience p = {0}; atomic_load_explicit(&j->unfinished, memory_order_acquire) > left_out;) wait_briefly(&p);
  atomic_store_explicit(&j->threads, 0, memory_order_release);
}

static void run_alone(int tasks, void (*task)(void *context, int i, int slot), void *context) {
  cn_slice *s = cn_sliced() ? slice : NULL;
  for (int i = 0; i < tasks && (!s || cn_slice_look(s, s->stretch)); i++) task(context, i, 0);
}

void cn_parallel_slots(int tasks, int slots, void (*task)(void *context, int i, int slot), void *context) {
  const int wanted = cn_threads(), threads = slots < wanted ? slots : wanted;
  const bool alone = tasks <= 1 || threads <= 1 || inside;
  if (!alone && cn_context()->jobs.run) {
    run_jobs(tasks, threads, task, context);
    return;
  }
  job *j = !alone && tasks < 1 << TASK_BITS ? take_slot(threads) : NULL;
  if (!j) {
    run_alone(tasks, task, context);
    return;
  }
  if (atomic_load(&pool.started) < wanted - 1) start_workers(wanted - 1);
  j->task = task;
  j->context = context;
  j->home = cn_context();
  run_job(j, tasks, threads);
}

typedef struct plain_job { void (*task)(void *context, int i); void *context; } plain_job;

static void run_plain(void *context, int i, int slot) {
  const plain_job *j = context;
  (void)slot;
  j->task(j->context, i);
}

void cn_parallel(int tasks, void (*task)(void *context, int i), void *context) {
  cn_parallel_slots(tasks, MAX_THREADS, run_plain, &(plain_job){task, context});
}

typedef struct range_job {
  int64_t items, parts;
  void (*task)(void *context, int64_t begin, int64_t end);
  void *context;
} range_job;

static void run_range(void *context, int i, int slot) {
  const range_job *j = context;
  (void)slot;
  j->task(j->context, j->items * i / j->parts, j->items * (i + 1) / j->parts);
}

void cn_parallel_range(int64_t items, int64_t grain, void (*task)(void *context, int64_t begin, int64_t end),
                       void *context) {
  if (items <= 0) return;
  int64_t most = grain > 0 ? items / grain : items, threads = cn_threads();
  /* a thread that is held up keeps the others waiting for a quarter of its share; slices of time want places to stop */
  int64_t parts = slice ? SLICED_PARTS : threads > 1 ? 4 * threads : 1;
  if (parts > most) parts = most > threads ? most / threads * threads : most;
  if (parts <= 1 || inside) {
    task(context, 0, items);
    return;
  }
  range_job j = {items, parts, task, context};
  cn_parallel_slots((int)parts, MAX_THREADS, run_range, &j);
}
