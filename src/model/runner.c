/* Runners. Runs in slices and in the background are done by a thread of the runner's own, which looks at the clock
 * between tasks (base/pool.h) and waits where it stands: kernels know nothing of it. */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/context.h"
#include "base/pool.h"
#include "base/system.h"
#include "base/text.h"
#include "model/plans.h"
#include "ops/ops.h"

typedef struct buffers { cn_tensor **items; int count; } buffers;
typedef struct carry { int output, input; } carry;

/* What the thread of a runner is doing. */
typedef enum phase { IDLE, RUNNING, PAUSED, FINISHED, LEAVING } phase;

struct cornu_runner {
  cornu_context *context;
  cn_model *model;          /* with the outputs asked for */
  cornu_plan *plan;
  buffers inputs, outputs;
  carry *carries;
  int n_carries, cap_carries;
  int64_t batch;
  double longest, spent;    /* seconds of a run in slices; of the one under way so far */
  bool has_thread, under_way, in_background;
  cn_slice slice;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t go, stopped;
  phase phase;              /* this and what follows: under the lock */
  bool canceling;
  cn_status status;
  cn_error error;
  void (*finished)(void *user, cornu_status status);
  void *user;
};

static size_t tensor_bytes(const cn_tensor *t) {
  return (size_t)cornu_tensor_size(t) * cornu_dtype_bytes(t->dtype);
}

/* ---- The thread ---- */

static cornu_runner *runner_of(cn_slice *s) {
  return (cornu_runner *)(void *)((char *)s - offsetof(cornu_runner, slice));
}

/* Where the thread stands while it has no time. */
static void pause_here(cn_slice *s) {
  cornu_runner *r = runner_of(s);
  pthread_mutex_lock(&r->lock);
  if (!r->canceling) r->phase = PAUSED;
  pthread_cond_signal(&r->stopped);
  while (r->phase == PAUSED) pthread_cond_wait(&r->go, &r->lock);
  s->canceled = r->canceling;
  pthread_mutex_unlock(&r->lock);
}

static cn_status run_whole(cornu_runner *r, cn_error *e) {
  cornu_context *before = cornu_context_use(r->context);
  cn_status status = cn_plan_run_pointed(r->plan, r->outputs.items, NULL, e);
  for (int i = 0; i < r->n_carries && !status; i++) {
    cn_tensor *to = r->inputs.items[r->carries[i].input];
    memcpy(to->data, r->outputs.items[r->carries[i].output]->data, tensor_bytes(to));
  }
  cornu_context_use(before);
  return status;
}

/* The next run, under the lock; false: there will be none. */
static bool await_run(cornu_runner *r) {
  while (r->phase != RUNNING && r->phase != LEAVING) pthread_cond_wait(&r->go, &r->lock);
  return r->phase == RUNNING;
}

static void *work(void *context) {
  cornu_runner *r = context;
  pthread_mutex_lock(&r->lock);
  while (await_run(r)) {
    pthread_mutex_unlock(&r->lock);
    r->slice.canceled = r->slice.begun = false;
    r->slice.stretch = NULL;
    r->slice.last = cornu_clock();
    cn_slice_set(&r->slice);
    r->error.status = CORNU_OK;
    cn_status status = run_whole(r, &r->error);
    if (r->finished) r->finished(r->user, status);
    pthread_mutex_lock(&r->lock);
    r->status = status;
    r->phase = FINISHED;
    pthread_cond_signal(&r->stopped);
  }
  pthread_mutex_unlock(&r->lock);
  return NULL;
}

static cn_status need_thread(cornu_runner *r, cn_error *e) {
  if (r->has_thread) return CORNU_OK;
  for (int i = 0; i < cn_plan_steps(r->plan->plan); i++)
    if (cn_plan_step(r->plan->plan, i)->op == &cn_op_host_call)
      return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                     "layer \"%s\" calls the host, which other threads than its own must not do: use whole runs",
                     cn_plan_step(r->plan->plan, i)->label);
  r->has_thread = cn_system_thread(&r->thread, work, r);
  return r->has_thread ? CORNU_OK : cn_fail(e, CORNU_ERR_MEMORY, "no thread can be started");
}

