/* Matrix product on packed panels: a tile of MR rows by one panel is accumulated in registers over all segments and k;
 * the bias is added to the sums (as TensorFlow rounds), then the residual. a is never packed, its elements are broadcast from rows with a
 * pitch. */
#include "kernels/act_vector.h"
#include "kernels/kernels.h"
#include "kernels/transpose_vector.h"

#if CN_REGISTERS == 32
#define MR 14 /* 28 accumulators, 2 of b, 1 of a */
#define PAIR_MR 6 /* up to so many rows two panels fit */
#define KU_1 4
#define KU_2 2
#define EACH_MR(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#elif defined(CN_ISA_avx2)
#define MR 6 /* 12 accumulators, 2 of b, 1 of a */
#define PAIR_MR 2
#define KU_1 2
#define KU_2 1
#define EACH_MR(X) X(1) X(2) X(3) X(4) X(5) X(6)
#else
#define MR 4
#define PAIR_MR 2
#define KU_1 2
#define KU_2 1
#define EACH_MR(X) X(1) X(2) X(3) X(4)
#endif
#define NR (2 * CN_LANES)

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
#if CN_LANES == 4
#define PREFETCH(p) (void)(p) /* too many for the few operations of a k */
#else
#define PREFETCH(p) __builtin_prefetch(p, 0, 2) /* into the second level */
#endif
#define LINE 64
/* Keeps the compiler from deriving one base pointer from another: five bases with offsets 0, 1 and 2 pitches fit into
 * the addressing modes, fourteen pointers would not fit into the registers. */
#define LAUNDER(p) __asm__("" : "+r"(p))

/* What is the same for all tiles of a call. */
typedef struct job {
  const cn_gemm_call *call;
  const cn_act *act;      /* after the tile is stored; NULL: none */
  bool clamp;             /* min(high, max(0, x)) */
  float high;
  bool hard_silu;
  const char *ahead, *ahead_end; /* of b, what to load into the second-level cache meanwhile … */
  const char *next;              /* … and of a, the next tile; NULL: none */
} job;

typedef struct tile {
  const float *a, *b, *bias, *add;
  float *c;
  int64_t n;              /* columns in use, at most the panels' width */
  const char *soon[2];    /* where to load lines into the second-level cache meanwhile */
} tile;

V_FN float at(const char *const *p, int m, int64_t pitch) { return *(const float *)(p[m / 3] + (m % 3) * pitch); }

/* Bias, residual and what is cheap of activations on the sums, which are stored. */
V_FN void finish(int mr, int nv, const job *j, const tile *t, vf *acc) {
  const cn_gemm_call *g = j->call;
  UNROLL for (int v = 0; v < nv; v++) {
    const int64_t left = t->n - v * CN_LANES;
    const int used = left >= CN_LANES ? CN_LANES : (int)left;
    if (left <= 0) break;
    if (t->bias) {
      const vf bias = used == CN_LANES ? v_load(t->bias + v * CN_LANES) : v_load_n(t->bias + v * CN_LANES, used);
      UNROLL for (int m = 0; m < mr; m++) acc[m * nv + v] += bias;
    }
    if (t->add) {
      const float *add = t->add + v * CN_LANES;
      UNROLL for (int m = 0; m < mr; m++, add += g->epilogue.add_pitch)
        acc[m * nv + v] += used == CN_LANES ? v_load(add) : v_load_n(add, used);
    }
    if (j->clamp) {
      const vf zero = v_zero(), high = v_set(j->high);
      UNROLL for (int m = 0; m < mr; m++) acc[m * nv + v] = v_min(high, v_max(zero, acc[m * nv + v]));
    } else if (j->hard_silu) {
      UNROLL for (int m = 0; m < mr; m++) acc[m * nv + v] = v_act_one(CN_ACT_HARD_SILU, acc[m * nv + v], NULL);
    }
    float *c = t->c + v * CN_LANES;
    if (used == CN_LANES) {
      UNROLL for (int m = 0; m < mr; m++, c += g->ldc) v_store(c, acc[m * nv + v]);
    } else {
      UNROLL for (int m = 0; m < mr; m++, c += g->ldc) v_store_n(c, acc[m * nv + v], used);
    }
  }
}

