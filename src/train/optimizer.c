/* Optimizers by name, with their settings. */
#include "train/optimizer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

static bool is_word(const char *words, const char *name, size_t length) {
  for (const char *w = words; w && *w;) {
    const size_t n = strcspn(w, " ");
    if (n == length && strncasecmp(w, name, n) == 0) return true;
    w += n + (w[n] == ' ');
  }
  return false;
}

static const cn_optimizer_type *find(const char *name) {
  const char *mark = strrchr(name, '>');
  if (mark) name = mark + 1;
  for (int i = 0; i < cn_optimizer_type_total; i++) {
    const cn_optimizer_type *type = cn_optimizer_types[i];
    if (is_word(type->name, name, strlen(name)) || is_word(type->aliases, name, strlen(name))) return type;
  }
  return NULL;
}

static int count_words(const char *words) {
  int n = 0;
  for (const char *w = words; w && *w; n++) {
    w += strcspn(w, " ");
    w += *w == ' ';
  }
  return n;
}

cn_status cn_optimizer_parse(const cn_value *v, cn_arena *arena, cn_optimizer *out, cn_error *e) {
  const char *name = cn_value_str(v) ? cn_value_str(v) : cn_value_str(cn_value_find(v, "class_name"));
  if (!name) return cn_fail(e, CORNU_ERR_ARGUMENT, "an optimizer is a name or {class_name, config}");
  *out = (cn_optimizer){.type = find(name)};
  if (!out->type) {
    char names[512] = "";
    for (int i = 0; i < cn_optimizer_type_total; i++)
      snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "", cn_optimizer_types[i]->name);
    return cn_fail(e, CORNU_ERR_NOT_FOUND, "no optimizer \"%s\": there are %s", name, names);
  }
  cn_value *config = cn_value_copy(arena, cn_value_str(v) ? NULL : cn_value_find(v, "config"));
  out->settings = cn_arena_alloc(arena, out->type->settings_size + 1);
  if (!out->settings || (!config && !cn_value_str(v))) return cn_no_memory(e);
  cn_status status = cn_fields_parse(out->type->fields, config, out->settings, "name", NULL, arena, e);
  if (status) return cn_at(e, status, "%s", out->type->name);
  out->rate = *(const double *)out->settings;
  out->slots = count_words(out->type->slots);
  return CORNU_OK;
}
