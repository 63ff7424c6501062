/* Windows over rows of channels-last pixels: depthwise convolution and pooling. Blocks of pixels by vectors of channels
 * are kept in registers over all taps; pixels near a border, where taps fall away, go one at a time. */
#include <float.h>

#include "kernels/act_vector.h"
#include "kernels/kernels.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

typedef enum kind { DEPTHWISE, MAXIMUM, AVERAGE } kind;
/* What is done in the store: ReLU and its like (else infinite), or hard SiLU. */
typedef struct range { float low, high; bool hard_silu; } range;

V_FN void keep_within(const range *r, int n, vf *y) {
  if (r->hard_silu) {
    UNROLL for (int i = 0; i < n; i++) y[i] = v_act_one(CN_ACT_HARD_SILU, y[i], NULL);
    return;
  }
  const vf low = v_set(r->low), high = v_set(r->high);
  UNROLL for (int i = 0; i < n; i++) y[i] = v_min(high, v_max(low, y[i]));
}

/* np pixels from x on by nv vectors of channels from c on; left: channels in use in the last vector. `checked`: taps
 * are left out where x (np is 1 then) is outside of their range. The arguments before w are constants. */
V_FN void block(kind what, int np, int nv, bool masked, bool checked, const cn_window_call *w, const range *bounds,
                int64_t x, int64_t c, int left) {
  vf acc[16];
  const vm m = v_first(left);
  UNROLL for (int i = 0; i < np * nv; i++) {
    vf start = what == MAXIMUM ? v_set(-FLT_MAX) : v_zero();
    if (what == DEPTHWISE && w->epilogue.bias) {
      const float *bias = (const float *)w->epilogue.bias + c + i % nv * CN_LANES;
      start = masked ? v_load_m(bias, m) : v_load(bias);
    }
    acc[i] = start;
  }
  for (int t = 0; t < w->taps; t++) {
    if (checked && (x < w->first[t] || x >= w->last[t])) continue;
    const float *in = (const float *)w->in + x * w->step + w->offset[t] + c;
    UNROLL for (int v = 0; v < nv; v++) {
      vf y = v_zero();
      if (what == DEPTHWISE) {
        const float *weights = (const float *)w->weights + w->weight[t] + c + v * CN_LANES;
        y = masked ? v_load_m(weights, m) : v_load(weights);
      }
      UNROLL for (int p = 0; p < np; p++) {
        const float *from = in + p * w->step + v * CN_LANES;
        vf a = masked ? v_load_m(from, m) : v_load(from), *to = &acc[p * nv + v];
        if (what == DEPTHWISE) *to = v_fma(a, y, *to);
        else if (what == MAXIMUM) *to = v_max(a, *to); /* NaN and padding never win */
        else *to = *to + a;
      }
    }
  }
  const float *add = what == DEPTHWISE ? (const float *)w->epilogue.add : NULL;
  if (add)
    UNROLL for (int i = 0; i < np * nv; i++) {
      const float *from = add + (x + i / nv) * w->epilogue.add_pitch + c + i % nv * CN_LANES;
      acc[i] = acc[i] + (masked ? v_load_m(from, m) : v_load(from));
    }
  if (what == DEPTHWISE) keep_within(bounds, np * nv, acc);
  UNROLL for (int i = 0; i < np * nv; i++) {
    float *out = (float *)w->out + (x + i / nv) * w->out_pitch + c + i % nv * CN_LANES;
    if (what == AVERAGE) acc[i] = acc[i] * v_set((float)w->scale[x + i / nv]);
    if (masked) v_store_m(out, m, acc[i]);
    else v_store(out, acc[i]);
  }
}

V_FN void pixels(kind what, int np, int nv, const cn_window_call *w, const range *r, int64_t x) {
  int64_t c = 0;
  for (; nv > 1 && c + nv * CN_LANES <= w->channels; c += nv * CN_LANES)
    block(what, np, nv, false, false, w, r, x, c, CN_LANES);
  for (; c + CN_LANES <= w->channels; c += CN_LANES) block(what, np, 1, false, false, w, r, x, c, CN_LANES);
  if (c < w->channels) block(what, np, 1, true, false, w, r, x, c, (int)(w->channels - c));
}

