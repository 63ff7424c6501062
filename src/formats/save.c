/* Saving models: which file for which name, its parts, and that it is there whole or not at all. */
#include "formats/save.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "formats/flat_save.h"
#include "formats/formats.h"
#include "formats/zip.h"

static const char newest[] = "3.15.1";

/* What is written: a .keras archive, a flat file, an HDF5 file with the model or with weights alone
 * (by objects or by layers), npz; JSON without weights. */
typedef enum kind { ARCHIVE, FLAT, FULL, OBJECTS, LAYERS, NPZ, JSON } kind;

typedef struct job {
  cn_model *m;
  const cornu_save_options *options;
  kind kind;
  cn_saving s;
  cn_error *e;
} job;

/* ---- Options ---- */

static cn_status read_options(const cornu_save_options *given, cornu_save_options *out, cn_error *e) {
  *out = (cornu_save_options){0};
  if (!given) return CORNU_OK;
  if (given->struct_size < sizeof given->struct_size)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "struct_size of the save options is %zu: set it to sizeof(cornu_save_options)",
                   given->struct_size);
  memcpy(out, given, given->struct_size < sizeof *out ? given->struct_size : sizeof *out);
  if (out->keras == 0 || out->keras == 2 || out->keras == 3) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "keras is %d; files are written for Keras 2 or 3", out->keras);
}

static int own_keras(const cn_model *m) { return m->origin.keras < 3 ? 2 : 3; }
int cornu_model_keras(const cornu_model *m) { return own_keras(m); }

static bool ends_in(const char *path, const char *with) {
  size_t length = strlen(path), n = strlen(with);
  return length > n && strcmp(path + length - n, with) == 0;
}

static cn_status choose_kind(job *j, const char *path, bool weights) {
  bool hdf = ends_in(path, ".h5") || ends_in(path, ".hdf5");
  if (ends_in(path, ".weights.h5")) j->kind = OBJECTS;
  else if (weights && ends_in(path, ".npz")) j->kind = NPZ;
  else if (hdf) j->kind = weights ? LAYERS : FULL;
  else if (!weights && ends_in(path, ".keras")) j->kind = ARCHIVE;
  else if (!weights && ends_in(path, ".cornu")) j->kind = FLAT;
  else if (!weights && ends_in(path, ".json")) j->kind = JSON;
  else
    return cn_fail(j->e, CORNU_ERR_ARGUMENT, "%s: the name tells what is written: %s", path,
                   weights ? ".weights.h5 (Keras 3), .h5 or .hdf5 (Keras 2), or .npz"
                           : ".keras, .h5 or .hdf5, .cornu, or .json for the layers alone");
  if (j->kind == OBJECTS && !weights)
    return cn_fail(j->e, CORNU_ERR_ARGUMENT, "%s: a file of weights alone: save_weights writes it", path);
  if (j->kind == FLAT && j->options->keras)
    return cn_fail(j->e, CORNU_ERR_ARGUMENT, "%s: keras is %d, but flat files keep the words of each layer", path,
                   j->options->keras);
  bool newer = j->kind == ARCHIVE || j->kind == OBJECTS;
  j->s.keras = j->options->keras ? j->options->keras : newer ? 3 : own_keras(j->m);
  if (!newer || j->s.keras == 3) return CORNU_OK;
  return cn_fail(j->e, CORNU_ERR_ARGUMENT, "%s: keras is 2, but %s", path,
                 j->kind == ARCHIVE ? ".keras files are those of Keras 3: save as .h5"
                                    : ".weights.h5 is of Keras 3: name the file .h5");
}

/* ---- The model as JSON ---- */

static bool has_theano(const cn_model *m) {
  for (int i = 0; i < m->n_layers; i++)
    if (m->layers[i]->origin.theano || (m->layers[i]->model && has_theano(m->layers[i]->model))) return true;
  return false;
}

static bool makes_masks(const cn_model *m) {
  for (int i = 0; i < m->n_layers; i++) {
    const cn_layer *l = m->layers[i];
    bool masks = strcmp(l->class_name, "Masking") == 0 || cornu_value_as_bool(cn_value_find(l->config, "mask_zero"));
    if (masks || (l->model && makes_masks(l->model))) return true;
  }
  return false;
}

