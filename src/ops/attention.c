/* Attention of several heads (Vaswani et al. 2017) in one op: q, k and v are read as projections leave them, and for
 * each block of queries of a head the scores are made, weighed and multiplied with the values while they are in the
 * cache. Threads share out whole blocks, which the shapes alone cut. */
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "ops/gradient.h"
#include "ops/ops.h"
#include "ops/product.h"

enum { QUERY, KEY, VALUE, MASK, BIAS, MAX_SLOTS = 16 };
#define SCORES_BYTES (256 << 10) /* of a block: they stay in the second-level cache, with the panels of a group */
#define SMALL 200000             /* multiply-adds that are not worth waking another thread */

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_type *q = &t->in[QUERY], *k = &t->in[KEY], *v = &t->in[VALUE];
  for (int i = QUERY; i <= VALUE; i++) CN_TRY(cn_want_rank(&t->in[i], "attention: query, key and value", 4, 4, e));
  if ((q->dtype != CORNU_FLOAT32 && q->dtype != CORNU_FLOAT64) || k->dtype != q->dtype || v->dtype != q->dtype)
    return cn_fail(e, CORNU_ERR_DTYPE, "attention: query, key and value are %s, %s and %s: all must be float32 or all "
                   "float64, cast them first", cornu_dtype_name(q->dtype), cornu_dtype_name(k->dtype),
                   cornu_dtype_name(v->dtype));
  const int64_t *a = q->shape, *b = k->shape, *c = v->shape;
  bool fits = cn_dims_agree(a[0], b[0]) && cn_dims_agree(a[0], c[0]) && cn_dims_agree(b[1], c[1]) &&
              cn_dims_agree(b[2], c[2]) && cn_dims_agree(a[3], b[3]) &&
              (a[2] < 0 || b[2] < 0 || (b[2] > 0 && a[2] % b[2] == 0));
  if (!fits)
    return cn_fail(e, CORNU_ERR_SHAPE, "attention: query %s, key %s and value %s do not fit: (batch, queries, heads, "
                   "dim), (batch, keys, groups, dim) and (batch, keys, groups, value dim), heads a multiple of groups",
                   CN_SHAPE(4, a), CN_SHAPE(4, b), CN_SHAPE(4, c));
  const int64_t scores[] = {a[0], a[2], a[1], b[1]};
  for (int i = MASK; i < t->n_in; i++) {
    const cn_type *x = &t->in[i];
    if (CN_TYPE_ABSENT(x)) continue;
    fits = x->rank <= 4 && x->dtype == (i == MASK ? CORNU_BOOL8 : q->dtype);
    for (int d = 0; fits && d < x->rank; d++)
      fits = x->shape[d] == 1 || cn_dims_agree(x->shape[d], scores[d + 4 - x->rank]);
    if (!fits)
      return cn_fail(e, CORNU_ERR_SHAPE, "attention: a %s is %s %s, which does not broadcast to the scores %s",
                     i == MASK ? "mask" : "bias", cornu_dtype_name(x->dtype), CN_SHAPE(x->rank, x->shape),
                     CN_SHAPE(4, scores));
  }
  t->out[0] = *q;
  t->out[0].shape[3] = c[3];
  return CORNU_OK;
}

typedef struct state {
  const cn_gemm_kernels *gemm;
  const cn_attention_kernels *row;
  int64_t batch, heads, groups, queries, keys, dim, value_dim;
  int64_t blocks;           /* of queries, in each head */
  int64_t slots;            /* rooms for a block's scores */
  int64_t key_items, value_items, score_items; /* of a packed head, of a room */
  int64_t mask[4], bias[4]; /* steps along batch, heads, queries and keys */
} state;

