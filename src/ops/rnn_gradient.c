/* Recurrent layers backwards through time. Some steps at a time: each step turns what comes back to the states after it
 * into what comes back to its gates, whose product with the recurrent kernel comes back to the states before it; then
 * the kernels' gradients grow by one product over all those steps, and those of their inputs follow by another. */
#include <stdio.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/gradient.h"
#include "ops/product.h"
#include "ops/recurrent.h"

enum { X, KERNEL, RECURRENT, MASK, KEPT, DY, DH, DC };
enum {
  CHUNK_ROWS = 512,   /* of steps that are worked on at a time: their gates should stay in the second-level cache */
  FEW_ROWS = 4,       /* the sums of fewer are made in another order: see gemm.c */
  MOST_ROWS = 16,     /* of a thread: more reuse nothing more */
  COLUMNS = 64,       /* that are summed together */
  ROWS_TASK = 100000  /* multiply-adds of whole rows that are worth another thread */
};

static cn_status shape(cn_recurrent k, cn_typing *t, cn_error *e) {
  const cn_rnn_gradient_attrs *a = t->attrs;
  const cn_type *x = &t->in[X];
  (void)e;
  const cn_type state = {.dtype = x->dtype, .rank = 2, .shape = {x->shape[0], t->in[RECURRENT].shape[0]}};
  const int64_t gu = t->in[RECURRENT].shape[1];
  cn_type bias = {.dtype = x->dtype, .rank = 1, .shape = {gu}};
  if (k == CN_GRU && a->rnn.reset_after) bias = (cn_type){.dtype = x->dtype, .rank = 2, .shape = {2, gu}};
  const cn_type of[CN_RNN_GRADIENTS] = {*x, t->in[KERNEL], t->in[RECURRENT], bias, state, state};
  t->n_out = 0;
  for (int i = 0; i < CN_RNN_GRADIENTS; i++)
    if (a->wanted[i]) t->out[t->n_out++] = of[i];
  return CORNU_OK;
}

typedef struct state {
  cn_recurrent kind;
  const cn_gemm_kernels *gemm;
  size_t item;
  int64_t b, t, in, u, gu, kept;
  bool two, apart;       /* GRU: two products side by side with two biases, or the candidate's apart */
  int64_t steps;         /* most of a chunk */
  int64_t turned_pitch;
  cn_pack recurrent, candidate, kernel; /* turned: gates by units, gates by inputs */
  cn_pack_part recurrent_part, candidate_part, kernel_part;
  /* offsets in the scratch: what comes back to the states, to outputs that masked steps repeat, to the projected
   * inputs, to the products with the state, to reset * h; factors of the products of a chunk; sums for the bias */
  size_t dh, dc, repeated, dx, dz, reset, turned, packed, sums, more_sums, recurrent_room, candidate_room, kernel_room;
} state;

/* Steps at places [first, first + steps), which are the times from `from` on. */
typedef struct chunk {
  const cn_step *s;
  const void *recurrent, *candidate, *kernel; /* packed */
  int64_t first, from, steps;
} chunk;

static const cn_rnn_gradient_attrs *attrs_of(const cn_step *s) { return s->attrs; }
static const void *data_of(const cn_step *s, int i) { return s->n_in > i && s->in[i] ? s->in[i]->data : NULL; }
static void *room(const cn_step *s, size_t at, int64_t i) {
  return cn_nth((char *)s->scratch + at, i, ((const state *)s->state)->item);
}
static void *output(const cn_step *s, int which) {
  const bool *wanted = attrs_of(s)->wanted;
  int at = 0;
  for (int i = 0; i < which; i++) at += wanted[i];
  return wanted[which] ? s->out[at]->data : NULL;
}
static int64_t time_of(const cn_step *s, int64_t place) {
  return attrs_of(s)->rnn.go_backwards ? ((const state *)s->state)->t - 1 - place : place;
}

/* ---- Steps ---- */

