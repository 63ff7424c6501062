/* Masking: steps whose features all equal a value are masked, and zeroed. */
#include "layers/layer.h"
#include "ops/ops.h"

typedef struct settings { const cn_value *mask_value; } settings;

static const cn_field fields[] = {
    {.name = "mask_value", .kind = CN_F_VALUE, .offset = offsetof(settings, mask_value), .standard = "0.0",
     .help = CN_HELP("a number, or in Keras 3 a vector of one per feature")},
    {0}};

enum { MAX_VALUES = 1 << 16 };

/* Keras 3 writes tensors as {class_name: "__tensor__", config: {value}}. */
static const cn_value *plain_value(const cn_value *v) {
  const cn_value *inner = cn_value_find(cn_value_find(v, "config"), "value");
  return inner ? inner : v;
}

static cn_status check(cn_layer *l, cn_error *e) {
  settings *s = l->settings;
  double number;
  s->mask_value = plain_value(s->mask_value);
  bool good = cn_value_number(s->mask_value, &number) ||
      (cn_value_is(s->mask_value, CORNU_LIST) && s->mask_value->count <= MAX_VALUES);
  for (int i = 0; good && cn_value_is(s->mask_value, CORNU_LIST) && i < s->mask_value->count; i++)
    good = cn_value_number(s->mask_value->items[i], &number);
  if (good) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "mask_value is %s, expected a number or a list of numbers",
      cn_value_show(s->mask_value, (char[80]){0}, 80));
}

static cn_edge value_edge(const cn_value *v, cn_trace *t, cornu_dtype dtype) {
  double number = 0;
  if (cn_value_number(v, &number)) return cn_emit_scalar(t, dtype, number);
  if (t->status) return CN_NO_EDGE;
  double *values = cn_arena_array(&t->graph->arena, (size_t)v->count + 1, sizeof *values);
  if (!values) return t->status = cn_no_memory(t->error), CN_NO_EDGE;
  for (int i = 0; i < v->count; i++)
    if (cn_value_number(v->items[i], &number)) values[i] = number;
  return cn_emit_vector(t, dtype, values, v->count);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_edge x = c->in[0].data;
  cornu_dtype dtype = cn_edge_type(t, x)->dtype;
  cn_edge differs = cn_emit2(t, &cn_op_not_equal, NULL, x,
      value_edge(((const settings *)l->settings)->mask_value, t, dtype));
  cn_edge kept = cn_emit1(t, &cn_op_any, &(cn_reduce_attrs){.axes = {1, {-1}}, .keepdims = true}, differs);
  cn_edge mask = cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {-1}}}, kept);
  /* Before Keras 3 x * mask, which keeps a NaN. */
  cn_edge y = l->origin.keras >= 3 ? cn_emit3(t, &cn_op_where, NULL, kept, x, cn_emit_scalar(t, dtype, 0))
                                   : cn_emit2(t, &cn_op_mul, NULL, x,
                                       cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){dtype}, kept));
  cn_call_return(t, c, y, mask);
}

const cn_layer_type cn_layer_masking = {
    .name = "Masking",
    .versions = "1 2 3",
    .help = CN_HELP("masks and zeroes the steps whose features all equal mask_value"),
    .flags = CN_MASK_OWN,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .lower = lower,
};
