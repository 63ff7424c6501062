/* How libhdf5 writes files: a driver of our own, which never tells the library of a failure but keeps it for us. The
 * library does not stand failing writes: what it could not write it tries again when the file is closed and when the
 * process ends, and then it crashes. */
#include "formats/h5_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct sink {
  H5FD_t base;
  int fd;
  int error;         /* the first errno; 0: none */
  haddr_t end, used; /* of the file; of what the library has taken */
} sink;

enum { NUMBER = 511 }; /* of the driver, from the range for tests: it is in no file */

static H5FD_t *open_sink(const char *name, unsigned flags, hid_t fapl, haddr_t most) {
  (void)flags, (void)fapl, (void)most;
  sink *s = calloc(1, sizeof *s); /* the library's, and its allocator's */
  if (!s) return NULL;
  s->fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (s->fd >= 0) return &s->base;
  free(s);
  return NULL;
}

static herr_t close_sink(H5FD_t *file) {
  sink *s = (void *)file;
  close(s->fd);
  free(s);
  return 0;
}

static herr_t query(const H5FD_t *file, unsigned long *flags) {
  (void)file;
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_AGGREGATE_SMALLDATA;
  return 0;
}

static haddr_t get_used(const H5FD_t *file, H5FD_mem_t type) {
  (void)type;
  return ((const sink *)(const void *)file)->used;
}

static herr_t set_used(H5FD_t *file, H5FD_mem_t type, haddr_t used) {
  (void)type;
  ((sink *)(void *)file)->used = used;
  return 0;
}

static haddr_t get_end(const H5FD_t *file, H5FD_mem_t type) {
  (void)type;
  return ((const sink *)(const void *)file)->end;
}

static herr_t get_handle(H5FD_t *file, hid_t fapl, void **handle) {
  (void)fapl;
  *handle = &((sink *)(void *)file)->error;
  return 0;
}

/* Zeros behind the end. */
static herr_t read_sink(H5FD_t *file, H5FD_mem_t type, hid_t list, haddr_t at, size_t size, void *data) {
  (void)type, (void)list;
  sink *s = (void *)file;
  char *to = data;
  while (size) {
    ssize_t n = pread(s->fd, to, size, (off_t)at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && !s->error) s->error = errno;
    if (n <= 0) break;
    to += n, at += (haddr_t)n, size -= (size_t)n;
  }
  memset(to, 0, size);
  return 0;
}

static herr_t write_sink(H5FD_t *file, H5FD_mem_t type, hid_t list, haddr_t at, size_t size, const void *data) {
  (void)type, (void)list;
  sink *s = (void *)file;
  const char *from = data;
  while (size && !s->error) {
    ssize_t n = pwrite(s->fd, from, size, (off_t)at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) s->error = n ? errno : EIO;
    else from += n, at += (haddr_t)n, size -= (size_t)n;
  }
  if (at > s->end) s->end = at;
  return 0;
}

static herr_t truncate_sink(H5FD_t *file, hid_t list, hbool_t closing) {
  (void)list, (void)closing;
  sink *s = (void *)file;
  if (!s->error && s->end != s->used && ftruncate(s->fd, (off_t)s->used)) s->error = errno;
  s->end = s->used;
  return 0;
}

static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)NUMBER,
#endif
    .name = "cornu", .maxaddr = INT64_MAX, .fc_degree = H5F_CLOSE_STRONG, .open = open_sink, .close = close_sink,
    .query = query, .get_eoa = get_used, .set_eoa = set_used, .get_eof = get_end, .get_handle = get_handle,
    .read = read_sink, .write = write_sink, .truncate = truncate_sink, .fl_map = H5FD_FLMAP_DICHOTOMY};

hid_t cn_h5_driver(void) {
  static hid_t id;
  if (!id) id = cn_hdf.FDregister(&driver);
  return id;
}

int *cn_h5_driver_error(hid_t file) {
  void *error = NULL;
  return cn_hdf.Fget_vfd_handle(file, H5P_DEFAULT, &error) < 0 ? NULL : error;
}
