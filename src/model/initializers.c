/* Initial weights, for models that come without: Keras's initializers by name or serialized form.
 * Variance formulas: Glorot and Bengio 2010, He et al. 2015, LeCun et al. 1998, as Keras's VarianceScaling states them.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/model.h"

typedef enum kind { ZEROS, ONES, CONSTANT, UNIFORM, NORMAL, TRUNCATED, VARIANCE, ORTHOGONAL, IDENTITY } kind;
typedef enum fan { FAN_IN, FAN_OUT, FAN_AVG } fan;
typedef enum shape_of { BY_UNIFORM, BY_NORMAL, BY_TRUNCATED } shape_of;

typedef struct initializer {
  kind kind;
  double a, b;       /* value; low, high; mean, deviation; scale or gain */
  fan fan;
  shape_of shape;
} initializer;

/* Names of every Keras: functions of Keras 1 and 2, classes of 2 and 3. */
static const struct { const char *names; initializer init; } known[] = {
    {"zeros Zeros zero zeros_v2", {ZEROS, 0, 0, 0, 0}},
    {"ones Ones one ones_v2", {ONES, 0, 0, 0, 0}},
    {"constant Constant", {CONSTANT, 0, 0, 0, 0}},
    {"random_uniform RandomUniform uniform", {UNIFORM, -0.05, 0.05, 0, 0}},
    {"random_normal RandomNormal normal", {NORMAL, 0, 0.05, 0, 0}},
    {"truncated_normal TruncatedNormal", {TRUNCATED, 0, 0.05, 0, 0}},
    {"variance_scaling VarianceScaling", {VARIANCE, 1, 0, FAN_IN, BY_TRUNCATED}},
    {"glorot_uniform GlorotUniform", {VARIANCE, 1, 0, FAN_AVG, BY_UNIFORM}},
    {"glorot_normal GlorotNormal", {VARIANCE, 1, 0, FAN_AVG, BY_TRUNCATED}},
    {"he_uniform HeUniform", {VARIANCE, 2, 0, FAN_IN, BY_UNIFORM}},
    {"he_normal HeNormal", {VARIANCE, 2, 0, FAN_IN, BY_TRUNCATED}},
    {"lecun_uniform LecunUniform", {VARIANCE, 1, 0, FAN_IN, BY_UNIFORM}},
    {"lecun_normal LecunNormal", {VARIANCE, 1, 0, FAN_IN, BY_TRUNCATED}},
    {"orthogonal Orthogonal OrthogonalInitializer", {ORTHOGONAL, 1, 0, 0, 0}},
    {"identity Identity IdentityInitializer", {IDENTITY, 1, 0, 0, 0}},
};

static double number(const cn_value *config, const char *key, double other) {
  double v;
  return cn_value_number(cn_value_find(config, key), &v) ? v : other;
}

static void read_config(initializer *i, const cn_value *config) {
  switch (i->kind) {
    case CONSTANT: i->a = number(config, "value", 0); break;
    case UNIFORM: i->a = number(config, "minval", i->a), i->b = number(config, "maxval", i->b); break;
    case NORMAL:
    case TRUNCATED: i->a = number(config, "mean", i->a), i->b = number(config, "stddev", i->b); break;
    case ORTHOGONAL:
    case IDENTITY: i->a = number(config, "gain", i->a); break;
    case VARIANCE: {
      i->a = number(config, "scale", i->a);
      const char *mode = cn_value_str(cn_value_find(config, "mode")),
                 *shape = cn_value_str(cn_value_find(config, "distribution"));
      if (mode) i->fan = strcmp(mode, "fan_out") == 0 ? FAN_OUT : strcmp(mode, "fan_avg") == 0 ? FAN_AVG : FAN_IN;
      if (shape)
        i->shape = strcmp(shape, "uniform") == 0              ? BY_UNIFORM
                   : strcmp(shape, "untruncated_normal") == 0 ? BY_NORMAL
                                                              : BY_TRUNCATED;
      break;
    }
    default: break;
  }
}

