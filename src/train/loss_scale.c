/* LossScaleOptimizer: passes over steps whose gradients, times the scale, are not finite. The rest is in step.c. */
#include "train/optimizer.h"

typedef cn_loss_scale_settings settings;

/* Configs may hold these; what they would do is up to the inner optimizer. */
#define IGNORED(key) {.name = key, .kind = CN_F_IGNORED, .standard = "null", .help = "has no effect"}

static const cn_field fields[] = {
    {.name = "inner_optimizer", .kind = CN_F_VALUE, .offset = offsetof(settings, inner),
     .help = "the one that takes the steps"},
    {.name = "initial_scale", .kind = CN_F_FLOAT, .offset = offsetof(settings, scale), .standard = "32768", .min = 1e-30,
     .max = 1e30, .help = "of the loss, in the first step"},
    {.name = "dynamic_growth_steps", .kind = CN_F_INT, .offset = offsetof(settings, growth), .standard = "2000", .min = 1,
     .max = 1e15, .help = "steps without such gradients after which the scale is doubled"},
    {.name = "name", .kind = CN_F_STRING, .offset = offsetof(settings, name), .standard = "null",
     .help = "of the optimizer"},
    IGNORED("dynamic"), IGNORED("weight_decay"), IGNORED("clipnorm"), IGNORED("clipvalue"), IGNORED("global_clipnorm"),
    IGNORED("use_ema"), IGNORED("ema_momentum"), IGNORED("ema_overwrite_frequency"), IGNORED("loss_scale_factor"),
    IGNORED("gradient_accumulation_steps"),
    {0}};

const cn_optimizer_type cn_optimizer_loss_scale = {
    .name = "LossScaleOptimizer",
    .help = "Wraps an optimizer; a step whose gradients are not finite is left out and halves the scale",
    .settings_size = sizeof(settings),
    .fields = fields,
};
