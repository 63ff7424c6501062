/* Plans: compiling a graph into steps over one arena, and running them. */
#include "graph/plan.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/cpu.h"
#include "base/deadline.h"
#include "base/pool.h"
#include "base/text.h"
#include "graph/planner.h"
#include "ops/ops.h"

/* Where the memory of a value lies: values that are views of each other share a home. */
typedef enum home_kind { HOME_NONE, HOME_CONSTANT, HOME_INPUT, HOME_OUTPUT, HOME_ARENA } home_kind;
typedef struct home {
  home_kind kind;
  int index;          /* of the input or output */
  int first, last;    /* steps during which it is needed */
  size_t bytes;
  void *data;         /* of a constant */
  int block;          /* in the arena */
} home;

/* Compilation shares packed weights between plans; one plan is compiled at a time. */
static pthread_mutex_t compiling = PTHREAD_MUTEX_INITIALIZER;

void *cn_plan_memory(struct cn_planner *p, size_t bytes) {
  cn_plan *plan = p->plan;
  if (!cn_grow(&plan->memory, &plan->cap_memory, plan->n_memory, sizeof *plan->memory)) return NULL;
  void *data = cn_alloc_data(bytes ? bytes : 1);
  if (!data) return NULL;
  memset(data, 0, bytes);
  plan->memory[plan->n_memory++] = data;
  plan->memory_bytes += bytes;
  return data;
}

void *cn_plan_pack(struct cn_planner *p, const cn_operand *source, const char *kind, size_t bytes, bool *fresh) {
  cn_plan *plan = p->plan->whole ? p->plan->whole : p->plan;
  return cn_packs_add(&plan->packs, source, kind, bytes, fresh);
}

bool cn_plan_exact(const struct cn_planner *p) {
  const char *text = getenv("CORNU_EXACT");
  return p->plan->exact || (text && *text && strcmp(text, "0") != 0);
}

static void free_plan(cn_plan *p) {
  if (!p) return;
  for (cn_plan *part = p->parts, *next; part; part = next) {
    next = part->next_part;
    part->arena = NULL; /* is the whole plan's */
    free_plan(part);
  }
  cn_packs_free(&p->packs);
  for (int i = 0; i < p->n_memory; i++) cn_free(p->memory[i]);
  for (int i = 0; i < p->n_constants; i++) cornu_tensor_release(p->constants[i]);
  cn_free(p->memory);
  cn_free(p->arena);
  cn_arena_free(&p->tables);
  cn_free(p);
}

void cn_plan_free(cn_plan *p) {
  if (!p) return;
  pthread_mutex_lock(&compiling);
  free_plan(p);
  pthread_mutex_unlock(&compiling);
}

/* ---- Compiling ---- */

typedef struct cn_compiler {
  cn_graph *g;
  cn_plan *plan;
  home *homes;        /* one per edge; used where home_of[edge] == edge */
  int *home_of;       /* edge -> edge that owns the memory */
  cn_place *places;   /* edge -> where in that memory */
  int *last_use;      /* edge -> node index; n_nodes for outputs */
  bool *live;         /* node is needed */
  bool *packed;       /* one per edge, for the step that is being planned */
  cn_block *blocks;
  int *scratch_block; /* step -> its node, then its block or -1 */
  int n_blocks;
  cn_error *e;
} compiler;

static int home_of(compiler *c, cn_edge e) { return c->home_of[e]; }
static bool is_placed(const compiler *c, cn_edge e) { return c->places[e].whole != CN_NO_EDGE; }