static void add(size_t item, void *to, const void *from, int64_t n) {
  if (item == sizeof(double))
    for (int64_t i = 0; i < n; i++) ((double *)to)[i] += ((const double *)from)[i];
  else
    for (int64_t i = 0; i < n; i++) ((float *)to)[i] += ((const float *)from)[i];
}

/* The result and the slope of an act, told by what was kept of it. */
typedef struct bent { double y, slope; } bent;
static bent look(const cn_act *act, double v) {
  return (bent){cn_act_by_result(act) ? v : cn_act_double(act, v), cn_slope_double(act, v)};
}

/* As the kernels for floats, for one unit: see cn_rnn_back_row. */
static void double_unit(cn_rnn_kind kind, const cn_rnn_attrs *a, int64_t u, const double *kept, double h, double c,
                        double *dh, double *dc, double *dx, double *dz, double *reset) {
  const bent first = look(kind == CN_RNN_SIMPLE ? &a->act : &a->recurrent_act, kept[0]);
  if (kind == CN_RNN_SIMPLE) {
    dx[0] = *dh * first.slope;
    *dh = 0;
    return;
  }
  const bent second = look(&a->recurrent_act, kept[u]), third = look(&a->act, kept[2 * u]);
  if (kind == CN_RNN_LSTM) {
    const bent out = look(&a->recurrent_act, kept[3 * u]);
    const double next = second.y * c + first.y * third.y, y = cn_act_double(&a->act, next);
    *dc += *dh * out.y * cn_slope_double(&a->act, cn_act_by_result(&a->act) ? y : next);
    dx[0] = *dc * third.y * first.slope;
    dx[u] = *dc * c * second.slope;
    dx[2 * u] = *dc * first.y * third.slope;
    dx[3 * u] = *dh * y * out.slope;
    *dc *= second.y;
    *dh = 0;
  } else if (kind == CN_RNN_GRU_GATES) {
    dx[u] = *reset * h * second.slope;
    *dh += *reset * second.y;
    *reset = second.y * h;
  } else {
    dx[0] = *dh * (h - third.y) * first.slope;
    dx[2 * u] = *dh * (1 - first.y) * third.slope;
    *dh *= first.y;
    if (kind == CN_RNN_GRU_MIX) return;
    dx[u] = dx[2 * u] * kept[3 * u] * second.slope;
    dz[0] = dx[0], dz[u] = dx[u], dz[2 * u] = dx[2 * u] * second.y;
  }
}

static void back_doubles(const cn_rnn_attrs *a, const cn_rnn_back_row *r, const void *kept, const void *dy) {
  double *dh = (double *)(void *)r->dh, *dc = (double *)(void *)r->dc, *dx = (double *)(void *)r->dx,
         *dz = (double *)(void *)r->dz, *reset = (double *)(void *)r->reset;
  const double *h = (const double *)(const void *)r->h, *c = (const double *)(const void *)r->c, *k = kept, *y = dy;
  for (int64_t i = 0; i < r->units; i++) {
    if (y) dh[i] += y[i];
    double_unit(r->kind, a, r->units, k + i, h[i], c[i], dh + i, dc + i, dx + i, dz + i, reset + i);
  }
}

/* What comes back to the output of a step, if it is one. */
static const void *dy_of(const cn_step *s, int64_t i, int64_t place) {
  const state *st = s->state;
  const void *dy = data_of(s, DY);
  if (attrs_of(s)->rnn.sequences) return dy ? cn_nth(dy, (i * st->t + place) * st->u, st->item) : NULL;
  return dy && place == st->t - 1 ? cn_nth(dy, i * st->u, st->item) : NULL;
}

/* One row of a step: place among those of the chunk's buffers, what is kept. */
static void back_row(const chunk *c, cn_rnn_kind kind, int64_t i, int64_t at, const void *kept, const void *dy) {
  const cn_step *s = c->s;
  const state *st = s->state;
  const cn_rnn_attrs *a = &attrs_of(s)->rnn;
  const int64_t row = at * st->b + i;
  const cn_rnn_back_row r = {.kind = kind, .act = &a->act, .recurrent_act = &a->recurrent_act, .units = st->u,
                             .kept = kept, .h = cn_nth(kept, st->kept - st->u, st->item),
                             .c = cn_nth(kept, st->kept - 2 * st->u, st->item), .dy = dy,
                             .dh = room(s, st->dh, i * st->u), .dc = room(s, st->dc, i * st->u),
                             .dx = room(s, st->dx, row * st->gu), .dz = room(s, st->dz, row * st->gu),
                             .reset = room(s, st->reset, row * st->u)};
  if (st->item == sizeof(double)) back_doubles(a, &r, kept, dy);
  else cn_rnn_back()->row(&r);
}

