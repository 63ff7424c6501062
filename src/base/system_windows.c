/* What Windows does. Paths are UTF-8 here, UTF-16 there. */
#include "base/system.h"

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

enum { SHORT_PATH = 248 }; /* a path of this length or more has to begin in the system's own way */

static wchar_t *no_path(DWORD error) {
  SetLastError(error);
  return NULL;
}

/* The full path, of any length. */
static wchar_t *long_path(const wchar_t *path, DWORD size) {
  wchar_t *full = cn_alloc((size + 8) * sizeof *full);
  if (!full) return no_path(ERROR_NOT_ENOUGH_MEMORY);
  if (GetFullPathNameW(path, size, full, NULL) >= size) return cn_free(full), no_path(ERROR_FILENAME_EXCED_RANGE);
  if (wcsncmp(full, L"\\\\?\\", 4) == 0) return full;
  const bool remote = wcsncmp(full, L"\\\\", 2) == 0;
  const wchar_t *start = remote ? L"\\\\?\\UNC" : L"\\\\?\\";
  memmove(full + wcslen(start), full + remote, (wcslen(full) + 1 - remote) * sizeof *full);
  memcpy(full, start, wcslen(start) * sizeof *full);
  return full;
}

static wchar_t *wide(const char *path) { /* freed with cn_free; NULL: no memory, or no UTF-8 */
  const int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
  if (n <= 0) return no_path(ERROR_INVALID_NAME);
  wchar_t *to = cn_alloc((size_t)n * sizeof *to);
  if (!to) return no_path(ERROR_NOT_ENOUGH_MEMORY);
  MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, to, n);
  const DWORD size = GetFullPathNameW(to, 0, NULL, NULL);
  if (size < SHORT_PATH) return to;
  wchar_t *full = long_path(to, size);
  cn_free(to);
  return full;
}

static cn_status system_error(cn_error *e, const char *path) {
  const DWORD code = GetLastError(), how = FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS;
  wchar_t text[200];
  char said[600] = "";
  DWORD n = FormatMessageW(how | FORMAT_MESSAGE_MAX_WIDTH_MASK, NULL, code, 0, text, 200, NULL);
  while (n > 0 && (text[n - 1] == L' ' || text[n - 1] == L'.')) n--;
  WideCharToMultiByte(CP_UTF8, 0, text, (int)n, said, sizeof said - 1, NULL, NULL);
  const bool none = code == ERROR_FILE_NOT_FOUND || code == ERROR_PATH_NOT_FOUND;
  return cn_fail(e, none ? CORNU_ERR_NOT_FOUND : CORNU_ERR_IO, "%s: %s (error %lu)", path, said, code);
}

/* Others may rename the file, and remove it, while it is open. */
static HANDLE open_path(const char *path, DWORD rights, DWORD how) {
  const DWORD shared = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
  wchar_t *name = wide(path);
  HANDLE h = name ? CreateFileW(name, rights, shared, NULL, how, FILE_ATTRIBUTE_NORMAL, NULL) : INVALID_HANDLE_VALUE;
  const DWORD error = GetLastError();
  cn_free(name);
  SetLastError(error);
  return h;
}

static DWORD attributes_of(const char *path) {
  wchar_t *name = wide(path);
  const DWORD found = name ? GetFileAttributesW(name) : INVALID_FILE_ATTRIBUTES;
  cn_free(name);
  return found;
}

cn_path_kind cn_system_look(const char *path) {
  const DWORD found = attributes_of(path);
  return found == INVALID_FILE_ATTRIBUTES ? CN_PATH_NOTHING
         : found & FILE_ATTRIBUTE_DIRECTORY ? CN_PATH_FOLDER : CN_PATH_FILE;
}

/* ---- Reading ---- */

static HANDLE handle_of(const cn_file *f) { return (HANDLE)_get_osfhandle(f->fd); }

