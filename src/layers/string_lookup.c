/* StringLookup: words to their numbers in a vocabulary, and back. */
#include "layers/lookup.h"

typedef struct settings { cn_lookup lookup; } settings;

static const cn_field fields[] = {
    CN_LOOKUP_FIELDS(settings),
    CN_LOOKUP_OWN_FIELDS(settings),
    {.name = "mask_token", .kind = CN_F_VALUE, .offset = offsetof(settings, lookup.mask), .standard = "null",
     .help = CN_HELP("a word that has number 0, or is left out of rows")},
    {.name = "oov_token", .kind = CN_F_VALUE, .offset = offsetof(settings, lookup.oov), .standard = "\"[UNK]\"",
     .help = CN_HELP("what unknown numbers become with invert")},
    CN_MODE_FIELD_AT(settings, lookup.mode, "\"int\""),
    {.name = "encoding", .kind = CN_F_IGNORED, .standard = "\"utf-8\"",
     .help = CN_HELP("of the words outside of the model")},
    {.name = "vocabulary_dtype", .kind = CN_F_IGNORED, .standard = "\"string\"", .help = CN_HELP("always strings")},
    {0}};

static cn_status check(cn_layer *l, cn_error *e) {
  settings *s = l->settings;
  s->lookup.dtype = CORNU_TEXT;
  return cn_lookup_check(l, &s->lookup, e);
}

static cn_status restore(cn_layer *l, const cn_layer_store *store, cn_error *e) {
  return cn_lookup_restore(l, &((settings *)l->settings)->lookup, store, e);
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)in, (void)n_in;
  return cn_lookup_build(l, &((settings *)l->settings)->lookup, e);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_lookup_lower(l, &((settings *)l->settings)->lookup, t, c);
}

const cn_layer_type cn_layer_string_lookup = {
    .name = "StringLookup",
    .versions = "2 3",
    .help = CN_HELP("the number of each word: 0 for the mask if there is one, then num_oov_indices for "
                    "unknown words, then the "
                    "vocabulary\nstrings (…) -> (…), or rows of words with another output_mode; with invert "
                    "back to strings"),
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
