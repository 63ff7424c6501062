/* Initializers: what weights are before training. Variances: Glorot and Bengio 2010, He et al. 2015, LeCun et al. 1998,
 * as Keras's VarianceScaling states them. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "layers/part.h"
#include "layers/windows.h"

enum { FAN_IN, FAN_OUT, FAN_AVG };
enum { TRUNCATED, UNTRUNCATED, UNIFORM };
enum { DENSITY, SPECTRUM };

typedef struct settings {
  const cn_value *seed;
  double a, b;              /* value; low, high; mean, deviation; scale or gain */
  int mode, distribution;
  cn_ints in, out;          /* axes of a weight that count as inputs and as outputs; n = -1: as usual */
  const cn_value *value, *window;
  int side, scaling;
  bool periodic;
} settings;

#define MEMBER(m) .offset = offsetof(settings, m)
#define SEED {.name = "seed", .kind = CN_F_VALUE, MEMBER(seed), .standard = "null", \
              .help = CN_HELP("of its random numbers: the same in each run; null: the model's")}
#define NUMBER(member, key, text, words) \
  {.name = key, .kind = CN_F_FLOAT, MEMBER(member), .standard = text, .min = -1e30, .max = 1e30, .help = CN_HELP(words)}
#define AXES(member, key, words)                                                                                     \
  {.name = key, .kind = CN_F_INTS, MEMBER(member), .standard = "null", .min = 0, .max = CN_MAX_RANK - 1,               \
   .help = CN_HELP(words)}
#define INPUT_AXES AXES(in, "input_axes", "those of a weight that count as inputs; null: all but the last")
#define OUTPUT_AXES AXES(out, "output_axes", "those that count as outputs; null: all but the one before the last")
static const cn_field no_fields[] = {{0}};
static const cn_field constant_fields[] = {
    {.name = "value", .kind = CN_F_VALUE, MEMBER(value), .standard = "0",
     .help = CN_HELP("a number, or numbers in the weight's shape")},
    {0}};
static const cn_field uniform_fields[] = {NUMBER(a, "minval", "-0.05", "the least"),
                                          NUMBER(b, "maxval", "0.05", "the largest"),
                                          SEED, {0}};
static const cn_field normal_fields[] = {NUMBER(a, "mean", "0", "of the normal distribution"),
                                         NUMBER(b, "stddev", "0.05", "its standard deviation"), SEED, {0}};
static const cn_field fixed_fields[] = {SEED, INPUT_AXES, OUTPUT_AXES, {0}};
static const cn_field variance_fields[] = {
    NUMBER(a, "scale", "1", "the variance times the number of units that `mode` counts"),
    {.name = "mode", .kind = CN_F_ENUM, MEMBER(mode), .standard = "\"fan_in\"", .choices = "fan_in fan_out fan_avg",
     .help = CN_HELP("which units")},
    {.name = "distribution", .kind = CN_F_ENUM, MEMBER(distribution), .standard = "\"truncated_normal\"",
     .choices = "truncated_normal untruncated_normal uniform normal", .help = CN_HELP("normal: truncated")},
    SEED, INPUT_AXES, OUTPUT_AXES, {0}};
static const cn_field orthogonal_fields[] = {NUMBER(a, "gain", "1", "factor"), SEED, {0}};
static const cn_field old_orthogonal_fields[] = {NUMBER(a, "gain", "1.1", "factor"), SEED, {0}};
static const cn_field identity_fields[] = {NUMBER(a, "gain", "1", "factor"), {0}};
static const cn_field stft_fields[] = {
    {.name = "side", .kind = CN_F_ENUM, MEMBER(side), .standard = "\"real\"", .choices = "real imag",
     .help = CN_HELP("cosines or negative sines")},
    {.name = "window", .kind = CN_F_VALUE, MEMBER(window), .standard = "\"hann\"",
     .help = CN_HELP("a name, numbers, or null")},
    {.name = "scaling", .kind = CN_F_ENUM, MEMBER(scaling), .standard = "\"density\"",
     .choices = "density spectrum null",
     .help = CN_HELP("how the window is normalised")},
    {.name = "periodic", .kind = CN_F_BOOL, MEMBER(periodic), .standard = "false",
     .help = CN_HELP("of the window")}, {0}};

static float *values(cn_tensor *out) { return (float *)out->data; }

