/* Exact percentiles of many numbers. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Zeroed memory is an empty one. */
struct sample {
    int64_t *values;
    size_t count, room;
};

void sample_add(struct sample *sample, int64_t value);
/* The value that `part` of all (0 to 1) are not above; of those above `above` only. 0: there is
 * none. Reorders the values. */
int64_t sample_percentile(struct sample *sample, double part, int64_t above);
void sample_fini(struct sample *sample);
