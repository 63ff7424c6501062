/* The class CornuModel for Godot 3.2: a Keras model for scripts of a scene. A GDNative library.
 *
 *   load(path) → bool               a model file of the system; afterwards error() tells what was wrong
 *   load_bytes(bytes) → bool        the same from memory: what a File has read from res:// in a packed game
 *   predict(numbers) → numbers      of any number of samples, one after the other; empty: an error
 *   begin(batch) → bool             makes buffers and states for so many samples
 *   step(numbers) → numbers         one frame of all of them, from their states on
 *   reset(sample)                   this one begins anew
 *   error() → String
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cornu.h"
#include "gdnative.h"

#define EXPORT __attribute__((visibility("default")))

typedef struct instance {
  cornu_model *model;
  cornu_runner *runner;
  cornu_error error;
} instance;

static const gd_core *core;
static const gd_nativescript *script;

/* The function at a place of the table, with its type. */
#define CALL(place, result, ...) ((result (*)(__VA_ARGS__))core->functions[place])

/* ---- values of Godot ---- */

static gd_variant nothing(void) {
  gd_variant v;
  CALL(GD_VARIANT_NIL, void, gd_variant *)(&v);
  return v;
}

static gd_variant of_bool(bool b) {
  gd_variant v;
  CALL(GD_VARIANT_BOOL, void, gd_variant *, bool)(&v, b);
  return v;
}

static gd_variant of_text(const char *text) {
  gd_variant v;
  gd_string s = CALL(GD_STRING_OF_UTF8, gd_string, const char *)(text);
  CALL(GD_VARIANT_STRING, void, gd_variant *, const gd_string *)(&v, &s);
  CALL(GD_STRING_DESTROY, void, gd_string *)(&s);
  return v;
}

static gd_variant of_floats(const float *x, int64_t n) {
  gd_variant v;
  gd_reals a;
  CALL(GD_REALS_NEW, void, gd_reals *)(&a);
  CALL(GD_REALS_RESIZE, void, gd_reals *, int)(&a, (int)n);
  gd_access *access = CALL(GD_REALS_WRITE, gd_access *, gd_reals *)(&a);
  if (n) memcpy(CALL(GD_WRITE_POINTER, float *, const gd_access *)(access), x, (size_t)n * sizeof *x);
  CALL(GD_WRITE_END, void, gd_access *)(access);
  CALL(GD_VARIANT_REALS, void, gd_variant *, const gd_reals *)(&v, &a);
  CALL(GD_REALS_DESTROY, void, gd_reals *)(&a);
  return v;
}

static int type_of(const gd_variant *v) { return CALL(GD_VARIANT_TYPE, int, const gd_variant *)(v); }

/* ---- errors ---- */

/* Tells Godot, too, which prints it with the stack of the script. */
static void tell(const instance *self) {
  CALL(GD_PRINT_ERROR, void, const char *, const char *, const char *, int)
  (self->error.message, "CornuModel", "cornu", 0);
}

static bool fail(instance *self, const char *message) {
  self->error.status = CORNU_ERR_ARGUMENT;
  snprintf(self->error.message, sizeof self->error.message, "%s", message);
  tell(self);
  return false;
}

static bool check(instance *self, cornu_status status) {
  if (status) tell(self);
  return status == CORNU_OK;
}

static bool check_arguments(instance *self, int n, gd_variant **arguments, int type, const char *message) {
  return n == 1 && type_of(arguments[0]) == type ? true : fail(self, message);
}

/* ---- whole predictions ---- */

/* In the place of the one before, unless it could not be loaded. */
static gd_variant take_model(instance *self, cornu_status status, cornu_model *m) {
  if (!check(self, status)) return of_bool(false);
  cornu_runner_free(self->runner);
  cornu_model_release(self->model);
  *self = (instance){.model = m};
  return of_bool(true);
}

static gd_variant method_load(gd_object *o, void *data, void *made, int n, gd_variant **arguments) {
  instance *self = made;
  (void)o, (void)data;
  if (!check_arguments(self, n, arguments, GD_STRING, "load: wants the path of a model")) return of_bool(false);
  gd_string path = CALL(GD_AS_STRING, gd_string, const gd_variant *)(arguments[0]);
  gd_char_string chars = CALL(GD_STRING_UTF8, gd_char_string, const gd_string *)(&path);
  cornu_model *m;
  const char *file = CALL(GD_CHARS, const char *, const gd_char_string *)(&chars);
  const cornu_status status = cornu_model_load(file, NULL, NULL, &m, &self->error);
  CALL(GD_CHARS_DESTROY, void, gd_char_string *)(&chars);
  CALL(GD_STRING_DESTROY, void, gd_string *)(&path);
  return take_model(self, status, m);
}