/* A masked step: its output was the one before, or zeros, and the states stayed. */
static void skip_row(const chunk *c, int64_t i, int64_t at) {
  const cn_step *s = c->s;
  const state *st = s->state;
  const int64_t row = at * st->b + i;
  memset(room(s, st->dx, row * st->gu), 0, (size_t)st->gu * st->item);
  memset(room(s, st->dz, row * st->gu), 0, (size_t)st->gu * st->item);
  memset(room(s, st->reset, row * st->u), 0, (size_t)st->u * st->item);
  if (attrs_of(s)->rnn.zero_masked) memset(room(s, st->repeated, i * st->u), 0, (size_t)st->u * st->item);
}

/* The rows of a step, or of its second half. */
static void back_rows(const chunk *c, cn_rnn_kind kind, int64_t place, int64_t begin, int64_t end) {
  const cn_step *s = c->s;
  const state *st = s->state;
  const uint8_t *mask = data_of(s, MASK);
  const int64_t time = time_of(s, place);
  const bool outputs = kind != CN_RNN_GRU_GATES;
  for (int64_t i = begin; i < end; i++) {
    const void *kept = cn_nth(s->in[KEPT]->data, (time * st->b + i) * st->kept, st->item);
    const void *dy = outputs ? dy_of(s, i, place) : NULL;
    void *repeated = room(s, st->repeated, i * st->u);
    if (mask && outputs && dy) add(st->item, repeated, dy, st->u);
    if (mask && !mask[i * st->t + time]) {
      if (outputs) skip_row(c, i, time - c->from);
      continue;
    }
    back_row(c, kind, i, time - c->from, kept, mask && outputs ? repeated : dy);
    if (mask && outputs) memset(repeated, 0, (size_t)st->u * st->item);
  }
}

/* to (rows of u) = what comes back to the gates (k of each row) times packed, and what is there already if `more`. */
static void multiply_back(const cn_step *s, const void *gates, int64_t k, const void *packed, void *to, int64_t rows,
                          bool more) {
  const state *st = s->state;
  cn_grid g = {.call = {.a = gates, .lda = st->gu, .segments = 1, .kc = k, .b = packed, .c = to, .ldc = st->u,
                        .m = rows, .n = st->u, .epilogue = {.add = more ? to : NULL, .add_pitch = st->u}},
               .outer = {1, 1, 1}, .groups = 1};
  cn_grid_run(st->gemm, &g);
}

static void back_steps(void *context, int64_t begin, int64_t end) {
  static const cn_rnn_kind kinds[] = {[CN_SIMPLE] = CN_RNN_SIMPLE, [CN_LSTM] = CN_RNN_LSTM, [CN_GRU] = CN_RNN_GRU};
  const chunk *c = context;
  const cn_step *s = c->s;
  const state *st = s->state;
  void *dh = room(s, st->dh, begin * st->u);
  for (int64_t place = c->first + c->steps - 1; place >= c->first; place--) {
    const int64_t row = (time_of(s, place) - c->from) * st->b + begin;
    const void *dz = room(s, st->dz, row * st->gu);
    back_rows(c, st->apart ? CN_RNN_GRU_MIX : kinds[st->kind], place, begin, end);
    if (st->apart) {
      multiply_back(s, cn_nth(dz, 2 * st->u, st->item), st->u, c->candidate, room(s, st->reset, row * st->u),
                    end - begin, false);
      back_rows(c, CN_RNN_GRU_GATES, place, begin, end);
    }
    multiply_back(s, dz, st->apart ? 2 * st->u : st->gu, c->recurrent, dh, end - begin, true);
  }
}

