/* The functions of libhdf5. It is loaded when a file first needs it: it brings forty other libraries along, which take
 * longer to load than all of Cornu, and most processes never read a file that needs it. */
#ifndef CN_FORMATS_H5_CALLS_H
#define CN_FORMATS_H5_CALLS_H

#include <hdf5.h>

#include "base/error.h"

/* Constants of the header would call the library. */
#undef H5CHECK
#undef H5OPEN
#define H5CHECK
#define H5OPEN

#define CN_H5_CALLS(X) \
  X(open) X(free_memory) X(Fflush) X(Aclose) X(Acreate2) X(Aexists) X(Aget_space) X(Aget_type) X(Aopen) X(Aread) X(Awrite) \
  X(Dclose) X(Dcreate2) X(Dget_create_plist) X(Dget_space) X(Dget_storage_size) X(Dget_type) X(Dread) \
  X(Dvlen_reclaim) X(Dwrite) X(Eget_auto2) X(Eset_auto2) X(Ewalk2) X(FDregister) X(Fclose) X(Fcreate) \
  X(Fget_vfd_handle) X(Fopen) X(Gcreate2) X(Iget_type) X(Lexists) X(Lget_info) X(Literate) X(Oclose) X(Oopen) \
  X(PLget_loading_state) X(PLset_loading_state) X(Pclose) X(Pcreate) X(Pget_external_count) X(Pget_filter2) \
  X(Pget_layout) X(Pget_nfilters) X(Pset_create_intermediate_group) X(Pset_driver) X(Pset_fapl_core) \
  X(Pset_fclose_degree) X(Pset_file_image) X(Pset_file_image_callbacks) X(Sclose) X(Screate) X(Screate_simple) \
  X(Sget_simple_extent_dims) X(Sget_simple_extent_ndims) X(Sget_simple_extent_npoints) X(Sget_simple_extent_type) \
  X(Pget_chunk) X(Sselect_hyperslab) \
  X(Tclose) X(Tcopy) X(Tcreate) X(Tenum_create) X(Tenum_insert) X(Tget_class) X(Tget_ebias) X(Tget_fields) \
  X(Tget_member_name) X(Tget_nmembers) X(Tget_offset) X(Tget_order) X(Tget_precision) X(Tget_sign) X(Tget_size) \
  X(Tget_strpad) X(Tis_variable_str) X(Tset_ebias) X(Tset_fields) X(Tset_size) X(Tset_strpad) CN_H5_NEWER_CALLS(X)
#if H5_VERSION_GE(1, 10, 7)
#define CN_H5_NEWER_CALLS(X) X(Pset_file_locking)
#else
#define CN_H5_NEWER_CALLS(X)
/* h5_driver.c: files that are written with it never fail; where the first errno is kept, while the file is open. */
hid_t cn_h5_driver(void);
int *cn_h5_driver_error(hid_t file);

#endif

typedef struct cn_h5_calls {
#define X(name) __typeof__(&H5##name) name;
  CN_H5_CALLS(X)
#undef X
  hid_t file_access, link_create;  /* H5P_FILE_ACCESS, H5P_LINK_CREATE */
  hid_t native_int, native_int64;  /* H5T_NATIVE_… */
  hid_t text;                      /* H5T_C_S1 */
  hid_t numbers[10];               /* as in files: float32, 64, int8 to 64, uint8 to 64 */
} cn_h5_calls;
extern cn_h5_calls cn_hdf; /* valid after cn_h5_calls_load */

/* Loads the library, once. */
cn_status cn_h5_calls_load(cn_error *e);

/* The library is not safe for threads, so one lock serves the process: every use is a turn. It prints and loads plugins
 * unless told otherwise; the host's settings are put back after each turn. */
typedef struct cn_h5_turn { H5E_auto2_t print; void *data; unsigned plugins; } cn_h5_turn;
cn_h5_turn cn_h5_enter(void);
cn_status cn_h5_leave(cn_h5_turn turn, cn_status status);
/* What the library says has happened: "truncated file: eof = …". */
cn_status cn_h5_failed(cn_error *e, const char *what);
const char *cn_h5_reason(char *text, size_t size);

/* h5_driver.c: files that are written with it never fail; where the first errno is kept, while the file is open. */
hid_t cn_h5_driver(void);
int *cn_h5_driver_error(hid_t file);

#endif
