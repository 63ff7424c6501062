/* ctc_loss: minus the logarithm of the probability that frames spell a label sequence (Graves et al. 2006), as
 * TensorFlow computes it: states that end no sequence keep a weight of 1e-307, so that impossible sequences have a
 * finite loss. */
#include <math.h>

#include "base/pool.h"
#include "base/text.h"
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
  for (int64_t k = frames; k-- > 0;) {
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
     .standard = "0", .min = INT32_MIN, .max = INT32_MAX, .help = "the class that stands for no label"},
    {0}};
const cn_op cn_op_ctc_loss = {
    .name = "ctc_loss",
    .help = "-log of the probability that frames spell the labels\n"
            "(labels int32 (b, l), logits (b, t, c), label lengths int32 (b), logit lengths int32 (b)) -> (b)",
    .min_in = 4,
    .max_in = 4,
    .n_out = 1,
    .attrs_size = sizeof(cn_ctc_attrs),
    .fields = fields,
    .shape = shape,
    .plan = plan,
};