/* Lets the thread begin or go on. */
static void let_run(cornu_runner *r, double deadline) {
  atomic_store(&r->slice.deadline, deadline);
  r->slice.wait = pause_here;
  pthread_mutex_lock(&r->lock);
  r->phase = RUNNING;
  pthread_cond_signal(&r->go);
  pthread_mutex_unlock(&r->lock);
  r->under_way = true;
}

/* wait: until the thread stands. *done: the run has ended; then how. */
static cn_status look(cornu_runner *r, bool wait, bool *done, cn_error *e) {
  pthread_mutex_lock(&r->lock);
  while (wait && r->phase == RUNNING) pthread_cond_wait(&r->stopped, &r->lock);
  *done = r->phase == FINISHED;
  if (*done) r->phase = IDLE;
  pthread_mutex_unlock(&r->lock);
  if (!*done) return CORNU_OK;
  r->under_way = false;
  if (r->status && e) *e = r->error;
  return r->status;
}

static cn_status refuse_under_way(const cornu_runner *r, cn_error *e) {
  if (!r->under_way) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "a run of the runner is under way: wait for it, or cancel it");
}

/* ---- Runs ---- */

/* By the thread of the host, in which alone handlers of custom layers may be called. */
static cn_status update(cornu_runner *r, cn_error *e) {
  cornu_context *before = cornu_context_use(r->context);
  const cn_status status = cn_plan_update(r->plan, e);
  cornu_context_use(before);
  return status;
}

cornu_status cornu_runner_refresh(cornu_runner *r, cornu_error *e) {
  cornu_context *before = cornu_context_use(r->context);
  const cn_status status = cornu_plan_refresh(r->plan, e);
  cornu_context_use(before);
  return status;
}

cornu_status cornu_runner_run(cornu_runner *r, cornu_error *e) {
  CN_TRY(refuse_under_way(r, e));
  CN_TRY(update(r, e));
  return run_whole(r, e);
}

/* A run that is known to be short needs no thread. */
static bool fits(const cornu_runner *r, double seconds) { return r->longest > 0 && 1.5 * r->longest < seconds; }

static cn_status run_timed(cornu_runner *r, cn_error *e) {
  const double before = cornu_clock();
  CN_TRY(run_whole(r, e));
  const double took = cornu_clock() - before;
  r->longest = took > 0.9 * r->longest ? took : 0.9 * r->longest;
  return CORNU_OK;
}

/* Where no thread can be started the calling one does as many steps as there is time for. */
static cn_status run_here(cornu_runner *r, double deadline, bool *done, cn_error *e) {
  cn_slice *s = &r->slice, *before = cn_slice_here();
  *s = (cn_slice){.deadline = deadline, .last = cornu_clock(), .next = r->under_way ? s->next : 0};
  cn_slice_set(s);
  cn_status status = run_whole(r, e);
  cn_slice_set(before);
  r->under_way = s->stopped;
  *done = !r->under_way;
  return r->under_way ? CORNU_OK : status;
}

cornu_status cornu_runner_run_for(cornu_runner *r, double microseconds, bool *done, cornu_error *e) {
  const double begin = cornu_clock(), seconds = microseconds * 1e-6;
  *done = false;
  if (r->in_background) return refuse_under_way(r, e);
  if (!r->under_way) CN_TRY(update(r, e));
  if (!r->under_way && fits(r, seconds)) return *done = true, run_timed(r, e);
  cn_status found = need_thread(r, e);
  if (found == CORNU_ERR_MEMORY) return run_here(r, begin + seconds, done, e);
  CN_TRY(found);
  if (!r->under_way) r->spent = 0;
  r->finished = NULL;
  let_run(r, begin + seconds);
  cn_status status = look(r, true, done, e);
  r->spent += cornu_clock() - begin;
  if (*done) r->longest = r->spent;
  return status;
}