static cn_status known_shapes(compiler *c) {
  cn_graph *g = c->g;
  for (int i = 0; i < g->n_edges; i++) {
    cn_graph_edge *edge = &g->edges[i];
    int64_t size = cn_shape_size(edge->type.rank, edge->type.shape);
    bool needed = edge->is_input || (edge->producer >= 0 && c->live[edge->producer]);
    if (needed && size == -1)
      return cn_fail(c->e, CORNU_ERR_SHAPE, "the shape %s is not known", CN_SHAPE(edge->type.rank, edge->type.shape));
    if (needed &&
        (size < -1 || (size > 0 && (uint64_t)size > cn_limits.max_tensor_bytes / cornu_dtype_bytes(edge->type.dtype))))
      return cn_fail(c->e, CORNU_ERR_LIMIT, "a value of shape %s is larger than the limit of %zu bytes",
                     CN_SHAPE(edge->type.rank, edge->type.shape), cn_limits.max_tensor_bytes);
    if (!edge->is_input && edge->producer < 0 && !edge->constant && c->last_use[i] >= 0)
      return cn_fail(c->e, CORNU_ERR_ARGUMENT, "a weight has no value yet");
  }
  return CORNU_OK;
}

static int64_t row_length(const cn_operand *o) { return o->rank ? o->shape[o->rank - 1] : 1; }

/* Operands of all edges; homes of inputs and constants. */
static void set_operands(compiler *c) {
  cn_graph *g = c->g;
  for (int i = 0; i < g->n_edges; i++) {
    const cn_type *t = &g->edges[i].type;
    cn_operand *o = &c->plan->operands[i];
    *o = (cn_operand){.dtype = t->dtype, .rank = t->rank, .size = cn_shape_size(t->rank, t->shape),
                      .packed = &c->packed[i]};
    memcpy(o->shape, t->shape, sizeof o->shape);
    o->pitch = row_length(o);
    c->home_of[i] = i;
    home *h = &c->homes[i];
    h->bytes = o->size > 0 ? (size_t)o->size * cornu_dtype_bytes(o->dtype) : 0;
    h->last = c->last_use[i];
    if (g->edges[i].constant) {
      o->constant = true;
      o->tensor = g->edges[i].constant;
      h->kind = HOME_CONSTANT;
      const char *stored = cn_tensor_stored(o->tensor);
      o->data = h->data = stored && stored != o->tensor->data ? NULL : o->tensor->data;
    }
  }
  for (int i = 0; i < g->n_inputs; i++) c->homes[g->inputs[i]].kind = HOME_INPUT, c->homes[g->inputs[i]].index = i;
}

/* Concatenations decide where their inputs lie, and with which pitch. */
static void set_places(compiler *c) {
  cn_graph_joins(c->g, c->live, c->places);
  for (int i = 0; i < c->g->n_edges; i++)
    if (is_placed(c, i)) c->plan->operands[i].pitch = c->plan->operands[c->places[i].whole].pitch;
}

static bool all_constant(const compiler *c, const cn_graph_node *node) {
  for (int i = 0; i < node->n_in; i++)
    if (node->in[i] != CN_NO_EDGE && !c->plan->operands[node->in[i]].constant) return false;
  return node->n_in > 0;
}

static void extend(compiler *c, cn_edge e, int last) {
  home *h = &c->homes[home_of(c, e)];
  if (h->last < last) h->last = last;
}

/* Whether output 0 of a node may take the memory of input i: it is the last use of that memory, and no other input
 * lies in it. */
static bool can_reuse(compiler *c, int n, int i) {
  cn_graph_node *node = &c->g->nodes[n];
  if (node->in[i] == CN_NO_EDGE || is_placed(c, node->in[i]) || is_placed(c, node->out)) return false;
  int h = home_of(c, node->in[i]);
  if (c->homes[h].kind != HOME_ARENA || c->homes[h].last > n) return false;
  const size_t bytes = c->homes[node->out].bytes;
  if (c->homes[node->in[i]].bytes != bytes || c->homes[h].bytes != bytes ||
      c->plan->operands[node->in[i]].size != c->plan->operands[node->out].size)
    return false;
  for (int k = 0; k < node->n_in; k++)
    if (node->in[k] != CN_NO_EDGE && node->in[k] != node->in[i] && home_of(c, node->in[k]) == h) return false;
  return true;
}

static void reuse_memory(compiler *c, int n) {
  cn_graph_node *node = &c->g->nodes[n];
  const unsigned flags = node->op->flags;
  for (int i = 0; i < node->n_in; i++) {
    const bool in_place = flags & CN_OP_INPLACE && (i == 0 || flags & CN_OP_ELEMENTWISE);
    const bool takes = in_place || (i == 3 && flags & CN_OP_RESIDUAL);
    if (!takes || !can_reuse(c, n, i)) continue;
    c->home_of[node->out] = home_of(c, node->in[i]);
    extend(c, node->out, c->homes[node->out].last);
    return;
  }
}

