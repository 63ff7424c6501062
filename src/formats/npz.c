/* NumPy's .npz: a zip archive of .npy files. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "formats/npy.h"
#include "formats/zip.h"

/* ---- Reading ---- */

cn_status cn_npz_head(cn_zip *z, size_t size, cn_npy *out, size_t *offset, cn_error *e) {
  char start[CN_NPY_START];
  size_t head_size;
  CN_TRY(cn_zip_next(z, start, sizeof start, e));
  CN_TRY(cn_npy_start(start, &head_size, e));
  if (head_size > size) return cn_fail(e, CORNU_ERR_FORMAT, "the array ends within its header");
  char *head = cn_alloc(head_size);
  if (!head) return cn_no_memory(e);
  memcpy(head, start, sizeof start);
  cn_status status = cn_zip_next(z, head + sizeof start, head_size - sizeof start, e);
  if (!status) status = cn_npy_parse(head, head_size, out, e);
  cn_free(head);
  CN_TRY(status);
  if (size - head_size != out->bytes)
    return cn_fail(e, CORNU_ERR_FORMAT, "an array of shape %s needs %zu bytes, the archive holds %zu",
                   CN_SHAPE(out->rank, out->shape), out->bytes, size - head_size);
  *offset = head_size;
  return CORNU_OK;
}

static cn_status read_array(cn_zip *z, size_t size, cn_tensor **out, cn_error *e) {
  cn_npy a;
  size_t offset;
  CN_TRY(cn_npz_head(z, size, &a, &offset, e));
  CN_TRY(cn_npy_check(&a, e));
  CN_TRY(cn_npy_new(&a, out, e));
  cn_status status = cn_zip_next(z, (*out)->data, a.bytes, e);
  if (!status) status = cn_zip_end(z, e);
  if (!status) status = cn_npy_settle(&a, out, e);
  if (!status) return CORNU_OK;
  cornu_tensor_release(*out);
  *out = NULL;
  return status;
}

/* "kernel.npy" is the array "kernel"; folders have no content. */
bool cn_npz_name(const char *entry, char *out, size_t size) {
  size_t length = strlen(entry);
  if (length < 4 || strcmp(entry + length - 4, ".npy") != 0 || length - 4 >= size) return false;
  memcpy(out, entry, length - 4);
  out[length - 4] = 0;
  return true;
}

static cn_status visit_entry(cn_zip *z, int i, cornu_npz_visit visit, void *user, cn_error *e) {
  char name[4096];
  const char *entry = cn_zip_name(z, i);
  cn_tensor *t = NULL;
  size_t size, length = strlen(entry);
  if (length && entry[length - 1] == '/') return CORNU_OK;
  if (!cn_npz_name(entry, name, sizeof name))
    return cn_fail(e, CORNU_ERR_FORMAT, "entry \"%s\" is not an array (its name does not end in .npy)", entry);
  size_t most = cn_limits.max_tensor_bytes < SIZE_MAX - CN_NPY_MOST ? cn_limits.max_tensor_bytes + CN_NPY_MOST
      : SIZE_MAX;
  cn_status status = cn_zip_begin(z, i, most, &size, e);
  if (!status) {
    status = read_array(z, size, &t, e);
    cn_zip_abandon(z);
    if (status) cn_at(e, status, "array \"%s\"", name);
  }
  if (!status) status = visit(user, name, t, e);
  cornu_tensor_release(t);
  return status;
}

cornu_status cornu_npz_load(const char *path, cornu_npz_visit visit, void *user, cornu_error *e) {
  cn_zip *z;
  cn_status status = cn_zip_open(path, &z, e);
  if (status) return cn_at(e, status, "%s", path);
  for (int i = 0; i < cn_zip_count(z) && !status; i++) {
    status = visit_entry(z, i, visit, user, e);
    if (status && status != CORNU_ERR_CALLBACK) cn_at(e, status, "%s", path);
  }
  cn_zip_close(z);
  return status;
}

/* ---- Writing ---- */

typedef struct writing {
  cn_arena arena;
  cn_zip_part *parts;
  cn_npy_image *images;
} writing;

static cn_status add_part(writing *w, int i, const char *name, cn_tensor *t, cn_error *e) {
  cn_npy_image *image = &w->images[i];
  const char *entry = cn_arena_printf(&w->arena, "%s.npy", name);
  if (!entry) return cn_no_memory(e);
  cn_status status = cn_npy_make(t, image, e);
  if (status) return cn_at(e, status, "array \"%s\"", name);
  w->parts[i] = (cn_zip_part){.name = entry, .head = image->head, .head_size = image->head_size, .body = image->data,
                              .body_size = image->size};
  return CORNU_OK;
}

cornu_status cornu_npz_save(const char *path, const char *const *names, cornu_tensor *const *tensors, int n,
                            bool compress, cornu_error *e) {
  writing w = {0};
  w.parts = cn_arena_array(&w.arena, (size_t)n + 1, sizeof *w.parts);
  w.images = cn_arena_array(&w.arena, (size_t)n + 1, sizeof *w.images);
  cn_status status = w.parts && w.images ? CORNU_OK : cn_no_memory(e);
  for (int i = 0; i < n && !status; i++) status = add_part(&w, i, names[i], tensors[i], e);
  if (!status) status = cn_zip_write(path, w.parts, n, compress, e);
  for (int i = 0; i < n && w.images; i++) cn_npy_drop(&w.images[i]);
  cn_arena_free(&w.arena);
  return status;
}
