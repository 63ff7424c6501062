/* Lua's patterns, with a bound on the work: each step of a match counts as an instruction of the sandbox. */
#include <ctype.h>
#include <string.h>

#include "lua/sandbox.h"

enum { MOST_CAPTURES = 32, MOST_DEPTH = 200, AT_ONCE = 1024 };
enum { OPEN = -1, POSITION = -2 }; /* lengths of captures */

typedef struct matcher {
  lua_State *L;
  cornu_sandbox *sandbox;
  const char *subject, *subject_end, *pattern_end;
  int steps, depth, captures;
  struct { const char *start; ptrdiff_t length; } capture[MOST_CAPTURES];
} matcher;

static void step(matcher *m) {
  if (++m->steps < AT_ONCE) return;
  m->steps = 0;
  cn_sandbox_charge(m->L, m->sandbox, AT_ONCE);
}

/* ---- single characters ---- */

static bool in_class(int c, int class) {
  bool in;
  switch (tolower(class)) {
    case 'a': in = isalpha(c); break;
    case 'c': in = iscntrl(c); break;
    case 'd': in = isdigit(c); break;
    case 'g': in = isgraph(c); break;
    case 'l': in = islower(c); break;
    case 'p': in = ispunct(c); break;
    case 's': in = isspace(c); break;
    case 'u': in = isupper(c); break;
    case 'w': in = isalnum(c); break;
    case 'x': in = isxdigit(c); break;
    default: return class == c;
  }
  return isupper(class) ? !in : in;
}

/* Looking through a set takes as long as it is. */
static void count_set(matcher *m, ptrdiff_t length) {
  m->steps += (int)(length < 8 * AT_ONCE ? length / 8 : AT_ONCE);
  step(m);
}

/* Behind the item for one character that begins at p. */
static const char *item_end(matcher *m, const char *p) {
  const char *from = p, first = *p++;
  if (first == '%') {
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
    return p + 1;
  }
  if (first != '[') return p;
  if (p < m->pattern_end && *p == '^') p++;
  for (bool any = false; ; any = true) { /* a bracket right at the beginning stands for itself */
    if (p >= m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
    if (any && *p == ']') return count_set(m, p - from), p + 1;
    if (*p++ == '%') p++;
  }
}

/* set: from its bracket to behind the closing one */
static bool in_set(int c, const char *set, const char *end) {
  const char *p = set + 1, *last = end - 1;
  const bool outside = *p == '^';
  if (outside) p++;
  for (; p < last; p++) {
    if (*p == '%') {
      if (in_class(c, (unsigned char)*++p)) return !outside;
    } else if (p[1] == '-' && p + 2 < last) {
      if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2]) return !outside;
      p += 2;
    } else if ((unsigned char)*p == c) {
      return !outside;
    }
  }
  return outside;
}

static bool one(matcher *m, const char *s, const char *p, const char *end) {
  step(m);
  if (s >= m->subject_end) return false;
  const int c = (unsigned char)*s;
  switch (*p) {
    case '.': return true;
    case '%': return in_class(c, (unsigned char)p[1]);
    case '[':
      count_set(m, end - p);
      return in_set(c, p, end);
    default: return (unsigned char)*p == c;
  }
}

/* ---- sequences; each returns where the match ends, or NULL ---- */

static const char *rest(matcher *m, const char *s, const char *p);

static const char *longest(matcher *m, const char *s, const char *p, const char *end) {
  ptrdiff_t n = 0;
  while (one(m, s + n, p, end)) n++;
  for (; n >= 0; n--) {
    const char *to = rest(m, s + n, end + 1);
    if (to) return to;
  }
  return NULL;
}

static const char *shortest(matcher *m, const char *s, const char *p, const char *end) {
  for (;; s++) {
    const char *to = rest(m, s, end + 1);
    if (to || !one(m, s, p, end)) return to;
  }
}

static const char *open_capture(matcher *m, const char *s, const char *p, ptrdiff_t length) {
  if (m->captures == MOST_CAPTURES) luaL_error(m->L, "too many captures");
  m->capture[m->captures].start = s;
  m->capture[m->captures++].length = length;
  const char *to = rest(m, s, p);
  if (!to) m->captures--;
  return to;
}