/* Before plan(), constants that the op does not read in pieces must be there; after it, those that it did not pack. */
static void need_constants(cn_step *s, bool planned) {
  for (int i = 0; i < s->n_in; i++) {
    if (!s->in[i]) continue;
    bool packs = i < 32 && s->op->packed_in >> i & 1;
    if (!planned) *s->in[i]->packed = false;
    if (planned ? !*s->in[i]->packed : !packs) cn_plan_whole(s->in[i]);
  }
}

static cn_status make_step(compiler *c, int n, cn_step *s) {
  cn_graph_node *node = &c->g->nodes[n];
  cn_arena *a = &c->plan->tables;
  void *attrs = node->op->attrs_size ? cn_arena_alloc(a, node->op->attrs_size) : NULL;
  *s = (cn_step){.op = node->op, .attrs = attrs, .n_in = node->n_in, .n_out = node->n_out};
  s->in = cn_arena_array(a, (size_t)node->n_in + 1, sizeof *s->in);
  s->out = cn_arena_array(a, (size_t)node->n_out + 1, sizeof *s->out);
  s->label = node->label ? cn_arena_string(a, node->label) : "";
  if (!s->in || !s->out || !s->label || (node->op->attrs_size && !attrs)) return cn_no_memory(c->e);
  if (attrs) memcpy(attrs, node->attrs, node->op->attrs_size);
  for (int i = 0; i < node->n_in; i++) s->in[i] = node->in[i] == CN_NO_EDGE ? NULL : &c->plan->operands[node->in[i]];
  for (int i = 0; i < node->n_out; i++) s->out[i] = &c->plan->operands[node->out + i];
  struct cn_planner planner = {c->plan};
  need_constants(s, false);
  cn_status status = node->op->plan(&planner, s, c->e);
  need_constants(s, true);
  if (status && *s->label) return cn_at(c->e, status, "%s", s->label);
  return status;
}

/* Runs a planned step with scratch of its own. */
static cn_status run_alone(cn_step *s, cn_error *e) {
  s->scratch = cn_alloc_data(s->scratch_bytes ? s->scratch_bytes : 1);
  if (!s->scratch) return cn_no_memory(e);
  s->run(s);
  cn_free(s->scratch);
  if (s->failure && s->failure->status) return cn_fail(e, s->failure->status, "%s", s->failure->message);
  return CORNU_OK;
}

cn_status cn_step_run_once(cn_step *s, cn_error *e) {
  cn_plan holder = {0};
  struct cn_planner planner = {&holder};
  CN_TRY(cn_cpu_check(e));
  pthread_mutex_lock(&compiling);
  cn_status status = s->op->plan(&planner, s, e);
  pthread_mutex_unlock(&compiling);
  if (!status) status = run_alone(s, e);
  pthread_mutex_lock(&compiling);
  cn_packs_free(&holder.packs);
  pthread_mutex_unlock(&compiling);
  for (int i = 0; i < holder.n_memory; i++) cn_free(holder.memory[i]);
  cn_free(holder.memory);
  return status;
}

/* Runs a node whose inputs are all constant, once and for all. */
static cn_status fold(compiler *c, int n) {
  cn_graph_node *node = &c->g->nodes[n];
  struct cn_planner planner = {c->plan};
  cn_step step;
  for (int i = 0; i < node->n_out; i++) {
    home *h = &c->homes[node->out + i];
    cn_operand *o = &c->plan->operands[node->out + i];
    c->places[node->out + i].whole = CN_NO_EDGE;
    o->pitch = row_length(o);
    h->kind = HOME_CONSTANT;
    o->data = h->data = cn_plan_memory(&planner, h->bytes);
    if (!o->data) return cn_no_memory(c->e);
  }
  CN_TRY(make_step(c, n, &step));
  for (int i = 0; i < node->n_out; i++) c->plan->operands[node->out + i].constant = true;
  return run_alone(&step, c->e);
}

