/* Element-wise functions of two inputs that broadcast. */
#include <math.h>

#include "base/pool.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "ops/broadcast.h"
#include "ops/gradient.h"
#include "ops/ops.h"
#include "ops/rows.h"

/* One row: n results from elements at steps sa and sb (0 or 1). */
typedef void (*row_function)(void *out, const void *a, int64_t sa, const void *b, int64_t sb, int64_t n);
typedef struct function {
  row_function floats, doubles; /* NULL: integers and bools alone */
  row_function integers;                  /* int64_t in and out; NULL: never */
  bool truth;                             /* results are bool, from every dtype */
  bool divides;                           /* integers become float32 first */
  int kernel;                             /* 1 + cn_binary_kind in place of `floats`; 0: none */
} function;

static const function *function_of(const cn_op *op);
static const cn_field no_fields[] = {{0}};

static cornu_dtype working_dtype(const function *f, cornu_dtype a, cornu_dtype b) {
  cornu_dtype d = cn_promote(a, b);
  return f->divides && !cn_dtype_is_float(d) ? CORNU_FLOAT32 : d;
}

static const cn_act *act_of(const void *attrs) {
  const cn_act_attrs *a = attrs;
  return a && a->act.kind != CN_ACT_LINEAR ? &a->act : NULL;
}

static cn_status shape(const function *f, cn_typing *t, cn_error *e) {
  const cn_type *a = &t->in[0], *b = &t->in[1];
  CN_TRY(cn_shape_broadcast(a->rank, a->shape, b->rank, b->shape, &t->out[0].rank, t->out[0].shape, e));
  if ((a->dtype == CORNU_TEXT) != (b->dtype == CORNU_TEXT))
    return cn_fail(e, CORNU_ERR_DTYPE, "%s does not compare with %s", cornu_dtype_name(a->dtype),
                   cornu_dtype_name(b->dtype));
  t->out[0].dtype = f->truth ? CORNU_BOOL8 : working_dtype(f, a->dtype, b->dtype);
  if (!f->floats && !f->kernel && cn_dtype_is_float(t->out[0].dtype))
    return cn_fail(e, CORNU_ERR_DTYPE, "the inputs are %s and %s, expected integers", cornu_dtype_name(a->dtype),
                   cornu_dtype_name(b->dtype));
  if (!f->truth && act_of(t->attrs) && t->out[0].dtype != CORNU_FLOAT64) t->out[0].dtype = CORNU_FLOAT32;
  return CORNU_OK;
}

/* Rows are computed in float32, float64 or int64; other dtypes are converted on the way. */
typedef struct state {
  cn_walk walk;        /* of the inputs and the output */
  row_function row;    /* NULL: the kernel */
  cn_binary_kind kind;
  const cn_act *act;   /* NULL: none */
  cornu_dtype compute;
  size_t in_size, out_size;
  const void *in[2];
  void *out;
  size_t room[3];      /* offsets into scratch of converted operands; SIZE_MAX: as it is */
} state;

/* `rows` rows from column `column` on, `n` elements of each. */
static void block(const state *st, const int64_t *offset, int64_t column, int64_t rows, int64_t n) {
  const cn_walk *w = &st->walk;
  const int last = w->rank - 1;
  const int64_t sa = w->stride[0][last], sb = w->stride[1][last], size = (int64_t)st->in_size;
  int64_t step[3] = {0, 0, 0};
  for (int i = 0; i < 3 && last > 0; i++) step[i] = w->stride[i][last - 1];
  const char *a = (const char *)st->in[0] + (offset[0] + column * sa) * size;
  const char *b = (const char *)st->in[1] + (offset[1] + column * sb) * size;
  char *out = (char *)st->out + (offset[2] + column) * (int64_t)st->out_size;
  if (!st->row) {
    const cn_binary_call call = {(const float *)(const void *)a, (const float *)(const void *)b, (float *)(void *)out, rows,
                                 n, step[0], step[1], step[2], sa == 0, sb == 0, st->act};
    cn_binary()->run(st->kind, &call);
    return;
  }
  const bool act = st->act && st->room[2] == SIZE_MAX;
  for (; rows > 0; rows--, a += step[0] * size, b += step[1] * size, out += step[2] * (int64_t)st->out_size) {
    st->row(out, a, sa, b, sb, n);
    if (act) cn_act_apply_items(st->out_size, st->act, out, out, n);
  }
}

