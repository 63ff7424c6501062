/* Categories: numbers into bins, and bins as rows of ones or counts. */
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/lookup.h"
#include "ops/ops.h"

/* ---- bucketize ---- */

static cn_status bucketize_shape(cn_typing *t, cn_error *e) {
  if (t->in[1].rank != 1)
    return cn_fail(e, CORNU_ERR_SHAPE, "bucketize: the boundaries have shape %s, expected a vector",
                   CN_SHAPE(t->in[1].rank, t->in[1].shape));
  t->out[0] = t->in[0];
  t->out[0].dtype = CORNU_INT64;
  return CORNU_OK;
}

static double number_at(const cn_operand *x, int64_t i) {
  double v;
  cn_convert(&v, CORNU_FLOAT64, (const char *)x->data + (size_t)i * cornu_dtype_bytes(x->dtype), x->dtype, 1);
  return v;
}

/* How many boundaries are not above x, by halving; NaN lies above all. */
static void bucketize_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  for (int64_t i = begin; i < end; i++) {
    double x = number_at(s->in[0], i);
    int64_t low = 0, high = s->in[1]->size;
    while (low < high) {
      int64_t middle = low + (high - low) / 2;
      if (x < number_at(s->in[1], middle)) high = middle;
      else low = middle + 1;
    }
    ((int64_t *)s->out[0]->data)[i] = low;
  }
}

static void bucketize_run(const cn_step *s) { cn_parallel_range(s->out[0]->size, 2048, bucketize_range, (void *)s); }

static cn_status bucketize_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = bucketize_run;
  return CORNU_OK;
}

const cn_op cn_op_bucketize = {
    .name = "bucketize",
    .help = CN_HELP("how many of the rising boundaries are not above x\n(x, boundaries)"),
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .shape = bucketize_shape,
    .plan = bucketize_plan,
};

/* ---- encode_categories ---- */

static cn_status encode_shape(cn_typing *t, cn_error *e) {
  const cn_encode_attrs *a = t->attrs;
  const cn_type *x = &t->in[0];
  CN_TRY(cn_want_rank(x, "encode_categories: the input", 1, CN_MAX_RANK, e));
  if (t->n_in > 1 && !CN_TYPE_ABSENT(&t->in[1])) {
    const cn_type *w = &t->in[1];
    bool same = w->rank == x->rank;
    for (int d = 0; same && d < x->rank; d++) same = cn_dims_agree(x->shape[d], w->shape[d]);
    if (!same)
      return cn_fail(e, CORNU_ERR_SHAPE, "encode_categories: %s values and %s weights: expected one weight per value",
                     CN_SHAPE(x->rank, x->shape), CN_SHAPE(w->rank, w->shape));
  }
  t->out[0] = *x;
  t->out[0].shape[x->rank - 1] = a->depth;
  t->out[0].dtype = a->dtype;
  return CORNU_OK;
}

static bool refused(const cn_encode_attrs *a, int64_t k) {
  return (k < 0 && a->range != CN_RANGE_ANY) || (k >= a->depth && a->range == CN_RANGE_ALL);
}

/* Sums in float64; each row belongs to one thread. */
static void encode_rows(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_encode_attrs *a = s->attrs;
  const cn_operand *x = s->in[0], *w = s->n_in > 1 ? s->in[1] : NULL;
  int64_t n = x->shape[x->rank - 1];
  size_t size = cornu_dtype_bytes(a->dtype);
  for (int64_t r = begin; r < end; r++) {
    char *row = (char *)s->out[0]->data + (size_t)(r * a->depth) * size;
    memset(row, 0, (size_t)a->depth * size);
    for (int64_t i = r * n; i < (r + 1) * n; i++) {
      int64_t k = cn_operand_int(x, i);
      double sum = 1;
      if (k < 0 || k >= a->depth) continue;
      if (a->count) {
        cn_convert(&sum, CORNU_FLOAT64, row + (size_t)k * size, a->dtype, 1);
        sum += w ? number_at(w, i) : 1;
      }
      cn_convert(row + (size_t)k * size, a->dtype, &sum, CORNU_FLOAT64, 1);
    }
  }
}

static void encode_run(const cn_step *s) {
  const cn_encode_attrs *a = s->attrs;
  const cn_operand *x = s->in[0];
  s->failure->status = CORNU_OK;
  for (int64_t i = 0; a->range != CN_RANGE_ANY && i < x->size; i++) {
    int64_t k = cn_operand_int(x, i);
    if (!refused(a, k)) continue;
    cn_fail(s->failure, CORNU_ERR_ARGUMENT, "the value %lld is not in the range 0 to %lld of the categories",
            (long long)k, (long long)a->depth - 1);
    return;
  }
  if (s->out[0]->size > 0)
    cn_parallel_range(s->out[0]->size / a->depth, 8192 / a->depth + 1, encode_rows, (void *)s);
}

static cn_status encode_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  s->failure = cn_plan_memory(p, sizeof *s->failure);
  if (!s->failure) return cn_no_memory(e);
  s->run = encode_run;
  return CORNU_OK;
}

static const cn_field encode_fields[] = {
    {.name = "depth", .aliases = "num_tokens", .kind = CN_F_INT, .offset = offsetof(cn_encode_attrs, depth), .min = 1,
     .max = 1e9, .help = CN_HELP("how many categories: size of the last axis of the result")},
    {.name = "count", .kind = CN_F_BOOL, .offset = offsetof(cn_encode_attrs, count), .standard = "false",
     .help = CN_HELP("counts, or sums of weights, instead of 1 for each category that is there")},
    {.name = "range", .kind = CN_F_ENUM, .offset = offsetof(cn_encode_attrs, range), .standard = "\"any\"",
     .choices = "any positive all",
     .help = CN_HELP("values outside 0 … depth - 1: any are left out, or which must not be there")},
    {.name = "dtype", .kind = CN_F_DTYPE, .offset = offsetof(cn_encode_attrs, dtype), .standard = "\"float32\"",
     .help = CN_HELP("dtype of the result")},
    {0}};
const cn_op cn_op_encode_categories = {
    .name = "encode_categories",
    .help = CN_HELP("which categories are in each row, or how often\n(indices (…, n), weights?) -> (…, depth)"),
    .min_in = 1,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_encode_attrs),
    .fields = encode_fields,
    .shape = encode_shape,
    .plan = encode_plan,
};
