/* keras.ops: losses, codes of classes and decoding of keras.ops.nn. */
#include "layers/operation.h"

#include <math.h>
#include <string.h>

typedef struct options {
  int64_t axis, classes, mask_index, beam_width, top_paths;
  double max_val;
  cornu_dtype dtype;
  int strategy;
  bool from_logits, merge_repeated;
} options;

#define MEMBER(m) .offset = offsetof(options, m)
#define LOGITS {.name = "from_logits", .kind = CN_F_BOOL, MEMBER(from_logits), .standard = "false", \
                .help = CN_HELP("the output comes before its softmax or sigmoid")}
#define AXIS(words) {.name = "axis", .kind = CN_F_INT, MEMBER(axis), .standard = "-1", .help = CN_HELP(words)}

/* ---- Cross entropies ---- */

static const cn_field binary_fields[] = {LOGITS, {0}};
static const cn_field categorical_fields[] = {LOGITS, AXIS("of the classes"), {0}};

/* The output, and whether it stands for logits: what comes from a softmax or a sigmoid is taken before that, as Keras
 * on TensorFlow does. */
static cn_edge output_of(cn_operation_call *c, bool *logits, cornu_dtype *dtype) {
  cn_edge x = cn_argument_floats(c, "output", dtype), before = cn_trace_logits(c->t, x);
  *logits = ((const options *)c->options)->from_logits || before != CN_NO_EDGE;
  return before == CN_NO_EDGE ? x : before;
}

static cn_edge clipped(cn_trace *t, cn_edge p) {
  const float epsilon = 1e-7f;
  return cn_emit1(t, &cn_op_clip, &(cn_clip_attrs){epsilon, 1 - epsilon}, p);
}

static cn_edge target_like(cn_operation_call *c, cn_edge x) {
  return cn_emit_cast(c->t, cn_argument_tensor(c, "target"), cn_operation_type(c, x)->dtype);
}

/* log(p) of probabilities, or log_softmax of logits. */
static cn_edge logarithms(cn_trace *t, cn_edge x, bool logits, int64_t axis, bool sum_to_one) {
  if (logits) return cn_emit1(t, &cn_op_log_softmax, &(cn_axis_attrs){axis}, x);
  if (sum_to_one)
    x = cn_emit2(t, &cn_op_div, NULL, x, cn_emit1(t, &cn_op_sum, &(cn_reduce_attrs){{1, {axis}}, true}, x));
  return cn_emit1(t, &cn_op_log, NULL, clipped(t, x));
}

static cn_edge minus_sum(cn_trace *t, cn_edge a, cn_edge b, int64_t axis) {
  cn_edge sum = cn_emit1(t, &cn_op_sum, &(cn_reduce_attrs){{1, {axis}}, false}, cn_emit2(t, &cn_op_mul, NULL, a, b));
  return cn_emit1(t, &cn_op_neg, NULL, sum);
}

static void categorical(cn_operation_call *c) {
  bool logits;
  cornu_dtype dtype;
  int64_t axis = ((const options *)c->options)->axis;
  cn_edge x = output_of(c, &logits, &dtype), y = logarithms(c->t, x, logits, axis, true);
  cn_operation_return_as(c, minus_sum(c->t, target_like(c, x), y, axis), dtype);
}

/* Targets are numbers of classes, with a last axis of size 1 or without it. The logarithms are normalised, of
 * probabilities too. */
static void sparse_categorical(cn_operation_call *c) {
  bool logits;
  cornu_dtype dtype;
  cn_edge x = output_of(c, &logits, &dtype), target = cn_argument_tensor(c, "target");
  const cn_type type = *cn_operation_type(c, x), ids = *cn_operation_type(c, target);
  int64_t axis = ((const options *)c->options)->axis, classes = type.rank ? type.shape[type.rank - 1] : 0;
  if (!c->t->status && (classes < 1 || (axis != -1 && axis != type.rank - 1)))
    cn_trace_fail(c->t, CORNU_ERR_ARGUMENT, "\"axis\" is %lld, expected the last, of known size", (long long)axis);
  if (ids.rank == type.rank && ids.rank && ids.shape[ids.rank - 1] == 1)
    target = cn_emit1(c->t, &cn_op_squeeze, &(cn_reduce_attrs){.axes = {1, {-1}}}, target);
  cn_edge code = cn_emit1(c->t, &cn_op_one_hot, &(cn_one_hot_attrs){classes, type.dtype}, target);
  if (!logits) x = logarithms(c->t, x, false, -1, false);
  cn_edge y = cn_emit1(c->t, &cn_op_log_softmax, &(cn_axis_attrs){-1}, x);
  cn_operation_return_as(c, minus_sum(c->t, code, y, -1), dtype);
}

