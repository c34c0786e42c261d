/*
 * Judging a response: may it be stored, for how long is it fresh, how stale may it be served, does
 * the client's own copy still hold. Pure functions of stored facts, present policy and `now`
 * (semantics 4, 5; http-caching.md).
 */
#pragma once

#include "policy/rules.h"

enum coding {
    CODING_IDENTITY,
    CODING_GZIP,
    CODING_BR,
    CODING_COUNT,
    CODING_UNKNOWN = CODING_COUNT
};

slice coding_name(enum coding coding); /* "identity", "gzip", "br" */
/* Content-Encoding of a response; "x-gzip" is gzip; several codings or an unknown one:
 * CODING_UNKNOWN. */
enum coding coding_of_response(const struct fields *fields);
/* Bit set (1u << coding) of what Accept-Encoding admits (RFC 9110 §12.5.3); identity unless it is
 * forbidden. */
unsigned codings_accepted(const struct fields *request_fields);
/* Can this client read a body as it came? One in no coding anybody can, for want of better; of one
 * that varve does not know it has no say. */
bool coding_is_readable(enum coding coding, const struct fields *request_fields);

enum fact_flags {
    FACT_EXPLICIT =
        1 << 0, /* Cache-Control, Expires or a targeted field spoke of freshness (semantics 4.3) */
    FACT_NO_CACHE = 1 << 1,
    FACT_MUST_REVALIDATE = 1 << 2, /* or proxy-revalidate */
    FACT_S_MAXAGE = 1 << 3,
    FACT_PUBLIC = 1 << 4,
    FACT_NO_STORE = 1 << 5,
    FACT_PRIVATE = 1 << 6,
    FACT_NO_TRANSFORM = 1 << 7,
    FACT_TARGETED = 1 << 8, /* a targeted field was in force: no heuristic */
    FACT_ETAG = 1 << 9,
    FACT_LAST_MODIFIED = 1 << 10,
    FACT_NAVIGATION = 1 << 11, /* filled by a navigation (semantics 4.5) */
    FACT_PAGE_TYPE = 1 << 12,  /* text/html and other types that may answer a navigation */
    FACT_SEALED = 1 << 13,     /* the fill was sealed: freshness may be invented */
    FACT_MUST_UNDERSTAND = 1 << 14,
    FACT_NO_BODY = 1 << 15, /* the head says so, or the end showed it (semantics 4.1) */
};

/* What a stored object remembers of its response: facts, not verdicts (semantics 4.3). Stored byte
 * for byte in LMDB; 0 is what rows of before have in a field that was not there. */
struct facts {
    uint32_t status;
    uint32_t flags; /* enum fact_flags */
    wall_time request_time, response_time;
    mono_time response_mono; /* of the boot `boot_id` (semantics 5.3) */
    uint64_t boot_id;
    duration initial_age;       /* corrected initial age (RFC 9111 §4.2.3) */
    duration explicit_lifetime; /* s-maxage, max-age, Expires - Date; DURATION_NONE if none */
    duration stale_while_revalidate, stale_if_error; /* DURATION_NONE: not said */
    wall_time date;                                  /* Date, or the time of receipt */
    wall_time last_modified;                         /* 0 unless FACT_LAST_MODIFIED */
    uint32_t jitter; /* 0 to 1000: per mille of the 0-10 % downward jitter of invented lifetimes */
    uint32_t
        keep_old_s; /* the route's `keep_old` for a 200, else 0 (semantics 5.5): evicted last */
};

enum { TAGS_MAX = 64, STORED_FIELDS_MAX = 1024 /* lines of a stored head, with what 304s added */ };

/* What rules_response() says about a response to a fill. */
struct verdict {
    bool may_store;
    enum reason reason; /* why not; REASON_NONE if may_store */
    bool has_vary_star;
    struct field_names
        vary; /* of this response, Accept-Encoding and `as:` twins folded (semantics 2.4, 4.7) */
    bool vary_overflows; /* more than UNION_MAX_NAMES names */
    struct slices tags;  /* from purge.tag_headers, Cache-Groups and the route; at most TAGS_MAX */
    struct facts facts;
    bool is_shareable; /* others may get this answer: lifetime > 0 or usable while revalidating
                          (semantics 3.1) */
};

