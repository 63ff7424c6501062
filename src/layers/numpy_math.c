/* keras.ops: element-wise mathematics of keras.ops.numpy. */
#include <math.h>

#include "layers/operation.h"

/* Shorthand for the tables of this family. */
#define OP1(class, op_name) {.name = class, .arguments = "x", .op = op_name}
#define OP2(class, op_name) {.name = class, .arguments = "x1 x2", .op = op_name}
#define BITS(class, op_name) {.name = class, .arguments = "x y", .op = op_name}

static cn_edge with_number(cn_operation_call *c, const cn_op *op, cn_edge x, double v) {
  return cn_emit2(c->t, op, NULL, x, cn_emit_like(c->t, x, v));
}

static cn_edge floating(cn_operation_call *c, const char *name) {
  return cn_emit_floating(c->t, cn_argument_tensor(c, name));
}

static void identity(cn_operation_call *c) { cn_operation_return(c, cn_argument_tensor(c, "x")); }

static void fabs_of(cn_operation_call *c) { cn_operation_return(c, cn_emit1(c->t, &cn_op_abs, NULL, floating(c, "x"))); }

static void to_radians(cn_operation_call *c) {
  cn_operation_return(c, with_number(c, &cn_op_mul, floating(c, "x"), M_PI / 180));
}

static void to_degrees(cn_operation_call *c) {
  cn_operation_return(c, with_number(c, &cn_op_mul, floating(c, "x"), 180 / M_PI));
}

/* Of real numbers. */
static void imaginary(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "x");
  cn_operation_return(c, cn_emit1(c->t, &cn_op_full_like, &(cn_fill_attrs){0, cn_operation_type(c, x)->dtype}, x));
}

static void angle(cn_operation_call *c) {
  cn_edge x = floating(c, "x"), zero = cn_emit_like(c->t, x, 0);
  cn_operation_return(c, cn_emit2(c->t, &cn_op_atan2, NULL, zero, x));
}

static void is_real(cn_operation_call *c) {
  cn_fill_attrs yes = {1, CORNU_BOOL8};
  cn_operation_return(c, cn_emit1(c->t, &cn_op_full_like, &yes, cn_argument_tensor(c, "x")));
}

static void heaviside(cn_operation_call *c) {
  cn_edge x = floating(c, "x1"), at_zero = cn_argument_tensor(c, "x2"), zero = cn_emit_like(c->t, x, 0);
  cn_edge is_zero = cn_emit2(c->t, &cn_op_equal, NULL, x, zero);
  cn_edge step = cn_emit3(c->t, &cn_op_where, NULL, cn_emit2(c->t, &cn_op_less, NULL, x, zero), zero,
                          cn_emit_like(c->t, x, 1));
  cn_operation_return(c, cn_emit3(c->t, &cn_op_where, NULL, is_zero, at_zero, step));
}

static void ldexp_of(cn_operation_call *c) {
  cn_edge power = cn_emit1(c->t, &cn_op_exp2, NULL, floating(c, "x2"));
  cn_operation_return(c, cn_emit2(c->t, &cn_op_mul, NULL, floating(c, "x1"), power));
}

static void divide_no_nan(cn_operation_call *c) {
  cn_edge below = cn_argument_tensor(c, "x2"), zero = cn_emit_like(c->t, below, 0);
  cn_edge ratio = cn_emit2(c->t, &cn_op_div, NULL, cn_argument_tensor(c, "x1"), below);
  cn_edge bad = cn_emit2(c->t, &cn_op_equal, NULL, below, zero);
  cn_operation_return(c, cn_emit3(c->t, &cn_op_where, NULL, bad, cn_emit_like(c->t, ratio, 0), ratio));
}

/* ---- With options ---- */

typedef struct options {
  int64_t decimals;
  double rtol, atol;
  bool equal_nan;
} options;

