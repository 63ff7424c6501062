/* keras.ops: Fourier transforms and pieces of signals, of keras.ops.math. A complex number is a pair of tensors. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "layers/operation.h"

typedef struct options {
  int64_t sequence_length, sequence_stride, fft_length, length;
  const cn_value *window;
  bool center;
} options;

typedef struct pair { cn_edge re, im; } pair;

#define SIZE(key, default_value, text)                                                                          \
  {.name = #key, .kind = CN_F_INT, .offset = offsetof(options, key), .standard = default_value, .min = 1, .max = 1 << 24, \
   .help = CN_HELP(text)}

/* The two tensors of "x". */
static pair argument(cn_operation_call *c) {
  cn_edge in[2] = {CN_NO_EDGE, CN_NO_EDGE};
  int n = cn_argument_tensors(c, "x", in, 2);
  if (n != 2) cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "takes a pair of tensors, real and imaginary");
  return (pair){in[0], in[1]};
}

static pair emit_pair(cn_operation_call *c, const cn_op *op, const void *attrs, const cn_edge *in, int n) {
  cn_edge first;
  if (cn_emit_many(c->t, op, attrs, in, n, &first) != 2) return (pair){CN_NO_EDGE, CN_NO_EDGE};
  return (pair){first, first + 1};
}

static void return_pair(cn_operation_call *c, pair x) {
  cn_operation_return(c, x.re);
  cn_operation_return(c, x.im);
}

static pair transform(cn_operation_call *c, pair x, bool inverse) {
  return emit_pair(c, &cn_op_fft, &(cn_fft_attrs){.inverse = inverse}, (cn_edge[]){x.re, x.im}, 2);
}

static void fft(cn_operation_call *c) { return_pair(c, transform(c, argument(c), false)); }

static cn_edge exchange_last(cn_operation_call *c, cn_edge x) {
  int rank = cn_operation_type(c, x)->rank;
  cn_ints_attrs order = {.v = {.n = rank}};
  for (int i = 0; i < rank; i++) order.v.v[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
  return cn_emit1(c->t, &cn_op_transpose, &order, x);
}

/* Along the last axis, then along the one before. */
static void transform_both(cn_operation_call *c, bool inverse) {
  pair x = transform(c, argument(c), inverse);
  if (!c->t->status && cn_operation_type(c, x.re)->rank < 2)
    cn_trace_fail(c->t, CORNU_ERR_SHAPE, "takes matrices, got a vector");
  x = transform(c, (pair){exchange_last(c, x.re), exchange_last(c, x.im)}, inverse);
  return_pair(c, (pair){exchange_last(c, x.re), exchange_last(c, x.im)});
}
static void fft2(cn_operation_call *c) { transform_both(c, false); }
static void ifft2(cn_operation_call *c) { transform_both(c, true); }

static cn_fft_attrs length_of(const options *o) {
  return (cn_fft_attrs){.length = o->fft_length == CN_NULL_INT ? 0 : o->fft_length};
}

static void rfft(cn_operation_call *c) {
  cn_fft_attrs a = length_of(c->options);
  cn_edge x = cn_argument_tensor(c, "x");
  return_pair(c, emit_pair(c, &cn_op_rfft, &a, &x, 1));
}

static void irfft(cn_operation_call *c) {
  cn_fft_attrs a = length_of(c->options);
  pair x = argument(c);
  cn_operation_return(c, cn_emit2(c->t, &cn_op_irfft, &a, x.re, x.im));
}

static void extract_sequences(cn_operation_call *c) {
  const options *o = c->options;
  cn_frames_attrs a = {o->sequence_length, o->sequence_stride};
  cn_operation_return(c, cn_emit1(c->t, &cn_op_frames, &a, cn_argument_tensor(c, "x")));
}

/* ---- Short-time transforms ---- */

/* Element i of a Hann or Hamming window of n elements: periodic, where n is even; else TensorFlow has the symmetric one. */
static double cosine_window(const char *name, int64_t n, int64_t i) {
  double a = strcmp(name, "hann") == 0 ? 0.5 : 0.54;
  if (n == 1) return 1;
  return a - (1 - a) * cos(2 * M_PI * (double)i / (double)(n % 2 ? n - 1 : n));
}

/* Fills w, fft_length elements, with the window between zeros; false: it is of no known kind. */
static bool fill_window(const options *o, double *w) {
  const char *name = cn_value_str(o->window);
  const cn_value *list = cn_value_find(cn_value_find(o->window, "config"), "value");
  int64_t n = o->sequence_length, begin = (o->fft_length - n) / 2;
  if (!list) list = o->window;
  if (name && strcmp(name, "hann") != 0 && strcmp(name, "hamming") != 0) return false;
  if (!name && (!cn_value_is(list, CORNU_LIST) || list->count != n)) return false;
  for (int64_t i = 0; i < o->fft_length; i++) w[i] = 0;
  for (int64_t i = 0; i < n; i++) {
    if (name) w[begin + i] = cosine_window(name, n, i);
    else if (!cn_value_number(list->items[i], &w[begin + i])) return false;
  }
  return true;
}

/* What undoes the windows of the frames that reach a sample: the window over the sum of their squares. */
static void invert_window(const options *o, const double *w, double *inverse) {
  for (int64_t first = 0; first < o->sequence_stride && first < o->fft_length; first++) {
    double sum = 0;
    for (int64_t i = first; i < o->fft_length; i += o->sequence_stride) sum += w[i] * w[i];
    for (int64_t i = first; i < o->fft_length; i += o->sequence_stride) inverse[i] = sum == 0 ? 0 : w[i] / sum;
  }
}

static cn_edge window(cn_operation_call *c, cornu_dtype dtype, bool inverse) {
  const options *o = c->options;
  cn_edge edge = CN_NO_EDGE;
  cn_tensor *t = NULL;
  double *w = cn_arena_alloc(&c->t->graph->arena, 2 * (size_t)o->fft_length * sizeof *w);
  if (!w) c->t->status = cn_no_memory(c->t->error);
  else if (o->sequence_length > o->fft_length || !fill_window(o, w))
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"window\" is %s, \"sequence_length\" %lld, \"fft_length\" %lld: expected "
                  "\"hann\", \"hamming\", null or sequence_length numbers, no more than fft_length",
                  cn_value_show(o->window, (char[80]){0}, 80), (long long)o->sequence_length, (long long)o->fft_length);
  if (!c->t->status) c->t->status = cornu_tensor_new(dtype, 1, &o->fft_length, &t, c->t->error);
  if (c->t->status) return CN_NO_EDGE;
  if (inverse) invert_window(o, w, w + o->fft_length);
  cn_convert(t->data, dtype, inverse ? w + o->fft_length : w, CORNU_FLOAT64, o->fft_length);
  edge = cn_emit_constant(c->t, t);
  cornu_tensor_release(t);
  return edge;
}

