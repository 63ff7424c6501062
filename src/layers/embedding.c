/* Embedding: rows of a table by number. Keras 3 may have quantised the table: int8 rows with a scale each, or int4
 * values, two to a byte, with a scale per row, or a scale and a zero point per group of columns.
 * ReversibleEmbedding also goes back: from rows to the products with every row of the table (Press and Wolf 2016), or
 * with the columns of a second table. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "layers/emit.h"
#include "layers/lora.h"
#include "layers/part.h"
#include "layers/quantised.h"
#include "ops/ops.h"

typedef struct settings {
  int64_t input_dim, output_dim;
  bool mask_zero;
  const cn_value *initializer;
  double dropout;
  cn_quantised quantised;
  /* ReversibleEmbedding */
  bool tie_weights;
  double logit_soft_cap;
  cornu_dtype reverse_dtype;
} settings;

#define IGNORED(key, old, text) {.name = key, .aliases = old, .kind = CN_F_IGNORED, .standard = "null", \
   .help = CN_HELP(text)}
#define TABLE_FIELDS                                                                                                   \
  {.name = "input_dim", .kind = CN_F_INT, .offset = offsetof(settings, input_dim), .min = 1, .max = 1LL << 40,         \
   .help = CN_HELP("rows of the table")},                                                                              \
  {.name = "output_dim", .kind = CN_F_INT, .offset = offsetof(settings, output_dim), .min = 1, .max = 1 << 24,         \
   .help = CN_HELP("columns of the table")},                                                                           \
  {.name = "mask_zero", .kind = CN_F_BOOL, .offset = offsetof(settings, mask_zero), .standard = "false",               \
   .help = CN_HELP("number 0 is masked")},                                                                             \
  {.name = "embeddings_initializer", .aliases = "init", .kind = CN_F_VALUE, .offset = offsetof(settings, initializer), \
   .standard = "\"uniform\"", .help = CN_HELP("initial table")},                                                       \
  CN_WEIGHT_ROWS("embeddings", "W_regularizer", "W_constraint"), CN_ACTIVITY_ROW,                                      \
  IGNORED("input_length", NULL, "the input's steps: the shape tells"),                                                 \
  {.name = "dropout", .kind = CN_F_FLOAT, .offset = offsetof(settings, dropout), .standard = "0", .min = 0, .max = 1,   \
   .help = CN_HELP("Keras 1: share of the rows dropped in training")},                                                 \
  IGNORED("sparse", NULL, "how others compute gradients")
static const cn_field fields[] = {TABLE_FIELDS, {0}};
static const cn_field reversible_fields[] = {
    TABLE_FIELDS,
    {.name = "tie_weights", .kind = CN_F_BOOL, .offset = offsetof(settings, tie_weights), .standard = "true",
     .help = CN_HELP("the way back uses the same table")},
    {.name = "reverse_dtype", .kind = CN_F_DTYPE, .offset = offsetof(settings, reverse_dtype), .standard = "null",
     .help = CN_HELP("in which the way back is computed; null: as the layer")},
    {.name = "logit_soft_cap", .kind = CN_F_FLOAT, .offset = offsetof(settings, logit_soft_cap), .standard = "null",
     .help = CN_HELP("the products y become cap * tanh(y / cap)")},
    {0}};

/* ---- Weights ---- */

enum { MODES = 1u << CN_QUANTISED_INT8 | 1u << CN_QUANTISED_INT4 };

static cn_status check(cn_layer *l, cn_error *e) {
  return cn_quantised_parse(l, false, MODES, &((settings *)l->settings)->quantised, e);
}

static cn_status check_reversible(cn_layer *l, cn_error *e) {
  return cn_quantised_parse(l, true, MODES, &((settings *)l->settings)->quantised, e);
}

static int64_t groups_of(const settings *s) { return (s->output_dim - 1) / s->quantised.block + 1; }

static cn_status build_table(cn_layer *l, cn_error *e) {
  const settings *s = l->settings;
  int64_t rows = s->input_dim, columns = s->output_dim;
  bool packed = s->quantised.mode == CN_QUANTISED_INT4;
  if (s->quantised.mode == CN_QUANTISED_NONE)
    return cn_layer_add_weight(l, "embeddings", 2, (int64_t[]){rows, columns}, !cn_lora_enabled(l), s->initializer, e);
  if (packed) columns = (columns + 1) / 2;
  CN_TRY(cn_quantised_add(l, "embeddings", 2, (int64_t[]){rows, columns}, CORNU_INT8, e));
  if (!packed || s->quantised.block < 0) return cn_quantised_add(l, "embeddings_scale", 1, &rows, CORNU_FLOAT32, e);
  int64_t groups[2] = {rows, groups_of(s)};
  CN_TRY(cn_quantised_add(l, "embeddings_scale", 2, groups, CORNU_FLOAT32, e));
  CN_TRY(cn_quantised_add(l, "embeddings_zero", 2, groups, CORNU_INT8, e));
  return cn_quantised_add(l, "g_idx", 1, &s->output_dim, CORNU_FLOAT32, e);
}

