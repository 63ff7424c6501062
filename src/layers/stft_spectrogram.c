/* STFTSpectrogram: short-time Fourier transform as a convolution with the waves of each frequency, which are weights. */
#include <math.h>

#include "base/text.h"
#include "layers/spatial.h"

enum { LOG, MAGNITUDE, PSD, REAL, IMAG, ANGLE, STFT };
enum { DENSITY, SPECTRUM };
static const double least = 1e-7; /* keras.config.epsilon() */

typedef struct settings {
  int mode, scaling, padding, data_format;
  int64_t frame_length, frame_step, fft_length;
  const cn_value *window;
  bool periodic, expand_dims;
} settings;

#define MEMBER(m) .offset = offsetof(settings, m)
static const cn_field fields[] = {
    {.name = "mode", .kind = CN_F_ENUM, MEMBER(mode), .standard = "\"log\"",
     .choices = "log magnitude psd real imag angle stft",
     .help = CN_HELP("what comes out; psd: power, stft: real and imag")},
    {.name = "frame_length", .kind = CN_F_INT, MEMBER(frame_length), .standard = "256", .min = 1, .max = 1 << 20,
     .help = CN_HELP("steps of a frame")},
    {.name = "frame_step", .kind = CN_F_INT, MEMBER(frame_step), .standard = "null", .min = 1, .max = 1 << 20,
     .help = CN_HELP("from frame to frame; null: half of a frame")},
    {.name = "fft_length", .kind = CN_F_INT, MEMBER(fft_length), .standard = "null", .min = 1, .max = 1 << 20,
     .help = CN_HELP("twice the number of frequencies; null: the next power of two")},
    {.name = "window", .kind = CN_F_VALUE, MEMBER(window), .standard = "\"hann\"",
     .help = CN_HELP("the weights of the initial waves: a name, numbers, or null")},
    {.name = "periodic", .kind = CN_F_BOOL, MEMBER(periodic), .standard = "false", .help = CN_HELP("of the window")},
    {.name = "scaling", .kind = CN_F_ENUM, MEMBER(scaling), .standard = "\"density\"",
     .choices = "density spectrum null", .help = CN_HELP("how the window is normalised")},
    {.name = "padding", .kind = CN_F_ENUM, MEMBER(padding), .standard = "\"valid\"", .choices = "valid same",
     .help = CN_HELP("zeros around the input")},
    {.name = "expand_dims", .kind = CN_F_BOOL, MEMBER(expand_dims), .standard = "false",
     .help = CN_HELP("channels stay an axis of their own")},
    {.name = "data_format", .kind = CN_F_ENUM, MEMBER(data_format), .standard = "null",
     .choices = CN_DATA_FORMAT_CHOICES, .help = CN_HELP("where the channels are; null: the writer's default")},
    {0}};

static cn_status check(cn_layer *l, cn_error *e) {
  settings *s = l->settings;
  if (s->fft_length == CN_NULL_INT)
    for (s->fft_length = 1; s->fft_length < s->frame_length;) s->fft_length *= 2;
  if (s->frame_step == CN_NULL_INT) s->frame_step = s->frame_length / 2;
  if (s->frame_step < 1 || s->frame_step > s->frame_length)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"frame_step\" is %lld, expected 1 to \"frame_length\" (%lld)",
                   (long long)s->frame_step, (long long)s->frame_length);
  if (s->fft_length < s->frame_length)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"fft_length\" is %lld, expected at least \"frame_length\" (%lld)",
                   (long long)s->fft_length, (long long)s->frame_length);
  return CORNU_OK;
}

/* Initial waves: Keras's initializer STFT. */
static cn_status add_waves(cn_layer *l, const char *name, const char *side, cn_error *e) {
  static const char *const keys[] = {"window", "scaling", "periodic"};
  const settings *s = l->settings;
  cn_arena *a = &l->arena;
  cn_value *init = cn_value_new(a, CORNU_DICT), *config = cn_value_new(a, CORNU_DICT);
  bool good = init && config && cn_value_put(a, init, "class_name", cn_value_text(a, "STFT")) &&
              cn_value_put(a, init, "config", config) && cn_value_put(a, config, "side", cn_value_text(a, side));
  for (int i = 0; i < CN_COUNT(keys) && good; i++) {
    const cn_value *v = cn_value_find(l->config, keys[i]);
    good = !v || cn_value_put(a, config, keys[i], cn_value_copy(a, v));
  }
  if (!good) return cn_no_memory(e);
  return cn_layer_add_weight(l, name, 3, (int64_t[]){s->frame_length, 1, s->fft_length / 2 + 1}, true, init, e);
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)in, (void)n_in;
  const settings *s = l->settings;
  if (s->mode != IMAG) CN_TRY(add_waves(l, "real_kernel", "real", e));
  return s->mode == REAL ? CORNU_OK : add_waves(l, "imag_kernel", "imag", e);
}

/* ---- Lowering ---- */

