/* policy/normalise.c: the normalisers of `vary:` (semantics 2.4, RFC 4647 §3.4). */
#include "policy/normalise.h"

#include "tests/unit/policy/request_support.h"

#define BASE                                                                                       \
    "renderer: http://127.0.0.1:3000\nroutes: [{match: \"/s/**\", ttl: 1m}, {match: \"/**\"}]\n"

static void test_2_4_choose_is_the_lookup_of_rfc_4647(void **state)
{
    static const char *const cases[][2] = {
        {"de", "de"},
        {"DE", "de"},
        {"de-CH", "de"},
        {"de-CH-1996, en", "de"},
        {"fr-CA", "fr-CA"},
        {"fr-ca-x-y", "fr-CA"},
        {"fr", "en"}, /* lookup never makes a range longer */
        {"zh-Hant-CN-x-private1-private2", "zh-Hant"},
        {"zh-Hant-x-wadegile", "zh-Hant"},
        {"pt, de;q=0.9", "de"},
        {"de;q=0.1, en;q=0.9", "en"},
        {"en;q=0.5, de;q=0.5", "en"},
        {"de;q=0, fr-CA;q=0.001", "fr-CA"},
        {"de;q=0", "en"},
        {"*, de", "en"},
        {"de, *", "de"},
        {"*;q=0.1, de;q=0.2", "de"},
        {"", "en"},
        {",,;q=1,", "en"},
        {"de;q=2, fr-CA;q=0.3", "fr-CA"},
        {"de;q=0.1234, fr-CA;q=0.1", "fr-CA"},
        {"de ; Q=0.5 , en;q=0.4", "de"},
        {"-de, ---", "en"},
    };
    slice choices[] = {SLICE("en"), SLICE("fr-CA"), SLICE("de"), SLICE("zh-Hant")};
    const struct slices list = {choices, 4};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_slice(language_choose(slice_of_string(cases[i][0]), &list, SLICE("en")),
                     cases[i][1]);
}

static void test_2_4_choose_reads_a_bounded_number_of_ranges(void **state)
{
    slice choices[] = {SLICE("en"), SLICE("de")};
    const struct slices list = {choices, 2};
    struct arena arena;
    slice text = SLICE("pt");
    (void)state;
    arena_init(&arena);
    for (int i = 0; i < LANGUAGE_RANGES_MAX; i++)
        text = arena_concat(&arena, (slice[]){text, SLICE(", pt")}, 2);
    text = arena_concat(&arena, (slice[]){text, SLICE(", de")}, 2);
    assert_slice(language_choose(text, &list, SLICE("en")), "en");
    arena_fini(&arena);
}

static void test_2_4_choose_is_sent_and_keyed_on_sealed_fills(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "vary: {accept-language: {choose: [en, de], default: en}}\n");
    assert_field(fill(&s, "GET http://h/s/a\nAccept-Language: de-CH"), "accept-language", "de");
    slice german = s.forward.key_text;
    assert_field(fill(&s, "GET http://h/s/a\nAccept-Language: de;q=0.9, pt"), "accept-language",
                 "de");
    assert_true(slice_equal(german, s.forward.key_text));
    assert_field(fill(&s, "GET http://h/s/a"), "accept-language", "en");
    assert_false(slice_equal(german, s.forward.key_text));
    setup_fini(&s);
}

static void test_2_4_unsealed_fills_send_the_class_and_key_it_once_named(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "vary: {accept-language: {choose: [en, de], default: en}}\n");
    assert_field(fill(&s, "GET http://h/a\nAccept-Language: de-CH"), "accept-language", "de");
    slice german = s.forward.key_text;
    fill(&s, "GET http://h/a");
    assert_true(slice_equal(german, s.forward.key_text));
    set_union(&s, "accept-language");
    fill(&s, "GET http://h/a\nAccept-Language: de-CH");
    german = s.forward.key_text;
    assert_field(fill(&s, "GET http://h/a"), "accept-language", "en");
    assert_false(slice_equal(german, s.forward.key_text));
    setup_fini(&s);
}

static void test_2_4_always_true_and_false(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "vary:\n  accept-language: {choose: [en, de], default: en, always: true}\n"
                        "  x-tenant: {always: false}\n");
    fill(&s, "GET http://h/a\nAccept-Language: de");
    slice german = s.forward.key_text;
    fill(&s, "GET http://h/a\nAccept-Language: en");
    assert_false(slice_equal(german, s.forward.key_text));
    assert_field(fill(&s, "GET http://h/s/a\nX-Tenant: 1"), "x-tenant", NULL);
    set_union(&s, "x-tenant");
    assert_field(fill(&s, "GET http://h/s/a\nX-Tenant: 1"), "x-tenant", "1");
    setup_fini(&s);
}

