/* What the normalisations compute, for the type REAL; included once for each, with ROWS(name) its name. */

static void ROWS(fold)(const cn_step *s, const batch *b) {
  const cn_batch_norm_attrs *a = s->attrs;
  const REAL *mean = s->in[1]->data, *variance = s->in[2]->data;
  const REAL *gamma = s->n_in > 3 && s->in[3] ? s->in[3]->data : NULL,
             *beta = s->n_in > 4 && s->in[4] ? s->in[4]->data : NULL;
  REAL *scales = b->scale, *shifts = b->shift;
  for (int64_t i = 0; i < b->channels; i++) {
    double scale = (gamma ? gamma[i] : 1.0) / sqrt((double)variance[i] + a->epsilon);
    scales[i] = (REAL)scale;
    shifts[i] = (REAL)((beta ? beta[i] : 0.0) - mean[i] * scale);
  }
}

static void ROWS(batch_rows)(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const batch *b = s->state;
  const cn_act *act = &((const cn_batch_norm_attrs *)s->attrs)->act;
  const REAL *scales = b->scale, *shifts = b->shift;
  const int64_t row = b->row;
  for (int64_t r = begin; r < end; r++) {
    const REAL *x = (const REAL *)s->in[0]->data + r * b->in;
    REAL *y = (REAL *)s->out[0]->data + r * b->out;
    if (b->together) {
      for (int64_t i = 0; i < row; i++) y[i] = x[i] * scales[i] + shifts[i];
    } else {
      const int64_t channel = r / b->repeat % b->channels;
      const REAL scale = scales[channel], shift = shifts[channel];
      for (int64_t i = 0; i < row; i++) y[i] = x[i] * scale + shift;
    }
    if (act->kind != CN_ACT_LINEAR) cn_act_apply_items(sizeof *y, act, y, y, row);
  }
}

static void ROWS(layer_rows)(void *context, int64_t begin, int64_t end) {
  const cn_step *s = context;
  const layer *l = s->state;
  const REAL *gamma = s->n_in > 1 && s->in[1] ? s->in[1]->data : NULL,
             *beta = s->n_in > 2 && s->in[2] ? s->in[2]->data : NULL;
  const cn_layer_norm_attrs *a = s->attrs;
  bool plain = l->normed == 1 && l->stride[0] == 1;
  for (int64_t r = begin; r < end; r++) {
    int64_t from = offset_of(r, l->kept, l->kept_shape, l->kept_stride);
    const REAL *x = (const REAL *)s->in[0]->data + from;
    REAL *y = (REAL *)s->out[0]->data + from;
    double mean = 0, variance = 0;
    for (int64_t i = 0; a->kind != CN_NORM_RMS && i < l->count; i++)
      mean += x[plain ? i : offset_of(i, l->normed, l->shape, l->stride)];
    mean /= (double)l->count;
    for (int64_t i = 0; i < l->count; i++) {
      double d = x[plain ? i : offset_of(i, l->normed, l->shape, l->stride)] - mean;
      variance += d * d;
    }
    REAL scale = (REAL)(1 / sqrt(variance / (double)l->count + a->epsilon));
    REAL center = a->kind == CN_NORM_STANDARD ? (REAL)mean : 0;
    for (int64_t i = 0; i < l->count; i++) {
      int64_t at = plain ? i : offset_of(i, l->normed, l->shape, l->stride);
      y[at] = (x[at] - center) * scale * (gamma ? gamma[i] : 1) + (beta ? beta[i] : 0);
    }
  }
}
#undef REAL
#undef ROWS