static gd_variant method_load_bytes(gd_object *o, void *data, void *made, int n, gd_variant **arguments) {
  instance *self = made;
  (void)o, (void)data;
  if (!check_arguments(self, n, arguments, GD_BYTES, "load_bytes: wants a PoolByteArray")) return of_bool(false);
  gd_bytes a = CALL(GD_AS_BYTES, gd_bytes, const gd_variant *)(arguments[0]);
  gd_access *access = CALL(GD_BYTES_READ, gd_access *, const gd_bytes *)(&a);
  const cornu_source source = {.struct_size = sizeof source, .name = "bytes",
                               .data = CALL(GD_BYTES_POINTER, const void *, const gd_access *)(access),
                               .size = (size_t)CALL(GD_BYTES_SIZE, int, const gd_bytes *)(&a)};
  cornu_model *m;
  const cornu_status status = cornu_model_load_source(&source, NULL, NULL, &m, &self->error);
  CALL(GD_BYTES_END, void, gd_access *)(access);
  CALL(GD_BYTES_DESTROY, void, gd_bytes *)(&a);
  return take_model(self, status, m);
}

/* The shape of the model's input for so many numbers; false: they are no whole samples. */
static bool shape_of(instance *self, int64_t numbers, cornu_port *port) {
  int64_t one = 1;
  if (!self->model) return fail(self, "predict: no model is loaded");
  if (cornu_model_inputs(self->model) != 1 || cornu_model_outputs(self->model) != 1)
    return fail(self, "predict: the model has not one input and one output");
  cornu_port out;
  cornu_model_output(self->model, 0, &out);
  cornu_model_input(self->model, 0, port);
  if (port->dtype != CORNU_FLOAT32 || port->rank < 1 || out.dtype != CORNU_FLOAT32)
    return fail(self, "predict: the model does not take and give floats");
  for (int i = 1; i < port->rank; i++) {
    if (port->shape[i] < 1) return fail(self, "predict: the model leaves more than its batch open");
    one *= port->shape[i];
  }
  if (numbers < one || numbers % one) return fail(self, "predict: the numbers are no whole samples");
  if (port->shape[0] > 0 && port->shape[0] != numbers / one)
    return fail(self, "predict: the model has a batch of its own");
  port->shape[0] = numbers / one;
  return true;
}

static gd_variant predict(instance *self, float *x, int64_t n) {
  cornu_port port;
  cornu_tensor *in, *out = NULL;
  if (!shape_of(self, n, &port)) return of_floats(NULL, 0);
  if (!check(self, cornu_tensor_wrap(CORNU_FLOAT32, port.rank, port.shape, x, NULL, NULL, &in, &self->error)))
    return of_floats(NULL, 0);
  const bool fine = check(self, cornu_model_predict(self->model, &in, 1, &out, &self->error));
  cornu_tensor_release(in);
  gd_variant v = fine ? of_floats(cornu_tensor_data(out), cornu_tensor_size(out)) : of_floats(NULL, 0);
  cornu_tensor_release(out);
  return v;
}

/* ---- frames ---- */

static gd_variant method_begin(gd_object *o, void *data, void *made, int n, gd_variant **arguments) {
  instance *self = made;
  (void)o, (void)data;
  if (!check_arguments(self, n, arguments, GD_INT, "begin: wants a number of samples")) return of_bool(false);
  if (!self->model) return of_bool(fail(self, "begin: no model is loaded"));
  const cornu_runner_options options = {.struct_size = sizeof options,
                                        .batch = CALL(GD_AS_INT, int64_t, const gd_variant *)(arguments[0])};
  cornu_runner *r;
  if (!check(self, cornu_runner_new(self->model, &options, &r, &self->error))) return of_bool(false);
  cornu_runner_free(self->runner);
  self->runner = r;
  return of_bool(true);
}

