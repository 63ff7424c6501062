/* What layers of categories share: the output modes, and how each Keras encodes. */
#ifndef CN_LAYERS_ENCODING_H
#define CN_LAYERS_ENCODING_H

#include "layers/layer.h"

#define CN_MODES "int one_hot multi_hot count tf_idf binary tf-idf"
typedef enum cn_mode { CN_MODE_INT, CN_MODE_ONE_HOT, CN_MODE_MULTI_HOT, CN_MODE_COUNT, CN_MODE_TF_IDF } cn_mode;

#define CN_MODE_FIELD(type, initial) CN_MODE_FIELD_AT(type, mode, initial)
#define CN_MODE_FIELD_AT(type, member, initial)                                                                                   \
  {                                                                                                                    \
    .name = "output_mode", .kind = CN_F_ENUM, .offset = offsetof(type, member), .standard = initial, .choices = CN_MODES, \
    .help = CN_HELP("int: numbers of categories; one_hot: a row of 0 and 1 for each; multi_hot, count: a "             \
                    "row for all along "                                                                               \
                    "the last axis; tf_idf: counts times weights")                                                     \
  }
#define CN_SPARSE_FIELD                                                                                                \
  { .name = "sparse", .kind = CN_F_IGNORED, .standard = "false",                                                       \
   .help = CN_HELP("results are dense here, of the same values") }

/* The mode behind a CN_MODE_FIELD: older names for what they are. */
cn_mode cn_mode_of(int choice);
/* Refuses modes that the layer does not have; `modes` lists those that it has. */
cn_status cn_mode_check(int choice, const char *modes, cn_error *e);
/* Whether Keras 3 encodes: on axis 1 when there are three dimensions or more, and results of which dtype. */
bool cn_encodes_as_keras3(const cn_layer *l);

/* The dtype of the result where the policy may name integers: int64 for numbers of categories if it names none. */
cornu_dtype cn_category_dtype(const cn_layer *l, cn_mode mode);
/* "salt": two numbers, or n = -1 for none. */
cn_status cn_salt_of(const cn_value *v, cn_ints *out, cn_error *e);
/* A string or a whole number as a scalar of the trace. */
cn_edge cn_emit_token(cn_trace *t, const cn_value *v);

typedef struct cn_encoding {
  cn_mode mode;           /* tf_idf counts */
  int64_t depth;
  cornu_dtype dtype;      /* of the result; with weights theirs */
  bool strict;            /* categories out of range are an error */
  cn_edge weights;        /* CN_NO_EDGE: none */
} cn_encoding;
/* Numbers of categories to the result of the mode. */
cn_edge cn_emit_encoding(cn_layer *l, cn_trace *t, cn_edge indices, const cn_encoding *how);

/* Discretization learns from a summary, (2, n): rising values with the weight of what lies behind the one before. */
int64_t cn_summary_size(int64_t n, double epsilon); /* of a compressed one */
cn_status cn_summary_compress(const float *summary, int64_t n, double epsilon, float *out, cn_error *e);
cn_status cn_discretization_learn(cn_layer *l, cn_tensor *summary, cn_error *e);

#endif
