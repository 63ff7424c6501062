/* Small networks as a frame loop runs them: Cornu's runner, plain loops written for each network, and ONNX Runtime's C
 * API, in turns. The files are those of scripts/make_agents.py. Prints microseconds of a run: the median, and how far the
 * 99.9th percentile is above it. usage: agents FOLDER [--threads N] [--seconds S] [--onnxruntime LIBRARY] */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cornu.h"

enum { MOST_INPUTS = 2, MOST_TIMES = 1 << 20, ROUNDS = 10 };

static void fail(const char *what) {
  fprintf(stderr, "agents: %s\n", what);
  exit(1);
}

/* ---- One network in one way of running it ---- */

typedef struct subject {
  const char *name;
  void (*run)(struct subject *s);
  float *in[MOST_INPUTS], *out; /* out: the first output */
  int64_t batch;
  cornu_runner *runner;
  const float *weights[16];     /* of the model's layers, in their order */
  float *scratch;
  void *session, *values[4];
  double *times;
  int n_times;
} subject;

static float *floats(int64_t n) {
  float *x = calloc((size_t)n, sizeof *x);
  if (!x) fail("out of memory");
  return x;
}

static void run_cornu(subject *s) {
  cornu_error e;
  if (cornu_runner_run(s->runner, &e)) fail(e.message);
}

/* ---- By hand: sizes are constants, samples one after the other, as libraries for audio and games do it ---- */

static inline void dense(const float *x, int n, const float *kernel, const float *bias, int units, float *y) {
  for (int u = 0; u < units; u++) y[u] = bias[u];
  for (int i = 0; i < n; i++)
    for (int u = 0; u < units; u++) y[u] += x[i] * kernel[i * units + u];
}

static inline float sigmoid(float x) { return 1 / (1 + expf(-x)); }

static void hand_mlp(subject *s) {
  float a[64], b[64];
  for (int64_t i = 0; i < s->batch; i++) {
    dense(s->in[0] + i * 24, 24, s->weights[0], s->weights[1], 64, a);
    for (int u = 0; u < 64; u++) a[u] = tanhf(a[u]);
    dense(a, 64, s->weights[2], s->weights[3], 64, b);
    for (int u = 0; u < 64; u++) b[u] = tanhf(b[u]);
    dense(b, 64, s->weights[4], s->weights[5], 4, s->out + i * 4);
  }
}

static void gru_step(const float *x, float *h, const float *kernel, const float *recurrent, const float *bias) {
  float a[192], b[192];
  dense(x, 16, kernel, bias, 192, a);
  dense(h, 64, recurrent, bias + 192, 192, b);
  for (int u = 0; u < 64; u++) {
    const float z = sigmoid(a[u] + b[u]), r = sigmoid(a[64 + u] + b[64 + u]);
    h[u] = z * h[u] + (1 - z) * tanhf(a[128 + u] + r * b[128 + u]);
  }
}

static void hand_gru(subject *s) {
  for (int64_t i = 0; i < s->batch; i++) {
    float *h = s->in[1] + i * 64;
    gru_step(s->in[0] + i * 16, h, s->weights[0], s->weights[1], s->weights[2]);
    dense(h, 64, s->weights[3], s->weights[4], 4, s->out + i * 4);
  }
}

/* Stride 2, padding "same" of an even size: all of it is behind, but for one row and column of a kernel of 5. */
static inline void conv(const float *x, int size, int channels, const float *kernel, const float *bias, int k, int filters,
                        float *y) {
  const int out = size / 2, before = (k - 2) / 2;
  for (int r = 0; r < out; r++)
    for (int c = 0; c < out; c++) {
      float *to = y + (r * out + c) * filters;
      for (int f = 0; f < filters; f++) to[f] = bias[f];
      for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++) {
          const int row = 2 * r + i - before, column = 2 * c + j - before;
          if (row < 0 || row >= size || column < 0 || column >= size) continue;
          for (int d = 0; d < channels; d++)
            for (int f = 0; f < filters; f++)
              to[f] += x[(row * size + column) * channels + d] * kernel[((i * k + j) * channels + d) * filters + f];
        }
      for (int f = 0; f < filters; f++) to[f] = to[f] > 0 ? to[f] : 0;
    }
}

static void hand_cnn(subject *s) {
  float *a = s->scratch, *b = a + 32 * 32 * 8, *c = b + 16 * 16 * 16;
  const float *const *w = s->weights;
  for (int64_t i = 0; i < s->batch; i++) {
    conv(s->in[0] + i * 4096, 64, 1, w[0], w[1], 5, 8, a);
    conv(a, 32, 8, w[2], w[3], 3, 16, b);
    conv(b, 16, 16, w[4], w[5], 3, 32, c);
    dense(c, 8 * 8 * 32, w[6], w[7], 4, s->out + i * 4);
  }
}

