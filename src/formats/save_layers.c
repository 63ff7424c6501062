/* Layers in the words of the Keras that is written for: classes, keys, and weights where those change with them. */
#include <string.h>

#include "base/text.h"
#include "formats/keras_words.h"
#include "formats/save.h"
#include "layers/custom.h"
#include "layers/operation.h"
#include "layers/rnn.h"
#include "layers/spatial.h"

static const char *type_name(const cn_layer *l) {
  return l->type && l->type != &cn_layer_custom ? l->type->name : l->class_name;
}
static bool is(const cn_layer *l, const char *names) { return cn_word_in(names, type_name(l), NULL); }

/* What works instead of what Keras 3 cannot say; key: NULL, all of the layer. */
static const char *instead(const cn_saving *s, const cn_layer *l, const char *key) {
  cn_saving older = *s;
  older.keras = 2;
  bool known = cn_knows_class(&older, type_name(l)) && (!key || cn_knows_key(&older, type_name(l), key));
  if (s->keras < 3 || (l->origin.keras != 2 && !(l->origin.keras == 1 && known)))
    return "; save_weights as .npz keeps its weights";
  return "; save as .h5, in the words of Keras 2";
}

static cn_status cannot(const cn_saving *s, const cn_layer *l, const char *key, const cn_value *v, const char *why) {
  return cn_fail(s->e, CORNU_ERR_UNSUPPORTED, "layer \"%s\" (%s): \"%s\" is %s, which Keras %d cannot say%s%s%s",
                 l->name, l->class_name, key, cn_value_show(v, (char[80]){0}, 80), s->keras, *why ? ": " : "", why,
                 instead(s, l, key));
}

/* Whether the config goes out as it came. */
static bool same_words(const cn_saving *s, const cn_layer *l) {
  return s->own || l->origin.keras == s->keras || (l->type == &cn_layer_custom && !is(l, "Lambda"));
}

/* ---- Activations ---- */

/* The pieces of hard_sigmoid are 0.2 x + 0.5 before Keras 3 and x / 6 + 0.5 since: the same function when what goes in is
 * scaled, which the weights in front can do. */
static double hard_factor(const cn_saving *s, const cn_layer *l) {
  return l->origin.keras < 3 && s->keras >= 3 ? 1.2 : l->origin.keras >= 3 && s->keras < 3 ? 1 / 1.2 : 1;
}

static const char recurrent_classes[] = "LSTM GRU LSTMCell GRUCell ConvLSTM1D ConvLSTM2D ConvLSTM3D";

static bool is_hard(const cn_layer *l, const char *key) {
  const cn_field *f = cn_field_find(l->type->fields, key);
  if (!f || f->kind != CN_F_ACTIVATION) return false;
  const cn_activation *a = (const void *)((const char *)l->settings + f->offset);
  return a->kind == CN_ACTIVATION_ELEMENT && a->act.kind == CN_ACT_HARD_SIGMOID;
}

static bool can_scale(const cn_layer *l, const char *key) {
  if (strcmp(key, "recurrent_activation") == 0) return is(l, recurrent_classes);
  return is(l, "Dense TimeDistributedDense EinsumDense Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose "
               "Conv3DTranspose DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell");
}

/* Whether others may stand around the layer that is said. Rescaling and Reshape are as here in Keras 3. */
static bool stands_free(const cn_saving *s) { return s->keras >= 3 && !s->inside; }

static cn_status say_wrapped_value(cn_saving *s, const cn_layer *l, const cn_value *v, cn_value **out);

static cn_status say_activation(cn_saving *s, const cn_layer *l, const char *key, const cn_value *v, cn_value **out) {
  static const char of_keras2[] = "linear elu exponential gelu hard_sigmoid relu selu sigmoid softmax softplus softsign "
                                  "swish tanh mish leaky_relu relu6 silu log_softmax";
  *out = (cn_value *)v;
  if (is_hard(l, key) && hard_factor(s, l) != 1 && !can_scale(l, key) && !(is(l, "Activation") && stands_free(s)))
    return cannot(s, l, key, v, "its pieces are others there");
  const char *name = cn_value_str(v);
  bool known = !name || cn_word_in(of_keras2, name, NULL) || cn_custom_find(l->customs, name, name);
  if (s->keras < 3 && l->origin.keras >= 3 && !known) return cannot(s, l, key, v, "");
  if (cn_value_is(v, CORNU_DICT) && cn_value_is(cn_value_find(v, "config"), CORNU_DICT))
    return say_wrapped_value(s, l, v, out);
  return CORNU_OK;
}

/* ---- Layers within layers ---- */

static cn_status say_wrapped_value(cn_saving *s, const cn_layer *l, const cn_value *v, cn_value **out) {
  cn_layer *inner;
  CN_TRY(cn_layer_new(v, &l->origin, l->customs, &inner, s->e));
  inner->trainable = inner->trainable && l->trainable;
  cn_status status = cn_say_wrapped(s, inner, out);
  if (!status && !(*out = cn_value_copy(&s->arena, *out))) status = cn_no_memory(s->e); /* what it said may be its own */
  cn_layer_drop(inner);
  return status ? cn_at(s->e, status, "layer \"%s\" (%s)", l->name, l->class_name) : CORNU_OK;
}

static bool is_wrapped(const cn_value *v) {
  return cn_value_str(cn_value_find(v, "class_name")) && cn_value_find(v, "config");
}

/* The layer that a wrapper holds may have been changed since it was read. */
static cn_layer *live_child(const cn_layer *l, const char *key) {
  for (int i = 0; i < l->n_children && !is(l, "Bidirectional"); i++)
    if (strcmp(l->children[i].attribute, key) == 0) return l->children[i].layer;
  return NULL;
}

/* "layer", "backward_layer", "cell", "cells": one, or a list of them. */
static cn_status say_layers_in(cn_saving *s, const cn_layer *l, const char *key, const cn_value *v, cn_value **out) {
  cn_layer *child = live_child(l, key);
  if (child && is_wrapped(v)) return cn_say_wrapped(s, child, out);
  if (is_wrapped(v)) return say_wrapped_value(s, l, v, out);
  *out = (cn_value *)v;
  if (!cn_value_is(v, CORNU_LIST)) return CORNU_OK;
  cn_value *list = *out = cn_value_new(&s->arena, CORNU_LIST), *item;
  for (int i = 0; i < v->count; i++) {
    item = v->items[i];
    if (is_wrapped(item)) CN_TRY(say_wrapped_value(s, l, item, &item));
    if (!list || !cn_value_push(&s->arena, list, item)) return cn_no_memory(s->e);
  }
  return list ? CORNU_OK : cn_no_memory(s->e);
}

