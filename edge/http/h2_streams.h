/*
 * What the files of HTTP/2 see of libh2o's inside. Its headers are installed with the package; the
 * structs are those that it was built with.
 */
#pragma once

#include "edge/http/front_internal.h"

#include <h2o/http2_internal.h>

/* PHASE_H2. */
static inline h2o_http2_conn_t *h2_conn_of(const struct client_connection *c)
{
    return c->sock->data;
}

/* Gives libh2o what is in the input, or an error. It may close; then the socket reads no more, and
 * `c` may be gone. */
void h2_call_libh2o(struct client_connection *c, const char *err);
/*
 * The streams of a connection, at most 100 and H2_IDLE_STREAMS_MAX, in no order; begins with NULL
 * and ends with it. Takes as many steps as there are streams above it in the tree of priorities.
 */
h2o_http2_stream_t *h2_next_stream(const struct client_connection *c, h2o_http2_stream_t *stream);
/* NULL: it is over, or was never there. */
h2o_http2_stream_t *h2_find_stream(const struct client_connection *c, uint32_t id);
