/* Batches that are read in the background: threads take batch after batch and fill a ring, from which the caller takes them
 * in their order. */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/context.h"
#include "formats/rows.h"

enum { MOST_THREADS = 16, MOST_AHEAD = 1024 };

typedef struct slot {
  bool ready;
  cn_status status;
  cn_error error;
  cn_tensor **tensors; /* of all sources; NULL: no row is left */
} slot;

struct cornu_loader {
  cornu_rows **sources;
  int n_sources;
  int64_t *order, first, rows, batch, batches; /* order NULL: first, first+1, … */
  slot *slots;
  int ahead;
  pid_t process;
  pthread_t threads[MOST_THREADS];
  int n_threads;
  cornu_context *context;
  pthread_mutex_t lock;
  pthread_cond_t filled, emptied;
  /* under the lock */
  int64_t claimed, given; /* batches */
  bool leaving;
};

/* ---- One batch ---- */

static void drop(cn_tensor **tensors, int n) {
  for (int i = 0; i < n && tensors; i++) cornu_tensor_release(tensors[i]);
  if (tensors) memset(tensors, 0, (size_t)n * sizeof *tensors);
}

/* Without the rows that a source could not read and leaves out. */
static cn_status keep_good(cornu_loader *l, const int64_t *numbers, int64_t n, cn_tensor **tensors, cn_error *e) {
  int64_t good = 0, *kept = cn_alloc((size_t)n * sizeof *kept + 1);
  if (!kept) return cn_no_memory(e);
  for (int64_t i = 0; i < n; i++) {
    bool bad = false;
    for (int k = 0; k < l->n_sources; k++) bad |= cn_rows_left_out(l->sources[k], numbers[i]);
    if (!bad) kept[good++] = i;
  }
  cn_status status = CORNU_OK;
  for (int k = 0; k < l->n_sources && good < n && !status; k++) {
    cn_tensor *all = tensors[k];
    const size_t bytes = (size_t)(cornu_tensor_size(all) / n) * cornu_dtype_bytes(all->dtype);
    for (int64_t i = 0; i < good; i++) memmove(all->data + (size_t)i * bytes, all->data + (size_t)kept[i] * bytes, bytes);
    status = cornu_tensor_slice(all, 0, 0, good, 1, &tensors[k], e);
    if (status) tensors[k] = all;
    else cornu_tensor_release(all);
  }
  cn_free(kept);
  return status;
}

static cn_status fill(cornu_loader *l, int64_t number, cn_tensor **tensors, cn_error *e) {
  const int64_t at = number * l->batch, n = l->rows - at < l->batch ? l->rows - at : l->batch;
  bool leaves_out = false;
  for (int k = 0; k < l->n_sources; k++) {
    CN_TRY(l->order ? cornu_rows_pick(l->sources[k], l->order + at, n, &tensors[k], e)
                    : cornu_rows_read(l->sources[k], l->first + at, n, &tensors[k], e));
    leaves_out |= l->sources[k]->left_out != NULL;
  }
  if (!leaves_out) return CORNU_OK;
  int64_t *numbers = cn_alloc((size_t)n * sizeof *numbers + 1);
  if (!numbers) return cn_no_memory(e);
  for (int64_t i = 0; i < n; i++) numbers[i] = l->order ? l->order[at + i] : l->first + at + i;
  cn_status status = keep_good(l, numbers, n, tensors, e);
  cn_free(numbers);
  return status;
}

/* ---- Threads ---- */

/* The next batch for a thread, once there is room for it; -1: there is none. */
static int64_t claim(cornu_loader *l) {
  pthread_mutex_lock(&l->lock);
  while (!l->leaving && l->claimed < l->batches && l->claimed - l->given >= l->ahead)
    pthread_cond_wait(&l->emptied, &l->lock);
  const int64_t number = l->leaving || l->claimed == l->batches ? -1 : l->claimed++;
  pthread_mutex_unlock(&l->lock);
  return number;
}

static void *work(void *context) {
  cornu_loader *l = context;
  cornu_context_use(l->context);
  for (int64_t number; (number = claim(l)) >= 0;) {
    slot *s = &l->slots[number % l->ahead];
    s->status = fill(l, number, s->tensors, &s->error);
    pthread_mutex_lock(&l->lock);
    s->ready = true;
    pthread_cond_signal(&l->filled);
    pthread_mutex_unlock(&l->lock);
  }
  return NULL;
}

/* Signals are for the threads of the host. */
static cn_status start(cornu_loader *l, int threads, cn_error *e) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (l->n_threads < threads && pthread_create(&l->threads[l->n_threads], NULL, work, l) == 0) l->n_threads++;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return l->n_threads ? CORNU_OK : cn_fail(e, CORNU_ERR_MEMORY, "no thread can be started");
}

