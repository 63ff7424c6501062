/* Pipeline: layers one after another. */
#include "base/text.h"
#include "layers/layer.h"

typedef struct settings { const cn_value *layers; } settings;

static const cn_field fields[] = {
    {.name = "layers", .kind = CN_F_VALUE, .offset = offsetof(settings, layers),
     .help = CN_HELP("in the order of their calls")},
    {0}};

/* Keras 3's weight files name the i-th layer by its class and a count. */
static const char *path_of(cn_layer *l, const cn_layer *layer) {
  char name[128];
  int same = 0;
  cn_snake_case(layer->class_name, name, sizeof name);
  for (int i = 0; i < l->n_children; i++) same += l->children[i].layer->type == layer->type;
  return same ? cn_arena_printf(&l->arena, "layers/%s_%d", name, same)
              : cn_arena_printf(&l->arena, "layers/%s", name);
}

static cn_status adopt(cn_layer *l, const cn_value *serialized, cn_error *e) {
  cn_layer *layer;
  CN_TRY(cn_layer_new(serialized, &l->origin, l->customs, &layer, e));
  const char *path = path_of(l, layer);
  if (path) return cn_layer_adopt(l, path, layer, e);
  cn_layer_drop(layer);
  return cn_no_memory(e);
}

static cn_status check(cn_layer *l, cn_error *e) {
  const cn_value *layers = ((const settings *)l->settings)->layers;
  if (!cn_value_is(layers, CORNU_LIST))
    return cn_fail(e, CORNU_ERR_FORMAT, "\"layers\" is %s, expected a list of serialized layers",
                   cn_value_show(layers, (char[80]){0}, 80));
  for (int i = 0; i < layers->count; i++) CN_TRY(adopt(l, layers->items[i], e));
  return CORNU_OK;
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_sym x[CN_MAX_OUT] = {c->in[0]};
  int n = 1;
  for (int i = 0; i < l->n_children && !t->status; i++)
    n = cn_layer_call_on(l->children[i].layer, t, x, n, x, CN_COUNT(x));
  for (int i = 0; i < n && !t->status; i++) cn_call_return(t, c, x[i].data, x[i].mask);
}

const cn_layer_type cn_layer_pipeline = {
    .name = "Pipeline",
    .weights = "inner",
    .versions = "3",
    .help = CN_HELP("layers one after another, as their classes have it"),
    .flags = CN_MASK_OWN | CN_LAYER_UNCAST,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .lower = lower,
};
