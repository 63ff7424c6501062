/* Layers that only rearrange: Flatten, Reshape, Permute, RepeatVector. */
#include <string.h>

#include "base/text.h"
#include "layers/layer.h"
#include "ops/ops.h"

/* ---- Flatten ---- */

typedef struct flatten { int data_format; } flatten;

static const cn_field flatten_fields[] = {
    {.name = "data_format", .kind = CN_F_ENUM, .offset = offsetof(flatten, data_format), .standard = "null", .choices = "channels_last channels_first",
     .help = "channels_first moves the channels to the end first"}, {0}};

static void lower_flatten(cn_layer *l, cn_trace *t, cn_call *c) {
  const flatten *s = l->settings;
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
    .name = "Flatten", .versions = "1 2 3", .help = "(batch, …) -> (batch, product of …)", .min_in = 1, .max_in = 1, .settings_size = sizeof(flatten),
    .fields = flatten_fields, .lower = lower_flatten};

/* ---- Reshape ---- */

typedef struct reshape { cn_ints target; } reshape;

static const cn_field reshape_fields[] = {
    {.name = "target_shape", .aliases = "dims", .kind = CN_F_INTS, .offset = offsetof(reshape, target), .min = -1, .max = 1e12, .help = "new shape without the batch; one -1 is found out"}, {0}};

static void lower_reshape(cn_layer *l, cn_trace *t, cn_call *c) {
  const reshape *s = l->settings;
  cn_reshape_attrs attrs = {.shape = {s->target.n + 1, {CN_DIM_COPY}}};
  int64_t known = 1, rest = 1;
  int open = -1;
  const cn_type in = *cn_edge_type(t, c->in[0].data);
  for (int i = 0; i < s->target.n && i < CN_MAX_RANK; i++) {
    int64_t d = s->target.v[i] == CN_NULL_INT ? -1 : s->target.v[i];
    attrs.shape.v[i + 1] = d;
    if (d < 0) open = i + 1;
    else known *= d;
  }
  for (int i = 1; i < in.rank; i++) rest = cn_dim_mul(rest, in.shape[i]);
  if (open > 0 && rest >= 0 && known > 0 && rest % known == 0) attrs.shape.v[open] = rest / known; /* for a batch of 0, too */
  else if (open < 0 && rest >= 0 && rest != known) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "cannot reshape %s to (?, …) of %s", CN_SHAPE(in.rank, in.shape), CN_SHAPE(s->target.n, s->target.v));
    return;
  }
  cn_call_return(t, c, cn_emit1(t, &cn_op_reshape, &attrs, c->in[0].data), CN_NO_EDGE);
}

const cn_layer_type cn_layer_reshape = {
    .name = "Reshape", .versions = "1 2 3", .help = "(batch, …) -> (batch, target_shape)", .min_in = 1, .max_in = 1, .settings_size = sizeof(reshape),
    .fields = reshape_fields, .lower = lower_reshape};

/* ---- Permute ---- */

typedef struct permute { cn_ints dims; } permute;

static const cn_field permute_fields[] = {
    {.name = "dims", .kind = CN_F_INTS, .offset = offsetof(permute, dims), .min = 1, .max = CN_MAX_RANK, .help = "new order of the axes, counted from 1, without the batch"}, {0}};

static void lower_permute(cn_layer *l, cn_trace *t, cn_call *c) {
  const permute *s = l->settings;
  cn_ints_attrs order = {.v = {.n = s->dims.n + 1}};
  for (int i = 0; i < s->dims.n && i < CN_MAX_INTS - 1; i++) order.v.v[i + 1] = s->dims.v[i];
  cn_call_return(t, c, cn_emit1(t, &cn_op_transpose, &order, c->in[0].data), CN_NO_EDGE);
}

const cn_layer_type cn_layer_permute = {
    .name = "Permute", .versions = "1 2 3", .help = "axes in another order", .min_in = 1, .max_in = 1, .settings_size = sizeof(permute),
    .fields = permute_fields, .lower = lower_permute};

/* ---- RepeatVector ---- */

typedef struct repeat { int64_t n; } repeat;

static const cn_field repeat_fields[] = {{.name = "n", .kind = CN_F_INT, .offset = offsetof(repeat, n), .min = 1, .max = 1e9, .help = "copies"}, {0}};

static void lower_repeat(cn_layer *l, cn_trace *t, cn_call *c) {
  const repeat *s = l->settings;
  const cn_type *in = cn_edge_type(t, c->in[0].data);
  if (in->rank != 2) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected (batch, features)", CN_SHAPE(in->rank, in->shape));
    return;
  }
  cn_edge x = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){1}, c->in[0].data);
  cn_call_return(t, c, cn_emit1(t, &cn_op_repeat, &(cn_repeat_attrs){1, s->n}, x), CN_NO_EDGE);
}

const cn_layer_type cn_layer_repeat_vector = {
    .name = "RepeatVector", .versions = "1 2 3", .help = "(batch, features) -> (batch, n, features)", .min_in = 1, .max_in = 1, .settings_size = sizeof(repeat),
    .fields = repeat_fields, .lower = lower_repeat};
