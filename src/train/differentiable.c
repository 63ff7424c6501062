/* Whether the gradients that training needs exist, told before there is a batch: by a trace in which stand-ins take the
 * place of sizes that the data decides. */
#include <string.h>

#include "graph/gradient.h"
#include "train/trainer.h"

enum { SAMPLES = 2 };

typedef struct check {
  cn_model *model;
  const bool *has_loss;      /* outputs */
  int64_t size;              /* of other axes than that of the samples, where it is unknown */
  cn_trace trace;
  cn_edge *to, *grads;       /* of the weights that train */
  int n, left;               /* left: how many of the layer's weights come that train */
  bool backward;             /* what comes forward is traced */
} check;

static void trace_model(check *c, cn_sym *in, cn_sym *out) {
  cn_trace *t = &c->trace;
  for (int i = 0; i < c->model->n_inputs && !t->status; i++) {
    cn_type type = *cn_model_type(c->model, c->model->inputs[i]);
    for (int k = 0; k < type.rank; k++)
      if (type.shape[k] < 0) type.shape[k] = k == 0 ? SAMPLES : c->size;
    in[i].mask = CN_NO_EDGE;
    t->status = cn_graph_add_input(t->graph, &type, &in[i].data, t->error);
  }
  if (!t->status) cn_model_lower(c->model, t, in, out);
}

/* A number that depends on all that has a loss. */
static cn_edge trace_loss(const check *c, cn_trace *t, const cn_sym *out) {
  cn_edge loss = t->loss;
  for (int i = 0; i < c->model->n_outputs && !t->status; i++) {
    if (!c->has_loss[i] || !cn_dtype_is_float(cn_edge_type(t, out[i].data)->dtype)) continue;
    cn_edge sum = cn_emit1(t, &cn_op_sum, &(cn_reduce_attrs){.axes = {.n = -1}}, out[i].data);
    sum = cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){CORNU_FLOAT32}, sum);
    loss = loss == CN_NO_EDGE ? sum : cn_emit2(t, &cn_op_add, NULL, loss, sum);
  }
  return loss;
}

static cn_status add_weight(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  (void)path, (void)e;
  check *c = user;
  if (c->left-- <= 0) return CORNU_OK;
  for (int i = 0; i < c->trace.n_states; i++) {
    const cn_trace_state *s = &c->trace.states[i];
    const cn_edge edge = s->next == CN_NO_EDGE ? s->in : s->next;
    bool is_new = s->weight && s->owner == owner && s->index == index;
    for (int k = 0; k < c->n && is_new; k++) is_new = c->to[k] != edge; /* layers may be shared */
    if (is_new) c->to[c->n++] = edge;
  }
  return CORNU_OK;
}

static void trace_all(check *c) {
  cn_trace *t = &c->trace;
  cn_arena *arena = &t->graph->arena;
  cn_sym *in = cn_arena_array(arena, (size_t)c->model->n_inputs + 1, sizeof *in);
  cn_sym *out = cn_arena_array(arena, (size_t)c->model->n_outputs + 1, sizeof *out);
  if (!in || !out) t->status = cn_no_memory(t->error);
  else trace_model(c, in, out);
  const cn_edge loss = t->status ? CN_NO_EDGE : trace_loss(c, t, out);
  c->to = cn_arena_array(arena, (size_t)t->n_states + 1, sizeof *c->to);
  c->grads = cn_arena_array(arena, (size_t)t->n_states + 1, sizeof *c->grads);
  if (!t->status && (!c->to || !c->grads)) t->status = cn_no_memory(t->error);
  for (int i = 0; i < c->model->n_layers && !t->status; i++) {
    c->left = cornu_layer_trainable_weights(c->model->layers[i]);
    t->status = cn_layer_each_weight(c->model->layers[i], add_weight, c, t->error);
  }
  c->backward = !t->status && loss != CN_NO_EDGE;
  if (c->backward && c->n) cn_trace_gradients(t, loss, c->to, c->n, c->grads);
}

/* What fails on the way forward may do so because of the stand-ins: then the first batch tells. */
static cn_status try_size(check *c, int64_t size, cn_error *e) {
  cn_graph *g;
  CN_TRY(cn_graph_new(&g, e));
  c->size = size;
  c->n = 0;
  cn_trace_begin(&c->trace, g, e);
  c->trace.planning = c->trace.differentiable = c->trace.variables = c->trace.training = true;
  trace_all(c);
  const cn_status status = cn_trace_end(&c->trace);
  cn_graph_free(g);
  return status;
}

cornu_status cornu_model_differentiable(cornu_model *m, const bool *has_loss, cornu_error *e) {
  static const int64_t sizes[] = {8, 64, 256};
  if (m->unknown_input && !m->built) return CORNU_OK;
  CN_TRY(cn_model_build(m, e));
  check c = {.model = m, .has_loss = has_loss};
  cn_error told;
  cn_status status = CORNU_OK;
  for (int i = 0; i < CN_COUNT(sizes) && !c.backward; i++) status = try_size(&c, sizes[i], &told);
  if (!c.backward || status != CORNU_ERR_UNSUPPORTED) return CORNU_OK;
  return cn_fail(e, status, "%s, but weights before it are to be trained: replace that layer, or freeze those that have "
                 "them (layer.trainable = false) before the model is compiled", told.message);
}
