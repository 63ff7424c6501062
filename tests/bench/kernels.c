/* Measures this machine (arithmetic, reading from each cache, fork and join) and then the kernels as plans run them:
 * speed, how much of what the machine allows that is, and OpenBLAS where it can do the same. Best of many runs.
 * CORNU_ISA and CORNU_NUM_THREADS choose how. usage: kernels [--json] */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pool.h"
#include "bench/peak.h"
#include "graph/plan.h"
#include "ops/ops.h"

static bool json;
static volatile float sink;

static void *memory(size_t bytes) {
  void *p = cn_alloc_data(bytes);
  if (!p) {
    fputs("out of memory\n", stderr);
    exit(1);
  }
  return p;
}

static float *floats(int64_t n) {
  float *x = memory((size_t)n * sizeof *x);
  for (int64_t i = 0; i < n; i++) x[i] = (float)(i * 7919 % 1000 - 500) / 500;
  return x;
}

/* Seconds of the fastest of the runs that fit into 0.15 s, at least three. */
static double best_of(void (*run)(void *), void *context) {
  double best = INFINITY, start = cornu_clock();
  for (int i = 0; i < 3 || cornu_clock() - start < 0.15; i++) {
    double t = cornu_clock();
    run(context);
    t = cornu_clock() - t;
    if (t < best) best = t;
  }
  return best;
}

/* ---- The machine ---- */

enum { LEVELS = 4 };
static struct { const char *name; size_t bytes; double speed[2]; } levels[LEVELS] = {
  {.name = "L1"}, {.name = "L2"}, {.name = "L3"}, {.name = "memory"}};
static double peak[2]; /* FLOP/s: of one thread, of all */

static const bench_peak *loops(void) {
  static const bench_peak *const of[] = {&bench_peak_table_sse2, &bench_peak_table_avx2, &bench_peak_table_avx512};
  return of[cn_cpu_isa()];
}

enum { ROUNDS = 20000 };
static void fma_task(void *context, int i) {
  (void)context, (void)i;
  sink = loops()->fma(ROUNDS);
}
static void fma_run(void *threads) { cn_parallel(*(int *)threads, fma_task, NULL); }

typedef struct reading { const float *data; int64_t n, repeat; int threads; } reading;
static void read_task(void *context, int i) {
  const reading *r = context;
  for (int64_t k = 0; k < r->repeat; k++) sink = loops()->sum(r->data + i * r->n, r->n);
}
static void read_run(void *context) { cn_parallel(((reading *)context)->threads, read_task, context); }

static size_t cache_size(int name, size_t standard) {
  long bytes = sysconf(name);
  return bytes > 0 ? (size_t)bytes : standard;
}

static void size_levels(void) {
  levels[0].bytes = cache_size(_SC_LEVEL1_DCACHE_SIZE, 32 << 10) / 2;
  levels[1].bytes = cache_size(_SC_LEVEL2_CACHE_SIZE, 512 << 10) / 2;
  levels[2].bytes = cache_size(_SC_LEVEL3_CACHE_SIZE, 8 << 20) / 2;
  if (levels[2].bytes > 16 << 20) levels[2].bytes = 16 << 20; /* a virtual machine owns but a part of it */
  levels[3].bytes = 256 << 20;
}

static void measure_machine(void) {
  float *data = floats((int64_t)levels[LEVELS - 1].bytes / 4 + 1024);
  for (int all = 0; all < (cn_threads() > 1 ? 2 : 1); all++) {
    int threads = all ? cn_threads() : 1;
    peak[all] = threads * ROUNDS * loops()->flops / best_of(fma_run, &threads);
    for (int i = 0; i < LEVELS; i++) { /* what threads share they divide */
      int64_t n = (int64_t)levels[i].bytes / 4 / (i < 2 ? 1 : threads) / 1024 * 1024;
      reading r = {data, n, (1 << 18) / n + 1, threads};
      levels[i].speed[all] = 4.0 * (double)(n * r.repeat * threads) / best_of(read_run, &r);
    }
  }
  cn_free(data);
}

