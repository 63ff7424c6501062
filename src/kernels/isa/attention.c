/* Rows of attention scores, as long as they are in the cache. */
#include "kernels/kernels.h"
#include "kernels/vmath.h"

/* In the order of v_sum; a NaN need not come through: its weight is NaN, and with it the sum. */
static float largest(vf a) {
  float t[CN_LANES];
  v_store(t, a);
  for (int w = CN_LANES / 2; w > 0; w /= 2)
    for (int i = 0; i < w; i++) t[i] = t[i] > t[i + w] ? t[i] : t[i + w];
  return t[0];
}

static void adjust(void *row, int64_t n, double scale, const void *bias, int64_t bias_step, const uint8_t *seen,
                   int64_t seen_step, double masked, bool lower) {
  const float factor = (float)scale, low = (float)masked;
  float *s = row;
  if (!bias) {
    for (int64_t i = 0; i < n; i++) s[i] *= factor;
  } else if (bias_step) {
    for (int64_t i = 0; i < n; i++) s[i] = s[i] * factor + ((const float *)bias)[i];
  } else {
    const float shift = *(const float *)bias;
    for (int64_t i = 0; i < n; i++) s[i] = s[i] * factor + shift;
  }
  if (!seen || (seen_step == 0 && *seen)) return;
  if (seen_step == 0) {
    for (int64_t i = 0; i < n; i++) s[i] = lower ? s[i] + low : low;
  } else if (lower) {
    for (int64_t i = 0; i < n; i++) s[i] = seen[i] ? s[i] : s[i] + low;
  } else {
    for (int64_t i = 0; i < n; i++) s[i] = seen[i] ? s[i] : low;
  }
}

static double weigh(void *row, int64_t n, double factor) {
  const vf scale = v_set((float)factor), none = v_set(-__builtin_inff());
  float *s = row;
  vf high = none, high1 = none, sum = v_zero(), sum1 = sum;
  int64_t i = 0;
  for (; i + 2 * CN_LANES <= n; i += 2 * CN_LANES) {
    high = v_max(high, v_load(s + i));
    high1 = v_max(high1, v_load(s + i + CN_LANES));
  }
  high = v_max(high, high1);
  for (; i < n; i += CN_LANES) {
    int left = n - i < CN_LANES ? (int)(n - i) : CN_LANES;
    vf x = v_load_n(s + i, left);
    high = v_max(high, left == CN_LANES ? x : v_select(v_first(left), x, none));
  }
  const vf top = v_set(largest(high));
  for (i = 0; i + 2 * CN_LANES <= n; i += 2 * CN_LANES) {
    vf x = v_exp((v_load(s + i) - top) * scale), y = v_exp((v_load(s + i + CN_LANES) - top) * scale);
    v_store(s + i, x);
    v_store(s + i + CN_LANES, y);
    sum += x;
    sum1 += y;
  }
  sum += sum1;
  for (; i < n; i += CN_LANES) {
    int left = n - i < CN_LANES ? (int)(n - i) : CN_LANES;
    vf x = v_exp((v_load_n(s + i, left) - top) * scale);
    v_store_n(s + i, x, left);
    sum += left == CN_LANES ? x : v_select(v_first(left), x, v_zero());
  }
  return v_sum(sum);
}

static void clear(void *row, int64_t n, const uint8_t *seen, int64_t seen_step) {
  float *s = row;
  for (int64_t i = 0; i < n; i++) s[i] = seen[i * seen_step] ? s[i] : 0;
}

static void divide(void *row, int64_t n, double by) {
  const vf factor = v_set((float)(1 / by));
  float *y = row;
  V_FOR(n, V_PUT(y, V_AT(y) * factor));
}

const cn_attention_kernels CN_ISA_NAME(cn_attention_table) = {
  .adjust = adjust, .weigh = weigh, .clear = clear, .divide = divide,
};
