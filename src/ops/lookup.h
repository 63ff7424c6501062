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
/* Hashing byte by byte, for words that are nowhere in one piece: CN_WORD_HASH, then each byte, then the probe, which asks
 * `same` about words with that hash. */
#define CN_WORD_HASH UINT64_C(0xcbf29ce484222325)
static inline uint64_t cn_word_hash(uint64_t hash, unsigned char byte) { return (hash ^ byte) * UINT64_C(0x100000001b3); }
int64_t cn_vocabulary_probe(const cn_vocabulary *v, uint64_t hash, bool (*same)(const void *word, cornu_text key),
                            const void *word);
int64_t cn_vocabulary_find_text(const cn_vocabulary *v, cornu_text x); /* -1: it is not there */
int64_t cn_vocabulary_find_int(const cn_vocabulary *v, int64_t x);

/* An element of an operand. */
int64_t cn_operand_int(const cn_operand *x, int64_t i);
cornu_text cn_operand_text(const cn_operand *x, int64_t i);

#endif