/* Elements of the output, numbered row after row. */
static void range(void *context, int64_t begin, int64_t end) {
  const state *st = context;
  const cn_walk *w = &st->walk;
  const int64_t length = w->length, neighbours = w->rank > 1 ? w->shape[w->rank - 2] : 1;
  while (begin < end) {
    int64_t offset[CN_WALK_INPUTS], row = begin / length, column = begin % length, rows = 1, n = length - column;
    if (n > end - begin) n = end - begin;
    if (n == length) {
      rows = neighbours - row % neighbours;
      if (rows > (end - begin) / length) rows = (end - begin) / length;
    }
    cn_walk_row(w, row, offset);
    block(st, offset, column, rows, n);
    begin += rows * n;
  }
}

static void convert(void *to, cornu_dtype dtype, int64_t to_pitch, const void *from, int64_t pitch, const cn_operand *o,
                    cornu_dtype from_dtype) {
  const int64_t length = cn_row_length(o), rows = to_pitch == pitch && pitch == length ? 1 : o->size / length;
  const int64_t to_step = to_pitch * (int64_t)cornu_dtype_bytes(dtype),
                step = pitch * (int64_t)cornu_dtype_bytes(from_dtype);
  for (int64_t r = 0; r < rows; r++)
    cn_convert((char *)to + r * to_step, dtype, (const char *)from + r * step, from_dtype, o->size / rows);
}

static void finish(const cn_step *s, const state *st) {
  const cn_operand *out = s->out[0];
  const int64_t length = cn_row_length(out);
  convert(out->data, out->dtype, out->pitch, st->out, length, out, st->compute);
  for (int64_t r = 0; st->act && r < out->size / length; r++) {
    void *row = (char *)out->data + (size_t)(r * out->pitch) * cornu_dtype_bytes(out->dtype);
    cn_act_apply_items(cornu_dtype_bytes(out->dtype), st->act, row, row, length);
  }
}

static void run(const cn_step *s) {
  if (s->out[0]->size == 0) return;
  state own = *(const state *)s->state, *st = &own; /* copies of the step share the other */
  for (int i = 0; i < 2; i++) {
    const cn_operand *in = s->in[i];
    st->in[i] = in->data;
    if (st->room[i] == SIZE_MAX) continue;
    char *to = (char *)s->scratch + st->room[i];
    convert(to, st->compute, cn_row_length(in), in->data, in->pitch, in, in->dtype);
    st->in[i] = to;
  }
  st->out = st->room[2] == SIZE_MAX ? s->out[0]->data : (char *)s->scratch + st->room[2];
  cn_parallel_range(s->out[0]->size, 16384, range, st);
  if (st->room[2] != SIZE_MAX) finish(s, st);
}

/* Of strings: equal and not_equal alone. */
static void equal_texts(void *out, const void *a, int64_t sa, const void *b, int64_t sb, int64_t n) {
  const cornu_text *x = a, *y = b;
  for (int64_t i = 0; i < n; i++) ((uint8_t *)out)[i] = cn_text_equal(x[i * sa], y[i * sb]);
}

static void unequal_texts(void *out, const void *a, int64_t sa, const void *b, int64_t sb, int64_t n) {
  const cornu_text *x = a, *y = b;
  for (int64_t i = 0; i < n; i++) ((uint8_t *)out)[i] = !cn_text_equal(x[i * sa], y[i * sb]);
}

static void choose_row(const cn_step *s, state *st, cornu_dtype d) {
  const function *f = function_of(s->op);
  st->compute = d == CORNU_FLOAT64 || d == CORNU_TEXT ? d : cn_dtype_is_float(d) ? CORNU_FLOAT32 : CORNU_INT64;
  if (d == CORNU_TEXT) st->row = s->op == &cn_op_equal ? equal_texts : unequal_texts;
  else if (st->compute == CORNU_FLOAT64) st->row = f->doubles;
  else if (st->compute == CORNU_INT64) st->row = f->integers;
  else st->row = f->floats; /* NULL where there is a kernel */
  if (f->kernel) st->kind = (cn_binary_kind)(f->kernel - 1);
  st->in_size = cornu_dtype_bytes(st->compute);
  st->out_size = f->truth ? 1 : st->in_size;
}

