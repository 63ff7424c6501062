/* What words and tags of YAML mean to PyYAML. */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "formats/npy.h"
#include "formats/yaml.h"

enum { LONGEST_NUMBER = 400 };
#define ARRAY "numpy.ndarray" /* the one name of a class that is read, as what makes an array */

/* ---- Plain words: the types of YAML 1.1, as far as PyYAML has them ---- */

static bool bool_word(const char *s, bool *out) {
  *out = cn_word_in("yes Yes YES true True TRUE on On ON", s, NULL);
  return *out || cn_word_in("no No NO false False FALSE off Off OFF", s, NULL);
}

static bool null_word(const char *s) { return !*s || cn_word_in("~ null Null NULL", s, NULL); }

/* How many bytes at s are of the set. */
static const char *behind(const char *s, const char *set) { return s + strspn(s, set); }

static bool all_of(const char *s, const char *set) { return *s && !*behind(s, set); }

#define DIGITS "0123456789"

/* Base 60: "1:30" is 90, "1:30.5" is 90.5. */
static bool sixties(const char *s, bool *whole, double *out) {
  const char *p = behind(s, DIGITS "_");
  if (*s < '0' || *s > '9' || *p != ':') return false;
  *out = (double)strtoll(s, NULL, 10);
  while (*p == ':') {
    const char *from = ++p;
    p = behind(p, DIGITS);
    if (p == from || p - from > 2 || (p - from == 2 && *from > '5')) return false;
    *out = *out * 60 + (double)strtol(from, NULL, 10);
  }
  *whole = !*p && *s != '0';
  if (!*p) return *whole;
  if (*p != '.' || *behind(p + 1, DIGITS "_")) return false;
  double unit = 0.1;
  for (p++; *p; p++)
    if (*p != '_') *out += unit * (*p - '0'), unit /= 10;
  return true;
}

/* The base of an int without its sign, *digits behind its prefix; 0: it is none. */
static int int_base(const char *s, const char **digits) {
  *digits = s;
  if (s[0] == '0' && s[1] == 'b' && all_of(*digits = s + 2, "01_")) return 2;
  if (s[0] == '0' && s[1] == 'x' && all_of(*digits = s + 2, DIGITS "abcdefABCDEF_")) return 16;
  *digits = s;
  if (s[0] == '0' && s[1] && all_of(s + 1, "01234567_")) return 8;
  return strcmp(s, "0") == 0 || (*s >= '1' && *s <= '9' && all_of(s, DIGITS "_")) ? 10 : 0;
}

/* "1.5e+3", "1.", ".5"; the exponent has a sign. Infinities and NaN stand alone. */
static bool is_float(const char *s, bool with_sign) {
  const char *p = behind(s, DIGITS "_");
  if (cn_word_in(".inf .Inf .INF", s, NULL)) return true;
  if (!with_sign && cn_word_in(".nan .NaN .NAN", s, NULL)) return true;
  bool point_first = *s == '.';
  if (*p != '.' || (point_first && (with_sign || s[1] < '0' || s[1] > '9')) || *s == '_') return false;
  p = behind(p + 1, DIGITS "_");
  if (*p != 'e' && *p != 'E') return !*p;
  return (p[1] == '+' || p[1] == '-') && all_of(p + 2, DIGITS);
}

static void drop_underscores(char *to, const char *from) {
  for (; *from; from++)
    if (*from != '_') *to++ = *from;
  *to = 0;
}

static double float_of(char *digits) {
  if (strchr("iI", digits[1]) && digits[1]) return strtod("inf", NULL);
  if (strchr("nN", digits[1]) && digits[1]) return strtod("nan", NULL);
  char *point = strchr(digits, '.');
  if (point) *point = *localeconv()->decimal_point; /* which strtod wants */
  return strtod(digits, NULL);
}

/* Beyond int64 whole numbers are floats, as in JSON. */
static void set_int(cn_value *v, bool negative, const char *digits, int base) {
  errno = 0;
  unsigned long long n = strtoull(digits, NULL, base);
  if (errno == ERANGE || n > INT64_MAX) {
    v->kind = CORNU_FLOAT;
    v->f = (negative ? -1 : 1) * (base == 10 ? strtod(digits, NULL) : (double)n);
    return;
  }
  v->kind = CORNU_INT;
  v->i = negative ? -(int64_t)n : (int64_t)n;
}

