/* `routes:` */
#include "policy/loader.h"

#include "policy/route.h"

enum { ROUTES_MAX = 1000, CLIENT_CACHE_MAX = 256 };

/* --- match --- */

static const char *segment_problem(slice segment, slice *names, size_t *count)
{
    if (slice_equal(segment, SLICE("**")))
        return NULL;
    if (slice_search(segment, SLICE("**")) < segment.len)
        return "\"**\" stands alone between slashes, as in /api/**";
    if (segment.len == 0 || segment.ptr[0] != ':')
        return NULL;
    slice name = slice_until(slice_from(segment, 1), route_name_length(slice_from(segment, 1)));
    if (name.len == 0)
        return "\":\" needs a name of letters, digits and _, as in /p/:id";
    if (slice_find(segment, '*', 0) < segment.len)
        return "\":name\" and \"*\" do not go together in one segment";
    for (size_t i = 0; i < *count; i++)
        if (slice_equal(names[i], name))
            return "the same \":name\" stands there twice";
    if (*count == CAPTURES_MAX)
        return "more than 8 names";
    names[(*count)++] = name;
    return NULL;
}

const char *route_pattern_problem(slice pattern)
{
    slice names[CAPTURES_MAX], rest, segment;
    size_t count = 0;
    if (pattern.len == 0 || pattern.ptr[0] != '/')
        return "a pattern begins with /";
    for (size_t i = 0; i < pattern.len; i++)
        if (pattern.ptr[i] == '?' || pattern.ptr[i] == '#' || pattern.ptr[i] == ' ')
            return "a pattern is a path: no space, ? or # (for the query see \"query\")";
    rest = slice_from(pattern, 1);
    while (slice_next(&rest, '/', &segment)) {
        const char *problem = segment_problem(segment, names, &count);
        if (problem)
            return problem;
        if (segment.len == 0 && rest.ptr)
            return "an empty segment (//) matches nothing";
    }
    return NULL;
}

static void parse_pattern(struct loader *l, const struct setting *s, const struct yaml_node *node,
                          void *base)
{
    struct route *route = base;
    if (!scalar_text(l, s, node, &route->match))
        return;
    const char *problem = route_pattern_problem(route->match);
    if (problem)
        fail(l, node, "\"match\": \"%" SLICE_FMT "\": %s",
             SLICE_ARG(slice_until(route->match, 100)), problem);
    for (size_t i = 0; i < route->index; i++)
        if (slice_equal(l->policy->routes[i].match, route->match))
            fail(l, node, "\"match\": route %zu has the same pattern and comes first: remove one",
                 i + 1);
}

static bool print_pattern(struct writer *w, const struct setting *s, const void *base)
{
    (void)s;
    write_scalar(w, ((const struct route *)base)->match);
    return true;
}

/* --- origins --- */

void fail_origin(struct loader *l, const struct setting *s, const struct yaml_node *node,
                 const char *words)
{
    slice parts[130];
    size_t count = 0;
    parts[count++] = slice_of_string(words);
    for (size_t i = 0; i < l->policy->origin_count && count < 129; i++) {
        if (count > 1 || *words)
            parts[count++] = SLICE("|");
        parts[count++] = l->policy->origins[i].name;
    }
    fail_word(l, s, node, arena_concat(&l->scratch, parts, count).ptr);
}

static void parse_route_origin(struct loader *l, const struct setting *s,
                               const struct yaml_node *node, void *base)
{
    struct route *route = base;
    if (node->kind == YAML_SCALAR)
        route->origin = origin_named(l->policy, node->text);
    /* without any origin that is the error, not this */
    if (!route->origin && l->policy->origin_count)
        fail_origin(l, s, node, "");
}

static bool print_route_origin(struct writer *w, const struct setting *s, const void *base)
{
    (void)s;
    write_scalar(w, ((const struct route *)base)->origin->name);
    return true;
}

