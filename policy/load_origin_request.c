/* What is sent to an origin beside the fill itself: `set_headers`, `target`, `host`. */
#include "policy/loader.h"

enum { SET_HEADERS_MAX = 64 };

/* Fields that are varve's own business on the connection to an origin. */
static bool is_framing_field(slice lower)
{
    static const slice names[] = {
        {"host", 4},   {"connection", 10}, {"content-length", 14}, {"transfer-encoding", 17},
        {"te", 2},     {"trailer", 7},     {"upgrade", 7},         {"keep-alive", 10},
        {"expect", 6}, {"via", 3},         {"accept-encoding", 15}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (slice_equal(lower, names[i]))
            return true;
    return false;
}

/* Checks the {name} placeholders of a text; `words` lists those that exist. Braces around anything
 * but a lower-case word are text: JSON in a header is fine. */
static bool check_placeholders(struct loader *l, const struct setting *s,
                               const struct yaml_node *node, slice text, const char *words)
{
    for (size_t start = slice_find(text, '{', 0); start < text.len;
         start = slice_find(text, '{', start + 1)) {
        size_t end = start + 1;
        while (end < text.len && text.ptr[end] >= 'a' && text.ptr[end] <= 'z')
            end++;
        unsigned index;
        slice name = slice_from(slice_until(text, end), start + 1);
        if (end == text.len || text.ptr[end] != '}' || name.len == 0 ||
            word_index(words, name, &index))
            continue;
        struct yaml_node word = *node;
        word.text = name;
        fail_word(l, s, &word, words);
        return false;
    }
    return true;
}

static bool has_header(const struct origin_config *origin, slice name)
{
    for (size_t i = 0; i < origin->set_header_count; i++)
        if (slice_equal(origin->set_headers[i].name, name))
            return true;
    return false;
}

static void parse_set_header(struct loader *l, const struct setting *s,
                             const struct yaml_entry *entry, struct origin_config *origin)
{
    slice name = arena_copy_lower(l->arena, entry->key->text), text;
    if (!is_token(name)) {
        fail(l, entry->key, "\"set_headers\": \"%" SLICE_FMT "\" is not the name of a header field",
             SLICE_ARG(slice_until(name, 60)));
        return;
    }
    if (is_framing_field(name)) {
        fail(l, entry->key, "\"set_headers\": varve sets \"%" SLICE_FMT "\" itself: remove it%s",
             SLICE_ARG(name), slice_equal(name, SLICE("host")) ? ", and use \"host\"" : "");
        return;
    }
    if (has_header(origin, name)) {
        fail(l, entry->key, "\"set_headers\": \"%" SLICE_FMT "\" is given twice", SLICE_ARG(name));
        return;
    }
    if (!scalar_text(l, s, entry->value, &text) ||
        !check_placeholders(l, s, entry->value, text, "class|host|build"))
        return;
    origin->set_headers[origin->set_header_count++] =
        (struct set_header){.name = name,
                            .template = text,
                            .uses_class = slice_search(text, SLICE("{class}")) < text.len,
                            .uses_build = slice_search(text, SLICE("{build}")) < text.len};
}

static void parse_set_headers(struct loader *l, const struct setting *s,
                              const struct yaml_node *node, void *base)
{
    struct origin_config *origin = base;
    if (node->kind != YAML_MAP || node->count > SET_HEADERS_MAX) {
        fail_expected(l, s, node, "a mapping of at most 64 fields, such as {X-Name: value}");
        return;
    }
    origin->set_headers = arena_array(l->arena, struct set_header, node->count);
    for (size_t i = 0; i < node->count; i++)
        parse_set_header(l, s, &node->entries[i], origin);
}

static bool print_set_headers(struct writer *w, const struct setting *s, const void *base)
{
    const struct origin_config *origin = base;
    (void)s;
    for (size_t i = 0; i < origin->set_header_count; i++) {
        write_format(w, i ? ", " : "{");
        write_scalar(w, origin->set_headers[i].name);
        write_format(w, ": ");
        write_scalar(w, origin->set_headers[i].template);
    }
    write_format(w, "}");
    return origin->set_header_count > 0;
}

static void parse_target(struct loader *l, const struct setting *s, const struct yaml_node *node,
                         void *base)
{
    struct origin_config *origin = base;
    slice text;
    if (!scalar_text(l, s, node, &text))
        return;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == ' ' || text.ptr[i] == '#' || (unsigned char)text.ptr[i] >= 0x80)
            text.len = 0;
    if (!slice_starts_with(text, SLICE("/")) && !slice_starts_with(text, SLICE("{path}")))
        fail_expected(l, s, node, s->type->expected);
    else if (check_placeholders(l, s, node, text, "url|path|host"))
        origin->target = text;
}

static bool print_target(struct writer *w, const struct setting *s, const void *base)
{
    const struct origin_config *origin = base;
    (void)s;
    if (origin->target.len)
        write_scalar(w, origin->target);
    return origin->target.len > 0;
}

static void parse_origin_host(struct loader *l, const struct setting *s,
                              const struct yaml_node *node, void *base)
{
    struct origin_config *origin = base;
    slice text, host;
    uint16_t port;
    if (!scalar_text(l, s, node, &text))
        return;
    if (slice_equal(text, SLICE("client")))
        origin->host = ORIGIN_HOST_CLIENT;
    else if (slice_equal(text, SLICE("origin")))
        origin->host = ORIGIN_HOST_ORIGIN;
    else if (!parse_authority(text, &host, &port))
        fail_expected(l, s, node, s->type->expected);
    else
        origin->host = ORIGIN_HOST_NAME, origin->host_name = text;
}

static bool print_origin_host(struct writer *w, const struct setting *s, const void *base)
{
    const struct origin_config *origin = base;
    (void)s;
    write_scalar(w, origin->host == ORIGIN_HOST_CLIENT   ? SLICE("client")
                    : origin->host == ORIGIN_HOST_ORIGIN ? SLICE("origin")
                                                         : origin->host_name);
    return true;
}

const struct setting_type setting_set_headers = {
    .name = "field: text", .parse = parse_set_headers, .print = print_set_headers};
const struct setting_type setting_target = {
    .name = "text",
    .expected =
        "a target that begins with / or {path} and may hold {url}, {path} and {host}, without "
        "spaces",
    .parse = parse_target,
    .print = print_target};
const struct setting_type setting_origin_host = {.name = "client, origin or a host",
                                                 .expected = "client, origin or the name of a host",
                                                 .parse = parse_origin_host,
                                                 .print = print_origin_host};
