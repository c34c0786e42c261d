/* Age, lifetime and freshness: http-caching §4 and §8, semantics 4.3, 4.4 and 5. */
#include "tests/unit/policy/response_support.h"

/* What a shared cache makes of a 200 at `at` seconds after its receipt. */
struct fresh_row {
    const char *lines;
    int64_t at;
    bool is_fresh;
};

static void check_fresh(const struct fresh_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fixture *f = fixture_new();
        use_rfc(f);
        judge(f, 200, rows[i].lines);
        if ((freshness_at(f, rows[i].at) == FRESH) != rows[i].is_fresh)
            fail_msg("\n%s\nat %lld s: lifetime %lld, age %lld", rows[i].lines,
                     (long long)rows[i].at, (long long)lifetime_seconds(f),
                     (long long)facts_age(&f->verdict.facts, after(rows[i].at * 1000)).ms);
        fixture_free(f);
    }
}

static void test_4_s_maxage_then_max_age_then_expires(void **state)
{
    static const struct fresh_row rows[] = {
        {"Cache-Control: max-age=3600", 3599, true},
        {"Cache-Control: max-age=3600", 3600, false},
        {"Cache-Control: s-maxage=3600, max-age=1", 3599, true},
        {"Cache-Control: max-age=1, s-maxage=3600", 3599, true},
        {"Cache-Control: max-age=3600, s-maxage=1", 2, false},
        {"Cache-Control: s-maxage=1, max-age=3600", 2, false},
        {"Cache-Control: max-age=3600\nCache-Control: s-maxage=1", 2, false},
        {"Cache-Control: s-maxage=3600\nCache-Control: max-age=1", 3599, true},
        {"Cache-Control: max-age=3600\nExpires: @-100", 3599, true},
        {"Cache-Control: max-age=3600\nExpires: 0", 3599, true},
        {"Cache-Control: max-age=3600\nExpires: foo", 3599, true},
        {"Cache-Control: max-age=0\nExpires: @3600", 0, false},
        {"Cache-Control: max-age=0, s-maxage=3600\nExpires: @-100", 3599, true},
        {"Expires: @3600", 3599, true},
        {"Expires: @3600", 3600, false},
        {"Cache-Control: max-age=99999999999", 2147483648, true},
        {"Cache-Control: max-age=2147483648", 2147483647, true},
        {"Cache-Control: max-age=-3600\nExpires: @3600", 0, false},
        {"Cache-Control: s-maxage=x, max-age=3600", 0, false},
        {"Cache-Control: public", 0, false},
        {"", 0, false},
    };
    (void)state;
    check_fresh(rows, ROWS(rows));
}

/* frameworks 6 */
static void test_a_page_that_next_calls_stale_is_asked_for_anew_soon(void **state)
{
    static const struct fresh_row rows[] = {
        {"Cache-Control: s-maxage=60\nX-Nextjs-Cache: HIT", 59, true},
        {"Cache-Control: s-maxage=60\nX-Nextjs-Cache: STALE", 0, true},
        {"Cache-Control: s-maxage=60\nX-Nextjs-Cache: STALE", 1, false},
        {"Cache-Control: max-age=60\nX-Nextjs-Cache: REVALIDATED", 59, true},
        {"Cache-Control: s-maxage=0\nX-Nextjs-Cache: STALE", 0, false},
        {"X-Nextjs-Cache: STALE", 0, false},
    };
    struct fixture *f = fixture_new();
    (void)state;
    check_fresh(rows, ROWS(rows));
    judge(f, 200, "Cache-Control: s-maxage=5, stale-while-revalidate=99\nX-Nextjs-Cache: STALE");
    assert_true(f->verdict.may_store && f->verdict.is_shareable);
    assert_int_equal(freshness_at(f, 1), STALE_WHILE_REVALIDATE);
    judge(f, 200, "X-Nextjs-Cache: STALE");
    assert_false(duration_is_given(f->verdict.facts.explicit_lifetime));
    fixture_free(f);
}

static void test_4_fresh_only_if_the_lifetime_exceeds_the_age(void **state)
{
    static const struct fresh_row rows[] = {
        {"Cache-Control: max-age=0", 0, false},
        {"Date: @0\nExpires: @0", 0, false},
        {"Cache-Control: max-age=1", 0, true},
        {"Cache-Control: max-age=1", 1, false},
    };
    (void)state;
    check_fresh(rows, ROWS(rows));
}

