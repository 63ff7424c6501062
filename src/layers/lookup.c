#include "layers/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "ops/ops.h"

enum { WORDS = 0, WEIGHTS = 1 }; /* what the layer keeps */

static bool has_mask(const cn_lookup *v) { return !cn_value_is_null(v->mask); }
static int64_t oov_first(const cn_lookup *v) { return has_mask(v) && cn_mode_of(v->mode) == CN_MODE_INT; }
int64_t cn_lookup_first(const cn_lookup *v) { return oov_first(v) + v->oov_indices; }

int64_t cn_lookup_depth(const cn_layer *l, const cn_lookup *v) {
  const cn_tensor *words = cn_layer_kept(l, WORDS);
  return v->pad ? v->max_tokens : cn_lookup_first(v) + (words ? words->shape[0] : 0);
}

/* ---- The vocabulary ---- */

/* A list, or an array or tensor as Keras 3 serializes it. */
static const cn_value *list_of(const cn_value *v) {
  const cn_value *inner = cn_value_find(cn_value_find(v, "config"), "value");
  return inner ? inner : v;
}

static bool is_token(const cn_value *v, cornu_dtype dtype) {
  int64_t number;
  return dtype == CORNU_TEXT ? cn_value_is(v, CORNU_STRING) : cn_value_integer(v, &number);
}

static bool same_token(const cn_value *a, const cn_value *b) {
  int64_t x, y;
  if (cn_value_integer(a, &x) && cn_value_integer(b, &y)) return x == y;
  return cn_value_equal(a, b);
}

/* How many words at the beginning are those for masks and unknown values: all of them or none. */
static int64_t special_words(const cn_lookup *v, const cn_value *list) {
  int64_t first = cn_lookup_first(v);
  if (list->count < first) return 0;
  for (int64_t i = 0; i < first; i++)
    if (!same_token(list->items[i], i < oov_first(v) ? v->mask : v->oov)) return 0;
  return first;
}

static cn_status word_at(const cn_lookup *v, const cn_value *item, cn_tensor *to, int64_t i, cn_error *e) {
  int64_t number = 0;
  if (!is_token(item, v->dtype))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"vocabulary\" holds %s, expected %s", cn_value_show(item, (char[80]){0}, 80),
                   v->dtype == CORNU_TEXT ? "strings" : "whole numbers");
  if (v->dtype == CORNU_TEXT) return cornu_tensor_set_text(to, &i, item->s, (size_t)item->count, e);
  cn_value_integer(item, &number);
  ((int64_t *)(void *)to->data)[i] = number;
  return CORNU_OK;
}

/* A hash table of positions tells repetitions. */
static cn_status refuse_repeated(const cn_tensor *words, cn_error *e) {
  int64_t n = words->shape[0];
  size_t slots = 4;
  const cornu_text *texts = words->dtype == CORNU_TEXT ? (const void *)words->data : NULL;
  const int64_t *numbers = (const void *)words->data;
  while (slots < 2 * (size_t)n) slots *= 2;
  int32_t *table = cn_calloc(slots, sizeof *table);
  if (!table) return cn_no_memory(e);
  cn_status status = CORNU_OK;
  for (int64_t i = 0; i < n && !status; i++) {
    uint64_t hash = texts ? cn_hash_fingerprint(texts[i].bytes, texts[i].length)
                          : cn_hash_combine(0, (uint64_t)numbers[i]);
    size_t at = hash & (slots - 1);
    for (; table[at] && !status; at = (at + 1) & (slots - 1)) {
      int64_t k = table[at] - 1;
      if (texts ? cn_text_equal(texts[k], texts[i]) : numbers[k] == numbers[i])
        status = cn_fail(e, CORNU_ERR_ARGUMENT, "\"vocabulary\" has word %lld and %lld the same", (long long)k + 1,
                         (long long)i + 1);
    }
    table[at] = (int32_t)(i + 1);
  }
  cn_free(table);
  return status;
}

