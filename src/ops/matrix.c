/* Batches of matrices, one after the other. */
#include "ops/matrix.h"

#include "base/pool.h"
#include "base/text.h"

#define SLOTS 16 /* parts of a batch that may run at once, each with scratch of its own */

typedef struct state {
  cn_matrix_routine routine;
  const char *failure;
  cn_matrix_job job;             /* sizes */
  int64_t batch, slots;
  int64_t in_size[2], out_size[3]; /* elements of one matrix */
  int64_t slot_doubles;
  int64_t bad[SLOTS];            /* 1 + index of a matrix that failed */
} state;

int64_t cn_rows(const cn_operand *x) { return x->shape[x->rank - 2]; }
int64_t cn_columns(const cn_operand *x) { return x->shape[x->rank - 1]; }

cn_status cn_want_matrix(const cn_type *t, const char *what, bool square, cn_error *e) {
  CN_TRY(cn_want_rank(t, what, 2, CN_MAX_RANK, e));
  CN_TRY(cn_want_float(t, what, e));
  if (square && !cn_dims_agree(t->shape[t->rank - 2], t->shape[t->rank - 1]))
    return cn_fail(e, CORNU_ERR_SHAPE, "%s has the shape %s, expected square matrices", what,
                   CN_SHAPE(t->rank, t->shape));
  return CORNU_OK;
}

/* Where the arrays of one slot begin. */
static cn_matrix_job job_of(const cn_step *s, int64_t slot) {
  const state *st = s->state;
  cn_matrix_job j = st->job;
  double *at = (double *)s->scratch + slot * st->slot_doubles;
  j.step = s;
  for (int i = 0; i < s->n_in; i++, at += st->in_size[i - 1]) j.in[i] = at;
  for (int i = 0; i < s->n_out; i++, at += st->out_size[i - 1]) j.out[i] = at;
  j.work = at;
  return j;
}

static void run_slot(void *context, int slot) {
  const cn_step *s = context;
  state *st = s->state;
  cn_matrix_job j = job_of(s, slot);
  st->bad[slot] = 0;
  for (int64_t b = slot * st->batch / st->slots; b < (slot + 1) * st->batch / st->slots; b++) {
    for (int i = 0; i < s->n_in; i++) {
      size_t bytes = (size_t)(b * st->in_size[i]) * cornu_dtype_bytes(s->in[i]->dtype);
      cn_convert(j.in[i], CORNU_FLOAT64, (const char *)s->in[i]->data + bytes, s->in[i]->dtype, st->in_size[i]);
    }
    if (!st->routine(&j) && !st->bad[slot]) st->bad[slot] = b + 1;
    for (int i = 0; i < s->n_out; i++) {
      size_t bytes = (size_t)(b * st->out_size[i]) * cornu_dtype_bytes(s->out[i]->dtype);
      cn_convert((char *)s->out[i]->data + bytes, s->out[i]->dtype, j.out[i], CORNU_FLOAT64, st->out_size[i]);
    }
  }
}

static void run(const cn_step *s) {
  const state *st = s->state;
  if (s->failure) s->failure->status = CORNU_OK;
  cn_parallel((int)st->slots, run_slot, (void *)s);
  for (int64_t i = 0; s->failure && i < st->slots; i++)
    if (st->bad[i]) {
      cn_fail(s->failure, CORNU_ERR_ARGUMENT, "%s: matrix %lld of the batch %s", s->op->name, (long long)st->bad[i],
              st->failure);
      return;
    }
}

cn_status cn_matrix_plan(struct cn_planner *p, cn_step *s, cn_matrix_routine routine, int64_t work, const char *failure,
                         cn_error *e) {
  const cn_operand *a = s->in[0];
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (failure) s->failure = cn_plan_memory(p, sizeof *s->failure);
  if (!st || (failure && !s->failure)) return cn_no_memory(e);
  *st = (state){.routine = routine, .failure = failure, .batch = cn_shape_size(a->rank - 2, a->shape)};
  st->job = (cn_matrix_job){.m = cn_rows(a), .n = cn_columns(a)};
  st->slots = st->batch < SLOTS ? st->batch : SLOTS;
  for (int i = 0; st->batch && i < s->n_in; i++) st->slot_doubles += st->in_size[i] = s->in[i]->size / st->batch;
  for (int i = 0; st->batch && i < s->n_out; i++) st->slot_doubles += st->out_size[i] = s->out[i]->size / st->batch;
  if (s->n_in > 1 && st->job.m) st->job.k = st->in_size[1] / st->job.m;
  st->slot_doubles += work;
  s->scratch_bytes = (size_t)(st->slots * st->slot_doubles) * sizeof(double);
  s->flops = (double)a->size * (double)(st->job.m + st->job.n);
  s->run = run;
  return CORNU_OK;
}