/* Which Keras 2 the file is of: the model's own, and what Keras 1 and 3 can be said in. */
static const char *version_of(const job *j) {
  if (j->s.keras >= 3) return newest;
  if (j->m->origin.keras == 2 && *j->m->keras_version == '2') return j->m->keras_version;
  return j->m->origin.keras >= 3 || j->m->origin.tf ? "2.15.0" : "2.3.1";
}

static const char *backend_of(const job *j) { return j->s.keras < 3 && has_theano(j->m) ? "theano" : "tensorflow"; }

static cn_status say_json(job *j, const cn_value *v, int indent, const char **out) {
  cornu_tree tree = {0};
  const char *text;
  cn_status status = cornu_json_write(&tree, v, indent, &text, j->e);
  if (!status && !(*out = cn_arena_string(&j->s.arena, text))) status = cn_no_memory(j->e);
  cn_arena_free(&tree.arena);
  return status;
}

static cn_status say_config(job *j, cn_value **out) {
  if (!j->m->built && !j->m->unknown_input)
    return cn_fail(j->e, CORNU_ERR_ARGUMENT, "\"%s\" is not built", j->m->name);
  j->s.masks = makes_masks(j->m);
  return cn_say_model(&j->s, j->m, NULL, out);
}

/* The model alone, as to_json() writes it. */
static cn_status say_model_json(job *j, int indent, const char **out) {
  cn_value *v;
  CN_TRY(say_config(j, &v));
  if (j->s.keras < 3) {
    CN_TRY(cn_say(&j->s, v, "keras_version", cn_say_text(&j->s, version_of(j))));
    CN_TRY(cn_say(&j->s, v, "backend", cn_say_text(&j->s, backend_of(j))));
  }
  return say_json(j, v, indent, out);
}

cornu_status cornu_model_to_json(cornu_model *m, int keras, int indent, char **out, cornu_error *e) {
  job j = {.m = m, .s = {.keras = keras ? keras : own_keras(m), .e = e}, .e = e};
  const char *text = NULL;
  *out = NULL;
  if (keras != 0 && keras != 2 && keras != 3)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "keras is %d; JSON is written for Keras 2 or 3", keras);
  cn_status status = say_model_json(&j, indent, &text);
  if (!status) {
    size_t size = strlen(text) + 1;
    *out = cn_alloc(size);
    if (*out) memcpy(*out, text, size);
    else status = cn_no_memory(e);
  }
  cn_map_free(&j.s.places);
  cn_arena_free(&j.s.arena);
  return status;
}

/* ---- HDF5 ---- */

static cn_status put_origin(job *j, cn_h5_out *f, const char *group) {
  CN_TRY(cn_h5_put_text(f, group, "backend", backend_of(j), j->e));
  return cn_h5_put_text(f, group, "keras_version", version_of(j), j->e);
}

static cn_status put_layers(job *j, cn_h5_out *f, const char *group) {
  CN_TRY(cn_save_layers(&j->s, f, j->m, group, j->e));
  return put_origin(j, f, group);
}

/* By number in Keras 3's objects, by name in .h5. */
static cn_status put_optimizer(job *j, cn_h5_out *f, bool numbered) {
  const cornu_save_options *o = j->options;
  const char *group = numbered ? "optimizer/vars" : "optimizer_weights";
  if (!o->n_optimizer) return CORNU_OK;
  CN_TRY(cn_h5_put_group(f, group, j->e));
  for (int i = 0; i < o->n_optimizer; i++) {
    const char *path = numbered ? cn_arena_printf(&j->s.arena, "%s/%d", group, i)
                                : cn_arena_printf(&j->s.arena, "%s/%s", group, o->optimizer_names[i]);
    if (!path) return cn_no_memory(j->e);
    CN_TRY(cn_h5_put_array(f, path, o->optimizer_arrays[i], j->e));
  }
  return numbered ? CORNU_OK : cn_h5_put_texts(f, group, "weight_names", o->optimizer_names, o->n_optimizer, j->e);
}

