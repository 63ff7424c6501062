/* What the optimizer keeps, by name and in the order in which Keras saves it. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "train/trainer.h"

typedef enum entry_kind { STEPS, RATE, SCALAR, SCALE_COUNT, SCALE, TENSOR, NOTHING } entry_kind;

typedef struct entry {
  entry_kind kind;
  cn_optimizer *of;          /* whose it is */
  const char *name;
  cornu_dtype dtype;         /* of those that are no tensor of the trainer's own */
  cn_tensor *tensor;
  int rank;                  /* NOTHING: what Keras keeps without use, zeros of this shape */
  int64_t shape[CN_MAX_RANK];
  bool is_part;              /* the tensor is a view that the list has made */
  bool may_lack;             /* older files may be without it */
  bool is_zero;              /* the outer optimizer of another one does not count, and has no rate */
} entry;

/* A variable of the list, or of one that Keras 1 keeps gate by gate the part of one gate. */
typedef struct place { int variable, gate, gates; const char *name; } place;

typedef struct listing {
  cornu_trainer *t;
  cn_optimizer *optimizer;   /* the one being listed … */
  place *order;              /* … and its variables */
  int n;
  cn_lineage lineage;
  bool as_is;                /* of a model of Keras 1: as that has it */
  const char *prefix;        /* the optimizer's name */
  cn_arena arena;
  entry *items;
  int count, capacity;
  bool failed;
} listing;

static void free_listing(listing *l) {
  for (int i = 0; i < l->count; i++)
    if (l->items[i].is_part) cornu_tensor_release(l->items[i].tensor);
  cn_arena_free(&l->arena);
}

static entry *add(listing *l, entry_kind kind, const char *name) {
  if (!name || !cn_arena_grow(&l->arena, &l->items, &l->capacity, l->count, sizeof *l->items)) {
    l->failed = true;
    return NULL;
  }
  l->items[l->count] = (entry){.kind = kind, .of = l->optimizer, .name = name, .dtype = CORNU_FLOAT32};
  return &l->items[l->count++];
}

static const char *join(listing *l, const char *format, const char *a, const char *b, const char *c) {
  char *name = cn_arena_printf(&l->arena, format, a, b, c);
  return name ? name : (l->failed = true, "");
}

/* "seq_d_kernel" */
static const char *flat(listing *l, const char *path) {
  char *name = cn_arena_string(&l->arena, path);
  for (char *c = name; c && *c; c++)
    if (*c == '/') *c = '_';
  return name ? name : (l->failed = true, "");
}

/* Of the words of `older`, the lineage's; NULL: "-" or none. */
static const char *older_name(listing *l, const char *older) {
  const int wanted = l->lineage == CN_TF_KERAS ? 0 : l->lineage == CN_TF_LEGACY ? 1 : 2;
  for (int i = 0; older && i < wanted; i++) {
    older += strcspn(older, " ");
    older += *older == ' ';
  }
  const size_t n = older ? strcspn(older, " ") : 0;
  if (!n || (n == 1 && *older == '-')) return NULL;
  const char *name = cn_arena_copy(&l->arena, older, n);
  return name ? name : (l->failed = true, "");
}

static const char *kept_name(listing *l, int variable, const char *path, const char *name, const char *older) {
  const char *old = l->lineage == CN_KERAS_3 ? NULL : older_name(l, older);
  char number[16];
  snprintf(number, sizeof number, "%d", variable);
  switch (l->lineage) {
    case CN_KERAS_3: return join(l, "%s/%s_%s", l->prefix, flat(l, path), name);
    case CN_TF_KERAS: return join(l, "%s/%s/%s:0", l->prefix, old ? old : name, path);
    case CN_TF_LEGACY: return join(l, "%s/%s/%s:0", l->prefix, path, old ? old : name);
    default: return join(l, "training/%s/%s_%s:0", l->prefix, old ? old : name, number);
  }
}

static const cn_variable *variable_at(const listing *l, int i) { return &l->t->variables[l->order[i].variable]; }

