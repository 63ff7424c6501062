/* Arithmetic of two operands, row by row. */
#include "kernels/act_vector.h"
#include "kernels/kernels.h"

enum { PIECE = 4096 /* elements that stay in the first-level cache until their activation */ };

V_FN vf one(cn_binary_kind kind, vf x, vf y) {
  switch (kind) {
    case CN_BINARY_ADD: return x + y;
    case CN_BINARY_SUB: return x - y;
    case CN_BINARY_MUL: return x * y;
    case CN_BINARY_DIV: return x / y;
    case CN_BINARY_MAXIMUM: return v_max_nan(x, y);
    case CN_BINARY_MINIMUM: return v_min_nan(x, y);
    default: return (x - y) * (x - y);
  }
}

V_FN vf bounded(vf x, const vf *bounds) { return bounds ? v_min(bounds[1], v_max(bounds[0], x)) : x; }

/* bounds: those of a clamp, or NULL. kind, and whether there are bounds, are constants. */
V_FN void rows(cn_binary_kind kind, const cn_binary_call *c, const vf *bounds) {
  const float *a = c->a, *b = c->b;
  float *out = c->out;
  for (int64_t r = 0; r < c->rows; r++, a += c->a_row, b += c->b_row, out += c->out_row) {
    if (c->a_one) {
      const vf x = v_set(*a);
      V_FOR(c->length, V_PUT(out, bounded(one(kind, x, V_AT(b)), bounds)));
    } else if (c->b_one) {
      const vf y = v_set(*b);
      V_FOR(c->length, V_PUT(out, bounded(one(kind, V_AT(a), y), bounds)));
    } else {
      V_FOR(c->length, V_PUT(out, bounded(one(kind, V_AT(a), V_AT(b)), bounds)));
    }
  }
}

static void rows_of(cn_binary_kind kind, const cn_binary_call *c, const vf *bounds) {
#define KIND(k)                                                   \
  case k: {                                                       \
    if (bounds) rows(k, c, bounds);                               \
    else rows(k, c, NULL);                                        \
  } break;
  switch (kind) {
    KIND(CN_BINARY_ADD)
    KIND(CN_BINARY_SUB)
    KIND(CN_BINARY_MUL)
    KIND(CN_BINARY_DIV)
    KIND(CN_BINARY_MAXIMUM)
    KIND(CN_BINARY_MINIMUM)
    KIND(CN_BINARY_SQUARED_DIFFERENCE)
  }
}

/* Short rows of one operand that is the same for all of them, against contiguous ones: several become one of whole
 * vectors. */
static void repeated(cn_binary_kind kind, const cn_binary_call *c, const vf *bounds) {
  float pattern[4 * CN_LANES * CN_LANES];
  const bool a_short = c->a_row == 0;
  const float *from = a_short ? c->a : c->b;
  int64_t times = 1;
  while (times * c->length % CN_LANES) times *= 2;
  const int64_t length = times * c->length;
  for (int64_t i = 0; i < length; i++) pattern[i] = from[i % c->length];
  cn_binary_call wide = *c;
  if (a_short) wide.a = pattern;
  else wide.b = pattern;
  wide.length = wide.out_row = length;
  wide.rows = c->rows / times;
  *(a_short ? &wide.b_row : &wide.a_row) = length;
  rows_of(kind, &wide, bounds);
  const int64_t done = wide.rows * length;
  wide.out += done;
  *(a_short ? &wide.b : &wide.a) += done;
  wide.length = c->rows * c->length - done;
  wide.rows = 1;
  rows_of(kind, &wide, bounds);
}

static void together(cn_binary_kind kind, const cn_binary_call *c, const vf *bounds) {
  const bool short_rows = c->length < 4 * CN_LANES && c->length % CN_LANES && !c->a_one && !c->b_one;
  const bool a_repeats = c->a_row == 0 && c->b_row == c->length, b_repeats = c->b_row == 0 && c->a_row == c->length;
  if (short_rows && c->out_row == c->length && (a_repeats || b_repeats) && c->rows > 2 * CN_LANES)
    repeated(kind, c, bounds);
  else rows_of(kind, c, bounds);
}

static void activate(const cn_binary_call *c) {
  const bool joined = c->out_row == c->length;
  for (int64_t r = 0; r < (joined ? 1 : c->rows); r++) {
    float *out = c->out + r * c->out_row;
    CN_ISA_NAME(cn_act_math_table).apply(c->act, out, out, joined ? c->rows * c->length : c->length);
  }
}

/* In pieces, each with its activation. */
static void in_pieces(cn_binary_kind kind, const cn_binary_call *c) {
  const int64_t columns = c->length < PIECE ? c->length : PIECE, some = PIECE / columns;
  for (int64_t r = 0; r < c->rows; r += some)
    for (int64_t i = 0; i < c->length; i += columns) {
      cn_binary_call piece = *c;
      piece.rows = c->rows - r < some ? c->rows - r : some;
      piece.length = c->length - i < columns ? c->length - i : columns;
      piece.a += r * c->a_row + (c->a_one ? 0 : i);
      piece.b += r * c->b_row + (c->b_one ? 0 : i);
      piece.out += r * c->out_row + i;
      together(kind, &piece, NULL);
      activate(&piece);
    }
}

static void run(cn_binary_kind kind, const cn_binary_call *c) {
  if (!c->act || c->act->kind == CN_ACT_LINEAR) {
    together(kind, c, NULL);
  } else if (cn_act_is_clamp(c->act)) {
    const vf bounds[2] = {v_zero(), v_set((float)c->act->b)};
    together(kind, c, bounds);
  } else {
    in_pieces(kind, c);
  }
}

const cn_binary_kernels CN_ISA_NAME(cn_binary_table) = {.run = run};
