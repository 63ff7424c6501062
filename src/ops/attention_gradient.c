/* Attention backwards: the weights are computed again, as they are cheaper than the memory that would keep them. */
#include "ops/gradient.h"
#include "ops/ops.h"

enum { QUERY, KEY, VALUE, MASK, BIAS };

typedef struct sizes { int64_t batch, queries, heads, dim, keys, groups, value_dim; } sizes;

static sizes sizes_of(const cn_gradient *g) {
  const int64_t *q = cn_gradient_type(g, g->in[QUERY])->shape, *v = cn_gradient_type(g, g->in[VALUE])->shape;
  return (sizes){q[0], q[1], q[2], q[3], v[1], v[2], v[3]};
}

/* (batch, time, heads, n) as (batch, groups, heads of a group * time, n): heads that share keys are rows of one
 * product. */
static cn_edge enter(cn_gradient *g, cn_edge a, int64_t groups) {
  const int64_t *t = cn_gradient_type(g, a)->shape, shape[] = {t[0], groups, t[2] / groups * t[1], t[3]};
  return cn_g_reshape(g, cn_g_transpose(g, a, (const int[]){0, 2, 1, 3}), 4, shape);
}
static cn_edge leave(cn_gradient *g, cn_edge a, cn_edge like) {
  const int64_t *t = cn_gradient_type(g, like)->shape, shape[] = {t[0], t[2], t[1], t[3]};
  return cn_g_transpose(g, cn_g_reshape(g, a, 4, shape), (const int[]){0, 2, 1, 3});
}

/* Where queries see keys, broadcast to (batch, heads, queries, keys); CN_NO_EDGE: everywhere. */
static cn_edge seen_of(cn_gradient *g, const sizes *n) {
  const cn_attention_attrs *a = g->attrs;
  const cn_edge mask = g->n_in > MASK ? g->in[MASK] : CN_NO_EDGE;
  if (!a->causal && !a->window) return mask;
  double *v = cn_gradient_room(g, n->queries * n->keys);
  if (!v) return CN_NO_EDGE;
  for (int64_t i = 0; i < n->queries; i++)
    for (int64_t k = 0; k < n->keys; k++)
      v[i * n->keys + k] = (!a->causal || k <= i) &&
                           (!a->window || (k > i - a->window && (a->causal || k < i + a->window)));
  const cn_edge near = cn_g_reshape(g, cn_gradient_vector(g, CORNU_BOOL8, v, n->queries * n->keys), 2,
                                    (const int64_t[]){n->queries, n->keys});
  return mask == CN_NO_EDGE ? near : cn_g2(g, &cn_op_logical_and, NULL, near, mask);
}

/* The weights before some are cleared: (batch, heads, queries, keys). */
static cn_edge weights_of(cn_gradient *g, const sizes *n, cn_edge q, cn_edge k, cn_edge seen) {
  const cn_attention_attrs *a = g->attrs;
  const int64_t shape[] = {n->batch, n->heads, n->queries, n->keys};
  cn_edge s = cn_g_reshape(g, cn_g_scale(g, cn_g_matmul(g, q, false, k, true), a->scale), 4, shape);
  if (g->n_in > BIAS && g->in[BIAS] != CN_NO_EDGE) s = cn_g_add(g, s, g->in[BIAS]);
  cn_edge masked = cn_gradient_number(g, s, a->masked);
  if (seen != CN_NO_EDGE && a->lower) masked = cn_g_add(g, s, masked);
  if (seen != CN_NO_EDGE) s = cn_gradient_emit(g, &cn_op_where, NULL, (const cn_edge[]){seen, s, masked}, 3);
  return cn_g1(g, &cn_op_softmax, &(cn_axis_attrs){-1}, s);
}

/* What comes back to the scores from what comes back to the weights. */
static cn_edge to_scores(cn_gradient *g, cn_edge weights, cn_edge dweights, cn_edge seen) {
  const cn_attention_attrs *a = g->attrs;
  if (a->clear && seen != CN_NO_EDGE) dweights = cn_g_where(g, seen, dweights);
  const cn_edge product = cn_g_mul(g, weights, dweights);
  const cn_edge ds = cn_g_sub(g, product, cn_g_mul(g, weights, cn_g_sum(g, product, &(cn_ints){1, {-1}}, true)));
  return a->lower || seen == CN_NO_EDGE ? ds : cn_g_where(g, seen, ds);
}

void cn_attention_gradient(cn_gradient *g) {
  const cn_attention_attrs *a = g->attrs;
  const sizes n = sizes_of(g);
  if (n.keys == 0 || n.queries == 0 || n.batch == 0) return;
  const cn_edge q = enter(g, g->in[QUERY], n.groups), k = enter(g, g->in[KEY], n.groups);
  const cn_edge v = enter(g, g->in[VALUE], n.groups), dy = enter(g, g->dy[0], n.groups), seen = seen_of(g, &n);
  const cn_edge weights = weights_of(g, &n, q, k, seen);
  const int64_t all[] = {n.batch, n.heads, n.queries, n.keys};
  const int64_t grouped[] = {n.batch, n.groups, n.heads / n.groups * n.queries, n.keys};
  if (g->wanted[VALUE]) {
    const cn_edge used = a->clear && seen != CN_NO_EDGE ? cn_g_where(g, seen, weights) : weights;
    g->dx[VALUE] = leave(g, cn_g_matmul(g, cn_g_reshape(g, used, 4, grouped), true, dy, false), g->in[VALUE]);
  }
  const bool bias = g->n_in > BIAS && g->wanted[BIAS];
  if (!g->wanted[QUERY] && !g->wanted[KEY] && !bias) return;
  const cn_edge dweights = cn_g_reshape(g, cn_g_matmul(g, dy, false, v, true), 4, all);
  const cn_edge ds = to_scores(g, weights, dweights, seen);
  if (bias) g->dx[BIAS] = cn_g_unbroadcast(g, ds, g->in[BIAS]);
  const cn_edge dp = cn_g_reshape(g, cn_g_scale(g, ds, a->scale), 4, grouped);
  if (g->wanted[QUERY]) g->dx[QUERY] = leave(g, cn_g_matmul(g, dp, false, k, false), g->in[QUERY]);
  if (g->wanted[KEY]) g->dx[KEY] = leave(g, cn_g_matmul(g, dp, true, q, false), g->in[KEY]);
}
