/* Discretization: numbers into bins between boundaries, which are given, or learned: tf.keras then keeps a summary of
 * the data, from which the boundaries are computed here as there. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "layers/encoding.h"
#include "ops/ops.h"

typedef struct settings { const cn_value *boundaries; int64_t bins; const cn_value *older; int mode; } settings;

static const cn_field fields[] = {
    {.name = "bin_boundaries", .kind = CN_F_VALUE, .offset = offsetof(settings, boundaries), .standard = "null",
     .help = CN_HELP("rising numbers; a value belongs behind those that are not above it")},
    {.name = "num_bins", .kind = CN_F_INT, .offset = offsetof(settings, bins), .standard = "null", .min = 0, .max = 1e6,
     .help = CN_HELP("how many bins are learned")},
    {.name = "epsilon", .kind = CN_F_IGNORED, .standard = "0.01", .help = CN_HELP("how precisely adapt learns them")},
    {.name = "bins", .kind = CN_F_VALUE, .offset = offsetof(settings, older), .standard = "null",
     .help = CN_HELP("older name for bin_boundaries or num_bins")},
    CN_MODE_FIELD(settings, "\"int\""),
    CN_SPARSE_FIELD,
    {0}};

static cn_status check(cn_layer *l, cn_error *e) {
  settings *s = l->settings;
  CN_TRY(cn_mode_check(s->mode, "int one_hot multi_hot count", e));
  if (cn_value_is(s->older, CORNU_LIST) && cn_value_is_null(s->boundaries)) s->boundaries = s->older;
  else if (cn_value_is(s->older, CORNU_INT) && s->bins == CN_NULL_INT) s->bins = s->older->i;
  if (s->bins == CN_NULL_INT && cn_value_is_null(s->boundaries))
    return cn_fail(e, CORNU_ERR_ARGUMENT, "neither \"bin_boundaries\" nor \"num_bins\" is given");
  return CORNU_OK;
}

/* ---- Boundaries from a summary: values with the weight of what lies behind the one before ---- */

/* The piecewise line through (x, y), of which `next` points are not beyond `at`; the ends go on flat. NumPy's interp. */
static double line_at(double at, const double *x, const double *y, int64_t n, int64_t next) {
  if (next == 0) return y[0];
  if (next == n) return y[n - 1];
  int64_t i = next - 1;
  return y[i] + (y[next] - y[i]) / (x[next] - x[i]) * (at - x[i]);
}

int64_t cn_summary_size(int64_t n, double epsilon) {
  return (double)n * epsilon < 1 ? n : (int64_t)ceil(1 / epsilon); /* the latter as NumPy counts steps */
}

/* At even shares of the weight, which are summed in float32, as NumPy does. */
cn_status cn_summary_compress(const float *summary, int64_t n, double epsilon, float *out, cn_error *e) {
  int64_t m = cn_summary_size(n, epsilon), at = 0;
  if ((double)n * epsilon < 1) return memcpy(out, summary, 2 * (size_t)n * sizeof *out), CORNU_OK;
  double *share = cn_calloc((size_t)n, 3 * sizeof *share), *value = share + n, *weight = value + n, before = 0;
  float sum = 0;
  if (!share) return cn_no_memory(e);
  for (int64_t i = 0; i < n; i++) value[i] = summary[i], weight[i] = sum += summary[n + i];
  for (int64_t i = 0; i < n; i++) share[i] = (float)weight[i] / sum;
  for (int64_t i = 0; i < m; i++) {
    double wanted = epsilon + (double)i * epsilon;
    while (at < n && share[at] <= wanted) at++;
    double here = line_at(wanted, share, weight, n, at);
    out[i] = (float)line_at(wanted, share, value, n, at);
    out[m + i] = (float)(here - before);
    before = here;
  }
  cn_free(share);
  return CORNU_OK;
}

/* Those of the summary's `bins` bins, as a tensor. */
static cn_status boundaries_of(const float *summary, int64_t n, int64_t bins, cn_tensor **out, cn_error *e) {
  int64_t count = cn_summary_size(n, 1 / (double)bins);
  float *shares = cn_calloc((size_t)count, 2 * sizeof *shares);
  if (!shares) return cn_no_memory(e);
  cn_status status = cn_summary_compress(summary, n, 1 / (double)bins, shares, e);
  if (!status) status = cornu_tensor_new(CORNU_FLOAT32, 1, (int64_t[]){count - 1}, out, e);
  if (!status) memcpy((*out)->data, shares, (size_t)(count - 1) * sizeof *shares);
  cn_free(shares);
  return status;
}

