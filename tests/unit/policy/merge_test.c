/* What a 304 does, hop-by-hop fields, qualified directives: semantics 4.6, http-caching §3, §7. */
#include "tests/unit/policy/response_support.h"

static slice text_of(const struct fields *fields, struct arena *arena)
{
    slice text = SLICE("");
    for (size_t i = 0; i < fields->count; i++)
        text = arena_concat(
            arena,
            (slice[]){text, fields->at[i].name, SLICE(": "), fields->at[i].value, SLICE("\n")}, 5);
    return text;
}

struct merge_row {
    const char *what, *stored, *update;
    const char *merged; /* NULL: the 304 is discarded */
};

static void check_merges(struct fixture *f, const char *union_names, const struct merge_row *rows,
                         size_t count)
{
    struct field_names names = {0};
    struct slices list = slices_of(&f->arena, union_names);
    for (size_t i = 0; i < list.count; i++)
        assert_true(field_names_add(&names, list.at[i]));
    for (size_t i = 0; i < count; i++) {
        struct fields merged, stored = fields_of(&f->arena, rows[i].stored);
        struct response update = {.status = 304, .fields = fields_of(&f->arena, rows[i].update)};
        slice before = text_of(&update.fields, &f->arena);
        fields_init(&merged, &f->arena);
        bool done = fields_merge_304(&f->policy, &f->route, &stored, &update, &names, &merged);
        if (done != (rows[i].merged != NULL))
            fail_msg("%s: %s", rows[i].what, done ? "merged" : "discarded");
        slice text = text_of(&merged, &f->arena);
        if (done && !slice_is(text, rows[i].merged))
            fail_msg("%s:\n%" SLICE_FMT, rows[i].what, SLICE_ARG(text));
        assert_true(slice_equal(before, text_of(&update.fields, &f->arena)));
    }
}

static void test_7_fields_of_a_304_replace_the_stored_ones(void **state)
{
    static const struct merge_row rows[] = {
        {"nothing new", "a: 1\nb: 2", "", "a: 1\nb: 2\n"},
        {"replace, add, keep", "a: 1\nb: 2", "b: 3\nc: 4", "a: 1\nb: 3\nc: 4\n"},
        {"every line", "a: 1\na: 2\nb: 1", "a: 3\na: 4", "b: 1\na: 3\na: 4\n"},
        {"freshness", "cache-control: max-age=1\nexpires: x",
         "cache-control: max-age=3600\nexpires: y", "cache-control: max-age=3600\nexpires: y\n"},
        {"targeted", "cdn-cache-control: max-age=1", "cdn-cache-control: max-age=3600",
         "cdn-cache-control: max-age=3600\n"},
        {"others", "content-location: /a\ncontent-security-policy: a\nx-foo: a",
         "content-location: /b\ncontent-security-policy: b\nx-foo: b",
         "content-location: /b\ncontent-security-policy: b\nx-foo: b\n"},
        {"the stored Age goes", "age: 30\na: 1", "", "a: 1\n"},
        {"a new Age comes", "age: 30", "age: 5", "age: 5\n"},
        {"the stored Date goes", "date: x\na: 1", "", "a: 1\n"},
        {"a new Date comes", "date: x", "date: y", "date: y\n"},
        {"hop-by-hop", "a: 1",
         "connection: b, close\nb: 2\nkeep-alive: x\ntransfer-encoding: chunked\nc: 3",
         "a: 1\nc: 3\n"},
    };
    struct fixture *f = fixture_new();
    (void)state;
    check_merges(f, "", rows, ROWS(rows));
    fixture_free(f);
}

