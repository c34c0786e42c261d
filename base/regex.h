/* Regular expressions (PCRE2, JIT, with match and depth limits). A compiled one may be used by any
 * thread. */
#pragma once

#include "base/slice.h"

struct regex;

/* NULL with a line in `error` (>= 256 bytes) on a bad pattern; *offset is where in the pattern. */
struct regex *regex_compile(slice pattern, bool ignore_case, char *error, size_t *offset);
bool regex_matches(const struct regex *regex, slice subject);
void regex_free(struct regex *regex);
