/* Winograd's convolution. The outputs are cut into tiles, tiles into blocks. The patches of a block are transformed,
 * multiplied with the transformed kernel - n² products with a row for each tile - and transformed back, so that what
 * lies between stays in the second-level cache. Threads share out blocks or, if these are few, the columns of the
 * products; the blocks depend on the shapes alone, so the bits do not depend on the number of threads.
 *
 * Errors, measured against sums in double precision with random inputs and kernels of unit variance, 64 to 512
 * channels: 2 x 2 tiles at most 9e-7 of the largest output, less than the direct sums; 4 x 4 tiles 1e-6 to 3.5e-6,
 * where the direct sums have 6e-7 to 3.3e-6. An infinity or NaN makes the outputs of a whole tile NaN. */
#include "ops/winograd.h"

#include <stdio.h>
#include <string.h>

#include "base/pool.h"
#include "ops/product.h"

#define LINE 16               /* floats of a line of the cache: keeps rows from meeting in few sets of the caches */
#define BLOCK_BYTES (1 << 20) /* what lies between for a block of tiles: about a second-level cache */
#define MOST_BLOCK_BYTES (16 << 20)
#define CHUNK_COLUMNS 64
#define WORTH 1e6             /* multiplications by which a layer costs enough to save some of them */
#define SMALL 200000.0        /* multiplications that are not worth waking another thread */

typedef struct state {
  const cn_winograd_kernels *kernels;
  const cn_gemm_kernels *gemm;
  cn_spatial g;
  cn_act act;
  const float *u, *zeros;        /* the transformed kernel; what lies around the image */
  int64_t filters, rows, columns; /* rows and columns of tiles in an image */
  int64_t tiles, blocks;         /* in all */
  int64_t row, out_row;          /* elements from a tile to the next: transformed inputs, products */
  int64_t u_step, v_step, p_step; /* elements from one of the n² matrices to the next */
  int64_t panels, chunk;         /* of columns; those that are multiplied before they are transformed */
  int slots;                     /* threads that have room in the scratch */
  bool turned;                   /* the kernel: see winograd.h */
  size_t fresh, straight;        /* where the scratch has what is made of a kernel in each run, and of a turned one */
} state;

typedef struct job {
  const state *st;
  const float *x, *bias, *add, *scale, *u;
  float *out, *room;
  int64_t x_pitch, out_pitch, add_pitch;
  int64_t chunk;                 /* panels */
  int64_t block, column;         /* those that are shared out; column: a chunk of them */
} job;

static int64_t first_tile(const state *st, int64_t block) { return block * st->tiles / st->blocks; }

static int points(const state *st) { return (st->kernels->m + 2) * (st->kernels->m + 2); }

typedef struct place { int64_t image, y, x; } place; /* of a tile: its first output */

static place place_of(const state *st, int64_t tile) {
  const int64_t m = st->kernels->m, row = tile / st->columns;
  return (place){row / st->rows, row % st->rows * m, tile % st->columns * m};
}

