/* Optimizers by name, with their settings. */
#include "train/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "train/schedule.h"

#define COMMON(member) offsetof(cn_optimizer_settings, member)

/* Keras 3's. learning_rate has a default for each optimizer. */
static const cn_field common[] = {
    {.name = "weight_decay", .kind = CN_F_FLOAT, .offset = COMMON(weight_decay), .standard = "null", .min = 0,
     .max = 1e30, .help = "part of a variable that is taken from it in each step, times the rate"},
    {.name = "clipnorm", .kind = CN_F_FLOAT, .offset = COMMON(clipnorm), .standard = "null", .min = 0, .max = 1e30,
     .help = "the most that the norm of each gradient may be"},
    {.name = "clipvalue", .kind = CN_F_FLOAT, .offset = COMMON(clipvalue), .standard = "null", .min = 0, .max = 1e30,
     .help = "the most that an element of a gradient may be"},
    {.name = "global_clipnorm", .kind = CN_F_FLOAT, .offset = COMMON(global_clipnorm), .standard = "null", .min = 0,
     .max = 1e30, .help = "the most that the norm of all gradients together may be"},
    {.name = "use_ema", .kind = CN_F_BOOL, .offset = COMMON(use_ema), .standard = "false",
     .help = "keeps moving averages of the variables, which take their place at the end"},
    {.name = "ema_momentum", .kind = CN_F_FLOAT, .offset = COMMON(ema_momentum), .standard = "0.99", .min = 0, .max = 1,
     .help = "how much of the averages stays in a step"},
    {.name = "ema_overwrite_frequency", .kind = CN_F_INT, .offset = COMMON(ema_overwrite_frequency), .standard = "null",
     .min = 1, .max = 1e15, .help = "steps after which the averages take the place of the variables"},
    {.name = "loss_scale_factor", .kind = CN_F_FLOAT, .offset = COMMON(loss_scale_factor), .standard = "null",
     .min = 1e-30, .max = 1e30,
     .help = "the loss is multiplied by it on the way back, and the gradients are divided by it again"},
    {.name = "gradient_accumulation_steps", .kind = CN_F_INT, .offset = COMMON(gradient_accumulation_steps),
     .standard = "null", .min = 2, .max = 1e9, .help = "batches whose mean gradient makes a step"},
    {.name = "name", .kind = CN_F_STRING, .offset = COMMON(name), .standard = "null", .help = "of the optimizer"},
    {.name = "exclude_from_weight_decay", .kind = CN_F_VALUE, .offset = COMMON(exclude_from_weight_decay),
     .standard = "null", .help = "{\"bias\", …}: variables with one of these in their names keep all of it"},
    {.name = "decay", .kind = CN_F_FLOAT, .offset = COMMON(decay), .standard = "null", .min = 0, .max = 1e30,
     .help = "Keras 1 and 2: the rate is divided by 1 + decay * steps"},
    {.name = "jit_compile", .kind = CN_F_IGNORED, .standard = "false", .help = "has no effect"},
    {.name = "is_legacy_optimizer", .kind = CN_F_IGNORED, .standard = "false", .help = "tells whose rule it is"},
};
/* Of these, those that a config of Keras 3 does not hold. */
static const char older_common[] = "exclude_from_weight_decay decay jit_compile is_legacy_optimizer";

const char *cn_plain_class(const char *name) {
  const char *mark = strrchr(name, '>'), *dot = strrchr(name, '.');
  if (dot > mark) mark = dot;
  return mark ? mark + 1 : name;
}

static bool is_word(const char *words, const char *name, size_t length) {
  for (const char *w = words; w && *w;) {
    const size_t n = strcspn(w, " ");
    if (n == length && strncasecmp(w, name, n) == 0) return true;
    w += n + (w[n] == ' ');
  }
  return false;
}

const cn_optimizer_type *cn_optimizer_find(const char *name) {
  name = cn_plain_class(name);
  for (int i = 0; i < cn_optimizer_type_total; i++) {
    const cn_optimizer_type *type = cn_optimizer_types[i];
    if (is_word(type->name, name, strlen(name)) || is_word(type->aliases, name, strlen(name))) return type;
  }
  return NULL;
}