static void nothing(void *context, int i) { (void)context, (void)i; }
static void fork_join(void *context) { cn_parallel(*(int *)context, nothing, NULL); }

static double fork_join_asleep(void) { /* median */
  enum { TIMES = 51 };
  double t[TIMES];
  for (int i = 0; i < TIMES; i++) {
    int threads = cn_threads(), at = i;
    usleep(1000);
    double start = cornu_clock();
    fork_join(&threads);
    start = cornu_clock() - start;
    for (; at > 0 && t[at - 1] > start; at--) t[at] = t[at - 1];
    t[at] = start;
  }
  return t[TIMES / 2];
}

static void report_machine(void) {
  int threads = cn_threads(), last = threads > 1;
  double spin = best_of(fork_join, &threads), asleep = fork_join_asleep();
  if (json) {
    printf("{\"isa\": \"%s\", \"threads\": %d, \"fma_gflops\": [%.1f, %.1f], ", cornu_isa(), threads, peak[0] * 1e-9,
           peak[last] * 1e-9);
    printf("\"fork_join_us\": [%.3f, %.3f], \"read_gb_s\": {", spin * 1e6, asleep * 1e6);
    for (int i = 0; i < LEVELS; i++)
      printf("%s\"%s\": [%.1f, %.1f]", i ? ", " : "", levels[i].name, levels[i].speed[0] * 1e-9,
             levels[i].speed[last] * 1e-9);
    printf("}, \"kernels\": [");
    return;
  }
  printf("%s, %d thread%s; OpenBLAS: %s\n", cornu_isa(), threads, last ? "s" : "", openblas_get_corename());
  printf("%-28s %12s %12s\n", "", "1 thread", last ? "all threads" : "");
  printf("%-28s %12.1f %12.1f\n", "multiply-add, GFLOP/s", peak[0] * 1e-9, peak[last] * 1e-9);
  for (int i = 0; i < LEVELS; i++)
    printf("read %6zu KiB (%s), GB/s%*s %12.1f %12.1f\n", levels[i].bytes >> 10, levels[i].name,
           8 - (int)strlen(levels[i].name) - 3, "", levels[i].speed[0] * 1e-9, levels[i].speed[last] * 1e-9);
  printf("fork and join %.2f us, of sleeping workers %.1f us\n\n", spin * 1e6, asleep * 1e6);
  printf("%-34s %10s %9s %7s %7s %9s %6s\n", "kernel", "us", "GFLOP/s", "GB/s", "of best", "OpenBLAS", "ratio");
}

/* ---- Kernels ---- */

/* Seconds that the machine needs at least: for the arithmetic, or to read and write all once. */
static double least_seconds(double flops, double bytes) {
  int all = cn_threads() > 1, i = 0;
  while (i < LEVELS - 1 && bytes > 2.0 * (double)levels[i].bytes * (i < 2 ? cn_threads() : 1)) i++;
  return fmax(flops / peak[all], bytes / levels[i].speed[all]);
}

static void report(const char *name, double s, double flops, double bytes, double blas) {
  static bool more;
  double share = least_seconds(flops, bytes) / s;
  if (json) {
    printf("%s\n  {\"kernel\": \"%s\", \"us\": %.3f, \"gflops\": %.1f, \"gb_s\": %.1f, \"of_best\": %.3f", more ? "," : "",
           name, s * 1e6, flops / s * 1e-9, bytes / s * 1e-9, share);
    if (blas > 0) printf(", \"openblas_us\": %.3f", blas * 1e6);
    printf("}");
    more = true;
    return;
  }
  printf("%-34s %10.2f %9.1f %7.1f %6.0f%%", name, s * 1e6, flops / s * 1e-9, bytes / s * 1e-9, 100 * share);
  if (blas > 0) printf(" %9.1f %6.2f", flops / blas * 1e-9, blas / s);
  puts("");
  fflush(stdout);
}

