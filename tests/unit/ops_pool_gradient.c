/* pool_gradient, in float32, against plain loops: windows that overlap, that lie side by side, and that leave places out. */
#include "op_run.h"

typedef struct pool_case { int64_t h, w, channels; cn_pool_attrs attrs; } pool_case;

/* The places of window (oy, ox), in order, for one channel of the image. */
static void give_back(const pool_case *c, const float *x, float dy, float y, int64_t oy, int64_t ox, double *dx) {
  const cn_pool_attrs *a = &c->attrs;
  int inside = 0;
  bool given = false;
  for (int pass = 0; pass < 2; pass++)
    for (int64_t v = oy * a->stride[0] - a->pad_begin[0], ky = 0; ky < a->size[0]; ky++, v++)
      for (int64_t u = ox * a->stride[1] - a->pad_begin[1], kx = 0; kx < a->size[1]; kx++, u++) {
        if (v < 0 || v >= c->h || u < 0 || u >= c->w) continue;
        const int64_t i = (v * c->w + u) * c->channels;
        if (pass == 0) inside++;
        else if (a->average) dx[i] += dy / (a->count_padding ? (double)(a->size[0] * a->size[1]) : inside);
        else if (x[i] == y && !given) dx[i] += dy, given = true;
      }
}

static void check(const pool_case *c, int number) {
  enum { BATCH = 2 };
  value x = FLOATS(4, BATCH, c->h, c->w, c->channels), *in[] = {&x, NULL, NULL};
  fill_value(&x, (uint32_t)number);
  float *values = x.operand.data;
  for (int64_t i = 0; i < x.operand.size; i++) values[i] = rintf(3 * values[i]); /* ties */
  value y = op_result(&cn_op_pool, &c->attrs, in, 1);
  value dy = make_value(CORNU_FLOAT32, 4, y.type.shape);
  fill_value(&dy, (uint32_t)number + 100);
  in[1] = &y, in[2] = &dy;
  value dx = op_result(&cn_op_pool_gradient, &c->attrs, in, 3);
  double *want = calloc((size_t)x.operand.size, sizeof *want);
  const int64_t oh = y.type.shape[1], ow = y.type.shape[2], image = c->h * c->w * c->channels;
  for (int64_t i = 0; i < dy.operand.size; i++) {
    const int64_t channel = i % c->channels, o = i / c->channels, at = o / (oh * ow) * image + channel;
    give_back(c, values + at, ((float *)dy.operand.data)[i], ((float *)y.operand.data)[i], o / ow % oh,
              o % ow, want + at);
  }
  for (int64_t i = 0; i < dx.operand.size; i++)
    if (!(fabs(((float *)dx.operand.data)[i] - want[i]) <= 1e-6))
      fail_msg("case %d: element %lld is %g, expected %g", number, (long long)i, ((float *)dx.operand.data)[i], want[i]);
  free(want);
  free_value(&x), free_value(&y), free_value(&dy), free_value(&dx);
}

static void test_cases(void **unused) {
  (void)unused;
#define POOL(...) {.spatial = 2, __VA_ARGS__}
  static const pool_case cases[] = {
      {6, 4, 67, POOL(.size = {2, 2}, .stride = {2, 2})},
      {6, 4, 67, POOL(.size = {2, 2}, .stride = {2, 2}, .average = true)},
      {7, 5, 130, POOL(.size = {2, 2}, .stride = {2, 2})}, /* a row and a column are left out */
      {7, 5, 3, POOL(.size = {2, 2}, .stride = {2, 2}, .pad_end = {1, 1})},
      {7, 5, 3, POOL(.size = {2, 3}, .stride = {2, 3}, .pad_begin = {1, 1}, .pad_end = {0, 0}, .average = true)},
      {8, 9, 65, POOL(.size = {3, 3}, .stride = {2, 2}, .pad_begin = {1, 1}, .pad_end = {1, 1})},
      {8, 9, 64, POOL(.size = {3, 2}, .stride = {1, 1}, .average = true, .count_padding = true)},
      {9, 9, 1, POOL(.size = {2, 2}, .stride = {3, 3})}};
  for (int i = 0; i < CN_COUNT(cases); i++) check(&cases[i], i);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
