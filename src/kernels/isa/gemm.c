/* Matrix product on packed panels: a tile of MR rows by one panel is accumulated in registers over all segments and k;
 * the bias is added to the sums (as TensorFlow rounds), then the residual. a is never packed, its elements are broadcast from rows with a
 * pitch. */
#include "kernels/act_vector.h"
#include "kernels/kernels.h"

#if defined(CN_ISA_avx512)
#define MR 14 /* 28 accumulators, 2 of b, 1 of a */
#define EACH_MR(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#elif defined(CN_ISA_avx2)
#define MR 6 /* 12 accumulators, 2 of b, 1 of a */
#define EACH_MR(X) X(1) X(2) X(3) X(4) X(5) X(6)
#else
#define MR 4
#define EACH_MR(X) X(1) X(2) X(3) X(4)
#endif
#define NR (2 * CN_LANES)


#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
/* Keeps the compiler from deriving one base pointer from another: five bases with offsets 0, 1 and 2 pitches fit into
 * the addressing modes, fourteen pointers would not fit into the registers. */
#define LAUNDER(p) __asm__("" : "+r"(p))

typedef struct tile {
  const float *a, *b, *bias, *add;
  float *c;
  int n; /* columns in use, at most the panel's width */
} tile;

V_FN float at(const char *const *p, int m, int64_t pitch) { return *(const float *)(p[m / 3] + (m % 3) * pitch); }

/* One tile of mr rows and nv vectors; ku interleaved sums hide the latency of few accumulators. All three constant. */
V_FN void multiply(int mr, int nv, int ku, const cn_gemm_call *g, const tile *t) {
  vf acc[MR * 2], part[8];
  const int bases = (mr + 2) / 3, parts = ku > 1 ? (ku - 1) * mr * nv : 0;
  UNROLL for (int i = 0; i < mr * nv; i++) acc[i] = v_zero();
  UNROLL for (int i = 0; i < parts; i++) part[i] = v_zero();
  const int64_t pitch = g->lda * 4;
  const float *b = t->b;
  for (int64_t s = 0; s < g->segments; s++) {
    const char *p[5];
    UNROLL for (int i = 0; i < bases; i++) {
      p[i] = (const char *)(t->a + (g->offset ? g->offset[s] : 0)) + 3 * i * pitch;
      LAUNDER(p[i]);
    }
    int64_t k = g->kc;
    for (; ku > 1 && k >= ku; k -= ku) {
      UNROLL for (int u = 0; u < ku; u++) {
        UNROLL for (int v = 0; v < nv; v++) {
          vf y = v_load(b + (u * nv + v) * CN_LANES);
          UNROLL for (int m = 0; m < mr; m++) {
            vf *to = u == 0 ? &acc[m * nv + v] : &part[((u - 1) * mr + m) * nv + v];
            *to = v_fma(v_set(at(p, m, pitch)), y, *to);
          }
        }
        UNROLL for (int i = 0; i < bases; i++) p[i] += 4;
      }
      b += ku * nv * CN_LANES;
    }
    for (; k > 0; k--) {
      vf y[2];
      UNROLL for (int v = 0; v < nv; v++) y[v] = v_load(b + v * CN_LANES);
      UNROLL for (int m = 0; m < mr; m++) {
        vf x = v_set(at(p, m, pitch));
        UNROLL for (int v = 0; v < nv; v++) acc[m * nv + v] = v_fma(x, y[v], acc[m * nv + v]);
      }
      UNROLL for (int i = 0; i < bases; i++) p[i] += 4;
      b += nv * CN_LANES;
    }
  }
  UNROLL for (int i = 0; i < parts; i++) acc[i % (mr * nv)] += part[i];
  UNROLL for (int v = 0; v < nv; v++) {
    int left = t->n - v * CN_LANES;
    if (t->bias && left > 0) {
      vf bias = left >= CN_LANES ? v_load(t->bias + v * CN_LANES) : v_load_n(t->bias + v * CN_LANES, left);
      UNROLL for (int m = 0; m < mr; m++) acc[m * nv + v] += bias;
    }
    if (t->add && left > 0) {
      const float *add = t->add + v * CN_LANES;
      UNROLL for (int m = 0; m < mr; m++, add += g->epilogue.add_pitch)
        acc[m * nv + v] += left >= CN_LANES ? v_load(add) : v_load_n(add, left);
    }
    if (left >= CN_LANES) {
      UNROLL for (int m = 0; m < mr; m++) v_store(t->c + m * g->ldc + v * CN_LANES, acc[m * nv + v]);
    } else if (left > 0) {
      UNROLL for (int m = 0; m < mr; m++) v_store_n(t->c + m * g->ldc + v * CN_LANES, acc[m * nv + v], left);
    }
  }
}

#define KU(mr) ((mr) == 1 ? 4 : (mr) == 2 ? 2 : 1)
#define DEFINE(mr)                                                                                             \
  static void multiply_##mr##_1(const cn_gemm_call *g, const tile *t) { multiply(mr, 1, KU(mr), g, t); }      \
  static void multiply_##mr##_2(const cn_gemm_call *g, const tile *t) { multiply(mr, 2, KU(mr), g, t); }
