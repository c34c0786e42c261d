/* What the admin API can do: one function per endpoint. They run on the api's thread and may block.
 */
#pragma once

#include "edge/request/sink.h"
#include "edge/server.h"

#include <jansson.h>

struct api_job;

/* True: `status` and `answer` are set. False: call me again in a while (a reload is under way). */
typedef bool (*api_handler_fn)(struct api_job *job);

struct api_job {
    struct list node;
    struct server *server;
    struct loop *loop;
    struct sink *sink; /* the loop's; NULL: the client has left */
    struct loop_message finished;
    struct arena arena;
    api_handler_fn handler;
    slice path, query, body;
    slice caller; /* who asks, for the log */
    bool is_over_limit, is_finished;
    /* of the reload, or restart, that is waited for */
    bool is_waiting;
    uint64_t ticket;
    const struct origin_config *origin; /* NULL: all */
    /* the answer */
    unsigned status;
    slice type;   /* empty: application/json */
    slice allow;  /* not empty: the methods of this path, for the 405 */
    char *answer; /* malloc'ed */
};

/* NULL: no such endpoint or, when *allow is what the path has, only the method is wrong. */
api_handler_fn api_handler(enum method method, slice path, slice *allow);
/* Of text of which nobody knows whether it is UTF-8, as of paths from strangers: where it is not,
 * with marks in place of all that is not ASCII. */
json_t *api_text(slice text);
/* An RFC 9457 problem document as the answer. */
void api_error(struct api_job *job, unsigned status, const char *detail);
/* The same for what this worker process does not begin any more. */
void api_error_leaving(struct api_job *job);
/* Takes the reference of `json`. */
void api_answer_json(struct api_job *job, unsigned status, json_t *json);

/* api_slots.c */
bool api_slots(struct api_job *job);
bool api_slot_state(struct api_job *job);
/* api_mode.c */
bool api_mode(struct api_job *job);
bool api_set_mode(struct api_job *job);
/* api_explain.c */
bool api_explain(struct api_job *job);
/* api_variants.c */
bool api_variants(struct api_job *job);
/* api_restart.c */
bool api_restart(struct api_job *job);
/* api_purge.c */
bool api_purge(struct api_job *job);
/* PURGE on the public listener (semantics 6.5): purges all variants of the request's URL. 0 or
 * errno: it holds, but could not be written. */
int purge_request_url(struct server *server, const struct request *request,
                      const struct decision *decision, uint64_t *stamp);
