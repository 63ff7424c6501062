/* Inbound nodes: lists of [layer, node, tensor, kwargs] before Keras 3, {args, kwargs} with __keras_tensor__ since. */
#include "model/nodes.h"

#include <string.h>

bool cn_history_parse(const cn_value *v, const cn_map *names, cn_history *out) {
  if (!cn_value_is(v, CORNU_LIST) || (v->count != 3 && v->count != 4)) return false;
  const char *name = cn_value_str(v->items[0]);
  if (!name || (names && !cn_map_get(names, name))) return false;
  out->layer = name;
  return cn_value_integer(v->items[1], &out->node) && cn_value_integer(v->items[2], &out->tensor);
}

static cn_value *reference(cn_arena *a, cn_raw_call *c, const cn_history *h, cn_error *e) {
  if (!cn_arena_grow(a, &c->refs, &c->cap_refs, c->n_refs, sizeof *c->refs)) return cn_no_memory(e), NULL;
  cn_value *dict = cn_value_new(a, CORNU_DICT), *index = cn_value_new(a, CORNU_INT);
  if (!dict || !index) return cn_no_memory(e), NULL;
  index->i = c->n_refs;
  c->refs[c->n_refs++] = *h;
  if (!cn_value_put(a, dict, "@", index)) return cn_no_memory(e), NULL;
  return dict;
}

static bool keras_tensor(const cn_value *v, cn_history *out) {
  const char *class_name = cn_value_str(cn_value_find(v, "class_name"));
  if (!class_name || strcmp(class_name, "__keras_tensor__") != 0) return false;
  return cn_history_parse(cn_value_find(cn_value_find(v, "config"), "keras_history"), NULL, out);
}

/* A copy of `v` with its tensors replaced; names: the layers that legacy triples may name (NULL: Keras 3 notation). */
static cn_value *replace_tensors(cn_arena *a, cn_raw_call *c, const cn_value *v, const cn_map *names, cn_error *e) {
  cn_history h;
  if (names ? cn_history_parse(v, names, &h) : keras_tensor(v, &h)) return reference(a, c, &h, e);
  if (!cn_value_is(v, CORNU_LIST) && !cn_value_is(v, CORNU_DICT)) {
    cn_value *copy = cn_value_copy(a, v);
    if (!copy) cn_no_memory(e);
    return copy;
  }
  cn_value *out = cn_value_new(a, v->kind);
  if (!out) return cn_no_memory(e), NULL;
  for (int i = 0; i < v->count; i++) {
    cn_value *item = replace_tensors(a, c, v->items[i], names, e);
    if (!item) return NULL;
    if (!(v->kind == CORNU_LIST ? cn_value_push(a, out, item) : cn_value_put(a, out, v->keys[i], item)))
      return cn_no_memory(e), NULL;
  }
  return out;
}

static cn_status want_kind(const cn_value *v, cornu_kind kind, const char *what, cn_error *e) {
  if (cn_value_is_null(v) || cn_value_is(v, kind)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_FORMAT, "\"%s\" of an inbound node is %s, expected a %s", what,
                 cn_value_show(v, (char[80]){0}, 80), kind == CORNU_LIST ? "list" : "dict");
}

/* Keras 3: {args: […], kwargs: {…}}. */
static cn_status parse_modern(cn_arena *a, const cn_value *node, cn_raw_call *c, cn_error *e) {
  const cn_value *args = cn_value_find(node, "args"), *kwargs = cn_value_find(node, "kwargs");
  CN_TRY(want_kind(args, CORNU_LIST, "args", e));
  CN_TRY(want_kind(kwargs, CORNU_DICT, "kwargs", e));
  if (cn_value_is_null(args)) args = NULL;
  if (cn_value_is_null(kwargs)) kwargs = NULL;
  if (args && !(c->args = replace_tensors(a, c, args, NULL, e))) return CORNU_ERR_MEMORY;
  c->n_positional = c->n_refs;
  if (kwargs && !(c->kwargs = replace_tensors(a, c, kwargs, NULL, e))) return CORNU_ERR_MEMORY;
  return CORNU_OK;
}

static bool is_constant_entry(const cn_value *v) {
  const char *name = cn_value_is(v, CORNU_LIST) && v->count > 0 ? cn_value_str(v->items[0]) : NULL;
  return name && strcmp(name, "_CONSTANT_VALUE") == 0 && v->count >= 3;
}

