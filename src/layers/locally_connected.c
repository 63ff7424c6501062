/* LocallyConnected1D and 2D: convolutions with a kernel of their own at each place. tf.keras keeps the kernels in three
 * ways (implementation 1: (places, window, filters); 2: a dense matrix from input to output, mostly without effect;
 * 3: a vector of those elements of that matrix which have one). All become the first, with the window in the order
 * (height, width, channels), by taking elements through a table of indices, which a plan does once. */
#include <string.h>

#include "base/text.h"
#include "layers/part.h"
#include "layers/spatial.h"

typedef struct settings {
  cn_conv_settings conv;
  int64_t implementation;
} settings;

/* A sequence is an image of width 1. */
typedef struct geometry {
  bool first;
  int64_t in[2], out[2], window[2], stride[2], before[2], after[2], channels, filters, places, taps;
} geometry;

static cn_status measure(const cn_layer *l, const cn_type *in, int spatial, geometry *g, cn_error *e) {
  const cn_conv_settings *s = &((const settings *)l->settings)->conv;
  *g = (geometry){.first = cn_channels_first(l, s->data_format, spatial), .in = {1, 1}, .out = {1, 1}, .window = {1, 1},
                  .stride = {1, 1}, .filters = s->filters};
  CN_TRY(cn_spatial_channels(in, spatial, g->first, &g->channels, e));
  for (int i = 0; i < spatial; i++) {
    g->in[i] = in->shape[i + (g->first ? 2 : 1)];
    g->window[i] = s->kernel_size.v[i];
    g->stride[i] = s->strides.v[i];
    if (g->in[i] < 0)
      return cn_fail(e, CORNU_ERR_SHAPE, "the input has shape %s: its spatial dimensions must be known",
                     CN_SHAPE(in->rank, in->shape));
    cn_spatial_pad(l, s->padding, false, g->in[i], g->window[i], g->stride[i], &g->before[i], &g->after[i]);
    int64_t reach = g->in[i] + g->before[i] + g->after[i] - g->window[i];
    if (reach < 0)
      return cn_fail(e, CORNU_ERR_SHAPE, "the window covers %lld positions, the input has %lld",
                     (long long)g->window[i], (long long)g->in[i]);
    g->out[i] = reach / g->stride[i] + 1;
  }
  int64_t size;
  g->places = g->out[0] * g->out[1];
  if (cn_mul_i64(g->window[0] * g->window[1], g->channels, &g->taps) && cn_mul_i64(g->places, g->taps, &size) &&
      cn_mul_i64(size, g->filters, &size) && size <= (int64_t)1 << 31)
    return CORNU_OK;
  return cn_fail(e, CORNU_ERR_LIMIT, "the kernel would have more than 2^31 elements");
}

/* ---- Where element (place, tap, filter) of the kernel is in the file's array ---- */

static bool inside(const geometry *g, int64_t y, int64_t x) { return y >= 0 && y < g->in[0] && x >= 0 && x < g->in[1]; }

/* How many elements of the window are inside the input; *rank: how many before element (ky, kx) are. */
static int64_t count_inside(const geometry *g, int64_t top, int64_t left, int64_t ky, int64_t kx, int64_t *rank) {
  int64_t count = 0;
  for (int64_t y = 0; y < g->window[0]; y++)
    for (int64_t x = 0; x < g->window[1]; x++) {
      if (y == ky && x == kx) *rank = count;
      count += inside(g, top + y, left + x);
    }
  return count;
}

typedef struct element { int64_t oy, ox, ky, kx, c, f, before; } element; /* before: elements inside at earlier places */

