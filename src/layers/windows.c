/* Windows of signals (Harris, 1978), as SciPy defines them. */
#include "layers/windows.h"

#include <math.h>

#include "base/text.h"

static const double pi = 3.14159265358979323846;

/* Sums of cosines by their weights; one weight alone: by its rule in shape(). */
static const struct { const char *names; double weight[5]; } sums[] = {
    {"hann hanning han", {0.5, 0.5}},
    {"hamming hamm ham", {0.54, 0.46}},
    {"blackman black blk", {0.42, 0.5, 0.08}},
    {"nuttall nutl nut", {0.3635819, 0.4891775, 0.1365995, 0.0106411}},
    {"blackmanharris blackharr bkh", {0.35875, 0.48829, 0.14128, 0.01168}},
    {"flattop flat flt", {0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368}},
    {"boxcar box ones rect rectangular", {1}},
};

/* At step i of n: x goes from -1 to 1. */
static double bartlett(double x) { return 1 - fabs(x); }
static double lanczos(double x) { return x == 0 ? 1 : sin(pi * x) / (pi * x); }
static double bohman(double x) { return (1 - fabs(x)) * cos(pi * x) + sin(pi * fabs(x)) / pi; }
static double barthann(double x) { return 0.62 - 0.24 * fabs(x) + 0.38 * cos(pi * x); }

static const struct { const char *names; double (*at)(double x); } shapes[] = {
    {"bartlett bart brt", bartlett},
    {"lanczos sinc", lanczos},
    {"bohman bman bmn", bohman},
    {"barthann brthan bth", barthann},
};

static double cosines(const double *weight, double x) {
  double sum = 0;
  for (int k = 0; k < 5; k++) sum += weight[k] * cos(k * pi * x);
  return sum;
}

bool cn_window_named(const char *name, int64_t n, bool periodic, double *out) {
  int64_t last = periodic ? n : n - 1; /* a periodic window would go on with its first value */
  int sum = -1, shape = -1;
  for (int i = 0; i < CN_COUNT(sums); i++)
    if (cn_word_in(sums[i].names, name, NULL)) sum = i;
  for (int i = 0; i < CN_COUNT(shapes); i++)
    if (cn_word_in(shapes[i].names, name, NULL)) shape = i;
  bool cosine = cn_word_in("cosine halfcosine", name, NULL);
  for (int64_t i = 0; i < n; i++) {
    double x = n > 1 ? 2 * (double)i / (double)last - 1 : 0;
    if (n == 1) out[i] = 1;
    else if (sum >= 0) out[i] = cosines(sums[sum].weight, x);
    else if (shape >= 0) out[i] = shapes[shape].at(x);
    else out[i] = sin(pi * ((double)i + 0.5) / (double)(last + 1));
  }
  return sum >= 0 || shape >= 0 || cosine;
}

cn_status cn_window_numbers(const cn_value *v, int64_t n, double *out, cn_error *e) {
  const cn_value *array = cn_value_find(cn_value_find(v, "config"), "value");
  if (array) v = array;
  bool good = cn_value_is(v, CORNU_LIST) && v->count == n;
  for (int64_t i = 0; good && i < n; i++) good = cn_value_number(v->items[i], &out[i]);
  if (good) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"window\" is %s, expected the name of a window or %lld numbers",
                 cn_value_show(v, (char[80]){0}, 80), (long long)n);
}
