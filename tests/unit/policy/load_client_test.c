/* What `varve purge --config FILE` reads of a policy: where the daemon is, whatever else is wrong.
 */
#include "tests/unit/policy/load_support.h"

static bool find(struct fixture *f, const char *text, bool wants_token, struct daemon_place *place)
{
    slice path = write_file(f, "v.yaml", text);
    unsetenv("VARVE_TEST_UNSET");
    diag_init(&f->diag, &f->arena);
    return policy_find_daemon(path, wants_token, &f->arena, &f->diag, place);
}

static void check_place(struct fixture *f, const char *text, const char *address, const char *token)
{
    struct daemon_place place;
    if (!find(f, text, true, &place))
        fail_msg("%s\n%s", text, diag_text(&f->diag).ptr);
    check_slice(place.address, address);
    check_slice(place.token_file, token);
}

static void test_only_what_leads_to_the_daemon_is_read(void **state)
{
    struct fixture *f = *state;
    slice token = arena_printf(&f->arena, "%s/t", f->directory);
    write_file(f, "bad.yaml", "routes: [");
    setenv("VARVE_TEST_STORE", "/from/environment", 1);
    check_place(f, R "store: {path: /s}\n", "unix:/s/admin.sock", "");
    check_place(f, "store: {path: \"${VARVE_TEST_STORE}\", size: \"${VARVE_TEST_UNSET}\"}\n",
                "unix:/from/environment/admin.sock", "");
    check_place(f, "store: {path: /s}\norigins: {a: {set_headers: {X: \"${VARVE_TEST_UNSET}\"}}}\n",
                "unix:/s/admin.sock", "");
    check_place(f, "store: {path: /s, sise: 1}\nroutes: [{match: x, ttl: }]\nlisten: [\":0\"]\n",
                "unix:/s/admin.sock", "");
    check_place(f, "store: {path: /s}\ninclude: [gone.yaml, bad.yaml]\nuser: no-such-user-here\n",
                "unix:/s/admin.sock", "");
    check_place(f, "store: {path: /s}\nroutes:\n  - {match: \"/**\", ttl: 5\n",
                "unix:/s/admin.sock", "");
    check_place(f,
                "admin: {listen: \"unix:/a\", token_file: /t, token_file: /u}\nstore: {path: /s}\n"
                "store: {path: /t}\nrenderer: a\nrenderer: b\n",
                "unix:/a", "");
    check_place(f, "admin: {listen: \"127.0.0.1:1\", token_file: t}\nstore: {path: \"${U\"}\n",
                "127.0.0.1:1", token.ptr);
    check_place(f, "admin: {listen: \"unix:/a.sock\", token_file: \"${VARVE_TEST_UNSET}\"}\n",
                "unix:/a.sock", "");
    unsetenv("VARVE_TEST_STORE");
}

static void test_it_is_found_in_what_is_included(void **state)
{
    struct fixture *f = *state;
    setenv("VARVE_TEST_NAME", "b", 1);
    write_file(f, "policy.d/a.yaml", "routes: [{match: \"${VARVE_TEST_UNSET}\"}]\n");
    write_file(f, "policy.d/b.yaml", "store: {path: data}\n");
    slice expected = arena_printf(&f->arena, "unix:%s/policy.d/data/admin.sock", f->directory);
    check_place(f, "include: policy.d/*.yaml\n", expected.ptr, "");
    check_place(f, "include: \"policy.d/${VARVE_TEST_NAME}.yaml\"\n", expected.ptr, "");
    unsetenv("VARVE_TEST_NAME");
}

static void test_without_a_word_it_is_where_the_daemon_has_it(void **state)
{
    struct fixture *f = *state;
    bool is_root = geteuid() == 0;
    if (!is_root)
        setenv("HOME", "/home/test", 1);
    check_place(f, R,
                is_root ? "unix:/var/lib/varve/admin.sock"
                        : "unix:/home/test/.cache/varve/8080/admin.sock",
                "");
    check_place(
        f, R "listen: [\"unix:/s\", {address: \":81\", tls: [{cert: \"${VARVE_TEST_UNSET}\"}]}]\n",
        is_root ? "unix:/var/lib/varve/admin.sock" : "unix:/home/test/.cache/varve/81/admin.sock",
        "");
}