static const char *close_capture(matcher *m, const char *s, const char *p) {
  int i = m->captures - 1;
  while (i >= 0 && m->capture[i].length != OPEN) i--;
  if (i < 0) luaL_error(m->L, "invalid pattern capture");
  m->capture[i].length = s - m->capture[i].start;
  const char *to = rest(m, s, p);
  if (!to) m->capture[i].length = OPEN;
  return to;
}

/* %bxy: p at x */
static const char *balanced(matcher *m, const char *s, const char *p) {
  if (m->pattern_end - p < 2) luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
  if (s >= m->subject_end || *s != p[0]) return NULL;
  ptrdiff_t open = 1;
  while (++s < m->subject_end) {
    step(m);
    if (*s == p[1]) open--;
    else if (*s == p[0]) open++;
    if (!open) return s + 1;
  }
  return NULL;
}

static const char *again(matcher *m, const char *s, int digit) {
  const int i = digit - '1';
  if (i < 0 || i >= m->captures || m->capture[i].length == OPEN)
    luaL_error(m->L, "invalid capture index %%%d", i + 1);
  const ptrdiff_t n = m->capture[i].length == POSITION ? 0 : m->capture[i].length;
  cn_sandbox_charge(m->L, m->sandbox, n / 16);
  return m->subject_end - s >= n && !memcmp(m->capture[i].start, s, (size_t)n) ? s + n : NULL;
}

static bool at_frontier(matcher *m, const char *s, const char *set, const char *end) {
  const int before = s == m->subject ? 0 : (unsigned char)s[-1], here = s < m->subject_end ? (unsigned char)*s : 0;
  count_set(m, 2 * (end - set));
  return !in_set(before, set, end) && in_set(here, set, end);
}

/* An item for one character and what is behind it. Goes on in the loop of rest() with *s and *p: true. */
static bool single(matcher *m, const char **s, const char **p, const char **to) {
  const char *end = item_end(m, *p);
  const char how = end < m->pattern_end ? *end : 0;
  if (how == '*') return *to = longest(m, *s, *p, end), false;
  if (how == '-') return *to = shortest(m, *s, *p, end), false;
  const bool fits = one(m, *s, *p, end);
  if (how == '+') return *to = fits ? longest(m, *s + 1, *p, end) : NULL, false;
  if (how == '?' && fits && (*to = rest(m, *s + 1, end + 1))) return false;
  if (how != '?' && !fits) return *to = NULL, false;
  *s += how != '?';
  *p = end + (how == '?');
  return true;
}

