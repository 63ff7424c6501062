/* Weights of recurrent layers: declaration, and the layouts in which files keep them.
 *
 * Keras 1 (consume_less cpu or mem) has kernel W, recurrent kernel U and bias b for each gate; an LSTM lists its gates
 * as i c f o. The cuDNN classes keep, gate by gate, the transposed matrices that the library wants, and two biases. */
#include <string.h>

#include "base/text.h"
#include "layers/rnn.h"

int cn_rnn_gates(cn_cell_kind kind) { return kind == CN_CELL_LSTM ? 4 : kind == CN_CELL_GRU ? 3 : 1; }

/* ---- Declaration ---- */

static bool is_zeros(const cn_value *initializer) {
  const char *name = cn_value_str(initializer);
  if (!name) name = cn_value_str(cn_value_find(initializer, "class_name"));
  return cn_value_is_null(initializer) || (name && (cn_word_in("zeros Zeros zero", name, NULL)));
}

/* Ones for the second gate (in cuDNN's layout: of the input half). */
cn_status cn_cell_forget_bias(cn_layer *l, int64_t units, const cn_value *initializer, int64_t size, cn_error *e) {
  cn_weight *w = &l->weights[cn_layer_find_weight(l, "bias")];
  if (w->value || !is_zeros(initializer)) return CORNU_OK;
  cn_tensor *bias;
  CN_TRY(cornu_tensor_new(CORNU_FLOAT32, 1, &size, &bias, e));
  for (int64_t i = units; i < 2 * units; i++) ((float *)bias->data)[i] = 1;
  cn_status status = cn_layer_set_weight(l, cn_layer_find_weight(l, "bias"), bias, e);
  cornu_tensor_release(bias);
  return status;
}

static int bias_shape(const cn_cell *cell, cn_cell_kind kind, bool cudnn, int64_t *shape) {
  int64_t width = cn_rnn_gates(kind) * cell->units;
  if (kind == CN_CELL_GRU && cell->reset_after && !cudnn) {
    shape[0] = 2;
    shape[1] = width;
    return 2;
  }
  shape[0] = cudnn ? 2 * width : width;
  return 1;
}

cn_status cn_cell_build(cn_layer *l, cn_cell_kind kind, bool cudnn, const cn_type *in, cn_error *e) {
  const cn_cell *cell = &((const cn_rnn *)l->settings)->cell;
  int64_t features = in->rank > 0 ? in->shape[in->rank - 1] : -1;
  if (features < 0)
    return cn_fail(e, CORNU_ERR_SHAPE, "the last dimension of the input %s must be known",
        CN_SHAPE(in->rank, in->shape));
  int64_t width = cn_rnn_gates(kind) * cell->units, bias[2];
  int bias_rank = bias_shape(cell, kind, cudnn, bias);
  CN_TRY(cn_layer_add_weight(l, "kernel", 2, (int64_t[]){features, width}, true, cell->kernel_initializer, e));
  CN_TRY(cn_layer_add_weight(l, "recurrent_kernel", 2, (int64_t[]){cell->units, width}, true,
      cell->recurrent_initializer, e));
  if (!cell->use_bias) return CORNU_OK;
  CN_TRY(cn_layer_add_weight(l, "bias", bias_rank, bias, true, cell->bias_initializer, e));
  if (kind != CN_CELL_LSTM || !cell->unit_forget_bias) return CORNU_OK;
  return cn_cell_forget_bias(l, cell->units, cell->bias_initializer, bias[0], e);
}

/* ---- Keras 1: an array per gate ---- */

int cn_cell_keras1_arrays(const cn_layer *l, cn_cell_kind kind) {
  const cn_rnn *s = l->settings;
  bool joined = s->consume_less && strcmp(s->consume_less, "gpu") == 0;
  return joined || kind == CN_CELL_SIMPLE ? 3 : 3 * cn_rnn_gates(kind);
}

