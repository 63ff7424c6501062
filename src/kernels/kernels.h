/* The compute kernels: raw pointers, sizes and pitches; no errors, no allocation, no threads. A family of kernels is a
 * table of function pointers, compiled once per instruction set from kernels/isa/ and chosen by cn_cpu_isa(). */
#ifndef CN_KERNELS_KERNELS_H
#define CN_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "kernels/act.h"

/* In a header: declares the table of each instruction set and `const type *name(void)`, the one for this CPU. The file
 * in isa/ defines `const type CN_ISA_NAME(name##_table)`; CN_KERNELS_DEFINE in a plain file defines the function. */
#define CN_TABLE_DECLARED_(isa, type, name) extern const type name##_table_##isa;
#define CN_TABLE_ADDRESS_(isa, name) &name##_table_##isa,
#define CN_KERNELS_DECLARE(type, name)         \
  CN_EACH_ISA(CN_TABLE_DECLARED_, type, name)  \
  const type *name(void)
#define CN_KERNELS_OF(name) {CN_EACH_ISA(CN_TABLE_ADDRESS_, name)} /* indexed by cn_isa */
#define CN_KERNELS_DEFINE(type, name)                   \
  const type *name(void) {                              \
    static const type *const of[] = CN_KERNELS_OF(name); \
    return of[cn_cpu_isa()];                            \
  }

/* ---- Activations and elementary functions. y may be x. ---- */
typedef struct cn_act_kernels {
  void (*apply)(const cn_act *act, float *y, const float *x, int64_t n);
  /* rows of n values, a pitch from one to the next */
  void (*rows)(const cn_act *act, float *y, const float *x, int64_t pitch, int64_t rows, int64_t n);
  void (*exp)(float *y, const float *x, int64_t n);
  void (*expm1)(float *y, const float *x, int64_t n);
  void (*log)(float *y, const float *x, int64_t n);
  void (*log1p)(float *y, const float *x, int64_t n);
  void (*tanh)(float *y, const float *x, int64_t n);
  void (*sigmoid)(float *y, const float *x, int64_t n);
  void (*erf)(float *y, const float *x, int64_t n);
  /* y[i] = f(x[i]) * sigmoid(x[n + i]), f: tanh or nothing; rows of n, and of 2 n */
  void (*gate)(bool with_tanh, float *y, const float *x, int64_t rows, int64_t n);
} cn_act_kernels;
CN_KERNELS_DECLARE(cn_act_kernels, cn_act_math);
void cn_act_apply(const cn_act *act, float *y, const float *x, int64_t n);
void cn_act_apply_items(size_t item, const cn_act *act, void *y, const void *x, int64_t n); /* float or double */
/* Whether the act is min(b, max(0, x)): ReLU, ReLU6. */
static inline bool cn_act_is_clamp(const cn_act *act) { return act->kind == CN_ACT_RELU && act->a == 0 && act->c == 0; }
double cn_act_double(const cn_act *act, double x); /* one value by libm: for float64 and as the reference of tests */

/* ---- Slopes of activations. v is the result y where cn_act_by_result says that it tells enough, else x. ---- */
bool cn_act_by_result(const cn_act *act);
typedef struct cn_slope_kernels { /* dx = dy * slope at v; dx may be dy or v */
  void (*backward)(const cn_act *act, float *dx, const float *dy, const float *v, int64_t n);
} cn_slope_kernels;
CN_KERNELS_DECLARE(cn_slope_kernels, cn_slope);
double cn_slope_double(const cn_act *act, double v);

