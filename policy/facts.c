/*
 * Facts from a response's fields. Nothing here knows the policy: what the fields said is kept, and
 * judged anew at each lookup (semantics 4.3). Also the age of what is stored.
 */
#include "policy/facts.h"

#include "policy/date.h"
#include "policy/media_type.h"

bool status_is_understood(unsigned status)
{
    /* clang-format off */
    static const uint16_t known[] = {
        200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405,
        406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426, 428, 429, 431,
        451, 500, 501, 502, 503, 504, 505, 511};
    /* clang-format on */
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i] == status)
            return true;
    return false;
}

bool status_is_heuristic(unsigned status)
{
    switch (status) {
    case 200:
    case 203:
    case 204:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
        return true;
    default:
        return false;
    }
}

/* Dates count whole seconds; a receipt in the middle of one is not late by the rest of it. */
static wall_time whole_seconds(wall_time t)
{
    int64_t part = t.ms % 1000;
    return (wall_time){t.ms - (part < 0 ? part + 1000 : part)};
}

static bool read_date(const struct fields *fields, enum field_id id, wall_time now, wall_time *date)
{
    const struct field *field = fields_find_id(fields, id);
    return field && http_date_parse(field->value, now, date);
}

/* RFC 9111 §5.1: of the first line the first member; what is not a number is as if absent. */
static duration age_received(const struct fields *fields)
{
    duration age = {0};
    slice value = fields_value(fields, FIELD_AGE);
    delta_seconds_parse(slice_trim(slice_until(value, slice_find(value, ',', 0))), &age);
    return age;
}

/* RFC 9111 §4.2.3. The delay is measured by the clock that nobody sets. */
static duration corrected_initial_age(const struct fields *fields, wall_time date,
                                      struct exchange_times times)
{
    duration apparent = wall_since(whole_seconds(times.received.wall), date);
    duration delay = mono_since(times.received.mono, times.sent.mono);
    duration corrected = duration_add(age_received(fields), delay.ms > 0 ? delay : (duration){0});
    return apparent.ms > corrected.ms ? apparent : corrected;
}

/* Expires on the origin's clock; an invalid date is in the past, and so are two (RFC 9111 §5.3). */
static duration lifetime_of_expires(const struct fields *fields, wall_time date, wall_time now)
{
    wall_time expires;
    if (fields_count_id(fields, FIELD_EXPIRES) != 1 ||
        !read_date(fields, FIELD_EXPIRES, now, &expires))
        return (duration){0};
    duration lifetime = wall_since(expires, date);
    return lifetime.ms > 0 ? lifetime : (duration){0};
}

static duration explicit_lifetime(const struct fields *fields, const struct directives *d,
                                  wall_time date, wall_time now)
{
    if (duration_is_given(d->s_maxage))
        return d->s_maxage;
    if (duration_is_given(d->max_age))
        return d->max_age;
    if (d->is_targeted || !fields_find_id(fields, FIELD_EXPIRES))
        return DURATION_NONE;
    return lifetime_of_expires(fields, date, now);
}

/*
 * Next.js says by this field alone that it is making a page anew and gives the old one meanwhile:
 * with the whole lifetime of a new one, and without Age. The new one is due in a moment.
 */
static bool is_stale_of_next(const struct fields *fields)
{
    const struct field *field = fields_find(fields, SLICE("x-nextjs-cache"));
    return field && slice_equal(slice_trim(field->value), SLICE("STALE"));
}

static duration at_most_a_moment(duration lifetime)
{
    enum { MOMENT_MS = 1000 };
    return lifetime.ms > MOMENT_MS ? (duration){MOMENT_MS} : lifetime;
}

/* must-understand lifts no-store where the status is understood (RFC 9111 §5.2.2.3). */
static uint32_t flags_of_directives(const struct directives *d, unsigned status)
{
    bool no_store = d->no_store && !(d->must_understand && status_is_understood(status));
    uint32_t flags = 0;
    flags |= no_store ? FACT_NO_STORE : 0;
    flags |= d->is_private ? FACT_PRIVATE : 0;
    flags |= d->no_cache ? FACT_NO_CACHE : 0;
    flags |= d->must_revalidate || d->proxy_revalidate ? FACT_MUST_REVALIDATE : 0;
    flags |= duration_is_given(d->s_maxage) ? FACT_S_MAXAGE : 0;
    flags |= d->is_public ? FACT_PUBLIC : 0;
    flags |= d->no_transform ? FACT_NO_TRANSFORM : 0;
    flags |= d->is_targeted ? FACT_TARGETED : 0;
    flags |= d->must_understand ? FACT_MUST_UNDERSTAND : 0;
    return flags;
}

static uint32_t flags_of_facts(const struct facts *facts, const struct fields *fields)
{
    uint32_t flags = 0;
    if (duration_is_given(facts->explicit_lifetime) ||
        facts->flags & (FACT_NO_STORE | FACT_PRIVATE | FACT_NO_CACHE))
        flags |= FACT_EXPLICIT;
    if (slice_trim(fields_value(fields, FIELD_ETAG)).len)
        flags |= FACT_ETAG;
    if (media_type_is_page(fields_value(fields, FIELD_CONTENT_TYPE)))
        flags |= FACT_PAGE_TYPE;
    return flags;
}

void facts_of_response(unsigned status, const struct fields *fields,
                       const struct directives *directives, struct exchange_times times,
                       uint32_t jitter_seed, struct facts *facts)
{
    wall_time now = times.received.wall;
    memset(facts, 0, sizeof(*facts)); /* they are stored byte for byte */
    facts->status = status;
    facts->request_time = times.sent.wall;
    facts->response_time = now;
    facts->response_mono = times.received.mono;
    facts->boot_id = clock_boot_id();
    facts->jitter = jitter_seed % 1001;
    facts->stale_while_revalidate = directives->stale_while_revalidate;
    facts->stale_if_error = directives->stale_if_error;
    facts->flags = flags_of_directives(directives, status);
    if (!read_date(fields, FIELD_DATE, now, &facts->date))
        facts->date = whole_seconds(now);
    if (read_date(fields, FIELD_LAST_MODIFIED, now, &facts->last_modified))
        facts->flags |= FACT_LAST_MODIFIED;
    facts->initial_age = corrected_initial_age(fields, facts->date, times);
    facts->explicit_lifetime = explicit_lifetime(fields, directives, facts->date, now);
    if (is_stale_of_next(fields))
        facts->explicit_lifetime = at_most_a_moment(facts->explicit_lifetime);
    facts->flags |= flags_of_facts(facts, fields);
}

/* Whoever filled it: what a browser calls a navigation is in no key (semantics 4.1). */
static bool is_page_without_body(const struct facts *facts, const struct route *route)
{
    return route->store_statuses == STATUSES_PAGES && facts->flags & FACT_NO_BODY &&
           (facts->status == 200 || facts->status == 204);
}

bool facts_may_answer(const struct facts *facts, const struct decision *decision)
{
    return !decision->is_navigation || (facts->flags & (FACT_PAGE_TYPE | FACT_NAVIGATION) &&
                                        !is_page_without_body(facts, decision->route));
}
