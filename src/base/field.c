/* Fields: config keys to struct members. */
#include "base/field.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

/* ---- defaults: the little JSON that field tables use (null, true, numbers, "text", {}, lists of them) ---- */

static void skip_blanks(const char **s) { while (**s == ' ') ++*s; }

cn_value *cn_value_standard(cn_arena *a, const char **s) {
  skip_blanks(s);
  if (**s == '[') {
    cn_value *list = cn_value_new(a, CORNU_LIST);
    for (++*s, skip_blanks(s); list && **s && **s != ']'; skip_blanks(s)) {
      if (!cn_value_push(a, list, cn_value_standard(a, s))) return NULL;
      skip_blanks(s);
      if (**s == ',') ++*s;
    }
    if (**s == ']') ++*s;
    return list;
  }
  if (**s == '"') {
    const char *begin = ++*s;
    *s += strcspn(*s, "\"");
    cn_value *v = cn_value_new(a, CORNU_STRING);
    if (!v || !(v->s = cn_arena_copy(a, begin, (size_t)(*s - begin)))) return NULL;
    v->count = (int)(*s - begin);
    if (**s) ++*s;
    return v;
  }
  if (strncmp(*s, "{}", 2) == 0) return *s += 2, cn_value_new(a, CORNU_DICT);
  size_t n = strcspn(*s, " ,]}");
  const char *word = *s;
  *s += n;
  if (n == 4 && !memcmp(word, "null", 4)) return cn_value_new(a, CORNU_NULL);
  bool truth = n == 4 && !memcmp(word, "true", 4);
  if (truth || (n == 5 && !memcmp(word, "false", 5))) {
    cn_value *v = cn_value_new(a, CORNU_BOOL);
    if (v) v->b = truth;
    return v;
  }
  bool whole = strcspn(word, ".eEnN") >= n;
  cn_value *v = cn_value_new(a, whole ? CORNU_INT : CORNU_FLOAT);
  if (v && whole) v->i = strtoll(word, NULL, 10);
  else if (v) v->f = strtod(word, NULL);
  return v;
}

/* ---- one value ---- */

static const char *key_of(const cn_field *f) { return f->name; }

static cn_status wrong(const cn_field *f, const cn_value *v, const char *expected, cn_error *e) {
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"%s\" is %s, expected %s", key_of(f), cn_value_show(v, (char[120]){0}, 120),
                 expected);
}

static const char *number_text(double v, char *out, size_t size) {
  snprintf(out, size, v == floor(v) && fabs(v) < 1e15 ? "%.0f" : "%g", v);
  return out;
}

static const char *range_text(const cn_field *f, const char *what, char *out, size_t size) {
  char min[32], max[32];
  number_text(f->min, min, sizeof min);
  number_text(f->max, max, sizeof max);
  if (!(f->min < f->max)) snprintf(out, size, "%s", what);
  else if (f->max >= 1e15f) snprintf(out, size, "%s >= %s", what, min);
  else if (f->min <= -1e15f) snprintf(out, size, "%s <= %s", what, max);
  else snprintf(out, size, "%s from %s to %s", what, min, max);
  return out;
}

static bool in_range(const cn_field *f, double x) { return !(f->min < f->max) || (x >= f->min && x <= f->max); }

static cn_status parse_int(const cn_field *f, const cn_value *v, int64_t *out, cn_error *e) {
  if (cn_value_integer(v, out) && in_range(f, (double)*out)) return CORNU_OK;
  return wrong(f, v, range_text(f, "an integer", (char[80]){0}, 80), e);
}

static cn_status parse_float(const cn_field *f, const cn_value *v, double *out, cn_error *e) {
  if (cn_value_number(v, out) && (isnan(*out) || in_range(f, *out))) return CORNU_OK;
  return wrong(f, v, range_text(f, "a number", (char[80]){0}, 80), e);
}

static cn_status parse_bool(const cn_field *f, const cn_value *v, bool *out, cn_error *e) {
  double x;
  if (!cn_value_number(v, &x) || (x != 0 && x != 1)) return wrong(f, v, "true or false", e);
  *out = x != 0;
  return CORNU_OK;
}

