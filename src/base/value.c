/* The value tree. */
#include "base/value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

cornu_tree *cornu_tree_new(void) { return cn_calloc(1, sizeof(cornu_tree)); }

void cornu_tree_free(cornu_tree *tree) {
  if (!tree) return;
  cn_arena_free(&tree->arena);
  cn_free(tree);
}

cn_value *cn_value_new(cn_arena *a, cornu_kind kind) {
  cn_value *v = cn_arena_alloc(a, sizeof *v);
  if (v) v->kind = kind;
  return v;
}

cn_value *cn_value_bytes(cn_arena *a, const char *s, size_t length) {
  cn_value *v = length < INT32_MAX ? cn_value_new(a, CORNU_STRING) : NULL;
  if (!v || !(v->s = cn_arena_copy(a, s, length))) return NULL;
  v->count = (int)length;
  return v;
}

cn_value *cn_value_text(cn_arena *a, const char *s) { return cn_value_bytes(a, s, strlen(s)); }

cornu_value *cornu_value_null(cornu_tree *tree) { return cn_value_new(&tree->arena, CORNU_NULL); }
cornu_value *cornu_value_list(cornu_tree *tree) { return cn_value_new(&tree->arena, CORNU_LIST); }
cornu_value *cornu_value_dict(cornu_tree *tree) { return cn_value_new(&tree->arena, CORNU_DICT); }
cornu_value *cornu_value_string(cornu_tree *tree, const char *s, size_t length) {
  return cn_value_bytes(&tree->arena, s, length);
}

cornu_value *cornu_value_bool(cornu_tree *tree, bool b) {
  cn_value *v = cn_value_new(&tree->arena, CORNU_BOOL);
  if (v) v->b = b;
  return v;
}

cornu_value *cornu_value_int(cornu_tree *tree, int64_t i) {
  cn_value *v = cn_value_new(&tree->arena, CORNU_INT);
  if (v) v->i = i;
  return v;
}

cornu_value *cornu_value_float(cornu_tree *tree, double f) {
  cn_value *v = cn_value_new(&tree->arena, CORNU_FLOAT);
  if (v) v->f = f;
  return v;
}

bool cn_value_push(cn_arena *a, cn_value *list, cn_value *item) {
  if (!list || !item || list->kind != CORNU_LIST) return false;
  if (!cn_arena_grow(a, &list->items, &list->capacity, list->count, sizeof *list->items)) return false;
  list->items[list->count++] = item;
  return true;
}

static int find_key(const cn_value *dict, const char *key) {
  for (int i = 0; dict && dict->kind == CORNU_DICT && i < dict->count; i++)
    if (strcmp(dict->keys[i], key) == 0) return i;
  return -1;
}

bool cn_value_put(cn_arena *a, cn_value *dict, const char *key, cn_value *item) {
  if (!dict || !item || dict->kind != CORNU_DICT) return false;
  int at = find_key(dict, key), capacity = dict->capacity;
  if (at >= 0) return dict->items[at] = item, true;
  if (!cn_arena_grow(a, &dict->items, &capacity, dict->count, sizeof *dict->items)) return false;
  if (!cn_arena_grow(a, &dict->keys, &dict->capacity, dict->count, sizeof *dict->keys)) return false;
  if (!(dict->keys[dict->count] = cn_arena_string(a, key))) return false;
  dict->items[dict->count++] = item;
  return true;
}

/* The map holds indexes + 1, from 32 members on. */
static int find_indexed(const cn_value *dict, const cn_map *index, const char *key) {
  if (index->count) return (int)(intptr_t)cn_map_get(index, key) - 1;
  return find_key(dict, key);
}