/* ---- Without chance ---- */

static cn_status fill_all(cn_tensor *out, double v) {
  for (int64_t i = 0, n = cornu_tensor_size(out); i < n; i++) values(out)[i] = (float)v;
  return CORNU_OK;
}

static cn_status zeros(const cn_part_job *j, cn_tensor *out, cn_error *e) { return (void)j, (void)e, fill_all(out, 0); }
static cn_status ones(const cn_part_job *j, cn_tensor *out, cn_error *e) { return (void)j, (void)e, fill_all(out, 1); }

static bool flatten(const cn_value *v, float *out, int64_t n, int64_t *at) {
  double number;
  if (cn_value_is(v, CORNU_LIST)) {
    for (int i = 0; i < v->count; i++)
      if (!flatten(v->items[i], out, n, at)) return false;
    return true;
  }
  if (!cn_value_number(v, &number) || *at >= n) return false;
  out[(*at)++] = (float)number;
  return true;
}

static cn_status constant(const cn_part_job *j, cn_tensor *out, cn_error *e) {
  const cn_value *v = ((const settings *)j->settings)->value, *inner = cn_value_find(cn_value_find(v, "config"),
                                                                                     "value");
  const int64_t n = cornu_tensor_size(out);
  double number;
  int64_t at = 0;
  if (inner) v = inner; /* an array as Keras 3 writes it */
  if (cn_value_number(v, &number)) return fill_all(out, number);
  if (flatten(v, values(out), n, &at) && at == n) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"value\" is %s, expected a number or %lld of them",
                 cn_value_show(v, (char[80]){0}, 80), (long long)n);
}

static cn_status identity(const cn_part_job *j, cn_tensor *out, cn_error *e) {
  if (out->rank != 2)
    return cn_fail(e, CORNU_ERR_SHAPE, "it makes matrices, not %s", CN_SHAPE(out->rank, out->shape));
  fill_all(out, 0);
  for (int64_t k = 0; k < out->shape[0] && k < out->shape[1]; k++)
    values(out)[k * out->shape[1] + k] = (float)((const settings *)j->settings)->a;
  return CORNU_OK;
}

static cn_status read_window(const settings *s, int64_t length, double *window, cn_error *e) {
  double sum = 0;
  for (int64_t i = 0; i < length; i++) window[i] = 1;
  if (cn_value_is_null(s->window)) return CORNU_OK;
  if (!cn_value_str(s->window)) CN_TRY(cn_window_numbers(s->window, length, window, e));
  else if (!cn_window_named(s->window->s, length, s->periodic, window))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "window \"%s\" is not known: load the model with its weights",
                   s->window->s);
  for (int64_t i = 0; i < length; i++) sum += s->scaling == DENSITY ? window[i] * window[i] : fabs(window[i]);
  const double scale = s->scaling == DENSITY ? sqrt(sum) : s->scaling == SPECTRUM ? sum : 1;
  for (int64_t i = 0; i < length; i++) window[i] /= scale;
  return CORNU_OK;
}

static cn_status stft(const cn_part_job *j, cn_tensor *out, cn_error *e) {
  const settings *s = j->settings;
  if (out->rank != 3 || out->shape[1] != 1)
    return cn_fail(e, CORNU_ERR_SHAPE, "it makes (steps, 1, frequencies), not %s", CN_SHAPE(out->rank, out->shape));
  const int64_t steps = out->shape[0], half = out->shape[2] - 1;
  double *window = cn_alloc(sizeof *window * (size_t)steps + 1);
  if (!window) return cn_no_memory(e);
  cn_status status = read_window(s, steps, window, e);
  for (int64_t i = 0; i < steps && !status; i++)
    for (int64_t k = 0; k <= half; k++) {
      const double angle = half ? -2 * M_PI * (double)(i * k % (2 * half)) / (double)(2 * half) : 0;
      values(out)[i * (half + 1) + k] = (float)(window[i] * (s->side ? sin(angle) : cos(angle)));
    }
  cn_free(window);
  return status;
}

/* ---- By chance ---- */

static cn_status uniform(const cn_part_job *j, cn_tensor *out, cn_error *e) {
  const settings *s = j->settings;
  return cornu_random_uniform(j->random, out, s->a, s->b, e);
}

