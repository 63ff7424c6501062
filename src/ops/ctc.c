/* ctc_loss: minus the logarithm of the probability that frames spell a label sequence (Graves et al. 2006), as
 * TensorFlow computes it: states that end no sequence keep a weight of 1e-307, so that impossible sequences have a
 * finite loss. */
#include <math.h>
#include <string.h>

#include "base/deadline.h"
#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_type *labels = &t->in[0], *logits = &t->in[1];
  CN_TRY(cn_want_rank(labels, "ctc_loss: labels", 2, 2, e));
  CN_TRY(cn_want_rank(logits, "ctc_loss: logits", 3, 3, e));
  int64_t batch = labels->shape[0];
  for (int i = 1; i < 4; i++) {
    if (i > 1) CN_TRY(cn_want_rank(&t->in[i], "ctc_loss: lengths", 1, 1, e));
    if (!cn_dims_agree(batch, t->in[i].shape[0]))
      return cn_fail(e, CORNU_ERR_SHAPE, "ctc_loss: %lld label sequences, input %d has %lld", (long long)batch, i + 1,
                     (long long)t->in[i].shape[0]);
    if (batch < 0) batch = t->in[i].shape[0];
  }
  if (logits->dtype != CORNU_FLOAT32 || labels->dtype != CORNU_INT32 || t->in[2].dtype != CORNU_INT32 ||
      t->in[3].dtype != CORNU_INT32)
    return cn_fail(e, CORNU_ERR_DTYPE, "ctc_loss: needs float32 logits, int32 labels and lengths: cast them first");
  t->out[0] = (cn_type){.dtype = CORNU_FLOAT32, .rank = 1, .shape = {batch}};
  return CORNU_OK;
}

/* One sample: states are 0 (the start), the labels, and a blank after each of those. */
typedef struct sample {
  const int32_t *labels;
  const float *logits;
  int64_t most, states, classes, blank;
  double *now, *next;
} sample;

static double log_add(double a, double b) {
  double high = a > b ? a : b, low = a > b ? b : a;
  return low == -INFINITY ? high : high + log1p(exp(low - high));
}

/* Which class label i is: TensorFlow moves the blank to the front and takes a label that is the blank for the class
 * before it. */
static int64_t class_of(const sample *s, int64_t i) {
  int64_t label = s->labels[i];
  return label == s->blank && s->blank > 0 ? label - 1 : label;
}

static double frame_total(const float *x, int64_t n) {
  double high = -INFINITY, sum = 0;
  for (int64_t i = 0; i < n; i++) high = x[i] > high ? x[i] : high;
  for (int64_t i = 0; i < n; i++) sum += exp((double)x[i] - high);
  return high + log(sum);
}

/* What the frame says of a state; the start emits nothing, a label that is no class always fits. */
static double seen(const sample *s, const float *x, double total, int64_t state) {
  if (state == 0) return -INFINITY;
  if (state > s->most) return x[s->blank] - total;
  int64_t class = class_of(s, state - 1);
  return class < 0 || class >= s->classes ? 0 : x[class] - total;
}

/* One frame, from its end to its beginning: from each state, stay, go on to the blank, or to the next label. */
static void step_back(const sample *s, const float *x) {
  double total = frame_total(x, s->classes);
  int64_t labels = s->most + 1;
  for (int64_t i = 0; i < s->states; i++) s->now[i] += seen(s, x, total, i);
  for (int64_t i = 0; i < labels; i++) {
    double sum = log_add(s->now[i], s->now[labels + i]), blank = s->now[labels + i];
    bool repeated = i > 0 && i < s->most && class_of(s, i - 1) == class_of(s, i);
    if (i < s->most && !repeated) sum = log_add(sum, s->now[i + 1]);
    if (i < s->most) blank = log_add(blank, s->now[i + 1]);
    s->next[i] = sum;
    s->next[labels + i] = blank;
  }
}

static int64_t clamp(int64_t v, int64_t most) { return v < 0 ? 0 : v > most ? most : v; }

