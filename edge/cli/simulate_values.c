/* Rates, render times, shares and outages as people write them. */
#include "edge/cli/simulate.h"
#include "policy/units.h"

#include <stdio.h>
#include <stdlib.h>

bool simulate_parse_number(slice text, double max, double *value)
{
    char copy[24];
    size_t points = 0;
    if (text.len == 0 || text.len >= sizeof(copy) || text.ptr[0] == '.')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        points += text.ptr[i] == '.';
        if (text.ptr[i] != '.' && (text.ptr[i] < '0' || text.ptr[i] > '9'))
            return false;
    }
    snprintf(copy, sizeof(copy), "%" SLICE_FMT, SLICE_ARG(text));
    *value = strtod(copy, NULL);
    return points <= 1 && *value <= max;
}

bool simulate_parse_share(slice text, double *share)
{
    double percent;
    if (!slice_ends_with(text, SLICE("%")) ||
        !simulate_parse_number(slice_until(text, text.len - 1), 100, &percent))
        return false;
    *share = percent / 100;
    return true;
}

/* A hundred days are enough, and microseconds of them do not overflow. */
static bool parse_time_us(slice text, int64_t *us)
{
    duration time;
    if (!units_parse_duration(text, &time) || time.ms > INT64_C(8640000000))
        return false;
    *us = time.ms * 1000;
    return true;
}

/* --- rates: 200/s, or 20/s:60s,200/s:30s,20/s:60s --- */

static bool parse_step(slice text, struct load_step *step)
{
    static const double MOST = 1e6;
    size_t slash = slice_find(text, '/', 0), colon = slice_find(text, ':', 0);
    slice unit = slice_from(slice_until(text, colon), slash + 1);
    double per = slice_equal(unit, SLICE("s")) ? 1 : slice_equal(unit, SLICE("m")) ? 60 : 3600;
    if (per == 3600 && !slice_equal(unit, SLICE("h")))
        return false;
    if (!simulate_parse_number(slice_until(text, slash), MOST, &step->per_second))
        return false;
    step->per_second /= per;
    step->length_us = 0;
    return colon == text.len ||
           (parse_time_us(slice_from(text, colon + 1), &step->length_us) && step->length_us > 0);
}

bool simulate_parse_rate(slice text, struct load_step steps[LOAD_STEPS_MAX], size_t *count)
{
    slice rest = text, part;
    bool is_endless = false, has_any = false;
    for (*count = 0; slice_next(&rest, ',', &part); ++*count) {
        if (is_endless || *count == LOAD_STEPS_MAX || !parse_step(part, &steps[*count]))
            return false; /* only the last one may go on and on */
        is_endless = steps[*count].length_us == 0;
        has_any |= steps[*count].per_second > 0;
    }
    return has_any;
}

/* --- render times --- */

static bool parse_words(slice text, slice words[4], size_t *count)
{
    slice rest = text;
    for (*count = 0; *count < 4 && slice_next(&rest, ',', &words[*count]); ++*count)
        continue;
    return rest.ptr == NULL;
}

static bool parse_time(slice text, double *us)
{
    int64_t time_us;
    if (!parse_time_us(text, &time_us))
        return false;
    *us = (double)time_us;
    return true;
}

bool simulate_parse_render(slice text, struct render_times *render)
{
    size_t colon = slice_find(text, ':', 0), count;
    slice kind = slice_until(text, colon), words[4];
    if (colon == text.len) { /* 50ms */
        *render = (struct render_times){.kind = RENDER_CONSTANT};
        return parse_time(text, &render->us);
    }
    if (!parse_words(slice_from(text, colon + 1), words, &count) || count == 0 ||
        !parse_time(words[0], &render->us))
        return false;
    if (slice_equal(kind, SLICE("constant"))) {
        render->kind = RENDER_CONSTANT;
        return count == 1;
    }
    if (slice_equal(kind, SLICE("exponential"))) {
        render->kind = RENDER_EXPONENTIAL;
        return count == 1;
    }
    if (slice_equal(kind, SLICE("lognormal"))) {
        render->kind = RENDER_LOGNORMAL;
        return count == 2 && simulate_parse_number(words[1], 5, &render->spread);
    }
    render->kind = RENDER_BIMODAL;
    return slice_equal(kind, SLICE("bimodal")) && count == 3 &&
           parse_time(words[1], &render->other_us) &&
           simulate_parse_share(words[2], &render->share);
}

/* --- outages: 0@60s+10s --- */

bool simulate_parse_outage(slice text, struct simulation_outage *outage)
{
    size_t at = slice_find(text, '@', 0), plus = slice_find(text, '+', 0);
    uint64_t worker;
    int64_t length_us;
    if (at >= plus || plus == text.len || !slice_to_u64(slice_until(text, at), &worker) ||
        worker > UINT16_MAX ||
        !parse_time_us(slice_from(slice_until(text, plus), at + 1), &outage->at_us) ||
        !parse_time_us(slice_from(text, plus + 1), &length_us))
        return false;
    outage->worker = (unsigned)worker;
    outage->until_us = outage->at_us + length_us;
    return true;
}