V_FN void one_pixel(kind what, const cn_window_call *w, const range *r, int64_t x) {
  int64_t c = 0;
  for (; c + 4 * CN_LANES <= w->channels; c += 4 * CN_LANES) block(what, 1, 4, false, true, w, r, x, c, CN_LANES);
  for (; c + CN_LANES <= w->channels; c += CN_LANES) block(what, 1, 1, false, true, w, r, x, c, CN_LANES);
  if (c < w->channels) block(what, 1, 1, true, true, w, r, x, c, (int)(w->channels - c));
}

V_FN void row(kind what, const cn_window_call *w, const range *r) {
  int64_t begin = w->begin, end = w->end; /* the pixels at which no tap falls away */
  for (int t = 0; t < w->taps; t++) {
    if (w->first[t] > begin) begin = w->first[t];
    if (w->last[t] < end) end = w->last[t];
  }
  int64_t x = w->begin;
  for (; x < begin && x < w->end; x++) one_pixel(what, w, r, x);
  const int wide = CN_REGISTERS == 32 ? 2 : 1;
  for (; x + 8 <= end; x += 8) pixels(what, 8, wide, w, r, x);
  for (; x + 4 <= end; x += 4) pixels(what, 4, 2, w, r, x);
  for (; x + 2 <= end; x += 2) pixels(what, 2, 4, w, r, x);
  for (; x < w->end; x++) one_pixel(what, w, r, x);
}

#if !defined(V_SMALL)
/* ---- The usual way: windows of `kw` neighbouring columns, blocks of np pixels. Every column that is loaded feeds all
 * windows over it. The arguments before w are constants; checked: columns outside of the image are left out. Depthwise
 * or average. */
V_FN void wide_block(kind what, int kw, int stride, int np, bool masked, bool checked, const cn_window_call *w,
                     const range *bounds, int64_t x, int64_t c, int left) {
  vf acc[8];
  const vm m = v_first(left);
#define LOAD(p) (masked ? v_load_m((p), m) : v_load(p))
  const bool weighted = what == DEPTHWISE;
  const vf start = weighted && w->epilogue.bias ? LOAD((const float *)w->epilogue.bias + c) : v_zero();
  UNROLL for (int i = 0; i < np; i++) acc[i] = start;
  for (int r = 0; r < w->rows; r++) {
    const float *in = (const float *)w->in + w->row_offset[r] + x * w->step + c;
    vf y[7];
    if (weighted) {
      const float *weights = (const float *)w->weights + w->row_weight[r] + c;
      UNROLL for (int k = 0; k < kw; k++) y[k] = LOAD(weights + k * w->weight_step);
    }
    UNROLL for (int j = 0; j < (np - 1) * stride + kw; j++) {
      if (checked && (uint64_t)(x * stride + j - w->pad) >= (uint64_t)w->width) continue;
      const vf a = LOAD(in + j * w->pitch);
      UNROLL for (int i = 0; i < np; i++) {
        const int k = j - i * stride;
        if (k < 0 || k >= kw) continue;
        if (weighted) acc[i] = v_fma(a, y[k], acc[i]);
        else acc[i] = acc[i] + a;
      }
    }
  }
  if (weighted && w->epilogue.add)
    UNROLL for (int i = 0; i < np; i++)
      acc[i] = acc[i] + LOAD((const float *)w->epilogue.add + (x + i) * w->epilogue.add_pitch + c);
  if (weighted) keep_within(bounds, np, acc);
  UNROLL for (int i = 0; i < np; i++) {
    float *out = (float *)w->out + (x + i) * w->out_pitch + c;
    if (!weighted) acc[i] = acc[i] * v_set((float)w->scale[x + i]);
    if (masked) v_store_m(out, m, acc[i]);
    else v_store(out, acc[i]);
  }
#undef LOAD
}

