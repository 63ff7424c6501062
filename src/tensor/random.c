/* Random numbers: xoshiro256++ (Blackman and Vigna 2019), seeded by splitmix64; normal values by the polar method. */
#include <math.h>

#include "base/deadline.h"
#include "tensor/tensor.h"

void cornu_random_seed(cornu_random *r, uint64_t seed) {
  for (int i = 0; i < 4; i++) {
    uint64_t z = (seed += 0x9E3779B97F4A7C15u);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    r->state[i] = z ^ z >> 31;
  }
}

static uint64_t rotate(uint64_t x, int k) { return x << k | x >> (64 - k); }

static double unit(cornu_random *r) { /* [0, 1) with 53 bits */
  uint64_t *s = r->state, result = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return (double)(result >> 11) * 0x1p-53;
}

static double normal(cornu_random *r) {
  double x, y, s;
  do {
    x = 2 * unit(r) - 1;
    y = 2 * unit(r) - 1;
    s = x * x + y * y;
  } while (s >= 1 || s == 0);
  return x * sqrt(-2 * log(s) / s);
}

/* Draws again what the dtype rounds up to the end of the range (one of 4096 float16, of 2^25 float32). A range that is
 * narrower than the dtype's steps has no other values: after some tries its beginning serves. */
static double uniform(cornu_random *r, cornu_dtype d, double low, double high) {
  for (int tries = 0; tries < 100; tries++) {
    double v = low + (high - low) * unit(r), rounded = v;
    if (d != CORNU_FLOAT64) {
      uint32_t cell;
      cn_convert(&cell, d, &v, CORNU_FLOAT64, 1);
      cn_convert(&rounded, CORNU_FLOAT64, &cell, d, 1);
    }
    if (rounded < high) return v;
  }
  return low;
}

static cn_status make_values(cn_tensor *t, cn_tensor **values, cn_error *e) {
  if (!cn_dtype_is_float(t->dtype))
    return cn_fail(e, CORNU_ERR_DTYPE, "random values need a float tensor, not %s", cornu_dtype_name(t->dtype));
  if (cornu_tensor_is_symbolic(t))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "this tensor is symbolic: it has no data to fill");
  return cornu_tensor_new(CORNU_FLOAT64, t->rank, t->shape, values, e);
}

static cn_status store_values(cn_tensor *t, cn_tensor *values, cn_error *e) {
  cn_status status = cornu_tensor_copy(t, values, e);
  cornu_tensor_release(values);
  return status;
}

cornu_status cornu_random_uniform(cornu_random *r, cornu_tensor *t, double low, double high, cornu_error *e) {
  cn_tensor *values;
  CN_TRY(make_values(t, &values, e));
  double *v = (double *)(void *)values->data;
  for (int64_t i = 0, n = cornu_tensor_size(values); i < n && !cn_late_at(i); i++) v[i] = uniform(r, t->dtype, low, high);
  return store_values(t, values, e);
}

cornu_status cornu_random_normal(cornu_random *r, cornu_tensor *t, double mean, double deviation, cornu_error *e) {
  cn_tensor *values;
  CN_TRY(make_values(t, &values, e));
  double *v = (double *)(void *)values->data;
  for (int64_t i = 0, n = cornu_tensor_size(values); i < n && !cn_late_at(i); i++) v[i] = mean + deviation * normal(r);
  return store_values(t, values, e);
}

/* ---- Orders ---- */

static void shuffle(cornu_random *r, int64_t *v, int64_t n) {
  for (int64_t i = n - 1; i > 0 && !cn_late_at(i); i--) {
    const int64_t k = (int64_t)(unit(r) * (double)(i + 1)), other = v[k];
    v[k] = v[i];
    v[i] = other;
  }
}

/* The blocks in another order: their first numbers, since the first and the last one may be short. */
static cn_status order_blocks(cornu_random *r, int64_t *v, int64_t n, int64_t block, cn_error *e) {
  const int64_t first = v[0], blocks = v[n - 1] / block - first / block + 1;
  int64_t *begin = cn_alloc((size_t)blocks * sizeof *begin), at = 0;
  if (!begin) return cn_no_memory(e);
  for (int64_t b = 0; b < blocks; b++) begin[b] = b ? (first / block + b) * block : first;
  shuffle(r, begin, blocks);
  for (int64_t b = 0; b < blocks; b++)
    for (int64_t i = begin[b]; i < first + n && i / block == begin[b] / block; i++) v[at++] = i;
  cn_free(begin);
  return CORNU_OK;
}

static void shuffle_blocks(cornu_random *r, int64_t *v, int64_t n, int64_t block) {
  for (int64_t begin = 0, end; begin < n; begin = end) {
    for (end = begin + 1; end < n && v[end] / block == v[begin] / block;) end++;
    shuffle(r, v + begin, end - begin);
  }
}

cornu_status cornu_random_order(cornu_random *r, cornu_tensor *t, int64_t first, int64_t block, bool in_order,
                                cornu_error *e) {
  if (t->dtype != CORNU_INT64 || t->rank != 1 || cornu_tensor_is_symbolic(t) || !cornu_tensor_is_contiguous(t))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "an order is a contiguous vector of int64");
  int64_t *v = (int64_t *)(void *)t->data, n = t->shape[0], last;
  if (first < 0 || block < 0 || __builtin_add_overflow(first, n, &last))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "an order of numbers from %lld in blocks of %lld", (long long)first,
                   (long long)block);
  for (int64_t i = 0; i < n; i++) v[i] = first + i;
  if (!block) shuffle(r, v, n);
  if (block && n && !in_order) CN_TRY(order_blocks(r, v, n, block, e));
  if (block) shuffle_blocks(r, v, n, block);
  return CORNU_OK;
}
