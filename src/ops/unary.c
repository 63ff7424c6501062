/* Element-wise functions of one input. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/gradient.h"
#include "ops/ops.h"
#include "ops/rows.h"

/* What a function makes of its input's dtype. */
typedef enum result { SAME, FLOAT, TRUTH, WHOLE } result; /* WHOLE: the same, of integers alone */

typedef struct function {
  result result;
  double (*number)(double);
  int64_t (*integer)(int64_t);                       /* SAME: for integers */
  void (*floats)(float *y, const float *x, int64_t n); /* float32 */
} function;

enum { CHUNK = 256 };

static const function *function_of(const cn_op *op);

static cn_status shape(const function *f, const char *name, cn_typing *t, cn_error *e) {
  t->out[0] = t->in[0];
  if (f->result == WHOLE && !cn_dtype_is_integer(t->in[0].dtype))
    return cn_fail(e, CORNU_ERR_DTYPE, "%s: the input is %s, expected integers", name,
                   cornu_dtype_name(t->in[0].dtype));
  if (f->result == TRUTH) t->out[0].dtype = CORNU_BOOL8;
  else if (f->result == FLOAT && !cn_dtype_is_float(t->in[0].dtype)) t->out[0].dtype = CORNU_FLOAT32;
  return CORNU_OK;
}

static void integers(const function *f, cornu_dtype type, char *y, const char *x, int64_t count) {
  size_t size = cornu_dtype_bytes(type);
  int64_t v[CHUNK];
  for (int64_t i = 0; i < count; i += CHUNK) {
    int64_t n = count - i < CHUNK ? count - i : CHUNK;
    cn_convert(v, CORNU_INT64, x + (size_t)i * size, type, n);
    for (int64_t k = 0; k < n; k++) v[k] = f->integer(v[k]);
    cn_convert(y + (size_t)i * size, type, v, CORNU_INT64, n);
  }
}

static void numbers(const function *f, cornu_dtype to, char *y, cornu_dtype from, const char *x, int64_t count) {
  size_t in_size = cornu_dtype_bytes(from), out_size = cornu_dtype_bytes(to);
  double v[CHUNK];
  for (int64_t i = 0; i < count; i += CHUNK) {
    int64_t n = count - i < CHUNK ? count - i : CHUNK;
    cn_convert(v, CORNU_FLOAT64, x + (size_t)i * in_size, from, n);
    for (int64_t k = 0; k < n; k++) v[k] = f->number(v[k]);
    cn_convert(y + (size_t)i * out_size, to, v, CORNU_FLOAT64, n);
  }
}

static void range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const function *f = function_of(s->op);
  const cornu_dtype from = s->in[0]->dtype, to = s->out[0]->dtype;
  for (int64_t n, in, out; begin < end; begin += n) {
    n = cn_rows_part(s->state, begin, end, &in, &out);
    const char *x = (const char *)s->in[0]->data + in * (int64_t)cornu_dtype_bytes(from);
    char *y = (char *)s->out[0]->data + out * (int64_t)cornu_dtype_bytes(to);
    if (f->floats && from == CORNU_FLOAT32) f->floats((float *)(void *)y, (const float *)(const void *)x, n);
    else if (f->integer && !cn_dtype_is_float(from)) integers(f, to, y, x, n);
    else numbers(f, to, y, from, x, n);
  }
}

static void run(const cn_step *s) { cn_parallel_range(s->out[0]->size, 16384, range, (void *)s); }

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  cn_row_places *rows = s->state = cn_plan_memory(p, sizeof *rows);
  if (!rows) return cn_no_memory(e);
  *rows = cn_rows_of(s->in[0], s->out[0]);
  s->run = run;
  s->flops = (double)s->out[0]->size;
  return CORNU_OK;
}

/* ---- the functions ---- */

#define FLOAT_LOOP(name, expression) \
  static void name##_floats(float *y, const float *x, int64_t n) { \
    for (int64_t i = 0; i < n; i++) { float v = x[i]; y[i] = (expression); } \
  }
