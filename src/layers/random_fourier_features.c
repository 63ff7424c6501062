/* RandomFourierFeatures of tf.keras: features whose products approximate a shift-invariant kernel (Rahimi, Recht 2007). */
#include <math.h>

#include "base/text.h"
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { int64_t output_dim; } settings;

static const cn_field fields[] = {
    {.name = "output_dim", .kind = CN_F_INT, .offset = offsetof(settings, output_dim), .min = 1, .max = 1 << 28,
     .help = CN_HELP("features")},
    {.name = "kernel_initializer", .kind = CN_F_IGNORED,
     .help = CN_HELP("which kernel is approximated: the weights tell")},
    {.name = "scale", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("of the kernel: the weights tell")},
    {0}};

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  int64_t units = ((const settings *)l->settings)->output_dim, one = 1;
  CN_TRY(cn_want_rank(in, "the input", 2, 2, e));
  if (in->shape[1] < 0)
    return cn_fail(e, CORNU_ERR_SHAPE, "the input has shape %s: its last dimension must be known",
                   CN_SHAPE(in->rank, in->shape));
  CN_TRY(cn_layer_add_weight(l, "unscaled_kernel", 2, (int64_t[]){in->shape[1], units}, false, NULL, e));
  CN_TRY(cn_layer_add_weight(l, "bias", 1, &units, false, NULL, e));
  return cn_layer_add_weight(l, "kernel_scale", 1, &one, true, NULL, e);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_edge x = cn_emit_compute(t, c->in[0].data), scale = cn_layer_weight_edge(l, t, "kernel_scale");
  cn_edge kernel = cn_emit2(t, &cn_op_div, NULL, cn_layer_weight_edge(l, t, "unscaled_kernel"), scale);
  cn_edge y = cn_emit2(t, &cn_op_matmul, NULL, x, kernel);
  y = cn_emit2(t, &cn_op_add, NULL, y, cn_layer_weight_edge(l, t, "bias"));
  cn_call_return(t, c, cn_emit1(t, &cn_op_cos, NULL, y), CN_NO_EDGE);
}

const cn_layer_type cn_layer_random_fourier_features = {
    .name = "RandomFourierFeatures",
    .versions = "2",
    .help = CN_HELP("cos(x @ (kernel / scale) + bias): (batch, n) -> (batch, output_dim)"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
};
