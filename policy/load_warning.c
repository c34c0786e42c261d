/* What a policy file may say, but its writer hardly means: said by `varve check` and in the log. */
#include "policy/loader.h"

#include "policy/route.h"

#include <stdarg.h>
#include <stdio.h>

enum { MESSAGE_MAX = 512, SHOWN_MAX = 100 };

void warn_at(struct loader *l, const struct yaml_node *node, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    diag_add(l->policy->warnings, node->file, node->line, node->column, "%s", text);
}

/* --- targets --- */

static bool is_made_of_host(const struct yaml_node *target)
{
    return target && target->kind == YAML_SCALAR &&
           (slice_search(target->text, SLICE("{url}")) < target->text.len ||
            slice_search(target->text, SLICE("{host}")) < target->text.len);
}

static void look_at_target(struct loader *l, const struct yaml_node *owner, slice name)
{
    const struct yaml_node *target = yaml_get(owner, SLICE("target"));
    if (is_made_of_host(target))
        warn_at(l, target,
                "\"%" SLICE_FMT
                ".target\" is made of the Host that clients send, and \"hosts\" names "
                "none: anybody can have any address rendered, also one of your own network; add "
                "hosts: [your.site.example]",
                SLICE_ARG(name));
}

static void look_at_targets(struct loader *l, const struct yaml_node *root)
{
    const struct yaml_node *origins = yaml_get(root, SLICE("origins"));
    if (l->policy->hosts.count)
        return;
    for (size_t i = 0; origins && origins->kind == YAML_MAP && i < origins->count; i++) {
        slice name[] = {SLICE("origins."), origins->entries[i].key->text};
        look_at_target(l, origins->entries[i].value, arena_concat(&l->scratch, name, 2));
    }
    look_at_target(l, yaml_get(root, SLICE("shell")), SLICE("shell"));
}

/* --- routes --- */

/* `routes: []` says it on purpose. */
static void look_for_routes(struct loader *l, const struct yaml_node *root)
{
    if (!yaml_get(root, SLICE("routes")))
        diag_add(l->policy->warnings, root->file, 0, 0,
                 "no \"routes\": everything is passed to the origin and nothing is stored; add "
                 "routes: [{match: \"/**\"}]");
}

/* The first that takes everything that route `index` would match; NULL: none does. */
static const struct route *covering_route(const struct policy *policy, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (route_pattern_covers(policy->routes[i].match, policy->routes[index].match))
            return &policy->routes[i];
    return NULL;
}

static void look_at_routes(struct loader *l, const struct yaml_node *list)
{
    const struct policy *policy = l->policy;
    for (size_t i = 0; i < policy->route_count; i++) {
        const struct route *first = covering_route(policy, i);
        if (!first)
            continue;
        const struct yaml_node *at = yaml_get(list->items[i], SLICE("match"));
        const struct yaml_node *by = yaml_get(list->items[first->index], SLICE("match"));
        warn_at(l, at,
                "\"match\": \"%" SLICE_FMT "\" is never reached: \"%" SLICE_FMT "\" (%" SLICE_FMT
                ":%u:%u) comes first and matches all of it; put the route in front of that one",
                SLICE_ARG(slice_until(at->text, SHOWN_MAX)),
                SLICE_ARG(slice_until(by->text, SHOWN_MAX)), SLICE_ARG(by->file), by->line,
                by->column);
    }
}

void find_warnings(struct loader *l, const struct yaml_node *root)
{
    look_at_targets(l, root);
    look_for_routes(l, root);
    look_at_routes(l, yaml_get(root, SLICE("routes")));
    diag_sort(l->policy->warnings);
}
