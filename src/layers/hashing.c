/* Hashing: strings or whole numbers into bins. */
#include <string.h>

#include "base/text.h"
#include "layers/encoding.h"
#include "ops/ops.h"

typedef struct settings { int64_t bins; const cn_value *mask, *salt; int mode; cn_ints key; } settings;

static const cn_field fields[] = {
    {.name = "num_bins", .kind = CN_F_INT, .offset = offsetof(settings, bins), .min = 1, .max = 1e15,
     .help = CN_HELP("how many bins, the mask's with them")},
    {.name = "mask_value", .kind = CN_F_VALUE, .offset = offsetof(settings, mask), .standard = "null",
     .help = CN_HELP("the value that alone goes into bin 0")},
    {.name = "salt", .kind = CN_F_VALUE, .offset = offsetof(settings, salt), .standard = "null",
     .help = CN_HELP("one or two numbers: SipHash with this key; null: FarmHash's fingerprint")},
    CN_MODE_FIELD(settings, "\"int\""),
    CN_SPARSE_FIELD,
    {0}};

static cn_status check(cn_layer *l, cn_error *e) {
  settings *s = l->settings;
  int64_t number;
  CN_TRY(cn_mode_check(s->mode, "int one_hot multi_hot count", e));
  CN_TRY(cn_salt_of(s->salt, &s->key, e));
  if (cn_mode_of(s->mode) != CN_MODE_INT && s->bins > 1000000000)
    return cn_fail(e, CORNU_ERR_LIMIT, "\"num_bins\" is %lld: rows of so many columns are too long", (long long)s->bins);
  if (cn_value_is_null(s->mask) || cn_value_str(s->mask) || cn_value_integer(s->mask, &number)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"mask_value\" is %s, expected a string or a whole number",
                 cn_value_show(s->mask, (char[80]){0}, 80));
}

/* Floats count as whole numbers. */
static cn_edge bins(const settings *s, cn_trace *t, cn_edge x) {
  cornu_dtype dtype = cn_edge_type(t, x)->dtype;
  if (cn_dtype_is_float(dtype)) x = cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){CORNU_INT64}, x);
  cn_hash_attrs a = {s->bins, s->key};
  if (cn_value_is_null(s->mask)) return cn_emit1(t, &cn_op_hash_bucket, &a, x);
  if ((dtype == CORNU_TEXT) != cn_value_is(s->mask, CORNU_STRING))
    cn_trace_fail(t, CORNU_ERR_DTYPE, "\"mask_value\" is %s, but the input is %s",
                  cn_value_show(s->mask, (char[80]){0}, 80), cornu_dtype_name(dtype));
  return cn_emit2(t, &cn_op_hash_bucket, &a, x, cn_emit_token(t, s->mask));
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_mode mode = cn_mode_of(s->mode);
  cn_edge x = c->in[0].data;
  const cn_type *type = cn_edge_type(t, x);
  if (cn_encodes_as_keras3(l) && mode == CN_MODE_ONE_HOT && type->rank && type->shape[type->rank - 1] == 1)
    x = cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {-1}}}, x);
  cn_encoding how = {.mode = mode, .depth = s->bins, .dtype = cn_category_dtype(l, mode), .weights = CN_NO_EDGE};
  cn_call_return(t, c, cn_emit_encoding(l, t, bins(s, t, x), &how), CN_NO_EDGE);
}

const cn_layer_type cn_layer_hashing = {
    .name = "Hashing",
    .versions = "2 3",
    .help = CN_HELP("the bin of each string or whole number, by FarmHash or, with a salt, SipHash, modulo num_bins\n"
                    "(…) -> (…), or rows of num_bins with another output_mode"),
    .flags = CN_LAYER_UNCAST,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .lower = lower,
};
