/* What preprocessing layers learn of data before training: vocabularies by the frequency of words, boundaries of bins by
 * Keras's sketch of quantiles. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "layers/lookup.h"

/* A text, or a number in its place. */
typedef struct word { cornu_text text; int64_t number, count, documents, last; } word;

struct cornu_adapter {
  cn_layer *layer;
  const cn_lookup *lookup;  /* NULL: boundaries are learned */
  cn_arena arena;           /* of the texts */
  word *words;
  int n_words, cap_words;
  int32_t *slots;           /* index + 1; 0: free */
  uint64_t n_slots;         /* a power of two */
  int64_t documents;
  double epsilon;
  float *summary;           /* (2, n_summary) */
  int64_t n_summary;
};

static cn_status check_layer(cn_layer *l, const cn_lookup *v, cn_error *e) {
  bool bins = l->type && strcmp(l->type->name, "Discretization") == 0;
  int64_t n = 0;
  if (!v && !bins)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "layer \"%s\" (%s) learns nothing before training", l->name, l->class_name);
  if (v && !cn_value_is_null(v->vocabulary))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "layer \"%s\" (%s) was given its vocabulary: set_vocabulary gives another one, "
                   "and a layer without \"vocabulary\" learns one", l->name, l->class_name);
  if (bins && (!cn_value_integer(cn_value_find(l->config, "num_bins"), &n) || n < 1))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "layer \"%s\" (%s) was not told how many bins to learn: \"num_bins\"", l->name,
                   l->class_name);
  return CORNU_OK;
}

cornu_status cornu_adapter_new(cornu_layer *l, cornu_adapter **out, cornu_error *e) {
  const cn_lookup *v = cn_lookup_of(l);
  *out = NULL;
  CN_TRY(check_layer(l, v, e));
  cornu_adapter *a = cn_calloc(1, sizeof *a);
  if (!a) return cn_no_memory(e);
  a->layer = cn_layer_share(l);
  a->lookup = v;
  if (!cn_value_number(cn_value_find(l->config, "epsilon"), &a->epsilon)) a->epsilon = 0.01;
  *out = a;
  return CORNU_OK;
}

void cornu_adapter_free(cornu_adapter *a) {
  if (!a) return;
  cn_layer_drop(a->layer);
  cn_arena_free(&a->arena);
  cn_free(a->words);
  cn_free(a->slots);
  cn_free(a->summary);
  cn_free(a);
}

/* ---- Words ---- */

static uint64_t hash_of(const cornu_adapter *a, const word *w) {
  return a->lookup->dtype == CORNU_TEXT ? cn_hash_fingerprint(w->text.bytes, w->text.length)
                                        : cn_hash_combine(0, (uint64_t)w->number);
}

static bool same_word(const cornu_adapter *a, const word *x, const word *y) {
  return a->lookup->dtype == CORNU_TEXT ? cn_text_equal(x->text, y->text) : x->number == y->number;
}

/* Twice as many places, so that at least half are free. */
static bool spread(cornu_adapter *a) {
  uint64_t n = a->n_slots ? 2 * a->n_slots : 1024;
  int32_t *slots = a->n_words < INT32_MAX / 2 ? cn_calloc(n, sizeof *slots) : NULL;
  if (!slots) return false;
  for (int i = 0; i < a->n_words; i++) {
    uint64_t at = hash_of(a, &a->words[i]) & (n - 1);
    while (slots[at]) at = (at + 1) & (n - 1);
    slots[at] = i + 1;
  }
  cn_free(a->slots);
  a->slots = slots;
  a->n_slots = n;
  return true;
}

static word *add_word(cornu_adapter *a, const word *w, uint64_t at) {
  if (!cn_grow(&a->words, &a->cap_words, a->n_words, sizeof *a->words)) return NULL;
  word *own = &a->words[a->n_words];
  *own = (word){.text = w->text, .number = w->number, .last = -1};
  own->text.bytes = cn_arena_copy(&a->arena, w->text.length ? w->text.bytes : "", w->text.length);
  if (!own->text.bytes) return NULL;
  a->slots[at] = ++a->n_words;
  return own;
}

static bool count_word(cornu_adapter *a, const word *w) {
  if (2 * (uint64_t)a->n_words >= a->n_slots && !spread(a)) return false;
  uint64_t at = hash_of(a, w) & (a->n_slots - 1);
  while (a->slots[at] && !same_word(a, &a->words[a->slots[at] - 1], w)) at = (at + 1) & (a->n_slots - 1);
  word *own = a->slots[at] ? &a->words[a->slots[at] - 1] : add_word(a, w, at);
  if (!own) return false;
  own->count++;
  if (own->last != a->documents) own->documents++;
  own->last = a->documents;
  return true;
}

static bool count_text(void *user, cornu_text text) { return count_word(user, &(word){.text = text}); }

