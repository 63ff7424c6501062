/* Rules that leave out what does nothing, and padding that a window can do itself. */
#include <string.h>

#include "graph/rewrite.h"
#include "kernels/kernels.h"

static bool is_identity(const cn_rewrite *r, const cn_op_call *call) {
  const cn_type *x = cn_rewrite_type(r, call->in[0]);
  if (call->op == &cn_op_activation) return ((const cn_act_attrs *)call->attrs)->act.kind == CN_ACT_LINEAR;
  if (call->op == &cn_op_cast) return ((const cn_cast_attrs *)call->attrs)->dtype == x->dtype;
  if (call->op == &cn_op_concat) return call->n_in == 1;
  return false;
}

cn_status cn_rule_identity(cn_rewrite *r, const cn_op_call *call, cn_edge *out) {
  if (call->n_in > 0 && call->in[0] != CN_NO_EDGE && is_identity(r, call)) {
    *out = call->in[0];
    r->uses[*out]--;
  }
  return CORNU_OK;
}

/* A convolution with a group for every channel is a depthwise one; its kernel (k…, 1, c m) lies as (k…, c, m). */
cn_status cn_rule_depthwise(cn_rewrite *r, const cn_op_call *call, cn_edge *out) {
  if (call->op != &cn_op_conv || call->n_in > 3) return CORNU_OK;
  const cn_type *kernel = cn_rewrite_type(r, call->in[1]);
  const int64_t groups = ((const cn_conv_attrs *)call->attrs)->groups;
  cn_tensor *value = cn_rewrite_value(r, call->in[1]), *turned;
  int64_t shape[CN_MAX_RANK];
  if (groups < 2 || kernel->shape[kernel->rank - 2] != 1) return CORNU_OK;
  if (!value || !cornu_tensor_is_contiguous(value)) return CORNU_OK;
  memcpy(shape, kernel->shape, sizeof shape);
  shape[kernel->rank - 2] = groups;
  shape[kernel->rank - 1] /= groups;
  cn_edge in[3] = {call->in[0], CN_NO_EDGE, call->n_in > 2 ? call->in[2] : CN_NO_EDGE};
  CN_TRY(cornu_tensor_reshape(value, kernel->rank, shape, &turned, r->e));
  CN_TRY(cn_rewrite_constant(r, turned, &in[1]));
  int n_out;
  const cn_op_call depthwise = {&cn_op_depthwise_conv, call->attrs, in, call->n_in, call->label};
  return cn_rewrite_add(r, &depthwise, out, &n_out);
}

/* Whether no element can be below zero: then zeros never win a maximum over at least one element. */
static bool never_negative(const cn_rewrite *r, cn_edge e) {
  const cn_graph_node *node = cn_rewrite_producer(r, e);
  return node && node->op->act_offset && cn_act_is_clamp((const cn_act *)((char *)node->attrs + node->op->act_offset));
}

bool cn_pad_border(const cn_pad_attrs *pad, int rank, int64_t before[3], int64_t after[3]) {
  if (pad->mode != CN_PAD_CONSTANT || pad->value != 0 || rank < 3 || rank > 5) return false;
  if (pad->before.v[0] || pad->after.v[0] || pad->before.v[rank - 1] || pad->after.v[rank - 1]) return false;
  for (int i = 0; i < rank - 2; i++) before[i] = pad->before.v[i + 1], after[i] = pad->after.v[i + 1];
  return true;
}

/* A window must not lie outside of the image as a whole: it would have no maximum. */
static bool reaches_inside(const cn_pool_attrs *a, int n) {
  for (int i = 0; i < n; i++)
    if (a->pad_begin[i] >= a->size[i] || a->pad_end[i] >= a->size[i]) return false;
  return true;
}

/* Whether a pool over zeros around x is the pool `wide` that has them as its own padding; sets its count_padding. */
static bool pool_takes_zeros(const cn_rewrite *r, const cn_pool_attrs *pool, cn_pool_attrs *wide, int n, cn_edge x) {
  if (!reaches_inside(wide, n)) return false;
  if (!pool->average) return never_negative(r, x);
  for (int i = 0; i < n && !pool->count_padding; i++)
    if (pool->pad_begin[i] || pool->pad_end[i]) return false;
  wide->count_padding = true;
  return true;
}

cn_status cn_rule_pad(cn_rewrite *r, const cn_op_call *call, cn_edge *out) {
  const bool conv = call->op == &cn_op_conv || call->op == &cn_op_depthwise_conv, pool = call->op == &cn_op_pool;
  const cn_graph_node *pad = conv || pool ? cn_rewrite_producer(r, call->in[0]) : NULL;
  int64_t before[3], after[3];
  if (!pad || pad->op != &cn_op_pad) return CORNU_OK;
  const int rank = cn_rewrite_type(r, call->in[0])->rank;
  if (!cn_pad_border(pad->attrs, rank, before, after)) return CORNU_OK;
  void *attrs = cn_arena_alloc(&r->g->arena, call->op->attrs_size);
  cn_edge *in = cn_arena_array(&r->g->arena, (size_t)call->n_in, sizeof *in);
  if (!attrs || !in) return cn_no_memory(r->e);
  memcpy(attrs, call->attrs, call->op->attrs_size);
  memcpy(in, call->in, (size_t)call->n_in * sizeof *in);
  int64_t *begin = conv ? ((cn_conv_attrs *)attrs)->pad_begin : ((cn_pool_attrs *)attrs)->pad_begin;
  int64_t *end = conv ? ((cn_conv_attrs *)attrs)->pad_end : ((cn_pool_attrs *)attrs)->pad_end;
  for (int i = 0; i < rank - 2; i++) begin[i] += before[i], end[i] += after[i];
  if (pool && !pool_takes_zeros(r, call->attrs, attrs, rank - 2, pad->in[0])) return CORNU_OK;
  in[0] = pad->in[0];
  int n_out;
  const cn_op_call direct = {call->op, attrs, in, call->n_in, call->label};
  return cn_rewrite_add(r, &direct, out, &n_out);
}
