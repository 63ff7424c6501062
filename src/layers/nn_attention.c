/* keras.ops: dot_product_attention (Vaswani et al. 2017). */
#include "layers/attention.h"
#include "layers/operation.h"

#include <math.h>

typedef struct options { bool is_causal; } options;

static const cn_field fields[] = {
    {.name = "is_causal", .kind = CN_F_BOOL, .offset = offsetof(options, is_causal), .standard = "false",
     .help = CN_HELP("place i sees values up to i")},
    {.name = "flash_attention", .kind = CN_F_IGNORED, .standard = "null",
     .help = CN_HELP("how others compute the same")},
    {0}};

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
  float root = sqrtf((float)cn_operation_type(c, in[1])->shape[3]); /* as Keras does for every dtype */
  cn_edge scale = cn_argument_optional(c, "scale"), bias = cn_argument_optional(c, "bias");
  cn_edge mask = cn_argument_optional(c, "mask");
  cornu_dtype dtype = cn_operation_type(c, in[0])->dtype;
  if (mask != CN_NO_EDGE) mask = cn_emit_cast(c->t, mask, CORNU_BOOL8);
  if (bias != CN_NO_EDGE) bias = cn_emit_cast(c->t, bias, dtype);
  if (scale != CN_NO_EDGE) in[0] = cn_emit2(c->t, &cn_op_mul, NULL, in[0], cn_emit_cast(c->t, scale, dtype));
  /* as low as Keras's: where all is masked every value counts alike */
  cn_attention_attrs a = {.scale = scale == CN_NO_EDGE ? 1 / root : 1, .masked = -0.7 * 3.38953e38,
                          .causal = ((const options *)c->options)->is_causal};
  cn_edge y = cn_emit(c->t, &cn_op_attention, &a, (cn_edge[]){in[0], in[1], in[2], mask, bias}, 5);
  cn_operation_return_as(c, y, result);
}

const cn_operation cn_operations_nn_attention[] = {
    {.name = "DotProductAttention", .arguments = "query key value bias mask scale", .emit = attend, .fields = fields,
     .options_size = sizeof(options),
     .help = CN_HELP("softmax(scale * query * key + bias) * value, (batch, time, heads, dim)")},
    {0}};
