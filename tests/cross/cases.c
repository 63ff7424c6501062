/* Models against the outputs that Keras gave: files of scripts/plain_cases.lua. What a model predicts is near them, and a
 * runner gives the same bits in one piece and in slices.
 * usage: cases DIR N: DIR/1.txt and DIR/1.cornu to DIR/N.txt. The last line is `N passed, N failed`. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cornu.h"

enum { MOST_PORTS = 64, WORD = 400 };

typedef struct array { char name[WORD]; cornu_tensor *tensor; } array;
typedef struct test {
  char name[WORD];
  double rtol, atol;
  array in[MOST_PORTS], out[MOST_PORTS];
  int n_in, n_out;
  cornu_tensor *got[MOST_PORTS]; /* what the model predicts */
} test;

/* ---- Reading ---- */

static void set_text(cornu_tensor *t, const int64_t *at, const char *digits, cornu_error *e) {
  char bytes[WORD];
  size_t n = 0;
  unsigned value;
  for (digits++; sscanf(digits, "%2x", &value) == 1; digits += 2) bytes[n++] = (char)value;
  cornu_tensor_set_text(t, at, bytes, n, e);
}

static bool read_numbers(FILE *f, cornu_tensor *t, cornu_error *e) {
  const int64_t n = cornu_tensor_size(t), *shape = cornu_tensor_shape(t);
  for (int64_t i = 0; i < n; i++) {
    int64_t at[CORNU_MAX_RANK], rest = i;
    char word[2 * WORD];
    for (int d = cornu_tensor_rank(t) - 1; d >= 0; d--) at[d] = rest % shape[d], rest /= shape[d];
    if (fscanf(f, "%799s", word) != 1) return false;
    if (cornu_tensor_dtype(t) == CORNU_TEXT) set_text(t, at, word, e);
    else if (cornu_tensor_dtype(t) == CORNU_INT64) cornu_tensor_set_int(t, at, strtoll(word, NULL, 10));
    else cornu_tensor_set(t, at, strtod(word, NULL));
  }
  return true;
}

static bool read_test(const char *path, test *t, cornu_error *e) {
  char what[WORD], name[WORD], type[WORD];
  int rank;
  FILE *f = fopen(path, "r");
  bool fine = f && fscanf(f, "%399s %lf %lf", t->name, &t->rtol, &t->atol) == 3;
  while (fine && fscanf(f, "%399s %399s %399s %d", what, name, type, &rank) == 4) {
    array *a = strcmp(what, "in") == 0 ? &t->in[t->n_in++] : &t->out[t->n_out++];
    int64_t shape[CORNU_MAX_RANK];
    cornu_dtype dtype;
    strcpy(a->name, strcmp(name, "-") == 0 ? "" : name);
    for (int d = 0; d < rank && fine; d++) {
      long long n;
      fine = fscanf(f, "%lld", &n) == 1;
      shape[d] = n;
    }
    fine = fine && cornu_dtype_parse(type, &dtype) && !cornu_tensor_new(dtype, rank, shape, &a->tensor, e) &&
           read_numbers(f, a->tensor, e);
  }
  if (f) fclose(f);
  return fine;
}

/* ---- Checks: an empty message is none ---- */

/* Which array is for port i: the one of its name, or, where arrays have none, the i-th. */
static array *array_of(array *arrays, int n, int i, const cornu_port *port) {
  for (int k = 0; k < n; k++)
    if (*arrays[k].name && ((port->key && strcmp(arrays[k].name, port->key) == 0) ||
                            (port->name && strcmp(arrays[k].name, port->name) == 0)))
      return &arrays[k];
  return i < n && !*arrays[i].name ? &arrays[i] : NULL;
}

static void check_outputs(const cornu_model *m, test *t, char *message) {
  for (int i = 0; i < t->n_out; i++) {
    cornu_port port;
    bool close;
    double worst;
    cornu_error e;
    array *a = cornu_model_output(m, i, &port) ? array_of(t->out, t->n_out, i, &port) : NULL;
    if (!a) snprintf(message, WORD, "nothing is kept of output %d", i);
    else if (cornu_tensor_allclose(t->got[i], a->tensor, t->rtol, t->atol, &close, &worst, &e))
      snprintf(message, WORD, "output %d: %.300s", i, e.message);
    else if (!close) snprintf(message, WORD, "output %d differs by up to %g", i, worst);
  }
}