/* ---- ONNX Runtime: its functions by their place in its table (API version 1 and later) ---- */

typedef struct ort_base { const void *const *(*api)(uint32_t version); const char *(*version)(void); } ort_base;
enum { ORT_MESSAGE = 2, ORT_ENV = 3, ORT_SESSION = 7, ORT_RUN = 9, ORT_OPTIONS = 10, ORT_LEVEL = 23, ORT_THREADS = 24,
       ORT_TENSOR = 49, ORT_MEMORY = 69 };
static const void *const *ort;
static void *ort_env, *ort_options, *ort_memory;

#define ORT(place, type) ((void *(*)type)(uintptr_t)ort[place])

static void ort_check(void *status) {
  if (status) fail(((const char *(*)(const void *))(uintptr_t)ort[ORT_MESSAGE])(status));
}

static void open_ort(const char *library, int threads) {
  void *lib = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!lib) fail(dlerror());
  const ort_base *(*get)(void) = (const ort_base *(*)(void))(uintptr_t)dlsym(lib, "OrtGetApiBase");
  if (!get) fail("not a library of ONNX Runtime");
  ort = get()->api(1);
  printf("ONNX Runtime %s\n", get()->version());
  ort_check(ORT(ORT_ENV, (int, const char *, void **))(3, "agents", &ort_env));
  ort_check(ORT(ORT_OPTIONS, (void **))(&ort_options));
  ort_check(ORT(ORT_LEVEL, (void *, int))(ort_options, 99));
  ort_check(ORT(ORT_THREADS, (void *, int))(ort_options, threads));
  ort_check(ORT(ORT_MEMORY, (int, int, void **))(1, 0, &ort_memory));
}

static void *ort_value(float *data, int rank, const int64_t *shape) {
  void *value;
  size_t n = sizeof *data;
  for (int i = 0; i < rank; i++) n *= (size_t)shape[i];
  ort_check(ORT(ORT_TENSOR, (void *, void *, size_t, const int64_t *, size_t, int, void **))(ort_memory, data, n, shape,
                                                                                             (size_t)rank, 1, &value));
  return value;
}

/* ---- The networks ---- */

typedef struct network {
  const char *name;
  int n_in, rank[MOST_INPUTS];
  int64_t shape[MOST_INPUTS][4];
  void (*by_hand)(subject *s);
} network;

static const network networks[] = {
  {"mlp", 1, {2}, {{0, 24}}, hand_mlp},
  {"gru", 2, {3, 2}, {{0, 1, 16}, {0, 64}}, hand_gru},
  {"cnn", 1, {4}, {{0, 64, 64, 1}}, hand_cnn}};

static void run_ort(subject *s) {
  static const char *const in[] = {"x", "h"}, *const out[] = {"y", "state"};
  const size_t n = s->values[1] ? 2 : 1;
  ort_check(ORT(ORT_RUN, (void *, void *, const char *const *, void *const *, size_t, const char *const *, size_t,
                          void **))(s->session, NULL, in, s->values, n, out, n, s->values + 2));
  if (n == 2) memcpy(s->in[1], s->scratch, (size_t)s->batch * 64 * sizeof(float));
}

static void open_session(subject *s, const network *n, const char *folder) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s.onnx", folder, n->name);
  ort_check(ORT(ORT_SESSION, (void *, const char *, void *, void **))(ort_env, path, ort_options, &s->session));
  for (int i = 0; i < n->n_in; i++) {
    int64_t shape[4];
    memcpy(shape, n->shape[i], sizeof shape);
    shape[0] = s->batch;
    s->values[i] = ort_value(s->in[i], n->rank[i], shape);
  }
  s->values[2] = ort_value(s->out, 2, (int64_t[]){s->batch, 4});
  if (n->n_in > 1) s->values[3] = ort_value(s->scratch, 2, (int64_t[]){s->batch, 64});
}

static int64_t row(const network *n, int i) {
  int64_t size = 1;
  for (int d = 1; d < n->rank[i]; d++) size *= n->shape[i][d];
  return size;
}

static void fill(subject *s, const network *n) {
  for (int i = 0; i < n->n_in; i++)
    for (int64_t k = 0; k < s->batch * row(n, i); k++) s->in[i][k] = i ? 0 : (float)(k * 7919 % 1000) / 500 - 1;
}

static subject with_runner(const network *n, cornu_model *m, int64_t batch) {
  cornu_error e;
  const cornu_runner_options o = {.struct_size = sizeof o, .batch = batch};
  subject s = {.name = "Cornu", .run = run_cornu, .batch = batch};
  if (cornu_runner_new(m, &o, &s.runner, &e)) fail(e.message);
  if (n->n_in > 1 && cornu_runner_carry(s.runner, 1, 1, &e)) fail(e.message);
  for (int i = 0; i < n->n_in; i++) s.in[i] = cornu_runner_data(s.runner, CORNU_RUNNER_INPUT, i);
  s.out = cornu_runner_data(s.runner, CORNU_RUNNER_OUTPUT, 0);
  return s;
}