/* Keras refuses the mask among the words, and what unknown numbers become when that is looked for. */
static cn_status refuse_special(const cn_lookup *v, const cn_value *list, int64_t first, cn_error *e) {
  for (int64_t i = first; i < list->count; i++) {
    bool mask = has_mask(v) && same_token(list->items[i], v->mask);
    if (mask || (v->invert && !cn_value_is_null(v->oov) && same_token(list->items[i], v->oov)))
      return cn_fail(e, CORNU_ERR_ARGUMENT, "\"vocabulary\" has %s at place %lld: that is the %s",
                     cn_value_show(list->items[i], (char[80]){0}, 80), (long long)i + 1, mask ? "mask_token"
                     : "oov_token");
  }
  return CORNU_OK;
}

static cn_status set_words(cn_layer *l, const cn_lookup *v, const cn_value *list, cn_error *e) {
  int64_t first = special_words(v, list), n = list->count - first;
  if (list->count == 0) return cn_fail(e, CORNU_ERR_ARGUMENT, "\"vocabulary\" is empty");
  if (v->max_tokens != CN_NULL_INT && cn_lookup_first(v) + n > v->max_tokens)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"vocabulary\" makes %lld words, more than \"max_tokens\", %lld",
                   (long long)(cn_lookup_first(v) + n), (long long)v->max_tokens);
  CN_TRY(refuse_special(v, list, first, e));
  cn_tensor *words;
  CN_TRY(cornu_tensor_new(v->dtype == CORNU_TEXT ? CORNU_TEXT : CORNU_INT64, 1, &n, &words, e));
  cn_status status = CORNU_OK;
  for (int64_t i = 0; i < n && !status; i++) status = word_at(v, list->items[first + i], words, i, e);
  if (!status) status = refuse_repeated(words, e);
  if (!status) status = cn_layer_keep(l, WORDS, words, e);
  cornu_tensor_release(words);
  return status;
}

/* Weights of the words; those of special words are the average unless the vocabulary has these words itself. */
static cn_status set_weights(cn_layer *l, const cn_lookup *v, const cn_value *list, const cn_value *vocabulary,
                             cn_error *e) {
  int64_t depth = cn_lookup_depth(l, v), front = special_words(v, vocabulary) ? 0 : cn_lookup_first(v);
  double sum = 0, number = 0;
  if (!cn_value_is(list, CORNU_LIST) || list->count != vocabulary->count || front + list->count > depth)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"idf_weights\" is %s, expected one number for each of the %d words",
                   cn_value_show(list, (char[80]){0}, 80), vocabulary->count);
  cn_tensor *weights;
  CN_TRY(cornu_tensor_new(CORNU_FLOAT32, 1, &depth, &weights, e));
  cn_status status = CORNU_OK;
  float *to = (float *)(void *)weights->data;
  for (int64_t i = 0; i < list->count && !status; i++) {
    if (!cn_value_number(list->items[i], &number))
      status = cn_fail(e, CORNU_ERR_ARGUMENT, "\"idf_weights\" holds %s, expected numbers",
                       cn_value_show(list->items[i], (char[80]){0}, 80));
    to[front + i] = (float)number;
    sum += number;
  }
  for (int64_t i = 0; i < front; i++) to[i] = (float)(sum / list->count);
  if (!status) status = cn_layer_keep(l, WEIGHTS, weights, e);
  cornu_tensor_release(weights);
  return status;
}