static cornu_status predict(cornu_model *m, test *t, cornu_tensor **in, char *message, cornu_error *e) {
  for (int i = 0; i < cornu_model_inputs(m); i++) {
    cornu_port port;
    array *a = cornu_model_input(m, i, &port) ? array_of(t->in, t->n_in, i, &port) : NULL;
    if (!a) return snprintf(message, WORD, "nothing is kept for input %d", i), CORNU_OK;
    in[i] = a->tensor;
  }
  cornu_status status = cornu_model_predict(m, in, cornu_model_inputs(m), t->got, e);
  if (!status) check_outputs(m, t, message);
  return status;
}

static bool same_bits(cornu_tensor *a, cornu_tensor *b) {
  const size_t bytes = (size_t)cornu_tensor_size(a) * cornu_dtype_bytes(cornu_tensor_dtype(a));
  return cornu_tensor_dtype(a) == CORNU_TEXT || memcmp(cornu_tensor_data(a), cornu_tensor_data(b), bytes) == 0;
}

/* In one piece, or a microsecond at a time. */
static cornu_status run(cornu_runner *r, bool sliced, cornu_error *e) {
  cornu_status status = sliced ? CORNU_OK : cornu_runner_run(r, e);
  for (bool done = !sliced; !done && !status;) status = cornu_runner_run_for(r, 1, &done, e);
  return status;
}

static cornu_status check_runner(cornu_model *m, const test *t, cornu_tensor **in, bool sliced, char *message,
                                 cornu_error *e) {
  const int64_t *shapes[MOST_PORTS];
  cornu_runner *r;
  const int n = cornu_model_inputs(m);
  for (int i = 0; i < n; i++) shapes[i] = cornu_tensor_shape(in[i]);
  cornu_runner_options o = {.struct_size = sizeof o, .shapes = shapes};
  if (cornu_tensor_rank(in[0]) > 0) o.batch = shapes[0][0];
  cornu_status status = cornu_runner_new(m, &o, &r, e);
  if (status == CORNU_ERR_UNSUPPORTED) return CORNU_OK; /* shapes that depend on the data */
  for (int i = 0; i < n && !status; i++)
    status = cornu_tensor_copy(cornu_runner_tensor(r, CORNU_RUNNER_INPUT, i), in[i], e);
  if (!status) status = run(r, sliced, e);
  for (int i = 0; i < t->n_out && !status; i++)
    if (!same_bits(cornu_runner_tensor(r, CORNU_RUNNER_OUTPUT, i), t->got[i]))
      snprintf(message, WORD, "output %d of a %s run has other bits", i, sliced ? "sliced" : "whole");
  cornu_runner_free(r);
  return status;
}

static bool check(const char *dir, int number) {
  static test t;
  char path[WORD], message[WORD] = "";
  cornu_model *m = NULL;
  cornu_tensor *in[MOST_PORTS];
  cornu_error e = {.message = ""};
  t = (test){.name = ""};
  snprintf(path, sizeof path, "%s/%d.txt", dir, number);
  if (!read_test(path, &t, &e)) return printf("FAILED %s: it cannot be read: %s\n", path, e.message), false;
  snprintf(path, sizeof path, "%s/%d.cornu", dir, number);
  cornu_status status = cornu_model_load(path, NULL, NULL, &m, &e);
  if (!status) status = predict(m, &t, in, message, &e);
  for (int sliced = 0; sliced < 2 && !status && !*message; sliced++)
    status = check_runner(m, &t, in, sliced, message, &e);
  for (int i = 0; i < MOST_PORTS; i++)
    cornu_tensor_release(t.in[i].tensor), cornu_tensor_release(t.out[i].tensor), cornu_tensor_release(t.got[i]);
  cornu_model_release(m);
  if (status || *message) printf("FAILED %s: %s\n", t.name, status ? e.message : message);
  return !status && !*message;
}

int main(int argc, char **argv) {
  int passed = 0, n = argc == 3 ? atoi(argv[2]) : 0;
  for (int i = 1; i <= n; i++) passed += check(argv[1], i);
  printf("%s: %d passed, %d failed\n", cornu_isa(), passed, n - passed);
  return passed == n && n > 0 ? 0 : 1;
}
