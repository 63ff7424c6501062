/* Windows of signals: the weights by which the steps of a frame count. */
#ifndef CN_LAYERS_WINDOWS_H
#define CN_LAYERS_WINDOWS_H

#include "base/value.h"

/* scipy.signal.get_window(name, n, periodic); false: no window that is known here. */
bool cn_window_named(const char *name, int64_t n, bool periodic, double *out);
/* n numbers that a config holds: a list, or an array as Keras 3 writes it. */
cn_status cn_window_numbers(const cn_value *v, int64_t n, double *out, cn_error *e);

#endif
