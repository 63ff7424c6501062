/* clahe: the contrast of images, made even tile by tile and channel by channel (Zuiderveld, 1994): what lies above the
 * limit in a tile's histogram is spread over its 256 bins; the sums of the bins map values, interpolated between the
 * centres of the four tiles around a pixel. Tiles beyond the image see it mirrored. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "ops/ops.h"

enum { BINS = 256, MOST_TASKS = 16 };
typedef struct state { int64_t tile[2], pictures; int tasks; } state; /* pictures: channels of images */

static cn_status shape(cn_typing *t, cn_error *e) {
  const cn_type *x = &t->in[0];
  CN_TRY(cn_want_rank(x, "clahe: input", 4, 4, e));
  if (x->dtype != CORNU_INT32)
    return cn_fail(e, CORNU_ERR_DTYPE, "clahe: input is %s, needs int32: cast it first", cornu_dtype_name(x->dtype));
  t->out[0] = *x;
  t->out[0].dtype = CORNU_FLOAT32;
  return CORNU_OK;
}

/* The element that a mirror at the end shows. */
static int64_t mirrored(int64_t i, int64_t n) { return i < n ? i : 2 * n - 1 - i; }

static int bin_of(int32_t v) { return v < 0 ? 0 : v >= BINS ? BINS - 1 : v; }

static void count(const cn_step *s, const int32_t *picture, int64_t row, int64_t column, float *bins) {
  const state *st = s->state;
  const int64_t *in = s->in[0]->shape;
  memset(bins, 0, BINS * sizeof *bins);
  for (int64_t y = row * st->tile[0]; y < (row + 1) * st->tile[0]; y++)
    for (int64_t x = column * st->tile[1]; x < (column + 1) * st->tile[1]; x++)
      bins[bin_of(picture[(mirrored(y, in[1]) * in[2] + mirrored(x, in[2])) * in[3]])]++;
}

/* From counts to the values that take the place of 0 … 255; in single precision, as the result may be truncated. */
static void make_map(float *bins, float pixels, double clip_limit, float *map) {
  float limit = (float)(clip_limit * (double)pixels / BINS), excess = 0, sum = 0;
  for (int i = 0; i < BINS && clip_limit > 0; i++)
    if (bins[i] > limit) excess += bins[i] - limit, bins[i] = limit;
  for (int i = 0; i < BINS; i++) bins[i] = sum += bins[i] + excess / BINS;
  float rest = pixels - bins[0];
  const float least = bins[0];
  for (int i = 0; i < BINS; i++) {
    float v = (bins[i] - least) * 255 / (rest == 0 ? 1 : rest);
    map[i] = v < 0 ? 0 : v > 255 ? 255 : v;
  }
}

/* The tiles on both sides of position i and the second one's weight. */
static void between(int64_t i, int64_t tile, int64_t tiles, int64_t at[2], float *weight) {
  float place = ((float)i - (float)tile / 2) / (float)tile + 1, low = floorf(place);
  *weight = place - low;
  for (int side = 0; side < 2; side++) {
    int64_t k = (int64_t)low + side - 1;
    at[side] = k < 0 ? 0 : k >= tiles ? tiles - 1 : k;
  }
}

static void map_picture(const cn_step *s, const int32_t *picture, const float *maps, float *out) {
  const state *st = s->state;
  const cn_clahe_attrs *a = s->attrs;
  const int64_t *in = s->in[0]->shape;
  for (int64_t y = 0; y < in[1]; y++) {
    int64_t rows[2], columns[2];
    float wy, wx, v[2];
    between(y, st->tile[0], a->tiles.v[0], rows, &wy);
    for (int64_t x = 0; x < in[2]; x++) {
      between(x, st->tile[1], a->tiles.v[1], columns, &wx);
      int64_t at = (y * in[2] + x) * in[3];
      const float *bin = maps + bin_of(picture[at]);
      for (int i = 0; i < 2; i++) {
        const float *row = bin + rows[i] * a->tiles.v[1] * BINS;
        v[i] = row[columns[0] * BINS] * (1 - wx) + row[columns[1] * BINS] * wx;
      }
      out[at] = v[0] * (1 - wy) + v[1] * wy;
    }
  }
}

