/* YAML through libyaml's events. */
#include "formats/yaml.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/deadline.h"

#define STANDARD "tag:yaml.org,2002:"

typedef struct reader {
  yaml_parser_t parser;
  cn_arena *arena;
  cn_map anchors;      /* name -> value; "unfinished" while its value is being read */
  int64_t copies;      /* values that aliases may still add */
  int depth;
  cn_error *e;
} reader;

static cn_value unfinished;

static cn_status fail_at(reader *r, const yaml_event_t *at, const char *what) {
  return cn_fail(r->e, CORNU_ERR_FORMAT, "YAML, line %zu, column %zu: %s", at->start_mark.line + 1,
                 at->start_mark.column + 1, what);
}

/* The caller deletes the event. */
static cn_status next(reader *r, yaml_event_t *event) {
  CN_TRY(cn_check_time(r->e));
  if (yaml_parser_parse(&r->parser, event)) return CORNU_OK;
  const yaml_parser_t *p = &r->parser;
  if (p->error == YAML_MEMORY_ERROR) return cn_no_memory(r->e);
  return cn_fail(r->e, CORNU_ERR_FORMAT, "YAML, line %zu, column %zu: %s", p->problem_mark.line + 1,
                 p->problem_mark.column + 1, p->problem ? p->problem : "not valid here");
}

/* ---- Tags ---- */

/* "tag:yaml.org,2002:python/tuple" as "python/tuple"; "!" says nothing but that plain text is text. */
static const char *tag_name(const yaml_char_t *tag) {
  const char *name = (const char *)tag;
  if (!name || strcmp(name, "!") == 0) return "";
  return strncmp(name, STANDARD, strlen(STANDARD)) == 0 ? name + strlen(STANDARD) : name;
}

static cn_status apply_tag(reader *r, const yaml_event_t *at, const char *tag, cn_value **v) {
  cn_value *tagged = NULL;
  if (!*tag) return CORNU_OK;
  cn_status status = cn_yaml_python(r->arena, tag, *v, &tagged, r->e);
  if (status) return cn_at(r->e, status, "YAML, line %zu", at->start_mark.line + 1);
  if (tagged) return *v = tagged, CORNU_OK;
  return cn_fail(r->e, CORNU_ERR_UNSUPPORTED,
                 "YAML, line %zu: the tag \"%.80s\" asks for a Python object that Cornu does not know; no code of a file "
                 "is ever run", at->start_mark.line + 1, tag);
}

/* ---- Anchors ---- */

static int64_t count_values(const cn_value *v) {
  int64_t n = 1;
  if (v->kind != CORNU_LIST && v->kind != CORNU_DICT) return n;
  for (int i = 0; i < v->count; i++) n += count_values(v->items[i]);
  return n;
}

static int levels(const cn_value *v) {
  int most = 0;
  if (v->kind != CORNU_LIST && v->kind != CORNU_DICT) return 0;
  for (int i = 0; i < v->count; i++) {
    int below = levels(v->items[i]);
    if (below > most) most = below;
  }
  return most + 1;
}

static cn_status set_anchor(reader *r, const yaml_char_t *anchor, cn_value *v) {
  if (!anchor) return CORNU_OK;
  const char *name = cn_arena_string(r->arena, (const char *)anchor);
  return name && cn_map_set(&r->anchors, name, v) ? CORNU_OK : cn_no_memory(r->e);
}

static cn_status read_alias(reader *r, const yaml_event_t *event, cn_value **out) {
  const cn_value *v = cn_map_get(&r->anchors, (const char *)event->data.alias.anchor);
  if (!v) return fail_at(r, event, "an alias of an unknown anchor");
  if (v == &unfinished) return fail_at(r, event, "an alias within the value that it stands for");
  r->copies -= count_values(v);
  if (r->copies < 0 || r->depth + levels(v) > cn_limits.max_depth)
    return cn_fail(r->e, CORNU_ERR_LIMIT, "YAML, line %zu: aliases of aliases make the text larger than it may be",
                   event->start_mark.line + 1);
  *out = cn_value_copy(r->arena, v);
  return *out ? CORNU_OK : cn_no_memory(r->e);
}

