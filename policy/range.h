/*
 * Which bytes of a stored 200 a client wants (RFC 9110 §13.1.5, §14.1, §14.2). Pure, any thread.
 */
#pragma once

#include "policy/message.h"

/* More parts in one request are an attack or a mistake: it gets the whole body. */
enum { RANGES_MAX = 8 };

struct byte_range {
    uint64_t first, last; /* both included */
};

enum range_kind {
    RANGE_WHOLE,         /* no ranges asked for, or none that need to be honoured: send the 200 */
    RANGE_PARTS,         /* 206 */
    RANGE_UNSATISFIABLE, /* 416 */
};

struct ranges {
    enum range_kind kind;
    size_t count; /* RANGE_PARTS: at least 1; in the order asked for */
    struct byte_range at[RANGES_MAX];
};

/* Is this a request whose Range counts: a GET with that field? */
bool range_is_asked(const struct request *request);

/*
 * `delivered` are the fields as this client would get them with the 200 (its ETag is what If-Range
 * is compared with, strongly), `date` the stored Date, `length` that of the identity body.
 */
void ranges_of_request(const struct request *request, const struct fields *delivered,
                       wall_time date, uint64_t length, struct ranges *ranges);