/* A value of step n lies in the arena: at a place of a concatenation, or by itself. */
static void give_home(compiler *c, cn_edge e, int n) {
  if (is_placed(c, e)) c->home_of[e] = c->places[e].whole;
  home *h = &c->homes[c->home_of[e]];
  if (h->kind == HOME_NONE) {
    h->kind = HOME_ARENA;
    h->first = n;
  }
  extend(c, e, c->last_use[e] > n ? c->last_use[e] : n);
}

/* A concatenation whose inputs are all in their places. */
static bool is_written_already(const compiler *c, const cn_graph_node *node) {
  if (node->op != &cn_op_concat) return false;
  const int whole = c->home_of[node->out];
  int64_t column = c->places[node->out].column;
  for (int i = 0; i < node->n_in; i++) {
    const cn_place *place = &c->places[node->in[i]];
    if (place->whole != whole || place->column != column) return false;
    column += row_length(&c->plan->operands[node->in[i]]);
  }
  return true;
}

static cn_status add_node(compiler *c, int n) {
  cn_graph_node *node = &c->g->nodes[n];
  if (node->op->flags & CN_OP_VIEW) {
    c->home_of[node->out] = home_of(c, node->in[0]);
    extend(c, node->out, c->last_use[node->out]);
    cn_operand *o = &c->plan->operands[node->out], *from = &c->plan->operands[node->in[0]];
    o->constant = from->constant;
    o->tensor = from->tensor;
    o->data = from->data;
    c->plan->producers[node->out] = c->plan->producers[node->in[0]];
    return CORNU_OK;
  }
  if (all_constant(c, node)) return fold(c, n);
  for (int i = 0; i < node->n_out; i++) give_home(c, node->out + i, n);
  if (is_written_already(c, node)) return CORNU_OK;
  for (int i = 0; i < node->n_out; i++) c->plan->producers[node->out + i] = c->plan->n_steps;
  cn_step *s = &c->plan->steps[c->plan->n_steps];
  CN_TRY(make_step(c, n, s));
  reuse_memory(c, n);
  c->scratch_block[c->plan->n_steps++] = n;
  c->plan->flops += s->flops;
  return CORNU_OK;
}

/* Gives each output its own memory: the caller's, unless it shares memory with an input, a constant or another output.
 */
static cn_status bind_outputs(compiler *c) {
  cn_graph *g = c->g;
  c->plan->copies = cn_arena_array(&c->plan->tables, (size_t)g->n_outputs + 1, sizeof(cn_copy));
  if (!c->plan->copies) return cn_no_memory(c->e);
  for (int i = 0; i < g->n_outputs; i++) {
    home *h = &c->homes[home_of(c, g->outputs[i])];
    if (h->kind == HOME_ARENA && h->bytes == c->homes[g->outputs[i]].bytes) {
      h->kind = HOME_OUTPUT;
      h->index = i;
    } else {
      cn_plan_whole(&c->plan->operands[g->outputs[i]]);
      c->plan->copies[c->plan->n_copies++] = (cn_copy){&c->plan->operands[g->outputs[i]], i};
    }
  }
  return CORNU_OK;
}

static cn_status lay_out(compiler *c) {
  cn_graph *g = c->g;
  for (int i = 0; i < g->n_edges; i++) {
    home *h = &c->homes[i];
    if (c->home_of[i] != i || h->kind != HOME_ARENA) continue;
    h->block = c->n_blocks;
    c->blocks[c->n_blocks++] = (cn_block){.bytes = h->bytes, .first = h->first, .last = h->last};
  }
  for (int s = 0; s < c->plan->n_steps; s++) {
    int node = c->scratch_block[s];
    c->scratch_block[s] = -1;
    if (!c->plan->steps[s].scratch_bytes) continue;
    c->scratch_block[s] = c->n_blocks;
    c->blocks[c->n_blocks++] = (cn_block){.bytes = c->plan->steps[s].scratch_bytes, .first = node, .last = node};
  }
  return cn_memory_layout(c->blocks, c->n_blocks, &c->plan->arena_bytes, c->e);
}