static double loss(sample *s, int64_t length, int64_t frames) {
  const double never = log(1e-307);
  for (int64_t i = 0; i <= s->most; i++) s->now[i] = s->now[s->most + 1 + i] = i == length ? 0 : never;
  for (int64_t k = frames; k-- > 0 && !cn_past_deadline();) {
    step_back(s, s->logits + k * s->classes);
    double *swap = s->now;
    s->now = s->next;
    s->next = swap;
  }
  return -s->now[0];
}

static void samples(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const int64_t *logits = s->in[1]->shape, most = s->in[0]->shape[1], states = 2 * (most + 1);
  int64_t blank = ((const cn_ctc_attrs *)s->attrs)->blank;
  for (int64_t i = begin; i < end; i++) {
    double *room = (double *)s->scratch + 2 * states * i;
    sample one = {(const int32_t *)s->in[0]->data + i * most,
                  (const float *)s->in[1]->data + i * logits[1] * logits[2], most, states, logits[2],
                  blank < 0 ? blank + logits[2] : blank, room, room + states};
    int64_t length = ((const int32_t *)s->in[2]->data)[i], frames = ((const int32_t *)s->in[3]->data)[i];
    ((float *)s->out[0]->data)[i] = (float)loss(&one, length, clamp(frames, logits[1]));
  }
}

static void run(const cn_step *s) { cn_parallel_range(s->out[0]->size, 1, samples, (void *)s); }

/* ---- ctc_gradient: the probability that a frame is in a state, given the labels ---- */

static cn_status gradient_shape(cn_typing *t, cn_error *e) {
  (void)e;
  t->out[0] = t->in[1];
  return CORNU_OK;
}

/* For each frame the weights of states with it and before it, and how much the result depends on those. */
typedef struct room { double *with, *before, *now, *next; } room;

/* What the states of a frame depend on: weight goes on from state i in shares. */
static void share(const double *with, double before, double weight, int64_t to, double *next) {
  if (weight != 0 && with[to] != -INFINITY) next[to] += weight * exp(with[to] - before);
}

static void step_on(const sample *s, const double *with, const double *before, const double *now, double *next) {
  const int64_t labels = s->most + 1;
  memset(next, 0, (size_t)s->states * sizeof *next);
  for (int64_t i = 0; i < labels; i++) {
    const bool repeated = i > 0 && i < s->most && class_of(s, i - 1) == class_of(s, i);
    share(with, before[i], now[i], i, next);
    share(with, before[i], now[i], labels + i, next);
    if (i < s->most && !repeated) share(with, before[i], now[i], i + 1, next);
    share(with, before[labels + i], now[labels + i], labels + i, next);
    if (i < s->most) share(with, before[labels + i], now[labels + i], i + 1, next);
  }
}

/* dy times the softmax, less where each state emits. */
static void emit_back(const sample *s, const float *x, const double *weights, double dy, float *to) {
  const double total = frame_total(x, s->classes);
  double all = 0;
  for (int64_t i = 1; i < s->states; i++) {
    const int64_t class = i > s->most ? s->blank : class_of(s, i - 1);
    if (class >= 0 && class < s->classes) all += weights[i];
  }
  for (int64_t c = 0; c < s->classes; c++) to[c] = (float)(dy * all * exp((double)x[c] - total));
  for (int64_t i = 1; i < s->states; i++) {
    const int64_t class = i > s->most ? s->blank : class_of(s, i - 1);
    if (class >= 0 && class < s->classes) to[class] -= (float)(dy * weights[i]);
  }
}

static void back(sample *s, room r, int64_t length, int64_t frames, double dy, float *to) {
  const double never = log(1e-307);
  const size_t bytes = (size_t)s->states * sizeof(double);
  for (int64_t i = 0; i <= s->most; i++) s->now[i] = s->now[s->most + 1 + i] = i == length ? 0 : never;
  for (int64_t k = frames; k-- > 0;) {
    step_back(s, s->logits + k * s->classes);
    memcpy(r.with + k * s->states, s->now, bytes);
    memcpy(r.before + k * s->states, s->next, bytes);
    memcpy(s->now, s->next, bytes);
  }
  memset(r.now, 0, bytes);
  r.now[0] = 1;
  for (int64_t k = 0; k < frames; k++) {
    step_on(s, r.with + k * s->states, r.before + k * s->states, r.now, r.next);
    emit_back(s, s->logits + k * s->classes, r.next, dy, to + k * s->classes);
    double *swap = r.now;
    r.now = r.next;
    r.next = swap;
  }
}