static cn_status parse_enum(const cn_field *f, const cn_value *v, int *out, cn_error *e) {
  const char *s = cn_value_str(v);
  if (s && cn_word_in(f->choices, s, out)) return CORNU_OK;
  char lower[64];
  size_t n = 0;
  for (; s && s[n] && n + 1 < sizeof lower; n++) lower[n] = (char)(s[n] >= 'A' && s[n] <= 'Z' ? s[n] + 32 : s[n]);
  lower[n] = 0;
  if (s && cn_word_in(f->choices, lower, out)) return CORNU_OK;
  char expected[512] = "one of: ";
  size_t at = strlen(expected);
  for (const char *c = f->choices; c && *c && at + 3 < sizeof expected; c++) {
    if (*c == ' ') expected[at++] = ',';
    expected[at++] = *c;
  }
  expected[at] = 0;
  return wrong(f, v, expected, e);
}

static cn_status parse_ints(const cn_field *f, const cn_value *v, cn_ints *out, cn_error *e) {
  char expected[120], range[80];
  if (f->count)
    snprintf(expected, sizeof expected, "%s, or %d of them", range_text(f, "an integer", range, sizeof range),
             f->count);
  else snprintf(expected, sizeof expected, "a list of up to %d integers", CN_MAX_INTS);
  if (!cn_value_is(v, CORNU_LIST)) {
    int64_t x;
    if (!cn_value_integer(v, &x) || !in_range(f, (double)x)) return wrong(f, v, expected, e);
    out->n = f->count ? f->count : 1;
    for (int i = 0; i < out->n; i++) out->v[i] = x;
    return CORNU_OK;
  }
  if (v->count > CN_MAX_INTS || (f->count && v->count != f->count && v->count != 1)) return wrong(f, v, expected, e);
  out->n = v->count;
  for (int i = 0; i < v->count; i++) {
    if (f->null_items && cn_value_is_null(v->items[i])) out->v[i] = CN_NULL_INT;
    else if (!cn_value_integer(v->items[i], &out->v[i]) || !in_range(f, (double)out->v[i]))
      return wrong(f, v, expected, e);
  }
  for (; out->n < f->count; out->n++) out->v[out->n] = out->v[0];
  return CORNU_OK;
}

static cn_status parse_dtype(const cn_field *f, const cn_value *v, cornu_dtype *out, cn_error *e) {
  const cn_value *policy = cn_value_find(cn_value_find(v, "config"), "name");
  const char *s = cn_value_str(policy ? policy : v);
  return s && cornu_dtype_parse(s, out) ? CORNU_OK : wrong(f, v, "a dtype such as \"float32\"", e);
}

static void set_null(const cn_field *f, char *m) {
  switch (f->kind) {
    case CN_F_INT: *(int64_t *)(void *)m = CN_NULL_INT; break;
    case CN_F_FLOAT: *(double *)(void *)m = NAN; break;
    case CN_F_BOOL: *(bool *)m = false; break;
    case CN_F_STRING: *(const char **)(void *)m = NULL; break;
    case CN_F_ENUM: *(int *)(void *)m = -1; break;
    case CN_F_INTS: ((cn_ints *)(void *)m)->n = -1; break;
    case CN_F_VALUE: *(const cn_value **)(void *)m = NULL; break;
    case CN_F_DTYPE: *(cornu_dtype *)(void *)m = CORNU_DTYPES; break;
    default: break;
  }
}

static bool allows_null(const cn_field *f) {
  if (f->kind == CN_F_ENUM && cn_word_in(f->choices, "null", NULL)) return true;
  if (f->null_items) return true;
  return f->kind == CN_F_VALUE || f->kind == CN_F_ACTIVATION || (f->standard && strcmp(f->standard, "null") == 0);
}

