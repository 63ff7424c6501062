/* What StringLookup, IntegerLookup and TextVectorization share: a vocabulary from the config or from a file's assets,
 * weights of its words, and what becomes of values that it does not have. */
#ifndef CN_LAYERS_LOOKUP_H
#define CN_LAYERS_LOOKUP_H

#include "layers/encoding.h"

typedef struct cn_lookup {
  int64_t max_tokens, oov_indices, size;
  const cn_value *mask, *oov, *vocabulary, *idf;
  int mode, oov_method;
  bool invert, pad;
  const cn_value *salt;
  cn_ints key;
  cornu_dtype dtype;      /* of the vocabulary: CORNU_TEXT or an integer */
} cn_lookup;

/* Fields of the settings' member `lookup`. */
#define CN_LOOKUP_FIELDS(type)                                                                                         \
  {.name = "max_tokens", .kind = CN_F_INT, .offset = offsetof(type, lookup.max_tokens), .standard = "null", .min = 2,  \
   .max = 1e9, .help = CN_HELP("most words, those for masks and unknown values with them")},                           \
  {.name = "vocabulary", .kind = CN_F_VALUE, .offset = offsetof(type, lookup.vocabulary), .standard = "null",          \
   .help = CN_HELP("the words; null: from the assets of the file")},                                                   \
  {.name = "idf_weights", .kind = CN_F_VALUE, .offset = offsetof(type, lookup.idf), .standard = "null",                \
   .help = CN_HELP("weights of the words, for output_mode=\"tf_idf\"")},                                               \
  {.name = "pad_to_max_tokens", .kind = CN_F_BOOL, .offset = offsetof(type, lookup.pad), .standard = "false",          \
   .help = CN_HELP("rows have max_tokens columns")},                                                                   \
  {.name = "vocabulary_size", .kind = CN_F_INT, .offset = offsetof(type, lookup.size), .standard = "null",             \
   .help = CN_HELP("how many words a vocabulary in the assets has")},                                                  \
  {.name = "has_input_vocabulary", .aliases = "has_static_table", .kind = CN_F_IGNORED, .standard = "null",            \
   .help = CN_HELP("follows from the vocabulary")},                                                                    \
  CN_SPARSE_FIELD
#define CN_LOOKUP_OWN_FIELDS(type)                                                                                     \
  {.name = "num_oov_indices", .kind = CN_F_INT, .offset = offsetof(type, lookup.oov_indices), .standard = "1",         \
   .min = 0, .max = 1e9,                                                                                               \
   .help = CN_HELP("numbers for values that are not in the vocabulary; 0: such values are an error")},                 \
  {.name = "invert", .kind = CN_F_BOOL, .offset = offsetof(type, lookup.invert), .standard = "false",                  \
   .help = CN_HELP("numbers to words")},                                                                               \
  {.name = "oov_method", .kind = CN_F_ENUM, .offset = offsetof(type, lookup.oov_method), .standard = "\"floormod\"",   \
   .choices = "floormod farmhash", .help = CN_HELP("how whole numbers choose among several num_oov_indices")},         \
  {.name = "salt", .kind = CN_F_VALUE, .offset = offsetof(type, lookup.salt), .standard = "null",                      \
   .help = CN_HELP("one or two numbers: hashing by SipHash")}

/* For check, restore and build of such a layer. */
cn_status cn_lookup_check(cn_layer *l, cn_lookup *v, cn_error *e);
cn_status cn_lookup_restore(cn_layer *l, const cn_lookup *v, const cn_layer_store *store, cn_error *e);
cn_status cn_lookup_build(cn_layer *l, const cn_lookup *v, cn_error *e);

/* Of one of the three layers; NULL: another one. */
const cn_lookup *cn_lookup_of(const cn_layer *l);
/* How TextVectorization reads words; NULL: another layer. */
const cn_vectorize_attrs *cn_lookup_reading(const cn_layer *l);
/* Takes words that were learned, without those for masks and unknown values; weights: of each column, or NULL. */
cn_status cn_lookup_learn(cn_layer *l, cn_tensor *words, cn_tensor *weights, cn_error *e);

int64_t cn_lookup_first(const cn_lookup *v);                    /* number of the first word */
int64_t cn_lookup_depth(const cn_layer *l, const cn_lookup *v); /* columns of rows */
/* The vocabulary as a constant; fails when there is none. */
cn_edge cn_emit_vocabulary(cn_layer *l, cn_trace *t);
/* Counts (…, depth) times the weights of the words. */
cn_edge cn_emit_idf(cn_layer *l, const cn_lookup *v, cn_trace *t, cn_edge counts);
/* Numbers of words to what the output mode says. */
cn_edge cn_emit_words(cn_layer *l, const cn_lookup *v, cn_trace *t, cn_edge indices);
/* The whole of StringLookup and IntegerLookup. */
void cn_lookup_lower(cn_layer *l, const cn_lookup *v, cn_trace *t, cn_call *c);

#endif
