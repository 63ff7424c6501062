/* What compiling a plan shares between its parts: passes, memory layout, compilation. */
#ifndef CN_GRAPH_PLANNER_H
#define CN_GRAPH_PLANNER_H

#include "graph/plan.h"

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

/* The packed weights of a plan. They are shared by plans and lie in slabs, so that many small ones make few large pages.
 * Under the lock of compilation. */
typedef struct cn_packs {
  struct cn_packed **items;
  struct cn_slab *slabs;
  size_t bytes, held;       /* of the packs; of the slabs made for them */
  int count, capacity;
} cn_packs;
void *cn_packs_add(cn_packs *all, const cn_operand *source, const char *kind, size_t bytes, bool *fresh);
void cn_packs_free(cn_packs *all);

/* Brings memory that will all be written into being, on all threads. */
void cn_plan_touch(void *data, size_t bytes);

/* Plans and runs one step whose operands have their data; frees what plan() asked for. */
cn_status cn_step_run_once(cn_step *s, cn_error *e);

#endif
