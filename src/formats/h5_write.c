/* Writing HDF5 files with libhdf5. */
#include "formats/h5_write.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "formats/h5_calls.h"

struct cn_h5_out { hid_t file, links; const int *error; };

static cn_status fail_write(const cn_h5_out *f, const char *what, cn_error *e) {
  char text[200];
  if (f && f->error && *f->error)
    return cn_fail(e, CORNU_ERR_IO, "cannot write %s: %s", what, strerror(*f->error));
  cn_h5_reason(text, sizeof text);
  return cn_fail(e, CORNU_ERR_IO, "cannot write %s: %s", what, text);
}

cn_status cn_h5_create(const char *path, cn_h5_out **out, cn_error *e) {
  *out = NULL;
  CN_TRY(cn_h5_calls_load(e));
  cn_h5_out *f = cn_calloc(1, sizeof *f);
  if (!f) return cn_no_memory(e);
  cn_h5_turn turn = cn_h5_enter();
  hid_t access = cn_hdf.Pcreate(cn_hdf.file_access);
  cn_hdf.Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  cn_hdf.Pset_driver(access, cn_h5_driver(), NULL);
  f->file = cn_hdf.Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
  cn_hdf.Pclose(access);
  cn_status status = f->file < 0 ? fail_write(NULL, "an HDF5 file", e) : CORNU_OK;
  if (status) return cn_free(f), cn_h5_leave(turn, status);
  f->links = cn_hdf.Pcreate(cn_hdf.link_create);
  cn_hdf.Pset_create_intermediate_group(f->links, 1);
  f->error = cn_h5_driver_error(f->file);
  *out = f;
  return cn_h5_leave(turn, CORNU_OK);
}

cn_status cn_h5_finish(cn_h5_out *f, cn_error *e) {
  cn_h5_turn turn = cn_h5_enter();
  cn_hdf.Fflush(f->file, H5F_SCOPE_GLOBAL);
  cn_status status = *f->error ? fail_write(f, "the HDF5 file", e) : CORNU_OK;
  cn_hdf.Pclose(f->links);
  cn_hdf.Fclose(f->file);
  cn_free(f);
  return cn_h5_leave(turn, status);
}

void cn_h5_give_up(cn_h5_out *f) {
  if (f) cn_h5_finish(f, NULL);
}

/* ---- Groups ---- */

static bool is_there(const cn_h5_out *f, const char *path) {
  char part[4096];
  for (const char *p = path;; p++) {
    if (*p && *p != '/') continue;
    if (snprintf(part, sizeof part, "%.*s", (int)(p - path), path) >= (int)sizeof part) return false;
    if (cn_hdf.Lexists(f->file, part, H5P_DEFAULT) <= 0) return false;
    if (!*p) return true;
  }
}

cn_status cn_h5_put_group(cn_h5_out *f, const char *path, cn_error *e) {
  cn_h5_turn turn = cn_h5_enter();
  cn_status status = CORNU_OK;
  if (*path && !is_there(f, path)) {
    hid_t group = cn_hdf.Gcreate2(f->file, path, f->links, H5P_DEFAULT, H5P_DEFAULT);
    if (group < 0) status = fail_write(f, path, e);
    else cn_hdf.Oclose(group);
  }
  return cn_h5_leave(turn, status);
}

/* ---- Arrays ---- */

/* h5py's bool: an enumeration over a byte. Its bfloat16, which NumPy does not have: two opaque bytes. */
static hid_t bool_type(void) {
  hid_t type = cn_hdf.Tenum_create(cn_hdf.numbers[2]);
  cn_hdf.Tenum_insert(type, "FALSE", &(int8_t){0});
  cn_hdf.Tenum_insert(type, "TRUE", &(int8_t){1});
  return type;
}

/* IEEE's half: sign 15, exponent 10 to 14, mantissa below. */
static hid_t half_type(void) {
  hid_t type = cn_hdf.Tcopy(cn_hdf.numbers[0]);
  cn_hdf.Tset_fields(type, 15, 10, 5, 0, 10);
  cn_hdf.Tset_size(type, 2);
  cn_hdf.Tset_ebias(type, 15);
  return type;
}

static hid_t element_type(cornu_dtype dtype) {
  static const cornu_dtype plain[] = {CORNU_FLOAT32, CORNU_FLOAT64, CORNU_INT8, CORNU_INT16, CORNU_INT32,
                                      CORNU_INT64, CORNU_UINT8, CORNU_UINT16, CORNU_UINT32, CORNU_UINT64};
  for (int i = 0; i < CN_COUNT(plain); i++)
    if (plain[i] == dtype) return cn_hdf.Tcopy(cn_hdf.numbers[i]);
  if (dtype == CORNU_BOOL8) return bool_type();
  if (dtype == CORNU_FLOAT16) return half_type();
  return dtype == CORNU_BFLOAT16 ? cn_hdf.Tcreate(H5T_OPAQUE, 2) : -1;
}

