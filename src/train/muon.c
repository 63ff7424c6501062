/* Muon (Jordan et al. 2024): matrices take steps whose singular values are all about 1; all else is left to AdamW. */
#include <string.h>
#include <strings.h>

#include "base/pool.h"
#include "base/text.h"
#include "train/adam.h"
#include "train/pattern.h"
#include "train/rules.h"

typedef struct settings {
  cn_optimizer_settings common;
  double adam_beta_1, adam_beta_2, adam_weight_decay, epsilon, muon_a, muon_b, muon_c, adam_lr_ratio, momentum, rms_rate;
  int64_t ns_steps;
  const cn_value *exclude_layers;
  bool exclude_embeddings, nesterov;
} settings;

static const cn_field fields[] = {
    CN_RATE_FIELD("0.001"),
    CN_NUMBER_FIELD(settings, adam_beta_1, "0.9", 0, 1, "beta_1 of AdamW"),
    CN_NUMBER_FIELD(settings, adam_beta_2, "0.999", 0, 1, "beta_2 of AdamW"),
    {.name = "adam_weight_decay", .kind = CN_F_FLOAT, .offset = offsetof(settings, adam_weight_decay), .standard = "0.004",
     .min = 0, .max = 1e30, .null_items = true, .help = "weight_decay of AdamW"},
    CN_EPSILON_FIELD(settings, "1e-7"),
    {.name = "weight_decay", .kind = CN_F_FLOAT, .offset = offsetof(cn_optimizer_settings, weight_decay),
     .standard = "0.004", .min = 0, .max = 1e30, .null_items = true, .help = "of the matrices"},
    {.name = "exclude_layers", .kind = CN_F_VALUE, .offset = offsetof(settings, exclude_layers), .standard = "null",
     .help = "regular expressions: variables with such names are left to AdamW"},
    CN_FLAG_FIELD(settings, exclude_embeddings, "true", "so are those whose names hold \"embedding\""),
    CN_NUMBER_FIELD(settings, muon_a, "3.4445", -1e30, 1e30, "of the polynomial a x + b x³ + c x⁵"),
    CN_NUMBER_FIELD(settings, muon_b, "-4.7750", -1e30, 1e30, "of the polynomial"),
    CN_NUMBER_FIELD(settings, muon_c, "2.0315", -1e30, 1e30, "of the polynomial"),
    CN_NUMBER_FIELD(settings, adam_lr_ratio, "1", 0, 1e30, "rate of AdamW as a part of the rate"),
    CN_NUMBER_FIELD(settings, momentum, "0.95", 0, 1, "how much of the sum of the gradients stays"),
    {.name = "ns_steps", .kind = CN_F_INT, .offset = offsetof(settings, ns_steps), .standard = "5", .min = 0, .max = 100,
     .help = "how often the polynomial is applied"},
    CN_FLAG_FIELD(settings, nesterov, "true", "looks ahead along the momentum"),
    {.name = "rms_rate", .kind = CN_F_FLOAT, .offset = offsetof(settings, rms_rate), .standard = "0.2", .min = 0,
     .max = 1e30, .null_items = true, .help = "scales steps by the size of the matrix; null: does not"},
    {0}};

static const cn_slot slots[] = {{.name = "momentum"}, {.name = "velocity"}, {0}};

static bool holds_embedding(const char *path) {
  for (; *path; path++)
    if (strncasecmp(path, "embedding", 9) == 0) return true;
  return false;
}

static bool is_adams(const settings *s, const cn_subject *v) {
  if (v->value->rank != 2 || (s->exclude_embeddings && holds_embedding(v->path))) return true;
  for (int i = 0; cn_value_is(s->exclude_layers, CORNU_LIST) && i < s->exclude_layers->count; i++) {
    const char *pattern = cn_value_str(s->exclude_layers->items[i]);
    if (pattern && cn_pattern_found(pattern, v->path)) return true;
  }
  return false;
}

static bool keeps(const void *s, int slot, const cn_subject *v) { return slot == 0 || is_adams(s, v); }

static double weight_decay(const void *settings_, const cn_subject *v) {
  const settings *s = settings_;
  return is_adams(s, v) ? s->adam_weight_decay : s->common.weight_decay;
}

static void adam_range(void *u, int64_t begin, int64_t end) { cn_adam_update(u, begin, end); }

static cn_status update_by_adam(const cn_update *u) {
  const settings *s = u->settings;
  const cn_adam adam = {.beta_1 = s->adam_beta_1, .beta_2 = s->adam_beta_2, .epsilon = s->epsilon};
  cn_update inner = *u;
  inner.settings = &adam;
  inner.rate = (float)(u->rate * s->adam_lr_ratio);
  cn_parallel_range(u->size, 16384, adam_range, &inner);
  return CORNU_OK;
}

/* The matrix with rows <= columns: element (y, x) at y * down + x * across. */
typedef struct job {
  const cn_update *u;
  double *x, *next, *gram, *poly; /* rows × columns twice; rows × rows twice */
  int64_t rows, columns, down, across;
  double a, b, c, by;
} job;

