/*
 * Any header lines as the answer to a fill: judging, freshness, conditions and merging neither
 * crash nor break the rules that never bend. The first byte chooses the route, the second the
 * status; the rest are lines "name: value", those behind an empty line are of the client's request
 * and of a 304.
 */
#include "base/must.h"
#include "policy/date.h"
#include "policy/response.h"

static const struct instant now = {{1731622400000}, {5000000}};
static const unsigned statuses[] = {200, 203, 204, 206, 301, 302, 304, 404, 410, 418, 500, 599};

static slice types[] = {{"text/*", 6}}, targeted[] = {{"cdn-cache-control", 17}};
static slice tag_headers[] = {{"surrogate-key", 13}}, codings[] = {{"br", 2}};
static slice held[] = {{"_ga", 3}};

static void read_lines(struct fields *fields, slice *rest)
{
    slice line;
    while (slice_next(rest, '\n', &line) && line.len) {
        size_t colon = slice_find(line, ':', 0);
        if (colon < line.len && fields->count < 100)
            fields_add(fields, arena_copy_lower(fields->arena, slice_until(line, colon)),
                       slice_trim(slice_from(line, colon + 1)));
    }
}

static struct route route_of(unsigned mode)
{
    static const duration none = {INT64_MIN}, minute = {60000}, zero = {0};
    return (struct route){
        .is_cacheable = true,
        .ttl = {mode & 1 ? minute : none, mode & 2},
        .stale = {mode & 4, mode & 8, mode & 16 ? minute : none, mode & 16 ? zero : none},
        .stale_max = {86400000},
        .error_max = mode & 32 ? none : minute,
        .heuristic_max = {10000},
        .document_max = mode & 16 ? minute : none,
        .store_statuses = mode & 32 ? STATUSES_RFC : STATUSES_PAGES,
        .store_set_cookie = mode & 64,
        .content_types = {types, 1},
        .targeted = {targeted, 1},
    };
}

static bool is_forced(const struct route *route)
{
    return duration_is_given(route->ttl.value) && route->ttl.is_forced;
}

static void check_verdict(const struct verdict *v, const struct route *route,
                          const struct fields *fields)
{
    MUST(v->may_store == (v->reason == REASON_NONE));
    MUST(v->vary.count <= UNION_MAX_NAMES && v->tags.count <= TAGS_MAX);
    MUST(v->may_store || !v->is_shareable);
    MUST(v->facts.initial_age.ms >= 0 && v->facts.jitter <= 1000);
    if (!v->may_store)
        return;
    MUST(!v->has_vary_star && !v->vary_overflows);
    MUST(v->facts.status != 206 && v->facts.status != 304);
    MUST(route->store_set_cookie || !fields_set_foreign_cookie(fields, (struct slices){held, 1}));
    MUST(is_forced(route) || !(v->facts.flags & (FACT_NO_STORE | FACT_PRIVATE)));
}

static void check_freshness(const struct facts *facts, const struct route *route, slice type)
{
    static const int64_t waits[] = {0, 1, 1000, 60000, 86400000, INT64_MAX / 4};
    enum freshness before = FRESH;
    int64_t age = -1;
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        struct instant t = {wall_after(now.wall, (duration){waits[i]}),
                            mono_after(now.mono, (duration){waits[i]})};
        enum freshness fresh = facts_freshness(facts, route, false, type, false, false, t);
        MUST(facts_age(facts, t).ms >= age && fresh >= before); /* nothing ever grows younger */
        MUST((fresh == FRESH) <= (facts_fresh_left(facts, route, type, t).ms > 0));
        MUST(facts_freshness(facts, route, false, type, true, false, t) != FRESH);
        MUST(facts_freshness(facts, route, true, type, false, true, t) >= STALE_IF_ERROR);
        age = facts_age(facts, t).ms;
        before = fresh;
    }
}

static void check_merge(const struct policy *policy, const struct route *route,
                        const struct fields *stored, const struct fields *second,
                        const struct field_names *names)
{
    struct fields merged;
    struct response update = {.status = 304, .fields = *second};
    fields_init(&merged, stored->arena);
    if (!fields_merge_304(policy, route, stored, &update, names, &merged))
        return;
    MUST(route->store_set_cookie || !fields_find_id(second, FIELD_SET_COOKIE));
    MUST(!fields_find_id(&merged, FIELD_CONNECTION) || fields_find_id(stored, FIELD_CONNECTION));
    fields_remove_hop_by_hop(&merged);
    fields_remove_held_set_cookies(&merged, (struct slices){held, 1});
    fields_remove_limited(&merged, route);
    fields_keep_for_304(&merged);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > 32768)
        return 0;
    struct arena arena;
    struct verdict verdict;
    struct route route = route_of(data[0]);
    struct policy policy = {.purge_tag_headers = {tag_headers, 1},
                            .compress_codings = {codings, 1},
                            .compress_types = {types, 1}};
    struct decision decision = {.route = &route,
                                .is_sealed = duration_is_given(route.ttl.value),
                                .is_navigation = data[0] & 128};
    struct exchange_times times = {now, now};
    slice rest = slice_of((const char *)data + 2, size - 2);
    arena_init(&arena);
    struct request request = {.arena = &arena,
                              .method = METHOD_GET,
                              .scheme = SLICE("https"),
                              .host = SLICE("shop.example"),
                              .path = SLICE("/a/page"),
                              .received = now};
    struct forward forward = {.fields = {.arena = &arena}, .held_cookies = {held, 1}};
    struct response response = {.status = statuses[data[1] % 12], .fields = {.arena = &arena}};
    fields_init(&request.fields, &arena);
    read_lines(&response.fields, &rest);
    read_lines(&request.fields, &rest);

    rules_response(&policy, &request, &decision, &forward, &response, times, data[1], &verdict);
    check_verdict(&verdict, &route, &response.fields);
    check_freshness(&verdict.facts, &route, fields_value(&response.fields, FIELD_CONTENT_TYPE));
    conditional_is_not_modified(&request, &response.fields, now.wall);
    fields_add_validators(&response.fields, now.wall, &forward.fields);
    struct slices groups;
    if (rules_invalidated_groups(&request, &response.fields, &arena, &groups))
        MUST(groups.count <= TAGS_MAX);
    client_vary(&policy, &verdict.facts, &response.fields, &arena);
    codings_accepted(&request.fields);
    check_merge(&policy, &route, &response.fields, &request.fields, &verdict.vary);
    arena_fini(&arena);
    return 0;
}