static void add_tensor(listing *l, int i, cn_tensor *tensor, const char *name, const char *older) {
  const place *at = &l->order[i];
  entry *item = add(l, TENSOR, kept_name(l, i, variable_at(l, i)->path, name, older));
  if (!item) return;
  item->tensor = tensor;
  if (!at->gates) return;
  const int axis = tensor->rank - 1;
  const int64_t part = tensor->shape[axis] / at->gates;
  cn_error e;
  item->is_part = !cornu_tensor_slice(tensor, axis, at->gate * part, (at->gate + 1) * part, 1, &item->tensor, &e);
  l->failed |= !item->is_part;
}

static void add_nothing(listing *l, const char *name, cornu_dtype dtype, int rank, const int64_t *shape) {
  entry *item = add(l, NOTHING, name);
  if (!item) return;
  item->dtype = dtype;
  item->rank = rank;
  if (rank) memcpy(item->shape, shape, sizeof *shape * (size_t)rank);
}

/* ---- slots ---- */

/* What another version of Keras keeps although these settings have no use for it. */
static void add_unused(listing *l, int i, int slot) {
  const cn_optimizer *o = l->optimizer;
  const cn_slot *s = &o->type->slots[slot];
  const cn_variable *v = variable_at(l, i);
  const cn_tensor *value = cn_variable_value(v);
  const char *name = kept_name(l, i, v->path, s->name, s->older);
  const bool adafactor = o->type->slot_shape != NULL, vhat = strcmp(s->name, "velocity_hat") == 0;
  if (adafactor && l->lineage == CN_KERAS_3) add_nothing(l, name, CORNU_INT32, 0, NULL);
  else if (vhat && l->lineage >= CN_KERAS_2 && (l->lineage == CN_KERAS_2 || cn_value_find(o->config, "amsgrad"))) {
    add_nothing(l, name, CORNU_FLOAT32, 1, (const int64_t[]){1});
    if (l->count) l->items[l->count - 1].may_lack = true;
  } else if (strcmp(o->type->name, "SGD") == 0 && l->lineage != CN_KERAS_3 && l->lineage != CN_TF_LEGACY)
    add_nothing(l, name, value->dtype, value->rank, value->shape);
  if (l->order[i].gates && !l->failed && l->items[l->count - 1].rank == value->rank)
    l->items[l->count - 1].shape[value->rank - 1] /= l->order[i].gates;
}

static void add_slot(listing *l, int i, int slot) {
  const cn_variable *v = variable_at(l, i);
  const cn_optimizer *o = l->optimizer;
  const cn_slot *s = &o->type->slots[slot];
  const cn_subject subject = {v->path, cn_variable_value(v)};
  cn_optimizer_settings *settings = o->settings;
  const cn_lineage own = settings->lineage;
  settings->lineage = l->lineage; /* whether it is kept there */
  const bool kept = !o->type->keeps || o->type->keeps(o->settings, slot, &subject);
  settings->lineage = own;
  if (kept && v->slots[slot]) add_tensor(l, i, v->slots[slot], s->name, s->older);
  else add_unused(l, i, slot);
}

/* Groups one behind the other, each by variable; before 2.11 each slot was a group of its own, but in Ftrl. */
static void add_slots(listing *l) {
  const cn_optimizer *o = l->optimizer;
  const bool alone = l->lineage >= CN_TF_LEGACY && strcmp(o->type->name, "Ftrl") != 0;
  for (int first = 0, next; first < o->slots; first = next) {
    next = first + 1;
    while (!alone && next < o->slots && o->type->slots[next].group == o->type->slots[first].group) next++;
    for (int i = 0; i < l->n; i++)
      for (int k = first; k < next; k++) add_slot(l, i, k);
  }
}

/* ---- the order of variables ---- */

/* Of a layer whose gates are joined here, but were not in Keras 1: their letters, in the order of the parts. */
static const char *gates_of(const cn_layer *layer) {
  if (!layer->type->keras1_arrays || layer->type->keras1_arrays(layer) <= layer->n_weights) return "";
  return strcmp(layer->type->name, "GRU") == 0 ? "zrh" : "ifco";
}

/* Keras 1 sorts its variables by name: "conv_W:0", "lstm_U_i:0". */
static const char *first_name(listing *l, const cn_variable *v, const char *gates, int gate) {
  static const char *const names[][2] = {{"kernel", "W"}, {"embeddings", "W"}, {"bias", "b"}, {"recurrent_kernel", "U"}};
  const char *name = strrchr(v->path, '/'), *short_name = name + 1;
  for (int i = 0; i < CN_COUNT(names); i++)
    if (strcmp(name + 1, names[i][0]) == 0) short_name = names[i][1];
  const char letter[] = {*gates ? '_' : 0, *gates ? gates[gate] : 0, 0};
  short_name = join(l, "%s%s:0", short_name, letter, "");
  return join(l, "%s_%s", v->layer->name ? v->layer->name : "", short_name, "");
}

