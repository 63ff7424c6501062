/* Embedding: rows of a table by number. Keras 3 may have quantised the table: int8 rows with a scale each, or int4
 * values, two to a byte, with a scale per row, or a scale and a zero point per group of columns. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "layers/layer.h"
#include "ops/ops.h"

typedef enum mode { MODE_FLOAT, MODE_INT8, MODE_INT4 } mode;

typedef struct settings {
  int64_t input_dim, output_dim;
  bool mask_zero;
  const cn_value *initializer, *quantization;
  mode mode;
  int64_t block;   /* int4: columns per group, or -1: a scale per row */
} settings;

#define IGNORED(key, old, text) {.name = key, .aliases = old, .kind = CN_F_IGNORED, .standard = "null", .help = text}
static const cn_field fields[] = {
    {.name = "input_dim", .kind = CN_F_INT, .offset = offsetof(settings, input_dim), .min = 1, .max = 1LL << 40,
     .help = "rows of the table"},
    {.name = "output_dim", .kind = CN_F_INT, .offset = offsetof(settings, output_dim), .min = 1, .max = 1 << 24,
     .help = "columns of the table"},
    {.name = "mask_zero", .kind = CN_F_BOOL, .offset = offsetof(settings, mask_zero), .standard = "false",
     .help = "number 0 is masked"},
    {.name = "embeddings_initializer", .aliases = "init", .kind = CN_F_VALUE,
     .offset = offsetof(settings, initializer), .standard = "\"uniform\"",
     .help = "initial table"},
    {.name = "quantization_config", .kind = CN_F_VALUE, .offset = offsetof(settings, quantization), .standard = "null",
     .help = "Keras 3: how the table was quantised; the dtype policy says whether"},
    IGNORED("embeddings_regularizer", "W_regularizer", "training alone"),
    IGNORED("embeddings_constraint", "W_constraint", "training alone"),
    IGNORED("activity_regularizer", NULL, "training alone"),
    IGNORED("input_length", NULL, "the input's steps: the shape tells"),
    IGNORED("dropout", NULL, "Keras 1: training alone"),
    IGNORED("sparse", NULL, "sparse gradients: training alone"),
    IGNORED("lora_rank", NULL, "training alone: Keras saves the sum"),
    IGNORED("lora_alpha", NULL, "training alone"),
    {0}};

/* The dtype policy's mode: "int8", "int4", "int4/128" (a group size). Other policies leave the table as it is. */
static cn_status check(cn_layer *l, cn_error *e) {
  settings *s = l->settings;
  const cn_value *policy = cn_value_find(cn_value_find(l->config, "dtype"), "config");
  const char *name = cn_value_str(cn_value_find(policy, "mode"));
  if (!name) return CORNU_OK;
  s->block = -1;
  if (strcmp(name, "int8") == 0) s->mode = MODE_INT8;
  if (strncmp(name, "int4", 4) != 0) return CORNU_OK;
  s->mode = MODE_INT4;
  if (name[4] == '/') s->block = strtoll(name + 5, NULL, 10);
  const cn_value *block = cn_value_find(cn_value_find(s->quantization, "config"), "block_size");
  if (block && !cn_value_integer(block, &s->block)) s->block = -1;
  if (s->block == -1 || s->block > 0) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "int4 groups of %lld columns: expected -1 or more than 0", (long long)s->block);
}

static cn_status add_weight(cn_layer *l, const char *name, int rank, const int64_t *shape, cornu_dtype dtype,
    cn_error *e) {
  CN_TRY(cn_layer_add_weight(l, name, rank, shape, false, NULL, e));
  l->weights[l->n_weights - 1].dtype = dtype;
  return CORNU_OK;
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)in;
  (void)n_in;
  const settings *s = l->settings;
  int64_t rows = s->input_dim, columns = s->output_dim;
  if (s->mode == MODE_FLOAT)
    return cn_layer_add_weight(l, "embeddings", 2, (int64_t[]){rows, columns}, true, s->initializer, e);
  if (s->mode == MODE_INT4) columns = (columns + 1) / 2;
  CN_TRY(add_weight(l, "embeddings", 2, (int64_t[]){rows, columns}, CORNU_INT8, e));
  if (s->mode == MODE_INT8 || s->block < 0) return add_weight(l, "embeddings_scale", 1, &rows, CORNU_FLOAT32, e);
  int64_t groups[2] = {rows, (s->output_dim + s->block - 1) / s->block};
  CN_TRY(add_weight(l, "embeddings_scale", 2, groups, CORNU_FLOAT32, e));
  CN_TRY(add_weight(l, "embeddings_zero", 2, groups, CORNU_INT8, e));
  return add_weight(l, "g_idx", 1, &s->output_dim, CORNU_FLOAT32, e);
}

