/* Texts to the numbers of their words, in one pass: lower case, punctuation and splitting happen while bytes are read, so
 * that no strings are made and a run allocates nothing. */
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/lookup.h"
#include "ops/ops.h"

/* ---- Bytes of the standardized text ---- */

typedef struct reader { const unsigned char *at, *end; bool lower, strip; } reader;

static bool is_punctuation(int c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

static bool is_space(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static int next_byte(reader *r) { /* -1: the end */
  while (r->strip && r->at < r->end && is_punctuation(*r->at)) r->at++;
  if (r->at == r->end) return -1;
  int c = *r->at++;
  return r->lower && c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c;
}

/* ---- Words ---- */

/* A part of the text, to be read as above; or U+FFFD, for what is not UTF-8. */
typedef struct word { reader r; bool replaced; } word;

typedef struct row {
  const cn_vectorize_attrs *a;
  const cornu_text *texts;   /* of a row: one, when it is split */
  int64_t n, next;
  reader r;
} row;

static reader reader_of(const cn_vectorize_attrs *a, cornu_text x) {
  static const unsigned char nothing[1];
  const unsigned char *s = x.length ? (const unsigned char *)x.bytes : nothing;
  return (reader){s, s + x.length, a->lower, a->strip};
}

static void begin_row(row *w, const cn_vectorize_attrs *a, const cornu_text *texts, int64_t n) {
  *w = (row){.a = a, .texts = texts, .n = n};
  if (a->split) w->r = reader_of(a, texts[0]);
}

static bool next_between_spaces(row *w, word *out) {
  int c = next_byte(&w->r);
  while (c >= 0 && is_space(c)) c = next_byte(&w->r);
  if (c < 0) return false;
  *out = (word){.r = w->r};
  out->r.at--;
  while (c >= 0 && !is_space(c)) {
    out->r.end = w->r.at;
    c = next_byte(&w->r);
  }
  return true;
}

/* How many bytes follow the first of a character, and what the second may be; false: no character begins so. */
static bool utf8_lead(int c, int *more, int *low, int *high) {
  *low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
  *high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
  *more = c < 0x80 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
  return c < 0x80 || (c >= 0xC2 && c <= 0xF4);
}

/* One character; the longest beginning of one that goes wrong counts as one, as in ICU. */
static bool next_character(row *w, word *out) {
  int c = next_byte(&w->r), more, low, high;
  if (c < 0) return false;
  *out = (word){.r = w->r};
  out->r.at--;
  out->replaced = !utf8_lead(c, &more, &low, &high);
  while (more && !out->replaced) {
    reader ahead = w->r;
    c = next_byte(&ahead);
    out->replaced = c < low || c > high;
    if (!out->replaced) w->r = ahead, more--;
    low = 0x80, high = 0xBF;
  }
  out->r.end = w->r.at;
  return true;
}

static bool next_word(row *w, word *out) {
  if (w->a->split == CN_SPLIT_WHITESPACE) return next_between_spaces(w, out);
  if (w->a->split == CN_SPLIT_CHARACTER) return next_character(w, out);
  if (w->next == w->n) return false;
  *out = (word){.r = reader_of(w->a, w->texts[w->next++])};
  return true;
}

/* ---- N-grams: words with a space between ---- */

typedef struct gram { word words[CN_MAX_GRAM]; int first, n; } gram; /* a ring */

typedef struct gram_reader { const gram *g; int word, at; reader r; } gram_reader;

static const word *word_of(const gram *g, int i) { return &g->words[(g->first + i) % CN_MAX_GRAM]; }

static gram_reader read_gram(const gram *g) { return (gram_reader){.g = g, .r = word_of(g, 0)->r}; }

static int next_of_gram(gram_reader *r) {
  static const unsigned char unknown[3] = {0xEF, 0xBF, 0xBD};
  bool replaced = word_of(r->g, r->word)->replaced;
  int c = !replaced ? next_byte(&r->r) : r->at < 3 ? unknown[r->at] : -1;
  r->at++;
  if (c >= 0) return c;
  if (++r->word >= r->g->n) return -1;
  r->r = word_of(r->g, r->word)->r;
  r->at = 0;
  return ' ';
}

static bool same_word(const void *wanted, cornu_text key) {
  gram_reader r = read_gram(wanted);
  int c;
  for (size_t i = 0; (c = next_of_gram(&r)) >= 0; i++)
    if (i >= key.length || (unsigned char)key.bytes[i] != c) return false;
    else if (i + 1 == key.length) return next_of_gram(&r) < 0;
  return key.length == 0;
}

static int64_t number_of(const gram *g, const cn_vocabulary *v, const cn_vectorize_attrs *a) {
  uint64_t hash = CN_WORD_HASH;
  gram_reader r = read_gram(g);
  int c = next_of_gram(&r);
  if (c < 0) return a->empty;
  for (; c >= 0; c = next_of_gram(&r)) hash = cn_word_hash(hash, (unsigned char)c);
  int64_t k = cn_vocabulary_probe(v, hash, same_word, g);
  return k < 0 ? a->missing : k + a->first;
}

/* ---- Rows ---- */

static int width_of(const cn_vectorize_attrs *a, int kind) { return a->widths.n < 0 ? 1 : (int)a->widths.v[kind]; }
static int kinds_of(const cn_vectorize_attrs *a) { return a->widths.n < 0 ? 1 : a->widths.n; }

static void note(const cn_vectorize_attrs *a, int64_t *out, int64_t at, int64_t k) {
  if (!a->depth) {
    if (at < a->length) out[at] = k;
  } else if (k >= 0 && k < a->depth) {
    out[k] = a->once ? 1 : out[k] + 1;
  }
}

/* The next n-gram of `width` words; false: the row has no more. */
static bool next_gram(row *w, gram *g, int width) {
  for (word next; next_word(w, &next);) {
    if (g->n == width) g->first = (g->first + 1) % CN_MAX_GRAM, g->n--;
    g->words[(g->first + g->n++) % CN_MAX_GRAM] = next;
    if (g->n == width) return true;
  }
  return false;
}

/* Returns how many there are. out NULL: they are counted alone. */
static int64_t vectorize_row(const cn_step *s, int64_t i, const cn_vocabulary *v, int64_t *out) {
  const cn_vectorize_attrs *a = s->attrs;
  const cn_operand *x = s->in[0];
  int64_t count = 0, n = a->split || x->rank == 0 ? 1 : x->shape[x->rank - 1];
  for (int kind = 0; kind < kinds_of(a); kind++) {
    gram g = {.n = 0};
    row w;
    for (begin_row(&w, a, (const cornu_text *)x->data + i * n, n); next_gram(&w, &g, width_of(a, kind)); count++)
      if (out) note(a, out, count, number_of(&g, v, a));
  }
  return count;
}

bool cn_each_word(const cn_vectorize_attrs *a, const cornu_text *texts, int64_t n,
                  bool (*visit)(void *user, cornu_text word), void *user) {
  char *room = NULL;
  int capacity = 0;
  bool good = true;
  for (int kind = 0; kind < kinds_of(a) && good; kind++) {
    gram g = {.n = 0};
    row w;
    for (begin_row(&w, a, texts, n); good && next_gram(&w, &g, width_of(a, kind));) {
      gram_reader r = read_gram(&g);
      int length = 0;
      for (int c; (c = next_of_gram(&r)) >= 0 && (good = cn_grow(&room, &capacity, length, 1));)
        room[length++] = (char)c;
      good = good && visit(user, (cornu_text){.bytes = room, .length = (size_t)length});
    }
  }
  cn_free(room);
  return good;
}

static int64_t rows_of(const cn_step *s) {
  const cn_vectorize_attrs *a = s->attrs;
  const cn_operand *x = s->in[0];
  return cn_shape_size(a->split ? x->rank : x->rank - 1, x->shape);
}

static void vectorize_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_vectorize_attrs *a = s->attrs;
  int64_t columns = a->depth ? a->depth : a->length;
  for (int64_t i = begin; i < end; i++) {
    int64_t *out = (int64_t *)s->out[0]->data + i * columns;
    memset(out, 0, (size_t)columns * sizeof *out);
    vectorize_row(s, i, s->state, out);
  }
}

static void vectorize_run(const cn_step *s) {
  if (s->out[0]->size > 0) cn_parallel_range(rows_of(s), 8, vectorize_range, (void *)s);
}

static void count_run(const cn_step *s) {
  int64_t most = 0, rows = rows_of(s);
  for (int64_t i = 0; i < rows; i++) {
    int64_t n = vectorize_row(s, i, NULL, NULL);
    if (n > most) most = n;
  }
  *(int64_t *)s->out[0]->data = most;
}

/* ---- The ops ---- */

static cn_status check_texts(const cn_typing *t, cn_error *e) {
  const cn_vectorize_attrs *a = t->attrs;
  const cn_type *x = &t->in[0];
  if (x->dtype != CORNU_TEXT)
    return cn_fail(e, CORNU_ERR_DTYPE, "the input is %s, expected strings", cornu_dtype_name(x->dtype));
  for (int i = 0; i < a->widths.n; i++)
    if (a->widths.v[i] < 1 || a->widths.v[i] > CN_MAX_GRAM)
      return cn_fail(e, CORNU_ERR_ARGUMENT, "n-grams of %lld words: 1 to %d are supported", (long long)a->widths.v[i],
                     CN_MAX_GRAM);
  return a->split ? CORNU_OK : cn_want_rank(x, "the input", 1, CN_MAX_RANK, e);
}

static cn_status vectorize_shape(cn_typing *t, cn_error *e) {
  const cn_vectorize_attrs *a = t->attrs;
  CN_TRY(check_texts(t, e));
  if (t->in[1].dtype != CORNU_TEXT || t->in[1].rank != 1)
    return cn_fail(e, CORNU_ERR_DTYPE, "the vocabulary is %s %s, expected a vector of strings",
                   cornu_dtype_name(t->in[1].dtype), CN_SHAPE(t->in[1].rank, t->in[1].shape));
  cn_type *out = &t->out[0];
  *out = t->in[0];
  out->dtype = CORNU_INT64;
  if (a->split && out->rank == CN_MAX_RANK) return cn_want_rank(out, "the input", 0, CN_MAX_RANK - 1, e);
  if (a->split) out->rank++;
  out->shape[out->rank - 1] = a->depth ? a->depth : a->length;
  return CORNU_OK;
}

static cn_status vectorize_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  s->state = cn_plan_memory(p, sizeof(cn_vocabulary));
  if (!s->state) return cn_no_memory(e);
  s->run = vectorize_run;
  return cn_vocabulary_make(p, s->in[1], s->state, e);
}

const cn_op cn_op_vectorize = {
    .name = "vectorize",
    .help = CN_HELP("texts to the numbers of their words\n(x, vocabulary (n)) -> int64 (…, length or depth)"),
    .flags = CN_OP_TEXTS | CN_OP_HIDDEN,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_vectorize_attrs),
    .shape = vectorize_shape,
    .plan = vectorize_plan,
};

static cn_status count_shape(cn_typing *t, cn_error *e) {
  t->out[0] = (cn_type){.dtype = CORNU_INT64};
  return check_texts(t, e);
}

static cn_status count_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = count_run;
  return CORNU_OK;
}

const cn_op cn_op_count_words = {
    .name = "count_words",
    .help = CN_HELP("how many words the longest text has\n(x) -> int64 ()"),
    .flags = CN_OP_TEXTS | CN_OP_HIDDEN,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_vectorize_attrs),
    .shape = count_shape,
    .plan = count_plan,
};
