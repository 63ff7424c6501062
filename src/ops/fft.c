/* Fourier transforms along the last axis, in double precision: halving (Cooley and Tukey, 1965) for powers of two, and
 * for other lengths a convolution with a chirp (Bluestein, 1970), which transforms of a power of two compute. */
#include <math.h>
#include <string.h>

#include "base/deadline.h"
#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

#define LONGEST (1 << 24)
enum { MOST_TASKS = 16 };

/* Complex numbers as arrays of their parts. */
typedef struct parts { double *re, *im; } parts;
/* m: n where that is a power of two, else a power of two for the convolution. */
typedef struct state { int64_t n, m, lines; int tasks; parts root, chirp, filter; } state;

static void swap(double *a, double *b) {
  double t = *a;
  *a = *b;
  *b = t;
}

static void reverse_bits(parts x, int64_t m) {
  for (int64_t i = 1, j = 0; i < m && !cn_late_at(i); i++) {
    int64_t bit = m >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) swap(&x.re[i], &x.re[j]), swap(&x.im[i], &x.im[j]);
  }
}

/* Pairs of transforms of this length become one; false: the time is over. */
static bool join(const state *st, parts x, int64_t half) {
  for (int64_t begin = 0; begin < st->m; begin += 2 * half)
    for (int64_t k = 0, step = st->m / (2 * half); k < half; k++) {
      int64_t a = begin + k, b = a + half;
      double c = st->root.re[k * step], d = st->root.im[k * step];
      double re = x.re[b] * c - x.im[b] * d, im = x.re[b] * d + x.im[b] * c;
      if (cn_late_at(a)) return false;
      x.re[b] = x.re[a] - re, x.im[b] = x.im[a] - im;
      x.re[a] += re, x.im[a] += im;
    }
  return true;
}

/* sum over k of x[k] exp(-2 pi i j k / m), m a power of two, in place. */
static void halving(const state *st, parts x) {
  reverse_bits(x, st->m);
  for (int64_t half = 1; half < st->m && join(st, x, half);) half *= 2;
}

static void multiply(parts x, parts by, int64_t n, double scale) {
  for (int64_t k = 0; k < n; k++) {
    double re = x.re[k] * by.re[k] - x.im[k] * by.im[k], im = x.re[k] * by.im[k] + x.im[k] * by.re[k];
    x.re[k] = re * scale, x.im[k] = im * scale;
  }
}

/* n values in place; x has room for m. The inverse is the transform with the parts exchanged. */
static void transform(const state *st, parts x) {
  if (st->n == st->m) {
    halving(st, x);
    return;
  }
  multiply(x, st->chirp, st->n, 1);
  memset(x.re + st->n, 0, (size_t)(st->m - st->n) * sizeof *x.re);
  memset(x.im + st->n, 0, (size_t)(st->m - st->n) * sizeof *x.im);
  halving(st, x);
  multiply(x, st->filter, st->m, 1);
  halving(st, (parts){x.im, x.re});
  multiply(x, st->chirp, st->n, 1 / (double)st->m);
}

/* ---- Plans ---- */

static bool make_parts(struct cn_planner *p, parts *x, int64_t n) {
  x->re = cn_plan_memory(p, (size_t)n * 2 * sizeof *x->re);
  if (!x->re) return false;
  x->im = x->re + n;
  return true;
}

static void make_roots(parts x, int64_t count, int64_t m) {
  const double turn = 6.28318530717958647692 / (double)m;
  for (int64_t k = 0; k < count && !cn_late_at(k); k++) x.re[k] = cos(turn * (double)k), x.im[k] = -sin(turn * (double)k);
}

/* exp(-pi i k k / n), whose angle repeats when k k grows by 2 n; the filter is the transform of its conjugate. */
static void make_chirp(const state *st) {
  const double half_turn = 3.14159265358979323846 / (double)st->n;
  for (int64_t k = 0; k < st->n && !cn_late_at(k); k++) {
    double angle = half_turn * (double)(k * k % (2 * st->n));
    st->chirp.re[k] = cos(angle), st->chirp.im[k] = -sin(angle);
    for (int side = 0; side < (k ? 2 : 1); side++) {
      int64_t at = side ? st->m - k : k;
      st->filter.re[at] = cos(angle), st->filter.im[at] = sin(angle);
    }
  }
  halving(st, st->filter);
}