static cn_status build_lora(cn_layer *l, cn_error *e) {
  const settings *s = l->settings;
  return cn_lora_build(l, "embeddings", 2, (int64_t[]){s->input_dim, s->output_dim}, e);
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)in, (void)n_in;
  CN_TRY(build_table(l, e));
  return build_lora(l, e);
}

/* The second table: (output_dim, input_dim), its groups along the first axis. */
static cn_status build_reverse(cn_layer *l, cn_error *e) {
  const settings *s = l->settings;
  int64_t rows = s->output_dim, columns = s->input_dim;
  if (s->quantised.mode == CN_QUANTISED_NONE)
    return cn_layer_add_weight(l, "reverse_embeddings", 2, (int64_t[]){rows, columns}, true, s->initializer, e);
  if (s->quantised.mode == CN_QUANTISED_INT4) rows = (rows + 1) / 2;
  CN_TRY(cn_quantised_add(l, "reverse_embeddings", 2, (int64_t[]){rows, columns}, CORNU_INT8, e));
  if (s->quantised.mode == CN_QUANTISED_INT8 || s->quantised.block < 0)
    return cn_quantised_add(l, "reverse_embeddings_scale", 1, &columns, CORNU_FLOAT32, e);
  int64_t groups[2] = {groups_of(s), columns};
  CN_TRY(cn_quantised_add(l, "reverse_embeddings_scale", 2, groups, CORNU_FLOAT32, e));
  return cn_quantised_add(l, "reverse_embeddings_zero", 2, groups, CORNU_FLOAT32, e);
}

static cn_status build_reversible(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)in, (void)n_in;
  CN_TRY(build_table(l, e));
  if (!((const settings *)l->settings)->tie_weights) CN_TRY(build_reverse(l, e));
  return build_lora(l, e);
}

/* ---- Rows by number ---- */

static cn_edge weight(cn_layer *l, cn_trace *t, const char *name) { return cn_layer_weight_edge(l, t, name); }

static cn_edge rows_of(cn_trace *t, cn_edge table, cn_edge ids) {
  return cn_emit2(t, &cn_op_gather, &(cn_axis_attrs){0}, table, ids);
}

/* Quantised rows to floats: q / scale, or (q - zero) * scale with both by the column's group. */
static cn_edge dequantised_rows(cn_layer *l, cn_trace *t, cn_edge ids) {
  const settings *s = l->settings;
  cn_edge rows = rows_of(t, weight(l, t, "embeddings"), ids), scale = rows_of(t, weight(l, t, "embeddings_scale"), ids);
  rows = s->quantised.mode == CN_QUANTISED_INT4 ? cn_unpack_int4(t, rows, s->output_dim, true)
                                                : cn_emit_compute(t, rows);
  if (s->quantised.mode == CN_QUANTISED_INT8 || s->quantised.block < 0)
    return cn_emit2(t, &cn_op_div, NULL, rows, cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){-1}, scale));
  cn_edge zero = rows_of(t, weight(l, t, "embeddings_zero"), ids);
  return cn_dequantise(t, rows, scale, zero, weight(l, t, "g_idx"), -1);
}

/* Keras 1 drops whole rows of the table. */
static cn_edge table(cn_layer *l, cn_trace *t) {
  const settings *s = l->settings;
  const cn_edge all = cn_lora_weight(l, t, "embeddings");
  const cn_type rows = {.dtype = cn_edge_type(t, all)->dtype, .rank = 2, .shape = {s->input_dim, 1}};
  if (s->dropout <= 0 || l->origin.keras != 1 || !t->training || !cn_layer_draws(l, t)) return all;
  return cn_emit2(t, &cn_op_mul, NULL, all, cn_emit_kept(t, &rows, s->dropout, CN_NULL_INT));
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  bool plain = s->quantised.mode == CN_QUANTISED_NONE;
  cn_edge ids = c->in[0].data, y = plain ? rows_of(t, table(l, t), ids) : dequantised_rows(l, t, ids);
  cn_edge delta = plain ? CN_NO_EDGE : cn_lora_delta(l, t, "embeddings"), mask = CN_NO_EDGE;
  if (delta != CN_NO_EDGE) y = cn_emit2(t, &cn_op_add, NULL, y, rows_of(t, delta, ids));
  if (s->mask_zero) mask = cn_emit2(t, &cn_op_not_equal, NULL, ids, cn_emit_scalar(t, cn_edge_type(t, ids)->dtype, 0));
  cn_call_return(t, c, y, mask);
}

/* ---- The way back ---- */

static cn_edge transposed(cn_trace *t, cn_edge x) {
  return cn_emit1(t, &cn_op_transpose, &(cn_ints_attrs){{2, {1, 0}}}, x);
}

