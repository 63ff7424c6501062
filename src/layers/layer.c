/* Layers: making one from its config, building, calling, weights in Keras's order. */
#include "layers/layer.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "layers/custom.h"

bool cn_origin_at_least(const cn_origin *o, int keras, int minor, int patch) {
  return o->keras * 1000000 + o->minor * 1000 + o->patch >= keras * 1000000 + minor * 1000 + patch;
}

/* ---- the registry ---- */

/* "Custom>Dense" and "package>Dense" mean Dense. */
static const char *bare_name(const char *class_name) {
  const char *mark = strrchr(class_name, '>');
  return mark ? mark + 1 : class_name;
}

const cn_layer_type *cn_layer_type_find(const char *class_name) {
  const char *name = bare_name(class_name);
  for (int i = 0; i < cn_layer_type_total; i++)
    if (strcmp(cn_layer_types[i]->name, name) == 0) return cn_layer_types[i];
  for (int i = 0; i < cn_layer_type_total; i++)
    if (cn_word_in(cn_layer_types[i]->aliases, name, NULL)) return cn_layer_types[i];
  return NULL;
}

int cornu_layer_type_count(void) { return cn_layer_type_total; }

bool cornu_layer_type_info(int i, cornu_type_info *out) {
  if (i < 0 || i >= cn_layer_type_total) return false;
  const cn_layer_type *t = cn_layer_types[i];
  *out = (cornu_type_info){.name = t->name, .aliases = t->aliases, .help = t->help, .versions = t->versions,
                           .n_fields = cn_field_count(t->fields), .min_inputs = t->min_in, .max_inputs = t->max_in};
  return true;
}

bool cornu_layer_type_field(int i, int field, cornu_field_info *out) {
  return i >= 0 && i < cn_layer_type_total && cn_field_info(cn_layer_types[i]->fields, field, out);
}

/* ---- making a layer ---- */

/* Keys that every layer's config may have: read by this file, by the model room, or without effect on what is computed.
 */
static const char common_keys[] =
    "name trainable dtype batch_input_shape batch_shape batch_size input_shape input_dim input_length input_dtype "
    "autocast activity_regularizer seed sparse ragged dynamic optional input_tensor type_spec shape "
    "kernel_initializer bias_initializer recurrent_initializer depthwise_initializer pointwise_initializer "
    "embeddings_initializer beta_initializer gamma_initializer moving_mean_initializer moving_variance_initializer "
    "alpha_initializer scale_initializer "
    "kernel_regularizer bias_regularizer recurrent_regularizer depthwise_regularizer pointwise_regularizer "
    "embeddings_regularizer beta_regularizer gamma_regularizer alpha_regularizer "
    "kernel_constraint bias_constraint recurrent_constraint depthwise_constraint pointwise_constraint "
    "embeddings_constraint beta_constraint gamma_constraint alpha_constraint "
    "init W_regularizer b_regularizer U_regularizer W_constraint b_constraint U_constraint gamma_init beta_init "
    "depthwise_init pointwise_init depthwise_regularizer depthwise_constraint "
    "lora_rank lora_alpha quantization_config registered_name module build_config";

static const char *text_or(const cn_value *v, const char *other) { return cn_value_str(v) ? cn_value_str(v) : other; }

/* The name of a quantised policy, which may be the default or one part of a map; NULL: none. */
static const char *quantised_policy(const cn_value *v) {
  static const char *const marks[] = {"Quantized", "Int4", "GPTQ", "AWQ", "_from_"};
  const char *name = cn_value_str(v) ? v->s : cn_value_str(cn_value_find(v, "class_name"));
  for (int i = 0; name && i < CN_COUNT(marks); i++)
    if (strstr(name, marks[i])) return name;
  const cn_value *config = cn_value_find(v, "config"), *map = cn_value_find(config, "policy_map");
  const char *found = config ? quantised_policy(cn_value_find(config, "default_policy")) : NULL;
  for (int i = 0; !found && cn_value_is(map, CORNU_DICT) && i < map->count; i++)
    found = quantised_policy(map->items[i]);
  return found;
}

