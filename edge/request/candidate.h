/*
 * What a request would be given, as far as that is decided before the origin is asked: what the
 * object that was found is good for (semantics 4, 5), and what follows where it is not enough.
 * Asked by the request itself (lookup.c, steps.c) and by whoever only wants to know (`varve
 * explain`): nothing here has an effect but on the caller's own `struct candidate`. Any thread.
 */
#pragma once

#include "cache/object.h"
#include "cache/purge.h"
#include "edge/server.h"
#include "policy/client_wish.h"

/* What came of one look-up for the object that was found. */
struct candidate {
    struct object *object; /* NULL: nothing usable was found */
    enum freshness freshness;
    enum reason reason; /* why it is not fresh, or why there is none */
    bool is_unreadable; /* there is one, in a coding that this client may not be given */
    bool is_declined;   /* it is, but not fresh enough for this client's Cache-Control */
};

/* By what it is judged. */
struct grounds {
    const struct decision *decision;
    const struct fields *client_fields; /* of the request as received */
    const struct client_wish *wish;
    enum purge_state purged; /* by the purge table */
    enum reason outdated;    /* outdated_why() */
    struct instant now;
};

/* Coded, not to be decoded (RFC 9110 §7.7), and the client knows no such coding. */
bool object_is_unreadable(const struct object *object, const struct fields *client_fields);
/* Of an object that is not purged: how fresh, whoever asks; *reason: why it is not, or "fresh". */
enum freshness candidate_freshness(const struct object *object, const struct grounds *by,
                                   enum reason *reason);
/* Judges what was found for this request; gives back the object when it must not even be kept for
 * its validators. */
void candidate_judge(struct candidate *found, const struct grounds *by);

/* A stored page as the answer. */
struct given {
    enum outcome outcome;
    enum reason reason;
    bool is_refreshed; /* behind people, as far as there is room for it */
};
/* Is what was found and judged the answer? False: no, or nothing was found. */
bool candidate_is_given(const struct server *server, const struct decision *decision,
                        const struct candidate *found, struct given *given);

/* Nothing stored will do. Why the origin's answer to this request is not to be stored either;
 * REASON_NONE: it may be. */
enum reason miss_is_passed(const struct request *request, const struct decision *decision,
                           const struct client_wish *wish, const struct candidate *found);

/* An error of varve's own. */
struct refusal {
    unsigned status;
    enum outcome outcome;
    enum reason reason;
    slice detail;
};
/* Some do not want the origin to be asked, and for some it is not. */
bool fetch_is_refused(const struct request *request, const struct decision *decision,
                      const struct client_wish *wish, const struct candidate *found,
                      struct refusal *refusal);
/*
 * A URL of which nothing is known, with a query, on a route that stores only so many for each path
 * (semantics 1.6): it wants a place among them (cache/admission.h). Then *path stands for its path.
 */
bool query_wants_place(const struct request *request, const struct decision *decision,
                       const struct vary_record *record, struct arena *arena, struct key *path);
