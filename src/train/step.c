/* A step of the optimizer: every variable against its gradient, in one pass over all of them where the rule allows. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "train/rules.h"
#include "train/trainer.h"

enum { BLOCK = 4096, BLOCKS_AT_LEAST = 4 };

/* What is done with a block, in this order; UNSCALE comes first. */
typedef enum work { ADD_UP = 1, TAKE_MEAN = 2, PREPARE = 4, UPDATE = 8, AVERAGE = 16, OVERWRITE = 32, UNSCALE = 64 } work;

struct cn_part {
  cn_update update;
  void *average, *accumulator;
  bool clipped;              /* by value already */
  const void *used;          /* NULL, or what tells rows that nothing came to: 0 in the dtype of the variable */
  const void *squares;       /* NULL, or what the norm is taken of in place of the gradient's */
  void *rows;                /* NULL, or both this and what rules take for squares */
  double factor, limit;      /* of the gradient: it is multiplied, then cut; NaN: not */
  double decay;              /* of the weight, times the rate; 0: none */
  int64_t first;             /* number of its first block */
};

typedef struct job {
  cn_optimizer *optimizer;
  const cn_optimizer_type *type;
  cn_part *parts;
  int n, work;
  cn_unused unused;
  double kept;               /* of the averages */
  double steps;              /* whose gradients are added up */
  double scale, scale_of_rows; /* that gradients, and what comes of their rows, are divided by */
} job;

cn_part *cn_parts_new(int n) { return cn_calloc((size_t)n + 1, sizeof(cn_part)); }

#define BLOCKS(name, real)                                                                             \
  static void name(const job *j, const cn_part *p, int64_t begin, int64_t end) {                       \
    real *restrict g = p->update.gradient, *restrict sum = p->accumulator, *restrict w = p->update.value; \
    real *restrict rows = p->rows;                                                                     \
    const real scale = (real)j->scale, scale_of_rows = (real)j->scale_of_rows;                         \
    for (int64_t i = begin; i < end && (j->work & UNSCALE); i++) g[i] /= scale;                        \
    for (int64_t i = begin; i < end && rows && (j->work & UNSCALE); i++) rows[i] /= scale_of_rows;     \
    if (j->work & ADD_UP)                                                                              \
      for (int64_t i = begin; i < end; i++) sum[i] += g[i];                                            \
    if (j->work & TAKE_MEAN)                                                                           \
      for (int64_t i = begin; i < end; i++) {                                                          \
        g[i] = (g[i] + sum[i]) / (real)j->steps;                                                       \
        sum[i] = 0;                                                                                    \
      }                                                                                                \
    if (!(j->work & PREPARE)) return;                                                                  \
    const real factor = (real)p->factor, limit = (real)p->limit, decay = (real)p->decay;               \
    real *restrict q = (real *)p->update.seconds;                                                      \
    for (int64_t i = begin; i < end && factor != 1; i++) g[i] *= factor;                               \
    for (int64_t i = begin; i < end && factor != 1 && q; i++)                                          \
      q[i] *= j->type->seconds == CN_SECONDS_SQUARES ? factor * factor : factor;                       \
    for (int64_t i = begin; i < end && limit == limit; i++)                                            \
      g[i] = g[i] > limit ? limit : g[i] < -limit ? -limit : g[i];                                     \
    for (int64_t i = begin; i < end && decay != 0; i++) w[i] -= w[i] * decay;                          \
  }                                                                                                    \
  static void name##_average(const job *j, const cn_part *p, int64_t begin, int64_t end) {             \
    real *restrict w = p->update.value, *restrict average = p->average;                                \
    const real kept = (real)j->kept, rest = (real)(1 - j->kept);                                       \
    for (int64_t i = begin; i < end && (j->work & AVERAGE); i++) average[i] = kept * average[i] + rest * w[i]; \
    for (int64_t i = begin; i < end && (j->work & OVERWRITE); i++) w[i] = average[i];                  \
  }
BLOCKS(floats, float)
BLOCKS(doubles, double)

static bool is_used(const cn_part *p, int64_t i) {
  return p->update.dtype == CORNU_FLOAT64 ? ((const double *)p->used)[i] != 0 : ((const float *)p->used)[i] != 0;
}

