/* JSON as Python writes it, through cJSON: NaN, Infinity and -Infinity are numbers, whole numbers stay exact through
 * int64, texts may hold NULs (Keras 1 wrote bytecode into them), of equal keys the last one wins.
 *
 * cJSON keeps numbers as doubles, ends texts at a NUL and knows no NaN. So what it cannot hold passes through it as
 * text that begins with a mark, U+E000: the mark and "#1.5" is a number as it was written, the mark and "0" a NUL
 * within a text, the mark and "e" the mark itself. */
#include <cJSON.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/deadline.h"
#include "base/text.h"
#include "base/value.h"

#define MARK "\xee\x80\x80"
#define MARK_SIZE 3

typedef struct reader {
  const char *start, *at, *end;
  cn_text marked; /* what cJSON reads */
  size_t stop;    /* marking ends where `marked` has this length: finds the place of an error */
  size_t texts, items; /* that cJSON makes, at most */
  int depth;
  cn_error *e;
} reader;

/* ---- Marking ---- */

static cn_status fail_at(reader *r, const char *what) {
  int line = 1, column = 1;
  for (const char *p = r->start; p < r->at; p++) {
    column++;
    if (*p == '\n') line++, column = 1;
  }
  return cn_fail(r->e, CORNU_ERR_FORMAT, "JSON, line %d, column %d: %s", line, column, what);
}

static bool accept(reader *r, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0) return false;
  r->at += length;
  return true;
}

/* The code of "\uXXXX" at p; -1: there is none. */
static long unicode_escape(const char *p, const char *end) {
  long code = 0;
  if (end - p < 6 || p[0] != '\\' || p[1] != 'u') return -1;
  for (int i = 2; i < 6; i++) {
    static const char hex[] = "0123456789abcdefABCDEF";
    const char *digit = p[i] ? strchr(hex, p[i]) : NULL;
    if (!digit) return -1;
    code = code * 16 + (digit - hex) - (digit - hex > 15 ? 6 : 0);
  }
  return code;
}

/* An escape, r->at on its backslash. Half of a surrogate pair becomes U+FFFD, as cJSON refuses it. */
static cn_status mark_escape(reader *r) {
  long code = unicode_escape(r->at, r->end);
  size_t length = r->end - r->at < 2 ? 1 : r->at[1] == 'u' ? 6 : 2;
  if (length == 6 && code < 0) return fail_at(r, "four hexadecimal digits expected after \\u");
  bool high = code >= 0xd800 && code < 0xdc00;
  long low = high ? unicode_escape(r->at + 6, r->end) : -1;
  if (high && low >= 0xdc00 && low < 0xe000) cn_text_add_bytes(&r->marked, r->at, length = 12);
  else if (code >= 0xd800 && code < 0xe000) cn_text_add(&r->marked, "\\ufffd");
  else if (code == 0) cn_text_add(&r->marked, MARK "0");
  else if (code == 0xe000) cn_text_add(&r->marked, MARK "e");
  else cn_text_add_bytes(&r->marked, r->at, length);
  r->at += length;
  return CORNU_OK;
}

/* A text, r->at behind its opening quote; what needs no mark goes in one piece. */
static cn_status mark_text(reader *r) {
  r->texts++;
  const char *from = r->at, *plain = r->at;
  while (r->at < r->end && *r->at != '"') {
    if (*r->at != '\\' && *r->at != MARK[0]) {
      r->at++;
      continue;
    }
    cn_text_add_bytes(&r->marked, plain, (size_t)(r->at - plain));
    if (*r->at == '\\') CN_TRY(mark_escape(r));
    else if (accept(r, MARK)) cn_text_add(&r->marked, MARK "e");
    else cn_text_add_bytes(&r->marked, r->at++, 1);
    plain = r->at;
  }
  if (!accept(r, "\"")) return r->at = from - 1, fail_at(r, "a text without end");
  cn_text_add_bytes(&r->marked, plain, (size_t)(r->at - plain));
  return CORNU_OK;
}

static bool digits(reader *r) {
  const char *from = r->at;
  while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++;
  return r->at > from;
}

