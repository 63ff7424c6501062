/* HDF5, what its later formats add: check sums, trees of the second version, fractal heaps. Sections III.A.2, III.G. */
#include <string.h>

#include "base/text.h"
#include "formats/hdf5.h"

enum { DEEPEST_TREE = 32, WIDEST_TABLE = 64, MOST_BITS = 56 };

/* ---- Check sums: Bob Jenkins' lookup3, little-endian, of an initial value of 0 ---- */

static uint32_t turn(uint32_t x, int bits) { return x << bits | x >> (32 - bits); }

uint32_t cn_hdf5_checksum(const uint8_t *p, size_t size) {
  static const int mixing[] = {4, 6, 8, 16, 19, 4}, ending[] = {14, 11, 25, 16, 4, 14, 24};
  uint32_t v[3];
  v[0] = v[1] = v[2] = 0xdeadbeefU + (uint32_t)size;
  for (; size > 12; p += 12, size -= 12) {
    for (int i = 0; i < 3; i++) v[i] += (uint32_t)cn_hdf5_number(p + 4 * i, 4);
    for (int i = 0; i < 6; i++) {
      uint32_t *x = &v[i % 3], y = v[(i + 1) % 3], *z = &v[(i + 2) % 3];
      *x = (*x - *z) ^ turn(*z, mixing[i]);
      *z += y;
    }
  }
  if (size == 0) return v[2];
  for (size_t i = 0; i < size; i++) v[i / 4] += (uint32_t)p[i] << 8 * (i % 4);
  for (int i = 0; i < 7; i++) {
    uint32_t before = v[(i + 1) % 3], *x = &v[(i + 2) % 3];
    *x = (*x ^ before) - turn(before, ending[i]);
  }
  return v[2];
}

const uint8_t *cn_hdf5_block(const cn_hdf5 *f, uint64_t at, uint64_t length, const char *letters) {
  const uint8_t *p = length >= 8 ? cn_hdf5_bytes(f, at, length) : NULL;
  if (!p || memcmp(p, letters, 4) != 0) return NULL;
  return cn_hdf5_checksum(p, (size_t)length - 4) == cn_hdf5_number(p + length - 4, 4) ? p : NULL;
}

/* ---- Trees of the second version ---- */

typedef struct tree {
  const cn_hdf5 *file;
  int type, depth;
  size_t node, record;
  int counts;               /* bytes of a number of records in a node */
  int totals[DEEPEST_TREE]; /* bytes of a number of records below a node of this level */
  uint64_t bytes;           /* that nodes may still have: a sound tree visits none twice */
  cn_hdf5_each each;
  void *user;
  cn_error *e;
} tree;

static int bytes_for(uint64_t most) {
  int n = 1;
  while (n < 8 && most >> 8 * n) n++;
  return n;
}

/* How wide numbers are follows from how many records there can be. */
static bool measure(tree *t) {
  uint64_t most = t->node > 10 ? (t->node - 10) / t->record : 0, below = most;
  t->counts = bytes_for(most);
  for (int level = 1; level <= t->depth; level++) {
    size_t pointer = (size_t)(8 + t->counts + t->totals[level - 1]);
    if (t->node <= 10 + pointer) return false;
    most = (t->node - 10 - pointer) / (t->record + pointer);
    below = below > UINT64_MAX / (most + 2) ? UINT64_MAX : (most + 1) * below + most;
    t->totals[level] = bytes_for(below);
  }
  return true;
}

static cn_status visit_node(tree *t, uint64_t address, uint64_t count, int level) {
  size_t pointer = level ? (size_t)(8 + t->counts + t->totals[level - 1]) : 0;
  uint64_t bytes = 10 + count * t->record + (level ? (count + 1) * pointer : 0);
  const uint8_t *p = bytes <= t->node ? cn_hdf5_block(t->file, address, bytes, level ? "BTIN" : "BTLF") : NULL;
  if (!p || p[4] != 0 || p[5] != t->type) return cn_hdf5_damaged(t->e, "a node of a tree");
  if (bytes > t->bytes) return cn_hdf5_damaged(t->e, "a tree that joins itself");
  t->bytes -= bytes;
  const uint8_t *child = p + 6 + count * t->record;
  for (uint64_t i = 0; i <= count; i++) {
    if (level) {
      CN_TRY(visit_node(t, cn_hdf5_number(child, 8), cn_hdf5_number(child + 8, t->counts), level - 1));
      child += pointer;
    }
    if (i < count) CN_TRY(t->each(t->user, p + 6 + i * t->record, t->record, t->e));
  }
  return CORNU_OK;
}