/* %b, %f and %1: as single(); other: it is none of them */
static bool special(matcher *m, const char **s, const char **p, bool *other) {
  const char what = *p + 1 < m->pattern_end ? (*p)[1] : 0;
  *other = false;
  if (what == 'b') {
    *s = balanced(m, *s, *p + 2);
    *p += 4;
  } else if (what == 'f') {
    const char *set = *p + 2;
    if (set >= m->pattern_end || *set != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
    *p = item_end(m, set);
    if (!at_frontier(m, *s, set, *p)) *s = NULL;
  } else if (isdigit((unsigned char)what)) {
    *s = again(m, *s, what);
    *p += 2;
  } else {
    *other = true;
  }
  return *s != NULL;
}

static const char *rest(matcher *m, const char *s, const char *p) {
  const char *to = NULL;
  bool other = true;
  if (++m->depth > MOST_DEPTH) luaL_error(m->L, "pattern too complex");
  for (bool on = true; on;) {
    step(m);
    if (p >= m->pattern_end) {
      to = s;
      break;
    }
    if (*p == '(') {
      const bool position = p + 1 < m->pattern_end && p[1] == ')';
      to = open_capture(m, s, p + 1 + position, position ? POSITION : OPEN);
      break;
    }
    if (*p == ')') {
      to = close_capture(m, s, p + 1);
      break;
    }
    if (*p == '$' && p + 1 == m->pattern_end) {
      to = s == m->subject_end ? s : NULL;
      break;
    }
    if (*p == '%') on = special(m, &s, &p, &other);
    else other = true;
    if (other) on = single(m, &s, &p, &to);
  }
  m->depth--;
  return to;
}

/* ---- captures ---- */

static void push_capture(matcher *m, int i, const char *from, const char *to) {
  if (i == 0 && !m->captures) {
    lua_pushlstring(m->L, from, (size_t)(to - from));
    return;
  }
  if (i >= m->captures) luaL_error(m->L, "invalid capture index %%%d", i + 1);
  if (m->capture[i].length == OPEN) luaL_error(m->L, "unfinished capture");
  if (m->capture[i].length == POSITION) lua_pushinteger(m->L, m->capture[i].start - m->subject + 1);
  else lua_pushlstring(m->L, m->capture[i].start, (size_t)m->capture[i].length);
}

/* All of them; without any, the whole match unless `none`. */
static int push_captures(matcher *m, const char *from, const char *to, bool none) {
  const int n = m->captures || none ? m->captures : 1;
  luaL_checkstack(m->L, n, "too many captures");
  for (int i = 0; i < n; i++) push_capture(m, i, from, to);
  return n;
}

static const char *try_at(matcher *m, const char *s, const char *pattern) {
  m->captures = m->depth = 0;
  return rest(m, s, pattern);
}

static matcher new_matcher(lua_State *L, int subject, int pattern, const char **p) {
  size_t n, length;
  matcher m = {.L = L, .sandbox = cn_sandbox_of(L)};
  m.subject = luaL_checklstring(L, subject, &n);
  *p = luaL_checklstring(L, pattern, &length);
  m.subject_end = m.subject + n;
  m.pattern_end = *p + length;
  cn_sandbox_charge(L, m.sandbox, 1);
  return m;
}

/* ---- find and match ---- */

/* Where `what` of n bytes is in the subject from s on. */
static const char *find_plain(matcher *m, const char *s, const char *what, size_t n) {
  if (n == 0) return s;
  while ((size_t)(m->subject_end - s) >= n) {
    const char *at = memchr(s, what[0], (size_t)(m->subject_end - s) - n + 1);
    cn_sandbox_charge(m->L, m->sandbox, ((at ? at : m->subject_end) - s) / 64 + 1);
    if (!at) return NULL;
    size_t same = 1;
    while (same < n && at[same] == what[same]) same++;
    if (same == n) return at;
    cn_sandbox_charge(m->L, m->sandbox, (int64_t)same / 4);
    s = at + 1;
  }
  return NULL;
}

/* The start of a search: its number at `arg`, from 1, negative from the end; NULL: behind the end. */
static const char *start_of(matcher *m, int arg) {
  const ptrdiff_t n = m->subject_end - m->subject;
  const double given = luaL_optnumber(m->L, arg, 1);
  if (!(given <= (double)n + 1)) return NULL;
  double i = given > 0 ? given : given == 0 || given < -(double)n ? 1 : (double)n + given + 1;
  return m->subject + (ptrdiff_t)i - 1;
}

static bool is_plain(const char *p, const char *end) {
  for (; p < end; p++)
    if (memchr("^$*+?.([%-", *p, 10)) return false;
  return true;
}

static int search(lua_State *L, bool find) {
  const char *p;
  matcher m = new_matcher(L, 1, 2, &p);
  const char *s = start_of(&m, 3);
  if (s && find && (lua_toboolean(L, 4) || is_plain(p, m.pattern_end))) {
    s = find_plain(&m, s, p, (size_t)(m.pattern_end - p));
    if (!s) return lua_pushnil(L), 1;
    lua_pushinteger(L, s - m.subject + 1);
    lua_pushinteger(L, s - m.subject + (m.pattern_end - p));
    return 2;
  }
  const bool anchored = p < m.pattern_end && *p == '^';
  for (; s && s <= m.subject_end; s++) {
    const char *to = try_at(&m, s, p + anchored);
    if (to && !find) return push_captures(&m, s, to, false);
    if (to) {
      lua_pushinteger(L, s - m.subject + 1);
      lua_pushinteger(L, to - m.subject);
      return push_captures(&m, s, to, true) + 2;
    }
    if (anchored) break;
  }
  lua_pushnil(L);
  return 1;
}

static int find(lua_State *L) { return search(L, true); }
static int match(lua_State *L) { return search(L, false); }

/* ---- gmatch: upvalues: subject, pattern, where to go on, where the last match ended ---- */

static int next_match(lua_State *L) {
  const char *p;
  matcher m = new_matcher(L, lua_upvalueindex(1), lua_upvalueindex(2), &p);
  const char *last = m.subject + (ptrdiff_t)lua_tonumber(L, lua_upvalueindex(4)) - 1; /* -1 + …: before all */
  for (const char *s = m.subject + (ptrdiff_t)lua_tonumber(L, lua_upvalueindex(3)); s <= m.subject_end; s++) {
    const char *to = try_at(&m, s, p);
    if (!to || to == last) continue;
    lua_pushinteger(L, to - m.subject);
    lua_replace(L, lua_upvalueindex(3));
    lua_pushinteger(L, to - m.subject + 1);
    lua_replace(L, lua_upvalueindex(4));
    return push_captures(&m, s, to, false);
  }
  return 0;
}

static int gmatch(lua_State *L) {
  luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  lua_settop(L, 2);
  lua_pushinteger(L, 0);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_match, 4);
  return 1;
}

