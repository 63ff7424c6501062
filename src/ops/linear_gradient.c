/* Gradients of the ops over matrices: Giles (2008), "An extended collection of matrix derivative results", and for
 * singular values Townsend (2016); where TensorFlow has one of several that are possible, its. */
#include "ops/gradient.h"
#include "ops/matrix.h"
#include "ops/ops.h"

/* ---- Short forms ---- */

static cn_edge product(cn_gradient *g, cn_edge a, cn_edge b) { return cn_g_matmul(g, a, false, b, false); }
static cn_edge turned(cn_gradient *g, cn_edge a, cn_edge b) { return cn_g_matmul(g, a, true, b, false); } /* a' b */
static cn_edge by_turned(cn_gradient *g, cn_edge a, cn_edge b) { return cn_g_matmul(g, a, false, b, true); } /* a b' */
static cn_edge inverse(cn_gradient *g, cn_edge a) { return cn_g1(g, &cn_op_inverse, NULL, a); }
static cn_edge lower(cn_gradient *g, cn_edge a, int64_t offset) {
  return cn_g1(g, &cn_op_tril, &(cn_offset_attrs){offset}, a);
}
static cn_edge upper(cn_gradient *g, cn_edge a, int64_t offset) {
  return cn_g1(g, &cn_op_triu, &(cn_offset_attrs){offset}, a);
}
static cn_edge symmetric(cn_gradient *g, cn_edge a) { return cn_g_add(g, a, cn_g_swap(g, a)); } /* a + a' */
static cn_edge dy_of(cn_gradient *g, int i) { return g->dy[i] == CN_NO_EDGE ? cn_g_zeros(g, g->out[i]) : g->dy[i]; }
static int64_t last_of(const cn_gradient *g, cn_edge a, int back) {
  const cn_type *t = cn_gradient_type(g, a);
  return t->shape[t->rank - 1 - back];
}
/* (…, n) as (…, n, 1), or (…, 1, n). */
static cn_edge expand(cn_gradient *g, cn_edge a, int64_t axis) {
  return cn_g1(g, &cn_op_expand_dims, &(cn_axis_attrs){axis}, a);
}
static cn_edge identity_less(cn_gradient *g, cn_edge a, int64_t n) { /* 1 - a */
  double *one = cn_gradient_room(g, n * n);
  for (int64_t i = 0; one && i < n; i++) one[i * (n + 1)] = 1;
  if (!one) return CN_NO_EDGE;
  const cn_edge e = cn_gradient_vector(g, cn_gradient_type(g, a)->dtype, one, n * n);
  return cn_g_sub(g, cn_g_reshape(g, e, 2, (const int64_t[]){n, n}), a);
}
/* 1 / (v[j] - v[i]), 0 where they are equal. */
static cn_edge reciprocal_differences(cn_gradient *g, cn_edge v) {
  const cn_edge d = cn_g_sub(g, expand(g, v, -2), expand(g, v, -1));
  const cn_edge same = cn_g2(g, &cn_op_equal, NULL, d, cn_gradient_number(g, d, 0));
  const cn_edge safe = cn_g_add(g, d, cn_g_cast(g, same, cn_gradient_type(g, d)->dtype));
  return cn_g_where(g, cn_g1(g, &cn_op_logical_not, NULL, same), cn_g1(g, &cn_op_reciprocal, NULL, safe));
}

/* ---- Inverses, determinants, systems ---- */

void cn_inverse_gradient(cn_gradient *g) {
  const cn_edge y = g->out[0];
  g->dx[0] = cn_g_neg(g, by_turned(g, turned(g, y, g->dy[0]), y));
}

void cn_determinant_gradient(cn_gradient *g) {
  const int value = g->op == &cn_op_slogdet;
  cn_edge dy = g->dy[value];
  if (dy == CN_NO_EDGE) return; /* the sign is constant */
  if (g->op == &cn_op_determinant) dy = cn_g_mul(g, dy, g->out[0]);
  g->dx[0] = cn_g_mul(g, expand(g, expand(g, dy, -1), -1), cn_g_swap(g, inverse(g, g->in[0])));
}

void cn_solve_gradient(cn_gradient *g) {
  const bool vector = cn_gradient_type(g, g->in[1])->rank < cn_gradient_type(g, g->in[0])->rank;
  const bool triangle = g->op == &cn_op_solve_triangular;
  const cn_triangle_attrs *a = g->attrs, other = {triangle && !a->upper};
  const cn_edge db = cn_g2(g, g->op, triangle ? &other : NULL, cn_g_swap(g, g->in[0]), g->dy[0]);
  if (g->wanted[1]) g->dx[1] = db;
  if (!g->wanted[0]) return;
  const cn_edge left = vector ? expand(g, db, -1) : db, right = vector ? expand(g, g->out[0], -1) : g->out[0];
  const cn_edge da = cn_g_neg(g, by_turned(g, left, right));
  g->dx[0] = !triangle ? da : a->upper ? upper(g, da, 0) : lower(g, da, 0);
}

