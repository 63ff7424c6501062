/* Files of MNIST's kind, plain or packed by gzip: two zeros, a type, the number of dimensions, their sizes, the elements;
 * all numbers are big-endian. */
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/text.h"
#include "formats/npy.h"

enum { MOST_PACKED = 1040 /* by deflate, to 1 */ };

static cn_status read_exactly(gzFile z, void *to, size_t size, cn_error *e) {
  for (char *at = to; size;) {
    const int got = gzread(z, at, size < 1 << 30 ? (unsigned)size : 1 << 30);
    if (got < 0) return cn_fail(e, CORNU_ERR_FORMAT, "damaged gzip data");
    if (got == 0) return cn_fail(e, CORNU_ERR_FORMAT, "the file ends too early");
    at += got;
    size -= (size_t)got;
  }
  return CORNU_OK;
}

static cn_status read_head(gzFile z, cn_npy *out, cn_error *e) {
  static const struct { int code; const char *dtype; } types[] = {{8, "|u1"},  {9, "|i1"},  {11, ">i2"},
                                                                  {12, ">i4"}, {13, ">f4"}, {14, ">f8"}};
  uint8_t start[4], size[4];
  const char *dtype = NULL;
  CN_TRY(read_exactly(z, start, sizeof start, e));
  for (int i = 0; i < CN_COUNT(types); i++)
    if (start[2] == types[i].code) dtype = types[i].dtype;
  if (start[0] || start[1] || !dtype || start[3] > CN_MAX_RANK)
    return cn_fail(e, CORNU_ERR_FORMAT, "not an idx file");
  CN_TRY(cn_npy_dtype(dtype, out, e));
  out->bytes = cornu_dtype_bytes(out->dtype);
  for (out->rank = 0; out->rank < start[3]; out->rank++) {
    CN_TRY(read_exactly(z, size, sizeof size, e));
    const uint32_t n = (uint32_t)size[0] << 24 | (uint32_t)size[1] << 16 | (uint32_t)size[2] << 8 | size[3];
    out->shape[out->rank] = n;
    if (!cn_mul_size(out->bytes, n, &out->bytes) || out->bytes > cn_limits.max_tensor_bytes)
      return cn_fail(e, CORNU_ERR_LIMIT, "the array is larger than the limit of %zu bytes", cn_limits.max_tensor_bytes);
  }
  return CORNU_OK;
}

static cn_status read_array(gzFile z, uint64_t file, cn_tensor **out, cn_error *e) {
  cn_npy a = {0};
  char byte;
  CN_TRY(read_head(z, &a, e));
  if (a.bytes / (gzdirect(z) ? 1 : MOST_PACKED) > file)
    return cn_fail(e, CORNU_ERR_FORMAT, "its shape %s needs more than the file can hold", CN_SHAPE(a.rank, a.shape));
  CN_TRY(cn_npy_new(&a, out, e));
  cn_status status = read_exactly(z, (*out)->data, a.bytes, e);
  if (!status && gzread(z, &byte, 1) != 0) status = cn_fail(e, CORNU_ERR_FORMAT, "the file goes on behind its array");
  if (!status) status = cn_npy_settle(&a, out, e);
  if (!status) return CORNU_OK;
  cornu_tensor_release(*out);
  *out = NULL;
  return status;
}

cornu_status cornu_idx_load(const char *path, cornu_tensor **out, cornu_error *e) {
  cn_file f;
  *out = NULL;
  CN_TRY(cn_file_open(path, &f, e));
  const int fd = dup(f.fd);
  gzFile z = fd < 0 ? NULL : gzdopen(fd, "rb");
  if (!z && fd >= 0) close(fd);
  cn_status status = z ? read_array(z, f.size, out, e) : cn_no_memory(e);
  if (z) gzclose(z);
  cn_file_close(&f);
  return status ? cn_at(e, status, "%s", path) : CORNU_OK;
}
