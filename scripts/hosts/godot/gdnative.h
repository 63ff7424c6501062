/* The part of Godot 3.2's GDNative interface that the class CornuModel uses. Godot hands a table of functions to the
 * library; here it is an array, and the places of those that are called are numbers. */
#ifndef CORNU_HOSTS_GDNATIVE_H
#define CORNU_HOSTS_GDNATIVE_H

#include <stdbool.h>
#include <stdint.h>

/* Values of Godot that are only passed on: as large as Godot's own. */
typedef struct gd_variant { uint64_t hidden[3]; } gd_variant;
typedef struct gd_string { void *hidden; } gd_string;
typedef struct gd_char_string { void *hidden; } gd_char_string;
typedef struct gd_reals { void *hidden; } gd_reals; /* PoolRealArray */
typedef struct gd_bytes { void *hidden; } gd_bytes; /* PoolByteArray */
typedef struct gd_access gd_access;                 /* to what is in such an array */
typedef void gd_object;

enum { GD_NIL = 0, GD_INT = 2, GD_STRING = 4, GD_BYTES = 20, GD_REALS = 22 }; /* types of variants */

/* Each table begins so; `next` is one of a later version. */
typedef struct gd_header {
  unsigned type, major, minor;
  const struct gd_header *next;
} gd_header;

typedef void (*gd_function)(void);
typedef struct gd_core {
  gd_header header;
  unsigned n_extensions;
  const gd_header *const *extensions;
  gd_function functions[744];
} gd_core;

/* Places in gd_core.functions. */
enum {
  GD_BYTES_READ = 165, GD_BYTES_SIZE = 169, GD_BYTES_DESTROY = 170, GD_BYTES_POINTER = 268, GD_BYTES_END = 270,
  GD_AS_BYTES = 557,
  GD_REALS_NEW = 187, GD_REALS_RESIZE = 196, GD_REALS_READ = 197, GD_REALS_WRITE = 198, GD_REALS_SIZE = 201,
  GD_REALS_DESTROY = 202, GD_READ_POINTER = 276, GD_READ_END = 278, GD_WRITE_POINTER = 304, GD_WRITE_END = 306,
  GD_VARIANT_TYPE = 507, GD_VARIANT_NIL = 509, GD_VARIANT_BOOL = 510, GD_VARIANT_INT = 512, GD_VARIANT_STRING = 514,
  GD_VARIANT_REALS = 532, GD_AS_INT = 539, GD_AS_STRING = 541, GD_AS_REALS = 559, GD_CHARS = 572,
  GD_CHARS_DESTROY = 573,
  GD_STRING_UTF8 = 678, GD_STRING_OF_UTF8 = 681, GD_STRING_DESTROY = 721, GD_PRINT_ERROR = 741
};

typedef struct gd_create {
  void *(*create)(gd_object *self, void *data);
  void *data;
  void (*free)(void *data);
} gd_create;
typedef struct gd_destroy {
  void (*destroy)(gd_object *self, void *data, void *made);
  void *data;
  void (*free)(void *data);
} gd_destroy;
typedef struct gd_method {
  gd_variant (*call)(gd_object *self, void *data, void *made, int n, gd_variant **arguments);
  void *data;
  void (*free)(void *data);
} gd_method;
typedef struct gd_attributes { int remote; } gd_attributes;

enum { GD_NATIVESCRIPT = 1 }; /* the type of this extension */
typedef struct gd_nativescript {
  gd_header header;
  void (*register_class)(void *library, const char *name, const char *base, gd_create create, gd_destroy destroy);
  gd_function register_tool_class;
  void (*register_method)(void *library, const char *class, const char *name, gd_attributes attributes,
                          gd_method method);
} gd_nativescript; /* and more that is not used */

typedef struct gd_options {
  bool in_editor;
  uint64_t hashes[3];
  gd_function report_version, report_error;
  gd_object *library;
  const gd_core *core;
} gd_options; /* and more that is not used */

#endif