/* ---- Values ---- */

static cn_status read_value(reader *r, const yaml_event_t *event, cn_value **out);

static cn_status read_scalar(reader *r, const yaml_event_t *event, cn_value **out) {
  const char *text = (const char *)event->data.scalar.value, *tag = tag_name(event->data.scalar.tag);
  size_t length = event->data.scalar.length;
  if (strcmp(tag, "binary") == 0) {
    *out = cn_yaml_binary(r->arena, text, length);
    return *out ? CORNU_OK : fail_at(r, event, "text of base 64 expected");
  }
  bool plain = !event->data.scalar.tag && event->data.scalar.plain_implicit;
  *out = plain ? cn_yaml_plain(r->arena, text, length) : cn_value_bytes(r->arena, text, length);
  return *out ? apply_tag(r, event, tag, out) : cn_no_memory(r->e);
}

/* Reads values up to the event `end`; *last: that was it. The caller deletes the event unless it was the last. */
static cn_status next_item(reader *r, yaml_event_type_t end, yaml_event_t *event, bool *last) {
  CN_TRY(next(r, event));
  *last = event->type == end;
  if (*last) yaml_event_delete(event);
  return CORNU_OK;
}

static cn_status read_items(reader *r, cn_value *list) {
  for (;;) {
    yaml_event_t event;
    cn_value *item = NULL;
    bool last;
    CN_TRY(next_item(r, YAML_SEQUENCE_END_EVENT, &event, &last));
    if (last) return CORNU_OK;
    cn_status status = read_value(r, &event, &item);
    yaml_event_delete(&event);
    CN_TRY(status);
    if (!cn_value_push(r->arena, list, item)) return cn_no_memory(r->e);
  }
}

/* Whole numbers are keys in Python, and texts in JSON. */
static cn_status key_text(reader *r, const yaml_event_t *at, const cn_value *key, const char **out) {
  if (key->kind == CORNU_INT) *out = cn_arena_printf(r->arena, "%lld", (long long)key->i);
  else if (key->kind == CORNU_STRING && strlen(key->s) == (size_t)key->count) *out = key->s;
  else return fail_at(r, at, "a key that is text expected");
  return *out ? CORNU_OK : cn_no_memory(r->e);
}

/* "<<: *defaults": what the dict itself does not have comes from there. */
static cn_status merge(reader *r, const yaml_event_t *at, cn_value *dict, cn_map *index, cn_value *from) {
  if (from->kind == CORNU_LIST) {
    for (int i = 0; i < from->count; i++) {
      if (from->items[i]->kind != CORNU_DICT) return fail_at(r, at, "a mapping to merge expected");
      CN_TRY(merge(r, at, dict, index, from->items[i]));
    }
    return CORNU_OK;
  }
  if (from->kind != CORNU_DICT) return fail_at(r, at, "a mapping to merge expected");
  for (int i = 0; i < from->count; i++)
    if (!cn_value_find(dict, from->keys[i]) &&
        !cn_value_add(r->arena, dict, index, from->keys[i], from->items[i])) return cn_no_memory(r->e);
  return CORNU_OK;
}

static bool is_merge(const yaml_event_t *key) {
  return key->type == YAML_SCALAR_EVENT && !key->data.scalar.tag && key->data.scalar.plain_implicit &&
      strcmp((const char *)key->data.scalar.value, "<<") == 0;
}

static cn_status read_member(reader *r, const yaml_event_t *at, cn_value *dict, cn_map *index, cn_value *merged) {
  yaml_event_t event;
  cn_value *key = NULL, *item = NULL;
  const char *name = NULL;
  bool merging = is_merge(at);
  CN_TRY(read_value(r, at, &key));
  CN_TRY(key_text(r, at, key, &name));
  CN_TRY(next(r, &event));
  cn_status status = read_value(r, &event, &item);
  yaml_event_delete(&event);
  CN_TRY(status);
  bool added = merging ? cn_value_push(r->arena, merged, item) : cn_value_add(r->arena, dict, index, name, item);
  return added ? CORNU_OK : cn_no_memory(r->e);
}

