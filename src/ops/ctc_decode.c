/* ctc_decode: labels from frames, the best class of each frame or a search with a beam over prefixes (Graves 2012).
 * Both as TensorFlow has them: scores of the greedy way are minus the sum of the best logits, of the beam the logarithm
 * of the probability. */
#include <math.h>
#include <string.h>

#include "base/deadline.h"
#include "base/pool.h"
#include "base/text.h"
#include "ops/ops.h"

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_ctc_decode_attrs *a = t->attrs;
  const cn_type *x = &t->in[0];
  CN_TRY(cn_want_rank(x, "ctc_decode: input", 3, 3, e));
  CN_TRY(cn_want_rank(&t->in[1], "ctc_decode: lengths", 1, 1, e));
  if (x->dtype != CORNU_FLOAT32 || t->in[1].dtype != CORNU_INT32)
    return cn_fail(e, CORNU_ERR_DTYPE, "ctc_decode: needs float32 logits and int32 lengths: cast them first");
  if (!cn_dims_agree(x->shape[0], t->in[1].shape[0]))
    return cn_fail(e, CORNU_ERR_SHAPE, "ctc_decode: %lld samples, %lld lengths", (long long)x->shape[0],
                   (long long)t->in[1].shape[0]);
  int64_t paths = a->beam ? a->paths : 1;
  t->out[0] = (cn_type){.dtype = CORNU_INT32, .rank = 3, .shape = {paths, x->shape[0], x->shape[1]}};
  t->out[1] = (cn_type){.dtype = CORNU_FLOAT32, .rank = 2, .shape = {x->shape[0], paths}};
  return CORNU_OK;
}

typedef struct probability { double total, blank, label; } probability;
/* A prefix: a node of the tree of all that were in the beam. */
typedef struct node { int32_t label, parent, child, sibling, active; } node;
/* A place of the beam: its node, or the parent of one still to be made and its label. */
typedef struct leaf { int32_t at, parent, label; probability old, now; } leaf;

typedef struct beam {
  int64_t width, classes, blank;
  node *nodes;
  int32_t n_nodes;
  leaf *branches, *leaves;
  int64_t n_branches, n_leaves, lowest;
} beam;

static double log_add(double a, double b) {
  double high = a > b ? a : b, low = a > b ? b : a;
  return low == -INFINITY ? high : high + log1p(exp(low - high));
}

static double frame_total(const float *x, int64_t n) {
  double high = -INFINITY, sum = 0;
  for (int64_t i = 0; i < n; i++) high = x[i] > high ? x[i] : high;
  for (int64_t i = 0; i < n; i++) sum += exp((double)x[i] - high);
  return high + log(sum);
}

static const probability never = {-INFINITY, -INFINITY, -INFINITY};

static void find_lowest(beam *b) {
  b->lowest = 0;
  for (int64_t i = 1; i < b->n_leaves; i++)
    if (b->leaves[i].now.total < b->leaves[b->lowest].now.total) b->lowest = i;
}

static bool has_room(const beam *b, double total) {
  return total > -INFINITY && (b->n_leaves < b->width || total > b->leaves[b->lowest].now.total);
}

/* What of the parent's probability goes on to a label: where that repeats the last one a blank came between. */
static double passed_on(const beam *b, int32_t parent, int32_t label, const probability *old) {
  return b->nodes[parent].label == label ? old->blank : old->total;
}

/* Every prefix in the beam stays as it is: its last label or a blank is seen. active is 1 + its branch. */
static void extend(beam *b, const float *x, double total) {
  for (int64_t i = 0; i < b->n_branches; i++) b->branches[i].old = b->branches[i].now;
  for (int64_t i = 0; i < b->n_branches; i++) {
    leaf *l = &b->branches[i];
    int32_t parent = b->nodes[l->at].parent;
    if (parent >= 0) {
      int32_t active = b->nodes[parent].active;
      if (active)
        l->now.label = log_add(l->now.label,
                               passed_on(b, parent, b->nodes[l->at].label, &b->branches[active - 1].old));
      l->now.label += x[b->nodes[l->at].label] - total;
    }
    l->now.blank = l->old.total + x[b->blank] - total;
    l->now.total = log_add(l->now.blank, l->now.label);
    b->leaves[i] = *l;
  }
  b->n_leaves = b->n_branches;
  find_lowest(b);
}

