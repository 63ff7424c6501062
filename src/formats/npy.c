/* NumPy's .npy: versions 1 to 3, both byte orders, rows or columns first. */
#include "formats/npy.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

static bool little_endian(void) {
  const uint16_t one = 1;
  return *(const unsigned char *)&one == 1;
}

/* ---- The header ---- */

cn_status cn_npy_start(const void *start, size_t *size, cn_error *e) {
  const unsigned char *s = start;
  if (memcmp(s, "\x93NUMPY", 6) != 0) return cn_fail(e, CORNU_ERR_FORMAT, "not a NumPy array");
  if (s[6] < 1 || s[6] > 3)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "NumPy format version %d; there are 1, 2 and 3", s[6]);
  size_t length = s[8] | (size_t)s[9] << 8;
  if (s[6] > 1) length |= (size_t)s[10] << 16 | (size_t)s[11] << 24;
  *size = length + (s[6] > 1 ? 12 : 10);
  if (*size > CN_NPY_MOST || *size < CN_NPY_START)
    return cn_fail(e, CORNU_ERR_FORMAT, "a NumPy header of %zu bytes", length);
  return CORNU_OK;
}

/* A Python dict of texts, bools and tuples: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } */
typedef struct cursor { const char *at, *end; } cursor;

static void skip_space(cursor *c) {
  while (c->at < c->end && strchr(" \t\r\n", *c->at) && *c->at) c->at++;
}

static bool accept(cursor *c, const char *word) {
  skip_space(c);
  size_t length = strlen(word);
  if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0) return false;
  c->at += length;
  return true;
}

static bool read_text(cursor *c, char *out, size_t size) {
  skip_space(c);
  if (c->at >= c->end || (*c->at != '\'' && *c->at != '"')) return false;
  char quote = *c->at++;
  const char *close = memchr(c->at, quote, (size_t)(c->end - c->at));
  if (!close || (size_t)(close - c->at) >= size) return false;
  memcpy(out, c->at, (size_t)(close - c->at));
  out[close - c->at] = 0;
  c->at = close + 1;
  return true;
}

