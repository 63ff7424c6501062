/* The ops that layers lower to, with the attributes each takes. Descriptors live in the family files of this room.
 * Images and sequences are channels-last: (batch, spatial…, channels). Axes are 0-based, negative from the end.
 * Every spatial op takes spatial = 1, 2 or 3 and uses the first `spatial` entries of its arrays. */
#ifndef CN_OPS_OPS_H
#define CN_OPS_OPS_H

#include "ops/op.h"

/* ---- unary.c: one input, no attributes, same shape. Predicates give bool; float functions promote integers. ---- */
extern const cn_op cn_op_neg, cn_op_abs, cn_op_sign, cn_op_square, cn_op_sqrt, cn_op_rsqrt, cn_op_reciprocal, cn_op_exp,
    cn_op_exp2, cn_op_expm1, cn_op_log, cn_op_log2, cn_op_log10, cn_op_log1p, cn_op_sin, cn_op_cos, cn_op_tan,
    cn_op_asin, cn_op_acos, cn_op_atan, cn_op_sinh, cn_op_cosh, cn_op_asinh, cn_op_acosh, cn_op_atanh, cn_op_erf,
    cn_op_erfc, cn_op_erfinv, cn_op_cbrt, cn_op_sinc, cn_op_i0, cn_op_i1, cn_op_floor, cn_op_ceil, cn_op_round, cn_op_trunc,
    cn_op_bitwise_not, cn_op_logical_not, cn_op_isnan, cn_op_isinf, cn_op_isposinf, cn_op_isneginf, cn_op_signbit,
    cn_op_isfinite, cn_op_round_float8;
/* ---- activation.c: `activation` takes the act as it is; each act is also an op by its Keras name with its arguments.
 */
typedef struct cn_act_attrs { int64_t unused; cn_act act; } cn_act_attrs;
extern const cn_op cn_op_activation;
/* ---- slope.c: (dy, v) with cn_act_attrs: dy times the slope of the act ---- */
extern const cn_op cn_op_slope;

/* ---- random.c: (run, an int64 scalar) -> shape; the numbers follow from run, seed and stream ---- */
typedef enum cn_random_kind {
  CN_RANDOM_UNIFORM, /* low <= x < high */
  CN_RANDOM_NORMAL,  /* mean low, deviation high */
  CN_RANDOM_KEPT,    /* `high` with probability low, else 0 */
  CN_RANDOM_LOG_GAMMA /* logarithms of gamma numbers of one shape, which is drawn from low to high, above 0 */
} cn_random_kind;
typedef struct cn_random_attrs {
  cn_ints shape;
  int kind;
  cornu_dtype dtype; /* float32 or float64 */
  double low, high;
  int64_t seed, stream;
} cn_random_attrs;
extern const cn_op cn_op_random;

/* ---- gate.c: (…, 2 n) -> (…, n), float32: the first half of the channels, through tanh if wanted, times the sigmoid of
 * the second half ---- */
typedef struct cn_gate_attrs { bool tanh; } cn_gate_attrs;
extern const cn_op cn_op_gate;

/* ---- binary.c: two inputs that broadcast, promoted to one dtype; comparisons and logic give bool, gcd, lcm, bits and
 * shifts take integers alone. ---- */
extern const cn_op cn_op_add, cn_op_sub, cn_op_mul, cn_op_div, cn_op_floordiv, cn_op_mod, cn_op_pow, cn_op_maximum,
    cn_op_minimum, cn_op_squared_difference, cn_op_atan2, cn_op_hypot, cn_op_logaddexp, cn_op_logaddexp2,
    cn_op_nextafter, cn_op_fmod, cn_op_fmax, cn_op_fmin, cn_op_gcd, cn_op_lcm, cn_op_bitwise_and, cn_op_bitwise_or,
    cn_op_bitwise_xor, cn_op_left_shift, cn_op_right_shift, cn_op_equal, cn_op_not_equal, cn_op_less, cn_op_less_equal,
    cn_op_greater, cn_op_greater_equal, cn_op_logical_and, cn_op_logical_or, cn_op_logical_xor;