/* The array's size: there is nothing, so zero. */
static int64_t locate(const geometry *g, int64_t implementation, int64_t size, const element *n, int64_t all) {
  int64_t place = n->oy * g->out[1] + n->ox, top = n->oy * g->stride[0] - g->before[0];
  int64_t left = n->ox * g->stride[1] - g->before[1], y = top + n->ky, x = left + n->kx, rank = 0;
  if (!inside(g, y, x)) return size;
  if (implementation == 1) {
    int64_t tap = g->first ? (n->c * g->window[0] + n->ky) * g->window[1] + n->kx
                           : (n->ky * g->window[1] + n->kx) * g->channels + n->c;
    return (place * g->taps + tap) * g->filters + n->f;
  }
  if (implementation == 2) {
    if (g->first) return (((n->c * g->in[0] + y) * g->in[1] + x) * g->filters + n->f) * g->places + place;
    return (((y * g->in[1] + x) * g->channels + n->c) * g->places + place) * g->filters + n->f;
  }
  int64_t here = count_inside(g, top, left, n->ky, n->kx, &rank);
  if (g->first) return n->f * all * g->channels + n->before * g->channels + n->c * here + rank;
  return n->before * g->channels * g->filters + n->f * here * g->channels + rank * g->channels + n->c;
}

static int64_t all_inside(const geometry *g) {
  int64_t all = 0, rank;
  for (int64_t p = 0; p < g->places; p++)
    all += count_inside(g, p / g->out[1] * g->stride[0] - g->before[0], p % g->out[1] * g->stride[1] - g->before[1], -1,
                        -1, &rank);
  return all;
}

static void fill_kernel_table(const geometry *g, int64_t implementation, int64_t size, int64_t *table) {
  element n = {0};
  int64_t all = all_inside(g), rank;
  for (n.oy = 0; n.oy < g->out[0]; n.oy++)
    for (n.ox = 0; n.ox < g->out[1]; n.ox++) {
      for (n.ky = 0; n.ky < g->window[0]; n.ky++)
        for (n.kx = 0; n.kx < g->window[1]; n.kx++)
          for (n.c = 0; n.c < g->channels; n.c++)
            for (n.f = 0; n.f < g->filters; n.f++) *table++ = locate(g, implementation, size, &n, all);
      n.before += count_inside(g, n.oy * g->stride[0] - g->before[0], n.ox * g->stride[1] - g->before[1], -1, -1, &rank);
    }
}

/* Of the padded input (height, width, channels). */
static void fill_patch_table(const geometry *g, int64_t *table) {
  int64_t width = g->in[1] + g->before[1] + g->after[1];
  for (int64_t p = 0; p < g->places; p++)
    for (int64_t ky = 0; ky < g->window[0]; ky++)
      for (int64_t kx = 0; kx < g->window[1]; kx++)
        for (int64_t c = 0; c < g->channels; c++) {
          int64_t y = p / g->out[1] * g->stride[0] + ky, x = p % g->out[1] * g->stride[1] + kx;
          *table++ = (y * width + x) * g->channels + c;
        }
}

/* ---- The layer ---- */

static cn_status check(cn_layer *l, int spatial, cn_error *e) {
  const settings *s = l->settings;
  if (s->conv.padding == CN_PADDING_SAME && s->implementation == 1)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"padding\" is same, which implementation 1 does not have");
  return cn_spatial_check(l, s->conv.padding, spatial, e);
}

static cn_status build(cn_layer *l, const cn_type *in, int spatial, cn_error *e) {
  const settings *s = l->settings;
  geometry g;
  CN_TRY(measure(l, in, spatial, &g, e));
  const cn_value *init = cn_spatial_initializer(l, "kernel_initializer", "init");
  int64_t bias[3] = {g.out[0], g.out[1], g.filters}, matrix[6], n = 0;
  for (int half = 0; half < 2; half++) { /* implementation 2: the input's dimensions, then the output's */
    const int64_t *size = half ? g.out : g.in, channels = half ? g.filters : g.channels;
    if (g.first) matrix[n++] = channels;
    for (int i = 0; i < spatial; i++) matrix[n++] = size[i];
    if (!g.first) matrix[n++] = channels;
  }
  int64_t vector = all_inside(&g) * g.channels * g.filters, windows[] = {g.places, g.taps, g.filters};
  if (s->implementation == 1) CN_TRY(cn_layer_add_weight(l, "kernel", 3, windows, true, init, e));
  else if (s->implementation == 2) CN_TRY(cn_layer_add_weight(l, "kernel", (int)n, matrix, true, init, e));
  else CN_TRY(cn_layer_add_weight(l, "kernel", 1, &vector, true, init, e));
  if (!s->conv.use_bias) return CORNU_OK;
  if (spatial == 1) bias[1] = g.filters;
  return cn_layer_add_weight(l, "bias", spatial + 1, bias, true, cn_value_find(l->config, "bias_initializer"), e);
}

