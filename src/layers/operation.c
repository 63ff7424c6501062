/* Operations of keras.ops that are nodes of a functional model, as NotEqual(x, 0), which Keras 3 leaves behind where a
 * mask was computed. The class is the name of an op in another spelling (LogicalOr is logical_or); its options are in
 * the config and among the keyword arguments, its inputs are tensors and numbers. */
#include <string.h>

#include "base/text.h"
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { const cn_op *op; } settings;

const cn_op *cn_operation_find(const char *class_name) {
  char name[160];
  cn_snake_case(class_name, name, sizeof name);
  const cn_op *op = cn_op_find(name);
  return op && !(op->flags & CN_OP_HIDDEN) ? op : NULL;
}

static cn_status check(cn_layer *l, cn_error *e) {
  settings *s = l->settings;
  s->op = cn_operation_find(l->class_name);
  if (s->op) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_UNSUPPORTED, "this operation of keras.ops is not supported: give a handler: "
                 "custom_objects = { %s = function(x, layer) … end }", l->class_name);
}

/* The options of this call: those of the config that are the op's, and constants among the keyword arguments. */
static const cn_value *options_of(const cn_layer *l, const cn_call *c, cn_arena *a) {
  cn_value *options = cn_value_new(a, CORNU_DICT);
  for (int i = 0; options && i < l->config->count; i++)
    if (!cn_word_in("name dtype trainable", l->config->keys[i], NULL) &&
        !cn_value_put(a, options, l->config->keys[i], cn_value_copy(a, l->config->items[i])))
      return NULL;
  for (int i = 0; options && c->kwargs && i < c->kwargs->count; i++)
    if (!cn_value_put(a, options, c->kwargs->keys[i], cn_value_copy(a, c->kwargs->items[i]))) return NULL;
  return options;
}

/* A number takes the dtype of the tensors, a fraction beside whole numbers makes them floats: as in Keras. */
static cornu_dtype number_dtype(const cn_trace *t, const cn_call *c, const cn_value *number) {
  cornu_dtype dtype = c->n_in ? cn_edge_type(t, c->in[0].data)->dtype : CORNU_FLOAT32;
  if (cn_dtype_is_float(dtype) || number->kind == CORNU_BOOL) return dtype;
  if (number->kind == CORNU_FLOAT) return CORNU_FLOAT32;
  return dtype == CORNU_BOOL8 ? CORNU_INT32 : dtype;
}

typedef struct inputs { cn_edge edge[CN_MAX_OUT]; int n; } inputs;

static void add_arguments(cn_trace *t, const cn_op *op, const cn_call *c, const cn_value *args, inputs *out) {
  for (int i = 0; cn_value_is(args, CORNU_LIST) && i < args->count && !t->status; i++) {
    const cn_value *v = args->items[i];
    int index;
    double number;
    if (out->n == CN_MAX_OUT) {
      cn_trace_fail(t, CORNU_ERR_LIMIT, "has more than %d inputs", CN_MAX_OUT);
    } else if (cn_call_ref(v, &index)) {
      out->edge[out->n++] = c->in[index].data;
    } else if (cn_value_is(v, CORNU_LIST)) {
      add_arguments(t, op, c, v, out);
    } else if (op->flags & CN_OP_ELEMENTWISE && cn_value_number(v, &number)) {
      out->edge[out->n++] = cn_emit_scalar(t, number_dtype(t, c, v), number);
    } else {
      cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "is called with %s, which is not supported: give a handler for \"%s\" in "
                    "custom_objects", cn_value_show(v, (char[80]){0}, 80), t->label ? t->label : "it");
    }
  }
}

static void gather_inputs(cn_trace *t, const cn_op *op, const cn_call *c, inputs *out) {
  if (c->args) add_arguments(t, op, c, c->args, out);
  else
    for (int i = 0; i < c->n_in && i < CN_MAX_OUT; i++) out->edge[out->n++] = c->in[i].data;
}

static void *parse_options(cn_layer *l, cn_trace *t, const cn_call *c, const cn_op *op) {
  cn_arena *a = &t->graph->arena;
  const cn_value *options = options_of(l, c, a);
  void *attrs = cn_arena_alloc(a, op->attrs_size + 1);
  static const cn_field none[] = {{0}};
  if (!options || !attrs) t->status = cn_no_memory(t->error);
  else t->status = cn_fields_parse(op->fields ? op->fields : none, options, attrs, NULL, NULL, a, t->error);
  if (!t->status && op->check) t->status = op->check(attrs, t->error);
  return attrs;
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const cn_op *op = ((const settings *)l->settings)->op;
  inputs in = {.n = 0};
  void *attrs = parse_options(l, t, c, op);
  if (!t->status) gather_inputs(t, op, c, &in);
  cn_edge first;
  int n = cn_emit_many(t, op, op->attrs_size ? attrs : NULL, in.edge, in.n, &first);
  for (int i = 0; i < n; i++) cn_call_return(t, c, first + i, CN_NO_EDGE);
}

const cn_layer_type cn_layer_operation = {
    .name = "Operation",
    .versions = "3",
    .help = "an operation of keras.ops as a node of a functional model",
    .flags = CN_MASK_OWN | CN_LAYER_OWN_CONFIG | CN_LAYER_CONSTANTS | CN_LAYER_ANY_DTYPE,
    .min_in = 0,
    .max_in = -1,
    .settings_size = sizeof(settings),
    .check = check,
    .lower = lower,
};
