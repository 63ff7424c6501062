/* Transposing blocks of 32-bit elements in registers, for the files in kernels/isa/. */
#ifndef CN_KERNELS_TRANSPOSE_VECTOR_H
#define CN_KERNELS_TRANSPOSE_VECTOR_H

#include "kernels/simd.h"

/* CN_LANES rows of four: to[j][i] = from[i][j]. */
V_FN void v_transpose_strip(float *to, int64_t to_pitch, const float *from, int64_t from_pitch) {
  vf r[4];
  for (int i = 0; i < 4; i++) r[i] = v_load_fours(from + i * from_pitch, 4 * from_pitch);
  v_transpose_fours(r);
  for (int i = 0; i < 4; i++) v_store(to + i * to_pitch, r[i]);
}

/* to[j * to_pitch + i] = from[i * from_pitch + j] for i < rows, j < columns */
V_FN void v_transpose(float *to, int64_t to_pitch, const float *from, int64_t from_pitch, int64_t rows,
                      int64_t columns) {
  const int64_t whole_rows = rows / CN_LANES * CN_LANES, whole_columns = columns / 4 * 4;
  for (int64_t j = 0; j < whole_columns; j += 4)
    for (int64_t i = 0; i < whole_rows; i += CN_LANES)
      v_transpose_strip(to + j * to_pitch + i, to_pitch, from + i * from_pitch + j, from_pitch);
  for (int64_t j = 0; j < columns; j++)
    for (int64_t i = j < whole_columns ? whole_rows : 0; i < rows; i++)
      to[j * to_pitch + i] = from[i * from_pitch + j];
}

#endif
