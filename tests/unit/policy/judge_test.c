/* What may be stored: semantics 2.7, 4.1 to 4.3, http-caching §2; Vary and tags of a response. */
#include "tests/unit/policy/response_support.h"

struct judge_row {
    const char *what;
    unsigned status;
    const char *lines;
    enum reason reason; /* REASON_NONE: stored */
};

static void check_rows(struct fixture *f, const struct judge_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct verdict *v = judge(f, rows[i].status, rows[i].lines);
        if (v->reason != rows[i].reason || v->may_store != (v->reason == REASON_NONE))
            fail_msg("%s, %u\n%s\n%" SLICE_FMT, rows[i].what, rows[i].status, rows[i].lines,
                     SLICE_ARG(reason_name(v->reason)));
    }
}

static void check_statuses(struct fixture *f, const char *lines, const unsigned *statuses,
                           size_t count, enum reason reason)
{
    for (size_t i = 0; i < count; i++)
        check_rows(f, &(struct judge_row){"status", statuses[i], lines, reason}, 1);
}

/* --- statuses --- */

static void test_4_1_pages_store_the_statuses_of_pages(void **state)
{
    static const unsigned by_rules[] = {200, 203, 301, 302, 303, 307, 308, 404, 410};
    static const unsigned never[] = {101, 103, 201, 202, 204, 206, 299, 300, 304, 400,
                                     401, 403, 405, 408, 413, 414, 421, 425, 429, 431,
                                     451, 499, 500, 501, 502, 503, 504, 599, 999};
    struct fixture *f = fixture_new();
    (void)state;
    check_statuses(f, "Cache-Control: max-age=60", by_rules, ROWS(by_rules), REASON_NONE);
    check_statuses(f, "Cache-Control: max-age=60", never, ROWS(never), REASON_STATUS);
    fixture_free(f);
}

static void test_7_what_says_nothing_of_the_page_does_not_take_its_place(void **state)
{
    static const unsigned replacing[] = {201, 299, 302, 303, 307, 401, 402, 403, 405, 418, 451};
    static const unsigned keeping[] = {204, 206, 400, 408, 413, 414, 421, 425,
                                       429, 431, 500, 501, 502, 503, 504, 599};
    struct fixture *f = fixture_new();
    (void)state;
    for (size_t i = 0; i < ROWS(replacing); i++)
        assert_true(rules_replaces_stored(judge(f, replacing[i], ""), replacing[i]));
    assert_true(rules_replaces_stored(judge(f, 200, "Cache-Control: no-store"), 200));
    for (int rfc = 0; rfc < 2; rfc++) { /* whatever else speaks against storing it */
        f->route.store_statuses = rfc ? STATUSES_RFC : STATUSES_PAGES;
        for (size_t i = 0; i < ROWS(keeping); i++) {
            assert_false(rules_replaces_stored(judge(f, keeping[i], ""), keeping[i]));
            assert_false(
                rules_replaces_stored(judge(f, keeping[i], "Cache-Control: no-store"), keeping[i]));
        }
        assert_false(
            rules_replaces_stored(judge(f, 200, "Cache-Control: private\nContent-Length: 0"), 200));
    }
    f->decision.is_navigation = true;
    assert_false(rules_replaces_stored(judge(f, 200, "Content-Length: 0"), 200));
    fixture_free(f);
}

static void test_4_1_redirects_of_the_moment_want_explicit_freshness(void **state)
{
    static const struct judge_row rows[] = {
        {"nothing", 302, "Location: /x", REASON_STATUS},
        {"heuristic", 303, "Location: /x\nLast-Modified: @-1000", REASON_STATUS},
        {"zero", 307, "Location: /x\nETag: \"x\"\nCache-Control: max-age=0", REASON_STATUS},
        {"no-store", 302, "Location: /x\nCache-Control: no-store, max-age=60", REASON_STATUS},
        {"max-age", 302, "Location: /x\nCache-Control: max-age=60", REASON_NONE},
        {"Expires", 307, "Location: /x\nExpires: @60", REASON_NONE},
        {"targeted", 303, "Location: /x\nCDN-Cache-Control: max-age=60", REASON_NONE},
        {"a permanent one, heuristic", 301, "Location: /x\nLast-Modified: @-1000", REASON_NONE},
        {"a permanent one, nothing", 301, "Location: /x", REASON_POLICY},
    };
    struct fixture *f = fixture_new();
    (void)state;
    check_rows(f, rows, ROWS(rows));
    use_ttl(f, 600, true);
    check_rows(f,
               &(struct judge_row){"force makes no explicit freshness", 302,
                                   "Location: /login\nContent-Type: text/html\n"
                                   "Cache-Control: private, no-store, max-age=0",
                                   REASON_STATUS},
               1);
    fixture_free(f);
}

static void test_4_1_status_ttl_names_further_statuses_but_never_those(void **state)
{
    static const unsigned further[] = {201, 204, 300, 302, 401, 403, 418, 451};
    static const unsigned never[] = {206, 304, 400, 405, 408, 413, 414,
                                     421, 425, 429, 431, 500, 503};
    (void)state;
    for (size_t i = 0; i < ROWS(further) + ROWS(never); i++) {
        struct fixture *f = fixture_new();
        bool is_allowed = i < ROWS(further);
        unsigned status = is_allowed ? further[i] : never[i - ROWS(further)];
        use_status_ttl(f, status, 60, true);
        check_statuses(f, "", &status, 1, is_allowed ? REASON_NONE : REASON_STATUS);
        fixture_free(f);
    }
}