static bool read_int(cursor *c, int64_t *out) {
  skip_space(c);
  const char *from = c->at;
  for (*out = 0; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
    if (!cn_mul_i64(*out, 10, out) || __builtin_add_overflow(*out, *c->at - '0', out)) return false;
  bool any = c->at > from;
  accept(c, "L"); /* Python 2's long */
  return any;
}

static cn_status read_shape(cursor *c, cn_npy *out, cn_error *e) {
  bool good = accept(c, "(");
  for (out->rank = 0; good && !accept(c, ")");) {
    int64_t n;
    good = read_int(c, &n);
    if (good && out->rank == CN_MAX_RANK)
      return cn_fail(e, CORNU_ERR_UNSUPPORTED, "an array with more than %d dimensions", CN_MAX_RANK);
    if (good) out->shape[out->rank++] = n;
    if (good && !accept(c, ",")) {
      good = accept(c, ")");
      break;
    }
  }
  return good ? CORNU_OK : cn_fail(e, CORNU_ERR_FORMAT, "the NumPy header has no proper shape");
}

/* What NumPy's letter stands for, of types that tensors do not have. */
static const char *dtype_kind(char letter) {
  switch (letter) {
    case 'O': return "Python objects, which are never unpickled";
    case 'c': return "complex numbers";
    case 'M': case 'm': return "times";
    default: return "a type that Cornu does not have";
  }
}

/* U7: 7 characters of 4 bytes; S7, a7: 7 bytes. */
static bool parse_string(const char *name, cn_npy *out) {
  size_t digits = strspn(name + 1, "0123456789");
  if (!strchr("USa", *name) || digits == 0 || digits > 9 || name[1 + digits]) return false;
  out->dtype = CORNU_TEXT;
  out->wide = *name == 'U';
  for (const char *c = name + 1; *c; c++) out->width = 10 * out->width + (*c - '0');
  return true;
}

/* Bytes of one element in the file. */
static size_t element_bytes(const cn_npy *a) {
  return a->dtype == CORNU_TEXT ? (size_t)a->width * (a->wide ? 4 : 1) : cornu_dtype_bytes(a->dtype);
}

cn_status cn_npy_dtype(const char *text, cn_npy *out, cn_error *e) {
  static const struct { const char *name; cornu_dtype dtype; } known[] = {
      {"f4", CORNU_FLOAT32}, {"f8", CORNU_FLOAT64}, {"f2", CORNU_FLOAT16}, {"V2", CORNU_BFLOAT16}, /* ml_dtypes */
      {"i1", CORNU_INT8},    {"i2", CORNU_INT16},   {"i4", CORNU_INT32},   {"i8", CORNU_INT64},
      {"u1", CORNU_UINT8},   {"u2", CORNU_UINT16},  {"u4", CORNU_UINT32},  {"u8", CORNU_UINT64},
      {"b1", CORNU_BOOL8},   {"?", CORNU_BOOL8}};
  const char *name = text;
  bool other = false;
  if (*name && strchr("<>=|", *name)) other = *name == (little_endian() ? '>' : '<'), name++;
  for (int i = 0; i < CN_COUNT(known); i++)
    if (strcmp(name, known[i].name) == 0) {
      out->dtype = known[i].dtype;
      out->swapped = other && cornu_dtype_bytes(out->dtype) > 1;
      return CORNU_OK;
    }
  if (parse_string(name, out)) {
    out->swapped = other && out->wide;
    return CORNU_OK;
  }
  return cn_fail(e, CORNU_ERR_UNSUPPORTED, "an array of dtype '%s' (%s)", text, dtype_kind(*name));
}

static cn_status parse_member(cursor *c, const char *key, cn_npy *out, int *seen, cn_error *e) {
  char text[64];
  if (strcmp(key, "shape") == 0) {
    *seen |= 1;
    return read_shape(c, out, e);
  }
  if (strcmp(key, "fortran_order") == 0) {
    *seen |= 2;
    out->fortran = accept(c, "True");
    if (out->fortran || accept(c, "False")) return CORNU_OK;
    return cn_fail(e, CORNU_ERR_FORMAT, "the NumPy header has no proper fortran_order");
  }
  if (strcmp(key, "descr") != 0) return cn_fail(e, CORNU_ERR_FORMAT, "the NumPy header has an unknown key '%s'", key);
  *seen |= 4;
  if (accept(c, "["))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "an array of records (a structured dtype): save each field as an array");
  if (!read_text(c, text, sizeof text)) return cn_fail(e, CORNU_ERR_FORMAT, "the NumPy header has no proper dtype");
  return cn_npy_dtype(text, out, e);
}

static cn_status too_large(const cn_npy *a, cn_error *e) {
  return cn_fail(e, CORNU_ERR_LIMIT, "an array of shape %s is larger than the limit of %zu bytes",
                 CN_SHAPE(a->rank, a->shape), cn_limits.max_tensor_bytes);
}

cn_status cn_npy_parse(const char *head, size_t size, cn_npy *out, cn_error *e) {
  cursor c = {head + (head[6] > 1 ? 12 : 10), head + size};
  char key[32];
  int seen = 0;
  *out = (cn_npy){.dtype = CORNU_FLOAT32};
  bool open = accept(&c, "{");
  while (open && !accept(&c, "}")) {
    if (!read_text(&c, key, sizeof key) || !accept(&c, ":"))
      return cn_fail(e, CORNU_ERR_FORMAT, "the NumPy header is damaged");
    CN_TRY(parse_member(&c, key, out, &seen, e));
    if (!accept(&c, ",") && !(c.at < c.end && *c.at == '}'))
      return cn_fail(e, CORNU_ERR_FORMAT, "the NumPy header is damaged");
  }
  if (seen != 7) return cn_fail(e, CORNU_ERR_FORMAT, "the NumPy header lacks descr, fortran_order or shape");
  int64_t count = cn_shape_size(out->rank, out->shape);
  bool fits = count >= 0 && cn_mul_size((size_t)count, element_bytes(out), &out->bytes);
  return fits ? CORNU_OK : too_large(out, e);
}

cn_status cn_npy_check(const cn_npy *a, cn_error *e) {
  return a->bytes <= cn_limits.max_tensor_bytes ? CORNU_OK : too_large(a, e);
}

/* ---- Data ---- */

