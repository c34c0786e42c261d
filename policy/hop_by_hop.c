/* What belongs to one connection and not to the message (RFC 9110 §7.6.1), and cookies that were
 * set for somebody varve did not show to the renderer (semantics 2.7). */
#include "policy/cache_control.h"
#include "policy/response.h"

static bool is_hop_by_hop(enum field_id id)
{
    switch (id) {
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TE:
    case FIELD_TRAILER:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE:
    case FIELD_PROXY_AUTHENTICATE:
    case FIELD_PROXY_AUTHENTICATION_INFO:
    case FIELD_PROXY_AUTHORIZATION:
        return true;
    default:
        return false;
    }
}

/* In two rounds: every Connection line must stay until each field was compared with it. */
void fields_remove_hop_by_hop(struct fields *fields)
{
    bool has_connection = fields_find_id(fields, FIELD_CONNECTION) != NULL;
    size_t kept = 0;
    struct fields named = {.arena = fields->arena};
    for (size_t i = 0; has_connection && i < fields->count; i++)
        if (fields->at[i].id == FIELD_CONNECTION)
            fields_add_id(&named, FIELD_CONNECTION, fields->at[i].value);
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->at[i];
        if (is_hop_by_hop(field->id) || fields_has_member(&named, FIELD_CONNECTION, field->name))
            continue;
        fields->at[kept++] = *field;
    }
    fields->count = kept;
}

static bool sets_one_of(slice set_cookie, struct slices names)
{
    size_t equals = slice_find(set_cookie, '=', 0);
    if (equals == set_cookie.len || slice_find(set_cookie, ';', 0) < equals)
        return false;
    slice name = slice_trim(slice_until(set_cookie, equals));
    for (size_t i = 0; i < names.count; i++)
        if (slice_equal(names.at[i], name))
            return true;
    return false;
}

void fields_remove_held_set_cookies(struct fields *fields, struct slices held_cookies)
{
    size_t kept = 0;
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->at[i];
        if (field->id == FIELD_SET_COOKIE && sets_one_of(field->value, held_cookies))
            continue;
        fields->at[kept++] = *field;
    }
    fields->count = kept;
}

bool fields_set_foreign_cookie(const struct fields *fields, struct slices held_cookies)
{
    for (size_t i = 0; i < fields->count; i++)
        if (fields->at[i].id == FIELD_SET_COOKIE && !sets_one_of(fields->at[i].value, held_cookies))
            return true;
    return false;
}

static bool is_listed(slice names, slice name)
{
    slice one;
    while (slice_next_member(&names, &one))
        if (slice_equal_nocase(one, name))
            return true;
    return false;
}

void fields_remove_limited(struct fields *fields, const struct route *route)
{
    struct directives d;
    size_t kept = 0;
    directives_of(fields, route->targeted, fields->arena, &d);
    if (slice_is_empty(d.no_cache_fields) && slice_is_empty(d.private_fields))
        return;
    for (size_t i = 0; i < fields->count; i++) {
        slice name = fields->at[i].name;
        if (!is_listed(d.no_cache_fields, name) && !is_listed(d.private_fields, name))
            fields->at[kept++] = fields->at[i];
    }
    fields->count = kept;
}
