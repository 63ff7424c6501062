/* Winograd's minimal filtering F(m x m, 3 x 3), m = 2 or 4: a patch of n = m + 2 pixels squared and the kernel are
 * evaluated at n points of polynomials in two variables, multiplied there, and the product interpolated. The points are
 * 0, infinity, and -1, 1 (m = 2) or -A, A, -B, B (m = 4): near 1 to keep the powers, hence the rounding errors, small;
 * with few bits so that the coefficients are exact. Vectors run over channels. */
#include "kernels/kernels.h"
#include "kernels/simd.h"

#define A 0.625f
#define B 1.5f
#define A2 (A * A)
#define B2 (B * B)
#define NA (2 * A2 * (A2 - B2)) /* the product of the distances of A from the other points */
#define NB (2 * B2 * (B2 - A2))

/* Values of the patch's polynomial: n numbers along one dimension. */
V_FN void evaluate(int m, const vf *d, vf *v) {
  if (m == 2) {
    v[0] = d[0] - d[2];
    v[1] = d[2] + d[1];
    v[2] = d[2] - d[1];
    v[3] = d[3] - d[1];
    return;
  }
  const vf a = v_set(A), b = v_set(B), a2 = v_set(A2), b2 = v_set(B2);
  const vf even_a = v_fnma(b2, d[2], d[4]), odd_a = v_fnma(b2, d[1], d[3]);
  const vf even_b = v_fnma(a2, d[2], d[4]), odd_b = v_fnma(a2, d[1], d[3]);
  v[0] = v_fnma(b2, v_fnma(a2, d[0], d[2]), even_b);
  v[1] = v_fma(a, odd_a, even_a);
  v[2] = v_fnma(a, odd_a, even_a);
  v[3] = v_fma(b, odd_b, even_b);
  v[4] = v_fnma(b, odd_b, even_b);
  v[5] = v_fnma(b2, odd_b, v_fnma(a2, d[3], d[5]));
}

/* The coefficients of the product from its values: m numbers out of n. */
V_FN void interpolate(int m, const vf *v, vf *y) {
  const vf even = v[1] + v[2], odd = v[1] - v[2];
  if (m == 2) {
    y[0] = v[0] + even;
    y[1] = odd + v[3];
    return;
  }
  const vf even_b = v[3] + v[4], odd_b = v[3] - v[4];
  y[0] = v[0] + even + even_b;
  y[1] = v_fma(v_set(A), odd, v_set(B) * odd_b);
  y[2] = v_fma(v_set(A2), even, v_set(B2) * even_b);
  y[3] = v_fma(v_set(A * A2), odd, v_fma(v_set(B * B2), odd_b, v[5]));
}

/* Values of the kernel's polynomial: n out of 3, divided so that the interpolation needs no fractions. */
V_FN void evaluate_kernel(int m, const vf *g, vf *u) {
  if (m == 2) {
    const vf half = v_set(0.5f), even = half * (g[0] + g[2]), odd = half * g[1];
    u[0] = g[0];
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = g[2];
    return;
  }
  const vf even_a = v_fma(v_set(A2 / NA), g[2], v_set(1 / NA) * g[0]), odd_a = v_set(A / NA) * g[1];
  const vf even_b = v_fma(v_set(B2 / NB), g[2], v_set(1 / NB) * g[0]), odd_b = v_set(B / NB) * g[1];
  u[0] = v_set(1 / (A2 * B2)) * g[0];
  u[1] = even_a + odd_a;
  u[2] = even_a - odd_a;
  u[3] = even_b + odd_b;
  u[4] = even_b - odd_b;
  u[5] = g[2];
}

V_FN void input(int m, const float *const *pixel, int64_t channels, float *v, int64_t step) {
  const int n = m + 2;
  V_FOR(channels, {
    vf t[36];
    V_UNROLL for (int x = 0; x < n; x++) {
      vf d[6], column[6];
      V_UNROLL for (int y = 0; y < n; y++) d[y] = V_AT(pixel[y * n + x]);
      evaluate(m, d, column);
      V_UNROLL for (int y = 0; y < n; y++) t[y * n + x] = column[y];
    }
    V_UNROLL for (int y = 0; y < n; y++) {
      vf row[6];
      evaluate(m, &t[y * n], row);
      V_UNROLL for (int x = 0; x < n; x++) V_PUT(v + (y * n + x) * step, row[x]);
    }
  });
}