/* where(condition, a, b), all broadcast; clip(x); nan_to_num(x) */
extern const cn_op cn_op_where, cn_op_clip, cn_op_nan_to_num, cn_op_cast;
typedef struct cn_nan_to_num_attrs { double nan, posinf, neginf; } cn_nan_to_num_attrs; /* NaN: the dtype's largest */
typedef struct cn_clip_attrs { double min, max; } cn_clip_attrs;      /* NaN: no bound */
typedef struct cn_cast_attrs { cornu_dtype dtype; } cn_cast_attrs;    /* float to integer truncates */

/* ---- reduce.c: over `axes` (n = -1: all). mean, var, std of integers are float32; argmax, argmin give int64 and take
 * one axis. */
typedef struct cn_reduce_attrs { cn_ints axes; bool keepdims; } cn_reduce_attrs;
extern const cn_op cn_op_sum, cn_op_mean, cn_op_max, cn_op_min, cn_op_prod, cn_op_any, cn_op_all, cn_op_var, cn_op_std,
    cn_op_logsumexp, cn_op_argmax, cn_op_argmin;
typedef struct cn_cumulate_attrs { int64_t axis; bool exclusive, reverse; } cn_cumulate_attrs;
extern const cn_op cn_op_cumsum, cn_op_cumprod;
typedef struct cn_axis_attrs { int64_t axis; } cn_axis_attrs;
extern const cn_op cn_op_softmax, cn_op_log_softmax, cn_op_sparsemax; /* cn_axis_attrs */
extern const cn_op cn_op_sparsemax_gradient; /* (x, y, dy) -> dx */

/* ---- norm.c ---- */
/* (x, mean, variance, gamma?, beta?): gamma * (x - mean) / sqrt(variance + epsilon) + beta along `axis`. */
typedef struct cn_batch_norm_attrs { int64_t axis; double epsilon; cn_act act; } cn_batch_norm_attrs;
extern const cn_op cn_op_batch_norm;
extern const cn_op cn_op_batch_norm_train, cn_op_batch_norm_back; /* the same attrs; the axis is the last */
/* (x, gamma?, beta?): normalised over `axes`; gamma and beta have the shape of those axes. */
typedef enum cn_layer_norm_kind {
  CN_NORM_STANDARD,  /* (x - mean) / sqrt(variance + epsilon) */
  CN_NORM_VARIANCE,  /* x / sqrt(variance + epsilon): Keras's rms_scaling */
  CN_NORM_RMS        /* x / sqrt(mean of squares + epsilon) */
} cn_layer_norm_kind;
typedef struct cn_layer_norm_attrs { cn_ints axes; double epsilon; int kind; } cn_layer_norm_attrs;
extern const cn_op cn_op_layer_norm;

/* ---- matmul.c ---- */
/* (…, m, k) x (…, k, n), batch dimensions broadcast; a vector counts as a row or a column as in NumPy. */
typedef struct cn_matmul_attrs { bool transpose_a, transpose_b; } cn_matmul_attrs;
extern const cn_op cn_op_matmul;
/* (x (…, k), kernel (k, n), bias? (n)): act(x @ kernel + bias) */
typedef struct cn_dense_attrs { int64_t unused; cn_act act; } cn_dense_attrs;
extern const cn_op cn_op_dense;

/* ---- attention.c ---- */
/* (query (b, t, h, d), key (b, s, g, d), value (b, s, g, e), mask?, bias?) -> (b, t, h, e): softmax(scale * query key +
 * bias) value; h / g heads of the query share one of the others. mask (bool) and bias broadcast to (b, h, t, s). */
typedef struct cn_attention_attrs {
  double scale;
  double masked;             /* what the score of a key that a query does not see becomes … */
  bool lower;                /* … or what is added to it */
  bool clear;                /* and whether its weight is 0 after the softmax */
  bool causal;               /* query i sees keys up to i … */
  int64_t window;            /* … nearer than this; 0: all */
} cn_attention_attrs;
extern const cn_op cn_op_attention;

