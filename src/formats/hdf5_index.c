/* HDF5: what the later layout adds to chunks: a single one, implicit places, arrays of places, trees of the second
 * version. Sections III.A.2, IV.A.2.i, VII. */
#include <string.h>

#include "base/text.h"
#include "formats/hdf5.h"

typedef struct listing {
  const cn_hdf5 *file;
  const cn_hdf5_array *array;
  cn_hdf5_chunk_visit visit;
  void *user;
  int axes[CN_MAX_RANK];        /* from the outermost one on, in the order in which chunks are counted */
  uint64_t grid[CN_MAX_RANK];   /* chunks along an axis, as many as there may ever be */
  uint64_t left;                /* entries that the index may still have: none is there twice */
  size_t entry;                 /* bytes of a chunk's place, with its size and mask if it is packed */
  int kind;                     /* 0: places alone, 1: of packed chunks */
  cn_error *e;
} listing;

/* ---- What the message says ---- */

static const uint8_t *read_index(const uint8_t *p, const uint8_t *end, cn_hdf5_array *out) {
  static const uint8_t details[] = {0, 0, 0, 1, 5, 6};
  size_t more = details[out->index];
  if (out->index == CN_HDF5_SINGLE && out->single) more = 12;
  if ((size_t)(end - p) < more + 8) return NULL;
  if (more == 12) {
    out->single_bytes = cn_hdf5_number(p, 8);
    out->single_mask = (uint32_t)cn_hdf5_number(p + 8, 4);
  }
  return p + more;
}

/* The fourth version of the layout: flags, the chunk's shape with the size of an element, the kind of index, its place. */
cn_status cn_hdf5_read_later_chunks(const cn_hdf5_message *layout, cn_hdf5_array *out, cn_error *e) {
  const uint8_t *p = layout->data, *end = p + layout->size;
  if (layout->size < 5) return cn_hdf5_damaged(e, "the place of an array");
  int flags = p[2], rank = p[3] - 1, width = p[4];
  if (rank < 1 || rank != out->space.rank || width < 1 || width > 8)
    return cn_hdf5_damaged(e, "chunks of another shape than the array's");
  if (flags & 1 && out->n_filters) return cn_hdf5_outside(e, "chunks at the edges that are not packed");
  p += 5;
  if ((size_t)(end - p) < (size_t)(width * (rank + 1) + 1)) return cn_hdf5_damaged(e, "the place of an array");
  for (int i = 0; i < rank; i++, p += width) CN_TRY(cn_hdf5_set_chunk(out, i, cn_hdf5_number(p, width), e));
  if (cn_hdf5_number(p, width) != out->type.size)
    return cn_hdf5_damaged(e, "chunks of another shape than the array's");
  out->index = p[width];
  out->single = flags & 2;
  if (out->index < CN_HDF5_SINGLE || out->index > CN_HDF5_TREE) return cn_hdf5_outside(e, "an unknown index of chunks");
  p = read_index(p + width + 1, end, out);
  if (!p) return cn_hdf5_damaged(e, "the place of an array");
  out->tree = cn_hdf5_number(p, 8);
  return CORNU_OK;
}

/* ---- Places ---- */

/* One more place; first: the chunk's first element. Places beyond the shape are those of elements that once were. */
static cn_status visit_place(const listing *l, const uint64_t *place, const uint8_t *p) {
  cn_hdf5_chunk c = {.address = cn_hdf5_number(p, 8), .bytes = l->array->chunk_bytes};
  if (c.address == CN_HDF5_NOWHERE) return CORNU_OK;
  if (l->kind) {
    c.bytes = cn_hdf5_number(p + 8, (int)l->entry - 12);
    c.mask = (uint32_t)cn_hdf5_number(p + l->entry - 4, 4);
  }
  for (int i = 0; i < l->array->space.rank; i++) {
    int64_t chunk = l->array->chunk[i], chunks = (l->array->space.shape[i] + chunk - 1) / chunk;
    if (place[i] >= (uint64_t)chunks) return CORNU_OK;
    c.first[i] = (int64_t)place[i] * chunk;
  }
  return l->visit(l->user, &c, l->e);
}

/* Chunks from number `index` on. */
static cn_status visit_run(const listing *l, uint64_t index, uint64_t count, const uint8_t *p) {
  for (uint64_t end = index + count; index < end; index++, p += l->entry) {
    uint64_t place[CN_MAX_RANK], rest = index;
    for (int i = l->array->space.rank - 1; i > 0; i--) {
      place[l->axes[i]] = rest % l->grid[l->axes[i]];
      rest /= l->grid[l->axes[i]];
    }
    place[l->axes[0]] = rest;
    CN_TRY(visit_place(l, place, p));
  }
  return CORNU_OK;
}