static void test_4_expires_works_on_the_origins_clock(void **state)
{
    static const struct fresh_row rows[] = {
        {"Date: @400\nExpires: @300", 0, false},
        {"Date: @400\nExpires: @500", 99, true},
        {"Date: @400\nExpires: @500", 100, false},
        {"Date: @-400\nExpires: @-300", 0, false},
        {"Date: @-10\nExpires: @10\nAge: 25", 0, false},
        {"Date: @10\nExpires: @20\nAge: 15", 0, false},
        {"Date: @10\nExpires: @30\nAge: 15", 4, true},
        {"Date: foo\nExpires: @100", 99, true},
        {"Date: foo\nExpires: @100", 100, false},
        {"Expires: @100", 99, true},
        {"Expires: @100\nExpires: @100", 0, false},
        {"Expires: 0", 0, false},
        {"Expires: ", 0, false},
        {"Expires: -1", 0, false},
        {"Expires: 1731622500", 0, false},
        {"Expires: @100\nExpires: 0", 0, false},
        {"Expires: Thu, 14 Nov 2024 22:14:20 GMT x", 0, false},
        {"Date: @0\nExpires: Fri, 31 Dec 9999 23:59:59 GMT", 86400 * 365, true},
        {"Expires: Thursday, 14-Nov-24 22:14:20 GMT", 59, true},
        {"Expires: Thu Nov 14 22:14:20 2024", 59, true},
    };
    (void)state;
    check_fresh(rows, ROWS(rows));
}

static void test_4_the_age_that_came_with_it_counts(void **state)
{
    static const struct fresh_row rows[] = {
        {"Cache-Control: max-age=3600\nAge: 7200", 0, false},
        {"Cache-Control: max-age=3600\nAge: 3599", 0, true},
        {"Cache-Control: max-age=3600\nAge: abc", 3599, true},
        {"Cache-Control: max-age=3600\nAge: -7200", 0, true},
        {"Cache-Control: max-age=3600\nAge: 7200.0", 0, true},
        {"Cache-Control: max-age=3600\nAge: 7200;foo=bar", 0, true},
        {"Cache-Control: max-age=3600\nAge: 7200, 0", 0, false},
        {"Cache-Control: max-age=3600\nAge: 0, 7200", 0, true},
        {"Cache-Control: max-age=3600\nAge: 7200\nAge: 0", 0, false},
        {"Cache-Control: max-age=3600\nAge: 0\nAge: 7200", 0, true},
        {"Cache-Control: max-age=3600\nAge: 0, 0", 0, true},
        {"Cache-Control: max-age=3600\nAge: 7200 , 7200", 0, false},
        {"Cache-Control: max-age=3600\nAge:", 3599, true},
        {"Cache-Control: max-age=3600\nAge: \"7200\"", 0, true},
        {"Cache-Control: max-age=3600\nAge: +7200", 0, true},
        {"Cache-Control: max-age=3600\nAge: 72 00", 0, true},
        {"Cache-Control: max-age=3600\nAge: ,7200", 0, true},
        {"Cache-Control: max-age=3600\nAge: abc\nAge: 7200", 0, true},
        {"Cache-Control: max-age=9223372036854775807\nAge: 9223372036854775807", 0, false},
        {"Cache-Control: max-age=2147483648\nAge: 2147483648", 0, false},
        {"Cache-Control: max-age=3600\nAge: 99999999999", 0, false},
        {"Cache-Control: max-age=99999999999999999999\nAge: 99999999999999999999", 0, false},
    };
    (void)state;
    check_fresh(rows, ROWS(rows));
}

static void test_4_current_age(void **state)
{
    static const struct {
        const char *lines;
        int64_t delay, wait, age; /* ms */
    } rows[] = {
        {"", 0, 0, 0},
        {"", 0, 3000, 3000},
        {"Age: 30", 0, 3000, 33000},
        {"Date: @-20", 0, 1000, 21000},      /* apparent age */
        {"Date: @50", 0, 1000, 1000},        /* a Date in the future is no negative age */
        {"Date: @-20\nAge: 5", 0, 0, 20000}, /* the larger */
        {"Date: @-20\nAge: 30", 0, 0, 30000},
        {"Age: 30", 2500, 0, 32500}, /* the response delay */
        {"Date: @-2\nAge: 0", 2500, 1000, 3500},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct fixture *f = fixture_new();
        f->times.sent = after(-rows[i].delay);
        const struct verdict *v = judge(f, 200, rows[i].lines);
        assert_int_equal(facts_age(&v->facts, after(rows[i].wait)).ms, rows[i].age);
        fixture_free(f);
    }
}

static void test_4_a_second_begun_is_no_apparent_age(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    f->times.sent = f->times.received = after(950);
    assert_int_equal(judge(f, 200, "Date: @0")->facts.initial_age.ms, 0);
    assert_int_equal(f->verdict.facts.date.ms, NOW.wall.ms);
    judge(f, 200, "");
    assert_int_equal(f->verdict.facts.date.ms, NOW.wall.ms);
    fixture_free(f);
}

/* --- semantics 5.3 --- */

