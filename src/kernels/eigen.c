/* Eigenvalues of symmetric matrices, singular values. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/deadline.h"
#include "kernels/decompose.h"

#define REAL float
#define EPSILON FLT_EPSILON
#define SMALLEST FLT_MIN
#define NAME(f) f##_float
#define SQRT sqrtf
#define ABS fabsf
#include "kernels/eigh_body.h"
#undef REAL
#undef EPSILON
#undef SMALLEST
#undef NAME
#undef SQRT
#undef ABS

#define REAL double
#define EPSILON DBL_EPSILON
#define SMALLEST DBL_MIN
#define NAME(f) f##_double
#define SQRT sqrt
#define ABS fabs
#include "kernels/eigh_body.h"

/* ---- Singular values: Jacobi's two-sided method ---- */

typedef struct rotation { double c, s; } rotation; /* of x and y: c x + s y, c y - s x */

static void rotate(double *x, double *y, int64_t n, int64_t step, rotation r) {
  for (int64_t i = 0; i < n; i++, x += step, y += step) {
    double u = *x, v = *y;
    *x = r.c * u + r.s * v;
    *y = r.c * v - r.s * u;
  }
}

/* The rotations from the left and from the right that make [a b; c d] diagonal: a first one makes it symmetric, the
 * smaller of Jacobi's two angles does the rest (Golub and Van Loan, 8.6.3). */
static void diagonalise(double a, double b, double c, double d, rotation *left, rotation *right) {
  rotation first = {1, 0};
  double sum = a + d, difference = c - b;
  if (fabs(difference) >= DBL_MIN) {
    double u = sum / difference, w = sqrt(1 + u * u);
    first = (rotation){u / w, 1 / w};
  }
  double x = first.c * a + first.s * c, y = first.c * b + first.s * d, z = first.c * d - first.s * b;
  *right = (rotation){1, 0};
  if (2 * fabs(y) >= DBL_MIN) {
    double tau = (x - z) / (2 * fabs(y)), w = sqrt(tau * tau + 1);
    double t = tau > 0 ? 1 / (tau + w) : 1 / (tau - w), n = 1 / sqrt(t * t + 1);
    right->s = -(t > 0 ? 1 : -1) * (y / fabs(y)) * fabs(t) * n;
    right->c = n;
  }
  *left = (rotation){first.c * right->c + first.s * right->s, first.s * right->c - first.c * right->s};
}

/* One sweep over the pairs of w (k, k), taking ut (rows of length m) and vt (of length n) along; whether any was off
 * the diagonal. */
static bool sweep(int64_t k, double *w, double *ut, int64_t m, double *vt, int64_t n, double *largest) {
  bool any = false;
  for (int64_t p = 1; p < k && !cn_past_deadline(); p++)
    for (int64_t q = 0; q < p; q++) {
      double limit = fmax(DBL_MIN, 2 * DBL_EPSILON * *largest);
      if (!(fabs(w[p * k + q]) > limit || fabs(w[q * k + p]) > limit)) continue;
      rotation left, right;
      any = true;
      diagonalise(w[p * k + p], w[p * k + q], w[q * k + p], w[q * k + q], &left, &right);
      rotation back = {right.c, -right.s};
      rotate(w + p * k, w + q * k, k, 1, left);
      rotate(ut + p * m, ut + q * m, m, 1, left);
      rotate(w + p, w + q, k, k, back);
      rotate(vt + p * n, vt + q * n, n, 1, back);
      *largest = fmax(*largest, fmax(fabs(w[p * k + p]), fabs(w[q * k + q])));
    }
  return any;
}

static void exchange(double *a, double *b, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    double keep = a[i];
    a[i] = b[i];
    b[i] = keep;
  }
}

/* Positive singular values from the diagonal, the largest first. */
static void settle(int64_t k, const double *w, double scale, double *s, double *ut, int64_t m, double *vt, int64_t n) {
  for (int64_t i = 0; i < k; i++) {
    s[i] = fabs(w[i * k + i]) * scale;
    for (int64_t j = 0; w[i * k + i] < 0 && j < m; j++) ut[i * m + j] = -ut[i * m + j];
  }
  for (int64_t i = 0; i < k; i++) {
    int64_t best = i;
    for (int64_t j = i + 1; j < k; j++)
      if (s[j] > s[best]) best = j;
    if (best == i) continue;
    exchange(s + i, s + best, 1);
    exchange(ut + i * m, ut + best * m, m);
    exchange(vt + i * n, vt + best * n, n);
  }
}

static void transposed(double *to, const double *from, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j];
}

/* tall (m, n), m > n, becomes R (n, n) in w; Q is left in q (m, columns), the exchange of columns in pt (n, n), of
 * which row j has its one at column order[j]. */
static void precondition(int64_t m, int64_t n, double *tall, double *q, int64_t columns, double *w, double *pt,
                         int64_t *order, double *work) {
  cn_qr(m, n, tall, q, columns, order, work);
  memcpy(w, tall, (size_t)(n * n) * sizeof *w);
  memset(pt, 0, (size_t)(n * n) * sizeof *pt);
  for (int64_t j = 0; j < n; j++) pt[j * n + order[j]] = 1;
}

int64_t cn_svd_work(int64_t m, int64_t n, int64_t u_columns, int64_t v_columns) {
  int64_t k = m < n ? m : n, longest = m > n ? m : n;
  return k * k + m * u_columns + n * v_columns + longest * k + k + cn_qr_work(longest, k);
}

static void identity(double *a, int64_t n) {
  for (int64_t i = 0; i < n * n; i++) a[i] = i % (n + 1) == 0;
}

void cn_svd(int64_t m, int64_t n, double *a, double *u, int64_t u_columns, double *s, double *v, int64_t v_columns,
            double *work) {
  int64_t k = m < n ? m : n;
  double scale = 0, largest = 0, *w = work, *ut = w + k * k, *vt = ut + m * u_columns, *turned = vt + n * v_columns;
  int64_t *order = (int64_t *)(turned + m * n);
  double *rest = turned + m * n + k;
  for (int64_t i = 0; i < m * n; i++)
    if (!(fabs(a[i]) <= scale)) scale = fabs(a[i]);
  if (scale == 0) scale = 1;
  for (int64_t i = 0; i < m * n; i++) a[i] /= scale;
  if (m == n) {
    memcpy(w, a, (size_t)(k * k) * sizeof *w);
    identity(ut, m);
    identity(vt, n);
  } else if (m > n) {
    precondition(m, n, a, u, u_columns, w, vt, order, rest);
    transposed(ut, u, m, u_columns);
  } else {
    transposed(turned, a, m, n);
    precondition(n, m, turned, v, v_columns, ut, vt, order, rest);
    transposed(w, ut, k, k);
    memcpy(ut, vt, (size_t)(k * k) * sizeof *ut);
    transposed(vt, v, n, v_columns);
  }
  for (int64_t i = 0; i < k; i++) largest = fmax(largest, fabs(w[i * k + i]));
  for (int left = 60; left > 0 && sweep(k, w, ut, m, vt, n, &largest);) left--;
  settle(k, w, scale, s, ut, m, vt, n);
  transposed(u, ut, u_columns, m);
  transposed(v, vt, v_columns, n);
}
