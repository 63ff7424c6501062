/* Parts of a plan that run for a few samples at a time: each thread takes samples of its own through all steps of a
 * part, in memory of its own. */
#include <string.h>

#include "base/deadline.h"
#include "base/pool.h"
#include "graph/planner.h"

typedef struct part {
  cn_plan **slots;           /* one for each thread that may run at the same time: the first is the plan of the part */
  int n_slots;
  int64_t count;
  size_t *in_bytes, *out_bytes; /* of a slice, by operand */
  const void **inputs;       /* of the slice that a slot runs */
  void **outputs;
  const cn_step *step;       /* while it runs */
  unsigned interrupts;
  bool timed;
  double *seconds;           /* of the steps, by slot */
  double *sums;
  cn_error failure;
} part;

/* ---- Running ---- */

/* No step works on what one before it left unfinished. */
static bool may_go_on(const part *pt) { return cn_interrupts() == pt->interrupts && !cn_past_deadline(); }

static void run_steps(const part *pt, const cn_plan *p) {
  for (int i = 0; i < p->n_steps && may_go_on(pt) && cn_sliced_next(); i++)
    p->steps[i].run(&p->steps[i]);
}

static void run_steps_timed(const part *pt, const cn_plan *p, double *seconds) {
  double before = cornu_clock();
  for (int i = 0; i < p->n_steps && may_go_on(pt); i++) {
    p->steps[i].run(&p->steps[i]);
    double now = cornu_clock();
    seconds[i] += now - before;
    before = now;
  }
}

static void run_slice(void *context, int i, int slot) {
  const part *pt = context;
  const cn_step *s = pt->step;
  cn_plan *p = pt->slots[slot];
  const void **inputs = pt->inputs + slot * s->n_in;
  void **outputs = pt->outputs + slot * s->n_out;
  for (int k = 0; k < s->n_in; k++) inputs[k] = (const char *)s->in[k]->data + (size_t)i * pt->in_bytes[k];
  for (int k = 0; k < s->n_out; k++) outputs[k] = (char *)s->out[k]->data + (size_t)i * pt->out_bytes[k];
  cn_plan_bind(p, inputs, outputs);
  if (pt->timed) run_steps_timed(pt, p, pt->seconds + slot * p->n_steps);
  else run_steps(pt, p);
  cn_plan_copy_outputs(p, outputs);
}

static void add_seconds(const part *pt) {
  const int n = pt->slots[0]->n_steps;
  for (int i = 0; i < pt->n_slots * n; i++) {
    pt->sums[i % n] += pt->seconds[i];
    pt->seconds[i] = 0;
  }
}

/* As many slices as come out even go to the threads, which all work at each step of the others. */
static void run_part(const cn_step *s) {
  part *pt = s->state;
  const int threads = cn_threads();
  const int64_t apart = threads <= pt->n_slots && !cn_sliced() ? pt->count / threads * threads : 0;
  pt->step = s;
  pt->interrupts = cn_interrupts();
  pt->failure.status = CORNU_OK;
  cn_parallel_slots((int)apart, threads, run_slice, pt);
  for (int64_t i = apart; i < pt->count; i++) run_slice(pt, (int)i, 0);
  if (pt->timed) add_seconds(pt);
  if (cn_interrupts() != pt->interrupts) cn_fail(&pt->failure, CORNU_ERR_INTERRUPTED, "interrupted");
}

void cn_part_time(const cn_step *s, double *sums) {
  part *pt = s->state;
  pt->timed = sums != NULL;
  pt->sums = sums;
}

/* ---- Planning ---- */

static cn_status part_shape(cn_typing *t, cn_error *e) {
  const cn_sliced_part *p = ((const cn_part_attrs *)t->attrs)->part;
  (void)e;
  t->n_out = p->graph->n_outputs;
  memcpy(t->out, p->out_types, sizeof *t->out * (size_t)t->n_out);
  return CORNU_OK;
}

static size_t slice_bytes(const cn_operand *o, int64_t count) {
  return (size_t)(o->size / count) * cornu_dtype_bytes(o->dtype);
}

