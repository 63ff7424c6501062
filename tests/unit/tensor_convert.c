/* Conversions: every pair of dtypes against exact arithmetic in long double, 16-bit floats bit by bit, copies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "tensor/tensor.h"

/* ---- the reference: a float format is its digits (the hidden one counts) and its exponent's bias ---- */

typedef struct format {
  int digits, bias;
} format;
static const format formats[] = {
    [CORNU_FLOAT32] = {24, 127}, [CORNU_FLOAT64] = {53, 1023}, [CORNU_FLOAT16] = {11, 15}, [CORNU_BFLOAT16] = {8, 127}};
static const struct {
  int bits;
  bool is_signed;
} integers[CORNU_DTYPES] = {[CORNU_INT8] = {8, true},     [CORNU_INT16] = {16, true},  [CORNU_INT32] = {32, true},
                            [CORNU_INT64] = {64, true},   [CORNU_UINT8] = {8, false},  [CORNU_UINT16] = {16, false},
                            [CORNU_UINT32] = {32, false}, [CORNU_UINT64] = {64, false}};

/* v to the nearest number of the format, ties to even */
static long double round_to(long double v, format f) {
  int exponent;
  if (!isfinite(v) || v == 0) return v;
  frexpl(v, &exponent);
  int unit = exponent - f.digits, smallest = 2 - f.bias - f.digits;
  if (unit < smallest) unit = smallest;
  long double r = ldexpl(nearbyintl(ldexpl(v, -unit)), unit);
  return fabsl(r) >= ldexpl(1, f.bias + 1) ? copysignl(INFINITY, v) : r;
}

static uint16_t pack(long double v, format f) {
  int exponent;
  uint16_t sign = signbit(v) ? 0x8000 : 0, ones = (uint16_t)((2 * f.bias + 1) << (f.digits - 1));
  long double size = fabsl(v);
  if (isnan(v)) return sign | ones | (uint16_t)(1 << (f.digits - 2));
  if (isinf(v)) return sign | ones;
  frexpl(size, &exponent);
  int biased = exponent - 1 + f.bias;
  if (size == 0 || biased <= 0) return sign | (uint16_t)ldexpl(size, f.bias + f.digits - 2);
  int rest = (int)ldexpl(size, f.digits - exponent) - (1 << (f.digits - 1));
  return sign | (uint16_t)(biased << (f.digits - 1)) | (uint16_t)rest;
}

static long double unpack(uint16_t bits, format f) {
  int biased = (bits & 0x7FFF) >> (f.digits - 1), rest = bits & ((1 << (f.digits - 1)) - 1);
  long double size = biased == 0            ? ldexpl(rest, 2 - f.bias - f.digits)
                     : biased <= 2 * f.bias ? ldexpl(rest + (1 << (f.digits - 1)), biased - f.bias - f.digits + 1)
                     : rest                 ? NAN
                                            : INFINITY;
  return bits & 0x8000 ? -size : size;
}

typedef union cell {
  float f;
  double d;
  int8_t i8;
  int16_t i16;
  int32_t i32;
  int64_t i64;
  uint8_t u8;
  uint16_t u16;
  uint32_t u32;
  uint64_t u64;
} cell;

static long double read_cell(const cell *c, cornu_dtype d) {
  switch (d) {
    case CORNU_FLOAT32: return c->f;
    case CORNU_FLOAT64: return c->d;
    case CORNU_FLOAT16:
    case CORNU_BFLOAT16: return unpack(c->u16, formats[d]);
    case CORNU_INT8: return c->i8;
    case CORNU_INT16: return c->i16;
    case CORNU_INT32: return c->i32;
    case CORNU_INT64: return c->i64;
    case CORNU_UINT16: return c->u16;
    case CORNU_UINT32: return c->u32;
    case CORNU_UINT64: return c->u64;
    default: return c->u8;
  }
}

static long double lowest(cornu_dtype d) { return integers[d].is_signed ? -ldexpl(1, integers[d].bits - 1) : 0; }
static long double highest(cornu_dtype d) { return ldexpl(1, integers[d].bits - integers[d].is_signed) - 1; }