FLOAT_LOOP(neg, -v)
FLOAT_LOOP(abs, fabsf(v))
FLOAT_LOOP(square, v * v)
FLOAT_LOOP(sqrt, sqrtf(v))
FLOAT_LOOP(rsqrt, 1.0f / sqrtf(v))
FLOAT_LOOP(reciprocal, 1.0f / v)
FLOAT_LOOP(floor, floorf(v))
FLOAT_LOOP(ceil, ceilf(v))
FLOAT_LOOP(round, rintf(v))
FLOAT_LOOP(trunc, truncf(v))
static void exp_floats(float *y, const float *x, int64_t n) { cn_act_math()->exp(y, x, n); }
static void expm1_floats(float *y, const float *x, int64_t n) { cn_act_math()->expm1(y, x, n); }
static void log_floats(float *y, const float *x, int64_t n) { cn_act_math()->log(y, x, n); }
static void log1p_floats(float *y, const float *x, int64_t n) { cn_act_math()->log1p(y, x, n); }
static void erf_floats(float *y, const float *x, int64_t n) { cn_act_math()->erf(y, x, n); }

static double d_neg(double v) { return -v; }
static double d_sign(double v) { return v > 0 ? 1 : v < 0 ? -1 : v; }
static double d_square(double v) { return v * v; }
static double d_rsqrt(double v) { return 1 / sqrt(v); }
static double d_reciprocal(double v) { return 1 / v; }
static double d_not(double v) { return v == 0; }
static double d_isnan(double v) { return isnan(v) != 0; }
static double d_isinf(double v) { return isinf(v) != 0; }
static double d_isfinite(double v) { return isfinite(v) != 0; }
/* float8_e4m3fn: three bits behind the point, the smallest step 2^-9. */
static double d_float8(double v) {
  int exponent;
  frexp(v, &exponent);
  int unit = (exponent > -5 ? exponent : -5) - 4;
  return ldexp(rint(ldexp(v, -unit)), unit);
}
static double d_signbit(double v) { return signbit(v) != 0; }
static double d_isposinf(double v) { return v == INFINITY; }
static double d_isneginf(double v) { return v == -INFINITY; }
static double d_sinc(double v) { return v == 0 ? 1 : sin(M_PI * v) / (M_PI * v); }

/* The series of (x / 2)^2k / k!^2, whose terms are all positive: Abramowitz and Stegun 9.6.10. */
static double d_i0(double v) {
  double sum = 1, term = 1, quarter = v * v / 4;
  for (int k = 1; k < 4096 && term > sum * 1e-17; k++) {
    term *= quarter / ((double)k * k);
    sum += term;
  }
  return isnan(v) ? v : sum;
}

static double d_i1(double v) { /* 9.6.10 */
  double sum = v / 2, term = sum, quarter = v * v / 4;
  for (int k = 1; k < 4096 && fabs(term) > fabs(sum) * 1e-17; k++) {
    term *= quarter / ((double)k * (k + 1));
    sum += term;
  }
  return isnan(v) ? v : sum;
}

/* Winitzki's approximation (2008), made exact by Halley's method. */
static double d_erfinv(double v) {
  if (!(fabs(v) < 1)) return fabs(v) == 1 ? v * INFINITY : NAN;
  double l = log1p(-v * v), b = 2 / (M_PI * 0.147) + l / 2;
  double x = copysign(sqrt(sqrt(b * b - l / 0.147) - b), v);
  for (int i = 0; i < 3; i++) {
    double wrong = (v < 0 ? erfc(-x) - (1 + v) : (1 - v) - erfc(x)) / (M_2_SQRTPI * exp(-x * x));
    x -= wrong / (1 + x * wrong);
  }
  return x;
}
static int64_t i_not(int64_t v) { return ~v; }
static int64_t i_neg(int64_t v) { return (int64_t)(0 - (uint64_t)v); }
static int64_t i_abs(int64_t v) { return v < 0 ? i_neg(v) : v; }
static int64_t i_sign(int64_t v) { return (v > 0) - (v < 0); }
static int64_t i_square(int64_t v) { return (int64_t)((uint64_t)v * (uint64_t)v); }
static int64_t i_same(int64_t v) { return v; }

