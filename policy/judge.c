/*
 * May this answer be stored? A list of checks in the order in which a person would want to hear of
 * them; the first that objects names the reason (semantics 4.1 to 4.3, http-caching §2). What the
 * body itself shows is judged at its end.
 */
#include "policy/facts.h"
#include "policy/media_type.h"
#include "policy/redirect.h"
#include "policy/vary.h"

struct judging {
    const struct policy *policy;
    const struct request *request;
    const struct decision *decision;
    const struct forward *forward;
    const struct response *response;
    const struct route *route;
    const struct verdict *verdict; /* all but may_store, reason and is_shareable is there */
    struct directives directives;
    slice content_type;
    duration lifetime;
    enum lifetime_source source;
    bool has_too_many_tags;
};

static bool has_flag(const struct judging *j, uint32_t flags)
{
    return j->verdict->facts.flags & flags;
}

static bool is_forced(const struct judging *j)
{
    return j->source == LIFETIME_FORCED;
}

/* Lifetimes that the response itself did not give. */
static bool is_invented(const struct judging *j)
{
    return j->source != LIFETIME_EXPLICIT && j->source != LIFETIME_NONE;
}

static bool is_strict_on_pages(const struct judging *j)
{
    return j->route->store_statuses == STATUSES_PAGES;
}

static enum reason check_request(const struct judging *j)
{
    if (j->request->method != METHOD_GET && j->request->method != METHOD_HEAD)
        return REASON_METHOD;
    return j->route->is_cacheable ? REASON_NONE : REASON_ROUTE;
}

/* --- statuses: semantics 4.1 --- */

/* Of this request or of this moment: it says nothing of the page. */
static bool is_transient(unsigned status)
{
    switch (status) {
    case 400:
    case 408:
    case 413:
    case 414:
    case 421:
    case 425:
    case 429:
    case 431:
        return true;
    default:
        return status >= 500;
    }
}

static bool is_never_stored(unsigned status)
{
    return status == 405 || is_transient(status);
}

static bool is_navigation_without_body(const struct decision *decision, unsigned status,
                                       bool is_empty)
{
    return decision->is_navigation && (status == 204 || (status == 200 && is_empty));
}

static bool announces_no_body(const struct response *response)
{
    uint64_t length;
    if (response->status == 204)
        return true;
    slice value = slice_trim(fields_value(&response->fields, FIELD_CONTENT_LENGTH));
    return slice_to_u64(value, &length) && length == 0;
}

static bool has_positive_explicit_lifetime(const struct judging *j)
{
    return !has_flag(j, FACT_NO_STORE | FACT_PRIVATE | FACT_NO_CACHE) &&
           duration_is_given(j->verdict->facts.explicit_lifetime) &&
           j->verdict->facts.explicit_lifetime.ms > 0;
}

static bool is_page_status(const struct judging *j)
{
    switch (j->response->status) {
    case 200:
    case 203:
    case 301:
    case 308:
    case 404:
    case 410:
        return true;
    case 302:
    case 303:
    case 307:
        return has_positive_explicit_lifetime(j) ||
               route_status_rule(j->route, j->response->status);
    default:
        return route_status_rule(j->route, j->response->status);
    }
}

static enum reason check_status(const struct judging *j)
{
    unsigned status = j->response->status;
    if (status < 200 || status == 206 || status == 304)
        return REASON_STATUS;
    if (j->directives.must_understand && !status_is_understood(status))
        return REASON_STATUS;
    if (!is_strict_on_pages(j))
        return REASON_NONE;
    if (is_never_stored(status) || !is_page_status(j) ||
        is_navigation_without_body(j->decision, status, announces_no_body(j->response)))
        return REASON_STATUS;
    return REASON_NONE;
}

/* --- fields: semantics 4.2 --- */

static enum reason check_vary(const struct judging *j)
{
    return j->verdict->has_vary_star || j->verdict->vary_overflows ? REASON_VARY_DENIED
                                                                   : REASON_NONE;
}