/* Makes v a number, if the text is one. */
static bool number(cn_value *v, const char *text) {
  char digits[LONGEST_NUMBER];
  const char *from;
  bool negative = *text == '-', with_sign = negative || *text == '+', whole;
  const char *s = text + with_sign;
  double value;
  if (strlen(s) >= sizeof digits) return false;
  int base = int_base(s, &from);
  drop_underscores(digits, from);
  if (base && *digits) return set_int(v, negative, digits, base), true;
  if (sixties(s, &whole, &value)) {
    *v = (cn_value){.kind = whole ? CORNU_INT : CORNU_FLOAT};
    if (whole) v->i = (int64_t)(negative ? -value : value);
    else v->f = negative ? -value : value;
    return !whole || value < 9e18;
  }
  if (!is_float(s, with_sign)) return false;
  *v = (cn_value){.kind = CORNU_FLOAT, .f = float_of(digits)};
  if (negative) v->f = -v->f;
  return true;
}

cn_value *cn_yaml_plain(cn_arena *a, const char *text, size_t length) {
  bool truth, plain = strlen(text) == length;
  cn_value v = {.kind = CORNU_NULL};
  if (plain && bool_word(text, &truth)) v = (cn_value){.kind = CORNU_BOOL, .b = truth};
  else if (!plain || (!null_word(text) && !number(&v, text))) return cn_value_bytes(a, text, length);
  cn_value *out = cn_value_new(a, v.kind);
  if (out) *out = v;
  return out;
}

/* ---- Base 64 ---- */

cn_value *cn_yaml_binary(cn_arena *a, const char *text, size_t length) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char *bytes = cn_arena_alloc(a, length / 4 * 3 + 4);
  size_t n = 0;
  unsigned held = 0;
  int bits = 0;
  for (size_t i = 0; bytes && i < length && text[i] != '='; i++) {
    const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
    if (text[i] && strchr(" \t\r\n", text[i])) continue;
    if (!digit) return NULL;
    held = (held << 6 | (unsigned)(digit - digits)) & 0xffff;
    bits += 6;
    if (bits >= 8) bytes[n++] = (char)(held >> (bits -= 8));
  }
  return bytes ? cn_value_bytes(a, bytes, n) : NULL;
}

/* ---- Tags ---- */

static bool begins(const char *s, const char *with) { return strncmp(s, with, strlen(with)) == 0; }

static const char *last_part(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot ? dot + 1 : name;
}

/* Scalars with a tag that says what they are: "!!int '3'". */
static cn_status scalar_of(cn_arena *a, const char *tag, cn_value *v, cn_value **out, cn_error *e) {
  cn_value *plain = cn_yaml_plain(a, v->s, (size_t)v->count);
  if (!plain) return cn_no_memory(e);
  bool fits = false;
  double f;
  if (strcmp(tag, "python/name:" ARRAY) == 0) plain = cn_value_text(a, ARRAY), fits = plain;
  else if (cn_word_in("str python/str python/unicode", tag, NULL)) plain = v, fits = true;
  else if (cn_word_in("int python/int python/long", tag, NULL)) fits = plain->kind == CORNU_INT;
  else if (cn_word_in("bool python/bool", tag, NULL)) fits = plain->kind == CORNU_BOOL;
  else if (cn_word_in("null python/none", tag, NULL)) fits = plain->kind == CORNU_NULL;
  else if (cn_word_in("float python/float", tag, NULL)) {
    fits = plain->kind != CORNU_BOOL && cn_value_number(plain, &f);
    if (fits) *plain = (cn_value){.kind = CORNU_FLOAT, .f = f};
  } else return CORNU_OK;
  if (!fits) return cn_fail(e, CORNU_ERR_FORMAT, "\"%.40s\" is not of the type !!%s", v->s, tag);
  *out = plain;
  return CORNU_OK;
}

