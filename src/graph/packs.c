/* Packed weights: shared by all plans that pack the same constant in the same way, and laid side by side in slabs. Most
 * are smaller than a huge page, and by themselves each would miss the page tables at every run. A slab goes with the
 * last pack in it; plans have slabs of their own, so that a network that stays does not hold those of one that went. */
#include <string.h>

#include "graph/planner.h"

/* The first slab of a plan is as large as the first pack, the next ones are small; when there is much, they are a few
 * times as large as all before them, in multiples of huge pages; what is not used of them is never touched. Packs that
 * are LARGE have one each. BESIDE: what an allocation adds to data. */
enum { LINE = 64, BESIDE = 128, SMALL_SLAB = 1 << 20, HUGE_PAGE = 2 << 20, LARGE = 4 << 20, LARGEST_SLAB = 32 << 20 };

typedef struct cn_slab { char *data; size_t bytes, used; int packs; struct cn_slab *next; } cn_slab;

typedef struct cn_packed {
  const void *source;
  unsigned version;     /* of its data */
  char *kind;
  void *data;
  size_t bytes;
  cn_slab *slab;
  int references;
  struct cn_packed *next;
} cn_packed;

static cn_packed *all_packed;

/* What tells constants apart: where they are, or were before they were fetched from their file. */
static const void *identity(const cn_operand *o) {
  const cn_buffer *b = o->tensor ? o->tensor->buffer : NULL;
  return b && b->stored ? b->stored : o->data;
}

/* Training changes weights where they are. */
static unsigned version_of(const cn_operand *o) {
  return o->tensor && o->tensor->buffer ? atomic_load(&o->tensor->buffer->version) : 0;
}

/* ---- Slabs ---- */

static void drop_slab(cn_slab *s) {
  if (!s || --s->packs > 0) return;
  cn_free(s->data);
  cn_free(s);
}

static size_t slab_bytes(const cn_packs *all, size_t least) {
  if (!all->held || least > LARGE) return least;
  size_t wanted = all->held < LARGEST_SLAB / 4 ? 4 * all->held : LARGEST_SLAB;
  if (all->held < LARGE && least <= SMALL_SLAB) return SMALL_SLAB;
  if (wanted < least) wanted = least;
  return (wanted + BESIDE + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE - BESIDE;
}

/* The plan holds its slabs as if it were a pack in them. */
static cn_slab *new_slab(cn_packs *all, size_t least) {
  cn_slab *s = cn_calloc(1, sizeof *s);
  if (!s) return NULL;
  s->bytes = slab_bytes(all, least);
  s->data = cn_alloc_data(s->bytes);
  if (!s->data) s->data = cn_alloc_data(s->bytes = least); /* the host may have this much */
  if (!s->data) {
    cn_free(s);
    return NULL;
  }
  all->held += s->bytes;
  s->packs = 1;
  s->next = all->slabs;
  return all->slabs = s;
}

static bool place(cn_packs *all, cn_packed *p) {
  size_t need;
  if (!cn_add_size(p->bytes, 2 * LINE - 1, &need)) return false; /* rows are read a vector past their end */
  need = need / LINE * LINE;
  cn_slab *s = all->slabs;
  while (s && s->bytes - s->used < need) s = s->next;
  if (!s) s = new_slab(all, need);
  if (!s) return false;
  p->slab = s;
  p->data = s->data + s->used;
  s->used += need;
  s->packs++;
  return true;
}

/* ---- Packs ---- */

static void free_packed(cn_packed *p) {
  drop_slab(p->slab);
  cn_free(p->kind);
  cn_free(p);
}

static cn_packed *new_packed(cn_packs *all, const void *source, const char *kind, size_t bytes) {
  cn_packed *p = cn_calloc(1, sizeof *p);
  if (!p) return NULL;
  p->source = source;
  p->bytes = bytes;
  p->kind = cn_alloc(strlen(kind) + 1);
  if (!p->kind || !place(all, p)) {
    free_packed(p);
    return NULL;
  }
  strcpy(p->kind, kind);
  p->next = all_packed;
  return all_packed = p;
}

void *cn_packs_add(cn_packs *all, const cn_operand *source, const char *kind, size_t bytes, bool *fresh) {
  const void *id = identity(source);
  const unsigned version = version_of(source);
  cn_packed *found = all_packed;
  *fresh = false;
  while (found && (found->source != id || found->version != version || found->bytes != bytes ||
                   strcmp(found->kind, kind) != 0))
    found = found->next;
  if (!cn_grow(&all->items, &all->capacity, all->count, sizeof *all->items)) return NULL;
  if (!found) {
    found = new_packed(all, id, kind, bytes);
    if (!found) return NULL;
    found->version = version;
    cn_plan_touch(found->data, bytes);
    *fresh = true;
  }
  found->references++;
  all->items[all->count++] = found;
  all->bytes += bytes;
  return found->data;
}

static void drop_packed(cn_packed *p) {
  if (--p->references > 0) return;
  cn_packed **link = &all_packed;
  while (*link != p) link = &(*link)->next;
  *link = p->next;
  free_packed(p);
}

void cn_packs_free(cn_packs *all) {
  for (int i = 0; i < all->count; i++) drop_packed(all->items[i]);
  for (cn_slab *s = all->slabs, *next; s; s = next) {
    next = s->next;
    drop_slab(s);
  }
  cn_free(all->items);
}
