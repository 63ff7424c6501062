/* Fields: one table describes the config keys of a layer or the attributes of an op; parsing, range checks, defaults,
 * unknown-key errors, help, completion and constructors all come from it. */
#ifndef CN_BASE_FIELD_H
#define CN_BASE_FIELD_H

#include "base/value.h"

typedef enum cn_field_kind {
  CN_F_INT,        /* int64_t; null: CN_NULL_INT */
  CN_F_FLOAT,      /* double; null: NaN */
  CN_F_BOOL,       /* bool */
  CN_F_STRING,     /* const char *; null: NULL */
  CN_F_ENUM,       /* int: index into choices; null: -1, where the default is null or "null" is a choice */
  CN_F_INTS,       /* cn_ints; null: n = -1; an int is repeated `count` times */
  CN_F_VALUE,      /* const cn_value *, as it is; null: NULL */
  CN_F_DTYPE,      /* cornu_dtype; null: CORNU_DTYPES */
  CN_F_ACTIVATION, /* cn_activation (layers/activation.h), parsed by the hook */
  CN_F_LAYER,      /* cn_layer *, parsed by the hook, owned by the layer */
  CN_F_PART,       /* an initializer, regularizer or constraint: read from the config where it applies */
  CN_F_IGNORED     /* known, no effect on what Cornu computes (help says why); any value */
} cn_field_kind;

#define CN_NULL_INT INT64_MIN
#define CN_MAX_INTS 16
typedef struct cn_ints { int n; int64_t v[CN_MAX_INTS]; } cn_ints;

/* What tables say of themselves, `.help = CN_HELP("text")` in their rows: the small library leaves it out. */
#ifdef CORNU_LITE
typedef bool cn_help;
#define CN_HELP(...) false
#define CN_HELP_OF(row) ((void)(row), (const char *)NULL)
#else
typedef const char *cn_help;
#define CN_HELP(...) __VA_ARGS__
#define CN_HELP_OF(row) (row)->help
#endif

/* There are thousands of these: small types. */
typedef struct cn_field {
  const char *name;      /* as Keras 3 spells it */
  const char *aliases;   /* older spellings, separated by spaces; may be NULL */
  cn_field_kind kind : 8;
  unsigned offset : 16;  /* of the member in the config struct */
  unsigned count : 6;    /* CN_F_INTS: exactly so many (an int is repeated); 0: any */
  bool null_items : 1;   /* CN_F_INTS: items may be null: CN_NULL_INT; so may all of it; CN_F_FLOAT: it may be null */
  cn_help help;
  const char *standard;  /* default as JSON text; NULL: required; "null" allows null */
  union {
    struct { float min, max; }; /* inclusive range of numbers when min < max */
    const char *choices;        /* CN_F_ENUM: separated by spaces */
  };
} cn_field;

/* Parses the kinds that belong to higher rooms. */
typedef struct cn_field_hooks {
  void *user;
  cn_status (*parse)(void *user, const cn_field *field, const cn_value *v, void *member, cn_error *e);
} cn_field_hooks;

/* Fills `out` from the dict (NULL: all defaults). Strings and values are borrowed from the dict. Keys that no field and
 * no word of `also_known` names are an error with the nearest name. Defaults that need parsing are put into `arena`. */
cn_status cn_fields_parse(const cn_field *fields, const cn_value *dict, void *out, const char *also_known,
                          const cn_field_hooks *hooks, cn_arena *arena, cn_error *e);
/* Reads a default from its text, up to the next blank, comma or bracket; NULL: no memory. */
cn_value *cn_value_standard(cn_arena *a, const char **text);
const cn_field *cn_field_find(const cn_field *fields, const char *name); /* by name or alias; NULL */
bool cn_field_info(const cn_field *fields, int i, cornu_field_info *out);
int cn_field_count(const cn_field *fields);

#endif
