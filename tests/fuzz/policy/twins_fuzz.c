/*
 * Data twins (semantics 6.4): paths and queries of strangers under patterns of the policy. The tag
 * is what a slow and plain reading of the first pattern that fits makes it, and what a pattern
 * makes of a page is a twin of that page.
 *
 *   input = patterns, each a line, empty line, path ["?" query]
 */
#include "policy/twins.h"

#include "tests/fuzz/input.h"

enum { INPUT_MAX = 2048, PATTERNS_MAX = 16 };

static const slice page_mark = {"{path}", 6};

struct rig {
    struct arena arena;
    struct policy policy;
    slice patterns[PATTERNS_MAX];
    struct request request;
    struct decision decision;
};

static slice tag_of(struct rig *rig, slice path, slice query)
{
    rig->request.path = path;
    rig->decision.query = query;
    return twins_tag_of(&rig->policy, &rig->request, &rig->decision, &rig->arena);
}

/* --- the plain reading: every way of cutting the path is tried --- */

static bool is_page(slice text)
{
    return text.len == 0 || text.ptr[0] == '/';
}

/* A whole one, from the beginning to a slash or the end. */
static bool is_segment(slice path, size_t end)
{
    return end > 0 && slice_find(path, '/', 0) == end;
}

static bool fits_path(slice pattern, slice path, slice *page)
{
    bool is_mark = slice_starts_with(pattern, page_mark);
    bool is_star = slice_starts_with(pattern, SLICE("*"));
    if (pattern.len == 0)
        return path.len == 0;
    if (!is_mark && !is_star)
        return path.len && path.ptr[0] == pattern.ptr[0] &&
               fits_path(slice_from(pattern, 1), slice_from(path, 1), page);
    slice rest = slice_from(pattern, is_mark ? page_mark.len : 1);
    for (size_t end = 0; end <= path.len; end++) {
        slice taken = slice_until(path, end);
        if (is_mark)
            *page = taken;
        bool is_taken = is_mark ? is_page(taken) : is_segment(path, end);
        if (is_taken && fits_path(rest, slice_from(path, end), page))
            return true;
    }
    return false;
}

static bool has_parameter(slice query, slice name)
{
    for (size_t i = 0; i + name.len <= query.len; i++) {
        slice rest = slice_from(query, i);
        slice after = slice_from(rest, name.len);
        if ((i == 0 || query.ptr[i - 1] == '&') && slice_starts_with(rest, name) &&
            (!after.len || after.ptr[0] == '&' || after.ptr[0] == '='))
            return true;
    }
    return false;
}

static bool fits(slice pattern, slice path, slice query, slice *page)
{
    size_t mark = slice_find(pattern, '?', 0);
    *page = SLICE_NONE;
    return (mark == pattern.len || has_parameter(query, slice_from(pattern, mark + 1))) &&
           fits_path(slice_until(pattern, mark), path, page);
}

static void check_tag(struct rig *rig, slice path, slice query)
{
    slice tag = tag_of(rig, path, query), page;
    for (size_t i = 0; i < rig->policy.purge_twins.count; i++) {
        if (!fits(rig->patterns[i], path, query, &page))
            continue;
        MUST(slice_equal(tag, twins_tag(rig->request.host, page, &rig->arena)));
        return;
    }
    MUST(tag.len == 0);
}

/* --- the way back: from a page to its twin --- */

/* With the page in the place of {path} and a word in that of each star. */
static slice path_of_twin(struct arena *arena, slice pattern, slice page)
{
    slice path = SLICE("");
    for (slice rest = pattern; rest.len;) {
        bool is_mark = slice_starts_with(rest, page_mark), is_star = rest.ptr[0] == '*';
        slice part = is_mark ? page : is_star ? SLICE("b42") : slice_until(rest, 1);
        path = arena_concat(arena, (slice[]){path, part}, 2);
        rest = slice_from(rest, is_mark ? page_mark.len : 1);
    }
    return path;
}

static void check_way_back(struct rig *rig, slice pattern, slice page)
{
    size_t mark = slice_find(pattern, '?', 0);
    slice query = slice_from(pattern, mark + 1), path = slice_until(pattern, mark);
    bool has_page = slice_search(path, page_mark) < path.len;
    rig->patterns[0] = pattern;
    rig->policy.purge_twins.count = 1;
    slice tag = tag_of(rig, path_of_twin(&rig->arena, path, page), query);
    MUST(slice_equal(tag, twins_tag(rig->request.host, has_page ? page : SLICE("/"), &rig->arena)));
}

/* Of the page, with and without a slash, one tag; none that a field of an answer can name. */
static void check_page(struct rig *rig, slice page)
{
    slice host = rig->request.host, tag = twins_tag(host, page, &rig->arena);
    slice longer = arena_concat(&rig->arena, (slice[]){page, SLICE("/")}, 2);
    MUST(slice_equal(tag, twins_tag(host, longer, &rig->arena)));
    MUST(slice_starts_with(tag, SLICE("twin shop.example/")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rig rig;
    slice input = input_of(data, size < INPUT_MAX ? size : INPUT_MAX), line;
    rig.request.host = SLICE("shop.example");
    size_t count = 0;
    arena_init(&rig.arena);
    while ((line = take_line(&input)).len)
        if (twins_is_pattern(line) && count < PATTERNS_MAX)
            rig.patterns[count++] = line;
    rig.policy.purge_twins = (struct slices){rig.patterns, count};
    size_t mark = slice_find(input, '?', 0);
    slice path = slice_until(input, mark);
    check_tag(&rig, path, slice_from(input, mark + 1));
    if (path.len && is_page(path)) {
        check_page(&rig, path);
        for (size_t i = 0; i < count; i++)
            check_way_back(&rig, rig.patterns[i], path);
    }
    arena_fini(&rig.arena);
    return 0;
}