static const char *policy_name(const cn_value *v) {
  const cn_value *config = cn_value_find(v, "config"), *inner = cn_value_find(config, "default_policy");
  return inner ? policy_name(inner) : cn_value_str(config ? cn_value_find(config, "name") : v);
}

/* Policies of 16-bit floats change precision alone: their layers compute in float32. */
static cn_status refuse_dtype(const cn_layer *l, cn_error *e) {
  const cn_value *v = cn_value_find(l->config, "dtype");
  const char *quantised = l->type->flags & CN_LAYER_QUANTISED ? NULL : quantised_policy(v), *name = policy_name(v);
  if (quantised)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"dtype\" is %s: quantised layers are not supported; save the model "
                   "with float weights", quantised);
  if (name && strcmp(name, "float64") == 0 && !(l->type->flags & (CN_LAYER_INPUT | CN_LAYER_ANY_DTYPE)))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"dtype\" is float64: layers compute in float32; save the model in "
                   "float32");
  return CORNU_OK;
}

/* An activation that a handler computes, by the name of its function or class. *out stays NULL when there is none. */
static cn_status custom_activation(cn_layer *l, const cn_value *v, cn_layer **out, cn_error *e) {
  const char *name = cn_value_str(v) ? v->s : cn_value_str(cn_value_find(v, "class_name"));
  const cn_value *config = cn_value_find(v, "config");
  if (name && cn_value_str(config)) name = config->s;
  if (!name || !cn_custom_find(l->customs, name, name)) return CORNU_OK;
  return cn_layer_new_typed(&cn_layer_custom, name, name, cn_value_is(config, CORNU_DICT) ? config : NULL, &l->origin,
                            l->customs, out, e);
}

static cn_status parse_activation(cn_layer *l, const char *field, const cn_value *v, cn_activation *a, cn_error *e) {
  cn_layer *custom = NULL;
  CN_TRY(custom_activation(l, v, &custom, e));
  if (custom) *a = (cn_activation){.kind = CN_ACTIVATION_LAYER, .layer = custom};
  else CN_TRY(cn_activation_parse(v, &l->origin, a, e));
  return a->kind == CN_ACTIVATION_LAYER ? cn_layer_adopt(l, field, a->layer, e) : CORNU_OK;
}

static cn_status parse_field(void *user, const cn_field *field, const cn_value *v, void *member, cn_error *e) {
  cn_layer *l = user;
  if (field->kind == CN_F_ACTIVATION) return parse_activation(l, field->name, v, member, e);
  cn_layer **child = member;
  *child = NULL;
  if (cn_value_is_null(v)) return CORNU_OK;
  CN_TRY(cn_layer_new(v, &l->origin, l->customs, child, e));
  return cn_layer_adopt(l, field->name, *child, e);
}

static cn_status parse_config(cn_layer *l, cn_error *e) {
  cn_value *config = l->config;
  if (l->type->upgrade) {
    config = cn_value_copy(&l->arena, l->config);
    if (!config) return cn_no_memory(e);
    CN_TRY(l->type->upgrade(l, config, e));
  }
  l->settings = cn_arena_alloc(&l->arena, l->type->settings_size + 1);
  if (!l->settings) return cn_no_memory(e);
  cn_field_hooks hooks = {l, parse_field};
  if (!(l->type->flags & CN_LAYER_MODEL) && l->type != &cn_layer_custom)
    CN_TRY(cn_fields_parse(l->type->fields, config, l->settings, common_keys, &hooks, &l->arena, e));
  if (!l->custom) CN_TRY(refuse_dtype(l, e));
  return l->type->check ? l->type->check(l, e) : CORNU_OK;
}

