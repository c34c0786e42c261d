/*
 * DECIDE: the rulebook says what becomes of a request (semantics 1, 2, 8); who needs no page of the
 * site, or may not have one, is answered at once.
 */
#include "edge/request/purge_method.h"
#include "edge/request/steps.h"

#include "base/log.h"
#include "policy/max_forwards.h"

/* A host that gave way takes its objects along, or they would fill the store unseen
 * (semantics 1.5). */
static void purge_host(struct exchange *ex, const char *host)
{
    struct purge_order order = {.kind = PURGE_HOST, .host = slice_of_string(host)};
    uint64_t stamp;
    if (purge_add(ex->server->purges, &order, loop_now(ex->loop).wall, &stamp) != 0)
        log_warn("purge of a host that gave way was not written", {"host", order.host, 0});
}

/* Without `hosts`, whoever can reach us can name any: only so many are stored at a time. */
static bool is_host_admitted(struct exchange *ex)
{
    char gone[ADMITTED_HOST_BYTES];
    if (ex->server->policy->hosts.count > 0)
        return true;
    enum host_admission admission =
        admission_host(ex->server->admission, ex->request->host, loop_now(ex->loop).mono, gone);
    if (admission == HOST_REPLACES)
        purge_host(ex, gone);
    return admission != HOST_REFUSED;
}

enum step step_decide(struct exchange *ex)
{
    struct server *server = ex->server;
    rules_receive(server->policy, ex->request, SLICE_NONE, &ex->decision);
    client_wish_of(ex->request, ex->decision.route, &ex->wish);
    ex->build = origin_build(server->origins, ex->decision.origin);
    ex->decision.build = &ex->build;
    if (ex->request->method == METHOD_PURGE && ex->decision.action != ACTION_REJECT) {
        answer_purge_method(ex);
        return STEP_DONE;
    }
    if (max_forwards_ends_here(ex->request) && ex->decision.action == ACTION_PASS) {
        answer_last_recipient(ex);
        return STEP_DONE;
    }
    switch (ex->decision.action) {
    case ACTION_REJECT:
        answer_error(ex, ex->decision.status, OUTCOME_ERROR, ex->decision.reason,
                     ex->decision.detail);
        return STEP_DONE;
    case ACTION_REDIRECT:
        answer_redirect(ex);
        return STEP_DONE;
    case ACTION_SHELL: {
        enum step shell = answer_shell(ex, REASON_LOGGED_IN);
        if (shell != STEP_NONE)
            return shell;
        ex->decision.action = ACTION_PASS;
        break;
    }
    case ACTION_LOOKUP:
        if (!is_host_admitted(ex))
            return pass_instead(ex, REASON_POLICY);
        ex->url_key = key_of(ex->decision.url_text);
        return STEP_LOOKUP;
    case ACTION_PASS:
        if (!ex->decision.may_store_post)
            break;
        ex->decision.may_store_post = is_host_admitted(ex);
        ex->url_key = key_of(ex->decision.url_text);
        return ex->decision.may_store_post ? STEP_LOOKUP : STEP_FETCH;
    }
    return STEP_FETCH;
}
