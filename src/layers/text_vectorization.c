/* TextVectorization: texts to numbers of words, or rows of words. */
#include <string.h>

#include "base/text.h"
#include "layers/lookup.h"
#include "ops/ops.h"

typedef struct settings {
  cn_lookup lookup;
  const cn_value *standardize, *split, *ngrams;
  int64_t length;
  bool ragged;
  cn_vectorize_attrs how; /* what the keys above come to */
} settings;

extern const cn_layer_type cn_layer_text_vectorization;

static const cn_field fields[] = {
    {.name = "standardize", .kind = CN_F_VALUE, .offset = offsetof(settings, standardize),
     .standard = "\"lower_and_strip_punctuation\"",
     .help = CN_HELP("lower, strip_punctuation (both of ASCII), lower_and_strip_punctuation, or null")},
    {.name = "split", .kind = CN_F_VALUE, .offset = offsetof(settings, split), .standard = "\"whitespace\"",
     .help = CN_HELP("whitespace, character, or null: words come as they are, along the last axis")},
    {.name = "ngrams", .kind = CN_F_VALUE, .offset = offsetof(settings, ngrams), .standard = "null",
     .help = CN_HELP("n: up to n words in a row count as one; or a list of numbers of words")},
    {.name = "output_sequence_length", .kind = CN_F_INT, .offset = offsetof(settings, length), .standard = "null",
     .min = 0, .max = 1e9,
     .help = CN_HELP("columns with output_mode=\"int\"; null: as the longest text of the batch needs")},
    {.name = "ragged", .kind = CN_F_BOOL, .offset = offsetof(settings, ragged), .standard = "false",
     .help = CN_HELP("true is not supported: results are filled up with 0")},
    {.name = "encoding", .kind = CN_F_IGNORED, .standard = "\"utf-8\"",
     .help = CN_HELP("of the words outside of the model")},
    CN_MODE_FIELD_AT(settings, lookup.mode, "\"int\""),
    CN_LOOKUP_FIELDS(settings),
    {0}};

/* One of the words of `choices`, as its index; null is -1. */
static cn_status choice_of(const cn_value *v, const char *key, const char *choices, int *out, cn_error *e) {
  const char *name = cn_value_str(v);
  *out = -1;
  if (cn_value_is_null(v) || (name && cn_word_in(choices, name, out))) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"%s\" is %s: functions of Python are not supported; there are %s and null",
                 key, cn_value_show(v, (char[80]){0}, 80), choices);
}

static cn_status read_ngrams(const cn_value *v, cn_ints *out, cn_error *e) {
  int64_t n = 0;
  bool list = cn_value_is(v, CORNU_LIST), good = list || cn_value_is_null(v) || cn_value_integer(v, &n);
  out->n = cn_value_is_null(v) ? -1 : list ? v->count : (int)(n < 1 || n > CN_MAX_INTS ? 0 : n);
  good = good && out->n <= CN_MAX_INTS && out->n != 0;
  for (int i = 0; good && i < out->n; i++) {
    out->v[i] = i + 1;
    good = (!list || cn_value_integer(v->items[i], &out->v[i])) && out->v[i] >= 1 && out->v[i] <= CN_MAX_GRAM;
  }
  if (good) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"ngrams\" is %s, expected null, a number up to %d, or up to %d numbers up to "
                 "%d", cn_value_show(v, (char[80]){0}, 80), CN_MAX_INTS, CN_MAX_INTS, CN_MAX_GRAM);
}

static cn_status check(cn_layer *l, cn_error *e) {
  static const cn_value mask = {.kind = CORNU_STRING, .s = ""}, oov = {.kind = CORNU_STRING, .count = 5, .s = "[UNK]"};
  settings *s = l->settings;
  cn_lookup *v = &s->lookup;
  int standard, split;
  v->dtype = CORNU_TEXT;
  v->mask = &mask;
  v->oov = &oov;
  v->oov_indices = 1;
  if (cn_value_is_null(cn_value_find(l->config, "output_mode")) && cn_value_find(l->config, "output_mode"))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"output_mode\" is null: results that are strings are not supported");
  CN_TRY(choice_of(s->standardize, "standardize", "lower strip_punctuation lower_and_strip_punctuation", &standard, e));
  CN_TRY(choice_of(s->split, "split", "whitespace character", &split, e));
  CN_TRY(read_ngrams(s->ngrams, &s->how.widths, e));
  s->how.lower = standard == 0 || standard == 2;
  s->how.strip = standard >= 1;
  s->how.split = split + 1;
  if (s->ragged)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"ragged\" is true: ragged tensors are not supported; without it results "
                   "are filled up with 0");
  if (cn_mode_of(v->mode) != CN_MODE_INT && s->length != CN_NULL_INT)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"output_sequence_length\" is given, but \"output_mode\" is not \"int\"");
  if (cn_mode_of(v->mode) == CN_MODE_ONE_HOT && split >= 0)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"output_mode\" is \"one_hot\" with a split: Keras has no such result");
  return cn_lookup_check(l, v, e);
}