static cn_status part_plan(struct cn_planner *p, cn_step *s, cn_error *e) {
  cn_sliced_part *from = ((const cn_part_attrs *)s->attrs)->part;
  CN_TRY(cn_plan_part(p->plan, from, e));
  cn_arena *a = &p->plan->tables;
  part *pt = s->state = cn_arena_alloc(a, sizeof *pt);
  if (!pt) return cn_no_memory(e);
  const int64_t threads = cn_threads();
  pt->count = from->count;
  pt->n_slots = (int)(threads < from->count ? threads : from->count);
  const size_t slots = (size_t)pt->n_slots, n_in = (size_t)s->n_in, n_out = (size_t)s->n_out;
  pt->slots = cn_arena_array(a, slots, sizeof *pt->slots);
  pt->in_bytes = cn_arena_array(a, n_in + n_out, sizeof *pt->in_bytes);
  pt->inputs = cn_arena_array(a, slots * n_in + 1, sizeof *pt->inputs);
  pt->outputs = cn_arena_array(a, slots * n_out + 1, sizeof *pt->outputs);
  pt->seconds = cn_arena_array(a, slots * (size_t)from->plan->n_steps + 1, sizeof *pt->seconds);
  if (!pt->slots || !pt->in_bytes || !pt->inputs || !pt->outputs || !pt->seconds) return cn_no_memory(e);
  pt->out_bytes = pt->in_bytes + n_in;
  for (int i = 0; i < s->n_in; i++) pt->in_bytes[i] = slice_bytes(s->in[i], pt->count);
  for (int i = 0; i < s->n_out; i++) pt->out_bytes[i] = slice_bytes(s->out[i], pt->count);
  from->step = s;
  s->failure = &pt->failure;
  s->scratch_bytes = slots * from->plan->arena_bytes;
  s->flops = (double)pt->count * from->plan->flops;
  s->run = run_part;
  return CORNU_OK;
}

/* The same plan with its values elsewhere. */
typedef struct move { const cn_plan *from; cn_plan *to; } move;

static cn_operand *moved(const move *m, const cn_operand *o) {
  return o ? m->to->operands + (o - m->from->operands) : NULL;
}

static void *moved_data(const move *m, void *data) {
  char *at = data;
  const bool inside = at && at >= m->from->arena && at <= m->from->arena + m->from->arena_bytes;
  return inside ? m->to->arena + (at - m->from->arena) : data;
}

static cn_status move_steps(const move *m, cn_arena *a, cn_error *e) {
  for (int i = 0; i < m->to->n_steps; i++) {
    cn_step *s = &m->to->steps[i];
    *s = m->from->steps[i];
    cn_operand **operands = cn_arena_array(a, (size_t)(s->n_in + s->n_out) + 1, sizeof *operands);
    if (!operands) return cn_no_memory(e);
    for (int k = 0; k < s->n_in; k++) operands[k] = moved(m, s->in[k]);
    for (int k = 0; k < s->n_out; k++) operands[s->n_in + k] = moved(m, s->out[k]);
    s->in = operands;
    s->out = operands + s->n_in;
    s->scratch = moved_data(m, s->scratch);
  }
  return CORNU_OK;
}

static cn_status move_plan(const move *m, int n_edges, cn_arena *a, cn_error *e) {
  const cn_plan *from = m->from;
  cn_plan *to = m->to;
  to->operands = cn_arena_array(a, (size_t)n_edges + 1, sizeof *to->operands);
  to->steps = cn_arena_array(a, (size_t)from->n_steps + 1, sizeof *to->steps);
  to->inputs = cn_arena_array(a, (size_t)from->n_input_bindings + 1, sizeof *to->inputs);
  to->outputs = cn_arena_array(a, (size_t)from->n_output_bindings + 1, sizeof *to->outputs);
  to->copies = cn_arena_array(a, (size_t)from->n_copies + 1, sizeof *to->copies);
  if (!to->operands || !to->steps || !to->inputs || !to->outputs || !to->copies) return cn_no_memory(e);
  for (int i = 0; i < n_edges; i++) {
    to->operands[i] = from->operands[i];
    to->operands[i].data = moved_data(m, from->operands[i].data);
  }
  for (int i = 0; i < from->n_input_bindings; i++)
    to->inputs[i] = from->inputs[i], to->inputs[i].operand = moved(m, from->inputs[i].operand);
  for (int i = 0; i < from->n_output_bindings; i++)
    to->outputs[i] = from->outputs[i], to->outputs[i].operand = moved(m, from->outputs[i].operand);
  for (int i = 0; i < from->n_copies; i++)
    to->copies[i] = (cn_copy){moved(m, from->copies[i].from), from->copies[i].output};
  return move_steps(m, a, e);
}

cn_status cn_part_slots(const cn_sliced_part *from, cn_error *e) {
  part *pt = from->step->state;
  cn_plan *first = pt->slots[0] = from->plan;
  cn_arena *a = &first->tables;
  for (int i = 1; i < pt->n_slots; i++) {
    cn_plan *to = pt->slots[i] = cn_arena_alloc(a, sizeof *to);
    if (!to) return cn_no_memory(e);
    *to = *first;
    to->arena = first->arena + (size_t)i * first->arena_bytes;
    CN_TRY(move_plan(&(move){first, to}, from->graph->n_edges, a, e));
  }
  return CORNU_OK;
}

const cn_op cn_part_op = {
  .name = "part", .help = CN_HELP("runs nodes for a few samples at a time"), .flags = CN_OP_HIDDEN,
  .min_in = 1, .max_in = -1, .n_out = -1, .attrs_size = sizeof(cn_part_attrs), .shape = part_shape, .plan = part_plan,
};
