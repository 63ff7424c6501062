/* Loading models: the config, where it comes from, then the weights. */
#include <string.h>

#include "base/context.h"
#include "base/deadline.h"
#include "base/file.h"
#include "base/text.h"
#include "formats/formats.h"
#include "formats/weights.h"

/* Fields behind struct_size are those that the caller does not know yet: they take their defaults. */
static cn_status read_options(const cornu_load_options *given, cornu_load_options *out, cn_error *e) {
  *out = (cornu_load_options){0};
  if (!given) return CORNU_OK;
  if (given->struct_size < sizeof given->struct_size)
    return cn_fail(e, CORNU_ERR_ARGUMENT,
                   "struct_size of the load options is %zu: set it to sizeof(cornu_load_options)", given->struct_size);
  memcpy(out, given, given->struct_size < sizeof *out ? given->struct_size : sizeof *out);
  return CORNU_OK;
}

static int trust(const cornu_load_options *options) { return options->trusted ? CN_SOURCE_TRUSTED : 0; }

/* A weights file that is not the model's own. */
static cn_status open_weights(const char *path, const cornu_load_options *options, cn_source *s, cn_error *e) {
  CN_TRY(cn_source_open(path, CN_SOURCE_WEIGHTS | trust(options), s, e));
  if (s->layout) return CORNU_OK;
  cn_fail(e, CORNU_ERR_FORMAT, "%s: the file holds no weights", s->name);
  cn_source_close(s);
  return CORNU_ERR_FORMAT;
}

/* A file without an optimizer leaves what an earlier one gave, and so does one that is gone when that is read. */
static cn_status note_optimizer(cn_model *m, const cn_source *s, const char *path, bool trusted, cn_error *e) {
  bool numbered;
  if (cn_file_given(path) || !cn_source_optimizer(s, &numbered)) return CORNU_OK;
  m->optimizer_trusted = trusted;
  if (m->optimizer_path && strcmp(m->optimizer_path, path) == 0) return CORNU_OK;
  m->optimizer_path = cn_arena_string(&m->arena, path);
  return m->optimizer_path ? CORNU_OK : cn_no_memory(e);
}

static cn_status load_from(cn_model *m, cn_source *s, const char *path, const cornu_load_options *options,
                           cn_error *e) {
  cn_origin origin;
  cn_status status = cn_origin_of_weights(s, &m->origin, options, &origin, e);
  if (!status && m->unknown_input && !m->built)
    status = cn_fail(e, CORNU_ERR_UNSUPPORTED,
                     "the model does not tell the shape of its input, so its weights have no shapes yet");
  if (!status) status = cn_weights_load(m, s, &origin, options, e);
  if (!status) status = note_optimizer(m, s, path, options->trusted, e);
  return status ? cn_at(e, status, "%s", s->name) : CORNU_OK;
}

static bool set_texts(cn_model *m, const cn_source *s, const char *path) {
  m->path = cn_arena_string(&m->arena, cn_source_is_text(path) ? "" : path);
  m->keras_version = cn_arena_string(&m->arena, *s->version ? s->version : s->weights_version);
  m->backend = cn_arena_string(&m->arena, *s->backend ? s->backend : m->origin.theano ? "theano" : "");
  if (s->training) m->training_config = cn_value_copy(&m->arena, s->training);
  return m->path && m->keras_version && m->backend && (!s->training || m->training_config);
}

/* source: the config, at paths[0]; weights: NULL, or where the weights are (may be source), at paths[1]. */
static cn_status make_model(cn_source *source, cn_source *weights, const cornu_load_options *options,
                            const char *const paths[2], cn_custom_set *customs, cn_model **out, cn_error *e) {
  cn_origin origin;
  cn_model *m = NULL;
  cn_status status = cn_origin_of(source, weights, options, &origin, e);
  if (!status) status = cn_model_from_config(source->config, &source->tree.arena, &origin, customs, &m, e);
  if (!status && !set_texts(m, source, paths[0])) status = cn_no_memory(e);
  if (!status) m->exact = options->exact;
  if (!status && weights) status = cn_weights_declare(m, source, weights, e);
  if (!status) status = cn_model_build(m, e);
  if (status) cn_at(e, status, "%s", source->name);
  else if (weights) status = load_from(m, weights, paths[1], options, e);
  if (!status && weights) status = cn_tie_shared(m, e);
  if (!status) {
    status = cn_model_init_weights(m, options->seed, e);
    if (!status) status = cn_check_time(e);
    if (status) cn_at(e, status, "%s", source->name);
  }
  if (status) cornu_model_release(m);
  else *out = m;
  return status;
}

