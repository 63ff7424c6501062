/* Allocation through the host's hooks, arenas, growing arrays, and sizes that cannot overflow. */
#ifndef CN_BASE_MEMORY_H
#define CN_BASE_MEMORY_H

#include "base/error.h"

/* Uninitialised memory aligned to 16 bytes (cn_alloc) or to 64 with 64 readable bytes behind it (cn_alloc_data, for
 * tensors and arenas: kernels may read, never write, up to a vector past the end). NULL: no memory. Both are freed
 * with cn_free, which knows the size. cn_calloc is zero-filled. */
void *cn_alloc(size_t bytes);
void *cn_calloc(size_t count, size_t size);
void *cn_realloc(void *pointer, size_t bytes); /* for cn_alloc and cn_calloc alone */
void *cn_alloc_data(size_t bytes);
void *cn_alloc_room(size_t bytes); /* cn_alloc_data that may never be used: not in huge pages */
void cn_free(void *pointer);

/* a * b and a + b; false when the result does not fit. */
bool cn_mul_size(size_t a, size_t b, size_t *out);
bool cn_add_size(size_t a, size_t b, size_t *out);
bool cn_mul_i64(int64_t a, int64_t b, int64_t *out);

/* Arena: memory that is freed all at once. Zero-initialise a cn_arena, or {0}. All memory is zero-filled. */
typedef struct cn_arena_block cn_arena_block;
typedef struct cn_arena { cn_arena_block *blocks; size_t used; } cn_arena;
void *cn_arena_alloc(cn_arena *a, size_t bytes);                       /* aligned to 16; NULL: no memory */
void *cn_arena_array(cn_arena *a, size_t count, size_t size);          /* count * size, checked */
char *cn_arena_copy(cn_arena *a, const char *text, size_t length);     /* with a NUL behind */
char *cn_arena_string(cn_arena *a, const char *text);
char *cn_arena_printf(cn_arena *a, const char *format, ...) CN_PRINTF(2, 3);
void cn_arena_take(cn_arena *a, cn_arena *from); /* all that is in another one, which is empty then */
void cn_arena_free(cn_arena *a);

/* Makes room for one more item in a plain array that grows by doubling: cn_grow(&items, &capacity, count, sizeof
 * *items). */
bool cn_grow(void *items, int *capacity, int count, size_t size);              /* heap */
bool cn_arena_grow(cn_arena *a, void *items, int *capacity, int count, size_t size);

const cornu_limits *cn_limits_here(void); /* of the context that the thread works in */
#define cn_limits (*cn_limits_here())

#endif
