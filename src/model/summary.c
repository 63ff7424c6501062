/* The summary: Keras's table of layers, output shapes, parameters and connections. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/model.h"

typedef struct table {
  cn_text text;
  int width[4], columns;
} table;

static void rule(table *t, const char *left, const char *fill, const char *middle, const char *right) {
  cn_text_add(&t->text, left);
  for (int c = 0; c < t->columns; c++) {
    for (int i = 0; i < t->width[c] + 2; i++) cn_text_add(&t->text, fill);
    cn_text_add(&t->text, c + 1 < t->columns ? middle : right);
  }
  cn_text_add(&t->text, "\n");
}

/* Bytes of `s` that fill at most `columns` screen columns, counting a UTF-8 character as one. */
static int bytes_for(const char *s, int columns, int *used) {
  int bytes = 0;
  for (*used = 0; s[bytes] && *used < columns; ++*used) {
    bytes++;
    while ((s[bytes] & 0xC0) == 0x80) bytes++;
  }
  return bytes;
}

/* One row; texts wider than their column continue on further lines. */
static void row(table *t, const char *const *cells, const char *bar) {
  const char *rest[4] = {cells[0], cells[1], cells[2], cells[3]};
  bool more = true;
  while (more) {
    more = false;
    cn_text_add(&t->text, bar);
    for (int c = 0; c < t->columns; c++) {
      int used, bytes = bytes_for(rest[c], t->width[c], &used);
      bool right = c == 2;
      cn_text_add(&t->text, " ");
      if (right) cn_text_pad(&t->text, ' ', (size_t)(t->width[c] - used));
      cn_text_add_bytes(&t->text, rest[c], (size_t)bytes);
      if (!right) cn_text_pad(&t->text, ' ', (size_t)(t->width[c] - used));
      cn_text_add(&t->text, " ");
      cn_text_add(&t->text, bar);
      rest[c] += bytes;
      more |= *rest[c] != 0;
    }
    cn_text_add(&t->text, "\n");
  }
}

static const char *with_commas(int64_t n, char *out, size_t size) {
  char digits[32];
  int length = snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;
  for (int i = 0; i < length && (size_t)at + 2 < size; i++) {
    if (i && (length - i) % 3 == 0) out[at++] = ',';
    out[at++] = digits[i];
  }
  out[at] = 0;
  return out;
}

static cn_status add_size(void *user, cn_layer *owner, int index, const char *path, cn_error *e) {
  (void)path, (void)e;
  int64_t size = cn_shape_size(owner->weights[index].rank, owner->weights[index].shape);
  if (size > 0) *(int64_t *)user += size;
  return CORNU_OK;
}

static int64_t layer_parameters(cn_layer *l) {
  int64_t total = 0;
  cn_layer_each_weight(l, add_size, &total, NULL);
  return total;
}

/* "(None, 28, 28, 3)", as Keras prints it. */
static void add_shape(cn_text *t, const cn_type *type) {
  cn_text_add(t, "(");
  for (int i = 0; i < type->rank; i++) {
    if (i) cn_text_add(t, ", ");
    if (type->shape[i] < 0) cn_text_add(t, "None");
    else cn_text_addf(t, "%lld", (long long)type->shape[i]);
  }
  cn_text_add(t, type->rank == 1 ? ",)" : ")");
}

static const cn_model_node *first_call(const cn_model *m, int layer) {
  for (int i = 0; i < m->n_nodes; i++)
    if (m->nodes[i].layer == layer) return &m->nodes[i];
  return NULL;
}

static void shapes_cell(const cn_model *m, int layer, cn_text *out) {
  const cn_model_node *n = first_call(m, layer);
  if (!n || !n->out_types) {
    cn_text_add(out, "?");
    return;
  }
  if (n->n_out > 1) cn_text_add(out, "[");
  for (int i = 0; i < n->n_out; i++) {
    if (i) cn_text_add(out, ", ");
    add_shape(out, &n->out_types[i]);
  }
  if (n->n_out > 1) cn_text_add(out, "]");
}

