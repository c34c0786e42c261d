/* policy/load_warning.c: what is no error, but said. */
#include "policy/load.h"

#include "tests/unit/policy/load_support.h"

struct row {
    const char *text, *warned; /* the start of the only warning; NULL: none */
};

static void check_row(struct fixture *f, const struct row *row)
{
    struct policy *p = load_ok(f, row->text);
    slice got = diag_text(p->warnings);
    bool is_right = row->warned ? p->warnings->count == 1 &&
                                      slice_starts_with(got, slice_of_string(row->warned))
                                : p->warnings->count == 0;
    if (!is_right)
        fail_msg("%s%.*s", row->text, (int)got.len, got.ptr);
    policy_free(p);
}

#define CHECK_ROWS(f, rows)                                                                        \
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)                                    \
    check_row(f, &rows[i])

#define ROUTES "routes: [{match: \"/**\"}]\n"

static void test_a_target_made_of_the_host_wants_hosts(void **state)
{
    static const struct row rows[] = {
        {ROUTES "origins: {web: {workers: \"http://h\"}}\n", NULL},
        {ROUTES "origins: {web: {workers: \"http://h\", target: \"/r{path}\"}}\n", NULL},
        {ROUTES "origins: {web: {workers: \"http://h\", target: \"/r?u={url}\"}}\n",
         "v:2:46: \"origins.web.target\" is made of the Host"},
        {"origins: {a: {workers: \"http://h\"}, b: {workers: \"http://h\", target: "
         "\"/{host}{path}\"}}\nroutes: [{match: \"/**\", origin: a}]\n",
         "v:1:70: \"origins.b.target\""},
        {ROUTES "hosts: [a.example]\n"
                "origins: {web: {workers: \"http://h\", target: \"/r?u={url}\"}}\n",
         NULL},
        {ROUTES "origins: {web: {workers: \"http://h\"}}\n"
                "shell: {origin: web, target: \"/s?u={url}\"}\n",
         "v:3:30: \"shell.target\""},
    };
    CHECK_ROWS(*state, rows);
}

/* Semantics 1.3: the first route that matches decides. */
static void test_1_3_a_route_behind_one_that_covers_it_is_never_reached(void **state)
{
    static const struct row rows[] = {
        {R "routes: [{match: \"/api/**\", cache: never}, {match: \"/**\"}]\n", NULL},
        {R "routes: [{match: \"/**\", ttl: 10m}, {match: \"/api/**\", cache: never}]\n",
         "v:2:44: \"match\": \"/api/**\" is never reached: \"/**\" (v:2:18) comes first and "
         "matches "
         "all of it; put the route in front of that one\n"},
        {R "routes:\n  - match: /p/:id\n  - match: /q/**\n  - match: /p/new\n  - match: \"/**\"\n",
         "v:5:12: \"match\": \"/p/new\" is never reached: \"/p/:id\" (v:3:12) "},
    };
    struct fixture *f = *state;
    CHECK_ROWS(f, rows);
    struct policy *p = load_ok(f, R "routes: [{match: \"/**\"}, {match: /a}, {match: /b}]\n");
    assert_int_equal(p->warnings->count, 2);
    policy_free(p);
}

/* Semantics 10.4: `varve run URL` has routes of its own. */
static void test_10_4_a_policy_without_routes_stores_nothing(void **state)
{
    static const struct row rows[] = {
        {R, "v: no \"routes\": everything is passed to the origin and nothing is stored; add "
            "routes: [{match: \"/**\"}]\n"},
        {R "routes: []\n", NULL},
        {R ROUTES, NULL},
    };
    CHECK_ROWS(*state, rows);
    struct fixture *f = *state;
    diag_init(&f->diag, &f->arena);
    struct policy *p = policy_load(
        &(struct policy_options){.origin_url = SLICE("http://127.0.0.1:3000")}, &f->diag);
    assert_non_null(p);
    assert_int_equal(p->warnings->count, 0);
    policy_free(p);
}

static void test_the_place_of_a_route_is_that_in_its_own_file(void **state)
{
    struct fixture *f = *state;
    write_file(f, "policy.d/api.yaml", "routes: [{match: \"/api/**\", cache: never}]\n");
    struct policy *p = load_file(
        f, write_file(f, "v.yaml", R "routes: [{match: \"/**\"}]\ninclude: [policy.d/*.yaml]\n"));
    assert_non_null(p);
    assert_int_equal(p->warnings->count, 1);
    slice place = diag_place(&p->warnings->errors[0], &f->arena);
    assert_true(slice_ends_with(place, SLICE("/policy.d/api.yaml:1:18")));
    assert_true(slice_search(p->warnings->errors[0].text, SLICE("/v.yaml:2:18) comes first")) <
                p->warnings->errors[0].text.len);
    policy_free(p);
}

static void test_no_preset_is_warned_of(void **state)
{
    static const char *const presets[] = {
        "", "next", "nuxt", "sveltekit", "react-router", "angular", "render-gateway"};
    struct fixture *f = *state;
    unsetenv("RENDERER");
    for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++)
        check_row(f,
                  &(struct row){policy_example(slice_of_string(presets[i]), &f->arena).ptr, NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_target_made_of_the_host_wants_hosts),
        cmocka_unit_test(test_1_3_a_route_behind_one_that_covers_it_is_never_reached),
        cmocka_unit_test(test_10_4_a_policy_without_routes_stores_nothing),
        cmocka_unit_test(test_the_place_of_a_route_is_that_in_its_own_file),
        cmocka_unit_test(test_no_preset_is_warned_of),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
