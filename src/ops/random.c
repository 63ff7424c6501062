/* random: numbers by Philox 4x32-10 (Salmon et al. 2011): a function of the key (seed, stream) and of the counter (run,
 * element), so that the same run gives the same numbers for any number of threads. */
#include <math.h>

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

enum { ROUNDS = 10, AT_ONCE = 4 };

static void philox(const uint32_t counter[AT_ONCE], const uint32_t key[2], uint32_t out[AT_ONCE]) {
  uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3], k0 = key[0], k1 = key[1];
  for (int i = 0; i < ROUNDS; i++) {
    const uint64_t p0 = (uint64_t)0xD2511F53u * x0, p1 = (uint64_t)0xCD9E8D57u * x2;
    const uint32_t y0 = (uint32_t)(p1 >> 32) ^ x1 ^ k0, y2 = (uint32_t)(p0 >> 32) ^ x3 ^ k1;
    x1 = (uint32_t)p1, x3 = (uint32_t)p0, x0 = y0, x2 = y2;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  out[0] = x0, out[1] = x1, out[2] = x2, out[3] = x3;
}

static double unit(uint32_t bits) { return ((double)bits + 0.5) * 0x1p-32; } /* above 0, below 1 */

/* Four numbers from four words; normal ones by Box and Muller's pairs. */
static void four(const cn_random_attrs *a, const uint32_t bits[AT_ONCE], double *v) {
  for (int i = 0; i < AT_ONCE; i++) {
    if (a->kind == CN_RANDOM_UNIFORM) v[i] = a->low + (a->high - a->low) * ((bits[i] >> 8) * 0x1p-24);
    else if (a->kind == CN_RANDOM_KEPT) v[i] = (bits[i] >> 8) * 0x1p-24 < a->low ? a->high : 0;
    else if (i % 2 == 0) {
      const double radius = a->high * sqrt(-2 * log(unit(bits[i]))), angle = 2 * M_PI * unit(bits[i + 1]);
      v[i] = a->low + radius * cos(angle);
      v[i + 1] = a->low + radius * sin(angle);
    }
  }
}

static void quads(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_random_attrs *a = s->attrs;
  const int64_t n = s->out[0]->size, run = *(const int64_t *)s->in[0]->data;
  const uint64_t mixed = (uint64_t)a->seed * 0x9E3779B97F4A7C15u + (uint64_t)a->stream;
  const uint32_t key[2] = {(uint32_t)mixed, (uint32_t)(mixed >> 32)};
  for (int64_t q = begin; q < end; q++) {
    const uint32_t counter[AT_ONCE] = {(uint32_t)q, (uint32_t)(q >> 32), (uint32_t)run, (uint32_t)(run >> 32)};
    uint32_t bits[AT_ONCE];
    double v[AT_ONCE];
    philox(counter, key, bits);
    four(a, bits, v);
    for (int64_t i = q * AT_ONCE; i < n && i < (q + 1) * AT_ONCE; i++)
      if (s->out[0]->dtype == CORNU_FLOAT64) ((double *)s->out[0]->data)[i] = v[i % AT_ONCE];
      else ((float *)s->out[0]->data)[i] = (float)v[i % AT_ONCE];
  }
}

static void run(const cn_step *s) {
  cn_parallel_range((s->out[0]->size + AT_ONCE - 1) / AT_ONCE, 512, quads, (void *)s);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = run;
  return CORNU_OK;
}

const cn_op cn_op_random = {
    .name = "random",
    .help = "(run) -> random numbers that follow from run, seed and stream",
    .flags = CN_OP_HIDDEN,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_random_attrs),
    .shape = shape,
    .plan = plan,
    .gradient = cn_gradient_zero,
};
