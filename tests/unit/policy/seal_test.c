/* policy/seal.c, seal.def: what fills and passes never carry (semantics 2.2, 2.8). */
#include "policy/seal.h"

#include "tests/unit/policy/request_support.h"

static void test_2_2_held_back(void **state)
{
    static const char *const names[] = {"x-forwarded-host",
                                        "x-forwarded-anything",
                                        "forwarded",
                                        "x-original-url",
                                        "x-original-host",
                                        "x-rewrite-url",
                                        "x-http-method-override",
                                        "x-method-override",
                                        "x-real-ip",
                                        "true-client-ip",
                                        "cf-connecting-ip",
                                        "cf-ipcountry",
                                        "cloudfront-viewer-country",
                                        "x-vercel-ip-city",
                                        "x-middleware-subrequest",
                                        "x-now-route-matches",
                                        "x-invoke-path",
                                        "x-react-router-spa-mode",
                                        "x-prerender-revalidate",
                                        "x-backend-host",
                                        "disguised-host",
                                        "x-waws-unencoded-url",
                                        "location",
                                        "remote-user",
                                        "x-auth-request-user",
                                        "x-goog-authenticated-user-email",
                                        "x-ms-client-principal",
                                        "x-ms-client-principal-name",
                                        "client-cert-chain",
                                        "hx-current-url",
                                        "x-hostname",
                                        "x-url",
                                        "x-real-url",
                                        "x-base-url",
                                        "host-override",
                                        "x-method",
                                        "method-override",
                                        "x-http-verb",
                                        "true-client-country",
                                        "iv-user",
                                        "x-draft-mode",
                                        "x-action-forwarded",
                                        "x-remoteip",
                                        "x_a",
                                        "a_b"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!seal_holds_back(slice_of_string(names[i])))
            fail_msg("%s", names[i]);
}

/* Rows are found by their first three bytes: one with fewer before its * would never be. */
static void test_2_2_each_row_holds_back_what_it_names(void **state)
{
    static const char *const patterns[] = {
#define SEAL(pattern, kind) pattern,
#include "policy/seal.def"
#undef SEAL
    };
    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        slice pattern = slice_of_string(patterns[i]);
        bool is_open = slice_ends_with(pattern, SLICE("*"));
        if (!seal_holds_back(slice_until(pattern, pattern.len - is_open)))
            fail_msg("%s", patterns[i]);
    }
}

static void test_2_2_sent(void **state)
{
    static const char *const names[] = {"accept-language",
                                        "user-agent",
                                        "x-foo",
                                        "referer",
                                        "dnt",
                                        "sec-ch-ua",
                                        "traceparent",
                                        "x-nextjs-data",
                                        "rsc",
                                        "hx-request",
                                        "hx-trigger",
                                        "next-url",
                                        "x-inertia-partial-data",
                                        "origin",
                                        "content-type",
                                        "x-hosted-by",
                                        "x-request-id",
                                        "x-content-type-options",
                                        "x-tenant-id",
                                        "x-device",
                                        "ur",
                                        "x-api-key",
                                        ""};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (seal_holds_back(slice_of_string(names[i])))
            fail_msg("%s", names[i]);
}

static void test_2_8_internal_rows(void **state)
{
    (void)state;
    assert_true(seal_is_internal(SLICE("x-middleware-subrequest")));
    assert_true(seal_is_internal(SLICE("x-now-route-matches")));
    assert_true(seal_is_internal(SLICE("x-nextjs-cache")));
    assert_false(seal_is_internal(SLICE("x-middleware-prefetch")));
    assert_false(seal_is_internal(SLICE("x-nextjs-data")));
    assert_false(seal_is_internal(SLICE("x-original-url")));
    assert_false(seal_is_internal(SLICE("x_a")));
    assert_false(seal_is_internal(SLICE("next-action")));
}

static void test_hop_by_hop_and_what_connection_names(void **state)
{
    struct setup s;
    (void)state;
    setup_init(&s, "renderer: http://127.0.0.1:3000\nroutes: [{match: \"/**\"}]\n");
    receive(&s,
            "GET http://h/\nConnection: close, X-Hop\nX-Hop: 1\nTE: x\nHTTP2-Settings: y\nX-A: 1");
    const struct fields *fields = &s.request.fields;
    assert_true(seal_is_hop_by_hop(fields, fields_find(fields, SLICE("connection"))));
    assert_true(seal_is_hop_by_hop(fields, fields_find(fields, SLICE("x-hop"))));
    assert_true(seal_is_hop_by_hop(fields, fields_find(fields, SLICE("te"))));
    assert_true(seal_is_hop_by_hop(fields, fields_find(fields, SLICE("http2-settings"))));
    assert_false(seal_is_hop_by_hop(fields, fields_find(fields, SLICE("x-a"))));
    setup_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2_2_held_back),
        cmocka_unit_test(test_2_2_each_row_holds_back_what_it_names),
        cmocka_unit_test(test_2_2_sent),
        cmocka_unit_test(test_2_8_internal_rows),
        cmocka_unit_test(test_hop_by_hop_and_what_connection_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