static void test_5_3_resident_time_is_monotonic_within_a_boot(void **state)
{
    struct fixture *f = fixture_new();
    struct facts *facts = &f->verdict.facts;
    (void)state;
    judge(f, 200, "Cache-Control: max-age=60");
    struct instant now = after(30000);
    now.wall.ms += 86400000; /* somebody set the clock */
    assert_int_equal(facts_age(facts, now).ms, 30000);
    now.wall.ms -= 2 * 86400000;
    assert_int_equal(facts_age(facts, now).ms, 30000);
    assert_int_equal(facts_freshness(facts, &f->route, false, SLICE_NONE, false, false, now),
                     FRESH);
    fixture_free(f);
}

static void test_5_3_after_a_boot_it_is_wall_time_and_never_negative(void **state)
{
    struct fixture *f = fixture_new();
    struct facts *facts = &f->verdict.facts;
    (void)state;
    judge(f, 200, "Cache-Control: max-age=60");
    facts->boot_id++;
    struct instant now = {after(30000).wall, {17}};
    assert_int_equal(facts_age(facts, now).ms, 30000);
    now.wall.ms = NOW.wall.ms - 4000;
    assert_int_equal(facts_age(facts, now).ms, 0);
    assert_int_equal(facts_freshness(facts, &f->route, false, SLICE_NONE, false, false, now),
                     FRESH);
    now.wall.ms = NOW.wall.ms - 5001;
    assert_int_equal(facts_age(facts, now).ms, 0);
    assert_int_equal(facts_freshness(facts, &f->route, false, SLICE_NONE, false, false, now),
                     STALE_IF_ERROR);
    fixture_free(f);
}

/* --- heuristic freshness --- */

static void test_4_heuristic_freshness_wants_last_modified_and_a_fitting_status(void **state)
{
    static const struct {
        unsigned status;
        const char *lines;
        bool is_stored;
    } rows[] = {
        {200, "Date: @0\nLast-Modified: @-86400", true},
        {203, "Date: @0\nLast-Modified: @-86400", true},
        {204, "Date: @0\nLast-Modified: @-86400", true},
        {300, "Date: @0\nLast-Modified: @-86400", true},
        {301, "Date: @0\nLast-Modified: @-86400", true},
        {308, "Date: @0\nLast-Modified: @-86400", true},
        {404, "Date: @0\nLast-Modified: @-86400", true},
        {405, "Date: @0\nLast-Modified: @-86400", true},
        {410, "Date: @0\nLast-Modified: @-86400", true},
        {414, "Date: @0\nLast-Modified: @-86400", true},
        {501, "Date: @0\nLast-Modified: @-86400", true},
        {201, "Date: @0\nLast-Modified: @-86400", false},
        {202, "Date: @0\nLast-Modified: @-86400", false},
        {403, "Date: @0\nLast-Modified: @-86400", false},
        {502, "Date: @0\nLast-Modified: @-86400", false},
        {503, "Date: @0\nLast-Modified: @-86400", false},
        {504, "Date: @0\nLast-Modified: @-86400", false},
        {599, "Date: @0\nLast-Modified: @-86400", false},
        {599, "Date: @0\nLast-Modified: @-86400\nCache-Control: public", true},
        {200, "Date: @0", false},
        {200, "Date: @0\nETag: \"a\"", false},
        {200, "Date: @0\nLast-Modified: foo", false},
        {200, "Date: @0\nLast-Modified: @100", false},
        {200, "Date: @0\nLast-Modified: @-86400\nCDN-Cache-Control: foo", false},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct fixture *f = fixture_new();
        use_rfc(f);
        const struct verdict *v = judge(f, rows[i].status, rows[i].lines);
        bool is_fresh = v->may_store && freshness_at(f, 1) == FRESH;
        if (is_fresh != rows[i].is_stored)
            fail_msg("%u\n%s", rows[i].status, rows[i].lines);
        fixture_free(f);
    }
}

static void test_4_3_heuristic_is_a_tenth_and_capped_and_never_beside_ttl(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    judge(f, 200, "Content-Type: text/html\nLast-Modified: @-50");
    assert_int_equal(lifetime_seconds(f), 5);
    judge(f, 200, "Content-Type: text/html\nLast-Modified: @-86400");
    assert_int_equal(lifetime_seconds(f), 10);
    f->route.heuristic_max = DURATION_NONE;
    assert_int_equal(lifetime_seconds(f), 8640);
    judge(f, 200, "Content-Type: image/png\nLast-Modified: @-86400\nCache-Control: max-age=3");
    assert_int_equal(lifetime_seconds(f), 3);
    judge(f, 200, "Content-Type: image/png\nLast-Modified: @-86400");
    use_ttl(f, 60, false);
    assert_int_equal(lifetime_seconds(f), 0);
    fixture_free(f);
}

/* --- lifetimes of the policy: semantics 4.3 --- */

