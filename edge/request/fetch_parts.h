/*
 * What the files of a fetch share: fetch.c (life, sending), fetch_head.c (judging the head),
 * fetch_old.c (what becomes of the stored page), fetch_publish.c (telling of it), fetch_body.c
 * (body, end, storing), interim.c. For these alone; others see fetch.h.
 */
#pragma once

#include "edge/request/fetch.h"

struct fetch {
    struct server *server;
    struct loop *loop;
    struct arena arena; /* of the copies below */
    enum fetch_kind kind;
    struct request request;
    struct decision decision;
    struct vary_record *record;
    struct vary_record *sent_under; /* the record of the head that was sent: `forward` names its
                                       fields */
    struct object *old;
    struct flight *flight;

    struct forward forward; /* head and key of the fill under way */
    struct fields more;
    struct call *call;
    struct exchange_times times;
    struct verdict verdict;
    struct key key;
    const uint64_t *tag_hashes;
    struct fields fields; /* of the answer, as delivered and stored; in the flight's arena */
    unsigned status;
    slice reason_phrase;
    enum coding coding;
    struct blob *body;       /* whole, once it is to be stored; NULL: empty */
    enum reason body_reason; /* why it is not stored */
    slice build;             /* that made it */
    unsigned repeats;        /* for a field learned under the seal (semantics 2.3) */
    bool is_unconditional;   /* a 304 was no use: no validators */
    bool has_validators;
    bool wants_identity; /* of the fill that was sent (semantics 4.7) */
    bool has_head;       /* published */
    bool is_storing;
    bool does_body_tell; /* it is not stored, and its body shows whether what is stored goes */
    bool has_dropped_old;
    bool is_over;
    struct loop_message room, deserted, ranked;
    struct chore judging; /* of the body, on the helper's thread; then `judged` */
    struct loop_message judged;
};

/* fetch.c */
void fetch_send(struct fetch *fetch);
/* The flight has ended or failed before this: nobody posts to us any more. May free it. */
void fetch_finish(struct fetch *fetch);
/* Nobody wants the answer (any more): the call lives on without us until its slot is free. */
void fetch_leave_call(struct fetch *fetch);
/* Nobody waits any more, and it is not worth finishing (semantics 3.4): it fails. True: it was so,
 * and the fetch may be freed. */
bool fetch_end_if_deserted(struct fetch *fetch);
/* Views of the stored object's fields; none without one. */
struct fields fetch_stored_fields(struct fetch *fetch);

/* fetch_head.c */
/* On a sealed route what is its own client's alone is not: nothing of the client was in the request
 * (semantics 2.9). */
bool fetch_is_dropped_unread(const struct fetch *fetch);
void fetch_mark_uncacheable(struct fetch *fetch, enum reason why);
/* Has a purge record come since the flight's stamp that kills what is being stored? */
bool fetch_is_purged(const struct fetch *fetch);
void fetch_on_head(struct call *call, void *owner, const struct response *response, size_t length);

/* fetch_old.c */
/* Is it promised to those who still have a page of an earlier build (semantics 5.5)? */
bool fetch_keeps_old(const struct fetch *fetch);
/* `length`: of the body, as the head says it or as it has come; SIZE_MAX: it is not known. */
bool fetch_is_too_large(const struct fetch *fetch, size_t length);
/* What was stored has been replaced by something that is not (http-caching §7), if such an answer
 * does that, and nothing else was promised (semantics 4.1). */
void fetch_drop_old(struct fetch *fetch);
/* The same of a head, unless the body is to tell: `does_body_tell`. */
void fetch_drop_old_unless_body_objects(struct fetch *fetch, size_t length);

/* fetch_publish.c: the flight's head, and what becomes of the call. The first three may free the
 * fetch. */
/* An answer that flows on; unless it is stored, only as long as somebody waits for it
 * (semantics 3.4). */
void fetch_publish_and_go_on(struct fetch *fetch, enum flight_sharing sharing,
                             enum reason not_stored, size_t length);
/* The answer is dropped: what the waiters do is all that remains of it. Takes `object`. */
void fetch_publish_and_drop(struct fetch *fetch, enum flight_sharing sharing, enum reason reason,
                            struct object *object);
void fetch_fail(struct fetch *fetch, enum call_failure failure);
/* The same once more: after a field was learned, or without validators. */
void fetch_repeat(struct fetch *fetch);

/* interim.c */
void fetch_on_interim(struct call *call, void *owner, const struct response *response);

/* fetch_body.c */
void fetch_on_body(struct call *call, void *owner, slice bytes);
void fetch_on_end(struct call *call, void *owner, bool is_clean);
void fetch_on_fail(struct call *call, void *owner, enum call_failure failure, slice detail);
/* What waited for the helper to look at its body is stored or not, and ends. */
void fetch_on_judged(struct loop_message *message);
