/* Rows that are not of a file of arrays: of a tensor, and of pictures. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "formats/rows.h"

/* ---- A tensor ---- */

typedef struct held { cn_tensor *t; size_t row; } held;

static cn_status held_read(void *state, int64_t first, int64_t n, char *to, cn_error *e) {
  (void)e;
  const held *h = state;
  memcpy(to, h->t->data + (size_t)first * h->row, (size_t)n * h->row);
  return CORNU_OK;
}

static void held_close(void *state) {
  held *h = state;
  cornu_tensor_release(h->t);
  cn_free(h);
}

cornu_status cornu_rows_of_tensor(cornu_tensor *t, cornu_rows **out, cornu_error *e) {
  static const cn_rows_kind kind = {held_read, held_close, true};
  *out = NULL;
  if (cornu_tensor_is_symbolic(t) || t->rank == 0 || t->dtype == CORNU_TEXT)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "rows need a tensor of numbers with at least one dimension");
  held *h = cn_calloc(1, sizeof *h);
  if (!h) return cn_no_memory(e);
  cn_status status = cornu_tensor_contiguous(t, &h->t, e);
  cn_npy form = {.dtype = t->dtype, .rank = t->rank};
  memcpy(form.shape, t->shape, sizeof form.shape);
  form.bytes = (size_t)cornu_tensor_size(t) * cornu_dtype_bytes(t->dtype);
  h->row = form.shape[0] ? form.bytes / (size_t)form.shape[0] : 0;
  if (!status) return cn_rows_new(&kind, h, &form, out, e);
  cn_free(h);
  return status;
}

/* ---- Pictures ---- */

typedef struct pictures {
  cn_arena arena;
  const char **paths;
  cornu_picture_options o;
  cornu_tree *tree;
  const cornu_value *attributes;   /* of the operation: the size, the method */
  const char *interpolation;
  atomic_uchar *left_out;          /* NULL: a picture that cannot be read is an error */
} pictures;

/* The middle of the picture, in the proportions of the size that is wanted, as keras.utils.image_utils.smart_resize. */
static cn_status crop(cn_tensor **t, int64_t height, int64_t width, cn_error *e) {
  const int64_t size[2] = {(*t)->shape[0], (*t)->shape[1]};
  int64_t want[2] = {(int64_t)((double)(size[1] * height) / (double)width),
                     (int64_t)((double)(size[0] * width) / (double)height)};
  for (int i = 0; i < 2; i++) {
    cn_tensor *part;
    if (want[i] > size[i]) want[i] = size[i];
    if (want[i] < 1) want[i] = 1;
    const int64_t begin = (size[i] - want[i]) / 2;
    CN_TRY(cornu_tensor_slice(*t, i, begin, begin + want[i], 1, &part, e));
    cornu_tensor_release(*t);
    *t = part;
  }
  return CORNU_OK;
}

/* Replaces *t, which is released, by what `made` says. */
static cn_status replace(cn_tensor **t, cn_tensor *made, cn_status status) {
  if (status) return status;
  cornu_tensor_release(*t);
  *t = made;
  return CORNU_OK;
}

/* Where in a row the picture is. */
typedef struct place { int64_t height, width, top, left; } place;

/* In single precision, as TensorFlow's resize_with_pad. */
static place padded(const cornu_picture_options *o, const int64_t *size) {
  const float h = (float)size[0], w = (float)size[1], to_h = (float)o->height, to_w = (float)o->width;
  const float ratio = fmaxf(w / to_w, h / to_h), new_h = h / ratio, new_w = w / ratio;
  return (place){.height = (int64_t)fmaxf(1, floorf(new_h)), .width = (int64_t)fmaxf(1, floorf(new_w)),
                 .top = (int64_t)fmaxf(0, floorf((to_h - new_h) / 2)),
                 .left = (int64_t)fmaxf(0, floorf((to_w - new_w) / 2))};
}

static cornu_value *resizing(cornu_tree *t, int64_t height, int64_t width, const char *method) {
  if (!t) return NULL;
  cornu_value *size = cornu_value_list(t), *dict = cornu_value_dict(t);
  const bool made = cornu_value_append(t, size, cornu_value_int(t, height)) &&
                    cornu_value_append(t, size, cornu_value_int(t, width)) &&
                    cornu_value_set(t, dict, "size", size) &&
                    cornu_value_set(t, dict, "method", cornu_value_string(t, method, strlen(method)));
  return made ? dict : NULL;
}

/* uint8 (height, width, channels) to float32 (1, height, width, channels) of the size of its place. */
static cn_status resize(const pictures *p, cn_tensor **t, place *at, cn_error *e) {
  const cornu_picture_options *o = &p->o;
  cn_tensor *made = NULL;
  int n = 1;
  if (o->crop_to_aspect_ratio) CN_TRY(crop(t, o->height, o->width, e));
  *at = o->pad_to_aspect_ratio ? padded(o, (*t)->shape) : (place){o->height, o->width, 0, 0};
  cn_status status = cornu_tensor_cast(*t, CORNU_FLOAT32, &made, e);
  CN_TRY(replace(t, made, status));
  const int64_t *s = (*t)->shape, shape[] = {1, s[0], s[1], s[2]};
  status = cornu_tensor_reshape(*t, 4, shape, &made, e);
  CN_TRY(replace(t, made, status));
  if (shape[1] == at->height && shape[2] == at->width) return CORNU_OK;
  const bool apart = o->pad_to_aspect_ratio;
  cornu_tree *own = apart ? cornu_tree_new() : NULL;
  const cornu_value *how = apart ? resizing(own, at->height, at->width, p->interpolation) : p->attributes;
  status = how ? cornu_apply("resize", t, 1, how, &made, &n, e) : cn_no_memory(e);
  cornu_tree_free(own);
  return replace(t, made, status);
}

