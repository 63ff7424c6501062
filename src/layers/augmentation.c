/* Layers that change images in training alone and leave them as they are at inference. */
#include "layers/augment.h"

#include <math.h>

#include "base/text.h"

typedef cn_augmentation settings;

#define AMOUNT(i, text, standard_text, words) \
  {.name = text, .kind = CN_F_VALUE, .offset = offsetof(settings, amount[i]), .standard = standard_text,               \
   .help = CN_HELP(words)}
#define CHOICE(i, text, standard_text, all, words) \
  {.name = text, .kind = CN_F_ENUM, .offset = offsetof(settings, choice[i]), .standard = standard_text, \
   .choices = all, .help = CN_HELP(words)}
#define COUNT(i, text, standard_text, words) \
  {.name = text, .kind = CN_F_INT, .offset = offsetof(settings, count[i]), .standard = standard_text,                  \
   .help = CN_HELP(words)}
#define IGNORED(text, words) {.name = text, .kind = CN_F_IGNORED, .standard = "null", .help = CN_HELP(words)}
#define ENDS \
  {.name = "data_format", .kind = CN_F_ENUM, .offset = offsetof(settings, data_format), .standard = "null", \
   .choices = CN_DATA_FORMAT_CHOICES, .help = CN_HELP("where the channels are; null: the writer's default")}, \
  {.name = "seed", .kind = CN_F_INT, .offset = offsetof(settings, seed), .standard = "null", .min = -9e18, .max = 9e18, \
   .help = CN_HELP("of its random numbers; null: the model's")}, \
  IGNORED("bounding_box_format", "how boxes would be given"), IGNORED("rng_type", "which generator: there is one"), {0}
#define FACTOR(standard_text) \
  AMOUNT(0, "factor", standard_text, "{least, most} of what is drawn, or a number: most, and least its opposite or 0")
#define RANGE AMOUNT(1, "value_range", "null", "of the images' values; null: {0, 255}")
#define HEIGHT AMOUNT(0, "height_factor", "0", "share of the height, in training")
#define WIDTH AMOUNT(1, "width_factor", "null", "share of the width, in training")
#define METHOD CHOICE(0, "interpolation", "\"bilinear\"", CN_RESIZE_CHOICES, "between pixels, in training")
#define FILL(standard_text) \
  CHOICE(1, "fill_mode", standard_text, CN_AUGMENT_FILLS, "what comes in at the border"), \
  AMOUNT(5, "fill_value", "null", "what comes in where that is constant")

static const cn_field factor_fields[] = {FACTOR("null"), RANGE, ENDS};
static const cn_field grayscale_fields[] = {AMOUNT(0, "factor", "0.5", "which share"), RANGE, ENDS};
static const cn_field invert_fields[] = {FACTOR("1"), RANGE, ENDS};
static const cn_field size_fields[] = {FACTOR("0"), METHOD, ENDS};
static const cn_field flip_fields[] = {
    CHOICE(0, "mode", "\"horizontal_and_vertical\"", "horizontal vertical horizontal_and_vertical", "the direction"),
    ENDS};
static const cn_field rotation_fields[] = {FACTOR("0"), FILL("\"reflect\""), METHOD, ENDS};
static const cn_field move_fields[] = {HEIGHT, WIDTH, FILL("\"reflect\""), METHOD, ENDS};
static const cn_field shear_fields[] = {
    AMOUNT(0, "x_factor", "0", "how much along the width"), AMOUNT(1, "y_factor", "0", "how much along the height"),
    FILL("\"reflect\""), METHOD, ENDS};
static const cn_field perspective_fields[] = {
    FACTOR("1"), AMOUNT(1, "scale", "1", "how far"), FILL("\"constant\""), METHOD, ENDS};
static const cn_field elastic_fields[] = {
    FACTOR("1"), RANGE, AMOUNT(2, "scale", "1", "how far"), FILL("\"reflect\""), METHOD, ENDS};
static const cn_field erasing_fields[] = {
    FACTOR("1"), RANGE, AMOUNT(2, "scale", "null", "share of the image that is erased; null: {0.02, 0.33}"),
    AMOUNT(3, "fill_value", "null", "what it becomes"), ENDS};