/* Writes v; false: the dtype does not have it. */
static bool write_cell(cell *c, cornu_dtype d, long double v) {
  memset(c, 0, sizeof *c);
  if (d <= CORNU_BFLOAT16) {
    if (!isnan(v) && round_to(v, formats[d]) != v) return false;
    if (d == CORNU_FLOAT32) c->f = (float)v;
    else if (d == CORNU_FLOAT64) c->d = (double)v;
    else c->u16 = pack(v, formats[d]);
    return true;
  }
  if (d == CORNU_BOOL8) return c->u8 = v == 1, v == 0 || v == 1;
  if (!(v >= lowest(d) && v <= highest(d)) || v != truncl(v)) return false;
  c->u64 = v < 0 ? (uint64_t)(int64_t)v : (uint64_t)v; /* little-endian: the low bytes come first */
  return true;
}

/* What NumPy gives; where its result depends on the machine, the nearest end of the range, and 0 for NaN. */
static long double expected(long double v, cornu_dtype from, cornu_dtype to) {
  if (to == CORNU_BFLOAT16) return round_to(round_to(v, formats[CORNU_FLOAT32]), formats[to]); /* ml_dtypes' way */
  if (to <= CORNU_BFLOAT16) return round_to(v, formats[to]);
  if (to == CORNU_BOOL8) return v != 0;
  if (from > CORNU_BFLOAT16) { /* between integers: the low bits */
    uint64_t mask = integers[to].bits == 64 ? UINT64_MAX : ((uint64_t)1 << integers[to].bits) - 1;
    uint64_t low = (v < 0 ? (uint64_t)(int64_t)v : (uint64_t)v) & mask;
    return integers[to].is_signed && low > mask / 2 ? (long double)low - ldexpl(1, integers[to].bits)
                                                    : (long double)low;
  }
  return isnan(v) ? 0 : fminl(fmaxl(truncl(v), lowest(to)), highest(to));
}

static void test_every_pair(void **state) {
  (void)state;
  static const long double values[] = {
      0, -0.0L, 1, -1, 0.5L, 2.5L, -2.5L, 0.999999L, 100, 127, 128, -128, -129, -128.75L, 200, 255, 255.9L, 256,
      300.75L, 2049, 2051, 32767, 32768, -32768, -32769, 65504, 65519, 65520, 65535, 65536, 65537, 16777217, 16777219,
      2147483647, 2147483648, -2147483648.0L, -2147483649.0L, 4294967295, 4294967296, 1e10L, 9007199254740993.0L,
      0x1p60L + 0x1p36L + 1, 0x1p40L + 0x1p32L + 1, 0x1p62L + 0x1p54L + 1, 0x1p63L - 1, 0x1p63L, -0x1p63L,
      0x1p63L + 0x1p39L + 1, 0x1p64L - 1, 0x1p64L, 1e20L, -1e20L, 1e-3L, 0x1p-14L, 0x1p-24L, 0x1p-25L,
      0x1p-25L + 0x1p-60L, 0x3p-25L, 1 + 0x1p-11L, 1 + 0x3p-11L, 1 + 0x1p-11L + 0x1p-40L, -1 - 0x1p-11L - 0x1p-40L,
      1 + 0x1p-8L, 1 + 0x1p-24L, 1 + 0x1p-24L + 0x1p-50L, 0x1p-133L, 0x1p-149L, 0x1p-150L, 0x1p-1074L,
      0x1.fffffep127L, 0x1.ffffffp127L, 1e300L, -1e300L, INFINITY, -INFINITY, NAN};
  int checked = 0;
  for (int from = 0; from < CORNU_TEXT; from++)
    for (int to = 0; to < CORNU_TEXT; to++)
      for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        long double v = from <= CORNU_FLOAT64 ? round_to(values[i], formats[from]) : values[i];
        cell in[2], out[2] = {0};
        if (from > CORNU_BFLOAT16 && v == 0) v = 0; /* no -0 */
        if (!write_cell(in, (cornu_dtype)from, v)) continue;
        size_t size = cornu_dtype_bytes((cornu_dtype)from);
        memmove((char *)in + size, in, size); /* twice: contiguous */
        cn_convert(out, (cornu_dtype)to, in, (cornu_dtype)from, 2);
        cell second = {0};
        memcpy(&second, (char *)out + cornu_dtype_bytes((cornu_dtype)to), cornu_dtype_bytes((cornu_dtype)to));
        long double want = expected(v, (cornu_dtype)from, (cornu_dtype)to), got = read_cell(&out[0], (cornu_dtype)to);
        bool same = isnan(want) ? isnan(got) : got == want && (to > CORNU_BFLOAT16 || !signbit(got) == !signbit(want));
        if (!same || (!isnan(want) && read_cell(&second, (cornu_dtype)to) != want))
          fail_msg("%s %.20Lg to %s: %.20Lg, expected %.20Lg", cornu_dtype_name((cornu_dtype)from), v,
                   cornu_dtype_name((cornu_dtype)to), got, want);
        checked++;
      }
  assert_true(checked > 13 * 13 * 10);
}