static bool holds_layers(const char *key) { return cn_word_in("layer backward_layer cell cells layers", key, NULL); }

/* ---- Keys ---- */

/* What Keras 1 called the keys that no field names. */
static const char *newer_name(const cn_layer *l, const char *key) {
  static const char *const names[][2] = {
      {"init", "kernel_initializer"}, {"inner_init", "recurrent_initializer"}, {"W_regularizer", "kernel_regularizer"},
      {"b_regularizer", "bias_regularizer"}, {"U_regularizer", "recurrent_regularizer"},
      {"W_constraint", "kernel_constraint"}, {"b_constraint", "bias_constraint"},
      {"U_constraint", "recurrent_constraint"}, {"gamma_init", "gamma_initializer"}, {"beta_init", "beta_initializer"},
      {"depthwise_init", "depthwise_initializer"}, {"pointwise_init", "pointwise_initializer"}};
  if (is(l, "PReLU") && strcmp(key, "init") == 0) return "alpha_initializer";
  for (int i = 0; i < CN_COUNT(names); i++)
    if (strcmp(names[i][0], key) == 0) return names[i][1];
  return key;
}

/* What Keras 2 calls what Keras 3's fields name. */
static const char *older_name(const cn_layer *l, const char *key) {
  if (is(l, "LeakyReLU") && strcmp(key, "negative_slope") == 0) return "alpha";
  return key;
}

static const char *said_key(const cn_saving *s, const cn_layer *l, const char *class_name, const cn_field *f,
                            const char *key) {
  if (cn_knows_key(s, class_name, key)) return key;
  const char *name = f ? f->name : newer_name(l, key);
  return s->keras < 3 ? older_name(l, name) : name;
}

/* Whether a key that the other Keras does not have says nothing there, either. */
static bool says_nothing(const cn_field *f, const char *key, const cn_value *v, cn_arena *a) {
  if (!f || f->kind == CN_F_IGNORED || cn_value_is_null(v)) return true;
  if (cn_word_in("implementation consume_less vocabulary_size", key, NULL)) return true;
  const char *text = f->standard;
  cn_value *standard = text ? cn_value_standard(a, &text) : NULL;
  double x, y;
  if (cn_value_number(v, &x) && cn_value_number(standard, &y)) return x == y;
  return cn_value_equal(v, standard);
}

static cn_value *plain_word(cn_saving *s, const cn_value *v) {
  const char *text = cn_value_str(v);
  static const char *const words[][2] = {{"th", "channels_first"}, {"tf", "channels_last"}};
  for (int i = 0; text && i < 2; i++)
    if (strcmp(text, words[i][0]) == 0) return cn_say_text(s, words[i][1]);
  return (cn_value *)v;
}

static cn_status say_value(cn_saving *s, const cn_layer *l, const cn_field *f, const char *key, const cn_value *v,
                           cn_value **out) {
  *out = (cn_value *)v;
  if (strstr(key, "initializer") || strstr(key, "regularizer") || strstr(key, "constraint"))
    return cn_say_part(s, key, v, out);
  if (f && f->kind == CN_F_ACTIVATION) return say_activation(s, l, key, v, out);
  if (f && f->kind == CN_F_ENUM) *out = plain_word(s, v);
  if (holds_layers(key)) return say_layers_in(s, l, key, v, out);
  return CORNU_OK;
}

static bool is_common(const char *key) {
  return cn_word_in("name trainable dtype autocast batch_input_shape batch_shape batch_size input_shape input_dtype "
                    "registered_name module build_config", key, NULL);
}

static cn_status say_key(cn_saving *s, const cn_layer *l, const char *class_name, const char *key, const cn_value *v,
                         cn_value *out) {
  const cn_field *f = cn_field_find(l->type->fields, key);
  const char *name = said_key(s, l, class_name, f, key);
  cn_value *said;
  if (is_common(key) || cn_word_in("rng_type enable_caching_device", key, NULL)) return CORNU_OK;
  if (!cn_knows_key(s, class_name, name))
    return says_nothing(f, key, v, &s->arena) ? CORNU_OK : cannot(s, l, key, v, "");
  CN_TRY(say_value(s, l, f, name, v, &said));
  return cn_say(s, out, name, said);
}

/* The name of a dtype policy, if it names one. */
static const char *policy_of(const cn_layer *l) {
  const cn_value *v = cn_value_find(l->config, "dtype"), *name = cn_value_find(cn_value_find(v, "config"), "name");
  const char *text = cn_value_str(name ? name : v);
  return text && *text != '_' ? text : NULL;
}

static cn_status say_common(cn_saving *s, const cn_layer *l, const char *class_name, cn_value *out) {
  CN_TRY(cn_say(s, out, "name", cn_say_text(s, l->name)));
  if (cn_knows_key(s, class_name, "trainable"))
    CN_TRY(cn_say(s, out, "trainable", cn_say_bool(s, l->trainable)));
  const char *policy = policy_of(l);
  return policy ? cn_say(s, out, "dtype", cn_say_text(s, policy)) : CORNU_OK;
}

/* ---- Where the channels are ---- */

static int spatial_of(const char *class_name) {
  return strstr(class_name, "1D") ? 1 : strstr(class_name, "3D") ? 3 : 2;
}

/* What the writer took for granted is said. Flatten of Keras 1, and of early Keras 2, does not look at it. */
static cn_status say_data_format(cn_saving *s, const cn_layer *l, const char *class_name, cn_value *out) {
  const char *said = cn_value_str(cn_value_find(out, "data_format"));
  bool fixed = s->keras < 3 && cn_word_in("ZeroPadding1D Cropping1D UpSampling1D", class_name, NULL);
  if (!cn_knows_key(s, class_name, "data_format") || fixed || (said && strcmp(said, "default") != 0)) return CORNU_OK;
  bool first = !is(l, "Flatten") && cn_channels_first(l, -1, spatial_of(class_name));
  return cn_say(s, out, "data_format", cn_say_text(s, first ? "channels_first" : "channels_last"));
}