cornu_status cornu_runner_start(cornu_runner *r, void (*finished)(void *user, cornu_status status), void *user,
                                cornu_error *e) {
  CN_TRY(refuse_under_way(r, e));
  CN_TRY(update(r, e));
  CN_TRY(need_thread(r, e));
  r->finished = finished;
  r->user = user;
  r->in_background = true;
  let_run(r, HUGE_VAL);
  return CORNU_OK;
}

static cn_status await(cornu_runner *r, bool wait, bool *done, cn_error *e) {
  *done = false;
  if (!r->in_background) return cn_fail(e, CORNU_ERR_ARGUMENT, "no run was started in the background");
  cn_status status = look(r, wait, done, e);
  if (*done) r->in_background = false;
  return status;
}

cornu_status cornu_runner_poll(cornu_runner *r, bool *done, cornu_error *e) { return await(r, false, done, e); }

cornu_status cornu_runner_wait(cornu_runner *r, cornu_error *e) {
  bool done;
  return await(r, true, &done, e);
}

void cornu_runner_cancel(cornu_runner *r) {
  if (!r->under_way) return;
  if (!r->has_thread) {
    r->under_way = false;
    return;
  }
  atomic_store(&r->slice.deadline, -HUGE_VAL);
  pthread_mutex_lock(&r->lock);
  r->canceling = true;
  if (r->phase == PAUSED) r->phase = RUNNING;
  pthread_cond_signal(&r->go);
  while (r->phase != FINISHED) pthread_cond_wait(&r->stopped, &r->lock);
  r->phase = IDLE;
  r->canceling = false;
  pthread_mutex_unlock(&r->lock);
  r->under_way = r->in_background = false;
}

/* ---- States ---- */

cornu_status cornu_runner_carry(cornu_runner *r, int output, int input, cornu_error *e) {
  cornu_port from, to;
  CN_TRY(refuse_under_way(r, e));
  if (!cornu_runner_port(r, CORNU_RUNNER_OUTPUT, output, &from) ||
      !cornu_runner_port(r, CORNU_RUNNER_INPUT, input, &to))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "the runner has %d outputs and %d inputs, no output %d or input %d",
                   r->outputs.count, r->inputs.count, output, input);
  if (from.dtype != to.dtype || from.dtype == CORNU_TEXT || !cn_shape_equal(from.rank, from.shape, to.rank, to.shape))
    return cn_fail(e, CORNU_ERR_SHAPE, "output \"%s\" is %s %s, input \"%s\" %s %s: only the same can be carried",
                   from.name, cornu_dtype_name(from.dtype), CN_SHAPE(from.rank, from.shape), to.name,
                   cornu_dtype_name(to.dtype), CN_SHAPE(to.rank, to.shape));
  for (int i = 0; i < r->n_carries; i++)
    if (r->carries[i].input == input) return r->carries[i].output = output, CORNU_OK;
  if (!cn_grow(&r->carries, &r->cap_carries, r->n_carries, sizeof *r->carries)) return cn_no_memory(e);
  r->carries[r->n_carries++] = (carry){output, input};
  return CORNU_OK;
}

/* Inputs may have fewer rows than the first one, whose batch is the runner's. */
static void clear_rows(cn_tensor *t, int64_t first, int64_t n) {
  const int64_t rows = t->rank ? t->shape[0] : 0;
  if (first >= rows) return;
  const size_t row = tensor_bytes(t) / (size_t)rows;
  memset(t->data + (size_t)first * row, 0, (size_t)(n < rows - first ? n : rows - first) * row);
}

cornu_status cornu_runner_reset(cornu_runner *r, int64_t first, int64_t n, cornu_error *e) {
  const int64_t batch = r->batch;
  CN_TRY(refuse_under_way(r, e));
  if (n == -1) n = batch - first;
  if (first < 0 || n < 0 || first > batch || n > batch - first)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "%lld samples from the %lldth on: the runner has %lld", (long long)n,
                   (long long)first + 1, (long long)batch);
  for (int i = 0; i < r->plan->states.count; i++) clear_rows(r->plan->held[i], first, n);
  for (int i = 0; i < r->n_carries; i++) clear_rows(r->inputs.items[r->carries[i].input], first, n);
  return CORNU_OK;
}