cn_status cn_system_open(cn_file *f, cn_error *e) {
  LARGE_INTEGER size;
  if (cn_system_look(f->path) == CN_PATH_FOLDER) return cn_fail(e, CORNU_ERR_IO, "%s: is a folder", f->path);
  HANDLE h = open_path(f->path, GENERIC_READ, OPEN_EXISTING);
  if (h == INVALID_HANDLE_VALUE) return system_error(e, f->path);
  f->fd = _open_osfhandle((intptr_t)h, _O_RDONLY | _O_BINARY | _O_NOINHERIT);
  if (f->fd < 0) return CloseHandle(h), cn_fail(e, CORNU_ERR_IO, "%s: too many files are open", f->path);
  cn_status status = CORNU_OK;
  if (GetFileType(h) != FILE_TYPE_DISK) status = cn_fail(e, CORNU_ERR_IO, "%s: is not a regular file", f->path);
  else if (!GetFileSizeEx(h, &size)) status = system_error(e, f->path);
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

enum { SUFFIX = 32 };
#define TEMPORARY ".tmp"
#define ASIDE ".old" /* what was replaced, as long as a model has it mapped */

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

static cn_status make_beside(const char *path, char *name, cn_error *e) {
  static atomic_uint made;
  for (int tries = 0; tries < 100; tries++) {
    sprintf(name, "%s.%x-%x" TEMPORARY, path, (unsigned)_getpid(), atomic_fetch_add(&made, 1));
    HANDLE h = open_path(name, GENERIC_READ | GENERIC_WRITE, CREATE_NEW);
    if (h != INVALID_HANDLE_VALUE) return CloseHandle(h), CORNU_OK;
    if (GetLastError() != ERROR_FILE_EXISTS) break;
  }
  return system_error(e, path);
}

/* ---- What earlier saves left ---- */

static uint64_t number_of(FILETIME t) { return (uint64_t)t.dwHighDateTime << 32 | t.dwLowDateTime; }

/* Replaced files; temporary ones of killed saves, which have not changed for an hour. */
static bool is_leftover(const WIN32_FIND_DATAW *f, size_t length) {
  const uint64_t hour = UINT64_C(36000000000); /* of 100 ns */
  unsigned pid, number;
  wchar_t kind[5];
  FILETIME now;
  int end = 0;
  const wchar_t *rest = f->cFileName + length;
  if (swscanf(rest, L".%x-%x%4ls%n", &pid, &number, kind, &end) != 3 || rest[end]) return false;
  GetSystemTimeAsFileTime(&now);
  return wcscmp(kind, L"" ASIDE) == 0 ||
         (wcscmp(kind, L"" TEMPORARY) == 0 && number_of(now) > number_of(f->ftLastWriteTime) + hour);
}

/* The system does not remove what is mapped or open. */
static void remove_leftovers(const char *path) {
  WIN32_FIND_DATAW found;
  wchar_t *name = wide(path), *file = name ? cn_alloc((wcslen(name) + MAX_PATH) * sizeof *file) : NULL;
  if (!file) return cn_free(name);
  wchar_t *base = name + wcslen(name);
  while (base > name && !wcschr(L"/\\:", base[-1])) base--;
  const size_t folder = (size_t)(base - name), length = wcslen(base);
  wcscat(wcscpy(file, name), L".*");
  HANDLE search = FindFirstFileW(file, &found);
  for (BOOL more = search != INVALID_HANDLE_VALUE; more; more = FindNextFileW(search, &found))
    if (_wcsnicmp(found.cFileName, base, length) == 0 && is_leftover(&found, length)) {
      wcscpy(file + folder, found.cFileName);
      DeleteFileW(file);
    }
  if (search != INVALID_HANDLE_VALUE) FindClose(search);
  cn_free(file);
  cn_free(name);
}

cn_status cn_file_begin(cn_file_write *w, const char *path, cn_error *e) {
  const size_t length = strlen(path);
  const DWORD old = attributes_of(path);
  *w = (cn_file_write){0};
  if (old != INVALID_FILE_ATTRIBUTES && old & FILE_ATTRIBUTE_DIRECTORY)
    return cn_fail(e, CORNU_ERR_IO, "%s: is not a regular file: saves replace regular files alone", path);
  if (old != INVALID_FILE_ATTRIBUTES && old & FILE_ATTRIBUTE_READONLY)
    return cn_fail(e, CORNU_ERR_IO, "%s: is read-only: saves do not replace it", path);
  *w = (cn_file_write){cn_alloc(length + 1), cn_alloc(length + SUFFIX)};
  cn_status status = w->path && w->temporary ? CORNU_OK : cn_no_memory(e);
  if (!status) memcpy(w->path, path, length + 1), remove_leftovers(path);
  if (!status) status = make_beside(path, w->temporary, e);
  if (status) forget(w);
  return status;
}

/* A mapped file cannot be replaced, but it can get another name, under which the model goes on with it. */
static bool put_aside(const wchar_t *from, const wchar_t *to) {
  wchar_t *aside = cn_alloc((wcslen(from) + 1) * sizeof *aside);
  if (!aside) return false;
  wcscpy(aside, from);
  wcscpy(aside + wcslen(aside) - strlen(TEMPORARY), L"" ASIDE);
  bool done = MoveFileExW(to, aside, MOVEFILE_WRITE_THROUGH);
  if (done && !MoveFileExW(from, to, MOVEFILE_WRITE_THROUGH)) {
    MoveFileExW(aside, to, MOVEFILE_WRITE_THROUGH);
    done = false;
  }
  if (done) DeleteFileW(aside);
  cn_free(aside);
  return done;
}

static cn_status replace(const cn_file_write *w, cn_error *e) {
  wchar_t *from = wide(w->temporary), *to = wide(w->path);
  cn_status status = from && to ? CORNU_OK : system_error(e, w->path);
  if (!status && !MoveFileExW(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)) {
    const DWORD error = GetLastError();
    if (!put_aside(from, to))
      status = cn_fail(e, CORNU_ERR_IO, "%s: cannot be replaced (error %lu) and stays as it was: close it where it is "
                       "open, in another program, too, and save again", w->path, error);
  }
  cn_free(from);
  cn_free(to);
  return status;
}

cn_status cn_file_commit(cn_file_write *w, cn_error *e) {
  HANDLE h = open_path(w->temporary, GENERIC_READ | GENERIC_WRITE, OPEN_EXISTING);
  cn_status status = h == INVALID_HANDLE_VALUE || !FlushFileBuffers(h) ? system_error(e, w->path) : CORNU_OK;
  if (h != INVALID_HANDLE_VALUE) CloseHandle(h);
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
