/* Flat files: the header, checked, and the arrays behind it. */
#include "formats/flat.h"

#include <stdlib.h>
#include <string.h>

/* ---- Types ---- */

static const struct { const char *name; cornu_dtype dtype; } dtypes[] = {
    {"F32", CORNU_FLOAT32}, {"F64", CORNU_FLOAT64}, {"F16", CORNU_FLOAT16}, {"BF16", CORNU_BFLOAT16},
    {"I8", CORNU_INT8}, {"I16", CORNU_INT16}, {"I32", CORNU_INT32}, {"I64", CORNU_INT64},
    {"U8", CORNU_UINT8}, {"U16", CORNU_UINT16}, {"U32", CORNU_UINT32}, {"U64", CORNU_UINT64}, {"BOOL", CORNU_BOOL8}};

const char *cn_flat_dtype_name(cornu_dtype dtype) {
  for (int i = 0; i < CN_COUNT(dtypes); i++)
    if (dtypes[i].dtype == dtype) return dtypes[i].name;
  return NULL;
}

static cn_status parse_dtype(const cn_value *v, cornu_dtype *out, cn_error *e) {
  const char *name = cn_value_str(v);
  for (int i = 0; name && i < CN_COUNT(dtypes); i++)
    if (strcmp(dtypes[i].name, name) == 0) return *out = dtypes[i].dtype, CORNU_OK;
  return cn_fail(e, name ? CORNU_ERR_UNSUPPORTED : CORNU_ERR_FORMAT, "dtype is %s, which is none of F32, F16, I8 …",
                 cn_value_show(v, (char[80]){0}, 80));
}

/* ---- The header ---- */

static cn_status parse_shape(const cn_value *v, cn_type *out, cn_error *e) {
  bool good = cn_value_is(v, CORNU_LIST) && v->count <= CN_MAX_RANK;
  out->rank = good ? v->count : 0;
  for (int i = 0; i < out->rank; i++) good &= cn_value_integer(v->items[i], &out->shape[i]) && out->shape[i] >= 0;
  if (good) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_FORMAT, "shape is %s, expected up to %d sizes", cn_value_show(v, (char[80]){0}, 80),
                 CN_MAX_RANK);
}

static cn_status parse_offsets(const cn_value *v, size_t size, cn_flat_array *a, cn_error *e) {
  int64_t begin, end;
  bool good = cn_value_is(v, CORNU_LIST) && v->count == 2 && cn_value_integer(v->items[0], &begin) &&
      cn_value_integer(v->items[1], &end) && begin >= 0 && begin <= end;
  if (!good)
    return cn_fail(e, CORNU_ERR_FORMAT, "data_offsets is %s, expected [begin, end]",
                   cn_value_show(v, (char[80]){0}, 80));
  if ((uint64_t)end > size)
    return cn_fail(e, CORNU_ERR_FORMAT, "its data ends at %lld, but the file has %zu bytes of data: it is cut short",
                   (long long)end, size);
  a->begin = (size_t)begin;
  a->end = (size_t)end;
  return CORNU_OK;
}

static cn_status parse_array(const cn_value *v, size_t size, cn_flat_array *a, cn_error *e) {
  int64_t bytes;
  CN_TRY(parse_dtype(cn_value_find(v, "dtype"), &a->type.dtype, e));
  CN_TRY(parse_shape(cn_value_find(v, "shape"), &a->type, e));
  CN_TRY(parse_offsets(cn_value_find(v, "data_offsets"), size, a, e));
  int64_t count = cn_shape_size(a->type.rank, a->type.shape);
  if (count < 0 || !cn_mul_i64(count, (int64_t)cornu_dtype_bytes(a->type.dtype), &bytes) ||
      (uint64_t)bytes != a->end - a->begin)
    return cn_fail(e, CORNU_ERR_FORMAT, "shape %s of %s does not fill its %zu bytes",
                   CN_SHAPE(a->type.rank, a->type.shape), cornu_dtype_name(a->type.dtype), a->end - a->begin);
  if ((uint64_t)bytes > cn_limits.max_tensor_bytes)
    return cn_fail(e, CORNU_ERR_LIMIT, "it has %zu bytes, the limit is %zu", a->end - a->begin,
                   cn_limits.max_tensor_bytes);
  return CORNU_OK;
}

static int by_place(const void *a, const void *b) {
  const cn_flat_array *x = *(const cn_flat_array *const *)a, *y = *(const cn_flat_array *const *)b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return (x->end > y->end) - (x->end < y->end);
}

/* One array after the other, without holes, to the end of the file. */
static cn_status check_places(cn_flat *f, size_t size, cn_error *e) {
  const cn_flat_array **order = cn_arena_array(&f->tree.arena, (size_t)f->count + 1, sizeof *order);
  size_t at = 0;
  if (!order) return cn_no_memory(e);
  for (int i = 0; i < f->count; i++) order[i] = &f->arrays[i];
  qsort(order, (size_t)f->count, sizeof *order, by_place);
  for (int i = 0; i < f->count; at = order[i++]->end)
    if (order[i]->begin != at)
      return cn_fail(e, CORNU_ERR_FORMAT, "array \"%s\" begins at %zu, expected %zu, where the one before ends",
                     order[i]->name, order[i]->begin, at);
  if (at == size) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_FORMAT, "%zu bytes behind the last array", size - at);
}

