/* The small library's reader of JSON as Python writes it, in place of formats/json.c, which goes through cJSON: NaN,
 * Infinity and -Infinity are numbers, whole numbers stay exact through int64, texts may hold NULs, of equal keys the last
 * one wins. */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/deadline.h"
#include "base/text.h"
#include "base/value.h"

typedef struct reader {
  const char *start, *at, *end;
  cn_arena *arena;
  int depth;
  cn_error *e;
} reader;

static cn_status fail_at(reader *r, const char *what) {
  int line = 1, column = 1;
  for (const char *p = r->start; p < r->at; p++) {
    column++;
    if (*p == '\n') line++, column = 1;
  }
  return cn_fail(r->e, CORNU_ERR_FORMAT, "JSON, line %d, column %d: %s", line, column, what);
}

static cn_status not_valid(reader *r) { return fail_at(r, "not valid JSON here"); }

static bool accept(reader *r, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0) return false;
  r->at += length;
  return true;
}

static void skip_blanks(reader *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\r' || *r->at == '\n')) r->at++;
}

static cn_value *made(reader *r, cornu_kind kind, cn_value **out) { return *out = cn_value_new(r->arena, kind); }

/* ---- Texts ---- */

/* Four hexadecimal digits at p; -1: there are none. */
static long hexadecimal(const char *p, const char *end) {
  long code = 0;
  if (end - p < 4) return -1;
  for (int i = 0; i < 4; i++) {
    int c = p[i] | 0x20, digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0 || (p[i] < '0')) return -1;
    code = code * 16 + digit;
  }
  return code;
}

static char *put_code(char *to, long code) {
  if (code < 0x80) return *to++ = (char)code, to;
  int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  *to++ = (char)((0xff00 >> (more + 1) & 0xff) | code >> 6 * more);
  while (more-- > 0) *to++ = (char)(0x80 | (code >> 6 * more & 0x3f));
  return to;
}

