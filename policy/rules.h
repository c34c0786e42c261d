/*
 * The policy file as a rulebook: pure decisions about one request. No clock, lock, log or global;
 * `now` and the origin's state come as parameters, so the same code runs in the server, in unit
 * tests and in the fuzzers. Results live in the request's arena.
 *
 * The way of a request: rules_receive() → (LOOKUP:) forward_fill() with the URL's union gives head
 * and key → after the origin's answer rules_response() (policy/response.h) judges it.
 */
#pragma once

#include "policy/config.h"
#include "policy/message.h"
#include "policy/reason.h"

enum action {
    ACTION_LOOKUP,   /* cacheable: look it up, fill on a miss */
    ACTION_PASS,     /* forward, never store; `reason` says why */
    ACTION_SHELL,    /* logged-in navigation of a when_logged_in: shell route */
    ACTION_REJECT,   /* answer `status` ourselves: 400, 421 */
    ACTION_REDIRECT, /* answer 308 to `location` (redirect_http) */
};

/* What a rulebook decides about a request before anything is looked up. */
struct decision {
    enum action action;
    enum reason reason;        /* REASON_NONE for a plain lookup */
    unsigned status;           /* ACTION_REJECT */
    slice detail;              /* ACTION_REJECT: what was wrong, for the problem document */
    slice location;            /* ACTION_REDIRECT */
    const struct route *route; /* never NULL */
    const struct origin_config *origin;      /* never NULL: where a pass or fill goes */
    const struct class_config *class_config; /* never NULL */
    bool is_logged_in;   /* false on a route with when_logged_in: cache, which makes it anonymous */
    slice identified_by; /* "cookie:NAME" or "header:NAME" whenever one was found; no values */
    bool is_navigation;  /* semantics 4.5 */
    bool may_give_shell; /* a navigation, class and Via/CDN-Loop allow it, a shell is configured
                            (semantics 8.2) */
    bool is_sealed;      /* a fill of this request is sealed (semantics 2.1) or strict */
    bool may_store_post; /* ACTION_PASS: its answer may turn out to be the page of its URL
                            (`post: rfc`) */
    slice query;         /* after the route's query rules; what is keyed and what a fill asks for */
    bool has_query;
    slice url_text;     /* length-prefixed scheme, host, path, query, method class: key of the URL's
                           Vary record */
    struct slices tags; /* the route's `tags:` filled in */
    const slice
        *build; /* newest build of the origin as given to rules_receive, for {build}; may be NULL */
};

void rules_receive(const struct policy *policy, const struct request *request, slice origin_build,
                   struct decision *decision);

/* A sorted set of lower-case field names: the Vary union of a URL (semantics 2.5) or the Vary of
 * one response. */
enum { UNION_MAX_NAMES = 16 };
struct field_names {
    slice at[UNION_MAX_NAMES];
    size_t count;
};

bool field_names_contain(const struct field_names *names, slice name);
/* Adds in order; false if it would exceed UNION_MAX_NAMES. Adding a name twice is fine. Keeps a
 * view. */
bool field_names_add(struct field_names *names, slice name);
bool field_names_equal(const struct field_names *a, const struct field_names *b);

/* The head that goes to the origin. */
struct forward {
    slice method;
    slice target; /* origin-form, `target:` applied */
    struct fields
        fields;        /* complete but for Content-Length, Connection and varve's own validators */
    slice key_text;    /* fills: the full key, length-prefixed (semantics 1.1) */
    bool is_unkeyable; /* fills: a keyed field is over its size limit (semantics 1.4, 2.2): pass
                          instead */
    struct slices held_cookies; /* names of cookies held back (semantics 2.7) */
};

/*
 * Head and key of a fill: the one function of semantics 1.2. `names` is the URL's union (empty when
 * cold). Nothing edits the head of a fill afterwards but the origin client's framing and varve's
 * validators. Accept-Encoding follows semantics 4.7: identity when `wants_identity`, else the
 * client's, reduced.
 */
void forward_fill(const struct policy *policy, const struct request *request,
                  const struct decision *decision, const struct field_names *names,
                  bool wants_identity, struct forward *forward);
/* Head of a pass (semantics 2.8); no key. */
void forward_pass(const struct policy *policy, const struct request *request,
                  const struct decision *decision, struct forward *forward);
/*
 * Would a sealed fill of this request hold back, or not yet send, the field `name` (semantics 2.3)?
 * Exactly: would its head be another one, were `name` in the union too? Then an answer that varies
 * by it was made without it: drop it, and repeat the fill. False when this client sends no such
 * field (and no normaliser makes one up), for cookies and seal.def, under `seal: strict` for all
 * that the policy does not name, and on fills that are not sealed, which send every field that may
 * be keyed.
 */
bool forward_holds_back(const struct policy *policy, const struct request *request,
                        const struct decision *decision, const struct field_names *names,
                        slice name);
/*
 * Does `name` enter the union by learning: held back by 2.1 from this URL's fills, whether or not
 * this client sent it, but sent once it is in the union? For the count of learned cold URLs.
 */
bool forward_learns(const struct policy *policy, const struct request *request,
                    const struct decision *decision, const struct field_names *names, slice name);

/*
 * What tells a variant from its siblings, for people: "accept-language=de; no rsc;
 * cookie.ab=#1f2e". Values of cookies and Authorization are shown hashed (semantics 10.2). From any
 * key_text, also a damaged one.
 */
slice forward_variant_text(slice key_text, struct arena *arena);

/*
 * A URL as an operator types it, absolute or a path on `default_host`, as its objects are keyed:
 * host normalised without the default port, query after its route's rules (semantics 6.4). A
 * fragment is dropped. False: no URL, no host, or control bytes. Results are views of `arena` or of
 * the arguments.
 */
bool rules_purge_url(const struct policy *policy, struct arena *arena, slice url,
                     slice default_host, slice *host, slice *path, slice *query, bool *has_query);
