/* Layers: making one from its config, its life, the registry of their types. */
#include "layers/layer.h"

#include <string.h>

#include "base/deadline.h"
#include "base/text.h"
#include "layers/custom.h"
#include "layers/operation.h"

bool cn_origin_at_least(const cn_origin *o, int keras, int minor, int patch) {
  return o->keras * 1000000 + o->minor * 1000 + o->patch >= keras * 1000000 + minor * 1000 + patch;
}

bool cn_origin_equal(const cn_origin *a, const cn_origin *b) {
  return a->keras == b->keras && a->minor == b->minor && a->patch == b->patch && a->tf == b->tf &&
         a->theano == b->theano && a->channels_first == b->channels_first && a->h5 == b->h5;
}

void cn_origin_read(const cn_value *serialized, cn_origin *out) {
  const cn_value *v = cn_value_find(serialized, "cornu_origin"), *version = cn_value_find(v, "keras");
  int64_t numbers[3];
  bool known = cn_value_is(version, CORNU_LIST) && version->count == 3;
  for (int i = 0; i < 3 && known; i++)
    known = cn_value_integer(version->items[i], &numbers[i]) && numbers[i] >= !i && numbers[i] < 10000;
  if (!known) return;
  *out = (cn_origin){.keras = (int)numbers[0], .minor = (int)numbers[1], .patch = (int)numbers[2],
                     .tf = cornu_value_as_bool(cn_value_find(v, "tf")),
                     .theano = cornu_value_as_bool(cn_value_find(v, "theano")),
                     .channels_first = cornu_value_as_bool(cn_value_find(v, "channels_first")),
                     .h5 = cornu_value_as_bool(cn_value_find(v, "h5"))};
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
  *out = (cornu_type_info){.name = t->name, .aliases = t->aliases, .help = CN_HELP_OF(t), .versions = t->versions,
                           .n_fields = cn_field_count(t->fields), .min_inputs = t->min_in, .max_inputs = t->max_in,
                           .weights = t->weights ? t->weights : t->build ? "trainable" : NULL};
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
    "init inner_init W_regularizer b_regularizer U_regularizer W_constraint b_constraint U_constraint gamma_init beta_init "
    "depthwise_init pointwise_init depthwise_regularizer depthwise_constraint "
    "lora_rank lora_alpha quantization_config registered_name module build_config";

static const char *text_or(const cn_value *v, const char *other) { return cn_value_str(v) ? cn_value_str(v) : other; }

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
  if (!(l->type->flags & (CN_LAYER_MODEL | CN_LAYER_OWN_CONFIG)) && l->type != &cn_layer_custom)
    CN_TRY(cn_fields_parse(l->type->fields, config, l->settings, common_keys, &hooks, &l->arena, e));
  CN_TRY(cn_layer_policy(l, e));
  return l->type->check ? l->type->check(l, e) : CORNU_OK;
}

cn_status cn_layer_new_typed(const cn_layer_type *type, const char *class_name, const char *name,
                             const cn_value *config, const cn_origin *origin, cn_custom_set *customs, cn_layer **out,
                             cn_error *e) {
  *out = NULL;
  CN_TRY(cn_check_time(e));
  cn_layer *l = cn_calloc(1, sizeof *l);
  if (!l) return cn_no_memory(e);
  atomic_init(&l->references, 1);
  l->type = type;
  l->compute = CORNU_FLOAT32;
  l->named = CORNU_DTYPES;
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
  const char *bare = bare_name(class_name), *why = cn_refusal(bare);
  if (why)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "layer \"%s\" (%s): not supported: %s; or give a handler: "
                   "custom_objects = { %s = function(x, layer) … end }", name, class_name, why, bare);
  cn_text all = {0};
  for (int i = 0; i < cn_layer_type_total; i++)
    cn_text_addf(&all, "%s %s ", cn_layer_types[i]->name, cn_layer_types[i]->aliases ? cn_layer_types[i]->aliases : "");
  char nearest[80];
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

/* Operations and layers may share a name (Maximum): the module tells, where it is saved; where it is not, a layer's
 * config has "trainable", an operation's has not. */
static bool is_operation(const cn_value *serialized, const char *class_name, const cn_layer_type *type,
                         const cn_origin *origin) {
  const char *module = cn_value_str(cn_value_find(serialized, "module"));
  if (module) return strncmp(module, "keras.", 6) == 0 && strstr(module, ".ops");
  if (!origin->h5 || origin->keras < 3) return false;
  if (type && cn_value_find(cn_value_find(serialized, "config"), "trainable")) return false;
  return cn_operation_find(cn_operation_tables, class_name);
}

/* The class under which a handler takes the layer over; NULL: none does. */
static const char *handled_class(cn_custom_set *customs, const char *class_name, const char *registered,
                                 const char *name) {
  if (cn_custom_find(customs, class_name, name)) return class_name;
  return registered && cn_custom_find(customs, registered, name) ? registered : NULL;
}

