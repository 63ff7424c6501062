/* MelSpectrogram: power of frequencies in bands of the mel scale, mel(f) = 1127 ln(1 + f / 700). */
#include <math.h>

#include "base/text.h"
#include "layers/layer.h"
#include "layers/windows.h"
#include "ops/ops.h"

typedef struct settings {
  int64_t fft_length, sequence_stride, sequence_length, num_mel_bins;
  double sampling_rate, min_freq, max_freq, top_db, mag_exp, min_power, ref_power;
  const cn_value *window;
  bool power_to_db;
} settings;

#define MEMBER(m) .offset = offsetof(settings, m)
#define NUMBER(member, standard_text, words) \
  {.name = #member, .kind = CN_F_FLOAT, MEMBER(member), .standard = standard_text, .help = CN_HELP(words)}
static const cn_field fields[] = {
    {.name = "fft_length", .kind = CN_F_INT, MEMBER(fft_length), .standard = "2048", .min = 1, .max = 1 << 20,
     .help = CN_HELP("steps of a frame with the zeros around it")},
    {.name = "sequence_stride", .kind = CN_F_INT, MEMBER(sequence_stride), .standard = "512", .min = 1, .max = 1 << 24,
     .help = CN_HELP("from frame to frame")},
    {.name = "sequence_length", .kind = CN_F_INT, MEMBER(sequence_length), .standard = "null", .min = 1, .max = 1 << 20,
     .help = CN_HELP("of a frame; null: fft_length")},
    {.name = "window", .kind = CN_F_VALUE, MEMBER(window), .standard = "\"hann\"",
     .help = CN_HELP("by which the steps of a frame count: hann, hamming, numbers, or null")},
    NUMBER(sampling_rate, "16000", "steps a second"),
    {.name = "num_mel_bins", .kind = CN_F_INT, MEMBER(num_mel_bins), .standard = "128", .min = 1, .max = 1 << 20,
     .help = CN_HELP("number of bands")},
    NUMBER(min_freq, "20.0", "where the lowest band begins"),
    NUMBER(max_freq, "null", "where the highest band ends; null: half of the sampling rate"),
    {.name = "power_to_db", .kind = CN_F_BOOL, MEMBER(power_to_db), .standard = "true", .help = CN_HELP("in decibels")},
    NUMBER(top_db, "80.0", "what lies further below the maximum of the whole batch is cut"),
    NUMBER(mag_exp, "2.0", "exponent of the magnitude"), NUMBER(min_power, "1e-10", "less counts as that"),
    NUMBER(ref_power, "1.0", "power of 0 decibels"), {0}};

static cn_status check(cn_layer *l, cn_error *e) {
  settings *s = l->settings;
  const char *window = cn_value_str(s->window);
  if (s->sequence_length == CN_NULL_INT) s->sequence_length = s->fft_length;
  if (isnan(s->max_freq) || s->max_freq == 0) s->max_freq = trunc(s->sampling_rate / 2);
  if (s->fft_length < s->sequence_length)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"fft_length\" is %lld, expected at least \"sequence_length\" (%lld)",
                   (long long)s->fft_length, (long long)s->sequence_length);
  if (window && !cn_word_in("hann hamming", window, NULL))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"window\" is \"%s\", expected hann, hamming, numbers or null", window);
  return CORNU_OK;
}

/* ---- Constants ---- */

/* As long as a frame, in the middle of zeros. TensorFlow's windows are periodic where their length is even. */
static cn_status fill_window(const settings *s, double *window, cn_error *e) {
  const char *name = cn_value_str(s->window);
  int64_t n = s->sequence_length, begin = (s->fft_length - n) / 2;
  for (int64_t i = 0; i < s->fft_length; i++) window[i] = 0;
  if (name) return cn_window_named(name, n, n % 2 == 0, window + begin), CORNU_OK;
  return cn_window_numbers(s->window, n, window + begin, e);
}

static cn_edge windowed(cn_trace *t, const settings *s, cn_edge frames) {
  if (cn_value_is_null(s->window) || t->status) return frames;
  double *window = cn_alloc((size_t)s->fft_length * sizeof *window);
  if (!window) return t->status = cn_no_memory(t->error), CN_NO_EDGE;
  t->status = fill_window(s, window, t->error);
  cn_edge weights = cn_emit_vector(t, t->compute, window, s->fft_length);
  cn_free(window);
  return cn_emit2(t, &cn_op_mul, NULL, frames, weights);
}

/* In single precision like Keras, whatever the layer computes in: a band's first frequencies weigh little. */
static float mel(float hertz) { return 1127.0f * logf(1 + hertz / 700.0f); }

static float step(float first, float last, int64_t i, int64_t n) { /* i of n from first to last */
  return i == 0 ? first : i == n - 1 ? last : first + (last - first) / (float)(n - 1) * (float)i;
}