static void test_4_1_no_empty_page_for_a_navigation(void **state)
{
    static const struct judge_row rows[] = {
        {"empty 200", 200, "Cache-Control: max-age=60\nContent-Length: 0", REASON_STATUS},
        {"200", 200, "Cache-Control: max-age=60\nContent-Length: 10", REASON_NONE},
        {"unknown length", 200, "Cache-Control: max-age=60", REASON_NONE},
        {"empty 301", 301, "Cache-Control: max-age=60\nContent-Length: 0", REASON_NONE},
        {"204", 204, "Cache-Control: max-age=60", REASON_STATUS},
    };
    struct fixture *f = fixture_new();
    (void)state;
    use_status_ttl(f, 204, 60, false);
    f->decision.is_navigation = true;
    check_rows(f, rows, ROWS(rows));
    assert_int_equal(rules_body(&f->decision, 200, SLICE("")), REASON_STATUS);
    assert_int_equal(rules_body(&f->decision, 200, SLICE("x")), REASON_NONE);
    assert_int_equal(rules_body(&f->decision, 404, SLICE("")), REASON_NONE);
    f->decision.is_navigation = false;
    check_rows(f, &(struct judge_row){"no navigation", 200, rows[0].lines, REASON_NONE}, 1);
    check_rows(f, &(struct judge_row){"no navigation", 204, rows[4].lines, REASON_NONE}, 1);
    assert_int_equal(rules_body(&f->decision, 200, SLICE("")), REASON_NONE);
    fixture_free(f);
}

static void test_2_rfc_stores_any_final_status_with_explicit_freshness(void **state)
{
    static const unsigned stored[] = {200, 201, 203, 204, 299, 301, 302, 303, 307, 308,
                                      400, 404, 410, 499, 500, 502, 503, 504, 599, 999};
    static const unsigned never[] = {100, 103, 199, 206, 304};
    struct fixture *f = fixture_new();
    (void)state;
    use_rfc(f);
    check_statuses(f, "Cache-Control: max-age=60", stored, ROWS(stored), REASON_NONE);
    check_statuses(f, "Cache-Control: max-age=60", never, ROWS(never), REASON_STATUS);
    check_statuses(f, "Expires: @60", stored, ROWS(stored), REASON_NONE);
    check_statuses(f, "", stored, ROWS(stored), REASON_POLICY);
    fixture_free(f);
}

static void test_2_must_understand(void **state)
{
    static const struct judge_row rows[] = {
        {"understood", 200, "Cache-Control: max-age=3600, no-store, must-understand", REASON_NONE},
        {"unknown", 599, "Cache-Control: max-age=3600, must-understand", REASON_STATUS},
        {"unknown", 599, "Cache-Control: max-age=3600, no-store, must-understand", REASON_STATUS},
        {"without", 200, "Cache-Control: max-age=3600, no-store", REASON_NO_STORE},
        {"private stays", 200, "Cache-Control: private, no-store, must-understand", REASON_PRIVATE},
    };
    struct fixture *f = fixture_new();
    (void)state;
    use_rfc(f);
    check_rows(f, rows, ROWS(rows));
    fixture_free(f);
}

/* --- directives --- */

static void test_2_directives(void **state)
{
    static const struct judge_row rows[] = {
        {"no-store", 200, "Cache-Control: no-store, max-age=3600", REASON_NO_STORE},
        {"no-store", 200, "Cache-Control: No-StOrE\nExpires: @3600", REASON_NO_STORE},
        {"no-store", 200, "Cache-Control: max-age=3600\nCache-Control: no-store", REASON_NO_STORE},
        {"private", 200, "Cache-Control: PRIVATE, s-maxage=3600", REASON_PRIVATE},
        {"private", 200, "Expires: @3600\nCache-Control: private", REASON_PRIVATE},
        {"Next", 200,
         "Cache-Control: private, no-cache, no-store, max-age=0, must-revalidate\nETag: \"a\"",
         REASON_PRIVATE},
        {"no-cache", 200, "Cache-Control: no-cache", REASON_NO_CACHE},
        {"no-cache", 200, "Cache-Control: no-cache, max-age=3600", REASON_NO_CACHE},
        {"no-cache with ETag", 200, "Cache-Control: no-cache\nETag: \"a\"", REASON_NONE},
        {"no-cache with date", 200, "Cache-Control: no-cache\nLast-Modified: @-9", REASON_NONE},
        {"no-cache, empty ETag", 200, "Cache-Control: no-cache\nETag:", REASON_NO_CACHE},
        {"no-cache, bad date", 200, "Cache-Control: no-cache\nLast-Modified: x", REASON_NO_CACHE},
        {"qualified", 200, "Cache-Control: max-age=9, no-cache=\"a\", private=\"b\"", REASON_NONE},
        {"nothing", 200, "", REASON_POLICY},
        {"only a validator", 200, "ETag: \"a\"", REASON_POLICY},
        {"zero with validator", 200, "Cache-Control: max-age=0\nETag: \"a\"", REASON_NONE},
        {"zero, for failures", 200, "Cache-Control: max-age=0", REASON_NONE},
        {"zero, of no use", 200, "Cache-Control: max-age=0, must-revalidate", REASON_EXPIRED},
        {"zero, of no use", 200, "Cache-Control: s-maxage=0", REASON_EXPIRED},
        {"Content-Disposition", 200,
         "Cache-Control: max-age=9\nContent-Disposition: attachment; filename=a", REASON_NONE},
        {"Pragma is no response field", 200, "Cache-Control: max-age=9\nPragma: no-cache",
         REASON_NONE},
        {"targeted beats", 200, "Cache-Control: no-store\nCDN-Cache-Control: max-age=9",
         REASON_NONE},
        {"targeted beats", 200, "Cache-Control: private\nExpires: 0\nCDN-Cache-Control: max-age=9",
         REASON_NONE},
        {"targeted no-store", 200, "Cache-Control: max-age=9\nCDN-Cache-Control: no-store",
         REASON_NO_STORE},
        {"targeted private", 200, "Cache-Control: max-age=9\nCDN-Cache-Control: private",
         REASON_PRIVATE},
        {"targeted no-cache", 200, "Cache-Control: max-age=9\nCDN-Cache-Control: no-cache",
         REASON_NO_CACHE},
        {"targeted zero", 200,
         "Cache-Control: max-age=9\nCDN-Cache-Control: max-age=0, must-revalidate", REASON_EXPIRED},
        {"targeted in error", 200, "Cache-Control: no-store\nCDN-Cache-Control: max-age= 9",
         REASON_NO_STORE},
        {"targeted wrong type", 200,
         "Cache-Control: max-age=9\nCDN-Cache-Control: max-age=\"9\", must-revalidate",
         REASON_EXPIRED},
    };
    struct fixture *f = fixture_new();
    (void)state;
    check_rows(f, rows, ROWS(rows));
    fixture_free(f);
}

