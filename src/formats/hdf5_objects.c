/* HDF5: superblock, object headers, groups. */
#include <string.h>

#include "base/deadline.h"
#include "base/text.h"
#include "formats/hdf5.h"

enum { LONGEST_NAME = 4096, DEEPEST_TREE = 32, LARGE = 64, INDEXES = 16, LAST_PATH = 512 };

/* The members of groups that have many, by name; object + 1, as a map holds pointers. And the group of the last path
 * that was found: most arrays lie beside the one before. */
struct cn_hdf5_indexes {
  struct { uint64_t group; cn_map members; cn_arena names; } items[INDEXES];
  int count;
  char last[LAST_PATH];
  size_t last_length;
  int last_depth;
  uint64_t last_group;
};

void cn_hdf5_close(cn_hdf5 *f) {
  for (int i = 0; f->indexes && i < INDEXES; i++) {
    cn_map_free(&f->indexes->items[i].members);
    cn_arena_free(&f->indexes->items[i].names);
  }
  cn_free(f->indexes);
  f->indexes = NULL;
}

cn_status cn_hdf5_damaged(cn_error *e, const char *what) {
  return cn_fail(e, CORNU_ERR_FORMAT, "damaged HDF5 data: %s", what);
}

cn_status cn_hdf5_outside(cn_error *e, const char *what) {
  return cn_fail(e, CORNU_ERR_UNSUPPORTED, "the HDF5 file has %s, which Keras does not write", what);
}

const uint8_t *cn_hdf5_bytes(const cn_hdf5 *f, uint64_t at, uint64_t length) {
  return at <= f->size && length <= f->size - at ? f->data + at : NULL;
}

uint64_t cn_hdf5_number(const uint8_t *p, int bytes) {
  uint64_t n = 0;
  while (bytes-- > 0) n = n << 8 | p[bytes];
  return n;
}

static bool signed_at(const cn_hdf5 *f, uint64_t at) {
  const uint8_t *p = cn_hdf5_bytes(f, at, 8);
  return p && memcmp(p, "\x89HDF\r\n\x1a\n", 8) == 0;
}

/* Others' data of 512, 1024, 2048 … bytes may be in front. */
static cn_status find_signature(const cn_hdf5 *f, uint64_t *base, cn_error *e) {
  *base = 0;
  if (signed_at(f, 0)) return CORNU_OK;
  for (*base = 512; *base && *base < f->size; *base *= 2)
    if (signed_at(f, *base)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_FORMAT, "not an HDF5 file");
}

/* Section II.A, II.B: what both kinds of superblocks tell, and where they do. */
static cn_status read_superblock(cn_hdf5 *f, uint64_t base, uint64_t *end, cn_error *e) {
  const uint8_t *p = cn_hdf5_bytes(f, 0, 16);
  bool later = p && p[8] > 1;
  if (p && p[8] > 3) return cn_hdf5_outside(e, "a superblock of a later format");
  uint64_t at = later ? 12 : p && p[8] == 1 ? 28 : 24;
  if (!p || !cn_hdf5_bytes(f, 0, later ? 48 : at + 72))
    return cn_fail(e, CORNU_ERR_FORMAT, "truncated HDF5 file: it ends within its superblock");
  if (later && cn_hdf5_checksum(p, 44) != cn_hdf5_number(p + 44, 4)) return cn_hdf5_damaged(e, "the superblock");
  if (p[later ? 9 : 13] != 8 || p[later ? 10 : 14] != 8)
    return cn_hdf5_outside(e, "addresses of other than 8 bytes");
  if (cn_hdf5_number(p + at, 8) != base) return cn_hdf5_outside(e, "a base address elsewhere");
  *end = cn_hdf5_number(p + at + 16, 8);
  f->root = cn_hdf5_number(p + at + (later ? 24 : 40), 8);
  return CORNU_OK;
}

cn_status cn_hdf5_open(cn_hdf5 *f, const void *data, size_t size, cn_error *e) {
  uint64_t base, end = 0;
  *f = (cn_hdf5){.data = data, .size = size, .indexes = cn_calloc(1, sizeof(struct cn_hdf5_indexes))};
  if (!f->indexes) return cn_no_memory(e);
  CN_TRY(find_signature(f, &base, e));
  f->data += base;
  f->size -= base;
  CN_TRY(read_superblock(f, base, &end, e));
  if (end <= size) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_FORMAT, "truncated HDF5 file: it has %zu bytes and says %llu", size,
                 (unsigned long long)end);
}