/* ---- linear.c, factor.c: matrices (…, m, n) of floats ---- */
typedef struct cn_triangle_attrs { bool upper; } cn_triangle_attrs;
extern const cn_op cn_op_cholesky, cn_op_cholesky_inverse; /* cn_triangle_attrs; … of the matrix with this factor */
extern const cn_op cn_op_solve_triangular; /* cn_triangle_attrs; (a (…, n, n), b (…, n) or (…, n, k)) -> b's shape */
extern const cn_op cn_op_solve;            /* as above */
extern const cn_op cn_op_inverse, cn_op_determinant, cn_op_log_determinant; /* of a positive definite matrix */
extern const cn_op cn_op_slogdet;          /* -> sign, logarithm of the absolute value */
extern const cn_op cn_op_lu;               /* -> (…, n, n), int32 (…, n): row i of x is that row of L U */
typedef struct cn_full_attrs { bool full; } cn_full_attrs;
extern const cn_op cn_op_qr;               /* cn_full_attrs -> q, r */
extern const cn_op cn_op_svd;              /* cn_full_attrs -> u, s, v transposed */
extern const cn_op cn_op_singular_values, cn_op_eigh; /* eigh -> values, vectors */
typedef struct cn_rcond_attrs { double rcond; } cn_rcond_attrs; /* NaN: as TensorFlow has it */
extern const cn_op cn_op_pinv, cn_op_lstsq; /* lstsq: (a (m, n), b (m) or (m, k)) -> (n) or (n, k) */

/* ---- conv.c, depthwise.c, conv_transpose.c ---- */
/* Arrays as cornu_apply's callers give them, one entry for all dimensions or one for each; check() spreads them over
 * the arrays of the attributes, with spatial 0: the input's rank - 2. Who fills attributes in C leaves this zero. */
typedef struct cn_spatial_named { cn_ints stride, dilation, pad_begin, pad_end, size; } cn_spatial_named;
typedef struct cn_conv_attrs {
  int spatial;
  int64_t stride[3], dilation[3], pad_begin[3], pad_end[3];
  int64_t groups;            /* conv alone; 0 counts as 1 */
  cn_act act;
  cn_spatial_named named;
} cn_conv_attrs;
/* (x (b, s…, c), kernel (k…, c / groups, f), bias? (f)) -> (b, o…, f), o = (s + pads - (k - 1) * dilation - 1) / stride
 * + 1 */
extern const cn_op cn_op_conv;
extern const cn_op cn_op_depthwise_conv; /* (x (b, s…, c), kernel (k…, c, m), bias? (c * m)) -> (b, o…, c * m) */
/* (x (b, s…, c), kernel (k…, f, c), bias? (f)): the gradient of conv to its input, cropped:
 * o = (s - 1) * stride + (k - 1) * dilation + 1 - crop_begin - crop_end; negative crops add zeros before the bias. */
typedef struct cn_conv_transpose_attrs {
  int spatial;
  int64_t stride[3], dilation[3], crop_begin[3], crop_end[3];
  cn_act act;
  cn_spatial_named named;
} cn_conv_transpose_attrs;
extern const cn_op cn_op_conv_transpose;

/* ---- kernel_gradient.c, depthwise_gradient.c: (x (b, s…, c), dy (b, o…, f)) -> the kernel's shape: what comes back to the
 * kernel of a (depthwise) convolution of x; size: of the kernel; the padding behind does not matter ---- */
typedef struct cn_kernel_gradient_attrs { cn_conv_attrs conv; int64_t size[3]; } cn_kernel_gradient_attrs;
extern const cn_op cn_op_kernel_gradient, cn_op_depthwise_gradient;

/* ---- pool.c ---- (b, s…, c) -> (b, o…, c) */
typedef struct cn_pool_attrs {
  int spatial;
  int64_t size[3], stride[3], pad_begin[3], pad_end[3];
  bool average;              /* else maximum; padding never wins a maximum (-inf) */
  bool count_padding;        /* the average divides by the whole window, not by its real elements */
  cn_spatial_named named;
} cn_pool_attrs;
extern const cn_op cn_op_pool;
/* ---- pool_gradient.c: (x, y, dy) with the pool's attributes -> dx; of equal maxima the first gets all ---- */
extern const cn_op cn_op_pool_gradient;

/* ---- adaptive_pool.c ---- (b, s…, c) -> (b, size…, c), float32 or float64 */
typedef struct cn_adaptive_pool_attrs {
  int spatial;
  int64_t size[3];
  bool average;              /* else maximum */
  cn_ints named;             /* the size as cornu_apply's callers give it */
} cn_adaptive_pool_attrs;
extern const cn_op cn_op_adaptive_pool;
extern const cn_op cn_op_adaptive_pool_gradient; /* (x, dy) -> dx */