static cn_status unknown(const char *name, cn_error *e) {
  char names[512] = "", near[80];
  for (int i = 0; i < cn_optimizer_type_total; i++)
    snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? " " : "", cn_optimizer_types[i]->name);
  const bool is_near = cn_nearest_name(name, names, near, sizeof near);
  return cn_fail(e, CORNU_ERR_NOT_FOUND, "no optimizer \"%s\" (there are: %s)%s%s%s", name, names,
                 is_near ? ": did you mean \"" : "", is_near ? near : "", is_near ? "\"?" : "");
}

/* ---- fields ---- */

static bool is_own(const cn_optimizer_type *type, const cn_field *f) {
  return cn_field_find(type->fields, f->name) != NULL;
}

/* Those that wrap another one have none of the common ones but the name. */
static bool wraps(const cn_optimizer_type *type) { return !type->update && !type->update_all; }

/* The i-th: its own ones first. */
static const cn_field *field_at(const cn_optimizer_type *type, int i) {
  const int own = cn_field_count(type->fields);
  if (i < 0 || i < own) return i < 0 ? NULL : &type->fields[i];
  for (int k = 0; k < CN_COUNT(common) && !wraps(type); k++)
    if (!is_own(type, &common[k]) && i-- == own) return &common[k];
  return NULL;
}

static cn_field *all_fields(const cn_optimizer_type *type, cn_arena *arena) {
  int n = 0;
  while (field_at(type, n)) n++;
  cn_field *fields = cn_arena_array(arena, (size_t)n + 1, sizeof *fields);
  for (int i = 0; i < n && fields; i++) fields[i] = *field_at(type, i);
  return fields;
}

static bool is_older(const cn_optimizer_type *type, const cn_field *f) {
  return cn_word_in(type->older, f->name, NULL) || (!is_own(type, f) && cn_word_in(older_common, f->name, NULL));
}

/* ---- parsing ---- */

static cn_lineage lineage_of(const cn_value *v, const cn_value *config) {
  const cn_value *legacy = cn_value_find(config, "is_legacy_optimizer");
  const char *module = cn_value_str(cn_value_find(v, "module"));
  if ((module && strstr(module, "legacy")) || (cn_value_is(legacy, CORNU_BOOL) && legacy->b)) return CN_TF_LEGACY;
  if (legacy || cn_value_find(config, "jit_compile")) return CN_TF_KERAS;
  if (!cn_value_find(config, "decay") && !cn_value_find(config, "schedule_decay")) return CN_KERAS_3;
  if (cn_value_find(config, "name")) return CN_TF_LEGACY;
  return cn_value_find(config, "lr") ? CN_KERAS_1 : CN_KERAS_2;
}

static cn_status check_common(const cn_optimizer_settings *s, cn_error *e) {
  const int clips = !isnan(s->clipnorm) + !isnan(s->clipvalue) + !isnan(s->global_clipnorm);
  if (clips > 1 && s->lineage == CN_KERAS_3)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "only one of \"clipnorm\", \"clipvalue\" and \"global_clipnorm\" may be given");
  const cn_value *names = s->exclude_from_weight_decay;
  bool fine = cn_value_is_null(names) || cn_value_is(names, CORNU_LIST);
  for (int i = 0; fine && names && i < names->count; i++) fine = cn_value_str(names->items[i]) != NULL;
  return fine ? CORNU_OK
              : cn_fail(e, CORNU_ERR_ARGUMENT, "\"exclude_from_weight_decay\" is no list of parts of names");
}

static cn_status parse_rate(cn_optimizer *o, cn_arena *arena, cn_error *e) {
  const cn_value *rate = cn_optimizer_common(o)->learning_rate;
  if (cn_value_is(rate, CORNU_DICT)) return cn_schedule_parse(rate, arena, &o->schedule, e);
  if (cn_value_number(rate, &o->rate) && o->rate >= 0) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "\"learning_rate\" is %s, expected a number >= 0 or a schedule",
                 cn_value_show(rate, (char[80]){0}, 80));
}

