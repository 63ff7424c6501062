/* SReLU of Keras 1: a slope on the left, the identity in the middle, a slope on the right (Jin et al. 2015). */
#include <math.h>

#include "layers/shared_axes.h"
#include "ops/ops.h"

typedef struct settings {
  const cn_value *init[4];
  cn_ints shared_axes;
} settings;

#define INIT(key, i, value) \
  {.name = key, .kind = CN_F_VALUE, .offset = offsetof(settings, init[i]), .standard = value,                          \
   .help = CN_HELP("initial values")}
static const cn_field fields[] = {
    INIT("t_left_init", 0, "\"zero\""), INIT("a_left_init", 1, "\"glorot_uniform\""),
        INIT("t_right_init", 2, "\"glorot_uniform\""),
    INIT("a_right_init", 3, "\"one\""),
    {.name = "shared_axes", .kind = CN_F_INTS, .offset = offsetof(settings, shared_axes), .standard = "null",
     .help = CN_HELP("axes along which the parameters are one, from 1; Keras 1 does not save them, the "
                     "weights' shapes tell")},
    {0}};

static const char *const names[] = {"t_left", "a_left", "t_right", "a_right"};

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  const settings *s = l->settings;
  int64_t shape[CN_MAX_RANK];
  int rank;
  CN_TRY(cn_shared_shape(&s->shared_axes, in, shape, &rank, e));
  for (int i = 0; i < CN_COUNT(names); i++) CN_TRY(cn_layer_add_weight(l, names[i], rank, shape, true, s->init[i], e));
  return CORNU_OK;
}

static cn_status import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  (void)e;
  cn_shared_adopt(l, arrays, *n);
  return CORNU_OK;
}

static cn_edge relu(cn_trace *t, cn_edge x) {
  return cn_emit1(t, &cn_op_activation, &(cn_act_attrs){.act = {.kind = CN_ACT_RELU, .b = INFINITY}}, x);
}

/* y = t_l + min(relu(x - t_l), |t_r|) - a_l relu(t_l - x) + a_r relu(x - t_l - |t_r|); Theano holds the part below t_l
 * under |t_r|, too, which counts where a_l is negative. */
static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_edge x = c->in[0].data, left = cn_layer_weight_edge(l, t, "t_left");
  cn_edge width = cn_emit1(t, &cn_op_abs, NULL, cn_layer_weight_edge(l, t, "t_right"));
  cn_edge over = cn_emit2(t, &cn_op_sub, NULL, x, left), y = relu(t, over);
  cn_edge below = cn_emit2(t, &cn_op_mul, NULL, cn_layer_weight_edge(l, t, "a_left"),
      relu(t, cn_emit1(t, &cn_op_neg, NULL, over)));
  cn_edge above = cn_emit2(t, &cn_op_mul, NULL, cn_layer_weight_edge(l, t, "a_right"),
      relu(t, cn_emit2(t, &cn_op_sub, NULL, over, width)));
  if (l->origin.theano) y = cn_emit2(t, &cn_op_minimum, NULL, cn_emit2(t, &cn_op_sub, NULL, y, below), width);
  else y = cn_emit2(t, &cn_op_sub, NULL, cn_emit2(t, &cn_op_minimum, NULL, y, width), below);
  y = cn_emit2(t, &cn_op_add, NULL, left, y);
  cn_call_return(t, c, cn_emit2(t, &cn_op_add, NULL, y, above), CN_NO_EDGE);
}

const cn_layer_type cn_layer_srelu = {
    .name = "SReLU",
    .versions = "1",
    .help = CN_HELP("slope a_left below t_left, the identity up to t_left + |t_right|, slope a_right above"),
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
    .import = import,
};
