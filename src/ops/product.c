/* Packed weights, and products over a grid of rows on all threads. Threads share out whole tiles of rows or whole
 * panels of columns, and where tiles begin depends on the shapes alone: the bits do not depend on the
 * number of threads. */
#include "ops/product.h"

#include <stdio.h>

#include "base/deadline.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/text.h"

#define SMALL 200000.0            /* multiply-adds that are not worth waking another thread */
#define READING 10                /* multiply-adds that take as long as reading a weight from memory */
#define MOST_TASKS (1 << 24)
#define GROUP_BYTES (256 << 10)   /* panels that are used together; they, the next ones and the rows, which are read again for
                                   * each group, should fit into the second-level cache */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static const void *scale_of(const cn_pack *w, const cn_pack_part *part) {
  return w->scale ? cn_nth(w->scale, (part - w->part) * w->n, w->kernels->item) : NULL;
}

static void pack_panels(const cn_pack *w, const cn_pack_part *part, const void *source, void *to, int64_t begin,
                        int64_t end) {
  const size_t item = w->kernels->item;
  for (int64_t s = 0; s < part->slices; s++)
    w->kernels->pack(cn_nth(to, part->to, item),
                     cn_nth(source, part->from + (part->slice ? part->slice[s] : 0), item), w->row, w->column,
                     part->slices * part->kc, s * part->kc, part->kc, w->n, begin, end,
                     scale_of(w, part));
}

typedef struct pack_job { const cn_pack *w; const void *source; void *to; int64_t panels; } pack_job;

static void pack_range(void *context, int64_t begin, int64_t end) {
  const pack_job *j = context;
  while (begin < end) {
    int64_t part = begin / j->panels, first = begin % j->panels, last = first + (end - begin);
    if (last > j->panels) last = j->panels;
    pack_panels(j->w, &j->w->part[part], j->source, j->to, first, last);
    begin += last - first;
  }
}

static void pack_on_all_threads(const cn_pack *w, const void *source, void *to) {
  pack_job job = {w, source, to, cn_gemm_panels(w->kernels, w->n)};
  int64_t total = job.panels * w->parts;
  if (!total) return;
  int64_t grain = (int64_t)(262144 / (w->bytes / (size_t)total + 1)) + 1; /* about 256 KiB for each thread at least */
  cn_parallel_range(total, grain, pack_range, &job);
}

cn_status cn_check_residual(const char *op, const cn_typing *t, cn_error *e) {
  const cn_type *out = &t->out[0], *residual = &t->in[3], *scale = &t->in[4];
  if (t->n_in > 3 && !CN_TYPE_ABSENT(residual)) {
    bool same = residual->dtype == out->dtype && residual->rank == out->rank;
    for (int i = 0; same && i < out->rank; i++) same = cn_dims_agree(residual->shape[i], out->shape[i]);
    if (!same)
      return cn_fail(e, CORNU_ERR_SHAPE, "%s: the residual is %s %s, needs %s %s like the result", op,
                     cornu_dtype_name(residual->dtype), CN_SHAPE(residual->rank, residual->shape),
                     cornu_dtype_name(out->dtype), CN_SHAPE(out->rank, out->shape));
  }
  if (t->n_in > 4 && !CN_TYPE_ABSENT(scale) &&
      (scale->dtype != out->dtype || scale->rank != 1 || !cn_dims_agree(scale->shape[0], out->shape[out->rank - 1])))
    return cn_fail(e, CORNU_ERR_SHAPE, "%s: the scale is %s %s, needs %s %s", op, cornu_dtype_name(scale->dtype),
                   CN_SHAPE(scale->rank, scale->shape), cornu_dtype_name(out->dtype),
                   CN_SHAPE(1, &out->shape[out->rank - 1]));
  return CORNU_OK;
}

typedef struct row_job { const cn_pack *w; void *to; } row_job;

/* Rows of the source go to every slice that has some of them. */
static void pack_rows(void *context, const void *rows, int64_t begin, int64_t end) {
  const row_job *j = context;
  const cn_pack *w = j->w;
  for (const cn_pack_part *part = w->part; part < w->part + w->parts; part++)
    for (int64_t s = 0; s < part->slices; s++) {
      int64_t from = part->from + (part->slice ? part->slice[s] : 0), first = from / w->row, last = first + part->kc;
      int64_t low = begin > first ? begin : first, high = end < last ? end : last;
      if (low >= high) continue;
      w->kernels->pack(cn_nth(j->to, part->to, w->kernels->item),
                       cn_nth(rows, (low - begin) * w->row + from % w->row, w->kernels->item), w->row, 1,
                       part->slices * part->kc, s * part->kc + low - first, high - low, w->n, 0,
                       cn_gemm_panels(w->kernels, w->n), scale_of(w, part));
    }
}