cn_status cn_hdf5_records(const cn_hdf5 *f, uint64_t address, int type, cn_hdf5_each each, void *user, cn_error *e) {
  const uint8_t *p = cn_hdf5_block(f, address, 38, "BTHD");
  if (!p || p[4] != 0 || p[5] != type) return cn_hdf5_damaged(e, "the head of a tree");
  tree t = {.file = f, .type = type, .bytes = f->size, .each = each, .user = user, .e = e};
  t.node = (size_t)cn_hdf5_number(p + 6, 4);
  t.record = (size_t)cn_hdf5_number(p + 10, 2);
  t.depth = (int)cn_hdf5_number(p + 12, 2);
  uint64_t root = cn_hdf5_number(p + 16, 8);
  if (t.record == 0 || t.depth >= DEEPEST_TREE || !measure(&t)) return cn_hdf5_damaged(e, "the head of a tree");
  return root == CN_HDF5_NOWHERE ? CORNU_OK : visit_node(&t, root, cn_hdf5_number(p + 24, 2), t.depth);
}

/* ---- Fractal heaps ---- */

typedef struct heap {
  const cn_hdf5 *file;
  size_t id;               /* bytes that name an object */
  int offset, length;      /* bytes of an object's place and size */
  uint64_t width, start, most_direct, root, huge;
  int rows;                /* of the root, 0: it is a direct block */
  size_t head;             /* of a direct block */
} heap;

static int log2_of(uint64_t n) {
  int bits = 0;
  while (n >>= 1) bits++;
  return bits;
}

static bool power_of_two(uint64_t n, uint64_t most) { return n && n <= most && (n & (n - 1)) == 0; }

static cn_status open_heap(heap *h, const cn_hdf5 *f, uint64_t address, cn_error *e) {
  const uint8_t *p = cn_hdf5_bytes(f, address, 146);
  if (p && memcmp(p, "FRHP", 4) == 0 && cn_hdf5_number(p + 7, 2)) return cn_hdf5_outside(e, "packed names");
  p = cn_hdf5_block(f, address, 146, "FRHP");
  if (!p || p[4] != 0) return cn_hdf5_damaged(e, "a fractal heap");
  int bits = (int)cn_hdf5_number(p + 128, 2);
  *h = (heap){.file = f, .id = (size_t)cn_hdf5_number(p + 5, 2), .offset = (bits + 7) / 8};
  h->huge = cn_hdf5_number(p + 22, 8);
  h->width = cn_hdf5_number(p + 110, 2);
  h->start = cn_hdf5_number(p + 112, 8);
  h->most_direct = cn_hdf5_number(p + 120, 8);
  h->root = cn_hdf5_number(p + 132, 8);
  h->rows = (int)cn_hdf5_number(p + 140, 2);
  h->head = (size_t)(13 + h->offset + (p[9] & 2 ? 4 : 0));
  if (!power_of_two(h->width, WIDEST_TABLE) || !power_of_two(h->start, UINT32_MAX) || bits < 1 || bits > MOST_BITS ||
      !power_of_two(h->most_direct, UINT32_MAX) || h->most_direct < h->start || h->rows > bits)
    return cn_hdf5_damaged(e, "a fractal heap");
  int place = (log2_of(h->most_direct) + 7) / 8, size = bytes_for(cn_hdf5_number(p + 10, 4));
  h->length = place < size ? place : size;
  return CORNU_OK;
}

/* The block that holds a place: rows of `width` blocks, each twice as large as those of the row before but the second. */
typedef struct place { uint64_t block, base, size; int rows; } place;

static bool descend(const heap *h, uint64_t offset, place *at) {
  uint64_t within = offset - at->base, row_at = 0, size = h->start;
  int row = 0;
  while (row < at->rows && within >= row_at + size * h->width) {
    row_at += size * h->width;
    if (row++) size *= 2;
  }
  uint64_t bytes = 13 + (uint64_t)h->offset + 8 * (uint64_t)at->rows * h->width + 4, k = (within - row_at) / size;
  const uint8_t *p = row < at->rows ? cn_hdf5_block(h->file, at->block, bytes, "FHIB") : NULL;
  if (!p) return false;
  at->block = cn_hdf5_number(p + 13 + h->offset + 8 * ((uint64_t)row * h->width + k), 8);
  at->base += row_at + k * size;
  at->size = size;
  at->rows = size <= h->most_direct ? 0 : log2_of(size) - log2_of(h->start * h->width) + 1;
  return size <= h->most_direct || at->rows > 0;
}

