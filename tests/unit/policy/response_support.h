/*
 * A request, a route and an answer made by hand, for the tests of the response side. Header lines
 * are written as "Name: value\nName: value"; a value "@-10" stands for the HTTP date 10 s before
 * NOW.
 */
#pragma once

#include "policy/date.h"
#include "policy/response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct instant NOW = {{1731622400000}, {5000000}}; /* Thu, 14 Nov 2024 22:13:20 GMT */

struct fixture {
    struct arena arena;
    struct policy policy;
    struct route route;
    struct request request;
    struct decision decision;
    struct forward forward;
    struct response response;
    struct exchange_times times;
    struct verdict verdict;
};

static inline struct slices slices_of(struct arena *arena, const char *text)
{
    slice rest = slice_of_string(text), part;
    struct slices list = {arena_array(arena, slice, 80), 0};
    while (slice_next(&rest, ' ', &part))
        if (part.len)
            list.at[list.count++] = part;
    return list;
}

static inline struct instant after(int64_t ms)
{
    return (struct instant){{NOW.wall.ms + ms}, {NOW.mono.ms + ms}};
}

static inline slice value_of_text(struct arena *arena, slice text)
{
    char buffer[HTTP_DATE_BYTES];
    if (text.len == 0 || text.ptr[0] != '@')
        return text;
    int64_t seconds = strtoll(arena_copy(arena, slice_from(text, 1)).ptr, NULL, 10);
    return arena_copy(arena, http_date_format(after(seconds * 1000).wall, buffer));
}

static inline void add_lines(struct fields *fields, const char *lines)
{
    slice rest = slice_of_string(lines), line;
    while (slice_next(&rest, '\n', &line)) {
        size_t colon = slice_find(line, ':', 0);
        if (colon == line.len)
            continue;
        slice value = slice_trim(slice_from(line, colon + 1));
        fields_add(fields, arena_copy_lower(fields->arena, slice_until(line, colon)),
                   value_of_text(fields->arena, value));
    }
}

static inline struct fields fields_of(struct arena *arena, const char *lines)
{
    struct fields fields;
    fields_init(&fields, arena);
    add_lines(&fields, lines);
    return fields;
}

static inline void set_target(struct fixture *f, const char *target)
{
    struct request *r = &f->request;
    r->target = slice_of_string(target);
    size_t mark = slice_find(r->target, '?', 0);
    r->path = slice_until(r->target, mark);
    r->query = slice_from(r->target, mark + 1);
    r->has_query = mark < r->target.len;
    f->decision.query = r->query;
    f->decision.has_query = r->has_query;
}

/* An unsealed GET of https://shop.example/page on a route without anything of its own. */
static inline struct fixture *fixture_new(void)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct arena *a = &f->arena;
    arena_init(a);
    f->route = (struct route){.match = SLICE("/**"),
                              .is_cacheable = true,
                              .ttl = {DURATION_NONE, false},
                              .stale = {false, false, DURATION_NONE, DURATION_NONE},
                              .stale_max = duration_of_seconds(86400),
                              .error_max = duration_of_seconds(10),
                              .heuristic_max = duration_of_seconds(10),
                              .document_max = DURATION_NONE,
                              .content_types = slices_of(a, "text/html text/x-data"),
                              .targeted = slices_of(a, "cdn-cache-control")};
    f->policy.purge_tag_headers = slices_of(a, "surrogate-key cache-tag");
    f->request = (struct request){.arena = a,
                                  .method = METHOD_GET,
                                  .method_text = SLICE("GET"),
                                  .scheme = SLICE("https"),
                                  .host = SLICE("shop.example"),
                                  .received = NOW};
    fields_init(&f->request.fields, a);
    fields_init(&f->forward.fields, a);
    f->decision = (struct decision){.action = ACTION_LOOKUP, .route = &f->route};
    f->times = (struct exchange_times){NOW, NOW};
    set_target(f, "/page");
    return f;
}

static inline void fixture_free(struct fixture *f)
{
    arena_fini(&f->arena);
    free(f);
}

/* The conformance profile (semantics 10.5). */
static inline void use_rfc(struct fixture *f)
{
    f->route.store_statuses = STATUSES_RFC;
    f->route.error_max = DURATION_NONE;
    f->route.store_set_cookie = true;
}

/* A route with `ttl`: sealed fills. */
static inline void use_ttl(struct fixture *f, int64_t seconds, bool is_forced)
{
    f->route.ttl = (struct lifetime_rule){duration_of_seconds(seconds), is_forced};
    f->decision.is_sealed = true;
}

static inline void use_status_ttl(struct fixture *f, unsigned status, int64_t seconds,
                                  bool is_forced)
{
    struct status_lifetime *rule = arena_new(&f->arena, struct status_lifetime);
    *rule = (struct status_lifetime){status, {duration_of_seconds(seconds), is_forced}};
    f->route.status_ttl = rule;
    f->route.status_ttl_count = 1;
    f->decision.is_sealed = true;
}

static inline const struct verdict *judge(struct fixture *f, unsigned status, const char *lines)
{
    f->response = (struct response){.status = status, .fields = fields_of(&f->arena, lines)};
    rules_response(&f->policy, &f->request, &f->decision, &f->forward, &f->response, f->times, 0,
                   &f->verdict);
    return &f->verdict;
}

static inline slice content_type_of(const struct fixture *f)
{
    return fields_value(&f->response.fields, FIELD_CONTENT_TYPE);
}

static inline enum freshness freshness_at(const struct fixture *f, int64_t seconds)
{
    return facts_freshness(&f->verdict.facts, &f->route, false, content_type_of(f), false, false,
                           after(seconds * 1000));
}

static inline int64_t lifetime_seconds(const struct fixture *f)
{
    return facts_lifetime(&f->verdict.facts, &f->route, content_type_of(f)).ms / 1000;
}

static inline bool slice_is(slice s, const char *text)
{
    return slice_equal(s, slice_of_string(text));
}

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
