/* Vocabularies: hash tables over a vector of strings or whole numbers, which stays where it is. */
#ifndef CN_OPS_LOOKUP_H
#define CN_OPS_LOOKUP_H

#include "ops/op.h"

typedef struct cn_vocabulary {
  const cn_operand *keys;
  int32_t *slots;   /* position + 1; 0: free */
  uint64_t mask;    /* number of slots - 1, a power of two */
} cn_vocabulary;

/* For plan(): keys must be there already and stay as they are. */
cn_status cn_vocabulary_make(struct cn_planner *p, const cn_operand *keys, cn_vocabulary *out, cn_error *e);
int64_t cn_vocabulary_find_text(const cn_vocabulary *v, cornu_text x); /* -1: it is not there */
int64_t cn_vocabulary_find_int(const cn_vocabulary *v, int64_t x);

/* An element of an operand. */
int64_t cn_operand_int(const cn_operand *x, int64_t i);
cornu_text cn_operand_text(const cn_operand *x, int64_t i);

#endif