static const cn_attention_attrs *attrs_of(const cn_step *s) { return s->attrs; }
static const cn_operand *input(const cn_step *s, int i) { return i < s->n_in ? s->in[i] : NULL; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* Packed keys of all heads, then their packed values, then the rooms for scores. */
static void *keys_at(const cn_step *s, int64_t head) {
  const state *st = s->state;
  return cn_nth(s->scratch, head * st->key_items, st->gemm->item);
}
static void *values_at(const cn_step *s, int64_t head) {
  const state *st = s->state;
  return cn_nth(s->scratch, st->batch * st->groups * st->key_items + head * st->value_items, st->gemm->item);
}
static void *scores_at(const cn_step *s, int64_t slot) {
  const state *st = s->state;
  int64_t packed = st->batch * st->groups * (st->key_items + st->value_items);
  return cn_nth(s->scratch, packed + slot * st->score_items, st->gemm->item);
}

static void pack_heads(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const state *st = s->state;
  const size_t item = st->gemm->item;
  for (int64_t i = begin; i < end; i++) {
    int64_t from = i / st->groups * st->keys * st->groups + i % st->groups;
    st->gemm->pack(keys_at(s, i), cn_nth(s->in[KEY]->data, from * st->dim, item), 1, st->groups * st->dim, st->dim, 0,
                   st->dim, st->keys, 0, cn_gemm_panels(st->gemm, st->keys), NULL);
    st->gemm->pack(values_at(s, i), cn_nth(s->in[VALUE]->data, from * st->value_dim, item), st->groups * st->value_dim,
                   1, st->keys, 0, st->keys, st->value_dim, 0, cn_gemm_panels(st->gemm, st->value_dim), NULL);
  }
}

/* A block of queries of one head, and the keys that it looks at: whole panels. */
typedef struct block {
  int64_t batch, head, group; /* group: of all that are packed */
  int64_t first, rows;
  int64_t begin, end;
  bool plain;                 /* the keys that a query sees follow each other, and there are some */
} block;

/* Query i sees keys from … to. */
static int64_t from_key(const cn_step *s, int64_t i) {
  return attrs_of(s)->window ? least(most(i - attrs_of(s)->window + 1, 0), ((const state *)s->state)->keys) : 0;
}
static int64_t to_key(const cn_step *s, int64_t i) {
  int64_t keys = ((const state *)s->state)->keys;
  if (attrs_of(s)->causal) return least(i + 1, keys);
  return attrs_of(s)->window ? least(i + attrs_of(s)->window, keys) : keys;
}

static block block_of(const cn_step *s, int64_t unit) {
  const state *st = s->state;
  int64_t head = unit / st->blocks, at = unit % st->blocks;
  block b = {.batch = head / st->heads, .head = head % st->heads, .first = at * st->queries / st->blocks,
             .end = st->keys};
  b.rows = (at + 1) * st->queries / st->blocks - b.first;
  b.group = b.batch * st->groups + b.head / (st->heads / st->groups);
  int64_t last = b.first + b.rows - 1;
  b.plain = !input(s, MASK) && !input(s, BIAS) && attrs_of(s)->scale > 0 && from_key(s, last) < st->keys;
  if (!b.plain) return b;
  b.begin = from_key(s, b.first) / st->gemm->nr * st->gemm->nr;
  b.end = least(st->keys, (to_key(s, last) + st->gemm->nr - 1) / st->gemm->nr * st->gemm->nr);
  return b;
}

static void make_scores(const cn_step *s, const block *b, void *scores) {
  const state *st = s->state;
  const int64_t pitch = st->heads * st->dim, nr = st->gemm->nr;
  int64_t from = (b->batch * st->queries + b->first) * pitch + b->head * st->dim;
  cn_gemm_call call = {.a = cn_nth(s->in[QUERY]->data, from, st->gemm->item), .lda = pitch, .segments = 1,
                       .kc = st->dim, .b = keys_at(s, b->group), .c = scores, .ldc = st->keys, .m = b->rows,
                       .n = b->end};
  int64_t group = most(1, SCORES_BYTES / (nr * (st->dim + 1) * (int64_t)st->gemm->item));
  int64_t tiles = cn_gemm_tiles(st->gemm, b->rows), panels = cn_gemm_panels(st->gemm, b->end);
  for (int64_t p = b->begin / nr; p < panels; p += group)
    st->gemm->run(&call, 0, tiles, p, least(p + group, panels));
}

/* Scores of query i become weights that are not divided by their sum yet; returns the sum. */
static double weigh_masked(const cn_step *s, const block *b, int64_t i, void *scores) {
  static const uint8_t never = 0;
  const state *st = s->state;
  const cn_attention_attrs *a = attrs_of(s);
  const cn_operand *mask = input(s, MASK), *bias = input(s, BIAS);
  const size_t item = st->gemm->item;
  const uint8_t *seen = mask ? (const uint8_t *)mask->data + b->batch * st->mask[0] + b->head * st->mask[1] +
                               i * st->mask[2] : NULL;
  const void *shift = bias ? cn_nth(bias->data, b->batch * st->bias[0] + b->head * st->bias[1] + i * st->bias[2], item)
                           : NULL;
  const int64_t edge[] = {0, from_key(s, i), most(from_key(s, i), to_key(s, i)), st->keys};
  for (int part = 0; part < 3; part++)
    st->row->adjust(cn_nth(scores, edge[part], item), edge[part + 1] - edge[part], a->scale,
                    shift ? cn_nth(shift, edge[part] * st->bias[3], item) : NULL, st->bias[3],
                    part != 1 ? &never : seen ? seen + edge[1] * st->mask[3] : NULL, part == 1 ? st->mask[3] : 0,
                    a->masked, a->lower);
  double sum;
  st->row->weigh(scores, st->keys, 1, st->keys, 1, &sum);
  for (int part = 0; a->clear && part < 3; part++)
    if (part != 1 || seen)
      st->row->clear(cn_nth(scores, edge[part], item), edge[part + 1] - edge[part],
                     part == 1 ? seen + edge[1] * st->mask[3] : &never, part == 1 ? st->mask[3] : 0);
  return sum;
}

static void weigh(const cn_step *s, const block *b, void *scores, double *sums) {
  const state *st = s->state;
  const size_t item = st->gemm->item;
  const double scale = attrs_of(s)->scale;
  if (b->plain && !attrs_of(s)->causal && !attrs_of(s)->window) {
    st->row->weigh(scores, st->keys, b->rows, st->keys, scale, sums);
    return;
  }
  for (int64_t r = 0; r < b->rows; r++) {
    int64_t i = b->first + r, from = from_key(s, i), to = to_key(s, i);
    char *row = cn_nth(scores, r * st->keys, item);
    if (!b->plain) {
      sums[r] = weigh_masked(s, b, i, row);
      continue;
    }
    memset(cn_nth(row, b->begin, item), 0, (size_t)(from - b->begin) * item);
    memset(cn_nth(row, to, item), 0, (size_t)(b->end - to) * item);
    st->row->weigh(cn_nth(row, from, item), st->keys, 1, to - from, scale, &sums[r]);
  }
}

static void attend(const cn_step *s, const block *b, void *scores) {
  const state *st = s->state;
  const size_t item = st->gemm->item;
  const int64_t pitch = st->heads * st->value_dim, nr = st->gemm->nr;
  char *out = cn_nth(s->out[0]->data, (b->batch * st->queries + b->first) * pitch + b->head * st->value_dim, item);
  double *sums = cn_nth(scores, st->score_items - b->rows * (int64_t)(sizeof *sums / item), item);
  make_scores(s, b, scores);
  weigh(s, b, scores, sums);
  for (int64_t n = 0; n < st->value_dim; n += nr) {
    int64_t left = least(nr, st->value_dim - n), lanes = st->gemm->lanes, width = (left + lanes - 1) / lanes * lanes;
    cn_gemm_call call = {.a = cn_nth(scores, b->begin, item), .lda = st->keys, .segments = 1, .kc = b->end - b->begin,
                         .b = cn_nth(values_at(s, b->group), n * st->keys + b->begin * width, item),
                         .c = cn_nth(out, n, item), .ldc = pitch, .m = b->rows, .n = left};
    st->gemm->run(&call, 0, cn_gemm_tiles(st->gemm, b->rows), 0, 1);
  }
  for (int64_t i = 0; i < b->rows; i++) st->row->divide(cn_nth(out, i * pitch, item), st->value_dim, sums[i]);
}

typedef struct job { const cn_step *s; int64_t units; int tasks; } job;

static void run_task(void *context, int i, int slot) {
  const job *j = context;
  for (int64_t unit = j->units * i / j->tasks; unit < j->units * (i + 1) / j->tasks; unit++) {
    block b = block_of(j->s, unit);
    attend(j->s, &b, scores_at(j->s, slot));
  }
}

static void run_slot(void *context, int i) { run_task(context, i, i); }

static void run(const cn_step *s) {
  const state *st = s->state;
  job j = {.s = s, .units = st->batch * st->heads * st->blocks, .tasks = 1};
  int64_t work = s->flops / 2 < 1e15 ? (int64_t)(s->flops / 2) : (int64_t)1e15;
  int64_t grain = 16384 / (st->keys * (st->dim + st->value_dim) + 1) + 1;
  cn_parallel_range(st->batch * st->groups, grain, pack_heads, (void *)s);
  if (cn_sliced()) {
    j.tasks = (int)least(least(j.units, 1 << 24), work / (int64_t)CN_SLICED_WORK + 1);
    cn_parallel_slots(j.tasks, (int)st->slots, run_task, &j);
    return;
  }
  j.tasks = (int)least(least(st->slots, 4 * cn_threads()), work / SMALL + 1);
  if (cn_threads() == 1) j.tasks = 1;
  if (j.tasks == 1) run_slot(&j, 0);
  else cn_parallel(j.tasks, run_slot, &j);
}

/* Without keys there is nothing to sum. */
static void run_zeros(const cn_step *s) {
  memset(s->out[0]->data, 0, (size_t)s->out[0]->size * cornu_dtype_bytes(s->out[0]->dtype));
}

static void steps_of(const cn_operand *o, int64_t *steps) {
  int64_t stride[CN_MAX_RANK];
  if (!o) return;
  cn_shape_strides(o->rank, o->shape, stride);
  for (int i = 0; i < o->rank; i++) steps[i + 4 - o->rank] = o->shape[i] == 1 ? 0 : stride[i];
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  const int64_t *q = s->in[QUERY]->shape, *v = s->in[VALUE]->shape;
  *st = (state){.gemm = cn_gemm_of(cornu_dtype_bytes(s->in[QUERY]->dtype)), .batch = q[0], .queries = q[1],
                .heads = q[2], .dim = q[3], .keys = v[1], .groups = v[2], .value_dim = v[3]};
  const int64_t item = (int64_t)st->gemm->item;
  st->row = cn_attention_of((size_t)item);
  s->run = run_zeros;
  if (s->out[0]->size == 0 || st->keys == 0) return CORNU_OK;
  int64_t rows = 6 * st->gemm->mr;
  while (rows > st->gemm->mr && rows * st->keys * item > SCORES_BYTES) rows -= st->gemm->mr;
  st->blocks = (st->queries + rows - 1) / rows;
  st->slots = least(MAX_SLOTS, st->batch * st->heads * st->blocks);
  st->key_items = (int64_t)cn_gemm_packed_bytes(st->gemm, st->dim, st->keys) / item;
  st->value_items = (int64_t)cn_gemm_packed_bytes(st->gemm, st->keys, st->value_dim) / item;
  st->score_items = (rows * st->keys + rows * 2 + 15) / 16 * 16; /* and the sums, in double */
  steps_of(input(s, MASK), st->mask);
  steps_of(input(s, BIAS), st->bias);
  int64_t heads = st->batch * st->groups;
  s->scratch_bytes = (size_t)((heads * (st->key_items + st->value_items) + st->slots * st->score_items) * item);
  s->flops = 2.0 * (double)(st->batch * st->heads) * (double)st->queries * (double)st->keys *
             (double)(st->dim + st->value_dim);
  s->run = run;
  return CORNU_OK;
}

const cn_op cn_op_attention = {
  .name = "attention",
  .help = CN_HELP("softmax(scale * query key + bias) value for each head\n"
                  "(query (b, t, h, d), key (b, s, g, d), value (b, s, g, e), mask? and bias? that "
                  "broadcast to (b, h, t, s)) -> "
                  "(b, t, h, e)"),
  .flags = CN_OP_HIDDEN | CN_OP_SAMPLES,
  .min_in = 3, .max_in = 5, .n_out = 1,
  .attrs_size = sizeof(cn_attention_attrs),
  .shape = shape, .plan = plan, .gradient = CN_GRADIENT(cn_attention_gradient),
};