cn_status cn_layer_new_typed(const cn_layer_type *type, const char *class_name, const char *name,
                             const cn_value *config, const cn_origin *origin, cn_custom_set *customs, cn_layer **out,
                             cn_error *e) {
  *out = NULL;
  cn_layer *l = cn_calloc(1, sizeof *l);
  if (!l) return cn_no_memory(e);
  atomic_init(&l->references, 1);
  l->type = type;
  l->origin = *origin;
  l->customs = customs ? cn_custom_set_share(customs) : NULL;
  l->custom = cn_custom_find(customs, class_name, name);
  if (l->custom) l->type = &cn_layer_custom;
  l->name = cn_arena_string(&l->arena, name);
  l->class_name = cn_arena_string(&l->arena, class_name);
  l->config = config ? cn_value_copy(&l->arena, config) : cn_value_new(&l->arena, CORNU_DICT);
  const cn_value *trainable = cn_value_find(l->config, "trainable");
  l->trainable = !cn_value_is(trainable, CORNU_BOOL) || trainable->b;
  cn_status status = l->name && l->class_name && l->config ? CORNU_OK : cn_no_memory(e);
  if (!status) status = parse_config(l, e);
  if (status) {
    cn_at(e, status, "layer \"%s\" (%s)", name, class_name);
    cn_layer_drop(l);
    return status;
  }
  *out = l;
  return CORNU_OK;
}

static cn_status unknown_class(const char *name, const char *class_name, cn_error *e) {
  cn_text all = {0};
  for (int i = 0; i < cn_layer_type_total; i++)
    cn_text_addf(&all, "%s %s ", cn_layer_types[i]->name, cn_layer_types[i]->aliases ? cn_layer_types[i]->aliases : "");
  char nearest[80];
  const char *bare = bare_name(class_name);
  bool near = all.data && cn_nearest_name(bare, all.data, nearest, sizeof nearest);
  cn_text_free(&all);
  return cn_fail(e, CORNU_ERR_UNSUPPORTED, "layer \"%s\" (%s): unknown layer class%s%s%s; give a handler: "
                 "custom_objects = { %s = function(x, layer) … end }", name, class_name, near ? " (nearest: " : "",
                 near ? nearest : "", near ? ")" : "", bare);
}

/* A subclassed functional model has a class of its own and the keys of a model. */
static bool is_model_config(const cn_value *config) {
  return cn_value_is(config, CORNU_LIST) || (cn_value_find(config, "layers") && cn_value_find(config, "input_layers") &&
                                             cn_value_find(config, "output_layers"));
}

/* The class under which a handler takes the layer over; NULL: none does. */
static const char *handled_class(cn_custom_set *customs, const char *class_name, const char *registered,
                                 const char *name) {
  if (cn_custom_find(customs, class_name, name)) return class_name;
  return registered && cn_custom_find(customs, registered, name) ? registered : NULL;
}

cn_status cn_layer_new(const cn_value *serialized, const cn_origin *origin, cn_custom_set *customs, cn_layer **out,
                       cn_error *e) {
  static const cn_value no_config = {.kind = CORNU_DICT};
  *out = NULL;
  const char *class_name = cn_value_str(cn_value_find(serialized, "class_name"));
  if (!class_name)
    return cn_fail(e, CORNU_ERR_FORMAT, "a layer has no class_name: %s",
                   cn_value_show(serialized, (char[100]){0}, 100));
  const cn_value *config = cn_value_find(serialized, "config");
  if (cn_value_is_null(config)) config = &no_config;
  char standard[160];
  cn_snake_case(bare_name(class_name), standard, sizeof standard);
  const char *name = text_or(cn_value_find(config, "name"), text_or(cn_value_find(serialized, "name"), standard));
  const char *registered = cn_value_str(cn_value_find(serialized, "registered_name"));
  const char *handled = handled_class(customs, class_name, registered, name);
  const cn_layer_type *type = cn_layer_type_find(class_name);
  if (!handled && is_model_config(config) && (!type || !(type->flags & CN_LAYER_MODEL)))
    type = cn_layer_type_find("Functional");
  if (!cn_value_is(config, CORNU_DICT) && !(type && (type->flags & CN_LAYER_MODEL)))
    return cn_fail(e, CORNU_ERR_FORMAT, "layer \"%s\" (%s): the config is %s, expected a dict", name, class_name,
                   cn_value_show(config, (char[80]){0}, 80));
  if (handled) return cn_layer_new_typed(&cn_layer_custom, handled, name, config, origin, customs, out, e);
  return type ? cn_layer_new_typed(type, class_name, name, config, origin, customs, out, e)
              : unknown_class(name, class_name, e);
}