cn_status cn_lookup_check(cn_layer *l, cn_lookup *v, cn_error *e) {
  cn_mode mode = cn_mode_of(v->mode);
  const cn_value *list = list_of(v->vocabulary);
  CN_TRY(cn_salt_of(v->salt, &v->key, e));
  if (v->invert && mode != CN_MODE_INT)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"invert\" goes with \"output_mode\" \"int\" alone");
  if (v->pad && v->max_tokens == CN_NULL_INT)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"pad_to_max_tokens\" is true, but \"max_tokens\" is not given");
  if (v->key.n == 2 && v->dtype != CORNU_TEXT && v->oov_method != 1)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"salt\" is given, but \"oov_method\" is not \"farmhash\"");
  if (has_mask(v) && !is_token(v->mask, v->dtype))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"mask_token\" is %s, which is no word of this vocabulary",
                   cn_value_show(v->mask, (char[80]){0}, 80));
  if (cn_value_str(v->vocabulary))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"vocabulary\" is a file, %s: files that a model names are never opened; "
                   "save the model as .keras, which keeps the words", cn_value_show(v->vocabulary, (char[80]){0}, 80));
  if (cn_value_is_null(v->vocabulary)) return CORNU_OK;
  if (!cn_value_is(list, CORNU_LIST))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"vocabulary\" is %s, expected a list",
                   cn_value_show(list, (char[80]){0}, 80));
  CN_TRY(set_words(l, v, list, e));
  return mode == CN_MODE_TF_IDF && !cn_value_is_null(v->idf) ? set_weights(l, v, list_of(v->idf), list, e) : CORNU_OK;
}

/* ---- Learned, or set by hand ---- */

const cn_lookup *cn_lookup_of(const cn_layer *l) {
  bool words = l->type && cn_word_in("StringLookup IntegerLookup TextVectorization", l->type->name, NULL);
  return words ? l->settings : NULL; /* the first member of each */
}

/* Keras refuses another number of columns as well: what follows was made for so many. */
static cn_status check_columns(const cn_layer *l, const cn_lookup *v, int64_t words, cn_error *e) {
  const cn_tensor *before = cn_layer_kept(l, WORDS);
  if (cn_mode_of(v->mode) == CN_MODE_INT || v->pad || !before || before->shape[0] == words) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "the vocabulary had %lld words and cannot have %lld now, since rows have a column "
                 "for each: pad_to_max_tokens lets it change", (long long)before->shape[0], (long long)words);
}

cn_status cn_lookup_learn(cn_layer *l, cn_tensor *words, cn_tensor *weights, cn_error *e) {
  CN_TRY(check_columns(l, cn_lookup_of(l), words->shape[0], e));
  CN_TRY(cn_layer_keep(l, WORDS, words, e));
  if (weights) CN_TRY(cn_layer_keep(l, WEIGHTS, weights, e));
  if (weights && l->n_weights) CN_TRY(cn_layer_set_weight(l, 0, weights, e));
  cn_layer_changed(l);
  return CORNU_OK;
}

/* Words and weights, or what there was before. */
static cn_status take_list(cn_layer *l, const cn_lookup *v, const cn_value *list, const cn_value *idf, cn_error *e) {
  cn_tensor *before = cn_layer_kept(l, WORDS);
  bool weighted = cn_mode_of(v->mode) == CN_MODE_TF_IDF;
  if (!cn_value_is(list, CORNU_LIST))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "the vocabulary is %s, expected a list", cn_value_show(list, (char[80]){0}, 80));
  if (weighted == cn_value_is_null(idf))
    return cn_fail(e, CORNU_ERR_ARGUMENT, weighted ? "\"output_mode\" is \"tf_idf\": weights of the words are needed"
                   : "weights of words go with \"output_mode\" \"tf_idf\" alone");
  CN_TRY(check_columns(l, v, list->count - special_words(v, list), e));
  if (before) cornu_tensor_retain(before);
  cn_status status = set_words(l, v, list, e);
  if (!status && weighted) status = set_weights(l, v, idf, list, e);
  if (status && before) cn_layer_keep(l, WORDS, before, NULL);
  cornu_tensor_release(before);
  if (!status && weighted && l->n_weights) status = cn_layer_set_weight(l, 0, cn_layer_kept(l, WEIGHTS), e);
  return status;
}

