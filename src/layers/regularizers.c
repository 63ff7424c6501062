/* Regularizers: what is added to the loss for the size of weights, or of what a layer gives. */
#include "base/text.h"
#include "layers/emit.h"
#include "layers/part.h"

static cn_edge total(cn_trace *t, cn_edge x) {
  return cn_emit1(t, &cn_op_sum, &(cn_reduce_attrs){.axes = {.n = -1}}, x);
}

/* ---- Of each element ---- */

typedef struct penalty { double l1, l2; } penalty;

#define FACTOR(key, other, text, words)                                                                       \
  {.name = #key, .aliases = other, .kind = CN_F_FLOAT, .offset = offsetof(penalty, key), .standard = text, .min = 0, \
   .max = 1e30, .help = CN_HELP(words)}
#define L1 "times the sum of absolute values"
#define L2 "times the sum of squares"
static const cn_field l1_fields[] = {FACTOR(l1, "l", "0.01", L1), {0}};
static const cn_field l2_fields[] = {FACTOR(l2, "l", "0.01", L2), {0}};
static const cn_field both_fields[] = {FACTOR(l1, NULL, "0", L1), FACTOR(l2, NULL, "0", L2), {0}};
static const cn_field old_fields[] = {FACTOR(l1, NULL, "0.01", L1), FACTOR(l2, NULL, "0.01", L2), {0}};

static cn_edge scaled(cn_trace *t, cn_edge x, double factor) {
  return factor == 0 ? CN_NO_EDGE : cn_emit2(t, &cn_op_mul, NULL, total(t, x), cn_emit_like(t, x, factor));
}

static cn_edge sizes(cn_trace *t, const void *settings, cn_edge x) {
  const penalty *p = settings;
  const cn_edge one = p->l1 > 0 ? scaled(t, cn_emit1(t, &cn_op_abs, NULL, x), p->l1) : CN_NO_EDGE;
  const cn_edge two = p->l2 > 0 ? scaled(t, cn_emit1(t, &cn_op_square, NULL, x), p->l2) : CN_NO_EDGE;
  if (one != CN_NO_EDGE && two != CN_NO_EDGE) return cn_emit2(t, &cn_op_add, NULL, one, two);
  return one != CN_NO_EDGE ? one : two != CN_NO_EDGE ? two : cn_emit_like(t, x, 0);
}

/* ---- Of matrices ---- */

static bool is_matrix(cn_trace *t, cn_edge x) {
  const cn_type *type = cn_edge_type(t, x);
  if (type->rank != 2) cn_trace_fail(t, CORNU_ERR_SHAPE, "it takes a matrix, not %s",
                                     CN_SHAPE(type->rank, type->shape));
  return !t->status;
}

typedef struct orthogonal { double factor; int mode; } orthogonal;
enum { ROWS, COLUMNS };

static const cn_field orthogonal_fields[] = {
    {.name = "factor", .kind = CN_F_FLOAT, .offset = offsetof(orthogonal, factor), .standard = "0.01", .min = 0,
     .max = 1e30,
     .help = CN_HELP("times the mean of absolute cosines")},
    {.name = "mode", .kind = CN_F_ENUM, .offset = offsetof(orthogonal, mode), .standard = "\"rows\"",
     .choices = "rows columns", .help = CN_HELP("between what")}, {0}};

/* The mean of the cosines' absolute values between different rows (columns). */
static cn_edge cosines(cn_trace *t, const void *settings, cn_edge x) {
  const orthogonal *s = settings;
  if (!is_matrix(t, x)) return CN_NO_EDGE;
  const cn_type type = *cn_edge_type(t, x);
  const cn_reduce_attrs along = {.axes = {1, {s->mode == ROWS}}, .keepdims = true};
  const cn_edge square = cn_emit1(t, &cn_op_sum, &along, cn_emit1(t, &cn_op_square, NULL, x));
  const cn_edge bounded = cn_emit2(t, &cn_op_maximum, NULL, square, cn_emit_like(t, x, 1e-12));
  const cn_edge unit = cn_emit2(t, &cn_op_mul, NULL, x, cn_emit1(t, &cn_op_rsqrt, NULL, bounded));
  const cn_matmul_attrs product = {.transpose_a = s->mode == COLUMNS, .transpose_b = s->mode == ROWS};
  const double n = (double)type.shape[s->mode == COLUMNS];
  const cn_edge places = cn_emit_counter(t, CORNU_INT64, (int64_t)n, 1, 0);
  const cn_edge others = cn_emit_cast(t, cn_emit2(t, &cn_op_not_equal, NULL, cn_emit_new_axis(t, places, 1), places),
                                      type.dtype);
  const cn_edge all = cn_emit1(t, &cn_op_abs, NULL, cn_emit2(t, &cn_op_matmul, &product, unit, unit));
  const cn_edge sum = total(t, cn_emit2(t, &cn_op_mul, NULL, all, others));
  return cn_emit2(t, &cn_op_mul, NULL, sum, cn_emit_like(t, x, n > 1 ? s->factor / (n * (n - 1)) : 0));
}

