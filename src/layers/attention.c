/* Attention (Luong et al. 2015) and AdditiveAttention (Bahdanau et al. 2014): called on [query, value] or
 * [query, value, key], (batch, Tq, dim) and (batch, Tv, dim) -> (batch, Tq, dim). */
#include <string.h>

#include "layers/attention.h"

#include "layers/emit.h"

#include "base/text.h"

/* ---- Masks ---- */

/* Which places may be seen: row i sees columns from i - before to i + after. */
static cn_edge band_mask(cn_trace *t, cn_edge scores, int64_t before, int64_t after) {
  const cn_type *type = cn_edge_type(t, scores);
  if (t->status) return CN_NO_EDGE;
  int64_t rows = type->shape[type->rank - 2], columns = type->shape[type->rank - 1];
  if (rows < 0 || columns < 0) /* shapes alone are wanted */
    return cn_emit1(t, &cn_op_full_like, &(cn_fill_attrs){1, CORNU_BOOL8}, scores);
  cn_tensor *mask = NULL;
  t->status = cornu_tensor_new(CORNU_BOOL8, 2, (int64_t[]){rows, columns}, &mask, t->error);
  if (t->status) return CN_NO_EDGE;
  for (int64_t i = 0; i < rows; i++)
    for (int64_t k = 0; k < columns; k++) mask->data[i * columns + k] = k >= i - before && k - i <= after;
  cn_edge edge = cn_emit_constant(t, mask);
  cornu_tensor_release(mask);
  return edge;
}

cn_edge cn_attention_and(cn_trace *t, cn_edge a, cn_edge b) {
  if (a == CN_NO_EDGE || b == CN_NO_EDGE) return a == CN_NO_EDGE ? b : a;
  return cn_emit2(t, &cn_op_logical_and, NULL, a, b);
}

cn_edge cn_attention_causal(cn_trace *t, cn_edge scores, cn_edge mask) {
  return cn_attention_and(t, mask, band_mask(t, scores, INT32_MAX, 0));
}

cn_edge cn_attention_band(cn_trace *t, cn_edge scores, int64_t window) {
  return band_mask(t, scores, window - 1, window - 1);
}

cn_edge cn_attention_axis(cn_trace *t, cn_edge x, int64_t axis) {
  return x == CN_NO_EDGE ? x : cn_emit1(t, &cn_op_expand_dims, &(cn_axis_attrs){axis}, x);
}

bool cn_attention_flag(const cn_call *c, const char *name) {
  const cn_value *v = cn_call_kwarg(c, name);
  double number = 0;
  return v && cn_value_number(v, &number) && number != 0;
}

/* Mask i of the call: of the argument `mask`, a list, or else the input's own. */
static cn_edge given_mask(const cn_call *c, int i) {
  const cn_value *list = cn_call_kwarg(c, "mask");
  int index;
  if (!cn_value_is(list, CORNU_LIST)) return i < c->n_in ? c->in[i].mask : CN_NO_EDGE;
  return i < list->count && cn_call_ref(list->items[i], &index) ? c->in[index].data : CN_NO_EDGE;
}

/* ---- The layers ---- */

typedef struct settings {
  bool use_scale, causal;
  int score_mode;
  double dropout;
  int64_t seed;
} settings;
enum { DOT, CONCAT };

#define COMMON_FIELDS                                                                                                  \
  {.name = "causal", .kind = CN_F_BOOL, .offset = offsetof(settings, causal), .standard = "false",                     \
   .help = CN_HELP("place i sees values up to i (TensorFlow before 2.10; later an argument of the call)")},            \
  {.name = "dropout", .kind = CN_F_FLOAT, .offset = offsetof(settings, dropout), .standard = "0", .min = 0, .max = 1,   \
   .help = CN_HELP("share of the weights dropped in training")},                                                       \
  {.name = "seed", .kind = CN_F_INT, .offset = offsetof(settings, seed), .standard = "null", .min = -9e18, .max = 9e18, \
   .help = CN_HELP("of what is dropped; null: the model's")}, {0}

static const cn_field fields[] = {
    {.name = "use_scale", .kind = CN_F_BOOL, .offset = offsetof(settings, use_scale), .standard = "false",
     .help = CN_HELP("a factor of the scores is learned")},
    {.name = "score_mode", .kind = CN_F_ENUM, .offset = offsetof(settings, score_mode), .standard = "\"dot\"",
     .choices = "dot concat", .help = CN_HELP("query * key, or a learned factor times the sum of tanh(query + key)")},
    COMMON_FIELDS};