static void parse_when_logged_in(struct loader *l, const struct setting *s,
                                 const struct yaml_node *node, void *base)
{
    struct route *route = base;
    unsigned index;
    route->logged_in_origin = NULL;
    if (node->kind == YAML_SCALAR && word_index("pass|shell|cache", node->text, &index)) {
        route->when_logged_in = (enum when_logged_in)index;
        if (route->when_logged_in == LOGGED_IN_SHELL && !policy_has_shell(l->policy))
            fail(l, node, "\"when_logged_in\": shell, but there is none: add \"shell: {file: …}\"");
        return;
    }
    route->when_logged_in = LOGGED_IN_ORIGIN;
    if (node->kind == YAML_SCALAR)
        route->logged_in_origin = origin_named(l->policy, node->text);
    if (!route->logged_in_origin)
        fail_origin(l, s, node, "pass|shell|cache");
}

static bool print_when_logged_in(struct writer *w, const struct setting *s, const void *base)
{
    const struct route *route = base;
    (void)s;
    write_scalar(w, route->when_logged_in == LOGGED_IN_ORIGIN
                        ? route->logged_in_origin->name
                        : word_at("pass|shell|cache", route->when_logged_in));
    return true;
}

/* --- the rest --- */

static void parse_query_keep(struct loader *l, const struct setting *s,
                             const struct yaml_node *node, void *base)
{
    setting_names.parse(l, s, node, base);
    ((struct route *)base)->query_keep_is_set = true;
}

static bool print_query_keep(struct writer *w, const struct setting *s, const void *base)
{
    const struct route *route = base;
    (void)s;
    if (route->query_keep_is_set)
        write_list(w, &route->query_keep);
    return route->query_keep_is_set;
}

