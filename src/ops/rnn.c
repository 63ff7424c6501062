/* Recurrent layers over a whole sequence. The inputs of many steps are projected by one product; each step then adds
 * the product of the state with the recurrent kernel, and computes its gates: float32 by kernels of its own, float64 by
 * the general product. Gates as Keras stores them. */
#include <stdio.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "ops/product.h"
#include "ops/recurrent.h"

enum { X, KERNEL, RECURRENT, BIAS, MASK, H0, C0 };

static int outputs_of(cn_recurrent k) { return k == CN_LSTM ? 3 : 2; }
static bool has(const cn_typing *t, int i) { return t->n_in > i && !CN_TYPE_ABSENT(&t->in[i]); }

static cn_status want_shape(const cn_type *t, const char *what, int rank, const int64_t *shape, cn_error *e) {
  bool fits = t->rank == rank;
  for (int i = 0; fits && i < rank; i++) fits = cn_dims_agree(t->shape[i], shape[i]);
  return fits ? CORNU_OK
              : cn_fail(e, CORNU_ERR_SHAPE, "rnn: %s has shape %s, expected %s", what, CN_SHAPE(t->rank, t->shape),
                        CN_SHAPE(rank, shape));
}

static cn_status shape(cn_recurrent k, cn_typing *t, cn_error *e) {
  const cn_rnn_attrs *a = t->attrs;
  const cn_type *x = &t->in[X];
  bool floats = x->dtype == CORNU_FLOAT32 || x->dtype == CORNU_FLOAT64;
  for (int i = 0; i < t->n_in; i++)
    if (i != MASK && has(t, i) && (t->in[i].dtype != x->dtype || !floats))
      return cn_fail(e, CORNU_ERR_DTYPE, "rnn: input %d is %s, needs float32 or float64 as all others: cast it first",
                     i + 1, cornu_dtype_name(t->in[i].dtype));
  CN_TRY(cn_want_rank(x, "rnn: input", 3, 3, e));
  CN_TRY(cn_want_rank(&t->in[RECURRENT], "rnn: recurrent kernel", 2, 2, e));
  int64_t u = t->in[RECURRENT].shape[0], g = cn_recurrent_gates(k), b = x->shape[0];
  CN_TRY(want_shape(&t->in[KERNEL], "the kernel", 2, (int64_t[]){x->shape[2], g * u}, e));
  CN_TRY(want_shape(&t->in[RECURRENT], "the recurrent kernel", 2, (int64_t[]){u, g * u}, e));
  bool two = k == CN_GRU && a->reset_after;
  if (has(t, BIAS))
    CN_TRY(want_shape(&t->in[BIAS], "the bias", two ? 2 : 1, two ? (int64_t[]){2, g * u} : (int64_t[]){g * u}, e));
  if (has(t, MASK)) CN_TRY(want_shape(&t->in[MASK], "the mask", 2, (int64_t[]){b, x->shape[1]}, e));
  if (has(t, H0)) CN_TRY(want_shape(&t->in[H0], "the initial state", 2, (int64_t[]){b, u}, e));
  if (has(t, C0)) CN_TRY(want_shape(&t->in[C0], "the initial cell state", 2, (int64_t[]){b, u}, e));
  cn_type state = {.dtype = x->dtype, .rank = 2, .shape = {b, u}};
  if (t->n_out < 0) t->n_out = outputs_of(k) + a->keeps;
  t->out[0] = a->sequences ? (cn_type){.dtype = x->dtype, .rank = 3, .shape = {b, x->shape[1], u}} : state;
  for (int i = 1; i < t->n_out; i++) t->out[i] = state;
  const int64_t kept = cn_dim_mul(u, cn_recurrent_kept(k, a));
  if (a->keeps && t->n_out > outputs_of(k))
    t->out[outputs_of(k)] = (cn_type){.dtype = x->dtype, .rank = 3, .shape = {x->shape[1], b, kept}};
  return CORNU_OK;
}