/* ---- Cholesky's factor, L U ---- */

static cn_edge halve_diagonal(cn_gradient *g, cn_edge a) { /* of a lower triangle */
  return cn_g_scale(g, cn_g_add(g, lower(g, a, 0), lower(g, a, -1)), 0.5);
}

/* Symmetric, as TensorFlow has it, though the lower triangle alone is read. */
void cn_cholesky_gradient(cn_gradient *g) {
  const bool is_upper = ((const cn_triangle_attrs *)g->attrs)->upper;
  const cn_edge l = is_upper ? cn_g_swap(g, g->out[0]) : g->out[0], dl = is_upper ? cn_g_swap(g, g->dy[0]) : g->dy[0];
  const cn_edge middle = halve_diagonal(g, turned(g, l, dl)), back = inverse(g, l);
  g->dx[0] = cn_g_scale(g, symmetric(g, product(g, turned(g, back, middle), back)), 0.5);
}

void cn_cholesky_inverse_gradient(cn_gradient *g) {
  const cn_edge y = g->out[0], da = cn_g_neg(g, symmetric(g, product(g, product(g, y, g->dy[0]), y)));
  const bool is_upper = ((const cn_triangle_attrs *)g->attrs)->upper;
  const cn_edge x = is_upper ? upper(g, g->in[0], 0) : lower(g, g->in[0], 0);
  g->dx[0] = is_upper ? upper(g, product(g, x, da), 0) : lower(g, product(g, da, x), 0);
}

void cn_lu_gradient(cn_gradient *g) {
  const int64_t n = last_of(g, g->in[0], 0);
  const cn_edge packed = g->out[0], u = upper(g, packed, 0), strict = lower(g, packed, -1);
  const cn_edge l = cn_g_add(g, strict, identity_less(g, cn_g_zeros(g, packed), n));
  const cn_edge dl = turned(g, l, lower(g, g->dy[0], -1)), du = by_turned(g, upper(g, g->dy[0], 0), u);
  const cn_edge inner = cn_g_add(g, lower(g, dl, -1), upper(g, du, 0));
  const cn_edge all = by_turned(g, turned(g, inverse(g, l), inner), inverse(g, u));
  const cn_type t = *cn_gradient_type(g, g->in[0]); /* row i of x was row p[i] */
  cn_ints_attrs wide = {.v = {.n = t.rank}};
  for (int i = 0; i < t.rank; i++) wide.v.v[i] = t.shape[i];
  const cn_edge rows = cn_g1(g, &cn_op_broadcast_to, &wide, expand(g, g->out[1], -1));
  g->dx[0] = cn_g2(g, &cn_op_take_along_axis, &(cn_axis_attrs){-2}, all, rows);
}

/* ---- Q R ---- */

/* x = q r with r square: (dq + q copy(r dr' - dq' q)) r^-T, copy: the lower triangle on both sides. */
static cn_edge tall_gradient(cn_gradient *g, cn_edge q, cn_edge r, cn_edge dq, cn_edge dr) {
  const cn_edge m = cn_g_sub(g, by_turned(g, r, dr), turned(g, dq, q));
  const cn_edge both = cn_g_add(g, lower(g, m, 0), cn_g_swap(g, lower(g, m, -1)));
  return by_turned(g, cn_g_add(g, dq, product(g, q, both)), inverse(g, r));
}

/* Columns behind the square are q' x: they give to q, too. */
void cn_qr_gradient(cn_gradient *g) {
  const int64_t m = last_of(g, g->in[0], 1), n = last_of(g, g->in[0], 0);
  const int axis = cn_gradient_type(g, g->in[0])->rank - 1;
  if (((const cn_full_attrs *)g->attrs)->full && m > n) {
    cn_gradient_refuse(g, "for complete matrices of more rows than columns, as in TensorFlow");
    return;
  }
  const cn_edge q = g->out[0], r = g->out[1], dq = dy_of(g, 0), dr = dy_of(g, 1);
  if (m >= n) {
    g->dx[0] = tall_gradient(g, q, r, dq, dr);
    return;
  }
  const cn_edge u = cn_g_window(g, r, axis, 0, m), du = cn_g_window(g, dr, axis, 0, m);
  const cn_edge y = cn_g_window(g, g->in[0], axis, m, n - m), dv = cn_g_window(g, dr, axis, m, n - m);
  const cn_edge dx = tall_gradient(g, q, u, cn_g_add(g, dq, by_turned(g, y, dv)), du);
  g->dx[0] = cn_g2(g, &cn_op_concat, &(cn_axis_attrs){axis}, dx, product(g, q, dv));
}

