/* batch_norm_train: normalisation by the statistics of the batch itself, over all axes but the last, and what comes back
 * through it. One pass for each sum and one for each result: y = (x - mean) / sqrt(variance + epsilon) * gamma + beta;
 * with d = dy * gamma / sqrt(variance + epsilon): dx = d - mean(d) - (x - mean) * mean(d * (x - mean)) / (variance +
 * epsilon) (Ioffe and Szegedy, 2015). */
#include <math.h>

#include "base/pool.h"
#include "base/text.h"
#include "kernels/batch_norm.h"
#include "ops/gradient.h"
#include "ops/ops.h"

/* Rows are summed up in parts, whose number depends on the shape alone. */
enum { MOST_PARTS = 16, LEAST_ROWS = 64 };

typedef struct norm {
  int64_t rows, n, part; /* rows of a part */
  int parts;
  double *sums, *products; /* of each part; the first becomes those of all */
  float *scale, *shift, *from_x;
} norm;

static cn_status params_fit(const cn_typing *t, int first, int last, const char *what, cn_error *e) {
  const cn_type *x = &t->in[0];
  const int64_t n = x->rank ? x->shape[x->rank - 1] : 0;
  if (x->rank < 2 || (x->dtype != CORNU_FLOAT32 && x->dtype != CORNU_FLOAT64))
    return cn_fail(e, CORNU_ERR_SHAPE, "%s: floats of at least 2 dimensions expected", what);
  for (int i = first; i < last && i < t->n_in; i++)
    if (!CN_TYPE_ABSENT(&t->in[i]) &&
        (t->in[i].dtype != x->dtype || t->in[i].rank != 1 || !cn_dims_agree(t->in[i].shape[0], n)))
      return cn_fail(e, CORNU_ERR_SHAPE, "%s: a parameter has shape %s, expected %lld values", what,
                     CN_SHAPE(t->in[i].rank, t->in[i].shape), (long long)n);
  return CORNU_OK;
}

static cn_type vector_of(const cn_type *x) {
  return (cn_type){.dtype = x->dtype, .rank = 1, .shape = {x->shape[x->rank - 1]}};
}

static cn_status train_shape(cn_typing *t, cn_error *e) {
  CN_TRY(params_fit(t, 1, 3, "batch_norm_train", e));
  t->out[0] = t->in[0];
  t->out[1] = t->out[2] = vector_of(&t->in[0]);
  return CORNU_OK;
}

static const void *data_of(const cn_step *s, int i) { return i < s->n_in && s->in[i] ? s->in[i]->data : NULL; }

/* ---- float32 ---- */

static void lay(const cn_step *s, norm *k) {
  k->n = s->in[0]->shape[s->in[0]->rank - 1];
  k->rows = k->n ? s->in[0]->size / k->n : 0;
  k->part = (k->rows + MOST_PARTS - 1) / MOST_PARTS;
  if (k->part < LEAST_ROWS) k->part = LEAST_ROWS;
  k->parts = (int)((k->rows + k->part - 1) / k->part);
}

static size_t room(const norm *k) {
  return (size_t)k->n * ((size_t)(k->parts + 1) * 2 * sizeof(double) + 3 * sizeof(float)) + 64;
}

static norm in_scratch(const cn_step *s) {
  norm k = *(const norm *)s->state;
  k.sums = s->scratch;
  k.products = k.sums + (k.parts + 1) * k.n;
  k.scale = (float *)(k.products + (k.parts + 1) * k.n);
  k.shift = k.scale + k.n;
  k.from_x = k.shift + k.n;
  return k;
}

typedef struct pass { const cn_step *s; const norm *k; const float *center; } pass;

static int64_t rows_of(const norm *k, int part) {
  const int64_t left = k->rows - part * k->part;
  return left < k->part ? left : k->part;
}

static void add_up(const norm *k, double *parts) {
  for (int p = 1; p < k->parts; p++)
    for (int64_t i = 0; i < k->n; i++) parts[i] += parts[p * k->n + i];
}

static void sum_part(void *context, int part) {
  const pass *p = context;
  const norm *k = p->k;
  cn_reduce()->sum_columns((const float *)p->s->in[0]->data + part * k->part * k->n, k->n, rows_of(k, part), k->n,
                           p->center, k->sums + part * k->n);
}

static void statistics(const cn_step *s, const norm *k, float *mean, float *variance) {
  pass p = {s, k, NULL};
  cn_parallel(k->parts, sum_part, &p);
  add_up(k, k->sums);
  for (int64_t i = 0; i < k->n; i++) mean[i] = (float)(k->sums[i] / (double)k->rows);
  p.center = mean;
  cn_parallel(k->parts, sum_part, &p);
  add_up(k, k->sums);
  for (int64_t i = 0; i < k->n; i++) variance[i] = (float)(k->sums[i] / (double)k->rows);
}

