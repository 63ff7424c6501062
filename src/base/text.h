/* Text: a growing string, shapes as text, nearest names, and a hash map from names to pointers. */
#ifndef CN_BASE_TEXT_H
#define CN_BASE_TEXT_H

#include "base/memory.h"

/* A growing string on the heap; {0} is empty. When memory runs out `failed` stays set and nothing more is added. */
typedef struct cn_text { char *data; size_t length, capacity; bool failed; } cn_text;
bool cn_text_reserve(cn_text *t, size_t more); /* room for so many bytes more */
void cn_text_add(cn_text *t, const char *s);
void cn_text_add_bytes(cn_text *t, const char *s, size_t length);
void cn_text_addf(cn_text *t, const char *format, ...) CN_PRINTF(2, 3);
void cn_text_pad(cn_text *t, char c, size_t count);
void cn_text_free(cn_text *t);

/* "(?, 28, 28, 3)" into a buffer of the caller; returns the buffer. */
#define CN_SHAPE_TEXT 192
const char *cn_shape_text(char *buffer, int rank, const int64_t *shape);
#define CN_SHAPE(rank, shape) cn_shape_text((char[CN_SHAPE_TEXT]){0}, rank, shape)

/* The name in a space-separated list that is nearest to `name` (edit distance at most a third of it), into `out`. */
bool cn_nearest_name(const char *name, const char *list, char *out, size_t size);
/* Whether `name` is one of the words of a space-separated list (NULL: no). *index: its position. */
bool cn_word_in(const char *list, const char *name, int *index);
bool cn_utf8_valid(const char *s, size_t length);
/* "MaxPooling2D" -> "max_pooling2d" by Keras's to_snake_case. */
void cn_snake_case(const char *name, char *out, size_t size);

/* Names to pointers; keys are borrowed and must outlive the map. {0} is empty; memory is on the heap. */
typedef struct cn_map { struct cn_map_slot *slots; int count, capacity; } cn_map;
bool cn_map_set(cn_map *m, const char *key, void *value);
void *cn_map_get(const cn_map *m, const char *key);
void cn_map_free(cn_map *m);

#endif
