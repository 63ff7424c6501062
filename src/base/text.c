/* Text: growing strings, shapes, nearest names, maps. */
#include "base/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool cn_text_reserve(cn_text *t, size_t more) {
  if (t->failed || more > SIZE_MAX / 4) return t->failed = true, false;
  size_t need = t->length + more + 1;
  if (need <= t->capacity) return true;
  size_t capacity = t->capacity ? t->capacity : 64;
  while (capacity < need) capacity *= 2;
  char *data = cn_realloc(t->data, capacity);
  if (!data) return t->failed = true, false;
  t->data = data;
  t->capacity = capacity;
  return true;
}

void cn_text_add_bytes(cn_text *t, const char *s, size_t length) {
  if (!cn_text_reserve(t, length)) return;
  if (length) memcpy(t->data + t->length, s, length);
  t->length += length;
  t->data[t->length] = 0;
}

void cn_text_add(cn_text *t, const char *s) { cn_text_add_bytes(t, s, strlen(s)); }

void cn_text_addf(cn_text *t, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (n >= 0 && cn_text_reserve(t, (size_t)n)) {
    vsnprintf(t->data + t->length, (size_t)n + 1, format, again);
    t->length += (size_t)n;
  }
  va_end(again);
}

void cn_text_pad(cn_text *t, char c, size_t count) {
  if (!cn_text_reserve(t, count)) return;
  memset(t->data + t->length, c, count);
  t->length += count;
  t->data[t->length] = 0;
}

void cn_text_free(cn_text *t) {
  cn_free(t->data);
  *t = (cn_text){0};
}

const char *cn_shape_text(char *buffer, int rank, const int64_t *shape) {
  size_t at = 0;
  at += (size_t)snprintf(buffer, CN_SHAPE_TEXT, "(");
  for (int i = 0; i < rank && at < CN_SHAPE_TEXT - 32; i++) {
    const char *comma = i ? ", " : "";
    at += (size_t)(shape[i] < 0 ? snprintf(buffer + at, CN_SHAPE_TEXT - at, "%s?", comma)
                                : snprintf(buffer + at, CN_SHAPE_TEXT - at, "%s%lld", comma, (long long)shape[i]));
  }
  snprintf(buffer + at, CN_SHAPE_TEXT - at, rank == 1 ? ",)" : ")");
  return buffer;
}

enum { LONGEST_NAME = 64 };

static size_t distance(const char *a, size_t n, const char *b, size_t m) {
  size_t row[LONGEST_NAME + 1];
  for (size_t j = 0; j <= m; j++) row[j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t above = row[j], best = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
      if (above + 1 < best) best = above + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = above;
      row[j] = best;
    }
  }
  return row[m];
}

/* The next word of a space-separated list; NULL at its end. */
static const char *next_word(const char **list, size_t *length) {
  const char *s = *list;
  while (*s == ' ') s++;
  const char *end = s;
  while (*end && *end != ' ') end++; /* for words, quicker than strcspn */
  *length = (size_t)(end - s);
  *list = end;
  return *length ? s : NULL;
}

bool cn_nearest_name(const char *name, const char *list, char *out, size_t size) {
  size_t length = strlen(name), n, best = length / 3 + 1;
  bool found = false;
  if (length > LONGEST_NAME || !list) return false;
  for (const char *word; (word = next_word(&list, &n));) {
    if (n > LONGEST_NAME || n >= size) continue;
    size_t d = distance(name, length, word, n);
    if (d >= best) continue;
    best = d;
    memcpy(out, word, n);
    out[n] = 0;
    found = true;
  }
  return found;
}

bool cn_word_in(const char *list, const char *name, int *index) {
  const size_t length = strlen(name);
  if (!list || !length || strchr(name, ' ')) return false;
  for (const char *at = list; (at = strstr(at, name)); at += length) {
    if ((at > list && at[-1] != ' ') || (at[length] && at[length] != ' ')) continue;
    if (!index) return true;
    size_t n;
    *index = 0;
    while (next_word(&list, &n) && list < at + length) ++*index;
    return true;
  }
  return false;
}

