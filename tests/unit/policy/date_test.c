/* HTTP dates: http-caching §1, RFC 9110 §5.6.7. */
#include "tests/unit/policy/response_support.h"

static const wall_time in_2024 = {1731622400000};

struct date_row {
    const char *text;
    int64_t seconds;
};

static void check_accepted(const struct date_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        wall_time date = {-1};
        if (!http_date_parse(slice_of_string(rows[i].text), in_2024, &date))
            fail_msg("rejected: %s", rows[i].text);
        if (date.ms != rows[i].seconds * 1000)
            fail_msg("%s: read as %lld", rows[i].text, (long long)date.ms / 1000);
    }
}

static void test_1_all_three_forms_are_read(void **state)
{
    static const struct date_row rows[] = {
        {"Thu, 18 Aug 2050 02:01:18 GMT", 2544400878},
        {"Thursday, 18-Aug-50 02:01:18 GMT", 2544400878},
        {"Thu Aug 18 02:01:18 2050", 2544400878},
        {"Mon Aug  8 02:01:18 2050", 2543536878},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"  Sun, 06 Nov 1994 08:49:37 GMT\t", 784111777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
    };
    (void)state;
    check_accepted(rows, ROWS(rows));
}

static void test_1_names_and_zone_are_read_in_any_case(void **state)
{
    static const struct date_row rows[] = {
        {"THU, 18 Aug 2050 02:01:18 GMT", 2544400878},
        {"Thu, 18 AUG 2050 02:01:18 GMT", 2544400878},
        {"thu, 18 aug 2050 02:01:18 gMT", 2544400878},
        {"THURSDAY, 18-AUG-50 02:01:18 gmt", 2544400878},
    };
    (void)state;
    check_accepted(rows, ROWS(rows));
}

static void test_1_the_day_of_the_week_need_not_fit(void **state)
{
    static const struct date_row rows[] = {{"Mon, 18 Aug 2050 02:01:18 GMT", 2544400878}};
    (void)state;
    check_accepted(rows, ROWS(rows));
}

static void test_1_time_has_64_bits(void **state)
{
    static const struct date_row rows[] = {
        {"Tue, 19 Jan 2038 14:14:08 GMT", 2147523248},
        {"Sun, 21 Nov 2286 04:46:39 GMT", 10000039599},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
    };
    (void)state;
    check_accepted(rows, ROWS(rows));
}

static void test_1_two_digit_years_over_50_years_ahead_are_past(void **state)
{
    static const struct date_row rows[] = {
        {"Friday, 15-Nov-74 00:00:00 GMT", 3309465600},  /* 2074 */
        {"Saturday, 15-Nov-75 00:00:00 GMT", 185241600}, /* 1975 */
        {"Friday, 01-Jan-99 00:00:00 GMT", 915148800},
    };
    (void)state;
    check_accepted(rows, ROWS(rows));
}

static void test_1_anything_else_is_rejected(void **state)
{
    static const char *const rows[] = {
        "",
        "0",
        "foo",
        "Thu, 18 Aug 2050 02:01:18 UTC",
        "Thu, 18 Aug 2050 02:01:18 AEST",
        "Thu, 18 Aug 2050 02:01:18",
        "Thu, 18 Aug 50 02:01:18 GMT",
        "Thu 18 Aug 2050 02:01:18 GMT",
        "Thu,  18 Aug 2050 02:01:18 GMT",
        "Thu, 18  Aug 2050 02:01:18 GMT",
        "Thu, 18 Aug 2050  02:01:18 GMT",
        "Thu, 18 Aug 2050 02:01:18  GMT",
        "Thu, 18-Aug-2050 02:01:18 GMT",
        "Thursday, 18-Aug-2050 02:01:18 GMT",
        "Thursday, 18 Aug 50 02:01:18 GMT",
        "Thu, 18 Aug 2050 02.01.18 GMT",
        "Thu, 18 Aug 2050 2:01:18 GMT",
        "Thu, 8 Aug 2050 02:01:18 GMT",
        "Thu, 18 Aug 2050 24:01:18 GMT",
        "Thu, 18 Aug 2050 02:60:18 GMT",
        "Thu, 18 Aug 2050 02:01:61 GMT",
        "Thu, 00 Aug 2050 02:01:18 GMT",
        "Thu, 31 Jun 2050 02:01:18 GMT",
        "Thu, 29 Feb 1900 02:01:18 GMT",
        "Thu, 18 Foo 2050 02:01:18 GMT",
        "Xyz, 18 Aug 2050 02:01:18 GMT",
        "Thu, 18 Aug 2050 02:01:18 GMT+1",
        "Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:18 GMT",
        "Thu Aug 8 02:01:18 2050",
        "Thu Aug  8 02:01:18 2050 GMT",
        "Thu Aug   8 02:01:18 2050",
        "Thu, 18 Aug +050 02:01:18 GMT",
        "Thu, 18 Aug 2050 02:01:18 +0000",
        "2050-08-18T02:01:18Z",
        "2544400878",
        "-1",
        "Thu, 18 Aug 2050 02:01:18 GMT; x",
        "Thu, 18 August 2050 02:01:18 GMT",
        "Thu,18 Aug 2050 02:01:18 GMT",
        "Thu, 18 Aug 02050 02:01:18 GMT",
        "Thu, 18-Aug-50 02:01:18 GMT",
        "Thursday, 18-Aug-50 02:01:18",
        "Thursday, 8-Aug-50 02:01:18 GMT",
        "Thu Aug 08 02:01:18 50",
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        wall_time date = {42};
        if (http_date_parse(slice_of_string(rows[i]), in_2024, &date))
            fail_msg("accepted: %s", rows[i]);
        assert_int_equal(date.ms, 42);
    }
}

static void test_dates_are_written_as_imf_fixdate(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {784111777000, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {784111777999, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
        {951782400000, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"},
    };
    char buffer[HTTP_DATE_BYTES];
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        slice text = http_date_format((wall_time){rows[i].ms}, buffer);
        assert_string_equal(text.ptr, rows[i].text);
        assert_int_equal(text.len, HTTP_DATE_BYTES - 1);
    }
}

static void test_what_is_written_is_read_back_on_every_day(void **state)
{
    char buffer[HTTP_DATE_BYTES];
    (void)state;
    for (int64_t day = -719528; day < 2932896; day += 13) {
        wall_time back, date = {(day * 86400 + 49537) * 1000};
        assert_true(http_date_parse(http_date_format(date, buffer), in_2024, &back));
        assert_int_equal(back.ms, date.ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1_all_three_forms_are_read),
        cmocka_unit_test(test_1_names_and_zone_are_read_in_any_case),
        cmocka_unit_test(test_1_the_day_of_the_week_need_not_fit),
        cmocka_unit_test(test_1_time_has_64_bits),
        cmocka_unit_test(test_1_two_digit_years_over_50_years_ahead_are_past),
        cmocka_unit_test(test_1_anything_else_is_rejected),
        cmocka_unit_test(test_dates_are_written_as_imf_fixdate),
        cmocka_unit_test(test_what_is_written_is_read_back_on_every_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
