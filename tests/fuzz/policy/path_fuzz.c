/*
 * Paths (semantics 1.3): decoding for routing, matching, purge URLs. Checks what must hold of any
 * input, not only that nothing crashes.
 */
#include "base/must.h"
#include "policy/route.h"
#include "policy/rules.h"
#include "policy/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_form(slice path)
{
    slice segment;
    MUST(slice_starts_with(path, SLICE("/")));
    MUST(path.len == 1 || path.ptr[path.len - 1] != '/');
    slice rest = slice_from(path, 1);
    while (path.len > 1 && slice_next(&rest, '/', &segment)) {
        MUST(segment.len && slice_find(segment, '\\', 0) == segment.len);
        MUST(!slice_equal(segment, SLICE(".")) && !slice_equal(segment, SLICE("..")));
        MUST(slice_find(segment, ';', 0) == segment.len);
    }
    for (size_t i = 0; i < path.len; i++)
        MUST(path.ptr[i] == ascii_lower(path.ptr[i]));
}

static void check_decoding(struct arena *arena, slice path)
{
    struct routing_path once, twice;
    url_decode_path(arena, path, &once);
    check_form(once.decoded);
    check_form(once.cut);
    if (!once.is_stable)
        return;
    if (!once.has_control)
        MUST(!url_has_control_byte(once.decoded));
    url_decode_path(arena, once.decoded, &twice);
    MUST(slice_equal(once.decoded, twice.decoded));
    MUST(once.has_control || !twice.has_control);
}

/* The input is a path, and behind a newline a pattern. */
static void check_matching(slice path, slice pattern)
{
    struct captures captures;
    for (int ignore_case = 0; ignore_case < 2; ignore_case++) {
        bool matches = route_pattern_matches(pattern, path, ignore_case, &captures);
        MUST(captures.count <= CAPTURES_MAX);
        for (size_t i = 0; matches && i < captures.count; i++)
            MUST(captures.values[i].len && captures.names[i].len);
    }
    MUST(route_pattern_matches(SLICE("/**"), path, false, &captures) ==
         slice_starts_with(path, SLICE("/")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct policy policy = {.route_count = 0};
    slice path = slice_of((const char *)data, size < 4096 ? size : 4096), pattern, host, purged,
          query;
    size_t newline = slice_find(path, '\n', 0);
    bool has_query;
    arena_init(&arena);
    pattern = slice_from(path, newline + 1);
    path = slice_until(path, newline);
    check_decoding(&arena, path);
    check_matching(path, pattern);
    if (rules_purge_url(&policy, &arena, path, SLICE("h"), &host, &purged, &query, &has_query))
        MUST(slice_starts_with(purged, SLICE("/")) && host.len);
    arena_fini(&arena);
    return 0;
}
