/* HDF5 files through libhdf5, for what the plain reader does not know. The library follows links to other files unless
 * told otherwise. */
#include "formats/h5_reader.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "formats/h5_calls.h"

typedef struct image { void *data; size_t size; } image; /* a file in memory */
typedef struct library { hid_t file; image image; cn_mapping *memory; } library;

/* ---- Opening ---- */

static hid_t access_list(void) {
  hid_t list = cn_hdf.Pcreate(cn_hdf.file_access);
  cn_hdf.Pset_fclose_degree(list, H5F_CLOSE_STRONG);
#if H5_VERSION_GE(1, 10, 7)
  cn_hdf.Pset_file_locking(list, 0, 1); /* read-only file systems have no locks */
#endif
  return list;
}

/* A file in memory is used in place: the library asks for a copy and gets the original. */
static void *image_alloc(size_t size, H5FD_file_image_op_t op, void *user) {
  (void)op;
  image *i = user;
  return size <= i->size ? i->data : NULL;
}
static void *image_copy(void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *user) {
  (void)op, (void)user;
  return to == from ? to : memcpy(to, from, size);
}
static void *image_resize(void *p, size_t size, H5FD_file_image_op_t op, void *user) {
  (void)p;
  return image_alloc(size, op, user);
}
static herr_t image_free(void *p, H5FD_file_image_op_t op, void *user) {
  (void)p, (void)op, (void)user;
  return 0;
}
static void *user_copy(void *user) { return user; }
static herr_t user_free(void *user) {
  (void)user;
  return 0;
}

static cn_status set_image(hid_t list, image *i, cn_error *e) {
  H5FD_file_image_callbacks_t calls = {image_alloc, image_copy, image_resize, image_free, user_copy, user_free, i};
  if (cn_hdf.Pset_fapl_core(list, 65536, 0) < 0 || cn_hdf.Pset_file_image_callbacks(list, &calls) < 0 ||
      cn_hdf.Pset_file_image(list, i->data, i->size) < 0)
    return cn_h5_failed(e, "cannot open the HDF5 file");
  return CORNU_OK;
}

cn_status cn_h5_library_open(const char *path, cn_mapping *memory, void **state, cn_error *e) {
  *state = NULL;
  CN_TRY(cn_h5_calls_load(e));
  library *f = cn_calloc(1, sizeof *f);
  if (!f) return cn_no_memory(e);
  if (memory) {
    f->memory = cn_mapping_share(memory);
    f->image = (image){memory->data, memory->size};
  }
  cn_h5_turn q = cn_h5_enter();
  hid_t list = access_list();
  cn_status status = memory ? set_image(list, &f->image, e) : CORNU_OK;
  if (!status && (f->file = cn_hdf.Fopen(memory ? "memory" : path, H5F_ACC_RDONLY, list)) < 0)
    status = cn_h5_failed(e, "cannot open the HDF5 file");
  cn_hdf.Pclose(list);
  if (!status) return *state = f, cn_h5_leave(q, CORNU_OK);
  cn_mapping_drop(f->memory);
  cn_free(f);
  return cn_h5_leave(q, status);
}

static void close_library(void *state) {
  library *f = state;
  cn_h5_turn q = cn_h5_enter();
  cn_hdf.Fclose(f->file);
  cn_h5_leave(q, CORNU_OK);
  cn_mapping_drop(f->memory);
  cn_free(f);
}

/* ---- Objects ---- */

/* One step down: the member of a group, only over a hard link. */
static cn_status open_member(hid_t group, const char *name, hid_t *out, cn_error *e) {
  H5L_info_t info;
  if (strcmp(name, ".") == 0 || cn_hdf.Lexists(group, name, H5P_DEFAULT) <= 0)
    return cn_fail(e, CORNU_ERR_NOT_FOUND, "no \"%s\" in the file", name);
  if (cn_hdf.Lget_info(group, name, &info, H5P_DEFAULT) < 0) return cn_h5_failed(e, name);
  if (info.type != H5L_TYPE_HARD)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"%s\" is a link to another place or file, which is never followed",
                   name);
  *out = cn_hdf.Oopen(group, name, H5P_DEFAULT);
  return *out >= 0 ? CORNU_OK : cn_h5_failed(e, name);
}

