/* Writing flat files. */
#include "formats/flat_save.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/flat.h"

enum { ALIGN = 64 };

/* ---- What is to be written ---- */

cn_status cn_flat_add(cn_flat_out *f, const char *name, cn_tensor *value, cn_error *e) {
  if (!name || !cn_arena_grow(&f->s->arena, &f->items, &f->capacity, f->count, sizeof *f->items))
    return cn_no_memory(e);
  if (!cn_flat_dtype_name(value->dtype))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "%s: arrays of %s have no place in flat files", name,
                   cornu_dtype_name(value->dtype));
  f->items[f->count] = (cn_flat_item){.name = name, .value = cornu_tensor_retain(value), .number = f->count,
                                      .bytes = (size_t)cornu_tensor_size(value) * cornu_dtype_bytes(value->dtype)};
  f->count++;
  return CORNU_OK;
}

/* Layers that models share come twice; their data does not. */
static cn_status add_weight(cn_flat_out *f, const cn_layer *l, int index, const char *path, cn_error *e) {
  cn_arena *a = &f->s->arena;
  cn_tensor *value = l->weights[index].value;
  const char *name = cn_flat_name(a, &f->taken, path, l->weights[index].name, e);
  if (!name) return CORNU_ERR_MEMORY;
  if (!value)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "layer \"%s\" (%s): %s has no value yet", l->name, l->class_name,
                   l->weights[index].name);
  const char *place = cn_arena_printf(a, "%p", (void *)value), *first = place ? cn_map_get(&f->owners, place) : NULL;
  if (first) return cn_say(f->s, f->same, name, cn_say_text(f->s, first));
  if (!place || !cn_map_set(&f->owners, place, (void *)name)) return cn_no_memory(e);
  return cn_flat_add(f, name, value, e);
}

/* What decides shapes and is no weight. */
static cn_status add_kept(cn_flat_out *f, const cn_layer *l, const char *path, cn_error *e) {
  bool bins = l->type && strcmp(l->type->name, "Discretization") == 0;
  cn_tensor *kept = l->type && l->type->restore && !l->n_weights ? cn_layer_kept(l, 1) : NULL;
  if (!kept) return CORNU_OK;
  const char *name = cn_flat_name(&f->s->arena, &f->taken, path, bins ? "summary" : "idf_weights", e);
  return name ? cn_flat_add(f, name, kept, e) : CORNU_ERR_MEMORY;
}

static const char *join(cn_flat_out *f, const char *a, const char *b) {
  return *a ? cn_arena_printf(&f->s->arena, "%s/%s", a, b) : cn_arena_string(&f->s->arena, b);
}

static cn_status walk_model(cn_flat_out *f, const cn_model *m, const char *path, cn_error *e);

static cn_status walk_layer(cn_flat_out *f, const cn_layer *l, const char *path, cn_error *e) {
  if (!path) return cn_no_memory(e);
  for (int i = 0; i < l->n_weights; i++) CN_TRY(add_weight(f, l, i, path, e));
  CN_TRY(add_kept(f, l, path, e));
  for (int i = 0; i < l->n_children; i++)
    CN_TRY(walk_layer(f, l->children[i].layer, join(f, path, l->children[i].attribute), e));
  return l->model ? walk_model(f, l->model, path, e) : CORNU_OK;
}

static cn_status walk_model(cn_flat_out *f, const cn_model *m, const char *path, cn_error *e) {
  const char *const *names;
  CN_TRY(cn_said_names(f->s, m, &names));
  for (int i = 0; i < m->n_layers; i++) CN_TRY(walk_layer(f, m->layers[i], join(f, path, names[i]), e));
  return CORNU_OK;
}

cn_status cn_flat_add_model(cn_flat_out *f, const cn_model *m, cn_error *e) {
  f->same = cn_value_new(&f->s->arena, CORNU_DICT);
  return f->same ? walk_model(f, m, "", e) : cn_no_memory(e);
}

void cn_flat_out_free(cn_flat_out *f) {
  for (int i = 0; i < f->count; i++) cornu_tensor_release(f->items[i].value);
  cn_map_free(&f->taken);
  cn_map_free(&f->owners);
}

/* ---- Places: what is aligned to most comes first, so that all lie without holes and aligned to what they need ---- */

static size_t alignment(size_t bytes) {
  size_t align = ALIGN;
  while (bytes % align) align /= 2;
  return align;
}

static int by_alignment(const void *a, const void *b) {
  const cn_flat_item *x = *(const cn_flat_item *const *)a, *y = *(const cn_flat_item *const *)b;
  size_t first = alignment(x->bytes), second = alignment(y->bytes);
  return first != second ? (first > second ? -1 : 1) : x->number - y->number;
}

