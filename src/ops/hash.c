/* Hashes of strings and whole numbers into buckets, as TensorFlow has them: numbers are hashed as decimal text. */
#include <stdio.h>

#include "base/hash.h"
#include "base/pool.h"
#include "base/text.h"
#include "ops/lookup.h"
#include "ops/ops.h"

enum { NUMBER_ROOM = 24, GRAIN = 2048 };

int64_t cn_operand_int(const cn_operand *x, int64_t i) {
  int64_t v;
  cn_convert(&v, CORNU_INT64, (const char *)x->data + (size_t)i * cornu_dtype_bytes(x->dtype), x->dtype, 1);
  return v;
}

cornu_text cn_operand_text(const cn_operand *x, int64_t i) { return ((const cornu_text *)x->data)[i]; }

static cornu_text as_text(const cn_operand *x, int64_t i, char room[NUMBER_ROOM]) {
  if (x->dtype == CORNU_TEXT) return cn_operand_text(x, i);
  int64_t v = cn_operand_int(x, i);
  if (x->dtype == CORNU_BOOL8) return v ? (cornu_text){"true", 4} : (cornu_text){"false", 5};
  const char *format = x->dtype == CORNU_UINT64 ? "%llu" : "%lld";
  return (cornu_text){room, (size_t)snprintf(room, NUMBER_ROOM, format, (long long)v)};
}

static bool same_value(const cn_operand *x, int64_t i, const cn_operand *y) {
  return x->dtype == CORNU_TEXT ? cn_text_equal(cn_operand_text(x, i), cn_operand_text(y, 0))
                                : cn_operand_int(x, i) == cn_operand_int(y, 0);
}

static cn_status check_values(const cn_type *x, const char *what, cn_error *e) {
  if (!cn_dtype_is_float(x->dtype)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_DTYPE, "%s takes strings and whole numbers, not %s", what, cornu_dtype_name(x->dtype));
}

/* ---- hash_bucket ---- */

static cn_status bucket_shape(cn_typing *t, cn_error *e) {
  CN_TRY(check_values(&t->in[0], "hash_bucket", e));
  if (t->n_in > 1 && !CN_TYPE_ABSENT(&t->in[1]) &&
      (cn_shape_size(t->in[1].rank, t->in[1].shape) != 1 ||
       (t->in[1].dtype == CORNU_TEXT) != (t->in[0].dtype == CORNU_TEXT)))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "hash_bucket: the mask is %s %s, expected one value like those to hash (%s)",
                   cornu_dtype_name(t->in[1].dtype), CN_SHAPE(t->in[1].rank, t->in[1].shape),
                   cornu_dtype_name(t->in[0].dtype));
  t->out[0] = t->in[0];
  t->out[0].dtype = CORNU_INT64;
  return CORNU_OK;
}

static void bucket_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const cn_hash_attrs *a = s->attrs;
  const cn_operand *x = s->in[0], *mask = s->n_in > 1 ? s->in[1] : NULL;
  uint64_t key[2] = {(uint64_t)a->key.v[0], (uint64_t)a->key.v[1]}, bins = (uint64_t)a->bins;
  if (bins == 1) mask = NULL; /* Keras: a bin of its own is only set apart when there are others */
  if (mask) bins--;
  for (int64_t i = begin; i < end; i++) {
    char room[NUMBER_ROOM];
    cornu_text text = as_text(x, i, room);
    uint64_t hash = a->key.n == 2 ? cn_hash_sip(key, text.bytes, text.length)
                                  : cn_hash_fingerprint(text.bytes, text.length);
    int64_t bin = (int64_t)(hash % bins);
    ((int64_t *)s->out[0]->data)[i] = !mask ? bin : same_value(x, i, mask) ? 0 : bin + 1;
  }
}

static void bucket_run(const cn_step *s) { cn_parallel_range(s->out[0]->size, GRAIN, bucket_range, (void *)s); }

static cn_status bucket_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = bucket_run;
  return CORNU_OK;
}

