/* Low-rank adaptation of weights. */
#include "layers/lora.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ops/ops.h"

static bool lora_rank(const cn_layer *l, int64_t *rank) {
  const cn_value *v = cn_value_find(l->config, "lora_rank");
  *rank = 0;
  return l->origin.keras >= 3 && !cn_value_is_null(v) && (!cn_value_integer(v, rank) || *rank != 0);
}

bool cn_lora_enabled(const cn_layer *l) { return lora_rank(l, &(int64_t){0}); }

static double lora_factor(const cn_layer *l) {
  int64_t rank;
  double alpha;
  lora_rank(l, &rank);
  return (cn_value_number(cn_value_find(l->config, "lora_alpha"), &alpha) ? alpha : (double)rank) / (double)rank;
}

cn_status cn_lora_build(cn_layer *l, const char *weight, int rank, const int64_t *shape, cn_error *e) {
  int64_t low, a[CN_MAX_RANK];
  char text[40];
  if (!lora_rank(l, &low)) return CORNU_OK;
  if (low < 1 || low > 1 << 24)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"lora_rank\" is %s, expected an integer from 1 to %d",
                   cn_value_show(cn_value_find(l->config, "lora_rank"), (char[40]){0}, 40), 1 << 24);
  memcpy(a, shape, sizeof *a * (size_t)rank);
  a[rank - 1] = low;
  snprintf(text, sizeof text, "lora_%s_a", weight);
  CN_TRY(cn_layer_add_weight(l, text, rank, a, true, NULL, e));
  snprintf(text, sizeof text, "lora_%s_b", weight);
  return cn_layer_add_weight(l, text, 2, (int64_t[]){low, shape[rank - 1]}, true, NULL, e);
}

cn_edge cn_lora_delta(cn_layer *l, cn_trace *t, const char *weight) {
  char text[40];
  if (!cn_lora_enabled(l)) return CN_NO_EDGE;
  snprintf(text, sizeof text, "lora_%s_a", weight);
  cn_edge a = cn_layer_weight_edge(l, t, text);
  snprintf(text, sizeof text, "lora_%s_b", weight);
  cn_edge b = cn_layer_weight_edge(l, t, text);
  if (a == CN_NO_EDGE || b == CN_NO_EDGE) return CN_NO_EDGE;
  return cn_emit2(t, &cn_op_mul, NULL, cn_emit2(t, &cn_op_matmul, NULL, a, b), cn_emit_number(t, lora_factor(l)));
}

cn_edge cn_lora_weight(cn_layer *l, cn_trace *t, const char *weight) {
  cn_edge w = cn_layer_weight_edge(l, t, weight), delta = cn_lora_delta(l, t, weight);
  return delta == CN_NO_EDGE ? w : cn_emit2(t, &cn_op_add, NULL, w, delta);
}

cn_status cn_lora_merge(const cn_layer *l, int index, cn_tensor **out, cn_error *e) {
  const cn_weight *last = &l->weights[l->n_weights - 1];
  cn_tensor *w = l->weights[index].value, *a = last[-1].value, *b = last->value;
  *out = NULL;
  if (!w || !a || !b) return cn_fail(e, CORNU_ERR_ARGUMENT, "%s has no value yet", l->weights[index].name);
  if (w->dtype != CORNU_FLOAT32)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "%s is %s and adapted by \"lora_rank\": it cannot be merged",
                   l->weights[index].name, cornu_dtype_name(w->dtype));
  cn_tensor_fetch(w), cn_tensor_fetch(a), cn_tensor_fetch(b);
  CN_TRY(cornu_tensor_new(w->dtype, w->rank, w->shape, out, e));
  CN_TRY(cornu_tensor_copy(*out, w, e));
  const int64_t low = b->shape[0], columns = b->shape[1], n = cornu_tensor_size(w);
  const float *left = (const void *)a->data, *right = (const void *)b->data;
  float *to = (void *)(*out)->data;
  for (int64_t i = 0; i < n; i++) {
    double sum = 0;
    for (int64_t k = 0; k < low; k++) sum += (double)left[i / columns * low + k] * right[k * columns + i % columns];
    to[i] += (float)(lora_factor(l) * sum);
  }
  return CORNU_OK;
}

cn_status cn_lora_import(cn_layer *l, cn_tensor **arrays, int *n, cn_error *e) {
  if (!cn_lora_enabled(l) || *n != l->n_weights - 2) return CORNU_OK;
  for (int i = *n; i < l->n_weights; i++, ++*n)
    CN_TRY(cornu_tensor_new(CORNU_FLOAT32, l->weights[i].rank, l->weights[i].shape, &arrays[i], e));
  return CORNU_OK;
}