static void scale_range(void *context, int64_t begin, int64_t end) {
  const pass *p = context;
  const norm *k = p->k;
  const cn_scaled_rows rows = {k->n, k->n, k->n, k->scale, k->shift, NULL};
  cn_norm()->scale_rows(&rows, (const float *)p->s->in[0]->data + begin * k->n,
                        (float *)p->s->out[0]->data + begin * k->n, end - begin);
}

static double epsilon_of(const cn_step *s) { return ((const cn_batch_norm_attrs *)s->attrs)->epsilon; }

static void train_floats(const cn_step *s) {
  const norm k = in_scratch(s);
  const float *gamma = data_of(s, 1), *beta = data_of(s, 2);
  float *mean = s->out[1]->data, *variance = s->out[2]->data;
  statistics(s, &k, mean, variance);
  for (int64_t i = 0; i < k.n; i++) {
    const double scale = (gamma ? gamma[i] : 1.0) / sqrt((double)variance[i] + epsilon_of(s));
    k.scale[i] = (float)scale;
    k.shift[i] = (float)((beta ? beta[i] : 0.0) - mean[i] * scale);
  }
  pass p = {s, &k, NULL};
  cn_parallel_range(k.rows, 16384 / k.n + 1, scale_range, &p);
}

/* ---- backwards: (dy, x, mean, variance, gamma?, d_mean?, d_variance?) -> (dx, d_gamma, d_beta) ---- */

static cn_status back_shape(cn_typing *t, cn_error *e) {
  CN_TRY(params_fit(t, 2, 7, "batch_norm_back", e));
  t->out[0] = t->in[0];
  t->out[1] = t->out[2] = vector_of(&t->in[0]);
  return CORNU_OK;
}

static void back_part(void *context, int part) {
  const pass *p = context;
  const norm *k = p->k;
  const int64_t from = part * k->part * k->n;
  cn_batch_norm_math()->sums((const float *)p->s->in[0]->data + from, (const float *)p->s->in[1]->data + from,
                             rows_of(k, part), k->n, p->center, k->sums + part * k->n, k->products + part * k->n);
}

static void blend_range(void *context, int64_t begin, int64_t end) {
  const pass *p = context;
  const norm *k = p->k;
  const cn_blend_rows b = {k->n, k->scale, k->from_x, p->center, k->shift};
  cn_batch_norm_math()->blend(&b, (const float *)p->s->in[0]->data + begin * k->n,
                              (const float *)p->s->in[1]->data + begin * k->n,
                              (float *)p->s->out[0]->data + begin * k->n, end - begin);
}

/* What multiplies dy and x - mean in dx, and what is added. */
typedef struct factors { double dy, x, shift, d_gamma; } factors;

static factors factors_of(double sum, double product, double rows, double variance, double epsilon, double gamma,
                          double d_mean, double d_variance) {
  const double inverse = 1 / sqrt(variance + epsilon), dy = gamma * inverse;
  return (factors){.dy = dy, .x = (2 * d_variance - dy * inverse * inverse * product) / rows,
                   .shift = (d_mean - dy * sum) / rows, .d_gamma = product * inverse};
}

static void back_floats(const cn_step *s) {
  const norm k = in_scratch(s);
  const float *mean = s->in[2]->data, *variance = s->in[3]->data, *gamma = data_of(s, 4), *d_mean = data_of(s, 5),
              *d_variance = data_of(s, 6);
  float *d_gamma = s->out[1]->data, *d_beta = s->out[2]->data;
  pass p = {s, &k, mean};
  cn_parallel(k.parts, back_part, &p);
  add_up(&k, k.sums);
  add_up(&k, k.products);
  for (int64_t i = 0; i < k.n; i++) {
    const factors f = factors_of(k.sums[i], k.products[i], (double)k.rows, variance[i], epsilon_of(s),
                                 gamma ? gamma[i] : 1, d_mean ? d_mean[i] : 0, d_variance ? d_variance[i] : 0);
    k.scale[i] = (float)f.dy;
    k.from_x[i] = (float)f.x;
    k.shift[i] = (float)f.shift;
    d_gamma[i] = (float)f.d_gamma;
    d_beta[i] = (float)k.sums[i];
  }
  cn_parallel_range(k.rows, 16384 / k.n + 1, blend_range, &p);
}

/* ---- float64, channel by channel ---- */