static cn_status parse_arrays(cn_flat *f, const cn_value *header, size_t size, cn_error *e) {
  f->arrays = cn_arena_array(&f->tree.arena, (size_t)header->count + 1, sizeof *f->arrays);
  if (!f->arrays) return cn_no_memory(e);
  for (int i = 0; i < header->count; i++) {
    cn_flat_array *a = &f->arrays[f->count];
    if (strcmp(header->keys[i], "__metadata__") == 0) continue;
    a->name = header->keys[i];
    cn_status status = parse_array(header->items[i], size, a, e);
    if (status) return cn_at(e, status, "array \"%s\"", a->name);
    if (!cn_map_set(&f->names, a->name, a)) return cn_no_memory(e);
    f->count++;
  }
  return check_places(f, size, e);
}

/* ---- The model ---- */

static cn_status parse_model(cn_flat *f, const cn_value *header, cornu_tree *tree, const cn_value **out, cn_error *e) {
  const cn_value *metadata = cn_value_find(header, "__metadata__"), *model = cn_value_find(metadata, "model");
  const char *format = cn_value_str(cn_value_find(metadata, "format")),
             *version = cn_value_str(cn_value_find(metadata, "version"));
  cn_value *v;
  if (!format || strcmp(format, "cornu") != 0 || !cn_value_str(model))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                   "a file of safetensors, which holds arrays and no model: save the model as .keras or .h5");
  if (!version || atoi(version) < 1 || atoi(version) > CN_FLAT_VERSION)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "version %s of the format, this is Cornu %s, which reads up to %d",
                   version ? version : "?", cornu_version(), CN_FLAT_VERSION);
  cn_status status = cornu_json_read(tree, model->s, (size_t)model->count, &v, e);
  if (status) return cn_at(e, status, "\"model\"");
  f->same = cn_value_find(v, "same");
  *out = v;
  return CORNU_OK;
}

/* ---- Opening ---- */

static uint64_t length_of(const char *head) {
  uint64_t length = 0;
  for (int i = 7; i >= 0; i--) length = length << 8 | (unsigned char)head[i];
  return length;
}

/* A text would begin with a much larger number. */
bool cn_flat_sniff(const char *head) { return head[8] == '{' && length_of(head) < (uint64_t)1 << 40; }

static cn_status open_header(cn_flat *f, cornu_tree *tree, const cn_value **model, cn_error *e) {
  const cn_mapping *m = f->file;
  cn_value *header;
  if (m->size < CN_FLAT_HEAD || !cn_flat_sniff(m->data)) return cn_fail(e, CORNU_ERR_FORMAT, "not a .cornu file");
  uint64_t length = length_of(m->data), size = m->size - 8;
  if (length > size)
    return cn_fail(e, CORNU_ERR_FORMAT, "the header has %llu bytes, the file %llu: it is cut short",
                   (unsigned long long)length, (unsigned long long)size);
  cn_status status = cornu_json_read(&f->tree, m->data + 8, (size_t)length, &header, e);
  if (status) return cn_at(e, status, "the header");
  f->data = m->data + 8 + length;
  CN_TRY(parse_model(f, header, tree, model, e));
  return parse_arrays(f, header, (size_t)(size - length), e);
}

cn_status cn_flat_open(cn_mapping *file, cornu_tree *tree, cn_flat **out, const cn_value **model, cn_error *e) {
  *out = NULL;
  cn_flat *f = cn_calloc(1, sizeof *f);
  if (!f) return cn_no_memory(e);
  f->file = cn_mapping_share(file);
  cn_status status = open_header(f, tree, model, e);
  if (status) cn_flat_close(f);
  else *out = f;
  return status;
}

void cn_flat_close(cn_flat *f) {
  if (!f) return;
  cn_mapping_drop(f->file);
  cn_map_free(&f->names);
  cn_arena_free(&f->tree.arena);
  cn_free(f);
}

/* ---- Arrays ---- */

cn_flat_array *cn_flat_find(const cn_flat *f, const char *name) {
  cn_flat_array *a = cn_map_get(&f->names, name);
  const char *other = a ? NULL : cn_value_str(cn_value_find(f->same, name));
  return other ? cn_map_get(&f->names, other) : a;
}

static void let_go(void *mapping, void *data) {
  (void)data;
  cn_mapping_drop(mapping);
}

static cn_status copy_array(const cn_flat *f, const cn_flat_array *a, cn_tensor **out, cn_error *e) {
  CN_TRY(cornu_tensor_new(a->type.dtype, a->type.rank, a->type.shape, out, e));
  char *to = (*out)->data;
  if (a->end > a->begin) memcpy(to, f->data + a->begin, a->end - a->begin);
  for (size_t i = 0; a->type.dtype == CORNU_BOOL8 && i < a->end - a->begin; i++) to[i] = to[i] != 0;
  return CORNU_OK;
}

cn_status cn_flat_use(const cn_flat *f, const cn_flat_array *a, cn_tensor **out, cn_error *e) {
  const cn_type *t = &a->type;
  const char *data = f->data + a->begin;
  bool mapped = f->file->mapped, aligned = (uintptr_t)data % cornu_dtype_bytes(t->dtype) == 0;
  if (t->dtype == CORNU_BOOL8 || a->end == a->begin || (!mapped && !aligned)) return copy_array(f, a, out, e);
  cn_mapping *file = cn_mapping_share(f->file);
  cn_status status = mapped ? cn_tensor_of_file(t->dtype, t->rank, t->shape, data, let_go, file, out, e)
                            : cornu_tensor_wrap(t->dtype, t->rank, t->shape, (void *)data, let_go, file, out, e);
  if (status) cn_mapping_drop(file);
  return status;
}