/* Rows that are used, and those that are not, each in one go. */
static void update_rows(const job *j, const cn_part *p, int64_t begin, int64_t end) {
  cn_update still = p->update;
  still.rate = 0;
  for (int64_t from = begin, to; from < end; from = to) {
    const bool used = is_used(p, from);
    for (to = from + 1; to < end && is_used(p, to) == used;) to++;
    if (used) j->type->update(&p->update, from, to);
    else if (j->unused == CN_UNUSED_STILL) j->type->update(&still, from, to);
  }
}

static void work_on(const job *j, const cn_part *p, int64_t begin, int64_t end) {
  const bool wide = p->update.dtype == CORNU_FLOAT64;
  if (j->work & (ADD_UP | TAKE_MEAN | PREPARE | UNSCALE)) (wide ? doubles : floats)(j, p, begin, end);
  if (j->work & UPDATE && p->used) update_rows(j, p, begin, end);
  else if (j->work & UPDATE) j->type->update(&p->update, begin, end);
  if (j->work & (AVERAGE | OVERWRITE)) (wide ? doubles_average : floats_average)(j, p, begin, end);
}

static void work_range(void *context, int64_t begin, int64_t end) {
  const job *j = context;
  int at = 0;
  for (int step = j->n; step > 0; step /= 2)
    while (at + step < j->n && j->parts[at + step].first <= begin) at += step;
  for (int64_t b = begin; b < end; b++) {
    while (at + 1 < j->n && j->parts[at + 1].first <= b) at++;
    const cn_part *p = &j->parts[at];
    const int64_t from = (b - p->first) * BLOCK, to = from + BLOCK < p->update.size ? from + BLOCK : p->update.size;
    work_on(j, p, from, to);
  }
}

static void work_through(job *j, int what) {
  const cn_part *last = &j->parts[j->n - 1];
  j->work = what;
  if (what) cn_parallel_range(last->first + (last->update.size + BLOCK - 1) / BLOCK, BLOCKS_AT_LEAST, work_range, j);
}

/* ---- the gradients ---- */

static double norm_squared(const cn_part *p) {
  const cn_update *u = &p->update;
  return p->squares ? cn_sum_of(p->squares, u->dtype, u->size) : cn_sum_of_squares(u->gradient, u->dtype, u->size);
}

static double largest(const job *j) {
  double most = 0;
  for (int i = 0; i < j->n; i++) {
    const double x = cn_largest_of(j->parts[i].update.gradient, j->parts[i].update.dtype, j->parts[i].update.size);
    if (!(x <= most) && most == most) most = x;
  }
  return most;
}

/* clipnorm is that of each gradient, or, in Keras 1 and 2, of all together; there clipvalue may come on top. */
static void clip(job *j, const cn_optimizer_settings *s) {
  const bool older = s->lineage >= CN_KERAS_2, each = s->clipnorm > 0;
  const bool all = older ? each : !each && s->global_clipnorm > 0;
  const double most = older || !all ? s->clipnorm : s->global_clipnorm;
  const bool by_value = s->clipvalue > 0 && (older || (!each && !all));
  double total = 0;
  for (int i = 0; i < j->n; i++) {
    cn_part *p = &j->parts[i];
    p->factor = 1;
    p->limit = by_value && !p->clipped ? s->clipvalue : NAN;
    const double square = most > 0 ? norm_squared(p) : 0;
    total += square;
    if (most > 0 && !all) p->factor = most / fmax(sqrt(square), most);
  }
  for (int i = 0; i < j->n && most > 0 && all; i++)
    j->parts[i].factor = isfinite(total) ? most / fmax(sqrt(total), most) : NAN;
}

/* ---- the step ---- */