/* ---- Classes that need more than other keys ---- */

/* (begin, end) for one dimension; lists of them for more. */
static cn_status say_sides(cn_saving *s, int spatial, int64_t (*sides)[2], cn_value **out) {
  cn_value *list = cn_value_new(&s->arena, CORNU_LIST), *pair = NULL;
  for (int i = 0; i < spatial; i++) {
    pair = cn_say_shape(s, 2, sides[i]);
    if (!pair || !list || !cn_value_push(&s->arena, list, pair)) return cn_no_memory(s->e);
  }
  *out = spatial == 1 ? pair : list;
  return CORNU_OK;
}

static cn_status say_pairs(cn_saving *s, const cn_layer *l, const char *class_name, const char *key, cn_value *out) {
  const cn_value *v = cn_value_find(out, key);
  int64_t pairs[3][2];
  int spatial = spatial_of(class_name);
  cn_value *list;
  if (!v || l->origin.keras > 1) return CORNU_OK;
  CN_TRY(cn_spatial_pairs(key, v, spatial, pairs, s->e));
  CN_TRY(say_sides(s, spatial, pairs, &list));
  return cn_say(s, out, key, list);
}

/* ---- What stands around a layer ---- */

static cn_status stand(cn_saving *s, const cn_layer *l, const char *class_name, cn_value *config, cn_value **list) {
  cn_value *entry;
  const char *policy = policy_of(l);
  if (policy) CN_TRY(cn_say(s, config, "dtype", cn_say_text(s, policy)));
  CN_TRY(cn_say_object(s, "keras.layers", class_name, config, &entry));
  if (!*list) *list = cn_value_new(&s->arena, CORNU_LIST);
  return *list && cn_value_push(&s->arena, *list, entry) ? CORNU_OK : cn_no_memory(s->e);
}

/* What goes into a hard sigmoid, scaled where no weights stand in front. */
static cn_status say_hard(cn_saving *s, const cn_layer *l, cn_said *out) {
  if (!is_hard(l, "activation") || hard_factor(s, l) == 1) return CORNU_OK;
  cn_value *config = cn_value_new(&s->arena, CORNU_DICT), *scale = cn_value_new(&s->arena, CORNU_FLOAT);
  if (scale) scale->f = hard_factor(s, l);
  CN_TRY(cn_say(s, config, "scale", scale));
  CN_TRY(cn_say(s, config, "offset", cn_value_new(&s->arena, CORNU_FLOAT)));
  return stand(s, l, "Rescaling", config, &out->before);
}

/* ---- Theano's windows ---- */

static int64_t number_at(const cn_value *v, int i) {
  int64_t n = 1;
  if (cn_value_is(v, CORNU_LIST)) v = i < v->count ? v->items[i] : NULL;
  return cn_value_integer(v, &n) && n > 0 ? n : 1;
}

/* Whether Theano's padding of one dimension is TensorFlow's, for n positions. */
static bool pads_alike(const cn_layer *l, bool pooling, int64_t n, int64_t extent, int64_t stride) {
  int64_t a[2], b[2];
  cn_layer other = {.origin = l->origin};
  other.origin.theano = false;
  cn_spatial_pad(l, CN_PADDING_SAME, pooling, n, extent, stride, &a[0], &a[1]);
  cn_spatial_pad(&other, CN_PADDING_SAME, pooling, n, extent, stride, &b[0], &b[1]);
  return a[0] == b[0] && a[1] == b[1];
}

/* tf.keras takes more dimensions of a batch. */
static cn_status check_rank(const cn_saving *s, const cn_layer *l, const char *class_name) {
  static const char classes[] = "Conv1D Conv2D Conv3D SeparableConv1D SeparableConv2D";
  int spatial = spatial_of(class_name);
  if (s->keras < 3 || !s->input || !is(l, classes) || s->input->rank <= spatial + 2) return CORNU_OK;
  return cn_fail(s->e, CORNU_ERR_UNSUPPORTED, "layer \"%s\" (%s): the input has %d dimensions, in Keras 3 it has %d",
                 l->name, l->class_name, s->input->rank, spatial + 2);
}

static bool is_first(const cn_value *config) {
  const char *format = cn_value_str(cn_value_find(config, "data_format"));
  return format && strcmp(format, "channels_first") == 0;
}

static int64_t extent_at(const cn_value *config, const cn_value *size, int i) {
  return (number_at(size, i) - 1) * number_at(cn_value_find(config, "dilation_rate"), i) + 1;
}

/* Whether Theano's way of padding comes to the same for what the layer is called on. */
static bool windows_alike(const cn_saving *s, const cn_layer *l, int spatial, const cn_value *config) {
  const cn_value *size = cn_value_find(config, "kernel_size"), *strides = cn_value_find(config, "strides");
  bool pooling = !size;
  if (pooling) size = cn_value_find(config, "pool_size");
  for (int i = 0; i < spatial; i++) {
    int64_t extent = extent_at(config, size, i);
    int64_t stride = cn_value_is_null(strides) ? number_at(size, i) : number_at(strides, i);
    int at = is_first(config) ? i + 2 : i + 1;
    int64_t n = s->input && at < s->input->rank ? s->input->shape[at] : -1;
    for (int64_t k = n < 0 ? 8 * extent : n; k <= (n < 0 ? 8 * extent + stride : n); k++)
      if (!pads_alike(l, pooling, k, extent, stride)) return false;
  }
  return true;
}

/* Zeros as a layer of their own. Behind the end there are as many as a window can reach: with a stride it may not. */
static cn_status pad_before(cn_saving *s, const cn_layer *l, bool full, int spatial, cn_said *out) {
  cn_value *config = cn_value_new(&s->arena, CORNU_DICT), *list;
  char class_name[] = "ZeroPadding0D";
  int64_t sides[3][2];
  class_name[11] = (char)('0' + spatial);
  for (int i = 0; i < spatial; i++) {
    int64_t extent = extent_at(out->config, cn_value_find(out->config, "kernel_size"), i);
    cn_spatial_pad(l, full ? CN_PADDING_FULL : CN_PADDING_SAME, false, -1, extent, 1, &sides[i][0], &sides[i][1]);
  }
  CN_TRY(say_sides(s, spatial, sides, &list));
  CN_TRY(cn_say(s, config, "padding", list));
  if (cn_knows_key(s, class_name, "data_format"))
    CN_TRY(cn_say(s, config, "data_format", cn_value_find(out->config, "data_format")));
  CN_TRY(cn_say(s, out->config, "padding", cn_say_text(s, "valid")));
  return stand(s, l, class_name, config, &out->before);
}

