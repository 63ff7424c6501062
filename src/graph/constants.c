/* Constants while plans are compiled. Weights that lie in mapped files are read piece by piece and given back, so that a
 * network is not in memory twice. */
#include <string.h>

#include "base/deadline.h"
#include "base/file.h"
#include "base/pool.h"
#include "graph/planner.h"

enum { PIECE = 1 << 20 };

typedef struct reading {
  const char *from;
  size_t row;
  int64_t rows, at_once;
  int tasks;
  char *room;       /* of each task for one piece; NULL: the rows are aligned where they are */
  bool give_back;
  cn_plan_rows each;
  void *context;
} reading;

static void read_piece(const reading *r, int task, int64_t begin) {
  int64_t end = begin + r->at_once < r->rows ? begin + r->at_once : r->rows;
  const char *from = r->from + begin * (int64_t)r->row, *rows = from;
  size_t bytes = (size_t)(end - begin) * r->row;
  if (r->give_back) cn_pages_read(from, bytes);
  if (r->room) rows = memcpy(r->room + task * r->at_once * (int64_t)r->row, from, bytes);
  r->each(r->context, rows, begin, end);
  if (r->give_back) cn_mapping_let_go(from, bytes);
}

static void read_pieces(void *context, int task) {
  const reading *r = context;
  for (int64_t at = task * r->at_once; at < r->rows; at += r->tasks * r->at_once) read_piece(r, task, at);
}

typedef struct fresh { char *data; size_t bytes; } fresh;

static void write_range(void *context, int64_t begin, int64_t end) {
  const fresh *f = context;
  size_t from = (size_t)begin * PIECE, to = (size_t)end * PIECE;
  cn_pages_write(f->data + from, (to < f->bytes ? to : f->bytes) - from);
}

void cn_plan_touch(void *data, size_t bytes) {
  if (bytes > PIECE) cn_parallel_range((int64_t)((bytes + PIECE - 1) / PIECE), 4, write_range, &(fresh){data, bytes});
}

cn_status cn_plan_read(const cn_operand *source, size_t row, cn_plan_rows each, void *context, cn_error *e) {
  const char *stored = source->tensor ? cn_tensor_stored(source->tensor) : NULL;
  size_t item = cornu_dtype_bytes(source->dtype);
  reading r = {.from = stored ? stored : source->data, .row = row, .rows = source->size * (int64_t)item / (int64_t)row,
               .at_once = PIECE / (int64_t)row, .give_back = stored, .each = each, .context = context};
  if (r.at_once < 1) r.at_once = 1;
  int64_t pieces = (r.rows + r.at_once - 1) / r.at_once;
  r.tasks = pieces < cn_threads() ? (int)pieces : cn_threads();
  if (r.tasks < 1) return CORNU_OK;
  if ((uintptr_t)r.from % item) {
    r.room = cn_alloc_data((size_t)(r.tasks * r.at_once) * row);
    if (!r.room) return cn_no_memory(e);
  }
  cn_parallel(r.tasks, read_pieces, &r);
  cn_free(r.room);
  return cn_check_time(e);
}

void cn_plan_whole(cn_operand *source) {
  if (!source->tensor || source->data) return;
  cn_tensor_fetch(source->tensor);
  source->data = source->tensor->data;
}