typedef struct plan_run { cn_plan *plan; const void *in[2]; void *out[3]; int repeat; cn_error e; } plan_run;

static void run_plan(void *context) {
  plan_run *r = context;
  for (int i = 0; i < r->repeat; i++) cn_plan_run(r->plan, r->in, r->out, &r->e);
}

static int64_t size_of(const cn_type *t) {
  int64_t n = 1;
  for (int i = 0; i < t->rank; i++) n *= t->shape[i];
  return n;
}

static cn_status add_constant(cn_graph *g, const cn_type *type, cn_edge *edge, cn_error *e) {
  cn_tensor *t = NULL;
  cn_status status = cornu_tensor_new(CORNU_FLOAT32, type->rank, type->shape, &t, e);
  if (!status) {
    float *from = floats(size_of(type));
    memcpy(t->data, from, (size_t)size_of(type) * sizeof *from);
    cn_free(from);
    status = cn_graph_add_constant(g, type, t, edge, e);
  }
  cornu_tensor_release(t);
  return status;
}

/* A graph of one op over n_in inputs and then constants. */
static cn_status compile(const cn_op *op, const void *attrs, const cn_type *types, int n, int n_in, cn_plan **plan,
                         cn_error *e) {
  cn_graph *g;
  cn_edge in[8], out;
  int n_out;
  CN_TRY(cn_graph_new(&g, e));
  cn_status status = CORNU_OK;
  for (int i = 0; i < n && !status; i++)
    status = i < n_in ? cn_graph_add_input(g, &types[i], &in[i], e) : add_constant(g, &types[i], &in[i], e);
  if (!status) status = cn_graph_add(g, op, attrs, in, n, "bench", &out, &n_out, e);
  if (!status) status = cn_graph_add_output(g, out, e);
  if (!status) return cn_plan_compile(g, plan, e);
  cn_graph_free(g);
  return status;
}

static double time_op(const char *name, const cn_op *op, const void *attrs, const cn_type *types, int n, int n_in,
                      double *flops, double *bytes) {
  plan_run r = {.repeat = 1};
  if (compile(op, attrs, types, n, n_in, &r.plan, &r.e)) {
    fprintf(stderr, "%s: %s\n", name, r.e.message);
    exit(1);
  }
  int64_t n_values = size_of(cn_plan_output_type(r.plan, 0));
  void *values = r.out[0] = floats(n_values);
  for (int i = 0; i < n_in; i++) r.in[i] = floats(size_of(&types[i]));
  for (int i = 0; i < n; i++) n_values += size_of(&types[i]);
  run_plan(&r);
  double once = cornu_clock();
  run_plan(&r);
  once = cornu_clock() - once;
  r.repeat = (int)fmin(1000, 20e-6 / (once + 1e-9)) + 1; /* the clock takes 20 ns */
  double s = best_of(run_plan, &r) / r.repeat;
  *flops = cn_plan_total_flops(r.plan);
  *bytes = (double)n_values * 4;
  cn_free(values);
  for (int i = 0; i < n_in; i++) cn_free((void *)r.in[i]);
  cn_plan_free(r.plan);
  return s;
}

#define TYPE(rank, ...) {CORNU_FLOAT32, rank, {__VA_ARGS__}}
#define TYPES(...) (const cn_type[]){__VA_ARGS__}, (int)(sizeof((const cn_type[]){__VA_ARGS__}) / sizeof(cn_type))

static void bench_op(const char *name, const cn_op *op, const void *attrs, const cn_type *types, int n) {
  double flops, bytes, s = time_op(name, op, attrs, types, n, 1, &flops, &bytes);
  report(name, s, flops, bytes, 0);
}

typedef struct product { int m, n, k; float *a, *b, *c; } product;
static void run_blas(void *context) {
  const product *p = context;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, p->m, p->n, p->k, 1, p->a, p->k, p->b, p->n, 0, p->c, p->n);
}

