/* Patterns of names of variables: Python's regular expressions without counts, references and what looks around. A
 * pattern becomes a small program, all of whose ways are followed at once, so that no pattern takes long. */
#include "train/pattern.h"

#include <ctype.h>
#include <string.h>

enum { MOST = 512, DEEPEST = 32 };

typedef enum what { TAKE, FORK, GO, BEGIN, END } what;
/* set: of TAKE: a character, ".", "\\x", "[…]"; to, other: of FORK and GO, from this step on. */
typedef struct item { what what; const char *set; int length, to, other; } item;
typedef struct program { item items[MOST]; int n, depth; const char *at; } program; /* at: where it is read */

/* How long what takes one character is at `p`; 0: none can be read. */
static int set_length(const char *p) {
  if (*p == '\\') return p[1] && (strchr("dDsSwW", p[1]) || !isalnum((unsigned char)p[1])) ? 2 : 0;
  if (*p != '[') return strchr("(){}|^$*+?", *p) ? 0 : 1;
  const char *first = p + 1 + (p[1] == '^'), *end = *first ? strchr(first + 1, ']') : NULL;
  return end && !memchr(p, '\\', (size_t)(end - p)) ? (int)(end - p) + 1 : 0;
}

static bool add(program *m, item it) { return m->n < MOST && (m->items[m->n++] = it, true); }

/* Before what begins at `start`. */
static bool insert(program *m, int start, item it) {
  if (!add(m, it)) return false;
  memmove(&m->items[start + 1], &m->items[start], (size_t)(m->n - 1 - start) * sizeof it);
  return m->items[start] = it, true;
}

static bool read_choice(program *m);

static bool read_group(program *m) {
  m->at += strncmp(m->at, "(?:", 3) == 0 ? 3 : 1;
  if (++m->depth > DEEPEST || !read_choice(m) || *m->at != ')') return false;
  m->depth--, m->at++;
  return true;
}

static bool read_repeats(program *m, int start) {
  const int length = m->n - start;
  const char c = *m->at;
  if (!c || !strchr("*+?", c)) return true;
  m->at++;
  m->at += *m->at == '?'; /* which way is tried first matters to nobody here */
  if (c == '+') return add(m, (item){.what = FORK, .to = -length, .other = 1});
  if (!insert(m, start, (item){.what = FORK, .to = 1, .other = length + 1 + (c == '*')})) return false;
  return c == '?' || add(m, (item){.what = GO, .to = -length - 1});
}

static bool read_sequence(program *m) {
  while (*m->at && *m->at != '|' && *m->at != ')') {
    const int start = m->n, length = set_length(m->at);
    const char c = *m->at;
    bool fine = c == '(' ? read_group(m) : c == '^' || c == '$' ? add(m, (item){.what = c == '^' ? BEGIN : END}) :
                length > 0 && add(m, (item){.what = TAKE, .set = m->at, .length = length});
    if (!fine) return false;
    if (c == '^' || c == '$') m->at++;
    else {
      m->at += c == '(' ? 0 : length;
      if (!read_repeats(m, start)) return false;
    }
  }
  return true;
}

static bool read_choice(program *m) {
  const int start = m->n;
  if (!read_sequence(m)) return false;
  if (*m->at != '|') return true;
  m->at++;
  if (!insert(m, start, (item){.what = FORK, .to = 1, .other = m->n - start + 2})) return false;
  const int end = m->n;
  if (!add(m, (item){.what = GO}) || ++m->depth > DEEPEST || !read_choice(m)) return false;
  m->depth--;
  m->items[end].to = m->n - end;
  return true;
}

static bool read_program(program *m, const char *pattern) {
  m->n = m->depth = 0, m->at = pattern;
  return read_choice(m) && !*m->at;
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

static bool in_class(char class, char c) {
  const unsigned char u = (unsigned char)c;
  switch (tolower((unsigned char)class)) {
    case 'd': return (isdigit(u) != 0) == (class == 'd');
    case 's': return (isspace(u) != 0) == (class == 's');
    case 'w': return (isalnum(u) || c == '_') == (class == 'w');
    default: return c == class;
  }
}

static bool takes(const item *it, char c) {
  if (it->set[0] == '[') return in_set(it, c);
  return it->set[0] == '\\' ? in_class(it->set[1], c) : it->set[0] == '.' || it->set[0] == c;
}

/* Marks step i, and all that it leads to without a character. */
static void reach(const program *m, bool *at, int i, bool begins, bool ends) {
  while (!at[i]) {
    at[i] = true;
    if (i == m->n) return;
    const item *it = &m->items[i];
    if (it->what == TAKE || (it->what == BEGIN && !begins) || (it->what == END && !ends)) return;
    if (it->what == FORK) reach(m, at, i + it->other, begins, ends);
    i += it->what == FORK || it->what == GO ? it->to : 1;
  }
}

static bool run(const char *pattern, const char *text, bool whole) {
  program m;
  bool now[MOST + 1] = {false}, next[MOST + 1];
  if (!read_program(&m, pattern)) return false;
  reach(&m, now, 0, true, !*text);
  for (const char *t = text; *t && (whole || !now[m.n]); t++) {
    memset(next, 0, sizeof next);
    for (int i = 0; i < m.n; i++)
      if (now[i] && m.items[i].what == TAKE && takes(&m.items[i], *t)) reach(&m, next, i + 1, false, !t[1]);
    if (!whole) reach(&m, next, 0, false, !t[1]);
    memcpy(now, next, sizeof now);
  }
  return now[m.n];
}

bool cn_pattern_valid(const char *pattern) {
  program m;
  return read_program(&m, pattern);
}

bool cn_pattern_matches(const char *pattern, const char *text) { return run(pattern, text, true); }
bool cn_pattern_found(const char *pattern, const char *text) { return run(pattern, text, false); }