static cn_status parse(const cn_value *v, initializer *out, cn_error *e) {
  *out = (initializer){ZEROS, 0, 0, 0, 0};
  if (cn_value_is_null(v)) return CORNU_OK;
  const cn_value *config = cn_value_find(v, "config");
  const char *name = cn_value_str(v) ? cn_value_str(v) : cn_value_str(cn_value_find(v, "class_name"));
  if (name && !strcmp(name, "function") && cn_value_str(config)) name = cn_value_str(config);
  for (int i = 0; name && i < CN_COUNT(known); i++)
    if (cn_word_in(known[i].names, name, NULL)) {
      *out = known[i].init;
      read_config(out, config);
      return CORNU_OK;
    }
  return cn_fail(e, CORNU_ERR_UNSUPPORTED, "initializer %s is not known: load the model with its weights",
                 cn_value_show(v, (char[80]){0}, 80));
}

static void fans(const cn_weight *w, double *in, double *out) {
  if (w->rank < 2) {
    *in = *out = w->rank ? (double)w->shape[0] : 1;
    return;
  }
  double field = 1;
  for (int i = 0; i < w->rank - 2; i++) field *= (double)w->shape[i];
  *in = field * (double)w->shape[w->rank - 2];
  *out = field * (double)w->shape[w->rank - 1];
}

/* Normal values within two deviations: others are drawn again, as Keras does. */
static cn_status fill_truncated(cornu_random *r, cn_tensor *t, double mean, double deviation, cn_error *e) {
  CN_TRY(cornu_random_normal(r, t, 0, 1, e));
  int64_t size = cornu_tensor_size(t), one = 1;
  cn_tensor *again;
  CN_TRY(cornu_tensor_new(CORNU_FLOAT32, 1, &one, &again, e));
  float *v = (float *)t->data;
  for (int64_t i = 0; i < size; i++) {
    while (fabsf(v[i]) > 2 && !cornu_random_normal(r, again, 0, 1, e)) v[i] = *(float *)again->data;
    v[i] = (float)(mean + deviation * v[i]);
  }
  cornu_tensor_release(again);
  return CORNU_OK;
}

static cn_status fill_variance(cornu_random *r, const cn_weight *w, cn_tensor *t, const initializer *i, cn_error *e) {
  double in, out;
  fans(w, &in, &out);
  double n = i->fan == FAN_IN ? in : i->fan == FAN_OUT ? out : (in + out) / 2;
  double variance = i->a / (n > 1 ? n : 1);
  if (i->shape == BY_UNIFORM) return cornu_random_uniform(r, t, -sqrt(3 * variance), sqrt(3 * variance), e);
  if (i->shape == BY_NORMAL) return cornu_random_normal(r, t, 0, sqrt(variance), e);
  return fill_truncated(r, t, 0, sqrt(variance) / 0.87962566103423978, e); /* deviation of a normal cut at two */
}

/* Rows (or columns, the fewer) of a random matrix made orthonormal by Gram-Schmidt, twice for accuracy. */
static cn_status fill_orthogonal(cornu_random *r, const cn_weight *w, cn_tensor *t, double gain, cn_error *e) {
  CN_TRY(cornu_random_normal(r, t, 0, 1, e));
  int64_t columns = w->rank ? w->shape[w->rank - 1] : 1, size = cornu_tensor_size(t),
          rows = columns ? size / columns : 0;
  bool by_row = rows <= columns;
  int64_t count = by_row ? rows : columns, length = by_row ? columns : rows, next = by_row ? columns : 1,
          step = by_row ? 1 : columns;
  float *v = (float *)t->data;
  for (int64_t i = 0; i < count; i++) {
    for (int pass = 0; pass < 2; pass++)
      for (int64_t j = 0; j < i; j++) {
        double dot = 0;
        for (int64_t k = 0; k < length; k++) dot += (double)v[i * next + k * step] * v[j * next + k * step];
        for (int64_t k = 0; k < length; k++) v[i * next + k * step] -= (float)(dot * v[j * next + k * step]);
      }
    double norm = 0;
    for (int64_t k = 0; k < length; k++) norm += (double)v[i * next + k * step] * v[i * next + k * step];
    for (int64_t k = 0; k < length && norm > 0; k++)
      v[i * next + k * step] = (float)(v[i * next + k * step] / sqrt(norm));
  }
  for (int64_t i = 0; i < size; i++) v[i] = (float)(v[i] * gain);
  return CORNU_OK;
}

