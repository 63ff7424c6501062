/* Rows of attention scores, as long as they are in the cache. */
#include "kernels/kernels.h"
#include "kernels/vmath.h"

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

V_FN vf row_largest(const float *s, int64_t n) {
  const vf none = v_set(-__builtin_inff());
  vf high = none, high1 = none;
  int64_t i = 0;
  for (; i + 2 * CN_LANES <= n; i += 2 * CN_LANES) {
    high = v_max(high, v_load(s + i));
    high1 = v_max(high1, v_load(s + i + CN_LANES));
  }
  for (; i < n; i += CN_LANES) {
    int left = n - i < CN_LANES ? (int)(n - i) : CN_LANES;
    high = v_max(high, v_select(v_first(left), v_load_n(s + i, left), none));
  }
  return v_set(v_largest(v_max(high, high1)));
}

/* The largest score of the next row is looked for while the powers of this one are under way. */
static void weigh(void *rows, int64_t pitch, int64_t count, int64_t n, double factor, double *sums) {
  const vf scale = v_set((float)(factor * 1.4426950408889634));
  float *s = rows;
  vf top = row_largest(s, n);
  for (int64_t r = 0; r < count; r++, s += pitch) {
    vf next = r + 1 < count ? row_largest(s + pitch, n) : top, sum = v_zero(), sum1 = sum;
    int64_t i = 0;
    for (; i + 2 * CN_LANES <= n; i += 2 * CN_LANES) {
      vf x = v_exp2_below((v_load(s + i) - top) * scale), y = v_exp2_below((v_load(s + i + CN_LANES) - top) * scale);
      v_store(s + i, x);
      v_store(s + i + CN_LANES, y);
      sum += x;
      sum1 += y;
    }
    for (; i < n; i += CN_LANES) {
      int left = n - i < CN_LANES ? (int)(n - i) : CN_LANES;
      vf x = v_exp2_below((v_load_n(s + i, left) - top) * scale);
      v_store_n(s + i, x, left);
      sum += v_select(v_first(left), x, v_zero());
    }
    sums[r] = v_sum(sum + sum1);
    top = next;
  }
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