cn_layer *cn_layer_share(cn_layer *l) {
  atomic_fetch_add(&l->references, 1);
  return l;
}

void cn_layer_drop(cn_layer *l) {
  if (!l || atomic_fetch_sub(&l->references, 1) != 1) return;
  for (int i = 0; i < l->n_weights; i++) cornu_tensor_release(l->weights[i].value);
  for (int i = 0; i < l->n_children; i++) cn_layer_drop(l->children[i].layer);
  for (int i = 0; i < l->n_states; i++) cornu_tensor_release(l->states[i]);
  cornu_model_release(l->model);
  cn_custom_set_drop(l->customs);
  cn_arena_free(&l->arena);
  cn_arena_free(&l->path_arena);
  cn_free(l);
}

cn_status cn_layer_adopt(cn_layer *l, const char *attribute, cn_layer *child, cn_error *e) {
  const char *name = cn_arena_string(&l->arena, attribute);
  if (!name || !cn_arena_grow(&l->arena, &l->children, &l->cap_children, l->n_children, sizeof *l->children)) {
    cn_layer_drop(child);
    return cn_no_memory(e);
  }
  l->children[l->n_children++] = (cn_child){name, child};
  return CORNU_OK;
}

/* ---- weights ---- */

cn_status cn_layer_add_weight(cn_layer *l, const char *name, int rank, const int64_t *shape, bool trainable,
                              const cn_value *initializer, cn_error *e) {
  if (cn_shape_size(rank, shape) < 0)
    return cn_fail(e, CORNU_ERR_SHAPE, "weight \"%s\" would have shape %s: the input shape is not known", name,
                   CN_SHAPE(rank, shape));
  if (!cn_arena_grow(&l->arena, &l->weights, &l->cap_weights, l->n_weights, sizeof *l->weights)) return cn_no_memory(e);
  cn_weight *w = &l->weights[l->n_weights];
  *w = (cn_weight){.name = cn_arena_string(&l->arena, name), .rank = rank, .dtype = CORNU_FLOAT32,
                   .trainable = trainable, .initializer = initializer};
  if (!w->name) return cn_no_memory(e);
  if (rank) memcpy(w->shape, shape, sizeof *shape * (size_t)rank);
  l->n_weights++;
  return CORNU_OK;
}

int cn_layer_find_weight(const cn_layer *l, const char *name) {
  for (int i = 0; i < l->n_weights; i++)
    if (strcmp(l->weights[i].name, name) == 0) return i;
  return -1;
}

cn_edge cn_layer_weight_edge(cn_layer *l, cn_trace *t, const char *name) {
  int i = cn_layer_find_weight(l, name);
  if (i < 0 || t->status) return CN_NO_EDGE;
  const cn_weight *w = &l->weights[i];
  cn_type type = {.dtype = w->dtype, .rank = w->rank};
  memcpy(type.shape, w->shape, sizeof type.shape);
  cn_edge edge = CN_NO_EDGE;
  t->status = cn_graph_add_constant(t->graph, &type, w->value, &edge, t->error);
  return t->status ? CN_NO_EDGE : edge;
}