/* Where steps find their scratch and operands their data, now that plan->arena is known. */
static void place(compiler *c) {
  cn_graph *g = c->g;
  cn_plan *p = c->plan;
  for (int s = 0; s < p->n_steps; s++) {
    int block = c->scratch_block[s];
    p->steps[s].scratch = p->arena + (block >= 0 ? c->blocks[block].offset : 0);
  }
  for (int i = 0; i < g->n_edges; i++) {
    home *h = &c->homes[home_of(c, i)];
    cn_operand *o = &p->operands[i];
    size_t offset = (size_t)c->places[i].column * cornu_dtype_bytes(o->dtype);
    if (h->kind == HOME_INPUT) p->inputs[p->n_input_bindings++] = (cn_binding){o, h->index, 0};
    if (h->kind == HOME_OUTPUT) p->outputs[p->n_output_bindings++] = (cn_binding){o, h->index, offset};
    if (h->kind == HOME_CONSTANT && h->data) o->data = h->data;
    if (h->kind == HOME_ARENA) o->data = p->arena + c->blocks[h->block].offset + offset;
  }
}

static cn_status keep_constants(compiler *c) {
  cn_graph *g = c->g;
  c->plan->constants = cn_arena_array(&c->plan->tables, (size_t)g->n_edges + 1, sizeof(cn_tensor *));
  if (!c->plan->constants) return cn_no_memory(c->e);
  for (int i = 0; i < g->n_edges; i++)
    if (g->edges[i].constant && c->last_use[i] >= 0)
      c->plan->constants[c->plan->n_constants++] = cornu_tensor_retain(g->edges[i].constant);
  return CORNU_OK;
}

static cn_status keep_types(compiler *c) {
  cn_graph *g = c->g;
  cn_plan *p = c->plan;
  p->n_inputs = g->n_inputs;
  p->n_outputs = g->n_outputs;
  p->input_types = cn_arena_array(&p->tables, (size_t)g->n_inputs + 1, sizeof(cn_type));
  p->output_types = cn_arena_array(&p->tables, (size_t)g->n_outputs + 1, sizeof(cn_type));
  if (!p->input_types || !p->output_types) return cn_no_memory(c->e);
  for (int i = 0; i < g->n_inputs; i++) p->input_types[i] = g->edges[g->inputs[i]].type;
  for (int i = 0; i < g->n_outputs; i++) p->output_types[i] = g->edges[g->outputs[i]].type;
  return CORNU_OK;
}

static cn_status compile(compiler *c) {
  cn_graph *g = c->g;
  cn_arena *a = &g->arena; /* working tables live as long as the graph */
  size_t edges = (size_t)g->n_edges + 1, nodes = (size_t)g->n_nodes + 1;
  c->homes = cn_arena_array(a, edges, sizeof(home));
  c->home_of = cn_arena_array(a, edges, sizeof(int));
  c->places = cn_arena_array(a, edges, sizeof(cn_place));
  c->last_use = cn_arena_array(a, edges, sizeof(int));
  c->live = cn_arena_array(a, nodes, sizeof(bool));
  c->packed = cn_arena_array(&c->plan->tables, edges, sizeof(bool));
  c->blocks = cn_arena_array(a, edges + nodes, sizeof(cn_block));
  c->scratch_block = cn_arena_array(a, nodes, sizeof(int));
  c->plan->operands = cn_arena_array(&c->plan->tables, edges, sizeof(cn_operand));
  c->plan->steps = cn_arena_array(&c->plan->tables, nodes, sizeof(cn_step));
  c->plan->producers = cn_arena_array(&c->plan->tables, edges, sizeof(int));
  c->plan->inputs = cn_arena_array(&c->plan->tables, edges, sizeof(cn_binding));
  c->plan->outputs = cn_arena_array(&c->plan->tables, edges, sizeof(cn_binding));
  if (!c->homes || !c->home_of || !c->places || !c->last_use || !c->live || !c->packed || !c->blocks ||
      !c->scratch_block || !c->plan->operands || !c->plan->steps || !c->plan->producers ||
      !c->plan->inputs || !c->plan->outputs)
    return cn_no_memory(c->e);
  for (int i = 0; i < g->n_edges; i++) c->last_use[i] = c->plan->producers[i] = -1;
  for (int i = 0; i < g->n_inputs; i++) c->plan->producers[g->inputs[i]] = -2 - i;
  cn_graph_uses(g, c->live, c->last_use);
  CN_TRY(known_shapes(c));
  set_operands(c);
  set_places(c);
  CN_TRY(keep_constants(c));
  CN_TRY(keep_types(c));
  for (int n = 0; n < g->n_nodes; n++)
    if (c->live[n]) CN_TRY(add_node(c, n));
  CN_TRY(bind_outputs(c));
  return lay_out(c);
}

