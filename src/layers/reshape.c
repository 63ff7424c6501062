/* Reshape: the same elements in another shape. */
#include "base/text.h"
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { cn_ints target; } settings;

static const cn_field fields[] = {
    {.name = "target_shape", .aliases = "dims", .kind = CN_F_INTS, .offset = offsetof(settings, target), .min = -1,
     .max = CN_MAX_DIM, .help = CN_HELP("new shape without the batch; one -1 is found out"), .null_items = true},
    {0}};

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_reshape_attrs attrs = {.shape = {s->target.n + 1, {CN_DIM_COPY}}};
  int64_t known = 1, rest = 1;
  int open = -1;
  const cn_type in = *cn_edge_type(t, c->in[0].data);
  for (int i = 0; i < s->target.n && i < CN_MAX_RANK; i++) {
    int64_t d = s->target.v[i] == CN_NULL_INT ? -1 : s->target.v[i];
    attrs.shape.v[i + 1] = d;
    if (d < 0) open = i + 1;
    else known = cn_dim_mul(known, d);
  }
  for (int i = 1; i < in.rank; i++) rest = cn_dim_mul(rest, in.shape[i]);
  /* Found out here, it serves a batch of 0, too. */
  if (open > 0 && rest >= 0 && known > 0 && rest % known == 0) attrs.shape.v[open] = rest / known;
  else if (open < 0 && rest >= 0 && rest != known) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "cannot reshape %s to (?, …) of %s", CN_SHAPE(in.rank, in.shape),
                  CN_SHAPE(s->target.n, s->target.v));
    return;
  }
  cn_call_return(t, c, cn_emit1(t, &cn_op_reshape, &attrs, c->in[0].data), CN_NO_EDGE);
}

const cn_layer_type cn_layer_reshape = {
    .name = "Reshape",
    .versions = "1 2 3",
    .help = CN_HELP("(batch, …) -> (batch, target_shape)"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .lower = lower,
};