/* ---- shape.c: views ---- */
#define CN_DIM_INFER (-1)
#define CN_DIM_COPY (-2)     /* the input's dimension at the same place */
#define CN_DIM_OPEN (-4)     /* not known in this trace: no plan is made with it */
typedef struct cn_reshape_attrs { cn_ints shape; } cn_reshape_attrs;  /* at most one CN_DIM_INFER */
extern const cn_op cn_op_reshape;
extern const cn_op cn_op_stop_gradient;
extern const cn_op cn_op_expand_dims; /* cn_axis_attrs: where the new axis will be */
extern const cn_op cn_op_bitcast;     /* cn_cast_attrs: the bytes as they are */
extern const cn_op cn_op_shape;       /* int32 vector; see also cn_trace_value */
extern const cn_op cn_op_squeeze;     /* cn_reduce_attrs: axes of size 1 (n = -1: all such); keepdims is unused */
/* ---- fold.c: views ---- (a, b, …) -> (a * b, …) and back: unfold(x, like) takes a and b from `like`. */
extern const cn_op cn_op_fold, cn_op_unfold;
/* ---- move.c: copies ---- */
typedef struct cn_ints_attrs { cn_ints v; } cn_ints_attrs;
extern const cn_op cn_op_transpose;    /* cn_ints_attrs: v = permutation (n = -1: reversed) */
/* cn_ints_attrs: v = shape; CN_DIM_COPY keeps (counted from the end, as broadcasting) */
extern const cn_op cn_op_broadcast_to;
extern const cn_op cn_op_tile;         /* cn_ints_attrs: v = repeats, one per axis */
extern const cn_op cn_op_reverse;      /* cn_ints_attrs: v = axes */
typedef struct cn_repeat_attrs { int64_t axis, count; } cn_repeat_attrs;
extern const cn_op cn_op_repeat;       /* every element `count` times along the axis (nearest up-sampling) */
extern const cn_op cn_op_concat, cn_op_stack; /* cn_axis_attrs; any number of inputs */
typedef struct cn_split_attrs { int64_t axis, count; } cn_split_attrs;
extern const cn_op cn_op_split;        /* `count` equal parts */
/* begin, end, step for each of `axes`; CN_NULL_INT begin or end: open; negative from the end; negative steps reverse.
 */
typedef struct cn_slice_attrs { cn_ints axes, begin, end, step; } cn_slice_attrs;
extern const cn_op cn_op_slice;
typedef enum cn_pad_mode { CN_PAD_CONSTANT, CN_PAD_REFLECT, CN_PAD_SYMMETRIC, CN_PAD_EDGE } cn_pad_mode;
typedef struct cn_pad_attrs { cn_ints before, after; double value; int mode; } cn_pad_attrs; /* one entry per axis */
extern const cn_op cn_op_pad;
/* (table, indices of any number type, truncated) cn_axis_attrs; an index out of range gives NaN rows for floats, zero
 * for others */