cn_status cn_plan_part(cn_plan *owner, cn_sliced_part *part, cn_error *e) {
  compiler *c = part->compiler = cn_arena_alloc(&part->graph->arena, sizeof *c);
  cn_plan *plan = part->plan = cn_calloc(1, sizeof *plan);
  if (!c || !plan) return cn_free(plan), cn_no_memory(e);
  *c = (compiler){.g = part->graph, .plan = plan, .e = e};
  plan->exact = owner->exact;
  plan->whole = owner;
  plan->next_part = owner->parts;
  owner->parts = plan;
  return compile(c);
}

void cn_plan_place(cn_sliced_part *part) {
  part->plan->arena = part->step->scratch;
  place(part->compiler);
}

static cn_status make_memory(compiler *c, cn_sliced_part *parts) {
  cn_plan *p = c->plan;
  /* not NULL when all is empty: kernels add offsets of 0 to it */
  p->arena = cn_alloc_data(p->arena_bytes ? p->arena_bytes : 1);
  if (!p->arena) return cn_no_memory(c->e);
  place(c);
  for (cn_sliced_part *part = parts; part; part = part->next) {
    cn_plan_place(part);
    CN_TRY(cn_part_slots(part, c->e));
  }
  return CORNU_OK;
}

/* ---- What profiles tell ---- */

/* The part that step i runs; NULL: it is a step of the plan itself. */
static const cn_sliced_part *part_of(const cn_sliced_part *parts, const cn_step *s) {
  while (parts && parts->step != s) parts = parts->next;
  return parts;
}

static cn_status tell_steps(cn_plan *p, const cn_sliced_part *parts, cn_error *e) {
  size_t most = (size_t)p->n_steps + 1;
  for (const cn_sliced_part *part = parts; part; part = part->next) most += (size_t)part->plan->n_steps;
  p->told = cn_arena_array(&p->tables, most, sizeof *p->told);
  p->first_told = cn_arena_array(&p->tables, (size_t)p->n_steps + 1, sizeof *p->first_told);
  p->stretches = cn_arena_array(&p->tables, (size_t)p->n_steps + 1, sizeof *p->stretches);
  if (!p->told || !p->first_told || !p->stretches) return cn_no_memory(e);
  for (int i = 0; i < p->n_steps; i++) {
    const cn_sliced_part *part = part_of(parts, &p->steps[i]);
    p->first_told[i] = p->n_told;
    if (!part) p->told[p->n_told++] = (cn_told_step){.step = &p->steps[i], .outer = i, .times = 1};
    for (int k = 0; part && k < part->plan->n_steps; k++)
      p->told[p->n_told++] = (cn_told_step){&part->plan->steps[k], part->plan, i, part->count};
  }
  p->first_told[p->n_steps] = p->n_told;
  return CORNU_OK;
}

/* Turns the producers' numbers from steps into steps told. */
static void tell_producers(const compiler *c, const cn_sliced_part *parts) {
  int *producers = c->plan->producers;
  for (int n = 0; n < c->g->n_nodes; n++) {
    const cn_graph_node *node = &c->g->nodes[n];
    for (int i = 0; c->live[n] && i < node->n_out; i++) {
      int *producer = &producers[node->out + i];
      if (node->op->flags & CN_OP_VIEW) *producer = producers[node->in[0]];
      else if (*producer >= 0) {
        const cn_sliced_part *part = part_of(parts, &c->plan->steps[*producer]);
        const int inner = part ? part->plan->producers[part->graph->outputs[i]] : 0;
        if (inner >= -1) *producer = inner < 0 ? -1 : c->plan->first_told[*producer] + inner;
        else *producer = producers[node->in[-2 - inner]];
      }
    }
  }
}