static const cn_field round_fields[] = {
    {.name = "decimals", .kind = CN_F_INT, .offset = offsetof(options, decimals), .standard = "0", .min = -30, .max = 30,
     .help = CN_HELP("places behind the point")},
    {0}};

static void round_of(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge x = cn_argument_tensor(c, "x");
  cornu_dtype dtype = cn_operation_type(c, x)->dtype;
  if (o->decimals == 0 || (!cn_dtype_is_float(dtype) && o->decimals > 0)) {
    cn_operation_return(c, cn_emit1(c->t, &cn_op_round, NULL, x));
    return;
  }
  double factor = pow(10, (double)o->decimals);
  x = cn_dtype_is_float(dtype) ? x : cn_emit_cast(c->t, x, CORNU_FLOAT64);
  cn_edge scaled = cn_emit1(c->t, &cn_op_round, NULL, with_number(c, &cn_op_mul, x, factor));
  cn_operation_return(c, cn_emit_cast(c->t, with_number(c, &cn_op_div, scaled, factor), dtype));
}

static const cn_field close_fields[] = {
    {.name = "rtol", .kind = CN_F_FLOAT, .offset = offsetof(options, rtol), .standard = "1e-05",
     .help = CN_HELP("relative")},
    {.name = "atol", .kind = CN_F_FLOAT, .offset = offsetof(options, atol), .standard = "1e-08",
     .help = CN_HELP("absolute")},
    {.name = "equal_nan", .kind = CN_F_BOOL, .offset = offsetof(options, equal_nan), .standard = "false",
     .help = CN_HELP("NaN is close to NaN")},
    {0}};

/* |x1 - x2| <= atol + rtol * |x2|, or the same infinity. */
static cn_edge is_close(cn_operation_call *c) {
  const options *o = c->options;
  cn_edge a = floating(c, "x1"), b = floating(c, "x2");
  cn_edge reach = with_number(c, &cn_op_mul, cn_emit1(c->t, &cn_op_abs, NULL, b), o->rtol);
  reach = with_number(c, &cn_op_add, reach, o->atol);
  cn_edge distance = cn_emit1(c->t, &cn_op_abs, NULL, cn_emit2(c->t, &cn_op_sub, NULL, a, b));
  cn_edge near = cn_emit2(c->t, &cn_op_less_equal, NULL, distance, reach);
  near = cn_emit2(c->t, &cn_op_logical_and, NULL, near, cn_emit1(c->t, &cn_op_isfinite, NULL, reach));
  near = cn_emit2(c->t, &cn_op_logical_or, NULL, near, cn_emit2(c->t, &cn_op_equal, NULL, a, b));
  if (!o->equal_nan) return near;
  cn_edge both = cn_emit2(c->t, &cn_op_logical_and, NULL, cn_emit1(c->t, &cn_op_isnan, NULL, a),
                          cn_emit1(c->t, &cn_op_isnan, NULL, b));
  return cn_emit2(c->t, &cn_op_logical_or, NULL, near, both);
}

static void close_of(cn_operation_call *c) { cn_operation_return(c, is_close(c)); }

static void all_close(cn_operation_call *c) {
  cn_operation_return(c, cn_emit1(c->t, &cn_op_all, &(cn_reduce_attrs){.axes = {.n = -1}}, is_close(c)));
}