static void test_4_6_what_describes_the_body_stays(void **state)
{
    static const struct merge_row rows[] = {
        {"length", "content-length: 10", "content-length: 0", "content-length: 10\n"},
        {"length, none stored", "a: 1", "content-length: 0", "a: 1\n"},
        {"coding", "content-encoding: gzip", "content-encoding: br", "content-encoding: gzip\n"},
        {"range", "content-range: a", "content-range: b", "content-range: a\n"},
        {"type", "content-type: text/html", "content-type: text/plain",
         "content-type: text/html\n"},
        {"etag", "etag: \"a\"", "etag: \"b\"", "etag: \"a\"\n"},
        {"equal etag", "etag: \"a\"", "etag: \"a\"", "etag: \"a\"\n"},
    };
    static const struct merge_row rfc[] = {
        {"rfc: length", "content-length: 10", "content-length: 0", "content-length: 10\n"},
        {"rfc: coding", "content-encoding: gzip", "content-encoding: br",
         "content-encoding: gzip\n"},
        {"rfc: type", "content-type: text/html", "content-type: text/plain",
         "content-type: text/plain\n"},
        {"rfc: etag", "etag: \"a\"", "etag: \"b\"", "etag: \"b\"\n"},
        {"rfc: cookie", "set-cookie: a=1", "set-cookie: a=2", "set-cookie: a=1\n"},
    };
    struct fixture *f = fixture_new();
    (void)state;
    check_merges(f, "", rows, ROWS(rows));
    use_rfc(f);
    check_merges(f, "", rfc, ROWS(rfc));
    fixture_free(f);
}

static void test_4_6_a_304_is_judged_as_a_response_first(void **state)
{
    static const struct merge_row rows[] = {
        {"Set-Cookie", "a: 1", "set-cookie: s=1", NULL},
        {"no-store", "a: 1", "cache-control: max-age=9, no-store", NULL},
        {"private", "a: 1", "cache-control: private", NULL},
        {"targeted", "a: 1", "cdn-cache-control: private", NULL},
        {"targeted decides", "a: 1", "cdn-cache-control: max-age=9\ncache-control: private",
         "a: 1\ncdn-cache-control: max-age=9\ncache-control: private\n"},
        {"must-understand", "a: 1", "cache-control: no-store, must-understand",
         "a: 1\ncache-control: no-store, must-understand\n"},
        {"no-cache", "a: 1", "cache-control: no-cache", "a: 1\ncache-control: no-cache\n"},
        {"Vary: *", "a: 1", "vary: *", NULL},
        {"outside the union", "vary: foo", "vary: foo, bar", NULL},
        {"inside", "vary: Foo", "vary: foo", "vary: Foo\n"},
    };
    static const struct merge_row forced[] = {
        {"force", "content-type: text/html", "cache-control: private",
         "content-type: text/html\ncache-control: private\n"},
        {"force of another type", "content-type: image/png", "cache-control: private", NULL},
        {"force", "content-type: text/html", "set-cookie: a=1", NULL},
    };
    struct fixture *f = fixture_new();
    (void)state;
    check_merges(f, "foo", rows, ROWS(rows));
    use_ttl(f, 60, true);
    check_merges(f, "", forced, ROWS(forced));
    fixture_free(f);
}

static void test_4_6_a_304_never_changes_the_union_nor_narrows_vary(void **state)
{
    static const struct merge_row rows[] = {
        {"narrower", "vary: rsc, Accept-Encoding", "vary: rsc", "vary: rsc, Accept-Encoding\n"},
        {"none", "vary: rsc", "", "vary: rsc\n"},
        {"within the union", "a: 1", "vary: rsc", "a: 1\nvary: rsc\n"},
        {"united", "vary: foo", "vary: RSC, Accept-Encoding",
         "vary: foo\nvary: RSC\nvary: Accept-Encoding\n"},
    };
    struct fixture *f = fixture_new();
    (void)state;
    check_merges(f, "foo rsc", rows, ROWS(rows));
    fixture_free(f);
}

static void test_7_times_and_freshness_start_anew(void **state)
{
    struct fixture *f = fixture_new();
    struct field_names names = {0};
    struct fields merged,
        stored = fields_of(&f->arena, "Date: @-100\nAge: 50\nCache-Control: max-age=1");
    struct response update = {
        .status = 304, .fields = fields_of(&f->arena, "Cache-Control: max-age=3600\nDate: @0")};
    (void)state;
    fields_init(&merged, &f->arena);
    assert_true(fields_merge_304(&f->policy, &f->route, &stored, &update, &names, &merged));
    f->response = (struct response){.status = 200, .fields = merged};
    rules_response(&f->policy, &f->request, &f->decision, &f->forward, &f->response, f->times, 0,
                   &f->verdict);
    assert_true(f->verdict.may_store);
    assert_int_equal(f->verdict.facts.initial_age.ms, 0);
    assert_int_equal(freshness_at(f, 3599), FRESH);
    fixture_free(f);
}

