/* Changing layers and models: names, freezing, copies. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/build.h"

/* ---- Names ---- */

static cn_status set_name(cn_layer *l, const char *name, cn_error *e) {
  const char *own = cn_arena_string(&l->arena, name);
  cn_value *text = own ? cn_value_text(&l->arena, own) : NULL;
  if (!text) return cn_no_memory(e);
  if (cn_value_is(l->config, CORNU_DICT) && !cn_value_put(&l->arena, l->config, "name", text)) return cn_no_memory(e);
  l->name = own;
  return CORNU_OK;
}

static cn_status check_name(const char *name, cn_error *e) {
  if (!name || !*name || strchr(name, '/'))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"%s\" is no name of a layer: some text without \"/\" is", name ? name : "");
  return CORNU_OK;
}

cornu_status cornu_layer_rename(cornu_layer *l, const cornu_model *m, const char *name, cornu_error *e) {
  CN_TRY(check_name(name, e));
  for (int i = 0; m && i < m->n_layers; i++)
    if (m->layers[i] != l && strcmp(cn_model_label(m, i), name) == 0)
      return cn_fail(e, CORNU_ERR_ARGUMENT, "model \"%s\" has a layer \"%s\" (%s) already", m->name, name,
                     m->layers[i]->class_name);
  CN_TRY(set_name(l, name, e));
  l->auto_named = false;
  return l->model ? cornu_model_rename(l->model, name, e) : CORNU_OK;
}

cornu_status cornu_model_rename(cornu_model *m, const char *name, cornu_error *e) {
  CN_TRY(check_name(name, e));
  const char *own = cn_arena_string(&m->arena, name);
  if (!own) return cn_no_memory(e);
  m->name = own;
  return CORNU_OK;
}

static cn_status rename_free(cn_map *names, cn_layer *l, cn_error *e) {
  char name[200];
  const char *base = l->name;
  int number = 0;
  do snprintf(name, sizeof name, "%.180s_%d", base, ++number);
  while (cn_map_get(names, name));
  return set_name(l, name, e);
}

cn_status cn_name_apart(cn_map *names, cn_layer *l, const char *label, cn_model *m, cn_error *e) {
  intptr_t at = (intptr_t)cn_map_get(names, label);
  if (!at) return CORNU_OK;
  cn_layer *other = m->layers[at - 1];
  if (other == l) return cn_fail(e, CORNU_ERR_ARGUMENT, "layer \"%s\" is there twice: a Sequential holds it once", label);
  if (l->auto_named && label == l->name) return rename_free(names, l, e);
  if (!other->auto_named || other->name != cn_model_label(m, (int)at - 1))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "two layers are named \"%s\" (%s and %s): rename one of them", label,
                   other->class_name, l->class_name);
  CN_TRY(rename_free(names, other, e));
  return cn_map_set(names, other->name, (void *)at) ? CORNU_OK : cn_no_memory(e);
}

/* ---- Freezing ---- */

cornu_status cornu_layer_set_trainable(cornu_layer *l, bool trainable, cornu_error *e) {
  cn_value *flag = cn_value_new(&l->arena, CORNU_BOOL);
  if (!flag) return cn_no_memory(e);
  flag->b = trainable;
  if (cn_value_is(l->config, CORNU_DICT) && !cn_value_put(&l->arena, l->config, "trainable", flag))
    return cn_no_memory(e);
  l->trainable = trainable;
  for (int i = 0; i < l->n_children; i++) CN_TRY(cornu_layer_set_trainable(l->children[i].layer, trainable, e));
  return l->model ? cornu_model_set_trainable(l->model, trainable, e) : CORNU_OK;
}

cornu_status cornu_model_set_trainable(cornu_model *m, bool trainable, cornu_error *e) {
  for (int i = 0; i < m->n_layers; i++) CN_TRY(cornu_layer_set_trainable(m->layers[i], trainable, e));
  return CORNU_OK;
}

/* ---- Copies ---- */

static cn_status copy_layer(cn_layer *l, cn_layer **out, cn_error *e) {
  *out = NULL;
  if (l->model) {
    cn_model *inner;
    CN_TRY(cornu_model_clone(l->model, NULL, &inner, e));
    cn_status status = cn_layer_of_model(inner, out, e);
    cornu_model_release(inner);
    if (!status) status = set_name(*out, l->name, e);
    if (status) cn_layer_drop(*out), *out = NULL;
    return status;
  }
  CN_TRY(cn_layer_new_typed(l->type, l->class_name, l->name, l->config, &l->origin, l->customs, out, e));
  (*out)->auto_named = l->auto_named;
  return CORNU_OK;
}