/* Parts side by side along the last axis. */
static cn_status join_last(cn_tensor *const *parts, int n, cn_tensor **out, cn_error *e) {
  const cn_tensor *first = parts[0];
  int64_t shape[CN_MAX_RANK], width = 0, at = 0;
  memcpy(shape, first->shape, sizeof shape);
  for (int i = 0; i < n; i++) {
    const cn_tensor *p = parts[i];
    if (p->rank < 1 || p->rank != first->rank || !cn_shape_equal(p->rank - 1, p->shape, first->rank - 1, first->shape))
      return cn_fail(e, CORNU_ERR_FORMAT, "the gates have weights of different shapes: %s and %s",
                     CN_SHAPE(first->rank, first->shape), CN_SHAPE(p->rank, p->shape));
    width += p->shape[p->rank - 1];
  }
  shape[first->rank - 1] = width;
  CN_TRY(cornu_tensor_new(first->dtype, first->rank, shape, out, e));
  for (int i = 0; i < n; i++) {
    int64_t end = at + parts[i]->shape[first->rank - 1];
    cn_tensor *place;
    cn_status status = cornu_tensor_slice(*out, first->rank - 1, at, end, 1, &place, e);
    if (!status) status = cornu_tensor_copy(place, parts[i], e);
    if (!status) cornu_tensor_release(place);
    if (status) return cornu_tensor_release(*out), *out = NULL, status;
    at = end;
  }
  return CORNU_OK;
}

/* W U b per gate -> kernel, recurrent kernel, bias. */
static cn_status join_gates(cn_cell_kind kind, cn_tensor **arrays, int *n, cn_error *e) {
  static const int lstm[] = {0, 2, 1, 3}, gru[] = {0, 1, 2}; /* stored i c f o,
      wanted i f c o; stored as wanted z r h */
  const int *order = kind == CN_CELL_LSTM ? lstm : gru;
  int gates = cn_rnn_gates(kind);
  cn_tensor *joined[3] = {0}, *parts[4];
  for (int what = 0; what < 3; what++) {
    for (int g = 0; g < gates; g++) parts[g] = arrays[3 * order[g] + what];
    cn_status status = join_last(parts, gates, &joined[what], e);
    if (!status) continue;
    while (what-- > 0) cornu_tensor_release(joined[what]);
    return status;
  }
  for (int i = 0; i < *n; i++) cornu_tensor_release(arrays[i]);
  memcpy(arrays, joined, sizeof joined);
  *n = 3;
  return CORNU_OK;
}

/* ---- cuDNN ---- */

/* One gate's (rows, columns) block, as the other side keeps it. Input kernels of cuDNN: the bytes are the transposed
 * (columns, rows) matrix under the shape (rows, columns). Recurrent kernels are square: transposed either way. */
static cn_status turn_gate(cn_tensor *block, bool from_cudnn, cn_tensor *place, cn_error *e) {
  int64_t rows = block->shape[0], columns = block->shape[1];
  cn_tensor *flat = NULL, *turned = NULL, *shaped = NULL;
  cn_status status;
  if (from_cudnn) {
    status = cornu_tensor_contiguous(block, &flat, e);
    if (!status) status = cornu_tensor_reshape(flat, 2, (int64_t[]){columns, rows}, &shaped, e);
    if (!status) status = cornu_tensor_transpose(shaped, NULL, &turned, e);
    if (!status) status = cornu_tensor_copy(place, turned, e);
  } else {
    status = cornu_tensor_transpose(block, NULL, &turned, e);
    if (!status) status = cornu_tensor_contiguous(turned, &flat, e);
    if (!status) status = cornu_tensor_reshape(flat, 2, (int64_t[]){rows, columns}, &shaped, e);
    if (!status) status = cornu_tensor_copy(place, shaped, e);
  }
  cornu_tensor_release(flat);
  cornu_tensor_release(turned);
  cornu_tensor_release(shaped);
  return status;
}

static cn_status turn_kernel(cn_tensor **kernel, int gates, bool from_cudnn, cn_error *e) {
  cn_tensor *old = *kernel, *new;
  int64_t units = old->shape[1] / gates;
  CN_TRY(cornu_tensor_new(old->dtype, 2, old->shape, &new, e));
  cn_status status = CORNU_OK;
  for (int g = 0; g < gates && !status; g++) {
    cn_tensor *block = NULL, *place = NULL;
    status = cornu_tensor_slice(old, 1, g * units, (g + 1) * units, 1, &block, e);
    if (!status) status = cornu_tensor_slice(new, 1, g * units, (g + 1) * units, 1, &place, e);
    if (!status) status = turn_gate(block, from_cudnn, place, e);
    cornu_tensor_release(block);
    cornu_tensor_release(place);
  }
  if (status) return cornu_tensor_release(new), status;
  cornu_tensor_release(old);
  *kernel = new;
  return CORNU_OK;
}