struct ttl_row {
    const char *what;
    unsigned status;
    const char *lines;
    int64_t lifetime;
};

static void check_lifetimes(struct fixture *f, const struct ttl_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        judge(f, rows[i].status, rows[i].lines);
        if (lifetime_seconds(f) != rows[i].lifetime)
            fail_msg("%s: %lld", rows[i].what, (long long)lifetime_seconds(f));
    }
}

static void test_4_3_explicit_freshness_beats_ttl(void **state)
{
    static const struct ttl_row rows[] = {
        {"nothing said", 200, "Content-Type: text/html", 600},
        {"with parameters", 200, "Content-Type: Text/HTML; charset=utf-8", 600},
        {"203", 203, "Content-Type: text/html", 600},
        {"other type", 200, "Content-Type: image/png", 0},
        {"no type", 200, "", 0},
        {"other status", 301, "Content-Type: text/html", 0},
        {"404", 404, "Content-Type: text/html", 0},
        {"max-age", 200, "Content-Type: text/html\nCache-Control: max-age=5", 5},
        {"s-maxage", 200, "Content-Type: text/html\nCache-Control: s-maxage=7, max-age=5", 7},
        {"targeted", 200, "Content-Type: text/html\nCDN-Cache-Control: max-age=9", 9},
        {"expires", 200, "Content-Type: text/html\nExpires: @11", 11},
        {"max-age=0", 200, "Content-Type: text/html\nCache-Control: max-age=0", 0},
        {"no-cache", 200, "Content-Type: text/html\nCache-Control: no-cache", 0},
        {"no-store", 200, "Content-Type: text/html\nCache-Control: no-store", 0},
        {"private", 200, "Content-Type: text/html\nCache-Control: private", 0},
        {"private, max-age", 200, "Content-Type: text/html\nCache-Control: private, max-age=9", 0},
        {"public alone", 200, "Content-Type: text/html\nCache-Control: public", 600},
        {"must-revalidate alone", 200, "Content-Type: text/html\nCache-Control: must-revalidate",
         600},
        {"targeted without lifetime", 200, "Content-Type: text/html\nCDN-Cache-Control: foo", 600},
    };
    struct fixture *f = fixture_new();
    (void)state;
    use_ttl(f, 600, false);
    check_lifetimes(f, rows, ROWS(rows));
    fixture_free(f);
}

static void test_4_3_force_beats_explicit_freshness(void **state)
{
    static const struct ttl_row rows[] = {
        {"longer", 200, "Content-Type: text/html\nCache-Control: max-age=5", 600},
        {"shorter", 200, "Content-Type: text/html\nCache-Control: max-age=5000", 600},
        {"no-store", 200, "Content-Type: text/html\nCache-Control: private, no-store, no-cache",
         600},
        {"other type", 200, "Content-Type: image/png\nCache-Control: max-age=5", 5},
        {"206", 206, "Content-Type: text/html\nCache-Control: max-age=5", 5},
        {"500", 500, "Content-Type: text/html\nCache-Control: max-age=5", 5},
    };
    struct fixture *f = fixture_new();
    (void)state;
    use_ttl(f, 600, true);
    check_lifetimes(f, rows, ROWS(rows));
    fixture_free(f);
}

static void test_4_3_status_ttl_stands_between_explicit_freshness_and_ttl(void **state)
{
    static const struct ttl_row rows[] = {
        {"named", 404, "Content-Type: text/html", 300},
        {"explicit", 404, "Content-Type: text/html\nCache-Control: max-age=200", 200},
        {"other", 410, "Content-Type: text/html", 0},
    };
    struct fixture *f = fixture_new();
    (void)state;
    use_status_ttl(f, 404, 300, false);
    check_lifetimes(f, rows, ROWS(rows));
    use_status_ttl(f, 200, 300, false);
    use_ttl(f, 600, false);
    check_lifetimes(f, &(struct ttl_row){"before ttl", 200, "Content-Type: text/html", 300}, 1);
    use_status_ttl(f, 404, 300, true);
    check_lifetimes(f, &(struct ttl_row){"forced", 404, "Cache-Control: no-store, max-age=1", 300},
                    1);
    use_status_ttl(f, 503, 300, true);
    check_lifetimes(f, &(struct ttl_row){"not 5xx", 503, "Cache-Control: max-age=1", 1}, 1);
    fixture_free(f);
}

static void test_2_1_invented_freshness_needs_a_sealed_fill(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    use_ttl(f, 600, true);
    use_status_ttl(f, 404, 300, true);
    f->decision.is_sealed = false;
    judge(f, 200, "Content-Type: text/html");
    assert_int_equal(lifetime_seconds(f), 0);
    assert_false(f->verdict.may_store);
    judge(f, 404, "Content-Type: text/html");
    assert_int_equal(lifetime_seconds(f), 0);
    f->route.ttl.is_forced = false;
    judge(f, 200, "Content-Type: text/html");
    assert_int_equal(lifetime_seconds(f), 0);
    judge(f, 200, "Content-Type: text/html\nCache-Control: max-age=4");
    assert_int_equal(lifetime_seconds(f), 4);
    fixture_free(f);
}

