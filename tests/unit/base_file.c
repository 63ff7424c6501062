/* Files: bounded reads, parts of files, files in memory, and writes that leave the old file whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>
/* after those */
#include <cmocka.h>

#include "base/file.h"

static char folder[] = "/tmp/cornu-file-XXXXXX", path[100], other[100];

static int new_folder(void **state) {
  (void)state;
  strcpy(folder + strlen(folder) - 6, "XXXXXX");
  if (!mkdtemp(folder)) return 1;
  snprintf(path, sizeof path, "%s/a.bin", folder);
  snprintf(other, sizeof other, "%s/b.bin", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  remove(path);
  remove(other);
  return rmdir(folder) != 0 || cornu_memory_used() != 0; /* a file left behind keeps the folder */
}

static void put(const char *where, const void *data, size_t size) {
  FILE *f = fopen(where, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, size, f), size);
  fclose(f);
}

static int files_in_folder(void) {
  int n = 0;
  DIR *d = opendir(folder);
  for (struct dirent *entry; (entry = readdir(d));) n += entry->d_name[0] != '.';
  closedir(d);
  return n;
}

static void expect_content(const char *where, const char *text) {
  char *data;
  size_t size;
  cn_error e;
  assert_int_equal(cn_file_read(where, 1000, &data, &size, &e), CORNU_OK);
  assert_string_equal(data, text);
  assert_int_equal(size, strlen(text));
  cn_free(data);
}

static void test_reading(void **state) {
  (void)state;
  char *data;
  size_t size;
  cn_error e;
  put(path, "a\0bcd", 5);
  assert_int_equal(cn_file_read(path, 5, &data, &size, &e), CORNU_OK);
  assert_int_equal(size, 5);
  assert_memory_equal(data, "a\0bcd", 6); /* a NUL behind */
  cn_free(data);
  assert_int_equal(cn_file_read(path, 4, &data, &size, &e), CORNU_ERR_LIMIT);
  assert_null(data);
  assert_non_null(strstr(e.message, "a.bin: 5 bytes, the limit is 4"));
  put(path, "", 0);
  assert_int_equal(cn_file_read(path, 0, &data, &size, &e), CORNU_OK);
  assert_true(size == 0 && data[0] == 0);
  cn_free(data);
}

static void test_refused(void **state) {
  (void)state;
  char below[120];
  put(path, "x", 1);
  snprintf(below, sizeof below, "%s/below", path);
  const struct {
    const char *where;
    cn_status status;
    const char *says;
  } cases[] = {
      {other, CORNU_ERR_NOT_FOUND, "b.bin: No such file or directory"},
      {below, CORNU_ERR_NOT_FOUND, "a.bin/below: Not a directory"},
      {folder, CORNU_ERR_IO, ": is a folder"},
      {"/dev/null", CORNU_ERR_IO, "/dev/null: is not a regular file"},
      {"", CORNU_ERR_NOT_FOUND, "No such file or directory"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *data, bytes[4];
    size_t size;
    cn_mapping *m;
    cn_error e = {0};
    assert_int_equal(cn_file_read(cases[i].where, 100, &data, &size, &e), cases[i].status);
    assert_non_null(strstr(e.message, cases[i].says));
    assert_null(data);
    assert_int_equal(cn_file_map(cases[i].where, &m, &e), cases[i].status);
    assert_null(m);
    assert_int_equal(cn_file_peek(cases[i].where, 0, bytes, 4, &size, &e), cases[i].status);
    assert_non_null(strstr(e.message, cases[i].says));
  }
}

static void test_peeking(void **state) {
  (void)state;
  static const struct {
    size_t offset, size;
    const char *got;
  } cases[] = {{0, 4, "0123"}, {3, 2, "34"},  {6, 4, "6789"}, {8, 4, "89"},
               {10, 4, ""},    {1000, 4, ""}, {2, 0, ""},     {0, 15, "0123456789"}};
  put(path, "0123456789", 10);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char bytes[16];
    size_t got = 99;
    assert_int_equal(cn_file_peek(path, cases[i].offset, bytes, cases[i].size, &got, NULL), CORNU_OK);
    assert_int_equal(got, strlen(cases[i].got));
    assert_memory_equal(bytes, cases[i].got, got);
  }
}

static void test_mapping(void **state) {
  (void)state;
  static char page[8192];
  const size_t sizes[] = {0, 1, 4095, 4096, 8192};
  memset(page, 'p', sizeof page);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    cn_mapping *m;
    put(path, page, sizes[i]);
    assert_int_equal(cn_file_map(path, &m, NULL), CORNU_OK);
    assert_int_equal(m->size, sizes[i]);
    assert_memory_equal(m->data, page, sizes[i]);
    for (int k = 0; k < 64; k++) assert_int_equal(m->data[sizes[i] + (size_t)k], 0); /* readable behind the end */
    m->data[0] = 'w';                                                                /* stays in this process */
    cn_mapping *shared = cn_mapping_share(m);
    cn_mapping_drop(m);
    assert_int_equal(shared->data[0], 'w');
    struct stat s;
    assert_true(stat(path, &s) == 0 && s.st_size == (off_t)sizes[i]);
    char first = 'p';
    size_t got;
    assert_int_equal(cn_file_peek(path, 0, &first, 1, &got, NULL), CORNU_OK);
    assert_int_equal(first, 'p');
    cn_mapping_drop(shared);
  }
  cn_mapping_drop(NULL);
  cn_mapping *m;
  assert_int_equal(cn_mapping_of(cn_alloc_data(10), 10, &m, NULL), CORNU_OK);
  assert_int_equal(m->size, 10);
  cn_mapping_drop(cn_mapping_share(m));
  memset(m->data, 0, 10);
  cn_mapping_drop(m);
}

