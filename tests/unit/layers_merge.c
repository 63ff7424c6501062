/* Merging layers and Keras 1's own layers on numbers that a pencil can check. */
#include "layer_run.h"

#define LAYER(class, more) "{\"class_name\": \"" class "\", \"config\": {\"name\": \"m\"" more "}}"

static void element_wise(void **state) {
  (void)state;
  const struct { const char *json; run_array want; } cases[] = {
      {LAYER("Add", ""), A2(1, 3, 5, 5, 5)},       {LAYER("Subtract", ""), A2(1, 3, -3, 1, 5)},
          {LAYER("Multiply", ""), A2(1, 3, 4, 6, 0)},
      {LAYER("Average", ""), A2(1, 3, 2.5F, 2.5F, 2.5F)}, {LAYER("Maximum", ""), A2(1, 3, 4, 3, 5)},
          {LAYER("Minimum", ""), A2(1, 3, 1, 2, 0)},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    layer_run r = {.json = cases[i].json, .origin = KERAS3, .in = {A2(1, 3, 1, 3, 5), A2(1, 3, 4, 2, 0)}};
    EXPECT(&r, cases[i].want);
  }
  layer_run three = {.json = LAYER("Average", ""), .origin = KERAS2, .in = {A2(1, 1, 1), A2(1, 1, 2), A2(1, 1, 6)}};
  EXPECT(&three, A2(1, 1, 3));
  /* (2, 2) and (2, 3, 2): the lower rank gains an axis behind the batch. */
  layer_run ranks = {.json = LAYER("Add", ""), .origin = KERAS2,
                     .in = {A2(2, 2, 1, 2, 3, 4), A3(2, 3, 2, 0, 0, 10, 10, 20, 20, 0, 0, 10, 10, 20, 20)}};
  EXPECT(&ranks, A3(2, 3, 2, 1, 2, 11, 12, 21, 22, 3, 4, 13, 14, 23, 24));
  layer_run wrong = {.json = LAYER("Add", ""), .origin = KERAS3, .in = {A2(1, 3, 1, 3, 5), A2(1, 2, 4, 2)}};
  expect_failure(&wrong, CORNU_ERR_SHAPE, "(?, 3)", "(?, 2)");
}

/* Masks 110 and 100 on sequences of one feature. */
#define MASKED(json_, origin_) \
  {.json = json_, .origin = origin_, .in = {A3(1, 3, 1, 2, 3, 4), A3(1, 3, 1, 5, 1, 7)}, \
   .mask = {A2(1, 3, 1, 1, 0), A2(1, 3, 1, 0, 0)}}
#define HALF_MASKED(json_, origin_) \
  {.json = json_, .origin = origin_, .in = {A3(1, 3, 1, 2, 3, 4), A3(1, 3, 1, 5, 1, 7)}, .mask = {A2(1, 3, 1, 1, 0)}}

static void merged_masks(void **state) {
  (void)state;
  layer_run both = MASKED(LAYER("Add", ""), TFKERAS);
  EXPECT(&both, A3(1, 3, 1, 7, 4, 11));
  EXPECT_MASK(&both, 0, A2(1, 3, 1, 0, 0));
  layer_run either = MASKED(LAYER("Add", ""), KERAS3);
  EXPECT(&either, A3(1, 3, 1, 7, 4, 11));
  EXPECT_MASK(&either, 0, A2(1, 3, 1, 1, 0));
  layer_run early = MASKED(LAYER("Add", ""), {.keras = 3});
  EXPECT(&early, A3(1, 3, 1, 7, 4, 11));
  EXPECT_MASK(&early, 0, A2(1, 3, 1, 0, 0));
  layer_run half = HALF_MASKED(LAYER("Add", ""), KERAS2);
  EXPECT(&half, A3(1, 3, 1, 7, 4, 11));
  EXPECT_MASK(&half, 0, A2(1, 3, 1, 1, 0));
  layer_run none = HALF_MASKED(LAYER("Add", ""), KERAS3);
  EXPECT(&none, A3(1, 3, 1, 7, 4, 11));
  expect_mask(&none, 0, NULL);
  /* Since Keras 3.4 masked steps do not take part in products, maxima and minima. */
  layer_run product = MASKED(LAYER("Multiply", ""), KERAS3);
  EXPECT(&product, A3(1, 3, 1, 10, 3, 0));
  layer_run maximum = MASKED(LAYER("Minimum", ""), KERAS3);
  EXPECT(&maximum, A3(1, 3, 1, 2, 3, 4));
  layer_run plain = MASKED(LAYER("Multiply", ""), TFKERAS);
  EXPECT(&plain, A3(1, 3, 1, 10, 3, 28));
}