/* Columns first is the transposed array rows first. */
cn_status cn_npy_new(const cn_npy *a, cn_tensor **out, cn_error *e) {
  int64_t shape[CN_MAX_RANK];
  for (int i = 0; i < a->rank; i++) shape[i] = a->shape[a->fortran ? a->rank - 1 - i : i];
  if (a->dtype == CORNU_TEXT) return cornu_tensor_new(CORNU_UINT8, 1, (int64_t[]){(int64_t)a->bytes}, out, e);
  return cornu_tensor_new(a->dtype, a->rank, shape, out, e);
}

static void swap_bytes(char *data, size_t size, int64_t count) {
  for (int64_t i = 0; i < count; i++, data += size)
    for (size_t k = 0; k < size / 2; k++) {
      char c = data[k];
      data[k] = data[size - 1 - k];
      data[size - 1 - k] = c;
    }
}

/* Replaces the bytes that were read by strings. */
static cn_status settle_strings(const cn_npy *a, cn_tensor **t, cn_error *e) {
  int64_t shape[CN_MAX_RANK];
  cn_tensor *strings;
  for (int i = 0; i < a->rank; i++) shape[i] = a->shape[a->fortran ? a->rank - 1 - i : i];
  if (a->swapped) swap_bytes((*t)->data, 4, (int64_t)a->bytes / 4);
  CN_TRY(cn_npy_to_strings(a, (*t)->data, a->rank, shape, &strings, e));
  cornu_tensor_release(*t);
  *t = strings;
  return CORNU_OK;
}

static void settle_numbers(const cn_npy *a, cn_tensor *t) {
  int64_t count = cornu_tensor_size(t);
  if (a->swapped) swap_bytes(t->data, cornu_dtype_bytes(a->dtype), count);
  if (a->dtype == CORNU_BOOL8)
    for (int64_t i = 0; i < count; i++) t->data[i] = t->data[i] != 0;
}

cn_status cn_npy_settle(const cn_npy *a, cn_tensor **t, cn_error *e) {
  cn_tensor *turned, *plain;
  if (a->dtype == CORNU_TEXT) CN_TRY(settle_strings(a, t, e));
  else settle_numbers(a, *t);
  if (!a->fortran || a->rank < 2) return CORNU_OK;
  CN_TRY(cornu_tensor_transpose(*t, NULL, &turned, e));
  cn_status status = cornu_tensor_contiguous(turned, &plain, e);
  cornu_tensor_release(turned);
  if (status) return status;
  cornu_tensor_release(*t);
  *t = plain;
  return CORNU_OK;
}

cn_status cn_npy_head(const char *path, cn_npy *out, size_t *offset, cn_error *e) {
  char start[CN_NPY_START];
  size_t got = 0;
  CN_TRY(cn_file_peek(path, 0, start, sizeof start, &got, e));
  if (got < sizeof start) return cn_fail(e, CORNU_ERR_FORMAT, "%s: not a NumPy array", path);
  size_t size = 0;
  cn_status status = cn_npy_start(start, &size, e);
  if (status) return cn_at(e, status, "%s", path);
  char *head = cn_alloc(size);
  if (!head) return cn_no_memory(e);
  status = cn_file_peek(path, 0, head, size, &got, e);
  if (!status && got < size) status = cn_fail(e, CORNU_ERR_FORMAT, "%s: the file ends within its header", path);
  if (!status && (status = cn_npy_parse(head, size, out, e))) cn_at(e, status, "%s", path);
  cn_free(head);
  *offset = size;
  return status;
}

/* The size of the file is looked at before memory is taken. */
static cn_status check_length(const char *path, const cn_npy *a, size_t offset, cn_error *e) {
  char byte;
  size_t got = 1;
  if (a->bytes) CN_TRY(cn_file_peek(path, offset + a->bytes - 1, &byte, 1, &got, e));
  if (got) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_FORMAT, "%s: the file ends before its array of shape %s is complete", path,
                 CN_SHAPE(a->rank, a->shape));
}

