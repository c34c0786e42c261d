/* How long what a route's origin answers is fresh, and stale but usable: `ttl`, `status_ttl`,
 * `stale`.
 */
#include "policy/loader.h"

enum { STATUSES_MAX = 64 };

static bool parse_rule(struct loader *l, const struct setting *s, const struct yaml_node *node,
                       struct lifetime_rule *rule)
{
    const struct yaml_node *forced = yaml_get(node, SLICE("force"));
    if (node->kind == YAML_MAP && (!forced || node->count != 1)) {
        fail(l, node, "\"%" SLICE_FMT "\": expected a duration such as 30s, or {force: 30s}",
             SLICE_ARG(s->key));
        return false;
    }
    rule->is_forced = forced != NULL;
    return parse_duration(l, s, forced ? forced : node, &rule->value);
}

static void write_rule(struct writer *w, const struct lifetime_rule *rule)
{
    char text[UNIT_TEXT_BYTES];
    slice value = units_format_duration(rule->value, text);
    write_format(w, rule->is_forced ? "{force: %" SLICE_FMT "}" : "%" SLICE_FMT, SLICE_ARG(value));
}

static void parse_lifetime(struct loader *l, const struct setting *s, const struct yaml_node *node,
                           void *base)
{
    struct lifetime_rule *rule = setting_member(s, base);
    if (scalar_is(node, "none"))
        *rule = (struct lifetime_rule){.value = DURATION_NONE};
    else
        parse_rule(l, s, node, rule);
}

static bool print_lifetime(struct writer *w, const struct setting *s, const void *base)
{
    const struct lifetime_rule *rule = setting_member_view(s, base);
    if (duration_is_given(rule->value))
        write_rule(w, rule);
    else
        write_format(w, "none");
    return true;
}

static void parse_status(struct loader *l, const struct setting *s, const struct yaml_entry *entry,
                         struct status_lifetime *lifetime)
{
    uint64_t status;
    if (!slice_to_u64(entry->key->text, &status) || status < 200 || status > 599)
        fail(l, entry->key,
             "\"status_ttl\": expected a status from 200 to 599, got \"%" SLICE_FMT "\"",
             SLICE_ARG(slice_until(entry->key->text, 40)));
    else if (status == 206 || status == 304)
        fail(l, entry->key,
             "\"status_ttl\": %u is a part of another answer and has no lifetime of its own",
             (unsigned)status);
    else
        lifetime->status = (unsigned)status;
    parse_rule(l, s, entry->value, &lifetime->rule);
}

static void parse_status_lifetimes(struct loader *l, const struct setting *s,
                                   const struct yaml_node *node, void *base)
{
    struct route *route = base;
    if (node->kind != YAML_MAP || node->count > STATUSES_MAX) {
        fail_expected(l, s, node, "a mapping such as {301: 1h, 404: 10s}");
        return;
    }
    route->status_ttl = arena_array(l->arena, struct status_lifetime, node->count);
    route->status_ttl_count = node->count;
    for (size_t i = 0; i < node->count; i++)
        parse_status(l, s, &node->entries[i], &route->status_ttl[i]);
}

static bool print_status_lifetimes(struct writer *w, const struct setting *s, const void *base)
{
    const struct route *route = base;
    (void)s;
    for (size_t i = 0; i < route->status_ttl_count; i++) {
        write_format(w, "%s%u: ", i ? ", " : "{", route->status_ttl[i].status);
        write_rule(w, &route->status_ttl[i].rule);
    }
    write_format(w, "}");
    return route->status_ttl_count > 0;
}

static void parse_stale(struct loader *l, const struct setting *s, const struct yaml_node *node,
                        void *base)
{
    struct stale_config *stale = &((struct route *)base)->stale;
    *stale = (struct stale_config){.while_revalidate = {0}, .if_error = duration_of_seconds(86400)};
    if (scalar_is(node, "default")) /* semantics 5.1 */
        return;
    stale->is_set = true;
    if (node->kind == YAML_MAP) {
        section_defaults(l, s->section, base);
        section_parse(l, s->section, node, base);
    } else if (scalar_is(node, "response")) {
        stale->while_revalidate = stale->if_error = DURATION_NONE;
    } else {
        struct setting row = *s;
        row.words = "response"; /* named in the error */
        if (parse_duration(l, &row, node, &stale->while_revalidate))
            stale->if_error = stale->while_revalidate;
    }
}

static void print_stale(struct writer *w, const struct setting *s, const void *base)
{
    if (((const struct route *)base)->stale.is_set) {
        setting_section.print_block(w, s, base);
        return;
    }
    write_key(w, s->key);
    write_format(w, " default\n");
}

const struct setting_type setting_lifetime = {
    .name = "duration, {force: D} or none", .parse = parse_lifetime, .print = print_lifetime};
const struct setting_type setting_status_lifetimes = {.name = "status: duration or {force: D}",
                                                      .parse = parse_status_lifetimes,
                                                      .print = print_status_lifetimes};
const struct setting_type setting_stale = {.name = "duration, response, default or mapping",
                                           .parse = parse_stale,
                                           .print_block = print_stale};