/* Rows are documents. */
static cn_status see_words(cornu_adapter *a, cn_tensor *batch, cn_error *e) {
  static const cn_vectorize_attrs plain = {.widths = {.n = -1}};
  const cn_vectorize_attrs *how = cn_lookup_reading(a->layer);
  const cornu_text *texts = a->lookup->dtype == CORNU_TEXT ? (const void *)batch->data : NULL;
  const int64_t *numbers = (const void *)batch->data;
  int64_t size = cn_shape_size(batch->rank, batch->shape);
  int64_t row = how && how->split ? 1 : batch->rank ? batch->shape[batch->rank - 1] : 1;
  if (how && how->split && batch->rank > 1 && batch->shape[batch->rank - 1] != 1)
    return cn_fail(e, CORNU_ERR_SHAPE, "the data have shape %s: texts that are split come as (n) or (n, 1)",
                   CN_SHAPE(batch->rank, batch->shape));
  if (batch->rank > 2 && cn_mode_of(a->lookup->mode) == CN_MODE_TF_IDF)
    return cn_fail(e, CORNU_ERR_SHAPE, "the data have shape %s: documents are rows of two dimensions with \"tf_idf\"",
                   CN_SHAPE(batch->rank, batch->shape));
  bool good = true;
  for (int64_t i = 0; i < size && good; i += row, a->documents++) {
    if (texts) good = cn_each_word(how ? how : &plain, texts + i, row, count_text, a);
    for (int64_t k = 0; !texts && k < row && good; k++) good = count_word(a, &(word){.number = numbers[i + k]});
  }
  return good ? CORNU_OK : cn_no_memory(e);
}

static int rarer(const void *a, const void *b) { /* frequent words first, then the higher ones */
  const word *x = a, *y = b;
  size_t n = x->text.length < y->text.length ? x->text.length : y->text.length;
  int order = n ? memcmp(y->text.bytes, x->text.bytes, n) : 0;
  if (x->count != y->count) return x->count < y->count ? 1 : -1;
  if (order) return order;
  if (x->text.length != y->text.length) return x->text.length < y->text.length ? 1 : -1;
  return (x->number < y->number) - (x->number > y->number);
}

static bool is_special(const cornu_adapter *a, const cn_value *token, const word *w) {
  int64_t number;
  if (a->lookup->dtype != CORNU_TEXT) return cn_value_integer(token, &number) && number == w->number;
  return cn_value_is(token, CORNU_STRING) &&
         cn_text_equal((cornu_text){.bytes = token->s, .length = (size_t)token->count}, w->text);
}

/* Sorts those that are to be learned to the front. */
static int64_t choose_words(cornu_adapter *a) {
  const cn_lookup *v = a->lookup;
  int64_t n = 0, room = v->max_tokens == CN_NULL_INT ? INT64_MAX : v->max_tokens - cn_lookup_first(v);
  for (int i = 0; i < a->n_words; i++)
    if (!is_special(a, v->mask, &a->words[i]) && !is_special(a, v->oov, &a->words[i])) a->words[n++] = a->words[i];
  if (n) qsort(a->words, (size_t)n, sizeof *a->words, rarer);
  return n < room ? n : room > 0 ? room : 0;
}

static cn_status put_words(const cornu_adapter *a, int64_t n, cn_tensor **out, cn_error *e) {
  bool text = a->lookup->dtype == CORNU_TEXT;
  cn_status status = cornu_tensor_new(text ? CORNU_TEXT : CORNU_INT64, 1, &n, out, e);
  for (int64_t i = 0; i < n && !status; i++) {
    const word *w = &a->words[i];
    if (text) status = cornu_tensor_set_text(*out, &i, w->text.bytes, w->text.length, e);
    else ((int64_t *)(void *)(*out)->data)[i] = w->number;
  }
  return status;
}

/* Weights of the columns: the average for special words, 0 for what fills up. */
static cn_status put_weights(const cornu_adapter *a, int64_t n, cn_tensor **out, cn_error *e) {
  const cn_lookup *v = a->lookup;
  int64_t first = cn_lookup_first(v), columns = v->pad ? v->max_tokens : first + n;
  double sum = 0;
  CN_TRY(cornu_tensor_new(CORNU_FLOAT32, 1, &columns, out, e));
  float *to = (float *)(void *)(*out)->data;
  memset(to, 0, (size_t)columns * sizeof *to);
  for (int64_t i = 0; i < n; i++)
    sum += to[first + i] = (float)log(1 + (double)a->documents / (double)(1 + a->words[i].documents));
  for (int64_t i = 0; i < first; i++) to[i] = (float)(sum / (double)n);
  return CORNU_OK;
}

static cn_status learn_words(cornu_adapter *a, cn_error *e) {
  cn_tensor *words = NULL, *weights = NULL;
  if (!a->n_words) return cn_fail(e, CORNU_ERR_ARGUMENT, "there are no words in the data");
  int64_t n = choose_words(a);
  cn_status status = put_words(a, n, &words, e);
  if (!status && cn_mode_of(a->lookup->mode) == CN_MODE_TF_IDF) status = put_weights(a, n, &weights, e);
  if (!status) status = cn_lookup_learn(a->layer, words, weights, e);
  cornu_tensor_release(words);
  cornu_tensor_release(weights);
  return status;
}

/* ---- Boundaries ---- */

