/* One arena for all values of a plan: greedy by size, each block at the lowest offset that is free for its lifetime. */
#include <stdlib.h>

#include "graph/planner.h"

static int by_size(const void *a, const void *b) {
  const cn_block *x = *(const cn_block *const *)a, *y = *(const cn_block *const *)b;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
  return x->first != y->first ? (x->first < y->first ? -1 : 1) : (x < y ? -1 : x > y);
}

static int by_offset(const void *a, const void *b) {
  const cn_block *x = *(const cn_block *const *)a, *y = *(const cn_block *const *)b;
  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static size_t padded(size_t bytes) { return (bytes + 64 + 63) & ~(size_t)63; }

/* The lowest gap of at least `bytes` between the blocks of `busy`, which is sorted by offset. */
static size_t lowest_gap(cn_block *const *busy, int count, size_t bytes) {
  size_t at = 0;
  for (int i = 0; i < count; i++) {
    if (busy[i]->offset >= at + bytes) break;
    size_t end = busy[i]->offset + padded(busy[i]->bytes);
    if (end > at) at = end;
  }
  return at;
}

cn_status cn_memory_layout(cn_block *blocks, int count, size_t *bytes, cn_error *e) {
  *bytes = 0;
  if (count == 0) return CORNU_OK;
  cn_block **order = cn_calloc((size_t)count, sizeof *order), **busy = cn_calloc((size_t)count, sizeof *busy);
  if (!order || !busy) {
    cn_free(order);
    cn_free(busy);
    return cn_no_memory(e);
  }
  for (int i = 0; i < count; i++) order[i] = &blocks[i];
  qsort(order, (size_t)count, sizeof *order, by_size);
  for (int i = 0; i < count; i++) {
    int n = 0;
    for (int j = 0; j < i; j++)
      if (order[j]->first <= order[i]->last && order[i]->first <= order[j]->last) busy[n++] = order[j];
    qsort(busy, (size_t)n, sizeof *busy, by_offset);
    order[i]->offset = lowest_gap(busy, n, padded(order[i]->bytes));
    size_t end = order[i]->offset + padded(order[i]->bytes);
    if (end > *bytes) *bytes = end;
  }
  cn_free(order);
  cn_free(busy);
  return CORNU_OK;
}
