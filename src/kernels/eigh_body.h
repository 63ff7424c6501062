/* The symmetric eigenvalue problem in one precision, for eigen.c: REAL, EPSILON, SMALLEST, NAME(f), SQRT, ABS. */

/* Householder's tridiagonal form of the lower triangle of a: diagonal d, below it e; a becomes Q transposed, where
 * Q' a Q has that form. */
static void NAME(tridiagonal)(int64_t n, REAL *a, REAL *d, REAL *e, REAL *p) {
  for (int64_t k = 0; k + 1 < n && !cn_past_deadline(); k++) {
    REAL tail = 0, first = a[(k + 1) * n + k], beta = first, tau = 0;
    for (int64_t i = k + 2; i < n; i++) tail += a[i * n + k] * a[i * n + k];
    if (tail > SMALLEST) {
      beta = first >= 0 ? -SQRT(first * first + tail) : SQRT(first * first + tail);
      for (int64_t i = k + 2; i < n; i++) a[i * n + k] /= first - beta;
      tau = (beta - first) / beta;
    } else {
      for (int64_t i = k + 2; i < n; i++) a[i * n + k] = 0;
    }
    a[(k + 1) * n + k] = 1;
    REAL inner = 0;
    for (int64_t i = k + 1; i < n; i++) {
      REAL sum = 0;
      for (int64_t j = k + 1; j < n; j++) sum += (j <= i ? a[i * n + j] : a[j * n + i]) * tau * a[j * n + k];
      p[i] = sum;
    }
    for (int64_t i = k + 1; i < n; i++) inner += p[i] * a[i * n + k];
    for (int64_t i = k + 1; i < n; i++) p[i] -= tau * inner / 2 * a[i * n + k];
    for (int64_t i = k + 1; i < n; i++)
      for (int64_t j = k + 1; j <= i; j++) a[i * n + j] -= a[i * n + k] * p[j] + p[i] * a[j * n + k];
    e[k] = beta;
    p[k] = tau;
  }
  for (int64_t i = 0; i < n; i++) d[i] = a[i * n + i];
}

/* Rows of q become those of the product of the reflections that `tridiagonal` left in a, transposed. */
static void NAME(collect)(int64_t n, const REAL *a, const REAL *tau, REAL *q) {
  for (int64_t i = 0; i < n * n; i++) q[i] = i % (n + 1) == 0;
  for (int64_t k = n - 2; k >= 0 && !cn_past_deadline(); k--)
    for (int64_t row = k + 1; row < n; row++) {
      REAL sum = 0;
      for (int64_t i = k + 1; i < n; i++) sum += q[row * n + i] * a[i * n + k];
      for (int64_t i = k + 1; i < n; i++) q[row * n + i] -= tau[k] * sum * a[i * n + k];
    }
}

/* The rotation that takes (p, q) to (r, 0): c p - s q = r. */
static void NAME(givens)(REAL p, REAL q, REAL *c, REAL *s) {
  if (q == 0) {
    *c = p < 0 ? -1 : 1;
    *s = 0;
  } else if (p == 0) {
    *c = 0;
    *s = q < 0 ? 1 : -1;
  } else if (ABS(p) > ABS(q)) {
    REAL t = q / p, u = SQRT(1 + t * t);
    *c = 1 / (p < 0 ? -u : u);
    *s = -t * *c;
  } else {
    REAL t = p / q, u = SQRT(1 + t * t);
    *s = -1 / (q < 0 ? -u : u);
    *c = -t * *s;
  }
}

/* One implicit QR step with Wilkinson's shift on rows start … end of the tridiagonal matrix (Golub and Van Loan, 8.3.2);
 * row i of q is the i-th eigenvector to be. */
static void NAME(step)(int64_t n, REAL *d, REAL *e, int64_t start, int64_t end, REAL *q) {
  REAL half = (d[end - 1] - d[end]) / 2, off = e[end - 1], shift = d[end];
  if (half == 0) {
    shift -= ABS(off);
  } else if (off != 0) {
    REAL h = SQRT(half * half + off * off);
    shift -= off / ((half + (half > 0 ? h : -h)) / off);
  }
  REAL x = d[start] - shift, z = e[start], c, s;
  for (int64_t k = start; k < end && z != 0; k++) {
    NAME(givens)(x, z, &c, &s);
    REAL a = s * d[k] + c * e[k], b = s * e[k] + c * d[k + 1];
    d[k] = c * (c * d[k] - s * e[k]) - s * (c * e[k] - s * d[k + 1]);
    d[k + 1] = s * a + c * b;
    e[k] = c * a - s * b;
    if (k > start) e[k - 1] = c * e[k - 1] - s * z;
    x = e[k];
    if (k < end - 1) {
      z = -s * e[k + 1];
      e[k + 1] *= c;
    }
    for (int64_t i = 0; i < n; i++) {
      REAL u = q[k * n + i], v = q[(k + 1) * n + i];
      q[k * n + i] = c * u - s * v;
      q[(k + 1) * n + i] = s * u + c * v;
    }
  }
}

static void NAME(iterate)(int64_t n, REAL *d, REAL *e, REAL *q) {
  int64_t start = 0, end = n - 1;
  for (int64_t left = 30 * n; end > 0 && left > 0 && !cn_past_deadline(); left--) {
    for (int64_t i = start; i < end; i++) {
      REAL scaled = e[i] / EPSILON;
      if (ABS(e[i]) < SMALLEST || scaled * scaled <= ABS(d[i]) + ABS(d[i + 1])) e[i] = 0;
    }
    while (end > 0 && e[end - 1] == 0) end--;
    if (end == 0) return;
    for (start = end - 1; start > 0 && e[start - 1] != 0;) start--;
    NAME(step)(n, d, e, start, end, q);
  }
}

static void NAME(sort)(int64_t n, REAL *d, REAL *q) {
  for (int64_t i = 0; i + 1 < n; i++) {
    int64_t least = i;
    for (int64_t j = i + 1; j < n; j++)
      if (d[j] < d[least]) least = j;
    if (least == i) continue;
    REAL keep = d[i];
    d[i] = d[least];
    d[least] = keep;
    for (int64_t j = 0; j < n; j++) {
      keep = q[i * n + j];
      q[i * n + j] = q[least * n + j];
      q[least * n + j] = keep;
    }
  }
}

static void NAME(transpose)(int64_t n, REAL *q) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < i; j++) {
      REAL keep = q[i * n + j];
      q[i * n + j] = q[j * n + i];
      q[j * n + i] = keep;
    }
}

void NAME(cn_eigh)(int64_t n, REAL *a, REAL *values, REAL *vectors, REAL *work) {
  REAL *e = work, *p = work + n, scale = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      if (!(ABS(a[i * n + j]) <= scale)) scale = ABS(a[i * n + j]);
      if (isnan(scale)) break;
    }
  if (scale == 0) scale = 1;
  for (int64_t i = 0; i < n * n; i++) a[i] /= scale;
  NAME(tridiagonal)(n, a, values, e, p);
  NAME(collect)(n, a, p, vectors);
  NAME(iterate)(n, values, e, vectors);
  NAME(sort)(n, values, vectors);
  NAME(transpose)(n, vectors);
  for (int64_t i = 0; i < n; i++) values[i] *= scale;
}