/* ---- What it has ---- */

int cornu_runner_count(const cornu_runner *r, cornu_runner_part part) {
  return part == CORNU_RUNNER_INPUT ? r->inputs.count : part == CORNU_RUNNER_OUTPUT ? r->outputs.count
         : part == CORNU_RUNNER_STATE ? r->plan->states.count : 0;
}

bool cornu_runner_port(const cornu_runner *r, cornu_runner_part part, int i, cornu_port *out) {
  if (i < 0 || i >= cornu_runner_count(r, part)) return false;
  if (part == CORNU_RUNNER_INPUT) return cornu_plan_input(r->plan, i, out);
  if (part == CORNU_RUNNER_OUTPUT) return cornu_plan_output(r->plan, i, out);
  const cn_state_ref *s = &r->plan->states.items[i];
  *out = (cornu_port){.name = s->layer->name, .dtype = s->type.dtype, .rank = s->type.rank};
  memcpy(out->shape, s->type.shape, sizeof out->shape);
  return true;
}

int cornu_runner_find(const cornu_runner *r, cornu_runner_part part, const char *name) {
  cornu_port p;
  for (int i = 0; name && cornu_runner_port(r, part, i, &p); i++)
    if (strcmp(p.name, name) == 0 || (p.key && strcmp(p.key, name) == 0)) return i;
  return -1;
}

cornu_tensor *cornu_runner_tensor(cornu_runner *r, cornu_runner_part part, int i) {
  if (i < 0 || i >= cornu_runner_count(r, part)) return NULL;
  return part == CORNU_RUNNER_INPUT ? r->inputs.items[i] : part == CORNU_RUNNER_OUTPUT ? r->outputs.items[i]
                                                                                       : r->plan->held[i];
}

void *cornu_runner_data(cornu_runner *r, cornu_runner_part part, int i) {
  cn_tensor *t = cornu_runner_tensor(r, part, i);
  return t ? t->data : NULL;
}

static size_t bytes_of(const buffers *b) {
  size_t sum = 0;
  for (int i = 0; i < b->count; i++) sum += tensor_bytes(b->items[i]);
  return sum;
}

size_t cornu_runner_memory(const cornu_runner *r) {
  const buffers states = {r->plan->held, 2 * r->plan->states.count};
  return cornu_plan_memory(r->plan) + bytes_of(&r->inputs) + bytes_of(&r->outputs) + bytes_of(&states);
}

/* ---- Making ---- */

static void drop(buffers *b) {
  for (int i = 0; i < b->count; i++) cornu_tensor_release(b->items[i]);
  cn_free(b->items);
}

void cornu_runner_free(cornu_runner *r) {
  if (!r) return;
  cornu_runner_cancel(r);
  if (r->has_thread) {
    pthread_mutex_lock(&r->lock);
    r->phase = LEAVING;
    pthread_cond_signal(&r->go);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
  }
  pthread_mutex_destroy(&r->lock);
  pthread_cond_destroy(&r->go);
  pthread_cond_destroy(&r->stopped);
  drop(&r->inputs);
  drop(&r->outputs);
  cn_free(r->carries);
  cornu_plan_free(r->plan);
  cornu_model_release(r->model);
  cornu_context *c = r->context;
  cn_free(r);
  cornu_context_release(c);
}

static cn_status read_options(const cornu_runner_options *given, cornu_runner_options *out, cn_error *e) {
  *out = (cornu_runner_options){0};
  if (given && given->struct_size < sizeof given->struct_size)
    return cn_fail(e, CORNU_ERR_ARGUMENT,
                   "struct_size of the runner's options is %zu: set it to sizeof(cornu_runner_options)",
                   given->struct_size);
  if (given) memcpy(out, given, given->struct_size < sizeof *out ? given->struct_size : sizeof *out);
  if (out->batch < 0) return cn_fail(e, CORNU_ERR_ARGUMENT, "a batch of %lld samples", (long long)out->batch);
  return CORNU_OK;
}

enum { MOST_VALUES = 64 };