static const cn_field blur_fields[] = {
    FACTOR("1"), RANGE, AMOUNT(2, "kernel_size", "3", "of the filter"), AMOUNT(3, "sigma", "1", "its deviation"), ENDS};
static const cn_field jitter_fields[] = {
    RANGE, AMOUNT(2, "brightness_factor", "null", "of RandomBrightness"),
    AMOUNT(3, "contrast_factor", "null", "of RandomContrast"),
    AMOUNT(4, "saturation_factor", "null", "of RandomSaturation"),
    AMOUNT(5, "hue_factor", "null", "of RandomHue"), ENDS};
static const cn_field rand_augment_fields[] = {
    RANGE, FACTOR("0.5"), COUNT(0, "num_ops", "2", "changes to each image"), METHOD, ENDS};
static const cn_field aug_mix_fields[] = {
    RANGE, FACTOR("0.3"), COUNT(0, "num_chains", "3", "of changes"),
    AMOUNT(2, "chain_depth", "3", "changes of a chain"), AMOUNT(3, "alpha", "1", "how chains mix"),
    {.name = "all_ops", .kind = CN_F_BOOL, .offset = offsetof(settings, flag), .standard = "true",
     .help = CN_HELP("with changes of colour")},
    METHOD, ENDS};
static const cn_field mix_fields[] = {
    AMOUNT(0, "alpha", "0.2", "how evenly images mix: the shape of beta numbers"), ENDS};
static const cn_field cut_fields[] = {
    AMOUNT(1, "factor", "1", "how evenly images mix: the shape of beta numbers is drawn up to it"), ENDS};
static const cn_field equalization_fields[] = {RANGE, COUNT(0, "bins", "256", "of the histogram"), ENDS};
static const cn_field solarization_fields[] = {
    AMOUNT(2, "addition_factor", "0", "what is added first"),
    AMOUNT(3, "threshold_factor", "0", "above which values turn"), RANGE, ENDS};
static const cn_field boxes_fields[] = {
    COUNT(0, "max_number", NULL, "of boxes"), COUNT(1, "fill_value", "-1", "where boxes are missing"), ENDS};

static bool is_amount(const cn_value *v) {
  double number;
  if (cn_value_is_null(v) || cn_value_number(v, &number)) return true;
  bool good = cn_value_is(v, CORNU_LIST) && v->count == 2;
  for (int i = 0; good && i < 2; i++) good = cn_value_number(v->items[i], &number) && isfinite(number);
  return good;
}

static cn_status check(cn_layer *l, cn_error *e) {
  for (const cn_field *f = l->type->fields; f->name; f++) {
    const cn_value *v = cn_value_find(l->config, f->name);
    if (f->kind == CN_F_VALUE && v && !is_amount(v))
      return cn_fail(e, CORNU_ERR_ARGUMENT, "\"%s\" is %s, expected a number or a pair of numbers", f->name,
                     cn_value_show(v, (char[80]){0}, 80));
  }
  return CORNU_OK;
}

static cn_edge change(cn_layer *l, cn_trace *t, cn_edge x, cn_augment *act) {
  const cn_image_batch b = cn_image_enter(t, cn_emit_compute(t, x),
                                          cn_channels_first(l, ((const settings *)l->settings)->data_format, 2));
  return t->status ? CN_NO_EDGE : cn_image_leave(t, &b, act(l, t, b.x));
}

/* Keras 3's graphs, and tf.keras from 2.8 on, make of integers what the layer computes in; called on arrays outside of a
 * graph, some classes of Keras 3 leave them. */
static void lower_as(cn_layer *l, cn_trace *t, cn_call *c, cn_augment *act) {
  cn_edge x = c->in[0].data;
  const bool casts = l->origin.keras > 2 || cn_origin_at_least(&l->origin, 2, 8, 0);
  if (t->training && cn_layer_draws(l, t)) {
    cn_call_return(t, c, change(l, t, x, act), c->in[0].mask);
    return;
  }
  cn_call_return(t, c, casts ? cn_emit_compute(t, x) : x, c->in[0].mask);
}

/* Images of another height or width: the one that the factor says, in training. Sizes that are drawn would need another
 * plan at each step. */