const cn_vectorize_attrs *cn_lookup_reading(const cn_layer *l) {
  return l->type == &cn_layer_text_vectorization ? &((const settings *)l->settings)->how : NULL;
}

static cn_status restore(cn_layer *l, const cn_layer_store *store, cn_error *e) {
  return cn_lookup_restore(l, &((settings *)l->settings)->lookup, store, e);
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)in, (void)n_in;
  return cn_lookup_build(l, &((settings *)l->settings)->lookup, e);
}

/* One text a row. */
static cn_edge squeeze(cn_trace *t, cn_edge x) {
  const cn_type *type = cn_edge_type(t, x);
  if (type->rank < 2) return x;
  if (type->shape[type->rank - 1] != 1)
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s: texts that are split come as (batch) or (batch, 1)",
                  CN_SHAPE(type->rank, type->shape));
  return cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {-1}}}, x);
}

/* How many n-grams n words have. */
static int64_t gram_count(const cn_vectorize_attrs *a, int64_t n) {
  int64_t count = 0;
  if (a->widths.n < 0 || n < 0) return n;
  for (int i = 0; i < a->widths.n; i++) count += n >= a->widths.v[i] ? n - a->widths.v[i] + 1 : 0;
  return count;
}

static cn_edge numbers(cn_layer *l, cn_trace *t, cn_edge x, cn_vectorize_attrs *a) {
  const settings *s = l->settings;
  const cn_type *type = cn_edge_type(t, x);
  bool rows = cn_mode_of(s->lookup.mode) != CN_MODE_INT;
  if (s->length != CN_NULL_INT && !rows) a->length = s->length;
  else if (!a->split) a->length = type->rank ? gram_count(a, type->shape[type->rank - 1]) : 0;
  else a->length = cn_trace_measure(t, cn_emit1(t, &cn_op_count_words, a, x));
  cn_edge indices = cn_emit2(t, &cn_op_vectorize, a, x, cn_emit_vocabulary(l, t));
  return rows ? cn_emit_words(l, &s->lookup, t, indices) : indices;
}

/* Rows of words that are split off: counted as they come. */
static cn_edge counts(cn_layer *l, cn_trace *t, cn_edge x, cn_vectorize_attrs *a) {
  const settings *s = l->settings;
  cn_mode mode = cn_mode_of(s->lookup.mode);
  a->depth = cn_lookup_depth(l, &s->lookup);
  a->once = mode == CN_MODE_MULTI_HOT;
  if (cn_edge_type(t, x)->rank > 1)
    cn_trace_fail(t, CORNU_ERR_SHAPE, "rows of words are made of texts in one dimension, or (batch, 1)");
  cn_edge y = cn_emit2(t, &cn_op_vectorize, a, x, cn_emit_vocabulary(l, t));
  if (mode == CN_MODE_TF_IDF) return cn_emit_idf(l, &s->lookup, t, y);
  cornu_dtype dtype = cn_encodes_as_keras3(l) ? CORNU_INT64 : CORNU_FLOAT32;
  return cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){dtype}, y);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_vectorize_attrs a = s->how;
  bool rows = cn_mode_of(s->lookup.mode) != CN_MODE_INT;
  a.first = cn_lookup_first(&s->lookup);
  a.missing = a.first - 1;
  a.empty = rows ? cn_lookup_depth(l, &s->lookup) : 0; /* beyond all columns: left out */
  cn_edge x = a.split ? squeeze(t, c->in[0].data) : c->in[0].data;
  cn_call_return(t, c, rows && a.split ? counts(l, t, x, &a) : numbers(l, t, x, &a), CN_NO_EDGE);
}

const cn_layer_type cn_layer_text_vectorization = {
    .name = "TextVectorization",
    .versions = "2 3",
    .help = CN_HELP("the number of each word: 0 fills up, 1 is an unknown word, then the vocabulary; or "
                    "rows of words, which "
                    "begin with the unknown\nstrings (batch) or (batch, 1) -> (batch, "
                    "output_sequence_length), or (batch, "
                    "words) with another output_mode; without a split (…, n) -> (…, n)"),
    .flags = CN_LAYER_UNCAST,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .restore = restore,
    .build = build,
    .lower = lower,
};