/* "apply" has its arguments in a list, or in a dict with more of the object. */
static cn_value *argument(cn_value *v, int i) {
  const cn_value *args = v->kind == CORNU_DICT ? cn_value_find(v, "args") : v;
  return cn_value_is(args, CORNU_LIST) && i < args->count ? args->items[i] : NULL;
}

/* A NumPy dtype as the text of its kind: "<f8". The state tells the order of bytes. */
static cn_status dtype_of(cn_arena *a, cn_value *v, cn_value **out, cn_error *e) {
  const char *kind = cn_value_str(argument(v, 0));
  const cn_value *state = cn_value_find(v, "state");
  const char *order = cn_value_is(state, CORNU_LIST) && state->count > 1 ? cn_value_str(state->items[1]) : NULL;
  if (!kind) return cn_fail(e, CORNU_ERR_FORMAT, "a NumPy dtype without a name");
  const char *text = cn_arena_printf(a, "%s%s", order && cn_word_in("< > |", order, NULL) ? order : "", kind);
  *out = text ? cn_value_text(a, text) : NULL;
  return *out ? CORNU_OK : cn_no_memory(e);
}

/* One element of an array. */
static cn_value *element(cn_arena *a, const cn_npy *what, const char *bytes) {
  size_t size = cornu_dtype_bytes(what->dtype);
  char data[8];
  for (size_t i = 0; i < size; i++) data[i] = bytes[what->swapped ? size - 1 - i : i];
  bool real = what->dtype <= CORNU_BFLOAT16;
  cn_value *v = cn_value_new(a, what->dtype == CORNU_BOOL8 ? CORNU_BOOL : real ? CORNU_FLOAT : CORNU_INT);
  if (!v) return NULL;
  if (v->kind == CORNU_BOOL) v->b = data[0] != 0;
  else if (real) cn_convert(&v->f, CORNU_FLOAT64, data, what->dtype, 1);
  else cn_convert(&v->i, CORNU_INT64, data, what->dtype, 1);
  return v;
}

/* Dimensions from `axis` on, as lists in lists; steps in bytes. */
static cn_value *elements(cn_arena *a, const cn_npy *what, const size_t *steps, int axis, const char *bytes) {
  if (axis == what->rank) return element(a, what, bytes);
  cn_value *list = cn_value_new(a, CORNU_LIST);
  for (int64_t i = 0; list && i < what->shape[axis]; i++)
    if (!cn_value_push(a, list, elements(a, what, steps, axis + 1, bytes + (size_t)i * steps[axis]))) return NULL;
  return list;
}

static cn_status array_from(cn_arena *a, cn_npy *what, const cn_value *bytes, cn_value **out, cn_error *e) {
  size_t steps[CN_MAX_RANK], size = cornu_dtype_bytes(what->dtype);
  if (what->dtype == CORNU_TEXT) return cn_fail(e, CORNU_ERR_UNSUPPORTED, "a NumPy array of texts");
  for (int i = 0; i < what->rank; i++) {
    int axis = what->fortran ? i : what->rank - 1 - i;
    if (what->shape[axis] < 1) return cn_fail(e, CORNU_ERR_UNSUPPORTED, "a NumPy array without elements");
    steps[axis] = size;
    if (!cn_mul_size(size, (size_t)what->shape[axis], &size)) return cn_no_memory(e);
  }
  if (!cn_value_is(bytes, CORNU_STRING) || (size_t)bytes->count != size)
    return cn_fail(e, CORNU_ERR_FORMAT, "a NumPy array whose bytes are not as many as its shape says");
  *out = elements(a, what, steps, 0, bytes->s);
  return *out ? CORNU_OK : cn_no_memory(e);
}

/* A NumPy number: its dtype and its bytes. */
static cn_status number_of(cn_arena *a, cn_value *v, cn_value **out, cn_error *e) {
  const char *dtype = cn_value_str(argument(v, 0));
  cn_npy what = {.rank = 0};
  if (!dtype) return cn_fail(e, CORNU_ERR_FORMAT, "a NumPy number without its dtype");
  CN_TRY(cn_npy_dtype(dtype, &what, e));
  return array_from(a, &what, argument(v, 1), out, e);
}