/* With bias and ReLU; cblas without. */
static void bench_product(const char *of, int m, int k, int n) {
  const cn_dense_attrs relu = {.act = {CN_ACT_RELU, 0, INFINITY, 0}};
  double flops, bytes;
  char name[64];
  snprintf(name, sizeof name, "%s %d x %d -> %d", of, m, k, n);
  double s = time_op(name, &cn_op_dense, &relu, TYPES(TYPE(2, m, k), TYPE(2, k, n), TYPE(1, n)), 1, &flops, &bytes);
  product p = {m, n, k, floats((int64_t)m * k), floats((int64_t)k * n), floats((int64_t)m * n)};
  double blas = best_of(run_blas, &p);
  cn_free(p.a);
  cn_free(p.b);
  cn_free(p.c);
  report(name, s, 2.0 * m * n * k, bytes, blas);
}

static void bench_products(void) {
  static const int shapes[][3] = { /* 1x1 convolutions of ResNet50, 3x3 ones as products, VGG16 */
    {3136, 64, 64}, {3136, 64, 256}, {3136, 576, 64}, {784, 1152, 128}, {784, 128, 512}, {196, 2304, 256},
    {196, 256, 1024}, {49, 4608, 512}, {49, 512, 2048}, {3136, 1152, 256}, {784, 4608, 512}};
  for (int i = 0; i < CN_COUNT(shapes); i++) bench_product("dense", shapes[i][0], shapes[i][1], shapes[i][2]);
  bench_product("dense", 8, 4096, 4096);
  bench_product("dense", 1, 64, 64);
  bench_product("dense", 1, 512, 512);
  bench_product("dense", 1, 4096, 4096);
  bench_product("dense", 1, 25088, 1024);
}

static void bench_conv(const cn_op *op, const char *of, int64_t size, int64_t c, int64_t f, int64_t k, int64_t stride) {
  char name[64];
  int64_t p = k / 2;
  cn_conv_attrs a = {.spatial = 2, .stride = {stride, stride}, .dilation = {1, 1}, .pad_begin = {p, p},
                     .pad_end = {p, p}, .act = {CN_ACT_RELU, 0, INFINITY, 0}};
  bool depthwise = op == &cn_op_depthwise_conv;
  snprintf(name, sizeof name, "%s %dx%d/%d, %dx%d, %d -> %d", of, (int)k, (int)k, (int)stride, (int)size, (int)size,
           (int)c, (int)f);
  bench_op(name, op, &a, TYPES(TYPE(4, 1, size, size, c), TYPE(4, k, k, c, depthwise ? 1 : f), TYPE(1, f)));
}

static void bench_convs(void) {
  static const int64_t convs[][5] = {{224, 3, 64, 7, 2}, {224, 3, 64, 3, 1}, {224, 64, 64, 3, 1}, {112, 128, 128, 3, 1},
    {56, 64, 64, 3, 1}, {56, 256, 256, 3, 1}, {28, 128, 128, 3, 1}, {28, 512, 512, 3, 1}, {14, 256, 256, 3, 1},
    {14, 512, 512, 3, 1}, {7, 512, 512, 3, 1}, {56, 128, 128, 3, 2}};
  static const int64_t depthwise[][4] = {{112, 32, 3, 1}, {112, 96, 3, 2}, {56, 144, 3, 1}, {28, 192, 3, 1},
    {14, 576, 3, 1}, {7, 960, 3, 1}, {28, 240, 5, 1}, {56, 96, 7, 1}};
  for (int i = 0; i < CN_COUNT(convs); i++)
    bench_conv(&cn_op_conv, "conv", convs[i][0], convs[i][1], convs[i][2], convs[i][3], convs[i][4]);
  for (int i = 0; i < CN_COUNT(depthwise); i++)
    bench_conv(&cn_op_depthwise_conv, "depthwise", depthwise[i][0], depthwise[i][1], depthwise[i][1], depthwise[i][2],
               depthwise[i][3]);
  cn_conv_attrs causal = {.spatial = 1, .stride = {1}, .dilation = {8}, .pad_begin = {8},
                          .act = {CN_ACT_TANH, 0, 0, 0}};
  bench_op("conv 2, dilation 8, 2048, 16 -> 32", &cn_op_conv, &causal,
           TYPES(TYPE(3, 1, 2048, 16), TYPE(3, 2, 16, 32), TYPE(1, 32)));
  cn_pool_attrs pool = {.spatial = 2, .size = {3, 3}, .stride = {2, 2}, .pad_begin = {1, 1}, .pad_end = {1, 1}};
  bench_op("maximum 3x3/2, 112x112, 64", &cn_op_pool, &pool, TYPES(TYPE(4, 1, 112, 112, 64)));
}

