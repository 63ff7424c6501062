/* Recurrent layers over a whole sequence. The inputs of all steps are projected by one product; each step then adds the
 * product of the state with the recurrent kernel, and computes its gates. Gates as Keras stores them. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "ops/product.h"

typedef enum kind { SIMPLE, LSTM, GRU } kind;
enum { X, KERNEL, RECURRENT, BIAS, MASK, H0, C0 };

static int gates_of(kind k) { return k == LSTM ? 4 : k == GRU ? 3 : 1; }
static bool has(const cn_typing *t, int i) { return t->n_in > i && !CN_TYPE_ABSENT(&t->in[i]); }

static cn_status want_shape(const cn_type *t, const char *what, int rank, const int64_t *shape, cn_error *e) {
  bool fits = t->rank == rank;
  for (int i = 0; fits && i < rank; i++) fits = cn_dims_agree(t->shape[i], shape[i]);
  return fits ? CORNU_OK
              : cn_fail(e, CORNU_ERR_SHAPE, "rnn: %s has shape %s, expected %s", what, CN_SHAPE(t->rank, t->shape),
                        CN_SHAPE(rank, shape));
}

static cn_status shape(kind k, cn_typing *t, cn_error *e) {
  const cn_rnn_attrs *a = t->attrs;
  const cn_type *x = &t->in[X];
  bool floats = x->dtype == CORNU_FLOAT32 || x->dtype == CORNU_FLOAT64;
  for (int i = 0; i < t->n_in; i++)
    if (i != MASK && has(t, i) && (t->in[i].dtype != x->dtype || !floats))
      return cn_fail(e, CORNU_ERR_DTYPE, "rnn: input %d is %s, needs float32 or float64 as all others: cast it first",
                     i + 1, cornu_dtype_name(t->in[i].dtype));
  CN_TRY(cn_want_rank(x, "rnn: input", 3, 3, e));
  CN_TRY(cn_want_rank(&t->in[RECURRENT], "rnn: recurrent kernel", 2, 2, e));
  int64_t u = t->in[RECURRENT].shape[0], g = gates_of(k), b = x->shape[0];
  CN_TRY(want_shape(&t->in[KERNEL], "the kernel", 2, (int64_t[]){x->shape[2], g * u}, e));
  CN_TRY(want_shape(&t->in[RECURRENT], "the recurrent kernel", 2, (int64_t[]){u, g * u}, e));
  bool two = k == GRU && a->reset_after;
  if (has(t, BIAS))
    CN_TRY(want_shape(&t->in[BIAS], "the bias", two ? 2 : 1, two ? (int64_t[]){2, g * u} : (int64_t[]){g * u}, e));
  if (has(t, MASK)) CN_TRY(want_shape(&t->in[MASK], "the mask", 2, (int64_t[]){b, x->shape[1]}, e));
  if (has(t, H0)) CN_TRY(want_shape(&t->in[H0], "the initial state", 2, (int64_t[]){b, u}, e));
  if (has(t, C0)) CN_TRY(want_shape(&t->in[C0], "the initial cell state", 2, (int64_t[]){b, u}, e));
  cn_type state = {.dtype = x->dtype, .rank = 2, .shape = {b, u}};
  t->out[0] = a->sequences ? (cn_type){.dtype = x->dtype, .rank = 3, .shape = {b, x->shape[1], u}} : state;
  for (int i = 1; i < t->n_out; i++) t->out[i] = state;
  return CORNU_OK;
}

typedef struct state {
  kind kind;
  size_t item;                                /* bytes of an element */
  int64_t b, t, in, u, g;
  cn_pack kernel, recurrent, candidate;       /* candidate: GRU's third gate, when it is apart */
  cn_pack_part kernel_part, recurrent_part, candidate_part;
  size_t projected, gates, h, c, reset, y, kernel_room, recurrent_room, candidate_room; /* offsets into scratch */
} state;

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

/* What the templates of rnn_cells.h make: a step by the kind of layer, and the first gates of a GRU. */
typedef struct cells {
  void (*step[3])(const cn_rnn_attrs *a, int64_t u, const void *input, void *product, void *hidden, void *cell);
  void (*gru_gates)(const cn_rnn_attrs *a, int64_t u, const void *input, void *product, const void *hidden,
                    void *reset);
} cells;

