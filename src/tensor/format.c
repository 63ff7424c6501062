/* Tensors as text, in NumPy's manner. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tensor/tensor.h"

typedef struct style {
  int precision, edge, width;  /* digits behind the point; items shown at the ends; line width */
  bool summarise, scientific;
  int before, after, cell;     /* columns before the point, behind it, of one item */
} style;

typedef struct printer { cn_text *out; const cn_tensor *t; style s; } printer;

/* Visits the items that will be shown. */
static void each_shown(const printer *p, int axis, int64_t *index,
                       void (*visit)(void *user, const cn_tensor *t, const int64_t *index), void *user) {
  if (axis == p->t->rank) {
    visit(user, p->t, index);
    return;
  }
  int64_t n = p->t->shape[axis];
  for (int64_t i = 0; i < n; i++) {
    if (p->s.summarise && n > 2 * p->s.edge && i == p->s.edge) i = n - p->s.edge;
    index[axis] = i;
    each_shown(p, axis + 1, index, visit, user);
  }
}

typedef struct range { double largest, smallest; bool special; } range;

static void see(void *user, const cn_tensor *t, const int64_t *index) {
  range *r = user;
  double v = fabs(cornu_tensor_get(t, index));
  if (!isfinite(v)) {
    r->special = true;
    return;
  }
  if (v > r->largest) r->largest = v;
  if (v != 0 && (r->smallest == 0 || v < r->smallest)) r->smallest = v;
}

static void plain_text(const printer *p, double v, char *out, size_t size) {
  if (isnan(v)) snprintf(out, size, "nan");
  else if (isinf(v)) snprintf(out, size, v < 0 ? "-inf" : "inf");
  else snprintf(out, size, p->s.scientific ? "%.*e" : "%.*f", p->s.precision, v);
  if (!isfinite(v) || p->s.scientific) return;
  size_t n = strlen(out);
  while (n && out[n - 1] == '0') out[--n] = 0; /* "2.50" -> "2.5", "3.00" -> "3." */
}

static void integer_text(const cn_tensor *t, const int64_t *index, char *out, size_t size) {
  int64_t v = cornu_tensor_get_int(t, index);
  if (t->dtype == CORNU_BOOL8) snprintf(out, size, v ? "true" : "false");
  else if (t->dtype == CORNU_UINT64) snprintf(out, size, "%llu", (unsigned long long)v);
  else snprintf(out, size, "%lld", (long long)v);
}

/* In quotes, cut behind the 40th byte (or before, between characters), with control characters as escapes. */
static void quoted_text(const cn_tensor *t, const int64_t *index, char *out) {
  cornu_text x = cornu_tensor_get_text(t, index);
  size_t n = x.length, at = 0;
  bool valid = cn_utf8_valid(x.bytes, x.length);
  if (n > 40)
    for (n = 40; n > 36 && (x.bytes[n] & 0xC0) == 0x80;) n--;
  out[at++] = '"';
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)x.bytes[i];
    if (c == '"' || c == '\\') out[at++] = '\\', out[at++] = (char)c;
    else if (c == '\n') out[at++] = '\\', out[at++] = 'n';
    else if (c < 32 || c == 127 || (c > 127 && !valid)) at += (size_t)snprintf(out + at, 5, "\\x%02x", c);
    else out[at++] = (char)c;
  }
  snprintf(out + at, 8, n < x.length ? "…\"" : "\"");
}

/* Columns that UTF-8 takes, characters counted as one each. */
static int columns(const char *s) {
  int n = 0;
  for (; *s; s++) n += (*s & 0xC0) != 0x80;
  return n;
}

static void measure(void *user, const cn_tensor *t, const int64_t *index) {
  printer *p = user;
  char text[400];
  if (t->dtype == CORNU_TEXT) {
    quoted_text(t, index, text);
    if (columns(text) > p->s.cell) p->s.cell = columns(text);
    return;
  }
  if (!cn_dtype_is_float(t->dtype)) {
    integer_text(t, index, text, sizeof text);
    if ((int)strlen(text) > p->s.before) p->s.before = (int)strlen(text);
    return;
  }
  double v = cornu_tensor_get(t, index);
  plain_text(p, v, text, sizeof text);
  char *point = isfinite(v) && !p->s.scientific ? strchr(text, '.') : NULL;
  int before = point ? (int)(point - text) : (int)strlen(text), after = point ? (int)strlen(point) : 0;
  if (!point) { /* nan, inf and scientific numbers only widen the cell */
    if (before > p->s.cell) p->s.cell = before;
    return;
  }
  if (before > p->s.before) p->s.before = before;
  if (after > p->s.after) p->s.after = after;
}