static enum reason check_set_cookie(const struct judging *j)
{
    return !j->route->store_set_cookie &&
                   fields_set_foreign_cookie(&j->response->fields, j->forward->held_cookies)
               ? REASON_SET_COOKIE
               : REASON_NONE;
}

/* What counts is what the renderer saw: a held-back Authorization shaped nothing. */
static enum reason check_authorization(const struct judging *j)
{
    const struct directives *d = &j->directives;
    bool is_allowed = d->is_public || d->must_revalidate || duration_is_given(d->s_maxage);
    bool was_sent = fields_find_id(&j->forward->fields, FIELD_AUTHORIZATION) != NULL;
    return was_sent && !is_allowed ? REASON_PRIVATE : REASON_NONE; /* RFC 9111 §3.5 */
}

static enum reason check_directives(const struct judging *j)
{
    if (is_forced(j))
        return REASON_NONE;
    if (has_flag(j, FACT_PRIVATE))
        return REASON_PRIVATE;
    return has_flag(j, FACT_NO_STORE) ? REASON_NO_STORE : REASON_NONE;
}

static enum reason check_self_redirect(const struct judging *j)
{
    const struct field *location = fields_find_id(&j->response->fields, FIELD_LOCATION);
    if (!is_strict_on_pages(j) || j->response->status / 100 != 3 || !location)
        return REASON_NONE;
    return redirect_is_to_itself(j->request, j->decision, location->value) ? REASON_SELF_REDIRECT
                                                                           : REASON_NONE;
}

static enum reason check_cors(const struct judging *j)
{
    const struct fields *fields = &j->response->fields;
    if (!is_strict_on_pages(j) || field_names_contain(&j->verdict->vary, SLICE("origin")))
        return REASON_NONE;
    for (size_t i = 0; i < fields->count; i++)
        if (fields->at[i].id == FIELD_ACCESS_CONTROL_ALLOW_ORIGIN &&
            !slice_equal(slice_trim(fields->at[i].value), SLICE("*")))
            return REASON_CORS;
    return REASON_NONE;
}

/* Unknown codings pass: nobody could make an identity body of them (semantics 4.7). */
static enum reason check_coding(const struct judging *j)
{
    return is_strict_on_pages(j) && coding_of_response(&j->response->fields) == CODING_UNKNOWN
               ? REASON_POLICY
               : REASON_NONE;
}

/* It has no end: nobody who asks later could be given it, and nobody who asks now its middle. */
static enum reason check_stream(const struct judging *j)
{
    return media_type_is_event_stream(j->content_type) ? REASON_POLICY : REASON_NONE;
}

static enum reason check_freshness(const struct judging *j)
{
    if (j->lifetime.ms > 0)
        return REASON_NONE;
    bool has_validator = has_flag(j, FACT_ETAG | FACT_LAST_MODIFIED);
    if (has_flag(j, FACT_NO_CACHE))
        return has_validator ? REASON_NONE : REASON_NO_CACHE;
    if (!has_flag(j, FACT_EXPLICIT))
        return REASON_POLICY; /* neither the response nor the route gives a lifetime */
    bool is_useful = has_validator || facts_have_stale_window(&j->verdict->facts, j->route);
    return is_useful ? REASON_NONE : REASON_EXPIRED;
}

static bool contains_nonce(slice policy_text)
{
    const slice nonce = SLICE("'nonce-");
    for (size_t i = 0; i + nonce.len <= policy_text.len; i++)
        if (slice_starts_with_nocase(slice_from(policy_text, i), nonce))
            return true;
    return false;
}

/* A nonce that everybody gets protects nobody; only the renderer itself may decide for that. */
static enum reason check_nonce(const struct judging *j)
{
    const struct fields *fields = &j->response->fields;
    for (size_t i = 0; is_invented(j) && i < fields->count; i++) {
        const struct field *field = &fields->at[i];
        bool is_csp = field->id == FIELD_CONTENT_SECURITY_POLICY ||
                      slice_equal(field->name, SLICE("content-security-policy-report-only"));
        if (is_csp && contains_nonce(field->value))
            return REASON_NONCE;
    }
    return REASON_NONE;
}