/* The call's number among those of its layer, from 1; 0: it is the only one. */
static int call_number(const cn_model *m, int node) {
  int calls = 0;
  for (int i = 0; i < m->n_nodes; i++) calls += m->nodes[i].layer == m->nodes[node].layer;
  return calls > 1 ? cn_model_call_number(m, node) + 1 : 0;
}

/* Tensors as paths name them: "shared[2]:1" is the first output of the second call. */
static void connections_cell(const cn_model *m, int layer, cn_text *out) {
  for (int i = 0; i < m->n_nodes; i++) {
    const cn_model_node *n = &m->nodes[i];
    if (n->layer != layer) continue;
    for (int k = 0; k < n->n_in; k++) {
      const cn_model_node *from = &m->nodes[n->in[k].node];
      int call = from->layer >= 0 ? call_number(m, n->in[k].node) : 0;
      if (out->length) cn_text_add(out, ", ");
      cn_text_add(out, from->layer >= 0 ? cn_model_label(m, from->layer) : from->input_name);
      if (call) cn_text_addf(out, "[%d]", call);
      if (from->n_out > 1) cn_text_addf(out, ":%d", n->in[k].tensor + 1);
    }
  }
  if (!out->length) cn_text_add(out, "-");
}

static void layer_row(table *t, const cn_model *m, int i) {
  cn_text name = {0}, shape = {0}, connected = {0};
  char params[40];
  cn_layer *l = m->layers[i];
  cn_text_addf(&name, "%s (%s)", cn_model_label(m, i), l->class_name);
  shapes_cell(m, i, &shape);
  connections_cell(m, i, &connected);
  bool failed = name.failed || shape.failed || connected.failed;
  if (!failed)
    row(t,
        (const char *[]){name.data, shape.data, with_commas(layer_parameters(l), params, sizeof params),
                         connected.data},
        "│");
  t->text.failed |= failed;
  cn_text_free(&name);
  cn_text_free(&shape);
  cn_text_free(&connected);
}

static void totals(table *t, const cn_model *m) {
  char a[40], b[40], c[40];
  int64_t all = cornu_model_parameters(m, false), trainable = cornu_model_parameters(m, true);
  cn_text_addf(&t->text, " Total params: %s (%.2f MB)\n Trainable params: %s\n Non-trainable params: %s\n",
               with_commas(all, a, sizeof a), (double)all * 4 / (1024 * 1024), with_commas(trainable, b, sizeof b),
               with_commas(all - trainable, c, sizeof c));
}

cornu_status cornu_model_summary(cornu_model *m, int width, char **out, cornu_error *e) {
  *out = NULL;
  table t = {.columns = m->sequential ? 3 : 4};
  if (width < 40) width = width <= 0 ? (m->sequential ? 80 : 100) : 40;
  int room = width - t.columns * 3 - 1;
  t.width[2] = 12;
  room -= t.width[2];
  t.width[3] = m->sequential ? 0 : room * 30 / 100;
  room -= t.width[3];
  t.width[0] = room * 55 / 100;
  t.width[1] = room - t.width[0];
  cn_text_addf(&t.text, "Model: \"%s\" (%s)\n", m->name, cornu_model_type(m));
  rule(&t, "┏", "━", "┳", "┓");
  row(&t, (const char *[]){"Layer (type)", "Output Shape", "Param #", "Connected to"}, "┃");
  rule(&t, "┡", "━", "╇", "┩");
  for (int i = 0; i < m->n_layers; i++) {
    layer_row(&t, m, i);
    if (i + 1 < m->n_layers) rule(&t, "├", "─", "┼", "┤");
  }
  rule(&t, "└", "─", "┴", "┘");
  totals(&t, m);
  if (t.text.failed) {
    cn_text_free(&t.text);
    return cn_no_memory(e);
  }
  *out = t.text.data;
  return CORNU_OK;
}