static subject with_buffers(const network *n, const char *name, void (*run)(subject *s), int64_t batch) {
  subject s = {.name = name, .run = run, .batch = batch, .out = floats(batch * 4), .scratch = floats(batch * 64 + 20000)};
  for (int i = 0; i < n->n_in; i++) s.in[i] = floats(batch * row(n, i));
  return s;
}

static void take_weights(subject *s, cornu_model *m) {
  int n = 0;
  for (int l = 0; l < cornu_model_layers(m); l++)
    for (int i = 0; i < cornu_layer_weights(cornu_model_layer(m, l)); i++)
      s->weights[n++] = cornu_tensor_data(cornu_layer_weight(cornu_model_layer(m, l), i));
}

/* ---- Measuring ---- */

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void time_for(subject *s, double seconds) {
  const double end = cornu_clock() + seconds;
  for (double now = cornu_clock(), next; now < end && s->n_times < MOST_TIMES; now = next) {
    s->run(s);
    next = cornu_clock();
    s->times[s->n_times++] = next - now;
  }
}

/* cornu: the median of Cornu; 0: this is it */
static double report(subject *s, const float *want, double cornu) {
  qsort(s->times, (size_t)s->n_times, sizeof *s->times, ascending);
  const double median = s->times[s->n_times / 2], late = s->times[(int64_t)s->n_times * 999 / 1000];
  double worst = 0;
  for (int64_t i = 0; i < s->batch * 4; i++) worst = fmax(worst, fabs((double)s->out[i] - (double)want[i]));
  printf("  %-14s %10.2f us  p99.9 %5.2fx  %5.2f times Cornu  largest difference %.1e\n", s->name, median * 1e6,
         late / median, cornu > 0 ? median / cornu : 1, worst);
  return median;
}

static void compare(const network *n, const char *folder, int64_t batch, double seconds) {
  char path[4096];
  cornu_error e;
  cornu_model *m;
  snprintf(path, sizeof path, "%s/%s.keras", folder, n->name);
  if (cornu_model_load(path, NULL, NULL, &m, &e)) fail(e.message);
  subject s[3] = {with_runner(n, m, batch), with_buffers(n, "by hand", n->by_hand, batch),
                  with_buffers(n, "ONNX Runtime", run_ort, batch)};
  take_weights(&s[1], m);
  const int count = ort ? 3 : 2;
  if (ort) open_session(&s[2], n, folder);
  float *want = floats(batch * 4);
  for (int k = 0; k < count; k++) {
    s[k].times = malloc(MOST_TIMES * sizeof *s[k].times);
    if (!s[k].times) fail("out of memory");
    fill(&s[k], n);
    s[k].run(&s[k]);
  }
  memcpy(want, s[0].out, (size_t)batch * 4 * sizeof *want);
  printf("%s, batch %d\n", n->name, (int)batch);
  float *first[3]; /* outputs of the first run: states go on */
  for (int k = 0; k < count; k++) {
    first[k] = floats(batch * 4);
    memcpy(first[k], s[k].out, (size_t)batch * 4 * sizeof(float));
  }
  for (int round = 0; round < ROUNDS; round++)
    for (int k = 0; k < count; k++) time_for(&s[k], seconds / ROUNDS);
  double median = 0;
  for (int k = 0; k < count; k++) {
    memcpy(s[k].out, first[k], (size_t)batch * 4 * sizeof(float));
    const double its = report(&s[k], want, median);
    if (!k) median = its;
    free(first[k]), free(s[k].times);
  }
  free(want);
  cornu_runner_free(s[0].runner);
  cornu_model_release(m);
}

int main(int argc, char **argv) {
  double seconds = 1;
  int threads = 1;
  const char *library = NULL;
  for (int i = 2; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--threads") == 0) threads = atoi(argv[i + 1]);
    else if (strcmp(argv[i], "--seconds") == 0) seconds = atof(argv[i + 1]);
    else if (strcmp(argv[i], "--onnxruntime") == 0) library = argv[i + 1];
    else fail("usage: agents FOLDER [--threads N] [--seconds S] [--onnxruntime LIBRARY]");
  }
  if (argc < 2) fail("usage: agents FOLDER [--threads N] [--seconds S] [--onnxruntime LIBRARY]");
  cornu_set_threads(threads);
  if (library) open_ort(library, threads);
  for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
    for (int64_t batch = 1; batch <= 1000; batch *= 1000) compare(&networks[i], argv[1], batch, seconds);
  return 0;
}
