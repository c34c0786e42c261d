/* YAML as a tree with positions; what is refused, and where. */
#include "base/yaml.h"

#include "tests/unit/base/diag_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static struct yaml_node *read_string(struct fixture *f, const char *text)
{
    return yaml_read(slice_of_string(text), SLICE("f"), &f->arena, &f->diag);
}

static void check_error(struct fixture *f, const char *text, const char *expected)
{
    diag_init(&f->diag, &f->arena);
    read_string(f, text);
    slice errors = diag_text(&f->diag);
    assert_string_equal(errors.ptr, expected);
}

static void test_every_node_knows_line_and_column(void **state)
{
    struct fixture *f = *state;
    struct yaml_node *root = read_string(f, "a: 1\nlist:\n  - x\n  - {b: 'q', c: [y]}\n");
    assert_int_equal(f->diag.count, 0);
    struct yaml_node *list = yaml_get(root, SLICE("list"));
    struct yaml_node *b = yaml_get(list->items[1], SLICE("b"));
    assert_int_equal(list->kind, YAML_LIST);
    assert_int_equal(list->count, 2);
    assert_int_equal(b->line, 4);
    assert_int_equal(b->column, 9);
    assert_false(b->is_plain);
    assert_true(yaml_get(root, SLICE("a"))->is_plain);
    assert_true(slice_equal(b->text, SLICE("q")));
    assert_true(slice_equal(b->file, SLICE("f")));
    assert_int_equal(yaml_find(root, SLICE("list"))->key->line, 2);
    assert_null(yaml_get(root, SLICE("none")));
    assert_null(yaml_get(list, SLICE("a")));
}

static void test_of_a_broken_file_there_is_what_stands_before(void **state)
{
    static const struct {
        const char *text;
        size_t keys;
    } rows[] = {
        {"a: {b: c}\nd: [", 2},
        {"a: {b: c}\nd: {e: ", 2},
        {"a: {b: c}\n\tx", 1},
        {"a: {b: c}\nd: *x\n", 1},
        {"a: {b: c}\nd: &x {a: 1}\n", 1},
        {"a: {b: c, d: e", 1},
        {"a: {b: c}\nd: e\n f: g\n", 1},
        {"a:\n  b: c\n  d: e\n   f: g\n", 1},
        {"a:\n  b: c\n  d: \"e\"\n   f: g\n", 1},
        {"a: {b: c}\nd: [\n  {x: \"y}]\ne: f\n", 2},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        diag_init(&f->diag, &f->arena);
        slice text = slice_of_string(rows[i].text);
        assert_null(yaml_read(text, SLICE("f"), &f->arena, &f->diag));
        size_t errors = f->diag.count;
        struct yaml_node *part = yaml_read_part(text, SLICE("f"), &f->arena, &f->diag);
        assert_non_null(part);
        assert_int_equal(f->diag.count, 2 * errors); /* the same, and each once */
        assert_int_equal(part->count, rows[i].keys);
        const struct yaml_node *a = yaml_get(part, SLICE("a"));
        assert_true(slice_equal(yaml_get(a, SLICE("b"))->text, SLICE("c")));
        assert_int_equal(a->count, 1); /* without what the error may have cut */
    }
    assert_null(yaml_read_part(SLICE("\t"), SLICE("f"), &f->arena, &f->diag));
}

static void test_an_empty_document_is_an_empty_mapping(void **state)
{
    static const char *const texts[] = {"", "# nothing\n", "---\n", "\xef\xbb\xbf"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct yaml_node *root = read_string(f, texts[i]);
        assert_non_null(root);
        assert_int_equal(root->kind, YAML_MAP);
        assert_int_equal(root->count, 0);
    }
    assert_int_equal(f->diag.count, 0);
}

static void test_long_collections_keep_their_order(void **state)
{
    struct fixture *f = *state;
    char text[4096] = "[0";
    for (int i = 1; i < 500; i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof(text) - length, ",%d", i);
    }
    text[strlen(text)] = ']';
    struct yaml_node *list = read_string(f, text);
    assert_int_equal(list->count, 500);
    for (int i = 0; i < 500; i++)
        assert_int_equal(atol(list->items[i]->text.ptr), i);
}

static void test_a_key_given_twice_is_an_error_and_reading_goes_on(void **state)
{
    check_error(*state, "a: 1\nb: {c: 1, c: 2}\na: 3\n",
                "f:2:11: duplicate key \"c\"; the first is in line 2\n"
                "f:3:1: duplicate key \"a\"; the first is in line 1\n");
}

