/* Python's x[1:3, ..., None, 0] as a node of a functional model: SlicingOpLambda of tf.keras, GetItem of Keras 3. */
#include <string.h>

#include "base/text.h"
#include "layers/operation.h"

typedef struct items {
  cn_slice_attrs slice;
  cn_ints dropped, added; /* axes of the input; of the result */
} items;

static bool is_class(const cn_value *v, const char *name) {
  const char *class_name = cn_value_str(cn_value_find(v, "class_name"));
  return class_name && strcmp(class_name, name) == 0;
}

static bool limit(const cn_value *v, int64_t *out) {
  *out = CN_NULL_INT;
  return cn_value_is_null(v) || cn_value_integer(v, out);
}

static bool is_slice(const cn_value *v) {
  return is_class(v, "__slice__") || (cn_value_is(v, CORNU_DICT) && cn_value_find(v, "step") && !is_class(v, "__ellipsis__"));
}

static void add_range(items *out, int axis, int64_t begin, int64_t end, int64_t step) {
  int n = out->slice.axes.n;
  out->slice.axes.v[n] = axis;
  out->slice.begin.v[n] = begin;
  out->slice.end.v[n] = end;
  out->slice.step.v[n] = step;
  out->slice.axes.n = out->slice.begin.n = out->slice.end.n = out->slice.step.n = n + 1;
}

/* One item at `axis` of the input; false: it is of no known kind. */
static bool add_item(const cn_value *v, int axis, items *out) {
  int64_t begin, end, step;
  if (is_slice(v)) {
    const cn_value *config = cn_value_find(v, "config");
    if (!config) config = v;
    if (!limit(cn_value_find(config, "start"), &begin) || !limit(cn_value_find(config, "stop"), &end) ||
        !limit(cn_value_find(config, "step"), &step) || step == 0)
      return false;
    if (step == CN_NULL_INT) step = 1;
    if (begin != CN_NULL_INT || end != CN_NULL_INT || step != 1) add_range(out, axis, begin, end, step);
    return true;
  }
  if (cn_value_is(v, CORNU_BOOL) || !cn_value_integer(v, &begin)) return false;
  add_range(out, axis, begin, begin == -1 ? CN_NULL_INT : begin + 1, 1);
  out->dropped.v[out->dropped.n++] = axis;
  return true;
}

static bool is_new_axis(const cn_value *v) { return cn_value_is_null(v) || is_class(v, "__newaxis__"); }

static bool read_items(const cn_value *spec, int rank, items *out) {
  const cn_value *const one[] = {spec};
  bool list = cn_value_is(spec, CORNU_LIST);
  const cn_value *const *each = list ? (const cn_value *const *)spec->items : one;
  int count = list ? spec->count : 1, used = 0, axis = 0, made = 0;
  if (count > CN_MAX_RANK) return false;
  for (int i = 0; i < count; i++) used += !is_new_axis(each[i]) && !is_class(each[i], "__ellipsis__");
  *out = (items){.dropped = {.n = 0}};
  for (int i = 0; i < count; i++) {
    if (is_class(each[i], "__ellipsis__")) {
      axis += rank - used;
      made += rank - used;
    } else if (is_new_axis(each[i])) {
      out->added.v[out->added.n++] = made++;
    } else {
      int dropped = out->dropped.n;
      if (axis >= rank || !add_item(each[i], axis++, out)) return false;
      made += out->dropped.n == dropped;
    }
  }
  return used <= rank;
}

static void get_item(cn_trace *t, cn_call *c, const cn_value *spec) {
  items wanted;
  if (c->n_in < 1 || !spec) {
    cn_trace_fail(t, CORNU_ERR_ARGUMENT, "is called without a tensor or without an index");
    return;
  }
  cn_edge x = c->in[0].data;
  if (!read_items(spec, cn_edge_type(t, x)->rank, &wanted))
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "takes the items %s of a tensor of shape %s, which is not supported",
                  cn_value_show(spec, (char[160]){0}, 160), CN_SHAPE(cn_edge_type(t, x)->rank, cn_edge_type(t, x)->shape));
  if (t->status) return;
  if (wanted.slice.axes.n) x = cn_emit1(t, &cn_op_slice, &wanted.slice, x);
  if (wanted.dropped.n) x = cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = wanted.dropped}, x);
  for (int i = 0; i < wanted.added.n; i++)
    x = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){wanted.added.v[i]}, x);
  cn_call_return(t, c, x, CN_NO_EDGE);
}

static const cn_field fields[] = {
    {.name = "function", .kind = CN_F_IGNORED, .standard = "null",
     .help = CN_HELP("always __operators__.getitem")}, {0}};

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  (void)l;
  const cn_value *spec = cn_call_kwarg(c, "slice_spec");
  if (!spec && cn_value_is(c->args, CORNU_LIST) && c->args->count > 1) spec = c->args->items[1];
  get_item(t, c, spec);
}

const cn_layer_type cn_layer_slicing_op_lambda = {
    .name = "SlicingOpLambda",
    .versions = "2",
    .help = CN_HELP("x[…] as a node of a functional model of tf.keras"),
    .flags = CN_MASK_OWN | CN_LAYER_CONSTANTS | CN_LAYER_UNCAST,
    .min_in = 0,
    .max_in = -1,
    .fields = fields,
    .lower = lower,
};

static void emit(cn_operation_call *c) { get_item(c->t, c->call, cn_argument(c, "key")); }

const cn_operation cn_operations_get_item[] = {{.name = "GetItem", .arguments = "x key", .emit = emit}, {0}};
