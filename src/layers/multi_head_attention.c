/* MultiHeadAttention (Vaswani et al. 2017): query, key and value are projected to several heads, each attends on its
 * own, and their results are projected together. Attention may run over any axes between the batch and the features.
 * In GroupQueryAttention (Ainslie et al. 2023) several heads of the query share a key and a value. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "layers/attention.h"
#include "layers/einsum.h"
#include "layers/part.h"

typedef struct settings {
  int64_t num_heads, key_heads, key_dim, value_dim, sliding_window; /* key_heads 0: num_heads */
  bool use_bias, use_gate, robust;
  double dropout;
  int64_t seed;
  const cn_value *output_shape;
  cn_ints attention_axes;
} settings;

static const cn_field fields[] = {
    {.name = "num_heads", .kind = CN_F_INT, .offset = offsetof(settings, num_heads), .min = 1, .max = 1 << 16,
     .help = CN_HELP("heads")},
    {.name = "key_dim", .kind = CN_F_INT, .offset = offsetof(settings, key_dim), .min = 1, .max = 1 << 24,
     .help = CN_HELP("size of a head's queries and keys")},
    {.name = "value_dim", .kind = CN_F_INT, .offset = offsetof(settings, value_dim), .standard = "null", .min = 1,
     .max = 1 << 24, .help = CN_HELP("size of a head's values; null: key_dim")},
    {.name = "dropout", .kind = CN_F_FLOAT, .offset = offsetof(settings, dropout), .standard = "0", .min = 0, .max = 1,
     .help = CN_HELP("share of the weights dropped in training")},
    {.name = "seed", .kind = CN_F_INT, .offset = offsetof(settings, seed), .standard = "null", .min = -9e18,
     .max = 9e18,
     .help = CN_HELP("of what is dropped; null: the model's")},
    {.name = "use_bias", .kind = CN_F_BOOL, .offset = offsetof(settings, use_bias), .standard = "true",
     .help = CN_HELP("the projections have biases")},
    {.name = "use_gate", .kind = CN_F_BOOL, .offset = offsetof(settings, use_gate), .standard = "false",
     .help = CN_HELP("the heads' results are multiplied by a sigmoid of the query")},
    {.name = "output_shape", .kind = CN_F_VALUE, .offset = offsetof(settings, output_shape), .standard = "null",
     .help = CN_HELP("size of the result: a number or a list; null: the query's")},
    {.name = "attention_axes", .kind = CN_F_INTS, .offset = offsetof(settings, attention_axes), .standard = "null",
     .min = -CN_MAX_RANK, .max = CN_MAX_RANK,
     .help = CN_HELP("the axes that attention runs over; null: all but first and last")},
    {.name = "sliding_window", .kind = CN_F_INT, .offset = offsetof(settings, sliding_window), .standard = "null",
     .min = 1, .max = 1LL << 40, .help = CN_HELP("a query sees values that are nearer than this; null: all")},
    {.name = "softmax_robust_masking", .kind = CN_F_BOOL, .offset = offsetof(settings, robust), .standard = "false",
     .help = CN_HELP("tf.keras: true is refused")},
    {.name = "flash_attention", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("how it is computed")},
    {.name = "query_shape", .aliases = "key_shape value_shape", .kind = CN_F_IGNORED, .standard = "null",
     .help = CN_HELP("the inputs tell")},
    CN_KERNEL_ROWS,
    {0}};

/* ---- Projections: layers of their own, as Keras has them ---- */

enum { QUERY, KEY, VALUE, OUTPUT, GATE, KINDS };
static const char *const attributes[] = {"query_dense", "key_dense", "value_dense", "output_dense", "_gate_dense"};

static cn_layer *child(const cn_layer *l, int kind) {
  for (int i = 0; i < l->n_children; i++)
    if (strcmp(l->children[i].attribute, attributes[kind]) == 0) return l->children[i].layer;
  return NULL;
}

