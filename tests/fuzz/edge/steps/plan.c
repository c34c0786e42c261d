#include "tests/fuzz/edge/steps/plan.h"

#include <time.h>

const char *const vary_names[VARY_COUNT] = {
    "accept-language", "x-foo",         "user-agent",      "cookie",
    "x-original-url",  "authorization", "accept-encoding", "*"};

/* --- Cache-Control: texts and what they mean --- */

struct saying {
    const char *text;
    struct claims claims;
};

#define SAYS(...)                                                                                  \
    {                                                                                              \
        .max_age = NONE, .s_maxage = NONE, .while_revalidate = NONE, .if_error = NONE,             \
        .is_given = true, __VA_ARGS__                                                              \
    }
#pragma GCC diagnostic ignored "-Winitializer-overrides"

static const struct saying sayings[] = {
    {"max-age=10", SAYS(.max_age = 10)},
    {NULL, SAYS(.is_given = false)},
    {"max-age=100", SAYS(.max_age = 100)},
    {"s-maxage=10", SAYS(.s_maxage = 10)},
    {"s-maxage=100, max-age=0", SAYS(.s_maxage = 100, .max_age = 0)},
    {"max-age=0", SAYS(.max_age = 0)},
    {"no-store", SAYS(.no_store = true)},
    {"private, max-age=100", SAYS(.is_private = true, .max_age = 100)},
    {"no-cache", SAYS(.no_cache = true)},
    {"MAX-AGE=10", SAYS(.max_age = 10)},
    {"max-age=\"10\"", SAYS(.max_age = 10)},
    {"max-age=10, max-age=100", SAYS(.max_age = 10)},
    {"foo=\"max-age=100\", max-age=10", SAYS(.max_age = 10)},
    {"max-age=100, No-Store", SAYS(.max_age = 100, .no_store = true)},
    {"max-age=100, No-Cache", SAYS(.max_age = 100, .no_cache = true)},
    {"no-cache=\"x-secret\", max-age=100", SAYS(.max_age = 100, .limits_secret = true)},
    {"private=\"x-secret\", max-age=100", SAYS(.max_age = 100, .limits_secret = true)},
    {"max-age=-10", SAYS(.max_age = 0)},
    {"max-age=1.5", SAYS(.max_age = 0)},
    {"max-age=100, must-understand, no-store",
     SAYS(.max_age = 100, .must_understand = true, .no_store = true)},
    {"public", SAYS(.is_public = true)},
    {"max-age=99999999999", SAYS(.max_age = 99999999999)},
};

static const struct saying additions[] = {
    {NULL, SAYS()},
    {"must-revalidate", SAYS(.must_revalidate = true)},
    {"proxy-revalidate", SAYS(.must_revalidate = true)},
    {"public", SAYS(.is_public = true)},
    {"stale-while-revalidate=20", SAYS(.while_revalidate = 20)},
    {"stale-if-error=20", SAYS(.if_error = 20)},
    {"stale-while-revalidate=20, stale-if-error=40", SAYS(.while_revalidate = 20, .if_error = 40)},
    {"must-revalidate, stale-while-revalidate=20",
     SAYS(.must_revalidate = true, .while_revalidate = 20)},
};