static enum reason check_tags(const struct judging *j)
{
    return j->has_too_many_tags ? REASON_TOO_LARGE : REASON_NONE;
}

static enum reason (*const checks[])(const struct judging *) = {
    check_request,    check_status,        check_vary, check_set_cookie, check_authorization,
    check_directives, check_self_redirect, check_cors, check_coding,     check_stream,
    check_freshness,  check_nonce,         check_tags,
};

static enum reason first_objection(const struct judging *j)
{
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        enum reason reason = checks[i](j);
        if (reason != REASON_NONE)
            return reason;
    }
    return REASON_NONE;
}

/* --- the verdict --- */

/* Only for eviction, which knows no routes; who may be given it is decided by the present policy.
 */
static uint32_t keep_old_of(const struct judging *j)
{
    int64_t seconds = j->response->status == 200 ? j->route->keep_old.ms / 1000 : 0;
    return seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX;
}

static void read_facts(struct judging *j, struct exchange_times times, uint32_t jitter_seed,
                       struct facts *facts)
{
    const struct fields *fields = &j->response->fields;
    directives_of(fields, j->route->targeted, j->request->arena, &j->directives);
    facts_of_response(j->response->status, fields, &j->directives, times, jitter_seed, facts);
    facts->flags |= j->decision->is_navigation ? FACT_NAVIGATION : 0;
    facts->flags |= j->decision->is_sealed ? FACT_SEALED : 0;
    facts->flags |= announces_no_body(j->response) ? FACT_NO_BODY : 0;
    facts->keep_old_s = keep_old_of(j);
    j->content_type = fields_value(fields, FIELD_CONTENT_TYPE);
    j->lifetime = facts_lifetime_from(facts, j->route, j->content_type, &j->source);
}

static void read_vary(const struct judging *j, struct verdict *verdict)
{
    struct vary_read vary;
    vary_of_response(j->policy, &j->response->fields, j->request->arena, &vary);
    verdict->vary = vary.names;
    verdict->has_vary_star = vary.has_star;
    verdict->vary_overflows = vary.overflows;
}

/* Others may have it if it could be served to a later request just now (semantics 3.1). */
static bool is_shareable(const struct judging *j, struct instant now)
{
    enum freshness freshness =
        facts_freshness(&j->verdict->facts, j->route, false, j->content_type, false, false, now);
    return freshness == FRESH || freshness == STALE_WHILE_REVALIDATE;
}

void rules_response(const struct policy *policy, const struct request *request,
                    const struct decision *decision, const struct forward *forward,
                    const struct response *response, struct exchange_times times,
                    uint32_t jitter_seed, struct verdict *verdict)
{
    struct judging j = {.policy = policy,
                        .request = request,
                        .decision = decision,
                        .forward = forward,
                        .response = response,
                        .route = decision->route,
                        .verdict = verdict};
    *verdict = (struct verdict){0};
    read_facts(&j, times, jitter_seed, &verdict->facts);
    read_vary(&j, verdict);
    j.has_too_many_tags =
        !rules_tags(policy, request, decision, &response->fields, request->arena, &verdict->tags);
    verdict->reason = first_objection(&j);
    verdict->may_store = verdict->reason == REASON_NONE;
    verdict->is_shareable = verdict->may_store && is_shareable(&j, times.received);
}

bool status_is_failure(unsigned status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}

bool rules_replaces_stored(const struct verdict *verdict, unsigned status)
{
    bool is_empty = status == 200 && verdict->facts.flags & FACT_NO_BODY;
    return !is_empty && status != 204 && status != 206 && !is_transient(status);
}

enum reason rules_body(const struct decision *decision, unsigned status, slice body)
{
    const struct route *route = decision->route;
    if (route->store_statuses == STATUSES_PAGES &&
        is_navigation_without_body(decision, status, body.len == 0))
        return REASON_STATUS;
    for (size_t i = 0; i < route->reject_body_count; i++)
        if (regex_matches(route->reject_body[i], body))
            return REASON_POLICY;
    return REASON_NONE;
}