/* A list of the config is replaced, so that files have the new one. */
static cn_status say_list(cn_layer *l, const char *key, const cn_value *list, cn_error *e) {
  if (cn_value_is_null(cn_value_find(l->config, key))) return CORNU_OK;
  cn_value *copy = cn_value_copy(&l->arena, list);
  return copy && cn_value_put(&l->arena, l->config, key, copy) ? CORNU_OK : cn_no_memory(e);
}

cornu_status cornu_layer_set_vocabulary(cornu_layer *l, const cornu_value *words, const cornu_value *weights,
                                        cornu_error *e) {
  const cn_lookup *v = cn_lookup_of(l);
  if (!v) return cn_fail(e, CORNU_ERR_ARGUMENT, "layer \"%s\" (%s) has no vocabulary", l->name, l->class_name);
  cn_status status = take_list(l, v, words, weights, e);
  if (!status) status = say_list(l, "vocabulary", words, e);
  if (!status && !cn_value_is_null(weights)) status = say_list(l, "idf_weights", weights, e);
  cn_layer_changed(l);
  return status ? cn_at(e, status, "layer \"%s\" (%s)", l->name, l->class_name) : CORNU_OK;
}

/* The words for masks and unknown values. */
static cn_status put_special(const cn_lookup *v, cn_tensor *to, int64_t i, cn_error *e) {
  const cn_value *item = i < oov_first(v) ? v->mask : v->oov;
  if (is_token(item, v->dtype)) return word_at(v, item, to, i, e);
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"oov_token\" is %s: the vocabulary can be told without special words",
                 cn_value_show(item, (char[80]){0}, 80));
}

static cn_status copy_word(const cn_tensor *words, int64_t k, cn_tensor *to, int64_t i, cn_error *e) {
  cornu_text text = cornu_tensor_get_text(words, &k);
  if (to->dtype == CORNU_TEXT) return cornu_tensor_set_text(to, &i, text.bytes, text.length, e);
  ((int64_t *)(void *)to->data)[i] = ((const int64_t *)(const void *)words->data)[k];
  return CORNU_OK;
}

cornu_status cornu_layer_vocabulary(const cornu_layer *l, bool special, cornu_tensor **out, cornu_error *e) {
  const cn_lookup *v = cn_lookup_of(l);
  if (!v) return cn_fail(e, CORNU_ERR_ARGUMENT, "layer \"%s\" (%s) has no vocabulary", l->name, l->class_name);
  const cn_tensor *words = cn_layer_kept(l, WORDS);
  int64_t first = special ? cn_lookup_first(v) : 0, n = first + (words ? words->shape[0] : 0);
  cn_tensor *all;
  CN_TRY(cornu_tensor_new(v->dtype == CORNU_TEXT ? CORNU_TEXT : CORNU_INT64, 1, &n, &all, e));
  cn_status status = CORNU_OK;
  for (int64_t i = 0; i < n && !status; i++)
    status = i < first ? put_special(v, all, i, e) : copy_word(words, i - first, all, i, e);
  if (!status) return *out = all, CORNU_OK;
  cornu_tensor_release(all);
  return cn_at(e, status, "layer \"%s\" (%s)", l->name, l->class_name);
}

/* ---- From files ---- */

/* One word a line. Empty lines at the end are words where the config tells so many; Keras 3 drops them, then refuses. */
static cn_status list_lines(cn_arena *a, const cn_layer *l, const cn_lookup *v, const char *text, size_t length,
                            cn_value **out, cn_error *e) {
  cn_value *list = *out = cn_value_new(a, CORNU_LIST);
  if (!list) return cn_no_memory(e);
  for (const char *at = text, *end = text + length; at <= end;) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    size_t n = (size_t)((stop ? stop : end) - at);
    cn_value *word = cn_value_new(a, v->dtype == CORNU_TEXT ? CORNU_STRING : CORNU_INT);
    if (!word || !cn_value_push(a, list, word)) return cn_no_memory(e);
    if (v->dtype == CORNU_TEXT) {
      word->s = cn_arena_copy(a, at, n);
      word->count = (int)n;
      if (!word->s) return cn_no_memory(e);
    } else {
      char number[24], *rest;
      snprintf(number, sizeof number, "%.*s", n < 23 ? (int)n : 23, at);
      word->i = strtoll(number, &rest, 10);
      if (rest == number || *rest)
        return cn_fail(e, CORNU_ERR_FORMAT, "line %d of vocabulary.txt is \"%s\", expected a whole number", list->count,
                       number);
    }
    if (!stop) break;
    at = stop + 1;
  }
  bool drops = v->dtype == CORNU_TEXT && (cn_encodes_as_keras3(l) || v->size != CN_NULL_INT);
  while (drops && list->count && list->count != v->size && !list->items[list->count - 1]->count) list->count--;
  return CORNU_OK;
}