/* ---- their gradients ---- */

#define MUL(a, b) cn_g_mul(g, a, b)
#define DIV(a, b) cn_g_div(g, a, b)
#define OF(id, a) cn_g1(g, &cn_op_##id, NULL, a)

static cn_edge bell(cn_gradient *g, cn_edge x, double height) { /* height * exp(-x²) */
  return cn_g_scale(g, OF(exp, cn_g_neg(g, cn_g_square(g, x))), height);
}

static cn_edge sinc_slope(cn_gradient *g, cn_edge x, cn_edge y) { /* (cos(pi x) - y) / x; 0 at 0 */
  cn_edge slope = DIV(cn_g_sub(g, OF(cos, cn_g_scale(g, x, M_PI)), y), x);
  return cn_g_where(g, cn_g2(g, &cn_op_not_equal, NULL, x, cn_gradient_number(g, x, 0)), slope);
}

static cn_edge i1_slope(cn_gradient *g, cn_edge x, cn_edge y) { /* i0(x) - y / x; 1 / 2 at 0 */
  const cn_edge zero = cn_gradient_number(g, x, 0), is = cn_g2(g, &cn_op_not_equal, NULL, x, zero);
  const cn_edge slope = cn_g_sub(g, OF(i0, x), DIV(y, x));
  return cn_gradient_emit(g, &cn_op_where, NULL, (const cn_edge[]){is, slope, cn_gradient_number(g, x, 0.5)}, 3);
}

#define GRADIENT(id, expression)                                    \
  static void gradient_##id(cn_gradient *g) {                       \
    const cn_edge x = g->in[0], y = g->out[0], dy = g->dy[0];       \
    (void)x, (void)y;                                               \
    g->dx[0] = (expression);                                        \
  }
GRADIENT(neg, cn_g_neg(g, dy))
GRADIENT(abs, MUL(dy, OF(sign, x)))
GRADIENT(square, MUL(dy, cn_g_scale(g, x, 2)))
GRADIENT(sqrt, DIV(cn_g_scale(g, dy, 0.5), y))
GRADIENT(rsqrt, MUL(cn_g_scale(g, dy, -0.5), DIV(y, x)))
GRADIENT(reciprocal, cn_g_neg(g, MUL(dy, cn_g_square(g, y))))
GRADIENT(exp, MUL(dy, y))
GRADIENT(exp2, MUL(dy, cn_g_scale(g, y, M_LN2)))
GRADIENT(expm1, MUL(dy, cn_g_shift(g, y, 1)))
GRADIENT(log, DIV(dy, x))
GRADIENT(log2, DIV(dy, cn_g_scale(g, x, M_LN2)))
GRADIENT(log10, DIV(dy, cn_g_scale(g, x, M_LN10)))
GRADIENT(log1p, DIV(dy, cn_g_shift(g, x, 1)))
GRADIENT(sin, MUL(dy, OF(cos, x)))
GRADIENT(cos, cn_g_neg(g, MUL(dy, OF(sin, x))))
GRADIENT(tan, MUL(dy, cn_g_shift(g, cn_g_square(g, y), 1)))
GRADIENT(asin, MUL(dy, OF(rsqrt, cn_g_from(g, 1, cn_g_square(g, x)))))
GRADIENT(acos, cn_g_neg(g, MUL(dy, OF(rsqrt, cn_g_from(g, 1, cn_g_square(g, x))))))
GRADIENT(atan, DIV(dy, cn_g_shift(g, cn_g_square(g, x), 1)))
GRADIENT(sinh, MUL(dy, OF(cosh, x)))
GRADIENT(cosh, MUL(dy, OF(sinh, x)))
GRADIENT(asinh, MUL(dy, OF(rsqrt, cn_g_shift(g, cn_g_square(g, x), 1))))
GRADIENT(acosh, MUL(dy, OF(rsqrt, cn_g_shift(g, cn_g_square(g, x), -1))))
GRADIENT(atanh, DIV(dy, cn_g_from(g, 1, cn_g_square(g, x))))
GRADIENT(erf, MUL(dy, bell(g, x, M_2_SQRTPI)))
GRADIENT(erfc, MUL(dy, bell(g, x, -M_2_SQRTPI)))
GRADIENT(erfinv, MUL(dy, cn_g_scale(g, OF(exp, cn_g_square(g, y)), 1 / M_2_SQRTPI)))
GRADIENT(cbrt, DIV(dy, cn_g_scale(g, cn_g_square(g, y), 3)))
GRADIENT(i0, MUL(dy, OF(i1, x)))
GRADIENT(i1, MUL(dy, i1_slope(g, x, y)))
GRADIENT(sinc, MUL(dy, sinc_slope(g, x, y)))
#undef MUL
#undef DIV
#undef OF

