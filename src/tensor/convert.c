/* Conversions between dtypes, copies between layouts, single elements. */
#include <math.h>
#include <string.h>

#include "base/deadline.h"
#include "base/text.h"
#include "tensor/tensor.h"

/* ---- 16-bit floats ---- */

float cn_half_to_float(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023, bits;
  if (exponent == 31) bits = sign | 0x7F800000u | fraction << 13;
  else if (exponent) bits = sign | (exponent + 112) << 23 | fraction << 13;
  else {
    float f = (float)fraction * 5.9604644775390625e-8f; /* 2^-24 */
    return sign ? -f : f;
  }
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

uint16_t cn_float_to_half(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  uint32_t size = bits & 0x7FFFFFFF;
  if (size > 0x7F800000) return sign | 0x7E00;
  if (size >= 0x477FF000) return sign | 0x7C00; /* rounds to 2^16 or more */
  if (size < 0x38800000) {                      /* subnormal halves: units of 2^-24 */
    float scaled = fabsf(f) * 16777216.0f;
    return sign | (uint16_t)nearbyintf(scaled);
  }
  uint32_t rounded = size + 0xFFF + (size >> 13 & 1);
  return sign | (uint16_t)((rounded >> 13) - (112u << 10));
}

float cn_bfloat_to_float(uint16_t b) {
  uint32_t bits = (uint32_t)b << 16;
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

uint16_t cn_float_to_bfloat(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* ---- one element, as a double or as an integer ---- */

static double read_float(const void *p, cornu_dtype d) {
  switch (d) {
    case CORNU_FLOAT32: return *(const float *)p;
    case CORNU_FLOAT64: return *(const double *)p;
    case CORNU_FLOAT16: return cn_half_to_float(*(const uint16_t *)p);
    default: return cn_bfloat_to_float(*(const uint16_t *)p);
  }
}

static int64_t read_int(const void *p, cornu_dtype d) {
  switch (d) {
    case CORNU_INT8: return *(const int8_t *)p;
    case CORNU_INT16: return *(const int16_t *)p;
    case CORNU_INT32: return *(const int32_t *)p;
    case CORNU_INT64: return *(const int64_t *)p;
    case CORNU_UINT8: return *(const uint8_t *)p;
    case CORNU_UINT16: return *(const uint16_t *)p;
    case CORNU_UINT32: return *(const uint32_t *)p;
    case CORNU_UINT64: return (int64_t)*(const uint64_t *)p;
    case CORNU_TEXT: return 0;
    default: return *(const uint8_t *)p != 0;
  }
}

static double read_number(const void *p, cornu_dtype d) {
  if (cn_dtype_is_float(d)) return read_float(p, d);
  return d == CORNU_UINT64 ? (double)*(const uint64_t *)p : (double)read_int(p, d);
}

static void write_int(void *p, cornu_dtype d, int64_t v) {
  switch (d) {
    case CORNU_INT8: *(int8_t *)p = (int8_t)v; break;
    case CORNU_INT16: *(int16_t *)p = (int16_t)v; break;
    case CORNU_INT32: *(int32_t *)p = (int32_t)v; break;
    case CORNU_INT64: *(int64_t *)p = v; break;
    case CORNU_UINT8: *(uint8_t *)p = (uint8_t)v; break;
    case CORNU_UINT16: *(uint16_t *)p = (uint16_t)v; break;
    case CORNU_UINT32: *(uint32_t *)p = (uint32_t)v; break;
    case CORNU_UINT64: *(uint64_t *)p = (uint64_t)v; break;
    case CORNU_TEXT: break;
    default: *(uint8_t *)p = v != 0; break;
  }
}

/* Rounds to odd: what a second rounding, to fewer digits, makes of it is what one rounding would have made of v. */
static float odd_float(double v) {
  float f = (float)v;
  if (isnan(v) || f == v) return f;
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  if (fabs(f) > fabs(v)) bits--;
  bits |= 1;
  memcpy(&f, &bits, sizeof f);
  return f;
}

/* To bfloat16 by way of float32, as ml_dtypes, NumPy's bfloat16, has it. */
static void write_float(void *p, cornu_dtype d, double v) {
  switch (d) {
    case CORNU_FLOAT32: *(float *)p = (float)v; break;
    case CORNU_FLOAT64: *(double *)p = v; break;
    case CORNU_FLOAT16: *(uint16_t *)p = cn_float_to_half(odd_float(v)); break;
    default: *(uint16_t *)p = cn_float_to_bfloat((float)v); break;
  }
}

/* Floats to integers truncate, stop at the ends of the range, and turn NaN into 0. */
static void write_truncated(void *p, cornu_dtype d, double v) {
  static const struct { double low, high; } range[CORNU_DTYPES] = {
      [CORNU_INT8] = {-128, 127}, [CORNU_INT16] = {-32768, 32767}, [CORNU_INT32] = {-2147483648.0, 2147483647.0},
      [CORNU_UINT8] = {0, 255}, [CORNU_UINT16] = {0, 65535}, [CORNU_UINT32] = {0, 4294967295.0}};
  if (d == CORNU_BOOL8) *(uint8_t *)p = v != 0;
  else if (isnan(v)) write_int(p, d, 0);
  else if (d == CORNU_INT64)
    *(int64_t *)p = v >= 9223372036854775807.0 ? INT64_MAX : v <= -9223372036854775808.0 ? INT64_MIN : (int64_t)v;
  else if (d == CORNU_UINT64) *(uint64_t *)p = v >= 18446744073709551615.0 ? UINT64_MAX : v <= 0 ? 0 : (uint64_t)v;
  else write_int(p, d, (int64_t)(v < range[d].low ? range[d].low : v > range[d].high ? range[d].high : v));
}

/* Rounded once: 64 bits do not fit a double. */
static float read_int_as_float(const void *p, cornu_dtype d) {
  return d == CORNU_UINT64 ? (float)*(const uint64_t *)p : (float)read_int(p, d);
}

static void convert_one(void *to, cornu_dtype to_dtype, const void *from, cornu_dtype from_dtype) {
  if ((to_dtype == CORNU_FLOAT32 || to_dtype == CORNU_BFLOAT16) && !cn_dtype_is_float(from_dtype))
    write_float(to, to_dtype, read_int_as_float(from, from_dtype));
  else if (cn_dtype_is_float(to_dtype)) write_float(to, to_dtype, read_number(from, from_dtype));
  else if (cn_dtype_is_float(from_dtype)) write_truncated(to, to_dtype, read_float(from, from_dtype));
  else write_int(to, to_dtype, read_int(from, from_dtype));
}

void cn_convert(void *to, cornu_dtype to_dtype, const void *from, cornu_dtype from_dtype, int64_t count) {
  size_t to_size = cornu_dtype_bytes(to_dtype), from_size = cornu_dtype_bytes(from_dtype);
  if (to_dtype == from_dtype) {
    if (count > 0) memcpy(to, from, (size_t)count * to_size);
  } else if (to_dtype == CORNU_FLOAT32 && from_dtype == CORNU_UINT8) {
    for (int64_t i = 0; i < count; i++) ((float *)to)[i] = ((const uint8_t *)from)[i];
  } else if (to_dtype == CORNU_FLOAT32 && from_dtype == CORNU_FLOAT64) {
    for (int64_t i = 0; i < count; i++) ((float *)to)[i] = (float)((const double *)from)[i];
  } else {
    for (int64_t i = 0; i < count; i++)
      convert_one((char *)to + (size_t)i * to_size, to_dtype, (const char *)from + (size_t)i * from_size, from_dtype);
  }
}

/* ---- copies, which end when the time for them is over ---- */

enum { STRETCH = 1 << 16 }; /* elements between two looks at the clock */

typedef struct walk {
  int64_t done;            /* since the last look */
  bool late;
  int rank;
  const int64_t *shape, *to_stride, *from_stride;
  cornu_dtype to_dtype, from_dtype;
} walk;

static void copy_one(char *to, cornu_dtype to_dtype, const char *from, cornu_dtype from_dtype) {
  if (to_dtype == from_dtype) memcpy(to, from, cornu_dtype_bytes(to_dtype));
  else convert_one(to, to_dtype, from, from_dtype);
}

static void count_copied(walk *w, int64_t n) {
  if ((w->done += n) < STRETCH) return;
  w->done = 0;
  w->late = cn_past_deadline();
}

static void copy_axis(walk *w, int axis, char *to, const char *from) {
  size_t to_size = cornu_dtype_bytes(w->to_dtype), from_size = cornu_dtype_bytes(w->from_dtype);
  if (axis == w->rank) {
    copy_one(to, w->to_dtype, from, w->from_dtype);
    count_copied(w, 1);
    return;
  }
  int64_t n = w->shape[axis], to_step = w->to_stride[axis] * (int64_t)to_size,
          from_step = w->from_stride[axis] * (int64_t)from_size;
  if (axis == w->rank - 1 && w->to_stride[axis] == 1 && w->from_stride[axis] == 1) {
    cn_convert(to, w->to_dtype, from, w->from_dtype, n);
    count_copied(w, n);
    return;
  }
  for (int64_t i = 0; i < n && !w->late; i++) copy_axis(w, axis + 1, to + i * to_step, from + i * from_step);
}

static void copy_plain(cn_tensor *to, const cn_tensor *from, int64_t n) {
  const size_t to_size = cornu_dtype_bytes(to->dtype), from_size = cornu_dtype_bytes(from->dtype);
  for (int64_t i = 0; i < n && !cn_late_at(i); i += STRETCH)
    cn_convert(to->data + (size_t)i * to_size, to->dtype, from->data + (size_t)i * from_size, from->dtype,
               n - i < STRETCH ? n - i : STRETCH);
}

static void copy_elements(cn_tensor *to, const cn_tensor *from) {
  if (cornu_tensor_size(to) == 0) return;
  cn_tensor_fetch((cn_tensor *)from);
  if (cornu_tensor_is_contiguous(to) && cornu_tensor_is_contiguous(from)) {
    copy_plain(to, from, cornu_tensor_size(to));
    return;
  }
  walk w = {0, false, to->rank, to->shape, to->stride, from->stride, to->dtype, from->dtype};
  copy_axis(&w, 0, to->data, from->data);
}

static cn_status check_kinds(cornu_dtype to, cornu_dtype from, cn_error *e) {
  if ((to == CORNU_TEXT) == (from == CORNU_TEXT)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_DTYPE, "%s does not convert to %s", cornu_dtype_name(from), cornu_dtype_name(to));
}

static bool overlap(const cn_tensor *a, const cn_tensor *b) { return a->buffer == b->buffer; }

cornu_status cornu_tensor_copy(cornu_tensor *to, const cornu_tensor *from, cornu_error *e) {
  if (cornu_tensor_is_symbolic(to) || cornu_tensor_is_symbolic(from))
    return cn_fail(e, CORNU_ERR_ARGUMENT,
                   "this tensor is symbolic: it has no data until the model runs; use tensor operations");
  cn_tensor *wide, *own = NULL;
  CN_TRY(check_kinds(to->dtype, from->dtype, e));
  if (overlap(to, from)) {
    CN_TRY(cornu_tensor_cast((cn_tensor *)from, from->dtype, &own, e));
    from = own;
  }
  cn_status status = cornu_tensor_broadcast((cn_tensor *)from, to->rank, to->shape, &wide, e);
  if (!status) {
    copy_elements(to, wide);
    cornu_tensor_release(wide);
    status = cn_check_time(e);
    if (!status && to->dtype == CORNU_TEXT) status = cn_tensor_own_texts(to, e);
  }
  cornu_tensor_release(own);
  return status;
}

cornu_status cornu_tensor_cast(cornu_tensor *t, cornu_dtype dtype, cornu_tensor **out, cornu_error *e) {
  *out = NULL;
  if (cornu_tensor_is_symbolic(t))
    return cn_fail(e, CORNU_ERR_ARGUMENT,
                   "this tensor is symbolic: it has no data until the model runs; use tensor operations");
  CN_TRY(check_kinds(dtype, t->dtype, e));
  CN_TRY(cornu_tensor_new(dtype, t->rank, t->shape, out, e));
  copy_elements(*out, t);
  cn_status status = cn_check_time(e);
  if (!status && dtype == CORNU_TEXT) status = cn_tensor_own_texts(*out, e);
  if (!status) return CORNU_OK;
  cornu_tensor_release(*out);
  *out = NULL;
  return status;
}

/* ---- elements ---- */

static char *element(const cn_tensor *t, const int64_t *index) {
  int64_t offset = 0;
  cn_tensor_fetch((cn_tensor *)t);
  for (int i = 0; i < t->rank; i++) offset += index[i] * t->stride[i];
  return t->data + offset * (int64_t)cornu_dtype_bytes(t->dtype);
}

double cornu_tensor_get(const cornu_tensor *t, const int64_t *index) {
  return read_number(element(t, index), t->dtype);
}

int64_t cornu_tensor_get_int(const cornu_tensor *t, const int64_t *index) {
  int64_t v = 0;
  const char *p = element(t, index);
  if (!cn_dtype_is_float(t->dtype)) return read_int(p, t->dtype);
  convert_one(&v, CORNU_INT64, p, t->dtype);
  return v;
}

void cornu_tensor_set(cornu_tensor *t, const int64_t *index, double value) {
  convert_one(element(t, index), t->dtype, &value, CORNU_FLOAT64);
}
void cornu_tensor_set_int(cornu_tensor *t, const int64_t *index, int64_t value) {
  convert_one(element(t, index), t->dtype, &value, CORNU_INT64);
}

/* t and u, broadcast to it, as contiguous tensors of one dtype. */
static cn_status make_comparable(cornu_tensor *t, cornu_tensor *u, cornu_dtype dtype, cn_tensor **a, cn_tensor **b,
                                 cn_error *e) {
  CN_TRY(cornu_tensor_cast(t, dtype, a, e));
  cn_status status = cornu_tensor_new(dtype, t->rank, t->shape, b, e);
  if (!status) status = cornu_tensor_copy(*b, u, e);
  if (!status) return CORNU_OK;
  cornu_tensor_release(*a);
  cornu_tensor_release(*b);
  return status;
}

static bool equal_texts(const cn_tensor *a, const cn_tensor *b) {
  const cornu_text *x = (const void *)a->data, *y = (const void *)b->data;
  int64_t n = cornu_tensor_size(a), i = 0;
  while (i < n && cn_text_equal(x[i], y[i])) i++;
  return i == n;
}

cornu_status cornu_tensor_allclose(cornu_tensor *t, cornu_tensor *u, double rtol, double atol, bool *close,
                                   double *worst, cornu_error *e) {
  if (u->rank && !cn_shape_equal(t->rank, t->shape, u->rank, u->shape))
    return cn_fail(e, CORNU_ERR_SHAPE, "shapes %s and %s differ", CN_SHAPE(t->rank, t->shape),
                   CN_SHAPE(u->rank, u->shape));
  bool texts = t->dtype == CORNU_TEXT;
  cn_tensor *a, *b;
  CN_TRY(make_comparable(t, u, texts ? CORNU_TEXT : CORNU_FLOAT64, &a, &b, e));
  *close = !texts || equal_texts(a, b);
  *worst = *close ? 0 : INFINITY;
  int64_t n = texts ? 0 : cornu_tensor_size(a);
  for (int64_t i = 0; i < n && !cn_late_at(i); i++) {
    double x = ((double *)(void *)a->data)[i], y = ((double *)(void *)b->data)[i], d = fabs(x - y);
    if (x == y || (isnan(x) && isnan(y))) continue;
    if (!(d <= atol + rtol * fabs(y)) || isinf(y)) *close = false;
    if (isnan(d)) d = INFINITY;
    if (d > *worst) *worst = d;
  }
  cornu_tensor_release(a);
  cornu_tensor_release(b);
  return cn_check_time(e);
}