static void test_2_request_cookies_do_not_matter(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    add_lines(&f->request.fields, "Cookie: a=b");
    add_lines(&f->forward.fields, "Cookie: a=b");
    check_rows(f, &(struct judge_row){"cookie", 200, "Cache-Control: max-age=9", REASON_NONE}, 1);
    fixture_free(f);
}

static void test_2_methods_and_routes(void **state)
{
    static const struct judge_row post = {"POST", 200, "Cache-Control: max-age=9", REASON_METHOD};
    static const struct judge_row route = {"route", 200, "Cache-Control: max-age=9", REASON_ROUTE};
    static const struct judge_row head = {"HEAD", 200, "Cache-Control: max-age=9", REASON_NONE};
    struct fixture *f = fixture_new();
    (void)state;
    f->request.method = METHOD_POST;
    check_rows(f, &post, 1);
    f->request.method = METHOD_HEAD;
    check_rows(f, &head, 1);
    f->route.is_cacheable = false;
    check_rows(f, &route, 1);
    fixture_free(f);
}

static void test_4_3_force_overrides_no_store_but_not_cookies_vary_authorization(void **state)
{
#define PAGE "Content-Type: text/html\n"
    static const struct judge_row rows[] = {
        {"no-store", 200, PAGE "Cache-Control: no-store", REASON_NONE},
        {"private", 200, PAGE "Cache-Control: private, no-cache", REASON_NONE},
        {"Set-Cookie", 200, PAGE "Set-Cookie: a=b", REASON_SET_COOKIE},
        {"Vary", 200, PAGE "Vary: *", REASON_VARY_DENIED},
        {"500", 500, PAGE, REASON_STATUS},
        {"206", 206, PAGE, REASON_STATUS},
        {"another type", 200, "Content-Type: image/png\nCache-Control: no-store", REASON_NO_STORE},
        {"404", 404, PAGE "Cache-Control: no-store", REASON_NO_STORE},
    };
    struct fixture *f = fixture_new();
    (void)state;
    use_ttl(f, 60, true);
    check_rows(f, rows, ROWS(rows));
    add_lines(&f->forward.fields, "Authorization: Basic x");
    check_rows(f, &(struct judge_row){"Authorization", 200, PAGE, REASON_PRIVATE}, 1);
    fixture_free(f);
}

/* --- Authorization --- */

static void test_4_2_authorization_wants_one_of_three_directives(void **state)
{
    static const struct judge_row rows[] = {
        {"none", 200, "Cache-Control: max-age=9", REASON_PRIVATE},
        {"public", 200, "Cache-Control: max-age=9, public", REASON_NONE},
        {"must-revalidate", 200, "Cache-Control: max-age=9, must-revalidate", REASON_NONE},
        {"s-maxage", 200, "Cache-Control: s-maxage=9", REASON_NONE},
        {"proxy-revalidate is not one", 200, "Cache-Control: max-age=9, proxy-revalidate",
         REASON_PRIVATE},
        {"the targeted field decides", 200, "Cache-Control: public\nCDN-Cache-Control: max-age=9",
         REASON_PRIVATE},
        {"the targeted field decides", 200, "CDN-Cache-Control: max-age=9, public", REASON_NONE},
    };
    struct fixture *f = fixture_new();
    (void)state;
    add_lines(&f->request.fields, "Authorization: Basic x");
    check_rows(f, &(struct judge_row){"held back", 200, rows[0].lines, REASON_NONE}, 1);
    add_lines(&f->forward.fields, "Authorization: Basic x");
    check_rows(f, rows, ROWS(rows));
    fixture_free(f);
}

/* --- Set-Cookie: semantics 2.7, 4.2 --- */

