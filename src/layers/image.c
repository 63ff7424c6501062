/* Resizing and cropping of images. */
#include "layers/image.h"

#include "base/text.h"

int cn_image_axis(cn_trace *t, cn_edge x, bool channels_first) {
  if (t->status) return -1;
  const cn_type *type = cn_edge_type(t, x);
  if (type->rank == 3 || type->rank == 4) return type->rank - (channels_first ? 2 : 3);
  cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s, expected an image (3 dimensions) or a batch of them (4)",
                CN_SHAPE(type->rank, type->shape));
  return -1;
}

cn_edge cn_image_cropped(cn_trace *t, cn_edge image, bool channels_first, int64_t y, int64_t x, int64_t height,
                         int64_t width) {
  int axis = cn_image_axis(t, image, channels_first);
  if (axis < 0) return CN_NO_EDGE;
  cn_slice_attrs a = {.axes = {2, {axis, axis + 1}}, .begin = {2, {y, x}}, .end = {2, {y + height, x + width}},
                      .step = {2, {1, 1}}};
  return cn_emit1(t, &cn_op_slice, &a, image);
}

static cn_edge padded(cn_trace *t, cn_edge image, int axis, int64_t y, int64_t x, double value) {
  int rank = cn_edge_type(t, image)->rank;
  cn_pad_attrs a = {.before = {.n = rank}, .after = {.n = rank}, .value = value};
  a.before.v[axis] = a.after.v[axis] = y;
  a.before.v[axis + 1] = a.after.v[axis + 1] = x;
  return cn_emit1(t, &cn_op_pad, &a, image);
}

/* other * part / whole, rounded down. */
static int64_t ratio(const cn_image_resize *r, int64_t other, int64_t part, int64_t whole) {
  if (r->exact) return (int64_t)((double)other * (double)part / (double)whole);
  return (int64_t)((float)(other * part) / (float)whole);
}

static int64_t between(int64_t v, int64_t low, int64_t high) { return v < low ? low : v > high ? high : v; }

/* The largest part in the middle with the size's aspect ratio, or the image in the middle of what has it. The result
 * does not tell its size as long as the image's is not known: resizing follows. */
static cn_edge fit(cn_trace *t, cn_edge image, const cn_image_resize *r, int axis) {
  const cn_type *type = cn_edge_type(t, image);
  int64_t height = type->shape[axis], width = type->shape[axis + 1];
  if (height < 0 || width < 0 || (!r->crop && !r->pad)) return image;
  int64_t h = ratio(r, width, r->height, r->width), w = ratio(r, height, r->width, r->height);
  if (r->pad) {
    h = h > height ? (h - height) / 2 : 0, w = w > width ? (w - width) / 2 : 0;
    return h || w ? padded(t, image, axis, h, w, r->fill_value) : image;
  }
  h = between(h, 1, height), w = between(w, 1, width);
  if (h == height && w == width) return image;
  return cn_image_cropped(t, image, r->channels_first, (height - h) / 2, (width - w) / 2, h, w);
}

/* Moves the channels to the end of a batch or back. */
static cn_edge turned(cn_trace *t, cn_edge x, bool last) {
  cn_ints_attrs to_last = {{4, {0, 2, 3, 1}}}, to_first = {{4, {0, 3, 1, 2}}};
  return cn_emit1(t, &cn_op_transpose, last ? &to_last : &to_first, x);
}

cn_image_batch cn_image_enter(cn_trace *t, cn_edge x, bool channels_first) {
  cn_image_batch b = {.x = x, .first = channels_first};
  if (cn_image_axis(t, x, channels_first) < 0) return b;
  b.single = cn_edge_type(t, x)->rank == 3;
  if (b.single) b.x = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){0}, b.x);
  if (b.first) b.x = turned(t, b.x, true);
  return b;
}

cn_edge cn_image_leave(cn_trace *t, const cn_image_batch *b, cn_edge y) {
  if (b->first) y = turned(t, y, false);
  return b->single ? cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {0}}}, y) : y;
}

cn_edge cn_image_resized(cn_trace *t, cn_edge x, const cn_image_resize *r) {
  int axis = cn_image_axis(t, x, r->channels_first);
  if (axis < 0) return CN_NO_EDGE;
  x = fit(t, x, r, axis);
  const cn_type *type = cn_edge_type(t, x);
  bool single = type->rank == 3;
  bool same = type->shape[axis] == r->height && type->shape[axis + 1] == r->width;
  bool blurs = r->method == CN_RESIZE_GAUSSIAN || r->method == CN_RESIZE_MITCHELLCUBIC;
  if (r->method != CN_RESIZE_NEAREST && type->dtype != CORNU_FLOAT32)
    x = cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){CORNU_FLOAT32}, x);
  if (same && !blurs) return x;
  if (single) x = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){0}, x);
  if (r->channels_first) x = turned(t, x, true);
  cn_resize_attrs a = {.size = {r->height, r->width}, .method = r->method, .antialias = r->antialias};
  x = cn_emit1(t, &cn_op_resize, &a, x);
  if (r->channels_first) x = turned(t, x, false);
  return single ? cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {0}}}, x) : x;
}

cn_status cn_image_range(const cn_value *v, double range[2], cn_error *e) {
  range[0] = 0, range[1] = 255;
  if (cn_value_is_null(v)) return CORNU_OK;
  bool good = cn_value_is(v, CORNU_LIST) && v->count == 2;
  for (int i = 0; good && i < 2; i++) good = cn_value_number(v->items[i], &range[i]);
  if (good && range[0] != range[1]) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"value_range\" is %s, expected [lowest, highest]",
                 cn_value_show(v, (char[80]){0}, 80));
}

static cn_edge with_number(cn_trace *t, const cn_op *op, cn_edge x, double v) {
  return t->status ? CN_NO_EDGE : cn_emit2(t, op, NULL, x, cn_emit_scalar(t, cn_edge_type(t, x)->dtype, v));
}

cn_edge cn_image_ranged(cn_trace *t, cn_edge x, const double from[2], const double to[2]) {
  if (from[0] == to[0] && from[1] == to[1]) return x;
  x = with_number(t, &cn_op_sub, x, from[0]);
  x = with_number(t, &cn_op_div, x, from[1] - from[0]);
  x = with_number(t, &cn_op_mul, x, to[1] - to[0]);
  return with_number(t, &cn_op_add, x, to[0]);
}
