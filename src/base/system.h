/* What every system does in its own way, for the files of base/: system_posix.c, system_windows.c. Paths are UTF-8. The
 * functions of file.h that write, and those about pages, are there, too. */
#ifndef CN_BASE_SYSTEM_H
#define CN_BASE_SYSTEM_H

#include <pthread.h>

#include "base/file.h"

/* As malloc, but always aligned to 16; free frees it. used_whole: all of it will be used soon. */
void *cn_system_alloc(size_t size, bool used_whole);
long cn_system_processors(void);
/* A thread that gets none of the process's signals; false: there can be no more threads, or none at all. */
bool cn_system_thread(pthread_t *thread, void *(*work)(void *), void *context);
bool cn_system_watch_forks(void (*in_child)(void)); /* false: try again */

/* f->path is to be read: sets fd and size. */
cn_status cn_system_open(cn_file *f, cn_error *e);
void cn_system_close(cn_file *f);
/* Less than `size` bytes at the end of the file alone. *got is 0 before. */
cn_status cn_system_read(const cn_file *f, uint64_t offset, char *data, size_t size, size_t *got, cn_error *e);
typedef enum cn_path_kind { CN_PATH_NOTHING, CN_PATH_FOLDER, CN_PATH_FILE } cn_path_kind;
cn_path_kind cn_system_look(const char *path);
/* Sets data and mapped; m->size is the file's. On failure m is dropped. */
cn_status cn_system_map(const cn_file *f, cn_mapping *m, cn_error *e);
void cn_system_unmap(cn_mapping *m);
cn_status cn_mapping_read(const cn_file *f, cn_mapping *m, cn_error *e); /* of file.c: on the heap in place of a map */

#endif
