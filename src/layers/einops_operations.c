/* keras.ops: rearrange. A pattern such as "b (h p) c -> b h (p c)" names the axes before and after; those in
 * parentheses share one axis. */
#include "layers/operation.h"

#include <ctype.h>
#include <string.h>

/* One side of a pattern: names in order; of which group each is. */
typedef struct side {
  int n, groups;
  const char *name[CN_MAX_RANK];
  size_t length[CN_MAX_RANK];
  int group[CN_MAX_RANK];
} side;

static bool is_word(char ch) { return isalnum((unsigned char)ch) || ch == '_'; }

/* The part of the pattern up to `end`; false: not to be read. */
static bool parse(const char *s, const char *end, side *out) {
  bool inside = false;
  *out = (side){.n = 0};
  while (s < end) {
    if (is_word(*s)) {
      if (out->n == CN_MAX_RANK) return false;
      out->name[out->n] = s;
      while (s < end && is_word(*s)) s++;
      out->length[out->n] = (size_t)(s - out->name[out->n]);
      out->group[out->n++] = inside ? out->groups : out->groups++;
    } else if (*s == '(' || *s == ')') {
      if (inside != (*s == ')')) return false;
      out->groups += inside;
      inside = !inside;
      s++;
    } else if (isspace((unsigned char)*s)) {
      s++;
    } else {
      return false;
    }
  }
  return !inside;
}

static int find(const side *in, const side *out, int k) {
  for (int i = 0; i < in->n; i++)
    if (in->length[i] == out->length[k] && memcmp(in->name[i], out->name[k], in->length[i]) == 0) return i;
  return -1;
}

/* How long axis i is: as the call says; -1: it does not. */
static int64_t told(const cn_operation_call *c, const side *in, int i) {
  int64_t n;
  for (int k = 0; k < c->bound->count; k++)
    if (strlen(c->bound->keys[k]) == in->length[i] && memcmp(c->bound->keys[k], in->name[i], in->length[i]) == 0 &&
        cn_value_integer(c->bound->items[k], &n) && n >= 0)
      return n;
  return -1;
}

/* The lengths of all axes; one of a group may be inferred. */
static bool measure(cn_operation_call *c, const side *in, const cn_type *x, int64_t *size) {
  for (int g = 0; g < in->groups; g++) {
    int64_t known = 1, members = 0, missing = -1;
    for (int i = 0; i < in->n; i++) members += in->group[i] == g;
    for (int i = 0; i < in->n; i++) {
      if (in->group[i] != g) continue;
      size[i] = members > 1 ? told(c, in, i) : x->shape[g];
      if (members > 1 && size[i] < 0) {
        if (missing >= 0) return false;
        missing = i;
      } else if (members > 1) known = cn_dim_mul(known, size[i]);
    }
    int64_t whole = x->shape[g];
    if (missing >= 0) size[missing] = whole < 0 || known <= 0 ? -1 : whole / known;
    if (members > 1 && whole >= 0 && (missing < 0 ? known : cn_dim_mul(known, size[missing])) != whole) return false;
  }
  return true;
}

static cn_edge turn(cn_operation_call *c, cn_edge x, const side *in, const side *out, const int64_t *size) {
  cn_reshape_attrs apart = {.shape = {.n = in->n}}, together = {.shape = {.n = out->groups}};
  cn_ints_attrs order = {.v = {.n = out->n}};
  memcpy(apart.shape.v, size, sizeof *size * (size_t)in->n);
  for (int g = 0; g < out->groups; g++) together.shape.v[g] = 1;
  for (int k = 0; k < out->n; k++) {
    int i = find(in, out, k);
    order.v.v[k] = i;
    together.shape.v[out->group[k]] = cn_dim_mul(together.shape.v[out->group[k]], size[i]);
  }
  x = cn_emit1(c->t, &cn_op_reshape, &apart, x);
  x = cn_emit1(c->t, &cn_op_transpose, &order, x);
  return cn_emit1(c->t, &cn_op_reshape, &together, x);
}

static void rearrange(cn_operation_call *c) {
  const char *pattern = cn_value_str(cn_argument(c, "pattern")), *arrow = pattern ? strstr(pattern, "->") : NULL;
  cn_edge x = cn_argument_tensor(c, "tensor");
  const cn_type type = *cn_operation_type(c, x);
  side in, out;
  int64_t size[CN_MAX_RANK];
  bool seen[CN_MAX_RANK] = {false};
  bool good = arrow && parse(pattern, arrow, &in) && parse(arrow + 2, pattern + strlen(pattern), &out) &&
              in.n == out.n && in.groups == type.rank && measure(c, &in, &type, size);
  for (int k = 0; good && k < out.n; k++) {
    int i = find(&in, &out, k);
    good = i >= 0 && !seen[i];
    if (good) seen[i] = true;
  }
  if (!good && !c->t->status)
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"pattern\" is %s, which does not fit an input of rank %d",
                  cn_value_show(cn_argument(c, "pattern"), (char[120]){0}, 120), type.rank);
  if (!c->t->status) cn_operation_return(c, turn(c, x, &in, &out, size));
}

const cn_operation cn_operations_einops[] = {
    {.name = "Rearrange", .arguments = "tensor pattern", .emit = rearrange, .any_key = true,
     .help = CN_HELP("axes split, moved and joined as a pattern says: \"b (h p) c -> b h (p c)\", p = 2")},
    {0}};
