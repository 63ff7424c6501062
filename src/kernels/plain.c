/* Kernels without vectors: rare types, and the activations' definitions one value at a time. */
#include <float.h>
#include <math.h>

#include "kernels/kernels.h"

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double clip(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

static double relu(double x, const cn_act *act) {
  if (x >= act->b) return act->b;
  if (x <= act->c) return act->a == 0 ? 0 : act->a * (x - act->c);
  return x;
}

/* GELU's float constants are TensorFlow's, which casts them from float32 also for float64. */
double cn_act_double(const cn_act *act, double x) {
  const double a = act->a, b = act->b;
  switch (act->kind) {
    case CN_ACT_RELU: return relu(x, act);
    case CN_ACT_THRESHOLDED: return x * (x > a);
    case CN_ACT_ELU: return x > 0 ? x : a * expm1(x);
    case CN_ACT_SELU: return 1.05070098735548049342 * (x > 0 ? x : 1.67326324235437728482 * expm1(x));
    case CN_ACT_CELU: return x > 0 ? x : a * expm1(x / a);
    case CN_ACT_SIGMOID: return sigmoid(x);
    case CN_ACT_HARD_SIGMOID: return clip(a * x + b, 0, 1);
    case CN_ACT_LOG_SIGMOID: return -softplus(-x);
    case CN_ACT_TANH: return tanh(x);
    case CN_ACT_HARD_TANH: return clip(x, -1, 1);
    case CN_ACT_TANH_SHRINK: return x - tanh(x);
    case CN_ACT_SOFTPLUS: return softplus(x);
    case CN_ACT_SOFTSIGN: return x / (1 + fabs(x));
    case CN_ACT_EXPONENTIAL: return exp(x);
    case CN_ACT_SILU: return x * sigmoid(x);
    case CN_ACT_HARD_SILU: return x * clip(x / 6 + 0.5, 0, 1);
    case CN_ACT_GELU: return x * 0.5 * erfc(-x * 0.70710678118654752440f);
    case CN_ACT_GELU_TANH: return x * (0.5 * (1 + tanh(0.79788456080286535588 * (x + 0.044715f * x * x * x))));
    case CN_ACT_MISH: return x * tanh(softplus(x));
    case CN_ACT_SOFT_SHRINK: return x > a ? x - a : x < -a ? x + a : 0;
    case CN_ACT_HARD_SHRINK: return fabs(x) > a ? x : 0;
    case CN_ACT_THRESHOLD: return x > a ? x : b;
    case CN_ACT_SQUAREPLUS: return (x + sqrt(x * x + a)) / 2;
    case CN_ACT_SPARSE_PLUS: return x <= -1 ? 0 : x >= 1 ? x : (x + 1) * (x + 1) / 4;
    case CN_ACT_SPARSE_SIGMOID: return clip((x + 1) / 2, 0, 1);
    default: return x;
  }
}

bool cn_act_by_result(const cn_act *act) {
  switch (act->kind) {
    case CN_ACT_RELU: return act->c == 0 && act->a >= 0; /* the result has the sign of x */
    case CN_ACT_ELU: return act->a >= 0;
    case CN_ACT_LINEAR: case CN_ACT_SELU: case CN_ACT_SIGMOID: case CN_ACT_HARD_SIGMOID: case CN_ACT_LOG_SIGMOID:
    case CN_ACT_TANH: case CN_ACT_HARD_TANH: case CN_ACT_SOFTPLUS: case CN_ACT_SOFTSIGN: case CN_ACT_EXPONENTIAL:
    case CN_ACT_SPARSE_SIGMOID: return true;
    default: return false;
  }
}

static double inside(double v, double low, double high, double slope) { return v > low && v < high ? slope : 0; }

static double gelu_slope(double x) {
  return 0.5 * erfc(-x * 0.70710678118654752440) + x * 0.39894228040143267794 * exp(-x * x / 2);
}

static double gelu_tanh_slope(double x) {
  const double k = 0.79788456080286535588, c = 0.044715f, t = tanh(k * (x + c * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * k * (1 + 3 * c * x * x);
}

static double mish_slope(double x) {
  const double t = tanh(softplus(x));
  return t + x * sigmoid(x) * (1 - t * t);
}

double cn_slope_double(const cn_act *act, double v) {
  const double a = act->a;
  switch (act->kind) {
    case CN_ACT_RELU: return v >= act->b ? 0 : v > act->c ? 1 : a;
    case CN_ACT_THRESHOLDED: case CN_ACT_THRESHOLD: return v > a;
    case CN_ACT_ELU: return v > 0 ? 1 : v + a;
    case CN_ACT_SELU: return v > 0 ? 1.05070098735548049342 : v + 1.05070098735548049342 * 1.67326324235437728482;
    case CN_ACT_CELU: return v > 0 ? 1 : exp(v / a);
    case CN_ACT_SIGMOID: return v * (1 - v);
    case CN_ACT_HARD_SIGMOID: return inside(v, 0, 1, a);
    case CN_ACT_LOG_SIGMOID: return -expm1(v);
    case CN_ACT_TANH: return 1 - v * v;
    case CN_ACT_HARD_TANH: return inside(v, -1, 1, 1);
    case CN_ACT_TANH_SHRINK: return tanh(v) * tanh(v);
    case CN_ACT_SOFTPLUS: return -expm1(-v);
    case CN_ACT_SOFTSIGN: return (1 - fabs(v)) * (1 - fabs(v));
    case CN_ACT_EXPONENTIAL: return v;
    case CN_ACT_SILU: return sigmoid(v) * (1 + v * (1 - sigmoid(v)));
    case CN_ACT_HARD_SILU: return v <= -3 ? 0 : v < 3 ? v / 3 + 0.5 : 1;
    case CN_ACT_GELU: return gelu_slope(v);
    case CN_ACT_GELU_TANH: return gelu_tanh_slope(v);
    case CN_ACT_MISH: return mish_slope(v);
    case CN_ACT_SOFT_SHRINK: case CN_ACT_HARD_SHRINK: return fabs(v) > a;
    case CN_ACT_SQUAREPLUS: return 0.5 * (1 + v / sqrt(v * v + a));
    case CN_ACT_SPARSE_PLUS: return clip((v + 1) / 2, 0, 1);
    case CN_ACT_SPARSE_SIGMOID: return inside(v, 0, 1, 0.5);
    default: return 1;
  }
}

void cn_act_apply_items(size_t item, const cn_act *act, void *y, const void *x, int64_t n) {
  if (item != sizeof(double)) {
    cn_act_apply(act, y, x, n);
    return;
  }
  double *to = y;
  const double *from = x;
  if (act->kind == CN_ACT_LINEAR && y == x) return;
  for (int64_t i = 0; i < n; i++) to[i] = cn_act_double(act, from[i]);
}

#define TRANSPOSE(name, type)                                                                               \
  static void name(type *to, int64_t to_pitch, const type *from, int64_t from_pitch, int64_t rows,          \
                   int64_t columns) {                                                                       \
    enum { BLOCK = 64 / sizeof(type) }; /* a line of the cache on both sides */                             \
    for (int64_t r = 0; r < rows; r += BLOCK)                                                               \
      for (int64_t c = 0; c < columns; c += BLOCK)                                                          \
        for (int64_t j = c; j < columns && j < c + BLOCK; j++)                                              \
          for (int64_t i = r; i < rows && i < r + BLOCK; i++) to[j * to_pitch + i] = from[i * from_pitch + j]; \
  }
TRANSPOSE(transpose_1, uint8_t)
TRANSPOSE(transpose_2, uint16_t)
TRANSPOSE(transpose_8, uint64_t)

void cn_transpose_items(size_t item, void *to, int64_t to_pitch, const void *from, int64_t from_pitch, int64_t rows,
                        int64_t columns) {
  if (item == 4) cn_transpose()->words(to, to_pitch, from, from_pitch, rows, columns);
  else if (item == 8) transpose_8(to, to_pitch, from, from_pitch, rows, columns);
  else if (item == 2) transpose_2(to, to_pitch, from, from_pitch, rows, columns);
  else transpose_1(to, to_pitch, from, from_pitch, rows, columns);
}

/* ---- Windows in double precision ---- */

static bool counts(const cn_window_call *w, int tap, int64_t x) { return x >= w->first[tap] && x < w->last[tap]; }

static const double *under(const cn_window_call *w, int tap, int64_t x) {
  return (const double *)w->in + x * w->step + w->offset[tap];
}

static void depthwise_pixel(const cn_window_call *w, int64_t x, double *out) {
  const double *bias = w->epilogue.bias;
  for (int64_t c = 0; c < w->channels; c++) out[c] = bias ? bias[c] : 0;
  for (int t = 0; t < w->taps; t++) {
    if (!counts(w, t, x)) continue;
    const double *in = under(w, t, x), *weights = (const double *)w->weights + w->weight[t];
    for (int64_t c = 0; c < w->channels; c++) out[c] += in[c] * weights[c];
  }
  const double *add = w->epilogue.add;
  for (int64_t c = 0; add && c < w->channels; c++) out[c] += add[x * w->epilogue.add_pitch + c];
  if (w->epilogue.act) cn_act_apply_items(sizeof *out, w->epilogue.act, out, out, w->channels);
}

static void maximum_pixel(const cn_window_call *w, int64_t x, double *out) {
  for (int64_t c = 0; c < w->channels; c++) out[c] = -DBL_MAX;
  for (int t = 0; t < w->taps; t++) {
    if (!counts(w, t, x)) continue;
    const double *in = under(w, t, x);
    for (int64_t c = 0; c < w->channels; c++) out[c] = in[c] > out[c] ? in[c] : out[c];
  }
}

static void average_pixel(const cn_window_call *w, int64_t x, double *out) {
  for (int64_t c = 0; c < w->channels; c++) out[c] = 0;
  for (int t = 0; t < w->taps; t++) {
    if (!counts(w, t, x)) continue;
    const double *in = under(w, t, x);
    for (int64_t c = 0; c < w->channels; c++) out[c] += in[c];
  }
  for (int64_t c = 0; c < w->channels; c++) out[c] *= w->scale[x];
}

#define ROW(name) \
  static void name(const cn_window_call *w) { \
    for (int64_t x = w->begin; x < w->end; x++) name##_pixel(w, x, (double *)w->out + x * w->out_pitch); \
  }
ROW(depthwise)
ROW(maximum)
ROW(average)

const cn_window_kernels *cn_window_of(size_t item) {
  static const cn_window_kernels doubles = {depthwise, maximum, average};
  return item == sizeof(double) ? &doubles : cn_window();
}
