/* Sums and extremes of columns and rows. */
#include "kernels/kernels.h"
#include "kernels/sum_vector.h"

V_FN vf load(const float *x, int left) { return left == CN_LANES ? v_load(x) : v_load_n(x, left); }

/* ---- Columns: `nv` vectors of them with `left` lanes in use, `np` rows at a time; nv and np are constants ---- */

V_FN void sum_block(int nv, int np, const float *x, int64_t pitch, int64_t rows, int left, const vf *center, bool square,
                    vf *to) {
  vf sum[8];
  V_UNROLL for (int i = 0; i < nv * np; i++) sum[i] = v_zero();
  int64_t r = 0;
  for (; r + np <= rows; r += np, x += np * pitch)
    V_UNROLL for (int p = 0; p < np; p++)
      V_UNROLL for (int v = 0; v < nv; v++)
        sum[p * nv + v] = sum[p * nv + v] + v_sum_term_(load(x + p * pitch + v * CN_LANES, left), center[v], square);
  for (; r < rows; r++, x += pitch)
    V_UNROLL for (int v = 0; v < nv; v++)
      sum[v] = sum[v] + v_sum_term_(load(x + v * CN_LANES, left), center[v], square);
  V_UNROLL for (int v = 0; v < nv; v++) {
    to[v] = sum[v];
    V_UNROLL for (int p = 1; p < np; p++) to[v] = to[v] + sum[p * nv + v];
  }
}

V_FN void sum_vectors(int nv, const float *x, int64_t pitch, int64_t rows, int left, const float *centers, bool square,
                      double *to) {
  vf center[4], sum[4];
  float lanes[CN_LANES];
  V_UNROLL for (int v = 0; v < nv; v++) center[v] = square ? load(centers + v * CN_LANES, left) : v_zero();
  for (int i = 0; i < (nv - 1) * CN_LANES + left; i++) to[i] = 0;
  for (int64_t r = 0; r < rows; r += V_SUM_BLOCK) {
    const int64_t some = rows - r < V_SUM_BLOCK ? rows - r : V_SUM_BLOCK;
    sum_block(nv, 8 / nv, x + r * pitch, pitch, some, left, center, square, sum);
    V_UNROLL for (int v = 0; v < nv; v++) {
      v_store(lanes, sum[v]);
      for (int i = 0; i < left; i++) to[v * CN_LANES + i] += (double)lanes[i];
    }
  }
}

V_FN void sums(const float *x, int64_t pitch, int64_t rows, int64_t n, const float *centers, bool square, double *to) {
  int64_t c = 0;
  for (; c + 4 * CN_LANES <= n; c += 4 * CN_LANES)
    sum_vectors(4, x + c, pitch, rows, CN_LANES, centers + c, square, to + c);
  for (; c + CN_LANES <= n; c += CN_LANES) sum_vectors(1, x + c, pitch, rows, CN_LANES, centers + c, square, to + c);
  if (c < n) sum_vectors(1, x + c, pitch, rows, (int)(n - c), centers + c, square, to + c);
}

static void sum_columns(const float *x, int64_t pitch, int64_t rows, int64_t n, const float *centers, double *to) {
  if (centers) sums(x, pitch, rows, n, centers, true, to);
  else sums(x, pitch, rows, n, x, false, to);
}

V_FN vf extreme(bool largest, vf a, vf b) { return largest ? v_max_nan(a, b) : v_min_nan(a, b); }

V_FN void extreme_vectors(bool largest, int nv, const float *x, int64_t pitch, int64_t rows, int left, float *to) {
  vf most[4];
  V_UNROLL for (int v = 0; v < nv; v++) most[v] = load(x + v * CN_LANES, left);
  for (int64_t r = 1; r < rows; r++)
    V_UNROLL for (int v = 0; v < nv; v++) most[v] = extreme(largest, most[v], load(x + r * pitch + v * CN_LANES, left));
  V_UNROLL for (int v = 0; v < nv; v++) {
    if (left == CN_LANES) v_store(to + v * CN_LANES, most[v]);
    else v_store_n(to + v * CN_LANES, most[v], left);
  }
}

V_FN void extremes(bool largest, const float *x, int64_t pitch, int64_t rows, int64_t n, float *to) {
  int64_t c = 0;
  for (; c + 4 * CN_LANES <= n; c += 4 * CN_LANES) extreme_vectors(largest, 4, x + c, pitch, rows, CN_LANES, to + c);
  for (; c + CN_LANES <= n; c += CN_LANES) extreme_vectors(largest, 1, x + c, pitch, rows, CN_LANES, to + c);
  if (c < n) extreme_vectors(largest, 1, x + c, pitch, rows, (int)(n - c), to + c);
}

static void extreme_columns(bool largest, const float *x, int64_t pitch, int64_t rows, int64_t n, float *to) {
  if (largest) extremes(true, x, pitch, rows, n, to);
  else extremes(false, x, pitch, rows, n, to);
}

/* ---- Rows ---- */

static double sum_row(const float *x, int64_t n) { return v_sum_row(x, n, 0, false); }
static double sum_squares(const float *x, int64_t n, float center) { return v_sum_row(x, n, center, true); }

V_FN float row_extreme(bool largest, const float *x, int64_t n) {
  float most = x[0];
  if (n < CN_LANES) {
    for (int64_t i = 1; i < n; i++)
      most = most != most || (largest ? x[i] <= most : x[i] >= most) ? most : x[i];
    return most;
  }
  vf m = v_load(x);
  for (int64_t i = CN_LANES; i + CN_LANES <= n; i += CN_LANES) m = extreme(largest, m, v_load(x + i));
  m = extreme(largest, m, v_load(x + n - CN_LANES));
  return largest ? v_max_lane(m) : v_min_lane(m);
}

static float extreme_row(bool largest, const float *x, int64_t n) {
  return largest ? row_extreme(true, x, n) : row_extreme(false, x, n);
}

const cn_reduce_kernels CN_ISA_NAME(cn_reduce_table) = {
  .sum_columns = sum_columns, .extreme_columns = extreme_columns, .sum_row = sum_row, .sum_squares = sum_squares,
  .extreme_row = extreme_row,
};