static cn_value *number_list(cn_arena *a, const int64_t *numbers, int n) {
  cn_value *list = cn_value_new(a, CORNU_LIST);
  for (int i = 0; i < n && list; i++) {
    cn_value *v = cn_value_new(a, CORNU_INT);
    if (v) v->i = numbers[i];
    if (!v || !cn_value_push(a, list, v)) return NULL;
  }
  return list;
}

static cn_status add_projection(cn_layer *l, int kind, const char *equation, const char *bias_axes,
                                const int64_t *shape,
                                int n, cn_error *e) {
  static const char *const names[] = {"query", "key", "value", "attention_output", "gate"};
  const settings *s = l->settings;
  cn_value *config = cn_value_new(&l->arena, CORNU_DICT), *list = number_list(&l->arena, shape, n);
  cn_value *text = cn_value_text(&l->arena, equation), *axes = cn_value_text(&l->arena, bias_axes);
  cn_value *activation = cn_value_text(&l->arena, kind == GATE ? "sigmoid" : "linear");
  static const char *const handed[] = {"dtype", "kernel_initializer", "bias_initializer", "kernel_regularizer",
                                       "bias_regularizer", "kernel_constraint", "bias_constraint", "activity_regularizer"};
  const int n_handed = CN_COUNT(handed) - (l->origin.keras < 3); /* tf.keras's projections forget the last one */
  if (!config || !list || !text || !axes || !activation) return cn_no_memory(e);
  bool good = cn_value_put(&l->arena, config, "equation", text) &&
              cn_value_put(&l->arena, config, "output_shape", list) &&
              cn_value_put(&l->arena, config, "activation", activation) &&
              (!s->use_bias || cn_value_put(&l->arena, config, "bias_axes", axes));
  for (int i = 0; i < n_handed && good; i++) {
    const cn_value *v = cn_value_find(l->config, handed[i]);
    good = !v || cn_value_put(&l->arena, config, handed[i], cn_value_copy(&l->arena, v));
  }
  if (!good) return cn_no_memory(e);
  cn_layer *made;
  CN_TRY(cn_layer_new_typed(cn_layer_type_find("EinsumDense"), "EinsumDense", names[kind], config, &l->origin,
                            l->customs, &made, e));
  return cn_layer_adopt(l, attributes[kind], made, e);
}

static int64_t value_dim(const settings *s) { return s->value_dim > 0 ? s->value_dim : s->key_dim; }
static int64_t key_heads(const settings *s) { return s->key_heads > 0 ? s->key_heads : s->num_heads; }

/* In the order in which Keras lists their weights. */
static cn_status check(cn_layer *l, cn_error *e) {
  const settings *s = l->settings;
  const int64_t queries[] = {s->num_heads, s->key_dim}, gates[] = {s->num_heads, value_dim(s)};
  const int64_t keys[] = {key_heads(s), s->key_dim}, values[] = {key_heads(s), value_dim(s)};
  if (s->robust)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "\"softmax_robust_masking\" is true, which is not supported");
  CN_TRY(add_projection(l, QUERY, "...d,dnh->...nh", "nh", queries, 2, e));
  CN_TRY(add_projection(l, KEY, "...d,dnh->...nh", "nh", keys, 2, e));
  if (s->use_gate) CN_TRY(add_projection(l, GATE, "...d,dnh->...nh", "nh", gates, 2, e));
  return add_projection(l, VALUE, "...d,dnh->...nh", "nh", values, 2, e);
}

static cn_status check_grouped(cn_layer *l, cn_error *e) {
  settings *s = l->settings;
  s->attention_axes.n = -1;
  if (s->num_heads % s->key_heads == 0) return check(l, e);
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"num_query_heads\" is %lld, expected a multiple of the %lld "
                 "\"num_key_value_heads\"", (long long)s->num_heads, (long long)s->key_heads);
}