static gd_variant step(instance *self, float *x, int64_t n) {
  cornu_tensor *in = self->runner ? cornu_runner_tensor(self->runner, CORNU_RUNNER_INPUT, 0) : NULL;
  cornu_tensor *out = in ? cornu_runner_tensor(self->runner, CORNU_RUNNER_OUTPUT, 0) : NULL;
  if (!in) fail(self, "step: begin(batch) comes first");
  else if (cornu_tensor_dtype(in) != CORNU_FLOAT32 || cornu_tensor_dtype(out) != CORNU_FLOAT32)
    fail(self, "step: the model does not take and give floats");
  else if (cornu_tensor_size(in) != n) fail(self, "step: not as many numbers as all samples have");
  else {
    memcpy(cornu_tensor_data(in), x, (size_t)n * sizeof *x);
    if (check(self, cornu_runner_run(self->runner, &self->error)))
      return of_floats(cornu_tensor_data(out), cornu_tensor_size(out));
  }
  return of_floats(NULL, 0);
}

/* predict and step: from a PoolRealArray to another one; data is which of them. */
static gd_variant method_numbers(gd_object *o, void *data, void *made, int n, gd_variant **arguments) {
  instance *self = made;
  (void)o;
  if (!check_arguments(self, n, arguments, GD_REALS, "wants a PoolRealArray")) return of_floats(NULL, 0);
  gd_reals a = CALL(GD_AS_REALS, gd_reals, const gd_variant *)(arguments[0]);
  gd_access *access = CALL(GD_REALS_READ, gd_access *, const gd_reals *)(&a);
  float *x = (float *)CALL(GD_READ_POINTER, const float *, const gd_access *)(access);
  const int64_t size = CALL(GD_REALS_SIZE, int, const gd_reals *)(&a);
  gd_variant v = data ? step(self, x, size) : predict(self, x, size);
  CALL(GD_READ_END, void, gd_access *)(access);
  CALL(GD_REALS_DESTROY, void, gd_reals *)(&a);
  return v;
}

static gd_variant method_reset(gd_object *o, void *data, void *made, int n, gd_variant **arguments) {
  instance *self = made;
  (void)o, (void)data;
  if (!check_arguments(self, n, arguments, GD_INT, "reset: wants the number of a sample, from 0")) return nothing();
  if (!self->runner) fail(self, "reset: begin(batch) comes first");
  else check(self, cornu_runner_reset(self->runner, CALL(GD_AS_INT, int64_t, const gd_variant *)(arguments[0]), 1,
                                      &self->error));
  return nothing();
}

static gd_variant method_error(gd_object *o, void *data, void *made, int n, gd_variant **arguments) {
  (void)o, (void)data, (void)n, (void)arguments;
  return of_text(((instance *)made)->error.message);
}

/* ---- the library ---- */

static void *create(gd_object *o, void *data) {
  (void)o, (void)data;
  return calloc(1, sizeof(instance));
}

static void destroy(gd_object *o, void *data, void *made) {
  instance *self = made;
  (void)o, (void)data;
  cornu_runner_free(self->runner);
  cornu_model_release(self->model);
  free(self);
}

EXPORT void godot_gdnative_init(gd_options *o);
EXPORT void godot_gdnative_terminate(void *options);
EXPORT void godot_nativescript_init(void *library);

void godot_gdnative_init(gd_options *o) {
  core = o->core;
  for (unsigned i = 0; i < core->n_extensions; i++)
    if (core->extensions[i]->type == GD_NATIVESCRIPT) script = (const gd_nativescript *)core->extensions[i];
}

void godot_gdnative_terminate(void *options) {
  (void)options;
  core = NULL;
}

void godot_nativescript_init(void *library) {
  static const struct { const char *name; gd_method method; } methods[] = {
    {"load", {method_load, NULL, NULL}}, {"load_bytes", {method_load_bytes, NULL, NULL}},
    {"predict", {method_numbers, NULL, NULL}},
    {"begin", {method_begin, NULL, NULL}}, {"step", {method_numbers, (void *)1, NULL}},
    {"reset", {method_reset, NULL, NULL}}, {"error", {method_error, NULL, NULL}}};
  script->register_class(library, "CornuModel", "Node", (gd_create){create, NULL, NULL},
                         (gd_destroy){destroy, NULL, NULL});
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
    script->register_method(library, "CornuModel", methods[i].name, (gd_attributes){0}, methods[i].method);
}
