/*
 * A request and a response as the steps, the rules and the origin client see them: free of libh2o.
 * Made by one thread, read by one thread at a time; everything they point to lives in `arena` or
 * longer.
 */
#pragma once

#include "base/clock.h"
#include "base/fields.h"
#include "base/ip.h"

enum method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_TRACE,
    METHOD_PURGE,
    METHOD_OTHER, /* still forwarded, by its text */
};

struct request {
    struct arena *arena;
    enum method method;
    slice method_text;
    slice scheme;             /* "http" or "https": semantics 1.7 */
    slice host;               /* lower case, without trailing dot and default port: semantics 1.1 */
    slice host_raw;           /* Host or :authority as received */
    slice target;             /* path and query in origin-form, exactly as received */
    slice path;               /* of target: up to the first '?' */
    slice query;              /* of target: behind the first '?' */
    bool has_query;           /* an empty query is not the same as none */
    struct fields fields;     /* as received, without Host and without HTTP/2 pseudo fields */
    slice body;               /* whole; empty if there is none */
    bool has_body;            /* a body was announced, perhaps of length 0 */
    struct ip_address peer;   /* who is connected to us */
    struct ip_address client; /* found through trusted_proxies */
    bool peer_is_trusted;
    bool is_upgrade; /* HTTP/1.1 Upgrade asked for */
    unsigned http_major, http_minor;
    slice id; /* request id: semantics X-Request-Id, one of ours if the client sent none usable */
    struct instant received;
};

struct response {
    unsigned status; /* 100 to 999 */
    slice reason;
    struct fields fields; /* as received */
};

/* METHOD_OTHER for what has no id; methods are case-sensitive (RFC 9110 §9.1). */
enum method method_of(slice text);
bool method_is_safe(enum method method); /* GET HEAD OPTIONS TRACE: RFC 9110 §9.2.1 */