/* `mono`/`wall` of sending the request and of receiving the head: RFC 9111 §4.2.3. `jitter_seed` is
 * any random number. */
struct exchange_times {
    struct instant sent, received;
};

/*
 * Judges the answer to a fill. `response` as the origin sent it, hop-by-hop fields and cookies of
 * held-back names may be gone already or not. Without an own reason in the list: REASON_POLICY if
 * nobody gives a lifetime or the coding is unknown, REASON_EXPIRED for a lifetime of zero that
 * nothing can make use of, REASON_TOO_LARGE for more than TAGS_MAX tags, REASON_PRIVATE for
 * Authorization outside RFC 9111 §3.5. `vary`, `has_vary_star`, `vary_overflows` and `facts` are
 * there whatever the verdict. A Vary member that is not a field name, or X-Request-Id, counts as
 * `*`.
 *
 * After a 304: again, with the stored status and the fields of fields_merge_304(). FACT_NAVIGATION
 * is then that of the request which revalidated: keep the stored object's as well.
 */
void rules_response(const struct policy *policy, const struct request *request,
                    const struct decision *decision, const struct forward *forward,
                    const struct response *response, struct exchange_times times,
                    uint32_t jitter_seed, struct verdict *verdict);

/*
 * Does an answer that may not be stored take the place of what is stored all the same
 * (http-caching §7)? Not one whose status says nothing of the page: 204, 206, an empty 200, and
 * what is of that request or of that moment alone (400, 408, 413, 414, 421, 425, 429, 431, 5xx).
 */
bool rules_replaces_stored(const struct verdict *verdict, unsigned status);

/* 500, 502, 503, 504: failures, in whose place stale may stand (semantics 3.2, 5.1). */
bool status_is_failure(unsigned status);

/*
 * Is the answer to this POST the page of its own URL, and was it asked for (`pass`) as a fill of
 * that page (`fill`) would have asked: target, host, fields (RFC 9110 §9.3.3)? Then
 * rules_response() judges it as the answer to a GET; it also needs explicit freshness. For
 * decisions with `may_store_post`.
 */
bool rules_post_is_page(const struct request *post, const struct forward *pass,
                        const struct forward *fill, const struct response *response);

/*
 * The part of the verdict that waits for the whole body: `reject_body`, and an empty 200 to a
 * navigation (semantics 4.1, 4.2). `body` in identity coding. REASON_NONE: store it.
 */
enum reason rules_body(const struct decision *decision, unsigned status, slice body);

/*
 * The tags by which a response can be purged, each once: that of the page whose data this is
 * (twins.h), of the route, of the `purge: {tag_headers}` fields, and cache groups (Cache-Groups,
 * RFC 9875 §2). A group is an ordinary tag with the text `https://shop.example news`: the origin of
 * the request, a space, the group's name. So groups of different origins are different tags, and no
 * other field can name one, since those are split at spaces. False if there are more than TAGS_MAX:
 * a page that some of its tags do not purge must not be stored. Texts are views or in `arena`, as
 * the array is.
 */
bool rules_tags(const struct policy *policy, const struct request *request,
                const struct decision *decision, const struct fields *fields, struct arena *arena,
                struct slices *tags);
/*
 * Cache-Group-Invalidation of an answer (RFC 9875 §3) as the tags that it invalidates: those of the
 * groups of the request's own origin. None if the field is no List of Strings. False if there are
 * more than TAGS_MAX; the first ones are there. Texts and array are in `arena`, or views of
 * `fields`.
 */
bool rules_invalidated_groups(const struct request *request, const struct fields *fields,
                              struct arena *arena, struct slices *tags);

/* Current age (RFC 9111 §4.2.3) with semantics 5.3's choice of clock. Never negative. */
duration facts_age(const struct facts *facts, struct instant now);
/* Freshness lifetime under the present policy (semantics 4.3). */
duration facts_lifetime(const struct facts *facts, const struct route *route, slice content_type);

