/* What Windows does. Paths are UTF-8 here, UTF-16 there. A mapped file cannot be replaced as long as it is mapped. */
#include "base/system.h"

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <windows.h>

/* ---- Memory and threads ---- */

void *cn_system_alloc(size_t size, bool used_whole) {
  (void)used_whole;
  return malloc(size);
}

long cn_system_processors(void) {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return (long)info.dwNumberOfProcessors;
}

bool cn_system_thread(pthread_t *thread, void *(*work)(void *), void *context) {
  return pthread_create(thread, NULL, work, context) == 0;
}

bool cn_system_watch_forks(void (*in_child)(void)) { return (void)in_child, true; }

/* ---- Paths ---- */

static wchar_t *wide(const char *path) { /* freed with cn_free; NULL: no memory, or no UTF-8 */
  const int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
  wchar_t *to = n > 0 ? cn_alloc((size_t)n * sizeof *to) : NULL;
  if (to) MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, to, n);
  else errno = EINVAL;
  return to;
}

static cn_status io_error(cn_error *e, const char *path) {
  return cn_fail(e, errno == ENOENT || errno == ENOTDIR ? CORNU_ERR_NOT_FOUND : CORNU_ERR_IO, "%s: %s", path,
                 strerror(errno));
}

static cn_status system_error(cn_error *e, const char *path) {
  return cn_fail(e, CORNU_ERR_IO, "%s: error %lu of the system", path, GetLastError());
}

static int open_path(const char *path, int flags, int rights) {
  wchar_t *name = wide(path);
  const int fd = name ? _wopen(name, flags | _O_BINARY | _O_NOINHERIT, rights) : -1;
  const int error = errno;
  cn_free(name);
  errno = error;
  return fd;
}

cn_path_kind cn_system_look(const char *path) {
  wchar_t *name = wide(path);
  const DWORD found = name ? GetFileAttributesW(name) : INVALID_FILE_ATTRIBUTES;
  cn_free(name);
  return found == INVALID_FILE_ATTRIBUTES ? CN_PATH_NOTHING
         : found & FILE_ATTRIBUTE_DIRECTORY ? CN_PATH_FOLDER : CN_PATH_FILE;
}

/* ---- Reading ---- */

static HANDLE handle_of(const cn_file *f) { return (HANDLE)_get_osfhandle(f->fd); }

cn_status cn_system_open(cn_file *f, cn_error *e) {
  LARGE_INTEGER size;
  if (cn_system_look(f->path) == CN_PATH_FOLDER) return cn_fail(e, CORNU_ERR_IO, "%s: is a folder", f->path);
  f->fd = open_path(f->path, _O_RDONLY, 0);
  if (f->fd < 0) return io_error(e, f->path);
  cn_status status = CORNU_OK;
  if (GetFileType(handle_of(f)) != FILE_TYPE_DISK)
    status = cn_fail(e, CORNU_ERR_IO, "%s: is not a regular file", f->path);
  else if (!GetFileSizeEx(handle_of(f), &size)) status = system_error(e, f->path);
  if (status) cn_file_close(f);
  else f->size = (uint64_t)size.QuadPart;
  return status;
}

void cn_system_close(cn_file *f) { _close(f->fd); }

cn_status cn_system_read(const cn_file *f, uint64_t offset, char *data, size_t size, size_t *got, cn_error *e) {
  while (*got < size) {
    const uint64_t at = offset + *got;
    const DWORD piece = size - *got < 1 << 30 ? (DWORD)(size - *got) : 1 << 30;
    OVERLAPPED where = {.Offset = (DWORD)at, .OffsetHigh = (DWORD)(at >> 32)};
    DWORD n = 0;
    if (!ReadFile(handle_of(f), data + *got, piece, &n, &where) && GetLastError() != ERROR_HANDLE_EOF)
      return system_error(e, f->path);
    if (n == 0) break;
    *got += n;
  }
  return CORNU_OK;
}

enum { SLACK = 64 }; /* readable bytes behind a mapping */

/* Where the file's last page has no room for them, the file is read. */
cn_status cn_system_map(const cn_file *f, cn_mapping *m, cn_error *e) {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  const size_t tail = m->size % info.dwPageSize;
  if (tail == 0 || info.dwPageSize - tail < SLACK) return cn_mapping_read(f, m, e);
  HANDLE section = CreateFileMappingW(handle_of(f), NULL, PAGE_WRITECOPY, 0, 0, NULL);
  if (!section) return system_error(e, f->path);
  m->data = MapViewOfFile(section, FILE_MAP_COPY, 0, 0, 0);
  CloseHandle(section);
  if (!m->data) return system_error(e, f->path);
  m->mapped = m->size;
  return CORNU_OK;
}

void cn_system_unmap(cn_mapping *m) { UnmapViewOfFile(m->data); }

void cn_mapping_let_go(const void *p, size_t size) { (void)p, (void)size; }
void cn_pages_read(const void *p, size_t size) { (void)p, (void)size; }
void cn_pages_write(void *p, size_t size) { (void)p, (void)size; }

/* ---- Writing ---- */

static void forget(cn_file_write *w) {
  cn_free(w->path);
  cn_free(w->temporary);
  *w = (cn_file_write){0};
}

static void remove_file(const char *path) {
  wchar_t *name = wide(path);
  if (name) DeleteFileW(name);
  cn_free(name);
}

static int make_beside(const char *path, char *name) {
  static atomic_uint made;
  for (int tries = 0; tries < 100; tries++) {
    sprintf(name, "%s.%x-%x.tmp", path, (unsigned)_getpid(), atomic_fetch_add(&made, 1));
    const int fd = open_path(name, _O_RDWR | _O_CREAT | _O_EXCL, _S_IREAD | _S_IWRITE);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

cn_status cn_file_begin(cn_file_write *w, const char *path, cn_error *e) {
  enum { SUFFIX = 32 };
  const size_t length = strlen(path);
  *w = (cn_file_write){0};
  if (cn_system_look(path) == CN_PATH_FOLDER)
    return cn_fail(e, CORNU_ERR_IO, "%s: is not a regular file: saves replace regular files alone", path);
  *w = (cn_file_write){cn_alloc(length + 1), cn_alloc(length + SUFFIX)};
  cn_status status = w->path && w->temporary ? CORNU_OK : cn_no_memory(e);
  if (!status) memcpy(w->path, path, length + 1);
  const int fd = status ? -1 : make_beside(path, w->temporary);
  if (!status && fd < 0) status = io_error(e, path);
  if (fd >= 0) _close(fd);
  if (status) forget(w);
  return status;
}

static cn_status replace(const cn_file_write *w, cn_error *e) {
  wchar_t *from = wide(w->temporary), *to = wide(w->path);
  cn_status status = from && to ? CORNU_OK : io_error(e, w->path);
  if (!status && !MoveFileExW(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
    status = system_error(e, w->path);
  cn_free(from);
  cn_free(to);
  return status;
}

cn_status cn_file_commit(cn_file_write *w, cn_error *e) {
  const int fd = open_path(w->temporary, _O_RDWR, 0);
  cn_status status = fd < 0 || _commit(fd) ? io_error(e, w->path) : CORNU_OK;
  if (fd >= 0) _close(fd);
  if (!status) status = replace(w, e);
  if (status) remove_file(w->temporary);
  forget(w);
  return status;
}

void cn_file_abandon(cn_file_write *w) {
  if (w->temporary) remove_file(w->temporary);
  forget(w);
}
#endif