static cn_status parse_inner(const cn_optimizer *outer, cn_arena *arena, cn_optimizer *out, cn_error *e) {
  const cn_loss_scale_settings *w = outer->settings;
  CN_TRY(cn_optimizer_parse(w->inner, arena, out, e));
  if (out->loss_scale.on || out->n_inner)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"inner_optimizer\" is a %s", out->n_inner ? out->type->name : "LossScaleOptimizer, too");
  out->loss_scale = (cn_loss_scale){.on = true, .name = w->name, .scale = w->scale, .growth = w->growth};
  return CORNU_OK;
}

static cn_status parse_settings(const cn_value *v, cn_arena *arena, cn_optimizer *out, cn_error *e) {
  const cn_value *given = cn_value_str(v) ? NULL : cn_value_find(v, "config");
  if (given && !cn_value_is(given, CORNU_DICT))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "\"config\" is %s, expected its settings by name",
                   cn_value_show(given, (char[80]){0}, 80));
  out->config = cn_value_copy(arena, given);
  out->settings = cn_arena_alloc(arena, out->type->settings_size + 1);
  const cn_field *fields = all_fields(out->type, arena);
  if (!out->settings || !fields || (given && !out->config)) return cn_no_memory(e);
  CN_TRY(cn_fields_parse(fields, out->config, out->settings, NULL, NULL, arena, e));
  if (wraps(out->type)) return CORNU_OK;
  cn_optimizer_settings *s = out->settings;
  s->lineage = lineage_of(v, out->config);
  CN_TRY(check_common(s, e));
  CN_TRY(parse_rate(out, arena, e));
  while (out->type->slots && out->type->slots[out->slots].name) out->slots++;
  out->scalar = 1;
  return CORNU_OK;
}

cn_status cn_optimizer_parse(const cn_value *v, cn_arena *arena, cn_optimizer *out, cn_error *e) {
  const char *name = cn_value_str(v) ? cn_value_str(v) : cn_value_str(cn_value_find(v, "class_name"));
  if (!name) return cn_fail(e, CORNU_ERR_ARGUMENT, "an optimizer is a name or {class_name, config}");
  cn_optimizer o = {.type = cn_optimizer_find(name)};
  if (!o.type) return unknown(name, e);
  cn_status status = parse_settings(v, arena, &o, e);
  if (status) return cn_at(e, status, "%s", o.type->name);
  if (o.type == &cn_optimizer_multi) status = cn_optimizer_parse_multi(&o, arena, e);
  if (wraps(o.type) && o.type != &cn_optimizer_multi) status = parse_inner(&o, arena, out, e);
  else *out = o;
  return status ? cn_at(e, status, "%s", o.type->name) : CORNU_OK;
}

/* ---- the rate ---- */

double cn_optimizer_rate(const cn_optimizer *o, int64_t iterations) {
  const cn_optimizer_settings *s = cn_optimizer_common(o);
  double rate = o->schedule ? o->schedule->type->rate(o->schedule->settings, (double)iterations) : o->rate;
  const bool decays = !o->type->own_decay && s->lineage >= CN_TF_LEGACY && s->decay > 0;
  if (decays) rate = (float)rate / (1 + (float)s->decay * (float)iterations);
  return rate;
}

cn_seconds cn_optimizer_seconds(const cn_optimizer *o) {
  const cn_optimizer_settings *s = cn_optimizer_common(o);
  const bool by_norm = (s->clipnorm > 0 || s->global_clipnorm > 0) && s->lineage < CN_KERAS_2;
  if (s->lineage == CN_KERAS_3 && o->type->seconds) return o->type->seconds;
  return by_norm ? CN_SECONDS_SQUARES : CN_SECONDS_NONE;
}

double cn_optimizer_loss_factor(const cn_optimizer *o) {
  const double factor = cn_optimizer_common(o)->loss_scale_factor;
  return factor > 0 && !o->loss_scale.on ? factor : 1;
}

cn_unused cn_optimizer_unused(const cn_optimizer *o) {
  const bool apart = cn_optimizer_common(o)->lineage == CN_TF_LEGACY && o->type->unused;
  return apart ? o->type->unused(o->settings) : CN_UNUSED_ZERO;
}