static double read_at(const void *p, cornu_dtype dtype, int64_t i) {
  return dtype == CORNU_FLOAT64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

static void write_at(void *p, cornu_dtype dtype, int64_t i, double v) {
  if (dtype == CORNU_FLOAT64) ((double *)p)[i] = v;
  else ((float *)p)[i] = (float)v;
}

/* m = g + momentum * m; x: that, or a look ahead. */
static void begin_rows(void *context, int64_t begin, int64_t end) {
  const job *j = context;
  const cn_update *u = j->u;
  const settings *s = u->settings;
  for (int64_t y = begin; y < end; y++)
    for (int64_t x = 0; x < j->columns; x++) {
      const int64_t i = y * j->down + x * j->across;
      const double g = read_at(u->gradient, u->dtype, i), m = g + s->momentum * read_at(u->slots[0], u->dtype, i);
      write_at(u->slots[0], u->dtype, i, m);
      j->x[y * j->columns + x] = s->nesterov ? g + s->momentum * m : m;
    }
}

/* gram = x xᵀ */
static void gram_rows(void *context, int64_t begin, int64_t end) {
  const job *j = context;
  for (int64_t y = begin; y < end; y++)
    for (int64_t k = 0; k < j->rows; k++) {
      const double *a = j->x + y * j->columns, *b = j->x + k * j->columns;
      double sums[8] = {0}, sum = 0;
      int64_t i = 0;
      for (; i + 8 <= j->columns; i += 8)
        for (int l = 0; l < 8; l++) sums[l] += a[i + l] * b[i + l];
      for (; i < j->columns; i++) sum += a[i] * b[i];
      for (int l = 0; l < 8; l++) sum += sums[l];
      j->gram[y * j->rows + k] = sum;
    }
}

/* to = scale * from + by * left × right, with rows × n matrices from, right and to. */
static void product_row(double *to, double scale, const double *from, double by, const double *left, const double *right,
                        int64_t rows, int64_t n) {
  memset(to, 0, (size_t)n * sizeof *to);
  for (int64_t k = 0; k < rows; k++)
    for (int64_t x = 0; x < n; x++) to[x] += left[k] * right[k * n + x];
  for (int64_t x = 0; x < n; x++) to[x] = scale * from[x] + by * to[x];
}

/* poly = b gram + c gram² */
static void poly_rows(void *context, int64_t begin, int64_t end) {
  const job *j = context;
  const int64_t n = j->rows;
  for (int64_t y = begin; y < end; y++)
    product_row(j->poly + y * n, j->b, j->gram + y * n, j->c, j->gram + y * n, j->gram, n, n);
}

static void next_rows(void *context, int64_t begin, int64_t end) {
  const job *j = context;
  for (int64_t y = begin; y < end; y++)
    product_row(j->next + y * j->columns, j->a, j->x + y * j->columns, 1, j->poly + y * j->rows, j->x, j->rows,
                j->columns);
}

static void move_rows(void *context, int64_t begin, int64_t end) {
  const job *j = context;
  for (int64_t y = begin; y < end; y++)
    for (int64_t x = 0; x < j->columns; x++) {
      const int64_t i = y * j->down + x * j->across;
      write_at(j->u->value, j->u->dtype, i, read_at(j->u->value, j->u->dtype, i) - j->by * j->x[y * j->columns + x]);
    }
}

static void orthogonalise(job *j, int64_t steps) {
  const int64_t n = j->rows * j->columns;
  const double norm = sqrt(cn_sum_of_squares(j->x, CORNU_FLOAT64, n)) + 1e-7;
  for (int64_t i = 0; i < n; i++) j->x[i] /= norm;
  for (int64_t i = 0; i < steps; i++) {
    cn_parallel_range(j->rows, 1, gram_rows, j);
    cn_parallel_range(j->rows, 1, poly_rows, j);
    cn_parallel_range(j->rows, 1, next_rows, j);
    double *x = j->x;
    j->x = j->next;
    j->next = x;
  }
}

static cn_status update_all(const cn_update *u, cn_error *e) {
  const settings *s = u->settings;
  if (u->slots[1]) return update_by_adam(u);
  const bool tall = u->shape[0] > u->shape[1];
  job j = {.u = u, .rows = u->shape[tall], .columns = u->shape[!tall], .down = tall ? 1 : u->shape[1],
           .across = tall ? u->shape[1] : 1, .a = s->muon_a, .b = s->muon_b, .c = s->muon_c};
  double *room = cn_alloc(2 * (size_t)(u->size + j.rows * j.rows) * sizeof *room);
  if (!room) return cn_no_memory(e);
  j.x = room, j.next = j.x + u->size, j.gram = j.next + u->size, j.poly = j.gram + j.rows * j.rows;
  cn_parallel_range(j.rows, 1, begin_rows, &j);
  orthogonalise(&j, s->ns_steps);
  j.by = u->rate * (isnan(s->rms_rate) ? 1 : sqrt((double)(tall ? u->shape[0] : u->shape[1])) * s->rms_rate);
  cn_parallel_range(j.rows, 1, move_rows, &j);
  cn_free(room);
  return CORNU_OK;
}

const cn_optimizer_type cn_optimizer_muon = {
    .name = "Muon",
    .help = "Steps of matrices have singular values of about 1, by polynomials of the momentum; all else is left to "
            "AdamW",
    .settings_size = sizeof(settings),
    .fields = fields,
    .slots = slots,
    .seconds = CN_SECONDS_SQUARES,
    .keeps = keeps,
    .weight_decay = weight_decay,
    .update_all = update_all,
};