/* ---- Public ---- */

static cn_status prepare(cornu_loader *l, cornu_rows *const *sources, int n_sources, const int64_t *order, cn_error *e) {
  const size_t each = (size_t)n_sources * sizeof(cn_tensor *);
  l->sources = cn_calloc((size_t)n_sources, sizeof *l->sources);
  l->slots = cn_calloc((size_t)l->ahead, sizeof *l->slots);
  l->order = order ? cn_alloc((size_t)l->rows * sizeof *order + 1) : NULL;
  if (!l->sources || !l->slots || (order && !l->order)) return cn_no_memory(e);
  if (order) memcpy(l->order, order, (size_t)l->rows * sizeof *order);
  for (; l->n_sources < n_sources; l->n_sources++)
    l->sources[l->n_sources] = cornu_rows_retain(sources[l->n_sources]);
  for (int i = 0; i < l->ahead; i++)
    if (!(l->slots[i].tensors = cn_calloc(1, each))) return cn_no_memory(e);
  return CORNU_OK;
}

cornu_status cornu_loader_new(cornu_rows *const *sources, int n_sources, const int64_t *order, int64_t first, int64_t rows,
                              int64_t batch, int ahead, int threads, cornu_loader **out, cornu_error *e) {
  *out = NULL;
  if (n_sources < 1 || rows < 0 || batch < 1 || ahead < 1 || ahead > MOST_AHEAD || threads < 1)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "a loader needs sources, batches of at least 1 row, 1 to %d of them ahead",
                   MOST_AHEAD);
  cornu_loader *l = cn_calloc(1, sizeof *l);
  if (!l) return cn_no_memory(e);
  *l = (cornu_loader){.first = first, .rows = rows, .batch = batch, .batches = (rows - 1) / batch + (rows > 0),
                      .ahead = ahead, .process = getpid(), .context = cn_context()};
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->filled, NULL);
  pthread_cond_init(&l->emptied, NULL);
  cn_status status = prepare(l, sources, n_sources, order, e);
  if (threads > MOST_THREADS) threads = MOST_THREADS;
  if (threads > ahead) threads = ahead;
  for (int k = 0; k < n_sources; k++)
    if (!sources[k]->kind->shared) threads = 1; /* one batch after the other */
  if (!status) status = start(l, threads, e);
  if (status) cornu_loader_free(l);
  else *out = l;
  return status;
}

/* Takes the next batch out of its slot; false: there is none. */
static bool take(cornu_loader *l, cn_tensor **out, cn_status *status, cn_error *e) {
  pthread_mutex_lock(&l->lock);
  const bool more = !l->leaving && l->given < l->batches;
  if (more) {
    slot *s = &l->slots[l->given % l->ahead];
    while (!s->ready) pthread_cond_wait(&l->filled, &l->lock);
    *status = s->status;
    if (*status && e) *e = s->error;
    if (!*status) {
      memcpy(out, s->tensors, (size_t)l->n_sources * sizeof *out);
      memset(s->tensors, 0, (size_t)l->n_sources * sizeof *out);
    }
    s->ready = false;
    l->given++;
    l->leaving = *status != CORNU_OK;
    pthread_cond_broadcast(&l->emptied);
  }
  pthread_mutex_unlock(&l->lock);
  return more;
}

cornu_status cornu_loader_next(cornu_loader *l, cornu_tensor **out, bool *more, cornu_error *e) {
  cn_status status = CORNU_OK;
  for (*more = true; *more;) {
    *more = take(l, out, &status, e);
    if (!*more || status) return status;
    if (out[0]->shape[0]) break;
    drop(out, l->n_sources); /* no row of it is left */
  }
  return CORNU_OK;
}

void cornu_loader_free(cornu_loader *l) {
  if (!l) return;
  if (l->n_threads && l->process != getpid()) return; /* after a fork its threads are the parent's */
  pthread_mutex_lock(&l->lock);
  l->leaving = true;
  pthread_cond_broadcast(&l->emptied);
  pthread_mutex_unlock(&l->lock);
  for (int i = 0; i < l->n_threads; i++) pthread_join(l->threads[i], NULL);
  for (int i = 0; i < l->ahead && l->slots; i++) {
    drop(l->slots[i].tensors, l->n_sources);
    cn_free(l->slots[i].tensors);
  }
  for (int i = 0; i < l->n_sources; i++) cornu_rows_release(l->sources[i]);
  pthread_mutex_destroy(&l->lock);
  pthread_cond_destroy(&l->filled);
  pthread_cond_destroy(&l->emptied);
  cn_free(l->sources);
  cn_free(l->slots);
  cn_free(l->order);
  cn_free(l);
}