/* How chunks are counted: along the axis without an end first, if there is one. */
static cn_status order_axes(listing *l) {
  const cn_hdf5_array *a = l->array;
  int n = 0, rank = a->space.rank, endless = -1;
  for (int i = 0; i < rank; i++) {
    uint64_t most = a->space.most[i], chunk = (uint64_t)a->chunk[i];
    if (most == UINT64_MAX) endless = endless < 0 ? i : rank;
    if (most < (uint64_t)a->space.shape[i]) return cn_hdf5_damaged(l->e, "a shape larger than it may be");
    l->grid[i] = most ? (most - 1) / chunk + 1 : 1;
  }
  bool grows = a->index == CN_HDF5_GROWING;
  if (grows != (endless >= 0) || endless == rank) return cn_hdf5_damaged(l->e, "an index that does not fit the shape");
  if (grows) l->axes[n++] = endless;
  for (int i = 0; i < rank; i++)
    if (i != endless) l->axes[n++] = i;
  return CORNU_OK;
}

/* The kind and size of entries, which heads of indexes tell. */
static cn_status set_entry(listing *l, int kind, size_t entry) {
  l->kind = kind;
  l->entry = entry;
  if (kind > 1 || (kind ? entry < 13 || entry > 20 : entry != 8) || kind != (l->array->n_filters > 0))
    return cn_hdf5_damaged(l->e, "an index of chunks");
  return CORNU_OK;
}

/* ---- Arrays of places ---- */

/* Entries in pages, each with a check sum: a page that was never written has none. */
static cn_status visit_pages(const listing *l, uint64_t at, uint64_t index, uint64_t count, uint64_t page) {
  for (uint64_t bytes, n; count; count -= n, index += n, at += bytes) {
    n = count < page ? count : page;
    bytes = n * l->entry + 4;
    const uint8_t *p = cn_hdf5_bytes(l->file, at, bytes);
    if (!p) return cn_hdf5_damaged(l->e, "an index of chunks outside of the file");
    if (cn_hdf5_checksum(p, (size_t)bytes - 4) == cn_hdf5_number(p + bytes - 4, 4)) CN_TRY(visit_run(l, index, n, p));
  }
  return CORNU_OK;
}

/* A block of `count` entries behind `head` bytes, or of pages; index: of its first. */
static cn_status visit_block(listing *l, uint64_t at, const char *letters, uint64_t head, uint64_t index,
                             uint64_t count, uint64_t page) {
  if (at == CN_HDF5_NOWHERE) return CORNU_OK;
  if (count > l->left) return cn_hdf5_damaged(l->e, "an index of chunks larger than the file");
  l->left -= count;
  bool paged = count > page;
  uint64_t bytes = head + (paged ? 0 : count * l->entry) + 4;
  const uint8_t *p = cn_hdf5_block(l->file, at, bytes, letters);
  if (!p || p[4] != 0 || p[5] != l->kind) return cn_hdf5_damaged(l->e, "an index of chunks");
  return paged ? visit_pages(l, at + bytes, index, count, page) : visit_run(l, index, count, p + head);
}

static cn_status visit_fixed(listing *l) {
  const uint8_t *p = cn_hdf5_block(l->file, l->array->tree, 28, "FAHD");
  if (!p || p[4] != 0 || p[7] > 32) return cn_hdf5_damaged(l->e, "an index of chunks");
  CN_TRY(set_entry(l, p[5], p[6]));
  uint64_t page = (uint64_t)1 << p[7], count = cn_hdf5_number(p + 8, 8), pages = (count - 1) / page + 1;
  if (count == 0 || count > l->file->size) return cn_hdf5_damaged(l->e, "an index of chunks");
  return visit_block(l, cn_hdf5_number(p + 16, 8), "FADB", 14 + (count > page ? (pages + 7) / 8 : 0), 0, count, page);
}

/* The first entries are in the index block; then come blocks of entries, in groups that double in size. The first groups'
 * blocks are listed in the index block, those of a later group in a block of its own. */
typedef struct growing {
  listing *l;
  int offset, groups, listed, bits; /* bytes of a number of an entry; groups, those in the index block; of all entries */
  uint64_t inside, least, page;     /* entries in the index block, in the smallest block, in a page */
} growing;

static cn_status visit_group(const growing *g, int group, const uint8_t *addresses) {
  uint64_t blocks = (uint64_t)1 << group / 2, entries = g->least << (group + 1) / 2;
  uint64_t index = g->inside + (((uint64_t)1 << group) - 1) * g->least;
  for (uint64_t i = 0; i < blocks; i++)
    CN_TRY(visit_block(g->l, cn_hdf5_number(addresses + 8 * i, 8), "EADB", (uint64_t)(14 + g->offset),
                       index + i * entries, entries, g->page));
  return CORNU_OK;
}

static cn_status visit_late_group(const growing *g, int group, uint64_t address) {
  if (address == CN_HDF5_NOWHERE) return CORNU_OK;
  uint64_t blocks = (uint64_t)1 << group / 2, entries = g->least << (group + 1) / 2, map = 0;
  if (entries > g->page) map = blocks * ((entries / g->page + 7) / 8);
  uint64_t head = (uint64_t)(14 + g->offset) + map;
  const uint8_t *p = cn_hdf5_block(g->l->file, address, head + 8 * blocks + 4, "EASB");
  if (!p || p[4] != 0 || p[5] != g->l->kind) return cn_hdf5_damaged(g->l->e, "an index of chunks");
  return visit_group(g, group, p + head);
}