/* Whether no row of a slice crosses the end of a row of the source. */
static bool by_rows(const cn_pack *w, const cn_operand *source) {
  bool fits = w->column == 1 && w->row > 0 && source->size % w->row == 0;
  for (const cn_pack_part *part = w->part; fits && part < w->part + w->parts; part++)
    for (int64_t s = 0; s < part->slices && fits; s++)
      fits = (part->from + (part->slice ? part->slice[s] : 0)) % w->row + w->n <= w->row;
  return fits;
}

static cn_status pack_constant(const cn_pack *w, cn_operand *source, void *to, cn_error *e) {
  if (by_rows(w, source))
    return cn_plan_read(source, (size_t)w->row * w->kernels->item, pack_rows, &(row_job){w, to}, e);
  cn_plan_whole(source);
  pack_on_all_threads(w, source->data, to);
  return CORNU_OK;
}

cn_status cn_pack_plan(struct cn_planner *p, cn_pack *w, cn_operand *source, const char *kind, size_t *scratch,
                       cn_error *e) {
  if (!source->constant) {
    *scratch += (w->bytes + 63) & ~(size_t)63;
    return CORNU_OK;
  }
  char name[256];
  int at = snprintf(name, sizeof name, "%s: %lld x %lld of %lld, pitches %lld %lld, %d parts, %d lanes of %d", kind,
                    (long long)w->part->slices, (long long)w->part->kc, (long long)w->n, (long long)w->row,
                    (long long)w->column, w->parts, w->kernels->lanes, (int)w->kernels->item);
  if (w->scale) /* by its values: packed memory may outlive them */
    snprintf(name + at, sizeof name - (size_t)at, ", scale %016llx",
             (unsigned long long)cn_hash_fingerprint(w->scale, (size_t)(w->n * w->parts) * w->kernels->item));
  bool fresh = false;
  void *to = cn_plan_pack(p, source, name, w->bytes, &fresh);
  if (!to) return cn_no_memory(e);
  w->packed = to;
  if (source->packed) *source->packed = true;
  return fresh ? pack_constant(w, source, to, e) : CORNU_OK;
}

const void *cn_pack_ready(const cn_pack *w, const void *source, void *room) {
  if (w->packed) return w->packed;
  pack_on_all_threads(w, source, room);
  return room;
}

void cn_grid_fold(cn_grid *g) {
  for (int i = 2; i >= 0; i--) {
    const cn_gemm_call *c = &g->call;
    bool joins = g->a_step[i] == c->m * c->lda && g->c_step[i] == c->m * c->ldc &&
                 (!c->epilogue.add || g->add_step[i] == c->m * c->epilogue.add_pitch);
    if (g->outer[i] != 1 && !joins) return;
    g->call.m *= g->outer[i];
    g->outer[i] = 1;
  }
}

typedef struct grid_job {
  const cn_gemm_kernels *kernels;
  const cn_grid *grid;
  int64_t rows, tiles, units, panels; /* of the grid; of one row of it; tiles of all rows; of one group */
  int64_t unit_chunks, panel_chunks;
  bool sliced;                        /* units follow each other, not panels */
} grid_job;

/* The call of one row of the grid. */
static cn_gemm_call row_call(const cn_grid *g, size_t item, int64_t row) {
  cn_gemm_call call = g->call;
  for (int i = 2; i >= 0 && row > 0; i--) {
    int64_t at = row % g->outer[i];
    row /= g->outer[i];
    call.a = cn_nth(call.a, at * g->a_step[i], item);
    call.c = cn_nth(call.c, at * g->c_step[i], item);
    if (call.epilogue.add) call.epilogue.add = cn_nth(call.epilogue.add, at * g->add_step[i], item);
  }
  call.a = cn_nth(call.a, row * g->a_group, item);
  call.b = cn_nth(call.b, row * g->b_group, item);
  call.c = cn_nth(call.c, row * call.n, item);
  if (call.epilogue.add) call.epilogue.add = cn_nth(call.epilogue.add, row * call.n, item);
  if (call.epilogue.bias) call.epilogue.bias = cn_nth(call.epilogue.bias, row * call.n, item);
  return call;
}

/* Panels [panel0, panel1) of tiles [begin, end); panels up to `last` come next and are loaded meanwhile. */
static void run_units(const grid_job *j, int64_t begin, int64_t end, int64_t panel0, int64_t panel1, int64_t last) {
  const int64_t k = j->grid->call.segments * j->grid->call.kc;
  const int64_t panel = k * j->kernels->nr * (int64_t)j->kernels->item;
  int64_t ahead = panel1 * panel;
  while (begin < end && !cn_past_deadline()) {
    int64_t first = begin % j->tiles, tiles = least(j->tiles - first, end - begin);
    cn_gemm_call call = row_call(j->grid, j->kernels->item, begin / j->tiles);
    call.ahead = (const char *)call.b + ahead;
    call.ahead_bytes = last * panel - ahead;
    j->kernels->run(&call, first, first + tiles, panel0, panel1);
    ahead += tiles * (panel1 - panel0) * k * CN_GEMM_AHEAD;
    begin += tiles;
  }
}

