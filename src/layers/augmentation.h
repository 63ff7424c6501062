/* What training does to images: augment.c; and the layers that say so: augmentation.c. */
#ifndef CN_LAYERS_AUGMENTATION_H
#define CN_LAYERS_AUGMENTATION_H

#include "layers/image.h"

/* Amounts are numbers or pairs of them. */
enum { CN_MOST_AMOUNTS = 6 };
typedef struct cn_augmentation {
  const cn_value *amount[CN_MOST_AMOUNTS];
  int choice[2], data_format;
  int64_t count[2], seed;
  bool flag;
} cn_augmentation;
enum { CN_AUGMENT_FACTOR = 0, CN_AUGMENT_RANGE = 1, CN_AUGMENT_FILL_VALUE = 5 };
enum { CN_AUGMENT_METHOD = 0, CN_AUGMENT_FILL = 1 };
#define CN_AUGMENT_FILLS "reflect wrap constant nearest mirror"

/* Of a batch of images (batch, height, width, channels). */
typedef cn_edge cn_augment(cn_layer *l, cn_trace *t, cn_edge x);
cn_augment cn_augment_flip, cn_augment_rotate, cn_augment_translate, cn_augment_zoom, cn_augment_shear,
    cn_augment_brightness, cn_augment_contrast, cn_augment_saturation, cn_augment_hue, cn_augment_grayscale,
    cn_augment_invert, cn_augment_posterize, cn_augment_sharpen, cn_augment_erase, cn_augment_tilt,
    cn_augment_degenerate, cn_augment_solarize, cn_augment_jitter, cn_augment_blur, cn_augment_elastic,
    cn_augment_equalize, cn_augment_mix_up, cn_augment_cut_mix, cn_augment_rand_augment, cn_augment_aug_mix;

/* Numbers from low to high, one for each image, or one for all: (batch, 1, 1, 1). */
cn_edge cn_augment_draw(const cn_layer *l, cn_trace *t, int64_t batch, double low, double high, int64_t seed);

#endif
