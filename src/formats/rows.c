/* Rows of files: which source, stretches that are kept, rows in any order. */
#include "formats/rows.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"

/* What a stretch takes at most, unless rows that are packed together are more. */
enum { STRETCH_BYTES = 32 << 20 };

static cn_status at(const cornu_rows *r, cn_status status, cn_error *e) {
  if (r->name) cn_at(e, status, "array \"%s\"", r->name);
  return r->path ? cn_at(e, status, "%s", r->path) : status;
}

cn_status cn_rows_check(const cn_npy *a, cn_error *e) {
  if (a->rank == 0) return cn_fail(e, CORNU_ERR_SHAPE, "a single number has no rows");
  return CORNU_OK;
}

/* ---- Opening ---- */

static char *copy(const char *text) {
  const size_t size = strlen(text) + 1;
  char *out = cn_alloc(size);
  return out ? memcpy(out, text, size) : NULL;
}

static void destroy(cornu_rows *r) {
  if (r->state) r->kind->close(r->state);
  pthread_mutex_destroy(&r->lock);
  cn_free(r->window);
  cn_free(r->path);
  cn_free(r->name);
  cn_free(r);
}

/* Powers of 2, so that the stretches of several sources lie within each other. */
static void choose_stretch(cornu_rows *r) {
  int64_t n = 1;
  if (!r->stretch) return;
  while (n < r->stretch || (n < r->form.shape[0] && 2 * (size_t)n * r->row_bytes <= STRETCH_BYTES)) n *= 2;
  r->stretch = n;
}

typedef enum content { NPY, NPZ, H5 } content;

static cn_status look(const char *path, content *out, cn_error *e) {
  char start[6];
  size_t got;
  CN_TRY(cn_file_peek(path, 0, start, sizeof start, &got, e));
  *out = got == 6 && memcmp(start, "\x93NUMPY", 6) == 0 ? NPY : got >= 2 && memcmp(start, "PK", 2) == 0 ? NPZ : H5;
  return CORNU_OK;
}

static cn_status open_by_content(cornu_rows *r, bool trusted, cn_error *e) {
  content found;
  CN_TRY(look(r->path, &found, e));
  cn_status status = CORNU_OK;
  if (found == NPY && r->name)
    status = cn_fail(e, CORNU_ERR_ARGUMENT, "a .npy file holds one array, which has no name");
  else if (found != NPY && !r->name)
    status = cn_fail(e, CORNU_ERR_ARGUMENT, "the file may hold several arrays: name one");
  else status = found == NPY ? cn_rows_of_npy(r, e) : found == NPZ ? cn_rows_of_npz(r, e) : cn_rows_of_h5(r, trusted, e);
  if (!status) status = cn_rows_check(&r->form, e);
  if (status) return found == H5 ? cn_at(e, status, "%s", r->path) : at(r, status, e); /* HDF5's errors name the array */
  r->row_bytes = r->form.shape[0] ? r->form.bytes / (size_t)r->form.shape[0] : 0;
  choose_stretch(r);
  return CORNU_OK;
}

static cornu_rows *create(void) {
  cornu_rows *r = cn_calloc(1, sizeof *r);
  if (!r) return NULL;
  pthread_mutex_init(&r->lock, NULL);
  atomic_init(&r->references, 1);
  return r;
}

cn_status cn_rows_new(const cn_rows_kind *kind, void *state, const cn_npy *form, cornu_rows **out, cn_error *e) {
  cornu_rows *r = *out = create();
  if (!r) return kind->close(state), cn_no_memory(e);
  r->kind = kind;
  r->state = state;
  r->form = *form;
  r->row_bytes = form->shape[0] ? form->bytes / (size_t)form->shape[0] : 0;
  return CORNU_OK;
}

cornu_status cornu_rows_open(const char *path, const char *name, bool trusted, cornu_rows **out, cornu_error *e) {
  *out = NULL;
  cornu_rows *r = create();
  if (!r) return cn_no_memory(e);
  r->path = copy(path);
  r->name = name ? copy(name) : NULL;
  cn_status status = r->path && (r->name || !name) ? open_by_content(r, trusted, e) : cn_no_memory(e);
  if (status) destroy(r);
  else *out = r;
  return status;
}

cornu_rows *cornu_rows_retain(cornu_rows *r) {
  atomic_fetch_add_explicit(&r->references, 1, memory_order_relaxed);
  return r;
}

void cornu_rows_release(cornu_rows *r) {
  if (r && atomic_fetch_sub_explicit(&r->references, 1, memory_order_acq_rel) == 1) destroy(r);
}

void cornu_rows_port(const cornu_rows *r, cornu_port *out) {
  *out = (cornu_port){.name = r->name, .dtype = r->form.dtype, .rank = r->form.rank};
  memcpy(out->shape, r->form.shape, sizeof out->shape);
}

int64_t cornu_rows_stretch(const cornu_rows *r, bool *in_order) {
  *in_order = r->in_order;
  return r->stretch;
}

