/* Numbers of classes in targets: their range, in one pass; the least is NaN where one of them is. */
#include <math.h>

#include "tensor/tensor.h"

typedef struct range { double low, high; } range;

#define RANGE(name, type)                                          \
  static range name(const void *data, int64_t n) {                 \
    const type *x = data;                                          \
    type low = x[0], high = x[0];                                  \
    bool numbers = true;                                           \
    for (int64_t i = 0; i < n; i++) {                              \
      numbers &= x[i] >= low || x[i] <= high; /* but NaN */        \
      low = x[i] < low ? x[i] : low;                               \
      high = x[i] > high ? x[i] : high;                            \
    }                                                              \
    return (range){numbers ? (double)low : NAN, (double)high};     \
  }
RANGE(of_floats, float)
RANGE(of_ints, int32_t)
RANGE(of_longs, int64_t)
RANGE(of_bytes, uint8_t)
RANGE(of_doubles, double)

static range range_of(const cn_tensor *t, int64_t n) {
  switch (t->dtype) {
    case CORNU_FLOAT32: return of_floats(t->data, n);
    case CORNU_INT32: return of_ints(t->data, n);
    case CORNU_INT64: return of_longs(t->data, n);
    case CORNU_UINT8: return of_bytes(t->data, n);
    default: return of_doubles(t->data, n);
  }
}

cornu_status cornu_tensor_range(cornu_tensor *t, double *low, double *high, cornu_error *e) {
  const cornu_dtype dtype = t->dtype;
  const bool as_is = dtype == CORNU_FLOAT32 || dtype == CORNU_INT32 || dtype == CORNU_INT64 || dtype == CORNU_UINT8;
  const int64_t n = cornu_tensor_size(t);
  cn_tensor *flat;
  *low = INFINITY;
  *high = -INFINITY;
  if (!n) return CORNU_OK;
  CN_TRY(as_is ? cornu_tensor_contiguous(t, &flat, e) : cornu_tensor_cast(t, CORNU_FLOAT64, &flat, e));
  const range r = range_of(flat, n);
  cornu_tensor_release(flat);
  *low = r.low;
  *high = r.high;
  return CORNU_OK;
}
