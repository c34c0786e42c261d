/* Location and Content-Location against the request's own URL: RFC 3986 §5.2, RFC 9110 §9.3.3. */
#include "policy/reference.h"
#include "tests/unit/policy/response_support.h"

struct reference_row {
    const char *text, *resolved; /* NULL: not to be resolved */
};

static void test_references_are_resolved_against_the_requests_url(void **state)
{
    static const struct reference_row rows[] = {
        {"", "https://shop.example/a/b?q=1"},
        {"#top", "https://shop.example/a/b?q=1"},
        {" c ", "https://shop.example/a/c"},
        {"./c?x", "https://shop.example/a/c?x"},
        {"?x", "https://shop.example/a/b?x"},
        {"?", "https://shop.example/a/b?"},
        {"../c", "https://shop.example/c"},
        {"../../../c", "https://shop.example/c"},
        {"/x/./y/../z", "https://shop.example/x/z"},
        {"/", "https://shop.example/"},
        {"//other.example/x", "https://other.example/x"},
        {"http://other.example", "http://other.example/"},
        {"HTTPS://other.example:8443?x", "https://other.example:8443/?x"},
        {"mailto:a@b", NULL},
        {"ftp://shop.example/a", NULL},
        {"c:d", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct fixture *f = fixture_new();
        struct reference r;
        set_target(f, "/a/b?q=1");
        slice text = SLICE_NONE;
        if (reference_resolve(&f->request, slice_of_string(rows[i].text), &r))
            text = arena_concat(&f->arena,
                                (slice[]){r.scheme, SLICE("://"), r.host, r.path,
                                          r.has_query ? SLICE("?") : SLICE_NONE, r.query},
                                6);
        if (!slice_is(text, rows[i].resolved ? rows[i].resolved : ""))
            fail_msg("%s: %.*s", rows[i].text, (int)text.len, text.ptr);
        fixture_free(f);
    }
}

static void test_9_3_3_only_the_urls_own_name_is_its_own(void **state)
{
    static const struct {
        const char *text;
        bool is_own;
    } rows[] = {
        {"", true},
        {"b?q=1", true},
        {"/a/b?q=1", true},
        {"/a/../a/b?q=1", true},
        {"https://shop.example/a/b?q=1", true},
        {"https://SHOP.example:443/a/b?q=1", true},
        {"https://shop.example./a/b?q=1#x", true},
        {"b", false},
        {"b?", false},
        {"b?q=2", false},
        {"/A/b?q=1", false},
        {"/a/b/?q=1", false},
        {"/a/%62?q=1", false},
        {"http://shop.example/a/b?q=1", false},
        {"https://shop.example:8443/a/b?q=1", false},
        {"https://www.shop.example/a/b?q=1", false},
        {"https://user@shop.example/a/b?q=1", false},
        {"//shop.example.evil/a/b?q=1", false},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct fixture *f = fixture_new();
        struct reference r;
        set_target(f, "/a/b?q=1");
        bool is_own = reference_resolve(&f->request, slice_of_string(rows[i].text), &r) &&
                      reference_is_own(&f->request, &r);
        if (is_own != rows[i].is_own)
            fail_msg("%s", rows[i].text);
        fixture_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references_are_resolved_against_the_requests_url),
        cmocka_unit_test(test_9_3_3_only_the_urls_own_name_is_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
