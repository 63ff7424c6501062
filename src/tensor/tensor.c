/* Tensors: making them, views, single elements. */
#include "tensor/tensor.h"

#include <pthread.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

static cn_status check_shape(cornu_dtype dtype, int rank, const int64_t *shape, size_t *bytes, cn_error *e) {
  if ((unsigned)dtype >= CORNU_DTYPES) return cn_fail(e, CORNU_ERR_DTYPE, "no such dtype: %d", (int)dtype);
  if (rank < 0 || rank > CN_MAX_RANK)
    return cn_fail(e, CORNU_ERR_SHAPE, "%d dimensions, expected at most %d", rank, CN_MAX_RANK);
  int64_t size = cn_shape_size(rank, shape);
  if (size == -1) return cn_fail(e, CORNU_ERR_SHAPE, "shape %s has a negative dimension", CN_SHAPE(rank, shape));
  *bytes = cornu_dtype_bytes(dtype);
  if (size == -2 || (uint64_t)size > SIZE_MAX || !cn_mul_size((size_t)size, *bytes, bytes) ||
      *bytes > cn_limits.max_tensor_bytes)
    return cn_fail(e, CORNU_ERR_LIMIT, "a %s tensor of shape %s is larger than the limit of %zu bytes",
                   cornu_dtype_name(dtype), CN_SHAPE(rank, shape), cn_limits.max_tensor_bytes);
  return CORNU_OK;
}

static void set_up(cn_tensor *t, cornu_dtype dtype, int rank, const int64_t *shape) {
  memset(t, 0, sizeof *t);
  atomic_init(&t->references, 1);
  t->dtype = dtype;
  t->rank = rank;
  if (rank) memcpy(t->shape, shape, sizeof *shape * (size_t)rank);
  cn_shape_strides(rank, t->shape, t->stride);
}

static cn_tensor *new_tensor(cornu_dtype dtype, int rank, const int64_t *shape) {
  cn_tensor *t = cn_alloc(sizeof *t);
  if (t) set_up(t, dtype, rank, shape);
  return t;
}

/* A tensor and its buffer in one block; the data may follow, aligned as cn_alloc_data has it. */
typedef struct whole {
  _Alignas(64) cn_tensor tensor;
  cn_buffer buffer;
} whole;

static void with_buffer(whole *w, cornu_dtype dtype, int rank, const int64_t *shape, cn_buffer buffer) {
  set_up(&w->tensor, dtype, rank, shape);
  w->buffer = buffer;
  w->buffer.block = w;
  atomic_init(&w->buffer.references, 1);
  w->tensor.buffer = &w->buffer;
  w->tensor.data = buffer.data;
}

cn_status cn_tensor_make(cornu_dtype dtype, int rank, const int64_t *shape, cn_tensor **out, cn_error *e) {
  size_t bytes, all;
  *out = NULL;
  CN_TRY(check_shape(dtype, rank, shape, &bytes, e));
  whole *w = cn_add_size(bytes ? bytes : 1, sizeof *w, &all) ? cn_alloc_data(all) : NULL;
  if (!w) return cn_no_memory(e);
  with_buffer(w, dtype, rank, shape, (cn_buffer){.data = w + 1, .bytes = bytes});
  if (dtype == CORNU_TEXT) memset(w->buffer.data, 0, bytes); /* strings are read before they are written */
  *out = &w->tensor;
  return CORNU_OK;
}

cornu_status cornu_tensor_new(cornu_dtype dtype, int rank, const int64_t *shape, cornu_tensor **out, cornu_error *e) {
  CN_TRY(cn_tensor_make(dtype, rank, shape, out, e));
  memset((*out)->data, 0, (*out)->buffer->bytes);
  return CORNU_OK;
}

