/* attention against plain loops. */
#include "op_run.h"

typedef struct sizes { int64_t batch, queries, keys, heads, groups, dim, value_dim; } sizes;

static double get(const value *v, int64_t i) {
  return v->type.dtype == CORNU_FLOAT64 ? ((double *)v->operand.data)[i] : (double)((float *)v->operand.data)[i];
}

/* The element of a mask or bias that belongs to a score; -1: it is absent. */
static int64_t place(const value *v, int64_t b, int64_t h, int64_t i, int64_t k) {
  const int64_t at[] = {b, h, i, k};
  int64_t index = 0;
  if (!v) return -1;
  for (int d = 0; d < v->type.rank; d++)
    index = index * v->type.shape[d] + (v->type.shape[d] == 1 ? 0 : at[d + 4 - v->type.rank]);
  return index;
}

static bool sees(const cn_attention_attrs *a, const value *mask, int64_t b, int64_t h, int64_t i, int64_t k) {
  int64_t at = place(mask, b, h, i, k);
  if (a->causal && k > i) return false;
  if (a->window && (i - k >= a->window || k - i >= a->window)) return false;
  return at < 0 || ((const uint8_t *)mask->operand.data)[at];
}

/* What query i of head h of sample b gets, by the definition. */
static void expected(const cn_attention_attrs *a, const sizes *z, value *const *in, int64_t b, int64_t i, int64_t h,
                     double *out) {
  double score[300], high = -INFINITY, sum = 0;
  int64_t g = h / (z->heads / z->groups);
  for (int64_t k = 0; k < z->keys; k++) {
    double dot = 0;
    for (int64_t d = 0; d < z->dim; d++)
      dot += get(in[0], ((b * z->queries + i) * z->heads + h) * z->dim + d) *
             get(in[1], ((b * z->keys + k) * z->groups + g) * z->dim + d);
    int64_t at = place(in[4], b, h, i, k);
    score[k] = a->scale * dot + (at < 0 ? 0 : get(in[4], at));
    if (!sees(a, in[3], b, h, i, k)) score[k] = a->lower ? score[k] + a->masked : a->masked;
    if (in[0]->type.dtype == CORNU_FLOAT32) score[k] = (float)score[k]; /* next to 1e9 the score is lost */
    if (score[k] > high) high = score[k];
  }
  for (int64_t k = 0; k < z->keys; k++) sum += score[k] = exp(score[k] - high);
  for (int64_t d = 0; d < z->value_dim; d++) out[d] = 0;
  for (int64_t k = 0; k < z->keys; k++)
    for (int64_t d = 0; d < z->value_dim && (!a->clear || sees(a, in[3], b, h, i, k)); d++)
      out[d] += score[k] / sum * get(in[2], ((b * z->keys + k) * z->groups + g) * z->value_dim + d);
}

static void check(cornu_dtype dtype, const cn_attention_attrs *a, const sizes *z, value *mask, value *bias) {
  value q = make_value(dtype, 4, SHAPE(z->batch, z->queries, z->heads, z->dim));
  value k = make_value(dtype, 4, SHAPE(z->batch, z->keys, z->groups, z->dim));
  value v = make_value(dtype, 4, SHAPE(z->batch, z->keys, z->groups, z->value_dim));
  fill_value(&q, 1), fill_value(&k, 2), fill_value(&v, 3);
  for (int64_t i = 0; i < q.operand.size; i++) /* so that some scores are far apart */
    if (dtype == CORNU_FLOAT64) ((double *)q.operand.data)[i] *= 3;
    else ((float *)q.operand.data)[i] *= 3;
  value *in[] = {&q, &k, &v, mask, bias};
  value y = op_result(&cn_op_attention, a, in, 5);
  expect_shape(&y, 4, SHAPE(z->batch, z->queries, z->heads, z->value_dim));
  double want[300];
  for (int64_t row = 0; row < z->batch * z->queries * z->heads; row++) {
    expected(a, z, in, row / z->heads / z->queries, row / z->heads % z->queries, row % z->heads, want);
    for (int64_t d = 0; d < z->value_dim; d++)
      if (!(fabs(get(&y, row * z->value_dim + d) - want[d]) <= (dtype == CORNU_FLOAT64 ? 1e-13 : 3e-6)))
        fail_msg("%lld queries, %lld keys, %lld heads of %lld: value %lld of row %lld is %g, expected %g",
                 (long long)z->queries, (long long)z->keys, (long long)z->heads, (long long)z->dim, (long long)d,
                 (long long)row, get(&y, row * z->value_dim + d), want[d]);
  }
  free_value(&q), free_value(&k), free_value(&v), free_value(&y);
}

