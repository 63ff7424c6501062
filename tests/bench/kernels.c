/* Speed of the kernels: the matrix product of every instruction set this machine has beside cblas_sgemm, and the
 * convolutions and pools as a plan runs them (CORNU_ISA and CORNU_NUM_THREADS choose how). Best of many runs.
 * Build: gcc -O2 -Isrc tests/bench/kernels.c build/libcornu.a with the library's own libraries (`make` prints them). */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "graph/plan.h"
#include "kernels/kernels.h"
#include "ops/ops.h"

static const cn_gemm_kernels *const tables[] = CN_KERNELS_OF(cn_gemm);
static const char *const isa_names[] = {"sse2", "avx2", "avx512"};

static void fill(float *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) x[i] = (float)(i * 7919 % 1000 - 500) / 500;
}

static float *floats(int64_t n) {
  float *x = cn_alloc_data((size_t)n * sizeof *x);
  if (!x) {
    fputs("out of memory\n", stderr);
    exit(1);
  }
  fill(x, n);
  return x;
}

/* Seconds of the fastest of the runs that fit into 0.2 s, at least three. */
static double best_of(void (*run)(void *), void *context) {
  double best = INFINITY, start = cornu_clock();
  for (int i = 0; i < 3 || cornu_clock() - start < 0.2; i++) {
    double t = cornu_clock();
    run(context);
    t = cornu_clock() - t;
    if (t < best) best = t;
  }
  return best;
}

typedef struct product { const cn_gemm_kernels *kernels; cn_gemm_call call; const float *plain; int repeat; } product;

static void run_own(void *context) {
  const product *p = context;
  int64_t panels = cn_gemm_panels(p->kernels, p->call.n), tiles = cn_gemm_tiles(p->kernels, p->call.m);
  int64_t group = (448 << 10) / (p->call.kc * p->kernels->nr * 4) + 1;
  for (int i = 0; i < p->repeat; i++)
    for (int64_t q = 0; q < panels; q += group)
      p->kernels->run(&p->call, 0, tiles, q, q + group < panels ? q + group : panels);
}

static void run_cblas(void *context) {
  const product *p = context;
  const cn_gemm_call *c = &p->call;
  for (int i = 0; i < p->repeat; i++)
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)c->m, (int)c->n, (int)c->kc, 1, c->a, (int)c->lda,
                p->plain, (int)c->n, 0, c->c, (int)c->ldc);
}

/* One thread, with bias and ReLU (cblas: without). */
static void bench_product(int64_t m, int64_t n, int64_t k) {
  const double flops = 2.0 * (double)m * (double)n * (double)k;
  const cn_act relu = {CN_ACT_RELU, 0, INFINITY, 0};
  float *a = floats(m * k), *b = floats(k * n), *c = floats(m * n), *bias = floats(n);
  printf("%5lld x %4lld x %5lld", (long long)m, (long long)n, (long long)k);
  for (int isa = 0; isa <= (int)cn_cpu_isa(); isa++) {
    const cn_gemm_kernels *t = tables[isa];
    float *packed = floats((int64_t)(cn_gemm_packed_bytes(t, k, n) / sizeof(float)));
    t->pack(packed, b, n, 1, k, 0, k, n, 0, cn_gemm_panels(t, n), NULL);
    product p = {t, {.a = a, .lda = k, .segments = 1, .kc = k, .b = packed, .c = c, .ldc = n, .m = m, .n = n,
                     .epilogue = {.bias = bias, .act = &relu}}, b,
                 (int)(1e5 / flops) + 1};
    double s = best_of(run_own, &p) / p.repeat;
    printf("  %s %6.1f", isa_names[isa], flops / s * 1e-9);
    if (isa == (int)cn_cpu_isa()) printf("  cblas %6.1f", flops / (best_of(run_cblas, &p) / p.repeat) * 1e-9);
    cn_free(packed);
  }
  puts(" GFLOP/s");
  cn_free(a);
  cn_free(b);
  cn_free(c);
  cn_free(bias);
}

typedef struct plan_run { cn_plan *plan; const void *in; void *out; cn_error e; } plan_run;