static bool of_first(const listing *l, const cn_variable *v) {
  return l->as_is && l->lineage == CN_KERAS_1 && v->layer->origin.keras == 1;
}

static bool is_first(const listing *l) { return l->n && of_first(l, variable_at(l, 0)); }

static void sort_by_name(listing *l) {
  for (int i = 1; i < l->n; i++)
    for (int k = i; k > 0 && strcmp(l->order[k].name, l->order[k - 1].name) < 0; k--) {
      const place other = l->order[k];
      l->order[k] = l->order[k - 1];
      l->order[k - 1] = other;
    }
}

static void order_variables(listing *l) {
  enum { MOST_GATES = 4 };
  const cornu_trainer *t = l->t;
  l->n = 0;
  l->order = cn_arena_array(&l->arena, MOST_GATES * (size_t)t->n_variables + 1, sizeof *l->order);
  if (!l->order) l->failed = true;
  for (int i = 0; i < t->n_variables && !l->failed; i++) {
    const cn_variable *v = &t->variables[i];
    if (!v->trains || cn_variable_optimizer(t, v) != l->optimizer) continue;
    const bool first = of_first(l, v);
    const char *gates = first ? gates_of(v->layer) : "";
    const int n = (int)strlen(gates);
    for (int gate = 0; gate < (n ? n : 1); gate++)
      l->order[l->n++] = (place){i, gate, n, first ? first_name(l, v, gates, gate) : ""};
  }
  if (!l->failed && is_first(l)) sort_by_name(l);
}

/* ---- all of it ---- */

static void add_each(listing *l, const char *name, size_t member) {
  for (int i = 0; i < l->n; i++) {
    cn_tensor *tensor = *(cn_tensor *const *)((const char *)variable_at(l, i) + member);
    if (tensor) add_tensor(l, i, tensor, name, NULL);
  }
}

static void add_steps(listing *l) {
  static const char *const formats[] = {"%s/iteration", "iteration:0", "%s/iter:0", "%s/iterations:0", "%s/iterations:0"};
  const cn_optimizer *o = l->optimizer;
  const char *type = o->type->name;
  const bool lacks = strcmp(type, "RMSprop") == 0 || strcmp(type, "Adagrad") == 0 || strcmp(type, "Adadelta") == 0;
  entry *item = l->lineage == CN_KERAS_1 && lacks ? NULL : add(l, STEPS, join(l, formats[l->lineage], l->prefix, "", ""));
  if (item) item->dtype = l->lineage == CN_KERAS_1 ? CORNU_FLOAT32 : CORNU_INT64;
  if (item) item->may_lack = l->lineage >= CN_KERAS_2 && lacks;
  if (item) item->is_zero = is_first(l) && strcmp(type, "SGD") == 0 && !(cn_optimizer_common(o)->decay > 0);
  if (l->lineage == CN_KERAS_3 && !o->schedule) add(l, RATE, join(l, "%s/learning_rate", l->prefix, "", ""));
}

static void add_scalar(listing *l) {
  const cn_optimizer_type *type = l->optimizer->type;
  const char *name = !type->scalar ? NULL : l->lineage == CN_KERAS_3 ? type->scalar : older_name(l, type->older_scalar);
  entry *item = name && l->lineage != CN_KERAS_1 ? add(l, SCALAR, join(l, l->lineage == CN_KERAS_3 ? "%s/%s" : "%s/%s:0",
                                                                       l->prefix, name, "")) : NULL;
  if (item) item->may_lack = l->lineage == CN_KERAS_2;
}

