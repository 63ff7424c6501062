/* What the files that change images in training share. Images are (batch, height, width, channels). */
#ifndef CN_LAYERS_AUGMENT_H
#define CN_LAYERS_AUGMENT_H

#include "layers/augmentation.h"
#include "layers/emit.h"

static inline const cn_augmentation *cn_augment_of(const cn_layer *l) { return l->settings; }
static inline int64_t cn_augment_seed(const cn_layer *l) {
  return cn_augment_of(l)->seed == CN_NULL_INT ? 0 : cn_augment_of(l)->seed;
}

/* An amount: a pair, in any order, or a number for those from -number (at least `least`) up to it. */
void cn_augment_bounds(const cn_layer *l, int amount, double least, double out[2]);
/* A number for each image of x, (batch, 1, 1, 1): between two; between the bounds of an amount. */
cn_edge cn_augment_between(cn_layer *l, cn_trace *t, cn_edge x, double low, double high);
cn_edge cn_augment_drawn(cn_layer *l, cn_trace *t, cn_edge x, int amount, double least);
/* Which images change, where the factor is a probability; it is drawn, too. */
cn_edge cn_augment_some(cn_layer *l, cn_trace *t, cn_edge x);
void cn_augment_range(cn_layer *l, cn_trace *t, double range[2]);
/* Whether places along an axis of n are from begin on within a length. */
cn_edge cn_augment_span(cn_trace *t, int axis, int64_t n, cn_edge begin, cn_edge length);

static inline cn_edge cn_plus(cn_trace *t, cn_edge a, cn_edge b) { return cn_emit2(t, &cn_op_add, NULL, a, b); }
static inline cn_edge cn_minus(cn_trace *t, cn_edge a, cn_edge b) { return cn_emit2(t, &cn_op_sub, NULL, a, b); }
static inline cn_edge cn_times(cn_trace *t, cn_edge a, cn_edge b) { return cn_emit2(t, &cn_op_mul, NULL, a, b); }
static inline cn_edge cn_by(cn_trace *t, cn_edge a, double v) { return cn_times(t, a, cn_emit_number(t, v)); }
static inline cn_edge cn_off(cn_trace *t, cn_edge a, double v) { return cn_plus(t, a, cn_emit_number(t, v)); }
static inline cn_edge cn_where(cn_trace *t, cn_edge mask, cn_edge yes, cn_edge no) {
  return cn_emit3(t, &cn_op_where, NULL, mask, yes, no);
}
static inline cn_edge cn_clipped(cn_trace *t, cn_edge x, const double range[2]) {
  return cn_emit1(t, &cn_op_clip, &(cn_clip_attrs){range[0], range[1]}, x);
}

/* The changes themselves, by amounts between bounds b. */
typedef cn_edge cn_augment_by(cn_layer *l, cn_trace *t, cn_edge x, const double b[2]);
cn_augment_by cn_augment_brightened, cn_augment_contrasted, cn_augment_degenerated, cn_augment_sharpened,
    cn_augment_posterized;
cn_edge cn_augment_solarized(cn_layer *l, cn_trace *t, cn_edge x, const double addition[2], const double threshold[2]);
cn_edge cn_augment_equalized(cn_layer *l, cn_trace *t, cn_edge x, int64_t bins);
/* Places as projections: where a pixel at (x, y) comes from is (r0 x + r1 y + r2, r3 x + r4 y + r5). */
void cn_augment_rotation(cn_layer *l, cn_trace *t, cn_edge x, const double b[2], cn_edge rows[6]);
void cn_augment_translation(cn_layer *l, cn_trace *t, cn_edge x, const double by[2], const double bx[2],
                            cn_edge rows[6]);
void cn_augment_shearing(cn_layer *l, cn_trace *t, cn_edge x, const double bx[2], const double by[2], cn_edge rows[6]);
cn_edge cn_augment_warped(cn_layer *l, cn_trace *t, cn_edge x, const cn_edge rows[6]);

#endif