/* LSTM: the two halves of cuDNN's bias add up; a plain bias is split evenly. GRU: the same numbers under another
 * shape. */
static cn_status turn_bias(cn_tensor **bias, cn_cell_kind kind, bool from_cudnn, cn_error *e) {
  cn_tensor *old = *bias, *new = NULL;
  int64_t size = cornu_tensor_size(old), half = size / 2;
  if (kind == CN_CELL_GRU) {
    CN_TRY(cornu_tensor_reshape(old, from_cudnn ? 2 : 1, from_cudnn ? (int64_t[]){2, half} : (int64_t[]){size}, &new,
        e));
  } else {
    int64_t count = from_cudnn ? half : 2 * size;
    CN_TRY(cornu_tensor_new(old->dtype, 1, &count, &new, e));
    for (int64_t i = 0; i < count; i++) {
      double v = from_cudnn ? cornu_tensor_get(old, &i) + cornu_tensor_get(old, (int64_t[]){i + half})
                            : cornu_tensor_get(old, (int64_t[]){i % size}) / 2;
      cornu_tensor_set(new, &i, v);
    }
  }
  cornu_tensor_release(old);
  *bias = new;
  return CORNU_OK;
}

static cn_status turn_cudnn(cn_cell_kind kind, bool from_cudnn, cn_tensor **arrays, cn_error *e) {
  for (int i = 0; i < 2; i++) CN_TRY(turn_kernel(&arrays[i], cn_rnn_gates(kind), from_cudnn, e));
  return turn_bias(&arrays[2], kind, from_cudnn, e);
}

cn_status cn_cell_plain(cn_cell_kind kind, int index, cn_tensor **array, cn_error *e) {
  return index < 2 ? turn_kernel(array, cn_rnn_gates(kind), true, e) : turn_bias(array, kind, true, e);
}

/* ---- Import ---- */

/* The file's bias decides on reset_after: (3u) before the product, (2, 3u) after it. */
static void settle_reset_after(cn_layer *l, bool reset_after) {
  cn_cell *cell = &((cn_rnn *)l->settings)->cell;
  if (cell->reset_after == reset_after) return;
  cell->reset_after = reset_after;
  cn_weight *w = &l->weights[cn_layer_find_weight(l, "bias")];
  w->rank = bias_shape(cell, CN_CELL_GRU, false, w->shape);
  cornu_tensor_release(w->value);
  w->value = NULL;
}

cn_status cn_cell_import(cn_layer *l, cn_cell_kind kind, bool cudnn, cn_tensor **arrays, int *n, cn_error *e) {
  const cn_cell *cell = &((const cn_rnn *)l->settings)->cell;
  int gates = cn_rnn_gates(kind);
  if (gates > 1 && *n == 3 * gates) CN_TRY(join_gates(kind, arrays, n, e));
  if (gates == 1 || *n != 3 || !cell->use_bias) return CORNU_OK;
  int64_t width = gates * cell->units;
  for (int i = 0; i < 2; i++)
    if (arrays[i]->rank != 2 || arrays[i]->shape[1] != width) return CORNU_OK; /* the comparison of shapes will tell */
  const cn_tensor *bias = arrays[2];
  bool flat = bias->rank == 1, paired = bias->rank == 2 && bias->shape[0] == 2 && bias->shape[1] == width;
  bool from_cudnn = flat && bias->shape[0] == 2 * width, plain = flat && bias->shape[0] == width;
  if (cudnn) {
    if (kind == CN_CELL_GRU && plain)
      return cn_fail(e, CORNU_ERR_UNSUPPORTED,
          "the file has a GRU with reset_after=False (bias %s), which CuDNNGRU cannot be: "
                                               "change the class to GRU in the config",
                                                   CN_SHAPE(bias->rank, bias->shape));
    return plain || (paired && kind == CN_CELL_GRU) ? turn_cudnn(kind, false, arrays, e) : CORNU_OK;
  }
  if (from_cudnn) CN_TRY(turn_cudnn(kind, true, arrays, e));
  if (kind == CN_CELL_GRU && (plain || paired || from_cudnn)) settle_reset_after(l, !plain);
  return CORNU_OK;
}