static cn_status bucket_check(void *attrs, cn_error *e) {
  const cn_ints *key = &((const cn_hash_attrs *)attrs)->key;
  if (key->n == -1 || key->n == 2) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "the key has %d numbers, expected two", key->n);
}

static const cn_field bucket_fields[] = {
    {.name = "bins", .kind = CN_F_INT, .offset = offsetof(cn_hash_attrs, bins), .min = 1, .max = 9e18,
     .help = CN_HELP("how many buckets")},
    {.name = "key", .aliases = "salt", .kind = CN_F_INTS, .offset = offsetof(cn_hash_attrs, key), .standard = "null",
     .help = CN_HELP("two numbers: SipHash-2-4 with this key; null: FarmHash's Fingerprint64")},
    {0}};
const cn_op cn_op_hash_bucket = {
    .name = "hash_bucket",
    .help = CN_HELP("the bucket of each string or number\n(x, mask?): the mask has bucket 0 to itself"),
    .flags = CN_OP_TEXTS,
    .min_in = 1,
    .max_in = 2,
    .n_out = 1,
    .attrs_size = sizeof(cn_hash_attrs),
    .fields = bucket_fields,
    .check = bucket_check,
    .shape = bucket_shape,
    .plan = bucket_plan,
};

/* ---- hash_cross ---- */

static cn_status cross_shape(cn_typing *t, cn_error *e) {
  t->out[0] = t->in[0];
  t->out[0].dtype = CORNU_INT64;
  for (int i = 0; i < t->n_in; i++) {
    CN_TRY(check_values(&t->in[i], "hash_cross", e));
    bool same = t->in[i].rank == t->in[0].rank;
    for (int d = 0; same && d < t->in[0].rank; d++) same = cn_dims_agree(t->in[i].shape[d], t->in[0].shape[d]);
    if (!same)
      return cn_fail(e, CORNU_ERR_SHAPE, "hash_cross: shapes %s and %s differ",
                     CN_SHAPE(t->in[0].rank, t->in[0].shape), CN_SHAPE(t->in[i].rank, t->in[i].shape));
  }
  return CORNU_OK;
}

/* As in TensorFlow's sparse cross: strings count by their fingerprint, numbers as they are. */
static void cross_range(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  uint64_t bins = (uint64_t)((const cn_hash_attrs *)s->attrs)->bins;
  for (int64_t i = begin; i < end; i++) {
    uint64_t hash = 0xDECAFCAFFE;
    for (int k = 0; k < s->n_in; k++) {
      const cn_operand *x = s->in[k];
      cornu_text text = x->dtype == CORNU_TEXT ? cn_operand_text(x, i) : (cornu_text){0};
      hash = cn_hash_combine(hash, x->dtype == CORNU_TEXT ? cn_hash_fingerprint(text.bytes, text.length)
                                                          : (uint64_t)cn_operand_int(x, i));
    }
    ((int64_t *)s->out[0]->data)[i] = (int64_t)(hash % bins);
  }
}

static void cross_run(const cn_step *s) { cn_parallel_range(s->out[0]->size, GRAIN, cross_range, (void *)s); }

static cn_status cross_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = cross_run;
  return CORNU_OK;
}

static const cn_field cross_fields[] = {
    {.name = "bins", .kind = CN_F_INT, .offset = offsetof(cn_hash_attrs, bins), .min = 1, .max = 9e18,
     .help = CN_HELP("how many buckets")},
    {0}};
const cn_op cn_op_hash_cross = {
    .name = "hash_cross",
    .help = CN_HELP("the bucket of each combination of features\n(x, y, …), of one shape, strings or numbers"),
    .flags = CN_OP_TEXTS,
    .min_in = 2,
    .max_in = -1,
    .n_out = 1,
    .attrs_size = sizeof(cn_hash_attrs),
    .fields = cross_fields,
    .shape = cross_shape,
    .plan = cross_plan,
};