cornu_status cornu_tensor_wrap(cornu_dtype dtype, int rank, const int64_t *shape, void *data,
                               void (*release)(void *user, void *data), void *user, cornu_tensor **out,
                               cornu_error *e) {
  size_t bytes;
  *out = NULL;
  CN_TRY(check_shape(dtype, rank, shape, &bytes, e));
  if (!data && bytes) return cn_fail(e, CORNU_ERR_ARGUMENT, "there is no memory to wrap");
  static char nothing[64];
  whole *w = cn_alloc_data(sizeof *w);
  if (!w) return cn_no_memory(e);
  with_buffer(w, dtype, rank, shape,
              (cn_buffer){.data = data ? data : nothing, .bytes = bytes, .release = release, .user = user});
  *out = &w->tensor;
  return CORNU_OK;
}

cn_status cn_tensor_of_file(cornu_dtype dtype, int rank, const int64_t *shape, const void *stored,
                            void (*release)(void *user, void *data), void *user, cn_tensor **out, cn_error *e) {
  size_t bytes, all;
  *out = NULL;
  CN_TRY(check_shape(dtype, rank, shape, &bytes, e));
  bool aligned = (uintptr_t)stored % cornu_dtype_bytes(dtype) == 0;
  whole *w = cn_add_size(sizeof *w, aligned ? 0 : bytes, &all) ? cn_alloc_room(all) : NULL;
  if (!w) return cn_no_memory(e);
  with_buffer(w, dtype, rank, shape,
              (cn_buffer){.data = aligned ? (void *)stored : w + 1, .bytes = bytes, .release = release, .user = user,
                          .stored = stored});
  *out = &w->tensor;
  return CORNU_OK;
}

void cn_tensor_fetch(cn_tensor *t) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  cn_buffer *b = t->buffer;
  if (!b || !b->stored || atomic_load_explicit(&b->fetched, memory_order_acquire)) return;
  pthread_mutex_lock(&lock);
  if (!b->fetched && b->data != b->stored) {
    memcpy(b->data, b->stored, b->bytes);
    cn_mapping_let_go(b->stored, b->bytes);
  }
  atomic_store_explicit(&b->fetched, true, memory_order_release);
  pthread_mutex_unlock(&lock);
}

const char *cn_tensor_stored(const cn_tensor *t) {
  const cn_buffer *b = t->buffer;
  if (!b || !b->stored || atomic_load_explicit(&b->fetched, memory_order_acquire)) return NULL;
  return b->stored + (t->data - (const char *)b->data);
}

cn_tensor *cn_tensor_symbol(cornu_dtype dtype, int rank, const int64_t *shape, struct cn_trace *trace, int edge) {
  cn_tensor *t = new_tensor(dtype, rank, shape);
  if (!t) return NULL;
  t->trace = trace;
  t->edge = edge;
  return t;
}

cornu_tensor *cornu_tensor_retain(cornu_tensor *t) {
  if (t) atomic_fetch_add_explicit(&t->references, 1, memory_order_relaxed);
  return t;
}

/* Takes one reference back; true: it was the last. Who holds the only one needs no locked instruction to know it. */
static bool was_last(atomic_int *references) {
  return atomic_load_explicit(references, memory_order_acquire) == 1 ||
         atomic_fetch_sub_explicit(references, 1, memory_order_acq_rel) == 1;
}

static void release_buffer(cn_buffer *b) {
  if (!was_last(&b->references)) return;
  if (b->release) b->release(b->user, b->data);
  cn_arena_free(&b->texts);
  cn_free(b->block);
}

void cornu_tensor_release(cornu_tensor *t) {
  if (!t || !was_last(&t->references)) return;
  cn_buffer *b = t->buffer;
  if (!b || b->block != t) cn_free(t); /* else it goes with the buffer, which views may still use */
  if (b) release_buffer(b);
}

cornu_dtype cornu_tensor_dtype(const cornu_tensor *t) { return t->dtype; }
int cornu_tensor_rank(const cornu_tensor *t) { return t->rank; }
const int64_t *cornu_tensor_shape(const cornu_tensor *t) { return t->shape; }
const int64_t *cornu_tensor_strides(const cornu_tensor *t) { return t->stride; }
int64_t cornu_tensor_size(const cornu_tensor *t) { return cn_shape_size(t->rank, t->shape); }
void *cornu_tensor_data(cornu_tensor *t) {
  cn_tensor_fetch(t);
  return t->data;
}

