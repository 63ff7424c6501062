/* JSON as Python writes it: NaN, Infinity and -Infinity are numbers. Whole numbers stay exact through int64, texts may
 * hold NULs (Keras 1 wrote bytecode into them), of equal keys the last one wins.
 *
 * A reader of our own: cJSON keeps numbers as doubles, ends texts at a NUL and knows no NaN. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/value.h"

typedef struct reader {
  cn_arena *arena;
  const char *start, *at, *end;
  char *scratch;   /* for texts with escapes; freed by cornu_json_read */
  size_t room;
  int depth;
  cn_error *e;
} reader;

/* ---- Reading ---- */

static cn_status fail_at(reader *r, const char *what) {
  int line = 1, column = 1;
  for (const char *p = r->start; p < r->at; p++) {
    column++;
    if (*p == '\n') line++, column = 1;
  }
  return cn_fail(r->e, CORNU_ERR_FORMAT, "JSON, line %d, column %d: %s", line, column, what);
}

static void skip_space(reader *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r')) r->at++;
}

static bool accept(reader *r, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0) return false;
  r->at += length;
  return true;
}

static int hex4(const char *s) {
  int value = 0;
  for (int i = 0; i < 4; i++) {
    static const char digits_[] = "0123456789abcdefABCDEF";
    const char *digit = s[i] ? strchr(digits_, s[i]) : NULL;
    if (!digit) return -1;
    int at = (int)(digit - digits_);
    value = value * 16 + (at < 16 ? at : at - 6);
  }
  return value;
}

static char *put_utf8(char *to, unsigned code) {
  if (code < 0x80) return *to = (char)code, to + 1;
  int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
  *to++ = (char)(lead[more] | code >> 6 * more);
  while (more--) *to++ = (char)(0x80 | (code >> 6 * more & 0x3f));
  return to;
}

/* After "\u": the code point, of two escapes when it is a pair; a half alone becomes U+FFFD. -1: no digits. */
static long read_code(reader *r, const char *end) {
  int code = end - r->at >= 4 ? hex4(r->at) : -1;
  if (code < 0) return -1;
  r->at += 4;
  if (code < 0xd800 || code > 0xdfff) return code;
  int low = code < 0xdc00 && end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u' ? hex4(r->at + 2) : -1;
  if (low < 0xdc00 || low > 0xdfff) return 0xfffd;
  r->at += 6;
  return 0x10000 + ((long)(code - 0xd800) << 10) + (low - 0xdc00);
}

/* Takes the escapes of [r->at, end) out; the result is never longer. */
static cn_status unescape(reader *r, const char *end, size_t *length) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  size_t most = (size_t)(end - r->at) + 1;
  if (most > r->room) {
    cn_free(r->scratch);
    r->room = 0;
    r->scratch = cn_alloc(most);
    if (!r->scratch) return cn_no_memory(r->e);
    r->room = most;
  }
  char *out = r->scratch;
  while (r->at < end) {
    if (*r->at != '\\') {
      *out++ = *r->at++;
      continue;
    }
    r->at++;
    const char *known = r->at < end && *r->at ? strchr(from, *r->at) : NULL;
    if (known) {
      *out++ = to[known - from];
      r->at++;
    } else if (accept(r, "u")) {
      long code = read_code(r, end);
      if (code < 0) return fail_at(r, "four hexadecimal digits expected after \\u");
      out = put_utf8(out, (unsigned)code);
    } else {
      return fail_at(r, "an unknown escape");
    }
  }
  *length = (size_t)(out - r->scratch);
  return CORNU_OK;
}

/* A text, r->at behind its opening quote. *out is borrowed from the input or from r->scratch. */
static cn_status read_text(reader *r, const char **out, size_t *length) {
  const char *end = r->at;
  bool escapes = false;
  while (end < r->end && *end != '"') {
    if (*end == '\\') escapes = true, end++;
    end++;
  }
  if (end >= r->end) return fail_at(r, "a text without end");
  *out = r->at;
  *length = (size_t)(end - r->at);
  if (*length > INT32_MAX) return fail_at(r, "a text too long");
  if (!cn_utf8_valid(r->at, *length)) return fail_at(r, "a text that is not UTF-8");
  if (escapes) {
    CN_TRY(unescape(r, end, length));
    *out = r->scratch;
  }
  r->at = end + 1;
  return CORNU_OK;
}