/* ---- What follows from the gates of a chunk ---- */

/* Columns of the steps of a chunk: element j of row i at data[time * step + i * row + j]. */
typedef struct source { const chunk *c; const void *data; int64_t step, row, columns; } source;

static void turn_steps(void *context, int64_t begin, int64_t end) {
  const source *f = context;
  const state *st = f->c->s->state;
  const bool one = st->b == 1; /* then the steps are the rows */
  for (int64_t i = begin; i < (one ? begin + 1 : end); i++)
    cn_transpose_items(st->item, room(f->c->s, st->turned, i * st->b), st->turned_pitch,
                       cn_nth(f->data, i * f->step, st->item), one ? f->step : f->row, one ? end - begin : st->b,
                       f->columns);
}

static void pack_panels(void *context, int64_t begin, int64_t end) {
  const source *f = context;
  const state *st = f->c->s->state;
  const int64_t rows = f->c->steps * st->b;
  st->gemm->pack(room(f->c->s, st->packed, 0), f->data, f->row, 1, rows, 0, rows, f->columns, begin, end, NULL);
}

/* Columns of what came back to gates, as a factor of the products with `turned`. */
static void pack(const chunk *c, size_t from, int64_t column, int64_t columns) {
  const state *st = c->s->state;
  source f = {c, room(c->s, from, column), 0, st->gu, columns};
  cn_parallel_range(cn_gemm_panels(st->gemm, columns), 65536 / (c->steps * st->b + 1) + 1, pack_panels, &f);
}

/* to += (steps' rows of `a`)ᵀ times what is packed. */
static void accumulate(source a, void *to, int64_t columns) {
  const chunk *c = a.c;
  const state *st = c->s->state;
  cn_parallel_range(c->steps, 16384 / (st->b * a.columns + 1) + 1, turn_steps, &a);
  const bool last = c->first + c->steps == st->t; /* the first one that is worked on */
  cn_grid g = {.call = {.a = room(c->s, st->turned, 0), .lda = st->turned_pitch, .segments = 1, .kc = c->steps * st->b,
                        .b = room(c->s, st->packed, 0), .c = to, .ldc = st->gu, .m = a.columns, .n = columns,
                        .epilogue = {.add = last ? NULL : to, .add_pitch = st->gu}},
               .outer = {1, 1, 1}, .groups = 1};
  cn_grid_run(st->gemm, &g);
}

static void kernel_gradients(const chunk *c) {
  const cn_step *s = c->s;
  const state *st = s->state;
  void *dkernel = output(s, CN_RNN_DKERNEL), *drecurrent = output(s, CN_RNN_DRECURRENT);
  const source x = {c, cn_nth(s->in[X]->data, c->from * st->in, st->item), st->in, st->t * st->in, st->in};
  const source h = {c, cn_nth(s->in[KEPT]->data, (c->from * st->b + 1) * st->kept - st->u, st->item), st->b * st->kept,
                    st->kept, st->u};
  if (dkernel || (drecurrent && !st->two && !st->apart)) pack(c, st->dx, 0, st->gu);
  if (dkernel) accumulate(x, dkernel, st->gu);
  if (!drecurrent) return;
  if (st->two) pack(c, st->dz, 0, st->gu);
  if (st->apart) pack(c, st->dx, 0, 2 * st->u);
  accumulate(h, drecurrent, st->apart ? 2 * st->u : st->gu);
  if (!st->apart) return;
  pack(c, st->dx, 2 * st->u, st->u);
  accumulate((source){c, room(s, st->reset, 0), st->b * st->u, st->u, st->u}, cn_nth(drecurrent, 2 * st->u, st->item),
             st->u);
}

