/* Patterns of names of variables: the part of Python's regular expressions without groups, alternatives and counts. */
#include "train/pattern.h"

#include <string.h>

enum { MOST = 256 };

typedef struct item { const char *set; size_t length; bool optional, repeats; } item; /* set: a character, ".", "\\x", "[…]" */

/* How long the item at `p` is, without what repeats it; 0: none can be read. */
static size_t item_length(const char *p) {
  if (*p == '\\') return p[1] && !strchr("0123456789AbBdDsSwWZ", p[1]) ? 2 : 0;
  if (*p != '[') return strchr("(){}|^$*+?", *p) ? 0 : 1;
  const char *first = p + 1 + (p[1] == '^'), *end = *first ? strchr(first + 1, ']') : NULL;
  return end && !memchr(p, '\\', (size_t)(end - p)) ? (size_t)(end - p) + 1 : 0;
}

static int read_items(const char *p, item *items) {
  int n = 0;
  if (*p == '^') p++;
  for (; *p && !(*p == '$' && !p[1]); n++) {
    const size_t length = n < MOST ? item_length(p) : 0;
    if (!length) return -1;
    items[n] = (item){.set = p, .length = length};
    p += length;
    items[n].optional = *p == '*' || *p == '?';
    items[n].repeats = *p == '*' || *p == '+';
    p += items[n].optional || items[n].repeats;
  }
  return n;
}

static bool in_set(const item *it, char c) {
  const bool not = it->set[1] == '^';
  const char *end = it->set + it->length - 1;
  for (const char *s = it->set + 1 + not; s < end; s++) {
    const bool span = s + 2 < end && s[1] == '-';
    if (span ? c >= s[0] && c <= s[2] : c == *s) return !not;
    s += span ? 2 : 0;
  }
  return not;
}

static bool takes(const item *it, char c) {
  if (it->set[0] == '[') return in_set(it, c);
  return it->set[0] == '\\' ? c == it->set[1] : it->set[0] == '.' || it->set[0] == c;
}

/* Marks position i, and those behind items that may be left out. */
static void reach(const item *items, int n, bool *at, int i) {
  for (at[i] = true; i < n && items[i].optional; i++) at[i + 1] = true;
}

bool cn_pattern_valid(const char *pattern) {
  item items[MOST];
  return read_items(pattern, items) >= 0;
}

bool cn_pattern_matches(const char *pattern, const char *text) {
  item items[MOST];
  const int n = read_items(pattern, items);
  bool now[MOST + 1] = {false}, next[MOST + 1];
  if (n < 0) return false;
  reach(items, n, now, 0);
  for (; *text; text++) {
    memset(next, 0, sizeof next);
    for (int i = 0; i < n; i++) {
      if (!now[i] || !takes(&items[i], *text)) continue;
      reach(items, n, next, i + 1);
      if (items[i].repeats) reach(items, n, next, i);
    }
    memcpy(now, next, sizeof now);
  }
  return now[n];
}