static cn_status make(reader *r, cornu_kind kind, cn_value **out) {
  *out = cn_value_new(r->arena, kind);
  return *out ? CORNU_OK : cn_no_memory(r->e);
}

/* The decimal point of the host's locale is what strtod wants. */
static double parse_double(char *text) {
  char *point = strchr(text, '.');
  if (point) *point = *localeconv()->decimal_point;
  return strtod(text, NULL);
}

static cn_status make_number(reader *r, const char *from, bool whole, cn_value **out) {
  char text[512];
  size_t length = (size_t)(r->at - from);
  if (length >= sizeof text) return fail_at(r, "a number of more than 511 characters");
  memcpy(text, from, length);
  text[length] = 0;
  int64_t value = 0;
  for (const char *p = text + (*text == '-'); whole && *p; p++) {
    int digit = *p - '0';
    whole = !__builtin_mul_overflow(value, 10, &value) && !__builtin_sub_overflow(value, digit, &value);
  }
  if (whole && *text != '-') whole = value != INT64_MIN, value = whole ? -value : 0;
  CN_TRY(make(r, whole ? CORNU_INT : CORNU_FLOAT, out));
  if (whole) (*out)->i = value;
  else (*out)->f = parse_double(text);
  return CORNU_OK;
}

static bool digits(reader *r) {
  const char *from = r->at;
  while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++;
  return r->at > from;
}

static cn_status read_number(reader *r, cn_value **out) {
  const char *from = r->at;
  bool whole = true;
  accept(r, "-");
  const char *first = r->at;
  if (!digits(r)) return r->at = from, fail_at(r, "a value expected");
  if (*first == '0' && r->at > first + 1) return r->at = from, fail_at(r, "a number with a zero in front");
  if (accept(r, ".")) {
    whole = false;
    if (!digits(r)) return fail_at(r, "digits expected behind the point");
  }
  if (accept(r, "e") || accept(r, "E")) {
    whole = false;
    if (!accept(r, "+")) accept(r, "-");
    if (!digits(r)) return fail_at(r, "digits expected in the exponent");
  }
  return make_number(r, from, whole, out);
}

static cn_status read_value(reader *r, cn_value **out);

static cn_status read_list(reader *r, cn_value **out) {
  CN_TRY(make(r, CORNU_LIST, out));
  skip_space(r);
  if (accept(r, "]")) return CORNU_OK;
  do {
    cn_value *item;
    CN_TRY(read_value(r, &item));
    if (!cn_value_push(r->arena, *out, item)) return cn_no_memory(r->e);
    skip_space(r);
  } while (accept(r, ","));
  return accept(r, "]") ? CORNU_OK : fail_at(r, "\",\" or \"]\" expected");
}

/* Where a key is among the members, -1: nowhere. From 32 members on a map finds it; it holds indexes + 1. */
static int find_member(const cn_value *dict, const cn_map *map, const char *key) {
  if (map->count) return (int)(intptr_t)cn_map_get(map, key) - 1;
  for (int i = 0; i < dict->count; i++)
    if (strcmp(dict->keys[i], key) == 0) return i;
  return -1;
}

static bool add_member(cn_arena *a, cn_value *dict, cn_map *map, const char *key, cn_value *item) {
  int at = find_member(dict, map, key), capacity = dict->capacity;
  if (at >= 0) return dict->items[at] = item, true;
  if (!cn_arena_grow(a, &dict->items, &capacity, dict->count, sizeof *dict->items)) return false;
  if (!cn_arena_grow(a, &dict->keys, &dict->capacity, dict->count, sizeof *dict->keys)) return false;
  dict->items[dict->count] = item;
  dict->keys[dict->count++] = key;
  if (dict->count < 32) return true;
  for (int i = map->count ? dict->count - 1 : 0; i < dict->count; i++)
    if (!cn_map_set(map, dict->keys[i], (void *)(intptr_t)(i + 1))) return false;
  return true;
}

