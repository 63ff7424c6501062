/* Custom layers: the handler is traced with symbolic tensors, or called at each run when it is eager. */
#include "layers/custom.h"

#include <string.h>

#include "base/text.h"
#include "ops/ops.h"

cn_status cn_custom_set_new(const cornu_custom *items, int count, cn_custom_set **out, cn_error *e) {
  size_t names = 0;
  for (int i = 0; i < count; i++) names += strlen(items[i].name) + 1;
  *out = cn_calloc(1, sizeof **out + sizeof *items * (size_t)count + names);
  if (!*out) return cn_no_memory(e);
  cn_custom_set *s = *out;
  atomic_init(&s->references, 1);
  s->items = (cornu_custom *)(void *)(s + 1);
  s->count = count;
  char *name = (char *)(s->items + count);
  for (int i = 0; i < count; i++) {
    s->items[i] = items[i];
    s->items[i].name = strcpy(name, items[i].name);
    name += strlen(name) + 1;
  }
  return CORNU_OK;
}

cn_custom_set *cn_custom_set_share(cn_custom_set *s) {
  atomic_fetch_add(&s->references, 1);
  return s;
}

void cn_custom_set_drop(cn_custom_set *s) {
  if (!s || atomic_fetch_sub(&s->references, 1) != 1) return;
  for (int i = 0; i < s->count; i++)
    if (s->items[i].release) s->items[i].release(s->items[i].user);
  cn_free(s);
}

const cornu_custom *cn_custom_find(const cn_custom_set *s, const char *class_name, const char *layer_name) {
  const char *mark = class_name ? strrchr(class_name, '>') : NULL;
  for (int i = 0; s && i < s->count; i++) {
    const char *name = s->items[i].name;
    if (strcmp(name, layer_name) == 0 || (class_name && strcmp(name, class_name) == 0) ||
        (mark && strcmp(name, mark + 1) == 0))
      return &s->items[i];
  }
  return NULL;
}

static cn_status symbols(cn_trace *t, const cn_sym *in, int n, cn_tensor **out, cn_error *e) {
  for (int i = 0; i < n; i++) CN_TRY(cn_trace_symbol(t, in[i].data, &out[i], e));
  return CORNU_OK;
}

static void drop_all(cn_tensor **tensors, int n) {
  for (int i = 0; i < n; i++) cornu_tensor_release(tensors[i]);
}

/* ---- eager: a step that calls the host ---- */

typedef struct eager { const cornu_custom *custom; cn_layer *layer; } eager;

static cn_status call_eager(void *user, cn_tensor *const *in, int n_in, cn_tensor **out, int n_out, cn_error *e) {
  const eager *g = user;
  int n = n_out;
  cn_status status = g->custom->call(g->custom->user, g->layer, in, n_in, out, &n, e);
  if (!status && n != 1) return cn_fail(e, CORNU_ERR_CALLBACK, "the handler returned %d tensors, expected 1", n);
  return status;
}

static void lower_eager(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_host_call_attrs attrs = {.call = call_eager};
  attrs.out = *cn_edge_type(t, c->in[0].data);
  if (l->custom->output_shape) {
    int64_t shape[CN_MAX_RANK];
    int rank = 0;
    cn_status status =
        l->custom->output_shape(l->custom->user, l, attrs.out.shape, attrs.out.rank, shape, &rank, t->error);
    if (status || rank < 0 || rank > CN_MAX_RANK) {
      t->status = status ? status : cn_fail(t->error, CORNU_ERR_SHAPE, "output_shape gave %d dimensions", rank);
      return;
    }
    attrs.out.rank = rank;
    memcpy(attrs.out.shape, shape, sizeof *shape * (size_t)rank);
  }
  attrs.out.dtype = l->compute;
  eager *g = cn_arena_alloc(&l->arena, sizeof *g);
  cn_edge *in = cn_arena_array(&t->graph->arena, (size_t)c->n_positional, sizeof *in);
  if (!g || !in) {
    t->status = cn_no_memory(t->error);
    return;
  }
  *g = (eager){l->custom, l};
  attrs.user = g;
  for (int i = 0; i < c->n_positional; i++) in[i] = c->in[i].data;
  cn_call_return(t, c, cn_emit(t, &cn_op_host_call, &attrs, in, c->n_positional), CN_NO_EDGE);
}

/* ---- traced ---- */

/* A mask passes a layer of the host's, but not a Lambda, unless that came with a function for it. */
static bool stops_mask(const cn_layer *l) {
  return strcmp(l->class_name, "Lambda") == 0 && cn_value_is_null(cn_value_find(l->config, "mask"));
}

static cn_status trace_handler(cn_layer *l, cn_trace *t, cn_call *c, cn_tensor **in, cn_tensor **out, int *n_out) {
  CN_TRY(symbols(t, c->in, c->n_positional, in, t->error));
  CN_TRY(l->custom->call(l->custom->user, l, in, c->n_positional, out, n_out, t->error));
  for (int i = 0; i < *n_out; i++) {
    cn_edge edge;
    CN_TRY(cn_trace_edge(t, out[i], &edge, t->error));
    cn_call_return(t, c, edge, i == 0 && !stops_mask(l) ? c->in[0].mask : CN_NO_EDGE);
  }
  return t->status;
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  if (c->n_positional > CN_MAX_OUT) {
    cn_trace_fail(t, CORNU_ERR_LIMIT, "more than %d inputs", CN_MAX_OUT);
    return;
  }
  if (l->custom->eager) {
    lower_eager(l, t, c);
    return;
  }
  cn_tensor *in[CN_MAX_OUT] = {NULL}, *out[CN_MAX_OUT] = {NULL};
  int n_out = CN_MAX_OUT;
  cn_status status = trace_handler(l, t, c, in, out, &n_out);
  if (status && !t->status) t->status = status;
  drop_all(in, c->n_positional);
  drop_all(out, n_out >= 0 && n_out <= CN_MAX_OUT ? n_out : 0);
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  if (!l->custom->build || n_in > CN_MAX_OUT) return CORNU_OK;
  cn_tensor *shapes[CN_MAX_OUT] = {NULL};
  cn_status status = CORNU_OK;
  for (int i = 0; i < n_in && !status; i++) /* symbols of no trace: shapes alone */
    if (!(shapes[i] = cn_tensor_symbol(in[i].dtype, in[i].rank, in[i].shape, NULL, -1))) status = cn_no_memory(e);
  if (!status) status = l->custom->build(l->custom->user, l, shapes, n_in, e);
  drop_all(shapes, n_in);
  return status;
}

const cn_layer_type cn_layer_custom = {
    .name = "CustomLayer",
    .help = CN_HELP("a layer of the host: what its handler computes"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = -1,
    .build = build,
    .lower = lower,
};
