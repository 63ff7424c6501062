/* Opening model files: what a file is, by its content, and the parts of it. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "formats/formats.h"
#include "formats/yaml.h"

typedef enum content { HDF5, ZIP, JSON, YAML, KERAS_FOLDER, FLAT } content;

/* ---- Sniffing ---- */

static const char hdf5_signature[] = "\x89HDF\r\n\x1a\n";

/* The signature may follow a user block of 512, 1024, 2048 … bytes. */
static bool is_hdf5(const char *path) {
  char head[8];
  size_t got = sizeof head;
  for (size_t offset = 0; got == sizeof head && offset < (size_t)1 << 30; offset = offset ? 2 * offset : 512) {
    if (cn_file_peek(path, offset, head, sizeof head, &got, NULL)) return false;
    if (got == sizeof head && memcmp(head, hdf5_signature, sizeof head) == 0) return true;
  }
  return false;
}

static bool has_file(const char *folder, const char *name) {
  char path[4096];
  return snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path && cn_file_exists(path);
}

static cn_status sniff_folder(const char *path, content *out, cn_error *e) {
  if (has_file(path, "config.json") && (has_file(path, "metadata.json") || has_file(path, "model.weights.h5")))
    return *out = KERAS_FOLDER, CORNU_OK;
  if (has_file(path, "saved_model.pb") || has_file(path, "saved_model.pbtxt"))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                   "a TensorFlow SavedModel, which this version does not read: save the model as .keras or .h5");
  if (has_file(path, "checkpoint"))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                   "a folder of TensorFlow checkpoints, which this version does not read: save the weights as "
                   ".weights.h5");
  return cn_fail(e, CORNU_ERR_FORMAT, "a folder without config.json: not a model");
}

static bool starts(const char *head, size_t got, const char *text) {
  size_t length = strlen(text);
  return got >= length && memcmp(head, text, length) == 0;
}

static bool ends(const char *path, const char *with) {
  size_t length = strlen(path), n = strlen(with);
  return length > n && strcmp(path + length - n, with) == 0;
}

/* Whether the bytes, which may be NULs, have the text in them. */
static bool holds(const char *head, size_t got, const char *text) {
  for (size_t i = 0; i + strlen(text) <= got; i++)
    if (memcmp(head + i, text, strlen(text)) == 0) return true;
  return false;
}

/* Files of others that people take for Keras models; at: where the text stands in them. */
static cn_status refuse_known(const char *path, const char *head, size_t got, cn_error *e) {
  static const struct { const char *text; size_t at; const char *what; } known[] = {
      {"\x93NUMPY", 0, "a NumPy array, not a model"},
      {"\x80\2", 0, "a Python pickle (PyTorch saved such ones, too), which is never read: it can run any code"},
      {"\x80\3", 0, "a Python pickle, which is never read: it can run any code"},
      {"\x80\4", 0, "a Python pickle, which is never read: it can run any code"},
      {"\x80\5", 0, "a Python pickle, which is never read: it can run any code"},
      {"\x1f\x8b", 0, "packed by gzip: unpack it first (gunzip, or tar xzf)"},
      {"BZh", 0, "packed by bzip2: unpack it first (bunzip2)"},
      {"\xfd" "7zXZ", 0, "packed by xz: unpack it first (unxz)"},
      {"TFL3", 4, "a TensorFlow Lite model: save the model as .keras or .h5"},
      {"ustar", 257, "a tar archive: unpack it first (tar xf)"}};
  for (int i = 0; i < CN_COUNT(known); i++)
    if (got > known[i].at && starts(head + known[i].at, got - known[i].at, known[i].text))
      return cn_fail(e, *head == '\x93' ? CORNU_ERR_FORMAT : CORNU_ERR_UNSUPPORTED, "%s", known[i].what);
  if (ends(path, ".onnx") || holds(head, got, "pytorch") || holds(head, got, "tf2onnx"))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "an ONNX model: save the model with Keras, as .keras or .h5");
  return CORNU_OK;
}

