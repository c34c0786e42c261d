#include "tests/fuzz/edge/steps/visit.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static const struct target targets[] = {
    {"http", "a.test", "/a", NULL},    {"http", "a.test", "/a", "a=1"},
    {"http", "a.test", "/a", "utm=1"}, {"http", "a.test", "/a", "a=1&utm=2"},
    {"https", "a.test", "/a", NULL},   {"http", "b.test", "/a", NULL},
    {"http", "a.test", "/b", NULL},    {"http", "a.test", "/a", "a=2"},
};

const struct target *target_draw(struct script *script)
{
    return &targets[script_choose(script, COUNT(targets))];
}

static void add(struct visit *visit, const char *name, const char *value)
{
    if (value && visit->field_count < VISIT_FIELDS)
        visit->fields[visit->field_count++] = (struct visit_field){name, value};
}

static void draw_person(struct script *script, struct visit *visit)
{
    static const char *const cookies[] = {"_ga=1", "ab=1",        "ab=2",         "sid=alice",
                                          NULL,    "_ga=1; ab=1", "sid=bob; ab=1"};
    static const char *const authorizations[] = {NULL, NULL, "Bearer alice", "Bearer bob"};
    unsigned byte = script_byte(script);
    add(visit, "cookie", cookies[byte % COUNT(cookies)]);
    add(visit, "authorization", authorizations[byte / 7 % COUNT(authorizations)]);
}

static void draw_variant(struct script *script, struct visit *visit)
{
    static const char *const languages[] = {NULL, "en", "de", "de;q=0.9, en;q=0.1", "fr", "EN"};
    static const char *const foos[] = {NULL, "1", "2", "1 , 2", "1,2"};
    static const char *const agents[] = {"A", NULL, "B"};
    static const char *const originals[] = {NULL, "/evil"};
    unsigned byte = script_byte(script);
    add(visit, "accept-language", languages[byte % COUNT(languages)]);
    add(visit, "x-foo", foos[byte / 6 % COUNT(foos)]);
    add(visit, "user-agent", agents[byte / 30 % COUNT(agents)]);
    add(visit, "x-original-url", originals[byte / 90 % COUNT(originals)]);
}

static void draw_kind(struct script *script, struct visit *visit)
{
    static const char *const accepts[] = {NULL, "text/html", "application/json", "*/*",
                                          "text/event-stream"};
    static const char *const rscs[] = {NULL, "1"};
    static const char *const controls[] = {NULL, "no-cache", "max-age=0", "only-if-cached",
                                           "no-store"};
    static const char *const codings[] = {NULL, "gzip"};
    unsigned byte = script_byte(script);
    add(visit, "accept", accepts[byte % COUNT(accepts)]);
    add(visit, "rsc", rscs[byte / 5 % COUNT(rscs)]);
    add(visit, "cache-control", controls[byte / 10 % COUNT(controls)]);
    add(visit, "accept-encoding", codings[byte / 50 % COUNT(codings)]);
}

static void draw_conditions(struct script *script, unsigned last_serial, struct visit *visit)
{
    static const char *const ranges[] = {NULL,
                                         "bytes=0-1",
                                         "bytes=2-",
                                         "bytes=-2",
                                         "bytes=0-0,3-4",
                                         "bytes=900000-",
                                         "bytes=1-900000"};
    unsigned byte = script_byte(script);
    snprintf(visit->etag, sizeof(visit->etag), "\"e%u\"", last_serial - (byte / 4 & 3));
    const char *const etags[] = {NULL, visit->etag, "*", "\"x\""};
    add(visit, "if-none-match", etags[byte & 3]);
    add(visit, "range", ranges[byte / 16 % COUNT(ranges)]);
    if (byte / 112 == 1)
        add(visit, "if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT");
    if (byte / 112 == 2)
        add(visit, "if-range", visit->etag);
}

void visit_draw(struct script *script, unsigned last_serial, struct visit *visit)
{
    static const char *const methods[] = {"GET", "GET",     "GET", "GET",      "HEAD", "POST",
                                          "GET", "DELETE",  "GET", "M-SEARCH", "GET",  "HEAD",
                                          "GET", "OPTIONS", "GET", "PUT"};
    unsigned what = script_byte(script), groups = script_byte(script);
    visit->target = &targets[what & 7];
    visit->method = methods[groups >> 4];
    snprintf(visit->url, sizeof(visit->url), visit->target->query ? "%s?%s" : "%s",
             visit->target->path, visit->target->query);
    visit->gone_inside = what >> 3 & 1;
    visit->is_h2 = what >> 4 & 1;
    visit->is_stalled = what >> 5 == 7;
    if (groups & 1)
        draw_person(script, visit);
    if (groups & 2)
        draw_variant(script, visit);
    if (groups & 4)
        draw_kind(script, visit);
    if (groups & 8)
        draw_conditions(script, last_serial, visit);
    visit->plan = plan_draw(script);
}

const char *visit_value(const struct visit *visit, const char *name)
{
    for (size_t i = 0; i < visit->field_count; i++)
        if (strcmp(visit->fields[i].name, name) == 0)
            return visit->fields[i].value;
    return NULL;
}

/* Everything is copied: what is read after the client is gone is read from freed memory. */
void visit_make_request(struct visit *visit, struct instant now)
{
    struct arena *arena = &visit->arena;
    const struct target *target = visit->target;
    struct request *r = &visit->request;
    arena_init(arena);
    *r = (struct request){.arena = arena, .http_major = visit->is_h2 ? 2 : 1, .received = now};
    r->http_minor = visit->is_h2 ? 0 : 1;
    r->method_text = arena_copy(arena, slice_of_string(visit->method));
    r->method = method_of(r->method_text);
    r->scheme = arena_copy(arena, slice_of_string(target->scheme));
    r->host = r->host_raw = arena_copy(arena, slice_of_string(target->host));
    r->target = arena_copy(arena, slice_of_string(visit->url));
    size_t mark = slice_find(r->target, '?', 0);
    r->path = slice_until(r->target, mark);
    r->has_query = mark < r->target.len;
    r->query = slice_from(r->target, mark + 1);
    r->id = arena_printf(arena, "v%u", visit->number);
    ip_parse(SLICE("192.0.2.7"), &r->peer);
    r->client = r->peer;
    fields_init(&r->fields, arena);
    for (size_t i = 0; i < visit->field_count; i++)
        fields_add(&r->fields, arena_copy(arena, slice_of_string(visit->fields[i].name)),
                   arena_copy(arena, slice_of_string(visit->fields[i].value)));
    if (r->method == METHOD_POST || r->method == METHOD_PUT) {
        r->has_body = true;
        r->body = arena_copy(arena, SLICE("q=1"));
    }
}
