/*
 * What HTTP/2 may bring and we let pass: the rules of head_check.c for a head that libh2o has
 * taken apart, and those of RFC 9113 §8 that it does not know. What it does refuse by itself
 * (pseudo fields that are missing, twice or late, names in capitals, control bytes, Connection,
 * Transfer-Encoding, Upgrade, TE) never comes here.
 */
#include "base/token.h"
#include "edge/http/front_internal.h"

#include <h2o/http2_internal.h>

enum { FIELD_OVERHEAD_BYTES = 4 };

/* A name that cannot come over the wire: what stands behind it came as trailers. */
#define TRAILERS_BEGIN ":"

static slice slice_of_iovec(h2o_iovec_t v)
{
    return v.len ? slice_of(v.base, v.len) : SLICE_NONE;
}

static slice name_of(const h2o_header_t *header)
{
    return slice_of(header->name->base, header->name->len);
}

static slice value_of(const h2o_header_t *header)
{
    return slice_trim(slice_of_iovec(header->value));
}

/* --- trailers --- */

void h2_mark_trailers(h2o_req_t *req)
{
    h2o_add_header_by_str(&req->pool, &req->headers, H2O_STRLIT(TRAILERS_BEGIN), 0, NULL,
                          H2O_STRLIT(""));
}

static void cut_trailers(h2o_req_t *req)
{
    for (size_t i = 0; i < req->headers.size; i++)
        if (slice_equal(name_of(&req->headers.entries[i]), SLICE(TRAILERS_BEGIN)))
            req->headers.size = i;
}

/* --- fields --- */

/* RFC 9113 §8.2.2; libh2o knows the others. */
static bool is_of_connection(slice name)
{
    return slice_equal(name, SLICE("keep-alive")) || slice_equal(name, SLICE("proxy-connection"));
}

static bool names_are_valid(const h2o_req_t *req)
{
    for (size_t i = 0; i < req->headers.size; i++) {
        slice name = name_of(&req->headers.entries[i]);
        if (!is_token(name) || is_of_connection(name))
            return false;
    }
    return true;
}

static const h2o_header_t *find(const h2o_req_t *req, slice name, size_t *lines)
{
    const h2o_header_t *found = NULL;
    *lines = 0;
    for (size_t i = 0; i < req->headers.size; i++)
        if (slice_equal(name_of(&req->headers.entries[i]), name)) {
            found = &req->headers.entries[i];
            ++*lines;
        }
    return found;
}

/* Host and :authority: one of them, or both alike (semantics 1.5). */
static bool read_host(const h2o_req_t *req, slice *host)
{
    size_t lines;
    const h2o_header_t *line = find(req, SLICE("host"), &lines);
    bool has_authority = req->input.authority.base != req->hostconf->authority.hostport.base;
    *host = has_authority ? slice_of_iovec(req->input.authority) : SLICE_NONE;
    if (lines > 1 || (lines == 0 && !has_authority))
        return false;
    if (lines == 0)
        return true;
    slice value = value_of(line);
    if (has_authority && !slice_equal_nocase(value, *host))
        return false;
    *host = value;
    return true;
}

static bool expectation_is_known(const h2o_req_t *req)
{
    size_t lines;
    const h2o_header_t *line = find(req, SLICE("expect"), &lines);
    return lines == 0 || (lines == 1 && slice_equal_nocase(value_of(line), SLICE("100-continue")));
}

bool h2_expects_continue(const h2o_req_t *req)
{
    size_t lines;
    find(req, SLICE("expect"), &lines);
    return lines > 0 && expectation_is_known(req);
}

/* --- sizes --- */

static size_t bytes_of_fields(const h2o_req_t *req)
{
    size_t bytes = req->input.method.len + req->input.path.len + req->input.authority.len;
    for (size_t i = 0; i < req->headers.size; i++)
        bytes += req->headers.entries[i].name->len + req->headers.entries[i].value.len +
                 FIELD_OVERHEAD_BYTES;
    return bytes;
}

/* libh2o compares Content-Length with DATA only where there is DATA (RFC 9113 §8.1.1). */
static bool announces_a_missing_body(h2o_req_t *req)
{
    size_t announced =
        H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, req, req)->_expected_content_length;
    return req->entity.base == NULL && announced != SIZE_MAX && announced != 0;
}

/* --- the whole --- */

static unsigned refused(unsigned status, slice *detail, slice why)
{
    *detail = why;
    return status;
}

static unsigned check_request_line(const struct head_limits *limits, const h2o_req_t *req,
                                   slice *detail)
{
    slice method = slice_of_iovec(req->input.method), path = slice_of_iovec(req->input.path);
    if (path.len > limits->url_bytes)
        return refused(414, detail, SLICE("the URL is too long"));
    if (!is_token(method))
        return refused(400, detail, SLICE("the method is not valid"));
    if (method.len > METHOD_MAX_BYTES)
        return refused(501, detail, SLICE("the method name is too long"));
    if (slice_equal(method, SLICE("CONNECT")))
        return refused(501, detail, SLICE("CONNECT is not supported"));
    if (!target_is_valid(path))
        return refused(400, detail, SLICE("the request target is not valid"));
    return 0;
}

static unsigned check_body(const struct client_connection *c, h2o_req_t *req, slice *detail)
{
    const struct front *front = c->owner->front;
    unsigned refusal = h2_body_refusal(c, req);
    if (refusal == 503)
        return refused(503, detail, SLICE("too many request bodies at a time"));
    if (refusal || req->entity.len > front->policy->limits.request_body_bytes)
        return refused(413, detail, SLICE("the request body is too large"));
    if (announces_a_missing_body(req))
        return refused(400, detail, SLICE("Content-Length without a body"));
    return 0;
}

unsigned h2_check(const struct client_connection *c, h2o_req_t *req, slice *host, slice *detail)
{
    const struct head_limits *limits = &c->owner->front->head_limits;
    cut_trailers(req);
    if (req->headers.size > limits->fields || bytes_of_fields(req) > limits->head_bytes)
        return refused(431, detail, SLICE("the request has too many or too large header fields"));
    unsigned status = check_request_line(limits, req, detail);
    if (status == 0 && !names_are_valid(req))
        status = refused(400, detail, SLICE("a header name is not valid in HTTP/2"));
    if (status == 0)
        status = check_body(c, req, detail);
    if (status == 0 && !read_host(req, host))
        status = refused(400, detail, SLICE("Host and :authority are missing or differ"));
    if (status == 0 && !expectation_is_known(req))
        status = refused(417, detail, SLICE("only the expectation 100-continue is understood"));
    return status;
}