static void item_text(const printer *p, const int64_t *index, char *out, size_t size) {
  char text[400];
  if (p->t->dtype == CORNU_TEXT) {
    quoted_text(p->t, index, text);
    snprintf(out, size, "%s%*s", text, p->s.cell - columns(text), "");
    return;
  }
  if (!cn_dtype_is_float(p->t->dtype)) {
    integer_text(p->t, index, text, sizeof text);
    snprintf(out, size, "%*s", p->s.cell, text);
    return;
  }
  double v = cornu_tensor_get(p->t, index);
  plain_text(p, v, text, sizeof text);
  char *point = isfinite(v) && !p->s.scientific ? strchr(text, '.') : NULL;
  if (!point) {
    snprintf(out, size, "%*s", p->s.cell, text);
    return;
  }
  int left = p->s.cell - p->s.after; /* columns before the point */
  snprintf(out, size, "%*.*s%-*s", left, (int)(point - text), text, p->s.after, point);
}

static void print_row(const printer *p, int64_t *index, int indent) {
  int axis = p->t->rank - 1;
  int64_t n = p->t->shape[axis];
  int column = indent;
  for (int64_t i = 0; i < n; i++) {
    char item[512];
    bool gap = p->s.summarise && n > 2 * p->s.edge && i == p->s.edge;
    if (gap) {
      snprintf(item, sizeof item, "...");
      i = n - p->s.edge - 1;
    } else {
      index[axis] = i;
      item_text(p, index, item, sizeof item);
    }
    int width = columns(item); /* the last line has room for all brackets, too */
    if (column > indent && column + 1 + width > p->s.width - p->t->rank) {
      cn_text_add(p->out, "\n");
      cn_text_pad(p->out, ' ', (size_t)indent);
      column = indent;
    } else if (column > indent) {
      cn_text_add(p->out, " ");
      column++;
    }
    cn_text_add(p->out, item);
    column += width;
  }
}

static void print_axis(const printer *p, int axis, int64_t *index) {
  int64_t n = p->t->shape[axis];
  cn_text_add(p->out, "[");
  if (axis == p->t->rank - 1) {
    print_row(p, index, axis + 1);
  } else {
    for (int64_t i = 0; i < n; i++) {
      if (i) {
        cn_text_pad(p->out, '\n', (size_t)(p->t->rank - axis - 1));
        cn_text_pad(p->out, ' ', (size_t)axis + 1);
      }
      if (p->s.summarise && n > 2 * p->s.edge && i == p->s.edge) {
        cn_text_add(p->out, "...");
        i = n - p->s.edge - 1;
        continue;
      }
      index[axis] = i;
      print_axis(p, axis + 1, index);
    }
  }
  cn_text_add(p->out, "]");
}

static void choose_style(printer *p, const cornu_print_options *o) {
  p->s = (style){.precision = o && o->precision > 0 ? o->precision : 4,
                 .edge = o && o->edge_items > 0 ? o->edge_items : 3,
                 .width = o && o->line_width > 0 ? o->line_width : 80};
  if (p->s.precision > 17) p->s.precision = 17;
  p->s.summarise = cornu_tensor_size(p->t) > (o && o->threshold > 0 ? o->threshold : 1000);
  int64_t index[CN_MAX_RANK + 1] = {0};
  if (cn_dtype_is_float(p->t->dtype)) {
    range r = {0};
    each_shown(p, 0, index, see, &r); /* too large, too small, or too far apart to line up */
    p->s.scientific = r.largest >= 1e8 || (r.smallest > 0 && (r.smallest < 1e-4 || r.largest / r.smallest > 1e5));
  }
  each_shown(p, 0, index, measure, p);
  if (p->s.before + p->s.after > p->s.cell) p->s.cell = p->s.before + p->s.after;
}

cornu_status cornu_tensor_format(cornu_tensor *t, const cornu_print_options *options, char **out, cornu_error *e) {
  cn_text text = {0};
  printer p = {.out = &text, .t = t};
  *out = NULL;
  if (!cornu_tensor_is_symbolic(t)) {
    int64_t index[CN_MAX_RANK + 1] = {0};
    choose_style(&p, options);
    if (t->rank) {
      print_axis(&p, 0, index);
    } else {
      char item[512];
      item_text(&p, index, item, sizeof item);
      cn_text_add(&text, item);
    }
    cn_text_add(&text, "\n");
  } else {
    cn_text_add(&text, "symbolic ");
  }
  cn_text_addf(&text, "%s %s", cornu_dtype_name(t->dtype), CN_SHAPE(t->rank, t->shape));
  if (text.failed) {
    cn_text_free(&text);
    return cn_no_memory(e);
  }
  *out = text.data;
  return CORNU_OK;
}
