/* A nested model as a layer of another. */
#include <string.h>

#include "model/build.h"
#include "ops/ops.h"

static cn_status check(cn_layer *l, cn_error *e) {
  cn_value *serialized = cn_value_new(&l->arena, CORNU_DICT);
  if (!serialized || !cn_value_put(&l->arena, serialized, "class_name", cn_value_text(&l->arena, l->class_name)) ||
      !cn_value_put(&l->arena, serialized, "config", l->config) ||
      !cn_value_put(&l->arena, serialized, "name", cn_value_text(&l->arena, l->name)))
    return cn_no_memory(e);
  CN_TRY(cn_model_from_config(serialized, NULL, &l->origin, l->customs, &l->model, e));
  return CORNU_OK;
}

/* A model takes its inputs in the dtypes that it declares. */
static void cast_inputs(cn_layer *l, cn_trace *t, const cn_call *c, cn_sym *in) {
  cn_model *m = l->model;
  for (int i = 0; i < m->n_inputs; i++) {
    cornu_dtype dtype = cn_edge_type(t, c->in[i].data)->dtype, wanted = cn_model_type(m, m->inputs[i])->dtype;
    in[i] = c->in[i];
    if (m->unknown_input || dtype == wanted || (l->origin.keras < 3 && !l->origin.tf)) continue;
    in[i].data = cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){wanted}, in[i].data);
  }
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_model *m = l->model;
  if (c->n_positional != m->n_inputs) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the model takes %d inputs, not %d", m->n_inputs, c->n_positional);
    return;
  }
  cn_sym *out = cn_arena_array(&t->graph->arena, (size_t)m->n_outputs + 1, sizeof *out);
  cn_sym *in = cn_arena_array(&t->graph->arena, (size_t)m->n_inputs + 1, sizeof *in);
  if (!out || !in) {
    t->status = cn_no_memory(t->error);
    return;
  }
  const char *label = t->label;
  cast_inputs(l, t, c, in);
  cn_model_lower(m, t, in, out);
  t->label = label;
  for (int i = 0; i < m->n_outputs; i++) cn_call_return(t, c, out[i].data, out[i].mask);
}

cn_status cn_layer_of_model(cn_model *m, cn_layer **out, cn_error *e) {
  *out = NULL;
  cn_layer *l = cn_calloc(1, sizeof *l);
  if (!l) return cn_no_memory(e);
  atomic_init(&l->references, 1);
  l->type = &cn_layer_model;
  l->origin = m->origin;
  l->trainable = true;
  l->compute = CORNU_FLOAT32;
  l->named = CORNU_DTYPES;
  l->model = cornu_model_retain(m);
  l->name = cn_arena_string(&l->arena, m->name);
  l->class_name = m->sequential ? "Sequential" : "Functional";
  l->config = m->config ? cn_value_copy(&l->arena, cn_value_find(m->config, "config"))
                        : cn_value_new(&l->arena, CORNU_DICT);
  if (l->name && l->config) *out = l;
  else cn_layer_drop(l);
  return *out ? CORNU_OK : cn_no_memory(e);
}

cornu_status cornu_model_as_layer(cornu_model *m, cornu_layer **out, cornu_error *e) {
  return cn_layer_of_model(m, out, e);
}

const cn_layer_type cn_layer_model = {
    .name = "Functional",
    .weights = "inner",
    .aliases = "Model Sequential Container Network Graph",
    .versions = "1 2 3",
    .help = CN_HELP("a model inside a model"),
    .flags = CN_LAYER_MODEL | CN_MASK_OWN,
    .min_in = 1,
    .max_in = -1,
    .check = check,
    .lower = lower,
};