/* x (batch, channels, steps) to (batch, channels, frames, frequencies). */
static cn_edge convolve(cn_layer *l, cn_trace *t, cn_edge x, const char *kernel) {
  const settings *s = l->settings;
  cn_edge line = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){2}, cn_emit1(t, &cn_op_fold, NULL, x));
  cn_conv_attrs a = {.spatial = 1, .stride = {s->frame_step}, .dilation = {1}, .groups = 1};
  if (t->status) return CN_NO_EDGE;
  cn_spatial_pad(l, s->padding, false, cn_edge_type(t, line)->shape[1], s->frame_length, s->frame_step,
                 &a.pad_begin[0], &a.pad_end[0]);
  return cn_emit2(t, &cn_op_unfold, NULL, cn_emit2(t, &cn_op_conv, &a, line, cn_layer_weight_edge(l, t, kernel)), x);
}

/* Every frequency but the first and the last stands for two. */
static cn_edge doubled(const settings *s, cn_trace *t, cn_edge power) {
  int64_t n = s->fft_length / 2 + 1;
  double *twice = cn_alloc((size_t)n * sizeof *twice);
  if (!twice) return t->status = cn_no_memory(t->error), CN_NO_EDGE;
  for (int64_t i = 0; i < n; i++) twice[i] = i == 0 || i == n - 1 ? 1 : 2;
  cn_edge by = cn_emit_vector(t, t->compute, twice, n);
  cn_free(twice);
  return cn_emit2(t, &cn_op_mul, NULL, power, by);
}

static cn_edge at_least(cn_trace *t, cn_edge x) {
  return cn_emit2(t, &cn_op_maximum, NULL, x, cn_emit_number(t, least));
}

static cn_edge spectrum(cn_layer *l, cn_trace *t, cn_edge x) {
  const settings *s = l->settings;
  cn_edge re = s->mode == IMAG ? CN_NO_EDGE : convolve(l, t, x, "real_kernel");
  cn_edge im = s->mode == REAL ? CN_NO_EDGE : convolve(l, t, x, "imag_kernel"), both[] = {re, im};
  if (s->mode == REAL) return re;
  if (s->mode == IMAG) return im;
  if (s->mode == ANGLE) return cn_emit2(t, &cn_op_atan2, NULL, im, re);
  if (s->mode == STFT) return cn_emit(t, &cn_op_concat, &(cn_axis_attrs){3}, both, 2);
  cn_edge power = cn_emit2(t, &cn_op_add, NULL, cn_emit1(t, &cn_op_square, NULL, re),
                           cn_emit1(t, &cn_op_square, NULL, im));
  if (s->mode == PSD) return doubled(s, t, power);
  cn_edge y = cn_emit1(t, &cn_op_sqrt, NULL, at_least(t, power));
  return s->mode == LOG ? cn_emit1(t, &cn_op_log, NULL, at_least(t, y)) : y;
}

/* (batch, channels, frames, frequencies) in the order of axes that the config asks for. */
static cn_edge arranged(cn_trace *t, const settings *s, cn_edge y, bool first) {
  static const cn_ints_attrs expanded = {{4, {0, 2, 3, 1}}}, last = {{4, {0, 2, 1, 3}}}, ahead = {{4, {0, 1, 3, 2}}};
  if (t->status || (s->expand_dims && first)) return y;
  if (s->expand_dims) return cn_emit1(t, &cn_op_transpose, &expanded, y);
  y = cn_emit1(t, &cn_op_transpose, first ? &ahead : &last, y);
  if (t->status) return y;
  const int64_t *shape = cn_edge_type(t, y)->shape;
  int64_t frames = shape[first ? 3 : 1], joined = cn_dim_mul(shape[first ? 1 : 2], shape[first ? 2 : 3]);
  cn_reshape_attrs a = {{3, {CN_DIM_COPY, first ? joined : CN_DIM_COPY, first ? frames : joined}}};
  if (first && frames < 0) a.shape.v[2] = CN_DIM_INFER;
  return cn_emit1(t, &cn_op_reshape, &a, y);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  bool first = cn_channels_first(l, s->data_format, 1);
  cn_edge x = c->in[0].data;
  const cn_type *type = cn_edge_type(t, x);
  if (type->rank != 3 || !cn_dtype_is_float(type->dtype)) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input is %s %s, expected floats of 3 dimensions: batch, steps and channels",
                  cornu_dtype_name(type->dtype), CN_SHAPE(type->rank, type->shape));
    return;
  }
  x = cn_emit_compute(t, x);
  if (!first) x = cn_emit1(t, &cn_op_transpose, &(cn_ints_attrs){{3, {0, 2, 1}}}, x);
  cn_call_return(t, c, arranged(t, s, spectrum(l, t, x), first), CN_NO_EDGE);
}

const cn_layer_type cn_layer_stft_spectrogram = {
    .name = "STFTSpectrogram",
    .versions = "3",
    .help = CN_HELP("short-time Fourier transform of each channel, as Keras's STFTSpectrogram defines its modes\n"
                    "(batch, steps, channels) -> (batch, frames, channels * frequencies), frequencies = "
                    "fft_length / 2 + 1;\n"
                    "with expand_dims (batch, frames, frequencies, channels); mode stft: twice the frequencies"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .build = build,
    .lower = lower,
};