/* Paddings that the other Keras does not know. */
static cn_status say_windows(cn_saving *s, const cn_layer *l, cn_said *out) {
  const cn_value *v = cn_value_find(out->config, "padding");
  const char *padding = cn_value_str(v);
  int spatial = spatial_of(out->class_name);
  bool full = padding && strcmp(padding, "full") == 0, same = padding && strcmp(padding, "same") == 0;
  bool other = same && l->origin.theano && s->keras >= 3 && !windows_alike(s, l, spatial, out->config);
  if (!full && !other) return CORNU_OK;
  bool convolves = is(l, "Conv1D Conv2D Conv3D DepthwiseConv2D SeparableConv2D");
  if (convolves && !s->inside && (s->keras >= 3 || !is_first(out->config) || spatial > 1))
    return pad_before(s, l, full, spatial, out);
  return cannot(s, l, "padding", v, full ? "" : "Theano, which computed it, pads the other way round");
}

/* ---- Classes that need more than other keys ---- */

static cn_status say_padding(cn_saving *s, const cn_layer *l, cn_said *out) {
  bool crops = strncmp(out->class_name, "Cropping", 8) == 0;
  return say_pairs(s, l, out->class_name, crops ? "cropping" : "padding", out->config);
}

/* One axis, which a list may hold. */
static cn_status say_batch_normalization(cn_saving *s, const cn_layer *l, cn_said *out) {
  const cn_value *axis = cn_value_find(out->config, "axis");
  if (!cn_value_is(axis, CORNU_LIST)) return CORNU_OK;
  if (axis->count == 1) return cn_say(s, out->config, "axis", axis->items[0]);
  return s->keras < 3 ? CORNU_OK : cannot(s, l, "axis", axis, "it takes one axis");
}

/* The weights tell. */
static cn_status say_gru(cn_saving *s, const cn_layer *l, cn_said *out) {
  bool after = is(l, "CuDNNGRU") || ((const cn_rnn *)l->settings)->cell.reset_after;
  return cn_say(s, out->config, "reset_after", cn_say_bool(s, after));
}

static cn_status say_threshold(cn_saving *s, const cn_layer *l, cn_said *out) {
  if (s->keras < 3) return CORNU_OK;
  const cn_value *theta = cn_value_find(l->config, "theta");
  cn_value *standard = cn_value_new(&s->arena, CORNU_FLOAT);
  if (standard) standard->f = 1;
  return cn_say(s, out->config, "threshold", theta ? theta : standard);
}

static cn_status say_conv_lstm(cn_saving *s, const cn_layer *l, cn_said *out) {
  if (cn_value_find(out->config, "recurrent_activation")) return CORNU_OK;
  return cn_say(s, out->config, "recurrent_activation",
                cn_say_text(s, is_hard(l, "recurrent_activation") ? "hard_sigmoid" : "sigmoid"));
}

/* Multi-backend Keras takes pixels at their corners. */
static cn_status say_up_sampling(cn_saving *s, const cn_layer *l, cn_said *out) {
  const cn_value *v = cn_value_find(out->config, "interpolation");
  bool linear = cn_value_str(v) && strcmp(v->s, "nearest") != 0;
  return linear && !l->origin.tf && l->origin.keras < 3 && s->keras >= 3
      ? cannot(s, l, "interpolation", v, "it counts pixels from their centres") : CORNU_OK;
}

/* What the axes of a PReLU of Keras 1 share is told by its weight. */
static cn_status say_prelu(cn_saving *s, const cn_layer *l, cn_said *out) {
  cn_value *list = cn_value_new(&s->arena, CORNU_LIST);
  if (l->origin.keras > 1 || !l->n_weights) return CORNU_OK;
  const cn_weight *w = &l->weights[0];
  for (int i = 0; i < w->rank && list; i++)
    if (w->shape[i] == 1 && !cn_value_push(&s->arena, list, cn_say_int(s, i + 1))) return cn_no_memory(s->e);
  return cn_say(s, out->config, "shared_axes", list);
}

/* Marshalled code goes on as it is: [code, defaults, closure] before Keras 3. */
static cn_status say_lambda(cn_saving *s, const cn_layer *l, cn_said *out) {
  static const char *const parts[] = {"code", "defaults", "closure"};
  const cn_value *v = cn_value_find(l->config, "function");
  const char *type = cn_value_str(cn_value_find(l->config, "function_type"));
  bool code = cn_value_is(v, CORNU_LIST) && v->count == 3 && (!type || strcmp(type, "lambda") == 0);
  if (s->keras < 3 ? cn_value_is(v, CORNU_DICT) : !code) return cannot(s, l, "function", v, "");
  if (s->keras < 3) return CORNU_OK;
  cn_value *config = cn_value_new(&s->arena, CORNU_DICT), *function;
  for (int i = 0; i < 3; i++) CN_TRY(cn_say(s, config, parts[i], v->items[i]));
  CN_TRY(cn_say_object(s, "builtins", "__lambda__", config, &function));
  return cn_say(s, out->config, "function", function);
}

/* The backward layer of a forward one that goes backwards goes forward, which Keras 3 does not find out by itself. */
static cn_status say_bidirectional(cn_saving *s, const cn_layer *l, cn_said *out) {
  cn_value *forward = cn_value_find(out->config, "layer"), *config = cn_value_find(forward, "config");
  bool turned = cornu_value_as_bool(cn_value_find(config, "go_backwards"));
  const cn_value *sequences = cn_value_find(config, "return_sequences");
  if (s->keras >= 3 && s->masks && l->origin.keras < 3 && !l->origin.tf && cornu_value_as_bool(sequences))
    return cannot(s, l, "return_sequences", sequences, "masked steps are zeros there, not those before");
  if (s->keras < 3 || !turned || !cn_value_is_null(cn_value_find(out->config, "backward_layer"))) return CORNU_OK;
  cn_value *backward = cn_value_copy(&s->arena, forward), *own = cn_value_find(backward, "config");
  CN_TRY(cn_say(s, own, "go_backwards", cn_say_bool(s, false)));
  CN_TRY(cn_say(s, own, "name", cn_say_text(s, cn_arena_printf(&s->arena, "backward_%s", l->name))));
  return cn_say(s, out->config, "backward_layer", backward);
}

