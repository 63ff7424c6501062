/* Plans: a graph with known shapes, compiled into steps over one arena. */
#ifndef CN_GRAPH_PLAN_H
#define CN_GRAPH_PLAN_H

#include "graph/graph.h"

typedef struct cn_plan cn_plan;

/* The graph is changed by passes and must outlive nothing: the plan keeps what it needs. Every input must have a known
 * shape. Takes the graph over (frees it, on failure too). */
cn_status cn_plan_compile(cn_graph *g, cn_plan **out, cn_error *e);
void cn_plan_free(cn_plan *p);
/* inputs and outputs point to contiguous data of the graph's types. */
cn_status cn_plan_run(cn_plan *p, const void *const *inputs, void *const *outputs, cn_error *e);
int cn_plan_inputs(const cn_plan *p);
int cn_plan_outputs(const cn_plan *p);
const cn_type *cn_plan_input_type(const cn_plan *p, int i);
const cn_type *cn_plan_output_type(const cn_plan *p, int i);
size_t cn_plan_bytes(const cn_plan *p);
double cn_plan_total_flops(const cn_plan *p);
int cn_plan_steps(const cn_plan *p);
const cn_step *cn_plan_step(const cn_plan *p, int i);
int64_t cn_plan_step_times(const cn_plan *p, int i); /* in one run: a step for n samples may run for all of a batch */
int cn_plan_producer(const cn_plan *p, int i, int input); /* the step that computes an input of step i; -1: none does */
/* As cn_plan_run; seconds[i]: how long step i took. */
cn_status cn_plan_profile(cn_plan *p, const void *const *inputs, void *const *outputs, double *seconds, cn_error *e);
cn_status cn_plan_text(const cn_plan *p, char **out, cn_error *e);

#endif