/* ---- Arithmetic of two operands: rows of `length` results. out may be a or b. ---- */
typedef enum cn_binary_kind {
  CN_BINARY_ADD, CN_BINARY_SUB, CN_BINARY_MUL, CN_BINARY_DIV, CN_BINARY_MAXIMUM, CN_BINARY_MINIMUM, /* NaN wins */
  CN_BINARY_SQUARED_DIFFERENCE
} cn_binary_kind;
typedef struct cn_binary_call {
  const float *a, *b;
  float *out;
  int64_t rows, length, a_row, b_row, out_row; /* *_row: elements from one row to the next */
  bool a_one, b_one;                           /* one value stands for the whole row */
  const cn_act *act;                           /* NULL: linear */
} cn_binary_call;
typedef struct cn_binary_kernels { void (*run)(cn_binary_kind kind, const cn_binary_call *call); } cn_binary_kernels;
CN_KERNELS_DECLARE(cn_binary_kernels, cn_binary);

/* ---- Reductions. NaN wins extremes, and there is at least one row of at least one element. ---- */
typedef struct cn_reduce_kernels {
  /* to[j] = sum over rows of x[r * pitch + j], or of (x[r * pitch + j] - centers[j])² where there are centers */
  void (*sum_columns)(const float *x, int64_t pitch, int64_t rows, int64_t n, const float *centers, double *to);
  void (*extreme_columns)(bool largest, const float *x, int64_t pitch, int64_t rows, int64_t n, float *to);
  double (*sum_row)(const float *x, int64_t n);
  double (*sum_squares)(const float *x, int64_t n, float center);
  float (*extreme_row)(bool largest, const float *x, int64_t n);
} cn_reduce_kernels;
CN_KERNELS_DECLARE(cn_reduce_kernels, cn_reduce);

/* ---- Normalisation. y may be x. ---- */
typedef struct cn_layer_rows { /* contiguous rows of n values: (x - center) / sqrt(variance + epsilon) * gamma + beta */
  int64_t n;
  const float *gamma, *beta;   /* or NULL */
  double epsilon;
  bool center;                 /* the mean; else 0 */
  bool squares;                /* the mean of squares in place of the variance */
} cn_layer_rows;
typedef struct cn_scaled_rows {  /* rows of n values, in and out elements apart: act(x * scale + shift) */
  int64_t n, in, out;
  const float *scale, *shift;
  const cn_act *act;             /* NULL: linear */
} cn_scaled_rows;
typedef struct cn_norm_kernels {
  void (*layer)(const cn_layer_rows *l, const float *x, float *y, int64_t rows);
  void (*softmax)(const float *x, float *y, int64_t rows, int64_t n);
  void (*log_softmax)(const float *x, float *y, int64_t rows, int64_t n);
  /* Over n values that are `pitch` elements apart, for neighbouring columns. */
  void (*softmax_columns)(bool logarithm, const float *x, float *y, int64_t n, int64_t pitch, int64_t columns);
  void (*scale_rows)(const cn_scaled_rows *s, const float *x, float *y, int64_t rows);
} cn_norm_kernels;
CN_KERNELS_DECLARE(cn_norm_kernels, cn_norm);

/* ---- Matrix products ----
 * c[m][n] = act(add[m][n] + bias[n] + sum over segments s and k of a[m * lda + offset[s] + k] * b[s * kc + k][n])
 * b is packed: panels of `nr` columns (the last one of fewer, rounded up to a vector), each panel row after row. One
 * segment is a plain product; the segments of a convolution are the places of its kernel in a row of pixels.
 * Elements are floats or, by tables of their own, doubles; sizes and pitches count elements. */
typedef struct cn_epilogue {
  const void *bias;     /* n values, or NULL */
  const cn_act *act;    /* NULL: linear */
  const void *add;      /* NULL, or a residual: element (m, n) at add[m * add_pitch + n]; may be c itself */
  int64_t add_pitch;
} cn_epilogue;

