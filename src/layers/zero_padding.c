/* Zero padding around sequences, images and volumes. */
#include "base/text.h"
#include "layers/spatial.h"

typedef struct settings { const cn_value *padding; int data_format; int64_t pairs[3][2]; } settings;

static const cn_field fields[] = {{.name = "padding",
                                   .kind = CN_F_VALUE,
                                   .offset = offsetof(settings, padding),
                                   .standard = "1",
                                   .help = CN_HELP("zeros before and after each dimension: a number, one "
                                                   "per dimension, or "
                                                   "pairs; Keras 1: also four numbers or a dict")},
                                  {.name = "data_format",
                                   .aliases = "dim_ordering",
                                   .kind = CN_F_ENUM,
                                   .offset = offsetof(settings, data_format),
                                   .standard = "null",
                                   .choices = CN_DATA_FORMAT_CHOICES,
                                   .help = CN_HELP("where the channels are; null: the writer's default")},
                                  {0}};

static cn_status parse(cn_layer *l, int spatial, cn_error *e) {
  settings *s = l->settings;
  return cn_spatial_pairs("padding", s->padding, spatial, s->pairs, e);
}

static void pad(cn_layer *l, cn_trace *t, cn_call *c, int spatial) {
  const settings *s = l->settings;
  const cn_type *type = cn_edge_type(t, c->in[0].data);
  if (type->rank != spatial + 2) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected %d dimensions: batch, channels and %d spatial",
                  CN_SHAPE(type->rank, type->shape), spatial + 2, spatial);
    return;
  }
  cn_pad_attrs a = {.before = {.n = spatial + 2}, .after = {.n = spatial + 2}, .mode = CN_PAD_CONSTANT};
  int at = cn_channels_first(l, s->data_format, spatial) ? 2 : 1;
  for (int i = 0; i < spatial; i++) a.before.v[at + i] = s->pairs[i][0], a.after.v[at + i] = s->pairs[i][1];
  cn_call_return(t, c, cn_emit1(t, &cn_op_pad, &a, c->in[0].data), CN_NO_EDGE);
}

static cn_status check1(cn_layer *l, cn_error *e) { return parse(l, 1, e); }
static cn_status check2(cn_layer *l, cn_error *e) { return parse(l, 2, e); }
static cn_status check3(cn_layer *l, cn_error *e) { return parse(l, 3, e); }
static void lower1(cn_layer *l, cn_trace *t, cn_call *c) { pad(l, t, c, 1); }
static void lower2(cn_layer *l, cn_trace *t, cn_call *c) { pad(l, t, c, 2); }
static void lower3(cn_layer *l, cn_trace *t, cn_call *c) { pad(l, t, c, 3); }

#define COMMON .versions = "1 2 3", .min_in = 1, .max_in = 1, .settings_size = sizeof(settings), .fields = fields

const cn_layer_type cn_layer_zero_padding1d = {
    .name = "ZeroPadding1D", COMMON, .check = check1, .lower = lower1,
    .help = CN_HELP("zeros before and after: (batch, steps, channels) -> more steps"),
};
const cn_layer_type cn_layer_zero_padding2d = {
    .name = "ZeroPadding2D", COMMON, .check = check2, .lower = lower2,
    .help = CN_HELP("zeros around images: (batch, height, width, channels) -> larger images"),
};
const cn_layer_type cn_layer_zero_padding3d = {
    .name = "ZeroPadding3D", COMMON, .check = check3, .lower = lower3,
    .help = CN_HELP("zeros around volumes: (batch, depth, height, width, channels) -> larger volumes"),
};
