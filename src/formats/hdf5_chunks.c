/* HDF5: arrays in chunks, found through a tree, each packed by filters. Sections III.A.1, IV.A.2.i, IV.A.2.l. */
#include <string.h>
#include <zlib.h>

#include "base/deadline.h"
#include "base/pool.h"
#include "base/text.h"
#include "formats/hdf5.h"

enum { DEEPEST_TREE = 32, DEFLATE = 1, SHUFFLE = 2, FLETCHER32 = 3, MOST_PACKED = 1040 /* by deflate, to 1 */ };

/* ---- What the messages say ---- */

static cn_status unknown_filter(int id, cn_error *e) {
  return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                 "it is packed with the HDF5 filter %d; Cornu reads gzip (1), shuffle (2) and fletcher32 (3): repack the "
                 "file with h5repack -f GZIP=1", id);
}

/* One filter; *at moves behind it. Names are padded in the first version, and left out for known ones in the second. */
static cn_status read_filter(const cn_hdf5_message *m, size_t *at, cn_hdf5_filter *out, cn_error *e) {
  bool first = m->data[0] == 1;
  size_t left = m->size - *at, name = 0;
  const uint8_t *p = m->data + *at;
  if (left < 6) return cn_hdf5_damaged(e, "a list of filters");
  out->id = (int)cn_hdf5_number(p, 2);
  bool named = first || out->id >= 256;
  if (named) name = (size_t)cn_hdf5_number(p + 2, 2);
  size_t head = named ? 8 : 6;
  if (left < head) return cn_hdf5_damaged(e, "a list of filters");
  size_t values = (size_t)cn_hdf5_number(p + head - 2, 2);
  if (first) name = (name + 7) / 8 * 8;
  size_t size = head + name + 4 * values + (first && values % 2 ? 4 : 0);
  if (size > left) return cn_hdf5_damaged(e, "a list of filters");
  out->value = values ? (size_t)cn_hdf5_number(p + head + name, 4) : 0;
  *at += size;
  return out->id >= DEFLATE && out->id <= FLETCHER32 ? CORNU_OK : unknown_filter(out->id, e);
}

cn_status cn_hdf5_read_filters(const cn_hdf5_message *m, cn_hdf5_array *out, cn_error *e) {
  if (m->size < 2 || (m->data[0] != 1 && m->data[0] != 2)) return cn_hdf5_damaged(e, "a list of filters");
  size_t at = m->data[0] == 1 ? 8 : 2;
  out->n_filters = m->data[1];
  if (out->n_filters > CN_COUNT(out->filters) || at > m->size) return cn_hdf5_damaged(e, "a list of filters");
  for (int i = 0; i < out->n_filters; i++) CN_TRY(read_filter(m, &at, &out->filters[i], e));
  return CORNU_OK;
}

cn_status cn_hdf5_set_chunk(cn_hdf5_array *out, int axis, uint64_t size, cn_error *e) {
  if (axis == 0) {
    out->chunked = true;
    out->chunk_bytes = out->type.size;
    out->n_chunks = 1;
  }
  if (!size) return cn_hdf5_damaged(e, "chunks without elements");
  if (size > UINT32_MAX || !cn_mul_size(out->chunk_bytes, (size_t)size, &out->chunk_bytes) ||
      out->chunk_bytes > UINT32_MAX || out->space.shape[axis] > INT64_MAX - UINT32_MAX ||
      !cn_mul_i64(out->n_chunks, (out->space.shape[axis] + (int64_t)size - 1) / (int64_t)size, &out->n_chunks))
    return cn_hdf5_damaged(e, "chunks too large");
  out->chunk[axis] = (int64_t)size;
  return CORNU_OK;
}

/* The third version of the layout: the address of the tree, then the chunk's shape, and the size of an element. */
cn_status cn_hdf5_read_chunks(const cn_hdf5_message *layout, cn_hdf5_array *out, cn_error *e) {
  const uint8_t *p = layout->data;
  if (p[0] == 4) return cn_hdf5_read_later_chunks(layout, out, e);
  int rank = layout->size > 11 ? p[2] - 1 : 0;
  if (rank < 1 || layout->size < 11 + 4 * (size_t)(rank + 1)) return cn_hdf5_damaged(e, "the place of an array");
  if (rank != out->space.rank || cn_hdf5_number(p + 11 + 4 * rank, 4) != out->type.size)
    return cn_hdf5_damaged(e, "chunks of another shape than the array's");
  out->tree = cn_hdf5_number(p + 3, 8);
  for (int i = 0; i < rank; i++) CN_TRY(cn_hdf5_set_chunk(out, i, cn_hdf5_number(p + 11 + 4 * i, 4), e));
  return CORNU_OK;
}