/* It says why nobody may be there. */
static void test_what_could_not_be_read_is_told_with_the_place(void **state)
{
    struct fixture *f = *state;
    check_place(f, "store: {path: /s}\n\tx\nadmin: {listen: \"127.0.0.1:1\"}\n",
                "unix:/s/admin.sock", "");
    assert_int_equal(f->diag.count, 1);
    assert_int_equal(f->diag.errors[0].line, 2);
    check_place(f, "store:\n  path: /s\n  size: 1\n   memory: 2\n", "unix:/s/admin.sock", "");
    assert_int_equal(f->diag.count, 1);
    check_place(f, "store: {path: /s}\n", "unix:/s/admin.sock", "");
    assert_int_equal(f->diag.count, 0);
}

static void test_who_has_the_token_is_not_kept_from_the_daemon_by_that_of_the_file(void **state)
{
    static const char *const texts[] = {
        "admin: {listen: \"127.0.0.1:1\", token_file: \"${VARVE_TEST_UNSET}\"}\n",
        "admin: {listen: \"127.0.0.1:1\", token_file: /a, token_file: /b}\n",
        "admin: {listen: \"127.0.0.1:1\", token_file: [a]}\n",
        "admin: {listen: \"127.0.0.1:1\", token_file: /a}\n",
    };
    struct fixture *f = *state;
    struct daemon_place place;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!find(f, texts[i], false, &place))
            fail_msg("%s\n%s", texts[i], diag_text(&f->diag).ptr);
        check_slice(place.address, "127.0.0.1:1");
        check_slice(place.token_file, "");
    }
    assert_false(
        find(f, "admin: {listen: \"127.0.0.1:1\", listen: \"127.0.0.1:2\"}\n", false, &place));
}

/* Else an order for this daemon might reach another one. */
static void test_no_other_daemon_is_taken_for_it(void **state)
{
    static const char *const texts[] = {
        "store: {path: \"${VARVE_TEST_UNSET}\"}\n",
        "store: /s\n",
        "store: {pth: /s}\n",
        "stroe: {path: /s}\n",
        "admin: {listen: 9180}\n",
        "admin: {lisen: \"127.0.0.1:9180\"}\n",
        "admin: {listen: \"127.0.0.1:1\", token_file: \"${VARVE_TEST_UNSET}\"}\n",
        R "include: gone.yaml\n",
        R "include: \"${VARVE_TEST_UNSET}.yaml\"\n",
        R "routes: [\nstore: {path: /s}\n",
        "\t",
        "- a\n",
        "store:\n  path: /var/lib/varve\n   size: 8GiB\n",
        "store: {size: 1MiB, path: /var/lib/varve\n",
        "admin:\n  listen: unix:/a\n   token_file: b\n",
        "store: {path: /s}\nstore: {path: /t}\n",
        "store: {path: /s, path: /t}\n",
        "store: {path: /s}\ninclude: store.yaml\n",
        "admin: {listen: \"unix:/a\", listen: \"unix:/b\"}\n",
        "admin: {listen: \"unix:/a\"}\nadmin: {listen: \"unix:/b\"}\n",
        "admin: {listen: \"127.0.0.1:1\", token_file: /a, token_file: /b}\n",
        "include: store.yaml\nadmin: {token_file: /a}\nadmin: {listen: \"unix:/b\"}\n",
    };
    struct fixture *f = *state;
    write_file(f, "store.yaml", "store: {path: /t}\n");
    struct daemon_place place = {.address = SLICE("untouched")};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (find(f, texts[i], true, &place))
            fail_msg("%s", texts[i]);
        assert_true(f->diag.count > 0);
    }
    check_slice(place.address, "untouched");
    diag_init(&f->diag, &f->arena);
    assert_false(policy_find_daemon(SLICE("/nowhere/v.yaml"), true, &f->arena, &f->diag, &place));
    check_slice(diag_text(&f->diag),
                "/nowhere/v.yaml: there is no such file: `varve init` writes one, --config FILE "
                "names another\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_only_what_leads_to_the_daemon_is_read),
        TEST(test_it_is_found_in_what_is_included),
        TEST(test_without_a_word_it_is_where_the_daemon_has_it),
        TEST(test_what_could_not_be_read_is_told_with_the_place),
        TEST(test_who_has_the_token_is_not_kept_from_the_daemon_by_that_of_the_file),
        TEST(test_no_other_daemon_is_taken_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