/* The last projection, whose size may be the query's. */
static cn_status add_output(cn_layer *l, const cn_type *query, cn_error *e) {
  static const char letters[] = "opqrstuv";
  const settings *s = l->settings;
  const cn_value *v = s->output_shape;
  int64_t shape[CN_MAX_RANK] = {query->shape[query->rank - 1]};
  int n = cn_value_is(v, CORNU_LIST) && v->count ? v->count : 1;
  if (n > CN_MAX_RANK - 2) return cn_fail(e, CORNU_ERR_LIMIT, "\"output_shape\" has %d dimensions", n);
  for (int i = 0; i < n && !cn_value_is_null(v) && !(cn_value_is(v, CORNU_LIST) && !v->count); i++)
    if (!cn_value_integer(cn_value_is(v, CORNU_LIST) ? v->items[i] : v, &shape[i]) || shape[i] < 1)
      return cn_fail(e, CORNU_ERR_ARGUMENT, "\"output_shape\" is %s, expected a number or a list of them",
                     cn_value_show(v, (char[80]){0}, 80));
  const char *equation = cn_arena_printf(&l->arena, "...nh,nh%.*s->...%.*s", n, letters, n, letters);
  const char *axes = cn_arena_printf(&l->arena, "%.*s", n, letters);
  return equation && axes ? add_projection(l, OUTPUT, equation, axes, shape, n, e) : cn_no_memory(e);
}

static cn_status build_child(cn_layer *c, const cn_type *in, cn_error *e) {
  if (!c || c->built) return CORNU_OK;
  CN_TRY(c->type->build(c, in, 1, e));
  c->built = true;
  return CORNU_OK;
}

/* The inputs that the call names by keyword are known when it is lowered; so the projections are built there. */
static cn_status build_all(cn_layer *l, const cn_type *query, const cn_type *value, const cn_type *key, cn_error *e) {
  const settings *s = l->settings;
  if (query->rank < 3 || query->rank > 5 || value->rank != query->rank || key->rank != query->rank)
    return cn_fail(e, CORNU_ERR_SHAPE, "query, value and key have the shapes %s, %s and %s, expected the same number of "
                   "dimensions, three to five", CN_SHAPE(query->rank, query->shape), CN_SHAPE(value->rank,
                                                                                              value->shape),
                   CN_SHAPE(key->rank, key->shape));
  if (!child(l, OUTPUT)) CN_TRY(add_output(l, query, e));
  CN_TRY(build_child(child(l, QUERY), query, e));
  CN_TRY(build_child(child(l, KEY), key, e));
  CN_TRY(build_child(child(l, GATE), query, e));
  CN_TRY(build_child(child(l, VALUE), value, e));
  cn_type heads = {.dtype = CORNU_FLOAT32, .rank = query->rank + 1};
  memcpy(heads.shape, query->shape, sizeof *heads.shape * (size_t)(query->rank - 1));
  heads.shape[query->rank - 1] = s->num_heads;
  heads.shape[query->rank] = value_dim(s);
  return build_child(child(l, OUTPUT), &heads, e);
}

/* ---- The call ---- */

typedef struct operands { cn_sym query, value, key; bool own_key; } operands;

static operands operands_of(const cn_call *c) {
  cn_sym query = cn_call_tensor(c, "query"), value = cn_call_tensor(c, "value"), key = cn_call_tensor(c, "key");
  if (c->n_positional > 0) query = c->in[0];
  if (c->n_positional > 1) value = c->in[1];
  if (c->n_positional > 2) key = c->in[2];
  bool own = key.data != CN_NO_EDGE;
  return (operands){query, value, own ? key : value, own};
}

/* The letters of Keras's attention equations for operands (batch…, attended…, heads, features). */
typedef struct letters {
  char query[CN_MAX_RANK + 1], key[CN_MAX_RANK + 1], scores[2 * CN_MAX_RANK + 1];
  int attended;
} letters;