/* ---- configs ---- */

static cn_value *dict_put(cn_arena *a, cn_value *dict, const char *key, cn_value *v) {
  return dict && v && cn_value_put(a, dict, key, v) ? dict : NULL;
}

static cn_value *number(cn_arena *a, double x) {
  cn_value *v = cn_value_new(a, CORNU_FLOAT);
  if (v) v->f = x;
  return v;
}

static cn_value *snake_name(cn_arena *a, const char *class_name) {
  char name[64];
  cn_snake_case(class_name, name, sizeof name);
  return cn_value_text(a, name);
}

/* Of one field, as it was given or by default; of floats a float, since Keras looks for that. */
static cn_value *setting(const cn_optimizer *o, const cn_field *f, cn_arena *a) {
  const cn_value *v = cn_value_find(o->config, f->name);
  const char *standard = f->standard;
  double x;
  if (strcmp(f->name, "learning_rate") == 0 && !o->schedule) return number(a, o->rate);
  if (strcmp(f->name, "name") == 0 && cn_value_is_null(v)) {
    const char *name = cn_optimizer_common(o)->name;
    return name ? cn_value_text(a, name) : snake_name(a, o->type->name);
  }
  if (!v) v = cn_value_standard(a, &standard);
  return f->kind == CN_F_FLOAT && cn_value_number(v, &x) ? number(a, x) : cn_value_copy(a, v);
}

static cn_value *keras3_object(cn_arena *a, const char *class_name, cn_value *config) {
  cn_value *v = dict_put(a, cn_value_new(a, CORNU_DICT), "module", cn_value_text(a, "keras.optimizers"));
  v = dict_put(a, v, "class_name", cn_value_text(a, class_name));
  v = dict_put(a, v, "config", config);
  return dict_put(a, v, "registered_name", cn_value_new(a, CORNU_NULL));
}

/* The older decay of the rate, as a schedule. */
static cn_value *decay_schedule(const cn_optimizer *o, cn_arena *a) {
  cn_value *config = dict_put(a, cn_value_new(a, CORNU_DICT), "initial_learning_rate", number(a, o->rate));
  config = dict_put(a, config, "decay_steps", number(a, 1));
  config = dict_put(a, config, "decay_rate", number(a, cn_optimizer_common(o)->decay));
  cn_value *v = keras3_object(a, "InverseTimeDecay", config);
  return dict_put(a, v, "module", cn_value_text(a, "keras.optimizers.schedules"));
}

static cn_value *multi_config(const cn_optimizer *o, cn_arena *a) {
  cn_value *others = cn_value_new(a, CORNU_DICT), *map = cn_value_new(a, CORNU_DICT), *config = cn_value_new(a, CORNU_DICT);
  const int rest = o->n_inner - 1;
  for (int i = 0; i < rest; i++) others = dict_put(a, others, o->patterns[i], cn_optimizer_config(&o->inner[i], true, a));
  map = dict_put(a, map, "default_optimizer", cn_optimizer_config(&o->inner[rest], true, a));
  map = keras3_object(a, "OptimizerMap", dict_put(a, map, "optimizer_map", others));
  config = dict_put(a, config, "optimizer_map", map);
  const cn_field *f;
  for (int i = 1; (f = field_at(o->type, i)); i++) config = dict_put(a, config, f->name, setting(o, f, a));
  return keras3_object(a, o->type->name, config);
}

static cn_value *keras3_config(const cn_optimizer *o, cn_arena *a) {
  const cn_optimizer_settings *s = cn_optimizer_common(o);
  cn_value *config = cn_value_new(a, CORNU_DICT);
  const cn_field *f;
  for (int i = 0; (f = field_at(o->type, i)); i++)
    if (!is_older(o->type, f)) config = dict_put(a, config, f->name, setting(o, f, a));
  if (s->lineage >= CN_TF_LEGACY && !o->type->own_decay && s->decay > 0 && !o->schedule)
    config = dict_put(a, config, "learning_rate", decay_schedule(o, a));
  const bool global = s->lineage >= CN_KERAS_2 && !isnan(s->clipnorm); /* see step.c */
  if (global) config = dict_put(a, config, "global_clipnorm", number(a, s->clipnorm));
  if (global) config = dict_put(a, config, "clipnorm", cn_value_new(a, CORNU_NULL));
  return keras3_object(a, o->type->name, config);
}

