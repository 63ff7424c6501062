/* String tensors: elements point to bytes, which their buffer keeps. Bytes are never changed or freed before the buffer
 * is, so that what was read from a tensor stays valid while it lives. */
#include <string.h>

#include "base/text.h"
#include "tensor/tensor.h"

bool cn_text_equal(cornu_text a, cornu_text b) {
  return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

static cornu_text *element(const cn_tensor *t, const int64_t *index) {
  int64_t offset = 0;
  for (int i = 0; i < t->rank; i++) offset += index[i] * t->stride[i];
  return (cornu_text *)(void *)t->data + offset;
}

cornu_text cornu_tensor_get_text(const cornu_tensor *t, const int64_t *index) {
  return t->dtype == CORNU_TEXT && t->buffer ? *element(t, index) : (cornu_text){0};
}

cornu_status cornu_tensor_set_text(cornu_tensor *t, const int64_t *index, const char *bytes, size_t length,
                                   cornu_error *e) {
  if (t->dtype != CORNU_TEXT || !t->buffer)
    return cn_fail(e, CORNU_ERR_DTYPE, "a string does not go into a %s tensor", cornu_dtype_name(t->dtype));
  if (length > cn_limits.max_tensor_bytes)
    return cn_fail(e, CORNU_ERR_LIMIT, "a string of %zu bytes: the limit is %zu", length, cn_limits.max_tensor_bytes);
  char *own = cn_arena_copy(&t->buffer->texts, bytes, length);
  if (!own) return cn_no_memory(e);
  *element(t, index) = (cornu_text){own, length};
  return CORNU_OK;
}

/* ---- all elements ---- */

typedef cn_status (*visit)(void *user, cornu_text *element);

static cn_status each(const cn_tensor *t, int axis, int64_t *index, visit f, void *user) {
  if (axis == t->rank) return f(user, element(t, index));
  for (int64_t i = 0; i < t->shape[axis]; i++) {
    index[axis] = i;
    CN_TRY(each(t, axis + 1, index, f, user));
  }
  return CORNU_OK;
}

static cn_status add_length(void *user, cornu_text *x) {
  size_t *sum = user;
  return cn_add_size(*sum, x->length, sum) && *sum <= cn_limits.max_tensor_bytes ? CORNU_OK : CORNU_ERR_LIMIT;
}

static cn_status take(void *user, cornu_text *x) {
  char **to = user;
  if (x->length) memcpy(*to, x->bytes, x->length);
  x->bytes = *to;
  *to += x->length;
  return CORNU_OK;
}

static cn_status drop(void *user, cornu_text *x) {
  (void)user;
  *x = (cornu_text){0};
  return CORNU_OK;
}

/* Each element once: a dimension of stride 0 repeats the same ones. */
static cn_tensor distinct(const cn_tensor *t) {
  cn_tensor one = {.dtype = t->dtype, .rank = t->rank, .data = t->data, .buffer = t->buffer};
  for (int i = 0; i < t->rank; i++) {
    one.shape[i] = t->stride[i] == 0 && t->shape[i] > 1 ? 1 : t->shape[i];
    one.stride[i] = t->stride[i];
  }
  return one;
}

cn_status cn_tensor_own_texts(cn_tensor *t, cn_error *e) {
  int64_t index[CN_MAX_RANK + 1];
  size_t bytes = 0;
  cn_tensor one = distinct(t);
  cn_status status = each(&one, 0, index, add_length, &bytes);
  if (status)
    cn_fail(e, status, "the strings of a tensor are larger than the limit of %zu bytes", cn_limits.max_tensor_bytes);
  char *to = status ? NULL : cn_arena_alloc(&t->buffer->texts, bytes + 1);
  if (!to && !status) status = cn_no_memory(e);
  each(&one, 0, index, status ? drop : take, &to);
  return status;
}