/* m with other outputs: each name may stand for several values. */
static cn_status choose_outputs(cn_model *m, const cornu_runner_options *o, cn_model **out, cn_error *e) {
  cornu_symbol *values[MOST_VALUES];
  int count = 0;
  cn_status status = CORNU_OK;
  for (int i = 0; i < o->n_outputs && !status; i++) {
    int n = MOST_VALUES - count;
    status = cornu_model_values(m, o->outputs[i], -1, true, values + count, &n, e);
    if (!status) count += n;
  }
  if (!status) status = cornu_model_outputs_of(m, values, NULL, count, out, e);
  while (count > 0) cornu_symbol_release(values[--count]);
  return status;
}

/* The shape of input i: as given, or the model's with the batch. */
static cn_status input_shape(const cn_model *m, const cornu_runner_options *o, int i, int64_t *shape, cn_error *e) {
  cornu_port port;
  cornu_model_input(m, i, &port);
  memcpy(shape, o->shapes && o->shapes[i] ? o->shapes[i] : port.shape, sizeof port.shape[0] * (size_t)port.rank);
  if (port.rank && (o->batch || shape[0] < 0)) shape[0] = o->batch ? o->batch : 1;
  for (int d = 0; d < port.rank; d++)
    if (shape[d] < 0)
      return cn_fail(e, CORNU_ERR_SHAPE, "dimension %d of input \"%s\" is not known: give the runner its shapes", d + 1,
                     port.name);
  return CORNU_OK;
}

static cn_status make_plan(cornu_runner *r, const cornu_runner_options *o, cn_error *e) {
  const size_t n = (size_t)r->model->n_inputs;
  int64_t(*shapes)[CORNU_MAX_RANK] = cn_calloc(n + 1, sizeof *shapes);
  const int64_t **list = cn_calloc(n + 1, sizeof *list);
  cn_status status = shapes && list ? CORNU_OK : cn_no_memory(e);
  for (int i = 0; i < r->model->n_inputs && !status; i++) {
    status = input_shape(r->model, o, i, shapes[i], e);
    list[i] = shapes[i];
  }
  if (!status) status = cn_plan_new(r->model, list, o->batch > 0, &r->plan, e);
  if (!status && n) r->batch = shapes[0][0];
  cn_free(shapes);
  cn_free(list);
  return status;
}

static cn_status make_buffers(const cornu_runner *r, int n, bool (*port)(const cornu_plan *, int, cornu_port *),
                              buffers *out, cn_error *e) {
  cornu_port p;
  out->items = cn_calloc((size_t)n + 1, sizeof *out->items);
  if (!out->items) return cn_no_memory(e);
  for (; out->count < n && port(r->plan, out->count, &p); out->count++)
    CN_TRY(cornu_tensor_new(p.dtype, p.rank, p.shape, &out->items[out->count], e));
  return CORNU_OK;
}

cornu_status cornu_runner_new(cornu_model *m, const cornu_runner_options *given, cornu_runner **out, cornu_error *e) {
  cornu_runner_options o;
  *out = NULL;
  CN_TRY(read_options(given, &o, e));
  cornu_runner *r = cn_calloc(1, sizeof *r);
  if (!r) return cn_no_memory(e);
  r->context = cornu_context_retain(cn_context());
  pthread_mutex_init(&r->lock, NULL);
  pthread_cond_init(&r->go, NULL);
  pthread_cond_init(&r->stopped, NULL);
  cn_status status = CORNU_OK;
  if (o.n_outputs) status = choose_outputs(m, &o, &r->model, e);
  else r->model = cornu_model_retain(m);
  if (!status) status = make_plan(r, &o, e);
  if (!status) status = make_buffers(r, r->model->n_inputs, cornu_plan_input, &r->inputs, e);
  if (!status) status = make_buffers(r, r->model->n_outputs, cornu_plan_output, &r->outputs, e);
  if (!status) status = cn_plan_point(r->plan, r->inputs.items, r->outputs.items, e);
  if (status) cornu_runner_free(r);
  else *out = r;
  return status;
}