cornu_status cornu_npy_load(const char *path, cornu_tensor **out, cornu_error *e) {
  cn_npy a;
  size_t offset, got;
  cn_tensor *t = NULL;
  *out = NULL;
  CN_TRY(cn_npy_head(path, &a, &offset, e));
  cn_status status = cn_npy_check(&a, e);
  if (status) return cn_at(e, status, "%s", path);
  CN_TRY(check_length(path, &a, offset, e));
  CN_TRY(cn_npy_new(&a, &t, e));
  status = cn_file_peek(path, offset, t->data, a.bytes, &got, e);
  if (!status && got < a.bytes) status = cn_fail(e, CORNU_ERR_IO, "%s: the file changed while it was read", path);
  if (!status) status = cn_npy_settle(&a, &t, e);
  if (status) cornu_tensor_release(t);
  else *out = t;
  return status;
}

/* ---- Writing ---- */

static void dtype_text(const cn_npy *a, char *text, size_t size) {
  static const char *const names[CORNU_DTYPES] = {"f4", "f8", "f2", "V2", "i1", "i2", "i4", "i8", "u1", "u2", "u4",
                                                  "u8", "b1"};
  char order = little_endian() ? '<' : '>';
  if (a->dtype == CORNU_TEXT) {
    snprintf(text, size, "%c%c%lld", a->wide ? order : '|', a->wide ? 'U' : 'S', (long long)a->width);
    return;
  }
  if (cornu_dtype_bytes(a->dtype) == 1 || a->dtype == CORNU_BFLOAT16) order = '|';
  snprintf(text, size, "%c%s", order, names[a->dtype]);
}

static size_t write_head(const cn_npy *a, const cn_tensor *t, char head[CN_NPY_HEAD]) {
  char text[CN_NPY_HEAD - 16], dtype[32];
  dtype_text(a, dtype, sizeof dtype);
  int n = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (", dtype);
  for (int i = 0; i < t->rank; i++)
    n += snprintf(text + n, sizeof text - (size_t)n, i ? " %lld%s" : "%lld%s", (long long)t->shape[i],
                  i + 1 < t->rank || t->rank == 1 ? "," : "");
  n += snprintf(text + n, sizeof text - (size_t)n, "), }");
  size_t size = (10 + (size_t)n + 1 + 63) / 64 * 64, length = size - 10; /* the data begins at a multiple of 64 */
  memset(head, ' ', size);
  memcpy(head, "\x93NUMPY\1", 8);
  head[8] = (char)(length & 255);
  head[9] = (char)(length >> 8);
  memcpy(head + 10, text, (size_t)n);
  head[size - 1] = '\n';
  return size;
}

cn_status cn_npy_make(cn_tensor *t, cn_npy_image *out, cn_error *e) {
  if (cornu_tensor_is_symbolic(t)) return cn_fail(e, CORNU_ERR_ARGUMENT, "a symbolic tensor has no data to save");
  CN_TRY(cornu_tensor_contiguous(t, &out->plain, e));
  cn_npy a = {.dtype = t->dtype};
  a.bytes = (size_t)cornu_tensor_size(t) * cornu_dtype_bytes(t->dtype);
  out->data = out->plain->data;
  if (t->dtype == CORNU_TEXT) {
    CN_TRY(cn_npy_from_strings(out->plain, &a, &out->made, e));
    out->data = out->made;
  }
  out->size = a.bytes;
  out->head_size = write_head(&a, t, out->head);
  return CORNU_OK;
}

void cn_npy_drop(cn_npy_image *image) {
  cornu_tensor_release(image->plain);
  cn_free(image->made);
}

static bool write_all(const char *path, const char *head, size_t head_size, const void *data, size_t size) {
  FILE *file = fopen(path, "wb");
  if (!file) return false;
  bool written = fwrite(head, 1, head_size, file) == head_size && fwrite(data, 1, size, file) == size;
  return fclose(file) == 0 && written;
}

cornu_status cornu_npy_save(const char *path, cornu_tensor *t, cornu_error *e) {
  cn_npy_image image = {.size = 0};
  cn_file_write w;
  cn_status status = cn_npy_make(t, &image, e);
  if (status) cn_at(e, status, "%s", path);
  else status = cn_file_begin(&w, path, e);
  if (!status) {
    if (write_all(w.temporary, image.head, image.head_size, image.data, image.size)) {
      status = cn_file_commit(&w, e);
    } else {
      cn_file_abandon(&w);
      status = cn_fail(e, CORNU_ERR_IO, "%s: cannot write", path);
    }
  }
  cn_npy_drop(&image);
  return status;
}
