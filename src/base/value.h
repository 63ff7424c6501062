/* The neutral value tree: what JSON, Lua tables and HDF5 attributes become, and what layers and ops are configured by.
 */
#ifndef CN_BASE_VALUE_H
#define CN_BASE_VALUE_H

#include "base/text.h"

typedef cornu_value cn_value;

struct cornu_tree { cn_arena arena; };

/* Fields are read freely; values are made by the cornu_value_* makers or cn_value_new. */
struct cornu_value {
  cornu_kind kind;
  int count, capacity;      /* list, dict; a string's length is in count */
  union {
    bool b;
    int64_t i;
    double f;
    const char *s;          /* NUL-terminated; may hold NULs before */
    cn_value **items;       /* list, dict */
  };
  const char **keys;        /* dict: parallel to items */
};

cn_value *cn_value_new(cn_arena *a, cornu_kind kind);
cn_value *cn_value_text(cn_arena *a, const char *s);
cn_value *cn_value_bytes(cn_arena *a, const char *s, size_t length); /* may hold NULs */
bool cn_value_push(cn_arena *a, cn_value *list, cn_value *item);
bool cn_value_put(cn_arena *a, cn_value *dict, const char *key, cn_value *item); /* replaces; key is copied */
/* The same for a dict with many members: index is {0} at first and freed by the caller; key is borrowed. */
bool cn_value_add(cn_arena *a, cn_value *dict, cn_map *index, const char *key, cn_value *item);
void cn_value_remove(cn_value *dict, const char *key);
bool cn_value_rename(cn_arena *a, cn_value *dict, const char *old_key, const char *new_key); /* false: no old key */
cn_value *cn_value_copy(cn_arena *a, const cn_value *v); /* deep; NULL: no memory */
cn_value *cn_value_find(const cn_value *dict, const char *key); /* NULL on any other kind, too */
bool cn_value_is(const cn_value *v, cornu_kind kind);
bool cn_value_is_null(const cn_value *v); /* NULL counts */
bool cn_value_equal(const cn_value *a, const cn_value *b);
const char *cn_value_str(const cn_value *v); /* NULL unless a string */
bool cn_value_number(const cn_value *v, double *out); /* int, float or bool */
bool cn_value_integer(const cn_value *v, int64_t *out); /* int, bool or a whole float within int64 */
/* Short JSON text for messages, cut with "…" to the buffer; returns the buffer. */
const char *cn_value_show(const cn_value *v, char *buffer, size_t size);

#endif