static size_t map_bytes(const cn_clahe_attrs *a) {
  return (size_t)(a->tiles.v[0] * a->tiles.v[1]) * BINS * sizeof(float);
}

static void pictures(void *context, int i) {
  const cn_step *s = context;
  const state *st = s->state;
  const cn_clahe_attrs *a = s->attrs;
  const int64_t channels = s->in[0]->shape[3], image = s->in[0]->shape[1] * s->in[0]->shape[2] * channels;
  float *maps = (float *)(void *)((char *)s->scratch + (size_t)i * map_bytes(a));
  float bins[BINS];
  for (int64_t k = st->pictures * i / st->tasks; k < st->pictures * (i + 1) / st->tasks; k++) {
    const int64_t at = k / channels * image + k % channels;
    const int32_t *picture = (const int32_t *)s->in[0]->data + at;
    for (int64_t tile = 0; tile < a->tiles.v[0] * a->tiles.v[1]; tile++) {
      count(s, picture, tile / a->tiles.v[1], tile % a->tiles.v[1], bins);
      make_map(bins, (float)(st->tile[0] * st->tile[1]), a->clip_limit, maps + tile * BINS);
    }
    map_picture(s, picture, maps, (float *)s->out[0]->data + at);
  }
}

static void run(const cn_step *s) { cn_parallel(((const state *)s->state)->tasks, pictures, (void *)s); }

static cn_status plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  const cn_clahe_attrs *a = s->attrs;
  const int64_t *in = s->in[0]->shape;
  state *st = s->state = cn_plan_memory(p, sizeof *st);
  if (!st) return cn_no_memory(e);
  for (int i = 0; i < 2; i++) {
    st->tile[i] = (in[i + 1] + a->tiles.v[i] - 1) / a->tiles.v[i];
    if (s->in[0]->size > 0 && st->tile[i] * a->tiles.v[i] > 2 * in[i + 1])
      return cn_fail(e, CORNU_ERR_SHAPE, "clahe: %lld x %lld tiles are too many for an image of %lld x %lld",
                     (long long)a->tiles.v[0], (long long)a->tiles.v[1], (long long)in[1], (long long)in[2]);
  }
  st->pictures = s->in[0]->size > 0 ? in[0] * in[3] : 0;
  st->tasks = st->pictures < MOST_TASKS ? (int)st->pictures : MOST_TASKS;
  s->scratch_bytes = (size_t)st->tasks * map_bytes(a);
  s->flops = (double)s->in[0]->size * 8;
  s->run = run;
  return CORNU_OK;
}

static const cn_field fields[] = {
    {.name = "tiles", .aliases = "tile_grid_size", .kind = CN_F_INTS, .offset = offsetof(cn_clahe_attrs, tiles),
     .standard = "8", .count = 2, .min = 1, .max = 4096,
     .help = CN_HELP("number of tiles along the height and the width")},
    {.name = "clip_limit", .kind = CN_F_FLOAT, .offset = offsetof(cn_clahe_attrs, clip_limit), .standard = "4",
     .help = CN_HELP("of a bin, as a multiple of the mean; not above 0: none")},
    {0}};

const cn_op cn_op_clahe = {
    .name = "clahe",
    .help = CN_HELP("contrast limited adaptive histogram equalization of int32 values 0 … 255\n(b, h, w, c) "
                    "-> (b, h, w, c)"),
    .min_in = 1, .max_in = 1, .n_out = 1,
    .attrs_size = sizeof(cn_clahe_attrs), .fields = fields,
    .shape = shape, .plan = plan,
};