bool cornu_tensor_is_symbolic(const cornu_tensor *t) { return t->buffer == NULL; }

bool cornu_tensor_is_contiguous(const cornu_tensor *t) {
  int64_t step = 1;
  if (cornu_tensor_size(t) == 0) return true;
  for (int i = t->rank - 1; i >= 0; i--) {
    if (t->shape[i] != 1 && t->stride[i] != step) return false;
    step *= t->shape[i];
  }
  return true;
}

/* ---- views ---- */

static cn_status need_data(const cn_tensor *t, cn_error *e) {
  if (!cornu_tensor_is_symbolic(t)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT,
                 "this tensor is symbolic: it has no data until the model runs; use tensor operations");
}

static cn_status need_values(cn_tensor *t, cn_error *e) {
  CN_TRY(need_data(t, e));
  cn_tensor_fetch(t);
  return CORNU_OK;
}

static cn_status view(cn_tensor *t, int rank, const int64_t *shape, const int64_t *stride, int64_t offset,
                      cn_tensor **out, cn_error *e) {
  cn_tensor *v = new_tensor(t->dtype, rank, shape);
  if (!v) return cn_no_memory(e);
  if (rank) memcpy(v->stride, stride, sizeof *stride * (size_t)rank);
  atomic_fetch_add_explicit(&t->buffer->references, 1, memory_order_relaxed);
  v->buffer = t->buffer;
  v->data = t->data + offset * (int64_t)cornu_dtype_bytes(t->dtype);
  *out = v;
  return CORNU_OK;
}

static cn_status check_axis(const cn_tensor *t, int axis, cn_error *e) {
  if (axis >= 0 && axis < t->rank) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "axis %d of a tensor with %d dimensions", axis, t->rank);
}

cornu_status cornu_tensor_slice(cornu_tensor *t, int axis, int64_t start, int64_t stop, int64_t step,
                                cornu_tensor **out, cornu_error *e) {
  *out = NULL;
  CN_TRY(need_values(t, e));
  CN_TRY(check_axis(t, axis, e));
  if (step == 0 || step == INT64_MIN) return cn_fail(e, CORNU_ERR_ARGUMENT, "a slice with step 0");
  int64_t n = t->shape[axis];
  bool fits = step > 0 ? start >= 0 && stop <= n && start <= stop : start < n && stop >= -1 && start >= stop;
  if (!fits)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "slice %lld to %lld of a dimension of %lld", (long long)start,
                   (long long)stop, (long long)n);
  int64_t reach = step > 0 ? stop - start : start - stop;
  int64_t length = reach ? (reach - 1) / (step > 0 ? step : -step) + 1 : 0;
  int64_t shape[CN_MAX_RANK], stride[CN_MAX_RANK];
  memcpy(shape, t->shape, sizeof shape);
  memcpy(stride, t->stride, sizeof stride);
  shape[axis] = length;
  if (length > 1) stride[axis] *= step; /* else the step may be of any size */
  return view(t, t->rank, shape, stride, length ? start * t->stride[axis] : 0, out, e);
}

cornu_status cornu_tensor_select(cornu_tensor *t, int axis, int64_t index, cornu_tensor **out, cornu_error *e) {
  *out = NULL;
  CN_TRY(need_values(t, e));
  CN_TRY(check_axis(t, axis, e));
  if (index < 0 || index >= t->shape[axis])
    return cn_fail(e, CORNU_ERR_ARGUMENT, "index %lld of a dimension of %lld", (long long)index,
                   (long long)t->shape[axis]);
  int64_t shape[CN_MAX_RANK], stride[CN_MAX_RANK];
  int rank = 0;
  for (int i = 0; i < t->rank; i++)
    if (i != axis) shape[rank] = t->shape[i], stride[rank++] = t->stride[i];
  return view(t, rank, shape, stride, index * t->stride[axis], out, e);
}

