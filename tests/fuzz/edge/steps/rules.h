/*
 * The policies of the whole-steps fuzzer: a few settings that matter to reuse, as numbers that the
 * model reads and as the policy file that varve reads.
 */
#pragma once

#include "tests/fuzz/edge/steps/script.h"

#include <stdbool.h>

struct policy;

enum { NONE = -1 };
enum rules_seal { RULES_SEALED_STANDARD, RULES_SEALED_STRICT, RULES_OPEN };
enum rules_stale { STALE_DEFAULT, STALE_GIVEN, STALE_FORCED, STALE_RESPONSE };
enum rules_query { QUERY_AS_IS, QUERY_DROP_UTM, QUERY_KEEP_A };
enum rules_invalidate { SOFT, RFC, NEVER };

enum { STALE_GIVEN_S = 30, STALE_IF_ERROR_S = 60, DOCUMENT_MAX_S = 50, STATUS_TTL_S = 60 };

struct rules {
    int64_t ttl;                        /* seconds; NONE */
    bool ttl_is_forced, has_status_ttl; /* 404: 60s */
    enum rules_seal seal;
    bool has_login;        /* identity.logged_in as by default; else none */
    bool login_is_ignored; /* when_logged_in: cache */
    bool chooses_language; /* accept-language: choose: [en, de] */
    bool keeps_cookie;     /* cookie: keep: [ab] */
    bool stores_statuses_rfc, stores_set_cookie, error_max_is_none, has_document_max;
    enum rules_stale stale;
    enum rules_query query;
    enum rules_invalidate invalidate;
    bool has_store;
    bool honours_client;   /* client_cache_control: honour */
    bool stores_post;      /* post: rfc */
    bool spares_renderers; /* `varve mode shell` */
    bool rejects_bodies;   /* reject_body: ['^[3-5]'] */
    unsigned max_variants;
    unsigned drawn; /* the bytes it was made of */
};

struct rules rules_draw(struct script *script);
/* Stays valid until other rules are loaded. */
struct policy *rules_load(const struct rules *rules);
/* Is a fill sealed: does the renderer see only what is keyed? */
bool rules_are_sealed(const struct rules *rules);
/* Does a fill hold back nothing of the client's? */
bool rules_are_open(const struct rules *rules);