/* Each of the 65536 patterns has the right value, and goes there and back. */
static void test_all_patterns(void **state) {
  (void)state;
  for (int bits = 0; bits < 65536; bits++)
    for (int d = CORNU_FLOAT16; d <= CORNU_BFLOAT16; d++) {
      bool half = d == CORNU_FLOAT16;
      long double want = unpack((uint16_t)bits, formats[d]);
      float got = half ? cn_half_to_float((uint16_t)bits) : cn_bfloat_to_float((uint16_t)bits);
      uint16_t back = half ? cn_float_to_half(got) : cn_float_to_bfloat(got);
      if (isnan(want)) assert_true(isnan(got) && isnan(unpack(back, formats[d])) && (back & 0x8000) == (bits & 0x8000));
      else if (got != want || !signbit(got) != !signbit(want) || back != bits)
        fail_msg("%s %04x: %g, expected %Lg; back: %04x", cornu_dtype_name((cornu_dtype)d), bits, got, want, back);
    }
}

/* Bits as NumPy 2 and ml_dtypes write them. */
static void test_bits(void **state) {
  (void)state;
  static const struct {
    double v;
    cornu_dtype d;
    unsigned bits;
  } cases[] = {
      {-0.0, CORNU_FLOAT16, 0x8000}, {-2, CORNU_FLOAT16, 0xC000}, {1.0 / 3, CORNU_FLOAT16, 0x3555},
      {0.1, CORNU_FLOAT16, 0x2E66}, {65504, CORNU_FLOAT16, 0x7BFF}, {65519.99, CORNU_FLOAT16, 0x7BFF},
      {65520, CORNU_FLOAT16, 0x7C00}, {-1e30, CORNU_FLOAT16, 0xFC00}, {0x1p-24, CORNU_FLOAT16, 0x0001},
      {0x1p-25, CORNU_FLOAT16, 0x0000}, {0x1p-25 + 0x1p-60, CORNU_FLOAT16, 0x0001}, {0x3p-25, CORNU_FLOAT16, 0x0002},
      {0x1p-14 - 0x1p-26, CORNU_FLOAT16, 0x0400}, {2049, CORNU_FLOAT16, 0x6800}, {2051, CORNU_FLOAT16, 0x6802},
      {1 + 0x1p-11, CORNU_FLOAT16, 0x3C00}, {1 + 0x1p-11 + 0x1p-40, CORNU_FLOAT16, 0x3C01},
      {NAN, CORNU_FLOAT16, 0x7E00}, {-0.0, CORNU_BFLOAT16, 0x8000}, {1.0 / 3, CORNU_BFLOAT16, 0x3EAB},
      {0.1, CORNU_BFLOAT16, 0x3DCD}, {3.3895313892515355e38, CORNU_BFLOAT16, 0x7F7F},
      {3.4e38, CORNU_BFLOAT16, 0x7F80}, {1 + 0x1p-8, CORNU_BFLOAT16, 0x3F80}, {1 + 0x3p-8, CORNU_BFLOAT16, 0x3F82},
      {0x1p-133, CORNU_BFLOAT16, 0x0001}, {0x1p-134, CORNU_BFLOAT16, 0x0000}, {0x3p-135, CORNU_BFLOAT16, 0x0001},
      {-INFINITY, CORNU_BFLOAT16, 0xFF80}, {NAN, CORNU_BFLOAT16, 0x7FC0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint16_t out = 0xAAAA;
    cn_convert(&out, cases[i].d, &cases[i].v, CORNU_FLOAT64, 1);
    if (out != cases[i].bits)
      fail_msg("%.17g to %s: %04x, expected %04x", cases[i].v, cornu_dtype_name(cases[i].d), out, cases[i].bits);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_pair), cmocka_unit_test(test_all_patterns),
                                     cmocka_unit_test(test_bits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