typedef struct state {
  cn_recurrent kind;
  size_t item;                           /* bytes of an element */
  int64_t b, t, in, u, g;
  int64_t pitch;                         /* elements from one row of the states to the next */
  int64_t kept;                          /* elements that are kept of a row; 0: nothing is */
  bool apart;                            /* GRU with the reset before the product: its third gate has one of its own */
  cn_pack kernel, recurrent, candidate;  /* the last two: float64 */
  cn_pack_part kernel_part, recurrent_part, candidate_part;
  const float *weights, *candidate_weights; /* float32, constant; else packed at each run */
  size_t projected, gates, h[2], c[2], reset, y, kernel_room, recurrent_room, candidate_room; /* offsets in scratch */
} state;

/* A step under way: the states are in h[now] and c[now], and the next ones go to the others. */
typedef struct moment {
  const cn_step *s;
  const void *kernel, *recurrent, *candidate; /* packed */
  const void *bias;                  /* of the product with the state, or NULL */
  int64_t first, end;                /* the rows of the batch that go together */
  int64_t time, place;
  int64_t from, steps;               /* the times whose projected inputs are there */
  int now;
} moment;

static const void *data_of(const cn_step *s, int i) { return s->n_in > i && s->in[i] ? s->in[i]->data : NULL; }
/* Element i of what lies at an offset of the scratch. */
static void *room(const cn_step *s, size_t at, int64_t i) {
  return cn_nth((char *)s->scratch + at, i, ((const state *)s->state)->item);
}

static void product(const cn_pack *w, const void *packed, const void *a, int64_t lda, void *c, int64_t ldc, int64_t m,
                    int64_t k, const void *bias) {
  cn_grid g = {.call = {.a = a,
                        .lda = lda,
                        .segments = 1,
                        .kc = k,
                        .b = packed,
                        .c = c,
                        .ldc = ldc,
                        .m = m,
                        .n = w->n,
                        .epilogue = {.bias = bias}},
               .outer = {1, 1, 1},
               .groups = 1};
  cn_grid_run(w->kernels, &g);
}

/* The projected inputs of the step of row 0, if the rows began with it: m->steps * gates * units for each row. */
static void *inputs_of(const moment *m) {
  const state *st = m->s->state;
  return room(m->s, st->projected, (m->first * (st->t - m->steps) + m->time - m->from) * st->g * st->u);
}

/* Where is kept what gradients need of a row of the step; NULL: nothing is. */
static void *kept_of(const moment *m, int64_t row) {
  const state *st = m->s->state;
  return st->kept ? cn_nth(m->s->out[outputs_of(st->kind)]->data, (m->time * st->b + row) * st->kept, st->item) : NULL;
}

static void keep_states(const moment *m) {
  const state *st = m->s->state;
  const size_t bytes = (size_t)st->u * st->item;
  for (int64_t i = m->first; i < m->end && st->kept; i++) {
    void *to = kept_of(m, i);
    memcpy(cn_nth(to, st->kept - st->u, st->item), room(m->s, st->h[m->now], i * st->pitch), bytes);
    if (st->kind == CN_LSTM)
      memcpy(cn_nth(to, st->kept - 2 * st->u, st->item), room(m->s, st->c[m->now], i * st->pitch), bytes);
  }
}

/* ---- Steps in float32 ---- */

#define TASK 30000       /* multiply-adds of a step that are worth another thread */
#define ROWS_TASK 100000 /* multiply-adds of whole rows that are */
#define PROJECTED_BYTES (256 << 10)
#define FEW_STEPS 16
#define FEW_ROWS 4       /* fewer would read the weights more often than it is worth */

typedef struct cells_job { const cn_rnn_call *call; int64_t first, rows, tiles; } cells_job;

