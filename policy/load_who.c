/* Who asks: `identity:` and `classes:`. */
#include "policy/loader.h"

enum { CLASSES_MAX = 64, RANGES_MAX = 20000 };

/* --- identity --- */

static void parse_logged_in(struct loader *l, const struct setting *s, const struct yaml_node *node,
                            void *base)
{
    struct policy *policy = base;
    if (scalar_is(node, "none")) {
        policy->identity.cookies = COOKIES_NONE;
        policy->identity.headers = (struct slices){0};
    } else if (node->kind == YAML_SCALAR) {
        fail_expected(l, s, node,
                      "none, or a mapping such as {cookies: auto, headers: [Authorization]}");
    } else {
        section_parse(l, s->section, node, base);
    }
}

static void print_logged_in(struct writer *w, const struct setting *s, const void *base)
{
    setting_section.print_block(w, s, base);
}

static void parse_identity_cookies(struct loader *l, const struct setting *s,
                                   const struct yaml_node *node, void *base)
{
    struct policy *policy = base;
    if (scalar_is(node, "auto") || scalar_is(node, "none")) {
        policy->identity.cookies = scalar_is(node, "auto") ? COOKIES_AUTO : COOKIES_NONE;
        policy->identity.cookie_names = (struct slices){0};
        return;
    }
    if (node->kind == YAML_SCALAR) {
        fail_expected(l, s, node, "auto, none or a list of cookie names");
        return;
    }
    struct setting names = *s;
    names.type = &setting_names;
    names.offset = offsetof(struct policy, identity.cookie_names);
    setting_names.parse(l, &names, node, base);
    policy->identity.cookies = policy->identity.cookie_names.count ? COOKIES_LISTED : COOKIES_NONE;
}

static bool print_identity_cookies(struct writer *w, const struct setting *s, const void *base)
{
    const struct policy *policy = base;
    (void)s;
    if (policy->identity.cookies == COOKIES_LISTED)
        write_list(w, &policy->identity.cookie_names);
    else
        write_format(w, policy->identity.cookies == COOKIES_AUTO ? "auto" : "none");
    return true;
}

/* --- classes --- */

/* Every text in the file that reads as an address or range counts: that fits plain lists and the
 * JSON that Google, Bing and OpenAI publish ({"prefixes": [{"ipv4Prefix": "…"}]}). */
static void gather_ranges(const struct yaml_node *node, struct ip_ranges *ranges)
{
    struct ip_range range;
    if (node->kind == YAML_SCALAR && ranges->count < RANGES_MAX &&
        ip_range_parse(node->text, &range))
        ranges->at[ranges->count++] = range;
    for (size_t i = 0; node->kind == YAML_LIST && i < node->count; i++)
        gather_ranges(node->items[i], ranges);
    for (size_t i = 0; node->kind == YAML_MAP && i < node->count; i++)
        gather_ranges(node->entries[i].value, ranges);
}

static void read_ranges(struct loader *l, const struct yaml_node *node, struct ip_ranges *ranges)
{
    slice text, path = path_beside(&l->scratch, node->file, node->text);
    if (!l->may_read_files) {
        fail(l, node, "\"ip_ranges\": a file can be named in a policy file only");
        return;
    }
    if (!read_text_file(l, path, node, &text))
        return;
    const struct yaml_node *tree = yaml_read(text, path, &l->scratch, l->diag);
    if (!tree)
        return;
    size_t before = ranges->count;
    gather_ranges(tree, ranges);
    if (ranges->count == before)
        fail(l, node, "\"ip_ranges\": no address range in \"%" SLICE_FMT "\"", SLICE_ARG(path));
    else if (ranges->count == RANGES_MAX)
        fail(l, node, "\"ip_ranges\": too many address ranges (the limit is %d)", RANGES_MAX);
}