#define CN_GEMM_AHEAD 32
typedef struct cn_gemm_call {
  const void *a;
  int64_t lda;
  const int64_t *offset; /* segments of them; NULL: one segment at 0 */
  int64_t segments, kc;  /* segments 0: the sum is empty */
  const void *b;         /* packed */
  const void *ahead;     /* NULL, or bytes of b that are needed next: CN_GEMM_AHEAD for each k of a tile are loaded into
                          * the cache meanwhile */
  int64_t ahead_bytes;
  void *c;
  int64_t ldc;
  int64_t m, n;
  cn_epilogue epilogue;
} cn_gemm_call;

typedef struct cn_gemm_kernels {
  size_t item;           /* bytes of an element */
  int mr, nr, lanes;     /* nr is a power of two */
  /* Rows of tiles [tile0, tile1) of cn_gemm_tiles(m), columns of panels [panel0, panel1): tile by tile, so these panels
   * should fit into the second-level cache. */
  void (*run)(const cn_gemm_call *call, int64_t tile0, int64_t tile1, int64_t panel0, int64_t panel1);
  /* Writes rows [k0, k0 + kc) of panels [panel0, panel1) of a packed matrix with k rows and n columns. b has kc rows:
   * element (i, j) at b[i * row + j * column], times scale[j] unless scale is NULL. */
  void (*pack)(void *to, const void *b, int64_t row, int64_t column, int64_t k, int64_t k0, int64_t kc, int64_t n,
               int64_t panel0, int64_t panel1, const void *scale);
  /* c[m * ldc] = act(add[m * add_pitch] + bias[0] + sum of a[m * lda + k] * b[k]), b not packed: the product with one
   * column. */
  void (*column)(const void *a, int64_t lda, const void *b, void *c, int64_t ldc, int64_t m, int64_t k,
                 const cn_epilogue *epilogue);
} cn_gemm_kernels;
CN_KERNELS_DECLARE(cn_gemm_kernels, cn_gemm);
CN_KERNELS_DECLARE(cn_gemm_kernels, cn_gemm_double);
const cn_gemm_kernels *cn_gemm_of(size_t item); /* sizeof(float) or sizeof(double) */
/* Tile i of t covers rows i m / t … (i + 1) m / t: the cut depends on m alone, so that threads never change results. */
int64_t cn_gemm_tiles(const cn_gemm_kernels *k, int64_t m);
int64_t cn_gemm_panels(const cn_gemm_kernels *k, int64_t n);
size_t cn_gemm_packed_bytes(const cn_gemm_kernels *k, int64_t rows, int64_t n);

/* ---- to[j * to_pitch + i] = from[i * from_pitch + j] for i < rows, j < columns ---- */
typedef struct cn_transpose_kernels {
  void (*words)(void *to, int64_t to_pitch, const void *from, int64_t from_pitch, int64_t rows, int64_t columns);
} cn_transpose_kernels; /* elements of four bytes */
CN_KERNELS_DECLARE(cn_transpose_kernels, cn_transpose);
void cn_transpose_items(size_t item, void *to, int64_t to_pitch, const void *from, int64_t from_pitch, int64_t rows,
                        int64_t columns); /* of 1, 2, 4 or 8 bytes */

/* ---- Rows of attention scores: pointers are to floats or, by cn_attention_of, to doubles ---- */
typedef struct cn_attention_kernels {
  /* score = scale * score + bias[i * bias_step] (bias may be NULL); where seen[i * seen_step] is 0 (seen may be NULL) then
   * `masked`, or, if lower, as much more. Steps are 0 or 1. */
  void (*adjust)(void *row, int64_t n, double scale, const void *bias, int64_t bias_step, const uint8_t *seen,
                 int64_t seen_step, double masked, bool lower);
  /* score = exp(scale * (score - the row's largest)), scale > 0, in `count` rows of n; sums gets those of the rows */
  void (*weigh)(void *rows, int64_t pitch, int64_t count, int64_t n, double scale, double *sums);
  void (*clear)(void *row, int64_t n, const uint8_t *seen, int64_t seen_step); /* 0 where seen is 0 */
  void (*divide)(void *row, int64_t n, double by);
} cn_attention_kernels;
CN_KERNELS_DECLARE(cn_attention_kernels, cn_attention);
const cn_attention_kernels *cn_attention_of(size_t item);