extern const cn_op cn_op_gather;
/* ---- scatter.c ---- (x, indices (i…, d), updates): at each index, in their order */
typedef enum cn_scatter_reduction {
  CN_SCATTER_SET, CN_SCATTER_ADD, CN_SCATTER_MUL, CN_SCATTER_MAX, CN_SCATTER_MIN
} cn_scatter_reduction;
typedef struct cn_scatter_attrs { int reduction; } cn_scatter_attrs;
extern const cn_op cn_op_scatter;
extern const cn_op cn_op_slice_at;     /* (x, begin) cn_ints_attrs: v = size of the block */
extern const cn_op cn_op_slice_update; /* (x, block, begin), begin moved so that the block fits */
/* (x (n, …), ids (n)) -> (count, …) */
typedef struct cn_segment_attrs { int64_t count; int reduction; bool zero_empty; } cn_segment_attrs;
extern const cn_op cn_op_segment;
/* ---- frames.c ---- */
typedef struct cn_frames_attrs { int64_t length, stride; } cn_frames_attrs;
extern const cn_op cn_op_frames;       /* (…, t) -> (…, n, length) */
extern const cn_op cn_op_overlap_add;  /* (…, n, length) -> (…, (n - 1) * stride + length); length is unused */
typedef struct cn_one_hot_attrs { int64_t depth; cornu_dtype dtype; } cn_one_hot_attrs;
extern const cn_op cn_op_one_hot;
typedef struct cn_fill_attrs { double value; cornu_dtype dtype; } cn_fill_attrs; /* CORNU_DTYPES: the input's */
extern const cn_op cn_op_full_like;    /* the input's shape, filled with value */
/* ---- sort.c: along an axis; NaN after all numbers. argsort and top_k's second output are int32. ---- */
typedef struct cn_sort_attrs { int64_t axis, k; bool descending; } cn_sort_attrs; /* k: top_k alone */
extern const cn_op cn_op_sort, cn_op_argsort, cn_op_top_k;
/* ---- quantile.c: (x (…, n), q (k…)) -> (k…, …) ---- */
#define CN_QUANTILE_CHOICES "linear lower higher midpoint nearest"
typedef enum cn_quantile_method {
  CN_QUANTILE_LINEAR, CN_QUANTILE_LOWER, CN_QUANTILE_HIGHER, CN_QUANTILE_MIDPOINT, CN_QUANTILE_NEAREST
} cn_quantile_method;
typedef struct cn_quantile_attrs { int method; bool skip_nan; } cn_quantile_attrs;
extern const cn_op cn_op_quantile;
typedef struct cn_quantile_weights_attrs { cn_quantile_attrs quantile; int64_t n; } cn_quantile_weights_attrs;
extern const cn_op cn_op_quantile_weights; /* q (k…) -> (k…, n): of the elements of a sorted line */
/* ---- search.c ---- */
extern const cn_op cn_op_take_along_axis; /* (x, indices) of one shape, the axis apart; cn_axis_attrs */
/* (dy, indices): its gradient, n elements along the axis: what comes to the same place is added up */
typedef struct cn_put_attrs { int64_t axis, n; } cn_put_attrs;
extern const cn_op cn_op_put_along_axis;
typedef struct cn_search_attrs { int side; } cn_search_attrs; /* 0: before equal elements, 1: behind them */
extern const cn_op cn_op_searchsorted;    /* (sequence (n), values): int32 */
/* ---- triangle.c: of the last two axes ---- */
typedef struct cn_offset_attrs { int64_t offset; } cn_offset_attrs;
extern const cn_op cn_op_diagonal, cn_op_diag, cn_op_tril, cn_op_triu;
/* ---- resize.c: (b, h, w, c), float32, nearest of any dtype. Either size or scale (scale[i] = 0: size). ---- */
#define CN_RESIZE_CHOICES "nearest bilinear bicubic area gaussian lanczos3 lanczos5 mitchellcubic"
typedef enum cn_resize_method {
  CN_RESIZE_NEAREST, CN_RESIZE_BILINEAR, CN_RESIZE_BICUBIC, CN_RESIZE_AREA, CN_RESIZE_GAUSSIAN, CN_RESIZE_LANCZOS3,
  CN_RESIZE_LANCZOS5, CN_RESIZE_MITCHELLCUBIC
} cn_resize_method;
typedef enum cn_resize_grid { CN_GRID_HALF_PIXEL, CN_GRID_ASYMMETRIC, CN_GRID_ALIGN_CORNERS } cn_resize_grid;
/* named: the size as cornu_apply's callers give it; check() spreads it. */
typedef struct cn_resize_attrs {
  int64_t size[2], scale[2];
  int method, grid;
  bool antialias;
  cn_ints named;
} cn_resize_attrs;
extern const cn_op cn_op_resize;

/* ---- fft.c: along the last axis, float32 or float64; parts of complex numbers are separate values. ----
 * fft (re, im) -> re, im; rfft (x (…, n)) -> re, im (…, n / 2 + 1); irfft (re, im (…, k)) -> x (…, 2 (k - 1)).
 * length: inputs are cut or continued with zeros; not above 0: the input's. inverse: fft alone, divided by the length.
 */
typedef struct cn_fft_attrs { int64_t length; bool inverse; } cn_fft_attrs;
extern const cn_op cn_op_fft, cn_op_rfft, cn_op_irfft;