static void parse_class_addresses(struct loader *l, const struct setting *s,
                                  const struct yaml_node *node, void *base)
{
    struct class_config *class = base;
    struct ip_ranges found = {.at = arena_array(&l->scratch, struct ip_range, RANGES_MAX)};
    const struct yaml_node *const *items;
    size_t count;
    class->has_ip_ranges = true;
    if (!node_items(l, s, node, &items, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        if (items[i]->kind != YAML_SCALAR || items[i]->text.len == 0)
            fail_expected(l, s, items[i], s->type->expected);
        else if (found.count < RANGES_MAX && ip_range_parse(items[i]->text, &found.at[found.count]))
            found.count++;
        else
            read_ranges(l, items[i], &found);
    }
    class->ip_ranges.at = arena_array(l->arena, struct ip_range, found.count);
    class->ip_ranges.count = found.count;
    if (found.count)
        memcpy(class->ip_ranges.at, found.at, found.count * sizeof(struct ip_range));
}

static bool print_class_addresses(struct writer *w, const struct setting *s, const void *base)
{
    const struct class_config *class = base;
    return class->has_ip_ranges && setting_addresses.print(w, s, base);
}

static void parse_class_name(struct loader *l, const struct setting *s,
                             const struct yaml_node *node, void *base)
{
    struct class_config *class = base;
    slice name;
    if (!scalar_text(l, s, node, &name))
        return;
    if (!is_identifier(name)) {
        fail_expected(l, s, node, s->type->expected);
        return;
    }
    for (size_t i = 0; i < l->policy->class_count; i++)
        if (slice_equal(l->policy->classes[i].name, name))
            fail(l, node, "class \"%" SLICE_FMT "\" is given twice", SLICE_ARG(name));
    class->name = name;
}

static bool print_class_name(struct writer *w, const struct setting *s, const void *base)
{
    (void)s;
    write_scalar(w, ((const struct class_config *)base)->name);
    return true;
}

static bool matches_everybody(const struct class_config *class)
{
    return class->user_agent.count == 0 && !class->has_ip_ranges;
}

static void parse_class(struct loader *l, const struct setting *s, const struct yaml_node *node)
{
    struct policy *policy = l->policy;
    struct class_config class = {0};
    size_t errors = l->diag->count + l->diag->dropped;
    section_defaults(l, s->section, &class);
    section_parse(l, s->section, node, &class);
    if (node->kind != YAML_MAP)
        return;
    if (!yaml_get(node, SLICE("name")))
        fail(l, node, "a class needs a \"name\"");
    if (l->diag->count + l->diag->dropped == errors && policy->class_count &&
        matches_everybody(&policy->classes[policy->class_count - 1]))
        fail(l, node,
             "class \"%" SLICE_FMT "\" is never reached: \"%" SLICE_FMT
             "\" before it has neither user_agent nor ip_ranges and matches everybody",
             SLICE_ARG(class.name), SLICE_ARG(policy->classes[policy->class_count - 1].name));
    policy->classes[policy->class_count++] = class;
}

static void parse_classes(struct loader *l, const struct setting *s, const struct yaml_node *node,
                          void *base)
{
    struct policy *policy = base;
    if (node->kind != YAML_LIST || node->count > CLASSES_MAX) {
        fail_expected(l, s, node, "a list of at most 64 classes, such as [{name: people}]");
        return;
    }
    policy->classes = arena_array(l->arena, struct class_config, node->count + 1);
    for (size_t i = 0; i < node->count; i++)
        parse_class(l, s, node->items[i]);
}

static void print_classes(struct writer *w, const struct setting *s, const void *base)
{
    const struct policy *policy = base;
    write_key(w, s->key);
    write_format(w, "\n");
    w->indent += 4;
    for (size_t i = 0; i < policy->class_count; i++) {
        w->is_item = true;
        section_print(w, s->section, &policy->classes[i]);
    }
    w->indent -= 4;
}

const struct setting_type setting_logged_in = {
    .name = "none or mapping", .parse = parse_logged_in, .print_block = print_logged_in};
const struct setting_type setting_identity_cookies = {.name = "auto, none or list of names",
                                                      .expected = "the name of a cookie",
                                                      .parse = parse_identity_cookies,
                                                      .print = print_identity_cookies};
const struct setting_type setting_class_addresses = {
    .name = "list of address ranges or files",
    .expected = "an address range or the name of a file with address ranges",
    .parse = parse_class_addresses,
    .print = print_class_addresses};
const struct setting_type setting_class_name = {.name = "name",
                                                .expected = "a name of letters, digits, - and _",
                                                .parse = parse_class_name,
                                                .print = print_class_name};
const struct setting_type setting_classes = {
    .name = "list of mappings", .parse = parse_classes, .print_block = print_classes};
