/* What the fuzz targets share. A target is a file of tests/fuzz that defines LLVMFuzzerTestOneInput: libFuzzer calls it
 * with new inputs (make fuzz), replay.c with those that once failed (make test). */
#ifndef TESTS_FUZZ_SUPPORT_H
#define TESTS_FUZZ_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "cornu.h"

int LLVMFuzzerInitialize(int *argc, char ***argv); /* small limits on memory, one thread */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a file, for this call of the target; its path is static. */
const char *fuzz_file(const uint8_t *data, size_t size);
/* Loads a model (weights may be NULL), runs it once where that is cheap, and frees it. */
void fuzz_model(const char *path, const char *weights);
/* The same of the input in memory, as the model and as the weights of a small one, with less than its last byte, too. */
void fuzz_memory(const uint8_t *data, size_t size);
/* libFuzzer's mutations, after which stored entries of a zip archive have the check sums of their bytes. */
size_t fuzz_mutate_zip(uint8_t *data, size_t size, size_t max);
/* The same with libFuzzer's other hook; replay.c lacks it. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

#endif
