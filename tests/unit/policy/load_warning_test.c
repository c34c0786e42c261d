/* policy/load_warning.c: what is no error, but said. */
#include "policy/load.h"

#include "tests/unit/policy/load_support.h"

static void test_a_target_made_of_the_host_wants_hosts(void **state)
{
    static const struct {
        const char *text, *warned; /* NULL: no warning */
    } rows[] = {
        {"origins: {web: {workers: \"http://h\"}}\n", NULL},
        {"origins: {web: {workers: \"http://h\", target: \"/r{path}\"}}\n", NULL},
        {"origins: {web: {workers: \"http://h\", target: \"/r?u={url}\"}}\n",
         "\"origins.web.target\""},
        {"origins: {a: {workers: \"http://h\"}, b: {workers: \"http://h\", target: "
         "\"/{host}{path}\"}}\nroutes: [{match: \"/**\", origin: a}]\n",
         "\"origins.b.target\""},
        {"hosts: [a.example]\norigins: {web: {workers: \"http://h\", target: \"/r?u={url}\"}}\n",
         NULL},
        {"origins: {web: {workers: \"http://h\"}}\nshell: {origin: web, target: \"/s?u={url}\"}\n",
         "\"shell.target\""},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy *p = load_ok(f, rows[i].text);
        slice warning = policy_warning(p, &f->arena);
        if (rows[i].warned ? !slice_starts_with(warning, slice_of_string(rows[i].warned))
                           : warning.len > 0)
            fail_msg("%s%.*s", rows[i].text, (int)warning.len, warning.ptr);
        policy_free(p);
    }
}

static void test_no_preset_is_warned_of(void **state)
{
    static const char *const presets[] = {
        "", "next", "nuxt", "sveltekit", "react-router", "angular", "render-gateway"};
    struct fixture *f = *state;
    unsetenv("RENDERER");
    for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++) {
        slice text = policy_example(slice_of_string(presets[i]), &f->arena);
        struct policy *p = load_ok(f, text.ptr);
        assert_int_equal(policy_warning(p, &f->arena).len, 0);
        policy_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_target_made_of_the_host_wants_hosts),
        cmocka_unit_test(test_no_preset_is_warned_of),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
