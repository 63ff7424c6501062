/* HDF5 files to write, as Keras lays them out: groups, arrays in one piece, attributes of text. */
#ifndef CN_FORMATS_H5_WRITE_H
#define CN_FORMATS_H5_WRITE_H

#include "tensor/tensor.h"

typedef struct cn_h5_out cn_h5_out;

cn_status cn_h5_create(const char *path, cn_h5_out **out, cn_error *e);
/* All of it to the system; a failure means that the file is not complete. Frees f either way. */
cn_status cn_h5_finish(cn_h5_out *f, cn_error *e);
void cn_h5_give_up(cn_h5_out *f); /* NULL is fine */

/* Paths are relative to the root, with slashes; groups on the way are made. */
cn_status cn_h5_put_group(cn_h5_out *f, const char *path, cn_error *e);
cn_status cn_h5_put_array(cn_h5_out *f, const char *path, cn_tensor *t, cn_error *e);
/* Attributes of a group ("": the root), which is there. One text of any length, and a list of texts of a common width,
 * which is cut into name0, name1, … where it is too long for one attribute. */
cn_status cn_h5_put_text(cn_h5_out *f, const char *group, const char *name, const char *text, cn_error *e);
cn_status cn_h5_put_texts(cn_h5_out *f, const char *group, const char *name, const char *const *texts, int n,
                          cn_error *e);

#endif
