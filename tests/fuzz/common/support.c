#define _GNU_SOURCE
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_MEMORY = 96 << 20, MOST_PORTS = 16, UNKNOWN = 3 };
static const double most_flops = 5e7;

/* ---- Limits ---- */

static void *bounded_alloc(void *user, size_t size, size_t align) {
  void *p;
  (void)user;
  return cornu_memory_used() + size > MOST_MEMORY || posix_memalign(&p, align, size) ? NULL : p;
}

static void bounded_free(void *user, void *pointer, size_t size) {
  (void)user, (void)size;
  free(pointer);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  static const cornu_allocator bounded = {NULL, bounded_alloc, bounded_free};
  (void)argc, (void)argv;
  cornu_set_allocator(&bounded);
  cornu_set_threads(1);
  cornu_set_limits(&(cornu_limits){.struct_size = sizeof(cornu_limits), .max_tensor_bytes = 4 << 20,
                                   .max_text_bytes = 1 << 20, .max_layers = 300, .max_depth = 40});
  return 0;
}

/* ---- Files ---- */

const char *fuzz_file(const uint8_t *data, size_t size) {
  static char path[64];
  static int file = -1;
  if (file >= 0) close(file);
  file = memfd_create("input", 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  if (file < 0 || write(file, data, size) != (ssize_t)size) abort();
  return path;
}

/* ---- Models ---- */

static cornu_tensor *zeros(const cornu_port *port) {
  cornu_tensor *t = NULL;
  return cornu_tensor_new(port->dtype, port->rank, port->shape, &t, NULL) ? NULL : t;
}

/* Runs a compiled model on zeros. */
static void run(cornu_plan *plan, int n_in, int n_out) {
  cornu_tensor *in[MOST_PORTS] = {0}, *out[MOST_PORTS] = {0};
  cornu_port port;
  int ready = 1;
  for (int i = 0; i < n_in && ready; i++) ready = cornu_plan_input(plan, i, &port) && (in[i] = zeros(&port));
  for (int i = 0; i < n_out && ready; i++) ready = cornu_plan_output(plan, i, &port) && (out[i] = zeros(&port));
  if (ready) cornu_plan_run(plan, in, out, NULL);
  for (int i = 0; i < MOST_PORTS; i++) {
    cornu_tensor_release(in[i]);
    cornu_tensor_release(out[i]);
  }
}

static void compile_and_run(cornu_model *m) {
  cornu_port ports[MOST_PORTS];
  const int64_t *shapes[MOST_PORTS];
  cornu_plan *plan = NULL;
  int n_in = cornu_model_inputs(m), n_out = cornu_model_outputs(m);
  if (n_in > MOST_PORTS || n_out > MOST_PORTS) return;
  for (int i = 0; i < n_in; i++) {
    if (!cornu_model_input(m, i, &ports[i])) return;
    shapes[i] = ports[i].shape;
    for (int k = 0; k < ports[i].rank; k++)
      if (ports[i].shape[k] < 0) ports[i].shape[k] = UNKNOWN;
  }
  if (cornu_plan_new(m, shapes, &plan, NULL)) return;
  if (cornu_plan_flops(plan) < most_flops) run(plan, n_in, n_out);
  cornu_plan_free(plan);
}

static void use_model(cornu_model *m) {
  char *text = NULL;
  compile_and_run(m);
  if (!cornu_model_summary(m, 0, &text, NULL)) cornu_free(text);
  cornu_model_release(m);
}

void fuzz_model(const char *path, const char *weights) {
  cornu_load_options options = {.struct_size = sizeof options};
  cornu_model *m = NULL;
  cornu_error e;
  if (!cornu_model_load(path, weights, &options, &m, &e)) use_model(m);
}

void fuzz_memory(const uint8_t *data, size_t size) {
  static const char config[] =
      "{\"class_name\": \"Sequential\", \"config\": {\"name\": \"two\", \"layers\": [{\"class_name\": \"InputLayer\", "
      "\"config\": {\"name\": \"x\", \"batch_shape\": [null, 3]}}, {\"class_name\": \"Dense\", \"config\": {\"name\": \"a\", "
      "\"units\": 2}}]}}";
  cornu_source whole = {sizeof whole, "data", data ? data : (const uint8_t *)"", size, NULL, NULL}, part = whole;
  const cornu_source model = {sizeof model, "config", config, sizeof config - 1, NULL, NULL};
  cornu_model *m = NULL;
  cornu_error e;
  if (!cornu_model_load_source(&whole, NULL, NULL, &m, &e)) use_model(m);
  if (!cornu_model_load_source(&model, &whole, NULL, &m, &e)) use_model(m);
  part.size -= size > 0;
  if (!cornu_model_load_source(&part, NULL, NULL, &m, &e)) use_model(m);
}

/* ---- Zip archives ---- */

static uint32_t number(const uint8_t *p, int bytes) {
  uint32_t n = 0;
  while (bytes-- > 0) n = n << 8 | p[bytes];
  return n;
}

static uint32_t check_sum(const uint8_t *p, size_t size) {
  uint32_t sum = 0xffffffff;
  for (size_t i = 0; i < size; i++) {
    sum ^= p[i];
    for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum;
}

/* One entry of the central directory, and its own header. */
static void mend_entry(uint8_t *data, size_t size, uint8_t *entry) {
  size_t bytes = number(entry + 20, 4), header = number(entry + 42, 4);
  if (number(entry + 10, 2) != 0 || header > size || size - header < 30) return;
  size_t first = header + 30 + number(data + header + 26, 2) + number(data + header + 28, 2);
  if (first > size || bytes > size - first) return;
  uint32_t sum = check_sum(data + first, bytes);
  for (int i = 0; i < 4; i++) entry[16 + i] = data[header + 14 + i] = (uint8_t)(sum >> 8 * i);
}

size_t fuzz_mutate_zip(uint8_t *data, size_t size, size_t max) {
  size = LLVMFuzzerMutate(data, size, max);
  for (size_t at = 0; at + 46 <= size; at++)
    if (number(data + at, 4) == 0x02014b50) mend_entry(data, size, data + at);
  return size;
}
