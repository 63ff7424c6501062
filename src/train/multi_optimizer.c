/* MultiOptimizer: variables are shared out among several optimizers by patterns of their names. */
#include <string.h>

#include "base/text.h"
#include "train/optimizer.h"
#include "train/pattern.h"

enum { MOST_INNER = 256 };

typedef struct settings { cn_optimizer_settings common; const cn_value *map; } settings;

static const cn_field fields[] = {
    {.name = "optimizer_map", .kind = CN_F_VALUE, .offset = offsetof(settings, map),
     .help = "an OptimizerMap: default_optimizer, and optimizer_map with others by patterns (\"encoder/.*\")"},
    {.name = "loss_scale_factor", .kind = CN_F_FLOAT, .offset = offsetof(cn_optimizer_settings, loss_scale_factor),
     .standard = "null", .min = 1e-30, .max = 1e30, .help = "in the place of that of each of them"},
    {.name = "name", .kind = CN_F_STRING, .offset = offsetof(cn_optimizer_settings, name), .standard = "null",
     .help = "of the optimizer"},
    {0}};

const cn_optimizer_type cn_optimizer_multi = {
    .name = "MultiOptimizer",
    .help = "Shares variables out among optimizers by their names, such as small steps for layers that are fine-tuned",
    .settings_size = sizeof(settings),
    .fields = fields,
};

/* Names as Keras makes them up: "adam", "adam_1". */
static bool name_it(cn_optimizer *o, int index, cn_arena *arena) {
  cn_optimizer_settings *s = o->inner[index].settings;
  char name[64];
  int same = 0;
  if (s->name) return true;
  for (int i = 0; i < index; i++) same += o->inner[i].type == o->inner[index].type;
  cn_snake_case(o->inner[index].type->name, name, sizeof name);
  s->name = same ? cn_arena_printf(arena, "%s_%d", name, same) : cn_arena_string(arena, name);
  return s->name != NULL;
}

static cn_status add(cn_optimizer *o, const char *pattern, const cn_value *v, cn_arena *arena, cn_error *e) {
  cn_optimizer *inner = &o->inner[o->n_inner];
  CN_TRY(cn_optimizer_parse(v, arena, inner, e));
  if (inner->n_inner || inner->loss_scale.on || cn_optimizer_common(inner)->lineage != CN_KERAS_3)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "none that wraps another, or of an older Keras, can be in it");
  if (pattern && !cn_pattern_valid(pattern))
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "a pattern is a regular expression without counts, references and what "
                                             "looks around");
  o->patterns[o->n_inner] = pattern;
  return name_it(o, o->n_inner++, arena) ? CORNU_OK : cn_no_memory(e);
}

cn_status cn_optimizer_parse_multi(cn_optimizer *o, cn_arena *arena, cn_error *e) {
  const cn_value *map = cn_value_find(((const settings *)o->settings)->map, "config");
  const cn_value *others = cn_value_find(map, "optimizer_map"), *rest = cn_value_find(map, "default_optimizer");
  const int n = cn_value_is(others, CORNU_DICT) ? others->count : 0;
  if (!rest || (others && !cn_value_is_null(others) && !cn_value_is(others, CORNU_DICT)) || n > MOST_INNER)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"optimizer_map\" is no OptimizerMap of at most %d patterns", MOST_INNER);
  o->inner = cn_arena_array(arena, (size_t)n + 1, sizeof *o->inner);
  o->patterns = cn_arena_array(arena, (size_t)n + 1, sizeof *o->patterns);
  if (!o->inner || !o->patterns) return cn_no_memory(e);
  for (int i = 0; i < n; i++) {
    const char *pattern = cn_arena_string(arena, others->keys[i]);
    cn_status status = pattern ? add(o, pattern, others->items[i], arena, e) : cn_no_memory(e);
    if (status) return cn_at(e, status, "\"%s\"", others->keys[i]);
  }
  cn_status status = add(o, NULL, rest, arena, e);
  return status ? cn_at(e, status, "default_optimizer") : CORNU_OK;
}

void cn_optimizer_order(cn_optimizer *o, const cn_value *training_config) {
  const cn_value *v = cn_value_find(training_config, "optimizer_config");
  if (!v) v = cn_value_find(training_config, "optimizer");
  v = cn_value_find(cn_value_find(cn_value_find(v, "config"), "optimizer_map"), "config");
  v = cn_value_find(v, "optimizer_map");
  for (int k = 0, done = 0; cn_value_is(v, CORNU_DICT) && k < v->count; k++)
    for (int i = done; i < o->n_inner - 1; i++) {
      if (strcmp(o->patterns[i], v->keys[k]) != 0) continue;
      const cn_optimizer inner = o->inner[i];
      const char *pattern = o->patterns[i];
      o->inner[i] = o->inner[done], o->patterns[i] = o->patterns[done];
      o->inner[done] = inner, o->patterns[done++] = pattern;
      break;
    }
}

cn_status cn_optimizer_choose(const cn_optimizer *o, const char *path, int *out, cn_error *e) {
  const int rest = o->n_inner - 1;
  *out = rest < 0 ? 0 : rest;
  for (int i = 0; i < rest; i++)
    if (strcmp(o->patterns[i], path) == 0) return *out = i, CORNU_OK;
  for (int i = 0; i < rest; i++) {
    if (!cn_pattern_matches(o->patterns[i], path)) continue;
    if (*out != rest)
      return cn_fail(e, CORNU_ERR_ARGUMENT, "%s: two patterns of the optimizer match, \"%s\" and \"%s\"", path,
                     o->patterns[*out], o->patterns[i]);
    *out = i;
  }
  return CORNU_OK;
}