static void test_3_hop_by_hop_fields_and_those_that_connection_names_go(void **state)
{
    static const struct {
        const char *lines, *left;
    } rows[] = {
        {"a: 1", "a: 1\n"},
        {"connection: a, B\na: 1\nb: 2\nc: 3", "c: 3\n"},
        {"a: 1\nb: 2\nconnection: a\nconnection: b\nc: 3", "c: 3\n"},
        {"connection: close\nclose: x\na: 1", "a: 1\n"},
        {"keep-alive: 1\nproxy-connection: 1\nte: 1\ntrailer: 1\ntransfer-encoding: 1\n"
         "upgrade: 1\nproxy-authenticate: 1\nproxy-authentication-info: 1\n"
         "proxy-authorization: 1\nx-keep-alive: 1",
         "x-keep-alive: 1\n"},
        {"connection:\na: 1", "a: 1\n"},
    };
    struct arena arena;
    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct fields fields = fields_of(&arena, rows[i].lines);
        fields_remove_hop_by_hop(&fields);
        slice text = text_of(&fields, &arena);
        if (!slice_is(text, rows[i].left))
            fail_msg("%s:\n%" SLICE_FMT, rows[i].lines, SLICE_ARG(text));
    }
    arena_fini(&arena);
}

static void test_qualified_directives_take_out_the_fields_that_they_name(void **state)
{
    static const struct {
        const char *lines, *left;
    } rows[] = {
        {"cache-control: max-age=9, no-cache=\"a, B\"\na: 1\nb: 2\nc: 3",
         "cache-control: max-age=9, no-cache=\"a, B\"\nc: 3\n"},
        {"cache-control: private=\"a\"\na: 1\nb: 2", "cache-control: private=\"a\"\nb: 2\n"},
        {"cache-control: no-cache=a\na: 1\nb: 2", "cache-control: no-cache=a\nb: 2\n"},
        {"cdn-cache-control: private=\"b\"\ncache-control: private=\"a\"\na: 1\nb: 2",
         "cdn-cache-control: private=\"b\"\ncache-control: private=\"a\"\na: 1\n"},
        {"cache-control: max-age=9\na: 1", "cache-control: max-age=9\na: 1\n"},
    };
    struct fixture *f = fixture_new();
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct fields fields = fields_of(&f->arena, rows[i].lines);
        fields_remove_limited(&fields, &f->route);
        slice text = text_of(&fields, &f->arena);
        if (!slice_is(text, rows[i].left))
            fail_msg("%s:\n%" SLICE_FMT, rows[i].lines, SLICE_ARG(text));
    }
    fixture_free(f);
}

/* An origin whose 304s name something new each time must not make a head that cannot be stored. */
static void test_4_6_a_304_that_makes_the_head_too_long_is_discarded(void **state)
{
    enum { PER_304 = 200, ROUNDS = 6 };
    struct fixture *f = fixture_new();
    struct field_names names = {0};
    struct fields stored = fields_of(&f->arena, "a: 1"), merged;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct response update = {.status = 304};
        fields_init(&update.fields, &f->arena);
        for (int i = 0; i < PER_304; i++)
            fields_add(&update.fields, arena_printf(&f->arena, "x-%d-%d", round, i), SLICE("1"));
        fields_init(&merged, &f->arena);
        bool fits = 1 + PER_304 * (round + 1) <= STORED_FIELDS_MAX;
        assert_int_equal(fields_merge_304(&f->policy, &f->route, &stored, &update, &names, &merged),
                         fits);
        stored = fits ? merged : stored;
    }
    assert_int_equal(stored.count, 1 + PER_304 * (ROUNDS - 1));
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_7_fields_of_a_304_replace_the_stored_ones),
        cmocka_unit_test(test_4_6_what_describes_the_body_stays),
        cmocka_unit_test(test_4_6_a_304_is_judged_as_a_response_first),
        cmocka_unit_test(test_4_6_a_304_never_changes_the_union_nor_narrows_vary),
        cmocka_unit_test(test_4_6_a_304_that_makes_the_head_too_long_is_discarded),
        cmocka_unit_test(test_7_times_and_freshness_start_anew),
        cmocka_unit_test(test_3_hop_by_hop_fields_and_those_that_connection_names_go),
        cmocka_unit_test(test_qualified_directives_take_out_the_fields_that_they_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
