/*
 * Patterns of the policy file against texts of strangers: globs and route patterns match what a
 * slow reading of their grammar matches; regular expressions compile or say why not, and no match
 * takes more than its limits.
 *
 *   input = kind (1 byte) pattern, newline, text
 */
#include "policy/loader.h"
#include "policy/route.h"

#include "base/glob.h"
#include "base/regex.h"

#include "tests/fuzz/input.h"

enum { PATTERN_MAX = 64, TEXT_MAX = 256, REGEX_MAX = 512 };

/* --- globs: a table of which beginnings match --- */

static bool table_matches(slice pattern, slice text)
{
    static bool row[TEXT_MAX + 1];
    memset(row, 0, sizeof(row));
    row[0] = true;
    for (size_t i = 0; i < pattern.len; i++) {
        bool is_star = pattern.ptr[i] == '*', before = row[0];
        row[0] = row[0] && is_star;
        for (size_t j = 1; j <= text.len; j++) {
            bool old = row[j];
            row[j] = is_star ? row[j - 1] || old : before && text.ptr[j - 1] == pattern.ptr[i];
            before = old;
        }
    }
    return row[text.len];
}

static void check_glob(struct arena *arena, slice pattern, slice text)
{
    slice lower = arena_copy_lower(arena, text), lower_pattern = arena_copy_lower(arena, pattern);
    MUST(glob_matches(pattern, text) == table_matches(pattern, text));
    MUST(glob_matches_nocase(pattern, text) == table_matches(lower_pattern, lower));
}

/* --- routes: every length for each "**" --- */

struct segments {
    slice at[TEXT_MAX];
    size_t count;
};

static void split(slice path, struct segments *segments)
{
    slice rest = slice_from(path, 1);
    segments->count = 0;
    if (rest.len && rest.ptr[rest.len - 1] == '/')
        rest.len--;
    if (rest.len == 0)
        return;
    while (slice_next(&rest, '/', &segments->at[segments->count]))
        segments->count++;
}

static bool is_name_byte(char c)
{
    char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static bool segment_matches(slice pattern, slice segment)
{
    size_t end = 1;
    if (pattern.len < 2 || pattern.ptr[0] != ':' || !is_name_byte(pattern.ptr[1]) ||
        slice_find(pattern, '*', 0) < pattern.len)
        return table_matches(pattern, segment);
    while (end < pattern.len && is_name_byte(pattern.ptr[end]))
        end++;
    slice suffix = slice_from(pattern, end);
    return segment.len > suffix.len && slice_ends_with(segment, suffix);
}

/* matches[i][j]: do the patterns from i on match the segments from j on? */
static bool route_matches(const struct segments *patterns, const struct segments *path)
{
    static bool matches[PATTERN_MAX + 2][TEXT_MAX + 2];
    for (size_t i = patterns->count + 1; i-- > 0;)
        for (size_t j = path->count + 1; j-- > 0;) {
            bool has_segment = j < path->count;
            if (i == patterns->count)
                matches[i][j] = !has_segment;
            else if (slice_equal(patterns->at[i], SLICE("**")))
                matches[i][j] = matches[i + 1][j] || (has_segment && matches[i][j + 1]);
            else
                matches[i][j] = has_segment && segment_matches(patterns->at[i], path->at[j]) &&
                                matches[i + 1][j + 1];
        }
    return matches[0][0];
}

static void check_captures(const struct captures *captures, slice pattern, slice path)
{
    MUST(captures->count <= CAPTURES_MAX);
    for (size_t i = 0; i < captures->count; i++) {
        MUST(captures->names[i].len && lies_within(captures->names[i], pattern));
        MUST(captures->values[i].len && lies_within(captures->values[i], path));
        MUST(slice_find(captures->values[i], '/', 0) == captures->values[i].len);
    }
}

static void check_route(struct arena *arena, slice pattern, slice path)
{
    static struct segments patterns, segments;
    struct captures captures;
    static slice tags[] = {{"product-:id", 11}, {":a:b:", 5}};
    struct route route = {.tags = {tags, 2}};
    bool matches = route_pattern_matches(pattern, path, false, &captures);
    if (matches)
        check_captures(&captures, pattern, path);
    route_tags(arena, &route, &captures);
    if (route_pattern_problem(pattern) || !slice_starts_with(path, SLICE("/")))
        return;
    split(pattern, &patterns);
    split(path, &segments);
    MUST(matches == route_matches(&patterns, &segments));
    MUST(!matches || route_pattern_matches(pattern, path, true, &captures));
}

/* --- regular expressions --- */

static void check_regex(slice pattern, slice text)
{
    char error[256] = "";
    size_t offset = 0;
    struct regex *regex = regex_compile(pattern, true, error, &offset);
    MUST(regex || (error[0] && memchr(error, '\0', sizeof(error)) && offset <= pattern.len));
    if (regex)
        MUST(regex_matches(regex, text) == regex_matches(regex, text));
    regex_free(regex);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size);
    unsigned kind = take_byte(&input) % 3;
    slice pattern = slice_until(take_line(&input), kind == 2 ? REGEX_MAX : PATTERN_MAX);
    slice text = slice_until(input, TEXT_MAX - 1);
    struct arena arena;
    arena_init(&arena);
    if (kind == 0)
        check_glob(&arena, pattern, text);
    else if (kind == 1)
        check_route(&arena, pattern, text);
    else
        check_regex(pattern, text);
    arena_fini(&arena);
    return 0;
}
