/* Quantised layers of Keras 3: how a dtype policy and a quantization_config say that weights are kept, which weights a
 * kernel becomes, and how it is computed with. A quantiser sees a kernel as a matrix: what is summed over in rows. */
#ifndef CN_LAYERS_QUANTISED_H
#define CN_LAYERS_QUANTISED_H

#include "layers/layer.h"

typedef enum cn_quantised_mode {
  CN_QUANTISED_NONE,
  CN_QUANTISED_INT8,    /* q / scale */
  CN_QUANTISED_INT4,    /* two to a byte: q / scale, or (q - zero) scale by groups of rows */
  CN_QUANTISED_FLOAT8,  /* floats, rounded to 8 bits when they are used */
  CN_QUANTISED_GPTQ,    /* transposed, unsigned, of 2, 3, 4 or 8 bits: (q - zero) scale by groups of rows */
  CN_QUANTISED_AWQ      /* the same with 4 bits, divided by a scale for each row */
} cn_quantised_mode;

typedef struct cn_quantised {
  cn_quantised_mode mode;
  int64_t block;                 /* rows of a group; -1: all */
  int64_t bits;                  /* gptq, awq */
  int64_t history;               /* float8: largest values kept */
  bool inputs;                   /* int8, int4: inputs are rounded to whole numbers, too */
  double low, high, epsilon;     /* of the inputs */
  cn_ints axes;                  /* over which the inputs' largest value is sought, where the layer leaves that open */
} cn_quantised;

/* inputs: whether the layer quantises int4's inputs when no quantization_config tells; modes: a bit for each that the
 * layer has. */
cn_status cn_quantised_parse(cn_layer *l, bool inputs, unsigned modes, cn_quantised *out, cn_error *e);

/* A kernel and its bias. */
typedef struct cn_kernel_form {
  int rank, scale_rank, bias_rank;   /* bias_rank -1: no bias */
  int64_t shape[CN_MAX_RANK], scale_shape[CN_MAX_RANK], bias_shape[CN_MAX_RANK];
  int64_t rows, columns;             /* as the quantiser's matrix */
} cn_kernel_form;

/* Weights "kernel", "bias" and those of the mode, and of low-rank adaptation where the config says lora_rank. */
cn_status cn_quantised_build(cn_layer *l, const cn_quantised *q, const cn_kernel_form *k, cn_error *e);
/* For build() of other tables. */
cn_status cn_quantised_add(cn_layer *l, const char *name, int rank, const int64_t *shape, cornu_dtype dtype,
                           cn_error *e);
/* For import(): as cn_lora_import; a float8 layer made from its policy has its scales first in .h5. */
cn_status cn_quantised_import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e);

/* The kernel to multiply with: floats, but int8's whole numbers. Without a mode low-rank weights are in it. */
cn_edge cn_quantised_kernel(cn_layer *l, cn_trace *t, const cn_quantised *q, const cn_kernel_form *k);
/* The inputs to multiply with. *scale: by which the result is to be divided, of x's rank; CN_NO_EDGE: not. */
cn_edge cn_quantised_inputs(cn_layer *l, cn_trace *t, const cn_quantised *q, cn_edge x, const cn_ints *axes,
                            cn_edge *scale);
/* The product divided by the scales of kernel (int8) and inputs. */
cn_edge cn_quantised_result(cn_layer *l, cn_trace *t, const cn_quantised *q, cn_edge y, cn_edge scale);
/* The bias, or CN_NO_EDGE. */
cn_edge cn_quantised_bias(cn_layer *l, cn_trace *t, const cn_quantised *q);
/* Bytes to pairs of 4 bits along the last axis, the low half first: (…, (n + 1) / 2) -> (…, n) floats. */
cn_edge cn_unpack_int4(cn_trace *t, cn_edge bytes, int64_t n, bool has_sign);
/* (x - zero) scale, where position i along `axis` of x belongs to group groups[i] along `axis` of scale and zero. */
cn_edge cn_dequantise(cn_trace *t, cn_edge x, cn_edge scale, cn_edge zero, cn_edge groups, int64_t axis);

#endif
