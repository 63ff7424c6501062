/* Activations: one op that takes an act, and one op for each activation under its Keras name. */
#include <math.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/gradient.h"
#include "ops/ops.h"
#include "ops/rows.h"

static cn_status shape(cn_typing *t, cn_error *e) {
  (void)e;
  t->out[0] = t->in[0];
  if (t->in[0].dtype != CORNU_FLOAT64) t->out[0].dtype = CORNU_FLOAT32;
  return CORNU_OK;
}

typedef struct state { const cn_act *act; cn_row_places rows; } state;

static void part(const cn_act *act, void *y, const void *x, cornu_dtype from, cornu_dtype to, int64_t n) {
  if (from != to) {
    cn_convert(y, to, x, from, n);
    x = y;
  }
  cn_act_apply_items(cornu_dtype_bytes(to), act, y, x, n);
}

static void range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const cn_operand *x = s->in[0], *y = s->out[0];
  const int64_t in_size = (int64_t)cornu_dtype_bytes(x->dtype), out_size = (int64_t)cornu_dtype_bytes(y->dtype);
  for (int64_t n, in, out; begin < end; begin += n) {
    n = cn_rows_part(&st->rows, begin, end, &in, &out);
    part(st->act, (char *)y->data + out * out_size, (const char *)x->data + in * in_size, x->dtype, y->dtype, n);
  }
}

static void run(const cn_step *s) { cn_parallel_range(s->out[0]->size, 16384, range, (void *)s); }

static cn_status plan_at(struct cn_planner *p, cn_step *s, const cn_act *act, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  st->act = act;
  st->rows = cn_rows_of(s->in[0], s->out[0]);
  s->run = run;
  s->flops = (double)s->out[0]->size;
  return CORNU_OK;
}

static cn_status plan_activation(struct cn_planner *p, cn_step *s, cn_error *e) {
  return plan_at(p, s, &((const cn_act_attrs *)s->attrs)->act, e);
}

static void gradient(cn_gradient *g) {
  const cn_act_attrs *a = g->attrs;
  const cn_edge dy = cn_g_cast(g, g->dy[0], cn_gradient_type(g, g->in[0])->dtype);
  g->dx[0] = a->act.kind == CN_ACT_LINEAR
                 ? dy : cn_g2(g, &cn_op_slope, a, dy, cn_act_by_result(&a->act) ? g->out[0] : g->in[0]);
}

const cn_op cn_op_activation = {
    .name = "activation",
    .help = CN_HELP("an element-wise activation"),
    .flags = CN_OP_INPLACE | CN_OP_ELEMENTWISE | CN_OP_HIDDEN | CN_OP_PITCHED_OUT,
    .pitched_in = 1,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_act_attrs),
    .act_offset = offsetof(cn_act_attrs, act),
    .shape = shape,
    .plan = plan_activation,
    .gradient = CN_GRADIENT(gradient),
};

/* By name: up to three parameters, in the order in which the act takes them. */
typedef struct named { double a, b, c; cn_act act; } named;

static cn_status plan_named(struct cn_planner *p, cn_step *s, cn_error *e) {
  return plan_at(p, s, &((const named *)s->attrs)->act, e);
}

/* In a differentiable trace its act is a node of its own. */
static void gradient_named(cn_gradient *g) {
  g->dx[0] = cn_g_cast(g, g->dy[0], cn_gradient_type(g, g->in[0])->dtype);
}

#define PARAMETER(member, text, standard_value, words)                                                                 \
  { .name = text, .kind = CN_F_FLOAT, .offset = offsetof(named, member), .standard = standard_value,                   \
   .help = CN_HELP(words) }
static const cn_field relu_fields[] = {PARAMETER(a, "negative_slope", "0", "slope below the threshold"),
                                       PARAMETER(b, "max_value", "null", "largest value; null: none"),
                                       PARAMETER(c, "threshold", "0", "where the slope changes"), {0}};
static const cn_field slope_fields[] = {PARAMETER(a, "negative_slope", "0.2", "slope below 0"), {0}};
static const cn_field alpha_fields[] = {PARAMETER(a, "alpha", "1", "scale below 0"), {0}};
static const cn_field half_fields[] = {PARAMETER(a, "threshold", "0.5", "half width of the flat part"), {0}};
static const cn_field threshold_fields[] = {PARAMETER(a, "threshold", NULL, "values above stay"),
                                            PARAMETER(b, "default_value", NULL, "what the others become"), {0}};
static const cn_field four_fields[] = {PARAMETER(a, "b", "4", "smoothness"), {0}};
static const cn_field gelu_fields[] = {
    {.name = "approximate", .kind = CN_F_FLOAT, .offset = offsetof(named, a), .standard = "0",
     .help = CN_HELP("whether to use the tanh form")},
    {0}};