/* ---- clahe.c: images of int32 values 0 … 255 to float32 ---- */
typedef struct cn_clahe_attrs { cn_ints tiles; double clip_limit; } cn_clahe_attrs; /* along the height, the width */
extern const cn_op cn_op_clahe;

/* ---- ctc.c, ctc_decode.c ---- */
typedef struct cn_ctc_attrs { int64_t blank; } cn_ctc_attrs; /* negative from the end */
/* (labels int32 (b, l), logits (b, t, c), label lengths, logit lengths int32 (b)) -> (b) */
extern const cn_op cn_op_ctc_loss;
extern const cn_op cn_op_ctc_gradient; /* (…, dy (b)) -> what comes back to the logits */
typedef struct cn_ctc_decode_attrs {
  bool beam, merge;          /* merge: greedy alone */
  int64_t width, paths, blank; /* blank CN_NULL_INT: the last class */
} cn_ctc_decode_attrs;
/* (logits (b, t, c), lengths int32 (b)) -> int32 (paths, b, t), scores (b, paths) */
extern const cn_op cn_op_ctc_decode;

/* ---- patches.c ---- windows of an image, side by side: (b, s…, c) -> (b, o…, k… * c), of any dtype; and the sum of
 * such windows at their places: (b, o…, k… * c) -> (b, s…, c), float32 or float64, s given by `size`. */
typedef struct cn_patches_attrs {
  int spatial;
  int64_t window[3], stride[3], dilation[3], pad_begin[3], pad_end[3], size[3];
} cn_patches_attrs;
extern const cn_op cn_op_patches, cn_op_sum_patches;
/* ---- depth_space.c ---- (b, h, w, c) -> (b, h n, w n, c / n²) and back */
typedef struct cn_block_attrs { int64_t n; } cn_block_attrs;
extern const cn_op cn_op_depth_to_space, cn_op_space_to_depth;

/* ---- warp.c ---- (images (b, h, w, c) of any dtype, transformations (b or 1, 8)); the points of homography are
 * (b, 4, 2). What lies outside: a value, or the image continued. */
typedef enum cn_fill_mode {
  CN_FILL_CONSTANT, CN_FILL_NEAREST, CN_FILL_WRAP, CN_FILL_REFLECT, CN_FILL_MIRROR
} cn_fill_mode;
typedef struct cn_warp_attrs { int fill; bool nearest; double value; } cn_warp_attrs; /* not CN_FILL_MIRROR */
extern const cn_op cn_op_warp, cn_op_homography;
/* ---- sample.c ---- (x of any dtype, coordinates float64 (rank of x, …)); whole: values are truncated */
typedef struct cn_map_attrs { int fill; int64_t order; double value; bool whole; } cn_map_attrs; /* order 0 or 1 */
extern const cn_op cn_op_map_coordinates;
extern const cn_op cn_op_map_gradient; /* (x, coordinates, dy) -> what comes back to x, and to the coordinates */
typedef enum cn_resample_kernel {
  CN_RESAMPLE_LINEAR, CN_RESAMPLE_CUBIC, CN_RESAMPLE_LANCZOS3, CN_RESAMPLE_LANCZOS5
} cn_resample_kernel;
typedef struct cn_resample_attrs { int64_t from, to; int kernel; bool antialias; } cn_resample_attrs;
extern const cn_op cn_op_resample_weights; /* (scale (), translation ()) -> (from, to) */
/* ---- color.c ---- (…, 3) */
extern const cn_op cn_op_rgb_to_hsv, cn_op_hsv_to_rgb;
extern const cn_op cn_op_rgb_to_hsv_gradient, cn_op_hsv_to_rgb_gradient; /* (x, dy) -> dx */

/* ---- rnn.c ----
 * Inputs (x (b, t, in), kernel (in, g u), recurrent (u, g u), bias?, mask? bool (b, t), h0? (b, u), c0? (b, u)), gates
 * as Keras stores them: LSTM i f c o (g = 4), GRU z r h (g = 3), simple g = 1. bias: (g u); GRU with reset_after (2, g
 * u). Outputs: 0 the sequence (b, t, u) in processing order, or the last output (b, u) unless `sequences`; 1 the last
 * h; 2 the last c (lstm alone). Where the mask is false, state and output carry over (output zeros before the first
 * true step, and at every false step when zero_masked). go_backwards processes t-1 … 0. An absent state is zeros.
 * keeps: a last output is what gradients need (recurrent.h). */
