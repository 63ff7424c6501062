/* LU, Cholesky, QR and triangular systems. */
#include "kernels/decompose.h"

#include <math.h>
#include <string.h>

#include "base/deadline.h"

static void exchange_rows(double *a, double *b, int64_t n) {
  for (int64_t j = 0; j < n; j++) {
    double keep = a[j];
    a[j] = b[j];
    b[j] = keep;
  }
}

int cn_lu(int64_t n, double *a, int64_t *order) {
  int sign = 1;
  bool singular = false;
  for (int64_t i = 0; i < n; i++) order[i] = i;
  for (int64_t k = 0; k < n && !cn_past_deadline(); k++) {
    int64_t best = k;
    for (int64_t i = k + 1; i < n; i++)
      if (fabs(a[i * n + k]) > fabs(a[best * n + k])) best = i;
    if (a[best * n + k] == 0) {
      singular = true;
      continue;
    }
    if (best != k) {
      int64_t keep = order[k];
      order[k] = order[best];
      order[best] = keep;
      exchange_rows(a + k * n, a + best * n, n);
      sign = -sign;
    }
    for (int64_t i = k + 1; i < n; i++) {
      double factor = a[i * n + k] /= a[k * n + k];
      for (int64_t j = k + 1; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return singular ? 0 : sign;
}

bool cn_cholesky(int64_t n, double *a) {
  bool definite = true;
  for (int64_t i = 0; i < n && !cn_past_deadline(); i++) {
    for (int64_t j = 0; j <= i; j++) {
      double sum = a[i * n + j];
      for (int64_t k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      if (i > j) {
        a[i * n + j] = sum / a[j * n + j];
      } else {
        if (!(sum > 0)) definite = false;
        a[i * n + i] = sqrt(sum);
      }
    }
    for (int64_t j = i + 1; j < n; j++) a[i * n + j] = 0;
  }
  return definite;
}

/* Row i of b less the rows of the solution before it, each times its factor. */
static void eliminate(int64_t k, double *b, int64_t i, const double *factors, int64_t begin, int64_t end) {
  for (int64_t j = begin; j < end; j++)
    for (int64_t c = 0; c < k; c++) b[i * k + c] -= factors[j] * b[j * k + c];
}

void cn_solve_lower(int64_t n, int64_t k, const double *l, bool unit, double *b) {
  for (int64_t i = 0; i < n && !cn_past_deadline(); i++) {
    eliminate(k, b, i, l + i * n, 0, i);
    for (int64_t c = 0; !unit && c < k; c++) b[i * k + c] /= l[i * n + i];
  }
}

void cn_solve_upper(int64_t n, int64_t k, const double *u, double *b) {
  for (int64_t i = n - 1; i >= 0 && !cn_past_deadline(); i--) {
    eliminate(k, b, i, u + i * n, i + 1, n);
    for (int64_t c = 0; c < k; c++) b[i * k + c] /= u[i * n + i];
  }
}

/* ---- QR ---- */

/* v (v[0] = 1) and the factor tau of the reflection I - tau v v' that takes x, of which only the first element is left
 * then, *beta. A vector that is so already stays: tau = 0. */
static double reflection(int64_t n, double *v, double *beta) {
  double tail = 0, first = v[0];
  for (int64_t i = 1; i < n; i++) tail += v[i] * v[i];
  *beta = first;
  v[0] = 1;
  if (tail == 0) return 0;
  *beta = first >= 0 ? -sqrt(first * first + tail) : sqrt(first * first + tail);
  for (int64_t i = 1; i < n; i++) v[i] /= first - *beta;
  return (*beta - first) / *beta;
}

/* Reflects columns [from, n) of rows [row, m). */
static void reflect(int64_t m, int64_t n, double *a, int64_t row, int64_t from, const double *v, double tau,
                    double *products) {
  if (tau == 0) return;
  memset(products, 0, (size_t)n * sizeof *products);
  for (int64_t i = row; i < m; i++)
    for (int64_t j = from; j < n; j++) products[j] += v[i - row] * a[i * n + j];
  for (int64_t i = row; i < m; i++)
    for (int64_t j = from; j < n; j++) a[i * n + j] -= tau * v[i - row] * products[j];
}

/* Brings the longest of columns k … n - 1, seen from row k down, to the place k. */
static void choose_column(int64_t m, int64_t n, double *a, int64_t k, int64_t *order) {
  int64_t best = k;
  double longest = -1;
  for (int64_t j = k; j < n; j++) {
    double length = 0;
    for (int64_t i = k; i < m; i++) length += a[i * n + j] * a[i * n + j];
    if (length > longest * (1 + 1e-12)) {
      longest = length;
      best = j;
    }
  }
  if (best == k) return;
  int64_t moved = order[k];
  order[k] = order[best];
  order[best] = moved;
  for (int64_t i = 0; i < m; i++) {
    double keep = a[i * n + k];
    a[i * n + k] = a[i * n + best];
    a[i * n + best] = keep;
  }
}

int64_t cn_qr_work(int64_t m, int64_t n) {
  int64_t k = m < n ? m : n;
  return m * k + k + (m > n ? m : n);
}

void cn_qr(int64_t m, int64_t n, double *a, double *q, int64_t columns, int64_t *order, double *work) {
  int64_t count = m < n ? m : n;
  double *v = work, *tau = v + m * count, *products = tau + count; /* vector k at v + k m */
  for (int64_t j = 0; order && j < n; j++) order[j] = j;
  for (int64_t k = 0; k < count && !cn_past_deadline(); k++) {
    if (order) choose_column(m, n, a, k, order);
    double *x = v + k * m, beta;
    for (int64_t i = k; i < m; i++) x[i - k] = a[i * n + k];
    tau[k] = reflection(m - k, x, &beta);
    reflect(m, n, a, k, k + 1, x, tau[k], products);
    a[k * n + k] = beta;
    for (int64_t i = k + 1; i < m; i++) a[i * n + k] = 0;
  }
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < columns; j++) q[i * columns + j] = i == j;
  for (int64_t k = count - 1; k >= 0 && !cn_past_deadline(); k--)
    reflect(m, columns, q, k, k, v + k * m, tau[k], products);
}
