/* Dot: for each sample the sum of products along an axis of each input. */
#include "layers/merging.h"

typedef struct settings { cn_ints axes; bool normalize; } settings;

static const cn_field fields[] = {
    {.name = "axes", .kind = CN_F_INTS, .offset = offsetof(settings, axes), .count = 2,
     .help = CN_HELP("the axis of each input, 0-based with the batch, negative from the end; one number: "
                     "the same for both")},
    {.name = "normalize", .kind = CN_F_BOOL, .offset = offsetof(settings, normalize), .standard = "false",
     .help = CN_HELP("scales both inputs to length 1 along their axes first (cosine proximity)")},
    {0}};

/* x / sqrt(max(sum of squares, epsilon)): tf.math.l2_normalize; Keras 3 bounds the length itself by 1e-7. */
static cn_edge normalized(cn_layer *l, cn_trace *t, cn_edge x, int64_t axis) {
  double epsilon = l->origin.keras >= 3 ? 1e-14 : l->origin.theano ? 1e-7 : 1e-12;
  cn_edge squares = cn_emit1(t, &cn_op_sum, &(cn_reduce_attrs){.axes = {1, {axis}}, .keepdims = true},
      cn_emit1(t, &cn_op_square, NULL, x));
  cn_edge bounded = cn_emit2(t, &cn_op_maximum, NULL, squares, cn_emit_number(t, epsilon));
  return cn_emit2(t, &cn_op_mul, NULL, x, cn_emit1(t, &cn_op_rsqrt, NULL, bounded));
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = c->in[0].data, y = c->in[1].data;
  if (s->normalize) {
    x = normalized(l, t, x, s->axes.v[0]);
    y = normalized(l, t, y, s->axes.v[1]);
  }
  cn_edge z = cn_batch_dot(t, x, y, s->axes.v[0], s->axes.v[1]);
  if (!t->status) cn_call_return(t, c, z, CN_NO_EDGE);
}

const cn_layer_type cn_layer_dot = {
    .name = "Dot",
    .versions = "2 3",
    .help = CN_HELP("sum of products along an axis of each input: (b, …), (b, …) -> (b, the other axes of both)"),
    .flags = CN_MASK_OWN,
    .min_in = 2,
    .max_in = 2,
    .settings_size = sizeof(settings),
    .fields = fields,
    .lower = lower,
};
