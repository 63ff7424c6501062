/* Steps of recurrent layers backwards: from what comes back to the states after a step to
 * what comes back to its gates. */
#include "kernels/kernels.h"
#include "kernels/slope_vector.h"

static __attribute__((noinline)) vf any_act(const cn_act *act, vf x) {
  const vact p = v_act_parameters(act);
  V_ACT_SWITCH(act->kind, return v_act_one((cn_act_kind)V_KIND, x, &p));
  return x;
}
static __attribute__((noinline)) vf any_slope(const cn_act *act, vf v) {
  const vact p = v_act_parameters(act);
  V_ACT_SWITCH(act->kind, return v_slope((cn_act_kind)V_KIND, v, &p));
  return v;
}

/* The result and the slope of an act, told by what was kept of it. With `usual` (a constant) it is `kind`, a constant,
 * too: tanh or sigmoid. */
typedef struct bent { vf y, slope; } bent;
V_FN bent look(bool usual, cn_act_kind kind, const cn_act *act, vf v) {
  if (usual && kind == CN_ACT_TANH) return (bent){v, v_fnma(v, v, v_set(1))};
  if (usual) return (bent){v, v * (v_set(1) - v)};
  return (bent){cn_act_by_result(act) ? v : any_act(act, v), any_slope(act, v)};
}

#define KEPT(g) v_load_n(b->kept + (g) * b->units + at, left)
#define GATE(g) look(usual, CN_ACT_SIGMOID, b->recurrent_act, KEPT(g))
#define CANDIDATE(g) look(usual, CN_ACT_TANH, b->act, KEPT(g))
#define PUT(to, g, v) v_store_n((to) + (g) * b->units + at, v, left)

V_FN void lstm(bool usual, const cn_rnn_back_row *b, int64_t at, int left, vf dh) {
  const bent i = GATE(0), f = GATE(1), g = CANDIDATE(2), o = GATE(3);
  const vf before = v_load_n(b->c + at, left), c = v_fma(f.y, before, i.y * g.y);
  const vf y = usual ? v_tanh(c) : any_act(b->act, c);
  const vf slope = usual ? v_fnma(y, y, v_set(1)) : any_slope(b->act, cn_act_by_result(b->act) ? y : c);
  const vf dc = v_fma(dh * o.y, slope, v_load_n(b->dc + at, left));
  PUT(b->dx, 0, dc * g.y * i.slope);
  PUT(b->dx, 1, dc * before * f.slope);
  PUT(b->dx, 2, dc * i.y * g.slope);
  PUT(b->dx, 3, dh * y * o.slope);
  PUT(b->dc, 0, dc * f.y);
  PUT(b->dh, 0, v_zero());
}

/* z and the candidate; of the plain GRU the reset gate, too. */
V_FN void gru(bool usual, bool plain, const cn_rnn_back_row *b, int64_t at, int left, vf dh) {
  const bent z = GATE(0), y = CANDIDATE(2);
  const vf dz = dh * (v_load_n(b->h + at, left) - y.y) * z.slope, dy = dh * (v_set(1) - z.y) * y.slope;
  PUT(b->dx, 0, dz);
  PUT(b->dx, 2, dy);
  PUT(b->dh, 0, dh * z.y);
  if (!plain) return;
  const bent r = GATE(1);
  const vf dr = dy * KEPT(3) * r.slope;
  PUT(b->dx, 1, dr);
  PUT(b->dz, 0, dz);
  PUT(b->dz, 1, dr);
  PUT(b->dz, 2, dy * r.y);
}

V_FN void gru_gates(bool usual, const cn_rnn_back_row *b, int64_t at, int left) {
  const bent r = GATE(1);
  const vf d = v_load_n(b->reset + at, left), h = v_load_n(b->h + at, left);
  PUT(b->dx, 1, d * h * r.slope);
  PUT(b->dh, 0, v_fma(d, r.y, v_load_n(b->dh + at, left)));
  PUT(b->reset, 0, r.y * h);
}

V_FN void units(cn_rnn_kind kind, bool usual, const cn_rnn_back_row *b) {
  for (int64_t at = 0; at < b->units; at += CN_LANES) {
    const int left = b->units - at < CN_LANES ? (int)(b->units - at) : CN_LANES;
    if (kind == CN_RNN_GRU_GATES) {
      gru_gates(usual, b, at, left);
      continue;
    }
    vf dh = v_load_n(b->dh + at, left);
    if (b->dy) dh += v_load_n(b->dy + at, left);
    if (kind == CN_RNN_LSTM) lstm(usual, b, at, left, dh);
    else if (kind == CN_RNN_GRU) gru(usual, true, b, at, left, dh);
    else if (kind == CN_RNN_GRU_MIX) gru(usual, false, b, at, left, dh);
    else {
      PUT(b->dx, 0, dh * CANDIDATE(0).slope);
      PUT(b->dh, 0, v_zero());
    }
  }
}

static void row(const cn_rnn_back_row *b) {
  const bool usual = b->act->kind == CN_ACT_TANH &&
                     (b->kind == CN_RNN_SIMPLE || b->recurrent_act->kind == CN_ACT_SIGMOID);
#define KIND(k)                       \
  case k:                             \
    if (usual) units(k, true, b);     \
    else units(k, false, b);          \
    break
  switch (b->kind) {
    KIND(CN_RNN_SIMPLE);
    KIND(CN_RNN_LSTM);
    KIND(CN_RNN_GRU);
    KIND(CN_RNN_GRU_GATES);
    KIND(CN_RNN_GRU_MIX);
  }
}

const cn_rnn_back_kernels CN_ISA_NAME(cn_rnn_back_table) = {.row = row};