static cn_edge resized(cn_layer *l, cn_trace *t, cn_edge x, int axis) {
  const settings *s = l->settings;
  const cn_type type = *cn_edge_type(t, x);
  double b[2];
  cn_augment_bounds(l, CN_AUGMENT_FACTOR, -1, b);
  if (!t->status && type.rank != 3 && type.rank != 4) cn_image_axis(t, x, false);
  if (!t->status && b[0] != b[1])
    cn_trace_fail(t, CORNU_ERR_UNSUPPORTED, "in training makes images of sizes that chance decides, which is not "
                  "supported: \"factor\" is %s; give a pair of equal numbers, use RandomZoom with %s = this factor, which keeps "
                  "the size, or leave the layer out by custom_objects = { [\"%s\"] = function(x) return x end }",
                  cn_value_show(s->amount[CN_AUGMENT_FACTOR], (char[80]){0}, 80),
                  axis == 1 ? "height_factor" : "width_factor", l->name);
  if (t->status) return CN_NO_EDGE;
  int64_t size[] = {type.shape[type.rank - 3], type.shape[type.rank - 2]};
  if (size[0] < 1 || size[1] < 1) return x; /* shapes alone are wanted */
  size[axis - 1] = (int64_t)fmaxf(1, (float)(1 + b[0]) * (float)size[axis - 1]);
  const cn_image_resize r = {.height = size[0], .width = size[1], .method = s->choice[CN_AUGMENT_METHOD]};
  return cn_emit_cast(t, cn_image_resized(t, x, &r), t->compute);
}

/* tf.keras's RandomHeight and RandomWidth never cast at inference. */
static void lower_size(cn_layer *l, cn_trace *t, cn_call *c, int axis) {
  cn_edge x = c->in[0].data;
  if (t->training && cn_layer_draws(l, t)) x = resized(l, t, cn_emit_compute(t, x), axis);
  else if (l->origin.keras > 2) x = cn_emit_compute(t, x);
  cn_call_return(t, c, x, c->in[0].mask);
}
static void lower_height(cn_layer *l, cn_trace *t, cn_call *c) { lower_size(l, t, c, 1); }
static void lower_width(cn_layer *l, cn_trace *t, cn_call *c) { lower_size(l, t, c, 2); }

static void lower_boxes(cn_layer *l, cn_trace *t, cn_call *c) {
  (void)l;
  cn_call_return(t, c, cn_emit_compute(t, c->in[0].data), c->in[0].mask);
}

#define LAYER_AS(id, class_name, in_versions, table, how, words) \
  const cn_layer_type cn_layer_##id = { \
      .name = class_name, .versions = in_versions, .flags = CN_MASK_PASSES | CN_LAYER_IDENTITY | CN_LAYER_INTEGERS, \
      .min_in = 1, .max_in = 1, .settings_size = sizeof(settings), .fields = table, .check = check, .lower = how, \
      .help = CN_HELP(words "\nthe identity at inference: (batch, height, width, channels) or (height, "               \
                            "width, channels) -> "                                                                     \
                            "the same")};
