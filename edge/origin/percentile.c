#include "edge/origin/percentile.h"

#include "base/arena.h"

#include <math.h>
#include <stdlib.h>

void sample_add(struct sample *sample, int64_t value)
{
    if (sample->count == sample->room) {
        sample->room = sample->room ? sample->room * 2 : 1024;
        sample->values = mem_grow(sample->values, sample->room * sizeof(*sample->values));
    }
    sample->values[sample->count++] = value;
}

static void swap(int64_t *a, int64_t *b)
{
    int64_t was = *a;
    *a = *b;
    *b = was;
}

/* The middle one of three goes to `high`: what is sorted already is not the worst case. */
static int64_t pivot(int64_t *values, size_t low, size_t high)
{
    size_t middle = low + (high - low) / 2;
    if (values[middle] < values[low])
        swap(&values[middle], &values[low]);
    if (values[high] < values[low])
        swap(&values[high], &values[low]);
    if (values[middle] < values[high])
        swap(&values[middle], &values[high]);
    return values[high];
}

/* Quickselect; three parts, as most values may be the same. */
static int64_t select_rank(int64_t *values, size_t count, size_t rank)
{
    size_t low = 0, high = count - 1;
    while (low < high) {
        int64_t by = pivot(values, low, high);
        size_t less = low, greater = high + 1;
        for (size_t i = low; i < greater;) {
            if (values[i] < by)
                swap(&values[i++], &values[less++]);
            else if (values[i] > by)
                swap(&values[i], &values[--greater]);
            else
                i++;
        }
        if (rank >= less && rank < greater)
            break;
        low = rank < less ? low : greater;
        high = rank < less ? less - 1 : high;
    }
    return values[rank];
}

int64_t sample_percentile(struct sample *sample, double part, int64_t above)
{
    size_t skipped = 0;
    for (size_t i = 0; i < sample->count; i++)
        skipped += sample->values[i] <= above;
    size_t count = sample->count - skipped;
    if (count == 0)
        return 0;
    size_t rank = (size_t)ceil(part * (double)count);
    return select_rank(sample->values, sample->count, skipped + (rank > 0 ? rank - 1 : 0));
}

void sample_fini(struct sample *sample)
{
    free(sample->values);
}
