/*
 * The head of a fill (semantics 1.2, 2.1 to 2.4): shared by the functions of forward.c, nobody
 * else's. Building it twice, with and without a name in the union, is also how we know what the
 * seal held back: there is no second opinion on what is sent.
 */
#pragma once

#include "policy/identity.h"
#include "policy/rules.h"

struct head {
    const struct policy *policy;
    const struct request *request;
    const struct decision *decision;
    const struct field_names *names; /* the URL's union */
    slice one_more;                  /* a name as if it were in the union too; may be empty */
    bool is_open;                    /* `seal: off` and not sealed: semantics 2.2's last sentence */
    bool wants_identity;
    struct cookies cookies;
    slice kept_cookies;
    struct fields fields; /* the result */
};

void head_build(struct head *head);
/* Is the name in the union, under the client's name or the `as:` one? Either counts as both. */
bool head_is_named(const struct head *head, slice name);
/* Could a fill of this request ever carry the client's field `name`, or its class? */
bool head_may_carry(const struct head *head, slice name);
/* Names of the cookies that the head, once built, does not carry (semantics 2.7). */
struct slices head_held_cookies(const struct head *head);

/* What varve writes itself on every request, and its debug token: the client's is dropped. */
bool head_is_ours(enum field_id id);

/* Fields that varve makes itself, on fills and passes (semantics 2.8). `accept_encoding` is what is
 * asked for; empty: none. */
void head_add_ours(struct fields *fields, const struct request *request,
                   const struct decision *decision, slice accept_encoding);
/* The client's Accept-Encoding, reduced to br, gzip and identity (semantics 4.7). Empty: none. */
slice head_reduce_codings(const struct request *request);
/* X-Forwarded-For: the client's list, where its sender is trusted, and the peer. Empty: none. */
slice head_forwarded_for(const struct request *request);
/* Is it one of `set_headers`, or a name of `as:`? The client's is dropped (semantics 2.4, 2.8). */
bool head_is_replaced(const struct policy *policy, const struct decision *decision, slice name);
