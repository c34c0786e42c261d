#include "policy/client_wish.h"

#include "policy/cache_control.h"

static void read_seconds(duration *place, slice value, duration otherwise)
{
    if (!duration_is_given(*place) && !delta_seconds_parse(value, place))
        *place = otherwise;
}

static void read_directive(struct client_wish *wish, slice member)
{
    size_t equals = slice_find(member, '=', 0);
    slice name = slice_until(member, equals), value = slice_from(member, equals + 1);
    if (slice_equal_nocase(name, SLICE("no-cache")))
        wish->no_cache = true;
    else if (slice_equal_nocase(name, SLICE("no-store")))
        wish->no_store = true;
    else if (slice_equal_nocase(name, SLICE("only-if-cached")))
        wish->only_if_cached = true;
    else if (slice_equal_nocase(name, SLICE("max-age")))
        read_seconds(&wish->max_age, value, (duration){0});
    else if (slice_equal_nocase(name, SLICE("min-fresh")))
        read_seconds(&wish->min_fresh, value, DURATION_NONE);
}

void client_wish_of(const struct request *request, const struct route *route,
                    struct client_wish *wish)
{
    slice text = SLICE_NONE, member;
    *wish = (struct client_wish){.max_age = DURATION_NONE, .min_fresh = DURATION_NONE};
    if (!route->honours_client)
        return;
    if (!fields_join(&request->fields, field_name_of(FIELD_CACHE_CONTROL), request->arena, &text)) {
        /* RFC 9111 §5.4 */
        wish->no_cache = fields_has_member(&request->fields, FIELD_PRAGMA, SLICE("no-cache"));
        return;
    }
    while (slice_next_member(&text, &member))
        read_directive(wish, member);
}

bool client_wish_admits(const struct client_wish *wish, duration age, duration fresh_left)
{
    bool is_young = !duration_is_given(wish->max_age) || age.ms <= wish->max_age.ms;
    bool stays_fresh = !duration_is_given(wish->min_fresh) || fresh_left.ms >= wish->min_fresh.ms;
    return !wish->no_cache && is_young && stays_fresh;
}
