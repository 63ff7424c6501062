/* What compiling a plan shares between its parts: passes, memory layout, compilation. */
#ifndef CN_GRAPH_PLANNER_H
#define CN_GRAPH_PLANNER_H

#include <string.h>

#include "graph/plan.h"

/* The packed weights of a plan. They are shared by plans and lie in slabs, so that many small ones make few large pages.
 * Under the lock of compilation. */
typedef struct cn_packs {
  struct cn_packed **items;
  struct cn_slab *slabs;
  size_t bytes, held;       /* of the packs; of the slabs made for them */
  int count, capacity;
} cn_packs;

/* Operands that follow a caller's pointer; outputs that are also something else. */
typedef struct cn_binding { cn_operand *operand; int index; size_t offset; } cn_binding;
typedef struct cn_copy { cn_operand *from; int output; } cn_copy;

/* A step as profiles tell it: of the plan itself (then part is NULL), or of the part that step `outer` runs `times`
 * times. */
typedef struct cn_told_step { const cn_step *step; const cn_plan *part; int outer; int64_t times; } cn_told_step;

struct cn_plan {
  cn_arena tables;
  cn_step *steps;
  cn_operand *operands;      /* one per edge of the graph */
  int *producers;            /* per edge: the step of it or of what it is a view of; -1: none; -2 - i: input i */
  cn_binding *inputs, *outputs;
  cn_copy *copies;
  cn_type *input_types, *output_types;
  cn_tensor **constants;     /* retained */
  void **memory;             /* cn_plan_memory */
  cn_packs packs;
  char *arena;
  int n_steps, n_inputs, n_outputs, n_input_bindings, n_output_bindings, n_copies, n_constants;
  int n_memory, cap_memory;
  size_t arena_bytes, memory_bytes;
  double flops;
  bool exact;
  cn_told_step *told;
  int *first_told;           /* of step i; all told ones behind the last */
  int n_told;
  double *stretches;         /* of step i, in runs that are done in slices of time */
  struct cn_plan *parts, *next_part, *whole; /* plans of parts; of a part: another part, the plan that both belong to */
};

static inline void cn_plan_bind(cn_plan *p, const void *const *inputs, void *const *outputs) {
  for (int i = 0; i < p->n_input_bindings; i++) p->inputs[i].operand->data = (void *)inputs[p->inputs[i].index];
  for (int i = 0; i < p->n_output_bindings; i++)
    p->outputs[i].operand->data = (char *)outputs[p->outputs[i].index] + p->outputs[i].offset;
}

static inline void cn_plan_copy_outputs(const cn_plan *p, void *const *outputs) {
  for (int i = 0; i < p->n_copies; i++) {
    const cn_operand *o = p->copies[i].from;
    if (o->size > 0) memcpy(outputs[p->copies[i].output], o->data, (size_t)o->size * cornu_dtype_bytes(o->dtype));
  }
}

/* Consecutive nodes that are computed for `slice` samples (along axis 0) at a time, from the first to the last of them:
 * what lies between them then stays in a core's cache. */
typedef struct cn_sliced_part {
  cn_graph *graph;           /* for one slice; the part lies in its arena */
  int64_t slice, count;
  cn_type *out_types;        /* for all slices */
  struct cn_sliced_part *next;
  cn_plan *plan;             /* from here on: while a plan is compiled; its memory comes from the step that runs it */
  cn_step *step;
  struct cn_compiler *compiler;
} cn_sliced_part;
typedef struct cn_part_attrs { cn_sliced_part *part; } cn_part_attrs;
extern const cn_op cn_part_op;

/* Replaces runs of nodes by parts where that saves memory traffic; the caller frees *parts, on failure too. */
cn_status cn_graph_slices(cn_graph **g, cn_sliced_part **parts, cn_error *e);
void cn_parts_free(cn_sliced_part *parts);

/* The steps of a part, for the plan of `owner`; after the memory of its step is known, where its values lie. */
cn_status cn_plan_part(cn_plan *owner, cn_sliced_part *part, cn_error *e);
void cn_plan_place(cn_sliced_part *part);
cn_status cn_part_slots(const cn_sliced_part *part, cn_error *e); /* then: memory for each thread */
/* While `seconds` (one per step of the part) is not NULL, runs add to them how long the steps took on all threads. */
void cn_part_time(const cn_step *s, double *seconds);

/* One contiguous piece of memory with the steps during which it is needed. */
typedef struct cn_block {
  size_t bytes, offset;
  int first, last;
} cn_block;

/* Places blocks in one arena so that blocks needed at the same time do not overlap; returns the arena's size.
 * Offsets are multiples of 64, with 64 bytes of slack behind each block for reads past the end. */
cn_status cn_memory_layout(cn_block *blocks, int count, size_t *bytes, cn_error *e);

/* Replaces a graph by one of fewer or cheaper nodes with the same outputs; on failure it stays. */
cn_status cn_graph_passes(cn_graph **g, cn_error *e);

/* Where values lie that are written straight into a concatenation of them along the last axis. */
typedef struct cn_place {
  cn_edge whole;   /* the concatenation (of concatenations); CN_NO_EDGE: the value has memory of its own */
  int64_t column;  /* its first one there */
} cn_place;
/* Fills places[edge] of all edges; `live` nodes alone count. */
void cn_graph_joins(const cn_graph *g, const bool *live, cn_place *places);

/* What cn_plan_memory and cn_plan_pack of an op's plan() add to. */
struct cn_planner { cn_plan *plan; };

void *cn_packs_add(cn_packs *all, const cn_operand *source, const char *kind, size_t bytes, bool *fresh);
void cn_packs_free(cn_packs *all);

/* Brings memory that will all be written into being, on all threads. */
void cn_plan_touch(void *data, size_t bytes);

/* Plans and runs one step whose operands have their data; frees what plan() asked for. */
cn_status cn_step_run_once(cn_step *s, cn_error *e);

#endif