#define NAMED(id, text, other, kind_, fields_, words, body)                                                            \
  static cn_status check_##id(void *attrs, cn_error *e) {                                                              \
    (void)e;                                                                                                           \
    named *n = attrs;                                                                                                  \
    n->act = (cn_act){kind_, n->a, n->b, n->c};                                                   \
    body;                                                                                                              \
    return CORNU_OK;                                                                                                   \
  }                                                                                                                    \
  const cn_op cn_op_##id = {.name = text,                                                                              \
                            .aliases = other,                                                                          \
                            .help = CN_HELP(words "\n(…) -> (…)"),                                                     \
                            .flags = CN_OP_INPLACE | CN_OP_ELEMENTWISE | CN_OP_PITCHED_OUT,                            \
                            .pitched_in = 1,                                                                           \
                            .min_in = 1,                                                                               \
                            .max_in = 1,                                                                               \
                            .n_out = 1,                                                                                \
                            .attrs_size = sizeof(named),                                                               \
                            .fields = fields_,                                                                         \
                            .act_offset = offsetof(named, act),                                                        \
                            .check = check_##id,                                                                       \
                            .shape = shape,                                                                            \
                            .plan = plan_named,                                                                        \
                            .gradient = CN_GRADIENT(gradient_named)}
static const cn_field no_fields[] = {{0}};

extern const cn_op cn_op_relu, cn_op_relu6, cn_op_leaky_relu, cn_op_elu, cn_op_selu, cn_op_celu, cn_op_sigmoid,
    cn_op_hard_sigmoid, cn_op_log_sigmoid, cn_op_tanh, cn_op_hard_tanh, cn_op_tanh_shrink, cn_op_softplus,
    cn_op_softsign, cn_op_silu, cn_op_hard_silu, cn_op_gelu, cn_op_mish, cn_op_soft_shrink, cn_op_hard_shrink,
    cn_op_threshold, cn_op_squareplus, cn_op_sparse_plus, cn_op_sparse_sigmoid;

NAMED(relu, "relu", NULL, CN_ACT_RELU, relu_fields, "max(x, 0), with slope, maximum and threshold",
      if (isnan(n->b)) n->act.b = INFINITY);
NAMED(relu6, "relu6", NULL, CN_ACT_RELU, no_fields, "min(max(x, 0), 6)", n->act = ((cn_act){CN_ACT_RELU, 0, 6, 0}));
NAMED(leaky_relu, "leaky_relu", NULL, CN_ACT_RELU, slope_fields, "x above 0, negative_slope * x below",
      n->act = ((cn_act){CN_ACT_RELU, (float)n->a, INFINITY, 0})); /* TensorFlow's is float32 */
NAMED(elu, "elu", NULL, CN_ACT_ELU, alpha_fields, "x above 0, alpha * (exp(x) - 1) below", );
NAMED(selu, "selu", NULL, CN_ACT_SELU, no_fields, "scaled elu (Klambauer et al. 2017)", );
NAMED(celu, "celu", NULL, CN_ACT_CELU, alpha_fields, "max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))", );
NAMED(sigmoid, "sigmoid", NULL, CN_ACT_SIGMOID, no_fields, "1 / (1 + exp(-x))", );
NAMED(hard_sigmoid, "hard_sigmoid", NULL, CN_ACT_HARD_SIGMOID, no_fields, "clip(x / 6 + 0.5, 0, 1), as Keras 3 has it",
      n->act = ((cn_act){CN_ACT_HARD_SIGMOID, 1.0 / 6, 0.5, 0}));
NAMED(log_sigmoid, "log_sigmoid", NULL, CN_ACT_LOG_SIGMOID, no_fields, "log(sigmoid(x))", );
NAMED(tanh, "tanh", NULL, CN_ACT_TANH, no_fields, "hyperbolic tangent", );
NAMED(hard_tanh, "hard_tanh", NULL, CN_ACT_HARD_TANH, no_fields, "clip(x, -1, 1)", );
NAMED(tanh_shrink, "tanh_shrink", NULL, CN_ACT_TANH_SHRINK, no_fields, "x - tanh(x)", );
NAMED(softplus, "softplus", NULL, CN_ACT_SOFTPLUS, no_fields, "log(1 + exp(x))", );
NAMED(softsign, "softsign", NULL, CN_ACT_SOFTSIGN, no_fields, "x / (1 + |x|)", );
NAMED(silu, "silu", "swish", CN_ACT_SILU, no_fields, "x * sigmoid(x)", );
NAMED(hard_silu, "hard_silu", "hard_swish", CN_ACT_HARD_SILU, no_fields, "x * hard_sigmoid(x)", );
NAMED(gelu, "gelu", NULL, CN_ACT_GELU, gelu_fields, "x * P(X <= x), X normal; by erf, or by tanh when approximate",
      if (n->a != 0) n->act.kind = CN_ACT_GELU_TANH);
NAMED(mish, "mish", NULL, CN_ACT_MISH, no_fields, "x * tanh(softplus(x))", );
NAMED(soft_shrink, "soft_shrink", NULL, CN_ACT_SOFT_SHRINK, half_fields, "towards 0 by threshold", );
NAMED(hard_shrink, "hard_shrink", NULL, CN_ACT_HARD_SHRINK, half_fields, "0 within the threshold, else x", );
NAMED(threshold, "threshold", NULL, CN_ACT_THRESHOLD, threshold_fields, "x above threshold, else default_value", );
NAMED(squareplus, "squareplus", NULL, CN_ACT_SQUAREPLUS, four_fields, "(x + sqrt(x * x + b)) / 2", );
NAMED(sparse_plus, "sparse_plus", NULL, CN_ACT_SPARSE_PLUS, no_fields, "0 below -1, x above 1, (x + 1)² / 4 between", );
NAMED(sparse_sigmoid, "sparse_sigmoid", NULL, CN_ACT_SPARSE_SIGMOID, no_fields, "clip((x + 1) / 2, 0, 1)", );
