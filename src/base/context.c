/* Contexts. One is freed when nobody holds it and its last block is given back, so that what is made in it may outlive
 * the host's interest in it. */
#include "base/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"

#define LARGEST ((uint64_t)16 << 30)
#define STANDARD_LIMITS {sizeof(cornu_limits), SIZE_MAX / 4 < LARGEST ? SIZE_MAX / 4 : (size_t)LARGEST, \
                         (size_t)256 << 20, 100000, 200}

cornu_context cn_standard_context = {.limits = STANDARD_LIMITS, .holds = 1};
static _Thread_local cornu_context *current; /* NULL: the standard one */

cornu_context *cn_context(void) { return current ? current : &cn_standard_context; }

cornu_context *cornu_context_use(cornu_context *c) {
  cornu_context *before = current;
  current = c == &cn_standard_context ? NULL : c;
  return before;
}

/* ---- Settings ---- */

static void set_limits(cornu_limits *to, const cornu_limits *from) {
  if (from->max_tensor_bytes) to->max_tensor_bytes = from->max_tensor_bytes;
  if (from->max_text_bytes) to->max_text_bytes = from->max_text_bytes;
  if (from->max_layers) to->max_layers = from->max_layers;
  if (from->max_depth) to->max_depth = from->max_depth;
}

void cornu_set_limits(const cornu_limits *limits) {
  cornu_limits l = {0};
  memcpy(&l, limits, limits->struct_size < sizeof l ? limits->struct_size : sizeof l);
  set_limits(&cn_context()->limits, &l);
}

void cornu_get_limits(cornu_limits *limits) {
  const cornu_limits *l = &cn_context()->limits;
  size_t size = limits->struct_size < sizeof *l ? limits->struct_size : sizeof *l;
  memcpy(limits, l, size);
  limits->struct_size = size;
}

void cornu_set_allocator(const cornu_allocator *allocator) {
  cn_standard_context.hooks = allocator ? *allocator : (cornu_allocator){0};
}

size_t cornu_memory_used(void) { return atomic_load(&cn_context()->used); }

/* ---- Life ---- */

static cornu_context *allocate(const cornu_allocator *a) {
  return a->alloc ? a->alloc(a->user, sizeof(cornu_context), 16) : cn_system_alloc(sizeof(cornu_context), false);
}

static cn_status check(const cornu_context_options *o, cn_error *e) {
  if (!o->allocator.alloc != !o->allocator.free)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "context: an allocator has both alloc and free, or neither");
  if (o->threads < 0) return cn_fail(e, CORNU_ERR_ARGUMENT, "context: %d threads", o->threads);
  if (o->jobs.run && o->jobs.threads < 1)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "context: jobs.threads is %d: say how many jobs run at the same time",
                   o->jobs.threads);
  return CORNU_OK;
}

cornu_status cornu_context_new(const cornu_context_options *given, cornu_context **out, cornu_error *e) {
  cornu_context_options o = {0};
  *out = NULL;
  if (given && given->struct_size < sizeof given->struct_size)
    return cn_fail(e, CORNU_ERR_ARGUMENT,
                   "struct_size of the context's options is %zu: set it to sizeof(cornu_context_options)",
                   given->struct_size);
  if (given) memcpy(&o, given, given->struct_size < sizeof o ? given->struct_size : sizeof o);
  CN_TRY(check(&o, e));
  cornu_context *c = allocate(&o.allocator);
  if (!c) return cn_no_memory(e);
  *c = (cornu_context){.hooks = o.allocator, .max_memory = o.max_memory, .limits = STANDARD_LIMITS,
                       .threads = o.jobs.run ? o.jobs.threads : o.threads, .jobs = o.jobs, .log = o.log,
                       .log_user = o.log_user, .holds = 1};
  set_limits(&c->limits, &o.limits);
  *out = c;
  return CORNU_OK;
}

static void let_go(cornu_context *c, size_t holds) {
  if (c == &cn_standard_context || atomic_fetch_sub_explicit(&c->holds, holds, memory_order_acq_rel) != holds) return;
  const cornu_allocator a = c->hooks;
  if (a.free) a.free(a.user, c, sizeof *c);
  else free(c);
}

cornu_context *cornu_context_retain(cornu_context *c) {
  if (c && c != &cn_standard_context) atomic_fetch_add_explicit(&c->holds, 1, memory_order_relaxed);
  return c;
}

void cornu_context_release(cornu_context *c) {
  if (c) let_go(c, 1);
}

bool cn_context_take(cornu_context *c, size_t bytes) {
  const size_t before = atomic_fetch_add_explicit(&c->used, bytes, memory_order_relaxed);
  if (c->max_memory && (before > c->max_memory || bytes > c->max_memory - before)) {
    atomic_fetch_sub_explicit(&c->used, bytes, memory_order_relaxed);
    return false;
  }
  if (c != &cn_standard_context) atomic_fetch_add_explicit(&c->holds, bytes, memory_order_relaxed);
  return true;
}

void cn_context_give_back(cornu_context *c, size_t bytes) {
  atomic_fetch_sub_explicit(&c->used, bytes, memory_order_relaxed);
  let_go(c, bytes);
}

size_t cornu_context_memory(const cornu_context *c) { return atomic_load(&((cornu_context *)c)->used); }

/* ---- Log ---- */

void cn_log(cornu_log_level level, const char *format, ...) {
  const cornu_context *c = cn_context();
  char text[1024];
  va_list args;
  if (!c->log) return;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  c->log(c->log_user, level, text);
}