static cn_status choose_letters(const settings *s, int rank, letters *out, cn_error *e) {
  bool attended[CN_MAX_RANK] = {false};
  int n = 0, count = s->attention_axes.n < 0 ? rank - 3 : s->attention_axes.n;
  *out = (letters){.attended = count};
  for (int i = 0; i < count; i++) {
    int64_t axis = s->attention_axes.n < 0 ? i + 1 : s->attention_axes.v[i];
    if (axis < 0) axis += rank - 1;
    if (axis < 1 || axis > rank - 3 || attended[axis])
      return cn_fail(e, CORNU_ERR_ARGUMENT, "\"attention_axes\" names axis %lld of an input of %d dimensions",
                     (long long)axis, rank - 1);
    attended[axis] = true;
  }
  for (int i = 0; i < rank; i++) {
    out->query[i] = (char)('a' + i);
    out->key[i] = (char)(attended[i] ? 'm' + i : 'a' + i);
    if (!attended[i] && i < rank - 1) out->scores[n++] = out->query[i];
  }
  for (int side = 0; side < 2; side++)
    for (int i = 0; i < count; i++) {
      int64_t axis = s->attention_axes.n < 0 ? i + 1 : s->attention_axes.v[i];
      out->scores[n++] = (side ? out->key : out->query)[axis < 0 ? axis + rank - 1 : axis];
    }
  if (n <= CN_MAX_RANK) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_LIMIT, "the scores would have %d dimensions, the most are %d", n, CN_MAX_RANK);
}

/* A mask that the call gives by name, or the tensor's own. */
static cn_edge mask_of(const cn_call *c, const char *name, cn_edge own) {
  cn_edge given = cn_call_tensor(c, name).data;
  return given == CN_NO_EDGE ? own : given;
}

static cn_edge as_bool(cn_trace *t, cn_edge x) {
  if (x == CN_NO_EDGE || cn_edge_type(t, x)->dtype == CORNU_BOOL8) return x;
  return cn_emit1(t, &cn_op_cast, &(cn_cast_attrs){CORNU_BOOL8}, x);
}

/* (batch, Tq, Tv), false where a query does not see a value; CN_NO_EDGE: it sees all that its place allows. */
static cn_edge seen(cn_trace *t, const cn_call *c, const operands *o) {
  cn_edge query = mask_of(c, "query_mask", o->query.mask), value = mask_of(c, "value_mask", o->value.mask);
  cn_edge key = o->own_key ? mask_of(c, "key_mask", o->key.mask) : CN_NO_EDGE;
  cn_edge mask = cn_attention_axis(t, as_bool(t, query), -1);
  mask = cn_attention_and(t, mask, cn_attention_axis(t, as_bool(t, value), -2));
  mask = cn_attention_and(t, mask, cn_attention_axis(t, as_bool(t, key), -2));
  return cn_attention_and(t, as_bool(t, cn_call_tensor(c, "attention_mask").data), mask);
}

/* The same, and what the places allow. */
static cn_edge seen_from(cn_layer *l, cn_trace *t, const cn_call *c, cn_edge scores, cn_edge mask) {
  const settings *s = l->settings;
  if (cn_attention_flag(c, "use_causal_mask")) mask = cn_attention_causal(t, scores, mask);
  if (s->sliding_window == CN_NULL_INT) return mask;
  return cn_attention_and(t, mask, cn_attention_band(t, scores, s->sliding_window));
}

/* A mask of (batch…, Tq, Tv) gets axes for what is between, the heads among them: as many as scores have. */
static cn_edge spread(cn_trace *t, cn_edge mask, int rank, int attended) {
  if (mask == CN_NO_EDGE) return mask;
  int missing = rank - cn_edge_type(t, mask)->rank;
  if (cn_edge_type(t, mask)->rank <= 2 * attended) return mask; /* broadcasts from the right */
  for (int i = 0; i < missing; i++) mask = cn_attention_axis(t, mask, -2 * attended - 1);
  return mask;
}

/* Keras 3 has two ways: a fused one, whose masked scores are the lowest numbers, and one through its Softmax layer. */
#define LOWEST (-0.7 * 3.4028234663852886e38)

