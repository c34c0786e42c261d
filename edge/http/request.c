/*
 * From a request of libh2o to a struct request (policy/message.h), which the handler gets. HTTP/1
 * has passed the read gate, HTTP/2 passes h2_check(). Handlers of HTTP/2 requests start from a zero
 * timeout: a stream that is reset in the same read never reaches a renderer.
 */
#include "base/must.h"
#include "edge/http/front_internal.h"
#include "policy/host.h"
#include "policy/proxy.h"

enum { ID_MAX_BYTES = 64 };

/* One request; a shared allocation of libh2o's request pool, so that it hears of its end. */
struct client_request {
    struct arena arena;
    struct request request;
    h2o_req_t *h2o_req;
    struct client_connection *c;
    h2o_timeout_entry_t start;
    size_t entity_bytes; /* HTTP/2: counted by the connection */
};

static slice slice_of_iovec(h2o_iovec_t v)
{
    return v.len ? slice_of(v.base, v.len) : SLICE_NONE;
}

static bool is_h2(const h2o_req_t *req)
{
    return req->version >= 0x200;
}

/* --- the end of a request --- */

static void on_dispose(void *data)
{
    struct client_request *r = data;
    h2o_timeout_unlink(&r->start);
    if (!is_h2(r->h2o_req)) {
        r->c->h2o_req = NULL;
        r->c->left = NULL;
        gate_request_ended(r->c, !r->h2o_req->http1_is_persistent, r->h2o_req->res.status == 101);
    } else {
        h2_request_ends(r->c, r->entity_bytes, r->h2o_req->bytes_sent);
    }
    arena_fini(&r->arena);
}

/* --- fields --- */

static slice name_of(const h2o_header_t *header)
{
    return slice_of(header->name->base, header->name->len);
}

static bool is_cookie(const h2o_header_t *header)
{
    return slice_equal(name_of(header), SLICE("cookie"));
}

/* RFC 9113 §8.2.3: the lines into which HTTP/2 splits Cookie are one value for everybody behind. */
static slice join_cookies(struct arena *arena, const h2o_req_t *req)
{
    size_t count = 0;
    slice *parts = arena_array(arena, slice, 2 * req->headers.size);
    for (size_t i = 0; i < req->headers.size; i++) {
        if (!is_cookie(&req->headers.entries[i]))
            continue;
        if (count)
            parts[count++] = SLICE("; ");
        parts[count++] = slice_trim(slice_of_iovec(req->headers.entries[i].value));
    }
    return arena_concat(arena, parts, count);
}

/* Upgrade to h2c is ignored: forwarded, it would open a way past every check here. */
static bool asks_for_upgrade(const h2o_req_t *req)
{
    slice rest = slice_of_iovec(req->upgrade), member;
    if (is_h2(req) || req->version < 0x101 || rest.len == 0)
        return false;
    while (slice_next_member(&rest, &member))
        if (slice_starts_with_nocase(member, SLICE("h2")))
            return false;
    return true;
}

static void copy_fields(struct client_request *r)
{
    const h2o_req_t *req = r->h2o_req;
    struct fields *fields = &r->request.fields;
    for (size_t i = 0; i < req->headers.size; i++) {
        slice name = name_of(&req->headers.entries[i]);
        slice value = slice_trim(slice_of_iovec(req->headers.entries[i].value));
        enum field_id id = field_id_of(name);
        if (id == FIELD_HOST || slice_equal(name, SLICE("expect")))
            continue; /* an expectation has been met: the body is here */
        if (id == FIELD_COOKIE && is_h2(req)) {
            if (fields_find_id(fields, FIELD_COOKIE))
                continue;
            value = join_cookies(&r->arena, req);
        }
        fields_add(fields, id == FIELD_OTHER ? name : field_name_of(id), value);
    }
    if (asks_for_upgrade(req))
        fields_add_id(fields, FIELD_UPGRADE, slice_of_iovec(req->upgrade));
}

/* --- building --- */

