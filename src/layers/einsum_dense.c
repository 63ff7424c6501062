/* EinsumDense: act(einsum(equation, x, kernel) + bias). */
#include <string.h>

#include "base/text.h"
#include "layers/einsum.h"
#include "layers/lora.h"
#include "layers/part.h"
#include "layers/quantised.h"
#include "ops/ops.h"

typedef struct settings {
  const char *equation, *bias_axes;
  const cn_value *output_shape;
  cn_activation activation;
  cn_quantised quantised;
  cn_kernel_form form;   /* once built */
} settings;

static const cn_field fields[] = {
    {.name = "equation", .kind = CN_F_STRING, .offset = offsetof(settings, equation),
     .help = CN_HELP("as \"abc,cd->abd\"; \"...\" stands for all other axes of the input and the output")},
    {.name = "output_shape", .kind = CN_F_VALUE, .offset = offsetof(settings, output_shape),
     .help = CN_HELP("without the batch and what \"...\" stands for; a number or a list, null: the input's size")},
    {.name = "activation", .kind = CN_F_ACTIVATION, .offset = offsetof(settings, activation), .standard = "null",
     .help = CN_HELP("applied to the result")},
    {.name = "bias_axes", .kind = CN_F_STRING, .offset = offsetof(settings, bias_axes), .standard = "null",
     .help = CN_HELP("the axes of the result along which a bias is added; null: none")},
    {.name = "gptq_unpacked_column_size", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("the sizes tell")},
    CN_KERNEL_ROWS,
    {0}};

/* The equation with a letter for every axis, and the sizes of the result (-1: unknown). */
typedef struct plan {
  char in[CN_MAX_RANK + 1], kernel[CN_MAX_RANK + 1], out[CN_MAX_RANK + 1];
  int64_t out_shape[CN_MAX_RANK];
  int kernel_rank, bias_rank;
  int64_t kernel_shape[CN_MAX_RANK], bias_shape[CN_MAX_RANK];
} plan;

static cn_status bad_equation(const settings *s, const cn_type *x, cn_error *e) {
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"equation\" is \"%s\", which does not fit an input of shape %s and the output "
                 "shape %s: expected \"abc,cd->abd\", \"...c,cd->...d\" or \"abc...,cd->abd...\"", s->equation,
                 CN_SHAPE(x->rank, x->shape), cn_value_show(s->output_shape, (char[80]){0}, 80));
}

/* Letters of one side of the equation, the ellipsis as capital letters that no operand has; false: not of this form. */
static bool expand(const char *from, size_t length, int elided, char *out) {
  int n = 0;
  for (size_t i = 0; i < length; i++) {
    if (from[i] == ' ') continue;
    if (length - i >= 3 && memcmp(from + i, "...", 3) == 0) {
      for (int k = 0; k < elided; k++) {
        if (n == CN_MAX_RANK) return false;
        out[n++] = (char)('0' + k);
      }
      i += 2;
      continue;
    }
    bool letter = (from[i] >= 'a' && from[i] <= 'z') || (from[i] >= 'A' && from[i] <= 'Z');
    if (!letter || n == CN_MAX_RANK) return false;
    out[n++] = from[i];
  }
  out[n] = 0;
  return n > 0;
}

static int count_letters(const char *s, size_t length) {
  int n = 0;
  for (size_t i = 0; i < length; i++) n += s[i] != '.' && s[i] != ' ';
  return n;
}

static bool parse(const settings *s, const cn_type *x, plan *p, int *elided, bool *left) {
  const char *comma = strchr(s->equation, ','), *arrow = comma ? strstr(comma, "->") : NULL;
  if (!arrow) return false;
  size_t in = (size_t)(comma - s->equation);
  bool dots = strstr(s->equation, "...") != NULL;
  *elided = x->rank - count_letters(s->equation, in);
  *left = strncmp(s->equation, "...", 3) == 0;
  return *elided >= 0 && (dots || *elided == 0) && expand(s->equation, in, *elided, p->in) &&
         expand(comma + 1, (size_t)(arrow - comma) - 1, 0, p->kernel) &&
         expand(arrow + 2, strlen(arrow + 2), *elided, p->out);
}

/* The batch, what is elided on the left, the config's sizes, what is elided on the right. */
static bool result_sizes(const settings *s, const cn_type *x, plan *p, int elided, bool left) {
  const cn_value *v = s->output_shape;
  int n = 0, count = cn_value_is(v, CORNU_LIST) ? v->count : 1, wanted = (int)strlen(p->out);
  if (count + elided + 1 > CN_MAX_RANK + 1 || x->rank < 1) return false;
  p->out_shape[n++] = x->shape[0];
  for (int i = 1; left && i < elided; i++) p->out_shape[n++] = x->shape[i];
  for (int i = 0; i < count && n < CN_MAX_RANK; i++) {
    const cn_value *item = cn_value_is(v, CORNU_LIST) ? v->items[i] : v;
    p->out_shape[n] = -1;
    if (!cn_value_is_null(item) && !cn_value_integer(item, &p->out_shape[n])) return false;
    n++;
  }
  for (int i = x->rank - elided; !left && i < x->rank && n < CN_MAX_RANK; i++) p->out_shape[n++] = x->shape[i];
  return n == wanted;
}

