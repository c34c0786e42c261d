/*
 * What explain and variants share: the request that is asked about, what memory and the disk have
 * for it, and a stored page as JSON. On the api's thread, which may wait.
 */
#pragma once

#include "edge/admin/api_handlers.h"

/* A request that nobody sends. */
struct question {
    struct request request;
    struct decision decision;
    slice build; /* of the origin: decision.build is a view of it */
};

/* From `?url=…&header=…`. False: the job has its answer, a problem document. */
bool question_read(struct api_job *job, struct question *question);

/* The caller's reference; it may come into memory. *is_unreadable: the disk could not say, the
 * record is none. */
struct vary_record *find_record(struct cache *cache, const struct key *url_key,
                                bool *is_unreadable);

json_t *names_json(const struct field_names *names);
/* With `state` and `reason` as whoever asks finds it at `now`. */
json_t *object_json(struct server *server, const struct object *object,
                    const struct decision *decision, struct instant now);
