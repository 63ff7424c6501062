/* EinsumDense: act(einsum(equation, x, kernel) + bias). */
#include <string.h>

#include "base/text.h"
#include "layers/einsum.h"
#include "ops/ops.h"

typedef struct settings {
  const char *equation, *bias_axes;
  const cn_value *output_shape;
  cn_activation activation;
} settings;

static const cn_field fields[] = {
    {.name = "equation", .kind = CN_F_STRING, .offset = offsetof(settings, equation),
     .help = "as \"abc,cd->abd\"; \"...\" stands for all other axes of the input and the output"},
    {.name = "output_shape", .kind = CN_F_VALUE, .offset = offsetof(settings, output_shape),
     .help = "without the batch and what \"...\" stands for; a number or a list, null: the input's size"},
    {.name = "activation", .kind = CN_F_ACTIVATION, .offset = offsetof(settings, activation), .standard = "null",
     .help = "applied to the result"},
    {.name = "bias_axes", .kind = CN_F_STRING, .offset = offsetof(settings, bias_axes), .standard = "null",
     .help = "the axes of the result along which a bias is added; null: none"},
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

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)n_in;
  const settings *s = l->settings;
  plan p;
  CN_TRY(make_plan(s, in, &p, e));
  CN_TRY(cn_layer_add_weight(l, "kernel", p.kernel_rank, p.kernel_shape, true,
                             cn_value_find(l->config, "kernel_initializer"), e));
  if (!s->bias_axes) return CORNU_OK;
  return cn_layer_add_weight(l, "bias", p.bias_rank, p.bias_shape, true, cn_value_find(l->config, "bias_initializer"),
                             e);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = cn_emit_compute(t, c->in[0].data);
  const cn_type type = *cn_edge_type(t, x);
  plan p = {.kernel_rank = 0};
  if (!t->status) t->status = make_plan(s, &type, &p, t->error);
  cn_edge y = cn_emit_einsum(t, p.in, x, p.kernel, cn_layer_weight_edge(l, t, "kernel"), p.out);
  cn_edge bias = cn_layer_weight_edge(l, t, "bias");
  if (bias != CN_NO_EDGE) y = cn_emit2(t, &cn_op_add, NULL, y, bias);
  cn_call_return(t, c, cn_activation_emit(t, &s->activation, y), c->in[0].mask);
}

const cn_layer_type cn_layer_einsum_dense = {
    .name = "EinsumDense",
    .versions = "2 3",
    .help = "activation(einsum(equation, x, kernel) + bias)",
    .flags = CN_MASK_PASSES,
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
};
