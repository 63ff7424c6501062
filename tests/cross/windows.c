/* Files under Windows: names in any language, long ones, both kinds of separators, saves over files that are in use. */
#include <cmocka.h>
#include <stdio.h>
#include <windows.h>

#include "base/file.h"
#include "cornu.h"

static char folder[MAX_PATH * 3]; /* UTF-8 */
static wchar_t wide_folder[MAX_PATH];

static int new_folder(void **state) {
  (void)state;
  wchar_t temporary[MAX_PATH - 40];
  GetTempPathW(MAX_PATH - 40, temporary);
  swprintf(wide_folder, MAX_PATH, L"%lscornu-\u00fc-\u6a21\u578b-%lu", temporary, (unsigned long)GetTickCount64());
  WideCharToMultiByte(CP_UTF8, 0, wide_folder, -1, folder, sizeof folder, NULL, NULL);
  return !CreateDirectoryW(wide_folder, NULL);
}

static int files_in_folder(void) {
  wchar_t all[MAX_PATH + 2];
  WIN32_FIND_DATAW found;
  int n = 0;
  swprintf(all, MAX_PATH + 2, L"%ls\\*", wide_folder);
  HANDLE h = FindFirstFileW(all, &found);
  assert_true(h != INVALID_HANDLE_VALUE);
  do n += found.cFileName[0] != L'.';
  while (FindNextFileW(h, &found));
  FindClose(h);
  return n;
}

static int remove_folder(void **state) {
  (void)state;
  return !RemoveDirectoryW(wide_folder) || cornu_memory_used() != 0; /* a file left behind keeps the folder */
}

static const char *path_of(const char *name) {
  static char path[2000];
  snprintf(path, sizeof path, "%s\\%s", folder, name);
  return path;
}

static const wchar_t *wide_path(const wchar_t *name) {
  static wchar_t path[MAX_PATH];
  swprintf(path, MAX_PATH, L"%ls\\%ls", wide_folder, name);
  return path;
}