cornu_status cornu_rows_list(const char *path, bool trusted, cornu_rows_visit visit, void *user, cornu_error *e) {
  content found;
  cornu_port port = {0};
  cn_npy a;
  size_t offset;
  CN_TRY(look(path, &found, e));
  if (found == H5) return cn_rows_list_h5(path, trusted, visit, user, e);
  if (found == NPZ) return cn_rows_list_npz(path, visit, user, e);
  CN_TRY(cn_npy_head(path, &a, &offset, e));
  port.dtype = a.dtype;
  port.rank = a.rank;
  memcpy(port.shape, a.shape, sizeof port.shape);
  return visit(user, &port, e);
}

/* ---- Reading ---- */

/* The stretch in which the row lies. */
static cn_status load_window(cornu_rows *r, int64_t row, cn_error *e) {
  if (row >= r->window_first && row < r->window_first + r->window_rows) return CORNU_OK;
  const int64_t first = row / r->stretch * r->stretch, left = r->form.shape[0] - first;
  const int64_t n = left < r->stretch ? left : r->stretch;
  size_t bytes;
  if (!cn_mul_size((size_t)r->stretch, r->row_bytes, &bytes) || bytes > cn_limits.max_tensor_bytes)
    return cn_fail(e, CORNU_ERR_LIMIT, "%lld rows that are packed together need more than the limit of %zu bytes",
                   (long long)r->stretch, cn_limits.max_tensor_bytes);
  if (!r->window) r->window = cn_alloc(bytes + 1);
  if (!r->window) return cn_no_memory(e);
  r->window_rows = 0;
  CN_TRY(r->kind->read(r->state, first, n, r->window, e));
  r->window_first = first;
  r->window_rows = n;
  return CORNU_OK;
}

/* As many of the rows first … first+n-1 as can be had at once. */
static cn_status read_some(cornu_rows *r, int64_t first, int64_t *n, char *to, cn_error *e) {
  if (!r->stretch) return r->kind->read(r->state, first, *n, to, e);
  CN_TRY(load_window(r, first, e));
  const int64_t there = r->window_first + r->window_rows - first;
  if (*n > there) *n = there;
  memcpy(to, r->window + (size_t)(first - r->window_first) * r->row_bytes, (size_t)*n * r->row_bytes);
  return CORNU_OK;
}

/* rows NULL: first, first+1, … */
static cn_status read_all(cornu_rows *r, int64_t first, const int64_t *rows, int64_t n, char *to, cn_error *e) {
  for (int64_t i = 0, step; i < n; i += step) {
    const int64_t row = rows ? rows[i] : first + i;
    for (step = rows ? 1 : n - i; rows && i + step < n && rows[i + step] == row + step;) step++;
    CN_TRY(read_some(r, row, &step, to + (size_t)i * r->row_bytes, e));
  }
  return CORNU_OK;
}

static cn_status check_rows(const cornu_rows *r, int64_t first, const int64_t *rows, int64_t n, cn_error *e) {
  const int64_t all = r->form.shape[0];
  if (n < 0 || (!rows && (first < 0 || first > all || n > all - first)))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "%lld rows from row %lld on, of %lld", (long long)n, (long long)first + 1,
                   (long long)all);
  for (int64_t i = 0; rows && i < n; i++)
    if (rows[i] < 0 || rows[i] >= all)
      return cn_fail(e, CORNU_ERR_ARGUMENT, "row %lld of %lld", (long long)rows[i] + 1, (long long)all);
  return CORNU_OK;
}

static cn_status make(cornu_rows *r, int64_t first, const int64_t *rows, int64_t n, cn_tensor **out, cn_error *e) {
  cn_npy a = r->form;
  CN_TRY(check_rows(r, first, rows, n, e));
  a.shape[0] = n;
  if (!cn_mul_size((size_t)n, r->row_bytes, &a.bytes) || a.bytes > cn_limits.max_tensor_bytes)
    return cn_fail(e, CORNU_ERR_LIMIT, "%lld rows are more than the limit of %zu bytes", (long long)n,
                   cn_limits.max_tensor_bytes);
  CN_TRY(cn_npy_new(&a, out, e));
  if (!r->kind->shared) pthread_mutex_lock(&r->lock);
  cn_status status = a.bytes ? read_all(r, first, rows, n, (*out)->data, e) : CORNU_OK;
  if (!r->kind->shared) pthread_mutex_unlock(&r->lock);
  if (!status) status = cn_npy_settle(&a, out, e);
  if (!status) return CORNU_OK;
  cornu_tensor_release(*out);
  *out = NULL;
  return status;
}

cornu_status cornu_rows_read(cornu_rows *r, int64_t first, int64_t n, cornu_tensor **out, cornu_error *e) {
  *out = NULL;
  cn_status status = make(r, first, NULL, n, out, e);
  return status ? at(r, status, e) : CORNU_OK;
}

cornu_status cornu_rows_pick(cornu_rows *r, const int64_t *rows, int64_t n, cornu_tensor **out, cornu_error *e) {
  *out = NULL;
  cn_status status = make(r, 0, rows, n, out, e);
  return status ? at(r, status, e) : CORNU_OK;
}
