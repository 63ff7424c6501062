/* Parts by name, and which of them the config of a layer names for a weight. */
#include "layers/part.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "layers/emit.h"

static const struct { const cn_part_type *table; const char *what, *advice; } kinds[] = {
    [CORNU_INITIALIZER] = {cn_initializers, "initializer", "a model that comes with its weights needs none"},
    [CORNU_REGULARIZER] = {cn_regularizers, "regularizer", "cornu.regularizers has all that there are"},
    [CORNU_CONSTRAINT] = {cn_constraints, "constraint", "cornu.constraints has all that there are"},
};

/* ---- By name ---- */

static const cn_part_type *find(const cn_part_type *table, const char *name, const cn_origin *origin) {
  const char version[] = {(char)('0' + origin->keras), 0}, *mark = strrchr(name, '>');
  const cn_part_type *other = NULL;
  if (mark) name = mark + 1;
  for (const cn_part_type *p = table; p->name; p++) {
    if (strcmp(p->name, name) != 0 && !cn_word_in(p->aliases, name, NULL)) continue;
    if (cn_word_in(p->versions, version, NULL)) return p;
    if (!other) other = p;
  }
  return other;
}

static cn_status unknown(cornu_part kind, const char *name, cn_error *e) {
  cn_text all = {0};
  for (const cn_part_type *p = kinds[kind].table; p->name; p++)
    cn_text_addf(&all, "%s %s ", p->name, p->aliases ? p->aliases : "");
  char nearest[80];
  const bool near = all.data && cn_nearest_name(name, all.data, nearest, sizeof nearest);
  cn_text_free(&all);
  return cn_fail(e, CORNU_ERR_UNSUPPORTED, "no %s \"%s\"%s%s%s; %s", kinds[kind].what, name,
                 near ? ": did you mean \"" : "", near ? nearest : "", near ? "\"?" : "", kinds[kind].advice);
}

cn_status cn_part_parse(cornu_part kind, const cn_value *v, const cn_origin *origin, cn_arena *arena, cn_part *out,
                        cn_error *e) {
  *out = (cn_part){NULL, NULL};
  if (cn_value_is_null(v)) return CORNU_OK;
  const cn_value *config = cn_value_find(v, "config");
  const char *name = cn_value_str(v) ? v->s : cn_value_str(cn_value_find(v, "class_name"));
  if (name && strcmp(name, "function") == 0 && cn_value_str(config)) name = config->s;
  if (!name && (name = cn_value_str(cn_value_find(v, "name")))) config = v;
  if (!name)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "the %s is %s, expected a name or {class_name, config}", kinds[kind].what,
                   cn_value_show(v, (char[80]){0}, 80));
  const cn_part_type *type = find(kinds[kind].table, name, origin);
  if (!type) return unknown(kind, name, e);
  *out = (cn_part){type, cn_arena_alloc(arena, type->settings_size + 1)};
  if (!out->settings) return cn_no_memory(e);
  if (!cn_value_is(config, CORNU_DICT)) config = NULL;
  cn_status status = cn_fields_parse(type->fields, config, out->settings, "name dtype", NULL, arena, e);
  return status ? cn_at(e, status, "%s", type->name) : CORNU_OK;
}

/* ---- Of weights ---- */

/* Under which keys, without "_regularizer" or "_constraint", the config of a layer names the part of a weight. */
static const struct { const char *weight, *keys[2]; } owners[] = {
    {"kernel", {"kernel", "W"}},
    {"lora_kernel_a", {"kernel", NULL}},
    {"lora_kernel_b", {"kernel", NULL}},
    {"recurrent_kernel", {"recurrent", "U"}},
    {"bias", {"bias", "b"}},
    {"depthwise_kernel", {"depthwise", NULL}},
    {"pointwise_kernel", {"pointwise", NULL}},
    {"embeddings", {"embeddings", "W"}},
    {"lora_embeddings_a", {"embeddings", NULL}},
    {"lora_embeddings_b", {"embeddings", NULL}},
    {"gamma", {"gamma", NULL}},
    {"beta", {"beta", NULL}},
    {"alpha", {"alpha", NULL}},
    {"W", {"W", NULL}},
    {"b", {"b", NULL}},
};