static bool is_page(const char *head) {
  static const char *const tags[] = {"<!doctype", "<!DOCTYPE", "<html", "<HTML", "<?xml"};
  for (int i = 0; i < CN_COUNT(tags); i++)
    if (strncmp(head, tags[i], strlen(tags[i])) == 0) return true;
  return false;
}

/* Texts and other things that people take for models. */
static cn_status sniff_other(const char *path, const char *head, size_t got, content *out, cn_error *e) {
  size_t at = starts(head, got, "\xef\xbb\xbf") ? 3 : 0;
  while (at < got && strchr(" \t\r\n", head[at]) && head[at]) at++;
  if (at < got && (head[at] == '{' || head[at] == '"')) return *out = JSON, CORNU_OK;
  if (got == 0) return cn_fail(e, CORNU_ERR_FORMAT, "the file is empty: it was not downloaded, or not saved, in full");
  if (is_page(head + at))
    return cn_fail(e, CORNU_ERR_FORMAT,
                   "a web page, not the file itself: take the address of the file (GitHub: \"raw\", Hugging Face: "
                   "\"resolve\")");
  if (starts(head, got, "version https://git-lfs"))
    return cn_fail(e, CORNU_ERR_FORMAT, "a Git LFS pointer, not the file itself: run `git lfs pull`");
  if (strstr(head, "class_name:") || strstr(head, "keras_version:")) return *out = YAML, CORNU_OK;
  if (starts(head, got, "model_checkpoint_path:"))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                   "a TensorFlow checkpoint, which this version does not read: save the weights as .weights.h5");
  CN_TRY(refuse_known(path, head, got, e));
  return cn_fail(e, CORNU_ERR_FORMAT, "not a Keras model: neither HDF5, nor a .keras archive, nor JSON or YAML");
}

static cn_status sniff(const char *path, content *out, cn_error *e) {
  char head[513] = "";
  size_t got = 0;
  if (cn_file_is_folder(path)) return sniff_folder(path, out, e);
  if (!cn_file_exists(path)) {
    char index[4096];
    if (snprintf(index, sizeof index, "%s.index", path) < (int)sizeof index && cn_file_exists(index))
      return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                     "a TensorFlow checkpoint, which this version does not read: save the weights as .weights.h5");
    return cn_fail(e, CORNU_ERR_NOT_FOUND, "no such file");
  }
  CN_TRY(cn_file_peek(path, 0, head, sizeof head - 1, &got, e));
  /* An archive first: the weights in it may begin where a user block could end. */
  if (starts(head, got, "PK\3\4") || starts(head, got, "PK\5\6")) return *out = ZIP, CORNU_OK;
  if (got >= CN_FLAT_HEAD && cn_flat_sniff(head)) return *out = FLAT, CORNU_OK;
  if (is_hdf5(path)) return *out = HDF5, CORNU_OK;
  if (got && (ends(path, ".yaml") || ends(path, ".yml"))) return *out = YAML, CORNU_OK;
  if (ends(path, ".index"))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "the index of a TensorFlow checkpoint, which this version does not read");
  if (ends(path, ".pb"))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                   "a TensorFlow graph, which this version does not read: save the model as .keras or .h5");
  return sniff_other(path, head, got, out, e);
}

/* ---- JSON and YAML ---- */

/* Some files hold the JSON text as a JSON string. */
static cn_status parse_json(cn_source *s, const char *text, size_t length, cn_value **out, cn_error *e) {
  CN_TRY(cornu_json_read(&s->tree, text, length, out, e));
  for (int i = 0; i < 2 && (*out)->kind == CORNU_STRING; i++)
    CN_TRY(cornu_json_read(&s->tree, (*out)->s, (size_t)(*out)->count, out, e));
  return CORNU_OK;
}

static const char *text_of(const cn_value *v, const char *key) {
  const char *text = cn_value_str(cn_value_find(v, key));
  return text ? text : "";
}