static void write_row(const cornu_picture_options *o, const place *at, const float *from, float *to) {
  for (int64_t y = 0; y < o->height; y++)
    for (int64_t x = 0; x < o->width; x++, to += o->channels) {
      const bool inside = y >= at->top && y < at->top + at->height && x >= at->left && x < at->left + at->width;
      for (int c = 0; c < o->channels; c++)
        to[c] = (inside ? from[o->bgr ? o->channels - 1 - c : c] : 0) * o->scale[c] + o->shift[c];
      if (inside) from += o->channels;
    }
}

static cn_status read_picture(pictures *p, int64_t row, char *to, cn_error *e) {
  cn_tensor *t = NULL, *plain = NULL;
  place at;
  CN_TRY(cornu_image_load(p->paths[row], p->o.channels, &t, e));
  cn_status status = resize(p, &t, &at, e);
  if (!status) status = cornu_tensor_contiguous(t, &plain, e);
  if (!status) write_row(&p->o, &at, (const float *)(const void *)plain->data, (float *)(void *)to);
  cornu_tensor_release(plain);
  cornu_tensor_release(t);
  return status;
}

/* A picture that is damaged, of another format, or away. */
static bool is_bad(cn_status status) { return status != CORNU_ERR_MEMORY && status != CORNU_ERR_INTERRUPTED; }

static cn_status pictures_read(void *state, int64_t first, int64_t n, char *to, cn_error *e) {
  pictures *p = state;
  const size_t bytes = (size_t)p->o.height * (size_t)p->o.width * (size_t)p->o.channels * sizeof(float);
  for (int64_t i = 0; i < n; i++) {
    cn_status status = read_picture(p, first + i, to + (size_t)i * bytes, e);
    if (!status) continue;
    if (!p->left_out || !is_bad(status)) return status;
    atomic_store_explicit(&p->left_out[first + i], 1, memory_order_relaxed);
    memset(to + (size_t)i * bytes, 0, bytes);
  }
  return CORNU_OK;
}

static void pictures_close(void *state) {
  pictures *p = state;
  cornu_tree_free(p->tree);
  cn_arena_free(&p->arena);
  cn_free(p);
}

static cn_status check_options(const cornu_picture_options *o, cn_error *e) {
  if (o->height < 1 || o->width < 1 || o->height > 1 << 16 || o->width > 1 << 16)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "pictures of %d x %d points", o->height, o->width);
  if (o->crop_to_aspect_ratio && o->pad_to_aspect_ratio)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "crop_to_aspect_ratio and pad_to_aspect_ratio are both true: expected one of "
                   "them at most");
  if (o->channels == 1 || o->channels == 3 || o->channels == 4) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "channels is %d; it may be 1 (grey), 3 (RGB) or 4 (RGBA)", o->channels);
}

static cn_status keep_attributes(pictures *p, const char *interpolation, cn_error *e) {
  p->tree = cornu_tree_new();
  p->attributes = resizing(p->tree, p->o.height, p->o.width, interpolation);
  p->interpolation = cn_arena_string(&p->arena, interpolation);
  return p->attributes && p->interpolation ? CORNU_OK : cn_no_memory(e);
}

static cn_status keep_paths(pictures *p, const char *const *paths, int64_t n, cn_error *e) {
  p->paths = cn_arena_array(&p->arena, (size_t)n + 1, sizeof *p->paths);
  if (p->o.skip_errors) p->left_out = cn_arena_array(&p->arena, (size_t)n + 1, sizeof *p->left_out);
  if (!p->paths || (p->o.skip_errors && !p->left_out)) return cn_no_memory(e);
  for (int64_t i = 0; i < n; i++)
    if (!(p->paths[i] = cn_arena_string(&p->arena, paths[i]))) return cn_no_memory(e);
  return CORNU_OK;
}

cornu_status cornu_rows_of_pictures(const char *const *paths, int64_t n, const cornu_picture_options *o, cornu_rows **out,
                                    cornu_error *e) {
  static const cn_rows_kind kind = {pictures_read, pictures_close, true};
  *out = NULL;
  CN_TRY(check_options(o, e));
  pictures *p = cn_calloc(1, sizeof *p);
  if (!p) return cn_no_memory(e);
  p->o = *o;
  cn_npy form = {.dtype = CORNU_FLOAT32, .rank = 4, .shape = {n, o->height, o->width, o->channels}};
  const int64_t size = cn_shape_size(4, form.shape);
  cn_status status = size < 0 || !cn_mul_size((size_t)size, sizeof(float), &form.bytes) ?
                         cn_fail(e, CORNU_ERR_LIMIT, "%lld pictures are too many", (long long)n) : CORNU_OK;
  if (!status) status = keep_attributes(p, o->interpolation ? o->interpolation : "bilinear", e);
  if (!status) status = keep_paths(p, paths, n, e);
  if (status) return pictures_close(p), status;
  CN_TRY(cn_rows_new(&kind, p, &form, out, e));
  (*out)->left_out = p->left_out;
  return CORNU_OK;
}
