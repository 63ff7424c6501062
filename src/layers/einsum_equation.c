/* Equations of Einstein sums as NumPy writes them: any number of operands, "...", an axis twice, an implicit result. */
#include <string.h>

#include "base/text.h"
#include "layers/einsum.h"
#include "layers/emit.h"
#include "ops/ops.h"

enum { MAX_OPERANDS = 16 };
/* Letters of an operand or of the result; those of an ellipsis are '0' … '7', counted from the last axis. */
typedef struct letters { char of[2 * CN_MAX_RANK + 1]; int n; } letters;
typedef struct equation { letters in[MAX_OPERANDS], out; int n, dots; } equation;

static bool has(const char *list, char c) { return c && strchr(list, c); }

static bool push(letters *l, char c) {
  if (l->n == 2 * CN_MAX_RANK) return false;
  l->of[l->n++] = c;
  l->of[l->n] = 0;
  return true;
}

static bool push_dots(letters *l, int axes) {
  bool good = axes >= 0 && axes <= CN_MAX_RANK;
  for (int i = axes - 1; i >= 0 && good; i--) good = push(l, (char)('0' + i));
  return good;
}

/* One term up to ',' or "->"; the ellipsis stands for what the rank leaves. Returns behind it; NULL: broken. */
static const char *read_term(const char *s, int dots, letters *out) {
  for (; *s && *s != ',' && strncmp(s, "->", 2) != 0; s++) {
    if (*s == ' ') continue;
    bool ellipsis = strncmp(s, "...", 3) == 0;
    bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z');
    if (!(ellipsis ? push_dots(out, dots) : letter && push(out, *s))) return NULL;
    if (ellipsis) s += 2;
  }
  return s;
}

static int count_letters(const char *s) {
  int n = 0;
  for (; *s && *s != ',' && strncmp(s, "->", 2) != 0; s++) n += *s != ' ' && *s != '.';
  return n;
}

/* Without "->": the ellipsis, then every letter that is there once, in the alphabet's order. */
static bool implicit(equation *q) {
  bool good = push_dots(&q->out, q->dots);
  for (char c = 'A'; c <= 'z' && good; c++) {
    int times = 0;
    for (int i = 0; i < q->n; i++)
      for (int k = 0; k < q->in[i].n; k++) times += q->in[i].of[k] == c;
    if (times == 1) good = push(&q->out, c);
  }
  return good;
}

static bool read_equation(cn_trace *t, const char *s, const cn_edge *in, int n, equation *q) {
  *q = (equation){.n = n};
  for (int i = 0; i < n; i++) {
    int rank = cn_edge_type(t, in[i])->rank, dots = rank - count_letters(s);
    s = read_term(s, dots, &q->in[i]);
    if (!s || q->in[i].n != rank || (i + 1 < n) != (*s == ',')) return false;
    if (dots > q->dots) q->dots = dots;
    s += *s == ',';
  }
  if (!*s) return implicit(q);
  s = read_term(s + 2, q->dots, &q->out);
  bool good = s && !*s;
  for (int k = 0; good && k < q->out.n; k++) {
    bool known = false;
    for (int i = 0; i < n; i++) known |= has(q->in[i].of, q->out.of[k]);
    good = known && !has(q->out.of + k + 1, q->out.of[k]);
  }
  return good;
}

/* A letter that is there twice: the diagonal of both axes. */
static cn_edge take_diagonals(cn_trace *t, letters *l, cn_edge x) {
  for (int i = 0; i < l->n; i++) {
    char *again = strchr(l->of + i + 1, l->of[i]), letter = l->of[i];
    if (!again) continue;
    int second = (int)(again - l->of);
    x = cn_emit_move_axis(t, cn_emit_move_axis(t, x, second, -1), i, -1);
    x = cn_emit1(t, &cn_op_diagonal, &(cn_offset_attrs){0}, x);
    memmove(again, again + 1, strlen(again));
    memmove(l->of + i, l->of + i + 1, strlen(l->of + i));
    l->n -= 2;
    push(l, letter);
    i--;
  }
  return x;
}

cn_edge cn_emit_einsum_equation(cn_trace *t, const char *text, const cn_edge *in, int n) {
  equation q;
  if (t->status) return CN_NO_EDGE;
  if (n < 1 || n > MAX_OPERANDS) {
    cn_trace_fail(t, CORNU_ERR_ARGUMENT, "the equation \"%s\" has %d operands, expected 1 to %d", text, n, MAX_OPERANDS);
    return CN_NO_EDGE;
  }
  if (!read_equation(t, text, in, n, &q)) {
    cn_trace_fail(t, CORNU_ERR_ARGUMENT, "the equation \"%s\" does not fit %d operands, the first of shape %s", text, n,
                  CN_SHAPE(cn_edge_type(t, in[0])->rank, cn_edge_type(t, in[0])->shape));
    return CN_NO_EDGE;
  }
  letters left = q.in[0];
  cn_edge y = take_diagonals(t, &left, in[0]);
  for (int i = 1; i < n; i++) {
    letters right = q.in[i], kept = {.n = 0};
    cn_edge x = take_diagonals(t, &right, in[i]);
    for (int k = 0; k < left.n + right.n; k++) {
      char c = k < left.n ? left.of[k] : right.of[k - left.n];
      bool needed = has(q.out.of, c);
      for (int later = i + 1; later < n; later++) needed |= has(q.in[later].of, c);
      if (needed && !has(kept.of, c) && !push(&kept, c)) cn_trace_fail(t, CORNU_ERR_LIMIT, "has too many axes");
    }
    y = cn_emit_einsum(t, left.of, y, right.of, x, i + 1 < n ? kept.of : q.out.of);
    left = i + 1 < n ? kept : q.out;
  }
  return n == 1 ? cn_emit_arranged(t, left.of, y, q.out.of) : y;
}