/* \uXXXX, r->at behind the u, or two of them; half of a pair becomes U+FFFD. */
static cn_status read_code(reader *r, char **to) {
  long code = hexadecimal(r->at, r->end), low = -1;
  if (code < 0) return r->at -= 2, fail_at(r, "four hexadecimal digits expected after \\u");
  r->at += 4;
  if (code >= 0xd800 && code < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u')
    low = hexadecimal(r->at + 2, r->end);
  if (low >= 0xdc00 && low < 0xe000) {
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    r->at += 6;
  } else if (code >= 0xd800 && code < 0xe000) {
    code = 0xfffd;
  }
  *to = put_code(*to, code);
  return CORNU_OK;
}

static cn_status read_escape(reader *r, char **to) {
  static const char from[] = "\"\\/bfnrt", is[] = "\"\\/\b\f\n\r\t";
  char c = *++r->at;
  const char *known = c ? strchr(from, c) : NULL;
  if (c == 'u') return r->at++, read_code(r, to);
  if (!known) return not_valid(r);
  *(*to)++ = is[known - from];
  r->at++;
  return CORNU_OK;
}

/* r->at behind the opening quote. What is read is never longer than how it is written. */
static cn_status read_text(reader *r, const char **out, size_t *length) {
  const char *from = r->at, *stop = from;
  while (stop < r->end && *stop != '"') stop += *stop == '\\' && stop + 1 < r->end ? 2 : 1;
  if (stop >= r->end) return r->at = from - 1, fail_at(r, "a text without end");
  char *text = cn_arena_alloc(r->arena, (size_t)(stop - from) + 1), *to = text;
  if (!text) return cn_no_memory(r->e);
  while (r->at < stop) {
    if (*r->at == '\\') CN_TRY(read_escape(r, &to));
    else *to++ = *r->at++;
  }
  r->at = stop + 1;
  *to = 0;
  *out = text;
  *length = (size_t)(to - text);
  return CORNU_OK;
}

static cn_status read_string(reader *r, cn_value **out) {
  size_t length;
  cn_value *v = made(r, CORNU_STRING, out);
  if (!v) return cn_no_memory(r->e);
  CN_TRY(read_text(r, &v->s, &length));
  if (length > INT32_MAX) return cn_fail(r->e, CORNU_ERR_LIMIT, "JSON: a text of more than 2 GiB");
  v->count = (int)length;
  return CORNU_OK;
}

/* ---- Numbers ---- */

static bool digits(reader *r) {
  const char *from = r->at;
  while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++;
  return r->at > from;
}

static cn_status scan_number(reader *r) {
  const char *from = r->at;
  if (accept(r, "NaN")) return CORNU_OK;
  accept(r, "-");
  if (accept(r, "Infinity")) return CORNU_OK;
  const char *first = r->at;
  if (!digits(r)) return r->at = from, fail_at(r, "a value expected");
  if (*first == '0' && r->at > first + 1) return r->at = from, fail_at(r, "a number with a zero in front");
  if (accept(r, ".") && !digits(r)) return fail_at(r, "digits expected behind the point");
  if (accept(r, "e") || accept(r, "E")) {
    if (!accept(r, "+")) accept(r, "-");
    if (!digits(r)) return fail_at(r, "digits expected in the exponent");
  }
  return CORNU_OK;
}

/* Whole numbers beyond int64 are floats. The decimal point of the host's locale is what strtod wants. */
static cn_status read_number(reader *r, cn_value **out) {
  const char *from = r->at;
  char room[64];
  CN_TRY(scan_number(r));
  size_t length = (size_t)(r->at - from);
  char *text = length < sizeof room ? memcpy(room, from, length) : cn_arena_copy(r->arena, from, length);
  cn_value *v = text ? made(r, CORNU_INT, out) : NULL;
  if (!v) return cn_no_memory(r->e);
  text[length] = 0;
  bool whole = !strpbrk(text, ".eEIN");
  errno = 0;
  if (whole) v->i = strtoll(text, NULL, 10);
  if (whole && errno != ERANGE) return CORNU_OK;
  char *point = strchr(text, '.');
  if (point) *point = *localeconv()->decimal_point;
  v->kind = CORNU_FLOAT;
  v->f = strtod(text, NULL);
  return CORNU_OK;
}

/* ---- Lists and dicts ---- */

static cn_status read_value(reader *r, cn_value **out);

/* Whether the list or dict goes on; false on an error, too. */
static bool more(reader *r, char close, bool first, cn_status *status) {
  skip_blanks(r);
  *status = CORNU_OK;
  if (r->at < r->end && *r->at == close) return r->at++, false;
  if (first) return true;
  if (accept(r, ",")) return true;
  *status = not_valid(r);
  return false;
}

static cn_status read_list(reader *r, cn_value *list) {
  cn_status status;
  for (bool first = true; more(r, ']', first, &status); first = false) {
    cn_value *v;
    CN_TRY(cn_check_time(r->e));
    CN_TRY(read_value(r, &v));
    if (!cn_value_push(r->arena, list, v)) return cn_no_memory(r->e);
  }
  return status;
}

static cn_status read_member(reader *r, cn_value *dict, cn_map *index) {
  const char *key;
  size_t length;
  cn_value *v;
  skip_blanks(r);
  if (r->at < r->end && strchr("-0123456789NI", *r->at) && *r->at) return fail_at(r, "a key in quotes expected");
  if (!accept(r, "\"")) return not_valid(r);
  CN_TRY(read_text(r, &key, &length));
  if (memchr(key, 0, length)) return cn_fail(r->e, CORNU_ERR_FORMAT, "JSON: a key with a NUL");
  skip_blanks(r);
  if (!accept(r, ":")) return not_valid(r);
  CN_TRY(read_value(r, &v));
  return cn_value_add(r->arena, dict, index, key, v) ? CORNU_OK : cn_no_memory(r->e);
}

static cn_status read_dict(reader *r, cn_value *dict) {
  cn_map index = {0};
  cn_status status;
  for (bool first = true; more(r, '}', first, &status); first = false)
    if ((status = read_member(r, dict, &index))) break;
  cn_map_free(&index);
  return status;
}

static cn_status read_container(reader *r, bool list, cn_value **out) {
  if (++r->depth > cn_limits.max_depth)
    return cn_fail(r->e, CORNU_ERR_LIMIT, "JSON: nested more than %d levels deep", cn_limits.max_depth);
  cn_value *v = made(r, list ? CORNU_LIST : CORNU_DICT, out);
  if (!v) return cn_no_memory(r->e);
  CN_TRY(list ? read_list(r, v) : read_dict(r, v));
  r->depth--;
  return CORNU_OK;
}

static cn_status read_word(reader *r, cn_value **out) {
  bool yes = accept(r, "true"), no = !yes && accept(r, "false");
  if (!yes && !no && !accept(r, "null")) return not_valid(r);
  cn_value *v = made(r, yes || no ? CORNU_BOOL : CORNU_NULL, out);
  if (!v) return cn_no_memory(r->e);
  if (yes) v->b = true;
  return CORNU_OK;
}

static cn_status read_value(reader *r, cn_value **out) {
  skip_blanks(r);
  char c = r->at < r->end ? *r->at : 0;
  if (c == '"') return r->at++, read_string(r, out);
  if (c == '[' || c == '{') return r->at++, read_container(r, c == '[', out);
  return c && strchr("-0123456789NI", c) ? read_number(r, out) : read_word(r, out);
}

cornu_status cornu_json_read(cornu_tree *tree, const char *json, size_t length, cornu_value **out, cornu_error *e) {
  *out = NULL;
  if (length > cn_limits.max_text_bytes)
    return cn_fail(e, CORNU_ERR_LIMIT, "the JSON text has %zu bytes, the limit is %zu", length,
                   cn_limits.max_text_bytes);
  if (!cn_utf8_valid(json, length)) return cn_fail(e, CORNU_ERR_FORMAT, "JSON: a text that is not UTF-8");
  reader r = {.start = json, .at = json, .end = json + length, .arena = &tree->arena, .e = e};
  cn_value *v;
  accept(&r, "\xef\xbb\xbf"); /* a byte order mark */
  CN_TRY(read_value(&r, &v));
  skip_blanks(&r);
  if (r.at < r.end) return fail_at(&r, "more text behind the value");
  *out = v;
  return CORNU_OK;
}
