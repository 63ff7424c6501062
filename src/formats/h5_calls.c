/* Loading libhdf5. */
#include "formats/h5_calls.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

cn_h5_calls cn_hdf;

#define TEXT(name) TEXT_OF(name)
#define TEXT_OF(name) #name

/* The names as the header's macros choose them: H5Literate may be H5Literate2. */
static const struct { const char *name; size_t at; } calls[] = {
#define X(call) {TEXT(H5##call), offsetof(cn_h5_calls, call)},
    CN_H5_CALLS(X)
#undef X
};

static const struct { const char *name; size_t at; } numbers[] = {
    {"H5P_CLS_FILE_ACCESS_ID_g", offsetof(cn_h5_calls, file_access)},
    {"H5T_NATIVE_INT_g", offsetof(cn_h5_calls, native_int)},
    {"H5T_NATIVE_INT64_g", offsetof(cn_h5_calls, native_int64)}};

static bool find(void *library, const char *name, void **out) {
  *out = dlsym(library, name);
  return *out;
}

static const char *find_all(void *library) {
  void *found;
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    if (!find(library, calls[i].name, &found)) return calls[i].name;
    memcpy((char *)&cn_hdf + calls[i].at, &found, sizeof found);
  }
  cn_hdf.open(); /* gives the numbers their values */
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    if (!find(library, numbers[i].name, &found)) return numbers[i].name;
    memcpy((char *)&cn_hdf + numbers[i].at, found, sizeof(hid_t));
  }
  return NULL;
}

cn_status cn_h5_calls_load(cn_error *e) {
  static bool loaded;
  if (loaded) return CORNU_OK;
  void *library = dlopen(CORNU_HDF5, RTLD_NOW | RTLD_LOCAL);
  if (!library) return cn_fail(e, CORNU_ERR_UNSUPPORTED, "reading it needs libhdf5: %s", dlerror());
  const char *missing = find_all(library);
  if (missing) return cn_fail(e, CORNU_ERR_UNSUPPORTED, "%s has no %s", CORNU_HDF5, missing);
  loaded = true;
  return CORNU_OK;
}
