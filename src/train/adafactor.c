/* Adafactor (Shazeer and Stern 2018): of matrices, means of squares by row and by column alone are kept. */
#include <string.h>

#include "base/pool.h"
#include "train/rules.h"

typedef struct settings {
  cn_optimizer_settings common;
  double beta_2_decay, epsilon_1, epsilon_2, clip_threshold;
  bool relative_step;
} settings;

static const cn_field fields[] = {
    CN_RATE_FIELD("0.001"),
    CN_NUMBER_FIELD(settings, beta_2_decay, "-0.8", -1e30, 1e30, "the means keep 1 - step ^ beta_2_decay"),
    CN_NUMBER_FIELD(settings, epsilon_1, "1e-30", 0, 1, "added to squares"),
    CN_NUMBER_FIELD(settings, epsilon_2, "0.001", 0, 1e30, "the least size of a variable that steps are scaled by"),
    CN_NUMBER_FIELD(settings, clip_threshold, "1", 1e-30, 1e30, "the most that the mean square of a step may be"),
    CN_FLAG_FIELD(settings, relative_step, "true", "the rate is at most 1 / sqrt(step), as without it"),
    {0}};

enum { ROWS, COLUMNS, VELOCITY };
static const cn_slot slots[] = {{.name = "r", .older = "r r r"}, {.name = "c", .older = "c c c"},
                                {.name = "velocity", .older = "v v v"}, {0}};

static bool keeps(const void *s, int slot, const cn_subject *v) {
  (void)s;
  return slot == VELOCITY || v->value->rank >= 2;
}

/* r lacks the last dimension, c the one before. */
static void slot_shape(int slot, const cn_tensor *value, int *rank, int64_t *shape) {
  *rank = slot == VELOCITY ? value->rank : value->rank - 1;
  memcpy(shape, value->shape, (size_t)*rank * sizeof *shape);
  if (slot == COLUMNS) shape[*rank - 1] = value->shape[value->rank - 1];
}

typedef struct job {
  const cn_update *u;
  double keep, epsilon; /* how much of the means stays; epsilon_1 */
  double by;            /* what a step is multiplied by */
  int64_t rows, columns;
} job;

/* Means over the rows and columns of matrices begin … end - 1, and v = r / mean(r) * c. */
#define MATRICES(name, real)                                                                                \
  static void name(void *context, int64_t begin, int64_t end) {                                             \
    const job *j = context;                                                                                 \
    const int64_t rows = j->rows, columns = j->columns, size = rows * columns;                              \
    const real keep = (real)j->keep, rest = 1 - keep, more = (real)j->epsilon;                              \
    for (int64_t k = begin; k < end; k++) {                                                                 \
      const real *g = (const real *)j->u->gradient + k * size;                                              \
      const real *q = j->u->seconds ? (const real *)j->u->seconds + k * size : NULL;                        \
      real *r = (real *)j->u->slots[ROWS] + k * rows, *c = (real *)j->u->slots[COLUMNS] + k * columns;      \
      real *v = (real *)j->u->slots[VELOCITY] + k * size;                                                   \
      double mean = 0;                                                                                      \
      for (int64_t i = 0; i < columns; i++) v[i] = 0;                                                       \
      for (int64_t y = 0; y < rows; y++) {                                                                  \
        double sum = 0;                                                                                     \
        for (int64_t x = 0; x < columns; x++) {                                                             \
          const int64_t i = y * columns + x;                                                                \
          const real square = CN_SQUARE(i) + more;                                                          \
          sum += square;                                                                                    \
          v[x] += square; /* the first row of v holds the sums of the columns meanwhile */                  \
        }                                                                                                   \
        r[y] = keep * r[y] + rest * (real)(sum / (double)columns);                                          \
        mean += r[y];                                                                                       \
      }                                                                                                     \
      for (int64_t x = 0; x < columns; x++) c[x] = keep * c[x] + rest * (v[x] / (real)rows);                \
      for (int64_t y = 0; y < rows; y++)                                                                    \
        for (int64_t x = 0; x < columns; x++) v[y * columns + x] = r[y] / (real)(mean / (double)rows) * c[x]; \
    }                                                                                                       \
  }                                                                                                         \
  static void name##_vector(void *context, int64_t begin, int64_t end) {                                    \
    const job *j = context;                                                                                 \
    const real *g = j->u->gradient, *q = j->u->seconds, keep = (real)j->keep, more = (real)j->epsilon;      \
    real *v = j->u->slots[VELOCITY];                                                                        \
    for (int64_t i = begin; i < end; i++) v[i] = keep * v[i] + (1 - keep) * (CN_SQUARE(i) + more);          \
  }                                                                                                         \
  static void name##_steps(void *context, int64_t begin, int64_t end) {                                     \
    const job *j = context;                                                                                 \
    real *g = j->u->gradient;                                                                               \
    const real *v = j->u->slots[VELOCITY];                                                                  \
    for (int64_t i = begin; i < end; i++) g[i] /= CN_ROOT(real, v[i]);                                      \
  }                                                                                                         \
  static void name##_move(void *context, int64_t begin, int64_t end) {                                      \
    const job *j = context;                                                                                 \
    const real *g = j->u->gradient, by = (real)j->by;                                                       \
    real *w = j->u->value;                                                                                  \
    for (int64_t i = begin; i < end; i++) w[i] -= by * g[i];                                                \
  }
