/* Arithmetic of two operands against plain loops, on every instruction set that this CPU has. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/kernels.h"

enum { ROOM = 20000, GUARD = 77 };
static float a[ROOM], b[ROOM], out[ROOM];

static void fill(float *x, uint32_t seed) {
  for (int i = 0; i < ROOM; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = seed >> 28 == 0 ? NAN : (float)((double)(seed >> 8) / (1 << 22) - 2);
  }
}

static float expected(cn_binary_kind kind, float x, float y) {
  switch (kind) {
    case CN_BINARY_ADD: return x + y;
    case CN_BINARY_SUB: return x - y;
    case CN_BINARY_MUL: return x * y;
    case CN_BINARY_DIV: return x / y;
    case CN_BINARY_MAXIMUM: return isnan(x) || isnan(y) ? NAN : x > y ? x : y;
    case CN_BINARY_MINIMUM: return isnan(x) || isnan(y) ? NAN : x < y ? x : y;
    default: return (x - y) * (x - y);
  }
}

static void check(const cn_binary_kernels *k, cn_binary_kind kind, const cn_binary_call *c) {
  for (int i = 0; i < ROOM; i++) out[i] = GUARD;
  k->run(kind, c);
  int64_t next = 0;
  for (int64_t r = 0; r < c->rows; r++, next = c->out_row - c->length)
    for (int64_t i = -next; i < c->length; i++) {
      const float got = out[r * c->out_row + i];
      float e = GUARD;
      if (i >= 0) {
        e = expected(kind, a[r * c->a_row + (c->a_one ? 0 : i)], b[r * c->b_row + (c->b_one ? 0 : i)]);
        if (c->act) e = (float)cn_act_double(c->act, e);
      }
      if (isnan(e) ? !isnan(got) : !(fabsf(e - got) <= (c->act ? 1e-6f * (1 + fabsf(e)) : 0)))
        fail_msg("kind %d, %lld rows of %lld: element (%lld, %lld) is %g, expected %g", kind, (long long)c->rows,
                 (long long)c->length, (long long)r, (long long)i, got, e);
    }
  assert_true(out[(c->rows - 1) * c->out_row + c->length] == GUARD);
}

static void test_rows(void **state) {
  (void)state;
  static const cn_binary_kernels *const tables[] = CN_KERNELS_OF(cn_binary);
  static const cn_act acts[] = {{CN_ACT_RELU, 0, 1.5, 0}, {CN_ACT_TANH, 0, 0, 0}};
  static const int64_t lengths[] = {1, 3, 7, 16, 24, 44, 63, 130}, rows[] = {1, 2, 35, 131};
  fill(a, 1);
  fill(b, 2);
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++)
    for (int kind = 0; kind <= CN_BINARY_SQUARED_DIFFERENCE; kind++)
      for (int i = 0; i < 8 * 4 * 3 * 2; i++) {
        const int64_t n = lengths[i % 8], m = rows[i / 8 % 4], gap = i / 96 % 2 * 3;
        const cn_act *act = i / 32 % 3 ? &acts[i / 32 % 3 - 1] : NULL;
        cn_binary_call c = {a, b, out, m, n, n + gap, n + gap, n + gap, false, false, act};
        check(tables[isa], kind, &c);
        c.b_row = 0; /* one row for all */
        check(tables[isa], kind, &c);
        c.a_row = 0, c.b_row = n + gap;
        check(tables[isa], kind, &c);
        c.a_row = n + gap, c.b_row = 1, c.b_one = true; /* one value for each row */
        check(tables[isa], kind, &c);
        c.a_row = 0, c.b_row = n + gap, c.a_one = true, c.b_one = false;
        check(tables[isa], kind, &c);
      }
}

static void test_in_place_and_long(void **state) {
  (void)state;
  const cn_act act = {CN_ACT_SIGMOID, 0, 0, 0};
  fill(b, 3);
  for (int i = 0; i < ROOM; i++) out[i] = (float)i / ROOM;
  const cn_binary_call c = {out, b, out, 1, ROOM, 0, 0, 0, false, true, &act};
  cn_binary()->run(CN_BINARY_ADD, &c);
  for (int i = 0; i < ROOM; i++)
    assert_true(fabs(out[i] - cn_act_double(&act, (double)i / ROOM + b[0])) < 1e-6);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_in_place_and_long)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
