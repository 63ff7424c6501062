/* Windows that slide over images: sizes, checks, and padded copies, for conv, depthwise, conv_transpose and pool. */
#ifndef CN_OPS_SPATIAL_H
#define CN_OPS_SPATIAL_H

#include "ops/gradient.h"
#include "ops/ops.h"

/* A sliding window in three dimensions; unused leading ones have size 1. */
typedef struct cn_spatial {
  int64_t batch, channels, pitch; /* pitch: elements from one pixel of the input to the next */
  int64_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3]; /* pad: before */
} cn_spatial;

/* The number of spatial dimensions: the attribute's, or the rank's where the op was called by name; checks the rank and
 * the lengths of named arrays. */
cn_status cn_spatial_rank(const char *op, const cn_type *x, int spatial, const cn_spatial_named *named, int *out,
                          cn_error *e);
/* The input is float32 or float64, and so is a kernel. */
cn_status cn_spatial_floats(const char *op, const cn_type *x, const cn_type *kernel, cn_error *e);
/* Input 2, when it is there. */
cn_status cn_conv_bias(const char *op, const cn_typing *t, int64_t filters, cn_error *e);
/* Output size along one dimension; -1 where it is unknown. */
cn_status cn_spatial_out(const char *op, int dim, int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                         int64_t pad_begin, int64_t pad_end, int64_t *out, cn_error *e);
/* Spreads a named array (absent: `standard`) over three entries, each at least `least`. */
cn_status cn_spatial_spread(const char *name, const cn_ints *from, int64_t standard, int64_t least, int64_t out[3],
                            cn_error *e);

/* Copies the last `spatial` entries: to[3 - spatial …] = from[0 …], the others `fill`. */
void cn_spatial_lift(int64_t to[3], const int64_t *from, int spatial, int64_t fill);
/* The geometry of a step whose operands have their shapes. */
void cn_spatial_fill(cn_spatial *g, const cn_operand *x, const cn_operand *out, int spatial);
/* Positions that the windows touch along dimension i, padding included. */
int64_t cn_spatial_extent(const cn_spatial *g, int i);
/* Elements from an image, a depth and a row to the next one by `stride` in images of size[0] x size[1] x size[2] pixels. */
void cn_spatial_steps(int64_t step[3], const int64_t size[3], const int64_t stride[3], int64_t pixel);

/* `images` images with zeros around them (negative: parts cut off), each size[0] x size[1] x size[2] pixels, the first
 * pixel being (-pad[0], -pad[1], -pad[2]) of the original; on all threads. */
void cn_spatial_copy(size_t item, void *to, const void *from, const cn_spatial *g, const int64_t pad[3],
                     const int64_t size[3], int64_t images, int64_t repeat); /* every value `repeat` times in a row */

/* How many images to copy at a time, when one copied image has `values` elements: a few MiB together. */
int64_t cn_spatial_chunk(int64_t batch, int64_t values);

/* The depthwise convolution of a step, for conv with one channel a group as well: kernel (k…, channels,
 * multiplier). */
cn_status cn_depthwise_plan(struct cn_planner *p, cn_step *s, const cn_spatial *g, int64_t multiplier,
                            const cn_act *act, cn_error *e);
/* What kernel_gradient and depthwise_gradient (x, dy) share: checks; the kernel's rank and places in t->out[0]; the
 * geometry of the convolution of x. */
cn_status cn_kernel_gradient_places(const char *op, cn_typing *t, cn_error *e);
void cn_kernel_gradient_geometry(cn_spatial *g, const cn_step *s);
/* And the gradient of the depthwise convolution. */
void cn_depthwise_gradient(cn_gradient *g, int64_t multiplier);

#endif
