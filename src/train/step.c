/* A step of the optimizer: every variable against its gradient. */
#include "base/pool.h"
#include "train/trainer.h"

enum { GRAIN = 16384 };

typedef struct update_job { const cn_optimizer_type *type; cn_update update; } update_job;

static void update_range(void *context, int64_t begin, int64_t end) {
  const update_job *j = context;
  j->type->update(&j->update, begin, end);
}

void cn_trainer_step(cornu_trainer *t, const cn_program *p) {
  t->steps++;
  for (int i = 0; i < p->n_trained; i++) {
    const cn_variable *v = &t->variables[p->trained[i]];
    cn_tensor *value = cn_variable_value(v);
    update_job j = {t->optimizer.type, {.settings = t->optimizer.settings, .rate = t->optimizer.rate, .step = t->steps,
                                        .dtype = value->dtype, .value = value->data, .gradient = v->gradient->data}};
    for (int k = 0; k < CN_MAX_SLOTS; k++) j.update.slots[k] = v->slots[k] ? v->slots[k]->data : NULL;
    cn_parallel_range(cornu_tensor_size(value), GRAIN, update_range, &j);
    cn_layer_weight_changed(v->layer, v->index);
  }
}
