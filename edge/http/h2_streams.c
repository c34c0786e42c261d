/*
 * Walking the streams of an HTTP/2 connection, by way of the tree of priorities, which has each of
 * them: the layout of libh2o's own table of streams is not in its headers.
 */
#include "edge/http/h2_streams.h"

static h2o_http2_stream_t *stream_of_link(h2o_linklist_t *link)
{
    h2o_http2_scheduler_openref_t *ref =
        container_of(link, h2o_http2_scheduler_openref_t, _all_link);
    return container_of(ref, h2o_http2_stream_t, _refs.scheduler);
}

/* First a node's children, then what follows it, then what follows its parent. */
h2o_http2_stream_t *h2_next_stream(const struct client_connection *c, h2o_http2_stream_t *stream)
{
    h2o_http2_scheduler_node_t *node =
        stream ? &stream->_refs.scheduler.node : &h2_conn_of(c)->scheduler;
    h2o_linklist_t *link = node->_all_refs.next;
    while (link == &node->_all_refs) {
        if (!node->_parent)
            return NULL;
        link = container_of(node, h2o_http2_scheduler_openref_t, node)->_all_link.next;
        node = node->_parent;
    }
    return stream_of_link(link);
}

h2o_http2_stream_t *h2_find_stream(const struct client_connection *c, uint32_t id)
{
    h2o_http2_stream_t *stream = h2_next_stream(c, NULL);
    while (stream && stream->stream_id != id)
        stream = h2_next_stream(c, stream);
    return stream;
}
