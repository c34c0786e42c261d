/* policy/route.c: patterns of routes (semantics 1.3). */
#include "policy/route.h"

#include "tests/unit/policy/request_support.h"

static bool matches(const char *pattern, const char *path)
{
    struct captures captures;
    return route_pattern_matches(slice_of_string(pattern), slice_of_string(path), false, &captures);
}

static void test_1_3_patterns(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool expected;
    } cases[] = {
        {"/**", "/", true},
        {"/**", "/a/b/c", true},
        {"/**", "*", false},
        {"/**", "", false},
        {"/a/**", "/a", true},
        {"/a/**", "/a/", true},
        {"/a/**", "/a/b/c", true},
        {"/a/**", "/ab", false},
        {"/a/**", "/A/b", false},
        {"/a", "/a", true},
        {"/a", "/a/", true},
        {"/a/", "/a", true},
        {"/a", "/a/b", false},
        {"/a", "/", false},
        {"/", "/", true},
        {"/", "/a", false},
        {"/a/*", "/a/b", true},
        {"/a/*", "/a/b/c", false},
        {"/a/*", "/a", false},
        {"/*.css", "/x.css", true},
        {"/*.css", "/d/x.css", false},
        {"/**/*.css", "/d/e/x.css", true},
        {"/**/*.css", "/x.css", true},
        {"/**/*.css", "/x.css/y", false},
        {"/a/**/b/**/c", "/a/x/b/y/z/c", true},
        {"/a/**/b/**/c", "/a/b/c", true},
        {"/a/**/b/**/c", "/a/b/x/d", false},
        {"/a/**/b", "/a/b/b/c/b", true},
        {"/p/:id", "/p/7", true},
        {"/p/:id", "/p/7/", true},
        {"/p/:id", "/p", false},
        {"/p/:id", "/p//", false},
        {"/p/:id", "/p/7/8", false},
        {"/p/:id.json", "/p/7.json", true},
        {"/p/:id.json", "/p/.json", false},
        {"/p/:id.json", "/p/7.xml", false},
        {"/wiki/Help:Page", "/wiki/Help:Page", true},
        {"/wiki/Help:Page", "/wiki/Help:Other", false},
        {"/wiki/:", "/wiki/:", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (matches(cases[i].pattern, cases[i].path) != cases[i].expected)
            fail_msg("%s and %s", cases[i].pattern, cases[i].path);
}

static void test_1_3_which_patterns_cover_which(void **state)
{
    static const struct {
        const char *pattern, *other;
        bool expected;
    } cases[] = {
        {"/**", "/", true},
        {"/**", "/a/:b/*.c/**", true},
        {"/a/**", "/a", true},
        {"/a/**", "/a/**", true},
        {"/a/**", "/a/b/**", true},
        {"/a/**", "/**", false},
        {"/a/**", "/ab", false},
        {"/a/**", "/A/b", false},
        {"/a/**", "/:x/b", false},
        {"/a/**", "/a*/b", false},
        {"/a", "/a/", true},
        {"/*", "/**", false},
        {"/*", "/:x", true},
        {"/:x", "/*", false},
        {"/:x", "/a*", true},
        {"/:x", "/:y.html", true},
        {"/:x.html", "/:y", false},
        {"/:x.html", "/:y.min.html", true},
        {"/:x.html", "/a.html", true},
        {"/:x.html", "/.html", false},
        {"/:x.html", "/*.html", false},
        {"/:x.html", "/a*.html", true},
        {"/*.html", "/:x.html", true},
        {"/*x.html", "/:x.html", false},
        {"/*d*", "/:id", false},
        {"/a*", "/:a", false},
        {"/a*c", "/a*b*c", true},
        {"/a*b*c", "/a*c", false},
        {"/p/:id", "/p/new", true},
        {"/p/:id", "/p/new/x", false},
        {"/p/:id", "/p/**", false},
        {"/**/x", "/a/**/x", true},
        {"/**/x", "/a/**", false},
        {"/**/*.css", "/a/**/b.css", true},
        {"/**/b/**", "/a/b", true},
        {"/**/b/**", "/a/**/c", false},
        {"/a/**/b/**/c", "/a/x/b/**/y/c", true},
        {"/**/*", "/**", false},
        {"/wiki/*:*", "/wiki/Help:Page", true},
        {"/wiki/:", "/wiki/:", true},
        {"/wiki/:", "/wiki/:x", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (route_pattern_covers(slice_of_string(cases[i].pattern),
                                 slice_of_string(cases[i].other)) != cases[i].expected)
            fail_msg("%s and %s", cases[i].pattern, cases[i].other);
}

/* A word of the language of small patterns and paths, by number. */
static slice join_segments(struct arena *arena, const char *const *words, unsigned count,
                           unsigned n)
{
    slice text = SLICE_NONE;
    for (unsigned i = 0; i < 3 && n; i++, n /= count)
        text = arena_printf(arena, "%" SLICE_FMT "/%s", SLICE_ARG(text), words[n % count]);
    return text.len ? text : SLICE("/");
}

/* If one covers the other, whatever the other matches is matched by it: tried over all patterns and
 * paths of up to three segments. */
static void test_1_3_what_is_said_to_be_covered_is(void **state)
{
    static const char *const parts[] = {"**", "*", ":n", ":n.c", "*.c", "b", "b*", "b.c"};
    static const char *const names[] = {"b", "b.c", ".c", "x", "bx.c"};
    enum { PARTS = 8, NAMES = 5 };
    (void)state;
    for (unsigned n = 0; n < PARTS * PARTS * PARTS * PARTS * PARTS * PARTS; n += 29) {
        struct arena arena;
        arena_init(&arena);
        slice a = join_segments(&arena, parts, PARTS, n % (PARTS * PARTS * PARTS));
        slice b = join_segments(&arena, parts, PARTS, n / (PARTS * PARTS * PARTS));
        for (unsigned i = 0; route_pattern_covers(a, b) && i < NAMES * NAMES * NAMES; i++) {
            struct captures captures;
            slice path = join_segments(&arena, names, NAMES, i);
            if (route_pattern_matches(b, path, false, &captures) &&
                !route_pattern_matches(a, path, false, &captures))
                fail_msg("%s is said to cover %s, but for %s", a.ptr, b.ptr, path.ptr);
        }
        arena_fini(&arena);
    }
}

static void test_captures_fill_tags(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, "renderer: http://127.0.0.1:3000\n"
                   "routes:\n"
                   "  - {match: \"/:lang/p/:id.html\", ttl: 1m, tags: [\"product-:id\", "
                   "\"lang-:lang\", \"all\", \":id:lang\"]}\n");
    const struct decision *d = receive(&s, "GET http://h/de/p/7.html");
    assert_int_equal(d->tags.count, 4);
    assert_slice(d->tags.at[0], "product-7");
    assert_slice(d->tags.at[1], "lang-de");
    assert_slice(d->tags.at[2], "all");
    assert_slice(d->tags.at[3], "7de");
    setup_fini(&s);
}

static void test_captures_of_a_star_that_was_tried_again_are_dropped(void **state)
{
    struct captures captures;
    (void)state;
    assert_true(route_pattern_matches(SLICE("/**/:a/x"), SLICE("/1/2/3/x"), false, &captures));
    assert_int_equal(captures.count, 1);
    assert_slice(captures.values[0], "3");
}

static void test_matching_many_stars_is_not_exponential(void **state)
{
    struct captures captures;
    struct arena arena;
    slice pattern = SLICE("/**"), path = SLICE("");
    (void)state;
    arena_init(&arena);
    for (int i = 0; i < 40; i++)
        pattern = arena_concat(&arena, (slice[]){pattern, SLICE("/a/**")}, 2);
    for (int i = 0; i < 2000; i++)
        path = arena_concat(&arena, (slice[]){path, SLICE("/a")}, 2);
    pattern = arena_concat(&arena, (slice[]){pattern, SLICE("/b")}, 2);
    assert_false(route_pattern_matches(pattern, path, false, &captures));
    arena_fini(&arena);
}

/* Segments of "a", "b" and patterns of these and "**", against the plain recursive definition. */
static bool naive(const char *pattern, const char *path)
{
    if (*pattern == '\0')
        return *path == '\0';
    if (*pattern == '*')
        return naive(pattern + 1, path) || (*path && naive(pattern, path + 1));
    return *pattern == *path && naive(pattern + 1, path + 1);
}

static slice spell(struct arena *arena, const char *letters)
{
    slice text = SLICE("");
    for (; *letters; letters++)
        text = arena_printf(arena, "%" SLICE_FMT "/%s", SLICE_ARG(text),
                            *letters == '*' ? "**" : (char[]){*letters, '\0'});
    return text.len ? text : SLICE("/");
}

static void random_letters(char *out, size_t max, const char *alphabet, unsigned *seed)
{
    size_t count = (size_t)rand_r(seed) % max;
    for (size_t i = 0; i < count; i++)
        out[i] = alphabet[(size_t)rand_r(seed) % strlen(alphabet)];
    out[count] = '\0';
}

static void test_random_patterns_agree_with_a_naive_matcher(void **state)
{
    unsigned seed = 20241114;
    struct captures captures;
    unsigned matched = 0;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct arena arena;
        char pattern[8], path[9];
        arena_init(&arena);
        random_letters(pattern, sizeof(pattern), "ab*", &seed);
        random_letters(path, sizeof(path), "ab", &seed);
        bool expected = naive(pattern, path);
        matched += expected;
        if (route_pattern_matches(spell(&arena, pattern), spell(&arena, path), i & 1, &captures) !=
            expected)
            fail_msg("%s and %s", pattern, path);
        arena_fini(&arena);
    }
    assert_in_range(matched, 1000, 19000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1_3_which_patterns_cover_which),
        cmocka_unit_test(test_1_3_what_is_said_to_be_covered_is),
        cmocka_unit_test(test_1_3_patterns),
        cmocka_unit_test(test_captures_fill_tags),
        cmocka_unit_test(test_captures_of_a_star_that_was_tried_again_are_dropped),
        cmocka_unit_test(test_matching_many_stars_is_not_exponential),
        cmocka_unit_test(test_random_patterns_agree_with_a_naive_matcher),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