static void input_gradient(const chunk *c) {
  const cn_step *s = c->s;
  const state *st = s->state;
  void *to = output(s, CN_RNN_DX);
  if (!to) return;
  const bool by_steps = st->b >= c->steps; /* which of steps and rows are those of a product */
  cn_grid g = {.call = {.a = room(s, st->dx, 0), .lda = by_steps ? st->gu : st->b * st->gu, .segments = 1, .kc = st->gu,
                        .b = c->kernel, .c = cn_nth(to, c->from * st->in, st->item),
                        .ldc = by_steps ? st->t * st->in : st->in, .m = by_steps ? st->b : c->steps, .n = st->in},
               .outer = {1, 1, by_steps ? c->steps : st->b},
               .a_step = {0, 0, by_steps ? st->b * st->gu : st->gu},
               .c_step = {0, 0, by_steps ? st->in : st->t * st->in},
               .groups = 1};
  cn_grid_run(st->gemm, &g);
}

typedef struct sum_job { const chunk *c; size_t from; double *sums; } sum_job;

/* Columns are summed in blocks: how they are cut decides about bits. */
static void sum_blocks(void *context, int64_t begin, int64_t end) {
  const sum_job *j = context;
  const cn_step *s = j->c->s;
  const state *st = s->state;
  const int64_t rows = j->c->steps * st->b;
  double *more = (double *)(void *)((char *)s->scratch + st->more_sums);
  const void *x = room(s, j->from, 0);
  for (int64_t first = begin * COLUMNS; first < end * COLUMNS && first < st->gu; first += COLUMNS) {
    const int64_t last = first + COLUMNS < st->gu ? first + COLUMNS : st->gu;
    if (st->item == sizeof(float))
      cn_reduce()->sum_columns((const float *)x + first, st->gu, rows, last - first, NULL, more + first);
    for (int64_t r = 0; st->item == sizeof(double) && r < rows; r++)
      for (int64_t i = first; i < last; i++) more[i] = (r ? more[i] : 0) + ((const double *)x)[r * st->gu + i];
    for (int64_t i = first; i < last; i++) j->sums[i] += more[i];
  }
}

static void bias_gradient(const chunk *c) {
  const state *st = c->s->state;
  double *sums = (double *)(void *)((char *)c->s->scratch + st->sums);
  if (!output(c->s, CN_RNN_DBIAS)) return;
  const int64_t blocks = (st->gu + COLUMNS - 1) / COLUMNS, grain = 65536 / (c->steps * st->b * COLUMNS + 1) + 1;
  cn_parallel_range(blocks, grain, sum_blocks, &(sum_job){c, st->dx, sums});
  if (st->two) cn_parallel_range(blocks, grain, sum_blocks, &(sum_job){c, st->dz, sums + st->gu});
}

/* ---- The sequence ---- */

static void begin_states(const cn_step *s, size_t to, const void *from) {
  const state *st = s->state;
  const size_t bytes = (size_t)(st->b * st->u) * st->item;
  if (from) memcpy(room(s, to, 0), from, bytes);
  else memset(room(s, to, 0), 0, bytes);
}

static void put_states(const cn_step *s, size_t from, int which) {
  const state *st = s->state;
  if (output(s, which)) memcpy(output(s, which), room(s, from, 0), (size_t)(st->b * st->u) * st->item);
}

static void put_bias(const cn_step *s) {
  const state *st = s->state;
  const double *sums = (const double *)(const void *)((char *)s->scratch + st->sums);
  void *to = output(s, CN_RNN_DBIAS);
  for (int64_t i = 0; to && i < (1 + st->two) * st->gu; i++) {
    if (st->item == sizeof(double)) ((double *)to)[i] = sums[i];
    else ((float *)to)[i] = (float)sums[i];
  }
}

/* All steps of a chunk. Threads that have rows enough never wait for each other; else they share each product. */
static void run_chunk(const chunk *c) {
  const state *st = c->s->state;
  const int64_t threads = cn_threads(), grain = st->b / threads < MOST_ROWS ? st->b / threads : MOST_ROWS;
  if (threads == 1 || grain < FEW_ROWS || c->steps * st->gu * st->u * grain < ROWS_TASK)
    back_steps((void *)c, 0, st->b);
  else cn_parallel_range(st->b, grain, back_steps, (void *)c);
  kernel_gradients(c);
  input_gradient(c);
  bias_gradient(c);
}