#define TRAINED(id, class_name, in_versions, table, act, words) \
  static void lower_##id(cn_layer *l, cn_trace *t, cn_call *c) { lower_as(l, t, c, act); } \
  LAYER_AS(id, class_name, in_versions, table, lower_##id, "in training " words)

TRAINED(random_brightness, "RandomBrightness", "2 3", factor_fields, cn_augment_brightness,
        "adds u times the length of value_range to each image and clips it; u is drawn by factor")
TRAINED(random_contrast, "RandomContrast", "2 3", factor_fields, cn_augment_contrast,
        "(x - mean) * u + mean of each channel of an image; u is drawn from 1 - factor to 1 + factor")
TRAINED(random_grayscale, "RandomGrayscale", "3", grayscale_fields, cn_augment_grayscale,
        "makes a share `factor` of the images grey: 0.2989 red + 0.587 green + 0.114 blue")
TRAINED(random_hue, "RandomHue", "3", factor_fields, cn_augment_hue,
        "turns the hue of each image by half of what is drawn by factor, of the whole circle, either way")
TRAINED(random_saturation, "RandomSaturation", "3", factor_fields, cn_augment_saturation,
        "the saturation of each image times u / (1 - u); u is drawn by factor: 0.5 changes nothing")
TRAINED(random_posterization, "RandomPosterization", "3", factor_fields, cn_augment_posterize,
        "keeps the upper bits of values of eight bits; how many is drawn by factor")
TRAINED(random_invert, "RandomInvert", "3", invert_fields, cn_augment_invert,
        "turns images into the end of value_range - x, with a chance that is drawn by factor")
TRAINED(random_color_jitter, "RandomColorJitter", "3", jitter_fields, cn_augment_jitter,
        "RandomBrightness, RandomContrast, RandomSaturation and RandomHue, those whose factors are given")
TRAINED(random_color_degeneration, "RandomColorDegeneration", "3", factor_fields, cn_augment_degenerate,
        "x + u * (grey - x); u is drawn by factor: 1 is grey")
TRAINED(mix_up, "MixUp", "3", mix_fields, cn_augment_mix_up,
        "u * x + (1 - u) * another image of the batch, u a beta number (Zhang et al. 2018); cornu.data.mix_up "
        "mixes labels, too")
TRAINED(equalization, "Equalization", "3", equalization_fields, cn_augment_equalize,
        "evens out the histogram of each channel, over all images of the batch as Keras does")
LAYER_AS(max_num_bounding_boxes, "MaxNumBoundingBoxes", "3", boxes_fields, lower_boxes,
         "boxes are not supported: images stay as they are")
TRAINED(random_flip, "RandomFlip", "2 3", flip_fields, cn_augment_flip,
        "turns images around, left to right and top to bottom, with a chance of 1/2")
LAYER_AS(random_height, "RandomHeight", "2 3", size_fields, lower_height,
         "in training resizes to height * (1 + factor); heights that chance decides are refused: "
         "factor is a pair of equal numbers")
LAYER_AS(random_width, "RandomWidth", "2 3", size_fields, lower_width,
         "in training resizes to width * (1 + factor); widths that chance decides are refused: "
         "factor is a pair of equal numbers")
TRAINED(random_rotation, "RandomRotation", "2 3", rotation_fields, cn_augment_rotate,
        "turns images by what is drawn by factor, of a whole turn: 0.1 is up to 36 degrees either way")
TRAINED(random_translation, "RandomTranslation", "2 3", move_fields, cn_augment_translate,
        "moves images by shares of their height and width")
TRAINED(random_zoom, "RandomZoom", "2 3", move_fields, cn_augment_zoom,
        "makes images larger (factors below 0) or smaller (above 0); without width_factor both sides alike")
TRAINED(random_shear, "RandomShear", "3", shear_fields, cn_augment_shear,
        "moves rows along the width and columns along the height, the more the farther they are from the first")
TRAINED(random_perspective, "RandomPerspective", "3", perspective_fields, cn_augment_tilt,
        "moves the corners by up to scale / 2 of their distance from the first, with a chance drawn by factor")
TRAINED(random_elastic_transform, "RandomElasticTransform", "3", elastic_fields, cn_augment_elastic,
        "moves pixels by smoothed noise (Simard et al. 2003), with a chance drawn by factor")
TRAINED(random_erasing, "RandomErasing", "3", erasing_fields, cn_augment_erase,
        "fills a rectangle of a share `scale` of the image (Zhong et al. 2017), with a chance drawn by factor")
TRAINED(random_gaussian_blur, "RandomGaussianBlur", "3", blur_fields, cn_augment_blur,
        "blurs with a bell of kernel_size and sigma, with a chance drawn by factor")
TRAINED(random_sharpness, "RandomSharpness", "3", factor_fields, cn_augment_sharpen,
        "x + (1 - 2 u) * (blurred - x); u is drawn by factor: 0 blurs, 0.5 changes nothing, 1 sharpens")
TRAINED(rand_augment, "RandAugment", "3", rand_augment_fields, cn_augment_rand_augment,
        "num_ops changes out of eleven, the same ones for all images (Cubuk et al. 2020)")
TRAINED(aug_mix, "AugMix", "3", aug_mix_fields, cn_augment_aug_mix,
        "mixes chains of changes with the images (Hendrycks et al. 2020)")
TRAINED(cut_mix, "CutMix", "3", cut_fields, cn_augment_cut_mix,
        "puts a rectangle of another image of the batch into each (Yun et al. 2019); cornu.data.cut_mix mixes "
        "labels, too")
TRAINED(solarization, "Solarization", "3", solarization_fields, cn_augment_solarize,
        "255 - x where x is at least a threshold, after an addition; both are drawn by their factors, x in bytes")