static cn_status scan_number(reader *r) {
  const char *from = r->at;
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

static cn_status mark_number(reader *r) {
  const char *from = r->at;
  if (!accept(r, "NaN") && !accept(r, "Infinity")) CN_TRY(scan_number(r));
  r->texts++;
  cn_text_add(&r->marked, "\"" MARK "#");
  cn_text_add_bytes(&r->marked, from, (size_t)(r->at - from));
  cn_text_add(&r->marked, "\"");
  return CORNU_OK;
}

/* What marking does not pass over: all that begins a number or a text, brackets and commas. */
static bool is_plain(char c) {
  static const bool special[256] = {['"'] = true, ['['] = true, [']'] = true, ['{'] = true, ['}'] = true,
                                    [','] = true, ['-'] = true, ['0'] = true, ['1'] = true, ['2'] = true, ['3'] = true,
                                    ['4'] = true, ['5'] = true, ['6'] = true, ['7'] = true, ['8'] = true,
                                    ['9'] = true, ['N'] = true, ['I'] = true};
  return !special[(unsigned char)c];
}

static cn_status mark_all(reader *r) {
  accept(r, "\xef\xbb\xbf"); /* a byte order mark */
  cn_text_reserve(&r->marked, (size_t)(r->end - r->at) / 4 * 5);
  while (r->at < r->end && r->marked.length < r->stop && !r->marked.failed) {
    const char *plain = r->at, *last = r->stop - r->marked.length < (size_t)(r->end - plain)
                                           ? plain + (r->stop - r->marked.length) : r->end;
    while (r->at < last && is_plain(*r->at)) r->at++;
    bool more = r->at < last;
    char c = more ? *r->at : 0;
    bool bracket = c == '[' || c == '{' || c == ']' || c == '}';
    r->at += bracket || c == '"' || c == ',';
    cn_text_add_bytes(&r->marked, plain, (size_t)(r->at - plain));
    r->items += bracket || c == ',';
    r->depth += bracket ? (c == '[' || c == '{' ? 1 : -1) : 0;
    if (r->depth > cn_limits.max_depth)
      return cn_fail(r->e, CORNU_ERR_LIMIT, "JSON: nested more than %d levels deep", cn_limits.max_depth);
    if (c == '"') CN_TRY(mark_text(r));
    else if (more && !bracket && c != ',') CN_TRY(mark_number(r));
    CN_TRY(cn_check_time(r->e));
  }
  return r->marked.failed ? cn_no_memory(r->e) : CORNU_OK;
}

/* ---- From cJSON's items to values ---- */

/* Whole numbers beyond int64 are floats. The decimal point of the host's locale is what strtod wants. */
static cn_value *number(cn_arena *a, char *text) {
  cn_value *v = cn_value_new(a, strpbrk(text, ".eEIN") ? CORNU_FLOAT : CORNU_INT);
  if (!v) return NULL;
  errno = 0;
  if (v->kind == CORNU_INT) v->i = strtoll(text, NULL, 10);
  if (v->kind == CORNU_INT && errno != ERANGE) return v;
  char *point = strchr(text, '.');
  if (point) *point = *localeconv()->decimal_point;
  v->kind = CORNU_FLOAT;
  v->f = strtod(text, NULL);
  return v;
}

/* Takes the marks out of a text, in place; its length. */
static size_t unmark(char *text) {
  char *to = strstr(text, MARK);
  if (!to) return strlen(text);
  for (const char *p = to; *p;) {
    if (strncmp(p, MARK, MARK_SIZE) != 0) {
      *to++ = *p++;
      continue;
    }
    p += MARK_SIZE;
    if (*p++ == '0') *to++ = 0;
    else to = (char *)memcpy(to, MARK, MARK_SIZE) + MARK_SIZE;
  }
  return (size_t)(to - text);
}

static cn_value *text(cn_arena *a, char *s) {
  if (*s == MARK[0] && strncmp(s, MARK "#", MARK_SIZE + 1) == 0) return number(a, s + MARK_SIZE + 1);
  size_t length = unmark(s);
  cn_value *v = cn_value_new(a, CORNU_STRING);
  if (!v) return NULL;
  v->s = cn_arena_copy(a, s, length);
  v->count = (int)length;
  return v->s ? v : NULL;
}

static cn_status convert(reader *r, cn_arena *a, const cJSON *item, cn_value **out);

static cn_status convert_list(reader *r, cn_arena *a, const cJSON *list, cn_value *out) {
  for (const cJSON *item = list->child; item; item = item->next) {
    cn_value *v = NULL;
    CN_TRY(convert(r, a, item, &v));
    if (!cn_value_push(a, out, v)) return cn_no_memory(r->e);
  }
  return CORNU_OK;
}

static cn_status convert_members(reader *r, cn_arena *a, const cJSON *dict, cn_value *out, cn_map *map) {
  for (const cJSON *item = dict->child; item; item = item->next) {
    if (strncmp(item->string, MARK "#", MARK_SIZE + 1) == 0)
      return cn_fail(r->e, CORNU_ERR_FORMAT, "JSON: a key in quotes expected, not %s", item->string + MARK_SIZE + 1);
    size_t length = unmark(item->string);
    if (memchr(item->string, 0, length)) return cn_fail(r->e, CORNU_ERR_FORMAT, "JSON: a key with a NUL");
    const char *key = cn_arena_copy(a, item->string, length);
    cn_value *v = NULL;
    CN_TRY(convert(r, a, item, &v));
    if (!key || !cn_value_add(a, out, map, key, v)) return cn_no_memory(r->e);
  }
  return CORNU_OK;
}

static cn_status convert_dict(reader *r, cn_arena *a, const cJSON *dict, cn_value *out) {
  cn_map map = {0};
  cn_status status = convert_members(r, a, dict, out, &map);
  cn_map_free(&map);
  return status;
}

static cn_status convert(reader *r, cn_arena *a, const cJSON *item, cn_value **out) {
  CN_TRY(cn_check_time(r->e));
  bool list = cJSON_IsArray(item), dict = cJSON_IsObject(item), truth = cJSON_IsBool(item);
  if (cJSON_IsString(item)) *out = text(a, item->valuestring);
  else *out = cn_value_new(a, list ? CORNU_LIST : dict ? CORNU_DICT : truth ? CORNU_BOOL : CORNU_NULL);
  if (!*out) return cn_no_memory(r->e);
  if (truth) (*out)->b = cJSON_IsTrue(item);
  if (list) return convert_list(r, a, item, *out);
  return dict ? convert_dict(r, a, item, *out) : CORNU_OK;
}

/* Marks again, as far as to the place that cJSON did not understand, to find it in the text as it was. */
static cn_status fail_behind(reader *r, size_t stop, const char *what) {
  reader again = {.start = r->start, .at = r->start, .end = r->end, .stop = stop, .e = r->e};
  cn_status status = mark_all(&again);
  cn_text_free(&again.marked);
  return status ? status : fail_at(&again, what);
}

/* What cJSON may take, which is malloc's, held as the context's: so its limit holds for that, too. */
static void *hold(const reader *r) {
  enum { HEAD = 16 };
  return cn_alloc(r->marked.length + r->texts * 2 * HEAD + (r->items + 1) * (sizeof(cJSON) + HEAD));
}

static cn_status parse_marked(reader *r, cn_arena *a, cn_value **out) {
  const char *stop = r->marked.data, *end = stop ? stop + r->marked.length : NULL;
  cJSON *root = r->marked.length ? cJSON_ParseWithLengthOpts(stop, r->marked.length, &stop, false) : NULL;
  if (!root) return fail_behind(r, stop ? (size_t)(stop - r->marked.data) : 0, "not valid JSON here");
  while (stop < end && strchr(" \t\r\n", *stop) && *stop) stop++;
  cn_status status = stop < end ? fail_behind(r, (size_t)(stop - r->marked.data), "more text behind the value")
                                : convert(r, a, root, out);
  cJSON_Delete(root);
  return status;
}

static cn_status parse(reader *r, cn_arena *a, cn_value **out) {
  CN_TRY(mark_all(r));
  void *held = hold(r);
  if (!held) return cn_no_memory(r->e);
  cn_status status = parse_marked(r, a, out);
  cn_free(held);
  return status;
}

cornu_status cornu_json_read(cornu_tree *tree, const char *json, size_t length, cornu_value **out, cornu_error *e) {
  *out = NULL;
  if (length > cn_limits.max_text_bytes)
    return cn_fail(e, CORNU_ERR_LIMIT, "the JSON text has %zu bytes, the limit is %zu", length,
                   cn_limits.max_text_bytes);
  reader r = {.start = json, .at = json, .end = json + length, .stop = SIZE_MAX, .e = e};
  cn_value *v = NULL;
  cn_status status = cn_utf8_valid(json, length) ? parse(&r, &tree->arena, &v)
                                                 : cn_fail(e, CORNU_ERR_FORMAT, "JSON: a text that is not UTF-8");
  cn_text_free(&r.marked);
  if (!status) *out = v;
  return status;
}
