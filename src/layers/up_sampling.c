/* Up-sampling by whole factors: elements repeated, or images interpolated. */
#include "base/text.h"
#include "layers/operation.h"
#include "layers/spatial.h"

typedef struct settings { cn_ints size; int data_format, interpolation; bool area; } settings;

#define UP_FIELDS(spatial, alias, ...) \
  {{.name = "size", .aliases = alias, .kind = CN_F_INTS, .offset = offsetof(settings, size), .standard = "2", \
    .min = 1, .max = 1 << 20, .count = spatial, .help = CN_HELP("factor for each dimension")}, \
   {.name = "data_format", .aliases = "dim_ordering", .kind = CN_F_ENUM, .offset = offsetof(settings, data_format), \
    .standard = "null", .choices = CN_DATA_FORMAT_CHOICES, \
    .help = CN_HELP("where the channels are; null: the writer's default")}, \
   __VA_ARGS__ {0}}

static const cn_field fields1[] = UP_FIELDS(1, "length", );
static const cn_field fields2[] = UP_FIELDS(2, NULL,
    {.name = "interpolation", .kind = CN_F_ENUM, .offset = offsetof(settings, interpolation),
     .standard = "\"nearest\"", .choices = CN_RESIZE_CHOICES,
     .help = CN_HELP("how values between elements come about")},);
static const cn_field fields3[] = UP_FIELDS(3, NULL, );

static cn_status check2(cn_layer *l, cn_error *e) {
  settings *s = l->settings;
  s->area = s->interpolation == CN_RESIZE_AREA;
  if (s->area) s->interpolation = CN_RESIZE_NEAREST; /* whole factors: the same */
  bool doubled = s->interpolation == CN_RESIZE_BILINEAR && s->size.v[0] == 2 && s->size.v[1] == 2;
  if (s->interpolation == CN_RESIZE_NEAREST || !l->origin.theano || doubled) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"interpolation\" is not nearest: Theano knows bilinear with size (2, 2) alone, "
                 "so that the model cannot have run there");
}

static void repeat(cn_layer *l, cn_trace *t, cn_call *c, int spatial) {
  const settings *s = l->settings;
  cn_edge x = c->in[0].data;
  const cn_type *type = cn_edge_type(t, x);
  if (type->rank != spatial + 2) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected %d dimensions: batch, channels and %d spatial",
                  CN_SHAPE(type->rank, type->shape), spatial + 2, spatial);
    return;
  }
  for (int i = 0; i < spatial; i++) {
    cn_repeat_attrs a = {.axis = i + (cn_channels_first(l, s->data_format, spatial) ? 2 : 1), .count = s->size.v[i]};
    if (a.count > 1) x = cn_emit1(t, &cn_op_repeat, &a, x);
  }
  if (s->area && l->origin.keras < 3) x = cn_emit_cast(t, x, CORNU_FLOAT32);
  cn_call_return(t, c, x, CN_NO_EDGE);
}

/* Keras 2 and tf.keras before TensorFlow 1.13 resized as TensorFlow 1 and Theano did: position i of the result is i / factor of
 * the input. Later tf.keras of TensorFlow 1 names the same version as TensorFlow 2.0 and counts as that. */
static bool first_grid(const cn_origin *o) { return o->keras == 2 && (!o->tf || !cn_origin_at_least(o, 2, 2, 4)); }

static void interpolate(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  bool first = cn_channels_first(l, s->data_format, 2), old = first_grid(&l->origin);
  cornu_dtype given = cn_edge_type(t, c->in[0].data)->dtype;
  cn_edge x = cn_spatial_enter(t, c->in[0].data, 2, first, -1);
  if (s->interpolation != CN_RESIZE_NEAREST) x = cn_emit_cast(t, x, CORNU_FLOAT32);
  cn_resize_attrs a = {.scale = {s->size.v[0], s->size.v[1]}, .method = s->interpolation,
                       .grid = old ? CN_GRID_ASYMMETRIC : CN_GRID_HALF_PIXEL};
  x = cn_spatial_leave(t, cn_emit1(t, &cn_op_resize, &a, x), 2, first);
  /* before Keras 3, TensorFlow's float32 stays */
  if (l->origin.keras >= 3 && cn_dtype_is_integer(given)) x = cn_emit1(t, &cn_op_round, NULL, x);
  if (l->origin.keras >= 3) x = cn_emit_cast(t, x, given);
  cn_call_return(t, c, x, CN_NO_EDGE);
}

static void lower1(cn_layer *l, cn_trace *t, cn_call *c) { repeat(l, t, c, 1); }
static void lower2(cn_layer *l, cn_trace *t, cn_call *c) {
  if (((const settings *)l->settings)->interpolation == CN_RESIZE_NEAREST) repeat(l, t, c, 2);
  else interpolate(l, t, c);
}
static void lower3(cn_layer *l, cn_trace *t, cn_call *c) { repeat(l, t, c, 3); }

#define COMMON .versions = "1 2 3", .min_in = 1, .max_in = 1, .settings_size = sizeof(settings)

const cn_layer_type cn_layer_up_sampling1d = {
    .name = "UpSampling1D", COMMON, .fields = fields1, .lower = lower1,
    .help = CN_HELP("every step `size` times: (batch, steps, channels) -> (batch, steps * size, channels)"),
};
const cn_layer_type cn_layer_up_sampling2d = {
    .name = "UpSampling2D", COMMON, .fields = fields2, .check = check2, .lower = lower2,
    .help = CN_HELP("images enlarged by `size`: (batch, height, width, channels) -> larger images"),
};
const cn_layer_type cn_layer_up_sampling3d = {
    .name = "UpSampling3D", COMMON, .fields = fields3, .lower = lower3,
    .help = CN_HELP("volumes enlarged by `size`: (batch, depth, height, width, channels) -> larger volumes"),
};
