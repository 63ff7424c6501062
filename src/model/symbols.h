/* Symbols: values in graphs of layer calls, from which models are made. They do not need the model that they come from.
 *
 * Calls live in regions, which are counted as one: all calls of a model, the inside of one call of a nested model, or a
 * single call made by hand. A region holds the symbols of other regions that it uses; nothing points back, so there are
 * no cycles. */
#ifndef CN_MODEL_SYMBOLS_H
#define CN_MODEL_SYMBOLS_H

#include "model/model.h"

typedef struct cn_symbol_call cn_symbol_call;
typedef struct cn_region cn_region;

struct cornu_symbol { cn_symbol_call *call; int tensor; cn_type type; };

/* A call of a layer, or an input. */
struct cn_symbol_call {
  cn_region *region;
  cn_layer *layer;               /* shared; NULL: an input that no layer stands for */
  bool input;
  const char *label;             /* an input's name; the path of a layer inside a nested model; NULL: the layer's name */
  const cn_value *args, *kwargs;
  int n_in, n_positional, n_out;
  int call;                      /* as in cn_model_node */
  cornu_symbol **in, *out;
  uint64_t serial;               /* later than those of its inputs, and of calls before it in its region */
};

struct cn_region {
  atomic_int references;
  cn_arena arena;
  cn_symbol_call *calls;
  int n_calls;
  cornu_symbol **held;           /* of other regions */
  int n_held, cap_held;
  cn_symbol_call *opens;         /* the call of a nested model whose inside this is; its region is held */
  cornu_symbol **results;        /* the inside's values for opens->out */
  cn_region *next;               /* while it is being freed */
};

cn_region *cn_region_new(int n_calls);       /* NULL: no memory */
void cn_region_share(cn_region *r);
void cn_region_drop(cn_region *r);
cornu_symbol *cn_region_hold(cn_region *r, cornu_symbol *s); /* keeps s alive as long as r; NULL: no memory */
/* Room for the outputs of a call. */
bool cn_symbol_call_outputs(cn_symbol_call *c, const cn_type *types, int n);
const char *cn_symbol_label(const cornu_symbol *s); /* who makes it, for messages and names of inputs */

/* What a model keeps: its calls as symbols, and the insides of its nested models that were asked for. */
struct cn_model_symbols {
  cn_symbol_call **calls;        /* by node; each holds its region */
  cn_region **insides;
  int n_insides, cap_insides;
};
void cn_model_symbols_free(cn_model *m);
/* The calls of a built model, by node; made at first use. */
cn_status cn_model_calls(cn_model *m, cn_symbol_call ***out, cn_error *e);
/* The inside of a call of a nested model, kept by m: its region's calls are those of the nested model's nodes by
 * node. */
cn_status cn_model_inside(cn_model *m, cn_symbol_call *call, cn_region **out, cn_error *e);

/* A model from symbols. */
typedef struct cn_assembly {
  const char *name;
  cornu_symbol *const *inputs, *const *outputs;
  const char *const *input_keys, *const *output_keys; /* NULL: none */
  int n_inputs, n_outputs;
  cn_model *part_of;  /* a slice of this model: inputs that are not reached are left out, its own are added where they
                       * are; its texts are taken over */
  bool all_inputs;    /* of part_of */
  bool sequential;    /* it is one where it is a chain */
} cn_assembly;
cn_status cn_model_assemble(const cn_assembly *a, cn_model **out, cn_error *e);

#endif