static cn_status set_config(cn_source *s, const cn_value *v, cn_error *e) {
  const cn_value *config = cn_value_find(v, "config");
  if (cn_value_is(cn_value_find(v, "node"), CORNU_LIST))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                   "a graph in MMdnn's intermediate format, which this version does not read");
  bool has_config = cn_value_is(config, CORNU_DICT) || cn_value_is(config, CORNU_LIST);
  if (!cn_value_str(cn_value_find(v, "class_name")) || !has_config)
    return cn_fail(e, CORNU_ERR_FORMAT, "the %s %s is not a Keras model: \"class_name\" and \"config\" expected",
                   s->yaml ? "YAML" : "JSON", cn_value_show(v, (char[80]){0}, 80));
  s->config = v;
  return CORNU_OK;
}

/* ---- Weights in several files: an index tells which objects are where ---- */

typedef struct shards { const char *folder; size_t folder_length; cn_names paths; cn_map known; } shards;

/* Beside the index: a name that leads elsewhere is refused. */
static cn_status add_shard(cn_source *s, shards *all, const cn_value *v, cn_error *e) {
  const char *name = cn_value_str(v);
  if (!name || !*name || strchr(name, '/') || strchr(name, '\\') || *name == '.')
    return cn_fail(e, CORNU_ERR_FORMAT, "weight_map: %s is not the name of a file beside the index",
                   cn_value_show(v, (char[80]){0}, 80));
  if (cn_map_get(&all->known, name)) return CORNU_OK;
  if (all->paths.count >= cn_limits.max_layers)
    return cn_fail(e, CORNU_ERR_LIMIT, "weight_map: more than %d files", cn_limits.max_layers);
  const char *path = cn_arena_printf(&s->tree.arena, "%.*s%s", (int)all->folder_length, all->folder, name);
  bool added = path && cn_names_add(&s->tree.arena, &all->paths, path, strlen(path)) &&
      cn_map_set(&all->known, name, (void *)name);
  return added ? CORNU_OK : cn_no_memory(e);
}

static cn_status list_shards(cn_source *s, shards *all, const cn_value *map, cn_error *e) {
  for (int i = 0; i < map->count; i++) {
    const cn_value *v = map->items[i];
    if (!cn_value_is(v, CORNU_LIST)) CN_TRY(add_shard(s, all, v, e));
    for (int k = 0; cn_value_is(v, CORNU_LIST) && k < v->count; k++) CN_TRY(add_shard(s, all, v->items[k], e));
  }
  return all->paths.count ? CORNU_OK : cn_fail(e, CORNU_ERR_FORMAT, "weight_map names no files");
}

static cn_status open_shards(const char *path, const cn_value *index, int parts, cn_source *s, cn_error *e) {
  shards all = {.folder = path, .folder_length = strlen(path) - strlen(cn_base_name(path))};
  if (!(parts & CN_SOURCE_WEIGHTS)) return CORNU_OK;
  cn_status status = list_shards(s, &all, cn_value_find(index, "weight_map"), e);
  if (!status)
    status = cn_h5_open_union(all.paths.items, all.paths.count, parts & CN_SOURCE_TRUSTED, &s->h5, e);
  cn_map_free(&all.known);
  if (!status) s->layout = CN_WEIGHTS_OBJECTS;
  return status;
}

static cn_status set_whole(cn_source *s, const cn_value *v, cn_error *e) {
  s->version = text_of(v, "keras_version");
  s->backend = text_of(v, "backend");
  return set_config(s, v, e);
}

static cn_status open_text(const char *path, bool yaml, int parts, cn_source *s, cn_error *e) {
  char *text;
  size_t size;
  cn_value *v;
  s->json = !yaml;
  s->yaml = yaml;
  CN_TRY(cn_file_read(path, cn_limits.max_text_bytes, &text, &size, e));
  cn_status status = yaml ? cn_yaml_read(&s->tree, text, size, &v, e) : parse_json(s, text, size, &v, e);
  cn_free(text);
  CN_TRY(status);
  if (cn_value_is(cn_value_find(v, "weight_map"), CORNU_DICT)) return open_shards(path, v, parts, s, e);
  return set_whole(s, v, e);
}