EACH_MR(DEFINE)
#define ENTRY(mr) {multiply_##mr##_1, multiply_##mr##_2},
static void (*const multiply_of[MR][2])(const cn_gemm_call *g, const tile *t) = {EACH_MR(ENTRY)};

/* The activation on a tile that was just stored. */
static void activate(const cn_act *act, float *c, int64_t ldc, int64_t rows, int64_t n) {
  const vact p = v_act_parameters(act);
  if (cn_act_is_clamp(act)) {
    const vf zero = v_zero();
    for (int64_t m = 0; m < rows; m++, c += ldc) V_FOR(n, V_PUT(c, v_min(p.b, v_max(zero, V_AT(c)))));
    return;
  }
  V_ACT_SWITCH(act->kind, for (int64_t m = 0; m < rows; m++, c += ldc)
    V_FOR(n, V_PUT(c, v_act_one((cn_act_kind)V_KIND, V_AT(c), &p))));
}

static void run(const cn_gemm_call *g, int64_t tile0, int64_t tile1, int64_t panel0, int64_t panel1) {
  const int64_t tiles = (g->m + MR - 1) / MR, k = g->segments * g->kc;
  const cn_act *act = g->epilogue.act && g->epilogue.act->kind != CN_ACT_LINEAR ? g->epilogue.act : NULL;
  const float *bias = g->epilogue.bias, *add = g->epilogue.add;
  for (int64_t i = tile0; i < tile1; i++) {
    int64_t row = i * g->m / tiles, rows = (i + 1) * g->m / tiles - row;
    for (int64_t p = panel0; p < panel1; p++) {
      int64_t n = g->n - p * NR;
      tile t = {.a = (const float *)g->a + row * g->lda, .b = (const float *)g->b + p * NR * k,
                .c = (float *)g->c + row * g->ldc + p * NR, .bias = bias ? bias + p * NR : NULL,
                .add = add ? add + row * g->epilogue.add_pitch + p * NR : NULL, .n = n < NR ? (int)n : NR};
      multiply_of[rows - 1][n > CN_LANES](g, &t);
      if (act) activate(act, t.c, g->ldc, rows, t.n);
    }
  }
}

static void pack(void *to, const void *b, int64_t row, int64_t column, int64_t k, int64_t k0, int64_t kc, int64_t n,
                 int64_t panel0, int64_t panel1, const void *scale) {
  const float *factor = scale;
  for (int64_t p = panel0; p < panel1; p++) {
    int64_t left = n - p * NR;
    int width = left > CN_LANES ? NR : CN_LANES, used = left < width ? (int)left : width;
    float *out = (float *)to + p * NR * k + k0 * width;
    const float *in = (const float *)b + p * NR * column;
    for (int64_t i = 0; i < kc; i++, out += width) {
      for (int j = 0; j < used; j++) out[j] = in[i * row + j * column] * (factor ? factor[p * NR + j] : 1);
      for (int j = used; j < width; j++) out[j] = 0;
    }
  }
}

/* One row times one column: four sums in turn, added in a fixed order. */
V_FN float dot(const float *a, const float *b, int64_t k) {
  vf s0 = v_zero(), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 4 * CN_LANES <= k; i += 4 * CN_LANES) {
    s0 = v_fma(v_load(a + i), v_load(b + i), s0);
    s1 = v_fma(v_load(a + i + CN_LANES), v_load(b + i + CN_LANES), s1);
    s2 = v_fma(v_load(a + i + 2 * CN_LANES), v_load(b + i + 2 * CN_LANES), s2);
    s3 = v_fma(v_load(a + i + 3 * CN_LANES), v_load(b + i + 3 * CN_LANES), s3);
  }
  for (; i + CN_LANES <= k; i += CN_LANES) s0 = v_fma(v_load(a + i), v_load(b + i), s0);
  if (i < k) s1 = v_fma(v_load_n(a + i, (int)(k - i)), v_load_n(b + i, (int)(k - i)), s1);
  return v_sum((s0 + s1) + (s2 + s3));
}

static void column(const void *a, int64_t lda, const void *b, void *to, int64_t ldc, int64_t m, int64_t k,
                   const cn_epilogue *epilogue) {
  const float bias = epilogue->bias ? *(const float *)epilogue->bias : 0, *add = epilogue->add;
  float *c = to;
  for (int64_t i = 0; i < m; i++) {
    c[i * ldc] = dot((const float *)a + i * lda, b, k) + bias;
    if (add) c[i * ldc] += add[i * epilogue->add_pitch];
  }
  const cn_act *act = epilogue->act;
  if (!act || act->kind == CN_ACT_LINEAR) return;
  if (ldc == 1) activate(act, c, 0, 1, m);
  else activate(act, c, ldc, m, 1);
}

const cn_gemm_kernels CN_ISA_NAME(cn_gemm_table) = {
  .item = sizeof(float), .mr = MR, .nr = NR, .lanes = CN_LANES, .run = run, .pack = pack, .column = column,
};
