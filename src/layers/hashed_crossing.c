/* HashedCrossing: combinations of features into bins. */
#include "base/text.h"
#include "layers/encoding.h"
#include "ops/ops.h"

typedef struct settings { int64_t bins; int mode; } settings;

static const cn_field fields[] = {
    {.name = "num_bins", .kind = CN_F_INT, .offset = offsetof(settings, bins), .min = 1, .max = 1e15,
     .help = CN_HELP("how many bins")},
    CN_MODE_FIELD(settings, "\"int\""),
    CN_SPARSE_FIELD,
    {0}};

static cn_status check(cn_layer *l, cn_error *e) {
  const settings *s = l->settings;
  CN_TRY(cn_mode_check(s->mode, "int one_hot", e));
  if (cn_mode_of(s->mode) == CN_MODE_INT || s->bins <= 1000000000) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_LIMIT, "\"num_bins\" is %lld: rows of so many columns are too long", (long long)s->bins);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  cn_mode mode = cn_mode_of(s->mode);
  cn_edge *in = cn_arena_array(&t->graph->arena, (size_t)c->n_positional + 1, sizeof *in);
  if (!in && !t->status) t->status = cn_no_memory(t->error);
  for (int i = 0; i < c->n_positional && !t->status; i++) {
    const cn_type *type = cn_edge_type(t, c->in[i].data);
    in[i] = c->in[i].data;
    if (type->rank > 2 || (type->rank == 2 && type->shape[1] != 1))
      cn_trace_fail(t, CORNU_ERR_SHAPE, "input %d has shape %s, expected (), (batch) or (batch, 1)", i + 1,
                    CN_SHAPE(type->rank, type->shape));
  }
  cn_edge crossed = cn_emit(t, &cn_op_hash_cross, &(cn_hash_attrs){.bins = s->bins}, in, c->n_positional);
  cn_encoding how = {.mode = mode, .depth = s->bins, .dtype = cn_category_dtype(l, mode), .weights = CN_NO_EDGE};
  cn_call_return(t, c, cn_emit_encoding(l, t, crossed, &how), CN_NO_EDGE);
}

const cn_layer_type cn_layer_hashed_crossing = {
    .name = "HashedCrossing",
    .versions = "2 3",
    .help = CN_HELP("the bin of each combination of features, strings or whole numbers, as TensorFlow's "
                    "hashed sparse cross\n"
                    "[(batch, 1), (batch, 1), …] -> (batch, 1), or (batch, num_bins) with output_mode=\"one_hot\""),
    .flags = CN_LAYER_UNCAST,
    .min_in = 2,
    .max_in = -1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .lower = lower,
};
