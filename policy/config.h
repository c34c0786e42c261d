/*
 * The configuration in force: what the policy file says, with every default filled in. Built once
 * per process by policy_load(), never changed afterwards, so any thread may read it. Everything
 * lives in `arena`. Names follow the policy file; docs/configuration.md says what they mean.
 */
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "base/ip.h"
#include "base/regex.h"

struct diag;

struct slices { /* a counted array of texts */
    slice *at;
    size_t count;
};

struct ip_ranges {
    struct ip_range *at;
    size_t count;
};

/* --- listeners --- */

struct tls_certificate {
    slice cert_path, key_path;
    slice file; /* where it stands in the policy, for errors; empty: nowhere */
    unsigned line, column;
};

struct listen_config {
    slice address; /* as written: ":8080", "127.0.0.1:80", "[::1]:80", "unix:/path" */
    struct tls_certificate *tls;
    size_t tls_count; /* 0: plain */
    bool proxy_protocol;
};

/* --- origins --- */

struct worker_config {
    slice url;       /* as written */
    slice unix_path; /* empty unless unix: */
    slice host;      /* name or address without brackets */
    uint16_t port;
    bool is_tls;
};

enum balance { BALANCE_IDLE, BALANCE_FIRST, BALANCE_ROUND_ROBIN, BALANCE_LEAST, BALANCE_RANDOM };

enum origin_host { ORIGIN_HOST_CLIENT, ORIGIN_HOST_ORIGIN, ORIGIN_HOST_NAME };

struct set_header {
    slice name;     /* lower case */
    slice template; /* may hold {class} {host} {build} */
    bool uses_class, uses_build;
};

struct spawn_variable {
    slice name, value;
};

/* When a renderer is worn out; 0: never. */
struct recycle_limits {
    uint64_t renders, memory_bytes, errors;
    duration errors_within;
};

/* Processes that varve starts and watches; they are the workers of their origin. */
struct spawn_config {
    bool is_set;
    struct slices command; /* as written */
    slice program;         /* the file that command[0] is */
    slice directory;       /* where they run */
    unsigned workers;
    uint16_t port; /* of the first, the others follow; 0: unix sockets in STORE/run */
    struct spawn_variable *env;
    size_t env_count;
    slice user; /* empty: as varve */
    duration ready_timeout, grace;
    struct recycle_limits recycle;
};

/* What varve asks each worker by itself (semantics 7.6). */
struct probe_config {
    slice path;      /* empty: no probes */
    unsigned expect; /* status */
    duration every, timeout;
    unsigned down_after, up_after; /* times in a row; up_after ends the slow start too */
};

/* Which of the edges before the same workers this one is. */
struct share {
    unsigned part, of; /* 1 <= part <= of */
};

struct origin_config {
    slice name;
    unsigned index; /* in policy.origins */
    struct worker_config *workers;
    size_t worker_count;
    unsigned slots; /* per worker; 0: no queue, only `connections` */
    enum balance balance;
    unsigned shell_at, shed_at; /* waiting renders (semantics 7.3) */
    bool queue_is_per_slot;     /* those are times live slots */
    unsigned connections;       /* per worker */
    bool slots_cover_assets;
    duration slot_max;
    duration connect, first_byte, between_bytes;
    duration client_wait;
    unsigned retries;
    slice target; /* "/_render?url={url}" or empty: the client's own */
    enum origin_host host;
    slice host_name; /* ORIGIN_HOST_NAME */
    slice tls_name, tls_ca;
    bool tls_verify;
    struct set_header *set_headers;
    size_t set_header_count;
    slice build_header; /* lower case; empty: none */
    slice build_probe;  /* path; empty: none */
    bool forward_client_address;
    unsigned revalidate_max;
    duration dns;
    struct share share;
    struct spawn_config spawn;
    struct probe_config probe;
    slice warmup; /* path; empty: none */
};

/* --- who asks --- */

enum cookie_identity { COOKIES_AUTO, COOKIES_NONE, COOKIES_LISTED };

struct identity_config {
    enum cookie_identity cookies;
    struct slices cookie_names;   /* COOKIES_LISTED; may hold '*' */
    struct slices headers;        /* lower case */
    struct slices ignore_cookies; /* added to the built-in list; may hold '*' */
};

struct class_config {
    slice name;
    struct slices user_agent; /* substrings, compared without case; none: matches all */
    struct ip_ranges ip_ranges;
    bool has_ip_ranges;
    bool never_shell;
    bool renders;     /* false: hit or stale, never a render (semantics 7.4) */
    unsigned reserve; /* the last slots are for it and the classes before it */
};

/* --- Vary normalisers (semantics 2.4) --- */

enum vary_kind { VARY_AS_SENT, VARY_CHOOSE, VARY_MAP, VARY_COOKIES, VARY_SORT };
enum vary_always {
    VARY_ALWAYS_DEFAULT,
    VARY_ALWAYS,
    VARY_ON_DEMAND
}; /* default: on sealed fills only */

struct vary_class {
    slice name;
    slice pattern;       /* of `match`, as written; empty: the fallback class */
    struct regex *match; /* NULL: the fallback class */
    slice send;          /* representative value */
};

struct vary_config {
    slice field; /* lower case */
    enum vary_kind kind;
    enum vary_always always;
    struct slices choices;  /* VARY_CHOOSE */
    slice default_choice;   /* VARY_CHOOSE */
    struct vary_class *map; /* VARY_MAP, first match wins */
    size_t map_count;
    slice as;           /* lower case; empty: the class is sent in `field` itself */
    struct slices keep; /* VARY_COOKIES */
};