/* ---- Object headers, section IV.A.1 ---- */

/* Without the list of blocks, which is long and seldom used. */
static void begin(cn_hdf5_walk *w, const cn_hdf5 *f, int messages, size_t head, bool later) {
  w->file = f;
  w->left = messages;
  w->head = head;
  w->later = later;
  w->bytes = 0;
  w->n_blocks = w->block = 0;
}

static cn_status enter(cn_hdf5_walk *w, const uint8_t *p, uint64_t length, cn_error *e) {
  w->bytes += length;
  if (!p) return cn_hdf5_damaged(e, "a part of an object header outside of the file");
  if (w->bytes > w->file->size) return cn_hdf5_damaged(e, "an object header larger than the file");
  w->at = p;
  w->end = p + length;
  return CORNU_OK;
}

/* The second format: letters in front and a check sum behind every part. */
static cn_status check_part(const cn_hdf5 *f, uint64_t at, uint64_t length, const char *letters, cn_error *e) {
  const uint8_t *p = length >= 8 ? cn_hdf5_bytes(f, at, length) : NULL;
  if (!p || memcmp(p, letters, 4) != 0) return cn_hdf5_damaged(e, "a part of an object header");
  if (f->checked || cn_hdf5_block(f, at, length, letters)) return CORNU_OK;
  return cn_hdf5_damaged(e, "an object header whose check sum is wrong");
}

static cn_status start_later(cn_hdf5_walk *w, const cn_hdf5 *f, uint64_t object, cn_error *e) {
  const uint8_t *p = cn_hdf5_bytes(f, object, 16);
  unsigned flags = p[5];
  uint64_t at = 6 + (flags & 32 ? 16 : 0) + (flags & 16 ? 4 : 0), width = 1U << (flags & 3);
  const uint8_t *size = cn_hdf5_bytes(f, object + at, width);
  if (p[4] != 2 || !size) return cn_hdf5_damaged(e, "an object header of an unknown version");
  uint64_t length = cn_hdf5_number(size, (int)width);
  at += width;
  if (length > f->size) return cn_hdf5_damaged(e, "an object header that leaves the file");
  CN_TRY(check_part(f, object, at + length + 4, "OHDR", e));
  begin(w, f, 1 << 16, flags & 4 ? 6 : 4, true);
  return enter(w, cn_hdf5_bytes(f, object + at, length), length, e);
}

cn_status cn_hdf5_start(cn_hdf5_walk *w, const cn_hdf5 *f, uint64_t object, cn_error *e) {
  const uint8_t *p = cn_hdf5_bytes(f, object, 16);
  if (!p) return cn_hdf5_damaged(e, "an object outside of the file");
  if (memcmp(p, "OHDR", 4) == 0) return start_later(w, f, object, e);
  if (p[0] != 1) return cn_hdf5_damaged(e, "an object header of an unknown version");
  uint64_t length = cn_hdf5_number(p + 8, 4);
  begin(w, f, (int)cn_hdf5_number(p + 2, 2), 8, false);
  return enter(w, cn_hdf5_bytes(f, object + 16, length), length, e);
}

static cn_status add_block(cn_hdf5_walk *w, const cn_hdf5_message *m, cn_error *e) {
  if (m->size < 16 || w->n_blocks == CN_HDF5_BLOCKS) return cn_hdf5_damaged(e, "an object header with too many parts");
  w->blocks[w->n_blocks].at = cn_hdf5_number(m->data, 8);
  w->blocks[w->n_blocks++].length = cn_hdf5_number(m->data + 8, 8);
  return CORNU_OK;
}

static cn_status next_block(cn_hdf5_walk *w, cn_error *e) {
  uint64_t at = w->blocks[w->block].at, length = w->blocks[w->block].length;
  w->block++;
  if (w->later) {
    CN_TRY(check_part(w->file, at, length, "OCHK", e));
    at += 4;
    length -= 8;
  }
  return enter(w, cn_hdf5_bytes(w->file, at, length), length, e);
}

