/*
 * What would happen to a request now, and why, without an effect: nothing is rendered or counted,
 * no place is taken, and no page comes into memory or is seen to be wanted. It goes the way of a
 * request (edge/request/steps.c) by the same judgements (candidate.h, mode_meaning.h, fallback.h).
 * Left out is what only the attempt would show: whether a body is whole on the disk, whether it
 * would join a render, how long it would wait, what the renderer would say.
 */
#pragma once

#include "edge/admin/api_question.h"
#include "edge/request/candidate.h"

/* A request on its way. */
struct outlook {
    struct server *server;
    struct arena *arena;
    const struct request *request;
    struct decision decision;
    struct client_wish wish;
    struct instant now;
    enum mode mode;

    /* looked up */
    struct key url_key, key;
    struct vary_record *record;
    bool is_unreadable; /* the record: so the key is not known */
    struct forward forward;
    struct object *object; /* what is stored, whatever it is good for */
    struct candidate found;
    enum reason marked; /* not storable for now, and why; REASON_NONE: it is not marked */

    /* its end */
    const char *would;
    enum reason reason;
    unsigned status; /* of an answer of varve's own; 0: it is none */
    slice detail, location;
};

/* Fills what `server`, `arena`, `request` and `decision` lead to. May wait for the disk: not on a
 * loop. */
void outlook_take(struct outlook *look);
void outlook_fini(struct outlook *look);
