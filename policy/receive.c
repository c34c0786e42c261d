/*
 * The first look at a request: refuse it, send it elsewhere, pass it or look it up. Whatever leaves
 * a doubt about whose page it is, or which, is passed: that costs a render, the other mistake costs
 * somebody's privacy.
 */
#include "policy/host.h"
#include "policy/identity.h"
#include "policy/key_text.h"
#include "policy/query.h"
#include "policy/representation.h"
#include "policy/route.h"
#include "policy/rules.h"
#include "policy/url.h"
#include "policy/via.h"
#include "policy/weighted.h"

struct receiving {
    const struct policy *policy;
    const struct request *request;
    struct decision *decision;
    bool paths_agree; /* semantics 1.3 */
};

static bool is_get_or_head(const struct request *request)
{
    return request->method == METHOD_GET || request->method == METHOD_HEAD;
}

static bool reject(struct decision *decision, unsigned status, slice detail)
{
    decision->action = ACTION_REJECT;
    decision->reason = REASON_POLICY;
    decision->status = status;
    decision->detail = detail;
    return true;
}

/* --- route (semantics 1.3) --- */

static void find_route(struct receiving *r, const struct routing_path *path)
{
    struct captures captures, ignored;
    struct decision *decision = r->decision;
    const struct route *route = route_find(r->policy, r->request->path, false, &captures);
    decision->route = route;
    decision->tags = route_tags(r->request->arena, route, &captures);
    r->paths_agree = path->is_stable &&
                     route == route_find(r->policy, path->decoded, true, &ignored) &&
                     route == route_find(r->policy, path->cut, true, &ignored);
    query_apply(r->request->arena, route, r->request->query, r->request->has_query,
                &decision->query, &decision->has_query);
}

static void make_url_text(const struct request *request, struct decision *decision)
{
    struct text key = {.arena = request->arena};
    key_text_add(&key, KEY_SCHEME, request->scheme);
    key_text_add(&key, KEY_HOST, request->host);
    key_text_add(&key, KEY_PATH, request->path);
    if (decision->has_query)
        key_text_add(&key, KEY_QUERY, decision->query);
    key_text_add(&key, KEY_METHOD, SLICE("G"));
    decision->url_text = text_view(&key);
}

/* --- class --- */

static bool holds_nocase(slice text, slice part)
{
    for (size_t i = 0; i + part.len <= text.len; i++)
        if (slice_starts_with_nocase(slice_from(text, i), part))
            return true;
    return false;
}

static bool user_agent_is_in(const struct slices *parts, slice user_agent)
{
    for (size_t i = 0; i < parts->count; i++)
        if (holds_nocase(user_agent, parts->at[i]))
            return true;
    return parts->count == 0;
}

static bool address_is_in(const struct ip_ranges *ranges, const struct ip_address *address)
{
    for (size_t i = 0; i < ranges->count; i++)
        if (ip_range_contains(&ranges->at[i], address))
            return true;
    return false;
}

static const struct class_config *find_class(const struct policy *policy,
                                             const struct request *request)
{
    slice user_agent = fields_value(&request->fields, FIELD_USER_AGENT);
    for (size_t i = 0; i < policy->class_count; i++) {
        const struct class_config *class = &policy->classes[i];
        if (user_agent_is_in(&class->user_agent, user_agent) &&
            (!class->has_ip_ranges || address_is_in(&class->ip_ranges, &request->client)))
            return class;
    }
    return policy->class_count ? &policy->classes[policy->class_count - 1] : NULL;
}

/* --- navigation and shell (semantics 4.5, 8.2) --- */

/* "/a/b.css" → true, "/a/b.html", "/a/b", "/.hidden" → false. */
static bool has_other_extension(slice path)
{
    size_t start = path.len;
    while (start && path.ptr[start - 1] != '/')
        start--;
    slice segment = slice_from(path, start);
    size_t dot = segment.len;
    while (dot && segment.ptr[dot - 1] != '.')
        dot--;
    return dot > 1 && !slice_equal_nocase(slice_from(segment, dot), SLICE("html"));
}

static bool asks_for_document(const struct request *request)
{
    const struct field *dest = fields_find_id(&request->fields, FIELD_SEC_FETCH_DEST);
    slice accept;
    if (dest) {
        slice value = slice_trim(dest->value);
        return slice_equal(value, SLICE("document")) || slice_equal(value, SLICE("iframe"));
    }
    return fields_join(&request->fields, field_name_of(FIELD_ACCEPT), request->arena, &accept) &&
           weighted_accepts(accept, SLICE("text/html"));
}

static bool is_navigation(const struct request *request)
{
    return is_get_or_head(request) && asks_for_document(request) &&
           !representation_is_asked(request) && !has_other_extension(request->path);
}

static bool may_give_shell(const struct policy *policy, const struct request *request,
                           const struct decision *decision)
{
    bool is_behind_cache = fields_find_id(&request->fields, FIELD_VIA) ||
                           fields_find_id(&request->fields, FIELD_CDN_LOOP);
    return decision->is_navigation && policy_has_shell(policy) &&
           (!is_behind_cache || policy->shell_behind_cdn) &&
           !(decision->class_config && decision->class_config->never_shell);
}

/* --- refusals and redirects --- */