static void test_2_7_set_cookie_of_held_names_does_not_count(void **state)
{
    static const struct judge_row rows[] = {
        {"any", 200, "Cache-Control: max-age=9\nSet-Cookie: session=1; Path=/", REASON_SET_COOKIE},
        {"held", 200, "Cache-Control: max-age=9\nSet-Cookie: _ga=1; Path=/", REASON_NONE},
        {"held, spaces", 200, "Cache-Control: max-age=9\nSet-Cookie:  _ga = 1", REASON_NONE},
        {"other case", 200, "Cache-Control: max-age=9\nSet-Cookie: _GA=1", REASON_SET_COOKIE},
        {"both", 200, "Cache-Control: max-age=9\nSet-Cookie: _ga=1\nSet-Cookie: x=1",
         REASON_SET_COOKIE},
        {"no name", 200, "Cache-Control: max-age=9\nSet-Cookie: _ga", REASON_SET_COOKIE},
        {"only in an attribute", 200, "Cache-Control: max-age=9\nSet-Cookie: _ga; _ga=1",
         REASON_SET_COOKIE},
        {"longer", 200, "Cache-Control: max-age=9\nSet-Cookie: _ga_X=1", REASON_SET_COOKIE},
    };
    struct fixture *f = fixture_new();
    (void)state;
    f->forward.held_cookies = slices_of(&f->arena, "_gid _ga");
    check_rows(f, rows, ROWS(rows));
    f->route.store_set_cookie = true;
    check_rows(f, &(struct judge_row){"allowed", 200, rows[0].lines, REASON_NONE}, 1);
    fixture_free(f);
}

static void test_2_7_only_lines_of_held_names_are_removed(void **state)
{
    struct fixture *f = fixture_new();
    struct fields fields =
        fields_of(&f->arena, "A: 1\nSet-Cookie: _ga=1\nSet-Cookie: s=2\nSet-Cookie: _gid=\nB: 2");
    (void)state;
    fields_remove_held_set_cookies(&fields, slices_of(&f->arena, "_gid _ga"));
    assert_int_equal(fields.count, 3);
    assert_true(slice_is(fields.at[1].value, "s=2"));
    assert_true(fields_set_foreign_cookie(&fields, slices_of(&f->arena, "_gid _ga")));
    fields_remove_held_set_cookies(&fields, slices_of(&f->arena, "s"));
    assert_false(fields_set_foreign_cookie(&fields, (struct slices){0}));
    fixture_free(f);
}

/* --- cors, nonce, redirects, codings: semantics 4.2 --- */

static void test_4_2_cors(void **state)
{
#define FRESH_LINE "Cache-Control: max-age=9\n"
    static const struct judge_row rows[] = {
        {"any", 200, FRESH_LINE "Access-Control-Allow-Origin: *", REASON_NONE},
        {"one", 200, FRESH_LINE "Access-Control-Allow-Origin: https://a.example", REASON_CORS},
        {"null", 200, FRESH_LINE "Access-Control-Allow-Origin: null", REASON_CORS},
        {"varied", 200,
         FRESH_LINE "Access-Control-Allow-Origin: https://a.example\nVary: Foo, ORIGIN",
         REASON_NONE},
    };
    struct fixture *f = fixture_new();
    (void)state;
    check_rows(f, rows, ROWS(rows));
    use_rfc(f);
    check_rows(f, &(struct judge_row){"rfc", 200, rows[1].lines, REASON_NONE}, 1);
    fixture_free(f);
}

static void test_4_2_a_nonce_on_invented_freshness(void **state)
{
#define NONCE "Content-Security-Policy: script-src 'self' 'nonce-abc'\n"
    static const struct judge_row rows[] = {
        {"invented", 200, PAGE NONCE, REASON_NONCE},
        {"any case", 200, PAGE "Content-Security-Policy: script-src 'NONCE-abc'", REASON_NONCE},
        {"report only", 200, PAGE "Content-Security-Policy-Report-Only: script-src 'nonce-a'",
         REASON_NONCE},
        {"second line", 200, PAGE "Content-Security-Policy: default-src 'self'\n" NONCE,
         REASON_NONCE},
        {"explicit", 200, PAGE NONCE "Cache-Control: max-age=9", REASON_NONE},
        {"no nonce", 200, PAGE "Content-Security-Policy: script-src 'self'", REASON_NONE},
        {"cut off", 200, PAGE "Content-Security-Policy: 'nonce", REASON_NONE},
    };
    struct fixture *f = fixture_new();
    (void)state;
    use_ttl(f, 60, false);
    check_rows(f, rows, ROWS(rows));
    fixture_free(f);
}

static void test_4_2_redirects_to_themselves(void **state)
{
    static const struct {
        const char *target, *location;
        bool is_self;
    } rows[] = {
        {"/page", "https://shop.example/page", true},
        {"/page", "http://shop.example/page", true},
        {"/page", "HTTPS://Shop.Example:443/page", true},
        {"/page", "https://www.shop.example/page", true},
        {"/page", "http://www.shop.example:80/page#top", true},
        {"/page", "//shop.example/page", true},
        {"/page", "/page", true},
        {"/page", "page", true},
        {"/page", "./page", true},
        {"/page", "/a/../page", true},
        {"/page", "", true},
        {"/page", "#top", true},
        {"/page?a=1", "", true},
        {"/page?a=1", "/page?a=1", true},
        {"/page?a=1", "?a=1", true},
        {"/page?a=1", "https://shop.example./page?a=1", true},
        {"/", "https://www.shop.example", true},
        {"/", "/", true},
        {"/a/b", "b", true},
        {"/a/b", "../a/b", true},
        {"/a/", ".", true},
        {"/a/", "", true},
        {"/page", "/page/", false},
        {"/page", "/other", false},
        {"/page", "/Page", false},
        {"/page", "https://other.example/page", false},
        {"/page", "https://shop.example.evil/page", false},
        {"/page", "https://m.shop.example/page", false},
        {"/page", "/page?a=1", false},
        {"/page", "/page?", false},
        {"/page?a=1", "/page", false},
        {"/page?a=1", "/page?a=2", false},
        {"/page", "ftp://shop.example/page", false},
        {"/page", "mailto:a@shop.example", false},
        {"/a/b", "c", false},
        {"/a/b", "/a/b/../..", false},
        {"/page", "https://shop.example", false},
        {"/page", "//", false},
        {"/page", "../../../..", false},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct fixture *f = fixture_new();
        set_target(f, rows[i].target);
        slice lines =
            arena_printf(&f->arena, "Cache-Control: max-age=9\nLocation: %s", rows[i].location);
        enum reason expected = rows[i].is_self ? REASON_SELF_REDIRECT : REASON_NONE;
        if (judge(f, 301, lines.ptr)->reason != expected)
            fail_msg("%s -> %s", rows[i].target, rows[i].location);
        assert_int_equal(judge(f, 200, lines.ptr)->reason, REASON_NONE);
        use_rfc(f);
        assert_int_equal(judge(f, 301, lines.ptr)->reason, REASON_NONE);
        fixture_free(f);
    }
}

