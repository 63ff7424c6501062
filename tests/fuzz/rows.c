/* Rows of .npy, of .npz and of HDF5 files: some from the beginning, some from the end, and back. */
#include <string.h>

#include "common/support.h"

enum { MOST_ARRAYS = 8, LONGEST = 200 };

typedef struct arrays { char names[MOST_ARRAYS][LONGEST]; int n; } arrays;

static cornu_status note(void *user, const cornu_port *array, cornu_error *e) {
  arrays *a = user;
  (void)e;
  if (a->n == MOST_ARRAYS || (array->name && strlen(array->name) >= LONGEST)) return CORNU_OK;
  strcpy(a->names[a->n++], array->name ? array->name : "");
  return CORNU_OK;
}

static void read_rows(const char *path, const char *name) {
  cornu_rows *r = NULL;
  cornu_tensor *t = NULL;
  cornu_port port;
  if (cornu_rows_open(path, *name ? name : NULL, false, &r, NULL)) return;
  cornu_rows_port(r, &port);
  const int64_t all = port.shape[0], n = all < 3 ? all : 3, order[] = {all - 1, 0, all / 2, all - 1};
  if (!cornu_rows_read(r, 0, n, &t, NULL)) cornu_tensor_release(t);
  if (!cornu_rows_read(r, all - n, n, &t, NULL)) cornu_tensor_release(t);
  if (!cornu_rows_pick(r, order, 4, &t, NULL)) cornu_tensor_release(t);
  cornu_rows_release(r);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
  (void)seed;
  return fuzz_mutate_zip(data, size, max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *path = fuzz_file(data, size);
  static arrays a;
  a.n = 0;
  cornu_rows_list(path, false, note, &a, NULL);
  for (int i = 0; i < a.n; i++) read_rows(path, a.names[i]);
  return 0;
}