#define REAL float
#define CELL(name) name##_floats
#include "ops/rnn_cells.h"
#define REAL double
#define CELL(name) name##_doubles
#include "ops/rnn_cells.h"

static const cells *cells_of(size_t item) { return item == sizeof(double) ? &cells_doubles : &cells_floats; }

/* The states of row i stay where its mask is false. */
typedef struct step_job { const cn_step *s; int64_t time, place; } step_job;

static bool masked(const cn_step *s, int64_t row, int64_t time, int64_t times) {
  const uint8_t *mask = data_of(s, MASK);
  return mask && !mask[row * times + time];
}

static void put_output(const cn_step *s, int64_t row, int64_t place, const void *y) {
  const state *st = s->state;
  bool sequences = ((const cn_rnn_attrs *)s->attrs)->sequences;
  void *out = cn_nth(s->out[0]->data, (sequences ? row * st->t + place : row) * st->u, st->item);
  memcpy(out, y, (size_t)st->u * st->item);
}

static void finish_rows(void *context, int64_t begin, int64_t end) {
  const step_job *j = context;
  const cn_step *s = j->s;
  const state *st = s->state;
  const cn_rnn_attrs *a = s->attrs;
  int64_t u = st->u, gu = st->g * u;
  for (int64_t i = begin; i < end; i++) {
    const void *x = room(s, st->projected, (i * st->t + j->time) * gu);
    void *h = room(s, st->h, i * u), *y = room(s, st->y, i * u);
    if (masked(s, i, j->time, st->t)) {
      if (a->zero_masked) memset(y, 0, (size_t)u * st->item);
      put_output(s, i, j->place, y);
      continue;
    }
    cells_of(st->item)->step[st->kind](a, u, x, room(s, st->gates, i * gu), h, room(s, st->c, i * u));
    memcpy(y, h, (size_t)u * st->item);
    put_output(s, i, j->place, y);
  }
}

/* GRU with the reset gate before the product: gates first, then (r * h) times the third kernel. */
static void reset_rows(const cn_step *s, int64_t time, const void *candidate) {
  const state *st = s->state;
  const cn_rnn_attrs *a = s->attrs;
  int64_t u = st->u, gu = st->g * u;
  for (int64_t i = 0; i < st->b; i++) {
    cells_of(st->item)->gru_gates(a, u, room(s, st->projected, (i * st->t + time) * gu), room(s, st->gates, i * gu),
                                  room(s, st->h, i * u), a->reset_after ? NULL : room(s, st->reset, i * u));
  }
  if (!a->reset_after)
    product(&st->candidate, candidate, room(s, st->reset, 0), u, room(s, st->gates, 2 * u), gu, st->b, u, NULL);
}

static void start_states(const cn_step *s) {
  const state *st = s->state;
  size_t bytes = (size_t)(st->b * st->u) * st->item;
  const void *h0 = data_of(s, H0), *c0 = data_of(s, C0);
  if (h0) memcpy(room(s, st->h, 0), h0, bytes);
  else memset(room(s, st->h, 0), 0, bytes);
  if (c0) memcpy(room(s, st->c, 0), c0, bytes);
  else memset(room(s, st->c, 0), 0, bytes);
  memset(room(s, st->y, 0), 0, bytes);
}

