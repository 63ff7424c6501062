/* Sums over whole tensors: in parts that depend on the size alone, added up in order. */
#include "base/pool.h"
#include "train/rules.h"

enum { MOST_PARTS = 512, LEAST = 8192, LANES = 8 };

typedef enum sum_kind { SUM, SUM_OF_SQUARES, LARGEST } sum_kind;
typedef struct sum_job {
  const void *x;
  cornu_dtype dtype;
  sum_kind kind;
  int64_t n, part;
  double sums[MOST_PARTS];
} sum_job;

#define PART(name, real)                                                                    \
  static double name(const sum_job *j, int64_t begin, int64_t end) {                        \
    const real *x = j->x;                                                                   \
    double sums[LANES] = {0}, rest = 0;                                                     \
    int64_t i = begin;                                                                      \
    for (; i + LANES <= end; i += LANES)                                                    \
      for (int k = 0; k < LANES; k++) sums[k] += j->kind ? (double)x[i + k] * x[i + k] : (double)x[i + k]; \
    for (; i < end; i++) rest += j->kind ? (double)x[i] * x[i] : (double)x[i];              \
    for (int k = 0; k < LANES; k++) rest += sums[k];                                        \
    return rest;                                                                            \
  }                                                                                         \
  static double name##_largest(const sum_job *j, int64_t begin, int64_t end) {              \
    const real *x = j->x;                                                                   \
    double most = 0;                                                                        \
    for (int64_t i = begin; i < end; i++) {                                                 \
      const double a = fabs((double)x[i]);                                                  \
      if (!(a <= most) && most == most) most = a;                                                           \
    }                                                                                       \
    return most;                                                                            \
  }
PART(floats, float)
PART(doubles, double)

static void sum_part(void *context, int i) {
  sum_job *j = context;
  const int64_t begin = i * j->part, end = begin + j->part < j->n ? begin + j->part : j->n;
  const bool wide = j->dtype == CORNU_FLOAT64;
  if (j->kind == LARGEST) j->sums[i] = wide ? doubles_largest(j, begin, end) : floats_largest(j, begin, end);
  else j->sums[i] = wide ? doubles(j, begin, end) : floats(j, begin, end);
}

static double sum(const void *x, cornu_dtype dtype, int64_t n, sum_kind kind) {
  sum_job j = {.x = x, .dtype = dtype, .kind = kind, .n = n, .part = (n + MOST_PARTS - 1) / MOST_PARTS};
  if (j.part < LEAST) j.part = LEAST;
  const int parts = (int)((n + j.part - 1) / j.part);
  double total = 0;
  cn_parallel(parts, sum_part, &j);
  for (int i = 0; i < parts; i++) {
    if (kind != LARGEST) total += j.sums[i];
    else if (!(j.sums[i] <= total) && total == total) total = j.sums[i];
  }
  return total;
}

double cn_sum_of_squares(const void *x, cornu_dtype dtype, int64_t n) { return sum(x, dtype, n, SUM_OF_SQUARES); }
double cn_sum_of(const void *x, cornu_dtype dtype, int64_t n) { return sum(x, dtype, n, SUM); }
double cn_largest_of(const void *x, cornu_dtype dtype, int64_t n) { return sum(x, dtype, n, LARGEST); }