static cn_edge act(cn_trace *t, cn_act_kind kind, cn_edge x) {
  return cn_emit1(t, &cn_op_activation, &(cn_act_attrs){.act = {.kind = kind}}, x);
}

/* -(t log(p) + (1 - t) log(1 - p)); of logits softplus(x) - t x. */
static void binary(cn_operation_call *c) {
  bool logits;
  cornu_dtype dtype;
  cn_trace *t = c->t;
  cn_edge x = output_of(c, &logits, &dtype), target = target_like(c, x), y;
  if (logits) {
    y = cn_emit2(t, &cn_op_sub, NULL, act(t, CN_ACT_SOFTPLUS, x), cn_emit2(t, &cn_op_mul, NULL, target, x));
  } else {
    cn_edge p = clipped(t, x), one = cn_emit_like(t, x, 1);
    cn_edge yes = cn_emit2(t, &cn_op_mul, NULL, target, cn_emit1(t, &cn_op_log, NULL, p));
    cn_edge rest = cn_emit1(t, &cn_op_log, NULL, cn_emit2(t, &cn_op_sub, NULL, one, p));
    cn_edge no = cn_emit2(t, &cn_op_mul, NULL, cn_emit2(t, &cn_op_sub, NULL, one, target), rest);
    y = cn_emit1(t, &cn_op_neg, NULL, cn_emit2(t, &cn_op_add, NULL, yes, no));
  }
  cn_operation_return_as(c, y, dtype);
}

/* ---- Peak signal to noise ratio ---- */

static const cn_field psnr_fields[] = {
    {.name = "max_val", .kind = CN_F_FLOAT, MEMBER(max_val), .help = CN_HELP("the largest value that can be")}, {0}};

/* 20 log10(max_val) - 10 log10(mean((x1 - x2)²)), the mean of whole numbers cut off. */
static void psnr(cn_operation_call *c) {
  cornu_dtype dtype;
  cn_edge a = cn_argument_floats(c, "x1", &dtype), b = cn_argument_floats(c, "x2", NULL);
  cn_edge off = cn_emit2(c->t, &cn_op_squared_difference, NULL, a, b);
  cn_edge mean = cn_emit1(c->t, &cn_op_mean, &(cn_reduce_attrs){.axes = {.n = -1}}, off);
  bool whole = !cn_dtype_is_float(dtype);
  cn_edge noise = cn_emit1(c->t, &cn_op_log10, NULL, whole ? cn_emit1(c->t, &cn_op_trunc, NULL, mean) : mean);
  cn_edge scaled = cn_emit2(c->t, &cn_op_mul, NULL, noise, cn_emit_like(c->t, noise, 10));
  double peak = 20 * log10(((const options *)c->options)->max_val);
  cn_operation_return_as(c, cn_emit2(c->t, &cn_op_sub, NULL, cn_emit_like(c->t, scaled, peak), scaled),
                         whole ? CORNU_FLOAT32 : dtype);
}

/* ---- Codes of classes ---- */

#define CODE_FIELDS(aliases_) { \
    {.name = "num_classes", .aliases = aliases_, .kind = CN_F_INT, MEMBER(classes), .min = 1, .max = 1e9, \
     .help = CN_HELP("size of the new axis")}, \
    AXIS("where the new axis will be"), \
    {.name = "dtype", .kind = CN_F_DTYPE, MEMBER(dtype), .standard = "null", .help = CN_HELP("null: float32")}, \
    {.name = "sparse", .kind = CN_F_IGNORED, .standard = "false", .help = CN_HELP("how others store the same")}, {0}}
static const cn_field one_hot_fields[] = CODE_FIELDS(NULL), multi_hot_fields[] = CODE_FIELDS("num_tokens");

/* The new axis comes last and moves to its place. */
static cn_edge code(cn_operation_call *c, const char *name) {
  const options *o = c->options;
  cornu_dtype dtype = o->dtype == CORNU_DTYPES ? CORNU_FLOAT32 : o->dtype;
  cn_edge x = cn_argument_tensor(c, name);
  cn_edge y = cn_emit1(c->t, &cn_op_one_hot, &(cn_one_hot_attrs){o->classes, dtype}, x);
  int rank = cn_operation_type(c, y)->rank, axis;
  if (!c->t->status) c->t->status = cn_axis(o->axis, rank, &axis, c->t->error);
  if (c->t->status || axis == rank - 1) return y;
  cn_ints_attrs order = {.v = {.n = rank}};
  for (int i = 0; i < rank; i++) order.v.v[i] = i < axis ? i : i == axis ? rank - 1 : i - 1;
  return cn_emit1(c->t, &cn_op_transpose, &order, y);
}