/* Two of three places are seen, and one row sees none. */
static value make_mask(int rank, const int64_t *shape) {
  value m = make_value(CORNU_BOOL8, rank, shape);
  int64_t n = shape[rank - 1];
  for (int64_t i = 0; i < m.operand.size; i++) ((uint8_t *)m.operand.data)[i] = i % 3 != 1 && i / n != 1;
  return m;
}

static void check_masks(cornu_dtype dtype, const cn_attention_attrs *a, const sizes *z) {
  const int64_t b = z->batch, t = z->queries, s = z->keys, h = z->heads;
  value masks[] = {make_mask(4, SHAPE(b, 1, t, s)), make_mask(4, SHAPE(b, 1, 1, s)), make_mask(4, SHAPE(1, h, t, 1)),
                   make_mask(2, SHAPE(t, s))};
  value bias = make_value(dtype, 3, SHAPE(h, t, s)), one = make_value(dtype, 1, SHAPE(1));
  fill_value(&bias, 4), fill_value(&one, 5);
  check(dtype, a, z, NULL, NULL);
  check(dtype, a, z, NULL, &bias);
  for (int i = 0; i < CN_COUNT(masks); i++) check(dtype, a, z, &masks[i], i % 2 ? &bias : i ? &one : NULL);
  for (int i = 0; i < CN_COUNT(masks); i++) free_value(&masks[i]);
  free_value(&bias), free_value(&one);
}

static void test_attention(void **state) {
  (void)state;
  const sizes all[] = {{2, 5, 7, 4, 2, 3, 6},    {1, 1, 40, 3, 3, 16, 33}, {2, 90, 35, 2, 1, 20, 40},
                       {1, 130, 200, 1, 1, 8, 8}, {1, 3, 1, 2, 2, 1, 1},    {1, 40, 6, 1, 1, 5, 65}};
  const cn_attention_attrs kinds[] = {
      {.scale = 0.5, .masked = -2e38},
      {.scale = 1, .masked = -1e9, .lower = true, .clear = true},
      {.scale = 0.7, .masked = -2e38, .causal = true},
      {.scale = 0.7, .masked = -1e9, .lower = true, .clear = true, .causal = true, .window = 4},
      {.scale = 0.7, .masked = -2e38, .window = 3},
      {.scale = -1, .masked = -1e9, .lower = true}};
  for (int i = 0; i < CN_COUNT(all); i++)
    for (int k = 0; k < CN_COUNT(kinds); k++) {
      check_masks(CORNU_FLOAT32, &kinds[k], &all[i]);
      check_masks(CORNU_FLOAT64, &kinds[k], &all[i]);
    }
}

/* No keys: nothing to sum. No queries: no result. */
static void test_nothing(void **state) {
  (void)state;
  const cn_attention_attrs a = {.scale = 1};
  check(CORNU_FLOAT32, &a, &(sizes){2, 3, 0, 2, 1, 4, 5}, NULL, NULL);
  check(CORNU_FLOAT32, &a, &(sizes){2, 0, 3, 2, 1, 4, 5}, NULL, NULL);
}

static void test_refusals(void **state) {
  (void)state;
  const cn_attention_attrs a = {.scale = 1};
  value q = FLOATS(4, 1, 5, 3, 4), k = FLOATS(4, 1, 6, 2, 4), v = FLOATS(4, 1, 6, 3, 4);
  value mask = make_value(CORNU_BOOL8, 2, SHAPE(6, 5)), floats = FLOATS(2, 5, 6);
  expect_failure(&cn_op_attention, &a, (value *[]){&q, &k, &k}, 3, "heads a multiple of groups");
  expect_failure(&cn_op_attention, &a, (value *[]){&q, &v, &v, &mask}, 4, "does not broadcast to the scores");
  expect_failure(&cn_op_attention, &a, (value *[]){&q, &v, &v, &floats}, 4, "a mask is float32");
  free_value(&q), free_value(&k), free_value(&v), free_value(&mask), free_value(&floats);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_attention), cmocka_unit_test(test_nothing),
                                     cmocka_unit_test(test_refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
