/*
 * What a 304 does to the stored response (RFC 9111 §3.2, §4.3.4; semantics 4.6). The body stays, so
 * what describes the body stays as well.
 */
#include "policy/facts.h"
#include "policy/vary.h"

/* A 304 may forbid what its 200 allowed. `force` overrides the same things as on a 200. */
static bool is_forbidden(const struct route *route, slice content_type, const struct fields *update,
                         struct arena *arena)
{
    struct facts as_200 = {.status = 200, .flags = FACT_SEALED};
    enum lifetime_source source;
    struct directives d;
    directives_of(update, route->targeted, arena, &d);
    facts_lifetime_from(&as_200, route, content_type, &source);
    return source != LIFETIME_FORCED && (d.is_private || (d.no_store && !d.must_understand));
}

static bool vary_fits(const struct policy *policy, const struct fields *fields,
                      const struct field_names *names, struct arena *arena)
{
    struct vary_read vary;
    vary_of_response(policy, fields, arena, &vary);
    if (vary.has_star || vary.overflows)
        return false;
    for (size_t i = 0; i < vary.names.count; i++)
        if (!field_names_contain(names, vary.names.at[i]))
            return false;
    return true;
}

static bool sets_cookie(const struct route *route, const struct fields *update)
{
    return !route->store_set_cookie && fields_find_id(update, FIELD_SET_COOKIE);
}

/* Fields that a 304 leaves as they were stored. Vary is united, never narrowed. */
static bool is_kept(const struct route *route, enum field_id id)
{
    switch (id) {
    case FIELD_SET_COOKIE:
    case FIELD_CONTENT_LENGTH:
    case FIELD_CONTENT_ENCODING:
    case FIELD_CONTENT_RANGE:
    case FIELD_VARY:
        return true;
    case FIELD_CONTENT_TYPE:
    case FIELD_ETAG:
        return route->store_statuses == STATUSES_PAGES;
    default:
        return false;
    }
}

/* Age and Date are of the message, not of the page: without new ones the time of receipt counts. */
static bool is_replaced(const struct route *route, const struct field *stored,
                        const struct fields *update)
{
    if (stored->id == FIELD_AGE || stored->id == FIELD_DATE)
        return true;
    return !is_kept(route, stored->id) && fields_find(update, stored->name);
}

static void add_missing_vary(const struct fields *update, struct fields *merged)
{
    slice text = SLICE_NONE, member;
    if (!fields_join(update, field_name_of(FIELD_VARY), merged->arena, &text))
        return;
    while (slice_next_member(&text, &member))
        if (!fields_has_member(merged, FIELD_VARY, member))
            fields_add_id(merged, FIELD_VARY, member);
}

bool fields_merge_304(const struct policy *policy, const struct route *route,
                      const struct fields *stored, const struct response *not_modified,
                      const struct field_names *names, struct fields *merged)
{
    struct fields update;
    fields_init(&update, merged->arena);
    for (size_t i = 0; i < not_modified->fields.count; i++)
        fields_add(&update, not_modified->fields.at[i].name, not_modified->fields.at[i].value);
    fields_remove_hop_by_hop(&update);
    if (sets_cookie(route, &update) ||
        is_forbidden(route, fields_value(stored, FIELD_CONTENT_TYPE), &update, merged->arena) ||
        !vary_fits(policy, &update, names, merged->arena))
        return false;
    for (size_t i = 0; i < stored->count; i++)
        if (!is_replaced(route, &stored->at[i], &update))
            fields_add(merged, stored->at[i].name, stored->at[i].value);
    for (size_t i = 0; i < update.count; i++)
        if (!is_kept(route, update.at[i].id))
            fields_add(merged, update.at[i].name, update.at[i].value);
    add_missing_vary(&update, merged);
    fields_remove_limited(merged, route);
    return merged->count <= STORED_FIELDS_MAX;
}