static cn_status read_key(reader *r, const char **out) {
  const char *text;
  size_t length;
  skip_space(r);
  if (!accept(r, "\"")) return fail_at(r, "a key in quotes expected");
  CN_TRY(read_text(r, &text, &length));
  if (memchr(text, 0, length)) return fail_at(r, "a key with a NUL");
  *out = cn_arena_copy(r->arena, text, length);
  skip_space(r);
  if (!accept(r, ":")) return fail_at(r, "\":\" expected");
  return *out ? CORNU_OK : cn_no_memory(r->e);
}

static cn_status read_members(reader *r, cn_value *dict, cn_map *map) {
  do {
    const char *key = NULL;
    cn_value *item = NULL;
    CN_TRY(read_key(r, &key));
    CN_TRY(read_value(r, &item));
    if (!add_member(r->arena, dict, map, key, item)) return cn_no_memory(r->e);
    skip_space(r);
  } while (accept(r, ","));
  return accept(r, "}") ? CORNU_OK : fail_at(r, "\",\" or \"}\" expected");
}

static cn_status read_dict(reader *r, cn_value **out) {
  CN_TRY(make(r, CORNU_DICT, out));
  skip_space(r);
  if (accept(r, "}")) return CORNU_OK;
  cn_map map = {0};
  cn_status status = read_members(r, *out, &map);
  cn_map_free(&map);
  return status;
}

static cn_status read_string(reader *r, cn_value **out) {
  const char *text;
  size_t length;
  CN_TRY(read_text(r, &text, &length));
  CN_TRY(make(r, CORNU_STRING, out));
  (*out)->s = cn_arena_copy(r->arena, text, length);
  (*out)->count = (int)length;
  return (*out)->s ? CORNU_OK : cn_no_memory(r->e);
}

static cn_status read_constant(reader *r, cn_value **out) {
  static const struct { const char *word; cornu_kind kind; bool b; double f; } known[] = {
      {"null", CORNU_NULL, false, 0},   {"true", CORNU_BOOL, true, 0},              {"false", CORNU_BOOL, false, 0},
      {"NaN", CORNU_FLOAT, false, NAN}, {"Infinity", CORNU_FLOAT, false, INFINITY},
      {"-Infinity", CORNU_FLOAT, false, -INFINITY}
  };
  for (int i = 0; i < CN_COUNT(known); i++) {
    if (!accept(r, known[i].word)) continue;
    CN_TRY(make(r, known[i].kind, out));
    if (known[i].kind == CORNU_BOOL) (*out)->b = known[i].b;
    if (known[i].kind == CORNU_FLOAT) (*out)->f = known[i].f;
    return CORNU_OK;
  }
  return read_number(r, out);
}

static cn_status read_value(reader *r, cn_value **out) {
  skip_space(r);
  if (accept(r, "\"")) return read_string(r, out);
  bool list = accept(r, "["), dict = !list && accept(r, "{");
  if (!list && !dict) return read_constant(r, out);
  if (++r->depth > cn_limits.max_depth)
    return cn_fail(r->e, CORNU_ERR_LIMIT, "JSON: nested more than %d levels deep", cn_limits.max_depth);
  cn_status status = list ? read_list(r, out) : read_dict(r, out);
  r->depth--;
  return status;
}

cornu_status cornu_json_read(cornu_tree *tree, const char *text, size_t length, cornu_value **out, cornu_error *e) {
  *out = NULL;
  if (length > cn_limits.max_text_bytes)
    return cn_fail(e, CORNU_ERR_LIMIT, "the JSON text has %zu bytes, the limit is %zu", length,
                   cn_limits.max_text_bytes);
  reader r = {.arena = &tree->arena, .start = text, .at = text, .end = text + length, .e = e};
  accept(&r, "\xef\xbb\xbf"); /* a byte order mark */
  cn_value *v = NULL;
  cn_status status = read_value(&r, &v);
  skip_space(&r);
  if (!status && r.at != r.end) status = fail_at(&r, "more text behind the value");
  cn_free(r.scratch);
  if (!status) *out = v;
  return status;
}

/* ---- Writing ---- */

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