static const uint8_t *managed(const heap *h, uint64_t offset, uint64_t length) {
  place at = {h->root, 0, h->start, h->rows};
  for (int depth = 0; at.rows; depth++)
    if (depth == MOST_BITS || !descend(h, offset, &at)) return NULL;
  const uint8_t *p = cn_hdf5_bytes(h->file, at.block, at.size);
  offset -= at.base;
  if (!p || memcmp(p, "FHDB", 4) != 0 || offset < h->head || offset > at.size || length > at.size - offset) return NULL;
  return p + offset;
}

typedef struct object { uint64_t id, address, length; } object;

static cn_status match_id(void *user, const uint8_t *record, size_t size, cn_error *e) {
  object *o = user;
  if (size < 24) return cn_hdf5_damaged(e, "a tree of large objects");
  if (cn_hdf5_number(record + 16, 8) != o->id) return CORNU_OK;
  o->address = cn_hdf5_number(record, 8);
  o->length = cn_hdf5_number(record + 8, 8);
  return CORNU_OK;
}

/* Large objects are outside of the heap: the name tells where, or is a number that a tree knows. */
static cn_status find_huge(const heap *h, const uint8_t *id, object *o, cn_error *e) {
  if (h->id >= 17) {
    *o = (object){0, cn_hdf5_number(id + 1, 8), cn_hdf5_number(id + 9, 8)};
    return CORNU_OK;
  }
  size_t bytes = h->id - 1 < 8 ? h->id - 1 : 8;
  *o = (object){cn_hdf5_number(id + 1, (int)bytes), CN_HDF5_NOWHERE, 0};
  return cn_hdf5_records(h->file, h->huge, CN_HDF5_BY_ID, match_id, o, e);
}

static cn_status find_object(const heap *h, const uint8_t *id, const uint8_t **data, size_t *size, cn_error *e) {
  object o = {0};
  *data = NULL;
  switch (id[0] >> 4) { /* a version of 0 above the kind */
  case 0:
    if (h->id < (size_t)(1 + h->offset + h->length)) break;
    o.length = cn_hdf5_number(id + 1 + h->offset, h->length);
    *data = managed(h, cn_hdf5_number(id + 1, h->offset), o.length);
    break;
  case 1:
    CN_TRY(find_huge(h, id, &o, e));
    *data = cn_hdf5_bytes(h->file, o.address, o.length);
    break;
  case 2: {
    size_t head = h->id > 17 ? 2 : 1;
    o.length = (uint64_t)(head == 2 ? (id[0] & 15) << 8 | id[1] : id[0] & 15) + 1;
    if (o.length <= h->id - head) *data = id + head;
    break;
  }
  default: break;
  }
  *size = (size_t)o.length;
  return *data ? CORNU_OK : cn_hdf5_damaged(e, "an object of a fractal heap");
}

typedef struct dense { heap heap; int type; cn_hdf5_each each; void *user; } dense;

/* Links: a hash of the name, the object's name in the heap; attributes: that name, flags. */
static cn_status visit_record(void *user, const uint8_t *record, size_t size, cn_error *e) {
  const dense *d = user;
  size_t at = d->type == CN_HDF5_BY_LINK ? 4 : 0;
  if (size < at + d->heap.id + 1 - (at != 0)) return cn_hdf5_damaged(e, "a record of a tree of names");
  if (!at && record[d->heap.id] & 2) return cn_hdf5_outside(e, "messages that objects share");
  const uint8_t *data;
  CN_TRY(find_object(&d->heap, record + at, &data, &size, e));
  return d->each(d->user, data, size, e);
}

cn_status cn_hdf5_dense(const cn_hdf5 *f, uint64_t address, uint64_t names, int type, cn_hdf5_each each, void *user,
                        cn_error *e) {
  dense d = {.type = type, .each = each, .user = user};
  if (address == CN_HDF5_NOWHERE) return CORNU_OK;
  CN_TRY(open_heap(&d.heap, f, address, e));
  if (d.heap.id < 2) return cn_hdf5_damaged(e, "a fractal heap");
  return cn_hdf5_records(f, names, type, visit_record, &d, e);
}
