/* Flatten: all dimensions but the batch as one. */
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { int data_format; } settings;

static const cn_field fields[] = {
    {.name = "data_format", .kind = CN_F_ENUM, .offset = offsetof(settings, data_format), .standard = "null",
     .choices = "channels_last channels_first", .help = CN_HELP("channels_first moves the channels to the end first")},
    {0}};

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = c->in[0].data;
  const cn_type in = *cn_edge_type(t, x);
  if (s->data_format == 1 && in.rank > 2) { /* the key is absent before Keras 2.1.6, where Flatten is a plain reshape */
    cn_ints_attrs order = {.v = {.n = in.rank}};
    for (int i = 1; i < in.rank - 1; i++) order.v.v[i] = i + 1;
    order.v.v[in.rank - 1] = 1;
    x = cn_emit1(t, &cn_op_transpose, &order, x);
  }
  int64_t rest = in.rank > 1 ? cn_shape_size(in.rank - 1, in.shape + 1) : 1;
  cn_reshape_attrs shape = {.shape = {2, {CN_DIM_COPY, rest < 0 ? CN_DIM_INFER : rest}}};
  cn_call_return(t, c, cn_emit1(t, &cn_op_reshape, &shape, x), CN_NO_EDGE);
}

const cn_layer_type cn_layer_flatten = {
    .name = "Flatten",
    .versions = "1 2 3",
    .help = CN_HELP("(batch, …) -> (batch, product of …)"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .lower = lower,
};
