/*
 * `routes[].tags`: a `:name` that the route's pattern does not have would stand literally in the
 * tag, and purges of what was meant would miss. But the colon is also what people separate words
 * with. Within a word (`section:news`, `App::Product`) it is text, with a warning where the pattern
 * has nearly that name; behind a name that is replaced (`:id:price`) it is text, unless the pattern
 * has nearly that name: two names and a slip are likelier than that text.
 */
#include "policy/loader.h"

#include "policy/route.h"

struct names {
    slice at[CAPTURES_MAX];
    size_t count;
};

/* Of a pattern without a problem: no more than there is room for. */
static void names_of(slice pattern, struct names *names)
{
    slice rest = slice_from(pattern, 1), segment;
    names->count = 0;
    while (slice_next(&rest, '/', &segment)) {
        slice behind = slice_from(segment, 1);
        slice name = slice_until(behind, route_name_length(behind));
        if (slice_starts_with(segment, SLICE(":")) && name.len)
            names->at[names->count++] = name;
    }
}

static bool has_name(const struct names *names, slice name)
{
    for (size_t i = 0; i < names->count; i++)
        if (slice_equal(names->at[i], name))
            return true;
    return false;
}

/* Of what is not ASCII each byte counts as a part of a letter. */
static bool is_within_word(slice tag, size_t colon)
{
    slice before = slice_of(tag.ptr + colon - 1, 1);
    return before.ptr[0] == ':' || (unsigned char)before.ptr[0] >= 0x80 ||
           route_name_length(before) > 0;
}

/* What to write instead. */
static slice hint(struct loader *l, const struct names *names, slice name, slice nearest)
{
    slice list = SLICE_NONE;
    if (nearest.ptr)
        return arena_printf(&l->scratch, "did you mean \":%" SLICE_FMT "\"?", SLICE_ARG(nearest));
    if (names->count == 0)
        return arena_printf(&l->scratch, "it names no segment; write /:%" SLICE_FMT " there",
                            SLICE_ARG(slice_until(name, 60)));
    for (size_t i = 0; i < names->count; i++)
        list = arena_concat(&l->scratch,
                            (slice[]){list, i ? SLICE(", :") : SLICE("it has :"), names->at[i]}, 3);
    return list;
}

/* `name` is none of the pattern. `start`: where the text before the colon begins, behind a name
 * that is replaced. */
static void check_other_name(struct loader *l, const struct yaml_node *node,
                             const struct names *names, slice name, size_t start, size_t colon)
{
    slice nearest = diag_nearest(name, names->at, names->count);
    if (colon > start && is_within_word(node->text, colon)) {
        if (nearest.ptr)
            warn_at(l, node,
                    "\"tags\": \":%" SLICE_FMT
                    "\" is text: the pattern of the route has \":%" SLICE_FMT "\"",
                    SLICE_ARG(name), SLICE_ARG(nearest));
    } else if (colon > start || start == 0 || nearest.ptr) {
        fail(l, node,
             "\"tags\": the pattern of the route has no \":%" SLICE_FMT "\" (%" SLICE_FMT ")",
             SLICE_ARG(slice_until(name, 60)),
             SLICE_ARG(slice_until(hint(l, names, name, nearest), 300)));
    }
}

static void check_tag(struct loader *l, const struct yaml_node *node, const struct names *names)
{
    slice tag = node->text;
    size_t start = 0;
    for (size_t colon = 0; (colon = slice_find(tag, ':', colon)) < tag.len; colon++) {
        slice behind = slice_from(tag, colon + 1);
        slice name = slice_until(behind, route_name_length(behind));
        if (has_name(names, name))
            start = colon + 1 + name.len;
        else if (name.len)
            check_other_name(l, node, names, name, start, colon);
    }
}

void check_tags(struct loader *l, const struct yaml_node *tags, const struct route *route)
{
    struct names names;
    if (!tags || route->match.len == 0 || route_pattern_problem(route->match))
        return;
    names_of(route->match, &names);
    if (tags->kind == YAML_SCALAR)
        check_tag(l, tags, &names);
    for (size_t i = 0; tags->kind == YAML_LIST && i < tags->count; i++)
        if (tags->items[i]->kind == YAML_SCALAR)
            check_tag(l, tags->items[i], &names);
}