/* The quantised table to multiply with, (output_dim, input_dim); *scale: of its columns, where it is not yet applied. */
static cn_edge quantised_columns(cn_layer *l, cn_trace *t, cn_edge *scale) {
  const settings *s = l->settings;
  bool packed = s->quantised.mode == CN_QUANTISED_INT4, tied = s->tie_weights;
  cn_edge table = weight(l, t, tied ? "embeddings" : "reverse_embeddings");
  *scale = weight(l, t, tied ? "embeddings_scale" : "reverse_embeddings_scale");
  if (!tied) table = transposed(t, table);
  table = transposed(t, packed ? cn_unpack_int4(t, table, s->output_dim, true) : cn_emit_compute(t, table));
  if (!packed || s->quantised.block < 0) return table;
  cn_edge zero = weight(l, t, tied ? "embeddings_zero" : "reverse_embeddings_zero");
  if (tied) *scale = transposed(t, *scale), zero = transposed(t, zero);
  table = cn_dequantise(t, table, *scale, zero, weight(l, t, "g_idx"), 0);
  *scale = CN_NO_EDGE;
  return table;
}

static cn_edge product(cn_trace *t, cn_edge x, cn_edge columns) {
  return cn_emit3(t, &cn_op_dense, &(cn_dense_attrs){.act = {.kind = CN_ACT_LINEAR}}, x, columns, CN_NO_EDGE);
}

static cn_edge quantised_back(cn_layer *l, cn_trace *t, cn_edge x) {
  cn_edge inputs_scale, scale, columns = quantised_columns(l, t, &scale);
  cn_edge whole = cn_quantised_inputs(l, t, &((const settings *)l->settings)->quantised, x, NULL, &inputs_scale);
  cn_edge y = product(t, whole, columns);
  if (scale != CN_NO_EDGE && inputs_scale != CN_NO_EDGE) scale = cn_emit2(t, &cn_op_mul, NULL, inputs_scale, scale);
  else if (scale == CN_NO_EDGE) scale = inputs_scale;
  return scale == CN_NO_EDGE ? y : cn_emit2(t, &cn_op_div, NULL, y, scale);
}

/* In 16-bit floats the factors are rounded, the sums are float32's. */
static cn_edge in_dtype(cn_trace *t, cn_edge x, cornu_dtype dtype) {
  x = cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){dtype}, x);
  bool half = dtype == CORNU_FLOAT16 || dtype == CORNU_BFLOAT16;
  return half ? cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){CORNU_FLOAT32}, x) : x;
}

static cn_edge plain_back(cn_layer *l, cn_trace *t, cn_edge x) {
  const settings *s = l->settings;
  cn_edge columns = s->tie_weights ? transposed(t, cn_lora_weight(l, t, "embeddings")) : weight(l, t,
                                                                                                "reverse_embeddings");
  if (s->reverse_dtype != CORNU_DTYPES) {
    x = in_dtype(t, x, s->reverse_dtype);
    columns = in_dtype(t, columns, s->reverse_dtype);
  }
  return product(t, x, columns);
}

static void lower_back(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  const cn_type *type = cn_edge_type(t, x);
  if (!t->status && (type->rank < 1 || !cn_dims_agree(type->shape[type->rank - 1], s->output_dim))) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected %lld values on its last axis",
                  CN_SHAPE(type->rank, type->shape), (long long)s->output_dim);
    return;
  }
  cn_edge y = s->quantised.mode == CN_QUANTISED_NONE ? plain_back(l, t, x) : quantised_back(l, t, x);
  if (!isnan(s->logit_soft_cap)) {
    cn_edge cap = cn_emit_scalar(t, cn_edge_type(t, y)->dtype, s->logit_soft_cap);
    y = cn_emit1(t, &cn_op_activation, &(cn_act_attrs){.act = {.kind = CN_ACT_TANH}},
                 cn_emit2(t, &cn_op_div, NULL, y, cap));
    y = cn_emit2(t, &cn_op_mul, NULL, y, cap);
  }
  cn_call_return(t, c, y, CN_NO_EDGE);
}

/* `reverse`, by name or as the second argument. */
static void lower_reversible(cn_layer *l, cn_trace *t, cn_call *c) {
  const cn_value *reverse = cn_call_kwarg(c, "reverse");
  if (!reverse && cn_value_is(c->args, CORNU_LIST) && c->args->count > 1) reverse = c->args->items[1];
  if (cn_value_is(reverse, CORNU_BOOL) && reverse->b) lower_back(l, t, c);
  else lower(l, t, c);
}

const cn_layer_type cn_layer_embedding = {
    .name = "Embedding",
    .versions = "1 2 3",
    .help = CN_HELP("row i of a table for each number i: (batch, …) -> (batch, …, output_dim); floats are truncated"),
    .flags = CN_MASK_OWN | CN_LAYER_UNCAST,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .build = build,
    .lower = lower,
    .import = cn_quantised_import,
};

const cn_layer_type cn_layer_reversible_embedding = {
    .name = "ReversibleEmbedding",
    .versions = "3",
    .help = CN_HELP("row i of a table for each number i: (batch, …) -> (batch, …, output_dim); called with "
                    "reverse=True the "
                    "products with every row: (batch, …, output_dim) -> (batch, …, input_dim)"),
    .flags = CN_MASK_OWN | CN_LAYER_UNCAST,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = reversible_fields,
    .check = check_reversible,
    .build = build_reversible,
    .lower = lower_reversible,
    .import = cn_quantised_import,
};