static int rising(const void *a, const void *b) { /* NaNs last */
  float x = *(const float *)a, y = *(const float *)b;
  return isnan(x) || isnan(y) ? (isnan(x) != 0) - (isnan(y) != 0) : (x > y) - (x < y);
}

/* Every step-th of n rising values, each with the weight of so many. */
static void summarize(const float *values, double step, float *out, int64_t m) {
  for (int64_t i = 0; i < m; i++) {
    out[i] = values[(int64_t)(step - 1) + i * (int64_t)step];
    out[m + i] = (float)step;
  }
}

/* Of two rising summaries; of equal values those of x come first. */
static void merge(const float *x, int64_t n, const float *y, int64_t m, float *out) {
  for (int64_t i = 0, k = 0, at = 0; at < n + m; at++) {
    bool first = k == m || (i < n && rising(&x[i], &y[k]) <= 0);
    out[at] = first ? x[i] : y[k];
    out[n + m + at] = first ? x[n + i++] : y[m + k++];
  }
}

static cn_status see_values(cornu_adapter *a, const float *values, int64_t n, cn_error *e) {
  double step = (double)n / (1 / a->epsilon);
  if (n == 0) return CORNU_OK;
  if (!(a->epsilon > 0 && a->epsilon <= 1))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"epsilon\" is %g, expected a number above 0, up to 1", a->epsilon);
  if (step < 1) step = 1;
  int64_t m = (n - (int64_t)(step - 1) - 1) / (int64_t)step + 1, all = m + a->n_summary;
  int64_t left = cn_summary_size(all, a->epsilon);
  float *sorted = cn_calloc((size_t)n, sizeof *sorted), *batch = cn_calloc((size_t)(m + all), 2 * sizeof *batch);
  float *summary = cn_calloc((size_t)left, 2 * sizeof *summary);
  cn_status status = sorted && batch && summary ? CORNU_OK : cn_no_memory(e);
  if (!status) {
    memcpy(sorted, values, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, rising);
    summarize(sorted, step, batch, m);
    merge(batch, m, a->summary, a->n_summary, batch + 2 * m);
    status = cn_summary_compress(batch + 2 * m, all, a->epsilon, summary, e);
  }
  cn_free(sorted);
  cn_free(batch);
  if (status) return cn_free(summary), status;
  cn_free(a->summary);
  a->summary = summary;
  a->n_summary = left;
  return CORNU_OK;
}

static cn_status learn_boundaries(cornu_adapter *a, cn_error *e) {
  cn_tensor *summary;
  if (!a->n_summary) return cn_fail(e, CORNU_ERR_ARGUMENT, "there are no values in the data");
  CN_TRY(cornu_tensor_new(CORNU_FLOAT32, 2, (int64_t[]){2, a->n_summary}, &summary, e));
  memcpy(summary->data, a->summary, 2 * (size_t)a->n_summary * sizeof *a->summary);
  cn_status status = cn_discretization_learn(a->layer, summary, e);
  cornu_tensor_release(summary);
  return status;
}

/* ---- public ---- */

static cn_status at_layer(const cornu_adapter *a, cn_status status, cn_error *e) {
  return status ? cn_at(e, status, "layer \"%s\" (%s)", a->layer->name, a->layer->class_name) : CORNU_OK;
}

/* As the layer's own dtype; whole numbers come to int64 by way of it. */
static cn_status as_keys(const cornu_adapter *a, cn_tensor *batch, cn_tensor **out, cn_error *e) {
  cornu_dtype dtype = a->lookup ? a->lookup->dtype : CORNU_FLOAT32;
  if ((batch->dtype == CORNU_TEXT) != (dtype == CORNU_TEXT))
    return cn_fail(e, CORNU_ERR_DTYPE, "the data are %s, expected %s", cornu_dtype_name(batch->dtype),
                   dtype == CORNU_TEXT ? "strings" : "numbers");
  if (dtype == CORNU_TEXT) return cornu_tensor_contiguous(batch, out, e);
  CN_TRY(cornu_tensor_cast(batch, dtype, out, e));
  if (dtype != CORNU_INT32) return CORNU_OK;
  cn_tensor *narrow = *out;
  cn_status status = cornu_tensor_cast(narrow, CORNU_INT64, out, e);
  cornu_tensor_release(narrow);
  return status;
}

static cn_status see(cornu_adapter *a, cn_tensor *batch, cn_error *e) {
  cn_tensor *keys;
  CN_TRY(as_keys(a, batch, &keys, e));
  cn_status status = a->lookup ? see_words(a, keys, e)
                     : see_values(a, (const float *)(const void *)keys->data, cn_shape_size(keys->rank, keys->shape), e);
  cornu_tensor_release(keys);
  return status;
}

cornu_status cornu_adapter_see(cornu_adapter *a, cornu_tensor *batch, cornu_error *e) {
  return at_layer(a, see(a, batch, e), e);
}

cornu_status cornu_adapter_finish(cornu_adapter *a, cornu_error *e) {
  return at_layer(a, a->lookup ? learn_words(a, e) : learn_boundaries(a, e), e);
}
