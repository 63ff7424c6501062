/* keras.ops: dot_product_attention (Vaswani et al. 2017). */
#include "layers/attention.h"
#include "layers/operation.h"

#include <math.h>

typedef struct options { bool is_causal; } options;

static const cn_field fields[] = {
    {.name = "is_causal", .kind = CN_F_BOOL, .offset = offsetof(options, is_causal), .standard = "false",
     .help = "place i sees values up to i"},
    {.name = "flash_attention", .kind = CN_F_IGNORED, .standard = "null", .help = "how others compute the same"},
    {0}};

/* (batch, time, heads, dim) to (batch, heads, time, dim) and back. */
static cn_edge swap_heads(cn_trace *t, cn_edge x) {
  return cn_emit1(t, &cn_op_transpose, &(cn_ints_attrs){{4, {0, 2, 1, 3}}}, x);
}

/* Fewer heads than queries have: each serves a group of those. */
static cn_edge for_heads(cn_operation_call *c, cn_edge x, int64_t heads) {
  int64_t own = cn_operation_type(c, x)->shape[2];
  bool groups = own > 0 && heads > own && heads % own == 0;
  return groups ? cn_emit1(c->t, &cn_op_repeat, &(cn_repeat_attrs){2, heads / own}, x) : x;
}

static cn_edge scores_of(cn_operation_call *c, cn_edge query, cn_edge key) {
  cornu_dtype dtype = cn_operation_type(c, query)->dtype;
  float root = sqrtf((float)cn_operation_type(c, key)->shape[3]); /* as Keras does for every dtype */
  cn_edge scale = cn_argument_optional(c, "scale"), bias = cn_argument_optional(c, "bias");
  cn_edge scores = cn_emit2(c->t, &cn_op_matmul, &(cn_matmul_attrs){false, true}, query, key);
  scale = scale == CN_NO_EDGE ? cn_emit_scalar(c->t, dtype, 1 / root) : cn_emit_cast(c->t, scale, dtype);
  scores = cn_emit2(c->t, &cn_op_mul, NULL, scores, scale);
  return bias == CN_NO_EDGE ? scores : cn_emit2(c->t, &cn_op_add, NULL, scores, cn_emit_cast(c->t, bias, dtype));
}

static void attend(cn_operation_call *c) {
  cornu_dtype dtypes[3];
  cn_edge in[] = {cn_argument_floats(c, "query", &dtypes[0]), cn_argument_floats(c, "key", &dtypes[1]),
                  cn_argument_floats(c, "value", &dtypes[2])};
  cornu_dtype result = cn_promote(cn_promote(dtypes[0], dtypes[1]), dtypes[2]);
  for (int i = 0; i < 3 && !c->t->status; i++) {
    if (cn_operation_type(c, in[i])->rank != 4)
      cn_trace_fail(c->t, CORNU_ERR_SHAPE, "input %d has rank %d, expected 4: batch, time, heads and dimension", i + 1,
                    cn_operation_type(c, in[i])->rank);
    in[i] = cn_emit_cast(c->t, in[i], result == CORNU_FLOAT64 ? result : CORNU_FLOAT32);
  }
  if (c->t->status) return;
  int64_t heads = cn_operation_type(c, in[0])->shape[2];
  for (int i = 0; i < 3; i++) in[i] = swap_heads(c->t, i ? for_heads(c, in[i], heads) : in[i]);
  cn_edge scores = scores_of(c, in[0], in[1]), mask = cn_argument_optional(c, "mask");
  if (mask != CN_NO_EDGE) mask = cn_emit_cast(c->t, mask, CORNU_BOOL8);
  if (((const options *)c->options)->is_causal) mask = cn_attention_causal(c->t, scores, mask);
  if (mask != CN_NO_EDGE) /* as low as Keras's: where all is masked every value counts alike */
    scores = cn_emit3(c->t, &cn_op_where, NULL, mask, scores, cn_emit_like(c->t, scores, -0.7 * 3.38953e38));
  cn_edge weights = cn_emit1(c->t, &cn_op_softmax, &(cn_axis_attrs){-1}, scores);
  cn_operation_return_as(c, swap_heads(c->t, cn_emit2(c->t, &cn_op_matmul, NULL, weights, in[2])), result);
}

const cn_operation cn_operations_nn_attention[] = {
    {.name = "DotProductAttention", .arguments = "query key value bias mask scale", .emit = attend, .fields = fields,
     .options_size = sizeof(options), .help = "softmax(scale * query * key + bias) * value, (batch, time, heads, dim)"},
    {0}};