static cn_status fill(cornu_random *r, const cn_weight *w, cn_tensor *t, const initializer *i, cn_error *e) {
  int64_t size = cornu_tensor_size(t);
  float *v = (float *)t->data;
  switch (i->kind) {
    case ZEROS: return CORNU_OK;
    case ONES:
    case CONSTANT:
      for (int64_t k = 0; k < size; k++) v[k] = i->kind == ONES ? 1.0f : (float)i->a;
      return CORNU_OK;
    case UNIFORM: return cornu_random_uniform(r, t, i->a, i->b, e);
    case NORMAL: return cornu_random_normal(r, t, i->a, i->b, e);
    case TRUNCATED: return fill_truncated(r, t, i->a, i->b, e);
    case VARIANCE: return fill_variance(r, w, t, i, e);
    case ORTHOGONAL: return fill_orthogonal(r, w, t, i->a, e);
    case IDENTITY:
      if (w->rank != 2)
        return cn_fail(e, CORNU_ERR_SHAPE, "the identity initializer needs a matrix, not %s",
                       CN_SHAPE(w->rank, w->shape));
      for (int64_t k = 0; k < w->shape[0] && k < w->shape[1]; k++) v[k * w->shape[1] + k] = (float)i->a;
      return CORNU_OK;
  }
  return CORNU_OK;
}

/* Statistics and scales start as Keras's layers say when the config is silent. */
static const char *standard_for(const char *name) {
  return cn_word_in("gamma moving_variance variance scale", name, NULL) ? "ones"
         : cn_word_in("kernel depthwise_kernel pointwise_kernel embeddings", name, NULL) ? "glorot_uniform"
         : cn_word_in("recurrent_kernel", name, NULL) ? "orthogonal" : "zeros";
}

static cn_status init_weight(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  cn_weight *w = &owner->weights[index];
  if (w->value) return CORNU_OK;
  initializer init;
  cn_value standard = {.kind = CORNU_STRING, .s = standard_for(w->name)};
  standard.count = (int)strlen(standard.s);
  CN_TRY(parse(cn_value_is_null(w->initializer) ? &standard : w->initializer, &init, e));
  cn_tensor *t;
  CN_TRY(cornu_tensor_new(CORNU_FLOAT32, w->rank, w->shape, &t, e));
  cn_status status = fill(user, w, t, &init, e);
  if (!status) status = cn_layer_set_weight(owner, index, t, e);
  cornu_tensor_release(t);
  return status ? cn_at(e, status, "layer \"%s\", weight \"%s\"", owner->name, path) : CORNU_OK;
}

cn_status cn_layer_init_weights(cn_layer *l, uint64_t seed, cn_error *e) {
  cornu_random r;
  cornu_random_seed(&r, seed);
  return cn_layer_each_weight(l, init_weight, &r, e);
}

cn_status cn_model_init_weights(cn_model *m, uint64_t seed, cn_error *e) {
  cornu_random r;
  cornu_random_seed(&r, seed);
  for (int i = 0; i < m->n_layers; i++) CN_TRY(cn_layer_each_weight(m->layers[i], init_weight, &r, e));
  return CORNU_OK;
}