static cn_status normal(const cn_part_job *j, cn_tensor *out, cn_error *e) {
  const settings *s = j->settings;
  return cornu_random_normal(j->random, out, s->a, s->b, e);
}

/* Normal values within two deviations: others are drawn again, as Keras does. */
static cn_status fill_truncated(cornu_random *r, cn_tensor *t, double mean, double deviation, cn_error *e) {
  CN_TRY(cornu_random_normal(r, t, 0, 1, e));
  int64_t size = cornu_tensor_size(t), one = 1;
  cn_tensor *again;
  CN_TRY(cornu_tensor_new(CORNU_FLOAT32, 1, &one, &again, e));
  float *v = values(t);
  for (int64_t i = 0; i < size; i++) {
    while (fabsf(v[i]) > 2 && !cornu_random_normal(r, again, 0, 1, e)) v[i] = *values(again);
    v[i] = (float)(mean + deviation * v[i]);
  }
  cornu_tensor_release(again);
  return CORNU_OK;
}

static cn_status truncated(const cn_part_job *j, cn_tensor *out, cn_error *e) {
  const settings *s = j->settings;
  return fill_truncated(j->random, out, s->a, s->b, e);
}

static double product(const cn_tensor *t, const cn_ints *axes) {
  double n = 1;
  for (int i = 0; i < axes->n; i++) n *= axes->v[i] < t->rank ? (double)t->shape[axes->v[i]] : 1;
  return n;
}

/* How many units feed one, and how many one feeds. */
static void fans(const cn_part_job *j, const cn_tensor *t, double *in, double *out) {
  const settings *s = j->settings;
  const cn_ints *axes_in = s->in.n > 0 ? &s->in : &j->weight->fan_in;
  const cn_ints *axes_out = s->out.n > 0 ? &s->out : &j->weight->fan_out;
  double field = 1;
  for (int i = 0; i < t->rank - 2; i++) field *= (double)t->shape[i];
  *in = t->rank < 2 ? (double)cornu_tensor_size(t) : field * (double)t->shape[t->rank - 2];
  *out = t->rank < 2 ? *in : field * (double)t->shape[t->rank - 1];
  if (axes_in->n > 0 && axes_out->n > 0) *in = product(t, axes_in), *out = product(t, axes_out);
}

static cn_status fill_variance(const cn_part_job *j, cn_tensor *t, double scale, int mode, int distribution,
                               cn_error *e) {
  double in, out;
  fans(j, t, &in, &out);
  const double n = mode == FAN_IN ? in : mode == FAN_OUT ? out : (in + out) / 2, variance = scale / (n > 1 ? n : 1);
  if (distribution == UNIFORM) return cornu_random_uniform(j->random, t, -sqrt(3 * variance), sqrt(3 * variance), e);
  if (distribution == UNTRUNCATED) return cornu_random_normal(j->random, t, 0, sqrt(variance), e);
  return fill_truncated(j->random, t, 0, sqrt(variance) / 0.87962566103423978,
                        e); /* deviation of a normal cut at two */
}

static cn_status variance(const cn_part_job *j, cn_tensor *t, cn_error *e) {
  const settings *s = j->settings;
  if (s->a <= 0) return cn_fail(e, CORNU_ERR_ARGUMENT, "\"scale\" is %g, expected more than 0", s->a);
  return fill_variance(j, t, s->a, s->mode, s->distribution, e);
}

#define FIXED(id, scale, mode, distribution) \
  static cn_status id(const cn_part_job *j, cn_tensor *t, cn_error *e) { \
    return fill_variance(j, t, scale, mode, distribution, e); \
  }
FIXED(glorot_uniform, 1, FAN_AVG, UNIFORM)
FIXED(glorot_normal, 1, FAN_AVG, TRUNCATED)
FIXED(he_uniform, 2, FAN_IN, UNIFORM)
FIXED(he_normal, 2, FAN_IN, TRUNCATED)
FIXED(lecun_uniform, 1, FAN_IN, UNIFORM)
FIXED(lecun_normal, 1, FAN_IN, TRUNCATED)
FIXED(old_glorot_normal, 1, FAN_AVG, UNTRUNCATED)
FIXED(old_he_normal, 2, FAN_IN, UNTRUNCATED)