static void cells_range(void *context, int64_t begin, int64_t end) {
  const cells_job *j = context;
  const cn_rnn_kernels *kernels = cn_rnn_math();
  if (j->tiles == 1) {
    kernels->run(j->call, j->first, (int)j->rows, begin, end);
    return;
  }
  for (int64_t i = begin; i < end; i++) {
    int64_t tile = i % j->tiles, row = tile * j->rows / j->tiles, block = i / j->tiles;
    kernels->run(j->call, j->first + row, (int)((tile + 1) * j->rows / j->tiles - row), block, block + 1);
  }
}

/* All rows and units of one kind of cell: block by block, so that its weights serve all rows while they are near. */
static void run_cells(const cn_rnn_call *call, const moment *m, int64_t gates) {
  const cn_rnn_kernels *k = cn_rnn_math();
  const int64_t rows = m->end - m->first;
  cells_job j = {call, m->first, rows, (rows + k->rows - 1) / k->rows};
  int64_t blocks = (call->units + k->block - 1) / k->block, work = rows / j.tiles * gates * call->units * k->block;
  cn_parallel_range(blocks * j.tiles, TASK / (work + 1) + 1, cells_range, &j);
}

static void step_floats(const moment *m) {
  const cn_step *s = m->s;
  const state *st = s->state;
  const cn_rnn_attrs *a = s->attrs;
  static const cn_rnn_kind kinds[] = {[CN_SIMPLE] = CN_RNN_SIMPLE, [CN_LSTM] = CN_RNN_LSTM, [CN_GRU] = CN_RNN_GRU};
  cn_rnn_call call = {.kind = st->apart ? CN_RNN_GRU_GATES : kinds[st->kind], .act = &a->act,
                      .recurrent_act = &a->recurrent_act, .alone = st->b == 1, .units = st->u, .pitch = st->pitch,
                      .weights = m->recurrent, .bias = m->bias, .x = inputs_of(m), .x_pitch = m->steps * st->g * st->u,
                      .a = room(s, st->h[m->now], 0), .h = room(s, st->h[m->now], 0),
                      .h_next = room(s, st->h[!m->now], 0), .c = room(s, st->c[m->now], 0),
                      .c_next = room(s, st->c[!m->now], 0), .z = room(s, st->gates, 0),
                      .reset = room(s, st->reset, 0), .kept = kept_of(m, 0), .kept_pitch = st->kept};
  run_cells(&call, m, st->apart ? 2 : st->g);
  if (!st->apart) return;
  call.kind = CN_RNN_GRU_MIX;
  call.weights = m->candidate;
  call.a = call.reset;
  run_cells(&call, m, 1);
}

/* ---- Steps in float64: all rows, one by one ---- */

/* The act on some gates, which are kept as gradients want them. */
static void bend(const cn_act *act, double *r, int64_t n, double *kept) {
  if (kept && !cn_act_by_result(act)) memcpy(kept, r, (size_t)n * sizeof *r);
  cn_act_apply_items(sizeof *r, act, r, r, n);
  if (kept && cn_act_by_result(act)) memcpy(kept, r, (size_t)n * sizeof *r);
}
static double *at(double *kept, int64_t i) { return kept ? kept + i : NULL; }

/* x: projected inputs, r: products, which become gates; h and c: the states, which are replaced; kept: or NULL. */
static void simple_cell(const cn_rnn_attrs *a, int64_t u, const double *x, double *r, double *h, double *c,
                        double *kept) {
  (void)c;
  for (int64_t i = 0; i < u; i++) h[i] = x[i] + r[i];
  bend(&a->act, h, u, kept);
}

static void lstm_cell(const cn_rnn_attrs *a, int64_t u, const double *x, double *r, double *h, double *c,
                      double *kept) {
  for (int64_t i = 0; i < 4 * u; i++) r[i] += x[i];
  bend(&a->recurrent_act, r, 2 * u, kept);
  bend(&a->act, r + 2 * u, u, at(kept, 2 * u));
  bend(&a->recurrent_act, r + 3 * u, u, at(kept, 3 * u));
  for (int64_t i = 0; i < u; i++) c[i] = r[u + i] * c[i] + r[i] * r[2 * u + i];
  cn_act_apply_items(sizeof *h, &a->act, h, c, u);
  for (int64_t i = 0; i < u; i++) h[i] *= r[3 * u + i];
}