static cn_status put_full(job *j, cn_h5_out *f) {
  cn_value *config;
  const char *text;
  CN_TRY(say_config(j, &config));
  cn_value_remove(config, "module"); /* so Keras 3 takes it for an .h5 of its own; within it finds operations by theirs */
  cn_value_remove(config, "registered_name");
  CN_TRY(say_json(j, config, 0, &text));
  CN_TRY(put_origin(j, f, ""));
  CN_TRY(cn_h5_put_text(f, "", "model_config", text, j->e));
  if (j->options->training_config) {
    CN_TRY(say_json(j, j->options->training_config, 0, &text));
    CN_TRY(cn_h5_put_text(f, "", "training_config", text, j->e));
  }
  CN_TRY(put_layers(j, f, "model_weights"));
  if (j->s.keras >= 3) {
    CN_TRY(cn_h5_put_group(f, "model_weights/top_level_model_weights", j->e));
    CN_TRY(cn_h5_put_texts(f, "model_weights/top_level_model_weights", "weight_names", NULL, 0, j->e));
  }
  return put_optimizer(j, f, false);
}

static cn_status put_objects(job *j, cn_h5_out *f) {
  CN_TRY(cn_save_objects(&j->s, f, j->m, j->e));
  return put_optimizer(j, f, true);
}

static cn_status write_hdf5(job *j, const char *path) {
  cn_h5_out *f;
  CN_TRY(cn_h5_create(path, &f, j->e));
  cn_status status = j->kind == FULL ? put_full(j, f) : j->kind == LAYERS ? put_layers(j, f, "") : put_objects(j, f);
  if (!status) return cn_h5_finish(f, j->e);
  cn_h5_give_up(f);
  return status;
}

/* ---- .keras ---- */

static cn_status say_metadata(job *j, const char **out) {
  char date[40];
  time_t now = time(NULL);
  struct tm local;
  cn_value *v = cn_value_new(&j->s.arena, CORNU_DICT);
  strftime(date, sizeof date, "%Y-%m-%d@%H:%M:%S", localtime_r(&now, &local));
  CN_TRY(cn_say(&j->s, v, "keras_version", cn_say_text(&j->s, newest)));
  CN_TRY(cn_say(&j->s, v, "date_saved", cn_say_text(&j->s, date)));
  return say_json(j, v, 0, out);
}

static cn_status say_archive_config(job *j, const char **out) {
  cn_value *config;
  CN_TRY(say_config(j, &config));
  if (j->options->training_config) CN_TRY(cn_say(&j->s, config, "compile_config", j->options->training_config));
  return say_json(j, config, 0, out);
}

static cn_status write_archive(job *j, const char *path) {
  const char *config, *metadata, *weights = cn_arena_printf(&j->s.arena, "%s" CN_BESIDE_TEMPORARY, path);
  if (!weights) return cn_no_memory(j->e);
  CN_TRY(say_archive_config(j, &config));
  CN_TRY(say_metadata(j, &metadata));
  cn_status status = write_hdf5(j, weights);
  cn_zip_part parts[] = {{.name = "metadata.json", .head = metadata, .head_size = strlen(metadata)},
                         {.name = "config.json", .head = config, .head_size = strlen(config)},
                         {.name = "model.weights.h5", .file = weights}};
  if (!status) status = cn_zip_fill(path, parts, CN_COUNT(parts), false, j->e);
  unlink(weights);
  return status;
}

/* ---- Flat ---- */

static cn_status say_flat(job *j, cn_value **out) {
  const cn_model *m = j->m;
  CN_TRY(say_config(j, out));
  CN_TRY(cn_say(&j->s, *out, "keras_version", cn_say_text(&j->s, *m->keras_version ? m->keras_version : newest)));
  CN_TRY(cn_say(&j->s, *out, "backend", cn_say_text(&j->s, m->backend)));
  if (!j->options->training_config) return CORNU_OK;
  return cn_say(&j->s, *out, "training_config", j->options->training_config);
}