static bool id_is_usable(slice id)
{
    if (id.len == 0 || id.len > ID_MAX_BYTES)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = ascii_lower(id.ptr[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

static void choose_id(struct client_request *r)
{
    slice given = fields_value(&r->request.fields, FIELD_X_REQUEST_ID);
    if (r->request.peer_is_trusted && id_is_usable(given)) {
        r->request.id = given;
        return;
    }
    char *made = arena_alloc(&r->arena, REQUEST_ID_BYTES);
    front_request_id(r->c->owner, made);
    r->request.id = slice_of(made, REQUEST_ID_BYTES);
}

static void split_target(struct request *request)
{
    size_t mark = slice_find(request->target, '?', 0);
    request->path = slice_until(request->target, mark);
    request->has_query = mark < request->target.len;
    request->query = slice_from(request->target, mark + 1);
}

/* Semantics 1.7: PROXY v2 says it best, then a trusted peer's fields, then the listener. */
static void resolve_client(struct client_request *r)
{
    const struct client_connection *c = r->c;
    struct request *request = &r->request;
    bool is_tls = c->proxy_says_tls ? c->proxy_is_tls : c->is_tls;
    slice scheme = is_tls ? SLICE("https") : SLICE("http");
    request->peer = c->peer;
    request->scheme = scheme;
    proxy_resolve(c->owner->front->policy, &request->fields, request);
    if (c->proxy_says_tls)
        request->scheme = scheme;
}

static void describe_message(struct client_request *r)
{
    const h2o_req_t *req = r->h2o_req;
    struct request *request = &r->request;
    request->arena = &r->arena;
    request->method_text = slice_of_iovec(req->input.method);
    request->method = method_of(request->method_text);
    request->target = slice_of_iovec(req->input.path);
    split_target(request);
    request->body = slice_of_iovec(req->entity);
    request->has_body = is_h2(req) ? req->entity.base != NULL : r->c->body != HEAD_BODY_NONE;
    request->is_upgrade = asks_for_upgrade(req);
    request->http_major = is_h2(req) ? 2 : 1;
    request->http_minor = is_h2(req) ? 0 : (unsigned)(req->version & 0xff);
    request->received = loop_now(r->c->owner->loop);
}

/* Without fields: what is refused because of their size is not copied first. */
static struct client_request *make_request(struct client_connection *c, h2o_req_t *req,
                                           bool has_fields)
{
    struct client_request *r = h2o_mem_alloc_shared(&req->pool, sizeof(*r), on_dispose);
    *r = (struct client_request){.h2o_req = req, .c = c};
    arena_init(&r->arena);
    fields_init(&r->request.fields, &r->arena);
    if (has_fields)
        copy_fields(r);
    describe_message(r);
    resolve_client(r);
    choose_id(r);
    return r;
}

/* --- handing over --- */

static void call_handler(struct client_request *r)
{
    const struct front_setup *setup = &r->c->owner->front->setup;
    front_handler handler = r->c->listener->is_admin ? setup->on_admin_request : setup->on_request;
    handler(r->c->owner->loop, r->h2o_req, &r->request, setup->arg);
}

static void start_later(h2o_timeout_entry_t *entry)
{
    call_handler(container_of(entry, struct client_request, start));
}

static void refuse(struct client_request *r, unsigned status, slice detail)
{
    front_report(r->c, status, detail, r->request.id);
    front_answer_error(r->h2o_req, status, detail, r->request.id);
}

static void start(struct client_request *r, slice host)
{
    struct request *request = &r->request;
    request->host_raw = host;
    if (!host_normalise(&r->arena, host, request->scheme, &request->host)) {
        refuse(r, 400, SLICE("Host is not valid"));
        return;
    }
    if (!is_h2(r->h2o_req)) {
        call_handler(r);
        return;
    }
    r->start.cb = start_later;
    h2o_context_t *context = &r->c->owner->loop->context;
    h2o_timeout_link(context->loop, &context->zero_timeout, &r->start);
}

static int on_h1_request(struct client_connection *c, h2o_req_t *req)
{
    MUST(c->phase == PHASE_BUSY); /* nothing comes here but through the read gate */
    req->http1_is_persistent = c->keep_alive && !req->conn->ctx->shutdown_requested;
    c->h2o_req = req;
    start(make_request(c, req, true), slice_trim(slice_of_iovec(req->input.authority)));
    return 0;
}

static int on_h2_request(struct client_connection *c, h2o_req_t *req)
{
    slice detail = SLICE_NONE, host = SLICE_NONE;
    unsigned status = h2_check(c, req, &host, &detail);
    struct client_request *r = make_request(c, req, status != 431);
    r->entity_bytes = req->entity.len;
    h2_request_begins(c, r->entity_bytes);
    if (status)
        refuse(r, status, detail);
    else
        start(r, host);
    return 0;
}

static int on_req(h2o_handler_t *self, h2o_req_t *req)
{
    (void)self;
    struct client_connection *c = client_of(req);
    return is_h2(req) ? on_h2_request(c, req) : on_h1_request(c, req);
}

void front_requests_register(h2o_hostconf_t *host)
{
    h2o_config_register_path(host, "/", 0);
    h2o_create_handler(&host->paths.entries[0], sizeof(h2o_handler_t))->on_req = on_req;
    h2o_create_handler(&host->fallback_path, sizeof(h2o_handler_t))->on_req = on_req;
}

bool front_client_is_gone(h2o_req_t *req)
{
    return client_of(req)->client_is_gone;
}

struct client_connection *front_await_reader(h2o_req_t *req)
{
    struct client_connection *c = client_of(req);
    c->awaited++;
    return c;
}

void front_reader_is_awaited_no_more(struct client_connection *c)
{
    c->awaited--;
}

void front_watch_client(h2o_req_t *req, void (*left)(void *owner), void *owner)
{
    struct client_connection *c = client_of(req);
    if (is_h2(req))
        return;
    c->left = left;
    c->left_owner = owner;
}