static cn_status make_state(struct cn_planner *p, cn_step *s, int64_t n, void (*run)(const cn_step *), cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  *st = (state){.n = n, .m = 1, .lines = s->out[0]->size / s->out[0]->shape[s->out[0]->rank - 1]};
  while (st->m < n) st->m *= 2;
  if (st->m > n)
    while (st->m < 2 * n - 1) st->m *= 2;
  if (!make_parts(p, &st->root, st->m / 2 + 1)) return cn_no_memory(e);
  make_roots(st->root, st->m / 2, st->m);
  if (st->m > n) {
    if (!make_parts(p, &st->chirp, n) || !make_parts(p, &st->filter, st->m)) return cn_no_memory(e);
    make_chirp(st);
  }
  st->tasks = st->lines < MOST_TASKS ? (int)st->lines : MOST_TASKS;
  s->scratch_bytes = (size_t)st->tasks * 2 * (size_t)st->m * sizeof(double);
  s->flops = 5.0 * (double)st->lines * (double)st->m * log2((double)st->m + 1);
  s->run = run;
  return CORNU_OK;
}

/* ---- Lines ---- */

typedef struct job { const cn_step *s; void (*line)(const cn_step *s, int64_t line, parts x); } job;

static void lines(void *context, int i) {
  const job *j = context;
  const state *st = j->s->state;
  double *room = (double *)j->s->scratch + (int64_t)i * 2 * st->m;
  for (int64_t line = st->lines * i / st->tasks; line < st->lines * (i + 1) / st->tasks; line++)
    j->line(j->s, line, (parts){room, room + st->m});
}

static void run_lines(const cn_step *s, void (*line)(const cn_step *, int64_t, parts)) {
  job j = {s, line};
  cn_parallel(((const state *)s->state)->tasks, lines, &j);
}

/* The first `want` values of a line; zeros where it is shorter. */
static void load(double *to, const cn_operand *x, int64_t line, int64_t want) {
  int64_t have = x->shape[x->rank - 1], n = have < want ? have : want;
  size_t size = cornu_dtype_bytes(x->dtype);
  cn_convert(to, CORNU_FLOAT64, (const char *)x->data + (size_t)(line * have) * size, x->dtype, n);
  memset(to + n, 0, (size_t)(want - n) * sizeof *to);
}

static void store(const cn_operand *y, int64_t line, const double *from) {
  int64_t n = y->shape[y->rank - 1];
  cn_convert((char *)y->data + (size_t)(line * n) * cornu_dtype_bytes(y->dtype), y->dtype, from, CORNU_FLOAT64, n);
}

static void scale(double *x, int64_t n, double by) {
  for (int64_t i = 0; i < n; i++) x[i] *= by;
}

static void complex_line(const cn_step *s, int64_t line, parts x) {
  const cn_fft_attrs *a = s->attrs;
  const state *st = s->state;
  load(x.re, s->in[0], line, st->n);
  load(x.im, s->in[1], line, st->n);
  transform(st, a->inverse ? (parts){x.im, x.re} : x);
  if (a->inverse) scale(x.re, st->n, 1 / (double)st->n), scale(x.im, st->n, 1 / (double)st->n);
  store(s->out[0], line, x.re);
  store(s->out[1], line, x.im);
}

static void real_line(const cn_step *s, int64_t line, parts x) {
  const state *st = s->state;
  load(x.re, s->in[0], line, st->n);
  memset(x.im, 0, (size_t)st->n * sizeof *x.im);
  transform(st, x);
  store(s->out[0], line, x.re);
  store(s->out[1], line, x.im);
}

/* The other half of the spectrum is the conjugate of the first. */
static void to_real_line(const cn_step *s, int64_t line, parts x) {
  const state *st = s->state;
  load(x.re, s->in[0], line, st->n / 2 + 1);
  load(x.im, s->in[1], line, st->n / 2 + 1);
  for (int64_t k = st->n / 2 + 1; k < st->n; k++) x.re[k] = x.re[st->n - k], x.im[k] = -x.im[st->n - k];
  transform(st, (parts){x.im, x.re});
  scale(x.re, st->n, 1 / (double)st->n);
  store(s->out[0], line, x.re);
}