static size_t take_room(cn_step *s, int64_t elements, size_t size) {
  size_t at = s->scratch_bytes;
  s->scratch_bytes += ((size_t)elements * size + 127) & ~(size_t)63;
  return at;
}

/* Steps along the last axis become 0 or 1: where a pitch got there, rows are of one element. */
static void settle(cn_walk *w) {
  const int last = w->rank - 1;
  if (w->stride[0][last] <= 1 && w->stride[1][last] <= 1 && w->stride[2][last] <= 1) return;
  for (int k = 0; k < 3; k++) w->stride[k][w->rank] = 1;
  w->shape[w->rank++] = w->length = 1;
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const function *f = function_of(s->op);
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  choose_row(s, st, working_dtype(f, s->in[0]->dtype, s->in[1]->dtype));
  st->act = f->truth ? NULL : act_of(s->attrs);
  cn_operand operands[3] = {*s->in[0], *s->in[1], *s->out[0]};
  const cn_operand *of[3];
  for (int i = 0; i < 3; i++) {
    of[i] = &operands[i];
    const bool as_it_is = operands[i].dtype == st->compute || (i == 2 && f->truth);
    st->room[i] = as_it_is ? SIZE_MAX : take_room(s, operands[i].size, st->in_size);
    if (!as_it_is) operands[i].pitch = cn_row_length(&operands[i]);
  }
  cn_walk_broadcast(&st->walk, s->out[0], of, 3);
  settle(&st->walk);
  s->run = run;
  s->flops = (double)s->out[0]->size;
  return CORNU_OK;
}

/* ---- the functions ---- */

static int64_t i_add(int64_t x, int64_t y) { return (int64_t)((uint64_t)x + (uint64_t)y); }
static int64_t i_sub(int64_t x, int64_t y) { return (int64_t)((uint64_t)x - (uint64_t)y); }
static int64_t i_mul(int64_t x, int64_t y) { return (int64_t)((uint64_t)x * (uint64_t)y); }

static int64_t i_floordiv(int64_t x, int64_t y) { /* by 0: 0, as NumPy */
  if (y == 0) return 0;
  if (y == -1) return i_sub(0, x);
  return x / y - (x % y != 0 && (x < 0) != (y < 0));
}

