/* Transposed matrices of 32-bit elements. */
#include "kernels/kernels.h"
#include "kernels/transpose_vector.h"

/* Blocks whose lines of both sides stay in the first-level cache. */
static void transpose(void *to, int64_t to_pitch, const void *from, int64_t from_pitch, int64_t rows, int64_t columns) {
  enum { ROWS = 64, COLUMNS = 16 };
  for (int64_t i = 0; i < rows; i += ROWS)
    for (int64_t j = 0; j < columns; j += COLUMNS)
      v_transpose((float *)to + j * to_pitch + i, to_pitch, (const float *)from + i * from_pitch + j, from_pitch,
                  rows - i < ROWS ? rows - i : ROWS, columns - j < COLUMNS ? columns - j : COLUMNS);
}

const cn_transpose_kernels CN_ISA_NAME(cn_transpose_table) = {.words = transpose};
