/* PReLU: a slope below 0 that is learned for each place. */
#include "base/text.h"
#include "layers/shared_axes.h"
#include "layers/part.h"
#include "layers/spatial.h"

typedef struct settings { cn_ints shared_axes; } settings;

static const cn_field fields[] = {
    {.name = "shared_axes", .kind = CN_F_INTS, .offset = offsetof(settings, shared_axes), .standard = "null",
     .help = CN_HELP("axes (from 1) along which the slope is the same")},
    CN_INITIALIZER_ROW("alpha", "init", "zeros"), CN_WEIGHT_ROWS("alpha", NULL, NULL),
    {0}};

/* Axes from the end: as Keras finds them, which subtracts 1 and indexes the shape without the batch. */
static cn_ints counted_axes(const settings *s, int rank) {
  cn_ints axes = s->shared_axes;
  for (int i = 0; i < axes.n; i++)
    if (axes.v[i] <= 0) axes.v[i] += rank - 1;
  return axes;
}

/* Keras 1 does not save shared_axes: what it shared is told by dimensions of 1 in the file. An axis of unknown size can
 * only have been shared. */
static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  cn_type known = *in;
  for (int i = 1; i < in->rank && l->origin.keras == 1; i++)
    if (known.shape[i] < 0) known.shape[i] = 1;
  cn_ints axes = counted_axes(l->settings, in->rank);
  int64_t shape[CN_MAX_RANK];
  int rank;
  CN_TRY(cn_shared_shape(&axes, &known, shape, &rank, e));
  return cn_layer_add_weight(l, "alpha", rank, shape, true, cn_spatial_initializer(l, "alpha_initializer", "init"), e);
}

static cn_status import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  (void)e;
  if (l->origin.keras == 1) cn_shared_adopt(l, arrays, *n);
  return CORNU_OK;
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_edge x = cn_emit_compute(t, c->in[0].data), zero = cn_emit_number(t, 0);
  cn_edge below = cn_emit2(t, &cn_op_mul, NULL, cn_layer_weight_edge(l, t, "alpha"),
                           cn_emit2(t, &cn_op_minimum, NULL, x, zero));
  cn_edge above = cn_emit2(t, &cn_op_maximum, NULL, x, zero);
  cn_call_return(t, c, cn_emit2(t, &cn_op_add, NULL, above, below), CN_NO_EDGE);
}

const cn_layer_type cn_layer_prelu = {
    .name = "PReLU",
    .versions = "1 2 3",
    .help = CN_HELP("x above 0, alpha * x below: (batch, …) -> (batch, …)"),
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
    .import = import,
};