static void gru_gates(const cn_rnn_attrs *a, int64_t u, const double *x, double *r, const double *h, double *reset,
                      double *kept) {
  for (int64_t i = 0; i < 2 * u; i++) r[i] += x[i];
  bend(&a->recurrent_act, r, 2 * u, kept);
  for (int64_t i = 0; i < u; i++) reset[i] = r[u + i] * h[i];
}

static void gru_cell(const cn_rnn_attrs *a, int64_t u, const double *x, double *r, double *h, double *c,
                     double *kept) {
  double *candidate = r + 2 * u;
  (void)c;
  if (kept && a->reset_after) memcpy(kept + 3 * u, candidate, (size_t)u * sizeof *candidate);
  for (int64_t i = 0; i < u; i++)
    candidate[i] = x[2 * u + i] + (a->reset_after ? r[u + i] * candidate[i] : candidate[i]);
  bend(&a->act, candidate, u, at(kept, 2 * u));
  for (int64_t i = 0; i < u; i++) h[i] = r[i] * h[i] + (1 - r[i]) * candidate[i];
}

static void step_doubles(const moment *m) {
  static void (*const cell[])(const cn_rnn_attrs *a, int64_t u, const double *x, double *r, double *h, double *c,
                              double *kept) = {
    [CN_SIMPLE] = simple_cell, [CN_LSTM] = lstm_cell, [CN_GRU] = gru_cell};
  const cn_step *s = m->s;
  const state *st = s->state;
  int64_t u = st->u, gu = st->g * u;
  double *h = room(s, st->h[!m->now], 0), *c = room(s, st->c[!m->now], 0), *gates = room(s, st->gates, 0),
         *reset = room(s, st->reset, 0), *x = inputs_of(m);
  memcpy(h, room(s, st->h[m->now], 0), (size_t)(st->b * u) * sizeof *h);
  memcpy(c, room(s, st->c[m->now], 0), (size_t)(st->b * u) * sizeof *c);
  product(&st->recurrent, m->recurrent, h, u, gates, gu, st->b, u, m->bias);
  for (int64_t i = 0; st->kind == CN_GRU && i < st->b; i++)
    gru_gates(s->attrs, u, x + i * m->steps * gu, gates + i * gu, h + i * u, reset + i * u,
              kept_of(m, i));
  if (st->apart) product(&st->candidate, m->candidate, reset, u, gates + 2 * u, gu, st->b, u, NULL);
  for (int64_t i = 0; i < st->b; i++)
    cell[st->kind](s->attrs, u, x + i * m->steps * gu, gates + i * gu, h + i * u, c + i * u, kept_of(m, i));
}

/* ---- The sequence ---- */

/* The states of row i stay where its mask is false, and its output is the last one, or zeros. */
static const void *output_of(const moment *m, int64_t i, const uint8_t *mask) {
  const cn_step *s = m->s;
  const state *st = s->state;
  int64_t at = i * st->pitch;
  size_t bytes = (size_t)st->u * st->item;
  void *h = room(s, st->h[!m->now], at), *y = room(s, st->y, at);
  if (!mask) return h;
  if (mask[i * st->t + m->time]) {
    memcpy(y, h, bytes);
  } else {
    memcpy(h, room(s, st->h[m->now], at), bytes);
    memcpy(room(s, st->c[!m->now], at), room(s, st->c[m->now], at), bytes);
    if (((const cn_rnn_attrs *)s->attrs)->zero_masked) memset(y, 0, bytes);
  }
  return y;
}