bool cn_source_is_text(const char *path) {
  return path[strspn(path, " \t\r\n")] == '{' && !cn_file_exists(path) && !cn_file_is_folder(path);
}

/* model.to_json() in place of a path. */
static cn_status open_given(const char *text, cn_source *s, cn_error *e) {
  cn_value *v;
  size_t length = strlen(text);
  s->name = "the JSON text";
  s->json = true;
  if (length > cn_limits.max_text_bytes)
    return cn_fail(e, CORNU_ERR_LIMIT, "%zu bytes are more than the limit of %zu", length, cn_limits.max_text_bytes);
  CN_TRY(parse_json(s, text, length, &v, e));
  return set_whole(s, v, e);
}

/* ---- HDF5 ---- */

static cn_status text_attr(cn_source *s, const char *path, const char *name, const char **out, cn_error *e) {
  CN_TRY(cn_h5_attr_text(s->h5, path, name, &s->tree.arena, out, NULL, e));
  if (!*out) *out = "";
  return CORNU_OK;
}

static bool lists_layers(cn_h5 *f, const char *group) {
  return cn_h5_has_attr(f, group, "layer_names") || cn_h5_has_attr(f, group, "layer_names0");
}

static void find_layout(cn_source *s) {
  s->group = lists_layers(s->h5, "") || cn_h5_find(s->h5, "model_weights") != CN_H5_GROUP ? "" : "model_weights";
  if (lists_layers(s->h5, s->group)) s->layout = CN_WEIGHTS_LEGACY;
  else if (cn_h5_has_attr(s->h5, s->group, "nb_layers")) s->layout = CN_WEIGHTS_NUMBERED;
  else if (cn_h5_find(s->h5, "layers") || cn_h5_find(s->h5, "_layer_checkpoint_dependencies") ||
           cn_h5_find(s->h5, "vars"))
    s->layout = CN_WEIGHTS_OBJECTS;
}

static cn_status open_h5(const char *path, int parts, cn_source *s, cn_error *e) {
  const char *text;
  size_t length;
  cn_value *v;
  CN_TRY(cn_h5_open(path, parts & CN_SOURCE_TRUSTED, &s->h5, e));
  find_layout(s);
  CN_TRY(text_attr(s, "", "keras_version", &s->version, e));
  CN_TRY(text_attr(s, "", "backend", &s->backend, e));
  if (s->layout == CN_WEIGHTS_LEGACY) {
    CN_TRY(text_attr(s, s->group, "keras_version", &s->weights_version, e));
    if (!*s->backend) CN_TRY(text_attr(s, s->group, "backend", &s->backend, e));
  }
  if (!(parts & CN_SOURCE_CONFIG)) return CORNU_OK;
  CN_TRY(cn_h5_attr_text(s->h5, "", "model_config", &s->tree.arena, &text, &length, e));
  if (!text && s->layout) return CORNU_OK;
  if (!text)
    return cn_fail(e, CORNU_ERR_FORMAT,
                   "an HDF5 file without a Keras model (no attribute \"model_config\") and without weights (no "
                   "\"layer_names\")");
  CN_TRY(parse_json(s, text, length, &v, e));
  CN_TRY(set_config(s, v, e));
  CN_TRY(cn_h5_attr_text(s->h5, "", "training_config", &s->tree.arena, &text, &length, e));
  if (!text) return CORNU_OK;
  CN_TRY(parse_json(s, text, length, &v, e));
  s->training = v;
  return CORNU_OK;
}

/* ---- .keras ---- */

/* The three members of a .keras archive, from a zip or from a folder. */
typedef struct members { const char *folder; cn_zip *zip; } members;

static bool has_member(const members *m, const char *name) {
  return m->zip ? cn_zip_find(m->zip, name) >= 0 : has_file(m->folder, name);
}