typedef struct eigenvalue { double k; } eigenvalue;
static const cn_field eigenvalue_fields[] = {
    {.name = "k", .kind = CN_F_FLOAT, .offset = offsetof(eigenvalue, k), .min = 0, .max = 1e30,
     .help = CN_HELP("times the largest singular value, as nine steps of the power method have it")}, {0}};

static cn_edge largest(cn_trace *t, const void *settings, cn_edge x) {
  enum { STEPS = 9 };
  if (!is_matrix(t, x)) return CN_NO_EDGE;
  const cn_type type = *cn_edge_type(t, x);
  const cn_edge squares = cn_emit2(t, &cn_op_matmul, &(cn_matmul_attrs){.transpose_a = true}, x, x);
  const cn_edge ones = cn_emit2(t, &cn_op_add, NULL, cn_emit_counter(t, type.dtype, type.shape[1], 0, 0),
                                cn_emit_like(t, x, 1));
  cn_edge v = cn_emit_new_axis(t, ones, 1);
  for (int i = 0; i < STEPS; i++) v = cn_emit2(t, &cn_op_matmul, &(cn_matmul_attrs){0}, squares, v);
  const cn_edge moved = cn_emit2(t, &cn_op_matmul, &(cn_matmul_attrs){0}, squares, v);
  const cn_edge value = cn_emit2(t, &cn_op_div, NULL, total(t, cn_emit2(t, &cn_op_mul, NULL, moved, v)),
                                 total(t, cn_emit1(t, &cn_op_square, NULL, v)));
  return cn_emit2(t, &cn_op_mul, NULL, cn_emit1(t, &cn_op_sqrt, NULL, value),
                  cn_emit_like(t, x, ((const eigenvalue *)settings)->k));
}

const cn_part_type cn_regularizers[] = {
    {.name = "L1", .aliases = "l1 activity_l1", .versions = "1 2 3", .help = CN_HELP("l1 * sum(|x|)"),
     .settings_size = sizeof(penalty), .fields = l1_fields, .emit = sizes},
    {.name = "L2", .aliases = "l2 activity_l2", .versions = "1 2 3", .help = CN_HELP("l2 * sum(x^2)"),
     .settings_size = sizeof(penalty), .fields = l2_fields, .emit = sizes},
    {.name = "l1_l2", .aliases = "l1l2 activity_l1l2", .versions = "1 2",
     .help = CN_HELP("l1 * sum(|x|) + l2 * sum(x^2)"),
     .settings_size = sizeof(penalty), .fields = old_fields, .emit = sizes},
    {.name = "L1L2", .aliases = "l1l2 L1L2Regularizer WeightRegularizer ActivityRegularizer", .versions = "1 2 3",
     .help = CN_HELP("l1 * sum(|x|) + l2 * sum(x^2)"), .settings_size = sizeof(penalty), .fields = both_fields,
     .emit = sizes},
    {.name = "OrthogonalRegularizer", .aliases = "orthogonal_regularizer", .versions = "2 3",
     .help = CN_HELP("factor times the mean of the absolute cosines between the rows of a matrix, or its columns"),
     .settings_size = sizeof(orthogonal), .fields = orthogonal_fields, .emit = cosines},
    {.name = "EigenvalueRegularizer", .versions = "1",
     .help = CN_HELP("k times the largest singular value of a matrix"),
     .settings_size = sizeof(eigenvalue), .fields = eigenvalue_fields, .emit = largest},
    {0}};