static void run_plan(void *context) {
  plan_run *r = context;
  cn_plan_run(r->plan, &r->in, &r->out, &r->e);
}

static int64_t size_of(const cn_type *t) {
  int64_t n = 1;
  for (int i = 0; i < t->rank; i++) n *= t->shape[i];
  return n;
}

/* A graph of one op over an input and, unless kernel is NULL, a constant kernel. */
static cn_status compile(const cn_op *op, const void *attrs, const cn_type *x, const cn_type *kernel, cn_plan **plan,
                         cn_error *e) {
  cn_graph *g;
  cn_edge in[2], out;
  int n_out;
  CN_TRY(cn_graph_new(&g, e));
  cn_status status = cn_graph_add_input(g, x, &in[0], e);
  if (!status && kernel) {
    cn_tensor *t = NULL;
    status = cornu_tensor_new(CORNU_FLOAT32, kernel->rank, kernel->shape, &t, e);
    if (!status) {
      fill((float *)t->data, size_of(kernel));
      status = cn_graph_add_constant(g, kernel, t, &in[1], e);
    }
    cornu_tensor_release(t);
  }
  if (!status) status = cn_graph_add(g, op, attrs, in, kernel ? 2 : 1, "bench", &out, &n_out, e);
  if (!status) status = cn_graph_add_output(g, out, e);
  if (!status) return cn_plan_compile(g, plan, e);
  cn_graph_free(g);
  return status;
}

static void bench_op(const char *name, const cn_op *op, const void *attrs, const cn_type *x, const cn_type *kernel) {
  plan_run r = {0};
  if (compile(op, attrs, x, kernel, &r.plan, &r.e)) {
    printf("%s: %s\n", name, r.e.message);
    return;
  }
  const int64_t n_in = size_of(x), n_out = size_of(cn_plan_output_type(r.plan, 0));
  float *in = floats(n_in), *out = floats(n_out);
  r.in = in;
  r.out = out;
  double s = best_of(run_plan, &r);
  printf("%-34s %9.1f us %7.1f GFLOP/s %6.1f GB/s in and out\n", name, s * 1e6, cn_plan_total_flops(r.plan) / s * 1e-9,
         (double)(n_in + n_out) * 4 / s * 1e-9);
  cn_free(in);
  cn_free(out);
  cn_plan_free(r.plan);
}

#define IMAGE(...) (&(cn_type){CORNU_FLOAT32, 4, {__VA_ARGS__}})
#define SERIES(...) (&(cn_type){CORNU_FLOAT32, 3, {__VA_ARGS__}})
#define MATRIX(...) (&(cn_type){CORNU_FLOAT32, 2, {__VA_ARGS__}})

static void bench_convs(void) {
  static const struct { int64_t size, channels, filters, kernel, stride; } shapes[] = {
    {56, 64, 64, 3, 1},   {28, 128, 128, 3, 1}, {14, 256, 256, 3, 1}, {7, 512, 512, 3, 1}, {112, 128, 128, 3, 1},
    {28, 512, 512, 3, 1},
    {56, 64, 256, 1, 1},  {14, 1024, 256, 1, 1}, {56, 256, 512, 1, 2}, {224, 3, 64, 7, 2}, {224, 3, 32, 3, 2},
    {28, 128, 128, 3, 2},
  };
  char name[64];
  for (int i = 0; i < CN_COUNT(shapes); i++) {
    const int64_t s = shapes[i].size, k = shapes[i].kernel, p = k / 2, stride = shapes[i].stride;
    const int64_t c = shapes[i].channels, f = shapes[i].filters;
    cn_conv_attrs a = {.spatial = 2, .stride = {stride, stride}, .dilation = {1, 1}, .pad_begin = {p, p},
                       .pad_end = {p, p}, .act = {CN_ACT_RELU, 0, INFINITY, 0}};
    snprintf(name, sizeof name, "conv %dx%d / %d, %d², %d -> %d", (int)k, (int)k, (int)stride, (int)s, (int)c, (int)f);
    bench_op(name, &cn_op_conv, &a, IMAGE(1, s, s, c), IMAGE(k, k, c, f));
  }
  cn_conv_attrs causal = {.spatial = 1, .stride = {1}, .dilation = {8}, .pad_begin = {8}, 
                          .act = {CN_ACT_TANH, 0, 0, 0}};
  bench_op("conv 2, dilation 8, 2048, 16 -> 32", &cn_op_conv, &causal, SERIES(1, 2048, 16), SERIES(2, 16, 32));
  cn_conv_transpose_attrs t = {.spatial = 2, .stride = {2, 2}, .dilation = {1, 1}, .crop_begin = {1, 1},
                               .crop_end = {1, 1}};
  bench_op("transpose 4x4 / 2, 28², 128 -> 64", &cn_op_conv_transpose, &t, IMAGE(1, 28, 28, 128), IMAGE(4, 4, 64, 128));
}

