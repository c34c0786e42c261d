/*
 * Answers of varve's own (semantics 10.1): errors as HTML for navigations, else
 * application/problem+json (RFC 9457), with the reason and the request id, never stored; redirects
 * to https; the shell.
 */
#include "edge/request/exchange.h"
#include "edge/request/shell.h"

#include "base/must.h"
#include "edge/request/error_pages.h"

#include <jansson.h>
#include <stdlib.h>

/* What is said with a 405 (RFC 9110 §15.5.6): methods that go on to the origin, as nameless ones
 * do.
 */
static const slice ALLOWED = {"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", 44};

static slice status_text(unsigned status)
{
    switch (status) {
    case 308:
        return SLICE("Permanent Redirect");
    case 400:
        return SLICE("Bad Request");
    case 404:
        return SLICE("Not Found");
    case 405:
        return SLICE("Method Not Allowed");
    case 421:
        return SLICE("Misdirected Request");
    case 502:
        return SLICE("Bad Gateway");
    case 503:
        return SLICE("Service Unavailable");
    case 504:
        return SLICE("Gateway Timeout");
    case 507:
        return SLICE("Insufficient Storage");
    case 508:
        return SLICE("Loop Detected");
    default:
        return status < 400 ? SLICE("OK") : SLICE("Error");
    }
}

/* --- errors --- */

static slice problem_json(struct exchange *ex, unsigned status, slice detail)
{
    slice title = status_text(status), reason = reason_name(ex->reason);
    json_t *problem =
        json_pack("{s:s%, s:i, s:s%, s:s%, s:s%}", "title", title.ptr, title.len, "status",
                  (int)status, "detail", detail.ptr, detail.len, "reason", reason.ptr, reason.len,
                  "request_id", ex->request->id.ptr, ex->request->id.len);
    MUST(problem);
    char *text = json_dumps(problem, JSON_COMPACT);
    slice copy = arena_copy(&ex->arena, slice_of_string(text));
    free(text);
    json_decref(problem);
    return copy;
}

/* To whoever sees the page: only what passes is worth another try. */
static const char *error_sentence(unsigned status)
{
    switch (status) {
    case 400:
        return "The address of this page is not valid.";
    case 421:
        return "This site is not served here.";
    case 502:
    case 503:
    case 504:
        return "This page cannot be shown at the moment. Please try again soon.";
    case 508:
        return "This request goes in circles. Only those who run this site can mend that.";
    default:
        return "This request cannot be answered.";
    }
}

static slice error_html(struct exchange *ex, unsigned status)
{
    slice title = status_text(status);
    return arena_printf(
        &ex->arena,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width\"><title>%u %" SLICE_FMT
        "</title></head>\n"
        "<body><h1>%" SLICE_FMT "</h1><p>%s</p>"
        "<p><small>%u &middot; request %" SLICE_FMT "</small></p></body></html>\n",
        status, SLICE_ARG(title), SLICE_ARG(title), error_sentence(status), status,
        SLICE_ARG(ex->request->id));
}

void answer_error(struct exchange *ex, unsigned status, enum outcome outcome, enum reason reason,
                  slice detail)
{
    ex->outcome = outcome;
    ex->reason = reason;
    bool is_page = ex->decision.is_navigation;
    struct fields fields;
    fields_init(&fields, &ex->arena);
    ex->delivered_blob = is_page ? error_page(ex->server->error_pages, status) : NULL;
    slice body = ex->delivered_blob ? slice_of(ex->delivered_blob->bytes, ex->delivered_blob->len)
                 : is_page          ? error_html(ex, status)
                                    : problem_json(ex, status, detail);
    fields_add_id(&fields, FIELD_CONTENT_TYPE,
                  is_page ? SLICE("text/html; charset=utf-8") : SLICE("application/problem+json"));
    fields_add_id(&fields, FIELD_CACHE_CONTROL, SLICE("no-store"));
    fields_add_id(&fields, FIELD_X_REQUEST_ID, ex->request->id);
    if (status == 405)
        fields_add_id(&fields, FIELD_ALLOW, ALLOWED);
    if (status == 503)
        fields_add_id(&fields, FIELD_RETRY_AFTER,
                      arena_decimal(&ex->arena, front_retry_after(ex->started.wall)));
    add_own_status(ex, &fields);
    struct sink_head head = {
        .status = status, .reason = status_text(status), .fields = &fields, .length = body.len};
    send_whole(ex, &head, body);
}

