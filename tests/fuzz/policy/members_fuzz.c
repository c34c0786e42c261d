/*
 * Lists that varve reads and adds itself to: cache groups, Cache-Status, Via. What was read of a
 * list of groups can be written and read again; what varve has added to can be read, its own member
 * last.
 *
 *   input = flags (1 byte) Cache-Groups LF Cache-Status LF Via LF key
 */
#include "policy/cache_status.h"
#include "policy/response.h"
#include "policy/structured.h"
#include "policy/via.h"

#include "tests/fuzz/input.h"

static const slice ORIGIN = {"https://h ", 10};

/* --- groups --- */

static struct slices groups_of(slice text, struct arena *arena, bool *fits)
{
    const struct request request = {.scheme = SLICE("https"), .host = SLICE("h")};
    struct fields fields;
    struct slices tags;
    fields_init(&fields, arena);
    fields_add_id(&fields, FIELD_CACHE_GROUP_INVALIDATION, text);
    *fits = rules_invalidated_groups(&request, &fields, arena, &tags);
    MUST(tags.count <= TAGS_MAX);
    return tags;
}

/* As a sf-string. */
static slice written(slice name, struct arena *arena)
{
    char *out = arena_alloc(arena, 2 * name.len + 2);
    size_t len = 0;
    out[len++] = '"';
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '"' || name.ptr[i] == '\\')
            out[len++] = '\\';
        out[len++] = name.ptr[i];
    }
    out[len++] = '"';
    return slice_of(out, len);
}

static void check_groups(slice text, struct arena *arena)
{
    bool fits, fits_again;
    struct slices tags = groups_of(text, arena, &fits);
    slice list = SLICE_NONE;
    for (size_t i = 0; i < tags.count; i++) {
        MUST(slice_starts_with(tags.at[i], ORIGIN));
        for (size_t k = 0; k < i; k++)
            MUST(!slice_equal(tags.at[i], tags.at[k]));
        const slice parts[] = {list, i ? SLICE(", ") : SLICE_NONE,
                               written(slice_from(tags.at[i], ORIGIN.len), arena)};
        list = arena_concat(arena, parts, 3);
    }
    struct slices again = groups_of(list, arena, &fits_again);
    MUST(fits_again && again.count == tags.count);
    for (size_t i = 0; i < tags.count; i++)
        MUST(slice_equal(tags.at[i], again.at[i]));
}

/* --- Cache-Status --- */

struct members {
    size_t count;
    struct sf_member last;
};

static void take(void *arg, const struct sf_member *member)
{
    struct members *members = arg;
    members->count++;
    members->last = *member;
}

static void check_status(unsigned flags, slice before, slice key, struct arena *arena)
{
    const struct cache_status status = {
        .is_generated = flags & 1,
        .forward = flags & 2 ? FORWARD_NONE : FORWARD_STALE,
        .forward_status = flags & 4 ? 304 : 0,
        .is_stored = flags & 8,
        .collapse = flags & 16 ? COLLAPSE_IN_VAIN : COLLAPSE_REUSED,
        .ttl =
            flags & 32 ? DURATION_NONE : (duration){(int64_t)key.len * -INT64_C(123456789012345)},
        .key = key,
        .detail = flags & 64 ? SLICE("stale_error") : SLICE_NONE};
    struct members old = {0}, all = {0};
    bool is_kept = sf_list_each(slice_trim(before), take, &old);
    MUST(sf_list_each(cache_status_append(before, &status, arena), take, &all));
    MUST(all.count == (is_kept ? old.count : 0) + 1);
    MUST(all.last.type == SF_TOKEN && slice_equal(all.last.text, SLICE("varve")));
}

/* --- Via --- */

static void check_via(slice before, struct arena *arena)
{
    struct fields fields;
    fields_init(&fields, arena);
    fields_add_id(&fields, FIELD_VIA, before);
    size_t passages = via_passages(&fields);
    for (size_t i = 1; i <= VIA_PASSAGES_MAX; i++) {
        via_add(&fields, SLICE("1.1"), arena);
        MUST(fields_count_id(&fields, FIELD_VIA) == 1);
        MUST(via_passages(&fields) == passages + i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < 16384 ? size : 16384);
    struct arena arena;
    arena_init(&arena);
    unsigned flags = take_byte(&input);
    check_groups(take_line(&input), &arena);
    slice before = take_line(&input), via = take_line(&input);
    check_status(flags, before, input, &arena);
    check_via(via, &arena);
    arena_fini(&arena);
    return 0;
}