/* ---- Windows over channels-last images: depthwise convolution and pooling ----
 * One call makes output pixels begin … end - 1 of a row, `channels` values each. A tap is a place of the window: for
 * output pixel x it reads the input pixel at in + x * step + offset[tap] elements; tap t is left out where x is outside
 * [first[t], last[t]), which is how windows are clipped at the borders. */
typedef struct cn_window_call {
  const void *in;
  int64_t step;                 /* elements from one output pixel's input to the next one's */
  int taps;
  const int64_t *offset;
  const int32_t *first, *last;
  void *out;                    /* of pixel 0 */
  int64_t begin, end, channels, out_pitch; /* channels: of this call, out of those of a pixel */
  /* the same taps as rows of `columns` places that are `dilation` pixels of `pitch` elements apart; tap k of a row is
   * inside of the image where 0 <= x * stride + k * dilation - pad < width */
  int rows;
  const int64_t *row_offset;
  int64_t columns, dilation, stride, pad, width, pitch;
  /* depthwise */
  const void *weights;          /* `channels` values for each place of the whole window, weight_step apart, and … */
  const int64_t *weight, *row_weight; /* … for each tap and row where they begin */
  int64_t weight_step;
  cn_epilogue epilogue;         /* its add: of pixel 0 */
  /* average: multiplied with the sum of pixel x */
  const double *scale;
} cn_window_call;
typedef struct cn_window_kernels {
  void (*depthwise)(const cn_window_call *call);
  void (*maximum)(const cn_window_call *call);  /* NaN never wins; at least -FLT_MAX, -DBL_MAX */
  void (*average)(const cn_window_call *call);
} cn_window_kernels;
CN_KERNELS_DECLARE(cn_window_kernels, cn_window);
const cn_window_kernels *cn_window_of(size_t item);

/* ---- What comes back through pools: to the windows of a row of outputs, float32 ---- */
typedef struct cn_pool_back {
  const float *x, *y, *dy;      /* of the first pixel of the windows' first line, and of the first output */
  float *dx;
  int64_t planes, lines, plane, line; /* of the windows inside of the image; elements from one to the next */
  int64_t outputs, kernel, stride, pad, width; /* along the row */
  int64_t channels, pitch;      /* channels of this call; elements from one pixel, and output, to the next */
  bool fresh;                   /* no windows overlap: dx is what comes, else it grows */
  double full;                  /* average: places that count, 0: those inside of the image */
} cn_pool_back;
typedef struct cn_pool_back_kernels {
  void (*maximum)(const cn_pool_back *b); /* of equal ones the first place gets all */
  void (*average)(const cn_pool_back *b);
} cn_pool_back_kernels;
CN_KERNELS_DECLARE(cn_pool_back_kernels, cn_pool_backward);

/* ---- Steps of recurrent layers, float32 ----
 * States are rows of `pitch` elements, units rounded up to whole vectors: what lies behind the units is written, and
 * means nothing. The recurrent kernel is packed: blocks of units (the last one perhaps of one vector), each row after
 * row, in a row the gates one after another. */