/* Elements are written as they are in memory. */
static cn_status write_array(cn_h5_out *f, const char *path, cn_tensor *t, cn_error *e) {
  hsize_t shape[CN_MAX_RANK];
  for (int i = 0; i < t->rank; i++) shape[i] = (hsize_t)t->shape[i];
  hid_t type = element_type(t->dtype);
  if (type < 0) return cn_fail(e, CORNU_ERR_UNSUPPORTED, "%s is an array of %s, which HDF5 files do not keep", path,
                               cornu_dtype_name(t->dtype));
  hid_t space = t->rank ? cn_hdf.Screate_simple(t->rank, shape, NULL) : cn_hdf.Screate(H5S_SCALAR);
  hid_t array = cn_hdf.Dcreate2(f->file, path, type, space, f->links, H5P_DEFAULT, H5P_DEFAULT);
  cn_status status = array < 0 ? fail_write(f, path, e) : CORNU_OK;
  if (!status && cornu_tensor_size(t) && cn_hdf.Dwrite(array, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, t->data) < 0)
    status = fail_write(f, path, e);
  if (array >= 0 && cn_hdf.Dclose(array) < 0 && !status) status = fail_write(f, path, e);
  if (!status && *f->error) status = fail_write(f, path, e);
  cn_hdf.Sclose(space);
  cn_hdf.Tclose(type);
  return status;
}

cn_status cn_h5_put_array(cn_h5_out *f, const char *path, cn_tensor *t, cn_error *e) {
  cn_tensor *plain;
  cn_tensor_fetch(t);
  CN_TRY(cornu_tensor_contiguous(t, &plain, e));
  cn_h5_turn turn = cn_h5_enter();
  cn_status status = write_array(f, path, plain, e);
  cn_h5_leave(turn, status);
  cornu_tensor_release(plain);
  return status;
}

/* ---- Attributes ---- */

static cn_status write_attribute(cn_h5_out *f, const char *group, const char *name, hid_t type, hid_t space,
                                 const void *data, cn_error *e) {
  hid_t at = cn_hdf.Oopen(f->file, *group ? group : "/", H5P_DEFAULT);
  hid_t attribute = at < 0 ? -1 : cn_hdf.Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  bool good = attribute >= 0 && (!data || cn_hdf.Awrite(attribute, type, data) >= 0);
  cn_status status = good ? CORNU_OK : fail_write(f, name, e);
  if (attribute >= 0) cn_hdf.Aclose(attribute);
  if (at >= 0) cn_hdf.Oclose(at);
  return status;
}

/* Of variable length and of ASCII, whatever it holds: Keras 2 decodes the bytes that it then gets itself. */
cn_status cn_h5_put_text(cn_h5_out *f, const char *group, const char *name, const char *text, cn_error *e) {
  cn_h5_turn turn = cn_h5_enter();
  hid_t type = cn_hdf.Tcopy(cn_hdf.text), space = cn_hdf.Screate(H5S_SCALAR);
  cn_hdf.Tset_size(type, H5T_VARIABLE);
  cn_status status = write_attribute(f, group, name, type, space, &text, e);
  cn_hdf.Sclose(space);
  cn_hdf.Tclose(type);
  return cn_h5_leave(turn, status);
}

enum { MOST_BYTES = 64512 }; /* of an attribute, as Keras counts */

static cn_status write_rows(cn_h5_out *f, const char *group, const char *name, const char *rows, size_t width, int n,
                            cn_error *e) {
  hsize_t count = (hsize_t)n;
  hid_t type = cn_hdf.Tcopy(cn_hdf.text), space = cn_hdf.Screate_simple(1, &count, NULL);
  cn_hdf.Tset_size(type, width);
  cn_hdf.Tset_strpad(type, H5T_STR_NULLPAD);
  cn_status status = write_attribute(f, group, name, type, space, rows, e);
  cn_hdf.Sclose(space);
  cn_hdf.Tclose(type);
  return status;
}

/* h5py makes an array of numbers of an empty list. */
static cn_status write_none(cn_h5_out *f, const char *group, const char *name, cn_error *e) {
  hid_t space = cn_hdf.Screate_simple(1, &(hsize_t){0}, NULL);
  cn_status status = write_attribute(f, group, name, cn_hdf.numbers[1], space, NULL, e);
  cn_hdf.Sclose(space);
  return status;
}

static cn_status write_pieces(cn_h5_out *f, const char *group, const char *name, const char *rows, size_t width, int n,
                              cn_error *e) {
  int most = (int)(MOST_BYTES / width), pieces = (n + most - 1) / most;
  if (pieces == 1) return write_rows(f, group, name, rows, width, n, e);
  for (int i = 0; i < pieces; i++) {
    char part[256];
    int first = (int)((int64_t)n * i / pieces), next = (int)((int64_t)n * (i + 1) / pieces);
    snprintf(part, sizeof part, "%s%d", name, i);
    CN_TRY(write_rows(f, group, part, rows + width * (size_t)first, width, next - first, e));
  }
  return CORNU_OK;
}

cn_status cn_h5_put_texts(cn_h5_out *f, const char *group, const char *name, const char *const *texts, int n,
                          cn_error *e) {
  size_t width = 1;
  for (int i = 0; i < n; i++)
    if (strlen(texts[i]) > width) width = strlen(texts[i]);
  if (width > MOST_BYTES)
    return cn_fail(e, CORNU_ERR_LIMIT, "\"%.60s…\" is too long for the attribute \"%s\"", texts[0], name);
  char *rows = cn_calloc((size_t)n + 1, width);
  if (!rows) return cn_no_memory(e);
  for (int i = 0; i < n; i++) memcpy(rows + width * (size_t)i, texts[i], strlen(texts[i]));
  cn_h5_turn turn = cn_h5_enter();
  cn_status status = n ? write_pieces(f, group, name, rows, width, n, e) : write_none(f, group, name, e);
  cn_h5_leave(turn, status);
  cn_free(rows);
  return status;
}