static cn_status restore_words(cn_layer *l, const cn_lookup *v, const cn_layer_store *store, cn_error *e) {
  char *text;
  size_t length;
  cn_value *list = NULL;
  cn_arena arena = {0};
  CN_TRY(store->text(store->user, "vocabulary.txt", &text, &length, e));
  if (!text) return CORNU_OK;
  cn_status status = length < INT32_MAX ? list_lines(&arena, l, v, text, length, &list, e)
                                        : cn_fail(e, CORNU_ERR_LIMIT, "vocabulary.txt is larger than 2 GiB");
  if (!status) status = set_words(l, v, list, e);
  cn_arena_free(&arena);
  cn_free(text);
  return status ? cn_at(e, status, "assets") : CORNU_OK;
}

static cn_status restore_weights(cn_layer *l, const cn_lookup *v, const cn_layer_store *store, cn_error *e) {
  cn_tensor *weights, *floats = NULL;
  int64_t depth = cn_lookup_depth(l, v);
  CN_TRY(store->array(store->user, "idf_weights", 0, &weights, e));
  if (!weights) return CORNU_OK;
  cn_status status = CORNU_OK;
  if (weights->rank != 1 || weights->shape[0] != depth)
    status = cn_fail(e, CORNU_ERR_SHAPE, "idf_weights is %s in the file, the vocabulary needs (%lld,)",
                     CN_SHAPE(weights->rank, weights->shape), (long long)depth);
  if (!status) status = cornu_tensor_cast(weights, CORNU_FLOAT32, &floats, e);
  if (!status) status = cn_layer_keep(l, WEIGHTS, floats, e);
  cornu_tensor_release(floats);
  cornu_tensor_release(weights);
  return status;
}

cn_status cn_lookup_restore(cn_layer *l, const cn_lookup *v, const cn_layer_store *store, cn_error *e) {
  if (!cn_layer_kept(l, WORDS)) CN_TRY(restore_words(l, v, store, e));
  bool weighted = cn_mode_of(v->mode) == CN_MODE_TF_IDF && cn_layer_kept(l, WORDS);
  return weighted ? restore_weights(l, v, store, e) : CORNU_OK;
}

/* The weights of words are weights of the layer in tf.keras. */
cn_status cn_lookup_build(cn_layer *l, const cn_lookup *v, cn_error *e) {
  if (cn_mode_of(v->mode) != CN_MODE_TF_IDF || cn_encodes_as_keras3(l)) return CORNU_OK;
  int64_t depth = cn_lookup_depth(l, v);
  cn_tensor *weights = cn_layer_kept(l, WEIGHTS);
  CN_TRY(cn_layer_add_weight(l, "idf_weights", 1, &depth, false, NULL, e));
  return weights ? cn_layer_set_weight(l, l->n_weights - 1, weights, e) : CORNU_OK;
}

/* ---- Lowering ---- */

/* What stands for words that are yet to be learned, where shapes do not depend on them. */
static cn_edge empty_vocabulary(const cn_lookup *v, cn_trace *t) {
  cn_tensor *none;
  if (!t->status)
    t->status = cornu_tensor_new(v->dtype == CORNU_TEXT ? CORNU_TEXT : CORNU_INT64, 1, (int64_t[]){0}, &none, t->error);
  cn_edge edge = t->status ? CN_NO_EDGE : cn_emit_constant(t, none);
  if (!t->status) cornu_tensor_release(none);
  return edge;
}

