/*
 * The Vary of a response, inwards (names that enter the union of its URL) and outwards (what caches
 * behind varve must key on).
 */
#include "policy/vary.h"

#include "base/text.h"
#include "base/token.h"
#include "policy/media_type.h"
#include "policy/normalise.h"

static void add_name(struct vary_read *vary, slice name)
{
    if (!field_names_add(&vary->names, name))
        vary->overflows = true;
}

/* A Vary that names a field or the `as:` field which stands for it means both (semantics 2.4). */
static void add_with_twins(const struct policy *policy, struct vary_read *vary, slice name)
{
    add_name(vary, name);
    for (size_t i = 0; i < policy->vary_count; i++) {
        const struct vary_config *v = &policy->vary[i];
        if (slice_is_empty(v->as) || (!slice_equal(name, v->field) && !slice_equal(name, v->as)))
            continue;
        add_name(vary, v->field);
        add_name(vary, v->as);
    }
}

/* `*`; a name that nobody can read, which is one that nobody can key on; and what varve makes anew
 * for each request, so that no answer would ever be another's. */
static bool is_star(slice member)
{
    return slice_equal(member, SLICE("*")) || !is_token(member) ||
           slice_equal_nocase(member, SLICE("x-request-id"));
}

static void read_member(const struct policy *policy, struct arena *arena, slice member,
                        struct vary_read *vary)
{
    if (is_star(member)) {
        vary->has_star = true;
        return;
    }
    if (!slice_equal_nocase(member, SLICE("accept-encoding")))
        add_with_twins(policy, vary, arena_copy_lower(arena, member));
}

void vary_of_response(const struct policy *policy, const struct fields *fields, struct arena *arena,
                      struct vary_read *vary)
{
    *vary = (struct vary_read){0};
    for (size_t i = 0; i < fields->count; i++) {
        slice rest = fields->at[i].value, member;
        while (fields->at[i].id == FIELD_VARY && slice_next(&rest, ',', &member)) {
            member = slice_trim(member);
            if (member.len && !vary->overflows)
                read_member(policy, arena, member, vary);
        }
    }
}

/* --- to the client: semantics 4.8 --- */

enum { CLIENT_NAMES_MAX = 64 }; /* of the origin's; nobody could key on more: `*` */

static bool text_list_contains(slice list, slice name)
{
    slice one;
    while (slice_next_member(&list, &one))
        if (slice_equal_nocase(one, name))
            return true;
    return false;
}

static void text_list_add(struct text *list, slice name)
{
    if (text_list_contains(text_view(list), name))
        return;
    if (list->len)
        text_add(list, SLICE(", "));
    text_add(list, name);
}

/* Clients see the name of the raw field, not of the one that its class travels in. */
static slice raw_name(const struct policy *policy, slice name)
{
    for (size_t i = 0; i < policy->vary_count; i++) {
        const struct vary_config *v = &policy->vary[i];
        if (!slice_is_empty(v->as) && slice_equal_nocase(name, v->as))
            return v->field;
    }
    return name;
}

bool response_is_compressible(const struct policy *policy, const struct facts *facts,
                              const struct fields *fields)
{
    return policy->compress_codings.count > 0 && !(facts->flags & FACT_NO_TRANSFORM) &&
           coding_of_response(fields) == CODING_IDENTITY &&
           media_type_is_in(fields_value(fields, FIELD_CONTENT_TYPE), policy->compress_types);
}

/* By varve's own doing: it makes codings, or decodes what came coded. */
static bool varies_by_coding(const struct policy *policy, const struct facts *facts,
                             const struct fields *fields)
{
    enum coding coding = coding_of_response(fields);
    return coding == CODING_GZIP || coding == CODING_BR ||
           response_is_compressible(policy, facts, fields);
}

static bool is_always_keyed(const struct vary_config *v, bool is_sealed)
{
    if (v->kind == VARY_COOKIES)
        return v->keep.count > 0;
    return vary_is_always(v, is_sealed);
}

/* False: `*`, or as good as that. */
static bool add_raw_names(const struct policy *policy, slice vary, struct text *list)
{
    slice name;
    for (size_t count = 0; slice_next_member(&vary, &name); count++) {
        if (count == CLIENT_NAMES_MAX || slice_equal(name, SLICE("*")))
            return false;
        text_list_add(list, raw_name(policy, name));
    }
    return true;
}

slice client_vary_of_pass(const struct policy *policy, slice vary, struct arena *arena)
{
    struct text list = {.arena = arena};
    slice rest = vary, name;
    bool is_class_named = false;
    while (!is_class_named && slice_next_member(&rest, &name))
        is_class_named = !slice_equal_nocase(raw_name(policy, name), name);
    if (!is_class_named)
        return vary;
    return add_raw_names(policy, vary, &list) ? text_view(&list) : SLICE("*");
}

slice client_vary(const struct policy *policy, const struct facts *facts,
                  const struct fields *fields, struct arena *arena)
{
    struct text list = {.arena = arena};
    slice vary = SLICE_NONE;
    fields_join_id(fields, FIELD_VARY, arena, &vary);
    if (!add_raw_names(policy, vary, &list))
        return SLICE("*");
    if (varies_by_coding(policy, facts, fields))
        text_list_add(&list, SLICE("Accept-Encoding"));
    for (size_t i = 0; i < policy->vary_count; i++) {
        const struct vary_config *v = &policy->vary[i];
        if (is_always_keyed(v, facts->flags & FACT_SEALED))
            text_list_add(&list, v->kind == VARY_COOKIES ? SLICE("Cookie") : v->field);
    }
    return text_view(&list);
}
