/* What systems of the POSIX family do. Writes replace a file at once. */
#include "base/system.h"

#if !defined(_WIN32)
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- Memory and threads ---- */

enum { MALLOC_ALIGN = 16, HUGE_PAGE = 2 << 20 };

/* Large blocks lie in huge pages where the system has them: reading weights once is faster without a miss of the page
 * tables every 4 KiB. */
void *cn_system_alloc(size_t size, bool used_whole) {
  void *p;
#ifdef MADV_HUGEPAGE
  if (used_whole && size >= HUGE_PAGE && !posix_memalign(&p, HUGE_PAGE, size)) {
    (void)madvise(p, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    return p;
  }
#endif
  (void)used_whole;
  if (sizeof(void *) >= 8) return malloc(size); /* which aligns to two pointers */
  return posix_memalign(&p, MALLOC_ALIGN, size) ? NULL : p;
}

long cn_system_processors(void) { return sysconf(_SC_NPROCESSORS_ONLN); }

/* Signals are for the threads of the host. */
bool cn_system_thread(pthread_t *thread, void *(*work)(void *), void *context) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const bool started = pthread_create(thread, NULL, work, context) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return started;
}

bool cn_system_watch_forks(void (*in_child)(void)) { return pthread_atfork(NULL, NULL, in_child) == 0; }

/* ---- Reading ---- */

static cn_status io_error(cn_error *e, const char *path) {
  return cn_fail(e, errno == ENOENT || errno == ENOTDIR ? CORNU_ERR_NOT_FOUND : CORNU_ERR_IO, "%s: %s", path,
                 strerror(errno));
}

cn_status cn_system_open(cn_file *f, cn_error *e) {
  struct stat s;
  f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
  if (f->fd < 0) return io_error(e, f->path);
  cn_status status = fstat(f->fd, &s) ? io_error(e, f->path) : CORNU_OK;
  if (!status && S_ISDIR(s.st_mode)) status = cn_fail(e, CORNU_ERR_IO, "%s: is a folder", f->path);
  if (!status && !S_ISREG(s.st_mode)) status = cn_fail(e, CORNU_ERR_IO, "%s: is not a regular file", f->path);
  if (status) cn_file_close(f);
  else f->size = (uint64_t)s.st_size;
  return status;
}

void cn_system_close(cn_file *f) { close(f->fd); }