cn_edge cn_emit_vocabulary(cn_layer *l, cn_trace *t) {
  const cn_lookup *v = cn_lookup_of(l);
  cn_tensor *words = cn_layer_kept(l, WORDS);
  if (words) return cn_emit_constant(t, words);
  if (!t->planning && (cn_mode_of(v->mode) == CN_MODE_INT || v->pad)) return empty_vocabulary(v, t);
  cn_trace_fail(t, CORNU_ERR_FORMAT, "has no vocabulary: layer:adapt(data) learns one, layer:set_vocabulary{…} or "
                "\"vocabulary\" in the config give it; of files that Keras wrote after adapt() only .keras keep it");
  return CN_NO_EDGE;
}

cn_edge cn_emit_idf(cn_layer *l, const cn_lookup *v, cn_trace *t, cn_edge counts) {
  cn_tensor *weights = cn_layer_kept(l, WEIGHTS);
  (void)v;
  if (!weights) {
    cn_trace_fail(t, CORNU_ERR_ARGUMENT, "\"output_mode\" is \"tf_idf\", but there are no \"idf_weights\"");
    return CN_NO_EDGE;
  }
  cn_edge floats = cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){CORNU_FLOAT32}, counts);
  return cn_emit2(t, &cn_op_mul, NULL, floats, cn_emit_constant(t, weights));
}

/* Keras 3 has integers but for weighted counts; tf.keras what its policy says. */
static cornu_dtype result_dtype(const cn_layer *l, cn_mode mode) {
  return cn_encodes_as_keras3(l) ? CORNU_INT64 : cn_category_dtype(l, mode);
}

cn_edge cn_emit_words(cn_layer *l, const cn_lookup *v, cn_trace *t, cn_edge indices) {
  cn_mode mode = cn_mode_of(v->mode);
  cn_encoding how = {.mode = mode, .depth = cn_lookup_depth(l, v), .dtype = result_dtype(l, mode),
                     .weights = CN_NO_EDGE};
  cn_edge y = cn_emit_encoding(l, t, indices, &how);
  return mode == CN_MODE_TF_IDF ? cn_emit_idf(l, v, t, y) : y;
}

/* Where x is the mask: `value`. */
static cn_edge mask_out(const cn_lookup *v, cn_trace *t, cn_edge x, cn_edge mask, cn_edge value, cn_edge otherwise) {
  if (!has_mask(v)) return otherwise;
  return cn_emit3(t, &cn_op_where, NULL, cn_emit2(t, &cn_op_equal, NULL, x, mask), value, otherwise);
}

/* Numbers for values that the vocabulary does not have. */
static cn_edge place_unknown(const cn_lookup *v, cn_trace *t, cn_edge x, cn_edge indices) {
  if (v->oov_indices == 1) return indices;
  if (v->oov_indices == 0) return cn_emit2(t, &cn_op_refuse_missing, NULL, indices, x);
  bool modulo = v->dtype != CORNU_TEXT && v->oov_method == 0;
  cn_edge count = cn_emit_scalar(t, CORNU_INT64, (double)v->oov_indices);
  cn_edge bucket = modulo ? cn_emit2(t, &cn_op_mod, NULL, x, count)
                          : cn_emit1(t, &cn_op_hash_bucket, &(cn_hash_attrs){v->oov_indices, v->key}, x);
  bucket = cn_emit2(t, &cn_op_add, NULL, bucket, cn_emit_scalar(t, CORNU_INT64, (double)oov_first(v)));
  cn_edge missing = cn_emit2(t, &cn_op_equal, NULL, indices, cn_emit_scalar(t, CORNU_INT64, -1));
  return cn_emit3(t, &cn_op_where, NULL, missing, bucket, indices);
}

