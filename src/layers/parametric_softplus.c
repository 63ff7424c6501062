/* ParametricSoftplus of Keras 1: alpha softplus(beta x). */
#include "layers/shared_axes.h"
#include "ops/ops.h"

typedef struct settings {
  double alpha_init, beta_init;
  cn_ints shared_axes;
} settings;

static const cn_field fields[] = {
    {.name = "alpha_init", .kind = CN_F_FLOAT, .offset = offsetof(settings, alpha_init), .standard = "0.2",
     .help = CN_HELP("initial alpha")},
    {.name = "beta_init", .kind = CN_F_FLOAT, .offset = offsetof(settings, beta_init), .standard = "5.0",
     .help = CN_HELP("initial beta")},
    {.name = "shared_axes", .kind = CN_F_INTS, .offset = offsetof(settings, shared_axes), .standard = "null",
     .help = CN_HELP("axes along which the parameters are one, from 1; Keras 1 does not save them, the "
                     "weights' shapes tell")},
    {0}};

/* The initializer Constant(value). */
static const cn_value *constant(cn_layer *l, double value) {
  cn_arena *a = &l->arena;
  cn_value *v = cn_value_new(a, CORNU_DICT), *config = cn_value_new(a, CORNU_DICT),
      *number = cn_value_new(a, CORNU_FLOAT);
  if (number) number->f = value;
  bool made = v && config && number && cn_value_put(a, config, "value", number) &&
              cn_value_put(a, v, "class_name", cn_value_text(a, "Constant")) && cn_value_put(a, v, "config", config);
  return made ? v : NULL;
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  const settings *s = l->settings;
  const cn_value *alpha = constant(l, s->alpha_init), *beta = constant(l, s->beta_init);
  int64_t shape[CN_MAX_RANK];
  int rank;
  if (!alpha || !beta) return cn_no_memory(e);
  CN_TRY(cn_shared_shape(&s->shared_axes, in, shape, &rank, e));
  CN_TRY(cn_layer_add_weight(l, "alphas", rank, shape, true, alpha, e));
  return cn_layer_add_weight(l, "betas", rank, shape, true, beta, e);
}

static cn_status import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  (void)e;
  cn_shared_adopt(l, arrays, *n);
  return CORNU_OK;
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_edge scaled = cn_emit2(t, &cn_op_mul, NULL, c->in[0].data, cn_layer_weight_edge(l, t, "betas"));
  cn_edge soft = cn_emit1(t, &cn_op_activation, &(cn_act_attrs){.act = {.kind = CN_ACT_SOFTPLUS}}, scaled);
  cn_call_return(t, c, cn_emit2(t, &cn_op_mul, NULL, soft, cn_layer_weight_edge(l, t, "alphas")), CN_NO_EDGE);
}

const cn_layer_type cn_layer_parametric_softplus = {
    .name = "ParametricSoftplus",
    .versions = "1",
    .help = CN_HELP("alpha softplus(beta x) with an alpha and a beta per element"),
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
    .import = import,
};