static cn_value *own_config(const cn_optimizer *o, cn_arena *a) {
  const bool lr = cn_value_find(o->config, "lr") != NULL;
  cn_value *config = o->config ? cn_value_copy(a, o->config) : cn_value_new(a, CORNU_DICT);
  if (!o->schedule) config = dict_put(a, config, lr ? "lr" : "learning_rate", number(a, o->rate));
  cn_value *v = dict_put(a, cn_value_new(a, CORNU_DICT), "class_name", cn_value_text(a, o->type->name));
  return dict_put(a, v, "config", config);
}

cn_value *cn_optimizer_config(const cn_optimizer *o, bool keras3, cn_arena *a) {
  const bool older = cn_optimizer_common(o)->lineage != CN_KERAS_3;
  cn_value *v = o->n_inner ? multi_config(o, a) : older && !keras3 ? own_config(o, a) : keras3_config(o, a);
  if (!o->loss_scale.on) return v;
  cn_value *config = dict_put(a, cn_value_new(a, CORNU_DICT), "name",
                              o->loss_scale.name ? cn_value_text(a, o->loss_scale.name)
                                                 : snake_name(a, "LossScaleOptimizer"));
  config = dict_put(a, config, "inner_optimizer", v);
  config = dict_put(a, config, "initial_scale", number(a, o->loss_scale.scale));
  config = dict_put(a, config, "dynamic_growth_steps", number(a, (double)o->loss_scale.growth));
  return keras3_object(a, "LossScaleOptimizer", config);
}

/* ---- for help and constructors ---- */

int cornu_optimizer_count(void) { return cn_optimizer_type_total; }

bool cornu_optimizer_info(int i, cornu_type_info *out) {
  if (i < 0 || i >= cn_optimizer_type_total) return false;
  const cn_optimizer_type *type = cn_optimizer_types[i];
  *out = (cornu_type_info){.name = type->name, .aliases = type->aliases, .help = type->help};
  while (field_at(type, out->n_fields)) out->n_fields++;
  return true;
}

bool cornu_optimizer_field(int i, int field, cornu_field_info *out) {
  const cn_field *f = i >= 0 && i < cn_optimizer_type_total ? field_at(cn_optimizer_types[i], field) : NULL;
  const cn_field one[2] = {f ? *f : (cn_field){0}};
  return f && cn_field_info(one, 0, out);
}

cornu_status cornu_optimizer_check(const cornu_value *optimizer, cornu_error *e) {
  cn_arena arena = {0};
  cn_optimizer o;
  cn_status status = cn_optimizer_parse(optimizer, &arena, &o, e);
  cn_arena_free(&arena);
  return status;
}

int cornu_schedule_count(void) {
  int n = 0;
  while (cn_schedule_types[n].name) n++;
  return n;
}

bool cornu_schedule_info(int i, cornu_type_info *out) {
  if (i < 0 || i >= cornu_schedule_count()) return false;
  const cn_schedule_type *type = &cn_schedule_types[i];
  *out = (cornu_type_info){.name = type->name, .aliases = type->aliases, .help = type->help,
                           .n_fields = cn_field_count(type->fields)};
  return true;
}

bool cornu_schedule_field(int i, int field, cornu_field_info *out) {
  return i >= 0 && i < cornu_schedule_count() && cn_field_info(cn_schedule_types[i].fields, field, out);
}

cornu_status cornu_schedule_rate(const cornu_value *schedule, int64_t step, double *rate, cornu_error *e) {
  cn_arena arena = {0};
  const cn_schedule *s;
  cn_status status = cn_schedule_parse(schedule, &arena, &s, e);
  if (!status) *rate = s->type->rate(s->settings, (double)step);
  cn_arena_free(&arena);
  return status;
}
