/* Operations: what a graph is made of. An op is one descriptor in one file of ops/; the build collects them.
 *
 * The life of an op in a graph: shape() when the node is added (dimensions may be unknown); plan() once shapes are
 * known (chooses a kernel, packs constant inputs, states scratch: the last place that may fail); run() as often as
 * wanted (no allocation, no failure, no text). All operands are row-major, and contiguous unless the op takes a pitch. */
#ifndef CN_OPS_OP_H
#define CN_OPS_OP_H

#include "base/field.h"
#include "kernels/act.h"
#include "tensor/tensor.h"

/* The type of a value. An absent optional input has dtype CORNU_DTYPES. */
typedef struct cn_type { cornu_dtype dtype; int rank; int64_t shape[CN_MAX_RANK]; } cn_type;
/* The graph refuses longer dimensions, so that arithmetic on sizes from files cannot overflow: what a field multiplies
 * a dimension with is at most 2^28. */
#define CN_MAX_DIM ((int64_t)1 << 34)

/* What a shape rule sees: fills out[0 … n_out-1]. An op with a variable number of outputs sets n_out (room:
 * CN_MAX_OUT). */
#define CN_MAX_OUT 64
typedef struct cn_typing {
  const void *attrs;
  int n_in, n_out;
  const cn_type *in;
  cn_type *out;
} cn_typing;

/* A value at run time. */
typedef struct cn_operand {
  void *data;
  cornu_dtype dtype;
  int rank;
  int64_t shape[CN_MAX_RANK];
  int64_t size;       /* elements */
  int64_t pitch;      /* elements from one row (last axis) to the next: shape[rank - 1] but where an op takes more */
  bool constant;      /* data is there at plan time and never changes … */
  cn_tensor *tensor;  /* … and is that of this tensor, if it is not NULL */
  bool *packed;       /* plan() sets what it points to, if it is not NULL: run() does not look at the constant's data */
} cn_operand;

typedef struct cn_step cn_step;
struct cn_planner; /* graph/plan.c */

struct cn_step {
  const struct cn_op *op;
  const void *attrs;
  int n_in, n_out;
  cn_operand **in, **out;    /* in[i] is NULL for an absent optional input */
  void (*run)(const cn_step *s);
  void *state;               /* what plan() prepared: kernel, packed weights */
  void *scratch;             /* scratch_bytes of the arena, 64-byte aligned, for the time of the step */
  size_t scratch_bytes;
  double flops;              /* multiply-adds counted twice */
  cn_error *failure;         /* fallible steps (host calls) point to an error of their own; else NULL */
  const char *label;         /* the layer it comes from, for messages and profiles */
  const char *variant;       /* which of the op's ways plan() chose, for profiles: a constant, or plan memory; may be NULL */
};

enum {
  CN_OP_VIEW = 1,    /* output 0 is input 0 under another shape: nothing runs */
  CN_OP_INPLACE = 2, /* output 0 may lie on input 0 (same size in bytes): each element is read before it is written */
  CN_OP_ELEMENTWISE = 4, /* output element i depends on input elements at i alone (after broadcasting) */
  CN_OP_COMMUTES = 8,
  CN_OP_HIDDEN = 16, /* made by passes and layers; not offered by name */
  CN_OP_TEXTS = 32, /* takes strings, too; to other ops they are refused */
  CN_OP_PITCHED_OUT = 64, /* output 0 may have a pitch larger than its rows */
  CN_OP_RESIDUAL = 128, /* input 3, if there, is added after the bias (input 2); output 0 may lie on it */
  CN_OP_SCALE = 256, /* input 4, if there, holds constants that multiply the channels of the result before the bias */
  /* If all inputs that are not constant and all outputs have n samples along axis 0, for every n, then each sample of an
   * output depends on that sample of the inputs alone; views and elementwise ops need not say so. What plan() makes is
   * not changed by runs and does not point to operands: copies of the step with other operands may share it. */
  CN_OP_SAMPLES = 512
};

struct cn_gradient; /* ops/gradient.h */