/* The first argument of a legacy call: an entry, or lists and dicts of entries. kwargs ride along with every entry. */
static cn_value *legacy_argument(cn_arena *a, cn_raw_call *c, const cn_value *v, const cn_map *names,
                                 const cn_value **kwargs, cn_error *e) {
  cn_history h;
  if (is_constant_entry(v)) {
    if (v->count > 3 && !*kwargs) *kwargs = v->items[3];
    return cn_value_copy(a, v->items[2]);
  }
  if (cn_history_parse(v, names, &h)) {
    if (v->count > 3 && cn_value_is(v->items[3], CORNU_DICT) && (!*kwargs || (*kwargs)->count == 0))
      *kwargs = v->items[3];
    return reference(a, c, &h, e);
  }
  if (!cn_value_is(v, CORNU_LIST) && !cn_value_is(v, CORNU_DICT)) {
    cn_fail(e, CORNU_ERR_FORMAT, "an inbound node holds %s, expected [layer, node, tensor]",
            cn_value_show(v, (char[80]){0}, 80));
    return NULL;
  }
  if (cn_value_is(v, CORNU_LIST) && v->count > 0 && cn_value_str(v->items[0])) {
    cn_fail(e, CORNU_ERR_FORMAT, "an inbound node names the layer \"%s\", which the model does not have",
            cn_value_str(v->items[0]));
    return NULL;
  }
  cn_value *out = cn_value_new(a, v->kind);
  if (!out) return cn_no_memory(e), NULL;
  for (int i = 0; i < v->count; i++) {
    cn_value *item = legacy_argument(a, c, v->items[i], names, kwargs, e);
    if (!item) return NULL;
    if (!(v->kind == CORNU_LIST ? cn_value_push(a, out, item) : cn_value_put(a, out, v->keys[i], item)))
      return cn_no_memory(e), NULL;
  }
  return out;
}

static cn_status parse_legacy(cn_arena *a, const cn_value *node, const cn_map *names, cn_raw_call *c, cn_error *e) {
  c->legacy = true;
  const cn_value *kwargs = NULL;
  cn_value *first = legacy_argument(a, c, node, names, &kwargs, e);
  if (!first) return e && e->status ? e->status : CORNU_ERR_MEMORY;
  if (cn_value_is(first, CORNU_LIST) && first->count == 1) first = first->items[0]; /* one tensor, not a list of one */
  c->args = cn_value_new(a, CORNU_LIST);
  if (!c->args || !cn_value_push(a, c->args, first)) return cn_no_memory(e);
  c->n_positional = c->n_refs;
  CN_TRY(want_kind(kwargs, CORNU_DICT, "kwargs", e));
  if (!cn_value_is_null(kwargs) && !(c->kwargs = replace_tensors(a, c, kwargs, names, e))) return CORNU_ERR_MEMORY;
  return CORNU_OK;
}

cn_status cn_raw_call_parse(cn_arena *a, const cn_value *node, const cn_map *names, cn_raw_call *out, cn_error *e) {
  *out = (cn_raw_call){0};
  if (e) e->status = CORNU_OK;
  if (cn_value_is(node, CORNU_DICT) && (cn_value_find(node, "args") || cn_value_find(node, "kwargs")))
    return parse_modern(a, node, out, e);
  return parse_legacy(a, node, names, out, e);
}

bool cn_shape_from_value(const cn_value *v, cn_type *out) {
  if (!cn_value_is(v, CORNU_LIST) || v->count > CN_MAX_RANK) return false;
  out->rank = v->count;
  for (int i = 0; i < v->count; i++) {
    int64_t d = -1;
    if (!cn_value_is_null(v->items[i]) && (!cn_value_integer(v->items[i], &d) || d < -1)) return false;
    out->shape[i] = d;
  }
  return true;
}

/* Of floats, float64 stays and all others are float32. The first layer of an older Sequential, which has no InputLayer,
 * takes inputs of its own dtype. */
static cornu_dtype declared_dtype(const cn_layer *l) {
  cornu_dtype dtype = l->compute;
  const cn_value *v = cn_value_find(l->config, "input_dtype");
  if (cn_value_is_null(v) && (l->type && (l->type->flags & CN_LAYER_INPUT))) v = cn_value_find(l->config, "dtype");
  const cn_value *policy = cn_value_find(cn_value_find(v, "config"), "name"); /* {class_name: Policy, config: {name}} */
  const char *name = cn_value_str(policy ? policy : v);
  if (name) cornu_dtype_parse(name, &dtype);
  return cn_dtype_is_float(dtype) && dtype != CORNU_FLOAT64 ? CORNU_FLOAT32 : dtype;
}

bool cn_declared_input(const cn_layer *l, cn_type *out) {
  *out = (cn_type){.dtype = declared_dtype(l)};
  const char *first_is_batch[] = {"batch_shape", "batch_input_shape"};
  for (int i = 0; i < 2; i++) {
    const cn_value *v = cn_value_find(l->config, first_is_batch[i]);
    if (!cn_value_is_null(v)) return cn_shape_from_value(v, out);
  }
  const cn_value *v = cn_value_find(l->config, "input_shape");
  if (cn_value_is_null(v) && l->type && (l->type->flags & CN_LAYER_INPUT)) v = cn_value_find(l->config, "shape");
  cn_type rest = *out;
  int64_t dim;
  if (!cn_value_is_null(v)) {
    if (!cn_shape_from_value(v, &rest) || rest.rank >= CN_MAX_RANK) return false;
  } else if (cn_value_integer(cn_value_find(l->config, "input_dim"), &dim) && l->type &&
             strcmp(l->type->name, "Embedding") != 0) {
    const cn_value *length =
        cn_value_find(l->config, "input_length"); /* Keras 1's recurrent layers: (time, features) */
    rest.rank = 0;
    if (length) rest.shape[rest.rank++] = cn_value_integer(length, &(int64_t){0}) ? length->i : -1;
    rest.shape[rest.rank++] = dim;
  } else {
    return false;
  }
  out->rank = rest.rank + 1;
  out->shape[0] = -1;
  memcpy(out->shape + 1, rest.shape, sizeof(int64_t) * (size_t)rest.rank);
  return true;
}