static void test_4_1_errors_live_at_most_error_max_unless_named(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    judge(f, 404, "Cache-Control: max-age=3600");
    assert_int_equal(lifetime_seconds(f), 10);
    judge(f, 404, "Cache-Control: max-age=3");
    assert_int_equal(lifetime_seconds(f), 3);
    judge(f, 301, "Cache-Control: max-age=3600");
    assert_int_equal(lifetime_seconds(f), 3600);
    judge(f, 404, "Cache-Control: max-age=3600");
    f->route.error_max = DURATION_NONE;
    assert_int_equal(lifetime_seconds(f), 3600);
    f->route.error_max = duration_of_seconds(10);
    use_status_ttl(f, 404, 60, false);
    assert_int_equal(lifetime_seconds(f), 3600);
    fixture_free(f);
}

static void test_4_3_invented_lifetimes_lose_up_to_a_tenth(void **state)
{
    struct fixture *f = fixture_new();
    struct facts *facts = &f->verdict.facts;
    (void)state;
    use_ttl(f, 600, false);
    judge(f, 200, "Content-Type: text/html");
    facts->jitter = 1000;
    assert_int_equal(lifetime_seconds(f), 540);
    facts->jitter = 500;
    assert_int_equal(lifetime_seconds(f), 570);
    f->route.ttl.value = DURATION_MAX;
    assert_true(lifetime_seconds(f) > 1000000000);
    judge(f, 200, "Content-Type: text/html\nCache-Control: max-age=600");
    facts->jitter = 1000;
    assert_int_equal(lifetime_seconds(f), 600);
    for (uint32_t seed = 0; seed < 5000; seed += 7) {
        rules_response(&f->policy, &f->request, &f->decision, &f->forward, &f->response, f->times,
                       seed, &f->verdict);
        assert_true(facts->jitter <= 1000);
    }
    fixture_free(f);
}

static void test_4_3_a_reload_undoes_a_ttl(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    use_ttl(f, 86400, false);
    judge(f, 200, "Content-Type: text/html");
    assert_int_equal(freshness_at(f, 100), FRESH);
    f->route.ttl.value = duration_of_seconds(60);
    assert_int_equal(freshness_at(f, 100), STALE_IF_ERROR);
    use_ttl(f, 86400, true);
    judge(f, 200, "Content-Type: text/html\nCache-Control: no-store");
    assert_int_equal(freshness_at(f, 100), FRESH);
    f->route.ttl.value = DURATION_NONE;
    assert_int_equal(freshness_at(f, 100), STALE_UNUSABLE);
    fixture_free(f);
}

/* --- stale: semantics 5.1, http-caching §8 --- */

struct stale_row {
    const char *what, *cache_control;
    int64_t at;
    enum freshness expected;
};

static void check_stale(struct fixture *f, const struct stale_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fields_init(&f->response.fields, &f->arena);
        slice line =
            arena_printf(&f->arena, "Content-Type: text/html\nETag: \"x\"\nCache-Control: %s",
                         rows[i].cache_control);
        judge(f, 200, line.ptr);
        if (freshness_at(f, rows[i].at) != rows[i].expected)
            fail_msg("%s: %s at %lld: %d", rows[i].what, rows[i].cache_control,
                     (long long)rows[i].at, (int)freshness_at(f, rows[i].at));
    }
}

enum { DAY = 86400, YEAR = 31536000 };