cn_status cn_discretization_learn(cn_layer *l, cn_tensor *summary, cn_error *e) {
  settings *s = l->settings;
  cn_tensor *flat, *boundaries = NULL;
  if (summary->rank != 2 || summary->shape[0] != 2 || summary->shape[1] < 1 || s->bins < 1)
    return cn_fail(e, CORNU_ERR_SHAPE, "the summary of %lld bins has shape %s, expected (2, ?)", (long long)s->bins,
                   CN_SHAPE(summary->rank, summary->shape));
  CN_TRY(cornu_tensor_cast(summary, CORNU_FLOAT32, &flat, e));
  cn_status status = boundaries_of((const float *)(const void *)flat->data, flat->shape[1], s->bins, &boundaries, e);
  if (!status) status = cn_layer_keep(l, 0, boundaries, e);
  if (!status) status = cn_layer_keep(l, 1, flat, e);
  if (!status && l->n_weights) status = cn_layer_set_weight(l, 0, flat, e);
  if (!status && !cn_value_is_null(s->boundaries)) { /* those that were learned before */
    s->boundaries = cn_value_new(&l->arena, CORNU_NULL);
    if (!s->boundaries || !cn_value_put(&l->arena, l->config, "bin_boundaries", (cn_value *)s->boundaries))
      status = cn_no_memory(e);
  }
  cn_layer_changed(l);
  cornu_tensor_release(boundaries);
  cornu_tensor_release(flat);
  return status;
}

static cn_status restore(cn_layer *l, const cn_layer_store *store, cn_error *e) {
  const settings *s = l->settings;
  cn_tensor *summary;
  if (!cn_value_is_null(s->boundaries)) return CORNU_OK;
  CN_TRY(store->array(store->user, "summary", 0, &summary, e));
  if (!summary) return CORNU_OK;
  cn_status status = cn_discretization_learn(l, summary, e);
  cornu_tensor_release(summary);
  return status;
}

/* The summary is a weight in tf.keras. */
static cn_status build(cn_layer *l, const cn_type *in, int n_in, cn_error *e) {
  (void)in, (void)n_in;
  const cn_tensor *summary = cn_layer_kept(l, 1);
  if (!summary || cn_encodes_as_keras3(l)) return CORNU_OK;
  return cn_layer_add_weight(l, "summary", 2, summary->shape, false, NULL, e);
}

/* ---- Lowering ---- */

static cn_edge boundaries(cn_layer *l, cn_trace *t) {
  const settings *s = l->settings;
  cn_tensor *learned = cn_layer_kept(l, 0);
  if (!cn_value_is_null(s->boundaries)) {
    cn_edge list = cn_emit_numbers(t, "bin_boundaries", s->boundaries, CORNU_FLOAT32);
    if (cn_edge_type(t, list)->rank == 0 && !t->status)
      cn_trace_fail(t, CORNU_ERR_ARGUMENT, "\"bin_boundaries\" is one number, expected a list");
    return list;
  }
  if (!learned && !t->planning && s->bins > 0) /* as many are to be learned */
    return cn_emit1(t, &cn_op_broadcast_to, &(cn_ints_attrs){{1, {s->bins - 1}}}, cn_emit_scalar(t, CORNU_FLOAT32, 0));
  if (!learned)
    cn_trace_fail(t, CORNU_ERR_FORMAT, "the bins were not learned, or the file does not keep them: layer:adapt(data) "
                  "learns them, \"bin_boundaries\" gives them");
  return learned ? cn_emit_constant(t, learned) : CN_NO_EDGE;
}

static void lower(cn_layer *l, cn_trace *t, cn_call *c) {
  cn_mode mode = cn_mode_of(((const settings *)l->settings)->mode);
  cn_edge edges = boundaries(l, t), bins = cn_emit2(t, &cn_op_bucketize, NULL, c->in[0].data, edges);
  bool keras3 = cn_encodes_as_keras3(l);
  cornu_dtype dtype = mode == CN_MODE_INT && keras3 ? CORNU_INT32 : cn_category_dtype(l, mode);
  cn_encoding how = {.mode = mode, .depth = cn_edge_type(t, edges)->shape[0] + 1, .dtype = dtype,
                     .weights = CN_NO_EDGE};
  cn_call_return(t, c, cn_emit_encoding(l, t, bins, &how), CN_NO_EDGE);
}

const cn_layer_type cn_layer_discretization = {
    .name = "Discretization",
    .versions = "2 3",
    .help = CN_HELP("the number of boundaries that are not above x\n(…) -> (…), or rows of bins with "
                    "another output_mode"),
    .min_in = 1,
    .max_in = 1,
    .settings_size = sizeof(settings),
    .fields = fields,
    .check = check,
    .restore = restore,
    .build = build,
    .lower = lower,
};