cn_status cn_plan_compile(cn_graph *g, cn_plan **out, cn_error *e) {
  *out = NULL;
  compiler c = {.g = g, .e = e, .plan = cn_calloc(1, sizeof(cn_plan))};
  cn_sliced_part *parts = NULL;
  cn_status status = c.plan ? cn_cpu_check(e) : cn_no_memory(e);
  if (!status) c.plan->exact = g->exact;
  if (!status) status = cn_graph_passes(&c.g, e);
  if (!status) status = cn_graph_slices(&c.g, &parts, e);
  if (!status) {
    pthread_mutex_lock(&compiling);
    status = compile(&c);
    pthread_mutex_unlock(&compiling);
  }
  if (!status) status = make_memory(&c, parts);
  if (!status) status = tell_steps(c.plan, parts, e);
  if (!status) status = cn_check_time(e);
  if (!status) tell_producers(&c, parts);
  if (status) cn_plan_free(c.plan);
  cn_parts_free(parts);
  cn_graph_free(c.g);
  if (!status) *out = c.plan;
  if (!status)
    cn_log(CORNU_LOG_DEBUG, "plan: %d steps, arena %zu bytes, packed weights %zu bytes", (*out)->n_told,
           (*out)->arena_bytes, (*out)->packs.bytes);
  return status;
}

/* ---- Running ---- */

static inline cn_status run_step(const cn_step *s, unsigned interrupts, cn_error *e) {
  if (cn_interrupts() != interrupts) return cn_fail(e, CORNU_ERR_INTERRUPTED, "interrupted");
  s->run(s);
  if (s->failure && s->failure->status)
    return cn_fail(e, s->failure->status, "%s%s%s", s->label, *s->label ? " > " : "", s->failure->message);
  return CORNU_OK;
}

/* As cn_plan_run, in slices of time: between steps, too, since not all work is in tasks. */
static cn_status run_sliced(cn_plan *p, cn_slice *s, cn_error *e) {
  unsigned interrupts = cn_interrupts();
  for (int i = 0; i < p->n_steps; i++) {
    cn_status status = cn_slice_look(s, &p->stretches[i]) ? run_step(&p->steps[i], interrupts, e) : CORNU_OK;
    CN_TRY(cn_check_time(e)); /* or the step's failure is due to that */
    CN_TRY(status);
    if (s->canceled) return cn_fail(e, CORNU_ERR_INTERRUPTED, "canceled");
  }
  return CORNU_OK;
}

/* Without another thread: whole steps until the time is over. */
static cn_status run_steps(cn_plan *p, cn_slice *s, cn_error *e) {
  unsigned interrupts = cn_interrupts();
  cn_status status = CORNU_OK;
  while (!status && s->next < p->n_steps && cn_slice_look(s, &p->stretches[s->next])) {
    cn_slice_set(NULL);
    status = run_step(&p->steps[s->next++], interrupts, e);
    cn_slice_set(s);
  }
  s->stopped = !status && s->next < p->n_steps;
  return s->stopped ? cn_fail(e, CORNU_ERR_INTERRUPTED, "no time is left") : status;
}

cn_status cn_plan_run(cn_plan *p, const void *const *inputs, void *const *outputs, cn_error *e) {
  unsigned interrupts = cn_interrupts();
  cn_plan_bind(p, inputs, outputs);
  cn_slice *s = cn_slice_here();
  if (s) {
    const cn_status status = s->wait ? run_sliced(p, s, e) : run_steps(p, s, e);
    if (s->wait) s->stretch = NULL; /* which is the plan's */
    CN_TRY(status);
    cn_plan_copy_outputs(p, outputs);
    return CORNU_OK;
  }
  for (int i = 0; i < p->n_steps; i++) CN_TRY(run_step(&p->steps[i], interrupts, e));
  cn_plan_copy_outputs(p, outputs);
  return CORNU_OK;
}