static void test_5_1_what_the_response_says(void **state)
{
    static const struct stale_row rows[] = {
        {"built in", "max-age=10", 9, FRESH},
        {"built in", "max-age=10", 10, STALE_IF_ERROR},
        {"built in", "max-age=10", 10 + DAY - 1, STALE_IF_ERROR},
        {"built in", "max-age=10", 10 + DAY, STALE_UNUSABLE},
        {"must-revalidate", "max-age=10, must-revalidate", 9, FRESH},
        {"must-revalidate", "max-age=10, must-revalidate", 10, STALE_UNUSABLE},
        {"it beats swr", "max-age=10, must-revalidate, stale-while-revalidate=60", 11,
         STALE_UNUSABLE},
        {"proxy-revalidate", "max-age=10, proxy-revalidate", 10, STALE_UNUSABLE},
        {"no-cache", "no-cache, max-age=10", 0, STALE_UNUSABLE},
        {"s-maxage", "s-maxage=10", 10, STALE_UNUSABLE},
        {"s-maxage", "max-age=2, s-maxage=2", 2, STALE_UNUSABLE},
        {"swr", "max-age=1, stale-while-revalidate=4", 3, STALE_WHILE_REVALIDATE},
        {"swr", "max-age=1, stale-while-revalidate=4", 5, STALE_IF_ERROR},
        {"swr beats s-maxage", "s-maxage=5, stale-while-revalidate=60", 30, STALE_WHILE_REVALIDATE},
        {"not longer", "s-maxage=5, stale-while-revalidate=60", 65, STALE_UNUSABLE},
        {"swr without number", "s-maxage=5, stale-while-revalidate", 64, STALE_WHILE_REVALIDATE},
        {"swr without number", "s-maxage=5, stale-while-revalidate", 65, STALE_UNUSABLE},
        {"a year is capped", "s-maxage=5, stale-while-revalidate=31535995", 5 + DAY - 1,
         STALE_WHILE_REVALIDATE},
        {"a year is capped", "s-maxage=5, stale-while-revalidate=31535995", 5 + DAY,
         STALE_UNUSABLE},
        {"sie", "s-maxage=5, stale-if-error=60", 64, STALE_IF_ERROR},
        {"sie", "max-age=5, stale-if-error=60", 65, STALE_UNUSABLE},
        {"sie=0", "max-age=5, stale-if-error=0", 6, STALE_UNUSABLE},
        {"sie is capped", "max-age=5, stale-if-error=31535995", 5 + DAY, STALE_UNUSABLE},
    };
    struct fixture *f = fixture_new();
    (void)state;
    check_stale(f, rows, ROWS(rows));
    f->route.stale_max = DURATION_NONE;
    static const struct stale_row uncapped = {
        "no cap", "max-age=5, stale-while-revalidate=31535995", YEAR - 1, STALE_WHILE_REVALIDATE};
    check_stale(f, &uncapped, 1);
    fixture_free(f);
}

static void test_5_1_what_the_route_says(void **state)
{
    static const struct stale_row rows[] = {
        {"route", "max-age=10", 109, STALE_WHILE_REVALIDATE},
        {"route", "max-age=10", 110, STALE_IF_ERROR},
        {"route", "max-age=10", 1010, STALE_UNUSABLE},
        {"the response's own first", "max-age=10, stale-while-revalidate=5", 16, STALE_IF_ERROR},
        {"also a longer one", "max-age=10, stale-while-revalidate=600", 609,
         STALE_WHILE_REVALIDATE},
        {"and no longer", "max-age=10, stale-while-revalidate=600", 610, STALE_IF_ERROR},
        {"covers s-maxage", "s-maxage=10", 109, STALE_WHILE_REVALIDATE},
        {"not must-revalidate", "max-age=10, must-revalidate", 11, STALE_UNUSABLE},
    };
    static const struct stale_row forced[] = {
        {"force", "max-age=10, must-revalidate", 11, STALE_WHILE_REVALIDATE},
        {"force", "no-cache", 0, STALE_WHILE_REVALIDATE},
        {"force", "max-age=10, proxy-revalidate", 111, STALE_IF_ERROR},
    };
    static const struct stale_row as_response[] = {
        {"response", "max-age=10", 11, STALE_IF_ERROR},
        {"response", "max-age=10, stale-while-revalidate=5", 14, STALE_WHILE_REVALIDATE},
    };
    static const struct stale_row nothing_else[] = {
        {"silent", "max-age=10", 11, STALE_UNUSABLE},
        {"silent", "s-maxage=10", 11, STALE_UNUSABLE},
        {"swr alone", "max-age=10, stale-while-revalidate=5", 14, STALE_WHILE_REVALIDATE},
        {"swr alone", "max-age=10, stale-while-revalidate=5", 16, STALE_UNUSABLE},
        {"sie", "max-age=10, stale-if-error=5", 14, STALE_IF_ERROR},
    };
    static const struct stale_row errors_as_response[] = {
        {"behind people", "max-age=10", 69, STALE_WHILE_REVALIDATE},
        {"no error", "max-age=10", 70, STALE_UNUSABLE},
        {"sie", "max-age=10, stale-if-error=90", 71, STALE_IF_ERROR},
    };
    struct fixture *f = fixture_new();
    (void)state;
    f->route.stale =
        (struct stale_config){true, false, duration_of_seconds(100), duration_of_seconds(1000)};
    check_stale(f, rows, ROWS(rows));
    f->route.stale.is_forced = true;
    check_stale(f, forced, ROWS(forced));
    f->route.stale = (struct stale_config){true, false, DURATION_NONE, duration_of_seconds(DAY)};
    check_stale(f, as_response, ROWS(as_response));
    f->route.stale = (struct stale_config){true, false, DURATION_NONE, DURATION_NONE};
    check_stale(f, nothing_else, ROWS(nothing_else));
    f->route.stale = (struct stale_config){true, false, duration_of_seconds(60), DURATION_NONE};
    check_stale(f, errors_as_response, ROWS(errors_as_response));
    fixture_free(f);
}

