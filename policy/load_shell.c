/*
 * `shell:` where it is an origin's light answer (semantics 8.2): what it asks that origin for, and
 * how often. What is made of it is an origin of its own in all but its workers.
 */
#include "policy/loader.h"

static void parse_shell_origin(struct loader *l, const struct setting *s,
                               const struct yaml_node *node, void *base)
{
    slice *name = setting_member(s, base);
    if (!scalar_text(l, s, node, name) || origin_named(l->policy, *name))
        return;
    if (l->policy->origin_count) /* without any origin that is the error, not this */
        fail_origin(l, s, node, "");
}

static bool print_shell_origin(struct writer *w, const struct setting *s, const void *base)
{
    const slice *name = setting_member_view(s, base);
    if (name->len)
        write_scalar(w, *name);
    return name->len > 0;
}

static void parse_shell_target(struct loader *l, const struct setting *s,
                               const struct yaml_node *node, void *base)
{
    setting_target.parse(l, s, node, setting_member(s, base));
}

static bool print_shell_target(struct writer *w, const struct setting *s, const void *base)
{
    return setting_target.print(w, s, setting_member_view(s, base));
}

static void parse_shell_headers(struct loader *l, const struct setting *s,
                                const struct yaml_node *node, void *base)
{
    setting_set_headers.parse(l, s, node, setting_member(s, base));
}

static bool print_shell_headers(struct writer *w, const struct setting *s, const void *base)
{
    return setting_set_headers.print(w, s, setting_member_view(s, base));
}

static bool sets_header(const struct origin_config *origin, slice name)
{
    for (size_t i = 0; i < origin->set_header_count; i++)
        if (slice_equal(origin->set_headers[i].name, name))
            return true;
    return false;
}

/* The origin's, but for those that the shell sets too, and the shell's. */
static void join_headers(struct loader *l, struct origin_config *into,
                         const struct origin_config *own)
{
    const struct set_header *old = into->set_headers;
    size_t old_count = into->set_header_count;
    into->set_headers = arena_array(l->arena, struct set_header, old_count + own->set_header_count);
    into->set_header_count = 0;
    for (size_t i = 0; i < old_count; i++)
        if (!sets_header(own, old[i].name))
            into->set_headers[into->set_header_count++] = old[i];
    for (size_t i = 0; i < own->set_header_count; i++)
        into->set_headers[into->set_header_count++] = own->set_headers[i];
}

void finish_shell(struct loader *l, const struct yaml_node *root)
{
    struct policy *policy = l->policy;
    const struct yaml_node *shell = yaml_get(root, SLICE("shell"));
    const struct origin_config *named = origin_named(policy, policy->shell_origin_name);
    static const char *const of_origin[] = {"target", "set_headers"};
    for (size_t i = 0; i < 2 && policy->shell_origin_name.len == 0; i++) {
        const struct yaml_entry *entry = yaml_find(shell, slice_of_string(of_origin[i]));
        if (entry)
            fail(l, entry->key, "\"%s\" without \"origin\": nobody is asked for the shell",
                 of_origin[i]);
    }
    if (!named)
        return;
    policy->shell_origin = *named;
    policy->shell_origin.slots = 0; /* it has its own, counted elsewhere */
    policy->shell_origin.retries = 0;
    if (policy->shell_asked.target.len)
        policy->shell_origin.target = policy->shell_asked.target;
    join_headers(l, &policy->shell_origin, &policy->shell_asked);
}

const struct setting_type setting_shell_origin = {
    .name = "name of an origin", .parse = parse_shell_origin, .print = print_shell_origin};
const struct setting_type setting_shell_target = {
    .name = "text",
    .expected =
        "a target that begins with / or {path} and may hold {url}, {path} and {host}, without "
        "spaces",
    .parse = parse_shell_target,
    .print = print_shell_target};
const struct setting_type setting_shell_headers = {
    .name = "field: text", .parse = parse_shell_headers, .print = print_shell_headers};