static cn_edge windowed(cn_operation_call *c, cn_edge frames, bool inverse) {
  const options *o = c->options;
  if (c->t->status || cn_value_is_null(o->window)) return frames;
  return cn_emit2(c->t, &cn_op_mul, NULL, frames, window(c, cn_operation_type(c, frames)->dtype, inverse));
}

static void stft(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "x");
  int rank = cn_operation_type(c, x)->rank;
  cn_pad_attrs pad = {.before = {.n = rank}, .after = {.n = rank}, .mode = CN_PAD_REFLECT};
  if (c->t->status) return;
  if (rank) pad.before.v[rank - 1] = pad.after.v[rank - 1] = o->fft_length / 2;
  if (o->center) x = cn_emit1(c->t, &cn_op_pad, &pad, x);
  cn_edge frames = cn_emit1(c->t, &cn_op_frames, &(cn_frames_attrs){o->fft_length, o->sequence_stride}, x);
  frames = windowed(c, frames, false);
  return_pair(c, emit_pair(c, &cn_op_rfft, &(cn_fft_attrs){.length = o->fft_length}, &frames, 1));
}

static void istft(cn_operation_call *c) {
  const options *o = c->options;
  pair x = argument(c);
  cn_fft_attrs a = length_of(o);
  cn_edge frames = windowed(c, cn_emit2(c->t, &cn_op_irfft, &a, x.re, x.im), true);
  cn_edge y = cn_emit1(c->t, &cn_op_overlap_add, &(cn_frames_attrs){.stride = o->sequence_stride}, frames);
  int64_t begin = o->center ? o->fft_length / 2 : 0, end = CN_NULL_INT;
  if (o->length != CN_NULL_INT) end = begin + o->length;
  else if (o->center) end = -(o->fft_length / 2);
  cn_slice_attrs part = {{1, {-1}}, {1, {begin}}, {1, {end}}, {1, {1}}};
  cn_operation_return(c, cn_emit1(c->t, &cn_op_slice, &part, y));
}

#define LENGTH SIZE(sequence_length, NULL, "of a piece")
#define STRIDE SIZE(sequence_stride, NULL, "between the beginnings of pieces")
#define WINDOW                                                                                                 \
  {.name = "window", .kind = CN_F_VALUE, .offset = offsetof(options, window), .standard = "\"hann\"",          \
   .help = CN_HELP("hann, hamming, sequence_length numbers, or null: none")}
#define CENTER                                                                                                 \
  {.name = "center", .kind = CN_F_BOOL, .offset = offsetof(options, center), .standard = "true",               \
   .help = CN_HELP("pieces lie around their places: the signal goes on mirrored at both ends")}
static const cn_field fft_fields[] = {SIZE(fft_length, "null", "of the transform; null: the input's"), {0}};
static const cn_field sequence_fields[] = {LENGTH, STRIDE, {0}};
static const cn_field stft_fields[] = {LENGTH, STRIDE, SIZE(fft_length, NULL, "of each transform"), WINDOW, CENTER, {0}};
static const cn_field istft_fields[] = {LENGTH, STRIDE, SIZE(fft_length, NULL, "of each transform"),
                                        SIZE(length, "null", "of the signal; null: all of it"), WINDOW, CENTER, {0}};

#define WITH(class, function, keys) \
  {.name = class, .arguments = "x", .emit = function, .fields = keys, .options_size = sizeof(options)}

const cn_operation cn_operations_fourier[] = {
    {.name = "FFT", .arguments = "x", .emit = fft},
    {.name = "FFT2", .arguments = "x", .emit = fft2},
    {.name = "IFFT2", .arguments = "x", .emit = ifft2},
    WITH("RFFT", rfft, fft_fields),
    WITH("IRFFT", irfft, fft_fields),
    WITH("STFT", stft, stft_fields),
    WITH("ISTFT", istft, istft_fields),
    WITH("ExtractSequences", extract_sequences, sequence_fields),
    {0}};