/* Those of the job's optimizer. */
static void list_parts(const cornu_trainer *t, const cn_program *p, job *j) {
  const cn_optimizer *o = j->optimizer;
  const bool rows = cn_optimizer_common(o)->lineage == CN_KERAS_3 && o->type->seconds != CN_SECONDS_NONE;
  const double rate = (float)cn_optimizer_rate(o, t->steps);
  int64_t blocks = 0;
  for (int i = 0; i < p->n_trained; i++) {
    const cn_variable *v = &t->variables[p->trained[i]];
    if (cn_variable_optimizer(t, v) != o) continue;
    const cn_tensor *value = cn_variable_value(v);
    cn_part *part = &j->parts[j->n++];
    const double decay = isnan(v->decay) ? 0 : (float)(v->decay * rate);
    void *seconds = v->seconds ? v->seconds->data : NULL, *by_rule = rows ? seconds : NULL;
    *part = (cn_part){.first = blocks, .factor = 1, .limit = NAN, .decay = decay, .clipped = v->clipped};
    part->rows = seconds;
    part->squares = cn_optimizer_seconds(o) == CN_SECONDS_SQUARES ? seconds : NULL;
    part->used = v->used ? v->used->data : NULL;
    part->average = v->average ? v->average->data : NULL;
    part->accumulator = v->accumulator ? v->accumulator->data : NULL;
    part->update = (cn_update){.settings = o->settings, .rate = rate, .dtype = value->dtype, .rank = value->rank,
                               .shape = value->shape, .size = cornu_tensor_size(value), .value = value->data,
                               .gradient = v->gradient->data, .seconds = by_rule};
    for (int k = 0; k < CN_MAX_SLOTS; k++) part->update.slots[k] = v->slots[k] ? v->slots[k]->data : NULL;
    blocks += (part->update.size + BLOCK - 1) / BLOCK;
  }
}

static cn_status update_all(job *j, int64_t step, int averages, cn_error *e) {
  cn_optimizer *o = j->optimizer;
  clip(j, cn_optimizer_common(o));
  if (o->type->advance) o->scalar = o->type->advance(o->settings, o->scalar, step);
  for (int i = 0; i < j->n; i++) {
    j->parts[i].update.step = step;
    j->parts[i].update.scalar = o->scalar;
  }
  if (o->type->update) return work_through(j, PREPARE | UPDATE | averages), CORNU_OK;
  work_through(j, PREPARE);
  for (int i = 0; i < j->n; i++) CN_TRY(o->type->update_all(&j->parts[i].update, e));
  work_through(j, averages);
  return CORNU_OK;
}

static cn_status follow(const cornu_trainer *t, job *j, cn_error *e) {
  const cn_optimizer_settings *s = cn_optimizer_common(j->optimizer);
  const int64_t n = s->gradient_accumulation_steps > 0 ? s->gradient_accumulation_steps : 1, done = t->steps / n;
  const bool changes = (t->steps + 1) % n == 0;
  int averages = 0;
  if (s->use_ema) {
    const bool overwrites = s->ema_overwrite_frequency > 0 && (done + 1) % s->ema_overwrite_frequency == 0;
    averages = AVERAGE | (overwrites ? OVERWRITE : 0);
    j->kept = done > 0 || s->lineage != CN_KERAS_3 ? s->ema_momentum : 0;
  }
  j->steps = (double)n;
  if (n > 1) work_through(j, changes ? TAKE_MEAN : ADD_UP);
  if (changes) return update_all(j, done + 1, averages, e);
  work_through(j, averages);
  return CORNU_OK;
}

static cn_status take_step(cornu_trainer *t, const cn_program *p, cn_optimizer *o, bool *taken, cn_error *e) {
  cn_loss_scale *scale = &o->loss_scale;
  job j = {.optimizer = o, .type = o->type, .parts = p->parts, .unused = cn_optimizer_unused(o),
           .scale = cn_optimizer_loss_factor(&t->optimizer)};
  j.scale_of_rows = cn_optimizer_seconds(o) == CN_SECONDS_SQUARES ? j.scale * j.scale : j.scale;
  list_parts(t, p, &j);
  *taken = true;
  if (!j.n) return CORNU_OK;
  if (scale->on && !(largest(&j) * scale->scale <= FLT_MAX)) {
    scale->scale /= 2;
    scale->count = 0;
    *taken = false;
    return CORNU_OK;
  }
  if (j.scale != 1) work_through(&j, UNSCALE);
  CN_TRY(follow(t, &j, e));
  if (scale->on && ++scale->count == scale->growth) {
    scale->scale *= 2;
    scale->count = 0;
  }
  return CORNU_OK;
}

cn_status cn_trainer_step(cornu_trainer *t, const cn_program *p, cn_error *e) {
  cn_optimizer *o = &t->optimizer;
  bool taken = true;
  if (!o->n_inner) CN_TRY(take_step(t, p, o, &taken, e));
  for (int i = 0; i < o->n_inner; i++) CN_TRY(take_step(t, p, &o->inner[i], &taken, e));
  if (!taken) return CORNU_OK;
  t->steps++;
  for (int i = 0; i < p->n_trained; i++) {
    const cn_variable *v = &t->variables[p->trained[i]];
    cn_layer_weight_changed(v->layer, v->index);
  }
  return CORNU_OK;
}