const cn_operation cn_operations_numpy_math[] = {
    OP1("Absolute Abs", "abs"),
    {.name = "Fabs", .arguments = "x", .emit = fabs_of},
    OP1("Negative", "neg"),
    OP1("Sign", "sign"),
    OP1("Signbit", "signbit"),
    OP1("Square", "square"),
    OP1("Sqrt", "sqrt"),
    OP1("Cbrt", "cbrt"),
    OP1("Reciprocal", "reciprocal"),
    OP1("Exp", "exp"),
    OP1("Exp2", "exp2"),
    OP1("Expm1", "expm1"),
    OP1("Log", "log"),
    OP1("Log2", "log2"),
    OP1("Log10", "log10"),
    OP1("Log1p", "log1p"),
    OP1("Sin", "sin"),
    OP1("Cos", "cos"),
    OP1("Tan", "tan"),
    OP1("Arcsin", "asin"),
    OP1("Arccos", "acos"),
    OP1("Arctan", "atan"),
    OP1("Sinh", "sinh"),
    OP1("Cosh", "cosh"),
    OP1("Tanh", "tanh"),
    OP1("Arcsinh", "asinh"),
    OP1("Arccosh", "acosh"),
    OP1("Arctanh", "atanh"),
    OP1("Sinc", "sinc"),
    OP1("I0", "i0"),
    OP1("Floor", "floor"),
    OP1("Ceil", "ceil"),
    OP1("Trunc", "trunc"),
    {.name = "Round", .arguments = "x", .emit = round_of, .fields = round_fields, .options_size = sizeof(options)},
    OP1("LogicalNot", "logical_not"),
    OP1("Isnan", "isnan"),
    OP1("Isinf", "isinf"),
    OP1("Isposinf", "isposinf"),
    OP1("Isneginf", "isneginf"),
    OP1("Isfinite", "isfinite"),
    {.name = "Isreal", .arguments = "x", .emit = is_real},
    {.name = "Real Conjugate Conj Copy", .arguments = "x", .emit = identity},
    {.name = "Imag", .arguments = "x", .emit = imaginary},
    {.name = "Angle", .arguments = "x", .emit = angle},
    {.name = "Deg2rad", .arguments = "x", .emit = to_radians},
    {.name = "Rad2deg", .arguments = "x", .emit = to_degrees},
    OP1("NanToNum", "nan_to_num"),
    OP1("Clip", "clip"),
    OP1("BitwiseInvert BitwiseNot", "bitwise_not"),
    OP2("Add", "add"),
    OP2("Subtract", "sub"),
    OP2("Multiply", "mul"),
    OP2("Divide TrueDivide", "div"),
    OP2("FloorDivide", "floordiv"),
    OP2("Mod", "mod"),
    OP2("Fmod", "fmod"),
    OP2("Power", "pow"),
    OP2("Maximum", "maximum"),
    OP2("Minimum", "minimum"),
    OP2("Fmax", "fmax"),
    OP2("Fmin", "fmin"),
    OP2("Arctan2", "atan2"),
    OP2("Hypot", "hypot"),
    OP2("Logaddexp", "logaddexp"),
    OP2("Logaddexp2", "logaddexp2"),
    OP2("Nextafter", "nextafter"),
    OP2("Gcd", "gcd"),
    OP2("Lcm", "lcm"),
    OP2("Equal", "equal"),
    OP2("NotEqual", "not_equal"),
    OP2("Less", "less"),
    OP2("LessEqual", "less_equal"),
    OP2("Greater", "greater"),
    OP2("GreaterEqual", "greater_equal"),
    OP2("LogicalAnd", "logical_and"),
    OP2("LogicalOr", "logical_or"),
    OP2("LogicalXor", "logical_xor"),
    BITS("BitwiseAnd", "bitwise_and"),
    BITS("BitwiseOr", "bitwise_or"),
    BITS("BitwiseXor", "bitwise_xor"),
    BITS("BitwiseLeftShift LeftShift", "left_shift"),
    BITS("BitwiseRightShift RightShift", "right_shift"),
    {.name = "Heaviside", .arguments = "x1 x2", .emit = heaviside},
    {.name = "Ldexp", .arguments = "x1 x2", .emit = ldexp_of},
    {.name = "DivideNoNan", .arguments = "x1 x2", .emit = divide_no_nan},
    {.name = "Isclose", .arguments = "x1 x2 rtol atol", .emit = close_of, .fields = close_fields,
     .options_size = sizeof(options)},
    {.name = "AllClose", .arguments = "x1 x2", .emit = all_close, .fields = close_fields,
     .options_size = sizeof(options)},
    {0}};