static void add_scale(listing *l) {
  const cn_loss_scale *s = &l->optimizer->loss_scale;
  if (!s->on || l->lineage != CN_KERAS_3) return;
  const char *prefix = s->name ? s->name : "loss_scale_optimizer";
  entry *item = add(l, STEPS, join(l, "%s/iteration", prefix, "", ""));
  if (item) item->dtype = CORNU_INT64, item->is_zero = true;
  if ((item = add(l, RATE, join(l, "%s/learning_rate", prefix, "", "")))) item->is_zero = true;
  if ((item = add(l, SCALE_COUNT, join(l, "%s/step_counter", prefix, "", "")))) item->dtype = CORNU_INT64;
  add(l, SCALE, join(l, "%s/dynamic_scale", prefix, "", ""));
}

/* Of one optimizer; an inner one without variables does not count steps. */
static void add_optimizer(listing *l, cn_optimizer *o, int keras) {
  const cn_optimizer_settings *s = cn_optimizer_common(o);
  char snake[64];
  cn_snake_case(o->type->name, snake, sizeof snake);
  l->optimizer = o;
  l->lineage = keras >= 3 ? CN_KERAS_3 : s->lineage;
  l->prefix = s->name;
  if (!l->prefix) l->prefix = l->lineage == CN_KERAS_3 ? cn_arena_string(&l->arena, snake) : o->type->name;
  if (!l->prefix) l->failed = true;
  order_variables(l);
  if (l->failed) return;
  const int before = l->count;
  add_scale(l);
  add_steps(l);
  if (l->count > before) l->items[before].is_zero |= !l->n && o != &l->t->optimizer;
  if (l->lineage != CN_KERAS_3) add_scalar(l);
  add_each(l, "average", offsetof(cn_variable, average));
  add_each(l, "gradient_accumulator", offsetof(cn_variable, accumulator));
  add_slots(l);
  if (l->lineage == CN_KERAS_3) add_scalar(l);
}

static cn_status list_state(cornu_trainer *t, int keras, listing *l, cn_error *e) {
  CN_TRY(cn_trainer_begin(t, e));
  *l = (listing){.t = t, .as_is = !keras};
  add_optimizer(l, &t->optimizer, keras);
  for (int i = 0; i < t->optimizer.n_inner && !l->failed; i++) add_optimizer(l, &t->optimizer.inner[i], 3);
  if (!l->failed) return CORNU_OK;
  free_listing(l);
  return cn_no_memory(e);
}

/* ---- reading ---- */

static double number_of(const cornu_trainer *t, const entry *item) {
  const cn_optimizer *o = item->of;
  if (item->is_zero) return 0;
  switch (item->kind) {
    case STEPS: return (double)t->steps;
    case RATE: return o->rate;
    case SCALAR: return o->scalar;
    case SCALE_COUNT: return (double)o->loss_scale.count;
    case SCALE: return o->loss_scale.scale;
    default: return 0;
  }
}

static cn_status visit_entry(const cornu_trainer *t, const entry *item, cornu_npz_visit visit, void *user, cn_error *e) {
  cn_tensor *made;
  if (item->kind == TENSOR) {
    CN_TRY(cornu_tensor_contiguous(item->tensor, &made, e));
    cn_status status = visit(user, item->name, made, e);
    cornu_tensor_release(made);
    return status;
  }
  CN_TRY(cornu_tensor_new(item->dtype, item->rank, item->shape, &made, e));
  const double number = number_of(t, item);
  if (item->kind != NOTHING) cn_convert(made->data, item->dtype, &number, CORNU_FLOAT64, 1);
  cn_status status = visit(user, item->name, made, e);
  cornu_tensor_release(made);
  return status;
}

cornu_status cornu_trainer_state(cornu_trainer *t, int keras, cornu_npz_visit visit, void *user,
                                 cornu_error *e) {
  listing l;
  CN_TRY(list_state(t, keras, &l, e));
  cn_status status = CORNU_OK;
  for (int i = 0; i < l.count && !status; i++) status = visit_entry(t, &l.items[i], visit, user, e);
  free_listing(&l);
  return status;
}

/* ---- writing ---- */

