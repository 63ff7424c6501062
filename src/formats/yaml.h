/* YAML as PyYAML writes and reads it: what to_yaml of Keras 1 and 2 saved. */
#ifndef CN_FORMATS_YAML_H
#define CN_FORMATS_YAML_H

#include "base/value.h"

/* One document. Plain words are typed by YAML 1.1 (yes and off are bools, 0x10 and 1:30 are ints, 1e3 is text), tags of
 * Python's own types and of NumPy's numbers are understood, any other tag is refused: nothing is ever executed. Aliases
 * are copied, within limits. */
cn_status cn_yaml_read(cornu_tree *tree, const char *text, size_t length, cn_value **out, cn_error *e);

/* What a plain word means; text when it is nothing else. NULL: no memory. */
cn_value *cn_yaml_plain(cn_arena *a, const char *text, size_t length);
/* A value of a tag "!!python/…", from what stands behind it; *out NULL: no such tag. */
cn_status cn_yaml_python(cn_arena *a, const char *tag, cn_value *v, cn_value **out, cn_error *e);
/* The bytes of a !!binary as a text of as many bytes (it need not be UTF-8); NULL: no memory, or not base 64. */
cn_value *cn_yaml_binary(cn_arena *a, const char *text, size_t length);

#endif
