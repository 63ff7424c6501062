/* NumPy's arrays of strings: rows of one width, filled up with NULs. */
#include <string.h>

#include "base/text.h"
#include "formats/npy.h"

static uint32_t character(const char *rows, int64_t i) {
  uint32_t c;
  memcpy(&c, rows + 4 * i, 4);
  return c;
}

static int utf8_length(uint32_t c) { return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4; }

static void write_utf8(char *to, uint32_t c, int n) {
  static const unsigned char lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (int i = n - 1; i > 0; i--, c >>= 6) to[i] = (char)(0x80 | (c & 63));
  to[0] = (char)(lead[n] | c);
}

/* Characters of row i without the NULs at its end. */
static int64_t row_length(const cn_npy *a, const char *rows, int64_t i) {
  int64_t n = a->width;
  while (n > 0 && (a->wide ? character(rows, i * a->width + n - 1) == 0 : rows[i * a->width + n - 1] == 0)) n--;
  return n;
}

static cn_status wide_row(cn_tensor *t, const char *row, int64_t n, cornu_text *out, cn_error *e) {
  size_t bytes = 0;
  for (int64_t k = 0; k < n; k++) {
    uint32_t c = character(row, k);
    if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
      return cn_fail(e, CORNU_ERR_FORMAT, "an array of strings holds 0x%x, which is no character", c);
    bytes += (size_t)utf8_length(c);
  }
  char *to = cn_arena_alloc(&t->buffer->texts, bytes + 1);
  if (!to) return cn_no_memory(e);
  *out = (cornu_text){to, bytes};
  for (int64_t k = 0; k < n; k++) {
    uint32_t c = character(row, k);
    write_utf8(to, c, utf8_length(c));
    to += utf8_length(c);
  }
  return CORNU_OK;
}

cn_status cn_npy_to_strings(const cn_npy *a, const char *rows, int rank, const int64_t *shape, cn_tensor **out,
                            cn_error *e) {
  CN_TRY(cornu_tensor_new(CORNU_TEXT, rank, shape, out, e));
  cornu_text *to = (void *)(*out)->data;
  int64_t count = cornu_tensor_size(*out);
  cn_status status = CORNU_OK;
  for (int64_t i = 0; i < count && !status; i++) {
    int64_t n = row_length(a, rows, i);
    if (n == 0) continue;
    if (a->wide) {
      status = wide_row(*out, rows + 4 * i * a->width, n, &to[i], e);
    } else {
      to[i] = (cornu_text){cn_arena_copy(&(*out)->buffer->texts, rows + i * a->width, (size_t)n), (size_t)n};
      if (!to[i].bytes) status = cn_no_memory(e);
    }
  }
  if (!status) return CORNU_OK;
  cornu_tensor_release(*out);
  *out = NULL;
  return status;
}

/* ---- Writing ---- */

static int64_t characters(cornu_text x) {
  int64_t n = 0;
  for (size_t i = 0; i < x.length; i++) n += (x.bytes[i] & 0xC0) != 0x80;
  return n;
}

/* The next character of valid UTF-8. */
static uint32_t next_character(const unsigned char **at) {
  uint32_t c = *(*at)++;
  if (c < 0x80) return c;
  int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
  c &= 0x3Fu >> more;
  for (; more; more--) c = c << 6 | (*(*at)++ & 63);
  return c;
}

static void write_row(char *row, cornu_text x, bool wide) {
  if (!wide) {
    if (x.length) memcpy(row, x.bytes, x.length);
    return;
  }
  const unsigned char *at = (const unsigned char *)x.bytes, *end = at + x.length;
  while (at < end) {
    uint32_t c = next_character(&at);
    memcpy(row, &c, 4);
    row += 4;
  }
}

cn_status cn_npy_from_strings(const cn_tensor *t, cn_npy *a, void **rows, cn_error *e) {
  const cornu_text *x = (const void *)t->data;
  int64_t count = cornu_tensor_size(t);
  a->width = 1;
  a->wide = true;
  for (int64_t i = 0; i < count && a->wide; i++) a->wide = cn_utf8_valid(x[i].bytes, x[i].length);
  for (int64_t i = 0; i < count; i++) {
    int64_t n = a->wide ? characters(x[i]) : (int64_t)x[i].length;
    if (n > a->width) a->width = n;
  }
  size_t row = (size_t)a->width * (a->wide ? 4 : 1);
  if (!cn_mul_size((size_t)count, row, &a->bytes) || a->bytes > cn_limits.max_tensor_bytes)
    return cn_fail(e, CORNU_ERR_LIMIT, "NumPy's form of the strings, %lld rows of %zu bytes, is larger than the limit "
                   "of %zu bytes", (long long)count, row, cn_limits.max_tensor_bytes);
  *rows = cn_alloc_data(a->bytes + 1);
  if (!*rows) return cn_no_memory(e);
  memset(*rows, 0, a->bytes);
  for (int64_t i = 0; i < count; i++) write_row((char *)*rows + (size_t)i * row, x[i], a->wide);
  return CORNU_OK;
}