/* Whole numbers wrap to the vocabulary's dtype. */
static cn_edge as_key(const cn_lookup *v, cn_trace *t, cn_edge x) {
  cornu_dtype dtype = cn_edge_type(t, x)->dtype;
  if ((dtype == CORNU_TEXT) != (v->dtype == CORNU_TEXT))
    cn_trace_fail(t, CORNU_ERR_DTYPE, "the input is %s, the words are %s", cornu_dtype_name(dtype),
                  cornu_dtype_name(v->dtype));
  if (dtype == CORNU_TEXT) return x;
  if (v->dtype != CORNU_INT64 && dtype != v->dtype) x = cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){v->dtype}, x);
  return cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){CORNU_INT64}, x);
}

static cn_edge look_up(cn_layer *l, const cn_lookup *v, cn_trace *t, cn_edge input) {
  bool numbers = cn_mode_of(v->mode) == CN_MODE_INT;
  cn_edge words = cn_emit_vocabulary(l, t), x = as_key(v, t, input);
  cn_lookup_attrs a = {cn_lookup_first(v), v->oov_indices == 1 ? oov_first(v) : -1};
  cn_edge indices = cn_emit2(t, &cn_op_lookup, &a, x, words);
  if (has_mask(v)) { /* beyond all columns when there are rows: left out */
    double value = numbers ? 0 : (double)cn_lookup_depth(l, v);
    indices = mask_out(v, t, x, cn_emit_token(t, v->mask), cn_emit_scalar(t, CORNU_INT64, value), indices);
  }
  return cn_emit_words(l, v, t, place_unknown(v, t, x, indices));
}

/* The words with those for unknown values around them: before, and one behind for numbers that are too large. */
static cn_edge inverse_table(cn_layer *l, const cn_lookup *v, cn_trace *t) {
  cn_edge words = cn_emit_vocabulary(l, t), oov = cn_emit_token(t, v->oov);
  cn_edge mask = has_mask(v) ? cn_emit_token(t, v->mask) : oov;
  cn_ints_attrs one = {{1, {1}}}, several = {{1, {v->oov_indices}}};
  cn_edge parts[4] = {cn_emit1(t, &cn_op_broadcast_to, &one, mask), cn_emit1(t, &cn_op_broadcast_to, &several, oov),
                      words, cn_emit1(t, &cn_op_broadcast_to, &one, oov)};
  int skip = !has_mask(v);
  return cn_emit(t, &cn_op_concat, &(cn_axis_attrs){0}, parts + skip, 4 - skip);
}

static cn_edge look_back(cn_layer *l, const cn_lookup *v, cn_trace *t, cn_edge input) {
  if (!is_token(v->oov, v->dtype))
    cn_trace_fail(t, CORNU_ERR_ARGUMENT, "\"invert\" needs an \"oov_token\", which is %s",
                  cn_value_show(v->oov, (char[80]){0}, 80));
  cn_edge table = inverse_table(l, v, t), x = cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){CORNU_INT64}, input);
  cn_edge last = cn_emit_scalar(t, CORNU_INT64, (double)(cn_edge_type(t, table)->shape[0] - 1));
  cn_edge below = cn_emit2(t, &cn_op_less, NULL, x, cn_emit_scalar(t, CORNU_INT64, 0));
  cn_edge at = cn_emit3(t, &cn_op_where, NULL, below, last, cn_emit2(t, &cn_op_minimum, NULL, x, last));
  cn_edge y = cn_emit2(t, &cn_op_gather, &(cn_axis_attrs){0}, table, at);
  return v->dtype == CORNU_TEXT ? y : cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){v->dtype}, y);
}

void cn_lookup_lower(cn_layer *l, const cn_lookup *v, cn_trace *t, cn_call *c) {
  cn_edge x = c->in[0].data;
  cn_call_return(t, c, v->invert ? look_back(l, v, t, x) : look_up(l, v, t, x), CN_NO_EDGE);
}