/* RFC 9213 §2.2: any error, and the field counts as absent. */
static const struct saying targeted_sayings[] = {
    {"max-age=100", SAYS(.max_age = 100)},
    {"max-age=10", SAYS(.max_age = 10)},
    {"no-store", SAYS(.no_store = true)},
    {"max-age=0", SAYS(.max_age = 0)},
    {"private", SAYS(.is_private = true)},
    {"no-cache", SAYS(.no_cache = true)},
    {"max-age=100, &&", SAYS(.is_given = false)},
    {"max-age=10, must-revalidate", SAYS(.max_age = 10, .must_revalidate = true)},
    {"MAX-AGE=100", SAYS(.is_given = false)},
    {"max-age=10, stale-while-revalidate=20", SAYS(.max_age = 10, .while_revalidate = 20)},
};

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static void draw_control(struct script *script, struct plan *plan)
{
    const struct saying *first = &sayings[script_choose(script, COUNT(sayings))];
    unsigned more = script_byte(script);
    const struct saying *second = &additions[more % COUNT(additions)];
    plan->plain_text[0] = first->text;
    plan->plain_text[1] = second->text;
    plan->plain = first->claims;
    plan->plain.must_revalidate |= second->claims.must_revalidate;
    plan->plain.is_public |= second->claims.is_public;
    plan->plain.while_revalidate = second->claims.while_revalidate;
    plan->plain.if_error = second->claims.if_error;
    plan->plain.is_given |= second->text != NULL;
    if (more >= 192) {
        const struct saying *targeted = &targeted_sayings[more / 8 % COUNT(targeted_sayings)];
        plan->targeted_text = targeted->text;
        plan->targeted = targeted->claims;
    }
}

const struct claims *plan_claims(const struct plan *plan)
{
    return plan->targeted.is_given ? &plan->targeted : &plan->plain;
}

/* --- dates and ages --- */

static void draw_dates(struct script *script, struct plan *plan)
{
    static const int64_t dates[] = {0, 0, -5, 5, -1000, 0};
    static const int64_t expiries[] = {10, -10, 100, 0};
    static const int64_t ages[] = {NONE, 0, 5, 50, NONE, 5};
    static const char *const age_texts[] = {NULL, "0", "5", "50", "abc", "5, 0"};
    unsigned date = script_byte(script), more = script_byte(script);
    plan->has_date = date % 6 != 1;
    plan->date_is_invalid = date % 6 == 5;
    plan->date = dates[date % 6];
    plan->has_expires = (date / 6 & 3) == 1;
    plan->expires = expiries[date / 24 & 3];
    plan->expires_is_invalid = plan->expires == 0;
    plan->age = ages[more % 6];
    plan->age_text = age_texts[more % 6];
    plan->has_modified = (more / 6 & 3) != 0;
    plan->modified = (more / 6 & 3) == 1 ? -10 : -1000;
    plan->has_etag = more / 24 & 1;
    plan->etag_is_weak = more / 48 & 1;
}

/* --- all of it --- */

static void draw_status(struct script *script, struct plan *plan)
{
    static const unsigned statuses[] = {200, 200, 200, 200, 304, 304, 404, 500, 503, 302, 206,
                                        204, 301, 410, 599, 203, 200, 307, 403, 502, 304, 200};
    unsigned status = script_byte(script);
    plan->status = statuses[status % COUNT(statuses)];
    plan->fails = status >= 250;
    plan->failure = status - 250;
    plan->answers_304_unasked = status >= 240;
}

struct plan plan_draw(struct script *script)
{
    static const size_t sizes[] = {12, 40, 0, 5000, 70000, 1};
    static const char *const types[] = {"text/html",  "application/json",
                                        "text/plain", "text/html; charset=utf-8",
                                        NULL,         "text/event-stream"};
    static const uint8_t varies[] = {0, 0, 1, 2, 3, 4, 8, 16, 32, 64, 128, 10};
    struct plan plan = {.status = 200};
    draw_status(script, &plan);
    draw_control(script, &plan);
    unsigned parts = script_byte(script), body = script_byte(script);
    if (parts & 1)
        draw_dates(script, &plan);
    else
        plan = (plan.has_date = true, plan.has_etag = parts >> 1 & 1, plan.age = NONE, plan);
    plan.vary = varies[(parts >> 2) % COUNT(varies)];
    plan.set_cookie = parts >= 224 ? SET_SESSION : parts >= 200 ? SET_ANALYTICS : SET_NO_COOKIE;
    plan.tag = body % 3;
    plan.body_bytes = sizes[body % COUNT(sizes)];
    plan.type = types[body / 6 % COUNT(types)];
    plan.length_is_known = body / 36 & 1;
    plan.has_interim = body >= 250;
    plan.names_itself = body / 72 & 1;
    plan.is_coded = body >= 144;
    unsigned how = script_byte(script);
    plan.hold = (how & 15) < 3 ? (enum hold)((how & 15) + 1) : HOLD_NOT;
    plan.ending = how >> 4 == 15 ? END_CUT : how >> 4 == 14 ? END_BY_CLOSING : END_CLEAN;
    return plan;
}

