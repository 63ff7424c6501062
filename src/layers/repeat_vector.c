/* RepeatVector: a vector as every step of a sequence. */
#include "base/text.h"
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { int64_t n; } settings;

static const cn_field fields[] = {
    {.name = "n", .kind = CN_F_INT, .offset = offsetof(settings, n), .min = 1, .max = 1e9, .help = CN_HELP("copies")},
    {0}};

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  const cn_type *in = cn_edge_type(t, c->in[0].data);
  if (in->rank != 2) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected (batch, features)",
                  CN_SHAPE(in->rank, in->shape));
    return;
  }
  cn_edge x = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){1}, c->in[0].data);
  cn_call_return(t, c, cn_emit1(t, &cn_op_repeat, &(cn_repeat_attrs){1, s->n}, x), CN_NO_EDGE);
}

const cn_layer_type cn_layer_repeat_vector = {
    .name = "RepeatVector",
    .versions = "1 2 3",
    .help = CN_HELP("(batch, features) -> (batch, n, features)"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .lower = lower,
};
