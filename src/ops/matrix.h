/* Ops that take the matrices of a batch one after the other, in double precision. */
#ifndef CN_OPS_MATRIX_H
#define CN_OPS_MATRIX_H

#include "ops/op.h"

/* One matrix: its inputs and outputs as doubles in scratch; m and n are the last dimensions of input 0, k the number of
 * columns of input 1 (a vector has one). */
typedef struct cn_matrix_job {
  const cn_step *step;
  int64_t m, n, k;
  double *in[2], *out[3], *work;
} cn_matrix_job;
typedef bool (*cn_matrix_routine)(const cn_matrix_job *j); /* false: this matrix has no such thing */

/* For plan(): routine for each matrix of input 0, with `work` doubles; `failure` says what false means (NULL: nothing
 * happens), as "is singular". */
cn_status cn_matrix_plan(struct cn_planner *p, cn_step *s, cn_matrix_routine routine, int64_t work, const char *failure,
                         cn_error *e);
/* For shape(): input 0 is a matrix of floats or a batch of them, square if wanted. */
cn_status cn_want_matrix(const cn_type *t, const char *what, bool square, cn_error *e);
int64_t cn_rows(const cn_operand *x);
int64_t cn_columns(const cn_operand *x);

/* gradient() of the ops in linear.c and factor.c: linear_gradient.c. */
struct cn_gradient;
void cn_inverse_gradient(struct cn_gradient *g);
void cn_determinant_gradient(struct cn_gradient *g); /* and its logarithms */
void cn_solve_gradient(struct cn_gradient *g);       /* and that of triangles */
void cn_cholesky_gradient(struct cn_gradient *g);
void cn_cholesky_inverse_gradient(struct cn_gradient *g);
void cn_lu_gradient(struct cn_gradient *g);
void cn_qr_gradient(struct cn_gradient *g);
void cn_svd_gradient(struct cn_gradient *g);
void cn_singular_values_gradient(struct cn_gradient *g);
void cn_eigh_gradient(struct cn_gradient *g);
void cn_pinv_gradient(struct cn_gradient *g);
void cn_lstsq_gradient(struct cn_gradient *g);

#endif