static void run_complex(const cn_step *s) { run_lines(s, complex_line); }
static void run_real(const cn_step *s) { run_lines(s, real_line); }
static void run_to_real(const cn_step *s) { run_lines(s, to_real_line); }

/* ---- Shapes ---- */

static cn_status want(const char *op, const cn_typing *t, cn_error *e) {
  for (int i = 0; i < t->n_in; i++) {
    const cn_type *x = &t->in[i];
    if (x->dtype != CORNU_FLOAT32 && x->dtype != CORNU_FLOAT64)
      return cn_fail(e, CORNU_ERR_DTYPE, "%s: input %d is %s, needs float32 or float64: cast it first", op, i + 1,
                     cornu_dtype_name(x->dtype));
    CN_TRY(cn_want_rank(x, op, 1, CN_MAX_RANK, e));
    bool same = x->dtype == t->in[0].dtype && x->rank == t->in[0].rank;
    for (int d = 0; same && d < x->rank; d++) same = cn_dims_agree(x->shape[d], t->in[0].shape[d]);
    if (!same)
      return cn_fail(e, CORNU_ERR_SHAPE, "%s: real parts %s and imaginary parts %s must have one dtype and shape", op,
                     CN_SHAPE(t->in[0].rank, t->in[0].shape), CN_SHAPE(x->rank, x->shape));
  }
  return CORNU_OK;
}

/* How long the transform is, -1: not known yet; `standard` where the attributes do not say. */
static cn_status length_of(const char *op, const cn_fft_attrs *a, int64_t standard, int64_t *n, cn_error *e) {
  *n = a->length > 0 ? a->length : standard;
  if (*n == 0 || *n > LONGEST)
    return cn_fail(e, *n ? CORNU_ERR_LIMIT : CORNU_ERR_SHAPE, "%s: a transform of length %lld, expected 1 to %d", op,
                   (long long)*n, LONGEST);
  return CORNU_OK;
}

static int64_t last_of(const cn_type *x) { return x->shape[x->rank - 1]; }
static int64_t half_of(int64_t n) { return n < 0 ? -1 : n / 2 + 1; }
static int64_t double_of(int64_t half) { return half < 0 ? -1 : half > LONGEST ? half : half > 1 ? 2 * (half - 1) : 0; }

static cn_status shape_of(cn_typing *t, const char *op, int64_t standard, bool halved, cn_error *e) {
  int64_t n;
  CN_TRY(length_of(op, t->attrs, standard, &n, e));
  for (int i = 0; i < t->n_out; i++) {
    t->out[i] = t->in[0];
    t->out[i].shape[t->in[0].rank - 1] = halved ? half_of(n) : n;
  }
  return CORNU_OK;
}

static cn_status complex_shape(cn_typing *t, cn_error *e) {
  CN_TRY(want("fft", t, e));
  return shape_of(t, "fft", last_of(&t->in[0]), false, e);
}

static cn_status real_shape(cn_typing *t, cn_error *e) {
  CN_TRY(want("rfft", t, e));
  return shape_of(t, "rfft", last_of(&t->in[0]), true, e);
}

static cn_status to_real_shape(cn_typing *t, cn_error *e) {
  CN_TRY(want("irfft", t, e));
  return shape_of(t, "irfft", double_of(last_of(&t->in[0])), false, e);
}

static int64_t result_length(const cn_step *s) { return s->out[0]->shape[s->out[0]->rank - 1]; }

static cn_status complex_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  return make_state(p, s, result_length(s), run_complex, e);
}
static cn_status real_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_fft_attrs *a = s->attrs;
  return make_state(p, s, a->length > 0 ? a->length : s->in[0]->shape[s->in[0]->rank - 1], run_real, e);
}
static cn_status to_real_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  return make_state(p, s, result_length(s), run_to_real, e);
}

#define LENGTH \
  {.name = "length", .aliases = "fft_length", .kind = CN_F_INT, .offset = offsetof(cn_fft_attrs, length), \
   .standard = "null", .min = 1, .max = LONGEST, \
   .help = CN_HELP("of the transform: inputs are cut or continued with zeros; null: as the input has it")}
static const cn_field complex_fields[] = {
    LENGTH,
    {.name = "inverse", .kind = CN_F_BOOL, .offset = offsetof(cn_fft_attrs, inverse), .standard = "false",
     .help = CN_HELP("the inverse, divided by the length")},
    {0}};
