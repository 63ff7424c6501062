/* Calls of layers: arguments, masks, building at the first call. */
#include <string.h>

#include "base/text.h"
#include "layers/part.h"

bool cn_call_ref(const cn_value *v, int *index) {
  int64_t i;
  if (!cn_value_is(v, CORNU_DICT) || v->count != 1 || !cn_value_integer(cn_value_find(v, "@"), &i)) return false;
  *index = (int)i;
  return true;
}

const cn_value *cn_call_kwarg(const cn_call *c, const char *name) {
  const cn_value *v = cn_value_find(c->kwargs, name);
  return cn_value_is_null(v) ? NULL : v;
}

cn_sym cn_call_tensor(const cn_call *c, const char *name) {
  int index;
  if (!cn_call_ref(cn_call_kwarg(c, name), &index) || index < 0 || index >= c->n_in)
    return (cn_sym){CN_NO_EDGE, CN_NO_EDGE};
  return c->in[index];
}

void cn_call_return(cn_trace *t, cn_call *c, cn_edge data, cn_edge mask) {
  if (t->status) return;
  if (!cn_arena_grow(&t->graph->arena, &c->out, &c->cap_out, c->n_out, sizeof *c->out)) {
    t->status = cn_no_memory(t->error);
    return;
  }
  c->out[c->n_out++] = (cn_sym){data, mask};
}

static bool flatten(const cn_value *v, double *out, int64_t most, int64_t *n) {
  double number;
  bool good = true;
  for (int i = 0; cn_value_is(v, CORNU_LIST) && i < v->count && good; i++) good = flatten(v->items[i], out, most, n);
  if (cn_value_is(v, CORNU_LIST)) return good;
  if (!cn_value_number(v, &number) || *n == most) return false;
  out[(*n)++] = number;
  return true;
}

cn_edge cn_emit_numbers(cn_trace *t, const char *key, const cn_value *v, cornu_dtype dtype) {
  enum { MOST = 65536 };
  const cn_value *inner = cn_value_find(cn_value_find(v, "config"), "value");
  double number;
  if (inner) v = inner;
  if (t->status) return CN_NO_EDGE;
  if (cn_value_number(v, &number)) return cn_emit_scalar(t, dtype, number);
  double *list = cn_alloc(MOST * sizeof *list);
  int64_t n = 0;
  cn_edge edge = CN_NO_EDGE;
  if (!list) t->status = cn_no_memory(t->error);
  else if (cn_value_is(v, CORNU_LIST) && flatten(v, list, MOST, &n)) edge = cn_emit_vector(t, dtype, list, n);
  else
    cn_trace_fail(t, CORNU_ERR_ARGUMENT, "\"%s\" is %s, expected a number or a list of up to %d", key,
                  cn_value_show(v, (char[80]){0}, 80), MOST);
  cn_free(list);
  return edge;
}

static void check_inputs(cn_layer *l, cn_trace *t, const cn_call *c) {
  const cn_layer_type *type = l->type;
  int n = c->n_positional, min = type->min_in, max = type->max_in;
  if (n >= min && (max < 0 || n <= max)) return;
  if (min == max)
    cn_trace_fail(t, CORNU_ERR_SHAPE, "takes %d input%s, not %d", min, min == 1 ? "" : "s", n);
  else
    cn_trace_fail(t, CORNU_ERR_SHAPE, "takes %s%d inputs, not %d", n < min ? "at least " : "up to ",
                  n < min ? min : max, n);
}

/* A layer is called on tensors alone: a number among them makes it an operation of keras.ops under the same name. */
static const cn_value *constant_argument(const cn_value *args) {
  for (int i = 0; cn_value_is(args, CORNU_LIST) && i < args->count; i++) {
    const cn_value *v = args->items[i];
    double number;
    if ((!cn_value_is(v, CORNU_BOOL) && cn_value_number(v, &number)) || cn_value_find(v, "class_name")) return v;
    if (cn_value_is(v, CORNU_LIST) && (v = constant_argument(v))) return v;
  }
  return NULL;
}

static void check_arguments(cn_layer *l, cn_trace *t, const cn_call *c) {
  const cn_value *constant = l->custom || l->type->flags & CN_LAYER_CONSTANTS ? NULL : constant_argument(c->args);
  if (constant)
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "is called with the constant %s, as an operation of keras.ops: not "
                  "supported; give a handler for it in custom_objects", cn_value_show(constant, (char[80]){0}, 80));
}

/* A build that failed leaves nothing behind: it may be tried again with other shapes. */
static void build(cn_layer *l, cn_trace *t, const cn_call *c) {
  if (l->built || t->status) return;
  cn_type *types = cn_arena_array(&t->graph->arena, (size_t)c->n_positional + 1, sizeof *types);
  if (!types) {
    t->status = cn_no_memory(t->error);
    return;
  }
  for (int i = 0; i < c->n_positional; i++) types[i] = *cn_edge_type(t, c->in[i].data);
  cn_layer_infer(l, types, c->n_positional);
  t->compute = l->compute;
  if (l->type->build) t->status = l->type->build(l, types, c->n_positional, t->error);
  if (!t->status) l->built = true;
  while (t->status && l->n_weights > 0) cornu_tensor_release(l->weights[--l->n_weights].value);
}