static void put_outputs(const moment *m) {
  const cn_step *s = m->s;
  const state *st = s->state;
  const uint8_t *mask = data_of(s, MASK);
  bool sequences = ((const cn_rnn_attrs *)s->attrs)->sequences, wanted = sequences || m->place == st->t - 1;
  if (!mask && !wanted) return;
  for (int64_t i = m->first; i < m->end; i++) {
    const void *y = output_of(m, i, mask);
    void *to = cn_nth(s->out[0]->data, (sequences ? i * st->t + m->place : i) * st->u, st->item);
    if (wanted) memcpy(to, y, (size_t)st->u * st->item);
  }
}

static void start_state(const cn_step *s, size_t at, const void *from) {
  const state *st = s->state;
  size_t row = (size_t)st->u * st->item;
  if (!from) memset(room(s, at, 0), 0, (size_t)(st->b * st->pitch) * st->item);
  for (int64_t i = 0; from && i < st->b; i++)
    memcpy(room(s, at, i * st->pitch), cn_nth(from, i * st->u, st->item), row);
}

static void end_state(const cn_step *s, size_t at, int output) {
  const state *st = s->state;
  for (int64_t i = 0; i < st->b; i++)
    memcpy(cn_nth(s->out[output]->data, i * st->u, st->item), room(s, at, i * st->pitch), (size_t)st->u * st->item);
}

/* Packs what was not constant when the plan was made. */
static const void *ready(const cn_step *s, const cn_pack *w, const float *weights, size_t at, int64_t column,
                         int gates) {
  const state *st = s->state;
  const float *from = s->in[RECURRENT]->data;
  if (st->item == sizeof(double)) return cn_pack_ready(w, from, room(s, at, 0));
  if (weights) return weights;
  cn_rnn_math()->pack(room(s, at, 0), from + column, st->g * st->u, gates, st->u);
  return room(s, at, 0);
}

/* The inputs of as many steps from m->place on as stay in the second-level cache until they are used. */
static void project(moment *m) {
  const cn_step *s = m->s;
  const state *st = s->state;
  int64_t gu = st->g * st->u, rows = m->end - m->first;
  m->steps = PROJECTED_BYTES / (rows * gu * (int64_t)st->item);
  if (m->steps < FEW_STEPS) m->steps = FEW_STEPS;
  if (m->steps > st->t - m->place - FEW_ROWS) m->steps = st->t - m->place; /* sums of very few have another order */
  m->from = ((const cn_rnn_attrs *)s->attrs)->go_backwards ? st->t - m->place - m->steps : m->place;
  cn_grid g = {.call = {.a = cn_nth(s->in[X]->data, (m->first * st->t + m->from) * st->in, st->item),
                        .lda = st->in,
                        .segments = 1,
                        .kc = st->in,
                        .b = m->kernel,
                        .c = room(s, st->projected, m->first * st->t * gu),
                        .ldc = gu,
                        .m = m->steps,
                        .n = gu,
                        .epilogue = {.bias = data_of(s, BIAS)}},
               .outer = {1, 1, rows},
               .a_step = {0, 0, st->t * st->in},
               .c_step = {0, 0, m->steps * gu},
               .groups = 1};
  cn_grid_fold(&g);
  cn_grid_run(st->kernel.kernels, &g);
}

/* All steps of some rows. */
static void run_rows(void *context, int64_t first, int64_t end) {
  moment m = *(const moment *)context;
  const state *st = m.s->state;
  m.first = first, m.end = end;
  for (; m.place < st->t && cn_sliced_next(); m.place++) {
    m.time = ((const cn_rnn_attrs *)m.s->attrs)->go_backwards ? st->t - 1 - m.place : m.place;
    if (m.time < m.from || m.time >= m.from + m.steps) project(&m);
    keep_states(&m);
    if (st->item == sizeof(double)) step_doubles(&m);
    else step_floats(&m);
    put_outputs(&m);
    m.now = !m.now;
  }
}