static void transform(const job *j, int64_t begin, int64_t end, float *v) {
  const state *st = j->st;
  const cn_spatial *g = &st->g;
  const int n = st->kernels->m + 2;
  for (int64_t t = begin; t < end; t++, v += st->row) {
    const float *pixel[36];
    const place at = place_of(st, t);
    for (int y = 0; y < n; y++) {
      const int64_t iy = at.y + y - g->pad[1];
      const float *line = j->x + (at.image * g->in[1] + iy) * g->in[2] * j->x_pitch;
      for (int x = 0; x < n; x++) {
        const int64_t ix = at.x + x - g->pad[2];
        const bool inside = iy >= 0 && iy < g->in[1] && ix >= 0 && ix < g->in[2];
        pixel[y * n + x] = inside ? line + ix * j->x_pitch : st->zeros;
      }
    }
    st->kernels->input(pixel, g->channels, v, st->v_step);
  }
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* The activation that the kernel of the output leaves to do. */
static void activate(const job *j, const cn_winograd_tile *tile) {
  if (tile->epilogue.act || j->st->act.kind == CN_ACT_LINEAR) return;
  for (int y = 0; y < tile->rows; y++)
    for (int x = 0; x < tile->columns; x++) {
      float *to = tile->out + y * tile->line + x * tile->pitch;
      cn_act_apply(&j->st->act, to, to, tile->channels);
    }
}

static void put(const job *j, int64_t begin, int64_t end, int64_t first, int64_t n, const float *product) {
  const state *st = j->st;
  const cn_spatial *g = &st->g;
  const int m = st->kernels->m;
  cn_winograd_tile tile = {.product = product, .step = st->p_step, .channels = n, .line = g->out[2] * j->out_pitch,
                           .pitch = j->out_pitch, .add_line = g->out[2] * j->add_pitch,
                           .scale = j->scale ? j->scale + first : NULL,
                           .epilogue = {.bias = j->bias ? j->bias + first : NULL, .add_pitch = j->add_pitch}};
  if (cn_act_is_clamp(&st->act)) tile.epilogue.act = &st->act;
  for (int64_t t = begin; t < end; t++, tile.product += st->out_row) {
    const place at = place_of(st, t);
    const int64_t pixel = (at.image * g->out[1] + at.y) * g->out[2] + at.x;
    tile.out = j->out + pixel * j->out_pitch + first;
    if (j->add) tile.epilogue.add = j->add + pixel * j->add_pitch + first;
    tile.rows = (int)least(m, g->out[1] - at.y);
    tile.columns = (int)least(m, g->out[2] - at.x);
    st->kernels->output(&tile);
    activate(j, &tile);
  }
}

static int64_t tiles_of(const state *st, int64_t block) { return first_tile(st, block + 1) - first_tile(st, block); }

/* A chunk of the columns. */
static int64_t first_column(const job *j, int64_t chunk) { return chunk * j->chunk * j->st->gemm->nr; }
static int64_t columns_of(const job *j, int64_t chunk) {
  return least(j->chunk * j->st->gemm->nr, j->st->filters - first_column(j, chunk));
}

/* Products [begin, end) of the n². */
static void multiply(const job *j, int64_t block, int64_t chunk, int64_t begin, int64_t end, const float *v,
                     float *product) {
  const state *st = j->st;
  const int64_t first = first_column(j, chunk), n = columns_of(j, chunk);
  cn_gemm_call call = {.lda = st->row, .segments = 1, .kc = st->g.channels, .ldc = st->out_row,
                       .m = tiles_of(st, block), .n = n};
  const int64_t tiles = cn_gemm_tiles(st->gemm, call.m), panels = cn_gemm_panels(st->gemm, n);
  for (int64_t i = begin; i < end; i++) {
    call.a = v + i * st->v_step;
    call.b = j->u + i * st->u_step + first * st->g.channels;
    call.c = product + i * st->p_step;
    st->gemm->run(&call, 0, tiles, 0, panels);
  }
}

/* From tile `begin` of the block to tile `end` */
static void put_chunk(const job *j, int64_t block, int64_t chunk, int64_t begin, int64_t end, const float *product) {
  const int64_t first = first_tile(j->st, block);
  put(j, first + begin, first + end, first_column(j, chunk), columns_of(j, chunk), product + begin * j->st->out_row);
}

static void run_columns(const job *j, int64_t block, int64_t chunk, const float *v, float *product) {
  multiply(j, block, chunk, 0, points(j->st), v, product);
  put_chunk(j, block, chunk, 0, tiles_of(j->st, block), product);
}

static float *v_of(const job *j, int slot) {
  return j->room + slot * points(j->st) * (j->st->v_step + j->st->p_step);
}
static float *product_of(const job *j, int slot) { return v_of(j, slot) + points(j->st) * j->st->v_step; }
static int64_t chunks_of(const job *j) { return (j->st->panels + j->chunk - 1) / j->chunk; }

static void run_block(void *context, int block, int slot) {
  const job *j = context;
  transform(j, first_tile(j->st, block), first_tile(j->st, block + 1), v_of(j, slot));
  for (int64_t c = 0; c < chunks_of(j); c++) run_columns(j, block, c, v_of(j, slot), product_of(j, slot));
}

static void run_tiles(void *context, int64_t begin, int64_t end) {
  const job *j = context;
  const int64_t first = first_tile(j->st, j->block);
  transform(j, first + begin, first + end, v_of(j, 0) + begin * j->st->row);
}

static void run_chunk(void *context, int chunk, int slot) {
  const job *j = context;
  run_columns(j, j->block, chunk, v_of(j, 0), product_of(j, slot));
}

/* All threads at one block after the other. */
static void share_columns(job *j, int threads) {
  const state *st = j->st;
  j->chunk = least(st->chunk, (st->panels + threads - 1) / threads);
  for (j->block = 0; j->block < st->blocks; j->block++) {
    cn_parallel_range(tiles_of(st, j->block), 4, run_tiles, j);
    cn_parallel_slots((int)chunks_of(j), threads, run_chunk, j);
  }
}

static void some_products(void *context, int64_t begin, int64_t end) {
  const job *j = context;
  multiply(j, j->block, j->column, begin, end, v_of(j, 0), product_of(j, 0));
}

static void put_tiles(void *context, int64_t begin, int64_t end) {
  const job *j = context;
  put_chunk(j, j->block, j->column, begin, end, product_of(j, 0));
}

/* In slices of time: all threads at one chunk after the other. */
static void share_products(job *j) {
  const state *st = j->st;
  for (j->block = 0; j->block < st->blocks; j->block++) {
    const int64_t tiles = tiles_of(st, j->block), work = tiles * st->g.channels * j->chunk * st->gemm->nr;
    cn_parallel_range(tiles, 4, run_tiles, j);
    for (j->column = 0; j->column < chunks_of(j); j->column++) {
      cn_parallel_range(points(st), (int64_t)CN_SLICED_WORK / (work + 1) + 1, some_products, j);
      cn_parallel_range(tiles, 4, put_tiles, j);
    }
  }
}

typedef struct weights_job {
  const cn_winograd_kernels *kernels;
  cn_winograd_weights weights;
  float *kernel; /* a copy, or NULL */
} weights_job;

static void run_weights(void *context, int64_t begin, int64_t end) {
  const weights_job *j = context;
  j->kernels->weights(&j->weights, begin, end);
}

static void share_weights(weights_job *j) {
  const int64_t values = (j->kernels->m + 2) * (j->kernels->m + 2) * j->weights.filters;
  cn_parallel_range(j->weights.channels, 65536 / values + 1, run_weights, j);
}

static weights_job weights_of(const state *st, float *to, const float *kernel) {
  return (weights_job){st->kernels, {.kernel = kernel, .to = to, .step = st->u_step, .channels = st->g.channels,
                                     .filters = st->filters, .nr = st->gemm->nr}, NULL};
}

/* Places of a turned kernel. */
static void straighten(void *context, int i) {
  const cn_step *s = context;
  const state *st = s->state;
  const int64_t c = st->g.channels, n = st->filters;
  cn_transpose_items(sizeof(float), (float *)((char *)s->scratch + st->straight) + i * c * n, n,
                     (const float *)s->in[1]->data + (8 - i) * c * n, c, n, c);
}

/* The transformed kernel of this run. */
static const float *fresh_weights(const cn_step *s) {
  const state *st = s->state;
  float *to = (float *)((char *)s->scratch + st->fresh);
  if (st->turned) cn_parallel(9, straighten, (void *)s);
  weights_job j = weights_of(st, to, st->turned ? (float *)((char *)s->scratch + st->straight) : s->in[1]->data);
  share_weights(&j);
  return to;
}

static void run_winograd(const cn_step *s) {
  const state *st = s->state;
  job j = {.st = st, .u = st->u ? st->u : fresh_weights(s), .x = s->in[0]->data, .x_pitch = s->in[0]->pitch, .out = s->out[0]->data,
           .out_pitch = s->out[0]->pitch, .bias = cn_optional(s, 2), .add = cn_optional(s, 3),
           .scale = cn_optional(s, 4), .room = s->scratch, .chunk = st->chunk};
  if (j.add) j.add_pitch = s->in[3]->pitch;
  const double work = (double)(points(st) * st->tiles) * (double)(st->g.channels * st->filters);
  const int threads = work < SMALL ? 1 : (int)least(st->slots, cn_threads());
  const int64_t rounds = (st->blocks + threads - 1) / threads;
  if (cn_sliced()) share_products(&j);
  else if (8 * rounds * threads <= 9 * st->blocks) cn_parallel_slots((int)st->blocks, threads, run_block, &j);
  else share_columns(&j, threads);
}

static void copy_rows(void *context, const void *rows, int64_t begin, int64_t end) {
  const weights_job *j = context;
  const int64_t row = j->weights.filters;
  memcpy(j->kernel + begin * row, rows, (size_t)((end - begin) * row) * sizeof(float));
}

/* All places of the kernel are needed at a time: what is still in a file is copied for that, and given back. */
static cn_status transform_weights(weights_job *j, const cn_operand *source, cn_error *e) {
  const cn_winograd_weights *w = &j->weights;
  if (source->tensor && cn_tensor_stored(source->tensor)) {
    j->kernel = cn_alloc_data((size_t)source->size * sizeof(float));
    if (!j->kernel) return cn_no_memory(e);
    cn_status status = cn_plan_read(source, (size_t)w->filters * sizeof(float), copy_rows, j, e);
    if (status) {
      cn_free(j->kernel);
      return status;
    }
  }
  j->weights.kernel = j->kernel ? j->kernel : source->data;
  share_weights(j);
  cn_free(j->kernel);
  return CORNU_OK;
}

static cn_status plan_weights(struct cn_planner *p, const cn_step *s, state *st, cn_error *e) {
  char kind[96];
  cn_operand *source = s->in[1];
  snprintf(kind, sizeof kind, "winograd %d, %lld x %lld, panels of %d", st->kernels->m, (long long)st->g.channels,
           (long long)st->filters, st->gemm->nr);
  bool fresh;
  float *to = cn_plan_pack(p, source, kind, (size_t)(points(st) * st->u_step) * sizeof *to, &fresh);
  if (!to) return cn_no_memory(e);
  st->u = to;
  if (source->packed) *source->packed = true;
  weights_job j = weights_of(st, to, NULL);
  return fresh ? transform_weights(&j, source, e) : CORNU_OK;
}

/* How many tiles a block and how many panels a chunk has. Where the weights are large, blocks grow until reading these
 * for each block costs no more than what of the block leaves the cache. */
static void plan_blocks(state *st) {
  const int64_t c = st->g.channels, n = st->filters, columns = least(n, CHUNK_COLUMNS);
  const int64_t tile = points(st) * (c + columns) * (int64_t)sizeof(float), enough = c * n / (2 * (c + n));
  int64_t most = BLOCK_BYTES / tile;
  if (most < enough) most = least(enough, MOST_BLOCK_BYTES / tile);
  if (most < st->gemm->mr) most = st->gemm->mr;
  st->blocks = (st->tiles + most - 1) / most;
  st->panels = cn_gemm_panels(st->gemm, n);
  st->chunk = columns < st->gemm->nr ? 1 : columns / st->gemm->nr;
  const int64_t tiles = (st->tiles + st->blocks - 1) / st->blocks;
  st->row = (c + LINE - 1) / LINE * LINE + LINE;
  st->out_row = st->chunk * st->gemm->nr + LINE;
  st->v_step = tiles * st->row + LINE;
  st->p_step = tiles * st->out_row + LINE;
  st->slots = cn_threads();
}

/* Room for what is made of the kernel in each run. */
static void plan_fresh(cn_step *s, state *st) {
  st->fresh = (s->scratch_bytes + 63) & ~(size_t)63;
  st->straight = (st->fresh + (size_t)(points(st) * st->u_step) * sizeof(float) + 63) & ~(size_t)63;
  s->scratch_bytes = st->straight + (st->turned ? (size_t)s->in[1]->size * sizeof(float) : 0);
}

cn_status cn_winograd_plan(struct cn_planner *p, cn_step *s, const cn_spatial *g, int tile, const cn_act *act,
                           bool turned, cn_error *e) {
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  float *zeros = cn_plan_memory(p, (size_t)g->channels * sizeof *zeros);
  if (!st || !zeros) return cn_no_memory(e);
  *st = (state){.kernels = tile == 2 ? cn_winograd_2() : cn_winograd_4(), .gemm = cn_gemm(), .g = *g, .act = *act,
                .zeros = zeros, .filters = s->in[1]->shape[s->in[1]->rank - (turned ? 2 : 1)], .turned = turned,
                .rows = (g->out[1] + tile - 1) / tile, .columns = (g->out[2] + tile - 1) / tile};
  st->tiles = g->batch * st->rows * st->columns;
  st->u_step = (int64_t)(cn_gemm_packed_bytes(st->gemm, g->channels, st->filters) / sizeof(float)) + LINE;
  plan_blocks(st);
  s->scratch_bytes = (size_t)(st->slots * points(st) * (st->v_step + st->p_step)) * sizeof(float);
  s->flops = 18.0 * (double)s->out[0]->size * (double)g->channels;
  s->variant = tile == 2 ? "Winograd F(2x2)" : "Winograd F(4x4)";
  s->run = run_winograd;
  if (s->in[1]->constant && !turned) return plan_weights(p, s, st, e);
  plan_fresh(s, st);
  return CORNU_OK;
}

/* Costs in multiplications of one lane. Moving a value between the second-level cache and a transform, or reading a
 * weight from the memory behind, takes about as long as multiplying one vector. times: a weight is moved in each run.
 * tile 0: by products of rows. */
static double cost_of(const cn_spatial *g, int64_t filters, int tile, int times) {
  const int64_t lanes = cn_gemm()->lanes;
  const double products = (double)g->channels * (double)filters;
  if (!tile) return 9 * products * (double)(g->batch * g->out[1] * g->out[2] + times * lanes);
  const int64_t tiles = g->batch * ((g->out[1] + tile - 1) / tile) * ((g->out[2] + tile - 1) / tile);
  const int64_t vectors = (g->channels + lanes - 1) / lanes + (filters + lanes - 1) / lanes;
  const double moved = (double)(vectors * lanes * lanes);
  return (tile + 2) * (tile + 2) * ((double)tiles * (products + moved) + products * (double)(times * lanes));
}

int cn_winograd_side(const cn_spatial *g, int64_t filters, bool constant) {
  const int times = constant ? 1 : 3;
  const bool flat = g->kernel[0] == 1 && g->in[0] == 1 && g->out[0] == 1;
  if (!flat || g->kernel[1] != 3 || g->kernel[2] != 3 || g->stride[1] != 1 || g->stride[2] != 1 ||
      g->dilation[1] != 1 || g->dilation[2] != 1)
    return 0;
  int best = 0;
  double least_cost = 0.9 * cost_of(g, filters, 0, times); /* not for little gain: the results are less exact */
  if (9.0 * (double)(g->batch * g->out[1] * g->out[2]) * (double)(g->channels * filters) < WORTH) return 0;
  for (int tile = 2; tile <= 4; tile += 2) {
    const double cost = cost_of(g, filters, tile, times);
    if (cost < least_cost) best = tile, least_cost = cost;
  }
  return best;
}
