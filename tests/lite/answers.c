/* What models answer: for each file a line with a hash of the bits of each output, for inputs that follow from their
 * shapes. Linked with the small library and with the whole one, it prints the same.
 * usage: answers MODEL.cornu… */
#include <stdio.h>
#include <string.h>

#include "cornu.h"

enum { MOST_PORTS = 512, UNKNOWN = 3 };

static uint64_t mix(uint64_t hash, const void *data, size_t size) {
  const unsigned char *p = data;
  for (size_t i = 0; i < size; i++) hash = (hash ^ p[i]) * 0x100000001b3u;
  return hash;
}

static void fill(cornu_tensor *t) {
  static const char *const words[] = {"a", "the cat", "dog", "x y", ""};
  const int64_t n = cornu_tensor_size(t), *shape = cornu_tensor_shape(t);
  for (int64_t i = 0; i < n; i++) {
    int64_t at[CORNU_MAX_RANK], rest = i;
    for (int d = cornu_tensor_rank(t) - 1; d >= 0; d--) at[d] = rest % shape[d], rest /= shape[d];
    const bool whole = cornu_tensor_dtype(t) > CORNU_BFLOAT16;
    if (cornu_tensor_dtype(t) == CORNU_TEXT) cornu_tensor_set_text(t, at, words[i % 5], strlen(words[i % 5]), NULL);
    else cornu_tensor_set(t, at, whole ? (double)(i % 3) : (double)(i * 7 % 32) / 16 - 1);
  }
}

static uint64_t hash_of(const cornu_tensor *t) {
  const int64_t n = cornu_tensor_size(t);
  uint64_t hash = mix(0xcbf29ce484222325u, cornu_tensor_shape(t), sizeof(int64_t) * (size_t)cornu_tensor_rank(t));
  const size_t item = cornu_dtype_bytes(cornu_tensor_dtype(t));
  const char *data = cornu_tensor_data((cornu_tensor *)t);
  if (cornu_tensor_dtype(t) != CORNU_TEXT) return mix(hash, data, item * (size_t)n);
  for (int64_t i = 0; i < n; i++) {
    const cornu_text *text = (const cornu_text *)(const void *)data + i;
    hash = mix(mix(hash, &text->length, sizeof text->length), text->bytes, text->length);
  }
  return hash;
}

static cornu_status make_inputs(cornu_model *m, cornu_tensor **inputs, int n, cornu_error *e) {
  for (int i = 0; i < n; i++) {
    cornu_port port;
    if (!cornu_model_input(m, i, &port)) return CORNU_ERR_ARGUMENT;
    int64_t shape[CORNU_MAX_RANK];
    for (int d = 0; d < port.rank; d++) shape[d] = port.shape[d] < 0 ? UNKNOWN : port.shape[d];
    cornu_status status = cornu_tensor_new(port.dtype, port.rank, shape, &inputs[i], e);
    if (status) return status;
    fill(inputs[i]);
  }
  return CORNU_OK;
}

static cornu_status answer(cornu_model *m, cornu_error *e) {
  cornu_tensor *inputs[MOST_PORTS] = {0}, *outputs[MOST_PORTS] = {0};
  const int n = cornu_model_inputs(m), n_out = cornu_model_outputs(m);
  cornu_status status = n > MOST_PORTS || n_out > MOST_PORTS ? CORNU_ERR_LIMIT : make_inputs(m, inputs, n, e);
  if (!status) status = cornu_model_predict(m, inputs, n, outputs, e);
  for (int i = 0; i < n_out && !status; i++) printf(" %016llx", (unsigned long long)hash_of(outputs[i]));
  for (int i = 0; i < MOST_PORTS; i++) cornu_tensor_release(inputs[i]), cornu_tensor_release(outputs[i]);
  return status;
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    cornu_model *m;
    cornu_error e = {.message = ""};
    const char *slash = strrchr(argv[i], '/');
    printf("%s", slash ? slash + 1 : argv[i]);
    cornu_status status = cornu_model_load(argv[i], NULL, NULL, &m, &e);
    if (!status) status = answer(m, &e);
    printf(status ? " %s\n" : "\n", e.message);
    cornu_model_release(m);
  }
  return 0;
}
