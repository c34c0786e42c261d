/* How many retries an origin may be asked for: 10 % of the renders of the last 10 s, at least 3
 * (semantics 7.7). Pure; the owner guards it. Zeroed memory is an empty budget. */
#pragma once

#include "base/clock.h"

#include <stddef.h>

enum { RETRY_SECONDS = 10, RETRY_LEAST = 3, RETRY_PART = 10 };

struct retry_budget {
    struct {
        int64_t second; /* of the clock, that the figures are of */
        unsigned renders, retries;
    } last[RETRY_SECONDS];
};

void retry_budget_note_render(struct retry_budget *budget, mono_time now);
/* False: used up. */
bool retry_budget_take(struct retry_budget *budget, mono_time now);