/* ---- what is kept ---- */

static bool decays(const cn_optimizer_settings *s, const char *path) {
  const cn_value *names = s->exclude_from_weight_decay;
  for (int i = 0; names && i < names->count; i++)
    if (strstr(path, cn_value_str(names->items[i]))) return false;
  return true;
}

static cn_status make_slot(const cn_optimizer *o, cn_variable *v, int slot, cn_error *e) {
  const cn_tensor *value = cn_variable_value(v);
  const double initial = o->type->slots[slot].initial ? o->type->slots[slot].initial(o->settings) : 0;
  int rank = value->rank;
  int64_t shape[CN_MAX_RANK];
  memcpy(shape, value->shape, sizeof *shape * (size_t)rank);
  if (o->type->slot_shape) o->type->slot_shape(slot, value, &rank, shape);
  CN_TRY(cornu_tensor_new(value->dtype, rank, shape, &v->slots[slot], e));
  const size_t item = cornu_dtype_bytes(value->dtype);
  for (int64_t i = 0; i < cornu_tensor_size(v->slots[slot]) && initial != 0; i++)
    cn_convert((char *)v->slots[slot]->data + (size_t)i * item, value->dtype, &initial, CORNU_FLOAT64, 1);
  return CORNU_OK;
}

static cn_status make_slots(const cn_optimizer *o, cn_variable *v, cn_error *e) {
  const cn_tensor *value = cn_variable_value(v);
  const cn_subject subject = {v->path, value};
  cn_update u = {.settings = o->settings, .dtype = value->dtype, .rank = value->rank, .shape = value->shape,
                 .size = cornu_tensor_size(value), .value = value->data};
  for (int i = 0; i < o->slots; i++) {
    if (!o->type->keeps || o->type->keeps(o->settings, i, &subject)) CN_TRY(make_slot(o, v, i, e));
    u.slots[i] = v->slots[i] ? v->slots[i]->data : NULL;
  }
  if (o->type->begin) o->type->begin(&u);
  const cn_optimizer_settings *s = cn_optimizer_common(o);
  v->decay = o->type->weight_decay ? o->type->weight_decay(o->settings, &subject) : s->weight_decay;
  if (!decays(s, v->path)) v->decay = NAN;
  return CORNU_OK;
}

static cn_status begin(cornu_trainer *t, cn_variable *v, cn_error *e) {
  const cn_optimizer *o = cn_variable_optimizer(t, v);
  const cn_optimizer_settings *s = cn_optimizer_common(o);
  const cn_tensor *value = cn_variable_value(v);
  if (!v->trains || v->gradient) return CORNU_OK;
  if (value->dtype != CORNU_FLOAT32 && value->dtype != CORNU_FLOAT64)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "%s is %s: only float32 and float64 can be trained", v->path,
                   cornu_dtype_name(value->dtype));
  CN_TRY(cornu_tensor_new(value->dtype, value->rank, value->shape, &v->gradient, e));
  CN_TRY(make_slots(o, v, e));
  if (s->gradient_accumulation_steps > 0)
    CN_TRY(cornu_tensor_new(value->dtype, value->rank, value->shape, &v->accumulator, e));
  if (s->use_ema) CN_TRY(cornu_tensor_new(value->dtype, value->rank, value->shape, &v->average, e));
  if (s->use_ema && s->lineage != CN_KERAS_3) CN_TRY(cornu_tensor_copy(v->average, (cn_tensor *)value, e));
  return CORNU_OK;
}

cn_status cn_trainer_begin(cornu_trainer *t, cn_error *e) {
  for (int i = 0; i < t->n_variables && !t->begun; i++) {
    cn_status status = begin(t, &t->variables[i], e);
    if (status) return cn_variable_free(&t->variables[i]), status;
  }
  t->begun = true;
  return CORNU_OK;
}

void cn_variable_free(cn_variable *v) {
  cornu_tensor_release(v->gradient);
  cornu_tensor_release(v->seconds);
  cornu_tensor_release(v->used);
  cornu_tensor_release(v->average);
  cornu_tensor_release(v->accumulator);
  for (int k = 0; k < CN_MAX_SLOTS; k++) cornu_tensor_release(v->slots[k]), v->slots[k] = NULL;
  v->gradient = v->seconds = v->used = v->average = v->accumulator = NULL;
}