typedef struct cn_op {
  const char *name;          /* as cornu_apply calls it */
  const char *aliases;       /* other names, separated by spaces */
  cn_help help;              /* shapes, formula, source */
  int8_t min_in, max_in;     /* max_in -1: any number */
  int8_t n_out;              /* -1: the shape rule says */
  uint16_t flags;
  unsigned pitched_in;       /* bit i: input i may have a pitch larger than its rows; the last bit: also all further ones */
  unsigned packed_in;        /* bit i: plan() reads a constant input i by cn_plan_read, or after cn_plan_whole */
  uint16_t attrs_size;
  uint16_t act_offset; /* where attrs hold a cn_act that runs as the epilogue; 0: none (attrs never begin with it) */
  const cn_field *fields;    /* attributes by name, for cornu_apply, help and export */
  cn_status (*check)(void *attrs, cn_error *e);         /* rules between attributes given by name; may be NULL */
  cn_status (*shape)(cn_typing *t, cn_error *e);
  cn_status (*plan)(struct cn_planner *p, cn_step *s, cn_error *e); /* sets s->run; NULL for views */
  void (*gradient)(struct cn_gradient *g);              /* NULL: none. It never sees an act: see cn_trace */
} cn_op;

/* The small library does not train: there no op has a gradient, and the compiler drops those functions. */
#ifdef CORNU_LITE
#define CN_GRADIENT(function) NULL
#else
#define CN_GRADIENT(function) (function)
#endif

/* The registry, sorted by name; made from the files of ops/ by the build: each `const cn_op cn_op_NAME` is found.
 * A file with a family of ops may define several. */
extern const cn_op *const cn_ops[];
extern const int cn_op_total;
const cn_op *cn_op_find(const char *name); /* by name or alias; NULL */

/* For plan(): memory that lives as long as the plan, 64-byte aligned, zero-filled. NULL: no memory. */
void *cn_plan_memory(struct cn_planner *p, size_t bytes);
/* Packed form of a constant operand, shared by all plans of the process that pack the same data in the same way:
 * `kind` names the layout with its parameters ("gemm_b 16"). *fresh: the caller must write all of it. NULL: no memory. */
void *cn_plan_pack(struct cn_planner *p, const cn_operand *source, const char *kind, size_t bytes, bool *fresh);
/* Large weights may still be in their file: source->data is NULL when the op has the input in packed_in. cn_plan_read
 * calls `each` with all rows of a constant operand, given the bytes of a row, piece by piece on all threads; a piece is
 * gone when the call returns. cn_plan_whole makes source->data; it is called after plan() where *source->packed is not
 * set. */
typedef void (*cn_plan_rows)(void *context, const void *rows, int64_t begin, int64_t end);
cn_status cn_plan_read(const cn_operand *source, size_t row, cn_plan_rows each, void *context, cn_error *e);
void cn_plan_whole(cn_operand *source);
/* Whether the plan must not compute in other ways than the op's definition says, though these be close and faster. */
bool cn_plan_exact(const struct cn_planner *p);

/* Refuses strings in and out of an op that does not know them. Strings that come out of a step point to bytes of its inputs. */
cn_status cn_op_check_texts(const cn_op *op, const cn_type *types, int n, cn_error *e);

/* Helpers for shape rules. */
cn_status cn_want_rank(const cn_type *t, const char *what, int min_rank, int max_rank, cn_error *e);
cn_status cn_want_float(const cn_type *t, const char *what, cn_error *e);
cn_status cn_axis(int64_t axis, int rank, int *out, cn_error *e);                 /* negative from the end */
bool cn_dims_agree(int64_t a, int64_t b);                                         /* equal or one unknown */
/* -1 when one is unknown; INT64_MAX when the product does not fit */
int64_t cn_dim_mul(int64_t a, int64_t b);
/* NumPy's rules, float32 as the float for mixed int/float32 */
cornu_dtype cn_promote(cornu_dtype a, cornu_dtype b);
#define CN_TYPE_ABSENT(t) ((t)->dtype == CORNU_DTYPES)

#endif
