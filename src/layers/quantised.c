/* Quantised kernels: policies, weights, arithmetic. Formulas and layouts are those of Keras 3.15's quantizers. */
#include "layers/quantised.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "layers/lora.h"
#include "ops/ops.h"

static const char *const mode_names[] = {"none", "int8", "int4", "float8", "gptq", "awq"};
static const double FLOAT8_MAX = 448; /* of e4m3fn */
enum { FLOAT8_WEIGHTS = 6 };

/* ---- Policies ---- */

/* "int8", "int4/128", "gptq/4/128", "int8_from_float32"; NULL: not quantised. */
static const char *mode_of(const cn_value *policy) {
  const char *text = cn_value_str(policy) ? policy->s : NULL;
  if (text) return strstr(text, "_from_") ? text : NULL;
  return cn_value_str(cn_value_find(cn_value_find(policy, "config"), "mode"));
}

static cn_status bad_mode(const char *mode, cn_error *e) {
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"dtype\" has the mode \"%s\", expected int8, int4, int4/BLOCK, float8, "
                 "gptq/BITS/GROUP or awq/4/GROUP", mode);
}

/* A group's rows behind '/', -1 or more than 0. */
static bool parse_block(const char *text, int64_t *block) {
  char *end;
  *block = strtoll(text, &end, 10);
  return end > text && (!*end || strncmp(end, "_from_", 6) == 0) && (*block == -1 || *block > 0);
}

static cn_status parse_mode(const char *mode, cn_quantised *q, cn_error *e) {
  size_t length = strcspn(mode, "/_");
  for (int i = 1; i < CN_COUNT(mode_names); i++)
    if (strlen(mode_names[i]) == length && memcmp(mode, mode_names[i], length) == 0) q->mode = (cn_quantised_mode)i;
  const char *rest = mode + length;
  bool good = true;
  if (q->mode == CN_QUANTISED_INT4 && *rest == '/') good = parse_block(rest + 1, &q->block);
  if (q->mode == CN_QUANTISED_GPTQ || q->mode == CN_QUANTISED_AWQ) {
    char *end = NULL;
    q->bits = *rest == '/' ? strtoll(rest + 1, &end, 10) : 0;
    bool known = q->bits == 4 || (q->mode == CN_QUANTISED_GPTQ && (q->bits == 2 || q->bits == 3 || q->bits == 8));
    good = known && *end == '/' && parse_block(end + 1, &q->block);
  }
  return q->mode && good ? CORNU_OK : bad_mode(mode, e);
}

/* AbsMaxQuantizer alone: its range and what it adds to the largest value. */
static cn_status parse_inputs(const cn_value *v, cn_quantised *q, cn_error *e) {
  const char *class_name = cn_value_str(cn_value_find(v, "class_name"));
  const cn_value *config = cn_value_find(v, "config"), *range = cn_value_find(config, "value_range");
  const cn_value *epsilon = cn_value_find(config, "epsilon"), *axis = cn_value_find(config, "axis");
  const char *dtype = cn_value_str(cn_value_find(config, "output_dtype"));
  bool good = class_name && strcmp(class_name, "AbsMaxQuantizer") == 0 && (!dtype || strcmp(dtype, "int8") == 0);
  if (range)
    good &= cn_value_is(range, CORNU_LIST) && range->count == 2 && cn_value_number(range->items[0], &q->low) &&
            cn_value_number(range->items[1], &q->high);
  if (!cn_value_is_null(epsilon)) good &= cn_value_number(epsilon, &q->epsilon);
  for (int i = 0; cn_value_is(axis, CORNU_LIST) && i < axis->count; i++)
    good &= i < CN_MAX_RANK && cn_value_integer(axis->items[i], &q->axes.v[q->axes.n = i]);
  if (cn_value_is(axis, CORNU_LIST)) q->axes.n = axis->count;
  if (good) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"quantization_config\" has the activation_quantizer %s: expected an "
                 "AbsMaxQuantizer to int8, or null", cn_value_show(v, (char[120]){0}, 120));
}

static cn_status parse_config(const cn_value *v, cn_quantised *q, cn_error *e) {
  const cn_value *config = cn_value_find(v, "config"), *inputs = cn_value_find(config, "activation_quantizer");
  const cn_value *block = cn_value_find(config, "block_size");
  if (q->mode != CN_QUANTISED_INT8 && q->mode != CN_QUANTISED_INT4) return CORNU_OK;
  q->inputs = !cn_value_is_null(inputs);
  if (q->mode == CN_QUANTISED_INT4) q->block = -1;
  if (!cn_value_is_null(block) && (!cn_value_integer(block, &q->block) || q->block == 0 || q->block < -1))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"quantization_config\" has the block_size %s, expected -1 or more than 0",
                   cn_value_show(block, (char[40]){0}, 40));
  return q->inputs ? parse_inputs(inputs, q, e) : CORNU_OK;
}