static cn_edge weigh(cn_layer *l, cn_trace *t, cn_edge scores, cn_edge mask, int attended) {
  cn_edge y;
  if (attended == 1) {
    y = cn_attention_weights(t, scores, mask);
  } else {
    if (mask != CN_NO_EDGE) {
      cn_edge low = cn_emit2(t, &cn_op_sub, NULL, scores, cn_emit_number(t, 1e9));
      scores = cn_emit3(t, &cn_op_where, NULL, mask, scores, low);
    }
    cn_reduce_attrs over = {.axes = {.n = attended}, .keepdims = true};
    for (int i = 0; i < attended; i++) over.axes.v[i] = i - attended;
    cn_edge total = cn_emit1(t, &cn_op_logsumexp, &over, scores);
    y = cn_emit1(t, &cn_op_exp, NULL, cn_emit2(t, &cn_op_sub, NULL, scores, total));
  }
  if (mask == CN_NO_EDGE || !cn_origin_at_least(&l->origin, 3, 14, 0)) return y;
  return cn_emit3(t, &cn_op_where, NULL, mask, y, cn_emit_number(t, 0));
}

static cn_edge project(cn_layer *l, cn_trace *t, int kind, cn_edge x) {
  cn_sym in = {x, CN_NO_EDGE}, out = in;
  return cn_layer_call_on(child(l, kind), t, &in, 1, &out, 1) == 1 ? out.data : CN_NO_EDGE;
}

/* Attention over one axis between batch and features, by one op. */
static cn_edge attend(cn_layer *l, cn_trace *t, const cn_call *c, cn_edge mask, const cn_edge *projected,
                      double scale) {
  const settings *s = l->settings;
  bool fused = cn_origin_at_least(&l->origin, 3, 5, 0) && s->dropout == 0;
  cn_attention_attrs a = {.scale = scale, .masked = fused ? LOWEST : -1e9, .lower = !fused,
                          .clear = !fused && cn_origin_at_least(&l->origin, 3, 14, 0),
                          .causal = cn_attention_flag(c, "use_causal_mask"),
                          .window = s->sliding_window == CN_NULL_INT ? 0 : s->sliding_window};
  cn_edge in[] = {projected[QUERY], projected[KEY], projected[VALUE], spread(t, mask, 4, 1)};
  return cn_emit(t, &cn_op_attention, &a, in, 4);
}

/* Keys or values, each head as often as query heads share it. */
static cn_edge shared(const settings *s, cn_trace *t, cn_edge y) {
  cn_repeat_attrs repeat = {.axis = cn_edge_type(t, y)->rank - 2, .count = s->num_heads / key_heads(s)};
  return repeat.count == 1 ? y : cn_emit1(t, &cn_op_repeat, &repeat, y);
}

/* The same over any axes, step by step; the weights are kept. */
static cn_edge attend_steps(cn_layer *l, cn_trace *t, const cn_call *c, cn_edge mask, const cn_edge *projected,
                            double scale, const letters *axes, cn_edge *weights) {
  const settings *s = l->settings;
  cn_edge query = cn_emit2(t, &cn_op_mul, NULL, projected[QUERY], cn_emit_number(t, scale));
  cn_edge key = shared(s, t, projected[KEY]), value = shared(s, t, projected[VALUE]);
  cn_edge scores = cn_emit_einsum(t, axes->key, key, axes->query, query, axes->scores);
  mask = spread(t, seen_from(l, t, c, scores, mask), cn_edge_type(t, scores)->rank, axes->attended);
  *weights = weigh(l, t, scores, mask, axes->attended);
  const cn_edge left = cn_attention_drop(l, t, *weights, s->dropout, s->seed);
  return cn_emit_einsum(t, axes->scores, left, axes->key, value, axes->query);
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  const settings *s = l->settings;
  operands o = operands_of(c);
  letters axes;
  if (o.query.data == CN_NO_EDGE || o.value.data == CN_NO_EDGE) {
    cn_trace_fail(t, CORNU_ERR_ARGUMENT, "is called without a query or a value");
    return;
  }
  const cn_type query_type = *cn_edge_type(t, o.query.data), value_type = *cn_edge_type(t, o.value.data);
  const cn_type key_type = *cn_edge_type(t, o.key.data);
  if (!t->status) t->status = build_all(l, &query_type, &value_type, &key_type, t->error);
  if (!t->status) t->status = choose_letters(s, query_type.rank + 1, &axes, t->error);
  if (t->status) return;
  cn_edge gate = s->use_gate ? project(l, t, GATE, o.query.data) : CN_NO_EDGE, weights = CN_NO_EDGE;
  cn_edge projected[] = {[QUERY] = project(l, t, QUERY, o.query.data), [KEY] = project(l, t, KEY, o.key.data),
                         [VALUE] = project(l, t, VALUE, o.value.data)};
  double scale = 1 / sqrt((double)s->key_dim);
  if (l->origin.keras >= 3) scale = (float)scale; /* cast from Python's number by way of float32 */
  cn_edge mask = seen(t, c, &o);
  bool tell = cn_attention_flag(c, "return_attention_scores"), one = query_type.rank == 3 && axes.attended == 1;
  const bool drops = s->dropout > 0 && t->training;
  cn_edge y = one && !tell && !drops ? attend(l, t, c, mask, projected, scale)
                           : attend_steps(l, t, c, mask, projected, scale, &axes, &weights);
  if (gate != CN_NO_EDGE) y = cn_emit2(t, &cn_op_mul, NULL, y, gate);
  cn_call_return(t, c, project(l, t, OUTPUT, y), o.query.mask);
  if (tell) cn_call_return(t, c, weights, CN_NO_EDGE);
}