/* A 308 may be kept by heuristic (RFC 9110 §15.4.9). A cache in front that keys without the scheme
 * would give it to those who come by https: a loop. */
void answer_redirect(struct exchange *ex)
{
    ex->outcome = OUTCOME_PASS;
    ex->reason = REASON_ROUTE;
    struct fields fields;
    fields_init(&fields, &ex->arena);
    fields_add_id(&fields, FIELD_LOCATION, ex->decision.location);
    fields_add_id(&fields, FIELD_CACHE_CONTROL, SLICE("no-store"));
    add_own_status(ex, &fields);
    struct sink_head head = {
        .status = 308, .reason = status_text(308), .fields = &fields, .length = 0};
    send_whole(ex, &head, SLICE_NONE);
}

/* What a TRACE would show is the request as it came, cookies and all: that is told to nobody
 * (RFC 9110 §9.3.8). */
void answer_last_recipient(struct exchange *ex)
{
    if (ex->request->method == METHOD_TRACE) {
        answer_error(ex, 405, OUTCOME_ERROR, REASON_METHOD, SLICE("TRACE is not answered here"));
        return;
    }
    ex->outcome = OUTCOME_PASS;
    ex->reason = REASON_METHOD;
    struct fields fields;
    fields_init(&fields, &ex->arena);
    fields_add_id(&fields, FIELD_ALLOW, ALLOWED);
    fields_add_id(&fields, FIELD_CACHE_CONTROL, SLICE("no-store"));
    add_own_status(ex, &fields);
    struct sink_head head = {
        .status = 204, .reason = SLICE("No Content"), .fields = &fields, .length = SIZE_MAX};
    send_whole(ex, &head, SLICE_NONE);
}

/* --- the shell (semantics 8.2): the page's place, but nothing that could be taken for the page ---
 */

static void send_shell(struct exchange *ex, enum reason reason, struct blob *body,
                       struct fields *fields)
{
    ex->outcome = OUTCOME_SHELL;
    ex->reason = reason;
    ex->delivered_blob = body;
    fields_add_id(fields, FIELD_CACHE_CONTROL, SLICE("no-store"));
    add_own_status(ex, fields);
    struct sink_head head = {
        .status = 200, .reason = SLICE("OK"), .fields = fields, .length = body->len};
    send_whole(ex, &head, slice_of(body->bytes, body->len));
}

void answer_shell_given(struct exchange *ex)
{
    struct fields fields;
    const struct fields *given;
    struct blob *body = shell_ask_body(ex->shell_ask, &given);
    fields_init(&fields, &ex->arena);
    for (size_t i = 0; i < given->count; i++)
        fields_push(&fields, &given->at[i]);
    send_shell(ex, ex->shell_reason, body, &fields);
}

static bool send_shell_file(struct exchange *ex, enum reason reason)
{
    struct fields fields;
    if (!ex->server->shell)
        return false;
    fields_init(&fields, &ex->arena);
    fields_add_id(&fields, FIELD_CONTENT_TYPE, SLICE("text/html; charset=utf-8"));
    send_shell(ex, reason, shell_body(ex->server->shell), &fields);
    return true;
}

/* False: nobody is to be asked, or all slots are taken. */
static bool ask_for_shell(struct exchange *ex, enum reason reason)
{
    if (!ex->shell_ask && !ex->is_shell_refused)
        ex->shell_ask =
            shell_ask_start(ex->server, ex->loop, ex->request, &ex->decision, &ex->woken);
    if (!ex->shell_ask || ex->is_shell_refused)
        return false;
    ex->shell_reason = reason;
    ex->shell_instead_of = ex->step;
    return true;
}

enum step answer_shell(struct exchange *ex, enum reason reason)
{
    if (!ex->decision.may_give_shell)
        return STEP_NONE;
    if (ask_for_shell(ex, reason))
        return STEP_SHELL;
    return send_shell_file(ex, reason) ? STEP_DONE : STEP_NONE;
}
