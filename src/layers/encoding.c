#include "layers/encoding.h"

#include <string.h>

#include "base/text.h"
#include "ops/ops.h"

cn_mode cn_mode_of(int choice) {
  static const cn_mode modes[] = {CN_MODE_INT,   CN_MODE_ONE_HOT,   CN_MODE_MULTI_HOT, CN_MODE_COUNT,
                                  CN_MODE_TF_IDF, CN_MODE_MULTI_HOT, CN_MODE_TF_IDF};
  return modes[choice];
}

cn_status cn_mode_check(int choice, const char *modes, cn_error *e) {
  static const char *const names[] = {"int", "one_hot", "multi_hot", "count", "tf_idf"};
  const char *name = names[cn_mode_of(choice)];
  if (cn_word_in(modes, name, NULL)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"output_mode\" is \"%s\", expected one of: %s", name, modes);
}

bool cn_encodes_as_keras3(const cn_layer *l) { return l->origin.keras >= 3; }

cornu_dtype cn_category_dtype(const cn_layer *l, cn_mode mode) {
  bool integer = cn_dtype_is_integer(l->named);
  if (mode == CN_MODE_INT) return integer ? l->named : CORNU_INT64;
  return integer ? l->named : l->compute;
}

cn_status cn_salt_of(const cn_value *v, cn_ints *out, cn_error *e) {
  bool list = cn_value_is(v, CORNU_LIST);
  *out = (cn_ints){.n = cn_value_is_null(v) ? -1 : 2};
  for (int i = 0; i < out->n; i++)
    if ((list && v->count != 2) || !cn_value_integer(list ? v->items[i] : v, &out->v[i]))
      return cn_fail(e, CORNU_ERR_ARGUMENT, "\"salt\" is %s, expected a whole number or two of them",
                     cn_value_show(v, (char[80]){0}, 80));
  return CORNU_OK;
}

cn_edge cn_emit_token(cn_trace *t, const cn_value *v) {
  int64_t number = 0;
  bool text = cn_value_is(v, CORNU_STRING);
  cn_tensor *value = NULL;
  if (t->status) return CN_NO_EDGE;
  cn_value_integer(v, &number);
  t->status = cornu_tensor_new(text ? CORNU_TEXT : CORNU_INT64, 0, NULL, &value, t->error);
  if (!t->status && text) t->status = cornu_tensor_set_text(value, NULL, v->s, (size_t)v->count, t->error);
  if (!t->status && !text) *(int64_t *)(void *)value->data = number;
  cn_edge edge = t->status ? CN_NO_EDGE : cn_emit_constant(t, value);
  cornu_tensor_release(value);
  return edge;
}

static cn_edge expand_last(cn_trace *t, cn_edge x) {
  return cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){-1}, x);
}

static cn_edge squeeze_last(cn_trace *t, cn_edge x) {
  return cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {-1}}}, x);
}

static cn_edge encode(cn_trace *t, cn_edge x, const cn_encoding *how, bool count, int range) {
  cn_encode_attrs a = {how->depth, count, range, how->dtype};
  return how->weights == CN_NO_EDGE || !count ? cn_emit1(t, &cn_op_encode_categories, &a, x)
                                              : cn_emit2(t, &cn_op_encode_categories, &a, x, how->weights);
}

/* Keras 3 beyond two dimensions: rows of ones for each, joined along axis 1, whatever the documentation says. */
static cn_edge encode_axis_1(cn_trace *t, cn_edge x, const cn_encoding *how, bool count) {
  cn_edge ones = encode(t, expand_last(t, x), how, false, CN_RANGE_ANY);
  if (how->weights != CN_NO_EDGE && count) ones = cn_emit2(t, &cn_op_mul, NULL, ones, expand_last(t, how->weights));
  cn_edge joined = cn_emit1(t, count ? &cn_op_sum : &cn_op_max, &(cn_reduce_attrs){.axes = {1, {1}}}, ones);
  return cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){how->dtype}, joined);
}

/* tf.keras encodes the last axis of at most two. */
static cn_edge encode_tf(cn_trace *t, cn_edge x, const cn_encoding *how) {
  const cn_type *type = cn_edge_type(t, x);
  int rank = type->rank;
  if (how->mode == CN_MODE_ONE_HOT && type->shape[rank - 1] != 1) {
    x = expand_last(t, x);
    rank++;
  }
  if (rank > 2)
    cn_trace_fail(t, CORNU_ERR_SHAPE, "the input has shape %s: tf.keras encodes into at most two dimensions",
                  CN_SHAPE(type->rank, type->shape));
  return encode(t, x, how, how->mode >= CN_MODE_COUNT, how->strict ? CN_RANGE_ALL : CN_RANGE_POSITIVE);
}

cn_edge cn_emit_encoding(cn_layer *l, cn_trace *t, cn_edge indices, const cn_encoding *how) {
  if (how->mode == CN_MODE_INT) return cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){how->dtype}, indices);
  cn_edge x = cn_edge_type(t, indices)->rank == 0 ? expand_last(t, indices) : indices;
  if (!cn_encodes_as_keras3(l)) return encode_tf(t, x, how);
  const cn_type *type = cn_edge_type(t, x);
  if (how->mode == CN_MODE_ONE_HOT) {
    if (type->rank > 1 && type->shape[type->rank - 1] == 1) x = squeeze_last(t, x);
    return encode(t, expand_last(t, x), how, false, CN_RANGE_ANY);
  }
  bool count = how->mode >= CN_MODE_COUNT;
  return type->rank > 2 ? encode_axis_1(t, x, how, count) : encode(t, x, how, count, CN_RANGE_POSITIVE);
}