/* The cosine of two vectors, which Keras 1 gives an axis more. */
static cn_status say_cosine(cn_saving *s, const cn_layer *l, cn_said *out) {
  cn_value *config = cn_value_new(&s->arena, CORNU_DICT);
  CN_TRY(cn_say(s, out->config, "normalize", cn_say_bool(s, true)));
  CN_TRY(cn_say(s, config, "target_shape", cn_say_shape(s, 2, (const int64_t[]){1, 1})));
  return stand(s, l, "Reshape", config, &out->behind);
}

/* Keras 1's Merge by its mode. */
static cn_status say_merge(cn_saving *s, const cn_layer *l, cn_said *out) {
  static const char *const classes[][2] = {{"sum", "Add"}, {"mul", "Multiply"}, {"concat", "Concatenate"},
                                           {"ave", "Average"}, {"max", "Maximum"}, {"dot", "Dot"}};
  const cn_value *v = cn_value_find(l->config, "mode"), *axes;
  const char *mode = cn_value_str(v) ? v->s : "sum";
  out->class_name = NULL;
  bool cosine = strcmp(mode, "cos") == 0 && s->input && s->input->rank == 2 && !s->inside;
  if (cosine) mode = "dot";
  for (int i = 0; i < CN_COUNT(classes); i++)
    if (strcmp(classes[i][0], mode) == 0) out->class_name = classes[i][1];
  if (!out->class_name) return cannot(s, l, "mode", v, "");
  if (strcmp(mode, "concat") == 0 && (axes = cn_value_find(l->config, "concat_axis")))
    CN_TRY(cn_say(s, out->config, "axis", axes));
  if (strcmp(mode, "dot") == 0 && (axes = cn_value_find(l->config, "dot_axes")))
    CN_TRY(cn_say(s, out->config, "axes", axes));
  return cosine ? say_cosine(s, l, out) : CORNU_OK;
}

/* The largest of linear maps: those of all at once, then the largest of each output. */
static cn_status say_maxout(cn_saving *s, const cn_layer *l, cn_said *out) {
  static const char *const keys[][2] = {{"W_regularizer", "kernel_regularizer"}, {"b_regularizer", "bias_regularizer"}};
  static const char *const not_there[] = {"W_constraint", "b_constraint", "activity_regularizer"};
  int64_t shape[2] = {4, 0}; /* maps, outputs */
  const cn_value *bias = cn_value_find(l->config, "bias");
  cn_value *reshape = cn_value_new(&s->arena, CORNU_DICT), *pool = cn_value_new(&s->arena, CORNU_DICT), *part;
  cn_value_integer(cn_value_find(l->config, "nb_feature"), &shape[0]);
  cn_value_integer(cn_value_find(l->config, "output_dim"), &shape[1]);
  for (int i = 0; i < CN_COUNT(not_there); i++) {
    const cn_value *v = cn_value_find(l->config, not_there[i]);
    if (!cn_value_is_null(v)) return cannot(s, l, not_there[i], v, "");
  }
  if (s->inside) return cannot(s, l, "nb_feature", cn_say_int(s, shape[0]), "");
  CN_TRY(cn_say(s, out->config, "units", cn_say_int(s, shape[0] * shape[1])));
  CN_TRY(cn_say(s, out->config, "use_bias", cn_say_bool(s, !bias || cornu_value_as_bool(bias))));
  for (int i = 0; i < CN_COUNT(keys); i++) {
    const cn_value *v = cn_value_find(l->config, keys[i][0]);
    if (cn_value_is_null(v)) continue;
    CN_TRY(cn_say_part(s, keys[i][1], v, &part));
    CN_TRY(cn_say(s, out->config, keys[i][1], part));
  }
  CN_TRY(cn_say(s, reshape, "target_shape", cn_say_shape(s, 2, shape)));
  CN_TRY(stand(s, l, "Reshape", reshape, &out->behind));
  CN_TRY(cn_say(s, pool, "data_format", cn_say_text(s, "channels_last")));
  return stand(s, l, "GlobalMaxPooling1D", pool, &out->behind);
}

/* W (maps, in, out) as one kernel (in, maps * out), b (maps, out) as one bias. */
static cn_status join_maps(cn_tensor **t, cn_error *e) {
  cn_tensor *joined;
  int64_t shape[2] = {(*t)->rank == 3 ? (*t)->shape[1] : 1, 0};
  int first = (*t)->rank == 3 ? 0 : 1;
  shape[1] = (*t)->shape[0] * (*t)->shape[(*t)->rank - 1];
  if (first == 0) CN_TRY(cn_spatial_permute(t, (const int[]){1, 0, 2}, e));
  CN_TRY(cornu_tensor_reshape(*t, 2 - first, shape + first, &joined, e));
  cornu_tensor_release(*t);
  *t = joined;
  return CORNU_OK;
}

/* What is added to the size that a transposed convolution would have, so that it is the wanted one; -1: it cannot be. */
static int64_t missing_size(int64_t n, int64_t wanted, int64_t size, int64_t stride, bool same) {
  int64_t more = wanted - ((n - 1) * stride + size - (same ? 2 * (size / 2) : 0));
  return more >= 0 && more < stride ? more : -1;
}

static int64_t usual_size(int64_t n, int64_t size, int64_t stride, bool same) {
  return n * stride + (same || size < stride ? 0 : size - stride);
}

static cn_status crop_behind(cn_saving *s, const cn_layer *l, int spatial, int64_t (*sides)[2], cn_said *out) {
  cn_value *config = cn_value_new(&s->arena, CORNU_DICT), *list;
  CN_TRY(say_sides(s, spatial, sides, &list));
  CN_TRY(cn_say(s, config, "cropping", list));
  CN_TRY(cn_say(s, config, "data_format", cn_value_find(out->config, "data_format")));
  CN_TRY(cn_say(s, out->config, "padding", cn_say_text(s, "valid")));
  return stand(s, l, spatial == 2 ? "Cropping2D" : "Cropping3D", config, &out->behind);
}