/* ---- Filters ---- */

/* Sums of words of two bytes, high byte first, modulo 65535. */
static uint32_t fletcher32(const uint8_t *p, size_t size) {
  uint32_t a = 0, b = 0;
  for (size_t words = (size + 1) / 2, i = 0; i < words;) {
    for (size_t end = words - i < 360 ? words : i + 360; i < end; i++) {
      a += (uint32_t)p[2 * i] << 8 | (2 * i + 1 < size ? p[2 * i + 1] : 0);
      b += a;
    }
    a = (a & 0xffff) + (a >> 16);
    b = (b & 0xffff) + (b >> 16);
  }
  a = (a & 0xffff) + (a >> 16);
  b = (b & 0xffff) + (b >> 16);
  return b << 16 | a;
}

/* First bytes of all elements, then second ones, …: back to elements. What is left over stays as it is. */
static void unshuffle(const uint8_t *from, uint8_t *to, size_t size, size_t element) {
  size_t count = element ? size / element : 0;
  for (size_t k = 0; k < element; k++)
    for (size_t i = 0; i < count; i++) to[i * element + k] = from[k * count + i];
  memcpy(to + count * element, from + count * element, size - count * element);
}

typedef struct buffers { uint8_t *data, *other; size_t room, size; } buffers;

static cn_status undo(const cn_hdf5_filter *filter, buffers *b, cn_error *e) {
  if (filter->id == FLETCHER32) {
    if (b->size < 4 || fletcher32(b->data, b->size - 4) != cn_hdf5_number(b->data + b->size - 4, 4))
      return cn_hdf5_damaged(e, "a chunk whose check sum is wrong");
    b->size -= 4;
    return CORNU_OK;
  }
  uLongf unpacked = (uLongf)b->room;
  if (filter->id == SHUFFLE) unshuffle(b->data, b->other, b->size, filter->value);
  else if (uncompress(b->other, &unpacked, b->data, (uLong)b->size) != Z_OK)
    return cn_hdf5_damaged(e, "a chunk that gzip cannot unpack");
  if (filter->id == DEFLATE) b->size = (size_t)unpacked;
  uint8_t *swap = b->data;
  b->data = b->other;
  b->other = swap;
  return CORNU_OK;
}

/* ---- Chunks ---- */

typedef struct unpacking {
  const cn_hdf5 *file;
  const cn_hdf5_array *array;
  char *to;
  int64_t row, rows;     /* that are wanted */
  int64_t begin, end;    /* the chunks that hold them */
  cn_hdf5_place *places; /* of all chunks, in the order of their numbers */
  size_t room;    /* for a chunk as it is packed */
  uint64_t nodes; /* that the tree may still have */
  cn_error *e;
} unpacking;

/* The part of a chunk that is inside of the array, from `axis` on. */
static void copy_part(const unpacking *u, const int64_t *first, int axis, const uint8_t *from, int64_t to) {
  const cn_hdf5_array *a = u->array;
  int64_t count = a->space.shape[axis] - first[axis], step = 1;
  if (count > a->chunk[axis]) count = a->chunk[axis];
  to = to * a->space.shape[axis] + first[axis];
  if (axis + 1 == a->space.rank) {
    memcpy(u->to + (size_t)to * a->type.size, from, (size_t)count * a->type.size);
    return;
  }
  for (int i = axis + 1; i < a->space.rank; i++) step *= a->chunk[i];
  for (int64_t i = 0; i < count; i++)
    copy_part(u, first, axis + 1, from + (size_t)(i * step) * a->type.size, to + i);
}

/* The wanted rows of a chunk. */
static void copy_rows(const unpacking *u, const int64_t *first, const uint8_t *from) {
  const cn_hdf5_array *a = u->array;
  const size_t bytes = a->chunk_bytes / (size_t)a->chunk[0];
  int64_t begin = first[0], end = first[0] + a->chunk[0];
  if (begin < u->row) begin = u->row;
  if (end > u->row + u->rows) end = u->row + u->rows;
  from += (size_t)(begin - first[0]) * bytes;
  if (a->space.rank == 1) memcpy(u->to + (size_t)(begin - u->row) * bytes, from, (size_t)(end - begin) * bytes);
  for (int64_t i = begin; i < end && a->space.rank > 1; i++, from += bytes) copy_part(u, first, 1, from, i - u->row);
}

static int64_t chunks_along(const cn_hdf5_array *a, int axis) {
  return (a->space.shape[axis] + a->chunk[axis] - 1) / a->chunk[axis];
}

