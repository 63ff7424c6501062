/* Depth first: at batches of several samples the values between two layers soon outgrow a core's cache. Runs of nodes
 * that treat every sample by itself become parts, which compute a few samples from their first node to their last
 * before they turn to the next. A choice by shapes alone, which minimises an estimate of the traffic beyond the cache. */
#include "graph/planner.h"
#include "ops/ops.h"

/* What the values and weights of one step may take of the second-level cache; what a value of all samples may take to
 * be still there when the next step reads it; from what on values are far away; what one more call of a step, and a
 * part, cost in bytes of traffic; how many nodes a part has at most; how many slice sizes are weighed. */
enum { ROOM = 3 << 19, KEPT = 1 << 18, FAR = 8 << 20, CALL = 1 << 14, PART = 1 << 17, MOST_NODES = 64, MOST_SIZES = 8 };
static const double NEARER = 0.7; /* what traffic costs that stays near */
/* A batch that stands for all batches: no dimension or attribute is likely to equal it. */
static const int64_t PROBE = 1000003;

typedef struct value { double bytes; int first, last; } value; /* of one sample; by position in the order */
typedef struct choice { double cost; int from; int64_t slice; } choice; /* of nodes up to here; slice 0: a plain one */

typedef struct slicer {
  cn_graph *g;
  cn_error *e;
  int64_t batch;
  bool *live, *constant;     /* node; edge: computed from constants alone */
  int *last_use;
  int *order, n;             /* nodes that run */
  bool *apart;               /* by position: treats each sample by itself */
  cn_place *places;
  cn_edge *home;             /* edge -> edge whose memory it shares */
  value *values;             /* by home */
  double *weights;           /* bytes, by position */
  int *seen, stamp;          /* by home: the node, as weighed, that gave it up */
  choice *best;              /* by position */
} slicer;

/* ---- Which nodes treat samples by themselves ---- */

/* The batch of all inputs; 1: they do not have one in common. */
static int64_t batch_of(const cn_graph *g) {
  int64_t batch = 0;
  for (int i = 0; i < g->n_inputs; i++) {
    const cn_type *t = &g->edges[g->inputs[i]].type;
    if (t->rank < 1 || t->shape[0] < 2 || (batch && t->shape[0] != batch)) return 1;
    batch = t->shape[0];
  }
  return batch ? batch : 1;
}

static bool is_batch(const slicer *s, const cn_type *t) {
  return t->rank > 0 && t->shape[0] == s->batch && t->dtype != CORNU_TEXT && cn_shape_size(t->rank, t->shape) > 0;
}

/* Whether the outputs' samples follow the inputs', for whatever number of them. */
static bool follows_batch(const slicer *s, const cn_graph_node *node, cn_type *in) {
  cn_type out[CN_MAX_OUT];
  cn_error ignored = {0};
  for (int i = 0; i < node->n_in; i++) {
    const cn_edge e = node->in[i];
    in[i] = e == CN_NO_EDGE ? (cn_type){.dtype = CORNU_DTYPES} : s->g->edges[e].type;
    if (e == CN_NO_EDGE || s->constant[e]) continue;
    if (!is_batch(s, &in[i])) return false;
    in[i].shape[0] = PROBE;
  }
  memset(out, 0, sizeof out);
  cn_typing t = {.attrs = node->attrs, .n_in = node->n_in, .n_out = node->op->n_out, .in = in, .out = out};
  if (node->op->shape(&t, &ignored) || t.n_out != node->n_out) return false;
  for (int i = 0; i < t.n_out; i++) {
    const cn_type *want = &s->g->edges[node->out + i].type;
    if (!is_batch(s, want) || out[i].rank != want->rank || out[i].shape[0] != PROBE) return false;
    for (int d = 1; d < want->rank; d++)
      if (out[i].shape[d] != want->shape[d]) return false;
  }
  return true;
}

static bool is_first(int64_t axis, int rank) { return axis == 0 || axis == -rank; }

