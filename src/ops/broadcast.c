#include "ops/broadcast.h"

#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
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
  const cn_walk *w = c->w;
  int64_t length = w->length, stride = w->stride[0][w->rank - 1], offset[CN_WALK_INPUTS], at[CN_WALK_RANK];
  cn_walk_row(w, begin, offset);
  for (int64_t i = w->rank - 2, row = begin; i >= 0; row /= w->shape[i--]) at[i] = row % w->shape[i];
  for (int64_t row = begin; row < end; row++) {
    copy_row(c->to + (size_t)(row * length) * c->size, c->from + offset[0] * (int64_t)c->size, length, stride, c->size);
    for (int i = w->rank - 2; i >= 0; i--) {
      offset[0] += w->stride[0][i];
      if (++at[i] < w->shape[i]) break;
      offset[0] -= w->shape[i] * w->stride[0][i];
      at[i] = 0;
    }
  }
}

/* Columns and rows of one turn of a matrix; fewer than FEW are not worth one. */
enum { COLUMNS = 64, ROWS = 1024, FEW = 4 };

/* The dimension along which the input is contiguous, where the last one is not: with it, matrices are transposed. */
static int contiguous(const cn_walk *w) {
  for (int i = 0; i < w->rank - 1; i++)
    if (w->stride[0][i] == 1 && w->stride[0][w->rank - 1] != 1 && w->shape[i] >= FEW && w->length >= FEW) return i;
  return -1;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Some columns and rows of a matrix for each of the other dimensions. */
static void turn_matrices(void *context, int64_t begin, int64_t end) {
  const copy *c = context;
  const cn_walk *w = c->w;
  const int inner = contiguous(w);
  const int64_t columns = w->shape[inner], parts = (columns + COLUMNS - 1) / COLUMNS;
  const int64_t down = (w->length + ROWS - 1) / ROWS;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t row = unit % down * ROWS, first = unit / down % parts * COLUMNS;
    int64_t rest = unit / down / parts, from = first + row * w->stride[0][w->rank - 1], to = row;
    int64_t step = w->length, pitch = step;
    for (int i = w->rank - 2; i >= 0; step *= w->shape[i--]) {
      if (i == inner) {
        pitch = step;
        to += first * step;
        continue;
      }
      to += rest % w->shape[i] * step;
      from += rest % w->shape[i] * w->stride[0][i];
      rest /= w->shape[i];
    }
    cn_transpose_items(c->size, c->to + (size_t)to * c->size, pitch, c->from + from * (int64_t)c->size,
                       w->stride[0][w->rank - 1], least(w->length - row, ROWS), least(columns - first, COLUMNS));
  }
}

void cn_walk_copy(const cn_walk *w, void *to, const void *from, size_t size) {
  copy c = {w, to, from, size};
  if (w->length <= 0) return;
  int inner = size <= 8 ? contiguous(w) : -1;
  if (inner < 0) {
    cn_parallel_range(w->rows, 16384 / w->length + 1, copy_rows, &c);
    return;
  }
  int64_t units = w->rows / w->shape[inner] * ((w->shape[inner] + COLUMNS - 1) / COLUMNS);
  units *= (w->length + ROWS - 1) / ROWS;
  cn_parallel_range(units, 16384 / (least(w->length, ROWS) * COLUMNS) + 1, turn_matrices, &c);
}