/* The chunk's number; false: it is none of this array. */
static bool number_chunk(const cn_hdf5_array *a, const cn_hdf5_chunk *c, int64_t *number) {
  *number = 0;
  for (int i = 0; i < a->space.rank; i++) {
    if (c->first[i] < 0 || c->first[i] >= a->space.shape[i] || c->first[i] % a->chunk[i]) return false;
    *number = *number * chunks_along(a, i) + c->first[i] / a->chunk[i];
  }
  return true;
}

static cn_status note_chunk(void *user, const cn_hdf5_chunk *c, cn_error *e) {
  unpacking *u = user;
  int64_t number;
  if (!number_chunk(u->array, c, &number)) return cn_hdf5_damaged(e, "a chunk outside of its array");
  if (u->places[number].address != CN_HDF5_NOWHERE) return cn_hdf5_damaged(e, "a chunk that is there twice");
  if (!cn_hdf5_bytes(u->file, c->address, c->bytes)) return cn_hdf5_damaged(e, "a chunk outside of the file");
  if (c->bytes > u->room || c->bytes > UINT32_MAX) return cn_hdf5_damaged(e, "a chunk larger than its shape says");
  u->places[number] = (cn_hdf5_place){c->address, (uint32_t)c->bytes, c->mask};
  return CORNU_OK;
}

/* Of a chunk that was never written. */
static cn_status fill_chunk(const cn_hdf5_array *a, int64_t number, buffers *b, cn_error *e) {
  if (a->unfilled)
    return cn_fail(e, CORNU_ERR_FORMAT, "chunk %lld of its %lld was never written", (long long)number + 1,
                   (long long)a->n_chunks);
  if (!a->fill) memset(b->data, 0, a->chunk_bytes);
  for (size_t i = 0; a->fill && i < a->chunk_bytes; i += a->type.size) memcpy(b->data + i, a->fill, a->type.size);
  return CORNU_OK;
}

static cn_status read_chunk(const unpacking *u, const cn_hdf5_place *p, buffers *b, cn_error *e) {
  const cn_hdf5_array *a = u->array;
  b->size = p->bytes;
  memcpy(b->data, cn_hdf5_bytes(u->file, p->address, p->bytes), b->size);
  for (int i = a->n_filters - 1; i >= 0; i--)
    if (!(p->mask >> i & 1)) CN_TRY(undo(&a->filters[i], b, e));
  return b->size == a->chunk_bytes ? CORNU_OK : cn_hdf5_damaged(e, "a chunk of another size than its shape says");
}

static cn_status unpack_chunk(const unpacking *u, int64_t number, buffers *b, cn_error *e) {
  const cn_hdf5_array *a = u->array;
  const cn_hdf5_place *p = &u->places[number];
  int64_t first[CN_MAX_RANK];
  CN_TRY(cn_check_time(e));
  CN_TRY(p->address == CN_HDF5_NOWHERE ? fill_chunk(a, number, b, e) : read_chunk(u, p, b, e));
  for (int i = a->space.rank - 1; i >= 0; i--) {
    first[i] = number % chunks_along(a, i) * a->chunk[i];
    number /= chunks_along(a, i);
  }
  copy_rows(u, first, b->data);
  return CORNU_OK;
}

/* Every so manieth chunk. */
typedef struct task { const unpacking *u; int64_t first, step, failed; cn_status status; cn_error e; } task;

static void unpack_some(void *context, int i) {
  task *t = &((task *)context)[i];
  buffers b = {.room = t->u->room, .data = cn_alloc(t->u->room), .other = cn_alloc(t->u->room)};
  t->status = b.data && b.other ? CORNU_OK : cn_no_memory(&t->e);
  for (t->failed = t->first; t->failed < t->u->end && !t->status; t->failed += t->step)
    t->status = unpack_chunk(t->u, t->failed, &b, &t->e);
  cn_free(b.data);
  cn_free(b.other);
}

/* On all threads where there is much to do; the first failure counts. */
static cn_status unpack_all(const unpacking *u, cn_error *e) {
  enum { MOST = 64, MUCH = 1 << 20 };
  const cn_hdf5_array *a = u->array;
  const int64_t chunks = u->end - u->begin;
  int n = (uint64_t)chunks * a->chunk_bytes < MUCH ? 1 : cn_threads() < MOST ? cn_threads() : MOST;
  if (chunks < n) n = (int)chunks;
  task *tasks = cn_calloc((size_t)n + 1, sizeof *tasks), *worst = NULL;
  if (!tasks) return cn_no_memory(e);
  for (int i = 0; i < n; i++) tasks[i] = (task){.u = u, .first = u->begin + i, .step = n};
  cn_parallel(n, unpack_some, tasks);
  for (int i = 0; i < n; i++)
    if (tasks[i].status && (!worst || tasks[i].failed < worst->failed)) worst = &tasks[i];
  cn_status status = worst ? cn_fail(e, worst->status, "%s", worst->e.message) : CORNU_OK;
  cn_free(tasks);
  return status ? status : cn_check_time(e);
}