/* A NumPy array, whose state is its version, shape, dtype, order and bytes. */
static cn_status array_of(cn_arena *a, cn_value *v, cn_value **out, cn_error *e) {
  const cn_value *state = cn_value_find(v, "state");
  bool whole = cn_value_is(state, CORNU_LIST) && state->count == 5;
  const cn_value *shape = whole ? state->items[1] : NULL;
  const char *dtype = whole ? cn_value_str(state->items[2]) : NULL, *class = cn_value_str(argument(v, 0));
  cn_npy what = {.rank = 0};
  if (!dtype || !class || strcmp(class, ARRAY) != 0 || !cn_value_is(shape, CORNU_LIST) || shape->count > CN_MAX_RANK)
    return cn_fail(e, CORNU_ERR_FORMAT, "a NumPy array without its dtype, shape or bytes");
  CN_TRY(cn_npy_dtype(dtype, &what, e));
  what.fortran = cn_value_is(state->items[3], CORNU_BOOL) && state->items[3]->b;
  for (; what.rank < shape->count; what.rank++)
    if (!cn_value_integer(shape->items[what.rank], &what.shape[what.rank]))
      return cn_fail(e, CORNU_ERR_FORMAT, "a NumPy array whose shape is not made of numbers");
  return array_from(a, &what, state->items[4], out, e);
}

/* Pairs of key and value, as OrderedDict has them. */
static cn_status dict_of(cn_arena *a, const cn_value *pairs, cn_value **out, cn_error *e) {
  *out = cn_value_new(a, CORNU_DICT);
  if (!*out) return cn_no_memory(e);
  cn_map index = {0};
  cn_status status = CORNU_OK;
  for (int i = 0; i < pairs->count && !status; i++) {
    const cn_value *pair = pairs->items[i];
    const char *key = cn_value_is(pair, CORNU_LIST) && pair->count == 2 ? cn_value_str(pair->items[0]) : NULL;
    if (!key) status = cn_fail(e, CORNU_ERR_FORMAT, "a list of pairs expected for a dict");
    else if (!cn_value_add(a, *out, &index, key, pair->items[1])) status = cn_no_memory(e);
  }
  cn_map_free(&index);
  return status;
}

/* Containers of Python and of TensorFlow: the first argument is what they hold. */
static cn_status container_of(cn_arena *a, const char *name, cn_value *v, cn_value **out, cn_error *e) {
  bool list = cn_word_in("list tuple List ListWrapper _TupleWrapper", name, NULL);
  if (!list && !cn_word_in("dict _DictWrapper Mapping OrderedDict", name, NULL)) return CORNU_OK;
  cn_value *held = argument(v, 0);
  if (!held && v->kind == CORNU_DICT) held = cn_value_find(v, list ? "listitems" : "dictitems");
  if (!held) held = cn_value_new(a, list ? CORNU_LIST : CORNU_DICT);
  if (!held) return cn_no_memory(e);
  if (!list && held->kind == CORNU_LIST) return dict_of(a, held, out, e);
  if (held->kind != (list ? CORNU_LIST : CORNU_DICT))
    return cn_fail(e, CORNU_ERR_FORMAT, "a Python %s of something else", name);
  *out = held;
  return CORNU_OK;
}

cn_status cn_yaml_python(cn_arena *a, const char *tag, cn_value *v, cn_value **out, cn_error *e) {
  *out = NULL;
  if (v->kind == CORNU_STRING) return scalar_of(a, tag, v, out, e);
  if (cn_word_in(v->kind == CORNU_LIST ? "seq python/list python/tuple" : "map python/dict", tag, NULL))
    return *out = v, CORNU_OK;
  const char *name = strchr(tag, ':');
  if (!name || !(begins(tag, "python/object/apply:") || begins(tag, "python/object/new:"))) return CORNU_OK;
  name++;
  if (begins(name, "numpy.") && strcmp(last_part(name), "dtype") == 0) return dtype_of(a, v, out, e);
  if (begins(name, "numpy.") && strcmp(last_part(name), "scalar") == 0) return number_of(a, v, out, e);
  if (begins(name, "numpy.") && strcmp(last_part(name), "_reconstruct") == 0) return array_of(a, v, out, e);
  return container_of(a, last_part(name), v, out, e);
}