cn_status cn_quantised_parse(cn_layer *l, bool inputs, unsigned modes, cn_quantised *out, cn_error *e) {
  const cn_value *policy = NULL, *config = cn_value_find(l->config, "quantization_config");
  *out = (cn_quantised){.block = -1, .history = 1024, .low = -127, .high = 127, .epsilon = 1e-7, .axes = {1, {-1}}};
  CN_TRY(cn_layer_policy_of(l, &policy, e));
  const char *mode = mode_of(policy);
  if (!mode || l->origin.keras < 3) return CORNU_OK;
  CN_TRY(parse_mode(mode, out, e));
  if (!(modes & 1u << out->mode))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"dtype\" has the mode \"%s\", which Keras has not for this layer", mode);
  const cn_value *history = cn_value_find(cn_value_find(policy, "config"), "amax_history_length");
  if (!cn_value_is_null(history) && (!cn_value_integer(history, &out->history) || out->history < 0))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"dtype\" has the amax_history_length %s, expected a number of values",
                   cn_value_show(history, (char[40]){0}, 40));
  out->inputs = out->mode == CN_QUANTISED_INT8 || (inputs && out->mode == CN_QUANTISED_INT4);
  return cn_value_is_null(config) ? CORNU_OK : parse_config(config, out, e);
}

/* ---- Weights ---- */

cn_status cn_quantised_add(cn_layer *l, const char *name, int rank, const int64_t *shape, cornu_dtype dtype,
                           cn_error *e) {
  CN_TRY(cn_layer_add_weight(l, name, rank, shape, false, NULL, e));
  l->weights[l->n_weights - 1].dtype = dtype;
  return CORNU_OK;
}

static cn_status add_bias(cn_layer *l, const cn_kernel_form *k, cn_error *e) {
  if (k->bias_rank < 0) return CORNU_OK;
  return cn_layer_add_weight(l, "bias", k->bias_rank, k->bias_shape, true, cn_value_find(l->config, "bias_initializer"),
                             e);
}

static int64_t groups_of(const cn_quantised *q, int64_t rows) {
  return q->block < 0 || rows <= 0 ? 1 : (rows - 1) / q->block + 1;
}

static cn_status build_integers(cn_layer *l, const cn_quantised *q, const cn_kernel_form *k, cn_error *e) {
  bool packed = q->mode == CN_QUANTISED_INT4, grouped = packed && q->block > 0;
  int64_t matrix[] = {k->rows, (k->columns + 1) / 2}, scales[] = {groups_of(q, k->rows), k->columns};
  CN_TRY(cn_quantised_add(l, "kernel", packed ? 2 : k->rank, packed ? matrix : k->shape, CORNU_INT8, e));
  CN_TRY(add_bias(l, k, e));
  if (!packed) return cn_quantised_add(l, "kernel_scale", k->scale_rank, k->scale_shape, CORNU_FLOAT32, e);
  CN_TRY(cn_quantised_add(l, "kernel_scale", grouped ? 2 : 1, grouped ? scales : &k->columns, CORNU_FLOAT32, e));
  if (!grouped) return CORNU_OK;
  CN_TRY(cn_quantised_add(l, "kernel_zero", 2, scales, CORNU_INT8, e));
  return cn_quantised_add(l, "g_idx", 1, &k->rows, CORNU_FLOAT32, e);
}

static cn_status build_transposed(cn_layer *l, const cn_quantised *q, const cn_kernel_form *k, cn_error *e) {
  int64_t matrix[] = {q->bits == 4 ? (k->columns + 1) / 2 : k->columns, k->rows};
  int64_t scales[] = {k->columns, groups_of(q, k->rows)};
  CN_TRY(add_bias(l, k, e));
  CN_TRY(cn_quantised_add(l, "kernel", 2, matrix, CORNU_UINT8, e));
  CN_TRY(cn_quantised_add(l, "kernel_scale", 2, scales, CORNU_FLOAT32, e));
  CN_TRY(cn_quantised_add(l, "kernel_zero", 2, scales, CORNU_UINT8, e));
  if (q->mode == CN_QUANTISED_AWQ) CN_TRY(cn_quantised_add(l, "awq_scales", 1, &k->rows, CORNU_FLOAT32, e));
  return cn_quantised_add(l, "g_idx", 1, &k->rows, CORNU_FLOAT32, e);
}