static void test_10_targeted_directives_forbid_stale_too(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    judge(f, 200, "CDN-Cache-Control: max-age=10, must-revalidate\nCache-Control: max-age=99");
    assert_int_equal(freshness_at(f, 9), FRESH);
    assert_int_equal(freshness_at(f, 10), STALE_UNUSABLE);
    judge(f, 200, "CDN-Cache-Control: s-maxage=10");
    assert_int_equal(freshness_at(f, 10), STALE_UNUSABLE);
    judge(f, 200, "CDN-Cache-Control: max-age=10\nCache-Control: must-revalidate, s-maxage=1");
    assert_int_equal(freshness_at(f, 10), STALE_IF_ERROR);
    fixture_free(f);
}

static enum freshness freshness_of(const struct fixture *f, bool bot, bool soft, bool old,
                                   int64_t at)
{
    return facts_freshness(&f->verdict.facts, &f->route, bot, content_type_of(f), soft, old,
                           after(at * 1000));
}

static void test_5_1_if_error_has_no_end_for_never_shell_classes(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    judge(f, 200, "Cache-Control: max-age=10");
    assert_int_equal(freshness_of(f, true, false, false, 10L * YEAR), STALE_IF_ERROR);
    assert_int_equal(freshness_of(f, false, false, false, 10L * YEAR), STALE_UNUSABLE);
    judge(f, 200, "Cache-Control: max-age=10, must-revalidate");
    assert_int_equal(freshness_of(f, true, false, false, 11), STALE_UNUSABLE);
    judge(f, 200, "Cache-Control: s-maxage=10");
    assert_int_equal(freshness_of(f, true, false, false, 11), STALE_UNUSABLE);
    fixture_free(f);
}

static void test_6_2_a_soft_purge_makes_stale(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    judge(f, 200, "Cache-Control: max-age=1000, stale-while-revalidate=60");
    assert_int_equal(freshness_of(f, false, true, false, 1), STALE_WHILE_REVALIDATE);
    judge(f, 200, "Cache-Control: max-age=1000");
    assert_int_equal(freshness_of(f, false, true, false, 1), STALE_IF_ERROR);
    judge(f, 200, "Cache-Control: max-age=1000, must-revalidate");
    assert_int_equal(freshness_of(f, false, true, false, 1), STALE_UNUSABLE);
    fixture_free(f);
}

static void test_4_4_another_policy_hash_leaves_if_error_only(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    judge(f, 200, "Cache-Control: max-age=1000, stale-while-revalidate=60");
    assert_int_equal(freshness_of(f, false, false, true, 1), STALE_IF_ERROR);
    assert_int_equal(freshness_of(f, false, false, true, 1010), STALE_IF_ERROR);
    judge(f, 200, "Cache-Control: max-age=1000, stale-if-error=0");
    assert_int_equal(freshness_of(f, false, false, true, 1), STALE_UNUSABLE);
    fixture_free(f);
}

static void test_5_4_document_max_bounds_residence(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    judge(f, 200, "Content-Type: text/html\nAge: 500\nCache-Control: s-maxage=31536000");
    f->route.document_max = duration_of_seconds(300);
    f->route.stale = (struct stale_config){true, false, duration_of_seconds(60), DURATION_NONE};
    assert_int_equal(freshness_at(f, 299), FRESH);
    assert_int_equal(freshness_at(f, 300), STALE_WHILE_REVALIDATE);
    assert_int_equal(freshness_at(f, 360), STALE_UNUSABLE);
    f->route.is_asset = true;
    assert_int_equal(freshness_at(f, 360), FRESH);
    fixture_free(f);
}

static void test_lifetime_left_is_negative_when_stale(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    judge(f, 200, "Cache-Control: max-age=100\nAge: 30");
    struct facts *facts = &f->verdict.facts;
    assert_int_equal(facts_fresh_left(facts, &f->route, SLICE_NONE, after(20000)).ms, 50000);
    assert_int_equal(facts_fresh_left(facts, &f->route, SLICE_NONE, after(90000)).ms, -20000);
    fixture_free(f);
}

