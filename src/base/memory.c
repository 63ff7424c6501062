/* Memory through the hooks of a context. Every block has its size and its context in front, so that free can tell them. */
#include "base/memory.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/system.h"

enum { SMALL_ALIGN = 16, DATA_ALIGN = 64, SLACK = 64 };

/* Of the whole block; what it belongs to, and in the low bits of it how far the payload is from the start, in units of
 * SMALL_ALIGN. */
typedef struct header { size_t bytes; uintptr_t owner; } header;
_Static_assert(DATA_ALIGN / SMALL_ALIGN < 16 && sizeof(header) <= SMALL_ALIGN, "the header has no room");

const cornu_limits *cn_limits_here(void) { return &cn_context()->limits; }

/* Data is aligned here, not by the hook: malloc is far quicker when it is not asked for an alignment. */
static void *take(size_t bytes, size_t align, bool used_whole) {
  cornu_context *c = cn_context();
  size_t total;
  if (!cn_add_size(bytes, align + (align == DATA_ALIGN ? SLACK : 0), &total) || !cn_context_take(c, total)) return NULL;
  char *block = c->hooks.alloc ? c->hooks.alloc(c->hooks.user, total, SMALL_ALIGN) : cn_system_alloc(total, used_whole);
  if (!block) return cn_context_give_back(c, total), NULL;
  size_t offset = align - ((uintptr_t)block & (align - 1)); /* at least SMALL_ALIGN: there is room for the header */
  char *payload = block + offset;
  ((header *)(void *)payload)[-1] = (header){total, (uintptr_t)c | offset / SMALL_ALIGN};
  return payload;
}

static size_t offset_of(header h) { return (h.owner & 15) * SMALL_ALIGN; }

void *cn_alloc(size_t bytes) { return take(bytes, SMALL_ALIGN, true); }
void *cn_alloc_data(size_t bytes) { return take(bytes, DATA_ALIGN, true); }
void *cn_alloc_room(size_t bytes) { return take(bytes, DATA_ALIGN, false); }

void *cn_calloc(size_t count, size_t size) {
  size_t bytes;
  if (!cn_mul_size(count, size, &bytes)) return NULL;
  void *p = cn_alloc(bytes);
  return p ? memset(p, 0, bytes) : NULL;
}

void *cn_realloc(void *pointer, size_t bytes) {
  if (!pointer) return cn_alloc(bytes);
  void *fresh = cn_alloc(bytes);
  if (!fresh) return NULL;
  const header *h = (header *)pointer - 1;
  size_t old = h->bytes - offset_of(*h);
  memcpy(fresh, pointer, old < bytes ? old : bytes);
  cn_free(pointer);
  return fresh;
}

void cn_free(void *pointer) {
  if (!pointer) return;
  const header h = ((header *)pointer)[-1];
  cornu_context *c = (cornu_context *)(h.owner & ~(uintptr_t)15);
  char *block = (char *)pointer - offset_of(h);
  if (c->hooks.free) c->hooks.free(c->hooks.user, block, h.bytes);
  else free(block);
  cn_context_give_back(c, h.bytes);
}

void cornu_free(void *pointer) { cn_free(pointer); }

bool cn_mul_size(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
bool cn_add_size(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }
bool cn_mul_i64(int64_t a, int64_t b, int64_t *out) { return !__builtin_mul_overflow(a, b, out); }

/* ---- arenas ---- */

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20 };

struct cn_arena_block {
  _Alignas(SMALL_ALIGN) cn_arena_block *next; /* so that the payload behind this header is aligned, too */
  size_t size, at;                            /* of the payload */
};

static void *from_block(cn_arena_block *b, size_t bytes) {
  void *p = (char *)(b + 1) + b->at;
  b->at += bytes;
  return p;
}