const cn_layer_type cn_layer_multi_head_attention = {
    .name = "MultiHeadAttention",
    .weights = "inner",
    .versions = "2 3",
    .help = CN_HELP("attention of several heads: query (batch, Tq, dim), value, key (batch, Tv, dim) -> "
                    "(batch, Tq, dim)"),
    .flags = CN_MASK_OWN | CN_LAYER_INNER_ACTIVITY,
    .min_in = 0,
    .max_in = 3,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .lower = lower,
};

static const cn_field grouped_fields[] = {
    {.name = "num_query_heads", .kind = CN_F_INT, .offset = offsetof(settings, num_heads), .min = 1, .max = 1 << 16,
     .help = CN_HELP("heads of the query")},
    {.name = "num_key_value_heads", .kind = CN_F_INT, .offset = offsetof(settings, key_heads), .min = 1, .max = 1 << 16,
     .help = CN_HELP("heads of key and value; the query's are a multiple of them")},
    {.name = "head_dim", .kind = CN_F_INT, .offset = offsetof(settings, key_dim), .min = 1, .max = 1 << 24,
     .help = CN_HELP("size of a head")},
    {.name = "dropout", .kind = CN_F_FLOAT, .offset = offsetof(settings, dropout), .standard = "0", .min = 0, .max = 1,
     .help = CN_HELP("share of the weights dropped in training")},
    {.name = "seed", .kind = CN_F_INT, .offset = offsetof(settings, seed), .standard = "null", .min = -9e18,
     .max = 9e18,
     .help = CN_HELP("of what is dropped; null: the model's")},
    {.name = "use_bias", .kind = CN_F_BOOL, .offset = offsetof(settings, use_bias), .standard = "true",
     .help = CN_HELP("the projections have biases")},
    {.name = "use_gate", .kind = CN_F_BOOL, .offset = offsetof(settings, use_gate), .standard = "false",
     .help = CN_HELP("the heads' results are multiplied by a sigmoid of the query")},
    {.name = "sliding_window", .kind = CN_F_INT, .offset = offsetof(settings, sliding_window), .standard = "null",
     .min = 1, .max = 1LL << 40, .help = CN_HELP("a query sees values that are nearer than this; null: all")},
    {.name = "flash_attention", .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP("how it is computed")},
    CN_KERNEL_ROWS,
    {0}};

const cn_layer_type cn_layer_group_query_attention = {
    .name = "GroupQueryAttention",
    .weights = "inner",
    .aliases = "GroupedQueryAttention",
    .versions = "3",
    .help = CN_HELP("attention whose query heads share keys and values: query (batch, Tq, dim), value, key -> (batch, "
                    "Tq, dim)"),
    .flags = CN_MASK_OWN,
    .min_in = 0,
    .max_in = 3,
    .settings_size = sizeof(settings),
    .fields = grouped_fields,
    .check = check_grouped,
    .lower = lower,
};