static cn_status open_object(library *f, const char *path, hid_t *out, cn_error *e) {
  char name[4096];
  hid_t at = cn_hdf.Oopen(f->file, "/", H5P_DEFAULT);
  if (at < 0) return cn_h5_failed(e, "the root group");
  int depth = 0;
  for (const char *p = path; *p;) {
    size_t length = strcspn(p, "/");
    cn_status status = CORNU_OK;
    hid_t next = -1;
    if (length >= sizeof name || ++depth > cn_limits.max_depth)
      status = cn_fail(e, CORNU_ERR_LIMIT, "a path too long: \"%.80s…\"", path);
    else if (cn_hdf.Iget_type(at) != H5I_GROUP) status = cn_fail(e, CORNU_ERR_NOT_FOUND, "no \"%s\" in the file", path);
    if (!status && length) {
      memcpy(name, p, length);
      name[length] = 0;
      status = open_member(at, name, &next, e);
    }
    if (status || length) cn_hdf.Oclose(at);
    if (status) return status;
    if (length) at = next;
    p += length;
    p += *p == '/';
  }
  *out = at;
  return CORNU_OK;
}

static cn_h5_kind find(void *f, const char *path) {
  cn_h5_turn q = cn_h5_enter();
  hid_t object;
  cn_h5_kind kind = CN_H5_NONE;
  if (!open_object(f, path, &object, NULL)) {
    H5I_type_t type = cn_hdf.Iget_type(object);
    kind = type == H5I_GROUP ? CN_H5_GROUP : type == H5I_DATASET ? CN_H5_ARRAY : CN_H5_NONE;
    cn_hdf.Oclose(object);
  }
  cn_h5_leave(q, CORNU_OK);
  return kind;
}

typedef struct listing { cn_arena *arena; cn_names *names; cn_status status; cn_error *e; } listing;

static herr_t list_member(hid_t group, const char *name, const H5L_info_t *info, void *user) {
  (void)group, (void)info;
  listing *l = user;
  if (l->names->count >= cn_limits.max_layers)
    l->status = cn_fail(l->e, CORNU_ERR_LIMIT, "a group has more than %d members", cn_limits.max_layers);
  else if (!cn_names_add(l->arena, l->names, name, strlen(name)))
    l->status = cn_no_memory(l->e);
  return l->status ? -1 : 0;
}

static cn_status members(void *f, const char *path, cn_arena *a, cn_names *out, cn_error *e) {
  cn_h5_turn q = cn_h5_enter();
  listing l = {a, out, CORNU_OK, e};
  hid_t group;
  cn_status status = open_object(f, path, &group, e);
  if (status) return cn_h5_leave(q, status);
  *out = (cn_names){0};
  if (cn_hdf.Iget_type(group) != H5I_GROUP) status = cn_fail(e, CORNU_ERR_FORMAT, "\"%s\" is not a group", path);
  else if (cn_hdf.Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, list_member, &l) < 0)
    status = l.status ? l.status : cn_h5_failed(e, path);
  cn_hdf.Oclose(group);
  return cn_h5_leave(q, status);
}

/* ---- Attributes ---- */

typedef struct attribute {
  hid_t object, id, type;
  int64_t count;  /* elements; 0: none */
  bool found;
} attribute;

static void close_attribute(attribute *a) {
  if (a->type > 0) cn_hdf.Tclose(a->type);
  if (a->id > 0) cn_hdf.Aclose(a->id);
  if (a->object > 0) cn_hdf.Oclose(a->object);
  *a = (attribute){0};
}

static cn_status open_attribute(library *f, const char *path, const char *name, attribute *a, cn_error *e) {
  *a = (attribute){0};
  CN_TRY(open_object(f, path, &a->object, e));
  htri_t exists = cn_hdf.Aexists(a->object, name);
  if (exists < 0) return cn_h5_failed(e, name);
  if (!exists) return CORNU_OK;
  a->id = cn_hdf.Aopen(a->object, name, H5P_DEFAULT);
  if (a->id < 0) return cn_h5_failed(e, name);
  a->type = cn_hdf.Aget_type(a->id);
  hid_t space = cn_hdf.Aget_space(a->id);
  if (a->type < 0 || space < 0) {
    if (space >= 0) cn_hdf.Sclose(space);
    return cn_h5_failed(e, name);
  }
  int rank = cn_hdf.Sget_simple_extent_ndims(space);
  a->count = cn_hdf.Sget_simple_extent_type(space) == H5S_NULL ? 0 : (int64_t)cn_hdf.Sget_simple_extent_npoints(space);
  a->found = true;
  cn_hdf.Sclose(space);
  if (rank > 1 || a->count < 0)
    return cn_fail(e, CORNU_ERR_FORMAT, "attribute \"%s\" has %d dimensions, expected 0 or 1", name, rank);
  return CORNU_OK;
}