static const cn_value *named(const cn_layer *l, const cn_weight *w, const char *what) {
  const cn_value *v = NULL;
  for (int i = 0; i < CN_COUNT(owners); i++)
    for (int k = 0; k < 2 && strcmp(owners[i].weight, w->name) == 0 && !v; k++) {
      char key[64];
      if (!owners[i].keys[k]) continue;
      snprintf(key, sizeof key, "%s_%s", owners[i].keys[k], what);
      v = cn_value_find(l->config, key);
      if (cn_value_is_null(v)) v = NULL;
    }
  return v;
}

static void tell(const cn_trace *t, cornu_part kind, const char *of) {
  cn_at(t->error, t->status, "the %s of its %s", kinds[kind].what, of);
}

static cn_part part_of(const cn_layer *l, cn_trace *t, cornu_part kind, const char *of, const cn_value *v) {
  cn_part part = {NULL, NULL};
  if (t->status || !v) return part;
  t->status = cn_part_parse(kind, v, &l->origin, &t->graph->arena, &part, t->error);
  if (t->status) tell(t, kind, of);
  return t->status ? (cn_part){NULL, NULL} : part;
}

static cn_edge emit(cn_trace *t, const cn_part *part, cn_edge x) { return part->type->emit(t, part->settings, x); }

static cn_edge penalty(cn_trace *t, const char *of, const cn_part *part, cn_edge x) {
  const cn_edge loss = emit(t, part, x);
  if (t->status) tell(t, CORNU_REGULARIZER, of);
  return loss;
}

/* For what is done outside of a call of the layer. */
static void tell_layer(const cn_layer *l, const cn_trace *t) {
  if (t->status) cn_at(t->error, t->status, "layer \"%s\" (%s)", l->name, l->class_name);
}

void cn_layer_penalise_weight(cn_layer *l, cn_trace *t, int index) {
  const cn_weight *w = &l->weights[index];
  if (t->status) return;
  const cn_part part = part_of(l, t, CORNU_REGULARIZER, w->name,
                               w->regularizer ? w->regularizer : named(l, w, "regularizer"));
  if (part.type) cn_trace_add_loss(t, penalty(t, w->name, &part, cn_layer_weight_edge(l, t, w->name)));
  tell_layer(l, t);
}

static const cn_value *constraint_of(const cn_layer *l, int index) {
  const cn_weight *w = &l->weights[index];
  return w->constraint ? w->constraint : named(l, w, "constraint");
}

bool cn_layer_constrained(const cn_layer *l, int index) { return constraint_of(l, index) != NULL; }

/* Convolutions of Keras 1 keep their kernels in another shape, which counts for axes. From it and back. */
static cn_edge reshape(cn_trace *t, cn_edge w, const cn_type *to) {
  cn_reshape_attrs a = {.shape = {.n = to->rank}};
  for (int i = 0; i < to->rank; i++) a.shape.v[i] = to->shape[i];
  return cn_emit1(t, &cn_op_reshape, &a, w);
}

static bool theano_kernel(const cn_layer *l) {
  const char *order = cn_value_str(cn_value_find(l->config, "dim_ordering"));
  return order && strcmp(order, "default") != 0 ? strcmp(order, "th") == 0 : l->origin.channels_first;
}

static cn_edge emit_keras1(cn_layer *l, cn_trace *t, const cn_part *part, cn_edge w) {
  const cn_type type = *cn_edge_type(t, w);
  const int n = type.rank;
  if (n == 3) {
    const cn_type kept = {.dtype = type.dtype, .rank = 4, .shape = {type.shape[0], 1, type.shape[1], type.shape[2]}};
    return reshape(t, emit(t, part, reshape(t, w, &kept)), &type);
  }
  if (!theano_kernel(l)) return emit(t, part, w);
  int to[CN_MAX_RANK] = {n - 1, n - 2}, from[CN_MAX_RANK]; /* (out, in, …) */
  for (int i = 2; i < n; i++) to[i] = i - 2;
  for (int i = 0; i < n; i++) from[to[i]] = i;
  return cn_emit_permute(t, emit(t, part, cn_emit_permute(t, w, to)), from);
}

