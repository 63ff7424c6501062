/* Loading libhdf5, and turns of using it. */
#include "formats/h5_calls.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
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
    {"H5P_CLS_LINK_CREATE_ID_g", offsetof(cn_h5_calls, link_create)},
    {"H5T_C_S1_g", offsetof(cn_h5_calls, text)},
    {"H5T_IEEE_F32LE_g", offsetof(cn_h5_calls, numbers[0])},
    {"H5T_IEEE_F64LE_g", offsetof(cn_h5_calls, numbers[1])},
    {"H5T_STD_I8LE_g", offsetof(cn_h5_calls, numbers[2])},
    {"H5T_STD_I16LE_g", offsetof(cn_h5_calls, numbers[3])},
    {"H5T_STD_I32LE_g", offsetof(cn_h5_calls, numbers[4])},
    {"H5T_STD_I64LE_g", offsetof(cn_h5_calls, numbers[5])},
    {"H5T_STD_U8LE_g", offsetof(cn_h5_calls, numbers[6])},
    {"H5T_STD_U16LE_g", offsetof(cn_h5_calls, numbers[7])},
    {"H5T_STD_U32LE_g", offsetof(cn_h5_calls, numbers[8])},
    {"H5T_STD_U64LE_g", offsetof(cn_h5_calls, numbers[9])},
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

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static cn_status load(cn_error *e) {
  static bool loaded;
  if (loaded) return CORNU_OK;
  void *library = dlopen(CORNU_HDF5, RTLD_NOW | RTLD_LOCAL);
  if (!library) return cn_fail(e, CORNU_ERR_UNSUPPORTED, "it needs libhdf5: %s", dlerror());
  const char *missing = find_all(library);
  if (missing) return cn_fail(e, CORNU_ERR_UNSUPPORTED, "%s has no %s", CORNU_HDF5, missing);
  loaded = true;
  return CORNU_OK;
}

cn_status cn_h5_calls_load(cn_error *e) {
  pthread_mutex_lock(&mutex);
  cn_status status = load(e);
  pthread_mutex_unlock(&mutex);
  return status;
}

cn_h5_turn cn_h5_enter(void) {
  cn_h5_turn q = {0};
  pthread_mutex_lock(&mutex);
  cn_hdf.Eget_auto2(H5E_DEFAULT, &q.print, &q.data);
  cn_hdf.Eset_auto2(H5E_DEFAULT, NULL, NULL);
  cn_hdf.PLget_loading_state(&q.plugins);
  cn_hdf.PLset_loading_state(0);
  return q;
}

cn_status cn_h5_leave(cn_h5_turn q, cn_status status) {
  cn_hdf.PLset_loading_state(q.plugins);
  cn_hdf.Eset_auto2(H5E_DEFAULT, q.print, q.data);
  pthread_mutex_unlock(&mutex);
  return status;
}

/* The innermost record. */
typedef struct reason { char *text; size_t size; } reason;
static herr_t first_record(unsigned n, const H5E_error2_t *record, void *user) {
  const reason *r = user;
  if (n == 0 && record->desc) snprintf(r->text, r->size, "%s", record->desc);
  return 0;
}

const char *cn_h5_reason(char *text, size_t size) {
  *text = 0;
  cn_hdf.Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first_record, &(reason){text, size});
  return text;
}

cn_status cn_h5_failed(cn_error *e, const char *what) {
  char text[200];
  cn_h5_reason(text, sizeof text);
  return cn_fail(e, CORNU_ERR_FORMAT, "%s: %s", what, *text ? text : "damaged HDF5 data");
}
