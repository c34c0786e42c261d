/* policy/load_tags.c: names in tags. */
#include "tests/unit/policy/load_support.h"

static void test_a_name_in_a_tag_is_one_of_the_pattern(void **state)
{
    static const struct error_row rows[] = {
        {R "routes: [{match: /p/:id, tags: [\"product-:idd\"]}]\n",
         "v:2:33: \"tags\": the pattern of the route has no \":idd\" (did you mean \":id\"?)\n"},
        {R "routes: [{match: /p/:id, tags: [all, \":id\", \"x-:id_old\"]}]\n",
         "v:2:45: \"tags\": the pattern of the route has no \":id_old\" (it has :id)\n"},
        {R "routes: [{match: \"/:lang/p/:slug\", tags: \":lang:slgu\"}]\n",
         "v:2:42: \"tags\": the pattern of the route has no \":slgu\" (did you mean \":slug\"?)\n"},
        {R "routes: [{match: \"/:lang/p/:id.html\", tags: \":lang-:slug\"}]\n",
         "v:2:45: \"tags\": the pattern of the route has no \":slug\" (it has :lang, :id)\n"},
        {R "routes: [{match: \"/p/*\", tags: [\"product-:id\"]}]\n",
         "v:2:33: \"tags\": the pattern of the route has no \":id\" (it names no segment; write "
         "/:id there)\n"},
        {R "routes: [{match: /p/:id, tags: [\":idd\"]}]\n",
         "v:2:33: \"tags\": the pattern of the route has no \":idd\" (did you mean \":id\"?)\n"},
    };
    CHECK_ERRORS(*state, rows);
}

static void test_a_colon_that_begins_no_name_is_text(void **state)
{
    static const char *const tags[] = {
        "\"product-:id\"", "\"product::id\"",
        "\":id:id\"",      "\"section:news\"",
        "\"12:30\"",       "\"http://h.example:8080 news\"",
        "\"a:\"",          "\": b\"",
        "\"menü:de\"",     "\"café:x\"",
        "\"новости:5\"",   "\"App::Product\"",
        "\"shop::news\"",  "\"product::id:price\"",
        "\":id:news\"",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        slice text = arena_printf(&f->arena, R "routes: [{match: /p/:id, tags: [%s]}]\n", tags[i]);
        struct policy *policy = load_ok(f, text.ptr);
        assert_int_equal(policy->warnings->count, 0);
        policy_free(policy);
    }
}

/* It may be a slip, or the plural that was meant. */
static void test_a_near_miss_within_a_word_is_text_with_a_warning(void **state)
{
    static const struct error_row rows[] = {
        {R "routes: [{match: /blog/:page, tags: [\"type:pages\"]}]\n",
         "v:2:38: \"tags\": \":pages\" is text: the pattern of the route has \":page\"\n"},
        {R "routes: [{match: /p/:product, tags: [\"list:products\"]}]\n",
         "v:2:38: \"tags\": \":products\" is text: the pattern of the route has \":product\"\n"},
        {R "routes: [{match: /p/:id, tags: [\"product::idd\"]}]\n",
         "v:2:33: \"tags\": \":idd\" is text: the pattern of the route has \":id\"\n"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy *policy = load_ok(f, rows[i].text);
        check_slice(diag_text(policy->warnings), rows[i].expected);
        policy_free(policy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_name_in_a_tag_is_one_of_the_pattern),
        TEST(test_a_colon_that_begins_no_name_is_text),
        TEST(test_a_near_miss_within_a_word_is_text_with_a_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