/* A part's time, as its steps share it. */
static void share(double seconds, double *of_steps, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += of_steps[i];
  for (int i = 0; i < n && sum > 0; i++) of_steps[i] *= seconds / sum;
}

cn_status cn_plan_profile(cn_plan *p, const void *const *inputs, void *const *outputs, double *seconds, cn_error *e) {
  unsigned interrupts = cn_interrupts();
  cn_plan_bind(p, inputs, outputs);
  memset(seconds, 0, sizeof *seconds * (size_t)p->n_told);
  double before = cornu_clock();
  for (int i = 0; i < p->n_steps; i++) {
    double *told = seconds + p->first_told[i];
    const bool part = p->steps[i].op == &cn_part_op;
    if (part) cn_part_time(&p->steps[i], told);
    cn_status status = run_step(&p->steps[i], interrupts, e);
    if (part) cn_part_time(&p->steps[i], NULL);
    CN_TRY(status);
    double now = cornu_clock();
    if (part) share(now - before, told, p->first_told[i + 1] - p->first_told[i]);
    else *told = now - before;
    before = now;
  }
  cn_plan_copy_outputs(p, outputs);
  return CORNU_OK;
}

int cn_plan_inputs(const cn_plan *p) { return p->n_inputs; }
int cn_plan_outputs(const cn_plan *p) { return p->n_outputs; }
const cn_type *cn_plan_input_type(const cn_plan *p, int i) { return &p->input_types[i]; }
const cn_type *cn_plan_output_type(const cn_plan *p, int i) { return &p->output_types[i]; }

size_t cn_plan_bytes(const cn_plan *p) {
  size_t bytes = p->arena_bytes + p->packs.bytes + p->memory_bytes + p->tables.used;
  for (const cn_plan *part = p->parts; part; part = part->next_part) bytes += part->memory_bytes + part->tables.used;
  return bytes;
}

double cn_plan_total_flops(const cn_plan *p) { return p->flops; }
int cn_plan_steps(const cn_plan *p) { return p->n_told; }
const cn_step *cn_plan_step(const cn_plan *p, int i) { return p->told[i].step; }
int64_t cn_plan_step_times(const cn_plan *p, int i) { return p->told[i].times; }

int cn_plan_producer(const cn_plan *p, int i, int input) {
  const cn_told_step *t = &p->told[i];
  const cn_operand *o = t->step->in[input];
  if (!o) return -1;
  int at = t->part ? t->part->producers[o - t->part->operands] : p->producers[o - p->operands];
  if (t->part && at >= 0) return p->first_told[t->outer] + at;
  if (t->part && at < -1) at = p->producers[p->steps[t->outer].in[-2 - at] - p->operands];
  return at < 0 ? -1 : at;
}

cn_status cn_plan_text(const cn_plan *p, char **out, cn_error *e) {
  cn_text text = {0};
  cn_text_addf(&text, "%d steps, arena %zu bytes, packed weights %zu bytes, %.6g MFLOP\n", p->n_told, p->arena_bytes,
               p->packs.bytes, p->flops / 1e6);
  for (int i = 0; i < p->n_told; i++) {
    const cn_step *s = p->told[i].step;
    const cn_operand *o = s->out[0];
    cn_text_addf(&text, "%4d  %-18s %-28s %s", i + 1, s->op->name, s->label, CN_SHAPE(o->rank, o->shape));
    if (s->variant) cn_text_addf(&text, "  %s", s->variant);
    if (p->told[i].times > 1) cn_text_addf(&text, "  %lld times", (long long)p->told[i].times);
    if (p->arena && (char *)o->data >= p->arena && (char *)o->data < p->arena + p->arena_bytes)
      cn_text_addf(&text, "  @%zu", (size_t)((char *)o->data - p->arena));
    cn_text_add(&text, "\n");
  }
  if (text.failed) {
    cn_text_free(&text);
    return cn_no_memory(e);
  }
  *out = text.data;
  return CORNU_OK;
}
