/* Errors: the lowest place says what happened (cn_fail), each caller that knows a name adds where (cn_at). */
#ifndef CN_BASE_ERROR_H
#define CN_BASE_ERROR_H

#include "cornu.h"

typedef cornu_status cn_status;
typedef cornu_error cn_error;

/* A function whose argument number `text` is a format for the arguments from `first` on. */
#if defined(__MINGW32__)
#define CN_PRINTF(text, first) __attribute__((format(gnu_printf, text, first)))
#else
#define CN_PRINTF(text, first) __attribute__((format(printf, text, first)))
#endif

/* Sets *e (NULL: ignored) and returns status, so that callers write `return cn_fail(e, CORNU_ERR_SHAPE, …)`. */
cn_status cn_fail(cn_error *e, cn_status status, const char *format, ...) CN_PRINTF(3, 4) __attribute__((cold));
/* Puts "where > " before the message of a failure; returns e's status (CORNU_ERR_ARGUMENT when e is NULL). */
cn_status cn_at(cn_error *e, cn_status status, const char *format, ...) CN_PRINTF(3, 4) __attribute__((cold));
cn_status cn_no_memory(cn_error *e) __attribute__((cold));

#define CN_TRY(call)                    \
  do {                                  \
    cn_status cn_try_status_ = (call);  \
    if (cn_try_status_) return cn_try_status_; \
  } while (0)

#define CN_UNUSED __attribute__((unused))
#define CN_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#endif
