/* Patterns that choose among variables by their names. */
#ifndef CN_TRAIN_PATTERN_H
#define CN_TRAIN_PATTERN_H

#include <stdbool.h>

bool cn_pattern_valid(const char *pattern); /* whether it is one that can be read */
/* As Python's re.fullmatch and re.search; false of a pattern that cannot be read. */
bool cn_pattern_matches(const char *pattern, const char *text);
bool cn_pattern_found(const char *pattern, const char *text);

#endif