cn_status cn_layer_set_weight(cn_layer *l, int index, cn_tensor *value, cn_error *e) {
  cn_weight *w = &l->weights[index];
  if (!cn_shape_equal(value->rank, value->shape, w->rank, w->shape))
    return cn_fail(e, CORNU_ERR_SHAPE, "layer \"%s\" (%s): %s has shape %s, expected %s", l->name, l->class_name,
                   w->name, CN_SHAPE(value->rank, value->shape), CN_SHAPE(w->rank, w->shape));
  cn_tensor *own;
  CN_TRY(value->dtype == w->dtype ? cornu_tensor_contiguous(value, &own, e)
                                  : cornu_tensor_cast(value, w->dtype, &own, e));
  cornu_tensor_release(w->value);
  w->value = own;
  atomic_fetch_add_explicit(&l->revision, 1, memory_order_release);
  return CORNU_OK;
}

typedef struct walk { cn_weight_visit visit; void *user; bool trainable; cn_error *e; } walk;

static cn_status walk_model(const walk *w, cornu_model *m, const char *prefix);

/* Own weights, then children's, of one kind: trainable or not. */
static cn_status walk_layer(const walk *w, cn_layer *l, const char *prefix, bool frozen) {
  frozen |= !l->trainable;
  for (int i = 0; i < l->n_weights; i++) {
    if ((l->weights[i].trainable && !frozen) != w->trainable) continue;
    char path[512];
    snprintf(path, sizeof path, "%s%s", prefix, l->weights[i].name);
    CN_TRY(w->visit(w->user, l, i, path, w->e));
  }
  for (int i = 0; i < l->n_children; i++) {
    char path[512];
    snprintf(path, sizeof path, "%s%s/", prefix, l->children[i].attribute);
    CN_TRY(walk_layer(w, l->children[i].layer, path, frozen));
  }
  return l->model ? walk_model(w, l->model, prefix) : CORNU_OK;
}

static cn_status walk_model(const walk *w, cornu_model *m, const char *prefix) {
  for (int i = 0; i < cornu_model_layers(m); i++) {
    cn_layer *l = cornu_model_layer(m, i);
    char path[512];
    snprintf(path, sizeof path, "%s%s/", prefix, l->name);
    CN_TRY(walk_layer(w, l, path, false));
  }
  return CORNU_OK;
}

cn_status cn_layer_each_weight(cn_layer *l, cn_weight_visit visit, void *user, cn_error *e) {
  walk w = {visit, user, true, e};
  CN_TRY(walk_layer(&w, l, "", false));
  w.trainable = false;
  return walk_layer(&w, l, "", false);
}

/* ---- calls ---- */

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
  const cn_value *constant = l->custom ? NULL : constant_argument(c->args);
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

