/* CategoryEncoding: numbers of categories to rows. */
#include "base/text.h"
#include "layers/encoding.h"

typedef struct settings { int64_t tokens; int mode; } settings;

static const cn_field fields[] = {
    {.name = "num_tokens", .aliases = "max_tokens", .kind = CN_F_INT, .offset = offsetof(settings, tokens), .min = 1,
     .max = 1e9, .help = CN_HELP("how many categories there are")},
    CN_MODE_FIELD(settings, "\"multi_hot\""),
    CN_SPARSE_FIELD,
    {0}};

static cn_status check(cn_layer *l, cn_error *e) {
  return cn_mode_check(((const settings *)l->settings)->mode, "one_hot multi_hot count", e);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_mode mode = cn_mode_of(s->mode);
  cn_sym weights = cn_call_tensor(c, "count_weights");
  if (weights.data == CN_NO_EDGE && c->n_positional > 1) weights = c->in[1];
  if (weights.data != CN_NO_EDGE && mode != CN_MODE_COUNT)
    cn_trace_fail(t, CORNU_ERR_ARGUMENT, "is called with count_weights, but \"output_mode\" is not \"count\"");
  cornu_dtype dtype = l->named == CORNU_DTYPES || cn_dtype_is_float(l->named) ? l->compute : l->named;
  cn_edge w = weights.data == CN_NO_EDGE ? CN_NO_EDGE : cn_emit_compute(t, weights.data);
  cn_encoding how = {mode, s->tokens, dtype, !cn_encodes_as_keras3(l), w};
  cn_call_return(t, c, cn_emit_encoding(l, t, c->in[0].data, &how), CN_NO_EDGE);
}

const cn_layer_type cn_layer_category_encoding = {
    .name = "CategoryEncoding",
    .versions = "2 3",
    .help = CN_HELP("which categories there are, or how often\nwhole numbers (…, n), count_weights=(…, n)? "
                    "-> (…, num_tokens); "
                    "one_hot: (…) -> (…, num_tokens), a last axis of 1 left out"),
    .flags = CN_LAYER_UNCAST,
    .min_in = 1,
    .max_in = 2,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .lower = lower,
};
