/* What comes back through a normalisation by the statistics of a batch. */
#include "kernels/batch_norm.h"
#include "kernels/sum_vector.h"

V_FN vf load(const float *x, int left) { return left == CN_LANES ? v_load(x) : v_load_n(x, left); }

/* `nv` vectors of columns, a constant, with `left` lanes in use. */
V_FN void sum_vectors(int nv, const float *dy, const float *x, int64_t rows, int64_t n, int left, const float *center,
                      double *to, double *products) {
  float lanes[CN_LANES];
  vf middle[4];
  for (int v = 0; v < nv; v++) middle[v] = load(center + v * CN_LANES, left);
  for (int i = 0; i < (nv - 1) * CN_LANES + left; i++) to[i] = products[i] = 0;
  for (int64_t r = 0; r < rows; r += V_SUM_BLOCK) {
    const int64_t some = rows - r < V_SUM_BLOCK ? rows - r : V_SUM_BLOCK;
    vf sum[4], product[4];
    for (int v = 0; v < nv; v++) sum[v] = product[v] = v_zero();
    for (int64_t k = 0; k < some; k++, dy += n, x += n)
      for (int v = 0; v < nv; v++) {
        const vf d = load(dy + v * CN_LANES, left);
        sum[v] = sum[v] + d;
        product[v] = v_fma(d, load(x + v * CN_LANES, left) - middle[v], product[v]);
      }
    for (int v = 0; v < nv; v++) {
      v_store(lanes, sum[v]);
      for (int i = 0; i < left; i++) to[v * CN_LANES + i] += (double)lanes[i];
      v_store(lanes, product[v]);
      for (int i = 0; i < left; i++) products[v * CN_LANES + i] += (double)lanes[i];
    }
  }
}

static void sums(const float *dy, const float *x, int64_t rows, int64_t n, const float *center, double *to,
                 double *products) {
  int64_t c = 0;
  for (; c + 4 * CN_LANES <= n; c += 4 * CN_LANES)
    sum_vectors(4, dy + c, x + c, rows, n, CN_LANES, center + c, to + c, products + c);
  for (; c + CN_LANES <= n; c += CN_LANES)
    sum_vectors(1, dy + c, x + c, rows, n, CN_LANES, center + c, to + c, products + c);
  if (c < n) sum_vectors(1, dy + c, x + c, rows, n, (int)(n - c), center + c, to + c, products + c);
}

static void blend(const cn_blend_rows *b, const float *dy, const float *x, float *dx, int64_t rows) {
  for (int64_t r = 0; r < rows; r++, dy += b->n, x += b->n, dx += b->n)
    V_FOR(b->n, V_PUT(dx, v_fma(V_AT(dy), V_AT(b->from_dy),
                                v_fma(V_AT(x) - V_AT(b->center), V_AT(b->from_x), V_AT(b->shift)))));
}

const cn_batch_norm_kernels CN_ISA_NAME(cn_batch_norm_math_table) = {.sums = sums, .blend = blend};