/* Room for the elements of an attribute, within the limits. */
static cn_status attribute_room(const attribute *a, const char *name, void **out, size_t *size, cn_error *e) {
  size_t bytes;
  *size = cn_hdf.Tget_size(a->type);
  if (!*size || !cn_mul_size((size_t)a->count, *size, &bytes) || bytes > cn_limits.max_text_bytes ||
      a->count > 16 * (int64_t)cn_limits.max_layers)
    return cn_fail(e, CORNU_ERR_LIMIT, "attribute \"%s\" has %lld elements of %zu bytes, more than the limits allow",
                   name, (long long)a->count, *size);
  *out = cn_calloc(1, bytes + 1);
  return *out ? CORNU_OK : cn_no_memory(e);
}

static cn_status read_texts(attribute *a, const char *name, cn_arena *arena, cn_names *out, cn_error *e) {
  if (a->count == 0) return CORNU_OK; /* h5py writes an empty list as an empty array of numbers */
  if (cn_hdf.Tget_class(a->type) != H5T_STRING)
    return cn_fail(e, CORNU_ERR_FORMAT, "attribute \"%s\" is not text", name);
  void *data;
  size_t width;
  bool variable = cn_hdf.Tis_variable_str(a->type) > 0;
  CN_TRY(attribute_room(a, name, &data, &width, e));
  cn_status status = cn_hdf.Aread(a->id, a->type, data) < 0 ? cn_h5_failed(e, name) : CORNU_OK;
  bool read = !status;
  int padding = cn_hdf.Tget_strpad(a->type); /* numbered as in the file */
  size_t total = 0;
  for (int64_t i = 0; i < a->count && !status; i++) {
    const char *text = variable ? ((char **)data)[i] : (char *)data + (size_t)i * width;
    if (!text) text = "";
    size_t length = variable ? strlen(text) : cn_h5_fixed_length(text, width, padding);
    total += length;
    if (total > cn_limits.max_text_bytes)
      status = cn_fail(e, CORNU_ERR_LIMIT, "attribute \"%s\" has more than %zu bytes", name, cn_limits.max_text_bytes);
    else status = cn_h5_add_text(name, text, length, arena, out, e);
  }
  if (variable && read) {
    hid_t space = cn_hdf.Aget_space(a->id);
    cn_hdf.Dvlen_reclaim(a->type, space, H5P_DEFAULT, data);
    cn_hdf.Sclose(space);
  }
  cn_free(data);
  return status;
}

static bool has_attr(void *f, const char *path, const char *name) {
  cn_h5_turn q = cn_h5_enter();
  attribute a;
  bool found = !open_attribute(f, path, name, &a, NULL) && a.found;
  close_attribute(&a);
  cn_h5_leave(q, CORNU_OK);
  return found;
}

static cn_status texts(void *f, const char *path, const char *name, cn_arena *arena, cn_names *out, bool *found,
                       cn_error *e) {
  cn_h5_turn q = cn_h5_enter();
  attribute a;
  cn_status status = open_attribute(f, path, name, &a, e);
  *found = a.found;
  if (!status && a.found) status = read_texts(&a, name, arena, out, e);
  close_attribute(&a);
  return cn_h5_leave(q, status);
}

static cn_status integer(void *f, const char *path, const char *name, int64_t *out, bool *found, cn_error *e) {
  cn_h5_turn q = cn_h5_enter();
  attribute a;
  cn_status status = open_attribute(f, path, name, &a, e);
  *found = a.found;
  if (!status && a.found) {
    if (a.count != 1 || cn_hdf.Tget_class(a.type) != H5T_INTEGER)
      status = cn_fail(e, CORNU_ERR_FORMAT, "attribute \"%s\" is not one whole number", name);
    else if (cn_hdf.Aread(a.id, cn_hdf.native_int64, out) < 0) status = cn_h5_failed(e, name);
  }
  close_attribute(&a);
  return cn_h5_leave(q, status);
}

