#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void must_fail(const char *condition, const char *file, int line)
{
    fprintf(stderr, "varve: broken invariant at %s:%d: %s\n", file, line, condition);
    abort();
}