V_FN void wide_pixels(kind what, int kw, int stride, int np, const cn_window_call *w, const range *bounds, int64_t x) {
  const int64_t first = x * stride - w->pad;
  int64_t c = 0;
  if (first < 0 || first + (np - 1) * stride + kw > w->width)
    for (; c + CN_LANES <= w->channels; c += CN_LANES)
      wide_block(what, kw, stride, np, false, true, w, bounds, x, c, CN_LANES);
  else
    for (; c + CN_LANES <= w->channels; c += CN_LANES)
      wide_block(what, kw, stride, np, false, false, w, bounds, x, c, CN_LANES);
  if (c < w->channels) wide_block(what, kw, stride, np, true, true, w, bounds, x, c, (int)(w->channels - c));
}

V_FN void wide_row(kind what, int kw, int stride, const cn_window_call *w, const range *bounds) {
  const int64_t n = w->end - w->begin;
  const int np = n < 7 ? 4 : (n + 6) / 7 * 7 < (n + 7) / 8 * 8 ? 7 : 8;
  for (int64_t i = 0; i < n; i += np) { /* the last block reaches back */
    const int64_t x = w->begin + (i + np <= n ? i : n - np);
    if (np == 8) wide_pixels(what, kw, stride, 8, w, bounds, x);
    else if (np == 7) wide_pixels(what, kw, stride, 7, w, bounds, x);
    else wide_pixels(what, kw, stride, 4, w, bounds, x);
  }
}

#define WIDE(kw, stride)                                                             \
  static void wide_##kw##_##stride(const cn_window_call *w, const range *bounds) { \
    wide_row(DEPTHWISE, kw, stride, w, bounds);                                      \
  }
WIDE(3, 1)
WIDE(5, 1)
WIDE(5, 2)
WIDE(7, 1)
WIDE(7, 2)

static void depthwise_row(const cn_window_call *w, const range *bounds) {
  static void (*const wide[3][2])(const cn_window_call *, const range *) = {
    {wide_3_1, NULL}, {wide_5_1, wide_5_2}, {wide_7_1, wide_7_2}}; /* 3 at stride 2 share too few columns */
  const bool usual = w->end - w->begin >= 4 && w->dilation == 1 && w->stride <= 2 && w->columns % 2 &&
                     w->columns >= 3 && w->columns <= 7;
  void (*const way)(const cn_window_call *, const range *) = usual ? wide[w->columns / 2 - 1][w->stride - 1] : NULL;
  if (way) way(w, bounds);
  else row(DEPTHWISE, w, bounds);
}

#else
static void depthwise_row(const cn_window_call *w, const range *bounds) { row(DEPTHWISE, w, bounds); }
#endif

static const range everything = {-__builtin_inff(), __builtin_inff(), false};

static void depthwise(const cn_window_call *w) {
  const cn_act *act = w->epilogue.act;
  if (act && cn_act_is_clamp(act)) {
    depthwise_row(w, &(range){0, (float)act->b, false});
    return;
  }
  if (act && act->kind == CN_ACT_HARD_SILU) {
    depthwise_row(w, &(range){.hard_silu = true});
    return;
  }
  depthwise_row(w, &everything);
  if (!act || act->kind == CN_ACT_LINEAR) return;
  const bool joined = w->out_pitch == w->channels;
  for (int64_t x = w->begin; x < (joined ? w->begin + 1 : w->end); x++) {
    float *out = (float *)w->out + x * w->out_pitch;
    CN_ISA_NAME(cn_act_math_table).apply(act, out, out, joined ? (w->end - w->begin) * w->channels : w->channels);
  }
}

static void maximum(const cn_window_call *w) { row(MAXIMUM, w, &everything); }
static void average(const cn_window_call *w) {
#if !defined(V_SMALL)
  const bool usual = w->end - w->begin >= 4 && w->stride == 1 && w->dilation == 1 && w->columns == 3;
  if (usual) {
    wide_row(AVERAGE, 3, 1, w, NULL);
    return;
  }
#endif
  row(AVERAGE, w, &everything);
}

const cn_window_kernels CN_ISA_NAME(cn_window_table) = {.depthwise = depthwise, .maximum = maximum, .average = average};
