/* Files: bounded reads, mappings that are shared. What systems do in their own ways is in system_*.c. */
#include "base/file.h"

#include <string.h>

#include "base/system.h"

static _Thread_local const cn_given_file *given;

void cn_file_give(const cn_given_file *list) { given = list; }

cn_mapping *cn_file_given(const char *path) {
  for (const cn_given_file *f = given; f; f = f->next)
    if (strcmp(f->name, path) == 0) return f->content;
  return NULL;
}

cn_status cn_file_open(const char *path, cn_file *out, cn_error *e) {
  cn_mapping *memory = cn_file_given(path);
  *out = (cn_file){.fd = -1, .path = path, .memory = memory ? cn_mapping_share(memory) : NULL};
  if (memory) return out->size = memory->size, CORNU_OK;
  return cn_system_open(out, e);
}

void cn_file_close(cn_file *f) {
  if (f->fd >= 0) cn_system_close(f);
  cn_mapping_drop(f->memory);
  f->memory = NULL;
  f->fd = -1;
}

static cn_status read_some(const cn_file *f, uint64_t offset, char *data, size_t size, size_t *got, cn_error *e) {
  *got = 0;
  if (f->memory) {
    *got = offset >= f->size ? 0 : size < f->size - offset ? size : (size_t)(f->size - offset);
    memcpy(data, f->memory->data + (*got ? offset : 0), *got);
    return CORNU_OK;
  }
  return cn_system_read(f, offset, data, size, got, e);
}

cn_status cn_file_read_at(const cn_file *f, uint64_t offset, void *data, size_t size, cn_error *e) {
  size_t got;
  CN_TRY(read_some(f, offset, data, size, &got, e));
  return got == size ? CORNU_OK : cn_fail(e, CORNU_ERR_FORMAT, "the file ends too early");
}

cn_status cn_file_read(const char *path, size_t max, char **data, size_t *size, cn_error *e) {
  cn_file f;
  *data = NULL;
  CN_TRY(cn_file_open(path, &f, e));
  cn_status status = CORNU_OK;
  if (f.size > max)
    status = cn_fail(e, CORNU_ERR_LIMIT, "%s: %llu bytes, the limit is %zu", path, (unsigned long long)f.size, max);
  if (!status && !(*data = cn_alloc((size_t)f.size + 1))) status = cn_no_memory(e);
  if (!status) status = read_some(&f, 0, *data, (size_t)f.size, size, e);
  if (!status) (*data)[*size] = 0;
  else cn_free(*data), *data = NULL;
  cn_file_close(&f);
  return status;
}

cn_status cn_mapping_read(const cn_file *f, cn_mapping *m, cn_error *e) {
  enum { BEHIND = 64 };
  size_t got = 0;
  m->mapped = 0;
  m->data = cn_alloc_data(m->size);
  if (!m->data) return cn_no_memory(e);
  memset(m->data + m->size, 0, BEHIND);
  CN_TRY(cn_system_read(f, 0, m->data, m->size, &got, e));
  return got == m->size ? CORNU_OK : cn_fail(e, CORNU_ERR_FORMAT, "the file ends too early");
}

cn_status cn_file_map_open(const cn_file *f, cn_mapping **out, cn_error *e) {
  if (f->memory) return *out = cn_mapping_share(f->memory), CORNU_OK;
  *out = NULL;
  if (f->size > SIZE_MAX / 2) return cn_no_memory(e);
  cn_mapping *m = cn_calloc(1, sizeof *m);
  if (!m) return cn_no_memory(e);
  m->references = 1;
  m->size = (size_t)f->size;
  cn_status status = cn_system_map(f, m, e);
  if (status) cn_mapping_drop(m);
  else *out = m;
  return status;
}

cn_status cn_file_map(const char *path, cn_mapping **out, cn_error *e) {
  cn_file f;
  *out = NULL;
  CN_TRY(cn_file_open(path, &f, e));
  cn_status status = cn_file_map_open(&f, out, e);
  cn_file_close(&f);
  return status;
}

cn_status cn_mapping_part(cn_mapping *whole, size_t offset, size_t size, cn_mapping **out, cn_error *e) {
  cn_mapping *m = *out = cn_calloc(1, sizeof *m);
  if (!m) return cn_no_memory(e);
  m->references = 1;
  m->data = whole->data + offset;
  m->size = size;
  m->mapped = whole->mapped;
  m->whole = cn_mapping_share(whole);
  return CORNU_OK;
}

cn_status cn_mapping_of(char *data, size_t size, cn_mapping **out, cn_error *e) {
  *out = cn_calloc(1, sizeof **out);
  if (!*out) {
    cn_free(data);
    return cn_no_memory(e);
  }
  (*out)->references = 1;
  (*out)->data = data;
  (*out)->size = size;
  return CORNU_OK;
}

static cn_status fill(const cornu_source *s, char *data, cn_error *e) {
  if (s->data) return memcpy(data, s->data, s->size), CORNU_OK;
  if (s->read(s->user, 0, data, s->size)) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_CALLBACK, "%s: the source cannot be read", s->name);
}

cn_status cn_file_take(const cornu_source *host, cn_given_file *out, cn_error *e) {
  cornu_source s = {0};
  if (!host) return cn_fail(e, CORNU_ERR_ARGUMENT, "the source is NULL");
  if (host->struct_size < sizeof host->struct_size)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "struct_size of the source is %zu: set it to sizeof(cornu_source)",
                   host->struct_size);
  memcpy(&s, host, host->struct_size < sizeof s ? host->struct_size : sizeof s);
  if (!s.name || !*s.name || *s.name == '{')
    return cn_fail(e, CORNU_ERR_ARGUMENT, "a source needs a name, which does not begin with \"{\"");
  if (!s.data && !s.read) return cn_fail(e, CORNU_ERR_ARGUMENT, "%s: the source has neither data nor read", s.name);
  char *data = cn_alloc_data(s.size ? s.size : 1);
  if (!data) return cn_no_memory(e);
  const cn_status status = fill(&s, data, e);
  if (status) return cn_free(data), status;
  *out = (cn_given_file){.name = s.name};
  return cn_mapping_of(data, s.size, &out->content, e);
}

cn_mapping *cn_mapping_share(cn_mapping *m) {
  atomic_fetch_add_explicit(&m->references, 1, memory_order_relaxed);
  return m;
}

void cn_mapping_drop(cn_mapping *m) {
  if (!m || atomic_fetch_sub_explicit(&m->references, 1, memory_order_acq_rel) > 1) return;
  if (m->whole) cn_mapping_drop(m->whole);
  else if (m->data && m->mapped) cn_system_unmap(m);
  else cn_free(m->data);
  cn_free(m);
}

cn_status cn_file_peek(const char *path, size_t offset, void *data, size_t size, size_t *got, cn_error *e) {
  cn_file f;
  CN_TRY(cn_file_open(path, &f, e));
  cn_status status = read_some(&f, offset, data, size, got, e);
  cn_file_close(&f);
  return status;
}

bool cn_file_is_folder(const char *path) { return !cn_file_given(path) && cn_system_look(path) == CN_PATH_FOLDER; }
bool cn_file_exists(const char *path) { return cn_file_given(path) || cn_system_look(path) != CN_PATH_NOTHING; }

static bool separates(char c) {
#if defined(_WIN32)
  if (c == '\\' || c == ':') return true;
#endif
  return c == '/';
}

const char *cn_base_name(const char *path) {
  const char *name = path;
  for (const char *p = path; *p; p++)
    if (separates(*p) && p[1]) name = p + 1;
  return name;
}