static void test_writing(void **state) {
  (void)state;
  cn_file_write w;
  cn_error e;
  assert_int_equal(cn_file_begin(&w, path, &e), CORNU_OK); /* a new file */
  put(w.temporary, "new", 3);
  assert_false(cn_file_exists(path));
  assert_int_equal(cn_file_commit(&w, &e), CORNU_OK);
  assert_null(w.path);
  expect_content(path, "new");
  assert_int_equal(chmod(path, 0640), 0);
  assert_int_equal(cn_file_begin(&w, path, &e), CORNU_OK); /* replaced, with the old rights */
  put(w.temporary, "newer", 5);
  expect_content(path, "new");
  assert_int_equal(cn_file_commit(&w, &e), CORNU_OK);
  expect_content(path, "newer");
  struct stat s;
  assert_true(stat(path, &s) == 0 && (s.st_mode & 0777) == 0640);
  assert_int_equal(cn_file_begin(&w, path, &e), CORNU_OK); /* given up */
  put(w.temporary, "part", 4);
  cn_file_abandon(&w);
  cn_file_abandon(&w); /* once more does nothing */
  expect_content(path, "newer");
  assert_int_equal(files_in_folder(), 1);
}

/* A link stays one, whether what it leads to is there yet or not; a new file gets the rights that umask leaves. */
static void leave(const char *name, bool old) {
  struct utimbuf times = {time(NULL) - 7200, time(NULL) - 7200};
  put(name, "x", 1);
  if (old) assert_int_equal(utime(name, &times), 0);
}

/* Of processes that are gone; what may be in use or is of another file stays. */
static void test_leftovers(void **state) {
  (void)state;
  static const struct { const char *format; bool old, stays; } files[] = {
      {"%s.%x-0.tmp", true, false}, {"%s.%x-1.tmp.parts", true, false}, {"%s.%x-2.tmp", false, true},
      {"%s.%x-3.tmp.mine", true, true}, {"%s.x%x-4.tmp", true, true}, {"%sb.%x-5.tmp", true, true}};
  cn_file_write w;
  char name[200];
  pid_t gone = fork();
  if (gone == 0) _exit(0);
  assert_int_equal(waitpid(gone, NULL, 0), gone);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snprintf(name, sizeof name, files[i].format, path, (unsigned)gone);
    leave(name, files[i].old);
  }
  char alive[200];
  snprintf(alive, sizeof alive, "%s.%x-6.tmp", path, (unsigned)getppid());
  leave(alive, true);
  assert_int_equal(cn_file_begin(&w, path, NULL), CORNU_OK);
  cn_file_abandon(&w);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snprintf(name, sizeof name, files[i].format, path, (unsigned)gone);
    assert_int_equal(cn_file_exists(name), files[i].stays);
    remove(name);
  }
  assert_true(cn_file_exists(alive));
  remove(alive);
}

static void test_links_and_rights(void **state) {
  (void)state;
  char linked[120], target[120];
  cn_file_write w;
  struct stat s;
  snprintf(linked, sizeof linked, "%s/linked", folder);
  snprintf(target, sizeof target, "%s/target", folder);
  assert_int_equal(symlink("target", linked), 0);
  mode_t mask = umask(027);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(cn_file_begin(&w, linked, NULL), CORNU_OK);
    put(w.temporary, i ? "second" : "first", i ? 6 : 5);
    assert_int_equal(cn_file_commit(&w, NULL), CORNU_OK);
    assert_true(lstat(linked, &s) == 0 && S_ISLNK(s.st_mode));
    assert_true(lstat(target, &s) == 0 && S_ISREG(s.st_mode) && (s.st_mode & 0777) == 0640);
    expect_content(linked, i ? "second" : "first");
  }
  umask(mask);
  assert_int_equal(files_in_folder(), 2);
  remove(linked);
  remove(target);
}

static void test_failing_writes(void **state) {
  (void)state;
  char below[120];
  cn_file_write w;
  cn_error e;
  put(path, "old", 3);
  snprintf(below, sizeof below, "%s/none/x", folder);
  assert_int_equal(cn_file_begin(&w, below, &e), CORNU_ERR_NOT_FOUND);
  assert_true(w.path == NULL && w.temporary == NULL);
  assert_int_equal(cn_file_begin(&w, folder, &e), CORNU_ERR_IO);
  assert_non_null(strstr(e.message, "is not a regular file"));
  assert_int_equal(cn_file_begin(&w, "/dev/null", &e), CORNU_ERR_IO);
  assert_int_equal(cn_file_begin(&w, path, &e), CORNU_OK);
  remove(w.temporary); /* what was written is lost: the old file stays */
  assert_int_equal(cn_file_commit(&w, &e), CORNU_ERR_NOT_FOUND);
  assert_non_null(strstr(e.message, "a.bin: No such file or directory"));
  expect_content(path, "old");
  assert_int_equal(files_in_folder(), 1);
}

static void test_kinds(void **state) {
  (void)state;
  put(path, "", 0);
  assert_true(cn_file_exists(path) && cn_file_exists(folder) && !cn_file_exists(other));
  assert_true(cn_file_is_folder(folder) && !cn_file_is_folder(path) && !cn_file_is_folder(other));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, new_folder, remove_folder)
int main(void) {
  const struct CMUnitTest tests[] = {
      IN_FOLDER(test_reading), IN_FOLDER(test_refused),        IN_FOLDER(test_peeking), IN_FOLDER(test_mapping),
      IN_FOLDER(test_writing), IN_FOLDER(test_failing_writes), IN_FOLDER(test_leftovers), IN_FOLDER(test_links_and_rights), IN_FOLDER(test_kinds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