/* ---- gsub ---- */

static void add_text(matcher *m, luaL_Buffer *b, const char *from, const char *to) {
  size_t n;
  const char *text = lua_tolstring(m->L, 3, &n);
  for (const char *end = text + n; text < end; text++) {
    step(m);
    if (*text != '%') {
      luaL_addchar(b, *text);
      continue;
    }
    if (++text == end || (*text != '%' && !isdigit((unsigned char)*text)))
      luaL_error(m->L, "invalid use of '%%' in replacement string");
    if (*text == '%') {
      luaL_addchar(b, '%');
    } else if (*text == '0') {
      luaL_addlstring(b, from, (size_t)(to - from));
    } else {
      push_capture(m, *text - '1', from, to);
      lua_tostring(m->L, -1);
      luaL_addvalue(b);
    }
  }
}

static void add_replacement(matcher *m, luaL_Buffer *b, const char *from, const char *to) {
  lua_State *L = m->L;
  switch (lua_type(L, 3)) {
    case LUA_TFUNCTION:
      cn_sandbox_depth(L, m->sandbox);
      lua_pushvalue(L, 3);
      lua_call(L, push_captures(m, from, to, false), 1);
      break;
    case LUA_TTABLE:
      push_capture(m, 0, from, to);
      lua_gettable(L, 3);
      break;
    default: add_text(m, b, from, to); return;
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    lua_pushlstring(L, from, (size_t)(to - from));
  } else if (!lua_isstring(L, -1)) {
    luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  }
  luaL_addvalue(b);
}

static int gsub(lua_State *L) {
  const char *p;
  matcher m = new_matcher(L, 1, 2, &p);
  luaL_Buffer b;
  const int type = lua_type(L, 3);
  luaL_argcheck(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
                "string/function/table expected");
  const double most = luaL_optnumber(L, 4, 1e300);
  const bool anchored = p < m.pattern_end && *p == '^';
  const char *s = m.subject, *last = NULL;
  double n = 0;
  lua_settop(L, 3);
  luaL_buffinit(L, &b);
  while (n < most) {
    const char *to = try_at(&m, s, p + anchored);
    if (to && to != last) {
      n++;
      add_replacement(&m, &b, s, to);
      s = last = to;
    } else if (s < m.subject_end) {
      luaL_addchar(&b, *s++);
    } else {
      break;
    }
    if (anchored) break;
  }
  luaL_addlstring(&b, s, (size_t)(m.subject_end - s));
  luaL_pushresult(&b);
  lua_pushinteger(L, (lua_Integer)n);
  return 2;
}

const luaL_Reg cn_sandbox_text[] = {{"find", find}, {"match", match}, {"gmatch", gmatch}, {"gsub", gsub}, {NULL, NULL}};