cn_edge cn_layer_constrain(cn_layer *l, cn_trace *t, int index, cn_edge w) {
  const cn_weight *weight = &l->weights[index];
  if (t->status) return CN_NO_EDGE;
  const cn_part part = part_of(l, t, CORNU_CONSTRAINT, weight->name, constraint_of(l, index));
  const bool convolution = l->origin.keras == 1 && strcmp(weight->name, "kernel") == 0 && weight->rank > 2;
  if (part.type) {
    w = convolution ? emit_keras1(l, t, &part, w) : emit(t, &part, w);
    if (t->status) tell(t, CORNU_CONSTRAINT, weight->name);
  }
  tell_layer(l, t);
  return w;
}

/* ---- Of results ---- */

/* tf.keras, and Keras from 3.14 on, divide by the batch. */
static cn_edge by_batch(const cn_layer *l, cn_trace *t, cn_edge loss, cn_edge of) {
  const cn_type *type = cn_edge_type(t, of);
  const bool divides = l->origin.keras == 2 ? l->origin.tf : cn_origin_at_least(&l->origin, 3, 14, 0);
  if (!divides || !type->rank || type->shape[0] < 1) return loss;
  return cn_emit2(t, &cn_op_mul, NULL, loss,
                  cn_emit_scalar(t, cn_edge_type(t, loss)->dtype, 1 / (double)type->shape[0]));
}

void cn_layer_penalise_result(cn_layer *l, cn_trace *t, const cn_value *regularizer, cn_edge y) {
  if (!t->variables || cn_value_is_null(regularizer) || !cn_dtype_is_float(cn_edge_type(t, y)->dtype)) return;
  const cn_part part = part_of(l, t, CORNU_REGULARIZER, "activity", regularizer);
  if (part.type) cn_trace_add_loss(t, by_batch(l, t, penalty(t, "activity", &part, y), y));
}

/* ---- public ---- */

bool cornu_part_info(cornu_part kind, int i, cornu_type_info *out) {
  int n = 0;
  while (kinds[kind].table[n].name) n++;
  if (i < 0 || i >= n) return false;
  const cn_part_type *p = &kinds[kind].table[i];
  *out = (cornu_type_info){.name = p->name, .aliases = p->aliases, .help = CN_HELP_OF(p), .versions = p->versions,
                           .n_fields = cn_field_count(p->fields)};
  return true;
}

bool cornu_part_field(cornu_part kind, int i, int field, cornu_field_info *out) {
  cornu_type_info info;
  return cornu_part_info(kind, i, &info) && cn_field_info(kinds[kind].table[i].fields, field, out);
}

static cn_status check(cornu_part kind, const cn_value *v, const cn_origin *origin, cn_error *e) {
  cn_arena arena = {0};
  cn_part part;
  const cn_status status = cn_part_parse(kind, v, origin, &arena, &part, e);
  cn_arena_free(&arena);
  return status;
}

cornu_status cornu_part_check(cornu_part kind, const cornu_value *v, cornu_error *e) {
  static const cn_origin today = {.keras = 3, .minor = 15};
  return check(kind, v, &today, e);
}

cn_status cn_layer_check_parts(const cn_layer *l, cn_error *e) {
  for (int i = 0; i < l->config->count && l->type->fields; i++) {
    const char *key = cornu_value_key(l->config, i), *end = strrchr(key, '_');
    const cn_field *field = cn_field_find(l->type->fields, key);
    for (int kind = 0; kind < CN_COUNT(kinds); kind++)
      if (end && strcmp(end + 1, kinds[kind].what) == 0 && !(field && field->kind == CN_F_IGNORED)) {
        cn_status status = check((cornu_part)kind, l->config->items[i], &l->origin, e);
        if (status) return cn_at(e, status, "layer \"%s\" (%s): \"%s\"", l->name, l->class_name, key);
      }
  }
  return CORNU_OK;
}