static cn_status add_flat(job *j, cn_flat_out *f) {
  const cornu_save_options *o = j->options;
  CN_TRY(cn_flat_add_model(f, j->m, j->e));
  for (int i = 0; i < o->n_optimizer; i++)
    CN_TRY(cn_flat_add(f, cn_arena_printf(&j->s.arena, CN_FLAT_OPTIMIZER "%s", o->optimizer_names[i]),
                       o->optimizer_arrays[i], j->e));
  return CORNU_OK;
}

static cn_status write_flat(job *j, const char *path) {
  cn_flat_out f = {.s = &j->s};
  cn_value *model;
  j->s.own = true;
  cn_status status = say_flat(j, &model);
  if (!status) status = add_flat(j, &f);
  if (!status) status = cn_flat_write(&f, model, path, j->e);
  cn_flat_out_free(&f);
  return status;
}

/* ---- JSON ---- */

static cn_status write_json(job *j, const char *path) {
  const char *text;
  CN_TRY(say_model_json(j, 0, &text));
  FILE *file = fopen(path, "wb");
  bool written = file && fwrite(text, 1, strlen(text), file) == strlen(text);
  if (file && fclose(file)) written = false;
  return written ? CORNU_OK : cn_fail(j->e, CORNU_ERR_IO, "cannot write: %s", strerror(errno));
}

/* ---- npz: by the paths of weights ---- */

typedef struct bag { job *j; const char *layer, **names; cn_tensor **tensors; int n, cap_names, cap_tensors; } bag;

static cn_status collect(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  bag *b = user;
  cn_arena *a = &b->j->s.arena;
  const char *name = cn_arena_printf(a, "%s/%s", b->layer, path);
  if (!name || !cn_arena_grow(a, &b->names, &b->cap_names, b->n, sizeof *b->names) ||
      !cn_arena_grow(a, &b->tensors, &b->cap_tensors, b->n, sizeof *b->tensors))
    return cn_no_memory(e);
  CN_TRY(cn_say_weight(&b->j->s, owner, index, &b->tensors[b->n]));
  b->names[b->n++] = name;
  return CORNU_OK;
}

static cn_status write_npz(job *j, const char *path) {
  bag b = {.j = j};
  cn_status status = CORNU_OK;
  j->s.keras = j->m->origin.keras; /* as they are */
  for (int i = 0; i < j->m->n_layers && !status; i++) {
    b.layer = cn_model_label(j->m, i);
    status = cn_layer_each_weight(j->m->layers[i], collect, &b, j->e);
  }
  if (!status) status = cornu_npz_save(path, b.names, b.tensors, b.n, false, j->e);
  for (int i = 0; i < b.n; i++) cornu_tensor_release(b.tensors[i]);
  return status;
}

/* ---- All ---- */

static cn_status write_file(job *j, const char *path) {
  cn_file_write w;
  if (j->kind == NPZ) return write_npz(j, path);
  CN_TRY(cn_file_begin(&w, path, j->e));
  cn_status status = j->kind == ARCHIVE ? write_archive(j, w.temporary)
      : j->kind == FLAT ? write_flat(j, w.temporary)
      : j->kind == JSON ? write_json(j, w.temporary) : write_hdf5(j, w.temporary);
  if (!status) return cn_file_commit(&w, j->e);
  cn_file_abandon(&w);
  return cn_at(j->e, status, "%s", cn_base_name(path));
}

static cn_status save(cornu_model *m, const char *path, bool weights, const cornu_save_options *given, cornu_error *e) {
  cornu_save_options options;
  if (!m || !path) return cn_fail(e, CORNU_ERR_ARGUMENT, "the %s is NULL", m ? "path" : "model");
  CN_TRY(read_options(given, &options, e));
  job j = {.m = m, .options = &options, .s = {.e = e}, .e = e};
  cn_status status = choose_kind(&j, path, weights);
  if (!status) status = write_file(&j, path);
  cn_map_free(&j.s.places);
  cn_arena_free(&j.s.arena);
  return status;
}

cornu_status cornu_model_save(cornu_model *m, const char *path, const cornu_save_options *options, cornu_error *e) {
  return save(m, path, false, options, e);
}

cornu_status cornu_model_save_weights(cornu_model *m, const char *path, const cornu_save_options *options,
                                      cornu_error *e) {
  return save(m, path, true, options, e);
}