static cn_status parse_member(const cn_field *f, const cn_value *v, char *m, const cn_field_hooks *hooks, cn_error *e) {
  if (f->kind == CN_F_ACTIVATION || f->kind == CN_F_LAYER) {
    if (!hooks) return cn_fail(e, CORNU_ERR_ARGUMENT, "\"%s\" cannot be given here", f->name);
    cn_status status = hooks->parse(hooks->user, f, v, m, e);
    return status ? cn_at(e, status, "\"%s\"", f->name) : CORNU_OK;
  }
  if (cn_value_is_null(v)) {
    if (!allows_null(f)) return wrong(f, v, f->kind == CN_F_BOOL ? "true or false" : "a value", e);
    set_null(f, m);
    return CORNU_OK;
  }
  switch (f->kind) {
    case CN_F_INT: return parse_int(f, v, (int64_t *)(void *)m, e);
    case CN_F_FLOAT: return parse_float(f, v, (double *)(void *)m, e);
    case CN_F_BOOL: return parse_bool(f, v, (bool *)m, e);
    case CN_F_ENUM: return parse_enum(f, v, (int *)(void *)m, e);
    case CN_F_INTS: return parse_ints(f, v, (cn_ints *)(void *)m, e);
    case CN_F_DTYPE: return parse_dtype(f, v, (cornu_dtype *)(void *)m, e);
    case CN_F_VALUE: *(const cn_value **)(void *)m = v; return CORNU_OK;
    case CN_F_STRING:
      if (!cn_value_str(v)) return wrong(f, v, "text", e);
      *(const char **)(void *)m = v->s;
      return CORNU_OK;
    default: return CORNU_OK;
  }
}

/* ---- the table ---- */

int cn_field_count(const cn_field *fields) {
  int n = 0;
  while (fields && fields[n].name) n++;
  return n;
}

const cn_field *cn_field_find(const cn_field *fields, const char *name) {
  for (const cn_field *f = fields; f && f->name; f++)
    if (strcmp(f->name, name) == 0 || cn_word_in(f->aliases, name, NULL)) return f;
  return NULL;
}

static cn_status unknown_key(const cn_field *fields, const char *key, cn_error *e) {
  cn_text names = {0}, all = {0};
  for (const cn_field *f = fields; f && f->name; f++) {
    cn_text_addf(&all, "%s %s ", f->name, f->aliases ? f->aliases : "");
    if (f->kind < CN_F_PART) cn_text_addf(&names, "%s%s", names.length ? ", " : "", f->name);
  }
  char nearest[80];
  bool near = all.data && cn_nearest_name(key, all.data, nearest, sizeof nearest);
  cn_status status =
      cn_fail(e, CORNU_ERR_ARGUMENT, "no option \"%s\" (it has: %s)%s%s%s", key, names.data ? names.data : "none",
              near ? ": did you mean \"" : "", near ? nearest : "", near ? "\"?" : "");
  cn_text_free(&names);
  cn_text_free(&all);
  return status;
}

static const cn_value *given(const cn_field *f, const cn_value *dict) {
  const cn_value *v = cn_value_find(dict, f->name);
  const char *s = f->aliases;
  while (!v && s && *s) {
    char name[80];
    size_t n = strcspn(s, " ");
    if (n && n < sizeof name) {
      memcpy(name, s, n);
      name[n] = 0;
      v = cn_value_find(dict, name);
    }
    s += n + (s[n] == ' ');
  }
  return v;
}

cn_status cn_fields_parse(const cn_field *fields, const cn_value *dict, void *out, const char *also_known,
                          const cn_field_hooks *hooks, cn_arena *arena, cn_error *e) {
  for (int i = 0; cn_value_is(dict, CORNU_DICT) && i < dict->count; i++)
    if (!cn_field_find(fields, dict->keys[i]) && !cn_word_in(also_known, dict->keys[i], NULL))
      return unknown_key(fields, dict->keys[i], e);
  for (const cn_field *f = fields; f && f->name; f++) {
    if (f->kind >= CN_F_PART) continue;
    const cn_value *v = given(f, dict);
    if (!v && !f->standard) return cn_fail(e, CORNU_ERR_ARGUMENT, "\"%s\" is missing", f->name);
    if (!v) {
      const char *s = f->standard;
      if (!(v = cn_value_standard(arena, &s))) return cn_no_memory(e);
    }
    CN_TRY(parse_member(f, v, (char *)out + f->offset, hooks, e));
  }
  return CORNU_OK;
}

bool cn_field_info(const cn_field *fields, int i, cornu_field_info *out) {
  static const char *const types[] = {"int",   "float", "bool",       "string", "enum",   "ints",
                                      "value", "dtype", "activation", "layer",  "part",  "ignored"};
  if (i < 0 || i >= cn_field_count(fields)) return false;
  const cn_field *f = &fields[i];
  *out = (cornu_field_info){.name = f->name,
                            .aliases = f->aliases,
                            .type = types[f->kind],
                            .choices = f->kind == CN_F_ENUM ? f->choices : NULL,
                            .standard = f->standard,
                            .help = CN_HELP_OF(f)};
  return true;
}
