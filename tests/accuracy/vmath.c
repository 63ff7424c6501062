/* The vector functions of every instruction set against long double: all floats where a function is more than its
 * limit, every 997th elsewhere. Prints the largest errors; fails where one is above what vmath.h states. */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/exact.h"
#include "base/pool.h"

enum { BLOCK = 4096, TASKS = 64, ISAS = 3 };

typedef struct worst { double error; float x, y; } worst;
typedef struct sweep {
  const exact *f;
  uint32_t low, high;             /* bits of f->low and f->high */
  worst found[TASKS][ISAS];
} sweep;

static float from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* Whether y is surely closer to f(x), near in double, than `error` ulp; quick, and never so for special values. */
static inline bool is_close(const exact *f, float x, float y, double near, double error) {
  double size = fabs(near), by_x = fabs((double)x);
  if (f->by_x && size < by_x) size = by_x;
  double ulp = (double)from_bits(bits_of((float)size) & 0x7f800000) * 0x1p-23;
  return fabs((double)y - near) < (error - 1e-3) * ulp;
}

static void check_block(sweep *s, worst *found, const float *x, int n) {
  double near[BLOCK];
  float y[BLOCK];
  for (int i = 0; i < n; i++) near[i] = s->f->near(x[i]);
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++) {
    exact_run(s->f, isa, y, x, n);
    for (int i = 0; i < n; i++) {
      if (is_close(s->f, x[i], y[i], near[i], found[isa].error)) continue;
      double error = exact_error(s->f, x[i], y[i], s->f->exact(x[i]));
      if (error > found[isa].error) found[isa] = (worst){error, x[i], y[i]};
    }
  }
}

/* A task takes its share of the magnitudes, with both signs. */
static void sweep_part(void *context, int task) {
  sweep *s = context;
  float x[BLOCK];
  int n = 0;
  const uint32_t inside = (s->high - s->low) / TASKS + 1, most = 0x7f800002; /* NaN is the last */
  for (uint32_t k = 0, bits; k < inside; k++) {
    if ((bits = s->low + (uint32_t)task * inside + k) > s->high) break;
    x[n++] = from_bits(bits);
    x[n++] = from_bits(bits | 0x80000000);
    if (n == BLOCK) check_block(s, s->found[task], x, n), n = 0;
  }
  for (uint32_t bits = (uint32_t)task * 997; bits < most; bits += TASKS * 997) {
    if (bits >= s->low && bits <= s->high) continue;
    x[n++] = from_bits(bits);
    x[n++] = from_bits(bits | 0x80000000);
    if (n >= BLOCK - 4) check_block(s, s->found[task], x, n), n = 0;
  }
  x[n++] = INFINITY, x[n++] = -INFINITY, x[n++] = NAN;
  check_block(s, s->found[task], x, n);
}

/* Prints a line; the number of instruction sets with errors above the bound. */
static int report(const sweep *s) {
  int failed = 0;
  printf("%-10s bound %.2f ulp%s", s->f->name, s->f->max_ulp, s->f->by_x ? " of x" : "     ");
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++) {
    worst w = {0};
    for (int task = 0; task < TASKS; task++)
      if (s->found[task][isa].error > w.error) w = s->found[task][isa];
    failed += w.error > s->f->max_ulp;
    printf("   %s %.3f at %.9g%s", exact_isas[isa], w.error, w.x, w.error > s->f->max_ulp ? " (too large)" : "");
  }
  puts("");
  fflush(stdout);
  return failed;
}

int main(int argc, char **argv) {
  int passed = 0, failed = 0;
  for (size_t k = 0; k < sizeof exacts / sizeof *exacts; k++) {
    sweep s = {.f = &exacts[k], .low = bits_of(exacts[k].low), .high = bits_of(exacts[k].high)};
    if (argc > 1 && strcmp(argv[1], s.f->name) != 0) continue;
    cn_parallel(TASKS, sweep_part, &s);
    int bad = report(&s);
    failed += bad;
    passed += (int)cn_cpu_isa() + 1 - bad;
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0;
}
