/* What comes back through maxima and averages of windows, a vector of channels at a time. */
#include "kernels/kernels.h"
#include "kernels/simd.h"

/* One vector of channels in a line of a window: what is left of dy when its places had their part. */
V_FN vf line_of(bool average, const cn_pool_back *b, int64_t at, int64_t places, int left, vf y, vf rest) {
  for (int64_t u = 0; u < places; u++, at += b->pitch) {
    vf some = rest;
    if (!average) {
      const vm takes = v_eq(v_load_n(b->x + at, left), y);
      some = v_select(takes, rest, v_zero());
      rest = v_select(takes, v_zero(), rest);
    }
    if (!b->fresh) some = v_load_n(b->dx + at, left) + some;
    v_store_n(b->dx + at, some, left);
  }
  return rest;
}

/* One window, whose places are columns [low, high) of each line. */
V_FN void window(bool average, const cn_pool_back *b, int64_t output, int64_t low, int64_t high) {
  const double places = b->full > 0 ? b->full : (double)(b->planes * b->lines * (high - low));
  const float share = average ? (float)(1 / places) : 1;
  for (int64_t k = 0; k < b->channels; k += CN_LANES) {
    const int left = b->channels - k < CN_LANES ? (int)(b->channels - k) : CN_LANES;
    vf y = v_zero();
    if (!average) y = v_load_n(b->y + output * b->pitch + k, left);
    vf rest = v_load_n(b->dy + output * b->pitch + k, left) * v_set(share);
    for (int64_t z = 0; z < b->planes; z++)
      for (int64_t v = 0; v < b->lines; v++)
        rest = line_of(average, b, z * b->plane + v * b->line + low * b->pitch + k, high - low, left, y, rest);
  }
}

V_FN void windows(bool average, const cn_pool_back *b) {
  for (int64_t o = 0; o < b->outputs; o++) {
    const int64_t begin = o * b->stride - b->pad, end = begin + b->kernel;
    window(average, b, o, begin > 0 ? begin : 0, end < b->width ? end : b->width);
  }
}

static void maximum(const cn_pool_back *b) { windows(false, b); }
static void average(const cn_pool_back *b) { windows(true, b); }

const cn_pool_back_kernels CN_ISA_NAME(cn_pool_backward_table) = {.maximum = maximum, .average = average};