static void run(const cn_step *s) {
  const state *st = s->state;
  for (int i = 0; i < s->n_out && (st->b == 0 || st->t == 0 || st->u == 0); i++)
    memset(s->out[i]->data, 0, (size_t)s->out[i]->size * st->item);
  if (st->b == 0 || st->u == 0) return;
  begin_states(s, st->dh, data_of(s, DH));
  begin_states(s, st->dc, data_of(s, DC));
  begin_states(s, st->repeated, NULL);
  memset((char *)s->scratch + st->sums, 0, (size_t)(2 * st->gu) * sizeof(double));
  chunk c = {.s = s};
  c.recurrent = cn_pack_ready(&st->recurrent, s->in[RECURRENT]->data, (char *)s->scratch + st->recurrent_room);
  if (st->apart)
    c.candidate = cn_pack_ready(&st->candidate, s->in[RECURRENT]->data, (char *)s->scratch + st->candidate_room);
  if (output(s, CN_RNN_DX))
    c.kernel = cn_pack_ready(&st->kernel, s->in[KERNEL]->data, (char *)s->scratch + st->kernel_room);
  for (int64_t end = st->t; end > 0; end = c.first) {
    c.first = end > st->steps ? end - st->steps : 0;
    c.steps = end - c.first;
    c.from = attrs_of(s)->rnn.go_backwards ? st->t - end : c.first;
    run_chunk(&c);
  }
  put_bias(s);
  put_states(s, st->dh, CN_RNN_DH);
  put_states(s, st->dc, CN_RNN_DC);
}

/* ---- Planning ---- */

static size_t reserve(cn_step *s, int64_t count, size_t item) {
  const size_t at = (s->scratch_bytes + 63) & ~(size_t)63;
  s->scratch_bytes = at + (size_t)count * item;
  return at;
}

/* Columns [column, column + k) of a kernel of `width` columns and n rows, turned. */
static cn_status pack_turned(struct cn_planner *p, cn_step *s, cn_pack *w, cn_pack_part *part, int input, int64_t width,
                             int64_t column, int64_t k, int64_t n, size_t *at, cn_error *e) {
  *part = (cn_pack_part){.from = column, .slices = 1, .kc = k};
  *w = (cn_pack){.kernels = ((const state *)s->state)->gemm, .row = 1, .column = width, .n = n, .parts = 1,
                 .part = part};
  w->bytes = cn_gemm_packed_bytes(w->kernels, k, n);
  *at = reserve(s, 0, 1);
  char kind[64];
  snprintf(kind, sizeof kind, "turned from %lld", (long long)column);
  return cn_pack_plan(p, w, s->in[input], kind, &s->scratch_bytes, e);
}

static void reserve_buffers(cn_step *s, state *st) {
  const int64_t rows = st->steps * st->b;
  st->dh = reserve(s, st->b * st->u, st->item);
  st->dc = reserve(s, st->b * st->u, st->item);
  st->repeated = reserve(s, st->b * st->u, st->item);
  st->dx = reserve(s, rows * st->gu, st->item);
  st->dz = st->two ? reserve(s, rows * st->gu, st->item) : st->dx;
  st->reset = reserve(s, rows * st->u, st->item);
  st->turned_pitch = rows + 16; /* lines of a cache that do not displace each other */
  st->turned = reserve(s, st->turned_pitch * (st->in > st->u ? st->in : st->u), st->item);
  st->packed = reserve(s, (int64_t)cn_gemm_packed_bytes(st->gemm, rows, st->gu), 1);
  st->sums = reserve(s, 2 * st->gu, sizeof(double));
  st->more_sums = reserve(s, st->gu, sizeof(double));
}