/* ---- Arrays ---- */

typedef struct array {
  hid_t id, type;
  cn_type what;
  size_t bytes;
  bool swapped;  /* the other byte order */
} array;

static void close_array(array *a) {
  if (a->type > 0) cn_hdf.Tclose(a->type);
  if (a->id > 0) cn_hdf.Oclose(a->id);
  *a = (array){0};
}

/* IEEE formats by the places of their bits. */
static bool float_type(hid_t type, cornu_dtype *out) {
  enum { SIZE, SIGN, EXPONENT, EXPONENT_BITS, MANTISSA, MANTISSA_BITS, BIAS, FIELDS };
  static const struct { cornu_dtype dtype; size_t fields[FIELDS]; } known[] = {
      {CORNU_FLOAT32, {4, 31, 23, 8, 0, 23, 127}}, {CORNU_FLOAT64, {8, 63, 52, 11, 0, 52, 1023}},
      {CORNU_FLOAT16, {2, 15, 10, 5, 0, 10, 15}},  {CORNU_BFLOAT16, {2, 15, 7, 8, 0, 7, 127}}};
  size_t f[FIELDS] = {[SIZE] = cn_hdf.Tget_size(type), [BIAS] = cn_hdf.Tget_ebias(type)};
  if (cn_hdf.Tget_fields(type, &f[SIGN], &f[EXPONENT], &f[EXPONENT_BITS], &f[MANTISSA], &f[MANTISSA_BITS]) < 0)
    return false;
  for (int i = 0; i < CN_COUNT(known); i++)
    if (memcmp(f, known[i].fields, sizeof f) == 0) return *out = known[i].dtype, true;
  return false;
}

static bool integer_type(hid_t type, cornu_dtype *out) {
  static const cornu_dtype with_sign[] = {CORNU_INT8, CORNU_INT16, CORNU_INT32, CORNU_INT64};
  static const cornu_dtype without[] = {CORNU_UINT8, CORNU_UINT16, CORNU_UINT32, CORNU_UINT64};
  size_t size = cn_hdf.Tget_size(type);
  for (int i = 0; i < 4; i++)
    if (size == (size_t)1 << i) return *out = cn_hdf.Tget_sign(type) == H5T_SGN_NONE ? without[i] : with_sign[i], true;
  return false;
}

/* h5py's bool: an enumeration of FALSE and TRUE over one byte. */
static bool bool_type(hid_t type) {
  if (cn_hdf.Tget_size(type) != 1 || cn_hdf.Tget_nmembers(type) != 2) return false;
  bool known = true;
  for (unsigned i = 0; i < 2; i++) {
    char *name = cn_hdf.Tget_member_name(type, i);
    known = known && name && (strcmp(name, "FALSE") == 0 || strcmp(name, "TRUE") == 0);
    cn_hdf.free_memory(name);
  }
  return known;
}

static cn_status element_type(array *a, cn_error *e) {
  cornu_dtype *dtype = &a->what.dtype;
  H5T_class_t kind = cn_hdf.Tget_class(a->type);
  size_t size = cn_hdf.Tget_size(a->type);
  bool known = false;
  switch (kind) {
    case H5T_FLOAT: known = float_type(a->type, dtype); break;
    case H5T_INTEGER: known = integer_type(a->type, dtype); break;
    case H5T_ENUM: known = bool_type(a->type), *dtype = CORNU_BOOL8; break;
    case H5T_OPAQUE: known = size == 2, *dtype = CORNU_BFLOAT16; break; /* how h5py stores what NumPy does not know */
    default: break;
  }
  if (known && (kind == H5T_FLOAT || kind == H5T_INTEGER)) {
    known = cn_hdf.Tget_precision(a->type) == 8 * size && cn_hdf.Tget_offset(a->type) == 0;
    a->swapped = size > 1 && cn_hdf.Tget_order(a->type) != cn_hdf.Tget_order(cn_hdf.native_int);
  }
  if (known) return CORNU_OK;
  static const char *const names[] = {"integer", "float", "time", "string", "bit field", "opaque", "compound",
                                      "reference", "enumeration", "list", "array"};
  return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                 "its elements are of an HDF5 %s type of %zu bytes; arrays hold integers, floats or bools",
                 kind >= 0 && kind < CN_COUNT(names) ? names[kind] : "unknown", size);
}