V_FN void output(int m, const cn_winograd_tile *tile) {
  const int n = m + 2;
  const bool clamps = tile->epilogue.act != NULL;
  const vf low = v_zero(), high = v_set(clamps ? (float)tile->epilogue.act->b : 0);
  const float *bias = tile->epilogue.bias, *add = tile->epilogue.add, *scale = tile->scale;
  V_FOR(tile->channels, {
    vf t[24];
    V_UNROLL for (int x = 0; x < n; x++) {
      vf v[6], column[4];
      V_UNROLL for (int y = 0; y < n; y++) v[y] = V_AT(tile->product + (y * n + x) * tile->step);
      interpolate(m, v, column);
      V_UNROLL for (int y = 0; y < m; y++) t[y * n + x] = column[y];
    }
    const vf a = scale ? V_AT(scale) : v_set(1), b = bias ? V_AT(bias) : v_zero();
    V_UNROLL for (int y = 0; y < m; y++) {
      vf row[4];
      interpolate(m, &t[y * n], row);
      V_UNROLL for (int x = 0; x < m; x++) {
        if (y >= tile->rows || x >= tile->columns) continue;
        vf sum = row[x] * a + b;
        if (add) sum += V_AT(add + y * tile->add_line + x * tile->epilogue.add_pitch);
        if (clamps) sum = v_min(high, v_max(low, sum));
        V_PUT(tile->out + y * tile->line + x * tile->pitch, sum);
      }
    }
  });
}

/* One vector of columns of one channel. */
V_FN void kernel_values(int m, const float *w, int64_t place, int left, float *u, int64_t step) {
  const int n = m + 2;
  vf t[18];
  V_UNROLL for (int x = 0; x < 3; x++) {
    vf g[3], column[6];
    V_UNROLL for (int y = 0; y < 3; y++) g[y] = v_load_n(w + (y * 3 + x) * place, left);
    evaluate_kernel(m, g, column);
    V_UNROLL for (int y = 0; y < n; y++) t[y * 3 + x] = column[y];
  }
  V_UNROLL for (int y = 0; y < n; y++) {
    vf row[6];
    evaluate_kernel(m, &t[y * 3], row);
    V_UNROLL for (int x = 0; x < n; x++) v_store(u + (y * n + x) * step, row[x]);
  }
}

V_FN void weights(int m, const cn_winograd_weights *w, int64_t begin, int64_t end) {
  for (int64_t c = begin; c < end; c++)
    for (int64_t j = 0; j < w->filters; j += CN_LANES) {
      const int64_t panel = j / w->nr * w->nr, left = w->filters - j, used = w->filters - panel;
      const int64_t width = used < w->nr ? (used + CN_LANES - 1) / CN_LANES * CN_LANES : w->nr;
      const int count = left < CN_LANES ? (int)left : CN_LANES;
      kernel_values(m, w->kernel + c * w->filters + j, w->channels * w->filters, count,
                    w->to + panel * w->channels + c * width + (j - panel), w->step);
    }
}

static void input_2(const float *const *pixel, int64_t channels, float *v, int64_t step) {
  input(2, pixel, channels, v, step);
}
static void input_4(const float *const *pixel, int64_t channels, float *v, int64_t step) {
  input(4, pixel, channels, v, step);
}
static void output_2(const cn_winograd_tile *tile) { output(2, tile); }
static void output_4(const cn_winograd_tile *tile) { output(4, tile); }
static void weights_2(const cn_winograd_weights *w, int64_t begin, int64_t end) { weights(2, w, begin, end); }
static void weights_4(const cn_winograd_weights *w, int64_t begin, int64_t end) { weights(4, w, begin, end); }

const cn_winograd_kernels CN_ISA_NAME(cn_winograd_2_table) = {2, weights_2, input_2, output_2};
const cn_winograd_kernels CN_ISA_NAME(cn_winograd_4_table) = {4, weights_4, input_4, output_4};