/* What a tree of the first version says of a chunk. */
static cn_status read_key(unpacking *u, const uint8_t *key, uint64_t address) {
  cn_hdf5_chunk c = {address, cn_hdf5_number(key, 4), (uint32_t)cn_hdf5_number(key + 4, 4), {0}};
  for (int i = 0; i < u->array->space.rank; i++) c.first[i] = (int64_t)cn_hdf5_number(key + 8 + 8 * i, 8);
  return note_chunk(u, &c, u->e);
}

/* level -1: any, at the root. */
static cn_status read_node(unpacking *u, uint64_t address, int level) {
  const uint8_t *p = cn_hdf5_bytes(u->file, address, 24);
  if (!p || memcmp(p, "TREE", 4) != 0 || p[4] != 1 || (level >= 0 && p[5] != level) || p[5] > DEEPEST_TREE)
    return cn_hdf5_damaged(u->e, "a node of an array's tree");
  level = p[5];
  int count = (int)cn_hdf5_number(p + 6, 2);
  uint64_t key = 8 + 8 * (uint64_t)(u->array->space.rank + 1);
  p = cn_hdf5_bytes(u->file, address + 24, (uint64_t)count * (key + 8));
  if (!p) return cn_hdf5_damaged(u->e, "a node of an array's tree outside of the file");
  for (int i = 0; i < count; i++, p += key + 8) {
    if (u->nodes-- == 0) return cn_hdf5_damaged(u->e, "an array's tree that joins itself");
    uint64_t child = cn_hdf5_number(p + key, 8);
    CN_TRY(level ? read_node(u, child, level - 1) : read_key(u, p, child));
  }
  return CORNU_OK;
}

/* Never more memory than the file can account for: deflate packs at most 1032 to 1. */
cn_status cn_hdf5_check_chunks(const cn_hdf5 *f, const cn_hdf5_array *a, cn_error *e) {
  uint64_t bytes = (uint64_t)a->space.count * a->type.size;
  if (bytes / MOST_PACKED <= f->size && a->chunk_bytes / MOST_PACKED <= f->size &&
      (uint64_t)a->n_chunks <= f->size / 8)
    return CORNU_OK;
  return cn_fail(e, CORNU_ERR_LIMIT, "its shape needs %llu bytes, more than a file of %llu bytes can hold",
                 (unsigned long long)bytes, (unsigned long long)f->size);
}

/* What cannot be packed grows a little. */
static size_t packed_room(const cn_hdf5_array *a) { return a->chunk_bytes + a->chunk_bytes / 100 + 128; }

cn_status cn_hdf5_places(const cn_hdf5 *f, const cn_hdf5_array *a, cn_hdf5_place **out, cn_error *e) {
  unpacking u = {.file = f, .array = a, .nodes = f->size / 24, .e = e, .room = packed_room(a)};
  *out = NULL;
  u.places = cn_alloc((size_t)a->n_chunks * sizeof *u.places + 1);
  if (!u.places) return cn_no_memory(e);
  for (int64_t i = 0; i < a->n_chunks; i++) u.places[i].address = CN_HDF5_NOWHERE;
  cn_status status = CORNU_OK;
  if (a->index) status = cn_hdf5_chunks(f, a, note_chunk, &u, e);
  else if (a->tree != CN_HDF5_NOWHERE) status = read_node(&u, a->tree, -1);
  if (status) cn_free(u.places);
  else *out = u.places;
  return status;
}

cn_status cn_hdf5_unpack_rows(const cn_hdf5 *f, const cn_hdf5_array *a, cn_hdf5_place *places, int64_t first, int64_t n,
                              char *to, cn_error *e) {
  if (n == 0 || a->space.count == 0) return CORNU_OK;
  const int64_t each = a->n_chunks / chunks_along(a, 0); /* chunks beside each other */
  unpacking u = {.file = f, .array = a, .to = to, .row = first, .rows = n, .places = places, .room = packed_room(a)};
  u.begin = first / a->chunk[0] * each;
  u.end = ((first + n - 1) / a->chunk[0] + 1) * each;
  return unpack_all(&u, e);
}

cn_status cn_hdf5_unpack(const cn_hdf5 *f, const cn_hdf5_array *a, char *to, cn_error *e) {
  cn_hdf5_place *places;
  if (a->space.count == 0) return CORNU_OK;
  CN_TRY(cn_hdf5_places(f, a, &places, e));
  cn_status status = cn_hdf5_unpack_rows(f, a, places, 0, a->space.shape[0], to, e);
  cn_free(places);
  return status;
}