static void bench_vectors(void) {
  static const struct { const char *name; cn_act act; } acts[] = {
    {"relu", {CN_ACT_RELU, 0, INFINITY, 0}}, {"exponential", {CN_ACT_EXPONENTIAL, 0, 0, 0}},
    {"sigmoid", {CN_ACT_SIGMOID, 0, 0, 0}}, {"tanh", {CN_ACT_TANH, 0, 0, 0}}, {"silu", {CN_ACT_SILU, 0, 0, 0}},
    {"gelu", {CN_ACT_GELU, 0, 0, 0}}, {"softplus", {CN_ACT_SOFTPLUS, 0, 0, 0}}};
  char name[64];
  for (int i = 0; i < CN_COUNT(acts); i++) {
    const cn_act_attrs a = {.act = acts[i].act};
    snprintf(name, sizeof name, "%s of 65536", acts[i].name);
    bench_op(name, &cn_op_activation, &a, TYPES(TYPE(1, 65536)));
  }
  const cn_axis_attrs last = {-1};
  bench_op("softmax 1 x 1000", &cn_op_softmax, &last, TYPES(TYPE(2, 1, 1000)));
  bench_op("softmax 512 x 128", &cn_op_softmax, &last, TYPES(TYPE(2, 512, 128)));
  const cn_layer_norm_attrs norm = {.axes = {.n = 1, .v = {-1}}, .epsilon = 1e-3};
  bench_op("layer_norm 128 x 128", &cn_op_layer_norm, &norm, TYPES(TYPE(2, 128, 128), TYPE(1, 128), TYPE(1, 128)));
  bench_op("layer_norm 3136 x 96", &cn_op_layer_norm, &norm, TYPES(TYPE(2, 3136, 96), TYPE(1, 96), TYPE(1, 96)));
  const cn_rnn_attrs rnn = {.act = {CN_ACT_TANH, 0, 0, 0}, .recurrent_act = {CN_ACT_SIGMOID, 0, 0, 0},
                            .reset_after = true};
  bench_op("lstm, 80 steps, 128 -> 128", &cn_op_lstm, &rnn,
           TYPES(TYPE(3, 1, 80, 128), TYPE(2, 128, 512), TYPE(2, 128, 512), TYPE(1, 512)));
  bench_op("lstm, 1 step, 128 -> 128", &cn_op_lstm, &rnn,
           TYPES(TYPE(3, 1, 1, 128), TYPE(2, 128, 512), TYPE(2, 128, 512), TYPE(1, 512)));
  bench_op("gru, 1 step, 16 -> 64", &cn_op_gru, &rnn,
           TYPES(TYPE(3, 1, 1, 16), TYPE(2, 16, 192), TYPE(2, 64, 192), TYPE(2, 2, 192)));
}

int main(int argc, char **argv) {
  json = argc > 1 && strcmp(argv[1], "--json") == 0;
  openblas_set_num_threads(cn_threads());
  size_levels();
  measure_machine();
  report_machine();
  bench_products();
  bench_convs();
  bench_vectors();
  if (json) puts("]}");
  return 0;
}
