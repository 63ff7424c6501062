/* One step of one row of the recurrent layers, for the type REAL; included once for each, with CELL(name) its name. x
 * holds the projected input, r the recurrent product (each g * u long), h and c the states; r, h and c are replaced. */

static void CELL(simple_cell)(const cn_rnn_attrs *a, int64_t u, const void *input, void *product, void *hidden,
                              void *cell) {
  const REAL *x = input, *r = product;
  REAL *h = hidden;
  (void)cell;
  for (int64_t i = 0; i < u; i++) h[i] = x[i] + r[i];
  cn_act_apply_items(sizeof(REAL), &a->act, h, h, u);
}

static void CELL(lstm_cell)(const cn_rnn_attrs *a, int64_t u, const void *input, void *product, void *hidden,
                            void *cell) {
  const REAL *x = input;
  REAL *r = product, *h = hidden, *c = cell;
  for (int64_t i = 0; i < 4 * u; i++) r[i] += x[i];
  cn_act_apply_items(sizeof(REAL), &a->recurrent_act, r, r, 2 * u);
  cn_act_apply_items(sizeof(REAL), &a->act, r + 2 * u, r + 2 * u, u);
  cn_act_apply_items(sizeof(REAL), &a->recurrent_act, r + 3 * u, r + 3 * u, u);
  for (int64_t i = 0; i < u; i++) c[i] = r[u + i] * c[i] + r[i] * r[2 * u + i];
  cn_act_apply_items(sizeof(REAL), &a->act, h, c, u);
  for (int64_t i = 0; i < u; i++) h[i] *= r[3 * u + i];
}

/* The gates z and r; reset: where r * h goes (NULL: nowhere). */
static void CELL(gru_gates)(const cn_rnn_attrs *a, int64_t u, const void *input, void *product, const void *hidden,
                            void *reset) {
  const REAL *x = input, *h = hidden;
  REAL *r = product, *to = reset;
  for (int64_t i = 0; i < 2 * u; i++) r[i] += x[i];
  cn_act_apply_items(sizeof(REAL), &a->recurrent_act, r, r, 2 * u);
  for (int64_t i = 0; to && i < u; i++) to[i] = r[u + i] * h[i];
}

static void CELL(gru_mix)(const cn_rnn_attrs *a, int64_t u, const void *input, void *product, void *hidden,
                          void *cell) {
  const REAL *x = input;
  REAL *r = product, *h = hidden, *candidate = r + 2 * u;
  (void)cell;
  for (int64_t i = 0; i < u; i++)
    candidate[i] = x[2 * u + i] + (a->reset_after ? r[u + i] * candidate[i] : candidate[i]);
  cn_act_apply_items(sizeof(REAL), &a->act, candidate, candidate, u);
  for (int64_t i = 0; i < u; i++) h[i] = r[i] * h[i] + (1 - r[i]) * candidate[i];
}

static const cells CELL(cells) = {{[SIMPLE] = CELL(simple_cell), [LSTM] = CELL(lstm_cell), [GRU] = CELL(gru_mix)},
                                  CELL(gru_gates)};
#undef REAL
#undef CELL
