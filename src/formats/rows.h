/* Sources of rows: arrays of files and pictures, read when they are asked for. */
#ifndef CN_FORMATS_ROWS_H
#define CN_FORMATS_ROWS_H

#include <pthread.h>
#include <stdatomic.h>

#include "formats/npy.h"

/* How a source reads. `to` has room for n rows as the form says. */
typedef struct cn_rows_kind {
  cn_status (*read)(void *state, int64_t first, int64_t n, char *to, cn_error *e);
  void (*close)(void *state);
  bool shared;    /* several threads may read at once */
} cn_rows_kind;

struct cornu_rows {
  atomic_int references;
  char *path, *name;      /* of the file; of the array; NULL: it has none */
  const cn_rows_kind *kind;
  void *state;
  cn_npy form;            /* of all rows: dtype, shape, byte order */
  size_t row_bytes;       /* in the file */
  int64_t stretch;        /* rows that are read together and kept (a power of 2); 0: each on its own */
  bool in_order;          /* going back is reading again from the beginning */
  char *window;           /* the stretch that was read last */
  int64_t window_first, window_rows;
  pthread_mutex_t lock;
  atomic_uchar *left_out; /* for each row: it could not be read; NULL: that would be an error */
};

/* A source without a file. The state is taken over, on failure, too. */
cn_status cn_rows_new(const cn_rows_kind *kind, void *state, const cn_npy *form, cornu_rows **out, cn_error *e);
static inline bool cn_rows_left_out(const cornu_rows *r, int64_t row) {
  return r->left_out && atomic_load_explicit(&r->left_out[row], memory_order_relaxed);
}

/* The three that cornu_rows_open tries; r->path and r->name are set. They set kind, state, form and, where rows are packed
 * together, stretch: how many at least. */
cn_status cn_rows_of_npy(cornu_rows *r, cn_error *e);
cn_status cn_rows_of_npz(cornu_rows *r, cn_error *e);
cn_status cn_rows_of_h5(cornu_rows *r, bool trusted, cn_error *e);
/* Whether a source of this form can be: it has rows. */
cn_status cn_rows_check(const cn_npy *form, cn_error *e);

cn_status cn_rows_list_npz(const char *path, cornu_rows_visit visit, void *user, cn_error *e);
cn_status cn_rows_list_h5(const char *path, bool trusted, cornu_rows_visit visit, void *user, cn_error *e);

#endif