static int32_t find_child(const beam *b, int32_t parent, int32_t label) {
  int32_t child = b->nodes[parent].child;
  while (child >= 0 && b->nodes[child].label != label) child = b->nodes[child].sibling;
  return child;
}

/* Prefixes with one more label take the places of the worst. */
static void grow(beam *b, const float *x, double total) {
  for (int64_t i = 0; i < b->n_branches; i++) {
    const leaf *l = &b->branches[i];
    if (!has_room(b, l->old.total)) continue;
    for (int32_t label = 0; label < b->classes; label++) {
      int32_t child = find_child(b, l->at, label);
      if (label == b->blank || (child >= 0 && b->nodes[child].active)) continue;
      double p = x[label] - total + passed_on(b, l->at, label, &l->old);
      if (!has_room(b, p)) continue;
      bool full = b->n_leaves == b->width;
      leaf *to = &b->leaves[full ? b->lowest : b->n_leaves++];
      if (full && to->at >= 0) b->nodes[to->at].active = 0;
      *to = (leaf){child, l->at, label, never, {p, -INFINITY, p}};
      find_lowest(b);
    }
  }
}

static int32_t make_node(beam *b, int32_t parent, int32_t label) {
  int32_t at = b->n_nodes++;
  b->nodes[at] = (node){label, parent, -1, parent < 0 ? -1 : b->nodes[parent].child, 0};
  if (parent >= 0) b->nodes[parent].child = at;
  return at;
}

/* The leaves, best first, become the branches of the next frame. */
static void settle(beam *b) {
  for (int64_t i = 0; i < b->n_branches; i++) b->nodes[b->branches[i].at].active = 0;
  for (int64_t i = 0; i < b->n_leaves; i++) {
    leaf l = b->leaves[i];
    int64_t to = i;
    if (l.at < 0) l.at = make_node(b, l.parent, l.label);
    for (; to > 0 && b->branches[to - 1].now.total < l.now.total; to--) b->branches[to] = b->branches[to - 1];
    b->branches[to] = l;
  }
  b->n_branches = b->n_leaves;
  for (int64_t i = 0; i < b->n_branches; i++) b->nodes[b->branches[i].at].active = (int32_t)i + 1;
}

static void search(beam *b, const float *x, int64_t frames) {
  b->n_nodes = 0;
  b->n_branches = 1;
  b->branches[0] = (leaf){make_node(b, -1, -1), -1, -1, never, {0, 0, -INFINITY}};
  b->nodes[0].active = 1;
  for (int64_t k = 0; k < frames && !cn_past_deadline(); k++, x += b->classes) {
    double total = frame_total(x, b->classes);
    extend(b, x, total);
    grow(b, x, total);
    settle(b);
  }
}

static void write_path(const beam *b, int32_t at, int32_t *out, int64_t most) {
  int64_t length = 0;
  for (int32_t n = at; b->nodes[n].parent >= 0; n = b->nodes[n].parent) length++;
  for (int64_t i = 0; i < most; i++) out[i] = -1;
  for (; b->nodes[at].parent >= 0; at = b->nodes[at].parent) out[--length] = b->nodes[at].label;
}

static float greedy(const float *x, int64_t classes, int64_t blank, int64_t frames, bool merge, int32_t *out,
                    int64_t most) {
  double score = 0;
  int64_t before = -1, n = 0;
  for (int64_t i = 0; i < most; i++) out[i] = -1;
  for (int64_t k = 0; k < frames && !cn_past_deadline(); k++, x += classes) {
    int64_t best = 0;
    for (int64_t i = 1; i < classes; i++) best = x[i] > x[best] ? i : best;
    score -= x[best];
    if (best != blank && !(merge && best == before)) out[n++] = (int32_t)best;
    before = best;
  }
  return (float)score;
}

typedef struct state { int64_t blank, frames, width; size_t nodes, leaves, each; } state;

