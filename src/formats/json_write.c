/* Values as JSON: one line, as Python writes it, or indented. Written here and not by cJSON, which knows neither NaN
 * nor int64 nor a NUL within a text. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/value.h"

static void write_text(cn_text *t, const char *s, size_t length) {
  cn_text_add(t, "\"");
  for (size_t i = 0; i < length; i++) {
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    unsigned char c = (unsigned char)s[i];
    const char *known = c ? strchr(from, c) : NULL;
    if (known) cn_text_addf(t, "\\%c", to[known - from]);
    else if (c < 0x20 || c == 0x7f) cn_text_addf(t, "\\u%04x", c);
    else cn_text_add_bytes(t, s + i, 1);
  }
  cn_text_add(t, "\"");
}

/* The shortest digits that read back the same, from 15 on but for the smallest numbers; with a point or an exponent. */
static void write_float(cn_text *t, double f) {
  if (isnan(f) || isinf(f)) {
    cn_text_add(t, isnan(f) ? "NaN" : f > 0 ? "Infinity" : "-Infinity");
    return;
  }
  char text[40];
  for (int precision = fabs(f) < 1e-300 ? 1 : 15; precision <= 17; precision++) {
    snprintf(text, sizeof text, "%.*g", precision, f);
    if (strtod(text, NULL) == f) break;
  }
  char *point = strpbrk(text, ".,");
  if (point) *point = '.';
  cn_text_add(t, text);
  if (!strpbrk(text, ".e")) cn_text_add(t, ".0");
}

static void new_line(cn_text *t, int indent, int depth) {
  if (!indent) return;
  cn_text_add(t, "\n");
  cn_text_pad(t, ' ', (size_t)indent * (size_t)depth);
}

static void write_value(cn_text *t, const cn_value *v, int indent, int depth);

static void write_items(cn_text *t, const cn_value *v, int indent, int depth) {
  bool dict = v->kind == CORNU_DICT;
  cn_text_add(t, dict ? "{" : "[");
  for (int i = 0; i < v->count; i++) {
    if (i) cn_text_add(t, indent ? "," : ", ");
    new_line(t, indent, depth + 1);
    if (dict) {
      write_text(t, v->keys[i], strlen(v->keys[i]));
      cn_text_add(t, ": ");
    }
    write_value(t, v->items[i], indent, depth + 1);
  }
  if (v->count) new_line(t, indent, depth);
  cn_text_add(t, dict ? "}" : "]");
}

static void write_value(cn_text *t, const cn_value *v, int indent, int depth) {
  switch (v ? v->kind : CORNU_NULL) {
    case CORNU_NULL: cn_text_add(t, "null"); break;
    case CORNU_BOOL: cn_text_add(t, v->b ? "true" : "false"); break;
    case CORNU_INT: cn_text_addf(t, "%lld", (long long)v->i); break;
    case CORNU_FLOAT: write_float(t, v->f); break;
    case CORNU_STRING: write_text(t, v->s, (size_t)v->count); break;
    default: write_items(t, v, indent, depth); break;
  }
}

static bool too_deep(const cn_value *v, int depth) {
  if (!v || (v->kind != CORNU_LIST && v->kind != CORNU_DICT)) return false;
  if (depth > cn_limits.max_depth) return true;
  for (int i = 0; i < v->count; i++)
    if (too_deep(v->items[i], depth + 1)) return true;
  return false;
}

cornu_status cornu_json_write(cornu_tree *tree, const cornu_value *v, int indent, const char **out, cornu_error *e) {
  *out = NULL;
  if (too_deep(v, 1))
    return cn_fail(e, CORNU_ERR_LIMIT, "the value is nested more than %d levels deep", cn_limits.max_depth);
  cn_text t = {0};
  write_value(&t, v, indent < 0 ? 0 : indent > 16 ? 16 : indent, 0);
  *out = t.failed || !t.data ? NULL : cn_arena_copy(&tree->arena, t.data, t.length);
  cn_text_free(&t);
  return *out ? CORNU_OK : cn_no_memory(e);
}