/* One dimension of a transposed convolution, of n positions. */
typedef struct spread { int64_t n, wanted, size, stride; } spread;

/* How many positions go at the beginning of the uncropped result. */
static int64_t cropped_begin(const spread *d, bool same, bool theano) {
  int64_t total = (d->n - 1) * d->stride + d->size - d->wanted;
  return !same ? 0 : theano ? d->size / 2 : total > 0 ? total / 2 : 0;
}

static bool read_spread(const cn_saving *s, const cn_layer *l, const cn_said *out, int i, int spatial, spread *d) {
  const cn_value *shape = cn_value_find(l->config, "output_shape");
  int at = i + (is_first(out->config) ? 2 : 1);
  *d = (spread){.n = s->input && s->input->rank == spatial + 2 ? s->input->shape[at] : -1,
                .size = number_at(cn_value_find(out->config, "kernel_size"), i),
                .stride = number_at(cn_value_find(out->config, "strides"), i)};
  return d->n >= 0 && cn_value_integer(shape->items[at], &d->wanted) && d->wanted >= 0;
}

/* A transposed convolution of Keras 1 names the size of its result; later ones compute it, with a padding as told. Where
 * that is another size or place, it is cut out of the whole result. */
static cn_status say_transposed(cn_saving *s, const cn_layer *l, cn_said *out) {
  const cn_value *shape = cn_value_find(l->config, "output_shape");
  const char *padding = cn_value_str(cn_value_find(out->config, "padding"));
  bool same = padding && strcmp(padding, "same") == 0, theano = l->origin.theano;
  int spatial = spatial_of(out->class_name);
  bool usual = true, told = true, cut = !s->inside;
  int64_t more[3] = {0}, sides[3][2] = {{0}};
  if (!cn_value_is(shape, CORNU_LIST) || shape->count != spatial + 2) return CORNU_OK;
  for (int i = 0; i < spatial; i++) {
    spread d;
    if (!read_spread(s, l, out, i, spatial, &d)) return cannot(s, l, "output_shape", shape, "");
    int64_t begin = cropped_begin(&d, same, theano);
    bool alike = begin == cropped_begin(&d, same, false);
    more[i] = missing_size(d.n, d.wanted, d.size, d.stride, same);
    usual &= alike && d.wanted == usual_size(d.n, d.size, d.stride, same);
    told &= alike && more[i] >= 0;
    sides[i][0] = begin;
    sides[i][1] = usual_size(d.n, d.size, d.stride, false) - begin - d.wanted;
    cut &= sides[i][1] >= 0;
  }
  if (usual) return CORNU_OK;
  if (told) return cn_say(s, out->config, "output_padding", cn_say_shape(s, spatial, more));
  return cut ? crop_behind(s, l, spatial, sides, out) : cannot(s, l, "output_shape", shape, "");
}

/* One scale for each feature: before Keras 3 of the value, of the query since. */
static cn_status say_additive(cn_saving *s, const cn_layer *l, cn_said *out) {
  const cn_value *v = cn_value_find(out->config, "use_scale");
  bool known = s->input && s->input->rank && l->n_weights == 1;
  return known && l->weights[0].shape[0] != s->input->shape[s->input->rank - 1]
      ? cannot(s, l, "use_scale", v, "its scale has the features of the query, not of the value") : CORNU_OK;
}

static const struct { const char *types; cn_status (*say)(cn_saving *s, const cn_layer *l, cn_said *out); } special[] = {
    {"ZeroPadding1D ZeroPadding2D ZeroPadding3D Cropping1D Cropping2D Cropping3D", say_padding},
    {"BatchNormalization", say_batch_normalization},
    {"GRU GRUCell CuDNNGRU", say_gru},
    {"ThresholdedReLU", say_threshold},
    {"ConvLSTM1D ConvLSTM2D ConvLSTM3D", say_conv_lstm},
    {"UpSampling2D", say_up_sampling},
    {"AdditiveAttention", say_additive},
    {"Activation", say_hard},
    {"PReLU", say_prelu},
    {"Lambda", say_lambda},
    {"Merge", say_merge},
    {"Bidirectional", say_bidirectional},
    {"Conv1DTranspose Conv2DTranspose Conv3DTranspose", say_transposed},
};

/* ---- Vocabularies and boundaries that were learned: into the config, where every file keeps them ---- */

static cn_value *word_value(cn_saving *s, const cn_tensor *words, int64_t i) {
  if (words->dtype != CORNU_TEXT) return cn_say_int(s, cornu_tensor_get_int(words, &i));
  cornu_text text = cornu_tensor_get_text(words, &i);
  return cn_value_bytes(&s->arena, text.bytes, text.length);
}

/* The weights of words, but for those of words that are not known: these are the average, in Keras as well. */
static cn_status say_word_weights(cn_saving *s, const cn_layer *l, int64_t words, cn_said *out) {
  const cn_tensor *weights = cn_layer_kept(l, 1);
  int64_t first = 1;
  cn_value_integer(cn_value_find(l->config, "num_oov_indices"), &first);
  if (!weights || !cn_value_is_null(cn_value_find(l->config, "idf_weights")) || first + words > weights->shape[0])
    return CORNU_OK;
  cn_value *list = cn_value_new(&s->arena, CORNU_LIST);
  for (int64_t i = first; list && i < first + words; i++) {
    cn_value *v = cn_value_new(&s->arena, CORNU_FLOAT);
    if (v) v->f = cornu_tensor_get(weights, &i);
    if (!v || !cn_value_push(&s->arena, list, v)) return cn_no_memory(s->e);
  }
  return cn_say(s, out->config, "idf_weights", list);
}