/* What Keras finds a custom class by. */
static cn_status keep_wrapping(cn_layer *l, const cn_value *serialized, cn_error *e) {
  static const char *const keys[] = {"module", "class_name", "registered_name", "build_config"};
  for (int i = 0; i < CN_COUNT(keys); i++) {
    const cn_value *v = cn_value_find(serialized, keys[i]);
    if (!v) continue;
    if (!l->wrapping) l->wrapping = cn_value_new(&l->arena, CORNU_DICT);
    cn_value *copy = cn_value_copy(&l->arena, v);
    if (!l->wrapping || !copy || !cn_value_put(&l->arena, l->wrapping, keys[i], copy)) return cn_no_memory(e);
  }
  return CORNU_OK;
}

static cn_status new_handled(const char *class_name, const char *name, const cn_value *config,
                             const cn_value *serialized, const cn_origin *origin, cn_custom_set *customs, cn_layer **out,
                             cn_error *e) {
  CN_TRY(cn_layer_new_typed(&cn_layer_custom, class_name, name, config, origin, customs, out, e));
  cn_status status = keep_wrapping(*out, serialized, e);
  if (status) cn_layer_drop(*out), *out = NULL;
  return status;
}

cn_status cn_layer_new(const cn_value *serialized, const cn_origin *around, cn_custom_set *customs, cn_layer **out,
                       cn_error *e) {
  static const cn_value no_config = {.kind = CORNU_DICT};
  cn_origin own = *around, *origin = &own;
  *out = NULL;
  cn_origin_read(serialized, &own);
  const char *class_name = cn_value_str(cn_value_find(serialized, "class_name"));
  if (!class_name)
    return cn_fail(e, CORNU_ERR_FORMAT, "a layer has no class_name: %s",
                   cn_value_show(serialized, (char[100]){0}, 100));
  const cn_value *config = cn_value_find(serialized, "config");
  if (cn_value_is_null(config)) config = &no_config;
  char standard[160];
  cn_snake_case(bare_name(class_name), standard, sizeof standard);
  /* The graph's name counts where both are there: TensorFlowOpLayer keeps its op's in the config. */
  const char *name = text_or(cn_value_find(serialized, "name"), text_or(cn_value_find(config, "name"), standard));
  const char *registered = cn_value_str(cn_value_find(serialized, "registered_name"));
  const char *handled = handled_class(customs, class_name, registered, name);
  const cn_layer_type *type = cn_layer_type_find(class_name);
  if (is_operation(serialized, class_name, type, origin)) type = &cn_layer_operation;
  if (!handled && is_model_config(config) && (!type || !(type->flags & CN_LAYER_MODEL)))
    type = cn_layer_type_find("Functional");
  if (!cn_value_is(config, CORNU_DICT) && !(type && (type->flags & CN_LAYER_MODEL)))
    return cn_fail(e, CORNU_ERR_FORMAT, "layer \"%s\" (%s): the config is %s, expected a dict", name, class_name,
                   cn_value_show(config, (char[80]){0}, 80));
  if (handled) return new_handled(handled, name, config, serialized, origin, customs, out, e);
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
  for (int i = 0; i < CN_COUNT(l->kept); i++) cornu_tensor_release(l->kept[i]);
  cornu_model_release(l->model);
  cn_custom_set_drop(l->customs);
  cn_arena_free(&l->arena);
  cn_arena_free(&l->path_arena);
  cn_free(l);
}

cn_status cn_layer_keep(cn_layer *l, int index, cn_tensor *value, cn_error *e) {
  cn_tensor *plain;
  CN_TRY(cornu_tensor_contiguous(value, &plain, e));
  cornu_tensor_release(l->kept[index]);
  l->kept[index] = plain;
  return CORNU_OK;
}

cn_tensor *cn_layer_kept(const cn_layer *l, int index) { return l->kept[index]; }

cn_status cn_layer_adopt(cn_layer *l, const char *attribute, cn_layer *child, cn_error *e) {
  const char *name = cn_arena_string(&l->arena, attribute);
  if (!name || !cn_arena_grow(&l->arena, &l->children, &l->cap_children, l->n_children, sizeof *l->children)) {
    cn_layer_drop(child);
    return cn_no_memory(e);
  }
  l->children[l->n_children++] = (cn_child){name, child};
  return CORNU_OK;
}

/* ---- public ---- */

cornu_layer *cornu_layer_retain(cornu_layer *l) { return l ? cn_layer_share(l) : NULL; }
void cornu_layer_release(cornu_layer *l) { cn_layer_drop(l); }
const char *cornu_layer_name(const cornu_layer *l) { return l->name; }
const char *cornu_layer_class(const cornu_layer *l) { return l->class_name; }
const cornu_value *cornu_layer_config(const cornu_layer *l) { return l->config; }
cornu_model *cornu_layer_model(const cornu_layer *l) { return l->model; }
bool cornu_layer_trainable(const cornu_layer *l) { return l->trainable; }