bool cn_utf8_valid(const char *text, size_t length) {
  const unsigned char *s = (const unsigned char *)text;
  for (size_t i = 0; i < length;) {
    unsigned char c = s[i];
    if (c < 0x80) {
      i++;
      continue;
    }
    size_t more = c >= 0xC2 && c <= 0xDF ? 1 : (c & 0xF0) == 0xE0 ? 2 : c >= 0xF0 && c <= 0xF4 ? 3 : 9;
    if (more == 9 || more > length - i - 1) return false;
    for (size_t k = 1; k <= more; k++)
      if ((s[i + k] & 0xC0) != 0x80) return false;
    if ((c == 0xE0 && s[i + 1] < 0xA0) || (c == 0xED && s[i + 1] > 0x9F) || (c == 0xF0 && s[i + 1] < 0x90) ||
        (c == 0xF4 && s[i + 1] > 0x8F))
      return false;
    i += more + 1;
  }
  return true;
}

/* Keras: drop non-word characters; "_" before a capital followed by lowercase letters, unless first; then between a
 * lowercase letter and a capital; lowercase all. */
void cn_snake_case(const char *name, char *out, size_t size) {
  char word[512];
  size_t n = 0, at = 0;
  for (; *name && n + 1 < sizeof word; name++)
    if (isalnum((unsigned char)*name) || *name == '_') word[n++] = *name;
  word[n] = 0;
  for (size_t i = 0; i < n && at + 2 < size; i++) {
    bool capital = isupper((unsigned char)word[i]);
    bool starts_word = capital && i + 1 < n && islower((unsigned char)word[i + 1]);
    bool after_lower = capital && i && islower((unsigned char)word[i - 1]);
    if (i && (starts_word || after_lower)) out[at++] = '_';
    out[at++] = (char)tolower((unsigned char)word[i]);
  }
  out[at] = 0;
}

/* ---- maps: open addressing ---- */

struct cn_map_slot { const char *key; void *value; uint64_t hash; };

static uint64_t hash_of(const char *key) {
  uint64_t h = 1469598103934665603u; /* FNV-1a */
  for (; *key; key++) h = (h ^ (unsigned char)*key) * 1099511628211u;
  return h ^ h >> 29;
}

static struct cn_map_slot *find_slot(const cn_map *m, const char *key, uint64_t hash) {
  for (uint64_t i = hash;; i++) {
    struct cn_map_slot *s = &m->slots[i & (uint64_t)(m->capacity - 1)];
    if (!s->key || (s->hash == hash && strcmp(s->key, key) == 0)) return s;
  }
}

static bool grow_map(cn_map *m) {
  cn_map bigger = {.capacity = m->capacity ? m->capacity * 2 : 16};
  bigger.slots = cn_calloc((size_t)bigger.capacity, sizeof *bigger.slots);
  if (!bigger.slots) return false;
  for (int i = 0; i < m->capacity; i++)
    if (m->slots[i].key) *find_slot(&bigger, m->slots[i].key, m->slots[i].hash) = m->slots[i];
  bigger.count = m->count;
  cn_free(m->slots);
  *m = bigger;
  return true;
}

bool cn_map_set(cn_map *m, const char *key, void *value) {
  if (m->count * 4 >= m->capacity * 3 && !grow_map(m)) return false;
  uint64_t hash = hash_of(key);
  struct cn_map_slot *s = find_slot(m, key, hash);
  if (!s->key) m->count++;
  *s = (struct cn_map_slot){key, value, hash};
  return true;
}

void *cn_map_get(const cn_map *m, const char *key) {
  return m->capacity ? find_slot(m, key, hash_of(key))->value : NULL;
}

void cn_map_free(cn_map *m) {
  cn_free(m->slots);
  *m = (cn_map){0};
}