static void put(const wchar_t *path, const char *text) {
  FILE *f = _wfopen(path, L"wb");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

/* The temporary file is open while it is written, as by saves. */
static cn_status save(const char *path, const char *text, cn_error *e) {
  cn_file_write w;
  wchar_t name[2000];
  CN_TRY(cn_file_begin(&w, path, e));
  MultiByteToWideChar(CP_UTF8, 0, w.temporary, -1, name, 2000);
  if (wcslen(name) < MAX_PATH) put(name, text);
  return cn_file_commit(&w, e);
}

static void expect(const char *path, const char *text) {
  char *data;
  size_t size;
  cn_error e;
  if (cn_file_read(path, 1000, &data, &size, &e)) fail_msg("%s", e.message);
  assert_string_equal(data, text);
  cn_free(data);
}

static void names_of_any_language(void **state) {
  (void)state;
  cn_error e;
  const char *path = path_of("\xc3\xa4\xe7\x8c\xab\xf0\x9f\x98\x80.bin");
  const wchar_t *wide = wide_path(L"\u00e4\u732b\U0001f600.bin");
  if (save(path, "one", &e)) fail_msg("%s", e.message);
  assert_true(GetFileAttributesW(wide) != INVALID_FILE_ATTRIBUTES);
  assert_true(cn_file_exists(path) && !cn_file_is_folder(path) && cn_file_is_folder(folder));
  expect(path, "one");
  DeleteFileW(wide);
  char *data;
  size_t size;
  assert_int_equal(cn_file_read(path, 9, &data, &size, &e), CORNU_ERR_NOT_FOUND);
  assert_non_null(strstr(e.message, path));
  assert_int_equal(cn_file_read(path_of("none\\at all"), 9, &data, &size, &e), CORNU_ERR_NOT_FOUND);
  assert_int_equal(cn_file_read("a\xff.bin", 9, &data, &size, &e), CORNU_ERR_IO); /* no UTF-8 */
  assert_int_equal(cn_file_read("NUL", 9, &data, &size, &e), CORNU_ERR_IO);
  assert_int_equal(cn_file_read(folder, 9, &data, &size, &e), CORNU_ERR_IO);
}

static void separators_of_both_kinds(void **state) {
  (void)state;
  cn_error e;
  cornu_model *m;
  char path[2000];
  assert_true(folder[1] == ':');
  put(wide_path(L"a.cornu"), "no model");
  snprintf(path, sizeof path, "%s", path_of("a.cornu"));
  for (int slashes = 0; slashes < 2; slashes++) {
    expect(path, "no model");
    assert_int_equal(cornu_model_load(path, NULL, NULL, &m, &e), CORNU_ERR_UNSUPPORTED);
    if (strncmp(e.message, "a.cornu > ", 10) != 0) fail_msg("%s", e.message);
    for (char *c = path; *c; c++)
      if (*c == '\\') *c = '/';
  }
  if (save(path, "two", &e)) fail_msg("%s", e.message);
  expect(path_of("a.cornu"), "two");
  DeleteFileW(wide_path(L"a.cornu"));
}

/* Folders that programs with short paths alone cannot reach. */
static void long_paths(void **state) {
  (void)state;
  enum { DEEP = 6 };
  static wchar_t deep[DEEP + 1][1000];
  char path[2000];
  cn_error e;
  cn_mapping *m;
  swprintf(deep[0], 1000, L"\\\\?\\%ls", wide_folder);
  strcpy(path, folder);
  for (int i = 1; i <= DEEP; i++) {
    swprintf(deep[i], 1000, L"%ls\\%060d", deep[i - 1], i);
    if (!CreateDirectoryW(deep[i], NULL)) fail_msg("folder %d: error %lu", i, GetLastError());
    snprintf(path + strlen(path), 100, "%c%060d", i % 2 ? '/' : '\\', i);
  }
  strcat(path, "/a.bin");
  if (save(path, "", &e) || save(path, "", &e)) fail_msg("%s", e.message); /* anew, and over the old one */
  expect(path, "");
  if (cn_file_map(path, &m, &e)) fail_msg("%s", e.message);
  cn_mapping_drop(m);
  wchar_t file[1100];
  swprintf(file, 1100, L"%ls\\a.bin", deep[DEEP]);
  assert_true(DeleteFileW(file));
  for (int i = DEEP; i > 0; i--) assert_true(RemoveDirectoryW(deep[i]));
}

/* The model goes on with the old content; what stays of it is removed by the next save. */
static void saves_over_mapped_files(void **state) {
  (void)state;
  static char page[4096 - 100]; /* with room behind for a mapping */
  cn_error e;
  cn_mapping *m, *second;
  memset(page, 'p', sizeof page - 1);
  const char *path = path_of("m.bin");
  if (save(path, page, &e) || cn_file_map(path, &m, &e)) fail_msg("%s", e.message);
  assert_true(m->mapped > 0);
  if (save(path, "new", &e)) fail_msg("%s", e.message);
  expect(path, "new");
  assert_memory_equal(m->data, page, sizeof page - 1);
  if (save(path, page, &e) || cn_file_map(path, &second, &e)) fail_msg("%s", e.message);
  if (save(path, "newer", &e)) fail_msg("%s", e.message); /* two old ones in use */
  expect(path, "newer");
  cn_mapping_drop(m);
  cn_mapping_drop(second);
  if (save(path, "newest", &e)) fail_msg("%s", e.message);
  expect(path, "newest");
  assert_int_equal(files_in_folder(), 1);
  DeleteFileW(wide_path(L"m.bin"));
}

static void failed_saves_leave_the_old_file(void **state) {
  (void)state;
  cn_error e;
  const wchar_t *wide = wide_path(L"f.bin");
  put(wide, "old");
  HANDLE h = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL); /* another program */
  assert_int_equal(save(path_of("f.bin"), "new", &e), CORNU_ERR_IO);
  assert_true(strstr(e.message, "f.bin: cannot be replaced") && strstr(e.message, "close it"));
  expect(path_of("f.bin"), "old");
  CloseHandle(h);
  assert_int_equal(files_in_folder(), 1);
  SetFileAttributesW(wide, FILE_ATTRIBUTE_READONLY);
  assert_int_equal(save(path_of("f.bin"), "new", &e), CORNU_ERR_IO);
  assert_non_null(strstr(e.message, "f.bin: is read-only"));
  SetFileAttributesW(wide, FILE_ATTRIBUTE_NORMAL);
  assert_int_equal(save(folder, "new", &e), CORNU_ERR_IO);
  assert_int_equal(save(path_of("none\\f.bin"), "new", &e), CORNU_ERR_NOT_FOUND);
  assert_int_equal(files_in_folder(), 1);
  DeleteFileW(wide);
}

/* What saves left that ended in the midst: after an hour; those of other files stay. */
static void leftovers_are_removed(void **state) {
  (void)state;
  static const wchar_t *const names[] = {L"l.bin.1f-2.tmp", L"l.bin.1f-3.tmp", L"l.bin.1f-2.old", L"ll.bin.1-2.old",
                                        L"l.bin.x.old"};
  cn_error e;
  for (int i = 0; i < 5; i++) put(wide_path(names[i]), "x");
  HANDLE h = CreateFileW(wide_path(names[0]), GENERIC_WRITE, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
  assert_true(SetFileTime(h, NULL, NULL, &(FILETIME){.dwHighDateTime = 30000000}));
  CloseHandle(h);
  if (save(path_of("l.bin"), "new", &e)) fail_msg("%s", e.message);
  for (int i = 0; i < 5; i++) assert_int_equal(DeleteFileW(wide_path(names[i])) != 0, i == 1 || i > 2);
  DeleteFileW(wide_path(L"l.bin"));
}

static void the_clock_is_fine(void **state) {
  (void)state;
  double least = 1;
  for (int i = 0; i < 1000; i++) {
    const double t = cornu_clock();
    double next = t;
    while (next == t) next = cornu_clock();
    assert_true(next > t);
    least = fmin(least, next - t);
  }
  assert_true(least < 1e-5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(names_of_any_language, new_folder, remove_folder),
      cmocka_unit_test_setup_teardown(separators_of_both_kinds, new_folder, remove_folder),
      cmocka_unit_test_setup_teardown(long_paths, new_folder, remove_folder),
      cmocka_unit_test_setup_teardown(saves_over_mapped_files, new_folder, remove_folder),
      cmocka_unit_test_setup_teardown(failed_saves_leave_the_old_file, new_folder, remove_folder),
      cmocka_unit_test_setup_teardown(leftovers_are_removed, new_folder, remove_folder),
      cmocka_unit_test(the_clock_is_fine)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