/* Keras 1 and 2 refuse a mask at a layer that does not support it; later Keras drops it. */
static void check_masks(cn_layer *l, cn_trace *t, const cn_call *c) {
  unsigned supported = CN_MASK_PASSES | CN_MASK_OWN | CN_LAYER_IDENTITY;
  if (l->type->flags & supported || l->origin.keras > 2 || l->origin.tf || l->custom) return;
  for (int i = 0; i < c->n_positional; i++)
    if (c->in[i].mask != CN_NO_EDGE)
      cn_trace_fail(t, CORNU_ERR_UNSUPPORTED,
                    "does not support a mask, as in Keras %d: the model cannot have run there", l->origin.keras);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  if (l->type->lower) {
    l->type->lower(l, t, c);
  } else {
    for (int i = 0; i < c->n_positional; i++) cn_call_return(t, c, c->in[i].data, c->in[i].mask);
  }
  if (l->type->flags & CN_MASK_PASSES && c->n_positional > 0)
    for (int i = 0; i < c->n_out; i++)
      if (c->out[i].mask == CN_NO_EDGE) c->out[i].mask = c->in[0].mask;
}

/* Keras's autocast: float inputs come in the dtype in which the layer computes, others stay. */
static void cast_inputs(cn_layer *l, cn_trace *t, cn_call *c) {
  bool fit = true;
  for (int i = 0; i < c->n_in; i++) {
    cornu_dtype dtype = cn_edge_type(t, c->in[i].data)->dtype;
    fit &= c->in[i].data == CN_NO_EDGE || !cn_dtype_is_float(dtype) || dtype == l->compute;
  }
  if (fit || !l->casts || t->status) return;
  cn_sym *in = cn_arena_array(&t->graph->arena, (size_t)c->n_in, sizeof *in);
  if (!in) {
    t->status = cn_no_memory(t->error);
    return;
  }
  for (int i = 0; i < c->n_in; i++) {
    in[i] = c->in[i];
    if (in[i].data != CN_NO_EDGE && cn_dtype_is_float(cn_edge_type(t, in[i].data)->dtype))
      in[i].data = cn_emit_compute(t, in[i].data);
  }
  c->in = in;
}

/* A mask given by name takes the place of the first input's. */
static void take_mask(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_sym mask = cn_call_tensor(c, "mask");
  if (mask.data == CN_NO_EDGE || c->n_in == 0 || l->type->flags & CN_LAYER_MODEL) return;
  cn_sym *in = cn_arena_array(&t->graph->arena, (size_t)c->n_in, sizeof *in);
  if (!in) {
    t->status = cn_no_memory(t->error);
    return;
  }
  memcpy(in, c->in, sizeof *in * (size_t)c->n_in);
  in[0].mask = mask.data;
  c->in = in;
}

/* Before Keras 3 a model may say that a layer, and all within it, runs as in training; Keras 3's predict overrides it.
 */
static bool training_of(const cn_layer *l, const cn_trace *t, const cn_call *c) {
  double training;
  bool given = l->origin.keras < 3 && cn_value_number(cn_call_kwarg(c, "training"), &training);
  return given ? training != 0 : t->training;
}

bool cn_layer_draws(const cn_layer *l, cn_trace *t) {
  if (t->training && !t->variables)
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "is called with training=true, which makes its outputs random: not "
                  "supported; to leave it out give custom_objects = { [\"%s\"] = function(x) return x end }", l->name);
  return t->training && !t->status;
}

void cn_layer_call(cn_layer *l, cn_trace *t, cn_call *c) {
  if (t->status) return;
  const char *label = t->label;
  bool training = t->training;
  cornu_dtype compute = t->compute;
  t->label = l->name;
  t->compute = l->compute;
  t->training = training_of(l, t, c);
  take_mask(l, t, c);
  cast_inputs(l, t, c);
  check_arguments(l, t, c);
  check_inputs(l, t, c);
  check_masks(l, t, c);
  build(l, t, c);
  if (!t->status) lower(l, t, c);
  const bool inner = l->type->flags & CN_LAYER_INNER_ACTIVITY && l->origin.keras >= 3;
  const cn_value *regularizer = c->unpenalised || inner ? NULL : cn_value_find(l->config, "activity_regularizer");
  for (int i = 0; i < c->n_out && regularizer && !t->status; i++)
    cn_layer_penalise_result(l, t, regularizer, c->out[i].data);
  if (t->status) cn_at(t->error, t->status, "layer \"%s\" (%s)", l->name, l->class_name);
  t->label = label;
  t->training = training;
  t->compute = compute;
}

int cn_layer_call_on(cn_layer *l, cn_trace *t, const cn_sym *in, int n_in, cn_sym *out, int cap) {
  cn_call c = {.in = in, .n_in = n_in, .n_positional = n_in};
  cn_layer_call(l, t, &c);
  if (t->status) return 0;
  if (c.n_out > cap) {
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "layer \"%s\" (%s) has %d outputs, expected at most %d", l->name,
                  l->class_name, c.n_out, cap);
    return 0;
  }
  memcpy(out, c.out, sizeof *out * (size_t)c.n_out);
  return c.n_out;
}