enum freshness {
    FRESH,
    STALE_WHILE_REVALIDATE, /* may be served now; refresh behind people */
    STALE_IF_ERROR,         /* only when the render failed or cannot run */
    STALE_UNUSABLE,         /* only its validators are of use */
};

/* `is_soft_purged`: a soft purge record is newer. `has_old_policy`: policy_hash differs
 * (semantics 4.4). */
enum freshness facts_freshness(const struct facts *facts, const struct route *route,
                               bool never_shell_class, slice content_type, bool is_soft_purged,
                               bool has_old_policy, struct instant now);

/* Lifetime left, document_max counted in; negative when stale: the `ttl` of Cache-Status. */
duration facts_fresh_left(const struct facts *facts, const struct route *route, slice content_type,
                          struct instant now);
/* May this stored response answer that request at all: neither data formats (semantics 4.5) nor an
 * empty 200 or a 204 (4.1) are for navigations? */
bool facts_may_answer(const struct facts *facts, const struct decision *decision);

/* Weak comparison (RFC 9110 §8.8.3.2); an empty tag equals none. */
bool etag_weak_equal(slice a, slice b);

/*
 * Client conditions (RFC 9110 §13.2.2) against a 200: does it get a 304? `date` stands in for a
 * Last-Modified that is not there, which it may for what is stored alone (RFC 9111 §4.3.2): for
 * what has just come it is NOT_DATED.
 */
#define NOT_DATED ((wall_time){INT64_MAX})
bool conditional_is_not_modified(const struct request *request, const struct fields *fields,
                                 wall_time date);
/* Takes out what a 304 to a client does not carry (RFC 9110 §15.4.5). */
void fields_keep_for_304(struct fields *fields);
/*
 * varve's own conditions for a fill: If-None-Match and If-Modified-Since byte for byte as stored
 * (RFC 9111 §4.3.1). False: nothing stored to ask with, send an ordinary GET. Values are views of
 * `stored`.
 */
bool fields_add_validators(const struct fields *stored, wall_time now, struct fields *request);

/*
 * Merges a 304's fields into the stored ones (semantics 4.6, RFC 9111 §3.2). False: the 304 must be
 * discarded and the fill repeated without conditions (Set-Cookie, no-store, private, `Vary: *`, a
 * Vary outside `names`, more lines in all than STORED_FIELDS_MAX). `merged` is initialised and
 * empty; its names and values are views of the other two. Remove held-back Set-Cookie lines from
 * the 304 first.
 */
bool fields_merge_304(const struct policy *policy, const struct route *route,
                      const struct fields *stored, const struct response *not_modified,
                      const struct field_names *names, struct fields *merged);

/* Removes hop-by-hop fields and each field that Connection names (RFC 9110 §7.6.1). */
void fields_remove_hop_by_hop(struct fields *fields);
/* Removes the Set-Cookie lines that set one of `held_cookies` (semantics 2.7). */
void fields_remove_held_set_cookies(struct fields *fields, struct slices held_cookies);
/* Is there a Set-Cookie line that sets none of `held_cookies` (semantics 2.7, 4.2)? */
bool fields_set_foreign_cookie(const struct fields *fields, struct slices held_cookies);
/*
 * Removes the fields that `no-cache="a, b"` and `private="a"` name: a shared cache may keep the
 * rest (RFC 9111 §5.2.2.4, §5.2.2.7). For what is stored, and for what the waiters of a flight get.
 */
void fields_remove_limited(struct fields *fields, const struct route *route);

/* Will a helper thread make codings of this response (semantics 4.7)? Its length is not looked at.
 */
bool response_is_compressible(const struct policy *policy, const struct facts *facts,
                              const struct fields *fields);
/*
 * The Vary that clients see (semantics 4.8): the stored one ∪ Accept-Encoding ∪ `always` fields ∪
 * Cookie; raw names in place of `as:` ones. Empty: send none. A view of `fields`, or in `arena`.
 */
slice client_vary(const struct policy *policy, const struct facts *facts,
                  const struct fields *fields, struct arena *arena);
/* A line of Vary of the answer to a pass: itself, but with raw names in place of `as:` ones. */
slice client_vary_of_pass(const struct policy *policy, slice vary, struct arena *arena);