static void test_4_2_a_redirect_to_what_the_query_rules_left_is_one_to_itself(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    set_target(f, "/page?utm_source=x");
    f->decision.has_query = false;
    f->decision.query = SLICE_NONE;
    assert_int_equal(judge(f, 301, "Cache-Control: max-age=9\nLocation: /page")->reason,
                     REASON_SELF_REDIRECT);
    assert_int_equal(judge(f, 301, "Cache-Control: max-age=9")->reason, REASON_NONE);
    fixture_free(f);
}

static void test_4_7_unknown_codings_pass(void **state)
{
    static const struct judge_row rows[] = {
        {"gzip", 200, FRESH_LINE "Content-Encoding: gzip", REASON_NONE},
        {"br", 200, FRESH_LINE "Content-Encoding: br", REASON_NONE},
        {"zstd", 200, FRESH_LINE "Content-Encoding: zstd", REASON_POLICY},
        {"two", 200, FRESH_LINE "Content-Encoding: gzip, br", REASON_POLICY},
    };
    struct fixture *f = fixture_new();
    (void)state;
    check_rows(f, rows, ROWS(rows));
    use_rfc(f);
    check_rows(f, &(struct judge_row){"rfc", 200, rows[2].lines, REASON_NONE}, 1);
    fixture_free(f);
}

static void test_5_5_eviction_is_told_how_long_a_200_is_kept_old(void **state)
{
    struct fixture *f = fixture_new();
    const char *lines = "Cache-Control: max-age=60";
    (void)state;
    assert_int_equal(judge(f, 200, lines)->facts.keep_old_s, 0);
    f->route.keep_old = (duration){7 * 86400000LL};
    assert_int_equal(judge(f, 200, lines)->facts.keep_old_s, 7 * 86400);
    assert_int_equal(judge(f, 404, lines)->facts.keep_old_s, 0);
    f->route.keep_old = DURATION_MAX;
    assert_int_equal(judge(f, 200, lines)->facts.keep_old_s, UINT32_MAX);
    fixture_free(f);
}

static void test_4_2_bodies_that_match_reject_body(void **state)
{
    char error[256];
    size_t offset;
    struct fixture *f = fixture_new();
    struct regex *late_throw = regex_compile(SLICE("\\$RX\\("), false, error, &offset);
    (void)state;
    assert_non_null(late_throw);
    f->route.reject_body = &late_throw;
    f->route.reject_body_count = 1;
    assert_int_equal(rules_body(&f->decision, 200, SLICE("<html>$RX(\"B:0\")")), REASON_POLICY);
    assert_int_equal(rules_body(&f->decision, 200, SLICE("<html>")), REASON_NONE);
    regex_free(late_throw);
    fixture_free(f);
}

/* --- Vary --- */

static void check_vary(struct fixture *f, const char *lines, const char *names)
{
    const struct verdict *v = judge(f, 200, lines);
    struct slices expected = slices_of(&f->arena, names);
    assert_false(v->has_vary_star);
    if (v->vary.count != expected.count)
        fail_msg("%s: %zu names", lines, v->vary.count);
    for (size_t i = 0; i < expected.count; i++)
        if (!slice_equal(v->vary.at[i], expected.at[i]))
            fail_msg("%s: %" SLICE_FMT, lines, SLICE_ARG(v->vary.at[i]));
}

static void test_1_vary_star_never_matches(void **state)
{
    static const char *const rows[] = {"Vary: *",        "Vary: *, *",        "Vary: , *",
                                       "Vary: *, Foo",   "Vary: Foo, *",      "Vary: *\nVary: *",
                                       "Vary:\nVary: *", "Vary: Foo\nVary: *"};
    struct fixture *f = fixture_new();
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        slice lines = arena_printf(&f->arena, "Cache-Control: max-age=9\n%s", rows[i]);
        const struct verdict *v = judge(f, 200, lines.ptr);
        if (!v->has_vary_star || v->reason != REASON_VARY_DENIED)
            fail_msg("%s", rows[i]);
    }
    fixture_free(f);
}

static void test_2_5_vary_names_are_a_sorted_set(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    check_vary(f, "", "");
    check_vary(f, "Vary: Foo", "foo");
    check_vary(f, "Vary: Foo, bar ,BAR\nVary: ,Accept-Language", "accept-language bar foo");
    check_vary(f, "Vary: , ,", "");
    fixture_free(f);
}

static void test_4_7_accept_encoding_is_not_in_the_union(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    check_vary(f, "Vary: Accept-Encoding", "");
    check_vary(f, "Vary: accept-encoding, Cookie", "cookie");
    f->policy.seal = SEAL_OFF;
    check_vary(f, "Vary: Accept-Encoding, Foo", "foo");
    fixture_free(f);
}

