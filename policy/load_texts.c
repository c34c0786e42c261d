/* The types of setting that many rows share: texts and lists of them. */
#include "base/utf8.h"
#include "policy/loader.h"
#include "policy/twins.h"

enum { ITEMS_MAX = 10000 };

/* --- text --- */

static bool is_clean_text(slice s)
{
    while (s.len) {
        unsigned char c = (unsigned char)s.ptr[0];
        size_t length = c < 0x20 || c == 0x7f ? 0 : utf8_length(s);
        if (length == 0)
            return false;
        s = slice_from(s, length);
    }
    return true;
}

bool scalar_text(struct loader *l, const struct setting *s, const struct yaml_node *node,
                 slice *text)
{
    const char *expected = s->type->expected ? s->type->expected : "text";
    if (node->kind != YAML_SCALAR || node->text.len == 0) {
        fail_expected(l, s, node, expected);
        return false;
    }
    if (!is_clean_text(node->text)) {
        fail(l, node, "\"%" SLICE_FMT "\": control bytes or bytes that are not UTF-8 in the text",
             SLICE_ARG(s->key));
        return false;
    }
    *text = arena_copy(l->arena, node->text);
    return true;
}

static void parse_text(struct loader *l, const struct setting *s, const struct yaml_node *node,
                       void *base)
{
    scalar_text(l, s, node, setting_member(s, base));
}

static bool print_text(struct writer *w, const struct setting *s, const void *base)
{
    const slice *text = setting_member_view(s, base);
    if (text->len == 0)
        return false;
    write_scalar(w, *text);
    return true;
}

static void parse_path(struct loader *l, const struct setting *s, const struct yaml_node *node,
                       void *base)
{
    slice path;
    if (!scalar_text(l, s, node, &path))
        return;
    bool is_word = s->words && slice_equal(path, slice_of_string(s->words));
    if (!is_word) {
        path = path_beside(l->arena, node->file, path);
        check_file(l, s, node, path);
    }
    *(slice *)setting_member(s, base) = path;
}

bool is_identifier(slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = ascii_lower(text.ptr[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return text.len > 0 && text.len <= 64;
}

static void parse_field(struct loader *l, const struct setting *s, const struct yaml_node *node,
                        void *base)
{
    slice name;
    if (!scalar_text(l, s, node, &name))
        return;
    if (is_token(name))
        *(slice *)setting_member(s, base) = arena_copy_lower(l->arena, name);
    else
        fail_expected(l, s, node, s->type->expected);
}

/* --- lists of text --- */

bool node_items(struct loader *l, const struct setting *s, const struct yaml_node *node,
                const struct yaml_node *const **items, size_t *count)
{
    if (node->kind == YAML_MAP || (node->kind == YAML_SCALAR && node->text.len == 0)) {
        fail_expected(l, s, node, "a list");
        return false;
    }
    if (node->kind == YAML_SCALAR) {
        const struct yaml_node **one = arena_new(&l->scratch, const struct yaml_node *);
        *one = node;
        *items = one;
        *count = 1;
        return true;
    }
    if (node->count > ITEMS_MAX) {
        fail(l, node, "\"%" SLICE_FMT "\": too many items (the limit is %d)", SLICE_ARG(s->key),
             ITEMS_MAX);
        return false;
    }
    *items = (const struct yaml_node *const *)node->items;
    *count = node->count;
    return true;
}

typedef bool item_check(slice text);

static void parse_list(struct loader *l, const struct setting *s, const struct yaml_node *node,
                       void *base, item_check *is_valid, bool makes_lower)
{
    struct slices list = {0};
    const struct yaml_node *const *items = NULL;
    size_t count = 0;
    bool is_none = s->words && scalar_is(node, s->words);
    if (!is_none && !node_items(l, s, node, &items, &count))
        return;
    list.at = arena_array(l->arena, slice, count);
    for (size_t i = 0; i < count; i++) {
        slice text;
        if (!scalar_text(l, s, items[i], &text))
            continue;
        if (is_valid && !is_valid(text))
            fail_expected(l, s, items[i], s->type->expected);
        else
            list.at[list.count++] = makes_lower ? arena_copy_lower(l->arena, text) : text;
    }
    *(struct slices *)setting_member(s, base) = list;
}

static void parse_texts(struct loader *l, const struct setting *s, const struct yaml_node *node,
                        void *base)
{
    parse_list(l, s, node, base, NULL, false);
}

static void parse_fields(struct loader *l, const struct setting *s, const struct yaml_node *node,
                         void *base)
{
    parse_list(l, s, node, base, is_token, true);
}

static bool is_name(slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == ' ' || text.ptr[i] == ';' || text.ptr[i] == ',' || text.ptr[i] == '=' ||
            text.ptr[i] == '&')
            return false;
    return true;
}

static void parse_names(struct loader *l, const struct setting *s, const struct yaml_node *node,
                        void *base)
{
    parse_list(l, s, node, base, is_name, false);
}

/* text/html, text/ and a star */
static bool is_media_type(slice text)
{
    size_t slash = slice_find(text, '/', 0);
    return is_token(slice_until(text, slash)) && is_token(slice_from(text, slash + 1));
}

static void parse_types(struct loader *l, const struct setting *s, const struct yaml_node *node,
                        void *base)
{
    parse_list(l, s, node, base, is_media_type, true);
}

static void parse_twins(struct loader *l, const struct setting *s, const struct yaml_node *node,
                        void *base)
{
    parse_list(l, s, node, base, twins_is_pattern, false);
}

static bool print_texts(struct writer *w, const struct setting *s, const void *base)
{
    const struct slices *texts = setting_member_view(s, base);
    if (texts->count == 0 && s->skips_empty)
        return false;
    write_list(w, texts);
    return true;
}

const struct setting_type setting_text = {
    .name = "text", .expected = "text", .parse = parse_text, .print = print_text};
const struct setting_type setting_path = {
    .name = "path", .expected = "a path", .parse = parse_path, .print = print_text};
const struct setting_type setting_field = {.name = "field name",
                                           .expected = "the name of a header field",
                                           .parse = parse_field,
                                           .print = print_text};
const struct setting_type setting_texts = {
    .name = "list of texts", .expected = "text", .parse = parse_texts, .print = print_texts};
const struct setting_type setting_fields = {.name = "list of field names",
                                            .expected = "the name of a header field",
                                            .parse = parse_fields,
                                            .print = print_texts};
const struct setting_type setting_names = {.name = "list of names, * allowed",
                                           .expected = "a name, without space, comma, ; = or &",
                                           .parse = parse_names,
                                           .print = print_texts};
const struct setting_type setting_twins = {
    .name = "list of URL patterns",
    .expected = "a pattern such as \"{path}.data\", \"/_next/data/*{path}.json\" or "
                "\"{path}?_rsc\"",
    .parse = parse_twins,
    .print = print_texts};
const struct setting_type setting_types = {.name = "list of media types",
                                           .expected = "a media type such as text/html or text/*",
                                           .parse = parse_types,
                                           .print = print_texts};