/* Rows (or columns, the fewer) of a random matrix made orthonormal by Gram-Schmidt, twice for accuracy. */
static cn_status orthogonal(const cn_part_job *j, cn_tensor *t, cn_error *e) {
  if (t->rank < 2) return cn_fail(e, CORNU_ERR_SHAPE, "it makes matrices, not %s", CN_SHAPE(t->rank, t->shape));
  CN_TRY(cornu_random_normal(j->random, t, 0, 1, e));
  const int64_t columns = t->shape[t->rank - 1], size = cornu_tensor_size(t), rows = columns ? size / columns : 0;
  const bool by_row = rows <= columns;
  const int64_t count = by_row ? rows : columns, length = by_row ? columns : rows, next = by_row ? columns : 1,
                step = by_row ? 1 : columns;
  float *v = values(t);
  for (int64_t i = 0; i < count; i++) {
    for (int pass = 0; pass < 2; pass++)
      for (int64_t k = 0; k < i; k++) {
        double dot = 0;
        for (int64_t m = 0; m < length; m++) dot += (double)v[i * next + m * step] * v[k * next + m * step];
        for (int64_t m = 0; m < length; m++) v[i * next + m * step] -= (float)(dot * v[k * next + m * step]);
      }
    double norm = 0;
    for (int64_t m = 0; m < length; m++) norm += (double)v[i * next + m * step] * v[i * next + m * step];
    for (int64_t m = 0; m < length && norm > 0; m++) v[i * next + m * step] = (float)(v[i * next + m * step] / sqrt(norm));
  }
  for (int64_t i = 0; i < size; i++) v[i] = (float)(v[i] * ((const settings *)j->settings)->a);
  return CORNU_OK;
}

/* Keras 1 has the same names for other distributions. */
#define TYPE(class, other, in, words, table, how) \
  {.name = class, .aliases = other, .versions = in, .help = CN_HELP(words), .settings_size = sizeof(settings), \
   .fields = table, .fill = how}
const cn_part_type cn_initializers[] = {
    TYPE("Zeros", "zeros zero zeros_v2", "1 2 3", "zeros", no_fields, zeros),
    TYPE("Ones", "ones one ones_v2", "1 2 3", "ones", no_fields, ones),
    TYPE("Constant", "constant", "2 3", "a number everywhere", constant_fields, constant),
    TYPE("RandomUniform", "random_uniform uniform", "1 2 3", "uniform between minval and maxval", uniform_fields,
         uniform),
    TYPE("RandomNormal", "random_normal normal", "1 2 3", "normal", normal_fields, normal),
    TYPE("TruncatedNormal", "truncated_normal", "2 3", "normal within two deviations of the mean", normal_fields,
         truncated),
    TYPE("VarianceScaling", "variance_scaling", "2 3", "a variance of scale / units", variance_fields, variance),
    TYPE("GlorotUniform", "glorot_uniform", "1 2 3", "uniform, variance 2 / (inputs + outputs)", fixed_fields,
         glorot_uniform),
    TYPE("GlorotNormal", "glorot_normal", "2 3", "truncated normal, variance 2 / (inputs + outputs)", fixed_fields,
         glorot_normal),
    TYPE("glorot_normal", NULL, "1", "normal, variance 2 / (inputs + outputs)", fixed_fields, old_glorot_normal),
    TYPE("HeUniform", "he_uniform", "1 2 3", "uniform, variance 2 / inputs", fixed_fields, he_uniform),
    TYPE("HeNormal", "he_normal", "2 3", "truncated normal, variance 2 / inputs", fixed_fields, he_normal),
    TYPE("he_normal", NULL, "1", "normal, variance 2 / inputs", fixed_fields, old_he_normal),
    TYPE("LecunUniform", "lecun_uniform", "1 2 3", "uniform, variance 1 / inputs", fixed_fields, lecun_uniform),
    TYPE("LecunNormal", "lecun_normal", "2 3", "truncated normal, variance 1 / inputs", fixed_fields, lecun_normal),
    TYPE("Orthogonal", "OrthogonalInitializer orthogonal", "2 3",
         "a matrix with orthonormal rows or columns, the fewer",
         orthogonal_fields, orthogonal),
    TYPE("orthogonal", NULL, "1", "orthonormal rows or columns", old_orthogonal_fields, orthogonal),
    TYPE("Identity", "IdentityInitializer identity", "1 2 3", "ones on the diagonal of a matrix", identity_fields,
         identity),
    TYPE("STFT", "STFTInitializer stft", "3", "the waves of a short-time Fourier transform: (steps, 1, frequencies)",
         stft_fields,
         stft),
    {0}};