bool cn_value_add(cn_arena *a, cn_value *dict, cn_map *index, const char *key, cn_value *item) {
  int at = find_indexed(dict, index, key), capacity = dict->capacity;
  if (at >= 0) return dict->items[at] = item, true;
  if (!cn_arena_grow(a, &dict->items, &capacity, dict->count, sizeof *dict->items)) return false;
  if (!cn_arena_grow(a, &dict->keys, &dict->capacity, dict->count, sizeof *dict->keys)) return false;
  dict->items[dict->count] = item;
  dict->keys[dict->count++] = key;
  if (dict->count < 32) return true;
  for (int i = index->count ? dict->count - 1 : 0; i < dict->count; i++)
    if (!cn_map_set(index, dict->keys[i], (void *)(intptr_t)(i + 1))) return false;
  return true;
}

bool cornu_value_append(cornu_tree *tree, cornu_value *list, cornu_value *item) {
  return cn_value_push(&tree->arena, list, item);
}
bool cornu_value_set(cornu_tree *tree, cornu_value *dict, const char *key, cornu_value *item) {
  return cn_value_put(&tree->arena, dict, key, item);
}

void cn_value_remove(cn_value *dict, const char *key) {
  int at = find_key(dict, key);
  if (at < 0) return;
  size_t rest = (size_t)(--dict->count - at);
  memmove(dict->items + at, dict->items + at + 1, rest * sizeof *dict->items);
  memmove(dict->keys + at, dict->keys + at + 1, rest * sizeof *dict->keys);
}

bool cn_value_rename(cn_arena *a, cn_value *dict, const char *old_key, const char *new_key) {
  cn_value *item = cn_value_find(dict, old_key);
  if (!item) return false;
  cn_value_remove(dict, old_key);
  return cn_value_put(a, dict, new_key, item);
}

cn_value *cn_value_copy(cn_arena *a, const cn_value *v) {
  if (!v) return NULL;
  if (v->kind == CORNU_STRING) return cn_value_bytes(a, v->s, (size_t)v->count);
  cn_value *copy = cn_value_new(a, v->kind);
  if (!copy) return NULL;
  if (v->kind != CORNU_LIST && v->kind != CORNU_DICT) {
    *copy = *v;
    return copy;
  }
  copy->items = cn_arena_array(a, (size_t)v->count + 1, sizeof *copy->items);
  copy->keys = v->kind == CORNU_DICT ? cn_arena_array(a, (size_t)v->count + 1, sizeof *copy->keys) : NULL;
  if (!copy->items || (v->kind == CORNU_DICT && !copy->keys)) return NULL;
  copy->capacity = v->count + 1;
  for (int i = 0; i < v->count; i++) {
    if (!(copy->items[i] = cn_value_copy(a, v->items[i]))) return NULL;
    if (copy->keys && !(copy->keys[i] = cn_arena_string(a, v->keys[i]))) return NULL;
    copy->count = i + 1;
  }
  return copy;
}

cn_value *cn_value_find(const cn_value *dict, const char *key) {
  int at = find_key(dict, key);
  return at < 0 ? NULL : dict->items[at];
}

bool cn_value_is(const cn_value *v, cornu_kind kind) { return v && v->kind == kind; }
bool cn_value_is_null(const cn_value *v) { return !v || v->kind == CORNU_NULL; }
const char *cn_value_str(const cn_value *v) { return cn_value_is(v, CORNU_STRING) ? v->s : NULL; }

bool cn_value_equal(const cn_value *a, const cn_value *b) {
  if (!a || !b) return a == b;
  double x, y;
  if (a->kind == CORNU_INT && b->kind == CORNU_INT) return a->i == b->i; /* doubles would take neighbours for one */
  if (a->kind != CORNU_BOOL && b->kind != CORNU_BOOL && cn_value_number(a, &x) && cn_value_number(b, &y))
    return x == y || (isnan(x) && isnan(y));
  if (a->kind != b->kind || (a->kind >= CORNU_STRING && a->count != b->count)) return false;
  if (a->kind == CORNU_STRING) return memcmp(a->s, b->s, (size_t)a->count) == 0;
  if (a->kind == CORNU_BOOL) return a->b == b->b;
  for (int i = 0; (a->kind == CORNU_LIST || a->kind == CORNU_DICT) && i < a->count; i++)
    if (!cn_value_equal(a->items[i], a->kind == CORNU_LIST ? b->items[i] : cn_value_find(b, a->keys[i]))) return false;
  return true;
}

