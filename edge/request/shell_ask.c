/* See shell_ask.h. Freed when the asker has left and the call is over. */
#include "edge/request/shell_ask.h"

#include "edge/request/copies.h"
#include "edge/request/fetch.h"
#include "policy/media_type.h"
#include "policy/response.h"

#include "base/log.h"
#include "base/must.h"
#include "edge/admin/notes.h"

#include <stdlib.h>

enum { BODY_MAX_BYTES = 4 << 20, BODY_FIRST_BYTES = 16 << 10, WARN_INTERVAL_MS = 60000 };

struct shell_ask {
    struct server *server;
    struct loop *loop;
    struct loop_message *wake; /* NULL: the asker has left */
    struct arena arena;
    struct request request;
    struct decision decision;
    struct forward forward;
    struct call *call; /* NULL: over */
    struct loop_timer timer;
    enum shell_ask_state state;
    struct fields fields;
    char *bytes; /* malloc */
    size_t used, room;
    struct blob *body;
};

/* --- life --- */

static void free_if_over(struct shell_ask *ask)
{
    if (ask->wake || ask->call)
        return;
    blob_unref(&ask->body);
    arena_fini(&ask->arena);
    free(ask->bytes);
    free(ask);
}

static void settle(struct shell_ask *ask, enum shell_ask_state state)
{
    if (ask->state != SHELL_ASK_WAITS)
        return;
    ask->state = state;
    loop_timer_stop(ask->loop, &ask->timer);
    if (ask->wake)
        loop_post(ask->loop, ask->wake);
}

static void end_call(struct shell_ask *ask)
{
    call_free(ask->call);
    ask->call = NULL;
    atomic_fetch_sub(&ask->server->shell_asks, 1);
}

static void timed_out(struct loop_timer *timer)
{
    struct shell_ask *ask = container_of(timer, struct shell_ask, timer);
    if (call_timing(ask->call).sent.mono.ms == 0) /* it has not even got a connection */
        end_call(ask);
    settle(ask, SHELL_ASK_FAILED);
}

/* --- the answer --- */

