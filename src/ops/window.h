/* Sliding windows without a padded copy: which places of the window fall onto the image, for each row of the output. */
#ifndef CN_OPS_WINDOW_H
#define CN_OPS_WINDOW_H

#include "kernels/kernels.h"
#include "ops/spatial.h"

typedef struct cn_window_taps {
  int taps, rows;
  int64_t *offset, *weight; /* elements: from the first pixel of the row's window; into the weights */
  int64_t *row_offset, *row_weight; /* the same of the first tap in each row of the window */
  int32_t *first, *last;
  double *scale;            /* for each pixel 1 / number of places that count; NULL: not asked for */
} cn_window_taps;

typedef struct cn_sliding {
  cn_spatial g;
  size_t item;                /* bytes of an element */
  int64_t in_pitch, out_pitch; /* elements from pixel to pixel */
  int y_classes;
  int32_t *z_class, *y_class; /* for each output depth and row: which places are inside */
  cn_window_taps *taps;       /* [z class][y class] */
} cn_sliding;

typedef enum cn_window_scale { CN_SCALE_NONE, CN_SCALE_INSIDE, CN_SCALE_WHOLE } cn_window_scale;

/* All in front of y_classes is set. */
cn_status cn_window_plan(struct cn_planner *p, cn_sliding *w, cn_window_scale scale, cn_error *e);
/* Rows of `images` images on all threads. */
void cn_window_run(const cn_sliding *w, void (*kernel)(const cn_window_call *), const void *x, const void *weights,
                   const cn_epilogue *epilogue, void *out, int64_t images);

#endif
