/* Settings of the front that are like no other: threads, error pages, the access log, and lists of
 * the few words that this version knows. */
#include "policy/loader.h"

enum { ERROR_PAGES_MAX = 64, THREADS_MAX = 256 };

static void parse_threads(struct loader *l, const struct setting *s, const struct yaml_node *node,
                          void *base)
{
    struct policy *policy = base;
    uint64_t value;
    if (scalar_is(node, "auto"))
        policy->threads = machine_threads("");
    else if (node->kind == YAML_SCALAR && slice_to_u64(node->text, &value) && value >= 1 &&
             value <= THREADS_MAX)
        policy->threads = (unsigned)value;
    else
        fail_expected(l, s, node, s->type->expected);
}

static bool print_threads(struct writer *w, const struct setting *s, const void *base)
{
    (void)s;
    write_format(w, "%u", ((const struct policy *)base)->threads);
    return true;
}

/* Those that a navigation can be answered with. What is refused before it is read as a request
 * (413, 431 and so on) gets no page whoever asks: docs/security.md. */
static bool is_page_status(uint64_t status)
{
    static const uint64_t OF_PAGES[] = {400, 421, 502, 503, 504, 508};
    for (size_t i = 0; i < sizeof(OF_PAGES) / sizeof(OF_PAGES[0]); i++)
        if (status == OF_PAGES[i])
            return true;
    return false;
}

static void parse_error_page(struct loader *l, const struct setting *s,
                             const struct yaml_entry *entry, struct error_page *page)
{
    uint64_t status;
    if (!slice_to_u64(entry->key->text, &status) || !is_page_status(status))
        fail(l, entry->key,
             "\"error_page\": expected a status of varve's own pages (400, 421, 502, 503, 504 or "
             "508), got \"%" SLICE_FMT "\"",
             SLICE_ARG(slice_until(entry->key->text, 40)));
    else
        page->status = (unsigned)status;
    slice path;
    if (!scalar_text(l, s, entry->value, &path))
        return;
    page->path = path_beside(l->arena, entry->value->file, path);
    check_file(l, s, entry->value, page->path);
}

static void parse_error_pages(struct loader *l, const struct setting *s,
                              const struct yaml_node *node, void *base)
{
    struct policy *policy = base;
    if (node->kind != YAML_MAP || node->count > ERROR_PAGES_MAX) {
        fail_expected(l, s, node, "a mapping such as {503: busy.html}");
        return;
    }
    policy->error_pages = arena_array(l->arena, struct error_page, node->count);
    policy->error_page_count = node->count;
    for (size_t i = 0; i < node->count; i++)
        parse_error_page(l, s, &node->entries[i], &policy->error_pages[i]);
}

static bool print_error_pages(struct writer *w, const struct setting *s, const void *base)
{
    const struct policy *policy = base;
    (void)s;
    for (size_t i = 0; i < policy->error_page_count; i++) {
        write_format(w, "%s%u: ", i ? ", " : "{", policy->error_pages[i].status);
        write_scalar(w, policy->error_pages[i].path);
    }
    write_format(w, "}");
    return policy->error_page_count > 0;
}

static void parse_access_log(struct loader *l, const struct setting *s,
                             const struct yaml_node *node, void *base)
{
    struct policy *policy = base;
    if (scalar_is(node, "none"))
        policy->access_log_path = SLICE_NONE;
    else if (node->kind == YAML_SCALAR)
        fail_expected(l, s, node, "none, or a mapping such as {path: access.log, format: json}");
    else
        section_parse(l, s->section, node, base);
}

static void print_access_log(struct writer *w, const struct setting *s, const void *base)
{
    const struct policy *policy = base;
    if (policy->access_log_path.len) {
        setting_section.print_block(w, s, base);
        return;
    }
    write_key(w, s->key);
    write_format(w, " none\n");
}

/* Subsets of the few words that this version knows, in the order given. */
static void parse_known(struct loader *l, const struct setting *s, const struct yaml_node *node,
                        void *base, const char *words)
{
    struct slices *list = setting_member(s, base);
    const struct yaml_node *const *items;
    size_t count;
    if (!node_items(l, s, node, &items, &count))
        return;
    list->at = arena_array(l->arena, slice, count);
    list->count = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned index;
        if (items[i]->kind != YAML_SCALAR || !word_index(words, items[i]->text, &index)) {
            fail_word(l, s, items[i], words);
            continue;
        }
        slice word = word_at(words, index);
        for (size_t j = 0; j < list->count; j++)
            if (slice_equal(list->at[j], word))
                fail(l, items[i], "\"%" SLICE_FMT "\" is listed twice", SLICE_ARG(word));
        list->at[list->count++] = word;
    }
}

static void parse_codings(struct loader *l, const struct setting *s, const struct yaml_node *node,
                          void *base)
{
    parse_known(l, s, node, base, "br|gzip");
}

static void parse_methods(struct loader *l, const struct setting *s, const struct yaml_node *node,
                          void *base)
{
    parse_known(l, s, node, base, "PURGE");
}

static bool print_list(struct writer *w, const struct setting *s, const void *base)
{
    write_list(w, setting_member_view(s, base));
    return true;
}

const struct setting_type setting_threads = {.name = "auto or number",
                                             .expected = "auto, or a number from 1 to 256",
                                             .parse = parse_threads,
                                             .print = print_threads};
const struct setting_type setting_error_pages = {
    .name = "status: path", .parse = parse_error_pages, .print = print_error_pages};
const struct setting_type setting_access_log = {
    .name = "none or mapping", .parse = parse_access_log, .print_block = print_access_log};
const struct setting_type setting_codings = {
    .name = "list of br, gzip", .parse = parse_codings, .print = print_list};
const struct setting_type setting_methods = {
    .name = "list of PURGE", .parse = parse_methods, .print = print_list};