/* (frequencies, bands): a triangle over each band, with its peak of 1 where the next begins. */
static void fill_bands(const settings *s, int64_t frequencies, float *out) {
  const float low = mel((float)s->min_freq), high = mel((float)s->max_freq), half = (float)s->sampling_rate / 2;
  const int64_t bands = s->num_mel_bins;
  for (int64_t f = 0; f < frequencies; f++)
    for (int64_t b = 0; b < bands; b++) {
      float at = mel(step(0, half, f, frequencies)), edge[3];
      for (int i = 0; i < 3; i++) edge[i] = step(low, high, b + i, bands + 2);
      float rise = (at - edge[0]) / (edge[1] - edge[0]), fall = (edge[2] - at) / (edge[2] - edge[1]);
      *out++ = f ? fmaxf(0, fminf(rise, fall)) : 0; /* the constant part belongs to no band */
    }
}

static cn_edge bands(cn_trace *t, const settings *s) {
  const int64_t shape[] = {s->fft_length / 2 + 1, s->num_mel_bins};
  cn_tensor *value = NULL;
  if (t->status) return CN_NO_EDGE;
  t->status = cornu_tensor_new(CORNU_FLOAT32, 2, shape, &value, t->error);
  if (t->status) return CN_NO_EDGE;
  fill_bands(s, shape[0], (float *)value->data);
  cn_edge edge = cn_emit_constant(t, value);
  cornu_tensor_release(value);
  return cn_emit_compute(t, edge);
}

/* ---- Lowering ---- */

static cn_edge number(cn_trace *t, const cn_op *op, cn_edge x, double v) {
  return cn_emit2(t, op, NULL, x, cn_emit_number(t, v));
}

/* Frames of x (batch, steps), mirrored at both ends so that they lie around every stride-th step. */
static cn_edge framed(cn_trace *t, const settings *s, cn_edge x) {
  int64_t half = s->fft_length / 2;
  cn_pad_attrs pad = {.before = {2, {0, half}}, .after = {2, {0, half}}, .mode = CN_PAD_REFLECT};
  cn_patches_attrs a = {.spatial = 1, .window = {s->fft_length}, .stride = {s->sequence_stride}, .dilation = {1}};
  x = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){2}, cn_emit1(t, &cn_op_pad, &pad, x));
  return cn_emit1(t, &cn_op_patches, &a, x);
}

/* |x| ^ mag_exp of every frequency: (batch, frames, frequencies). */
static cn_edge spectrum(cn_trace *t, const settings *s, cn_edge frames) {
  cn_edge first;
  if (cn_emit_many(t, &cn_op_rfft, &(cn_fft_attrs){0}, &frames, 1, &first) != 2) return CN_NO_EDGE;
  cn_edge power = cn_emit2(t, &cn_op_add, NULL, cn_emit1(t, &cn_op_square, NULL, first),
                           cn_emit1(t, &cn_op_square, NULL, first + 1));
  return number(t, &cn_op_pow, cn_emit1(t, &cn_op_sqrt, NULL, power), s->mag_exp);
}

static cn_edge decibels(cn_trace *t, const settings *s, cn_edge x) {
  x = number(t, &cn_op_mul, cn_emit1(t, &cn_op_log10, NULL, number(t, &cn_op_maximum, x, s->min_power)), 10);
  x = number(t, &cn_op_sub, x, 10 * log10(fmax(fabs(s->ref_power), s->min_power)));
  cn_edge most = cn_emit1(t, &cn_op_max, &(cn_reduce_attrs){.axes = {.n = -1}}, x);
  return cn_emit2(t, &cn_op_maximum, NULL, x, number(t, &cn_op_sub, most, s->top_db));
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  const cn_type *type = cn_edge_type(t, x);
  bool single = type->rank == 1;
  if (!t->status && type->rank != 1 && type->rank != 2) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected (batch, steps) or (steps)",
                  CN_SHAPE(type->rank, type->shape));
    return;
  }
  if (single) x = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){0}, x);
  x = spectrum(t, s, windowed(t, s, framed(t, s, x)));
  x = cn_emit2(t, &cn_op_matmul, &(cn_matmul_attrs){0}, x, bands(t, s));
  if (s->power_to_db) x = decibels(t, s, x);
  x = cn_emit1(t, &cn_op_transpose, &(cn_ints_attrs){{3, {0, 2, 1}}}, x);
  if (single) x = cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {0}}}, x);
  cn_call_return(t, c, x, CN_NO_EDGE);
}

const cn_layer_type cn_layer_mel_spectrogram = {
    .name = "MelSpectrogram",
    .versions = "3",
    .help = CN_HELP("power of frequencies in bands of the mel scale, mel(f) = 1127 ln(1 + f / 700)\n"
                    "(batch, steps) or (steps) -> (batch, num_mel_bins, frames), frames = steps / sequence_stride + 1"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .lower = lower,
};