static void one_hot(cn_operation_call *c) { cn_operation_return(c, code(c, "x")); }

/* Which classes occur along the axis behind the batch. */
static void multi_hot(cn_operation_call *c) {
  cn_edge x = cn_argument_tensor(c, "inputs"), y = code(c, "inputs");
  int64_t axis = cn_operation_type(c, x)->rank > 1 ? 1 : 0;
  bool truth = cn_operation_type(c, y)->dtype == CORNU_BOOL8;
  cn_operation_return(c, cn_emit1(c->t, truth ? &cn_op_any : &cn_op_max, &(cn_reduce_attrs){{1, {axis}}, false}, y));
}

/* ---- Connectionist temporal classification ---- */

static cn_edge as_int32(cn_operation_call *c, const char *name) {
  return cn_emit_cast(c->t, cn_argument_tensor(c, name), CORNU_INT32);
}

static const cn_field ctc_fields[] = {
    {.name = "mask_index", .kind = CN_F_INT, MEMBER(mask_index), .standard = "0",
     .help = CN_HELP("the class of no label")},
    {0}};

static void ctc_loss(cn_operation_call *c) {
  cornu_dtype dtype;
  cn_edge logits = cn_argument_floats(c, "output", &dtype);
  cn_edge in[] = {as_int32(c, "target"), cn_emit_cast(c->t, logits, CORNU_FLOAT32), as_int32(c, "target_length"),
                  as_int32(c, "output_length")};
  cn_ctc_attrs a = {((const options *)c->options)->mask_index};
  cornu_dtype result = dtype == CORNU_FLOAT64 ? dtype : CORNU_FLOAT32;
  cn_operation_return_as(c, cn_emit(c->t, &cn_op_ctc_loss, &a, in, 4), result);
}

static const cn_field decode_fields[] = {
    {.name = "strategy", .kind = CN_F_ENUM, MEMBER(strategy), .standard = "\"greedy\"", .choices = "greedy beam_search",
     .help = CN_HELP("the best class of each frame, or a search")},
    {.name = "beam_width", .kind = CN_F_INT, MEMBER(beam_width), .standard = "100", .min = 1, .max = 1 << 16,
     .help = CN_HELP("prefixes that the search keeps")},
    {.name = "top_paths", .kind = CN_F_INT, MEMBER(top_paths), .standard = "1", .min = 1, .max = 1 << 16,
     .help = CN_HELP("sequences that the search gives")},
    {.name = "merge_repeated", .kind = CN_F_BOOL, MEMBER(merge_repeated), .standard = "true",
     .help = CN_HELP("greedy: equal classes of following frames count once")},
    {.name = "mask_index", .kind = CN_F_INT, MEMBER(mask_index), .standard = "null",
     .help = CN_HELP("the class of no label; null: the last; not there: 0")},
    {0}};

static void ctc_decode(cn_operation_call *c) {
  const options *o = c->options;
  cornu_dtype dtype;
  cn_edge x = cn_argument_floats(c, "inputs", &dtype), first;
  cn_edge in[] = {cn_emit_cast(c->t, x, CORNU_FLOAT32), as_int32(c, "sequence_lengths")};
  cn_ctc_decode_attrs a = {o->strategy == 1, o->merge_repeated, o->beam_width, o->top_paths,
                           cn_value_find(c->bound, "mask_index") ? o->mask_index : 0};
  if (cn_emit_many(c->t, &cn_op_ctc_decode, &a, in, 2, &first) != 2) return;
  cn_operation_return(c, first);
  cn_operation_return_as(c, first + 1, dtype == CORNU_FLOAT64 ? dtype : CORNU_FLOAT32);
}

#define ROW(class, text, body, table) \
  {.name = class, .arguments = text, .emit = body, .fields = table, .options_size = sizeof(options)}

const cn_operation cn_operations_nn_losses[] = {
    ROW("BinaryCrossentropy", "target output", binary, binary_fields),
    ROW("CategoricalCrossentropy", "target output", categorical, categorical_fields),
    ROW("SparseCategoricalCrossentropy", "target output", sparse_categorical, categorical_fields),
    ROW("PSNR", "x1 x2", psnr, psnr_fields),
    ROW("OneHot", "x", one_hot, one_hot_fields),
    ROW("MultiHot", "inputs", multi_hot, multi_hot_fields),
    ROW("CTCLoss", "target output target_length output_length", ctc_loss, ctc_fields),
    ROW("CTCDecode", "inputs sequence_lengths", ctc_decode, decode_fields),
    {0}};