static cn_status build_floats(cn_layer *l, const cn_quantised *q, const cn_kernel_form *k, cn_error *e) {
  static const char *const names[] = {"inputs", "kernel", "outputs_grad"};
  const cn_value *init = cn_value_find(l->config, "kernel_initializer");
  if (!init) init = cn_value_find(l->config, "init");
  CN_TRY(cn_layer_add_weight(l, "kernel", k->rank, k->shape, !cn_lora_enabled(l), init, e));
  CN_TRY(add_bias(l, k, e));
  for (int i = 0; i < 3 && q->mode == CN_QUANTISED_FLOAT8; i++) {
    char name[40];
    snprintf(name, sizeof name, "%s_scale", names[i]);
    CN_TRY(cn_layer_add_weight(l, name, 0, NULL, true, NULL, e));
    snprintf(name, sizeof name, "%s_amax_history", names[i]);
    CN_TRY(cn_layer_add_weight(l, name, 1, &q->history, true, NULL, e));
  }
  return CORNU_OK;
}

cn_status cn_quantised_build(cn_layer *l, const cn_quantised *q, const cn_kernel_form *k, cn_error *e) {
  if (q->mode == CN_QUANTISED_INT8 || q->mode == CN_QUANTISED_INT4) CN_TRY(build_integers(l, q, k, e));
  else if (q->mode == CN_QUANTISED_GPTQ || q->mode == CN_QUANTISED_AWQ) return build_transposed(l, q, k, e);
  else CN_TRY(build_floats(l, q, k, e));
  return q->mode == CN_QUANTISED_FLOAT8 ? CORNU_OK : cn_lora_build(l, "kernel", k->rank, k->shape, e);
}

/* ---- Import ---- */

static void rotate_left(cn_tensor **arrays, int n, int by) {
  cn_tensor *first[FLOAT8_WEIGHTS];
  memcpy(first, arrays, sizeof *first * (size_t)by);
  memmove(arrays, arrays + by, sizeof *first * (size_t)(n - by));
  memcpy(arrays + n - by, first, sizeof *first * (size_t)by);
}

cn_status cn_quantised_import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  if (cn_layer_find_weight(l, "inputs_scale") >= 0 && *n > FLOAT8_WEIGHTS && arrays[0]->rank == 0)
    rotate_left(arrays, *n, FLOAT8_WEIGHTS);
  bool transposed = cn_layer_find_weight(l, "kernel_zero") >= 0 && l->weights[0].dtype != CORNU_INT8;
  if (transposed && *n == l->n_weights - 1)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "the file has no kernel_zero: Keras 3.15 leaves it out of .keras files of "
                   "models quantised by GPTQ or AWQ; save the model as .h5");
  return cn_lora_import(l, arrays, n, e);
}

/* ---- Arithmetic ---- */

static cn_edge with(cn_trace *t, const cn_op *op, cn_edge x, double v) {
  return cn_emit2(t, op, NULL, x, cn_emit_number(t, v));
}

cn_edge cn_unpack_int4(cn_trace *t, cn_edge bytes, int64_t n, bool has_sign) {
  cn_edge v = cn_emit_compute(t, bytes), pair[2];
  pair[0] = with(t, &cn_op_mod, has_sign ? with(t, &cn_op_add, v, 8) : v, 16);
  if (has_sign) pair[0] = with(t, &cn_op_sub, pair[0], 8);
  pair[1] = cn_emit1(t, &cn_op_floor, NULL, with(t, &cn_op_mul, v, 1.0 / 16));
  cn_edge pairs = cn_emit(t, &cn_op_stack, &(cn_axis_attrs){-1}, pair, 2);
  cn_reshape_attrs flat = {.shape = {.n = cn_edge_type(t, pairs)->rank - 1}};
  if (t->status) return CN_NO_EDGE;
  for (int i = 0; i < flat.shape.n - 1; i++) flat.shape.v[i] = CN_DIM_COPY;
  flat.shape.v[flat.shape.n - 1] = (n + 1) / 2 * 2;
  cn_edge all = cn_emit1(t, &cn_op_reshape, &flat, pairs);
  if (n % 2 == 0) return all;
  cn_slice_attrs first = {.axes = {1, {-1}}, .begin = {1, {0}}, .end = {1, {n}}, .step = {1, {1}}};
  return cn_emit1(t, &cn_op_slice, &first, all);
}

cn_edge cn_dequantise(cn_trace *t, cn_edge x, cn_edge scale, cn_edge zero, cn_edge groups, int64_t axis) {
  cn_axis_attrs along = {axis};
  scale = cn_emit2(t, &cn_op_gather, &along, scale, groups);
  zero = cn_emit_compute(t, cn_emit2(t, &cn_op_gather, &along, zero, groups));
  return cn_emit2(t, &cn_op_mul, NULL, cn_emit2(t, &cn_op_sub, NULL, cn_emit_compute(t, x), zero), scale);
}

static cn_edge transposed(cn_trace *t, cn_edge x) {
  return cn_emit1(t, &cn_op_transpose, &(cn_ints_attrs){{2, {1, 0}}}, x);
}

static cn_edge weight(cn_layer *l, cn_trace *t, const char *name) { return cn_layer_weight_edge(l, t, name); }