static cn_status array_shape(array *a, cn_error *e) {
  hid_t space = cn_hdf.Dget_space(a->id);
  if (space < 0) return cn_h5_failed(e, "shape");
  hsize_t shape[H5S_MAX_RANK];
  int rank = cn_hdf.Sget_simple_extent_type(space) == H5S_NULL ? -1 : cn_hdf.Sget_simple_extent_dims(space, shape, NULL);
  cn_hdf.Sclose(space);
  if (rank < 0) return cn_fail(e, CORNU_ERR_FORMAT, "it has no shape");
  if (rank > CN_MAX_RANK)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "it has %d dimensions, the most are %d", rank, CN_MAX_RANK);
  a->what.rank = rank;
  a->bytes = cornu_dtype_bytes(a->what.dtype);
  for (int i = 0; i < rank; i++) {
    a->what.shape[i] = (int64_t)shape[i];
    if (shape[i] > INT64_MAX || !cn_mul_size(a->bytes, (size_t)shape[i], &a->bytes))
      return cn_fail(e, CORNU_ERR_LIMIT, "its shape has more elements than memory can hold");
  }
  return CORNU_OK;
}

static cn_status check_filters(hid_t list, cn_error *e) {
  int count = cn_hdf.Pget_nfilters(list);
  for (int i = 0; i < count; i++) {
    unsigned flags, config;
    size_t values = 0;
    char name[64] = "";
    H5Z_filter_t filter = cn_hdf.Pget_filter2(list, (unsigned)i, &flags, &values, NULL, sizeof name, name, &config);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
      return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                     "it is packed with the HDF5 filter %d (%s); Cornu reads gzip, shuffle and fletcher32: "
                     "repack the file with h5repack -f GZIP=1", (int)filter, *name ? name : "unknown");
  }
  return CORNU_OK;
}

/* The data must be in this file, and not much smaller there than its shape says. */
static cn_status check_storage(const array *a, size_t most, cn_error *e) {
  hid_t list = cn_hdf.Dget_create_plist(a->id);
  if (list < 0) return cn_h5_failed(e, "storage");
  H5D_layout_t layout = cn_hdf.Pget_layout(list);
  cn_status status = CORNU_OK;
  if (cn_hdf.Pget_external_count(list) != 0)
    status = cn_fail(e, CORNU_ERR_UNSUPPORTED, "its data is in another file, which is never read");
  else if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED)
    status = cn_fail(e, CORNU_ERR_UNSUPPORTED, "it is a virtual array, made from others, which is never read");
  else status = check_filters(list, e);
  cn_hdf.Pclose(list);
  CN_TRY(status);
  uint64_t stored = cn_hdf.Dget_storage_size(a->id);
  if (a->bytes > most)
    return cn_fail(e, CORNU_ERR_LIMIT, "it needs %zu bytes, the limit is %zu", a->bytes, most);
  if (layout == H5D_CHUNKED ? a->bytes / 1000 > stored : a->bytes > stored)
    return cn_fail(e, CORNU_ERR_FORMAT, "its shape %s needs %zu bytes, the file holds %llu",
                   CN_SHAPE(a->what.rank, a->what.shape), a->bytes,
                   (unsigned long long)stored);
  return CORNU_OK;
}

static cn_status open_array(library *f, const char *path, array *a, cn_error *e) {
  *a = (array){0};
  cn_status status = open_object(f, path, &a->id, e);
  if (!status && cn_hdf.Iget_type(a->id) != H5I_DATASET) status = cn_fail(e, CORNU_ERR_FORMAT, "it is not an array");
  if (!status) {
    a->type = cn_hdf.Dget_type(a->id);
    status = a->type < 0 ? cn_h5_failed(e, "type") : element_type(a, e);
  }
  if (!status) status = array_shape(a, e);
  if (status) close_array(a);
  return status ? cn_at(e, status, "array \"%s\"", path) : CORNU_OK;
}

static cn_status array_type(void *f, const char *path, cn_type *out, cn_error *e) {
  cn_h5_turn q = cn_h5_enter();
  array a;
  cn_status status = open_array(f, path, &a, e);
  *out = a.what;
  close_array(&a);
  return cn_h5_leave(q, status);
}