/* Room for a table of indices; NULL after failure. */
static int64_t *new_table(cn_trace *t, int64_t count, cn_tensor **indices) {
  if (!t->status) t->status = cornu_tensor_new(CORNU_INT64, 1, &count, indices, t->error);
  return t->status ? NULL : (int64_t *)(void *)(*indices)->data;
}

static cn_edge shaped(cn_trace *t, cn_edge x, int n, const int64_t *shape) {
  cn_reshape_attrs a = {.shape = {.n = n}};
  memcpy(a.shape.v, shape, sizeof *shape * (size_t)n);
  return cn_emit1(t, &cn_op_reshape, &a, x);
}

/* Elements along an axis by a table, which is given away. */
static cn_edge gathered(cn_trace *t, cn_edge from, int axis, cn_tensor *indices) {
  cn_edge at = t->status ? CN_NO_EDGE : cn_emit_constant(t, indices);
  cornu_tensor_release(indices);
  return cn_emit2(t, &cn_op_gather, &(cn_axis_attrs){axis}, from, at);
}

/* The kernel as (places, window, filters). */
static cn_edge kernel_of(cn_layer *l, cn_trace *t, const geometry *g) {
  const settings *s = l->settings;
  const cn_weight *w = &l->weights[cn_layer_find_weight(l, "kernel")];
  cn_edge kernel = cn_layer_weight_edge(l, t, "kernel");
  if (s->implementation == 1 && !g->first) return kernel;
  cn_tensor *indices = NULL;
  int64_t size = cn_shape_size(w->rank, w->shape), *table = new_table(t, g->places * g->taps * g->filters, &indices);
  if (table) fill_kernel_table(g, s->implementation, size, table);
  cn_edge flat[2] = {shaped(t, kernel, 1, (int64_t[]){size}), cn_emit_vector(t, w->dtype, (double[]){0}, 1)};
  cn_edge all = cn_emit(t, &cn_op_concat, &(cn_axis_attrs){0}, flat, 2);
  return shaped(t, gathered(t, all, 0, indices), 3, (int64_t[]){g->places, g->taps, g->filters});
}

/* The windows of the input as (places, batch, window). */
static cn_edge patches_of(cn_trace *t, cn_edge x, int spatial, const geometry *g) {
  cn_pad_attrs pad = {.before = {.n = spatial + 2}, .after = {.n = spatial + 2}};
  int64_t size = g->channels;
  for (int i = 0; i < 2; i++) size *= g->in[i] + g->before[i] + g->after[i];
  for (int i = 0; i < spatial; i++) pad.before.v[i + 1] = g->before[i], pad.after.v[i + 1] = g->after[i];
  cn_tensor *indices = NULL;
  int64_t *table = new_table(t, g->places * g->taps, &indices);
  if (table) fill_patch_table(g, table);
  x = shaped(t, cn_emit1(t, &cn_op_pad, &pad, x), 2, (int64_t[]){CN_DIM_COPY, size});
  x = shaped(t, gathered(t, x, 1, indices), 3, (int64_t[]){CN_DIM_COPY, g->places, g->taps});
  return cn_emit1(t, &cn_op_transpose, &(cn_ints_attrs){{3, {1, 0, 2}}}, x);
}

