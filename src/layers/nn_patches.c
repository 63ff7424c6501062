/* keras.ops: unfold, fold, depth_to_space, space_to_depth of keras.ops.nn; images are (batch, channels, height, width)
 * in the first two. */
#include "layers/operation.h"

typedef struct options {
  cn_ints kernel_size, dilation, padding, stride, output_size;
  int64_t block_size;
  int data_format;
} options;

#define PAIR(m, key, text, least, words) \
  {.name = key, .kind = CN_F_INTS, .offset = offsetof(options, m), .standard = text, .count = 2, .min = least, \
   .max = 1 << 20, .help = CN_HELP(words)}
#define WINDOW_FIELDS \
  PAIR(kernel_size, "kernel_size", NULL, 1, "size of the window"), \
  PAIR(dilation, "dilation", "1", 1, "distance between its elements"), \
  PAIR(padding, "padding", "0", 0, "zeros on both sides"), PAIR(stride, "stride", "1", 1, "step of the window")

static cn_edge transpose(cn_operation_call *c, cn_edge x, cn_ints order) {
  return cn_emit1(c->t, &cn_op_transpose, &(cn_ints_attrs){order}, x);
}

static cn_edge reshape(cn_operation_call *c, cn_edge x, cn_ints shape) {
  return cn_emit1(c->t, &cn_op_reshape, &(cn_reshape_attrs){shape}, x);
}

static cn_patches_attrs window_of(const options *o) {
  cn_patches_attrs a = {.spatial = 2};
  for (int i = 0; i < 2; i++) {
    a.window[i] = o->kernel_size.v[i];
    a.stride[i] = o->stride.v[i];
    a.dilation[i] = o->dilation.v[i];
    a.pad_begin[i] = a.pad_end[i] = o->padding.v[i];
  }
  return a;
}

static const cn_field unfold_fields[] = {WINDOW_FIELDS, {0}};

/* (b, c, h, w) -> (b, c k k, windows) */
static void unfold(cn_operation_call *c) {
  cn_patches_attrs a = window_of(c->options);
  cn_edge x = cn_argument_tensor(c, "x");
  if (!c->t->status && cn_operation_type(c, x)->rank != 4)
    cn_trace_fail(c->t, CORNU_ERR_SHAPE, "the input has rank %d, expected 4", cn_operation_type(c, x)->rank);
  cn_edge y = cn_emit1(c->t, &cn_op_patches, &a, transpose(c, x, (cn_ints){4, {0, 2, 3, 1}}));
  const cn_type in = *cn_operation_type(c, x), type = *cn_operation_type(c, y);
  int64_t places = a.window[0] * a.window[1], channels = in.shape[1];
  int64_t windows = cn_dim_mul(type.shape[1], type.shape[2]);
  if (c->t->status) return;
  y = reshape(c, y, (cn_ints){4, {CN_DIM_COPY, windows, places, channels}});
  y = transpose(c, y, (cn_ints){4, {0, 3, 2, 1}});
  cn_operation_return(c, reshape(c, y, (cn_ints){3, {CN_DIM_COPY, cn_dim_mul(channels, places), windows}}));
}

static const cn_field fold_fields[] = {
    PAIR(output_size, "output_size", NULL, 1, "height and width"), WINDOW_FIELDS, {0}};

/* (b, c k k, windows) -> (b, c, h, w) */
static void fold(cn_operation_call *c) {
  const options *o = c->options;
  cornu_dtype dtype;
  cn_patches_attrs a = window_of(o);
  int64_t count[2], places = a.window[0] * a.window[1];
  cn_edge x = cn_argument_floats(c, "x", &dtype);
  const cn_type type = *cn_operation_type(c, x);
  for (int i = 0; i < 2; i++) {
    a.size[i] = o->output_size.v[i];
    count[i] = (a.size[i] + 2 * a.pad_begin[i] - a.dilation[i] * (a.window[i] - 1) - 1) / a.stride[i] + 1;
  }
  if (!c->t->status && (type.rank != 3 || type.shape[1] < 1 || type.shape[1] % places))
    cn_trace_fail(c->t, CORNU_ERR_SHAPE, "the input needs three dimensions, the second a multiple of %lld",
                  (long long)places);
  if (c->t->status) return;
  int64_t channels = type.shape[1] / places;
  x = reshape(c, x, (cn_ints){4, {CN_DIM_COPY, channels, places, cn_dim_mul(count[0], count[1])}});
  x = transpose(c, x, (cn_ints){4, {0, 3, 2, 1}});
  x = reshape(c, x, (cn_ints){4, {CN_DIM_COPY, count[0], count[1], channels * places}});
  cn_edge y = cn_emit1(c->t, &cn_op_sum_patches, &a, x);
  cn_operation_return_as(c, transpose(c, y, (cn_ints){4, {0, 3, 1, 2}}), dtype);
}

static const cn_field block_fields[] = {
    {.name = "block_size", .kind = CN_F_INT, .offset = offsetof(options, block_size), .min = 1, .max = 1 << 12,
     .help = CN_HELP("side of a block")},
    {.name = "data_format", .kind = CN_F_ENUM, .offset = offsetof(options, data_format),
     .standard = "\"channels_last\"", .choices = "channels_last channels_first",
     .help = CN_HELP("where the channels are")},
    {0}};

static void blocks(cn_operation_call *c, const cn_op *op) {
  const options *o = c->options;
  bool first = o->data_format == 1;
  cn_edge x = cn_argument_tensor(c, "x");
  if (first) x = transpose(c, x, (cn_ints){4, {0, 2, 3, 1}});
  cn_edge y = cn_emit1(c->t, op, &(cn_block_attrs){o->block_size}, x);
  cn_operation_return(c, first ? transpose(c, y, (cn_ints){4, {0, 3, 1, 2}}) : y);
}
static void depth_to_space(cn_operation_call *c) { blocks(c, &cn_op_depth_to_space); }
static void space_to_depth(cn_operation_call *c) { blocks(c, &cn_op_space_to_depth); }

#define ROW(class, body, table) \
  {.name = class, .arguments = "x", .emit = body, .fields = table, .options_size = sizeof(options)}

const cn_operation cn_operations_nn_patches[] = {
    ROW("Unfold", unfold, unfold_fields),
    ROW("Fold", fold, fold_fields),
    ROW("DepthToSpace", depth_to_space, block_fields),
    ROW("SpaceToDepth", space_to_depth, block_fields),
    {0}};