/* The message at w->at, and its flags; the first format has wider numbers. */
static cn_status read_message(cn_hdf5_walk *w, cn_hdf5_message *m, unsigned *flags, cn_error *e) {
  const uint8_t *p = w->at;
  *flags = p[w->later ? 3 : 4];
  *m = (cn_hdf5_message){w->later ? p[0] : (int)cn_hdf5_number(p, 2), p + w->head,
                         (size_t)cn_hdf5_number(p + (w->later ? 1 : 2), 2)};
  if (m->size > (size_t)(w->end - m->data)) return cn_hdf5_damaged(e, "a message that leaves its object header");
  w->at = m->data + m->size;
  w->left--;
  return CORNU_OK;
}

cn_status cn_hdf5_next(cn_hdf5_walk *w, cn_hdf5_message *m, bool *more, cn_error *e) {
  CN_TRY(cn_check_time(e));
  for (*more = false; w->left > 0;) {
    unsigned flags;
    if ((size_t)(w->end - w->at) < w->head) {
      if (w->block == w->n_blocks) return CORNU_OK;
      CN_TRY(next_block(w, e));
      continue;
    }
    CN_TRY(read_message(w, m, &flags, e));
    if (m->type == CN_HDF5_CONTINUATION) {
      CN_TRY(add_block(w, m, e));
      continue;
    }
    if (m->type && flags & 2) return cn_hdf5_outside(e, "messages that objects share");
    *more = true;
    return CORNU_OK;
  }
  return w->later ? cn_hdf5_damaged(e, "an object header with too many messages") : CORNU_OK;
}

cn_status cn_hdf5_message_of(const cn_hdf5 *f, uint64_t object, int type, cn_hdf5_message *m, cn_error *e) {
  cn_hdf5_walk w;
  bool more = true;
  CN_TRY(cn_hdf5_start(&w, f, object, e));
  while (more) {
    CN_TRY(cn_hdf5_next(&w, m, &more, e));
    if (more && m->type == type) return CORNU_OK;
  }
  *m = (cn_hdf5_message){0};
  return CORNU_OK;
}

/* ---- Groups, sections III.A.1, III.B, III.C, III.D ---- */

typedef struct group {
  const cn_hdf5 *file;
  const char *names;       /* the segment of the local heap */
  uint64_t names_size;
  uint64_t nodes;          /* of the tree that may still be visited: a sound tree visits none twice */
  cn_hdf5_visit visit;
  void *user;
  cn_error *e;
} group;

static cn_status open_heap(group *g, uint64_t address) {
  const uint8_t *p = cn_hdf5_bytes(g->file, address, 32);
  if (!p || memcmp(p, "HEAP", 4) != 0 || p[4] != 0) return cn_hdf5_damaged(g->e, "a group without its names");
  g->names_size = cn_hdf5_number(p + 8, 8);
  g->names = (const char *)cn_hdf5_bytes(g->file, cn_hdf5_number(p + 24, 8), g->names_size);
  return g->names ? CORNU_OK : cn_hdf5_damaged(g->e, "names of a group outside of the file");
}

/* Names end with a NUL in memory, and in a local heap. */
static bool good_name(const char *text, size_t length) {
  return length && !memchr(text, '/', length) && !memchr(text, 0, length) && cn_utf8_valid(text, length);
}

static cn_status visit_entry(group *g, const uint8_t *p) {
  uint64_t name = cn_hdf5_number(p, 8);
  if (name >= g->names_size) return cn_hdf5_damaged(g->e, "the name of a member");
  uint64_t most = g->names_size - name;
  const char *text = g->names + name, *end = memchr(text, 0, most > LONGEST_NAME ? LONGEST_NAME : (size_t)most);
  if (!end || !good_name(text, (size_t)(end - text))) return cn_hdf5_damaged(g->e, "the name of a member");
  bool hard = cn_hdf5_number(p + 16, 4) != 2;
  return g->visit(g->user, text, hard ? cn_hdf5_number(p + 8, 8) : CN_HDF5_NOWHERE, g->e);
}

static cn_status visit_leaf(group *g, uint64_t address) {
  const uint8_t *p = cn_hdf5_bytes(g->file, address, 8);
  if (!p || memcmp(p, "SNOD", 4) != 0 || p[4] != 1) return cn_hdf5_damaged(g->e, "a leaf of a group's tree");
  int count = (int)cn_hdf5_number(p + 6, 2);
  p = cn_hdf5_bytes(g->file, address + 8, (uint64_t)count * 40);
  if (!p) return cn_hdf5_damaged(g->e, "a leaf of a group's tree outside of the file");
  for (int i = 0; i < count; i++) CN_TRY(visit_entry(g, p + 40 * i));
  return CORNU_OK;
}