MATRICES(floats, float)
MATRICES(doubles, double)

/* Without seconds, the mean square of the steps is that of the gradient's place; with them, of each row's. */
static double mean_square(const job *j) {
  const cn_update *u = j->u;
  if (!u->seconds) return cn_sum_of_squares(u->gradient, u->dtype, u->size) / (double)u->size;
  double sum = 0;
  for (int64_t i = 0; i < u->size; i++)
    sum += u->dtype == CORNU_FLOAT64
               ? ((const double *)u->seconds)[i] / ((const double *)u->slots[VELOCITY])[i]
               : (double)(((const float *)u->seconds)[i] / ((const float *)u->slots[VELOCITY])[i]);
  return sum / (double)u->size;
}

static cn_status update_all(const cn_update *u, cn_error *e) {
  (void)e;
  const settings *s = u->settings;
  const bool wide = u->dtype == CORNU_FLOAT64;
  const double t = (double)u->step, rho = fmin(u->rate, 1 / sqrt(t)), n = (double)u->size;
  const double size = sqrt(cn_sum_of_squares(u->value, u->dtype, u->size) / n);
  job j = {.u = u, .keep = 1 - pow(t, s->beta_2_decay), .epsilon = s->epsilon_1};
  if (u->rank >= 2) {
    j.rows = u->shape[u->rank - 2], j.columns = u->shape[u->rank - 1];
    cn_parallel_range(u->size / (j.rows * j.columns), 1, wide ? doubles : floats, &j);
  } else cn_parallel_range(u->size, 16384, wide ? doubles_vector : floats_vector, &j);
  cn_parallel_range(u->size, 16384, wide ? doubles_steps : floats_steps, &j);
  const double length = sqrt(mean_square(&j));
  j.by = fmax(s->epsilon_2, size) * rho / fmax(1, length / s->clip_threshold);
  cn_parallel_range(u->size, 16384, wide ? doubles_move : floats_move, &j);
  return CORNU_OK;
}

const cn_optimizer_type cn_optimizer_adafactor = {
    .name = "Adafactor",
    .help = "w -= max(epsilon_2, rms(w)) * rate * g / sqrt(v), v from means of g² by row and by column",
    .settings_size = sizeof(settings),
    .fields = fields,
    .slots = slots,
    .seconds = CN_SECONDS_SQUARES,
    .keeps = keeps,
    .slot_shape = slot_shape,
    .update_all = update_all,
};