static cn_status need_config(const cn_source *s, cn_error *e) {
  if (s->config) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_FORMAT,
                 "%s: the file holds weights alone: load the model's JSON and give this file as its weights", s->name);
}

cornu_status cornu_model_load(const char *path, const char *weights, const cornu_load_options *given, cornu_model **out,
                              cornu_error *e) {
  cornu_load_options options;
  cn_source source = {0}, other = {0};
  cn_custom_set *customs = NULL;
  *out = NULL;
  if (!path) return cn_fail(e, CORNU_ERR_ARGUMENT, "the path of the model is NULL");
  CN_TRY(read_options(given, &options, e));
  CN_TRY(cn_custom_set_new(options.custom, options.n_custom, &customs, e));
  int parts = CN_SOURCE_CONFIG | (weights ? 0 : CN_SOURCE_WEIGHTS) | trust(&options);
  cn_status status = cn_source_open(path, parts, &source, e);
  if (!status) status = need_config(&source, e);
  if (!status && weights) status = open_weights(weights, &options, &other, e);
  cn_source *from = weights ? &other : source.layout ? &source : NULL;
  const char *const paths[] = {path, weights ? weights : path};
  if (!status) status = make_model(&source, from, &options, paths, customs, out, e);
  if (!status)
    cn_log(CORNU_LOG_INFO, "%s: %s, %d layers, %lld parameters", source.name, cornu_model_type(*out),
           cornu_model_layers(*out), (long long)cornu_model_parameters(*out, false));
  cn_source_close(&other);
  cn_source_close(&source);
  cn_custom_set_drop(customs);
  return status;
}

cornu_status cornu_model_load_weights(cornu_model *m, const char *path, const cornu_load_options *given,
                                      cornu_error *e) {
  cornu_load_options options;
  cn_source s;
  if (!m || !path) return cn_fail(e, CORNU_ERR_ARGUMENT, "the %s is NULL", m ? "path of the weights" : "model");
  CN_TRY(read_options(given, &options, e));
  CN_TRY(open_weights(path, &options, &s, e));
  cornu_weights_begin();
  cn_status status = load_from(m, &s, path, &options, e);
  cornu_weights_end();
  cn_source_close(&s);
  return status;
}

/* ---- From the host's memory and archives ---- */

cornu_status cornu_model_load_source(const cornu_source *model, const cornu_source *weights,
                                     const cornu_load_options *options, cornu_model **out, cornu_error *e) {
  cn_given_file files[2] = {0};
  *out = NULL;
  cn_status status = cn_file_take(model, &files[0], e);
  if (!status && weights) status = cn_file_take(weights, &files[1], e);
  if (!status && weights && strcmp(files[0].name, files[1].name) == 0)
    status = cn_fail(e, CORNU_ERR_ARGUMENT, "%s: the sources of the model and of the weights have one name", files[0].name);
  files[0].next = files[1].content ? &files[1] : NULL;
  cn_file_give(files);
  if (!status) status = cornu_model_load(files[0].name, files[1].name, options, out, e);
  cn_file_give(NULL);
  cn_mapping_drop(files[0].content);
  cn_mapping_drop(files[1].content);
  return status;
}

cornu_status cornu_model_load_weights_source(cornu_model *m, const cornu_source *weights,
                                             const cornu_load_options *options, cornu_error *e) {
  cn_given_file file = {0};
  CN_TRY(cn_file_take(weights, &file, e));
  cn_file_give(&file);
  const cn_status status = cornu_model_load_weights(m, file.name, options, e);
  cn_file_give(NULL);
  cn_mapping_drop(file.content);
  return status;
}

cornu_status cornu_check_modeltype(const char *path, const char **out, cornu_error *e) {
  cn_source s;
  *out = NULL;
  if (!path) return cn_fail(e, CORNU_ERR_ARGUMENT, "the path of the model is NULL");
  CN_TRY(cn_source_open(path, CN_SOURCE_CONFIG, &s, e));
  cn_status status = need_config(&s, e);
  if (!status) {
    const cn_value *config = cn_value_find(s.config, "config");
    bool functional = cn_value_find(config, "input_layers") || cn_value_find(config, "output_layers");
    if (functional || cn_value_is(config, CORNU_LIST) || cn_value_find(config, "layers"))
      *out = functional ? "Functional" : "Sequential";
    else
      status = cn_fail(e, CORNU_ERR_FORMAT, "%s: the config of class \"%s\" has no layers", s.name,
                       cn_value_str(cn_value_find(s.config, "class_name")));
  }
  cn_source_close(&s);
  return status;
}