/* Normalisations keep the length of the axes along which they mix values: these must not be the batch. */
static bool treats_samples_apart(const slicer *s, const cn_graph_node *node) {
  if (node->n_in < 1 || node->in[0] == CN_NO_EDGE) return false;
  const int rank = s->g->edges[node->in[0]].type.rank;
  if (node->op == &cn_op_softmax) return !is_first(((const cn_axis_attrs *)node->attrs)->axis, rank);
  if (node->op != &cn_op_layer_norm) return node->op->flags & (CN_OP_VIEW | CN_OP_ELEMENTWISE | CN_OP_SAMPLES);
  const cn_ints *axes = &((const cn_layer_norm_attrs *)node->attrs)->axes;
  for (int i = 0; i < axes->n; i++)
    if (is_first(axes->v[i], rank)) return false;
  return true;
}

static cn_status look_at_nodes(slicer *s) {
  for (int i = 0; i < s->g->n_edges; i++) s->constant[i] = s->g->edges[i].producer < 0 && !s->g->edges[i].is_input;
  for (int n = 0; n < s->g->n_nodes; n++) {
    const cn_graph_node *node = &s->g->nodes[n];
    if (!s->live[n]) continue;
    bool constant = node->n_in > 0;
    for (int i = 0; i < node->n_in; i++) constant &= node->in[i] == CN_NO_EDGE || s->constant[node->in[i]];
    for (int i = 0; i < node->n_out; i++) s->constant[node->out + i] = constant;
    if (constant) continue;
    cn_type *in = cn_arena_array(&s->g->arena, (size_t)node->n_in + 1, sizeof *in);
    if (!in) return cn_no_memory(s->e);
    s->apart[s->n] = treats_samples_apart(s, node) && follows_batch(s, node, in);
    s->order[s->n++] = n;
  }
  return CORNU_OK;
}

/* ---- What the nodes read and write ---- */

static double bytes_of(const cn_type *t) {
  const int64_t size = cn_shape_size(t->rank, t->shape);
  return size > 0 ? (double)size * (double)cornu_dtype_bytes(t->dtype) : 0;
}

static double sample_bytes(const slicer *s, cn_edge e) { return bytes_of(&s->g->edges[e].type) / (double)s->batch; }

static void use_value(slicer *s, cn_edge e, int at) {
  value *v = &s->values[s->home[e]];
  if (v->last < at) v->last = at;
  if (s->last_use[e] == s->g->n_nodes) v->last = s->n;
}

/* As they are read at each pass: in Winograd's form, 3 x 3 weights take four times their size. */
static double weight_bytes(const slicer *s, const cn_graph_node *node, cn_edge e) {
  const cn_type *t = &s->g->edges[e].type;
  const bool kernel = node->op == &cn_op_conv && e == node->in[1] && t->rank == 4;
  const bool square = kernel && t->shape[0] == 3 && t->shape[1] == 3;
  return bytes_of(t) * (square ? 4 : 1);
}

static void measure_values(slicer *s) {
  cn_graph *g = s->g;
  cn_graph_joins(g, s->live, s->places);
  for (int i = 0; i < g->n_edges; i++) {
    s->home[i] = s->places[i].whole != CN_NO_EDGE ? s->places[i].whole : i;
    s->values[i] = (value){sample_bytes(s, i), -1, -1};
  }
  for (int k = 0; k < s->n; k++) {
    const cn_graph_node *node = &g->nodes[s->order[k]];
    if (node->op->flags & CN_OP_VIEW) s->home[node->out] = s->home[node->in[0]];
    for (int i = 0; i < node->n_in; i++) {
      const cn_edge e = node->in[i];
      if (e == CN_NO_EDGE) continue;
      if (s->constant[e]) s->weights[k] += weight_bytes(s, node, e);
      else use_value(s, e, k);
    }
    for (int i = 0; i < node->n_out; i++) {
      value *v = &s->values[s->home[node->out + i]];
      if (v->first < 0) v->first = k;
      use_value(s, node->out + i, k);
    }
  }
}

static double traffic(double bytes, double room) { return room > FAR ? bytes : NEARER * bytes; }

/* Of a value of all samples. */
static double whole(const slicer *s, double sample) {
  const double bytes = sample * (double)s->batch;
  return bytes > KEPT ? traffic(bytes, bytes) : 0;
}

static bool moves_nothing(const slicer *s, const cn_graph_node *node) {
  return node->op->flags & CN_OP_VIEW || (node->op == &cn_op_concat && s->places[node->in[0]].whole != CN_NO_EDGE);
}

