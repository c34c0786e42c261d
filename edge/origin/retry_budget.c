/* A ring of seconds: a figure that is ten seconds old gives its place to the present one. */
#include "edge/origin/retry_budget.h"

static size_t place_of(struct retry_budget *budget, mono_time now)
{
    int64_t second = now.ms / 1000;
    size_t i = (size_t)(second % RETRY_SECONDS);
    if (budget->last[i].second != second) {
        budget->last[i].second = second;
        budget->last[i].renders = budget->last[i].retries = 0;
    }
    return i;
}

void retry_budget_note_render(struct retry_budget *budget, mono_time now)
{
    budget->last[place_of(budget, now)].renders++;
}

bool retry_budget_take(struct retry_budget *budget, mono_time now)
{
    unsigned renders = 0, retries = 0;
    size_t present = place_of(budget, now);
    for (size_t i = 0; i < RETRY_SECONDS; i++) {
        bool is_recent = now.ms / 1000 - budget->last[i].second < RETRY_SECONDS;
        renders += is_recent ? budget->last[i].renders : 0;
        retries += is_recent ? budget->last[i].retries : 0;
    }
    if (retries >= RETRY_LEAST && retries >= renders / RETRY_PART)
        return false;
    budget->last[present].retries++;
    return true;
}