cn_status cn_system_read(const cn_file *f, uint64_t offset, char *data, size_t size, size_t *got, cn_error *e) {
  while (*got < size) {
    ssize_t n = pread(f->fd, data + *got, size - *got, (off_t)(offset + *got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error(e, f->path);
    if (n == 0) break;
    *got += (size_t)n;
  }
  return CORNU_OK;
}

cn_path_kind cn_system_look(const char *path) {
  struct stat s;
  return stat(path, &s) ? CN_PATH_NOTHING : S_ISDIR(s.st_mode) ? CN_PATH_FOLDER : CN_PATH_FILE;
}

/* The file's pages lie over the beginning of a larger range of zeros. What cannot be mapped is read. */
static cn_status map_pages(cn_mapping *m, const cn_file *f, cn_error *e) {
  m->data = mmap(NULL, m->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (m->data == MAP_FAILED) return m->data = NULL, cn_no_memory(e);
  if (m->size == 0 ||
      mmap(m->data, m->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, f->fd, 0) != MAP_FAILED)
    return CORNU_OK;
  cn_system_unmap(m);
  return cn_mapping_read(f, m, e);
}

cn_status cn_system_map(const cn_file *f, cn_mapping *m, cn_error *e) {
  bool fits = cn_add_size(m->size, 2 * (size_t)sysconf(_SC_PAGESIZE), &m->mapped);
  return fits ? map_pages(m, f, e) : cn_no_memory(e);
}

void cn_system_unmap(cn_mapping *m) { munmap(m->data, m->mapped); }

/* Of the whole pages; advice that a system does not know is no failure. */
static void advise(const void *p, size_t size, int advice) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = ((uintptr_t)p + page - 1) / page * page;
  uintptr_t end = ((uintptr_t)p + size) / page * page;
  if (begin < end) madvise((void *)begin, end - begin, advice);
}

void cn_mapping_let_go(const void *p, size_t size) { advise(p, size, MADV_DONTNEED); }

#ifdef __linux__ /* since 5.14 */
enum { POPULATE_READ = 22, POPULATE_WRITE = 23 };
void cn_pages_read(const void *p, size_t size) { advise(p, size, POPULATE_READ); }
void cn_pages_write(void *p, size_t size) { advise(p, size, POPULATE_WRITE); }
#else
void cn_pages_read(const void *p, size_t size) { (void)p, (void)size; }
void cn_pages_write(void *p, size_t size) { (void)p, (void)size; }
#endif

/* ---- Writing ---- */

static char *copy_text(const char *text, const char *suffix) {
  size_t n = strlen(text), m = strlen(suffix);
  char *s = cn_alloc(n + m + 1);
  if (s) memcpy(s, text, n), memcpy(s + n, suffix, m + 1);
  return s;
}

static void forget(cn_file_write *w) {
  cn_free(w->path);
  cn_free(w->temporary);
  *w = (cn_file_write){0};
}

/* Where a link that leads to no file yet says that it would be; NULL: no link, or one that leads on. */
static char *link_target(const char *path) {
  char text[PATH_MAX];
  ssize_t n = readlink(path, text, sizeof text - 1);
  if (n < 0) return NULL;
  text[n] = 0;
  const char *slash = *text == '/' ? NULL : strrchr(path, '/');
  char *folder = copy_text(path, ""), *out;
  if (!folder) return NULL;
  folder[slash ? slash - path + 1 : 0] = 0;
  out = copy_text(folder, text);
  cn_free(folder);
  return out;
}

/* A new file of a name that nobody has. With the rights that a new file gets, or those given. */
static int make_beside(const char *path, const struct stat *old, char *name) {
  static atomic_uint made;
  for (int tries = 0; tries < 100; tries++) {
    sprintf(name, "%s.%x-%x.tmp", path, (unsigned)getpid(), atomic_fetch_add(&made, 1));
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 && old) fchmod(fd, old->st_mode & 0777);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

/* ---- What killed saves left ---- */

enum { SUFFIX = 32, STALE_SECONDS = 3600 };

/* Whether nobody writes to it: its process is gone, or has the number of this one, and it has long not changed, as
 * processes of other machines that share the folder are not seen. */
static bool is_stale(const char *file, unsigned pid) {
  struct stat s;
  bool gone = pid == (unsigned)getpid() || (kill((pid_t)pid, 0) && errno == ESRCH);
  return gone && lstat(file, &s) == 0 && S_ISREG(s.st_mode) && time(NULL) - s.st_mtime > STALE_SECONDS;
}

/* Temporary files of earlier saves to the same path, with what stood beside them. */
static void remove_leftovers(char *path) {
  char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
  size_t before = (size_t)(base - path), length = strlen(base);
  char file[PATH_MAX];
  const struct dirent *entry;
  if (slash) *slash = 0;
  DIR *d = opendir(!slash ? "." : slash == path ? "/" : path);
  if (slash) *slash = '/';
  while (d && (entry = readdir(d))) {
    unsigned pid, number;
    int end = 0;
    const char *rest = entry->d_name + length;
    if (strncmp(entry->d_name, base, length) != 0 || sscanf(rest, ".%x-%x.tmp%n", &pid, &number, &end) != 2 || end == 0)
      continue;
    bool known = rest[end] == 0 || strcmp(rest + end, CN_BESIDE_TEMPORARY) == 0;
    int n = snprintf(file, sizeof file, "%.*s%s", (int)before, path, entry->d_name);
    if (known && n > 0 && (size_t)n < sizeof file && is_stale(file, pid)) unlink(file);
  }
  if (d) closedir(d);
}

cn_status cn_file_begin(cn_file_write *w, const char *path, cn_error *e) {
  *w = (cn_file_write){0};
  struct stat old;
  bool exists = stat(path, &old) == 0;
  if (exists && !S_ISREG(old.st_mode))
    return cn_fail(e, CORNU_ERR_IO, "%s: is not a regular file: saves replace regular files alone", path);
  char *real = exists ? realpath(path, NULL) : NULL; /* through links, so that the file is replaced and not the link */
  char *target = exists ? NULL : link_target(path);
  const char *at = real ? real : target ? target : path;
  *w = (cn_file_write){copy_text(at, ""), cn_alloc(strlen(at) + SUFFIX)};
  free(real);
  cn_free(target);
  cn_status status = w->path && w->temporary ? CORNU_OK : cn_no_memory(e);
  if (!status) remove_leftovers(w->path);
  int fd = status ? -1 : make_beside(w->path, exists ? &old : NULL, w->temporary);
  if (!status && fd < 0) status = io_error(e, path);
  if (fd >= 0) close(fd);
  if (status) forget(w);
  return status;
}

/* A new name is on the disk when its folder is. Systems that do not let folders be synced do it themselves. */
static void sync_folder(char *path) {
  char *slash = strrchr(path, '/');
  if (slash && slash > path) *slash = 0;
  int fd = open(slash ? slash > path ? path : "/" : ".", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

cn_status cn_file_commit(cn_file_write *w, cn_error *e) {
  cn_status status = CORNU_OK;
  int fd = open(w->temporary, O_RDWR | O_CLOEXEC);
  if (fd < 0 || fsync(fd)) status = io_error(e, w->path);
  if (fd >= 0) close(fd);
  if (!status && rename(w->temporary, w->path)) status = io_error(e, w->path);
  if (status) unlink(w->temporary);
  else sync_folder(w->path);
  forget(w);
  return status;
}

void cn_file_abandon(cn_file_write *w) {
  if (w->temporary) unlink(w->temporary);
  forget(w);
}
#endif
