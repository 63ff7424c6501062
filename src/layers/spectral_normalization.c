/* SpectralNormalization: a layer whose kernel training divides by its largest singular value (Miyato et al. 2018). What
 * is saved is the kernel so divided, so at inference the wrapped layer runs as it is. */
#include "base/text.h"
#include "layers/emit.h"
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { cn_layer *layer; int64_t power_iterations; } settings;

static const cn_field fields[] = {
    {.name = "layer", .kind = CN_F_LAYER, .offset = offsetof(settings, layer),
     .help = CN_HELP("the wrapped layer; it has a kernel or a table of embeddings")},
    {.name = "power_iterations", .kind = CN_F_INT, .offset = offsetof(settings, power_iterations), .standard = "1",
     .min = 1, .max = 1 << 20, .help = CN_HELP("steps of the estimate of the singular value, in training")},
    {0}};

static cn_status check(cn_layer *l, cn_error *e) {
  return l->n_children ? CORNU_OK : cn_fail(e, CORNU_ERR_ARGUMENT, "\"layer\" is null, expected a serialized layer");
}

static cn_weight *find_kernel(cn_layer *l, cn_layer **owner) {
  static const char *const names[] = {"kernel", "embeddings", "depthwise_kernel"};
  for (int k = 0; k < (l->origin.keras >= 3 ? 3 : 2); k++) {
    int i = cn_layer_find_weight(l, names[k]);
    *owner = l;
    if (i >= 0 && cn_layer_find_weight(l, "pointwise_kernel") < 0) return &l->weights[i];
  }
  return l->type->weights_path || l->n_children != 1 ? NULL : find_kernel(l->children[0].layer, owner);
}

/* The vector has an entry for each output of the kernel, which the wrapped layer knows once it is built. */
static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  cn_layer *inner = l->children[0].layer;
  if (!inner->built) {
    cn_status status = inner->type->build ? inner->type->build(inner, in, n_in, e) : CORNU_OK;
    if (status) return cn_at(e, status, "layer \"%s\" (%s)", inner->name, inner->class_name);
    inner->built = true;
  }
  const cn_weight *kernel = find_kernel(inner, &inner);
  if (!kernel)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "the wrapped layer \"%s\" (%s) has neither kernel nor embeddings",
                   inner->name, inner->class_name);
  const char *text = "{}";
  cn_value *init = cn_value_new(&l->arena, CORNU_DICT), *config = cn_value_standard(&l->arena, &text);
  cn_value *deviation = cn_value_new(&l->arena, CORNU_FLOAT);
  if (deviation) deviation->f = 0.02;
  if (!init || !config || !deviation || !cn_value_put(&l->arena, config, "stddev", deviation) ||
      !cn_value_put(&l->arena, init, "class_name", cn_value_text(&l->arena, "TruncatedNormal")) ||
      !cn_value_put(&l->arena, init, "config", config))
    return cn_no_memory(e);
  CN_TRY(cn_layer_add_weight(l, "vector_u", 2, (int64_t[]){1, kernel->shape[kernel->rank - 1]}, false, init, e));
  l->weights[0].dtype = kernel->dtype; /* which the wrapped layer has from its own policy */
  return CORNU_OK;
}

/* ---- Training ---- */

static cn_edge unit(cn_trace *t, cn_edge x) {
  const cn_edge square = cn_emit1(t, &cn_op_sum, &(cn_reduce_attrs){.axes = {.n = -1}},
                                  cn_emit1(t, &cn_op_square, NULL, x));
  const cn_edge least = cn_emit2(t, &cn_op_maximum, NULL, square, cn_emit_like(t, x, 1e-12));
  return cn_emit2(t, &cn_op_mul, NULL, x, cn_emit1(t, &cn_op_rsqrt, NULL, least));
}

static cn_edge product(cn_trace *t, cn_edge a, cn_edge b, bool turned) {
  return cn_emit2(t, &cn_op_matmul, &(cn_matmul_attrs){.transpose_b = turned}, a, b);
}

/* The kernel is divided where it is, and what is learned is the kernel so divided. One of zeros stays. */
static void normalise(cn_layer *l, cn_trace *t) {
  cn_layer *owner;
  const char *name = find_kernel(l->children[0].layer, &owner)->name;
  const cn_edge kernel = cn_layer_weight_edge(owner, t, name);
  const cn_type type = *cn_edge_type(t, kernel);
  if (t->status) return;
  const cn_reshape_attrs matrix = {{2, {CN_DIM_INFER, type.shape[type.rank - 1]}}};
  const cn_edge w = cn_emit1(t, &cn_op_reshape, &matrix, kernel);
  cn_edge u = cn_layer_weight_edge(l, t, "vector_u"), v = u;
  for (int64_t i = 0; i < ((const settings *)l->settings)->power_iterations && !t->status; i++) {
    v = unit(t, product(t, u, w, true));
    u = unit(t, product(t, v, w, false));
  }
  const cn_edge sigma = cn_emit1(t, &cn_op_reshape, &(cn_reshape_attrs){{0, {0}}},
                                 product(t, product(t, v, w, false), u, true));
  const cn_edge any = cn_emit1(t, &cn_op_any, &(cn_reduce_attrs){.axes = {.n = -1}},
                               cn_emit2(t, &cn_op_not_equal, NULL, kernel, cn_emit_like(t, kernel, 0)));
  const cn_edge by = cn_emit3(t, &cn_op_where, NULL, any, sigma, cn_emit_like(t, sigma, 1));
  cn_layer_weight_keep(owner, t, name, cn_emit2(t, &cn_op_div, NULL, kernel, by));
  cn_layer_weight_keep(l, t, "vector_u", cn_emit3(t, &cn_op_where, NULL, any, u,
                                                  cn_layer_weight_edge(l, t, "vector_u")));
}

/* Keras 3's own result has the dtype of the input, even where that is an integer. */
static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  if (t->training && !t->variables)
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "is called with training=True: each run would change its weights; save the "
                  "model without that argument");
  else if (t->training) normalise(l, t);
  if (t->status) return;
  cn_sym y;
  if (cn_layer_call_on(l->children[0].layer, t, c->in, 1, &y, 1) != 1) return;
  cornu_dtype dtype = cn_edge_type(t, c->in[0].data)->dtype;
  bool same = l->origin.keras < 3 || cn_edge_type(t, y.data)->dtype == dtype;
  if (!same) y = (cn_sym){cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){dtype}, y.data), CN_NO_EDGE};
  cn_call_return(t, c, y.data, y.mask);
}

/* Files of objects hold the kernel a second time, before the vector. */
static cn_status import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  (void)l, (void)e;
  if (*n != 2) return CORNU_OK;
  cornu_tensor_release(arrays[0]);
  arrays[0] = arrays[1];
  arrays[1] = NULL;
  *n = 1;
  return CORNU_OK;
}

const cn_layer_type cn_layer_spectral_normalization = {
    .name = "SpectralNormalization",
    .versions = "2 3",
    .help = CN_HELP("the wrapped layer, with its kernel as training normalised it: its shapes"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .build = build,
    .lower = lower,
    .import = import,
};
