/*
 * A stored response. Immutable once made and shared between threads by reference, but for the
 * counters at its end. It owns one `blob` that holds the serialised head (the same bytes that LMDB
 * keeps), and one blob for each coding of the body.
 */
#pragma once

#include "cache/key.h"
#include "cache/purge.h"
#include "policy/response.h"

#include <stdatomic.h>

/* Counted bytes. blob_unref() frees with the last reference and clears the pointer. Any thread. */
struct blob {
    atomic_uint refs;
    size_t len;
    char bytes[];
};

struct blob *blob_new(size_t len); /* one reference; bytes are not initialised */
struct blob *blob_ref(struct blob *blob);
void blob_unref(struct blob **blob);

/* What an object is made from; everything is copied but the bodies, whose references are taken. */
struct object_parts {
    slice key_text;                  /* full key (semantics 1.1) */
    slice url_text;                  /* the URL's part of it: key of the Vary record */
    slice scheme, host, path, query; /* for purges and `variants` */
    bool has_query;
    struct facts facts;
    uint64_t stamp;       /* purge stamp read before the request was sent (semantics 6.2) */
    uint64_t policy_hash; /* semantics 4.4 */
    const uint64_t *tag_hashes;
    size_t tag_count; /* <= TAGS_MAX */
    slice build;
    slice reason_phrase;
    slice variant_text; /* "accept-language=de; cookie.ab=1": for people, shown by `variants` */
    /*
     * The union that the key was made with (the record's `names`). When the URL's union has grown
     * since, the object is refused (STORED_NOT_OUTGROWN): two unions may give one key text. NULL:
     * not checked.
     */
    const struct field_names *names;
    const struct fields *fields; /* as they are stored: hop-by-hop removed */
    enum coding coding;          /* of the body that the origin sent */
    struct blob *body;           /* may be NULL: empty */
};

struct object {
    struct key key, url_key;
    slice key_text, url_text, scheme, host, path, query;
    bool has_query;
    struct facts facts;
    uint64_t stamp, policy_hash;
    uint64_t union_hash; /* union_hash_of() the union that the key was made with; 0: unknown */
    const uint64_t *tag_hashes;
    size_t tag_count;
    slice build, reason_phrase, variant_text;
    const struct field *fields; /* `field_count` views into `head` */
    size_t field_count;
    slice content_type; /* value of Content-Type, empty if absent */
    enum coding coding; /* the coding that came from the origin */
    struct blob *head;
    struct blob
        *bodies[CODING_COUNT]; /* NULL: not there. [coding] is NULL only for an empty body */

    /* shared: atomic */
    atomic_uint refs;
    atomic_uint hits;
    _Atomic uint64_t
        checked_stamp; /* purge stamp at which this was last found alive (semantics 6.3) */
};

/* Identifies a set of names; never 0. */
uint64_t union_hash_of(const struct field_names *names);

struct object *object_new(const struct object_parts *parts);
struct object *object_ref(struct object *object);
void object_unref(struct object **object); /* NULL inside is fine; so for blobs */
/*
 * Was the origin asked for `a` before it was asked for `b`? By the purge stamp first: what was
 * asked for after a purge is newer than what was asked for before it. Then by the clock that nobody
 * sets, within one boot.
 */
bool object_is_older(const struct object *a, const struct object *b);
size_t object_bytes(const struct object *object); /* what it costs in the RAM tier */
/* The same object with another body added (an edge-made coding). Takes the reference of `body`. */
struct object *object_with_coding(const struct object *object, enum coding coding,
                                  struct blob *body);
/* The same object after a 304 was merged in: with fields, facts, stamp, policy_hash, tags, and, if
 * it is known, build of `news`, of which nothing else is read. */
struct object *object_refreshed(const struct object *object, const struct object_parts *news);
/*
 * Reads a serialised head. NULL if the bytes are not one of ours, whatever they are (fuzzed).
 * Bodies are left NULL.
 */
struct object *object_decode(slice head);
/* The same without a copy: takes the reference of `head`, also when it fails. */
struct object *object_decode_blob(struct blob *head);
/* What purge records are matched against, from `since` on. Views of the object. */
struct purge_subject object_subject(const struct object *object, uint64_t since);