static const char iphone[] = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_0 like Mac OS X) "
                             "AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148";
static const char firefox[] =
    "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120";

static slice sealed(struct setup *s, const char *user_agent)
{
    fill(s, arena_printf(&s->arena, "GET http://h/s/a\nUser-Agent: %s", user_agent).ptr);
    return s->forward.key_text;
}

static void test_2_4_map_sends_a_representative_user_agent(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "vary: {user-agent: {map: [mobile, desktop]}}\n");
    slice phone = sealed(&s, iphone);
    slice sent = fields_value(&s.forward.fields, FIELD_USER_AGENT);
    assert_true(sent.len > 0 && sent.len <= VARY_VALUE_MAX);
    assert_false(slice_equal(sent, slice_of_string(iphone)));
    assert_true(slice_equal(phone, sealed(&s, "Mozilla/5.0 (Linux; Android 13; Pixel 7) Chrome/120 "
                                              "Mobile Safari/537.36")));
    assert_false(slice_equal(phone, sealed(&s, firefox)));
    assert_false(slice_equal(sent, fields_value(&s.forward.fields, FIELD_USER_AGENT)));
    slice desktop = s.forward.key_text;
    assert_true(slice_equal(desktop, sealed(&s, "")));
    assert_true(slice_equal(phone, sealed(&s, arena_copy(&s.arena, sent).ptr)));
    setup_fini(&s);
}

static void test_2_4_as_sends_the_class_name_and_drops_the_clients_own(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "vary: {user-agent: {map: [mobile, desktop], as: X-Device}}\n");
    fill(&s, arena_printf(&s.arena, "GET http://h/s/a\nUser-Agent: %s\nX-Device: tv", iphone).ptr);
    assert_field(&s.forward.fields, "x-device", "mobile");
    assert_field(&s.forward.fields, "user-agent", "varve");
    fill(&s, arena_printf(&s.arena, "GET http://h/a\nX-Device: tv\nUser-Agent: %s", firefox).ptr);
    assert_field(&s.forward.fields, "x-device", "desktop");
    assert_field(&s.forward.fields, "user-agent", NULL);
    pass(&s, arena_printf(&s.arena, "GET http://h/a\nX-Device: tv\nUser-Agent: %s", firefox).ptr);
    assert_field(&s.forward.fields, "x-device", "desktop");
    assert_field(&s.forward.fields, "user-agent", firefox);
    setup_fini(&s);
}

static void test_2_4_a_vary_naming_either_counts_as_both(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "vary: {user-agent: {map: [mobile, desktop], as: X-Device}}\n");
    set_union(&s, "user-agent");
    fill(&s, "GET http://h/a");
    slice by_raw = s.forward.key_text;
    set_union(&s, "x-device");
    fill(&s, "GET http://h/a");
    slice by_class = s.forward.key_text;
    set_union(&s, "user-agent x-device");
    fill(&s, "GET http://h/a");
    assert_true(slice_equal(by_raw, by_class));
    assert_true(slice_equal(by_raw, s.forward.key_text));
    setup_fini(&s);
}

static void test_2_4_custom_map_without_a_fitting_class_sends_nothing(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "vary: {x-plan: {map: {gold: {match: \"^g\", send: gold}}}}\n");
    assert_field(fill(&s, "GET http://h/s/a\nX-Plan: g7"), "x-plan", "gold");
    assert_field(fill(&s, "GET http://h/s/a\nX-Plan: zinc"), "x-plan", NULL);
    slice none = s.forward.key_text;
    fill(&s, "GET http://h/s/a");
    assert_true(slice_equal(none, s.forward.key_text));
    setup_fini(&s);
}

static void test_2_4_sort(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "vary: {accept-language: {sort: true}}\n");
    assert_field(
        fill(&s, "GET http://h/a\nAccept-Language: EN;q=0.5 ,de\nAccept-Language: de ; q=1"),
        "accept-language", "de, de;q=1, en;q=0.5");
    assert_field(fill(&s, "GET http://h/a"), "accept-language", NULL);
    setup_fini(&s);
}