cornu_status cornu_tensor_transpose(cornu_tensor *t, const int *axes, cornu_tensor **out, cornu_error *e) {
  *out = NULL;
  CN_TRY(need_values(t, e));
  int64_t shape[CN_MAX_RANK], stride[CN_MAX_RANK];
  unsigned seen = 0;
  for (int i = 0; i < t->rank; i++) {
    int from = axes ? axes[i] : t->rank - 1 - i;
    CN_TRY(check_axis(t, from, e));
    if (seen & 1u << from) return cn_fail(e, CORNU_ERR_ARGUMENT, "a transpose names axis %d twice", from);
    seen |= 1u << from;
    shape[i] = t->shape[from];
    stride[i] = t->stride[from];
  }
  return view(t, t->rank, shape, stride, 0, out, e);
}

/* Fills in one -1 and compares the sizes. */
static cn_status settle_shape(const cn_tensor *t, int rank, const int64_t *wanted, int64_t *shape, cn_error *e) {
  if (rank < 0 || rank > CN_MAX_RANK)
    return cn_fail(e, CORNU_ERR_SHAPE, "%d dimensions, expected at most %d", rank, CN_MAX_RANK);
  int64_t size = cornu_tensor_size(t), known = 1;
  int open = -1;
  for (int i = 0; i < rank; i++) {
    shape[i] = wanted[i];
    if (wanted[i] == -1 && open < 0) open = i;
    else if (wanted[i] < 0)
      return cn_fail(e, CORNU_ERR_SHAPE, "a reshape may leave one dimension open: %s", CN_SHAPE(rank, wanted));
    else if (!cn_mul_i64(known, wanted[i], &known)) known = -1;
  }
  if (open >= 0 && known > 0 && size % known == 0) shape[open] = size / known, known = size;
  else if (open >= 0) known = -1;
  if (known == size) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_SHAPE, "%lld elements of shape %s do not fit the shape %s", (long long)size,
                 CN_SHAPE(t->rank, t->shape), CN_SHAPE(rank, wanted));
}

cornu_status cornu_tensor_reshape(cornu_tensor *t, int rank, const int64_t *wanted, cornu_tensor **out,
                                  cornu_error *e) {
  *out = NULL;
  int64_t shape[CN_MAX_RANK], stride[CN_MAX_RANK];
  CN_TRY(need_data(t, e));
  CN_TRY(settle_shape(t, rank, wanted, shape, e));
  cn_shape_strides(rank, shape, stride);
  if (cornu_tensor_is_contiguous(t)) return view(t, rank, shape, stride, 0, out, e);
  cn_tensor *flat;
  CN_TRY(cornu_tensor_contiguous(t, &flat, e));
  cn_status status = view(flat, rank, shape, stride, 0, out, e);
  cornu_tensor_release(flat);
  return status;
}

cornu_status cornu_tensor_broadcast(cornu_tensor *t, int rank, const int64_t *shape, cornu_tensor **out,
                                    cornu_error *e) {
  *out = NULL;
  CN_TRY(need_values(t, e));
  int64_t stride[CN_MAX_RANK];
  size_t bytes;
  CN_TRY(check_shape(t->dtype, rank, shape, &bytes, e));
  bool fits = rank >= t->rank;
  for (int i = 0; fits && i < rank; i++) {
    int from = i - (rank - t->rank);
    stride[i] = from < 0 || t->shape[from] == 1 ? 0 : t->stride[from];
    fits = from < 0 || t->shape[from] == 1 || t->shape[from] == shape[i];
  }
  if (!fits)
    return cn_fail(e, CORNU_ERR_SHAPE, "shape %s does not broadcast to %s", CN_SHAPE(t->rank, t->shape),
                   CN_SHAPE(rank, shape));
  return view(t, rank, shape, stride, 0, out, e);
}

cornu_status cornu_tensor_contiguous(cornu_tensor *t, cornu_tensor **out, cornu_error *e) {
  *out = NULL;
  CN_TRY(need_data(t, e));
  if (cornu_tensor_is_contiguous(t)) return *out = cornu_tensor_retain(t), CORNU_OK;
  return cornu_tensor_cast(t, t->dtype, out, e);
}