static void add(struct fields *fields, const char *name, slice value)
{
    fields_add(fields, slice_of_string(name), arena_copy(fields->arena, value));
}

static void add_date(struct fields *fields, const char *name, int64_t ms)
{
    char text[64];
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    add(fields, name, slice_of_string(text));
}

static void add_dates(const struct plan *plan, int64_t now_ms, struct fields *fields)
{
    if (plan->has_date && plan->date_is_invalid)
        add(fields, "date", SLICE("yesterday"));
    else if (plan->has_date)
        add_date(fields, "date", now_ms + plan->date * 1000);
    if (plan->has_expires && plan->expires_is_invalid)
        add(fields, "expires", SLICE("0"));
    else if (plan->has_expires)
        add_date(fields, "expires", now_ms + plan->expires * 1000);
    if (plan->has_modified)
        add_date(fields, "last-modified", now_ms + plan->modified * 1000);
    if (plan->age_text)
        add(fields, "age", slice_of_string(plan->age_text));
}

static void add_control(const struct plan *plan, struct fields *fields)
{
    for (size_t i = 0; i < 2; i++)
        if (plan->plain_text[i])
            add(fields, "cache-control", slice_of_string(plan->plain_text[i]));
    if (plan->targeted_text)
        add(fields, "cdn-cache-control", slice_of_string(plan->targeted_text));
    for (size_t i = 0; i < VARY_COUNT; i++)
        if (plan->vary >> i & 1)
            add(fields, "vary", slice_of_string(vary_names[i]));
}

static void add_serial(unsigned serial, unsigned status, struct fields *fields)
{
    struct arena *arena = fields->arena;
    fields_add(fields, arena_printf(arena, "x-h%u", serial), SLICE("1"));
    add(fields, "x-secret", SLICE("s"));
    if (status != 304)
        fields_add(fields, SLICE("x-body"), arena_printf(arena, "%u", serial));
}

void plan_fields(const struct plan *plan, unsigned serial, unsigned status, int64_t now_ms,
                 const char *location, struct fields *fields)
{
    if (plan->names_itself)
        add(fields, "content-location", slice_of_string(location));
    add_serial(serial, status, fields);
    add_control(plan, fields);
    add_dates(plan, now_ms, fields);
    if (plan->has_etag && status != 304)
        fields_add(
            fields, SLICE("etag"),
            arena_printf(fields->arena, "%s\"e%u\"", plan->etag_is_weak ? "W/" : "", serial));
    if (plan->set_cookie != SET_NO_COOKIE)
        add(fields, "set-cookie",
            plan->set_cookie == SET_SESSION ? SLICE("sid=new") : SLICE("_ga=new"));
    if (plan->tag)
        add(fields, "cache-tag", plan->tag == 1 ? SLICE("t1") : SLICE("t2"));
    if (plan->is_coded && status != 304)
        add(fields, "content-encoding", SLICE("gzip"));
    if (plan->type && status != 304)
        add(fields, "content-type", slice_of_string(plan->type));
    if (status == 301 || status == 302 || status == 307)
        add(fields, "location", SLICE("/elsewhere"));
    if (status == 206)
        add(fields, "content-range", SLICE("bytes 0-11/1000"));
}

char plan_body_byte(unsigned serial, size_t at)
{
    static const char digits[] = "0123456789abcdef";
    return at % 8 < 4 ? digits[serial >> (4 * (at % 8)) & 15] : digits[at >> (4 * (at % 4)) & 15];
}
