#include "edge/request/purge_method.h"

#include "edge/admin/api_handlers.h"

#include <string.h>

static bool is_configured(const struct policy *policy)
{
    for (size_t i = 0; i < policy->purge_methods.count; i++)
        if (slice_equal(policy->purge_methods.at[i], SLICE("PURGE")))
            return true;
    return false;
}

/* Somebody who is not a trusted proxy must not speak for another address. */
static bool is_forwarded_by_a_stranger(const struct request *request)
{
    static const enum field_id of_proxies[] = {FIELD_FORWARDED, FIELD_X_FORWARDED_FOR,
                                               FIELD_X_REAL_IP, FIELD_VIA, FIELD_CDN_LOOP};
    for (size_t i = 0; i < sizeof(of_proxies) / sizeof(of_proxies[0]); i++)
        if (!request->peer_is_trusted && fields_find_id(&request->fields, of_proxies[i]))
            return true;
    return false;
}

static bool may_purge(const struct policy *policy, const struct request *request)
{
    if (!is_configured(policy) || is_forwarded_by_a_stranger(request))
        return false;
    for (size_t i = 0; i < policy->purge_allow.count; i++)
        if (ip_range_contains(&policy->purge_allow.at[i], &request->client))
            return true;
    return false;
}

static void answer_done(struct exchange *ex, uint64_t stamp)
{
    ex->outcome = OUTCOME_PASS;
    ex->reason = REASON_METHOD;
    struct fields fields;
    fields_init(&fields, &ex->arena);
    fields_add_id(&fields, FIELD_CONTENT_TYPE, SLICE("application/json"));
    fields_add_id(&fields, FIELD_CACHE_CONTROL, SLICE("no-store"));
    add_own_status(ex, &fields);
    slice body = arena_printf(&ex->arena, "{\"stamp\": %llu}\n", (unsigned long long)stamp);
    struct sink_head head = {
        .status = 200, .reason = SLICE("Purged"), .fields = &fields, .length = body.len};
    send_whole(ex, &head, body);
}

void answer_purge_method(struct exchange *ex)
{
    uint64_t stamp = 0;
    if (!may_purge(ex->server->policy, ex->request)) {
        answer_error(ex, 405, OUTCOME_ERROR, REASON_METHOD,
                     SLICE("PURGE is not allowed from here"));
        return;
    }
    if (purge_request_url(ex->server, ex->request, &ex->decision, &stamp) != 0)
        answer_error(ex, 507, OUTCOME_ERROR, REASON_METHOD,
                     SLICE("the purge holds until restart, but could not be written"));
    else
        answer_done(ex, stamp);
}
