/* Values of configs from one Keras's words into another's. */
#include <string.h>

#include "base/text.h"
#include "formats/keras_words.h"
#include "formats/save.h"

/* ---- Making values ---- */

cn_value *cn_say_text(cn_saving *s, const char *text) { return cn_value_text(&s->arena, text); }

cn_value *cn_say_int(cn_saving *s, int64_t i) {
  cn_value *v = cn_value_new(&s->arena, CORNU_INT);
  if (v) v->i = i;
  return v;
}

cn_value *cn_say_bool(cn_saving *s, bool b) {
  cn_value *v = cn_value_new(&s->arena, CORNU_BOOL);
  if (v) v->b = b;
  return v;
}

cn_value *cn_say_shape(cn_saving *s, int rank, const int64_t *shape) {
  cn_value *list = cn_value_new(&s->arena, CORNU_LIST);
  for (int i = 0; i < rank && list; i++) {
    cn_value *d = shape[i] < 0 ? cn_value_new(&s->arena, CORNU_NULL) : cn_say_int(s, shape[i]);
    if (!d || !cn_value_push(&s->arena, list, d)) return NULL;
  }
  return list;
}

cn_status cn_say(cn_saving *s, cn_value *dict, const char *key, const cn_value *v) {
  return dict && v && cn_value_put(&s->arena, dict, key, (cn_value *)v) ? CORNU_OK : cn_no_memory(s->e);
}

cn_status cn_say_object(cn_saving *s, const char *module, const char *class_name, const cn_value *config,
                        cn_value **out) {
  cn_value *v = *out = cn_value_new(&s->arena, CORNU_DICT);
  if (s->keras >= 3) CN_TRY(cn_say(s, v, "module", cn_say_text(s, module)));
  CN_TRY(cn_say(s, v, "class_name", cn_say_text(s, class_name)));
  CN_TRY(cn_say(s, v, "config", config));
  return s->keras >= 3 ? cn_say(s, v, "registered_name", cn_value_new(&s->arena, CORNU_NULL)) : CORNU_OK;
}

cn_status cn_say_origin(cn_saving *s, cn_value *out, const cn_origin *origin) {
  int64_t version[] = {origin->keras, origin->minor, origin->patch};
  cn_value *v = cn_value_new(&s->arena, CORNU_DICT);
  CN_TRY(cn_say(s, v, "keras", cn_say_shape(s, 3, version)));
  CN_TRY(cn_say(s, v, "tf", cn_say_bool(s, origin->tf)));
  CN_TRY(cn_say(s, v, "theano", cn_say_bool(s, origin->theano)));
  CN_TRY(cn_say(s, v, "channels_first", cn_say_bool(s, origin->channels_first)));
  CN_TRY(cn_say(s, v, "h5", cn_say_bool(s, origin->h5)));
  return cn_say(s, out, "cornu_origin", v);
}

/* ---- Initializers, regularizers, constraints ---- */

/* Keras 1 says constraints as {name, m, axis}. */
static const char *newer_key(const char *key) { return strcmp(key, "m") == 0 ? "max_value" : key; }

/* Regularizers have had many names; their factors tell which one it is. Keras 2 has one with both. */
static cn_status say_regularizer(cn_saving *s, const char *name, cn_value *config, cn_value **out) {
  static const char *const factors[] = {"l1", "l2"};
  int known = 0;
  for (int i = 0; i < 2; i++) known += cn_value_find(config, factors[i]) ? i + 1 : 0;
  for (int i = 0; i < 2 && known && s->keras < 3; i++)
    if (!cn_value_find(config, factors[i])) CN_TRY(cn_say(s, config, factors[i], cn_value_new(&s->arena, CORNU_FLOAT)));
  if (known) name = known == 3 || s->keras < 3 ? "L1L2" : known == 1 ? "L1" : "L2";
  return cn_say_object(s, "keras.regularizers", name, config, out);
}

static const cn_value *config_of(cn_saving *s, const cn_value *v) {
  const cn_value *config = cn_value_find(v, "config");
  if (cn_value_is(config, CORNU_DICT)) return config;
  cn_value *flat = cn_value_new(&s->arena, CORNU_DICT);
  for (int i = 0; flat && !cn_value_find(v, "class_name") && i < v->count; i++)
    if (strcmp(v->keys[i], "name") != 0 && !cn_value_put(&s->arena, flat, newer_key(v->keys[i]), v->items[i]))
      return NULL;
  return flat;
}

static cn_value *without(cn_saving *s, const cn_value *config, const char *keys) {
  cn_value *out = cn_value_new(&s->arena, CORNU_DICT);
  for (int i = 0; out && i < config->count; i++)
    if (!cn_word_in(keys, config->keys[i], NULL) && !cn_value_put(&s->arena, out, config->keys[i], config->items[i]))
      return NULL;
  return out;
}

cn_status cn_say_part(cn_saving *s, const char *key, const cn_value *v, cn_value **out) {
  const char *module = strstr(key, "initializer") ? "keras.initializers" : "keras.constraints";
  *out = (cn_value *)v;
  if (!cn_value_is(v, CORNU_DICT)) return CORNU_OK;
  const char *name = cn_value_str(cn_value_find(v, "class_name"));
  if (!name) name = cn_value_str(cn_value_find(v, "name"));
  const cn_value *config = config_of(s, v);
  if (!name || !config) return config ? CORNU_OK : cn_no_memory(s->e);
  const char *mark = strrchr(name, '>');
  if (mark) name = mark + 1;
  if (s->keras < 3 && strcmp(name, "OrthogonalInitializer") == 0) name = "Orthogonal";
  cn_value *own = without(s, config, s->keras < 3 ? "dtype input_axes output_axes" : "dtype");
  if (!own) return cn_no_memory(s->e);
  return strstr(key, "regularizer") ? say_regularizer(s, name, own, out) : cn_say_object(s, module, name, own, out);
}

/* ---- What is known ---- */

static const char *words_of(const cn_keras_words *table, const char *name) {
  for (; table->name; table++)
    if (strcmp(table->name, name) == 0) return table->words;
  return NULL;
}

static const char *keys_of(const cn_saving *s, const char *class_name) {
  return words_of(s->keras < 3 ? cn_keras2_keys : cn_keras3_keys, class_name);
}

bool cn_knows_class(const cn_saving *s, const char *class_name) { return keys_of(s, class_name); }

bool cn_knows_key(const cn_saving *s, const char *class_name, const char *key) {
  const char *keys = keys_of(s, class_name);
  if (strcmp(key, "trainable") == 0) return !cn_word_in(keys, "!trainable", NULL);
  return cn_word_in("name dtype activity_regularizer", key, NULL) || cn_word_in(keys, key, NULL);
}