/* What tells a browser how to treat the document; all else of the answer is about a page. */
static bool is_about_document(slice name)
{
    static const char *const names[] = {
        "content-type",
        "content-language",
        "content-security-policy",
        "content-security-policy-report-only",
        "cross-origin-embedder-policy",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "link",
        "permissions-policy",
        "referrer-policy",
        "strict-transport-security",
        "x-content-type-options",
        "x-frame-options",
        "x-robots-tag",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (slice_equal(name, slice_of_string(names[i])))
            return true;
    return false;
}

/* Could a browser be given this for whatever page it asked for? */
static bool is_shell(const struct response *response, size_t length)
{
    slice type = media_type_of(fields_value(&response->fields, FIELD_CONTENT_TYPE));
    return response->status == 200 && slice_equal_nocase(type, SLICE("text/html")) &&
           coding_of_response(&response->fields) == CODING_IDENTITY &&
           (length == SIZE_MAX || length <= BODY_MAX_BYTES);
}

/* A mistake in the policy would show nowhere else. */
static void warn(struct shell_ask *ask, const struct response *response)
{
    int64_t now = loop_now(ask->loop).mono.ms, last = atomic_load(&ask->server->shell_warned_ms);
    if ((last && now - last < WARN_INTERVAL_MS) ||
        !atomic_compare_exchange_strong(&ask->server->shell_warned_ms, &last, now))
        return;
    log_warn("the shell's origin gave what is no shell",
             {"origin", ask->server->policy->shell_origin_name, 0},
             {"status", LOG_NUMBER(response->status)},
             {"type", fields_value(&response->fields, FIELD_CONTENT_TYPE), 0},
             {"path", ask->request.path, 0});
}

/* Of no use: the rest is read for the worker's sake alone. */
static void refuse(struct shell_ask *ask)
{
    end_call(ask);
    settle(ask, SHELL_ASK_FAILED);
    free_if_over(ask);
}

static void on_head(struct call *call, void *owner, const struct response *response, size_t length)
{
    struct shell_ask *ask = owner;
    (void)call;
    if (!is_shell(response, length)) {
        warn(ask, response);
        refuse(ask);
        return;
    }
    struct fields all = response->fields, kept;
    fields_init(&kept, &ask->arena);
    for (size_t i = 0; i < all.count; i++)
        if (is_about_document(all.at[i].name))
            fields_push(&kept, &all.at[i]);
    fields_copy(&ask->fields, &kept); /* the call's own go with it */
}

static void on_body(struct call *call, void *owner, slice bytes)
{
    struct shell_ask *ask = owner;
    (void)call;
    if (!ask->wake || ask->state != SHELL_ASK_WAITS)
        return; /* nobody reads it */
    if (bytes.len > BODY_MAX_BYTES - ask->used) {
        refuse(ask);
        return;
    }
    while (ask->room - ask->used < bytes.len) {
        ask->room = ask->room ? ask->room * 2 : BODY_FIRST_BYTES;
        ask->bytes = realloc(ask->bytes, ask->room);
        MUST(ask->bytes);
    }
    if (bytes.len)
        memcpy(ask->bytes + ask->used, bytes.ptr, bytes.len);
    ask->used += bytes.len;
}

static void on_end(struct call *call, void *owner, bool is_clean)
{
    struct shell_ask *ask = owner;
    (void)call;
    end_call(ask);
    if (is_clean && ask->used > 0 && ask->state == SHELL_ASK_WAITS) {
        ask->body = blob_new(ask->used);
        memcpy(ask->body->bytes, ask->bytes, ask->used);
    }
    settle(ask, ask->body ? SHELL_ASK_GIVEN : SHELL_ASK_FAILED);
    free_if_over(ask);
}

static void on_fail(struct call *call, void *owner, enum call_failure failure, slice detail)
{
    struct shell_ask *ask = owner;
    if (!call_was_refused(failure))
        notes_upstream_error(ask->server, &ask->request, call_worker_name(call), failure, detail);
    refuse(ask);
}

static const struct call_events events = {
    .head = on_head, .body = on_body, .end = on_end, .fail = on_fail};

/* --- asking --- */

static bool take_slot(struct server *server)
{
    if (atomic_fetch_add(&server->shell_asks, 1) < server->policy->shell_slots)
        return true;
    atomic_fetch_sub(&server->shell_asks, 1);
    return false;
}

/* The head of a sealed fill of nobody's. */
static void make_head(struct shell_ask *ask)
{
    static const struct field_names no_names;
    fields_remove_id(&ask->request.fields, FIELD_COOKIE);
    fields_remove_id(&ask->request.fields, FIELD_AUTHORIZATION);
    ask->decision.origin = &ask->server->policy->shell_origin;
    ask->decision.is_sealed = true;
    forward_fill(ask->server->policy, &ask->request, &ask->decision, &no_names, true,
                 &ask->forward);
}

struct shell_ask *shell_ask_start(struct server *server, struct loop *loop,
                                  const struct request *request, const struct decision *decision,
                                  struct loop_message *wake)
{
    if (server->policy->shell_origin_name.len == 0 || !take_slot(server))
        return NULL;
    struct shell_ask *ask = mem_alloc(sizeof(*ask));
    ask->server = server;
    ask->loop = loop;
    ask->wake = wake;
    ask->timer.fire = timed_out;
    arena_init(&ask->arena);
    fields_init(&ask->fields, &ask->arena);
    request_copy(&ask->arena, request, &ask->request);
    decision_copy(&ask->arena, decision, &ask->decision);
    make_head(ask);
    const struct call_request what = {
        .origin = ask->decision.origin,
        .forward = &ask->forward,
        .is_asset = true, /* of a connection only */
        .rank = call_rank(server->policy, decision->class_config),
        .host_header = origin_host_header(ask->decision.origin, ask->request.host)};
    ask->call = call_new(server->origins, loop, &what, &events, ask);
    loop_timer_set(loop, &ask->timer, server->policy->shell_timeout);
    return ask;
}

/* --- the asker --- */

enum shell_ask_state shell_ask_state(const struct shell_ask *ask)
{
    return ask->state;
}

struct blob *shell_ask_body(const struct shell_ask *ask, const struct fields **fields)
{
    *fields = &ask->fields;
    return blob_ref(ask->body);
}

void shell_ask_leave(struct shell_ask **ask)
{
    struct shell_ask *left = *ask;
    *ask = NULL;
    if (!left)
        return;
    left->wake = NULL;
    loop_timer_stop(left->loop, &left->timer);
    free_if_over(left);
}