static cn_status say_learned(cn_saving *s, const cn_layer *l, cn_said *out) {
  const cn_tensor *kept = cn_layer_kept(l, 0);
  bool boundaries = is(l, "Discretization");
  if (boundaries && s->own) return CORNU_OK; /* the summary tells */
  const char *key = boundaries ? "bin_boundaries" : "vocabulary";
  if (!kept || !is(l, "Discretization StringLookup IntegerLookup TextVectorization") ||
      !cn_value_is_null(cn_value_find(l->config, key)))
    return CORNU_OK;
  cn_value *list = cn_value_new(&s->arena, CORNU_LIST);
  for (int64_t i = 0; list && i < kept->shape[0]; i++) {
    cn_value *v = boundaries ? cn_value_new(&s->arena, CORNU_FLOAT) : word_value(s, kept, i);
    if (v && boundaries) v->f = cornu_tensor_get(kept, &i);
    if (!v || !cn_value_push(&s->arena, list, v)) return cn_no_memory(s->e);
  }
  if (boundaries && s->keras < 3) CN_TRY(cn_say(s, out->config, "num_bins", cn_value_new(&s->arena, CORNU_NULL)));
  else if (!boundaries && !s->own) CN_TRY(say_word_weights(s, l, kept->shape[0], out));
  return cn_say(s, out->config, key, list);
}

/* ---- Keys that Keras 3 reads whatever happens ---- */

static cn_status say_missing(cn_saving *s, cn_value *config, const char *key, cn_value *v) {
  return cn_value_find(config, key) ? CORNU_OK : cn_say(s, config, key, v);
}

static cn_status say_needed(cn_saving *s, const cn_layer *l, cn_said *out) {
  if (s->keras < 3 || s->own) return CORNU_OK;
  if (is(l, "Rescaling")) return say_missing(s, out->config, "offset", cn_say_int(s, 0));
  if (!is(l, "TextVectorization")) return CORNU_OK;
  CN_TRY(say_missing(s, out->config, "standardize", cn_say_text(s, "lower_and_strip_punctuation")));
  CN_TRY(say_missing(s, out->config, "split", cn_say_text(s, "whitespace")));
  return say_missing(s, out->config, "ngrams", cn_value_new(&s->arena, CORNU_NULL));
}

/* ---- All of a layer ---- */

const char *cn_said_class(const cn_saving *s, const cn_layer *l) {
  if (s->keras >= 3 && is(l, "GroupQueryAttention")) return type_name(l); /* exported so; files may have the class's */
  if (same_words(s, l) || l->type == &cn_layer_operation) return l->class_name;
  if (is(l, "TimeDistributedDense") || (s->keras >= 3 && is(l, "MaxoutDense"))) return "Dense";
  if (s->keras >= 3 && is(l, "CuDNNLSTM CuDNNGRU")) return is(l, "CuDNNGRU") ? "GRU" : "LSTM";
  return s->keras >= 3 && is(l, "ThresholdedReLU") ? "ReLU" : type_name(l);
}

/* What was changed since it was read, and what is kept beside it. */
static cn_status say_same(cn_saving *s, const cn_layer *l, cn_said *out) {
  out->config = cn_value_copy(&s->arena, l->config);
  if (!out->config) return cn_no_memory(s->e);
  if (!cn_value_is(out->config, CORNU_DICT)) return CORNU_OK;
  if (l->type != &cn_layer_operation) {
    CN_TRY(cn_say(s, out->config, "name", cn_say_text(s, l->name)));
    bool known = cn_value_find(out->config, "trainable") || !l->trainable;
    if (s->keras >= 3) known |= cn_knows_class(s, out->class_name) && cn_knows_key(s, out->class_name, "trainable");
    if (known) CN_TRY(cn_say(s, out->config, "trainable", cn_say_bool(s, l->trainable)));
  }
  for (int i = 0; i < l->n_children; i++) {
    const char *key = l->children[i].attribute;
    if (!l->children[i].layer->model || !is_wrapped(cn_value_find(l->config, key))) continue;
    cn_value *inner;
    CN_TRY(cn_say_wrapped(s, l->children[i].layer, &inner));
    CN_TRY(cn_say(s, out->config, key, inner));
  }
  return say_learned(s, l, out);
}

static bool is_said_apart(const cn_saving *s, const cn_layer *l, const char *key) {
  if (s->keras >= 3 && strcmp(key, "theta") == 0) return true;
  return is(l, "Conv2DTranspose Conv3DTranspose") && strcmp(key, "output_shape") == 0;
}

static cn_status say_other(cn_saving *s, cn_layer *l, cn_said *out) {
  const cn_value *config = l->config;
  if (l->type->upgrade) {
    cn_value *newer = cn_value_copy(&l->arena, l->config); /* the layer's arena, which upgrade uses, too */
    if (!newer) return cn_no_memory(s->e);
    CN_TRY(l->type->upgrade(l, newer, s->e));
    config = newer;
  }
  out->config = cn_value_new(&s->arena, CORNU_DICT);
  CN_TRY(say_common(s, l, out->class_name, out->config));
  if (is(l, "Merge")) return say_merge(s, l, out);
  if (s->keras >= 3 && is(l, "MaxoutDense")) return say_maxout(s, l, out);
  if (!cn_knows_class(s, out->class_name))
    return cn_fail(s->e, CORNU_ERR_UNSUPPORTED, "layer \"%s\" (%s): Keras %d has no such class%s", l->name, l->class_name,
                   s->keras, instead(s, l, NULL));
  for (int i = 0; i < config->count; i++)
    if (!is_said_apart(s, l, config->keys[i]))
      CN_TRY(say_key(s, l, out->class_name, config->keys[i], config->items[i], out->config));
  CN_TRY(say_data_format(s, l, out->class_name, out->config));
  for (int i = 0; i < CN_COUNT(special); i++)
    if (is(l, special[i].types)) CN_TRY(special[i].say(s, l, out));
  CN_TRY(check_rank(s, l, out->class_name));
  CN_TRY(say_windows(s, l, out));
  return say_learned(s, l, out);
}

cn_status cn_say_layer(cn_saving *s, const cn_layer *l, cn_said *out) {
  *out = (cn_said){.class_name = cn_said_class(s, l)};
  CN_TRY(same_words(s, l) ? say_same(s, l, out) : say_other(s, (cn_layer *)l, out));
  return say_needed(s, l, out);
}

static const char *operation_module(cn_saving *s, const char *class_name) {
  for (const cn_keras_words *m = cn_keras3_modules; m->name; m++)
    if (strcmp(m->name, class_name) == 0) return cn_arena_printf(&s->arena, "keras.src.ops.%s", m->words);
  return "keras.src.ops.numpy";
}