static cn_status read_member(const members *m, const char *name, size_t max, char **data, size_t *size, cn_error *e) {
  char path[4096];
  if (m->zip) return cn_zip_read(m->zip, cn_zip_find(m->zip, name), max, data, size, e);
  snprintf(path, sizeof path, "%s/%s", m->folder, name);
  return cn_file_read(path, max, data, size, e);
}

static cn_status read_json_member(cn_source *s, const members *m, const char *name, cn_value **out, cn_error *e) {
  char *text;
  size_t size;
  CN_TRY(read_member(m, name, cn_limits.max_text_bytes, &text, &size, e));
  cn_status status = parse_json(s, text, size, out, e);
  cn_free(text);
  return status ? cn_at(e, status, "%s", name) : CORNU_OK;
}

static cn_status check_members(const members *m, cn_error *e) {
  if (has_member(m, "config.json")) return CORNU_OK;
  if (has_member(m, "config.keras") || has_member(m, "state.h5"))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                   "a .keras archive from before the format was settled (TensorFlow 2.10, 2.11): save it anew as .h5");
  int count = m->zip ? cn_zip_count(m->zip) : 0;
  for (int i = 0; i < count; i++) {
    const char *name = cn_zip_name(m->zip, i);
    size_t length = strlen(name);
    if (length > 4 && strcmp(name + length - 4, ".npy") == 0)
      return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                     "an archive of arrays (.npz), not a model; weights are read from .h5 and .keras files");
    if (strcmp(cn_base_name(name), "data.pkl") == 0)
      return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                     "a PyTorch file, whose weights are Python pickles, which are never read: convert it to Keras first");
    if (strcmp(cn_base_name(name), "saved_model.pb") == 0)
      return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                     "a zipped TensorFlow SavedModel, which this version does not read: save the model as .keras or "
                     ".h5");
    if (strcmp(cn_base_name(name), "config.json") == 0)
      return cn_fail(e, CORNU_ERR_FORMAT,
                     "config.json is in a folder of the archive (%s): zip the content of the folder, not the folder",
                         name);
  }
  return cn_fail(e, CORNU_ERR_FORMAT, "a zip archive without config.json: not a .keras model");
}

static cn_status open_member_weights(cn_source *s, const members *m, bool trusted, cn_error *e) {
  char path[4096];
  if (!has_member(m, "model.weights.h5")) {
    if (has_member(m, "model.weights.npz"))
      return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                     "its weights are Python pickles (model.weights.npz), which are never read: save the model with "
                     "h5py installed");
    return CORNU_OK;
  }
  if (m->zip) {
    cn_mapping *image;
    CN_TRY(cn_zip_map(m->zip, cn_zip_find(m->zip, "model.weights.h5"), &image, e));
    cn_status status = cn_h5_open_memory(image, trusted, &s->h5, e);
    cn_mapping_drop(image);
    CN_TRY(status);
  } else {
    snprintf(path, sizeof path, "%s/model.weights.h5", m->folder);
    CN_TRY(cn_h5_open(path, trusted, &s->h5, e));
  }
  find_layout(s);
  if (s->layout == CN_WEIGHTS_LEGACY) CN_TRY(text_attr(s, s->group, "keras_version", &s->weights_version, e));
  return CORNU_OK;
}

static cn_status open_members(cn_source *s, const members *m, int parts, cn_error *e) {
  cn_value *v;
  s->keras_archive = true;
  CN_TRY(check_members(m, e));
  if (has_member(m, "metadata.json")) {
    CN_TRY(read_json_member(s, m, "metadata.json", &v, e));
    s->version = text_of(v, "keras_version");
    s->backend = text_of(v, "backend");
  }
  CN_TRY(read_json_member(s, m, "config.json", &v, e));
  cn_status status = set_config(s, v, e);
  if (status) return cn_at(e, status, "config.json");
  const cn_value *compiled = cn_value_find(v, "compile_config");
  s->training = cn_value_is(compiled, CORNU_DICT) && compiled->count ? compiled : NULL;
  if (!(parts & CN_SOURCE_WEIGHTS)) return CORNU_OK;
  status = open_member_weights(s, m, parts & CN_SOURCE_TRUSTED, e);
  return status ? cn_at(e, status, "model.weights.h5") : CORNU_OK;
}