static void test_2_4_either_name_of_an_as_entry_counts_as_both(void **state)
{
    struct fixture *f = fixture_new();
    struct vary_config vary[] = {
        {.field = SLICE("user-agent"), .kind = VARY_MAP, .as = SLICE("x-device")},
        {.field = SLICE("accept-language"), .kind = VARY_CHOOSE},
    };
    (void)state;
    f->policy.vary = vary;
    f->policy.vary_count = ROWS(vary);
    check_vary(f, "Vary: User-Agent", "user-agent x-device");
    check_vary(f, "Vary: X-Device, Foo", "foo user-agent x-device");
    check_vary(f, "Vary: Accept-Language", "accept-language");
    fixture_free(f);
}

static void test_2_5_more_than_16_names_are_denied(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    judge(f, 200, "Cache-Control: max-age=9\nVary: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p");
    assert_true(f->verdict.may_store);
    judge(f, 200, "Cache-Control: max-age=9\nVary: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,p,A,b,q");
    assert_true(f->verdict.vary_overflows);
    assert_int_equal(f->verdict.reason, REASON_VARY_DENIED);
    fixture_free(f);
}

static void test_a_vary_that_cannot_be_read_is_denied(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    judge(f, 200, "Cache-Control: max-age=9\nVary: Accept Language");
    assert_int_equal(f->verdict.reason, REASON_VARY_DENIED);
    judge(f, 200, "Cache-Control: max-age=9\nVary: \"Cookie\"");
    assert_int_equal(f->verdict.reason, REASON_VARY_DENIED);
    judge(f, 200, "Cache-Control: max-age=9\nVary: Accept, X-Request-ID");
    assert_int_equal(f->verdict.reason, REASON_VARY_DENIED);
    judge(f, 200, "Cache-Control: max-age=9\nVary: X-Request-Id-Of-Mine");
    assert_int_equal(f->verdict.reason, REASON_NONE);
    fixture_free(f);
}

static void test_2_3_vary_is_known_even_of_what_is_not_stored(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    judge(f, 500, "Vary: Foo\nSet-Cookie: a=b");
    assert_false(f->verdict.may_store);
    assert_int_equal(f->verdict.vary.count, 1);
    fixture_free(f);
}

/* --- the Vary that clients see: semantics 4.8 --- */

static void check_client_vary(struct fixture *f, const char *lines, const char *expected)
{
    judge(f, 200, lines);
    slice vary = client_vary(&f->policy, &f->verdict.facts, &f->response.fields, &f->arena);
    if (!slice_is(vary, expected))
        fail_msg("%s: %" SLICE_FMT, lines, SLICE_ARG(vary));
}

static void check_pass_vary(struct fixture *f, const char *line, const char *expected)
{
    slice vary = client_vary_of_pass(&f->policy, slice_of_string(line), &f->arena);
    if (!slice_is(vary, expected))
        fail_msg("%s: %" SLICE_FMT, line, SLICE_ARG(vary));
}

static void test_4_8_clients_see_what_varve_adds(void **state)
{
    struct fixture *f = fixture_new();
    struct vary_config vary[] = {
        {.field = SLICE("user-agent"), .kind = VARY_MAP, .as = SLICE("x-device")},
        {.field = SLICE("accept-language"), .kind = VARY_CHOOSE, .always = VARY_ON_DEMAND},
        {.field = SLICE("cookie"), .kind = VARY_COOKIES, .keep = slices_of(&f->arena, "ab")},
    };
    (void)state;
    check_client_vary(f, "", "");
    check_client_vary(f, "Vary: Foo, RSC\nVary: foo", "Foo, RSC");
    check_client_vary(f, "Vary: Foo, *", "*");
    check_client_vary(f, "Content-Encoding: gzip", "Accept-Encoding");
    slice many = SLICE("Vary: x");
    for (int i = 0; i < 64; i++)
        many = arena_printf(&f->arena, "%" SLICE_FMT ", n%d", SLICE_ARG(many), i);
    check_client_vary(f, many.ptr, "*");
    f->policy.compress_codings = slices_of(&f->arena, "br gzip");
    f->policy.compress_types = slices_of(&f->arena, "text/* application/json");
    check_client_vary(f, PAGE "Vary: Foo", "Foo, Accept-Encoding");
    check_client_vary(f, PAGE "Vary: accept-encoding", "accept-encoding");
    check_client_vary(f, "Content-Type: image/png", "");
    check_client_vary(f, PAGE "Cache-Control: no-transform", "");
    f->policy.compress_codings.count = 0;
    f->policy.vary = vary;
    f->policy.vary_count = 2;
    check_client_vary(f, "Vary: X-Device", "user-agent");
    check_client_vary(f, "Vary: User-Agent, X-Device", "User-Agent");
    check_pass_vary(f, "X-DEVICE , RSC", "user-agent, RSC");
    check_pass_vary(f, "User-Agent, x-device", "User-Agent");
    check_pass_vary(f, "Foo,RSC , foo", "Foo,RSC , foo");
    check_pass_vary(f, "x-device, *", "*");
    check_pass_vary(f, arena_printf(&f->arena, "%.*s, x-device", (int)many.len, many.ptr).ptr, "*");
    check_client_vary(f, "", "");
    f->decision.is_sealed = true;
    check_client_vary(f, "Vary: Foo", "Foo, user-agent");
    vary[1].always = VARY_ALWAYS;
    f->policy.vary_count = 3;
    check_client_vary(f, "Vary: Foo", "Foo, user-agent, accept-language, Cookie");
    fixture_free(f);
}

/* --- tags --- */

