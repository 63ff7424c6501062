/* Activations by name. */
#include "layers/activation.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "layers/layer.h"
#include "ops/ops.h"

static const struct { const char *names; cn_act act; } elements[] = {
    {"linear", {CN_ACT_LINEAR, 0, 0, 0}},
    {"relu", {CN_ACT_RELU, 0, INFINITY, 0}},
    {"relu6", {CN_ACT_RELU, 0, 6, 0}},
    {"leaky_relu", {CN_ACT_RELU, 0.2f, INFINITY, 0}},
    {"elu", {CN_ACT_ELU, 1, 0, 0}},
    {"selu", {CN_ACT_SELU, 0, 0, 0}},
    {"celu", {CN_ACT_CELU, 1, 0, 0}},
    {"sigmoid", {CN_ACT_SIGMOID, 0, 0, 0}},
    {"hard_sigmoid", {CN_ACT_HARD_SIGMOID, 0.2, 0.5, 0}},
    {"log_sigmoid", {CN_ACT_LOG_SIGMOID, 0, 0, 0}},
    {"tanh", {CN_ACT_TANH, 0, 0, 0}},
    {"hard_tanh", {CN_ACT_HARD_TANH, 0, 0, 0}},
    {"tanh_shrink", {CN_ACT_TANH_SHRINK, 0, 0, 0}},
    {"softplus", {CN_ACT_SOFTPLUS, 0, 0, 0}},
    {"softsign", {CN_ACT_SOFTSIGN, 0, 0, 0}},
    {"exponential exp", {CN_ACT_EXPONENTIAL, 0, 0, 0}},
    {"silu swish", {CN_ACT_SILU, 0, 0, 0}},
    {"hard_silu hard_swish", {CN_ACT_HARD_SILU, 0, 0, 0}},
    {"gelu", {CN_ACT_GELU, 0, 0, 0}},
    {"mish", {CN_ACT_MISH, 0, 0, 0}},
    {"soft_shrink", {CN_ACT_SOFT_SHRINK, 0.5, 0, 0}},
    {"hard_shrink", {CN_ACT_HARD_SHRINK, 0.5, 0, 0}},
    {"squareplus", {CN_ACT_SQUAREPLUS, 4, 0, 0}},
    {"sparse_plus", {CN_ACT_SPARSE_PLUS, 0, 0, 0}},
    {"sparse_sigmoid", {CN_ACT_SPARSE_SIGMOID, 0, 0, 0}},
};

static cn_status by_name(const char *name, const cn_origin *origin, cn_activation *out, cn_error *e) {
  *out = (cn_activation){.axis = -1};
  if (strcmp(name, "softmax") == 0) out->kind = CN_ACTIVATION_SOFTMAX;
  else if (strcmp(name, "log_softmax") == 0) out->kind = CN_ACTIVATION_LOG_SOFTMAX;
  else if (strcmp(name, "sparsemax") == 0) out->kind = CN_ACTIVATION_SPARSEMAX;
  else if (strcmp(name, "glu") == 0) out->kind = CN_ACTIVATION_GLU;
  if (out->kind != CN_ACTIVATION_ELEMENT) return CORNU_OK;
  for (int i = 0; i < CN_COUNT(elements); i++) {
    if (!cn_word_in(elements[i].names, name, NULL)) continue;
    out->act = elements[i].act;
    if (out->act.kind == CN_ACT_HARD_SIGMOID && origin->keras >= 3) out->act.a = 1.0 / 6;
    return CORNU_OK;
  }
  cn_text all = {0};
  for (int i = 0; i < CN_COUNT(elements); i++) cn_text_addf(&all, "%s ", elements[i].names);
  cn_text_add(&all, "softmax log_softmax sparsemax glu");
  char nearest[80];
  bool near = all.data && cn_nearest_name(name, all.data, nearest, sizeof nearest);
  cn_text_free(&all);
  return cn_fail(e, CORNU_ERR_UNSUPPORTED, "unknown activation \"%s\"%s%s%s; if it is a function of your own, "
                 "give a handler: custom_objects = { %s = function(x, layer) … end }", name,
                 near ? ": did you mean \"" : "", near ? nearest : "", near ? "\"?" : "", name);
}

cn_status cn_activation_parse(const cn_value *v, const cn_origin *origin, cn_activation *out, cn_error *e) {
  if (cn_value_is_null(v)) return by_name("linear", origin, out, e);
  if (cn_value_str(v)) return by_name(v->s, origin, out, e);
  const char *class_name = cn_value_str(cn_value_find(v, "class_name"));
  const cn_value *config = cn_value_find(v, "config");
  if (class_name && strcmp(class_name, "function") == 0 && cn_value_str(config))
    return by_name(config->s, origin, out, e);
  if (!class_name)
    return cn_fail(e, CORNU_ERR_FORMAT, "is %s, expected the name of an activation",
                   cn_value_show(v, (char[80]){0}, 80));
  char snake[80];
  cn_error ignored;
  cn_snake_case(class_name, snake, sizeof snake);
  if (!cn_layer_type_find(class_name) && cn_value_str(cn_value_find(config, "name")) == NULL &&
      by_name(snake, origin, out, &ignored) == CORNU_OK)
    return CORNU_OK;
  *out = (cn_activation){.kind = CN_ACTIVATION_LAYER};
  return cn_layer_new(v, origin, NULL, &out->layer, e);
}

bool cn_activation_is_linear(const cn_activation *a) {
  return a->kind == CN_ACTIVATION_ELEMENT && a->act.kind == CN_ACT_LINEAR;
}

cn_act cn_activation_epilogue(const cn_activation *a) {
  return a->kind == CN_ACTIVATION_ELEMENT ? a->act : (cn_act){CN_ACT_LINEAR, 0, 0, 0};
}

static cn_edge gated(cn_trace *t, cn_edge x) {
  cn_edge half;
  cn_split_attrs split = {-1, 2};
  if (cn_emit_many(t, &cn_op_split, &split, &x, 1, &half) != 2) return CN_NO_EDGE;
  cn_edge gate = cn_emit1(t, &cn_op_activation, &(cn_act_attrs){.act = {CN_ACT_SIGMOID, 0, 0, 0}}, half + 1);
  return cn_emit2(t, &cn_op_mul, NULL, half, gate);
}

cn_edge cn_activation_rest(cn_trace *t, const cn_activation *a, cn_edge x) {
  cn_axis_attrs axis = {a->axis};
  switch (a->kind) {
    case CN_ACTIVATION_SOFTMAX: return cn_emit1(t, &cn_op_softmax, &axis, x);
    case CN_ACTIVATION_LOG_SOFTMAX: return cn_emit1(t, &cn_op_log_softmax, &axis, x);
    case CN_ACTIVATION_SPARSEMAX: return cn_emit1(t, &cn_op_sparsemax, &axis, x);
    case CN_ACTIVATION_GLU: return gated(t, x);
    case CN_ACTIVATION_LAYER: {
      cn_sym in = {x, CN_NO_EDGE}, out = in;
      return cn_layer_call_on(a->layer, t, &in, 1, &out, 1) == 1 ? out.data : CN_NO_EDGE;
    }
    default: return x;
  }
}

cn_edge cn_activation_emit(cn_trace *t, const cn_activation *a, cn_edge x) {
  if (a->kind != CN_ACTIVATION_ELEMENT) return cn_activation_rest(t, a, x);
  return a->act.kind == CN_ACT_LINEAR ? x : cn_emit1(t, &cn_op_activation, &(cn_act_attrs){.act = a->act}, x);
}
