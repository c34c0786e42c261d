/* policy/representation.c: framework fields that are always keyed (semantics 1.4). */
#include "policy/representation.h"

#include "tests/unit/policy/request_support.h"

#define POLICY                                                                                     \
    "renderer: http://127.0.0.1:3000\nroutes: [{match: \"/s/**\", ttl: 1m}, {match: \"/**\"}]\n"

static void check_accept(const char *accept, const char *expected)
{
    struct setup s;
    setup_init(&s, POLICY);
    assert_field(fill(&s, arena_printf(&s.arena, "GET http://h/s/a\nAccept: %s", accept).ptr),
                 "accept", expected);
    assert_field(fill(&s, arena_printf(&s.arena, "GET http://h/a\nAccept: %s", accept).ptr),
                 "accept", expected);
    setup_fini(&s);
}

static void test_1_4_accept_is_reduced_to_its_first_best_member(void **state)
{
    const char *html = "text/html,*/*;q=0.8";
    (void)state;
    check_accept("text/html", html);
    check_accept("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
                 html);
    check_accept("application/json;q=0.5, TEXT/HTML;level=1", html);
    check_accept("application/json", "application/json");
    check_accept("application/json, text/html", "application/json");
    check_accept("text/html;q=0.9, text/markdown", "text/markdown");
    check_accept("text/html;q=0, application/json;q=0.1", "application/json");
}

static void test_1_4_other_accepts_go_whole(void **state)
{
    (void)state;
    check_accept("*/*", "*/*");
    check_accept("image/avif,image/webp,*/*;q=0.8", "image/avif, image/webp, */*;q=0.8");
    check_accept("text/html;q=0", "text/html;q=0");
    check_accept("application/ld+json", "application/ld+json");
}

static slice key(struct setup *s, const char *lines)
{
    fill(s, arena_printf(&s->arena, "GET http://h/s/a\n%s", lines).ptr);
    return s->forward.key_text;
}

static void test_1_4_every_field_is_sent_and_keyed_without_any_vary(void **state)
{
    static const char *const names[] = {"rsc",
                                        "next-router-state-tree",
                                        "next-router-prefetch",
                                        "next-router-segment-prefetch",
                                        "next-url",
                                        "x-nextjs-data",
                                        "x-inertia",
                                        "x-inertia-partial-data",
                                        "hx-request",
                                        "x-inertia-partial-component",
                                        "hx-target",
                                        "hx-boosted",
                                        "hx-request-type",
                                        "hx-history-restore-request",
                                        "hx-trigger",
                                        "hx-trigger-name",
                                        "hx-source",
                                        "hx-prompt",
                                        "turbo-frame",
                                        "x-pjax",
                                        "x-pjax-container",
                                        "x-up-version",
                                        "x-up-target",
                                        "x-up-mode",
                                        "x-up-context",
                                        "x-up-validate",
                                        "x-up-fail-target",
                                        "x-alpine-request",
                                        "x-alpine-target",
                                        "datastar-request",
                                        "x-inertia-version",
                                        "x-livewire-navigate",
                                        "x-deployment-id",
                                        "x-server-id",
                                        "x-server-instance",
                                        "x-tsr-redirect"};
    struct setup s;
    (void)state;
    setup_init(&s, POLICY);
    slice without = key(&s, "X-Other: 1");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        slice with = key(&s, arena_printf(&s.arena, "%s: 1", names[i]).ptr);
        assert_field(&s.forward.fields, names[i], "1");
        slice other = key(&s, arena_printf(&s.arena, "%s: 2", names[i]).ptr);
        slice empty = key(&s, arena_printf(&s.arena, "%s:", names[i]).ptr);
        assert_false(slice_equal(with, without));
        assert_false(slice_equal(with, other));
        assert_false(slice_equal(empty, without));
    }
    assert_true(slice_equal(without, key(&s, "X-Another: 2")));
    setup_fini(&s);
}

static void test_1_4_requested_with_counts_only_as_xhr(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, POLICY);
    slice without = key(&s, "X-Other: 1");
    assert_true(slice_equal(without, key(&s, "X-Requested-With: com.example.app")));
    assert_field(&s.forward.fields, "x-requested-with", NULL);
    assert_false(slice_equal(without, key(&s, "X-Requested-With: xmlhttprequest")));
    assert_field(&s.forward.fields, "x-requested-with", "XMLHttpRequest");
    setup_fini(&s);
}

static void test_1_4_up_to_4_kib_each(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, POLICY);
    char *long_value = mem_alloc(REPRESENTATION_VALUE_MAX + 2);
    memset(long_value, 'x', REPRESENTATION_VALUE_MAX);
    assert_true(key(&s, arena_printf(&s.arena, "Next-Router-State-Tree: %s", long_value).ptr).len >
                REPRESENTATION_VALUE_MAX);
    assert_false(s.forward.is_unkeyable);
    long_value[REPRESENTATION_VALUE_MAX] = 'x';
    key(&s, arena_printf(&s.arena, "Next-Router-State-Tree: %s", long_value).ptr);
    assert_true(s.forward.is_unkeyable);
    free(long_value);
    setup_fini(&s);
}

static void test_1_4_does_not_apply_with_seal_off(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, POLICY "seal: off\n");
    fill(&s, "GET http://h/a\nRSC: 1\nX-Requested-With: app\nAccept: text/html");
    assert_field(&s.forward.fields, "rsc", "1");
    assert_field(&s.forward.fields, "x-requested-with", "app");
    assert_field(&s.forward.fields, "accept", "text/html");
    slice with = s.forward.key_text;
    fill(&s, "GET http://h/a");
    assert_true(slice_equal(with, s.forward.key_text));
    setup_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1_4_accept_is_reduced_to_its_first_best_member),
        cmocka_unit_test(test_1_4_other_accepts_go_whole),
        cmocka_unit_test(test_1_4_every_field_is_sent_and_keyed_without_any_vary),
        cmocka_unit_test(test_1_4_requested_with_counts_only_as_xhr),
        cmocka_unit_test(test_1_4_up_to_4_kib_each),
        cmocka_unit_test(test_1_4_does_not_apply_with_seal_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