static double plain_cost(const slicer *s, int k) {
  const cn_graph_node *node = &s->g->nodes[s->order[k]];
  if (moves_nothing(s, node)) return 0;
  double cost = NEARER * s->weights[k] + CALL;
  for (int i = 0; i < node->n_in; i++)
    if (node->in[i] != CN_NO_EDGE && !s->constant[node->in[i]]) cost += whole(s, sample_bytes(s, node->in[i]));
  for (int i = 0; i < node->n_out; i++) cost += whole(s, sample_bytes(s, node->out + i));
  return cost;
}

/* ---- The choice ---- */

/* A part that grows node by node, for one slice size. */
typedef struct growth {
  int from;
  double slice, live, peak; /* samples; bytes of one sample that are needed now, and at most */
  double weights, moved;    /* bytes */
  int calls;
} growth;

/* Takes in the node at position k: reads from before the part come from memory once, what does not fit always. */
static void grow(slicer *s, growth *w, int k) {
  const cn_graph_node *node = &s->g->nodes[s->order[k]];
  double inner = 0, outer = 0, born = 0;
  s->stamp++;
  for (int i = 0; i < node->n_in; i++) {
    const cn_edge e = node->in[i];
    if (e == CN_NO_EDGE || s->constant[e]) continue;
    const double bytes = sample_bytes(s, e);
    if (s->values[s->home[e]].first >= w->from) inner += bytes;
    else outer += bytes;
  }
  for (int i = 0; i < node->n_out; i++) {
    inner += sample_bytes(s, node->out + i);
    const value *v = &s->values[s->home[node->out + i]];
    if (v->first == k) born += v->bytes;
  }
  w->live += born;
  if (w->live + outer > w->peak) w->peak = w->live + outer;
  w->weights += s->weights[k];
  if (!moves_nothing(s, node)) {
    w->moved += whole(s, outer);
    const double room = w->slice * (w->live + outer);
    if (room + s->weights[k] > ROOM) w->moved += traffic(inner * (double)s->batch, room);
    w->calls++;
  }
  for (int i = 0; i < node->n_in + node->n_out; i++) { /* what nobody reads after this */
    const cn_edge e = i < node->n_in ? node->in[i] : node->out + i - node->n_in;
    if (e == CN_NO_EDGE || s->constant[e]) continue;
    const value *v = &s->values[s->home[e]];
    if (v->first < w->from || v->last > k || s->seen[s->home[e]] == s->stamp) continue;
    s->seen[s->home[e]] = s->stamp;
    w->live -= v->bytes;
  }
}

static double part_cost(const slicer *s, const growth *w) {
  const double passes = (double)s->batch / w->slice;
  const bool kept = w->weights + w->slice * w->peak <= ROOM;
  return w->moved + whole(s, w->live) + (kept ? 1 : passes) * NEARER * w->weights + passes * CALL * w->calls + PART;
}

static void weigh_parts(slicer *s, int from, int64_t slice) {
  growth w = {.from = from, .slice = (double)slice};
  for (int k = from; k < s->n && s->apart[k] && k < from + MOST_NODES; k++) {
    grow(s, &w, k);
    const double cost = s->best[from].cost + part_cost(s, &w);
    if (k > from && cost < s->best[k + 1].cost) s->best[k + 1] = (choice){cost, from, slice};
  }
}

static void choose(slicer *s) {
  for (int k = 0; k < s->n; k++) s->best[k + 1].cost = 1e300;
  for (int k = 0; k < s->n; k++) {
    const double cost = s->best[k].cost + plain_cost(s, k);
    if (cost < s->best[k + 1].cost) s->best[k + 1] = (choice){cost, k, 0};
    int sizes = 0;
    for (int64_t slice = 1; s->apart[k] && slice <= s->batch / 2 && sizes < MOST_SIZES; slice++)
      if (s->batch % slice == 0) weigh_parts(s, k, slice), sizes++;
  }
}

/* ---- The new graph ---- */

typedef struct builder {
  slicer *s;
  cn_graph *to;
  cn_edge *map;              /* edges of the old graph -> of the new one; CN_NO_EDGE: not there yet */
  int64_t slice;             /* 0: for all samples */
  cn_edge *sources;          /* of a part's inputs, in the old graph */
} builder;

