/* Errors: messages that grow from the inside out. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *cornu_status_name(cornu_status status) {
  static const char *const names[] = {"ok",     "argument",    "shape", "dtype",  "not found",   "io",
                                      "format", "unsupported", "limit", "memory", "interrupted", "callback"};
  return (unsigned)status < CN_COUNT(names) ? names[status] : "unknown";
}

/* Cuts a half character off the end of a text that was truncated. */
static void trim_utf8(char *s) {
  size_t n = strlen(s), back = 0;
  while (back < 3 && back < n && ((unsigned char)s[n - 1 - back] & 0xC0) == 0x80) back++;
  if (back >= n) return;
  unsigned char lead = (unsigned char)s[n - 1 - back];
  size_t want = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
  if (want > back) s[n - 1 - back] = 0;
}

cn_status cn_fail(cn_error *e, cn_status status, const char *format, ...) {
  if (!e) return status;
  char text[sizeof e->message]; /* arguments may point into e */
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  trim_utf8(text);
  e->status = status;
  memcpy(e->message, text, sizeof text);
  return status;
}

cn_status cn_at(cn_error *e, cn_status status, const char *format, ...) {
  if (!e) return status;
  char text[sizeof e->message];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  size_t used = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
  const char *parts[] = {" > ", e->message};
  for (int i = 0; i < 2; i++)
    for (const char *c = parts[i]; *c && used + 1 < sizeof text; c++) text[used++] = *c;
  text[used] = 0;
  trim_utf8(text);
  e->status = status;
  memcpy(e->message, text, sizeof text);
  return status;
}

cn_status cn_no_memory(cn_error *e) { return cn_fail(e, CORNU_ERR_MEMORY, "out of memory"); }
