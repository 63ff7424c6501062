/* Decompositions of dense matrices, row-major. Where signs or order are free (QR, eigenvectors, singular vectors) they
 * are those of the Householder and Jacobi methods that TensorFlow's CPU kernels use. Formulas: Golub and Van Loan,
 * Matrix Computations, 4th edition, chapters 3, 4, 5 and 8. */
#ifndef CN_KERNELS_DECOMPOSE_H
#define CN_KERNELS_DECOMPOSE_H

#include <stdbool.h>
#include <stdint.h>

/* a (n, n) becomes L below the diagonal (of ones) and U above, row i of L U being row order[i] of a. Returns the
 * determinant of the permutation; 0: a pivot is zero, so that a is singular (L and U are right all the same). */
int cn_lu(int64_t n, double *a, int64_t *order);
/* The lower triangle of a becomes L with L L' = a, the upper one zeros. false: a is not positive definite. */
bool cn_cholesky(int64_t n, double *a);
/* b (n, k) becomes the solution of L x = b or U x = b; unit: the diagonal counts as ones. */
void cn_solve_lower(int64_t n, int64_t k, const double *l, bool unit, double *b);
void cn_solve_upper(int64_t n, int64_t k, const double *u, double *b);
/* a (m, n) becomes R, with zeros below the diagonal; q (m, columns) the first columns of Q, at least min(m, n).
 * order (n), if any: columns are exchanged, the longest first, column j of Q R being column order[j] of a.
 * work: cn_qr_work(m, n). */
void cn_qr(int64_t m, int64_t n, double *a, double *q, int64_t columns, int64_t *order, double *work);
int64_t cn_qr_work(int64_t m, int64_t n);
/* a (m, n) = u (m, u_columns) diag(s) v (n, v_columns)', s in falling order; u_columns and v_columns at least
 * min(m, n). a is lost. work: cn_svd_work(…). */
void cn_svd(int64_t m, int64_t n, double *a, double *u, int64_t u_columns, double *s, double *v, int64_t v_columns,
            double *work);
int64_t cn_svd_work(int64_t m, int64_t n, int64_t u_columns, int64_t v_columns);
/* Eigenvalues, rising, and eigenvectors (columns of `vectors` (n, n)) of a symmetric matrix; its lower triangle counts.
 * In the precision of the data, on which the number of steps depends and with it the signs. a is lost. work: 2 n. */
void cn_eigh_float(int64_t n, float *a, float *values, float *vectors, float *work);
void cn_eigh_double(int64_t n, double *a, double *values, double *vectors, double *work);

#endif