static void test_anchors_aliases_and_tags_are_refused(void **state)
{
#define REFUSED                                                                                    \
    "anchors (&), aliases (*) and tags (!) are not supported: write the value out, in quotes if "  \
    "it begins with one of these\n"
    check_error(*state, "a: &x 1\n", "f:1:4: " REFUSED);
    check_error(*state, "a: &x [1]\n", "f:1:4: " REFUSED);
    check_error(*state, "a: &x {b: 1}\n", "f:1:4: " REFUSED);
    check_error(*state, "a: 1\nb: *x\n", "f:2:4: " REFUSED);
    check_error(*state, "a: !!str 1\n", "f:1:4: " REFUSED);
}

static void test_syntax_errors_have_a_position(void **state)
{
    check_error(*state, "a: [1, 2\nb: 3\n",
                "f:2:2: not valid YAML: did not find expected ',' or ']' while parsing a flow "
                "sequence\n");
    check_error(*state, "a: 1\n\tb: 2\n",
                "f:2:1: not valid YAML: found a tab character that violates indentation "
                "while scanning a plain scalar\n");
    check_error(*state, "a: 1\nb: \xff\n", "f:2:4: not valid YAML: invalid leading UTF-8 octet\n");
    check_error(*state, "a: 1\n---\nb: 2\n",
                "f:2:1: only one document in a file: remove the \"---\"\n");
    check_error(*state, "[a]: 1\n", "f:1:1: a key must be text\n");
}

static void test_depth_has_a_limit(void **state)
{
    struct fixture *f = *state;
    char text[80] = {0};
    memset(text, '[', 32);
    memset(text + 32, ']', 32);
    assert_non_null(read_string(f, text));
    memset(text, '[', 34);
    memset(text + 34, ']', 34);
    check_error(f, text, "f:1:34: nested too deeply (the limit is 32 levels)\n");
}

static void test_the_number_of_nodes_and_keys_has_a_limit(void **state)
{
    struct fixture *f = *state;
    size_t size = 3 * (size_t)YAML_NODES_MAX + 16;
    char *text = calloc(1, size);
    text[0] = '[';
    for (size_t i = 0; i < YAML_NODES_MAX; i++)
        memcpy(text + 1 + 2 * i, "1,", 2);
    text[2 * YAML_NODES_MAX] = ']';
    check_error(f, text, "f:1:100000: too many values in one file (the limit is 50000)\n");
    memset(text, 0, size);
    for (size_t i = 0, at = 0; i <= YAML_KEYS_MAX; i++)
        at += (size_t)snprintf(text + at, size - at, "k%zu: 1\n", i);
    check_error(f, text, "f:1001:1: too many keys in one mapping (the limit is 1000)\n");
    free(text);
}

static void test_a_file_over_a_mebibyte_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t size = YAML_BYTES_MAX + 1;
    char *text = malloc(size);
    memset(text, '#', size);
    assert_null(yaml_read(slice_of(text, size), SLICE("f"), &f->arena, &f->diag));
    assert_string_equal(diag_text(&f->diag).ptr, "f: the file is larger than 1MiB\n");
    free(text);
}

static void test_entries_and_items_can_be_added(void **state)
{
    struct fixture *f = *state;
    struct yaml_node *root = read_string(f, "a: 1\nl: [x]\n");
    struct yaml_node *value = yaml_scalar_new(&f->arena, SLICE("v"), SLICE("--option"));
    yaml_set(&f->arena, root, yaml_scalar_new(&f->arena, SLICE("a"), SLICE_NONE), value);
    yaml_set(&f->arena, root, yaml_scalar_new(&f->arena, SLICE("n"), SLICE_NONE), value);
    assert_int_equal(root->count, 3);
    assert_ptr_equal(yaml_get(root, SLICE("a")), value);
    assert_ptr_equal(yaml_get(root, SLICE("n")), value);
    struct yaml_node *list = yaml_get(root, SLICE("l"));
    for (int i = 0; i < 20; i++)
        yaml_append(&f->arena, list, value);
    assert_int_equal(list->count, 21);
    assert_true(slice_equal(list->items[0]->text, SLICE("x")));
    assert_ptr_equal(list->items[20], value);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_every_node_knows_line_and_column),
        TEST(test_of_a_broken_file_there_is_what_stands_before),
        TEST(test_an_empty_document_is_an_empty_mapping),
        TEST(test_long_collections_keep_their_order),
        TEST(test_a_key_given_twice_is_an_error_and_reading_goes_on),
        TEST(test_anchors_aliases_and_tags_are_refused),
        TEST(test_syntax_errors_have_a_position),
        TEST(test_depth_has_a_limit),
        TEST(test_the_number_of_nodes_and_keys_has_a_limit),
        TEST(test_a_file_over_a_mebibyte_is_refused),
        TEST(test_entries_and_items_can_be_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