/* ---- Singular values, eigenvalues ---- */

static cn_edge skew(cn_gradient *g, cn_edge v, cn_edge dv) { /* v' dv - dv' v */
  const cn_edge a = turned(g, v, dv);
  return cn_g_sub(g, a, cn_g_swap(g, a));
}

void cn_svd_gradient(cn_gradient *g) {
  const int64_t m = last_of(g, g->in[0], 1), n = last_of(g, g->in[0], 0);
  if (((const cn_full_attrs *)g->attrs)->full && m != n) {
    cn_gradient_refuse(g, "for complete matrices of an x that is not square, as in TensorFlow");
    return;
  }
  const cn_edge u = g->out[0], s = g->out[1], v = cn_g_swap(g, g->out[2]);
  const cn_edge du = dy_of(g, 0), dv = cn_g_swap(g, dy_of(g, 2));
  const cn_edge f = reciprocal_differences(g, cn_g_square(g, s)), row = expand(g, s, -2), column = expand(g, s, -1);
  cn_edge inner = cn_g_add(g, cn_g_mul(g, cn_g_mul(g, f, skew(g, u, du)), row),
                           cn_g_mul(g, cn_g_mul(g, f, skew(g, v, dv)), column));
  inner = cn_g_add(g, inner, cn_g1(g, &cn_op_diag, &(cn_offset_attrs){0}, dy_of(g, 1)));
  cn_edge dx = by_turned(g, product(g, u, inner), v);
  if (m > n)
    dx = cn_g_add(g, dx, product(g, identity_less(g, by_turned(g, u, u), m), by_turned(g, cn_g_div(g, du, row), v)));
  if (n > m)
    dx = cn_g_add(g, dx, product(g, by_turned(g, cn_g_div(g, u, row), dv), identity_less(g, by_turned(g, v, v), n)));
  g->dx[0] = dx;
}

void cn_singular_values_gradient(cn_gradient *g) {
  cn_edge u;
  if (cn_gradient_emit_many(g, &cn_op_svd, &(cn_full_attrs){false}, g->in, 1, &u) != 3) return;
  g->dx[0] = product(g, cn_g_mul(g, u, expand(g, g->dy[0], -2)), u + 2);
}

/* The lower triangle alone is read, and gets it all. */
void cn_eigh_gradient(cn_gradient *g) {
  const cn_edge w = g->out[0], v = g->out[1];
  cn_edge inner = cn_g1(g, &cn_op_diag, &(cn_offset_attrs){0}, dy_of(g, 0));
  if (g->dy[1] != CN_NO_EDGE)
    inner = cn_g_add(g, inner, cn_g_mul(g, reciprocal_differences(g, w), turned(g, v, g->dy[1])));
  const cn_edge all = symmetric(g, by_turned(g, product(g, v, inner), v));
  g->dx[0] = halve_diagonal(g, all);
}

/* ---- Pseudo-inverses ---- */

/* Of x whose pseudo-inverse is y: Golub and Pereyra (1973). */
static cn_edge to_inverted(cn_gradient *g, cn_edge x, cn_edge y, cn_edge dy) {
  const cn_edge left = identity_less(g, product(g, x, y), last_of(g, x, 1));
  const cn_edge right = identity_less(g, product(g, y, x), last_of(g, x, 0));
  const cn_edge first = by_turned(g, turned(g, y, dy), y);
  const cn_edge second = product(g, product(g, by_turned(g, y, y), dy), left);
  const cn_edge third = product(g, product(g, right, dy), turned(g, y, y));
  return cn_g_sub(g, cn_g_swap(g, cn_g_add(g, second, third)), first);
}

void cn_pinv_gradient(cn_gradient *g) { g->dx[0] = to_inverted(g, g->in[0], g->out[0], g->dy[0]); }

void cn_lstsq_gradient(cn_gradient *g) {
  const bool vector = cn_gradient_type(g, g->in[1])->rank == 1;
  const cn_edge y = cn_g1(g, &cn_op_pinv, g->attrs, g->in[0]);
  const cn_edge dy = vector ? expand(g, g->dy[0], -1) : g->dy[0], b = vector ? expand(g, g->in[1], -1) : g->in[1];
  if (g->wanted[1]) g->dx[1] = cn_g_as(g, turned(g, y, dy), g->in[1]);
  if (g->wanted[0]) g->dx[0] = to_inverted(g, g->in[0], y, by_turned(g, dy, b));
}