static cn_status copy_node(builder *b, int n);

/* Sees to it that an edge is there: in a part, as a constant or as an input. */
static cn_status need_edge(builder *b, cn_edge e) {
  const cn_graph_edge *edge = &b->s->g->edges[e];
  if (b->map[e] != CN_NO_EDGE) return CORNU_OK;
  if (b->s->constant[e] && edge->producer >= 0) return copy_node(b, edge->producer);
  if (b->s->constant[e]) return cn_graph_add_constant(b->to, &edge->type, edge->constant, &b->map[e], b->s->e);
  cn_type type = edge->type;
  type.shape[0] = b->slice;
  b->sources[b->to->n_inputs] = e;
  return cn_graph_add_input(b->to, &type, &b->map[e], b->s->e);
}

static cn_status copy_node(builder *b, int n) {
  const cn_graph_node *node = &b->s->g->nodes[n];
  cn_edge *in = cn_arena_array(&b->to->arena, (size_t)node->n_in + 1, sizeof *in), out;
  if (!in) return cn_no_memory(b->s->e);
  for (int i = 0; i < node->n_in; i++) {
    in[i] = CN_NO_EDGE;
    if (node->in[i] == CN_NO_EDGE) continue;
    CN_TRY(need_edge(b, node->in[i]));
    in[i] = b->map[node->in[i]];
  }
  CN_TRY(cn_graph_add(b->to, node->op, node->attrs, in, node->n_in, node->label, &out, NULL, b->s->e));
  for (int i = 0; i < node->n_out; i++) b->map[node->out + i] = out + i;
  return CORNU_OK;
}

static bool make_builder(builder *b, slicer *s, cn_graph *to, int64_t slice) {
  cn_arena *a = &s->g->arena;
  const size_t edges = (size_t)s->g->n_edges + 1;
  *b = (builder){s, to, cn_arena_array(a, edges, sizeof *b->map), slice, cn_arena_array(a, edges, sizeof *b->sources)};
  for (int i = 0; b->map && i < s->g->n_edges; i++) b->map[i] = CN_NO_EDGE;
  return b->map && b->sources;
}

/* The nodes from one position to before another as a graph for a slice; its outputs, in the old graph. */
static cn_status fill_part(builder *b, int from, int end, cn_edge *outputs) {
  const slicer *s = b->s;
  const int last = s->order[end - 1];
  for (int k = from; k < end; k++) CN_TRY(copy_node(b, s->order[k]));
  for (int k = from; k < end; k++) {
    const cn_graph_node *node = &s->g->nodes[s->order[k]];
    for (int e = node->out; e < node->out + node->n_out; e++) {
      if (s->last_use[e] <= last) continue;
      outputs[b->to->n_outputs] = e;
      CN_TRY(cn_graph_add_output(b->to, b->map[e], s->e));
    }
  }
  return CORNU_OK;
}

static cn_status link_part(builder *top, builder *b, cn_sliced_part *part, const cn_edge *outputs) {
  const slicer *s = top->s;
  const int n_in = b->to->n_inputs, n_out = b->to->n_outputs;
  part->out_types = cn_arena_array(&b->to->arena, (size_t)n_out + 1, sizeof *part->out_types);
  if (!part->out_types) return cn_no_memory(s->e);
  for (int i = 0; i < n_out; i++) part->out_types[i] = s->g->edges[outputs[i]].type;
  for (int i = 0; i < n_in; i++) b->sources[i] = top->map[b->sources[i]];
  cn_edge out;
  CN_TRY(cn_graph_add(top->to, &cn_part_op, &(cn_part_attrs){part}, b->sources, n_in, "", &out, NULL, s->e));
  for (int i = 0; i < n_out; i++) top->map[outputs[i]] = out + i;
  return CORNU_OK;
}

