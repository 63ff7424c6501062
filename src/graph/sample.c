/* A rule for averages over single elements, which only take every so many of them: what they leave out of a slice or of
 * padding before them need not be made. */
#include <string.h>

#include "graph/rewrite.h"

/* Along one dimension, element j of the result is element first + j * step of x, or 0 where x has none. */
typedef struct sampling { int64_t first, step, count; } sampling;

static bool takes_single_elements(const cn_pool_attrs *a, int n) {
  for (int i = 0; i < n; i++)
    if (a->size[i] != 1 || a->pad_begin[i] || a->pad_end[i]) return false;
  return a->average;
}

/* Moves the sampling of a slice's result to the slice's input; false where the slice does more than to begin later. */
static bool through_slice(const cn_slice_attrs *a, int rank, sampling *s) {
  int64_t begins[3] = {0};
  for (int i = 0; i < a->axes.n; i++) {
    const int64_t axis = a->axes.v[i] < 0 ? a->axes.v[i] + rank : a->axes.v[i];
    const int64_t begin = a->begin.n > i && a->begin.v[i] != CN_NULL_INT ? a->begin.v[i] : 0;
    const int64_t step = a->step.n > i && a->step.v[i] != CN_NULL_INT ? a->step.v[i] : 1;
    if (axis < 1 || axis >= rank - 1 || begin < 0 || step != 1) return false;
    begins[axis - 1] = begin;
  }
  for (int i = 0; i < rank - 2; i++) s[i].first += begins[i];
  return true;
}

static bool through_pad(const cn_pad_attrs *a, int rank, sampling *s) {
  int64_t before[3], after[3];
  if (!cn_pad_border(a, rank, before, after)) return false;
  for (int i = 0; i < rank - 2; i++) s[i].first -= before[i];
  return true;
}

/* Slices first: what is sampled must lie in them. */
static cn_edge look_through(const cn_rewrite *r, cn_edge x, int rank, sampling *s) {
  const cn_graph_node *node;
  while ((node = cn_rewrite_producer(r, x)) && node->op == &cn_op_slice && through_slice(node->attrs, rank, s))
    x = node->in[0];
  while ((node = cn_rewrite_producer(r, x)) && node->op == &cn_op_pad && through_pad(node->attrs, rank, s))
    x = node->in[0];
  return x;
}

/* x sampled, as a slice and the zeros around it. */
static cn_status take(cn_rewrite *r, const char *label, cn_edge x, int n, const sampling *s, cn_edge *out) {
  cn_slice_attrs slice = {.axes = {.n = n}, .begin = {.n = n}, .end = {.n = n}, .step = {.n = n}};
  cn_pad_attrs pad = {.before = {.n = n + 2}, .after = {.n = n + 2}};
  bool padded = false;
  for (int i = 0; i < n; i++) {
    const int64_t first = s[i].first, step = s[i].step, size = cn_rewrite_type(r, x)->shape[i + 1];
    const int64_t begin = first < 0 ? (step - 1 - first) / step : 0;
    const int64_t inside = size > first ? (size - 1 - first) / step + 1 : 0;
    const int64_t end = inside < s[i].count ? inside : s[i].count;
    if (begin >= end) return CORNU_OK;
    slice.axes.v[i] = i + 1, slice.step.v[i] = step;
    slice.begin.v[i] = first + begin * step, slice.end.v[i] = first + (end - 1) * step + 1;
    pad.before.v[i + 1] = begin, pad.after.v[i + 1] = s[i].count - end;
    padded |= begin > 0 || end < s[i].count;
  }
  int n_out;
  const cn_op_call sliced = {&cn_op_slice, &slice, &x, 1, label};
  CN_TRY(cn_rewrite_add(r, &sliced, out, &n_out));
  const cn_edge part = *out;
  const cn_op_call around = {&cn_op_pad, &pad, &part, 1, label};
  return padded ? cn_rewrite_add(r, &around, out, &n_out) : CORNU_OK;
}

cn_status cn_rule_sample(cn_rewrite *r, const cn_op_call *call, cn_edge *out) {
  if (call->op != &cn_op_pool) return CORNU_OK;
  const cn_pool_attrs *pool = call->attrs;
  const cn_type *whole = cn_rewrite_type(r, call->in[0]);
  const int rank = whole->rank, n = rank - 2;
  if (!takes_single_elements(pool, n)) return CORNU_OK;
  sampling s[3] = {0};
  for (int i = 0; i < n; i++) {
    if (whole->shape[i + 1] < 1) return CORNU_OK;
    s[i] = (sampling){0, pool->stride[i], (whole->shape[i + 1] - 1) / pool->stride[i] + 1};
  }
  const cn_edge x = look_through(r, call->in[0], rank, s);
  return x == call->in[0] ? CORNU_OK : take(r, call->label, x, n, s, out);
}
