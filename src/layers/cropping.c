/* Cropping of sequences, images and volumes. */
#include "base/text.h"
#include "layers/spatial.h"

typedef struct settings { const cn_value *cropping; int data_format; int64_t pairs[3][2]; } settings;

#define CROP_FIELDS(standard_text) \
  {{.name = "cropping", .kind = CN_F_VALUE, .offset = offsetof(settings, cropping), .standard = standard_text, \
    .help = CN_HELP("what to cut off before and after each dimension: a number, one per dimension, or pairs")}, \
   {.name = "data_format", .aliases = "dim_ordering", .kind = CN_F_ENUM, .offset = offsetof(settings, data_format), \
    .standard = "null", .choices = CN_DATA_FORMAT_CHOICES, \
    .help = CN_HELP("where the channels are; null: the writer's default")}, \
   {0}}

static const cn_field fields1[] = CROP_FIELDS("1");
static const cn_field fields2[] = CROP_FIELDS("0");
static const cn_field fields3[] = CROP_FIELDS("1");

static cn_status parse(cn_layer *l, int spatial, cn_error *e) {
  settings *s = l->settings;
  return cn_spatial_pairs("cropping", s->cropping, spatial, s->pairs, e);
}

static void crop(cn_layer *l, cn_trace *t, cn_call *c, int spatial) {
  const settings *s = l->settings;
  const cn_type *type = cn_edge_type(t, c->in[0].data);
  if (type->rank != spatial + 2) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected %d dimensions: batch, channels and %d spatial",
                  CN_SHAPE(type->rank, type->shape), spatial + 2, spatial);
    return;
  }
  cn_slice_attrs a = {.axes = {.n = spatial}, .begin = {.n = spatial}, .end = {.n = spatial}, .step = {.n = spatial}};
  for (int i = 0; i < spatial; i++) {
    int axis = i + (cn_channels_first(l, s->data_format, spatial) ? 2 : 1);
    int64_t size = type->shape[axis];
    if (size >= 0 && s->pairs[i][0] + s->pairs[i][1] >= size) {
      cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s: cropping %lld and %lld leaves nothing of axis %d",
                    CN_SHAPE(type->rank, type->shape), (long long)s->pairs[i][0], (long long)s->pairs[i][1], axis);
      return;
    }
    a.axes.v[i] = axis;
    a.begin.v[i] = s->pairs[i][0];
    a.end.v[i] = s->pairs[i][1] ? -s->pairs[i][1] : CN_NULL_INT;
    a.step.v[i] = 1;
  }
  cn_call_return(t, c, cn_emit1(t, &cn_op_slice, &a, c->in[0].data), CN_NO_EDGE);
}

static cn_status check1(cn_layer *l, cn_error *e) { return parse(l, 1, e); }
static cn_status check2(cn_layer *l, cn_error *e) { return parse(l, 2, e); }
static cn_status check3(cn_layer *l, cn_error *e) { return parse(l, 3, e); }
static void lower1(cn_layer *l, cn_trace *t, cn_call *c) { crop(l, t, c, 1); }
static void lower2(cn_layer *l, cn_trace *t, cn_call *c) { crop(l, t, c, 2); }
static void lower3(cn_layer *l, cn_trace *t, cn_call *c) { crop(l, t, c, 3); }

#define COMMON .versions = "1 2 3", .min_in = 1, .max_in = 1, .settings_size = sizeof(settings)

const cn_layer_type cn_layer_cropping1d = {
    .name = "Cropping1D", COMMON, .fields = fields1, .check = check1, .lower = lower1,
    .help = CN_HELP("cuts off both ends: (batch, steps, channels) -> fewer steps"),
};
const cn_layer_type cn_layer_cropping2d = {
    .name = "Cropping2D", COMMON, .fields = fields2, .check = check2, .lower = lower2,
    .help = CN_HELP("cuts off the borders: (batch, height, width, channels) -> smaller images"),
};
const cn_layer_type cn_layer_cropping3d = {
    .name = "Cropping3D", COMMON, .fields = fields3, .check = check3, .lower = lower3,
    .help = CN_HELP("cuts off the borders: (batch, depth, height, width, channels) -> smaller volumes"),
};
