#include "ops/broadcast.h"

#include <string.h>

#include "base/pool.h"
#include "ops/rows.h"

/* Drops dimensions of 1 and joins neighbours that every input steps through evenly. */
static void settle(cn_walk *w) {
  int rank = 0;
  for (int i = 0; i < w->rank; i++) {
    if (w->shape[i] == 1) continue;
    bool joins = rank > 0;
    for (int k = 0; joins && k < w->inputs; k++) joins = w->stride[k][rank - 1] == w->stride[k][i] * w->shape[i];
    if (joins) {
      w->shape[rank - 1] *= w->shape[i];
      for (int k = 0; k < w->inputs; k++) w->stride[k][rank - 1] = w->stride[k][i];
      continue;
    }
    w->shape[rank] = w->shape[i];
    for (int k = 0; k < w->inputs; k++) w->stride[k][rank] = w->stride[k][i];
    rank++;
  }
  if (rank == 0) {
    w->shape[rank] = 1;
    for (int k = 0; k < w->inputs; k++) w->stride[k][rank] = 1;
    rank++;
  }
  w->rank = rank;
  w->length = w->shape[rank - 1];
  w->rows = 1;
  for (int i = 0; i < rank - 1; i++) w->rows *= w->shape[i];
}

void cn_walk_broadcast(cn_walk *w, const cn_operand *out, const cn_operand *const *in, int inputs) {
  w->rank = out->rank;
  w->inputs = inputs;
  memcpy(w->shape, out->shape, sizeof *out->shape * CN_MAX_RANK);
  for (int k = 0; k < inputs; k++) {
    int64_t stride[CN_MAX_RANK];
    cn_pitched_strides(in[k], stride);
    for (int i = 0; i < out->rank; i++) {
      int from = i - (out->rank - in[k]->rank);
      w->stride[k][i] = from < 0 || in[k]->shape[from] == 1 ? 0 : stride[from];
    }
  }
  settle(w);
}

void cn_walk_strided(cn_walk *w, int rank, const int64_t *shape, const int64_t *stride) {
  w->rank = rank;
  w->inputs = 1;
  memcpy(w->shape, shape, sizeof *shape * (size_t)rank);
  memcpy(w->stride[0], stride, sizeof *stride * (size_t)rank);
  settle(w);
}

void cn_walk_row(const cn_walk *w, int64_t row, int64_t *offset) {
  for (int k = 0; k < w->inputs; k++) offset[k] = 0;
  for (int i = w->rank - 2; i >= 0; i--) {
    int64_t index = row % w->shape[i];
    row /= w->shape[i];
    for (int k = 0; k < w->inputs; k++) offset[k] += index * w->stride[k][i];
  }
}

typedef struct copy { const cn_walk *w; char *to; const char *from; size_t size; } copy;

static void copy_row(char *to, const char *from, int64_t n, int64_t stride, size_t size) {
  if (stride == 1) {
    memcpy(to, from, (size_t)n * size);
  } else if (size == 4) {
    const uint32_t *x = (const void *)from;
    uint32_t *y = (void *)to;
    for (int64_t i = 0; i < n; i++) y[i] = x[i * stride];
  } else {
    for (int64_t i = 0; i < n; i++) memcpy(to + (size_t)i * size, from + i * stride * (int64_t)size, size);
  }
}

static void copy_rows(void *context, int64_t begin, int64_t end) {
  const copy *c = context;
  int64_t length = c->w->length, stride = c->w->stride[0][c->w->rank - 1], offset[CN_WALK_INPUTS];
  for (int64_t row = begin; row < end; row++) {
    cn_walk_row(c->w, row, offset);
    copy_row(c->to + (size_t)(row * length) * c->size, c->from + offset[0] * (int64_t)c->size, length, stride, c->size);
  }
}

void cn_walk_copy(const cn_walk *w, void *to, const void *from, size_t size) {
  copy c = {w, to, from, size};
  if (w->length > 0) cn_parallel_range(w->rows, 16384 / w->length + 1, copy_rows, &c);
}