/* level -1: any, at the root. */
static cn_status visit_node(group *g, uint64_t address, int level) {
  const uint8_t *p = cn_hdf5_bytes(g->file, address, 24);
  if (!p || memcmp(p, "TREE", 4) != 0 || p[4] != 0 || (level >= 0 && p[5] != level) || p[5] > DEEPEST_TREE)
    return cn_hdf5_damaged(g->e, "a node of a group's tree");
  level = p[5];
  int count = (int)cn_hdf5_number(p + 6, 2);
  p = cn_hdf5_bytes(g->file, address + 24, (uint64_t)count * 16);
  if (!p) return cn_hdf5_damaged(g->e, "a node of a group's tree outside of the file");
  for (int i = 0; i < count; i++) {
    if (g->nodes-- == 0) return cn_hdf5_damaged(g->e, "a group's tree that joins itself");
    uint64_t child = cn_hdf5_number(p + 16 * i + 8, 8);
    CN_TRY(level ? visit_node(g, child, level - 1) : visit_leaf(g, child));
  }
  return CORNU_OK;
}

/* Groups of the second format, sections IV.A.2.c, IV.A.2.g: links are messages, or objects of a fractal heap. */
static cn_status visit_link(void *user, const uint8_t *p, size_t size, cn_error *e) {
  const group *g = user;
  char name[LONGEST_NAME];
  unsigned flags = size >= 2 && p[0] == 1 ? p[1] : 0;
  size_t at = 2, width = (size_t)1 << (flags & 3);
  int kind = flags & 8 && size > 2 ? p[at++] : 0;
  at += (flags & 4 ? 8 : 0) + (flags & 16 ? 1 : 0);
  if (size < 2 || p[0] != 1 || size < at + width) return cn_hdf5_damaged(e, "a link");
  uint64_t length = cn_hdf5_number(p + at, (int)width);
  at += width;
  if (length >= LONGEST_NAME || length > size - at || !good_name((const char *)p + at, (size_t)length))
    return cn_hdf5_damaged(e, "the name of a member");
  memcpy(name, p + at, (size_t)length);
  name[length] = 0;
  at += (size_t)length;
  if (kind == 0 && size - at < 8) return cn_hdf5_damaged(e, "a link");
  return g->visit(g->user, name, kind == 0 ? cn_hdf5_number(p + at, 8) : CN_HDF5_NOWHERE, e);
}

cn_status cn_hdf5_info(const cn_hdf5_message *m, size_t counter, uint64_t *heap, uint64_t *names, cn_error *e) {
  size_t at = 2 + (m->size >= 2 && m->data[1] & 1 ? counter : 0);
  if (m->size < at + 16 || m->data[0] != 0) return cn_hdf5_damaged(e, "the place of links or attributes");
  *heap = cn_hdf5_number(m->data + at, 8);
  *names = cn_hdf5_number(m->data + at + 8, 8);
  return CORNU_OK;
}

static cn_status visit_links(group *g, uint64_t object, const cn_hdf5_message *info) {
  cn_hdf5_walk w;
  cn_hdf5_message m;
  bool more = true;
  uint64_t heap, names;
  CN_TRY(cn_hdf5_start(&w, g->file, object, g->e));
  while (more) {
    CN_TRY(cn_hdf5_next(&w, &m, &more, g->e));
    if (more && m.type == CN_HDF5_LINK) CN_TRY(visit_link(g, m.data, m.size, g->e));
  }
  CN_TRY(cn_hdf5_info(info, 8, &heap, &names, g->e));
  return cn_hdf5_dense(g->file, heap, names, CN_HDF5_BY_LINK, visit_link, g, g->e);
}

cn_status cn_hdf5_members(const cn_hdf5 *f, uint64_t object, cn_hdf5_visit visit, void *user, cn_error *e) {
  cn_hdf5_message m;
  group g = {.file = f, .nodes = f->size / 24, .visit = visit, .user = user, .e = e};
  CN_TRY(cn_hdf5_message_of(f, object, CN_HDF5_LINK_INFO, &m, e));
  if (m.data) return visit_links(&g, object, &m);
  CN_TRY(cn_hdf5_message_of(f, object, CN_HDF5_GROUP, &m, e));
  if (!m.data) return cn_fail(e, CORNU_ERR_FORMAT, "it is not a group");
  if (m.size < 16) return cn_hdf5_damaged(e, "a group");
  CN_TRY(open_heap(&g, cn_hdf5_number(m.data + 8, 8)));
  return visit_node(&g, cn_hdf5_number(m.data, 8), -1);
}