static int64_t i_mod(int64_t x, int64_t y) { /* takes the sign of y */
  if (y == 0 || y == -1) return 0;
  int64_t r = x % y;
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

static int64_t i_pow(int64_t x, int64_t y) {
  if (y < 0) return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
  int64_t r = 1;
  for (; y; y >>= 1, x = i_mul(x, x))
    if (y & 1) r = i_mul(r, x);
  return r;
}

static int64_t i_fmod(int64_t x, int64_t y) { return y == 0 || y == -1 ? 0 : x % y; }

static int64_t i_gcd(int64_t x, int64_t y) {
  while (y) {
    int64_t rest = i_fmod(x, y);
    x = y;
    y = rest;
  }
  return x < 0 ? i_sub(0, x) : x;
}

static int64_t i_lcm(int64_t x, int64_t y) {
  int64_t divisor = i_gcd(x, y), product = divisor ? i_mul(x / divisor, y) : 0;
  return product < 0 ? i_sub(0, product) : product;
}

static int64_t i_left(int64_t x, int64_t y) { return y < 0 || y > 63 ? 0 : (int64_t)((uint64_t)x << y); }
static int64_t i_right(int64_t x, int64_t y) { return y < 0 || y > 63 ? -(x < 0) : x >> y; }

static double d_logaddexp(double x, double y) {
  double high = x > y ? x : y, low = x > y ? y : x;
  return high == low ? high + M_LN2 : isnan(x + y) ? x + y : high + log1p(exp(low - high));
}

static double d_mod(double x, double y) {
  double r = fmod(x, y);
  return r != 0 && (r < 0) != (y < 0) ? r + y : r == 0 ? copysign(0, y) : r;
}

static double d_floordiv(double x, double y) { return y == 0 ? x / y : floor((x - d_mod(x, y)) / y + 0.5); }

static double d_maximum(double x, double y) { return x != x ? x : y > x || y != y ? y : x; }

#define ROW(name, out_type, in_type, expression)                                                                       \
  static void name(void *to, const void *from_a, int64_t sa, const void *from_b, int64_t sb, int64_t n) {              \
    out_type *o = to;                                                                                                  \
    const in_type *a = from_a, *b = from_b;                                                                            \
    if (sa == 1 && sb == 1)                                                                                            \
      for (int64_t i = 0; i < n; i++) {                                                                                \
        in_type x = a[i], y = b[i];                                                                                    \
        o[i] = (out_type)(expression);                                                                                 \
      }                                                                                                                \
    else if (sa == 1 && sb == 0)                                                                                       \
      for (int64_t i = 0; i < n; i++) {                                                                                \
        in_type x = a[i], y = *b;                                                                                      \
        o[i] = (out_type)(expression);                                                                                 \
      }                                                                                                                \
    else if (sa == 0 && sb == 1)                                                                                       \
      for (int64_t i = 0; i < n; i++) {                                                                                \
        in_type x = *a, y = b[i];                                                                                      \
        o[i] = (out_type)(expression);                                                                                 \
      }                                                                                                                \
    else                                                                                                               \
      for (int64_t i = 0; i < n; i++) {                                                                                \
        in_type x = a[i * sa], y = b[i * sb];                                                                          \
        o[i] = (out_type)(expression);                                                                                 \
      }                                                                                                                \
  }

/* ---- gradients ---- */

#define MUL(a, b) cn_g_mul(g, a, b)
#define DIV(a, b) cn_g_div(g, a, b)
#define OF(id, a) cn_g1(g, &cn_op_##id, NULL, a)
#define OF2(id, a, b) cn_g2(g, &cn_op_##id, NULL, a, b)

static cn_edge where_not_zero(cn_gradient *g, cn_edge a, cn_edge value) {
  return cn_g_where(g, OF2(not_equal, a, cn_gradient_number(g, a, 0)), value);
}

static cn_edge log_of_base(cn_gradient *g, cn_edge a) { /* 0 where a power has no logarithm, as in TensorFlow */
  const cn_edge some = OF2(greater, a, cn_gradient_number(g, a, 0));
  const cn_edge base = cn_gradient_emit(g, &cn_op_where, NULL, (cn_edge[]){some, a, cn_gradient_number(g, a, 1)}, 3);
  return OF(log, base);
}

static cn_edge power_slope(cn_gradient *g, cn_edge a, cn_edge b) { /* b * a^(b - 1); 0, not NaN, where b is 0 */
  return where_not_zero(g, b, MUL(b, OF2(pow, a, cn_g_shift(g, b, -1))));
}

/* Both inputs in the dtype of the result; what broadcasting repeated is summed up behind. The result y. */
typedef cn_edge (*slope)(cn_gradient *g, cn_edge a, cn_edge b, cn_edge y, cn_edge dy);
#define SLOPE(name, expression)                                                                     \
  static cn_edge name(cn_gradient *g, cn_edge a, cn_edge b, cn_edge y, cn_edge dy) {                \
    (void)g, (void)a, (void)b, (void)y, (void)dy;                                                   \
    return (expression);                                                                            \
  }
SLOPE(all_of_it, dy)
SLOPE(minus_it, cn_g_neg(g, dy))
SLOPE(nothing, CN_NO_EDGE)
SLOPE(times_b, MUL(dy, b))
SLOPE(times_a, MUL(dy, a))
SLOPE(over_b, DIV(dy, b))
SLOPE(over_divisor, cn_g_neg(g, DIV(MUL(dy, y), b)))
SLOPE(mod_divisor, cn_g_neg(g, MUL(dy, OF2(floordiv, a, b))))
SLOPE(fmod_divisor, cn_g_neg(g, MUL(dy, OF(trunc, DIV(a, b)))))
SLOPE(power_base, MUL(dy, power_slope(g, a, b)))
SLOPE(power_exponent, MUL(dy, MUL(y, log_of_base(g, a))))
SLOPE(where_a_ge, cn_g_where(g, OF2(greater_equal, a, b), dy))
SLOPE(where_a_lt, cn_g_where(g, OF2(less, a, b), dy))
SLOPE(where_a_le, cn_g_where(g, OF2(less_equal, a, b), dy))
SLOPE(where_a_gt, cn_g_where(g, OF2(greater, a, b), dy))
SLOPE(twice_difference, MUL(dy, cn_g_scale(g, cn_g_sub(g, a, b), 2)))
SLOPE(minus_difference, MUL(dy, cn_g_scale(g, cn_g_sub(g, b, a), 2)))
SLOPE(angle_y, DIV(MUL(dy, b), cn_g_add(g, cn_g_square(g, a), cn_g_square(g, b))))
SLOPE(angle_x, cn_g_neg(g, DIV(MUL(dy, a), cn_g_add(g, cn_g_square(g, a), cn_g_square(g, b)))))
SLOPE(share_a, DIV(MUL(dy, a), y))
SLOPE(share_b, DIV(MUL(dy, b), y))
SLOPE(exp_share_a, MUL(dy, OF(exp, cn_g_sub(g, a, y))))
SLOPE(exp_share_b, MUL(dy, OF(exp, cn_g_sub(g, b, y))))
SLOPE(exp2_share_a, MUL(dy, OF(exp2, cn_g_sub(g, a, y))))
SLOPE(exp2_share_b, MUL(dy, OF(exp2, cn_g_sub(g, b, y))))

static const struct { const cn_op *op; slope of[2]; } slopes[] = {
    {&cn_op_add, {all_of_it, all_of_it}}, {&cn_op_sub, {all_of_it, minus_it}}, {&cn_op_mul, {times_b, times_a}},
    {&cn_op_div, {over_b, over_divisor}}, {&cn_op_floordiv, {nothing, nothing}}, {&cn_op_mod, {all_of_it, mod_divisor}},
    {&cn_op_fmod, {all_of_it, fmod_divisor}}, {&cn_op_pow, {power_base, power_exponent}},
    {&cn_op_maximum, {where_a_ge, where_a_lt}}, {&cn_op_minimum, {where_a_le, where_a_gt}},
    {&cn_op_fmax, {where_a_ge, where_a_lt}}, {&cn_op_fmin, {where_a_le, where_a_gt}},
    {&cn_op_squared_difference, {twice_difference, minus_difference}}, {&cn_op_atan2, {angle_y, angle_x}},
    {&cn_op_hypot, {share_a, share_b}}, {&cn_op_logaddexp, {exp_share_a, exp_share_b}},
    {&cn_op_logaddexp2, {exp2_share_a, exp2_share_b}}};

static void gradient(cn_gradient *g) {
  int k = 0;
  while (k < CN_COUNT(slopes) && slopes[k].op != g->op) k++;
  if (k == CN_COUNT(slopes)) {
    cn_gradient_refuse(g, "");
    return;
  }
  const cornu_dtype dtype = cn_gradient_type(g, g->out[0])->dtype;
  cn_edge in[2];
  for (int i = 0; i < 2; i++) in[i] = cn_g_cast(g, g->in[i], dtype);
  for (int i = 0; i < 2; i++) {
    if (!g->wanted[i]) continue;
    const cn_edge dx = slopes[k].of[i](g, in[0], in[1], g->out[0], g->dy[0]);
    if (dx != CN_NO_EDGE) g->dx[i] = cn_g_unbroadcast(g, dx, g->in[i]);
  }
}

#define DEFINE(id, other, words, more, floats, doubles, integers, is_truth, does_divide, of_kernel)                    \
  static const function f_##id = {floats, doubles, integers, is_truth, does_divide, of_kernel};                        \
  static cn_status shape_##id(cn_typing *t, cn_error *e) { return shape(&f_##id, t, e); }                              \
  const cn_op cn_op_##id = {.name = #id,                                                                               \
                            .aliases = other,                                                                          \
                            .help = CN_HELP(words "\n(a, b), broadcast"),                                              \
                            .flags = CN_OP_INPLACE | CN_OP_ELEMENTWISE | CN_OP_PITCHED_OUT | more,                     \
                            .min_in = 2,                                                                               \
                            .max_in = 2,                                                                               \
                            .pitched_in = 3,                                                                           \
                            .n_out = 1,                                                                                \
                            .attrs_size = sizeof(cn_act_attrs),                                                        \
                            .fields = no_fields,                                                                       \
                            .act_offset = is_truth ? 0 : offsetof(cn_act_attrs, act),                                  \
                            .shape = shape_##id,                                                                       \
                            .plan = plan,                                                                              \
                            .gradient = CN_GRADIENT(is_truth ? cn_gradient_zero : gradient)};