cn_status cn_say_operation(cn_saving *s, const char *class_name, const cn_value *config, cn_value **out) {
  cn_value *v = *out = cn_value_new(&s->arena, CORNU_DICT);
  CN_TRY(cn_say(s, v, "module", cn_say_text(s, operation_module(s, class_name))));
  CN_TRY(cn_say(s, v, "class_name", cn_say_text(s, class_name)));
  CN_TRY(cn_say(s, v, "config", config));
  return cn_say(s, v, "registered_name", cn_say_text(s, class_name));
}

/* Where Keras 3 finds the class; *exported: under that name alone. */
static const char *module_of(cn_saving *s, const cn_layer *l, const cn_said *said, bool *exported) {
  bool scale = strcmp(said->class_name, "CustomScaleLayer") == 0, operation = l->type == &cn_layer_operation;
  *exported = !scale && !operation && l->type != &cn_layer_custom;
  if (scale) return "keras.src.applications.inception_resnet_v2";
  return operation ? operation_module(s, said->class_name) : "keras.layers";
}

cn_status cn_say_envelope(cn_saving *s, const cn_layer *l, const cn_said *said, cn_value **out) {
  cn_value *v = *out = cn_value_new(&s->arena, CORNU_DICT);
  bool modules = s->keras >= 3, exported;
  const cn_value *own = l->wrapping;
  const char *module = module_of(s, l, said, &exported);
  if (modules && !cn_value_find(own, "module")) CN_TRY(cn_say(s, v, "module", cn_say_text(s, module)));
  CN_TRY(cn_say(s, v, "class_name", cn_say_text(s, said->class_name)));
  CN_TRY(cn_say(s, v, "config", said->config));
  if (s->own && l->type && !cn_origin_equal(&l->origin, s->around)) CN_TRY(cn_say_origin(s, v, &l->origin));
  if (modules && !cn_value_find(own, "registered_name"))
    CN_TRY(cn_say(s, v, "registered_name",
                  exported ? cn_value_new(&s->arena, CORNU_NULL) : cn_say_text(s, said->class_name)));
  for (int i = 0; modules && own && i < own->count; i++) CN_TRY(cn_say(s, v, own->keys[i], own->items[i]));
  return CORNU_OK;
}

cn_status cn_say_wrapped(cn_saving *s, const cn_layer *l, cn_value **out) {
  const cn_type *input = s->input;
  const bool inside = s->inside;
  cn_said said;
  s->input = NULL;
  s->inside = !l->model;
  cn_status status = l->model ? cn_say_model(s, l->model, l->name, out) : cn_say_layer(s, l, &said);
  if (!status && !l->model) status = cn_say_envelope(s, l, &said, out);
  s->input = input;
  s->inside = inside;
  return status;
}

/* ---- Weights ---- */

static cn_status scale_columns(cn_tensor **t, int64_t from, int64_t to, double factor, cn_error *e) {
  cn_tensor *copy;
  CN_TRY(cornu_tensor_new((*t)->dtype, (*t)->rank, (*t)->shape, &copy, e));
  cn_status status = cornu_tensor_copy(copy, *t, e);
  if (status) return cornu_tensor_release(copy), status;
  int64_t columns = copy->rank ? copy->shape[copy->rank - 1] : 1, n = cornu_tensor_size(copy);
  for (int64_t i = 0; i < n; i++) {
    int64_t column = columns ? i % columns : 0;
    if (column < from || column >= to) continue;
    if (copy->dtype == CORNU_FLOAT64) ((double *)(void *)copy->data)[i] *= factor;
    else ((float *)(void *)copy->data)[i] *= (float)factor;
  }
  cornu_tensor_release(*t);
  *t = copy;
  return CORNU_OK;
}

/* What goes into a hard sigmoid: all of it, or the columns of the gates, which are i f c o and z r h. */
static cn_status scale_hard(const cn_saving *s, const cn_layer *l, int index, cn_tensor **t) {
  double factor = hard_factor(s, l);
  const char *name = l->weights[index].name;
  int64_t columns = (*t)->rank ? (*t)->shape[(*t)->rank - 1] : 0;
  if (factor == 1 || cornu_tensor_is_symbolic(*t)) return CORNU_OK;
  if (is(l, recurrent_classes)) {
    if (!is_hard(l, "recurrent_activation")) return CORNU_OK;
    bool gru = is(l, "GRU GRUCell");
    CN_TRY(scale_columns(t, 0, gru ? 2 * columns / 3 : columns / 2, factor, s->e));
    return gru ? CORNU_OK : scale_columns(t, 3 * columns / 4, columns, factor, s->e);
  }
  bool first = is(l, "SeparableConv1D SeparableConv2D") && strcmp(name, "depthwise_kernel") == 0;
  return is_hard(l, "activation") && can_scale(l, "activation") && !first ? scale_columns(t, 0, columns, factor, s->e)
                                                                          : CORNU_OK;
}

static bool is_turned(const cn_layer *l, int index) {
  const char *name = l->weights[index].name;
  if (is(l, "ConvLSTM2D")) return strcmp(name, "bias") != 0;
  return is(l, "Conv1D Conv2D Conv3D Conv2DTranspose Conv3DTranspose") && strcmp(name, "kernel") == 0;
}

cn_status cn_say_weight(cn_saving *s, const cn_layer *l, int index, cn_tensor **out) {
  const cn_weight *w = &l->weights[index];
  *out = NULL;
  if (!w->value)
    return cn_fail(s->e, CORNU_ERR_ARGUMENT, "layer \"%s\" (%s): %s has no value yet", l->name, l->class_name, w->name);
  cn_tensor_fetch(w->value);
  *out = cornu_tensor_retain(w->value);
  cn_status status = CORNU_OK;
  if (s->keras >= 3 && is(l, "CuDNNLSTM CuDNNGRU"))
    status = cn_cell_plain(is(l, "CuDNNGRU") ? CN_CELL_GRU : CN_CELL_LSTM, index, out, s->e);
  if (!status && s->keras >= 3 && is(l, "MaxoutDense")) status = join_maps(out, s->e);
  if (!status && s->keras < 3 && l->origin.theano && is_turned(l, index))
    status = cn_spatial_rotate(out, w->rank - 2, s->e);
  if (!status && !same_words(s, l)) status = scale_hard(s, l, index, out);
  if (status) cornu_tensor_release(*out), *out = NULL;
  return status;
}