static cn_flat_item **place(cn_flat_out *f) {
  cn_flat_item **order = cn_arena_array(&f->s->arena, (size_t)f->count + 1, sizeof *order);
  size_t at = 0;
  for (int i = 0; order && i < f->count; i++) order[i] = &f->items[i];
  if (order) qsort(order, (size_t)f->count, sizeof *order, by_alignment);
  for (int i = 0; order && i < f->count; i++) {
    order[i]->begin = at;
    at += order[i]->bytes;
  }
  return order;
}

/* ---- The header ---- */

static cn_status say_array(cn_saving *s, const cn_flat_item *item, cn_value **out) {
  int64_t offsets[] = {(int64_t)item->begin, (int64_t)(item->begin + item->bytes)};
  *out = cn_value_new(&s->arena, CORNU_DICT);
  CN_TRY(cn_say(s, *out, "dtype", cn_say_text(s, cn_flat_dtype_name(item->value->dtype))));
  CN_TRY(cn_say(s, *out, "shape", cn_say_shape(s, item->value->rank, item->value->shape)));
  return cn_say(s, *out, "data_offsets", cn_say_shape(s, 2, offsets));
}

static cn_status say_metadata(cn_flat_out *f, cn_value *model, cn_value **out, cn_error *e) {
  cn_saving *s = f->s;
  cornu_tree tree = {0};
  const char *text;
  if (f->same->count) CN_TRY(cn_say(s, model, "same", f->same));
  cn_status status = cornu_json_write(&tree, model, 0, &text, e);
  cn_value *v = *out = cn_value_new(&s->arena, CORNU_DICT);
  if (!status) status = cn_say(s, v, "format", cn_say_text(s, "cornu"));
  if (!status) status = cn_say(s, v, "version", cn_say_text(s, cn_arena_printf(&s->arena, "%d", CN_FLAT_VERSION)));
  if (!status) status = cn_say(s, v, "model", cn_say_text(s, text));
  cn_arena_free(&tree.arena);
  return status;
}

static cn_status add_entries(cn_flat_out *f, cn_value *header, cn_value *metadata, cn_error *e) {
  cn_map index = {0};
  cn_status status = cn_value_add(&f->s->arena, header, &index, "__metadata__", metadata) ? CORNU_OK : cn_no_memory(e);
  for (int i = 0; i < f->count && !status; i++) {
    cn_value *v;
    status = say_array(f->s, &f->items[i], &v);
    if (!status && !cn_value_add(&f->s->arena, header, &index, f->items[i].name, v)) status = cn_no_memory(e);
  }
  cn_map_free(&index);
  return status;
}

/* The header with its length in front, and blanks behind it, so that the data begins aligned. */
static cn_status say_header(cn_flat_out *f, cn_value *model, cn_text *out, cn_error *e) {
  cornu_tree tree = {0};
  cn_value *header = cn_value_new(&f->s->arena, CORNU_DICT), *metadata;
  const char *text;
  if (!header) return cn_no_memory(e);
  CN_TRY(say_metadata(f, model, &metadata, e));
  CN_TRY(add_entries(f, header, metadata, e));
  CN_TRY(cornu_json_write(&tree, header, 0, &text, e));
  size_t length = strlen(text), padded = (8 + length + ALIGN - 1) / ALIGN * ALIGN - 8;
  for (int i = 0; i < 8; i++) cn_text_add_bytes(out, (char[]){(char)((uint64_t)padded >> 8 * i)}, 1);
  cn_text_add_bytes(out, text, length);
  cn_text_pad(out, ' ', padded - length);
  cn_arena_free(&tree.arena);
  return out->failed ? cn_no_memory(e) : CORNU_OK;
}

/* ---- Writing ---- */

static cn_status write_item(FILE *file, const cn_flat_item *item, cn_error *e) {
  cn_tensor *plain;
  cn_tensor_fetch(item->value);
  CN_TRY(cornu_tensor_contiguous(item->value, &plain, e));
  bool written = !item->bytes || fwrite(plain->data, 1, item->bytes, file) == item->bytes;
  cornu_tensor_release(plain);
  return written ? CORNU_OK : cn_fail(e, CORNU_ERR_IO, "cannot write: %s", strerror(errno));
}

cn_status cn_flat_write(cn_flat_out *f, cn_value *model, const char *path, cn_error *e) {
  cn_text head = {0};
  cn_flat_item **order = place(f);
  cn_status status = order ? say_header(f, model, &head, e) : cn_no_memory(e);
  FILE *file = status ? NULL : fopen(path, "wb");
  if (!status && (!file || fwrite(head.data, 1, head.length, file) != head.length))
    status = cn_fail(e, CORNU_ERR_IO, "cannot write: %s", strerror(errno));
  for (int i = 0; i < f->count && !status; i++) status = write_item(file, order[i], e);
  if (file && fclose(file) && !status) status = cn_fail(e, CORNU_ERR_IO, "cannot write: %s", strerror(errno));
  cn_text_free(&head);
  return status;
}