static void run(const cn_step *s) {
  const state *st = s->state;
  const cn_rnn_attrs *a = s->attrs;
  int64_t u = st->u, gu = st->g * u;
  if (st->b == 0) return;
  const void *bias = data_of(s, BIAS);
  start_states(s);
  if (st->t > 0) {
    const void *kernel = cn_pack_ready(&st->kernel, s->in[KERNEL]->data, room(s, st->kernel_room, 0));
    product(&st->kernel, kernel, s->in[X]->data, st->in, room(s, st->projected, 0), gu, st->b * st->t, st->in, bias);
  }
  const void *recurrent = cn_pack_ready(&st->recurrent, s->in[RECURRENT]->data, room(s, st->recurrent_room, 0));
  const void *candidate = st->kind == GRU && !a->reset_after
                              ? cn_pack_ready(&st->candidate, s->in[RECURRENT]->data, room(s, st->candidate_room, 0))
                              : NULL;
  const void *recurrent_bias = st->kind == GRU && a->reset_after && bias ? cn_nth(bias, gu, st->item) : NULL;
  for (int64_t k = 0; k < st->t; k++) {
    step_job j = {s, a->go_backwards ? st->t - 1 - k : k, k};
    product(&st->recurrent, recurrent, room(s, st->h, 0), u, room(s, st->gates, 0), gu, st->b, u, recurrent_bias);
    if (st->kind == GRU) reset_rows(s, j.time, candidate);
    cn_parallel_range(st->b, 4096 / (gu + 1) + 1, finish_rows, &j);
  }
  size_t bytes = (size_t)(st->b * u) * st->item;
  if (st->t == 0 && !a->sequences) memcpy(s->out[0]->data, room(s, st->h, 0), bytes);
  if (s->n_out > 1) memcpy(s->out[1]->data, room(s, st->h, 0), bytes);
  if (s->n_out > 2) memcpy(s->out[2]->data, room(s, st->c, 0), bytes);
}

static size_t reserve(cn_step *s, int64_t count) {
  size_t at = s->scratch_bytes;
  s->scratch_bytes += ((size_t)count * ((const state *)s->state)->item + 127) & ~(size_t)63;
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

static cn_status plan(kind k, struct cn_planner *p, cn_step *s, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  const cn_rnn_attrs *a = s->attrs;
  int64_t g = gates_of(k), u = s->in[RECURRENT]->shape[0], b = s->in[X]->shape[0], t = s->in[X]->shape[1],
          in = s->in[X]->shape[2];
  st->kind = k, st->b = b, st->t = t, st->in = in, st->u = u, st->g = g;
  st->item = cornu_dtype_bytes(s->in[X]->dtype);
  st->projected = reserve(s, b * t * g * u);
  st->gates = reserve(s, b * g * u);
  st->h = reserve(s, b * u);
  st->c = reserve(s, b * u);
  st->y = reserve(s, b * u);
  st->reset = reserve(s, b * u);
  bool apart = k == GRU && !a->reset_after;
  CN_TRY(pack(p, s, &st->kernel, &st->kernel_part, KERNEL, in, g * u, 0, g * u, "gemm", &st->kernel_room, e));
  CN_TRY(pack(p, s, &st->recurrent, &st->recurrent_part, RECURRENT, u, g * u, 0, apart ? 2 * u : g * u,
              apart ? "gru zr" : "gemm", &st->recurrent_room, e));
  if (apart)
    CN_TRY(pack(p, s, &st->candidate, &st->candidate_part, RECURRENT, u, g * u, 2 * u, u, "gru h", &st->candidate_room,
                e));
  s->run = run;
  s->flops = 2.0 * (double)(b * t) * (double)(g * u) * (double)(in + u);
  return CORNU_OK;
}

static const char help[] = "a recurrent layer over (batch, time, features)\n(x, kernel, recurrent, bias?, mask?, h0?, "
                           "c0?) -> (sequence or last output, last states)";
#define DEFINE(id, kind_, outs)                                                                                        \
  static cn_status shape_##id(cn_typing *t, cn_error *e) { return shape(kind_, t, e); }                                \
  static cn_status plan_##id(struct cn_planner *p, cn_step *s, cn_error *e) { return plan(kind_, p, s, e); }           \
  const cn_op cn_op_##id = {.name = #id,                                                                               \
                            .help = help,                                                                              \
                            .flags = CN_OP_HIDDEN,                                                                     \
                            .min_in = 3,                                                                               \
                            .max_in = outs == 3 ? 7 : 6,                                                               \
                            .n_out = outs,                                                                             \
                            .attrs_size = sizeof(cn_rnn_attrs),                                                        \
                            .shape = shape_##id,                                                                       \
                            .plan = plan_##id};
DEFINE(simple_rnn, SIMPLE, 2)
DEFINE(lstm, LSTM, 3)
DEFINE(gru, GRU, 2)
