/* The matrix product in double precision, laid out as in gemm.c: a row of a panel is one GCC vector, which the compiler
 * cuts into registers. */
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/simd.h"

enum { MR = 4, NR = 8 };
typedef double row __attribute__((vector_size(NR * sizeof(double))));

typedef struct tile { const double *a, *b, *bias, *add; double *c; int rows, n; } tile;

static void multiply(const cn_gemm_call *g, const tile *t) {
  row acc[MR] = {0};
  const double *b = t->b;
  for (int64_t s = 0; s < g->segments; s++) {
    const double *a = t->a + (g->offset ? g->offset[s] : 0);
    for (int64_t k = 0; k < g->kc; k++, b += NR) {
      row y;
      memcpy(&y, b, sizeof y);
      for (int m = 0; m < MR; m++) acc[m] += a[(m < t->rows ? m : 0) * g->lda + k] * y;
    }
  }
  for (int m = 0; m < t->rows; m++) {
    double *c = t->c + m * g->ldc, sums[NR];
    memcpy(sums, &acc[m], sizeof sums);
    const double *add = t->add ? t->add + m * g->epilogue.add_pitch : NULL;
    for (int n = 0; n < t->n; n++) c[n] = sums[n] + (t->bias ? t->bias[n] : 0) + (add ? add[n] : 0);
    if (g->epilogue.act) cn_act_apply_items(sizeof *c, g->epilogue.act, c, c, t->n);
  }
}

static void run(const cn_gemm_call *g, int64_t tile0, int64_t tile1, int64_t panel0, int64_t panel1) {
  const int64_t tiles = (g->m + MR - 1) / MR, k = g->segments * g->kc;
  const double *bias = g->epilogue.bias, *add = g->epilogue.add;
  for (int64_t i = tile0; i < tile1; i++) {
    int64_t first = i * g->m / tiles, rows = (i + 1) * g->m / tiles - first;
    for (int64_t p = panel0; p < panel1; p++) {
      int64_t n = g->n - p * NR;
      tile t = {.a = (const double *)g->a + first * g->lda, .b = (const double *)g->b + p * NR * k,
                .c = (double *)g->c + first * g->ldc + p * NR, .bias = bias ? bias + p * NR : NULL,
                .add = add ? add + first * g->epilogue.add_pitch + p * NR : NULL, .rows = (int)rows, .n = n < NR ? (int)n : NR};
      multiply(g, &t);
    }
  }
}

static void pack(void *to, const void *b, int64_t pitch, int64_t column, int64_t k, int64_t k0, int64_t kc, int64_t n,
                 int64_t panel0, int64_t panel1, const void *scale) {
  const double *factor = scale;
  for (int64_t p = panel0; p < panel1; p++) {
    double *out = (double *)to + (p * k + k0) * NR;
    const double *in = (const double *)b + p * NR * column;
    int used = n - p * NR < NR ? (int)(n - p * NR) : NR;
    for (int64_t i = 0; i < kc; i++, out += NR)
      for (int j = 0; j < NR; j++) out[j] = j < used ? in[i * pitch + j * column] * (factor ? factor[p * NR + j] : 1) : 0;
  }
}

static void column(const void *a, int64_t lda, const void *b, void *to, int64_t ldc, int64_t m, int64_t k,
                   const cn_epilogue *epilogue) {
  const double *x = a, *y = b, *bias = epilogue->bias, *add = epilogue->add;
  for (int64_t i = 0; i < m; i++, x += lda) {
    double sum = 0, *c = (double *)to + i * ldc;
    for (int64_t j = 0; j < k; j++) sum += x[j] * y[j];
    *c = sum + (bias ? *bias : 0) + (add ? add[i * epilogue->add_pitch] : 0);
    if (epilogue->act) cn_act_apply_items(sizeof *c, epilogue->act, c, c, 1);
  }
}

const cn_gemm_kernels CN_ISA_NAME(cn_gemm_double_table) = {
  .item = sizeof(double), .mr = MR, .nr = NR, .lanes = NR, .run = run, .pack = pack, .column = column,
};
