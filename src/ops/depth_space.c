/* depth_to_space and space_to_depth: blocks of n x n pixels, one after another in the channels of one pixel. */
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/gradient.h"
#include "ops/ops.h"

static int64_t block_of(const void *attrs) { return ((const cn_block_attrs *)attrs)->n; }

static cn_status want_multiple(const char *op, const char *what, int64_t n, int64_t of, cn_error *e) {
  if (n < 0 || n % of == 0) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_SHAPE, "%s: %s is %lld, expected a multiple of %lld", op, what, (long long)n,
                 (long long)of);
}

static int64_t divided(int64_t n, int64_t by) { return n < 0 ? n : n / by; }

static cn_status depth_shape(cn_typing *t, cn_error *e) {
  int64_t n = block_of(t->attrs);
  const cn_type *x = &t->in[0];
  CN_TRY(cn_want_rank(x, "depth_to_space: input", 4, 4, e));
  CN_TRY(want_multiple("depth_to_space", "the number of channels", x->shape[3], n * n, e));
  t->out[0] = *x;
  for (int i = 1; i < 3; i++) t->out[0].shape[i] = cn_dim_mul(x->shape[i], n);
  t->out[0].shape[3] = divided(x->shape[3], n * n);
  return CORNU_OK;
}

static cn_status space_shape(cn_typing *t, cn_error *e) {
  int64_t n = block_of(t->attrs);
  const cn_type *x = &t->in[0];
  CN_TRY(cn_want_rank(x, "space_to_depth: input", 4, 4, e));
  t->out[0] = *x;
  for (int i = 1; i < 3; i++) {
    CN_TRY(want_multiple("space_to_depth", i == 1 ? "the height" : "the width", x->shape[i], n, e));
    t->out[0].shape[i] = divided(x->shape[i], n);
  }
  t->out[0].shape[3] = cn_dim_mul(x->shape[3], n * n);
  return CORNU_OK;
}

/* Rows of the wide image: row y of it is the y % n-th part of each deep pixel in row y / n. */
static void rows(const cn_step *s, bool deepen, int64_t begin, int64_t end) {
  const cn_operand *wide = s->in[0], *deep = s->out[0];
  if (!deepen) wide = s->out[0], deep = s->in[0];
  int64_t n = block_of(s->attrs);
  size_t part = (size_t)(n * wide->shape[3]) * cornu_dtype_bytes(wide->dtype);
  for (int64_t r = begin; r < end; r++) {
    char *w = (char *)wide->data + (size_t)(r * deep->shape[2]) * part;
    char *d = (char *)deep->data + (size_t)(r / n * deep->shape[2] * n + r % n) * part;
    for (int64_t x = 0; x < deep->shape[2]; x++, w += part, d += part * (size_t)n)
      memcpy(deepen ? d : w, deepen ? w : d, part);
  }
}

static void to_depth(void *context, int64_t begin, int64_t end) { rows(context, true, begin, end); }
static void to_space(void *context, int64_t begin, int64_t end) { rows(context, false, begin, end); }

static void run_rows(const cn_step *s, const cn_operand *wide, void (*task)(void *, int64_t, int64_t)) {
  if (wide->size > 0)
    cn_parallel_range(wide->shape[0] * wide->shape[1], 16384 / (wide->shape[2] * wide->shape[3]) + 1, task, (void *)s);
}
static void depth_run(const cn_step *s) { run_rows(s, s->out[0], to_space); }
static void space_run(const cn_step *s) { run_rows(s, s->in[0], to_depth); }

static cn_status depth_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = depth_run;
  return CORNU_OK;
}
static cn_status space_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  (void)p, (void)e;
  s->run = space_run;
  return CORNU_OK;
}

static void gradient(cn_gradient *g) {
  const cn_op *back = g->op == &cn_op_depth_to_space ? &cn_op_space_to_depth : &cn_op_depth_to_space;
  g->dx[0] = cn_g1(g, back, g->attrs, g->dy[0]);
}

static const cn_field fields[] = {
    {.name = "block_size", .kind = CN_F_INT, .offset = offsetof(cn_block_attrs, n), .min = 1, .max = 1 << 12,
     .help = CN_HELP("side of a block")},
    {0}};
const cn_op cn_op_depth_to_space = {
    .name = "depth_to_space",
    .help = CN_HELP("the channels of a pixel become a block of pixels\n(b, h, w, c) -> (b, h n, w n, c / n²)"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_block_attrs),
    .fields = fields,
    .shape = depth_shape,
    .plan = depth_plan,
    .gradient = CN_GRADIENT(gradient),
};
const cn_op cn_op_space_to_depth = {
    .name = "space_to_depth",
    .help = CN_HELP("a block of pixels becomes the channels of one\n(b, h, w, c) -> (b, h / n, w / n, c n²)"),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs_size = sizeof(cn_block_attrs),
    .fields = fields,
    .shape = space_shape,
    .plan = space_plan,
    .gradient = CN_GRADIENT(gradient),
};