static void concatenate(void **state) {
  (void)state;
  layer_run last = MASKED(LAYER("Concatenate", ""), TFKERAS);
  EXPECT(&last, A3(1, 3, 2, 2, 5, 3, 1, 4, 7));
  EXPECT_MASK(&last, 0, A2(1, 3, 1, 0, 0));
  layer_run any = MASKED(LAYER("Concatenate", ""), KERAS3);
  EXPECT(&any, A3(1, 3, 2, 2, 5, 3, 1, 4, 7));
  EXPECT_MASK(&any, 0, A2(1, 3, 1, 1, 0));
  layer_run time = HALF_MASKED(LAYER("Concatenate", ", \"axis\": 1"), KERAS3);
  EXPECT(&time, A3(1, 6, 1, 2, 3, 4, 5, 1, 7));
  EXPECT_MASK(&time, 0, A2(1, 6, 1, 1, 0, 1, 1, 1));
  layer_run wrong = {.json = LAYER("Concatenate", ", \"axis\": 2"), .origin = KERAS3,
                     .in = {A4(1, 1, 2, 2, 1, 2, 3, 4), A4(1, 1, 2, 1, 1, 2)}};
  expect_failure(&wrong, CORNU_ERR_SHAPE, "(?, ?, 2, 2)", "(?, ?, 2, 1)");
}

static void dot(void **state) {
  (void)state;
  layer_run vectors = {.json = LAYER("Dot", ", \"axes\": -1"), .origin = KERAS2,
                 .in = {A2(2, 2, 1, 2, 3, 4), A2(2, 2, 10, 1, 10, 1)}};
  EXPECT(&vectors, A2(2, 1, 12, 34));
  layer_run cosine = {.json = LAYER("Dot", ", \"axes\": 1, \"normalize\": true"), .origin = KERAS3,
                      .in = {A2(2, 2, 3, 4, 0, 0), A2(2, 2, 4, 3, 1, 1)}};
  EXPECT(&cosine, A2(2, 1, 0.96F, 0));
  /* (1, 2, 3) . (1, 2, 2) over axes 1, 2: sum over i of x[i][a] y[b][i] */
  layer_run matrices = {.json = LAYER("Dot", ", \"axes\": [1, 2]"), .origin = TFKERAS,
                        .in = {A3(1, 2, 3, 1, 2, 3, 4, 5, 6), A3(1, 2, 2, 1, 10, 0, 1)}};
  EXPECT(&matrices, A3(1, 3, 2, 41, 4, 52, 5, 63, 6));
  layer_run mixed = {.json = LAYER("Dot", ", \"axes\": [2, 1]"), .origin = KERAS3,
                 .in = {A3(1, 2, 2, 1, 2, 3, 4), A2(1, 2, 10, 1)}};
  EXPECT(&mixed, A2(1, 2, 12, 34));
  layer_run wide = {.json = LAYER("Dot", ", \"axes\": [3, 1]"), .origin = KERAS3,
                    .in = {A4(1, 2, 1, 2, 1, 2, 3, 4),
                        A3(1, 2, 2, 1, 2, 10, 20)}}; /* (1,2,1,2) . (1,2,2) -> (1,2,1,2) */
  EXPECT(&wide, A4(1, 2, 1, 2, 21, 42, 43, 86));
  layer_run batch = {.json = LAYER("Dot", ", \"axes\": 0"), .origin = KERAS3, .in = {A2(1, 1, 1), A2(1, 1, 1)}};
  expect_failure(&batch, CORNU_ERR_SHAPE, "axis 0", "batch");
}