enum { MOST_TASKS = 8 };
static int tasks_of(const cn_step *s) { return s->in[0]->shape[0] < MOST_TASKS ? (int)s->in[0]->shape[0] : MOST_TASKS; }

static void some_back(void *context, int task) {
  const cn_step *s = context;
  const int64_t batch = s->in[0]->shape[0], most = s->in[0]->shape[1], states = 2 * (most + 1);
  const int64_t *logits = s->in[1]->shape;
  const int64_t blank = ((const cn_ctc_attrs *)s->attrs)->blank, frame = logits[1] * states;
  double *own = (double *)s->scratch + task * (2 * frame + 4 * states);
  const room r = {own, own + frame, own + 2 * frame, own + 2 * frame + states};
  for (int64_t i = batch * task / tasks_of(s); i < batch * (task + 1) / tasks_of(s); i++) {
    sample one = {(const int32_t *)s->in[0]->data + i * most, (const float *)s->in[1]->data + i * logits[1] * logits[2],
                  most, states, logits[2], blank < 0 ? blank + logits[2] : blank, r.next + states, r.next + 2 * states};
    float *to = (float *)s->out[0]->data + i * logits[1] * logits[2];
    memset(to, 0, (size_t)(logits[1] * logits[2]) * sizeof *to);
    back(&one, r, ((const int32_t *)s->in[2]->data)[i], clamp(((const int32_t *)s->in[3]->data)[i], logits[1]),
         (double)((const float *)s->in[4]->data)[i], to);
  }
}

static void gradient_run(const cn_step *s) { cn_parallel(tasks_of(s), some_back, (void *)s); }

static cn_status gradient_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  const int64_t states = 2 * (s->in[0]->shape[1] + 1);
  s->scratch_bytes = (size_t)tasks_of(s) * (size_t)(2 * s->in[1]->shape[1] * states + 4 * states) * sizeof(double);
  s->run = gradient_run;
  return CORNU_OK;
}

static void gradient(cn_gradient *g) {
  const cn_edge in[] = {g->in[0], g->in[1], g->in[2], g->in[3], g->dy[0]};
  g->dx[1] = cn_gradient_emit(g, &cn_op_ctc_gradient, g->attrs, in, 5);
}

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p;
  int64_t blank = ((const cn_ctc_attrs *)s->attrs)->blank, classes = s->in[1]->shape[2];
  if (blank < -classes || blank >= classes)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "ctc_loss: the blank is %lld, there are %lld classes", (long long)blank,
                   (long long)classes);
  s->scratch_bytes = (size_t)(s->in[0]->shape[0] * 4 * (s->in[0]->shape[1] + 1)) * sizeof(double);
  s->run = run;
  s->flops = (double)s->in[1]->size * 2;
  return CORNU_OK;
}

static const cn_field fields[] = {
    {.name = "blank", .aliases = "mask_index", .kind = CN_F_INT, .offset = offsetof(cn_ctc_attrs, blank),
     .standard = "0", .min = -2e9, .max = 2e9, .help = CN_HELP("the class that stands for no label")},
    {0}};
const cn_op cn_op_ctc_loss = {
    .name = "ctc_loss",
    .help = CN_HELP("-log of the probability that frames spell the labels\n"
                    "(labels int32 (b, l), logits (b, t, c), label lengths int32 (b), logit lengths int32 (b)) -> (b)"),
    .min_in = 4,
    .max_in = 4,
    .n_out = 1,
    .attrs_size = sizeof(cn_ctc_attrs),
    .fields = fields,
    .shape = shape,
    .plan = plan,
    .gradient = CN_GRADIENT(gradient),
};
const cn_op cn_op_ctc_gradient = {
    .name = "ctc_gradient",
    .help = CN_HELP("(labels, logits, label lengths, logit lengths, dy (b)) -> what comes back to the logits"),
    .flags = CN_OP_HIDDEN,
    .min_in = 5,
    .max_in = 5,
    .n_out = 1,
    .attrs_size = sizeof(cn_ctc_attrs),
    .shape = gradient_shape,
    .plan = gradient_plan,
};