static void test_6_2_tags_of_fields_and_route(void **state)
{
    struct fixture *f = fixture_new();
    (void)state;
    f->decision.tags = slices_of(&f->arena, "product-1 a");
    judge(f, 200,
          "Cache-Control: max-age=9\nSurrogate-Key: a  b,c\nCache-Tag: c, d\nX-Other: no\n"
          "Surrogate-Key: , e ,");
    struct slices expected = slices_of(&f->arena, "product-1 a b c d e"), tags = f->verdict.tags;
    assert_true(f->verdict.may_store);
    assert_int_equal(tags.count, expected.count);
    for (size_t i = 0; i < tags.count; i++)
        assert_true(slice_equal(tags.at[i], expected.at[i]));
    fixture_free(f);
}

static void test_6_2_a_page_with_more_tags_than_can_purge_it_is_not_stored(void **state)
{
    struct fixture *f = fixture_new();
    slice lines = SLICE("Cache-Control: max-age=9\nSurrogate-Key:");
    (void)state;
    for (int i = 0; i < TAGS_MAX; i++)
        lines = arena_printf(&f->arena, "%" SLICE_FMT " t%d", SLICE_ARG(lines), i);
    assert_true(judge(f, 200, lines.ptr)->may_store);
    assert_int_equal(f->verdict.tags.count, TAGS_MAX);
    lines = arena_printf(&f->arena, "%" SLICE_FMT " more", SLICE_ARG(lines));
    assert_int_equal(judge(f, 200, lines.ptr)->reason, REASON_TOO_LARGE);
    assert_int_equal(f->verdict.tags.count, TAGS_MAX);
    fixture_free(f);
}

static void check_tags(const struct slices *tags, const char *const *expected, size_t count)
{
    assert_int_equal(tags->count, count);
    for (size_t i = 0; i < count; i++)
        if (!slice_is(tags->at[i], expected[i]))
            fail_msg("%.*s is not %s", (int)tags->at[i].len, tags->at[i].ptr, expected[i]);
}

static void test_9875_cache_groups_are_tags_of_their_origin(void **state)
{
    static const char *const expected[] = {"news", "https://shop.example news",
                                           "https://shop.example a \"b\\", "https://shop.example ",
                                           "https://shop.example News"};
    struct fixture *f = fixture_new();
    (void)state;
    judge(f, 200,
          "Cache-Control: max-age=9\nCache-Groups: \"news\";revalidate, \"a \\\"b\\\\\"\n"
          "Surrogate-Key: news\nCache-Groups: \"\", \"news\",\"News\"");
    assert_true(f->verdict.may_store);
    check_tags(&f->verdict.tags, expected, ROWS(expected));
    f->request.host = SLICE("shop.example:8443");
    f->request.scheme = SLICE("http");
    judge(f, 200, "Cache-Control: max-age=9\nCache-Groups: \"news\"");
    check_tags(&f->verdict.tags, (const char *const[]){"http://shop.example:8443 news"}, 1);
    fixture_free(f);
}

static void test_9875_a_field_that_is_no_list_of_strings_counts_as_absent(void **state)
{
    static const char *const rows[] = {
        "",
        "news",
        "\"a\", news",
        "\"a\", 1",
        "\"a\", (\"b\")",
        "\"a\" \"b\"",
        "\"a",
        "\"a\",",
        "\"a\"\nX: y\nCache-Groups: b",
        "\"\xc3\xa4\"",
        ":YQ==:",
    };
    struct fixture *f = fixture_new();
    struct slices tags;
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        slice lines = arena_printf(&f->arena,
                                   "Cache-Control: max-age=9\nCache-Groups: %s\n"
                                   "Cache-Group-Invalidation: %s",
                                   rows[i], rows[i]);
        assert_true(judge(f, 200, lines.ptr)->may_store);
        assert_int_equal(f->verdict.tags.count, 0);
        if (!strchr(rows[i], '\n')) {
            assert_true(
                rules_invalidated_groups(&f->request, &f->response.fields, &f->arena, &tags));
            assert_int_equal(tags.count, 0);
        }
    }
    fixture_free(f);
}

static slice many_groups(struct fixture *f, const char *head, int count)
{
    slice lines = arena_printf(&f->arena, "%s", head);
    for (int i = 0; i < count; i++)
        lines = arena_printf(&f->arena, "%" SLICE_FMT "%s\"a-name-of-more-than-32-characters-%d\"",
                             SLICE_ARG(lines), i ? "," : "", i);
    return lines;
}

static void test_9875_32_groups_of_32_characters_and_up_to_the_limit_of_tags(void **state)
{
    struct fixture *f = fixture_new();
    const char *head = "Cache-Control: max-age=9\nCache-Groups: ";
    (void)state;
    assert_true(judge(f, 200, many_groups(f, head, 32).ptr)->may_store);
    assert_int_equal(f->verdict.tags.count, 32);
    assert_true(judge(f, 200, many_groups(f, head, TAGS_MAX).ptr)->may_store);
    assert_int_equal(f->verdict.tags.count, TAGS_MAX);
    assert_int_equal(judge(f, 200, many_groups(f, head, TAGS_MAX + 1).ptr)->reason,
                     REASON_TOO_LARGE);
    f->decision.tags = slices_of(&f->arena, "one");
    assert_int_equal(judge(f, 200, many_groups(f, head, TAGS_MAX).ptr)->reason, REASON_TOO_LARGE);
    fixture_free(f);
}