static void train_doubles(const cn_step *s) {
  const norm *k = s->state;
  const double *x = s->in[0]->data, *gamma = data_of(s, 1), *beta = data_of(s, 2);
  double *y = s->out[0]->data, *means = s->out[1]->data, *variances = s->out[2]->data;
  for (int64_t i = 0; i < k->n; i++) {
    double mean = 0, variance = 0;
    for (int64_t r = 0; r < k->rows; r++) mean += x[r * k->n + i];
    means[i] = mean /= (double)k->rows;
    for (int64_t r = 0; r < k->rows; r++) variance += (x[r * k->n + i] - mean) * (x[r * k->n + i] - mean);
    variances[i] = variance /= (double)k->rows;
    const double scale = (gamma ? gamma[i] : 1) / sqrt(variance + epsilon_of(s));
    for (int64_t r = 0; r < k->rows; r++) y[r * k->n + i] = (x[r * k->n + i] - mean) * scale + (beta ? beta[i] : 0);
  }
}

static void back_doubles(const cn_step *s) {
  const norm *k = s->state;
  const double *dy = s->in[0]->data, *x = s->in[1]->data, *mean = s->in[2]->data, *variance = s->in[3]->data,
               *gamma = data_of(s, 4), *d_mean = data_of(s, 5), *d_variance = data_of(s, 6);
  double *dx = s->out[0]->data, *d_gamma = s->out[1]->data, *d_beta = s->out[2]->data;
  for (int64_t i = 0; i < k->n; i++) {
    double sum = 0, product = 0;
    for (int64_t r = i; r < k->rows * k->n; r += k->n) sum += dy[r], product += dy[r] * (x[r] - mean[i]);
    const factors f = factors_of(sum, product, (double)k->rows, variance[i], epsilon_of(s), gamma ? gamma[i] : 1,
                                 d_mean ? d_mean[i] : 0, d_variance ? d_variance[i] : 0);
    for (int64_t r = i; r < k->rows * k->n; r += k->n) dx[r] = f.dy * dy[r] + f.x * (x[r] - mean[i]) + f.shift;
    d_gamma[i] = f.d_gamma;
    d_beta[i] = sum;
  }
}

/* ---- the ops ---- */

static void run_train(const cn_step *s) {
  if (s->in[0]->size == 0) return;
  (s->in[0]->dtype == CORNU_FLOAT64 ? train_doubles : train_floats)(s);
}

static void run_back(const cn_step *s) {
  if (s->in[0]->size == 0) return;
  (s->in[0]->dtype == CORNU_FLOAT64 ? back_doubles : back_floats)(s);
}

static cn_status plan(struct cn_planner *p, cn_step *s, void (*run)(const cn_step *), double passes, cn_error *e) {
  norm *k = s->state = cn_plan_memory(p, sizeof *k);
  if (!k) return cn_no_memory(e);
  *k = (norm){0};
  lay(s, k);
  s->scratch_bytes = room(k);
  s->run = run;
  s->flops = passes * (double)s->in[0]->size;
  return CORNU_OK;
}
static cn_status plan_train(struct cn_planner *p, cn_step *s, cn_error *e) { return plan(p, s, run_train, 6, e); }
static cn_status plan_back(struct cn_planner *p, cn_step *s, cn_error *e) { return plan(p, s, run_back, 8, e); }

static void gradient(cn_gradient *g) {
  const cn_edge dy = g->dy[0] == CN_NO_EDGE ? cn_g_zeros(g, g->in[0]) : g->dy[0];
  const cn_edge in[] = {dy, g->in[0], g->out[1], g->out[2], g->n_in > 1 ? g->in[1] : CN_NO_EDGE, g->dy[1], g->dy[2]};
  cn_edge first;
  if (!cn_gradient_emit_many(g, &cn_op_batch_norm_back, g->attrs, in, 7, &first)) return;
  for (int i = 0; i < g->n_in; i++)
    if (g->wanted[i]) g->dx[i] = first + i;
}

const cn_op cn_op_batch_norm_train = {
    .name = "batch_norm_train",
    .help = CN_HELP("batch_norm by the statistics of x itself, channels on the last axis\n"
                    "(x, gamma?, beta?) -> (y, mean, variance)"),
    .flags = CN_OP_HIDDEN,
    .min_in = 1,
    .max_in = 3,
    .n_out = 3,
    .attrs_size = sizeof(cn_batch_norm_attrs),
    .shape = train_shape,
    .plan = plan_train,
    .gradient = CN_GRADIENT(gradient),
};
const cn_op cn_op_batch_norm_back = {
    .name = "batch_norm_back",
    .help = CN_HELP("what comes back through batch_norm_train\n"
                    "(dy, x, mean, variance, gamma?, d_mean?, d_variance?) -> (dx, d_gamma, d_beta)"),
    .flags = CN_OP_HIDDEN,
    .min_in = 4,
    .max_in = 7,
    .n_out = 3,
    .attrs_size = sizeof(cn_batch_norm_attrs),
    .shape = back_shape,
    .plan = plan_back,
};