static cn_edge int4_matrix(cn_layer *l, cn_trace *t, const cn_quantised *q, const cn_kernel_form *k) {
  cn_edge w = cn_unpack_int4(t, weight(l, t, "kernel"), k->columns, true), scale = weight(l, t, "kernel_scale");
  if (q->block < 0) return cn_emit2(t, &cn_op_div, NULL, w, scale);
  return cn_dequantise(t, w, scale, weight(l, t, "kernel_zero"), weight(l, t, "g_idx"), 0);
}

static cn_edge transposed_matrix(cn_layer *l, cn_trace *t, const cn_quantised *q, const cn_kernel_form *k) {
  cn_edge w = weight(l, t, "kernel");
  if (q->bits == 4) w = transposed(t, cn_unpack_int4(t, transposed(t, w), k->columns, false));
  w = cn_dequantise(t, w, weight(l, t, "kernel_scale"), weight(l, t, "kernel_zero"), weight(l, t, "g_idx"), -1);
  if (q->mode == CN_QUANTISED_AWQ) w = cn_emit2(t, &cn_op_div, NULL, w, weight(l, t, "awq_scales"));
  return transposed(t, w);
}

/* To the nearest of 8 bits and back. */
static cn_edge round_float8(cn_trace *t, cn_edge x, cn_edge scale) {
  cn_edge y = cn_emit1(t, &cn_op_clip, &(cn_clip_attrs){-FLOAT8_MAX, FLOAT8_MAX}, cn_emit2(t, &cn_op_div, NULL, x, scale));
  return cn_emit2(t, &cn_op_mul, NULL, cn_emit1(t, &cn_op_round_float8, NULL, y), scale);
}

cn_edge cn_quantised_kernel(cn_layer *l, cn_trace *t, const cn_quantised *q, const cn_kernel_form *k) {
  cn_edge w = CN_NO_EDGE;
  cn_reshape_attrs form = {.shape = {.n = k->rank}};
  memcpy(form.shape.v, k->shape, sizeof *k->shape * (size_t)k->rank);
  switch (q->mode) {
  case CN_QUANTISED_INT4: w = int4_matrix(l, t, q, k); break;
  case CN_QUANTISED_GPTQ:
  case CN_QUANTISED_AWQ: w = transposed_matrix(l, t, q, k); break;
  case CN_QUANTISED_FLOAT8: return round_float8(t, weight(l, t, "kernel"), weight(l, t, "kernel_scale"));
  case CN_QUANTISED_INT8: return cn_emit_compute(t, weight(l, t, "kernel"));
  case CN_QUANTISED_NONE: return cn_lora_weight(l, t, "kernel");
  }
  bool same = k->rank == 2 && k->shape[0] == k->rows;
  return same ? w : cn_emit1(t, &cn_op_reshape, &form, w);
}

cn_edge cn_quantised_inputs(cn_layer *l, cn_trace *t, const cn_quantised *q, cn_edge x, const cn_ints *axes,
                            cn_edge *scale) {
  *scale = CN_NO_EDGE;
  if (q->mode == CN_QUANTISED_FLOAT8) return round_float8(t, x, weight(l, t, "inputs_scale"));
  if (!q->inputs) return x;
  cn_reduce_attrs over = {.axes = axes ? *axes : q->axes, .keepdims = true};
  cn_edge most = cn_emit1(t, &cn_op_max, &over, cn_emit1(t, &cn_op_abs, NULL, x));
  *scale = cn_emit2(t, &cn_op_div, NULL, cn_emit_number(t, q->high), with(t, &cn_op_add, most, q->epsilon));
  cn_edge whole = cn_emit1(t, &cn_op_round, NULL, cn_emit2(t, &cn_op_mul, NULL, x, *scale));
  return cn_emit1(t, &cn_op_clip, &(cn_clip_attrs){q->low, q->high}, whole);
}

cn_edge cn_quantised_result(cn_layer *l, cn_trace *t, const cn_quantised *q, cn_edge y, cn_edge scale) {
  if (q->mode == CN_QUANTISED_INT8) {
    cn_edge own = weight(l, t, "kernel_scale");
    scale = scale == CN_NO_EDGE ? own : cn_emit2(t, &cn_op_mul, NULL, own, scale);
  }
  return scale == CN_NO_EDGE ? y : cn_emit2(t, &cn_op_div, NULL, y, scale);
}

/* Float8 layers round the bias to bfloat16. */
cn_edge cn_quantised_bias(cn_layer *l, cn_trace *t, const cn_quantised *q) {
  cn_edge bias = weight(l, t, "bias");
  if (q->mode != CN_QUANTISED_FLOAT8 || bias == CN_NO_EDGE) return bias;
  return cn_emit_compute(t, cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){CORNU_BFLOAT16}, bias));
}