static cn_status add_part(builder *top, int from, int end, int64_t slice, cn_sliced_part **parts) {
  slicer *s = top->s;
  cn_graph *g;
  builder b;
  CN_TRY(cn_graph_new(&g, s->e));
  cn_sliced_part *part = cn_arena_alloc(&g->arena, sizeof *part);
  if (!part) return cn_graph_free(g), cn_no_memory(s->e);
  *part = (cn_sliced_part){.graph = g, .slice = slice, .count = s->batch / slice, .next = *parts};
  *parts = part;
  cn_edge *outputs = cn_arena_array(&s->g->arena, (size_t)s->g->n_edges + 1, sizeof *outputs);
  if (!outputs || !make_builder(&b, s, g, slice)) return cn_no_memory(s->e);
  CN_TRY(fill_part(&b, from, end, outputs));
  return link_part(top, &b, part, outputs);
}

static cn_status build(slicer *s, cn_graph *to, cn_sliced_part **parts) {
  builder top;
  int *next = cn_arena_array(&s->g->arena, (size_t)s->n + 1, sizeof *next); /* where the choice ends that begins here */
  if (!next || !make_builder(&top, s, to, 0)) return cn_no_memory(s->e);
  for (int k = s->n; k > 0; k = s->best[k].from) next[s->best[k].from] = k;
  for (int i = 0; i < s->g->n_inputs; i++) {
    const cn_edge e = s->g->inputs[i];
    CN_TRY(cn_graph_add_input(to, &s->g->edges[e].type, &top.map[e], s->e));
  }
  for (int k = 0; k < s->n; k = next[k]) {
    const choice *c = &s->best[next[k]];
    CN_TRY(c->slice ? add_part(&top, k, next[k], c->slice, parts) : copy_node(&top, s->order[k]));
  }
  for (int i = 0; i < s->g->n_outputs; i++) {
    CN_TRY(need_edge(&top, s->g->outputs[i]));
    CN_TRY(cn_graph_add_output(to, top.map[s->g->outputs[i]], s->e));
  }
  to->exact = s->g->exact;
  return CORNU_OK;
}

static cn_status make_tables(slicer *s) {
  cn_arena *a = &s->g->arena;
  const size_t edges = (size_t)s->g->n_edges + 1, nodes = (size_t)s->g->n_nodes + 1;
  s->live = cn_arena_array(a, nodes, sizeof *s->live);
  s->constant = cn_arena_array(a, edges, sizeof *s->constant);
  s->last_use = cn_arena_array(a, edges, sizeof *s->last_use);
  s->order = cn_arena_array(a, nodes, sizeof *s->order);
  s->apart = cn_arena_array(a, nodes, sizeof *s->apart);
  s->places = cn_arena_array(a, edges, sizeof *s->places);
  s->home = cn_arena_array(a, edges, sizeof *s->home);
  s->values = cn_arena_array(a, edges, sizeof *s->values);
  s->weights = cn_arena_array(a, nodes, sizeof *s->weights);
  s->seen = cn_arena_array(a, edges, sizeof *s->seen);
  s->best = cn_arena_array(a, nodes, sizeof *s->best);
  return s->live && s->constant && s->last_use && s->order && s->apart && s->places && s->home && s->values &&
                 s->weights && s->seen && s->best
             ? CORNU_OK : cn_no_memory(s->e);
}

static bool has_parts(const slicer *s) {
  for (int k = s->n; k > 0; k = s->best[k].from)
    if (s->best[k].slice) return true;
  return false;
}

cn_status cn_graph_slices(cn_graph **g, cn_sliced_part **parts, cn_error *e) {
  slicer s = {.g = *g, .e = e, .batch = batch_of(*g)};
  cn_graph *to;
  if (s.batch == 1) return CORNU_OK;
  CN_TRY(make_tables(&s));
  for (int i = 0; i < s.g->n_edges; i++) s.last_use[i] = -1;
  cn_graph_uses(s.g, s.live, s.last_use);
  CN_TRY(look_at_nodes(&s));
  measure_values(&s);
  choose(&s);
  if (!has_parts(&s)) return CORNU_OK;
  CN_TRY(cn_graph_new(&to, e));
  cn_status status = build(&s, to, parts);
  if (status) return cn_graph_free(to), status;
  cn_graph_free(*g);
  *g = to;
  return CORNU_OK;
}

void cn_parts_free(cn_sliced_part *parts) {
  for (cn_sliced_part *next; parts; parts = next) {
    next = parts->next;
    cn_graph_free(parts->graph);
  }
}