static const cn_field real_fields[] = {LENGTH, {0}};

/* ---- Gradients: the transforms are linear ---- */

static cn_edge part(cn_gradient *g, int i) { return g->dy[i] == CN_NO_EDGE ? cn_g_zeros(g, g->out[i]) : g->dy[i]; }
static cn_edge cut(cn_gradient *g, cn_edge a) { /* to the length of the input */
  const cn_type t = *cn_gradient_type(g, g->in[0]);
  return cn_g_window(g, a, t.rank - 1, 0, last_of(&t));
}

/* The transform back, by the length. */
static void complex_gradient(cn_gradient *g) {
  const cn_fft_attrs back = {.inverse = !((const cn_fft_attrs *)g->attrs)->inverse};
  const double n = (double)last_of(cn_gradient_type(g, g->out[0])), scale = back.inverse ? n : 1 / n;
  cn_edge first;
  if (cn_gradient_emit_many(g, &cn_op_fft, &back, (const cn_edge[]){part(g, 0), part(g, 1)}, 2, &first) != 2) return;
  for (int i = 0; i < 2; i++)
    if (g->wanted[i]) g->dx[i] = cut(g, cn_g_scale(g, first + i, scale));
}

/* What comes back to half of the frequencies, to the others nothing; of the result the real parts. */
static void real_gradient(cn_gradient *g) {
  const int64_t given = ((const cn_fft_attrs *)g->attrs)->length;
  const int64_t n = given > 0 ? given : last_of(cn_gradient_type(g, g->in[0]));
  const cn_fft_attrs back = {.length = n, .inverse = true};
  cn_edge first;
  if (cn_gradient_emit_many(g, &cn_op_fft, &back, (const cn_edge[]){part(g, 0), part(g, 1)}, 2, &first) != 2) return;
  g->dx[0] = cut(g, cn_g_scale(g, first, (double)n));
}

/* All frequencies but the first, and the last of an even length, stand for two. */
static void to_real_gradient(cn_gradient *g) {
  const int64_t n = last_of(cn_gradient_type(g, g->dy[0])), count = half_of(n);
  double *share = cn_gradient_room(g, count);
  cn_edge first;
  if (!share) return;
  for (int64_t i = 0; i < count; i++) share[i] = (i == 0 || 2 * i == n ? 1 : 2) / (double)n;
  const cn_edge shares = cn_gradient_vector(g, cn_gradient_type(g, g->dy[0])->dtype, share, count);
  if (cn_gradient_emit_many(g, &cn_op_rfft, &(cn_fft_attrs){.length = n}, g->dy, 1, &first) != 2) return;
  for (int i = 0; i < 2; i++)
    if (g->wanted[i]) g->dx[i] = cut(g, cn_g_mul(g, first + i, shares));
}

#define COMMON .attrs_size = sizeof(cn_fft_attrs)
const cn_op cn_op_fft = {
    .name = "fft",
    .help = CN_HELP("discrete Fourier transform along the last axis\n"
                    "(real (…, n), imaginary (…, n)) -> real (…, n), imaginary (…, n): sum over k of x[k] exp(-2 pi i "
                    "j k / n)"),
    .min_in = 2, .max_in = 2, .n_out = 2, COMMON, .fields = complex_fields,
    .shape = complex_shape, .plan = complex_plan, .gradient = CN_GRADIENT(complex_gradient),
};
const cn_op cn_op_rfft = {
    .name = "rfft",
    .help = CN_HELP("discrete Fourier transform of real numbers along the last axis, the half without repetition\n"
                    "(…, n) -> real (…, n / 2 + 1), imaginary (…, n / 2 + 1)"),
    .min_in = 1, .max_in = 1, .n_out = 2, COMMON, .fields = real_fields,
    .shape = real_shape, .plan = real_plan, .gradient = CN_GRADIENT(real_gradient),
};
const cn_op cn_op_irfft = {
    .name = "irfft",
    .help = CN_HELP("the inverse of rfft; by default of even length\n"
                    "(real (…, k), imaginary (…, k)) -> (…, 2 (k - 1))"),
    .min_in = 2, .max_in = 2, .n_out = 1, COMMON, .fields = real_fields,
    .shape = to_real_shape, .plan = to_real_plan, .gradient = CN_GRADIENT(to_real_gradient),
};