static void test_values_have_one_spelling(void **state)
{
    static const char *const cases[][2] = {
        {"1,2", "1, 2"},
        {"1 ,\t2", "1, 2"},
        {"1, 2", "1, 2"},
        {"\"a,b\",c", "\"a,b\", c"},
        {"\"a\\\",b\",c", "\"a\\\",b\", c"},
        {"\"a,b", "\"a,b"},
        {",", ","},
        {"a,,b", "a,, b"},
        {"plain text", "plain text"},
    };
    struct arena arena;
    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        slice once = vary_canonical(SLICE("foo"), slice_of_string(cases[i][0]), &arena);
        assert_slice(once, cases[i][1]);
        assert_true(slice_equal(once, vary_canonical(SLICE("foo"), once, &arena)));
    }
    assert_slice(vary_canonical(SLICE("user-agent"), SLICE("a ,b"), &arena), "a ,b");
    arena_fini(&arena);
}

static void test_2_2_white_space_about_commas_does_not_make_a_variant(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE "seal: \"off\"\n");
    set_union(&s, "foo");
    fill(&s, "GET http://h/a\nFoo: 1,2");
    slice one = s.forward.key_text;
    assert_field(&s.forward.fields, "foo", "1,2");
    fill(&s, "GET http://h/a\nFoo:  1 , 2 ");
    assert_field(&s.forward.fields, "foo", "1 , 2");
    assert_true(slice_equal(one, s.forward.key_text));
    fill(&s, "GET http://h/a\nFoo: 1\nFoo: 2");
    assert_true(slice_equal(one, s.forward.key_text));
    fill(&s, "GET http://h/a\nFoo: 2, 1");
    assert_false(slice_equal(one, s.forward.key_text));
    setup_fini(&s);
}

static void test_2_4_under_a_seal_white_space_about_commas_does(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE);
    set_union(&s, "x-map-centre");
    fill(&s, "GET http://h/a\nX-Map-Centre: https://x/@52.5,13.4");
    slice one = s.forward.key_text;
    fill(&s, "GET http://h/a\nX-Map-Centre: https://x/@52.5 , 13.4");
    assert_false(slice_equal(one, s.forward.key_text));
    setup_fini(&s);
}

static void test_2_2_only_what_is_a_list_by_definition_is_sent_in_one_spelling(void **state)
{
    static const char *const policies[] = {BASE, BASE "seal: \"off\"\n",
                                           BASE "vary: {x-map-centre: {}, accept-language: {}}\n"};
    static const char *const paths[] = {"/a", "/s/a"};
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct setup s;
        setup_init(&s, policies[i / 2]);
        set_union(&s, "x-map-centre accept-language");
        fill(&s, arena_printf(&s.arena,
                              "GET http://h%s\nX-Map-Centre: https://x/@52.5,13.4\n"
                              "Accept-Language: de,en",
                              paths[i % 2])
                     .ptr);
        assert_field(&s.forward.fields, "x-map-centre", "https://x/@52.5,13.4");
        assert_field(&s.forward.fields, "accept-language", "de, en");
        setup_fini(&s);
    }
}

static void test_1_2_a_sealed_key_is_exact(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, BASE);
    set_union(&s, "foo");
    fill(&s, "GET http://h/s/a\nFoo: 1,2");
    slice one = s.forward.key_text;
    fill(&s, "GET http://h/s/a\nFoo: 1, 2");
    assert_false(slice_equal(one, s.forward.key_text));
    setup_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2_4_choose_is_the_lookup_of_rfc_4647),
        cmocka_unit_test(test_2_4_choose_reads_a_bounded_number_of_ranges),
        cmocka_unit_test(test_2_4_choose_is_sent_and_keyed_on_sealed_fills),
        cmocka_unit_test(test_2_4_unsealed_fills_send_the_class_and_key_it_once_named),
        cmocka_unit_test(test_2_4_always_true_and_false),
        cmocka_unit_test(test_2_4_map_sends_a_representative_user_agent),
        cmocka_unit_test(test_2_4_as_sends_the_class_name_and_drops_the_clients_own),
        cmocka_unit_test(test_2_4_a_vary_naming_either_counts_as_both),
        cmocka_unit_test(test_2_4_custom_map_without_a_fitting_class_sends_nothing),
        cmocka_unit_test(test_2_4_sort),
        cmocka_unit_test(test_values_have_one_spelling),
        cmocka_unit_test(test_2_2_white_space_about_commas_does_not_make_a_variant),
        cmocka_unit_test(test_2_4_under_a_seal_white_space_about_commas_does),
        cmocka_unit_test(test_2_2_only_what_is_a_list_by_definition_is_sent_in_one_spelling),
        cmocka_unit_test(test_1_2_a_sealed_key_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