/* Threads that have rows enough never wait for each other; else they share the units of each step. */
static void run_all_rows(moment *m) {
  const state *st = m->s->state;
  int64_t threads = cn_threads(), most = cn_rnn_math()->rows, grain = st->b / threads < most ? st->b / threads : most,
          work = st->t * st->g * st->u * (st->in + st->u);
  if (threads == 1 || cn_sliced() || grain < FEW_ROWS || st->item == sizeof(double) || work * grain < ROWS_TASK)
    run_rows(m, 0, st->b);
  else
    cn_parallel_range(st->b, grain, run_rows, m);
}

static moment begin(const cn_step *s) {
  const state *st = s->state;
  const void *bias = data_of(s, BIAS);
  moment m = {.s = s, .kernel = cn_pack_ready(&st->kernel, s->in[KERNEL]->data, room(s, st->kernel_room, 0))};
  m.recurrent = ready(s, &st->recurrent, st->weights, st->recurrent_room, 0, (int)st->g - st->apart);
  if (st->apart) m.candidate = ready(s, &st->candidate, st->candidate_weights, st->candidate_room, 2 * st->u, 1);
  if (st->kind == CN_GRU && !st->apart && bias) m.bias = cn_nth(bias, st->g * st->u, st->item);
  return m;
}

static void run(const cn_step *s) {
  const state *st = s->state;
  const cn_rnn_attrs *a = s->attrs;
  if (st->b == 0 || st->u == 0) return;
  start_state(s, st->h[0], data_of(s, H0));
  if (st->kind == CN_LSTM) start_state(s, st->c[0], data_of(s, C0));
  if (data_of(s, MASK)) start_state(s, st->y, NULL);
  moment m = begin(s);
  run_all_rows(&m);
  const int last = (int)(st->t % 2);
  if (st->t == 0 && !a->sequences) end_state(s, st->h[last], 0);
  if (s->n_out > 1) end_state(s, st->h[last], 1);
  if (st->kind == CN_LSTM && s->n_out > 2) end_state(s, st->c[last], 2);
}

/* ---- Planning ---- */

static size_t reserve(cn_step *s, int64_t count) {
  size_t at = s->scratch_bytes;
  s->scratch_bytes += ((size_t)count * ((const state *)s->state)->item + 127) & ~(size_t)63; /* and a vector past it */
  return at;
}

/* Packs columns [column, column + n) of a matrix with k rows of `width`. */
static cn_status pack(struct cn_planner *p, cn_step *s, cn_pack *w, cn_pack_part *part, int input, int64_t k,
                      int64_t width, int64_t column, int64_t n, const char *kind_name, size_t *at, cn_error *e) {
  *part = (cn_pack_part){.from = column, .slices = 1, .kc = k};
  *w = (cn_pack){.kernels = cn_gemm_of(((const state *)s->state)->item), .row = width, .column = 1, .n = n, .parts = 1,
                 .part = part};
  w->bytes = cn_gemm_packed_bytes(w->kernels, k, n);
  s->scratch_bytes = (s->scratch_bytes + 63) & ~(size_t)63;
  *at = s->scratch_bytes;
  return cn_pack_plan(p, w, s->in[input], kind_name, &s->scratch_bytes, e);
}

/* The recurrent kernel's gates from a column on, for the steps in float32. */
static cn_status pack_gates(struct cn_planner *p, cn_step *s, int64_t column, int64_t gates, const float **out,
                            size_t *at, cn_error *e) {
  const state *st = s->state;
  const cn_rnn_kernels *k = cn_rnn_math();
  const cn_operand *source = s->in[RECURRENT];
  int64_t count = st->u * gates * ((st->u + k->lanes - 1) / k->lanes * k->lanes);
  if (!source->constant) {
    *at = reserve(s, count);
    return CORNU_OK;
  }
  char name[96];
  snprintf(name, sizeof name, "rnn: %d gates from %lld of %lld, %d lanes", (int)gates, (long long)column,
           (long long)(st->g * st->u), k->lanes);
  bool fresh = false;
  float *to = cn_plan_pack(p, source, name, (size_t)count * sizeof *to, &fresh);
  if (!to) return cn_no_memory(e);
  if (fresh) k->pack(to, (const float *)source->data + column, st->g * st->u, (int)gates, st->u);
  *out = to;
  return CORNU_OK;
}