static int64_t panel_items(const grid_job *j) {
  return j->grid->call.segments * j->grid->call.kc * j->kernels->nr;
}

static int64_t group_of(const grid_job *j) {
  const int64_t group = GROUP_BYTES / (panel_items(j) * (int64_t)j->kernels->item + 1);
  return group < 1 ? 1 : group;
}

static void run_chunk(void *context, int i) {
  const grid_job *j = context;
  const int64_t u = j->sliced ? i % j->unit_chunks : i / j->panel_chunks;
  const int64_t p = j->sliced ? i / j->unit_chunks : i % j->panel_chunks;
  int64_t begin = u * j->units / j->unit_chunks, end = (u + 1) * j->units / j->unit_chunks;
  int64_t panel0 = p * j->panels / j->panel_chunks, panel1 = (p + 1) * j->panels / j->panel_chunks;
  const int64_t group = group_of(j);
  for (int64_t next; panel0 < panel1; panel0 = next) {
    next = least(panel0 + group, panel1);
    run_units(j, begin, end, panel0, next, least(next + group, panel1));
  }
}

/* How much of the threads' time is work when they share out `items` of the same size. */
static double balance(int64_t items, int threads) {
  int64_t turns = (items + threads - 1) / threads;
  return (double)items / (double)(turns * threads);
}

/* Each thread reads all of one side: the larger side is shared out, unless that leaves threads idle. */
static void share_out(grid_job *j, int threads, int64_t chunks) {
  bool columns = j->grid->call.n >= j->rows * j->grid->call.m;
  double by_units = balance(j->units, threads), by_panels = balance(j->panels, threads);
  if (columns ? by_panels < 0.9 * by_units : by_units < 0.9 * by_panels) columns = !columns;
  if (columns) j->panel_chunks = least(j->panels, chunks);
  else j->unit_chunks = least(j->units, chunks);
  if (j->unit_chunks * j->panel_chunks >= threads) return;
  if (columns) j->unit_chunks = least(j->units, threads);
  else j->panel_chunks = least(j->panels, threads);
}

/* In slices of time: the order in which one thread does it as a whole, in small pieces. */
static void cut(grid_job *j) {
  const double item = (double)panel_items(j) + 1, rows = (double)j->grid->call.m / (double)j->tiles;
  const int64_t panels = least(group_of(j), (int64_t)(CN_SLICED_WORK / (item * (rows + READING))) + 1);
  const int64_t units = (int64_t)((CN_SLICED_WORK / (item * (double)panels) - READING) / rows);
  j->panel_chunks = (j->panels + panels - 1) / panels;
  j->unit_chunks = least(units < 1 ? j->units : (j->units + units - 1) / units, MOST_TASKS / j->panel_chunks + 1);
  j->sliced = true;
}

static double work_of(int64_t m, int64_t n, int64_t k) { return (double)m * (double)n * (double)(k + 1); }
bool cn_product_is_small(int64_t m, int64_t n, int64_t k) { return work_of(m, n, k) <= SMALL; }

void cn_grid_run(const cn_gemm_kernels *kernels, const cn_grid *g) {
  const cn_gemm_call *c = &g->call;
  const int64_t rows = g->groups * g->outer[0] * g->outer[1] * g->outer[2];
  if (rows <= 0 || c->m <= 0 || c->n <= 0) return;
  const double work = work_of(rows * c->m, c->n, c->segments * c->kc);
  const int64_t tiles = cn_gemm_tiles(kernels, c->m), panels = cn_gemm_panels(kernels, c->n);
  if (rows == 1 && work <= SMALL) {
    kernels->run(c, 0, tiles, 0, panels);
    return;
  }
  grid_job j = {.kernels = kernels, .grid = g, .rows = rows, .tiles = tiles, .units = rows * tiles, .panels = panels,
                .unit_chunks = 1, .panel_chunks = 1};
  const int threads = work > SMALL ? cn_threads() : 1;
  if (cn_sliced()) cut(&j);
  else if (threads > 1) share_out(&j, threads, least(4 * threads, (int64_t)(work / SMALL) + 1));
  int tasks = (int)(j.unit_chunks * j.panel_chunks);
  if (tasks == 1) run_chunk(&j, 0);
  else cn_parallel(tasks, run_chunk, &j);
}