static void keras1_merge(void **state) {
  (void)state;
  const struct { const char *json; run_array want; } cases[] = {
      {LAYER("Merge", ", \"mode\": \"sum\", \"mode_type\": \"raw\", \"layers\": []"), A2(1, 2, 7, 7)},
      {LAYER("Merge", ", \"mode\": \"mul\", \"concat_axis\": -1, \"dot_axes\": -1"), A2(1, 2, 12, 12)},
      {LAYER("Merge", ", \"mode\": \"concat\", \"concat_axis\": -1"), A2(1, 4, 3, 4, 4, 3)},
      {LAYER("Merge", ", \"mode\": \"ave\""), A2(1, 2, 3.5F, 3.5F)},
      {LAYER("Merge", ", \"mode\": \"max\""), A2(1, 2, 4, 4)},
      {LAYER("Merge", ", \"mode\": \"dot\", \"dot_axes\": [1, 1]"), A2(1, 1, 24)},
      {LAYER("Merge", ", \"mode\": \"cos\""), A3(1, 1, 1, 0.96F)},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    layer_run r = {.json = cases[i].json, .origin = KERAS1, .in = {A2(1, 2, 3, 4), A2(1, 2, 4, 3)}};
    EXPECT(&r, cases[i].want);
  }
  layer_run lambda = {.json = LAYER("Merge", ", \"mode\": [\"code\", null, null], \"mode_type\": \"lambda\""),
                 .origin = KERAS1,
                      .in = {A2(1, 1, 1), A2(1, 1, 1)}};
  expect_failure(&lambda, CORNU_ERR_UNSUPPORTED, "lambda", "custom_objects");
}

static void keras1_layers(void **state) {
  (void)state;
  layer_run maxout = {.json = LAYER("MaxoutDense",
      ", \"output_dim\": 1, \"nb_feature\": 2, \"init\": \"glorot_uniform\", \"bias\": true"),
                      .origin = KERAS1, .in = {A2(2, 2, 1, 2, -5, 0)},
                          .weights = {A3(2, 2, 1, 1, 1, -1, 0), A2(2, 1, 0, 0.5F)}};
  EXPECT(&maxout, A2(2, 1, 3, 5.5F));
  /* The gate is σ(0) = 0.5: the mean of 2 x + 1 and x. */
  layer_run highway = {.json = LAYER("Highway", ", \"activation\": \"linear\", \"bias\": true"), .origin = KERAS1,
                 .in = {A2(1, 1, 4)},
                       .weights = {A2(1, 1, 2), A2(1, 1, 0), A1(1, 1), A1(1, 0)}};
  EXPECT(&highway, A2(1, 1, 6.5F));
  /* t_left = -1, a_left = 0.1, t_right = |-3| further at 2, a_right = 10; one set for all elements, as the
   * file's shape says. */
  layer_run srelu = {.json = LAYER("SReLU", ", \"t_left_init\": \"zero\""), .origin = KERAS1,
                 .in = {A2(1, 4, -11, 0.5F, 2, 3)},
                     .weights = {A1(1, -1), A1(1, 0.1F), A1(1, -3), A1(1, 10)}};
  EXPECT(&srelu, A2(1, 4, -2, 0.5F, 2, 12));
  layer_run softplus = {.json = LAYER("ParametricSoftplus", ""), .origin = KERAS1, .in = {A2(1, 2, 0, 100)},
                 .weights = {A1(2, 1, 2), A1(2, 5, 1)}};
  EXPECT(&softplus, A2(1, 2, 0.69314718F, 200));
  layer_run steps = {.json = LAYER("TimeDistributedDense",
      ", \"output_dim\": 1, \"activation\": \"relu\", \"input_dim\": 2, \"input_length\": 2"),
                     .origin = KERAS1, .in = {A3(1, 2, 2, 1, 2, -3, 0)}, .weights = {A2(2, 1, 1, 10), A1(1, 0.5F)}};
  EXPECT(&steps, A3(1, 2, 1, 21.5F, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(element_wise), cmocka_unit_test(merged_masks), cmocka_unit_test(concatenate),
      cmocka_unit_test(dot), cmocka_unit_test(keras1_merge), cmocka_unit_test(keras1_layers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