static const cn_field additive_fields[] = {
    {.name = "use_scale", .kind = CN_F_BOOL, .offset = offsetof(settings, use_scale), .standard = "true",
     .help = CN_HELP("factors of the dimensions are learned")},
    COMMON_FIELDS};

static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)in, (void)n_in;
  static const cn_value ones = {.kind = CORNU_STRING, .count = 4, .s = "ones"};
  const settings *s = l->settings;
  if (s->use_scale) CN_TRY(cn_layer_add_weight(l, "scale", 0, NULL, true, &ones, e));
  return s->score_mode == CONCAT ? cn_layer_add_weight(l, "concat_score_weight", 0, NULL, true, &ones, e) : CORNU_OK;
}

/* The features of the query; before Keras 3 those of the value. They differ where one of them is 1. */
static cn_status build_additive(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  if (l->origin.keras < 3 && n_in > 1) in++;
  static const cn_value glorot = {.kind = CORNU_STRING, .count = 14, .s = "glorot_uniform"};
  if (!((const settings *)l->settings)->use_scale || in->rank < 1) return CORNU_OK;
  return cn_layer_add_weight(l, "scale", 1, &in->shape[in->rank - 1], true, &glorot, e);
}

static cn_edge scaled(cn_trace *t, cn_edge x, cn_edge scale) {
  return scale == CN_NO_EDGE ? x : cn_emit2(t, &cn_op_mul, NULL, x, scale);
}

/* sum(outer * tanh(inner * (query + key))) over the dimensions, for each query and each key. */
static cn_edge additive_scores(cn_trace *t, cn_edge query, cn_edge key, cn_edge inner, cn_edge outer) {
  cn_edge sum = cn_emit2(t, &cn_op_add, NULL, cn_attention_axis(t, query, -2), cn_attention_axis(t, key, -3));
  cn_act_attrs tanh_act = {.act = {.kind = CN_ACT_TANH}};
  cn_edge bent = scaled(t, cn_emit1(t, &cn_op_activation, &tanh_act, scaled(t, sum, inner)), outer);
  return cn_emit1(t, &cn_op_sum, &(cn_reduce_attrs){.axes = {1, {-1}}}, bent);
}

static cn_edge dot_scores(cn_trace *t, cn_edge query, cn_edge key, cn_edge scale) {
  cn_ints_attrs order = {.v = {.n = cn_edge_type(t, key)->rank}};
  for (int i = 0; i < order.v.n; i++) order.v.v[i] = i;
  if (order.v.n >= 2) order.v.v[order.v.n - 2] = order.v.n - 1, order.v.v[order.v.n - 1] = order.v.n - 2;
  return scaled(t, cn_emit2(t, &cn_op_matmul, NULL, query, cn_emit1(t, &cn_op_transpose, &order, key)), scale);
}

cn_edge cn_attention_weights(cn_trace *t, cn_edge scores, cn_edge mask) {
  if (mask != CN_NO_EDGE) {
    cn_edge low = cn_emit2(t, &cn_op_sub, NULL, scores, cn_emit_number(t, 1e9));
    scores = cn_emit3(t, &cn_op_where, NULL, mask, scores, low);
  }
  return cn_emit1(t, &cn_op_softmax, &(cn_axis_attrs){-1}, scores);
}

cn_edge cn_attention_drop(cn_layer *l, cn_trace *t, cn_edge weights, double rate, int64_t seed) {
  if (rate <= 0 || !t->training || !cn_layer_draws(l, t)) return weights;
  const cn_type type = *cn_edge_type(t, weights);
  return cn_emit2(t, &cn_op_mul, NULL, weights, cn_emit_kept(t, &type, rate, seed));
}

static void attend(cn_layer *l, cn_trace *t, cn_call *c, cn_edge scores, cn_edge value) {
  const settings *s = l->settings;
  cn_edge query_mask = given_mask(c, 0), seen = cn_attention_axis(t, given_mask(c, 1), -2);
  if (s->causal || cn_attention_flag(c, "use_causal_mask")) seen = cn_attention_causal(t, scores, seen);
  cn_edge weights = cn_attention_drop(l, t, cn_attention_weights(t, scores, seen), s->dropout, s->seed);
  cn_edge y = cn_emit2(t, &cn_op_matmul, NULL, weights, value);
  if (query_mask != CN_NO_EDGE)
    y = cn_emit3(t, &cn_op_where, NULL, cn_attention_axis(t, query_mask, -1), y, cn_emit_number(t, 0));
  cn_call_return(t, c, y, query_mask);
  if (cn_attention_flag(c, "return_attention_scores")) cn_call_return(t, c, weights, CN_NO_EDGE);
}