void cn_layer_call(cn_layer *l, cn_trace *t, cn_call *c) {
  if (t->status) return;
  const char *label = t->label;
  bool training = t->training;
  t->label = l->name;
  t->training = training_of(l, t, c);
  take_mask(l, t, c);
  check_arguments(l, t, c);
  check_inputs(l, t, c);
  check_masks(l, t, c);
  build(l, t, c);
  if (!t->status) lower(l, t, c);
  if (t->status) cn_at(t->error, t->status, "layer \"%s\" (%s)", l->name, l->class_name);
  t->label = label;
  t->training = training;
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

/* ---- public ---- */

cornu_layer *cornu_layer_retain(cornu_layer *l) { return l ? cn_layer_share(l) : NULL; }
void cornu_layer_release(cornu_layer *l) { cn_layer_drop(l); }
const char *cornu_layer_name(const cornu_layer *l) { return l->name; }
const char *cornu_layer_class(const cornu_layer *l) { return l->class_name; }
const cornu_value *cornu_layer_config(const cornu_layer *l) { return l->config; }
cornu_model *cornu_layer_model(const cornu_layer *l) { return l->model; }
bool cornu_layer_trainable(const cornu_layer *l) { return l->trainable; }

typedef struct finder { int wanted, at; cn_layer *owner; int index; char path[512]; } finder;

static cn_status find(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  (void)e;
  finder *f = user;
  if (f->at++ != f->wanted) return CORNU_OK;
  f->owner = owner;
  f->index = index;
  snprintf(f->path, sizeof f->path, "%s", path);
  return CORNU_ERR_NOT_FOUND; /* stops the walk */
}

int cornu_layer_weights(const cornu_layer *l) {
  finder f = {.wanted = -1};
  cn_layer_each_weight((cn_layer *)l, find, &f, NULL);
  return f.at;
}

/* Paths of weights further down are made once and kept with the layer that was asked. */
static const char *keep_path(cn_layer *l, const char *path) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  const char *kept = NULL;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < l->n_paths && !kept; i++)
    if (strcmp(l->paths[i], path) == 0) kept = l->paths[i];
  if (!kept && cn_arena_grow(&l->path_arena, &l->paths, &l->cap_paths, l->n_paths, sizeof *l->paths) &&
      (kept = cn_arena_string(&l->path_arena, path)))
    l->paths[l->n_paths++] = kept;
  pthread_mutex_unlock(&lock);
  return kept;
}

const char *cornu_layer_weight_name(const cornu_layer *l, int i) {
  finder f = {.wanted = i};
  cn_layer_each_weight((cn_layer *)l, find, &f, NULL);
  if (!f.owner) return NULL;
  return f.owner == l ? f.owner->weights[f.index].name : keep_path((cn_layer *)l, f.path);
}

cornu_tensor *cornu_layer_weight(const cornu_layer *l, int i) {
  finder f = {.wanted = i};
  cn_layer_each_weight((cn_layer *)l, find, &f, NULL);
  return f.owner ? f.owner->weights[f.index].value : NULL;
}

cornu_status cornu_layer_set_weights(cornu_layer *l, cornu_tensor *const *weights, int n, cornu_error *e) {
  int have = cornu_layer_weights(l);
  if (n != have)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "layer \"%s\" (%s) has %d weights, not %d", l->name, l->class_name, have, n);
  for (int pass = 0; pass < 2; pass++) /* all fit before one is set */
    for (int i = 0; i < n; i++) {
      finder f = {.wanted = i};
      cn_layer_each_weight(l, find, &f, NULL);
      const cn_weight *w = &f.owner->weights[f.index];
      const cn_tensor *given = weights[i];
      if (cornu_tensor_is_symbolic(given) || !cn_shape_equal(given->rank, given->shape, w->rank, w->shape))
        return cn_fail(e, CORNU_ERR_SHAPE, "layer \"%s\" (%s): %s has shape %s, expected %s", l->name, l->class_name,
                       f.path, CN_SHAPE(given->rank, given->shape), CN_SHAPE(w->rank, w->shape));
      if (!pass) continue;
      cn_tensor *copy;
      CN_TRY(cornu_tensor_cast(weights[i], w->dtype, &copy, e));
      cn_status status = cn_layer_set_weight(f.owner, f.index, copy, e);
      cornu_tensor_release(copy);
      CN_TRY(status);
    }
  return CORNU_OK;
}

cornu_status cornu_layer_add_weight(cornu_layer *l, const char *name, int rank, const int64_t *shape, bool trainable,
                                    cornu_error *e) {
  if (cn_layer_find_weight(l, name) >= 0)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "layer \"%s\" has a weight \"%s\" already", l->name, name);
  CN_TRY(cn_layer_add_weight(l, name, rank, shape, trainable, NULL, e));
  /* zeros until the file's array comes: a handler may look at its weights while the model is built */
  return cornu_tensor_new(CORNU_FLOAT32, rank, shape, &l->weights[l->n_weights - 1].value, e);
}