/* One k: nv vectors of one or two panels times mr elements of a, which p then leaves behind. */
V_FN void step(int mr, int nv, const char **p, int64_t pitch, const float *b0, const float *b1, vf *acc) {
  vf y[4];
  UNROLL for (int v = 0; v < nv; v++) y[v] = v_load((v < 2 ? b0 : b1) + v % 2 * CN_LANES);
  UNROLL for (int m = 0; m < mr; m++) {
    vf x = v_set(at((const char *const *)p, m, pitch));
    UNROLL for (int v = 0; v < nv; v++) acc[m * nv + v] = v_fma(x, y[v], acc[m * nv + v]);
  }
  UNROLL for (int i = 0; i < (mr + 2) / 3; i++) p[i] += 4;
}

/* One tile of mr rows and nv vectors, two of them a panel; ku interleaved sums hide the latency of few accumulators.
 * All three constant. The order of a sum depends on mr alone. */
V_FN void multiply(int mr, int nv, int ku, const job *j, const tile *t) {
  const cn_gemm_call *g = j->call;
  const int bases = (mr + 2) / 3, sums = mr * nv, width = nv > 2 ? 2 : nv;
  vf acc[2 * MR];
  UNROLL for (int i = 0; i < sums * ku; i++) acc[i] = v_zero();
  const int64_t pitch = g->lda * 4, panel = g->segments * g->kc * NR;
  const float *b = t->b, *b1 = nv > 2 ? b + panel : b;
  if (nv > 2) LAUNDER(b1);
  const char *soon0 = t->soon[0], *soon1 = t->soon[1];
  for (int64_t s = 0; s < g->segments; s++) {
    const char *p[5];
    UNROLL for (int i = 0; i < bases; i++) {
      p[i] = (const char *)(t->a + (g->offset ? g->offset[s] : 0)) + 3 * i * pitch;
      LAUNDER(p[i]);
    }
    int64_t k = g->kc;
    for (; ku > 1 && k >= ku; k -= ku, b += ku * width * CN_LANES, b1 += ku * width * CN_LANES)
      UNROLL for (int u = 0; u < ku; u++)
        step(mr, nv, p, pitch, b + u * width * CN_LANES, b1 + u * width * CN_LANES, &acc[u * sums]);
    for (; k > 0; k--, b += width * CN_LANES, b1 += width * CN_LANES) {
      step(mr, nv, p, pitch, b, b1, acc);
      if (nv > 2 || ku > 1) continue;
      PREFETCH(soon0), PREFETCH(soon1);
      soon0 += CN_GEMM_AHEAD, soon1 += LINE;
    }
  }
  UNROLL for (int i = sums; i < sums * ku; i++) acc[i % sums] += acc[i];
  finish(mr, nv, j, t, acc);
}

/* Panels [panel0, panel1) of mr rows from `row` on. Few rows take two panels at a time. */
V_FN void multiply_row(int mr, job *j, int64_t row, int64_t panel0, int64_t panel1) {
  const cn_gemm_call *g = j->call;
  const int64_t k = g->segments * g->kc, pitch = g->epilogue.add_pitch;
  const float *bias = g->epilogue.bias, *add = g->epilogue.add;
  const int ku = mr == 1 ? KU_1 : mr == 2 ? KU_2 : 1;
  tile t = {.a = (const float *)g->a + row * g->lda};
  for (int64_t p = panel0, taken; p < panel1; p += taken) {
    const int64_t at = p * NR, left = g->n - at;
    taken = mr <= PAIR_MR && p + 2 <= panel1 && left > NR + CN_LANES ? 2 : 1;
    t.b = (const float *)g->b + at * k;
    t.c = (float *)g->c + row * g->ldc + at;
    t.bias = bias ? bias + at : NULL;
    t.add = add ? add + row * pitch + at : NULL;
    t.n = left < taken * NR ? left : taken * NR;
    t.soon[0] = j->ahead < j->ahead_end ? j->ahead : (const char *)t.b;
    t.soon[1] = j->next ? j->next : (const char *)t.a;
    j->ahead += k * CN_GEMM_AHEAD;
    j->next = NULL;
    if (taken == 2) multiply(mr, 4, ku, j, &t);
    else if (left > CN_LANES) multiply(mr, 2, ku, j, &t);
    else multiply(mr, 1, ku, j, &t);
    if (j->act) CN_ISA_NAME(cn_act_math_table).rows(j->act, t.c, t.c, g->ldc, mr, t.n);
  }
}