static void test_9875_invalidated_groups_are_the_tags_of_the_same_origin(void **state)
{
    static const char *const expected[] = {"https://shop.example b", "https://shop.example a"};
    struct fixture *f = fixture_new();
    struct fields fields = fields_of(
        &f->arena, "Cache-Group-Invalidation: \"b\", \"a\";x\nCache-Group-Invalidation: \"b\"\n"
                   "Cache-Groups: \"c\"\nSurrogate-Key: d");
    struct slices tags;
    (void)state;
    assert_true(rules_invalidated_groups(&f->request, &fields, &f->arena, &tags));
    check_tags(&tags, expected, ROWS(expected));
    fields = fields_of(&f->arena, many_groups(f, "Cache-Group-Invalidation: ", 200).ptr);
    assert_false(rules_invalidated_groups(&f->request, &fields, &f->arena, &tags));
    assert_int_equal(tags.count, TAGS_MAX);
    fixture_free(f);
}

/* --- sharing --- */

static void test_3_1_only_what_a_later_request_could_get_is_shared(void **state)
{
    static const struct {
        const char *lines;
        bool is_shareable;
    } rows[] = {
        {"Cache-Control: max-age=9", true},
        {"Cache-Control: max-age=0\nETag: \"a\"", false},
        {"Cache-Control: no-cache\nETag: \"a\"", false},
        {"Cache-Control: max-age=9\nAge: 10", false},
        {"Cache-Control: max-age=0, stale-while-revalidate=9", true},
        {"Cache-Control: max-age=9, private", false},
        {"", false},
    };
    struct fixture *f = fixture_new();
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++)
        if (judge(f, 200, rows[i].lines)->is_shareable != rows[i].is_shareable)
            fail_msg("%s", rows[i].lines);
    fixture_free(f);
}

/* --- methods --- */

static void test_methods(void **state)
{
    static const struct {
        const char *text;
        enum method method;
        bool is_safe;
    } rows[] = {
        {"GET", METHOD_GET, true},         {"HEAD", METHOD_HEAD, true},
        {"OPTIONS", METHOD_OPTIONS, true}, {"TRACE", METHOD_TRACE, true},
        {"POST", METHOD_POST, false},      {"PUT", METHOD_PUT, false},
        {"PATCH", METHOD_PATCH, false},    {"DELETE", METHOD_DELETE, false},
        {"PURGE", METHOD_PURGE, false},    {"M-SEARCH", METHOD_OTHER, false},
        {"get", METHOD_OTHER, false},      {"", METHOD_OTHER, false},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(method_of(slice_of_string(rows[i].text)), rows[i].method);
        assert_int_equal(method_is_safe(rows[i].method), rows[i].is_safe);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_4_1_pages_store_the_statuses_of_pages),
        cmocka_unit_test(test_7_what_says_nothing_of_the_page_does_not_take_its_place),
        cmocka_unit_test(test_4_1_redirects_of_the_moment_want_explicit_freshness),
        cmocka_unit_test(test_4_1_status_ttl_names_further_statuses_but_never_those),
        cmocka_unit_test(test_4_1_no_empty_page_for_a_navigation),
        cmocka_unit_test(test_2_rfc_stores_any_final_status_with_explicit_freshness),
        cmocka_unit_test(test_2_must_understand),
        cmocka_unit_test(test_2_directives),
        cmocka_unit_test(test_2_request_cookies_do_not_matter),
        cmocka_unit_test(test_2_methods_and_routes),
        cmocka_unit_test(test_4_3_force_overrides_no_store_but_not_cookies_vary_authorization),
        cmocka_unit_test(test_4_2_authorization_wants_one_of_three_directives),
        cmocka_unit_test(test_2_7_set_cookie_of_held_names_does_not_count),
        cmocka_unit_test(test_2_7_only_lines_of_held_names_are_removed),
        cmocka_unit_test(test_4_2_cors),
        cmocka_unit_test(test_4_2_a_nonce_on_invented_freshness),
        cmocka_unit_test(test_4_2_redirects_to_themselves),
        cmocka_unit_test(test_4_2_a_redirect_to_what_the_query_rules_left_is_one_to_itself),
        cmocka_unit_test(test_4_7_unknown_codings_pass),
        cmocka_unit_test(test_5_5_eviction_is_told_how_long_a_200_is_kept_old),
        cmocka_unit_test(test_4_2_bodies_that_match_reject_body),
        cmocka_unit_test(test_1_vary_star_never_matches),
        cmocka_unit_test(test_2_5_vary_names_are_a_sorted_set),
        cmocka_unit_test(test_4_7_accept_encoding_is_not_in_the_union),
        cmocka_unit_test(test_2_4_either_name_of_an_as_entry_counts_as_both),
        cmocka_unit_test(test_2_5_more_than_16_names_are_denied),
        cmocka_unit_test(test_a_vary_that_cannot_be_read_is_denied),
        cmocka_unit_test(test_2_3_vary_is_known_even_of_what_is_not_stored),
        cmocka_unit_test(test_4_8_clients_see_what_varve_adds),
        cmocka_unit_test(test_6_2_tags_of_fields_and_route),
        cmocka_unit_test(test_6_2_a_page_with_more_tags_than_can_purge_it_is_not_stored),
        cmocka_unit_test(test_9875_cache_groups_are_tags_of_their_origin),
        cmocka_unit_test(test_9875_a_field_that_is_no_list_of_strings_counts_as_absent),
        cmocka_unit_test(test_9875_32_groups_of_32_characters_and_up_to_the_limit_of_tags),
        cmocka_unit_test(test_9875_invalidated_groups_are_the_tags_of_the_same_origin),
        cmocka_unit_test(test_3_1_only_what_a_later_request_could_get_is_shared),
        cmocka_unit_test(test_methods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