/* X(name, aliases, help, result, double function, integer function, float32 loop, gradient) */
#define FUNCTIONS(X) \
  X(neg, "negative", "-x", SAME, d_neg, i_neg, neg_floats, gradient_neg) \
  X(abs, "absolute", "|x|", SAME, fabs, i_abs, abs_floats, gradient_abs) \
  X(sign, NULL, "-1, 0 or 1", SAME, d_sign, i_sign, NULL, cn_gradient_zero) \
  X(square, NULL, "x * x", SAME, d_square, i_square, square_floats, gradient_square) \
  X(sqrt, NULL, "square root; NaN below 0", FLOAT, sqrt, NULL, sqrt_floats, gradient_sqrt) \
  X(rsqrt, NULL, "1 / sqrt(x)", FLOAT, d_rsqrt, NULL, rsqrt_floats, gradient_rsqrt) \
  X(reciprocal, NULL, "1 / x", FLOAT, d_reciprocal, NULL, reciprocal_floats, gradient_reciprocal) \
  X(exp, NULL, "e to the x", FLOAT, exp, NULL, exp_floats, gradient_exp) \
  X(exp2, NULL, "2 to the x", FLOAT, exp2, NULL, NULL, gradient_exp2) \
  X(expm1, NULL, "exp(x) - 1, exact near 0", FLOAT, expm1, NULL, expm1_floats, gradient_expm1) \
  X(log, NULL, "natural logarithm", FLOAT, log, NULL, log_floats, gradient_log) \
  X(log2, NULL, "logarithm to base 2", FLOAT, log2, NULL, NULL, gradient_log2) \
  X(log10, NULL, "logarithm to base 10", FLOAT, log10, NULL, NULL, gradient_log10) \
  X(log1p, NULL, "log(1 + x), exact near 0", FLOAT, log1p, NULL, log1p_floats, gradient_log1p) \
  X(sin, NULL, "sine of radians", FLOAT, sin, NULL, NULL, gradient_sin) \
  X(cos, NULL, "cosine of radians", FLOAT, cos, NULL, NULL, gradient_cos) \
  X(tan, NULL, "tangent of radians", FLOAT, tan, NULL, NULL, gradient_tan) \
  X(asin, "arcsin", "inverse sine, radians", FLOAT, asin, NULL, NULL, gradient_asin) \
  X(acos, "arccos", "inverse cosine, radians", FLOAT, acos, NULL, NULL, gradient_acos) \
  X(atan, "arctan", "inverse tangent, radians", FLOAT, atan, NULL, NULL, gradient_atan) \
  X(sinh, NULL, "hyperbolic sine", FLOAT, sinh, NULL, NULL, gradient_sinh) \
  X(cosh, NULL, "hyperbolic cosine", FLOAT, cosh, NULL, NULL, gradient_cosh) \
  X(asinh, "arcsinh", "inverse hyperbolic sine", FLOAT, asinh, NULL, NULL, gradient_asinh) \
  X(acosh, "arccosh", "inverse hyperbolic cosine", FLOAT, acosh, NULL, NULL, gradient_acosh) \
  X(atanh, "arctanh", "inverse hyperbolic tangent", FLOAT, atanh, NULL, NULL, gradient_atanh) \
  X(erf, NULL, "error function", FLOAT, erf, NULL, erf_floats, gradient_erf) \
  X(erfc, NULL, "1 - erf(x)", FLOAT, erfc, NULL, NULL, gradient_erfc) \
  X(erfinv, NULL, "the number whose error function is x; infinite at -1 and 1", FLOAT, d_erfinv, NULL, NULL, gradient_erfinv) \
  X(cbrt, NULL, "cube root", FLOAT, cbrt, NULL, NULL, gradient_cbrt) \
  X(sinc, NULL, "sin(pi x) / (pi x)", FLOAT, d_sinc, NULL, NULL, gradient_sinc) \
  X(i0, NULL, "modified Bessel function of the first kind, order 0", FLOAT, d_i0, NULL, NULL, gradient_i0) \
  X(i1, NULL, "modified Bessel function of the first kind, order 1", FLOAT, d_i1, NULL, NULL, gradient_i1) \
  X(trunc, NULL, "the whole part", SAME, trunc, i_same, trunc_floats, cn_gradient_zero) \
  X(bitwise_not, "bitwise_invert", "every bit turned over; integers", WHOLE, NULL, i_not, NULL, cn_gradient_zero) \
  X(floor, NULL, "largest whole number below", SAME, floor, i_same, floor_floats, cn_gradient_zero) \
  X(ceil, NULL, "smallest whole number above", SAME, ceil, i_same, ceil_floats, cn_gradient_zero) \
  X(round, "rint", "nearest whole number, halves to even", SAME, rint, i_same, round_floats, cn_gradient_zero) \
  X(round_float8, NULL, "nearest number of float8_e4m3fn, halves to even; up to 448", FLOAT, d_float8, NULL, NULL, cn_gradient_zero) \
  X(logical_not, NULL, "x == 0", TRUTH, d_not, NULL, NULL, cn_gradient_zero) \
  X(isnan, NULL, "whether x is NaN", TRUTH, d_isnan, NULL, NULL, cn_gradient_zero) \
  X(isinf, NULL, "whether x is infinite", TRUTH, d_isinf, NULL, NULL, cn_gradient_zero) \
  X(isposinf, NULL, "whether x is positive infinity", TRUTH, d_isposinf, NULL, NULL, cn_gradient_zero) \
  X(isneginf, NULL, "whether x is negative infinity", TRUTH, d_isneginf, NULL, NULL, cn_gradient_zero) \
  X(signbit, NULL, "whether x has a minus sign", TRUTH, d_signbit, NULL, NULL, cn_gradient_zero) \
  X(isfinite, NULL, "whether x is a finite number", TRUTH, d_isfinite, NULL, NULL, cn_gradient_zero)