static void bench_windows(void) {
  static const struct { int64_t size, channels, kernel, stride; } shapes[] = {
    {112, 32, 3, 1}, {56, 144, 3, 1}, {28, 192, 3, 1}, {16, 576, 3, 1}, {8, 960, 3, 1}, {14, 240, 5, 1},
    {112, 96, 3, 2},
  };
  char name[64];
  for (int i = 0; i < CN_COUNT(shapes); i++) {
    const int64_t s = shapes[i].size, k = shapes[i].kernel, p = k / 2, c = shapes[i].channels;
    const int64_t stride = shapes[i].stride;
    cn_conv_attrs a = {.spatial = 2, .stride = {stride, stride}, .dilation = {1, 1}, .pad_begin = {p, p},
                       .pad_end = {p, p}, .act = {CN_ACT_RELU, 0, 6, 0}};
    snprintf(name, sizeof name, "depthwise %dx%d / %d, %d² x %d", (int)k, (int)k, (int)stride, (int)s, (int)c);
    bench_op(name, &cn_op_depthwise_conv, &a, IMAGE(1, s, s, c), IMAGE(k, k, c, 1));
  }
  cn_pool_attrs pool = {.spatial = 2, .size = {3, 3}, .stride = {2, 2}, .pad_begin = {1, 1}, .pad_end = {1, 1}};
  bench_op("maximum 3x3 / 2, 112² x 64", &cn_op_pool, &pool, IMAGE(1, 112, 112, 64), NULL);
}

static void bench_dense(void) {
  const cn_dense_attrs relu = {.act = {CN_ACT_RELU, 0, INFINITY, 0}}, tanh_act = {.act = {CN_ACT_TANH, 0, 0, 0}};
  bench_op("dense 1 x 24 -> 64, tanh", &cn_op_dense, &tanh_act, MATRIX(1, 24), MATRIX(24, 64));
  bench_op("dense 1 x 512 -> 128", &cn_op_dense, &relu, MATRIX(1, 512), MATRIX(512, 128));
  bench_op("dense 1 x 4096 -> 4096", &cn_op_dense, &relu, MATRIX(1, 4096), MATRIX(4096, 4096));
  bench_op("dense 8 x 4096 -> 4096", &cn_op_dense, &relu, MATRIX(8, 4096), MATRIX(4096, 4096));
  bench_op("dense 2048 x 2048 -> 2048", &cn_op_dense, &relu, MATRIX(2048, 2048), MATRIX(2048, 2048));
}

int main(void) {
  static const int sizes[][3] = {
    {1024, 1024, 1024}, {2048, 2048, 2048}, {3136, 64, 64},  {3136, 64, 576},  {3136, 256, 64}, {784, 128, 1152},
    {784, 512, 128}, {196, 256, 2304},
    {196, 1024, 256},   {49, 512, 4608},    {49, 2048, 512}, {12544, 64, 147}, {8, 4096, 4096}, {1, 4096, 25088},
    {128, 512, 128}, {1, 64, 64},
  };
  openblas_set_num_threads(1);
  for (int i = 0; i < CN_COUNT(sizes); i++) bench_product(sizes[i][0], sizes[i][1], sizes[i][2]);
  printf("%s, %d threads\n", cornu_isa(), cn_threads());
  bench_convs();
  bench_windows();
  bench_dense();
  return 0;
}