static cn_status pack_weights(struct cn_planner *p, cn_step *s, state *st, cn_error *e) {
  int64_t u = st->u, gu = st->g * u, first = st->apart ? 2 : st->g;
  CN_TRY(pack(p, s, &st->kernel, &st->kernel_part, KERNEL, st->in, gu, 0, gu, "gemm", &st->kernel_room, e));
  if (st->item == sizeof(float)) {
    CN_TRY(pack_gates(p, s, 0, first, &st->weights, &st->recurrent_room, e));
    return st->apart ? pack_gates(p, s, 2 * u, 1, &st->candidate_weights, &st->candidate_room, e) : CORNU_OK;
  }
  CN_TRY(pack(p, s, &st->recurrent, &st->recurrent_part, RECURRENT, u, gu, 0, first * u, st->apart ? "gru zr" : "gemm",
              &st->recurrent_room, e));
  return st->apart ? pack(p, s, &st->candidate, &st->candidate_part, RECURRENT, u, gu, 2 * u, u, "gru h",
                          &st->candidate_room, e)
                   : CORNU_OK;
}

static cn_status plan(cn_recurrent k, struct cn_planner *p, cn_step *s, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  int64_t g = cn_recurrent_gates(k), u = s->in[RECURRENT]->shape[0], b = s->in[X]->shape[0], t = s->in[X]->shape[1],
          in = s->in[X]->shape[2], lanes = cn_rnn_math()->lanes;
  st->kind = k, st->b = b, st->t = t, st->in = in, st->u = u, st->g = g;
  st->item = cornu_dtype_bytes(s->in[X]->dtype);
  st->apart = k == CN_GRU && !((const cn_rnn_attrs *)s->attrs)->reset_after;
  st->kept = ((const cn_rnn_attrs *)s->attrs)->keeps ? u * cn_recurrent_kept(k, s->attrs) : 0;
  st->pitch = st->item == sizeof(double) ? u : (u + lanes - 1) / lanes * lanes;
  st->projected = reserve(s, b * t * g * u);
  st->gates = reserve(s, b * g * st->pitch);
  for (int i = 0; i < 2; i++) st->h[i] = reserve(s, b * st->pitch), st->c[i] = reserve(s, b * st->pitch);
  st->y = reserve(s, b * st->pitch);
  st->reset = reserve(s, b * st->pitch);
  CN_TRY(pack_weights(p, s, st, e));
  s->run = run;
  s->flops = 2.0 * (double)(b * t) * (double)(g * u) * (double)(in + u);
  return CORNU_OK;
}

#define HELP                                                                                                           \
  .help = CN_HELP("a recurrent layer over (batch, time, features)\n(x, kernel, recurrent, bias?, mask?, h0?, c0?) -> " \
                  "(sequence or last output, last states)")
#define DEFINE(id, kind_, most)                                                                                        \
  static cn_status shape_##id(cn_typing *t, cn_error *e) { return shape(kind_, t, e); }                                \
  static cn_status plan_##id(struct cn_planner *p, cn_step *s, cn_error *e) { return plan(kind_, p, s, e); }           \
  const cn_op cn_op_##id = {.name = #id,                                                                               \
                            HELP,                                                                                      \
                            .flags = CN_OP_HIDDEN,                                                                     \
                            .min_in = 3,                                                                               \
                            .max_in = most,                                                                            \
                            .n_out = -1,                                                                               \
                            .attrs_size = sizeof(cn_rnn_attrs),                                                        \
                            .shape = shape_##id,                                                                       \
                            .plan = plan_##id,                                                                         \
                            .gradient = CN_GRADIENT(cn_recurrent_gradient)};
DEFINE(simple_rnn, CN_SIMPLE, 6)
DEFINE(lstm, CN_LSTM, 7)
DEFINE(gru, CN_GRU, 6)
