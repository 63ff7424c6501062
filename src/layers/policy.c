/* Dtype policies: in which dtype a layer computes and to which it casts its inputs, as a name ("float64",
 * "mixed_float16") or an object ({class_name: Policy, DTypePolicy, DTypePolicyMap …}) of any Keras. Policies of 16-bit
 * floats change precision alone: their layers compute in float32. Quantised ones name the policy that they come from;
 * layers that have no quantised form follow that. */
#include <string.h>

#include "base/text.h"
#include "layers/layer.h"

/* ---- Maps of policies ---- */

/* Whether a pattern of literals, `.`, `*` and `+` matches the whole name: what such maps need of regular expressions.
 */
static bool matches(const char *pattern, const char *name) {
  char one = pattern[0], many = one ? pattern[1] : 0;
  if (!one) return !*name;
  if (one == '\\' && many) return *name == many && matches(pattern + 2, name + 1);
  if (many != '*' && many != '+') return *name && (one == '.' || one == *name) && matches(pattern + 1, name + 1);
  for (bool first = many == '*';; first = true) {
    if (first && matches(pattern + 2, name)) return true;
    if (!*name || (one != '.' && one != *name)) return false;
    name++;
  }
}

static const cn_value *mapped(const cn_layer *l, const cn_value *config, cn_error *e) {
  const cn_value *map = cn_value_find(config, "policy_map"), *found = cn_value_find(map, l->name);
  if (found) return found;
  for (int i = 0; cn_value_is(map, CORNU_DICT) && i < map->count; i++) {
    const char *key = cornu_value_key(map, i);
    int stars = 0;
    for (const char *s = key; *s; s++) stars += *s == '*' || *s == '+';
    if (strpbrk(key, "[](){}|^$?") || stars > 4) {
      cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"dtype\" has a policy for \"%s\": patterns may hold . * + and names", key);
      return NULL;
    }
    if (!matches(key, l->name)) continue;
    if (found) {
      cn_fail(e, CORNU_ERR_FORMAT, "\"dtype\" has several policies that fit, \"%s\" among them", key);
      return NULL;
    }
    found = map->items[i];
  }
  return found ? found : cn_value_find(config, "default_policy");
}

cn_status cn_layer_policy_of(const cn_layer *l, const cn_value **out, cn_error *e) {
  const cn_value *v = cn_value_find(l->config, "dtype");
  const char *class_name = cn_value_str(cn_value_find(v, "class_name"));
  *out = v;
  if (!class_name || strcmp(class_name, "DTypePolicyMap") != 0) return CORNU_OK;
  e->status = CORNU_OK;
  *out = mapped(l, cn_value_find(v, "config"), e);
  return e->status;
}

/* ---- Policies ---- */

static cn_status unknown(const cn_value *v, cn_error *e) {
  return cn_fail(e, CORNU_ERR_FORMAT, "\"dtype\" is %s, expected a dtype or a policy such as \"float32\", \"float64\" "
                 "or \"mixed_float16\"", cn_value_show(v, (char[100]){0}, 100));
}

/* The name of the policy; NULL: the layer does not say. */
static cn_status policy_name(const cn_layer *l, const cn_value *v, int depth, const char **out, cn_error *e) {
  static const char classes[] = "Policy PolicyV1 DTypePolicy FloatDTypePolicy QuantizedDTypePolicy "
                                "QuantizedFloat8DTypePolicy Int4DTypePolicy GPTQDTypePolicy AWQDTypePolicy";
  const char *class_name = cn_value_str(cn_value_find(v, "class_name"));
  const cn_value *config = cn_value_find(v, "config");
  *out = cn_value_str(v);
  if (*out || cn_value_is_null(v)) return CORNU_OK;
  if (!class_name || depth > 2 || (!cn_value_is(config, CORNU_DICT) && !cn_value_is_null(config)))
    return unknown(v, e);
  const char *mark = strrchr(class_name, '>');
  if (mark) class_name = mark + 1;
  if (strcmp(class_name, "DTypePolicyMap") == 0) {
    e->status = CORNU_OK;
    const cn_value *one = mapped(l, config, e);
    return e->status ? e->status : policy_name(l, one, depth + 1, out, e);
  }
  if (!cn_word_in(classes, class_name, NULL)) return unknown(v, e);
  const cn_value *name = cn_value_find(config, cn_value_find(config, "source_name") ? "source_name" : "name");
  if (!cn_value_is_null(name) && !cn_value_str(name)) return unknown(v, e);
  *out = cn_value_str(name);
  return CORNU_OK;
}

cn_status cn_layer_policy(cn_layer *l, cn_error *e) {
  const cn_value *v = cn_value_find(l->config, "dtype");
  const char *name = NULL, *source;
  cornu_dtype dtype = CORNU_FLOAT32;
  CN_TRY(policy_name(l, v, 0, &name, e));
  if (!name || strncmp(name, "_infer", 6) == 0) return CORNU_OK;
  source = strstr(name, "_from_");
  if (source) name = source + strlen("_from_");
  if (strncmp(name, "mixed_", 6) == 0 && (strcmp(name + 6, "float16") == 0 || strcmp(name + 6, "bfloat16") == 0))
    name += 6;
  if (strcmp(name, "string") == 0) return CORNU_OK;
  if (!cornu_dtype_parse(name, &dtype)) return unknown(v, e);
  l->named = dtype;
  bool integer = l->type->flags & CN_LAYER_INTEGERS && cn_dtype_is_integer(dtype);
  l->compute = dtype == CORNU_FLOAT64 || integer ? dtype : CORNU_FLOAT32;
  l->casts = (l->origin.keras >= 3 || (l->origin.tf && !integer)) && (cn_dtype_is_float(dtype) || integer) &&
             !(l->type->flags & (CN_LAYER_MODEL | CN_LAYER_INPUT | CN_LAYER_UNCAST));
  l->policy = true;
  return CORNU_OK;
}

/* Before tf.keras casts inputs, a model has one float dtype, which Keras up to 2.2 writes down at its inputs alone. */
void cn_layer_infer(cn_layer *l, const cn_type *in, int n_in) {
  if (l->policy || l->built || l->origin.tf || l->origin.keras > 2) return;
  for (int i = 0; i < n_in; i++)
    if (in[i].dtype == CORNU_FLOAT64) l->compute = CORNU_FLOAT64;
}