static cn_status open_zip(const char *path, int parts, cn_source *s, cn_error *e) {
  CN_TRY(cn_zip_open(path, &s->zip, e));
  return open_members(s, &(members){.folder = path, .zip = s->zip}, parts, e);
}

static cn_status open_folder(const char *path, int parts, cn_source *s, cn_error *e) {
  s->folder = cn_arena_string(&s->tree.arena, path);
  return s->folder ? open_members(s, &(members){.folder = path}, parts, e) : cn_no_memory(e);
}

/* Names of layers come into the path of an asset: none of them may lead out of the folder. */
static bool stays_inside(const char *path) {
  for (const char *part = path;; part = strchr(part, '/') + 1) {
    size_t n = strcspn(part, "/");
    if (n == 0 || (part[0] == '.' && (n == 1 || (n == 2 && part[1] == '.'))) || memchr(part, '\\', n)) return false;
    if (!part[n]) return true;
  }
}

cn_status cn_source_asset(cn_source *s, const char *path, const char *name, char **text, size_t *length, cn_error *e) {
  char at[4096];
  *text = NULL;
  if (snprintf(at, sizeof at, "assets/%s/%s", path, name) >= (int)sizeof at || !stays_inside(at)) return CORNU_OK;
  int entry = s->zip ? cn_zip_find(s->zip, at) : -1;
  if (entry >= 0) return cn_zip_read(s->zip, entry, cn_limits.max_text_bytes, text, length, e);
  if (!s->folder || !has_file(s->folder, at)) return CORNU_OK;
  cn_status status = read_member(&(members){.folder = s->folder}, at, cn_limits.max_text_bytes, text, length, e);
  return status ? cn_at(e, status, "%s", at) : CORNU_OK;
}

/* ---- Flat files ---- */

static cn_status open_flat(const char *path, cn_source *s, cn_error *e) {
  cn_mapping *file;
  const cn_value *v;
  CN_TRY(cn_file_map(path, &file, e));
  cn_status status = cn_flat_open(file, &s->tree, &s->flat, &v, e);
  cn_mapping_drop(file);
  CN_TRY(status);
  if (s->flat->count) s->layout = CN_WEIGHTS_FLAT;
  const cn_value *training = cn_value_find(v, "training_config");
  s->training = cn_value_is(training, CORNU_DICT) ? training : NULL;
  return set_whole(s, v, e);
}

/* ---- All ---- */

cn_status cn_source_open(const char *path, int parts, cn_source *s, cn_error *e) {
  content what = JSON;
  *s = (cn_source){.name = cn_base_name(path), .version = "", .backend = "", .group = "", .weights_version = ""};
  cn_error why;
  bool given = cn_source_is_text(path);
  cn_status status = given ? CORNU_OK : sniff(path, &what, &why);
  bool named = status && strncmp(why.message, path, strlen(path)) == 0;
  if (status) return cn_fail(e, status, "%s%s%s", named ? "" : path, named ? "" : ": ", why.message);
  if (given) status = open_given(path, s, e);
  else switch (what) {
    case HDF5: status = open_h5(path, parts, s, e); break;
    case ZIP: status = open_zip(path, parts, s, e); break;
    case FLAT: status = open_flat(path, s, e); break;
    case KERAS_FOLDER: status = open_folder(path, parts, s, e); break;
    default: status = open_text(path, what == YAML, parts, s, e); break;
  }
  if (!status) return CORNU_OK;
  cn_at(e, status, "%s", s->name);
  cn_source_close(s);
  return status;
}

void cn_source_close(cn_source *s) {
  cn_flat_close(s->flat);
  cn_h5_close(s->h5);
  cn_zip_close(s->zip);
  cn_arena_free(&s->tree.arena);
  *s = (cn_source){0};
}