static void settle(const array *a, char *data, int64_t count) {
  if (a->swapped) cn_h5_swap_bytes(data, cornu_dtype_bytes(a->what.dtype), count);
  for (int64_t i = 0; a->what.dtype == CORNU_BOOL8 && i < count; i++) data[i] = data[i] != 0;
}

/* Elements are read as they are in the file, so that the library converts nothing. */
static cn_status read_array(const array *a, cn_tensor **out, cn_error *e) {
  CN_TRY(check_storage(a, cn_limits.max_tensor_bytes, e));
  CN_TRY(cornu_tensor_new(a->what.dtype, a->what.rank, a->what.shape, out, e));
  cn_tensor *t = *out;
  int64_t count = cornu_tensor_size(t);
  cn_status status = CORNU_OK;
  if (count && cn_hdf.Dread(a->id, a->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, t->data) < 0)
    status = cn_h5_failed(e, "cannot read the data");
  if (!status) return settle(a, t->data, count), CORNU_OK;
  cornu_tensor_release(t);
  *out = NULL;
  return status;
}

static cn_status array_read(void *f, const char *path, bool stay, cn_tensor **out, cn_error *e) {
  (void)stay;
  *out = NULL;
  cn_h5_turn q = cn_h5_enter();
  array a;
  cn_status status = open_array(f, path, &a, e);
  if (!status) {
    status = read_array(&a, out, e);
    if (status) cn_at(e, status, "array \"%s\"", path);
  }
  close_array(&a);
  return cn_h5_leave(q, status);
}

/* ---- Rows: hyperslabs ---- */

static void rows_close(void *rows) {
  cn_h5_turn q = cn_h5_enter();
  close_array(rows);
  cn_h5_leave(q, CORNU_OK);
  cn_free(rows);
}

static int64_t chunk_rows(const array *a) {
  hsize_t shape[H5S_MAX_RANK];
  hid_t list = cn_hdf.Dget_create_plist(a->id);
  const bool chunked = cn_hdf.Pget_layout(list) == H5D_CHUNKED && cn_hdf.Pget_chunk(list, H5S_MAX_RANK, shape) > 0;
  cn_hdf.Pclose(list);
  return chunked && shape[0] <= INT32_MAX ? (int64_t)shape[0] : 0;
}

static cn_status rows_open(void *f, const char *path, cn_h5_rows *out, cn_error *e) {
  array *a = cn_calloc(1, sizeof *a);
  if (!a) return cn_no_memory(e);
  cn_h5_turn q = cn_h5_enter();
  cn_status status = open_array(f, path, a, e);
  if (!status && (status = check_storage(a, SIZE_MAX, e))) cn_at(e, status, "array \"%s\"", path);
  if (!status) {
    *out = (cn_h5_rows){out->file, a, a->what, chunk_rows(a)};
  } else {
    close_array(a);
    cn_free(a);
  }
  return cn_h5_leave(q, status);
}

static cn_status rows_read(void *f, void *rows, int64_t first, int64_t n, char *to, cn_error *e) {
  (void)f;
  const array *a = rows;
  hsize_t start[CN_MAX_RANK] = {(hsize_t)first}, count[CN_MAX_RANK];
  int64_t elements = n;
  for (int i = 0; i < a->what.rank; i++) count[i] = (hsize_t)(i ? a->what.shape[i] : n);
  for (int i = 1; i < a->what.rank; i++) elements *= a->what.shape[i];
  if (!elements) return CORNU_OK;
  cn_h5_turn q = cn_h5_enter();
  hid_t there = cn_hdf.Dget_space(a->id), here = cn_hdf.Screate_simple(a->what.rank, count, NULL);
  const bool read = there >= 0 && here >= 0 &&
                    cn_hdf.Sselect_hyperslab(there, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
                    cn_hdf.Dread(a->id, a->type, here, there, H5P_DEFAULT, to) >= 0;
  cn_status status = read ? CORNU_OK : cn_h5_failed(e, "cannot read the data");
  if (there >= 0) cn_hdf.Sclose(there);
  if (here >= 0) cn_hdf.Sclose(here);
  if (!status) settle(a, to, elements);
  return cn_h5_leave(q, status);
}

const cn_h5_reader cn_h5_library = {close_library, find,       members,   has_attr,  texts,     integer,
                                    array_type,    array_read, rows_open, rows_read, rows_close};