/* (out…, filters). With channels first Keras lays its elements over (filters, out…) as they are, without moving them. */
static cn_edge bias_of(cn_layer *l, cn_trace *t, int spatial, const geometry *g) {
  cn_edge bias = cn_layer_weight_edge(l, t, "bias");
  if (bias == CN_NO_EDGE || !g->first) return bias;
  bias = shaped(t, bias, spatial + 1, (int64_t[]){g->filters, g->out[0], g->out[1]});
  cn_ints_attrs order = {.v = {spatial + 1, {1, spatial == 2 ? 2 : 0, 0}}};
  return cn_emit1(t, &cn_op_transpose, &order, bias);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c, int spatial) {
  const cn_conv_settings *s = &((const settings *)l->settings)->conv;
  geometry g = {.places = 1};
  const cn_type in = *cn_edge_type(t, c->in[0].data);
  if (!t->status) t->status = measure(l, &in, spatial, &g, t->error);
  cn_edge x = cn_spatial_enter(t, c->in[0].data, spatial, g.first, g.channels);
  if (t->status) return;
  cn_edge y = cn_emit2(t, &cn_op_matmul, NULL, patches_of(t, x, spatial, &g), kernel_of(l, t, &g));
  y = cn_emit1(t, &cn_op_transpose, &(cn_ints_attrs){{3, {1, 0, 2}}}, y);
  int64_t shape[4] = {CN_DIM_COPY, g.out[0], spatial == 2 ? g.out[1] : g.filters, g.filters};
  y = shaped(t, y, spatial + 2, shape);
  cn_edge bias = bias_of(l, t, spatial, &g);
  if (bias != CN_NO_EDGE) y = cn_emit2(t, &cn_op_add, NULL, y, bias);
  y = cn_emit1(t, &cn_op_activation, &(cn_act_attrs){.act = cn_activation_epilogue(&s->activation)}, y);
  cn_spatial_return(l, t, c, s, y, spatial);
}

/* ---- One dimension and two ---- */

#define IMPLEMENTATION_FIELD                                                                                           \
  {.name = "implementation", .kind = CN_F_INT, .offset = offsetof(settings, implementation), .standard = "1",          \
   .min = 1, .max = 3, .help = CN_HELP("how tf.keras keeps the kernels; the result is the same")}
static const cn_field fields1[] = {CN_FILTERS_FIELD, CN_CONV_FIELDS(1, "filter_length", "subsample_length"),
                                   IMPLEMENTATION_FIELD, CN_KERNEL_ROWS, {0}};
static const cn_field fields2[] = {CN_FILTERS_FIELD, CN_CONV_FIELDS(2, NULL, "subsample"), IMPLEMENTATION_FIELD, CN_KERNEL_ROWS, {0}};

static cn_status upgrade2(cn_layer *l, cn_value *config, cn_error *e) {
  return cn_spatial_join(l, config, "kernel_size", 2, (const char *const[]){"nb_row", "nb_col"}, e);
}
static cn_status check1(cn_layer *l, cn_error *e) { return check(l, 1, e); }
static cn_status check2(cn_layer *l, cn_error *e) { return check(l, 2, e); }
static cn_status build1(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  return build(l, in, 1, e);
}
static cn_status build2(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  return build(l, in, 2, e);
}
static void lower1(cn_layer *l, cn_trace *t, cn_call *c) { lower(l, t, c, 1); }
static void lower2(cn_layer *l, cn_trace *t, cn_call *c) { lower(l, t, c, 2); }

const cn_layer_type cn_layer_locally_connected1d = {
    .name = "LocallyConnected1D",
    .versions = "1 2",
    .help = CN_HELP("a convolution with a kernel of its own at each step: (batch, steps, channels) -> (batch, steps', "
                    "filters)"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields1,
    .check = check1,
    .build = build1,
    .lower = lower1,
};
const cn_layer_type cn_layer_locally_connected2d = {
    .name = "LocallyConnected2D",
    .versions = "1 2",
    .help = CN_HELP("a convolution with a kernel of its own at each place: (batch, height, width, channels) -> images"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields2,
    .upgrade = upgrade2,
    .check = check2,
    .build = build2,
    .lower = lower2,
};