typedef struct cn_rnn_attrs {
  bool sequences, go_backwards, reset_after, zero_masked, keeps;
  cn_act act, recurrent_act;
} cn_rnn_attrs;
extern const cn_op cn_op_simple_rnn, cn_op_lstm, cn_op_gru;
/* ---- rnn_gradient.c ---- (x, kernel, recurrent, mask?, kept, dy?, dh?, dc?) -> those `wanted` of x, kernel, recurrent,
 * bias, h0, c0 */
enum { CN_RNN_DX, CN_RNN_DKERNEL, CN_RNN_DRECURRENT, CN_RNN_DBIAS, CN_RNN_DH, CN_RNN_DC, CN_RNN_GRADIENTS };
typedef struct cn_rnn_gradient_attrs { cn_rnn_attrs rnn; bool wanted[CN_RNN_GRADIENTS]; } cn_rnn_gradient_attrs;
extern const cn_op cn_op_simple_rnn_gradient, cn_op_lstm_gradient, cn_op_gru_gradient;

/* ---- hash.c: strings and whole numbers (as decimal text) into buckets: int64 ---- */
typedef struct cn_hash_attrs { int64_t bins; cn_ints key; } cn_hash_attrs; /* key: two numbers for SipHash; n = -1 */
extern const cn_op cn_op_hash_bucket;  /* (x, mask?): the mask alone has bucket 0 */
extern const cn_op cn_op_hash_cross;   /* (x, y, …); no key */
/* ---- lookup.c ---- */
typedef struct cn_lookup_attrs { int64_t first, missing; } cn_lookup_attrs;
/* (x, vocabulary): position + first, or missing; int64. The vocabulary is constant and repeats nothing. */
extern const cn_op cn_op_lookup;
extern const cn_op cn_op_refuse_missing; /* (positions, values): fails where a position is negative */
/* ---- vectorize.c: texts to numbers of their words ---- */
enum { CN_MAX_GRAM = 32 };
typedef enum cn_split { CN_SPLIT_NONE, CN_SPLIT_WHITESPACE, CN_SPLIT_CHARACTER } cn_split;
typedef struct cn_vectorize_attrs {
  bool lower, strip;               /* ASCII letters; ASCII punctuation */
  int split;
  cn_ints widths;                  /* of n-grams, one kind after the other; n = -1: words alone */
  int64_t length;                  /* columns of numbers, filled up with 0 … */
  int64_t depth;                   /* … or, when not 0, columns of counts */
  bool once;                       /* counts stop at 1 */
  int64_t first, missing, empty;   /* numbers of the first word, of unknown ones, of the empty one (< 0: left out) */
} cn_vectorize_attrs;
/* (x, vocabulary): without a split the words of a row are along the last axis; int64 (…, length or depth) */
extern const cn_op cn_op_vectorize;
extern const cn_op cn_op_count_words; /* (x), the same attributes: the most words, or n-grams, of a row; int64 scalar */
/* Shows the words, or n-grams, of a row: one text that is split, or n words. false: no memory, or a visit returned it. */
bool cn_each_word(const cn_vectorize_attrs *a, const cornu_text *texts, int64_t n,
                  bool (*visit)(void *user, cornu_text word), void *user);
/* ---- encode.c ---- */
extern const cn_op cn_op_bucketize; /* (x, rising boundaries): how many are not above x; int64 */
enum { CN_RANGE_ANY, CN_RANGE_POSITIVE, CN_RANGE_ALL }; /* which categories may come: others fail, or are left out */
typedef struct cn_encode_attrs { int64_t depth; bool count; int range; cornu_dtype dtype; } cn_encode_attrs;
/* (indices (…, n), weights?) -> (…, depth): 1 where the category is in the row, or how often, or the sum of weights */
extern const cn_op cn_op_encode_categories;

/* ---- host_call.c: an eager custom layer ---- */
typedef struct cn_host_call_attrs {
  void *user;
  cn_status (*call)(void *user, cn_tensor *const *in, int n_in, cn_tensor **out, int n_out, cn_error *e);
  cn_type out;
} cn_host_call_attrs;
extern const cn_op cn_op_host_call;

#endif
