/* lookup: the position of each value in a vocabulary, by a hash table that all plans share. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/pool.h"
#include "base/text.h"
#include "ops/lookup.h"
#include "ops/ops.h"

/* FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo). */
static uint64_t hash_text(cornu_text x) {
  uint64_t hash = CN_WORD_HASH;
  for (size_t i = 0; i < x.length; i++) hash = cn_word_hash(hash, (unsigned char)x.bytes[i]);
  return hash;
}

/* The low bits of FNV hashes depend on the low bits of bytes alone. */
static uint64_t slot_of(const cn_vocabulary *v, uint64_t hash) { return cn_hash_combine(0, hash) & v->mask; }

static uint64_t hash_int(int64_t v) { return (uint64_t)v; }

static void insert(cn_vocabulary *v, uint64_t hash, int64_t i) {
  uint64_t at = slot_of(v, hash);
  while (v->slots[at]) at = (at + 1) & v->mask;
  v->slots[at] = (int32_t)(i + 1);
}

cn_status cn_vocabulary_make(struct cn_planner *p, const cn_operand *keys, cn_vocabulary *out, cn_error *e) {
  bool fresh;
  uint64_t slots = 4;
  if (!keys->constant && keys->data == NULL)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "the vocabulary must be there before the run");
  if (keys->size > (int64_t)1 << 28) return cn_fail(e, CORNU_ERR_LIMIT, "a vocabulary of %lld words",
                                                    (long long)keys->size);
  while (slots < 2 * (uint64_t)keys->size) slots *= 2;
  *out = (cn_vocabulary){.keys = keys, .mask = slots - 1};
  out->slots = cn_plan_pack(p, keys, "vocabulary", slots * sizeof *out->slots, &fresh);
  if (!out->slots) return cn_no_memory(e);
  if (fresh) memset(out->slots, 0, slots * sizeof *out->slots);
  for (int64_t i = 0; fresh && i < keys->size; i++)
    insert(out, keys->dtype == CORNU_TEXT ? hash_text(cn_operand_text(keys, i)) : hash_int(cn_operand_int(keys, i)), i);
  return CORNU_OK;
}

int64_t cn_vocabulary_probe(const cn_vocabulary *v, uint64_t hash, bool (*same)(const void *word, cornu_text key),
                            const void *word) {
  for (uint64_t at = slot_of(v, hash); v->slots[at]; at = (at + 1) & v->mask)
    if (same(word, cn_operand_text(v->keys, v->slots[at] - 1))) return v->slots[at] - 1;
  return -1;
}

static bool same_text(const void *word, cornu_text key) { return cn_text_equal(*(const cornu_text *)word, key); }

int64_t cn_vocabulary_find_text(const cn_vocabulary *v, cornu_text x) {
  return cn_vocabulary_probe(v, hash_text(x), same_text, &x);
}

int64_t cn_vocabulary_find_int(const cn_vocabulary *v, int64_t x) {
  for (uint64_t at = slot_of(v, hash_int(x)); v->slots[at]; at = (at + 1) & v->mask)
    if (cn_operand_int(v->keys, v->slots[at] - 1) == x) return v->slots[at] - 1;
  return -1;
}

/* ---- the op ---- */

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0], *keys = &t->in[1];
  if (keys->rank != 1 || (x->dtype == CORNU_TEXT) != (keys->dtype == CORNU_TEXT) || cn_dtype_is_float(x->dtype) ||
      cn_dtype_is_float(keys->dtype))
    return cn_fail(e, CORNU_ERR_DTYPE, "lookup of %s in a vocabulary of %s %s: expected strings in a vector of strings, "
                   "or whole numbers in one of whole numbers", cornu_dtype_name(x->dtype),
                   cornu_dtype_name(keys->dtype), CN_SHAPE(keys->rank, keys->shape));
  t->out[0] = *x;
  t->out[0].dtype = CORNU_INT64;
  return CORNU_OK;
}

static void look_up_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_vocabulary *v = s->state;
  const cn_lookup_attrs *a = s->attrs;
  const cn_operand *x = s->in[0];
  for (int64_t i = begin; i < end; i++) {
    int64_t k = x->dtype == CORNU_TEXT ? cn_vocabulary_find_text(v, cn_operand_text(x, i))
                                       : cn_vocabulary_find_int(v, cn_operand_int(x, i));
    ((int64_t *)s->out[0]->data)[i] = k < 0 ? a->missing : k + a->first;
  }
}

static void run(const cn_step *s) { cn_parallel_range(s->out[0]->size, 1024, look_up_range, (void *)s); }

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  s->state = cn_plan_memory(p, sizeof(cn_vocabulary));
  if (!s->state) return cn_no_memory(e);
  s->run = run;
  return cn_vocabulary_make(p, s->in[1], s->state, e);
}

static const cn_field fields[] = {
    {.name = "first", .kind = CN_F_INT, .offset = offsetof(cn_lookup_attrs, first), .standard = "0", .min = -1e15,
     .max = 1e15, .help = CN_HELP("number of the first word")},
    {.name = "missing", .kind = CN_F_INT, .offset = offsetof(cn_lookup_attrs, missing), .standard = "-1", .min = -1e15,
     .max = 1e15, .help = CN_HELP("number of words that the vocabulary does not have")},
    {0}};
const cn_op cn_op_lookup = {
    .name = "lookup",
    .help = CN_HELP("the position of each value in a vocabulary without repetitions\n(x, vocabulary (n)) -> int64"),
    .flags = CN_OP_TEXTS,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_lookup_attrs),
    .fields = fields,
    .shape = shape,
    .plan = plan,
};

/* ---- refuse: what stands in for Keras's assertion ---- */

static cn_status refuse_shape(cn_typing *t, cn_error *e) {
  t->out[0] = t->in[0];
  if (t->in[0].dtype == CORNU_INT64) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_DTYPE, "the positions are %s, expected int64", cornu_dtype_name(t->in[0].dtype));
}

static void refuse_run(const cn_step *s) {
  const int64_t *k = s->in[0]->data;
  int64_t n = s->in[0]->size, i = 0;
  char room[24];
  s->failure->status = CORNU_OK;
  while (i < n && k[i] >= 0) i++;
  if (i == n) {
    if (s->out[0]->data != k) memcpy(s->out[0]->data, k, (size_t)n * sizeof *k);
    return;
  }
  cornu_text x = s->in[1]->dtype == CORNU_TEXT ? cn_operand_text(s->in[1], i) : (cornu_text){0};
  if (s->in[1]->dtype != CORNU_TEXT) {
    x.length = (size_t)snprintf(room, sizeof room, "%lld", (long long)cn_operand_int(s->in[1], i));
    x.bytes = room;
  }
  cn_fail(s->failure, CORNU_ERR_ARGUMENT, "\"%.*s\" is not in the vocabulary, and there is no index for other values "
          "(num_oov_indices is 0)", x.length < 80 ? (int)x.length : 80, x.length ? x.bytes : "");
}

static cn_status refuse_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  s->failure = cn_plan_memory(p, sizeof *s->failure);
  if (!s->failure) return cn_no_memory(e);
  s->run = refuse_run;
  return CORNU_OK;
}

const cn_op cn_op_refuse_missing = {
    .name = "refuse_missing",
    .help = CN_HELP("positions as they are; an error that names the value where one is negative\n(positions, values)"),
    .flags = CN_OP_TEXTS | CN_OP_HIDDEN,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .shape = refuse_shape,
    .plan = refuse_plan,
};