static bool is_refused(const struct receiving *r, const struct routing_path *path)
{
    if (path->has_control || url_has_control_byte(r->request->target))
        return reject(r->decision, 400, SLICE("control characters in the request target"));
    if (!host_is_allowed(r->policy, r->request->host))
        return reject(r->decision, 421, SLICE("this host is not served here"));
    if (via_passages(&r->request->fields) > VIA_PASSAGES_MAX)
        return reject(r->decision, 508,
                      SLICE("the request goes in circles: an origin leads back to varve"));
    return false;
}

/* Port of the first TLS listener; empty without one. */
static slice tls_port(const struct policy *policy)
{
    for (size_t i = 0; i < policy->listen_count; i++) {
        slice address = policy->listen[i].address;
        if (policy->listen[i].tls_count == 0 || slice_starts_with(address, SLICE("unix:")))
            continue;
        size_t colon = address.len;
        while (colon && address.ptr[colon - 1] != ':')
            colon--;
        return slice_from(address, colon);
    }
    return SLICE_NONE;
}

/* A client that names no port came to port 80, and will find https at 443 whatever port our
 * listener has behind some forwarding. One that names a port gets that of our listener. */
static slice https_host(const struct policy *policy, const struct request *request)
{
    slice host = host_without_port(request->host), port = tls_port(policy);
    if (host.len == request->host.len || port.len == 0 || slice_equal(port, SLICE("443")))
        return host;
    return arena_concat(request->arena, (slice[]){host, SLICE(":"), port}, 3);
}

static bool is_redirected(const struct receiving *r)
{
    const struct request *request = r->request;
    if (!r->policy->redirect_http || !slice_equal(request->scheme, SLICE("http")) ||
        request->method == METHOD_PURGE || !slice_starts_with(request->target, SLICE("/")))
        return false;
    r->decision->action = ACTION_REDIRECT;
    r->decision->status = 308;
    r->decision->location = arena_concat(
        request->arena,
        (slice[]){SLICE("https://"), https_host(r->policy, request), request->target}, 3);
    return true;
}

/* --- the decision --- */

/* Freshness that varve invents needs a sealed fill; a lifetime for a status is such freshness too
 * (semantics 2.1). */
static bool is_sealed(const struct policy *policy, const struct route *route)
{
    return policy->seal == SEAL_STRICT || duration_is_given(route->ttl.value) ||
           route->status_ttl_count > 0;
}

static void find_identity(struct receiving *r)
{
    struct decision *decision = r->decision;
    const struct route *route = decision->route;
    bool is_identified = identity_find(r->policy, route, r->request, &decision->identified_by);
    decision->is_logged_in = is_identified && route->when_logged_in != LOGGED_IN_CACHE;
    decision->origin = route->origin;
    if (decision->is_logged_in && route->when_logged_in == LOGGED_IN_ORIGIN &&
        route->logged_in_origin)
        decision->origin = route->logged_in_origin;
}

static bool accepts_events(const struct request *request)
{
    slice accept;
    return fields_join(&request->fields, field_name_of(FIELD_ACCEPT), request->arena, &accept) &&
           weighted_accepts(accept, SLICE("text/event-stream"));
}

/* Why nobody else may have what this request gets, whatever its method. */
static enum reason private_reason(const struct receiving *r)
{
    if (!r->paths_agree)
        return REASON_PATH;
    if (!r->decision->route->is_cacheable)
        return REASON_ROUTE;
    if (r->decision->is_logged_in)
        return REASON_LOGGED_IN;
    return r->request->is_upgrade || accepts_events(r->request) ? REASON_POLICY : REASON_NONE;
}

static enum reason pass_reason(const struct receiving *r)
{
    if (!is_get_or_head(r->request))
        return REASON_METHOD;
    enum reason reason = private_reason(r);
    if (reason == REASON_NONE && r->request->body.len)
        return REASON_POLICY; /* a body would be asked for, but not keyed */
    return reason;
}

/* What a sealed route stores was asked for with nothing of the client's; a POST is not
 * (semantics 2.1). */
static bool may_store_post(const struct receiving *r)
{
    return r->request->method == METHOD_POST && r->decision->route->stores_post &&
           !r->decision->is_sealed && private_reason(r) == REASON_NONE;
}

static void choose_action(const struct receiving *r)
{
    struct decision *decision = r->decision;
    decision->reason = pass_reason(r);
    decision->action = decision->reason == REASON_NONE ? ACTION_LOOKUP : ACTION_PASS;
    decision->may_store_post = may_store_post(r);
    if (decision->is_logged_in && decision->route->when_logged_in == LOGGED_IN_SHELL &&
        decision->may_give_shell && r->paths_agree) {
        decision->action = ACTION_SHELL;
        decision->reason = REASON_LOGGED_IN;
    }
}

static slice *copy_build(struct arena *arena, slice build)
{
    slice *copy = arena_new(arena, slice);
    *copy = arena_copy(arena, build);
    return copy;
}

void rules_receive(const struct policy *policy, const struct request *request, slice origin_build,
                   struct decision *decision)
{
    struct receiving r = {.policy = policy, .request = request, .decision = decision};
    struct routing_path path;
    *decision = (struct decision){.reason = REASON_NONE};
    url_decode_path(request->arena, request->path, &path);
    find_route(&r, &path);
    find_identity(&r);
    make_url_text(request, decision);
    decision->build = origin_build.len ? copy_build(request->arena, origin_build) : NULL;
    decision->class_config = find_class(policy, request);
    decision->is_sealed = is_sealed(policy, decision->route);
    decision->is_navigation = is_navigation(request);
    decision->may_give_shell = may_give_shell(policy, request, decision);
    if (!is_refused(&r, &path) && !is_redirected(&r))
        choose_action(&r);
}