/* (batch, time, dim) as attention of one head. */
static cn_edge one_head(cn_trace *t, cn_edge x) { return cn_attention_axis(t, x, 2); }

/* Dot products of inputs (batch, time, dim), by one op: the weights are not wanted. */
static void attend_at_once(cn_layer *l, cn_trace *t, cn_call *c, cn_edge query, cn_edge key, cn_edge value) {
  cn_edge query_mask = given_mask(c, 0), seen = cn_attention_axis(t, cn_attention_axis(t, given_mask(c, 1), -2), 1);
  bool causal = ((const settings *)l->settings)->causal || cn_attention_flag(c, "use_causal_mask");
  cn_attention_attrs a = {.scale = 1, .masked = -1e9, .lower = true, .causal = causal};
  cn_edge in[] = {one_head(t, query), one_head(t, key), one_head(t, value), seen};
  cn_edge y = cn_emit1(t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {2}}},
                       cn_emit(t, &cn_op_attention, &a, in, 4));
  if (query_mask != CN_NO_EDGE)
    y = cn_emit3(t, &cn_op_where, NULL, cn_attention_axis(t, query_mask, -1), y, cn_emit_number(t, 0));
  cn_call_return(t, c, y, query_mask);
}

/* (batch, time, dim) with the batch of `like`: nothing broadcasts. */
static bool is_sequence(cn_trace *t, cn_edge x, cn_edge like) {
  const cn_type *type = cn_edge_type(t, x);
  return type->rank == 3 && cn_dims_agree(type->shape[0], cn_edge_type(t, like)->shape[0]);
}
static bool is_mask(cn_trace *t, cn_edge x) {
  return x == CN_NO_EDGE || (cn_edge_type(t, x)->rank == 2 && cn_edge_type(t, x)->dtype == CORNU_BOOL8);
}

static void lower_kind(cn_layer *l, cn_trace *t, cn_call *c, bool additive) {
  const settings *s = l->settings;
  cn_edge query = cn_emit_compute(t, c->in[0].data), value = cn_emit_compute(t, c->in[1].data);
  cn_edge key = c->n_positional > 2 ? cn_emit_compute(t, c->in[2].data) : value;
  cn_edge scale = cn_layer_weight_edge(l, t, "scale"), outer = cn_layer_weight_edge(l, t, "concat_score_weight");
  bool plain = !additive && s->score_mode == DOT && !cn_attention_flag(c, "return_attention_scores") &&
               !(t->training && s->dropout > 0);
  for (int i = 0; i < 3; i++) plain &= is_sequence(t, i == 0 ? query : i == 1 ? key : value, query);
  if (plain && is_mask(t, given_mask(c, 1))) {
    attend_at_once(l, t, c, scaled(t, query, scale), key, value);
    return;
  }
  cn_edge scores = additive                  ? additive_scores(t, query, key, CN_NO_EDGE, scale)
                   : s->score_mode == CONCAT ? additive_scores(t, query, key, scale, outer)
                                             : dot_scores(t, query, key, scale);
  attend(l, t, c, scores, value);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) { lower_kind(l, t, c, false); }
static void lower_additive(cn_layer *l, cn_trace *t, cn_call *c) { lower_kind(l, t, c, true); }

const cn_layer_type cn_layer_attention = {
    .name = "Attention",
    .versions = "2 3",
    .help = CN_HELP("softmax(query * key) * value: [(batch, Tq, dim), (batch, Tv, dim)] -> (batch, Tq, dim)"),
    .flags = CN_MASK_OWN,
    .min_in = 2,
    .max_in = 3,
    .settings_size = sizeof(settings),
    .fields = fields,
    .build = build,
    .lower = lower,
};
const cn_layer_type cn_layer_additive_attention = {
    .name = "AdditiveAttention",
    .versions = "2 3",
    .help = CN_HELP("softmax(sum(scale * tanh(query + key))) * value: [(batch, Tq, dim), (batch, Tv, dim)] -> (batch, "
                    "Tq, dim)"),
    .flags = CN_MASK_OWN,
    .min_in = 2,
    .max_in = 3,
    .settings_size = sizeof(settings),
    .fields = additive_fields,
    .build = build_additive,
    .lower = lower_additive,
};