static cn_edge rows_of(cn_layer *l, cn_trace *t, const char *name, cn_edge ids) {
  return cn_emit2(t, &cn_op_gather, &(cn_axis_attrs){0}, cn_layer_weight_edge(l, t, name), ids);
}

static cn_edge with(cn_trace *t, const cn_op *op, cn_edge x, double v) {
  return cn_emit2(t, op, NULL, x, cn_emit_number(t, v));
}

/* Bytes to pairs of numbers from -8 to 7, the low half of a byte first:
 * low = (v + 8) mod 16 - 8, high = floor(v / 16). */
static cn_edge unpack_int4(cn_trace *t, cn_edge bytes, int64_t columns) {
  cn_edge v = cn_emit_compute(t, bytes), pair[2];
  pair[0] = with(t, &cn_op_sub, with(t, &cn_op_mod, with(t, &cn_op_add, v, 8), 16), 8);
  pair[1] = cn_emit1(t, &cn_op_floor, NULL, with(t, &cn_op_mul, v, 1.0 / 16));
  cn_edge pairs = cn_emit(t, &cn_op_stack, &(cn_axis_attrs){-1}, pair, 2);
  cn_reshape_attrs flat = {.shape = {.n = cn_edge_type(t, pairs)->rank - 1}};
  if (t->status) return CN_NO_EDGE;
  for (int i = 0; i < flat.shape.n - 1; i++) flat.shape.v[i] = CN_DIM_COPY;
  flat.shape.v[flat.shape.n - 1] = (columns + 1) / 2 * 2;
  cn_edge all = cn_emit1(t, &cn_op_reshape, &flat, pairs);
  if (columns % 2 == 0) return all;
  cn_slice_attrs first = {.axes = {1, {-1}}, .begin = {1, {0}}, .end = {1, {columns}}, .step = {1, {1}}};
  return cn_emit1(t, &cn_op_slice, &first, all);
}

/* Quantised rows to floats: q / scale, or (q - zero) * scale with both by the column's group. */
static cn_edge dequantize(cn_layer *l, cn_trace *t, cn_edge ids) {
  const settings *s = l->settings;
  cn_edge rows = rows_of(l, t, "embeddings", ids), scale = rows_of(l, t, "embeddings_scale", ids);
  rows = s->mode == MODE_INT4 ? unpack_int4(t, rows, s->output_dim) : cn_emit_compute(t, rows);
  if (s->mode == MODE_INT8 || s->block < 0)
    return cn_emit2(t, &cn_op_div, NULL, rows, cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){-1}, scale));
  cn_edge group = cn_layer_weight_edge(l, t, "g_idx"), zero = cn_emit_compute(t, rows_of(l, t, "embeddings_zero", ids));
  scale = cn_emit2(t, &cn_op_gather, &(cn_axis_attrs){-1}, scale, group);
  zero = cn_emit2(t, &cn_op_gather, &(cn_axis_attrs){-1}, zero, group);
  return cn_emit2(t, &cn_op_mul, NULL, cn_emit2(t, &cn_op_sub, NULL, rows, zero), scale);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge ids = c->in[0].data;
  cn_edge y = s->mode == MODE_FLOAT ? rows_of(l, t, "embeddings", ids) : dequantize(l, t, ids);
  cn_edge mask = CN_NO_EDGE;
  if (s->mask_zero) mask = cn_emit2(t, &cn_op_not_equal, NULL, ids, cn_emit_scalar(t, cn_edge_type(t, ids)->dtype, 0));
  cn_call_return(t, c, y, mask);
}

const cn_layer_type cn_layer_embedding = {
    .name = "Embedding",
    .versions = "1 2 3",
    .help = "row i of a table for each number i: (batch, …) -> (batch, …, output_dim); floats are truncated",
    .flags = CN_MASK_OWN | CN_LAYER_QUANTISED | CN_LAYER_UNCAST,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .build = build,
    .lower = lower,
};