bool cn_value_number(const cn_value *v, double *out) {
  if (!v) return false;
  switch (v->kind) {
    case CORNU_INT: return *out = (double)v->i, true;
    case CORNU_FLOAT: return *out = v->f, true;
    case CORNU_BOOL: return *out = v->b, true;
    default: return false;
  }
}

bool cn_value_integer(const cn_value *v, int64_t *out) {
  if (!v) return false;
  switch (v->kind) {
    case CORNU_INT: return *out = v->i, true;
    case CORNU_BOOL: return *out = v->b, true;
    case CORNU_FLOAT:
      if (!(v->f >= -9223372036854775808.0 && v->f < 9223372036854775808.0) || v->f != floor(v->f)) return false;
      return *out = (int64_t)v->f, true;
    default: return false;
  }
}

/* ---- readers of the public header ---- */

cornu_kind cornu_value_kind(const cornu_value *v) { return v ? v->kind : CORNU_NULL; }
static bool is_container(const cornu_value *v) { return v && (v->kind == CORNU_LIST || v->kind == CORNU_DICT); }
size_t cornu_value_count(const cornu_value *v) { return is_container(v) ? (size_t)v->count : 0; }
const cornu_value *cornu_value_at(const cornu_value *v, size_t i) {
  return i < cornu_value_count(v) ? v->items[i] : NULL;
}
const char *cornu_value_key(const cornu_value *v, size_t i) {
  return cn_value_is(v, CORNU_DICT) && i < (size_t)v->count ? v->keys[i] : NULL;
}
const cornu_value *cornu_value_get(const cornu_value *v, const char *key) { return cn_value_find(v, key); }
bool cornu_value_as_bool(const cornu_value *v) { return cornu_value_as_float(v) != 0; }

int64_t cornu_value_as_int(const cornu_value *v) {
  int64_t i = 0;
  return cn_value_integer(v, &i) ? i : 0;
}

double cornu_value_as_float(const cornu_value *v) {
  double f = 0;
  return cn_value_number(v, &f) ? f : 0;
}

const char *cornu_value_as_string(const cornu_value *v, size_t *length) {
  const char *s = cn_value_str(v);
  if (length) *length = s ? (size_t)v->count : 0;
  return s;
}

/* ---- for messages ---- */

static void show(cn_text *t, const cn_value *v, size_t most) {
  if (t->length > most) return;
  if (cn_value_is_null(v)) {
    cn_text_add(t, "null");
    return;
  }
  switch (v->kind) {
    case CORNU_BOOL: cn_text_add(t, v->b ? "true" : "false"); break;
    case CORNU_INT: cn_text_addf(t, "%lld", (long long)v->i); break;
    case CORNU_FLOAT: cn_text_addf(t, "%.9g", v->f); break;
    case CORNU_STRING: cn_text_addf(t, "\"%.*s\"", (int)(most < 200 ? most : 200), v->s); break;
    default:
      cn_text_add(t, v->kind == CORNU_LIST ? "[" : "{");
      for (int i = 0; i < v->count && t->length <= most; i++) {
        if (i) cn_text_add(t, ", ");
        if (v->kind == CORNU_DICT) cn_text_addf(t, "\"%.60s\": ", v->keys[i]);
        show(t, v->items[i], most);
      }
      cn_text_add(t, v->kind == CORNU_LIST ? "]" : "}");
  }
}

const char *cn_value_show(const cn_value *v, char *buffer, size_t size) {
  cn_text t = {0};
  show(&t, v, size);
  const char *s = t.data ? t.data : "";
  if (strlen(s) < size) snprintf(buffer, size, "%s", s);
  else {
    size_t n = size - 4;
    while (n && ((unsigned char)s[n] & 0xC0) == 0x80) n--;
    snprintf(buffer, size, "%.*s…", (int)n, s);
  }
  cn_text_free(&t);
  return buffer;
}