#define DEFINE(id, other, text, kind, of_double, of_int, of_floats, of_gradient)                                       \
  static const function f_##id = {kind, of_double, of_int, of_floats};                                                 \
  static cn_status shape_##id(cn_typing *t, cn_error *e) {                                                             \
    return shape(&f_##id, #id, t, e);                                                                                  \
  }                                                                                                                    \
  const cn_op cn_op_##id = {.name = #id,                                                                               \
                            .aliases = other,                                                                          \
                            .help = CN_HELP(text "\n(…) -> (…)"),                                                      \
                            .flags = CN_OP_INPLACE | CN_OP_ELEMENTWISE | CN_OP_PITCHED_OUT,                            \
                            .pitched_in = 1,                                                                           \
                            .min_in = 1,                                                                               \
                            .max_in = 1,                                                                               \
                            .n_out = 1,                                                                                \
                            .shape = shape_##id,                                                                       \
                            .plan = plan,                                                                              \
                            .gradient = CN_GRADIENT(of_gradient)};
FUNCTIONS(DEFINE)

static const function *function_of(const cn_op *op) {
#define CASE(id, other, text, kind, of_double, of_int, of_floats, of_gradient) if (op == &cn_op_##id) return &f_##id;
  FUNCTIONS(CASE)
  return &f_neg;
}