enum seal { SEAL_STANDARD, SEAL_STRICT, SEAL_OFF };

/* --- routes --- */

struct lifetime_rule {
    duration value; /* DURATION_NONE: not configured */
    bool is_forced; /* {force: D} */
};

struct status_lifetime {
    unsigned status;
    struct lifetime_rule rule;
};

enum when_logged_in { LOGGED_IN_PASS, LOGGED_IN_SHELL, LOGGED_IN_CACHE, LOGGED_IN_ORIGIN };
enum fallback { FALLBACK_STALE, FALLBACK_SHELL };
enum store_statuses { STATUSES_PAGES, STATUSES_RFC };
enum invalidate { INVALIDATE_SOFT, INVALIDATE_RFC, INVALIDATE_NEVER };

struct stale_config {
    bool is_set;               /* the route has a `stale:` of its own (semantics 5.1) */
    bool is_forced;            /* stale: {force: true} */
    duration while_revalidate; /* DURATION_NONE: as the response says */
    duration if_error;         /* DURATION_NONE: as the response says */
};

struct route {
    slice match; /* as written */
    unsigned index;
    const struct origin_config *origin;
    bool is_cacheable;        /* cache: auto */
    struct lifetime_rule ttl; /* given: fills are sealed (semantics 2.1) */
    struct status_lifetime *status_ttl;
    size_t status_ttl_count;
    struct stale_config stale;
    duration stale_max, error_max, heuristic_max, document_max; /* DURATION_NONE: no limit */
    duration uncacheable_ttl, keep_old;                         /* keep_old 0: off */
    struct slices query_keep, query_drop;                       /* names, may hold '*' */
    bool query_keep_is_set, query_sort;
    unsigned max_queries; /* 0: no limit */
    enum when_logged_in when_logged_in;
    const struct origin_config *logged_in_origin;
    enum fallback on_failure[2];
    size_t on_failure_count;
    enum store_statuses store_statuses;
    bool store_set_cookie;
    struct slices content_types; /* lower case, a subtype may be a wildcard; for invented lifetimes
                                    (semantics 4.3) */
    struct slices reject_body_patterns; /* as written */
    struct regex **reject_body;
    size_t reject_body_count;
    enum invalidate invalidate;
    bool stores_post;    /* post: rfc */
    bool honours_client; /* client_cache_control: honour */
    bool ignore_cookies; /* cookies: ignore */
    bool is_asset;       /* assets: true, or a built-in asset glob */
    struct slices tags;  /* "product-:id": filled in from the match */
    slice client_cache;  /* empty: as received; "none"; else the Cache-Control that clients see */
    struct slices targeted; /* lower case targeted field names, strongest first (RFC 9213) */
    uint64_t policy_hash;   /* semantics 4.4: of all that shapes bytes and key of this route */
};

struct policy {
    struct arena arena;
    slice path;            /* of the file; empty without one */
    struct diag *warnings; /* what it says and hardly means: policy/load_warning.c, load_tags.c */

    struct listen_config *listen;
    size_t listen_count;
    bool redirect_http;
    struct slices hosts; /* lower case; may hold "*.example.com"; none: any host */
    unsigned threads;

    slice store_path;
    uint64_t store_bytes, memory_bytes, max_object_bytes;
    bool store_bytes_is_default; /* taken from the free disk, so it may differ at the next start */
    bool durability_sync;

    struct origin_config *origins;
    size_t origin_count;

    slice shell_file; /* empty: none */
    bool shell_behind_cdn;
    slice shell_origin_name;           /* empty: none */
    struct origin_config shell_asked;  /* target and set_headers, as written under `shell` */
    struct origin_config shell_origin; /* that origin, asked so; its index, no slots of its */
    unsigned shell_slots;              /* asked at a time */
    duration shell_timeout;

    struct identity_config identity;
    struct class_config *classes; /* the last one matches everybody */
    size_t class_count;
    struct vary_config *vary;
    size_t vary_count;
    unsigned max_variants;
    enum seal seal;

    struct slices compress_codings; /* of "br", "gzip", in order of preference */
    struct slices compress_types;
    size_t compress_min_bytes;

    struct route *routes; /* what no route matches is passed to origins[0] (`route_pass`) */
    size_t route_count;
    struct route route_pass;

    struct slices purge_methods; /* of "PURGE"; none by default */
    struct ip_ranges purge_allow;
    struct slices purge_tag_headers; /* lower case */
    struct slices purge_twins;       /* patterns: twins.h */

    slice admin_listen; /* "unix:…" or "host:port" */
    slice admin_token_file;

    slice access_log_path; /* "-": stdout; empty: off */
    bool access_log_is_ncsa;
    int log_level;
    struct slices redact_query;

    struct {
        size_t header_bytes, headers, url_bytes, request_body_bytes;
        uint64_t request_bodies_bytes, response_buffers_bytes;
        duration header_timeout, idle, stall;
        unsigned connections, per_client_percent; /* 100: no share */
    } limits;

    struct ip_ranges trusted_proxies; /* loopback and unix sockets are built in */
    duration reload_drain, shutdown_drain;
    struct error_page {
        unsigned status;
        slice path;
    } * error_pages;
    size_t error_page_count;
    slice user; /* empty: stay who we are */
};

static inline bool policy_has_shell(const struct policy *policy)
{
    return policy->shell_file.len > 0 || policy->shell_origin_name.len > 0;
}

/* Its place in a table with one more than there are routes: the last is that of "no route matched",
 * NULL among these. */
static inline size_t policy_route_place(const struct policy *policy, const struct route *route)
{
    return route && route != &policy->route_pass ? route->index : policy->route_count;
}
