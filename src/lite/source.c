/* Opening model files in the small library, which knows flat ones alone: in place of formats/source.c and what reads the
 * other formats. */
#include <string.h>

#include "base/file.h"
#include "formats/formats.h"
#include "formats/weights.h"

bool cn_source_is_text(const char *path) { return (void)path, false; }

static const char *text_of(const cn_value *v, const char *key) {
  const char *text = cn_value_str(cn_value_find(v, key));
  return text ? text : "";
}

static cn_status open_flat(const char *path, cn_source *s, cn_error *e) {
  cn_mapping *file;
  const cn_value *v;
  char head[CN_FLAT_HEAD];
  size_t got;
  CN_TRY(cn_file_peek(path, 0, head, sizeof head, &got, e));
  if (got < sizeof head || !cn_flat_sniff(head))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "the small library reads .cornu files alone: cornu convert makes them");
  CN_TRY(cn_file_map(path, &file, e));
  cn_status status = cn_flat_open(file, &s->tree, &s->flat, &v, e);
  cn_mapping_drop(file);
  CN_TRY(status);
  bool has_config = cn_value_is(cn_value_find(v, "config"), CORNU_DICT);
  if (!cn_value_str(cn_value_find(v, "class_name")) || !has_config)
    return cn_fail(e, CORNU_ERR_FORMAT, "it is not a Keras model: \"class_name\" and \"config\" expected");
  if (s->flat->count) s->layout = CN_WEIGHTS_FLAT;
  s->version = text_of(v, "keras_version");
  s->backend = text_of(v, "backend");
  s->config = v;
  return CORNU_OK;
}

cn_status cn_source_open(const char *path, int parts, cn_source *s, cn_error *e) {
  (void)parts;
  *s = (cn_source){.name = cn_base_name(path), .version = "", .backend = "", .group = "", .weights_version = ""};
  cn_status status = open_flat(path, s, e);
  if (!status) return CORNU_OK;
  cn_at(e, status, "%s", s->name);
  cn_source_close(s);
  return status;
}

void cn_source_close(cn_source *s) {
  cn_flat_close(s->flat);
  cn_arena_free(&s->tree.arena);
  *s = (cn_source){0};
}

const char *cn_source_optimizer(const cn_source *s, bool *numbered) { return (void)s, *numbered = false, NULL; }

cn_status cn_origin_of(const cn_source *source, cn_source *weights, const cornu_load_options *options, cn_origin *out,
                       cn_error *e) {
  (void)weights, (void)options, (void)e;
  *out = (cn_origin){.keras = 3};
  cn_origin_read(source->config, out);
  return CORNU_OK;
}

cn_status cn_origin_of_weights(cn_source *weights, const cn_origin *config, const cornu_load_options *options,
                               cn_origin *out, cn_error *e) {
  (void)weights, (void)options, (void)e;
  *out = *config;
  return CORNU_OK;
}

cn_status cn_weights_declare(cn_model *m, cn_source *assets, cn_source *weights, cn_error *e) {
  (void)assets;
  return cn_flat_declare(m, weights->flat, e);
}

cn_status cn_weights_load(cn_model *m, cn_source *s, const cn_origin *origin, const cornu_load_options *options,
                          cn_error *e) {
  (void)origin;
  return cn_flat_load(m, s->flat, options, e);
}