static int log2_of(uint64_t n) {
  int bits = 0;
  while (n >>= 1) bits++;
  return bits;
}

static cn_status visit_index_block(const growing *g, uint64_t address, uint64_t pointers) {
  if (address == CN_HDF5_NOWHERE) return CORNU_OK;
  uint64_t early = 14 + g->inside * g->l->entry, late = early + 8 * pointers;
  const uint8_t *p = cn_hdf5_block(g->l->file, address, late + 8 * (uint64_t)(g->groups - g->listed) + 4, "EAIB");
  if (!p || p[4] != 0 || p[5] != g->l->kind) return cn_hdf5_damaged(g->l->e, "an index of chunks");
  CN_TRY(visit_run(g->l, 0, g->inside, p + 14));
  const uint8_t *at = p + early;
  for (int i = 0; i < g->listed; at += (size_t)8 << i / 2, i++) CN_TRY(visit_group(g, i, at));
  for (int i = g->listed; i < g->groups; i++)
    CN_TRY(visit_late_group(g, i, cn_hdf5_number(p + late + 8 * (uint64_t)(i - g->listed), 8)));
  return CORNU_OK;
}

static cn_status visit_growing(listing *l) {
  const uint8_t *p = cn_hdf5_block(l->file, l->array->tree, 72, "EAHD");
  if (!p || p[4] != 0) return cn_hdf5_damaged(l->e, "an index of chunks");
  CN_TRY(set_entry(l, p[5], p[6]));
  uint64_t least = p[9], pointers = p[10];
  growing g = {.l = l, .offset = (p[7] + 7) / 8, .inside = p[8], .least = least, .bits = p[7]};
  if (!least || least & (least - 1) || !pointers || pointers & (pointers - 1) || p[11] > 32 || g.bits > 40)
    return cn_hdf5_damaged(l->e, "an index of chunks");
  g.page = (uint64_t)1 << p[11];
  g.groups = 1 + g.bits - log2_of(least);
  g.listed = 2 * log2_of(pointers);
  if (g.groups <= g.listed) return cn_hdf5_damaged(l->e, "an index of chunks");
  return visit_index_block(&g, cn_hdf5_number(p + 60, 8), 2 * (pointers - 1));
}

/* ---- Trees of the second version, and chunks without an index ---- */

static cn_status visit_record(void *user, const uint8_t *record, size_t size, cn_error *e) {
  listing *l = user;
  uint64_t place[CN_MAX_RANK];
  size_t places = 8 * (size_t)l->array->space.rank;
  (void)e;
  CN_TRY(set_entry(l, l->kind, size > places ? size - places : 0));
  for (int i = 0; i < l->array->space.rank; i++) place[i] = cn_hdf5_number(record + l->entry + 8 * i, 8);
  return visit_place(l, place, record);
}

/* One chunk behind the other, in the order of their numbers. */
static cn_status visit_implicit(listing *l) {
  const cn_hdf5_array *a = l->array;
  int64_t count = 1;
  if (a->n_filters) return cn_hdf5_damaged(l->e, "an array that is packed without an index");
  for (int k = 0; k < a->space.rank; k++)
    if (l->grid[k] > INT64_MAX || !cn_mul_i64(count, (int64_t)l->grid[k], &count) ||
        (uint64_t)count > l->file->size / a->chunk_bytes)
      return cn_hdf5_damaged(l->e, "chunks outside of the file");
  for (int64_t i = 0; i < count; i++) {
    uint8_t place[8];
    uint64_t at = a->tree + (uint64_t)i * a->chunk_bytes;
    for (int k = 0; k < 8; k++) place[k] = (uint8_t)(at >> 8 * k);
    CN_TRY(visit_run(l, (uint64_t)i, 1, place));
  }
  return CORNU_OK;
}

static cn_status visit_single(const listing *l) {
  const cn_hdf5_array *a = l->array;
  cn_hdf5_chunk c = {.address = a->tree, .bytes = a->single ? a->single_bytes : a->chunk_bytes, .mask = a->single_mask};
  if (a->n_chunks != 1 || a->single != (a->n_filters > 0)) return cn_hdf5_damaged(l->e, "a single chunk");
  return l->visit(l->user, &c, l->e);
}

cn_status cn_hdf5_chunks(const cn_hdf5 *f, const cn_hdf5_array *a, cn_hdf5_chunk_visit visit, void *user, cn_error *e) {
  listing l = {.file = f, .array = a, .visit = visit, .user = user, .left = f->size / 8,
               .kind = a->n_filters > 0, .e = e};
  if (a->tree == CN_HDF5_NOWHERE) return CORNU_OK;
  if (a->index == CN_HDF5_SINGLE) return visit_single(&l);
  if (a->index == CN_HDF5_TREE) return cn_hdf5_records(f, a->tree, CN_HDF5_BY_CHUNK + l.kind, visit_record, &l, e);
  CN_TRY(order_axes(&l));
  if (a->index == CN_HDF5_IMPLICIT) return visit_implicit(&l);
  return a->index == CN_HDF5_FIXED ? visit_fixed(&l) : visit_growing(&l);
}
