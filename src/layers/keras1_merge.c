/* Merge of Keras 1: element-wise merges, concatenation and dot products in one layer. */
#include <string.h>

#include "base/text.h"
#include "layers/merging.h"

enum { MODE_SUM, MODE_MUL, MODE_CONCAT, MODE_AVE, MODE_COS, MODE_DOT, MODE_MAX };
static const char modes[] = "sum mul concat ave cos dot max";

typedef struct settings {
  const cn_value *mode;
  const char *mode_type;
  int64_t concat_axis;
  cn_ints dot_axes;
  int kind;
} settings;

static const cn_field fields[] = {
    {.name = "mode", .kind = CN_F_VALUE, .offset = offsetof(settings, mode), .standard = "\"sum\"",
     .help = CN_HELP("sum, mul, concat, ave, max, dot or cos; Python functions are refused")},
    {.name = "mode_type", .kind = CN_F_STRING, .offset = offsetof(settings, mode_type), .standard = "\"raw\"",
     .help = CN_HELP("raw for a named mode")},
    {.name = "concat_axis", .kind = CN_F_INT, .offset = offsetof(settings, concat_axis), .standard = "-1",
     .min = -CN_MAX_RANK,
     .max = CN_MAX_RANK - 1, .help = CN_HELP("of mode concat")},
    {.name = "dot_axes", .kind = CN_F_INTS, .offset = offsetof(settings, dot_axes), .standard = "-1", .count = 2,
     .help = CN_HELP("of modes dot and cos")},
    {.name = "layers", .kind = CN_F_IGNORED, .standard = "null",
     .help = CN_HELP("the branches in a Sequential, which the model makes its inputs")},
    {.name = "node_indices", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("of the branches")},
    {.name = "tensor_indices", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("of the branches")},
    {.name = "arguments", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("for a Python function")},
    {.name = "output_shape", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("for a Python function")},
    {.name = "output_shape_type", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("for a Python function")},
    {.name = "output_mask", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("for a Python function")},
    {.name = "output_mask_type", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("for a Python function")},
    {0}};

static cn_status check(cn_layer *l, cn_error *e) {
  settings *s = l->settings;
  const char *mode = cn_value_str(s->mode);
  if (!mode || (s->mode_type && strcmp(s->mode_type, "raw") != 0))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED,
        "the mode is a Python %s, which is never run from a file: give a handler for layer \"%s\" in "
                                             "custom_objects", s->mode_type && strcmp(s->mode_type, "lambda") == 0
                                                 ? "lambda" : "function", l->name);
  if (!cn_word_in(modes, mode, &s->kind)) return cn_fail(e, CORNU_ERR_ARGUMENT, "no merge mode \"%s\" (there are: %s)",
      mode, modes);
  return CORNU_OK;
}

/* batch_dot(x, y) / max(sqrt(batch_dot(x, x) * batch_dot(y, y)), 1e-7), with an axis 1 in front. */
static cn_edge cosine(cn_trace *t, cn_edge x, cn_edge y, const cn_ints *axes) {
  int64_t i = axes->v[0], j = axes->v[1];
  cn_edge squares = cn_emit2(t, &cn_op_mul, NULL, cn_batch_dot(t, x, x, i, j), cn_batch_dot(t, y, y, i, j));
  /* Keras bounds the root by 1e-7; where it would be NaN (the product of two dots is negative) the bound stands, too.
   */
  cn_edge length = cn_emit1(t, &cn_op_sqrt, NULL, cn_emit2(t, &cn_op_maximum, NULL, squares,
      cn_emit_number(t, 1e-14)));
  cn_edge z = cn_emit2(t, &cn_op_div, NULL, cn_batch_dot(t, x, y, i, j), length);
  return cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){1}, z);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_edge x = c->in[0].data, y = c->in[1].data;
  if ((s->kind == MODE_DOT || s->kind == MODE_COS) && c->n_positional != 2) {
    cn_trace_fail(t, CORNU_ERR_SHAPE, "mode %s merges 2 inputs, not %d", s->kind == MODE_DOT ? "dot" : "cos",
        c->n_positional);
    return;
  }
  switch (s->kind) {
    case MODE_SUM: cn_merge_fold(l, t, c, &cn_op_add, false); break;
    case MODE_AVE: cn_merge_fold(l, t, c, &cn_op_add, true); break;
    case MODE_MUL: cn_merge_fold(l, t, c, &cn_op_mul, false); break;
    case MODE_MAX: cn_merge_fold(l, t, c, &cn_op_maximum, false); break;
    case MODE_CONCAT: cn_merge_concat(l, t, c, s->concat_axis); break;
    case MODE_DOT: cn_call_return(t, c, cn_batch_dot(t, x, y, s->dot_axes.v[0], s->dot_axes.v[1]), CN_NO_EDGE); break;
    default: cn_call_return(t, c, cosine(t, x, y, &s->dot_axes), CN_NO_EDGE); break;
  }
}

const cn_layer_type cn_layer_keras1_merge = {
    .name = "Merge",
    .versions = "1",
    .help = CN_HELP("Keras 1: merges its inputs by mode"),
    .flags = CN_MASK_OWN,
    .min_in = 2,
    .max_in = -1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .lower = lower,
};
