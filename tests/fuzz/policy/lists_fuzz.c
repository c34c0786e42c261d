/*
 * Fields that are lists: Cache-Groups and Cache-Group-Invalidation, Cache-Status, Via, and the
 * Cache-Control of clients. Tags stay within their limit, what varve adds to a list is a list with
 * one member more, and each passage through varve counts.
 *
 *   input = flags (1 byte) a key, newline, lines of the field
 */
#include "policy/cache_status.h"
#include "policy/client_wish.h"
#include "policy/structured.h"
#include "policy/via.h"

#include "tests/fuzz/input.h"

static void count_member(void *arg, const struct sf_member *member)
{
    (void)member;
    ++*(size_t *)arg;
}

static void check_groups(struct request *request, slice list)
{
    static slice route_tags[] = {{"a", 1}, {"b", 1}};
    struct policy policy = {.route_count = 0};
    struct decision decision = {.tags = {route_tags, 2}};
    struct slices tags, invalidated;
    size_t members = 0;
    bool is_list = sf_list_each(list, count_member, &members);
    bool fits = rules_tags(&policy, request, &decision, &request->fields, request->arena, &tags);
    MUST(tags.count <= TAGS_MAX && tags.count >= 2);
    MUST(fits || (is_list && members > TAGS_MAX - 2));
    MUST(is_list || tags.count == 2);
    for (size_t i = 2; i < tags.count; i++)
        MUST(slice_starts_with(tags.at[i], SLICE("https://shop.example ")));
    rules_invalidated_groups(request, &request->fields, request->arena, &invalidated);
    MUST(invalidated.count <= TAGS_MAX);
}

static void check_cache_status(struct arena *arena, unsigned flags, slice key, slice before)
{
    struct cache_status status = {.is_generated = flags & 1,
                                  .forward = (enum cache_forward)(flags >> 1 & 7),
                                  .forward_status = flags & 16 ? 304 : 0,
                                  .is_stored = flags & 32,
                                  .collapse = flags & 64 ? COLLAPSE_IN_VAIN : COLLAPSE_REUSED,
                                  .ttl = {flags & 128 ? INT64_MAX : -1},
                                  .key = key,
                                  .detail = SLICE("memory")};
    size_t members_before = 0, members = 0;
    bool is_list = sf_list_each(slice_trim(before), count_member, &members_before);
    slice once = cache_status_append(before, &status, arena);
    MUST(sf_list_each(once, count_member, &members));
    MUST(members == (is_list ? members_before : 0) + 1);
    MUST(!is_list || slice_starts_with(once, slice_trim(before)));
}

static void check_via(struct fields *fields)
{
    size_t before = via_passages(fields);
    for (size_t i = 1; i <= VIA_PASSAGES_MAX + 1; i++) {
        via_add(fields, SLICE("1.1"), fields->arena);
        MUST(via_passages(fields) == before + i);
    }
    MUST(fields_count_id(fields, FIELD_VIA) == 1);
}

static void check_wish(const struct request *request)
{
    static const struct route honours = {.honours_client = true}, ignores = {.is_cacheable = true};
    struct client_wish wish, none;
    client_wish_of(request, &honours, &wish);
    client_wish_of(request, &ignores, &none);
    MUST(!duration_is_given(wish.max_age) || wish.max_age.ms >= 0);
    MUST(!duration_is_given(wish.min_fresh) || wish.min_fresh.ms >= 0);
    MUST(client_wish_admits(&none, DURATION_MAX, (duration){-1}) && !none.no_store);
    MUST(!wish.no_cache || !client_wish_admits(&wish, (duration){0}, DURATION_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum field_id ids[] = {FIELD_CACHE_GROUPS, FIELD_CACHE_GROUP_INVALIDATION,
                                        FIELD_VIA, FIELD_CACHE_CONTROL};
    slice input = input_of(data, size < 4096 ? size : 4096), all = SLICE_NONE;
    struct arena arena;
    arena_init(&arena);
    struct request request = {
        .arena = &arena, .scheme = SLICE("https"), .host = SLICE("shop.example")};
    fields_init(&request.fields, &arena);
    unsigned flags = take_byte(&input);
    slice key = take_line(&input);
    while (input.len && request.fields.count < 100) {
        slice line = take_line(&input);
        for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
            fields_add_id(&request.fields, ids[i], line);
    }
    fields_join(&request.fields, field_name_of(FIELD_CACHE_GROUPS), &arena, &all);
    check_groups(&request, all);
    check_cache_status(&arena, flags, key, all);
    check_wish(&request);
    check_via(&request.fields);
    arena_fini(&arena);
    return 0;
}