static cn_status plan(cn_recurrent k, struct cn_planner *p, cn_step *s, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  const cn_rnn_gradient_attrs *a = s->attrs;
  const cn_operand *x = s->in[X];
  st->kind = k, st->b = x->shape[0], st->t = x->shape[1], st->in = x->shape[2];
  st->u = s->in[RECURRENT]->shape[0], st->gu = s->in[RECURRENT]->shape[1];
  st->item = cornu_dtype_bytes(x->dtype);
  st->gemm = cn_gemm_of(st->item);
  st->kept = st->u * cn_recurrent_kept(k, &a->rnn);
  st->two = k == CN_GRU && a->rnn.reset_after;
  st->apart = k == CN_GRU && !a->rnn.reset_after;
  st->steps = st->b < CHUNK_ROWS ? CHUNK_ROWS / (st->b + !st->b) : 1;
  if (st->steps > st->t) st->steps = st->t;
  reserve_buffers(s, st);
  CN_TRY(pack_turned(p, s, &st->recurrent, &st->recurrent_part, RECURRENT, st->gu, 0, st->apart ? 2 * st->u : st->gu,
                     st->u, &st->recurrent_room, e));
  if (st->apart)
    CN_TRY(pack_turned(p, s, &st->candidate, &st->candidate_part, RECURRENT, st->gu, 2 * st->u, st->u, st->u,
                       &st->candidate_room, e));
  if (a->wanted[CN_RNN_DX])
    CN_TRY(pack_turned(p, s, &st->kernel, &st->kernel_part, KERNEL, st->gu, 0, st->gu, st->in, &st->kernel_room, e));
  s->run = run;
  s->flops = 4.0 * (double)(st->b * st->t) * (double)st->gu * (double)(st->in + st->u);
  return CORNU_OK;
}

/* ---- The gradient of the recurrent ops ---- */

void cn_recurrent_gradient(cn_gradient *g) {
  const cn_rnn_attrs *a = g->attrs;
  const cn_op *op = g->op == &cn_op_lstm ? &cn_op_lstm_gradient : g->op == &cn_op_gru ? &cn_op_gru_gradient
                                                                                     : &cn_op_simple_rnn_gradient;
  static const int inputs[CN_RNN_GRADIENTS] = {0, 1, 2, 3, 5, 6}; /* of the op */
  if (!a->keeps) {
    cn_gradient_refuse(g, "where nothing was kept for it");
    return;
  }
  cn_rnn_gradient_attrs attrs = {.rnn = *a};
  for (int i = 0; i < CN_RNN_GRADIENTS; i++) attrs.wanted[i] = inputs[i] < g->n_in && g->wanted[inputs[i]];
  const cn_edge in[] = {g->in[0], g->in[1], g->in[2], g->n_in > 4 ? g->in[4] : CN_NO_EDGE, g->out[g->n_out - 1],
                        g->dy[0], g->dy[1], g->n_out > 3 ? g->dy[2] : CN_NO_EDGE};
  cn_edge first;
  if (!cn_gradient_emit_many(g, op, &attrs, in, 8, &first)) return;
  for (int i = 0; i < CN_RNN_GRADIENTS; i++)
    if (attrs.wanted[i]) g->dx[inputs[i]] = first++;
}

#define DEFINE(id, kind)                                                                                               \
  static cn_status shape_##id(cn_typing *t, cn_error *e) { return shape(kind, t, e); }                                 \
  static cn_status plan_##id(struct cn_planner *p, cn_step *s, cn_error *e) { return plan(kind, p, s, e); }            \
  const cn_op cn_op_##id##_gradient = {                                                                                \
      .name = #id "_gradient",                                                                                         \
      .help = CN_HELP("(x, kernel, recurrent, mask?, kept, dy?, dh?, dc?) -> what comes back to x, kernel, "           \
                      "recurrent, bias, "                                                                              \
                      "h0, c0"),                                                                                       \
      .flags = CN_OP_HIDDEN,                                                                                           \
      .min_in = 3,                                                                                                     \
      .max_in = 8,                                                                                                     \
      .n_out = -1,                                                                                                     \
      .attrs_size = sizeof(cn_rnn_gradient_attrs),                                                                     \
      .shape = shape_##id,                                                                                             \
      .plan = plan_##id};
DEFINE(simple_rnn, CN_SIMPLE)
DEFINE(lstm, CN_LSTM)
DEFINE(gru, CN_GRU)