static cn_status write_number(cornu_trainer *t, const entry *item, const cn_tensor *from, cn_error *e) {
  double x;
  if (cornu_tensor_size(from) != 1)
    return cn_fail(e, CORNU_ERR_SHAPE, "%s has shape %s, expected one number", item->name,
                   CN_SHAPE(from->rank, from->shape));
  if (item->kind == NOTHING || item->is_zero) return CORNU_OK;
  cn_convert(&x, CORNU_FLOAT64, from->data, from->dtype, 1);
  cn_optimizer *o = item->of;
  if ((item->kind == STEPS || item->kind == SCALE_COUNT) && !(x >= 0 && x < 9e15))
    return cn_fail(e, CORNU_ERR_FORMAT, "%s is %g, expected a number of steps", item->name, x);
  switch (item->kind) {
    case STEPS: t->steps = (int64_t)x; break;
    case RATE: o->rate = x; break;
    case SCALAR: o->scalar = x; break;
    case SCALE_COUNT: o->loss_scale.count = (int64_t)x; break;
    default: o->loss_scale.scale = x;
  }
  return CORNU_OK;
}

static bool same_shape(const entry *item, const cn_tensor *from) {
  if (item->kind != TENSOR && item->kind != NOTHING) return cornu_tensor_size(from) == 1;
  const int rank = item->kind == TENSOR ? item->tensor->rank : item->rank;
  return cn_shape_equal(rank, item->kind == TENSOR ? item->tensor->shape : item->shape, from->rank, from->shape);
}

static cn_status check_shapes(const listing *l, cornu_tensor *const *tensors, cn_error *e) {
  for (int i = 0; i < l->count; i++) {
    const entry *item = &l->items[i];
    cn_tensor_fetch(tensors[i]);
    if (cornu_tensor_is_symbolic(tensors[i]) || !same_shape(item, tensors[i]))
      return cn_fail(e, CORNU_ERR_SHAPE, "%s has shape %s, the optimizer needs %s", item->name,
                     CN_SHAPE(tensors[i]->rank, tensors[i]->shape),
                     item->kind == TENSOR ? CN_SHAPE(item->tensor->rank, item->tensor->shape)
                                          : CN_SHAPE(item->rank, item->shape));
  }
  return CORNU_OK;
}

/* Leaves out what older versions did not save, when that makes the numbers equal. */
static void fit(listing *l, int n) {
  int lacking = 0, kept = 0;
  for (int i = 0; i < l->count; i++) lacking += l->items[i].may_lack;
  if (l->count == n || l->count - lacking != n) return;
  for (int i = 0; i < l->count; i++)
    if (!l->items[i].may_lack) l->items[kept++] = l->items[i];
  l->count = kept;
}

static cn_status write_state(cornu_trainer *t, const listing *l, cornu_tensor *const *tensors, cn_error *e) {
  CN_TRY(check_shapes(l, tensors, e)); /* all or nothing */
  for (int i = 0; i < l->count; i++) {
    const entry *item = &l->items[i];
    if (item->kind != TENSOR && item->kind != NOTHING) CN_TRY(write_number(t, item, tensors[i], e));
    if (item->kind == TENSOR) CN_TRY(cornu_tensor_copy(item->tensor, tensors[i], e));
  }
  return CORNU_OK;
}

/* The list of this lineage or that of Keras 3. */
cornu_status cornu_trainer_set_state(cornu_trainer *t, cornu_tensor *const *tensors, int n, cornu_error *e) {
  cn_status status = CORNU_OK;
  int expected = 0;
  for (int keras = 0; keras <= 3; keras += 3) {
    listing l;
    CN_TRY(list_state(t, keras, &l, e));
    if (!keras) expected = l.count;
    fit(&l, n);
    const bool fits = l.count == n;
    if (fits) status = write_state(t, &l, tensors, e);
    free_listing(&l);
    if (fits && !status) return CORNU_OK;
  }
  if (status) return cn_at(e, status, "state of %s", t->optimizer.type->name);
  return cn_fail(e, CORNU_ERR_ARGUMENT, "the state of %s has %d arrays, %d were given", t->optimizer.type->name,
                 expected, n);
}

const cornu_value *cornu_trainer_optimizer(const cornu_trainer *t, bool keras3, cornu_tree *tree) {
  return cn_optimizer_config(&t->optimizer, keras3, &tree->arena);
}

void cornu_trainer_finish(cornu_trainer *t) {
  for (int i = 0; i < t->n_variables; i++) {
    const cn_variable *v = &t->variables[i];
    if (!v->average) continue;
    const cn_tensor *value = cn_variable_value(v);
    memcpy(value->data, v->average->data, (size_t)cornu_tensor_size(value) * cornu_dtype_bytes(value->dtype));
    cn_layer_weight_changed(v->layer, v->index);
  }
}
