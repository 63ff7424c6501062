/* What layers and operations on images share: sizes that keep the aspect ratio, resizing as Keras does it. Images are
 * (height, width, channels) or a batch of them, or with the channels first. */
#ifndef CN_LAYERS_IMAGE_H
#define CN_LAYERS_IMAGE_H

#include "layers/spatial.h"

typedef struct cn_image_resize {
  int64_t height, width;
  int method; /* cn_resize_method */
  bool antialias, channels_first;
  bool crop, pad;    /* to the aspect ratio of the size: the middle alone, or filled up */
  bool exact;        /* the crop's size by double precision, as Python computes it; else as TensorFlow does */
  double fill_value; /* of the filling */
} cn_image_resize;

/* As keras.ops.image.resize: nearest keeps the dtype, else float32. */
cn_edge cn_image_resized(cn_trace *t, cn_edge x, const cn_image_resize *r);
/* The part that begins at (y, x). */
cn_edge cn_image_cropped(cn_trace *t, cn_edge image, bool channels_first, int64_t y, int64_t x, int64_t height,
                         int64_t width);
/* The axis of the height; the width's is the next. -1 after failure: the rank is neither 3 nor 4. */
int cn_image_axis(cn_trace *t, cn_edge x, bool channels_first);
/* A batch with the channels last, and the way back. */
typedef struct cn_image_batch { cn_edge x; bool single, first; } cn_image_batch;
cn_image_batch cn_image_enter(cn_trace *t, cn_edge x, bool channels_first);
cn_edge cn_image_leave(cn_trace *t, const cn_image_batch *b, cn_edge y);
/* A key that holds [lowest, highest] of the images' values; null: 0, 255. */
cn_status cn_image_range(const cn_value *v, double range[2], cn_error *e);
/* AutoContrast: the lowest and the highest value along axes become the ends of the range. */
cn_edge cn_image_stretched(cn_trace *t, cn_edge x, const cn_ints *axes, const double range[2]);
/* The values of one range in another, computed in the dtype of x; equal ranges leave x as it is. */
cn_edge cn_image_ranged(cn_trace *t, cn_edge x, const double from[2], const double to[2]);

#endif