static int64_t size_of(const plan *p, const cn_type *x, char axis) {
  const char *out = strchr(p->out, axis), *in = strchr(p->in, axis);
  int64_t size = out ? p->out_shape[out - p->out] : -1;
  return size >= 0 || !in ? size : x->shape[in - p->in];
}

static cn_status make_plan(const settings *s, const cn_type *x, plan *p, cn_error *e) {
  int elided;
  bool left;
  *p = (plan){.kernel_rank = 0};
  if (!parse(s, x, p, &elided, &left) || !result_sizes(s, x, p, elided, left)) return bad_equation(s, x, e);
  for (const char *axis = p->kernel; *axis; axis++) {
    if (!strchr(p->out, *axis) && !strchr(p->in, *axis)) return bad_equation(s, x, e);
    p->kernel_shape[p->kernel_rank++] = size_of(p, x, *axis);
  }
  bool begun = false;
  for (const char *axis = p->out; s->bias_axes && *axis; axis++) {
    begun |= strchr(s->bias_axes, *axis) != NULL;
    if (begun) p->bias_shape[p->bias_rank++] = strchr(s->bias_axes, *axis) ? size_of(p, x, *axis) : 1;
  }
  return CORNU_OK;
}

static cn_status check(cn_layer *l, cn_error *e) {
  return cn_quantised_parse(l, false, ~0u, &((settings *)l->settings)->quantised, e);
}

/* GPTQ and AWQ take the longest dimension of three for one side of their matrix, the two others for the other. */
static cn_status split_sides(cn_kernel_form *k, cn_error *e) {
  const int64_t *d = k->shape;
  if (k->rank != 2 && k->rank != 3)
    return cn_fail(e, CORNU_ERR_SHAPE, "the kernel %s is quantised as a matrix: expected 2 or 3 dimensions",
                   CN_SHAPE(k->rank, d));
  bool first = k->rank == 2 || (d[0] >= d[1] && d[0] >= d[2]);
  k->rows = first ? d[0] : cn_dim_mul(d[0], d[1]);
  k->columns = k->rank == 2 ? d[1] : first ? cn_dim_mul(d[1], d[2]) : d[2];
  return CORNU_OK;
}

/* int8 has a scale for each position along the result's axes that the kernel has; int4 joins those that are summed. */
static cn_status make_form(const settings *s, const plan *p, cn_kernel_form *k, cn_error *e) {
  *k = (cn_kernel_form){.rank = p->kernel_rank, .bias_rank = s->bias_axes ? p->bias_rank : -1, .rows = 1, .columns = 1};
  memcpy(k->shape, p->kernel_shape, sizeof k->shape);
  memcpy(k->bias_shape, p->bias_shape, sizeof k->bias_shape);
  for (const char *axis = p->out; *axis; axis++) {
    const char *own = strchr(p->kernel, *axis);
    k->scale_shape[k->scale_rank++] = own ? p->kernel_shape[own - p->kernel] : 1;
  }
  for (int i = 0; i < k->rank; i++) {
    int64_t *side = strchr(p->out, p->kernel[i]) ? &k->columns : &k->rows;
    *side = cn_dim_mul(*side, k->shape[i]);
  }
  bool sides = s->quantised.mode == CN_QUANTISED_GPTQ || s->quantised.mode == CN_QUANTISED_AWQ;
  return sides ? split_sides(k, e) : CORNU_OK;
}

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  settings *s = l->settings;
  plan p;
  CN_TRY(make_plan(s, in, &p, e));
  CN_TRY(make_form(s, &p, &s->form, e));
  CN_TRY(cn_quantised_build(l, &s->quantised, &s->form, e));
  const int kernel = cn_layer_find_weight(l, "kernel");
  for (int i = 0; p.kernel[i] && kernel >= 0 && cn_origin_at_least(&l->origin, 3, 15, 0); i++) {
    cn_ints *axes = strchr(p.out, p.kernel[i]) ? &l->weights[kernel].fan_out : &l->weights[kernel].fan_in;
    axes->v[axes->n++] = i;
  }
  return CORNU_OK;
}

