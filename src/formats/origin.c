/* Where a config and its weights come from: which Keras, which backend, which order of dimensions if none is saved. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "formats/formats.h"

/* ---- Versions ---- */

/* "2.2.4-tf" -> 2, 2, 4. From 2.4 on, and with "-tf", Keras 2 is tf.keras. */
static bool parse_version(const char *text, cn_origin *out) {
  int parts[3] = {0}, n = 0;
  const char *p = text;
  while (n < 3 && *p >= '0' && *p <= '9') {
    char *end;
    long v = strtol(p, &end, 10);
    parts[n++] = v > 9999 ? 9999 : (int)v;
    p = end + (*end == '.');
    if (*end != '.') break;
  }
  if (!n || parts[0] < 1) return false;
  out->keras = parts[0];
  out->minor = parts[1];
  out->patch = parts[2];
  out->tf = parts[0] == 2 && (parts[1] >= 4 || strstr(text, "-tf"));
  return true;
}

/* ---- Traits of a config ---- */

typedef struct traits {
  int first, last;             /* layers with dim_ordering th or data_format channels_first; tf or channels_last */
  bool keras1, keras3, modules;/* keys that only this version writes; envelopes with modules */
} traits;

static void look_at(const cn_value *v, traits *t) {
  if (!v || (v->kind != CORNU_LIST && v->kind != CORNU_DICT)) return;
  for (int i = 0; i < v->count; i++) {
    const cn_value *item = v->items[i];
    const char *key = v->kind == CORNU_DICT ? v->keys[i] : "", *text = cn_value_str(item);
    if (text && (strcmp(key, "dim_ordering") == 0 || strcmp(key, "data_format") == 0)) {
      t->first += strcmp(text, "th") == 0 || strcmp(text, "channels_first") == 0;
      t->last += strcmp(text, "tf") == 0 || strcmp(text, "channels_last") == 0;
    }
    t->keras1 |= cn_word_in("dim_ordering border_mode nb_filter W_regularizer inner_init consume_less", key, NULL);
    t->keras3 |= cn_word_in("batch_shape registered_name build_config", key, NULL);
    t->modules |= strcmp(key, "module") == 0;
    look_at(item, t);
  }
}

/* ---- Backends ---- */

static cn_status option_backend(const cornu_load_options *options, const char **out, cn_error *e) {
  *out = options->backend;
  if (!*out || cn_word_in("theano tensorflow", *out, NULL)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "backend is \"%s\"; it may be \"theano\" or \"tensorflow\"", *out);
}

/* Keras 1 names no backend, but TensorFlow's names of weights end in ":0". false: no weight to tell. */
static cn_status names_of_theano(cn_source *s, bool *theano, bool *known, cn_error *e) {
  cn_arena a = {0};
  cn_names layers, weights = {0};
  bool found;
  *known = false;
  cn_status status = cn_h5_attr_texts(s->h5, s->group, "layer_names", &a, &layers, &found, e);
  for (int i = 0; i < layers.count && !status && !weights.count; i++) {
    const char *path = cn_arena_printf(&a, "%s/%s", s->group, layers.items[i]);
    status = path ? cn_h5_attr_texts(s->h5, path, "weight_names", &a, &weights, &found, e) : cn_no_memory(e);
  }
  if (!status && weights.count) {
    const char *name = weights.items[0];
    size_t length = strlen(name);
    *known = true;
    *theano = length < 2 || strcmp(name + length - 2, ":0") != 0;
  }
  cn_arena_free(&a);
  return status;
}

/* Which backend wrote a Keras 1 file: the option, the names of the weights, else TensorFlow. */
static cn_status keras1_backend(cn_source *s, const cornu_load_options *options, const char *said, bool *theano,
                                cn_error *e) {
  const char *option;
  bool known = false;
  CN_TRY(option_backend(options, &option, e));
  if (!option && *said) option = said;
  *theano = option && strcmp(option, "theano") == 0;
  if (option || !s || !s->h5) return CORNU_OK;
  if (s->layout == CN_WEIGHTS_LEGACY) CN_TRY(names_of_theano(s, theano, &known, e));
  if (s->layout == CN_WEIGHTS_NUMBERED) *theano = true; /* that early, few ran on anything else */
  return CORNU_OK;
}

/* ---- Origins ---- */

static void set_keras(cn_origin *o, int keras, int minor, int patch) {
  o->keras = keras;
  o->minor = minor;
  o->patch = patch;
}

static bool without_version(const cn_source *s) {
  return s->layout == CN_WEIGHTS_NUMBERED || (s->layout == CN_WEIGHTS_LEGACY && !*s->weights_version);
}

cn_status cn_origin_of(const cn_source *source, cn_source *weights, const cornu_load_options *options, cn_origin *out,
                       cn_error *e) {
  traits t = {0};
  const char *option;
  *out = (cn_origin){0};
  CN_TRY(option_backend(options, &option, e));
  if (options->data_format && !cn_word_in("channels_first channels_last", options->data_format, NULL))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "data_format is \"%s\"; it may be \"channels_first\" or \"channels_last\"",
                   options->data_format);
  if (source->flat) return out->keras = 3, cn_origin_read(source->config, out), CORNU_OK;
  bool known = parse_version(source->version, out);
  if (!known && parse_version(source->weights_version, out)) known = true;
  if (!known || out->keras == 1 || source->json) look_at(source->config, &t);
  if (!known) {
    if (without_version(source) || t.keras1) set_keras(out, 1, source->layout == CN_WEIGHTS_NUMBERED ? 0 : 2, 2);
    else if (t.keras3) set_keras(out, 3, 15, 0);
    else set_keras(out, 2, 2, 4);
  }
  out->h5 = !source->keras_archive && !(source->json && t.modules);
  const char *backend = *source->backend ? source->backend : option ? option : "";
  out->theano = strcmp(backend, "theano") == 0;
  if (out->keras == 1) CN_TRY(keras1_backend(weights, options, source->backend, &out->theano, e));
  if (options->data_format) out->channels_first = strcmp(options->data_format, "channels_first") == 0;
  else if (out->keras == 1) out->channels_first = t.first || t.last ? t.first > t.last : out->theano;
  return CORNU_OK;
}

cn_status cn_origin_of_weights(cn_source *weights, const cn_origin *config, const cornu_load_options *options,
                               cn_origin *out, cn_error *e) {
  *out = *config;
  if (weights->flat) return CORNU_OK;
  if (weights->layout == CN_WEIGHTS_OBJECTS) {
    if (!parse_version(weights->version, out) && config->keras < 3 && !config->tf) set_keras(out, 3, 15, 0);
    out->theano = false;
    return CORNU_OK;
  }
  if (without_version(weights) && config->keras == 1)
    return keras1_backend(weights, options, weights->backend, &out->theano, e);
  if (without_version(weights)) {
    /* Keras 2 transposes such kernels but never turns them by 180 degrees: so do we, unless the option says theano. */
    const char *option;
    CN_TRY(option_backend(options, &option, e));
    set_keras(out, 1, 2, 2);
    out->tf = false;
    out->theano = option && strcmp(option, "theano") == 0;
    return CORNU_OK;
  }
  parse_version(weights->weights_version, out);
  out->theano = strcmp(weights->backend, "theano") == 0;
  return CORNU_OK;
}
