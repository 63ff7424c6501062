/* A rule that joins sibling convolutions: the gated units of WaveNet and GLU, f(conv(x)) * sigmoid(conv'(x)) with f
 * tanh or nothing. One convolution of twice the filters reads and pads x once, and its product is wide; then a gate. */
#include <string.h>

#include "graph/rewrite.h"

enum { BIAS = 2 };

static const cn_act *act_of(const cn_graph_node *node) { return &((const cn_conv_attrs *)node->attrs)->act; }

/* A constant in float32 that lies row by row. */
static bool is_plain(const cn_tensor *t) { return t && t->dtype == CORNU_FLOAT32 && cornu_tensor_is_contiguous(t); }

/* The convolution that alone makes this value: constant weights, one group, at most a bias. */
static const cn_graph_node *conv_of(const cn_rewrite *r, cn_edge e) {
  const cn_graph_node *node = cn_rewrite_producer(r, e);
  if (!node || node->op != &cn_op_conv || r->uses[e] != 1 || node->n_in > 3) return NULL;
  if (((const cn_conv_attrs *)node->attrs)->groups > 1 || !is_plain(cn_rewrite_value(r, node->in[1]))) return NULL;
  bool bias = node->n_in > BIAS && node->in[BIAS] != CN_NO_EDGE;
  return bias && !is_plain(cn_rewrite_value(r, node->in[BIAS])) ? NULL : node;
}

static const cn_tensor *bias_of(const cn_rewrite *r, const cn_graph_node *conv) {
  return conv->n_in > BIAS ? cn_rewrite_value(r, conv->in[BIAS]) : NULL;
}

static bool siblings(const cn_rewrite *r, const cn_graph_node *a, const cn_graph_node *b) {
  const cn_conv_attrs *p = a->attrs, *q = b->attrs;
  const cn_tensor *v = cn_rewrite_value(r, a->in[1]), *w = cn_rewrite_value(r, b->in[1]);
  const size_t bytes = sizeof p->stride;
  return a != b && a->in[0] == b->in[0] && cn_shape_equal(v->rank, v->shape, w->rank, w->shape) &&
         !bias_of(r, a) == !bias_of(r, b) && !memcmp(p->stride, q->stride, bytes) &&
         !memcmp(p->dilation, q->dilation, bytes) && !memcmp(p->pad_begin, q->pad_begin, bytes) &&
         !memcmp(p->pad_end, q->pad_end, bytes);
}

/* Each row of one tensor with that of the other behind it. */
static cn_status join(cn_rewrite *r, const cn_tensor *a, const cn_tensor *b, cn_edge *out) {
  int64_t shape[CN_MAX_RANK], n = a->shape[a->rank - 1], rows = n ? cornu_tensor_size(a) / n : 0;
  cn_tensor *both;
  memcpy(shape, a->shape, sizeof shape);
  shape[a->rank - 1] = 2 * n;
  CN_TRY(cornu_tensor_new(CORNU_FLOAT32, a->rank, shape, &both, r->e));
  for (int64_t i = 0; i < rows; i++) {
    memcpy((float *)both->data + 2 * i * n, (const float *)a->data + i * n, (size_t)n * sizeof(float));
    memcpy((float *)both->data + (2 * i + 1) * n, (const float *)b->data + i * n, (size_t)n * sizeof(float));
  }
  return cn_rewrite_constant(r, both, out);
}

static cn_status add_joined(cn_rewrite *r, const cn_graph_node *a, const cn_graph_node *b, const char *label,
                            cn_edge *out) {
  cn_edge in[3] = {a->in[0], CN_NO_EDGE, CN_NO_EDGE}, wide;
  const cn_tensor *bias = bias_of(r, a);
  cn_conv_attrs attrs = *(const cn_conv_attrs *)a->attrs;
  const cn_gate_attrs gate = {.tanh = attrs.act.kind == CN_ACT_TANH};
  int n_out;
  attrs.act = (cn_act){.kind = CN_ACT_LINEAR};
  CN_TRY(join(r, cn_rewrite_value(r, a->in[1]), cn_rewrite_value(r, b->in[1]), &in[1]));
  if (bias) CN_TRY(join(r, bias, bias_of(r, b), &in[BIAS]));
  const cn_op_call conv = {&cn_op_conv, &attrs, in, bias ? 3 : 2, a->label};
  CN_TRY(cn_rewrite_add(r, &conv, &wide, &n_out));
  const cn_op_call call = {&cn_op_gate, &gate, &wide, 1, label};
  return cn_rewrite_add(r, &call, out, &n_out);
}

cn_status cn_rule_gate(cn_rewrite *r, const cn_op_call *call, cn_edge *out) {
  if (call->op != &cn_op_mul || ((const cn_act_attrs *)call->attrs)->act.kind != CN_ACT_LINEAR) return CORNU_OK;
  const cn_graph_node *a = conv_of(r, call->in[0]), *b = conv_of(r, call->in[1]);
  if (!a || !b || !siblings(r, a, b)) return CORNU_OK;
  if (act_of(b)->kind != CN_ACT_SIGMOID) {
    const cn_graph_node *other = a;
    a = b;
    b = other;
  }
  if (act_of(b)->kind != CN_ACT_SIGMOID) return CORNU_OK;
  if (act_of(a)->kind != CN_ACT_TANH && act_of(a)->kind != CN_ACT_LINEAR) return CORNU_OK;
  return add_joined(r, a, b, call->label, out);
}
