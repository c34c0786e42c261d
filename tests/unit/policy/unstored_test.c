/* policy/unstored.c: which objection stands behind REASON_POLICY. Semantics 4.2, 4.3, 4.7. */
#include "policy/unstored.h"

#include "tests/unit/policy/response_support.h"

struct unstored_row {
    unsigned status;
    const char *lines;
    enum unstored unstored;
};

/* Asked of what the judge refuses for this very reason. */
static void check_rows(struct fixture *f, const struct unstored_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(judge(f, rows[i].status, rows[i].lines)->reason, REASON_POLICY);
        enum unstored got = rules_unstored(&f->route, &f->response);
        if (got != rows[i].unstored)
            fail_msg("%u\n%s\n%d, expected %d", rows[i].status, rows[i].lines, (int)got,
                     (int)rows[i].unstored);
    }
}

static void test_4_3_on_a_route_without_ttl(void **state)
{
    static const struct unstored_row rows[] = {
        {200, "Content-Type: text/html", UNSTORED_FRESHNESS},
        {203, "Content-Type: text/html", UNSTORED_FRESHNESS},
        {200, "Content-Type: text/plain", UNSTORED_TYPE},
        {200, "", UNSTORED_TYPE},
        {404, "Content-Type: text/html", UNSTORED_STATUS},
        {301, "Location: /x", UNSTORED_STATUS},
    };
    struct fixture *f = fixture_new();
    (void)state;
    check_rows(f, rows, ROWS(rows));
    fixture_free(f);
}

static void test_4_3_on_a_route_with_ttl(void **state)
{
    static const struct unstored_row rows[] = {
        {200, "Content-Type: text/plain", UNSTORED_TYPE},
        {410, "Content-Type: text/html", UNSTORED_STATUS},
    };
    static const struct unstored_row zero[] = {
        {200, "Content-Type: text/html", UNSTORED_ZERO},
        {200, "Content-Type: text/plain", UNSTORED_TYPE},
    };
    struct fixture *f = fixture_new();
    (void)state;
    use_ttl(f, 600, false);
    check_rows(f, rows, ROWS(rows));
    use_ttl(f, 0, false);
    check_rows(f, zero, ROWS(zero));
    use_ttl(f, 0, true);
    check_rows(f, zero, ROWS(zero));
    fixture_free(f);
}

static void test_4_3_a_lifetime_of_0_for_the_status(void **state)
{
    static const struct unstored_row rows[] = {
        {404, "Content-Type: text/html", UNSTORED_ZERO},
        {410, "Content-Type: text/html", UNSTORED_STATUS},
    };
    struct fixture *f = fixture_new();
    (void)state;
    use_status_ttl(f, 404, 0, false);
    check_rows(f, rows, ROWS(rows));
    use_status_ttl(f, 404, 0, true);
    check_rows(f, rows, ROWS(rows));
    fixture_free(f);
}

/* What helps is the lifetime without `force`. */
static void test_4_3_force_is_not_for_5xx(void **state)
{
    static const struct unstored_row rows[] = {
        {501, "", UNSTORED_FORCE},
        {501, "Content-Type: text/html", UNSTORED_FORCE},
        {505, "", UNSTORED_STATUS},
    };
    struct fixture *f = fixture_new();
    (void)state;
    use_rfc(f);
    use_status_ttl(f, 501, 60, true);
    check_rows(f, rows, ROWS(rows));
    use_status_ttl(f, 501, 60, false);
    assert_int_equal(judge(f, 501, "")->reason, REASON_NONE);
    use_status_ttl(f, 501, 0, false);
    check_rows(f, &(struct unstored_row){501, "", UNSTORED_ZERO}, 1);
    fixture_free(f);
}

/* Whatever lifetime there is. */
static void test_4_2_and_4_7_what_cannot_be_kept(void **state)
{
    static const struct unstored_row rows[] = {
        {200, "Content-Encoding: zstd\nCache-Control: max-age=60", UNSTORED_CODING},
        {404, "Content-Encoding: zstd\nCache-Control: max-age=60", UNSTORED_CODING},
        {200, "Content-Type: text/event-stream\nCache-Control: max-age=60", UNSTORED_STREAM},
        {200, "Content-Type: text/event-stream; x=y", UNSTORED_STREAM},
    };
    struct fixture *f = fixture_new();
    (void)state;
    check_rows(f, rows, ROWS(rows));
    use_rfc(f); /* keeps any coding as it is */
    assert_int_equal(judge(f, 200, rows[0].lines)->reason, REASON_NONE);
    check_rows(f, &(struct unstored_row){410, "Content-Encoding: zstd", UNSTORED_STATUS}, 1);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_4_3_on_a_route_without_ttl),
        cmocka_unit_test(test_4_3_on_a_route_with_ttl),
        cmocka_unit_test(test_4_3_a_lifetime_of_0_for_the_status),
        cmocka_unit_test(test_4_3_force_is_not_for_5xx),
        cmocka_unit_test(test_4_2_and_4_7_what_cannot_be_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