typedef enum cn_rnn_kind {
  CN_RNN_SIMPLE, CN_RNN_LSTM,
  CN_RNN_GRU,                     /* reset after the product: gates z r h */
  CN_RNN_GRU_GATES, CN_RNN_GRU_MIX /* before it: z and reset = r * h; then h of the product with that */
} cn_rnn_kind;
typedef struct cn_rnn_call {
  cn_rnn_kind kind;
  const cn_act *act, *recurrent_act;
  bool alone;                     /* the batch has one row */
  int64_t units, pitch;
  const float *weights;           /* packed */
  const float *bias;              /* added to the products, or NULL */
  /* Projected inputs: gate g of row r at x[r * x_pitch + g * units]; they are read up to a vector past the end. */
  const float *x;
  int64_t x_pitch;
  const float *a;                 /* what is multiplied: h, or reset */
  const float *h, *c;
  float *h_next, *c_next, *z, *reset;
  /* NULL, or for gradients: gate g of row r at kept + r * kept_pitch + g * units, as cn_slope wants it; behind the gates
   * of CN_RNN_GRU what reset multiplies. */
  float *kept;
  int64_t kept_pitch;
} cn_rnn_call;
typedef struct cn_rnn_kernels {
  int lanes, block, rows;         /* units of a block; most rows of a call */
  /* the bits do not depend on the rows of a call */
  void (*run)(const cn_rnn_call *call, int64_t row, int rows, int64_t block0, int64_t block1);
  /* rows of `row` elements; to: units * gates * (units rounded up to lanes) */
  void (*pack)(float *to, const float *from, int64_t row, int gates, int64_t units);
} cn_rnn_kernels;
CN_KERNELS_DECLARE(cn_rnn_kernels, cn_rnn_math);
/* One row of a step backwards. */
typedef struct cn_rnn_back_row {
  cn_rnn_kind kind;               /* CN_RNN_GRU_MIX comes before CN_RNN_GRU_GATES */
  const cn_act *act, *recurrent_act;
  int64_t units;
  const float *kept, *h, *c;      /* of the step, and the states before it */
  const float *dy;                /* added to dh, or NULL; not of CN_RNN_GRU_GATES */
  float *dh, *dc;                 /* of the states after the step, then before it; dh without what comes by the product */
  float *dx, *dz;                 /* of the projected inputs; of the products with the state: other than dx for CN_RNN_GRU */
  float *reset;                   /* CN_RNN_GRU_GATES: what comes back to reset * h, then that itself */
} cn_rnn_back_row;
typedef struct cn_rnn_back_kernels { void (*row)(const cn_rnn_back_row *row); } cn_rnn_back_kernels;
CN_KERNELS_DECLARE(cn_rnn_back_kernels, cn_rnn_back);

/* ---- Winograd's convolution with 3 x 3 kernels ----
 * A tile of m x m outputs, m = 2 or 4, comes from a patch of n x n inputs, n = m + 2: the patch is transformed into n²
 * values for each channel, value i is multiplied with matrix i of transformed weights (n² products of matrices, rows:
 * tiles), and what results is transformed into the outputs. */
typedef struct cn_winograd_weights {
  const float *kernel;          /* (3, 3, channels, filters) */
  float *to;                    /* matrix i at to + i * step, packed in panels of nr columns as by cn_gemm_kernels */
  int64_t step, channels, filters, nr;
} cn_winograd_weights;
typedef struct cn_winograd_tile {
  const float *product;         /* value i of the tile at product + i * step, `channels` of them */
  int64_t step, channels;
  float *out;                   /* of the tile's first pixel; elements to the next row and to the next pixel */
  int64_t line, pitch;
  int rows, columns;            /* pixels of the tile that exist */
  const float *scale;           /* NULL, or numbers that multiply the channels before the bias */
  cn_epilogue epilogue;         /* bias of the first channel, add of the first pixel; act: NULL or a clamp */
  int64_t add_line;
} cn_winograd_tile;
typedef struct cn_winograd_kernels {
  int m;
  void (*weights)(const cn_winograd_weights *w, int64_t begin, int64_t end); /* of channels begin … end - 1 */
  /* pixel: n² pointers to the patch's pixels; value i goes to v + i * step */
  void (*input)(const float *const *pixel, int64_t channels, float *v, int64_t step);
  void (*output)(const cn_winograd_tile *tile);
} cn_winograd_kernels;
CN_KERNELS_DECLARE(cn_winograd_kernels, cn_winograd_2);
CN_KERNELS_DECLARE(cn_winograd_kernels, cn_winograd_4);

#endif