/* Not zero-filled: blocks are touched only as far as they are used. */
static void *piece(cn_arena *a, size_t bytes) {
  if (bytes > SIZE_MAX / 2) return NULL;
  bytes = (bytes + 15) & ~(size_t)15;
  if (a->blocks && a->blocks->size - a->blocks->at >= bytes) return from_block(a->blocks, bytes);
  size_t size = a->blocks ? a->blocks->size * 2 : FIRST_BLOCK - sizeof(cn_arena_block);
  if (size > LARGEST_BLOCK) size = LARGEST_BLOCK;
  if (size < bytes) size = bytes;
  size = (size + 15) & ~(size_t)15;
  cn_arena_block *b = cn_alloc(sizeof *b + size);
  if (!b) return NULL;
  *b = (cn_arena_block){.size = size};
  a->used += size;
  /* a large piece gets a block of its own behind the current one, which keeps its free room */
  if (a->blocks && a->blocks->size - a->blocks->at > size - bytes) {
    b->next = a->blocks->next;
    a->blocks->next = b;
  } else {
    b->next = a->blocks;
    a->blocks = b;
  }
  return from_block(b, bytes);
}

void *cn_arena_alloc(cn_arena *a, size_t bytes) {
  void *p = piece(a, bytes);
  return p ? memset(p, 0, bytes) : NULL;
}

void *cn_arena_array(cn_arena *a, size_t count, size_t size) {
  size_t bytes;
  return cn_mul_size(count, size, &bytes) ? cn_arena_alloc(a, bytes) : NULL;
}

char *cn_arena_copy(cn_arena *a, const char *text, size_t length) {
  char *s = length < SIZE_MAX ? piece(a, length + 1) : NULL;
  if (!s) return NULL;
  if (length) memcpy(s, text, length);
  s[length] = 0;
  return s;
}

char *cn_arena_string(cn_arena *a, const char *text) { return cn_arena_copy(a, text, strlen(text)); }

char *cn_arena_printf(cn_arena *a, const char *format, ...) {
  char most[256]; /* as long as most texts are: they are formatted once */
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(most, sizeof most, format, args);
  va_end(args);
  char *s = n < 0 ? NULL : (size_t)n < sizeof most ? cn_arena_copy(a, most, (size_t)n) : piece(a, (size_t)n + 1);
  if (s && (size_t)n >= sizeof most) vsnprintf(s, (size_t)n + 1, format, again);
  va_end(again);
  return s;
}

void cn_arena_take(cn_arena *a, cn_arena *from) {
  cn_arena_block **last = a->blocks ? &a->blocks->next : &a->blocks, *rest = *last;
  *last = from->blocks;
  while (*last) last = &(*last)->next;
  *last = rest;
  a->used += from->used;
  *from = (cn_arena){0};
}

void cn_arena_free(cn_arena *a) {
  for (cn_arena_block *b = a->blocks, *next; b; b = next) {
    next = b->next;
    cn_free(b);
  }
  *a = (cn_arena){0};
}

/* ---- growing arrays; items is the address of the pointer ---- */

static bool room_for(int capacity, size_t size, int *wanted, size_t *bytes) {
  if (capacity > INT32_MAX / 2) return false;
  *wanted = capacity ? capacity * 2 : 8;
  return cn_mul_size((size_t)*wanted, size, bytes);
}

bool cn_grow(void *items, int *capacity, int count, size_t size) {
  if (count < *capacity) return true;
  int wanted;
  size_t bytes;
  void *old;
  memcpy(&old, items, sizeof old);
  if (!room_for(*capacity, size, &wanted, &bytes)) return false;
  void *fresh = cn_realloc(old, bytes);
  if (!fresh) return false;
  memcpy(items, &fresh, sizeof fresh);
  *capacity = wanted;
  return true;
}

bool cn_arena_grow(cn_arena *a, void *items, int *capacity, int count, size_t size) {
  if (count < *capacity) return true;
  int wanted;
  size_t bytes;
  void *old;
  memcpy(&old, items, sizeof old);
  if (!room_for(*capacity, size, &wanted, &bytes)) return false;
  void *fresh = cn_arena_alloc(a, bytes);
  if (!fresh) return false;
  if (count) memcpy(fresh, old, (size_t)count * size);
  memcpy(items, &fresh, sizeof fresh);
  *capacity = wanted;
  return true;
}
