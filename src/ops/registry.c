/* Finding ops by name, the public view of the registry, and helpers for shape rules. */
#include <string.h>

#include "base/text.h"
#include "ops/op.h"

const cn_op *cn_op_find(const char *name) {
  for (int i = 0; i < cn_op_total; i++)
    if (!(cn_ops[i]->flags & CN_OP_HIDDEN) && !strcmp(cn_ops[i]->name, name)) return cn_ops[i];
  for (int i = 0; i < cn_op_total; i++)
    if (!(cn_ops[i]->flags & CN_OP_HIDDEN) && cn_word_in(cn_ops[i]->aliases, name, NULL)) return cn_ops[i];
  return NULL;
}

/* The i-th op that is offered by name. */
static const cn_op *offered(int i) {
  for (int k = 0; i >= 0 && k < cn_op_total; k++)
    if (!(cn_ops[k]->flags & CN_OP_HIDDEN) && i-- == 0) return cn_ops[k];
  return NULL;
}

int cornu_op_count(void) {
  int count = 0;
  for (int k = 0; k < cn_op_total; k++) count += !(cn_ops[k]->flags & CN_OP_HIDDEN);
  return count;
}

bool cornu_op_info(int i, cornu_type_info *out) {
  const cn_op *op = offered(i);
  if (!op) return false;
  *out = (cornu_type_info){.name = op->name, .aliases = op->aliases, .help = CN_HELP_OF(op),
                           .n_fields = op->fields ? cn_field_count(op->fields) : 0,
                           .min_inputs = op->min_in, .max_inputs = op->max_in};
  return true;
}

bool cornu_op_field(int i, int field, cornu_field_info *out) {
  const cn_op *op = offered(i);
  return op && op->fields && cn_field_info(op->fields, field, out);
}

cn_status cn_want_rank(const cn_type *t, const char *what, int min_rank, int max_rank, cn_error *e) {
  if (t->rank >= min_rank && t->rank <= max_rank) return CORNU_OK;
  const char *shape = CN_SHAPE(t->rank, t->shape);
  if (min_rank == max_rank)
    return cn_fail(e, CORNU_ERR_SHAPE, "%s has %d dimensions %s, needs %d", what, t->rank, shape, min_rank);
  if (max_rank >= CN_MAX_RANK)
    return cn_fail(e, CORNU_ERR_SHAPE, "%s has %d dimensions %s, needs at least %d", what, t->rank, shape, min_rank);
  return cn_fail(e, CORNU_ERR_SHAPE, "%s has %d dimensions %s, needs %d to %d", what, t->rank, shape, min_rank,
                 max_rank);
}

cn_status cn_want_float(const cn_type *t, const char *what, cn_error *e) {
  if (cn_dtype_is_float(t->dtype)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_DTYPE, "%s is %s, needs a float type: cast it first", what, cornu_dtype_name(t->dtype));
}

cn_status cn_axis(int64_t axis, int rank, int *out, cn_error *e) {
  if (axis < -(int64_t)rank || axis >= rank)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "axis %lld is out of range: %d dimensions allow %d to %d", (long long)axis,
                   rank, -rank, rank - 1);
  *out = (int)(axis < 0 ? axis + rank : axis);
  return CORNU_OK;
}

cn_status cn_op_check_texts(const cn_op *op, const cn_type *types, int n, cn_error *e) {
  for (int i = 0; i < n && !(op->flags & CN_OP_TEXTS); i++)
    if (types[i].dtype == CORNU_TEXT)
      return cn_fail(e, CORNU_ERR_DTYPE, "%s works on numbers, not on strings: StringLookup, TextVectorization and "
                     "Hashing make numbers of strings", op->name);
  return CORNU_OK;
}

bool cn_dims_agree(int64_t a, int64_t b) { return a == b || a < 0 || b < 0; }

int64_t cn_dim_mul(int64_t a, int64_t b) {
  int64_t product;
  if (a < 0 || b < 0) return -1;
  return cn_mul_i64(a, b, &product) ? product : INT64_MAX;
}

/* Bits of an integer type; a signed one counts one more than it has for values, so that "holds" is a comparison. */
static int integer_bits(cornu_dtype d) { return d == CORNU_BOOL8 ? 1 : 8 * (int)cornu_dtype_bytes(d); }
static bool is_signed(cornu_dtype d) { return d >= CORNU_INT8 && d <= CORNU_INT64; }

static cornu_dtype promote_integers(cornu_dtype a, cornu_dtype b) {
  static const cornu_dtype signed_of[] = {CORNU_INT8, CORNU_INT16, CORNU_INT32, CORNU_INT64};
  if (integer_bits(a) < integer_bits(b) || (integer_bits(a) == integer_bits(b) && is_signed(b))) {
    cornu_dtype t = a;
    a = b;
    b = t;
  }
  if (is_signed(a) == is_signed(b) || b == CORNU_BOOL8) return a;
  if (is_signed(a) && integer_bits(a) > integer_bits(b)) return a;
  for (int i = 0; i < 4; i++) /* one signed, one not: the first signed type that holds both */
    if (integer_bits(signed_of[i]) > integer_bits(is_signed(a) ? b : a)) return signed_of[i];
  return CORNU_FLOAT64; /* int64 and uint64, as NumPy has it */
}

cornu_dtype cn_promote(cornu_dtype a, cornu_dtype b) {
  if (a == b) return a;
  bool fa = cn_dtype_is_float(a), fb = cn_dtype_is_float(b);
  if (!fa && !fb) return promote_integers(a, b);
  if (fa && fb) { /* the two kinds of 16 bits meet in float32 */
    if (a == CORNU_FLOAT64 || b == CORNU_FLOAT64) return CORNU_FLOAT64;
    return CORNU_FLOAT32;
  }
  cornu_dtype f = fa ? a : b, i = fa ? b : a;
  if (i == CORNU_BOOL8 || f == CORNU_FLOAT64) return f;
  return CORNU_FLOAT32;
}