#define DEFINE(mr)                                                                                  \
  static void multiply_row_##mr(job *j, int64_t row, int64_t panel0, int64_t panel1) { \
    multiply_row(mr, j, row, panel0, panel1);                                                       \
  }
EACH_MR(DEFINE)
#define ENTRY(mr) multiply_row_##mr,
static void (*const row_of[])(job *j, int64_t row, int64_t panel0, int64_t panel1) = {EACH_MR(ENTRY)};

static void run(const cn_gemm_call *g, int64_t tile0, int64_t tile1, int64_t panel0, int64_t panel1) {
  const cn_act *act = g->epilogue.act && g->epilogue.act->kind != CN_ACT_LINEAR ? g->epilogue.act : NULL;
  job j = {.call = g, .clamp = act && cn_act_is_clamp(act), .ahead = g->ahead};
  j.ahead_end = j.ahead ? j.ahead + g->ahead_bytes : NULL;
  j.hard_silu = act && act->kind == CN_ACT_HARD_SILU;
  if (j.clamp) j.high = (float)act->b;
  else if (!j.hard_silu) j.act = act;
  if (g->m <= MR) {
    row_of[g->m - 1](&j, 0, panel0, panel1);
    return;
  }
  const int64_t tiles = (g->m + MR - 1) / MR;
  for (int64_t i = tile0; i < tile1; i++) {
    const int64_t row = i * g->m / tiles, next = (i + 1) * g->m / tiles;
    j.next = i + 1 < tile1 ? (const char *)((const float *)g->a + next * g->lda) : NULL;
    row_of[next - row - 1](&j, row, panel0, panel1);
  }
}

/* kc rows of one panel, `used` of its columns: the rest are zeros. */
static void pack_panel(float *out, const float *in, int64_t row, int64_t column, int64_t kc, int used, int width,
                       const float *factor) {
  if (row == 1 && !factor) {
    v_transpose(out, width, in, column, used, kc);
    for (int64_t i = 0; i < kc && used < width; i++)
      for (int j = used; j < width; j++) out[i * width + j] = 0;
    return;
  }
  if (column == 1) {
    const int last = width - CN_LANES, tail = used - last; /* of the last vector: where it begins, its columns */
    const vf f = factor ? v_load_n(factor, used) : v_set(1), g = factor ? v_load_n(factor + last, tail) : v_set(1);
    for (int64_t i = 0; i < kc; i++, out += width, in += row) {
      if (last) v_store(out, v_load(in) * f);
      v_store(out + last, (tail == CN_LANES ? v_load(in + last) : v_load_n(in + last, tail)) * g);
    }
    return;
  }
  for (int64_t i = 0; i < kc; i++, out += width, in += row) {
    for (int j = 0; j < used; j++) out[j] = in[j * column] * (factor ? factor[j] : 1);
    for (int j = used; j < width; j++) out[j] = 0;
  }
}

static void pack(void *to, const void *b, int64_t row, int64_t column, int64_t k, int64_t k0, int64_t kc, int64_t n,
                 int64_t panel0, int64_t panel1, const void *scale) {
  for (int64_t p = panel0; p < panel1; p++) {
    int64_t left = n - p * NR;
    int width = left > CN_LANES ? NR : CN_LANES, used = left < width ? (int)left : width;
    pack_panel((float *)to + p * NR * k + k0 * width, (const float *)b + p * NR * column, row, column, kc, used, width,
               scale ? (const float *)scale + p * NR : NULL);
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
  for (int64_t i = 0; i < m; i++)
    c[i * ldc] = dot((const float *)a + i * lda, b, k) + bias + (add ? add[i * epilogue->add_pitch] : 0);
  const cn_act *act = epilogue->act;
  if (!act || act->kind == CN_ACT_LINEAR) return;
  if (ldc == 1) CN_ISA_NAME(cn_act_math_table).apply(act, c, c, m);
  else CN_ISA_NAME(cn_act_math_table).rows(act, c, c, ldc, m, 1);
}

const cn_gemm_kernels CN_ISA_NAME(cn_gemm_table) = {
  .item = sizeof(float), .mr = MR, .nr = NR, .lanes = CN_LANES, .run = run, .pack = pack, .column = column,
};