/* Keras does not write down that it quantised the projections of an attention layer: their arrays tell. */
static void settle_mode(settings *s, cn_tensor *const *arrays, int n) {
  int more = n - (s->form.bias_rank < 0 ? 1 : 2);
  if (s->quantised.mode != CN_QUANTISED_NONE || n < 2) return;
  if (more == 6) s->quantised.mode = CN_QUANTISED_FLOAT8;
  if (more == 6 && arrays[n - 1]->rank == 1) s->quantised.history = arrays[n - 1]->shape[0];
  if (arrays[0]->dtype != CORNU_INT8) return;
  bool whole = cn_shape_equal(arrays[0]->rank, arrays[0]->shape, s->form.rank, s->form.shape);
  s->quantised.mode = whole ? CN_QUANTISED_INT8 : CN_QUANTISED_INT4;
  s->quantised.inputs = whole;
  const cn_tensor *groups = arrays[n - 1];
  int64_t block = 1;
  if (more != 3 || groups->rank != 1) return;
  while (block < groups->shape[0] && cornu_tensor_get(groups, &block) == 0) block++;
  s->quantised.block = block;
}

static cn_status import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  settings *s = l->settings;
  cn_quantised_mode before = s->quantised.mode;
  settle_mode(s, arrays, *n);
  if (s->quantised.mode != before) {
    while (l->n_weights > 0) cornu_tensor_release(l->weights[--l->n_weights].value);
    CN_TRY(cn_quantised_build(l, &s->quantised, &s->form, e));
  }
  return cn_quantised_import(l, arrays, n, e);
}

/* The inputs' scale, which is 1 along what is summed, with the axes of the result. */
static cn_edge scale_of_result(cn_trace *t, const plan *p, cn_edge scale) {
  char kept[CN_MAX_RANK + 1] = {0};
  cn_ints_attrs order = {.v = {.n = 0}};
  cn_reduce_attrs summed = {.axes = {.n = 0}};
  int n = 0;
  if (scale == CN_NO_EDGE || t->status) return CN_NO_EDGE;
  for (int i = 0; p->in[i]; i++) {
    if (strchr(p->out, p->in[i])) kept[n++] = p->in[i];
    else summed.axes.v[summed.axes.n++] = i;
  }
  if (summed.axes.n) scale = cn_emit1(t, &cn_op_squeeze, &summed, scale);
  for (const char *axis = p->out; *axis; axis++)
    if (strchr(kept, *axis)) order.v.v[order.v.n++] = strchr(kept, *axis) - kept;
  scale = cn_emit1(t, &cn_op_transpose, &order, scale);
  for (int i = 0; p->out[i]; i++)
    if (!strchr(kept, p->out[i])) scale = cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){i}, scale);
  return scale;
}

static cn_edge quantised_inputs(cn_layer *l, cn_trace *t, const plan *p, cn_edge x, cn_edge *scale) {
  cn_ints summed = {.n = 0};
  for (int i = 0; p->in[i]; i++)
    if (!strchr(p->out, p->in[i])) summed.v[summed.n++] = i;
  return cn_quantised_inputs(l, t, &((const settings *)l->settings)->quantised, x, &summed, scale);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data), whole, scale = CN_NO_EDGE;
  const cn_type type = *cn_edge_type(t, x);
  plan p = {.kernel_rank = 0};
  if (!t->status) t->status = make_plan(s, &type, &p, t->error);
  if (t->status) return;
  whole = quantised_inputs(l, t, &p, x, &scale);
  bool plain = s->quantised.mode == CN_QUANTISED_NONE;
  cn_edge kernel = cn_quantised_kernel(l, t, &s->quantised, &s->form), bias = cn_quantised_bias(l, t, &s->quantised);
  cn_edge delta = plain ? CN_NO_EDGE : cn_lora_delta(l, t, "kernel"), y;
  if (plain && bias != CN_NO_EDGE) {
    y = cn_emit_einsum_dense(t, p.in, x, p.kernel, kernel, p.out, bias);
  } else {
    y = cn_emit_einsum(t, p.in, whole, p.kernel, kernel, p.out);
    y = cn_quantised_result(l, t, &s->quantised, y, scale_of_result(t, &p, scale));
    if (delta != CN_NO_EDGE) y = cn_emit2(t, &cn_op_add, NULL, y, cn_emit_einsum(t, p.in, x, p.kernel, delta, p.out));
    if (bias != CN_NO_EDGE) y = cn_emit2(t, &cn_op_add, NULL, y, bias);
  }
  cn_call_return(t, c, cn_activation_emit(t, &s->activation, y), CN_NO_EDGE);
}

const cn_layer_type cn_layer_einsum_dense = {
    .name = "EinsumDense",
    .versions = "2 3",
    .help = CN_HELP("activation(einsum(equation, x, kernel) + bias)"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .build = build,
    .lower = lower,
    .import = import,
};