/* A handler's layer has the weights that its file told; others have what they learned beside weights. */
static cn_status declare(cn_layer *to, const cn_layer *from, cn_error *e) {
  for (int i = 0; i < CN_COUNT(from->kept); i++)
    if (from->kept[i]) CN_TRY(cn_layer_keep(to, i, from->kept[i], e));
  for (int i = 0; from->custom && !from->custom->build && i < from->n_weights; i++) {
    const cn_weight *w = &from->weights[i];
    CN_TRY(cn_layer_add_weight(to, w->name, w->rank, w->shape, w->trainable, NULL, e));
  }
  for (int i = 0; i < from->n_children && i < to->n_children; i++)
    CN_TRY(declare(to->children[i].layer, from->children[i].layer, e));
  return CORNU_OK;
}

static cn_status copy_weights(cn_layer *to, const cn_layer *from, cn_error *e) {
  if (to->n_weights != from->n_weights || to->n_children != from->n_children)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "layer \"%s\" (%s) cannot be copied: its config does not tell its weights",
                   from->name, from->class_name);
  to->trainable = from->trainable;
  for (int i = 0; i < from->n_weights; i++)
    if (from->weights[i].value) CN_TRY(cn_layer_set_weight(to, i, from->weights[i].value, e));
  for (int i = 0; i < from->n_children; i++)
    CN_TRY(copy_weights(to->children[i].layer, from->children[i].layer, e));
  return CORNU_OK;
}

static cn_status copy_node(cn_model *to, const cn_model_node *from, cn_error *e) {
  if (from->input >= 0) {
    CN_TRY(cn_model_add_input(to, from->layer, from->input_name, from->out_types, e));
    to->nodes[to->n_nodes - 1].input = from->input;
    return CORNU_OK;
  }
  cn_model_node *n = cn_model_add_node(to, from->layer, from->n_in);
  if (!n) return cn_no_memory(e);
  memcpy(n->in, from->in, sizeof *n->in * (size_t)from->n_in);
  n->n_positional = from->n_positional;
  n->call = from->call;
  n->args = cn_value_copy(&to->arena, from->args);
  n->kwargs = cn_value_copy(&to->arena, from->kwargs);
  return (from->args && !n->args) || (from->kwargs && !n->kwargs) ? cn_no_memory(e) : CORNU_OK;
}

static cn_status copy_texts(cn_model *to, const cn_model *from, const char *name, cn_error *e) {
  to->origin = from->origin;
  to->sequential = from->sequential;
  to->customs = from->customs ? cn_custom_set_share(from->customs) : NULL;
  to->name = cn_arena_string(&to->arena, name ? name : from->name);
  to->class_name = cn_arena_string(&to->arena, from->class_name);
  to->path = cn_arena_string(&to->arena, from->path);
  if (from->optimizer_path) to->optimizer_path = cn_arena_string(&to->arena, from->optimizer_path);
  to->optimizer_trusted = from->optimizer_trusted;
  to->exact = from->exact;
  to->keras_version = cn_arena_string(&to->arena, from->keras_version);
  to->backend = cn_arena_string(&to->arena, from->backend);
  to->config = cn_value_copy(&to->arena, from->config);
  to->training_config = cn_value_copy(&to->arena, from->training_config);
  bool room = to->name && to->class_name && to->path && to->keras_version && to->backend &&
              (!from->config || to->config) && (!from->training_config || to->training_config);
  return room ? CORNU_OK : cn_no_memory(e);
}

static cn_status copy_structure(cn_model *to, const cn_model *from, cn_error *e) {
  for (int i = 0; i < from->n_layers; i++) {
    cn_layer *l;
    CN_TRY(copy_layer(from->layers[i], &l, e));
    cn_status status = cn_model_add_layer(to, l, e);
    cn_layer_drop(l);
    if (!status) status = declare(l, from->layers[i], e);
    if (!status && i < from->n_labels && from->labels[i]) status = cn_model_set_label(to, i, from->labels[i], e);
    CN_TRY(status);
  }
  for (int i = 0; i < from->n_nodes; i++) CN_TRY(copy_node(to, &from->nodes[i], e));
  for (int i = 0; i < from->n_inputs; i++) {
    to->inputs[i] = from->inputs[i];
    to->input_keys[i] = from->input_keys[i] ? cn_arena_string(&to->arena, from->input_keys[i]) : NULL;
  }
  for (int i = 0; i < from->n_outputs; i++)
    CN_TRY(cn_model_add_output(to, from->outputs[i], from->output_keys[i], e));
  return CORNU_OK;
}

cornu_status cornu_model_clone(cornu_model *m, const char *name, cornu_model **out, cornu_error *e) {
  *out = NULL;
  if (!m->built) return cn_fail(e, CORNU_ERR_ARGUMENT, "\"%s\" is not built: its input shape is not known", m->name);
  cn_model *copy;
  CN_TRY(cn_model_alloc(&copy, e));
  cn_status status = copy_texts(copy, m, name, e);
  if (!status) status = copy_structure(copy, m, e);
  if (!status) status = cn_model_build(copy, e);
  for (int i = 0; i < m->n_layers && !status; i++)
    if (!m->layers[i]->model) status = copy_weights(copy->layers[i], m->layers[i], e);
  if (status) cornu_model_release(copy);
  else *out = copy;
  return status;
}