static void parse_on_failure(struct loader *l, const struct setting *s,
                             const struct yaml_node *node, void *base)
{
    struct route *route = base;
    const struct yaml_node *const *items;
    size_t count;
    if (!node_items(l, s, node, &items, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        unsigned index;
        if (items[i]->kind != YAML_SCALAR || !word_index("stale|shell", items[i]->text, &index)) {
            fail_word(l, s, items[i], "stale|shell");
            continue;
        }
        if (index == FALLBACK_SHELL && !policy_has_shell(l->policy))
            fail(l, items[i], "\"on_failure\": shell, but there is none: add \"shell: {file: …}\"");
        if (route->on_failure_count == 2 ||
            (route->on_failure_count == 1 && route->on_failure[0] == (enum fallback)index))
            fail(l, items[i], "\"%" SLICE_FMT "\" is listed twice", SLICE_ARG(items[i]->text));
        else
            route->on_failure[route->on_failure_count++] = (enum fallback)index;
    }
}

static bool print_on_failure(struct writer *w, const struct setting *s, const void *base)
{
    const struct route *route = base;
    (void)s;
    write_format(w, "[");
    for (size_t i = 0; i < route->on_failure_count; i++)
        write_format(w, "%s%s", i ? ", " : "",
                     route->on_failure[i] == FALLBACK_STALE ? "stale" : "shell");
    write_format(w, "]");
    return true;
}

static void parse_client_cache(struct loader *l, const struct setting *s,
                               const struct yaml_node *node, void *base)
{
    struct route *route = base;
    slice text;
    if (!scalar_text(l, s, node, &text))
        return;
    if (text.len > CLIENT_CACHE_MAX)
        fail_expected(l, s, node, s->type->expected);
    else
        route->client_cache = slice_equal(text, SLICE("as_received")) ? SLICE_NONE : text;
}

static bool print_client_cache(struct writer *w, const struct setting *s, const void *base)
{
    const struct route *route = base;
    (void)s;
    write_scalar(w, route->client_cache.len ? route->client_cache : SLICE("as_received"));
    return true;
}

/* --- the list --- */

/* Statuses that semantics 4.1 never stores; `store_statuses: rfc` leaves them to RFC 9111. */
static bool is_never_stored(unsigned status)
{
    static const unsigned never[] = {204, 400, 405, 408, 413, 414, 421, 425, 429, 431};
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        if (status == never[i])
            return true;
    return status >= 500;
}

static void check_statuses(struct loader *l, const struct yaml_node *node,
                           const struct route *route)
{
    const struct yaml_node *map = yaml_get(node, SLICE("status_ttl"));
    for (size_t i = 0; i < route->status_ttl_count && route->store_statuses == STATUSES_PAGES; i++)
        if (is_never_stored(route->status_ttl[i].status))
            fail(l, map->entries[i].key, "\"status_ttl\": an answer %u is never stored: remove it",
                 route->status_ttl[i].status);
}

static void check_route(struct loader *l, const struct yaml_node *node, struct route *route)
{
    const struct yaml_node *query = yaml_get(node, SLICE("query"));
    const struct yaml_node *ttl = yaml_get(node, SLICE("ttl"));
    if (!yaml_get(node, SLICE("match")))
        fail(l, node, "a route needs a \"match\", such as \"/**\"");
    if (yaml_get(query, SLICE("keep")) && yaml_get(query, SLICE("drop")))
        fail(l, yaml_find(query, SLICE("drop"))->key,
             "\"drop\" does not go with \"keep\": what is not kept is dropped");
    if (ttl && duration_is_given(route->ttl.value) && !route->is_cacheable)
        fail(l, ttl, "\"ttl\" with \"cache: never\": remove one of the two");
    check_statuses(l, node, route);
    check_tags(l, yaml_get(node, SLICE("tags")), route);
}

static void settle_route(struct loader *l, const struct yaml_node *node, struct route *route)
{
    const struct policy *policy = l->policy;
    if (!route->origin && policy->origin_count)
        route->origin = &policy->origins[0];
    if (yaml_get(node, SLICE("on_failure")))
        return;
    route->on_failure[route->on_failure_count++] = FALLBACK_STALE;
    if (policy_has_shell(policy)) /* semantics 10.4 */
        route->on_failure[route->on_failure_count++] = FALLBACK_SHELL;
}

static void parse_route(struct loader *l, const struct setting *s, const struct yaml_node *node,
                        const struct route *defaults)
{
    struct policy *policy = l->policy;
    struct route *route = &policy->routes[policy->route_count];
    *route = *defaults;
    route->index = (unsigned)policy->route_count++;
    section_parse(l, s->section, node, route);
    if (node->kind != YAML_MAP)
        return;
    check_route(l, node, route);
    settle_route(l, node, route);
}

static void parse_routes(struct loader *l, const struct setting *s, const struct yaml_node *node,
                         void *base)
{
    struct policy *policy = base;
    struct route defaults = {0};
    if (node->kind != YAML_LIST || node->count > ROUTES_MAX) {
        fail_expected(l, s, node,
                      "a list of at most 1000 routes, such as [{match: \"/**\", ttl: 30s}]");
        return;
    }
    section_defaults(l, s->section, &defaults);
    policy->routes = arena_array(l->arena, struct route, node->count);
    for (size_t i = 0; i < node->count; i++)
        parse_route(l, s, node->items[i], &defaults);
}

static void print_routes(struct writer *w, const struct setting *s, const void *base)
{
    const struct policy *policy = base;
    write_key(w, s->key);
    write_format(w, policy->route_count ? "\n" : " []\n");
    w->indent += 4;
    for (size_t i = 0; i < policy->route_count; i++) {
        w->is_item = true;
        section_print(w, s->section, &policy->routes[i]);
    }
    w->indent -= 4;
}

const struct setting_type setting_pattern = {.name = "path pattern",
                                             .expected = "a pattern such as /p/:id or /**",
                                             .parse = parse_pattern,
                                             .print = print_pattern};
const struct setting_type setting_route_origin = {
    .name = "name of an origin", .parse = parse_route_origin, .print = print_route_origin};
const struct setting_type setting_when_logged_in = {.name = "pass, shell, cache or an origin",
                                                    .parse = parse_when_logged_in,
                                                    .print = print_when_logged_in};
const struct setting_type setting_query_keep = {.name = "list of names, * allowed",
                                                .expected =
                                                    "a name, without space, comma, ; = or &",
                                                .parse = parse_query_keep,
                                                .print = print_query_keep};
const struct setting_type setting_on_failure = {
    .name = "list of stale, shell", .parse = parse_on_failure, .print = print_on_failure};
const struct setting_type setting_client_cache = {
    .name = "as_received, none or text",
    .expected = "as_received, none or a Cache-Control value of at most 256 bytes",
    .parse = parse_client_cache,
    .print = print_client_cache};
const struct setting_type setting_routes = {
    .name = "list of mappings", .parse = parse_routes, .print_block = print_routes};