/* ---- Weights of layers ---- */

/* Statistics and scales start as Keras's layers say when the config is silent. */
static const char *standard_for(const char *name) {
  return cn_word_in("gamma moving_variance variance scale", name, NULL) ? "ones"
         : cn_word_in("kernel depthwise_kernel pointwise_kernel W W_carry", name, NULL) ? "glorot_uniform"
         : cn_word_in("embeddings reverse_embeddings", name, NULL) ? "uniform"
         : cn_word_in("recurrent_kernel", name, NULL) ? "orthogonal" : "zeros";
}

/* A seed of its own, or the model's numbers. */
static bool own_seed(const cn_value *v, int64_t *seed) {
  return cn_value_integer(v, seed) || cn_value_integer(cn_value_find(cn_value_find(v, "config"), "seed"), seed);
}

/* Columns first … first + count - 1 of `to` from a tensor of so many. */
static void place(cn_tensor *to, const cn_tensor *from, int64_t first) {
  const int64_t wide = to->shape[to->rank - 1], count = from->shape[from->rank - 1];
  for (int64_t row = 0, rows = cornu_tensor_size(from) / (count ? count : 1); row < rows; row++)
    memcpy(values(to) + row * wide + first, (const float *)from->data + row * count, sizeof(float) * (size_t)count);
}

/* Keras 1 makes the kernels of gates apart, each by its own size. */
static cn_status fill_parts(const cn_part *part, const cn_part_job *j, int parts, cn_tensor *t, cn_error *e) {
  int64_t shape[CN_MAX_RANK];
  cn_tensor *one;
  if (parts < 2 || !t->rank || t->shape[t->rank - 1] % parts) return part->type->fill(j, t, e);
  memcpy(shape, t->shape, sizeof shape);
  shape[t->rank - 1] /= parts;
  CN_TRY(cornu_tensor_new(CORNU_FLOAT32, t->rank, shape, &one, e));
  cn_status status = CORNU_OK;
  for (int i = 0; i < parts && !status; i++) {
    status = part->type->fill(j, one, e);
    if (!status) place(t, one, i * shape[t->rank - 1]);
  }
  cornu_tensor_release(one);
  return status;
}

static cn_status fill(cn_layer *l, int index, cornu_random *r, cn_arena *arena, cn_tensor **out, cn_error *e) {
  const cn_weight *w = &l->weights[index];
  cn_value standard = {.kind = CORNU_STRING, .s = standard_for(w->name)};
  standard.count = (int)strlen(standard.s);
  cn_part part;
  CN_TRY(cn_part_parse(CORNU_INITIALIZER, cn_value_is_null(w->initializer) ? &standard : w->initializer, &l->origin,
                       arena,
                       &part, e));
  CN_TRY(cornu_tensor_new(CORNU_FLOAT32, w->rank, w->shape, out, e));
  int64_t seed;
  cornu_random own;
  const bool seeded = own_seed(((const settings *)part.settings)->seed, &seed);
  if (seeded) cornu_random_seed(&own, (uint64_t)seed);
  const cn_part_job job = {.settings = part.settings, .random = seeded ? &own : r, .weight = w};
  const int arrays = l->origin.keras == 1 && l->type->keras1_arrays ? l->type->keras1_arrays(l) : l->n_weights;
  cn_status status = fill_parts(&part, &job, arrays / l->n_weights, *out, e);
  return status ? cn_at(e, status, "%s", part.type->name) : CORNU_OK;
}

static cn_status init_weight(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  if (owner->weights[index].value && !owner->weights[index].provisional) return CORNU_OK;
  cn_arena arena = {0};
  cn_tensor *t = NULL;
  cn_status status = fill(owner, index, user, &arena, &t, e);
  if (!status) status = cn_layer_set_weight(owner, index, t, e);
  cornu_tensor_release(t);
  cn_arena_free(&arena);
  return status ? cn_at(e, status, "layer \"%s\", weight \"%s\"", owner->name, path) : CORNU_OK;
}

cn_status cn_layer_init_weights(cn_layer *l, cornu_random *r, cn_error *e) {
  return cn_layer_each_weight(l, init_weight, r, e);
}