#define ARITHMETIC(id, other, words, more, of_float, of_double, of_int)                                                \
  ROW(id##_floats, float, float, of_float)                                                                             \
  ROW(id##_doubles, double, double, of_double) ROW(id##_integers, int64_t, int64_t, of_int)                            \
      DEFINE(id, other, words, more, id##_floats, id##_doubles, id##_integers, false, false, 0)
#define QUICK(id, other, words, more, of_double, of_int, kind) /* floats by the kernel */                                \
  ROW(id##_doubles, double, double, of_double) ROW(id##_integers, int64_t, int64_t, of_int)                            \
      DEFINE(id, other, words, more, NULL, id##_doubles, id##_integers, false, false, 1 + CN_BINARY_##kind)
#define FLOATING(id, other, words, more, of_float, of_double)                                                          \
  ROW(id##_floats, float, float, of_float)                                                                             \
  ROW(id##_doubles, double, double, of_double)                                                                         \
  DEFINE(id, other, words, more, id##_floats, id##_doubles, NULL, false, true, 0)
#define INTEGRAL(id, other, words, more, of_int)                                                                       \
  ROW(id##_integers, int64_t, int64_t, of_int)                                                                         \
  DEFINE(id, other, words, more, NULL, NULL, id##_integers, false, false, 0)
#define PREDICATE(id, other, words, more, test)                                                                        \
  ROW(id##_floats, uint8_t, float, test)                                                                               \
  ROW(id##_doubles, uint8_t, double, test) ROW(id##_integers, uint8_t, int64_t, test)                                  \
      DEFINE(id, other, words, more, id##_floats, id##_doubles, id##_integers, true, false, 0)

QUICK(add, NULL, "a + b", CN_OP_COMMUTES, x + y, i_add(x, y), ADD)
QUICK(sub, "subtract", "a - b", 0, x - y, i_sub(x, y), SUB)
QUICK(mul, "multiply", "a * b", CN_OP_COMMUTES, x * y, i_mul(x, y), MUL)
ROW(div_doubles, double, double, x / y)
DEFINE(div, "divide true_divide", "a / b; integers give float32", 0, NULL, div_doubles, NULL, false, true, 1 + CN_BINARY_DIV)
ARITHMETIC(floordiv, "floor_divide", "the largest whole number below a / b", 0, (float)d_floordiv(x, y),
           d_floordiv(x, y), i_floordiv(x, y))
ARITHMETIC(mod, "remainder", "a modulo b, with the sign of b", 0, (float)d_mod(x, y), d_mod(x, y), i_mod(x, y))
ARITHMETIC(pow, "power", "a to the b", 0, powf(x, y), pow(x, y), i_pow(x, y))
QUICK(maximum, NULL, "the larger; NaN wins", CN_OP_COMMUTES, d_maximum(x, y), x > y ? x : y, MAXIMUM)
QUICK(minimum, NULL, "the smaller; NaN wins", CN_OP_COMMUTES, -d_maximum(-x, -y), x < y ? x : y, MINIMUM)
QUICK(squared_difference, NULL, "(a - b)²", CN_OP_COMMUTES, (x - y) * (x - y), i_mul(i_sub(x, y), i_sub(x, y)),
      SQUARED_DIFFERENCE)
FLOATING(atan2, "arctan2", "the angle of the point (b, a), radians", 0, atan2f(x, y), atan2(x, y))
FLOATING(hypot, NULL, "sqrt(a² + b²)", CN_OP_COMMUTES, hypotf(x, y), hypot(x, y))
FLOATING(logaddexp, NULL, "log(exp(a) + exp(b)), without overflow", CN_OP_COMMUTES, (float)d_logaddexp(x, y),
         d_logaddexp(x, y))
FLOATING(logaddexp2, NULL, "log2(2^a + 2^b), without overflow", CN_OP_COMMUTES,
         (float)(d_logaddexp(x * M_LN2, y * M_LN2) / M_LN2), d_logaddexp(x * M_LN2, y * M_LN2) / M_LN2)
FLOATING(nextafter, NULL, "the number next to a in the direction of b", 0, nextafterf(x, y), nextafter(x, y))
ARITHMETIC(fmod, NULL, "the rest of a / b, with the sign of a", 0, fmodf(x, y), fmod(x, y), i_fmod(x, y))
ARITHMETIC(fmax, NULL, "the larger; a number wins over NaN", CN_OP_COMMUTES, fmaxf(x, y), fmax(x, y), x > y ? x : y)
ARITHMETIC(fmin, NULL, "the smaller; a number wins over NaN", CN_OP_COMMUTES, fminf(x, y), fmin(x, y), x < y ? x : y)
INTEGRAL(gcd, NULL, "greatest common divisor", CN_OP_COMMUTES, i_gcd(x, y))
INTEGRAL(lcm, NULL, "least common multiple", CN_OP_COMMUTES, i_lcm(x, y))
INTEGRAL(bitwise_and, NULL, "a & b of integers", CN_OP_COMMUTES, x & y)
INTEGRAL(bitwise_or, NULL, "a | b of integers", CN_OP_COMMUTES, x | y)
INTEGRAL(bitwise_xor, NULL, "a ^ b of integers", CN_OP_COMMUTES, x ^ y)
INTEGRAL(left_shift, "bitwise_left_shift", "a times 2^b", 0, i_left(x, y))
INTEGRAL(right_shift, "bitwise_right_shift", "a divided by 2^b, towards minus infinity", 0, i_right(x, y))
PREDICATE(equal, "eq", "a == b, strings, too", CN_OP_COMMUTES | CN_OP_TEXTS, x == y)
PREDICATE(not_equal, "ne", "a != b, strings, too", CN_OP_COMMUTES | CN_OP_TEXTS, x != y)
PREDICATE(less, "lt", "a < b", 0, x < y)
PREDICATE(less_equal, "le", "a <= b", 0, x <= y)
PREDICATE(greater, "gt", "a > b", 0, x > y)
PREDICATE(greater_equal, "ge", "a >= b", 0, x >= y)
PREDICATE(logical_and, NULL, "both are not 0", CN_OP_COMMUTES, x != 0 && y != 0)
PREDICATE(logical_or, NULL, "one is not 0", CN_OP_COMMUTES, x != 0 || y != 0)
PREDICATE(logical_xor, NULL, "one of them is not 0", CN_OP_COMMUTES, (x != 0) != (y != 0))

static const function *function_of(const cn_op *op) {
#define CASE(id) if (op == &cn_op_##id) return &f_##id;
  CASE(add)
  CASE(sub) CASE(mul) CASE(div) CASE(floordiv) CASE(mod) CASE(pow) CASE(maximum) CASE(minimum) CASE(squared_difference)
      CASE(atan2) CASE(hypot) CASE(logaddexp) CASE(logaddexp2) CASE(nextafter) CASE(fmod) CASE(fmax) CASE(fmin) CASE(gcd)
          CASE(lcm) CASE(bitwise_and) CASE(bitwise_or) CASE(bitwise_xor) CASE(left_shift) CASE(right_shift) CASE(equal) CASE(not_equal) CASE(less) CASE(less_equal) CASE(greater) CASE(greater_equal)
          CASE(logical_and) CASE(logical_or) return &f_logical_xor;
}
