/* Learning rates that change with the steps, by the rules of keras.optimizers.schedules. */
#include "train/schedule.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

#define NAME_FIELD {.name = "name", .kind = CN_F_IGNORED, .standard = "null", .help = "has no effect"}
#define RATE(settings, member) \
  {.name = "initial_learning_rate", .kind = CN_F_FLOAT, .offset = offsetof(settings, member), .min = 0, .max = 1e30, \
   .help = "the rate of the first step"}
#define NUMBER(settings, member, value, text) \
  {.name = #member, .kind = CN_F_FLOAT, .offset = offsetof(settings, member), .standard = value, .help = text}
#define STEPS(settings, member) \
  {.name = #member, .kind = CN_F_FLOAT, .offset = offsetof(settings, member), .min = 1e-30, .max = 1e30, \
   .help = "steps until the end, or until it goes down once"}
#define FLAG(settings, member, text) \
  {.name = #member, .kind = CN_F_BOOL, .offset = offsetof(settings, member), .standard = "false", .help = text}

/* ---- decays by a ratio ---- */

typedef struct decay { double initial, decay_steps, decay_rate; bool staircase; } decay;

static const cn_field decay_fields[] = {
    RATE(decay, initial), STEPS(decay, decay_steps),
    NUMBER(decay, decay_rate, NULL, "what decays in that time"), FLAG(decay, staircase, "at whole multiples alone"),
    NAME_FIELD, {0}};

static double passed(const decay *s, double step) {
  return s->staircase ? floor(step / s->decay_steps) : step / s->decay_steps;
}

static double exponential(const void *settings, double step) {
  const decay *s = settings;
  return s->initial * pow(s->decay_rate, passed(s, step));
}

static double inverse_time(const void *settings, double step) {
  const decay *s = settings;
  return s->initial / (1 + s->decay_rate * passed(s, step));
}

/* ---- PolynomialDecay ---- */

typedef struct polynomial { double initial, decay_steps, end_learning_rate, power; bool cycle; } polynomial;

static const cn_field polynomial_fields[] = {
    RATE(polynomial, initial), STEPS(polynomial, decay_steps),
    NUMBER(polynomial, end_learning_rate, "0.0001", "the rate at the end"),
    NUMBER(polynomial, power, "1", "of what is left of the time"),
    FLAG(polynomial, cycle, "begins anew at the end, for longer and longer"), NAME_FIELD, {0}};

static double polynomial_rate(const void *settings, double step) {
  const polynomial *s = settings;
  double steps = s->decay_steps;
  if (s->cycle) steps *= step == 0 ? 1 : ceil(step / s->decay_steps);
  else step = fmin(step, steps);
  return (s->initial - s->end_learning_rate) * pow(1 - step / steps, s->power) + s->end_learning_rate;
}

/* ---- PiecewiseConstantDecay ---- */

typedef struct piecewise { const cn_value *boundaries, *values; } piecewise;

static const cn_field piecewise_fields[] = {
    {.name = "boundaries", .kind = CN_F_VALUE, .offset = offsetof(piecewise, boundaries),
     .help = "steps, in order: up to and with each one its value holds"},
    {.name = "values", .kind = CN_F_VALUE, .offset = offsetof(piecewise, values), .help = "rates, one more than those"},
    NAME_FIELD, {0}};

static cn_status numbers(const cn_value *list, const char *name, cn_error *e) {
  double x;
  bool fine = cn_value_is(list, CORNU_LIST);
  for (int i = 0; fine && i < list->count; i++) fine = cn_value_number(list->items[i], &x);
  return fine ? CORNU_OK : cn_fail(e, CORNU_ERR_ARGUMENT, "\"%s\" is %s, expected a list of numbers", name,
                                   cn_value_show(list, (char[80]){0}, 80));
}

static cn_status piecewise_check(const void *settings, cn_error *e) {
  const piecewise *s = settings;
  CN_TRY(numbers(s->boundaries, "boundaries", e));
  CN_TRY(numbers(s->values, "values", e));
  if (s->values->count == s->boundaries->count + 1 && s->boundaries->count > 0) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_ARGUMENT, "%d boundaries and %d values: there must be one value more than boundaries",
                 s->boundaries->count, s->values->count);
}

static double piecewise_rate(const void *settings, double step) {
  const piecewise *s = settings;
  double rate = 0, boundary;
  int i = 0;
  while (i < s->boundaries->count && cn_value_number(s->boundaries->items[i], &boundary) && step > boundary) i++;
  cn_value_number(s->values->items[i], &rate);
  return rate;
}

/* ---- cosines ---- */

typedef struct cosine { double initial, decay_steps, alpha, warmup_target, warmup_steps; } cosine;

static const cn_field cosine_fields[] = {
    RATE(cosine, initial), STEPS(cosine, decay_steps),
    NUMBER(cosine, alpha, "0", "the last rate, as a part of the first"),
    NUMBER(cosine, warmup_target, "null", "the rate to which it rises first; null: it does not"),
    NUMBER(cosine, warmup_steps, "0", "steps in which it rises"), NAME_FIELD, {0}};

static double half_wave(double part) { return 0.5 * (1 + cos(acos(-1) * part)); }

static double cosine_rate(const void *settings, double step) {
  const cosine *s = settings;
  const bool warm = !isnan(s->warmup_target);
  step = fmin(step, s->decay_steps + (warm ? s->warmup_steps : 0));
  if (warm && step < s->warmup_steps) return s->initial + (s->warmup_target - s->initial) * step / s->warmup_steps;
  const double done = (step - (warm ? s->warmup_steps : 0)) / s->decay_steps;
  return (warm ? s->warmup_target : s->initial) * ((1 - s->alpha) * half_wave(done) + s->alpha);
}

typedef struct restarts { double initial, first_decay_steps, t_mul, m_mul, alpha; } restarts;

static const cn_field restarts_fields[] = {
    RATE(restarts, initial), STEPS(restarts, first_decay_steps),
    NUMBER(restarts, t_mul, "2", "how much longer each period is than the one before"),
    NUMBER(restarts, m_mul, "1", "how much higher it begins"),
    NUMBER(restarts, alpha, "0", "the last rate, as a part of the first"), NAME_FIELD, {0}};

static double restarts_rate(const void *settings, double step) {
  const restarts *s = settings;
  double done = step / s->first_decay_steps, period;
  if (s->t_mul == 1) {
    period = floor(done);
    done -= period;
  } else { /* in float32, as Keras: at the very end of a period it matters */
    period = floor(logf((float)(1 - done * (1 - s->t_mul))) / logf((float)s->t_mul));
    done = (done - (1 - pow(s->t_mul, period)) / (1 - s->t_mul)) / pow(s->t_mul, period);
  }
  return s->initial * ((1 - s->alpha) * pow(s->m_mul, period) * half_wave(done) + s->alpha);
}

/* ---- all of them ---- */

const cn_schedule_type cn_schedule_types[] = {
    {"ExponentialDecay", NULL, "initial_learning_rate * decay_rate ^ (step / decay_steps)", sizeof(decay), decay_fields,
     NULL, exponential},
    {"PiecewiseConstantDecay", "PiecewiseConstant", "A rate for each stretch between boundaries", sizeof(piecewise),
     piecewise_fields, piecewise_check, piecewise_rate},
    {"PolynomialDecay", NULL,
     "(initial_learning_rate - end_learning_rate) * (1 - step / decay_steps) ^ power + end_learning_rate",
     sizeof(polynomial), polynomial_fields, NULL, polynomial_rate},
    {"InverseTimeDecay", NULL, "initial_learning_rate / (1 + decay_rate * step / decay_steps)", sizeof(decay),
     decay_fields, NULL, inverse_time},
    {"CosineDecay", NULL, "Half a wave of the cosine down to alpha, after a rise if wanted (Loshchilov and Hutter 2017)",
     sizeof(cosine), cosine_fields, NULL, cosine_rate},
    {"CosineDecayRestarts", "SGDRDecay", "Half a wave of the cosine, again and again (Loshchilov and Hutter 2017)",
     sizeof(restarts), restarts_fields, NULL, restarts_rate},
    {0}};

cn_status cn_schedule_parse(const cn_value *v, cn_arena *arena, const cn_schedule **out, cn_error *e) {
  const char *name = cn_value_str(cn_value_find(v, "class_name"));
  const cn_schedule_type *type = NULL;
  cn_text names = {0};
  for (const cn_schedule_type *t = cn_schedule_types; name && t->name; t++) {
    const char *plain = cn_plain_class(name);
    if (strcmp(t->name, plain) == 0 || cn_word_in(t->aliases, plain, NULL)) type = t;
    cn_text_addf(&names, "%s%s", names.length ? ", " : "", t->name);
  }
  cn_status status = CORNU_OK;
  if (!name)
    status = cn_fail(e, CORNU_ERR_ARGUMENT, "\"learning_rate\" is %s, expected a number or a schedule",
                     cn_value_show(v, (char[80]){0}, 80));
  else if (!type) status = cn_fail(e, CORNU_ERR_NOT_FOUND, "no schedule \"%s\": there are %s", name, names.data);
  cn_text_free(&names);
  if (status) return status;
  cn_schedule *s = cn_arena_alloc(arena, sizeof *s);
  const cn_value *given = cn_value_find(v, "config");
  const cn_value *config = cn_value_copy(arena, given);
  if (!s || (given && !config) || !(s->settings = cn_arena_alloc(arena, type->settings_size))) return cn_no_memory(e);
  s->type = type;
  status = cn_fields_parse(type->fields, config, s->settings, NULL, NULL, arena, e);
  if (!status && type->check) status = type->check(s->settings, e);
  *out = s;
  return status ? cn_at(e, status, "%s", type->name) : CORNU_OK;
}
