/* Rows and columns made to have a given sum, mean or variance. */
#include <math.h>

#include "kernels/act_vector.h"
#include "kernels/kernels.h"
#include "kernels/sum_vector.h"

/* ---- Layer normalisation ---- */

static void layer(const cn_layer_rows *l, const float *x, float *y, int64_t rows) {
  const int64_t n = l->n;
  for (int64_t r = 0; r < rows; r++, x += n, y += n) {
    const float mean = l->squares ? 0 : (float)(v_sum_row(x, n, 0, false) / (double)n);
    const double variance = v_sum_row(x, n, mean, true) / (double)n;
    const vf scale = v_set((float)(1 / sqrt(variance + l->epsilon))), center = v_set(l->center ? mean : 0);
    if (l->gamma && l->beta) V_FOR(n, V_PUT(y, v_fma((V_AT(x) - center) * scale, V_AT(l->gamma), V_AT(l->beta))));
    else if (l->gamma) V_FOR(n, V_PUT(y, (V_AT(x) - center) * scale * V_AT(l->gamma)));
    else if (l->beta) V_FOR(n, V_PUT(y, v_fma(V_AT(x) - center, scale, V_AT(l->beta))));
    else V_FOR(n, V_PUT(y, (V_AT(x) - center) * scale));
  }
}

/* ---- Softmax: NaN where a value is NaN or infinite, or all are -infinity ---- */

V_FN vf filled(vf v, int left, float fill) { return left == CN_LANES ? v : v_select(v_first(left), v, v_set(fill)); }

V_FN float largest_of(const float *x, int64_t n) {
  vf most = v_set(-__builtin_inff());
  V_FOR(n, most = v_max_nan(most, filled(V_AT(x), left, -__builtin_inff())));
  return v_max_lane(most);
}

/* The sum of exp(x - largest), which go to y if `keep`, a constant. */
V_FN double exponentials(const float *x, float *y, int64_t n, float largest, bool keep) {
  const int64_t block = V_SUM_BLOCK * CN_LANES;
  double total = 0;
  for (int64_t from = 0; from < n; from += block, x += block, y += block) {
    vf sum = v_zero();
    const int64_t some = n - from < block ? n - from : block;
    V_FOR(some, const vf e = v_exp(V_AT(x) - v_set(largest)); if (keep) V_PUT(y, e); sum = sum + filled(e, left, 0));
    total += (double)v_sum(sum);
  }
  return total;
}

static void softmax(const float *x, float *y, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; r++, x += n, y += n) {
    const vf scale = v_set((float)(1 / exponentials(x, y, n, largest_of(x, n), true)));
    V_FOR(n, V_PUT(y, V_AT(y) * scale));
  }
}

static void log_softmax(const float *x, float *y, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; r++, x += n, y += n) {
    const float largest = largest_of(x, n);
    const vf shift = v_set((float)log(exponentials(x, y, n, largest, false))), center = v_set(largest);
    V_FOR(n, V_PUT(y, V_AT(x) - center - shift));
  }
}

V_FN void softmax_vector(bool logarithm, const float *x, float *y, int64_t n, int64_t pitch, int left) {
  enum { i = 0 }; /* of V_AT and V_PUT */
  vf most = v_set(-__builtin_inff()), sum = v_zero();
  for (int64_t k = 0; k < n; k++) most = v_max_nan(most, V_AT(x + k * pitch));
  for (int64_t k = 0; k < n; k++) {
    const vf e = v_exp(V_AT(x + k * pitch) - most);
    sum = sum + e;
    if (!logarithm) V_PUT(y + k * pitch, e);
  }
  if (logarithm) {
    const vf shift = v_log(sum);
    for (int64_t k = 0; k < n; k++) V_PUT(y + k * pitch, V_AT(x + k * pitch) - most - shift);
  } else {
    const vf scale = v_set(1) / sum;
    for (int64_t k = 0; k < n; k++) V_PUT(y + k * pitch, V_AT(y + k * pitch) * scale);
  }
}

static void softmax_columns(bool logarithm, const float *x, float *y, int64_t n, int64_t pitch, int64_t columns) {
  int64_t c = 0;
  for (; c + CN_LANES <= columns; c += CN_LANES)
    if (logarithm) softmax_vector(true, x + c, y + c, n, pitch, CN_LANES);
    else softmax_vector(false, x + c, y + c, n, pitch, CN_LANES);
  if (c < columns) softmax_vector(logarithm, x + c, y + c, n, pitch, (int)(columns - c));
}

/* ---- x * scale + shift ---- */

V_FN void scaled_row(const float *x, float *y, int64_t n, const float *scale, const float *shift, const vf *bounds) {
  if (bounds) V_FOR(n, V_PUT(y, v_min(bounds[1], v_max(bounds[0], v_fma(V_AT(x), V_AT(scale), V_AT(shift))))));
  else V_FOR(n, V_PUT(y, v_fma(V_AT(x), V_AT(scale), V_AT(shift))));
}

static void scale_rows(const cn_scaled_rows *s, const float *x, float *y, int64_t rows) {
  const bool clamp = s->act && cn_act_is_clamp(s->act), late = s->act && !clamp && s->act->kind != CN_ACT_LINEAR;
  const vf bounds[2] = {v_zero(), v_set(clamp ? (float)s->act->b : 0)};
  for (int64_t r = 0; r < rows; r++, x += s->in, y += s->out) {
    if (clamp) scaled_row(x, y, s->n, s->scale, s->shift, bounds);
    else scaled_row(x, y, s->n, s->scale, s->shift, NULL);
    if (late) CN_ISA_NAME(cn_act_math_table).apply(s->act, y, y, s->n);
  }
}

const cn_norm_kernels CN_ISA_NAME(cn_norm_table) = {
  .layer = layer, .softmax = softmax, .log_softmax = log_softmax, .softmax_columns = softmax_columns,
  .scale_rows = scale_rows,
};
