/* random: numbers by Philox 4x32-10 (Salmon et al. 2011): a function of the key (seed, stream) and of the counter (run,
 * element), so that the same run gives the same numbers for any number of threads. */
#include <math.h>
#include <string.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_random_attrs *a = t->attrs;
  if (t->in[0].dtype != CORNU_INT64 || t->in[0].rank != 0)
    return cn_fail(e, CORNU_ERR_DTYPE, "random: the number of the run is %s %s, expected one int64",
                   cornu_dtype_name(t->in[0].dtype), CN_SHAPE(t->in[0].rank, t->in[0].shape));
  t->out[0] = (cn_type){.dtype = a->dtype, .rank = a->shape.n};
  for (int i = 0; i < a->shape.n; i++) t->out[0].shape[i] = a->shape.v[i];
  return CORNU_OK;
}

enum { ROUNDS = 10, AT_ONCE = 4, QUADS = 32 };

/* Words of one block of quads: bits[i][j] is the i-th of quad first + j. */
typedef struct words { uint32_t bits[AT_ONCE][QUADS]; } words;

#define PHILOX(name, attributes)                                                                                    \
  attributes static void name(uint64_t first, int64_t run, uint32_t k0, uint32_t k1, words *out) {                  \
    uint32_t(*x)[QUADS] = out->bits;                                                                                \
    for (int j = 0; j < QUADS; j++) {                                                                               \
      const uint64_t counter = first + (uint64_t)j;                                                                 \
      x[0][j] = (uint32_t)counter, x[1][j] = (uint32_t)(counter >> 32);                                             \
      x[2][j] = (uint32_t)run, x[3][j] = (uint32_t)(run >> 32);                                                     \
    }                                                                                                               \
    for (int i = 0; i < ROUNDS; i++) {                                                                              \
      for (int j = 0; j < QUADS; j++) {                                                                             \
        const uint64_t p0 = (uint64_t)0xD2511F53u * x[0][j], p1 = (uint64_t)0xCD9E8D57u * x[2][j];                  \
        x[0][j] = (uint32_t)(p1 >> 32) ^ x[1][j] ^ k0, x[2][j] = (uint32_t)(p0 >> 32) ^ x[3][j] ^ k1;               \
        x[1][j] = (uint32_t)p1, x[3][j] = (uint32_t)p0;                                                             \
      }                                                                                                             \
      k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;                                                                         \
    }                                                                                                               \
  }
#define PHILOX_OF(isa, ...) PHILOX(philox_##isa, CN_TARGET_##isa)
#define PHILOX_NAME(isa, ...) philox_##isa,
CN_EACH_ISA(PHILOX_OF, )
static void (*const philox[])(uint64_t, int64_t, uint32_t, uint32_t, words *) = {CN_EACH_ISA(PHILOX_NAME, )};

static double unit(uint32_t bits) { return ((double)bits + 0.5) * 0x1p-32; } /* above 0, below 1 */

/* The numbers of a block from its words; normal ones by Box and Muller's pairs. */
#define NUMBERS(name, real)                                                                    \
  static void name(const cn_random_attrs *a, const words *w, real *v) {                        \
    const uint32_t limit = (uint32_t)ceil(fmax(0, fmin(a->low, 1)) * 0x1p24);                  \
    const double low = a->low, wide = a->high - a->low;                                        \
    const real kept[2] = {0, (real)a->high};                                                   \
    for (int i = 0; i < AT_ONCE; i++)                                                          \
      for (int j = 0; j < QUADS; j++) {                                                        \
        const uint32_t bits = w->bits[i][j];                                                   \
        real *to = &v[j * AT_ONCE + i];                                                        \
        if (a->kind == CN_RANDOM_UNIFORM) *to = (real)(low + wide * ((bits >> 8) * 0x1p-24));  \
        else if (a->kind == CN_RANDOM_KEPT) *to = kept[bits >> 8 < limit];                     \
        else if (i % 2 == 0) {                                                                 \
          const double radius = a->high * sqrt(-2 * log(unit(bits)));                          \
          const double angle = 2 * M_PI * unit(w->bits[i + 1][j]);                             \
          to[0] = (real)(low + radius * cos(angle));                                           \
          to[1] = (real)(low + radius * sin(angle));                                           \
        }                                                                                      \
      }                                                                                        \
  }