/* ---- Paths ---- */

typedef struct step { const char *name; size_t length; uint64_t object; int passed; bool found; } step;

static cn_status match(void *user, const char *name, uint64_t object, cn_error *e) {
  (void)e;
  step *s = user;
  s->passed++;
  if (strncmp(name, s->name, s->length) != 0 || name[s->length]) return CORNU_OK;
  s->object = object;
  s->found = true;
  return CORNU_ERR_NOT_FOUND; /* stops the walk */
}

typedef struct filling { cn_map *members; cn_arena *names; } filling;

static cn_status add_to_index(void *user, const char *name, uint64_t object, cn_error *e) {
  const filling *to = user;
  char *copy = cn_arena_copy(to->names, name, strlen(name)); /* maps borrow their keys */
  return copy && cn_map_set(to->members, copy, (void *)(uintptr_t)(object + 1)) ? CORNU_OK : cn_no_memory(e);
}

/* Searching a large group member by member, for each of its members, would take too long. */
static cn_status look_up(const cn_hdf5 *f, uint64_t object_of_group, step *s, cn_error *e) {
  char name[LONGEST_NAME];
  struct cn_hdf5_indexes *known = f->indexes;
  int i = 0;
  while (i < known->count && known->items[i].group != object_of_group) i++;
  if (i == known->count) {
    cn_status status = cn_hdf5_members(f, object_of_group, match, s, e);
    if ((status && !s->found) || s->passed < LARGE || i == INDEXES) return s->found ? CORNU_OK : status;
    filling to = {&known->items[i].members, &known->items[i].names};
    CN_TRY(cn_hdf5_members(f, object_of_group, add_to_index, &to, e));
    known->items[i].group = object_of_group;
    known->count++;
    return CORNU_OK;
  }
  memcpy(name, s->name, s->length);
  name[s->length] = 0;
  uintptr_t object = (uintptr_t)cn_map_get(&known->items[i].members, name);
  s->found = object != 0;
  s->object = (uint64_t)object - 1;
  return CORNU_OK;
}

/* Where to begin on a path: behind the group of the last one, or at the root. */
static const char *known_part(const cn_hdf5 *f, const char *path, uint64_t *object, int *depth) {
  const struct cn_hdf5_indexes *known = f->indexes;
  *object = f->root;
  *depth = 0;
  if (!known->last_length || strncmp(path, known->last, known->last_length) != 0) return path;
  *object = known->last_group;
  *depth = known->last_depth;
  return path + known->last_length;
}

/* The path up to `end`, behind a slash, leads to the object. */
static void note_group(const cn_hdf5 *f, const char *path, const char *end, uint64_t object, int depth) {
  struct cn_hdf5_indexes *known = f->indexes;
  if (end == path || (size_t)(end - path) > LAST_PATH) return;
  memcpy(known->last, path, (size_t)(end - path));
  known->last_length = (size_t)(end - path);
  known->last_depth = depth;
  known->last_group = object;
}

cn_status cn_hdf5_find(const cn_hdf5 *f, const char *path, uint64_t *object, cn_error *e) {
  int depth;
  for (const char *p = known_part(f, path, object, &depth); *p;) {
    note_group(f, path, p, *object, depth);
    step s = {.name = p, .length = strcspn(p, "/")};
    if (s.length) {
      if (s.length >= LONGEST_NAME || ++depth > cn_limits.max_depth)
        return cn_fail(e, CORNU_ERR_LIMIT, "a path too long: \"%.80s…\"", path);
      cn_hdf5_message m;
      CN_TRY(cn_hdf5_message_of(f, *object, CN_HDF5_TYPE, &m, e));
      cn_status status = m.data ? CORNU_OK : look_up(f, *object, &s, e);
      if (!s.found)
        return status ? status : cn_fail(e, CORNU_ERR_NOT_FOUND, "no \"%.*s\" in the file", (int)s.length, s.name);
      if (s.object == CN_HDF5_NOWHERE)
        return cn_fail(e, CORNU_ERR_UNSUPPORTED,
                       "\"%.*s\" is a link to another place or file, which is never followed", (int)s.length, s.name);
      *object = s.object;
    }
    p += s.length;
    p += *p == '/';
  }
  return CORNU_OK;
}