static void sample(const cn_step *s, int64_t i) {
  const state *st = s->state;
  const cn_ctc_decode_attrs *a = s->attrs;
  const int64_t *shape_of = s->in[0]->shape, most = shape_of[1], batch = shape_of[0], paths = s->out[0]->shape[0];
  const float *x = (const float *)s->in[0]->data + i * most * shape_of[2];
  int32_t *out = (int32_t *)s->out[0]->data + i * most;
  float *scores = (float *)s->out[1]->data + i * paths;
  int64_t frames = ((const int32_t *)s->in[1]->data)[i];
  frames = frames < 0 ? 0 : frames > most ? most : frames;
  if (!a->beam) {
    scores[0] = greedy(x, shape_of[2], st->blank, frames, a->merge, out, most);
    return;
  }
  char *room = (char *)s->scratch + st->each * (size_t)i;
  beam b = {.width = st->width, .classes = shape_of[2], .blank = st->blank, .nodes = (node *)(void *)room,
            .branches = (leaf *)(void *)(room + st->nodes), .leaves = (leaf *)(void *)(room + st->nodes + st->leaves)};
  search(&b, x, frames);
  for (int64_t k = 0; k < paths; k++) { /* fewer prefixes than asked for: none, with probability 0 */
    bool there = k < b.n_branches;
    write_path(&b, there ? b.branches[k].at : 0, out + k * batch * most, most);
    scores[k] = there ? (float)b.branches[k].now.total : -INFINITY;
  }
}

static void samples(void *context, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) sample(context, i);
}

static void run(const cn_step *s) { cn_parallel_range(s->in[0]->shape[0], 1, samples, (void *)s); }

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_ctc_decode_attrs *a = s->attrs;
  const int64_t *in = s->in[0]->shape;
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  int64_t blank = a->blank == CN_NULL_INT ? in[2] - 1 : a->blank < 0 ? a->blank + in[2] : a->blank;
  if (blank < 0 || blank >= in[2])
    return cn_fail(e, CORNU_ERR_ARGUMENT, "ctc_decode: the blank is %lld, there are %lld classes", (long long)a->blank,
                   (long long)in[2]);
  st->blank = blank;
  st->width = a->width;
  st->nodes = ((size_t)(a->width * in[1] + 1) * sizeof(node) + 63) & ~(size_t)63;
  st->leaves = ((size_t)a->width * sizeof(leaf) + 63) & ~(size_t)63;
  st->each = st->nodes + 2 * st->leaves;
  if (a->beam) {
    int64_t bytes = cn_dim_mul((int64_t)st->each, in[0]);
    if (in[1] > INT32_MAX / a->width - 1 || bytes > (int64_t)1 << 40)
      return cn_fail(e, CORNU_ERR_LIMIT, "ctc_decode: a beam of %lld over %lld frames is too large",
                     (long long)a->width, (long long)in[1]);
    s->scratch_bytes = (size_t)bytes;
  }
  s->run = run;
  s->flops = (double)s->in[0]->size * (a->beam ? (double)a->width : 1);
  return CORNU_OK;
}

static const cn_field fields[] = {
    {.name = "beam", .kind = CN_F_BOOL, .offset = offsetof(cn_ctc_decode_attrs, beam), .standard = "false",
     .help = CN_HELP("a search instead of the best class of each frame")},
    {.name = "beam_width", .kind = CN_F_INT, .offset = offsetof(cn_ctc_decode_attrs, width), .standard = "100",
     .min = 1, .max = 1 << 16, .help = CN_HELP("how many prefixes the search keeps")},
    {.name = "top_paths", .kind = CN_F_INT, .offset = offsetof(cn_ctc_decode_attrs, paths), .standard = "1", .min = 1,
     .max = 1 << 16, .help = CN_HELP("how many of them it gives")},
    {.name = "merge_repeated", .kind = CN_F_BOOL, .offset = offsetof(cn_ctc_decode_attrs, merge), .standard = "true",
     .help = CN_HELP("the best classes of following frames count once where they are the same")},
    {.name = "blank", .aliases = "mask_index", .kind = CN_F_INT, .offset = offsetof(cn_ctc_decode_attrs, blank),
     .standard = "null", .help = CN_HELP("the class that stands for no label; null: the last")},
    {0}};
const cn_op cn_op_ctc_decode = {
    .name = "ctc_decode",
    .help = CN_HELP("labels from frames\n(logits (b, t, c), lengths int32 (b)) -> labels int32 (paths, b, "
                    "t), -1 behind the "
                    "last; scores (b, paths)"),
    .min_in = 2,
    .max_in = 2,
    .n_out = 2,
    .attrs_size = sizeof(cn_ctc_decode_attrs),
    .fields = fields,
    .shape = shape,
    .plan = plan,
};