NUMBERS(floats, float)
NUMBERS(doubles, double)

static void blocks(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_random_attrs *a = s->attrs;
  const int64_t n = s->out[0]->size, run = *(const int64_t *)s->in[0]->data;
  const uint64_t mixed = (uint64_t)a->seed * 0x9E3779B97F4A7C15u + (uint64_t)a->stream;
  const bool wide = s->out[0]->dtype == CORNU_FLOAT64;
  const size_t item = wide ? sizeof(double) : sizeof(float);
  for (int64_t b = begin; b < end; b++) {
    const int64_t at = b * QUADS * AT_ONCE, left = n - at, count = left < QUADS * AT_ONCE ? left : QUADS * AT_ONCE;
    words w;
    double last[QUADS * AT_ONCE]; /* of a block that does not fit */
    void *to = count == QUADS * AT_ONCE ? (char *)s->out[0]->data + (size_t)at * item : (void *)last;
    philox[cn_cpu_isa()]((uint64_t)(b * QUADS), run, (uint32_t)mixed, (uint32_t)(mixed >> 32), &w);
    if (wide) doubles(a, &w, to);
    else floats(a, &w, to);
    if (to == (void *)last) memcpy((char *)s->out[0]->data + (size_t)at * item, last, (size_t)count * item);
  }
}

/* The logarithm of a gamma number of the shape a: by Marsaglia and Tsang's rejection for the shape a + 1 (fewer than one
 * attempt in 20 fails), times a power of another number; the logarithm stays finite however small a is. */
static double log_gamma(const words *w, double a) {
  const double d = a + 2.0 / 3, c = 1 / sqrt(9 * d);
  double log_v = 0;
  for (int j = 0; j < QUADS - 1; j++) {
    const double normal = sqrt(-2 * log(unit(w->bits[0][j]))) * cos(2 * M_PI * unit(w->bits[1][j])), v = 1 + c * normal;
    if (v <= 0) continue;
    log_v = 3 * log(v);
    if (log(unit(w->bits[2][j])) < 0.5 * normal * normal + d * (1 - v * v * v + log_v)) break;
    log_v = 0;
  }
  return log(d) + log_v + log(unit(w->bits[0][QUADS - 1])) / a;
}

static void run_log_gamma(const cn_step *s) {
  const cn_random_attrs *a = s->attrs;
  const int64_t n = s->out[0]->size, run = *(const int64_t *)s->in[0]->data;
  const uint64_t mixed = (uint64_t)a->seed * 0x9E3779B97F4A7C15u + (uint64_t)a->stream;
  words w;
  philox[0]((uint64_t)(n * QUADS), run, (uint32_t)mixed, (uint32_t)(mixed >> 32), &w);
  const double alpha = a->low + (a->high - a->low) * unit(w.bits[0][0]);
  for (int64_t i = 0; i < n; i++) {
    philox[0]((uint64_t)(i * QUADS), run, (uint32_t)mixed, (uint32_t)(mixed >> 32), &w);
    const double v = log_gamma(&w, alpha);
    if (s->out[0]->dtype == CORNU_FLOAT64) ((double *)s->out[0]->data)[i] = v;
    else ((float *)s->out[0]->data)[i] = (float)v;
  }
}

static void run(const cn_step *s) {
  const int64_t block = QUADS * AT_ONCE;
  cn_parallel_range((s->out[0]->size + block - 1) / block, 32, blocks, (void *)s);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = ((const cn_random_attrs *)s->attrs)->kind == CN_RANDOM_LOG_GAMMA ? run_log_gamma : run;
  return CORNU_OK;
}

const cn_op cn_op_random = {
    .name = "random",
    .help = CN_HELP("(run) -> random numbers that follow from run, seed and stream"),
    .flags = CN_OP_HIDDEN,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_random_attrs),
    .shape = shape,
    .plan = plan,
    .gradient = CN_GRADIENT(cn_gradient_zero),
};