static void test_4_5_data_formats_do_not_answer_navigations(void **state)
{
    static const struct {
        const char *content_type;
        bool may;
    } rows[] = {
        {"text/html; charset=utf-8", true},
        {"application/xhtml+xml", true},
        {"image/png", true},
        {"text/plain", true},
        {"", true},
        {"text/x-component", false},
        {"application/json", false},
        {"text/x-script", false},
        {"application/ld+json", false},
        {"text/markdown; charset=utf-8", false},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct fixture *f = fixture_new();
        struct decision navigation = {.route = &f->route, .is_navigation = true};
        struct decision other = {.route = &f->route};
        slice lines = arena_printf(&f->arena, "Content-Type: %s", rows[i].content_type);
        judge(f, 200, lines.ptr);
        if (facts_may_answer(&f->verdict.facts, &navigation) != rows[i].may)
            fail_msg("%s", rows[i].content_type);
        assert_true(facts_may_answer(&f->verdict.facts, &other));
        f->decision.is_navigation = true;
        judge(f, 200, lines.ptr);
        assert_true(facts_may_answer(&f->verdict.facts, &navigation));
        fixture_free(f);
    }
}

static void test_4_1_no_answer_without_a_body_answers_navigations(void **state)
{
    static const struct {
        unsigned status;
        const char *lines;
        bool may;
    } rows[] = {
        {200, "Content-Type: text/html\nContent-Length: 0", false},
        {200, "Content-Length: 0", false},
        {200, "Content-Type: text/html\nContent-Length: 1", true},
        {200, "Content-Type: text/html", true},
        {204, "", false},
        {301, "Content-Length: 0", true},
        {404, "Content-Length: 0", true},
    };
    struct fixture *f = fixture_new();
    struct decision navigation = {.route = &f->route, .is_navigation = true};
    struct decision other = {.route = &f->route};
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        f->route.store_statuses = STATUSES_PAGES;
        const struct facts *facts = &judge(f, rows[i].status, rows[i].lines)->facts;
        if (facts_may_answer(facts, &navigation) != rows[i].may)
            fail_msg("%u %s", rows[i].status, rows[i].lines);
        assert_true(facts_may_answer(facts, &other));
        use_rfc(f);
        assert_true(facts_may_answer(facts, &navigation));
    }
    fixture_free(f);
}

static void test_facts_are_reproducible_byte_for_byte(void **state)
{
    struct fixture *f = fixture_new();
    struct verdict other;
    (void)state;
    memset(&other, 0xa5, sizeof(other));
    judge(f, 200, "Cache-Control: max-age=100");
    rules_response(&f->policy, &f->request, &f->decision, &f->forward, &f->response, f->times, 0,
                   &other);
    assert_memory_equal(&other.facts, &f->verdict.facts, sizeof(other.facts));
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_4_s_maxage_then_max_age_then_expires),
        cmocka_unit_test(test_a_page_that_next_calls_stale_is_asked_for_anew_soon),
        cmocka_unit_test(test_4_fresh_only_if_the_lifetime_exceeds_the_age),
        cmocka_unit_test(test_4_expires_works_on_the_origins_clock),
        cmocka_unit_test(test_4_the_age_that_came_with_it_counts),
        cmocka_unit_test(test_4_current_age),
        cmocka_unit_test(test_4_a_second_begun_is_no_apparent_age),
        cmocka_unit_test(test_5_3_resident_time_is_monotonic_within_a_boot),
        cmocka_unit_test(test_5_3_after_a_boot_it_is_wall_time_and_never_negative),
        cmocka_unit_test(test_4_heuristic_freshness_wants_last_modified_and_a_fitting_status),
        cmocka_unit_test(test_4_3_heuristic_is_a_tenth_and_capped_and_never_beside_ttl),
        cmocka_unit_test(test_4_3_explicit_freshness_beats_ttl),
        cmocka_unit_test(test_4_3_force_beats_explicit_freshness),
        cmocka_unit_test(test_4_3_status_ttl_stands_between_explicit_freshness_and_ttl),
        cmocka_unit_test(test_2_1_invented_freshness_needs_a_sealed_fill),
        cmocka_unit_test(test_4_1_errors_live_at_most_error_max_unless_named),
        cmocka_unit_test(test_4_3_invented_lifetimes_lose_up_to_a_tenth),
        cmocka_unit_test(test_4_3_a_reload_undoes_a_ttl),
        cmocka_unit_test(test_5_1_what_the_response_says),
        cmocka_unit_test(test_5_1_what_the_route_says),
        cmocka_unit_test(test_10_targeted_directives_forbid_stale_too),
        cmocka_unit_test(test_5_1_if_error_has_no_end_for_never_shell_classes),
        cmocka_unit_test(test_6_2_a_soft_purge_makes_stale),
        cmocka_unit_test(test_4_4_another_policy_hash_leaves_if_error_only),
        cmocka_unit_test(test_5_4_document_max_bounds_residence),
        cmocka_unit_test(test_lifetime_left_is_negative_when_stale),
        cmocka_unit_test(test_4_5_data_formats_do_not_answer_navigations),
        cmocka_unit_test(test_4_1_no_answer_without_a_body_answers_navigations),
        cmocka_unit_test(test_facts_are_reproducible_byte_for_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