static cn_status read_members(reader *r, const yaml_event_t *at, cn_value *dict, cn_map *index) {
  cn_value merged = {.kind = CORNU_LIST};
  for (;;) {
    yaml_event_t event;
    bool last;
    CN_TRY(next_item(r, YAML_MAPPING_END_EVENT, &event, &last));
    if (last) return merge(r, at, dict, index, &merged);
    cn_status status = read_member(r, &event, dict, index, &merged);
    yaml_event_delete(&event);
    CN_TRY(status);
  }
}

static cn_status read_list(reader *r, const yaml_event_t *event, cn_value **out) {
  CN_TRY(set_anchor(r, event->data.sequence_start.anchor, &unfinished));
  *out = cn_value_new(r->arena, CORNU_LIST);
  if (!*out) return cn_no_memory(r->e);
  CN_TRY(read_items(r, *out));
  return apply_tag(r, event, tag_name(event->data.sequence_start.tag), out);
}

static cn_status read_dict(reader *r, const yaml_event_t *event, cn_value **out) {
  cn_map index = {0};
  CN_TRY(set_anchor(r, event->data.mapping_start.anchor, &unfinished));
  *out = cn_value_new(r->arena, CORNU_DICT);
  if (!*out) return cn_no_memory(r->e);
  cn_status status = read_members(r, event, *out, &index);
  cn_map_free(&index);
  return status ? status : apply_tag(r, event, tag_name(event->data.mapping_start.tag), out);
}

/* A value of which `event` is the beginning. */
static cn_status read_value(reader *r, const yaml_event_t *event, cn_value **out) {
  cn_status status;
  const yaml_char_t *anchor = NULL;
  if (r->depth >= cn_limits.max_depth)
    return cn_fail(r->e, CORNU_ERR_LIMIT, "YAML: nested more than %d levels deep", cn_limits.max_depth);
  r->depth++;
  switch (event->type) {
    case YAML_ALIAS_EVENT: status = read_alias(r, event, out); break;
    case YAML_SCALAR_EVENT: status = read_scalar(r, event, out); anchor = event->data.scalar.anchor; break;
    case YAML_SEQUENCE_START_EVENT: status = read_list(r, event, out); anchor = event->data.sequence_start.anchor; break;
    case YAML_MAPPING_START_EVENT: status = read_dict(r, event, out); anchor = event->data.mapping_start.anchor; break;
    default: status = fail_at(r, event, "a value expected"); break;
  }
  r->depth--;
  return status ? status : set_anchor(r, anchor, *out);
}

/* ---- Documents ---- */

static cn_status expect(reader *r, yaml_event_type_t type, const char *what) {
  yaml_event_t event;
  CN_TRY(next(r, &event));
  cn_status status = event.type == type ? CORNU_OK : fail_at(r, &event, what);
  yaml_event_delete(&event);
  return status;
}

static cn_status read_document(reader *r, cn_value **out) {
  yaml_event_t event;
  CN_TRY(expect(r, YAML_STREAM_START_EVENT, "a text expected"));
  CN_TRY(expect(r, YAML_DOCUMENT_START_EVENT, "the text is empty"));
  CN_TRY(next(r, &event));
  cn_status status = read_value(r, &event, out);
  yaml_event_delete(&event);
  CN_TRY(status);
  CN_TRY(expect(r, YAML_DOCUMENT_END_EVENT, "the end of the document expected"));
  return expect(r, YAML_STREAM_END_EVENT, "more than one document");
}

cn_status cn_yaml_read(cornu_tree *tree, const char *text, size_t length, cn_value **out, cn_error *e) {
  cn_value *v = NULL;
  *out = NULL;
  if (length > cn_limits.max_text_bytes)
    return cn_fail(e, CORNU_ERR_LIMIT, "the YAML text has %zu bytes, the limit is %zu", length,
                   cn_limits.max_text_bytes);
  reader r = {.arena = &tree->arena, .copies = 100000 + (int64_t)length, .e = e};
  if (!yaml_parser_initialize(&r.parser)) return cn_no_memory(e);
  yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, length);
  cn_status status = read_document(&r, &v);
  yaml_parser_delete(&r.parser);
  cn_map_free(&r.anchors);
  if (!status) *out = v;
  return status;
}
